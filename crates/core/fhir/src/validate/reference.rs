//! References: what they may point to, and the contained resources they name. Must not resolve beyond
//! the resource.

use std::borrow::Cow;

use super::path::Path;
use super::primitive::is_id;
use super::walk::Walk;
use crate::definitions::{Definitions, TypeId};
use crate::json::{Kind, Value};

/// The resources contained in the one being walked, and whether something refers to them.
#[derive(Debug, Default)]
pub(super) struct Container<'a> {
    resources: Vec<Contained<'a>>,
    /// Which of them is being walked.
    inside: Option<usize>,
}

#[derive(Debug)]
struct Contained<'a> {
    id: Option<Cow<'a, str>>,
    ty: Option<TypeId>,
    used: bool,
}

/// What stands behind `#`.
pub(super) enum Referred {
    /// The container or a contained resource; its type where it is to be checked.
    Here(Option<TypeId>),
    /// No resource has that id.
    Nowhere,
}

impl<'a> Container<'a> {
    pub(super) fn of(definitions: &Definitions, resource: Value<'a>) -> Self {
        let contained = resource.get("contained");
        let resources = contained.into_iter().flat_map(Value::items);
        Self {
            resources: resources
                .map(|one| Contained {
                    id: one.get_str("id"),
                    ty: one
                        .get_str("resourceType")
                        .and_then(|name| definitions.resource(&name)),
                    used: false,
                })
                .collect(),
            inside: None,
        }
    }

    pub(super) fn enter(&mut self, index: usize) {
        self.inside = Some(index);
    }

    pub(super) fn leave(&mut self) {
        self.inside = None;
    }

    /// Notes that the text behind `#` is referred to.
    pub(super) fn refer(&mut self, id: &str) -> Referred {
        if id.is_empty() {
            // A contained resource that refers to its container belongs to it.
            if let Some(inside) = self.inside.and_then(|at| self.resources.get_mut(at)) {
                inside.used = true;
            }
            return Referred::Here(None);
        }
        let mut resources = self.resources.iter_mut();
        let Some(found) = resources.find(|one| one.id.as_deref() == Some(id)) else {
            return Referred::Nowhere;
        };
        found.used = true;
        Referred::Here(found.ty)
    }

    /// Whether an earlier one has the same id.
    pub(super) fn repeats(&self, index: usize) -> bool {
        let id = self.resources.get(index).and_then(|one| one.id.as_ref());
        let earlier = self.resources.get(..index).unwrap_or_default();
        id.is_some() && earlier.iter().any(|one| one.id.as_ref() == id)
    }

    /// Places of those nothing refers to.
    pub(super) fn unused(&self) -> impl Iterator<Item = usize> {
        let resources = self.resources.iter().enumerate();
        resources
            .filter(|(_, one)| !one.used && one.id.is_some())
            .map(|(index, _)| index)
    }
}

/// What a `reference` string says.
enum Target<'t> {
    /// Points outside; the type if it can be read from it.
    Type(Option<TypeId>),
    /// Contained, by what stands behind `#`.
    Fragment(&'t str),
    /// Its type is none of R4.
    UnknownType(&'t str),
    /// Not one of the forms.
    Malformed,
}

fn target<'t>(definitions: &Definitions, text: &'t str) -> Target<'t> {
    if let Some(fragment) = text.strip_prefix('#') {
        return Target::Fragment(fragment);
    }
    if has_scheme(text) {
        return Target::Type(type_in(definitions, text));
    }
    let end = text.find(['/', '?']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let is_form = rest.starts_with('?') || {
        let mut parts = rest.split('/').skip(1);
        let is_instance = parts.next().is_some_and(is_id);
        let version = (parts.next(), parts.next().map(is_id), parts.next());
        is_instance && matches!(version, (None, ..) | (Some("_history"), Some(true), None))
    };
    match definitions.resource(name) {
        Some(ty) if is_form => Target::Type(Some(ty)),
        None if is_form => Target::UnknownType(name),
        _ => Target::Malformed,
    }
}

fn has_scheme(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.'));
    end.is_some_and(|end| {
        end > 0
            && text.as_bytes().get(end) == Some(&b':')
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && !text.contains(char::is_whitespace)
    })
}

/// The type in a RESTful URL, `.../Type/id` or `.../Type/id/_history/version`.
fn type_in(definitions: &Definitions, url: &str) -> Option<TypeId> {
    let (_, path) = url.split_once("://")?;
    let mut parts = path.rsplit('/');
    let (last, before) = (parts.next()?, parts.next()?);
    if before == "_history" {
        let (id, name) = (parts.next()?, parts.next()?);
        return definitions.resource(name).filter(|_| is_id(id));
    }
    definitions.resource(before).filter(|_| is_id(last))
}

impl<'a> Walk<'a> {
    /// The rules of a `Reference` beyond its elements.
    pub(super) fn reference(
        &mut self,
        value: Value<'a>,
        targets: Option<&[TypeId]>,
        path: &Path<'_>,
    ) {
        let mut known = None;
        if let Some(text) = value.get("reference").and_then(Value::as_str) {
            let at = path.member("reference");
            match target(self.definitions, &text) {
                Target::Type(ty) => known = ty,
                Target::Fragment(id) => match self.container.refer(id) {
                    Referred::Here(ty) => known = ty,
                    Referred::Nowhere => self.add(
                        "invariant",
                        &at,
                        "no contained resource has this id: contain it, or refer to it by type and id".to_owned(),
                    ),
                },
                Target::UnknownType(name) => {
                    let name: String = name.chars().take(60).collect();
                    let text = format!("{name:?} is no R4 resource type: name one, as in Patient/123");
                    self.add("value", &at, text);
                }
                Target::Malformed => self.add(
                    "value",
                    &at,
                    "a reference is Type/id, an absolute URL, a urn or #id of a contained resource".to_owned(),
                ),
            }
            self.allowed(known, targets, &at);
        }
        let said = value.get("type").and_then(Value::as_str);
        let Some(said) = said.and_then(|name| self.definitions.resource(&name)) else {
            return;
        };
        let at = path.member("type");
        match known {
            Some(known) if known != said => {
                let text = format!(
                    "type is {}, but the reference is to a {}: make them agree",
                    self.definitions.resource_name(said),
                    self.definitions.resource_name(known)
                );
                self.add("invariant", &at, text);
            }
            Some(_) => {}
            None => self.allowed(Some(said), targets, &at),
        }
    }

    fn allowed(&mut self, ty: Option<TypeId>, targets: Option<&[TypeId]>, path: &Path<'_>) {
        let (Some(ty), Some(targets)) = (ty, targets) else {
            return;
        };
        if targets.contains(&ty) {
            return;
        }
        let names: Vec<_> = targets
            .iter()
            .map(|ty| self.definitions.resource_name(*ty))
            .collect();
        let name = self.definitions.resource_name(ty);
        let text = format!("a {name} cannot stand here: refer to {}", names.join(", "));
        self.add("structure", path, text);
    }

    /// The rules of a resource inside another one (FHIR R4, invariants dom-2 to dom-5).
    pub(super) fn contained(&mut self, index: usize, value: Value<'a>, path: &Path<'_>) {
        if value.kind() != Kind::Object {
            return;
        }
        let mut refuse =
            |name: &str, text: &str| self.add("invariant", &path.member(name), text.to_owned());
        if value.get("contained").is_some() {
            refuse(
                "contained",
                "a contained resource contains no others: contain them beside it",
            );
        }
        if let Some(meta) = value.get("meta") {
            for name in ["versionId", "lastUpdated", "security"] {
                if meta.get(name).is_some() {
                    refuse(
                        "meta",
                        "a contained resource has no version, time or security label of its own: remove it",
                    );
                }
            }
        }
        if value.get("id").is_none() {
            self.add(
                "required",
                &path.member("id"),
                "a contained resource needs an id: add one".to_owned(),
            );
        } else if self.container.repeats(index) {
            let text = "another contained resource has this id: give each its own";
            self.add("invariant", &path.member("id"), text.to_owned());
        }
    }

    /// Contained resources exist only as parts of what refers to them (dom-3).
    pub(super) fn unused_contained(&mut self, path: &Path<'_>) {
        let unused: Vec<usize> = self.container.unused().collect();
        for index in unused {
            let text =
                "nothing refers to this contained resource: refer to it by #id, or remove it";
            self.add(
                "invariant",
                &path.member("contained").item(index),
                text.to_owned(),
            );
        }
    }
}
