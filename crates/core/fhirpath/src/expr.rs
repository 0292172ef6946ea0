//! The compiled form: heads with steps behind them, so that long paths need no recursion. Data only.

use std::sync::{Arc, OnceLock};

use regex::Regex;
use rust_decimal::Decimal;

use crate::functions::Function;
use crate::quantity::Unit;
use crate::temporal::Temporal;
use crate::types::TypeName;

/// An expression.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    /// `{}`
    Empty,
    Literal(Literal),
    /// A head and what is invoked on it.
    Path(Head, Vec<Step>),
    Binary(Operator, Box<(Expr, Expr)>),
    Negate(Box<Expr>),
    Plus(Box<Expr>),
    /// `is` and `as`.
    Type(Box<Expr>, TypeTest, TypeName),
}

#[derive(Debug, Clone)]
pub(crate) enum Literal {
    Boolean(bool),
    Integer(i32),
    Decimal(Decimal),
    String(Box<str>),
    /// A string that is a regular expression; compiled once, when first used.
    Pattern(Box<str>, Arc<OnceLock<Regex>>),
    Temporal(Temporal),
    Quantity(Decimal, Unit<'static>),
}

/// Where a path begins.
#[derive(Debug, Clone)]
pub(crate) enum Head {
    /// The focus itself: the first step is a function.
    Focus,
    /// A first name: the focus if it is of this type, else its element.
    Name(Box<str>),
    This,
    Index,
    Total,
    Variable(Box<str>),
    /// A parenthesised term or a literal.
    Group(Box<Expr>),
}

/// What is invoked on a collection.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Member(Box<str>),
    Index(Expr),
    Call(Function, Box<[Expr]>),
    Type(TypeTest, TypeName),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TypeTest {
    Is,
    /// The operator, which filters.
    As,
    /// The function, which takes one item.
    AsFunction,
    OfType,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Multiply,
    Divide,
    Div,
    Mod,
    Add,
    Subtract,
    Concatenate,
    Union,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    Equivalent,
    NotEquivalent,
    In,
    Contains,
    And,
    Or,
    Xor,
    Implies,
}

impl Operator {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Div => "div",
            Self::Mod => "mod",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Concatenate => "&",
            Self::Union => "|",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Equivalent => "~",
            Self::NotEquivalent => "!~",
            Self::In => "in",
            Self::Contains => "contains",
            Self::And => "and",
            Self::Or => "or",
            Self::Xor => "xor",
            Self::Implies => "implies",
        }
    }

    /// How tightly it binds; higher is tighter (N1, section 6.10).
    pub(crate) const fn strength(self) -> u8 {
        match self {
            Self::Multiply | Self::Divide | Self::Div | Self::Mod => 10,
            Self::Add | Self::Subtract | Self::Concatenate => 9,
            Self::Union => 7,
            Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => 6,
            Self::Equal | Self::NotEqual | Self::Equivalent | Self::NotEquivalent => 5,
            Self::In | Self::Contains => 4,
            Self::And => 3,
            Self::Or | Self::Xor => 2,
            Self::Implies => 1,
        }
    }
}

/// Variables every evaluation has.
const GIVEN: [&str; 6] = [
    "context",
    "resource",
    "rootResource",
    "ucum",
    "sct",
    "loinc",
];

impl Expr {
    /// Names of the variables used, sorted; without those defined inside and those of the language.
    pub(crate) fn variables(&self) -> Vec<&str> {
        let (mut used, mut defined) = (Vec::new(), Vec::new());
        self.collect(&mut used, &mut defined);
        used.retain(|name| {
            !defined.contains(name)
                && !GIVEN.contains(name)
                && !name.starts_with("vs-")
                && !name.starts_with("ext-")
        });
        used.sort_unstable();
        used.dedup();
        used
    }

    fn collect<'e>(&'e self, used: &mut Vec<&'e str>, defined: &mut Vec<&'e str>) {
        match self {
            Self::Empty | Self::Literal(_) => {}
            Self::Negate(inner) | Self::Plus(inner) | Self::Type(inner, ..) => {
                inner.collect(used, defined);
            }
            Self::Binary(_, sides) => {
                sides.0.collect(used, defined);
                sides.1.collect(used, defined);
            }
            Self::Path(head, steps) => {
                match head {
                    Head::Variable(name) => used.push(name),
                    Head::Group(inner) => inner.collect(used, defined),
                    _ => {}
                }
                for step in steps {
                    step.collect(used, defined);
                }
            }
        }
    }
}

impl Step {
    fn collect<'e>(&'e self, used: &mut Vec<&'e str>, defined: &mut Vec<&'e str>) {
        match self {
            Self::Member(_) | Self::Type(..) => {}
            Self::Index(inner) => inner.collect(used, defined),
            Self::Call(function, arguments) => {
                if *function == Function::DefineVariable
                    && let Some(Expr::Literal(Literal::String(name))) = arguments.first()
                {
                    defined.push(name);
                }
                for argument in arguments {
                    argument.collect(used, defined);
                }
            }
        }
    }
}

/// Of `is` and `as`.
pub(crate) const TYPE_STRENGTH: u8 = 8;
