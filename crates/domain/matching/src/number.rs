//! Identifiers as numbers: which national ones they are, and whether they can be right. Must not know who
//! has them.

/// What a number is, by its system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NumberKind {
    /// The NHS number of England, Wales and the Isle of Man: ten digits, the last a check digit.
    Nhs,
    /// The ABHA number of India: fourteen digits. No public rule for a check digit is relied on.
    Abha,
    /// Any other identifier with a system.
    Other,
}

/// Systems of the NHS number.
const NHS: [&str; 2] = [
    "https://fhir.nhs.uk/Id/nhs-number",
    "https://fhir.nhs.uk/id/nhs-number",
];
/// Beginnings of the systems of the ABHA number.
const ABHA: [&str; 3] = [
    "https://healthid.abdm.gov.in",
    "https://healthid.ndhm.gov.in",
    "https://abha.abdm.gov.in",
];

/// What kind of number a system holds.
#[must_use]
pub fn number_kind(system: &str) -> NumberKind {
    if NHS.contains(&system) {
        NumberKind::Nhs
    } else if ABHA.iter().any(|known| system.starts_with(known)) {
        NumberKind::Abha
    } else {
        NumberKind::Other
    }
}

/// The number as it is compared; `None` where it cannot be right and so says nothing.
#[must_use]
pub fn plain_number(kind: NumberKind, value: &str) -> Option<String> {
    match kind {
        NumberKind::Other => {
            let value = value.trim();
            (!value.is_empty()).then(|| value.to_owned())
        }
        NumberKind::Nhs => digits(value, 10).filter(|digits| is_nhs(digits)),
        NumberKind::Abha => digits(value, 14),
    }
}

fn digits(value: &str, count: usize) -> Option<String> {
    let is_gap = |c: char| matches!(c, ' ' | '-' | '\u{a0}');
    let digits: String = value.chars().filter(|c| !is_gap(*c)).collect();
    let fits = digits.len() == count && digits.bytes().all(|byte| byte.is_ascii_digit());
    fits.then_some(digits)
}

/// Modulo 11 (NHS Data Dictionary, NHS NUMBER).
fn is_nhs(digits: &str) -> bool {
    let values: Vec<u32> = digits.chars().filter_map(|c| c.to_digit(10)).collect();
    let Some((check, rest)) = values.split_last() else {
        return false;
    };
    let sum: u32 = rest
        .iter()
        .zip((2..=10).rev())
        .map(|(digit, weight)| digit * weight)
        .sum();
    match 11 - sum % 11 {
        11 => *check == 0,
        10 => false,
        expected => *check == expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_digits() {
        let nhs = |text: &str| plain_number(NumberKind::Nhs, text);
        assert_eq!(nhs("943 476 5919").as_deref(), Some("9434765919"));
        assert_eq!(nhs("943-476-5919").as_deref(), Some("9434765919"));
        for bad in ["9434765918", "943476591", "94347659190", "943476591x", ""] {
            assert_eq!(nhs(bad), None, "{bad}");
        }
        for number in (0..50).filter_map(population::nhs_number) {
            assert!(nhs(&number).is_some(), "{number}");
        }
        let abha = plain_number(NumberKind::Abha, "91-2345-6789-0123");
        assert_eq!(abha.as_deref(), Some("91234567890123"));
        assert_eq!(plain_number(NumberKind::Other, "  "), None);
        assert_eq!(
            number_kind("https://healthid.ndhm.gov.in/x"),
            NumberKind::Abha
        );
    }
}
