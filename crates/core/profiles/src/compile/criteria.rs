//! What a discriminator must find in a slice: fixed values, patterns and value sets at its path or below,
//! types, profiles, presence. Must not look at resources.

use std::borrow::Cow;
use std::sync::Arc;

use fhir::json::{Document, Limits};

use super::path::{self, Step};
use crate::error::ProfileError;
use crate::model::{Discriminator, DiscriminatorKind, Element, ElementType, Literal, Strength};
use crate::snapshot::Generator;
use crate::snapshot::tree::Node;
use crate::source::{Source, type_url};

/// Deepest element below a discriminator's path that still tells slices apart.
const MAX_DEPTH: usize = 6;

/// What makes something one of a slice.
#[derive(Debug, Clone)]
pub enum Criterion {
    /// A value at the path for which all terms hold.
    Values(Vec<Term>),
    /// Something is at the path, or nothing.
    Exists(bool),
    /// What is at the path has one of these types.
    Types(Vec<String>),
    /// What is at the path conforms to one of these profiles.
    Profiles(Vec<String>),
}

/// A condition on a value at or below a discriminator's path.
#[derive(Debug, Clone)]
pub struct Term {
    /// Where below.
    pub path: Vec<Step>,
    /// What must be there.
    pub is: Match,
}

/// What a value must be.
#[derive(Debug, Clone)]
pub enum Match {
    /// Exactly this.
    Fixed(Arc<Document>),
    /// At least this.
    Pattern(Arc<Document>),
    /// A code of this value set.
    ValueSet(String),
}

/// What a discriminator must find in a slice; none where the profile does not say.
pub(super) fn criterion(
    source: &dyn Source,
    owner: &str,
    slice: &Node,
    discriminator: &Discriminator,
) -> Result<Option<Criterion>, ProfileError> {
    let steps = path::parse(&discriminator.path, owner)?;
    let mut finder = Finder { source };
    Ok(match discriminator.kind {
        DiscriminatorKind::Value | DiscriminatorKind::Pattern => {
            finder.values(slice, &steps)?.map(Criterion::Values)
        }
        DiscriminatorKind::Exists => {
            let found = finder.at(slice, &steps)?;
            found.and_then(|found| match (found.element.min, found.element.max) {
                (_, Some(0)) => Some(Criterion::Exists(false)),
                (Some(1..), _) => Some(Criterion::Exists(true)),
                _ => None,
            })
        }
        DiscriminatorKind::Type => {
            let resolves = steps.last() == Some(&Step::Resolve);
            let found = finder.at(slice, unresolved(&steps))?;
            found
                .map(|found| finder.types(&found.element, resolves))
                .filter(|types| !types.is_empty())
                .map(Criterion::Types)
        }
        DiscriminatorKind::Profile => {
            let resolves = steps.last() == Some(&Step::Resolve);
            let found = finder.at(slice, unresolved(&steps))?;
            found
                .map(|found| profiles(&found.element, resolves))
                .filter(|profiles| !profiles.is_empty())
                .map(Criterion::Profiles)
        }
    })
}

/// The steps before a last `resolve()`.
fn unresolved(steps: &[Step]) -> &[Step] {
    match steps.split_last() {
        Some((Step::Resolve, before)) => before,
        _ => steps,
    }
}

fn profiles(element: &Element, resolves: bool) -> Vec<String> {
    let of = |ty: &ElementType| {
        if resolves {
            ty.targets.clone()
        } else {
            ty.profiles.clone()
        }
    };
    element.types.iter().flat_map(of).collect()
}

struct Finder<'f> {
    source: &'f dyn Source,
}

impl Finder<'_> {
    fn types(&self, element: &Element, resolves: bool) -> Vec<String> {
        if !resolves {
            return element.types.iter().map(|ty| ty.code.clone()).collect();
        }
        let targets = element.types.iter().flat_map(|ty| &ty.targets);
        targets
            .filter_map(|target| Some(self.source.structure(&type_url(target))?.ty.clone()))
            .collect()
    }

    /// The element at the end of a path, through types and profiles where the tree does not reach.
    fn at<'n>(
        &mut self,
        node: &'n Node,
        steps: &[Step],
    ) -> Result<Option<Cow<'n, Node>>, ProfileError> {
        let Some((step, rest)) = steps.split_first() else {
            return Ok(Some(Cow::Borrowed(node)));
        };
        for child in self.step(node, step)? {
            let found = match child {
                Cow::Borrowed(child) => self.at(child, rest)?,
                Cow::Owned(child) => self
                    .at(&child, rest)?
                    .map(|found| Cow::Owned(found.into_owned())),
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The elements one step leads to: the element itself, then its slices.
    fn step<'n>(
        &mut self,
        node: &'n Node,
        step: &Step,
    ) -> Result<Vec<Cow<'n, Node>>, ProfileError> {
        if let Step::OfType(_) = step {
            return Ok(vec![Cow::Borrowed(node)]);
        }
        if node.children.is_empty() || *step == Step::Resolve {
            let Some(content) = self.content(node, *step == Step::Resolve)? else {
                return Ok(Vec::new());
            };
            if *step == Step::Resolve {
                return Ok(vec![Cow::Owned(content)]);
            }
            let found = named(&content, step);
            return Ok(found
                .into_iter()
                .map(|one| Cow::Owned(one.clone()))
                .collect());
        }
        Ok(named(node, step).into_iter().map(Cow::Borrowed).collect())
    }

    /// What the only type, profile or target of an element holds.
    fn content(&mut self, node: &Node, resolves: bool) -> Result<Option<Node>, ProfileError> {
        let [only] = node.element.types.as_slice() else {
            return Ok(None);
        };
        let url = match (resolves, only.targets.as_slice(), only.profiles.as_slice()) {
            (true, [target], _) => target.clone(),
            (true, ..) => return Ok(None),
            (false, _, [profile, ..]) => profile.clone(),
            (false, ..) => only.code.clone(),
        };
        let Some(definition) = self.source.structure(&type_url(&url)) else {
            return Ok(None);
        };
        let mut tree = Generator::new(self.source).tree(&definition)?;
        if definition.ty == "Extension" && definition.is_constraint {
            settle_url(&mut tree, &definition.url);
        }
        Ok(Some(tree))
    }

    /// The terms a value at the path must fulfil.
    fn values(&mut self, node: &Node, steps: &[Step]) -> Result<Option<Vec<Term>>, ProfileError> {
        let Some((step, rest)) = steps.split_first() else {
            let mut terms = Vec::new();
            gather(node, &[], &mut terms);
            return Ok((!terms.is_empty()).then_some(terms));
        };
        for child in self.step(node, step)? {
            if let Some(found) = self.values(&child, rest)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// An extension's profile need not say its URL again.
fn settle_url(tree: &mut Node, url: &str) {
    if let Some(child) = tree.children.iter_mut().find(|child| child.name == "url") {
        child.element.fixed.get_or_insert_with(|| Literal {
            ty: "uri".to_owned(),
            json: format!("\"{}\"", url.replace(['"', '\\'], "")),
        });
    }
}

fn named<'n>(node: &'n Node, step: &Step) -> Vec<&'n Node> {
    let mut found = Vec::new();
    match step {
        Step::Member(name) => {
            let is_it = |child: &&Node| {
                child.name.strip_suffix("[x]").unwrap_or(&child.name) == name.as_str()
            };
            if let Some(child) = node.children.iter().find(is_it) {
                found.push(child);
                // A required slice says what is among the values.
                let (must, may): (Vec<_>, Vec<_>) = child
                    .slices
                    .iter()
                    .partition(|slice| slice.element.min > Some(0));
                found.extend(must);
                found.extend(may);
            }
        }
        Step::Extension(url) => {
            if let Some(child) = node.child("extension") {
                let is_it = |slice: &&Node| {
                    let by_profile = slice.element.types.iter().flat_map(|ty| &ty.profiles);
                    by_profile.into_iter().any(|profile| profile == url)
                        || slice
                            .child("url")
                            .and_then(|child| child.element.fixed.as_ref())
                            .is_some_and(|fixed| fixed.json.trim_matches('"') == url)
                };
                found.extend(child.slices.iter().filter(is_it));
            }
        }
        Step::OfType(_) | Step::Resolve => {}
    }
    found
}

/// The fixed values, patterns and required value sets at an element and below it.
fn gather(node: &Node, path: &[Step], terms: &mut Vec<Term>) {
    let element = &node.element;
    let mut add = |is: Match| {
        terms.push(Term {
            path: path.to_vec(),
            is,
        });
    };
    if let Some(fixed) = element.fixed.as_ref().and_then(parsed) {
        return add(Match::Fixed(fixed));
    }
    if let Some(pattern) = element.pattern.as_ref().and_then(parsed) {
        return add(Match::Pattern(pattern));
    }
    if path.len() < MAX_DEPTH {
        let before = terms.len();
        for child in node
            .children
            .iter()
            .filter(|child| child.element.max != Some(0))
        {
            let name = child.name.strip_suffix("[x]").unwrap_or(&child.name);
            let mut inner = path.to_vec();
            inner.push(Step::Member(name.to_owned()));
            // What may be missing tells nothing, unless it is where the path ends.
            if child.element.min > Some(0) || has_value(child) {
                gather(child, &inner, terms);
            }
            let required = child
                .slices
                .iter()
                .filter(|slice| slice.element.min > Some(0));
            for slice in required {
                gather(slice, &inner, terms);
            }
        }
        if terms.len() > before {
            return;
        }
    }
    let set = element
        .binding
        .as_ref()
        .filter(|one| one.strength == Strength::Required);
    let set = set
        .filter(|_| path.is_empty())
        .and_then(|binding| binding.value_set.clone());
    if let Some(set) = set {
        terms.push(Term {
            path: Vec::new(),
            is: Match::ValueSet(set),
        });
    }
}

fn has_value(node: &Node) -> bool {
    node.element.fixed.is_some() || node.element.pattern.is_some()
}

fn parsed(literal: &Literal) -> Option<Arc<Document>> {
    let bytes = literal.json.clone().into_bytes();
    Document::parse(bytes, &Limits::default())
        .ok()
        .map(Arc::new)
}
