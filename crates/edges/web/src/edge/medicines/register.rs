//! Pages of the controlled-drug register: the pages of the premises, one page as the bound book looks, its
//! counts, corrections and discrepancies. Must not decide: an entry is written by its use-case.

use app::AppError;
use app::medicines::register::pages::{self, Begin, Correct, Count};
use app::medicines::register::{PageHead, incidents};
use app::medicines::stock::look;
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use identity::Interaction;
use medication::Quantity;
use medication::register::{Column, Incident, Notified, Printed, Stage};
use medication::stock::Account;

use super::choices::{
    Names, id, is_of_form, is_outdated, named, number, select, signatures, signing,
};
use crate::clinical::When;
use crate::components::table::PostButton;
use crate::components::{Cell, ErrorSummary, Field, Paging, Piece, Table, Tone};
use crate::edge::answer::{self, redirect, sentence, status_of};
use crate::edge::form::Form;
use crate::edge::visit::Visit;
use crate::edge::{Web, named as param};
use crate::pages::access::{FormPage, ListPage};
use crate::pages::tools::ToolPage;

/// The routes of these pages.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/medicines/register", get(list))
        .route("/medicines/register/new", get(new_form).post(create))
        .route("/medicines/register/{id}", get(show))
        .route("/medicines/register/{id}/print", get(print))
        .route("/medicines/register/{id}/{step}", get(step_form).post(step))
        .route("/medicines/register/{id}/incidents/{incident}", post(note))
        .route(
            "/medicines/register/{id}/incidents/{incident}/settle",
            get(settle_form).post(settle),
        )
}

fn title(page: &PageHead) -> String {
    let own = &page.heading;
    format!("{} {} {}", own.drug, own.strength, own.form)
}

/// The names of premises: a Location, or an Organization.
async fn premises(visit: &Visit, pages: impl Iterator<Item = &PageHead>) -> Names {
    let of = pages
        .flat_map(|own| ["Location", "Organization"].map(|ty| format!("{ty}/{}", own.premises)));
    Names::places(visit, of.collect()).await
}

/// The name of a page's premises.
fn premises_of(names: &Names, page: &PageHead) -> String {
    let unnamed = |own: &String| !own.ends_with(", not named");
    let both =
        ["Location", "Organization"].map(|ty| names.name(&format!("{ty}/{}", page.premises)));
    let found = both.into_iter().find(unnamed);
    found.unwrap_or_else(|| "premises without a name".to_owned())
}

fn balance(page: &PageHead) -> String {
    Quantity::new(page.balance.normalize(), page.unit.clone()).words()
}

/// The pages.
async fn list(visit: Visit) -> Response {
    let result = list_page(&visit).await;
    visit.answer(result)
}

async fn list_page(visit: &Visit) -> Result<Response, AppError> {
    let found = pages::list(visit.app(), &visit.caller).await?;
    let columns = ["Page", "Balance", "Last counted", "State"];
    let mut table = Table::new("Pages of the register", &columns, "No page is begun yet.");
    let names = premises(visit, found.iter()).await;
    for page in &found {
        let href = visit.href(&format!("/medicines/register/{}", page.id));
        let own = page.heading.class.demands();
        let class = format!(
            "Schedule {}, {}",
            own.schedule as u8 + 1,
            premises_of(&names, page)
        );
        let counted = page
            .counted
            .map(|own| Cell::when(When::at(own, visit.zone())));
        let state = if page.open.is_empty() {
            Cell::tag(Tone::Good, "In order")
        } else {
            Cell::tag(Tone::Bad, "Discrepancy open")
        };
        table = table.row(vec![
            Cell::link(&href, &title(page)).minor(&class),
            Cell::text(&balance(page)),
            counted.unwrap_or_else(|| Cell::text("Never")),
            state,
        ]);
    }
    let signs = visit.offers(Interaction::SignRegister);
    let begin = (
        visit.href("/medicines/register/new"),
        "Begin a page".to_owned(),
    );
    let page = ListPage {
        shell: visit.shell("Controlled-drug register"),
        lead: "Receipts, doses, returns and destruction are entered with the movement of stock; two people sign.".to_owned(),
        action: signs.then_some(begin),
        secret: None,
        summary: None,
        sections: vec![("pages".to_owned(), "Pages".to_owned(), table)],
        paging: Paging::default(),
    };
    Ok(answer::page(StatusCode::OK, &page))
}

/// A sheet as the bound book looks.
fn sheet(own: &Printed) -> Table {
    let headings = Column::ALL.map(Column::heading);
    let mut table = Table::new(&own.title, &headings, "No entry yet.");
    let balance = |words: &str, balance: rust_decimal::Decimal| {
        let cells = Column::ALL.map(|column| match column {
            Column::Balance => Cell::text(&balance.normalize().to_string()),
            Column::Remarks => Cell::text(words),
            _ => Cell::default(),
        });
        cells.to_vec()
    };
    if let Some(before) = own.brought_forward {
        table = table.row(balance("Brought forward", before));
    }
    for row in &own.rows {
        let cells = Column::ALL.map(|column| Cell::text(row.cell(column)));
        table = table.row(cells.to_vec());
    }
    if own.sheet < own.of {
        table = table.row(balance("Carried forward", own.carried_forward));
    }
    table
}

fn stage_words(own: &Incident) -> (Tone, &'static str) {
    match own.stage {
        Stage::Open => (Tone::Bad, "Open"),
        Stage::Investigated => (Tone::Warn, "Looked into"),
        Stage::Settled => (Tone::Good, "Settled"),
    }
}

const TOLD: [(Notified, &str, &str); 4] = [
    (Notified::Manager, "manager", "Manager"),
    (
        Notified::AccountableOfficer,
        "accountable_officer",
        "Accountable officer",
    ),
    (Notified::Police, "police", "Police"),
    (Notified::Regulator, "regulator", "Regulator"),
];

fn incident_table(visit: &Visit, page: &str, found: &[Incident]) -> Table {
    let columns = ["Found", "Expected and found", "Told", "State", "Next"];
    let mut table = Table::new("Discrepancies", &columns, "None.");
    for own in found {
        let action = visit.href(&format!("/medicines/register/{page}/incidents/{}", own.id));
        let (tone, words) = stage_words(own);
        let mut told = Vec::new();
        let mut next = Cell::default();
        let button = |note: &str, label: &str| {
            Piece::Post(Box::new(PostButton {
                action: action.clone(),
                label: label.to_owned(),
                about: format!("of entry {}", own.entry),
                csrf: visit.csrf(),
                confirm: String::new(),
                hidden: vec![("note".to_owned(), note.to_owned())],
                danger: false,
            }))
        };
        for (whom, word, words) in TOLD {
            if own.told.iter().any(|(known, _)| *known == whom) {
                told.push(words);
            } else if own.stage != Stage::Settled && own.must_tell().contains(&whom) {
                next = next.and(button(word, &format!("{words} was told")));
            }
        }
        match own.stage {
            Stage::Open => next = next.and(button("investigated", "Looked into")),
            Stage::Investigated => {
                next = next.and(Piece::Link(format!("{action}/settle"), "Settle".to_owned()));
            }
            Stage::Settled => {}
        }
        let counts = format!("{} and {}", own.expected.normalize(), own.found.normalize());
        table = table.row(vec![
            Cell::when(When::at(own.opened, visit.zone())).minor(&format!("Entry {}", own.entry)),
            Cell::text(&counts),
            Cell::text(&told.join(", ")),
            Cell::tag(tone, words),
            next,
        ]);
    }
    table
}

async fn show(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = show_page(&visit, param(&params, "id"), false).await;
    visit.answer(result)
}

/// The page as it is printed.
async fn print(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = show_page(&visit, param(&params, "id"), true).await;
    visit.answer(result)
}

async fn show_page(visit: &Visit, id: &str, printed: bool) -> Result<Response, AppError> {
    let (head, sheets) = pages::sheets(visit.app(), &visit.caller, id, 20).await?;
    let mut sections: Vec<(String, String, Table)> = sheets
        .iter()
        .map(|own| {
            let words = format!("Sheet {} of {}", own.sheet, own.of);
            (format!("sheet-{}", own.sheet), words, sheet(own))
        })
        .collect();
    let names = premises(visit, core::iter::once(&head)).await;
    let mut links = Vec::new();
    let href = |below: &str| visit.href(&format!("/medicines/register/{id}{below}"));
    if !printed {
        let open = pages::read(visit.app(), &visit.caller, id).await?;
        let table = incident_table(visit, id, &open.incidents);
        sections.push(("incidents".to_owned(), "Discrepancies".to_owned(), table));
        links.push((href("/print"), "Print".to_owned()));
        if visit.offers(Interaction::SignRegister) {
            links.push((href("/count"), "Count".to_owned()));
            links.push((href("/correct"), "Correct an entry".to_owned()));
        }
        for item in &head.items {
            let stock = visit.href(&format!("/medicines/stock/{item}"));
            links.push((stock, "Stock".to_owned()));
        }
    }
    let back = if printed {
        (href(""), "Back to the page".to_owned())
    } else {
        (
            visit.href("/medicines/register"),
            "Controlled-drug register".to_owned(),
        )
    };
    let page = ToolPage {
        shell: visit.shell(&title(&head)),
        back,
        crumbs: Vec::new(),
        tree: None,
        lead: format!(
            "Balance {}. {}.",
            balance(&head),
            premises_of(&names, &head)
        ),
        links,
        problem: None,
        action: String::new(),
        posts: false,
        fields: Vec::new(),
        button: String::new(),
        summary: None,
        sections,
        paging: Paging::default(),
        paged: "",
        steps: Vec::new(),
        code: None,
    };
    Ok(answer::page(StatusCode::OK, &page))
}

/// A form of the register.
struct Asked<'a> {
    title: &'a str,
    lead: &'a str,
    action: String,
    back: String,
    fields: Vec<Field>,
    hidden: Vec<(String, String)>,
    problem: Option<&'a AppError>,
}

fn form_page(visit: &Visit, asked: Asked<'_>) -> Response {
    let problem = asked.problem;
    let page = FormPage {
        shell: visit.shell(asked.title),
        lead: asked.lead.to_owned(),
        warning: None,
        running: None,
        problem: problem.map(|error| ErrorSummary::whole(&sentence(&error.public_text()))),
        action: asked.action,
        fields: asked.fields,
        hidden: asked.hidden,
        button: "Sign".to_owned(),
        danger: false,
        facts: Vec::new(),
        steps: Vec::new(),
        back: Some((asked.back, "Back".to_owned())),
    };
    answer::page(problem.map_or(StatusCode::OK, status_of), &page)
}

async fn begin_page(
    visit: &Visit,
    form: &Form,
    problem: Option<&AppError>,
) -> Result<Response, AppError> {
    let kept = look::list(visit.app(), &visit.caller).await?;
    let items: Vec<(String, String)> = kept
        .iter()
        .filter(|own| own.item.has_register())
        .map(|own| (own.item.id.to_string(), own.item.name.clone()))
        .collect();
    let premises = named(visit, "Location").await?;
    let asked = Asked {
        title: "Begin a page of the register",
        lead: "A page is begun empty; what is there already is received on it by two people.",
        action: visit.href("/medicines/register/new"),
        back: visit.href("/medicines/register"),
        fields: vec![
            select("item", "Medicine", &items, form.text("item")),
            select("premises", "Premises", &premises, form.text("premises")),
        ],
        hidden: Vec::new(),
        problem,
    };
    Ok(form_page(visit, asked))
}

async fn new_form(visit: Visit) -> Response {
    let result = begin_page(&visit, &Form::default(), None).await;
    visit.answer(result)
}

async fn create(visit: Visit, body: String) -> Response {
    let result = create_of(&visit, &body).await;
    visit.answer(result)
}

async fn create_of(visit: &Visit, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let begin = id(&form, "item", "The medicine").and_then(|item| {
        Ok(Begin {
            item,
            premises: id(&form, "premises", "The premises")?,
            opening: None,
            signing: signing(&form),
        })
    });
    let made = match begin {
        Ok(begin) => pages::begin(visit.app(), &visit.caller, &begin).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(open) => {
            let below = format!("/medicines/register/{}?done=saved", open.head.id);
            Ok(redirect(&visit.href(&below)))
        }
        Err(error) if is_of_form(&error) => begin_page(visit, &form, Some(&error)).await,
        Err(error) => Err(error),
    }
}

async fn step_form(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let asked = (param(&params, "id"), param(&params, "step"));
    let result = step_page(&visit, asked, &Form::default(), None).await;
    visit.answer(result)
}

async fn step_page(
    visit: &Visit,
    (page, step): (&str, &str),
    form: &Form,
    problem: Option<&AppError>,
) -> Result<Response, AppError> {
    let open = pages::read(visit.app(), &visit.caller, page).await?;
    // What was entered meanwhile is counted again, and not sent again as it was typed.
    let outdated = step == "count" && is_outdated(problem);
    let unit = open.head.unit.words();
    let (title, lead, mut fields) = match step {
        "count" => (
            "Count what the page has",
            "A count that differs opens a discrepancy; the balance stays until it is settled.",
            vec![
                Field::text("found", &format!("Found, in {unit}")).value(if outdated {
                    ""
                } else {
                    form.text("found")
                }),
                Field::text("late", "Why it is written late")
                    .optional()
                    .value(form.text("late")),
            ],
        ),
        "correct" => (
            "Correct an entry",
            "The entry stays as it is; another cites it, and the stock follows.",
            vec![
                Field::text("of", "Number of the entry").value(form.text("of")),
                Field::text("should-be", &format!("It should have said, in {unit}"))
                    .value(form.text("should-be"))
                    .hint("0 where it should not have been made"),
                Field::text("note", "Why").value(form.text("note")),
            ],
        ),
        _ => {
            return Err(AppError::NotFound {
                what: "step".to_owned(),
            });
        }
    };
    fields.extend(signatures(form));
    let seen = match form.text("seen") {
        "" => open.head.entries.to_string(),
        _ if outdated => open.head.entries.to_string(),
        own => own.to_owned(),
    };
    let asked = Asked {
        title,
        lead,
        action: visit.href(&format!("/medicines/register/{page}/{step}")),
        back: visit.href(&format!("/medicines/register/{page}")),
        fields,
        hidden: vec![movement(visit, form), ("seen".to_owned(), seen)],
        problem,
    };
    Ok(form_page(visit, asked))
}

/// The id of a movement, made with the form: sent twice, it moves once.
fn movement(visit: &Visit, form: &Form) -> (String, String) {
    let own = match form.text("movement") {
        "" => visit.app().ids().uuid().to_string(),
        own => own.to_owned(),
    };
    ("movement".to_owned(), own)
}

async fn step(visit: Visit, Path(params): Path<Vec<(String, String)>>, body: String) -> Response {
    let asked = (param(&params, "id"), param(&params, "step"));
    let result = step_of(&visit, asked, &body).await;
    visit.answer(result)
}

async fn step_of(
    visit: &Visit,
    (page, step): (&str, &str),
    body: &str,
) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let done = match step {
        "count" => counted(visit, page, &form).await,
        "correct" => corrected(visit, page, &form).await,
        _ => {
            return Err(AppError::NotFound {
                what: "step".to_owned(),
            });
        }
    };
    match done {
        Ok(()) => Ok(redirect(
            &visit.href(&format!("/medicines/register/{page}?done=saved")),
        )),
        Err(error) if is_of_form(&error) => {
            step_page(visit, (page, step), &form, Some(&error)).await
        }
        Err(error) => Err(error),
    }
}

async fn counted(visit: &Visit, page: &str, form: &Form) -> Result<(), AppError> {
    let count = Count {
        id: id(form, "movement", "The count")?,
        seen: id(form, "seen", "What the page had when it was counted")?,
        found: number(form, "found", "What was found")?,
        happened: None,
        late: Some(form.text("late").to_owned()).filter(|own| !own.is_empty()),
        signing: signing(form),
    };
    pages::count(visit.app(), &visit.caller, page, &count).await?;
    Ok(())
}

async fn corrected(visit: &Visit, page: &str, form: &Form) -> Result<(), AppError> {
    let correct = Correct {
        of: id(form, "of", "The number of the entry")?,
        should_be: number(form, "should-be", "What it should have said")?,
        note: form.text("note").to_owned(),
        movement: id(form, "movement", "The movement")?,
        signing: signing(form),
    };
    pages::correct(visit.app(), &visit.caller, page, &correct).await?;
    Ok(())
}

async fn note(visit: Visit, Path(params): Path<Vec<(String, String)>>, body: String) -> Response {
    let which = (param(&params, "id"), param(&params, "incident"));
    let result = note_of(&visit, which, &body).await;
    visit.answer(result)
}

async fn note_of(
    visit: &Visit,
    (page, incident): (&str, &str),
    body: &str,
) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let told = TOLD.iter().find(|(_, word, _)| *word == form.text("note"));
    let note = match (told, form.text("note")) {
        (Some((whom, _, _)), _) => incidents::Note::Told(*whom),
        (None, "investigated") => incidents::Note::Investigated,
        (None, _) => {
            return Err(AppError::Unprocessable(
                "nothing is noted: say who was told, or that it is looked into".to_owned(),
            ));
        }
    };
    incidents::note(visit.app(), &visit.caller, (page, incident), note).await?;
    Ok(redirect(
        &visit.href(&format!("/medicines/register/{page}?done=saved")),
    ))
}

async fn settle_form(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let which = (param(&params, "id"), param(&params, "incident"));
    let result = settle_page(&visit, which, &Form::default(), None).await;
    visit.answer(result)
}

async fn settle_page(
    visit: &Visit,
    (page, incident): (&str, &str),
    form: &Form,
    problem: Option<&AppError>,
) -> Result<Response, AppError> {
    let open = pages::read(visit.app(), &visit.caller, page).await?;
    let mut kept = Vec::new();
    for item in &open.head.items {
        let seen = look::read(visit.app(), &visit.caller, item).await?;
        let there = seen.there.into_iter();
        kept.extend(there.map(|own| (seen.item.name.clone(), item, own)));
    }
    let accounts: Vec<Account> = kept.iter().map(|own| own.2.place.account()).collect();
    let names = Names::of(visit, accounts.iter()).await?;
    let there: Vec<(String, String)> = kept
        .iter()
        .map(|(name, item, own)| {
            let value = serde_json::to_string(&(item, &own.place, &own.batch)).unwrap_or_default();
            let lot = own.batch.lot.as_deref().unwrap_or("no lot");
            let place = names.account(&own.place.account());
            (value, format!("{name}, {place}, {lot}"))
        })
        .collect();
    let mut fields = vec![
        Field::text(
            "found",
            &format!("What is there, in {}", open.head.unit.words()),
        )
        .value(form.text("found")),
        Field::area("finding", "What was found out").value(form.text("finding")),
        select(
            "there",
            "Which stock is put right",
            &there,
            form.text("there"),
        ),
    ];
    fields.extend(signatures(form));
    let asked = Asked {
        title: "Settle a discrepancy",
        lead: "The balance changes by the difference that was found, and the stock with it.",
        action: visit.href(&format!(
            "/medicines/register/{page}/incidents/{incident}/settle"
        )),
        back: visit.href(&format!("/medicines/register/{page}")),
        fields,
        hidden: vec![movement(visit, form)],
        problem,
    };
    Ok(form_page(visit, asked))
}

async fn settle(visit: Visit, Path(params): Path<Vec<(String, String)>>, body: String) -> Response {
    let which = (param(&params, "id"), param(&params, "incident"));
    let result = settle_of(&visit, which, &body).await;
    visit.answer(result)
}

fn settlement(form: &Form) -> Result<incidents::Settle, AppError> {
    let adjust = serde_json::from_str(form.text("there")).ok();
    let movement = id(form, "movement", "The movement")?;
    Ok(incidents::Settle {
        found: number(form, "found", "What is there")?,
        finding: form.text("finding").to_owned(),
        adjust: adjust.map(|(item, place, batch)| incidents::Adjusted {
            movement,
            item,
            place,
            batch,
        }),
        signing: signing(form),
    })
}

async fn settle_of(visit: &Visit, which: (&str, &str), body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let done = match settlement(&form) {
        Ok(settle) => incidents::settle(visit.app(), &visit.caller, which, &settle).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(_) => {
            let below = format!("/medicines/register/{}?done=saved", which.0);
            Ok(redirect(&visit.href(&below)))
        }
        Err(error) if is_of_form(&error) => settle_page(visit, which, &form, Some(&error)).await,
        Err(error) => Err(error),
    }
}
