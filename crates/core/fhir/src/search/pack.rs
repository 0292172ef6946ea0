//! The layout of `definitions/r4-search.pack`: a zstd frame around the postcard form of [`Pack`].
//! Written by `cargo xtask definitions`, read once at start; strings borrow from the unpacked bytes.
//! Holds data only. A change of this layout needs a new pack, not a new parameter id.

use serde::{Deserialize, Serialize};

use crate::search::params::ParamKind;

/// The whole pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pack<'a> {
    /// Resource type names; other parts name types by their place here.
    #[serde(borrow)]
    pub names: Vec<&'a str>,
    /// One entry per concrete resource type.
    #[serde(borrow)]
    pub types: Vec<PackType<'a>>,
}

/// The parameters of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackType<'a> {
    /// Place in [`Pack::names`].
    pub name: u16,
    /// Ordered by id: the place is the bit number, so appended parameters move no bit.
    #[serde(borrow)]
    pub params: Vec<PackParam<'a>>,
}

/// One parameter of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackParam<'a> {
    /// Its number.
    pub id: u16,
    /// Its name in queries.
    pub code: &'a str,
    /// Its kind.
    pub kind: ParamKind,
    /// Target types of a reference, places in [`Pack::names`]; empty for any.
    pub targets: Vec<u16>,
    /// The part of its expression that concerns this type.
    pub expression: &'a str,
    /// Canonical URL of its definition.
    pub definition: &'a str,
    /// Whether it puts resources into a patient's compartment.
    pub compartment: bool,
    /// Where its values are; empty for composite and special ones.
    #[serde(borrow)]
    pub paths: Vec<Path<'a>>,
    /// Components of a composite: names and kinds.
    #[serde(borrow)]
    pub components: Vec<PackComponent<'a>>,
    /// Where the tuples of a composite are.
    #[serde(borrow)]
    pub composites: Vec<Composite<'a>>,
}

/// Name and kind of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackComponent<'a> {
    /// The parameter it takes its values from.
    pub code: &'a str,
    /// Its kind.
    pub kind: ParamKind,
    /// Target types of a reference component.
    pub targets: Vec<u16>,
}

/// A compiled path: steps from the resource (or the context element of a composite) to elements, and
/// how each element becomes values. Arrays are walked item by item without a step of their own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Path<'a> {
    /// Whether a component path starts at the resource (`%resource`) instead of the context element.
    pub from_root: bool,
    /// The steps.
    #[serde(borrow)]
    pub steps: Vec<Step<'a>>,
    /// What the element is and what it becomes.
    #[serde(borrow)]
    pub leaf: Leaf<'a>,
    /// Keep only references to this type (`where(resolve() is X)`), a place in [`Pack::names`].
    pub only: Option<u16>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Step<'a> {
    /// To a member, a choice type already named by its JSON member (`valueQuantity`).
    Member(&'a str),
    /// Only that item of the array just reached.
    Index(u32),
    /// Only elements whose member is this string (`where(system='phone')`).
    Where {
        /// The member.
        member: &'a str,
        /// Its value.
        equals: &'a str,
    },
}

/// A composite's context and its components.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composite<'a> {
    /// Steps to the element the components share.
    #[serde(borrow)]
    pub context: Vec<Step<'a>>,
    /// For each component the paths its values come from.
    #[serde(borrow)]
    pub components: Vec<Vec<Path<'a>>>,
}

/// The element at the end of a path and the kind of value made of it: FHIR type and parameter kind
/// are settled when the pack is made, so that extraction never asks what an element might be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Leaf<'a> {
    /// CodeableConcept as tokens: one per coding, one for the text.
    TokenConcept,
    /// Coding as a token.
    TokenCoding,
    /// Identifier as a token.
    TokenIdentifier,
    /// ContactPoint as a token: its value, without a system.
    TokenContact,
    /// code as a token; the system is that of its required binding, empty where several are mixed.
    TokenCode(&'a str),
    /// boolean as a token of the special values code system.
    TokenBoolean,
    /// string, id or uri as a token without a system.
    TokenPlain,
    /// `x.exists() and x != false` over the members of a choice: always one boolean token.
    TokenExists {
        /// The boolean member.
        flag: &'a str,
        /// The other member, whose presence means true.
        other: &'a str,
    },
    /// string or markdown as text.
    Text,
    /// HumanName as text: every part.
    TextName,
    /// Address as text: every part.
    TextAddress,
    /// date, dateTime or instant as its implied period.
    Date,
    /// Period.
    Period,
    /// Timing: from the first to the last event or bound.
    Timing,
    /// decimal or integer.
    Number,
    /// Range without its unit.
    NumberRange,
    /// Quantity and its specialisations.
    Quantity,
    /// Money, its currency as unit (ISO 4217).
    Money,
    /// Range with its unit.
    QuantityRange,
    /// SampledData: from its lowest to its highest sample.
    Sampled,
    /// Reference.
    Reference,
    /// canonical or uri as a reference.
    Canonical,
    /// A whole resource (`Bundle.entry[0].resource`) as a reference to it.
    Resource,
    /// uri, url, oid, uuid.
    Uri,
    /// canonical as URI: with its version, and without.
    UriCanonical,
}
