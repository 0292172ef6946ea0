//! How much of an ingredient may be given, at once, in a day and in how short a time: the decision on one
//! dose among those given before and after it. Windows slide in both directions: a dose entered late must
//! not stand too close before one that is there. Must not let an amount that cannot be compared pass: the
//! decision is then `unknown`, which nobody may take for `allow`.

mod derive;
#[cfg(test)]
mod tests;
mod window;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use kernel::Timestamp;

pub use derive::{counted, of_ceilings, of_order};
pub use window::reach;
pub(crate) use window::{amount, applies};

use crate::content::{Content, Substance, Unmeasured};
use crate::ids::{PrescriptionId, RecordId};
use crate::quantity::{NotComparable, Quantity};

/// A dose that was given, or may be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    /// Its record. A dose with the id of the one that is decided on is that one, sent again.
    pub id: RecordId,
    /// Of which order; none for what was taken without one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub order: Option<PrescriptionId>,
    /// When.
    pub at: Timestamp,
    /// Name of the product.
    pub name: String,
    /// The dose as stated.
    pub dose: Option<Quantity>,
    /// What it holds; empty where the product is not resolved.
    pub contents: Vec<Content>,
}

/// Every dose that counts, of one resident.
#[derive(Debug, Clone, Default)]
pub struct History {
    entries: Vec<Entry>,
    of: BTreeMap<Substance, Vec<u32>>,
    orders: BTreeMap<PrescriptionId, Vec<u32>>,
    /// What nothing is known of.
    opaque: Vec<u32>,
}

impl History {
    /// Takes doses in any order.
    #[must_use]
    pub fn of(mut entries: Vec<Entry>) -> Self {
        entries.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        let mut own = Self::default();
        for (place, entry) in (0..).zip(&entries) {
            for content in &entry.contents {
                let list = own.of.entry(content.substance.clone()).or_default();
                if list.last() != Some(&place) {
                    list.push(place);
                }
            }
            if entry.contents.is_empty() {
                own.opaque.push(place);
            }
            if let Some(order) = &entry.order {
                own.orders.entry(order.clone()).or_default().push(place);
            }
        }
        own.entries = entries;
        own
    }

    /// The doses by time.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn places<'a>(&'a self, list: Option<&'a Vec<u32>>) -> impl Iterator<Item = &'a Entry> + 'a {
        let places = list.into_iter().flatten();
        places.filter_map(|place| self.entries.get(*place as usize))
    }

    /// Those a limit looks at, by time.
    fn under<'a>(&'a self, scope: &Scope) -> impl Iterator<Item = &'a Entry> + 'a {
        let list = match scope {
            Scope::Ingredient(substance) => self.of.get(substance),
            Scope::Order(order) => self.orders.get(order),
        };
        self.places(list)
    }

    fn opaque(&self) -> impl Iterator<Item = &Entry> + '_ {
        self.places(Some(&self.opaque))
    }
}

/// What a limit adds up.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// An ingredient, in whatever product it comes.
    Ingredient(Substance),
    /// The doses of one order.
    Order(PrescriptionId),
}

/// What is limited.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Bound {
    /// So much at once.
    Single {
        /// The most.
        most: Quantity,
    },
    /// So much in any stretch of so many seconds, wherever it begins.
    Rolling {
        /// The most.
        most: Quantity,
        /// The length.
        seconds: i64,
    },
    /// So much between two midnights of the place.
    Day {
        /// The most.
        most: Quantity,
    },
    /// So many doses in any stretch of so many seconds.
    Times {
        /// The most.
        most: u32,
        /// The length.
        seconds: i64,
    },
    /// So many doses between two midnights of the place.
    TimesADay {
        /// The most.
        most: u32,
    },
    /// So many seconds from any dose to the next, before and after.
    Apart {
        /// The least.
        seconds: i64,
    },
    /// So much ever.
    Ever {
        /// The most.
        most: Quantity,
    },
}

/// Where a limit comes from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum Source {
    /// The order.
    Order {
        /// Which.
        order: PrescriptionId,
        /// Which member of it, as `maxDosePerPeriod`.
        member: String,
    },
    /// A rule of the knowledge.
    Knowledge {
        /// Its id.
        rule: String,
        /// The hash of its release.
        release: String,
    },
    /// The home's own rule.
    Home {
        /// What it is called.
        name: String,
    },
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limit {
    /// What it adds up.
    pub scope: Scope,
    /// What is limited.
    pub bound: Bound,
    /// [`Verdict::Block`] or [`Verdict::Warn`] where it is broken.
    pub effect: Verdict,
    /// Where it comes from.
    pub source: Source,
}

/// What may be done, the worst last.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Go on.
    Allow,
    /// Go on, having read why to hesitate.
    Warn,
    /// It cannot be told: somebody decides, and says so.
    Unknown,
    /// Do not go on.
    Block,
}

/// Why a dose is not simply allowed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Why {
    /// Zero or less.
    NotPositive,
    /// Too much, at once or in a stretch of time.
    TooMuch {
        /// The amount with this dose.
        sum: Quantity,
        /// The most.
        most: Quantity,
    },
    /// Too many doses.
    TooOften {
        /// How many with this one.
        count: u32,
        /// The most.
        most: u32,
    },
    /// Too close to another dose.
    TooClose {
        /// The other.
        other: RecordId,
        /// When it was given.
        at: Timestamp,
        /// Seconds between the two.
        apart: i64,
        /// The least.
        least: i64,
    },
    /// An amount that is not known.
    Unmeasured {
        /// Of which dose.
        entry: RecordId,
        /// Why.
        what: Unmeasured,
    },
    /// An amount that does not compare with the limit.
    Incomparable {
        /// Of which dose.
        entry: RecordId,
        /// Why.
        what: NotComparable,
    },
    /// A recorded dose of zero or less.
    BadEntry {
        /// Which.
        entry: RecordId,
    },
    /// What this product holds is not known: no limit can be applied.
    Unresolved,
    /// A dose of a product that nothing resolves was given near: it may hold the same.
    OpaqueNear {
        /// Which.
        entry: RecordId,
    },
    /// A dose later than now is recorded: the clock may have been moved.
    Later {
        /// Which.
        entry: RecordId,
    },
    /// A fact that a limit depends on is not known.
    FactMissing {
        /// Which fact.
        fact: String,
        /// The rule that asks.
        rule: String,
    },
}

/// A reason with what it weighs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reason {
    /// What it makes of the decision.
    pub verdict: Verdict,
    /// Which of the limits; none where it is of none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limit: Option<usize>,
    /// Why.
    pub why: Why,
}

/// What a limit looked at: its fullest stretch of time that holds the dose.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Looked {
    /// Which of the limits.
    pub limit: usize,
    /// From.
    pub from: Timestamp,
    /// Until, not included.
    pub to: Timestamp,
    /// The doses in it besides this one.
    pub entries: Vec<RecordId>,
    /// Their amount with this dose, where amounts are limited.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sum: Option<Quantity>,
    /// How many with this one.
    pub count: u32,
}

/// When the dose would be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "when", content = "at")]
pub enum Next {
    /// It is allowed.
    Now,
    /// From this moment, if nothing else is given until then.
    At(Timestamp),
    /// Never in this amount.
    Never,
    /// It cannot be told.
    Unknown,
}

/// The decision on a dose.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Evaluation {
    /// What may be done: the worst of the reasons.
    pub verdict: Verdict,
    /// Every reason, the worst first.
    pub reasons: Vec<Reason>,
    /// What every limit looked at.
    pub looked: Vec<Looked>,
    /// When it would be allowed.
    pub next: Next,
}

/// Where and when it is decided.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// Now; later entries than this are pointed out.
    pub now: Timestamp,
    /// The zone of the place, for its days.
    pub zone: &'a TimeZone,
}

/// Decides on one dose. The order in which the history was entered makes no difference.
#[must_use]
pub fn evaluate(
    dose: &Entry,
    limits: &[Limit],
    history: &History,
    moment: Moment<'_>,
) -> Evaluation {
    let mut found = window::Found::default();
    if dose
        .dose
        .as_ref()
        .is_some_and(|own| own.value.value() <= rust_decimal::Decimal::ZERO)
    {
        found.add(Verdict::Block, None, Why::NotPositive);
    }
    if dose.contents.is_empty() {
        found.add(Verdict::Unknown, None, Why::Unresolved);
    }
    for (number, limit) in limits.iter().enumerate() {
        if window::applies(limit, dose) {
            window::judge(number, limit, dose, history, moment.zone, &mut found);
        }
    }
    near(dose, limits, history, moment.now, &mut found);
    let verdict = found.verdict();
    let next = match verdict {
        Verdict::Allow | Verdict::Warn => Next::Now,
        Verdict::Unknown => Next::Unknown,
        Verdict::Block => window::next(dose, limits, history, moment.zone),
    };
    found
        .reasons
        .sort_by_key(|reason| core::cmp::Reverse(reason.verdict));
    Evaluation {
        verdict,
        reasons: found.reasons,
        looked: found.looked,
        next,
    }
}

/// Entries that make one think: of unknown products, and later than now.
fn near(
    dose: &Entry,
    limits: &[Limit],
    history: &History,
    now: Timestamp,
    found: &mut window::Found,
) {
    let reach = limits.iter().filter(|limit| window::applies(limit, dose));
    let reach = reach.map(window::reach).max().unwrap_or(0);
    for entry in history.opaque().filter(|entry| entry.id != dose.id) {
        if entry.at.seconds_since(dose.at).abs() < reach {
            let entry = entry.id.clone();
            found.add(Verdict::Unknown, None, Why::OpaqueNear { entry });
        }
    }
    let later = history
        .entries
        .iter()
        .rev()
        .take_while(|entry| entry.at > now);
    for entry in later.filter(|entry| entry.id != dose.id) {
        let shared = entry.contents.iter().any(|content| {
            let own = dose.contents.iter();
            own.into_iter()
                .any(|mine| mine.substance == content.substance)
        });
        if shared {
            let entry = entry.id.clone();
            found.add(Verdict::Warn, None, Why::Later { entry });
        }
    }
}
