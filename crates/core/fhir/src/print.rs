//! Compact printing: the bytes that are stored and served. White space between tokens goes, everything
//! else (numbers, escapes, unknown members, order) stays byte for byte. Must not interpret a resource
//! beyond the members a server owns: `id`, `meta.versionId`, `meta.lastUpdated` and references.

use std::fmt::Write as _;

use kernel::{Categorised, Category};

use crate::json::{Kind, Value};

/// What the server sets on a resource it stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// The logical id.
    pub id: &'a str,
    /// `meta.versionId`, from 1.
    pub version: u32,
    /// `meta.lastUpdated`, a FHIR instant.
    pub last_updated: &'a str,
}

/// Why a value cannot be stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// Not an object, or one without a `resourceType` string.
    #[error("the value is no resource: send an object with a resourceType")]
    NotAResource,
    /// `meta` is not an object.
    #[error("meta is not an object: send an object or leave it out")]
    MetaNotAnObject,
}

impl Categorised for StampError {
    fn category(&self) -> Category {
        Category::Invalid
    }
}

/// Appends the value without insignificant white space.
pub fn compact(value: Value<'_>, into: &mut Vec<u8>) {
    write_value(value, into, None);
}

/// Appends a JSON string, escaped where needed.
pub fn write_string(text: &str, into: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    into.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => into.extend_from_slice(&[b'\\', byte]),
            b'\n' => into.extend_from_slice(b"\\n"),
            b'\r' => into.extend_from_slice(b"\\r"),
            b'\t' => into.extend_from_slice(b"\\t"),
            0..=0x1F => {
                let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
                into.extend_from_slice(&[
                    b'\\',
                    b'u',
                    b'0',
                    b'0',
                    digit(byte >> 4),
                    digit(byte & 15),
                ]);
            }
            _ => into.push(byte),
        }
    }
    into.push(b'"');
}

/// The bytes stored and served: compact; `resourceType`, `id` and `meta` first, the rest in the order
/// sent. The client's `meta` is kept but for `versionId` and `lastUpdated`.
///
/// # Errors
/// When the value is no resource.
pub fn stamp(resource: Value<'_>, stamp: &Stamp<'_>) -> Result<Vec<u8>, StampError> {
    stamp_with(resource, stamp, None)
}

/// Like [`stamp`], while every `reference` string is passed to `map`; an answer replaces it.
///
/// # Errors
/// When the value is no resource.
pub fn stamp_rewriting(
    resource: Value<'_>,
    stamp: &Stamp<'_>,
    map: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<u8>, StampError> {
    stamp_with(resource, stamp, Some(map))
}

/// Every `reference` string under the resource with the path of the element that holds it
/// (`Observation.subject`, `Claim.item[0].encounter[1]`), in written order.
#[must_use]
pub fn references(resource: Value<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut path = resource
        .get_str("resourceType")
        .map_or_else(String::new, std::borrow::Cow::into_owned);
    collect(resource, &mut path, &mut found);
    found
}

/// A few other elements are called `reference` too (`Expression.reference`); the object of a Reference
/// holds these members only.
fn is_reference(value: Value<'_>) -> bool {
    const MEMBERS: [&str; 6] = [
        "reference",
        "type",
        "identifier",
        "display",
        "id",
        "extension",
    ];
    value
        .members()
        .all(|(key, _)| MEMBERS.contains(&key.strip_prefix('_').unwrap_or(&key)))
}

fn collect(value: Value<'_>, path: &mut String, found: &mut Vec<(String, String)>) {
    let depth = path.len();
    for (name, member) in value.members() {
        match member.kind() {
            Kind::String if name == "reference" && is_reference(value) => {
                found.extend(
                    member
                        .as_str()
                        .map(|text| (path.clone(), text.into_owned())),
                );
            }
            Kind::Object => {
                path.push('.');
                path.push_str(&name);
                collect(member, path, found);
            }
            Kind::Array => {
                for (index, item) in member.items().enumerate() {
                    path.push('.');
                    path.push_str(&name);
                    let _ = write!(path, "[{index}]"); // a string takes everything
                    collect(item, path, found);
                    path.truncate(depth);
                }
            }
            _ => {}
        }
        path.truncate(depth);
    }
}

type Rewrite<'r> = Option<&'r dyn Fn(&str) -> Option<String>>;

fn stamp_with(
    resource: Value<'_>,
    stamp: &Stamp<'_>,
    map: Rewrite<'_>,
) -> Result<Vec<u8>, StampError> {
    let name = resource
        .get("resourceType")
        .filter(|name| name.kind() == Kind::String)
        .ok_or(StampError::NotAResource)?;
    let meta = resource.get("meta");
    if meta.is_some_and(|meta| meta.kind() != Kind::Object) {
        return Err(StampError::MetaNotAnObject);
    }
    let mut out = Vec::with_capacity(resource.raw().len() + 128);
    out.extend_from_slice(b"{\"resourceType\":");
    out.extend_from_slice(name.raw());
    out.extend_from_slice(b",\"id\":");
    write_string(stamp.id, &mut out);
    write_meta(meta, stamp, map, &mut out);
    for (key, value) in resource.raw_members() {
        if !is_any(key, &["resourceType", "id", "meta"]) {
            out.push(b',');
            write_member(key, value, &mut out, map);
        }
    }
    out.push(b'}');
    Ok(out)
}

fn write_meta(meta: Option<Value<'_>>, stamp: &Stamp<'_>, map: Rewrite<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"meta\":{\"versionId\":\"");
    out.extend_from_slice(stamp.version.to_string().as_bytes());
    out.extend_from_slice(b"\",\"lastUpdated\":");
    write_string(stamp.last_updated, out);
    for (key, value) in meta.into_iter().flat_map(Value::raw_members) {
        // Extensions of the two replaced values go with them.
        if !is_any(
            key,
            &["versionId", "lastUpdated", "_versionId", "_lastUpdated"],
        ) {
            out.push(b',');
            write_member(key, value, out, map);
        }
    }
    out.push(b'}');
}

/// Whether the raw key is one of the names, also when it is written with escapes.
fn is_any(raw: &str, names: &[&str]) -> bool {
    if raw.contains('\\') {
        let text = crate::json::unescape(raw);
        names.contains(&text.as_str())
    } else {
        names.contains(&raw)
    }
}

fn write_member(raw_key: &str, value: Value<'_>, out: &mut Vec<u8>, map: Rewrite<'_>) {
    out.push(b'"');
    out.extend_from_slice(raw_key.as_bytes());
    out.extend_from_slice(b"\":");
    if let Some(map) = map
        && value.kind() == Kind::String
        && is_any(raw_key, &["reference"])
        && let Some(new) = value.as_str().and_then(|text| map(&text))
    {
        write_string(&new, out);
    } else {
        write_value(value, out, map);
    }
}

/// Recursion ends at the parser's depth limit.
fn write_value(value: Value<'_>, out: &mut Vec<u8>, map: Rewrite<'_>) {
    if map.is_none() && value.is_compact() {
        out.extend_from_slice(value.raw());
        return;
    }
    match value.kind() {
        Kind::Object => {
            out.push(b'{');
            for (index, (key, member)) in value.raw_members().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_member(key, member, out, map);
            }
            out.push(b'}');
        }
        Kind::Array => {
            out.push(b'[');
            for (index, item) in value.items().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(item, out, map);
            }
            out.push(b']');
        }
        _ => out.extend_from_slice(value.raw()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Document, Limits};

    const STAMP: Stamp<'_> = Stamp {
        id: "p1",
        version: 7,
        last_updated: "2026-01-02T03:04:05.678901Z",
    };

    fn doc(text: &str) -> Document {
        Document::parse(text.as_bytes().to_vec(), &Limits::default()).unwrap()
    }

    fn stamped(text: &str) -> String {
        String::from_utf8(stamp(doc(text).root(), &STAMP).unwrap()).unwrap()
    }

    #[test]
    fn stamps_what_the_server_owns_and_keeps_the_rest() {
        for (sent, rest) in [
            (r#"{"resourceType":"Patient"}"#, "}"),
            (
                "{ \"active\" : true,\n\"resourceType\":\"Patient\", \"id\":\"mine\" }",
                r#","active":true}"#,
            ),
            (
                r#"{"meta":{"lastUpdated":"2000-01-01T00:00:00Z","tag":[ {"code":"x"} ],"versionId":"3","_versionId":{"id":"v"}},"resourceType":"Patient","multipleBirthInteger":2}"#,
                r#","multipleBirthInteger":2}"#,
            ),
            (
                r#"{"resourceType":"Patient","x":[1.50 , 1E+2,-0.0, "\u00e9\/\n",{} , [ ] ],"":null}"#,
                r#","x":[1.50,1E+2,-0.0,"\u00e9\/\n",{},[]],"":null}"#,
            ),
        ] {
            let meta = if sent.contains("tag") {
                r#","tag":[{"code":"x"}]"#
            } else {
                ""
            };
            let head = r#"{"resourceType":"Patient","id":"p1","meta":{"versionId":"7","lastUpdated":"2026-01-02T03:04:05.678901Z""#;
            assert_eq!(stamped(sent), format!("{head}{meta}}}{rest}"), "{sent}");
        }
    }

    #[test]
    fn stamping_twice_changes_nothing() {
        let once = stamped(
            r#"{"resourceType":"Patient", "meta":{"tag":[{"code":"x"}]}, "gender":"male"}"#,
        );
        assert_eq!(stamped(&once), once);
    }

    #[test]
    fn escaped_names_of_owned_members_are_found() {
        let out = stamped(r#"{"resourceType":"Patient","\u0069d":"theirs"}"#);
        assert!(!out.contains("theirs"), "{out}");
    }

    #[test]
    fn only_resources_are_stamped() {
        for (text, error) in [
            ("[]", StampError::NotAResource),
            ("{}", StampError::NotAResource),
            (r#"{"resourceType":1}"#, StampError::NotAResource),
            (
                r#"{"resourceType":"Patient","meta":null}"#,
                StampError::MetaNotAnObject,
            ),
        ] {
            assert_eq!(stamp(doc(text).root(), &STAMP), Err(error), "{text}");
        }
    }

    #[test]
    fn rewrites_references_and_nothing_else() {
        let sent = r#"{"resourceType":"Observation","subject":{"reference":"urn:uuid:1","display":"urn:uuid:1"},"performer":[{"reference":"Practitioner/9"},{"reference":"urn:uuid:1"}],"value":0.10}"#;
        let map = |text: &str| (text == "urn:uuid:1").then(|| "Patient/\"q\"".to_owned());
        let out =
            String::from_utf8(stamp_rewriting(doc(sent).root(), &STAMP, &map).unwrap()).unwrap();
        let tail = r#""subject":{"reference":"Patient/\"q\"","display":"urn:uuid:1"},"performer":[{"reference":"Practitioner/9"},{"reference":"Patient/\"q\""}],"value":0.10}"#;
        assert!(out.ends_with(tail), "{out}");
    }

    #[test]
    fn lists_references_with_their_paths() {
        let sent = r#"{"resourceType":"Observation","subject":{"reference":"Patient/1"},"performer":[{"display":"x"},{"reference":"Practitioner/9"}],"component":[{"extension":[{"url":"u","valueReference":{"reference":"A/1"}},{"url":"u","valueExpression":{"language":"x","reference":"B"}}]}]}"#;
        let found = references(doc(sent).root());
        let expected = [
            ("Observation.subject", "Patient/1"),
            ("Observation.performer[1]", "Practitioner/9"),
            (
                "Observation.component[0].extension[0].valueReference",
                "A/1",
            ),
        ];
        let expected: Vec<_> = expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
        assert_eq!(found, expected);
    }
}
