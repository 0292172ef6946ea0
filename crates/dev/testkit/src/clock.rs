//! A clock that stands still until it is told to move. Must not read the system's.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use kernel::{Clock, Timestamp};

/// A clock set by the test.
#[derive(Debug)]
pub struct FixedClock {
    micros: AtomicI64,
    monotonic: AtomicU64,
}

impl FixedClock {
    /// 2026-03-05T08:00:00Z, a Thursday.
    pub const START: Timestamp = Timestamp::from_millis(1_772_697_600_000);

    /// Stands at a time.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        Self {
            micros: AtomicI64::new(time.as_micros()),
            monotonic: AtomicU64::new(0),
        }
    }

    /// Moves forward (or, with a negative number, back) by seconds; the monotonic reading only moves
    /// forward.
    pub fn advance(&self, seconds: i64) {
        self.micros
            .fetch_add(seconds.saturating_mul(1_000_000), Ordering::SeqCst);
        let forward = u64::try_from(seconds).unwrap_or(0);
        self.monotonic
            .fetch_add(forward.saturating_mul(1_000_000_000), Ordering::SeqCst);
    }
}

impl Default for FixedClock {
    fn default() -> Self {
        Self::at(Self::START)
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }

    fn monotonic_ns(&self) -> u64 {
        self.monotonic.load(Ordering::SeqCst)
    }
}
