//! `CodeSystem/$lookup` (FHIR R4, section 4.8.9.1): what is known of a code.

use terminology::lookup::{Looked, find, lookup as look};

use super::parameters::{Answer, part, typed, usage};
use super::{aside, begin, code_or_coding};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::operations::input::Input;

const KNOWN: [&str; 7] = [
    "code",
    "system",
    "version",
    "coding",
    "date",
    "displayLanguage",
    "property",
];

/// Looks a code up; answers Parameters.
///
/// # Errors
/// Not allowed, the code system is not loaded, or the code is not in it.
pub async fn lookup(app: &App, caller: &Caller, input: Input) -> Result<Vec<u8>, AppError> {
    let begun = begin(app, caller, "CodeSystem").await?;
    input.only(&KNOWN)?;
    begun
        .record(app, caller, "CodeSystem/$lookup", &input)
        .await?;
    let engine = begun.engine;
    aside(move || {
        let coding = code_or_coding(&input)?;
        let system = coding
            .system
            .as_deref()
            .ok_or_else(|| AppError::Invalid("the code has no system: give it one".to_owned()))?;
        let code = coding.code.as_deref().unwrap_or_default();
        let library = engine.library();
        let (found, at) = find(library, system, coding.version.as_deref(), code)?;
        let wanted: Vec<String> = input.texts("property").map(str::to_owned).collect();
        let looked = look(library, &found, at, &wanted, input.text("displayLanguage"));
        Ok(answer(system, found.code(at), &looked))
    })
    .await
}

fn answer(system: &str, code: &str, looked: &Looked) -> Vec<u8> {
    let mut answer = Answer::default();
    answer.add("name", "String", looked.name.as_str());
    answer.maybe("version", "String", looked.version.as_deref());
    // R4 requires a display; a concept without one is called by its code.
    answer.add(
        "display",
        "String",
        looked.display.as_deref().unwrap_or(code),
    );
    answer.add("code", "Code", code);
    answer.add("system", "Uri", system);
    answer.maybe("definition", "String", looked.definition.as_deref());
    answer.add("abstract", "Boolean", looked.is_abstract);
    for name in &looked.names {
        let mut parts = Vec::new();
        if !name.language.is_empty() {
            parts.push(part("language", "Code", name.language.as_str()));
        }
        if let Some(usage) = usage(&name.usage) {
            parts.push(part("use", "Coding", usage));
        }
        parts.push(part("value", "String", name.value.as_str()));
        answer.parts("designation", parts);
    }
    for property in &looked.properties {
        let (kind, value) = typed(property.kind, &property.value);
        let mut parts = vec![
            part("code", "Code", property.code.as_str()),
            part("value", kind, value),
        ];
        if let Some(description) = &property.description {
            parts.push(part("description", "String", description.as_str()));
        }
        answer.parts("property", parts);
    }
    answer.finish()
}
