//! The chart of up to 28 days on paper, and today's doses for the patient and the family. Both show what the
//! use-case of the chart tells. Must not turn a gap into a blank.

use app::AppError;
use app::medicines::chart::chart;
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use jiff::ToSpan as _;
use jiff::civil::Date;
use kernel::Timestamp;
use serde_json::Value;

use super::card::allergy_words;
use crate::clinical::date;
use crate::clinical::medication::names;
use crate::clinical::{When, Zone};
use crate::components::{Cell, Notice, Table, Tone};
use crate::edge::answer::sentence;
use crate::edge::summary::{allergies, banner_of, key, patient, patient_id};
use crate::edge::visit::Visit;
use crate::edge::{Web, answer, named};
use crate::pages::medicines::paper::{SheetOrder, SheetPage};
use crate::pages::medicines::report::TablesPage;

/// Days of a sheet.
const DAYS: i64 = 28;

/// Marks on paper by state: code, mark, words.
const MARKS: [(&str, &str, &str); 15] = [
    ("given", "G", "Given"),
    ("self-administered", "S", "Taken by the patient alone"),
    ("refused", "R", "Refused"),
    ("withheld", "W", "Withheld"),
    ("not-available", "N", "Not available"),
    ("asleep", "A", "Asleep"),
    ("away", "L", "Away"),
    ("vomited", "V", "Vomited"),
    ("destroyed", "D", "Destroyed"),
    ("other", "O", "Other, see the record"),
    ("gap", "!", "Nothing recorded"),
    ("paused", "P", "Held"),
    ("late", "…", "Late: not recorded yet"),
    ("due", "…", "Due now"),
    ("upcoming", "·", "Not due yet"),
];

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/patients/{id}/medicines/print", get(print))
        .route("/patients/{id}/medicines/today", get(today))
}

async fn print(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = sheet(&visit, named(&params, "id")).await;
    visit.answer(result)
}

async fn today(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = doses(&visit, named(&params, "id")).await;
    visit.answer(result)
}

/// The parts of a name.
fn parts<'a>(of: &'a Value, list: &str, name: &'a str) -> impl Iterator<Item = &'a Value> {
    let list = of.get(list).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter(move |own| own.get("name").and_then(Value::as_str) == Some(name))
}

/// The text of a part, whatever its type.
fn said<'a>(of: &'a Value, name: &'a str) -> Option<&'a str> {
    let own = parts(of, "part", name).next()?.as_object()?;
    let value = own.iter().find(|(key, _)| key.starts_with("value"))?.1;
    value
        .as_str()
        .or_else(|| value.get("reference").and_then(Value::as_str))
}

fn at(of: &Value, name: &str) -> Option<Timestamp> {
    Timestamp::from_rfc3339(said(of, name)?)
}

fn mark(state: &str) -> (&'static str, &'static str) {
    let known = MARKS.iter().find(|(code, ..)| *code == state);
    known.map_or(("?", "Not known"), |(_, mark, words)| (mark, words))
}

/// The medicine in the writing of a line.
fn name_of(order: &Value) -> String {
    let (generic, brand) = names(said(order, "name").unwrap_or("medicine not recorded"));
    brand.map_or_else(|| generic.clone(), |brand| format!("{generic} {brand}"))
}

/// A record in words: when, how much, what for.
fn recorded(zone: &Zone, record: &Value) -> String {
    let when = at(record, "happened").map(|at| When::at(at, zone).text);
    let (_, outcome) = mark(said(record, "outcome").unwrap_or_default());
    let mut text = format!(
        "{}: {outcome}",
        when.unwrap_or_else(|| "Time not recorded".to_owned())
    );
    for (label, name) in [
        ("", "dose"),
        ("for ", "needed-for"),
        ("because: ", "reason"),
    ] {
        if let Some(own) = said(record, name) {
            text.push_str(", ");
            text.push_str(label);
            text.push_str(own);
        }
    }
    text
}

/// What could not be read or placed, and what may have been taken twice.
fn notices(told: &Value) -> Vec<Notice> {
    let unread: Vec<String> = parts(told, "parameter", "unreadable")
        .map(|own| {
            let name = said(own, "resource").unwrap_or("a record");
            format!("{name}: {}", said(own, "text").unwrap_or_default())
        })
        .collect();
    let mut list = Vec::new();
    if !unread.is_empty() {
        let text = sentence(&unread.join("; "));
        list.push(Notice::new(
            Tone::Warn,
            "Not everything can be shown",
            &text,
        ));
    }
    let doubles = parts(told, "parameter", "possible-double").count();
    if doubles > 0 {
        let text =
            format!("{doubles} due doses have more than one record of a dose that was taken.");
        list.push(Notice::new(Tone::Bad, "Possible double dose", &text));
    }
    list
}

/// A patient's chart from a day on, as the use-case tells it.
struct Told {
    id: kernel::LogicalId,
    caller: app::Caller,
    document: fhir::json::Document,
    parameters: Value,
}

async fn told(visit: &Visit, id: &str, (from, days): (Date, i64)) -> Result<Told, AppError> {
    let id = patient_id(id)?;
    let caller = visit.about(&id);
    let document = patient(visit, &caller, &id).await?;
    let subject = key(visit, "Patient", id.as_str())?;
    let from = from.to_string();
    let drawn = chart(visit.app(), &caller, &subject, (Some(&from), Some(days))).await?;
    Ok(Told {
        parameters: drawn.parameters(visit.app().now()),
        id,
        caller,
        document,
    })
}

/// The first day of the sheet: the one asked for, or that of the last 28 days.
fn first(visit: &Visit, today: Date) -> Result<Date, AppError> {
    let typed = visit.query.text("from");
    if typed.is_empty() {
        return Ok(today.checked_sub((DAYS - 1).days()).unwrap_or(today));
    }
    date::typed(typed).ok_or_else(|| {
        AppError::Invalid("the first day is no date: write it like 05-Mar-2026".to_owned())
    })
}

/// The sheets before and after.
fn others(base: &str, from: Date) -> Vec<(String, String)> {
    let other = |label: &str, first: Option<Date>| {
        first.map(|first| {
            let first = first.strftime("%d-%b-%Y");
            let href = format!("{base}/medicines/print?from={first}");
            (href, label.to_owned())
        })
    };
    let before = other("28 days before", from.checked_sub(DAYS.days()).ok());
    let after = other("28 days after", from.checked_add(DAYS.days()).ok());
    before.into_iter().chain(after).collect()
}

async fn sheet(visit: &Visit, id: &str) -> Result<Response, AppError> {
    let zone = visit.zone();
    let now = zone.date_at(visit.app().now());
    let from = first(visit, now)?;
    let told = told(visit, id, (from, DAYS)).await?;
    let days: Vec<Date> = (0..DAYS)
        .filter_map(|n| from.checked_add(n.days()).ok())
        .collect();
    let base = visit.href(&format!("/patients/{}", told.id));
    let last = days.last().copied().unwrap_or(from);
    let status = allergies(visit, &told.caller, told.id.as_str()).await;
    let page = SheetPage {
        shell: visit.shell_about("Medicines chart", &told.id),
        banner: banner_of(visit, &told.caller, &told.document).await,
        patient: base.clone(),
        back: (
            format!("{base}/medicines"),
            "Back to the medicines".to_owned(),
        ),
        links: others(&base, from),
        span: format!(
            "{} to {}",
            from.strftime("%d-%b-%Y"),
            last.strftime("%d-%b-%Y")
        ),
        allergies: allergy_words(status.as_ref()),
        days: days
            .iter()
            .map(|day| {
                (
                    day.strftime("%-d").to_string(),
                    day.strftime("%b").to_string(),
                )
            })
            .collect(),
        orders: parts(&told.parameters, "parameter", "order")
            .enumerate()
            .map(|(number, order)| row(zone, (number, order), &days))
            .collect(),
        legend: MARKS
            .iter()
            .map(|(_, mark, words)| (*mark, *words))
            .collect(),
        notices: notices(&told.parameters),
    };
    Ok(answer::page(StatusCode::OK, &page))
}

/// An order of the sheet: a row for each clock time, a mark for each day.
fn row(zone: &Zone, (number, order): (usize, &Value), days: &[Date]) -> SheetOrder {
    let mut times: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for dose in parts(order, "part", "dose") {
        let Some(due) = at(dose, "due") else { continue };
        let time = zone.clock_at(due);
        let Some(day) = days.iter().position(|day| *day == zone.date_at(due)) else {
            continue;
        };
        let (mark, words) = mark(said(dose, "state").unwrap_or_default());
        let double = parts(dose, "part", "possible-double")
            .any(|own| own.get("valueBoolean") == Some(&Value::Bool(true)));
        let place = times
            .iter()
            .position(|(own, _)| *own == time)
            .unwrap_or_else(|| {
                times.push((
                    time.clone(),
                    vec![(String::new(), String::new()); days.len()],
                ));
                times.len() - 1
            });
        let cell = times
            .get_mut(place)
            .and_then(|(_, cells)| cells.get_mut(day));
        if let Some((own, text)) = cell {
            own.push_str(mark);
            text.push_str(words);
            if double {
                own.push('2');
                text.push_str(", possible double dose");
            }
        }
    }
    times.sort();
    let free = ["record", "off-schedule"]
        .iter()
        .flat_map(|name| parts(order, "part", name))
        .map(|record| recorded(zone, record));
    SheetOrder {
        id: format!("order-{number}"),
        name: name_of(order),
        words: said(order, "dosage").unwrap_or_default().to_owned(),
        status: crate::clinical::code::words(said(order, "status").unwrap_or_default()),
        note: said(order, "unplaced").map(sentence).unwrap_or_default(),
        rows: times,
        free: free.collect(),
    }
}

/// A due dose of today as a row.
fn dose_cells(
    zone: &Zone,
    (name, words): (&str, &str),
    (dose, due): (&Value, Timestamp),
) -> Vec<Cell> {
    let state = said(dose, "state").unwrap_or_default();
    let (_, became) = mark(state);
    let happened = parts(dose, "part", "record").next();
    let happened = happened.and_then(|own| at(own, "happened"));
    let happened = happened.map(|at| format!("at {}", zone.clock_at(at)));
    let tone = match state {
        "given" | "self-administered" => Tone::Good,
        "upcoming" | "paused" => Tone::Plain,
        "due" => Tone::Info,
        _ => Tone::Warn,
    };
    vec![
        Cell::text(name),
        Cell::text(&zone.clock_at(due)),
        Cell::text(words),
        Cell::tag(tone, became).minor(&happened.unwrap_or_default()),
    ]
}

/// Today's doses by time, in plain words.
async fn doses(visit: &Visit, id: &str) -> Result<Response, AppError> {
    let zone = visit.zone();
    let told = told(visit, id, (zone.date_at(visit.app().now()), 1)).await?;
    let columns = ["Medicine", "Time", "How much", "What became of it"];
    let mut lines = Vec::new();
    let mut needed = Table::new(
        "When needed",
        &["Medicine", "How"],
        "No medicine is given when needed.",
    );
    for order in parts(&told.parameters, "parameter", "order") {
        let name = name_of(order);
        let words = said(order, "dosage").unwrap_or_default();
        let is_needed = parts(order, "part", "as-needed")
            .any(|own| own.get("valueBoolean") == Some(&Value::Bool(true)));
        if is_needed {
            let given = parts(order, "part", "record").map(|own| recorded(zone, own));
            let given: Vec<String> = given.collect();
            needed = needed.row(vec![
                Cell::text(&name),
                Cell::text(words).minor(&given.join("; ")),
            ]);
        }
        for dose in parts(order, "part", "dose") {
            let Some(due) = at(dose, "due") else { continue };
            let cells = dose_cells(zone, (&name, words), (dose, due));
            lines.push((due, cells));
        }
    }
    lines.sort_by_key(|(due, _)| *due);
    let mut table = Table::new("Doses", &columns, "No dose is due today.");
    for (_, cells) in lines {
        table = table.row(cells);
    }
    let base = visit.href(&format!("/patients/{}", told.id));
    let page = TablesPage {
        shell: visit.shell_about("Medicines today", &told.id),
        banner: banner_of(visit, &told.caller, &told.document).await,
        patient: base.clone(),
        back: (format!("{base}/medicines"), "All medicines".to_owned()),
        lead: date::long_date(zone.date_at(visit.app().now())),
        notices: notices(&told.parameters),
        links: vec![(
            format!("{base}/medicines/card"),
            "Medicines card".to_owned(),
        )],
        sections: vec![
            ("doses".to_owned(), "Doses".to_owned(), table),
            ("needed".to_owned(), "When needed".to_owned(), needed),
        ],
    };
    Ok(answer::page(StatusCode::OK, &page))
}
