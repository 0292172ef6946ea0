//! Any resource: its fields and JSON, its history with differences, and lists of a type. Must not show a
//! deleted or erased version as if it had content.

use app::record::history::{HistoryAnswer, HistoryRequest, history as history_of};
use app::record::search::CURSOR;
use app::record::{query_string, read, render};
use app::{AppError, Caller, ChangeKind, HistoryScope, ResourceKey, StoredVersion};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use fhir::json::{Document, Value};
use identity::Interaction;
use kernel::{LogicalId, VersionId};

use super::answer::{self, sentence};
use super::found::{find, parse};
use super::summary::{banner, key, patient_id};
use super::visit::Visit;
use super::{last, named};
use crate::clinical::{Banner, When, code};
use crate::components::{Cell, Paging, Table, Tone};
use crate::diff;
use crate::narrative::Narrative;
use crate::pages::access::ListPage;
use crate::pages::record::{Comparison, HistoryPage, Line, ResourcePage};
use crate::xml;

/// The patient a resource names: itself, or its `subject` or `patient`.
fn patient_of(type_name: &str, id: &LogicalId, document: &Document) -> Option<LogicalId> {
    if type_name == "Patient" {
        return Some(id.clone());
    }
    let root = document.root();
    ["subject", "patient", "beneficiary"]
        .iter()
        .find_map(|member| {
            let target = code::text(root.get(member)?, "reference")?;
            target
                .strip_prefix("Patient/")?
                .split('/')
                .next()?
                .parse()
                .ok()
        })
}

/// Reads a resource, with the purpose of emergency access where that is in force for its patient. The
/// patient of a resource that may not be read is not known: then each grant in force is tried.
async fn readable(
    visit: &Visit,
    key: &ResourceKey,
    version: Option<VersionId>,
) -> Result<(StoredVersion, Caller), AppError> {
    let caller = visit.caller.clone();
    match read_one(visit, &caller, key, version).await {
        Err(AppError::Denied { .. } | AppError::NotFound { .. })
            if visit.caller.subject.may_break_glass() =>
        {
            let caller = visit.with_purpose(kernel::PurposeOfUse::EmergencyTreatment);
            Ok((read_one(visit, &caller, key, version).await?, caller))
        }
        other => Ok((other?, caller)),
    }
}

async fn read_one(
    visit: &Visit,
    caller: &Caller,
    key: &ResourceKey,
    version: Option<VersionId>,
) -> Result<StoredVersion, AppError> {
    match version {
        Some(version) => read::vread(visit.app(), caller, key, version).await,
        None => read::read(visit.app(), caller, key).await,
    }
}

/// The page.
pub async fn page(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = show(&visit, named(&params, "type"), named(&params, "id")).await;
    visit.answer(result)
}

async fn show(visit: &Visit, type_name: &str, id: &str) -> Result<Response, AppError> {
    let key = key(visit, type_name, id)?;
    let asked = visit.query.text("version");
    let asked = (!asked.is_empty())
        .then(|| {
            asked
                .parse::<VersionId>()
                .map_err(|error| AppError::Invalid(error.to_string()))
        })
        .transpose()?;
    let (version, _) = readable(visit, &key, asked).await?;
    let document = parse(&version)?.ok_or_else(|| AppError::Gone {
        what: format!("{type_name}/{id}"),
        version: Some(version.version),
        erased: version.erased,
    })?;
    let patient = patient_of(type_name, &key.id, &document);
    let base = visit.href(&format!("/records/{type_name}/{id}"));
    let shell = match &patient {
        Some(patient) => visit.shell_about(type_name, patient),
        None => visit.shell(type_name),
    };
    let is_xml = visit.query.text("format") == "xml";
    let shown = ResourcePage {
        shell,
        banner: banner_of(visit, patient.as_ref()).await,
        patient_href: patient_href(visit, patient.as_ref()),
        type_name: type_name.to_owned(),
        id: id.to_owned(),
        version: version.version.to_string(),
        current: asked.is_none(),
        updated: When::at(version.last_updated(), visit.zone()),
        narrative: narrative_of(document.root()),
        groups: groups(visit, document.root()),
        format: if is_xml { "XML" } else { "JSON" },
        formats: vec![other_format(visit, is_xml)],
        source: source(document.root(), is_xml),
        history_href: format!("{base}/history"),
        ledger_href: ledger_href(visit, patient.as_ref(), &version),
        fhir_href: format!("{}/{type_name}/{id}", visit.caller.context.base),
    };
    Ok(answer::page(StatusCode::OK, &shown))
}

/// The narrative; a contained resource's is left to its fields.
fn narrative_of(root: Value<'_>) -> Option<Narrative> {
    Narrative::of(&code::text(root.get("text")?, "div")?)
}

/// The fields in groups, with references as links to where they lead in this organisation.
fn groups(visit: &Visit, root: Value<'_>) -> Vec<(String, Vec<Line>)> {
    let line = |(path, text): (String, String)| {
        let is_reference = path == "reference" || path.ends_with(".reference");
        let href = if is_reference {
            target_href(visit, &text).unwrap_or_default()
        } else {
            String::new()
        };
        Line { path, text, href }
    };
    diff::fields(root)
        .into_iter()
        .filter(|(name, _)| name != "resourceType")
        .map(|(name, lines)| (name, lines.into_iter().map(line).collect()))
        .collect()
}

/// Where a reference leads: a resource of this organisation, whether it may be read or not.
fn target_href(visit: &Visit, reference: &str) -> Option<String> {
    let base = format!("{}/", visit.caller.context.base);
    let local = reference.strip_prefix(&base).unwrap_or(reference);
    let mut parts = local.split('/');
    let (type_name, id) = (parts.next()?, parts.next()?);
    let version = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => None,
        (Some("_history"), Some(version), None) => Some(version.parse::<VersionId>().ok()?),
        _ => return None,
    };
    visit.app().definitions().resource(type_name)?;
    let id: LogicalId = id.parse().ok()?;
    let href = visit.href(&format!("/records/{type_name}/{id}"));
    Some(match version {
        Some(version) => format!("{href}?version={version}"),
        None => href,
    })
}

fn other_format(visit: &Visit, is_xml: bool) -> (String, &'static str) {
    if is_xml {
        (format!("{}#source", visit.query.without("format")), "JSON")
    } else {
        (
            format!("{}#source", visit.query.with("format", "xml")),
            "XML",
        )
    }
}

fn source(root: Value<'_>, is_xml: bool) -> String {
    if !is_xml {
        return diff::indented(root);
    }
    match fhir::xml::from_json(fhir::Definitions::r4(), root) {
        Ok(bytes) => xml::indented(&String::from_utf8_lossy(&bytes)),
        Err(error) => sentence(&format!("this version has no form in XML: {error}")),
    }
}

/// The changes of that day, about the patient where there is one, for those who may see the ledger.
fn ledger_href(visit: &Visit, patient: Option<&LogicalId>, version: &StoredVersion) -> String {
    if !visit.offers(Interaction::ViewAudit) {
        return String::new();
    }
    let day = visit.zone().date_at(version.last_updated()).to_string();
    let patient = patient.map(LogicalId::as_str).unwrap_or_default();
    let pairs = [
        ("log", "changes"),
        ("from", day.as_str()),
        ("to", day.as_str()),
        ("patient", patient),
    ];
    let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    format!("{}?{}", visit.href("/audit"), query_string::print(pairs))
}

/// The history of a resource.
pub async fn history(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = show_history(&visit, named(&params, "type"), named(&params, "id")).await;
    visit.answer(result)
}

fn what_happened(version: &StoredVersion) -> Cell {
    match (version.kind, version.erased) {
        (_, true) | (ChangeKind::Erase, _) => Cell::tag(Tone::Bad, "Erased: its key was destroyed"),
        (ChangeKind::Create | ChangeKind::CreateByUpdate, _) => Cell::tag(Tone::Good, "Created"),
        (ChangeKind::Update, _) => Cell::tag(Tone::Info, "Changed"),
        (ChangeKind::Delete, _) => Cell::tag(Tone::Warn, "Deleted"),
    }
}

/// The history, with the purpose of emergency access where that is what opens it.
async fn readable_history(
    visit: &Visit,
    request: &HistoryRequest,
) -> Result<(HistoryAnswer, Caller), AppError> {
    match history_of(visit.app(), &visit.caller, request).await {
        Err(AppError::Denied { .. } | AppError::NotFound { .. })
            if visit.caller.subject.may_break_glass() =>
        {
            let caller = visit.with_purpose(kernel::PurposeOfUse::EmergencyTreatment);
            Ok((history_of(visit.app(), &caller, request).await?, caller))
        }
        other => Ok((other?, visit.caller.clone())),
    }
}

fn version_table(visit: &Visit, base: &str, versions: &[StoredVersion]) -> Table {
    let columns = ["Version", "What happened", "When", "What changed"];
    let mut table = Table::new("Versions", &columns, "No versions.");
    for (at, version) in versions.iter().enumerate() {
        let before = versions.get(at + 1).filter(|_| version.body.is_some());
        let change = before.filter(|before| before.body.is_some()).map(|before| {
            let href = format!(
                "{base}/history?from={}&to={}",
                before.version, version.version
            );
            Cell::link(&href, &format!("From version {}", before.version))
        });
        let number = format!("Version {}", version.version);
        let cell = match version.body {
            Some(_) => Cell::link(&format!("{base}?version={}", version.version), &number),
            None => Cell::text(&number),
        };
        let when = When::at_second(version.last_updated(), visit.zone());
        let change = change.unwrap_or_else(|| Cell::text("Nothing to compare with"));
        table = table.row(vec![cell, what_happened(version), Cell::when(when), change]);
    }
    table
}

async fn show_history(visit: &Visit, type_name: &str, id: &str) -> Result<Response, AppError> {
    let key = key(visit, type_name, id)?;
    let after = visit.query.text("after");
    let mut params = vec![("_count".to_owned(), "50".to_owned())];
    if !after.is_empty() {
        params.push((CURSOR.to_owned(), after.to_owned()));
    }
    let scope = HistoryScope::Instance(key.clone());
    let request = HistoryRequest {
        scope,
        params,
        lenient: false,
    };
    let (answer, caller) = readable_history(visit, &request).await?;
    let versions = &answer.versions;
    let (from, to) = picked(visit, versions);
    let document = versions
        .iter()
        .find_map(|version| parse(version).ok().flatten());
    let patient = document.and_then(|document| patient_of(type_name, &key.id, &document));
    let comparison = match from.zip(to) {
        Some(pair) => Some(compare(visit, &caller, &key, pair, versions).await?),
        None => None,
    };
    let name = format!("{type_name}/{id}");
    let base = visit.href(&format!("/records/{name}"));
    let choice = |version: &StoredVersion| {
        let number = Some(version.version);
        (version.version.to_string(), number == from, number == to)
    };
    let shown = HistoryPage {
        shell: visit.shell(&format!("History of {name}")),
        banner: banner_of(visit, patient.as_ref()).await,
        patient_href: patient_href(visit, patient.as_ref()),
        name,
        table: version_table(visit, &base, versions),
        resource_href: base,
        versions: versions.iter().map(choice).collect(),
        comparison,
        paging: Paging {
            words: String::new(),
            first: (!after.is_empty()).then(|| visit.query.without("after")),
            next: answer
                .next
                .as_deref()
                .map(|next| visit.query.with("after", next)),
        },
    };
    Ok(answer::page(StatusCode::OK, &shown))
}

async fn banner_of(visit: &Visit, patient: Option<&LogicalId>) -> Option<Banner> {
    banner(visit, patient?).await
}

fn patient_href(visit: &Visit, patient: Option<&LogicalId>) -> String {
    let below = patient.map(|patient| format!("/patients/{patient}"));
    visit.href(below.as_deref().unwrap_or("/patients"))
}

/// The versions to compare: those asked for, else the newest two.
fn picked(visit: &Visit, versions: &[StoredVersion]) -> (Option<VersionId>, Option<VersionId>) {
    let asked = |name: &str| visit.query.text(name).parse::<VersionId>().ok();
    let from = asked("from").or_else(|| versions.get(1).map(|version| version.version));
    let to = asked("to").or_else(|| versions.first().map(|version| version.version));
    match (from, to) {
        (Some(from), Some(to)) if from > to => (Some(to), Some(from)),
        pair => pair,
    }
}

async fn compare(
    visit: &Visit,
    caller: &Caller,
    key: &ResourceKey,
    (from, to): (VersionId, VersionId),
    known: &[StoredVersion],
) -> Result<Comparison, AppError> {
    let mut documents = Vec::with_capacity(2);
    for wanted in [from, to] {
        let version = match known.iter().find(|version| version.version == wanted) {
            Some(version) => version.clone(),
            None => read::vread(visit.app(), caller, key, wanted).await?,
        };
        documents.push(parse(&version)?);
    }
    let (changes, obstacle) = match documents.as_slice() {
        [Some(before), Some(after)] => (diff::changes(before.root(), after.root()), String::new()),
        [None, _] => (
            Vec::new(),
            format!("Version {from} has no content: it is a deletion, or its key was destroyed."),
        ),
        _ => (
            Vec::new(),
            format!("Version {to} has no content: it is a deletion, or its key was destroyed."),
        ),
    };
    Ok(Comparison {
        from: from.to_string(),
        to: to.to_string(),
        changes,
        obstacle,
    })
}

/// The resources of a type, of one patient where one is named.
pub async fn list(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = show_list(&visit, last(&params)).await;
    visit.answer(result)
}

async fn show_list(visit: &Visit, type_name: &str) -> Result<Response, AppError> {
    let (patient, after) = (visit.query.text("patient"), visit.query.text("after"));
    let mut caller = visit.caller.clone();
    let mut params = vec![("_count", "50"), (CURSOR, after)];
    if !patient.is_empty() {
        caller = visit.about(&patient_id(patient)?);
        params.push(("patient", patient));
    }
    let matches = find(visit, &caller, type_name, &params).await?;
    let mut table = Table::new(
        type_name,
        &["What", "Status", "Id"],
        "None recorded that you may see.",
    );
    for (value, href) in matches.values(visit, type_name) {
        let what = code::concept_at(value, "code")
            .or_else(|| code::concept_at(value, "medicationCodeableConcept"))
            .or_else(|| code::concept_at(value, "vaccineCode"))
            .unwrap_or_else(|| type_name.to_owned());
        let status = code::text(value, "status")
            .or_else(|| code::first_code(value, "clinicalStatus"))
            .map_or_else(|| "Not recorded".to_owned(), |status| code::words(&status));
        let id = code::text(value, "id").unwrap_or_default();
        table = table.row(vec![
            Cell::link(&href, &what),
            Cell::text(&status),
            Cell::code(&id),
        ]);
    }
    let next = matches
        .next
        .as_deref()
        .map(|next| visit.query.with("after", next));
    let shown = ListPage {
        shell: visit.shell(render::type_name(key(visit, type_name, "x")?.ty)),
        lead: String::new(),
        action: (!patient.is_empty()).then(|| {
            (
                visit.href(&format!("/patients/{patient}")),
                "Back to the summary".to_owned(),
            )
        }),
        secret: None,
        summary: None,
        sections: vec![("list".to_owned(), "Entries".to_owned(), table)],
        paging: Paging {
            words: format!("{} on this page", matches.found.len()),
            first: None,
            next,
        },
    };
    Ok(answer::page(StatusCode::OK, &shown))
}
