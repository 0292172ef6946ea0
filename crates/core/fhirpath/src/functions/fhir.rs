//! What FHIR adds (R4, FHIRPath page, section 2.9.3) and the keys of SQL on FHIR. Terminology, profiles and
//! references are asked through ports; where one has no answer, there is none.

use std::borrow::Cow;

use fhir::terminology::{Answer, Coded};

use super::filtering::one;
use super::{Call, Function};
use crate::collection::Collection;
use crate::error::EvaluationError;
use crate::evaluate::navigate::is_extension;
use crate::evaluate::{Evaluator, Outcome, string};
use crate::expr::{Expr, Head};
use crate::item::{Item, Node};
use crate::types::FhirType;

pub(super) fn call<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    match call.function {
        Function::Extension => extension(evaluator, call),
        Function::HasValue => {
            let has = call.input.only().is_some_and(has_value);
            Ok(Collection::of(Item::Boolean(has)))
        }
        Function::GetValue => Ok(Collection::maybe(
            call.input
                .only()
                .filter(|item| has_value(item))
                .and_then(Item::system),
        )),
        Function::Resolve => resolve(evaluator, call),
        Function::MemberOf => member_of(evaluator, call),
        Function::Subsumes | Function::SubsumedBy => subsumes(evaluator, call),
        Function::ConformsTo => conforms_to(evaluator, call),
        Function::CheckModifiers => check_modifiers(evaluator, call),
        Function::HtmlChecks => html_checks(call),
        Function::GetResourceKey => Ok(call
            .input
            .iter()
            .filter_map(|item| item.as_node()?.value()?.get_str("id"))
            .map(Item::String)
            .collect()),
        _ => reference_key(call),
    }
}

/// Whether it is a primitive with a value.
fn has_value(item: &Item<'_>) -> bool {
    match item {
        Item::Node(node) => node.is_primitive() && node.value().is_some(),
        _ => true,
    }
}

fn extension<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    let url = call.value(evaluator, 0)?.unwrap_or_default();
    let Some(url) = string("extension()", &url)? else {
        return Ok(Collection::empty());
    };
    let nodes: Collection<'a> = call
        .input
        .iter()
        .filter(|item| item.as_node().is_some())
        .cloned()
        .collect();
    let all = evaluator.children_named(&nodes, "extension")?;
    Ok(all
        .into_iter()
        .filter(|item| item.as_node().is_some_and(|node| is_extension(node, &url)))
        .collect())
}

/// The text of a reference, canonical or uri.
fn reference_text<'a>(item: &Item<'a>) -> Option<Cow<'a, str>> {
    match item {
        Item::Node(node) if node.ty().name() == "Reference" => node.value()?.get_str("reference"),
        other => other.as_text(),
    }
}

fn resolve<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    let mut found = Collection::empty();
    for item in call.input {
        evaluator.charge(1)?;
        if let Some(text) = reference_text(item) {
            found.extend(target(evaluator, &text)?);
        }
    }
    Ok(found)
}

fn target<'a>(
    evaluator: &mut Evaluator<'_, 'a>,
    reference: &str,
) -> Result<Option<Item<'a>>, EvaluationError> {
    let root = evaluator.environment.root.as_ref();
    let root = root.and_then(Item::as_node).and_then(Node::value);
    if let Some(id) = reference.strip_prefix('#') {
        let contained = root.and_then(|root| root.get("contained"));
        let found = contained.into_iter().flat_map(fhir::json::Value::items);
        let mut count = 0;
        let mut hit = None;
        for resource in found {
            count += 1;
            if hit.is_none() && resource.get_str("id").as_deref() == Some(id) {
                hit = Some(Item::resource(resource));
            }
        }
        evaluator.charge(count)?;
        if id.is_empty() {
            return Ok(evaluator.environment.root.clone());
        }
        return Ok(hit);
    }
    let given = evaluator
        .environment
        .resolver
        .and_then(|resolver| resolver.resolve(reference));
    if let Some(resource) = given {
        return Ok(Some(Item::resource(resource)));
    }
    if !evaluator.environment.by_type {
        return Ok(None);
    }
    let mut parts = reference
        .split('/')
        .rev()
        .skip_while(|part| part.is_empty());
    let mut last_two = (parts.next(), parts.next());
    if last_two.1 == Some("_history") {
        last_two = (parts.next(), parts.next());
    }
    let definitions = fhir::Definitions::r4();
    let ty = last_two
        .1
        .and_then(|name| definitions.resource(name))
        .and_then(|ty| definitions.resource_shape(ty));
    Ok(ty.map(|shape| Item::Node(Node::typed(FhirType::Shape(shape)))))
}

/// System, version and code.
type Code<'a> = (Option<Cow<'a, str>>, Option<Cow<'a, str>>, Cow<'a, str>);

/// The codes of an item: a Coding, every Coding of a concept, or a code of unknown system.
fn codes<'a>(item: &Item<'a>) -> Vec<Code<'a>> {
    let coding = |value: fhir::json::Value<'a>| {
        let code = value.get_str("code")?;
        Some((value.get_str("system"), value.get_str("version"), code))
    };
    match item {
        Item::Node(node) if node.ty().name() == "Coding" => {
            node.value().and_then(coding).into_iter().collect()
        }
        Item::Node(node) if node.ty().name() == "CodeableConcept" => node
            .value()
            .and_then(|value| value.get("coding"))
            .into_iter()
            .flat_map(fhir::json::Value::items)
            .filter_map(coding)
            .collect(),
        other => other
            .as_text()
            .map(|code| (None, None, code))
            .into_iter()
            .collect(),
    }
}

/// Yes if one is, no if all are not, nothing otherwise.
fn any(answers: impl Iterator<Item = Answer>) -> Option<bool> {
    let mut result = Some(false);
    for answer in answers {
        match answer {
            Answer::Yes => return Some(true),
            Answer::No => {}
            Answer::Unknown => result = None,
        }
    }
    result
}

fn member_of<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    let set = call.value(evaluator, 0)?.unwrap_or_default();
    let (Some(item), Some(set)) = (one(call)?, string("memberOf()", &set)?) else {
        return Ok(Collection::empty());
    };
    let codes = codes(item);
    if codes.is_empty() {
        return Ok(Collection::empty());
    }
    evaluator.charge(100)?;
    let terminology = evaluator.environment.terminology;
    Ok(Collection::truth(any(codes.iter().map(
        |(system, version, code)| {
            terminology.member_of(
                &set,
                &Coded {
                    system: system.as_deref(),
                    version: version.as_deref(),
                    code,
                },
            )
        },
    ))))
}

fn subsumes<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    let other = call.value(evaluator, 0)?.unwrap_or_default();
    let (Some(mine), Some(theirs)) = (one(call)?, other.only()) else {
        return Ok(Collection::empty());
    };
    let (ancestors, descendants) = if call.function == Function::Subsumes {
        (codes(mine), codes(theirs))
    } else {
        (codes(theirs), codes(mine))
    };
    evaluator.charge(100)?;
    let terminology = evaluator.environment.terminology;
    let pairs = ancestors.iter().flat_map(|ancestor| {
        descendants.iter().filter_map(move |descendant| {
            let system = ancestor.0.as_deref()?;
            (descendant.0.as_deref() == Some(system)).then_some((
                system,
                &ancestor.2,
                &descendant.2,
            ))
        })
    });
    let mut pairs = pairs.peekable();
    if pairs.peek().is_none() {
        return Ok(Collection::empty());
    }
    Ok(Collection::truth(any(pairs.map(
        |(system, ancestor, descendant)| terminology.subsumes(system, ancestor, descendant),
    ))))
}

fn conforms_to<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    let profile = call.value(evaluator, 0)?.unwrap_or_default();
    let (Some(item), Some(profile)) = (one(call)?, string("conformsTo()", &profile)?) else {
        return Ok(Collection::empty());
    };
    let Some(node) = item.as_node() else {
        return Ok(Collection::empty());
    };
    evaluator.charge(100)?;
    let conformance = evaluator.environment.conformance;
    let asked = conformance
        .zip(node.value())
        .and_then(|(conformance, value)| conformance.conforms(value, &profile));
    // Base types need no profile to be known.
    let base = || {
        let name = profile.strip_prefix("http://hl7.org/fhir/StructureDefinition/")?;
        FhirType::named(name)?;
        Some(crate::types::derives(node.ty().name(), name))
    };
    match asked.or_else(base) {
        Some(answer) => Ok(Collection::of(Item::Boolean(answer))),
        None => Err(EvaluationError::argument(
            "conformsTo()",
            "the profile is not known here: load it first",
        )),
    }
}

/// What was given, where none of it has a modifier extension other than the known ones; an error otherwise,
/// so that nothing is read as if it were not modified.
fn check_modifiers<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    let mut known = Vec::with_capacity(call.arguments.len());
    for at in 0..call.arguments.len() {
        let url = call.value(evaluator, at)?.unwrap_or_default();
        known.extend(string("checkModifiers()", &url)?);
    }
    for item in call.input {
        evaluator.charge(1)?;
        let value = item.as_node().and_then(Node::object);
        let found = value.and_then(|value| value.get("modifierExtension"));
        for extension in found.into_iter().flat_map(fhir::json::Value::items) {
            evaluator.charge(1)?;
            let url = extension.get_str("url").unwrap_or_default();
            if !known.contains(&url) {
                return Err(EvaluationError::argument(
                    "checkModifiers()",
                    "an element has a modifier extension that is not among the known ones: it may mean something else",
                ));
            }
        }
    }
    Ok(call.input.clone())
}

/// Whether narrative is well formed; the validator checks the tags themselves.
fn html_checks<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let Some(item) = one(call)? else {
        return Ok(Collection::empty());
    };
    let text = match item {
        Item::Node(node) if node.ty().name() == "Narrative" => {
            node.value().and_then(|value| value.get_str("div"))
        }
        other => other.as_text(),
    };
    Ok(Collection::truth(text.map(|text| {
        let text = text.trim();
        text.starts_with("<div") && text.ends_with("</div>")
    })))
}

fn reference_key<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let wanted = match call.expr(0) {
        None => None,
        Some(Expr::Path(Head::Name(name), steps)) if steps.is_empty() => Some(name.as_ref()),
        Some(Expr::Literal(crate::expr::Literal::String(name))) => Some(name.as_ref()),
        Some(_) => {
            return Err(EvaluationError::argument(
                "getReferenceKey()",
                "the argument is no resource type: write one like Patient",
            ));
        }
    };
    let mut keys = Collection::empty();
    for item in call.input {
        let Some(text) = reference_text(item) else {
            continue;
        };
        let path = text.split("/_history/").next().unwrap_or_default();
        let mut parts = path.rsplit('/');
        if let (Some(id), Some(ty)) = (parts.next(), parts.next())
            && wanted.is_none_or(|wanted| wanted == ty)
        {
            keys.push(Item::string(id.to_owned()));
        }
    }
    Ok(keys)
}
