//! Asking for an export: what is wrong with the request is said at once, and what may be exported is
//! settled before the job is accepted.

use std::collections::BTreeSet;

use fhir::definitions::TypeId;
use fhir::json::{Document, Limits};
use identity::Interaction;
use kernel::{LogicalId, Timestamp};
use ledger::leaf::Class;
use store::{CommitError, DocExpected, Log, ResourceKey};
use uuid::Uuid;

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::bulk::job::{self, ExportSpec, Job, Work};
use crate::bulk::{filter, outputs, sieve, work as works};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::{AppError, QueryError};
use crate::record::{narrow, read};

/// Of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportLevel {
    /// Everything.
    System,
    /// Every patient's compartment.
    Patient,
    /// The compartments of a group's members.
    Group(LogicalId),
}

/// A request for an export.
#[derive(Debug, Clone)]
pub struct ExportRequest {
    /// Of what.
    pub level: ExportLevel,
    /// `_outputFormat`, `_since`, `_type`, `_typeFilter`, `_elements`, `patient`; in order, repeats kept.
    pub params: Vec<(String, String)>,
    /// `Prefer: handling=lenient`: what is not known is left out.
    pub lenient: bool,
    /// The whole address of the request, for the manifest.
    pub url: String,
}

const FORMATS: [&str; 3] = ["application/fhir+ndjson", "application/ndjson", "ndjson"];

/// Most patients that can be named one by one.
const LISTED: usize = 10_000;

/// Accepts an export and begins to work on it; answers the job's id.
pub async fn begin_export(
    app: &App,
    caller: &Caller,
    request: &ExportRequest,
) -> Result<Uuid, AppError> {
    authorise(app, caller, &Ask::operation(Interaction::Export)).await?;
    app.files()?;
    let asked = Asked::parse(app, caller, request)?;
    let types = allowed_types(app, caller, request, &asked).await?;
    let listed = listed(app, caller, request, &asked).await?;
    refuse_too_many(app, caller).await?;
    let id = app.ids().uuid();
    let spec = ExportSpec {
        of_patients: request.level != ExportLevel::System,
        listed: listed.is_some(),
        types,
        since: asked.since,
        filters: asked.filters,
        elements: asked.elements,
        at: app.ids().row_id(),
    };
    let work = Work::Export(spec);
    let secret = outputs::secret(app);
    let job = Job::new(app, caller, id, work, request.url.clone(), secret);
    let mut entry = house_entry(app, caller, Log::Access, Class::Export, "export", None);
    entry.payload.query = Some(format!("job={id} {}", request.url));
    app.store()
        .record_access(&caller.scope, vec![entry])
        .await?;
    let mut writes = vec![job.write(app, DocExpected::Absent)?];
    if let Some(listed) = &listed {
        let body = serde_json::to_vec(listed)?;
        writes.push(job::part_write(app, id, PATIENTS, Some(body)));
    }
    app.store()
        .operate(&caller.scope, writes)
        .await
        .map_err(|error: CommitError| AppError::from(error))?;
    works::start(app, caller.scope.tenant(), id);
    Ok(id)
}

/// The part that holds the patients of a job.
pub(super) const PATIENTS: &str = "patients";

/// A request that was read.
#[derive(Debug, Default)]
struct Asked {
    types: Vec<TypeId>,
    since: Option<Timestamp>,
    filters: Vec<(String, String)>,
    elements: Vec<String>,
    patients: Vec<LogicalId>,
}

fn malformed(name: &str, detail: &str) -> QueryError {
    QueryError::Malformed {
        name: name.to_owned(),
        detail: detail.to_owned(),
    }
}

impl Asked {
    fn parse(app: &App, caller: &Caller, request: &ExportRequest) -> Result<Self, QueryError> {
        let mut asked = Self::default();
        for (name, value) in &request.params {
            match asked.parameter(app, caller, request, name, value) {
                // Without these, more would be exported than was asked for.
                Err(error)
                    if matches!(
                        name.as_str(),
                        "_since" | "patient" | "_type" | "_typeFilter" | "_elements"
                    ) =>
                {
                    return Err(error);
                }
                Err(_) if request.lenient => {}
                outcome => outcome?,
            }
        }
        Ok(asked)
    }

    fn parameter(
        &mut self,
        app: &App,
        caller: &Caller,
        request: &ExportRequest,
        name: &str,
        value: &str,
    ) -> Result<(), QueryError> {
        match name {
            "_format" | "_pretty" => {}
            "_outputFormat" => {
                // A `+` in an unescaped query arrives as a space.
                if !FORMATS.contains(&value.replace(' ', "+").as_str()) {
                    return Err(malformed(name, "give application/fhir+ndjson"));
                }
            }
            "_since" => {
                let time = Timestamp::from_rfc3339(value).ok_or_else(|| {
                    malformed(name, "give an instant such as 2026-03-05T08:09:10Z")
                })?;
                self.since = Some(time);
            }
            "_type" => self.types(app, value)?,
            "_typeFilter" => {
                for query in filter::split(app.definitions(), value) {
                    let base = &caller.context.base;
                    filter::parse(app.definitions(), &query, base, app.now())?;
                    if let Some((ty, query)) = query.split_once('?') {
                        self.filters.push((ty.to_owned(), query.to_owned()));
                    }
                }
            }
            "_elements" => self.elements(app, value)?,
            "patient" if request.level != ExportLevel::System => {
                let id = value
                    .strip_prefix(&*caller.context.base)
                    .map_or(value, |rest| rest.trim_start_matches('/'));
                let id = id.strip_prefix("Patient/").and_then(|id| id.parse().ok());
                let id =
                    id.ok_or_else(|| malformed(name, "give a reference such as Patient/p1"))?;
                if self.patients.len() >= LISTED {
                    return Err(QueryError::TooMany {
                        detail: format!(
                            "more than {LISTED} patients are named: make a Group of them and export that"
                        ),
                    });
                }
                self.patients.push(id);
            }
            _ => {
                return Err(QueryError::NotOffered {
                    name: name.chars().take(80).collect(),
                });
            }
        }
        Ok(())
    }

    fn types(&mut self, app: &App, value: &str) -> Result<(), QueryError> {
        for name in value.split(',') {
            let ty = app.definitions().resource(name.trim()).ok_or_else(|| {
                malformed("_type", "give resource types of R4, separated by commas")
            })?;
            self.types.push(ty);
        }
        Ok(())
    }

    fn elements(&mut self, app: &App, value: &str) -> Result<(), QueryError> {
        for element in value.split(',') {
            let element = element.trim();
            if let Some((ty, _)) = element.split_once('.')
                && app.definitions().resource(ty).is_none()
            {
                return Err(malformed(
                    "_elements",
                    "give elements such as status or Patient.name, separated by commas",
                ));
            }
            sieve::projection(
                "",
                &[element.rsplit('.').next().unwrap_or(element).to_owned()],
            )
            .map_err(|_| malformed("_elements", "give element names, separated by commas"))?;
            self.elements.push(element.to_owned());
        }
        Ok(())
    }
}

/// The types that are asked for and may be seen. One that was named and may not be seen is refused.
async fn allowed_types(
    app: &App,
    caller: &Caller,
    request: &ExportRequest,
    asked: &Asked,
) -> Result<Vec<String>, AppError> {
    let definitions = app.definitions();
    let system = request.level == ExportLevel::System;
    for ty in &asked.types {
        if !system && !sieve::is_of_patients(definitions, *ty) {
            let name = definitions.resource_name(*ty);
            return Err(AppError::Invalid(format!(
                "{name} belongs to no patient: ask for it with the export of the system"
            )));
        }
        authorise(app, caller, &Ask::of_type(Interaction::Search, *ty)).await?;
    }
    let named: BTreeSet<TypeId> = asked.types.iter().copied().collect();
    let types: Vec<String> = definitions
        .resource_types()
        .filter(|ty| named.is_empty() || named.contains(ty))
        .filter(|ty| system || sieve::is_of_patients(definitions, *ty))
        .filter(|ty| !narrow::is_denied(app, caller, Interaction::Search, *ty))
        .map(|ty| definitions.resource_name(ty).to_owned())
        .collect();
    Ok(types)
}

/// The patients that the export is about; `None`: all.
async fn listed(
    app: &App,
    caller: &Caller,
    request: &ExportRequest,
    asked: &Asked,
) -> Result<Option<BTreeSet<LogicalId>>, AppError> {
    let named: BTreeSet<LogicalId> = asked.patients.iter().cloned().collect();
    let ExportLevel::Group(id) = &request.level else {
        return Ok((!named.is_empty()).then_some(named));
    };
    let ty = app.definitions().resource("Group");
    let ty = ty.ok_or_else(|| AppError::Fault("the definitions lack Group".to_owned()))?;
    let key = ResourceKey { ty, id: id.clone() };
    let group = read::read(app, caller, &key).await?;
    let document = Document::parse(group.body.unwrap_or_default().to_vec(), &Limits::default())?;
    let base = &*caller.context.base;
    let mut members = BTreeSet::new();
    for member in document
        .root()
        .get("member")
        .into_iter()
        .flat_map(fhir::json::Value::items)
    {
        let inactive = member.get("inactive").and_then(fhir::json::Value::as_bool);
        let reference = member
            .get("entity")
            .and_then(|entity| entity.get_str("reference"));
        let Some(reference) = reference.filter(|_| inactive != Some(true)) else {
            continue;
        };
        let local = reference
            .strip_prefix(base)
            .map_or(&*reference, |rest| rest.trim_start_matches('/'));
        let id = local.strip_prefix("Patient/");
        let id = id.map(|id| id.split('/').next().unwrap_or(id));
        members.extend(id.and_then(|id| id.parse().ok()));
    }
    if let Some(stranger) = named.iter().find(|id| !members.contains(*id)) {
        return Err(AppError::Invalid(format!(
            "Patient/{stranger} is no active member of the group: leave it out"
        )));
    }
    Ok(Some(if named.is_empty() { members } else { named }))
}

/// Refuses a job beyond the tenant's limit.
pub(super) async fn refuse_too_many(app: &App, caller: &Caller) -> Result<(), AppError> {
    let limit = app.settings().bulk.jobs;
    let jobs = job::all(app, &job::scope(caller.scope.tenant())).await?;
    let going = jobs.iter().filter(|stored| stored.job.is_going()).count();
    if going < limit {
        return Ok(());
    }
    Err(AppError::Throttled(format!(
        "{going} bulk jobs are in progress, the limit is {limit}: wait until one is done, or cancel it"
    )))
}
