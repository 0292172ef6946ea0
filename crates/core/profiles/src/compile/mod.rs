//! Profiles made ready for the walk: from a snapshot only what R4 itself does not say already, as a
//! pruned tree. Must not look at resources.

mod build;
mod criteria;
mod path;

use std::sync::Arc;

use fhir::json::Document;

pub use build::profile;
pub use criteria::{Criterion, Match, Term};
pub use path::Step;

use crate::invariant::Invariant;
use crate::model::{Aggregation, Binding, Context, DiscriminatorKind, Literal, SlicingRules};

/// A profile, ready to be checked against.
#[derive(Debug)]
pub struct Profile {
    /// Its canonical, with version.
    pub canonical: String,
    /// Its URL.
    pub url: String,
    /// The type it constrains.
    pub ty: String,
    /// Whether it is on an extension that changes the meaning of what holds it.
    pub is_modifier: bool,
    /// Where the extension may stand; anywhere where empty.
    pub contexts: Vec<Context>,
    /// Rules on the place of the extension.
    pub context_invariants: Vec<Arc<Invariant>>,
    checks: Vec<Check>,
    root: Option<CheckAt>,
}

/// Place of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckAt(u32);

/// What a profile asks of one element beyond R4.
#[derive(Debug, Default)]
pub struct Check {
    /// The element's name, without `[x]`.
    pub name: String,
    /// The element's id in the profile.
    pub id: String,
    /// Whether it is a choice of types.
    pub is_choice: bool,
    /// At least so many.
    pub min: u32,
    /// At most so many.
    pub max: u32,
    /// The types left, where there are fewer.
    pub types: Option<Vec<String>>,
    /// The only value.
    pub fixed: Option<Arc<Document>>,
    /// What it holds at least.
    pub pattern: Option<Arc<Document>>,
    /// Limits of the value.
    pub limits: Option<Box<ValueLimits>>,
    /// A value set.
    pub binding: Option<Binding>,
    /// Rules.
    pub invariants: Vec<Arc<Invariant>>,
    /// By type code: profiles, one of which holds.
    pub profiles: Vec<(String, Vec<String>)>,
    /// For references: what they may point to.
    pub targets: Option<Targets>,
    /// What is asked of its children.
    pub kids: Vec<CheckAt>,
    /// How its repetitions are told apart.
    pub slicing: Option<Box<SlicingCheck>>,
}

/// Limits of a primitive or a quantity.
#[derive(Debug, Default)]
pub struct ValueLimits {
    /// Most characters.
    pub max_length: Option<u32>,
    /// The smallest value.
    pub min: Option<Literal>,
    /// The largest value.
    pub max: Option<Literal>,
    /// What the whole text matches.
    pub regex: Option<regex::Regex>,
}

/// What a reference may point to.
#[derive(Debug, Default)]
pub struct Targets {
    /// Profile and the type it is on; any where empty.
    pub profiles: Vec<(String, String)>,
    /// How the target travels; anyhow where empty.
    pub aggregation: Vec<Aggregation>,
}

/// Slices of an element.
#[derive(Debug)]
pub struct SlicingCheck {
    /// Whether there may be others.
    pub rules: SlicingRules,
    /// Whether they come in order.
    pub ordered: bool,
    /// How each discriminator finds what it looks at.
    pub discriminators: Vec<(DiscriminatorKind, Vec<Step>)>,
    /// The slices.
    pub slices: Vec<SliceCheck>,
}

/// A slice.
#[derive(Debug)]
pub struct SliceCheck {
    /// Its name.
    pub name: String,
    /// For each discriminator what it is in this slice; none where the profile does not say.
    pub criteria: Vec<Option<Criterion>>,
    /// What is asked of it.
    pub check: Option<CheckAt>,
}

impl Profile {
    /// What is asked of the whole.
    #[must_use]
    pub fn root(&self) -> Option<&Check> {
        self.check(self.root?)
    }

    /// A check by its place.
    #[must_use]
    pub fn check(&self, at: CheckAt) -> Option<&Check> {
        self.checks.get(at.0 as usize)
    }

    /// How many elements something is asked of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.checks.len()
    }

    /// Whether it asks nothing beyond its type.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }
}
