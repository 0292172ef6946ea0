//! Request headers as FHIR REST uses them: media types, preferences, entity tags, conditions. Parsed into
//! types here; what they lead to is decided by the use-cases.

use app::record::patch::{JSON_PATCH, MERGE_PATCH, XML_PATCH};
use axum::http::{HeaderMap, StatusCode, header};
use kernel::{Categorised, Category, Timestamp, VersionId};

/// The form of a resource on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// FHIR JSON: what is stored.
    #[default]
    Json,
    /// FHIR XML.
    Xml,
}

/// A header or `_format` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationError {
    /// An answer is wanted in a media type this server does not speak.
    #[error("answers are not offered as {0:?}: use application/fhir+json or application/fhir+xml")]
    Accept(String),
    /// A body in a media type this server does not read.
    #[error(
        "a body of type {0:?} cannot be read: send application/fhir+json or application/fhir+xml"
    )]
    Content(String),
    /// A patch in a media type this server does not read.
    #[error(
        "a patch of type {0:?} cannot be read: send application/json-patch+json, application/merge-patch+json or application/xml-patch+xml, or Parameters as application/fhir+json"
    )]
    Patch(String),
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
            Self::Content(_) | Self::Patch(_) => Some(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::EntityTag { .. } | Self::NotText(_) => None,
        }
    }
}

impl Categorised for NegotiationError {
    fn category(&self) -> Category {
        match self {
            Self::Accept(_) | Self::Content(_) | Self::Patch(_) => Category::Unsupported,
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

/// Whether a media type means FHIR XML.
#[must_use]
pub fn is_xml(media_type: &str) -> bool {
    is_one_of(
        media_type,
        &["application/fhir+xml", "application/xml", "text/xml", "xml"],
    )
}

/// What a media type or range of `Accept`, or `_format`, means; `None`: nothing that is offered.
fn format_of(media_type: &str) -> Option<Format> {
    if is_json(media_type) || is_one_of(media_type, &["application/*", "*/*"]) {
        Some(Format::Json)
    } else if is_xml(media_type) {
        Some(Format::Xml)
    } else {
        None
    }
}

/// The form an answer is wanted in: `_format`, or the best of `Accept`; of equals the first.
///
/// # Errors
/// When neither form is wanted.
pub fn accepted(headers: &HeaderMap, format: Option<&str>) -> Result<Format, NegotiationError> {
    if let Some(format) = format {
        // A `+` in an unescaped query arrives as a space.
        let format = format.replace(' ', "+");
        return format_of(&format).ok_or_else(|| NegotiationError::Accept(cut(&format)));
    }
    let Some(accept) = text(headers, "accept")? else {
        return Ok(Format::Json);
    };
    if accept.trim().is_empty() {
        return Ok(Format::Json);
    }
    let ranges = || accept.split(',');
    // Browsers ask for HTML first, for any XML then and for anything last: they get JSON.
    let is_browser = ranges().any(|range| is_one_of(range, &["text/html"]));
    let mut best: Option<(Format, u16)> = None;
    for range in ranges() {
        if is_browser && is_one_of(range, &["application/xml", "text/xml"]) {
            continue;
        }
        if let Some(format) = format_of(range) {
            let weight = weight(range);
            if weight > 0 && best.is_none_or(|(_, other)| weight > other) {
                best = Some((format, weight));
            }
        }
    }
    best.map(|(format, _)| format)
        .ok_or_else(|| NegotiationError::Accept(cut(accept)))
}

/// The `q` of a media range in thousandths; a broken one counts as none given.
fn weight(range: &str) -> u16 {
    let given = range.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("q")
            .then(|| value.trim().parse::<f32>().ok())?
    });
    given.map_or(1000, |q| (q.clamp(0.0, 1.0) * 1000.0) as u16)
}

/// Checks `Accept`, or `_format` which wins over it.
///
/// # Errors
/// When no form that is offered is wanted.
pub fn check_accept(headers: &HeaderMap, format: Option<&str>) -> Result<(), NegotiationError> {
    accepted(headers, format).map(|_| ())
}

/// Checks the `Content-Type` of a body that holds a resource.
///
/// # Errors
/// Any other media type than those of FHIR JSON and XML.
pub fn check_content(headers: &HeaderMap) -> Result<(), NegotiationError> {
    match text(headers, "content-type")? {
        Some(content) if !is_json(content) && !is_xml(content) => {
            Err(NegotiationError::Content(cut(content)))
        }
        _ => Ok(()),
    }
}

/// What kind of patch a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchForm {
    /// JSON Patch.
    Json,
    /// JSON Merge Patch.
    Merge,
    /// XML Patch.
    Xml,
    /// FHIRPath Patch: a Parameters resource, in JSON or XML.
    FhirPath,
    /// Plain JSON: Parameters, or the resource in part.
    Plain,
}

/// The form of a patch, by its `Content-Type`.
///
/// # Errors
/// None, and any other media type than those of the patches that are offered.
pub fn patch_form(headers: &HeaderMap) -> Result<PatchForm, NegotiationError> {
    let content = text(headers, "content-type")?.unwrap_or_default();
    if is_one_of(content, &[JSON_PATCH]) {
        Ok(PatchForm::Json)
    } else if is_one_of(content, &[MERGE_PATCH]) {
        Ok(PatchForm::Merge)
    } else if is_one_of(content, &[XML_PATCH]) {
        Ok(PatchForm::Xml)
    } else if is_one_of(content, &["application/json"]) {
        Ok(PatchForm::Plain)
    } else if is_json(content) || is_xml(content) {
        Ok(PatchForm::FhirPath)
    } else {
        Err(NegotiationError::Patch(cut(content)))
    }
}

/// Checks `Accept` where answers are JSON alone.
///
/// # Errors
/// When JSON is not wanted.
pub fn check_accept_json(headers: &HeaderMap) -> Result<(), NegotiationError> {
    match text(headers, "accept")? {
        Some(accept)
            if !accept.trim().is_empty()
                && !accept
                    .split(',')
                    .any(|range| format_of(range) == Some(Format::Json)) =>
        {
            Err(NegotiationError::Accept(cut(accept)))
        }
        _ => Ok(()),
    }
}

/// Checks the `Content-Type` of a body that is JSON.
///
/// # Errors
/// Any other media type.
pub fn check_content_json(headers: &HeaderMap) -> Result<(), NegotiationError> {
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
    fn finds_the_form_that_is_wanted() {
        for (accept, format) in [
            ("application/fhir+json", Format::Json),
            ("application/json; charset=utf-8", Format::Json),
            ("text/html, */*;q=0.8", Format::Json),
            ("", Format::Json),
            ("application/fhir+xml", Format::Xml),
            ("application/xml", Format::Xml),
            ("text/xml;charset=utf-8", Format::Xml),
            (
                "application/fhir+json;q=0.5, application/fhir+xml;q=0.9",
                Format::Xml,
            ),
            ("application/fhir+xml, application/fhir+json", Format::Xml),
            ("application/fhir+json, application/fhir+xml", Format::Json),
            ("application/fhir+xml;q=0, */*;q=0.1", Format::Json),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Format::Json,
            ),
        ] {
            assert_eq!(
                accepted(&with("accept", accept), None),
                Ok(format),
                "{accept}"
            );
        }
        for bad in ["text/html", "image/png", "application/fhir+json;q=0"] {
            assert!(check_accept(&with("accept", bad), None).is_err(), "{bad}");
        }
        for (format, expected) in [
            ("json", Some(Format::Json)),
            ("application/fhir json", Some(Format::Json)),
            ("xml", Some(Format::Xml)),
            ("application/fhir xml", Some(Format::Xml)),
            ("ttl", None),
        ] {
            let found = accepted(&with("accept", "text/html"), Some(format));
            assert_eq!(found.ok(), expected, "{format}");
        }
        assert!(check_accept_json(&with("accept", "application/fhir+xml")).is_err());
        assert!(check_accept_json(&with("accept", "text/html, */*")).is_ok());
        assert!(check_content_json(&with("content-type", "text/xml")).is_err());
        assert!(check_content(&with("content-type", "text/xml")).is_ok());
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
