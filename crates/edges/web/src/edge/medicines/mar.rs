//! The chart of 28 days: a row per order, a column per day, what became of each due dose, and what may be
//! given when needed. Must not leave a gap blank: it stands there as one.

use app::AppError;
use app::medicines::chart::chart;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::civil::Date;
use kernel::Timestamp;
use medication::administration::Outcome;
use serde_json::Value;

use crate::clinical::{When, date};
use crate::edge::answer;
use crate::edge::summary::{banner, key, patient_id};
use crate::edge::visit::Visit;
use crate::pages::rounds::{DayView, MarPage, MarkView, RowView};

/// Days of the chart, and of those how many lie ahead of today.
const DAYS: i64 = 28;
const AHEAD: i64 = 3;

/// The page.
pub async fn page(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let id = crate::edge::named(&params, "id").to_owned();
    let result = show(&visit, &id).await;
    visit.answer(result)
}

fn later(day: Date, days: i64) -> Date {
    let span = jiff::Span::new().try_days(days);
    span.ok()
        .and_then(|own| day.checked_add(own).ok())
        .unwrap_or(day)
}

async fn show(visit: &Visit, id: &str) -> Result<Response, AppError> {
    let id = patient_id(id)?;
    let caller = visit.about(&id);
    let now = visit.app().now();
    let today = visit.zone().date_at(now);
    let asked: Option<Date> = visit.query.text("from").parse().ok();
    let first = asked.unwrap_or_else(|| later(today, AHEAD + 1 - DAYS));
    let from = first.to_string();
    let patient = key(visit, "Patient", id.as_str())?;
    let drawn = chart(visit.app(), &caller, &patient, (Some(&from), Some(DAYS))).await?;
    let told = drawn.parameters(now);
    let days: Vec<Date> = (0..DAYS).map(|own| later(first, own)).collect();
    let drawing = Drawing { visit, days: &days };
    let parts = list(&told, "parameter");
    let orders = parts.iter().filter(|own| name(own) == "order");
    let (needed, fixed): (Vec<&Value>, Vec<&Value>) =
        orders.partition(|own| text(own, "as-needed") == "true");
    let problems = parts.iter().filter_map(problem);
    let href = |day: Date| visit.href(&format!("/patients/{id}/medicines/chart?from={day}"));
    let last = later(first, DAYS - 1);
    let missing = || AppError::NotFound {
        what: "patient".to_owned(),
    };
    let page = MarPage {
        shell: visit.shell_about("Medicines chart", &id),
        banner: banner(visit, &id).await.ok_or_else(missing)?,
        summary: visit.href(&format!("/patients/{id}")),
        span: format!("{} to {}", date::short_date(first), date::short_date(last)),
        days: days
            .iter()
            .enumerate()
            .map(|(at, own)| day(*own, today, at == 0))
            .collect(),
        fixed: fixed.iter().map(|own| drawing.row(own, now)).collect(),
        needed: needed.iter().map(|own| drawing.row(own, now)).collect(),
        problems: problems.collect(),
        key: letters(),
        earlier: href(later(first, -DAYS)),
        later: (last < today).then(|| href(later(first, DAYS))),
        gaps: parts
            .iter()
            .flat_map(|own| list(own, "part"))
            .filter(|own| name(own) == "dose" && text(own, "state") == "gap")
            .count(),
    };
    Ok(answer::page(StatusCode::OK, &page))
}

fn list<'a>(of: &'a Value, member: &str) -> &'a [Value] {
    let own = of.get(member).and_then(Value::as_array);
    own.map(Vec::as_slice).unwrap_or_default()
}

fn name(of: &Value) -> &str {
    of.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// The value of a part of a part, as text.
fn text(of: &Value, wanted: &str) -> String {
    let own = list(of, "part").iter().find(|own| name(own) == wanted);
    let value = own.and_then(|own| {
        let own = own.as_object()?;
        own.iter()
            .find(|(key, _)| key.starts_with("value"))
            .map(|(_, value)| value)
    });
    match value {
        Some(Value::String(own)) => own.clone(),
        Some(Value::Bool(own)) => own.to_string(),
        Some(Value::Object(own)) => own
            .get("reference")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        _ => String::new(),
    }
}

fn problem(own: &Value) -> Option<String> {
    match name(own) {
        "unreadable" => Some(format!(
            "{} cannot be shown: {}",
            text(own, "resource"),
            text(own, "text")
        )),
        "other" => Some(format!(
            "{} is of an order that is not here.",
            text(own, "reference")
        )),
        "possible-double" => {
            let records = list(own, "part").iter();
            let records: Vec<&str> = records
                .filter_map(|own| own.pointer("/valueReference/reference")?.as_str())
                .collect();
            Some(format!("Possible double dose: {}.", records.join(" and ")))
        }
        _ => None,
    }
}

fn day(own: Date, today: Date, first: bool) -> DayView {
    let long = date::long_date(own);
    let month = date::short_date(own);
    let month = month.split('-').nth(1).unwrap_or_default().to_owned();
    DayView {
        weekday: long.chars().take(3).collect(),
        day: own.day().to_string(),
        month: if first || own.day() == 1 {
            month
        } else {
            String::new()
        },
        state: match own.cmp(&today) {
            core::cmp::Ordering::Less => "past",
            core::cmp::Ordering::Equal => "now",
            core::cmp::Ordering::Greater => "ahead",
        },
    }
}

fn letters() -> Vec<(String, String)> {
    let own = Outcome::ALL.iter();
    let own = own.map(|own| {
        (
            own.meaning().letter.to_owned(),
            own.meaning().display.to_owned(),
        )
    });
    own.chain([
        ("!".to_owned(), "Not recorded: a gap".to_owned()),
        (
            "?".to_owned(),
            "Due, or overdue and may still be given".to_owned(),
        ),
        ("·".to_owned(), "To come".to_owned()),
        ("P".to_owned(), "The order pauses".to_owned()),
    ])
    .collect()
}

/// The time in a cell: the zone stands only where the clocks change on that day, for one time may come twice.
fn in_cell(visit: &Visit, at: Timestamp) -> String {
    let zone = visit.zone();
    let whole = When::time_of_day(at, zone).text;
    let day = zone.date_at(at);
    let ends = [zone.start_of(day), zone.start_of(later(day, 1))];
    let [Some(first), Some(next)] = ends else {
        return whole;
    };
    if next.as_micros() - first.as_micros() == 86_400_000_000 {
        zone.clock_at(at)
    } else {
        whole
    }
}

struct Drawing<'a> {
    visit: &'a Visit,
    days: &'a [Date],
}

impl Drawing<'_> {
    fn row(&self, order: &Value, now: Timestamp) -> RowView {
        let mut days: Vec<Vec<MarkView>> = vec![Vec::new(); self.days.len()];
        let mut last: Option<Timestamp> = None;
        for own in list(order, "part") {
            let (at, mark) = match name(own) {
                "dose" => match instant(own, "due") {
                    Some(at) => (at, self.due(own, at)),
                    None => continue,
                },
                "record" | "off-schedule" => match instant(own, "happened") {
                    Some(at) => (at, self.free(own, at)),
                    None => continue,
                },
                _ => continue,
            };
            if mark.tone == "done" && at <= now {
                last = last.max(Some(at));
            }
            let date = self.visit.zone().date_at(at);
            let place = self.days.iter().position(|own| *own == date);
            if let Some(marks) = place.and_then(|place| days.get_mut(place)) {
                marks.push(mark);
            }
        }
        let status = text(order, "status");
        RowView {
            name: text(order, "name"),
            text: text(order, "dosage"),
            status: (status != "active").then(|| crate::clinical::code::words(&status)),
            notes: self.notes(order, last),
            days,
        }
    }

    fn notes(&self, order: &Value, last: Option<Timestamp>) -> Vec<String> {
        let mut notes = Vec::new();
        if list(order, "part")
            .iter()
            .any(|own| name(own) == "homely-days")
        {
            notes.push("Homely remedy".to_owned());
        }
        let shown = |at| When::at(at, self.visit.zone()).text;
        let needed = text(order, "as-needed") == "true";
        if needed {
            notes.push(last.map_or_else(
                || "No dose in these days".to_owned(),
                |at| format!("Last dose {}", shown(at)),
            ));
            let now = list(order, "part").iter().find(|own| name(own) == "now");
            let next = now.and_then(|own| list(own, "part").iter().find(|own| name(own) == "next"));
            if let Some(next) = next {
                let at = next.get("valueInstant").and_then(Value::as_str);
                let at = at.and_then(Timestamp::from_rfc3339);
                notes.push(match (at, next.get("valueCode").and_then(Value::as_str)) {
                    (Some(at), _) => format!("Not before {}", shown(at)),
                    (None, Some("now")) => "The limits allow a dose now".to_owned(),
                    (None, Some("never")) => "The limits never allow this amount".to_owned(),
                    _ => "Whether it may be given now cannot be told".to_owned(),
                });
            }
        }
        let unplaced = text(order, "unplaced");
        if !unplaced.is_empty() {
            notes.push(answer::sentence(&unplaced));
        }
        notes
    }

    fn due(&self, own: &Value, at: Timestamp) -> MarkView {
        let state = text(own, "state");
        let time = When::time_of_day(at, self.visit.zone()).text;
        let (letter, words, tone) = match (Outcome::of(&state), state.as_str()) {
            (Some(outcome), _) => {
                let meaning = outcome.meaning();
                let timing = text(own, "timing").replace('-', " ");
                let double = text(own, "possible-double") == "true";
                let double = if double { ", possible double dose" } else { "" };
                let words = format!("{}, {timing}{double}", meaning.display);
                let tone = if outcome.is_taken() { "done" } else { "not" };
                (meaning.letter, words, tone)
            }
            (None, "gap") => ("!", "Not recorded".to_owned(), "gap"),
            (None, "due") => ("?", "Due now".to_owned(), "due"),
            (None, "late") => ("?", "Overdue".to_owned(), "due"),
            (None, "paused") => ("P", format!("Paused: {}", text(own, "reason")), "not"),
            _ => ("·", "To come".to_owned(), "ahead"),
        };
        MarkView {
            letter: letter.to_owned(),
            words: format!("{time}: {words}"),
            time: in_cell(self.visit, at),
            tone,
        }
    }

    fn free(&self, own: &Value, at: Timestamp) -> MarkView {
        let time = When::time_of_day(at, self.visit.zone()).text;
        let outcome = Outcome::of(&text(own, "outcome"));
        let display = outcome.map_or("Recorded", |own| own.meaning().display);
        let dose = text(own, "dose");
        MarkView {
            letter: outcome.map_or("O", |own| own.meaning().letter).to_owned(),
            words: format!("{time}: {display} {dose}"),
            time: in_cell(self.visit, at),
            tone: if outcome.is_some_and(Outcome::is_taken) {
                "done"
            } else {
                "not"
            },
        }
    }
}

fn instant(own: &Value, name: &str) -> Option<Timestamp> {
    Timestamp::from_rfc3339(&text(own, name))
}
