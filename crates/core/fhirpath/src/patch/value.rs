//! The value of an operation as JSON: a `value[x]` as it was sent, or an object built from named parts, its
//! members arrays where the definition repeats them. Must not change the text of numbers.

use fhir::Definitions;
use fhir::definitions::navigate::{Element, Holds, ShapeId};
use fhir::json::Value;

use super::PatchErrorKind;

/// How deep parts may stand in parts.
const MAX_DEPTH: u32 = 32;

/// What is put at an element: its member, and the JSON of the value and of what stands beside it.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    /// The member's name: `valueQuantity` for the element `value`.
    pub(super) member: String,
    /// The value's JSON.
    pub(super) value: Option<String>,
    /// The JSON of `_member`.
    pub(super) beside: Option<String>,
}

/// A JSON string.
pub(super) fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    fhir::print::write_string(text, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn raw(value: Value<'_>) -> String {
    String::from_utf8_lossy(value.raw()).into_owned()
}

/// The content a part carries for an element of a shape.
pub(super) fn content(
    part: Value<'_>,
    shape: ShapeId,
    element: &Element,
) -> Result<Content, PatchErrorKind> {
    build(part, shape, element, 0)
}

fn build(
    part: Value<'_>,
    shape: ShapeId,
    element: &Element,
    depth: u32,
) -> Result<Content, PatchErrorKind> {
    if depth > MAX_DEPTH {
        return Err(PatchErrorKind::Part("value"));
    }
    let mut content = Content {
        member: element.name().to_owned(),
        ..Content::default()
    };
    for (key, value) in part.members() {
        let (ty, beside) = match (key.strip_prefix("value"), key.strip_prefix("_value")) {
            (Some(ty), _) => (ty, false),
            (_, Some(ty)) => (ty, true),
            _ => continue,
        };
        if element.is_choice() {
            content.member = format!("{}{ty}", element.name());
        }
        if beside {
            content.beside = Some(raw(value));
        } else {
            content.value = Some(raw(value));
        }
    }
    if let Some(resource) = part.get("resource") {
        content.value = Some(raw(resource));
    } else if let Some(parts) = part.get("part").filter(|_| content.value.is_none()) {
        let Some(Holds::Shape(inner)) = element.only() else {
            return Err(unfit(shape, element.name()));
        };
        content.value = Some(object(parts, inner, depth)?);
    }
    let fits = element.form(&content.member).is_some();
    match (fits, content.value.is_some() || content.beside.is_some()) {
        (true, true) => Ok(content),
        (true, false) => Err(PatchErrorKind::Part("value")),
        (false, _) => Err(unfit(shape, element.name())),
    }
}

/// An object of named parts.
fn object(parts: Value<'_>, shape: ShapeId, depth: u32) -> Result<String, PatchErrorKind> {
    let definitions = Definitions::r4();
    let mut members: Vec<(String, Vec<String>, bool)> = Vec::new();
    for part in parts.items() {
        let name = part.get_str("name").ok_or(PatchErrorKind::Part("name"))?;
        let element = definitions
            .element(shape, &name)
            .ok_or_else(|| unfit(shape, &name))?;
        let content = build(part, shape, &element, depth + 1)?;
        let keys = [
            (content.member.clone(), content.value),
            (format!("_{}", content.member), content.beside),
        ];
        for (key, value) in keys {
            let Some(value) = value else { continue };
            match members.iter_mut().find(|(known, ..)| *known == key) {
                Some((_, values, true)) => values.push(value),
                Some(_) => return Err(PatchErrorKind::Exists(key)),
                None => members.push((key, vec![value], element.repeats())),
            }
        }
    }
    let members: Vec<String> = members
        .into_iter()
        .map(|(key, values, repeats)| {
            let values = values.join(",");
            if repeats {
                format!("{}:[{values}]", quoted(&key))
            } else {
                format!("{}:{values}", quoted(&key))
            }
        })
        .collect();
    Ok(format!("{{{}}}", members.join(",")))
}

/// The element is not one of the type, or not of the value's type.
pub(super) fn unfit(shape: ShapeId, name: &str) -> PatchErrorKind {
    PatchErrorKind::Element {
        ty: Definitions::r4().shape_name(shape).to_owned(),
        name: name.to_owned(),
    }
}
