//! The papers of a resident: capacity, who is responsible, covert administration, taking medicines alone.
//! Must not decide what holds: the use-case does.

use app::medicines::people::file::{NewPaper, file};
use app::medicines::people::overview::{
    CovertGap, Overview, PaperKind, Says, SelfGap, SelfLevel, Shown, overview,
};
use app::{AppError, ResourceKey};
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use identity::{Class, Interaction};
use kernel::{LogicalId, Timestamp};
use serde_json::json;

use super::choices::is_of_form;
use crate::clinical::{When, date};
use crate::components::{Cell, Choice, ErrorSummary, Field, Notice, Table, Tone};
use crate::edge::answer::{self, redirect, sentence, status_of};
use crate::edge::form::Form;
use crate::edge::summary::{banner, key, patient_id};
use crate::edge::visit::Visit;
use crate::edge::{Web, named};
use crate::pages::papers::{Filing, PapersPage};

/// The routes.
pub(super) fn routes() -> Router<Web> {
    let address = "/patients/{id}/medicines/papers";
    Router::new().route(address, get(page).post(filed))
}

async fn page(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = show(&visit, named(&params, "id"), None).await;
    visit.answer(result)
}

async fn filed(visit: Visit, Path(params): Path<Vec<(String, String)>>, body: String) -> Response {
    let result = filed_of(&visit, named(&params, "id"), &body).await;
    visit.answer(result)
}

fn address(visit: &Visit, id: &LogicalId) -> String {
    visit.href(&format!("/patients/{id}/medicines/papers"))
}

async fn filed_of(visit: &Visit, id: &str, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let patient = patient_id(id)?;
    let key = key(visit, "Patient", id)?;
    let filed = match paper(&form) {
        Ok(paper) => file(visit.app(), &visit.about(&patient), &key, &paper).await,
        Err(error) => Err(error),
    };
    match filed {
        Ok(_) => Ok(redirect(&format!(
            "{}?done=saved",
            address(visit, &patient)
        ))),
        Err(error) if is_of_form(&error) || matches!(error, AppError::Invalid(_)) => {
            show(visit, id, Some((&form, &error))).await
        }
        Err(error) => Err(error),
    }
}

/// A day as somebody types it; what was typed where it is none, so that the use-case says so.
fn day(text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    Some(date::typed(text).map_or_else(|| text.to_owned(), |own| own.to_string()))
}

fn paper(form: &Form) -> Result<NewPaper, AppError> {
    let kind = PaperKind::of(form.text("kind"));
    let kind = kind.ok_or_else(|| AppError::Invalid("the form names no paper".to_owned()))?;
    let some = |name: &str| Some(form.text(name).to_owned()).filter(|own| !own.is_empty());
    let parties = form.text("parties").split(';').map(str::trim);
    Ok(NewPaper {
        kind,
        finding: form.text("finding").to_owned(),
        orders: form.all("order").map(str::to_owned).collect(),
        when: day(form.text("when")),
        review: day(form.text("review")),
        by: None,
        parties: parties
            .filter(|own| !own.is_empty())
            .map(str::to_owned)
            .collect(),
        method: some("method"),
        pharmacist: some("pharmacist").map(|own| json!({ "display": own })),
        note: some("note"),
    })
}

async fn show(
    visit: &Visit,
    id: &str,
    problem: Option<(&Form, &AppError)>,
) -> Result<Response, AppError> {
    let patient = patient_id(id)?;
    let key: ResourceKey = key(visit, "Patient", id)?;
    let found = overview(visit.app(), &visit.about(&patient), &key).await?;
    let banner = banner(visit, &patient)
        .await
        .ok_or_else(|| AppError::NotFound {
            what: "patient".to_owned(),
        })?;
    let may = visit.may(Interaction::Create, Class::Consent);
    let asked = problem.map_or(&visit.query, |(form, _)| form);
    let named = if problem.is_some() {
        asked.text("kind")
    } else {
        asked.text("file")
    };
    let kind = PaperKind::of(named).filter(|_| may);
    let address = address(visit, &patient);
    let actions = PaperKind::ALL.map(|kind| {
        let href = format!("{address}?file={}", kind.code());
        (href, format!("File: {}", title(kind)))
    });
    let page = PapersPage {
        shell: visit.shell_about("Papers", &patient),
        banner,
        patient: visit.href(&format!("/patients/{patient}")),
        notices: notices(&found),
        sections: sections(visit, &found),
        actions: if may { actions.to_vec() } else { Vec::new() },
        filing: kind.map(|kind| filing(kind, &found, asked, problem.map(|(_, error)| error))),
        action: address,
    };
    let status = problem.map_or(StatusCode::OK, |(_, error)| status_of(error));
    Ok(answer::page(status, &page))
}

const fn title(kind: PaperKind) -> &'static str {
    match kind {
        PaperKind::Capacity => "Assessment of capacity",
        PaperKind::CovertAdministration => "Covert administration",
        PaperKind::SelfAdministration => "Taking medicines alone",
    }
}

const fn level(level: SelfLevel) -> &'static str {
    match level {
        SelfLevel::StaffGive => "Level 0: staff keep and give",
        SelfLevel::Supervised => "Level 1: staff hand out, the resident takes while they watch",
        SelfLevel::Checked => "Level 2: the resident keeps and takes, staff check",
        SelfLevel::Independent => "Level 3: the resident keeps and takes alone",
    }
}

const fn gap(gap: CovertGap) -> &'static str {
    match gap {
        CovertGap::Capacity => "an assessment that capacity is lacking",
        CovertGap::BestInterest => "a decision in the best interest",
        CovertGap::Method => "the pharmacist's method",
        CovertGap::Review => "a date of review",
        CovertGap::Overdue => "a review: it is overdue",
    }
}

fn says(own: &Says) -> String {
    match own {
        Says::Capacity(true) => "Has capacity".to_owned(),
        Says::Capacity(false) => "Lacks capacity".to_owned(),
        Says::Covert { permitted, method } => {
            let words = if *permitted {
                "In the best interest"
            } else {
                "Not permitted"
            };
            let method = method.as_ref().map(|own| format!(": {own}"));
            format!("{words}{}", method.unwrap_or_default())
        }
        Says::Alone(own) => level(*own).to_owned(),
    }
}

fn notices(found: &Overview) -> Vec<Notice> {
    let mut list = Vec::new();
    for (name, why) in &found.unread {
        let text = format!("{name}: {why}. No paper of this kind holds until it is put right.");
        list.push(Notice::new(Tone::Bad, "A paper cannot be read", &text));
    }
    let responsible = found.carers.iter().any(|own| own.active);
    match found.capacity {
        Some(false) if !responsible => list.push(Notice::new(
            Tone::Bad,
            "Lacks capacity, and nobody is responsible",
            "Record a related person or a care team that is active.",
        )),
        Some(false) => list.push(Notice::new(
            Tone::Warn,
            "Lacks capacity",
            "Decisions about medicines are made in the resident's best interest.",
        )),
        Some(true) => list.push(Notice::new(
            Tone::Good,
            "Has capacity",
            "The resident decides for themselves.",
        )),
        None => list.push(Notice::new(
            Tone::Info,
            "Capacity not assessed",
            "No assessment is on the record. A person is assumed to have capacity.",
        )),
    }
    list
}

fn sections(visit: &Visit, found: &Overview) -> Vec<(String, String, Table)> {
    let columns = ["Medicine", "State", "How it is given"];
    let mut covert = Table::new(
        "Orders given covertly",
        &columns,
        "No order is given covertly.",
    );
    for own in &found.covert {
        let missing: Vec<&str> = own.gaps.iter().copied().map(gap).collect();
        let state = if missing.is_empty() {
            Cell::tag(Tone::Good, "May be given covertly")
        } else {
            let words = format!("Missing: {}", missing.join("; "));
            Cell::tag(Tone::Bad, "Not to be given covertly").minor(&words)
        };
        let method = own.method.as_deref().unwrap_or("Not said");
        covert = covert.row(vec![Cell::text(&own.medicine), state, Cell::text(method)]);
    }
    let named = |id: &str, title: &str, table| (id.to_owned(), title.to_owned(), table);
    vec![
        named("covert", "Covert administration", covert),
        named("alone", "Taking medicines alone", alone(visit, found)),
        named("carers", "Who is responsible", carers(visit, found)),
        named("papers", "Every paper", papers(visit, found)),
    ]
}

fn alone(visit: &Visit, found: &Overview) -> Table {
    let columns = ["What was found", "Assessed", "State"];
    let table = Table::new(
        "Taking medicines alone",
        &columns,
        "Nobody assessed it: staff give.",
    );
    let Some(own) = &found.alone else {
        return table;
    };
    let state = match found.alone_gap {
        None => Cell::tag(Tone::Good, "In force"),
        Some(SelfGap::StaffGive) => Cell::tag(Tone::Info, "Staff give"),
        Some(SelfGap::Overdue) => Cell::tag(Tone::Bad, "Overdue for review: staff give"),
        Some(SelfGap::Missing) => Cell::tag(Tone::Bad, "Not yet in force"),
    };
    table.row(vec![
        Cell::text(level(own.level)),
        Cell::when(When::at(own.assessed, visit.zone())),
        state,
    ])
}

fn carers(visit: &Visit, found: &Overview) -> Table {
    let columns = ["Who", "As what", "State"];
    let empty = "Nobody is recorded as responsible.";
    let mut table = Table::new("Carers", &columns, empty);
    for own in &found.carers {
        let state = if own.active {
            Cell::tag(Tone::Good, "Active")
        } else {
            Cell::tag(Tone::Info, "Ended")
        };
        let href = visit.href(&format!("/records/{}", own.name));
        table = table.row(vec![
            Cell::link(&href, &own.who),
            Cell::text(&own.role),
            state,
        ]);
    }
    table
}

fn papers(visit: &Visit, found: &Overview) -> Table {
    let columns = [
        "Paper",
        "What it says",
        "About",
        "From",
        "Review by",
        "State",
    ];
    let mut table = Table::new("Papers", &columns, "No paper is filed.");
    for own in &found.papers {
        table = table.row(row(visit, own));
    }
    table
}

fn row(visit: &Visit, own: &Shown) -> Vec<Cell> {
    let about = if own.medicines.is_empty() {
        "Every medicine".to_owned()
    } else {
        own.medicines.join(", ")
    };
    // The review is stored as the first moment after the day.
    let last = |at: Timestamp| When::at(at.plus_seconds(-1), visit.zone());
    let now = visit.app().now();
    let overdue = own.review.is_some_and(|review| review <= now);
    let state = match (own.holds, overdue) {
        (true, false) => Cell::tag(Tone::Good, "Holds"),
        (true, true) => Cell::tag(Tone::Bad, "Overdue"),
        (false, _) => Cell::tag(Tone::Info, "Replaced"),
    };
    vec![
        Cell::link(
            &visit.href(&format!("/records/{}", own.name)),
            title(own.kind),
        ),
        Cell::text(&says(&own.says)),
        Cell::text(&about),
        Cell::when(When::at(own.at, visit.zone())),
        own.review
            .map_or_else(|| Cell::text("None stated"), |at| Cell::when(last(at))),
        state,
    ]
}

/// What a paper may say: its code and words.
fn findings(kind: PaperKind) -> Vec<(&'static str, String)> {
    match kind {
        PaperKind::Capacity => vec![
            ("lacks-capacity", "Lacks capacity for this".to_owned()),
            ("has-capacity", "Has capacity".to_owned()),
        ],
        PaperKind::CovertAdministration => vec![
            ("permit", "In the resident's best interest".to_owned()),
            ("deny", "Not, or no longer".to_owned()),
        ],
        PaperKind::SelfAdministration => SelfLevel::ALL
            .iter()
            .map(|own| (own.code(), level(*own).to_owned()))
            .collect(),
    }
}

/// The form of a paper.
fn filing(kind: PaperKind, found: &Overview, form: &Form, error: Option<&AppError>) -> Filing {
    let findings = findings(kind);
    let findings = findings
        .iter()
        .map(|(value, words)| Choice::new(value, words, form.text("finding") == *value));
    let covert = kind == PaperKind::CovertAdministration;
    let orders = found.orders.iter().filter(|(name, _)| {
        let mut own = found.covert.iter();
        !covert || own.any(|own| own.name == *name)
    });
    let orders: Vec<Choice> = orders
        .map(|(name, medicine)| Choice::new(name, medicine, form.has("order", name)))
        .collect();
    let about = Field::checkboxes("order", "Which medicines", orders);
    let review = Field::date("review", "Review by").value(form.text("review"));
    let mut fields = vec![
        Field::radios("finding", "What was found", findings.collect()),
        if covert {
            about
        } else {
            about.optional().hint("None: every medicine")
        },
        Field::date("when", "When")
            .value(form.text("when"))
            .hint("Today where it is left empty"),
        review,
    ];
    if covert {
        let method = Field::text("method", "How it is given").optional();
        let hint = "As the pharmacist says: crushed, in a spoon of yoghurt";
        fields.push(method.value(form.text("method")).hint(hint));
        let who = Field::text("pharmacist", "The pharmacist").optional();
        fields.push(who.value(form.text("pharmacist")));
    }
    let others = Field::text("parties", "Who else took part").optional();
    fields.push(
        others
            .value(form.text("parties"))
            .hint("Separate people by a semicolon"),
    );
    fields.push(
        Field::area("note", "Notes")
            .optional()
            .value(form.text("note")),
    );
    Filing {
        kind: kind.code().to_owned(),
        title: title(kind).to_owned(),
        lead: lead(kind).to_owned(),
        problem: error.map(|own| ErrorSummary::whole(&sentence(&own.public_text()))),
        fields,
    }
}

const fn lead(kind: PaperKind) -> &'static str {
    match kind {
        PaperKind::Capacity => {
            "Capacity is assessed for a decision at a time. Who lacks it has somebody responsible on the record first."
        }
        PaperKind::CovertAdministration => {
            "Only orders that are marked as covert are offered. It holds with an assessment that capacity is lacking."
        }
        PaperKind::SelfAdministration => {
            "From level 1 on a dose may be recorded as taken by the resident, until the day of review."
        }
    }
}
