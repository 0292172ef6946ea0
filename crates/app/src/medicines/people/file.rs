//! `Patient/[id]/$medicines-paper`: an assessment or a decision is filed, with who made it, when and until
//! when it holds. A resident who lacks capacity has somebody who is responsible: without one the
//! assessment is not filed.

use bytes::Bytes;
use identity::Interaction;
use kernel::{ActorKind, Timestamp, ZoneName};
use medication::administration::{PaperKind, SelfLevel};
use medication::dosage::Moment;
use medication::resources::PAPERS;
use serde_json::{Value, json};
use store::{Guard, ResourceKey};

use super::super::issue::set;
use super::super::prescribe::{resource_type, signer, stored};
use super::super::regimen::every;
use super::carers::carers;
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::AppError;
use crate::idempotency;
use crate::record::bundle::{BundleAnswer, guarded};
use crate::record::name_of;
use crate::retry::Retry;

/// The start of the addresses of extensions.
const BASE: &str = "https://theriac.example.org/fhir/StructureDefinition/";
/// Most orders of one patient.
const MOST: u32 = 2_000;

/// A paper to be filed.
#[derive(Debug, Clone)]
pub struct NewPaper {
    /// What it is about.
    pub kind: PaperKind,
    /// `has-capacity`, `lacks-capacity`; `permit`, `deny`; a level of taking medicines alone.
    pub finding: String,
    /// The orders it is about: `MedicationRequest/1`. None: every medicine.
    pub orders: Vec<String>,
    /// When it was found or decided, a day or an instant; now.
    pub when: Option<String>,
    /// The last day on which it holds without being looked at again.
    pub review: Option<String>,
    /// Who found or decided it: a FHIR Reference; the caller.
    pub by: Option<Value>,
    /// Who else took part, in words.
    pub parties: Vec<String>,
    /// How the pharmacist says it is given.
    pub method: Option<String>,
    /// The pharmacist: a FHIR Reference.
    pub pharmacist: Option<Value>,
    /// Anything else.
    pub note: Option<String>,
}

fn refuse<T>(text: &str) -> Result<T, AppError> {
    Err(AppError::Unprocessable(text.to_owned()))
}

/// Files a paper; the answer names it.
pub async fn file(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
    paper: &NewPaper,
) -> Result<(String, BundleAnswer), AppError> {
    // Whoever may not decide for a resident does not file what decides; remedies are agreed by a prescriber.
    let agrees = paper.kind == PaperKind::HomelyRemedies && paper.finding != "deny";
    let prescribes = agrees.then_some("MedicationRequest");
    for ty in ["Consent", paper.kind.resource()]
        .into_iter()
        .chain(prescribes)
    {
        let ty = resource_type(app, ty)?;
        authorise(app, caller, &Ask::of_type(Interaction::Create, ty)).await?;
    }
    if caller.subject.actor().kind != ActorKind::User {
        return refuse("a program assesses nobody: let somebody sign in");
    }
    let zone = caller.tenant.time_zone.as_ref();
    let zone = ZoneName::zone(zone.unwrap_or(&app.settings().time_zone));
    let checked = paper.checked(app.now(), &zone)?;
    let bound = format!("{paper:?}");
    let operation = format!("paper {}", name_of(patient));
    let request = idempotency::Request::of(caller, &operation, bound.as_bytes());
    let mut retry = Retry::new();
    loop {
        let guards = surroundings(app, caller, patient, (paper, &zone)).await?;
        let bundle = transaction(app, caller, patient, (paper, &checked));
        match guarded(app, caller, bundle, request.clone(), guards).await {
            Ok(bundle) => return Ok((stored(&bundle, paper.kind.resource())?, bundle)),
            Err(AppError::Conflict(_)) if retry.again().await => {}
            Err(error) => return Err(error),
        }
    }
}

/// Where a kind of paper is kept.
trait Kept {
    /// The resource type.
    fn resource(self) -> &'static str;
}

impl Kept for PaperKind {
    fn resource(self) -> &'static str {
        match self {
            Self::Capacity => "Observation",
            Self::CovertAdministration | Self::SelfAdministration | Self::HomelyRemedies => {
                "Consent"
            }
        }
    }
}

/// What a paper rests on: its orders are the patient's, and somebody is responsible for who lacks capacity.
async fn surroundings(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
    (paper, zone): (&NewPaper, &jiff::tz::TimeZone),
) -> Result<Vec<Guard>, AppError> {
    let patients = [patient.id.clone()];
    let ask = Ask::record(Interaction::Read, patient, &patients);
    let allowed = authorise(app, caller, &ask).await?;
    let query = format!("{}/$medicines-paper", name_of(patient));
    let look = Look {
        class: ledger::leaf::Class::Search,
        object: None,
        query: Some(&query),
        patients: &patients,
        allowed: &allowed,
    };
    let entries = look_entries(app, caller, &look);
    app.store().record_access(&caller.scope, entries).await?;
    let mut guards = Vec::new();
    if !paper.orders.is_empty() {
        let asked = ("MedicationRequest", [].as_slice());
        let (held, _) = every(app, caller, patient, asked, MOST).await?;
        for order in &paper.orders {
            if !held.iter().any(|own| own.name() == *order) {
                return refuse("an order is none of this patient: name one of theirs");
            }
        }
    }
    if paper.kind == PaperKind::Capacity && paper.finding == LACKS {
        let (found, own) = carers(app, caller, patient, (zone, app.now())).await?;
        if !found.iter().any(|own| own.active) {
            return refuse(
                "nobody is responsible for this patient: record an active RelatedPerson or CareTeam, then the assessment",
            );
        }
        guards.extend(own);
    }
    Ok(guards)
}

/// Found to lack capacity.
const LACKS: &str = "lacks-capacity";

/// The times of a paper, as they are written.
struct Checked {
    when: String,
    review: Option<String>,
}

impl NewPaper {
    fn checked(&self, now: Timestamp, zone: &jiff::tz::TimeZone) -> Result<Checked, AppError> {
        let finding = self.finding.as_str();
        let known = match self.kind {
            PaperKind::Capacity => ["has-capacity", LACKS].contains(&finding),
            PaperKind::CovertAdministration | PaperKind::HomelyRemedies => {
                ["permit", "deny"].contains(&finding)
            }
            PaperKind::SelfAdministration => SelfLevel::of(finding).is_some(),
        };
        if !known {
            return refuse(match self.kind {
                PaperKind::Capacity => "finding is none: send has-capacity or lacks-capacity",
                PaperKind::CovertAdministration | PaperKind::HomelyRemedies => {
                    "finding is none: send permit or deny"
                }
                PaperKind::SelfAdministration => {
                    "finding is no level: send staff-give, supervised, checked or independent"
                }
            });
        }
        let moment = |text: &str, what: &str| {
            Moment::parse(text).ok_or_else(|| {
                AppError::Unprocessable(format!(
                    "{what} is no day: send one as 2026-03-05, or an instant with an offset"
                ))
            })
        };
        let when = match &self.when {
            Some(text) => moment(text, "when")?,
            None => moment(&now.to_fhir_instant(), "when")?,
        };
        let start = when.starts(zone);
        if start > now {
            return refuse("when lies ahead: file what was found or decided already");
        }
        let review = self.review.as_deref().map(|own| moment(own, "review"));
        let review = review.transpose()?;
        if let Some(review) = &review
            && review.ends(zone) <= start.max(now)
        {
            return refuse("review lies behind: state a day that comes");
        }
        self.covert(review.is_some())?;
        self.homely(review.is_some())?;
        if self.kind == PaperKind::SelfAdministration && review.is_none() {
            return refuse("review is missing: state the day by which it is assessed again");
        }
        Ok(Checked {
            when: when.text,
            review: review.map(|own| own.text),
        })
    }

    fn covert(&self, reviewed: bool) -> Result<(), AppError> {
        if self.kind != PaperKind::CovertAdministration {
            if self.method.is_some() || self.pharmacist.is_some() {
                return refuse("a method belongs to covert-administration: leave it out");
            }
            return Ok(());
        }
        if self.orders.is_empty() {
            return refuse("order is missing: covert administration is decided for each medicine");
        }
        if self.finding == "permit" && !reviewed {
            return refuse("review is missing: state the day by which it is decided again");
        }
        let blank = |text: &Option<String>| text.as_deref().is_none_or(|own| own.trim().is_empty());
        if blank(&self.method) != self.pharmacist.is_none() {
            return refuse("a method has its pharmacist: send method and pharmacist together");
        }
        Ok(())
    }

    fn homely(&self, reviewed: bool) -> Result<(), AppError> {
        if self.kind != PaperKind::HomelyRemedies {
            return Ok(());
        }
        if self.by.is_some() && self.finding == "permit" {
            return refuse("who agrees to homely remedies signs in and files it: leave by out");
        }
        if self.orders.is_empty() {
            return refuse("order is missing: name the remedies that are agreed");
        }
        if self.finding == "permit" && !reviewed {
            return refuse("review is missing: state the day by which it is agreed again");
        }
        Ok(())
    }

    fn orders(&self) -> impl Iterator<Item = Value> {
        let own = self.orders.iter();
        own.map(|name| json!({ "reference": name }))
    }

    fn party(&self) -> Vec<Value> {
        let own = self.parties.iter();
        own.map(|who| json!({ "url": format!("{BASE}paper-party"), "valueString": who }))
            .collect()
    }
}

fn coded(code: &str) -> Value {
    json!({ "coding": [{ "system": PAPERS, "code": code }] })
}

fn observation(paper: &NewPaper, patient: &str, times: &Checked, by: &Value) -> Value {
    let mut extensions = paper.party();
    if let Some(review) = &times.review {
        extensions.push(json!({ "url": format!("{BASE}paper-review"), "valueDateTime": review }));
    }
    let mut own = json!({
        "resourceType": "Observation", "status": "final",
        "code": coded(paper.kind.code()),
        "subject": { "reference": patient },
        "effectiveDateTime": times.when,
        "performer": [by],
        "valueCodeableConcept": coded(&paper.finding),
    });
    if !extensions.is_empty() {
        set(&mut own, "extension", extensions);
    }
    let orders: Vec<Value> = paper.orders().collect();
    if !orders.is_empty() {
        set(&mut own, "basedOn", orders);
    }
    if let Some(note) = &paper.note {
        set(&mut own, "note", json!([{ "text": note }]));
    }
    own
}

fn consent(paper: &NewPaper, patient: &str, times: &Checked, by: &Value) -> Value {
    let mut extensions = paper.party();
    if let Some(method) = &paper.method {
        extensions.push(json!({ "url": format!("{BASE}covert-method"), "valueString": method }));
    }
    if let Some(note) = &paper.note {
        let url = format!("{BASE}paper-note");
        extensions.push(json!({ "url": url, "valueString": note }));
    }
    let mut provision = json!({
        "type": if paper.finding == "deny" { "deny" } else { "permit" },
    });
    if let Some(review) = &times.review {
        set(
            &mut provision,
            "period",
            json!({ "start": times.when, "end": review }),
        );
    }
    if paper.kind == PaperKind::SelfAdministration {
        set(&mut provision, "code", json!([coded(&paper.finding)]));
    }
    let mut actors = vec![];
    if let Some(pharmacist) = &paper.pharmacist {
        actors.push(json!({ "role": coded("method-by"), "reference": pharmacist }));
    }
    if !actors.is_empty() {
        set(&mut provision, "actor", actors);
    }
    let data = paper.orders();
    let data: Vec<Value> = data
        .map(|own| json!({ "meaning": "instance", "reference": own }))
        .collect();
    if !data.is_empty() {
        set(&mut provision, "data", data);
    }
    let mut own = json!({
        "resourceType": "Consent", "status": "active",
        "scope": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "treatment",
        }]},
        "category": [coded(paper.kind.code())],
        "patient": { "reference": patient },
        "dateTime": times.when,
        "performer": [by],
        "policyRule": { "text": "Agreed by those who decide for or with the patient" },
        "provision": provision,
    });
    if !extensions.is_empty() {
        set(&mut own, "extension", extensions);
    }
    own
}

/// The address a paper has inside its transaction.
const PAPER: &str = "urn:uuid:6f1f0a1e-0d5c-4f0e-9c43-0b1c7a1f0002";

fn transaction(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
    (paper, times): (&NewPaper, &Checked),
) -> Bytes {
    let by = paper.by.clone().unwrap_or_else(|| signer(caller));
    let patient = name_of(patient);
    let ty = paper.kind.resource();
    let resource = match paper.kind {
        PaperKind::Capacity => observation(paper, &patient, times, &by),
        PaperKind::CovertAdministration
        | PaperKind::SelfAdministration
        | PaperKind::HomelyRemedies => consent(paper, &patient, times, &by),
    };
    let agent = |code: &str, who: Value| {
        json!({ "type": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": code,
        }]}, "who": who })
    };
    let provenance = json!({
        "resourceType": "Provenance",
        "target": [{ "reference": PAPER }, { "reference": patient }],
        "recorded": app.now().to_fhir_instant(),
        "activity": { "text": "Filed a paper of the resident" },
        "agent": [agent("enterer", signer(caller)), agent("author", by)],
    });
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "fullUrl": PAPER, "request": { "method": "POST", "url": ty }, "resource": resource },
        { "request": { "method": "POST", "url": "Provenance" }, "resource": provenance },
    ]});
    bundle.to_string().into()
}
