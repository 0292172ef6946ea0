//! Constraints in FHIRPath, compiled once when first needed. Must not decide how bad an unknown answer is.

use std::sync::OnceLock;

use fhirpath::{Environment, Expression, Item};

use crate::model::{Constraint, ConstraintSeverity};

/// A constraint with its compiled expression.
#[derive(Debug)]
pub struct Invariant {
    constraint: Constraint,
    compiled: OnceLock<Result<Expression, String>>,
}

/// What a constraint says about a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It is broken.
    Broken,
    /// It could not be decided, and why.
    NotChecked(String),
}

/// Functions that answer nothing where something is not known here.
const PORTS: [&str; 5] = [
    "memberOf(",
    "resolve(",
    "conformsTo(",
    "subsumes(",
    "subsumedBy(",
];

impl Invariant {
    /// From a constraint.
    #[must_use]
    pub const fn new(constraint: Constraint) -> Self {
        Self {
            constraint,
            compiled: OnceLock::new(),
        }
    }

    /// `obs-6`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.constraint.key
    }

    /// How bad a breach is.
    #[must_use]
    pub const fn severity(&self) -> ConstraintSeverity {
        self.constraint.severity
    }

    /// The rule in words.
    #[must_use]
    pub fn human(&self) -> &str {
        &self.constraint.human
    }

    /// The rule.
    #[must_use]
    pub fn expression(&self) -> Option<&str> {
        self.constraint.expression.as_deref()
    }

    /// Evaluates the rule on a value, out of a budget of steps.
    #[must_use]
    pub fn check<'a>(
        &'a self,
        environment: &Environment<'a>,
        item: Item<'a>,
        budget: &mut u64,
    ) -> Verdict {
        let Some(text) = self.expression() else {
            return Verdict::NotChecked("the rule is given in words only".to_owned());
        };
        let compiled = self
            .compiled
            .get_or_init(|| fhirpath::compile(text).map_err(|error| error.to_string()));
        let expression = match compiled {
            Ok(expression) => expression,
            Err(error) => return Verdict::NotChecked(error.clone()),
        };
        match expression.evaluate_boolean_within(environment, item, budget) {
            Ok(Some(holds)) => of_truth(holds),
            // What is neither true nor false is not true, but for what could not be known or compared, and
            // advice about what is not there.
            Ok(None) if PORTS.iter().any(|port| text.contains(port)) => Verdict::NotChecked(
                "it needs terminology, another resource or another profile that is not here"
                    .to_owned(),
            ),
            Ok(None) if text.contains(['<', '>']) => {
                Verdict::NotChecked("the values cannot be compared".to_owned())
            }
            Ok(None) => of_truth(self.severity() != ConstraintSeverity::Error),
            Err(error) => Verdict::NotChecked(error.to_string()),
        }
    }
}

fn of_truth(holds: bool) -> Verdict {
    if holds {
        Verdict::Holds
    } else {
        Verdict::Broken
    }
}
