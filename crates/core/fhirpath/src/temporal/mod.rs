//! Dates, date-times and times with partial precision and zones (N1, sections 2.1.4 and 6.2): what is not
//! written is not known, so comparisons may have no answer. Must not read a clock.

mod arithmetic;
mod boundary;
mod civil;
mod compare;
mod parse;
#[cfg(test)]
mod tests;

use core::fmt;

pub(crate) use civil::{civil_from_days, days_from_civil, days_in_month};

/// Which of the three types it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TemporalKind {
    /// System.Date
    Date,
    /// System.DateTime
    DateTime,
    /// System.Time
    Time,
}

impl TemporalKind {
    /// The name of the type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Date => "Date",
            Self::DateTime => "DateTime",
            Self::Time => "Time",
        }
    }
}

/// How far it is written; a fraction belongs to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// `2024`
    Year,
    /// `2024-02`
    Month,
    /// `2024-02-29`
    Day,
    /// `T10`
    Hour,
    /// `T10:30`
    Minute,
    /// `T10:30:00`, with or without a fraction
    Second,
}

/// A date, date-time or time. Parts beyond the precision hold their least value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Temporal {
    pub(crate) kind: TemporalKind,
    pub(crate) precision: Precision,
    pub(crate) year: i16,
    pub(crate) month: u8,
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
    /// Nanoseconds.
    pub(crate) nano: u32,
    /// Digits of the fraction written, at most 9.
    pub(crate) digits: u8,
    /// Minutes east of UTC.
    pub(crate) offset: Option<i16>,
}

impl Temporal {
    /// Date, date-time or time.
    #[must_use]
    pub const fn kind(&self) -> TemporalKind {
        self.kind
    }

    /// How far it is written.
    #[must_use]
    pub const fn precision(&self) -> Precision {
        self.precision
    }

    pub(crate) const fn blank(kind: TemporalKind, precision: Precision) -> Self {
        Self {
            kind,
            precision,
            year: 1,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            nano: 0,
            digits: 0,
            offset: None,
        }
    }

    /// A point in time, written to the millisecond in a zone.
    pub(crate) fn of(time: kernel::Timestamp, offset: i16) -> Self {
        let local = time.as_millis() + i64::from(offset) * 60_000;
        let mut value = Self::blank(TemporalKind::DateTime, Precision::Second);
        value.set_date(local.div_euclid(86_400_000));
        value.set_time(local.rem_euclid(86_400_000) * 1_000_000);
        value.digits = 3;
        value.offset = Some(offset);
        value
    }

    /// The date of it.
    pub(crate) fn date(self) -> Self {
        Self {
            kind: TemporalKind::Date,
            precision: self.precision.min(Precision::Day),
            hour: 0,
            minute: 0,
            second: 0,
            nano: 0,
            digits: 0,
            offset: None,
            ..self
        }
    }

    /// The time of day of it.
    pub(crate) const fn time(self) -> Self {
        Self {
            kind: TemporalKind::Time,
            year: 1,
            month: 1,
            day: 1,
            offset: None,
            ..self
        }
    }

    /// The same date as a date-time of the same precision.
    pub(crate) fn datetime(self) -> Self {
        Self {
            kind: TemporalKind::DateTime,
            ..self
        }
    }

    pub(crate) fn set_date(&mut self, days: i64) {
        let (year, month, day) = civil_from_days(days);
        self.year = year as i16;
        self.month = month;
        self.day = day;
    }

    pub(crate) fn set_time(&mut self, nanos: i64) {
        let seconds = nanos / 1_000_000_000;
        self.nano = (nanos % 1_000_000_000) as u32;
        self.hour = (seconds / 3600) as u8;
        self.minute = (seconds / 60 % 60) as u8;
        self.second = (seconds % 60) as u8;
    }

    /// Days since 1970-01-01.
    pub(crate) fn days(&self) -> i64 {
        days_from_civil(i64::from(self.year), self.month, self.day)
    }

    /// Nanoseconds since midnight.
    pub(crate) fn nanos(&self) -> i64 {
        let seconds =
            i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        seconds * 1_000_000_000 + i64::from(self.nano)
    }
}

impl fmt::Display for Temporal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind != TemporalKind::Time {
            write!(f, "{:04}", self.year)?;
            if self.precision >= Precision::Month {
                write!(f, "-{:02}", self.month)?;
            }
            if self.precision >= Precision::Day {
                write!(f, "-{:02}", self.day)?;
            }
        }
        if self.precision >= Precision::Hour {
            if self.kind == TemporalKind::DateTime {
                f.write_str("T")?;
            }
            write!(f, "{:02}", self.hour)?;
        }
        if self.precision >= Precision::Minute {
            write!(f, ":{:02}", self.minute)?;
        }
        if self.precision >= Precision::Second {
            write!(f, ":{:02}", self.second)?;
            if self.digits > 0 {
                let fraction = format!("{:09}", self.nano);
                let end = usize::from(self.digits).min(fraction.len());
                write!(f, ".{}", fraction.get(..end).unwrap_or_default())?;
            }
        }
        match self.offset {
            Some(0) => f.write_str("Z"),
            Some(offset) => {
                let sign = if offset < 0 { '-' } else { '+' };
                let minutes = offset.unsigned_abs();
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
            None => Ok(()),
        }
    }
}
