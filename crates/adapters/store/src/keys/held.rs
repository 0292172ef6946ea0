//! Open data keys at hand, by sixteen random or keyed-hash bytes, asked for with every look: stripes of two
//! halves. What is found in the older half moves to the newer; when that is full it becomes the older one,
//! and what nobody asked for since is dropped. Must not outlive an erasure: [`Held::remove`] is exact.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use parking_lot::RwLock;

use super::Dek;

const STRIPES: usize = 16;

/// Sixteen bytes that nobody outside can choose: they are their own hash.
#[derive(Default)]
struct Own(u64);

impl Hasher for Own {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64 ^ (value >> 64) as u64;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

type Half = HashMap<u128, Arc<Dek>, BuildHasherDefault<Own>>;

#[derive(Default)]
struct Stripe {
    newer: Half,
    older: Half,
}

pub(super) struct Held {
    stripes: [RwLock<Stripe>; STRIPES],
    /// Keys of a half.
    limit: usize,
}

impl Held {
    /// Holds at most so many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            stripes: std::array::from_fn(|_| RwLock::default()),
            limit: (most / STRIPES / 2).max(1),
        }
    }

    pub(super) fn get(&self, name: &[u8; 16]) -> Option<Arc<Dek>> {
        let (stripe, name) = self.stripe(name);
        let held = stripe.read();
        if let Some(dek) = held.newer.get(&name) {
            return Some(Arc::clone(dek));
        }
        if !held.older.contains_key(&name) {
            return None;
        }
        drop(held);
        let mut held = stripe.write();
        // It may have been removed between the two locks.
        let dek = held.older.remove(&name)?;
        held.put(name, Arc::clone(&dek), self.limit);
        Some(dek)
    }

    pub(super) fn insert(&self, name: [u8; 16], dek: Arc<Dek>) {
        let (stripe, name) = self.stripe(&name);
        stripe.write().put(name, dek, self.limit);
    }

    pub(super) fn remove(&self, name: &[u8; 16]) {
        let (stripe, name) = self.stripe(name);
        let mut stripe = stripe.write();
        stripe.newer.remove(&name);
        stripe.older.remove(&name);
    }

    fn stripe(&self, name: &[u8; 16]) -> (&RwLock<Stripe>, u128) {
        let name = u128::from_le_bytes(*name);
        // Other bits than those a half's table uses.
        let place = (name >> 24) as usize % STRIPES;
        let stripe = self.stripes.get(place).unwrap_or(&self.stripes[0]);
        (stripe, name)
    }
}

impl Stripe {
    fn put(&mut self, name: u128, dek: Arc<Dek>, limit: usize) {
        if self.newer.len() >= limit && !self.newer.contains_key(&name) {
            self.older = core::mem::take(&mut self.newer);
        }
        // One name is in one half: removing it from there removes it.
        self.older.remove(&name);
        self.newer.insert(name, dek);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u128) -> [u8; 16] {
        (number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_le_bytes()
    }

    fn dek(number: u128) -> Arc<Dek> {
        Arc::new(Dek::new(name(number), &[7; 32]))
    }

    #[test]
    fn what_is_asked_for_stays_and_no_more_than_the_limit_is_held() {
        let held = Held::new(STRIPES * 2 * 10);
        for number in 0..2000 {
            held.insert(name(number), dek(number));
            assert_eq!(held.get(&name(number)).unwrap().kid(), name(number));
            // Asked for again and again.
            assert!(held.get(&name(0)).is_some(), "{number}");
        }
        let left = (0..2000).filter(|number| held.get(&name(*number)).is_some());
        let left = left.count();
        assert!((10..=STRIPES * 2 * 10).contains(&left), "{left}");
    }

    #[test]
    fn what_is_removed_is_gone_from_both_halves() {
        let held = Held::new(STRIPES * 2 * 2);
        for number in 0..64 {
            held.insert(name(number), dek(number));
        }
        for number in 0..64 {
            held.remove(&name(number));
            assert!(held.get(&name(number)).is_none());
        }
        let stripes = held.stripes.iter();
        assert!(
            stripes
                .map(|s| s.read().newer.len() + s.read().older.len())
                .sum::<usize>()
                == 0
        );
    }
}
