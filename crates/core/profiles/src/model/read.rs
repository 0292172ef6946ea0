//! Reads a StructureDefinition from its JSON. Must not resolve anything.

use fhir::json::{Kind, Value};

use super::{
    Aggregation, Binding, Constraint, ConstraintSeverity, Context, ContextKind, Discriminator,
    DiscriminatorKind, Element, ElementType, Literal, Slicing, SlicingRules, Strength,
    StructureDefinition, StructureKind, UNBOUNDED,
};
use crate::error::ProfileError;

/// Most elements of one definition.
pub const MAX_ELEMENTS: usize = 20_000;
const FHIR_TYPE: &str = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type";
const REGEX: &str = "http://hl7.org/fhir/StructureDefinition/regex";
const MAX_VALUE_SET: &str = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet";
const BEST_PRACTICE: &str =
    "http://hl7.org/fhir/StructureDefinition/elementdefinition-bestpractice";

fn text(value: Value<'_>, name: &str) -> Option<String> {
    let text = value.get(name)?.as_str()?;
    (!text.is_empty()).then(|| text.into_owned())
}

fn list<'v>(value: Value<'v>, name: &str) -> impl Iterator<Item = Value<'v>> + use<'v> {
    value.get(name).into_iter().flat_map(Value::items)
}

fn texts(value: Value<'_>, name: &str) -> Vec<String> {
    list(value, name)
        .filter_map(|one| one.as_str().map(std::borrow::Cow::into_owned))
        .collect()
}

fn flag(value: Value<'_>, name: &str) -> Option<bool> {
    value.get(name)?.as_bool()
}

fn count(value: Value<'_>, name: &str) -> Option<u32> {
    value.get(name)?.number_text()?.parse().ok()
}

/// The value of the extension with this URL.
fn extension<'v>(value: Value<'v>, url: &str) -> Option<Value<'v>> {
    let found = list(value, "extension").find(|one| one.get_str("url").as_deref() == Some(url))?;
    found
        .members()
        .find(|(name, _)| name.starts_with("value"))
        .map(|(_, value)| value)
}

impl StructureDefinition {
    /// Reads a definition.
    ///
    /// # Errors
    /// [`ProfileError::Malformed`] for anything that is no StructureDefinition, or lacks what one needs;
    /// [`ProfileError::TooLarge`] beyond [`MAX_ELEMENTS`] elements.
    pub fn read(value: Value<'_>) -> Result<Self, ProfileError> {
        let name = text(value, "name").or_else(|| text(value, "id"));
        let url = text(value, "url");
        let shown = url.clone().or_else(|| name.clone()).unwrap_or_default();
        let malformed = |detail: &str| ProfileError::Malformed {
            name: shown.clone(),
            detail: detail.to_owned(),
        };
        if value.get_str("resourceType").as_deref() != Some("StructureDefinition") {
            return Err(malformed("resourceType is another one"));
        }
        let url = url.ok_or_else(|| malformed("it has no url: add one"))?;
        let kind = match value.get_str("kind").as_deref() {
            Some("primitive-type") => StructureKind::Primitive,
            Some("complex-type") => StructureKind::Complex,
            Some("resource") => StructureKind::Resource,
            Some("logical") => StructureKind::Logical,
            _ => {
                return Err(malformed(
                    "kind is none of primitive-type, complex-type, resource, logical",
                ));
            }
        };
        let ty = text(value, "type").ok_or_else(|| malformed("it has no type: add one"))?;
        let elements = |name: &str| {
            let found = list_in(value, name, "element");
            elements(found, &shown)
        };
        let (snapshot, differential) = (elements("snapshot")?, elements("differential")?);
        if snapshot.is_empty() && differential.is_empty() {
            return Err(malformed(
                "it has neither snapshot nor differential: add one of them",
            ));
        }
        Ok(Self {
            version: text(value, "version"),
            name: name.unwrap_or_default(),
            kind,
            is_abstract: flag(value, "abstract").unwrap_or_default(),
            ty,
            base: text(value, "baseDefinition"),
            is_constraint: value.get_str("derivation").as_deref() == Some("constraint"),
            contexts: list(value, "context").filter_map(context).collect(),
            context_invariants: texts(value, "contextInvariant"),
            snapshot,
            differential,
            url,
        })
    }
}

fn list_in<'v>(value: Value<'v>, outer: &str, inner: &'v str) -> Option<Value<'v>> {
    value.get(outer).and_then(|found| found.get(inner))
}

fn context(value: Value<'_>) -> Option<Context> {
    let kind = match value.get_str("type").as_deref() {
        Some("extension") => ContextKind::Extension,
        Some("fhirpath") => ContextKind::FhirPath,
        _ => ContextKind::Element,
    };
    Some(Context {
        kind,
        expression: text(value, "expression")?,
    })
}

fn elements(found: Option<Value<'_>>, owner: &str) -> Result<Vec<Element>, ProfileError> {
    let Some(found) = found else {
        return Ok(Vec::new());
    };
    if found.len() > MAX_ELEMENTS {
        return Err(ProfileError::TooLarge {
            what: owner.to_owned(),
            detail: format!("at most {MAX_ELEMENTS} elements"),
        });
    }
    found.items().map(|one| element(one, owner)).collect()
}

fn element(value: Value<'_>, owner: &str) -> Result<Element, ProfileError> {
    let path = text(value, "path").ok_or_else(|| ProfileError::Malformed {
        name: owner.to_owned(),
        detail: "an element has no path: add it".to_owned(),
    })?;
    let literal = |prefix: &str| literal(value, prefix);
    Ok(Element {
        id: text(value, "id").unwrap_or_default(),
        slice_name: text(value, "sliceName"),
        slicing: value.get("slicing").map(slicing),
        min: count(value, "min"),
        max: match value.get_str("max").as_deref() {
            Some("*") => Some(UNBOUNDED),
            Some(number) => number.parse().ok(),
            None => None,
        },
        content_reference: text(value, "contentReference"),
        types: list(value, "type").map(element_type).collect(),
        fixed: literal("fixed"),
        pattern: literal("pattern"),
        min_value: literal("minValue"),
        max_value: literal("maxValue"),
        max_length: count(value, "maxLength"),
        binding: value.get("binding").and_then(binding),
        constraints: list(value, "constraint").filter_map(constraint).collect(),
        must_support: flag(value, "mustSupport"),
        is_modifier: flag(value, "isModifier"),
        path,
    })
}

fn literal(element: Value<'_>, prefix: &str) -> Option<Literal> {
    let (name, value) = element.members().find(|(name, _)| {
        let rest = name.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
    })?;
    let ty = name.strip_prefix(prefix)?;
    // Primitive types begin with a small letter; only they are written as no object.
    let ty = if value.kind() == Kind::Object {
        ty.to_owned()
    } else {
        let mut letters = ty.chars();
        let first = letters.next()?;
        first.to_lowercase().chain(letters).collect()
    };
    let mut json = Vec::new();
    fhir::print::compact(value, &mut json);
    Some(Literal {
        ty,
        json: String::from_utf8(json).ok()?,
    })
}

fn slicing(value: Value<'_>) -> Slicing {
    let discriminators = list(value, "discriminator").filter_map(|one| {
        let kind = match one.get_str("type").as_deref()? {
            "value" => DiscriminatorKind::Value,
            "pattern" => DiscriminatorKind::Pattern,
            "exists" => DiscriminatorKind::Exists,
            "type" => DiscriminatorKind::Type,
            "profile" => DiscriminatorKind::Profile,
            _ => return None,
        };
        Some(Discriminator {
            kind,
            path: text(one, "path")?,
        })
    });
    Slicing {
        discriminators: discriminators.collect(),
        ordered: flag(value, "ordered").unwrap_or_default(),
        rules: match value.get_str("rules").as_deref() {
            Some("closed") => SlicingRules::Closed,
            Some("openAtEnd") => SlicingRules::OpenAtEnd,
            _ => SlicingRules::Open,
        },
    }
}

fn element_type(value: Value<'_>) -> ElementType {
    let code = text(value, "code").unwrap_or_default();
    let code = match code.strip_prefix("http://hl7.org/fhirpath/System.") {
        Some(system) => {
            // The type of FHIR stands in an extension.
            let given = extension(value, FHIR_TYPE).and_then(Value::as_str);
            given.map_or_else(|| lower_first(system), std::borrow::Cow::into_owned)
        }
        None => code,
    };
    ElementType {
        code,
        profiles: texts(value, "profile"),
        targets: texts(value, "targetProfile"),
        aggregation: list(value, "aggregation")
            .filter_map(|one| match one.as_str().as_deref() {
                Some("contained") => Some(Aggregation::Contained),
                Some("referenced") => Some(Aggregation::Referenced),
                Some("bundled") => Some(Aggregation::Bundled),
                _ => None,
            })
            .collect(),
        regex: extension(value, REGEX).and_then(|found| Some(found.as_str()?.into_owned())),
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

fn binding(value: Value<'_>) -> Option<Binding> {
    let strength = match value.get_str("strength").as_deref()? {
        "required" => Strength::Required,
        "extensible" => Strength::Extensible,
        "preferred" => Strength::Preferred,
        _ => Strength::Example,
    };
    Some(Binding {
        strength,
        value_set: text(value, "valueSet"),
        max_value_set: extension(value, MAX_VALUE_SET)
            .and_then(|found| Some(found.as_str()?.into_owned())),
    })
}

fn constraint(value: Value<'_>) -> Option<Constraint> {
    let best_practice = extension(value, BEST_PRACTICE).and_then(Value::as_bool) == Some(true);
    Some(Constraint {
        key: text(value, "key")?,
        severity: match value.get_str("severity").as_deref() {
            Some("warning") if best_practice => ConstraintSeverity::BestPractice,
            Some("warning") => ConstraintSeverity::Warning,
            _ => ConstraintSeverity::Error,
        },
        human: text(value, "human").unwrap_or_default(),
        expression: text(value, "expression"),
    })
}
