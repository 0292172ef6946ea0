//! All records of a resident: which hold, which were corrected, what state a due dose is in. Records from
//! several devices meet here; the result is the same in whatever order they come. Must not drop one: two
//! that contradict each other are both kept and pointed out.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Categorised, Category, Timestamp};

use super::{Record, RecordError};
use crate::ids::{PrescriptionId, RecordId};
use crate::limits::History;
use crate::order::SlotKey;

/// Every record of a resident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    records: BTreeMap<RecordId, Record>,
    /// Records that came with an id that another one has.
    clashing: BTreeMap<Clash, Record>,
}

/// Two records with one id and different contents.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Clash {
    id: RecordId,
    /// The record in a stable text, by which clashes are ordered.
    text: String,
}

/// A record that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// The record.
    pub record: &'a Record,
    /// Whether another correction of the same record holds as well.
    pub contested: bool,
}

/// What state a due dose is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotState<'a> {
    /// Nothing is recorded.
    Open,
    /// One outcome, after corrections.
    Closed(&'a Record),
    /// Several records hold: the first by time stands, and somebody looks at the others. Where more than
    /// one was taken it is a possible double dose.
    Clash {
        /// The one that stands.
        first: &'a Record,
        /// The others.
        others: Vec<&'a Record>,
        /// Whether more than one was taken.
        double: bool,
    },
}

/// Why a record is not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It does not hold together.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The due dose has an outcome already.
    #[error("this due dose was recorded already as {outcome}: correct that record instead")]
    Closed {
        /// By which record.
        by: RecordId,
        /// Its outcome.
        outcome: &'static str,
    },
    /// What it corrects is not there.
    #[error("the record to correct is not there: read the chart again")]
    NothingToCorrect,
    /// What it corrects was corrected already.
    #[error("the record was corrected already: correct its correction")]
    CorrectedAlready,
    /// It corrects a record of another order.
    #[error("the record to correct is one of another order: correct it there")]
    OtherOrder,
    /// The id is taken by a different record.
    #[error("another record has this id: give it an id of its own")]
    IdTaken,
}

impl Categorised for Refused {
    fn category(&self) -> Category {
        match self {
            Self::Record(error) => error.category(),
            Self::NothingToCorrect => Category::NotFound,
            Self::OtherOrder => Category::Unprocessable,
            Self::Closed { .. } | Self::CorrectedAlready | Self::IdTaken => Category::Conflict,
        }
    }
}

impl Book {
    /// Takes records in, in any order; the same record twice is one.
    #[must_use]
    pub fn of(records: impl IntoIterator<Item = Record>) -> Self {
        let mut own = Self::default();
        for record in records {
            own.merge(record);
        }
        own
    }

    /// Takes in what was recorded elsewhere, whatever it is: it happened. Idempotent and commutative.
    pub fn merge(&mut self, record: Record) {
        let id = record.id.clone();
        match self.records.get(&id) {
            None => {
                self.records.insert(id, record);
            }
            Some(known) if *known == record => {}
            Some(known) => {
                // The same one stays whichever came first; the other is pointed out.
                let (ours, theirs) = (text(known), text(&record));
                if ours <= theirs {
                    self.clashing.insert(Clash { id, text: theirs }, record);
                } else if let Some(moved) = self.records.insert(id.clone(), record) {
                    self.clashing.insert(Clash { id, text: ours }, moved);
                }
            }
        }
    }

    /// Takes in all of another book.
    #[must_use]
    pub fn joined(mut self, other: Self) -> Self {
        for record in other.records.into_values() {
            self.merge(record);
        }
        self.clashing.extend(other.clashing);
        self
    }

    /// Records a dose where the record is kept: a due dose gets one outcome, a record one correction.
    ///
    /// # Errors
    /// A step that the state does not allow.
    pub fn record(&mut self, record: Record) -> Result<(), Refused> {
        record.check()?;
        if let Some(known) = self.records.get(&record.id) {
            return if *known == record {
                Ok(())
            } else {
                Err(Refused::IdTaken)
            };
        }
        if let Some(correction) = &record.corrects {
            let corrected = self.records.get(&correction.of);
            let corrected = corrected.ok_or(Refused::NothingToCorrect)?;
            if corrected.order != record.order {
                return Err(Refused::OtherOrder);
            }
            if self.corrected().contains_key(&correction.of) {
                return Err(Refused::CorrectedAlready);
            }
        }
        if let Some(slot) = &record.slot {
            let own = record.corrects.as_ref().map(|own| &own.of);
            let standing = self.heads().find(|head| {
                head.record.slot.as_ref() == Some(slot) && Some(&head.record.id) != own
            });
            let void = record.corrects.as_ref().is_some_and(|own| own.void);
            if let Some(head) = standing.filter(|_| !void) {
                return Err(Refused::Closed {
                    by: head.record.id.clone(),
                    outcome: head.record.outcome.code(),
                });
            }
        }
        self.records.insert(record.id.clone(), record);
        Ok(())
    }

    /// A record by id.
    #[must_use]
    pub fn get(&self, id: &RecordId) -> Option<&Record> {
        self.records.get(id)
    }

    /// What a record corrects, and what that corrects: the nearest first, also what the book does not have.
    #[must_use]
    pub fn corrected_by(&self, record: &Record) -> Vec<RecordId> {
        let mut found: Vec<RecordId> = Vec::new();
        let mut next = record.corrects.as_ref().map(|own| &own.of);
        while let Some(id) = next.filter(|id| !found.contains(id)) {
            found.push(id.clone());
            let own = self.get(id).and_then(|own| own.corrects.as_ref());
            next = own.map(|own| &own.of);
        }
        found
    }

    /// Every record by id, corrected ones too.
    pub fn all(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// Records whose id another record has: kept, and somebody looks at them.
    pub fn clashing(&self) -> impl Iterator<Item = &Record> {
        self.clashing.values()
    }

    /// The records that a void which holds takes away; a void that was voided itself takes nothing away.
    fn voided(&self) -> BTreeSet<&RecordId> {
        let correcting = self.records.values();
        let voids: BTreeMap<&RecordId, &RecordId> = correcting
            .filter_map(|record| Some((&record.id, record.corrects.as_ref()?)))
            .filter(|(_, correction)| correction.void)
            .map(|(id, correction)| (id, &correction.of))
            .collect();
        let mut open: BTreeMap<&RecordId, u32> = BTreeMap::new();
        for of in voids.values() {
            *open.entry(of).or_default() += 1;
        }
        let all = voids.keys().copied();
        let mut ready: Vec<&RecordId> = all.filter(|id| !open.contains_key(*id)).collect();
        let mut voided = BTreeSet::new();
        // From those that nothing voids to what they void. Voids in a ring stay open: they are no heads.
        while let Some(id) = ready.pop() {
            let Some(of) = voids.get(id).copied() else {
                continue;
            };
            if !voided.contains(id) {
                voided.insert(of);
            }
            if let Some(left) = open.get_mut(of) {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    ready.push(of);
                }
            }
        }
        voided
    }

    /// How many corrections of each record hold: those that were not voided themselves.
    fn corrected(&self) -> BTreeMap<&RecordId, u32> {
        let voided = self.voided();
        let mut corrected: BTreeMap<&RecordId, u32> = BTreeMap::new();
        let standing = self
            .records
            .values()
            .filter(|own| !voided.contains(&own.id));
        for own in standing.filter_map(|record| record.corrects.as_ref()) {
            *corrected.entry(&own.of).or_default() += 1;
        }
        corrected
    }

    /// The records that hold: not corrected, and not only there to void another. A record whose correction
    /// was voided holds again.
    pub fn heads(&self) -> impl Iterator<Item = Head<'_>> {
        let corrected = self.corrected();
        self.records.values().filter_map(move |record| {
            let gone = corrected.contains_key(&record.id);
            let void = record.corrects.as_ref().is_some_and(|own| own.void);
            let times = record
                .corrects
                .as_ref()
                .and_then(|own| corrected.get(&own.of));
            (!gone && !void).then_some(Head {
                record,
                contested: times.is_some_and(|times| *times > 1),
            })
        })
    }

    /// The records that hold, by due dose; those of none by order.
    #[must_use]
    pub fn placed(&self) -> Placed<'_> {
        self.placed_where(|_| true)
    }

    /// Those of due doses from a moment on.
    #[must_use]
    pub fn placed_since(&self, from: Timestamp) -> Placed<'_> {
        self.placed_where(|record| record.slot.as_ref().is_some_and(|slot| slot.at >= from))
    }

    fn placed_where(&self, wanted: impl Fn(&Record) -> bool) -> Placed<'_> {
        let mut placed = Placed::default();
        for head in self.heads().filter(|head| wanted(head.record)) {
            match &head.record.slot {
                Some(slot) => placed.slots.entry(slot).or_default().push(head.record),
                None => placed
                    .free
                    .entry(&head.record.order)
                    .or_default()
                    .push(head.record),
            }
        }
        let lists = placed.slots.values_mut().chain(placed.free.values_mut());
        for list in lists {
            list.sort_by(|a, b| (a.happened, &a.id).cmp(&(b.happened, &b.id)));
        }
        placed
    }

    /// What state a due dose is in.
    #[must_use]
    pub fn state(&self, slot: &SlotKey) -> SlotState<'_> {
        let mut own: Vec<&Record> = self
            .heads()
            .map(|head| head.record)
            .filter(|record| record.slot.as_ref() == Some(slot))
            .collect();
        own.sort_by(|a, b| (a.happened, &a.id).cmp(&(b.happened, &b.id)));
        state(&own)
    }

    /// Every dose that counts for the limits.
    #[must_use]
    pub fn history(&self) -> History {
        self.history_without(None)
    }

    /// The doses that count from a moment on.
    #[must_use]
    pub fn history_since(&self, from: Timestamp) -> History {
        let heads = self.heads().filter(|head| head.record.happened >= from);
        History::of(heads.filter_map(|head| head.record.counted()).collect())
    }

    /// The same without a record that is about to be corrected.
    #[must_use]
    pub fn history_without(&self, corrected: Option<&RecordId>) -> History {
        let heads = self
            .heads()
            .filter(|head| Some(&head.record.id) != corrected);
        History::of(heads.filter_map(|head| head.record.counted()).collect())
    }

    /// Doses that may have been taken twice: several taken outcomes of one due dose; doses of an order
    /// off the schedule by two people or from two devices within [`DOUBLE_SECONDS`], or by whomever within
    /// [`AGAIN_SECONDS`]; records that share an id.
    #[must_use]
    pub fn possible_doubles(&self) -> Vec<Double> {
        let mut found = Vec::new();
        let placed = self.placed();
        let ids = |records: &[&Record]| records.iter().map(|own| own.id.clone()).collect();
        for (slot, records) in &placed.slots {
            let taken: Vec<&Record> = taken(records);
            if taken.len() > 1 {
                found.push(Double {
                    order: slot.order.clone(),
                    slot: Some((*slot).clone()),
                    records: ids(&taken),
                });
            }
        }
        for (order, records) in &placed.free {
            let taken = taken(records);
            for pair in taken.windows(2) {
                let [a, b] = pair else {
                    continue;
                };
                let apart = b.happened.seconds_since(a.happened);
                let others = a.device != b.device || a.giver != b.giver;
                if apart < AGAIN_SECONDS || (others && apart < DOUBLE_SECONDS) {
                    found.push(Double {
                        order: (*order).clone(),
                        slot: None,
                        records: ids(pair),
                    });
                }
            }
        }
        for record in self.clashing.values().filter(|own| own.outcome.is_taken()) {
            found.push(Double {
                order: record.order.clone(),
                slot: record.slot.clone(),
                records: vec![record.id.clone()],
            });
        }
        found
    }
}

/// Records that hold, sorted to where they belong.
#[derive(Debug, Clone, Default)]
pub struct Placed<'a> {
    /// By due dose.
    pub slots: BTreeMap<&'a SlotKey, Vec<&'a Record>>,
    /// Of no due dose, by order.
    pub free: BTreeMap<&'a PrescriptionId, Vec<&'a Record>>,
}

/// Seconds within which two people or two devices may have recorded one dose off the schedule twice.
pub const DOUBLE_SECONDS: i64 = 30 * 60;
/// Seconds within which one dose off the schedule may have been sent twice.
pub const AGAIN_SECONDS: i64 = 60;

/// A dose that may have been taken twice: somebody looks at it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Double {
    /// Of which order.
    pub order: PrescriptionId,
    /// Which due dose, where it is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub slot: Option<SlotKey>,
    /// The records, by time; one alone where another record came under its id.
    pub records: Vec<RecordId>,
}

fn taken<'a>(records: &[&'a Record]) -> Vec<&'a Record> {
    let taken = records.iter().filter(|own| own.outcome.is_taken());
    taken.copied().collect()
}

/// The state that records of one due dose make, by time.
pub(crate) fn state<'a>(records: &[&'a Record]) -> SlotState<'a> {
    match records {
        [] => SlotState::Open,
        [one] => SlotState::Closed(one),
        [first, others @ ..] => SlotState::Clash {
            first,
            others: others.to_vec(),
            double: records.iter().filter(|own| own.outcome.is_taken()).count() > 1,
        },
    }
}

/// A stable text of a record, to order two by.
fn text(record: &Record) -> String {
    format!("{record:?}")
}
