//! From levels to a probability and a grade.

use crate::compare::levels;
use crate::person::Person;
use crate::weights::{Field, Level, PRIOR_BITS, Weight};

/// From here on a match is probable, and possible.
const PROBABLE: f64 = 0.95;
const POSSIBLE: f64 = 0.2;
/// From here on a match is certain, where nothing that should not change differs.
const CERTAIN: f64 = 0.9999;

/// How sure it is (FHIR R4, value set match-grade).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Grade {
    /// The same person.
    Certain,
    /// Likely the same.
    Probable,
    /// Perhaps the same: somebody should look.
    Possible,
    /// Not the same.
    CertainlyNot,
}

impl Grade {
    /// The code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Probable => "probable",
            Self::Possible => "possible",
            Self::CertainlyNot => "certainly-not",
        }
    }
}

/// What a comparison comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The probability that both are one person, from 0 to 1.
    pub probability: f64,
    /// How sure it is.
    pub grade: Grade,
    /// What it is made of: the fields that both have, their levels and bits.
    pub parts: Vec<(Field, Level, f64)>,
}

/// Compares two persons.
#[must_use]
pub fn score(a: &Person, b: &Person) -> Score {
    let parts: Vec<(Field, Level, f64)> = levels(a, b)
        .into_iter()
        .map(|(field, level)| {
            let bits = Weight::of(field, level).map_or(0.0, Weight::bits);
            (field, level, bits)
        })
        .collect();
    let bits = PRIOR_BITS + parts.iter().map(|(_, _, bits)| bits).sum::<f64>();
    let probability = 1.0 / (1.0 + (-bits).exp2());
    Score {
        probability,
        grade: grade(probability, &parts),
        parts,
    }
}

/// A certain match needs a number or a date of birth that agrees, and neither of them, nor gender,
/// against it: twins and parents with the same names must not be one person by weight alone.
fn grade(probability: f64, parts: &[(Field, Level, f64)]) -> Grade {
    let is =
        |field: Field, level: Level| parts.iter().any(|part| part.0 == field && part.1 == level);
    let lasting = [Field::NationalNumber, Field::Birth, Field::Gender];
    let against = lasting.iter().any(|field| is(*field, Level::Differs));
    let firm = is(Field::NationalNumber, Level::Same) || is(Field::Birth, Level::Same);
    let named = !is(Field::Family, Level::Differs) && !is(Field::Given, Level::Differs);
    match probability {
        p if p >= CERTAIN && firm && named && !against => Grade::Certain,
        p if p >= PROBABLE => Grade::Probable,
        p if p >= POSSIBLE => Grade::Possible,
        _ => Grade::CertainlyNot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir::json::{Document, Limits};
    use proptest::prelude::*;

    fn person(json: &str) -> Person {
        let document = Document::parse(json.as_bytes().to_vec(), &Limits::default()).unwrap();
        Person::of(document.root())
    }

    const ANN: &str = r#"{"name":[{"family":"Ångström","given":["Ann","Mary"]}],"birthDate":"1970-05-31","gender":"female",
        "identifier":[{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"943 476 5919"},{"system":"urn:mrn","value":"7"}],
        "address":[{"line":["12 Mill Lane"],"postalCode":"BS1 4DJ"}],"telecom":[{"system":"phone","value":"+44 7700 900123"}]}"#;

    #[test]
    fn grades_pairs_as_people_would() {
        use Grade::{Certain, CertainlyNot, Possible, Probable};
        let number = r#"[{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9434765919"}]"#;
        let other = r#"[{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9434765870"}]"#;
        for (json, expected) in [
            (ANN.to_owned(), Certain),
            (format!(r#"{{"identifier":{number}}}"#), Probable),
            (format!(r#"{{"identifier":{number},"birthDate":"1970-05-31"}}"#), Certain),
            (r#"{"name":[{"family":"angstrom","given":["ann"]}],"birthDate":"1970-05-31","gender":"female","telecom":[{"system":"phone","value":"07700900123"}]}"#.to_owned(), Certain),
            (r#"{"name":[{"family":"Angstrom","given":["Ann"]}],"birthDate":"1970-05-31"}"#.to_owned(), Certain),
            (r#"{"name":[{"family":"Angstrom","given":["Ann"]}],"birthDate":"1970-05-13","address":[{"postalCode":"bs14dj"}]}"#.to_owned(), Probable),
            (r#"{"name":[{"family":"Angstrom","given":["Ann"]}]}"#.to_owned(), Possible),
            (r#"{"name":[{"family":"Angstrom","given":["Ann"]}],"birthDate":"1970-05-31","gender":"male"}"#.to_owned(), Probable),
            (r#"{"name":[{"family":"Angstrom","given":["Beth"]}],"birthDate":"1970-05-31","gender":"female","address":[{"postalCode":"BS1 4DJ","line":["12 Mill Lane"]}]}"#.to_owned(), Probable),
            (format!(r#"{{"name":[{{"family":"Angstrom","given":["Ann"]}}],"birthDate":"1970-05-31","identifier":{other}}}"#), Probable),
            (r#"{"name":[{"family":"Jones","given":["Bob"]}],"birthDate":"1981-01-01","gender":"male"}"#.to_owned(), CertainlyNot),
            ("{}".to_owned(), CertainlyNot),
        ] {
            let found = score(&person(ANN), &person(&json));
            assert_eq!(found.grade, expected, "{json}: {found:?}");
        }
    }

    #[test]
    fn names_in_the_wrong_fields_and_former_names_are_found() {
        let swapped =
            r#"{"name":[{"family":"Ann","given":["Angstrom"]}],"birthDate":"1970-05-31"}"#;
        let former = r#"{"name":[{"family":"Smith","given":["Ann"]},{"use":"old","family":"Angstrom","given":["Ann"]}],"birthDate":"1970-05-31"}"#;
        let double =
            r#"{"name":[{"family":"Angstrom-Smith","given":["Mary"]}],"birthDate":"1970-05-31"}"#;
        for json in [swapped, former, double] {
            let found = score(&person(ANN), &person(json));
            assert!(found.probability > 0.5, "{json}: {found:?}");
        }
    }

    #[test]
    fn a_number_that_cannot_be_right_says_nothing() {
        let wrong = r#"{"identifier":[{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9434765918"}]}"#;
        assert_eq!(score(&person(ANN), &person(wrong)).parts, []);
    }

    proptest! {
        #[test]
        fn is_symmetric_and_between_0_and_1(
            a in ("[a-c]{0,4}", "[a-c]{0,4}", "19[67][0-3]-0[1-3]-[12][0-9]", "(male|female|other)"),
            b in ("[a-c]{0,4}", "[a-c]{0,4}", "19[67][0-3]-0[1-3]-[12][0-9]", "(male|female|other)"),
        ) {
            let make = |(family, given, birth, gender): &(String, String, String, String)| person(&format!(
                r#"{{"name":[{{"family":"{family}","given":["{given}"]}}],"birthDate":"{birth}","gender":"{gender}"}}"#
            ));
            let (a, b) = (make(&a), make(&b));
            let (there, back) = (score(&a, &b), score(&b, &a));
            prop_assert!((there.probability - back.probability).abs() < 1e-9, "{there:?} {back:?}");
            prop_assert!((0.0..=1.0).contains(&there.probability));
            let own = score(&a, &a);
            prop_assert!(own.probability >= there.probability - 1e-9);
        }
    }
}
