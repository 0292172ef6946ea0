//! The ports through which time and ids come in. Implementations live in `server` (the real ones) and
//! `testkit` (fixed and seeded ones); nothing here reads a clock or a random source.

use uuid::Uuid;

use crate::ids::RowId;
use crate::time::Timestamp;

/// The time, as a port.
pub trait Clock: Send + Sync {
    /// Now, in UTC, to the microsecond.
    fn now(&self) -> Timestamp;
    /// A monotonic reading in nanoseconds, for durations only; its zero means nothing.
    fn monotonic_ns(&self) -> u64;
}

/// Ids and secret randomness, as a port.
pub trait Ids: Send + Sync {
    /// A new UUID (version 7 in production, so that ids made later sort later).
    fn uuid(&self) -> Uuid;
    /// A new row id, strictly greater than any made before by this process, also when the clock jumps
    /// back.
    fn row_id(&self) -> RowId;
    /// Makes sure that row ids made from now on are greater than `floor` (called at start with the
    /// greatest one storage holds).
    fn raise_row_floor(&self, floor: RowId);
    /// Fills a buffer from the system's secure random source.
    fn fill(&self, buffer: &mut [u8]);
}
