//! A transaction: conditions and references are resolved, all resources prepared (on two threads when
//! there are many), and everything committed at once. GET entries see what the commit did, and one that
//! fails fails the whole: what it asks of resources that the transaction leaves alone is answered before
//! the commit; the rest is checked before and answered after, where only the storage can still fail, and
//! such a failure stands in the entry's own answer.

mod answers;
mod looks;
mod resolve;
mod work;

use std::sync::Arc;

use fhir::json::Document;
use kernel::LogicalId;
use store::{Change, CommitError, DocWrite, Guard, Head, ResourceKey, StoredVersion};

use crate::App;
use crate::authorise::Allowed;
use crate::context::Caller;
use crate::error::AppError;
use crate::idempotency::{self, Kept, Request as KeyRequest};
use crate::medicines::signatures::refuse_held;
use crate::record::bundle::address::{Address, Item, Method};
use crate::record::bundle::look::Budget;
use crate::record::bundle::{Beside, BundleAnswer, Done, ORDER, Parsed, outcomes};
use crate::record::prepare::Slot;
use crate::record::render::{self, ResponseEntry};
use crate::record::{integrity, name_of, read};
use crate::retry::Retry;
use crate::unit::UnitOfWork;

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
            done: match entry.stored {
                Some(true) => Done::Stored,
                Some(false) => Done::Unchanged,
                None => Done::Other,
            },
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
        done: outcomes(&mut answers),
        receipt: None,
    })
}

enum Attempt {
    Done(BundleAnswer),
    Lost(CommitError),
}

/// What an entry comes to once its conditions are resolved.
enum Step {
    /// A new version of the resource in the slot: the entry's resource, or what its patch makes of the
    /// version that is there.
    Write(Slot, Option<Arc<Document>>),
    /// A deletion.
    Delete(ResourceKey, Head, Arc<[LogicalId]>, Allowed),
    /// Several deletions by one entry.
    Each(Vec<Step>),
    /// Nothing to change; the version that is there.
    Existing(Box<StoredVersion>),
    /// Nothing there to delete.
    Absent,
    /// Looked at after the commit.
    Look,
}

fn guard_changed() -> AppError {
    AppError::Conflict("the record changed while it was looked at: try again".to_owned())
}

/// A transaction to do.
pub(super) struct Transaction<'a> {
    pub app: &'a App,
    pub caller: &'a Caller,
    pub parsed: &'a Arc<Parsed>,
    pub key: Option<&'a KeyRequest>,
    /// What must still be so beside what the entries ask, and what is committed with them.
    pub beside: Beside,
    pub representation: bool,
}

impl Transaction<'_> {
    pub(super) async fn run(&self) -> Result<BundleAnswer, AppError> {
        let (app, caller, key) = (self.app, self.caller, self.key);
        if let Some(kept) = idempotency::look_up(app, caller, key).await? {
            return replay(app, caller, &kept, self.representation).await;
        }
        for item in &self.parsed.items {
            let request = item.asked()?;
            if key.is_some() && request.method == Method::Get {
                return Err(item.error(AppError::Invalid(
                    "an Idempotency-Key cannot be used with GET entries: leave them out".to_owned(),
                )));
            }
        }
        let mut retry = Retry::new();
        loop {
            match self.attempt().await? {
                Attempt::Done(answer) => return Ok(answer),
                Attempt::Lost(error) if idempotency::is_taken(&error) => {
                    return match idempotency::look_up(app, caller, key).await? {
                        Some(kept) => replay(app, caller, &kept, self.representation).await,
                        None => Err(error.into()),
                    };
                }
                // Which of the guards changed is not known: whoever gave some looks again.
                Attempt::Lost(CommitError::GuardChanged { .. })
                    if !self.beside.guards.is_empty() =>
                {
                    return Err(guard_changed());
                }
                Attempt::Lost(error) if self.may_repeat(&error) && retry.again().await => {}
                Attempt::Lost(error) => return Err(self.named(error)),
            }
        }
    }

    async fn attempt(&self) -> Result<Attempt, AppError> {
        let mut guards = self.beside.guards.clone();
        let targets = self.targets(&mut guards).await?;
        let steps = self.steps(targets).await?;
        let links = Arc::new(self.links(&steps).await?);
        let steps = self.settle_unchanged(steps, &links).await?;
        let mut changes = self.prepare(&steps, links).await?;
        self.add_deletions(&steps, &mut changes);
        let mut answers = self.answers(&steps, &changes);
        changes.sort_by_key(|(index, _)| self.rank(*index));
        let changes: Vec<Change> = changes.into_iter().map(|(_, change)| change).collect();
        guards.extend(integrity::guards(self.app, self.caller, &changes).await?);
        let docs = self.docs(&steps)?;
        refuse_held(self.app, self.caller, &changes, &docs).await?;
        let budget = Budget::new(self.app);
        let looks = self.look_before(&changes, &mut answers, &budget).await?;
        let mut receipt = None;
        if changes.is_empty() && docs.is_empty() {
            // Guards hold in a commit alone, and there is none.
            if !self.beside.guards.is_empty() {
                return Err(guard_changed());
            }
            if let Err(error) = self.keep(&answers).await {
                return Ok(Attempt::Lost(error));
            }
        } else {
            match self.commit(guards, (changes, docs), &answers).await {
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

    /// The documents beside the resources, those among them that name what is stored.
    fn docs(&self, steps: &[Step]) -> Result<Vec<DocWrite>, AppError> {
        let mut docs = self.beside.docs.clone();
        if let Some(naming) = &self.beside.naming {
            let names = steps.iter().map(|step| match step {
                Step::Write(slot, _) => Some(name_of(&slot.key)),
                Step::Existing(version) => Some(name_of(&version.key)),
                _ => None,
            });
            docs.extend(naming(&names.collect::<Vec<_>>())?);
        }
        Ok(docs)
    }

    async fn commit(
        &self,
        guards: Vec<Guard>,
        (changes, docs): (Vec<Change>, Vec<DocWrite>),
        answers: &[ResponseEntry],
    ) -> Result<Option<crate::record::WriteReceipt>, CommitError> {
        let mut unit = UnitOfWork::begin(self.app, &self.caller.scope);
        for guard in guards {
            unit = unit.guard(guard);
        }
        if let Some(kept) = self.kept(answers) {
            unit = unit.doc(kept);
        }
        for doc in docs {
            unit = unit.doc(doc);
        }
        let entries = self.beside.entries.clone();
        // Documents are written also where no resource changes.
        let unit = if changes.is_empty() {
            unit.entries(entries)
        } else {
            let unit = unit.changes(changes);
            unit.map(|unit| entries.into_iter().fold(unit, UnitOfWork::entry))
        };
        match unit {
            Some(unit) => unit.commit().await.map(crate::record::first_receipt),
            None => Ok(None),
        }
    }

    // Where nothing changes, that is what the key answers again.
    async fn keep(&self, answers: &[ResponseEntry]) -> Result<(), CommitError> {
        let Some(kept) = self.kept(answers) else {
            return Ok(());
        };
        let store = self.app.store();
        store.operate(&self.caller.scope, vec![kept]).await
    }

    fn kept(&self, answers: &[ResponseEntry]) -> Option<DocWrite> {
        let kept = Kept {
            entries: answers.iter().map(answers::keep).collect(),
            ..Kept::default()
        };
        self.key.map(|key| key.keep(self.app, &kept))
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
