//! What stands in a tenant's table, for operators: each parameter with how far it is, and the passes under
//! way; and the order to build a type anew.

use fhir::definitions::TypeId;
use identity::Interaction;

use super::table::{self, Pass, State};
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;
use crate::retry::Retry;

/// One parameter of the tenant's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The SearchParameter's canonical URL.
    pub url: String,
    /// Its name in queries.
    pub code: String,
    /// The type it searches.
    pub base: String,
    /// `announced`, `building`, `ready`, `incomplete` (searches may use it, and miss resources that it could
    /// not be evaluated for) or `refused`.
    pub state: &'static str,
    /// Why it was refused, or is incomplete.
    pub reason: Option<String>,
}

/// A pass over a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The type.
    pub base: String,
    /// Resources looked at.
    pub done: u64,
    /// Resources there were when it began.
    pub of: u64,
    /// Expressions that could not be evaluated.
    pub failed: u64,
}

/// How a tenant's own search parameters stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// By base and code.
    pub parameters: Vec<Parameter>,
    /// Under way.
    pub passes: Vec<Progress>,
    /// Whether everything stored has the index rows that this release makes.
    pub whole: bool,
}

/// Reads it. Whoever may search SearchParameter resources may.
pub async fn status(app: &App, caller: &Caller) -> Result<Status, AppError> {
    let ty = app
        .definitions()
        .resource("SearchParameter")
        .ok_or_else(|| AppError::Fault("the definitions lack SearchParameter".to_owned()))?;
    authorise(app, caller, &Ask::of_type(Interaction::Search, ty)).await?;
    let (table, _) = table::load(app, &caller.scope).await?;
    let whole = table.is_whole();
    let mut parameters: Vec<Parameter> = table
        .rows
        .into_iter()
        .filter_map(|row| {
            let (state, reason) = match row.state {
                State::Announced { .. } => ("announced", None),
                State::Building => ("building", None),
                State::Ready if row.failed > 0 => ("incomplete", Some(incomplete(row.failed))),
                State::Ready => ("ready", None),
                State::Refused { reason } => ("refused", Some(reason)),
                State::Retired => return None,
            };
            Some(Parameter {
                url: row.url,
                code: row.code,
                base: row.base,
                state,
                reason,
            })
        })
        .collect();
    parameters.sort_unstable_by(|a, b| (&a.base, &a.code).cmp(&(&b.base, &b.code)));
    let passes = table
        .passes
        .into_iter()
        .map(|pass| Progress {
            base: pass.base,
            done: pass.done,
            of: pass.of,
            failed: pass.failed,
        })
        .collect();
    Ok(Status {
        parameters,
        passes,
        whole,
    })
}

fn incomplete(failed: u64) -> String {
    format!(
        "it could not be evaluated for {failed} versions, which searches by it do not find: change the expression so that it fails for none"
    )
}

/// Orders a pass over types, so that what they are found by is made anew: after a restore from an older
/// release, or where an index is doubted. Searches go on meanwhile.
pub async fn reindex(app: &App, caller: &Caller, types: &[TypeId]) -> Result<(), AppError> {
    authorise(app, caller, &Ask::operation(Interaction::ManageSettings)).await?;
    if types.is_empty() {
        return Err(AppError::Invalid(
            "$reindex needs the parameter type: name each resource type to index anew".to_owned(),
        ));
    }
    let mut retry = Retry::new();
    loop {
        let (mut table, version) = table::load(app, &caller.scope).await?;
        for ty in types {
            let base = app.definitions().resource_name(*ty);
            if table.passes.iter().all(|pass| pass.base != base) {
                table.passes.push(Pass::over(base));
            }
        }
        if table::save(app, &caller.scope, &table, version).await? {
            app.caches()
                .search_parameters_due
                .changed(caller.scope.tenant());
            return Ok(());
        }
        if !retry.again().await {
            return Err(AppError::Conflict(
                "the table of search parameters changes all the time: try again".to_owned(),
            ));
        }
    }
}
