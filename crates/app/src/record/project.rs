//! `_summary` and `_elements`: parts of a resource, cut from its stored bytes and marked SUBSETTED.
//! Must not change a value: what stays is copied byte for byte.

use fhir::definitions::{Definitions, TypeId};
use fhir::json::{Document, Limits, Value};

use crate::error::{AppError, QueryError};

/// `_summary` (FHIR R4 search, section 3.1.1.5.9).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Summary {
    /// Whole resources.
    #[default]
    False,
    /// Elements marked as summary in the definitions.
    True,
    /// `text`, id, meta and mandatory elements.
    Text,
    /// All but `text`.
    Data,
    /// No resources, only how many.
    Count,
}

impl Summary {
    pub(crate) fn parse(value: &str) -> Result<Self, QueryError> {
        Ok(match value {
            "false" => Self::False,
            "true" => Self::True,
            "text" => Self::Text,
            "data" => Self::Data,
            "count" => Self::Count,
            _ => {
                return Err(QueryError::Malformed {
                    name: "_summary".to_owned(),
                    detail: "give true, text, data, count or false".to_owned(),
                });
            }
        })
    }
}

/// How matches are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Projection {
    /// `_summary`.
    pub summary: Summary,
    /// `_elements`, each `element` or `Type.element`; empty for all. Wins over `_summary`.
    pub elements: Vec<String>,
}

impl Projection {
    /// Reads `_elements`: a comma list of top-level element names, each with `Type.` before it where it is
    /// meant for one type only.
    pub(crate) fn set_elements(&mut self, value: &str) -> Result<(), QueryError> {
        let is_name =
            |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        for name in value.split(',') {
            let name = name.trim();
            let (ty, element) = name.split_once('.').unwrap_or(("Resource", name));
            if !is_name(ty) || !is_name(element) {
                return Err(QueryError::Malformed {
                    name: "_elements".to_owned(),
                    detail: "give names of top-level elements separated by commas, such as status,subject or Patient.name"
                        .to_owned(),
                });
            }
            self.elements.push(name.to_owned());
        }
        Ok(())
    }

    /// How what `_include` brings in is shown: elements named without a type are meant for the matches.
    #[must_use]
    pub(crate) fn of_included(&self) -> Self {
        let typed = self.elements.iter().filter(|name| name.contains('.'));
        Self {
            summary: self.summary,
            elements: typed.cloned().collect(),
        }
    }

    /// The elements named for a type.
    fn elements_of<'p>(&'p self, type_name: &'p str) -> impl Iterator<Item = &'p str> {
        self.elements
            .iter()
            .filter_map(move |name| match name.split_once('.') {
                None => Some(name.as_str()),
                Some((ty, element)) => (ty == type_name).then_some(element),
            })
    }

    /// Whether resources are shown whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.elements.is_empty() && matches!(self.summary, Summary::False | Summary::Count)
    }

    /// Reads `_summary` and `_elements` of an interaction that has only these (a read).
    pub fn parse<'a>(
        params: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, QueryError> {
        let mut projection = Self::default();
        for (name, value) in params {
            match name {
                "_summary" => projection.summary = Summary::parse(value)?,
                "_elements" => projection.set_elements(value)?,
                _ => {}
            }
        }
        Ok(projection)
    }

    fn keeps(&self, definitions: &Definitions, ty: TypeId, member: &str) -> bool {
        // `_birthDate` holds the extensions of `birthDate`.
        let element = member.strip_prefix('_').unwrap_or(member);
        if matches!(element, "resourceType" | "id" | "meta") {
            return true;
        }
        let mut elements = self.elements_of(definitions.resource_name(ty)).peekable();
        if elements.peek().is_some() {
            let named = |name: &str| {
                element == name
                    || element
                        .strip_prefix(name)
                        .is_some_and(|rest| definitions.is_choice(ty, name) && starts_upper(rest))
            };
            return elements.any(named) || definitions.is_mandatory(ty, element);
        }
        match self.summary {
            Summary::False | Summary::Count => true,
            Summary::True => definitions.is_summary(ty, element),
            Summary::Text => element == "text" || definitions.is_mandatory(ty, element),
            Summary::Data => element != "text",
        }
    }

    /// Cuts a resource. Whole ones come back unchanged.
    pub fn apply(
        &self,
        definitions: &Definitions,
        ty: TypeId,
        body: &bytes::Bytes,
    ) -> Result<bytes::Bytes, AppError> {
        let shown_whole = matches!(self.summary, Summary::False | Summary::Count);
        let mut elements = self.elements_of(definitions.resource_name(ty));
        if shown_whole && elements.next().is_none() {
            return Ok(body.clone());
        }
        let document = Document::parse(body.to_vec(), &Limits::default())?;
        let mut out = Vec::with_capacity(body.len() / 2 + 128);
        out.push(b'{');
        let mut marked = false;
        for (name, value) in document.root().members() {
            if !self.keeps(definitions, ty, &name) {
                continue;
            }
            if out.len() > 1 {
                out.push(b',');
            }
            serde_json::to_writer(&mut out, &name)?;
            out.push(b':');
            if name == "meta" {
                mark(&mut out, Some(value))?;
                marked = true;
            } else {
                out.extend_from_slice(value.raw());
            }
        }
        if !marked {
            out.extend_from_slice(b",\"meta\":");
            mark(&mut out, None)?;
        }
        out.push(b'}');
        Ok(out.into())
    }
}

fn starts_upper(text: &str) -> bool {
    text.bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_uppercase())
}

const SUBSETTED: &[u8] =
    br#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}"#;

// `meta` with the SUBSETTED tag added to whatever tags it has.
fn mark(out: &mut Vec<u8>, meta: Option<Value<'_>>) -> Result<(), AppError> {
    out.push(b'{');
    let mut first = true;
    let mut tagged = false;
    for (name, value) in meta.into_iter().flat_map(Value::members) {
        if !first {
            out.push(b',');
        }
        first = false;
        serde_json::to_writer(&mut *out, &name)?;
        out.push(b':');
        if name == "tag" {
            tagged = true;
            out.push(b'[');
            for tag in value.items() {
                out.extend_from_slice(tag.raw());
                out.push(b',');
            }
            out.extend_from_slice(SUBSETTED);
            out.push(b']');
        } else {
            out.extend_from_slice(value.raw());
        }
    }
    if !tagged {
        if !first {
            out.push(b',');
        }
        out.extend_from_slice(b"\"tag\":[");
        out.extend_from_slice(SUBSETTED);
        out.push(b']');
    }
    out.push(b'}');
    Ok(())
}
