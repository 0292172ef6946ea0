//! Products: what is in a pack, how much of it, in what form, by what route. Resolves a GTIN, a code or a
//! name to ingredients. Must not guess: a name of two products resolves to neither.

pub mod alike;
mod builtin;
pub mod dmd;
pub mod pack;
pub mod rxnorm;
pub mod stored;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

pub use builtin::built_in;
use kernel::{Categorised, Category};
use rust_decimal::Decimal;

use crate::gs1::Gtin;
use crate::knowledge::{DrugKnowledge, IngredientId};

/// Why a list of products is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DictionaryError {
    /// Something that cannot be read.
    #[error("{file} line {line}: {what}")]
    Line {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A stored list that is not whole.
    #[error("the stored list of products {0}: load it again")]
    Damaged(String),
}

impl Categorised for DictionaryError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

/// How much: a value with a UCUM unit, for a volume, time or count where one is stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strength {
    /// The value.
    pub value: Decimal,
    /// UCUM code.
    pub unit: String,
    /// `5 mL` of `250 mg/5 mL`.
    pub per: Option<(Decimal, String)>,
}

impl Strength {
    /// Reads `250 mg/5 mL`, `12 ug/h`, `5 %`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (value, unit) = text.trim().split_once(' ')?;
        let value: Decimal = value.parse().ok().filter(|value| *value > Decimal::ZERO)?;
        let (unit, per) = match unit.split_once('/') {
            None => (unit, None),
            Some((unit, per)) => {
                let (amount, of) = per.split_once(' ').unwrap_or(("1", per));
                (
                    unit,
                    Some((
                        amount
                            .parse()
                            .ok()
                            .filter(|own: &Decimal| *own > Decimal::ZERO)?,
                        of.to_owned(),
                    )),
                )
            }
        };
        Some(Self {
            value,
            unit: unit.to_owned(),
            per,
        })
    }

    /// Milligrams in one unit of the form; none for units of activity and for concentrations.
    #[must_use]
    pub fn milligrams(&self) -> Option<Decimal> {
        if self.per.is_some() {
            return None;
        }
        match self.unit.as_str() {
            "mg" => Some(self.value),
            "ug" => self.value.checked_div(Decimal::ONE_THOUSAND),
            "g" => self.value.checked_mul(Decimal::ONE_THOUSAND),
            _ => None,
        }
    }
}

/// As on a label: `250 mg/5 mL`.
impl core::fmt::Display for Strength {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} {}", self.value.normalize(), self.unit)?;
        match &self.per {
            Some((value, unit)) if *value == Decimal::ONE => write!(f, "/{unit}"),
            Some((value, unit)) => write!(f, "/{} {unit}", value.normalize()),
            None => Ok(()),
        }
    }
}

/// An ingredient of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Name in lower case.
    pub name: String,
    /// The same in the knowledge, where it is there.
    pub ingredient: Option<IngredientId>,
    /// How much, where stated.
    pub strength: Option<Strength>,
}

/// Schedule of the Misuse of Drugs Regulations 2001.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Schedule {
    /// 1.
    One,
    /// 2: register, safe custody.
    Two,
    /// 3: no register.
    Three,
    /// 4.
    Four,
    /// 5.
    Five,
}

/// A system of product codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum System {
    /// dm+d, whose codes are SNOMED CT's.
    Dmd,
    /// RxNorm.
    RxNorm,
}

/// A product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Name for people.
    pub name: String,
    /// What it holds.
    pub components: Vec<Component>,
    /// Form, where stated.
    pub form: Option<String>,
    /// Route, where one is stated.
    pub route: Option<String>,
    /// Controlled-drug schedule; none where it is not controlled.
    pub schedule: Option<Schedule>,
    /// Codes of it.
    pub codes: Vec<(System, String)>,
    /// Trade item numbers of its packs.
    pub gtins: Vec<Gtin>,
}

/// Products, found by name, code or number.
#[derive(Debug, Clone, Default)]
pub struct Dictionary {
    products: Vec<Product>,
    names: HashMap<String, Option<usize>>,
    codes: HashMap<(System, String), usize>,
    gtins: HashMap<Gtin, Option<usize>>,
    /// The strictest schedule of a product that holds an ingredient.
    strictest: HashMap<IngredientId, Schedule>,
    /// Names of ingredients, each once.
    parts: BTreeSet<String>,
    /// What answers where this one has nothing.
    below: Option<Arc<Dictionary>>,
}

impl Dictionary {
    /// Takes products in. A name or number that two of them have finds neither from then on.
    #[must_use]
    pub fn of(products: Vec<Product>) -> Self {
        let mut own = Self::default();
        for (at, product) in products.iter().enumerate() {
            own.names
                .entry(fold(&product.name))
                .and_modify(|two| *two = None)
                .or_insert(Some(at));
            for gtin in &product.gtins {
                own.gtins
                    .entry(*gtin)
                    .and_modify(|two| *two = None)
                    .or_insert(Some(at));
            }
            for code in &product.codes {
                own.codes.insert(code.clone(), at);
            }
            let parts = product.components.iter();
            own.parts.extend(parts.clone().map(|one| one.name.clone()));
            for id in parts.filter_map(|one| one.ingredient) {
                if let Some(schedule) = product.schedule {
                    let strictest = own.strictest.entry(id).or_insert(schedule);
                    *strictest = schedule.min(*strictest);
                }
            }
        }
        own.products = products;
        own
    }

    /// Puts it over another, which answers where this one has nothing. What two products of this one share
    /// finds neither, whatever is below.
    #[must_use]
    pub fn over(mut self, below: Arc<Dictionary>) -> Self {
        self.below = Some(below);
        self
    }

    /// The products of this list, without those below it.
    #[must_use]
    pub fn products(&self) -> &[Product] {
        &self.products
    }
    /// Every product of this list and of those below it.
    pub fn all(&self) -> impl Iterator<Item = &Product> {
        let lists = core::iter::successors(Some(self), |own| own.below.as_deref());
        lists.flat_map(|own| &own.products)
    }
    /// The names of all ingredients, each once and in order.
    #[must_use]
    pub fn ingredient_names(&self) -> BTreeSet<&str> {
        let lists = core::iter::successors(Some(self), |own| own.below.as_deref());
        lists
            .flat_map(|own| &own.parts)
            .map(String::as_str)
            .collect()
    }
    /// By trade item number.
    #[must_use]
    pub fn by_gtin(&self, gtin: Gtin) -> Option<&Product> {
        match self.gtins.get(&gtin) {
            Some(at) => self.products.get((*at)?),
            None => self.below.as_deref()?.by_gtin(gtin),
        }
    }
    /// By code.
    #[must_use]
    pub fn by_code(&self, system: System, code: &str) -> Option<&Product> {
        match self.codes.get(&(system, code.to_owned())) {
            Some(at) => self.products.get(*at),
            None => self.below.as_deref()?.by_code(system, code),
        }
    }
    /// By name, whatever its case and spaces.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Product> {
        match self.names.get(&fold(name)) {
            Some(at) => self.products.get((*at)?),
            None => self.below.as_deref()?.by_name(name),
        }
    }
    /// The strictest schedule of the products that hold an ingredient, in this list and below it.
    #[must_use]
    pub fn strictest(&self, ingredient: IngredientId) -> Option<Schedule> {
        let own = self.strictest.get(&ingredient).copied();
        let below = self.below.as_deref();
        let below = below.and_then(|below| below.strictest(ingredient));
        own.into_iter().chain(below).min()
    }
}

fn fold(name: &str) -> String {
    name.split_whitespace()
        .map(str::to_lowercase)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The medicine that the checks ask for: what resolves, and by name what does not.
#[must_use]
pub fn for_checks(product: &Product) -> crate::checks::Medicine {
    let parts = product.components.iter().filter_map(|one| {
        Some(crate::checks::Part {
            ingredient: one.ingredient?,
            single: None,
            daily: None,
        })
    });
    let unresolved = product
        .components
        .iter()
        .filter(|one| one.ingredient.is_none());
    crate::checks::Medicine {
        name: product.name.clone(),
        parts: parts.collect(),
        unresolved: unresolved.map(|one| one.name.clone()).collect(),
        route: product
            .route
            .clone()
            .map(|name| crate::checks::Route { name }),
    }
}

/// The ingredient of a name or of the name without the salt: `Amiloride hydrochloride`.
#[must_use]
pub fn ingredient(knowledge: &dyn DrugKnowledge, name: &str) -> Option<IngredientId> {
    const SALTS: [&str; 18] = [
        "hydrochloride",
        "sodium",
        "potassium",
        "calcium",
        "maleate",
        "besilate",
        "tartrate",
        "fumarate",
        "sulfate",
        "phosphate",
        "citrate",
        "mesilate",
        "acetate",
        "hydrobromide",
        "trihydrate",
        "succinate",
        "bromide",
        "monohydrate",
    ];
    knowledge.ingredient(name).or_else(|| {
        let (base, salt) = name.trim().rsplit_once(' ')?;
        SALTS
            .contains(&salt.to_lowercase().as_str())
            .then(|| knowledge.ingredient(base))
            .flatten()
    })
}

#[cfg(test)]
mod tests;
