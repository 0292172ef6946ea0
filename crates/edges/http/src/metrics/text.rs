//! Figures as exposition text. Every family's heading is written also where it has no value yet, so that
//! what is exposed is the whole table.

use std::fmt::Write as _;

use app::figures::{Figures, JobState, Spread};

use super::families::{self as f, Family};

type Labels<'a> = &'a [(&'a str, &'a str)];

/// Text being written; a label's value must need no escapes (names of ours) or is escaped here.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, family: &Family) {
        let (name, help) = (family.name, family.help);
        let _ = writeln!(
            self.0,
            "# HELP {name} {help}\n# TYPE {name} {}",
            family.kind.as_str()
        );
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: f64) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let open = if at == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{label}=\"{text}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }

    fn one(&mut self, family: &Family, labels: Labels<'_>, value: f64) {
        self.family(family);
        self.sample(family.name, labels, value);
    }

    fn histogram(&mut self, family: &Family, (label, text): (&str, &str), spread: &Spread) {
        self.family(family);
        let bucket = format!("{}_bucket", family.name);
        for (bound, count) in &spread.buckets {
            let bound = bound.to_string();
            self.sample(&bucket, &[(label, text), ("le", &bound)], *count as f64);
        }
        let all = spread.count as f64;
        self.sample(&bucket, &[(label, text), ("le", "+Inf")], all);
        self.sample(
            &format!("{}_sum", family.name),
            &[(label, text)],
            spread.sum,
        );
        self.sample(&format!("{}_count", family.name), &[(label, text)], all);
    }
}

/// Writes the figures.
pub(super) fn write(figures: &Figures) -> String {
    let mut text = Text::default();
    text.one(&f::BUILD, &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    store(&mut text, figures);
    ledger(&mut text, figures);
    jobs(&mut text, figures);
    text.family(&f::LAG);
    for (consumer, behind) in &figures.consumers {
        text.sample(f::LAG.name, &[("consumer", consumer)], *behind as f64);
    }
    subscriptions(&mut text, figures);
    text.family(&f::KNOWLEDGE);
    for (source, outcome, count) in &figures.knowledge {
        let labels = [("source", source.as_str()), ("outcome", *outcome)];
        text.sample(f::KNOWLEDGE.name, &labels, *count as f64);
    }
    text.0
}

fn subscriptions(text: &mut Text, figures: &Figures) {
    let found = &figures.subscriptions;
    text.family(&f::NOTIFICATIONS);
    for (channel, outcome, count) in &found.notifications {
        let labels = [("channel", *channel), ("outcome", *outcome)];
        text.sample(f::NOTIFICATIONS.name, &labels, *count as f64);
    }
    text.family(&f::SUBSCRIPTIONS);
    for (state, count) in [("active", found.active), ("failing", found.failing)] {
        text.sample(f::SUBSCRIPTIONS.name, &[("state", state)], count as f64);
    }
    text.one(&f::WAITING, &[], found.waiting as f64);
    text.one(&f::SOCKETS, &[], found.sockets as f64);
}

fn store(text: &mut Text, figures: &Figures) {
    let store = &figures.store;
    let kind = ("store", store.kind);
    text.one(&f::OPEN_TENANTS, &[kind], store.open_tenants as f64);
    text.family(&f::COMMITS);
    for (outcome, count) in [("done", store.commits), ("failed", store.failed_commits)] {
        let labels = [kind, ("outcome", outcome)];
        text.sample(f::COMMITS.name, &labels, count as f64);
    }
    text.histogram(&f::BATCH, kind, &store.batch_units);
    text.histogram(&f::WAIT, kind, &store.wait_seconds);
    text.histogram(&f::SYNC, kind, &store.sync_seconds);
    text.one(&f::QUEUE, &[kind], store.queue as f64);
    text.family(&f::READERS);
    for (state, count) in [("in_use", store.readers_in_use), ("limit", store.readers)] {
        text.sample(f::READERS.name, &[kind, ("state", state)], count as f64);
    }
    text.one(&f::LOOKS, &[kind], store.looks as f64);
    text.one(&f::LOOK_BYTES, &[kind], store.look_bytes as f64);
}

fn ledger(text: &mut Text, figures: &Figures) {
    let logs = &figures.store.logs;
    text.family(&f::ENTRIES);
    for log in logs {
        let label = ("log", log.log.as_str());
        text.sample(f::ENTRIES.name, &[label], log.entries as f64);
    }
    text.family(&f::STAGED);
    for log in logs {
        let label = ("log", log.log.as_str());
        text.sample(f::STAGED.name, &[label], log.staged as f64);
    }
    text.family(&f::CHECKPOINT);
    for log in logs {
        if let Some(age) = log.checkpoint_age {
            text.sample(f::CHECKPOINT.name, &[("log", log.log.as_str())], age);
        }
    }
}

fn jobs(text: &mut Text, figures: &Figures) {
    let jobs = &figures.jobs;
    text.family(&f::JOBS);
    for state in JobState::ALL {
        let count = jobs.iter().filter(|(_, job)| job.state == state).count();
        let label = ("state", state.as_str());
        text.sample(f::JOBS.name, &[label], count as f64);
    }
    text.family(&f::JOB_RUNS);
    for (name, job) in jobs {
        for (outcome, count) in [("done", job.done), ("failed", job.failed)] {
            let labels = [("job", *name), ("outcome", outcome)];
            text.sample(f::JOB_RUNS.name, &labels, count as f64);
        }
    }
    text.family(&f::JOB_AGE);
    for (name, job) in jobs {
        if let Some(age) = job.age {
            text.sample(f::JOB_AGE.name, &[("job", name)], age);
        }
    }
}
