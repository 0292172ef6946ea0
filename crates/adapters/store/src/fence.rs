//! A fence in the order of rows: once it is up, whatever has a row below it is committed or never will be.
//! Rows are given before the commit, so that without it a slow commit could appear in a snapshot that was
//! read already. Holds for the writers of this process. Must not keep writers waiting for longer than the
//! commits in progress take.

use std::sync::atomic::{AtomicI64, Ordering};

use kernel::RowId;
use tokio::sync::{RwLock, RwLockReadGuard};

use crate::port::change::{CommitError, Unit};
use crate::port::error::StoreError;

/// A tenant's fence.
#[derive(Debug, Default)]
pub(crate) struct Fence {
    row: AtomicI64,
    passing: RwLock<()>,
}

impl Fence {
    /// Lets a unit pass; hold on to what it answers until the unit is committed.
    pub(crate) async fn pass(&self, unit: &Unit) -> Result<RwLockReadGuard<'_, ()>, CommitError> {
        let passing = self.passing.read().await;
        let row = self.row.load(Ordering::Acquire);
        if unit
            .changes
            .iter()
            .any(|change| change.version_row.0 <= row)
        {
            // Prepared long ago: prepared again, it gets rows of its own time.
            return Err(StoreError::Busy.into());
        }
        Ok(passing)
    }

    /// Puts the fence up; returns when everything that had passed is committed or has failed.
    pub(crate) async fn put_up(&self, at: RowId) {
        let _nobody_passes = self.passing.write().await;
        self.row.fetch_max(at.0, Ordering::AcqRel);
    }
}
