//! Where a node stands in its resource: the object that holds it, the member, the index, and the types on
//! the way. Found by the spans of the source. Must not change anything.

use core::fmt::Write as _;

use fhir::Definitions;
use fhir::definitions::navigate::{Element, Holds, ShapeId};
use fhir::json::{Kind, Value};

use crate::item::{Node, resource_type};
use crate::types::FhirType;

/// A place in a resource.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    /// JSON Pointer of the object that holds the member.
    pub(super) parent: String,
    /// That object.
    pub(super) object: Value<'a>,
    /// Its shape.
    pub(super) shape: ShapeId,
    /// The member, without `_`.
    pub(super) member: String,
    /// The index in the member's array.
    pub(super) index: Option<usize>,
    /// The element of the member.
    pub(super) element: Element,
}

impl Place<'_> {
    /// The pointer of the member beside, `_member`, or of the member itself.
    pub(super) fn pointer(&self, beside: bool) -> String {
        pointer(&self.parent, &self.member, beside)
    }

    /// Whether both are items of one list.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.parent == other.parent && self.member == other.member
    }
}

/// The pointer of a member.
pub(super) fn pointer(parent: &str, member: &str, beside: bool) -> String {
    let mark = if beside { "_" } else { "" };
    let member = member.replace('~', "~0").replace('/', "~1");
    format!("{parent}/{mark}{member}")
}

/// The place of a node; none for the resource itself.
pub(super) fn of<'a>(root: Value<'a>, node: &Node<'a>) -> Option<Place<'a>> {
    let target = node.value().or(node.beside())?;
    let mut walk = Walk {
        object: root,
        shape: shape_of(root)?,
        pointer: String::new(),
        target: target.offset(),
    };
    loop {
        if let Some(place) = walk.step()? {
            return Some(place);
        }
    }
}

fn shape_of(resource: Value<'_>) -> Option<ShapeId> {
    match resource_type(resource) {
        FhirType::Shape(shape) => Some(shape),
        _ => None,
    }
}

struct Walk<'a> {
    object: Value<'a>,
    shape: ShapeId,
    pointer: String,
    target: usize,
}

impl<'a> Walk<'a> {
    fn covers(&self, value: Value<'_>) -> bool {
        (value.offset()..value.offset() + value.raw().len()).contains(&self.target)
    }

    /// One object deeper; the outer none where the definitions end, the inner one where the way goes on.
    #[expect(
        clippy::option_option,
        reason = "a private step: lost and not there yet are different"
    )]
    fn step(&mut self) -> Option<Option<Place<'a>>> {
        let (key, value) = self
            .object
            .members()
            .find(|(_, value)| self.covers(*value))?;
        let beside = key.starts_with('_');
        let member = key.strip_prefix('_').unwrap_or(&key).to_owned();
        let (element, holds) = Definitions::r4().member(self.shape, &member)?;
        let (index, value) = if value.kind() == Kind::Array {
            let mut items = value.items().enumerate();
            let (index, item) = items.find(|(_, item)| self.covers(*item))?;
            (Some(index), item)
        } else {
            (None, value)
        };
        if value.offset() == self.target {
            return Some(Some(Place {
                parent: self.pointer.clone(),
                object: self.object,
                shape: self.shape,
                member,
                index,
                element,
            }));
        }
        self.pointer = pointer(&self.pointer, &member, beside);
        if let Some(index) = index {
            write!(self.pointer, "/{index}").ok()?;
        }
        self.object = value;
        self.shape = match holds {
            _ if beside => Definitions::r4().shape_named("Element")?,
            Holds::Shape(shape) => shape,
            Holds::Resource => shape_of(value)?,
            Holds::Primitive(_) => return None,
        };
        Some(None)
    }
}
