//! The CPU part: resources checked, stamped and packed, on two threads when there are many.

use std::cell::RefCell;
use std::sync::Arc;

use fhir::json::{Document, Value};
use store::Change;

use super::{Step, Transaction};
use crate::App;
use crate::authorise::Organizations;
use crate::context::Caller;
use crate::error::AppError;
use crate::record::bundle::address::{Address, Item, Method};
use crate::record::bundle::links::Links;
use crate::record::bundle::{Parsed, SMALL_BYTES, on_worker};
use crate::record::prepare::{self, Prepared, Slot};

/// Prepared on two threads from this many resources on.
const PARALLEL_FROM: usize = 24;

impl Transaction<'_> {
    /// Updates that would store what is stored already become no change: the current version answers.
    pub(super) async fn settle_unchanged(
        &self,
        mut steps: Vec<Step>,
        links: &Arc<Links>,
    ) -> Result<Vec<Step>, AppError> {
        let mut current = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            if let Step::Write(slot, patched) = step
                && slot.kind == store::ChangeKind::Update
            {
                let found = self.app.store().read(&self.caller.scope, &slot.key).await?;
                current.extend(found.map(|found| (index, found, patched.clone())));
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
            current.retain(|(index, version, patched)| {
                let sent = resources.get(*index).copied().flatten();
                let resource = patched.as_ref().map(|patched| patched.root()).or(sent);
                resource.is_some_and(|resource| prepare::is_same(resource, version, Some(&rewrite)))
            });
            current
        })
        .await?;
        for (index, version, _) in same {
            if let Some(step) = steps.get_mut(index) {
                *step = Step::Existing(Box::new(version));
            }
        }
        Ok(steps)
    }

    /// Prepares every write.
    pub(super) async fn prepare(
        &self,
        steps: &[Step],
        links: Arc<Links>,
    ) -> Result<Vec<(usize, Change)>, AppError> {
        let slots: Vec<Place> = steps
            .iter()
            .enumerate()
            .filter_map(|(index, step)| match step {
                Step::Write(slot, patched) => Some((index, slot.clone(), patched.clone())),
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
                .is_some_and(|request| matches!(request.method, Method::Put | Method::Patch));
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

    pub(super) fn add_deletions(&self, steps: &[Step], changes: &mut Vec<(usize, Change)>) {
        let each = steps.iter().enumerate().flat_map(|(index, step)| {
            let list = match step {
                Step::Each(list) => list.as_slice(),
                one => std::slice::from_ref(one),
            };
            list.iter().map(move |step| (index, step))
        });
        for (index, step) in each {
            if let Step::Delete(key, head, patients, allowed) = step {
                let mut change =
                    prepare::deletion(self.app, self.caller, key.clone(), head, patients);
                allowed.mark(&mut change.entry);
                changes.push((index, change));
            }
        }
    }
}

/// The CPU part, owned, so that it can run on another thread.
struct Work {
    app: App,
    caller: Caller,
    parsed: Arc<Parsed>,
    links: Arc<Links>,
}

/// A write: the entry's place, where it goes, and what a patch made.
type Place = (usize, Slot, Option<Arc<Document>>);
type Ready = Result<Vec<(usize, Prepared)>, (usize, AppError)>;

impl Work {
    fn run(&self, mut slots: Vec<Place>) -> Ready {
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

    fn some(&self, resources: &[Option<Value<'_>>], slots: Vec<Place>) -> Ready {
        let mut changes = Vec::with_capacity(slots.len());
        for (index, slot, patched) in slots {
            let sent = resources.get(index).copied().flatten();
            let Some(resource) = patched.as_ref().map(|patched| patched.root()).or(sent) else {
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
