//! Coded values as text. Must not look codes up: it shows what the record says, in the author's words
//! first.

use fhir::json::Value;

/// A member that is a non-empty string.
#[must_use]
pub fn text(value: Value<'_>, key: &str) -> Option<String> {
    value
        .get(key)
        .and_then(Value::as_str)
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

/// The strings of an array member.
#[must_use]
pub fn texts(value: Value<'_>, key: &str) -> Vec<String> {
    items(value, key)
        .filter_map(Value::as_str)
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect()
}

/// The items of an array member; none where it is absent.
pub fn items<'a>(value: Value<'a>, key: &str) -> impl Iterator<Item = Value<'a>> + use<'a> {
    value.get(key).into_iter().flat_map(Value::items)
}

/// The words of a CodeableConcept: its text, else the first display, else the first code (with a note
/// that it is only a code).
#[must_use]
pub fn concept(value: Value<'_>) -> Option<String> {
    text(value, "text")
        .or_else(|| items(value, "coding").find_map(|coding| text(coding, "display")))
        .or_else(|| {
            items(value, "coding")
                .find_map(|coding| text(coding, "code"))
                .map(|code| format!("Code {code}"))
        })
}

/// The words of a member that is a CodeableConcept.
#[must_use]
pub fn concept_at(value: Value<'_>, key: &str) -> Option<String> {
    value.get(key).and_then(concept)
}

/// The words of every CodeableConcept of an array member.
#[must_use]
pub fn concepts(value: Value<'_>, key: &str) -> Vec<String> {
    items(value, key).filter_map(concept).collect()
}

/// Whether a CodeableConcept holds one of these codes, in whatever system.
#[must_use]
pub fn has_code(value: Value<'_>, codes: &[&str]) -> bool {
    items(value, "coding").any(|coding| {
        coding
            .get("code")
            .and_then(Value::as_str)
            .is_some_and(|code| codes.contains(&code.as_ref()))
    })
}

/// Whether a CodeableConcept holds one of these codes of a system.
#[must_use]
pub fn has_system_code(value: Value<'_>, system: &str, codes: &[&str]) -> bool {
    items(value, "coding").any(|coding| {
        coding.get("system").and_then(Value::as_str).as_deref() == Some(system)
            && coding
                .get("code")
                .and_then(Value::as_str)
                .is_some_and(|code| codes.contains(&code.as_ref()))
    })
}

/// The first code of a CodeableConcept member.
#[must_use]
pub fn first_code(value: Value<'_>, key: &str) -> Option<String> {
    value
        .get(key)
        .and_then(|concept| items(concept, "coding").find_map(|coding| text(coding, "code")))
}

/// A code such as `entered-in-error` as words: `Entered in error`.
#[must_use]
pub fn words(code: &str) -> String {
    let spaced = code.replace(['-', '_'], " ");
    let mut letters = spaced.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// What a Reference says about its target: its display, else its address.
#[must_use]
pub fn reference(value: Value<'_>, key: &str) -> Option<String> {
    let reference = value.get(key)?;
    text(reference, "display").or_else(|| text(reference, "reference"))
}
