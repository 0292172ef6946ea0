//! Criteria decided within a batch: whoever decides the same ones waits, and what the batch has not written
//! yet is written first where it may matter. Must not decide anything but the criteria.

use super::super::failure::Failure;
use super::super::search;
use super::batch::Batch;
use crate::port::change::Expected;
use crate::prepare::{PreparedChange, PreparedGuard, PreparedUnit};
use crate::query::Test;

const CRITERIA: &str =
    "INSERT INTO crit (tn, h) SELECT $1, h FROM unnest($2::int8[]) AS c (h) ORDER BY h
    ON CONFLICT (tn, h) DO UPDATE SET h = excluded.h";
const CRITERIA_DONE: &str = "DELETE FROM crit WHERE tn = $1 AND h = ANY($2)";

impl Batch<'_, '_> {
    pub(super) async fn lock_criteria(&self) -> Result<(), Failure> {
        if self.criteria.is_empty() {
            return Ok(());
        }
        let locked = self
            .transaction
            .execute(CRITERIA, &[&self.tenant.as_uuid(), &self.criteria])
            .await;
        locked.map(|_| ()).map_err(|error| self.failed(&error))
    }

    /// Others may decide the same criteria once the batch is committed.
    pub(super) async fn release_criteria(&self) -> Result<(), Failure> {
        if self.criteria.is_empty() {
            return Ok(());
        }
        let released = self
            .transaction
            .execute(CRITERIA_DONE, &[&self.tenant.as_uuid(), &self.criteria])
            .await;
        released.map(|_| ()).map_err(|error| self.failed(&error))
    }

    /// The first of a unit's criteria that match other rows than were seen.
    pub(super) async fn first_changed_guard(
        &mut self,
        unit: &PreparedUnit,
    ) -> Result<Option<usize>, Failure> {
        for (at, guard) in unit.guards.iter().enumerate() {
            if self.waiting.iter().any(|change| may_touch(change, guard)) {
                self.flush().await?;
            }
            let same =
                search::matches_exactly(self.transaction, self.tenant, &guard.query, &guard.seen)
                    .await;
            if !same.map_err(|error| self.failed(&error))? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}

/// One number per criteria, sorted: whoever decides the same criteria waits for the row of that number.
pub(super) fn criteria(units: &[&PreparedUnit]) -> Vec<i64> {
    let guards = units.iter().flat_map(|unit| &unit.guards);
    let mut all: Vec<i64> = guards
        .map(|guard| {
            xxhash_rust::xxh3::xxh3_64(format!("{:?}", guard.query.groups).as_bytes()) as i64
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether a change that is not written yet may matter to a guard. One that makes a new row matters only
/// if every clause of plain keys has one of its keys.
fn may_touch(change: &PreparedChange, guard: &PreparedGuard) -> bool {
    let query = &guard.query;
    if query.looks_elsewhere() {
        return true;
    }
    if !query.types().contains(&change.key.ty) {
        return false;
    }
    if change.expected != Expected::Absent {
        return true;
    }
    query
        .clauses()
        .iter()
        .filter(|clause| !clause.negated)
        .all(|clause| {
            clause.any_of.iter().any(|test| match test {
                Test::Key { p, v } => change
                    .index
                    .keys()
                    .iter()
                    .any(|row| i64::from(row.p) == *p && row.v == *v),
                Test::Nothing => false,
                _ => true,
            })
        })
}
