//! The counters of the writers of one log: which are there, twice or missing. Must not assume their order:
//! concurrent writers may be sequenced in another one.

use std::collections::HashMap;

use uuid::Uuid;

use crate::leaf::Gap;

/// Counters that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    from: u64,
    to: u64,
    /// Index of the entry that began it.
    index: u64,
}

/// A stretch of counters that no entry has and no leaf explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Missing {
    pub writer: Uuid,
    pub from: u64,
    pub to: u64,
    /// Index of the first entry of the writer beyond it.
    pub index: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    runs: HashMap<Uuid, Vec<Run>>,
    explained: Vec<Gap>,
}

impl Counters {
    /// Notes an entry; false if the writer's counter was there before.
    pub fn note(&mut self, writer: Uuid, counter: u64, index: u64) -> bool {
        let runs = self.runs.entry(writer).or_default();
        if let Some(last) = runs.last_mut() {
            if last.to + 1 == counter {
                last.to = counter;
                return true;
            }
            if counter <= last.to {
                return insert(runs, counter, index);
            }
        }
        runs.push(Run {
            from: counter,
            to: counter,
            index,
        });
        true
    }
    /// A `discontinuity` leaf.
    pub fn explain(&mut self, gap: Gap) {
        self.explained.push(gap);
    }
    /// What is missing, by index.
    pub fn missing(&self) -> Vec<Missing> {
        let mut all = Vec::new();
        for (writer, runs) in &self.runs {
            let mut next = 1;
            for run in runs {
                if run.from > next {
                    let missing = Missing {
                        writer: *writer,
                        from: next,
                        to: run.from - 1,
                        index: run.index,
                    };
                    self.unexplained(missing, &mut all);
                }
                next = run.to + 1;
            }
        }
        all.sort_by_key(|missing| (missing.index, missing.writer));
        all
    }
    fn unexplained(&self, missing: Missing, into: &mut Vec<Missing>) {
        let mut gaps: Vec<&Gap> = self
            .explained
            .iter()
            .filter(|gap| gap.writer == missing.writer)
            .collect();
        gaps.sort_by_key(|gap| gap.from);
        let mut from = missing.from;
        for gap in gaps {
            if gap.from > from && gap.from <= missing.to {
                into.push(Missing {
                    from,
                    to: gap.from - 1,
                    ..missing
                });
            }
            if gap.from <= missing.to && gap.to >= from {
                from = gap.to + 1;
            }
        }
        if from <= missing.to {
            into.push(Missing { from, ..missing });
        }
    }
}

/// Puts a late counter between the runs; false if it is there already.
fn insert(runs: &mut Vec<Run>, counter: u64, index: u64) -> bool {
    let at = runs.partition_point(|run| run.to < counter);
    let joins_before = at
        .checked_sub(1)
        .and_then(|before| runs.get(before))
        .is_some_and(|run| run.to + 1 == counter);
    let Some(run) = runs.get_mut(at) else {
        return false;
    };
    if run.from <= counter {
        return false;
    }
    let joins_after = run.from == counter + 1;
    if joins_after && joins_before {
        let end = run.to;
        runs.remove(at);
        if let Some(before) = runs.get_mut(at - 1) {
            before.to = end;
        }
    } else if joins_after {
        run.from = counter;
    } else if joins_before {
        if let Some(before) = runs.get_mut(at - 1) {
            before.to = counter;
        }
    } else {
        runs.insert(
            at,
            Run {
                from: counter,
                to: counter,
                index,
            },
        );
    }
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn missing_of(counters: &Counters) -> Vec<(u64, u64)> {
        counters.missing().iter().map(|m| (m.from, m.to)).collect()
    }

    #[test]
    fn gaps_are_named_with_the_entry_beyond_them() {
        let mut counters = Counters::default();
        for (index, counter) in [(10, 1), (11, 2), (12, 6), (13, 9), (14, 7)] {
            assert!(counters.note(Uuid::nil(), counter, index));
        }
        assert!(!counters.note(Uuid::nil(), 7, 15), "twice");
        assert_eq!(missing_of(&counters), [(3, 5), (8, 8)]);
        assert_eq!(counters.missing()[0].index, 12);
        counters.explain(Gap {
            writer: Uuid::nil(),
            from: 4,
            to: 8,
        });
        assert_eq!(missing_of(&counters), [(3, 3)]);
        counters.explain(Gap {
            writer: Uuid::from_u128(1),
            from: 1,
            to: 9,
        });
        assert_eq!(
            missing_of(&counters),
            [(3, 3)],
            "another writer's explanation is none"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_order_of_counters_leaves_the_same_gaps(counters_in in proptest::collection::vec(1_u64..40, 0..60), gap in (1_u64..40, 1_u64..40)) {
            let mut counters = Counters::default();
            let mut seen = BTreeSet::new();
            for (index, counter) in counters_in.iter().enumerate() {
                assert_eq!(counters.note(Uuid::nil(), *counter, index as u64), seen.insert(*counter));
            }
            counters.explain(Gap { writer: Uuid::nil(), from: gap.0.min(gap.1), to: gap.0.max(gap.1) });
            let explained = gap.0.min(gap.1)..=gap.0.max(gap.1);
            let last = seen.last().copied().unwrap_or(0);
            let expected: Vec<u64> = (1..last).filter(|n| !seen.contains(n) && !explained.contains(n)).collect();
            let mut found: Vec<u64> = missing_of(&counters).iter().flat_map(|(from, to)| *from..=*to).collect();
            found.sort_unstable();
            assert_eq!(found, expected);
        }
    }
}
