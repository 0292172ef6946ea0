//! Branches and health. Must not call a check passed that did not run.

use app::admin::branches;
use app::{AppError, Log, audit};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use identity::{BranchKind, BranchState, Interaction};
use kernel::BranchId;

use super::answer::{self, redirect};
use super::users::id_of;
use super::visit::Visit;
use super::{last, named};
use crate::clinical::When;
use crate::clinical::quantity::dose_number;
use crate::components::table::PostButton;
use crate::components::{Cell, Choice, ErrorSummary, Field, Notice, Paging, Piece, Table, Tone};
use crate::pages::access::{FormPage, ListPage};

const KINDS: [(BranchKind, &str, &str); 7] = [
    (BranchKind::CareHome, "care-home", "Care home"),
    (BranchKind::Clinic, "clinic", "Clinic"),
    (BranchKind::Hospital, "hospital", "Hospital"),
    (BranchKind::Ward, "ward", "Ward"),
    (BranchKind::Pharmacy, "pharmacy", "Pharmacy"),
    (BranchKind::Diagnostics, "diagnostics", "Diagnostics"),
    (BranchKind::Other, "other", "Other"),
];

fn kind_words(kind: BranchKind) -> &'static str {
    KINDS
        .iter()
        .find(|(known, _, _)| *known == kind)
        .map_or("Other", |(_, _, words)| words)
}

/// The branches, and the form of a new one.
pub async fn branches(visit: Visit) -> Response {
    let result = if visit.query.text("new").is_empty() {
        branch_list(&visit).await
    } else {
        branch_form(&visit).await
    };
    visit.answer(result)
}

async fn branch_list(visit: &Visit) -> Result<Response, AppError> {
    let found = branches::list(visit.app(), &visit.caller).await?;
    let mut table = Table::new(
        "Branches",
        &["Branch", "Kind", "State", "Action"],
        "No branches. Nurses and carers need one.",
    );
    for branch in &found {
        let open = branch.state == BranchState::Active;
        let (step, label) = if open {
            ("close", "Close")
        } else {
            ("open", "Open")
        };
        let confirm = if open {
            format!(
                "Close {}? Its nurses and carers lose their patients.",
                branch.name
            )
        } else {
            String::new()
        };
        table = table.row(vec![
            Cell::text(&branch.name).minor(&format!("Organization/{}", branch.organization)),
            Cell::text(kind_words(branch.kind)),
            if open {
                Cell::tag(Tone::Good, "Open")
            } else {
                Cell::tag(Tone::Plain, "Closed")
            },
            Cell(vec![Piece::Post(Box::new(PostButton {
                action: visit.href(&format!("/branches/{}/{step}", branch.id)),
                label: label.to_owned(),
                about: branch.name.clone(),
                csrf: visit.csrf(),
                confirm,
                hidden: Vec::new(),
                danger: open,
            }))]),
        ]);
    }
    let page = ListPage {
        shell: visit.shell("Branches"),
        lead: "A patient belongs to the branch that manages the record. Nurses and carers see the patients of their branches.".to_owned(),
        action: Some((visit.href("/branches?new=1"), "Add a branch".to_owned())),
        secret: None,
        summary: None,
        sections: vec![("branches".to_owned(), "Branches".to_owned(), table)],
        paging: Paging::default(),
    };
    Ok(answer::page(StatusCode::OK, &page))
}

async fn branch_form(visit: &Visit) -> Result<Response, AppError> {
    branches::list(visit.app(), &visit.caller).await?; // decides whether the person may
    Ok(branch_page(visit, "", None))
}

fn branch_page(visit: &Visit, name: &str, problem: Option<&AppError>) -> Response {
    let kinds = KINDS
        .iter()
        .map(|(_, value, words)| Choice::new(value, words, *value == "care-home"))
        .collect();
    let page = FormPage {
        shell: visit.shell("Add a branch"),
        lead: String::new(),
        warning: None,
        running: None,
        problem: problem.map(|error| ErrorSummary::whole(&answer::sentence(&error.public_text()))),
        action: visit.href("/branches"),
        fields: vec![
            Field::text("name", "Name").value(name).autocomplete("off"),
            Field::select("kind", "Kind", kinds),
        ],
        hidden: Vec::new(),
        button: "Save".to_owned(),
        danger: false,
        facts: Vec::new(),
        steps: Vec::new(),
        back: Some((visit.href("/branches"), "Back to branches".to_owned())),
    };
    answer::page(problem.map_or(StatusCode::OK, answer::status_of), &page)
}

/// Makes a branch.
pub async fn create_branch(visit: Visit, body: String) -> Response {
    let result = create_branch_of(&visit, &body).await;
    visit.answer(result)
}

async fn create_branch_of(visit: &Visit, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let kind = KINDS
        .iter()
        .find(|(_, value, _)| *value == form.text("kind"))
        .map_or(BranchKind::Other, |(kind, _, _)| *kind);
    let new = branches::NewBranch {
        name: form.text("name").to_owned(),
        kind,
        organization: None,
    };
    match branches::create(visit.app(), &visit.caller, new).await {
        Ok(_) => Ok(redirect(&visit.href("/branches?done=saved"))),
        Err(error @ (AppError::Unprocessable(_) | AppError::Conflict(_))) => {
            Ok(branch_page(visit, form.text("name"), Some(&error)))
        }
        Err(error) => Err(error),
    }
}

/// Opens or closes a branch.
pub async fn branch_step(
    visit: Visit,
    Path(params): Path<Vec<(String, String)>>,
    body: String,
) -> Response {
    let result = branch_step_of(&visit, named(&params, "id"), last(&params), &body).await;
    visit.answer(result)
}

async fn branch_step_of(
    visit: &Visit,
    id: &str,
    step: &str,
    body: &str,
) -> Result<Response, AppError> {
    visit.form(body)?;
    let state = match step {
        "open" => BranchState::Active,
        "close" => BranchState::Closed,
        _ => {
            return Err(AppError::NotFound {
                what: "step".to_owned(),
            });
        }
    };
    branches::set_state(
        visit.app(),
        &visit.caller,
        BranchId::from_uuid(id_of(id)?),
        state,
    )
    .await?;
    Ok(redirect(&visit.href("/branches?done=saved")))
}

/// A check that was made: its name, what it found or what is wrong, and what to do then.
type Check = (String, Result<String, String>, &'static str);

/// Makes the checks of a page: how many failed, and the table.
pub async fn checks(visit: &Visit) -> (usize, Table) {
    let storage = visit.app().health().await.map(|()| "Answers".to_owned());
    let mut made: Vec<Check> = vec![(
        "Storage".to_owned(),
        storage.map_err(|error| answer::sentence(&error.public_text())),
        "Look into the server's log, and run theriac doctor",
    )];
    for log in [Log::Changes, Log::Access] {
        let name = format!("Ledger of {}: signed checkpoint", log.as_str());
        let remedy = "Run theriac verify on the data folder";
        made.push((name, ledger_check(visit, log).await, remedy));
    }
    let failed = made.iter().filter(|(_, result, _)| result.is_err()).count();
    let columns = ["Check", "Result", "Found", "What to do"];
    let empty = "No check has run. Nothing is known about the state of the system.";
    let mut table = Table::new("Checks", &columns, empty);
    for (name, result, remedy) in &made {
        let name = Cell::text(name);
        table = match result {
            Ok(found) => {
                let good = Cell::tag(Tone::Good, "OK");
                table.row(vec![name, good, Cell::text(found), Cell::text("Nothing")])
            }
            Err(found) => {
                let bad = Cell::tag(Tone::Bad, "Failed");
                table.raised_row(vec![name, bad, Cell::text(found), Cell::text(remedy)])
            }
        };
    }
    (failed, table)
}

async fn ledger_check(visit: &Visit, log: Log) -> Result<String, String> {
    let note = audit::checkpoint(visit.app(), &visit.caller, log).await;
    let note = note.map_err(|error| answer::sentence(&error.public_text()))?;
    let note = ledger::note::Note::parse(&note).map_err(|_| "The checkpoint cannot be read.")?;
    let policy = audit::policy(visit.app()).map_err(|_| "The verifier key cannot be read.")?;
    let checkpoint = policy
        .check(&note, false)
        .map_err(|_| "The signature is not right.")?;
    let size = dose_number(&checkpoint.size.to_string());
    Ok(format!("{size} entries, signature right"))
}

/// Health.
pub async fn health(visit: Visit) -> Response {
    let result = health_of(&visit).await;
    visit.answer(result)
}

async fn health_of(visit: &Visit) -> Result<Response, AppError> {
    // A ledger look-up decides first, so that nobody learns the state of the system by its address.
    audit::checkpoint(visit.app(), &visit.caller, Log::Changes).await?;
    if !visit.offers(Interaction::ViewHealth) {
        return Err(AppError::NotFound {
            what: "page".to_owned(),
        });
    }
    let (failed, table) = checks(visit).await;
    let when = format!(
        "Checked {}. Disk, backups and clock: run theriac doctor on the machine.",
        When::at_second(visit.app().now(), visit.zone()).text
    );
    let summary = match failed {
        0 => Notice::new(Tone::Good, "Every check made here is OK", &when),
        1 => Notice::new(Tone::Bad, "One check failed", &when),
        more => Notice::new(Tone::Bad, &format!("{more} checks failed"), &when),
    };
    let page = ListPage {
        shell: visit.shell("Health"),
        lead: String::new(),
        action: None,
        secret: None,
        summary: Some(summary),
        sections: vec![("checks".to_owned(), "Checks".to_owned(), table)],
        paging: Paging::default(),
    };
    Ok(answer::page(StatusCode::OK, &page))
}
