//! `CodeSystem/$subsumes` (FHIR R4, section 4.8.9.3): how two codes of a code system relate.

use kernel::LogicalId;
use terminology::lookup::relation;

use super::parameters::Answer;
use super::{begin, url_of};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::operations::input::Input;

const KNOWN: [&str; 6] = ["codeA", "codeB", "system", "version", "codingA", "codingB"];

/// Compares two codes; answers Parameters.
///
/// # Errors
/// Not allowed, the code system is not loaded, or a code is not in it.
pub async fn subsumes(
    app: &App,
    caller: &Caller,
    id: Option<&LogicalId>,
    input: Input,
) -> Result<Vec<u8>, AppError> {
    let begun = begin(app, caller, "CodeSystem").await?;
    input.only(&KNOWN)?;
    begun
        .record(app, caller, "CodeSystem/$subsumes", &input)
        .await?;
    let (mut system, mut version) = match id {
        Some(id) => {
            let (url, version) = url_of(app, caller, "CodeSystem", id).await?;
            (Some(url), version)
        }
        None => (
            input.text("system").map(str::to_owned),
            input.text("version").map(str::to_owned),
        ),
    };
    let mut code = |code: &str, coding: &str| match input.coding(coding) {
        Some(given) => {
            match (&system, &given.system) {
                (None, Some(_)) => system.clone_from(&given.system),
                (Some(known), Some(other)) if known != other => {
                    return Err(AppError::Invalid(
                        "the two codes are of different code systems: give codes of one".to_owned(),
                    ));
                }
                _ => {}
            }
            if version.is_none() {
                version.clone_from(&given.version);
            }
            given
                .code
                .clone()
                .ok_or_else(|| AppError::Invalid(format!("{coding} has no code: give it one")))
        }
        None => input.required(code).map(str::to_owned),
    };
    let (a, b) = (code("codeA", "codingA")?, code("codeB", "codingB")?);
    let system = system
        .ok_or_else(|| AppError::Invalid("parameter system is missing: give it".to_owned()))?;
    let outcome = relation(begun.engine.library(), &system, version.as_deref(), &a, &b)?;
    let mut answer = Answer::default();
    answer.add("outcome", "Code", outcome);
    Ok(answer.finish())
}
