//! Dates, times and ages as the NHS CUI guidance writes them: `05-Mar-2026`, `14:05 GMT`, `4w 1d`.
//! Must not read a clock: today comes in.

use std::fmt::Write as _;

use askama::Template;
use jiff::civil::Date;
use jiff::{Timestamp, Unit, Zoned};

/// The zone times are shown in: the tenant's.
#[derive(Debug, Clone)]
pub struct Zone(jiff::tz::TimeZone);

impl Zone {
    /// A zone by its IANA name; UTC where the name is unknown.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(jiff::tz::TimeZone::get(name).unwrap_or(jiff::tz::TimeZone::UTC))
    }
    /// The zone of a name.
    #[must_use]
    pub fn of(name: &kernel::ZoneName) -> Self {
        Self(name.zone())
    }
    /// The zone at a point in time, in words: `Europe/London (GMT)`.
    #[must_use]
    pub fn words_at(&self, time: kernel::Timestamp) -> String {
        let name = self.0.iana_name().unwrap_or("UTC").to_owned();
        let short = self
            .zoned(time)
            .map(|zoned| zoned.strftime("%Z").to_string())
            .filter(|short| *short != name);
        short.map_or_else(|| name.clone(), |short| format!("{name} ({short})"))
    }
    /// The date in this zone at a point in time.
    #[must_use]
    pub fn date_at(&self, time: kernel::Timestamp) -> Date {
        self.zoned(time)
            .map_or(Date::constant(1970, 1, 1), |zoned| zoned.date())
    }
    /// The clock time in this zone at a point in time: `08:05`.
    #[must_use]
    pub fn clock_at(&self, time: kernel::Timestamp) -> String {
        let zoned = self.zoned(time);
        zoned.map_or_else(String::new, |zoned| zoned.strftime("%H:%M").to_string())
    }
    /// The first moment of a date in this zone; `None` where the date is out of range.
    #[must_use]
    pub fn start_of(&self, date: Date) -> Option<kernel::Timestamp> {
        let zoned = date.to_zoned(self.0.clone()).ok()?;
        Some(kernel::Timestamp::from_micros(
            zoned.timestamp().as_microsecond(),
        ))
    }
    fn zoned(&self, time: kernel::Timestamp) -> Option<Zoned> {
        Timestamp::from_microsecond(time.as_micros())
            .ok()
            .map(|time| time.to_zoned(self.0.clone()))
    }
}

/// A date or time as shown, and in machine form for `<time>`; an unknown one has no machine form.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(
    source = "{% if machine.is_empty() %}{{ text }}{% else %}<time datetime=\"{{ machine }}\">{{ text }}</time>{% endif %}",
    ext = "html"
)]
pub struct When {
    /// As shown.
    pub text: String,
    /// ISO 8601, or empty.
    pub machine: String,
}
impl askama::filters::HtmlSafe for When {}

impl When {
    /// A text in place of a date, such as "Not recorded".
    #[must_use]
    pub fn unknown(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            machine: String::new(),
        }
    }
    /// Date and time of a point in time.
    #[must_use]
    pub fn at(time: kernel::Timestamp, zone: &Zone) -> Self {
        Self::shown(time, zone, "%d-%b-%Y %H:%M %Z")
    }
    /// From one point in time to another: the day is said once where it is the same, and so is the zone.
    #[must_use]
    pub fn span(from: kernel::Timestamp, to: kernel::Timestamp, zone: &Zone) -> Self {
        let end = |format: &str| Self::shown(to, zone, format).text;
        let (Some(first), Some(last)) = (zone.zoned(from), zone.zoned(to)) else {
            return Self::unknown(super::NOT_AVAILABLE);
        };
        let start = |format: &str| no_break(&first.strftime(format).to_string());
        let text = if first.offset() != last.offset() {
            format!(
                "{} to {}",
                start("%d-%b-%Y %H:%M %Z"),
                end("%d-%b-%Y %H:%M %Z")
            )
        } else if first.date() == last.date() {
            let until = no_break(&last.strftime("%H:%M %Z").to_string());
            format!(
                "{} to {}",
                start("%d-%b-%Y %H:%M"),
                until.replace(' ', "\u{a0}")
            )
        } else {
            format!(
                "{} to {}",
                start("%d-%b-%Y %H:%M"),
                end("%d-%b-%Y %H:%M %Z")
            )
        };
        Self {
            text,
            machine: String::new(),
        }
    }
    /// With seconds, for audit.
    #[must_use]
    pub fn at_second(time: kernel::Timestamp, zone: &Zone) -> Self {
        Self::shown(time, zone, "%d-%b-%Y %H:%M:%S %Z")
    }
    /// The time of day alone.
    #[must_use]
    pub fn time_of_day(time: kernel::Timestamp, zone: &Zone) -> Self {
        Self::shown(time, zone, "%H:%M\u{a0}%Z")
    }
    fn shown(time: kernel::Timestamp, zone: &Zone, format: &str) -> Self {
        zone.zoned(time).map_or_else(
            || Self::unknown(super::NOT_AVAILABLE),
            |zoned| Self {
                text: no_break(&zoned.strftime(format).to_string()),
                machine: zoned.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            },
        )
    }
    /// A FHIR date, dateTime or instant.
    #[must_use]
    pub fn fhir(text: &str, zone: &Zone) -> Self {
        match FhirDate::parse(text) {
            Some(FhirDate::Instant(time)) => {
                Self::at(kernel::Timestamp::from_micros(time.as_microsecond()), zone)
            }
            Some(date) => Self {
                text: date.short(),
                machine: text.to_owned(),
            },
            None => Self::unknown(&format!("Not readable: {text}")),
        }
    }
    /// A FHIR date member of a resource.
    #[must_use]
    pub fn member(value: fhir::json::Value<'_>, key: &str, zone: &Zone) -> Option<Self> {
        super::code::text(value, key).map(|text| Self::fhir(&text, zone))
    }
}

/// A date never breaks at its hyphens, nor a time before its zone; between the two it may.
fn no_break(text: &str) -> String {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let date = first.replace('-', "\u{2011}");
    if rest.is_empty() {
        date
    } else {
        format!("{date} {}", rest.replace(' ', "\u{a0}"))
    }
}

/// A FHIR date with the precision it was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FhirDate {
    /// A year.
    Year(i16),
    /// A year and month; the day is 1.
    Month(Date),
    /// A date.
    Day(Date),
    /// A point in time.
    Instant(Timestamp),
}

impl FhirDate {
    /// Reads `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or a dateTime with zone; nothing else, and no such date
    /// as 2026-02-30.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.len() {
            4 => text.parse().ok().map(Self::Year),
            7 => format!("{text}-01").parse().ok().map(Self::Month),
            10 => text.parse().ok().map(Self::Day),
            _ if text.contains('T') => text.parse().ok().map(Self::Instant),
            _ => None,
        }
    }
    /// In CUI short form; a point in time as its date in UTC.
    #[must_use]
    pub fn short(self) -> String {
        match self {
            Self::Year(year) => format!("{year:04}"),
            Self::Month(date) => no_break(&date.strftime("%b-%Y").to_string()),
            Self::Day(date) => short_date(date),
            Self::Instant(time) => no_break(&time.strftime("%d-%b-%Y %H:%M UTC").to_string()),
        }
    }
}

/// `05-Mar-2026`, with hyphens that do not break.
#[must_use]
pub fn short_date(date: Date) -> String {
    no_break(&date.strftime("%d-%b-%Y").to_string())
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A date as somebody types it: `05-Mar-1941`, `5 March 1941` or `1941-03-05`. `None` for anything that
/// could be read in two ways, such as `05/03/1941` (D+Tc-0005).
#[must_use]
pub fn typed(text: &str) -> Option<Date> {
    let text = text.trim();
    if let Ok(date) = text.parse() {
        return Some(date);
    }
    let parts: Vec<&str> = text
        .split(['-', ' ', '\u{2011}', '\u{a0}'])
        .filter(|part| !part.is_empty())
        .collect();
    let [day, month, year] = parts.as_slice() else {
        return None;
    };
    let month = month.to_lowercase();
    let place = MONTHS
        .iter()
        .position(|name| month.len() >= 3 && name.starts_with(&month))?;
    if year.len() != 4 {
        return None;
    }
    Date::new(year.parse().ok()?, place as i8 + 1, day.parse().ok()?).ok()
}

/// `Thursday 5 March 2026`, for headings.
#[must_use]
pub fn long_date(date: Date) -> String {
    date.strftime("%A %-d %B %Y").to_string()
}

/// The age between a birth and a day, in at most two units by the table of PAB section 3.5.3: days
/// under 4 weeks, weeks and days under a year, months and days under 2 years, years and months under
/// 18, then years. A birth known to the year or month only gives an approximate age. `None` where the
/// birth lies after the day.
#[must_use]
pub fn age(birth: FhirDate, on: Date) -> Option<String> {
    match birth {
        FhirDate::Year(year) => {
            let years = i32::from(on.year()) - i32::from(year);
            (years >= 0).then(|| format!("Approx\u{a0}{years}y"))
        }
        FhirDate::Month(date) => {
            let years = date.until((Unit::Year, on)).ok()?.get_years();
            (date <= on).then(|| format!("Approx\u{a0}{years}y"))
        }
        FhirDate::Day(date) => age_in_units(date, on),
        FhirDate::Instant(time) => age_in_units(time.to_zoned(jiff::tz::TimeZone::UTC).date(), on),
    }
}

/// The age of a newborn whose time of birth is known: minutes under 2 hours, hours under 2 days; else
/// as [`age`].
#[must_use]
pub fn age_from_instant(birth: Timestamp, now: Timestamp, on: Date) -> Option<String> {
    let minutes = now
        .as_second()
        .checked_sub(birth.as_second())?
        .div_euclid(60);
    match minutes {
        ..0 => None,
        0..120 => Some(format!("{minutes}min")),
        120..2880 => Some(format!("{}hrs", minutes / 60)),
        _ => age(FhirDate::Instant(birth), on),
    }
}

fn age_in_units(birth: Date, on: Date) -> Option<String> {
    if birth > on {
        return None;
    }
    let days = birth.until((Unit::Day, on)).ok()?.get_days();
    let calendar = birth.until((Unit::Year, on)).ok()?;
    let years = i32::from(calendar.get_years());
    if days < 28 {
        return Some(format!("{days}d"));
    }
    Some(match years {
        0 => two_units((days / 7, "w"), (days % 7, "d")),
        1 => {
            let months = birth.until((Unit::Month, on)).ok()?;
            two_units((months.get_months(), "m"), (months.get_days(), "d"))
        }
        2..18 => two_units((years, "y"), (calendar.get_months(), "m")),
        _ => format!("{years}y"),
    })
}

fn two_units(upper: (i32, &str), lower: (i32, &str)) -> String {
    let mut text = format!("{}{}", upper.0, upper.1);
    if lower.0 > 0 {
        let _ = write!(text, "\u{a0}{}{}", lower.0, lower.1);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        text.replace('\u{2011}', "-").replace('\u{a0}', " ")
    }

    #[test]
    fn dta_0006_short_dates() {
        let zone = Zone::named("Europe/London");
        for (fhir, shown) in [
            ("2026-03-05", "05-Mar-2026"),
            ("1941-05-31", "31-May-1941"),
            ("2026-03", "Mar-2026"),
            ("2026", "2026"),
            ("2026-02-30", "Not readable: 2026-02-30"),
            ("05/03/2026", "Not readable: 05/03/2026"),
            ("2026-03-05T14:05:00", "Not readable: 2026-03-05T14:05:00"),
        ] {
            assert_eq!(plain(&When::fhir(fhir, &zone).text), shown, "{fhir}");
        }
    }

    #[test]
    fn dtb_0001_times_are_24_hours_in_the_tenants_zone() {
        let london = Zone::named("Europe/London");
        let kolkata = Zone::named("Asia/Kolkata");
        for (zone, fhir, shown) in [
            (&london, "2026-03-05T14:05:00Z", "05-Mar-2026 14:05 GMT"),
            (
                &london,
                "2026-07-05T00:05:00+01:00",
                "05-Jul-2026 00:05 BST",
            ),
            (&london, "2026-07-04T23:30:00Z", "05-Jul-2026 00:30 BST"),
            (&kolkata, "2026-03-05T20:00:00Z", "06-Mar-2026 01:30 IST"),
        ] {
            assert_eq!(plain(&When::fhir(fhir, zone).text), shown, "{fhir}");
        }
    }

    #[test]
    fn dtc_0005_typed_dates_are_never_ambiguous() {
        for (text, date) in [
            ("05-Mar-1941", Some("1941-03-05")),
            ("5 march 1941", Some("1941-03-05")),
            ("1941-03-05", Some("1941-03-05")),
            (" 31-sept-2001 ", None),
            ("30-Sept-2001", Some("2001-09-30")),
            ("05/03/1941", None),
            ("5 M 1941", None),
            ("5 Mar 41", None),
            ("tomorrow", None),
        ] {
            assert_eq!(
                typed(text),
                date.map(|date| date.parse().unwrap()),
                "{text}"
            );
        }
    }

    #[test]
    fn pab_0023_ages_by_the_table() {
        for (birth, on, shown) in [
            ("2026-03-02", "2026-03-05", Some("3d")),
            ("2026-03-05", "2026-03-05", Some("0d")),
            ("2026-02-06", "2026-03-05", Some("27d")),
            ("2026-02-05", "2026-03-05", Some("4w")),
            ("2026-02-04", "2026-03-05", Some("4w 1d")),
            ("2025-03-04", "2026-03-05", Some("12m 1d")),
            ("2025-02-25", "2026-03-05", Some("12m 8d")),
            ("2025-01-25", "2026-03-05", Some("13m 8d")),
            ("2022-01-25", "2026-03-05", Some("4y 1m")),
            ("2022-03-05", "2026-03-05", Some("4y")),
            ("2008-03-06", "2026-03-05", Some("17y 11m")),
            ("2008-03-05", "2026-03-05", Some("18y")),
            ("1941-03-06", "2026-03-05", Some("84y")),
            ("1941-03-05", "2026-03-05", Some("85y")),
            ("2024-02-29", "2025-02-28", Some("52w 1d")),
            ("1941", "2026-03-05", Some("Approx 85y")),
            ("1941-05", "2026-03-05", Some("Approx 84y")),
            ("2026-03-06", "2026-03-05", None),
        ] {
            let on: Date = on.parse().unwrap();
            let age = age(FhirDate::parse(birth).unwrap(), on).map(|age| plain(&age));
            assert_eq!(age.as_deref(), shown, "{birth} on {on}");
        }
    }

    #[test]
    fn pab_0023_newborns_in_minutes_and_hours() {
        let now: Timestamp = "2026-03-05T12:00:00Z".parse().unwrap();
        let on: Date = "2026-03-05".parse().unwrap();
        for (birth, shown) in [
            ("2026-03-05T10:30:00Z", Some("90min")),
            ("2026-03-04T09:55:00Z", Some("26hrs")),
            ("2026-03-01T19:00:00Z", Some("4d")),
            ("2026-03-05T13:00:00Z", None),
        ] {
            assert_eq!(
                age_from_instant(birth.parse().unwrap(), now, on).as_deref(),
                shown,
                "{birth}"
            );
        }
    }
}
