//! The layout of `definitions/r4.pack`: a zstd frame around the postcard form of [`Pack`]. Written by
//! `cargo xtask definitions`, read once at start; strings borrow from the unpacked bytes. Holds data
//! only.

use serde::{Deserialize, Serialize};

/// The whole pack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pack<'a> {
    /// Resource type names by [`crate::definitions::TypeId`], with the place of their shape.
    #[serde(borrow)]
    pub types: Vec<(&'a str, u16)>,
    /// Data types, resources and backbone elements.
    #[serde(borrow)]
    pub shapes: Vec<PackShape<'a>>,
    /// Sets of resource types a reference may point to.
    pub targets: Vec<Vec<u16>>,
    /// Code systems.
    #[serde(borrow)]
    pub systems: Vec<&'a str>,
    /// Required value sets.
    #[serde(borrow)]
    pub bindings: Vec<PackBinding<'a>>,
}

/// What an object may hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackShape<'a> {
    /// `HumanName`, `Patient` or, for a backbone element, its path.
    pub name: &'a str,
    /// Its elements in the order of the definition, inherited ones included; at most 64.
    #[serde(borrow)]
    pub slots: Vec<PackSlot<'a>>,
}

/// An element of the definition; a choice type is one slot with several forms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackSlot<'a> {
    /// Its name, without `[x]`.
    pub name: &'a str,
    /// Bits of [`REQUIRED`], [`MANY`], [`CHOICE`], [`SUMMARY`], [`PROHIBITED`], [`ATTRIBUTE`].
    pub flags: u8,
    /// Place of its required value set in [`Pack::bindings`].
    pub binding: Option<u16>,
    /// The JSON members it may stand as.
    #[serde(borrow)]
    pub forms: Vec<PackForm<'a>>,
}

/// At least one.
pub const REQUIRED: u8 = 1;
/// Repeats: an array in JSON.
pub const MANY: u8 = 2;
/// A choice type (`[x]`).
pub const CHOICE: u8 = 4;
/// Shown by `_summary=true`.
pub const SUMMARY: u8 = 8;
/// Taken away by the profile that makes this type (`SimpleQuantity.comparator`).
pub const PROHIBITED: u8 = 16;
/// Has no id or extensions of its own (`Element.id`, `Extension.url`).
pub const ATTRIBUTE: u8 = 32;

/// A JSON member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackForm<'a> {
    /// The member's name: `valueQuantity`.
    pub name: &'a str,
    /// What it holds.
    pub content: Content,
    /// Place of the types it may refer to in [`Pack::targets`]; none for any.
    pub targets: Option<u16>,
}

/// What a member holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// A primitive value.
    Primitive(Primitive),
    /// An object of the shape at this place.
    Shape(u16),
    /// Any resource.
    Resource,
}

/// A required value set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackBinding<'a> {
    /// Its canonical URL.
    pub url: &'a str,
    /// What is in it.
    #[serde(borrow)]
    pub rule: Rule<'a>,
}

/// What is in a value set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rule<'a> {
    /// These codes, each with the place of its system in [`Pack::systems`]; sorted.
    #[serde(borrow)]
    Codes(Vec<(&'a str, u16)>),
    /// BCP 13: media types, checked by their syntax.
    MediaType,
    /// ISO 4217: checked by their syntax, three capital letters.
    Currency,
    /// Too large to enumerate: any code of the system at this place.
    System(u16),
}

/// The primitive data types (FHIR R4, datatypes, section 2.24.0.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub enum Primitive {
    Base64Binary,
    Boolean,
    Canonical,
    Code,
    Date,
    DateTime,
    Decimal,
    Id,
    Instant,
    Integer,
    Markdown,
    Oid,
    PositiveInt,
    String,
    Time,
    UnsignedInt,
    Uri,
    Url,
    Uuid,
    Xhtml,
    /// `Element.id`: a string without spaces.
    ElementId,
}

impl Primitive {
    /// Every data type of the specification.
    pub const ALL: [Self; 20] = [
        Self::Base64Binary,
        Self::Boolean,
        Self::Canonical,
        Self::Code,
        Self::Date,
        Self::DateTime,
        Self::Decimal,
        Self::Id,
        Self::Instant,
        Self::Integer,
        Self::Markdown,
        Self::Oid,
        Self::PositiveInt,
        Self::String,
        Self::Time,
        Self::UnsignedInt,
        Self::Uri,
        Self::Url,
        Self::Uuid,
        Self::Xhtml,
    ];

    /// Its name in the specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base64Binary => "base64Binary",
            Self::Boolean => "boolean",
            Self::Canonical => "canonical",
            Self::Code => "code",
            Self::Date => "date",
            Self::DateTime => "dateTime",
            Self::Decimal => "decimal",
            Self::Id => "id",
            Self::Instant => "instant",
            Self::Integer => "integer",
            Self::Markdown => "markdown",
            Self::Oid => "oid",
            Self::PositiveInt => "positiveInt",
            Self::String | Self::ElementId => "string",
            Self::Time => "time",
            Self::UnsignedInt => "unsignedInt",
            Self::Uri => "uri",
            Self::Url => "url",
            Self::Uuid => "uuid",
            Self::Xhtml => "xhtml",
        }
    }
}
