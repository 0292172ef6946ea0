//! Partners that orders go to, and the address that they report to. Must not take what a partner sent before
//! its signature was checked.

use app::medicines::orders::partners::{self as use_case, Names, Partner, Way};
use app::medicines::orders::{Sent, event};
use axum::http::HeaderMap;
use axum::response::Response;
use connect::pharmacy::api::{ApiEvent, ApiProduct};
use connect::signature;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ProblemResponses, done, failed, id, input, json_answer, malformed, takes_json};
use crate::edge::{Arrival, EdgeError};
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    vec![
        Route::get("/t/{tenant}/api/v1/partners", "partners-list", failed, list),
        Route::put(
            "/t/{tenant}/api/v1/partners/{id}",
            "partner-set",
            failed,
            put,
        ),
        Route::get(
            "/t/{tenant}/api/v1/partners/{id}/signing-key",
            "partner-key",
            failed,
            signing_key,
        ),
        Route::post(
            "/t/{tenant}/api/v1/partners/{id}/signing-key",
            "partner-key-change",
            failed,
            new_signing_key,
        ),
        Route::get(
            "/t/{tenant}/api/v1/partners/{id}/catalogue",
            "partner-catalogue",
            failed,
            catalogue,
        ),
        Route::post(
            "/t/{tenant}/api/v1/partners/{id}/catalogue",
            "partner-catalogue-fetch",
            failed,
            fetch,
        ),
        Route::put(
            "/t/{tenant}/api/v1/partners/{id}/catalogue",
            "partner-catalogue-set",
            failed,
            set,
        ),
        Route::post(
            "/t/{tenant}/api/v1/pharmacy/{partner}/events",
            "pharmacy-event",
            failed,
            events,
        ),
    ]
}

fn ways() -> utoipa::openapi::schema::Schema {
    super::one_of(["api", "messaging", "letter"])
}

/// Who stands in the messages of a partner, beside the resident.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartnerNames {
    /// ODS code of the home.
    sender: String,
    /// ODS code of whoever receives.
    receiver: String,
    /// ODS code of the nominated pharmacy.
    pharmacy: String,
    /// The prescriber's role profile.
    prescriber_role: String,
    /// The prescriber's name.
    prescriber_name: String,
    /// ODS code of the practice.
    practice: String,
}

/// How a partner is reached.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartnerInput {
    /// Its name.
    name: String,
    /// The logical id of its Organization.
    organization: String,
    /// `api`: the published interface; `messaging`: messages of the prescription service; `letter`: mail.
    #[schema(schema_with = ways)]
    way: String,
    /// The address that the interface begins at, or the mail address; the egress allow list must have it.
    address: String,
    /// Who stands in messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<PartnerNames>,
    /// The name of the file with its bearer token, in the tenant's folder of `pharmacy.secrets`.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// Whether orders go to it.
    active: bool,
}

/// A partner.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartnerView {
    /// Its id.
    id: String,
    /// How it is reached.
    #[serde(flatten)]
    own: PartnerInput,
}

/// What a partner sells.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartnerCatalogue {
    /// When it was fetched or set; null where it never was.
    at: Option<String>,
    /// The products.
    products: Vec<ApiProduct>,
}

/// How many products were taken.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogueTaken {
    /// Products.
    products: usize,
}

/// The key that a partner signs with.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartnerKeyView {
    /// `whsec_` and base64: give it to the partner.
    secret: String,
}

impl From<Partner> for PartnerView {
    fn from(own: Partner) -> Self {
        let (way, address, names) = match own.way {
            Way::Api { base } => ("api", base, None),
            Way::Messaging { base, names } => ("messaging", base, Some(names)),
            Way::Letter { to } => ("letter", to, None),
        };
        Self {
            id: own.id,
            own: PartnerInput {
                name: own.name,
                organization: own.organization.to_string(),
                way: way.to_owned(),
                address,
                names: names.map(|own| PartnerNames {
                    sender: own.sender,
                    receiver: own.receiver,
                    pharmacy: own.pharmacy,
                    prescriber_role: own.prescriber_role,
                    prescriber_name: own.prescriber_name,
                    practice: own.practice,
                }),
                secret: own.secret,
                active: own.active,
            },
        }
    }
}

impl PartnerInput {
    fn read(self, partner: String) -> Result<Partner, EdgeError> {
        let names = self.names.map(|own| Names {
            sender: own.sender,
            receiver: own.receiver,
            pharmacy: own.pharmacy,
            prescriber_role: own.prescriber_role,
            prescriber_name: own.prescriber_name,
            practice: own.practice,
        });
        let way = match (self.way.as_str(), names) {
            ("api", None) => Way::Api { base: self.address },
            ("messaging", Some(names)) => Way::Messaging {
                base: self.address,
                names,
            },
            ("letter", None) => Way::Letter { to: self.address },
            _ => {
                return Err(malformed(
                    "way is api, messaging or letter; messaging has names, the others have none",
                ));
            }
        };
        Ok(Partner {
            id: partner,
            name: self.name,
            organization: id(&self.organization)?,
            way,
            secret: self.secret,
            active: self.active,
        })
    }
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/partners", tag = "orders", params(("tenant" = String, Path)),
    responses((status = 200, description = "the partners", body = Vec<PartnerView>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn list(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let found = use_case::list(arrival.app(), &caller).await?;
    let shown: Vec<PartnerView> = found.into_iter().map(PartnerView::from).collect();
    json_answer(&shown)
}

#[utoipa::path(
    put, path = "/t/{tenant}/api/v1/partners/{id}", tag = "orders",
    params(("tenant" = String, Path), ("id" = String, Path, description = "lower-case letters, digits and dashes")), request_body = PartnerInput,
    responses((status = 200, description = "the partner, made or changed", body = PartnerView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn put(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, partner): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let new: PartnerInput = input(&mut arrival).await?;
    let own = use_case::put(arrival.app(), &caller, new.read(partner)?).await?;
    json_answer(&PartnerView::from(own))
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/partners/{id}/signing-key", tag = "orders",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the key that the partner signs its events with", body = PartnerKeyView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn signing_key(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, partner): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let secret = use_case::signing_key(arrival.app(), &caller, &partner).await?;
    json_answer(&PartnerKeyView {
        secret: secret.to_string(),
    })
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/partners/{id}/signing-key", tag = "orders",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "a new key; what is signed with the one before is taken no more", body = PartnerKeyView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn new_signing_key(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, partner): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let secret = use_case::new_signing_key(arrival.app(), &caller, &partner).await?;
    json_answer(&PartnerKeyView {
        secret: secret.to_string(),
    })
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/partners/{id}/catalogue", tag = "orders",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "what it sells, as it was last fetched or set", body = PartnerCatalogue), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn catalogue(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, partner): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let found = use_case::catalogue(arrival.app(), &caller, &partner).await?;
    let (at, products) = found.map_or((None, Vec::new()), |own| (Some(own.0), own.1));
    json_answer(&PartnerCatalogue {
        at: at.map(|own| own.to_string()),
        products: products.iter().map(ApiProduct::of).collect(),
    })
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/partners/{id}/catalogue", tag = "orders",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "it was fetched from the partner", body = CatalogueTaken), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn fetch(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, partner): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let products = use_case::fetch_catalogue(arrival.app(), &caller, &partner).await?;
    json_answer(&CatalogueTaken { products })
}

#[utoipa::path(
    put, path = "/t/{tenant}/api/v1/partners/{id}/catalogue", tag = "orders",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = Vec<ApiProduct>,
    responses((status = 200, description = "it was set: for a partner without an interface", body = CatalogueTaken), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn set(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, partner): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let products: Vec<ApiProduct> = input(&mut arrival).await?;
    let products = use_case::set_catalogue(arrival.app(), &caller, &partner, products).await?;
    json_answer(&CatalogueTaken { products })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let found = headers.get(name).and_then(|own| own.to_str().ok());
    found.unwrap_or_default()
}

/// What a partner sends.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum PartnerEvent {
    /// Something happened to an order.
    Event(ApiEvent),
    /// A dispense notification: a FHIR Bundle of type message.
    #[schema(value_type = Object)]
    Notification(serde_json::Value),
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/pharmacy/{partner}/events", tag = "orders",
    params(
        ("tenant" = String, Path), ("partner" = String, Path),
        ("webhook-id" = String, Header, description = "the same message has the same id in every attempt"),
        ("webhook-timestamp" = i64, Header, description = "Unix seconds of the attempt, at most five minutes off"),
        ("webhook-signature" = String, Header, description = "`v1,` and base64 of HMAC-SHA256 over id, timestamp and body"),
    ),
    request_body(content = PartnerEvent, description = "an ApiEvent of docs/reference/pharmacy-api.json, or a dispense notification where the partner is reached by messages", content_type = "application/json"),
    responses((status = 204, description = "it was taken, now or before"), ProblemResponses),
    security(("webhook" = [])),
)]
pub(super) async fn events(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, partner): (String, String) = arrival.path().await?;
    let body = arrival.body(super::BODY_LIMIT).await?;
    let headers = arrival.headers();
    let timestamp = header(headers, signature::TIMESTAMP).parse().unwrap_or(0);
    let sent = Sent {
        id: header(headers, signature::ID),
        timestamp,
        signature: header(headers, signature::SIGNATURE),
        body: &body,
    };
    event(arrival.app(), &tenant, &partner, &sent).await?;
    Ok(done())
}
