//! The code tables of a Timing: units of time, days of the week, events of the day and abbreviations.
//! Must not know what a home's rounds are.

use crate::codes::codes;

codes! {
    /// A unit of time (FHIR R4 value set units-of-time).
    TimeUnit {
        /// Second.
        Second = "s",
        /// Minute.
        Minute = "min",
        /// Hour.
        Hour = "h",
        /// Day.
        Day = "d",
        /// Week.
        Week = "wk",
        /// Month of the calendar.
        Month = "mo",
        /// Year of the calendar.
        Year = "a",
    }
}

impl TimeUnit {
    /// Its length in seconds where it is always the same by the clock: days and weeks are lengths of the
    /// calendar here too, as are months and years.
    #[must_use]
    pub const fn seconds(self) -> Option<i64> {
        match self {
            Self::Second => Some(1),
            Self::Minute => Some(60),
            Self::Hour => Some(3600),
            _ => None,
        }
    }
    /// Its name in a sentence.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

codes! {
    /// A day of the week.
    Weekday {
        /// Monday.
        Monday = "mon",
        /// Tuesday.
        Tuesday = "tue",
        /// Wednesday.
        Wednesday = "wed",
        /// Thursday.
        Thursday = "thu",
        /// Friday.
        Friday = "fri",
        /// Saturday.
        Saturday = "sat",
        /// Sunday.
        Sunday = "sun",
    }
}

impl Weekday {
    /// Days after Monday.
    #[must_use]
    pub const fn place(self) -> i64 {
        self as i64
    }
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Monday => "Monday",
            Self::Tuesday => "Tuesday",
            Self::Wednesday => "Wednesday",
            Self::Thursday => "Thursday",
            Self::Friday => "Friday",
            Self::Saturday => "Saturday",
            Self::Sunday => "Sunday",
        }
    }
}

codes! {
    /// An event of the day (FHIR R4 value set event-timing).
    EventTime {
        /// Morning.
        Morning = "MORN",
        /// Early morning.
        EarlyMorning = "MORN.early",
        /// Late morning.
        LateMorning = "MORN.late",
        /// Noon.
        Noon = "NOON",
        /// Afternoon.
        Afternoon = "AFT",
        /// Early afternoon.
        EarlyAfternoon = "AFT.early",
        /// Late afternoon.
        LateAfternoon = "AFT.late",
        /// Evening.
        Evening = "EVE",
        /// Early evening.
        EarlyEvening = "EVE.early",
        /// Late evening.
        LateEvening = "EVE.late",
        /// Night.
        Night = "NIGHT",
        /// After sleep has begun.
        AfterSleep = "PHS",
        /// Before sleep.
        BeforeSleep = "HS",
        /// On waking.
        Waking = "WAKE",
        /// With each meal.
        Meal = "C",
        /// With breakfast.
        Breakfast = "CM",
        /// With lunch.
        Lunch = "CD",
        /// With dinner.
        Dinner = "CV",
        /// Before each meal.
        BeforeMeal = "AC",
        /// Before breakfast.
        BeforeBreakfast = "ACM",
        /// Before lunch.
        BeforeLunch = "ACD",
        /// Before dinner.
        BeforeDinner = "ACV",
        /// After each meal.
        AfterMeal = "PC",
        /// After breakfast.
        AfterBreakfast = "PCM",
        /// After lunch.
        AfterLunch = "PCD",
        /// After dinner.
        AfterDinner = "PCV",
    }
}

impl EventTime {
    /// -1 where an offset counts before the event, +1 where it counts after (also where the code does not
    /// say), 0 where none is allowed (FHIR R4 Timing, `offset` and tim-9).
    #[must_use]
    pub const fn side(self) -> i64 {
        match self {
            Self::BeforeMeal
            | Self::BeforeBreakfast
            | Self::BeforeLunch
            | Self::BeforeDinner
            | Self::BeforeSleep => -1,
            Self::Meal | Self::Breakfast | Self::Lunch | Self::Dinner => 0,
            _ => 1,
        }
    }
}

codes! {
    /// An abbreviation in `Timing.code` (v3 GTSAbbreviation and the codes R4 adds to it).
    TimingCode {
        /// Once a day.
        EveryDay = "QD",
        /// Every other day.
        EveryOtherDay = "QOD",
        /// Twice a day.
        TwiceADay = "BID",
        /// Three times a day.
        ThreeTimesADay = "TID",
        /// Four times a day.
        FourTimesADay = "QID",
        /// In the morning.
        InTheMorning = "AM",
        /// In the afternoon or evening.
        InTheAfternoon = "PM",
        /// At bedtime.
        AtBedtime = "BED",
        /// Every hour.
        EveryHour = "Q1H",
        /// Every 2 hours.
        EveryTwoHours = "Q2H",
        /// Every 3 hours.
        EveryThreeHours = "Q3H",
        /// Every 4 hours.
        EveryFourHours = "Q4H",
        /// Every 6 hours.
        EverySixHours = "Q6H",
        /// Every 8 hours.
        EveryEightHours = "Q8H",
        /// Every week.
        EveryWeek = "WK",
        /// Every month.
        EveryMonth = "MO",
    }
}
