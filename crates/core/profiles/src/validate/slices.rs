//! Slices: which repetition belongs to which, and what that asks (FHIR R4, profiling, section 5.1.0.7).

use fhir::json::{Kind, Value};
use fhir::terminology::Answer;
use smallvec::SmallVec;

use super::binding;
use super::elements::{At, Child, Children};
use super::matching;
use super::path::Path;
use super::walk::{Finding, Scope, Walk};
use crate::base::Base;
use crate::compile::{Check, Criterion, Match, Profile, SlicingCheck, Step, Term};
use crate::model::SlicingRules;

/// What to do about items whose slice is not known.
const TELL_APART: &str = "load the value sets and profiles that tell slices apart";

/// A value at a discriminator's path, with its type where the path knows it.
type Found<'w> = (Value<'w>, &'static str);

/// Whether something belongs to a slice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Belongs {
    Yes,
    No,
    /// A code or profile that is not known here decides.
    Unknown,
}

impl<'w> Walk<'w> {
    #[expect(
        clippy::too_many_arguments,
        reason = "the place of a list is many things; only one caller"
    )]
    pub(super) fn slices(
        &mut self,
        scope: &Scope<'w>,
        profile: &Profile,
        check: &Check,
        slicing: &SlicingCheck,
        children: &[Child<'w>],
        owner: &At<'w>,
        path: &Path<'_>,
    ) {
        let mut members: Vec<Children<'w>> =
            slicing.slices.iter().map(|_| Children::new()).collect();
        let mut maybe = vec![0_usize; slicing.slices.len()];
        let mut last = 0;
        let mut outsider: Option<&Child<'w>> = None;
        for child in children {
            let inner = path
                .member(&check.name)
                .of_type(child.of_type)
                .item(child.index);
            let mut is_unknown = false;
            let mut place = None;
            for (at, slice) in slicing.slices.iter().enumerate() {
                match self.belongs(scope, slicing, &slice.criteria, &child.at, &inner) {
                    Belongs::Yes => {
                        place = Some(at);
                        break;
                    }
                    Belongs::Unknown => {
                        is_unknown = true;
                        if let Some(maybe) = maybe.get_mut(at) {
                            *maybe += 1;
                        }
                    }
                    Belongs::No => {}
                }
            }
            let Some(place) = place else {
                if is_unknown {
                    let what = format!("which slice of {} this is", check.id);
                    self.not_checked(what, TELL_APART, &inner, child.at.offset());
                    continue;
                }
                if slicing.rules == SlicingRules::Closed {
                    self.stray(profile, check, slicing, child, &inner);
                }
                outsider = outsider.or(Some(child));
                continue;
            };
            self.in_order(
                profile,
                check,
                slicing,
                (place, last),
                outsider,
                child,
                &inner,
            );
            last = last.max(place);
            if let Some(members) = members.get_mut(place) {
                members.push(*child);
            }
        }
        let counted = members.iter().zip(maybe);
        for (slice, (members, maybe)) in slicing.slices.iter().zip(counted) {
            if let Some(check) = slice.check.and_then(|at| profile.check(at)) {
                self.slice(scope, profile, check, (members, maybe), owner, path);
            }
        }
    }

    /// Checks what belongs to a slice; `maybe` more may belong to it.
    fn slice(
        &mut self,
        scope: &Scope<'w>,
        profile: &Profile,
        check: &Check,
        (members, maybe): (&Children<'w>, usize),
        owner: &At<'w>,
        path: &Path<'_>,
    ) {
        let wanted = check.min as usize;
        if members.len() < wanted && wanted <= members.len().saturating_add(maybe) {
            // What is missing may be among what cannot be told.
            let what = format!("whether what {} asks for is there", check.id);
            self.not_checked(what, TELL_APART, path, owner.offset());
            self.each(scope, profile, check, members, owner, path);
        } else {
            self.list(scope, profile, check, members, owner, path);
        }
    }

    #[cold]
    fn stray(
        &mut self,
        profile: &Profile,
        check: &Check,
        slicing: &SlicingCheck,
        child: &Child<'w>,
        path: &Path<'_>,
    ) {
        let names: Vec<&str> = slicing
            .slices
            .iter()
            .map(|slice| slice.name.as_str())
            .take(12)
            .collect();
        let finding = Finding::error(
            "structure",
            format!(
                "{} is none of the slices, and there may be no others",
                check.name
            ),
            format!("make it one of {}", names.join(", ")),
        );
        self.add(finding.by(profile, &check.id), path, child.at.offset());
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the place of a list is many things; only one caller"
    )]
    fn in_order(
        &mut self,
        profile: &Profile,
        check: &Check,
        slicing: &SlicingCheck,
        (place, last): (usize, usize),
        outsider: Option<&Child<'w>>,
        child: &Child<'w>,
        path: &Path<'_>,
    ) {
        let name = slicing
            .slices
            .get(place)
            .map_or("", |slice| slice.name.as_str());
        if slicing.ordered && place < last {
            let finding = Finding::error(
                "structure",
                format!("slice {name} of {} comes too late", check.name),
                "put the slices in the order of the profile",
            );
            self.add(finding.by(profile, &check.id), path, child.at.offset());
        }
        if slicing.rules == SlicingRules::OpenAtEnd && outsider.is_some() {
            let finding = Finding::error(
                "structure",
                format!("slice {name} of {} comes behind others", check.name),
                "put what is in no slice at the end",
            );
            self.add(finding.by(profile, &check.id), path, child.at.offset());
        }
    }

    fn belongs(
        &mut self,
        scope: &Scope<'w>,
        slicing: &SlicingCheck,
        criteria: &[Option<Criterion>],
        at: &At<'w>,
        path: &Path<'_>,
    ) -> Belongs {
        let mut belongs = None;
        for ((_, steps), criterion) in slicing.discriminators.iter().zip(criteria) {
            let Some(criterion) = criterion else {
                continue;
            };
            match self.fulfils(scope, criterion, steps, at, path) {
                Belongs::No => return Belongs::No,
                Belongs::Unknown => belongs = Some(Belongs::Unknown),
                Belongs::Yes => belongs = belongs.or(Some(Belongs::Yes)),
            }
        }
        // A slice that says nothing about what tells it apart is found by nothing.
        belongs.unwrap_or(Belongs::Unknown)
    }

    fn fulfils(
        &mut self,
        scope: &Scope<'w>,
        criterion: &Criterion,
        steps: &[Step],
        at: &At<'w>,
        path: &Path<'_>,
    ) -> Belongs {
        let resolved = steps.last() == Some(&Step::Resolve);
        let mut found: SmallVec<[Found<'w>; 4]> = SmallVec::new();
        let Some(value) = at.value else {
            return match criterion {
                Criterion::Types(types) if steps.is_empty() => yes(is_one(at.type_name(), types)),
                Criterion::Exists(wanted) => yes(!*wanted),
                _ => Belongs::No,
            };
        };
        self.follow(scope, (value, at.type_name()), steps, &mut found);
        match criterion {
            Criterion::Exists(wanted) => yes(found.is_empty() != *wanted),
            Criterion::Types(types) if resolved && found.is_empty() => {
                self.type_of_reference(scope, at, steps, types)
            }
            Criterion::Types(types) => yes(found.iter().any(|(_, ty)| is_one(ty, types))),
            Criterion::Values(_) | Criterion::Profiles(_) if resolved && found.is_empty() => {
                Belongs::Unknown
            }
            Criterion::Values(terms) => any(found
                .iter()
                .map(|one| all(terms.iter().map(|term| self.term(scope, term, *one))))),
            Criterion::Profiles(profiles) => {
                let mut answer = Belongs::No;
                for (value, ty) in found {
                    let Some(shape) = Base::r4().place(ty) else {
                        continue;
                    };
                    let at = At {
                        value: Some(value),
                        beside: None,
                        shape,
                    };
                    for profile in profiles {
                        match self.quietly(scope, &at, profile, path) {
                            Some(Ok(())) => return Belongs::Yes,
                            Some(Err(_)) => {}
                            None => answer = Belongs::Unknown,
                        }
                    }
                }
                answer
            }
        }
    }

    fn term(&self, scope: &Scope<'w>, term: &Term, from: Found<'w>) -> Belongs {
        let mut found: SmallVec<[Found<'w>; 4]> = SmallVec::new();
        self.follow(scope, from, &term.path, &mut found);
        any(found.iter().map(|(value, ty)| match &term.is {
            Match::Fixed(wanted) => yes(matching::same(*value, wanted.root())),
            Match::Pattern(wanted) => yes(matching::holds(*value, wanted.root())),
            Match::ValueSet(set) => match binding::member_of(self.terminology, set, *value, ty) {
                Some(Answer::Yes) => Belongs::Yes,
                Some(Answer::Unknown) => Belongs::Unknown,
                Some(Answer::No) | None => Belongs::No,
            },
        }))
    }

    /// What is at the end of a path.
    fn follow(
        &self,
        scope: &Scope<'w>,
        from: Found<'w>,
        steps: &[Step],
        into: &mut SmallVec<[Found<'w>; 4]>,
    ) {
        let Some((step, rest)) = steps.split_first() else {
            into.push(from);
            return;
        };
        let (value, ty) = from;
        match step {
            Step::Member(name) => {
                let Some(shape) = Base::r4().place(ty) else {
                    return;
                };
                let at = At {
                    value: Some(value),
                    beside: None,
                    shape,
                };
                let is_choice = at
                    .own_shape()
                    .and_then(|shape| shape.kid(name))
                    .is_some_and(|kid| kid.is_choice);
                for child in at.children(name, is_choice) {
                    if let Some(value) = child.at.value {
                        self.follow(scope, (value, child.at.type_name()), rest, into);
                    }
                }
            }
            Step::Extension(url) => {
                let extensions = value.get("extension").into_iter().flat_map(Value::items);
                for one in extensions.filter(|one| one.get_str("url").as_deref() == Some(url)) {
                    self.follow(scope, (one, "Extension"), rest, into);
                }
            }
            Step::OfType(wanted) => {
                if Base::r4().derives(ty, wanted) {
                    self.follow(scope, from, rest, into);
                }
            }
            Step::Resolve => {
                let reference = match value.kind() {
                    Kind::Object => value.get_str("reference"),
                    _ => value.as_str(),
                };
                let target = reference.and_then(|text| self.inside.find(scope.root, &text));
                if let Some(target) = target {
                    let ty = target.get_str("resourceType");
                    let ty = ty.and_then(|ty| Base::r4().named(&ty));
                    self.follow(scope, (target, ty.map_or("", |ty| &ty.name)), rest, into);
                }
            }
        }
    }

    /// The type a reference says, where its target is not here.
    fn type_of_reference(
        &self,
        scope: &Scope<'w>,
        at: &At<'w>,
        steps: &[Step],
        types: &[String],
    ) -> Belongs {
        let (Some(value), Some((_, before))) = (at.value, steps.split_last()) else {
            return Belongs::No;
        };
        let mut found: SmallVec<[Found<'w>; 4]> = SmallVec::new();
        self.follow(scope, (value, at.type_name()), before, &mut found);
        let mut answer = Belongs::No;
        for (reference, _) in found {
            match super::reference::type_said(reference) {
                Some(ty) if is_one(ty, types) => return Belongs::Yes,
                Some(_) => {}
                None => answer = Belongs::Unknown,
            }
        }
        answer
    }
}

fn is_one(ty: &str, types: &[String]) -> bool {
    types.iter().any(|one| Base::r4().derives(ty, one))
}

fn yes(holds: bool) -> Belongs {
    if holds { Belongs::Yes } else { Belongs::No }
}

fn any(answers: impl Iterator<Item = Belongs>) -> Belongs {
    let mut found = Belongs::No;
    for answer in answers {
        match answer {
            Belongs::Yes => return Belongs::Yes,
            Belongs::Unknown => found = Belongs::Unknown,
            Belongs::No => {}
        }
    }
    found
}

fn all(answers: impl Iterator<Item = Belongs>) -> Belongs {
    let mut found = Belongs::Yes;
    for answer in answers {
        match answer {
            Belongs::No => return Belongs::No,
            Belongs::Unknown => found = Belongs::Unknown,
            Belongs::Yes => {}
        }
    }
    found
}
