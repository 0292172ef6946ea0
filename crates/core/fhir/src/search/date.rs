//! Dates as the periods they imply: `2026-03` is the whole of March. Written by hand because every
//! resource has several and the general parsers cost more than the rest of the extraction.
//! Must not read a clock.

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 86_400 * SECOND;

/// A half-open period `[lo, hi)` in microseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// First microsecond.
    pub lo: i64,
    /// First microsecond after it.
    pub hi: i64,
}

/// The period a FHIR date, dateTime or instant stands for (FHIR R4 search, section 3.1.1.4.4): as long as
/// its last written part (year, month, day, minute, second, fraction down to microseconds). A text
/// without a zone is UTC. Years 0001 to 9999; second 60 counts as 59. `None` if the text is no date.
#[must_use]
pub fn implied_period(text: &str) -> Option<Period> {
    let bytes = text.as_bytes();
    let year = number(bytes, 0, 4)?;
    if year == 0 {
        return None;
    }
    if bytes.len() == 4 {
        return Some(Period {
            lo: day_start(year, 1, 1)?,
            hi: day_start(year + 1, 1, 1)?,
        });
    }
    expect(bytes, 4, b'-')?;
    let month = number(bytes, 5, 2)?;
    if bytes.len() == 7 {
        let (next_year, next_month) = if month == 12 {
            (year + 1, 1)
        } else {
            (year, month + 1)
        };
        return Some(Period {
            lo: day_start(year, month, 1)?,
            hi: day_start(next_year, next_month, 1)?,
        });
    }
    expect(bytes, 7, b'-')?;
    let midnight = day_start(year, month, number(bytes, 8, 2)?)?;
    if bytes.len() == 10 {
        return Some(Period {
            lo: midnight,
            hi: midnight + DAY,
        });
    }
    expect(bytes, 10, b'T')?;
    let (time, length, zone) = time_of_day(bytes)?;
    let lo = midnight + time - offset(zone)?;
    Some(Period {
        lo,
        hi: lo + length,
    })
}

/// Reads `hh:mm[:ss[.fff]]` from byte 11: its microseconds, how long its last part lasts, and the rest.
fn time_of_day(bytes: &[u8]) -> Option<(i64, i64, &[u8])> {
    let hour = number(bytes, 11, 2).filter(|hour| *hour < 24)?;
    expect(bytes, 13, b':')?;
    let minute = number(bytes, 14, 2).filter(|minute| *minute < 60)?;
    let start = (hour * 60 + minute) * MINUTE;
    if bytes.get(16) != Some(&b':') {
        return Some((start, MINUTE, bytes.get(16..)?));
    }
    let second = number(bytes, 17, 2).filter(|second| *second <= 60)?.min(59);
    let start = start + second * SECOND;
    if bytes.get(19) != Some(&b'.') {
        return Some((start, SECOND, bytes.get(19..)?));
    }
    let rest = bytes.get(20..)?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    let mut fraction = 0;
    let mut unit = SECOND;
    for digit in rest.iter().take(digits.min(6)) {
        unit /= 10;
        fraction += i64::from(digit - b'0') * unit;
    }
    Some((start + fraction, unit, rest.get(digits..)?))
}

/// Microseconds that local time of a zone is ahead of UTC: nothing or `Z` is 0.
fn offset(zone: &[u8]) -> Option<i64> {
    let sign = match zone {
        [] | [b'Z'] => return Some(0),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return None,
    };
    if zone.len() != 6 {
        return None;
    }
    expect(zone, 3, b':')?;
    let hours = number(zone, 1, 2).filter(|hours| *hours <= 14)?;
    let minutes = number(zone, 4, 2).filter(|minutes| *minutes < 60)?;
    Some(sign * (hours * 60 + minutes) * MINUTE)
}

fn expect(bytes: &[u8], at: usize, wanted: u8) -> Option<()> {
    (bytes.get(at) == Some(&wanted)).then_some(())
}

fn number(bytes: &[u8], at: usize, digits: usize) -> Option<i64> {
    bytes.get(at..at + digits)?.iter().try_fold(0, |sum, b| {
        b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0'))
    })
}

/// Microseconds of the midnight that begins a day of the Gregorian calendar; `None` if there is no such
/// day. Counts from 1 March, so that the leap day ends the year (H. Hinnant, chrono-compatible date
/// algorithms).
fn day_start(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    let shifted_year = year - i64::from(month <= 2);
    let shifted_month = (month + 9) % 12;
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some((era * 146_097 + day_of_era - 719_468) * DAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn micros(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn dates_last_as_long_as_their_last_part() {
        for (text, lo, hi) in [
            ("2026", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2024-02", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
            ("1900-03-01", "1900-03-01T00:00:00Z", "1900-03-02T00:00:00Z"),
            (
                "2026-03-05T08:09",
                "2026-03-05T08:09:00Z",
                "2026-03-05T08:10:00Z",
            ),
            (
                "2026-03-05T08:09Z",
                "2026-03-05T08:09:00Z",
                "2026-03-05T08:10:00Z",
            ),
            (
                "2026-03-05T08:09:10+01:00",
                "2026-03-05T07:09:10Z",
                "2026-03-05T07:09:11Z",
            ),
            (
                "2026-03-05T23:09:10-05:30",
                "2026-03-06T04:39:10Z",
                "2026-03-06T04:39:11Z",
            ),
            (
                "2026-03-05T08:09:10.12Z",
                "2026-03-05T08:09:10.12Z",
                "2026-03-05T08:09:10.13Z",
            ),
            (
                "2026-03-05T08:09:10.1234567Z",
                "2026-03-05T08:09:10.123456Z",
                "2026-03-05T08:09:10.123457Z",
            ),
            (
                "2016-12-31T23:59:60Z",
                "2016-12-31T23:59:59Z",
                "2017-01-01T00:00:00Z",
            ),
        ] {
            let period = implied_period(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((period.lo, period.hi), (micros(lo), micros(hi)), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_gives_none() {
        for bad in [
            "",
            "26",
            "0000",
            "2026-",
            "2026-13",
            "2026-00",
            "2026-02-30",
            "2023-02-29",
            "2026-3-5",
            "2026-03-05T",
            "2026-03-05T08",
            "2026-03-05T24:00",
            "2026-03-05T08:60",
            "2026-03-05T08:09:61",
            "2026-03-05T08:09:10.Z",
            "2026-03-05T08:09:10+1",
            "2026-03-05T08:09:10 01:00",
            "2026-03-05T08:09:10+15:00",
            "2026-03-05 08:09",
            "２０２６",
            "2026-03-05T08:09:10Zx",
        ] {
            assert_eq!(implied_period(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_calendar_library(second in -60_000_000_000i64..250_000_000_000, minutes in -839i32..839) {
            let Ok(time) = jiff::Timestamp::from_second(second) else { return Ok(()) };
            let zone = jiff::tz::Offset::from_seconds(minutes * 60).unwrap();
            let local = zone.to_datetime(time);
            prop_assume!((1..=9999).contains(&local.year()));
            let sign = if minutes < 0 { '-' } else { '+' };
            let text = format!("{}{sign}{:02}:{:02}", local.strftime("%Y-%m-%dT%H:%M:%S"), minutes.abs() / 60, minutes.abs() % 60);
            let period = implied_period(&text).unwrap();
            prop_assert_eq!(period.lo, time.as_microsecond());
            prop_assert_eq!(period.hi, time.as_microsecond() + 1_000_000);
            // Each shorter form contains it.
            let local_text = local.strftime("%Y-%m-%dT%H:%M:%S").to_string();
            let whole = implied_period(&local_text).unwrap();
            for length in [4, 7, 10, 16] {
                let wider = implied_period(&local_text[..length]).unwrap();
                prop_assert!(wider.lo <= whole.lo && whole.hi <= wider.hi);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,30}|[0-9T:Z.+-]{0,30}") {
            if let Some(period) = implied_period(&text) {
                prop_assert!(period.lo < period.hi);
            }
        }
    }
}
