//! References: what they point to inside the resource or by the resolver, and what a profile lets them
//! point to. Must not fetch anything.

use std::collections::HashMap;

use fhir::json::Value;
use fhirpath::Resolver;

use super::elements::At;
use super::path::Path;
use super::walk::{Finding, Scope, Walk};
use crate::base::{Base, ShapeKind};
use crate::compile::{Check, Profile, Targets};
use crate::model::Aggregation;
use crate::source::{CORE, split};

/// Finds what references point to: entries of the bundle around, then what the resolver knows.
pub(super) struct Inside<'a> {
    /// Entries of the bundle, by their address and by the last two parts of it.
    entries: HashMap<String, Value<'a>>,
    resolver: Option<&'a dyn Resolver<'a>>,
}

/// What the walk asks of [`Inside`], for a shorter time than the resolver may live.
pub(super) trait Look<'w>: Resolver<'w> {
    /// The resource a reference in `root` or in what it contains points to.
    fn find(&self, root: Value<'w>, reference: &str) -> Option<Value<'w>>;
    /// Whether an entry of the bundle has this address.
    fn is_entry(&self, reference: &str) -> bool;
}

impl<'w, 'a: 'w> Look<'w> for Inside<'a> {
    fn find(&self, root: Value<'w>, reference: &str) -> Option<Value<'w>> {
        let Some(id) = reference.strip_prefix('#') else {
            return self.outside(reference);
        };
        if id.is_empty() {
            return Some(root);
        }
        let mut contained = root.get("contained").into_iter().flat_map(Value::items);
        contained.find(|one| one.get_str("id").as_deref() == Some(id))
    }

    fn is_entry(&self, reference: &str) -> bool {
        self.entry(reference).is_some()
    }
}

impl<'a> Inside<'a> {
    pub(super) fn new(root: Value<'a>, resolver: Option<&'a dyn Resolver<'a>>) -> Self {
        let is_bundle = root.get_str("resourceType").as_deref() == Some("Bundle");
        let entries = root.get("entry").filter(|_| is_bundle);
        let mut found = HashMap::new();
        for entry in entries.into_iter().flat_map(Value::items) {
            let (Some(url), Some(resource)) = (entry.get_str("fullUrl"), entry.get("resource"))
            else {
                continue;
            };
            let mut parts = url.rmatch_indices('/').map(|(at, _)| at + 1);
            let tail = parts.nth(1).and_then(|at| url.get(at..));
            if let Some(tail) = tail {
                found.entry(tail.to_owned()).or_insert(resource);
            }
            found.entry(url.into_owned()).or_insert(resource);
        }
        Self {
            entries: found,
            resolver,
        }
    }

    fn outside(&self, reference: &str) -> Option<Value<'a>> {
        let plain = reference.split("/_history/").next().unwrap_or(reference);
        self.entry(plain)
            .or_else(|| self.resolver?.resolve(reference))
    }

    fn entry(&self, reference: &str) -> Option<Value<'a>> {
        self.entries.get(reference).copied()
    }
}

impl<'w, 'a: 'w> Resolver<'w> for Inside<'a> {
    fn resolve(&self, reference: &str) -> Option<Value<'w>> {
        self.outside(reference)
    }
}

/// A resolver for a shorter time.
pub(super) struct Shorter<'w>(pub(super) &'w dyn Look<'w>);

impl<'s, 'w: 's> Resolver<'s> for Shorter<'w> {
    fn resolve(&self, reference: &str) -> Option<Value<'s>> {
        self.0.resolve(reference)
    }
}

/// The resource type a Reference says by its text or its type.
pub(super) fn type_said(reference: Value<'_>) -> Option<&'static str> {
    let base = Base::r4();
    let known = |name: &str| {
        let shape = base
            .named(name)
            .filter(|shape| shape.kind == ShapeKind::Resource)?;
        Some(shape.name.as_str())
    };
    let text = reference.get_str("reference").unwrap_or_default();
    let plain = text.split("/_history/").next().unwrap_or_default();
    let mut parts = plain.rsplit('/');
    let by_text = parts.next().and(parts.next()).and_then(known);
    by_text.or_else(|| {
        let said = reference.get_str("type")?;
        known(said.rsplit('/').next().unwrap_or_default())
    })
}

impl<'w> Walk<'w> {
    pub(super) fn targets(
        &mut self,
        scope: &Scope<'w>,
        profile: &Profile,
        check: &Check,
        targets: &Targets,
        at: &At<'w>,
        path: &Path<'_>,
    ) {
        let Some(value) = at.value.filter(|_| at.type_name() == "Reference") else {
            return;
        };
        let text = value.get_str("reference");
        if let Some(text) = &text {
            self.aggregation(profile, check, targets, text, at, path);
        }
        let target = text
            .as_deref()
            .and_then(|text| self.inside.find(scope.root, text));
        let ty = match target {
            Some(target) => {
                let said = target.get_str("resourceType");
                said.and_then(|ty| Base::r4().named(&ty))
                    .map(|shape| shape.name.as_str())
            }
            None => type_said(value),
        };
        let Some(ty) = ty else {
            return;
        };
        if targets.profiles.is_empty() {
            return;
        }
        let derives = |(_, on): &&(String, String)| Base::r4().derives(ty, on);
        let fitting: Vec<&str> = targets
            .profiles
            .iter()
            .filter(derives)
            .map(|(url, _)| url.as_str())
            .collect();
        let has_unknown = targets.profiles.iter().any(|(_, on)| on.is_empty());
        if fitting.is_empty() {
            if has_unknown {
                let what = format!("what {} may refer to: a profile is not known", check.id);
                return self.not_checked(
                    what,
                    "load the package that defines it",
                    path,
                    at.offset(),
                );
            }
            let mut types: Vec<&str> = targets.profiles.iter().map(|(_, on)| on.as_str()).collect();
            types.sort_unstable();
            types.dedup();
            let finding = Finding::error(
                "structure",
                format!("a {ty} cannot be referred to here"),
                format!("refer to {}", types.join(" or ")),
            );
            return self.add(finding.by(profile, &check.id), path, at.offset());
        }
        if let Some(target) = target {
            self.target(profile, check, &fitting, target, at, path);
        }
    }

    /// Checks what is referred to, where it is here: it conforms to one of the profiles.
    fn target(
        &mut self,
        profile: &Profile,
        check: &Check,
        wanted: &[&str],
        target: Value<'w>,
        at: &At<'w>,
        path: &Path<'_>,
    ) {
        let is_plain = |url: &&str| {
            split(url)
                .0
                .strip_prefix(CORE)
                .is_some_and(|name| Base::r4().place(name).is_some())
        };
        if self.follows || wanted.iter().any(is_plain) {
            return;
        }
        let Some(shape) = Base::r4().place("Resource") else {
            return;
        };
        let there = At {
            value: Some(target),
            beside: None,
            shape,
        };
        let scope = Self::scope(target, None);
        self.follows = true;
        let mut why = String::new();
        let mut holds = false;
        let mut unknown = None;
        for url in wanted {
            match self.quietly(&scope, &there, url, path) {
                Some(Ok(())) => holds = true,
                Some(Err(error)) => why = error,
                None => unknown = Some(url),
            }
        }
        self.follows = false;
        if let Some(url) = unknown.filter(|_| !holds) {
            let what = format!(
                "what is referred to, against {url}, which is not known or too deep inside others"
            );
            self.not_checked(what, "load the package that defines it", path, at.offset());
        } else if !holds {
            let finding = Finding::error(
                "structure",
                format!(
                    "what this refers to does not conform to {}",
                    wanted.join(" or ")
                ),
                format!("mend it or refer to another one ({why})"),
            );
            self.add(finding.by(profile, &check.id), path, at.offset());
        }
    }

    fn aggregation(
        &mut self,
        profile: &Profile,
        check: &Check,
        targets: &Targets,
        text: &str,
        at: &At<'w>,
        path: &Path<'_>,
    ) {
        if targets.aggregation.is_empty() {
            return;
        }
        let allows = |how: Aggregation| targets.aggregation.contains(&how);
        let is_contained = text.starts_with('#');
        let fits = if is_contained {
            allows(Aggregation::Contained)
        } else if allows(Aggregation::Referenced) {
            true
        } else {
            allows(Aggregation::Bundled) && self.inside.is_entry(text)
        };
        if !fits {
            let finding = Finding::error(
                "structure",
                "the reference's target travels in a way that is not allowed here".to_owned(),
                format!("allowed: {:?}", targets.aggregation).to_lowercase(),
            );
            self.add(finding.by(profile, &check.id), path, at.offset());
        }
    }
}
