//! Definitions and resources for tests.

use std::sync::Arc;

use fhir::json::{Document, Limits};
use fhir::terminology::{Answer, Coded, Codes, Terminology};
use serde_json::{Value as Json, json};

use crate::library::Library;
use crate::model::StructureDefinition;
use crate::validate::{Context, Report, validate};

pub(crate) fn document(json: &Json) -> Document {
    Document::parse(serde_json::to_vec(json).unwrap(), &Limits::default()).unwrap()
}

pub(crate) fn definition(json: &Json) -> StructureDefinition {
    StructureDefinition::read(document(json).root()).unwrap()
}

/// A profile `http://t/<name>` on a type, by its differential.
pub(crate) fn profile(name: &str, ty: &str, elements: &Json) -> StructureDefinition {
    profile_on(
        name,
        ty,
        &format!("http://hl7.org/fhir/StructureDefinition/{ty}"),
        elements,
    )
}

pub(crate) fn profile_on(name: &str, ty: &str, base: &str, elements: &Json) -> StructureDefinition {
    definition(&json!({
        "resourceType": "StructureDefinition", "url": format!("http://t/{name}"), "name": name,
        "kind": if ty.chars().next().is_some_and(char::is_uppercase) { "resource" } else { "primitive-type" },
        "abstract": false, "type": ty, "baseDefinition": base, "derivation": "constraint",
        "differential": {"element": elements}
    }))
}

/// An extension `http://t/<name>` for a context, by its differential.
pub(crate) fn extension(name: &str, contexts: &[&str], elements: &Json) -> StructureDefinition {
    let contexts: Vec<Json> = contexts
        .iter()
        .map(|one| json!({"type": "element", "expression": one}))
        .collect();
    definition(&json!({
        "resourceType": "StructureDefinition", "url": format!("http://t/{name}"), "name": name,
        "kind": "complex-type", "abstract": false, "type": "Extension", "context": contexts,
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Extension",
        "derivation": "constraint", "differential": {"element": elements}
    }))
}

pub(crate) fn library(definitions: Vec<StructureDefinition>) -> Arc<Library> {
    Library::over(&Library::base(), definitions)
}

/// Knows `http://t/vs`: codes a and b of system s, and nothing else.
pub(crate) struct Few;

impl Terminology for Few {
    fn member_of(&self, set: &str, coded: &Coded<'_>) -> Answer {
        if set != "http://t/vs" {
            return Answer::Unknown;
        }
        let of_system = coded.system.is_none_or(|system| system == "s");
        match coded.code {
            "a" | "b" if of_system => Answer::Yes,
            _ => Answer::No,
        }
    }
    fn exists(&self, _: &Coded<'_>) -> Answer {
        Answer::Unknown
    }
    fn subsumes(&self, _: &str, _: &str, _: &str) -> Answer {
        Answer::Unknown
    }
    fn display(&self, _: &Coded<'_>) -> Option<String> {
        None
    }
    fn codes_of(&self, _: &str, _: usize) -> Codes {
        Codes::Unknown
    }
    fn descendants(&self, _: &str, _: &str, _: usize) -> Codes {
        Codes::Unknown
    }
    fn ancestors(&self, _: &str, _: &str, _: usize) -> Codes {
        Codes::Unknown
    }
}

pub(crate) fn report(library: &Library, resource: &Json, profiles: &[&str]) -> Report {
    let document = document(resource);
    validate(&Context::new(library, &Few), document.root(), profiles)
}

/// Severity, place, rule and message of each issue, but those about narrative and about R4's own value
/// sets, which [`Few`] does not know.
pub(crate) fn lines(report: &Report) -> Vec<String> {
    report
        .issues
        .iter()
        .filter(|issue| issue.key.as_deref() != Some("dom-6"))
        .filter(|issue| {
            !issue
                .message
                .contains("codes against value set http://hl7.org")
        })
        .map(|issue| {
            let key = issue.key.as_deref().unwrap_or("-");
            format!(
                "{:?} {} {key}: {}",
                issue.severity, issue.expression, issue.message
            )
        })
        .collect()
}
