//! Validation against R4's own rules beyond structure and against profiles: one walk over the resource,
//! driven by compiled tables. The structural gate (`fhir::validate`) is not repeated here. What could not
//! be checked is said, never passed over.

mod binding;
mod elements;
mod extension;
mod matching;
mod path;
mod profiled;
mod reference;
mod report;
mod slices;
mod walk;

#[cfg(test)]
mod tests;

use fhir::json::Value;
use fhir::terminology::Terminology;

pub use fhirpath::Resolver;
pub use report::{Issue, Report, Severity, positions};

use crate::library::Library;

/// What one validation may cost at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Issues reported; what is beyond is counted only.
    pub issues: usize,
    /// Elements looked at, over all profiles.
    pub steps: u64,
    /// Steps of FHIRPath, over all rules on all elements.
    pub rules: u64,
    /// Profiles within profiles.
    pub depth: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            issues: 200,
            steps: 20_000_000,
            rules: 200_000_000,
            depth: 24,
        }
    }
}

/// What a validation may know besides the resource.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The definitions in force.
    pub library: &'a Library,
    /// Answers about codes.
    pub terminology: &'a dyn Terminology,
    /// Finds resources that references point to, beyond what the resource holds itself.
    pub resolver: Option<&'a dyn Resolver<'a>>,
    /// What it may cost.
    pub limits: Limits,
}

impl<'a> Context<'a> {
    /// A context without a resolver.
    #[must_use]
    pub fn new(library: &'a Library, terminology: &'a dyn Terminology) -> Self {
        Self {
            library,
            terminology,
            resolver: None,
            limits: Limits::default(),
        }
    }
}

impl core::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Context")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Validates a resource against R4, the profiles it claims and those given.
#[must_use]
pub fn validate<'a>(context: &Context<'a>, resource: Value<'a>, profiles: &[&str]) -> Report {
    let found = reference::Inside::new(resource, context.resolver);
    let mut walk = walk::Walk::new(context.library, context.terminology, context.limits, &found);
    walk.start(resource, profiles);
    walk.finish()
}
