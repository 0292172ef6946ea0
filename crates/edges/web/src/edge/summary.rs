//! The patient summary. Each part is its own search, so that one that fails or is refused leaves the
//! others standing. Must not show a part that failed as empty.

use app::record::read;
use app::{AppError, Caller, ResourceKey};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use fhir::json::Document;
use identity::Interaction;
use kernel::LogicalId;

use super::answer;
use super::found::{Matches, find, parse, part};
use super::names;
use super::visit::Visit;
use crate::chart::Trend;
use crate::clinical::events::{self, Event};
use crate::clinical::observation::{ResultLine, observations};
use crate::clinical::{AllergyStatus, Banner, MedicationLine, Zone};
use crate::pages::summary::{Part, SummaryPage};

/// What an address names as a patient's id; a malformed one is as missing as any other.
pub fn patient_id(text: &str) -> Result<LogicalId, AppError> {
    text.parse().map_err(|_| AppError::NotFound {
        what: "patient".to_owned(),
    })
}

/// The key of a resource in an address.
pub fn key(visit: &Visit, type_name: &str, id: &str) -> Result<ResourceKey, AppError> {
    let missing = || AppError::NotFound {
        what: "resource".to_owned(),
    };
    let ty = visit
        .app()
        .definitions()
        .resource(type_name)
        .ok_or_else(missing)?;
    Ok(ResourceKey {
        ty,
        id: id.parse().map_err(|_| missing())?,
    })
}

/// A patient, as somebody on a page about this patient may see it.
pub async fn patient(visit: &Visit, caller: &Caller, id: &LogicalId) -> Result<Document, AppError> {
    let version = read::read(visit.app(), caller, &key(visit, "Patient", id.as_str())?).await?;
    parse(&version)?.ok_or_else(|| AppError::NotFound {
        what: "patient".to_owned(),
    })
}

/// The banner of a patient, where the person may see it.
pub async fn banner(visit: &Visit, id: &LogicalId) -> Option<Banner> {
    let caller = visit.about(id);
    let document = patient(visit, &caller, id).await.ok()?;
    Some(banner_of(visit, &caller, &document).await)
}

/// The banner of a patient that was read.
pub async fn banner_of(visit: &Visit, caller: &Caller, document: &Document) -> Banner {
    let mut banner = Banner::of(document.root(), visit.app().now(), visit.zone());
    names::of_banners(visit, caller, vec![&mut banner]).await;
    banner
}

/// The page.
pub async fn page(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let id = super::last(&params);
    let result = show(&visit, id).await;
    visit.answer(result)
}

type ToEvent = fn(fhir::json::Value<'_>, &Zone, String) -> Option<Event>;

async fn event_part(
    visit: &Visit,
    caller: &Caller,
    (type_name, id): (&str, &str),
    sort: Option<&str>,
    to_event: ToEvent,
) -> Part<Vec<Event>> {
    let mut params = vec![("patient", id), ("_count", "100")];
    params.extend(sort.map(|sort| ("_sort", sort)));
    let found = find(visit, caller, type_name, &params).await;
    part(found, |matches| {
        let values = matches.values(visit, type_name);
        let mut events: Vec<Event> = values
            .into_iter()
            .filter_map(|(value, href)| to_event(value, visit.zone(), href))
            .collect();
        events.sort_by_key(|event| (!event.current, core::cmp::Reverse(event.order)));
        events
    })
}

/// The allergies of a patient; `None` where the role does not show them.
pub async fn allergies(visit: &Visit, caller: &Caller, id: &str) -> Option<AllergyStatus> {
    let zone = visit.zone();
    match find(
        visit,
        caller,
        "AllergyIntolerance",
        &[("patient", id), ("_count", "200")],
    )
    .await
    {
        Ok(matches) => {
            let values = matches.values(visit, "AllergyIntolerance");
            Some(AllergyStatus::of(
                Some(&values),
                matches.next.is_some(),
                zone,
            ))
        }
        Err(AppError::Denied { .. }) => None,
        Err(error) => {
            tracing::error!(%error, "allergies could not be read");
            Some(AllergyStatus::Unavailable)
        }
    }
}

fn medicines(visit: &Visit, requests: &Matches) -> Vec<MedicationLine> {
    let zone = visit.zone();
    let values = requests.values(visit, "MedicationRequest");
    let mut lines: Vec<MedicationLine> = values
        .into_iter()
        .filter_map(|(value, href)| MedicationLine::of(value, zone, href))
        .collect();
    lines.sort_by(|a, b| {
        a.standing
            .cmp(&b.standing)
            .then_with(|| a.generic.cmp(&b.generic))
    });
    lines
}

/// Plots, latest results, and how many observations were entered in error.
type Measured = (Part<Vec<Trend>>, Part<Vec<ResultLine>>, usize);

async fn measured(visit: &Visit, caller: &Caller, id: &str) -> Measured {
    let params = [("patient", id), ("_count", "500"), ("_sort", "-date")];
    let found = find(visit, caller, "Observation", &params).await;
    let mut in_error = 0;
    let both = part(found, |matches| {
        let shown = observations(&matches.values(visit, "Observation"), visit.zone());
        in_error = shown.in_error;
        let trend = |(index, series)| Trend::of(format!("trend-{index}"), series);
        let trends = shown.series.into_iter().enumerate().filter_map(trend);
        (trends.collect(), shown.latest)
    });
    let (trends, results) = both.split();
    (trends, results, in_error)
}

async fn show(visit: &Visit, id: &str) -> Result<Response, AppError> {
    let id = patient_id(id)?;
    let caller = visit.about(&id);
    let document = patient(visit, &caller, &id).await?;
    let text = id.as_str();
    let mut encounters = event_part(
        visit,
        &caller,
        ("Encounter", text),
        Some("-date"),
        events::encounter,
    )
    .await;
    if let Part::Read { items, .. } = &mut encounters {
        names::of_events(visit, &caller, items).await;
    }
    let (trends, results, in_error) = measured(visit, &caller, text).await;
    let params = [("patient", text), ("_count", "200")];
    let requests = find(visit, &caller, "MedicationRequest", &params).await;
    let newest = Some("-date");
    let conditions = event_part(visit, &caller, ("Condition", text), None, events::condition);
    let vaccines = ("Immunization", text);
    let immunisations = event_part(visit, &caller, vaccines, newest, events::immunisation);
    let visits = ("Appointment", text);
    let appointments = event_part(visit, &caller, visits, newest, events::appointment);
    let page = SummaryPage {
        shell: visit.shell_about("Summary", &id),
        banner: banner_of(visit, &caller, &document).await,
        base: visit.href(&format!("/patients/{id}")),
        allergies: allergies(visit, &caller, text).await,
        allergies_href: visit.href(&format!("/records/AllergyIntolerance?patient={id}")),
        conditions: conditions.await,
        medicines: part(requests, |matches| medicines(visit, matches)),
        trends,
        results,
        encounters,
        immunisations: immunisations.await,
        appointments: appointments.await,
        in_error,
        may_audit: visit.offers(Interaction::ViewAudit),
    };
    Ok(answer::page(StatusCode::OK, &page))
}
