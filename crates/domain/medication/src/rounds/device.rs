//! What a device needs to hold a dose against the limits without units and products: each limit with its
//! number, and of every dose how much of it each limit counts. Units are converted here, so that the device
//! only adds decimals up. Must not turn an amount that is not known into none.

use std::collections::BTreeMap;

use kernel::Timestamp;

use crate::ids::RecordId;
use crate::limits::{self, Bound, Entry, Limit, Verdict, Why};
use crate::quantity::Quantity;

/// The limits of a resident, and the doses they look back at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DeviceLimits {
    /// The limits, in the order in which doses name them.
    pub limits: Vec<DeviceLimit>,
    /// The doses that count.
    pub history: Vec<DeviceDose>,
}

/// What a limit bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An amount at once.
    Single,
    /// An amount in any stretch of time.
    Rolling,
    /// An amount between two midnights.
    Day,
    /// Doses in any stretch of time.
    Times,
    /// Doses between two midnights.
    TimesADay,
    /// Time from dose to dose.
    Apart,
    /// An amount ever.
    Ever,
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DeviceLimit {
    /// What it bounds.
    pub kind: Kind,
    /// The most: an amount in the unit, or a number of doses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<String>,
    /// The unit that people read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The length of the stretch, or the least time between two doses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<i64>,
    /// What breaking it makes of the decision.
    pub effect: Verdict,
    /// How many seconds around a dose it looks; none where at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reach: Option<i64>,
}

/// How much of a dose a limit counts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// It counts the dose, not its amount.
    Dose,
    /// So much, in the limit's unit.
    Amount(String),
    /// It is not known, for this reason: `unmeasured`, `incomparable`, `bad_entry`.
    Unknown(&'static str),
}

/// A dose as the limits see it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DeviceDose {
    /// Its record.
    pub id: RecordId,
    /// When.
    pub at: Timestamp,
    /// Name of the product.
    pub name: String,
    /// By number of the limit, what that counts of it; limits that are not of it are left out.
    pub counts: BTreeMap<usize, Counted>,
    /// Whether nothing is known of what it holds.
    pub opaque: bool,
    /// Whether it is not above zero.
    pub not_positive: bool,
    /// What it holds, by name.
    pub holds: Vec<String>,
}

impl DeviceLimits {
    /// Prepares limits and doses for a device.
    #[must_use]
    pub fn of(limits: &[Limit], history: &[Entry]) -> Self {
        Self {
            limits: limits.iter().map(limit).collect(),
            history: history.iter().map(|own| dose(own, limits)).collect(),
        }
    }
}

impl DeviceDose {
    /// A dose under limits.
    #[must_use]
    pub fn of(entry: &Entry, limits: &[Limit]) -> Self {
        dose(entry, limits)
    }
}

fn most(bound: &Bound) -> Option<&Quantity> {
    match bound {
        Bound::Single { most }
        | Bound::Rolling { most, .. }
        | Bound::Day { most }
        | Bound::Ever { most } => Some(most),
        _ => None,
    }
}

fn limit(own: &Limit) -> DeviceLimit {
    let (kind, seconds, times) = match &own.bound {
        Bound::Single { .. } => (Kind::Single, None, None),
        Bound::Rolling { seconds, .. } => (Kind::Rolling, Some(*seconds), None),
        Bound::Day { .. } => (Kind::Day, None, None),
        Bound::Times { most, seconds } => (Kind::Times, Some(*seconds), Some(*most)),
        Bound::TimesADay { most } => (Kind::TimesADay, None, Some(*most)),
        Bound::Apart { seconds } => (Kind::Apart, Some(*seconds), None),
        Bound::Ever { .. } => (Kind::Ever, None, None),
    };
    let amount = most(&own.bound);
    let reach = limits::reach(own);
    DeviceLimit {
        kind,
        most: amount
            .map(|own| own.value.value().to_string())
            .or_else(|| times.map(|own| own.to_string())),
        unit: amount.map(|own| {
            own.unit
                .said(own.value.value() == rust_decimal::Decimal::ONE)
        }),
        seconds,
        effect: own.effect,
        reach: (reach != i64::MAX).then_some(reach),
    }
}

fn counted(own: &Limit, entry: &Entry) -> Counted {
    let Some(most) = most(&own.bound) else {
        return Counted::Dose;
    };
    match limits::amount(&own.scope, entry, &most.unit) {
        Ok(amount) => Counted::Amount(amount.to_string()),
        Err(why) => Counted::Unknown(match *why {
            Why::BadEntry { .. } => "bad_entry",
            Why::Incomparable { .. } => "incomparable",
            _ => "unmeasured",
        }),
    }
}

fn dose(entry: &Entry, limits: &[Limit]) -> DeviceDose {
    let under = limits.iter().enumerate();
    let under = under.filter(|(_, own)| limits::applies(own, entry));
    let mut holds: Vec<String> = entry
        .contents
        .iter()
        .map(|own| own.substance.as_str().to_owned())
        .collect();
    holds.sort_unstable();
    holds.dedup();
    DeviceDose {
        id: entry.id.clone(),
        at: entry.at,
        name: entry.name.clone(),
        counts: under
            .map(|(number, own)| (number, counted(own, entry)))
            .collect(),
        opaque: entry.contents.is_empty(),
        not_positive: entry
            .dose
            .as_ref()
            .is_some_and(|own| own.value.value() <= rust_decimal::Decimal::ZERO),
        holds,
    }
}
