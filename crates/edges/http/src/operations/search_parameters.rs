//! How a tenant's own search parameters stand, and the order to make index entries anew.

use app::search_parameters::status::{self, Status};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::parameters::Parameters;
use crate::edge::{Arrival, EdgeError, resource_type};
use crate::fhir_routes::{failed, fhir};
use crate::routing::Route;

/// Names of types are short.
const LIMIT: usize = 64 << 10;

/// The routes.
#[must_use]
pub fn table() -> Vec<Route> {
    vec![
        Route::get(
            "/t/{tenant}/fhir/SearchParameter/$status",
            "search-parameter-status",
            failed,
            show,
        ),
        Route::post("/t/{tenant}/fhir/$reindex", "reindex", failed, reindex),
    ]
}

async fn show(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let found = status::status(arrival.app(), &caller).await?;
    Ok(fhir(StatusCode::OK, parameters(&found).to_string()))
}

/// `$reindex` with one `type` per resource type.
async fn reindex(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let given = Parameters::read(&mut arrival, LIMIT).await?;
    let types = given
        .texts("type")
        .map(|name| resource_type(&name))
        .collect::<Result<Vec<_>, _>>()?;
    status::reindex(arrival.app(), &caller, &types).await?;
    let found = status::status(arrival.app(), &caller).await?;
    Ok(fhir(StatusCode::ACCEPTED, parameters(&found).to_string()))
}

fn parameters(status: &Status) -> Value {
    let mut parts: Vec<Value> = vec![json!({ "name": "whole", "valueBoolean": status.whole })];
    for one in &status.parameters {
        let mut part = vec![
            json!({ "name": "url", "valueUri": one.url }),
            json!({ "name": "code", "valueCode": one.code }),
            json!({ "name": "base", "valueCode": one.base }),
            json!({ "name": "state", "valueCode": one.state }),
        ];
        if let Some(reason) = &one.reason {
            part.push(json!({ "name": "reason", "valueString": reason }));
        }
        parts.push(json!({ "name": "parameter", "part": part }));
    }
    for pass in &status.passes {
        parts.push(json!({ "name": "pass", "part": [
            { "name": "base", "valueCode": pass.base },
            { "name": "done", "valueDecimal": pass.done },
            { "name": "of", "valueDecimal": pass.of },
            { "name": "failed", "valueDecimal": pass.failed },
        ] }));
    }
    json!({ "resourceType": "Parameters", "parameter": parts })
}
