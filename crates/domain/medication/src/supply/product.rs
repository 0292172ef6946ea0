//! What can be ordered: its legal class, whether it is controlled, its packs, and money. Must not take an
//! unknown class for a free one.

use kernel::{Categorised, Category};
use rust_decimal::Decimal;

use crate::dictionary::{self, System};
use crate::ids::ItemId;
use crate::quantity::Unit;
use crate::register::Class;
use crate::stock::Units;

/// Who may sell it (Human Medicines Regulations 2012).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Legal {
    /// On a prescription.
    PrescriptionOnly,
    /// By a pharmacy.
    Pharmacy,
    /// By any shop.
    GeneralSale,
}

/// Whether it is controlled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// It is not.
    No,
    /// It is of this class.
    Yes(Class),
}

impl Control {
    /// Whether a product of the dictionary is controlled; none where its source does not know: RxNorm
    /// says nothing of the British schedules.
    #[must_use]
    pub fn of(product: &dictionary::Product) -> Option<Self> {
        if let Some(schedule) = product.schedule {
            return Some(Self::Yes(Class::of_schedule(schedule)));
        }
        let from = |system| product.codes.iter().any(|(own, _)| *own == system);
        let silent = from(System::RxNorm) && !from(System::Dmd);
        (!silent).then_some(Self::No)
    }
}

/// Three letters of ISO 4217.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Pounds sterling.
    pub const GBP: Self = Self(*b"GBP");

    /// By its letters.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        let letters: [u8; 3] = code.as_bytes().try_into().ok()?;
        letters
            .iter()
            .all(u8::is_ascii_uppercase)
            .then_some(Self(letters))
    }
    /// Its letters.
    #[must_use]
    pub fn code(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// An amount of money, none or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

/// Why money is none or cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Less than none.
    #[error("{0} is less than no money: state what it costs")]
    Negative(Decimal),
    /// Two currencies.
    #[error("{} and {} cannot be added", .0.code(), .1.code())]
    Currencies(Currency, Currency),
    /// More than 28 digits.
    #[error("the sum is beyond 28 digits: check the price")]
    Range,
}

impl Categorised for MoneyError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

impl Money {
    /// Checks an amount.
    ///
    /// # Errors
    /// Less than none.
    pub fn new(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        if amount < Decimal::ZERO {
            return Err(MoneyError::Negative(amount));
        }
        Ok(Self { amount, currency })
    }
    /// None of a currency.
    #[must_use]
    pub const fn none(currency: Currency) -> Self {
        Self {
            amount: Decimal::ZERO,
            currency,
        }
    }
    /// The amount.
    #[must_use]
    pub const fn amount(&self) -> Decimal {
        self.amount
    }
    /// The currency.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }
    /// Both together.
    ///
    /// # Errors
    /// Two currencies, more than 28 digits.
    pub fn plus(&self, other: &Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::Currencies(self.currency, other.currency));
        }
        let amount = self.amount.checked_add(other.amount);
        Ok(Self {
            amount: amount.ok_or(MoneyError::Range)?,
            currency: self.currency,
        })
    }
    /// So many of it.
    ///
    /// # Errors
    /// More than 28 digits.
    pub fn times(&self, count: u32) -> Result<Self, MoneyError> {
        let amount = self.amount.checked_mul(count.into());
        Ok(Self {
            amount: amount.ok_or(MoneyError::Range)?,
            currency: self.currency,
        })
    }
}

/// A size in which it is sold.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pack {
    /// How much of the item's unit it holds.
    pub holds: Units,
    /// What it costs, where known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub price: Option<Money>,
}

/// A product of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// The medicine.
    pub item: ItemId,
    /// Its code in dm+d.
    pub code: String,
    /// Its name.
    pub name: String,
    /// In which unit it is counted.
    pub unit: Unit,
    /// Who may sell it; none where nobody knows.
    pub legal: Option<Legal>,
    /// Whether it is controlled; none where nobody knows.
    pub control: Option<Control>,
    /// Its packs.
    pub packs: Vec<Pack>,
}

impl Product {
    /// Whether it is known not to be controlled.
    #[must_use]
    pub fn is_uncontrolled(&self) -> bool {
        self.control == Some(Control::No)
    }
}
