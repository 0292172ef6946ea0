//! Pages of medicines: prescribing, the chart, rounds, stock, the register, orders. Each file has its own
//! routes, merged here. Must not decide: a page shows what a use-case of `app::medicines` gave.

mod alerts;
mod automatic;
mod builder;
mod card;
mod choices;
mod device;
mod drafting;
mod handover;
mod history;
mod home;
mod keeping;
mod list;
mod mar;
mod order;
mod orders;
mod papers;
mod prescribe;
mod register;
mod round;
mod sheet;
mod shown;
mod step;
mod stock;

use axum::Router;
use axum::routing::{get, post};

use super::Web;

/// The routes below `/t/{tenant}`.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .merge(home::routes())
        .merge(alerts::routes())
        .merge(card::routes())
        .merge(sheet::routes())
        .merge(list::routes())
        .merge(papers::routes())
        .merge(history::routes())
        .merge(prescribe::routes())
        .merge(step::routes())
        .merge(orders::routes())
        .merge(automatic::routes())
        .merge(drafting::routes())
        .merge(stock::routes())
        .merge(keeping::routes())
        .merge(register::routes())
        .merge(rounds())
}

/// Rounds and the chart.
fn rounds() -> Router<Web> {
    Router::new()
        .route("/medicines/round", get(round::page))
        .route("/medicines/round/device", get(device::page))
        .route("/medicines/round/device/worker.js", get(device::worker))
        .route("/medicines/round/device/state", get(device::state))
        .route("/medicines/round/device/take", post(device::taken))
        .route("/medicines/round/device/return", post(device::returned))
        .route(
            "/medicines/round/{id}",
            get(round::stop).post(round::record),
        )
        .route("/medicines/handover", get(handover::page))
        .route("/patients/{id}/medicines/chart", get(mar::page))
}
