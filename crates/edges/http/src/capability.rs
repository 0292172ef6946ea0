//! The CapabilityStatement, made from what the code does: the interactions below are the routes of
//! `fhir_routes`, the parameters are those the search tables compiled. Must not promise anything else.

use fhir::definitions::{Definitions, TypeId};
use fhir::search::{ParamKind, SearchParam};
use kernel::Timestamp;
use serde_json::{Value, json};

/// Interactions on every resource type.
pub const TYPE_INTERACTIONS: [&str; 9] = [
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
];
/// Interactions on the whole system.
pub const SYSTEM_INTERACTIONS: [&str; 3] = ["transaction", "batch", "history-system"];

/// Parameters of the protocol that apply to every search.
pub const CONTROL_PARAMETERS: [&str; 6] = [
    "_count",
    "_sort",
    "_total",
    "_summary",
    "_elements",
    "_format",
];

/// The statement as text, made once: only the endpoint's address differs between tenants.
pub struct Rendered {
    before: String,
    after: String,
}

impl Rendered {
    /// Renders it.
    #[must_use]
    pub fn new(definitions: &'static Definitions, released: Timestamp) -> Self {
        const PLACE: &str = "https://endpoint.invalid/fhir";
        let text = statement(definitions, PLACE, released).to_string();
        let (before, after) = text.split_once(PLACE).unwrap_or((&text, ""));
        Self {
            before: before.to_owned(),
            after: after.to_owned(),
        }
    }

    /// The statement of the endpoint at `address`, which must need no escapes in JSON.
    #[must_use]
    pub fn at(&self, address: &str) -> String {
        let mut text = String::with_capacity(self.before.len() + address.len() + self.after.len());
        for part in [&self.before, address, &self.after] {
            text.push_str(part);
        }
        text
    }
}

/// The statement of one tenant's endpoint.
#[must_use]
pub fn statement(definitions: &'static Definitions, endpoint: &str, released: Timestamp) -> Value {
    let resources: Vec<Value> = definitions
        .resource_types()
        .map(|ty| resource(definitions, ty))
        .collect();
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": released.to_fhir_instant(),
        "publisher": "Theriac",
        "kind": "instance",
        "software": { "name": "Theriac", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": "Theriac FHIR R4 record", "url": endpoint },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json", "application/fhir+xml", "xml"],
        "patchFormat": ["application/json-patch+json"],
        "rest": [{
            "mode": "server",
            "security": {
                "cors": false,
                "service": [{
                    "coding": [{
                        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                        "code": "OAuth",
                        "display": "OAuth"
                    }],
                    "text": "Bearer tokens: long-lived ones, or client credentials with a signed assertion"
                }]
            },
            "resource": resources,
            "interaction": SYSTEM_INTERACTIONS.map(|code| json!({ "code": code })),
        }]
    })
}

fn resource(definitions: &'static Definitions, ty: TypeId) -> Value {
    let params: Vec<Value> = definitions
        .search_params(ty)
        .iter()
        .filter(|param| is_offered(param))
        .map(parameter)
        .collect();
    let name = definitions.resource_name(ty);
    json!({
        "type": name,
        "profile": format!("http://hl7.org/fhir/StructureDefinition/{name}"),
        "interaction": TYPE_INTERACTIONS.map(|code| json!({ "code": code })),
        "versioning": "versioned-update",
        "readHistory": true,
        "updateCreate": true,
        "conditionalCreate": true,
        "conditionalRead": "full-support",
        "conditionalUpdate": true,
        "conditionalDelete": "single",
        "referencePolicy": ["literal", "logical"],
        "searchParam": params,
    })
}

/// Whether a search by this parameter is answered.
#[must_use]
pub fn is_offered(param: &SearchParam) -> bool {
    !matches!(param.kind, ParamKind::Special | ParamKind::Composite)
}

fn parameter(param: &SearchParam) -> Value {
    let (name, kind) = (param.code, param.kind.code());
    if param.definition.is_empty() {
        json!({ "name": name, "type": kind })
    } else {
        json!({ "name": name, "type": kind, "definition": param.definition })
    }
}
