//! Runs the compiled form over items. Every recursion is bounded by the depth the parser allows, every loop
//! by the step budget. Must not panic on any expression or input.

mod arithmetic;
pub(crate) mod equality;
pub(crate) mod navigate;
mod operators;
pub(crate) use operators::{as_decimal, order};

use std::borrow::Cow;

use crate::collection::Collection;
use crate::environment::Environment;
use crate::error::{CompileError, EvaluationError};
use crate::expr::{Expr, Head, Literal, Step, TypeTest};
use crate::functions::{self, Call, Function};
use crate::item::Item;
use crate::parse::parse;
use crate::quantity::Quantity;
use crate::types::{FhirType, TypeName};

pub(crate) type Outcome<'a> = Result<Collection<'a>, EvaluationError>;

/// A compiled expression; immutable, to be kept and shared.
#[derive(Debug, Clone)]
pub struct Expression {
    text: Box<str>,
    expr: Expr,
}

impl Expression {
    pub(crate) fn compile(text: &str) -> Result<Self, CompileError> {
        Ok(Self {
            expr: parse(text)?,
            text: text.into(),
        })
    }

    /// The text it was compiled from.
    #[must_use]
    pub const fn text(&self) -> &str {
        &self.text
    }

    /// Names of the variables it uses, without those it defines itself and those of the language.
    #[must_use]
    pub fn variables(&self) -> Vec<&str> {
        self.expr.variables()
    }

    /// Evaluates with an item as context (`$this` and `%context`).
    ///
    /// # Errors
    /// What the language forbids (several items where one is taken, types an operator does not take) and
    /// limits of cost.
    pub fn evaluate<'a>(
        &'a self,
        environment: &Environment<'a>,
        context: Item<'a>,
    ) -> Result<Collection<'a>, EvaluationError> {
        self.evaluate_all(environment, &Collection::of(context))
    }

    /// Evaluates with a whole collection as context.
    ///
    /// # Errors
    /// As [`Expression::evaluate`].
    pub fn evaluate_all<'a>(
        &'a self,
        environment: &Environment<'a>,
        context: &Collection<'a>,
    ) -> Result<Collection<'a>, EvaluationError> {
        self.spend(environment, context, environment.limits.steps).0
    }

    /// Evaluates, and says how many steps it took.
    fn spend<'a>(
        &'a self,
        environment: &Environment<'a>,
        context: &Collection<'a>,
        steps: u64,
    ) -> (Result<Collection<'a>, EvaluationError>, u64) {
        let mut evaluator = Evaluator {
            environment,
            context,
            steps,
            defined: Vec::new(),
            patterns: Vec::new(),
        };
        let frame = Frame {
            this: context,
            index: None,
            total: None,
        };
        let outcome = evaluator.evaluate(&self.expr, frame);
        (outcome, steps.saturating_sub(evaluator.steps))
    }

    /// The truth of the result: a single boolean is itself, any other single item is true, nothing is none.
    ///
    /// # Errors
    /// As [`Expression::evaluate`], and a result of several items.
    pub fn evaluate_boolean<'a>(
        &'a self,
        environment: &Environment<'a>,
        context: Item<'a>,
    ) -> Result<Option<bool>, EvaluationError> {
        truth("a condition", &self.evaluate(environment, context)?)
    }

    /// As [`Expression::evaluate_boolean`], out of a budget of steps that several evaluations share; nothing
    /// is left of it once one of them wanted more than there was.
    ///
    /// # Errors
    /// As [`Expression::evaluate_boolean`], and a budget that is used up.
    pub fn evaluate_boolean_within<'a>(
        &'a self,
        environment: &Environment<'a>,
        context: Item<'a>,
        budget: &mut u64,
    ) -> Result<Option<bool>, EvaluationError> {
        let steps = environment.limits.steps.min(*budget);
        let (outcome, spent) = self.spend(environment, &Collection::of(context), steps);
        let is_short = steps < environment.limits.steps;
        *budget = match &outcome {
            Err(EvaluationError::TooCostly { what: "steps", .. }) if is_short => 0,
            _ => budget.saturating_sub(spent),
        };
        truth("a condition", &outcome?)
    }
}

/// What `$this`, `$index` and `$total` are.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'f, 'a> {
    pub(crate) this: &'f Collection<'a>,
    pub(crate) index: Option<usize>,
    pub(crate) total: Option<&'f Collection<'a>>,
}

pub(crate) struct Evaluator<'e, 'a> {
    pub(crate) environment: &'e Environment<'a>,
    context: &'e Collection<'a>,
    steps: u64,
    /// What `defineVariable()` defined, innermost last.
    pub(crate) defined: Vec<(String, Collection<'a>)>,
    /// Regular expressions compiled so far.
    pub(crate) patterns: Vec<(String, regex::Regex)>,
}

impl<'a> Evaluator<'_, 'a> {
    /// Takes steps from the budget.
    pub(crate) fn charge(&mut self, steps: u64) -> Result<(), EvaluationError> {
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(EvaluationError::TooCostly {
                what: "steps",
                limit: self.environment.limits.steps as usize,
            }),
        }
    }

    /// Refuses collections beyond the limit.
    pub(crate) fn bounded(&self, items: &Collection<'a>) -> Result<(), EvaluationError> {
        let limit = self.environment.limits.items;
        if items.len() > limit {
            return Err(EvaluationError::TooCostly {
                what: "items in a collection",
                limit,
            });
        }
        Ok(())
    }

    /// A string made by the evaluation, its length charged and bounded.
    pub(crate) fn text(&mut self, text: String) -> Outcome<'a> {
        let limit = self.environment.limits.text;
        if text.len() > limit {
            return Err(EvaluationError::TooCostly {
                what: "bytes in a string",
                limit,
            });
        }
        self.charge(text.len() as u64 / 64)?;
        Ok(Collection::of(Item::string(text)))
    }

    /// Evaluates an operand or argument: what it defines stays inside.
    pub(crate) fn scoped(&mut self, expr: &'a Expr, frame: Frame<'_, 'a>) -> Outcome<'a> {
        let defined = self.defined.len();
        let result = self.evaluate(expr, frame);
        self.defined.truncate(defined);
        result
    }

    /// Evaluates for one item of a collection.
    pub(crate) fn for_item(
        &mut self,
        expr: &'a Expr,
        item: &Item<'a>,
        index: usize,
        frame: Frame<'_, 'a>,
    ) -> Outcome<'a> {
        let this = Collection::of(item.clone());
        let frame = Frame {
            this: &this,
            index: Some(index),
            total: frame.total,
        };
        self.scoped(expr, frame)
    }

    pub(crate) fn evaluate(&mut self, expr: &'a Expr, frame: Frame<'_, 'a>) -> Outcome<'a> {
        self.charge(1)?;
        match expr {
            Expr::Empty => Ok(Collection::empty()),
            Expr::Literal(literal) => Ok(Collection::of(literal_item(literal))),
            Expr::Path(head, steps) => self.path(head, steps, frame),
            Expr::Binary(operator, sides) => self.binary(*operator, sides, frame),
            Expr::Negate(inner) => {
                let value = self.scoped(inner, frame)?;
                arithmetic::negate(&value)
            }
            Expr::Plus(inner) => {
                let value = self.scoped(inner, frame)?;
                arithmetic::signed(&value)
            }
            Expr::Type(inner, test, ty) => {
                let value = self.scoped(inner, frame)?;
                type_test(*test, ty, value)
            }
        }
    }

    fn path(&mut self, head: &'a Head, steps: &'a [Step], frame: Frame<'_, 'a>) -> Outcome<'a> {
        let mut focus = match head {
            Head::Focus => match steps.split_first() {
                // The focus need not be copied for its first function.
                Some((Step::Call(function, arguments), rest)) => {
                    self.charge(1)?;
                    let first = self.call(*function, frame.this, arguments, frame, true)?;
                    return self.walk(first, rest, frame);
                }
                _ => frame.this.clone(),
            },
            Head::Name(name) => self.first_name(name, frame)?,
            Head::This => frame.this.clone(),
            Head::Index => Collection::maybe(
                frame
                    .index
                    .and_then(|index| i32::try_from(index).ok())
                    .map(Item::Integer),
            ),
            Head::Total => frame.total.cloned().unwrap_or_default(),
            Head::Variable(name) => self.variable(name)?,
            Head::Group(inner) => self.scoped(inner, frame)?,
        };
        if steps.is_empty() {
            return Ok(focus);
        }
        focus = self.walk(focus, steps, frame)?;
        Ok(focus)
    }

    fn walk(
        &mut self,
        mut focus: Collection<'a>,
        steps: &'a [Step],
        frame: Frame<'_, 'a>,
    ) -> Outcome<'a> {
        for step in steps {
            self.charge(1)?;
            focus = match step {
                Step::Member(name) => self.children_named(&focus, name)?,
                Step::Index(index) => {
                    let at = self.scoped(index, frame)?;
                    let at = integer("an index", &at)?;
                    let item = at
                        .and_then(|at| usize::try_from(at).ok())
                        .and_then(|at| focus.get(at));
                    Collection::maybe(item.cloned())
                }
                Step::Call(function, arguments) => {
                    self.call(*function, &focus, arguments, frame, false)?
                }
                Step::Type(test, ty) => type_test(*test, ty, focus)?,
            };
        }
        Ok(focus)
    }

    fn call(
        &mut self,
        function: Function,
        input: &Collection<'a>,
        arguments: &'a [Expr],
        frame: Frame<'_, 'a>,
        first: bool,
    ) -> Outcome<'a> {
        let call = Call {
            function,
            input,
            arguments,
            frame,
            first,
        };
        functions::call(self, &call)
    }

    /// The first name of a path: the type of the focus, or an element of it.
    fn first_name(&mut self, name: &'a str, frame: Frame<'_, 'a>) -> Outcome<'a> {
        if name.starts_with(|first: char| first.is_ascii_uppercase()) {
            let named: Collection<'a> = frame
                .this
                .iter()
                .filter(|item| match item {
                    Item::Node(node) if !node.is_primitive() => {
                        crate::types::derives(node.ty().name(), name)
                    }
                    _ => false,
                })
                .cloned()
                .collect();
            if !named.is_empty() {
                return Ok(named);
            }
        }
        self.children_named(frame.this, name)
    }

    fn variable(&self, name: &str) -> Outcome<'a> {
        if let Some((_, value)) = self.defined.iter().rev().find(|(known, _)| known == name) {
            return Ok(value.clone());
        }
        let given = &self.environment.variables;
        if let Some((_, value)) = given.iter().rev().find(|(known, _)| known == name) {
            return Ok(value.clone());
        }
        let text = |text: &'static str| Ok(Collection::of(Item::String(Cow::Borrowed(text))));
        match name {
            "context" => Ok(self.context.clone()),
            "resource" => Ok(Collection::maybe(self.environment.resource.clone())),
            "rootResource" => Ok(Collection::maybe(self.environment.root.clone())),
            "ucum" => text("http://unitsofmeasure.org"),
            "sct" => text("http://snomed.info/sct"),
            "loinc" => text("http://loinc.org"),
            _ => {
                let url = if let Some(set) = name.strip_prefix("vs-") {
                    format!("http://hl7.org/fhir/ValueSet/{set}")
                } else if let Some(extension) = name.strip_prefix("ext-") {
                    format!("http://hl7.org/fhir/StructureDefinition/{extension}")
                } else {
                    return Err(EvaluationError::UnknownVariable(name.to_owned()));
                };
                Ok(Collection::of(Item::string(url)))
            }
        }
    }
}

fn literal_item(literal: &Literal) -> Item<'_> {
    match literal {
        Literal::Boolean(value) => Item::Boolean(*value),
        Literal::Integer(value) => Item::Integer(*value),
        Literal::Decimal(value) => Item::Decimal(*value),
        Literal::String(text) | Literal::Pattern(text, _) => Item::String(Cow::Borrowed(text)),
        Literal::Temporal(value) => Item::Temporal(*value),
        Literal::Quantity(value, unit) => Item::Quantity(Quantity {
            value: *value,
            unit: unit.clone(),
        }),
    }
}

/// Whether an item is of a type, as `is` sees it.
fn is_of(item: &Item<'_>, ty: &TypeName) -> bool {
    match item {
        Item::Node(node) => ty.is_fhir(node.ty().name()),
        other => ty.is_system(other.type_info().name),
    }
}

fn type_test<'a>(test: TypeTest, ty: &TypeName, focus: Collection<'a>) -> Outcome<'a> {
    let of = |item: &Item<'a>| match item {
        Item::Node(node) => node.ty() != FhirType::Unknown && ty.is_of(node.ty()),
        other => ty.is_system(other.type_info().name),
    };
    let several = |what| {
        Err(EvaluationError::NotSingle {
            what,
            count: focus.len(),
        })
    };
    match test {
        TypeTest::Is if focus.len() > 1 => several("is"),
        TypeTest::Is => Ok(Collection::truth(focus.first().map(|item| is_of(item, ty)))),
        TypeTest::AsFunction if focus.len() > 1 => several("as()"),
        // The operator filters several items: R4's own search parameters are written so.
        _ => Ok(focus.into_iter().filter(of).collect()),
    }
}

/// The truth of a condition: nothing is none, a boolean itself, any other single item true.
pub(crate) fn truth(
    what: &'static str,
    value: &Collection<'_>,
) -> Result<Option<bool>, EvaluationError> {
    match value.len() {
        0 => Ok(None),
        1 => Ok(value.first().map(|item| item.as_bool().unwrap_or(true))),
        count => Err(EvaluationError::NotSingle { what, count }),
    }
}

/// The only item's System value; an error for several, none for nothing or an item without one.
pub(crate) fn single<'a>(
    what: &'static str,
    value: &Collection<'a>,
) -> Result<Option<Item<'a>>, EvaluationError> {
    match value.len() {
        0 => Ok(None),
        1 => Ok(value.first().and_then(Item::system)),
        count => Err(EvaluationError::NotSingle { what, count }),
    }
}

/// A single integer, or none.
pub(crate) fn integer(
    what: &'static str,
    value: &Collection<'_>,
) -> Result<Option<i32>, EvaluationError> {
    match single(what, value)? {
        None if value.is_empty() => Ok(None),
        Some(Item::Integer(value)) => Ok(Some(value)),
        _ => Err(wrong(what, "an integer", value)),
    }
}

/// A single string, or none.
pub(crate) fn string<'a>(
    what: &'static str,
    value: &Collection<'a>,
) -> Result<Option<Cow<'a, str>>, EvaluationError> {
    match single(what, value)? {
        None if value.first().is_none_or(is_valueless) => Ok(None),
        Some(Item::String(text)) => Ok(Some(text)),
        _ => Err(wrong(what, "a string", value)),
    }
}

fn is_valueless(item: &Item<'_>) -> bool {
    matches!(item, Item::Node(node) if node.is_primitive() && node.value().is_none())
}

pub(crate) fn wrong(
    what: &'static str,
    expected: &'static str,
    value: &Collection<'_>,
) -> EvaluationError {
    let found = value.first().map_or_else(String::new, |item| {
        let info = item.type_info();
        format!("{}.{}", info.namespace, info.name)
    });
    EvaluationError::wrong_type(what, expected, found)
}
