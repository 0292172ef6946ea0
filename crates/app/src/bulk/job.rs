//! The document of a job: what was asked for, by whom, and how far it is. Must not work on it.

use std::net::IpAddr;
use std::sync::Arc;

use identity::{AuthenticationLevel, Subject, SystemTask, system_scope};
use kernel::{
    Actor, ActorKind, ClientId, PurposeOfUse, RequestId, RowId, TenantScope, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};
use store::{CommitError, Doc, DocExpected, DocKind, DocWrite};
use uuid::Uuid;

use crate::App;
use crate::bulk::input::Input;
use crate::bulk::outputs::{OpenFile, Part};
use crate::bulk::remote::Known;
use crate::context::{Caller, RequestContext};
use crate::error::AppError;
use crate::{sign_in, tenants};

/// What ids of jobs begin with, among other jobs' documents.
pub(super) const PREFIX: &str = "bulk-";

/// What is exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ExportSpec {
    /// Only what belongs to patients (of the list, where there is one).
    pub of_patients: bool,
    /// Whether a list of patients is kept beside the job.
    pub listed: bool,
    /// The types that the caller may see and asked for, in order.
    pub types: Vec<String>,
    /// Only what changed since.
    pub since: Option<Timestamp>,
    /// Type and search query; a type's resources match at least one of its queries.
    pub filters: Vec<(String, String)>,
    /// Elements to keep, `Type.element` or `element`; empty: all.
    pub elements: Vec<String>,
    /// The moment of the snapshot.
    pub at: RowId,
}

/// What is imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ImportSpec {
    /// In order.
    pub inputs: Vec<Input>,
}

/// What the job does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Work {
    /// An export.
    Export(ExportSpec),
    /// An import.
    Import(ImportSpec),
}

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    /// Being worked on, or waiting for it.
    Going,
    /// Done.
    Done,
    /// Given up, with the reason for its owner.
    Failed(String),
    /// Stopped, with the reason for its owner; its files are gone.
    Stopped(String),
}

/// How far it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Types (or inputs) that are finished.
    pub steps: usize,
    /// Where in the next one.
    pub after: Option<RowId>,
    /// Files begun.
    pub files: u32,
    /// Files that are not finished.
    pub open: Vec<OpenFile>,
    /// Resources so far.
    pub resources: u64,
    /// Bytes so far.
    pub bytes: u64,
    /// Where in an input the next block begins.
    #[serde(default)]
    pub place: u64,
    /// What was known of an input on another server when it was read that far.
    #[serde(default)]
    pub remote: Option<Known>,
    /// When an input on another server last gave something; none before it did.
    #[serde(default)]
    pub heard: Option<Timestamp>,
    /// Lines of the input so far.
    #[serde(default)]
    pub line: u64,
    /// Resources that were stored.
    #[serde(default)]
    pub stored: u64,
    /// Resources that were there already.
    #[serde(default)]
    pub unchanged: u64,
    /// Lines that were refused.
    #[serde(default)]
    pub refused: u64,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Job {
    /// Its id.
    pub id: Uuid,
    /// What it does.
    pub work: Work,
    /// Who asked for it.
    pub owner: Actor,
    /// The tenant's name in addresses.
    pub slug: String,
    /// Why.
    pub purpose: PurposeOfUse,
    /// From where.
    pub address: Option<IpAddr>,
    /// The request's id.
    pub request: RequestId,
    /// The tenant's FHIR base address.
    pub base: String,
    /// The request's whole address.
    pub url: String,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How it stands.
    pub state: State,
    /// How far it is.
    pub progress: Progress,
    /// The secret its files are sealed with, in hexadecimal; empty once the files are gone.
    pub secret: String,
}

/// A job with the version of its document.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub job: Job,
    pub version: u32,
}

/// The scope in which the platform itself works on jobs.
pub(super) fn scope(tenant: kernel::TenantId) -> TenantScope {
    system_scope(tenant, SystemTask::Jobs)
}

pub(super) fn doc_id(id: Uuid) -> String {
    format!("{PREFIX}{id}")
}

impl Stored {
    pub(super) fn of(doc: &Doc) -> Result<Self, AppError> {
        Ok(Self {
            job: serde_json::from_slice(&doc.body)?,
            version: doc.version,
        })
    }
}

impl Job {
    /// A job that begins.
    pub(super) fn new(
        app: &App,
        caller: &Caller,
        id: Uuid,
        work: Work,
        url: String,
        secret: String,
    ) -> Self {
        Self {
            id,
            work,
            owner: caller.subject.actor().clone(),
            slug: caller.tenant.slug.as_str().to_owned(),
            purpose: caller.context.purpose,
            address: caller.context.client_address,
            request: caller.context.id,
            base: caller.context.base.to_string(),
            url,
            created: app.now(),
            ended: None,
            state: State::Going,
            progress: Progress::default(),
            secret,
        }
    }

    /// Whether there is still something to do.
    pub(super) fn is_going(&self) -> bool {
        self.state == State::Going
    }

    /// The folder of its files.
    pub(super) fn folder(&self) -> String {
        folder(self.id)
    }

    pub(super) fn write(&self, app: &App, expected: DocExpected) -> Result<DocWrite, AppError> {
        Ok(DocWrite {
            kind: DocKind::Job,
            id: doc_id(self.id),
            expected,
            body: Some(serde_json::to_vec(self)?),
            time: app.now(),
            expires: None,
            lookups: Vec::new(),
        })
    }
}

/// The folder of a job's files.
pub(super) fn folder(id: Uuid) -> String {
    format!("bulk/{id}")
}

/// A job by id.
pub(super) async fn load(
    app: &App,
    scope: &TenantScope,
    id: Uuid,
) -> Result<Option<Stored>, AppError> {
    let doc = app.store().doc(scope, DocKind::Job, &doc_id(id)).await?;
    doc.as_ref().map(Stored::of).transpose()
}

/// Every job of a tenant.
pub(super) async fn all(app: &App, scope: &TenantScope) -> Result<Vec<Stored>, AppError> {
    const PAGE: u32 = 100;
    let mut found = Vec::new();
    let mut after = Some(PREFIX.to_owned());
    loop {
        let docs = app
            .store()
            .docs(scope, DocKind::Job, after.as_deref(), PAGE)
            .await?;
        let full = docs.len() == PAGE as usize;
        after = docs.last().map(|doc| doc.id.clone());
        for doc in docs {
            if !doc.id.starts_with(PREFIX) {
                return Ok(found);
            }
            found.push(Stored::of(&doc)?);
        }
        if !full {
            return Ok(found);
        }
    }
}

/// Writes a job, and parts of it, if nobody wrote it meanwhile; `false` where somebody did.
pub(super) async fn save(
    app: &App,
    scope: &TenantScope,
    stored: &mut Stored,
    mut parts: Vec<DocWrite>,
) -> Result<bool, AppError> {
    parts.push(
        stored
            .job
            .write(app, DocExpected::Version(stored.version))?,
    );
    match app.store().operate(scope, parts).await {
        Ok(()) => {
            stored.version += 1;
            Ok(true)
        }
        Err(CommitError::DocConflict { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The id of a part's document.
fn part_id(job: Uuid, name: &str) -> String {
    format!("{PREFIX}{job}/{name}")
}

/// The write of a part; no body removes it.
pub(super) fn part_write(app: &App, job: Uuid, name: &str, body: Option<Vec<u8>>) -> DocWrite {
    DocWrite {
        kind: DocKind::JobPart,
        id: part_id(job, name),
        expected: DocExpected::Any,
        body,
        time: app.now(),
        expires: None,
        lookups: Vec::new(),
    }
}

/// A part.
pub(super) async fn part(
    app: &App,
    scope: &TenantScope,
    job: Uuid,
    name: &str,
) -> Result<Option<Vec<u8>>, AppError> {
    let doc = app
        .store()
        .doc(scope, DocKind::JobPart, &part_id(job, name))
        .await?;
    Ok(doc.map(|doc| doc.body))
}

/// All parts of a job, by name.
pub(super) async fn parts(
    app: &App,
    scope: &TenantScope,
    job: Uuid,
) -> Result<Vec<(String, Vec<u8>)>, AppError> {
    const PAGE: u32 = 100;
    let prefix = part_id(job, "");
    let mut found = Vec::new();
    let mut after = Some(prefix.clone());
    loop {
        let docs = app
            .store()
            .docs(scope, DocKind::JobPart, after.as_deref(), PAGE)
            .await?;
        let full = docs.len() == PAGE as usize;
        after = docs.last().map(|doc| doc.id.clone());
        for doc in docs {
            let Some(name) = doc.id.strip_prefix(&prefix) else {
                return Ok(found);
            };
            found.push((name.to_owned(), doc.body));
        }
        if !full {
            return Ok(found);
        }
    }
}

/// The files that are finished, in the order in which they were begun.
pub(super) async fn finished(
    app: &App,
    scope: &TenantScope,
    job: Uuid,
) -> Result<Vec<Part>, AppError> {
    parts(app, scope, job)
        .await?
        .iter()
        .filter(|(name, _)| name.starts_with(Part::PREFIX))
        .map(|(_, body)| Ok(serde_json::from_slice(body)?))
        .collect()
}

/// Whoever asked for the job, as they are now: roles that were taken away since do not count.
pub(super) async fn owner(app: &App, scope: &TenantScope, job: &Job) -> Result<Caller, AppError> {
    let gone = || AppError::Denied {
        reason: "whoever asked for this job may not sign in any more".to_owned(),
        code: "not-active".to_owned(),
    };
    let tenant = tenants::by_slug(app, &job.slug).await?;
    if tenant.id != scope.tenant() || !tenant.accepts_sign_in() {
        return Err(gone());
    }
    let id = job.owner.id.as_uuid();
    let subject = match job.owner.kind {
        ActorKind::User => {
            let user = sign_in::user(app, scope, UserId::from_uuid(id)).await?;
            let user = user.ok_or_else(gone)?;
            let level = AuthenticationLevel::Password;
            sign_in::subject_of_user(app, scope, &user.value, level, job.owner.branch).await?
        }
        ActorKind::Client => {
            let client = sign_in::bearer::client(app, scope, ClientId::from_uuid(id)).await?;
            let client = client.ok_or_else(gone)?;
            let branches = sign_in::branches(app, scope).await?;
            Subject::client(scope, &client, &branches).map_err(|_| gone())?
        }
        ActorKind::System => Subject::system(tenant.id, SystemTask::Jobs),
        ActorKind::Operator => return Err(gone()),
    };
    let context = RequestContext {
        id: job.request,
        client_address: job.address,
        received: app.now(),
        purpose: job.purpose,
        base: Arc::from(job.base.as_str()),
        idempotency: None,
        advice: Default::default(),
    };
    sign_in::caller(app, &tenant, Arc::new(subject), context)
}
