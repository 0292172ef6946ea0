//! Functions that statements call. Must not read or change anything but their arguments.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::{Connection, Error};

use crate::index::PackedIndex;
use crate::port::search::RangeOp;

/// Whether a head's packed entries hold a range: of the entries, parameter, unit or scope, number of the
/// comparison, and the query's range.
pub(super) const PACKED_RANGE: &str = "packed_range";

/// Adds them to a connection.
pub(super) fn add(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function(PACKED_RANGE, 6, flags, packed_range)
}

fn packed_range(context: &Context<'_>) -> rusqlite::Result<bool> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| Error::UserFunctionError(error);
    let entries = context
        .get_raw(0)
        .as_blob()
        .map_err(|error| failed(error.into()))?;
    let of = (context.get(1)?, context.get(2)?);
    let op = RangeOp::of_number(context.get(3)?)
        .ok_or_else(|| failed("a comparison of ranges is unknown".into()))?;
    let query = (context.get(4)?, context.get(5)?);
    PackedIndex::has_range(entries, of, |stored| op.holds(stored, query))
        .map_err(|error| failed(error.into()))
}
