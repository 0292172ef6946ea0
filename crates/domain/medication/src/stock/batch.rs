//! One batch, or one pack where its serial number is known: until when it may be used, and why no longer.
//! Must not decide which batch is taken: that is `allocate`'s.

use std::collections::BTreeSet;

use jiff::ToSpan as _;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use kernel::Timestamp;

use crate::dosage::at;
use crate::gs1;

/// What tells one batch from another.
#[derive(
    Debug,
    Clone,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Batch {
    /// The last day of use; none where the pack does not say, or nobody read it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expiry: Option<Date>,
    /// Batch or lot.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lot: Option<String>,
    /// The serial number of one pack: then it is that pack alone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serial: Option<String>,
}

impl Batch {
    /// What a scan says.
    #[must_use]
    pub fn of_pack(pack: &gs1::Pack) -> Self {
        let expiry = pack.expiry.and_then(|date| {
            let (year, month, day) = date.last_day();
            Date::new(
                i16::try_from(year).ok()?,
                i8::try_from(month).ok()?,
                i8::try_from(day).ok()?,
            )
            .ok()
        });
        Self {
            expiry,
            lot: pack.batch.clone(),
            serial: pack.serial.clone(),
        }
    }

    /// Whether a pack that says this may be of that batch: what both of them say agrees.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        fn agree<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
            one.is_none() || other.is_none() || one == other
        }
        agree(self.lot.as_ref(), other.lot.as_ref())
            && agree(self.serial.as_ref(), other.serial.as_ref())
            && agree(self.expiry.as_ref(), other.expiry.as_ref())
    }

    /// The first moment at which it may not be used, by its expiry alone: the day counts whole.
    #[must_use]
    pub fn expires(&self, zone: &TimeZone) -> Option<Timestamp> {
        let next = self.expiry?.tomorrow().ok()?;
        Some(at(zone, next.to_datetime(Time::midnight())))
    }
}

/// That a pack was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Opened {
    /// When.
    pub at: Timestamp,
    /// For how many days it may be used from then on.
    pub life_days: u16,
}

impl Opened {
    /// The first moment at which it may not be used: so many days of the calendar later, at the same
    /// clock time.
    #[must_use]
    pub fn ends(&self, zone: &TimeZone) -> Timestamp {
        let opened = jiff::Timestamp::from_microsecond(self.at.as_micros())
            .map(|t| t.to_zoned(zone.clone()))
            .and_then(|t| t.checked_add(i64::from(self.life_days).days()));
        // A moment beyond the calendar has no life left.
        opened.map_or(self.at, |t| {
            Timestamp::from_micros(t.timestamp().as_microsecond())
        })
    }
}

/// That a lot was called back.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Recall {
    /// Since when.
    pub at: Timestamp,
    /// The notice.
    pub notice: String,
}

/// What a list outside the stock calls back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallBack {
    /// The number of the packs (GTIN).
    pub gtin: String,
    /// Whether the medicine is packed under that number alone.
    pub alone: bool,
    /// The lot; none: all of the number.
    pub lot: Option<String>,
    /// The notice.
    pub recall: Recall,
}

impl CallBack {
    /// Whether it is of a lot whose packs have these numbers. Where nobody read one, a whole number counts for
    /// every pack of a medicine that has no other, and a lot by itself.
    pub(super) fn is_of(&self, lot: Option<&String>, numbers: Option<&BTreeSet<String>>) -> bool {
        let same = self.lot.is_none() || self.lot.as_ref() == lot;
        same && match numbers {
            Some(numbers) => numbers.contains(&self.gtin),
            None => self.alone || self.lot.is_some(),
        }
    }
}

/// Why a batch may not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unusable {
    /// Its last day is over.
    Expired,
    /// It was opened too long ago.
    OpenTooLong,
    /// It was called back.
    Recalled,
}

impl core::fmt::Display for Unusable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Expired => "expired",
            Self::OpenTooLong => "was opened too long ago",
            Self::Recalled => "was recalled",
        })
    }
}
