//! Order and equality of values that may be written to different precisions or in unknown zones: no answer
//! where the unwritten parts would decide.

use core::cmp::Ordering;

use super::{Precision, Temporal, TemporalKind};

/// Nanoseconds of a minute.
const MINUTE: i128 = 60_000_000_000;

impl Temporal {
    /// Before, after or the same; none where it is not known. Values of different kinds compare only as
    /// date and date-time.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        if (self.kind == TemporalKind::Time) != (other.kind == TemporalKind::Time) {
            return None;
        }
        match (self.offset, other.offset) {
            (Some(a), Some(b)) if a != b => self.to_utc().parts_compare(&other.to_utc()),
            (Some(_), None) | (None, Some(_)) => self.compare_across_zones(other),
            _ => self.parts_compare(other),
        }
    }

    /// Whether two values are the same; none where it is not known.
    #[must_use]
    pub fn equals(&self, other: &Self) -> Option<bool> {
        if (self.kind == TemporalKind::Time) != (other.kind == TemporalKind::Time) {
            return Some(false);
        }
        self.compare(other).map(Ordering::is_eq)
    }

    /// Equivalence (`~`): the same, and written to the same precision.
    #[must_use]
    pub fn equivalent(&self, other: &Self) -> bool {
        self.precision == other.precision && self.equals(other) == Some(true)
    }

    fn parts_compare(&self, other: &Self) -> Option<Ordering> {
        let order = self
            .parts(other.precision)
            .cmp(&other.parts(self.precision));
        if order.is_ne() || self.precision == other.precision {
            return Some(order);
        }
        None
    }

    /// The parts as written, none beyond a precision.
    fn parts(&self, within: Precision) -> [u32; 7] {
        let to = self.precision.min(within);
        let part = |from: Precision, value: u32| if to >= from { value } else { 0 };
        [
            u32::from(self.year.unsigned_abs()),
            part(Precision::Month, self.month.into()),
            part(Precision::Day, self.day.into()),
            part(Precision::Hour, self.hour.into()),
            part(Precision::Minute, self.minute.into()),
            part(Precision::Second, self.second.into()),
            part(Precision::Second, self.nano),
        ]
    }

    /// The same time in UTC, at the same precision. Years stay in range: one minute beyond is the next year.
    fn to_utc(self) -> Self {
        let Some(offset) = self.offset else {
            return self;
        };
        let nanos = self.nanos() - i64::from(offset) * 60_000_000_000;
        let day = 86_400_000_000_000;
        let mut moved = self;
        moved.set_date(self.days() + nanos.div_euclid(day));
        moved.set_time(nanos.rem_euclid(day));
        moved.offset = Some(0);
        moved
    }

    /// One has a zone, the other may be in any: decided only where no zone could change it.
    fn compare_across_zones(&self, other: &Self) -> Option<Ordering> {
        let (a, b) = (self.span(), other.span());
        if a.1 <= b.0 {
            Some(Ordering::Less)
        } else if b.1 <= a.0 {
            Some(Ordering::Greater)
        } else {
            None
        }
    }

    /// The nanoseconds since the epoch it may mean, end exclusive.
    fn span(&self) -> (i128, i128) {
        let day = 1440 * MINUTE;
        let start = i128::from(self.days()) * day + i128::from(self.nanos());
        let length = match self.precision {
            Precision::Year => 366 * day,
            Precision::Month => 31 * day,
            Precision::Day => day,
            Precision::Hour => 60 * MINUTE,
            Precision::Minute => MINUTE,
            Precision::Second => 1,
        };
        // Zones reach from 12 hours west to 14 hours east.
        let (early, late) = match self.offset {
            Some(offset) => (-i128::from(offset), -i128::from(offset)),
            None => (-14 * 60, 12 * 60),
        };
        (start + early * MINUTE, start + length + late * MINUTE)
    }
}
