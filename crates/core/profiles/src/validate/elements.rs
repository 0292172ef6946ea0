//! Values with their types, and the children of one. Must not judge.

use fhir::json::{Kind, Value};
use fhirpath::Item;
use smallvec::SmallVec;

use crate::base::{Base, ShapeAt, ShapeKind};

/// A value of a known type.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'w> {
    /// Its JSON; none where only its extensions are there.
    pub value: Option<Value<'w>>,
    /// The `_member` of a primitive.
    pub beside: Option<Value<'w>>,
    /// Its type.
    pub shape: ShapeAt,
}

/// One of the values of an element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Child<'w> {
    pub at: At<'w>,
    /// Its place, where the element repeats.
    pub index: Option<usize>,
    /// Its type, where the element is a choice; empty for others.
    pub of_type: &'static str,
}

/// The values of an element.
pub(super) type Children<'w> = SmallVec<[Child<'w>; 4]>;

impl<'w> At<'w> {
    /// As FHIRPath takes it.
    pub(super) fn item(&self) -> Item<'w> {
        let shape = Base::r4().shape(self.shape);
        match (shape, self.value) {
            (Some(shape), Some(value)) if shape.kind == ShapeKind::Resource => {
                Item::resource(value)
            }
            (Some(shape), _) => Item::element(self.value, self.beside, shape.fhir),
            (None, _) => Item::element(self.value, self.beside, fhirpath::FhirType::Unknown),
        }
    }

    /// The name of its type; of a resource the one it says.
    pub(super) fn type_name(&self) -> &'static str {
        let base = Base::r4();
        let Some(shape) = base.shape(self.shape) else {
            return "";
        };
        if shape.kind != ShapeKind::Resource {
            return &shape.name;
        }
        let said = self.value.and_then(|value| value.get_str("resourceType"));
        let said = said.and_then(|name| base.named(&name));
        said.map_or(shape.name.as_str(), |said| said.name.as_str())
    }

    /// Where it is in the source.
    pub(super) fn offset(&self) -> usize {
        self.value.or(self.beside).map_or(0, Value::offset)
    }

    /// The object that holds its elements.
    fn object(&self) -> Option<Value<'w>> {
        let is_object = |value: &Value<'_>| value.kind() == Kind::Object;
        self.value.filter(is_object).or(self.beside)
    }

    /// The values of one of its elements.
    pub(super) fn children(&self, name: &str, is_choice: bool) -> Children<'w> {
        let mut found = Children::new();
        let (Some(object), Some(shape)) = (self.object(), self.own_shape()) else {
            return found;
        };
        if !is_choice {
            let value = object.get(name);
            let form = shape.member(name).map(|(_, form)| form);
            let Some(form) = form else {
                return found;
            };
            let is_primitive = is_primitive(form);
            let beside = is_primitive.then(|| beside(object, name)).flatten();
            spread(value, beside, form, "", &mut found);
            return found;
        }
        for (key, value) in object.members() {
            let plain = key.strip_prefix('_').unwrap_or(&key);
            if !plain.starts_with(name) {
                continue;
            }
            let Some((_, form)) = shape.member(plain).filter(|(kid, _)| kid.name == name) else {
                continue;
            };
            let of_type = Base::r4()
                .shape(form)
                .map_or("", |shape| shape.name.as_str());
            if plain.len() == key.len() {
                spread(
                    Some(value),
                    beside(object, plain),
                    form,
                    of_type,
                    &mut found,
                );
            } else if object.get(plain).is_none() {
                spread(None, Some(value), form, of_type, &mut found);
            }
        }
        found
    }

    /// The shape its members are those of.
    pub(super) fn own_shape(&self) -> Option<&'static crate::base::Shape> {
        let base = Base::r4();
        let shape = base.shape(self.shape)?;
        match shape.kind {
            ShapeKind::Resource => base.named(self.type_name()),
            ShapeKind::Primitive => base.named("Element"),
            _ => Some(shape),
        }
    }
}

fn is_primitive(form: ShapeAt) -> bool {
    Base::r4()
        .shape(form)
        .is_some_and(|shape| shape.kind == ShapeKind::Primitive)
}

/// The `_member` of a member.
pub(super) fn beside<'w>(object: Value<'w>, name: &str) -> Option<Value<'w>> {
    object
        .members()
        .find(|(key, _)| key.strip_prefix('_') == Some(name))
        .map(|(_, value)| value)
}

/// The items of arrays, or the one value.
pub(super) fn spread<'w>(
    value: Option<Value<'w>>,
    beside: Option<Value<'w>>,
    shape: ShapeAt,
    of_type: &'static str,
    into: &mut Children<'w>,
) {
    let is_array = |value: &Value<'_>| value.kind() == Kind::Array;
    let is_there = |value: &Value<'_>| value.kind() != Kind::Null;
    if value.or(beside).is_some_and(|value| is_array(&value)) {
        let mut values = value.filter(is_array).into_iter().flat_map(Value::items);
        let mut besides = beside.filter(is_array).into_iter().flat_map(Value::items);
        for index in 0.. {
            let (value, beside) = (values.next(), besides.next());
            if value.is_none() && beside.is_none() {
                return;
            }
            let at = At {
                value: value.filter(is_there),
                beside: beside.filter(is_there),
                shape,
            };
            if at.value.is_some() || at.beside.is_some() {
                into.push(Child {
                    at,
                    index: Some(index),
                    of_type,
                });
            }
        }
    } else if value.or(beside).is_some_and(|one| is_there(&one)) {
        into.push(Child {
            at: At {
                value: value.filter(is_there),
                beside: beside.filter(is_there),
                shape,
            },
            index: None,
            of_type,
        });
    }
}
