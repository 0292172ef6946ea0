//! `ValueSet/$expand` (FHIR R4, section 4.9.18.1): the concepts of a value set, a page of them.

use kernel::LogicalId;
use serde_json::{Map, Value, json};
use terminology::value_set::expand::{Entry, Expansion, Wanted, expand as expansion_of};
use terminology::{Compiled, Pins};

use super::parameters::designation;
use super::{aside, begin, compiled, which_set};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::operations::input::Input;

/// Most concepts of one answer.
pub const MOST: usize = 10_000;

const KNOWN: [&str; 17] = [
    "url",
    "valueSet",
    "resource",
    "valueSetVersion",
    "filter",
    "date",
    "offset",
    "count",
    "includeDesignations",
    "includeDefinition",
    "activeOnly",
    "excludeNested",
    "excludeNotForUI",
    "excludePostCoordinated",
    "displayLanguage",
    "system-version",
    "designation",
];

/// Expands a value set; answers a ValueSet.
///
/// # Errors
/// Not allowed, something it needs is not loaded, or it is too large for one answer.
pub async fn expand(
    app: &App,
    caller: &Caller,
    id: Option<&LogicalId>,
    input: Input,
) -> Result<Vec<u8>, AppError> {
    let begun = begin(app, caller, "ValueSet").await?;
    input.only(&KNOWN)?;
    refuse(&input)?;
    begun
        .record(app, caller, "ValueSet/$expand", &input)
        .await?;
    let which = which_set(app, caller, &input, id).await?.ok_or_else(|| {
        AppError::Invalid("neither url nor valueSet is given: give one".to_owned())
    })?;
    let (identifier, time) = (app.ids().uuid(), app.now().to_fhir_instant());
    let engine = begun.engine;
    aside(move || {
        let wanted = wanted(&input)?;
        let pins: Pins = input
            .texts("system-version")
            .filter_map(|text| text.split_once('|'))
            .map(|(system, version)| (system.to_owned(), version.to_owned()))
            .collect();
        let compiled = compiled(&engine, which, &pins)?;
        let expansion = expansion_of(engine.library(), &compiled, &wanted)?;
        let made = json!({ "identifier": format!("urn:uuid:{identifier}"), "timestamp": time });
        Ok(answer(&compiled, &expansion, &input, made))
    })
    .await
}

/// What would change the expansion and is not done is refused by name; saying what is done anyway is not.
fn refuse(input: &Input) -> Result<(), AppError> {
    let refused = |name: &str, text: &str| {
        AppError::Unsupported(format!("parameter {name} is not offered: {text}"))
    };
    if input.text("date").is_some() {
        let text = "expansions are of what is stored now; name a version with url|version or valueSetVersion";
        return Err(refused("date", text));
    }
    if input.flag("includeDefinition")? == Some(true) {
        let text = "read the ValueSet for its definition";
        return Err(refused("includeDefinition", text));
    }
    if input.flag("excludePostCoordinated")? == Some(true) {
        let text = "expressions that a value set lists are codes of it";
        return Err(refused("excludePostCoordinated", text));
    }
    Ok(())
}

fn wanted(input: &Input) -> Result<Wanted, AppError> {
    Ok(Wanted {
        filter: input.text("filter").map(str::to_owned),
        offset: input.number("offset")?.unwrap_or(0),
        count: input.number("count")?,
        limit: MOST,
        active_only: input.flag("activeOnly")?.unwrap_or(false),
        selectable_only: input.flag("excludeNotForUI")?.unwrap_or(false),
        language: input.text("displayLanguage").map(str::to_owned),
        designations: input.flag("includeDesignations")?.unwrap_or(false)
            || input.text("designation").is_some(),
        nested: input.flag("excludeNested")? == Some(false),
    })
}

fn answer(compiled: &Compiled, expansion: &Expansion, input: &Input, made: Value) -> Vec<u8> {
    let set = &compiled.set;
    let mut body = Map::new();
    let mut put = |name: &str, value: &str| {
        if !value.is_empty() {
            body.insert(name.to_owned(), value.into());
        }
    };
    put("resourceType", "ValueSet");
    put("url", &set.url);
    put("version", set.version.as_deref().unwrap_or_default());
    put("title", &set.name);
    put(
        "status",
        if set.status.is_empty() {
            "unknown"
        } else {
            &set.status
        },
    );
    let mut parts = made;
    if let Some(parts) = parts.as_object_mut() {
        parts.insert("total".to_owned(), expansion.total.into());
        if input.text("offset").is_some() || input.text("count").is_some() {
            parts.insert("offset".to_owned(), expansion.offset.into());
        }
        let parameters = parameters(expansion, input);
        if !parameters.is_empty() {
            parts.insert("parameter".to_owned(), parameters.into());
        }
        if !expansion.entries.is_empty() {
            let wanted: Vec<&str> = input.texts("designation").collect();
            let contains: Vec<Value> = expansion
                .entries
                .iter()
                .map(|one| entry(one, &wanted))
                .collect();
            parts.insert("contains".to_owned(), contains.into());
        }
    }
    body.insert("expansion".to_owned(), parts);
    Value::Object(body).to_string().into_bytes()
}

fn parameters(expansion: &Expansion, input: &Input) -> Vec<Value> {
    let mut parameters: Vec<Value> = Vec::new();
    for name in ["filter", "displayLanguage"] {
        if let Some(text) = input.text(name) {
            parameters.push(json!({ "name": name, "valueString": text }));
        }
    }
    for name in ["count", "offset"] {
        if let Ok(Some(number)) = input.number(name) {
            parameters.push(json!({ "name": name, "valueInteger": number }));
        }
    }
    for name in [
        "activeOnly",
        "excludeNested",
        "excludeNotForUI",
        "includeDesignations",
    ] {
        if let Ok(Some(flag)) = input.flag(name) {
            parameters.push(json!({ "name": name, "valueBoolean": flag }));
        }
    }
    let uses = |name: &str, all: &[String]| -> Vec<Value> {
        all.iter()
            .map(|url| json!({ "name": name, "valueUri": url }))
            .collect()
    };
    parameters.extend(uses("used-codesystem", &expansion.used));
    parameters.extend(uses("fragment", &expansion.incomplete));
    parameters
}

/// One concept with those below it; `wanted` are languages (`urn:ietf:bcp:47|de`) or uses
/// (`system|code`) of designations, all of them where it is empty.
fn entry(one: &Entry, wanted: &[&str]) -> Value {
    let mut body = Map::new();
    body.insert("system".to_owned(), one.system.as_str().into());
    if one.is_abstract {
        body.insert("abstract".to_owned(), true.into());
    }
    if one.inactive {
        body.insert("inactive".to_owned(), true.into());
    }
    if let Some(version) = &one.version {
        body.insert("version".to_owned(), version.as_str().into());
    }
    body.insert("code".to_owned(), one.code.as_str().into());
    if let Some(display) = &one.display {
        body.insert("display".to_owned(), display.as_str().into());
    }
    let names: Vec<Value> = one
        .names
        .iter()
        .filter(|name| {
            wanted.is_empty()
                || wanted.iter().any(|wish| match wish.split_once('|') {
                    Some(("urn:ietf:bcp:47", language)) => {
                        terminology::names::speaks(&name.language, language)
                    }
                    Some((system, code)) => name.usage.system == system && name.usage.code == code,
                    None => terminology::names::speaks(&name.language, wish),
                })
        })
        .map(designation)
        .collect();
    if !names.is_empty() {
        body.insert("designation".to_owned(), names.into());
    }
    if !one.contains.is_empty() {
        let below: Vec<Value> = one.contains.iter().map(|one| entry(one, wanted)).collect();
        body.insert("contains".to_owned(), below.into());
    }
    Value::Object(body)
}
