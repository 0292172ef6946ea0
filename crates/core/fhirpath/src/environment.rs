//! What an evaluation may know besides its input: the resource, variables, the clock's value, limits, and
//! ports for what lies outside. Must not fetch anything: the ports answer from memory.

use std::borrow::Cow;

use fhir::json::Value;
use fhir::terminology::{NoTerminology, Terminology};
use kernel::Timestamp;

use crate::collection::Collection;
use crate::item::Item;

/// Where `resolve()` finds resources. Contained ones and entries of the `%rootResource` bundle are found
/// without it.
pub trait Resolver<'a> {
    /// The resource a reference (as written) points to, if it is here and the caller may see it.
    fn resolve(&self, reference: &str) -> Option<Value<'a>>;
}

/// Who answers `conformsTo()`.
pub trait Conformance {
    /// Whether a resource or element conforms to a profile; none where the profile is not known.
    fn conforms(&self, value: Value<'_>, profile: &str) -> Option<bool>;
}

/// What an evaluation may cost at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Steps: an expression node evaluated, an item compared, 64 bytes of text made.
    pub steps: u64,
    /// Items in one collection.
    pub items: usize,
    /// Bytes of one string made.
    pub text: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: 4_000_000,
            items: 100_000,
            text: 1 << 20,
        }
    }
}

/// What an evaluation may know.
pub struct Environment<'a> {
    pub(crate) resource: Option<Item<'a>>,
    pub(crate) root: Option<Item<'a>>,
    pub(crate) variables: Vec<(Cow<'a, str>, Collection<'a>)>,
    pub(crate) now: Option<(Timestamp, i16)>,
    pub(crate) resolver: Option<&'a dyn Resolver<'a>>,
    pub(crate) terminology: &'a dyn Terminology,
    pub(crate) conformance: Option<&'a dyn Conformance>,
    pub(crate) limits: Limits,
    pub(crate) strict: bool,
    pub(crate) by_type: bool,
}

impl core::fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Environment")
            .field("limits", &self.limits)
            .field("strict", &self.strict)
            .finish_non_exhaustive()
    }
}

impl<'a> Environment<'a> {
    /// An environment in which `%resource` and `%rootResource` are this resource.
    #[must_use]
    pub fn new(resource: Item<'a>) -> Self {
        Self {
            root: Some(resource.clone()),
            resource: Some(resource),
            ..Self::bare()
        }
    }

    /// An environment without a resource.
    #[must_use]
    pub fn bare() -> Self {
        Self {
            resource: None,
            root: None,
            variables: Vec::new(),
            now: None,
            resolver: None,
            terminology: &NoTerminology,
            conformance: None,
            limits: Limits::default(),
            strict: false,
            by_type: false,
        }
    }

    /// The container of a contained `%resource`.
    #[must_use]
    pub fn with_root(mut self, root: Item<'a>) -> Self {
        self.root = Some(root);
        self
    }

    /// Gives `%name`.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<Cow<'a, str>>, value: Collection<'a>) -> Self {
        self.variables.push((name.into(), value));
        self
    }

    /// Gives `%name` another value.
    pub fn set_variable(&mut self, name: &'a str, value: Collection<'a>) {
        match self.variables.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.variables.push((Cow::Borrowed(name), value)),
        }
    }

    /// The time `now()`, `today()` and `timeOfDay()` answer, with the zone's offset from UTC in minutes.
    /// Without it they are empty.
    #[must_use]
    pub fn at(mut self, now: Timestamp, offset_minutes: i16) -> Self {
        self.now = Some((now, offset_minutes));
        self
    }

    /// Where `resolve()` looks.
    #[must_use]
    pub fn with_resolver(mut self, resolver: &'a dyn Resolver<'a>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Lets `resolve()` of `Type/id` yield a resource of that type without content when it cannot be read,
    /// so that `resolve() is Patient` is answered by the reference alone.
    #[must_use]
    pub const fn resolving_by_type(mut self) -> Self {
        self.by_type = true;
        self
    }

    /// Who answers `memberOf()`, `subsumes()` and `subsumedBy()`.
    #[must_use]
    pub fn with_terminology(mut self, terminology: &'a dyn Terminology) -> Self {
        self.terminology = terminology;
        self
    }

    /// Who answers `conformsTo()`.
    #[must_use]
    pub fn with_conformance(mut self, conformance: &'a dyn Conformance) -> Self {
        self.conformance = Some(conformance);
        self
    }

    /// Other limits.
    #[must_use]
    pub const fn limited(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Makes names of elements a type does not have an error instead of nothing.
    #[must_use]
    pub const fn strict(mut self) -> Self {
        self.strict = true;
        self
    }
}
