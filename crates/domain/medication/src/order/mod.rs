//! An order as it is given: the product, the dosages, from when until when, its pauses, its windows. An
//! [`Order`] exists only where it holds together; what contradicts itself is refused. Must not decide on a
//! dose: `administration` does.

#[cfg(test)]
pub(crate) mod tests;

use kernel::{Categorised, Category, Timestamp};

use crate::content::{Article, Substance};
use crate::dosage::{AsNeeded, Dosage, Weight};
use crate::ids::{PrescriptionId, ResidentId};
use crate::schedule::{Rounds, ScheduleError, Setting, Shift, Slot, Window, due_checked};

/// What an order is at, as `MedicationRequest.status` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Not signed yet.
    Draft,
    /// To be given.
    Active,
    /// Held back for a time.
    OnHold,
    /// It came to its end.
    Completed,
    /// Stopped before its end.
    Stopped,
    /// Withdrawn before it began.
    Cancelled,
    /// It should not have been.
    EnteredInError,
    /// Not known.
    Unknown,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Draft,
        Self::Active,
        Self::OnHold,
        Self::Completed,
        Self::Stopped,
        Self::Cancelled,
        Self::EnteredInError,
        Self::Unknown,
    ];
    /// The FHIR code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::OnHold => "on-hold",
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::Cancelled => "cancelled",
            Self::EnteredInError => "entered-in-error",
            Self::Unknown => "unknown",
        }
    }
    /// By code.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.code() == code)
    }
    /// Whether doses of it were ever due: a draft's never were.
    #[must_use]
    pub const fn was_given(self) -> bool {
        matches!(
            self,
            Self::Active | Self::OnHold | Self::Completed | Self::Stopped
        )
    }
}

/// A time in which nothing is due.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pause {
    /// From.
    pub from: Timestamp,
    /// Until; none while it lasts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

impl Pause {
    /// Whether a moment lies in it.
    #[must_use]
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && self.to.is_none_or(|to| at < to)
    }
}

/// What an as-needed order says beside its dosage.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NeedPlan {
    /// What it should bring about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected: Option<String>,
    /// Minutes after a dose at which its effect is asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub effect_after: Option<u32>,
    /// The prescriber is told after so many doses in so many days.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub escalate: Option<Escalate>,
}

/// So many doses in so many days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Escalate {
    /// Doses.
    pub doses: u32,
    /// Days.
    pub days: u32,
}

/// What is known of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderFacts {
    /// Its id.
    pub id: PrescriptionId,
    /// For whom.
    pub resident: ResidentId,
    /// What.
    pub article: Article,
    /// How much, when.
    pub dosages: Vec<Dosage>,
    /// What it is at.
    pub status: Status,
    /// From when.
    pub start: Timestamp,
    /// When it was stopped.
    pub stop: Option<Timestamp>,
    /// In which times nothing is due, in any order.
    pub pauses: Vec<Pause>,
    /// Early and late, and whether minutes matter.
    pub window: Window,
    /// The least time between two doses, in seconds, where the order states one.
    pub apart_seconds: Option<i64>,
    /// As needed: what to expect and when to look.
    pub need: NeedPlan,
    /// Whether it is given without the resident knowing.
    pub covert: bool,
    /// Whether the order or the home asks for a second person at every dose.
    pub witness: bool,
    /// The order that it replaces.
    pub replaces: Option<PrescriptionId>,
}

/// An order that holds together.
#[derive(Debug, Clone, PartialEq)]
pub struct Order(OrderFacts);

impl core::ops::Deref for Order {
    type Target = OrderFacts;
    fn deref(&self) -> &OrderFacts {
        &self.0
    }
}

/// Why an order is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// No dosage.
    #[error("the order states no dosage: state how much and when")]
    NoDosage,
    /// A dosage that contradicts itself.
    #[error("dosage {number}: {path} {text}")]
    Dosage {
        /// Which, from 1.
        number: usize,
        /// Where.
        path: String,
        /// What is wrong.
        text: String,
    },
    /// Stop before start.
    #[error("the order stops before it starts: correct one of the two")]
    StopBeforeStart,
    /// A pause that ends before it begins.
    #[error("a pause ends before it begins: correct one of the two")]
    PauseBackwards,
    /// Stopped, and not said when.
    #[error("the order is stopped without a time: state from when")]
    NoStop,
    /// An interval that is none.
    #[error("the least time between two doses is not above zero: correct it or leave it out")]
    Apart,
    /// It replaces itself.
    #[error("the order replaces itself: name the order before it")]
    ReplacesItself,
}

impl Categorised for OrderError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

/// What an as-needed order must say and does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeedGap {
    /// What it is needed for.
    Reason,
    /// How much at once.
    Dose,
    /// The most in a day.
    Maximum,
    /// The least time between two doses.
    Interval,
    /// What it should bring about.
    Effect,
    /// When to look whether it did.
    FollowUp,
}

impl Order {
    /// An order, where it holds together.
    ///
    /// # Errors
    /// What contradicts itself.
    pub fn check(facts: OrderFacts) -> Result<Self, OrderError> {
        if facts.dosages.is_empty() {
            return Err(OrderError::NoDosage);
        }
        for (number, dosage) in (1..).zip(&facts.dosages) {
            let problems = dosage.problems();
            if let Some(wrong) = problems.into_iter().find(|p| p.weight == Weight::Error) {
                let (path, text) = (wrong.path, wrong.text);
                return Err(OrderError::Dosage { number, path, text });
            }
        }
        if facts.stop.is_some_and(|stop| stop < facts.start) {
            return Err(OrderError::StopBeforeStart);
        }
        if facts.status == Status::Stopped && facts.stop.is_none() {
            return Err(OrderError::NoStop);
        }
        if facts
            .pauses
            .iter()
            .any(|p| p.to.is_some_and(|to| to < p.from))
        {
            return Err(OrderError::PauseBackwards);
        }
        if facts.apart_seconds.is_some_and(|apart| apart <= 0) {
            return Err(OrderError::Apart);
        }
        if facts.replaces.as_ref() == Some(&facts.id) {
            return Err(OrderError::ReplacesItself);
        }
        Ok(Self(facts))
    }

    /// Whether any of it is given when needed.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.dosages
            .iter()
            .any(|dosage| dosage.as_needed.is_needed())
    }

    /// Whether any of it is given at set times.
    #[must_use]
    pub fn is_scheduled(&self) -> bool {
        self.dosages
            .iter()
            .any(|dosage| !dosage.as_needed.is_needed())
    }

    /// Which of its dosages a dose is one of, by place: that of its due dose; else the one that is `named`;
    /// else the only one that is given when needed, where it was `needed`, or the only one there is. None
    /// where several could be meant.
    #[must_use]
    pub fn dosage_of(
        &self,
        due: Option<&DueSlot>,
        needed: bool,
        named: Option<usize>,
    ) -> Option<usize> {
        let stated = due.map(|due| due.slot.dosage).or(named);
        if stated.is_some() {
            return stated.filter(|place| *place < self.dosages.len());
        }
        let mut own = self.dosages.iter().enumerate();
        let mut meant = own
            .by_ref()
            .filter(|(_, own)| !needed || own.as_needed.is_needed());
        let (place, _) = meant.next()?;
        meant.next().is_none().then_some(place)
    }

    /// What an as-needed order does not say though it must (NICE SC1, medicines given when needed).
    #[must_use]
    pub fn need_gaps(&self) -> Vec<NeedGap> {
        let mut gaps = Vec::new();
        let needed: Vec<&Dosage> = self
            .dosages
            .iter()
            .filter(|dosage| dosage.as_needed.is_needed())
            .collect();
        if needed.is_empty() {
            return gaps;
        }
        let any = |missing: fn(&Dosage) -> bool| needed.iter().any(|dosage| missing(dosage));
        let mut ask = |missing: bool, gap: NeedGap| {
            if missing {
                gaps.push(gap);
            }
        };
        ask(
            any(|d| !matches!(d.as_needed, AsNeeded::For(_))),
            NeedGap::Reason,
        );
        ask(any(|d| d.dose().is_none()), NeedGap::Dose);
        ask(any(|d| d.max_dose_per_period.is_none()), NeedGap::Maximum);
        let timed = |d: &Dosage| d.timing.as_ref().is_some_and(|t| t.rule().is_some());
        let apart = self.apart_seconds.is_some() || needed.iter().all(|d| timed(d));
        ask(!apart, NeedGap::Interval);
        ask(self.need.expected.is_none(), NeedGap::Effect);
        ask(self.need.effect_after.is_none(), NeedGap::FollowUp);
        gaps
    }

    /// The ingredients of it.
    pub fn substances(&self) -> impl Iterator<Item = &Substance> {
        self.article.ingredients.iter().map(|one| &one.substance)
    }

    /// Whether a moment lies in a pause.
    #[must_use]
    pub fn paused(&self, at: Timestamp) -> Option<&Pause> {
        self.pauses.iter().find(|pause| pause.holds(at))
    }

    /// Every dose of it that is due in `[from, to)`, each with its key. What lies in a pause is among
    /// them: the chart shows it as paused.
    ///
    /// # Errors
    /// A dosage that has no place on the calendar.
    pub fn slots(
        &self,
        home: &Home,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<DueSlot>, ScheduleError> {
        if !self.status.was_given() || !self.is_scheduled() {
            return Ok(Vec::new());
        }
        let setting = Setting {
            zone: home.zone.clone(),
            rounds: home.rounds.clone(),
            start: self.start,
            stop: self.stop,
            window: self.window,
        };
        let slots = due_checked(&self.dosages, &setting, from, to)?;
        let mut keyed: Vec<DueSlot> = Vec::with_capacity(slots.len());
        for slot in slots {
            // On the night when the clocks go forward two clock times are one instant.
            let same = keyed.iter().rev().take_while(|own| own.slot.at == slot.at);
            let nth = same.filter(|own| own.slot.dosage == slot.dosage).count();
            keyed.push(DueSlot {
                key: SlotKey {
                    order: self.id.clone(),
                    dosage: slot.dosage as u16,
                    at: slot.at,
                    nth: nth as u16,
                },
                slot,
            });
        }
        Ok(keyed)
    }
}

/// A home's zone and day.
#[derive(Debug, Clone)]
pub struct Home {
    /// Its zone.
    pub zone: jiff::tz::TimeZone,
    /// Its rounds.
    pub rounds: Rounds,
}

/// Which due dose: the order, which of its dosages, when. The same however often it is computed.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct SlotKey {
    /// The order.
    pub order: PrescriptionId,
    /// Which of its dosages.
    pub dosage: u16,
    /// When it is due.
    pub at: Timestamp,
    /// Which of several at one instant, from 0.
    pub nth: u16,
}

/// A text that is no key of a due dose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no due dose: write order/dosage/time/number as the chart has it")]
pub struct SlotKeyError(String);

impl Categorised for SlotKeyError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

impl core::fmt::Display for SlotKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}/{}/{}/{}", self.order, self.dosage, self.at, self.nth)
    }
}

impl core::str::FromStr for SlotKey {
    type Err = SlotKeyError;
    fn from_str(text: &str) -> Result<Self, SlotKeyError> {
        let read = || {
            let mut parts = text.split('/');
            let key = Self {
                order: parts.next()?.parse().ok()?,
                dosage: parts.next()?.parse().ok()?,
                at: Timestamp::from_rfc3339(parts.next()?)?,
                nth: parts.next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(key)
        };
        read().ok_or_else(|| SlotKeyError(text.chars().take(120).collect()))
    }
}

/// A due dose with its key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DueSlot {
    /// Which.
    pub key: SlotKey,
    /// When, with its window.
    pub slot: Slot,
}

impl DueSlot {
    /// Whether the clocks made it fall together with another, or moved it.
    #[must_use]
    pub fn moved(&self) -> bool {
        self.key.nth > 0 || self.slot.shift == Some(Shift::Skipped)
    }
}
