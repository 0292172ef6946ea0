//! The limits that an order states and those that the knowledge sets. Must not soften what an order says:
//! a maximum of a product with one ingredient holds for that ingredient in every product.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::{Bound, Limit, Reason, Scope, Source, Verdict, Why};
use crate::checks::Ceilings;
use crate::content::{Article, Substance, usual};
use crate::dosage::{Dosage, TimeUnit};
use crate::knowledge::Measured;
use crate::order::Order;
use crate::quantity::Quantity;

const DAY: i64 = 86_400;

/// The limits of an order: its maxima and intervals, and for what is given when needed how often its
/// timing allows it.
#[must_use]
pub fn of_order(order: &Order) -> Vec<Limit> {
    let mut into = Vec::new();
    for (number, dosage) in order.dosages.iter().enumerate() {
        let mut own = Derived {
            order,
            number,
            into: &mut into,
        };
        own.maxima(dosage);
        if dosage.as_needed.is_needed() {
            own.needed(dosage);
        }
    }
    if let Some(seconds) = order.apart_seconds {
        let mut own = Derived {
            order,
            number: 0,
            into: &mut into,
        };
        own.both(&Bound::Apart { seconds }, "apart");
    }
    let mut unique: Vec<Limit> = Vec::with_capacity(into.len());
    for limit in into {
        let same = |own: &Limit| own.scope == limit.scope && own.bound == limit.bound;
        if !unique.iter().any(same) {
            unique.push(limit);
        }
    }
    unique
}

struct Derived<'a> {
    order: &'a Order,
    number: usize,
    into: &'a mut Vec<Limit>,
}

impl Derived<'_> {
    fn add(&mut self, scope: Scope, bound: Bound, effect: Verdict, member: &str) {
        self.into.push(Limit {
            scope,
            bound,
            effect,
            source: Source::Order {
                order: self.order.id.clone(),
                member: format!("dosageInstruction[{}].{member}", self.number),
            },
        });
    }

    /// What counts doses or time: of the order, and of each ingredient in other products too. Where the
    /// product has several ingredients the order was not meant for each, so that these only warn.
    fn both(&mut self, bound: &Bound, member: &str) {
        let own = Scope::Order(self.order.id.clone());
        self.add(own, bound.clone(), Verdict::Block, member);
        for (substance, effect) in self.substances() {
            self.add(Scope::Ingredient(substance), bound.clone(), effect, member);
        }
    }

    fn substances(&self) -> Vec<(Substance, Verdict)> {
        let alone = self.order.article.ingredients.len() == 1;
        let effect = if alone { Verdict::Block } else { Verdict::Warn };
        let substances = self.order.substances();
        substances.map(|one| (one.clone(), effect)).collect()
    }

    /// An amount: of the order in its own unit, and of each ingredient in what the product holds of it.
    fn amount(&mut self, most: &Quantity, member: &str, bound: &dyn Fn(Quantity) -> Bound) {
        let own = Scope::Order(self.order.id.clone());
        self.add(own, bound(most.clone()), Verdict::Block, member);
        let contents = self.order.article.contents(most);
        for ((substance, effect), content) in self.substances().into_iter().zip(contents) {
            if let Ok(most) = content.much {
                self.add(Scope::Ingredient(substance), bound(most), effect, member);
            }
        }
    }

    fn maxima(&mut self, dosage: &Dosage) {
        if let Some(most) = &dosage.max_dose_per_administration {
            let own = Scope::Order(self.order.id.clone());
            let bound = Bound::Single { most: most.clone() };
            self.add(own, bound, Verdict::Block, "maxDosePerAdministration");
        }
        if let Some(most) = &dosage.max_dose_per_lifetime {
            let own = Scope::Order(self.order.id.clone());
            let bound = Bound::Ever { most: most.clone() };
            self.add(own, bound, Verdict::Block, "maxDosePerLifetime");
        }
        let Some(ratio) = &dosage.max_dose_per_period else {
            return;
        };
        let Some(seconds) = length(&ratio.denominator) else {
            return;
        };
        let member = "maxDosePerPeriod";
        let most = &ratio.numerator;
        self.amount(most, member, &|most| Bound::Rolling { most, seconds });
        if seconds == DAY {
            self.amount(most, member, &|most| Bound::Day { most });
        }
    }

    /// `every 4 to 6 hours` keeps 4 hours apart; `up to 4 times a day` allows 4 in any 24 hours.
    fn needed(&mut self, dosage: &Dosage) {
        let Some(rule) = dosage.timing.as_ref().and_then(crate::dosage::Timing::rule) else {
            return;
        };
        let often = rule.frequency_max.or(rule.frequency).unwrap_or(1).max(1);
        let (Some(unit), Ok(often)) = (rule.period_unit, u32::try_from(often)) else {
            return;
        };
        let period = rule
            .period
            .as_ref()
            .map_or(Decimal::ONE, kernel::WrittenDecimal::value);
        let Some(seconds) = seconds_of(period, unit) else {
            return;
        };
        if often == 1 {
            // Once a day may be in the morning of one and the evening before of the other.
            if unit.seconds().is_some() {
                self.both(&Bound::Apart { seconds }, "timing");
                return;
            }
        }
        let own = Scope::Order(self.order.id.clone());
        let most = often;
        let bound = Bound::Times { most, seconds };
        self.add(own.clone(), bound, Verdict::Block, "timing");
        if seconds == DAY {
            self.add(own, Bound::TimesADay { most }, Verdict::Block, "timing");
        }
    }
}

fn length(long: &Quantity) -> Option<i64> {
    seconds_of(long.value.value(), TimeUnit::of(long.unit.ucum_code()?)?)
}

/// A length in seconds, the longest that it may be: a month has 31 days.
fn seconds_of(value: Decimal, unit: TimeUnit) -> Option<i64> {
    let each = unit.seconds().unwrap_or(match unit {
        TimeUnit::Week => 7 * DAY,
        TimeUnit::Month => 31 * DAY,
        TimeUnit::Year => 366 * DAY,
        _ => DAY,
    });
    let seconds = value.checked_mul(Decimal::from(each))?.to_i64()?;
    (seconds > 0).then_some(seconds)
}

/// The limits that the knowledge sets an ingredient of an article, and what it could not decide. The most
/// in 24 hours holds in any 24 hours and on each day of the calendar.
#[must_use]
pub fn of_ceilings(substance: &Substance, ceilings: &Ceilings) -> (Vec<Limit>, Vec<Reason>) {
    let mut limits = Vec::new();
    for ceiling in &ceilings.known {
        let effect = if ceiling.rule.tier.interrupts() {
            Verdict::Block
        } else {
            Verdict::Warn
        };
        let mut add = |bound| {
            limits.push(Limit {
                scope: Scope::Ingredient(substance.clone()),
                bound,
                effect,
                source: Source::Knowledge {
                    rule: ceiling.rule.id.clone(),
                    release: ceiling.rule.release.sha256.clone(),
                },
            });
        };
        let most = |own: Measured| own.quantity();
        if let Some(most) = ceiling.single.map(most) {
            add(Bound::Single { most });
        }
        if let Some(most) = ceiling.daily.map(most) {
            add(Bound::Rolling {
                most: most.clone(),
                seconds: DAY,
            });
            add(Bound::Day { most });
        }
        if let Some(minutes) = ceiling.apart_minutes {
            add(Bound::Apart {
                seconds: i64::from(minutes) * 60,
            });
        }
    }
    let missing = ceilings.missing.iter().map(|(fact, rule)| Reason {
        verdict: Verdict::Unknown,
        limit: None,
        why: Why::FactMissing {
            fact: (*fact).to_owned(),
            rule: rule.id.clone(),
        },
    });
    (limits, missing.collect())
}

/// The dose of an article as an entry counts it: as stated and by ingredient.
#[must_use]
pub fn counted(article: &Article, dose: Option<&Quantity>) -> Vec<crate::content::Content> {
    dose.map_or_else(
        || article.unstated(),
        |dose| article.contents(&usual_form(dose)),
    )
}

/// Units by their usual code, forms as they are.
fn usual_form(dose: &Quantity) -> Quantity {
    match dose.unit.ucum_code() {
        Some("U" | "[IU]") => usual(dose),
        _ => dose.clone(),
    }
}
