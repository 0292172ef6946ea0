//! The walk over a resource by the types of R4: invariants, loose bindings, extensions, contained
//! resources and the profiles each resource claims. Must not repeat the structural gate.

use std::collections::HashSet;
use std::sync::Arc;

use fhir::json::{Kind, Value};
use fhir::terminology::Terminology;
use fhirpath::{Environment, Item};

use super::Limits;
use super::elements::{At, Child, Children, beside, spread};
use super::path::Path;
use super::reference::{Look, Shorter};
use super::report::{Issue, Report, Severity};
use crate::base::{Base, Kid, Shape, ShapeKind};
use crate::compile::Profile;
use crate::invariant::{Invariant, Verdict};
use crate::library::Library;
use crate::model::ConstraintSeverity;

/// The walk so far.
pub(super) struct Walk<'w> {
    pub(super) library: &'w Library,
    pub(super) terminology: &'w dyn Terminology,
    pub(super) inside: &'w dyn Look<'w>,
    pub(super) limits: Limits,
    pub(super) issues: Vec<Issue>,
    pub(super) more: usize,
    pub(super) steps: u64,
    /// Steps of FHIRPath that are left.
    rules: u64,
    /// Said where it was given up: nothing found from there on is to be believed, and nothing more is said.
    gave_up: Option<Issue>,
    /// Profiles being checked, one within the other.
    pub(super) nested: u32,
    /// Whether a reference is being followed.
    pub(super) follows: bool,
    /// Profile and place of what was checked already.
    pub(super) visited: HashSet<(*const Profile, usize)>,
    /// What could not be checked, said once.
    pub(super) unchecked: HashSet<String>,
}

/// The resource the walk is in.
pub(super) struct Scope<'w> {
    pub resource: Value<'w>,
    /// The resource that contains it, or itself.
    pub root: Value<'w>,
}

/// An element that holds extensions: its type and where R4 has it.
#[derive(Clone, Copy)]
pub(super) struct Holder<'h> {
    pub owner: &'h Shape,
    pub kid: Option<&'h Kid>,
    /// The URL of the extension it is, where it is one.
    pub extension: Option<&'h str>,
}

/// What is wrong and what to do.
pub(super) struct Finding<'f> {
    pub severity: Severity,
    pub code: &'static str,
    pub message: String,
    pub remedy: String,
    pub profile: Option<&'f str>,
    pub key: Option<&'f str>,
}

impl<'f> Finding<'f> {
    pub(super) fn error(code: &'static str, message: String, remedy: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message,
            remedy: remedy.into(),
            profile: None,
            key: None,
        }
    }

    pub(super) fn warning(code: &'static str, message: String, remedy: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, message, remedy)
        }
    }

    pub(super) fn by(self, profile: &'f Profile, key: &'f str) -> Self {
        Self {
            profile: Some(&profile.canonical),
            key: Some(key),
            ..self
        }
    }

    fn issue(self, path: &Path<'_>, offset: usize) -> Issue {
        Issue {
            severity: self.severity,
            code: self.code,
            expression: path.to_string(),
            offset,
            message: self.message,
            remedy: self.remedy,
            profile: self.profile.map(str::to_owned),
            key: self.key.map(str::to_owned),
        }
    }

    pub(super) fn key(self, key: &'f str) -> Self {
        Self {
            key: Some(key),
            ..self
        }
    }
}

impl<'w> Walk<'w> {
    pub(super) fn new(
        library: &'w Library,
        terminology: &'w dyn Terminology,
        limits: Limits,
        inside: &'w dyn Look<'w>,
    ) -> Self {
        Self {
            library,
            terminology,
            inside,
            limits,
            issues: Vec::new(),
            more: 0,
            steps: 0,
            rules: limits.rules,
            gave_up: None,
            nested: 0,
            follows: false,
            visited: HashSet::new(),
            unchecked: HashSet::new(),
        }
    }

    pub(super) fn finish(mut self) -> Report {
        self.issues.extend(self.gave_up.take());
        Report {
            issues: self.issues,
            more: self.more,
        }
    }

    #[cold]
    pub(super) fn add(&mut self, finding: Finding<'_>, path: &Path<'_>, offset: usize) {
        if self.is_given_up() {
            return;
        }
        let issue = finding.issue(path, offset);
        // Slices and types say again what was said of the element.
        let same =
            |known: &Issue| known.message == issue.message && known.expression == issue.expression;
        if self.issues.iter().any(same) {
            return;
        }
        if self.issues.len() < self.limits.issues {
            self.issues.push(issue);
        } else if issue.is_error() {
            // Errors are never lost to warnings.
            let place = self.issues.iter_mut().rev().find(|known| !known.is_error());
            if let Some(place) = place {
                *place = issue;
            }
            self.more += 1;
        } else {
            self.more += 1;
        }
    }

    /// Says once that something could not be checked.
    #[cold]
    pub(super) fn not_checked(
        &mut self,
        what: String,
        remedy: &str,
        path: &Path<'_>,
        offset: usize,
    ) {
        let message = format!("not checked: {what}");
        if self.unchecked.insert(what) {
            let finding = Finding::warning("not-supported", message, remedy);
            self.add(finding, path, offset);
        }
    }

    /// Counts one step; false when there were too many.
    pub(super) fn step(&mut self, path: &Path<'_>, offset: usize) -> bool {
        self.steps += 1;
        if self.steps >= self.limits.steps {
            self.give_up(path, offset);
        }
        !self.is_given_up()
    }

    /// Whether it was given up: what was not found is then unknown.
    pub(super) const fn is_given_up(&self) -> bool {
        self.gave_up.is_some()
    }

    /// Ends the validation. What says so is kept apart from the issues, which may be those of a question
    /// whose answer nobody is told.
    #[cold]
    pub(super) fn give_up(&mut self, path: &Path<'_>, offset: usize) {
        let finding = Finding {
            severity: Severity::Fatal,
            ..Finding::error(
                "too-costly",
                "the validation was given up: it costs too much".to_owned(),
                "split the resource, or simplify the profiles",
            )
        };
        self.gave_up
            .get_or_insert_with(|| finding.issue(path, offset));
    }

    pub(super) fn start(&mut self, resource: Value<'w>, profiles: &[&str]) {
        let name = resource.get_str("resourceType");
        let shape = name.and_then(|name| Base::r4().named(&name));
        let Some(shape) = shape.filter(|shape| shape.kind == ShapeKind::Resource) else {
            let finding = Finding::error(
                "structure",
                "the resource has no resourceType of R4".to_owned(),
                "send one that has",
            );
            return self.add(finding, &Path::root("Resource"), resource.offset());
        };
        self.resource(resource, &Path::root(&shape.name), None, profiles);
    }

    /// A resource: by itself, in a bundle, or contained in another one.
    pub(super) fn resource(
        &mut self,
        value: Value<'w>,
        path: &Path<'_>,
        container: Option<Value<'w>>,
        profiles: &[&str],
    ) {
        let Some(shape_at) = Base::r4().place("Resource") else {
            return;
        };
        let at = At {
            value: Some(value),
            beside: None,
            shape: shape_at,
        };
        let Some(shape) = at
            .own_shape()
            .filter(|shape| shape.kind == ShapeKind::Resource)
        else {
            // The gate says so.
            return;
        };
        let scope = Self::scope(value, container);
        let holder = Holder {
            owner: shape,
            kid: None,
            extension: None,
        };
        self.invariants(&scope, &shape.invariants, &at, None, path);
        self.members(&scope, &at, holder, path);
        for profile in profiles {
            self.conforms(&scope, &at, profile, true, path);
        }
        let claimed = value.get("meta").and_then(|meta| meta.get("profile"));
        for claim in claimed.into_iter().flat_map(Value::items) {
            if let Some(canonical) = claim.as_str() {
                self.conforms(&scope, &at, &canonical, false, path);
            }
        }
    }

    pub(super) fn scope(resource: Value<'w>, container: Option<Value<'w>>) -> Scope<'w> {
        Scope {
            resource,
            root: container.unwrap_or(resource),
        }
    }

    /// The members of an object, or those beside a primitive.
    fn members(&mut self, scope: &Scope<'w>, at: &At<'w>, holder: Holder<'_>, path: &Path<'_>) {
        let is_object = |value: &Value<'_>| value.kind() == Kind::Object;
        let Some(shape) = at.own_shape() else {
            return;
        };
        let Some(object) = at.value.filter(is_object).or(at.beside) else {
            return;
        };
        for (key, value) in object.members() {
            let plain = key.strip_prefix('_').unwrap_or(&key);
            let is_beside = plain.len() != key.len();
            if is_beside && object.get(plain).is_some() {
                continue;
            }
            let Some((kid, form)) = shape.member(plain) else {
                continue;
            };
            let mut found = Children::new();
            let of_type = if kid.is_choice {
                Base::r4()
                    .shape(form)
                    .map_or("", |shape| shape.name.as_str())
            } else {
                ""
            };
            if is_beside {
                spread(None, Some(value), form, of_type, &mut found);
            } else {
                let is_primitive = Base::r4()
                    .shape(form)
                    .is_some_and(|shape| shape.kind == ShapeKind::Primitive);
                let beside = is_primitive.then(|| beside(object, plain)).flatten();
                spread(Some(value), beside, form, of_type, &mut found);
            }
            let inner = path.member(&kid.name).of_type(of_type);
            for child in &found {
                let path = inner.item(child.index);
                if !self.step(&path, child.at.offset()) {
                    return;
                }
                self.element(scope, shape, kid, child, holder, &path);
            }
        }
    }

    fn element(
        &mut self,
        scope: &Scope<'w>,
        owner: &Shape,
        kid: &Kid,
        child: &Child<'w>,
        outer: Holder<'_>,
        path: &Path<'_>,
    ) {
        let at = &child.at;
        let Some(shape) = Base::r4().shape(at.shape) else {
            return;
        };
        if shape.kind == ShapeKind::Resource {
            if let Some(value) = at.value {
                let container = (kid.name == "contained").then_some(scope.resource);
                self.resource(value, path, container, &[]);
            }
            return;
        }
        if !kid.invariants.is_empty() {
            self.invariants(scope, &kid.invariants, at, None, path);
        }
        if !shape.invariants.is_empty() {
            self.invariants(scope, &shape.invariants, at, None, path);
        }
        if let Some(binding) = &kid.binding {
            self.bound(binding, at, None, path);
        }
        let mut holder = Holder {
            owner,
            kid: Some(kid),
            extension: None,
        };
        let url;
        if shape.name == "Extension" {
            url = at
                .value
                .and_then(|value| value.get_str("url"))
                .unwrap_or_default();
            let is_modifier = kid.name == "modifierExtension";
            self.extension(scope, at, &url, is_modifier, outer, path);
            holder.extension = Some(&url);
        }
        self.members(scope, at, holder, path);
    }

    pub(super) fn invariants(
        &mut self,
        scope: &Scope<'w>,
        invariants: &[Arc<Invariant>],
        at: &At<'w>,
        profile: Option<&Profile>,
        path: &Path<'_>,
    ) {
        // Lives as long as the rules, which may be shorter than the resource.
        let resolver = Shorter(self.inside);
        let environment = Environment::new(Item::resource(scope.resource))
            .with_root(Item::resource(scope.root))
            .with_resolver(&resolver)
            .with_terminology(self.terminology);
        for invariant in invariants {
            let verdict = invariant.check(&environment, at.item(), &mut self.rules);
            if self.rules == 0 {
                return self.give_up(path, at.offset());
            }
            match verdict {
                Verdict::Holds => {}
                Verdict::Broken => self.broken(invariant, at, profile, path),
                Verdict::NotChecked(why) => {
                    let what = format!("rule {}, {:?}: {why}", invariant.key(), invariant.human());
                    self.not_checked(what, "check it by eye", path, at.offset());
                }
            }
        }
    }

    #[cold]
    fn broken(
        &mut self,
        invariant: &Invariant,
        at: &At<'w>,
        profile: Option<&Profile>,
        path: &Path<'_>,
    ) {
        let remedy = match invariant.expression() {
            Some(rule) => format!("make it so that {rule}"),
            None => "make it so".to_owned(),
        };
        let finding = Finding {
            severity: match invariant.severity() {
                ConstraintSeverity::Error => Severity::Error,
                ConstraintSeverity::Warning => Severity::Warning,
                ConstraintSeverity::BestPractice => Severity::Information,
            },
            profile: profile.map(|profile| profile.canonical.as_str()),
            ..Finding::error("invariant", invariant.human().to_owned(), remedy).key(invariant.key())
        };
        self.add(finding, path, at.offset());
    }
}
