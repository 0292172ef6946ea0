//! Whether a dose may be given, from facts to a decision with every reason. A dose that was given already
//! is always kept: what speaks against it is then pointed out, not hidden by a refusal. Must not turn a
//! missing fact into a permission.

use jiff::tz::TimeZone;
use kernel::Timestamp;
use rust_decimal::Decimal;

use super::{
    AGAIN_SECONDS, Book, Covert, CovertGap, How, Outcome, Record, Right, SelfCare, SelfGap,
    SlotState,
};
use crate::dictionary::Schedule;
use crate::dosage::{Amount, Dosage};
use crate::ids::{PersonId, RecordId};
use crate::knowledge::Tier;
use crate::limits::{self, Evaluation, Limit, Moment, Next, Verdict};
use crate::order::{DueSlot, NeedGap, Order, Status};
use crate::quantity::Quantity;

/// What a home decides for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Schedules of controlled drugs that a witness signs for.
    pub witness: Vec<Schedule>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            witness: vec![Schedule::One, Schedule::Two, Schedule::Three],
        }
    }
}

/// What the checks of the list say of this medicine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alerts {
    /// The loudest alert that stands.
    pub tier: Option<Tier>,
    /// Whether an override of it stands.
    pub overridden: bool,
    /// Who signed it as the second person, by every name; nobody where it was not signed.
    pub second: Vec<PersonId>,
    /// What could not be checked, in words.
    pub not_checked: Vec<String>,
}

/// Whether anybody asked for allergies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllergyState {
    /// Nobody did.
    NotAsked,
    /// They are known, or known to be none.
    Asked,
}

/// What the scan of the pack says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackState {
    /// It was not scanned.
    NotScanned,
    /// It is what was ordered, in date.
    Fits,
    /// It is another medicine.
    Other,
    /// The medicine in another strength.
    OtherStrength,
    /// The medicine in that strength, in another form.
    OtherForm,
    /// It is out of date.
    Expired,
    /// Its batch was recalled.
    Recalled,
    /// Its number is in no list of products here.
    Unlisted,
    /// What was read is no code of a pack.
    Unreadable,
}

impl PackState {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::NotScanned,
        Self::Fits,
        Self::Other,
        Self::OtherStrength,
        Self::OtherForm,
        Self::Expired,
        Self::Recalled,
        Self::Unlisted,
        Self::Unreadable,
    ];

    /// The code: `other-strength`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotScanned => "not-scanned",
            Self::Fits => "fits",
            Self::Other => "other",
            Self::OtherStrength => "other-strength",
            Self::OtherForm => "other-form",
            Self::Expired => "expired",
            Self::Recalled => "recalled",
            Self::Unlisted => "unlisted",
            Self::Unreadable => "unreadable",
        }
    }

    /// What it brings: another form is often what a pharmacy had instead, and an unknown number says
    /// nothing, so that somebody decides.
    #[must_use]
    pub const fn verdict(self) -> Option<Verdict> {
        match self {
            Self::NotScanned | Self::Fits => None,
            Self::OtherForm | Self::Unlisted | Self::Unreadable => Some(Verdict::Unknown),
            Self::Other | Self::OtherStrength | Self::Expired | Self::Recalled => {
                Some(Verdict::Block)
            }
        }
    }
}

/// Everything a decision rests on.
#[derive(Debug, Clone, Copy)]
pub struct Giving<'a> {
    /// The order.
    pub order: &'a Order,
    /// The due dose; none where it is needed, or off the schedule.
    pub due: Option<&'a DueSlot>,
    /// Which of the order's dosages it is, by place, where somebody named it.
    pub named: Option<usize>,
    /// What is to be recorded.
    pub record: &'a Record,
    /// Whether it has happened already.
    pub done: bool,
    /// All records of the resident.
    pub book: &'a Book,
    /// The limits of order and knowledge.
    pub limits: &'a [Limit],
    /// What the knowledge could not decide for want of a fact.
    pub missing: &'a [limits::Reason],
    /// What the checks say.
    pub alerts: &'a Alerts,
    /// Whether allergies were asked for.
    pub allergies: AllergyState,
    /// The papers of covert administration.
    pub covert: Option<&'a Covert>,
    /// The assessment of self-administration.
    pub self_care: Option<&'a SelfCare>,
    /// The scan of the pack.
    pub pack: PackState,
    /// The home's rules.
    pub policy: &'a Policy,
    /// Now.
    pub now: Timestamp,
    /// The zone of the home.
    pub zone: &'a TimeZone,
}

/// Why a decision is not a plain yes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Why {
    /// The record does not hold together.
    Record {
        /// What is wrong.
        what: String,
    },
    /// The order is not to be given.
    NotActive {
        /// What it is at.
        status: Status,
    },
    /// Before the order starts or after it was stopped.
    OutsideOrder,
    /// In a pause.
    Paused {
        /// Why it pauses.
        reason: String,
    },
    /// The due dose has an outcome.
    Recorded {
        /// By which record.
        by: RecordId,
        /// Its outcome.
        outcome: Outcome,
    },
    /// A second outcome of a dose that was taken: a possible double dose.
    PossibleDouble {
        /// The other.
        other: RecordId,
    },
    /// Before its window.
    Early {
        /// Seconds.
        seconds: i64,
    },
    /// After its window.
    Late {
        /// Seconds.
        seconds: i64,
    },
    /// Of no due dose, where the order is not given when needed.
    OffSchedule,
    /// Entered long after it happened.
    LateEntry {
        /// Seconds.
        seconds: i64,
    },
    /// The clocks moved this due time, or two fall together.
    ClocksChanged,
    /// A limit.
    Limit {
        /// Which reason.
        reason: limits::Why,
    },
    /// More than was ordered.
    MoreThanOrdered {
        /// The most that was ordered.
        ordered: Quantity,
    },
    /// Less than was ordered.
    LessThanOrdered {
        /// The least that was ordered.
        ordered: Quantity,
    },
    /// The dose does not compare with the order's.
    DoseUnknown,
    /// A right that nobody verified.
    RightMissing {
        /// Which.
        right: Right,
    },
    /// A right that does not fit.
    RightWrong {
        /// Which.
        right: Right,
    },
    /// No witness.
    NoWitness,
    /// No witness, and nobody can tell whether it is a controlled drug: no product stands for it.
    ScheduleUnknown,
    /// A contraindicated medicine without the second person.
    NoSecondPerson,
    /// An alert that interrupts and is not overridden.
    NotOverridden {
        /// How loud it is.
        tier: Tier,
    },
    /// Something was not checked.
    NotChecked {
        /// What.
        what: String,
    },
    /// Nobody asked for allergies.
    AllergiesNotAsked,
    /// Given when needed, and not said for what.
    NoNeed,
    /// The as-needed order lacks something.
    NeedGap {
        /// What.
        gap: NeedGap,
    },
    /// Covert administration lacks a paper.
    Covert {
        /// Which.
        gap: CovertGap,
    },
    /// The resident is not assessed to take it alone.
    NotAssessed {
        /// What stands against it.
        gap: SelfGap,
    },
    /// The pack is not the right one.
    Pack {
        /// The code of the [`PackState`].
        what: &'static str,
    },
}

/// What would let it go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// A reason in words.
    Reason,
    /// A witness.
    Witness,
    /// A second person for the alert.
    SecondPerson,
    /// An override of the alert.
    Override,
    /// What it was needed for.
    NeedReason,
    /// The rights to be verified.
    Rights,
    /// Allergies to be asked for.
    Allergies,
    /// The prescriber: the order must change.
    Prescriber,
}

/// The decision.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Decision {
    /// What may be done.
    pub verdict: Verdict,
    /// Whether the record is taken in: allowed, or it happened anyway, or somebody decided with a reason
    /// what could not be told.
    pub keep: bool,
    /// Every reason with what it weighs, the worst first.
    pub reasons: Vec<(Verdict, Why)>,
    /// What would let it go on.
    pub needs: Vec<Need>,
    /// The limits and the doses they looked at, where something is taken.
    pub limits: Option<Evaluation>,
    /// When it would be allowed by the limits.
    pub next: Next,
    /// When the effect of an as-needed dose is to be asked for.
    pub effect_due: Option<Timestamp>,
}

struct Weighing<'a> {
    giving: Giving<'a>,
    reasons: Vec<(Verdict, Why)>,
    needs: Vec<Need>,
    broken: bool,
}

/// Decides on a dose and on what is to be recorded of it.
#[must_use]
pub fn decide_giving(giving: Giving<'_>) -> Decision {
    let mut own = Weighing {
        giving,
        reasons: Vec::new(),
        needs: Vec::new(),
        broken: false,
    };
    own.record();
    own.slot();
    own.times();
    let taken = giving.record.outcome.is_taken();
    let mut evaluation = None;
    if taken {
        own.order();
        own.dose();
        own.rights();
        own.alerts();
        own.needed();
        own.special();
        evaluation = Some(own.limits());
    }
    own.witness();
    own.done(evaluation)
}

impl Weighing<'_> {
    fn add(&mut self, verdict: Verdict, why: Why) {
        self.reasons.push((verdict, why));
    }

    fn ask(&mut self, need: Need, verdict: Verdict, why: Why) {
        self.needs.push(need);
        self.add(verdict, why);
    }

    fn reasoned(&self) -> bool {
        let reason = self.giving.record.reason.as_deref();
        reason.is_some_and(|text| !text.trim().is_empty())
    }

    /// With a reason it goes on with a warning, without one it does not.
    fn unless_reasoned(&mut self, why: Why) {
        if self.reasoned() {
            self.add(Verdict::Warn, why);
        } else {
            self.ask(Need::Reason, Verdict::Block, why);
        }
    }

    fn record(&mut self) {
        if let Err(error) = self.giving.record.check() {
            self.broken = true;
            let what = error.to_string();
            self.add(Verdict::Block, Why::Record { what });
        }
    }

    fn slot(&mut self) {
        let Some(due) = self.giving.due else {
            self.again();
            return;
        };
        let corrects = self
            .giving
            .record
            .corrects
            .as_ref()
            .map(|own| own.of.clone());
        let standing: Vec<(RecordId, Outcome)> = match self.giving.book.state(&due.key) {
            SlotState::Open => Vec::new(),
            SlotState::Closed(one) => vec![(one.id.clone(), one.outcome)],
            SlotState::Clash { first, others, .. } => {
                let all = core::iter::once(first).chain(others);
                all.map(|own| (own.id.clone(), own.outcome)).collect()
            }
        };
        for (by, outcome) in standing {
            if Some(&by) == corrects.as_ref() || by == self.giving.record.id {
                continue;
            }
            if outcome.is_taken() && self.giving.record.outcome.is_taken() {
                let other = by.clone();
                self.add(Verdict::Block, Why::PossibleDouble { other });
            }
            self.add(Verdict::Block, Why::Recorded { by, outcome });
        }
        if due.moved() && self.giving.record.outcome.is_taken() {
            self.add(Verdict::Warn, Why::ClocksChanged);
        }
    }

    /// The same dose off the schedule a moment ago: more often sent twice than given twice.
    fn again(&mut self) {
        let record = self.giving.record;
        let corrects = record.corrects.as_ref().map(|own| &own.of);
        let mut heads = self.giving.book.heads().map(|head| head.record);
        let same = heads.find(|own| {
            own.slot.is_none()
                && own.order == record.order
                && own.id != record.id
                && Some(&own.id) != corrects
                && own.outcome.is_taken()
                && own.happened.seconds_since(record.happened).abs() < AGAIN_SECONDS
        });
        if let Some(other) = same.filter(|_| record.outcome.is_taken()) {
            let other = other.id.clone();
            self.unless_reasoned(Why::PossibleDouble { other });
        }
    }

    fn times(&mut self) {
        let record = self.giving.record;
        if record.is_late_entry() {
            let seconds = record.entered.seconds_since(record.happened);
            self.add(Verdict::Warn, Why::LateEntry { seconds });
        }
        let Some(due) = self.giving.due else {
            return;
        };
        let early = due.slot.earliest.seconds_since(record.happened);
        let late = record.happened.seconds_since(due.slot.latest);
        if record.happened < due.slot.earliest {
            self.unless_reasoned(Why::Early { seconds: early });
        } else if record.happened > due.slot.latest {
            let why = Why::Late { seconds: late };
            if due.slot.critical {
                self.unless_reasoned(why);
            } else {
                self.add(Verdict::Warn, why);
            }
        }
    }

    fn order(&mut self) {
        let (order, record) = (self.giving.order, self.giving.record);
        if order.status != Status::Active {
            let status = order.status;
            self.ask(Need::Prescriber, Verdict::Block, Why::NotActive { status });
        }
        let stopped = order.stop.is_some_and(|stop| record.happened >= stop);
        if record.happened < order.start || stopped {
            self.ask(Need::Prescriber, Verdict::Block, Why::OutsideOrder);
        }
        if let Some(pause) = order.paused(record.happened) {
            let reason = pause.reason.clone();
            self.ask(Need::Prescriber, Verdict::Block, Why::Paused { reason });
        }
    }

    /// The dosage that the dose is one of.
    fn dosage(&self) -> Option<&Dosage> {
        let Giving {
            order, due, named, ..
        } = self.giving;
        let needed = self.giving.record.need.is_some();
        order.dosages.get(order.dosage_of(due, needed, named)?)
    }

    fn dose(&mut self) {
        let Some(given) = &self.giving.record.dose else {
            return;
        };
        let Some(ordered) = self.dosage().and_then(Dosage::dose) else {
            self.add(Verdict::Unknown, Why::DoseUnknown);
            return;
        };
        let compare = |bound: Option<&Quantity>| -> Result<Option<(Decimal, Quantity)>, ()> {
            let Some(bound) = bound else {
                return Ok(None);
            };
            let value = given.in_unit(&bound.unit).map_err(|_| ())?;
            Ok(Some((value, bound.clone())))
        };
        let (Ok(most), Ok(least)) = (compare(ordered.most()), compare(Amount::least(ordered)))
        else {
            self.add(Verdict::Unknown, Why::DoseUnknown);
            return;
        };
        if let Some((value, ordered)) = most
            && value > ordered.value.value()
        {
            self.ask(
                Need::Prescriber,
                Verdict::Block,
                Why::MoreThanOrdered { ordered },
            );
        }
        if let Some((value, ordered)) = least
            && value < ordered.value.value()
        {
            self.unless_reasoned(Why::LessThanOrdered { ordered });
        }
    }

    fn rights(&mut self) {
        for right in Right::ALL {
            let own = self
                .giving
                .record
                .rights
                .iter()
                .filter(|own| own.right == right);
            let mut any = false;
            let mut wrong = false;
            for verified in own {
                // A clock is no proof of who, what or how.
                any |= right == Right::Time || verified.how != How::Computed;
                wrong |= !verified.fits;
            }
            // The window itself says whether the time is right, early or late.
            if wrong && right != Right::Time {
                self.add(Verdict::Block, Why::RightWrong { right });
            } else if !any {
                self.ask(Need::Rights, Verdict::Block, Why::RightMissing { right });
            }
        }
        let pack = self.giving.pack;
        if let Some(verdict) = pack.verdict() {
            self.add(verdict, Why::Pack { what: pack.code() });
        }
    }

    fn alerts(&mut self) {
        let alerts = self.giving.alerts;
        match alerts.tier {
            Some(Tier::Contraindicated) => {
                if !alerts.overridden {
                    let tier = Tier::Contraindicated;
                    self.ask(Need::Override, Verdict::Block, Why::NotOverridden { tier });
                }
                let second = &alerts.second;
                if second.is_empty() || second.contains(&self.giving.record.giver) {
                    self.ask(Need::SecondPerson, Verdict::Block, Why::NoSecondPerson);
                }
            }
            Some(tier @ Tier::High) if !alerts.overridden => {
                self.ask(Need::Override, Verdict::Block, Why::NotOverridden { tier });
            }
            _ => {}
        }
        for what in &alerts.not_checked {
            self.add(Verdict::Warn, Why::NotChecked { what: what.clone() });
        }
        if self.giving.allergies == AllergyState::NotAsked {
            let mut standing = self.giving.book.heads().map(|head| head.record);
            let first = !standing.any(|own| {
                own.order == self.giving.order.id
                    && own.outcome.is_taken()
                    && own.id != self.giving.record.id
            });
            let verdict = if first { Verdict::Block } else { Verdict::Warn };
            self.ask(Need::Allergies, verdict, Why::AllergiesNotAsked);
        }
    }

    fn needed(&mut self) {
        if self.giving.due.is_some() {
            return;
        }
        if !self.giving.order.is_needed() {
            self.unless_reasoned(Why::OffSchedule);
            return;
        }
        let need = self.giving.record.need.as_ref();
        if need.is_none_or(|need| need.reason.trim().is_empty()) {
            self.ask(Need::NeedReason, Verdict::Block, Why::NoNeed);
        }
        for gap in self.giving.order.need_gaps() {
            self.add(Verdict::Warn, Why::NeedGap { gap });
        }
    }

    fn special(&mut self) {
        let at = self.giving.record.happened;
        if self.giving.order.covert {
            let none = Covert::default();
            let gaps = self.giving.covert.unwrap_or(&none).gaps(at);
            for gap in gaps {
                self.add(Verdict::Block, Why::Covert { gap });
            }
        }
        let alone = self.giving.record.outcome == Outcome::SelfAdministered;
        let assessed = self.giving.self_care;
        let gap = assessed.map_or(Some(SelfGap::Missing), |own| own.gap(at));
        if let Some(gap) = gap.filter(|_| alone) {
            self.add(Verdict::Block, Why::NotAssessed { gap });
        }
    }

    /// A controlled drug that is given or destroyed is signed for by two.
    fn witness(&mut self) {
        let article = &self.giving.order.article;
        let listed = |own: Schedule| self.giving.policy.witness.contains(&own);
        let controlled = article.schedule.is_some_and(listed);
        let used = self.giving.record.outcome.meaning().used;
        let alone = self.giving.record.outcome == Outcome::SelfAdministered;
        if !used || alone || self.giving.record.witness.is_some() {
            return;
        }
        if controlled || self.giving.order.witness {
            self.ask(Need::Witness, Verdict::Block, Why::NoWitness);
        } else if !article.tells_schedule() && !self.giving.policy.witness.is_empty() {
            self.ask(Need::Witness, Verdict::Unknown, Why::ScheduleUnknown);
        }
    }

    fn limits(&mut self) -> Evaluation {
        let record = self.giving.record;
        let article = &self.giving.order.article;
        let stated = record.dose.as_ref();
        let dose = limits::Entry {
            id: record.id.clone(),
            order: Some(record.order.clone()),
            at: record.happened,
            name: record.product.clone(),
            dose: record.dose.clone(),
            // What the order's product holds; what the record says of it is somebody's word.
            contents: stated.map_or_else(|| article.unstated(), |dose| article.contents(dose)),
        };
        let corrected = record.corrects.as_ref().map(|own| &own.of);
        let history = self.giving.book.history_without(corrected);
        let moment = Moment {
            now: self.giving.now,
            zone: self.giving.zone,
        };
        let found = limits::evaluate(&dose, self.giving.limits, &history, moment);
        let all = found.reasons.iter().chain(self.giving.missing);
        let mut reasons: Vec<(Verdict, limits::Why)> = Vec::new();
        for one in all {
            let reason = (one.verdict, one.why.clone());
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        for (verdict, reason) in reasons {
            self.add(verdict, Why::Limit { reason });
        }
        found
    }

    fn done(mut self, evaluation: Option<Evaluation>) -> Decision {
        let verdict = self.reasons.iter().map(|(verdict, _)| *verdict).max();
        let verdict = verdict.unwrap_or(Verdict::Allow);
        if verdict == Verdict::Unknown && !self.reasoned() {
            self.needs.push(Need::Reason);
        }
        let keep = match verdict {
            _ if self.broken => false,
            Verdict::Allow | Verdict::Warn => true,
            Verdict::Unknown => self.giving.done || self.reasoned(),
            Verdict::Block => self.giving.done,
        };
        self.reasons
            .sort_by_key(|(verdict, _)| core::cmp::Reverse(*verdict));
        self.needs.sort_unstable();
        self.needs.dedup();
        let needed = self.giving.due.is_none() && self.giving.order.is_needed();
        let after = self.giving.order.need.effect_after;
        let taken = evaluation.is_some();
        let effect_due = after.filter(|_| needed && taken).map(|minutes| {
            let happened = self.giving.record.happened;
            happened.plus_seconds(i64::from(minutes) * 60)
        });
        Decision {
            verdict,
            keep,
            reasons: self.reasons,
            needs: self.needs,
            next: evaluation.as_ref().map_or(Next::Now, |own| own.next),
            limits: evaluation,
            effect_due,
        }
    }
}
