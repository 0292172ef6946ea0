//! The CapabilityStatement, made from what the code does: the interactions below are the routes of
//! `fhir_routes`, the parameters are those the search tables compiled. Must not promise anything else.

use app::record::place::COMPARTMENTS;
use fhir::definitions::{Definitions, TypeId};
use fhir::search::{Modifier, ParamKind, SearchParam};
use kernel::Timestamp;
use serde_json::{Map, Value, json};

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
pub const SYSTEM_INTERACTIONS: [&str; 4] =
    ["transaction", "batch", "history-system", "search-system"];

/// Parameters of the protocol that apply to every search, with their types and what they do.
pub const CONTROL_PARAMETERS: [(&str, &str, &str); 12] = [
    ("_count", "number", "matches per page"),
    (
        "_sort",
        "string",
        "several keys; by _id, _lastUpdated, and date, number, quantity and string parameters",
    ),
    ("_total", "token", "none, estimate or accurate"),
    ("_summary", "token", "true, text, data, count or false"),
    ("_elements", "string", "element, or Type.element"),
    (
        "_include",
        "string",
        "Type:parameter, Type:parameter:Target, Type:* and *; :iterate",
    ),
    (
        "_revinclude",
        "string",
        "Type:parameter, Type:parameter:Target, Type:* and *; :iterate",
    ),
    (
        "_has",
        "string",
        "_has:Type:reference:parameter, nested, with modifiers, and with chains inside",
    ),
    ("_list", "string", "ids of List resources"),
    (
        "_filter",
        "string",
        "see docs/conformance.md for its operations",
    ),
    (
        "_type",
        "token",
        "in searches of the system and of whole compartments",
    ),
    ("_contained", "token", "false only"),
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
        "patchFormat": ["application/json-patch+json", "application/merge-patch+json", "application/fhir+json", "application/fhir+xml"],
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
            "searchParam": CONTROL_PARAMETERS.map(|(name, kind, words)| {
                json!({ "name": name, "type": kind, "documentation": words })
            }),
            "compartment": COMPARTMENTS.map(|name| {
                format!("http://hl7.org/fhir/CompartmentDefinition/{}", name.to_ascii_lowercase())
            }),
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
    let mut includes = vec!["*".to_owned(), format!("{name}:*")];
    let own = definitions.search_params(ty).iter();
    includes.extend(
        own.filter(|param| param.kind == ParamKind::Reference)
            .map(|param| format!("{name}:{}", param.code)),
    );
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
        "searchInclude": includes,
        "searchRevInclude": pointing_to(definitions, ty),
        "searchParam": params,
    })
}

/// What `_revinclude` may bring to a type: each parameter that says it points there. Those that may point
/// to anything work too; `*` stands for them.
fn pointing_to(definitions: &'static Definitions, ty: TypeId) -> Vec<String> {
    let mut found = vec!["*".to_owned()];
    for source in definitions.resource_types() {
        found.extend(
            definitions
                .search_params(source)
                .iter()
                .filter(|param| param.targets.contains(&ty))
                .map(|param| format!("{}:{}", definitions.resource_name(source), param.code)),
        );
    }
    found
}

/// Whether a search by this parameter is answered.
#[must_use]
pub fn is_offered(param: &SearchParam) -> bool {
    match param.kind {
        // `_content` depends on what the store is set to index.
        ParamKind::Special => param.code == "_text",
        _ => true,
    }
}

fn parameter(param: &SearchParam) -> Value {
    let kind = param.kind;
    let mut shown = Map::new();
    let mut member = |name: &str, text: &str| shown.insert(name.to_owned(), text.into());
    member("name", param.code);
    member("type", kind.code());
    if !param.definition.is_empty() {
        member("definition", param.definition);
    }
    let modifiers: &[&str] = match param.code {
        "_id" => &["missing", "not"],
        "_lastUpdated" => &["missing"],
        _ => Modifier::offered(kind),
    };
    if !modifiers.is_empty() {
        let mut words: Vec<String> = modifiers.iter().map(|name| format!(":{name}")).collect();
        if kind == ParamKind::Reference {
            words.push("chains".to_owned());
        }
        member("documentation", &words.join(" "));
    }
    shown.into()
}
