//! Pages of the stock: what is kept, what is there of it, and the forms by which it moves. Must not decide:
//! a movement is made by its use-case.

use app::AppError;
use app::medicines::stock::keep::{Keep, Stated, keep};
use app::medicines::stock::moves::{Move, Wanted, make};
use app::medicines::stock::{Place, forecast, look};
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use identity::Interaction;
use medication::stock::{Account, Batch, Counted, Status, Units};

use super::choices::{
    Choices, Names, day, id, is_of_form, is_outdated, named, number, residents, select, signatures,
    signing, word, words,
};
use super::keeping;
use super::shelves::{amount, days_table, last_use, moves_table, there_table};
use crate::components::{Cell, Choice, ErrorSummary, Field, Paging, Piece, Table, Tone};
use crate::edge::answer::{self, redirect, sentence, status_of};
use crate::edge::form::Form;
use crate::edge::visit::Visit;
use crate::edge::{Web, named as param};
use crate::pages::access::{FormPage, ListPage};
use crate::pages::tools::ToolPage;

/// The routes of these pages.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/medicines/stock", get(list))
        .route("/medicines/stock/new", get(new_form).post(create))
        .route("/medicines/stock/{id}", get(show))
        .route("/medicines/stock/{id}/{step}", get(step_form).post(step))
}

/// Where a reorder stands, in words.
pub(super) const fn status_words(status: Status) -> (Tone, &'static str) {
    match status {
        Status::None => (Tone::Plain, "No order"),
        Status::Needed => (Tone::Warn, "To be ordered"),
        Status::Requested => (Tone::Info, "Requested"),
        Status::Approved => (Tone::Info, "Approved"),
        Status::Ordered => (Tone::Info, "Ordered"),
        Status::PartReceived => (Tone::Info, "Partly received"),
        Status::Received => (Tone::Good, "Received"),
        Status::Cancelled => (Tone::Plain, "Called off"),
    }
}

/// The list.
async fn list(visit: Visit) -> Response {
    let result = list_page(&visit).await;
    visit.answer(result)
}

async fn list_page(visit: &Visit) -> Result<Response, AppError> {
    let found = look::list(visit.app(), &visit.caller).await?;
    let columns = ["Medicine", "Held", "To be used by", "Reorder"];
    let mut table = Table::new("Stock", &columns, "No medicine is kept yet.");
    for seen in &found {
        let item = &seen.item;
        let href = visit.href(&format!("/medicines/stock/{}", item.id));
        let mut name = Cell::link(&href, &item.name);
        if item.has_register() {
            name = name.and(Piece::Tag(Tone::Info, "Register".to_owned()));
        }
        let mut held = Cell::text(&amount(seen.total, item));
        if seen.low {
            held = held.and(Piece::Tag(Tone::Warn, "Low".to_owned()));
        }
        if seen.usable != seen.total {
            held = held.minor(&format!("{} may be used", amount(seen.usable, item)));
        }
        let soonest = seen.soonest.map(|own| last_use(visit, own));
        let (tone, words) = status_words(seen.status);
        table = table.row(vec![
            name,
            held,
            soonest.unwrap_or_else(|| Cell::text("No last day known")),
            Cell::tag(tone, words),
        ]);
    }
    let manages = visit.offers(Interaction::ManageStock);
    let page = ListPage {
        shell: visit.shell("Stock of medicines"),
        lead: "What is low stands first, then what must be used soonest.".to_owned(),
        action: manages.then(|| {
            (
                visit.href("/medicines/stock/new"),
                "Keep a medicine".to_owned(),
            )
        }),
        secret: None,
        summary: None,
        sections: vec![("stock".to_owned(), "Medicines".to_owned(), table)],
        paging: Paging::default(),
    };
    Ok(answer::page(StatusCode::OK, &page))
}

/// One medicine.
async fn show(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = Box::pin(show_page(&visit, param(&params, "id"))).await;
    visit.answer(result)
}

pub(super) fn item_id(text: &str) -> Result<medication::ids::ItemId, AppError> {
    text.parse().map_err(|_| AppError::NotFound {
        what: "medicine".to_owned(),
    })
}

/// The steps of a medicine: its address, the words.
const STEPS: [(&str, &str); 5] = [
    ("receive", "Receive"),
    ("return", "Give back"),
    ("waste", "Destroy"),
    ("transfer", "Move"),
    ("count", "Count"),
];

async fn show_page(visit: &Visit, text: &str) -> Result<Response, AppError> {
    let id = item_id(text)?;
    let seen = look::read(visit.app(), &visit.caller, &id).await?;
    let (moves, _) = look::movements(visit.app(), &visit.caller, &id, None, 50).await?;
    let days = forecast::days_left(visit.app(), &visit.caller, &id).await?;
    let accounts: Vec<Account> = seen.there.iter().map(|own| own.place.account()).collect();
    let lasting: Vec<Account> = days.iter().map(|own| own.place.account()).collect();
    let lines = moves.iter().flat_map(|own| &own.movement.lines);
    let sides = lines.flat_map(|own| [&own.from, &own.to]);
    let names = Names::of(visit, accounts.iter().chain(&lasting).chain(sides)).await?;
    let (_, status) = status_words(seen.status);
    let mut lead = format!("{} held. {status}.", amount(seen.total, &seen.item));
    if let Some(threshold) = seen.item.threshold {
        lead = format!("{lead} Low at {}.", amount(threshold, &seen.item));
    }
    let moving = visit.offers(Interaction::MoveStock);
    let links = STEPS.iter().filter(|_| moving).map(|(step, words)| {
        let href = visit.href(&format!("/medicines/stock/{id}/{step}"));
        (href, (*words).to_owned())
    });
    let links = links.chain(keeping::links(visit, &seen.item));
    let section = |id: &str, title: &str, table| (id.to_owned(), title.to_owned(), table);
    let page = ToolPage {
        shell: visit.shell(&seen.item.name),
        back: (
            visit.href("/medicines/stock"),
            "Stock of medicines".to_owned(),
        ),
        crumbs: Vec::new(),
        tree: None,
        lead,
        links: links.collect(),
        problem: None,
        action: String::new(),
        posts: false,
        fields: Vec::new(),
        button: String::new(),
        summary: None,
        sections: [
            section("there", "What is there", there_table(visit, &names, &seen)),
            section("days", "For how long it lasts", days_table(&names, &days)),
        ]
        .into_iter()
        .chain(keeping::on_order(visit, &seen.item).await?)
        .chain([section(
            "moves",
            "Movements",
            moves_table(visit, &names, (&seen.item, &moves)),
        )])
        .collect(),
        paging: Paging::default(),
        paged: "",
        steps: keeping::steps(visit, &seen),
        code: None,
    };
    Ok(answer::page(StatusCode::OK, &page))
}

pub(super) fn form_page(
    visit: &Visit,
    (title, lead, button): (&str, &str, &str),
    (action, back): (String, (String, String)),
    (fields, hidden): (Vec<Field>, Vec<(String, String)>),
    problem: Option<&AppError>,
) -> Response {
    let page = FormPage {
        shell: visit.shell(title),
        lead: lead.to_owned(),
        warning: None,
        running: None,
        problem: problem.map(|error| ErrorSummary::whole(&sentence(&error.public_text()))),
        action,
        fields,
        hidden,
        button: button.to_owned(),
        danger: false,
        facts: Vec::new(),
        steps: Vec::new(),
        back: Some(back),
    };
    answer::page(problem.map_or(StatusCode::OK, status_of), &page)
}

fn keep_form(visit: &Visit, form: &Form, problem: Option<&AppError>) -> Response {
    let fields = vec![
        Field::text("product", "Product")
            .value(form.text("product"))
            .hint("As the dictionary names it, such as Paracetamol 500mg tablet"),
        Field::text("unit", "Counted in")
            .value(if form.text("unit").is_empty() {
                "{tablet}"
            } else {
                form.text("unit")
            })
            .hint("A unit such as {tablet}, {capsule} or mL"),
        Field::text("code", "Code in dm+d")
            .optional()
            .value(form.text("code"))
            .hint("By which it is ordered, where the dictionary does not say it"),
        Field::text("threshold", "Low at")
            .optional()
            .value(form.text("threshold"))
            .hint("At so much or less it is to be ordered"),
    ];
    let back = (
        visit.href("/medicines/stock"),
        "Stock of medicines".to_owned(),
    );
    let action = visit.href("/medicines/stock/new");
    let words = ("Keep a medicine", "", "Keep it");
    form_page(visit, words, (action, back), (fields, Vec::new()), problem)
}

async fn new_form(visit: Visit) -> Response {
    let allowed = look::list(visit.app(), &visit.caller).await;
    let shown = allowed.map(|_| keep_form(&visit, &Form::default(), None));
    visit.answer(shown)
}

async fn create(visit: Visit, body: String) -> Response {
    let result = create_of(&visit, &body).await;
    visit.answer(result)
}

async fn create_of(visit: &Visit, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let threshold = match form.text("threshold") {
        "" => Ok(None),
        _ => number(&form, "threshold", "Low at").map(Some),
    };
    let made = match threshold {
        Ok(threshold) => {
            let new = Keep {
                medication: None,
                product: Some(form.text("product").to_owned()),
                unit: form.text("unit").to_owned(),
                control: Stated::AsKnown,
                form: None,
                strength: None,
                threshold,
                code: Some(form.text("code").to_owned()),
            };
            keep(visit.app(), &visit.caller, new).await
        }
        Err(error) => Err(error),
    };
    match made {
        Ok(item) => Ok(redirect(
            &visit.href(&format!("/medicines/stock/{}?done=saved", item.id)),
        )),
        Err(error) if is_of_form(&error) => Ok(keep_form(visit, &form, Some(&error))),
        Err(error) => Err(error),
    }
}

async fn step_form(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let asked = (param(&params, "id"), param(&params, "step"));
    let query = visit.query.clone();
    let result = Box::pin(step_page(&visit, asked, (&query, None))).await;
    visit.answer(result)
}

/// What is there, as a choice of place and batch.
fn there_choices(names: &Names, seen: &look::Seen, chosen: &str) -> Field {
    let choices = seen.there.iter().map(|own| {
        let value = serde_json::to_string(&(&own.place, &own.batch)).unwrap_or_default();
        let lot = own.batch.lot.as_deref().unwrap_or("no lot");
        let label = format!(
            "{}, {lot}, {}",
            names.account(&own.place.account()),
            amount(own.units, &seen.item)
        );
        let is_chosen = value == chosen;
        Choice::new(&value, &label, is_chosen)
    });
    Field::select("there", "From", choices.collect())
}

const RETURNS: [(&str, &str); 6] = [
    ("stopped", "No longer prescribed"),
    ("resident_gone", "The resident died or left"),
    ("expired", "Expired"),
    ("recalled", "Called back"),
    ("wrong_item", "Not what was ordered"),
    ("damaged", "Arrived damaged"),
];
const WASTES: [(&str, &str); 7] = [
    ("expired", "Expired"),
    ("damaged", "Damaged"),
    ("not_taken", "Not taken"),
    ("part_used", "Left of an ampoule"),
    ("stopped", "No longer prescribed"),
    ("resident_gone", "The resident died or left"),
    ("recalled", "Called back"),
];
const DIFFERENCES: [(&str, &str); 7] = [
    ("", "It does not differ"),
    ("opening", "The first count"),
    ("miscounted", "An earlier count was wrong"),
    ("given_not_recorded", "Given and not written down"),
    ("recorded_not_given", "Written down and not given"),
    ("lost", "Lost or broken"),
    ("unexplained", "Not known"),
];

fn how_much(seen: &look::Seen, form: &Form) -> Field {
    let label = format!("How much, in {}", seen.item.unit.words());
    Field::text("units", &label).value(form.text("units"))
}

fn receive_fields(
    seen: &look::Seen,
    form: &Form,
    (locations, suppliers, residents): (Choices<'_>, Choices<'_>, Choices<'_>),
) -> Vec<Field> {
    vec![
        select(
            "location",
            "Where it is put",
            locations,
            form.text("location"),
        ),
        select(
            "resident",
            "Of which resident",
            residents,
            form.text("resident"),
        ),
        select("party", "Who brought it", suppliers, form.text("party")),
        how_much(seen, form),
        Field::text("scan", "Scan of the pack")
            .optional()
            .value(form.text("scan")),
        Field::text("lot", "Lot").optional().value(form.text("lot")),
        Field::date("expiry", "Last day of use")
            .value(form.text("expiry"))
            .hint("For example 31-Mar-2027"),
        Field::text("unchecked", "Why a pack that no list knows is taken in")
            .optional()
            .value(form.text("unchecked"))
            .hint("Only where the scan could not be checked: what its label says"),
    ]
}

/// Most batches of one form.
const MOST_BATCHES: usize = 10_000;

/// Place and batch of a field of a count, as the form carries them.
fn counted_what(own: &look::There) -> String {
    serde_json::to_string(&(&own.place, &own.batch)).unwrap_or_default()
}

/// The fields of a count with what they are of: numbers typed before are of the same place and batch, wherever
/// it stands now.
fn count_fields(
    names: &Names,
    seen: &look::Seen,
    form: &Form,
) -> (Vec<Field>, Vec<(String, String)>) {
    let typed: Vec<(String, String)> = (0..MOST_BATCHES)
        .map(|at| (form.text(&format!("batch-{at}")), at))
        .take_while(|(what, _)| !what.is_empty())
        .map(|(what, at)| {
            (
                what.to_owned(),
                form.text(&format!("found-{at}")).to_owned(),
            )
        })
        .collect();
    let (mut fields, mut hidden) = (Vec::new(), Vec::new());
    for (at, own) in seen.there.iter().enumerate() {
        let what = counted_what(own);
        let lot = own.batch.lot.as_deref().unwrap_or("no lot");
        let label = format!("{}, {lot}", names.account(&own.place.account()));
        let before = typed.iter().find(|(of, _)| *of == what);
        let field = Field::text(&format!("found-{at}"), &label).optional();
        fields.push(field.value(before.map_or("", |(_, found)| found)));
        hidden.push((format!("batch-{at}"), what));
    }
    let why = words(
        "reason",
        "Why it differs",
        &DIFFERENCES,
        form.text("reason"),
    );
    fields.push(why);
    (fields, hidden)
}

/// The fields of a step, and what it carries along.
async fn step_fields(
    visit: &Visit,
    step: &str,
    (seen, form): (&look::Seen, &Form),
) -> Result<(Vec<Field>, Vec<(String, String)>), AppError> {
    let how_much = how_much(seen, form);
    let accounts: Vec<Account> = seen.there.iter().map(|own| own.place.account()).collect();
    let names = Names::of(visit, accounts.iter()).await?;
    let there = there_choices(&names, seen, form.text("there"));
    let fields = match step {
        "receive" => {
            let locations = named(visit, "Location").await?;
            let suppliers = named(visit, "Organization").await?;
            let residents = residents(visit).await?;
            receive_fields(seen, form, (&locations, &suppliers, &residents))
        }
        "return" => {
            let suppliers = named(visit, "Organization").await?;
            vec![
                there,
                how_much,
                select("party", "To whom", &suppliers, form.text("party")),
                words("reason", "Why", &RETURNS, form.text("reason")),
            ]
        }
        "waste" => vec![
            there,
            how_much,
            words("reason", "Why", &WASTES, form.text("reason")),
            Field::text("method", "How it is destroyed").value(form.text("method")),
        ],
        "transfer" => {
            let locations = named(visit, "Location").await?;
            vec![
                there,
                how_much,
                select("location", "To where", &locations, form.text("location")),
            ]
        }
        "count" => return Ok(count_fields(&names, seen, form)),
        _ => {
            return Err(AppError::NotFound {
                what: "step".to_owned(),
            });
        }
    };
    Ok((fields, Vec::new()))
}

async fn step_page(
    visit: &Visit,
    (text, step): (&str, &str),
    (form, problem): (&Form, Option<&AppError>),
) -> Result<Response, AppError> {
    let seen = look::read(visit.app(), &visit.caller, &item_id(text)?).await?;
    // What moved meanwhile is counted again, and not sent again as it was typed.
    let outdated = step == "count" && is_outdated(problem);
    let empty = Form::default();
    let shown = if outdated { &empty } else { form };
    let (mut fields, mut hidden) = step_fields(visit, step, (&seen, shown)).await?;
    let demands = seen.item.control.map(medication::register::Class::demands);
    if demands.is_some_and(|own| own.register || (step == "waste" && own.witnessed_destruction)) {
        fields.push(
            Field::text("late", "Why it is written late")
                .optional()
                .value(form.text("late"))
                .hint("Only where something later is in the register already"),
        );
        fields.extend(signatures(form));
    }
    // Made here, so that a form that is sent twice moves once.
    let movement = match form.text("movement") {
        "" => visit.app().ids().uuid().to_string(),
        own => own.to_owned(),
    };
    let words = STEPS.iter().find(|(own, _)| *own == step);
    let words = words.map_or("Step", |(_, words)| words);
    let title = format!("{words}: {}", seen.item.name);
    let lead = if step == "count" {
        "Count every batch of one place; what is left empty is not counted."
    } else {
        ""
    };
    let action = visit.href(&format!("/medicines/stock/{text}/{step}"));
    let back = (
        visit.href(&format!("/medicines/stock/{text}")),
        format!("Back to {}", seen.item.name),
    );
    hidden.push(("movement".to_owned(), movement));
    if step == "count" {
        let known = Some(shown.text("seen")).filter(|own| !own.is_empty());
        let known = known.map_or_else(|| seen.item.movements.to_string(), str::to_owned);
        hidden.push(("seen".to_owned(), known));
    }
    let texts = (title.as_str(), lead, words);
    Ok(form_page(
        visit,
        texts,
        (action, back),
        (fields, hidden),
        problem,
    ))
}

async fn step(visit: Visit, Path(params): Path<Vec<(String, String)>>, body: String) -> Response {
    let asked = (param(&params, "id"), param(&params, "step"));
    let result = Box::pin(step_of(&visit, asked, &body)).await;
    visit.answer(result)
}

fn there(form: &Form) -> Result<(Place, Batch), AppError> {
    serde_json::from_str(form.text("there"))
        .map_err(|_| AppError::Unprocessable("nothing is chosen: say from where".to_owned()))
}

/// What a form counts: every batch of one place that has a number, by the place and batch it was asked for.
fn counted(form: &Form) -> Result<(Place, Vec<Counted>), AppError> {
    let mut found = Vec::new();
    let mut place: Option<Place> = None;
    for at in 0..MOST_BATCHES {
        let what = form.text(&format!("batch-{at}"));
        if what.is_empty() {
            break;
        }
        let name = format!("found-{at}");
        if form.text(&name).is_empty() {
            continue;
        }
        let (own, batch): (Place, Batch) = serde_json::from_str(what).map_err(|_| {
            AppError::Unprocessable("a batch of the form cannot be read: open it anew".to_owned())
        })?;
        if place.as_ref().is_some_and(|place| *place != own) {
            return Err(AppError::Unprocessable(
                "two places are counted: send one after the other".to_owned(),
            ));
        }
        place = Some(own);
        found.push(Counted {
            batch,
            found: number(form, &name, "What was found")?,
        });
    }
    let none = || AppError::Unprocessable("nothing is counted: write what was found".to_owned());
    Ok((place.ok_or_else(none)?, found))
}

fn text(form: &Form, name: &str) -> Option<String> {
    Some(form.text(name).to_owned()).filter(|own| !own.is_empty())
}

fn units(form: &Form) -> Result<Units, AppError> {
    let number = number(form, "units", "How much")?;
    Units::new(number).map_err(|error| AppError::Unprocessable(error.to_string()))
}

fn received(form: &Form) -> Result<Wanted, AppError> {
    let expiry = day(form, "expiry", "The last day")?;
    let resident = text(form, "resident").map(|_| id(form, "resident", "The resident"));
    Ok(Wanted::Receipt {
        to: Place {
            location: id(form, "location", "The place")?,
            resident: resident.transpose()?,
        },
        from: id(form, "party", "Who brought it")?,
        units: units(form)?,
        batch: Batch {
            expiry,
            lot: text(form, "lot"),
            serial: None,
        },
        scan: text(form, "scan"),
        order: None,
        unchecked: text(form, "unchecked"),
    })
}

fn wanted(step: &str, form: &Form) -> Result<Wanted, AppError> {
    let units = || units(form);
    Ok(match step {
        "receive" => received(form)?,
        "return" => {
            let (from, batch) = there(form)?;
            Wanted::Return {
                from,
                to: id(form, "party", "To whom")?,
                units: units()?,
                batch,
                reason: word(form, "reason", "Why")?,
            }
        }
        "waste" => {
            let (from, batch) = there(form)?;
            Wanted::Waste {
                from,
                units: units()?,
                batch,
                reason: word(form, "reason", "Why")?,
                method: form.text("method").to_owned(),
            }
        }
        "transfer" => {
            let (from, batch) = there(form)?;
            Wanted::Transfer {
                from,
                to: id(form, "location", "To where")?,
                units: units()?,
                batch: Some(batch),
            }
        }
        _ => {
            let (of, counted) = counted(form)?;
            let reason = text(form, "reason").map(|_| word(form, "reason", "Why it differs"));
            Wanted::Count {
                of,
                counted,
                seen: id(form, "seen", "What was there when it was counted")?,
                reason: reason.transpose()?,
            }
        }
    })
}

async fn step_of(
    visit: &Visit,
    (medicine, step): (&str, &str),
    body: &str,
) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let item = item_id(medicine)?;
    if !STEPS.iter().any(|(own, _)| *own == step) {
        return Err(AppError::NotFound {
            what: "step".to_owned(),
        });
    }
    let movement = wanted(step, &form).and_then(|what| {
        Ok(Move {
            id: id(&form, "movement", "The movement")?,
            what,
            happened: None,
            discrepancy: None,
            late: text(&form, "late"),
            signing: signing(&form),
        })
    });
    let made = match movement {
        Ok(movement) => make(visit.app(), &visit.caller, &item, &movement).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(_) => Ok(redirect(
            &visit.href(&format!("/medicines/stock/{medicine}?done=saved")),
        )),
        Err(error) if is_of_form(&error) => {
            step_page(visit, (medicine, step), (&form, Some(&error))).await
        }
        Err(error) => Err(error),
    }
}
