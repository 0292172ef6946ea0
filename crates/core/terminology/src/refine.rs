//! Refinements of expression constraints: whether a concept's relationships are as they ask, alone or
//! together in a group, so many times. Must not read text: [`crate::ecl`] does.

use core::cell::RefCell;
use core::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use crate::members::Members;
use crate::system::{CodeSystem, PropertyKind, Relation};

/// How often something must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Often {
    pub least: u32,
    /// `None` for as often as it likes.
    pub most: Option<u32>,
}

impl Often {
    /// What is meant where nothing is said.
    pub(crate) const ONCE: Self = Self {
        least: 1,
        most: None,
    };

    fn fits(self, count: usize) -> bool {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        count >= self.least && self.most.is_none_or(|most| count <= most)
    }
}

/// How two numbers or texts must compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Compare {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::More => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

/// What the value of an attribute must be.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// One of these concepts, or another one.
    Concept { among: Members, inside: bool },
    /// A number.
    Number(Compare, Number),
    /// A text.
    Text(Compare, String),
    /// True or false.
    Flag(Compare, bool),
}

/// One attribute with its value.
#[derive(Debug)]
pub(crate) struct Attribute {
    often: Often,
    /// By the number of a property, whether it is meant.
    properties: Vec<bool>,
    wanted: Wanted,
    /// What is known of values by their place in the pool: most are met again and again.
    known: RefCell<HashMap<u32, bool>>,
}

/// A refinement.
#[derive(Debug)]
pub(crate) enum Refinement {
    All(Vec<Self>),
    Any(Vec<Self>),
    Group(Often, Box<Self>),
    One(Attribute),
    /// What relationships of others point to, or do not.
    Pointed {
        at: Members,
        inside: bool,
    },
}

/// Which properties a set of concepts names.
pub(crate) fn named(system: &CodeSystem, names: &Members) -> Vec<bool> {
    let properties = system.properties().iter();
    properties
        .map(|one| {
            let at = system.find(&one.code);
            at.is_some_and(|at| names.contains(at))
        })
        .collect()
}

fn is_meant(properties: &[bool], relation: Relation) -> bool {
    let place = usize::from(relation.property);
    properties.get(place).copied().unwrap_or_default()
}

/// The concepts that the attributes of these concepts have as values.
pub(crate) fn values(system: &CodeSystem, of: &Members, properties: &[bool]) -> Members {
    let mut found = Members::none(system.len());
    for at in of.iter() {
        for relation in system.relations(at) {
            if relation.kind == PropertyKind::Code
                && is_meant(properties, relation)
                && let Some(value) = system.find(system.pooled(relation.text))
            {
                found.insert(value);
            }
        }
    }
    found
}

/// Whether any concept has a value of these properties that is no concept.
pub(crate) fn has_concrete(system: &CodeSystem, properties: &[bool]) -> bool {
    (0..u32::try_from(system.len()).unwrap_or(u32::MAX)).any(|at| {
        system
            .relations(at)
            .any(|relation| relation.kind != PropertyKind::Code && is_meant(properties, relation))
    })
}

/// Whether the groups of relationships are known.
pub(crate) fn has_groups(system: &CodeSystem) -> bool {
    (0..u32::try_from(system.len()).unwrap_or(u32::MAX))
        .any(|at| system.relations(at).any(|relation| relation.group != 0))
}

impl Attribute {
    pub(crate) fn new(often: Often, properties: Vec<bool>, wanted: Wanted) -> Self {
        Self {
            often,
            properties,
            wanted,
            known: RefCell::default(),
        }
    }

    fn is_met(&self, system: &CodeSystem, relation: Relation) -> bool {
        if !is_meant(&self.properties, relation) {
            return false;
        }
        // The same text can be a code of one relationship and a number of another.
        let is_concept = matches!(self.wanted, Wanted::Concept { .. });
        if is_concept != (relation.kind == PropertyKind::Code) {
            return false;
        }
        if let Some(known) = self.known.borrow().get(&relation.text) {
            return *known;
        }
        let met = self.compare(system, system.pooled(relation.text));
        self.known.borrow_mut().insert(relation.text, met);
        met
    }

    fn compare(&self, system: &CodeSystem, text: &str) -> bool {
        match &self.wanted {
            Wanted::Concept { among, inside } => {
                let at = system.find(text);
                at.is_some_and(|at| among.contains(at) == *inside)
            }
            Wanted::Number(how, number) => {
                let own = Number::read(text);
                own.is_some_and(|own| how.holds(own.order(number)))
            }
            Wanted::Text(how, wanted) => how.holds(text.cmp(wanted)),
            Wanted::Flag(how, wanted) => {
                how.holds(text.cmp(if *wanted { "true" } else { "false" }))
            }
        }
    }

    fn holds(&self, system: &CodeSystem, at: u32, group: Option<u8>) -> bool {
        let mut met = system.relations(at).filter(|relation| {
            group.is_none_or(|group| relation.group == group) && self.is_met(system, *relation)
        });
        if self.often == Often::ONCE {
            return met.next().is_some();
        }
        // One that stands in several groups is one.
        let met: BTreeSet<(u16, u32)> = met.map(|one| (one.property, one.text)).collect();
        self.often.fits(met.len())
    }
}

impl Refinement {
    /// Whether it holds for a concept; in one group of its relationships where given.
    pub(crate) fn holds(&self, system: &CodeSystem, at: u32, group: Option<u8>) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.holds(system, at, group)),
            Self::Any(any) => any.iter().any(|one| one.holds(system, at, group)),
            Self::One(attribute) => attribute.holds(system, at, group),
            Self::Pointed { at: these, inside } => these.contains(at) == *inside,
            Self::Group(often, inner) => {
                let groups: BTreeSet<u8> = system
                    .relations(at)
                    .map(|relation| relation.group)
                    .filter(|group| *group != 0)
                    .collect();
                let met = groups
                    .into_iter()
                    .filter(|group| inner.holds(system, at, Some(*group)));
                often.fits(met.count())
            }
        }
    }
}

/// A decimal number of any length, compared exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    negative: bool,
    /// Without zeros before the first other digit.
    whole: String,
    /// Without zeros after the last other digit.
    part: String,
}

impl Number {
    /// Reads `-12.50`; `None` for anything else.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix('#').unwrap_or(text);
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(part) {
            return None;
        }
        let whole = whole.trim_start_matches('0').to_owned();
        let part = part.trim_end_matches('0').to_owned();
        Some(Self {
            negative: sign && !(whole.is_empty() && part.is_empty()),
            whole,
            part,
        })
    }

    fn order(&self, other: &Self) -> Ordering {
        let size = |one: &Self, two: &Self| {
            let whole = one.whole.len().cmp(&two.whole.len());
            whole
                .then_with(|| one.whole.cmp(&two.whole))
                .then_with(|| one.part.cmp(&two.part))
        };
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => size(self, other),
            (true, true) => size(other, self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_exactly() {
        let ascending = [
            "-10", "-9.5", "-0.25", "0", "0.05", "0.5", "5", "12.49", "12.5", "100",
        ];
        for (a, one) in ascending.iter().enumerate() {
            for (b, other) in ascending.iter().enumerate() {
                let order = Number::read(one)
                    .unwrap()
                    .order(&Number::read(other).unwrap());
                assert_eq!(order, a.cmp(&b), "{one} {other}");
            }
        }
        let same = |a: &str, b: &str| assert_eq!(Number::read(a), Number::read(b), "{a} {b}");
        same("#250", "0250.00");
        same("-0", "0");
        for bad in ["", "-", "1e3", "1.2.3", "x", ".5"] {
            assert_eq!(Number::read(bad), None, "{bad}");
        }
    }
}
