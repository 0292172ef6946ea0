//! The walk by a profile: what its checks ask of elements. Must not ask what R4 asks.

use std::sync::Arc;

use fhir::json::{Kind, Value};

use super::elements::{At, Child};
use super::matching;
use super::path::Path;
use super::report::Issue;
use super::walk::{Finding, Scope, Walk};
use crate::base::Base;
use crate::compile::{Check, Profile, ValueLimits};
use crate::model::{Literal, UNBOUNDED};
use crate::source::{CORE, split};

impl<'w> Walk<'w> {
    /// Checks a value against the profile of a canonical. `asked` says that the caller named it.
    pub(super) fn conforms(
        &mut self,
        scope: &Scope<'w>,
        at: &At<'w>,
        canonical: &str,
        asked: bool,
        path: &Path<'_>,
    ) {
        match self.library.profile(canonical) {
            Some(Ok(profile)) => {
                let ty = at.type_name();
                if Base::r4().derives(ty, &profile.ty) {
                    self.checked(scope, at, &profile, path);
                } else {
                    let finding = Finding::error(
                        "structure",
                        format!("profile {canonical} is on {}, this is a {ty}", profile.ty),
                        "name a profile on its type",
                    );
                    self.add(finding, path, at.offset());
                }
            }
            Some(Err(error)) => self.unusable(canonical, &error.to_string(), path, at.offset()),
            None if asked => {
                let shown: String = canonical.chars().take(200).collect();
                let finding = Finding::error(
                    "not-found",
                    format!("profile {shown:?} is not known"),
                    "load the package that defines it, or store its StructureDefinition",
                );
                self.add(finding, path, at.offset());
            }
            None => {
                let shown: String = canonical.chars().take(200).collect();
                let remedy = "load the package that defines it, or store its StructureDefinition";
                self.not_checked(
                    format!("profile {shown:?} is not known"),
                    remedy,
                    path,
                    at.offset(),
                );
            }
        }
    }

    /// Says that a definition is there but cannot be used.
    pub(super) fn unusable(&mut self, canonical: &str, why: &str, path: &Path<'_>, offset: usize) {
        let what = format!("profile {canonical} cannot be used: {why}");
        self.not_checked(what, "mend the definition", path, offset);
    }

    /// Checks a value against a profile on its type, once.
    pub(super) fn checked(
        &mut self,
        scope: &Scope<'w>,
        at: &At<'w>,
        profile: &Arc<Profile>,
        path: &Path<'_>,
    ) {
        let Some(root) = profile.root() else {
            return;
        };
        let place = (Arc::as_ptr(profile), at.offset());
        if !self.visited.insert(place) {
            return;
        }
        if self.nested >= self.limits.depth {
            let what = format!(
                "profile {}, being too deep inside others",
                profile.canonical
            );
            return self.not_checked(what, "validate the parts one by one", path, at.offset());
        }
        self.nested += 1;
        self.value(scope, profile, root, at, path);
        self.nested -= 1;
    }

    /// Whether a value conforms to a profile, without telling; none where the profile is not known or the
    /// answer was not found for its cost. What is wrong first comes with a no.
    pub(super) fn quietly(
        &mut self,
        scope: &Scope<'w>,
        at: &At<'w>,
        canonical: &str,
        path: &Path<'_>,
    ) -> Option<Result<(), String>> {
        let profile = self.library.profile(canonical)?.ok()?;
        if !Base::r4().derives(at.type_name(), &profile.ty) {
            return Some(Err(format!("it is not a {}", profile.ty)));
        }
        if self.nested >= self.limits.depth {
            return None;
        }
        // What is found out quietly is to be told when it is asked for aloud.
        let issues = core::mem::take(&mut self.issues);
        let visited = core::mem::take(&mut self.visited);
        let unchecked = core::mem::take(&mut self.unchecked);
        let more = self.more;
        self.checked(scope, at, &profile, path);
        let found = core::mem::replace(&mut self.issues, issues);
        self.visited = visited;
        self.unchecked = unchecked;
        self.more = more;
        if self.is_given_up() {
            return None;
        }
        let error = found.iter().find(|issue| issue.is_error());
        Some(error.map_or(Ok(()), |issue: &Issue| {
            Err(format!("{}: {}", issue.expression, issue.message))
        }))
    }

    /// Checks one value of an element.
    pub(super) fn value(
        &mut self,
        scope: &Scope<'w>,
        profile: &Profile,
        check: &Check,
        at: &At<'w>,
        path: &Path<'_>,
    ) {
        if !self.step(path, at.offset()) {
            return;
        }
        if path.depth() > 200 {
            return self.give_up(path, at.offset());
        }
        self.literals(profile, check, at, path);
        if let Some(limits) = &check.limits {
            self.limits(profile, check, limits, at, path);
        }
        if let Some(binding) = &check.binding {
            self.bound(binding, at, Some((profile, &check.id)), path);
        }
        if !check.invariants.is_empty() {
            self.invariants(scope, &check.invariants, at, Some(profile), path);
        }
        if !check.profiles.is_empty() {
            self.type_profiles(scope, profile, check, at, path);
        }
        if let Some(targets) = &check.targets {
            self.targets(scope, profile, check, targets, at, path);
        }
        for kid in &check.kids {
            let Some(kid) = profile.check(*kid) else {
                continue;
            };
            let children = at.children(&kid.name, kid.is_choice);
            self.list(scope, profile, kid, &children, at, path);
        }
    }

    /// Checks all values of an element of `owner`.
    pub(super) fn list(
        &mut self,
        scope: &Scope<'w>,
        profile: &Profile,
        check: &Check,
        children: &[Child<'w>],
        owner: &At<'w>,
        path: &Path<'_>,
    ) {
        self.count(profile, check, children, owner, path);
        self.each(scope, profile, check, children, owner, path);
    }

    /// Checks all values of an element of `owner`, however many there are.
    pub(super) fn each(
        &mut self,
        scope: &Scope<'w>,
        profile: &Profile,
        check: &Check,
        children: &[Child<'w>],
        owner: &At<'w>,
        path: &Path<'_>,
    ) {
        for child in children {
            let inner = path
                .member(&check.name)
                .of_type(child.of_type)
                .item(child.index);
            if let Some(types) = &check.types {
                let ty = child.at.type_name();
                let is_one = types.iter().any(|one| Base::r4().derives(ty, one));
                if !is_one {
                    let finding = Finding::error(
                        "structure",
                        format!("{} is a {ty} here", check.name),
                        format!("send {}", types.join(" or ")),
                    );
                    self.add(finding.by(profile, &check.id), &inner, child.at.offset());
                    continue;
                }
            }
            self.value(scope, profile, check, &child.at, &inner);
        }
        if let Some(slicing) = &check.slicing {
            self.slices(scope, profile, check, slicing, children, owner, path);
        }
    }

    fn count(
        &mut self,
        profile: &Profile,
        check: &Check,
        children: &[Child<'w>],
        owner: &At<'w>,
        path: &Path<'_>,
    ) {
        let count = children.len();
        let slice = check
            .id
            .rsplit_once(':')
            .filter(|(_, name)| !name.contains('.'));
        let name = match slice {
            Some((_, slice)) => format!("{} (slice {slice})", check.name),
            None if (check.min as usize) <= count && count <= check.max as usize => return,
            None => check.name.clone(),
        };
        let path = path.member(&check.name);
        if count < check.min as usize {
            let finding = Finding::error(
                "required",
                format!(
                    "{name} is required at least {} times, there are {count}",
                    check.min
                ),
                "add what is missing",
            );
            self.add(finding.by(profile, &check.id), &path, owner.offset());
        }
        if check.max != UNBOUNDED && count > check.max as usize {
            let finding = match check.max {
                0 => Finding::error("structure", format!("{name} is not used here"), "remove it"),
                max => Finding::error(
                    "structure",
                    format!("{name} may stand at most {max} times, there are {count}"),
                    "remove what is too much",
                ),
            };
            let offset = children
                .first()
                .map_or(owner.offset(), |child| child.at.offset());
            self.add(finding.by(profile, &check.id), &path, offset);
        }
    }

    fn literals(&mut self, profile: &Profile, check: &Check, at: &At<'w>, path: &Path<'_>) {
        let shown = |wanted: Value<'_>| {
            let text = String::from_utf8_lossy(wanted.raw());
            let short: String = text.chars().take(200).collect();
            short
        };
        if let Some(fixed) = &check.fixed {
            let wanted = fixed.root();
            if !at.value.is_some_and(|value| matching::same(value, wanted)) {
                let finding = Finding::error(
                    "value",
                    format!("{} has a fixed value", check.name),
                    format!("send {}", shown(wanted)),
                );
                self.add(finding.by(profile, &check.id), path, at.offset());
            }
        }
        if let Some(pattern) = &check.pattern {
            let wanted = pattern.root();
            if !at.value.is_some_and(|value| matching::holds(value, wanted)) {
                let finding = Finding::error(
                    "value",
                    format!("{} does not hold the pattern", check.name),
                    format!("send at least {}", shown(wanted)),
                );
                self.add(finding.by(profile, &check.id), path, at.offset());
            }
        }
    }

    fn limits(
        &mut self,
        profile: &Profile,
        check: &Check,
        limits: &ValueLimits,
        at: &At<'w>,
        path: &Path<'_>,
    ) {
        let Some(value) = at.value else {
            return;
        };
        let mut wrong = |code: &'static str, message: String, remedy: String| {
            let finding = Finding::error(code, message, remedy).by(profile, &check.id);
            self.add(finding, path, at.offset());
        };
        let name = &check.name;
        if let (Some(max), Some(text)) = (limits.max_length, value.as_str()) {
            let length = text.chars().count();
            if length > max as usize {
                wrong(
                    "too-long",
                    format!("{name} has {length} characters, at most {max} are taken"),
                    "shorten it".to_owned(),
                );
            }
        }
        if let (Some(regex), Some(text)) = (&limits.regex, value.as_str())
            && !regex.is_match(&text)
        {
            wrong(
                "value",
                format!("{name} does not have the form asked for"),
                format!("make it match {}", regex.as_str()),
            );
        }
        for (limit, is_min) in [(&limits.min, true), (&limits.max, false)] {
            let Some(limit) = limit else {
                continue;
            };
            if outside(value, limit, is_min) {
                let word = if is_min { "smallest" } else { "largest" };
                wrong(
                    "value",
                    format!("{name} is beyond the {word} value"),
                    format!("the {word} is {}", limit.json),
                );
            }
        }
    }

    fn type_profiles(
        &mut self,
        scope: &Scope<'w>,
        profile: &Profile,
        check: &Check,
        at: &At<'w>,
        path: &Path<'_>,
    ) {
        let ty = at.type_name();
        let found = check.profiles.iter().find(|(code, _)| code == ty);
        let found = found.or_else(|| {
            check
                .profiles
                .iter()
                .find(|(code, _)| Base::r4().derives(ty, code))
        });
        let Some((_, wanted)) = found else {
            return;
        };
        if let [only] = wanted.as_slice() {
            if split(only).0 != format!("{CORE}{ty}") {
                self.conforms(scope, at, only, false, path);
            }
            return;
        }
        let mut unknown = None;
        for one in wanted {
            match self.quietly(scope, at, one, path) {
                Some(Ok(())) => return,
                Some(Err(_)) => {}
                None => unknown = Some(one),
            }
        }
        if let Some(unknown) = unknown {
            let what = format!("profile {unknown} is not known, or is too deep inside others");
            return self.not_checked(what, "load the package that defines it", path, at.offset());
        }
        let finding = Finding::error(
            "structure",
            format!("{} conforms to none of the profiles asked for", check.name),
            format!("conform to one of {}", wanted.join(", ")),
        );
        self.add(finding.by(profile, &check.id), path, at.offset());
    }
}

/// Whether a value lies beyond a limit. Dates and times are compared as far as both are written; values
/// that cannot be compared are not beyond.
fn outside(value: Value<'_>, limit: &Literal, is_min: bool) -> bool {
    use core::cmp::Ordering;
    let number = |value: Value<'_>| -> Option<f64> {
        let value = if value.kind() == Kind::Object {
            value.get("value")?
        } else {
            value
        };
        value.number_text()?.parse().ok()
    };
    let Ok(limit) = fhir::json::Document::parse(
        limit.json.clone().into_bytes(),
        &fhir::json::Limits::default(),
    ) else {
        return false;
    };
    let limit = limit.root();
    let order = match (number(value), number(limit)) {
        (Some(value), Some(limit)) => value.partial_cmp(&limit),
        _ => match (value.as_str(), limit.as_str()) {
            (Some(value), Some(limit)) => {
                let shared = value.len().min(limit.len());
                Some(value.get(..shared).cmp(&limit.get(..shared)))
            }
            _ => None,
        },
    };
    match order {
        Some(Ordering::Less) => is_min,
        Some(Ordering::Greater) => !is_min,
        _ => false,
    }
}
