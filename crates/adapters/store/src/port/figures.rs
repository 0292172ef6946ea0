//! What a store says about itself for monitoring: counts and lengths summed over its open tenants. Must
//! name no tenant, no patient and no key.

use super::ledger::Log;

/// A snapshot, taken from counters in memory: no query, no file.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// The adapter: `sqlite` or `postgres`.
    pub kind: &'static str,
    /// Tenants this process has opened, the instance's own among them.
    pub open_tenants: u64,
    /// Transactions of units and looks that the writers committed; erasures are not among them.
    pub commits: u64,
    /// Transactions that failed as a whole.
    pub failed_commits: u64,
    /// Units merged into one transaction.
    pub batch_units: Spread,
    /// Seconds from a unit's arrival to the beginning of its transaction.
    pub wait_seconds: Spread,
    /// Seconds that the engine's commit took, its sync to disk included.
    pub sync_seconds: Spread,
    /// Jobs that wait for a writer now.
    pub queue: u64,
    /// Reading connections in use now.
    pub readers_in_use: u64,
    /// Reading connections there may be at most.
    pub readers: u64,
    /// Looks that wait in the access journals now.
    pub looks: u64,
    /// Their bytes.
    pub look_bytes: u64,
    /// Both logs.
    pub logs: [LogFigures; 2],
}

/// One class of log, over all open tenants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogFigures {
    /// Which.
    pub log: Log,
    /// Entries with an index, as this process last saw them.
    pub entries: u64,
    /// Entries that this process committed and has not seen in the log yet.
    pub staged: u64,
    /// Seconds since this process signed the newest checkpoint; `None` before the first.
    pub checkpoint_age: Option<f64>,
}

impl LogFigures {
    /// A log of which nothing is known yet.
    #[must_use]
    pub const fn empty(log: Log) -> Self {
        Self {
            log,
            entries: 0,
            staged: 0,
            checkpoint_age: None,
        }
    }

    /// Adds another tenant's: sums, and the younger checkpoint.
    pub fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.staged += other.staged;
        self.checkpoint_age = match (self.checkpoint_age, other.checkpoint_age) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
    }
}

/// How values are spread.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spread {
    /// Upper bound and how many values were at most that, ascending; those above the last are in `count` only.
    pub buckets: Vec<(f64, u64)>,
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}
