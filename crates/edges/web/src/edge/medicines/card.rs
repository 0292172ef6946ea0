//! The card that a patient carries: what, what for, how and when, in plain words, on A4 or A6. Must not show
//! as taken what is held, not signed or stopped.

use app::AppError;
use app::medicines::listing::{Listing, list};
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use fhir::json::Value;
use medication::dosage::{Dosage, regimen};

use super::order::{Ordered, line};
use crate::clinical::code::concepts;
use crate::clinical::medication::Standing;
use crate::clinical::{AllergyStatus, When};
use crate::edge::summary::{allergies, banner_of, key, patient, patient_id};
use crate::edge::visit::Visit;
use crate::edge::{Web, answer, named};
use crate::pages::medicines::paper::{CardItem, CardPage};

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/patients/{id}/medicines/card", get(page))
}

async fn page(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = show(&visit, named(&params, "id")).await;
    visit.answer(result)
}

/// Allergies in one sentence.
pub(super) fn allergy_words(status: Option<&AllergyStatus>) -> String {
    match status {
        Some(AllergyStatus::Known {
            allergies,
            contradicted,
            more,
        }) => {
            let names = allergies.iter().map(|own| {
                let unsure = if own.unconfirmed {
                    " (unconfirmed)"
                } else {
                    ""
                };
                format!("{}{unsure}", own.agent)
            });
            let names: Vec<String> = names.collect();
            let more = if *more { " and more" } else { "" };
            let other = if *contradicted {
                "; the record also says that there are none"
            } else {
                ""
            };
            format!("Known allergies: {}{more}{other}", names.join(", "))
        }
        Some(other) => other.title().to_owned(),
        None => "Allergies not shown to your role".to_owned(),
    }
}

/// The dosage in words; what cannot be read is said.
pub(super) fn dosage(value: Value<'_>) -> String {
    let list = ["dosageInstruction", "dosage"]
        .iter()
        .find_map(|member| value.get(member));
    let list = list.into_iter().flat_map(Value::items);
    let read: Result<Vec<Dosage>, _> = list.map(Dosage::read).collect();
    match read {
        Ok(dosages) if !dosages.is_empty() => {
            let words = regimen(&dosages);
            if words.unsaid.is_empty() {
                words.text
            } else {
                format!("{} Not said: {}.", words.text, words.unsaid.join(", "))
            }
        }
        Ok(_) => "Not recorded: ask".to_owned(),
        Err(_) => "Cannot be read: ask".to_owned(),
    }
}

fn item(visit: &Visit, own: &Listing) -> Option<(Standing, CardItem)> {
    let value = own.document.root();
    let ordered = Ordered::of(value, visit.zone(), visit.app().now());
    let line = line(value, visit.zone(), String::new(), &ordered)?;
    let brand = line.brand.map(|brand| format!(" {brand}"));
    let strength = line.strength.map(|own| format!(" {own}"));
    let form = line.form.map(|own| format!(" {own}"));
    let what = [Some(line.generic), brand, strength, form];
    let why: Vec<String> = concepts(value, "reasonCode");
    let mut note = Vec::new();
    if let Some((from, to, why)) = &ordered.pause {
        let to = to.as_deref().map(|to| format!(" until {to}"));
        note.push(format!(
            "Held since {from}{}: {why}",
            to.unwrap_or_default()
        ));
    }
    if let Some((_, when)) = &ordered.review {
        note.push(format!("To be reviewed by {}", when.text));
    }
    let card = CardItem {
        what: what.into_iter().flatten().collect(),
        why: if why.is_empty() {
            "Not recorded: ask".to_owned()
        } else {
            why.join(", ")
        },
        how: dosage(value),
        note: note.join(". "),
    };
    Some((line.standing, card))
}

async fn show(visit: &Visit, id: &str) -> Result<Response, AppError> {
    let id = patient_id(id)?;
    let caller = visit.about(&id);
    let document = patient(visit, &caller, &id).await?;
    let listed = list(visit.app(), &caller, &key(visit, "Patient", id.as_str())?).await?;
    let (mut items, mut held) = (Vec::new(), Vec::new());
    for (standing, own) in listed.medicines.iter().filter_map(|own| item(visit, own)) {
        match standing {
            Standing::Current | Standing::Unknown => items.push(own),
            Standing::Paused => held.push(own),
            Standing::Draft | Standing::Past => {}
        }
    }
    items.sort_by(|a, b| a.what.cmp(&b.what));
    held.sort_by(|a, b| a.what.cmp(&b.what));
    let base = visit.href(&format!("/patients/{id}"));
    let small = visit.query.text("size") == "a6";
    let other = if small {
        (format!("{base}/medicines/card"), "For A4 paper".to_owned())
    } else {
        (
            format!("{base}/medicines/card?size=a6"),
            "For A6 paper".to_owned(),
        )
    };
    let status = allergies(visit, &caller, id.as_str()).await;
    let page = CardPage {
        shell: visit.shell_about("Medicines card", &id),
        banner: banner_of(visit, &caller, &document).await,
        patient: base.clone(),
        back: (
            format!("{base}/medicines"),
            "Back to the medicines".to_owned(),
        ),
        links: vec![other],
        small,
        allergies: allergy_words(status.as_ref()),
        items,
        held,
        made: When::at(visit.app().now(), visit.zone()).text,
    };
    Ok(answer::page(StatusCode::OK, &page))
}
