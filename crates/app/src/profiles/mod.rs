//! Profiles in force: which definitions a tenant is validated against, the packages the instance has
//! installed, and whether writes are held to profiles. Rules of validation are those of the `profiles`
//! crate.

pub(crate) mod enforce;
pub mod packages;
pub(crate) mod shelf;
mod terms;

use std::sync::Arc;

use fhir::json::Value;
use fhir::terminology::Terminology;
use fhir::validate::Issue;
use identity::Interaction;
use profiles::Library;
use profiles::validate::{Context, Report, validate};

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;

/// What validation knows for one tenant.
#[derive(Clone)]
pub(crate) struct Knowledge {
    /// R4, packages and the tenant's own definitions.
    pub library: Arc<Library>,
    /// Its terminology.
    pub terminology: Arc<dyn Terminology>,
}

impl Knowledge {
    /// For the tenant of a caller.
    pub(crate) async fn of(app: &App, caller: &Caller) -> Result<Self, AppError> {
        Ok(Self {
            library: shelf::library(app, &caller.scope).await?,
            terminology: terms::of(app, &caller.scope).await?,
        })
    }

    /// Validates a resource against R4, what it claims and the profiles given.
    pub(crate) fn report(&self, resource: Value<'_>, profiles: &[&str]) -> Report {
        validate(
            &Context::new(&self.library, &*self.terminology),
            resource,
            profiles,
        )
    }
}

/// The profiles of resources that can be validated against: canonical URL, type, name. For whoever may
/// search StructureDefinitions.
pub async fn known(app: &App, caller: &Caller) -> Result<Vec<(String, String, String)>, AppError> {
    let ty = app
        .definitions()
        .resource("StructureDefinition")
        .ok_or_else(|| AppError::Fault("the definitions lack StructureDefinition".to_owned()))?;
    authorise(app, caller, &Ask::of_type(Interaction::Search, ty)).await?;
    Ok(shelf::library(app, &caller.scope).await?.profiles())
}

/// As the issues of an answer.
pub(crate) fn issues(report: Report) -> Vec<Issue> {
    let more = report.more;
    let mut issues: Vec<Issue> = report
        .issues
        .into_iter()
        .map(|issue| Issue {
            severity: issue.severity,
            code: issue.code,
            diagnostics: issue.diagnostics(),
            expression: issue.expression,
        })
        .collect();
    if more > 0 {
        issues.push(Issue {
            severity: fhir::validate::Severity::Information,
            code: "informational",
            expression: String::new(),
            diagnostics: format!(
                "there are {more} more issues: mend these and send the resource again"
            ),
        });
    }
    issues
}
