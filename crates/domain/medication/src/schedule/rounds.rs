//! A home's day: when it is woken, fed and put to bed, and at which times a medicine is given that is
//! prescribed so many times a day. Must not decide on which days.

use jiff::civil::Time;

use crate::dosage::EventTime;

/// The clock times of a home.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rounds {
    /// Waking.
    pub waking: Time,
    /// Breakfast.
    pub breakfast: Time,
    /// Lunch.
    pub lunch: Time,
    /// The evening meal.
    pub dinner: Time,
    /// Sleep.
    pub bedtime: Time,
    /// `MORN`
    pub morning: Time,
    /// `AFT`
    pub afternoon: Time,
    /// `EVE`
    pub evening: Time,
    /// `NIGHT`
    pub night: Time,
    /// Minutes before or after a meal where an order names none.
    pub around_meal: i64,
    /// The times of a medicine given once, twice and so on a day, each in order.
    pub daily: Vec<Vec<Time>>,
}

const fn hour(hour: i8) -> Time {
    Time::constant(hour, 0, 0, 0)
}

impl Default for Rounds {
    fn default() -> Self {
        Self {
            waking: hour(7),
            breakfast: hour(8),
            lunch: Time::constant(12, 30, 0, 0),
            dinner: Time::constant(17, 30, 0, 0),
            bedtime: hour(22),
            morning: hour(8),
            afternoon: hour(14),
            evening: hour(18),
            night: hour(22),
            around_meal: 30,
            daily: vec![
                vec![hour(8)],
                vec![hour(8), hour(20)],
                vec![hour(8), hour(14), hour(22)],
                vec![hour(8), hour(12), hour(17), hour(22)],
                vec![hour(6), hour(10), hour(14), hour(18), hour(22)],
                vec![hour(2), hour(6), hour(10), hour(14), hour(18), hour(22)],
            ],
        }
    }
}

/// A clock time moved by minutes, as minutes after midnight: it may lie on another day.
fn moved(time: Time, minutes: i64) -> i64 {
    i64::from(time.hour()) * 60 + i64::from(time.minute()) + minutes
}

impl Rounds {
    /// The times of so many doses a day; none where the home has no such round.
    #[must_use]
    pub fn times_a_day(&self, count: usize) -> Option<&[Time]> {
        let times = self.daily.get(count.checked_sub(1)?)?;
        (times.len() == count).then_some(times)
    }

    /// The minutes after midnight of an event, with the order's offset. Negative and beyond a day where the
    /// offset reaches the day before or after.
    #[must_use]
    pub fn event(&self, when: EventTime, offset: Option<i64>) -> Vec<i64> {
        use EventTime as E;
        let meals = [self.breakfast, self.lunch, self.dinner];
        let (times, own): (&[Time], i64) = match when {
            E::Morning => (&[self.morning], 0),
            E::EarlyMorning => (&[self.morning], -60),
            E::LateMorning => (&[self.morning], 60),
            E::Noon => (&[hour(12)], 0),
            E::Afternoon => (&[self.afternoon], 0),
            E::EarlyAfternoon => (&[self.afternoon], -60),
            E::LateAfternoon => (&[self.afternoon], 60),
            E::Evening => (&[self.evening], 0),
            E::EarlyEvening => (&[self.evening], -60),
            E::LateEvening => (&[self.evening], 60),
            E::Night => (&[self.night], 0),
            E::BeforeSleep | E::AfterSleep => (&[self.bedtime], 0),
            E::Waking => (&[self.waking], 0),
            E::Meal | E::BeforeMeal | E::AfterMeal => (&meals, self.meal(when, offset)),
            E::Breakfast | E::BeforeBreakfast | E::AfterBreakfast => {
                (&[self.breakfast], self.meal(when, offset))
            }
            E::Lunch | E::BeforeLunch | E::AfterLunch => (&[self.lunch], self.meal(when, offset)),
            E::Dinner | E::BeforeDinner | E::AfterDinner => {
                (&[self.dinner], self.meal(when, offset))
            }
        };
        let by = own + when.side() * offset.unwrap_or(0);
        times.iter().map(|time| moved(*time, by)).collect()
    }

    /// The minutes from a meal where the order names none.
    fn meal(&self, when: EventTime, offset: Option<i64>) -> i64 {
        match offset {
            Some(_) => 0,
            None => when.side() * self.around_meal,
        }
    }
}
