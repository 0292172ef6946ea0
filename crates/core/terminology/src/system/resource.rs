//! A CodeSystem resource (FHIR R4, section 4.8) as a packed code system. Must not decide which of several
//! versions is asked for.

use fhir::json::{Kind, Value};

use super::{
    ABSTRACT, Builder, CodeSystem, ConceptDraft, Content, Head, INACTIVE, PropertyKind, Usage,
};
use crate::error::TerminologyError;

/// Packs a CodeSystem resource.
///
/// # Errors
/// No URL, a cycle, or more than fits.
pub fn from_resource(resource: Value<'_>) -> Result<CodeSystem, TerminologyError> {
    let head = head(resource)?;
    let what = format!("code system {}", head.url);
    let faulty = |why: super::BuildError| TerminologyError::Faulty {
        what: what.clone(),
        why: why.to_string(),
    };
    let mut reader = Reader {
        pending: Vec::new(),
        builder: Builder::new(head),
    };
    reader.read(resource).map_err(faulty)?;
    reader.builder.finish().map_err(faulty)
}

fn text(value: Value<'_>, member: &str) -> Option<String> {
    value.get_str(member).map(std::borrow::Cow::into_owned)
}

fn head(resource: Value<'_>) -> Result<Head, TerminologyError> {
    let url = text(resource, "url").ok_or_else(|| TerminologyError::Faulty {
        what: "a CodeSystem".to_owned(),
        why: "it has no url: give it one".to_owned(),
    })?;
    let content = resource.get_str("content");
    Ok(Head {
        version: text(resource, "version"),
        name: text(resource, "title")
            .or_else(|| text(resource, "name"))
            .unwrap_or_else(|| url.clone()),
        status: text(resource, "status").unwrap_or_else(|| "unknown".to_owned()),
        content: content
            .and_then(|code| Content::parse(&code))
            .unwrap_or(Content::Fragment),
        case_sensitive: resource.get("caseSensitive").and_then(Value::as_bool) != Some(false),
        value_set: text(resource, "valueSet"),
        supplements: text(resource, "supplements"),
        language: text(resource, "language"),
        url,
    })
}

struct Reader {
    builder: Builder,

    /// Edges by code, (child, other code, whether the other one is the parent).
    pending: Vec<(u32, String, bool)>,
}

impl Reader {
    fn read(&mut self, resource: Value<'_>) -> Result<(), super::BuildError> {
        for property in resource.get("property").into_iter().flat_map(Value::items) {
            let code = property.get_str("code").unwrap_or_default();
            let kind = property.get_str("type");
            let kind = kind.and_then(|kind| PropertyKind::parse(&kind));
            self.builder.property(
                &code,
                property.get_str("uri").as_deref(),
                kind.unwrap_or(PropertyKind::String),
            )?;
        }
        // Depth first without recursion: concepts nest as deep as JSON allows.
        let mut open: Vec<(Value<'_>, Option<u32>)> = children(resource, None);
        while let Some((concept, parent)) = open.pop() {
            let at = self.concept(concept)?;
            if let (Some(at), Some(parent)) = (at, parent) {
                self.builder.parent(at, parent);
            }
            open.extend(children(concept, at.or(parent)));
        }
        for (at, other, above) in core::mem::take(&mut self.pending) {
            if let Some(other) = self.builder.find(&other) {
                let (child, parent) = if above { (at, other) } else { (other, at) };
                self.builder.parent(child, parent);
            }
        }
        Ok(())
    }

    fn concept(&mut self, concept: Value<'_>) -> Result<Option<u32>, super::BuildError> {
        let code = concept.get_str("code").unwrap_or_default();
        let added = self.builder.add(&ConceptDraft {
            code: &code,
            display: concept.get_str("display").as_deref(),
            definition: concept.get_str("definition").as_deref(),
            flags: 0,
        })?;
        let Some(at) = added else {
            return Ok(None);
        };
        for designation in concept
            .get("designation")
            .into_iter()
            .flat_map(Value::items)
        {
            let language = designation.get_str("language").unwrap_or_default();
            let value = designation.get_str("value").unwrap_or_default();
            self.builder
                .designation(at, &language, &usage(designation), &value)?;
        }
        for property in concept.get("property").into_iter().flat_map(Value::items) {
            self.property(at, property)?;
        }
        Ok(Some(at))
    }

    fn property(&mut self, at: u32, property: Value<'_>) -> Result<(), super::BuildError> {
        let code = property.get_str("code").unwrap_or_default();
        let Some((kind, text)) = value(property) else {
            return Ok(());
        };
        match (&*code, &*text) {
            ("notSelectable" | "abstract", "true") => self.builder.flag(at, ABSTRACT),
            ("inactive", "true") | ("status", "retired" | "inactive") => {
                self.builder.flag(at, INACTIVE);
            }
            ("parent" | "subsumedBy", _) => self.pending.push((at, text.clone(), true)),
            ("child", _) => self.pending.push((at, text.clone(), false)),
            _ => {}
        }
        let number = self.builder.property(&code, None, kind)?;
        self.builder.value(at, number, kind, &text)
    }
}

/// The nested concepts, last first.
fn children(of: Value<'_>, parent: Option<u32>) -> Vec<(Value<'_>, Option<u32>)> {
    let mut nested: Vec<_> = of
        .get("concept")
        .into_iter()
        .flat_map(Value::items)
        .map(|concept| (concept, parent))
        .collect();
    nested.reverse();
    nested
}

/// What a designation is for.
pub(crate) fn usage(designation: Value<'_>) -> Usage {
    let part = |name| {
        let coding = designation.get("use");
        coding
            .and_then(|coding| text(coding, name))
            .unwrap_or_default()
    };
    Usage {
        system: part("system"),
        code: part("code"),
        display: part("display"),
    }
}

/// The value of a property, as text.
fn value(property: Value<'_>) -> Option<(PropertyKind, String)> {
    let (name, value) = property
        .members()
        .find(|(name, _)| name.starts_with("value"))?;
    let kind = match &*name {
        "valueCode" => PropertyKind::Code,
        "valueInteger" => PropertyKind::Integer,
        "valueBoolean" => PropertyKind::Boolean,
        "valueDateTime" => PropertyKind::DateTime,
        "valueDecimal" => PropertyKind::Decimal,
        "valueCoding" => PropertyKind::Coding,
        _ => PropertyKind::String,
    };
    let text = match value.kind() {
        Kind::Bool => value.as_bool()?.to_string(),
        Kind::Number => value.number_text()?.to_owned(),
        Kind::Object => {
            let part = |name| value.get_str(name).unwrap_or_default();
            format!("{}|{}|{}", part("system"), part("code"), part("display"))
        }
        _ => value.as_str()?.into_owned(),
    };
    Some((kind, text))
}
