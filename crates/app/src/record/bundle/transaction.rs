//! A transaction: conditions and references are resolved, all resources prepared (on two threads when
//! there are many), and everything committed at once. GET entries see what the commit did, and one that
//! fails fails the whole: what it asks of resources that the transaction leaves alone is answered before
//! the commit; the rest is checked before and answered after, where only the storage can still fail, and
//! such a failure stands in the entry's own answer.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::json::Value;
use futures_util::future::try_join_all;
use kernel::LogicalId;
use store::{Change, CommitError, Guard, Head, HistoryScope, ResourceKey, StoredVersion};

use crate::App;
use crate::authorise::{Allowed, Organizations};
use crate::context::Caller;
use crate::error::AppError;
use crate::idempotency::{self, Kept, KeptEntry, Request as KeyRequest};
use crate::record::bundle::address::{Address, Item, Method, Request};
use crate::record::bundle::links::{self, Links};
use crate::record::bundle::look::Budget;
use crate::record::bundle::{
    BundleAnswer, Done, ORDER, Parsed, SMALL_BYTES, look, on_worker, outcomes,
};
use crate::record::condition::{Condition, Matched};
use crate::record::prepare::{self, Prepared, Slot};
use crate::record::render::{self, ResponseEntry};
use crate::record::{create, delete, etag, name_of, read, update};
use crate::retry::Retry;
use crate::unit::UnitOfWork;

/// Prepared on two threads from this many resources on.
const PARALLEL_FROM: usize = 24;

pub(super) async fn run(
    app: &App,
    caller: &Caller,
    parsed: &Arc<Parsed>,
    key: Option<&KeyRequest>,
    representation: bool,
) -> Result<BundleAnswer, AppError> {
    if let Some(kept) = idempotency::look_up(app, caller, key).await? {
        return replay(app, caller, &kept, representation).await;
    }
    for item in &parsed.items {
        let request = item.asked()?;
        if key.is_some() && request.method == Method::Get {
            return Err(item.error(AppError::Invalid(
                "an Idempotency-Key cannot be used with GET entries: leave them out".to_owned(),
            )));
        }
    }
    let job = Transaction {
        app,
        caller,
        parsed,
        key,
        representation,
    };
    let mut retry = Retry::new();
    loop {
        match job.attempt().await? {
            Attempt::Done(answer) => return Ok(answer),
            Attempt::Lost(error) if idempotency::is_taken(&error) => {
                return match idempotency::look_up(app, caller, key).await? {
                    Some(kept) => replay(app, caller, &kept, representation).await,
                    None => Err(error.into()),
                };
            }
            Attempt::Lost(error) if job.may_repeat(&error) && retry.again().await => {}
            Attempt::Lost(error) => return Err(job.named(error)),
        }
    }
}

/// The same answer again. Bodies are looked at like any other version: what was erased or moved out of
/// reach meanwhile is not in it.
async fn replay(
    app: &App,
    caller: &Caller,
    kept: &Kept,
    representation: bool,
) -> Result<BundleAnswer, AppError> {
    let mut answers = Vec::with_capacity(kept.entries.len());
    for entry in &kept.entries {
        let mut answer = ResponseEntry {
            status: entry.status.clone(),
            location: entry.location.clone(),
            etag: entry.etag.clone(),
            last_modified: entry.last_modified.clone(),
            ..ResponseEntry::default()
        };
        if representation && let Some((key, version)) = entry.version(app)? {
            answer.resource = match read::vread(app, caller, &key, version).await {
                Ok(version) => version.body,
                Err(
                    AppError::NotFound { .. } | AppError::Denied { .. } | AppError::Gone { .. },
                ) => None,
                Err(error) => return Err(error),
            };
        }
        answers.push(answer);
    }
    Ok(BundleAnswer {
        body: render::response("transaction-response", &answers).into(),
        done: Vec::new(),
        receipt: None,
    })
}

enum Attempt {
    Done(BundleAnswer),
    Lost(CommitError),
}

/// What an entry comes to once its conditions are resolved.
enum Step {
    /// A new version of the resource in the slot.
    Write(Slot),
    /// A deletion.
    Delete(ResourceKey, Head, Arc<[LogicalId]>, Allowed),
    /// Nothing to change; the version that is there.
    Existing(Box<StoredVersion>),
    /// Nothing there to delete.
    Absent,
    /// Looked at after the commit.
    Look,
}

/// Where an entry points before heads are known.
enum Target {
    New(TypeId),
    Key(ResourceKey),
    Existing(Box<StoredVersion>),
    Same(usize),
    Nothing,
    Look,
}

struct Transaction<'a> {
    app: &'a App,
    caller: &'a Caller,
    parsed: &'a Arc<Parsed>,
    key: Option<&'a KeyRequest>,
    representation: bool,
}

impl Transaction<'_> {
    async fn attempt(&self) -> Result<Attempt, AppError> {
        let mut guards = Vec::new();
        let targets = self.targets(&mut guards).await?;
        let steps = self.steps(targets).await?;
        let links = Arc::new(self.links(&steps).await?);
        let steps = self.settle_unchanged(steps, &links).await?;
        let mut changes = self.prepare(&steps, links).await?;
        self.add_deletions(&steps, &mut changes);
        let mut answers = self.answers(&steps, &changes);
        changes.sort_by_key(|(index, _)| self.rank(*index));
        let changes: Vec<Change> = changes.into_iter().map(|(_, change)| change).collect();
        let budget = Budget::new(self.app);
        let looks = self.look_before(&changes, &mut answers, &budget).await?;
        let mut receipt = None;
        if !changes.is_empty() {
            match self.commit(guards, changes, &answers).await {
                Ok(found) => receipt = found,
                Err(error) => return Ok(Attempt::Lost(error)),
            }
        }
        self.look_after(looks, &mut answers, &budget).await?;
        Ok(Attempt::Done(BundleAnswer {
            body: render::response("transaction-response", &answers).into(),
            done: outcomes(&mut answers),
            receipt,
        }))
    }

    /// Resolves conditions. A criterion that two creates share makes one resource.
    async fn targets(&self, guards: &mut Vec<Guard>) -> Result<Vec<Target>, AppError> {
        let mut same: HashMap<(TypeId, &str), usize> = HashMap::new();
        let mut targets = Vec::with_capacity(self.parsed.items.len());
        let sent = self.sent_ids();
        for item in &self.parsed.items {
            let request = item.asked()?;
            if let (Address::Type(ty, _), Some(criteria)) =
                (&request.address, &request.if_none_exist)
            {
                if let Some(first) = same.get(&(*ty, criteria.as_str())) {
                    targets.push(Target::Same(*first));
                    continue;
                }
                same.insert((*ty, criteria.as_str()), item.index);
            }
            let sent = sent.get(&item.index).map(String::as_str);
            let target = self.target(request, sent, guards).await;
            targets.push(target.map_err(|error| item.error(error))?);
        }
        Ok(targets)
    }

    async fn target(
        &self,
        request: &Request,
        sent: Option<&str>,
        guards: &mut Vec<Guard>,
    ) -> Result<Target, AppError> {
        let (app, caller) = (self.app, self.caller);
        match (request.method, &request.address) {
            (Method::Get, _) => Ok(Target::Look),
            (Method::Post, Address::Type(ty, _)) => {
                let Some(criteria) = &request.if_none_exist else {
                    return Ok(Target::New(*ty));
                };
                let condition = Condition::parse(app, caller, *ty, criteria)?;
                Ok(match create::matched(app, caller, &condition).await? {
                    Ok(version) => Target::Existing(Box::new(version)),
                    Err(guard) => {
                        guards.push(guard);
                        Target::New(*ty)
                    }
                })
            }
            (_, Address::Instance(key)) => Ok(Target::Key(key.clone())),
            (method, Address::Type(ty, query)) => {
                let condition = Condition::parse(app, caller, *ty, query)?;
                let matched = condition.find(app, caller).await?;
                guards.push(condition.guard(app, caller, &matched));
                if method == Method::Delete {
                    return match matched {
                        Matched::None => Ok(Target::Nothing),
                        Matched::One(found) => Ok(Target::Key(found.key)),
                        Matched::Several => Err(condition.ambiguous(app)),
                    };
                }
                let sent = sent
                    .map(str::parse)
                    .transpose()
                    .map_err(|error: kernel::IdError| AppError::Invalid(error.to_string()))?;
                update::target_of(app, *ty, sent, &matched)
                    .ok_or_else(|| condition.ambiguous(app))?
                    .map(Target::Key)
            }
            _ => Err(AppError::Invalid(
                "request.url does not fit request.method".to_owned(),
            )),
        }
    }

    /// The ids in the bodies of conditional updates, by the index of their entries; one walk for all.
    fn sent_ids(&self) -> HashMap<usize, String> {
        let by_condition = |item: &&Item| {
            matches!(&item.request, Ok(request)
                if request.method == Method::Put && matches!(request.address, Address::Type(..)))
        };
        let wanted: Vec<usize> = self
            .parsed
            .items
            .iter()
            .filter(by_condition)
            .map(|item| item.index)
            .collect();
        if wanted.is_empty() {
            return HashMap::new();
        }
        let resources = self.parsed.resources();
        wanted
            .into_iter()
            .filter_map(|index| {
                let id = resources.get(index).copied().flatten()?.get("id")?;
                Some((index, id.as_str()?.into_owned()))
            })
            .collect()
    }

    /// Looks up all heads at once, checks versions, and gives rows.
    async fn steps(&self, targets: Vec<Target>) -> Result<Vec<Step>, AppError> {
        let keys: Vec<ResourceKey> = targets
            .iter()
            .filter_map(|target| match target {
                Target::Key(key) => Some(key.clone()),
                _ => None,
            })
            .collect();
        let mut seen = std::collections::HashSet::with_capacity(keys.len());
        if let Some(twice) = keys.iter().find(|key| !seen.insert(*key)) {
            return Err(AppError::Invalid(format!(
                "{} is changed by more than one entry: send them as two bundles",
                name_of(twice)
            )));
        }
        let heads = if keys.is_empty() {
            Vec::new()
        } else {
            self.app.store().heads(&self.caller.scope, &keys).await?
        };
        let mut heads = heads.into_iter();
        let mut steps: Vec<Step> = Vec::with_capacity(targets.len());
        for (item, target) in self.parsed.items.iter().zip(targets) {
            let step = match target {
                Target::New(ty) => Step::Write(Slot::first(
                    self.app,
                    ResourceKey {
                        ty,
                        id: LogicalId::from_uuid(self.app.ids().uuid()),
                    },
                )),
                Target::Key(key) => {
                    let head = heads.next().flatten();
                    let step = self.step(item, key, head.as_ref()).await;
                    step.map_err(|error| item.error(error))?
                }
                Target::Existing(version) => Step::Existing(version),
                Target::Same(first) => match steps.get(first) {
                    Some(Step::Write(slot)) => Step::Existing(Box::new(StoredVersion {
                        key: slot.key.clone(),
                        row: slot.row,
                        version: slot.version,
                        version_row: slot.version_row,
                        kind: slot.kind,
                        body: None,
                        erased: false,
                    })),
                    Some(Step::Existing(version)) => Step::Existing(version.clone()),
                    _ => Step::Absent,
                },
                Target::Nothing => Step::Absent,
                Target::Look => Step::Look,
            };
            steps.push(step);
        }
        Ok(steps)
    }

    async fn step(
        &self,
        item: &Item,
        key: ResourceKey,
        head: Option<&Head>,
    ) -> Result<Step, AppError> {
        let request = item.asked()?;
        let (app, caller) = (self.app, self.caller);
        if request.method == Method::Delete {
            let found = delete::found(app, caller, &key).await?;
            // The row may have changed since the heads were looked up: what was decided on counts.
            let head = found.as_ref().map(|(found, _, _)| read::head_of(found));
            update::expect(&key, head.as_ref(), request.if_match)?;
            return Ok(match (found, head) {
                (Some((_, patients, allowed)), Some(head)) if !head.is_deleted() => {
                    Step::Delete(key, head, patients, allowed)
                }
                _ => Step::Absent,
            });
        }
        update::allow_over(app, caller, &key, head, request.if_match).await?;
        update::expect(&key, head, request.if_match)?;
        Slot::upsert(self.app, key, head).map(Step::Write)
    }

    /// What references become: entries by `fullUrl`, conditional references by search.
    async fn links(&self, steps: &[Step]) -> Result<Links, AppError> {
        let mut links = Links::default();
        for (item, step) in self.parsed.items.iter().zip(steps) {
            let key = match step {
                Step::Write(slot) => &slot.key,
                Step::Existing(version) => &version.key,
                _ => continue,
            };
            if let Some(full_url) = &item.full_url {
                let stored = name_of(key);
                if *full_url != stored && !links.add(full_url, render::type_name(key.ty), &stored) {
                    let text = "another entry has the same fullUrl: give each its own";
                    return Err(item.error(AppError::Invalid(text.to_owned())));
                }
            }
        }
        let conditional = {
            let resources = self.parsed.resources();
            links::conditional_references(self.app, &resources)
        };
        let found = try_join_all(conditional.into_iter().map(
            |(reference, (index, ty))| async move {
                match links::find(self.app, self.caller, &reference, ty).await {
                    Ok(stored) => Ok((reference, stored)),
                    Err(error) => Err(self.entry_error(index, error)),
                }
            },
        ))
        .await?;
        for (reference, stored) in found {
            links.resolve(reference, stored);
        }
        Ok(links)
    }

    /// Updates that would store what is stored already become no change: the current version answers.
    async fn settle_unchanged(
        &self,
        mut steps: Vec<Step>,
        links: &Arc<Links>,
    ) -> Result<Vec<Step>, AppError> {
        let mut current = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            if let Step::Write(slot) = step
                && slot.kind == store::ChangeKind::Update
            {
                let found = self.app.store().read(&self.caller.scope, &slot.key).await?;
                current.extend(found.map(|found| (index, found)));
            }
        }
        if current.is_empty() {
            return Ok(steps);
        }
        let (parsed, links) = (self.parsed.clone(), links.clone());
        let small = parsed.document.root().raw().len() < SMALL_BYTES;
        let same = on_worker(small, move || {
            let resources = parsed.resources();
            let dangling = RefCell::new(None);
            let rewrite = |reference: &str| links.target(reference, &dangling);
            current.retain(|(index, version)| {
                let resource = resources.get(*index).copied().flatten();
                resource.is_some_and(|resource| prepare::is_same(resource, version, Some(&rewrite)))
            });
            current
        })
        .await?;
        for (index, version) in same {
            if let Some(step) = steps.get_mut(index) {
                *step = Step::Existing(Box::new(version));
            }
        }
        Ok(steps)
    }

    /// Prepares every write.
    async fn prepare(
        &self,
        steps: &[Step],
        links: Arc<Links>,
    ) -> Result<Vec<(usize, Change)>, AppError> {
        let slots: Vec<(usize, Slot)> = steps
            .iter()
            .enumerate()
            .filter_map(|(index, step)| match step {
                Step::Write(slot) => Some((index, slot.clone())),
                _ => None,
            })
            .collect();
        let work = Work {
            app: self.app.clone(),
            caller: self.caller.clone(),
            parsed: self.parsed.clone(),
            links,
        };
        let small = self.parsed.document.root().raw().len() < SMALL_BYTES;
        let prepared = on_worker(small, move || work.run(slots)).await?;
        let prepared = prepared.map_err(|(index, error)| self.entry_error(index, error))?;
        let known: Organizations = prepared
            .iter()
            .filter_map(|(_, prepared)| prepared.patient(self.app))
            .collect();
        let mut changes = Vec::with_capacity(prepared.len());
        for (index, prepared) in prepared {
            let item = self.parsed.items.get(index);
            let hide = item
                .and_then(|item| item.request.as_ref().ok())
                .is_some_and(|request| request.method == Method::Put);
            let change = prepared
                .allow(self.app, self.caller, Some(&known), hide)
                .await;
            changes.push((
                index,
                change.map_err(|error| self.entry_error(index, error))?,
            ));
        }
        Ok(changes)
    }

    fn add_deletions(&self, steps: &[Step], changes: &mut Vec<(usize, Change)>) {
        for (index, step) in steps.iter().enumerate() {
            if let Step::Delete(key, head, patients, allowed) = step {
                let mut change =
                    prepare::deletion(self.app, self.caller, key.clone(), head, patients);
                allowed.mark(&mut change.entry);
                changes.push((index, change));
            }
        }
    }

    fn answers(&self, steps: &[Step], changes: &[(usize, Change)]) -> Vec<ResponseEntry> {
        let mut answers: Vec<ResponseEntry> = steps
            .iter()
            .map(|step| match step {
                Step::Existing(version) => ResponseEntry {
                    done: Done::Unchanged,
                    ..look::written(
                        version,
                        false,
                        version.body.clone().filter(|_| self.representation),
                    )
                },
                Step::Absent => ResponseEntry {
                    status: "204 No Content".to_owned(),
                    ..ResponseEntry::default()
                },
                _ => ResponseEntry::default(),
            })
            .collect();
        for (index, change) in changes {
            let Some(slot) = answers.get_mut(*index) else {
                continue;
            };
            *slot = if change.body.is_empty() {
                ResponseEntry {
                    status: "204 No Content".to_owned(),
                    etag: Some(etag(change.version)),
                    ..ResponseEntry::default()
                }
            } else {
                let created = change.kind.is_create();
                let body = self
                    .representation
                    .then(|| Bytes::copy_from_slice(&change.body));
                look::written(&outline(change), created, body)
            };
        }
        answers
    }

    async fn commit(
        &self,
        guards: Vec<Guard>,
        changes: Vec<Change>,
        answers: &[ResponseEntry],
    ) -> Result<Option<crate::record::WriteReceipt>, CommitError> {
        let mut unit = UnitOfWork::begin(self.app, &self.caller.scope);
        for guard in guards {
            unit = unit.guard(guard);
        }
        if let Some(key) = self.key {
            let kept = Kept {
                entries: answers.iter().map(keep).collect(),
                ..Kept::default()
            };
            unit = unit.doc(key.keep(self.app, &kept));
        }
        let Some(unit) = unit.changes(changes) else {
            return Ok(None);
        };
        unit.commit().await.map(crate::record::first_receipt)
    }

    /// Answers or checks the GET entries before anything is committed; the first that fails fails all.
    /// Gives those that are to be answered after the commit.
    async fn look_before(
        &self,
        changes: &[Change],
        answers: &mut [ResponseEntry],
        budget: &Budget,
    ) -> Result<Vec<&Item>, AppError> {
        let mut after = Vec::new();
        let looks = |item: &&Item| matches!(&item.request, Ok(one) if one.method == Method::Get);
        if !self.parsed.items.iter().any(|item| looks(&item)) {
            return Ok(after);
        }
        let changed: HashMap<&ResourceKey, &Change> =
            changes.iter().map(|change| (&change.key, change)).collect();
        for item in self.parsed.items.iter().filter(looks) {
            let request = item.asked()?;
            match seen(request, &changed) {
                Seen::Before => {
                    let answer = look::look(self.app, self.caller, request, budget).await;
                    let answer = answer.map_err(|error| item.error(error))?;
                    if let Some(slot) = answers.get_mut(item.index) {
                        *slot = answer;
                    }
                }
                Seen::After { made } => {
                    let checked = look::check(self.app, self.caller, request, made).await;
                    checked.map_err(|error| item.error(error))?;
                    after.push(item);
                }
                Seen::Deleted(key, version) => {
                    return Err(item.error(AppError::Gone {
                        what: name_of(key),
                        version: Some(version),
                        erased: false,
                    }));
                }
            }
        }
        Ok(after)
    }

    /// Answers the GET entries that see what was committed.
    async fn look_after(
        &self,
        looks: Vec<&Item>,
        answers: &mut [ResponseEntry],
        budget: &Budget,
    ) -> Result<(), AppError> {
        for item in looks {
            let request = item.asked()?;
            let answer = look::look(self.app, self.caller, request, budget).await;
            if let Some(slot) = answers.get_mut(item.index) {
                *slot = answer.unwrap_or_else(|error| look::failed(&error));
            }
        }
        Ok(())
    }

    fn rank(&self, index: usize) -> (usize, usize) {
        let method = self
            .parsed
            .items
            .get(index)
            .and_then(|item| item.request.as_ref().ok())
            .map(|request| request.method);
        let place = ORDER.iter().position(|other| Some(*other) == method);
        (place.unwrap_or(ORDER.len()), index)
    }

    fn entry_error(&self, index: usize, error: AppError) -> AppError {
        match self.parsed.items.get(index) {
            Some(item) => item.error(error),
            None => error,
        }
    }

    /// A race lost by entries that named no version can be run again.
    fn may_repeat(&self, error: &CommitError) -> bool {
        match error {
            CommitError::GuardChanged { .. } => true,
            CommitError::Stale { key, .. } => self
                .item_of(key)
                .and_then(|item| item.request.as_ref().ok())
                .is_none_or(|request| request.if_match.is_none()),
            _ => false,
        }
    }

    fn item_of(&self, key: &ResourceKey) -> Option<&Item> {
        self.parsed.items.iter().find(|item| {
            matches!(&item.request, Ok(request) if request.address == Address::Instance(key.clone()))
        })
    }

    fn named(&self, error: CommitError) -> AppError {
        let item = match &error {
            CommitError::Stale { key, .. } => self.item_of(key),
            _ => None,
        };
        match item {
            Some(item) => item.error(error.into()),
            None => error.into(),
        }
    }
}

/// When a GET entry is answered.
enum Seen<'a> {
    /// Before the commit, which does not touch what it asks for.
    Before,
    /// After it; `made` says that the resource is written by it.
    After { made: bool },
    /// Never: the transaction deletes what it asks for.
    Deleted(&'a ResourceKey, kernel::VersionId),
}

fn seen<'a>(request: &'a Request, changed: &HashMap<&ResourceKey, &Change>) -> Seen<'a> {
    match &request.address {
        Address::Instance(key) => match changed.get(key) {
            None => Seen::Before,
            Some(change) if change.body.is_empty() => Seen::Deleted(key, change.version),
            Some(_) => Seen::After { made: true },
        },
        Address::Version(key, version) => match changed.get(key) {
            Some(change) if change.version == *version && change.body.is_empty() => {
                Seen::Deleted(key, change.version)
            }
            Some(change) if change.version == *version => Seen::After { made: true },
            _ => Seen::Before,
        },
        Address::History(HistoryScope::Instance(key), _) => Seen::After {
            made: changed.contains_key(key),
        },
        Address::Type(..) | Address::History(..) => Seen::After { made: false },
    }
}

// What is kept of an answer: no body, so that nothing outlives an erasure.
fn keep(answer: &ResponseEntry) -> KeptEntry {
    KeptEntry {
        status: answer.status.clone(),
        location: answer.location.clone(),
        etag: answer.etag.clone(),
        last_modified: answer.last_modified.clone(),
    }
}

// A change without its body, for the answer.
fn outline(change: &Change) -> StoredVersion {
    StoredVersion {
        key: change.key.clone(),
        row: change.row,
        version: change.version,
        version_row: change.version_row,
        kind: change.kind,
        body: None,
        erased: false,
    }
}

/// The CPU part, owned, so that it can run on another thread.
struct Work {
    app: App,
    caller: Caller,
    parsed: Arc<Parsed>,
    links: Arc<Links>,
}

type Ready = Result<Vec<(usize, Prepared)>, (usize, AppError)>;

impl Work {
    fn run(&self, mut slots: Vec<(usize, Slot)>) -> Ready {
        let resources = self.parsed.resources();
        if slots.len() < PARALLEL_FROM {
            return self.some(&resources, slots);
        }
        let second = slots.split_off(slots.len() / 2);
        let (first, second) = std::thread::scope(|scope| {
            let other = scope.spawn(|| self.some(&resources, second));
            let first = self.some(&resources, slots);
            (first, other.join())
        });
        let mut changes = first?;
        let Ok(second) = second else {
            let error = AppError::Fault("a preparing thread failed".to_owned());
            return Err((0, error));
        };
        changes.extend(second?);
        Ok(changes)
    }

    fn some(&self, resources: &[Option<Value<'_>>], slots: Vec<(usize, Slot)>) -> Ready {
        let mut changes = Vec::with_capacity(slots.len());
        for (index, slot) in slots {
            let Some(resource) = resources.get(index).copied().flatten() else {
                continue;
            };
            let change = self
                .one(index, resource, slot)
                .map_err(|error| (index, error))?;
            changes.push((index, change));
        }
        Ok(changes)
    }

    fn one(&self, index: usize, resource: Value<'_>, slot: Slot) -> Result<Prepared, AppError> {
        if resource.raw().len() > self.app.settings().limits.resource_bytes {
            return Err(AppError::TooLarge(format!(
                "the resource has {} bytes, the limit is {}: split it",
                resource.raw().len(),
                self.app.settings().limits.resource_bytes
            )));
        }
        prepare::check(&self.app, resource, slot.key.ty)?;
        let request = self.parsed.items.get(index).map(Item::asked).transpose()?;
        if let Some(request) = request
            && matches!(request.address, Address::Instance(_))
        {
            prepare::check_id(resource, &slot.key.id)?;
        }
        let dangling = RefCell::new(None);
        let rewrite = |reference: &str| self.links.target(reference, &dangling);
        // Without links nothing is replaced, but a dangling `urn:` must still be found.
        let links_nothing = self.links.is_empty() && !mentions_urn(resource);
        let change = if links_nothing {
            prepare::change(&self.app, &self.caller, slot, resource, None)?
        } else {
            prepare::change(&self.app, &self.caller, slot, resource, Some(&rewrite))?
        };
        match dangling.into_inner() {
            None => Ok(change),
            Some(urn) => Err(AppError::Unprocessable(format!(
                "the reference {urn:?} points to no entry of this bundle: add the entry or correct the reference"
            ))),
        }
    }
}

fn mentions_urn(resource: Value<'_>) -> bool {
    resource.raw().windows(4).any(|window| window == b"urn:")
}
