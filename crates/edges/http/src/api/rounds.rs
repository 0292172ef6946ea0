//! Medication rounds: the round as of now, taking it along, bringing it back, effects, handing over.

use app::medicines::rounds::{self as use_case, NewEffect, RoundRequest, Taking};
use axum::response::Response;
use kernel::Timestamp;
use medication::rounds::Return;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ProblemResponses, created, failed, input, json_answer, malformed, takes_json};
use crate::edge::{Arrival, EdgeError, logical_id, resource_type};
use crate::fhir_routes::query;
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    vec![
        Route::get("/t/{tenant}/api/v1/rounds/now", "round", failed, now),
        Route::post("/t/{tenant}/api/v1/rounds", "round-take", failed, take),
        Route::post(
            "/t/{tenant}/api/v1/rounds/{id}/return",
            "round-return",
            failed,
            bring_back,
        ),
        Route::get(
            "/t/{tenant}/api/v1/rounds/effects",
            "effects-due",
            failed,
            effects,
        ),
        Route::post(
            "/t/{tenant}/api/v1/rounds/effects/{id}",
            "effect-record",
            failed,
            effect,
        ),
        Route::get(
            "/t/{tenant}/api/v1/rounds/handover",
            "handover",
            failed,
            handover,
        ),
    ]
}

/// A round; its members are described in the reference of rounds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct RoundAnswer(serde_json::Value);

fn told(value: &impl Serialize) -> Result<RoundAnswer, EdgeError> {
    serde_json::to_value(value)
        .map(RoundAnswer)
        .map_err(|error| EdgeError::App(app::AppError::Fault(error.to_string())))
}

/// The parameters of a request: those that are known here, each once.
struct Asked(Vec<(String, String)>);

impl Asked {
    fn of(arrival: &Arrival, known: &[&str]) -> Result<Self, EdgeError> {
        let pairs = query(arrival.raw_query())?;
        for (place, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(malformed(format!("{name} is no parameter here")));
            }
            if pairs.iter().skip(place + 1).any(|(other, _)| other == name) {
                return Err(malformed(format!("{name} is there twice: send it once")));
            }
        }
        Ok(Self(pairs))
    }

    fn text(&self, name: &str) -> Option<String> {
        let own = self.0.iter().find(|(known, _)| known == name);
        own.map(|(_, own)| own.clone())
            .filter(|own| !own.is_empty())
    }

    fn organization(&self) -> Result<Option<kernel::LogicalId>, EdgeError> {
        let own = self.text("organization");
        own.as_deref().map(logical_id).transpose()
    }
}

fn request(arrival: &Arrival, known: &[&str]) -> Result<RoundRequest, EdgeError> {
    let asked = Asked::of(arrival, known)?;
    let ahead = asked.text("ahead").map(|own| {
        own.parse::<i64>()
            .map_err(|_| malformed("ahead is no number of minutes: correct it"))
    });
    Ok(RoundRequest {
        organization: asked.organization()?,
        location: asked.text("location"),
        ahead: ahead.transpose()?.unwrap_or(60),
    })
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/rounds/now", tag = "rounds",
    params(("tenant" = String, Path),
        ("organization" = Option<String>, Query, description = "the Organization of a branch"),
        ("location" = Option<String>, Query, description = "a place of it"),
        ("ahead" = Option<i64>, Query, description = "minutes in which doses count as soon, 0 to 1440; 60")),
    responses((status = 200, description = "the patients, as one walks", body = RoundAnswer), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn now(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let asked = request(&arrival, &["organization", "location", "ahead"])?;
    let found = use_case::round(arrival.app(), &caller, &asked).await?;
    json_answer(&told(&found)?)
}

/// A round to be taken along.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TakeInput {
    /// The UUID that the device gave itself.
    device: String,
    /// For how many hours, 1 to 12.
    hours: i64,
    /// What the device's clock says, an instant.
    clock: String,
    /// The Organization of a branch; everybody whom the caller reaches where it is left out.
    organization: Option<String>,
    /// A place of it.
    location: Option<String>,
}

fn clock(text: &str) -> Result<Timestamp, EdgeError> {
    Timestamp::from_rfc3339(text)
        .ok_or_else(|| malformed("clock is no instant: send one with an offset"))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/rounds", tag = "rounds",
    params(("tenant" = String, Path)), request_body = TakeInput,
    responses((status = 201, description = "the signed round", body = RoundAnswer), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn take(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: TakeInput = input(&mut arrival).await?;
    let device = wanted.device.parse();
    let taking = Taking {
        round: RoundRequest {
            organization: wanted.organization.as_deref().map(logical_id).transpose()?,
            location: wanted.location,
            ahead: 0,
        },
        device: device.map_err(|_| malformed("device is no id: send a UUID"))?,
        hours: wanted.hours,
        clock: clock(&wanted.clock)?,
    };
    let taken = use_case::take(arrival.app(), &caller, &taking).await?;
    created(&told(&taken)?)
}

/// A round that comes back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReturnInput {
    /// The signature that the round was taken with.
    signature: String,
    /// What the device brings: clocks, records and effects.
    #[serde(rename = "return")]
    #[schema(value_type = Object)]
    back: serde_json::Value,
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/rounds/{id}/return", tag = "rounds",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = ReturnInput,
    responses((status = 200, description = "what became of every record", body = RoundAnswer), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn bring_back(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: ReturnInput = input(&mut arrival).await?;
    let back: Return = serde_json::from_value(wanted.back)
        .map_err(|error| malformed(format!("return cannot be read: {error}")))?;
    if back.pack.as_str() != id {
        return Err(malformed("return is of another round than the address"));
    }
    let done = use_case::bring_back(arrival.app(), &caller, &back, &wanted.signature).await?;
    json_answer(&told(&done)?)
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/rounds/effects", tag = "rounds",
    params(("tenant" = String, Path), ("organization" = Option<String>, Query)),
    responses((status = 200, description = "doses whose effect is to be asked for", body = RoundAnswer), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn effects(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let asked = request(&arrival, &["organization"])?;
    let found = use_case::effects_due(arrival.app(), &caller, &asked).await?;
    let list: Vec<serde_json::Value> = found
        .iter()
        .map(|(patient, due)| serde_json::json!({ "patient": patient, "dose": due }))
        .collect();
    json_answer(&told(&list)?)
}

/// What came of asking for an effect.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EffectInput {
    /// `helped`, `partly`, `not-at-all`, `worse` or `not-known`.
    effect: String,
    /// In words.
    note: Option<String>,
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/rounds/effects/{id}", tag = "rounds",
    params(("tenant" = String, Path), ("id" = String, Path, description = "the MedicationAdministration")),
    request_body = EffectInput,
    responses((status = 201, description = "the Observation", body = RoundAnswer), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn effect(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: EffectInput = input(&mut arrival).await?;
    let effect = use_case::effect(&wanted.effect).ok_or_else(|| {
        malformed("effect is none of helped, partly, not-at-all, worse, not-known: send one")
    })?;
    let key = app::ResourceKey {
        ty: resource_type("MedicationAdministration")?,
        id: logical_id(&id)?,
    };
    let new = NewEffect {
        effect,
        note: wanted.note,
        at: None,
    };
    let name = use_case::record_effect(arrival.app(), &caller, &key, &new).await?;
    created(&told(&serde_json::json!({ "observation": name }))?)
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/rounds/handover", tag = "rounds",
    params(("tenant" = String, Path), ("organization" = Option<String>, Query),
        ("from" = Option<String>, Query, description = "the beginning of the shift; 12 hours ago"),
        ("to" = Option<String>, Query, description = "its end; now")),
    responses((status = 200, description = "what is handed over, by patient", body = RoundAnswer), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn handover(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let asked = Asked::of(&arrival, &["organization", "from", "to"])?;
    let at = |name: &str| {
        let own = asked.text(name);
        own.map(|own| {
            Timestamp::from_rfc3339(&own)
                .ok_or_else(|| malformed(format!("{name} is no instant: send one with an offset")))
        })
        .transpose()
    };
    let to = at("to")?.unwrap_or(arrival.app().now());
    let from = at("from")?.unwrap_or(to.plus_seconds(-12 * 3600));
    let organization = asked.organization()?;
    let span = (from, to);
    let found = use_case::handover(arrival.app(), &caller, organization.as_ref(), span).await?;
    json_answer(&told(&found)?)
}
