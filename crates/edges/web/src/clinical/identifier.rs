//! Patient identifiers: NHS number (3-3-4, check digit), ABHA number (2-4-4-4), hospital numbers.
//! Must not drop a malformed one: it is shown as recorded, and said to be malformed.

use fhir::json::Value;

use super::code::{concept_at, has_code, items, text};

/// The system of NHS numbers in FHIR UK Core.
pub const NHS_NUMBER: &str = "https://fhir.nhs.uk/Id/nhs-number";
const ABHA_SYSTEMS: [&str; 3] = [
    "https://healthid.abdm.gov.in",
    "https://healthid.ndhm.gov.in",
    "https://abha.abdm.gov.in",
];

/// One identifier as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier {
    /// What kind it is.
    pub kind: IdentifierKind,
    /// The label, without a colon (PAB-0042).
    pub label: String,
    /// The value, grouped.
    pub value: String,
    /// What is wrong with it, in words.
    pub problem: Option<&'static str>,
}

/// What kind of identifier, best for telling patients apart first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdentifierKind {
    /// National, England.
    NhsNumber,
    /// National, India.
    Abha,
    /// The organisation's own.
    RecordNumber,
    /// Any other.
    Other,
}

/// The identifiers of a patient, best first; those marked old or entered with `use: old` left out.
#[must_use]
pub fn identifiers(patient: Value<'_>) -> Vec<Identifier> {
    let mut found: Vec<Identifier> = items(patient, "identifier")
        .filter(|identifier| text(*identifier, "use").as_deref() != Some("old"))
        .filter_map(of)
        .collect();
    found.sort_by_key(|identifier| identifier.kind);
    found
}

fn of(identifier: Value<'_>) -> Option<Identifier> {
    let value = text(identifier, "value")?;
    let system = text(identifier, "system").unwrap_or_default();
    if system == NHS_NUMBER {
        return Some(nhs_number(&value));
    }
    if ABHA_SYSTEMS.iter().any(|known| system.starts_with(known))
        && value.chars().any(|c| c.is_ascii_digit())
    {
        return Some(abha(&value));
    }
    let coded = identifier
        .get("type")
        .is_some_and(|kind| has_code(kind, &["MR"]));
    if coded {
        return Some(Identifier {
            kind: IdentifierKind::RecordNumber,
            label: "MRN".to_owned(),
            value,
            problem: None,
        });
    }
    let label = concept_at(identifier, "type").unwrap_or_else(|| "Other number".to_owned());
    Some(Identifier {
        kind: IdentifierKind::Other,
        label,
        value,
        problem: None,
    })
}

fn nhs_number(value: &str) -> Identifier {
    let label = "NHS\u{a0}No.".to_owned();
    let digits: String = value
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .collect();
    let well_formed = is_nhs_number(&digits);
    Identifier {
        kind: IdentifierKind::NhsNumber,
        label,
        value: grouped(&digits, &[3, 3, 4]).unwrap_or_else(|| value.to_owned()),
        problem: (!well_formed).then_some("not a valid NHS number, check it"),
    }
}

fn abha(value: &str) -> Identifier {
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    let shown = grouped(&digits, &[2, 4, 4, 4]);
    Identifier {
        kind: IdentifierKind::Abha,
        label: "ABHA\u{a0}No.".to_owned(),
        problem: shown
            .is_none()
            .then_some("not a 14-digit ABHA number, check it"),
        value: shown.unwrap_or_else(|| value.to_owned()),
    }
}

/// Digits in groups, with spaces that do not break (NUM-0001, NUM-0002); `None` where the length is
/// another or something is no digit.
fn grouped(digits: &str, groups: &[usize]) -> Option<String> {
    if digits.len() != groups.iter().sum::<usize>() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut rest = digits;
    let mut parts = Vec::with_capacity(groups.len());
    for size in groups {
        let (head, tail) = rest.split_at_checked(*size)?;
        parts.push(head);
        rest = tail;
    }
    Some(parts.join("\u{a0}"))
}

/// Whether ten digits are an NHS number: modulus 11 over weights 10 to 2 (NHS Data Dictionary).
#[must_use]
pub fn is_nhs_number(digits: &str) -> bool {
    let values: Vec<u32> = digits.chars().filter_map(|c| c.to_digit(10)).collect();
    let [head @ .., check] = values.as_slice() else {
        return false;
    };
    if head.len() != 9 || digits.len() != 10 {
        return false;
    }
    let sum: u32 = head
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

/// A number as somebody types it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedNumber {
    /// The ways the same number may have been recorded; the typed one first.
    pub forms: Vec<String>,
    /// What is wrong with it, as a sentence; a number of another kind may look like this all the same.
    pub problem: Option<String>,
}

/// Reads a number as typed, with or without groups; `None` where nothing was typed. A national number is
/// found however its digits were grouped, and a check digit that does not fit is said.
#[must_use]
pub fn typed_number(text: &str) -> Option<TypedNumber> {
    let typed = text.trim();
    if typed.is_empty() {
        return None;
    }
    let compact: String = typed
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '\u{2010}' | '\u{2011}'))
        .collect();
    let groups: &[usize] = match compact.len() {
        10 => &[3, 3, 4],
        14 => &[2, 4, 4, 4],
        _ => &[],
    };
    let mut forms = vec![typed.to_owned()];
    let digits = compact.bytes().all(|b| b.is_ascii_digit());
    if digits {
        forms.push(compact.clone());
        let spaced = grouped(&compact, groups).map(|shown| shown.replace('\u{a0}', " "));
        forms.extend(spaced.iter().map(|shown| shown.replace(' ', "-")));
        forms.extend(spaced);
    }
    forms.sort_by_key(|form| form != typed);
    forms.dedup();
    let length = compact.len();
    let problem = match (digits, length) {
        (true, 10) if !is_nhs_number(&compact) => Some(format!(
            "{} is not a valid NHS number: its check digit does not fit. Compare it digit by digit",
            grouped(&compact, groups).unwrap_or(compact)
        )),
        (true, 9 | 11) => Some(format!(
            "An NHS number has 10 digits; this has {length}. Compare it digit by digit"
        )),
        (true, 13 | 15) => Some(format!(
            "An ABHA number has 14 digits; this has {length}. Compare it digit by digit"
        )),
        _ => None,
    };
    Some(TypedNumber { forms, problem })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clinical::tests_support::parse;

    #[test]
    fn num_0002_nhs_numbers() {
        for (value, shown, good) in [
            ("9434765919", "943 476 5919", true),
            ("943 476 5919", "943 476 5919", true),
            ("9434765918", "943 476 5918", false),
            ("987654321", "987654321", false),
            ("94347659AB", "94347659AB", false),
        ] {
            let patient = parse(&format!(
                r#"{{"identifier":[{{"system":"{NHS_NUMBER}","value":"{value}"}}]}}"#
            ));
            let found = identifiers(patient.root());
            assert_eq!(found[0].value.replace('\u{a0}', " "), shown);
            assert_eq!(found[0].problem.is_none(), good, "{value}");
        }
    }

    #[test]
    fn abha_numbers_in_groups_of_2_4_4_4() {
        let patient = parse(
            r#"{"identifier":[{"type":{"coding":[{"code":"MR"}]},"value":"H-77"},{"system":"https://healthid.abdm.gov.in","value":"91234567890123"}]}"#,
        );
        let found = identifiers(patient.root());
        assert_eq!(found[0].value.replace('\u{a0}', " "), "91 2345 6789 0123");
        assert_eq!(
            (found[1].label.as_str(), found[1].value.as_str()),
            ("MRN", "H-77")
        );
    }

    #[test]
    fn num_0002_typed_numbers_are_found_however_they_are_grouped() {
        for typed in [
            "9434765919",
            "943 476 5919",
            "943-476-5919",
            " 94 34\u{a0}765919 ",
        ] {
            let read = typed_number(typed).unwrap();
            for form in ["9434765919", "943 476 5919", "943-476-5919"] {
                assert!(
                    read.forms.iter().any(|known| known == form),
                    "{typed}: {form}"
                );
            }
            assert_eq!(read.problem, None, "{typed}");
        }
        assert_eq!(typed_number("RH-0012").unwrap().forms, ["RH-0012"]);
        assert!(
            typed_number("91234567890123")
                .unwrap()
                .forms
                .contains(&"91-2345-6789-0123".to_owned())
        );
        assert_eq!(typed_number("  "), None);
    }

    #[test]
    fn num_0003_a_wrong_check_digit_or_length_is_said() {
        for (typed, said) in [
            (
                "943 476 5918",
                Some("943\u{a0}476\u{a0}5918 is not a valid NHS number"),
            ),
            ("943 476 591", Some("10 digits; this has 9")),
            ("94347659199", Some("10 digits; this has 11")),
            ("9123456789012", Some("14 digits; this has 13")),
            ("12345", None),
            ("94347659AB", None),
        ] {
            let problem = typed_number(typed).unwrap().problem;
            match said {
                Some(said) => assert!(problem.unwrap().contains(said), "{typed}"),
                None => assert_eq!(problem, None, "{typed}"),
            }
        }
    }

    #[test]
    fn check_digit_ten_is_never_valid() {
        let valid = (0..10_000)
            .filter(|n| is_nhs_number(&format!("943476{n:04}")))
            .count();
        assert!((850..=1000).contains(&valid), "{valid}");
    }
}
