//! From a code to its number: an open hash table over the texts, made when a code system is loaded.

use xxhash_rust::xxh3::xxh3_64;

use crate::arena::Texts;

/// The table; a slot holds a number plus one, or 0.
#[derive(Debug)]
pub(super) struct CodeIndex {
    slots: Vec<u32>,
    mask: usize,
    exact: bool,
}

impl CodeIndex {
    pub(super) fn new(codes: &Texts, exact: bool) -> Self {
        let size = (codes.len() * 3 / 2 + 1).next_power_of_two();
        let mut index = Self {
            slots: vec![0; size],
            mask: size - 1,
            exact,
        };
        for at in 0..codes.len() as u32 {
            index.add(codes, at);
        }
        index
    }

    fn hash(&self, code: &str) -> usize {
        if self.exact {
            xxh3_64(code.as_bytes()) as usize
        } else {
            xxh3_64(code.to_lowercase().as_bytes()) as usize
        }
    }

    fn same(&self, a: &str, b: &str) -> bool {
        a == b || (!self.exact && a.to_lowercase() == b.to_lowercase())
    }

    fn add(&mut self, codes: &Texts, at: u32) {
        let code = codes.get(at);
        let mut place = self.hash(code) & self.mask;
        while let Some(slot) = self.slots.get(place).copied() {
            if slot == 0 {
                if let Some(slot) = self.slots.get_mut(place) {
                    *slot = at + 1;
                }
                return;
            }
            // A code that is there twice is found by its first place.
            if self.same(codes.get(slot - 1), code) {
                return;
            }
            place = (place + 1) & self.mask;
        }
    }

    pub(super) fn find(&self, codes: &Texts, code: &str) -> Option<u32> {
        let mut place = self.hash(code) & self.mask;
        loop {
            let slot = *self.slots.get(place)?;
            if slot == 0 {
                return None;
            }
            if self.same(codes.get(slot - 1), code) {
                return Some(slot - 1);
            }
            place = (place + 1) & self.mask;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        4 * self.slots.capacity()
    }
}
