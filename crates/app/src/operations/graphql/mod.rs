//! GraphQL over the record (FHIR R4 graphql.html): of the system, and of one resource. Fields follow the
//! R4 tree; every resource comes through the use-cases of REST. A query is bounded before it begins (size,
//! depth, fragments) and while it runs (values, loads, bytes).

mod elements;
mod execute;
mod introspect;
mod output;
mod plan;
mod resources;
mod schema;
pub mod syntax;

use serde_json::{Map, Value as Json};
use store::ResourceKey;

use self::execute::{Execution, Loaded};
use self::plan::Planned;
use self::syntax::Selection;
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::record::read;

pub use self::plan::Request;

/// Executes a query of the system; answers `data` and, where something could not be had, `errors`.
///
/// # Errors
/// A query that is malformed, too large or too costly, and failures of the record. What the caller may not
/// see, or is not there, is null in `data` and named in `errors`.
pub async fn of_system(app: &App, caller: &Caller, request: &Request) -> Result<Json, AppError> {
    let planned = Planned::new(request)?;
    let execution = Execution::new(app, caller, &planned);
    let data = execution.system().await?;
    Ok(answer(data, &execution))
}

/// Executes a query of one resource.
///
/// # Errors
/// As [`of_system`], and those of a read of the resource.
pub async fn of_resource(
    app: &App,
    caller: &Caller,
    key: &ResourceKey,
    request: &Request,
) -> Result<Json, AppError> {
    let planned = Planned::new(request)?;
    let version = read::read(app, caller, key).await?;
    let loaded = Loaded::new(key.clone(), &version.body.unwrap_or_default())?;
    let execution = Execution::new(app, caller, &planned);
    let selections: Vec<&Selection> = planned.selections().iter().collect();
    let data = execution.answer(loaded.node()?, selections).await?;
    Ok(answer(data, &execution))
}

fn answer(data: Json, execution: &Execution<'_>) -> Json {
    let errors = std::mem::take(&mut *execution.errors.lock());
    let mut answer = Map::new();
    answer.insert("data".to_owned(), data);
    if !errors.is_empty() {
        answer.insert("errors".to_owned(), Json::Array(errors));
    }
    Json::Object(answer)
}
