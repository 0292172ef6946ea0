//! The audit explorer. A proof is called proven only where it was verified while the page was made.

use app::audit::{AuditEntry, ExportSink, Filter};
use app::{AppError, Log, audit};
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use identity::Interaction;
use kernel::Timestamp;
use ledger::leaf::{Class, Outcome};
use ledger::note::Note;
use ledger::policy::Policy;
use ledger::proof::TlogProof;

use super::answer;
use super::summary::{banner, patient_id};
use super::visit::Visit;
use super::{last, named};
use crate::clinical::{When, code, date};
use crate::components::{Cell, Choice, Field, Paging, Piece, Table, Tone};
use crate::pages::audit::{AuditEntryPage, AuditPage, Checkpoint, Proof};

const PAGE: u32 = 50;
/// The largest log that is exported through a page; larger ones through the command line.
const EXPORT_ENTRIES: u64 = 200_000;

fn log_named(name: &str) -> Option<Log> {
    [Log::Changes, Log::Access]
        .into_iter()
        .find(|log| log.as_str() == name)
}

/// What is known about an entry's proof.
enum Standing {
    Proven(TlogProof),
    Pending,
    Broken(String),
}

fn standing(entry: &AuditEntry, policy: Option<&Policy>) -> Standing {
    let Some(text) = &entry.proof else {
        return Standing::Pending;
    };
    let proof: TlogProof = match text.parse() {
        Ok(proof) => proof,
        Err(_) => return Standing::Broken("The proof could not be read.".to_owned()),
    };
    if proof.verify(entry.hash).is_err() {
        return Standing::Broken(
            "The hashes do not lead from this entry to the signed root.".to_owned(),
        );
    }
    let signed = policy.is_some_and(|policy| policy.check(&proof.checkpoint, false).is_ok());
    if signed {
        Standing::Proven(proof)
    } else {
        Standing::Broken("The checkpoint's signature is not right.".to_owned())
    }
}

fn proof_cell(entry: &AuditEntry, policy: Option<&Policy>) -> Cell {
    match standing(entry, policy) {
        Standing::Proven(_) => Cell::tag(Tone::Good, "Proven"),
        Standing::Pending => Cell::tag(Tone::Info, "Open the entry to check"),
        Standing::Broken(_) => Cell::tag(Tone::Bad, "Not proven"),
    }
}

fn who(entry: &AuditEntry) -> Cell {
    match &entry.payload {
        Some(payload) => Cell::text(&payload.actor.name).minor(&code::words(&payload.actor.role)),
        None => Cell::text("Not readable").minor("The key was destroyed"),
    }
}

fn what(visit: &Visit, entry: &AuditEntry) -> Cell {
    let class = code::words(entry.leaf.class.as_str());
    let Some(payload) = &entry.payload else {
        return Cell::text(&class);
    };
    let mut cell = Cell::text(&class);
    if let Some(resource) = &payload.resource {
        let name = resource.reference();
        cell = match &resource.id {
            Some(id) => cell.and(Piece::Link(
                visit.href(&format!("/records/{}/{id}", resource.ty)),
                name,
            )),
            None => cell.and(Piece::Text(name)),
        };
    }
    if let Some(patient) = &payload.patient {
        cell = cell.minor(&format!("Patient {patient}"));
    }
    cell.minor(payload.query.as_deref().unwrap_or_default())
        .minor(payload.outcome_text.as_deref().unwrap_or_default())
}

fn outcome(entry: &AuditEntry) -> Cell {
    let (tone, words) = match entry.leaf.outcome {
        Outcome::Success => (Tone::Good, "Success"),
        Outcome::Denied => (Tone::Bad, "Denied"),
        Outcome::Failed => (Tone::Warn, "Failed"),
    };
    let cell = Cell::tag(tone, words);
    if is_emergency(entry) {
        cell.and(Piece::Tag(Tone::Warn, "Emergency access".to_owned()))
    } else {
        cell
    }
}

fn is_emergency(entry: &AuditEntry) -> bool {
    let purpose = entry.payload.as_ref().map(|payload| payload.purpose);
    entry.leaf.class == Class::BreakGlass
        || purpose == Some(kernel::PurposeOfUse::EmergencyTreatment)
}

/// Entries as a table; proofs are shown where the entries carry them.
pub fn entry_table(visit: &Visit, entries: &[AuditEntry], policy: Option<&Policy>) -> Table {
    let empty = "No entries match. That is no proof that nothing happened outside these filters.";
    let mut table = Table::new(
        "Entries",
        &["When", "Who", "What", "Outcome", "Proof"],
        empty,
    );
    for entry in entries {
        let href = visit.href(&format!("/audit/{}/{}", entry.log.as_str(), entry.index));
        let when = When::at_second(entry.leaf.time, visit.web.zone());
        let cells = vec![
            Cell::link(&href, &when.text).minor(&format!(
                "{} log, entry {}",
                code::words(entry.log.as_str()),
                entry.index
            )),
            who(entry),
            what(visit, entry),
            outcome(entry),
            proof_cell(entry, policy),
        ];
        table = if entry.leaf.outcome == Outcome::Success {
            table.row(cells)
        } else {
            table.raised_row(cells)
        };
    }
    table
}

/// The explorer.
pub async fn page(visit: Visit) -> Response {
    let patient = visit.query.text("patient").to_owned();
    let result = show(&visit, &patient).await;
    visit.answer(result)
}

/// Everything about one patient.
pub async fn about(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let patient = last(&params).to_owned();
    let result = show(&visit, &patient).await;
    visit.answer(result)
}

fn filters(visit: &Visit, patient: &str, log: Log) -> Vec<Field> {
    let query = &visit.query;
    let logs = [(Log::Access, "Looks"), (Log::Changes, "Changes")];
    let mut fields = vec![
        Field::search("patient", "Patient")
            .value(patient)
            .hint("The record id; with it, every entry is proven"),
        Field::select(
            "log",
            "What",
            logs.iter()
                .map(|(one, words)| Choice::new(one.as_str(), words, *one == log))
                .collect(),
        ),
        Field::search("who", "Who")
            .value(query.text("who"))
            .hint("Part of the name"),
        Field::select(
            "outcome",
            "Outcome",
            [
                ("", "Every outcome"),
                ("success", "Success"),
                ("denied", "Denied"),
                ("failed", "Failed"),
            ]
            .iter()
            .map(|(value, words)| Choice::new(value, words, *value == query.text("outcome")))
            .collect(),
        ),
        Field::date("from", "From").value(query.text("from")),
        Field::date("to", "To, included").value(query.text("to")),
    ];
    for field in &mut fields {
        let is_date = field.name == "from" || field.name == "to";
        if is_date && !field.value.is_empty() && date::typed(&field.value).is_none() {
            field.error = Some("Not used: write it like 05-Mar-2026".to_owned());
        }
        field.required = true; // none is marked "(optional)": all of them are
    }
    fields
}

fn filter(visit: &Visit, log: Log) -> Filter {
    let query = &visit.query;
    let day = |name: &str, next: bool| -> Option<Timestamp> {
        let date = date::typed(query.text(name))?;
        visit
            .web
            .zone()
            .start_of(if next { date.tomorrow().ok()? } else { date })
    };
    Filter {
        outcome: Outcome::from_word(query.text("outcome")),
        actor: Some(query.text("who").to_owned()).filter(|who| !who.is_empty()),
        from: day("from", false),
        until: day("to", true),
        before: query.text("before").parse().ok(),
        ..Filter::newest(log, PAGE)
    }
}

async fn show(visit: &Visit, patient: &str) -> Result<Response, AppError> {
    let log = log_named(visit.query.text("log")).unwrap_or(Log::Access);
    let filter = filter(visit, log);
    let policy = audit::policy(visit.app()).ok();
    let mut shown_banner = None;
    let page = if patient.is_empty() {
        audit::recent(visit.app(), &visit.caller, &filter).await?
    } else {
        let id = patient_id(patient)?;
        shown_banner = banner(visit, &id).await;
        audit::about_patient(visit.app(), &visit.caller, log, &id, filter.before, PAGE).await?
    };
    let mut checkpoints = Vec::new();
    for one in [Log::Changes, Log::Access] {
        if let Ok(note) = audit::checkpoint(visit.app(), &visit.caller, one).await {
            checkpoints.extend(checkpoint(visit, one, &note));
        }
    }
    let export = visit.offers(Interaction::ExportAudit);
    let shown = AuditPage {
        shell: visit.shell("Who changed or saw what"),
        banner: shown_banner,
        patient_href: visit.href(&format!("/patients/{patient}")),
        filters: filters(visit, patient, log),
        table: entry_table(visit, &page.entries, policy.as_ref()),
        paging: Paging {
            words: format!("{} of {} entries of the log", page.entries.len(), page.size),
            first: filter.before.map(|_| visit.query.without("before")),
            next: page
                .next
                .map(|next| visit.query.with("before", &next.to_string())),
        },
        checkpoints,
        export_href: if export {
            visit.href(&format!("/audit/export?log={}", log.as_str()))
        } else {
            String::new()
        },
    };
    Ok(answer::page(StatusCode::OK, &shown))
}

fn checkpoint(visit: &Visit, log: Log, note: &str) -> Option<Checkpoint> {
    let parsed = ledger::checkpoint::Checkpoint::of_note(&Note::parse(note).ok()?).ok()?;
    Some(Checkpoint {
        log: code::words(log.as_str()),
        size: crate::clinical::quantity::dose_number(&parsed.size.to_string()),
        root: data_encoding::BASE64.encode(&parsed.root.0),
        read: When::at_second(visit.app().now(), visit.web.zone()),
        note: note.to_owned(),
    })
}

/// One entry with its proof.
pub async fn entry(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = show_entry(&visit, named(&params, "log"), named(&params, "index")).await;
    visit.answer(result)
}

async fn show_entry(visit: &Visit, log: &str, index: &str) -> Result<Response, AppError> {
    let missing = || AppError::NotFound {
        what: "entry".to_owned(),
    };
    let log = log_named(log).ok_or_else(missing)?;
    let index: u64 = index.parse().map_err(|_| missing())?;
    let filter = Filter {
        before: index.checked_add(1),
        ..Filter::newest(log, 1)
    };
    let page = audit::recent(visit.app(), &visit.caller, &filter).await?;
    let mut entry = page
        .entries
        .into_iter()
        .find(|entry| entry.index == index)
        .ok_or_else(missing)?;
    entry.proof = match audit::proof(visit.app(), &visit.caller, log, index).await {
        Ok(proof) => Some(proof),
        Err(AppError::Proof(_)) => None,
        Err(error) => return Err(error),
    };
    let policy = audit::policy(visit.app()).ok();
    let name = format!("{} log, entry {index}", code::words(log.as_str()));
    let shown = AuditEntryPage {
        shell: visit.shell(&name),
        facts: facts(visit, &entry),
        proof: proof_of(standing(&entry, policy.as_ref())),
        leaf: entry.leaf.to_bytes().map_or_else(
            |_| "Not readable".to_owned(),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        ),
        back: visit.href(&format!("/audit?log={}", log.as_str())),
        name,
    };
    Ok(answer::page(StatusCode::OK, &shown))
}

fn facts(visit: &Visit, entry: &AuditEntry) -> Vec<(String, String)> {
    let mut facts = vec![
        (
            "When".to_owned(),
            When::at_second(entry.leaf.time, visit.web.zone()).text,
        ),
        ("What".to_owned(), code::words(entry.leaf.class.as_str())),
        (
            "Outcome".to_owned(),
            code::words(entry.leaf.outcome.as_str()),
        ),
    ];
    let mut add = |label: &str, value: Option<String>| {
        facts.extend(value.map(|value| (label.to_owned(), value)));
    };
    match &entry.payload {
        Some(payload) => {
            add("Who", Some(format!("{}, {}", payload.actor.name, payload.actor.role)));
            add("Resource", payload.resource.as_ref().map(ledger::payload::ResourceFacts::reference));
            add("Patient", payload.patient.clone());
            add("Query", payload.query.clone());
            add("Purpose", Some(payload.purpose.code().to_owned()));
            add("Client address", payload.client_address.clone());
            add("Request", payload.request.map(|request| request.to_string()));
            add("Words", payload.outcome_text.clone());
        }
        None => add("Content", Some("Not readable: the key was destroyed. The entry itself still proves that it existed.".to_owned())),
    }
    add("Reason", entry.leaf.reason.clone());
    add(
        "Rests on grant",
        entry.leaf.prior.map(|prior| prior.to_string()),
    );
    facts
}

fn proof_of(standing: Standing) -> Proof {
    match standing {
        Standing::Proven(proof) => {
            let root = ledger::checkpoint::Checkpoint::of_note(&proof.checkpoint)
                .map_or_else(|_| String::new(), |checkpoint| data_encoding::BASE64.encode(&checkpoint.root.0));
            Proof {
                tone: Tone::Good,
                words: "Proven".to_owned(),
                detail: "The entry is in the signed log. The hashes and the signature were checked just now.".to_owned(),
                path: proof.hashes.iter().map(|hash| data_encoding::BASE64.encode(&hash.0)).collect(),
                root,
            }
        }
        Standing::Pending => Proof {
            tone: Tone::Info,
            words: "Not yet in a checkpoint".to_owned(),
            detail: "The entry is written and waits for the next checkpoint. Open this page again in a moment.".to_owned(),
            path: Vec::new(),
            root: String::new(),
        },
        Standing::Broken(detail) => Proof {
            tone: Tone::Bad,
            words: "Not proven".to_owned(),
            detail: format!("{detail} Tell your administrator, and run theriac verify."),
            path: Vec::new(),
            root: String::new(),
        },
    }
}

/// Collects the files of an export into one tar archive.
struct Archive(tar::Builder<Vec<u8>>, u64);

impl ExportSink for Archive {
    fn file(&mut self, path: &str, bytes: &[u8]) -> Result<(), AppError> {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(self.1);
        header.set_cksum();
        self.0
            .append_data(&mut header, path, bytes)
            .map_err(|error| AppError::Fault(error.to_string()))
    }
}

/// A log as a tar archive that `theriac verify` reads.
pub async fn export(visit: Visit) -> Response {
    let result = export_of(&visit).await;
    visit.answer(result)
}

async fn export_of(visit: &Visit) -> Result<Response, AppError> {
    let log = log_named(visit.query.text("log"))
        .ok_or_else(|| AppError::Invalid("name the log to export, changes or access".to_owned()))?;
    let note = audit::checkpoint(visit.app(), &visit.caller, log).await?;
    let size = Note::parse(&note)
        .ok()
        .and_then(|note| ledger::checkpoint::Checkpoint::of_note(&note).ok())
        .map_or(0, |checkpoint| checkpoint.size);
    if size > EXPORT_ENTRIES {
        return Err(AppError::TooLarge(format!(
            "the log has {size} entries, a page exports at most {EXPORT_ENTRIES}: use theriac export --ledger"
        )));
    }
    let seconds = u64::try_from(visit.app().now().as_millis() / 1000).unwrap_or(0);
    let mut archive = Archive(tar::Builder::new(Vec::new()), seconds);
    audit::export(visit.app(), &visit.caller, log, &mut archive).await?;
    let bytes = archive
        .0
        .into_inner()
        .map_err(|error| AppError::Fault(error.to_string()))?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-tar"),
    );
    let name = format!(
        "attachment; filename=\"{}-{}.tar\"",
        visit.slug,
        log.as_str()
    );
    if let Ok(value) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}
