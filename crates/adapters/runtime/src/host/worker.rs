//! The threads that run models. Must not wait on anything but the queue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::queue::{Answer, Job};
use super::{Model, Run, Shared, batch};
use crate::error::RuntimeError;
use crate::port::Budget;
use crate::tensor::Tensor;

/// One more worker.
pub fn spawn(shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    let started = std::thread::Builder::new()
        .name("theriac-model".to_owned())
        .stack_size(8 << 20)
        .spawn(move || while work(&shared) {});
    if let Err(error) = started {
        tracing::error!(%error, "a worker for models did not start");
    }
}

/// One run; whether to go on afterwards.
fn work(shared: &Shared) -> bool {
    let Some(Batch { model, list, run }) = next(shared) else {
        return false;
    };
    answer(&model, list, &run);
    let mut queue = shared.queue.lock();
    if run.given_up.load(Ordering::Acquire) {
        // Another worker stands in this one's place.
        model.tally.hanging.fetch_sub(1, Ordering::Relaxed);
        return false;
    }
    queue.ended(model.tenant);
    drop(queue);
    shared.work.notify_one(); // the tenant may run one more
    true
}

struct Batch {
    model: Arc<Model>,
    list: Vec<Job>,
    run: Arc<Run>,
}

/// Waits for work; `None` when there will be none.
fn next(shared: &Shared) -> Option<Batch> {
    let mut queue = shared.queue.lock();
    let first = loop {
        if queue.is_stopped() {
            return None;
        }
        if let Some(job) = queue.pop(shared.settings.tenant_workers.max(1)) {
            break job;
        }
        shared.work.wait(&mut queue);
    };
    let model = Arc::clone(&first.model);
    let batching = model.serving.batching;
    let mut list = queue.join(&first, batching.max_rows);
    if first.rows.is_some() && list.is_empty() && !batching.max_wait.is_zero() {
        // The call waits for company, once. Whoever notified for another tenant is passed on below.
        parking_lot::MutexGuard::unlocked(&mut queue, || std::thread::sleep(batching.max_wait));
        list = queue.join(&first, batching.max_rows);
    }
    list.insert(0, first);
    let run = Arc::new(Run {
        budget: Budget::default(),
        wanted: AtomicU32::new(0),
        given_up: AtomicBool::new(false),
    });
    // Those whose callers left meanwhile are not run.
    list.retain(|job| !job.reply.is_closed());
    run.wanted.store(list.len() as u32, Ordering::Release);
    for job in &list {
        job.ticket.enter(&run);
    }
    Some(Batch { model, list, run })
}

/// Runs the jobs together, or one by one, and answers each.
fn answer(model: &Model, mut jobs: Vec<Job>, run: &Arc<Run>) {
    if jobs.len() > 1 {
        let rows: Vec<usize> = jobs.iter().filter_map(|job| job.rows).collect();
        let made = batch::joined(jobs.iter().map(|job| job.inputs.as_slice()))
            .and_then(|inputs| contained(model, inputs, &run.budget));
        if let Ok(outputs) = made {
            if let Some(answers) = batch::apart(&outputs, &rows) {
                for (job, answer) in jobs.into_iter().zip(answers) {
                    send(job, run, Ok(answer));
                }
                return;
            }
            // The model mixes rows: never again.
            model.joins.store(false, Ordering::Relaxed);
        }
        // One bad call must not spoil the others: each gets its own answer.
    }
    for mut job in jobs.drain(..) {
        if job.reply.is_closed() {
            continue;
        }
        let inputs = std::mem::take(&mut job.inputs);
        let made = contained(model, inputs, &run.budget);
        send(job, run, made);
    }
}

fn send(job: Job, run: &Run, made: Answer) {
    if job.ticket.settle() {
        run.wanted.fetch_sub(1, Ordering::AcqRel);
    }
    let _ = job.reply.send(made); // the caller may be gone
}

/// Runs the model; a panic becomes an error.
fn contained(model: &Model, inputs: Vec<Tensor>, budget: &Budget) -> Answer {
    model.tally.runs.fetch_add(1, Ordering::Relaxed);
    catch_unwind(AssertUnwindSafe(|| model.session.run(inputs, budget))).unwrap_or_else(|_| {
        Err(RuntimeError::Failed {
            engine: model.session.describe().engine,
            detail: "it panicked".to_owned(),
        })
    })
}
