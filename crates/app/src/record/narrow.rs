//! Searches and histories narrowed to what a role reaches, as a clause of the plan. Must agree with
//! single decisions; `identity` holds both.

use fhir::definitions::TypeId;
use identity::{Interaction, Request, Restriction, search_restriction};
use store::{Clause, Predicate};

use crate::App;
use crate::context::Caller;

fn request<'a>(app: &App, caller: &Caller, interaction: Interaction, ty: TypeId) -> Request<'a> {
    Request::of_type(
        interaction,
        app.definitions().resource_name(ty),
        caller.context.purpose,
        app.now(),
    )
}

/// How far a caller's searches of a type reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Everything may be shown.
    All,
    /// What this clause holds for.
    Within(Clause),
    /// The type may not be searched.
    Nothing,
}

/// The clause that narrows a search of a type; `None` where everything may be shown.
pub(crate) fn clause(app: &App, caller: &Caller, ty: TypeId) -> Option<Clause> {
    match reach(app, caller, ty) {
        Reach::All => None,
        Reach::Within(clause) => Some(clause),
        Reach::Nothing => Some(Clause {
            negated: false,
            any_of: vec![Predicate::Nothing],
        }),
    }
}

/// How far the caller's searches of a type reach.
pub(crate) fn reach(app: &App, caller: &Caller, ty: TypeId) -> Reach {
    let request = request(app, caller, Interaction::Search, ty);
    let mut any_of = Vec::new();
    match search_restriction(&caller.subject, &request) {
        Restriction::Unrestricted { .. } => return Reach::All,
        Restriction::Denied { .. } => return Reach::Nothing,
        Restriction::Narrowed { to, .. } => {
            any_of.extend(
                to.branches
                    .iter()
                    .map(|branch| Predicate::PatientOrganization {
                        organization: branch.organization.clone(),
                        or_none: false,
                    }),
            );
            any_of.extend(
                to.patients
                    .iter()
                    .map(|patient| Predicate::Compartment((*patient).clone())),
            );
        }
    }
    if any_of.is_empty() {
        any_of.push(Predicate::Nothing);
    }
    Reach::Within(Clause {
        negated: false,
        any_of,
    })
}

/// Whether nothing of a type may be seen.
pub(crate) fn is_denied(app: &App, caller: &Caller, interaction: Interaction, ty: TypeId) -> bool {
    let request = request(app, caller, interaction, ty);
    matches!(
        search_restriction(&caller.subject, &request),
        Restriction::Denied { .. }
    )
}

/// Whether an interaction with a type depends on whom a resource is about.
pub(crate) fn is_narrowed(
    app: &App,
    caller: &Caller,
    interaction: Interaction,
    ty: TypeId,
) -> bool {
    let request = request(app, caller, interaction, ty);
    !matches!(
        search_restriction(&caller.subject, &request),
        Restriction::Unrestricted { .. }
    )
}
