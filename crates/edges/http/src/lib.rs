//! The HTTP edge: FHIR REST, the ledger's addresses, the product API, probes and metrics. It translates
//! requests into use-cases and their answers into bytes; it decides nothing, holds no state but metrics,
//! and never touches a store.

pub mod api;
pub mod body;
pub mod capability;
pub mod cds_hooks;
pub mod edge;
pub mod fhir_routes;
pub mod ledger_routes;
pub mod metrics;
pub mod negotiation;
pub mod operations;
pub mod outcome;
pub mod probes;
pub mod routing;
pub mod token_routes;
mod xml;

use axum::Router;
use tower_http::compression::CompressionLayer;

pub use edge::{Edge, EdgeSettings};
pub use metrics::Metrics;
pub use routing::Route;

/// Every route of this edge.
#[must_use]
pub fn table() -> Vec<Route> {
    [fhir_routes::table(), operations::table(), house()].concat()
}

fn house() -> Vec<Route> {
    [
        ledger_routes::table(),
        token_routes::table(),
        cds_hooks::table(),
        api::table(),
        probes::table(),
    ]
    .concat()
}

/// The router of every route.
pub fn router(edge: Edge) -> Router {
    let fhir = routing::router(
        [operations::table(), fhir_routes::table()].concat(),
        &fhir_routes::UNKNOWN,
        fhir_routes::failed,
    );
    let unknown = [&api::UNKNOWN[..], &cds_hooks::UNKNOWN].concat();
    let house = routing::router(house(), &unknown, api::failed);
    fhir.merge(house)
        .with_state(edge)
        .layer(CompressionLayer::new().gzip(true))
}
