//! Sets of concepts of one code system, by their numbers. Must not know codes.

use core::ops::Range;

/// A bit for each concept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    words: Vec<u64>,
    size: u32,
    count: u32,
}

impl Members {
    /// No concept of `size`.
    #[must_use]
    pub fn none(size: usize) -> Self {
        Self {
            words: vec![0; size.div_ceil(64)],
            size: size as u32,
            count: 0,
        }
    }

    /// Every concept of `size`.
    #[must_use]
    pub fn all(size: usize) -> Self {
        let mut members = Self::none(size);
        members.insert_range(0..size as u32);
        members
    }

    /// Those that satisfy a test.
    pub fn filtered(size: usize, test: impl Fn(u32) -> bool) -> Self {
        let mut members = Self::none(size);
        (0..size as u32).filter(|at| test(*at)).for_each(|at| {
            members.insert(at);
        });
        members
    }

    /// Adds a concept; `true` if it was not there.
    pub fn insert(&mut self, at: u32) -> bool {
        let Some(word) = self.words.get_mut(at as usize / 64) else {
            return false;
        };
        let bit = 1u64 << (at % 64);
        let new = at < self.size && *word & bit == 0;
        if new {
            *word |= bit;
            self.count += 1;
        }
        new
    }

    /// Takes a concept out.
    pub fn remove(&mut self, at: u32) {
        if let Some(word) = self.words.get_mut(at as usize / 64) {
            let bit = 1u64 << (at % 64);
            self.count -= u32::from(*word & bit != 0);
            *word &= !bit;
        }
    }

    /// Takes concepts out.
    pub fn remove_all(&mut self, these: &[u32]) {
        for at in these {
            self.remove(*at);
        }
    }

    /// Adds a range.
    pub fn insert_range(&mut self, range: Range<u32>) {
        let end = range.end.min(self.size);
        let mut at = range.start;
        while at < end {
            if at.is_multiple_of(64) && end - at >= 64 {
                if let Some(word) = self.words.get_mut(at as usize / 64) {
                    self.count += word.count_zeros();
                    *word = u64::MAX;
                }
                at += 64;
            } else {
                self.insert(at);
                at += 1;
            }
        }
    }

    /// Whether a concept is in it.
    #[must_use]
    pub fn contains(&self, at: u32) -> bool {
        self.words
            .get(at as usize / 64)
            .is_some_and(|word| word & (1u64 << (at % 64)) != 0)
    }

    /// How many are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether none is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn combine(&mut self, other: &Self, with: impl Fn(u64, u64) -> u64) {
        let mut count = 0;
        let others = other.words.iter().copied().chain(core::iter::repeat(0));
        for (word, other) in self.words.iter_mut().zip(others) {
            *word = with(*word, other);
            count += word.count_ones();
        }
        self.count = count;
    }

    /// Adds those of another set of the same code system.
    pub fn add(&mut self, other: &Self) {
        self.combine(other, |a, b| a | b);
    }

    /// Keeps those of another set as well.
    pub fn keep(&mut self, other: &Self) {
        self.combine(other, |a, b| a & b);
    }

    /// Takes those of another set out.
    pub fn take_out(&mut self, other: &Self) {
        self.combine(other, |a, b| a & !b);
    }

    /// In ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.words.iter().zip(0u32..).flat_map(|(word, place)| {
            let mut left = *word;
            core::iter::from_fn(move || {
                if left == 0 {
                    return None;
                }
                let bit = left.trailing_zeros();
                left &= left - 1;
                Some(place * 64 + bit)
            })
        })
    }

    /// The members from the one at place `skip` on, without walking those before one by one.
    pub fn iter_from(&self, skip: usize) -> impl Iterator<Item = u32> {
        let mut passed = 0;
        let mut from = self.words.len();
        for (place, word) in self.words.iter().enumerate() {
            let ones = word.count_ones() as usize;
            if passed + ones > skip {
                from = place;
                break;
            }
            passed += ones;
        }
        let rest = self.words.get(from..).unwrap_or_default();
        rest.iter()
            .zip(from as u32..)
            .flat_map(|(word, place)| {
                (0..64u32)
                    .filter(move |bit| word & (1 << bit) != 0)
                    .map(move |bit| place * 64 + bit)
            })
            .skip(skip - passed.min(skip))
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        8 * self.words.capacity()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sets_behave_like_sets(
            a in proptest::collection::btree_set(0u32..300, 0..80),
            range in (0u32..320, 0u32..320),
            skip in 0usize..90,
        ) {
            let mut members = Members::none(300);
            for at in &a { members.insert(*at); }
            prop_assert_eq!(members.iter().collect::<BTreeSet<_>>(), a.clone());
            prop_assert_eq!(
                members.iter_from(skip).collect::<Vec<_>>(),
                a.iter().copied().skip(skip).collect::<Vec<_>>()
            );
            let mut ranged = Members::none(300);
            ranged.insert_range(range.0..range.1);
            let expected: BTreeSet<u32> = (range.0..range.1.min(300)).collect();
            prop_assert_eq!(ranged.iter().collect::<BTreeSet<_>>(), expected.clone());
            prop_assert_eq!(ranged.len(), expected.len());
            let mut union = members.clone();
            union.add(&ranged);
            prop_assert_eq!(union.len(), a.union(&expected).count());
            let mut both = members.clone();
            both.keep(&ranged);
            prop_assert_eq!(both.iter().collect::<BTreeSet<_>>(), &a & &expected);
            let mut less = members.clone();
            less.take_out(&ranged);
            prop_assert_eq!(less.iter().collect::<BTreeSet<_>>(), &a - &expected);
            if let Some(first) = a.first() {
                members.remove(*first);
                prop_assert!(!members.contains(*first));
                prop_assert_eq!(members.len(), a.len() - 1);
            }
        }
    }
}
