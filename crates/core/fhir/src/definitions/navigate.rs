//! The definitions as a path language walks them: from a shape by an element's name to what the element
//! holds. Must not read resources: it answers about types only.

use super::pack::{ATTRIBUTE, CHOICE, Content, MANY, PROHIBITED, Primitive, REQUIRED};
use super::{Definitions, Form, Slot, TypeId};

/// Number of a data type, a resource type or a backbone element; valid for the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShapeId(u16);

/// What an element holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holds {
    /// A primitive value.
    Primitive(Primitive),
    /// An object of this shape.
    Shape(ShapeId),
    /// Any resource; its `resourceType` says which.
    Resource,
}

/// An element of a shape: `Observation.value` with all the members it may stand as.
#[derive(Debug, Clone, Copy)]
pub struct Element {
    slot: &'static Slot,
    forms: &'static [Form],
}

impl Element {
    /// Its name, without `[x]`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.slot.name
    }
    /// Whether it is a choice of types (`value[x]`).
    #[must_use]
    pub const fn is_choice(&self) -> bool {
        self.slot.is(CHOICE)
    }
    /// Whether it repeats.
    #[must_use]
    pub const fn repeats(&self) -> bool {
        self.slot.is(MANY)
    }
    /// Whether at least one is required.
    #[must_use]
    pub const fn is_required(&self) -> bool {
        self.slot.is(REQUIRED)
    }
    /// Whether the type's profile takes it away (`SimpleQuantity.comparator`).
    #[must_use]
    pub const fn is_prohibited(&self) -> bool {
        self.slot.is(PROHIBITED)
    }
    /// Whether it has no id and no extensions of its own (`Element.id`, `Extension.url`).
    #[must_use]
    pub const fn is_attribute(&self) -> bool {
        self.slot.is(ATTRIBUTE)
    }
    /// The JSON members it may stand as, each with what it holds.
    pub fn forms(&self) -> impl Iterator<Item = (&'static str, Holds)> + use<> {
        self.forms
            .iter()
            .map(|form| (form.name, Holds::of(form.content)))
    }
    /// What the member of this name holds, if the element may stand as it.
    #[must_use]
    pub fn form(&self, member: &str) -> Option<Holds> {
        self.forms
            .iter()
            .find(|form| form.name == member)
            .map(|form| Holds::of(form.content))
    }
    /// What it holds, where it is no choice.
    #[must_use]
    pub fn only(&self) -> Option<Holds> {
        match self.forms {
            [one] => Some(Holds::of(one.content)),
            _ => None,
        }
    }
}

impl Holds {
    const fn of(content: Content) -> Self {
        match content {
            Content::Primitive(primitive) => Self::Primitive(primitive),
            Content::Shape(at) => Self::Shape(ShapeId(at)),
            Content::Resource => Self::Resource,
        }
    }
}

impl Definitions {
    /// The data type, resource type or backbone element (`Patient.contact`) of this name.
    #[must_use]
    pub fn shape_named(&'static self, name: &str) -> Option<ShapeId> {
        let at = self
            .by_shape
            .binary_search_by(|(known, _)| (*known).cmp(name))
            .ok()?;
        self.by_shape.get(at).map(|(_, shape)| ShapeId(*shape))
    }

    /// The shape of a resource type.
    #[must_use]
    pub fn resource_shape(&self, ty: TypeId) -> Option<ShapeId> {
        self.by_type.get(usize::from(ty.0)).copied().map(ShapeId)
    }

    /// The name of a shape: `HumanName`, `Patient`, `Patient.contact`.
    #[must_use]
    pub fn shape_name(&self, shape: ShapeId) -> &'static str {
        self.shape(shape.0).map_or("", |shape| shape.name)
    }

    /// The element of this name, without `[x]`.
    #[must_use]
    pub fn element(&'static self, of: ShapeId, name: &str) -> Option<Element> {
        let shape = self.shape(of.0)?;
        let slot = match shape.form(name) {
            Some(form) => shape.slots.get(usize::from(form.slot))?,
            None => shape.slots.iter().find(|slot| slot.name == name)?,
        };
        (slot.name == name).then(|| Element {
            slot,
            forms: shape.forms_of(slot),
        })
    }

    /// The element a JSON member belongs to (`valueQuantity` to `value`), with what the member holds.
    #[must_use]
    pub fn member(&'static self, of: ShapeId, name: &str) -> Option<(Element, Holds)> {
        let shape = self.shape(of.0)?;
        let form = shape.form(name)?;
        let slot = shape.slots.get(usize::from(form.slot))?;
        let element = Element {
            slot,
            forms: shape.forms_of(slot),
        };
        Some((element, Holds::of(form.content)))
    }

    /// Every element of a shape, in the order of its definition.
    pub fn elements(&'static self, of: ShapeId) -> impl Iterator<Item = Element> + use<> {
        let shape = self.shape(of.0);
        shape.into_iter().flat_map(|shape| {
            shape.slots.iter().map(|slot| Element {
                slot,
                forms: shape.forms_of(slot),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_by_element_and_by_member() {
        let definitions = Definitions::r4();
        let observation = definitions.shape_named("Observation").unwrap();
        let value = definitions.element(observation, "value").unwrap();
        assert!(value.is_choice() && !value.repeats() && value.only().is_none());
        assert!(definitions.element(observation, "valueQuantity").is_none());
        let (element, holds) = definitions.member(observation, "valueQuantity").unwrap();
        assert_eq!(element.name(), "value");
        assert_eq!(
            holds,
            Holds::Shape(definitions.shape_named("Quantity").unwrap())
        );
        let contact = definitions.shape_named("Patient.contact").unwrap();
        let gender = definitions.element(contact, "gender").unwrap();
        assert_eq!(gender.only(), Some(Holds::Primitive(Primitive::Code)));
        assert_eq!(definitions.shape_name(contact), "Patient.contact");
        assert!(definitions.element(contact, "nothing").is_none());
        assert_eq!(definitions.elements(contact).count(), 10);
    }
}
