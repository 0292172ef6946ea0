//! Which patients a body mentions, found without parsing it: every reference of the form `Patient/id`.
//! More than its compartments, never fewer, so that a look at it can be recorded for each of them.

use fhir::json::{Document, Kind, Limits, Value};
use kernel::LogicalId;

use crate::error::AppError;

const NAME: &str = "Patient/";

/// Gives each mention to `found`; the same patient may come several times.
pub(super) fn mentions(body: &[u8], found: &mut impl FnMut(&str)) -> Result<(), AppError> {
    let Ok(text) = core::str::from_utf8(body) else {
        return Ok(());
    };
    // An escape may hide a reference from a search of the bytes.
    if text.contains("\\u") || text.contains("\\/") {
        let document = Document::parse(body.to_vec(), &Limits::default())?;
        strings(document.root(), &mut |text| scan(text, found));
        return Ok(());
    }
    scan(text, found);
    Ok(())
}

fn scan(text: &str, found: &mut impl FnMut(&str)) {
    for (at, _) in text.match_indices(NAME) {
        let before = at.checked_sub(1).and_then(|at| text.as_bytes().get(at));
        if !matches!(before, None | Some(b'"' | b'/')) {
            continue;
        }
        let rest = text.get(at + NAME.len()..).unwrap_or_default();
        let length = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
            .count();
        if let Some(id) = rest.get(..length)
            && (1..=64).contains(&length)
        {
            found(id);
        }
    }
}

fn strings(value: Value<'_>, each: &mut impl FnMut(&str)) {
    // The parser bounds the depth.
    match value.kind() {
        Kind::String => {
            if let Some(text) = value.as_str() {
                each(&text);
            }
        }
        Kind::Array => value.items().for_each(|item| strings(item, each)),
        Kind::Object => value.members().for_each(|(_, item)| strings(item, each)),
        Kind::Null | Kind::Bool | Kind::Number => {}
    }
}

/// A mention as an id.
pub(super) fn id(text: &str) -> Option<LogicalId> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Vec<String> {
        let mut found = Vec::new();
        mentions(body.as_bytes(), &mut |id| found.push(id.to_owned())).unwrap();
        found
    }

    #[test]
    fn references_are_found_however_they_are_written() {
        assert_eq!(of(r#"{"subject":{"reference":"Patient/a-1"}}"#), ["a-1"]);
        assert_eq!(
            of(r#"{"r":"https://x.example/t/y/fhir/Patient/b/_history/3"}"#),
            ["b"]
        );
        assert_eq!(of(r#"{"r":"\u0050atient\/c"}"#), ["c"]);
        assert_eq!(of(r#"{"r":"Patient\/c"}"#), ["c"]);
        assert_eq!(
            of(r#"{"r":"RelatedPatient/c","t":"see Patient/d"}"#),
            [""; 0]
        );
        assert_eq!(
            of(&format!(r#"{{"r":"Patient/{}"}}"#, "x".repeat(65))),
            [""; 0]
        );
        assert_eq!(of(r#"{"r":"Patient/"}"#), [""; 0]);
    }
}
