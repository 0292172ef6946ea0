//! Identifiers that nobody real can have: NHS numbers of the 999 test range with a valid check digit,
//! and ABHA-shaped numbers. Must not make a number outside those ranges.

/// How many different test NHS numbers [`nhs_number`] can give.
pub const NHS_NUMBERS: u32 = 900_000;

/// The check digit of nine digits of an NHS number (modulus 11, weights 10 to 2); nothing where the
/// remainder makes such a number invalid.
#[must_use]
pub fn nhs_check_digit(nine: u32) -> Option<u32> {
    let sum: u32 = (0..9)
        .map(|place| (nine / 10_u32.pow(place) % 10) * (place + 2))
        .sum();
    match 11 - sum % 11 {
        11 => Some(0),
        10 => None,
        digit => Some(digit),
    }
}

/// The NHS number of person `index`, ten digits beginning with 999: a different one for every index
/// below [`NHS_NUMBERS`], nothing from there on.
#[must_use]
pub fn nhs_number(index: u32) -> Option<String> {
    if index >= NHS_NUMBERS {
        return None;
    }
    // Among the ten values of the last digit before the check digit at most one is invalid, so every
    // prefix has at least nine numbers. The stride spreads neighbours over the range.
    let prefix = u64::from(index % 100_000) * 76_543 % 100_000;
    let nine = 999_000_000 + prefix as u32 * 10;
    let (body, check) = (0..10)
        .filter_map(|last| nhs_check_digit(nine + last).map(|check| (nine + last, check)))
        .nth((index / 100_000) as usize)?;
    Some(format!("{body}{check}"))
}

/// An ABHA-shaped number in groups of 2-4-4-4; the block `91-0000` is not given to people.
#[must_use]
pub(crate) fn abha_number(index: u32) -> String {
    let spread = (u64::from(index) * 76_543_217 + 10_203_040) % 100_000_000;
    format!("91-0000-{:04}-{:04}", spread / 10_000, spread % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_follow_the_data_dictionary() {
        // 943 476 5919 and 401 023 2137 are the worked examples of the NHS data dictionary.
        assert_eq!(nhs_check_digit(943_476_591), Some(9));
        assert_eq!(nhs_check_digit(401_023_213), Some(7));
    }

    #[test]
    fn numbers_are_distinct() {
        let mut seen = std::collections::HashSet::new();
        for index in (0..3_000).chain(100_000..101_000).chain(899_000..900_000) {
            let number = nhs_number(index).unwrap();
            assert_eq!(number.len(), 10);
            assert!(number.starts_with("999"));
            assert!(seen.insert(number));
            assert!(seen.insert(abha_number(index)));
        }
        assert_eq!(nhs_number(NHS_NUMBERS), None);
    }
}
