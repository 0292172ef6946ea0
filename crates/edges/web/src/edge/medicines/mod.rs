//! Pages of medicines: prescribing, the chart, rounds, stock, the register, orders. Each file has its own
//! routes, merged here. Must not decide: a page shows what a use-case of `app::medicines` gave.

mod alerts;
mod builder;
mod card;
mod choices;
mod history;
mod home;
mod list;
mod order;
mod orders;
mod papers;
mod prescribe;
mod register;
mod sheet;
mod shown;
mod step;
mod stock;

use axum::Router;

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
        .merge(stock::routes())
        .merge(register::routes())
}
