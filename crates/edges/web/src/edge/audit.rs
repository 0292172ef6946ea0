//! The audit explorer: filters, and the entries that fit. A proof is called proven only where it was
//! verified while the page was made.

use std::fmt::Write as _;

use app::audit::{Filter, Sought};
use app::{AppError, Log, audit};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use identity::Interaction;
use kernel::{LogicalId, Timestamp};
use ledger::leaf::{Class, Outcome};
use ledger::note::Note;
use ledger::policy::Policy;

use super::answer;
use super::audit_entry::{Checker, Standing, entry_table};
use super::form::Form;
use super::last;
use super::summary::{banner, patient_id};
use super::visit::Visit;
use crate::clinical::identifier::{TypedNumber, typed_number};
use crate::clinical::quantity::dose_number;
use crate::clinical::{When, code, date};
use crate::components::{Choice, ErrorSummary, Field, Paging};
use crate::pages::audit::{AuditPage, Checkpoint};

const PAGE: u32 = 50;

/// A log by its name.
pub fn log_named(name: &str) -> Option<Log> {
    [Log::Changes, Log::Access]
        .into_iter()
        .find(|log| log.as_str() == name)
}

/// How many entries there are and how their proofs stand.
fn found_words(page: &audit::AuditPage, policy: &Policy) -> String {
    let number = |count: u64| dose_number(&count.to_string());
    let shown = page.entries.len() as u64;
    let matched = page.matched.map_or_else(String::new, |matched| {
        let entries = if matched.entries == 1 {
            "entry matches"
        } else {
            "entries match"
        };
        if matched.complete {
            format!("{} {entries}. ", number(matched.entries))
        } else {
            format!(
                "At least {} {entries}; older ones were not looked through. ",
                number(matched.entries)
            )
        }
    });
    let mut checker = Checker::new(Some(policy));
    let (mut proven, mut waiting, mut broken) = (0, 0, 0);
    for entry in &page.entries {
        match checker.standing(entry) {
            Standing::Proven(_) => proven += 1,
            Standing::Pending => waiting += 1,
            Standing::Broken(_) => broken += 1,
        }
    }
    let mut words = format!(
        "{matched}{} on this page: {} proven",
        number(shown),
        number(proven)
    );
    if waiting > 0 {
        let _ = write!(
            words,
            ", {} waiting for the next checkpoint",
            number(waiting)
        );
    }
    if broken > 0 {
        let _ = write!(words, ", {} not proven", number(broken));
    }
    words.push('.');
    words
}

/// The explorer.
pub async fn page(visit: Visit) -> Response {
    let result = show(&visit, Asked::of(&visit)).await;
    visit.answer(result)
}

/// Everything about one patient.
pub async fn about(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = match patient_id(last(&params)) {
        Ok(id) => show(&visit, Asked::Record(id)).await,
        Err(error) => Err(error),
    };
    visit.answer(result)
}

/// About whom the trail is asked for.
pub enum Asked {
    Nobody,
    Record(LogicalId),
    Typed(String, TypedNumber),
}

impl Asked {
    /// By the filter of an address: `Patient/id` is a record, anything else a number.
    pub fn of(visit: &Visit) -> Self {
        let text = visit.query.text("patient").to_owned();
        match (
            text.strip_prefix("Patient/").map(str::parse),
            typed_number(&text),
        ) {
            (Some(Ok(id)), _) => Self::Record(id),
            (_, Some(typed)) => Self::Typed(text, typed),
            (_, None) => Self::Nobody,
        }
    }
}

/// Whom somebody asked for, found out: the field's text, the patient, and what is wrong with the text.
#[derive(Default)]
pub struct Meant {
    text: String,
    pub patient: Option<LogicalId>,
    problem: Option<String>,
}

/// Finds out who is meant.
pub async fn meant(visit: &Visit, asked: Asked) -> Result<Meant, AppError> {
    let (text, typed) = match asked {
        Asked::Nobody => return Ok(Meant::default()),
        Asked::Record(id) => {
            return Ok(Meant {
                text: format!("Patient/{id}"),
                patient: Some(id),
                problem: None,
            });
        }
        Asked::Typed(text, typed) => (text, typed),
    };
    let sought = Sought::Number(typed.forms);
    let mut found = audit::patients_named(visit.app(), &visit.caller, &sought).await?;
    let several = found.len() > 1;
    let patient = found.pop().filter(|_| !several);
    if patient.is_some() || several {
        let problem = several.then(|| {
            let ids: Vec<String> = found.iter().map(|id| format!("Patient/{id}")).collect();
            format!(
                "Several records have this number. Give one of them: {}",
                ids.join(", ")
            )
        });
        return Ok(Meant {
            text,
            patient,
            problem,
        });
    }
    // A record id, also of a record that is gone; ten digits are meant as a number.
    let patient = text.parse().ok().filter(|_| typed.problem.is_none());
    let problem = match (&patient, typed.problem) {
        (Some(_), _) => None,
        (None, Some(problem)) => Some(problem),
        (None, None) => Some("No record has this number".to_owned()),
    };
    Ok(Meant {
        text,
        patient,
        problem,
    })
}

/// Kinds of entries as people ask for them.
const KINDS: [(&str, &str, &[Class]); 11] = [
    (
        "looks",
        "Looks at records",
        &[Class::Read, Class::Vread, Class::Search, Class::History],
    ),
    (
        "changes",
        "Changes of records",
        &[Class::Create, Class::Update, Class::Delete],
    ),
    (
        "sign-in",
        "Signing in and out",
        &[Class::Login, Class::Logout, Class::LoginFailed],
    ),
    (
        "emergency",
        "Emergency access",
        &[Class::BreakGlass, Class::BreakGlassReview],
    ),
    ("audit", "Looks at the audit trail", &[Class::AuditRead]),
    (
        "out",
        "Export, import, backup, restore",
        &[Class::Export, Class::Import, Class::Backup, Class::Restore],
    ),
    (
        "erasure",
        "Erasure, retention, legal hold",
        &[Class::Erase, Class::Purge, Class::Hold],
    ),
    (
        "access",
        "Users, clients, tokens, relationships",
        &[
            Class::User,
            Class::Client,
            Class::Token,
            Class::Relationship,
        ],
    ),
    (
        "medicines",
        "Stock and orders of medicines, controlled-drug register",
        &[Class::Stock, Class::Register, Class::Supply],
    ),
    (
        "house",
        "Settings, branches, tenants, keys",
        &[Class::Config, Class::Branch, Class::Tenant, Class::Key],
    ),
    (
        "platform",
        "The platform itself",
        &[
            Class::Job,
            Class::Lifecycle,
            Class::Clock,
            Class::Checkpoint,
            Class::Epoch,
            Class::Discontinuity,
        ],
    ),
];

const LOGS: [(Log, &str); 2] = [
    (Log::Access, "Access: who looked"),
    (Log::Changes, "Changes: who changed what"),
];

/// The classes asked for: a kind of ours, or one class by its word.
fn classes(word: &str) -> Vec<Class> {
    let kind = KINDS.iter().find(|(name, _, _)| *name == word);
    kind.map_or_else(
        || Class::from_word(word).into_iter().collect(),
        |(_, _, classes)| classes.to_vec(),
    )
}

/// The fields, each with what is wrong with it.
pub fn filters(visit: &Visit, meant: &Meant, log: Log) -> Vec<Field> {
    let query = &visit.query;
    let asked = query.text("kind");
    let mut kinds = vec![Choice::new("", "Every kind", asked.is_empty())];
    kinds.extend(
        KINDS
            .iter()
            .map(|(name, words, _)| Choice::new(name, words, *name == asked)),
    );
    if let Some(class) =
        Class::from_word(asked).filter(|_| !KINDS.iter().any(|(name, _, _)| *name == asked))
    {
        kinds.push(Choice::new(
            class.as_str(),
            &code::words(class.as_str()),
            true,
        ));
    }
    let logs = LOGS
        .iter()
        .map(|(one, words)| Choice::new(one.as_str(), words, *one == log));
    let outcomes = [
        ("", "Every outcome"),
        ("success", "Success"),
        ("denied", "Denied"),
        ("failed", "Failed"),
    ];
    let outcomes = outcomes
        .iter()
        .map(|(value, words)| Choice::new(value, words, *value == query.text("outcome")));
    let mut fields = vec![
        Field::search("patient", "Patient")
            .value(&meant.text)
            .hint("NHS No., other number or record id"),
        Field::search("who", "Who")
            .value(query.text("who"))
            .hint("Part of the name, or the user's id"),
        Field::date("from", "From").value(query.text("from")),
        Field::date("to", "To, included").value(query.text("to")),
        Field::select("log", "Log", logs.collect()),
        Field::select("kind", "Kind", kinds),
        Field::select("outcome", "Outcome", outcomes.collect()),
    ];
    for field in &mut fields {
        let is_date = field.name == "from" || field.name == "to";
        if is_date && !field.value.is_empty() && date::typed(&field.value).is_none() {
            field.error =
                Some("Write the date with the month in letters, like 05-Mar-2026".to_owned());
        }
        if field.name == "patient" {
            field.error.clone_from(&meant.problem);
        }
        field.required = true; // none is marked "(optional)": all of them are
    }
    fields
}

/// What the use-case is asked for.
pub fn filter(visit: &Visit, patient: Option<LogicalId>) -> Filter {
    let query = &visit.query;
    let log = log_named(query.text("log")).unwrap_or(Log::Access);
    let day = |name: &str, next: bool| -> Option<Timestamp> {
        let date = date::typed(query.text(name))?;
        visit
            .zone()
            .start_of(if next { date.tomorrow().ok()? } else { date })
    };
    Filter {
        patient,
        classes: classes(query.text("kind")),
        outcome: Outcome::from_word(query.text("outcome")),
        actor: Some(query.text("who").to_owned()).filter(|who| !who.is_empty()),
        from: day("from", false),
        until: day("to", true),
        before: query.text("before").parse().ok(),
        prove: true,
        tally: true,
        ..Filter::newest(log, PAGE)
    }
}

/// The filters of this page as a query string, with one of them replaced.
fn query_with(visit: &Visit, meant: &Meant, name: &str, value: &str) -> String {
    let kept = Form::parse(visit.query.without("before").trim_start_matches('?'));
    let kept = Form::parse(kept.with("patient", &meant.text).trim_start_matches('?'));
    kept.with(name, value)
}

async fn show(visit: &Visit, asked: Asked) -> Result<Response, AppError> {
    let meant = meant(visit, asked).await?;
    let filter = filter(visit, meant.patient.clone());
    let fields = filters(visit, &meant, filter.log);
    let problem = ErrorSummary::of(&fields);
    let policy = audit::policy(visit.app())?;
    // Entries of another patient, or of other days, are no answer to filters that could not be read.
    let found = match &problem {
        Some(_) => None,
        None => Some(audit::recent(visit.app(), &visit.caller, &filter).await?),
    };
    let banner = match &meant.patient {
        Some(id) => banner(visit, id).await,
        None => None,
    };
    let log = filter.log;
    let at = |below: &str, name: &str, value: &str| {
        visit.href(&format!(
            "{below}{}",
            query_with(visit, &meant, name, value)
        ))
    };
    let same = at("/audit", "log", log.as_str());
    let exports = visit.offers(Interaction::ExportAudit);
    let allowed = |href: String| if exports { href } else { String::new() };
    let entries = found
        .as_ref()
        .map_or(&[][..], |page| page.entries.as_slice());
    let other = if log == Log::Access {
        Log::Changes
    } else {
        Log::Access
    };
    let id = meant.patient.as_ref().map_or("", LogicalId::as_str);
    let next = found.as_ref().and_then(|page| page.next);
    let shown = AuditPage {
        shell: visit.shell("Who changed or saw what"),
        banner,
        patient_href: visit.href(&format!("/patients/{id}")),
        problem,
        action: visit.href("/audit"),
        filters: fields,
        about: meant.patient.as_ref().map(ToString::to_string),
        found: found.as_ref().map(|page| found_words(page, &policy)),
        table: entry_table(visit, entries, Some(&policy)),
        other: found.as_ref().map(|_| {
            let words = format!("The same filters in the {} log", other.as_str());
            (at("/audit", "log", other.as_str()), words)
        }),
        paging: Paging {
            words: String::new(),
            first: filter.before.map(|_| same),
            next: next.map(|next| at("/audit", "before", &next.to_string())),
        },
        checkpoints: checkpoints(visit).await,
        export_href: allowed(at("/audit/export", "log", log.as_str())),
        whole_href: allowed(visit.href(&format!("/audit/export?whole=1&log={}", log.as_str()))),
    };
    Ok(answer::page(StatusCode::OK, &shown))
}

async fn checkpoints(visit: &Visit) -> Vec<Checkpoint> {
    let mut checkpoints = Vec::new();
    for one in [Log::Changes, Log::Access] {
        if let Ok(note) = audit::checkpoint(visit.app(), &visit.caller, one).await {
            checkpoints.extend(checkpoint(visit, one, &note));
        }
    }
    checkpoints
}

fn checkpoint(visit: &Visit, log: Log, note: &str) -> Option<Checkpoint> {
    let parsed = ledger::checkpoint::Checkpoint::of_note(&Note::parse(note).ok()?).ok()?;
    Some(Checkpoint {
        log: code::words(log.as_str()),
        size: crate::clinical::quantity::dose_number(&parsed.size.to_string()),
        root: data_encoding::BASE64.encode(&parsed.root.0),
        read: When::at_second(visit.app().now(), visit.zone()),
        note: note.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_belongs_to_one_kind() {
        for class in Class::ALL {
            let kinds = KINDS
                .iter()
                .filter(|(_, _, classes)| classes.contains(class))
                .count();
            assert_eq!(kinds, 1, "{class:?}");
        }
        assert_eq!(classes("read"), [Class::Read]);
        assert!(classes("nonsense").is_empty());
    }
}
