//! Snapshots from differentials (FHIR R4, profiling, section 5.1.0.4): the base is walked, what the
//! differential says is laid over it, slices are made from what they slice, and the content of types,
//! profiles on types and content references is opened where the differential reaches into it.

mod merge;

pub(crate) use merge::capital;
#[cfg(test)]
mod tests;
pub mod tree;

use std::sync::Arc;

use crate::error::ProfileError;
use crate::model::{Element, StructureDefinition};
use crate::source::{Source, type_url};
use tree::Node;

/// Most elements of one snapshot.
pub const MAX_NODES: usize = 50_000;
/// Most definitions that lead to one another.
const MAX_CHAIN: usize = 64;

/// Makes snapshots, asking a source for what definitions are made from.
pub struct Generator<'s> {
    source: &'s dyn Source,
    /// The definitions being made, outermost first.
    chain: Vec<String>,
}

impl<'s> Generator<'s> {
    /// Over a source.
    #[must_use]
    pub fn new(source: &'s dyn Source) -> Self {
        Self {
            source,
            chain: Vec::new(),
        }
    }

    /// The snapshot of a definition, made from its differential and its base even where it has one.
    ///
    /// # Errors
    /// What is missing, circular, too large or does not fit.
    pub fn snapshot(
        &mut self,
        definition: &StructureDefinition,
    ) -> Result<Vec<Element>, ProfileError> {
        Ok(self.generate(definition)?.into_elements())
    }

    /// The tree of a definition: its published snapshot, or one made from its differential.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub fn tree(&mut self, definition: &StructureDefinition) -> Result<Node, ProfileError> {
        if definition.snapshot.is_empty() {
            self.generate(definition)
        } else {
            Node::from_elements(&definition.snapshot, &definition.url)
        }
    }

    fn generate(&mut self, definition: &StructureDefinition) -> Result<Node, ProfileError> {
        let name = definition.canonical();
        if self.chain.contains(&name) {
            let mut chain = self.chain.clone();
            chain.push(name);
            return Err(ProfileError::Circle {
                chain: chain.join(" -> "),
            });
        }
        if self.chain.len() >= MAX_CHAIN {
            return Err(ProfileError::TooLarge {
                what: definition.url.clone(),
                detail: format!("at most {MAX_CHAIN} definitions lead to one another"),
            });
        }
        self.chain.push(name);
        let made = self.lay_over(definition);
        self.chain.pop();
        made
    }

    fn lay_over(&mut self, definition: &StructureDefinition) -> Result<Node, ProfileError> {
        let Some(base) = &definition.base else {
            return Node::from_elements(&definition.differential, &definition.url);
        };
        let base = self.find(base, &definition.url)?;
        let mut root = self.tree(&base)?;
        if definition.differential.is_empty() {
            return Ok(root);
        }
        let differential = Node::from_elements(&definition.differential, &definition.url)?;
        if !definition.is_constraint {
            root.name.clone_from(&definition.ty);
        }
        let mut work = merge::Merge::new(self, definition, &root);
        work.merge(&mut root, &differential)?;
        if root.count() > MAX_NODES {
            return Err(ProfileError::TooLarge {
                what: definition.url.clone(),
                detail: format!("at most {MAX_NODES} elements in a snapshot"),
            });
        }
        Ok(root)
    }

    fn find(
        &self,
        canonical: &str,
        needed_by: &str,
    ) -> Result<Arc<StructureDefinition>, ProfileError> {
        self.source
            .structure(&type_url(canonical))
            .ok_or_else(|| ProfileError::Missing {
                canonical: canonical.to_owned(),
                needed_by: needed_by.to_owned(),
            })
    }
}

impl core::fmt::Debug for Generator<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Generator")
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}
