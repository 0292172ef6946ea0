//! What is known of medicines: ingredients, sets of them, and rules, from our own sources or another's.
//! Must not judge a patient (that is `checks`), nor fetch: an answer from elsewhere is passed in.

pub mod builtin;
pub(crate) mod condition;
mod read;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub use condition::{Condition, Fact, Facts, Hepatic, Pregnancy};
pub use read::KnowledgeError;
use rust_decimal::Decimal;

use crate::quantity::Quantity;

/// An ingredient: its place in the release that numbers it. Persist its key instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IngredientId(pub u16);

/// An ingredient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingredient {
    /// Stable key.
    pub key: String,
    /// Name for people, then other names, in lower case.
    pub names: Vec<String>,
    /// ATC codes; empty where none is stated.
    pub atc: Vec<String>,
    /// RxNorm code, where it is certain.
    pub rxnorm: Option<String>,
    /// SNOMED CT substance code, where it is certain.
    pub snomed: Option<String>,
}

/// How loudly a finding speaks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Stands in the list.
    Low,
    /// Shown beside the line.
    Moderate,
    /// Interrupts; going on needs a coded reason.
    High,
    /// Going on needs a second person.
    Contraindicated,
}

impl Tier {
    /// Whether it stops the person who prescribes, dispenses or gives.
    #[must_use]
    pub const fn interrupts(self) -> bool {
        matches!(self, Self::High | Self::Contraindicated)
    }
}

/// What a rule is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Medicines that do not go together.
    Interaction,
    /// A medicine against a known allergy.
    Allergy,
    /// A pair known not to cross-react.
    Clear,
    /// The same ingredient or class twice.
    Duplicate,
    /// A dose above a maximum.
    Dose,
    /// A medicine against a fact of the patient.
    Caution,
    /// A route that harms.
    Route,
}

/// What a rule rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// A regulator's label or safety notice.
    Label,
    /// Observational studies.
    Observational,
    /// Reports of cases.
    CaseReports,
    /// Known pharmacology alone.
    Mechanism,
    /// The source does not say.
    Unstated,
}

/// Where a rule comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Release {
    /// Name of the source.
    pub source: String,
    /// Version of it.
    pub version: String,
    /// Day from which it holds, ISO.
    pub effective: String,
    /// Terms of its use.
    pub licence: String,
    /// SHA-256 over its content, hexadecimal.
    pub sha256: String,
}

/// A rule: what is shown, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Stable id within the source.
    pub id: String,
    /// What it is about.
    pub kind: Kind,
    /// How loudly it speaks, before demotions.
    pub tier: Tier,
    /// What may happen.
    pub effect: String,
    /// Why.
    pub mechanism: String,
    /// What to do.
    pub management: String,
    /// What it rests on.
    pub evidence: Evidence,
    /// Sources of the fact.
    pub citations: Vec<String>,
    /// Number in the list of fifteen high-priority interactions, if it is one.
    pub high_priority: Option<u8>,
    /// Minutes to leave between the two, where time solves it.
    pub separate_minutes: Option<u16>,
    /// Whether it also holds for medicines applied where little is absorbed.
    pub any_route: bool,
    /// The release that states it.
    pub release: Arc<Release>,
}

/// A set of ingredients, one bit each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Set(Vec<u64>);

impl Set {
    pub(crate) fn insert(&mut self, id: IngredientId) {
        let word = usize::from(id.0) / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(bits) = self.0.get_mut(word) {
            *bits |= 1 << (id.0 % 64);
        }
    }
    pub(crate) fn remove(&mut self, id: IngredientId) {
        if let Some(bits) = self.0.get_mut(usize::from(id.0) / 64) {
            *bits &= !(1 << (id.0 % 64));
        }
    }
    /// Whether the ingredient is in it.
    #[must_use]
    pub fn contains(&self, id: IngredientId) -> bool {
        self.0
            .get(usize::from(id.0) / 64)
            .is_some_and(|bits| bits >> (id.0 % 64) & 1 == 1)
    }
    /// Its members in order.
    pub fn iter(&self) -> impl Iterator<Item = IngredientId> + '_ {
        let all = (self.0.len() * 64).min(usize::from(u16::MAX)) as u16;
        (0..all).map(IngredientId).filter(|id| self.contains(*id))
    }
}

/// A named set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Stable key.
    pub key: String,
    /// Whether two members at once are a duplication.
    pub duplicate: bool,
    /// Members.
    pub members: Set,
}

/// An amount of an ingredient: a mass, or units of activity where it is dosed in these. The two never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measured {
    /// Milligrams.
    Milligrams(Decimal),
    /// International units.
    Units(Decimal),
}

impl From<Decimal> for Measured {
    fn from(milligrams: Decimal) -> Self {
        Self::Milligrams(milligrams)
    }
}

impl Measured {
    /// An amount in milligrams or international units; none in another unit.
    #[must_use]
    pub fn of(amount: &Quantity) -> Option<Self> {
        let usual = crate::content::usual(amount);
        match usual.unit.ucum_code()? {
            "mg" => Some(Self::Milligrams(usual.value.value())),
            "[iU]" => Some(Self::Units(usual.value.value())),
            _ => None,
        }
    }
    /// As a quantity.
    #[must_use]
    pub fn quantity(self) -> Quantity {
        match self {
            Self::Milligrams(value) => Quantity::ucum(value, "mg"),
            Self::Units(value) => Quantity::ucum(value, "[iU]"),
        }
    }
    /// The sum; none for two kinds, and beyond 28 digits.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Milligrams(a), Self::Milligrams(b)) => a.checked_add(b).map(Self::Milligrams),
            (Self::Units(a), Self::Units(b)) => a.checked_add(b).map(Self::Units),
            _ => None,
        }
    }
    /// So many times it; none beyond 28 digits.
    #[must_use]
    pub fn times(self, count: Decimal) -> Option<Self> {
        match self {
            Self::Milligrams(value) => value.checked_mul(count).map(Self::Milligrams),
            Self::Units(value) => value.checked_mul(count).map(Self::Units),
        }
    }
    /// Whether it is more; none for two kinds.
    #[must_use]
    pub fn exceeds(self, other: Self) -> Option<bool> {
        match (self, other) {
            (Self::Milligrams(a), Self::Milligrams(b)) | (Self::Units(a), Self::Units(b)) => {
                Some(a > b)
            }
            _ => None,
        }
    }
}

/// A maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maximum {
    /// How much, or how much for each kilogram.
    pub most: Measured,
    /// Whether it is for each kilogram of body weight.
    pub per_kilogram: bool,
}

/// What a rule compares.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub rule: Arc<Rule>,
    /// `between`, `from`, `of`.
    pub first: Set,
    /// `and`, `to`.
    pub second: Set,
    /// `also`.
    pub third: Option<Set>,
    pub conditions: Vec<Condition>,
    pub routes: Vec<String>,
    pub single: Option<Maximum>,
    pub daily: Option<Maximum>,
    /// The least time between two doses, in minutes.
    pub apart_minutes: Option<u32>,
}

/// Bits by rule, for one ingredient.
pub(crate) type RuleBits = [u64; RULE_WORDS];
/// Room for this many times 64 interaction rules.
pub(crate) const RULE_WORDS: usize = 4;

/// A source that is held whole in memory, compiled for checking.
#[derive(Debug)]
pub struct Knowledge {
    pub(crate) release: Arc<Release>,
    pub(crate) ingredients: Vec<Ingredient>,
    pub(crate) classes: Vec<Class>,
    pub(crate) interactions: Vec<Body>,
    pub(crate) triples: Vec<Body>,
    pub(crate) first_bits: Vec<RuleBits>,
    pub(crate) second_bits: Vec<RuleBits>,
    pub(crate) demoted_first: Vec<u64>,
    pub(crate) demoted_second: Vec<u64>,
    pub(crate) allergies: Vec<Body>,
    pub(crate) clears: Vec<Body>,
    pub(crate) by_ingredient: Vec<Vec<u16>>,
    pub(crate) patient: Vec<Body>,
    pub(crate) duplicate_ingredient: Option<Arc<Rule>>,
    pub(crate) duplicate_class: Option<Arc<Rule>>,
    pub(crate) duplicate_bits: Vec<u128>,
    pub(crate) names: HashMap<String, IngredientId>,
    pub(crate) keys: BTreeMap<String, usize>,
}

/// A source of knowledge. The built-in one answers at once; what another answers is asked for by an
/// adapter and passed to `checks::merge` in the same shape.
pub trait DrugKnowledge: Send + Sync {
    /// What is being answered from.
    fn release(&self) -> &Arc<Release>;
    /// The ingredient of a name in any case, if it is known.
    fn ingredient(&self, name: &str) -> Option<IngredientId>;
    /// The ingredient of a code: system `rxnorm`, `snomed` or `atc`.
    fn ingredient_by_code(&self, system: &str, code: &str) -> Option<IngredientId>;
    /// The name for people of an ingredient.
    fn name(&self, id: IngredientId) -> Option<&str>;
}

impl DrugKnowledge for Knowledge {
    fn release(&self) -> &Arc<Release> {
        &self.release
    }
    fn ingredient(&self, name: &str) -> Option<IngredientId> {
        let folded = name.trim().to_lowercase().replace(['-', '_'], " ");
        self.names.get(&folded).copied()
    }
    fn ingredient_by_code(&self, system: &str, code: &str) -> Option<IngredientId> {
        let mut found = self
            .ingredients
            .iter()
            .enumerate()
            .filter(|(_, one)| match system {
                "rxnorm" => one.rxnorm.as_deref() == Some(code),
                "snomed" => one.snomed.as_deref() == Some(code),
                "atc" => one.atc.iter().any(|own| own == code),
                _ => false,
            });
        let first = found.next()?;
        // A code of two ingredients names neither.
        found
            .next()
            .is_none()
            .then_some(IngredientId(first.0 as u16))
    }
    fn name(&self, id: IngredientId) -> Option<&str> {
        let one = self.ingredients.get(usize::from(id.0))?;
        one.names.first().map(String::as_str)
    }
}

impl Knowledge {
    /// Every ingredient, in the order of its id.
    pub fn ingredients(&self) -> impl Iterator<Item = (IngredientId, &Ingredient)> {
        (0..).map(IngredientId).zip(&self.ingredients)
    }
    /// A set by its key.
    #[must_use]
    pub fn class(&self, key: &str) -> Option<&Class> {
        self.classes.get(*self.keys.get(key)?)
    }
    /// Every rule.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        let bodies = [
            &self.interactions,
            &self.triples,
            &self.allergies,
            &self.clears,
            &self.patient,
        ];
        let duplicates = [&self.duplicate_ingredient, &self.duplicate_class];
        bodies
            .into_iter()
            .flatten()
            .map(|body| &body.rule)
            .chain(duplicates.into_iter().flatten())
    }
    /// The sets of an interaction, allergy or clearing rule.
    #[must_use]
    pub fn sides(&self, rule: &str) -> Option<(&Set, &Set)> {
        [
            &self.interactions,
            &self.triples,
            &self.allergies,
            &self.clears,
        ]
        .into_iter()
        .flatten()
        .find(|body| body.rule.id == rule)
        .map(|body| (&body.first, &body.second))
    }
    /// Numbers of the demotions that hold for a pair, in either order, as bits.
    #[must_use]
    pub fn demotions(&self, a: IngredientId, b: IngredientId) -> u64 {
        let bits =
            |list: &[u64], id: IngredientId| list.get(usize::from(id.0)).copied().unwrap_or(0);
        (bits(&self.demoted_first, a) & bits(&self.demoted_second, b))
            | (bits(&self.demoted_first, b) & bits(&self.demoted_second, a))
    }
}

#[cfg(test)]
mod tests;
