//! Equality (`=`, three-valued), equivalence (`~`), and distinct items. Complex nodes compare by their JSON:
//! order of members does not matter, decimals by value.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use fhir::json::{Kind, Value};

use super::Evaluator;
use super::operators::as_decimal;
use crate::collection::Collection;
use crate::error::EvaluationError;
use crate::item::{Item, decimal};
use crate::quantity::{Quantity, same_to_lesser_precision};

impl<'a> Evaluator<'_, 'a> {
    /// Equality of collections: same length, equal pairwise; none where a side is empty or a pair unknown.
    pub(crate) fn equal(
        &mut self,
        left: &Collection<'a>,
        right: &Collection<'a>,
    ) -> Result<Option<bool>, EvaluationError> {
        if left.is_empty() || right.is_empty() {
            return Ok(None);
        }
        if left.len() != right.len() {
            return Ok(Some(false));
        }
        self.charge(left.len() as u64)?;
        let mut known = Some(true);
        for (a, b) in left.iter().zip(right) {
            match equal_items(a, b) {
                Some(true) => {}
                Some(false) => return Ok(Some(false)),
                None => known = None,
            }
        }
        Ok(known)
    }

    /// Equivalence of collections: the same items in any order.
    pub(crate) fn equivalent(
        &mut self,
        left: &Collection<'a>,
        right: &Collection<'a>,
    ) -> Result<bool, EvaluationError> {
        if left.len() != right.len() {
            return Ok(false);
        }
        let mut rest: Vec<&Item<'a>> = right.iter().collect();
        for item in left {
            self.charge(rest.len() as u64)?;
            match rest.iter().position(|other| equivalent_items(item, other)) {
                Some(at) => rest.swap_remove(at),
                None => return Ok(false),
            };
        }
        Ok(true)
    }
}

/// Whether two items are equal; none where it is not known.
pub(crate) fn equal_items(a: &Item<'_>, b: &Item<'_>) -> Option<bool> {
    if let (Item::Node(a), Item::Node(b)) = (a, b)
        && !a.is_primitive()
        && !b.is_primitive()
        && a.ty().name() != "Quantity"
    {
        return Some(match (a.value(), b.value()) {
            (Some(a), Some(b)) => equal_json(a, b),
            (None, None) => a.ty() == b.ty(),
            _ => false,
        });
    }
    match (a.system(), b.system()) {
        (Some(a), Some(b)) => equal_values(&a, &b),
        // Primitives without a value: equal only by what stands beside them.
        (None, None) => Some(equal_beside(a, b)),
        _ => Some(false),
    }
}

fn equal_beside(a: &Item<'_>, b: &Item<'_>) -> bool {
    let raw = |item: &Item<'_>| {
        let node = item.as_node()?;
        let value = node.value().or(node.beside())?;
        Some(value.raw().to_vec())
    };
    raw(a) == raw(b)
}

fn equal_values(a: &Item<'_>, b: &Item<'_>) -> Option<bool> {
    match (a, b) {
        (Item::Boolean(a), Item::Boolean(b)) => Some(a == b),
        (Item::String(a), Item::String(b)) => Some(a == b),
        (Item::Temporal(a), Item::Temporal(b)) => a.equals(b),
        (Item::Quantity(a), Item::Quantity(b)) => a.equals(b),
        (Item::Quantity(a), b) => match as_decimal(b) {
            Some(b) => a.equals(&Quantity::number(b)),
            None => Some(false),
        },
        (a, Item::Quantity(b)) => match as_decimal(a) {
            Some(a) => Quantity::number(a).equals(b),
            None => Some(false),
        },
        (Item::Type(a), Item::Type(b)) => Some(a == b),
        _ => Some(match (as_decimal(a), as_decimal(b)) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        }),
    }
}

/// Structural equality of two values.
fn equal_json(a: Value<'_>, b: Value<'_>) -> bool {
    if a.raw() == b.raw() {
        return true;
    }
    if a.kind() != b.kind() || a.len() != b.len() {
        return false;
    }
    match a.kind() {
        Kind::Object => a
            .members()
            .all(|(key, value)| b.get(&key).is_some_and(|other| equal_json(value, other))),
        Kind::Array => a.items().zip(b.items()).all(|(a, b)| equal_json(a, b)),
        Kind::String => a.as_str() == b.as_str(),
        Kind::Number => match (number(a), number(b)) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        },
        _ => false,
    }
}

fn number(value: Value<'_>) -> Option<rust_decimal::Decimal> {
    decimal(value.number_text()?)
}

/// Whether two items are equivalent.
pub(crate) fn equivalent_items(a: &Item<'_>, b: &Item<'_>) -> bool {
    if let (Item::Node(a), Item::Node(b)) = (a, b)
        && !a.is_primitive()
        && !b.is_primitive()
        && a.ty().name() != "Quantity"
    {
        return match (a.value(), b.value()) {
            (Some(a), Some(b)) => equivalent_json(a, b),
            (None, None) => a.ty() == b.ty(),
            _ => false,
        };
    }
    match (a.system(), b.system()) {
        (Some(a), Some(b)) => equivalent_values(&a, &b),
        (None, None) => equal_beside(a, b),
        _ => false,
    }
}

fn equivalent_values(a: &Item<'_>, b: &Item<'_>) -> bool {
    match (a, b) {
        (Item::String(a), Item::String(b)) => same_words(a, b),
        (Item::Temporal(a), Item::Temporal(b)) => a.equivalent(b),
        (Item::Quantity(a), Item::Quantity(b)) => a.equivalent(b),
        (Item::Quantity(a), b) => as_decimal(b).is_some_and(|b| a.equivalent(&Quantity::number(b))),
        (a, Item::Quantity(b)) => as_decimal(a).is_some_and(|a| Quantity::number(a).equivalent(b)),
        (Item::Integer(a), Item::Integer(b)) => a == b,
        _ => match (as_decimal(a), as_decimal(b)) {
            (Some(a), Some(b)) => same_to_lesser_precision(a, b),
            _ => equal_values(a, b) == Some(true),
        },
    }
}

/// Strings without regard to case and kinds of white space.
fn same_words(a: &str, b: &str) -> bool {
    let folded = |text: &str| -> String {
        text.chars()
            .map(|char| if char.is_whitespace() { ' ' } else { char })
            .flat_map(char::to_lowercase)
            .collect()
    };
    a == b || folded(a) == folded(b)
}

fn equivalent_json(a: Value<'_>, b: Value<'_>) -> bool {
    if a.raw() == b.raw() {
        return true;
    }
    if a.kind() != b.kind() || a.len() != b.len() {
        return false;
    }
    match a.kind() {
        Kind::Object => a.members().all(|(key, value)| {
            b.get(&key)
                .is_some_and(|other| equivalent_json(value, other))
        }),
        Kind::Array => {
            let mut rest: Vec<Value<'_>> = b.items().collect();
            a.items().all(|item| {
                let at = rest.iter().position(|other| equivalent_json(item, *other));
                at.map(|at| rest.swap_remove(at)).is_some()
            })
        }
        Kind::String => match (a.as_str(), b.as_str()) {
            (Some(a), Some(b)) => same_words(&a, &b),
            _ => false,
        },
        Kind::Number => match (number(a), number(b)) {
            (Some(a), Some(b)) => same_to_lesser_precision(a, b),
            _ => false,
        },
        _ => false,
    }
}

/// Collects items that are not equal to one already there. Strings and numbers are found by hash, so that
/// large collections cost no square of their size.
#[derive(Default)]
pub(crate) struct Distinct<'a> {
    items: Collection<'a>,
    places: HashMap<u64, Vec<usize>>,
}

/// Below this many items a scan is cheaper than a table.
const SCAN: usize = 8;

impl<'a> Distinct<'a> {
    /// Adds an item; whether it was new.
    pub(crate) fn add(
        &mut self,
        evaluator: &mut Evaluator<'_, 'a>,
        item: &Item<'a>,
    ) -> Result<bool, EvaluationError> {
        if self.items.len() < SCAN {
            evaluator.charge(1)?;
            let known = self
                .items
                .iter()
                .any(|known| equal_items(known, item) == Some(true));
            if !known {
                self.items.push(item.clone());
            }
            return Ok(!known);
        }
        if self.places.is_empty() {
            for (at, item) in self.items.iter().enumerate() {
                self.places.entry(bucket(item)).or_default().push(at);
            }
        }
        let places = self.places.entry(bucket(item)).or_default();
        evaluator.charge(places.len() as u64 + 1)?;
        let items = &self.items;
        let known = places.iter().any(|at| {
            items
                .get(*at)
                .is_some_and(|known| equal_items(known, item) == Some(true))
        });
        if !known {
            places.push(self.items.len());
            self.items.push(item.clone());
        }
        Ok(!known)
    }

    pub(crate) fn into_items(self) -> Collection<'a> {
        self.items
    }
}

/// The same number for equal items; the reverse need not hold.
fn bucket(item: &Item<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match item.system() {
        Some(Item::String(text)) => text.hash(&mut hasher),
        Some(number @ (Item::Integer(_) | Item::Decimal(_))) => {
            as_decimal(&number)
                .map(|value| value.normalize())
                .hash(&mut hasher);
        }
        Some(Item::Boolean(value)) => value.hash(&mut hasher),
        Some(_) => 1_u8.hash(&mut hasher),
        None => {
            let value = item.as_node().and_then(crate::item::Node::value);
            value.map(Value::len).hash(&mut hasher);
        }
    }
    hasher.finish()
}
