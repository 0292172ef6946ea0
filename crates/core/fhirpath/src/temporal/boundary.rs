//! The least and greatest values a partly written one may mean, and how many digits are written (N1 2.1,
//! sections on boundaries and precision).

use super::{Precision, Temporal, TemporalKind, days_in_month};

impl Temporal {
    /// Digits written: 4 for a year, 17 for a date-time to the millisecond, 9 for a time to it.
    pub(crate) fn digits_written(&self) -> u32 {
        let time = self.kind == TemporalKind::Time;
        let until_second = match self.precision {
            Precision::Year => 4,
            Precision::Month => 6,
            Precision::Day => 8,
            Precision::Hour => 10,
            Precision::Minute => 12,
            Precision::Second => 14,
        };
        until_second - if time { 8 } else { 0 } + u32::from(self.digits)
    }

    /// The least (or greatest) value it may mean, written to this many digits; none for a number of digits
    /// that ends inside a part.
    pub(crate) fn boundary(mut self, digits: u32, high: bool) -> Option<Self> {
        let time = self.kind == TemporalKind::Time;
        let (to, fraction) = precision_of(if time { digits + 8 } else { digits })?;
        if time && to < Precision::Hour || self.kind == TemporalKind::Date && to > Precision::Day {
            return None;
        }
        let written = self.precision;
        if written < Precision::Second {
            self.digits = 0;
        }
        if high {
            self.fill_high(written);
        } else if self.digits == 0 {
            self.nano = 0;
        }
        if to >= Precision::Hour && self.kind == TemporalKind::DateTime && self.offset.is_none() {
            // The earliest zone is 14 hours east, the latest 12 hours west.
            self.offset = Some(if high { -12 * 60 } else { 14 * 60 });
        }
        if to < Precision::Hour {
            self.offset = None;
        }
        self.precision = to;
        self.digits = fraction;
        Some(self)
    }

    fn fill_high(&mut self, written: Precision) {
        if written < Precision::Month {
            self.month = 12;
        }
        if written < Precision::Day {
            self.day = days_in_month(i64::from(self.year), self.month);
        }
        if written < Precision::Hour {
            self.hour = 23;
        }
        if written < Precision::Minute {
            self.minute = 59;
        }
        if written < Precision::Second {
            self.second = 59;
        }
        if self.digits < 3 {
            let unit = 10_u32.pow(u32::from(9 - self.digits));
            self.nano += unit - 1_000_000;
        }
    }
}

fn precision_of(digits: u32) -> Option<(Precision, u8)> {
    Some(match digits {
        4 => (Precision::Year, 0),
        6 => (Precision::Month, 0),
        8 => (Precision::Day, 0),
        10 => (Precision::Hour, 0),
        12 => (Precision::Minute, 0),
        14 => (Precision::Second, 0),
        17 => (Precision::Second, 3),
        _ => return None,
    })
}
