//! Every change of every medicine of a patient, newest first. Must not leave out a version.

use app::AppError;
use app::medicines::timeline::{Event, timeline};
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;

use crate::clinical::{NOT_AVAILABLE, NOT_RECORDED, When};
use crate::components::{Cell, Piece, Table, Tone};
use crate::edge::summary::{banner_of, key, patient, patient_id};
use crate::edge::visit::Visit;
use crate::edge::{Web, answer, named, names};
use crate::pages::medicines::report::TablesPage;

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/patients/{id}/medicines/history", get(page))
}

async fn page(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = show(&visit, named(&params, "id")).await;
    visit.answer(result)
}

async fn show(visit: &Visit, id: &str) -> Result<Response, AppError> {
    let id = patient_id(id)?;
    let caller = visit.about(&id);
    let document = patient(visit, &caller, &id).await?;
    let mut events = timeline(visit.app(), &caller, &key(visit, "Patient", id.as_str())?).await?;
    let by = events.iter_mut().filter_map(|event| event.by.as_mut());
    names::of_texts(visit, &caller, by.collect()).await;
    let base = visit.href(&format!("/patients/{id}"));
    let page = TablesPage {
        shell: visit.shell_about("History of medicines", &id),
        banner: banner_of(visit, &caller, &document).await,
        patient: base.clone(),
        back: (
            format!("{base}/medicines"),
            "Back to the medicines".to_owned(),
        ),
        lead: "Every change of every order and statement, the newest first.".to_owned(),
        notices: Vec::new(),
        links: Vec::new(),
        sections: vec![(
            "changes".to_owned(),
            "Changes".to_owned(),
            table(visit, &events),
        )],
    };
    Ok(answer::page(StatusCode::OK, &page))
}

fn table(visit: &Visit, events: &[Event]) -> Table {
    let columns = ["Medicine", "When", "What changed", "Who"];
    let mut table =
        Table::new("Changes", &columns, "No medicines recorded.").filtered("changes-table");
    for event in events {
        let href = visit.href(&format!(
            "/records/{}?version={}",
            event.name, event.version
        ));
        let medicine = event.medicine.as_deref().unwrap_or(NOT_AVAILABLE);
        let (name, brand) = crate::clinical::medication::names(medicine);
        let name = brand.map_or_else(|| name.clone(), |brand| format!("{name} {brand}"));
        let who = event.by.as_deref().unwrap_or(NOT_RECORDED);
        table = table.row(vec![
            Cell::link(&href, &name).minor(&format!("Version {}", event.version)),
            Cell::when(When::at_second(event.at, visit.zone())),
            changed(event),
            Cell::text(who),
        ]);
    }
    table
}

fn changed(event: &Event) -> Cell {
    let mut pieces = Vec::new();
    if event.gone {
        pieces.push(Piece::Tag(Tone::Warn, "Deleted or destroyed".to_owned()));
    }
    if let Some(activity) = &event.activity {
        pieces.push(Piece::Strong(activity.clone()));
    }
    for (label, before, after) in &event.changes {
        if *label == "Medicine" && before.is_empty() {
            continue;
        }
        let text = match (before.is_empty(), after.is_empty()) {
            (true, _) => format!("{label}: {after}"),
            (false, true) => format!("{label}: {before} was taken away"),
            (false, false) => format!("{label}: {after}; before: {before}"),
        };
        pieces.push(Piece::Minor(text));
    }
    if pieces.is_empty() {
        pieces.push(Piece::Text("Something that is not shown here".to_owned()));
    }
    Cell(pieces)
}
