//! Ids and random bytes from a seed, the same in every run. Never for production: they are guessable.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use kernel::{Clock, Ids, RowId, Timestamp};
use uuid::Uuid;

use crate::clock::FixedClock;

/// Ids from a seed; row ids follow a clock.
pub struct SeededIds {
    state: AtomicU64,
    clock: Arc<dyn Clock>,
    // The last row id's time and counter: milliseconds << 12 | counter.
    last: AtomicI64,
}

impl SeededIds {
    /// Starts from a seed, with row ids at the clock's time.
    #[must_use]
    pub fn new(seed: u64, clock: Arc<dyn Clock>) -> Self {
        Self {
            state: AtomicU64::new(seed),
            clock,
            last: AtomicI64::new(0),
        }
    }

    // splitmix64 (public domain, Sebastiano Vigna): every call takes the next step of one sequence.
    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self
            .state
            .fetch_add(STEP, Ordering::SeqCst)
            .wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Default for SeededIds {
    fn default() -> Self {
        Self::new(1, Arc::new(FixedClock::default()))
    }
}

impl Ids for SeededIds {
    fn uuid(&self) -> Uuid {
        let random = (u128::from(self.next()) << 64) | u128::from(self.next());
        uuid::Builder::from_random_bytes(random.to_be_bytes()).into_uuid()
    }

    fn row_id(&self) -> RowId {
        let now = self
            .clock
            .now()
            .max(Timestamp::from_millis(RowId::EPOCH_MS))
            .as_millis()
            << 12;
        let previous = self
            .last
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| {
                Some(now.max(last + 1))
            });
        let last = previous.unwrap_or_else(|unchanged| unchanged);
        let next = now.max(last + 1);
        RowId::from_parts(next >> 12, 1, (next & 0xfff) as u16)
    }

    fn raise_row_floor(&self, floor: RowId) {
        let floor = (floor.unix_ms() << 12) | (floor.0 & 0xfff);
        self.last.fetch_max(floor + 1, Ordering::SeqCst);
    }

    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let bytes = self.next().to_le_bytes();
            for (target, byte) in chunk.iter_mut().zip(bytes) {
                *target = byte;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids_and_rows_increase() {
        let (a, b) = (SeededIds::default(), SeededIds::default());
        assert_eq!(a.uuid(), b.uuid());
        assert_ne!(a.uuid(), a.uuid());
        let first = a.row_id();
        assert!(a.row_id() > first);
        assert_eq!(first.unix_ms(), FixedClock::START.as_millis());
        let ahead = RowId::from_parts(first.unix_ms() + 5000, 1, 9);
        a.raise_row_floor(ahead);
        assert!(a.row_id() > ahead);
    }
}
