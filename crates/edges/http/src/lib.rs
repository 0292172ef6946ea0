//! The HTTP edge: FHIR REST, the ledger's addresses, the product API, probes and metrics. It translates
//! requests into use-cases and their answers into bytes; it decides nothing, holds no state but metrics,
//! and never touches a store.

pub mod body;
pub mod capability;
pub mod edge;
pub mod fhir_routes;
pub mod ledger_routes;
pub mod metrics;
pub mod negotiation;
pub mod outcome;
pub mod probes;
pub mod token_routes;

use axum::Router;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

pub use edge::{Edge, EdgeSettings};
pub use metrics::Metrics;

/// Every route of this edge.
#[must_use]
pub fn router(edge: Edge) -> Router {
    Router::new()
        .merge(fhir_routes::routes())
        .merge(ledger_routes::routes())
        .merge(token_routes::routes())
        .merge(probes::routes())
        .with_state(edge)
        .layer(CompressionLayer::new().gzip(true))
        .layer(CatchPanicLayer::new())
}
