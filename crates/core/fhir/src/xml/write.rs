//! JSON to XML: elements in the order of the definitions, as XML demands. Must not drop anything: what
//! has no place in XML is refused.

use smallvec::SmallVec;

use super::error::{XmlError, XmlErrorKind};
use super::{FHIR, div, text};
use crate::definitions::pack::{ATTRIBUTE, Content, MANY, Primitive};
use crate::definitions::{Definitions, Form, Shape, Slot};
use crate::json::{Kind, Value};

/// A resource as XML, with an XML declaration.
///
/// # Errors
/// Members that the definitions do not have, values of another kind than theirs, characters that XML
/// cannot hold. A resource that is structurally valid has none of them, but for control characters.
pub fn from_json(definitions: &Definitions, resource: Value<'_>) -> Result<Vec<u8>, XmlError> {
    let mut writing = Writing {
        definitions,
        out: Vec::with_capacity(resource.raw().len() + resource.raw().len() / 4 + 64),
    };
    writing
        .out
        .extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    match writing.resource(resource, true) {
        Ok(()) => Ok(writing.out),
        Err((kind, at)) => Err(kind.at(resource.raw(), at.saturating_sub(resource.offset()))),
    }
}

/// What is wrong, and where in the source of the JSON.
type Fault = (XmlErrorKind, usize);

struct Writing<'d> {
    definitions: &'d Definitions,
    out: Vec<u8>,
}

/// A member and its `_member`.
struct Member<'d, 'v> {
    form: &'d Form,
    slot: &'d Slot,
    value: Option<Value<'v>>,
    sibling: Option<Value<'v>>,
}

impl<'d> Writing<'d> {
    fn resource(&mut self, value: Value<'_>, is_root: bool) -> Result<(), Fault> {
        let shape = value
            .get_str("resourceType")
            .and_then(|name| self.definitions.resource(&name))
            .and_then(|ty| self.definitions.shape_of(ty))
            .ok_or_else(|| fault("a value without a resourceType of R4", value))?;
        self.push(&["<", shape.name]);
        if is_root {
            self.push(&[" xmlns=\"", FHIR, "\""]);
        }
        let members = members(shape, value, true)?;
        self.children(shape.name, members.iter(), true)
    }

    /// Ends the tag that is open, writes the members that are elements, and the closing tag.
    fn children<'m, 'v: 'm>(
        &mut self,
        name: &str,
        members: impl Iterator<Item = &'m Member<'d, 'v>>,
        is_resource: bool,
    ) -> Result<(), Fault>
    where
        'd: 'm,
    {
        let mut is_empty = true;
        for member in members {
            if !is_resource && member.slot.is(ATTRIBUTE) {
                continue;
            }
            if is_empty {
                self.out.push(b'>');
                is_empty = false;
            }
            self.member(member)?;
        }
        if is_empty {
            self.push(&["/>"]);
        } else {
            self.push(&["</", name, ">"]);
        }
        Ok(())
    }

    fn member(&mut self, member: &Member<'_, '_>) -> Result<(), Fault> {
        let name = member.form.name;
        match member.form.content {
            Content::Primitive(primitive) if member.slot.is(MANY) => {
                let (mut values, mut siblings) = (items(member.value)?, items(member.sibling)?);
                loop {
                    match (values.next(), siblings.next()) {
                        (None, None) => return Ok(()),
                        (value, sibling) => self.primitive(name, primitive, value, sibling)?,
                    }
                }
            }
            Content::Primitive(primitive) => {
                self.primitive(name, primitive, member.value, member.sibling)
            }
            content => {
                if let Some(sibling) = member.sibling {
                    return Err(fault(&format!("\"_{name}\""), sibling));
                }
                if member.slot.is(MANY) {
                    for item in items(member.value)? {
                        self.complex(name, content, item)?;
                    }
                    return Ok(());
                }
                member
                    .value
                    .map_or(Ok(()), |value| self.complex(name, content, value))
            }
        }
    }

    fn complex(&mut self, name: &str, content: Content, value: Value<'_>) -> Result<(), Fault> {
        self.push(&["<", name]);
        if let Content::Shape(at) = content {
            let shape = self.definitions.shape(at);
            let shape = shape.ok_or_else(|| fault(name, value))?;
            return self.object(name, shape, value);
        }
        self.out.push(b'>');
        self.resource(value, false)?;
        self.push(&["</", name, ">"]);
        Ok(())
    }

    /// Behind the name of a tag: its attributes, and what stands in the element.
    fn object(&mut self, name: &str, shape: &'d Shape, value: Value<'_>) -> Result<(), Fault> {
        if value.kind() != Kind::Object {
            return Err(fault(
                &format!("{} for {name}", value.kind().article()),
                value,
            ));
        }
        let members = members(shape, value, false)?;
        for member in members.iter().filter(|member| member.slot.is(ATTRIBUTE)) {
            let text = member.value.filter(|_| member.sibling.is_none());
            let text = text.and_then(|value| Some((value, value.as_str()?)));
            let (value, text) = text.ok_or_else(|| fault(member.form.name, value))?;
            self.attribute(member.form.name, &text, value)?;
        }
        self.children(name, members.iter(), false)
    }

    fn primitive(
        &mut self,
        name: &str,
        primitive: Primitive,
        value: Option<Value<'_>>,
        sibling: Option<Value<'_>>,
    ) -> Result<(), Fault> {
        let is_there = |value: &Value<'_>| value.kind() != Kind::Null;
        let (value, sibling) = (value.filter(is_there), sibling.filter(is_there));
        if primitive == Primitive::Xhtml {
            let markup = value.and_then(|value| Some((value, value.as_str()?)));
            let markup = markup.filter(|_| sibling.is_none());
            let (value, markup) = markup.ok_or((XmlErrorKind::NotFhir(name.to_owned()), 0))?;
            return div::write(&markup, &mut self.out).map_err(|kind| (kind, value.offset()));
        }
        self.push(&["<", name]);
        let members = match (sibling, self.definitions.element_shape()) {
            (Some(sibling), Some(shape)) if sibling.kind() == Kind::Object => {
                members(shape, sibling, false)?
            }
            (Some(sibling), _) => return Err(fault(&format!("\"_{name}\""), sibling)),
            (None, _) => SmallVec::new(),
        };
        for member in members.iter().filter(|member| member.slot.is(ATTRIBUTE)) {
            let text = member
                .value
                .and_then(|value| Some((value, value.as_str()?)));
            if let Some((value, text)) = text {
                self.attribute(member.form.name, &text, value)?;
            }
        }
        if let Some(value) = value {
            match value.kind() {
                Kind::String => {
                    self.attribute("value", &value.as_str().unwrap_or_default(), value)?;
                }
                Kind::Number | Kind::Bool => {
                    self.push(&[" value=\""]);
                    self.out.extend_from_slice(value.raw());
                    self.out.push(b'"');
                }
                kind => return Err(fault(&format!("{} for {name}", kind.article()), value)),
            }
        }
        self.children(name, members.iter(), false)
    }

    fn attribute(&mut self, name: &str, text: &str, of: Value<'_>) -> Result<(), Fault> {
        self.push(&[" ", name, "=\""]);
        text::write_attribute(text, &mut self.out).map_err(|kind| (kind, of.offset()))?;
        self.out.push(b'"');
        Ok(())
    }

    fn push(&mut self, parts: &[&str]) {
        for part in parts {
            self.out.extend_from_slice(part.as_bytes());
        }
    }
}

/// The members of an object in the order of the definition.
fn members<'d, 'v>(
    shape: &'d Shape,
    value: Value<'v>,
    is_resource: bool,
) -> Result<SmallVec<[Member<'d, 'v>; 16]>, Fault> {
    let mut members: SmallVec<[Member<'d, 'v>; 16]> = SmallVec::new();
    for (key, member) in value.members() {
        if is_resource && key == "resourceType" {
            continue;
        }
        let (name, is_sibling) = match key.strip_prefix('_') {
            Some(name) => (name, true),
            None => (&*key, false),
        };
        let found = shape
            .form(name)
            .and_then(|form| Some((form, shape.slots.get(usize::from(form.slot))?)));
        let Some((form, slot)) = found else {
            let shown: String = key.chars().take(60).collect();
            return Err(fault(&format!("{shown:?} in {}", shape.name), member));
        };
        let (value, sibling) = if is_sibling {
            (None, Some(member))
        } else {
            (Some(member), None)
        };
        let known = members
            .iter_mut()
            .find(|known| known.form.name == form.name);
        if let Some(known) = known {
            known.value = known.value.or(value);
            known.sibling = known.sibling.or(sibling);
        } else {
            members.push(Member {
                form,
                slot,
                value,
                sibling,
            });
        }
    }
    members.sort_by_key(|member| member.form.slot);
    Ok(members)
}

/// The items of an array, or nothing where there is none.
fn items(value: Option<Value<'_>>) -> Result<impl Iterator<Item = Value<'_>>, Fault> {
    match value {
        Some(value) if value.kind() != Kind::Array => {
            Err(fault("one value of an element that repeats", value))
        }
        value => Ok(value.into_iter().flat_map(Value::items)),
    }
}

#[cold]
fn fault(what: &str, at: Value<'_>) -> Fault {
    (XmlErrorKind::NotFhir(what.to_owned()), at.offset())
}
