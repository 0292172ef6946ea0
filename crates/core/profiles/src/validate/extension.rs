//! Extensions: known ones are checked against their definition and for where they stand, unknown ones are
//! named. One that may change the meaning of what holds it and is not known makes the resource invalid.

use super::elements::At;
use super::path::Path;
use super::walk::{Finding, Holder, Scope, Walk};
use crate::base::Base;
use crate::compile::Profile;
use crate::model::{Context, ContextKind};

impl<'w> Walk<'w> {
    pub(super) fn extension(
        &mut self,
        scope: &Scope<'w>,
        at: &At<'w>,
        url: &str,
        is_modifier: bool,
        holder: Holder<'_>,
        path: &Path<'_>,
    ) {
        if !url.contains(':') && holder.extension.is_some() {
            // A part of the extension around it, whose definition has it.
            return;
        }
        let known = self.library.profile(url).filter(|known| {
            known
                .as_ref()
                .map_or(true, |profile| profile.ty == "Extension")
        });
        match known {
            Some(Ok(profile)) => {
                self.place_of_extension(scope, at, &profile, is_modifier, holder, path);
                self.checked(scope, at, &profile, path);
            }
            Some(Err(error)) => self.unusable(url, &error.to_string(), path, at.offset()),
            None if is_modifier => {
                let finding = Finding::error(
                    "extension",
                    format!(
                        "modifier extension {url:?} is not known, so that what holds it cannot be understood"
                    ),
                    "load the package that defines it, or leave it out",
                );
                self.add(finding, path, at.offset());
            }
            None => {
                let what = format!("extension {url:?} is not known");
                let remedy = "load the package that defines it";
                self.not_checked(what, remedy, path, at.offset());
            }
        }
    }

    fn place_of_extension(
        &mut self,
        scope: &Scope<'w>,
        at: &At<'w>,
        profile: &Profile,
        is_modifier: bool,
        holder: Holder<'_>,
        path: &Path<'_>,
    ) {
        if profile.is_modifier != is_modifier {
            let (is, wanted) = if profile.is_modifier {
                ("changes the meaning of what holds it", "modifierExtension")
            } else {
                ("does not change the meaning of what holds it", "extension")
            };
            let finding = Finding::error(
                "extension",
                format!("extension {} {is}", profile.url),
                format!("put it into {wanted}"),
            );
            self.add(finding, path, at.offset());
        }
        let is_path = |one: &&Context| one.kind == ContextKind::FhirPath;
        if let Some(rule) = profile.contexts.iter().find(is_path) {
            let what = format!(
                "whether extension {} may stand at {}",
                profile.url, rule.expression
            );
            self.not_checked(what, "check it by eye", path, at.offset());
        } else if !profile.contexts.is_empty()
            && !profile
                .contexts
                .iter()
                .any(|context| allows(context, holder))
        {
            let places: Vec<&str> = profile
                .contexts
                .iter()
                .map(|one| one.expression.as_str())
                .take(8)
                .collect();
            let finding = Finding::error(
                "extension",
                format!("extension {} does not belong here", profile.url),
                format!("it belongs to {}", places.join(", ")),
            );
            self.add(finding, path, at.offset());
        }
        if !profile.context_invariants.is_empty() {
            self.invariants(scope, &profile.context_invariants, at, Some(profile), path);
        }
    }
}

/// Whether a context names the holder: its path, its type or what that is made from.
fn allows(context: &Context, holder: Holder<'_>) -> bool {
    let wanted = context.expression.as_str();
    if context.kind == ContextKind::Extension {
        return holder.extension == Some(wanted);
    }
    if wanted == "Element" {
        return true;
    }
    let base = Base::r4();
    if holder.extension.is_some() && wanted == "Extension" {
        return true;
    }
    let Some(kid) = holder.kid else {
        return base.derives(&holder.owner.name, wanted);
    };
    let is_path = wanted
        .strip_suffix("[x]")
        .unwrap_or(wanted)
        .rsplit_once('.')
        .is_some_and(|(owner, name)| {
            name == kid.name
                && (owner == holder.owner.name || base.derives(&holder.owner.name, owner))
        });
    let is_type = || {
        kid.forms.iter().any(|form| {
            base.shape(*form)
                .is_some_and(|shape| shape.name == wanted || base.derives(&shape.name, wanted))
        })
    };
    is_path || is_type()
}
