//! Reads dates and times: literals of the language, FHIR primitives, and strings to convert. Must not
//! accept a day that does not exist.

use super::{Precision, Temporal, TemporalKind, days_in_month};

/// Takes digits from the front of a text.
struct Cursor<'t>(&'t [u8]);

impl Cursor<'_> {
    fn number(&mut self, digits: usize) -> Option<u32> {
        let (head, rest) = self.0.split_at_checked(digits)?;
        let value = head.iter().try_fold(0, |value: u32, byte| {
            byte.is_ascii_digit()
                .then(|| value * 10 + u32::from(byte - b'0'))
        })?;
        self.0 = rest;
        Some(value)
    }

    fn eat(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn part(&mut self, range: core::ops::RangeInclusive<u32>) -> Option<u8> {
        let value = self.number(2)?;
        range.contains(&value).then_some(value as u8)
    }
}

impl Temporal {
    /// A literal without its `@`: `2024-02`, `2024T`, `2024-02-29T10:30Z`, `T10:30`.
    pub(crate) fn literal(text: &str) -> Option<Self> {
        if let Some(time) = text.strip_prefix('T') {
            return Self::parse_time(time);
        }
        if text.contains('T') {
            Self::parse_datetime(text)
        } else {
            Self::parse_date(text)
        }
    }

    /// A date: `2024`, `2024-02`, `2024-02-29`.
    pub(crate) fn parse_date(text: &str) -> Option<Self> {
        let mut cursor = Cursor(text.as_bytes());
        let date = read_date(&mut cursor)?;
        cursor.0.is_empty().then_some(date)
    }

    /// A date-time; one without a time may end in `T`.
    pub(crate) fn parse_datetime(text: &str) -> Option<Self> {
        let mut cursor = Cursor(text.as_bytes());
        let mut value = read_date(&mut cursor)?;
        value.kind = TemporalKind::DateTime;
        if cursor.eat(b'T') && !cursor.0.is_empty() {
            if value.precision != Precision::Day {
                return None;
            }
            read_time(&mut cursor, &mut value)?;
            value.offset = read_zone(&mut cursor)?;
        }
        cursor.0.is_empty().then_some(value)
    }

    /// A time of day, without zone.
    pub(crate) fn parse_time(text: &str) -> Option<Self> {
        let text = text.strip_prefix('T').unwrap_or(text);
        let mut cursor = Cursor(text.as_bytes());
        let mut value = Self::blank(TemporalKind::Time, Precision::Hour);
        read_time(&mut cursor, &mut value)?;
        cursor.0.is_empty().then_some(value)
    }
}

fn read_date(cursor: &mut Cursor<'_>) -> Option<Temporal> {
    let mut value = Temporal::blank(TemporalKind::Date, Precision::Year);
    value.year = cursor.number(4)? as i16;
    if value.year == 0 {
        return None;
    }
    if cursor.eat(b'-') {
        value.month = cursor.part(1..=12)?;
        value.precision = Precision::Month;
        if cursor.eat(b'-') {
            let last = days_in_month(i64::from(value.year), value.month);
            value.day = cursor.part(1..=u32::from(last))?;
            value.precision = Precision::Day;
        }
    }
    Some(value)
}

fn read_time(cursor: &mut Cursor<'_>, value: &mut Temporal) -> Option<()> {
    value.hour = cursor.part(0..=23)?;
    value.precision = Precision::Hour;
    if cursor.eat(b':') {
        value.minute = cursor.part(0..=59)?;
        value.precision = Precision::Minute;
        if cursor.eat(b':') {
            // A leap second counts as the one before it.
            value.second = cursor.part(0..=60)?.min(59);
            value.precision = Precision::Second;
            if cursor.eat(b'.') {
                read_fraction(cursor, value)?;
            }
        }
    }
    Some(())
}

fn read_fraction(cursor: &mut Cursor<'_>, value: &mut Temporal) -> Option<()> {
    let mut digits = 0_u8;
    while let Some(digit) = cursor.0.first().filter(|byte| byte.is_ascii_digit()) {
        // Digits beyond the nanosecond are read and dropped.
        if digits < 9 {
            value.nano = value.nano * 10 + u32::from(digit - b'0');
            digits += 1;
        }
        cursor.0 = cursor.0.get(1..)?;
    }
    value.digits = digits;
    value.nano *= 10_u32.pow(u32::from(9 - digits));
    (digits > 0).then_some(())
}

/// The outer option is failure, the inner one absence.
#[expect(
    clippy::option_option,
    reason = "a private reader: absence of a zone is no failure"
)]
fn read_zone(cursor: &mut Cursor<'_>) -> Option<Option<i16>> {
    if cursor.0.is_empty() {
        return Some(None);
    }
    if cursor.eat(b'Z') {
        return Some(Some(0));
    }
    let sign = if cursor.eat(b'-') {
        -1
    } else if cursor.eat(b'+') {
        1
    } else {
        return None;
    };
    let hours = cursor.part(0..=14)?;
    if !cursor.eat(b':') {
        return None;
    }
    let minutes = cursor.part(0..=59)?;
    Some(Some(sign * (i16::from(hours) * 60 + i16::from(minutes))))
}
