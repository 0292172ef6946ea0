//! Pages of medicines: prescribing, the chart, rounds, stock, the register, orders. Each file has its own
//! routes, merged here. Must not decide: a page shows what a use-case of `app::medicines` gave.

mod orders;

use axum::Router;

use super::Web;

/// The routes below `/t/{tenant}`.
pub(super) fn routes() -> Router<Web> {
    Router::new().merge(orders::routes())
}
