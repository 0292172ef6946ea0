//! Gender as CUI writes it: in full, never a code or symbol (CGS-0005, CGS-0006).

use fhir::json::Value;

use super::code::text;

/// `Male`, `Female`, `Other`, or "Not known" (also where the record holds nothing; CGS-0008).
#[must_use]
pub fn gender(patient: Value<'_>) -> &'static str {
    match text(patient, "gender").as_deref() {
        Some("male") => "Male",
        Some("female") => "Female",
        Some("other") => "Other",
        _ => super::NOT_KNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clinical::tests_support::parse;

    #[test]
    fn cgs_0005_in_full() {
        for (body, shown) in [
            (r#"{"gender":"female"}"#, "Female"),
            (r#"{"gender":"male"}"#, "Male"),
            (r#"{"gender":"other"}"#, "Other"),
            (r#"{"gender":"unknown"}"#, "Not known"),
            (r"{}", "Not known"),
        ] {
            assert_eq!(gender(parse(body).root()), shown);
        }
    }
}
