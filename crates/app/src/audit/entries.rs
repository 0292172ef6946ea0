//! The trail in readable form: newest entries, filtered, and everything about one patient with proofs.

use std::fmt::Write as _;

use identity::Interaction;
use kernel::{LogicalId, Timestamp};
use ledger::leaf::{Class, Leaf, Outcome};
use store::Log;

use crate::App;
use crate::audit::{AuditEntry, AuditPage, allow, leaf_of, proofs, readable, record_view};
use crate::context::Caller;
use crate::error::AppError;

/// Which entries are wanted.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Which log.
    pub log: Log,
    /// Only these classes; empty for all.
    pub classes: Vec<Class>,
    /// Only this outcome.
    pub outcome: Option<Outcome>,
    /// Only actors whose id is this, or whose name contains this (without regard to case).
    pub actor: Option<String>,
    /// Only entries at or after this time.
    pub from: Option<Timestamp>,
    /// Only entries before this time.
    pub until: Option<Timestamp>,
    /// Only entries below this index.
    pub before: Option<u64>,
    /// At most this many, 1 to 1000.
    pub count: u32,
}

impl Filter {
    /// The newest entries of a log.
    #[must_use]
    pub fn newest(log: Log, count: u32) -> Self {
        Self {
            log,
            classes: Vec::new(),
            outcome: None,
            actor: None,
            from: None,
            until: None,
            before: None,
            count,
        }
    }

    fn leaf_fits(&self, leaf: &Leaf) -> bool {
        (self.classes.is_empty() || self.classes.contains(&leaf.class))
            && self.outcome.is_none_or(|outcome| leaf.outcome == outcome)
            && self.from.is_none_or(|from| leaf.time >= from)
            && self.until.is_none_or(|until| leaf.time < until)
    }

    fn actor_fits(&self, entry: &AuditEntry) -> bool {
        let Some(wanted) = &self.actor else {
            return true;
        };
        let wanted = wanted.to_lowercase();
        entry.payload.as_ref().is_some_and(|payload| {
            payload.actor.id.to_string() == wanted
                || payload.actor.name.to_lowercase().contains(&wanted)
        })
    }

    fn described(&self) -> String {
        let classes: Vec<&str> = self.classes.iter().map(|class| class.as_str()).collect();
        let mut text = format!("log={}", self.log.as_str());
        if !classes.is_empty() {
            let _ = write!(text, "&class={}", classes.join(","));
        }
        if let Some(outcome) = self.outcome {
            let _ = write!(text, "&outcome={}", outcome.as_str());
        }
        if let Some(actor) = &self.actor {
            let shown: String = actor.chars().take(80).collect();
            let _ = write!(text, "&actor={shown}");
        }
        for (name, time) in [("from", self.from), ("until", self.until)] {
            if let Some(time) = time {
                let _ = write!(text, "&{name}={time}");
            }
        }
        text
    }
}

/// Entries looked through for one page; beyond, the page ends early and says where to go on.
const LOOK_THROUGH: usize = 20_000;
const STEP: u32 = 500;

/// The newest entries that fit, newest first.
pub async fn recent(app: &App, caller: &Caller, filter: &Filter) -> Result<AuditPage, AppError> {
    allow(app, caller, Interaction::ViewAudit).await?;
    record_view(app, caller, "audit-search", filter.described(), None).await?;
    app.store().settle(&caller.scope).await?;
    let head = app.store().log_head(&caller.scope, filter.log).await?;
    let wanted = filter.count.clamp(1, 1000) as usize;
    let mut found: Vec<AuditEntry> = Vec::new();
    let mut before = filter.before;
    let mut looked = 0;
    let mut next = None;
    'pages: loop {
        let page = app
            .store()
            .log_recent(&caller.scope, filter.log, before, STEP)
            .await?;
        let full = page.len() == STEP as usize;
        for entry in page {
            looked += 1;
            before = Some(entry.index);
            let leaf = leaf_of(&entry)?;
            if filter.from.is_some_and(|from| leaf.time < from) && is_far_before(filter, &leaf) {
                break 'pages;
            }
            if !filter.leaf_fits(&leaf) {
                continue;
            }
            let entry = readable(app, &caller.scope, &entry, leaf).await?;
            if filter.actor_fits(&entry) {
                found.push(entry);
            }
            if found.len() == wanted {
                next = before;
                break 'pages;
            }
        }
        if !full {
            break;
        }
        if looked >= LOOK_THROUGH {
            next = before;
            break;
        }
    }
    Ok(AuditPage {
        entries: found,
        next: next.filter(|index| *index > 0),
        size: head.size,
        checkpoint: head.checkpoint,
    })
}

// Entries are in the order they were sequenced, not of their times: an hour covers any difference
// between writers.
fn is_far_before(filter: &Filter, leaf: &Leaf) -> bool {
    filter
        .from
        .is_some_and(|from| leaf.time.plus_seconds(3600) < from)
}

/// Everything about one patient below index `before`, newest first, each with its inclusion proof.
pub async fn about_patient(
    app: &App,
    caller: &Caller,
    log: Log,
    patient: &LogicalId,
    before: Option<u64>,
    count: u32,
) -> Result<AuditPage, AppError> {
    allow(app, caller, Interaction::ViewAudit).await?;
    let query = format!("log={}&patient={}", log.as_str(), patient.as_str());
    record_view(app, caller, "audit-patient", query, Some(patient)).await?;
    app.store().settle(&caller.scope).await?;
    let count = count.clamp(1, 1000);
    let head = app.store().log_head(&caller.scope, log).await?;
    let stored = app
        .store()
        .log_subject(&caller.scope, log, patient, before, count)
        .await?;
    let next = stored
        .last()
        .filter(|_| stored.len() == count as usize)
        .map(|entry| entry.index);
    let prover = proofs::Prover::new(app, &caller.scope, log, &head);
    let mut entries = Vec::with_capacity(stored.len());
    for entry in &stored {
        let leaf = leaf_of(entry)?;
        let mut readable = readable(app, &caller.scope, entry, leaf).await?;
        if entry.index < head.size {
            readable.proof = Some(prover.proof(entry.index).await?);
        }
        entries.push(readable);
    }
    Ok(AuditPage {
        entries,
        next,
        size: head.size,
        checkpoint: head.checkpoint,
    })
}
