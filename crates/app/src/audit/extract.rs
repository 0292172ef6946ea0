//! The entries that fit a filter as files: readable, in a spreadsheet's form, and each with the leaf and
//! the proof that others check it by. For the whole log, see [`crate::audit::export`]. Must not leave an
//! entry out without saying so.

use std::fmt::Write as _;

use identity::Interaction;
use ledger::leaf::Class;
use serde_json::json;
use store::Log;

use crate::App;
use crate::audit::{AuditEntry, ExportSink, Filter, allow, entries, policy};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;

/// Entries of one extract at most.
pub const EXTRACT_ENTRIES: usize = 10_000;

const COLUMNS: &str = "log,entry,time,class,outcome,actor,role,resource,patient,query,purpose,address,reason,proof\r\n";

/// Gives what fits a filter to a sink and returns how many entries that were; `before`, `count`,
/// `prove` and `tally` of the filter do not matter. The extract is itself an entry.
///
/// # Errors
/// [`AppError::TooLarge`] where more than [`EXTRACT_ENTRIES`] fit.
pub async fn extract(
    app: &App,
    caller: &Caller,
    filter: &Filter,
    sink: &mut dyn ExportSink,
) -> Result<usize, AppError> {
    allow(app, caller, Interaction::ExportAudit).await?;
    let described = filter.described();
    let (log, class) = (Log::Access, Class::AuditRead);
    let mut entry = house_entry(app, caller, log, class, "audit-export", None);
    entry.payload.query = Some(described.clone());
    entry.payload.patient = filter.patient.as_ref().map(ToString::to_string);
    entry.subject = filter.patient.clone();
    app.store()
        .record_access(&caller.scope, vec![entry])
        .await?;
    app.store().settle(&caller.scope).await?;
    let found = all(app, caller, filter).await?;
    let mut csv = COLUMNS.to_owned();
    let mut lines = String::new();
    for entry in &found {
        csv.push_str(&row(entry));
        let name = format!("{}-{}", entry.log.as_str(), entry.index);
        let line = json!({
            "log": entry.log.as_str(),
            "entry": entry.index,
            "hash": entry.hash.to_base64(),
            "event": entry.payload.as_ref().map(|payload| payload.to_audit_event(&entry.leaf, &caller.context.base)),
        });
        let _ = writeln!(lines, "{line}");
        let leaf = entry.leaf.to_bytes().map_err(|error| {
            AppError::Fault(format!("the leaf of {name} cannot be written: {error}"))
        })?;
        sink.file(&format!("leaves/{name}.json"), &leaf)?;
        if let Some(proof) = &entry.proof {
            sink.file(&format!("proofs/{name}.tlog-proof"), proof.as_bytes())?;
        }
    }
    sink.file("entries.csv", csv.as_bytes())?;
    sink.file("entries.jsonl", lines.as_bytes())?;
    sink.file(ledger::export::KEYS, policy(app)?.to_string().as_bytes())?;
    let words = words(app, caller, &described, &found);
    sink.file("README.txt", words.as_bytes())?;
    Ok(found.len())
}

async fn all(app: &App, caller: &Caller, filter: &Filter) -> Result<Vec<AuditEntry>, AppError> {
    let mut found = Vec::new();
    let mut wanted = Filter {
        before: None,
        count: 1000,
        prove: true,
        tally: false,
        ..filter.clone()
    };
    loop {
        let page = entries::page(app, caller, &wanted).await?;
        found.extend(page.entries);
        if found.len() > EXTRACT_ENTRIES {
            return Err(AppError::TooLarge(format!(
                "more than {EXTRACT_ENTRIES} entries match: narrow the filters, or export the whole log"
            )));
        }
        match page.next {
            Some(next) => wanted.before = Some(next),
            None => return Ok(found),
        }
    }
}

fn row(entry: &AuditEntry) -> String {
    let payload = entry.payload.as_ref();
    let index = entry.index.to_string();
    let time = entry.leaf.time.to_string();
    let resource = payload
        .and_then(|payload| payload.resource.as_ref())
        .map(ledger::payload::ResourceFacts::reference);
    let text = |value: Option<&String>| value.cloned().unwrap_or_default();
    let unreadable = "not readable: the key was destroyed".to_owned();
    let cells = [
        entry.log.as_str().to_owned(),
        index,
        time,
        entry.leaf.class.as_str().to_owned(),
        entry.leaf.outcome.as_str().to_owned(),
        payload.map_or(unreadable, |payload| payload.actor.name.clone()),
        payload.map_or_else(String::new, |payload| payload.actor.role.clone()),
        resource.unwrap_or_default(),
        text(payload.and_then(|payload| payload.patient.as_ref())),
        text(payload.and_then(|payload| payload.query.as_ref())),
        payload.map_or_else(String::new, |payload| payload.purpose.code().to_owned()),
        text(payload.and_then(|payload| payload.client_address.as_ref())),
        text(entry.leaf.reason.as_ref()),
        if entry.proof.is_some() {
            format!("proofs/{}-{}.tlog-proof", entry.log.as_str(), entry.index)
        } else {
            "not yet in a checkpoint".to_owned()
        },
    ];
    let cells: Vec<String> = cells.iter().map(|cell| csv_cell(cell)).collect();
    format!("{}\r\n", cells.join(","))
}

/// A cell of RFC 4180. What a spreadsheet would read as a formula is kept a text.
fn csv_cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        "'"
    } else {
        ""
    };
    if guard.is_empty() && !text.contains([',', '"', '\r', '\n']) {
        return text.to_owned();
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

fn words(app: &App, caller: &Caller, filter: &str, found: &[AuditEntry]) -> String {
    let unproven = found.iter().filter(|entry| entry.proof.is_none()).count();
    format!(
        "Entries of the audit trail of {tenant} ({slug})\n\
         Filter: {filter}\n\
         Entries: {count}, of which {unproven} were not yet in a checkpoint\n\
         Taken: {now} by {actor}\n\n\
         entries.csv     the entries for a spreadsheet, times in UTC\n\
         entries.jsonl   the same as FHIR AuditEvents, one a line\n\
         leaves/         what the log commits to, byte for byte\n\
         proofs/         per entry: its place, the hashes up to the root, the signed checkpoint (C2SP tlog-proof)\n\
         keys.txt        the key the checkpoints are signed with; compare it with one you took elsewhere\n\n\
         To check an entry: hash its leaf with SHA-256 after a byte 00 (RFC 6962), lead the hash along the\n\
         proof to the root, compare with the checkpoint, and check the checkpoint's signature.\n\
         This is a part of a log. That nothing is missing in between shows only the whole log.\n",
        tenant = caller.tenant.name,
        slug = caller.tenant.slug,
        count = found.len(),
        now = app.now(),
        actor = caller.subject.actor().name,
    )
}

#[cfg(test)]
mod tests {
    use super::csv_cell;

    #[test]
    fn cells_are_quoted_and_never_formulas() {
        for (text, cell) in [
            ("Ana", "Ana"),
            ("O'Neill, Ana", "\"O'Neill, Ana\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("=1+1", "\"'=1+1\""),
            ("@x", "\"'@x\""),
            ("", ""),
        ] {
            assert_eq!(csv_cell(text), cell);
        }
    }
}
