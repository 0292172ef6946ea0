//! FHIR operations (`$name`), one file per family. Each route reads its parameters, calls one use-case and
//! writes the answer; nothing is decided here.

pub(crate) mod batch;
pub mod bulk;
mod doses;
mod graphql;
mod import_manifest;
mod medicines;
mod papers;
pub mod parameters;
mod patients;
mod record;
pub mod search_parameters;
mod subscriptions;
mod terminology;
mod validate;
mod views;
mod websocket;

use crate::routing::Route;

/// The routes of every operation below `/t/{tenant}/fhir`.
#[must_use]
pub fn table() -> Vec<Route> {
    let families = [
        bulk::table(),
        doses::table(),
        graphql::table(),
        medicines::table(),
        papers::table(),
        patients::table(),
        record::table(),
        subscriptions::table(),
        terminology::table(),
        validate::table(),
        views::table(),
        websocket::table(),
        search_parameters::table(),
    ];
    families.concat()
}
