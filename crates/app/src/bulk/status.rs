//! How a job stands, for whoever asked for it; and stopping it. A job of somebody else does not exist.

use identity::Interaction;
use kernel::Timestamp;
use ledger::leaf::Class;
use store::Log;
use uuid::Uuid;

use crate::App;
use crate::authorise::{Ask, authorise, would_allow};
use crate::bulk::job::{self, Job, State, Stored, Work};
use crate::bulk::links::{self, Target};
use crate::bulk::outputs::{Part, Role};
use crate::bulk::{sweep, work};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;

/// A file of a finished job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    /// The type of its lines.
    pub ty: String,
    /// Its address, signed.
    pub url: String,
    /// Its lines.
    pub count: u64,
}

/// What a finished job made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The moment of the snapshot.
    pub transaction_time: Timestamp,
    /// The request's address.
    pub request: String,
    /// Whether the files' addresses need a token beside their signature.
    pub requires_access_token: bool,
    /// Files of resources.
    pub output: Vec<ManifestFile>,
    /// Files that name what was deleted.
    pub deleted: Vec<ManifestFile>,
    /// Files of OperationOutcomes.
    pub error: Vec<ManifestFile>,
    /// When the files go.
    pub expires: Timestamp,
}

/// How a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// In progress: words for the owner, and when to ask again, in seconds.
    Going {
        /// `X-Progress`.
        progress: String,
        /// `Retry-After`.
        again_s: u32,
    },
    /// Done.
    Done(Box<Manifest>),
    /// Given up.
    Failed(String),
}

/// A job in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: Uuid,
    /// `export` or `import`.
    pub kind: &'static str,
    /// Who asked for it.
    pub owner: String,
    /// The request's address.
    pub request: String,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// `going`, `done`, `failed` or `stopped`.
    pub state: &'static str,
    /// Why it failed or was stopped.
    pub why: Option<String>,
    /// Steps that are finished, of how many: types of an export, inputs of an import.
    pub steps: (usize, usize),
    /// Resources so far.
    pub resources: u64,
    /// Bytes so far.
    pub bytes: u64,
    /// Files that were begun.
    pub files: u32,
    /// When the files of a finished job go.
    pub expires: Option<Timestamp>,
}

/// Refuses whoever may do nothing with bulk jobs.
pub(super) async fn allow(app: &App, caller: &Caller) -> Result<(), AppError> {
    if !would_allow(app, caller, &Ask::operation(Interaction::Import)).await? {
        authorise(app, caller, &Ask::operation(Interaction::Export)).await?;
    }
    Ok(())
}

fn missing() -> AppError {
    AppError::not_found("job")
}

/// The caller's job of this id.
async fn own(app: &App, caller: &Caller, id: &str) -> Result<Stored, AppError> {
    allow(app, caller).await?;
    let id = Uuid::try_parse(id).map_err(|_| missing())?;
    let stored = job::load(app, &job::scope(caller.scope.tenant()), id).await?;
    stored
        .filter(|stored| stored.job.owner.id == caller.subject.actor().id)
        .ok_or_else(missing)
}

/// How a job stands.
pub async fn status(app: &App, caller: &Caller, id: &str) -> Result<Status, AppError> {
    let stored = own(app, caller, id).await?;
    let job = &stored.job;
    Ok(match &job.state {
        State::Going => Status::Going {
            progress: progress(job),
            again_s: again(app, job),
        },
        State::Failed(why) => Status::Failed(why.clone()),
        State::Stopped(_) => return Err(missing()),
        State::Done if sweep::is_expired(app, job) => return Err(missing()),
        State::Done => Status::Done(Box::new(manifest(app, caller, job).await?)),
    })
}

fn progress(job: &Job) -> String {
    let progress = &job.progress;
    match &job.work {
        Work::Export(spec) => {
            let at = spec.types.get(progress.steps).map_or("", String::as_str);
            let at = if at.is_empty() { "the end" } else { at };
            format!(
                "{} of {} types, at {at}, {} resources in {} bytes",
                progress.steps,
                spec.types.len(),
                progress.resources,
                progress.bytes
            )
        }
        Work::Import(spec) => format!(
            "{} of {} inputs, {} resources read, {} stored, {} unchanged, {} refused",
            progress.steps,
            spec.inputs.len(),
            progress.resources,
            progress.stored,
            progress.unchanged,
            progress.refused
        ),
    }
}

// Young jobs are asked for often, old ones seldom.
fn again(app: &App, job: &Job) -> u32 {
    let age = app.now().seconds_since(job.created);
    u32::try_from((age / 10).clamp(1, 60)).unwrap_or(1)
}

async fn manifest(app: &App, caller: &Caller, job: &Job) -> Result<Manifest, AppError> {
    let files = job::finished(app, &job::scope(caller.scope.tenant()), job.id).await?;
    let of = |role: Role| -> Vec<ManifestFile> {
        files
            .iter()
            .filter(|file| file.role == role)
            .map(|file| ManifestFile {
                ty: file.ty.clone(),
                url: address(app, caller, job, file),
                count: file.lines,
            })
            .collect()
    };
    let transaction_time = match &job.work {
        Work::Export(spec) => Timestamp::from_millis(spec.at.unix_ms()),
        Work::Import(_) => job.created,
    };
    Ok(Manifest {
        transaction_time,
        request: job.url.clone(),
        requires_access_token: app.settings().bulk.links_need_token,
        output: of(Role::Output),
        deleted: of(Role::Deleted),
        error: of(Role::Error),
        expires: sweep::expiry(app, job),
    })
}

/// The signed address of a file.
fn address(app: &App, caller: &Caller, job: &Job, file: &Part) -> String {
    let settings = app.settings();
    let expires = app.now().plus_seconds(settings.bulk.link_s);
    let target = Target {
        tenant: caller.scope.tenant(),
        job: job.id,
        file: file.number,
        expires: expires.as_millis() / 1000,
    };
    let base = caller.context.base.trim_end_matches("/fhir");
    format!(
        "{base}/bulk/{}/{}?expires={}&signature={}",
        job.id,
        file.number,
        target.expires,
        links::sign(settings, &target)
    )
}

/// Stops a job and removes its files, also those of one that is done.
pub async fn cancel(app: &App, caller: &Caller, id: &str) -> Result<(), AppError> {
    let stored = own(app, caller, id).await?;
    ended(app, caller, &stored, "cancelled by whoever asked for it").await
}

async fn ended(app: &App, caller: &Caller, stored: &Stored, why: &str) -> Result<(), AppError> {
    if matches!(stored.job.state, State::Stopped(_)) {
        return Err(missing());
    }
    let (id, scope) = (stored.job.id, job::scope(caller.scope.tenant()));
    let mut entry = house_entry(app, caller, Log::Access, Class::Job, "bulk-cancel", None);
    entry.payload.query = Some(format!("job={id}"));
    app.store()
        .record_access(&caller.scope, vec![entry])
        .await?;
    work::end(app, &scope, id, State::Stopped(why.to_owned())).await?;
    sweep::remove(app, &scope, id).await
}

/// One job of the tenant, for those who run the tenant: how far it is, never its files.
pub async fn overview(app: &App, caller: &Caller, id: &str) -> Result<Listed, AppError> {
    authorise(app, caller, &Ask::operation(Interaction::ViewHealth)).await?;
    let id = Uuid::try_parse(id).map_err(|_| missing())?;
    let stored = job::load(app, &job::scope(caller.scope.tenant()), id).await?;
    Ok(listed(app, stored.ok_or_else(missing)?.job))
}

/// Stops a job of anybody in the tenant and removes its files, for those who run the tenant.
pub async fn stop(app: &App, caller: &Caller, id: &str) -> Result<(), AppError> {
    authorise(app, caller, &Ask::operation(Interaction::ManageSettings)).await?;
    let id = Uuid::try_parse(id).map_err(|_| missing())?;
    let stored = job::load(app, &job::scope(caller.scope.tenant()), id).await?;
    let stored = stored.ok_or_else(missing)?;
    ended(app, caller, &stored, "stopped by those who run the tenant").await
}

/// The caller's jobs, newest first; all of the tenant for those who run it or its jobs.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Listed>, AppError> {
    let jobs = Ask::operation(Interaction::RunJobs);
    let all = would_allow(app, caller, &jobs).await?
        || would_allow(app, caller, &Ask::operation(Interaction::ViewHealth)).await?;
    if !all {
        allow(app, caller).await?;
    }
    let mut jobs = job::all(app, &job::scope(caller.scope.tenant())).await?;
    jobs.sort_by_key(|stored| std::cmp::Reverse(stored.job.created));
    Ok(jobs
        .into_iter()
        .filter(|stored| all || stored.job.owner.id == caller.subject.actor().id)
        .map(|stored| listed(app, stored.job))
        .collect())
}

fn listed(app: &App, job: Job) -> Listed {
    let expires = matches!(job.state, State::Done).then(|| sweep::expiry(app, &job));
    let (state, why) = match job.state {
        State::Going => ("going", None),
        State::Done => ("done", None),
        State::Failed(why) => ("failed", Some(why)),
        State::Stopped(why) => ("stopped", Some(why)),
    };
    Listed {
        id: job.id,
        kind: match job.work {
            Work::Export(_) => "export",
            Work::Import(_) => "import",
        },
        steps: match &job.work {
            Work::Export(spec) => (job.progress.steps, spec.types.len()),
            Work::Import(spec) => (job.progress.steps, spec.inputs.len()),
        },
        owner: job.owner.name,
        request: job.url,
        created: job.created,
        ended: job.ended,
        state,
        why,
        resources: job.progress.resources,
        bytes: job.progress.bytes,
        files: job.progress.files,
        expires,
    }
}
