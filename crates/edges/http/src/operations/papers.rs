//! Operations on the papers of a resident: filing an assessment or a decision.

use app::ResourceKey;
use app::medicines::people::file::{NewPaper, file};
use axum::http::StatusCode;
use axum::response::Response;
use fhir::json::Value;
use kernel::Category;
use medication::administration::PaperKind;
use serde_json::json;

use super::parameters::Parameters;
use super::record::given;
use crate::edge::{Arrival, EdgeError, logical_id, resource_type};
use crate::fhir_routes::{RECEIPT, failed, fhir, put};
use crate::routing::Route;

/// The routes.
pub(super) fn table() -> Vec<Route> {
    let filing = "/t/{tenant}/fhir/Patient/{id}/$medicines-paper";
    vec![Route::post(filing, "medicines-paper", failed, filed)]
}

async fn filed(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let key = ResourceKey {
        ty: resource_type("Patient")?,
        id: logical_id(&id)?,
    };
    let parameters = given(&mut arrival).await?;
    let paper = paper(&parameters)?;
    let (name, bundle) = file(arrival.app(), &caller, &key, &paper).await?;
    let answer = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "paper", "valueReference": { "reference": name } },
    ]});
    let mut response = fhir(StatusCode::CREATED, answer.to_string());
    if let Some(receipt) = &bundle.receipt {
        put(response.headers_mut(), RECEIPT, &receipt.to_string());
    }
    put(
        response.headers_mut(),
        axum::http::header::LOCATION,
        &format!("{}/{name}", caller.context.base),
    );
    Ok(response)
}

fn wrong(text: impl Into<String>) -> EdgeError {
    EdgeError::Address(Category::Invalid, text.into())
}

fn reference(parameters: &Parameters, name: &str) -> Result<Option<serde_json::Value>, EdgeError> {
    let value = parameters.values(name).next();
    let read = |own: Value<'_>| {
        let value: Option<serde_json::Value> = serde_json::from_slice(own.raw()).ok();
        value.filter(serde_json::Value::is_object)
    };
    value
        .map(|own| read(own).ok_or_else(|| wrong(format!("the parameter {name} is no Reference"))))
        .transpose()
}

fn paper(parameters: &Parameters) -> Result<NewPaper, EdgeError> {
    let text = |name: &str| parameters.text(name).map(std::borrow::Cow::into_owned);
    let kind = text("kind").as_deref().and_then(PaperKind::of);
    let kind = kind.ok_or_else(|| {
        let known = PaperKind::ALL.map(PaperKind::code).join(", ");
        wrong(format!(
            "the parameter kind is no paper: send one of {known}"
        ))
    })?;
    let orders = parameters.values("order").map(|own| {
        let name = own.get_str("reference").map(std::borrow::Cow::into_owned);
        name.ok_or_else(|| wrong("the parameter order is no Reference to a MedicationRequest"))
    });
    Ok(NewPaper {
        kind,
        finding: text("finding").unwrap_or_default(),
        orders: orders.collect::<Result<_, _>>()?,
        when: text("when"),
        review: text("review"),
        by: reference(parameters, "by")?,
        parties: parameters
            .texts("party")
            .map(std::borrow::Cow::into_owned)
            .collect(),
        method: text("method"),
        pharmacist: reference(parameters, "pharmacist")?,
        note: text("note"),
    })
}
