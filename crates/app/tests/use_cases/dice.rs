//! Dice that fall the same way for the same seed, the types of the web, and what may happen between two pages
//! of a search.

use fhir::definitions::{Definitions, TypeId};

use crate::house::House;

pub fn ty(name: &str) -> TypeId {
    Definitions::r4().resource(name).unwrap()
}

/// The types of the web, each before what points to it.
pub const TYPES: &[&str] = &[
    "Organization",
    "Practitioner",
    "Patient",
    "Group",
    "Encounter",
    "Observation",
    "List",
    "Provenance",
];

pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.roll(from.len())]
    }
    pub fn maybe(&mut self) -> bool {
        self.roll(3) > 0
    }
}

/// Something between two pages.
#[async_trait::async_trait]
pub trait AsyncMeanwhile: Send {
    async fn happens(&mut self, house: &House);
}

/// Nothing.
pub struct Nothing;

#[async_trait::async_trait]
impl AsyncMeanwhile for Nothing {
    async fn happens(&mut self, _: &House) {}
}
