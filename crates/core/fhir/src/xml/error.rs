//! Why XML is refused, with its place.

use kernel::{Categorised, Category};

/// A refused source, or a resource that cannot stand as XML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at line {line}, column {column} (byte {offset})")]
pub struct XmlError {
    /// What is wrong.
    pub kind: XmlErrorKind,
    /// Byte offset, from 0.
    pub offset: usize,
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlErrorKind {
    /// Not well-formed.
    #[error("not well-formed XML: close every element, quote every attribute and escape < and &")]
    NotWellFormed,
    /// Not UTF-8, or declared as something else.
    #[error("the source is not UTF-8: send it encoded, and declared, as UTF-8")]
    Encoding,
    /// A document type.
    #[error("a document type declaration is not taken: remove it")]
    DocumentType,
    /// An entity other than the five of XML, or a character reference to no character.
    #[error("the entity {0:?} is not defined: write the character itself")]
    Entity(String),
    /// A character that XML 1.0 cannot hold.
    #[error("the character U+{0:04X} cannot stand in XML: remove it")]
    Character(u32),
    /// A namespace other than FHIR's.
    #[error("the element {0:?} is not in the namespace http://hl7.org/fhir: declare it with xmlns")]
    Namespace(String),
    /// No resource where one must be.
    #[error("{0:?} is no R4 resource type: send one that is")]
    NotAResource(String),
    /// Not exactly one resource where one must be.
    #[error("{0:?} holds one resource: put exactly one in it")]
    OneResource(String),
    /// An element the type does not have.
    #[error("{name:?} is no element of {of}: correct its name or send it as an extension")]
    UnknownElement {
        /// The element.
        name: String,
        /// The type that has none.
        of: String,
    },
    /// An attribute the element does not have.
    #[error("{name:?} is no attribute of {of}: remove it")]
    UnknownAttribute {
        /// The attribute.
        name: String,
        /// The element that has none.
        of: String,
    },
    /// An element twice that stands once, or whose repetitions are apart.
    #[error("{0:?} stands here before: send it once, or its repetitions next to each other")]
    Repeated(String),
    /// Characters where only elements stand.
    #[error("text between elements: values stand in the attribute value")]
    Text,
    /// A narrative that is not one XHTML div.
    #[error("a narrative is one <div xmlns=\"http://www.w3.org/1999/xhtml\">: send it so")]
    Narrative,
    /// Something behind the resource.
    #[error("content behind the end of the resource: send one resource")]
    Trailing,
    /// Too many open elements.
    #[error("nesting deeper than {0} elements: flatten the content")]
    TooDeep(u32),
    /// Too many bytes.
    #[error("source larger than {0} bytes: send it in parts")]
    TooLarge(usize),
    /// Too many elements, attributes of one, or declared namespaces.
    #[error("more than {0}: send it in parts")]
    TooMany(&'static str),
    /// JSON whose shape is not that of its type, so that it has no XML.
    #[error("{0} has no form in XML: ask for application/fhir+json")]
    NotFhir(String),
}

impl XmlErrorKind {
    /// At the byte `offset` of `source`.
    pub(super) fn at(self, source: &[u8], offset: usize) -> XmlError {
        let before = source.get(..offset).unwrap_or(source);
        let line_start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let is_char_start = |byte: &&u8| **byte & 0xC0 != 0x80;
        XmlError {
            kind: self,
            offset,
            line: before.split(|byte| *byte == b'\n').count(),
            column: before.iter().skip(line_start).filter(is_char_start).count() + 1,
        }
    }
}

impl Categorised for XmlError {
    fn category(&self) -> Category {
        match self.kind {
            XmlErrorKind::TooDeep(_) | XmlErrorKind::TooLarge(_) | XmlErrorKind::TooMany(_) => {
                Category::TooLarge
            }
            XmlErrorKind::NotFhir(_) | XmlErrorKind::Character(_) => Category::Unprocessable,
            _ => Category::Invalid,
        }
    }
}

/// A name for a message, at most 60 characters of it.
pub(super) fn shorten(name: &str) -> String {
    name.chars().take(60).collect()
}
