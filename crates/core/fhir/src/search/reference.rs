//! Reference strings: what is a resource of this server, what is another's address. Must not know the
//! server's own base address: whoever has it maps it to `Type/id` before.

use crate::definitions::{Definitions, TypeId};

/// Whether a text is a FHIR logical id: 1 to 64 of `A-Z a-z 0-9 - .`.
#[must_use]
pub fn is_logical_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

/// Reads `Type/id` or `Type/id/_history/version`, relative; the version is dropped.
#[must_use]
pub fn local_reference<'t>(definitions: &Definitions, text: &'t str) -> Option<(TypeId, &'t str)> {
    let (name, rest) = text.split_once('/')?;
    let id = match rest.split_once('/') {
        None => rest,
        Some((id, version)) => {
            let version = version.strip_prefix("_history/")?;
            is_logical_id(version).then_some(id)?
        }
    };
    if !is_logical_id(id) {
        return None;
    }
    Some((definitions.resource(name)?, id))
}

/// An absolute address without `/_history/version`.
pub(crate) fn without_version(text: &str) -> &str {
    text.rsplit_once("/_history/")
        .map_or(text, |(head, _)| head)
}

/// The type an absolute address of a REST server names: the part before the last.
pub(crate) fn type_of_absolute(definitions: &Definitions, url: &str) -> Option<TypeId> {
    let mut parts = url.rsplitn(3, '/');
    let id = parts.next()?;
    let name = parts.next()?;
    is_logical_id(id)
        .then(|| definitions.resource(name))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_relative_addresses_of_known_types_are_local() {
        let definitions = Definitions::r4();
        let patient = definitions.resource("Patient").unwrap();
        for text in ["Patient/1", "Patient/1/_history/3"] {
            assert_eq!(
                local_reference(definitions, text),
                Some((patient, "1")),
                "{text}"
            );
        }
        for text in [
            "1",
            "Patient",
            "Patient/",
            "Patient/a b",
            "Nothing/1",
            "Patient/1/2",
            "Patient/1/_history/",
            "#1",
            "http://example.org/Patient/1",
            "urn:uuid:1",
            "",
        ] {
            assert_eq!(local_reference(definitions, text), None, "{text}");
        }
        let absolute = "https://example.org/fhir/Patient/1/_history/2";
        assert_eq!(
            without_version(absolute),
            "https://example.org/fhir/Patient/1"
        );
        assert_eq!(
            type_of_absolute(definitions, without_version(absolute)),
            Some(patient)
        );
        assert_eq!(type_of_absolute(definitions, "urn:uuid:1"), None);
    }
}
