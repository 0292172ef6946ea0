//! XML to JSON: one pass, written as it is read. Elements take the shape the definitions give them:
//! arrays where they repeat, numbers and booleans where their type says so, `_member` objects for ids
//! and extensions of values. What does not fit its type's form becomes a string, for validation to name.

use super::error::{XmlError, XmlErrorKind, shorten};
use super::source::{Part, Source, Space, Tag};
use super::{Limits, div};
use crate::definitions::pack::{Content, MANY, Primitive};
use crate::definitions::{Class, Definitions, Form, Shape, Slot};
use crate::print::write_string;

/// The JSON of a resource in XML: compact, `resourceType` first, members in the order of the elements.
///
/// # Errors
/// XML that is not well-formed, beyond the limits, with a document type, with entities or namespaces of
/// its own, or with elements its type does not have.
pub fn to_json(
    definitions: &Definitions,
    source: &[u8],
    limits: &Limits,
) -> Result<Vec<u8>, XmlError> {
    let mut reading = Reading {
        definitions,
        out: Vec::with_capacity(source.len()),
        source: Source::new(source, limits)?,
    };
    let root = reading.source.root()?;
    reading.resource(&root)?;
    reading.source.end()?;
    Ok(reading.out)
}

struct Reading<'d, 's> {
    definitions: &'d Definitions,
    source: Source<'s>,
    out: Vec<u8>,
}

/// The members of an object that are being written.
struct Object<'d> {
    shape: &'d Shape,
    is_first: bool,
    /// Bits of the elements seen.
    seen: u64,
}

/// What was read of a value: whether it has one, and its id and extensions.
struct Value {
    has_value: bool,
    element: Option<Vec<u8>>,
}

impl<'d> Reading<'d, '_> {
    fn resource(&mut self, tag: &Tag) -> Result<(), XmlError> {
        self.in_fhir(tag)?;
        let shape = self
            .definitions
            .resource(&tag.name)
            .and_then(|ty| self.definitions.shape_of(ty))
            .ok_or_else(|| self.error(XmlErrorKind::NotAResource(shorten(&tag.name))))?;
        for (attribute, name) in [(&tag.id, "id"), (&tag.value, "value"), (&tag.url, "url")] {
            if attribute.is_some() {
                return Err(self.source.unknown_attribute(name, &tag.name));
            }
        }
        self.out.extend_from_slice(b"{\"resourceType\":");
        write_string(shape.name, &mut self.out);
        let next = self.source.part()?;
        self.members(
            Object {
                shape,
                is_first: false,
                seen: 0,
            },
            next,
        )
    }

    /// An element with elements, as an object.
    fn object(&mut self, shape: &'d Shape, tag: &Tag) -> Result<(), XmlError> {
        self.in_fhir(tag)?;
        if tag.value.is_some() {
            return Err(self.source.unknown_attribute("value", &tag.name));
        }
        if tag.url.is_some() && shape.class != Class::Extension {
            return Err(self.source.unknown_attribute("url", &tag.name));
        }
        self.out.push(b'{');
        let mut object = Object {
            shape,
            is_first: true,
            seen: 0,
        };
        for (name, value) in [("id", &tag.id), ("url", &tag.url)] {
            if let Some(value) = value {
                self.name(&mut object, "", name);
                write_string(value, &mut self.out);
                object.seen |= shape.form(name).map_or(0, |form| 1 << form.slot);
            }
        }
        let next = self.source.part()?;
        self.members(object, next)
    }

    /// The children from `next` on, and the end of the object.
    fn members(&mut self, mut object: Object<'d>, mut next: Part) -> Result<(), XmlError> {
        while let Part::Open(tag) = next {
            let shape = object.shape;
            let found = shape
                .form(&tag.name)
                .and_then(|form| Some((form, shape.slots.get(usize::from(form.slot))?)));
            let Some((form, slot)) = found else {
                return Err(self.error(XmlErrorKind::UnknownElement {
                    name: shorten(&tag.name),
                    of: shape.name.to_owned(),
                }));
            };
            let bit = 1 << form.slot;
            if object.seen & bit != 0 {
                return Err(self.error(XmlErrorKind::Repeated(shorten(&tag.name))));
            }
            object.seen |= bit;
            next = self.member(&mut object, form, slot, tag)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// One member, with all its repetitions; gives what follows it.
    fn member(
        &mut self,
        object: &mut Object<'d>,
        form: &'d Form,
        slot: &Slot,
        tag: Tag,
    ) -> Result<Part, XmlError> {
        match (form.content, slot.is(MANY)) {
            (Content::Primitive(primitive), false) => {
                self.single(object, form.name, primitive, &tag)?;
                self.source.part()
            }
            (Content::Primitive(primitive), true) => self.values(object, form.name, primitive, tag),
            (content, false) => {
                self.name(object, "", form.name);
                self.complex(content, &tag)?;
                self.source.part()
            }
            (content, true) => {
                self.name(object, "", form.name);
                self.out.push(b'[');
                self.complex(content, &tag)?;
                let next = loop {
                    match self.source.part()? {
                        Part::Open(tag) if tag.name == form.name => {
                            self.out.push(b',');
                            self.complex(content, &tag)?;
                        }
                        other => break other,
                    }
                };
                self.out.push(b']');
                Ok(next)
            }
        }
    }

    fn complex(&mut self, content: Content, tag: &Tag) -> Result<(), XmlError> {
        match content {
            Content::Shape(at) => match self.definitions.shape(at) {
                Some(shape) => self.object(shape, tag),
                None => Err(self.error(XmlErrorKind::NotAResource(shorten(&tag.name)))),
            },
            _ => self.wrapped(tag),
        }
    }

    /// A resource inside an element of its own.
    fn wrapped(&mut self, tag: &Tag) -> Result<(), XmlError> {
        self.in_fhir(tag)?;
        let one = || XmlErrorKind::OneResource(shorten(&tag.name));
        let Part::Open(inner) = self.source.part()? else {
            return Err(self.error(one()));
        };
        self.resource(&inner)?;
        match self.source.part()? {
            Part::Close => Ok(()),
            Part::Open(_) => Err(self.error(one())),
        }
    }

    /// A value that does not repeat, and its `_member`.
    fn single(
        &mut self,
        object: &mut Object<'d>,
        name: &str,
        primitive: Primitive,
        tag: &Tag,
    ) -> Result<(), XmlError> {
        let (mark, was_first) = (self.out.len(), object.is_first);
        self.name(object, "", name);
        let value = self.value(primitive, tag)?;
        match value.element {
            // Neither a value nor anything about it: left to validation, which names it.
            None if !value.has_value => self.out.extend_from_slice(b"null"),
            None => {}
            Some(element) => {
                if !value.has_value {
                    self.out.truncate(mark);
                    object.is_first = was_first;
                }
                self.name(object, "_", name);
                self.out.extend_from_slice(&element);
            }
        }
        Ok(())
    }

    /// A value that repeats: an array of values and, where one has an id or extensions, the array of
    /// their `_member`.
    fn values(
        &mut self,
        object: &mut Object<'d>,
        name: &str,
        primitive: Primitive,
        first: Tag,
    ) -> Result<Part, XmlError> {
        let (mark, was_first) = (self.out.len(), object.is_first);
        self.name(object, "", name);
        let mut elements: Vec<Option<Vec<u8>>> = Vec::new();
        let (mut has_values, mut has_elements) = (false, false);
        let mut next = Part::Open(first);
        let next = loop {
            match next {
                Part::Open(tag) if tag.name == name => {
                    self.out.push(if elements.is_empty() { b'[' } else { b',' });
                    let value = self.value(primitive, &tag)?;
                    if !value.has_value {
                        self.out.extend_from_slice(b"null");
                    }
                    has_values |= value.has_value;
                    has_elements |= value.element.is_some();
                    elements.push(value.element);
                }
                other => break other,
            }
            next = self.source.part()?;
        };
        self.out.push(b']');
        if !has_values && has_elements {
            self.out.truncate(mark);
            object.is_first = was_first;
        }
        if has_elements {
            self.name(object, "_", name);
            for (index, element) in elements.iter().enumerate() {
                self.out.push(if index == 0 { b'[' } else { b',' });
                self.out
                    .extend_from_slice(element.as_deref().unwrap_or(b"null"));
            }
            self.out.push(b']');
        }
        Ok(next)
    }

    /// Appends a value, if the element has one; gives its id and extensions.
    fn value(&mut self, primitive: Primitive, tag: &Tag) -> Result<Value, XmlError> {
        if primitive == Primitive::Xhtml {
            let markup = div::read(&mut self.source, tag)?;
            write_string(markup, &mut self.out);
            return Ok(Value {
                has_value: true,
                element: None,
            });
        }
        self.in_fhir(tag)?;
        if tag.url.is_some() {
            return Err(self.source.unknown_attribute("url", &tag.name));
        }
        if let Some(value) = &tag.value {
            self.write_value(primitive, value);
        }
        let has_value = tag.value.is_some();
        let next = self.source.part()?;
        if tag.id.is_none() && matches!(next, Part::Close) {
            return Ok(Value {
                has_value,
                element: None,
            });
        }
        let Some(shape) = self.definitions.element_shape() else {
            return Err(self.error(XmlErrorKind::NotAResource(shorten(&tag.name))));
        };
        let outer = std::mem::replace(&mut self.out, vec![b'{']);
        let mut object = Object {
            shape,
            is_first: true,
            seen: 0,
        };
        if let Some(id) = &tag.id {
            self.name(&mut object, "", "id");
            write_string(id, &mut self.out);
            object.seen |= shape.form("id").map_or(0, |form| 1 << form.slot);
        }
        self.members(object, next)?;
        Ok(Value {
            has_value,
            element: Some(std::mem::replace(&mut self.out, outer)),
        })
    }

    fn write_value(&mut self, primitive: Primitive, value: &str) {
        let is_bare = match primitive {
            Primitive::Boolean => matches!(value, "true" | "false"),
            Primitive::Decimal
            | Primitive::Integer
            | Primitive::PositiveInt
            | Primitive::UnsignedInt => is_number(value),
            _ => false,
        };
        if is_bare {
            self.out.extend_from_slice(value.as_bytes());
        } else {
            write_string(value, &mut self.out);
        }
    }

    fn name(&mut self, object: &mut Object<'_>, prefix: &str, name: &str) {
        if !object.is_first {
            self.out.push(b',');
        }
        object.is_first = false;
        self.out.push(b'"');
        self.out.extend_from_slice(prefix.as_bytes());
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn in_fhir(&self, tag: &Tag) -> Result<(), XmlError> {
        if tag.space == Space::Fhir {
            Ok(())
        } else {
            Err(self.error(XmlErrorKind::Namespace(shorten(&tag.name))))
        }
    }

    #[cold]
    fn error(&self, kind: XmlErrorKind) -> XmlError {
        self.source.error(kind)
    }
}

/// Whether the text is a number of JSON, which is how FHIR writes decimals and integers, too.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with('0')) {
        return false;
    }
    let mut rest = rest.get(whole..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix('.') {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = fraction.get(count..).unwrap_or_default();
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let count = digits(exponent);
        return count > 0 && count == exponent.len();
    }
    rest.is_empty()
}
