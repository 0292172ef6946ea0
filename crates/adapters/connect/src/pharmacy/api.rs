//! The pharmacy interface that we publish: what a pharmacy's system implements so that homes can order from
//! it over HTTP. `docs/reference/pharmacy-api.json` is made from here. Must not change what is published
//! but by adding to it.

use medication::quantity::Unit;
use medication::register::Class;
use medication::stock::Units;
use medication::supply::{
    Control, Currency, Dispensed, Kind, Legal, Money, Order, Pack, Packs, Product, State,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{OpenApi, ToSchema};

/// The header by which an order is known again.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

fn words<'w>(all: impl IntoIterator<Item = &'w str>) -> Schema {
    let all: Vec<String> = all.into_iter().map(str::to_owned).collect();
    let object = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(all));
    Schema::Object(object.build())
}
fn kinds() -> Schema {
    words(Kind::ALL.iter().map(|own| own.code()))
}
fn states() -> Schema {
    words(State::ALL.iter().map(|own| own.code()))
}
fn dispensings() -> Schema {
    words(Dispensed::ALL.iter().map(|own| own.code()))
}
fn legals() -> Schema {
    words(["prescription_only", "pharmacy", "general_sale"])
}
fn amount() -> Schema {
    let object = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(r"^[0-9]+(\.[0-9]{1,6})?$"))
        .description(Some("a decimal as text, at most six places"));
    Schema::Object(object.build())
}

/// For whom it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiResident {
    /// The home's id of the resident.
    pub id: String,
    /// Name and date of birth, for the label; left out where the home does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Packs of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiPacks {
    /// How many.
    pub count: u32,
    /// How much each holds.
    #[schema(schema_with = amount)]
    pub holds: Units,
}

/// One medicine that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiLine {
    /// The home's id of the medicine: events and receipts name it by this.
    pub item: String,
    /// Its dm+d code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// How much.
    #[schema(schema_with = amount)]
    pub quantity: Units,
    /// Of which unit: a UCUM code such as `{tablet}`, or a name.
    pub unit: String,
    /// In which packs, where the home says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packs: Option<ApiPacks>,
    /// The dose in words, where the home says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dose: Option<String>,
}

/// An order of goods, or a request for a prescription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiOrder {
    /// The home's id of the order.
    pub order: String,
    /// `repeat` asks for a prescription, `direct` orders goods.
    #[schema(schema_with = kinds)]
    pub kind: Kind,
    /// When it was approved.
    pub authored: String,
    /// The home.
    pub home: String,
    /// Where it goes.
    pub deliver_to: String,
    /// For whom; left out for common stock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident: Option<ApiResident>,
    /// What is asked for.
    pub lines: Vec<ApiLine>,
}

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiStanding {
    /// The home's id of the order.
    pub order: String,
    /// Where it stands.
    #[schema(schema_with = states)]
    pub state: State,
    /// The pharmacy's own number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Words for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Calls an order off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiCancellation {
    /// Why.
    pub reason: String,
}

/// What arrived of one medicine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiReceived {
    /// The home's id of the medicine.
    pub item: String,
    /// How much arrived; left out where none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = amount)]
    pub received: Option<Units>,
    /// How much is missing still; left out where none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = amount)]
    pub missing: Option<Units>,
}

/// What arrived with a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiReceipt {
    /// The number of the delivery note: the same note again says the same.
    pub note: String,
    /// When.
    pub at: String,
    /// By medicine.
    pub lines: Vec<ApiReceived>,
    /// What was set aside, in words.
    pub problems: Vec<String>,
}

/// A price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiPrice {
    /// How much.
    #[schema(schema_with = amount)]
    pub amount: Decimal,
    /// Of which currency (ISO 4217).
    pub currency: String,
}

/// A size in which it is sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiPack {
    /// How much it holds.
    #[schema(schema_with = amount)]
    pub holds: Units,
    /// What it costs, where that is fixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<ApiPrice>,
}

/// Something that is sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiProduct {
    /// Its dm+d code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// In which unit it is counted.
    pub unit: String,
    /// Who may sell it; left out where it is not known, and then it is not ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = legals)]
    pub legal: Option<Legal>,
    /// dm+d's category of controlled drugs, `0000` for none; left out where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// Its packs.
    pub packs: Vec<ApiPack>,
}

/// What is sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiCatalogue {
    /// The products.
    pub products: Vec<ApiProduct>,
    /// What `after` is set to for the next page; left out on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What became of one medicine of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiDispensed {
    /// The home's id of the medicine.
    pub item: String,
    /// What became of it, in the codes 0001 to 0008 of the electronic prescription service.
    #[schema(schema_with = dispensings)]
    pub dispensed: Dispensed,
    /// How much was dispensed, where any was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = amount)]
    pub quantity: Option<Units>,
}

/// Something happened to an order: sent to the home by the pharmacy, signed as Standard Webhooks are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiEvent {
    /// The home's id of the order.
    pub order: String,
    /// Where it stands; left out where the lines say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = states)]
    pub state: Option<State>,
    /// When it happened.
    pub at: String,
    /// What became of each medicine, where something was dispensed.
    #[serde(default)]
    pub lines: Vec<ApiDispensed>,
    /// Words for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Why something was refused (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiProblem {
    /// The kind in words.
    #[serde(default)]
    pub title: String,
    /// What is wrong, for a person.
    pub detail: String,
}

/// A unit as text: its UCUM code, or its name.
pub(super) fn unit_text(unit: &Unit) -> String {
    unit.ucum_code()
        .map_or_else(|| unit.name().to_owned(), str::to_owned)
}

/// A unit from text: a code in braces is UCUM's, as is `mL`, `g` and the like.
#[must_use]
pub fn unit_of(text: &str) -> Unit {
    let ucum = Unit::ucum(text);
    if ucum.measure().is_some() {
        ucum
    } else {
        Unit::named(text)
    }
}

impl ApiOrder {
    /// The lines of an order with its doses.
    pub(super) fn lines(order: &Order, doses: &[String]) -> Vec<ApiLine> {
        let packs = |own: &Packs| ApiPacks {
            count: own.count,
            holds: own.holds,
        };
        let lines = order.verb.lines().iter().enumerate();
        lines
            .map(|(place, line)| ApiLine {
                item: line.item.to_string(),
                code: line.code.clone(),
                name: line.name.clone(),
                quantity: line.quantity,
                unit: unit_text(&line.unit),
                packs: line.packs.as_ref().map(packs),
                dose: doses.get(place).filter(|own| !own.is_empty()).cloned(),
            })
            .collect()
    }
}

impl ApiProduct {
    /// A product as it is sold.
    #[must_use]
    pub fn of(product: &Product) -> Self {
        let control = product.control.map(|own| match own {
            Control::No => "0000".to_owned(),
            Control::Yes(class) => class.demands().category.to_owned(),
        });
        let pack = |own: &Pack| ApiPack {
            holds: own.holds,
            price: own.price.map(|own| ApiPrice {
                amount: own.amount(),
                currency: own.currency().code().to_owned(),
            }),
        };
        Self {
            code: product.code.clone(),
            name: product.name.clone(),
            unit: unit_text(&product.unit),
            legal: product.legal,
            control,
            packs: product.packs.iter().map(pack).collect(),
        }
    }

    /// As what can be ordered; the code is its id until the home gives it one. None where the code is no id
    /// or a price is none.
    #[must_use]
    pub fn read(self) -> Option<Product> {
        let control = match self.control.as_deref() {
            None => None,
            Some("0000") => Some(Control::No),
            // A category that is not known may be any.
            Some(category) => Class::of_category(category).map(Control::Yes),
        };
        let mut packs = Vec::with_capacity(self.packs.len());
        for pack in self.packs {
            let price = match pack.price {
                None => None,
                Some(own) => Some(Money::new(own.amount, Currency::of(&own.currency)?).ok()?),
            };
            packs.push(Pack {
                holds: pack.holds,
                price,
            });
        }
        Some(Product {
            item: self.code.parse().ok()?,
            code: self.code,
            name: self.name,
            unit: unit_of(&self.unit),
            legal: self.legal,
            control,
            packs,
        })
    }
}

/// Where the catalogue is.
#[utoipa::path(
    get, path = "/catalogue", tag = "catalogue",
    params(
        ("code" = Option<String>, Query, description = "only the product of this dm+d code"),
        ("after" = Option<String>, Query, description = "what the page before called `next`"),
    ),
    responses((status = 200, description = "what is sold", body = ApiCatalogue), (status = "4XX", description = "refused", body = ApiProblem, content_type = "application/problem+json")),
    security(("bearer" = [])),
)]
pub(super) fn catalogue(base: &str) -> String {
    format!("{base}/catalogue")
}

/// Where orders are sent to.
#[utoipa::path(
    post, path = "/orders", tag = "orders", request_body = ApiOrder,
    params(("Idempotency-Key" = String, Header, description = "64 hexadecimal digits; the same key with the same order orders once and is answered alike, with another order it is refused with 409")),
    responses(
        (status = 201, description = "taken", body = ApiStanding),
        (status = 200, description = "taken before by this key", body = ApiStanding),
        (status = 409, description = "the key was used for another order", body = ApiProblem, content_type = "application/problem+json"),
        (status = 422, description = "refused: the detail says why", body = ApiProblem, content_type = "application/problem+json"),
        (status = 429, description = "busy: `Retry-After` says for how long"),
    ),
    security(("bearer" = [])),
)]
pub(super) fn orders(base: &str) -> String {
    format!("{base}/orders")
}

/// Where an order is asked about.
#[utoipa::path(
    get, path = "/orders/{order}", tag = "orders", params(("order" = String, Path, description = "the home's id of the order")),
    responses((status = 200, description = "where it stands", body = ApiStanding), (status = 404, description = "not known", body = ApiProblem, content_type = "application/problem+json")),
    security(("bearer" = [])),
)]
pub(super) fn order(base: &str, id: &str) -> String {
    format!("{base}/orders/{id}")
}

/// Where an order is called off.
#[utoipa::path(
    post, path = "/orders/{order}/cancel", tag = "orders", request_body = ApiCancellation,
    params(("order" = String, Path, description = "the home's id of the order")),
    responses(
        (status = 200, description = "called off, now or before", body = ApiStanding),
        (status = 404, description = "not known", body = ApiProblem, content_type = "application/problem+json"),
        (status = 409, description = "too late: the detail says why", body = ApiProblem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(super) fn cancel(base: &str, id: &str) -> String {
    format!("{base}/orders/{id}/cancel")
}

/// Where it is told what arrived.
#[utoipa::path(
    post, path = "/orders/{order}/receipts", tag = "orders", request_body = ApiReceipt,
    params(("order" = String, Path, description = "the home's id of the order")),
    responses((status = 204, description = "noted"), (status = 404, description = "not known", body = ApiProblem, content_type = "application/problem+json")),
    security(("bearer" = [])),
)]
pub(super) fn receipts(base: &str, id: &str) -> String {
    format!("{base}/orders/{id}/receipts")
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Theriac pharmacy interface",
        version = "1",
        description = "What a pharmacy's system answers so that homes order from it. A home calls these addresses below the base address that it was given, with a bearer token. What happens to an order later, the pharmacy sends as ApiEvent to the address that the home names, signed as Standard Webhooks are (headers webhook-id, webhook-timestamp, webhook-signature: v1, HMAC-SHA256).",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(catalogue, orders, order, cancel, receipts),
    components(schemas(ApiEvent)),
    modifiers(&Bearer),
)]
struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// The interface as an OpenAPI document.
///
/// # Errors
/// It cannot be written as JSON.
pub fn document() -> Result<String, serde_json::Error> {
    Document::openapi()
        .to_pretty_json()
        .map(|text| format!("{text}\n"))
}
