//! Dates and times plus or minus durations (N1, section 6.6.3): calendar arithmetic at the precision of the
//! value; a finer unit counts in whole coarser ones.

use super::{Precision, Temporal, TemporalKind, days_in_month};
use crate::quantity::CalendarUnit;

const DAY: i64 = 86_400_000_000_000;

impl Temporal {
    /// This value plus a whole number of units; none beyond the years 1 to 9999.
    pub(crate) fn plus(self, count: i64, unit: CalendarUnit) -> Option<Self> {
        if self.kind == TemporalKind::Time {
            return self.time_plus(count, unit);
        }
        let (count, unit) = self.at_precision(count, unit)?;
        match unit {
            CalendarUnit::Year => self.months_plus(count.checked_mul(12)?),
            CalendarUnit::Month => self.months_plus(count),
            CalendarUnit::Week => self.days_plus(count.checked_mul(7)?),
            CalendarUnit::Day => self.days_plus(count),
            finer => {
                let nanos = self
                    .nanos()
                    .checked_add(count.checked_mul(finer.nanos()?)?)?;
                let mut moved = self.days_plus(nanos.div_euclid(DAY))?;
                moved.set_time(nanos.rem_euclid(DAY));
                Some(moved.with_room_for(finer))
            }
        }
    }

    fn time_plus(mut self, count: i64, unit: CalendarUnit) -> Option<Self> {
        let nanos = count.checked_mul(unit.nanos()?)?;
        let step = match self.precision {
            Precision::Hour => 3_600_000_000_000,
            Precision::Minute => 60_000_000_000,
            _ => 1,
        };
        self.set_time((self.nanos() + nanos / step * step % DAY).rem_euclid(DAY));
        Some(self.with_room_for(unit))
    }

    /// Milliseconds show in a value that had none.
    fn with_room_for(mut self, unit: CalendarUnit) -> Self {
        if unit == CalendarUnit::Millisecond && self.nano > 0 {
            self.digits = self.digits.max(3);
        }
        self
    }

    /// The same duration in a unit the value is written to: 25 months are 2 years of `@2014`.
    fn at_precision(self, count: i64, unit: CalendarUnit) -> Option<(i64, CalendarUnit)> {
        let (mut count, mut unit) = (count, unit);
        while unit.precision() > self.precision {
            let (per, coarser) = match unit {
                CalendarUnit::Millisecond => (1000, CalendarUnit::Second),
                CalendarUnit::Second => (60, CalendarUnit::Minute),
                CalendarUnit::Minute => (60, CalendarUnit::Hour),
                CalendarUnit::Hour => (24, CalendarUnit::Day),
                CalendarUnit::Week => {
                    count = count.checked_mul(7)?;
                    (30, CalendarUnit::Month)
                }
                CalendarUnit::Day => (30, CalendarUnit::Month),
                CalendarUnit::Month | CalendarUnit::Year => (12, CalendarUnit::Year),
            };
            count /= per;
            unit = coarser;
        }
        Some((count, unit))
    }

    fn months_plus(mut self, count: i64) -> Option<Self> {
        let months = (i64::from(self.year) * 12 + i64::from(self.month) - 1).checked_add(count)?;
        let year = months.div_euclid(12);
        if !(1..=9999).contains(&year) {
            return None;
        }
        self.year = year as i16;
        self.month = (months.rem_euclid(12) + 1) as u8;
        self.day = self.day.min(days_in_month(year, self.month));
        Some(self)
    }

    fn days_plus(mut self, count: i64) -> Option<Self> {
        let days = self.days().checked_add(count)?;
        // The day numbers of 0001-01-01 and 9999-12-31.
        if !(-719_162..=2_932_896).contains(&days) {
            return None;
        }
        self.set_date(days);
        Some(self)
    }
}
