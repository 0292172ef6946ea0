//! The facts that a call rests on: this record's, where the caller names it as the patient's record; else
//! what was sent beforehand or could be fetched from the caller's. Kept with the call, so that it can be
//! repeated. Must not mix two records, and must not leave out what is missing: each gap is named.

use std::collections::BTreeSet;

use fhir::json::{Document, Limits, Value};
use kernel::{Category, LogicalId, VersionId};
use serde::{Deserialize, Serialize};
use store::ResourceKey;

use super::request::{About, Request, name, problem};
use super::services::{REQUIRED, Service};
use super::{base, remote};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::regimen::{self, Held, Medications, Regimen};
use crate::record::read;

/// Whose record the facts are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// This one.
    Ours,
    /// The caller's.
    Theirs,
}

/// A resource with its name here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct One {
    name: String,
    version: u32,
    text: String,
}

/// An order that is looked at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Proposed {
    /// `MedicationRequest/1`, by the caller's id; none where it has no id.
    pub name: Option<String>,
    text: String,
}

/// The facts of a call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    pub side: Side,
    patient: One,
    allergies: Vec<One>,
    medicines: Vec<One>,
    observations: Vec<One>,
    medications: Vec<(String, String)>,
    pub proposed: Vec<Proposed>,
    /// What could not be had, in words.
    pub gaps: Vec<String>,
}

/// The facts as the checks take them.
pub(super) struct Opened {
    pub regimen: Regimen,
    pub proposed: Vec<Document>,
}

impl Kept {
    /// Reads them.
    pub fn open(&self, app: &App) -> Result<Opened, AppError> {
        let all = |list: &[One]| -> Result<Vec<Held>, AppError> {
            list.iter().map(|own| held(app, own)).collect()
        };
        let mut medications = Medications::default();
        for (name, text) in &self.medications {
            medications.put(name.clone(), parsed(text)?);
        }
        let proposed: Result<Vec<Document>, AppError> =
            self.proposed.iter().map(|own| parsed(&own.text)).collect();
        Ok(Opened {
            regimen: Regimen {
                patient: held(app, &self.patient)?,
                allergies: all(&self.allergies)?,
                medicines: all(&self.medicines)?,
                observations: all(&self.observations)?,
                medications,
                guards: Vec::new(),
            },
            proposed: proposed?,
        })
    }

    /// The patient's id, by whoever's record it is.
    pub fn patient(&self) -> &str {
        self.patient
            .name
            .strip_prefix("Patient/")
            .unwrap_or_default()
    }
}

fn parsed(text: &str) -> Result<Document, AppError> {
    Ok(Document::parse(
        text.as_bytes().to_vec(),
        &Limits::default(),
    )?)
}

fn held(app: &App, own: &One) -> Result<Held, AppError> {
    let broken = || AppError::Fault("a kept fact has no name".to_owned());
    let (ty, id) = own.name.split_once('/').ok_or_else(broken)?;
    let key = ResourceKey {
        ty: app.definitions().resource(ty).ok_or_else(broken)?,
        id: id.parse::<LogicalId>().map_err(|_| broken())?,
    };
    Ok(Held {
        key,
        version: VersionId(own.version),
        document: parsed(&own.text)?,
    })
}

fn text(value: Value<'_>) -> String {
    String::from_utf8_lossy(value.raw()).into_owned()
}

/// Whether the caller says that the patient is one of this record.
fn is_ours(caller: &Caller, request: &Request<'_>) -> bool {
    let server = request.server.as_deref();
    server.is_some_and(|server| server == &*caller.context.base)
}

/// Gathers what a call rests on. `reads`: whether the caller may read this record at all.
pub(super) async fn gather(
    app: &App,
    caller: &Caller,
    service: &Service,
    request: &Request<'_>,
    reads: bool,
) -> Result<Kept, AppError> {
    if let About::Drafts { drafts, .. } | About::Appointments(drafts) = &request.about {
        for draft in drafts {
            whose(*draft, request)?;
        }
    }
    let mut kept = if reads && is_ours(caller, request) {
        ours(app, caller, service, request).await?
    } else {
        Gathering::of(app, request).theirs(service).await?
    };
    drafts(&mut kept, request);
    if kept.side == Side::Ours {
        referred(app, caller, &mut kept).await?;
    }
    Ok(kept)
}

/// This record's facts.
async fn ours(
    app: &App,
    caller: &Caller,
    service: &Service,
    request: &Request<'_>,
) -> Result<Kept, AppError> {
    let key = app.patient_key(&request.patient);
    let purpose = format!("cds-services/{}", service.id);
    let regimen = regimen::load(app, caller, &key, &purpose).await?;
    let one = |held: &Held| One {
        name: held.name(),
        version: held.version.0,
        text: text(held.root()),
    };
    let all = |list: &[Held]| list.iter().map(one).collect();
    let mut kept = Kept {
        side: Side::Ours,
        patient: one(&regimen.patient),
        allergies: all(&regimen.allergies),
        medicines: all(&regimen.medicines),
        observations: all(&regimen.observations),
        medications: Vec::new(),
        proposed: Vec::new(),
        gaps: Vec::new(),
    };
    put(&mut kept.medications, &regimen.medications);
    if let About::Dispatch { orders, .. } = &request.about {
        for order in orders {
            let Some(id) = order.strip_prefix("MedicationRequest/") else {
                continue;
            };
            let key = ResourceKey {
                ty: crate::medicines::prescribe::resource_type(app, "MedicationRequest")?,
                id: id
                    .parse()
                    .map_err(|_| AppError::not_found(order.as_str()))?,
            };
            let found = read::read(app, caller, &key).await?;
            let Some(body) = found.body else { continue };
            let document = Document::parse(body.to_vec(), &Limits::default())?;
            whose(document.root(), request)?;
            kept.proposed.push(Proposed {
                name: Some(order.clone()),
                text: text(document.root()),
            });
        }
        leave_out_proposed(&mut kept);
    }
    Ok(kept)
}

fn put(kept: &mut Vec<(String, String)>, medications: &Medications) {
    let own = medications.each();
    let own = own.map(|(name, value)| (name.to_owned(), text(value)));
    let mut found: Vec<(String, String)> = own.collect();
    found.sort();
    for one in found {
        if !kept.iter().any(|(name, _)| *name == one.0) {
            kept.push(one);
        }
    }
}

/// The Medication resources of this record that drafts refer to.
async fn referred(app: &App, caller: &Caller, kept: &mut Kept) -> Result<(), AppError> {
    if kept.proposed.is_empty() {
        return Ok(());
    }
    let opened = kept.open(app)?;
    let roots: Vec<Value<'_>> = opened.proposed.iter().map(Document::root).collect();
    let mut regimen = opened.regimen;
    regimen::extend(app, caller, &mut regimen, &roots).await?;
    put(&mut kept.medications, &regimen.medications);
    Ok(())
}

/// The drafts of a request: what is proposed, and what else is about to be ordered.
fn drafts(kept: &mut Kept, request: &Request<'_>) {
    let About::Drafts { drafts, selections } = &request.about else {
        return;
    };
    for (at, draft) in drafts.iter().enumerate() {
        let own = name(*draft);
        match draft.get_str("resourceType").as_deref() {
            Some("Medication") => {
                if let Some(own) = own {
                    kept.medications.retain(|(name, _)| *name != own);
                    kept.medications.push((own, text(*draft)));
                }
            }
            Some("MedicationRequest") => {
                let selected = selections
                    .as_ref()
                    .is_none_or(|list| own.as_ref().is_some_and(|own| list.contains(own)));
                if selected {
                    kept.proposed.push(Proposed {
                        name: own,
                        text: text(*draft),
                    });
                } else {
                    let name = own.unwrap_or_else(|| format!("MedicationRequest/draft-{at}"));
                    kept.medicines.retain(|held| held.name != name);
                    kept.medicines.push(One {
                        name,
                        version: 1,
                        text: text(*draft),
                    });
                }
            }
            _ => {}
        }
    }
    leave_out_proposed(kept);
}

/// An order is not compared with itself.
fn leave_out_proposed(kept: &mut Kept) {
    let proposed = &kept.proposed;
    kept.medicines.retain(|held| {
        let mut own = proposed.iter();
        !own.any(|one| one.name.as_deref() == Some(held.name.as_str()))
    });
}

/// Refuses a resource of somebody else: two patients' facts must never meet.
fn whose(resource: Value<'_>, request: &Request<'_>) -> Result<(), AppError> {
    let about = ["subject", "patient"]
        .iter()
        .find_map(|member| resource.get(member)?.get_str("reference"));
    let other = about.is_some_and(|about| {
        let id = about.rsplit_once("Patient/").map(|(_, id)| id);
        let id = id.map(|id| id.split('/').next().unwrap_or(id));
        id.is_some_and(|id| id != request.patient.as_str())
    });
    if !other {
        return Ok(());
    }
    let name = name(resource).unwrap_or_else(|| "a resource".to_owned());
    Err(AppError::Invalid(format!(
        "{name} is of another patient than context.patientId: send what belongs to one patient"
    )))
}

/// The facts of the caller's record in the making.
struct Gathering<'a> {
    app: &'a App,
    request: &'a Request<'a>,
    /// Resources by type, as they were sent.
    found: Vec<(String, One)>,
    unnamed: usize,
    gaps: Vec<String>,
}

impl<'a> Gathering<'a> {
    fn of(app: &'a App, request: &'a Request<'a>) -> Self {
        Self {
            app,
            request,
            found: Vec::new(),
            unnamed: 0,
            gaps: Vec::new(),
        }
    }

    async fn theirs(mut self, service: &Service) -> Result<Kept, AppError> {
        for (key, template) in service.prefetch {
            let sent = self.request.prefetch.iter().find(|(own, _)| own == key);
            let Some(path) = filled(template, self.request) else {
                continue;
            };
            let failed = match sent {
                Some((_, value)) => self.take(key, *value).await?,
                None => match remote::fetch(self.app, self.request, &path).await {
                    Ok(pages) => {
                        for page in &pages {
                            // The next page is in the list already.
                            self.entries(key, page.root())?;
                        }
                        None
                    }
                    Err(why) => Some(why),
                },
            };
            if let Some(why) = failed {
                if *key == REQUIRED {
                    return Err(AppError::Ruled {
                        category: Category::Stale,
                        text: format!(
                            "the medicines of the patient could not be had: {why}. Send prefetch.{REQUIRED}, or fhirServer with fhirAuthorization"
                        ),
                    });
                }
                self.gaps.push(format!("{}: {why}", spoken(key)));
            }
        }
        self.medications().await;
        Ok(self.kept())
    }

    /// Takes what was sent for a key; what is the matter with it where it cannot be used.
    async fn take(&mut self, key: &str, value: Value<'_>) -> Result<Option<String>, AppError> {
        match value.get_str("resourceType").as_deref() {
            Some("OperationOutcome") => {
                return Ok(Some(format!(
                    "the caller could not send it: {}",
                    said(value)
                )));
            }
            Some("Bundle") => {
                self.entries(key, value)?;
                if let Some(next) = remote::next(value) {
                    let server = self.request.server.as_deref().unwrap_or_default();
                    let path = next
                        .strip_prefix(server)
                        .and_then(|own| own.strip_prefix('/'));
                    let Some(path) = path else {
                        return Ok(Some("the list that was sent is cut short".to_owned()));
                    };
                    match remote::fetch(self.app, self.request, path).await {
                        Ok(pages) => {
                            for page in &pages {
                                self.entries(key, page.root())?;
                            }
                        }
                        Err(why) => {
                            return Ok(Some(format!("the list that was sent is cut short: {why}")));
                        }
                    }
                }
            }
            _ => self.one(key, value)?,
        }
        Ok(None)
    }

    fn entries(&mut self, key: &str, bundle: Value<'_>) -> Result<(), AppError> {
        if bundle.get_str("resourceType").as_deref() != Some("Bundle") {
            return self.one(key, bundle);
        }
        let entries = bundle.get("entry").into_iter().flat_map(Value::items);
        for entry in entries {
            if let Some(resource) = entry.get("resource") {
                self.one(key, resource)?;
            }
        }
        Ok(())
    }

    fn one(&mut self, key: &str, resource: Value<'_>) -> Result<(), AppError> {
        let ty = resource.get_str("resourceType").unwrap_or_default();
        let expected = type_of(key);
        match &*ty {
            "OperationOutcome" => {
                self.gaps
                    .push(format!("{}: {}", spoken(key), said(resource)));
                return Ok(());
            }
            "Medication" => {}
            other if other == expected => {}
            other => {
                let shown: String = other.chars().take(60).collect();
                return Err(AppError::Invalid(format!(
                    "prefetch.{key} holds a {shown:?} where {expected} was asked for: send what the template asks"
                )));
            }
        }
        whose(resource, self.request)?;
        if expected == "Patient"
            && resource
                .get_str("id")
                .is_some_and(|id| *id != *self.request.patient.as_str())
        {
            return Err(AppError::Invalid(
                "prefetch.patient is another patient than context.patientId: send one".to_owned(),
            ));
        }
        let id = resource
            .get_str("id")
            .filter(|id| id.parse::<LogicalId>().is_ok());
        let name = id.map_or_else(
            || {
                self.unnamed += 1;
                format!("{ty}/sent-{}", self.unnamed)
            },
            |id| format!("{ty}/{id}"),
        );
        if let Some(why) = problem(resource) {
            self.gaps.push(format!(
                "{name} as it was sent is no valid FHIR R4 ({why}): it counts as far as it can be read"
            ));
        }
        // The later one counts.
        self.found.retain(|(_, own)| own.name != name);
        self.found.push((
            ty.into_owned(),
            One {
                name,
                version: 1,
                text: text(resource),
            },
        ));
        Ok(())
    }

    /// Medication resources that orders refer to and nobody sent.
    async fn medications(&mut self) {
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        let held: Vec<Document> = self
            .found
            .iter()
            .filter_map(|(_, own)| parsed(&own.text).ok())
            .collect();
        wanted.extend(regimen::referred(held.iter().map(Document::root)));
        if let About::Drafts { drafts, .. } = &self.request.about {
            let own = drafts.iter().copied();
            let there = own.clone().filter_map(name).collect::<BTreeSet<_>>();
            wanted.extend(regimen::referred(own));
            wanted.retain(|id| !there.contains(&format!("Medication/{id}")));
        }
        for id in wanted {
            let reference = format!("Medication/{id}");
            if self.found.iter().any(|(_, own)| own.name == reference)
                || id.parse::<LogicalId>().is_err()
            {
                continue;
            }
            match remote::fetch(self.app, self.request, &reference).await {
                Ok(pages) => {
                    for page in pages {
                        let own = One {
                            name: reference.clone(),
                            version: 1,
                            text: text(page.root()),
                        };
                        self.found.push(("Medication".to_owned(), own));
                    }
                }
                Err(why) => self.gaps.push(format!("{reference}: {why}")),
            }
        }
    }

    fn kept(self) -> Kept {
        let patient = self.request.patient.as_str();
        let mut kept = Kept {
            side: Side::Theirs,
            patient: One {
                name: format!("Patient/{patient}"),
                version: 1,
                text: r#"{"resourceType":"Patient"}"#.to_owned(),
            },
            allergies: Vec::new(),
            medicines: Vec::new(),
            observations: Vec::new(),
            medications: Vec::new(),
            proposed: Vec::new(),
            gaps: self.gaps,
        };
        let mut statements = Vec::new();
        for (ty, own) in self.found {
            match ty.as_str() {
                "Patient" => kept.patient.text = own.text,
                "AllergyIntolerance" => kept.allergies.push(own),
                "Observation" => kept.observations.push(own),
                "Medication" => kept.medications.push((own.name, own.text)),
                "MedicationRequest" => kept.medicines.push(own),
                "MedicationStatement" => statements.push(own),
                _ => {}
            }
        }
        dispatched(&mut kept, self.request);
        let in_force = |own: &One| parsed(&own.text).is_ok_and(|own| in_force(own.root()));
        kept.medicines.retain(in_force);
        let known: BTreeSet<String> = kept.medicines.iter().map(|own| own.name.clone()).collect();
        statements.retain(|own| {
            in_force(own)
                && parsed(&own.text).is_ok_and(|own| !regimen::rests_on(own.root(), &known))
        });
        kept.medicines.extend(statements);
        kept
    }
}

/// The orders that are sent out, from what was sent of orders.
fn dispatched(kept: &mut Kept, request: &Request<'_>) {
    let About::Dispatch { orders, .. } = &request.about else {
        return;
    };
    for order in orders {
        if !order.starts_with("MedicationRequest/") {
            continue;
        }
        match kept.medicines.iter().find(|own| own.name == *order) {
            Some(own) => kept.proposed.push(Proposed {
                name: Some(order.clone()),
                text: own.text.clone(),
            }),
            None => kept.gaps.push(format!("{order}: it was not sent")),
        }
    }
    leave_out_proposed(kept);
}

/// Whether something is taken now; what does not say counts.
fn in_force(resource: Value<'_>) -> bool {
    let status = resource.get_str("status");
    matches!(status.as_deref(), None | Some("active" | "unknown")) && regimen::is_order(resource)
}

/// A template with the values of the request; none where the request has none of what it names.
fn filled(template: &str, request: &Request<'_>) -> Option<String> {
    let orders = match &request.about {
        About::Dispatch { orders, .. } => {
            let own = orders
                .iter()
                .filter_map(|own| own.strip_prefix("MedicationRequest/"));
            own.collect::<Vec<_>>().join(",")
        }
        _ => String::new(),
    };
    let orders_named = template.contains("dispatchedOrders");
    if orders_named && orders.is_empty() {
        return None;
    }
    let filled = template
        .replace("{{context.patientId}}", request.patient.as_str())
        .replace("{{context.dispatchedOrders.MedicationRequest.id}}", &orders)
        // `|` is none of the letters of a query.
        .replace('|', "%7C");
    Some(filled)
}

/// The type that a key asks for.
fn type_of(key: &str) -> &'static str {
    match key {
        "patient" => "Patient",
        "allergies" => "AllergyIntolerance",
        "medicationStatements" => "MedicationStatement",
        "observations" => "Observation",
        _ => "MedicationRequest",
    }
}

/// What a key stands for, in words.
fn spoken(key: &str) -> &'static str {
    match key {
        "patient" => "age and sex of the patient",
        "allergies" => "allergies",
        "medicationStatements" => "medicines that are not prescribed",
        "observations" => "weight, renal function and pregnancy",
        "orders" => "the orders that are sent out",
        _ => "medicines",
    }
}

/// The words of an OperationOutcome.
fn said(outcome: Value<'_>) -> String {
    let issues = outcome.get("issue").into_iter().flat_map(Value::items);
    let words = issues.filter_map(|own| {
        let details = own.get("details").and_then(|own| own.get_str("text"));
        details.or_else(|| own.get_str("diagnostics"))
    });
    let words: Vec<_> = words.take(3).collect();
    let mut text = words.join("; ");
    text.truncate(text.floor_char_boundary(300));
    if text.is_empty() {
        text.push_str("it says no reason");
    }
    text
}

/// Whether the facts are of this record, for links.
pub(super) fn page(caller: &Caller, kept: &Kept) -> Option<String> {
    let base = base(&caller.context);
    (kept.side == Side::Ours).then(|| format!("{base}/patients/{}/medicines", kept.patient()))
}
