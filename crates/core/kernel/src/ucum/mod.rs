//! Units of measure after UCUM (The Unified Code for Units of Measure, table of units 2.1, case sensitive):
//! codes to a factor over the base units, so that quantities compare and convert exactly where their
//! ratio is exact. Factors are ratios of integers and powers of ten, never binary floating point. Must
//! not guess: a text that is no UCUM code is an error.

mod parse;
mod ratio;
mod table;

use core::cmp::Ordering;

use rust_decimal::Decimal;

pub use ratio::Ratio;

use crate::category::{Categorised, Category};

/// A text that is no unit, or two units that measure different things.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UcumError {
    /// Not a UCUM code.
    #[error("{0:?} is no UCUM unit: write a case-sensitive UCUM code like mg/dL")]
    Unknown(String),
    /// Units of different kinds.
    #[error("{from:?} does not convert to {to:?}: they measure different things")]
    Incommensurable {
        /// The unit converted from.
        from: String,
        /// The unit converted to.
        to: String,
    },
    /// The result has more digits than a decimal holds.
    #[error("the value in {0:?} is beyond 28 digits: convert to a unit of its size")]
    Range(String),
}

impl Categorised for UcumError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

/// The scale a unit's values stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scale {
    /// Zero is zero.
    Ratio,
    /// Degrees Celsius, with the factor of a prefix.
    Celsius,
    /// Degrees Fahrenheit.
    Fahrenheit,
    /// Degrees Réaumur.
    Reaumur,
}

/// The base units: metre, second, gram, radian, kelvin, coulomb, candela.
const BASES: [&str; 7] = ["m", "s", "g", "rad", "K", "C", "cd"];

/// A unit over the base units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UcumUnit {
    factor: Ratio,
    /// Exponents of the base units.
    bases: [i8; 7],
    /// Units with a dimension of their own (`[iU]`, `[pH]`): place in the table and exponent, sorted.
    own: Vec<(u16, i8)>,
    scale: Scale,
}

impl UcumUnit {
    /// Reads a code.
    ///
    /// # Errors
    /// A text that is no UCUM code.
    pub fn parse(code: &str) -> Result<Self, UcumError> {
        parse::unit(code).ok_or_else(|| UcumError::Unknown(code.chars().take(80).collect()))
    }

    fn one() -> Self {
        Self {
            factor: Ratio::ONE,
            bases: [0; 7],
            own: Vec::new(),
            scale: Scale::Ratio,
        }
    }

    /// Whether values of both can be compared.
    #[must_use]
    pub fn is_commensurable(&self, other: &Self) -> bool {
        self.bases == other.bases && self.own == other.own
    }

    /// How many of the base units it is, on a ratio scale.
    #[must_use]
    pub const fn factor(&self) -> &Ratio {
        &self.factor
    }

    /// The base units of it in canonical order: `g.m-1`; `1` for numbers.
    #[must_use]
    pub fn canonical_code(&self) -> String {
        let bases = BASES.into_iter().zip(self.bases);
        let own = self
            .own
            .iter()
            .map(|(at, exponent)| (table::code(*at), *exponent));
        let parts: Vec<String> = bases
            .chain(own)
            .filter(|(_, exponent)| *exponent != 0)
            .map(|(code, exponent)| match exponent {
                1 => code.to_owned(),
                _ => format!("{code}{exponent}"),
            })
            .collect();
        if parts.is_empty() {
            "1".to_owned()
        } else {
            parts.join(".")
        }
    }

    /// A value of this unit in its base units; none beyond 28 digits.
    #[must_use]
    pub fn to_base(&self, value: Decimal) -> Option<Decimal> {
        let scaled = self.factor.times(value)?;
        match self.scale {
            Scale::Ratio => Some(scaled),
            Scale::Celsius => scaled.checked_add(Decimal::new(27_315, 2)),
            Scale::Fahrenheit => scaled
                .checked_add(Decimal::new(45_967, 2))?
                .checked_mul(Decimal::from(5))?
                .checked_div(Decimal::from(9)),
            Scale::Reaumur => scaled
                .checked_mul(Decimal::new(125, 2))?
                .checked_add(Decimal::new(27_315, 2)),
        }
    }

    fn of_base(&self, value: Decimal) -> Option<Decimal> {
        let scaled = match self.scale {
            Scale::Ratio => value,
            Scale::Celsius => value.checked_sub(Decimal::new(27_315, 2))?,
            Scale::Fahrenheit => value
                .checked_mul(Decimal::from(9))?
                .checked_div(Decimal::from(5))?
                .checked_sub(Decimal::new(45_967, 2))?,
            Scale::Reaumur => value
                .checked_sub(Decimal::new(27_315, 2))?
                .checked_div(Decimal::new(125, 2))?,
        };
        self.factor.inverse()?.times(scaled)
    }

    /// A value of this unit in another one; none where they measure different things, or beyond 28 digits.
    #[must_use]
    pub fn convert(&self, value: Decimal, to: &Self) -> Option<Decimal> {
        if !self.is_commensurable(to) {
            return None;
        }
        if self.scale == Scale::Ratio && to.scale == Scale::Ratio {
            return self.factor.over(&to.factor)?.times(value);
        }
        to.of_base(self.to_base(value)?)
    }

    /// Compares two values; exact where both factors are. None where they measure different things.
    #[must_use]
    pub fn compare(&self, value: Decimal, other: &Self, other_value: Decimal) -> Option<Ordering> {
        if !self.is_commensurable(other) {
            return None;
        }
        if self.scale == Scale::Ratio && other.scale == Scale::Ratio {
            let ratio = other.factor.over(&self.factor)?;
            return ratio.compare_scaled(value, other_value);
        }
        // Offsets of thirds have no last digit: what differs beyond 20 places is the same.
        let (a, b) = (self.to_base(value)?, other.to_base(other_value)?);
        Some(a.round_dp(20).cmp(&b.round_dp(20)))
    }

    fn times(mut self, other: &Self, exponent: i8) -> Option<Self> {
        if other.scale != Scale::Ratio || self.scale != Scale::Ratio {
            return None;
        }
        self.factor = self.factor.product(&other.factor.power(exponent)?)?;
        for (mine, theirs) in self.bases.iter_mut().zip(other.bases) {
            *mine = mine.checked_add(theirs.checked_mul(exponent)?)?;
        }
        for (at, theirs) in &other.own {
            let more = theirs.checked_mul(exponent)?;
            match self.own.binary_search_by_key(at, |(known, _)| *known) {
                Ok(place) => {
                    let (_, mine) = self.own.get_mut(place)?;
                    *mine = mine.checked_add(more)?;
                }
                Err(place) => self.own.insert(place, (*at, more)),
            }
        }
        self.own.retain(|(_, exponent)| *exponent != 0);
        Some(self)
    }

    fn scaled(mut self, by: &Ratio) -> Option<Self> {
        self.factor = self.factor.product(by)?;
        Some(self)
    }
}

/// Converts a value between two codes.
///
/// # Errors
/// Codes that are none, units of different kinds, and results beyond 28 digits.
pub fn convert(value: Decimal, from: &str, to: &str) -> Result<Decimal, UcumError> {
    let (source, target) = (UcumUnit::parse(from)?, UcumUnit::parse(to)?);
    if !source.is_commensurable(&target) {
        return Err(UcumError::Incommensurable {
            from: from.to_owned(),
            to: to.to_owned(),
        });
    }
    source
        .convert(value, &target)
        .ok_or_else(|| UcumError::Range(to.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn every_unit_of_the_table_resolves() {
        let mut count = 0;
        for code in table::codes() {
            let unit = UcumUnit::parse(code).unwrap_or_else(|error| panic!("{code}: {error}"));
            assert!(unit.is_commensurable(&unit));
            count += 1;
        }
        assert_eq!(count, 311);
    }

    #[test]
    fn converts_what_is_written_on_the_ward() {
        for (value, from, to, expected) in [
            ("1", "g", "mg", "1000"),
            ("1", "[in_i]", "cm", "2.54"),
            ("37", "Cel", "[degF]", "98.6"),
            ("98.6", "[degF]", "Cel", "37"),
            ("1", "L", "dm3", "1"),
            ("120", "mm[Hg]", "kPa", "15.99864"),
            ("1", "[lb_av]", "kg", "0.45359237"),
            ("5", "mg/mL", "g/L", "5"),
            ("60", "/min", "/s", "1"),
            ("2", "wk", "d", "14"),
            ("1", "umol/min", "U", "1"),
            ("1", "10*3/uL", "10*9/L", "1"),
            ("100", "ug/kg/min", "mg/kg/h", "6"),
            ("50", "%", "1", "0.5"),
            ("1", "m[H2O]", "kPa", "9.80665"),
            ("1", "kg.m/s2", "N", "1"),
            ("1", "k[IU]/L", "[iU]/mL", "1"),
            ("3", "{cells}", "1", "3"),
            ("1", "mol", "mmol", "1000"),
        ] {
            assert_eq!(
                convert(decimal(value), from, to).map(|value| value.normalize()),
                Ok(decimal(expected)),
                "{value} {from} to {to}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_unit_or_another_kind() {
        for code in [
            "", "mgg", "m/", "m..s", "m-", "2m3m", "(m", "m)", "Cel/h", "m{", "[foo]", "kmin",
            "m 2",
        ] {
            assert!(UcumUnit::parse(code).is_err(), "{code}");
        }
        let deep = "(".repeat(5000);
        assert!(UcumUnit::parse(&deep).is_err());
        assert!(UcumUnit::parse("m127.m127").is_err());
        assert!(matches!(
            convert(Decimal::ONE, "mg", "mL"),
            Err(UcumError::Incommensurable { .. })
        ));
        assert!(matches!(
            convert(Decimal::ONE, "[iU]", "[arb'U]"),
            Err(UcumError::Incommensurable { .. })
        ));
    }

    #[test]
    fn compares_thirds_exactly() {
        let per_minute = UcumUnit::parse("/min").unwrap();
        let per_hour = UcumUnit::parse("/h").unwrap();
        assert_eq!(
            per_minute.compare(Decimal::ONE, &per_hour, decimal("60")),
            Some(Ordering::Equal)
        );
        assert_eq!(
            per_minute.compare(Decimal::ONE, &per_hour, decimal("60.0000000001")),
            Some(Ordering::Less)
        );
        assert_eq!(UcumUnit::parse("g/L").unwrap().canonical_code(), "m-3.g");
        assert_eq!(UcumUnit::parse("10*3").unwrap().canonical_code(), "1");
    }
}
