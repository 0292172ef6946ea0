//! The decision before every use-case, asked of `identity`, and the entry of every refusal. Must not
//! hold rules of its own.

use std::collections::HashMap;

use fhir::definitions::TypeId;
use fhir::json::{Document, Limits};
use identity::{About, Answer, Decision, Interaction, PatientRef, Reason, ReasonCode, Request};
use kernel::LogicalId;
use ledger::leaf::Class;
use store::{Entry, ResourceKey};

use crate::App;
use crate::context::Caller;
use crate::entry::{Refused, refusal_entry};
use crate::error::AppError;
use crate::record::{name_of, prepare};

/// The managing organisations of patients that are being written in the same unit.
pub(crate) type Organizations = HashMap<LogicalId, Option<LogicalId>>;

/// What somebody wants to do.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub interaction: Interaction,
    pub ty: Option<TypeId>,
    pub key: Option<&'a ResourceKey>,
    /// Whom the resource is about; `None` asks about the type, or an operation.
    pub patients: Option<&'a [LogicalId]>,
    /// Patients whose organisation is known already.
    pub known: Option<&'a Organizations>,
    /// Answer a refusal as if nothing were there.
    pub hide: bool,
}

impl<'a> Ask<'a> {
    /// An operation.
    pub(crate) fn operation(interaction: Interaction) -> Self {
        Self {
            interaction,
            ty: None,
            key: None,
            patients: None,
            known: None,
            hide: false,
        }
    }

    /// A type, before anything is loaded.
    pub(crate) fn of_type(interaction: Interaction, ty: TypeId) -> Self {
        Self {
            ty: Some(ty),
            ..Self::operation(interaction)
        }
    }

    /// One resource.
    pub(crate) fn record(
        interaction: Interaction,
        key: &'a ResourceKey,
        patients: &'a [LogicalId],
    ) -> Self {
        Self {
            ty: Some(key.ty),
            key: Some(key),
            patients: Some(patients),
            ..Self::operation(interaction)
        }
    }
}

/// A decision that allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed {
    reason: Reason,
}

impl Allowed {
    /// Whether it reaches some patients only: what is shown or taken is to be narrowed to them.
    pub(crate) fn is_narrowed(&self) -> bool {
        self.reason.kind() == ReasonCode::Narrowed
    }

    /// Whether somebody else must look at what is done with it.
    pub(crate) fn must_be_reviewed(&self) -> bool {
        self.reason.must_be_reviewed()
    }

    /// Writes into an entry what the decision rests on.
    pub(crate) fn mark(&self, entry: &mut Entry) {
        entry.prior = self.reason.prior();
        if let Some(purpose) = self.reason.purpose() {
            entry.payload.purpose = purpose;
        }
        if self.reason.must_be_reviewed() {
            entry.reason = Some(self.reason.code().to_owned());
        }
    }
}

/// Asks. A refusal is in the access ledger before it is answered.
pub(crate) async fn authorise(
    app: &App,
    caller: &Caller,
    ask: &Ask<'_>,
) -> Result<Allowed, AppError> {
    match decide(app, caller, ask).await? {
        Decision::Allow { reason } => Ok(Allowed { reason }),
        Decision::Deny { reason, answer } => {
            let sentence = reason.sentence();
            let entry = refusal_entry(
                app,
                caller,
                &Refused {
                    class: class_of(ask.interaction),
                    key: ask.key,
                    type_name: ask.ty.map(|ty| app.definitions().resource_name(ty)),
                    patient: only(ask.patients),
                    code: reason.code(),
                    sentence: &sentence,
                },
            );
            app.store()
                .record_access(&caller.scope, vec![entry])
                .await?;
            Err(refusal(ask, &reason, answer, sentence))
        }
    }
}

/// Whether it would be allowed, for leaving things out of an answer. Records nothing: what is left out
/// is not looked at.
pub(crate) async fn would_allow(
    app: &App,
    caller: &Caller,
    ask: &Ask<'_>,
) -> Result<bool, AppError> {
    let decision = decide(app, caller, ask).await?;
    Ok(matches!(decision, Decision::Allow { .. }))
}

async fn decide(app: &App, caller: &Caller, ask: &Ask<'_>) -> Result<Decision, AppError> {
    let name = ask.ty.map(|ty| app.definitions().resource_name(ty));
    let request = Request {
        interaction: ask.interaction,
        resource_type: name,
        about: About::Type,
        purpose: caller.context.purpose,
        now: app.now(),
    };
    Ok(match ask.patients {
        None => identity::decide(&caller.subject, &request),
        Some(patients) => {
            let needed =
                name.is_some_and(|name| caller.subject.needs_organizations(ask.interaction, name));
            let organizations = if needed {
                organizations(app, caller, patients, ask.known).await?
            } else {
                vec![None; patients.len()]
            };
            let refs: Vec<PatientRef<'_>> = patients
                .iter()
                .zip(&organizations)
                .map(|(id, organization)| PatientRef {
                    id,
                    organization: organization.as_ref(),
                })
                .collect();
            identity::decide(&caller.subject, &request.about(&refs))
        }
    })
}

fn only(patients: Option<&[LogicalId]>) -> Option<&LogicalId> {
    match patients {
        Some([only]) => Some(only),
        _ => None,
    }
}

fn refusal(ask: &Ask<'_>, reason: &Reason, answer: Answer, sentence: String) -> AppError {
    let by_reach = matches!(
        reason.kind(),
        ReasonCode::OutOfReach | ReasonCode::NoPatient
    );
    match (answer, ask.key) {
        (Answer::NotFound, Some(key)) => AppError::not_found(name_of(key)),
        (_, Some(key)) if ask.hide && by_reach => AppError::not_found(name_of(key)),
        (Answer::NotFound, None) => AppError::not_found("resource"),
        (Answer::Forbidden, _) => AppError::Denied {
            reason: sentence,
            code: reason.code().to_owned(),
        },
    }
}

/// The managing organisation of each patient, as stored now or as it will be.
async fn organizations(
    app: &App,
    caller: &Caller,
    patients: &[LogicalId],
    known: Option<&Organizations>,
) -> Result<Vec<Option<LogicalId>>, AppError> {
    let mut found = Vec::with_capacity(patients.len());
    for patient in patients {
        let organization = match known.and_then(|known| known.get(patient)) {
            Some(organization) => organization.clone(),
            None => organization(app, caller, patient).await?,
        };
        found.push(organization);
    }
    Ok(found)
}

async fn organization(
    app: &App,
    caller: &Caller,
    patient: &LogicalId,
) -> Result<Option<LogicalId>, AppError> {
    let key = app.patient_key(patient);
    let heads = app
        .store()
        .heads(&caller.scope, std::slice::from_ref(&key))
        .await?;
    let Some(head) = heads.into_iter().next().flatten() else {
        return Ok(None);
    };
    let place = (caller.scope.tenant(), head.version_row);
    if let Some(cached) = app.caches().organizations.get(&place) {
        return Ok(cached);
    }
    let Some(version) = app.store().read(&caller.scope, &key).await? else {
        return Ok(None);
    };
    let organization = match &version.body {
        None => None,
        Some(body) => {
            let document = Document::parse(body.to_vec(), &Limits::default())?;
            prepare::organization_of(document.root())
        }
    };
    let place = (caller.scope.tenant(), version.version_row);
    app.caches()
        .organizations
        .insert(place, organization.clone());
    Ok(organization)
}

fn class_of(interaction: Interaction) -> Class {
    match interaction {
        Interaction::Read => Class::Read,
        Interaction::Search => Class::Search,
        Interaction::History => Class::History,
        Interaction::Create => Class::Create,
        Interaction::Update | Interaction::Merge => Class::Update,
        Interaction::Delete => Class::Delete,
        Interaction::ManageOwnAccount | Interaction::ManageUsers => Class::User,
        Interaction::BreakGlass => Class::BreakGlass,
        Interaction::ReviewBreakGlass => Class::BreakGlassReview,
        Interaction::ManageBranches => Class::Branch,
        Interaction::ManageClients => Class::Client,
        Interaction::ManageTenants | Interaction::GrantSupport => Class::Tenant,
        Interaction::ViewAudit | Interaction::ExportAudit | Interaction::VerifyLedger => {
            Class::AuditRead
        }
        Interaction::Erase => Class::Erase,
        Interaction::Export => Class::Export,
        Interaction::Import => Class::Import,
        Interaction::Backup => Class::Backup,
        Interaction::ManageSettings | Interaction::ViewHealth => Class::Config,
        Interaction::RunJobs => Class::Job,
        Interaction::OrderMedicines | Interaction::ApproveOrders => Class::Supply,
    }
}
