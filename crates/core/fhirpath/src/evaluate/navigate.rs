//! From a node to its children by the definitions: choice types by their element's name, primitives with the
//! `_member` beside them, repeated elements item by item.

use fhir::Definitions;
use fhir::definitions::navigate::{Element, Holds};
use fhir::json::{Kind, Value};

use super::{Evaluator, Outcome};
use crate::collection::Collection;
use crate::error::EvaluationError;
use crate::item::{Item, Node, resource_type};
use crate::types::FhirType;

impl<'a> Evaluator<'_, 'a> {
    /// The elements of this name of every item.
    pub(crate) fn children_named(&mut self, focus: &Collection<'a>, name: &str) -> Outcome<'a> {
        let mut found = Collection::empty();
        for item in focus {
            match item {
                Item::Node(node) => self.child(node, name, &mut found)?,
                Item::Type(info) => match name {
                    "namespace" => found.push(Item::string(info.namespace)),
                    "name" => found.push(Item::string(info.name)),
                    "baseType" => found.extend(crate::types::base_of(info.name).map(Item::string)),
                    _ => {}
                },
                Item::Quantity(quantity) => match name {
                    "value" => found.push(Item::Decimal(quantity.value)),
                    "unit" => found.push(Item::string(quantity.unit.text().to_owned())),
                    _ => {}
                },
                _ if self.environment.strict => return Err(unknown(item, name)),
                _ => {}
            }
        }
        self.charge(found.len() as u64)?;
        self.bounded(&found)?;
        Ok(found)
    }

    fn child(
        &self,
        node: &Node<'a>,
        name: &str,
        found: &mut Collection<'a>,
    ) -> Result<(), EvaluationError> {
        let definitions = Definitions::r4();
        let element = match node.ty() {
            FhirType::Shape(shape) => definitions.element(shape, name),
            FhirType::Primitive(_) => definitions
                .shape_named("Element")
                .and_then(|shape| definitions.element(shape, name)),
            FhirType::Unknown => {
                if let Some(object) = node.object() {
                    plain(object, name, found);
                }
                return Ok(());
            }
        };
        let Some(element) = element else {
            if self.environment.strict {
                return Err(unknown(&Item::Node(*node), name));
            }
            return Ok(());
        };
        if let Some(object) = node.object() {
            members(object, &element, found);
        }
        Ok(())
    }
}

fn unknown(item: &Item<'_>, name: &str) -> EvaluationError {
    EvaluationError::UnknownElement {
        ty: item.type_info().name.to_owned(),
        name: name.to_owned(),
    }
}

/// A member of an element: its value, the member beside it, and what they hold.
type Pair<'a> = (Option<Value<'a>>, Option<Value<'a>>, Holds);

/// Adds what an element holds.
fn members<'a>(object: Value<'a>, element: &Element, found: &mut Collection<'a>) {
    let name = element.name();
    let mut pair: Option<Pair<'a>> = None;
    for (key, value) in object.members() {
        let (member, beside) = match key.strip_prefix('_') {
            Some(member) => (member, true),
            None => (key.as_ref(), false),
        };
        if !member.starts_with(name) || !element.is_choice() && member.len() != name.len() {
            continue;
        }
        let Some(holds) = element.form(member) else {
            continue;
        };
        let pair = pair.get_or_insert((None, None, holds));
        if beside {
            pair.1 = Some(value);
        } else {
            pair.0 = Some(value);
        }
    }
    if let Some((value, beside, holds)) = pair {
        spread(value, beside, holds, found);
    }
}

/// Adds the items of an array, or the one value.
fn spread<'a>(
    value: Option<Value<'a>>,
    beside: Option<Value<'a>>,
    holds: Holds,
    found: &mut Collection<'a>,
) {
    let array = |value: Option<Value<'a>>| value.filter(|value| value.kind() == Kind::Array);
    if array(value).is_none() && array(beside).is_none() {
        return found.extend(node(value, beside, holds).map(Item::Node));
    }
    let mut values = array(value).into_iter().flat_map(Value::items);
    let mut besides = array(beside).into_iter().flat_map(Value::items);
    loop {
        let (value, beside) = (values.next(), besides.next());
        if value.is_none() && beside.is_none() {
            return;
        }
        found.extend(node(value, beside, holds).map(Item::Node));
    }
}

fn node<'a>(value: Option<Value<'a>>, beside: Option<Value<'a>>, holds: Holds) -> Option<Node<'a>> {
    let present = |value: &Value<'a>| value.kind() != Kind::Null;
    let (value, beside) = (value.filter(present), beside.filter(present));
    let ty = match holds {
        Holds::Primitive(primitive) => FhirType::Primitive(primitive),
        Holds::Shape(shape) => FhirType::Shape(shape),
        Holds::Resource => resource_type(value?),
    };
    (value.is_some() || beside.is_some()).then(|| Node::new(value, beside, ty))
}

/// Members of an object R4 does not define, by their JSON name.
fn plain<'a>(object: Value<'a>, name: &str, found: &mut Collection<'a>) {
    let Some(value) = object.get(name) else {
        return;
    };
    let add = |value: Value<'a>, found: &mut Collection<'a>| {
        if value.kind() != Kind::Null {
            found.push(Item::resource(value));
        }
    };
    if value.kind() == Kind::Array {
        value.items().for_each(|item| add(item, found));
    } else {
        add(value, found);
    }
}

/// Every child of a node, in the order of the definition.
pub(crate) fn children<'a>(node: &Node<'a>, found: &mut Collection<'a>) {
    let definitions = Definitions::r4();
    let shape = match node.ty() {
        FhirType::Shape(shape) => Some(shape),
        FhirType::Primitive(_) => definitions.shape_named("Element"),
        FhirType::Unknown => None,
    };
    let Some(object) = node.object() else {
        return;
    };
    let Some(shape) = shape else {
        for (name, _) in object.members() {
            plain(object, &name, found);
        }
        return;
    };
    for element in definitions.elements(shape) {
        members(object, &element, found);
    }
}

/// Whether a node is an extension of this URL.
pub(crate) fn is_extension(node: &Node<'_>, url: &str) -> bool {
    node.value()
        .and_then(|value| value.get_str("url"))
        .is_some_and(|known| known == url)
}
