//! Items: nodes of the tree with their FHIR type, and System values. Here too is how a node reads as a
//! System value, and how both print. Must not navigate: `evaluate::navigate` does.

use std::borrow::Cow;
use std::fmt;

use fhir::Definitions;
use fhir::definitions::pack::Primitive;
use fhir::json::{Kind, Value};
use rust_decimal::Decimal;

use crate::quantity::{Quantity, Unit};
use crate::temporal::Temporal;
use crate::types::{FhirType, TypeInfo, derives};

/// An element of a resource: its JSON value, the `_member` beside a primitive, and its type.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    value: Option<Value<'a>>,
    beside: Option<Value<'a>>,
    ty: FhirType,
}

impl<'a> Node<'a> {
    /// The JSON value; none for a primitive that has extensions only.
    #[must_use]
    pub const fn value(&self) -> Option<Value<'a>> {
        self.value
    }
    /// The `_member` object of a primitive: its id and extensions.
    #[must_use]
    pub const fn beside(&self) -> Option<Value<'a>> {
        self.beside
    }
    /// Its type.
    #[must_use]
    pub const fn ty(&self) -> FhirType {
        self.ty
    }
    pub(crate) const fn new(
        value: Option<Value<'a>>,
        beside: Option<Value<'a>>,
        ty: FhirType,
    ) -> Self {
        Self { value, beside, ty }
    }
    /// A resource known by its type only: what a reference points to when it cannot be read.
    pub(crate) const fn typed(ty: FhirType) -> Self {
        Self::new(None, None, ty)
    }
    /// Whether it is a primitive.
    #[must_use]
    pub const fn is_primitive(&self) -> bool {
        matches!(self.ty, FhirType::Primitive(_))
    }
    /// The members that hold its elements: its own, or those beside a primitive.
    pub(crate) fn object(&self) -> Option<Value<'a>> {
        match self.ty {
            FhirType::Primitive(_) => self.beside,
            FhirType::Shape(_) => self.value,
            FhirType::Unknown => self
                .value
                .filter(|value| value.kind() == Kind::Object)
                .or(self.beside),
        }
    }
}

/// A value of the language.
#[derive(Debug, Clone)]
pub enum Item<'a> {
    /// An element or a resource.
    Node(Node<'a>),
    /// System.Boolean.
    Boolean(bool),
    /// System.Integer, 32 bits.
    Integer(i32),
    /// System.Decimal, at most 28 digits; its scale is the number of places written.
    Decimal(Decimal),
    /// System.String.
    String(Cow<'a, str>),
    /// System.Date, System.DateTime or System.Time.
    Temporal(Temporal),
    /// System.Quantity.
    Quantity(Quantity<'a>),
    /// What `type()` answers.
    Type(TypeInfo),
}

impl<'a> Item<'a> {
    /// A resource, its type read from `resourceType`.
    #[must_use]
    pub fn resource(value: Value<'a>) -> Self {
        Self::Node(Node::new(Some(value), None, resource_type(value)))
    }

    /// An element of a known type; `beside` is the `_member` of a primitive.
    #[must_use]
    pub const fn element(
        value: Option<Value<'a>>,
        beside: Option<Value<'a>>,
        ty: FhirType,
    ) -> Self {
        Self::Node(Node::new(value, beside, ty))
    }

    /// A string.
    #[must_use]
    pub fn string(text: impl Into<Cow<'a, str>>) -> Self {
        Self::String(text.into())
    }

    /// The node, where it is one.
    #[must_use]
    pub const fn as_node(&self) -> Option<&Node<'a>> {
        match self {
            Self::Node(node) => Some(node),
            _ => None,
        }
    }

    /// Its type: `FHIR.Patient`, `System.Integer`.
    #[must_use]
    pub fn type_info(&self) -> TypeInfo {
        let (namespace, name) = match self {
            Self::Node(node) => ("FHIR", node.ty.name()),
            Self::Boolean(_) => ("System", "Boolean"),
            Self::Integer(_) => ("System", "Integer"),
            Self::Decimal(_) => ("System", "Decimal"),
            Self::String(_) => ("System", "String"),
            Self::Temporal(value) => ("System", value.kind().name()),
            Self::Quantity(_) => ("System", "Quantity"),
            Self::Type(_) => ("System", "TypeInfo"),
        };
        TypeInfo { namespace, name }
    }

    /// The System value: itself, or what the node of a primitive or quantity holds. None for nodes without
    /// a value and for other complex ones.
    #[must_use]
    pub fn system(&self) -> Option<Self> {
        match self {
            Self::Node(node) => node_value(node),
            other => Some(other.clone()),
        }
    }

    /// The truth of a boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            Self::Node(node) => node.value.and_then(Value::as_bool),
            _ => None,
        }
    }

    /// The number, where it is an integer.
    #[must_use]
    pub fn as_integer(&self) -> Option<i32> {
        match self.system()? {
            Self::Integer(value) => Some(value),
            _ => None,
        }
    }

    /// The text of a string, code, uri and the like.
    #[must_use]
    pub fn as_text(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::String(text) => Some(text.clone()),
            Self::Node(node) => match node_value(node)? {
                Self::String(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The type a resource says it is.
pub(crate) fn resource_type(value: Value<'_>) -> FhirType {
    let definitions = Definitions::r4();
    value
        .get_str("resourceType")
        .and_then(|name| definitions.resource(&name))
        .and_then(|ty| definitions.resource_shape(ty))
        .map_or(FhirType::Unknown, FhirType::Shape)
}

fn node_value<'a>(node: &Node<'a>) -> Option<Item<'a>> {
    match node.ty {
        FhirType::Primitive(primitive) => primitive_value(primitive, node.value?),
        FhirType::Shape(_) => quantity_value(node),
        FhirType::Unknown => untyped_value(node.value?),
    }
}

fn primitive_value(primitive: Primitive, value: Value<'_>) -> Option<Item<'_>> {
    match primitive {
        Primitive::Boolean => value.as_bool().map(Item::Boolean),
        Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => {
            value.number_text()?.parse().ok().map(Item::Integer)
        }
        Primitive::Decimal => decimal(value.number_text()?).map(Item::Decimal),
        Primitive::Date => temporal(value, Temporal::parse_date),
        Primitive::DateTime | Primitive::Instant => temporal(value, Temporal::parse_datetime),
        Primitive::Time => temporal(value, Temporal::parse_time),
        _ => value.as_str().map(Item::String),
    }
}

/// A date or time; text that is none stays text, so that it is neither before nor after anything.
fn temporal(value: Value<'_>, parse: fn(&str) -> Option<Temporal>) -> Option<Item<'_>> {
    let text = value.as_str()?;
    Some(parse(&text).map_or_else(|| Item::String(text), Item::Temporal))
}

fn untyped_value(value: Value<'_>) -> Option<Item<'_>> {
    match value.kind() {
        Kind::Bool => value.as_bool().map(Item::Boolean),
        Kind::String => value.as_str().map(Item::String),
        Kind::Number => {
            let text = value.number_text()?;
            let integer = text.parse().ok().map(Item::Integer);
            integer.or_else(|| decimal(text).map(Item::Decimal))
        }
        _ => None,
    }
}

/// A FHIR Quantity as a System one: UCUM by its code, anything else by its unit's text.
fn quantity_value<'a>(node: &Node<'a>) -> Option<Item<'a>> {
    if !derives(node.ty.name(), "Quantity") {
        return None;
    }
    let object = node.value?;
    if object.get("comparator").is_some() {
        return None;
    }
    let value = decimal(object.get("value")?.number_text()?)?;
    let unit = match (object.get_str("system").as_deref(), object.get_str("code")) {
        (Some("http://unitsofmeasure.org") | None, Some(code)) => Unit::Ucum(code),
        (Some("http://hl7.org/fhirpath/CodeSystem/calendar-units"), Some(code)) => {
            Unit::of_word(&code).unwrap_or(Unit::Ucum(code))
        }
        (Some(_), Some(code)) => Unit::Other(code),
        (_, None) => object
            .get_str("unit")
            .map_or(Unit::Ucum(Cow::Borrowed("1")), Unit::Other),
    };
    Some(Item::Quantity(Quantity { value, unit }))
}

/// A decimal as written, exponents included; digits beyond 28 are rounded away.
pub(crate) fn decimal(text: &str) -> Option<Decimal> {
    if text.contains(['e', 'E']) {
        return Decimal::from_scientific(text).ok();
    }
    Decimal::from_str_exact(text)
        .or_else(|_| text.parse::<Decimal>())
        .ok()
}

impl fmt::Display for Item<'_> {
    /// As `toString()` writes it; complex nodes as their JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => match node_text(node) {
                Some(text) => f.write_str(&text),
                None => Ok(()),
            },
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Decimal(value) => write!(f, "{value}"),
            Self::String(text) => f.write_str(text),
            Self::Temporal(value) => write!(f, "{value}"),
            Self::Quantity(value) => write!(f, "{value}"),
            Self::Type(info) => write!(f, "{}.{}", info.namespace, info.name),
        }
    }
}

/// A primitive as written in the resource, a complex value as its JSON.
fn node_text<'a>(node: &Node<'a>) -> Option<Cow<'a, str>> {
    let value = node.value?;
    match value.kind() {
        Kind::String => value.as_str(),
        _ => Some(String::from_utf8_lossy(value.raw())),
    }
}
