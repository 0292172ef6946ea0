//! Calls of models on bounded workers. Tenants take turns, each with a share of the workers and of the queue,
//! so that one tenant's model cannot starve another's. A call past its deadline is answered then; the worker
//! it still holds is counted, replaced once, and a model that holds too many takes no calls until one comes
//! back. Calls of one model that wait together run as one batch. Must not load models nor choose them.

mod batch;
mod queue;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use kernel::TenantId;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::error::RuntimeError;
use crate::port::{Budget, Dim, Session};
use crate::tensor::{Tensor, TensorData, TensorKind};
use queue::{Job, Queue};

/// Bounds of a host.
#[derive(Debug, Clone)]
pub struct HostSettings {
    /// Calls that run at the same time.
    pub workers: usize,
    /// Of these, how many one tenant may hold while others wait.
    pub tenant_workers: usize,
    /// Calls of one tenant that may wait.
    pub tenant_waiting: usize,
    /// Workers that one model may hold past its deadline before it takes no more calls.
    pub hanging: u32,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            workers: 2,
            tenant_workers: 1,
            tenant_waiting: 256,
            hanging: 2,
        }
    }
}

/// How the calls of one model are joined.
#[derive(Debug, Clone, Copy)]
pub struct Batching {
    /// Rows of one batch at most; 1 joins nothing.
    pub max_rows: usize,
    /// How long the first call of a batch may wait for others. Zero joins only what waits already, which
    /// costs a lone call nothing.
    pub max_wait: Duration,
}

impl Default for Batching {
    fn default() -> Self {
        Self {
            max_rows: 64,
            max_wait: Duration::ZERO,
        }
    }
}

/// How one model is served.
#[derive(Debug, Clone, Copy)]
pub struct Serving {
    /// From the call to its answer.
    pub deadline: Duration,
    /// How calls are joined.
    pub batching: Batching,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            batching: Batching::default(),
        }
    }
}

/// What was counted of a model since it was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Calls that were answered.
    pub answered: u64,
    /// Runs of the model.
    pub runs: u64,
    /// Calls that were turned away because too many waited.
    pub shed: u64,
    /// Calls past their deadline.
    pub late: u64,
    /// Workers that hang in calls past their deadline now.
    pub hanging: u32,
}

#[derive(Default)]
struct Tally {
    answered: AtomicU64,
    runs: AtomicU64,
    shed: AtomicU64,
    late: AtomicU64,
    hanging: AtomicU32,
}

/// A model on a host.
pub struct Model {
    session: Arc<dyn Session>,
    serving: Serving,
    tenant: TenantId,
    /// Cleared when the outputs of a batch did not come apart.
    joins: AtomicBool,
    tally: Tally,
}

/// Workers and the queue before them.
pub struct Host {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    settings: HostSettings,
}

impl Host {
    /// Starts the workers.
    #[must_use]
    pub fn start(settings: HostSettings) -> Self {
        let workers = settings.workers.max(1);
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::default()),
            work: Condvar::new(),
            settings,
        });
        for _ in 0..workers {
            worker::spawn(&shared);
        }
        Self { shared }
    }

    /// Takes a model and runs it once on zeros, so that the first caller does not wait for what a runtime
    /// does once. A model that refuses zeros is taken all the same; one that hangs on them is not.
    pub async fn admit(
        &self,
        tenant: TenantId,
        session: Arc<dyn Session>,
        serving: Serving,
    ) -> Result<Arc<Model>, RuntimeError> {
        let joins = session.signature().is_batchable() && serving.batching.max_rows > 1;
        let zeros = zeros(session.as_ref());
        let model = Arc::new(Model {
            session,
            serving,
            tenant,
            joins: AtomicBool::new(joins),
            tally: Tally::default(),
        });
        match self.call(&model, zeros).await {
            Err(error @ (RuntimeError::Deadline { .. } | RuntimeError::Overloaded { .. })) => {
                Err(error)
            }
            _ => Ok(model),
        }
    }

    /// One call, answered by its deadline.
    pub async fn call(
        &self,
        model: &Arc<Model>,
        inputs: Vec<Tensor>,
    ) -> Result<Vec<Tensor>, RuntimeError> {
        let hanging = model.tally.hanging.load(Ordering::Relaxed);
        if hanging >= self.shared.settings.hanging {
            return Err(RuntimeError::Quarantined { workers: hanging });
        }
        let (reply, answer) = oneshot::channel();
        let job = Job::new(Arc::clone(model), inputs, reply);
        let ticket = Arc::clone(&job.ticket);
        self.shared.submit(job)?;
        // A caller that goes away gives its place back.
        let mut waiting = Waiting {
            shared: &self.shared,
            model,
            ticket,
            answered: false,
        };
        let made = tokio::time::timeout(model.serving.deadline, answer).await;
        match made {
            Ok(Ok(result)) => {
                waiting.answered = true;
                model.tally.answered.fetch_add(1, Ordering::Relaxed);
                result.map_err(|error| model.with_limit(error))
            }
            Ok(Err(_)) => {
                waiting.answered = true;
                Err(RuntimeError::Failed {
                    engine: "the host".to_owned(),
                    detail: "a worker ended in the middle of the call".to_owned(),
                })
            }
            Err(_) => {
                model.tally.late.fetch_add(1, Ordering::Relaxed);
                Err(model.with_limit(RuntimeError::Deadline { limit_ms: 0 }))
            }
        }
    }

    /// Calls that wait, of all tenants.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.queue.lock().waiting()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shared.queue.lock().stop();
        self.shared.work.notify_all();
    }
}

impl Model {
    /// What it takes, gives, and who runs it.
    #[must_use]
    pub fn session(&self) -> &dyn Session {
        self.session.as_ref()
    }

    /// What was counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            answered: read(&self.tally.answered),
            runs: read(&self.tally.runs),
            shed: read(&self.tally.shed),
            late: read(&self.tally.late),
            hanging: self.tally.hanging.load(Ordering::Relaxed),
        }
    }

    fn with_limit(&self, error: RuntimeError) -> RuntimeError {
        match error {
            RuntimeError::Deadline { .. } => RuntimeError::Deadline {
                limit_ms: u64::try_from(self.serving.deadline.as_millis()).unwrap_or(u64::MAX),
            },
            other => other,
        }
    }
}

impl Shared {
    fn submit(&self, job: Job) -> Result<(), RuntimeError> {
        let model = Arc::clone(&job.model);
        let pushed = self.queue.lock().push(job, self.settings.tenant_waiting);
        match pushed {
            Ok(()) => {
                self.work.notify_one();
                Ok(())
            }
            Err(waiting) => {
                model.tally.shed.fetch_add(1, Ordering::Relaxed);
                Err(RuntimeError::Overloaded {
                    what: "this tenant's share of model calls".to_owned(),
                    waiting: waiting as u64,
                    limit: self.settings.tenant_waiting as u64,
                })
            }
        }
    }
}

/// What a caller holds while it waits.
struct Waiting<'h> {
    shared: &'h Arc<Shared>,
    model: &'h Arc<Model>,
    ticket: Arc<queue::Ticket>,
    answered: bool,
}

impl Drop for Waiting<'_> {
    /// Nobody waits for the answer any more: a job in the queue is taken out, one that runs is asked to
    /// stop and its worker replaced until it comes back.
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let mut queue = self.shared.queue.lock();
        let Some(run) = self.ticket.leave() else {
            queue.remove(self.model.tenant, &self.ticket);
            return;
        };
        if !self.ticket.settle() || !run.give_up() {
            return; // others still wait for this batch, or it was given up before
        }
        self.model.tally.hanging.fetch_add(1, Ordering::Relaxed);
        queue.ended(self.model.tenant);
        drop(queue);
        tracing::warn!(
            tenant = %self.model.tenant,
            engine = self.model.session.describe().engine,
            "a model passed its deadline; its worker is replaced until it returns"
        );
        run.budget.stop();
        worker::spawn(self.shared);
    }
}

/// One row of zeros for every input.
fn zeros(session: &dyn Session) -> Vec<Tensor> {
    session
        .signature()
        .inputs
        .iter()
        .filter_map(|spec| {
            let shape: Vec<usize> = spec
                .shape
                .as_deref()
                .unwrap_or_default()
                .iter()
                .map(|dim| match dim {
                    Dim::Fixed(length) => *length,
                    Dim::Dynamic(_) => 1,
                })
                .collect();
            let count = shape.iter().product();
            let data = match spec.kind {
                TensorKind::F32 => TensorData::F32(vec![0.0; count]),
                TensorKind::F64 => TensorData::F64(vec![0.0; count]),
                TensorKind::I8 => TensorData::I8(vec![0; count]),
                TensorKind::I16 => TensorData::I16(vec![0; count]),
                TensorKind::I32 => TensorData::I32(vec![0; count]),
                TensorKind::I64 => TensorData::I64(vec![0; count]),
                TensorKind::U8 => TensorData::U8(vec![0; count]),
                TensorKind::U16 => TensorData::U16(vec![0; count]),
                TensorKind::U32 => TensorData::U32(vec![0; count]),
                TensorKind::U64 => TensorData::U64(vec![0; count]),
                TensorKind::Bool => TensorData::Bool(vec![false; count]),
                TensorKind::Bytes => TensorData::Bytes(vec![Vec::new(); count]),
            };
            Tensor::new(&spec.name, shape, data).ok()
        })
        .collect()
}

/// One run of a model for one or more callers.
struct Run {
    budget: Budget,
    /// Callers that still wait for it.
    wanted: AtomicU32,
    given_up: AtomicBool,
}

impl Run {
    /// One caller leaves; whether it was the last, so that the run is of no use.
    fn give_up(&self) -> bool {
        self.wanted.fetch_sub(1, Ordering::AcqRel) == 1
            && !self.given_up.swap(true, Ordering::AcqRel)
    }
}
