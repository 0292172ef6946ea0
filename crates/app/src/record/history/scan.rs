//! Histories of a type or of everything that show some versions only: those current at a time (`_at`), and
//! those of the resources in a List (`_list`). Versions are walked newest first and chosen one by one; a
//! walk ends after a while with a link to go on, so that no request costs more than that.

use std::collections::HashSet;

use kernel::{LogicalId, Timestamp, VersionId};
use store::{HistoryPage, HistoryQuery, ResourceKey, StoredVersion};

use super::Asked;
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::operations::everything::references;
use crate::record::read;

/// Versions walked for one page, and how many at a time.
const WALKED: usize = 5_000;
const AT_A_TIME: u32 = 250;

/// The resources in a List that the caller may read.
pub(super) async fn listed(
    app: &App,
    caller: &Caller,
    id: &LogicalId,
) -> Result<HashSet<ResourceKey>, AppError> {
    let ty = app.definitions().resource("List");
    let ty = ty.ok_or_else(|| AppError::Fault("the definitions lack List".to_owned()))?;
    let key = ResourceKey { ty, id: id.clone() };
    let list = read::read(app, caller, &key).await?;
    Ok(references(app, caller, &list)?.into_iter().collect())
}

/// A page of the versions that are asked for.
pub(super) async fn page(
    app: &App,
    caller: &Caller,
    asked: &Asked,
) -> Result<HistoryPage, AppError> {
    let mut kept = HistoryPage {
        versions: Vec::new(),
        next: None,
    };
    let mut query = HistoryQuery {
        limit: AT_A_TIME,
        ..asked.query.clone()
    };
    let mut walked = 0;
    let mut bytes = 0;
    loop {
        let page = app.store().history(&caller.scope, &query).await?;
        let currents = current_at(app, caller, asked.at, &page.versions).await?;
        let count = page.versions.len();
        let is_last = page.next.is_none();
        for (place, (version, current)) in page.versions.into_iter().zip(currents).enumerate() {
            let is_listed = asked
                .listed
                .as_ref()
                .is_none_or(|listed| listed.contains(&version.key));
            if !current || !is_listed {
                continue;
            }
            let row = version.version_row;
            bytes += version.body.as_ref().map_or(0, bytes::Bytes::len);
            kept.versions.push(version);
            let is_full =
                kept.versions.len() >= asked.query.limit as usize || bytes >= asked.query.bytes;
            if is_full && !(is_last && place + 1 == count) {
                kept.next = Some(row);
                return Ok(kept);
            }
        }
        walked += count;
        query.before = page.next;
        if is_last {
            return Ok(kept);
        }
        if walked >= WALKED {
            kept.next = page.next;
            return Ok(kept);
        }
    }
}

/// Which versions were current at some time from `at` on: those made since, and of the older ones those
/// that nothing had followed by then, unless they are deletions.
async fn current_at(
    app: &App,
    caller: &Caller,
    at: Option<Timestamp>,
    versions: &[StoredVersion],
) -> Result<Vec<bool>, AppError> {
    let Some(at) = at else {
        return Ok(vec![true; versions.len()]);
    };
    let keys: Vec<ResourceKey> = versions.iter().map(|version| version.key.clone()).collect();
    let heads = app.store().heads(&caller.scope, &keys).await?;
    let mut current = Vec::with_capacity(versions.len());
    for (version, head) in versions.iter().zip(heads) {
        let is = if version.last_updated() >= at {
            true
        } else if version.body.is_none() {
            false
        } else if head.is_some_and(|head| head.version == version.version) {
            true
        } else {
            let next = VersionId(version.version.0 + 1);
            let next = app.store().vread(&caller.scope, &version.key, next).await?;
            next.is_none_or(|next| next.last_updated() >= at)
        };
        current.push(is);
    }
    Ok(current)
}
