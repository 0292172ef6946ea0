//! Every metric there is: name, kind, labels and meaning. What is exposed and the reference page both come
//! from this table. Labels are bounded: never a tenant, a patient, an id or an address.

/// How values are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process runs.
    Counter,
    /// Goes up and down.
    Gauge,
    /// `_bucket`, `_sum` and `_count`.
    Histogram,
}

impl Kind {
    /// The word of the exposition format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its labels; `le` of histograms goes without saying.
    pub labels: &'static [&'static str],
    /// What it means, with its unit.
    pub help: &'static str,
}

const fn family(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family {
        name,
        kind,
        labels,
        help,
    }
}

use Kind::{Counter, Gauge, Histogram};

/// HTTP requests.
pub const REQUESTS: Family = family(
    "theriac_http_requests_total",
    Counter,
    &["interaction", "status"],
    "HTTP requests by interaction and status class",
);
/// How long they took.
pub const DURATIONS: Family = family(
    "theriac_http_request_duration_seconds",
    Histogram,
    &["interaction"],
    "Time from request to answer, in seconds",
);
/// Requests in progress.
pub const IN_FLIGHT: Family = family(
    "theriac_http_requests_in_flight",
    Gauge,
    &[],
    "HTTP requests being answered",
);
pub(super) const BUILD: Family = family(
    "theriac_build_info",
    Gauge,
    &["version"],
    "Always 1; the label names the program's version",
);
pub(super) const OPEN_TENANTS: Family = family(
    "theriac_store_open_tenants",
    Gauge,
    &["store"],
    "Tenants this process has opened, the instance's own among them",
);
pub(super) const COMMITS: Family = family(
    "theriac_store_commits_total",
    Counter,
    &["store", "outcome"],
    "Transactions of the writers, `done` or `failed` as a whole",
);
pub(super) const BATCH: Family = family(
    "theriac_store_commit_units",
    Histogram,
    &["store"],
    "Units of work merged into one transaction (group commit)",
);
pub(super) const WAIT: Family = family(
    "theriac_store_commit_wait_seconds",
    Histogram,
    &["store"],
    "Time a unit of work waited for its transaction to begin, in seconds",
);
pub(super) const SYNC: Family = family(
    "theriac_store_commit_sync_seconds",
    Histogram,
    &["store"],
    "Time the database's commit took with its sync to disk, in seconds",
);
pub(super) const QUEUE: Family = family(
    "theriac_store_writer_queue",
    Gauge,
    &["store"],
    "Jobs that wait for a writer",
);
pub(super) const READERS: Family = family(
    "theriac_store_readers",
    Gauge,
    &["store", "state"],
    "Database connections for reading, `in_use` and the `limit`; PostgreSQL's writers take theirs from the same pool",
);
pub(super) const LOOKS: Family = family(
    "theriac_store_journal_looks",
    Gauge,
    &["store"],
    "Looks at patient data that wait in the crash-safe journals for the access ledger",
);
pub(super) const LOOK_BYTES: Family = family(
    "theriac_store_journal_bytes",
    Gauge,
    &["store"],
    "Bytes of the looks that wait in the journals",
);
pub(super) const ENTRIES: Family = family(
    "theriac_ledger_entries",
    Gauge,
    &["log"],
    "Entries with an index, over all open tenants, as this process last saw them",
);
pub(super) const STAGED: Family = family(
    "theriac_ledger_staged_entries",
    Gauge,
    &["log"],
    "Entries this process committed and has not seen sequenced yet; always 0 with SQLite, which sequences within the commit",
);
pub(super) const CHECKPOINT: Family = family(
    "theriac_ledger_checkpoint_age_seconds",
    Gauge,
    &["log"],
    "Seconds since this process signed its newest checkpoint of a log; absent before the first",
);
pub(super) const JOBS: Family = family(
    "theriac_jobs",
    Gauge,
    &["state"],
    "The platform's own jobs by state: `running`, `waiting`, `failed` (the last run failed)",
);
pub(super) const JOB_RUNS: Family = family(
    "theriac_job_runs_total",
    Counter,
    &["job", "outcome"],
    "Runs of the platform's own jobs, `done` or `failed`",
);
pub(super) const JOB_AGE: Family = family(
    "theriac_job_done_age_seconds",
    Gauge,
    &["job"],
    "Seconds since a job was done last by this process; absent before the first time",
);
pub(super) const LAG: Family = family(
    "theriac_consumer_lag_entries",
    Gauge,
    &["consumer"],
    "Entries a consumer of the change ledger is behind in the tenant where it is most behind, as this process last saw it",
);

pub(super) const NOTIFICATIONS: Family = family(
    "theriac_subscription_notifications_total",
    Counter,
    &["channel", "outcome"],
    "Notifications of subscriptions by this process: `delivered`, `failed` (tried again), `dead` (given up), `dropped` (nothing left that may be sent)",
);
pub(super) const SUBSCRIPTIONS: Family = family(
    "theriac_subscriptions",
    Gauge,
    &["state"],
    "Subscriptions over all tenants as this process last saw them: `active`, `failing` (its last attempt failed, or it was given up)",
);
pub(super) const WAITING: Family = family(
    "theriac_subscription_waiting_events",
    Gauge,
    &[],
    "Events that wait to be sent, over all tenants, as this process last saw them",
);
pub(super) const SOCKETS: Family = family(
    "theriac_subscription_websockets",
    Gauge,
    &[],
    "WebSockets of subscriptions that are open in this process",
);

pub(super) const KNOWLEDGE: Family = family(
    "theriac_knowledge_questions_total",
    Counter,
    &["source", "outcome"],
    "Checks of lists by source of drug knowledge: `answered`, `kept` (nothing had to be asked), and failures: `late`, `resting`, `unreachable`, `key`, `refused`, `status`, `unreadable`",
);

/// All of them, as the reference page lists them.
pub const FAMILIES: [Family; 25] = [
    BUILD,
    REQUESTS,
    DURATIONS,
    IN_FLIGHT,
    OPEN_TENANTS,
    COMMITS,
    BATCH,
    WAIT,
    SYNC,
    QUEUE,
    READERS,
    LOOKS,
    LOOK_BYTES,
    ENTRIES,
    STAGED,
    CHECKPOINT,
    JOBS,
    JOB_RUNS,
    JOB_AGE,
    LAG,
    NOTIFICATIONS,
    SUBSCRIPTIONS,
    WAITING,
    SOCKETS,
    KNOWLEDGE,
];

/// The reference page, generated.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Metrics\n`GET /metrics` answers Prometheus exposition text, without sign-in and without any tenant, patient, id or address: keep it inside the network all the same. Figures of the store and the ledger are counted in memory by the process that is asked; asking costs no query.\n\n| metric | kind | labels | meaning |\n|---|---|---|---|\n",
    );
    for family in &FAMILIES {
        let labels: Vec<String> = family.labels.iter().map(|l| format!("`{l}`")).collect();
        let row = format!(
            "| `{}` | {} | {} | {} |\n",
            family.name,
            family.kind.as_str(),
            labels.join(", "),
            family.help
        );
        page.push_str(&row);
    }
    page.push_str("\n## What to watch\n- `theriac_store_writer_queue` that stays above 0 with a growing `theriac_store_commit_wait_seconds`: the disk is the limit (`theriac_store_commit_sync_seconds`), or one tenant writes more than one writer can take.\n- `theriac_store_journal_looks` that grows: looks are recorded faster than they reach the access ledger; beyond 20,000 in a tenant, answers wait.\n- `theriac_ledger_staged_entries` that stays above 0: the sequencer does not come by its entries; after 5 s `/readyz` fails with the reason in the log.\n- `theriac_jobs{state=\"failed\"}` above 0: the log says why. `theriac_job_done_age_seconds{job=\"checkpoints\"}` above a minute on every replica: tenants' checkpoints no longer reach the instance log.\n- `theriac_store_commits_total{outcome=\"failed\"}` that grows: a full or failing disk, or a database that is away.\n- `theriac_subscription_waiting_events` that grows: an endpoint is slower than the changes it asks for, or down; `GET /t/{tenant}/api/v1/subscriptions` says which. `theriac_subscription_notifications_total{outcome=\"dead\"}` that grows: notifications were given up; see the guide on subscriptions.\n- `theriac_knowledge_questions_total` with another outcome than `answered` and `kept` that grows: prescribers read \"not checked\" with that source; the log says why.\n");
    page
}
