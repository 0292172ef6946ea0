//! Entries of the audit trail as rows, and one entry with its proof. A proof is called proven only where
//! it was verified while the page was made.

use app::audit::{AuditEntry, Filter};
use app::record::query_string;
use app::{AppError, audit};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use ledger::leaf::{Class, Outcome};
use ledger::note::Note;
use ledger::policy::Policy;
use ledger::proof::TlogProof;

use super::answer;
use super::audit::log_named;
use super::named;
use super::visit::Visit;
use crate::clinical::quantity::dose_number;
use crate::clinical::{When, code};
use crate::components::{Cell, Piece, Table, Tone};
use crate::pages::audit::{AuditEntryPage, Proof};

/// What is known about an entry's proof.
pub enum Standing {
    Proven(TlogProof),
    Pending,
    Broken(String),
}

/// Checks proofs, each signed checkpoint once.
pub struct Checker<'a> {
    policy: Option<&'a Policy>,
    checked: Vec<(Note, bool)>,
}

impl<'a> Checker<'a> {
    /// A checker that trusts the keys of a policy.
    pub const fn new(policy: Option<&'a Policy>) -> Self {
        Self {
            policy,
            checked: Vec::new(),
        }
    }

    fn is_signed(&mut self, note: &Note) -> bool {
        if let Some((_, signed)) = self.checked.iter().find(|(known, _)| known == note) {
            return *signed;
        }
        let signed = self
            .policy
            .is_some_and(|policy| policy.check(note, false).is_ok());
        self.checked.push((note.clone(), signed));
        signed
    }

    /// How the proof of an entry stands.
    pub fn standing(&mut self, entry: &AuditEntry) -> Standing {
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
        if self.is_signed(&proof.checkpoint) {
            Standing::Proven(proof)
        } else {
            Standing::Broken("The checkpoint's signature is not right.".to_owned())
        }
    }
}

fn proof_cell(standing: &Standing) -> Cell {
    match standing {
        Standing::Proven(_) => Cell::tag(Tone::Good, "Proven"),
        Standing::Pending => Cell::tag(Tone::Info, "Waits for checkpoint"),
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
    let is_said = |patient: &String| {
        let query = payload
            .query
            .as_ref()
            .is_some_and(|query| query.contains(patient));
        let resource = payload
            .resource
            .as_ref()
            .is_some_and(|resource| resource.reference().contains(patient));
        query || resource
    };
    if let Some(patient) = payload.patient.as_ref().filter(|patient| !is_said(patient)) {
        cell = cell.minor(&format!("Patient {patient}"));
    }
    cell.minor(&readable_query(
        payload.query.as_deref().unwrap_or_default(),
    ))
    .minor(payload.outcome_text.as_deref().unwrap_or_default())
}

/// A query in words: `Patient: identifier 943 476 5919, _count 25`. The entry's own page has it as sent.
fn readable_query(query: &str) -> String {
    let (start, pairs) = query
        .split_once('?')
        .map_or(("", query), |(ty, rest)| (ty, rest));
    let Some(pairs) = query_string::parse(pairs) else {
        return query.to_owned();
    };
    let pairs: Vec<String> = pairs
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "_count" | "_sort" | "_elements"))
        .map(|(name, value)| format!("{name} {}", value.replace(',', ", ")))
        .collect();
    match (start, pairs.is_empty()) {
        ("", _) => pairs.join("; "),
        (start, true) => format!("{start}, all"),
        (start, false) => format!("{start}: {}", pairs.join("; ")),
    }
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

/// Entries as a table; each with how its proof stands where a policy is given.
pub fn entry_table(visit: &Visit, entries: &[AuditEntry], policy: Option<&Policy>) -> Table {
    let empty = "No entries match. That is no proof that nothing happened outside these filters.";
    let columns: &[&str] = if policy.is_some() {
        &["When", "Who", "What", "Outcome", "Proof"]
    } else {
        &["When", "Who", "What", "Outcome"]
    };
    let mut table = Table::new("Entries", columns, empty);
    let mut checker = Checker::new(policy);
    for entry in entries {
        let href = visit.href(&format!("/audit/{}/{}", entry.log.as_str(), entry.index));
        let when = When::at_second(entry.leaf.time, visit.zone());
        let place = format!(
            "{} {}",
            entry.log.as_str(),
            dose_number(&entry.index.to_string())
        );
        let mut cells = vec![
            Cell::link(&href, &when.text.replace(' ', "\u{a0}")).minor(&code::words(&place)),
            who(entry),
            what(visit, entry),
            outcome(entry),
        ];
        if policy.is_some() {
            cells.push(proof_cell(&checker.standing(entry)));
        }
        table = if entry.leaf.outcome == Outcome::Success {
            table.row(cells)
        } else {
            table.raised_row(cells)
        };
    }
    table
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
        proof: proof_of(Checker::new(policy.as_ref()).standing(&entry)),
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
            When::at_second(entry.leaf.time, visit.zone()).text,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_readable() {
        for (query, words) in [
            (
                "Patient?_count=25&identifier=943%20476%205918,9434765918&_sort=family",
                "Patient: identifier 943 476 5918, 9434765918",
            ),
            ("Patient?_count=25", "Patient, all"),
            ("log=access&actor=nurse", "log access; actor nurse"),
            ("", ""),
        ] {
            assert_eq!(readable_query(query), words);
        }
    }
}
