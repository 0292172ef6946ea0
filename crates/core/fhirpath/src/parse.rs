//! Tokens to the compiled form, by recursive descent with operator precedence. Functions, their numbers of
//! arguments, and types are resolved here, so that evaluation meets none that it does not know.

use rust_decimal::Decimal;

use crate::error::CompileError;
use crate::expr::{Expr, Head, Literal, Operator, Step, TYPE_STRENGTH, TypeTest};
use crate::functions::Function;
use crate::item::decimal;
use crate::lex::{Kind, Lexer, Token, failure};
use crate::quantity::Unit;
use crate::temporal::Temporal;
use crate::types::TypeName;

/// Characters an expression may have.
const MAX_TEXT: usize = 64 << 10;
/// Levels of nesting: what evaluation recurses through.
const MAX_DEPTH: u32 = 100;

/// Parses a whole text.
pub(crate) fn parse(text: &str) -> Result<Expr, CompileError> {
    if text.len() > MAX_TEXT {
        return Err(failure(
            text,
            MAX_TEXT,
            "the expression is longer than 65536 bytes: split it",
        ));
    }
    let tokens = Lexer::new(text).tokens()?;
    let mut parser = Parser {
        text,
        tokens: &tokens,
        at: 0,
        depth: 0,
    };
    let (expr, _) = parser.expression(0)?;
    match parser.kind() {
        Kind::End => Ok(expr),
        other => parser.fail(format!(
            "{} does not belong here: remove it",
            other.describe()
        )),
    }
}

struct Parser<'t, 's> {
    text: &'t str,
    tokens: &'s [Token<'t>],
    at: usize,
    depth: u32,
}

/// An expression and the height of its tree.
type Parsed<T> = Result<(T, u32), CompileError>;

impl<'t> Parser<'t, '_> {
    fn kind(&self) -> Kind<'t> {
        self.tokens
            .get(self.at)
            .map_or(Kind::End, |token| token.kind.clone())
    }

    fn place(&self) -> usize {
        self.tokens
            .get(self.at)
            .map_or(self.text.len(), |token| token.at)
    }

    fn fail<T>(&self, problem: impl Into<String>) -> Result<T, CompileError> {
        Err(failure(self.text, self.place(), problem))
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.tokens.get(self.at), Some(Token { kind: Kind::Symbol(found), .. }) if *found == symbol)
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), CompileError> {
        if self.eat(symbol) {
            return Ok(());
        }
        let found = self.kind().describe();
        self.fail(format!("{symbol:?} is missing before {found}"))
    }

    fn taller(&self, height: u32) -> Result<u32, CompileError> {
        if height >= MAX_DEPTH {
            return self.fail("the expression is nested deeper than 100 levels: simplify it");
        }
        Ok(height + 1)
    }

    /// An expression whose operators bind tighter than `above`.
    fn expression(&mut self, above: u8) -> Parsed<Expr> {
        self.depth = self.taller(self.depth)?;
        let parsed = self.operators(above);
        self.depth -= 1;
        parsed
    }

    fn operators(&mut self, above: u8) -> Parsed<Expr> {
        let (mut left, mut height) = self.unary()?;
        loop {
            if let Some(test) = self.type_operator(above) {
                self.at += 1;
                let name = self.type_name()?;
                left = Expr::Type(Box::new(left), test, name);
                height = self.taller(height)?;
                continue;
            }
            let Some(operator) = self.operator().filter(|one| one.strength() > above) else {
                return Ok((left, height));
            };
            self.at += 1;
            let (right, other) = self.expression(operator.strength())?;
            left = Expr::Binary(operator, Box::new((left, right)));
            height = self.taller(height.max(other))?;
        }
    }

    fn type_operator(&self, above: u8) -> Option<TypeTest> {
        match self.kind() {
            Kind::Name("is") if TYPE_STRENGTH > above => Some(TypeTest::Is),
            Kind::Name("as") if TYPE_STRENGTH > above => Some(TypeTest::As),
            _ => None,
        }
    }

    fn operator(&self) -> Option<Operator> {
        Some(match self.kind() {
            Kind::Symbol("*") => Operator::Multiply,
            Kind::Symbol("/") => Operator::Divide,
            Kind::Name("div") => Operator::Div,
            Kind::Name("mod") => Operator::Mod,
            Kind::Symbol("+") => Operator::Add,
            Kind::Symbol("-") => Operator::Subtract,
            Kind::Symbol("&") => Operator::Concatenate,
            Kind::Symbol("|") => Operator::Union,
            Kind::Symbol("<") => Operator::Less,
            Kind::Symbol("<=") => Operator::LessOrEqual,
            Kind::Symbol(">") => Operator::Greater,
            Kind::Symbol(">=") => Operator::GreaterOrEqual,
            Kind::Symbol("=") => Operator::Equal,
            Kind::Symbol("!=") => Operator::NotEqual,
            Kind::Symbol("~") => Operator::Equivalent,
            Kind::Symbol("!~") => Operator::NotEquivalent,
            Kind::Name("in") => Operator::In,
            Kind::Name("contains") => Operator::Contains,
            Kind::Name("and") => Operator::And,
            Kind::Name("or") => Operator::Or,
            Kind::Name("xor") => Operator::Xor,
            Kind::Name("implies") => Operator::Implies,
            _ => return None,
        })
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let negate = self.is("-");
        if negate || self.is("+") {
            self.at += 1;
            self.depth = self.taller(self.depth)?;
            let inner = self.unary();
            self.depth -= 1;
            let (inner, height) = inner?;
            let inner = Box::new(inner);
            let height = self.taller(height)?;
            return Ok(if negate {
                (Expr::Negate(inner), height)
            } else {
                (Expr::Plus(inner), height)
            });
        }
        self.path()
    }

    /// A term and everything invoked on it.
    fn path(&mut self) -> Parsed<Expr> {
        let (head, mut steps, mut height) = self.head()?;
        loop {
            let (step, inner) = if self.eat(".") {
                self.invocation()?
            } else if self.eat("[") {
                let (index, inner) = self.expression(0)?;
                self.expect("]")?;
                (Step::Index(index), inner)
            } else {
                break;
            };
            steps.push(step);
            height = height.max(self.taller(inner)?);
        }
        let plain = steps.is_empty();
        Ok(match head {
            Head::Group(inner) if plain => (*inner, height),
            head => (Expr::Path(head, steps), height),
        })
    }

    fn head(&mut self) -> Result<(Head, Vec<Step>, u32), CompileError> {
        let kind = self.kind();
        let (head, steps, height) = match kind {
            Kind::Name(name) => match self.tokens.get(self.at + 1).map(|token| &token.kind) {
                Some(Kind::Symbol("(")) => {
                    let (step, height) = self.invocation()?;
                    return Ok((Head::Focus, vec![step], height + 1));
                }
                _ if name == "true" || name == "false" => literal(Literal::Boolean(name == "true")),
                _ => (Head::Name(name.into()), Vec::new(), 1),
            },
            Kind::Delimited(name) => (Head::Name(name.into()), Vec::new(), 1),
            Kind::Variable(name) => (Head::Variable(name.into()), Vec::new(), 1),
            Kind::Dollar("this") => (Head::This, Vec::new(), 1),
            Kind::Dollar("index") => (Head::Index, Vec::new(), 1),
            Kind::Dollar("total") => (Head::Total, Vec::new(), 1),
            Kind::String(text) => literal(Literal::String(text.into())),
            Kind::Number(text) => return self.number(text),
            Kind::Temporal(text) => match Temporal::literal(text) {
                Some(value) => literal(Literal::Temporal(value)),
                None => {
                    return self.fail(format!(
                        "@{text} is no date or time: write one like @2024-02-29T10:30:00Z"
                    ));
                }
            },
            Kind::Symbol("(") => {
                self.at += 1;
                let (inner, height) = self.expression(0)?;
                self.expect(")")?;
                return Ok((
                    Head::Group(Box::new(inner)),
                    Vec::new(),
                    self.taller(height)?,
                ));
            }
            Kind::Symbol("{") => {
                self.at += 1;
                self.expect("}")?;
                return Ok((Head::Group(Box::new(Expr::Empty)), Vec::new(), 1));
            }
            other => {
                let found = other.describe();
                return self.fail(format!("a value or name is missing before {found}"));
            }
        };
        self.at += 1;
        Ok((head, steps, height))
    }

    /// A number, or a quantity when a unit follows.
    fn number(&mut self, text: &str) -> Result<(Head, Vec<Step>, u32), CompileError> {
        let unit = match self.tokens.get(self.at + 1).map(|token| token.kind.clone()) {
            Some(Kind::String(unit)) => Some(Unit::Ucum(unit.into_owned().into())),
            Some(Kind::Name(word)) => Unit::of_word(word),
            _ => None,
        };
        let too_long = "the number has more than 28 digits: write fewer";
        if let Some(unit) = unit {
            let Some(value) = decimal(text) else {
                return self.fail(too_long);
            };
            self.at += 2;
            return Ok(literal(Literal::Quantity(value, unit)));
        }
        let value = if text.contains('.') {
            Decimal::from_str_exact(text).ok().map(Literal::Decimal)
        } else {
            text.parse().ok().map(Literal::Integer)
        };
        match value {
            Some(value) => {
                self.at += 1;
                Ok(literal(value))
            }
            None if text.contains('.') => self.fail(too_long),
            None => self.fail("the integer is beyond 2147483647: write it as a decimal"),
        }
    }

    /// A member or a function call.
    fn invocation(&mut self) -> Parsed<Step> {
        let name = match self.kind() {
            Kind::Name(name) => name.to_owned(),
            Kind::Delimited(name) => name.into_owned(),
            Kind::Dollar("this") => {
                return self.fail("$this stands at the beginning of a path only");
            }
            other => {
                let found = other.describe();
                return self.fail(format!("a name is missing before {found}"));
            }
        };
        let place = self.at;
        self.at += 1;
        if !self.eat("(") {
            return Ok((Step::Member(name.into()), 0));
        }
        let test = match name.as_str() {
            "is" => Some(TypeTest::Is),
            "as" => Some(TypeTest::AsFunction),
            "ofType" => Some(TypeTest::OfType),
            _ => None,
        };
        if let Some(test) = test {
            let ty = self.type_name()?;
            self.expect(")")?;
            return Ok((Step::Type(test, ty), 0));
        }
        let Some(function) = Function::named(&name) else {
            self.at = place;
            return self.fail(format!("there is no function {name}(): check the spelling"));
        };
        let (arguments, height) = self.arguments(function)?;
        if !function.takes(arguments.len()) {
            self.at = place;
            return self.fail(format!(
                "{name}() takes {}, not {} arguments",
                function.arity_text(),
                arguments.len()
            ));
        }
        Ok((Step::Call(function, arguments.into()), height))
    }

    fn arguments(&mut self, function: Function) -> Parsed<Vec<Expr>> {
        let mut arguments = Vec::new();
        let mut height = 0;
        if self.eat(")") {
            return Ok((arguments, height));
        }
        loop {
            let (mut argument, inner) = self.expression(0)?;
            if function == Function::Sort {
                argument = self.direction(argument);
            }
            if function.takes_pattern() && arguments.is_empty() {
                argument = pattern(argument);
            }
            arguments.push(argument);
            height = height.max(inner);
            if self.eat(")") {
                return Ok((arguments, height));
            }
            self.expect(",")?;
        }
    }

    /// `sort(name desc)` means `sort(-name)`.
    fn direction(&mut self, key: Expr) -> Expr {
        match self.kind() {
            Kind::Name("desc") => {
                self.at += 1;
                Expr::Negate(Box::new(key))
            }
            Kind::Name("asc") => {
                self.at += 1;
                key
            }
            _ => key,
        }
    }

    fn type_name(&mut self) -> Result<TypeName, CompileError> {
        let place = self.at;
        let mut parts = Vec::new();
        loop {
            match self.kind() {
                Kind::Name(name) => parts.push(name.to_owned()),
                Kind::Delimited(name) => parts.push(name.into_owned()),
                other => {
                    let found = other.describe();
                    return self.fail(format!("the name of a type is missing before {found}"));
                }
            }
            self.at += 1;
            // `x is Quantity.value` is not asked for: a dot continues a qualified name only.
            if parts.len() == 2 || !qualifies(&parts) || !self.eat(".") {
                break;
            }
        }
        let known = match parts.as_slice() {
            [name] => TypeName::resolve(None, name),
            [namespace, name] => TypeName::resolve(Some(namespace), name),
            _ => None,
        };
        if let Some(known) = known {
            return Ok(known);
        }
        self.at = place;
        let name = parts.join(".");
        self.fail(format!("there is no type {name}: check the spelling"))
    }
}

/// A regular expression written out is compiled once for all evaluations.
fn pattern(argument: Expr) -> Expr {
    match argument {
        Expr::Literal(Literal::String(text)) => {
            Expr::Literal(Literal::Pattern(text, Default::default()))
        }
        other => other,
    }
}

/// Whether a name is that of a namespace.
fn qualifies(parts: &[String]) -> bool {
    matches!(parts, [one] if one == "System" || one == "FHIR")
}

fn literal(value: Literal) -> (Head, Vec<Step>, u32) {
    (Head::Group(Box::new(Expr::Literal(value))), Vec::new(), 1)
}
