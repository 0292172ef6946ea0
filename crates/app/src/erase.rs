//! Erasure: a patient's key is destroyed, and with it every copy of what it sealed. The ledger stays
//! sound and says that it happened. What is about several patients, or only mentions one, is not sealed
//! under the patient's key and stays readable: it is listed, so that somebody can deal with it.

use std::collections::BTreeSet;

use fhir::definitions::TypeId;
use fhir::search::{Modifier, ParamKind, SearchParam};
use identity::Interaction;
use kernel::LogicalId;
use ledger::leaf::Class;
use store::{Clause, Log, Predicate, ResourceKey, SearchPlan, Sort, SortKey, StoredVersion, Total};

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::record::name_of;

/// What an erasure did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// How many resources can no longer be read.
    pub resources: u64,
    /// `Type/id` of the resources that still mention the patient, in order.
    pub shared: Vec<String>,
}

/// What an erasure would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// How many current resources would no longer be readable.
    pub resources: u64,
    /// `Type/id` of the resources that would still mention the patient, in order: those about several
    /// patients, and those that refer to the patient without being about anybody or about somebody else.
    pub shared: Vec<String>,
}

/// Refuses a reason that is no code.
pub fn check_reason(reason: &str) -> Result<(), AppError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&reason.len()) && reason.bytes().all(allowed) {
        return Ok(());
    }
    Err(AppError::Invalid(
        "the reason is not a code: use 1 to 64 letters, digits, '.', '_' or '-'".to_owned(),
    ))
}

/// Erases a patient. `reason` is a code, 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
pub async fn erase(
    app: &App,
    caller: &Caller,
    patient: &LogicalId,
    reason: &str,
) -> Result<Erased, AppError> {
    authorise(app, caller, &Ask::operation(Interaction::Erase)).await?;
    check_reason(reason)?;
    let (key, version) = head(app, caller, patient).await?;
    let shared = find(app, caller, patient).await?.shared;
    let mut entry = house_entry(app, caller, Log::Changes, Class::Erase, "erase", None);
    entry.subject = Some(patient.clone());
    entry.object = Some((key, Some(version)));
    entry.reason = Some(reason.to_owned());
    entry.payload.outcome_text = left(&shared);
    crate::bulk::announce_erasure(app, &caller.scope, patient).await?;
    crate::cds_hooks::erasure::forget(app, caller, patient).await?;
    let resources = app.store().erase(&caller.scope, patient, entry).await?;
    app.caches().patients.invalidate_all();
    crate::bulk::after_erasure(app, &caller.scope, patient).await?;
    crate::cds_hooks::erasure::forget(app, caller, patient).await?;
    Ok(Erased { resources, shared })
}

/// Says what an erasure would do, without doing it.
pub async fn preview(app: &App, caller: &Caller, patient: &LogicalId) -> Result<Preview, AppError> {
    authorise(app, caller, &Ask::operation(Interaction::Erase)).await?;
    let (key, version) = head(app, caller, patient).await?;
    let preview = find(app, caller, patient).await?;
    let mut entry = house_entry(
        app,
        caller,
        Log::Access,
        Class::Search,
        "erase-preview",
        None,
    );
    entry.subject = Some(patient.clone());
    entry.object = Some((key, Some(version)));
    entry.payload.patient = Some(patient.as_str().to_owned());
    app.store()
        .record_access(&caller.scope, vec![entry])
        .await?;
    Ok(preview)
}

/// The sentence of the entry.
fn left(shared: &[String]) -> Option<String> {
    const NAMED: usize = 10;
    if shared.is_empty() {
        return None;
    }
    let named: Vec<&str> = shared.iter().take(NAMED).map(String::as_str).collect();
    let more = if shared.len() > NAMED { ", ..." } else { "" };
    Some(format!(
        "{} shared resources still mention this patient: {}{more}",
        shared.len(),
        named.join(", ")
    ))
}

async fn head(
    app: &App,
    caller: &Caller,
    patient: &LogicalId,
) -> Result<(ResourceKey, kernel::VersionId), AppError> {
    let key = app.patient_key(patient);
    let heads = app
        .store()
        .heads(&caller.scope, std::slice::from_ref(&key))
        .await?;
    match heads.into_iter().next().flatten() {
        Some(head) => Ok((key, head.version)),
        None => Err(AppError::not_found(name_of(&key))),
    }
}

/// Everything that is current and refers to a patient, by every search parameter that can.
async fn find(app: &App, caller: &Caller, patient: &LogicalId) -> Result<Preview, AppError> {
    let definitions = app.definitions();
    let mut own = 0;
    let mut shared = BTreeSet::new();
    for ty in definitions.resource_types() {
        let mut any_of = vec![Predicate::Compartment(patient.clone())];
        let value = format!("Patient/{}", patient.as_str());
        for param in definitions.search_params(ty) {
            let targets = param.targets;
            let reaches = targets.is_empty() || targets.iter().any(|ty| app.is_patient(*ty));
            if param.kind == ParamKind::Reference && reaches && !param.compartment {
                any_of.extend(mentions(app, param, &value)?);
            }
        }
        let mut visit = |version: &StoredVersion| -> Result<(), AppError> {
            match &*app.patients_of(caller, version)? {
                [only] if only == patient => own += 1,
                _ => drop(shared.insert(name_of(&version.key))),
            }
            Ok(())
        };
        each(app, caller, ty, any_of, &mut visit).await?;
    }
    Ok(Preview {
        resources: own,
        shared: shared.into_iter().collect(),
    })
}

/// What a reference parameter finds a patient by.
fn mentions(app: &App, param: &SearchParam, value: &str) -> Result<Vec<Predicate>, AppError> {
    let fault =
        |error: String| AppError::Fault(format!("{} cannot be searched: {error}", param.code));
    let value = fhir::search::parse_query_value(param, Modifier::None, value, app.now())
        .map_err(|error| fault(error.to_string()))?;
    store::index::predicate(param, &value).map_err(|error| fault(error.to_string()))
}

async fn each(
    app: &App,
    caller: &Caller,
    ty: TypeId,
    any_of: Vec<Predicate>,
    visit: &mut (dyn FnMut(&StoredVersion) -> Result<(), AppError> + Send),
) -> Result<(), AppError> {
    let mut plan = SearchPlan {
        types: vec![ty],
        all_of: vec![Clause {
            negated: false,
            any_of,
        }],
        sort: vec![Sort {
            key: SortKey::Row,
            descending: false,
        }],
        count: 500,
        bytes: app.settings().limits.answer_bytes,
        rows: u64::MAX,
        after: None,
        total: Total::None,
    };
    loop {
        let page = app.store().search(&caller.scope, &plan).await?;
        for version in &page.matches {
            visit(version)?;
        }
        match page.next {
            Some(next) => plan.after = Some(next),
            None => return Ok(()),
        }
    }
}
