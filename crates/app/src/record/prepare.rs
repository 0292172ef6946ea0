//! From a body to a change: parse, check type and id, validate, stamp, extract, authorise, pack, pair
//! with an entry. Pure CPU; large bundles run it on blocking threads, two at a time.

use fhir::definitions::TypeId;
use fhir::json::{Document, Kind, Value};
use fhir::print::{Stamp, stamp, stamp_rewriting};
use fhir::search::Extracted;
use fhir::validate::Severity;
use identity::Interaction;
use kernel::{LogicalId, RowId, Timestamp, VersionId};
use store::{Change, ChangeKind, Expected, FullText, Head, ResourceKey, StoredVersion};

use crate::App;
use crate::authorise::{Ask, Organizations, authorise};
use crate::context::Caller;
use crate::entry::{Facts, change_entry};
use crate::error::AppError;

/// Where a new version goes: what must be there, and its rows.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub key: ResourceKey,
    pub expected: Expected,
    pub row: RowId,
    pub version: VersionId,
    pub version_row: RowId,
    pub kind: ChangeKind,
}

impl Slot {
    /// For a resource that was never stored.
    pub(crate) fn first(app: &App, key: ResourceKey) -> Self {
        let row = app.ids().row_id();
        Self {
            key,
            expected: Expected::Absent,
            row,
            version: VersionId::FIRST,
            version_row: row,
            kind: ChangeKind::Create,
        }
    }

    /// For a resource with a head.
    pub(crate) fn over(app: &App, key: ResourceKey, head: &Head, kind: ChangeKind) -> Self {
        Self {
            key,
            expected: Expected::Version(head.version),
            row: head.row,
            version: head.version.next(),
            version_row: app.ids().row_id(),
            kind,
        }
    }

    /// For whatever is there: an update, or a create where there is nothing or a deletion.
    pub(crate) fn upsert(
        app: &App,
        key: ResourceKey,
        head: Option<&Head>,
    ) -> Result<Self, AppError> {
        match head {
            None => Ok(Self {
                kind: ChangeKind::CreateByUpdate,
                ..Self::first(app, key)
            }),
            Some(head) if head.kind == ChangeKind::Erase => Err(AppError::Gone {
                what: super::name_of(&key),
                version: Some(head.version),
                erased: true,
            }),
            Some(head) if head.is_deleted() => {
                Ok(Self::over(app, key, head, ChangeKind::CreateByUpdate))
            }
            Some(head) => Ok(Self::over(app, key, head, ChangeKind::Update)),
        }
    }

    /// `meta.lastUpdated` of the new version.
    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.version_row.unix_ms())
    }

    /// Whether the resource does not exist before.
    pub(crate) fn creates(&self) -> bool {
        self.kind.is_create()
    }
}

/// Parses the body of a single resource, within its limit.
pub(crate) fn parse(app: &App, body: bytes::Bytes) -> Result<Document, AppError> {
    let limit = app.settings().limits.resource_bytes;
    if body.len() > limit {
        return Err(AppError::TooLarge(format!(
            "the resource has {} bytes, the limit is {limit}: split it, or keep attachments in Binary resources",
            body.len()
        )));
    }
    let limits = fhir::json::Limits {
        max_bytes: limit,
        ..fhir::json::Limits::default()
    };
    Ok(Document::parse(body.into(), &limits)?)
}

/// The type a resource says it is; an error names what is wrong.
pub(crate) fn resource_type(app: &App, resource: Value<'_>) -> Result<TypeId, AppError> {
    if resource.kind() != Kind::Object {
        return Err(AppError::Invalid(
            "the body is not a JSON object: send one FHIR resource".to_owned(),
        ));
    }
    let name = resource.get("resourceType").and_then(Value::as_str);
    let Some(name) = name else {
        return Err(AppError::Invalid(
            "the resource has no resourceType: add it".to_owned(),
        ));
    };
    app.definitions().resource(&name).ok_or_else(|| {
        let shown: String = name.chars().take(60).collect();
        AppError::Invalid(format!("resource type {shown:?} is not one of FHIR R4"))
    })
}

/// Checks the type against the address and the structure against R4.
pub(crate) fn check(app: &App, resource: Value<'_>, ty: TypeId) -> Result<(), AppError> {
    let found = resource_type(app, resource)?;
    if found != ty {
        let names = app.definitions();
        return Err(AppError::Invalid(format!(
            "the body is a {}, the address says {}: send it to its own address",
            names.resource_name(found),
            names.resource_name(ty)
        )));
    }
    if app.settings().validate {
        let issues = fhir::validate::validate(app.definitions(), resource);
        let refused = |severity: Severity| matches!(severity, Severity::Error | Severity::Fatal);
        if issues.iter().any(|issue| refused(issue.severity)) {
            return Err(AppError::Validation(issues));
        }
    }
    Ok(())
}

/// Checks that the body's id is the address's.
pub(crate) fn check_id(resource: Value<'_>, id: &LogicalId) -> Result<(), AppError> {
    match resource.get("id").and_then(Value::as_str) {
        Some(found) if found == id.as_str() => Ok(()),
        Some(_) => Err(AppError::Invalid(format!(
            "the body's id is not {}, the one in the address: make them equal",
            id.as_str()
        ))),
        None => Err(AppError::Invalid(format!(
            "the body has no id: an update needs \"id\": \"{}\"",
            id.as_str()
        ))),
    }
}

/// Replaces a reference, or leaves it.
pub(crate) type Rewrite<'r> = &'r dyn Fn(&str) -> Option<String>;

/// Makes the change of a checked resource. `rewrite` replaces references (transactions).
pub(crate) fn change(
    app: &App,
    caller: &Caller,
    slot: Slot,
    resource: Value<'_>,
    rewrite: Option<Rewrite<'_>>,
) -> Result<Prepared, AppError> {
    let last_updated = slot.time().to_fhir_instant();
    let mark = Stamp {
        id: slot.key.id.as_str(),
        version: slot.version.0,
        last_updated: &last_updated,
    };
    let Some(rewrite) = rewrite else {
        let body = stamp(resource, &mark).map_err(refused)?;
        return pack(app, caller, slot, resource, body);
    };
    let body = stamp_rewriting(resource, &mark, rewrite).map_err(refused)?;
    let limits = fhir::json::Limits::default();
    let rewritten = Document::parse(body.clone(), &limits)?;
    pack(app, caller, slot, rewritten.root(), body)
}

/// Whether a resource, stamped like a stored version, is that version byte for byte: then an update
/// would change nothing but `meta.versionId` and `meta.lastUpdated`, and is not done.
pub(crate) fn is_same(
    resource: Value<'_>,
    current: &StoredVersion,
    rewrite: Option<Rewrite<'_>>,
) -> bool {
    let Some(body) = &current.body else {
        return false;
    };
    if resource.get_str("id").as_deref() != Some(current.key.id.as_str()) {
        return false;
    }
    let last_updated = current.last_updated().to_fhir_instant();
    let mark = Stamp {
        id: current.key.id.as_str(),
        version: current.version.0,
        last_updated: &last_updated,
    };
    let stamped = match rewrite {
        Some(rewrite) => stamp_rewriting(resource, &mark, rewrite),
        None => stamp(resource, &mark),
    };
    stamped.is_ok_and(|stamped| stamped == body[..])
}

fn refused(error: fhir::print::StampError) -> AppError {
    AppError::Invalid(error.to_string())
}

/// A change that is ready but for the decision.
pub(crate) struct Prepared {
    change: Change,
    patients: Vec<LogicalId>,
    organization: Option<LogicalId>,
}

impl Prepared {
    /// Asks whether the caller may, and gives the change. `known` are patients of the same unit; `hide`
    /// answers a refusal as if nothing were there (an address the caller chose).
    pub(crate) async fn allow(
        self,
        app: &App,
        caller: &Caller,
        known: Option<&Organizations>,
        hide: bool,
    ) -> Result<Change, AppError> {
        let mut change = self.change;
        let interaction = if change.kind.is_create() {
            Interaction::Create
        } else {
            Interaction::Update
        };
        let own;
        let known = match known {
            Some(known) => Some(known),
            None if app.is_patient(change.key.ty) => {
                own = Organizations::from([(change.key.id.clone(), self.organization)]);
                Some(&own)
            }
            None => None,
        };
        let ask = Ask {
            known,
            hide,
            ..Ask::record(interaction, &change.key, &self.patients)
        };
        let allowed = authorise(app, caller, &ask).await?;
        crate::profiles::enforce::enforce(app, caller, &change.body).await?;
        allowed.mark(&mut change.entry);
        crate::subscriptions::admit(app, caller, &mut change).await?;
        Ok(change)
    }

    /// A patient being written, and its managing organisation.
    pub(crate) fn patient(&self, app: &App) -> Option<(LogicalId, Option<LogicalId>)> {
        app.is_patient(self.change.key.ty)
            .then(|| (self.change.key.id.clone(), self.organization.clone()))
    }
}

fn pack(
    app: &App,
    caller: &Caller,
    slot: Slot,
    resource: Value<'_>,
    body: Vec<u8>,
) -> Result<Prepared, AppError> {
    let extracted = extracted(app, &slot.key, resource);
    let subject = subject_of(app, &slot.key, &extracted.patients);
    let index = app
        .store()
        .pack_index(&caller.scope, slot.key.ty, &extracted)?;
    let entry = change_entry(
        app,
        caller,
        &Facts {
            kind: slot.kind,
            key: &slot.key,
            version: slot.version,
            subject: subject.as_ref(),
        },
    );
    let organization = app
        .is_patient(slot.key.ty)
        .then(|| organization_of(resource))
        .flatten();
    Ok(Prepared {
        patients: extracted.patients,
        organization,
        change: Change {
            key: slot.key,
            expected: slot.expected,
            row: slot.row,
            version: slot.version,
            version_row: slot.version_row,
            kind: slot.kind,
            body,
            index,
            subject,
            entry,
        },
    })
}

/// What a resource is found by, but for parameters of the tenant's own.
pub(crate) fn extracted<'a>(app: &App, key: &ResourceKey, resource: Value<'a>) -> Extracted<'a> {
    let mut extracted = fhir::search::extract(app.definitions(), key.ty, resource);
    settle_identity(app, key, resource, &mut extracted);
    if app.store().full_text() != FullText::Off {
        extracted.words = fhir::search::words(resource);
    }
    if app.store().full_text() == FullText::All {
        extracted.words.add_order(resource);
    }
    extracted
}

/// The Organization that a Patient names as its managing one.
pub(crate) fn organization_of(patient: Value<'_>) -> Option<LogicalId> {
    let reference = patient
        .get("managingOrganization")?
        .get("reference")?
        .as_str()?;
    let (ty, id) = reference.split_once('/')?;
    (ty == "Organization").then(|| id.parse().ok()).flatten()
}

/// A deletion of what is there.
pub(crate) fn deletion(
    app: &App,
    caller: &Caller,
    key: ResourceKey,
    head: &Head,
    patients: &[LogicalId],
) -> Change {
    let slot = Slot::over(app, key, head, ChangeKind::Delete);
    let subject = subject_of(app, &slot.key, patients);
    let entry = change_entry(
        app,
        caller,
        &Facts {
            kind: slot.kind,
            key: &slot.key,
            version: slot.version,
            subject: subject.as_ref(),
        },
    );
    Change {
        key: slot.key,
        expected: slot.expected,
        row: slot.row,
        version: slot.version,
        version_row: slot.version_row,
        kind: slot.kind,
        body: Vec::new(),
        index: store::index::PackedIndex::default(),
        subject,
        entry,
    }
}

// The body as sent may carry another id and time than the version will have: the store answers `_id`
// and `_lastUpdated` from its rows, so that their index values are dropped instead of corrected.
fn settle_identity(
    app: &App,
    key: &ResourceKey,
    resource: Value<'_>,
    extracted: &mut Extracted<'_>,
) {
    let own = |code: &str| {
        app.definitions()
            .search_param(key.ty, code)
            .map(|param| param.id)
    };
    let (id, updated) = (own("_id"), own("_lastUpdated"));
    extracted
        .values
        .retain(|(param, _)| Some(*param) != id && Some(*param) != updated);
    if app.is_patient(key.ty) {
        let sent = resource.get("id").and_then(Value::as_str);
        extracted
            .patients
            .retain(|patient| sent.as_deref() != Some(patient.as_str()));
        extracted.patients.push(key.id.clone());
        extracted.patients.sort_unstable();
        extracted.patients.dedup();
    }
}

/// The patient whose key seals a resource: itself for a Patient, the only one for others.
pub(crate) fn subject_of(
    app: &App,
    key: &ResourceKey,
    patients: &[LogicalId],
) -> Option<LogicalId> {
    if app.is_patient(key.ty) {
        return Some(key.id.clone());
    }
    match patients {
        [only] => Some(only.clone()),
        _ => None,
    }
}
