//! `$validate` (FHIR R4, resource-operation-validate): whether a resource is valid, against R4, the
//! profiles it claims and one that is named; or whether it could be created, updated or deleted. What is
//! wrong is the answer, never a failure. Nothing is stored.

use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::json::{Document, Value};
use fhir::validate::{Issue, Severity};
use identity::Interaction;
use profiles::validate::positions;
use store::ResourceKey;

use crate::App;
use crate::authorise::{Ask, authorise, would_allow};
use crate::context::Caller;
use crate::error::AppError;
use crate::profiles::Knowledge;
use crate::record::{integrity, prepare, read};

/// What the resource is validated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing in particular.
    Any,
    /// To be created: an id is left out.
    Create,
    /// To be updated: the id is that of the address.
    Update,
    /// To be deleted: what is there is looked at.
    Delete,
}

/// What is asked.
#[derive(Debug)]
pub struct Validation<'v> {
    /// The type of the address.
    pub ty: TypeId,
    /// The resource of the address.
    pub key: Option<ResourceKey>,
    /// The resource given; none: that of the address.
    pub resource: Option<Value<'v>>,
    /// Bytes the resource stands in, for lines and columns.
    pub source: &'v [u8],
    /// For what.
    pub mode: Mode,
    /// Profiles to validate against, beside those the resource claims.
    pub profiles: Vec<String>,
}

/// Validates.
pub async fn validate(
    app: &App,
    caller: &Caller,
    asked: &Validation<'_>,
) -> Result<Vec<Issue>, AppError> {
    if asked.mode == Mode::Delete {
        return deletion(app, caller, asked).await;
    }
    // Who may neither write nor search a type has nothing to validate.
    let create = Ask::of_type(Interaction::Create, asked.ty);
    if !would_allow(app, caller, &create).await? {
        authorise(app, caller, &Ask::of_type(Interaction::Search, asked.ty)).await?;
    }
    let Some(resource) = asked.resource else {
        return stored(app, caller, asked).await;
    };
    let knowledge = Knowledge::of(app, caller).await?;
    let mut issues = of_address(app, asked, resource);
    issues.extend(all(app, knowledge, resource, asked.source, &asked.profiles).await?);
    if asked.mode != Mode::Any {
        let name = match (asked.mode, &asked.key) {
            (Mode::Update, Some(key)) => Some(key),
            _ => None,
        };
        let refers = integrity::could_refer(app, caller, name, resource).await;
        issues.extend(refusal(caller, refers)?);
    }
    Ok(finished(issues))
}

/// What a write or deletion would be refused for, or warned of, as issues; other failures stay failures.
fn refusal(caller: &Caller, outcome: Result<(), AppError>) -> Result<Vec<Issue>, AppError> {
    match outcome {
        Ok(()) => Ok(caller.context.advice.take()),
        Err(error @ (AppError::Unprocessable(_) | AppError::Conflict(_))) => Ok(error.issues()),
        Err(error) => Err(error),
    }
}

/// Validates what is stored at the address.
async fn stored(
    app: &App,
    caller: &Caller,
    asked: &Validation<'_>,
) -> Result<Vec<Issue>, AppError> {
    let key = asked.key.as_ref().ok_or_else(|| {
        AppError::Invalid(
            "there is no resource to validate: send one in parameter resource".to_owned(),
        )
    })?;
    let version = read::read(app, caller, key).await?;
    let body: Bytes = version.body.unwrap_or_default();
    let knowledge = Knowledge::of(app, caller).await?;
    let document = Document::parse(body.to_vec(), &fhir::json::Limits::default())?;
    let issues = all(
        app,
        knowledge,
        document.root(),
        document.source(),
        &asked.profiles,
    );
    Ok(finished(issues.await?))
}

/// Whether the resource of the address could be deleted.
async fn deletion(
    app: &App,
    caller: &Caller,
    asked: &Validation<'_>,
) -> Result<Vec<Issue>, AppError> {
    let key = asked.key.as_ref().ok_or_else(|| {
        AppError::Invalid(
            "mode delete asks about a stored resource: send it to Type/id/$validate".to_owned(),
        )
    })?;
    let version = read::read(app, caller, key).await?;
    let patients = app.patients_of(caller, &version)?;
    authorise(
        app,
        caller,
        &Ask::record(Interaction::Delete, key, &patients),
    )
    .await?;
    let head = read::head_of(&version);
    let change = prepare::deletion(app, caller, key.clone(), &head, &patients);
    let referred = integrity::guards(app, caller, std::slice::from_ref(&change)).await;
    Ok(finished(refusal(caller, referred.map(drop))?))
}

/// What the address and the mode ask of a resource.
fn of_address(app: &App, asked: &Validation<'_>, resource: Value<'_>) -> Vec<Issue> {
    let wrong = |code: &'static str, expression: &str, text: String| Issue {
        severity: Severity::Error,
        code,
        expression: expression.to_owned(),
        diagnostics: text,
    };
    let name = app.definitions().resource_name(asked.ty);
    let mut issues = Vec::new();
    match prepare::resource_type(app, resource) {
        Ok(found) if found == asked.ty => {}
        Ok(found) => issues.push(wrong(
            "invalid",
            "",
            format!(
                "the resource is a {}, the address says {name}: send it to its own address",
                app.definitions().resource_name(found)
            ),
        )),
        Err(error) => issues.extend(error.issues()),
    }
    let id = resource.get_str("id");
    let at = format!("{name}.id");
    match (asked.mode, &asked.key, id.as_deref()) {
        (Mode::Create, _, Some(_)) => issues.push(Issue {
            severity: Severity::Information,
            ..wrong(
                "informational",
                &at,
                "the server gives the id: this one is left out".to_owned(),
            )
        }),
        (Mode::Update, None, None) => {
            issues.push(wrong(
                "required",
                &at,
                "an update needs an id: add it".to_owned(),
            ));
        }
        (Mode::Update, Some(key), found) if found != Some(key.id.as_str()) => issues.push(wrong(
            "value",
            &at,
            format!(
                "an update needs the id of the address: set it to {}",
                key.id.as_str()
            ),
        )),
        _ => {}
    }
    issues
}

/// Structure first, then rules and profiles; on a thread of its own, as rules may cost much.
async fn all(
    app: &App,
    knowledge: Knowledge,
    resource: Value<'_>,
    source: &[u8],
    profiles: &[String],
) -> Result<Vec<Issue>, AppError> {
    let mut issues = fhir::validate::validate(app.definitions(), resource);
    let begin = resource.offset();
    let (body, wanted) = (resource.raw().to_vec(), profiles.to_vec());
    let work = move || -> Result<_, AppError> {
        let document = Document::parse(body, &fhir::json::Limits::default())?;
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        Ok(knowledge.report(document.root(), &wanted))
    };
    let mut report = tokio::task::spawn_blocking(work).await??;
    for issue in &mut report.issues {
        issue.offset = issue.offset.saturating_add(begin);
    }
    let offsets: Vec<usize> = report.issues.iter().map(|issue| issue.offset).collect();
    let places = positions(source, &offsets);
    for (issue, (line, column)) in report.issues.iter_mut().zip(places) {
        issue.message = format!("line {line}, column {column}: {}", issue.message);
    }
    issues.extend(crate::profiles::issues(report));
    Ok(issues)
}

fn finished(mut issues: Vec<Issue>) -> Vec<Issue> {
    if !issues.iter().any(|issue| issue.severity <= Severity::Error) {
        let valid = Issue {
            severity: Severity::Information,
            code: "informational",
            expression: String::new(),
            diagnostics: "no errors were found".to_owned(),
        };
        issues.insert(0, valid);
    }
    issues
}
