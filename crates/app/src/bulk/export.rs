//! An export being worked on: type by type, page by page of the snapshot, in chunks that may hold several
//! types. Each chunk is on disk, and the looks at its patients are recorded, before the cursor moves past
//! it; memory holds one chunk, the page being taken and the next one, which is read meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fhir::definitions::TypeId;
use futures_util::{StreamExt as _, TryStreamExt as _};
use identity::Interaction;
use kernel::{LogicalId, TenantScope, Timestamp};
use ledger::leaf::Class;
use store::keys::Dek;
use store::{SnapshotPage, SnapshotQuery, StoreError, StoredVersion};

use crate::App;
use crate::authorise::{Allowed, Ask, authorise, would_allow};
use crate::bulk::job::{self, ExportSpec, State, Stored};
use crate::bulk::kickoff::PATIENTS;
use crate::bulk::outputs::{self, Lines, Role};
use crate::bulk::sieve::{Kept, Sieve};
use crate::bulk::work::End;
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::AppError;
use crate::jobs::Lease;
use crate::record::{narrow, read};

/// Versions of a page at most.
const PAGE: u32 = 2_000;
/// Bytes of bodies after which a page ends.
const PAGE_BYTES: usize = 1 << 20;
/// Files written at a time.
const WRITES: usize = 8;
/// What names the type of a line that says what was deleted.
const BUNDLE: &str = "Bundle";
/// How often the lease is renewed, and the cursor kept where nothing is found, in seconds.
const BREATH_S: i64 = 5;
/// Patients remembered as looked at, and decisions remembered; beyond, some are repeated.
const REMEMBERED: usize = 1 << 20;
const DECISIONS: usize = 1 << 16;

/// An export being worked on.
struct Run<'a> {
    app: &'a App,
    scope: &'a TenantScope,
    caller: Caller,
    allowed: Allowed,
    stored: Stored,
    spec: ExportSpec,
    sieve: Arc<Sieve>,
    key: Arc<Dek>,
    lease: &'a Lease,
    chunk: Chunk,
    looked_at: HashSet<LogicalId>,
    decided: HashMap<(TypeId, Vec<LogicalId>), bool>,
    breath: Timestamp,
}

/// What the next write will hold.
#[derive(Default)]
struct Chunk {
    files: Vec<(Role, &'static str, Lines)>,
    bytes: usize,
    patients: Vec<LogicalId>,
}

impl Chunk {
    fn push(&mut self, role: Role, ty: &'static str, line: &[u8]) {
        self.bytes += line.len() + 1;
        // What was added last is asked for first: types come one after the other.
        let mut files = self.files.iter_mut().rev();
        if let Some((.., lines)) = files.find(|(of, name, _)| (*of, *name) == (role, ty)) {
            return lines.push(line);
        }
        let mut lines = Lines::default();
        lines.push(line);
        self.files.push((role, ty, lines));
    }
}

/// A page on its way, so that it is read while the one before is taken and written.
type Coming = tokio::task::JoinHandle<Result<SnapshotPage, StoreError>>;

/// Works on an export until it is done, lost or fails.
pub(super) async fn run(
    app: &App,
    scope: &TenantScope,
    stored: Stored,
    spec: ExportSpec,
    lease: &Lease,
) -> Result<End, AppError> {
    let caller = job::owner(app, scope, &stored.job).await?;
    let allowed = authorise(app, &caller, &Ask::operation(Interaction::Export)).await?;
    let id = stored.job.id;
    let Some(key) = outputs::key(id, &stored.job.secret) else {
        return Ok(End::Lost);
    };
    let listed: Option<HashSet<LogicalId>> = if spec.listed {
        let body = job::part(app, scope, id, PATIENTS).await?;
        let body = body.ok_or_else(|| AppError::Fault("a job lacks its patients".to_owned()))?;
        Some(serde_json::from_slice(&body)?)
    } else {
        None
    };
    let base = &stored.job.base;
    let sieve = Sieve::new(app.definitions(), &spec, listed, base, stored.job.created)?;
    let run = Run {
        app,
        scope,
        caller,
        allowed,
        spec,
        sieve: Arc::new(sieve),
        key: Arc::new(key),
        lease,
        chunk: Chunk::default(),
        looked_at: HashSet::new(),
        decided: HashMap::new(),
        breath: app.now(),
        stored,
    };
    if !run.settled().await? {
        return Ok(End::Lost);
    }
    run.all().await
}

impl Run<'_> {
    /// Waits until nothing from before the snapshot can be committed any more.
    async fn settled(&self) -> Result<bool, AppError> {
        let from =
            Timestamp::from_millis(self.spec.at.unix_ms() + self.app.settings().bulk.settle_ms);
        let mut waited = 0u32;
        while self.app.now() < from {
            tokio::time::sleep(Duration::from_millis(5)).await;
            waited += 1;
            if waited.is_multiple_of(2000) && !self.lease.renew(self.app).await? {
                return Ok(false);
            }
        }
        self.app.store().fence(self.scope, self.spec.at).await?;
        Ok(true)
    }

    async fn all(mut self) -> Result<End, AppError> {
        let mut coming = self.begin_page()?;
        while let Some((ty, page)) = coming.take() {
            let page = page.await??;
            let last = page.versions.last().map(|version| version.version_row);
            // Where the page ends; nothing of it is on disk before the chunk is.
            let progress = &mut self.stored.job.progress;
            progress.after = page.next.and(last);
            if page.next.is_none() {
                progress.steps += 1;
            }
            coming = self.begin_page()?;
            if !page.versions.is_empty() {
                self.take(ty, page.versions).await?;
            }
            let full = self.chunk.bytes >= self.app.settings().bulk.chunk_bytes;
            let tired = self.app.now().seconds_since(self.breath) >= BREATH_S;
            if (full || tired) && self.flush(false).await? == End::Lost {
                return Ok(End::Lost);
            }
        }
        self.flush(true).await
    }

    /// Begins to read the page at the cursor; none after the last type.
    fn begin_page(&self) -> Result<Option<(TypeId, Coming)>, AppError> {
        let progress = &self.stored.job.progress;
        let Some(name) = self.spec.types.get(progress.steps) else {
            return Ok(None);
        };
        let ty = self.app.definitions().resource(name).ok_or_else(|| {
            AppError::Fault("an export asks for a type that is unknown".to_owned())
        })?;
        let query = SnapshotQuery {
            ty,
            at: self.spec.at,
            since: self.spec.since,
            after: progress.after,
            limit: PAGE,
            bytes: self.app.settings().bulk.chunk_bytes.clamp(1, PAGE_BYTES),
        };
        let (app, scope) = (self.app.clone(), self.scope.clone());
        let read = async move { app.store().snapshot(&scope, &query).await };
        Ok(Some((ty, tokio::spawn(read))))
    }

    /// Takes what belongs to the export of a page.
    async fn take(&mut self, ty: TypeId, versions: Vec<StoredVersion>) -> Result<(), AppError> {
        let narrowed = narrow::is_narrowed(self.app, &self.caller, Interaction::Search, ty);
        let gone: Vec<StoredVersion> = if self.spec.since.is_some() {
            versions
                .iter()
                .filter(|version| version.body.is_none() && !version.erased)
                .cloned()
                .collect()
        } else {
            Vec::new()
        };
        let sieve = Arc::clone(&self.sieve);
        let kept = tokio::task::spawn_blocking(move || sieve.page(versions, narrowed)).await??;
        for item in kept {
            if !narrowed || self.may_see(&item).await? {
                self.add(item);
            }
        }
        self.delete(ty, gone, narrowed).await
    }

    async fn may_see(&mut self, item: &Kept) -> Result<bool, AppError> {
        let patients = item.patients.clone().unwrap_or_default();
        self.decide(&item.version, patients).await
    }

    async fn decide(
        &mut self,
        version: &StoredVersion,
        patients: Vec<LogicalId>,
    ) -> Result<bool, AppError> {
        // What is about nobody is decided by itself.
        let ask = Ask::record(Interaction::Search, &version.key, &patients);
        // Roles reach patients type by type.
        let case = (version.key.ty, patients.clone());
        if let Some(known) = self.decided.get(&case).filter(|_| !patients.is_empty()) {
            return Ok(*known);
        }
        let allowed = would_allow(self.app, &self.caller, &ask).await?;
        if self.decided.len() >= DECISIONS {
            self.decided.clear();
        }
        self.decided.insert(case, allowed);
        Ok(allowed)
    }

    fn add(&mut self, item: Kept) {
        let name = self.app.definitions().resource_name(item.version.key.ty);
        self.chunk.push(Role::Output, name, &item.body);
        for patient in item.mentioned {
            if self.looked_at.len() >= REMEMBERED {
                self.looked_at.clear();
            }
            if self.looked_at.insert(patient.clone()) {
                self.chunk.patients.push(patient);
            }
        }
    }

    /// Says what was deleted: a bundle for each.
    async fn delete(
        &mut self,
        ty: TypeId,
        gone: Vec<StoredVersion>,
        narrowed: bool,
    ) -> Result<(), AppError> {
        let name = self.app.definitions().resource_name(ty);
        for version in gone {
            if narrowed || self.sieve.is_of_patients() {
                let patients = read::patients_now(self.app, &self.caller, &version).await?;
                let wanted = self.sieve.wants(&patients);
                if !wanted || (narrowed && !self.decide(&version, patients.to_vec()).await?) {
                    continue;
                }
            }
            let bundle = serde_json::json!({
                "resourceType": "Bundle",
                "type": "transaction",
                "entry": [{ "request": {
                    "method": "DELETE", "url": format!("{name}/{}", version.key.id),
                }}],
            });
            let line = bundle.to_string();
            self.chunk.push(Role::Deleted, BUNDLE, line.as_bytes());
        }
        Ok(())
    }

    /// Writes the chunk and moves the cursor: both or neither, as far as anybody can tell. What ends, is done
    /// with that.
    async fn flush(&mut self, ends: bool) -> Result<End, AppError> {
        let chunk = std::mem::take(&mut self.chunk);
        let (app, scope) = (self.app, self.scope);
        let mut writes = Vec::with_capacity(chunk.files.len());
        for (role, ty, lines) in chunk.files {
            let job = &mut self.stored.job;
            job.progress.resources += lines.count;
            job.progress.bytes += lines.text.len() as u64;
            writes.extend(outputs::begin(
                app,
                scope,
                &self.key,
                job,
                (role, ty),
                lines,
            )?);
        }
        // Several at a time: each waits for the disk.
        let mut written = futures_util::stream::iter(writes).buffer_unordered(WRITES);
        while written.try_next().await?.is_some() {}
        drop(written);
        self.look(&chunk.patients).await?;
        let most = app.settings().bulk.file_bytes;
        let job = &mut self.stored.job;
        let now = self.spec.types.get(job.progress.steps);
        let parts = outputs::close(app, job, |file| {
            let goes_on = Some(&file.ty) == now || file.role == Role::Deleted;
            ends || !goes_on || file.bytes() >= most
        })?;
        if ends {
            job.state = State::Done;
            job.ended = Some(app.now());
        }
        self.within_limits()?;
        if !job::save(app, scope, &mut self.stored, parts).await? {
            return Ok(End::Lost);
        }
        self.breathe().await
    }

    /// Holds on to the lease.
    async fn breathe(&mut self) -> Result<End, AppError> {
        if self.app.now().seconds_since(self.breath) < BREATH_S {
            return Ok(End::Done);
        }
        self.breath = self.app.now();
        let held = self.lease.renew(self.app).await?;
        Ok(if held { End::Done } else { End::Lost })
    }

    /// Records a look at each patient that was not looked at before.
    async fn look(&self, patients: &[LogicalId]) -> Result<(), AppError> {
        if patients.is_empty() {
            return Ok(());
        }
        let query = format!("job={}", self.stored.job.id);
        let look = Look {
            class: Class::Export,
            object: None,
            query: Some(&query),
            patients,
            allowed: &self.allowed,
        };
        let entries = look_entries(self.app, &self.caller, &look);
        Ok(self.app.store().record_access(self.scope, entries).await?)
    }

    fn within_limits(&self) -> Result<(), AppError> {
        let limits = &self.app.settings().bulk;
        let job = &self.stored.job;
        if job.progress.bytes > limits.most_bytes {
            return Err(AppError::TooLarge(format!(
                "the export is larger than {} bytes: ask for fewer types, or with _since",
                limits.most_bytes
            )));
        }
        if self.app.now().seconds_since(job.created) > limits.most_seconds {
            return Err(AppError::TooLarge(format!(
                "the export took longer than {} s: ask for fewer types, or with _since",
                limits.most_seconds
            )));
        }
        Ok(())
    }
}
