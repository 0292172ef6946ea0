//! Payload and leaf as a FHIR R4 AuditEvent in the shapes of IHE BALP (Create, Read, Update, Delete, Query,
//! each basic or about a patient; <https://profiles.ihe.net/ITI/BALP>). Must not add facts that the payload
//! does not hold.

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::ActorKind;
use serde_json::{Map, Value, json};

use crate::leaf::{Class, Leaf, Outcome};
use crate::payload::Payload;

const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const REST: &str = "http://hl7.org/fhir/restful-interaction";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const BALP: &str = "https://profiles.ihe.net/ITI/BALP";
/// The system of subtypes that neither FHIR nor DICOM has a code for: the leaf's class words.
pub const CLASS_SYSTEM: &str = "urn:theriac:ledger-class";

/// How a class is told in FHIR's and DICOM's words.
struct Shape {
    /// `AuditEvent.action`.
    action: &'static str,
    /// `AuditEvent.type`: system, code, display.
    kind: (&'static str, &'static str, &'static str),
    /// BALP profile, where the class has one.
    profile: Option<&'static str>,
    /// The agents' types: client, server, user.
    agents: [(&'static str, &'static str, &'static str); 3],
}

const RESTFUL: (&str, &str, &str) = (
    "http://terminology.hl7.org/CodeSystem/audit-event-type",
    "rest",
    "RESTful Operation",
);
const SOURCE: (&str, &str, &str) = (DCM, "110153", "Source Role ID");
const DESTINATION: (&str, &str, &str) = (DCM, "110152", "Destination Role ID");
const APPLICATION: (&str, &str, &str) = (DCM, "110150", "Application");
const CUSTODIAN: (&str, &str, &str) = (
    "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
    "custodian",
    "Custodian",
);
const AUTHOR: (&str, &str, &str) = (PARTICIPATION, "AUT", "author (originator)");
const RECIPIENT: (&str, &str, &str) = (PARTICIPATION, "IRCP", "information recipient");

const fn shape(class: Class) -> Shape {
    match class {
        Class::Create => restful("C", Some("Create"), [SOURCE, DESTINATION, AUTHOR]),
        Class::Update => restful("U", Some("Update"), [SOURCE, DESTINATION, AUTHOR]),
        Class::Delete => restful("D", Some("Delete"), [APPLICATION, CUSTODIAN, AUTHOR]),
        Class::Read | Class::Vread => restful("R", Some("Read"), [DESTINATION, SOURCE, RECIPIENT]),
        Class::Search => restful("E", Some("Query"), [SOURCE, DESTINATION, RECIPIENT]),
        Class::History => restful("R", None, [DESTINATION, SOURCE, RECIPIENT]),
        Class::Login | Class::Logout | Class::LoginFailed => {
            dicom("E", "110114", "User Authentication")
        }
        Class::Export | Class::Backup => dicom("R", "110106", "Export"),
        Class::Import | Class::Restore => dicom("C", "110107", "Import"),
        Class::AuditRead => dicom("R", "110101", "Audit Log Used"),
        Class::BreakGlass => dicom("E", "110127", "Emergency Override Started"),
        Class::User | Class::Client | Class::Token | Class::Relationship => {
            dicom("U", "110137", "User Security Attributes Changed")
        }
        Class::Key => dicom("U", "110133", "Security Configuration"),
        Class::Erase | Class::Purge => dicom("D", "110100", "Application Activity"),
        _ => dicom("E", "110100", "Application Activity"),
    }
}

const fn restful(
    action: &'static str,
    profile: Option<&'static str>,
    agents: [(&'static str, &'static str, &'static str); 3],
) -> Shape {
    Shape {
        action,
        kind: RESTFUL,
        profile,
        agents,
    }
}

const fn dicom(action: &'static str, code: &'static str, display: &'static str) -> Shape {
    Shape {
        action,
        kind: (DCM, code, display),
        profile: None,
        agents: [SOURCE, DESTINATION, AUTHOR],
    }
}

fn coding((system, code, display): (&str, &str, &str)) -> Value {
    json!({ "system": system, "code": code, "display": display })
}

fn concept(code: (&str, &str, &str)) -> Value {
    json!({ "coding": [coding(code)] })
}

impl Payload {
    /// The AuditEvent of an entry. `leaf` gives id, time, class and outcome; `server` is the base address of
    /// the instance (`https://records.example.org/t/rosewood/fhir`), which observed and served the event.
    #[must_use]
    pub fn to_audit_event(&self, leaf: &Leaf, server: &str) -> Value {
        let shape = shape(leaf.class);
        let mut event = Map::new();
        event.insert("resourceType".to_owned(), json!("AuditEvent"));
        event.insert("id".to_owned(), json!(leaf.id.hyphenated().to_string()));
        // BALP's profiles are about what succeeded; the patient ones about what names a patient.
        if let Some(profile) = shape.profile.filter(|_| leaf.outcome == Outcome::Success) {
            let about = if self.patient.is_some() {
                "Patient"
            } else {
                ""
            };
            let url = format!("{BALP}/StructureDefinition/IHE.BasicAudit.{about}{profile}");
            event.insert("meta".to_owned(), json!({ "profile": [url] }));
        }
        event.insert("type".to_owned(), coding(shape.kind));
        event.insert("subtype".to_owned(), json!([self.subtype(leaf.class)]));
        event.insert("action".to_owned(), json!(shape.action));
        event.insert("recorded".to_owned(), json!(leaf.time.to_fhir_instant()));
        event.insert("outcome".to_owned(), json!(outcome_code(leaf.outcome)));
        if let Some(text) = &self.outcome_text {
            event.insert("outcomeDesc".to_owned(), json!(text));
        }
        event.insert("purposeOfEvent".to_owned(), json!([self.purpose_concept()]));
        event.insert(
            "agent".to_owned(),
            Value::Array(self.agents(&shape, server)),
        );
        event.insert(
            "source".to_owned(),
            json!({
                "site": server,
                "observer": { "display": server },
                "type": [coding(("http://terminology.hl7.org/CodeSystem/security-source-type", "4", "Application Server"))],
            }),
        );
        let entities = self.entities(leaf.class);
        if !entities.is_empty() {
            event.insert("entity".to_owned(), Value::Array(entities));
        }
        Value::Object(event)
    }

    fn subtype(&self, class: Class) -> Value {
        let interaction = match class {
            Class::Create | Class::Update | Class::Delete | Class::Read | Class::Vread => {
                class.as_str()
            }
            Class::Search if self.interaction == "search-system" => "search-system",
            Class::Search => "search-type",
            Class::History => match &self.resource {
                Some(resource) if resource.id.is_some() => "history-instance",
                Some(_) => "history-type",
                None => "history-system",
            },
            Class::Login | Class::LoginFailed => return coding((DCM, "110122", "Login")),
            Class::Logout => return coding((DCM, "110123", "Logout")),
            other => return coding((CLASS_SYSTEM, other.as_str(), other.as_str())),
        };
        let interaction = if class == Class::Update && self.interaction == "patch" {
            "patch"
        } else {
            interaction
        };
        coding((REST, interaction, interaction))
    }

    fn purpose_concept(&self) -> Value {
        json!({ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": self.purpose.code() }] })
    }

    fn agents(&self, shape: &Shape, server: &str) -> Vec<Value> {
        let [client_type, server_type, user_type] = shape.agents;
        let person = matches!(self.actor.kind, ActorKind::User | ActorKind::Operator);
        let identifier = json!({ "identifier": { "value": self.actor.id.to_string() }, "display": self.actor.name });
        let (who, network) = match &self.client_address {
            // 2: an IP address; 1: a machine name.
            Some(address) => (
                json!({ "display": address }),
                json!({ "address": address, "type": "2" }),
            ),
            None => (
                json!({ "display": server }),
                json!({ "address": server, "type": "1" }),
            ),
        };
        let who = if person { who } else { identifier.clone() };
        let mut agents = vec![
            json!({ "type": concept(client_type), "who": who, "requestor": !person, "network": network }),
            json!({
                "type": concept(server_type),
                "who": { "display": server },
                "requestor": false,
                "network": { "address": server, "type": "5" },
            }),
        ];
        if person {
            agents.push(json!({
                "type": concept(user_type),
                "role": [{ "text": self.actor.role }],
                "who": identifier,
                "name": self.actor.name,
                "requestor": true,
                "purposeOfUse": [self.purpose_concept()],
            }));
        }
        agents
    }

    fn entities(&self, class: Class) -> Vec<Value> {
        let mut entities = Vec::new();
        if let Some(patient) = &self.patient {
            entities.push(json!({
                "what": { "reference": format!("Patient/{patient}") },
                "type": coding((ENTITY_TYPE, "1", "Person")),
                "role": coding((OBJECT_ROLE, "1", "Patient")),
            }));
        }
        if class == Class::Search {
            let query = self.query.as_deref().unwrap_or_default();
            entities.push(json!({
                "type": coding((ENTITY_TYPE, "2", "System Object")),
                "role": coding((OBJECT_ROLE, "24", "Query")),
                "description": query,
                "query": STANDARD.encode(query),
            }));
        } else if let Some(resource) = &self.resource {
            entities.push(json!({
                "what": { "reference": resource.reference() },
                "type": coding((ENTITY_TYPE, "2", "System Object")),
                "role": coding((OBJECT_ROLE, "4", "Domain Resource")),
            }));
        }
        if let Some(request) = &self.request {
            entities.push(json!({
                "what": { "identifier": { "value": request.to_string() } },
                "type": { "system": format!("{BALP}/CodeSystem/BasicAuditEntityType"), "code": "XrequestId" },
            }));
        }
        entities
    }
}

/// Value set audit-event-outcome: success, minor failure (as HTTP 4xx), serious failure (as HTTP 5xx).
const fn outcome_code(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "0",
        Outcome::Denied => "4",
        Outcome::Failed => "8",
    }
}
