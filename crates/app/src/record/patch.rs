//! Patch: some of a resource changed, the rest kept byte for byte. The result is content like any other:
//! validated, stamped, authorised, committed only over the version that was patched. Type and id cannot
//! change; version and time are the server's.

use fhir::definitions::TypeId;
use fhir::json::{Document, Limits, Value};
use fhir::patch::{self, Emptied};
use fhir::xml;
use identity::Interaction;
use kernel::VersionId;
use ledger::leaf::Class;
use store::{ChangeKind, CommitError, Guard, ResourceKey, StoredVersion};

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::AppError;
use crate::idempotency::{self, Kept, Request};
use crate::medicines::signatures::refuse_held;
use crate::record::condition::{Condition, Matched};
use crate::record::create::{replay, stored};
use crate::record::prepare::{self, Slot};
use crate::record::{Outcome, integrity, name_of, read, update};
use crate::retry::Retry;
use crate::unit::UnitOfWork;

/// The media type of JSON Patch.
pub const JSON_PATCH: &str = "application/json-patch+json";

/// The media type of JSON Merge Patch.
pub const MERGE_PATCH: &str = "application/merge-patch+json";

/// The media type of XML Patch.
pub const XML_PATCH: &str = "application/xml-patch+xml";

/// A patch as it was sent, read but not yet applied.
#[derive(Debug)]
pub struct Patch {
    document: Document,
    form: Form,
    /// The operations of an XML Patch, with its source.
    xml: Option<(Vec<u8>, xml::patch::Patch)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// RFC 6902.
    Json,
    /// A Parameters resource of operations (FHIR R4, fhirpatch.html).
    FhirPath,
    /// RFC 7396: the resource in part.
    Merge,
    /// RFC 5261, over the XML form of the resource.
    Xml,
}

impl Patch {
    /// Reads a JSON Patch.
    ///
    /// # Errors
    /// What is wrong with it, before anything is looked at.
    pub fn json(app: &App, body: Vec<u8>) -> Result<Self, AppError> {
        let limits = Limits {
            max_bytes: app.settings().limits.resource_bytes,
            ..Limits::default()
        };
        let document = Document::parse(body, &limits)?;
        patch::parse(document.root(), &bounds(app))?;
        Ok(Self {
            document,
            form: Form::Json,
            xml: None,
        })
    }

    /// Reads a FHIRPath Patch: a Parameters resource.
    ///
    /// # Errors
    /// A body that is no such resource. Its operations are read when it is applied.
    pub fn fhirpath(app: &App, body: Vec<u8>) -> Result<Self, AppError> {
        let document = prepare::parse(app, body.into())?;
        if document.root().get_str("resourceType").as_deref() != Some("Parameters") {
            return Err(AppError::Invalid(
                "a FHIRPath Patch is a Parameters resource: send its operations in one".to_owned(),
            ));
        }
        let parameters = document.root().get("parameter");
        if parameters.is_none_or(Value::is_empty) {
            return Err(AppError::Invalid(
                "the patch has no operations: send at least one parameter named operation"
                    .to_owned(),
            ));
        }
        Ok(Self {
            document,
            form: Form::FhirPath,
            xml: None,
        })
    }

    /// Reads a JSON Merge Patch: a resource in part.
    ///
    /// # Errors
    /// A body that is not JSON. What it says is judged when it is applied.
    pub fn merge(app: &App, body: Vec<u8>) -> Result<Self, AppError> {
        let limits = Limits {
            max_bytes: app.settings().limits.resource_bytes,
            ..Limits::default()
        };
        Ok(Self {
            document: Document::parse(body, &limits)?,
            form: Form::Merge,
            xml: None,
        })
    }

    /// Reads an XML Patch.
    ///
    /// # Errors
    /// What is wrong with it, before anything is looked at.
    pub fn xml(app: &App, body: Vec<u8>) -> Result<Self, AppError> {
        let limits = xml::patch::Limits {
            max_bytes: app.settings().limits.resource_bytes,
            ..xml::patch::Limits::default()
        };
        let patch = xml::patch::parse(&body, &limits)?;
        Ok(Self {
            document: Document::parse(b"null".to_vec(), &Limits::default())?,
            form: Form::Xml,
            xml: Some((body, patch)),
        })
    }

    /// Reads a patch sent as plain JSON: Parameters are a FHIRPath Patch, anything else is the resource in
    /// part, as several widespread clients send it.
    ///
    /// # Errors
    /// As the form that it is.
    pub fn plain(app: &App, body: Vec<u8>) -> Result<Self, AppError> {
        let merge = Self::merge(app, body)?;
        let kind = merge.document.root().get_str("resourceType");
        if kind.as_deref() == Some("Parameters") {
            return Self::fhirpath(app, merge.document.source().to_vec());
        }
        Ok(merge)
    }

    /// Reads the patch in an entry of a bundle: Parameters, or a Binary that holds a JSON Patch (FHIR R4,
    /// http.html, patch).
    pub(crate) fn of_entry(app: &App, resource: Value<'_>) -> Result<Self, AppError> {
        let kind = resource.get_str("resourceType").unwrap_or_default();
        if kind == "Parameters" {
            return Self::fhirpath(app, resource.raw().to_vec());
        }
        let content = resource.get_str("contentType").unwrap_or_default();
        let bare = content.split(';').next().unwrap_or_default().trim();
        let read = match bare.to_ascii_lowercase() {
            bare if kind == "Binary" && bare == JSON_PATCH => Self::json,
            bare if kind == "Binary" && bare == MERGE_PATCH => Self::merge,
            bare if kind == "Binary" && bare == XML_PATCH => Self::xml,
            _ => {
                return Err(AppError::Invalid(format!(
                    "a PATCH entry holds Parameters, or a Binary of type {JSON_PATCH}, {MERGE_PATCH} or \
                     {XML_PATCH}: send one of them"
                )));
            }
        };
        let data = resource.get_str("data").unwrap_or_default();
        let data: String = data.split_ascii_whitespace().collect();
        let bytes = data_encoding::BASE64
            .decode(data.as_bytes())
            .map_err(|_| AppError::Invalid("Binary.data is not base64: encode it".to_owned()))?;
        read(app, bytes)
    }

    /// The patched resource, checked like content that was sent.
    pub(crate) fn apply(&self, app: &App, current: &StoredVersion) -> Result<Document, AppError> {
        let Some(body) = &current.body else {
            return Err(gone(current));
        };
        let limits = bounds(app);
        let target = Document::parse(body.to_vec(), &Limits::default())?;
        let bytes = match self.form {
            Form::Merge => patch::merge(target.root(), self.document.root(), &limits)?,
            Form::Json => {
                let operations = patch::parse(self.document.root(), &limits)?;
                patch::apply(target.root(), &operations, Emptied::Drop, &limits)?
            }
            Form::FhirPath => {
                let limits = fhirpath::patch::Limits {
                    max_bytes: limits.max_bytes,
                    ..fhirpath::patch::Limits::default()
                };
                fhirpath::patch::apply(body, self.document.root(), &limits)?
            }
            Form::Xml => self.over_xml(app, target.root())?,
        };
        let patched = prepare::parse(app, bytes.into())?;
        if patched.root().get_str("resourceType") != target.root().get_str("resourceType")
            || patched.root().get_str("id") != target.root().get_str("id")
        {
            return Err(AppError::Unprocessable(
                "a patch cannot change resourceType or id: leave them as they are".to_owned(),
            ));
        }
        prepare::check(app, patched.root(), current.key.ty)?;
        Ok(patched)
    }

    /// An XML Patch goes over the resource as XML; what it makes is read back like XML that was sent.
    fn over_xml(&self, app: &App, target: Value<'_>) -> Result<Vec<u8>, AppError> {
        let (_, patch) = self
            .xml
            .as_ref()
            .ok_or_else(|| AppError::Fault("an XML Patch lost its operations".to_owned()))?;
        let written = xml::from_json(app.definitions(), target)?;
        let made = xml::patch::apply(&written, patch)?;
        let limits = xml::Limits {
            max_bytes: app.settings().limits.resource_bytes,
            ..xml::Limits::default()
        };
        Ok(xml::to_json(app.definitions(), &made, &limits)?)
    }

    fn source(&self) -> &[u8] {
        match &self.xml {
            Some((source, _)) => source,
            None => self.document.source(),
        }
    }
}

fn bounds(app: &App) -> patch::Limits {
    patch::Limits {
        max_bytes: app.settings().limits.resource_bytes,
        ..patch::Limits::default()
    }
}

fn gone(version: &StoredVersion) -> AppError {
    AppError::Gone {
        what: name_of(&version.key),
        version: Some(version.version),
        erased: version.erased,
    }
}

/// Patches a resource. `if_match` refuses any other current version than that one.
pub async fn patch(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    patch: &Patch,
    if_match: Option<VersionId>,
) -> Result<Outcome, AppError> {
    let operation = format!("patch {}", name_of(key));
    let request = Request::of(caller, &operation, patch.source());
    if let Some(kept) = idempotency::look_up(app, caller, request.as_ref()).await? {
        return replay(app, caller, &kept).await;
    }
    let mut retry = Retry::new();
    loop {
        let job = Job {
            app,
            caller,
            patch,
            if_match,
            request: request.as_ref(),
        };
        match job.attempt(key, None).await? {
            Ok(outcome) => return Ok(outcome),
            Err(_) if if_match.is_none() && retry.again().await => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Patches the one resource that criteria match; refuses where none or several do.
pub async fn patch_where(
    app: &App,
    caller: &Caller,
    ty: TypeId,
    criteria: &[(String, String)],
    patch: &Patch,
    if_match: Option<VersionId>,
) -> Result<Outcome, AppError> {
    let name = app.definitions().resource_name(ty);
    let request = Request::of(caller, &format!("patch {name}"), patch.source());
    if let Some(kept) = idempotency::look_up(app, caller, request.as_ref()).await? {
        return replay(app, caller, &kept).await;
    }
    authorise(app, caller, &Ask::of_type(Interaction::Update, ty)).await?;
    let condition = Condition::from_params(app, caller, ty, criteria).await?;
    let mut retry = Retry::new();
    loop {
        let matched = condition.find(app, caller).await?;
        let found = match &matched {
            Matched::None => return Err(AppError::not_found(format!("a {name} that matches"))),
            Matched::Several => return Err(condition.ambiguous(app)),
            Matched::One(found) => found,
        };
        let guard = condition.guard(app, caller, &matched);
        let job = Job {
            app,
            caller,
            patch,
            if_match,
            request: request.as_ref(),
        };
        match job.attempt(&found.key, Some(guard)).await? {
            Ok(outcome) => return Ok(outcome),
            Err(_) if if_match.is_none() && retry.again().await => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The version that a patch goes over, after the decision. Operations can test what is there, and the
/// answer shows it: a patch is a look, too.
pub(crate) async fn current(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
) -> Result<StoredVersion, AppError> {
    for interaction in [Interaction::Update, Interaction::Read] {
        authorise(app, caller, &Ask::of_type(interaction, key.ty)).await?;
    }
    let found = app.store().read(&caller.scope, key).await?;
    let found = found.ok_or_else(|| AppError::not_found(name_of(key)))?;
    let (patients, _) = read::allow_existing(app, caller, Interaction::Update, &found).await?;
    let (_, allowed) = read::allow_existing(app, caller, Interaction::Read, &found).await?;
    let look = Look {
        class: Class::Read,
        object: Some((key, Some(found.version))),
        query: None,
        patients: &patients,
        allowed: &allowed,
    };
    let entries = look_entries(app, caller, &look);
    app.store().record_access(&caller.scope, entries).await?;
    if found.body.is_none() {
        return Err(gone(&found));
    }
    Ok(found)
}

struct Job<'a> {
    app: &'a App,
    caller: &'a Caller,
    patch: &'a Patch,
    if_match: Option<VersionId>,
    request: Option<&'a Request>,
}

impl Job<'_> {
    async fn attempt(
        &self,
        key: &ResourceKey,
        guard: Option<Guard>,
    ) -> Result<Result<Outcome, CommitError>, AppError> {
        let (app, caller) = (self.app, self.caller);
        let found = current(app, caller, key).await?;
        let head = read::head_of(&found);
        update::expect(key, Some(&head), self.if_match)?;
        let patched = self.patch.apply(app, &found)?;
        if prepare::is_same(patched.root(), &found, None) {
            return Ok(Ok(Outcome {
                version: found,
                created: false,
                receipt: None,
            }));
        }
        let slot = Slot::over(app, key.clone(), &head, ChangeKind::Update);
        let prepared = prepare::change(app, caller, slot, patched.root(), None)?;
        let change = prepared.allow(app, caller, None, true).await?;
        let version = stored(&change);
        let mut unit = UnitOfWork::begin(app, &caller.scope);
        let whole = integrity::guards(app, caller, std::slice::from_ref(&change)).await?;
        refuse_held(app, caller, std::slice::from_ref(&change), &[]).await?;
        for guard in guard.into_iter().chain(whole) {
            unit = unit.guard(guard);
        }
        if let Some(request) = self.request {
            let kept = Kept {
                created: false,
                ..Kept::created(&version)
            };
            unit = unit.doc(request.keep(app, &kept));
        }
        match unit.change(change).commit().await {
            Ok(receipt) => Ok(Ok(Outcome {
                version,
                created: false,
                receipt: super::first_receipt(receipt),
            })),
            Err(error @ (CommitError::Stale { .. } | CommitError::GuardChanged { .. })) => {
                Ok(Err(error))
            }
            Err(error) => Err(error.into()),
        }
    }
}
