//! Request headers as FHIR REST uses them: media types, preferences, entity tags, conditions. Parsed into
//! types here; what they lead to is decided by the use-cases.

use axum::http::{HeaderMap, StatusCode, header};
use kernel::{Categorised, Category, Timestamp, VersionId};

/// A header or `_format` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationError {
    /// An answer is wanted in a media type this server does not speak.
    #[error("answers are not offered as {0:?}: use application/fhir+json")]
    Accept(String),
    /// A body in a media type this server does not read.
    #[error("a body of type {0:?} cannot be read: send application/fhir+json")]
    Content(String),
    /// An entity tag that is none of ours.
    #[error("{header} {value:?} is not a version: give W/\"n\" as the ETag header said it")]
    EntityTag {
        /// Which header.
        header: &'static str,
        /// What was given.
        value: String,
    },
    /// A header that is no text.
    #[error("header {0} is not printable text")]
    NotText(&'static str),
}

impl NegotiationError {
    /// The status, where HTTP has one that the category table does not (RFC 9110 sections 15.5.7 and
    /// 15.5.16).
    #[must_use]
    pub const fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Accept(_) => Some(StatusCode::NOT_ACCEPTABLE),
            Self::Content(_) => Some(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::EntityTag { .. } | Self::NotText(_) => None,
        }
    }
}

impl Categorised for NegotiationError {
    fn category(&self) -> Category {
        match self {
            Self::Accept(_) | Self::Content(_) => Category::Unsupported,
            Self::EntityTag { .. } | Self::NotText(_) => Category::Invalid,
        }
    }
}

/// What `Prefer: return=` asks of a write's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Return {
    /// The resource: what a single write answers where nothing was said.
    Representation,
    /// Headers only.
    Minimal,
    /// An OperationOutcome.
    OperationOutcome,
}

/// The preferences of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Preferences {
    /// What a write answers, where it was said.
    pub returns: Option<Return>,
    /// `handling=lenient`: unknown search parameters are ignored and reported instead of refused.
    pub lenient: bool,
}

impl Preferences {
    /// From the `Prefer` headers (RFC 7240); unknown preferences are ignored, as it demands.
    #[must_use]
    pub fn parse(headers: &HeaderMap) -> Self {
        let mut preferences = Self::default();
        let values = headers
            .get_all("prefer")
            .iter()
            .filter_map(|value| value.to_str().ok());
        for preference in values.flat_map(|value| value.split([',', ';'])) {
            match preference.trim() {
                "return=minimal" => preferences.returns = Some(Return::Minimal),
                "return=representation" => preferences.returns = Some(Return::Representation),
                "return=OperationOutcome" => preferences.returns = Some(Return::OperationOutcome),
                "handling=lenient" => preferences.lenient = true,
                "handling=strict" => preferences.lenient = false,
                _ => {}
            }
        }
        preferences
    }
}

fn is_one_of(media_type: &str, known: &[&str]) -> bool {
    let bare = media_type.split(';').next().unwrap_or_default().trim();
    known.iter().any(|known| known.eq_ignore_ascii_case(bare))
}

fn is_json(media_type: &str) -> bool {
    is_one_of(
        media_type,
        &[
            "application/fhir+json",
            "application/json",
            "text/json",
            "json",
        ],
    )
}

/// Whether a media type or range of `Accept` or `_format` means FHIR JSON.
#[must_use]
pub fn is_fhir_json(media_type: &str) -> bool {
    is_json(media_type) || is_one_of(media_type, &["application/*", "*/*"])
}

/// Checks `Accept`, or `_format` which wins over it.
pub fn check_accept(headers: &HeaderMap, format: Option<&str>) -> Result<(), NegotiationError> {
    if let Some(format) = format {
        // A `+` in an unescaped query arrives as a space.
        let format = format.replace(' ', "+");
        return if is_fhir_json(&format) {
            Ok(())
        } else {
            Err(NegotiationError::Accept(cut(&format)))
        };
    }
    let Some(accept) = text(headers, "accept")? else {
        return Ok(());
    };
    // Browsers ask for HTML first and for anything last: anything is JSON here.
    if accept.trim().is_empty() || accept.split(',').any(is_fhir_json) {
        Ok(())
    } else {
        Err(NegotiationError::Accept(cut(accept)))
    }
}

/// Checks the `Content-Type` of a body.
pub fn check_content(headers: &HeaderMap) -> Result<(), NegotiationError> {
    match text(headers, "content-type")? {
        Some(content) if !is_json(content) => Err(NegotiationError::Content(cut(content))),
        _ => Ok(()),
    }
}

/// `If-Match` as a version; `*` counts as none given.
pub fn if_match(headers: &HeaderMap) -> Result<Option<VersionId>, NegotiationError> {
    match text(headers, "if-match")? {
        None | Some("*") => Ok(None),
        Some(value) => entity_tag(value)
            .map(Some)
            .ok_or_else(|| NegotiationError::EntityTag {
                header: "If-Match",
                value: cut(value),
            }),
    }
}

/// Whether `If-None-Match: *` was given (an update may then only create).
#[must_use]
pub fn only_if_absent(headers: &HeaderMap) -> bool {
    headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|value| value.as_bytes() == b"*")
}

/// Whether a reader already has this version (`If-None-Match`, then `If-Modified-Since`).
#[must_use]
pub fn reader_has(headers: &HeaderMap, version: VersionId, updated: Timestamp) -> bool {
    if let Some(tags) = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
    {
        return tags
            .split(',')
            .any(|tag| entity_tag(tag.trim()) == Some(version));
    }
    headers
        .get(header::IF_MODIFIED_SINCE)
        .and_then(|value| value.to_str().ok())
        .and_then(Timestamp::from_http_date)
        // HTTP dates have whole seconds.
        .is_some_and(|since| updated.as_millis() / 1000 <= since.as_millis() / 1000)
}

/// A header as text.
pub fn text<'h>(
    headers: &'h HeaderMap,
    name: &'static str,
) -> Result<Option<&'h str>, NegotiationError> {
    headers
        .get(name)
        .map(|value| value.to_str().map_err(|_| NegotiationError::NotText(name)))
        .transpose()
}

fn entity_tag(tag: &str) -> Option<VersionId> {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

fn cut(value: &str) -> String {
    value.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn accepts_json_in_its_spellings_and_nothing_else() {
        for good in [
            "application/fhir+json",
            "application/json; charset=utf-8",
            "text/html, */*;q=0.8",
            "",
        ] {
            assert!(check_accept(&with("accept", good), None).is_ok(), "{good}");
        }
        for bad in ["application/fhir+xml", "text/html", "image/png"] {
            assert!(check_accept(&with("accept", bad), None).is_err(), "{bad}");
        }
        assert!(check_accept(&with("accept", "text/html"), Some("json")).is_ok());
        assert!(check_accept(&HeaderMap::new(), Some("application/fhir json")).is_ok());
        assert!(check_accept(&HeaderMap::new(), Some("xml")).is_err());
    }

    #[test]
    fn reads_entity_tags_strictly() {
        assert_eq!(
            if_match(&with("if-match", "W/\"3\"")),
            Ok(Some(VersionId(3)))
        );
        assert_eq!(if_match(&with("if-match", "\"3\"")), Ok(Some(VersionId(3))));
        assert_eq!(if_match(&HeaderMap::new()), Ok(None));
        for bad in ["3", "W/3", "W/\"\"", "W/\"x\"", "W/\"0\""] {
            assert!(if_match(&with("if-match", bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn knows_what_the_reader_has() {
        let updated = Timestamp::from_rfc3339("2026-03-05T08:09:10.999Z").unwrap();
        assert!(reader_has(
            &with("if-none-match", "W/\"1\", W/\"2\""),
            VersionId(2),
            updated
        ));
        assert!(!reader_has(
            &with("if-none-match", "W/\"1\""),
            VersionId(2),
            updated
        ));
        assert!(reader_has(
            &with("if-modified-since", "Thu, 05 Mar 2026 08:09:10 GMT"),
            VersionId(2),
            updated
        ));
        assert!(!reader_has(
            &with("if-modified-since", "Thu, 05 Mar 2026 08:09:09 GMT"),
            VersionId(2),
            updated
        ));
    }

    #[test]
    fn reads_preferences() {
        let preferences = Preferences::parse(&with(
            "prefer",
            "return=minimal; handling=lenient, respond-async",
        ));
        assert_eq!(
            preferences,
            Preferences {
                returns: Some(Return::Minimal),
                lenient: true
            }
        );
    }
}
