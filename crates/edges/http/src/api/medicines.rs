//! What a scanner read from a pack, resolved: for pages and devices. Names no patient unless an order is
//! named.

use app::ResourceKey;
use app::medicines::scan::{self, Scan};
use axum::response::Response;
use medication::administration::PackState;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ProblemResponses, failed, json_answer, malformed, takes_json};
use crate::edge::{Arrival, EdgeError, logical_id, resource_type};
use crate::fhir_routes::query;
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    let scan = "/t/{tenant}/api/v1/medicines/scan";
    vec![Route::get(scan, "medicines-scan", failed, scanned)]
}

fn states() -> utoipa::openapi::schema::Schema {
    super::one_of_or_null(PackState::ALL.map(PackState::code))
}

/// An ingredient of a product.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngredientView {
    /// Name.
    name: String,
    /// How much, as on a label: `250 mg/5 mL`.
    strength: Option<String>,
}

/// A product.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProductView {
    /// Name for people.
    name: String,
    /// Form, where the list states one.
    form: Option<String>,
    /// Route, where the list states one.
    route: Option<String>,
    /// Number of the controlled-drug schedule, 1 to 5; left out where there is none.
    schedule: Option<u8>,
    /// What it holds.
    ingredients: Vec<IngredientView>,
}

/// A pack.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScanView {
    /// Its number, 14 digits.
    gtin: String,
    /// Batch.
    batch: Option<String>,
    /// Serial number.
    serial: Option<String>,
    /// Last day of use.
    expiry: Option<String>,
    /// Whether that day is over.
    expired: bool,
    /// The notice by which it was recalled, or may have been where the code states no batch.
    recall: Option<String>,
    /// The product; null where no list has the number.
    product: Option<ProductView>,
    /// How it stands to the order that was named; null where none was.
    #[schema(schema_with = states)]
    state: Option<&'static str>,
}

impl From<Scan> for ScanView {
    fn from(found: Scan) -> Self {
        let product = found.product.map(|own| ProductView {
            name: own.name,
            form: own.form,
            route: own.route,
            schedule: own.schedule,
            ingredients: own
                .ingredients
                .into_iter()
                .map(|one| IngredientView {
                    name: one.name,
                    strength: one.strength,
                })
                .collect(),
        });
        Self {
            gtin: found.pack.gtin.digits(),
            batch: found.pack.batch,
            serial: found.pack.serial,
            expiry: found.pack.expiry.map(|own| own.to_string()),
            expired: found.expired,
            recall: found.recall,
            product,
            state: found.state.map(PackState::code),
        }
    }
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/medicines/scan", tag = "medicines",
    params(
        ("tenant" = String, Path),
        ("text" = String, Query, description = "what the scanner read: a GS1 element string with or without its prefix, or the digits of an EAN, UPC or ITF code"),
        ("order" = Option<String>, Query, description = "id of the MedicationRequest to compare with"),
    ),
    responses((status = 200, description = "the pack", body = ScanView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn scanned(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let params = query(arrival.raw_query())?;
    let value = |wanted: &str| {
        let mut own = params.iter().filter(|(name, _)| name == wanted);
        own.next().map(|(_, value)| value.as_str())
    };
    let text = value("text")
        .ok_or_else(|| malformed("the parameter text is missing: send what the scanner read"))?;
    let order = match value("order") {
        Some(id) => Some(ResourceKey {
            ty: resource_type("MedicationRequest")?,
            id: logical_id(id)?,
        }),
        None => None,
    };
    let found = scan::scan(arrival.app(), &caller, text, order.as_ref()).await?;
    json_answer(&ScanView::from(found))
}
