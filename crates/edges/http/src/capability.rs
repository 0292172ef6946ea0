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
        "several keys; by _id, _lastUpdated, and parameters of every kind but composite and special",
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

/// How many resources a conditional delete takes, as most tenants and as some have it.
const SINGLE: &str = r#""conditionalDelete":"single""#;
const MULTIPLE: &str = r#""conditionalDelete":"multiple""#;

/// The statement as text, made once: only the endpoint's address differs between tenants.
pub struct Rendered {
    /// What stands between the places of the address.
    pieces: Vec<String>,
}

impl Rendered {
    /// Renders it.
    #[must_use]
    pub fn new(definitions: &'static Definitions, released: Timestamp) -> Self {
        const PLACE: &str = "https://endpoint.invalid/fhir";
        let text = statement(definitions, PLACE, released).to_string();
        Self {
            pieces: text.split(PLACE).map(str::to_owned).collect(),
        }
    }

    /// The statement of the endpoint at `address`, which must need no escapes in JSON; `several`:
    /// conditional deletes take all that match.
    #[must_use]
    pub fn at(&self, address: &str, several: bool) -> String {
        let text = self.pieces.join(address);
        if several {
            return text.replace(SINGLE, MULTIPLE);
        }
        text
    }
}

/// The statement of one tenant's endpoint.
#[must_use]
pub fn statement(definitions: &'static Definitions, endpoint: &str, released: Timestamp) -> Value {
    let operations = operations();
    let resources: Vec<Value> = definitions
        .resource_types()
        .map(|ty| resource(definitions, ty, &operations))
        .collect();
    let of_system: Vec<Value> = operations
        .iter()
        .filter(|one| {
            one.ty
                .is_none_or(|ty| ty != ANY && definitions.resource(ty).is_none())
        })
        .map(Operation::shown)
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
        "patchFormat": ["application/json-patch+json", "application/merge-patch+json", "application/xml-patch+xml", "application/fhir+json", "application/fhir+xml"],
        "rest": [{
            "mode": "server",
            "documentation": "Every type also takes PATCH with a search (conditional patch), as JSON Patch, JSON Merge Patch, XML Patch, and FHIRPath Patch in JSON and XML.",
            "extension": [{
                "url": "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket",
                "valueUri": format!("{endpoint}/{WEBSOCKET}"),
            }],
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
            "operation": of_system,
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

/// The address of the WebSocket, below the base.
pub const WEBSOCKET: &str = "$subscriptions-websocket";
const ANY: &str = "{type}";

/// An operation as its routes have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The type it is of; `{type}` for any, `None` for the whole system.
    pub ty: Option<&'static str>,
    /// Its name, without the `$`.
    pub name: &'static str,
}

impl Operation {
    /// The operation of a route; `None` where it is none.
    #[must_use]
    pub fn of(path: &'static str) -> Option<Self> {
        let rest = path.strip_prefix("/t/{tenant}/fhir/")?;
        let (before, name) = rest.rsplit_once('/').unwrap_or(("", rest));
        if name == WEBSOCKET {
            return None;
        }
        Some(Self {
            ty: before.split('/').next().filter(|ty| !ty.is_empty()),
            name: name.strip_prefix('$')?,
        })
    }

    /// The canonical of its definition.
    #[must_use]
    pub fn definition(&self) -> String {
        const HL7: &str = "http://hl7.org/fhir/OperationDefinition";
        const BULK: &str = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition";
        const BACKPORT: &str = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription";
        const VIEWS: &str = "http://sql-on-fhir.org/OperationDefinition";
        let name = self.name;
        match (self.ty, name) {
            (None, "export") => format!("{BULK}/export"),
            (Some("Patient"), "export") => format!("{BULK}/patient-export"),
            (Some("Group"), "export") => format!("{BULK}/group-export"),
            (Some("Subscription"), _) => {
                format!("{BACKPORT}-{name}")
            }
            (None, "viewdefinition-run") | (Some("ViewDefinition"), "run") => {
                format!("{VIEWS}/${name}")
            }
            (None, "closure") => format!("{HL7}/ConceptMap-closure"),
            (None | Some(ANY), "graphql") => format!("{HL7}/Resource-graphql"),
            // This server's own: what they do stands in its reference.
            (_, "import" | "reindex" | "explain") | (Some("SearchParameter"), _) => {
                format!("urn:theriac:operation:{name}")
            }
            (Some(ANY), _) => format!("{HL7}/Resource-{name}"),
            (ty, _) => format!("{HL7}/{}-{name}", ty.unwrap_or("Resource")),
        }
    }

    fn shown(&self) -> Value {
        json!({ "name": self.name, "definition": self.definition() })
    }
}

/// Every operation that there is a route for, each once.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let mut found: Vec<Operation> = Vec::new();
    let routes = [crate::operations::table(), crate::fhir_routes::table()].concat();
    for operation in routes.iter().filter_map(|route| Operation::of(route.path)) {
        if !found.contains(&operation) {
            found.push(operation);
        }
    }
    found
}

fn resource(definitions: &'static Definitions, ty: TypeId, operations: &[Operation]) -> Value {
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
    let own: Vec<Value> = operations
        .iter()
        .filter(|one| one.ty == Some(name) || one.ty == Some(ANY))
        .map(Operation::shown)
        .collect();
    let mut shown = json!({
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
        "operation": own,
    });
    if let (Some(members), "Subscription") = (shown.as_object_mut(), name) {
        let profile = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription";
        let words = "Channels rest-hook, websocket and email; criteria, or topics kept as Basic with code SubscriptionTopic. Header values are withheld when read.";
        members.insert("supportedProfile".to_owned(), json!([profile]));
        members.insert("documentation".to_owned(), json!(words));
    }
    shown
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
        ParamKind::Special => matches!(param.code, "_text" | "near"),
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
