//! `theriac verify`: the offline verifier over an export, a data folder or the configured store. Needs no
//! network, no database and no key for an export; of a store it checks the record too. Exit codes are the verdict's: 0 sound, 1 altered, 2 incomplete, 3 untrusted.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kernel::Clock;
use ledger::export::KEYS;
use ledger::verify::{LogSource, Report, Request, verify};
use ledger::{Checkpoint, Note, Policy};
use serde_json::json;
use store::evidence::RecordSummary;

use crate::cli::{Format, Global, Verify};
use crate::failure::Failure;
use crate::log_folder::LogFolder;
use crate::output::{Printer, Progress};
use crate::ports::SystemClock;

/// Verifies and prints; returns the exit code.
pub fn run(arguments: &Verify, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let format = printer.format();
    let held: Vec<Checkpoint> = arguments
        .from
        .iter()
        .map(|file| held(file))
        .collect::<Result<_, _>>()?;
    let Some(source) = &arguments.source else {
        let config = super::config(global)?;
        return crate::data_folder::verify(arguments, None, &held, &config, format, printer);
    };
    if !source.is_dir() {
        return Err(Failure::missing(format!(
            "{} is no folder: give an export or a data folder",
            source.display()
        )));
    }
    if source.join("tenants").is_dir() {
        return crate::data_folder::verify(
            arguments,
            Some(source),
            &held,
            &super::config(global)?,
            format,
            printer,
        );
    }
    if source.join("journal.id").exists() {
        return Err(Failure::missing(format!(
            "{} belongs to an instance on PostgreSQL, whose ledger is in the database: run `theriac verify` without a folder while nothing writes, or write it with `theriac export --ledger` and verify that",
            source.display()
        )));
    }
    if arguments.policy.is_none() && !source.join(KEYS).exists() {
        return Err(Failure::missing(format!(
            "{} holds neither a ledger export (with {KEYS}) nor a data folder (with tenants/): name one, or give the keys with --policy",
            source.display()
        )));
    }
    let policy = policy(arguments, source)?;
    let mut progress = Tracker::new(printer);
    let mut logs = LogFolder::open(source, |origin, checked, size| {
        progress.at(origin, checked, size);
    })
    .map_err(|error| Failure::from_error(&error))?;
    let report = examine(&mut logs, &policy, &held, arguments.partial);
    drop(logs);
    drop(progress);
    let report = report?;
    let record = BTreeMap::new();
    print(
        &report,
        &record,
        arguments.policy.is_some(),
        format,
        printer,
    );
    Ok(report.verdict().exit_code())
}

/// Runs the verifier.
pub fn examine(
    source: &mut impl LogSource,
    policy: &Policy,
    held: &[Checkpoint],
    partial: bool,
) -> Result<Report, Failure> {
    verify(
        source,
        &Request {
            policy,
            held,
            payloads: true,
            partial,
        },
    )
    .map_err(|error| Failure::from_error(&error))
}

/// The policy given, or the keys beside the logs.
pub fn policy(arguments: &Verify, beside: &Path) -> Result<Policy, Failure> {
    let file = arguments
        .policy
        .clone()
        .unwrap_or_else(|| beside.join(KEYS));
    let text = std::fs::read_to_string(&file).map_err(|error| {
        Failure::missing(format!(
            "keys {} cannot be read ({error}): give them with --policy",
            file.display()
        ))
    })?;
    text.parse().map_err(|error| Failure::from_error(&error))
}

fn held(file: &Path) -> Result<Checkpoint, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::missing(format!(
            "checkpoint {} cannot be read: {error}",
            file.display()
        ))
    })?;
    let note = Note::parse(&text).map_err(|error| Failure::from_error(&error))?;
    Checkpoint::of_note(&note).map_err(|error| Failure::from_error(&error))
}

/// Prints a report; `record` says what was looked at beside the logs, by change log.
pub fn print(
    report: &Report,
    record: &BTreeMap<String, RecordSummary>,
    has_policy: bool,
    format: Format,
    printer: Printer,
) {
    if format == Format::Json {
        printer.object(&json(report, record));
        return;
    }
    let versions = |origin: &str| record.get(origin).map(|of| of.versions);
    let rows: Vec<Vec<String>> = report
        .logs
        .iter()
        .map(|log| {
            let counts = [
                log.entries,
                log.checkpoints,
                log.payloads,
                log.absent_payloads,
            ];
            let versions = versions(&log.origin).map_or_else(String::new, |of| of.to_string());
            std::iter::once(log.origin.clone())
                .chain(counts.map(|count| count.to_string()))
                .chain([versions])
                .collect()
        })
        .collect();
    printer.rows(
        &[
            "log",
            "entries",
            "checkpoints",
            "payloads",
            "erased",
            "versions",
        ],
        &rows,
    );
    for finding in &report.findings {
        printer.text(&finding.to_string());
    }
    if report.unlisted > 0 {
        printer.text(&format!("and {} more findings", report.unlisted));
    }
    printer.text(&format!("\n{}", report.verdict().as_str()));
    if !has_policy {
        printer.note("hint: the keys came with the logs; give --policy with keys you trust to check the origin too");
    }
}

/// A report as JSON.
pub fn json(report: &Report, record: &BTreeMap<String, RecordSummary>) -> serde_json::Value {
    let logs = report.logs.iter().map(|log| {
        json!({
            "origin": log.origin,
            "entries": log.entries,
            "checkpoints": log.checkpoints,
            "payloads": log.payloads,
            "absent_payloads": log.absent_payloads,
            "versions": record.get(&log.origin).map(|of| of.versions),
        })
    });
    let findings = report.findings.iter().map(|finding| {
        json!({
            "verdict": finding.verdict.as_str(),
            "log": finding.log,
            "index": finding.index,
            "what": finding.what,
        })
    });
    json!({
        "verdict": report.verdict().as_str(),
        "logs": logs.collect::<Vec<_>>(),
        "findings": findings.collect::<Vec<_>>(),
        "unlisted_findings": report.unlisted,
    })
}

/// Progress over several logs.
pub struct Tracker {
    printer: Printer,
    clock: Arc<dyn Clock>,
    current: Option<(String, u64, Progress)>,
}

impl Tracker {
    /// Nothing begun.
    #[must_use]
    pub fn new(printer: Printer) -> Self {
        Self {
            printer,
            clock: Arc::new(SystemClock::new()),
            current: None,
        }
    }

    /// `checked` of `size` entries of a log are checked.
    pub fn at(&mut self, origin: &str, checked: u64, size: u64) {
        if self
            .current
            .as_ref()
            .is_none_or(|(log, _, _)| log != origin)
        {
            if let Some((_, _, done)) = self.current.take() {
                done.finish();
            }
            let progress = self
                .printer
                .progress("verifying", size, Arc::clone(&self.clock));
            self.current = Some((origin.to_owned(), 0, progress));
        }
        if let Some((_, before, progress)) = &mut self.current {
            progress.advance(checked.saturating_sub(*before));
            *before = checked;
        }
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        if let Some((_, _, progress)) = &self.current {
            progress.finish();
        }
    }
}
