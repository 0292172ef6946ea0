//! Fetching a file of a finished job: by its signed link, or by whoever asked for it. Each fetch is an
//! entry of the access ledger before the first byte leaves; then the file is read chunk by chunk.

use std::sync::Arc;

use bytes::Bytes;
use kernel::{TenantScope, Timestamp};
use ledger::leaf::Class;
use ledger::payload::Payload;
use store::keys::Dek;
use store::{Entry, Log};
use uuid::Uuid;

use crate::App;
use crate::bulk::job::{self, Job, State};
use crate::bulk::links::{self, Target};
use crate::bulk::outputs::{self, Part};
use crate::bulk::{status, sweep};
use crate::context::{Caller, RequestContext};
use crate::error::{AppError, SignInError};
use crate::tenants;

/// What somebody who wants a file shows.
#[derive(Debug, Clone)]
pub enum Access {
    /// The link's `expires` and `signature`; and who it is, where a token was shown too.
    Link {
        /// Seconds since the Unix epoch.
        expires: i64,
        /// As it stands in the link.
        signature: String,
        /// The caller, where there is one.
        caller: Option<Box<Caller>>,
    },
    /// A token alone.
    Caller(Box<Caller>),
}

/// A file that may be fetched. Cheap to clone.
#[derive(Clone)]
pub struct Download {
    app: App,
    scope: TenantScope,
    job: Uuid,
    key: Arc<Dek>,
    file: Arc<Part>,
}

fn missing() -> AppError {
    AppError::not_found("file")
}

/// Lets somebody fetch a file, or not.
pub async fn open(
    app: &App,
    slug: &str,
    (id, number): (&str, &str),
    access: Access,
    context: &RequestContext,
) -> Result<Download, AppError> {
    // An address that is no file's answers as one whose link does not hold.
    let refused = || AppError::SignIn(SignInError::Token);
    let tenant = tenants::by_slug(app, slug)
        .await
        .map_err(|error| match error {
            AppError::NotFound { .. } => refused(),
            other => other,
        })?;
    let scope = job::scope(tenant.id);
    let place = Uuid::try_parse(id).ok().zip(number.parse::<u32>().ok());
    let caller = match access {
        Access::Caller(caller) => Some(caller),
        Access::Link {
            expires,
            signature,
            caller,
        } => {
            let (job, file) = place.ok_or_else(refused)?;
            let target = Target {
                tenant: tenant.id,
                job,
                file,
                expires,
            };
            let holds = links::holds(app.settings(), &target, &signature, app.now());
            let enough = caller.is_some() || !app.settings().bulk.links_need_token;
            if !holds || !enough || !tenant.accepts_sign_in() {
                return Err(refused());
            }
            caller
        }
    };
    if let Some(caller) = &caller {
        status::allow(app, caller).await?;
    }
    let (id, number) = place.ok_or_else(missing)?;
    let stored = job::load(app, &scope, id).await?.ok_or_else(missing)?;
    let job = stored.job;
    let foreign = caller
        .as_ref()
        .is_some_and(|caller| caller.subject.actor().id != job.owner.id);
    if foreign || job.state != State::Done || sweep::is_expired(app, &job) {
        return Err(missing());
    }
    let part = job::part(app, &scope, id, &Part::name(number)).await?;
    let file: Part = serde_json::from_slice(&part.ok_or_else(missing)?)?;
    let key = outputs::key(id, &job.secret).ok_or_else(missing)?;
    let entry = fetched(app, &job, &file, caller.is_some(), context);
    app.store().record_access(&scope, vec![entry]).await?;
    Ok(Download {
        app: app.clone(),
        scope,
        job: id,
        key: Arc::new(key),
        file: Arc::new(file),
    })
}

/// The entry of a fetch: its actor is whoever the link was made for.
fn fetched(app: &App, job: &Job, file: &Part, signed_in: bool, context: &RequestContext) -> Entry {
    let mut payload = Payload::new(&job.owner, "bulk-download", job.purpose);
    payload.client_address = context.client_address.map(|address| address.to_string());
    payload.request = Some(context.id);
    payload.query = Some(format!("job={} file={}", job.id, file.file_name()));
    let how = if signed_in {
        "with a token"
    } else {
        "with a signed link"
    };
    payload.outcome_text = Some(format!("{} lines fetched {how}", file.lines));
    let time: Timestamp = app.now();
    Entry::new(app.ids().uuid(), time, Log::Access, Class::Export, payload)
}

impl Download {
    /// Its length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.file.bytes()
    }

    /// What it is called when it is saved.
    #[must_use]
    pub fn name(&self) -> String {
        self.file.file_name()
    }

    /// How many chunks it has.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.file.chunks.len()
    }

    /// The length of a chunk; 0 beyond the last.
    #[must_use]
    pub fn chunk_length(&self, chunk: usize) -> u64 {
        self.file.chunks.get(chunk).copied().map_or(0, u64::from)
    }

    /// A chunk.
    pub async fn chunk(&self, chunk: usize) -> Result<Bytes, AppError> {
        let path = self.file.path(self.job, chunk);
        let sealed = self.app.files()?.file(&self.scope, &path).await?;
        let sealed = sealed.ok_or_else(missing)?;
        let (key, number) = (Arc::clone(&self.key), self.file.number);
        let whose = (self.scope.tenant(), self.job);
        tokio::task::spawn_blocking(move || outputs::unseal(&key, whose, (number, chunk), &sealed))
            .await?
    }
}
