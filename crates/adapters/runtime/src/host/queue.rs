//! Who waits, tenant by tenant, and whose turn it is. Must not run anything.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kernel::TenantId;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Model, Run};
use crate::error::RuntimeError;
use crate::tensor::Tensor;

pub type Answer = Result<Vec<Tensor>, RuntimeError>;

/// A call that waits.
pub struct Job {
    pub model: Arc<Model>,
    pub inputs: Vec<Tensor>,
    pub reply: oneshot::Sender<Answer>,
    pub ticket: Arc<Ticket>,
    /// Rows, where it can be joined with others.
    pub rows: Option<usize>,
}

/// Links a caller to the run of its call.
#[derive(Default)]
pub struct Ticket {
    run: Mutex<Option<Arc<Run>>>,
    settled: AtomicBool,
}

impl Ticket {
    /// The run, where there is one.
    pub fn leave(&self) -> Option<Arc<Run>> {
        self.run.lock().clone()
    }

    /// Answered or abandoned; whether this was the first to say so.
    pub fn settle(&self) -> bool {
        !self.settled.swap(true, Ordering::AcqRel)
    }

    /// The call runs now.
    pub fn enter(&self, run: &Arc<Run>) {
        *self.run.lock() = Some(Arc::clone(run));
    }
}

impl Job {
    pub fn new(model: Arc<Model>, inputs: Vec<Tensor>, reply: oneshot::Sender<Answer>) -> Self {
        let rows = super::batch::rows(&model, &inputs);
        Self {
            model,
            inputs,
            reply,
            ticket: Arc::default(),
            rows,
        }
    }
}

#[derive(Default)]
struct Tenant {
    jobs: VecDeque<Job>,
    running: usize,
}

/// All that waits.
#[derive(Default)]
pub struct Queue {
    tenants: HashMap<TenantId, Tenant>,
    /// Tenants with jobs, next first.
    turn: VecDeque<TenantId>,
    stopped: bool,
}

impl Queue {
    /// Appends a job, or tells how many wait already.
    pub fn push(&mut self, job: Job, limit: usize) -> Result<(), usize> {
        let name = job.model.tenant;
        let tenant = self.tenants.entry(name).or_default();
        if tenant.jobs.len() >= limit {
            return Err(tenant.jobs.len());
        }
        if tenant.jobs.is_empty() {
            self.turn.push_back(name);
        }
        tenant.jobs.push_back(job);
        Ok(())
    }

    /// The next job of the next tenant that may run one more.
    pub fn pop(&mut self, share: usize) -> Option<Job> {
        // Who alone wants the workers may have them all.
        let alone = self.tenants.len() == 1;
        let place = self.turn.iter().position(|name| {
            let tenant = self.tenants.get(name);
            tenant.is_some_and(|tenant| alone || tenant.running < share)
        })?;
        let name = self.turn.remove(place)?;
        let tenant = self.tenants.get_mut(&name)?;
        let job = tenant.jobs.pop_front()?;
        tenant.running += 1;
        if !tenant.jobs.is_empty() {
            self.turn.push_back(name);
        }
        Some(job)
    }

    /// Further jobs that can run with the first, in order, up to so many rows.
    pub fn join(&mut self, first: &Job, rows: usize) -> Vec<Job> {
        let Some(mut used) = first.rows else {
            return Vec::new();
        };
        let name = first.model.tenant;
        let Some(tenant) = self.tenants.get_mut(&name) else {
            return Vec::new();
        };
        let mut joined = Vec::new();
        let mut place = 0;
        while let Some(job) = tenant.jobs.get(place) {
            let fits = Arc::ptr_eq(&job.model, &first.model)
                && job.rows.is_some_and(|more| used + more <= rows)
                && super::batch::alike(&first.inputs, &job.inputs);
            if !fits {
                place += 1;
                continue;
            }
            used += job.rows.unwrap_or(0);
            joined.extend(tenant.jobs.remove(place));
        }
        if tenant.jobs.is_empty() {
            self.turn.retain(|other| *other != name);
        }
        joined
    }

    /// Takes a job out whose caller left.
    pub fn remove(&mut self, name: TenantId, ticket: &Arc<Ticket>) {
        let Some(tenant) = self.tenants.get_mut(&name) else {
            return;
        };
        tenant.jobs.retain(|job| !Arc::ptr_eq(&job.ticket, ticket));
        if tenant.jobs.is_empty() {
            self.turn.retain(|other| *other != name);
        }
        self.forget(name);
    }

    /// A run of the tenant ended or was given up.
    pub fn ended(&mut self, name: TenantId) {
        if let Some(tenant) = self.tenants.get_mut(&name) {
            tenant.running = tenant.running.saturating_sub(1);
        }
        self.forget(name);
    }

    fn forget(&mut self, name: TenantId) {
        if self
            .tenants
            .get(&name)
            .is_some_and(|tenant| tenant.running == 0 && tenant.jobs.is_empty())
        {
            self.tenants.remove(&name);
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.tenants.values().map(|tenant| tenant.jobs.len()).sum()
    }

    /// No more work; those who wait are told by their channel.
    pub fn stop(&mut self) {
        self.stopped = true;
        self.tenants.clear();
        self.turn.clear();
    }

    /// Whether workers are to end.
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }
}
