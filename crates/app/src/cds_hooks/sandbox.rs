//! Plays another system: makes the request that one would send at a hook, and has it answered as any other.
//! What is drafted is stored nowhere; the call is in the log like every call. Must not make a request that
//! the services would not take from outside.

use identity::Role;
use kernel::LogicalId;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::answer::{Answered, Asker, answer};
use super::request::Hook;
use super::services::{Service, service};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::regimen::{self, Held};

/// What the other system knows of the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facts {
    /// It says that the patient is one of this record.
    Record,
    /// It sends beforehand what this record holds of the patient, as its own.
    Sent,
    /// It sends an invented patient, who takes what is named.
    Invented,
}

impl Facts {
    /// Each with its word.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::Record, "record"),
        (Self::Sent, "sent"),
        (Self::Invented, "invented"),
    ];
}

/// What is to be played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// The service that is called.
    pub service: String,
    /// What is known of the patient.
    pub facts: Facts,
    /// The patient's id; not of an invented one.
    pub patient: String,
    /// Names of medicines that an invented patient takes.
    pub taken: Vec<String>,
    /// Names of medicines that are drafted; the first is the one that is selected.
    pub drafts: Vec<String>,
}

/// What was played.
#[derive(Debug, Clone)]
pub struct Played {
    /// The request.
    pub request: String,
    /// The answer.
    pub answered: Answered,
}

/// Most names of medicines of one kind.
const MOST: usize = 20;

/// Whether somebody may play: those who run the organisation, prescribe or check what is prescribed.
#[must_use]
pub fn may_play(caller: &Caller) -> bool {
    let roles = [Role::Administrator, Role::Doctor, Role::Pharmacist];
    roles.iter().any(|role| caller.subject.has_role(*role))
}

/// Plays a scene.
pub async fn play(app: &App, caller: &Caller, scene: &Scene) -> Result<Played, AppError> {
    if !may_play(caller) {
        return Err(AppError::not_found("page"));
    }
    let found = service(&scene.service).ok_or_else(|| AppError::not_found("the service"))?;
    if scene.drafts.len() > MOST || scene.taken.len() > MOST {
        return Err(AppError::Unprocessable(format!(
            "at most {MOST} medicines can be named: leave some out"
        )));
    }
    let patient: LogicalId = match scene.facts {
        Facts::Invented => "invented",
        Facts::Record | Facts::Sent => scene.patient.as_str(),
    }
    .parse()
    .map_err(|_| AppError::Unprocessable("that is no id of a patient: correct it".to_owned()))?;
    let request = request(app, caller, found, (scene, &patient))
        .await?
        .to_string();
    let asker = Asker {
        caller: caller.clone(),
        reads: scene.facts != Facts::Invented,
        services: None,
    };
    let answered = answer(app, &asker, &scene.service, request.as_bytes()).await?;
    Ok(Played { request, answered })
}

async fn request(
    app: &App,
    caller: &Caller,
    service: &Service,
    (scene, patient): (&Scene, &LogicalId),
) -> Result<Value, AppError> {
    let drafts: Vec<Value> = scene
        .drafts
        .iter()
        .enumerate()
        .map(|(at, name)| order(&format!("draft-{}", at + 1), "draft", name, patient))
        .collect();
    let mut known = match scene.facts {
        Facts::Record => Known::default(),
        Facts::Sent => sent(app, caller, patient).await?,
        Facts::Invented => invented(scene, patient),
    };
    let dispatched: Vec<String> = if service.hook == Hook::OrderDispatch {
        let mut orders = drafts.clone();
        for order in &mut orders {
            crate::medicines::issue::set(order, "status", "active");
        }
        let names = (1..=orders.len()).map(|at| format!("MedicationRequest/draft-{at}"));
        known.orders.extend(orders);
        names.collect()
    } else {
        Vec::new()
    };
    let mut request = json!({
        "hook": service.hook.name(),
        "hookInstance": app.ids().uuid(),
        "context": context(caller, service.hook, patient, &drafts, &dispatched),
    });
    match scene.facts {
        Facts::Record => {
            crate::medicines::issue::set(&mut request, "fhirServer", &*caller.context.base);
        }
        Facts::Sent | Facts::Invented => {
            crate::medicines::issue::set(&mut request, "prefetch", known.prefetch(service));
        }
    }
    Ok(request)
}

fn context(
    caller: &Caller,
    hook: Hook,
    patient: &LogicalId,
    drafts: &[Value],
    dispatched: &[String],
) -> Value {
    let user = caller.subject.practitioner().map_or_else(
        || caller.subject.actor().id.as_uuid().to_string(),
        |own| own.as_str().to_owned(),
    );
    let mut context = Map::new();
    let mut put = |name: &str, value: Value| {
        context.insert(name.to_owned(), value);
    };
    if hook != Hook::OrderDispatch {
        put("userId", format!("Practitioner/{user}").into());
    }
    put("patientId", patient.as_str().into());
    match hook {
        Hook::OrderSelect | Hook::OrderSign => {
            put("draftOrders", bundle(drafts.to_vec()));
            if hook == Hook::OrderSelect {
                put("selections", json!(["MedicationRequest/draft-1"]));
            }
        }
        Hook::OrderDispatch => {
            put("dispatchedOrders", dispatched.to_vec().into());
            put("performer", "Organization/pharmacy".into());
        }
        Hook::AppointmentBook => {
            let who = format!("Patient/{}", patient.as_str());
            let booked = json!({
                "resourceType": "Appointment", "id": "draft-1", "status": "proposed",
                "participant": [{ "actor": { "reference": who }, "status": "needs-action" }],
            });
            put("appointments", bundle(vec![booked]));
        }
        Hook::EncounterStart | Hook::EncounterDischarge => put("encounterId", "played".into()),
        Hook::PatientView => {}
    }
    context.into()
}

fn bundle(resources: Vec<Value>) -> Value {
    let entries: Vec<Value> = resources
        .into_iter()
        .map(|own| json!({ "resource": own }))
        .collect();
    let mut bundle = json!({ "resourceType": "Bundle", "type": "collection" });
    if !entries.is_empty() {
        crate::medicines::issue::set(&mut bundle, "entry", entries);
    }
    bundle
}

/// One a day by mouth.
fn order(id: &str, status: &str, name: &str, patient: &LogicalId) -> Value {
    json!({
        "resourceType": "MedicationRequest", "id": id, "status": status, "intent": "order",
        "medicationCodeableConcept": { "text": name },
        "subject": { "reference": format!("Patient/{}", patient.as_str()) },
        "dosageInstruction": [{
            "text": "1 tablet by mouth once a day",
            "timing": { "repeat": { "frequency": 1, "period": 1, "periodUnit": "d" } },
            "route": { "coding": [{ "system": "http://snomed.info/sct", "code": "26643006", "display": "Oral route" }] },
            "doseAndRate": [{ "doseQuantity": { "value": 1, "unit": "tablet" } }],
        }],
    })
}

/// What goes along.
#[derive(Default)]
struct Known {
    patient: Value,
    allergies: Vec<Value>,
    orders: Vec<Value>,
    statements: Vec<Value>,
    observations: Vec<Value>,
}

impl Known {
    fn prefetch(self, service: &Service) -> Value {
        let mut all = Map::new();
        for (key, _) in service.prefetch {
            let value = match *key {
                "patient" => self.patient.clone(),
                "allergies" => bundle(self.allergies.clone()),
                "medicationStatements" => bundle(self.statements.clone()),
                "observations" => bundle(self.observations.clone()),
                _ => bundle(self.orders.clone()),
            };
            all.insert((*key).to_owned(), value);
        }
        all.into()
    }
}

async fn sent(app: &App, caller: &Caller, patient: &LogicalId) -> Result<Known, AppError> {
    let key = app.patient_key(patient);
    let regimen = regimen::load(app, caller, &key, "cds-hooks-sandbox").await?;
    let read =
        |held: &Held| -> Result<Value, AppError> { Ok(serde_json::from_slice(held.root().raw())?) };
    let all = |list: &[Held]| -> Result<Vec<Value>, AppError> { list.iter().map(read).collect() };
    let (orders, statements) = all(&regimen.medicines)?.into_iter().partition(|own| {
        own.get("resourceType")
            .is_some_and(|ty| ty == "MedicationRequest")
    });
    Ok(Known {
        patient: read(&regimen.patient)?,
        allergies: all(&regimen.allergies)?,
        orders,
        statements,
        observations: all(&regimen.observations)?,
    })
}

fn invented(scene: &Scene, patient: &LogicalId) -> Known {
    let about = json!({ "reference": format!("Patient/{}", patient.as_str()) });
    let orders = scene.taken.iter().enumerate();
    let orders =
        orders.map(|(at, name)| order(&format!("taken-{}", at + 1), "active", name, patient));
    Known {
        patient: json!({
            "resourceType": "Patient", "id": patient.as_str(), "gender": "male", "birthDate": "1950-01-01",
        }),
        allergies: vec![json!({
            "resourceType": "AllergyIntolerance", "id": "none", "patient": about,
            "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active" }] },
            "code": { "coding": [{ "system": "http://snomed.info/sct", "code": "716186003", "display": "No known allergy" }] },
        })],
        orders: orders.collect(),
        ..Known::default()
    }
}

/// A card of a call of one's own, for saying what became of it.
pub async fn card(
    app: &App,
    caller: &Caller,
    id: Uuid,
) -> Result<(String, super::cards::KeptCard), AppError> {
    let missing = || AppError::not_found("card");
    if !may_play(caller) {
        return Err(missing());
    }
    let call = super::log::by(app, caller, super::log::CARD, id).await?;
    let call = call
        .filter(|own| own.actor == caller.subject.actor().id.as_uuid())
        .ok_or_else(missing)?;
    let card = call.cards.into_iter().find(|own| own.id == id);
    Ok((call.service, card.ok_or_else(missing)?))
}
