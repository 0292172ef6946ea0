//! Decimals that keep the precision they were written with: `1.50` is not `1.5` in a dose or a
//! laboratory result. Must not pass through binary floating point.

use core::fmt;
use core::str::FromStr;

use rust_decimal::Decimal;

/// A decimal and the text it was written as (FHIR R4, datatype `decimal`: the precision of the written
/// value has meaning).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WrittenDecimal {
    text: String,
    value: Decimal,
}

/// A text that is no decimal, or one beyond 28 significant digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a decimal of at most 28 digits: write it like -12.50 or 1.5e3")]
pub struct DecimalError(pub String);

impl WrittenDecimal {
    /// The numeric value; its scale is the number of decimal places written.
    #[must_use]
    pub const fn value(&self) -> Decimal {
        self.value
    }
    /// The text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
    /// The half-width of the implied range: half a unit of the last written digit (FHIR R4 search,
    /// section 3.1.1.5.3: `100` means [99.5, 100.5), `1.00e2` the same).
    #[must_use]
    pub fn implied_half_width(&self) -> Decimal {
        let (mantissa, exponent) = split_exponent(&self.text);
        let places = mantissa
            .split_once('.')
            .map_or(0, |(_, fraction)| fraction.len() as i64);
        let scale = places - exponent;
        let mut half = Decimal::new(5, 1);
        let ten = Decimal::TEN;
        if scale >= 0 {
            Decimal::try_new(5, (scale + 1).min(28) as u32).unwrap_or(half)
        } else {
            for _ in 0..(-scale).min(27) {
                half = half.checked_mul(ten).unwrap_or(half);
            }
            half
        }
    }
}

impl From<Decimal> for WrittenDecimal {
    /// Written with the places the value has.
    fn from(value: Decimal) -> Self {
        Self {
            text: value.to_string(),
            value,
        }
    }
}

fn split_exponent(text: &str) -> (&str, i64) {
    match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().unwrap_or(0)),
        None => (text, 0),
    }
}

impl FromStr for WrittenDecimal {
    type Err = DecimalError;
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let value = if text.contains(['e', 'E']) {
            Decimal::from_scientific(text)
        } else {
            Decimal::from_str_exact(text)
        };
        value
            .map(|value| Self {
                text: text.to_owned(),
                value,
            })
            .map_err(|_| DecimalError(text.chars().take(80).collect()))
    }
}
impl fmt::Display for WrittenDecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl fmt::Debug for WrittenDecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_written() {
        for text in ["1.50", "0.10", "-3", "100", "1e2", "1.00E2", "0.000"] {
            assert_eq!(text.parse::<WrittenDecimal>().unwrap().to_string(), text);
        }
        for bad in ["", "1,5", "abc", "1e", "--1"] {
            assert!(bad.parse::<WrittenDecimal>().is_err(), "{bad}");
        }
    }

    #[test]
    fn half_width_follows_the_last_written_digit() {
        for (text, half) in [
            ("100", "0.5"),
            ("100.00", "0.005"),
            ("1e2", "50"),
            ("1.0e2", "5"),
            ("5.40", "0.005"),
        ] {
            let written: WrittenDecimal = text.parse().unwrap();
            assert_eq!(
                written.implied_half_width(),
                half.parse::<Decimal>().unwrap(),
                "{text}"
            );
        }
    }
}
