//! Elements by the R4 tree: what a field of a query means for a value, and which of a list are asked for,
//! by their own elements or by FHIRPath. Must not load anything.

use std::collections::HashMap;
use std::sync::Arc;

use fhir::definitions::Definitions;
use fhir::definitions::navigate::{Holds, ShapeId};
use fhir::json::{Kind, Value};
use fhirpath::{Environment, Expression, FhirType, Item};
use parking_lot::Mutex;
use serde_json::Value as Json;

use super::plan::Planned;
use super::schema::{schema, type_name};
use super::syntax::Field;
use crate::error::AppError;

/// A value with its type.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub value: Value<'a>,
    pub holds: Holds,
}

/// What a field comes to.
pub(super) struct Found<'a> {
    pub parts: Vec<Part<'a>>,
    /// Whether the element repeats.
    pub list: bool,
}

/// Steps of one FHIRPath evaluation.
const STEPS: u64 = 20_000;

/// FHIRPath expressions of a query, compiled once.
#[derive(Default)]
pub(super) struct Paths(Mutex<HashMap<String, Arc<Expression>>>);

fn invalid(text: impl Into<String>) -> AppError {
    AppError::Invalid(text.into())
}

impl Paths {
    fn get(&self, text: &str) -> Result<Arc<Expression>, AppError> {
        if let Some(known) = self.0.lock().get(text) {
            return Ok(Arc::clone(known));
        }
        let compiled = fhirpath::compile(text)
            .map_err(|error| invalid(format!("an argument is no FHIRPath: {error}")))?;
        let compiled = Arc::new(compiled);
        self.0.lock().insert(text.to_owned(), Arc::clone(&compiled));
        Ok(compiled)
    }

    /// Whether an expression is true of a part.
    fn holds(&self, text: &str, root: Value<'_>, part: Part<'_>) -> Result<bool, AppError> {
        let expression = self.get(text)?;
        let environment = environment(root);
        let truth = expression.evaluate_boolean(&environment, item(part));
        let truth = truth.map_err(|error| invalid(format!("FHIRPath {text:?}: {error}")))?;
        Ok(truth == Some(true))
    }

    /// The first value of an expression on a part, as text.
    pub(super) fn text(
        &self,
        text: &str,
        root: Value<'_>,
        part: Part<'_>,
    ) -> Result<Option<String>, AppError> {
        let expression = self.get(text)?;
        let environment = environment(root);
        let found = expression.evaluate(&environment, item(part));
        let found = found.map_err(|error| invalid(format!("FHIRPath {text:?}: {error}")))?;
        Ok(found.iter().next().map(ToString::to_string))
    }
}

fn environment(root: Value<'_>) -> Environment<'_> {
    let limits = fhirpath::Limits {
        steps: STEPS,
        ..fhirpath::Limits::default()
    };
    Environment::new(Item::resource(root)).limited(limits)
}

fn item(part: Part<'_>) -> Item<'_> {
    match part.holds {
        Holds::Primitive(primitive) => {
            Item::element(Some(part.value), None, FhirType::Primitive(primitive))
        }
        Holds::Shape(shape) => Item::element(Some(part.value), None, FhirType::Shape(shape)),
        Holds::Resource => Item::resource(part.value),
    }
}

/// The element of a field, before its arguments; `None` where the type has none of this name.
pub(super) fn element<'a>(of: Value<'a>, shape: ShapeId, name: &str) -> Option<Found<'a>> {
    let definitions = Definitions::r4();
    let (element, forms) = if let Some((element, holds)) = definitions.member(shape, name) {
        (element, vec![(name, holds)])
    } else {
        let element = definitions.element(shape, name)?;
        (element, element.forms().collect())
    };
    let mut parts = Vec::new();
    for (member, holds) in forms {
        let Some(value) = of.get(member) else {
            continue;
        };
        match value.kind() {
            Kind::Array => parts.extend(
                value
                    .items()
                    .filter(|item| item.kind() != Kind::Null)
                    .map(|value| Part { value, holds }),
            ),
            Kind::Null => {}
            _ => parts.push(Part { value, holds }),
        }
    }
    Some(Found {
        parts,
        list: element.repeats(),
    })
}

/// Keeps the parts that a field's arguments ask for.
pub(super) fn narrow(
    found: &mut Found<'_>,
    field: &Field,
    planned: &Planned,
    (paths, root): (&Paths, Value<'_>),
) -> Result<(), AppError> {
    let (mut offset, mut count) = (0, usize::MAX);
    for (name, literal) in &field.arguments {
        // A variable without a value asks for nothing.
        let Some(text) = planned.text(literal) else {
            continue;
        };
        let number = || {
            text.parse::<usize>()
                .map_err(|_| invalid(format!("{name} of {} is no whole number", field.name)))
        };
        match name.as_str() {
            "_offset" => offset = number()?,
            "_count" => count = number()?,
            "fhirpath" => {
                let mut kept = Vec::with_capacity(found.parts.len());
                for part in &found.parts {
                    if paths.holds(&text, root, *part)? {
                        kept.push(*part);
                    }
                }
                found.parts = kept;
            }
            _ => {
                let mut kept = Vec::with_capacity(found.parts.len());
                for part in &found.parts {
                    if has(*part, name, &text, field)? {
                        kept.push(*part);
                    }
                }
                found.parts = kept;
            }
        }
    }
    let parts = std::mem::take(&mut found.parts);
    found.parts = parts.into_iter().skip(offset).take(count).collect();
    Ok(())
}

/// Whether a part has an element with this value.
fn has(part: Part<'_>, name: &str, text: &str, field: &Field) -> Result<bool, AppError> {
    let inner = shape_of(part).and_then(|shape| element(part.value, shape, name));
    let Some(inner) = inner else {
        return Err(invalid(format!(
            "{} has no element {name} to be found by",
            field.name
        )));
    };
    Ok(inner.parts.iter().any(|part| match leaf(part.value) {
        Json::String(found) => found == text,
        Json::Number(found) => found.to_string() == text,
        Json::Bool(found) => found.to_string() == text,
        _ => false,
    }))
}

/// The shape of what is no primitive.
pub(super) fn shape_of(part: Part<'_>) -> Option<ShapeId> {
    let definitions = Definitions::r4();
    match part.holds {
        Holds::Primitive(_) => None,
        Holds::Shape(shape) => Some(shape),
        Holds::Resource => {
            let name = part.value.get_str("resourceType")?;
            definitions.resource_shape(definitions.resource(&name)?)
        }
    }
}

/// A primitive's value; numbers keep their digits.
pub(super) fn leaf(value: Value<'_>) -> Json {
    match value.kind() {
        Kind::String => value
            .as_str()
            .map_or(Json::Null, |text| Json::String(text.into_owned())),
        Kind::Number => value
            .number_text()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or(Json::Null),
        Kind::Bool => value.as_bool().map_or(Json::Null, Json::Bool),
        Kind::Null | Kind::Array | Kind::Object => Json::Null,
    }
}

/// Whether something of a type is selected by a fragment on another: itself, or what it derives from.
pub(super) fn is_a(ty: &str, on: &str) -> bool {
    if ty == on || type_name(ty) == on {
        return true;
    }
    let resource = Definitions::r4().resource(ty).is_some();
    match on {
        "Resource" => resource,
        "DomainResource" => resource && !matches!(ty, "Bundle" | "Binary" | "Parameters"),
        "Element" => !resource,
        "Quantity" => matches!(
            ty,
            "Age" | "Count" | "Distance" | "Duration" | "MoneyQuantity" | "SimpleQuantity"
        ),
        _ => false,
    }
}

/// The types of the schema itself.
const META: [&str; 6] = [
    "__Schema",
    "__Type",
    "__Field",
    "__InputValue",
    "__EnumValue",
    "__Directive",
];

/// Whether there is such a type.
pub(super) fn is_type(name: &str) -> bool {
    matches!(name, "Resource" | "DomainResource" | "Element" | "Query")
        || FhirType::named(name).is_some()
        || schema().types.contains_key(name)
        || META.contains(&name)
}
