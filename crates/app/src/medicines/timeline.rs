//! Every change of every medicine of a patient, in the order of time: each version of each order and
//! statement, what it changed and who signed it. Must not leave out a version: one that is gone is named.

use fhir::json::{Document, Limits, Value};
use identity::Interaction;
use kernel::Timestamp;
use medication::dosage::{Dosage, regimen};
use store::{ChangeKind, HistoryScope, ResourceKey, StoredVersion};

use super::prescribe::resource_type;
use super::regimen::{Held, every};
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;
use crate::record::history::{HistoryRequest, history};
use crate::record::name_of;
use crate::record::plan::CURSOR;
use crate::record::search::{SearchRequest, whole};

/// Most orders and most statements of one patient.
const MOST: u32 = 500;
/// Seconds between a version and the Provenance of its commit.
const APART: i64 = 2;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `MedicationRequest/1`.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// When.
    pub at: Timestamp,
    /// The medicine; none where the version is gone.
    pub medicine: Option<String>,
    /// What changed: label, before, after; before is empty for the first version.
    pub changes: Vec<(&'static str, String, String)>,
    /// Who signed it, where a Provenance says so.
    pub by: Option<String>,
    /// What the Provenance calls it.
    pub activity: Option<String>,
    /// Whether it was deleted or its content destroyed.
    pub gone: bool,
}

/// The history, newest first.
pub async fn timeline(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
) -> Result<Vec<Event>, AppError> {
    let ty = resource_type(app, "MedicationRequest")?;
    authorise(app, caller, &Ask::of_type(Interaction::History, ty)).await?;
    let mut events = Vec::new();
    for ty in ["MedicationRequest", "MedicationStatement"] {
        let (found, _) = every(app, caller, patient, (ty, &[]), MOST).await?;
        for held in found {
            events.extend(of_one(app, caller, &held).await?);
        }
    }
    events.sort_by(|a: &Event, b: &Event| {
        (b.at, &b.name, b.version).cmp(&(a.at, &a.name, a.version))
    });
    Ok(events)
}

/// Every version of a resource, newest first.
async fn versions(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
) -> Result<Vec<StoredVersion>, AppError> {
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let mut params = vec![("_count".to_owned(), "200".to_owned())];
        params.extend(next.take().map(|cursor| (CURSOR.to_owned(), cursor)));
        let request = HistoryRequest {
            scope: HistoryScope::Instance(key.clone()),
            params,
            lenient: false,
        };
        let answer = history(app, caller, &request).await?;
        all.extend(answer.versions);
        if answer.next.is_none() {
            return Ok(all);
        }
        next = answer.next;
    }
}

/// When something was signed, by whom, and what it is called.
type Signed = (Timestamp, Option<String>, Option<String>);

async fn signatures(app: &App, caller: &Caller, name: &str) -> Result<Vec<Signed>, AppError> {
    let request = SearchRequest {
        ty: resource_type(app, "Provenance")?,
        params: vec![("target".to_owned(), name.to_owned())],
        lenient: false,
    };
    let (found, _) = whole(app, caller, &request, MOST).await?;
    let mut signed = Vec::new();
    for version in found {
        let at = version.last_updated();
        let Some(body) = version.body else { continue };
        let document = Document::parse(body.to_vec(), &Limits::default())?;
        let root = document.root();
        let agent = root.get("agent").and_then(|list| list.items().next());
        let who = agent.and_then(|own| own.get("who"));
        let by = who.and_then(|own| text(own, "display").or_else(|| text(own, "reference")));
        let activity = root.get("activity").and_then(|own| text(own, "text"));
        signed.push((at, by, activity));
    }
    Ok(signed)
}

async fn of_one(app: &App, caller: &Caller, held: &Held) -> Result<Vec<Event>, AppError> {
    let name = held.name();
    let mut versions = versions(app, caller, &held.key).await?;
    versions.sort_by_key(|version| version.version);
    let signed = signatures(app, caller, &name).await?;
    let mut before: Option<Vec<(&'static str, String)>> = None;
    let mut events = Vec::new();
    for version in versions {
        let at = version.last_updated();
        let near = |own: &&Signed| own.0.seconds_since(at).abs() <= APART;
        let signature = signed
            .iter()
            .filter(near)
            .min_by_key(|own| own.0.seconds_since(at).abs());
        let mut event = Event {
            name: name_of(&version.key),
            version: version.version.0,
            at,
            medicine: None,
            changes: Vec::new(),
            by: signature.and_then(|own| own.1.clone()),
            activity: signature.and_then(|own| own.2.clone()),
            gone: version.kind == ChangeKind::Delete || version.body.is_none(),
        };
        if let Some(body) = &version.body {
            let document = Document::parse(body.to_vec(), &Limits::default())?;
            let facts = facts(document.root());
            event.medicine = facts.first().map(|(_, text)| text.clone());
            event.changes = changes(before.as_deref(), &facts);
            before = Some(facts);
        }
        events.push(event);
    }
    Ok(events)
}

fn text(value: Value<'_>, member: &str) -> Option<String> {
    value.get_str(member).map(std::borrow::Cow::into_owned)
}

/// The words of a CodeableConcept.
fn concept(value: Value<'_>) -> Option<String> {
    text(value, "text").or_else(|| {
        let mut codes = value.get("coding").into_iter().flat_map(Value::items);
        codes.find_map(|own| text(own, "display").or_else(|| text(own, "code")))
    })
}

/// What a version says, label by label; the medicine first.
fn facts(root: Value<'_>) -> Vec<(&'static str, String)> {
    let none = || "Not recorded".to_owned();
    let coded = root.get("medicationCodeableConcept").and_then(concept);
    let referred = root
        .get("medicationReference")
        .and_then(|own| text(own, "display").or_else(|| text(own, "reference")));
    let list = ["dosageInstruction", "dosage"]
        .iter()
        .find_map(|member| root.get(member));
    let dosages: Option<Vec<Dosage>> =
        list.and_then(|list| list.items().map(|one| Dosage::read(one).ok()).collect());
    let dosage = match dosages {
        Some(dosages) if !dosages.is_empty() => regimen(&dosages).text,
        // What cannot be read is said, not left out.
        None if list.is_some() => "Cannot be read: see the version".to_owned(),
        _ => none(),
    };
    let reason = root.get("statusReason").and_then(concept);
    let extensions = root.get("extension").into_iter().flat_map(Value::items);
    let review = extensions
        .filter(|own| {
            own.get_str("url")
                .is_some_and(|url| url.ends_with("/order-review"))
        })
        .find_map(|own| text(own, "valueDate"));
    vec![
        ("Medicine", coded.or(referred).unwrap_or_else(none)),
        ("Status", text(root, "status").unwrap_or_else(none)),
        ("Reason", reason.unwrap_or_default()),
        ("Dosage", dosage),
        ("Review", review.unwrap_or_default()),
    ]
}

fn changes(
    before: Option<&[(&'static str, String)]>,
    after: &[(&'static str, String)],
) -> Vec<(&'static str, String, String)> {
    after
        .iter()
        .filter_map(|(label, now)| {
            let then = before
                .and_then(|list| list.iter().find(|(own, _)| own == label))
                .map(|(_, text)| text.as_str())
                .unwrap_or_default();
            (then != now).then(|| (*label, then.to_owned(), now.clone()))
        })
        .collect()
}
