//! What the house says about itself for monitoring: the store's counters, its own jobs, and how far
//! consumers are behind. Must name no tenant and no patient, and ask no database.

use std::collections::{BTreeMap, HashMap};

use kernel::{TenantId, Timestamp};
use parking_lot::Mutex;
pub use store::{Figures as StoreFigures, LogFigures, Spread};

use crate::App;

/// A snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// The store.
    pub store: StoreFigures,
    /// The platform's own jobs, by name, from their first run in this process on.
    pub jobs: Vec<(&'static str, JobFigures)>,
    /// How many entries each consumer is behind in the tenant where it is most behind, by name, as this
    /// process last saw it.
    pub consumers: Vec<(String, u64)>,
    /// Notifications.
    pub subscriptions: crate::subscriptions::Figures,
    /// Questions to sources of drug knowledge, by source and outcome.
    pub knowledge: Vec<(String, &'static str, u64)>,
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It runs now.
    Running,
    /// Its last run was done; it waits for the next.
    Waiting,
    /// Its last run failed; it waits for the next.
    Failed,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Running, Self::Waiting, Self::Failed];

    /// The word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
        }
    }
}

/// A job's runs in this process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JobFigures {
    /// How it stands.
    pub state: JobState,
    /// Runs that were done.
    pub done: u64,
    /// Runs that failed.
    pub failed: u64,
    /// Seconds since a run was done last; `None` before the first.
    pub age: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Job {
    state: JobState,
    done: u64,
    failed: u64,
    last: Option<Timestamp>,
}

/// Where jobs and consumers note how they stand. All of it can be lost.
#[derive(Debug, Default)]
pub(crate) struct Board {
    jobs: Mutex<BTreeMap<&'static str, Job>>,
    consumers: Mutex<BTreeMap<String, HashMap<TenantId, u64>>>,
    /// Subscriptions.
    pub(crate) subscriptions: crate::subscriptions::board::Board,
}

impl Board {
    /// A job begins.
    pub(crate) fn begins(&self, name: &'static str) {
        let mut jobs = self.jobs.lock();
        let job = jobs.entry(name).or_insert(Job {
            state: JobState::Running,
            done: 0,
            failed: 0,
            last: None,
        });
        job.state = JobState::Running;
    }

    /// A job that began has ended.
    pub(crate) fn ended(&self, name: &'static str, is_done: bool, now: Timestamp) {
        if let Some(job) = self.jobs.lock().get_mut(name) {
            if is_done {
                job.state = JobState::Waiting;
                job.done += 1;
                job.last = Some(now);
            } else {
                job.state = JobState::Failed;
                job.failed += 1;
            }
        }
    }

    /// How many entries a consumer has still to take in a tenant.
    pub(crate) fn behind(&self, consumer: &str, tenant: TenantId, entries: u64) {
        let mut consumers = self.consumers.lock();
        if let Some(tenants) = consumers.get_mut(consumer) {
            tenants.insert(tenant, entries);
        } else {
            consumers.insert(consumer.to_owned(), HashMap::from([(tenant, entries)]));
        }
    }
}

impl App {
    /// The figures now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let now = self.now().as_micros();
        let board = self.board();
        let jobs = board.jobs.lock();
        let jobs = jobs.iter().map(|(name, job)| {
            let age = |last: Timestamp| now.saturating_sub(last.as_micros()).max(0) as f64 / 1e6;
            let figures = JobFigures {
                state: job.state,
                done: job.done,
                failed: job.failed,
                age: job.last.map(age),
            };
            (*name, figures)
        });
        let jobs = jobs.collect();
        let consumers = board.consumers.lock();
        let consumers = consumers.iter().map(|(name, tenants)| {
            let most = tenants.values().copied().max().unwrap_or_default();
            (name.clone(), most)
        });
        Figures {
            store: self.store().figures(),
            jobs,
            consumers: consumers.collect(),
            subscriptions: board.subscriptions.figures(),
            knowledge: self.caches().elsewhere.figures(),
        }
    }
}
