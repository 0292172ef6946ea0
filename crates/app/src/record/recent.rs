//! What changed of a type lately, for whatever is kept compiled from its resources. Rows are given before a
//! commit, so that a slow one appears below rows that were read already: every look goes back a while. Must
//! not decide what is made of it.

use std::collections::HashSet;

use fhir::definitions::TypeId;
use kernel::{RowId, TenantScope};
use store::{HistoryQuery, HistoryScope, ResourceKey, StoredVersion};

use crate::App;
use crate::error::AppError;

/// Longest time from the giving of a row to its commit that is reckoned with, in milliseconds, with what
/// clocks of replicas differ by.
const GRACE_MS: i64 = 60_000;
/// Versions read at a time.
const PAGE: u32 = 200;

/// From which row on to look again after a look at this time (Unix milliseconds): what had a row below and was
/// not committed then never will be.
pub(crate) fn floor(looked_ms: i64) -> RowId {
    RowId::floor_of_ms(looked_ms.saturating_sub(GRACE_MS))
}

/// The newest version of every resource of a type with a row of at least `floor`; without one, of every resource.
pub(crate) async fn changed(
    app: &App,
    scope: &TenantScope,
    ty: TypeId,
    floor: Option<RowId>,
) -> Result<Vec<StoredVersion>, AppError> {
    let mut found: Vec<StoredVersion> = Vec::new();
    let mut read: HashSet<ResourceKey> = HashSet::new();
    let mut query = HistoryQuery {
        scope: HistoryScope::Type(ty),
        since: None,
        until: None,
        before: None,
        // Mostly nothing is new: one version tells.
        limit: if floor.is_some() { 1 } else { PAGE },
        bytes: app.settings().limits.answer_bytes,
        restriction: None,
    };
    loop {
        let page = app.store().history(scope, &query).await?;
        let fresh =
            |version: &StoredVersion| floor.is_none_or(|floor| version.version_row >= floor);
        let whole = page.versions.iter().all(fresh);
        for version in page.versions.into_iter().filter(fresh) {
            if read.insert(version.key.clone()) {
                found.push(version);
            }
        }
        match page.next {
            Some(next) if whole => query.before = Some(next),
            _ => return Ok(found),
        }
        query.limit = PAGE;
    }
}
