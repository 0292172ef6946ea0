//! Counters that writers, readers and logs move and [`crate::port::figures`] shows. Relaxed atomics only:
//! what is counted must cost nothing on the way of a write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::port::figures::{LogFigures, Spread};
use crate::port::ledger::Log;

const MICRO: u64 = 1000;
const MILLI: u64 = 1000 * MICRO;
const UNITS: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const NANOSECONDS: [u64; 11] = [
    100 * MICRO,
    250 * MICRO,
    500 * MICRO,
    MILLI,
    2500 * MICRO,
    5 * MILLI,
    10 * MILLI,
    25 * MILLI,
    100 * MILLI,
    500 * MILLI,
    2500 * MILLI,
];

/// A histogram with fixed bounds; the counters are one more than the bounds.
#[derive(Debug)]
pub(crate) struct Meter<const BOUNDS: usize> {
    bounds: [u64; BOUNDS],
    counts: [AtomicU64; BOUNDS],
    above: AtomicU64,
    sum: AtomicU64,
}

impl<const BOUNDS: usize> Meter<BOUNDS> {
    const fn new(bounds: [u64; BOUNDS]) -> Self {
        Self {
            bounds,
            counts: [const { AtomicU64::new(0) }; BOUNDS],
            above: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    pub(crate) fn note(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.counts
            .get(place)
            .unwrap_or(&self.above)
            .fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    /// With values divided by `unit`.
    fn spread(&self, unit: f64) -> Spread {
        let mut count = 0;
        let buckets = self
            .bounds
            .iter()
            .zip(&self.counts)
            .map(|(bound, counted)| {
                count += counted.load(Relaxed);
                (*bound as f64 / unit, count)
            })
            .collect();
        Spread {
            buckets,
            count: count + self.above.load(Relaxed),
            sum: self.sum.load(Relaxed) as f64 / unit,
        }
    }
}

/// What the writers of a store count together.
#[derive(Debug)]
pub(crate) struct WriteMeters {
    batch: Meter<{ UNITS.len() }>,
    wait: Meter<{ NANOSECONDS.len() }>,
    sync: Meter<{ NANOSECONDS.len() }>,
    commits: AtomicU64,
    failed: AtomicU64,
}

impl Default for WriteMeters {
    fn default() -> Self {
        Self {
            batch: Meter::new(UNITS),
            wait: Meter::new(NANOSECONDS),
            sync: Meter::new(NANOSECONDS),
            commits: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }
}

impl WriteMeters {
    /// A unit is taken into a transaction after waiting so long.
    pub(crate) fn taken(&self, waited_ns: u64) {
        self.wait.note(waited_ns);
    }
    /// A transaction of so many units was committed; looks alone are a transaction of none.
    pub(crate) fn committed(&self, units: usize, sync_ns: u64) {
        self.commits.fetch_add(1, Relaxed);
        self.sync.note(sync_ns);
        if units > 0 {
            self.batch.note(units as u64);
        }
    }
    /// A transaction failed as a whole.
    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub(crate) fn commits(&self) -> (u64, u64) {
        (self.commits.load(Relaxed), self.failed.load(Relaxed))
    }
    pub(crate) fn batch_units(&self) -> Spread {
        self.batch.spread(1.0)
    }
    pub(crate) fn wait_seconds(&self) -> Spread {
        self.wait.spread(1e9)
    }
    pub(crate) fn sync_seconds(&self) -> Spread {
        self.sync.spread(1e9)
    }
}

/// What is known of one log of one tenant.
#[derive(Debug, Default)]
pub(crate) struct LogMeter {
    entries: AtomicU64,
    /// Monotonic time of the newest checkpoint plus one; zero before the first.
    signed_ns: AtomicU64,
}

impl LogMeter {
    /// Of a log that has entries already.
    pub(crate) fn over(entries: u64) -> Arc<Self> {
        let meter = Self::default();
        meter.seen(entries);
        Arc::new(meter)
    }
    /// How many entries the log has.
    pub(crate) fn seen(&self, entries: u64) {
        self.entries.store(entries, Relaxed);
    }
    /// A checkpoint over so many entries was signed now.
    pub(crate) fn signed(&self, entries: u64, now_ns: u64) {
        self.seen(entries);
        self.signed_ns.store(now_ns.saturating_add(1), Relaxed);
    }

    pub(crate) fn figures(&self, log: Log, staged: u64, now_ns: u64) -> LogFigures {
        let signed = self.signed_ns.load(Relaxed).checked_sub(1);
        LogFigures {
            log,
            entries: self.entries.load(Relaxed),
            staged,
            checkpoint_age: signed.map(|signed| now_ns.saturating_sub(signed) as f64 / 1e9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_is_in_its_bucket_and_one_above_all_is_only_counted() {
        let meter = Meter::new([1, 10]);
        for value in [1, 2, 10, 11] {
            meter.note(value);
        }
        let spread = meter.spread(10.0);
        assert_eq!(spread.buckets, [(0.1, 1), (1.0, 3)]);
        assert_eq!(spread.count, 4);
        assert!((spread.sum - 2.4).abs() < 1e-9);
    }

    #[test]
    fn a_log_tells_the_age_of_its_checkpoint_from_the_first_on() {
        let meter = LogMeter::default();
        meter.seen(7);
        let before = meter.figures(Log::Access, 2, 5_000_000_000);
        assert_eq!(
            (before.entries, before.staged, before.checkpoint_age),
            (7, 2, None)
        );
        meter.signed(8, 0);
        let mut after = meter.figures(Log::Access, 0, 5_000_000_000);
        assert_eq!((after.entries, after.checkpoint_age), (8, Some(5.0)));
        after.add(&before);
        assert_eq!(
            (after.entries, after.staged, after.checkpoint_age),
            (15, 2, Some(5.0))
        );
    }
}
