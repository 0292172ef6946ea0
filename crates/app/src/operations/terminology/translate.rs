//! `ConceptMap/$translate` (FHIR R4, section 4.10.14.1): a code in another code system.

use std::sync::Arc;

use kernel::LogicalId;
use serde_json::Value;
use terminology::concept_map::{ConceptMap, Dependency, Match, Translated, translate as by_map};
use terminology::{Library, TerminologyError};

use super::parameters::{Answer, coding, part};
use super::{aside, begin, code_or_coding, given, instance};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::operations::input::{Given, Input};

const KNOWN: [&str; 13] = [
    "url",
    "conceptMap",
    "conceptMapVersion",
    "code",
    "system",
    "version",
    "source",
    "coding",
    "codeableConcept",
    "target",
    "targetsystem",
    "dependency",
    "reverse",
];

/// Translates a code; answers Parameters.
///
/// # Errors
/// Not allowed, or no map fits.
pub async fn translate(
    app: &App,
    caller: &Caller,
    id: Option<&LogicalId>,
    input: Input,
) -> Result<Vec<u8>, AppError> {
    let begun = begin(app, caller, "ConceptMap").await?;
    input.only(&KNOWN)?;
    begun
        .record(app, caller, "ConceptMap/$translate", &input)
        .await?;
    let document = match (id, input.resource("conceptMap")) {
        (Some(id), _) => Some(instance(app, caller, "ConceptMap", id).await?),
        (None, Some(bytes)) => Some(given(bytes, "ConceptMap")?),
        (None, None) => None,
    };
    let given = document.map(|document| Arc::new(ConceptMap::from_resource(document.root())));
    let engine = begun.engine;
    aside(move || {
        let maps = maps(engine.library(), &input, given)?;
        answer(engine.library(), &maps, &input)
    })
    .await
}

/// The maps to ask: the one that is named or given, else all that lead from source to target.
fn maps(
    library: &Library,
    input: &Input,
    given: Option<Arc<ConceptMap>>,
) -> Result<Vec<Arc<ConceptMap>>, AppError> {
    if let Some(given) = given {
        return Ok(vec![given]);
    }
    if let Some(url) = input.text("url") {
        let canonical = match input.text("conceptMapVersion") {
            Some(version) => format!("{url}|{version}"),
            None => url.to_owned(),
        };
        let map = library
            .maps()
            .find(|map| map.answers(&canonical))
            .ok_or(TerminologyError::ConceptMapUnknown(canonical))?;
        return Ok(vec![Arc::clone(map)]);
    }
    let fits = |wanted: Option<&str>, has: &Option<String>| {
        wanted.is_none_or(|wanted| has.as_deref() == Some(wanted))
    };
    let found: Vec<Arc<ConceptMap>> = library
        .maps()
        .filter(|map| {
            fits(input.text("source"), &map.source) && fits(input.text("target"), &map.target)
        })
        .cloned()
        .collect();
    if found.is_empty() {
        let wish = "from this source to this target".to_owned();
        return Err(TerminologyError::ConceptMapUnknown(wish).into());
    }
    Ok(found)
}

/// What is known of other elements.
fn known(input: &Input) -> Vec<(String, Option<String>, String)> {
    let mut known = Vec::new();
    for dependency in input.all("dependency") {
        let Given::Parts(parts) = dependency else {
            continue;
        };
        let element = parts.iter().find_map(|(name, value)| match value {
            Given::Text(text) if name == "element" => Some(text.clone()),
            _ => None,
        });
        let codings = parts.iter().flat_map(|(_, value)| match value {
            Given::Concept(codings) => codings.clone(),
            Given::Coding(coding) => vec![coding.clone()],
            _ => Vec::new(),
        });
        for coding in codings {
            if let (Some(element), Some(code)) = (&element, coding.code) {
                known.push((element.clone(), coding.system, code));
            }
        }
    }
    known
}

fn answer(library: &Library, maps: &[Arc<ConceptMap>], input: &Input) -> Result<Vec<u8>, AppError> {
    let codings = match input.concept("codeableConcept") {
        Some(codings) => codings.to_vec(),
        None => vec![code_or_coding(input)?],
    };
    let known = known(input);
    let reverse = input.flag("reverse")?.unwrap_or(false);
    let others = |url: &str| {
        library
            .maps()
            .find(|map| map.answers(url))
            .map(|map| &**map)
    };
    let mut matches: Vec<Match> = Vec::new();
    for coding in &codings {
        let asked = Translated {
            system: coding.system.as_deref(),
            code: coding.code.as_deref().unwrap_or_default(),
            target_system: input.text("targetsystem"),
            reverse,
            known: &known,
        };
        for map in maps {
            for found in by_map(map, &asked, &others)? {
                if !matches.contains(&found) {
                    matches.push(found);
                }
            }
        }
    }
    let result = matches.iter().any(Match::is_found);
    let mut answer = Answer::default();
    answer.add("result", "Boolean", result);
    if !result {
        answer.add("message", "String", "no map translates this code");
    }
    for one in &matches {
        answer.parts("match", matched(library, one));
    }
    Ok(answer.finish())
}

fn matched(library: &Library, one: &Match) -> Vec<Value> {
    let mut parts = vec![part("equivalence", "Code", one.equivalence.as_str())];
    if let Some(code) = &one.code {
        let known = || {
            let system = library.system(one.system.as_deref()?, None)?;
            let display = system.display(system.find(code)?).to_owned();
            Some(display)
        };
        let display = one.display.clone().or_else(known);
        let coding = coding(one.system.as_deref(), None, Some(code), display.as_deref());
        parts.push(part("concept", "Coding", coding));
    }
    for product in &one.product {
        parts.push(serde_json::json!({ "name": "product", "part": produced(product) }));
    }
    if !one.source.is_empty() {
        parts.push(part("source", "Uri", one.source.as_str()));
    }
    parts
}

fn produced(product: &Dependency) -> Vec<Value> {
    let coding = coding(
        product.system.as_deref(),
        None,
        Some(&product.value),
        product.display.as_deref(),
    );
    vec![
        part("element", "Uri", product.property.as_str()),
        part("concept", "Coding", coding),
    ]
}
