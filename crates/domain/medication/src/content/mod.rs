//! What a dose holds of each ingredient: two tablets of co-codamol are a gram of paracetamol and 16 mg of
//! codeine. Everything that adds up doses adds up these. Must not guess: an amount that the dose and the
//! strength do not give is said to be unknown, with the reason.

mod prescribed;
#[cfg(test)]
mod tests;

use rust_decimal::Decimal;

pub use prescribed::{Regimen, medicine, regimen};

use crate::dictionary::{Component, Product, Schedule, Strength};
use crate::knowledge::{DrugKnowledge, IngredientId};
use crate::quantity::{NotComparable, Quantity, Unit};

/// An ingredient by the name the knowledge gives it; by its own name in lower case where the knowledge has
/// none. The same ingredient of two products has one name.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Substance(String);

impl Substance {
    /// By name, as the knowledge spells it where it is known there.
    #[must_use]
    pub fn named(name: &str, knowledge: &dyn DrugKnowledge) -> Self {
        let known = crate::dictionary::ingredient(knowledge, name);
        let known = known.and_then(|id| knowledge.name(id));
        Self(known.map_or_else(|| name.trim().to_lowercase(), str::to_owned))
    }

    /// By the name that a record has kept.
    #[must_use]
    pub fn recorded(name: &str) -> Self {
        Self(name.to_owned())
    }

    fn of(component: &Component, knowledge: &dyn DrugKnowledge) -> Self {
        match component.ingredient.and_then(|id| knowledge.name(id)) {
            Some(name) => Self(name.to_owned()),
            None => Self::named(&component.name, knowledge),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An ingredient of an article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingredient {
    /// Which.
    pub substance: Substance,
    /// The same in the knowledge, where it is there.
    pub known: Option<IngredientId>,
    /// How much, where stated.
    pub strength: Option<Strength>,
}

/// A product as doses of it are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Article {
    /// Name for people.
    pub name: String,
    /// What it holds; empty for a product that nothing resolves.
    pub ingredients: Vec<Ingredient>,
    /// Form, where stated.
    pub form: Option<String>,
    /// Route, where stated.
    pub route: Option<String>,
    /// Controlled-drug schedule; none where it is not controlled, or no product tells it.
    pub schedule: Option<Schedule>,
}

impl Article {
    /// A product of the dictionary.
    #[must_use]
    pub fn of(product: &Product, knowledge: &dyn DrugKnowledge) -> Self {
        let ingredients = product.components.iter().map(|component| Ingredient {
            substance: Substance::of(component, knowledge),
            known: component
                .ingredient
                .or_else(|| crate::dictionary::ingredient(knowledge, &component.name)),
            strength: component.strength.clone(),
        });
        Self {
            name: product.name.clone(),
            ingredients: ingredients.collect(),
            form: product.form.clone(),
            route: product.route.clone(),
            schedule: product.schedule,
        }
    }

    /// A medicine that no product stands for: its one ingredient by name, doses in mass or units only.
    #[must_use]
    pub fn of_name(name: &str, knowledge: &dyn DrugKnowledge) -> Self {
        let known = crate::dictionary::ingredient(knowledge, name);
        Self {
            name: name.to_owned(),
            ingredients: known
                .map(|known| Ingredient {
                    substance: Substance::named(name, knowledge),
                    known: Some(known),
                    strength: None,
                })
                .into_iter()
                .collect(),
            form: None,
            route: None,
            schedule: None,
        }
    }

    /// Whether the schedule is told: no schedule of a medicine that only has a name does not mean that it is
    /// not controlled.
    #[must_use]
    pub fn tells_schedule(&self) -> bool {
        let strong = self.ingredients.iter().any(|one| one.strength.is_some());
        self.schedule.is_some() || strong || self.form.is_some()
    }

    /// What a dose of it holds, ingredient by ingredient.
    #[must_use]
    pub fn contents(&self, dose: &Quantity) -> Vec<Content> {
        let alone = self.ingredients.len() == 1;
        let ingredients = self.ingredients.iter();
        ingredients
            .map(|one| Content {
                substance: one.substance.clone(),
                much: measured(one.strength.as_ref(), self.form.as_deref(), dose, alone),
            })
            .collect()
    }

    /// What a dose that is not stated holds: each ingredient, of unknown amount.
    #[must_use]
    pub fn unstated(&self) -> Vec<Content> {
        let ingredients = self.ingredients.iter();
        ingredients
            .map(|one| Content {
                substance: one.substance.clone(),
                much: Err(Unmeasured::NoDose),
            })
            .collect()
    }
}

/// An ingredient in a dose.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Content {
    /// Which.
    pub substance: Substance,
    /// How much, in mg, [iU] or mL where it is a mass, an activity or a volume.
    pub much: Result<Quantity, Unmeasured>,
}

/// Why the amount of an ingredient is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Unmeasured {
    /// No dose is stated.
    #[error("the dose is not stated: state it")]
    NoDose,
    /// The product's strength is not stated.
    #[error("the product states no strength: choose the product that is given")]
    NoStrength,
    /// A mass of a product with several ingredients.
    #[error(
        "a mass of a product with several ingredients is ambiguous: state tablets or millilitres"
    )]
    Ambiguous,
    /// A patch or a drip: it gives so much in an hour.
    #[error("the product gives an amount in a time, which is not a dose: count it by itself")]
    Rate,
    /// The unit counts something else than the product is made of.
    #[error(
        "a dose in {dose:?} is no dose of a product in {product:?}: choose the product that is given"
    )]
    Unit {
        /// The dose's unit.
        dose: String,
        /// What the strength is stated for.
        product: String,
    },
    /// Beyond what a decimal holds.
    #[error("the amount is beyond 28 digits: correct the dose")]
    Range,
}

impl kernel::Categorised for Unmeasured {
    fn category(&self) -> kernel::Category {
        kernel::Category::Unprocessable
    }
}

/// An amount in the one unit of its kind, so that amounts compare without reading units again.
#[must_use]
pub fn usual(amount: &Quantity) -> Quantity {
    let value = amount.value.value();
    let scaled = |factor: Decimal, code: &str| {
        let value = value.checked_mul(factor)?;
        Some(Quantity::new(value, Unit::ucum(code)))
    };
    // The units of nearly all doses, without reading codes; the rest by UCUM.
    let quick = match amount.unit.ucum_code() {
        None => return amount.clone(),
        Some(code) if code.starts_with('{') => return amount.clone(),
        Some(code @ ("mg" | "[iU]" | "mL")) => scaled(Decimal::ONE, code),
        Some("g") => scaled(Decimal::ONE_THOUSAND, "mg"),
        Some("ug") => scaled(Decimal::new(1, 3), "mg"),
        Some("L") => scaled(Decimal::ONE_THOUSAND, "mL"),
        Some(_) => None,
    };
    if let Some(quick) = quick {
        return quick;
    }
    for code in ["mg", "[iU]", "mL"] {
        let unit = Unit::ucum(code);
        if let Ok(value) = amount.in_unit(&unit) {
            return Quantity::new(value, unit);
        }
    }
    // In medicines a unit without further words is the international one.
    if matches!(amount.unit.ucum_code(), Some("U")) {
        return Quantity::new(amount.value.value(), Unit::ucum("[iU]"));
    }
    amount.clone()
}

fn measured(
    strength: Option<&Strength>,
    form: Option<&str>,
    dose: &Quantity,
    alone: bool,
) -> Result<Quantity, Unmeasured> {
    let stated = usual(dose);
    let Some(strength) = strength else {
        let direct = matches!(stated.unit.ucum_code(), Some("mg" | "[iU]"));
        return match (direct, alone) {
            (true, true) => Ok(stated),
            (true, false) => Err(Unmeasured::Ambiguous),
            (false, _) => Err(Unmeasured::NoStrength),
        };
    };
    let of_one = usual(&Quantity::ucum(strength.value, &strength.unit));
    if stated.unit == of_one.unit && of_one.unit.ucum_code().is_some() {
        return if alone {
            Ok(stated)
        } else {
            Err(Unmeasured::Ambiguous)
        };
    }
    let (count, per) = match &strength.per {
        None => (counted(dose, form)?, Decimal::ONE),
        Some((per, unit)) => in_volume(dose, *per, unit, form)?,
    };
    let total = of_one.value.value().checked_mul(count);
    let total = total.and_then(|total| total.checked_div(per));
    let total = total.ok_or(Unmeasured::Range)?;
    Ok(Quantity::new(total, of_one.unit))
}

/// How many of the form: tablets of a tablet.
fn counted(dose: &Quantity, form: Option<&str>) -> Result<Decimal, Unmeasured> {
    let form = form.unwrap_or_default().to_lowercase();
    let noun = form.rsplit(' ').next().unwrap_or_default();
    let refused = || Unmeasured::Unit {
        dose: dose.unit.name().to_owned(),
        product: form.clone(),
    };
    if noun.is_empty() {
        return Err(refused());
    }
    // A spray is counted in sprays, an auto-injector in injectors or doses.
    let nouns: &[&str] = match noun {
        "inhaler" | "spray" => &["puff", "spray", "actuation", "dose"],
        "auto-injector" => &["auto-injector", "injector", "injection", "dose"],
        noun => &[noun],
    };
    let found = nouns.iter().find_map(|noun| {
        let unit = Unit::named(noun);
        dose.in_unit(&unit).ok()
    });
    found.ok_or_else(refused)
}

fn in_volume(
    dose: &Quantity,
    per: Decimal,
    unit: &str,
    form: Option<&str>,
) -> Result<(Decimal, Decimal), Unmeasured> {
    if matches!(unit, "h" | "d" | "min") {
        return Err(Unmeasured::Rate);
    }
    match dose.in_unit(&Unit::ucum(unit)) {
        Ok(value) => Ok((value, per)),
        Err(NotComparable::Range { .. }) => Err(Unmeasured::Range),
        Err(_) if matches!(unit, "dose" | "{dose}" | "actuation" | "puff") => {
            counted(dose, form).map(|count| (count, per))
        }
        Err(_) => Err(Unmeasured::Unit {
            dose: dose.unit.name().to_owned(),
            product: unit.to_owned(),
        }),
    }
}
