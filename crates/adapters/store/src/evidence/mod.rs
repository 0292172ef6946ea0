//! The verifier over an open store: its logs as they lie there, against the head files outside the
//! databases, and every version of the record against the entry that recorded it. Blocks: not for the
//! runtime's workers. Must not write, and must not decide what a finding means to people.

mod logs;
mod record;

use std::collections::BTreeMap;

use ::ledger::checkpoint::Checkpoint;
use ::ledger::policy::Policy;
use ::ledger::verify::{Report, Request, Verdict, verify};

pub use logs::StoreLogs;

use crate::port::error::StoreError;
use crate::port::ledger::Log;

/// What of the record was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordSummary {
    /// Version rows.
    pub versions: u64,
    /// Of these, versions whose key was destroyed: counted against their entries, not read.
    pub erased: u64,
}

/// Verifies the logs of an open store.
pub fn verify_logs<P: FnMut(&str, u64, u64)>(
    logs: &mut StoreLogs<P>,
    policy: &Policy,
    held: &[Checkpoint],
) -> Result<Report, StoreError> {
    let request = Request {
        policy,
        held,
        payloads: true,
        partial: false,
    };
    verify(logs, &request).map_err(|error| {
        let failure = logs.failure.take();
        failure.unwrap_or_else(|| StoreError::Engine(error.to_string()))
    })
}

/// Verifies that the record is what the logs say, after [`verify_logs`]: each version has its entry, each
/// entry of a change its version. Findings go to the report, under the change log of their tenant.
pub fn verify_record<P: FnMut(&str, u64, u64)>(
    logs: &mut StoreLogs<P>,
    report: &mut Report,
) -> Result<BTreeMap<String, RecordSummary>, StoreError> {
    let mut summaries = BTreeMap::new();
    for (origin, scope) in logs.change_logs() {
        // Entries that the log lacks explain versions without one.
        let lacks = report
            .findings
            .iter()
            .any(|finding| finding.log == origin && finding.verdict == Verdict::Incomplete);
        let store = logs.store();
        let mut lost = lacks;
        for log in [Log::Changes, Log::Access] {
            let of = logs
                .origin_of(&scope, log)
                .unwrap_or_else(|| origin.clone());
            for entry in logs.wait(store.unplaced(&scope, log))? {
                let what = format!(
                    "entry {} of writer {} was committed and has no place in the log",
                    entry.counter, entry.writer
                );
                let size = logs.size_of(&of);
                report.add(Verdict::Incomplete, &of, size, what);
                lost |= log == Log::Changes;
            }
        }
        let summary = record::pair(logs, &scope, &origin, lost, report)?;
        summaries.insert(origin, summary);
    }
    Ok(summaries)
}
