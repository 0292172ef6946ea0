//! Operations on medicines: checking a list, prescribing, the second person's signature.

use app::medicines::check::{CheckAnswer, check};
use app::medicines::countersign::countersign;
use app::medicines::issue::{FINGERPRINT, detail, parameters, tier, title};
use app::medicines::prescribe::{End, Prescription, prescribe};
use app::record::bundle::BundleAnswer;
use app::{Caller, ResourceKey};
use axum::http::StatusCode;
use axum::response::Response;
use fhir::json::Value;
use kernel::Category;
use medication::checks::overrides::{Fingerprint, Override};
use serde_json::json;

use super::parameters::{Parameters, RESOURCE};
use super::record::given;
use crate::edge::{Arrival, EdgeError, logical_id, resource_type};
use crate::fhir_routes::{RECEIPT, failed, fhir, put};
use crate::routing::Route;

/// The routes.
pub(super) fn table() -> Vec<Route> {
    let list = "/t/{tenant}/fhir/Patient/{id}/$medication-check";
    let order = "/t/{tenant}/fhir/MedicationRequest/$prescribe";
    let sign = "/t/{tenant}/fhir/MedicationRequest/{id}/$countersign";
    vec![
        Route::get(list, "medication-check", failed, checked),
        Route::post(list, "medication-check", failed, checked),
        Route::post(order, "prescribe", failed, prescribed),
        Route::post(sign, "countersign", failed, countersigned),
    ]
}

async fn checked(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let key = ResourceKey {
        ty: resource_type("Patient")?,
        id: logical_id(&id)?,
    };
    let parameters = given(&mut arrival).await?;
    let proposed: Vec<Value<'_>> = parameters
        .resources("medication")
        .chain(parameters.resources(RESOURCE))
        .collect();
    let answer = check(arrival.app(), &caller, &key, &proposed).await?;
    let at = arrival.app().now().to_fhir_instant();
    Ok(fhir(
        StatusCode::OK,
        self::parameters(&answer, &at).to_string(),
    ))
}

async fn prescribed(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let parameters = given(&mut arrival).await?;
    let order = parameters
        .resources("order")
        .chain(parameters.resources(RESOURCE))
        .next()
        .ok_or_else(|| {
            missing("the parameter order is missing: send the MedicationRequest in it")
        })?;
    let request = Prescription {
        order,
        overrides: overrides(&parameters)?,
    };
    let done = prescribe(arrival.app(), &caller, &request).await?;
    match done.end {
        End::Held(held) => Ok(fhir(
            StatusCode::UNPROCESSABLE_ENTITY,
            outcome(&done.checked, &held).to_string(),
        )),
        End::Stored {
            order,
            waits,
            bundle,
        } => {
            let at = arrival.app().now().to_fhir_instant();
            let mut answer = self::parameters(&done.checked, &at);
            let state = if waits {
                "waits-for-second-person"
            } else {
                "prescribed"
            };
            let parts = answer.get_mut("parameter");
            if let Some(parts) = parts.and_then(serde_json::Value::as_array_mut) {
                parts.insert(0, json!({ "name": "state", "valueCode": state }));
                parts.insert(
                    0,
                    json!({ "name": "order", "valueReference": { "reference": order } }),
                );
            }
            Ok(stored(&answer, &bundle, Some((&caller, &order))))
        }
    }
}

async fn countersigned(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let key = ResourceKey {
        ty: resource_type("MedicationRequest")?,
        id: logical_id(&id)?,
    };
    given(&mut arrival).await?;
    let done = countersign(arrival.app(), &caller, &key).await?;
    let at = arrival.app().now().to_fhir_instant();
    let answer = self::parameters(&done.checked, &at);
    Ok(stored(&answer, &done.bundle, None))
}

/// The answer of an operation that stored something: its Parameters with the receipt, and the address of what
/// is new.
pub(super) fn stored(
    answer: &serde_json::Value,
    bundle: &BundleAnswer,
    new: Option<(&Caller, &str)>,
) -> Response {
    let status = if new.is_some() {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = fhir(status, answer.to_string());
    if let Some(receipt) = &bundle.receipt {
        put(response.headers_mut(), RECEIPT, &receipt.to_string());
    }
    if let Some((caller, name)) = new {
        let place = format!("{}/{name}", caller.context.base);
        put(response.headers_mut(), axum::http::header::LOCATION, &place);
    }
    response
}

fn missing(text: &str) -> EdgeError {
    EdgeError::Address(Category::Invalid, text.to_owned())
}

/// The parameters `override`: `fingerprint`, `reason`, `text`.
fn overrides(parameters: &Parameters) -> Result<Vec<Override>, EdgeError> {
    let given = parameters.parts().filter(|(name, _)| name == "override");
    given.map(|(_, part)| one(part)).collect()
}

fn one(part: Value<'_>) -> Result<Override, EdgeError> {
    let text = |name: &str| {
        let parts = part.get("part").into_iter().flat_map(Value::items);
        parts
            .filter(|one| one.get_str("name").as_deref() == Some(name))
            .find_map(|one| {
                let value = one.members().find(|(key, _)| key.starts_with("value"))?.1;
                value.as_str().map(std::borrow::Cow::into_owned)
            })
    };
    let (Some(fingerprint), Some(reason)) = (text("fingerprint"), text("reason")) else {
        return Err(missing(
            "an override has no fingerprint or no reason: send both",
        ));
    };
    let reason = serde_json::from_value(reason.clone().into()).map_err(|_| {
        missing(&format!(
            "{reason:?} is no reason of the list: see the reference of $prescribe"
        ))
    })?;
    Ok(Override {
        fingerprint: Fingerprint(fingerprint),
        reason,
        text: text("text"),
        by: String::new(),
        second: None,
    })
}

/// What keeps an order, as an OperationOutcome: one issue for each alert that wants an answer.
fn outcome(answer: &CheckAnswer, held: &[(usize, String)]) -> serde_json::Value {
    let issues: Vec<serde_json::Value> = held
        .iter()
        .filter_map(|(at, why)| {
            let shown = answer.alerts.get(*at)?;
            Some(json!({
                "severity": "error", "code": "business-rule",
                "details": {
                    "coding": [{ "system": FINGERPRINT, "code": shown.fingerprint.0 }],
                    "text": title(answer, shown),
                },
                "diagnostics": format!(
                    "the order was not stored. {}: {} To go on: {why}",
                    tier(shown.alert.tier),
                    detail(answer, shown),
                ),
            }))
        })
        .collect();
    json!({ "resourceType": "OperationOutcome", "issue": issues })
}
