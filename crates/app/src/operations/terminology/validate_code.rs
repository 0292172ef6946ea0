//! `ValueSet/$validate-code` and `CodeSystem/$validate-code` (FHIR R4, sections 4.9.18.2 and 4.8.9.2).
//! What cannot be told is an error with its reason, never `result` false.

use kernel::LogicalId;
use serde_json::json;
use terminology::validate::{Manner, Verdict, any_in_value_set, in_system, in_value_set};
use terminology::{Pins, TerminologyError};

use super::parameters::Answer;
use super::{aside, asked, begin, code_or_coding, compiled, url_of, which_set};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::operations::input::{GivenCoding, Input};

const OF_SETS: [&str; 14] = [
    "url",
    "valueSet",
    "resource",
    "valueSetVersion",
    "code",
    "system",
    "systemVersion",
    "version",
    "display",
    "coding",
    "codeableConcept",
    "date",
    "abstract",
    "displayLanguage",
];
const OF_SYSTEMS: [&str; 10] = [
    "url",
    "codeSystem",
    "code",
    "version",
    "display",
    "coding",
    "codeableConcept",
    "date",
    "abstract",
    "displayLanguage",
];

/// What is to be validated: one coding, or any of several.
fn codings(input: &Input) -> Result<Vec<GivenCoding>, AppError> {
    if let Some(codings) = input.concept("codeableConcept") {
        return Ok(codings.to_vec());
    }
    let mut coding = code_or_coding(input)?;
    if coding.version.is_none() {
        coding.version = input.text("systemVersion").map(str::to_owned);
    }
    Ok(vec![coding])
}

/// Whether a code is in a value set; answers Parameters.
///
/// # Errors
/// Not allowed, or it cannot be told.
pub async fn in_set(
    app: &App,
    caller: &Caller,
    id: Option<&LogicalId>,
    input: Input,
) -> Result<Vec<u8>, AppError> {
    let begun = begin(app, caller, "ValueSet").await?;
    input.only(&OF_SETS)?;
    begun
        .record(app, caller, "ValueSet/$validate-code", &input)
        .await?;
    let which = which_set(app, caller, &input, id).await?.ok_or_else(|| {
        AppError::Invalid("neither url nor valueSet is given: give one".to_owned())
    })?;
    let engine = begun.engine;
    aside(move || {
        let codings = codings(&input)?;
        // The version named with a code is the one it is looked up in, where the value set names none.
        let pins: Pins = codings
            .iter()
            .filter_map(|one| Some((one.system.clone()?, one.version.clone()?)))
            .collect();
        let compiled = compiled(&engine, which, &pins)?;
        let manner = Manner {
            abstract_allowed: input.flag("abstract")?.unwrap_or(false),
            language: input.text("displayLanguage"),
        };
        let library = engine.library();
        let verdict = match codings.as_slice() {
            [only] => in_value_set(library, &compiled, &asked(only)?, &manner)?,
            several => {
                let several = several.iter().map(asked).collect::<Result<Vec<_>, _>>()?;
                any_in_value_set(library, &compiled, &several, &manner)?
            }
        };
        Ok(answer(&verdict))
    })
    .await
}

/// Whether a code is in its code system; answers Parameters.
///
/// # Errors
/// Not allowed, or it cannot be told.
pub async fn of_system(
    app: &App,
    caller: &Caller,
    id: Option<&LogicalId>,
    input: Input,
) -> Result<Vec<u8>, AppError> {
    let begun = begin(app, caller, "CodeSystem").await?;
    input.only(&OF_SYSTEMS)?;
    begun
        .record(app, caller, "CodeSystem/$validate-code", &input)
        .await?;
    if input.resource("codeSystem").is_some() {
        return Err(AppError::Invalid(
            "parameter codeSystem is not offered: store the CodeSystem and give its url".to_owned(),
        ));
    }
    let (mut url, mut version) = (input.text("url").map(str::to_owned), None);
    if let Some(id) = id {
        let found = url_of(app, caller, "CodeSystem", id).await?;
        (url, version) = (Some(found.0), found.1);
    }
    let engine = begun.engine;
    aside(move || {
        let manner = Manner {
            abstract_allowed: input.flag("abstract")?.unwrap_or(true),
            language: input.text("displayLanguage"),
        };
        let mut refused: Option<Verdict> = None;
        let mut unknown: Option<TerminologyError> = None;
        for mut coding in codings(&input)? {
            if coding.version.is_none() {
                coding.version.clone_from(&version);
            }
            let system = match (&url, &coding.system) {
                (Some(url), Some(system)) if url != system => continue,
                (Some(url), _) => url,
                (None, Some(system)) => system,
                (None, None) => {
                    let text = "neither url nor a system is given: give one".to_owned();
                    return Err(AppError::Invalid(text));
                }
            };
            match in_system(engine.library(), system, &asked(&coding)?, &manner) {
                Ok(verdict) if verdict.result => return Ok(answer(&verdict)),
                Ok(verdict) => refused = refused.or(Some(verdict)),
                Err(error) => unknown = Some(error),
            }
        }
        match (unknown, refused) {
            (Some(error), _) => Err(error.into()),
            (None, Some(verdict)) => Ok(answer(&verdict)),
            (None, None) => Err(AppError::Invalid(
                "no coding is of this code system: give one".to_owned(),
            )),
        }
    })
    .await
}

fn answer(verdict: &Verdict) -> Vec<u8> {
    let mut answer = Answer::default();
    answer.add("result", "Boolean", verdict.result);
    answer.maybe("message", "String", verdict.message());
    answer.maybe("display", "String", verdict.display.as_deref());
    if !verdict.code.is_empty() {
        answer.add("code", "Code", verdict.code.as_str());
    }
    answer.maybe("system", "Uri", verdict.system.as_deref());
    answer.maybe("version", "String", verdict.version.as_deref());
    if verdict.inactive {
        answer.add("inactive", "Boolean", true);
    }
    if !verdict.findings.is_empty() {
        let issues: Vec<_> = verdict
            .findings
            .iter()
            .map(|one| json!({ "severity": one.severity, "code": one.code, "diagnostics": one.text }))
            .collect();
        let outcome = json!({ "resourceType": "OperationOutcome", "issue": issues });
        answer.resource("issues", outcome);
    }
    answer.finish()
}
