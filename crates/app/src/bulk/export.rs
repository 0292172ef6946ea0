//! An export being worked on: type by type, page by page of the snapshot, in chunks. Each chunk is on disk,
//! and the looks at its patients are recorded, before the cursor moves past it; memory holds one chunk.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fhir::definitions::TypeId;
use identity::Interaction;
use kernel::{LogicalId, RowId, TenantScope, Timestamp};
use ledger::leaf::Class;
use store::keys::Dek;
use store::{SnapshotQuery, StoredVersion};

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
    lines: Lines,
    deleted: Lines,
    patients: Vec<LogicalId>,
}

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
            tokio::time::sleep(Duration::from_millis(20)).await;
            waited += 1;
            if waited.is_multiple_of(500) && !self.lease.renew(self.app).await? {
                return Ok(false);
            }
        }
        self.app.store().fence(self.scope, self.spec.at).await?;
        Ok(true)
    }

    async fn all(mut self) -> Result<End, AppError> {
        while let Some(name) = self.spec.types.get(self.stored.job.progress.steps) {
            let definitions = self.app.definitions();
            let ty = definitions.resource(name).ok_or_else(|| {
                AppError::Fault("an export asks for a type that is unknown".to_owned())
            })?;
            if self.of_type(ty).await? == End::Lost {
                return Ok(End::Lost);
            }
        }
        self.stored.job.state = State::Done;
        self.stored.job.ended = Some(self.app.now());
        let parts = outputs::close(self.app, &mut self.stored.job, |_| true)?;
        Ok(
            if job::save(self.app, self.scope, &mut self.stored, parts).await? {
                End::Done
            } else {
                End::Lost
            },
        )
    }

    async fn of_type(&mut self, ty: TypeId) -> Result<End, AppError> {
        let mut after = self.stored.job.progress.after;
        // What is in memory only is read again after a crash.
        let mut last = after;
        loop {
            let room = self.room();
            let query = SnapshotQuery {
                ty,
                at: self.spec.at,
                since: self.spec.since,
                after,
                limit: PAGE,
                bytes: room,
            };
            let page = self.app.store().snapshot(self.scope, &query).await?;
            last = page
                .versions
                .last()
                .map_or(last, |version| Some(version.version_row));
            if !page.versions.is_empty() {
                self.take(ty, page.versions).await?;
            }
            after = page.next;
            let full = self.room() <= 1;
            let tired = self.app.now().seconds_since(self.breath) >= BREATH_S;
            if (full || tired) && after.is_some() && self.flush(ty, last, false).await? == End::Lost
            {
                return Ok(End::Lost);
            }
            if after.is_none() {
                return self.finish_type(ty).await;
            }
        }
    }

    async fn finish_type(&mut self, ty: TypeId) -> Result<End, AppError> {
        let nothing = self.chunk.lines.is_empty()
            && self.chunk.deleted.is_empty()
            && self.stored.job.progress.open.is_empty();
        if nothing {
            // Types without resources cost no write of their own.
            self.stored.job.progress.steps += 1;
            self.stored.job.progress.after = None;
            return self.breathe().await;
        }
        self.flush(ty, None, true).await
    }

    /// Bytes that still fit into the chunk, at least 1.
    fn room(&self) -> usize {
        let held = self.chunk.lines.text.len() + self.chunk.deleted.text.len();
        self.app
            .settings()
            .bulk
            .chunk_bytes
            .saturating_sub(held)
            .max(1)
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
        self.chunk.lines.push(&item.body);
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
            self.chunk.deleted.push(bundle.to_string().as_bytes());
        }
        Ok(())
    }

    /// Writes the chunk and moves the cursor: both or neither, as far as anybody can tell.
    async fn flush(
        &mut self,
        ty: TypeId,
        after: Option<RowId>,
        ends_type: bool,
    ) -> Result<End, AppError> {
        let chunk = std::mem::take(&mut self.chunk);
        let name = self.app.definitions().resource_name(ty);
        for (role, ty, lines) in [
            (Role::Output, name, chunk.lines),
            (Role::Deleted, "Bundle", chunk.deleted),
        ] {
            let job = &mut self.stored.job;
            job.progress.resources += lines.count;
            job.progress.bytes += lines.text.len() as u64;
            outputs::append(self.app, self.scope, &self.key, job, (role, ty), lines).await?;
        }
        self.look(&chunk.patients).await?;
        let progress = &mut self.stored.job.progress;
        progress.after = after;
        if ends_type {
            progress.steps += 1;
        }
        let most = self.app.settings().bulk.file_bytes;
        let job = &mut self.stored.job;
        let parts = outputs::close(self.app, job, |file| ends_type || file.bytes() >= most)?;
        self.within_limits()?;
        if !job::save(self.app, self.scope, &mut self.stored, parts).await? {
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
