//! Days and local wall-clock times, written as FHIR `date`, `dateTime` and `instant`. Must not read a
//! clock: the reference day comes in from outside.

/// A day of the Gregorian calendar, kept as days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

/// Where the wall clock hangs. Only the offsets that the two tenants need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    /// United Kingdom: UTC, one hour ahead from the last Sunday of March to the last of October.
    London,
    /// India: five and a half hours ahead all year.
    Kolkata,
}

/// A local time of day on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) day: Day,
    /// Minutes since midnight, 0 to 1,439.
    pub(crate) minute: u16,
    pub(crate) zone: Zone,
}

impl Day {
    /// The day of a year (1 to 9999), month (1 to 12) and day of the month; nothing when there is no
    /// such day.
    #[must_use]
    pub fn from_civil(year: i32, month: u8, day: u8) -> Option<Self> {
        if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
            return None;
        }
        let candidate = Self::unchecked(year, i32::from(month), i32::from(day));
        (candidate.civil() == (year, month, day)).then_some(candidate)
    }

    /// The day, in UTC, of a point in time.
    #[must_use]
    pub const fn from_timestamp(time: kernel::Timestamp) -> Self {
        Self(time.as_millis().div_euclid(86_400_000) as i32)
    }

    // Days from civil, counting years from March so that the leap day comes last.
    const fn unchecked(year: i32, month: i32, day: i32) -> Self {
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let of_era = year - era * 400;
        let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
        let days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
        Self(era * 146_097 + days - 719_468)
    }

    /// Year, month and day of the month.
    #[must_use]
    pub const fn civil(self) -> (i32, u8, u8) {
        let shifted = self.0 + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted - era * 146_097;
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * march + 2) / 5 + 1;
        let month = if march < 10 { march + 3 } else { march - 9 };
        let year = year + era * 400 + if month <= 2 { 1 } else { 0 };
        (year, month as u8, day as u8)
    }

    /// This day plus a number of days, which may be negative.
    #[must_use]
    pub const fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// Days from `earlier` to this day.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.saturating_sub(earlier.0)
    }

    /// Day of the week: 0 is Monday, 6 is Sunday.
    #[must_use]
    pub const fn weekday(self) -> u8 {
        (self.0 + 3).rem_euclid(7) as u8
    }

    /// Whole years from this day of birth to `then`.
    #[must_use]
    pub fn age_on(self, then: Self) -> i32 {
        let (born, month, day) = self.civil();
        let (year, then_month, then_day) = then.civil();
        year - born - i32::from((then_month, then_day) < (month, day))
    }

    pub(crate) const fn at(self, minute: u16, zone: Zone) -> Moment {
        Moment {
            day: self,
            minute,
            zone,
        }
    }

    /// Writes `YYYY-MM-DD`.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let (year, month, day) = self.civil();
        digits(out, year as u32, 4);
        out.push(b'-');
        digits(out, u32::from(month), 2);
        out.push(b'-');
        digits(out, u32::from(day), 2);
    }
}

impl Moment {
    /// The moment some minutes later; may run into the next day.
    pub(crate) const fn later(self, minutes: u16) -> Self {
        let total = self.minute as i32 + minutes as i32;
        Self {
            day: self.day.plus(total / 1_440),
            minute: (total % 1_440) as u16,
            zone: self.zone,
        }
    }

    /// Writes `YYYY-MM-DDThh:mm:00` and the offset, valid both as dateTime and as instant.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        self.day.write(out);
        out.push(b'T');
        write_time(self.minute, out);
        out.extend_from_slice(match self.zone {
            Zone::Kolkata => b"+05:30",
            Zone::London if summer(self.day) => b"+01:00",
            Zone::London => b"+00:00",
        });
    }
}

/// Writes `hh:mm:00`.
pub(crate) fn write_time(minute: u16, out: &mut Vec<u8>) {
    digits(out, u32::from(minute / 60), 2);
    out.push(b':');
    digits(out, u32::from(minute % 60), 2);
    out.extend_from_slice(b":00");
}

/// Writes a number with leading zeros up to a width of at most 10.
pub(crate) fn digits(out: &mut Vec<u8>, value: u32, width: u32) {
    for place in (0..width).rev() {
        out.push(b'0' + (value / 10_u32.pow(place) % 10) as u8);
    }
}

fn summer(day: Day) -> bool {
    let (year, _, _) = day.civil();
    let last_sunday = |month| {
        let last = Day::unchecked(year, month, 31);
        last.plus(-i32::from((last.weekday() + 1) % 7))
    };
    day >= last_sunday(3) && day < last_sunday(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(moment: Moment) -> String {
        let mut out = Vec::new();
        moment.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn days_go_to_civil_and_back() {
        assert_eq!(Day::from_civil(1970, 1, 1), Some(Day(0)));
        assert_eq!(Day::from_civil(2026, 2, 29), None);
        assert_eq!(Day::from_civil(2026, 13, 1), None);
        assert_eq!(Day::from_civil(2026, 4, 31), None);
        assert!(Day::from_civil(2024, 2, 29).is_some());
        for n in (-60_000..60_000).step_by(17) {
            let (year, month, day) = Day(n).civil();
            assert_eq!(Day::from_civil(year, month, day), Some(Day(n)));
        }
        assert_eq!(Day::from_civil(2026, 11, 23).unwrap().weekday(), 0);
    }

    #[test]
    fn ages_turn_on_the_birthday() {
        let born = Day::from_civil(1940, 6, 15).unwrap();
        assert_eq!(born.age_on(Day::from_civil(2026, 6, 14).unwrap()), 85);
        assert_eq!(born.age_on(Day::from_civil(2026, 6, 15).unwrap()), 86);
    }

    #[test]
    fn offsets_follow_the_zone() {
        for (year, month, day, expected) in [
            (2026, 3, 28, "2026-03-28T08:05:00+00:00"),
            (2026, 3, 29, "2026-03-29T08:05:00+01:00"),
            (2026, 10, 24, "2026-10-24T08:05:00+01:00"),
            (2026, 10, 25, "2026-10-25T08:05:00+00:00"),
        ] {
            let day = Day::from_civil(year, month, day).unwrap();
            assert_eq!(text(day.at(485, Zone::London)), expected);
        }
        let day = Day::from_civil(2026, 7, 1).unwrap();
        let late = day.at(1_430, Zone::Kolkata).later(20);
        assert_eq!(text(late), "2026-07-02T00:10:00+05:30");
    }
}
