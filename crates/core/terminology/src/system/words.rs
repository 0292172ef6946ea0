//! The words of a code system: which concepts have a word that starts so, best first. The best is the one
//! with the shortest display: what a whole phrase was typed for comes before what merely contains it.
//! Concepts are therefore numbered by rank here, and lists of them come out in order without sorting.

use std::collections::HashMap;

use fhir::search::fold;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::arena::{Rows, Texts};
use crate::members::Members;

/// The index. All lists hold ranks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// Folded, sorted.
    vocabulary: Texts,
    /// The ranks of the concepts with each word, ascending.
    postings: Rows<u32>,
    /// The concept at each rank.
    concepts: Vec<u32>,
}

/// The folded words of a text, in order.
pub(crate) fn words_of(text: &str) -> SmallVec<[String; 4]> {
    fold(text)
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether every wanted word starts a word of the texts.
pub(crate) fn matches<'t>(wanted: &[String], texts: impl IntoIterator<Item = &'t str>) -> bool {
    let mut left: SmallVec<[&String; 4]> = wanted.iter().collect();
    for text in texts {
        if left.is_empty() {
            break;
        }
        let folded = fold(text);
        for word in folded.split(|letter: char| !letter.is_alphanumeric()) {
            left.retain(|wanted| !word.starts_with(wanted.as_str()));
        }
    }
    left.is_empty()
}

impl Words {
    /// From the display and the other names of each concept.
    pub fn build<'t, Names>(count: usize, texts: impl Fn(u32) -> (&'t str, Names)) -> Self
    where
        Names: Iterator<Item = &'t str>,
    {
        let mut concepts: Vec<u32> = (0..count as u32).collect();
        concepts.sort_by_cached_key(|at| texts(*at).0.chars().count());
        let mut known: HashMap<String, u32> = HashMap::new();
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for (rank, at) in (0u32..).zip(&concepts) {
            let (display, others) = texts(*at);
            let mut own: SmallVec<[u32; 16]> = SmallVec::new();
            for text in core::iter::once(display).chain(others) {
                for word in words_of(text) {
                    let next = known.len() as u32;
                    own.push(*known.entry(word).or_insert(next));
                }
            }
            own.sort_unstable();
            own.dedup();
            pairs.extend(own.into_iter().map(|word| (word, rank)));
        }
        let mut sorted: Vec<(String, u32)> = known.into_iter().collect();
        sorted.sort_unstable();
        let mut place = vec![0u32; sorted.len()];
        let mut vocabulary = Texts::default();
        for (new, (word, old)) in (0u32..).zip(&sorted) {
            if let Some(slot) = place.get_mut(*old as usize) {
                *slot = new;
            }
            if vocabulary.push(word).is_err() {
                return Self::default();
            }
        }
        for pair in &mut pairs {
            pair.0 = place.get(pair.0 as usize).copied().unwrap_or_default();
        }
        vocabulary.shrink();
        Self {
            postings: Rows::gather(vocabulary.len(), &pairs).unwrap_or_default(),
            vocabulary,
            concepts,
        }
    }

    pub(crate) fn is_sound(&self, count: usize) -> bool {
        self.concepts.len() == count
            && self.concepts.iter().all(|at| (*at as usize) < count)
            && self.postings.len() == self.vocabulary.len()
            && self
                .postings
                .items()
                .iter()
                .all(|rank| (*rank as usize) < count)
    }

    /// The concepts that have, for every word of the filter, a word that starts with it: best first.
    #[must_use]
    pub fn search(&self, filter: &str) -> Found<'_> {
        let mut ranks: Option<Members> = None;
        for word in words_of(filter) {
            let low = self
                .vocabulary
                .partition_point(|known| known < word.as_str());
            let high = self
                .vocabulary
                .partition_point(|known| known < word.as_str() || known.starts_with(word.as_str()));
            let mut these = Members::none(self.concepts.len());
            for rank in self.postings.span(low..high) {
                these.insert(*rank);
            }
            match &mut ranks {
                Some(ranks) => ranks.keep(&these),
                None => ranks = Some(these),
            }
        }
        Found {
            words: self,
            ranks: ranks.unwrap_or_else(|| Members::none(self.concepts.len())),
        }
    }

    /// How many words there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.vocabulary.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.vocabulary.is_empty()
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.vocabulary.bytes() + self.postings.bytes() + 4 * self.concepts.capacity()
    }
}

/// What was found.
#[derive(Debug)]
pub struct Found<'a> {
    words: &'a Words,
    ranks: Members,
}

impl Found<'_> {
    /// The concepts, best first.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.ranks
            .iter()
            .filter_map(|rank| self.words.concepts.get(rank as usize).copied())
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranks.len()
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_by_their_beginning_best_first() {
        let names = [
            ("Acute viral fever (disorder)", vec!["Virusfieber"]),
            ("Fever", vec![]),
            ("Fièvre jaune", vec!["Yellow fever"]),
            ("Cough", vec!["fe-male"]),
        ];
        let words = Words::build(names.len(), |at| {
            let (display, others) = &names[at as usize];
            (*display, others.iter().copied())
        });
        let found = |filter: &str| words.search(filter).iter().collect::<Vec<_>>();
        assert_eq!(found("fever"), [1, 2, 0]);
        assert_eq!(found("FIEVRE"), [2]);
        assert_eq!(found("fev vir"), [0]);
        assert_eq!(found("vir fev"), [0]);
        assert_eq!(found("ever"), [] as [u32; 0]);
        assert_eq!(found("virusf"), [0]);
        assert_eq!(found("male"), [3]);
        assert_eq!(found("---"), [] as [u32; 0]);
        assert!(words.is_sound(4));
        assert!(!words.is_sound(3));
    }
}
