//! When doses are due: a dosage on the calendar of a zone, in a home's rounds. Days, weeks, months and years
//! are those of the calendar, so that a dose keeps its clock time when the clocks change; hours and
//! minutes are elapsed time. Must not drop what it cannot place: that is an error.

mod place;
mod rounds;
#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;
use kernel::{Categorised, Category, Timestamp};

pub use rounds::Rounds;

use crate::dosage::{Bounds, Dosage};

/// Most slots of one expansion.
pub const MOST_SLOTS: usize = 100_000;

/// Where and from when a regimen is given.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The zone of the home.
    pub zone: TimeZone,
    /// Its rounds.
    pub rounds: Rounds,
    /// When the order starts, where the dosage does not say.
    pub start: Timestamp,
    /// When the order stops, where it was stopped: no slot at or after it.
    pub stop: Option<Timestamp>,
    /// How long before and after the due time a dose counts as on time.
    pub window: Window,
}

/// Minutes before and after the due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Window {
    /// Before.
    pub early: i64,
    /// After.
    pub late: i64,
    /// Whether minutes matter for this medicine.
    pub critical: bool,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            early: 60,
            late: 60,
            critical: false,
        }
    }
}

/// What the clocks did to a due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shift {
    /// The clock time does not exist that night: due as much later as the clocks were put forward.
    Skipped,
    /// The clock time comes twice that night: due at the first.
    Twice,
}

/// One dose that is due.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Slot {
    /// When.
    pub at: Timestamp,
    /// From when it is not too early.
    pub earliest: Timestamp,
    /// Until when it is not late.
    pub latest: Timestamp,
    /// Which of the dosages, in the order they were given.
    pub dosage: usize,
    /// Whether the order names the time, or the home's rounds do.
    pub prescribed: bool,
    /// Whether minutes matter.
    pub critical: bool,
    /// What the clocks did to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift: Option<Shift>,
}

/// Why a dosage has no place on the calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum ScheduleError {
    /// It contradicts itself.
    #[error("the dosage has errors: correct {path}")]
    Wrong {
        /// Where.
        path: String,
    },
    /// It does not say when.
    #[error("the dosage does not say when it is due: state a repeat or moments")]
    NoTiming,
    /// So many doses in such a period have no times in the home's rounds.
    #[error("{times} times in {period} has no place in the rounds: state the times")]
    NoPlace {
        /// How often.
        times: i64,
        /// In which period.
        period: String,
    },
    /// A step follows one that does not end.
    #[error("a step follows one without an end: state for how long the first is given")]
    NoEnd,
    /// More than [`MOST_SLOTS`].
    #[error("more than {MOST_SLOTS} doses are due: ask for a shorter time")]
    TooMany,
}

impl Categorised for ScheduleError {
    fn category(&self) -> Category {
        match self {
            Self::TooMany => Category::TooCostly,
            _ => Category::Unprocessable,
        }
    }
}

/// Every dose due in `[from, to)`, by time. What is given when needed has none.
///
/// # Errors
/// A dosage that contradicts itself or cannot be placed.
pub fn due(
    dosages: &[Dosage],
    setting: &Setting,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Slot>, ScheduleError> {
    for dosage in dosages {
        let problems = dosage.problems();
        let wrong = problems
            .into_iter()
            .find(|p| p.weight == crate::dosage::Weight::Error);
        if let Some(problem) = wrong {
            return Err(ScheduleError::Wrong { path: problem.path });
        }
    }
    due_checked(dosages, setting, from, to)
}

/// The same for dosages that were checked before.
pub(crate) fn due_checked(
    dosages: &[Dosage],
    setting: &Setting,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Slot>, ScheduleError> {
    let mut ordered: Vec<(usize, &Dosage)> = dosages.iter().enumerate().collect();
    ordered.sort_by_key(|(_, dosage)| dosage.sequence.unwrap_or(1));
    let mut slots = Vec::new();
    let mut start = Some(setting.start);
    for step in ordered.chunk_by(|a, b| a.1.sequence.unwrap_or(1) == b.1.sequence.unwrap_or(1)) {
        let mut ends = start;
        for (number, dosage) in step {
            let own = own_start(dosage, &setting.zone);
            let anchor = own.or(start).ok_or(ScheduleError::NoEnd)?;
            let placed = place::Placing::new(dosage, *number, setting, anchor);
            if !dosage.as_needed.is_needed() {
                placed.slots(from, to, &mut slots)?;
            }
            ends = match (ends, placed.end()?) {
                (Some(a), Some(b)) => Some(a.max(b)),
                _ => None,
            };
        }
        start = ends;
    }
    slots.sort_by_key(|slot| (slot.at, slot.dosage));
    windows(&mut slots, setting.window);
    Ok(slots)
}

fn own_start(dosage: &Dosage, zone: &TimeZone) -> Option<Timestamp> {
    match dosage.repeat()?.bounds.as_ref()? {
        Bounds::Period { start, .. } => start.as_ref().map(|start| start.starts(zone)),
        _ => None,
    }
}

/// Sets the windows; where two would overlap, each ends half way.
fn windows(slots: &mut [Slot], window: Window) {
    let times: Vec<Timestamp> = slots.iter().map(|slot| slot.at).collect();
    let (early, late) = (window.early.max(0) * 60, window.late.max(0) * 60);
    for (place, slot) in slots.iter_mut().enumerate() {
        slot.critical = window.critical;
        slot.earliest = slot.at.plus_seconds(-early);
        slot.latest = slot.at.plus_seconds(late);
        let before = times
            .get(..place)
            .and_then(|t| t.iter().rev().find(|t| **t < slot.at));
        let after = times
            .get(place..)
            .and_then(|t| t.iter().find(|t| **t > slot.at));
        let half = |a: Timestamp, b: Timestamp| a.plus_seconds(b.seconds_since(a) / 2);
        if let Some(before) = before {
            slot.earliest = slot.earliest.max(half(*before, slot.at));
        }
        if let Some(after) = after {
            slot.latest = slot.latest.min(half(slot.at, *after));
        }
    }
}
