//! What a StructureDefinition says, as far as validation asks: the element list with cardinality, types,
//! slices, fixed values, bindings and constraints. Narrative, mappings and definitions are left out.

mod read;

use serde::{Deserialize, Serialize};

/// `max = *`.
pub const UNBOUNDED: u32 = u32::MAX;

/// What kind of thing is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StructureKind {
    /// `string`, `date`.
    Primitive,
    /// `HumanName`, `Extension`.
    Complex,
    /// `Patient`.
    Resource,
    /// Not of FHIR's own types.
    Logical,
}

/// A StructureDefinition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StructureDefinition {
    /// Its canonical URL, without version.
    pub url: String,
    /// Its business version.
    pub version: Option<String>,
    /// Its name for computers.
    pub name: String,
    /// What it defines.
    pub kind: StructureKind,
    /// Whether there are no instances of it.
    pub is_abstract: bool,
    /// The type it defines or constrains.
    pub ty: String,
    /// What it is made from; none for the roots.
    pub base: Option<String>,
    /// Whether it constrains a type, instead of defining one.
    pub is_constraint: bool,
    /// Where an extension may stand.
    pub contexts: Vec<Context>,
    /// FHIRPath rules on the place of an extension.
    pub context_invariants: Vec<String>,
    /// All elements; empty where it came without.
    pub snapshot: Vec<Element>,
    /// The elements it says something about.
    pub differential: Vec<Element>,
}

impl StructureDefinition {
    /// Its canonical with version, where it has one.
    #[must_use]
    pub fn canonical(&self) -> String {
        match &self.version {
            Some(version) => format!("{}|{version}", self.url),
            None => self.url.clone(),
        }
    }
}

/// Where an extension may stand (`StructureDefinition.context`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// How the expression is meant.
    pub kind: ContextKind,
    /// An element's path, an extension's URL or a FHIRPath expression.
    pub expression: String,
}

/// How a context is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContextKind {
    /// The path of an element or the name of a type.
    Element,
    /// The URL of an extension.
    Extension,
    /// A FHIRPath expression that selects the elements.
    FhirPath,
}

/// An element of a snapshot or a differential.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Element {
    /// `Patient.identifier:nhs.system`.
    pub id: String,
    /// `Patient.identifier.system`.
    pub path: String,
    /// The slice it begins.
    pub slice_name: Option<String>,
    /// How its repetitions are told apart.
    pub slicing: Option<Slicing>,
    /// At least so many.
    pub min: Option<u32>,
    /// At most so many; [`UNBOUNDED`] for `*`.
    pub max: Option<u32>,
    /// `#Questionnaire.item`: the element whose content it has.
    pub content_reference: Option<String>,
    /// Its types.
    pub types: Vec<ElementType>,
    /// The only value.
    pub fixed: Option<Literal>,
    /// What its value holds at least.
    pub pattern: Option<Literal>,
    /// The smallest value.
    pub min_value: Option<Literal>,
    /// The largest value.
    pub max_value: Option<Literal>,
    /// Most characters of a string.
    pub max_length: Option<u32>,
    /// Its value set.
    pub binding: Option<Binding>,
    /// Rules on it.
    pub constraints: Vec<Constraint>,
    /// Whether systems must be able to handle it.
    pub must_support: Option<bool>,
    /// Whether it can change the meaning of its container.
    pub is_modifier: Option<bool>,
}

/// A value in a definition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Literal {
    /// Its data type: `Quantity`, `code`.
    pub ty: String,
    /// Its JSON, compact.
    pub json: String,
}

/// A type an element may have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElementType {
    /// `Quantity`; never one of the FHIRPath system types.
    pub code: String,
    /// Profiles on the type, one of which holds.
    pub profiles: Vec<String>,
    /// For references: profiles of the target, one of which holds.
    pub targets: Vec<String>,
    /// For references: how the target travels; any where empty.
    pub aggregation: Vec<Aggregation>,
    /// A regular expression that the value matches as a whole.
    pub regex: Option<String>,
}

/// How a reference's target travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aggregation {
    /// In `contained`.
    Contained,
    /// On its own.
    Referenced,
    /// In the same bundle.
    Bundled,
}

/// How repetitions are told apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slicing {
    /// What is looked at.
    pub discriminators: Vec<Discriminator>,
    /// Whether they come in the order of their slices.
    pub ordered: bool,
    /// Whether there may be others.
    pub rules: SlicingRules,
}

/// What tells slices apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discriminator {
    /// How.
    pub kind: DiscriminatorKind,
    /// Where, in the simple subset of FHIRPath.
    pub path: String,
}

/// How slices are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DiscriminatorKind {
    /// By a fixed value, pattern or required binding.
    Value,
    /// The same; R4 has both.
    Pattern,
    /// By being there.
    Exists,
    /// By type.
    Type,
    /// By conformance to a profile.
    Profile,
}

/// Whether there may be repetitions outside the slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SlicingRules {
    /// No others.
    Closed,
    /// Others anywhere.
    Open,
    /// Others behind the slices.
    OpenAtEnd,
}

/// A value set an element is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// How strictly.
    pub strength: Strength,
    /// Its canonical; none where it is only described.
    pub value_set: Option<String>,
    /// What no code may lie outside of, for looser bindings.
    pub max_value_set: Option<String>,
}

/// How strict a binding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Strength {
    /// For illustration.
    Example,
    /// Better one of these.
    Preferred,
    /// One of these where one fits.
    Extensible,
    /// One of these.
    Required,
}

/// A rule in FHIRPath.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Constraint {
    /// `obs-6`.
    pub key: String,
    /// How bad a breach is.
    pub severity: ConstraintSeverity,
    /// The rule in words.
    pub human: String,
    /// The rule; none where it is only in words.
    pub expression: Option<String>,
}

/// How bad a breach of a constraint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConstraintSeverity {
    /// Not valid.
    Error,
    /// Not wanted.
    Warning,
    /// Good practice.
    BestPractice,
}
