//! Trade item numbers and their check digit (GS1 General Specifications 7.9). Must not accept a number
//! whose check digit is wrong.

use core::fmt;
use core::str::FromStr;

use super::ScanError;

/// A number of 14 digits; shorter ones are filled with zeros on the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gtin(u64);

impl Gtin {
    /// Reads 8 (EAN-8), 12 (UPC-A), 13 (EAN-13) or 14 digits.
    ///
    /// # Errors
    /// Other lengths, other characters, a wrong check digit.
    pub fn read(text: &str) -> Result<Self, ScanError> {
        let fault = || ScanError::Gtin(text.chars().take(20).collect());
        if !matches!(text.len(), 8 | 12 | 13 | 14)
            || !text.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(fault());
        }
        let number: u64 = text.parse().map_err(|_| fault())?;
        if number == 0 {
            return Err(fault());
        }
        if u64::from(check_digit(number / 10)) != number % 10 {
            return Err(ScanError::CheckDigit(text.to_owned()));
        }
        Ok(Self(number))
    }

    /// As a number.
    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    /// The number of a list that was checked when it was read; none where its check digit is wrong.
    pub(crate) fn of_number(number: u64) -> Option<Self> {
        let whole = (1..=99_999_999_999_999).contains(&number);
        let good = u64::from(check_digit(number / 10)) == number % 10;
        (whole && good).then_some(Self(number))
    }

    /// The 14 digits.
    #[must_use]
    pub fn digits(self) -> String {
        format!("{:014}", self.0)
    }

    /// Whether it is of the ranges for use inside a company (prefixes 020 to 029, 040 to 049 and 200 to
    /// 299): two owners may use the same number for different things.
    #[must_use]
    pub const fn is_restricted(self) -> bool {
        let prefix = self.0 / 10_000_000_000 % 1_000;
        matches!(prefix, 20..=29 | 40..=49 | 200..=299)
    }
}

impl FromStr for Gtin {
    type Err = ScanError;
    fn from_str(text: &str) -> Result<Self, ScanError> {
        Self::read(text)
    }
}

impl fmt::Display for Gtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:014}", self.0)
    }
}

/// The check digit of a number without one: weights 3 and 1 from the right.
#[must_use]
pub const fn check_digit(mut number: u64) -> u8 {
    let (mut sum, mut weight) = (0, 3);
    while number != 0 {
        sum += number % 10 * weight;
        weight = 4 - weight;
        number /= 10;
    }
    ((10 - sum % 10) % 10) as u8
}
