//! The packs that a device can tell apart without a network: the products that share an ingredient with what
//! a round gives, by their numbers, and how each stands to an order. Must not guess: a number that is not
//! among them says nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::administration::PackState;
use crate::content::{Article, Substance};
use crate::dictionary::pack::{Recall, stands};
use crate::dictionary::{Dictionary, Product};
use crate::knowledge::DrugKnowledge;

/// The most numbers that a round takes along; what is beyond them is not verified on the device.
pub const MOST_NUMBERS: usize = 20_000;

/// A product by the numbers of its packs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DevicePack {
    /// Its name.
    pub name: String,
    /// 14 digits each.
    pub gtins: Vec<String>,
}

/// What a device can tell apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct DevicePacks {
    /// The products.
    pub products: Vec<DevicePack>,
    /// What was called back.
    pub recalls: Vec<Recall>,
}

/// The products of a round.
#[derive(Debug)]
pub struct Packs<'d> {
    found: Vec<&'d Product>,
}

impl<'d> Packs<'d> {
    /// The products that have a number of their own and hold an ingredient of one of these articles, or
    /// have its name; no more than have [`MOST_NUMBERS`].
    #[must_use]
    pub fn of<'a>(
        dictionary: &'d Dictionary,
        articles: impl Iterator<Item = &'a Article>,
        knowledge: &dyn DrugKnowledge,
    ) -> Self {
        let (mut known, mut names) = (BTreeSet::new(), BTreeSet::new());
        for article in articles {
            names.insert(article.name.trim().to_lowercase());
            let parts = article.ingredients.iter();
            known.extend(parts.map(|own| own.substance.clone()));
        }
        let wanted = |own: &Product| {
            let mut parts = own.components.iter();
            parts.any(|part| known.contains(&Substance::named(&part.name, knowledge)))
                || names.contains(&own.name.trim().to_lowercase())
        };
        let mut room = MOST_NUMBERS;
        let found = dictionary.all().filter(|own| {
            let numbers = numbers(dictionary, own).len();
            if numbers == 0 || numbers > room || !wanted(own) {
                return false;
            }
            room -= numbers;
            true
        });
        Self {
            found: found.collect(),
        }
    }

    /// As a device takes it along.
    #[must_use]
    pub fn device(&self, dictionary: &Dictionary, recalls: &[Recall]) -> DevicePacks {
        let products = self.found.iter().map(|own| DevicePack {
            name: own.name.clone(),
            gtins: numbers(dictionary, own),
        });
        DevicePacks {
            products: products.collect(),
            recalls: recalls.to_vec(),
        }
    }

    /// How each product stands to what was ordered, by its place; those that are another medicine are left
    /// out.
    #[must_use]
    pub fn states(
        &self,
        ordered: &Article,
        knowledge: &dyn DrugKnowledge,
    ) -> BTreeMap<usize, &'static str> {
        let all = self.found.iter().enumerate();
        let states = all.map(|(place, own)| (place, stands(ordered, own, knowledge)));
        states
            .filter(|(_, state)| *state != PackState::Other)
            .map(|(place, state)| (place, state.code()))
            .collect()
    }
}

/// The numbers that find this product and no other.
fn numbers(dictionary: &Dictionary, own: &Product) -> Vec<String> {
    let all = own.gtins.iter();
    all.filter(|gtin| {
        let found = dictionary.by_gtin(**gtin);
        found.is_some_and(|found| core::ptr::eq(found, own))
    })
    .map(|gtin| gtin.digits())
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dictionary::built_in;
    use crate::knowledge::builtin;

    #[test]
    fn a_round_takes_along_what_may_be_mixed_up() {
        let known = builtin::built_in().unwrap();
        let list = built_in(known).unwrap();
        let article = |name: &str| Article::of(list.by_name(name).unwrap(), known);
        let ordered = article("Paracetamol 500mg tablet");
        let packs = Packs::of(&list, [&ordered].into_iter(), known);
        let device = packs.device(&list, &[]);
        let place = |name: &str| device.products.iter().position(|own| own.name == name);
        let states = packs.states(&ordered, known);
        let at = |name: &str| states.get(&place(name).unwrap()).copied();
        assert_eq!(at("Paracetamol 500mg tablet"), Some("fits"));
        // It shares an ingredient and is another medicine.
        assert_eq!(at("Co-codamol 500mg/8mg tablet"), None);
        assert_eq!(place("Ibuprofen 400mg tablet"), None);
        let gtins = device.products.iter().flat_map(|own| &own.gtins);
        assert!(gtins.clone().count() > 0 && gtins.clone().all(|own| own.len() == 14));
    }
}
