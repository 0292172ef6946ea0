//! What a resource is, in a line of a list: its name or code, and how it stands. Must not guess: what is
//! not recorded is left out.

use fhir::json::Value;

use super::code::{concept_at, concepts, first_code, reference, text, words};
use super::name::{self, PatientName};

/// Members that name a resource, best first.
const CONCEPTS: [&str; 6] = [
    "code",
    "medicationCodeableConcept",
    "vaccineCode",
    "class",
    "category",
    "serviceType",
];
const TEXTS: [&str; 7] = [
    "title",
    "name",
    "description",
    "reason",
    "url",
    "criteria",
    "display",
];

/// What it is and how it stands; either may be empty.
#[must_use]
pub fn glance(resource: Value<'_>) -> (String, String) {
    (what(resource).unwrap_or_default(), standing(resource))
}

fn what(resource: Value<'_>) -> Option<String> {
    let kind = resource.get_str("resourceType").unwrap_or_default();
    if kind == "Patient" {
        return Some(PatientName::of(resource).display());
    }
    CONCEPTS
        .iter()
        .find_map(|member| concept_at(resource, member))
        .or_else(|| text(resource, "title"))
        .or_else(|| text(resource, "name"))
        .or_else(|| name::plain(resource))
        .or_else(|| concepts(resource, "type").into_iter().next())
        .or_else(|| TEXTS.iter().find_map(|member| text(resource, member)))
}

fn standing(resource: Value<'_>) -> String {
    let status = text(resource, "status")
        .or_else(|| first_code(resource, "clinicalStatus"))
        .map(|status| words(&status))
        .or_else(|| {
            let active = resource.get("active")?.as_bool()?;
            Some(if active { "Active" } else { "Not active" }.to_owned())
        });
    let about = ["subject", "patient", "beneficiary"]
        .iter()
        .find_map(|member| reference(resource, member));
    [doubt(resource), status, about]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}

/// Why it is not to be relied on: what was refuted may still say that it is active.
fn doubt(resource: Value<'_>) -> Option<String> {
    first_code(resource, "verificationStatus")
        .filter(|code| {
            matches!(
                code.as_str(),
                "refuted" | "entered-in-error" | "unconfirmed"
            )
        })
        .map(|code| words(&code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clinical::tests_support::parse;

    #[test]
    fn resources_in_a_line() {
        for (json, shown) in [
            (
                r#"{"resourceType":"Patient","name":[{"family":"Smith","given":["Jane"]}],"active":true}"#,
                ("SMITH, Jane", "Active"),
            ),
            (
                r#"{"resourceType":"Observation","status":"final","code":{"text":"Potassium"},"subject":{"reference":"Patient/p1"}}"#,
                ("Potassium", "Final, Patient/p1"),
            ),
            (
                r#"{"resourceType":"Organization","name":"North","active":false}"#,
                ("North", "Not active"),
            ),
            (
                r#"{"resourceType":"Practitioner","name":[{"prefix":["Dr"],"family":"Rao"}]}"#,
                ("Dr Rao", ""),
            ),
            (
                r#"{"resourceType":"Subscription","criteria":"Location?status=active","status":"active"}"#,
                ("Location?status=active", "Active"),
            ),
            (
                r#"{"resourceType":"AllergyIntolerance","clinicalStatus":{"coding":[{"code":"active"}]},"verificationStatus":{"coding":[{"code":"refuted"}]},"code":{"text":"Nuts"},"patient":{"reference":"Patient/p1"}}"#,
                ("Nuts", "Refuted, Active, Patient/p1"),
            ),
            (
                r#"{"resourceType":"Condition","verificationStatus":{"coding":[{"code":"entered-in-error"}]},"code":{"text":"Asthma"}}"#,
                ("Asthma", "Entered in error"),
            ),
            (
                r#"{"resourceType":"Condition","clinicalStatus":{"coding":[{"code":"active"}]},"verificationStatus":{"coding":[{"code":"unconfirmed"}]}}"#,
                ("", "Unconfirmed, Active"),
            ),
            (
                r#"{"resourceType":"Condition","clinicalStatus":{"coding":[{"code":"active"}]},"verificationStatus":{"coding":[{"code":"confirmed"}]}}"#,
                ("", "Active"),
            ),
            (r#"{"resourceType":"Basic"}"#, ("", "")),
        ] {
            let document = parse(json);
            let (what, standing) = glance(document.root());
            assert_eq!((what.as_str(), standing.as_str()), shown);
        }
    }
}
