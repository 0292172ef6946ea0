//! GET entries of a transaction: what the commit leaves alone is answered before it, the rest is checked
//! before and answered after.

use std::collections::HashMap;

use store::{Change, HistoryScope, ResourceKey};

use super::Transaction;
use crate::error::AppError;
use crate::record::bundle::address::{Address, Item, Method, Request};
use crate::record::bundle::look::{self, Budget};
use crate::record::name_of;
use crate::record::render::ResponseEntry;

impl Transaction<'_> {
    /// Answers or checks the GET entries before anything is committed; the first that fails fails all.
    /// Gives those that are to be answered after the commit.
    pub(super) async fn look_before(
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
    pub(super) async fn look_after(
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
