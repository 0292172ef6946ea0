//! A call of a service as it is read: the hook, its context by type, what was sent beforehand. Pure, with
//! limits. Must not take what it does not understand for something that is not there.

use std::borrow::Cow;

use fhir::definitions::Definitions;
use fhir::json::{Document, JsonError, Kind, Limits, Value};
use fhir::validate::{Severity, validate};
use kernel::LogicalId;
use uuid::Uuid;

/// Most bytes of a request.
pub const MOST_BYTES: usize = 4 << 20;
/// Most resources of a bundle, and entries of a list.
pub const MOST_ENTRIES: usize = 2_000;
/// Longest text of a field that is no resource.
const LONGEST: usize = 2_048;
/// Longest access token.
const LONGEST_TOKEN: usize = 16 << 10;

/// The hooks of the published catalogue that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hook {
    /// A chart is opened.
    PatientView,
    /// Orders are selected.
    OrderSelect,
    /// Orders are signed.
    OrderSign,
    /// Orders are sent to whoever fulfils them.
    OrderDispatch,
    /// An appointment is booked.
    AppointmentBook,
    /// An encounter starts.
    EncounterStart,
    /// An encounter ends.
    EncounterDischarge,
}

impl Hook {
    /// Every hook.
    pub const ALL: [Self; 7] = [
        Self::PatientView,
        Self::OrderSelect,
        Self::OrderSign,
        Self::OrderDispatch,
        Self::AppointmentBook,
        Self::EncounterStart,
        Self::EncounterDischarge,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PatientView => "patient-view",
            Self::OrderSelect => "order-select",
            Self::OrderSign => "order-sign",
            Self::OrderDispatch => "order-dispatch",
            Self::AppointmentBook => "appointment-book",
            Self::EncounterStart => "encounter-start",
            Self::EncounterDischarge => "encounter-discharge",
        }
    }

    /// The hook of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|own| own.name() == name)
    }

    /// The fields of its context that a template may name.
    #[must_use]
    pub const fn tokens(self) -> &'static [&'static str] {
        match self {
            Self::OrderDispatch => &["patientId", "dispatchedOrders", "performer"],
            _ => &["userId", "patientId", "encounterId"],
        }
    }
}

/// Why a request cannot be read; the text names the place and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It is not JSON, or larger than the limits.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A field is missing or wrong.
    #[error("{0}")]
    Field(String),
}

fn wrong<T>(text: impl Into<String>) -> Result<T, RequestError> {
    Err(RequestError::Field(text.into()))
}

/// How the caller's record may be asked.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization {
    /// The bearer token; never written down.
    pub token: zeroize::Zeroizing<String>,
    /// Seconds it lives.
    pub expires_in: u64,
}

impl core::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Authorization")
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// What is special to a hook.
#[derive(Debug, Clone)]
pub enum About<'a> {
    /// Nothing.
    Patient,
    /// Draft orders, and which of them are selected; all where nothing is said.
    Drafts {
        /// Resources of the bundle.
        drafts: Vec<Value<'a>>,
        /// References such as `MedicationRequest/103`.
        selections: Option<Vec<String>>,
    },
    /// Orders that are sent out, by reference, to somebody.
    Dispatch {
        /// References such as `MedicationRequest/103`.
        orders: Vec<String>,
        /// Who fulfils them.
        performer: String,
    },
    /// Appointments that are proposed.
    Appointments(Vec<Value<'a>>),
}

/// A call.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The hook.
    pub hook: Hook,
    /// The moment at the caller's.
    pub instance: Uuid,
    /// Where the caller's record is, without a trailing `/`.
    pub server: Option<String>,
    /// How it may be asked.
    pub authorization: Option<Authorization>,
    /// Who is at work there; not every hook says.
    pub user: Option<String>,
    /// The patient, by the caller's id.
    pub patient: LogicalId,
    /// The encounter, by the caller's id.
    pub encounter: Option<String>,
    /// What is special to the hook.
    pub about: About<'a>,
    /// What was sent beforehand, by key; never null.
    pub prefetch: Vec<(Cow<'a, str>, Value<'a>)>,
}

/// The bounds of a request as JSON.
#[must_use]
pub fn limits() -> Limits {
    Limits {
        max_bytes: MOST_BYTES,
        max_depth: 64,
        max_nodes: 400_000,
    }
}

/// Reads bytes as JSON within the bounds of a request.
pub fn document(bytes: Vec<u8>) -> Result<Document, RequestError> {
    Ok(Document::parse(bytes, &limits())?)
}

/// Reads a call of a service of a hook.
pub fn read(root: Value<'_>, hook: Hook) -> Result<Request<'_>, RequestError> {
    if root.kind() != Kind::Object {
        return wrong("the request is no object: send hook, hookInstance and context");
    }
    let named = text(root, "hook")?.unwrap_or_default();
    if named != hook.name() {
        return wrong(format!(
            "hook is {named:?}, and this service answers {}: see cds-services for which does what",
            hook.name()
        ));
    }
    let instance = text(root, "hookInstance")?.unwrap_or_default();
    let Ok(instance) = Uuid::try_parse(&instance) else {
        return wrong("hookInstance is missing or no UUID: make a new one for every call");
    };
    let (server, authorization) = access(root)?;
    let Some(context) = root.get("context").filter(|own| own.kind() == Kind::Object) else {
        return wrong("context is missing: send what the hook asks for");
    };
    let patient = required(context, "patientId")?;
    let bare = patient.strip_prefix("Patient/").unwrap_or(&patient);
    let Ok(patient) = bare.parse::<LogicalId>() else {
        return wrong("context.patientId is no id of FHIR: send the id of the Patient alone");
    };
    let user = match hook {
        Hook::OrderDispatch => text(context, "userId")?,
        _ => Some(user(context)?),
    };
    let encounter = match hook {
        Hook::EncounterStart | Hook::EncounterDischarge => Some(required(context, "encounterId")?),
        _ => text(context, "encounterId")?,
    };
    Ok(Request {
        hook,
        instance,
        server,
        authorization,
        user,
        patient,
        encounter,
        about: about(context, hook)?,
        prefetch: prefetch(root)?,
    })
}

/// `Type/id` of who is at work.
fn user(context: Value<'_>) -> Result<String, RequestError> {
    const TYPES: [&str; 4] = [
        "Practitioner",
        "PractitionerRole",
        "Patient",
        "RelatedPerson",
    ];
    let user = required(context, "userId")?;
    let known = user
        .split_once('/')
        .is_some_and(|(ty, id)| TYPES.contains(&ty) && id.parse::<LogicalId>().is_ok());
    if known {
        Ok(user)
    } else {
        wrong("context.userId is no user: send type and id, such as Practitioner/1")
    }
}

fn access(root: Value<'_>) -> Result<(Option<String>, Option<Authorization>), RequestError> {
    let server = text(root, "fhirServer")?;
    if let Some(url) = &server {
        let scheme = ["https://", "http://"]
            .iter()
            .any(|own| url.starts_with(own));
        if !scheme || url.contains(['?', '#', '@', ' ']) {
            return wrong(
                "fhirServer is no base address: send one such as https://ehr.example.org/fhir",
            );
        }
    }
    let server = server.map(|url| url.trim_end_matches('/').to_owned());
    let Some(given) = root.get("fhirAuthorization") else {
        return Ok((server, None));
    };
    if given.kind() != Kind::Object {
        return wrong(
            "fhirAuthorization is no object: send access_token, token_type, expires_in, scope and subject",
        );
    }
    if server.is_none() {
        return wrong("fhirAuthorization was sent without fhirServer: say which server it is for");
    }
    for member in ["access_token", "token_type", "scope", "subject"] {
        let found = given.get_str(member);
        if found.is_none_or(|own| own.is_empty() || own.len() > LONGEST_TOKEN) {
            return wrong(format!(
                "fhirAuthorization.{member} is missing or too long: send all that the specification asks for"
            ));
        }
    }
    let kind = given.get_str("token_type").unwrap_or_default();
    let expires_in = given.get("expires_in").and_then(Value::number_text);
    let expires_in = expires_in.and_then(|own| own.parse::<u64>().ok());
    let (true, Some(expires_in)) = (kind == "Bearer", expires_in) else {
        return wrong("fhirAuthorization needs token_type Bearer and expires_in in whole seconds");
    };
    let token = given.get_str("access_token").unwrap_or_default();
    if token.bytes().any(|own| !(0x21..0x7f).contains(&own)) {
        return wrong(
            "fhirAuthorization.access_token is no bearer token: send it as it was issued",
        );
    }
    let authorization = Authorization {
        token: token.into_owned().into(),
        expires_in,
    };
    Ok((server, Some(authorization)))
}

fn about(context: Value<'_>, hook: Hook) -> Result<About<'_>, RequestError> {
    Ok(match hook {
        Hook::OrderSelect => {
            let drafts = bundle(context, "draftOrders")?;
            let selections = references(context, "selections")?;
            if selections.is_empty() {
                return wrong("context.selections is empty: name the orders that were selected");
            }
            let missing = selections.iter().find(|name| {
                let mut own = drafts.iter();
                !own.any(|draft| self::name(*draft).as_deref() == Some(name.as_str()))
            });
            if let Some(name) = missing {
                return wrong(format!(
                    "context.selections names {name}, which is not in draftOrders: send the order too"
                ));
            }
            About::Drafts {
                drafts,
                selections: Some(selections),
            }
        }
        Hook::OrderSign => About::Drafts {
            drafts: bundle(context, "draftOrders")?,
            selections: None,
        },
        Hook::OrderDispatch => {
            let orders = references(context, "dispatchedOrders")?;
            if orders.is_empty() {
                return wrong(
                    "context.dispatchedOrders is empty: name the orders that are sent out",
                );
            }
            tasks(context, &orders)?;
            About::Dispatch {
                orders,
                performer: required(context, "performer")?,
            }
        }
        Hook::AppointmentBook => {
            let booked = bundle(context, "appointments")?;
            let other = booked
                .iter()
                .any(|own| own.get_str("resourceType").as_deref() != Some("Appointment"));
            if other {
                return wrong("context.appointments holds something else than an Appointment");
            }
            About::Appointments(booked)
        }
        Hook::PatientView | Hook::EncounterStart | Hook::EncounterDischarge => About::Patient,
    })
}

/// Every task is about one of the orders.
fn tasks(context: Value<'_>, orders: &[String]) -> Result<(), RequestError> {
    let Some(list) = context.get("fulfillmentTasks") else {
        return Ok(());
    };
    if list.kind() != Kind::Array || list.len() > MOST_ENTRIES {
        return wrong("context.fulfillmentTasks is no list of Task: send one");
    }
    for task in list.items() {
        valid(task, "context.fulfillmentTasks")?;
        let focus = task.get("focus").and_then(|own| own.get_str("reference"));
        let known = focus.is_some_and(|focus| orders.iter().any(|own| *own == *focus));
        if !known || task.get_str("resourceType").as_deref() != Some("Task") {
            return wrong(
                "context.fulfillmentTasks holds a Task about none of the dispatched orders",
            );
        }
    }
    Ok(())
}

/// The resources of a Bundle in the context; each valid R4.
fn bundle<'a>(context: Value<'a>, member: &str) -> Result<Vec<Value<'a>>, RequestError> {
    let found = context.get(member);
    let Some(bundle) = found.filter(|own| own.get_str("resourceType").as_deref() == Some("Bundle"))
    else {
        return wrong(format!(
            "context.{member} is missing or no Bundle: send one"
        ));
    };
    let entries = bundle.get("entry");
    if entries.is_some_and(|own| own.kind() != Kind::Array || own.len() > MOST_ENTRIES) {
        return wrong(format!(
            "context.{member} holds more than {MOST_ENTRIES} entries, or no list: split it"
        ));
    }
    let entries = entries.into_iter().flat_map(Value::items);
    let mut found = Vec::new();
    for entry in entries {
        let Some(resource) = entry.get("resource") else {
            return wrong(format!("context.{member} has an entry without a resource"));
        };
        valid(resource, &format!("context.{member}"))?;
        found.push(resource);
    }
    Ok(found)
}

/// Refuses a resource that breaks R4: what cannot be read in it would be missing from the checks.
fn valid(resource: Value<'_>, place: &str) -> Result<(), RequestError> {
    match problem(resource) {
        None => Ok(()),
        Some(why) => wrong(format!(
            "{place} holds a resource that is no valid FHIR R4: {why}"
        )),
    }
}

/// What is wrong with a resource by the structure of R4.
#[must_use]
pub fn problem(resource: Value<'_>) -> Option<String> {
    let issues = validate(Definitions::r4(), resource);
    let issue = issues
        .into_iter()
        .find(|own| matches!(own.severity, Severity::Error | Severity::Fatal))?;
    let mut text = format!("{}: {}", issue.expression, issue.diagnostics);
    text.truncate(text.floor_char_boundary(300));
    Some(text)
}

/// What was sent beforehand. A key that is null says that it could not be had: it is left out here, which
/// counts as not sent.
fn prefetch(root: Value<'_>) -> Result<Vec<(Cow<'_, str>, Value<'_>)>, RequestError> {
    let Some(sent) = root.get("prefetch") else {
        return Ok(Vec::new());
    };
    if sent.kind() != Kind::Object || sent.len() > 64 {
        return wrong("prefetch is no object of resources by key: send one");
    }
    let mut found = Vec::new();
    for (key, value) in sent.members() {
        match value.kind() {
            Kind::Null => {}
            Kind::Object if value.get_str("resourceType").is_some() => found.push((key, value)),
            _ => {
                let shown: String = key.chars().take(40).collect();
                return wrong(format!(
                    "prefetch.{shown} is no FHIR resource: send one, or leave the key out"
                ));
            }
        }
    }
    Ok(found)
}

/// A list of references `Type/id`.
fn references(context: Value<'_>, member: &str) -> Result<Vec<String>, RequestError> {
    let refuse = || {
        wrong(format!(
            "context.{member} is missing or no list of references such as MedicationRequest/1: send one"
        ))
    };
    let Some(list) = context
        .get(member)
        .filter(|own| own.kind() == Kind::Array && own.len() <= MOST_ENTRIES)
    else {
        return refuse();
    };
    let mut found = Vec::new();
    for one in list.items() {
        let name = one.as_str().unwrap_or_default();
        let known = name.split_once('/').is_some_and(|(ty, id)| {
            Definitions::r4().resource(ty).is_some() && id.parse::<LogicalId>().is_ok()
        });
        if !known {
            return refuse();
        }
        found.push(name.into_owned());
    }
    Ok(found)
}

/// `Type/id` of a resource; none where it has no id.
#[must_use]
pub fn name(resource: Value<'_>) -> Option<String> {
    let ty = resource.get_str("resourceType")?;
    let id = resource.get_str("id")?;
    Some(format!("{ty}/{id}"))
}

fn text(object: Value<'_>, member: &str) -> Result<Option<String>, RequestError> {
    let Some(value) = object.get(member) else {
        return Ok(None);
    };
    match value.as_str() {
        Some(text) if !text.is_empty() && text.len() <= LONGEST => Ok(Some(text.into_owned())),
        _ => wrong(format!(
            "{member} is no text of 1 to {LONGEST} bytes: correct it, or leave it out"
        )),
    }
}

fn required(context: Value<'_>, member: &str) -> Result<String, RequestError> {
    match text(context, member)? {
        Some(text) => Ok(text),
        None => wrong(format!(
            "context.{member} is missing: this hook asks for it"
        )),
    }
}
