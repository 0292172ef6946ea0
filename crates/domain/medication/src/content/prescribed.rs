//! What an order gives of each ingredient at once and in a day, for the checks of a list. Must not take the
//! dose of an order that only says "as directed" for nothing: it is unknown.

use rust_decimal::Decimal;

use super::Article;
use crate::checks::{Medicine, Part, Route};
use crate::dosage::{Amount, Dosage, Repeat, TimeUnit};
use crate::knowledge::Measured;
use crate::quantity::Quantity;

/// The most of an order at once and in 24 hours, in its own unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Regimen {
    /// The most at once; none where it is not stated, or the steps have units that do not compare.
    pub single: Option<Quantity>,
    /// The most in 24 hours; none where it cannot be told.
    pub daily: Option<Quantity>,
}

/// The most that dosages give. Instructions of one number hold together and add up; of steps that follow
/// each other the largest counts.
#[must_use]
pub fn regimen(dosages: &[Dosage]) -> Regimen {
    let mut steps: Vec<(i64, &Dosage)> = dosages
        .iter()
        .map(|dosage| (dosage.sequence.unwrap_or(1), dosage))
        .collect();
    steps.sort_by_key(|(sequence, _)| *sequence);
    let mut own = Largest::default();
    for step in steps.chunk_by(|a, b| a.0 == b.0) {
        let mut day = Sum::default();
        for (_, dosage) in step {
            own.single(most(dosage));
            day.add(daily(dosage));
        }
        own.daily(day.done());
    }
    Regimen {
        single: own.single.done(),
        daily: own.daily.done(),
    }
}

#[derive(Default)]
struct Largest {
    single: Max,
    daily: Max,
}

impl Largest {
    fn single(&mut self, value: Option<Quantity>) {
        self.single.add(value);
    }
    fn daily(&mut self, value: Option<Quantity>) {
        self.daily.add(value);
    }
}

/// The largest of amounts, none as soon as one is not known.
#[derive(Default)]
struct Max {
    value: Option<Quantity>,
    unknown: bool,
}

impl Max {
    fn add(&mut self, value: Option<Quantity>) {
        let Some(value) = value else {
            self.unknown = true;
            return;
        };
        match &self.value {
            None => self.value = Some(value),
            Some(own) => match value.in_unit(&own.unit) {
                Ok(number) if number > own.value.value() => self.value = Some(value),
                Ok(_) => {}
                Err(_) => self.unknown = true,
            },
        }
    }
    fn done(self) -> Option<Quantity> {
        self.value.filter(|_| !self.unknown)
    }
}

/// The sum of amounts, none as soon as one is not known.
#[derive(Default)]
struct Sum {
    value: Option<Quantity>,
    unknown: bool,
}

impl Sum {
    fn add(&mut self, value: Option<Quantity>) {
        let Some(value) = value else {
            self.unknown = true;
            return;
        };
        self.value = match self.value.take() {
            None => Some(value),
            Some(own) => {
                let more = value.in_unit(&own.unit).ok();
                let sum = more.and_then(|more| own.value.value().checked_add(more));
                self.unknown |= sum.is_none();
                sum.map(|sum| Quantity::new(sum, own.unit))
            }
        };
    }
    fn done(self) -> Option<Quantity> {
        self.value.filter(|_| !self.unknown)
    }
}

/// The most at once.
pub(crate) fn most(dosage: &Dosage) -> Option<Quantity> {
    let stated = dosage.dose().and_then(Amount::most);
    stated
        .or(dosage.max_dose_per_administration.as_ref())
        .cloned()
}

/// The most in 24 hours: what the maximum says, else the dose times how often.
fn daily(dosage: &Dosage) -> Option<Quantity> {
    let single = most(dosage);
    let times = dosage
        .timing
        .as_ref()
        .and_then(crate::dosage::Timing::rule)
        .and_then(|rule| times_a_day(&rule));
    let scheduled = single.as_ref().zip(times).and_then(|(single, times)| {
        let total = single.value.value().checked_mul(times)?;
        Some(Quantity::new(total, single.unit.clone()))
    });
    let stated = dosage.max_dose_per_period.as_ref().and_then(|most| {
        let long = &most.denominator;
        let value = long.value.value();
        let unit = TimeUnit::of(long.unit.ucum_code()?)?;
        let a_day = (unit == TimeUnit::Day && value == Decimal::ONE)
            || (unit == TimeUnit::Hour && value == Decimal::from(24));
        a_day.then(|| most.numerator.clone())
    });
    match (scheduled, stated) {
        // What is given when needed may come up to its maximum; a schedule may stay below it.
        (Some(own), Some(stated)) if !dosage.as_needed.is_needed() => {
            let less = stated
                .in_unit(&own.unit)
                .is_ok_and(|most| most < own.value.value());
            Some(if less { stated } else { own })
        }
        (_, Some(stated)) => Some(stated),
        (scheduled, None) => scheduled,
    }
}

/// The most times in 24 hours; what is given less often than daily counts once. None where nothing says how
/// often: so long, or so many times in all, may all be in one day.
fn times_a_day(rule: &Repeat) -> Option<Decimal> {
    if rule.count_max.or(rule.count) == Some(1) && rule.period.is_none() {
        return Some(Decimal::ONE);
    }
    let often = Decimal::from(rule.frequency_max.or(rule.frequency).unwrap_or(1).max(1));
    let clocks = rule.time_of_day.len().max(rule.when.len());
    let clocks = Decimal::from(clocks);
    let Some(unit) = rule.period_unit else {
        return (clocks >= often).then_some(clocks);
    };
    let period = rule
        .period
        .as_ref()
        .map_or(Decimal::ONE, kernel::WrittenDecimal::value);
    let times = if let Some(seconds) = unit.seconds() {
        let length = period.checked_mul(Decimal::from(seconds))?;
        let each = length.checked_div(often)?;
        Decimal::from(86_400).checked_div(each)?.ceil()
    } else {
        let days = match unit {
            TimeUnit::Day => 1,
            TimeUnit::Week => 7,
            TimeUnit::Month => 28,
            _ => 365,
        };
        let days = period.checked_mul(Decimal::from(days))?;
        often.checked_div(days)?.ceil()
    };
    Some(times.max(clocks).max(Decimal::ONE))
}

/// The medicine that the checks ask for, with the doses that the order states.
#[must_use]
pub fn medicine(article: &Article, dosages: &[Dosage]) -> Medicine {
    let regimen = regimen(dosages);
    let of = |dose: Option<&Quantity>| dose.map(|dose| article.contents(dose));
    let (single, daily) = (of(regimen.single.as_ref()), of(regimen.daily.as_ref()));
    let amount = |contents: &Option<Vec<super::Content>>, place: usize| {
        let much = contents.as_ref()?.get(place)?.much.as_ref().ok()?;
        Measured::of(much)
    };
    let known = article.ingredients.iter().enumerate();
    let parts = known.filter_map(|(place, one)| {
        Some(Part {
            ingredient: one.known?,
            single: amount(&single, place),
            daily: amount(&daily, place),
        })
    });
    let mut unresolved: Vec<String> = article
        .ingredients
        .iter()
        .filter(|one| one.known.is_none())
        .map(|one| one.substance.as_str().to_owned())
        .collect();
    if article.ingredients.is_empty() {
        unresolved.push(article.name.clone());
    }
    Medicine {
        name: article.name.clone(),
        parts: parts.collect(),
        unresolved,
        route: route(article, dosages),
    }
}

/// The route of the order, else that of the product; none where the steps have different ones.
fn route(article: &Article, dosages: &[Dosage]) -> Option<Route> {
    let mut stated: Vec<String> = dosages
        .iter()
        .filter_map(|dosage| dosage.route.as_ref()?.words().map(plain_route))
        .collect();
    stated.dedup();
    match stated.as_slice() {
        [] => article.route.clone().map(|name| Route { name }),
        [one] => Some(Route { name: one.clone() }),
        _ => None,
    }
}

/// `Oral route` as `oral`.
fn plain_route(words: &str) -> String {
    let lower = words.trim().to_lowercase();
    let plain = lower.strip_suffix(" route").unwrap_or(&lower);
    plain.strip_suffix(" use").unwrap_or(plain).to_owned()
}
