//! When doses are due: FHIR R4 Timing. Must not place it on a calendar: that is `schedule`'s.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use kernel::{Timestamp, WrittenDecimal};

use super::{Concept, Rest};
use crate::quantity::Quantity;

pub use super::code::{EventTime, TimeUnit, TimingCode, Weekday};

/// A FHIR dateTime of at least a day, with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// As written.
    pub text: String,
    /// The day.
    pub day: Date,
    /// The instant; none for a day.
    pub instant: Option<Timestamp>,
}

impl Moment {
    /// Reads a day or an instant with an offset; none for years and months, which are no day to give on.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let day: Date = text.get(..10)?.parse().ok()?;
        let instant = match text.get(10..)? {
            "" => None,
            _ => Some(Timestamp::from_rfc3339(text)?),
        };
        Some(Self {
            text: text.to_owned(),
            day,
            instant,
        })
    }

    /// The first instant of it in a zone.
    #[must_use]
    pub fn starts(&self, zone: &TimeZone) -> Timestamp {
        self.instant
            .unwrap_or_else(|| at(zone, self.day.to_datetime(Time::midnight())))
    }

    /// The first instant after it: a day counts whole.
    #[must_use]
    pub fn ends(&self, zone: &TimeZone) -> Timestamp {
        if let Some(instant) = self.instant {
            return Timestamp::from_micros(instant.as_micros().saturating_add(1));
        }
        let next = self.day.tomorrow().unwrap_or(self.day);
        at(zone, next.to_datetime(Time::midnight()))
    }
}

/// A clock time in a zone. In a night that skips it, as much later as the clocks were put forward; in one
/// that has it twice, the first.
pub(crate) fn at(zone: &TimeZone, civil: DateTime) -> Timestamp {
    let placed = zone.to_ambiguous_timestamp(civil).compatible();
    placed.map_or(Timestamp::from_micros(i64::MAX), |t| {
        Timestamp::from_micros(t.as_microsecond())
    })
}

/// For how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bounds {
    /// So long.
    Duration(Quantity),
    /// Between so long and so long.
    Range {
        /// At least.
        low: Option<Quantity>,
        /// At most.
        high: Option<Quantity>,
    },
    /// From and until, both included.
    Period {
        /// From.
        start: Option<Moment>,
        /// Until.
        end: Option<Moment>,
        /// The rest of it.
        rest: Rest,
    },
}

/// Days with, then days without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cycle {
    /// Days with.
    pub on: u32,
    /// Days without.
    pub off: u32,
}

/// FHIR R4 `Timing.repeat`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repeat {
    /// For how long.
    pub bounds: Option<Bounds>,
    /// How many times in all.
    pub count: Option<i64>,
    /// How many times at most.
    pub count_max: Option<i64>,
    /// How long one takes.
    pub duration: Option<WrittenDecimal>,
    /// How long one takes at most.
    pub duration_max: Option<WrittenDecimal>,
    /// The unit of `duration`.
    pub duration_unit: Option<TimeUnit>,
    /// How often in a period.
    pub frequency: Option<i64>,
    /// How often at most.
    pub frequency_max: Option<i64>,
    /// The period.
    pub period: Option<WrittenDecimal>,
    /// The period at most.
    pub period_max: Option<WrittenDecimal>,
    /// The unit of `period`.
    pub period_unit: Option<TimeUnit>,
    /// On these days only.
    pub day_of_week: Vec<Weekday>,
    /// At these clock times.
    pub time_of_day: Vec<Time>,
    /// At these events.
    pub when: Vec<EventTime>,
    /// Minutes from the event.
    pub offset: Option<i64>,
    /// Days with and days without.
    pub cycle: Option<Cycle>,
    /// The rest of it.
    pub rest: Rest,
}

impl Repeat {
    /// Whether it says how often, on which days or at what times, not only for how long and how many times.
    fn says_when(&self) -> bool {
        let often = self.frequency.or(self.frequency_max).is_some();
        let period =
            self.period.is_some() || self.period_max.is_some() || self.period_unit.is_some();
        let days = !self.day_of_week.is_empty() || self.cycle.is_some();
        often || period || days || !self.time_of_day.is_empty() || !self.when.is_empty()
    }
}

/// FHIR R4 Timing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timing {
    /// At these moments.
    pub event: Vec<Moment>,
    /// By rule.
    pub repeat: Option<Repeat>,
    /// By abbreviation.
    pub code: Option<Concept>,
    /// The rest of it.
    pub rest: Rest,
}

impl Timing {
    /// The rule: the stated one, else that of the abbreviation. A stated one that only says for how long
    /// or how many times in all leaves how often to the abbreviation.
    #[must_use]
    pub fn rule(&self) -> Option<Repeat> {
        let often = || self.abbreviation().map(expand);
        let Some(stated) = self.repeat.clone() else {
            return often();
        };
        match often().filter(|_| !stated.says_when()) {
            None => Some(stated),
            Some(often) => Some(Repeat {
                frequency: often.frequency,
                period: often.period,
                period_unit: often.period_unit,
                when: often.when,
                ..stated
            }),
        }
    }

    /// The abbreviation, where it is one we know.
    #[must_use]
    pub fn abbreviation(&self) -> Option<TimingCode> {
        let codes = self.code.as_ref()?.coding.iter();
        codes
            .filter_map(|c| c.code.as_deref())
            .find_map(TimingCode::of)
    }
}

/// What an abbreviation says.
fn expand(code: TimingCode) -> Repeat {
    let every = |frequency: i64, period: i64, unit: TimeUnit| Repeat {
        frequency: Some(frequency),
        period: Some(rust_decimal::Decimal::from(period).into()),
        period_unit: Some(unit),
        ..Repeat::default()
    };
    let event = |when: EventTime| Repeat {
        when: vec![when],
        ..every(1, 1, TimeUnit::Day)
    };
    match code {
        TimingCode::EveryDay => every(1, 1, TimeUnit::Day),
        TimingCode::EveryOtherDay => every(1, 2, TimeUnit::Day),
        TimingCode::TwiceADay => every(2, 1, TimeUnit::Day),
        TimingCode::ThreeTimesADay => every(3, 1, TimeUnit::Day),
        TimingCode::FourTimesADay => every(4, 1, TimeUnit::Day),
        TimingCode::InTheMorning => event(EventTime::Morning),
        TimingCode::InTheAfternoon => event(EventTime::Evening),
        TimingCode::AtBedtime => event(EventTime::BeforeSleep),
        TimingCode::EveryHour => every(1, 1, TimeUnit::Hour),
        TimingCode::EveryTwoHours => every(1, 2, TimeUnit::Hour),
        TimingCode::EveryThreeHours => every(1, 3, TimeUnit::Hour),
        TimingCode::EveryFourHours => every(1, 4, TimeUnit::Hour),
        TimingCode::EverySixHours => every(1, 6, TimeUnit::Hour),
        TimingCode::EveryEightHours => every(1, 8, TimeUnit::Hour),
        TimingCode::EveryWeek => every(1, 1, TimeUnit::Week),
        TimingCode::EveryMonth => every(1, 1, TimeUnit::Month),
    }
}
