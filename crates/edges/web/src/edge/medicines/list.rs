//! The medicines of a patient: every order with its line, who prescribed it, review, last dose, alerts and
//! what can be done. Must not show a list as checked where the checks left something out.

use app::medicines::listing::{DOSE_DAYS, Listed, Listing, list};
use app::{AppError, Caller};
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use identity::{Class, Interaction};

use super::order::{Ordered, line};
use super::shown::{checks, tier, tone};
use crate::clinical::code::text;
use crate::clinical::medication::Standing;
use crate::clinical::{AllergyStatus, NOT_RECORDED, When, Zone};
use crate::components::Tone;
use crate::edge::summary::{allergies, banner_of, key, patient, patient_id};
use crate::edge::visit::Visit;
use crate::edge::{Web, answer, named, names};
use crate::pages::medicines::{Item, ListPage};

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/patients/{id}/medicines", get(page))
}

async fn page(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = show(&visit, named(&params, "id")).await;
    visit.answer(result)
}

/// Pages that go with the list: address below it, words.
const LINKS: &[(&str, &str)] = &[
    ("today", "Today's doses"),
    ("chart", "Chart of 28 days"),
    ("card", "Medicines card"),
    ("print", "Chart to print"),
    ("history", "History of every medicine"),
];

async fn show(visit: &Visit, id: &str) -> Result<Response, AppError> {
    let id = patient_id(id)?;
    let caller = visit.about(&id);
    let document = patient(visit, &caller, &id).await?;
    let listed = list(visit.app(), &caller, &key(visit, "Patient", id.as_str())?).await?;
    let may = visit.may(Interaction::Create, Class::Prescriptions);
    let base = visit.href(&format!("/patients/{id}"));
    let links = LINKS
        .iter()
        .map(|(below, words)| (format!("{base}/medicines/{below}"), (*words).to_owned()));
    let mut links: Vec<(String, String)> = links.collect();
    if visit.may(Interaction::Create, Class::MedicinesGiven) {
        let round = visit.href(&format!("/medicines/round/{id}"));
        links.insert(0, (round, "Give medicines".to_owned()));
    }
    if visit.may(Interaction::Search, Class::Consent) {
        links.push((format!("{base}/medicines/papers"), "Papers".to_owned()));
    }
    let allergies = allergies(visit, &caller, id.as_str()).await;
    let page = ListPage {
        shell: visit.shell_about("Medicines", &id),
        banner: banner_of(visit, &caller, &document).await,
        patient: base.clone(),
        links,
        prescribe: may.then(|| format!("{base}/medicines/new")),
        allergies: allergies.unwrap_or(AllergyStatus::Unavailable),
        allergies_href: visit.href(&format!("/records/AllergyIntolerance?patient={id}")),
        checks: checks(visit, &listed.checked, &listed.overrides),
        items: items(visit, &caller, &listed, (&base, may)).await,
        unread: listed
            .unread
            .iter()
            .map(|(name, why)| answer::sentence(&format!("{name}: {why}")))
            .collect(),
        dose_days: DOSE_DAYS,
    };
    Ok(answer::page(StatusCode::OK, &page))
}

/// The medicines with the names of the prescribers, by name within their standing.
async fn items(
    visit: &Visit,
    caller: &Caller,
    listed: &Listed,
    (base, may): (&str, bool),
) -> Vec<Item> {
    let (zone, now) = (visit.zone(), visit.app().now());
    let owns: Vec<Ordered> = listed
        .medicines
        .iter()
        .map(|own| Ordered::of(own.document.root(), zone, now))
        .collect();
    let mut by: Vec<String> = owns.iter().map(|own| own.by.clone()).collect();
    names::of_texts(visit, caller, by.iter_mut().collect()).await;
    let mut items: Vec<Item> = listed
        .medicines
        .iter()
        .zip(owns.iter().zip(by))
        .filter_map(|(listing, (own, by))| {
            let href = visit.href(&format!("/records/{}", listing.name));
            let line = line(listing.document.root(), zone, href, own)?;
            let mut item = Item {
                id: listing.name.replace('/', "-"),
                facts: facts(listed, listing, (own, &by), zone),
                tags: tags(own, zone.date_at(now)),
                alerts: alerts(listed, listing),
                steps: Vec::new(),
                line,
            };
            if may && let Some(id) = listing.name.strip_prefix("MedicationRequest/") {
                item.steps = steps(&item, base, id);
            }
            Some(item)
        })
        .collect();
    items.sort_by(|a, b| {
        let key = |item: &Item| (item.line.standing, item.line.generic.clone());
        key(a).cmp(&key(b))
    });
    items
}

fn facts(
    listed: &Listed,
    listing: &Listing,
    (own, by): (&Ordered, &str),
    zone: &Zone,
) -> Vec<(String, String)> {
    let mut facts = vec![("Prescribed by".to_owned(), by.to_owned())];
    let review = own.review.as_ref().map(|(_, when)| when.text.clone());
    facts.push((
        "Review".to_owned(),
        review.unwrap_or_else(|| NOT_RECORDED.to_owned()),
    ));
    if let Some(id) = listing.name.strip_prefix("MedicationRequest/") {
        let last = listed.last.get(id).map(|last| {
            let dose = last.dose.as_deref().map(|dose| format!(", {dose}"));
            let dose = dose.unwrap_or_default();
            format!("{}{dose}", When::at(last.at, zone).text)
        });
        let none = || format!("None recorded in {DOSE_DAYS} days");
        facts.push(("Last dose".to_owned(), last.unwrap_or_else(none)));
    } else {
        facts.push((
            "Source".to_owned(),
            "Stated, not ordered here: no doses are recorded against it".to_owned(),
        ));
    }
    if let Some((from, to, why)) = &own.pause {
        let to = to.as_deref().map_or_else(
            || "until somebody resumes it".to_owned(),
            |to| format!("until {to}"),
        );
        facts.push(("Held".to_owned(), format!("From {from} {to}: {why}")));
    }
    if text(listing.document.root(), "status").as_deref() == Some("draft") {
        let waits = "A second person must sign before it is given";
        facts.push(("Waits".to_owned(), waits.to_owned()));
    }
    facts
}

fn tags(own: &Ordered, today: jiff::civil::Date) -> Vec<(Tone, String)> {
    let overdue = own.overdue(today);
    let tag = (Tone::Warn, "Review is overdue".to_owned());
    overdue.then_some(tag).into_iter().collect()
}

/// The alerts that concern a medicine of the list.
fn alerts(listed: &Listed, listing: &Listing) -> Vec<(String, Tone, String)> {
    let medicines = &listed.checked.medicines;
    let place = medicines
        .iter()
        .position(|own| own.reference.as_deref() == Some(listing.name.as_str()));
    let Some(place) = place else {
        return Vec::new();
    };
    let own = listed.checked.alerts.iter().enumerate();
    own.filter(|(_, shown)| shown.alert.medicines.contains(&place))
        .map(|(number, shown)| {
            let others = shown.alert.medicines.iter().filter(|at| **at != place);
            let others: Vec<&str> = others
                .filter_map(|at| Some(medicines.get(*at)?.medicine.name.as_str()))
                .collect();
            let with = if others.is_empty() {
                String::new()
            } else {
                format!(" with {}", others.join(", "))
            };
            let words = format!("{}{with}", tier(shown.alert.tier));
            (format!("alert-{number}"), tone(shown.alert.tier), words)
        })
        .collect()
}

fn steps(item: &Item, base: &str, id: &str) -> Vec<(String, String)> {
    let known: &[(&str, &str)] = match item.line.standing {
        Standing::Draft => &[("countersign", "Look and sign"), ("stop", "Withdraw")],
        Standing::Current | Standing::Unknown => &[
            ("hold", "Hold"),
            ("stop", "Stop"),
            ("renew", "Renew"),
            ("change", "Change"),
        ],
        Standing::Paused => &[("resume", "Resume"), ("stop", "Stop")],
        Standing::Past => &[("renew", "Prescribe again")],
    };
    known
        .iter()
        .map(|(step, words)| {
            // A change is another order in the place of this one.
            let below = if *step == "change" {
                format!("new?replaces={id}")
            } else {
                format!("{id}/{step}")
            };
            (format!("{base}/medicines/{below}"), (*words).to_owned())
        })
        .collect()
}
