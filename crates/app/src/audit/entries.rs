//! The trail in readable form: newest entries, filtered, and everything about one patient with proofs.

use std::fmt::Write as _;

use identity::Interaction;
use kernel::{LogicalId, Timestamp};
use ledger::leaf::{Class, Leaf, Outcome};
use store::{Log, LogEntry};

use crate::App;
use crate::audit::{AuditEntry, AuditPage, Matched, allow, leaf_of, proofs, readable, record_view};
use crate::context::Caller;
use crate::error::AppError;

/// Which entries are wanted.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Which log.
    pub log: Log,
    /// Only entries about this patient.
    pub patient: Option<LogicalId>,
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
    /// Whether each entry comes with its inclusion proof.
    pub prove: bool,
    /// Whether all entries that fit are counted, also those of other pages.
    pub tally: bool,
}

impl Filter {
    /// The newest entries of a log.
    #[must_use]
    pub fn newest(log: Log, count: u32) -> Self {
        Self {
            log,
            patient: None,
            classes: Vec::new(),
            outcome: None,
            actor: None,
            from: None,
            until: None,
            before: None,
            count,
            prove: false,
            tally: false,
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

    /// Whether every entry of the log fits.
    fn is_open(&self) -> bool {
        self.patient.is_none()
            && self.classes.is_empty()
            && self.outcome.is_none()
            && self.actor.is_none()
            && self.from.is_none()
            && self.until.is_none()
    }

    /// The filter in words of the log: kept in the entry that a look at the trail makes.
    pub(super) fn described(&self) -> String {
        let classes: Vec<&str> = self.classes.iter().map(|class| class.as_str()).collect();
        let mut text = format!("log={}", self.log.as_str());
        if let Some(patient) = &self.patient {
            let _ = write!(text, "&patient={}", patient.as_str());
        }
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
    let what = if filter.patient.is_some() {
        "audit-patient"
    } else {
        "audit-search"
    };
    let patient = filter.patient.as_ref();
    record_view(app, caller, what, filter.described(), patient).await?;
    app.store().settle(&caller.scope).await?;
    page(app, caller, filter).await
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
    let filter = Filter {
        patient: Some(patient.clone()),
        before,
        prove: true,
        ..Filter::newest(log, count)
    };
    recent(app, caller, &filter).await
}

/// A page, without asking and without recording: the callers of this module did both.
pub(super) async fn page(
    app: &App,
    caller: &Caller,
    filter: &Filter,
) -> Result<AuditPage, AppError> {
    let head = app.store().log_head(&caller.scope, filter.log).await?;
    let mut walk = Walk::new(filter);
    walk.go(app, caller).await?;
    if let Some(mut count) = Walk::to_count(filter) {
        count.go(app, caller).await?;
        (walk.matched, walk.saw_all) = (count.matched, count.saw_all);
    }
    let matched = filter.tally.then(|| {
        if filter.is_open() {
            Matched {
                entries: head.size,
                complete: true,
            }
        } else {
            Matched {
                entries: walk.matched,
                complete: walk.saw_all,
            }
        }
    });
    let mut entries = walk.found;
    if filter.prove {
        let prover = proofs::Prover::new(app, &caller.scope, filter.log, &head);
        prover.prove(&mut entries).await?;
    }
    Ok(AuditPage {
        entries,
        next: walk.next.filter(|index| *index > 0),
        size: head.size,
        checkpoint: head.checkpoint,
        matched,
    })
}

/// Going through a log from its newest entry to older ones.
struct Walk<'a> {
    filter: &'a Filter,
    wanted: usize,
    /// Whether entries are still counted after the page is full.
    counts: bool,
    at: Option<u64>,
    looked: usize,
    found: Vec<AuditEntry>,
    matched: u64,
    next: Option<u64>,
    saw_all: bool,
    stopped: bool,
}

impl<'a> Walk<'a> {
    fn new(filter: &'a Filter) -> Self {
        // A count is of all pages: with the first one walk does both.
        let counts = filter.tally && !filter.is_open() && filter.before.is_none();
        Self {
            filter,
            wanted: filter.count.clamp(1, 1000) as usize,
            counts,
            at: filter.before,
            looked: 0,
            found: Vec::new(),
            matched: 0,
            next: None,
            saw_all: false,
            stopped: false,
        }
    }

    /// A walk of its own for the count beside a later page: it begins at the newest entry.
    fn to_count(filter: &'a Filter) -> Option<Self> {
        let later = filter.tally && !filter.is_open() && filter.before.is_some();
        later.then(|| Self {
            wanted: 0,
            counts: true,
            at: None,
            ..Self::new(filter)
        })
    }

    async fn go(&mut self, app: &App, caller: &Caller) -> Result<(), AppError> {
        while !self.is_done() {
            let read = self.read(app, caller).await?;
            let full = read.len() == STEP as usize;
            for entry in read {
                self.take(app, caller, &entry).await?;
                if self.is_done() {
                    break;
                }
            }
            self.has_ended(full);
        }
        Ok(())
    }

    async fn read(&self, app: &App, caller: &Caller) -> Result<Vec<LogEntry>, AppError> {
        let (store, log) = (app.store(), self.filter.log);
        Ok(match &self.filter.patient {
            Some(patient) => {
                store
                    .log_subject(&caller.scope, log, patient, self.at, STEP)
                    .await?
            }
            None => store.log_recent(&caller.scope, log, self.at, STEP).await?,
        })
    }

    async fn take(
        &mut self,
        app: &App,
        caller: &Caller,
        stored: &LogEntry,
    ) -> Result<(), AppError> {
        self.looked += 1;
        self.at = Some(stored.index);
        let leaf = leaf_of(stored)?;
        if is_far_before(self.filter, &leaf) {
            (self.saw_all, self.stopped) = (true, true);
            return Ok(());
        }
        if !self.filter.leaf_fits(&leaf) {
            return Ok(());
        }
        let is_shown = self.found.len() < self.wanted;
        if is_shown || self.filter.actor.is_some() {
            let entry = readable(app, &caller.scope, stored, leaf).await?;
            if !self.filter.actor_fits(&entry) {
                return Ok(());
            }
            if is_shown {
                self.found.push(entry);
            }
        }
        self.matched += 1;
        if is_shown && self.found.len() == self.wanted {
            self.next = self.at;
            self.stopped = !self.counts;
        }
        Ok(())
    }

    /// After a read: whether it was the last one.
    fn has_ended(&mut self, full: bool) {
        if self.stopped {
            return;
        }
        if !full {
            (self.saw_all, self.stopped) = (true, true);
        } else if self.looked >= LOOK_THROUGH {
            self.stopped = true;
            // A page that is not full goes on where the look-through ended.
            if self.found.len() < self.wanted {
                self.next = self.at;
            }
        }
    }

    const fn is_done(&self) -> bool {
        self.stopped
    }
}

// Entries are in the order they were sequenced, not of their times: an hour covers any difference
// between writers.
fn is_far_before(filter: &Filter, leaf: &Leaf) -> bool {
    filter
        .from
        .is_some_and(|from| leaf.time.plus_seconds(3600) < from)
}
