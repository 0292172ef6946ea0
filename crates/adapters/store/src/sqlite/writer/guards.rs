//! The conditions of a unit on other resources, decided on the writer's thread. Must not hold the writer
//! for long: everybody who writes waits behind it.

use std::sync::Arc;
use std::time::Duration;

use kernel::Clock;
use rusqlite::{Connection, ErrorCode};

use super::super::readers::ReadError;
use super::super::search;
use crate::port::change::CommitError;
use crate::port::error::StoreError;
use crate::prepare::PreparedGuard;

/// How long the conditions of one unit may take on the writer's thread.
const LIMIT: Duration = Duration::from_millis(500);
/// Engine steps between two looks at the clock.
const STEPS: i32 = 1024;

/// Why a unit's guards refuse it: one sees other rows, or they take longer than `limit` allows.
pub(super) fn refusal(
    connection: &Connection,
    clock: &Arc<dyn Clock>,
    limit: Duration,
    guards: &[PreparedGuard],
) -> Result<Option<CommitError>, ReadError> {
    let clock = Arc::clone(clock);
    let limit = u64::try_from(limit.min(LIMIT).as_nanos()).unwrap_or(u64::MAX);
    let deadline = clock.monotonic_ns().saturating_add(limit);
    connection.progress_handler(STEPS, Some(move || clock.monotonic_ns() >= deadline))?;
    let outcome = first_changed(connection, guards);
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match outcome {
        Ok(changed) => Ok(changed.map(|guard| CommitError::GuardChanged { guard })),
        // Only a read was stopped: the batch's transaction goes on.
        Err(ReadError::Engine(error))
            if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) =>
        {
            Ok(Some(StoreError::Busy.into()))
        }
        Err(error) => Err(error),
    }
}

fn first_changed(
    connection: &Connection,
    guards: &[PreparedGuard],
) -> Result<Option<usize>, ReadError> {
    for (at, guard) in guards.iter().enumerate() {
        if !search::matches_exactly(connection, &guard.query, &guard.seen)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}
