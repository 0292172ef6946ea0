//! The tree (N1, section 5.8), utilities (5.9) and `type()`. The time is the one given to the evaluation:
//! no clock is read. `trace()` tells nobody.

use super::{Call, Function};
use crate::collection::Collection;
use crate::error::EvaluationError;
use crate::evaluate::navigate::children;
use crate::evaluate::{Evaluator, Outcome, string};
use crate::item::Item;
use crate::temporal::Temporal;

/// Names the language has taken.
const TAKEN: [&str; 6] = [
    "context",
    "resource",
    "rootResource",
    "ucum",
    "sct",
    "loinc",
];

pub(super) fn call<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    match call.function {
        Function::Children => below(evaluator, call.input),
        Function::Descendants => {
            let mut all = Collection::empty();
            let mut level = below(evaluator, call.input)?;
            while !level.is_empty() {
                all.extend(level.iter().cloned());
                evaluator.bounded(&all)?;
                level = below(evaluator, &level)?;
            }
            Ok(all)
        }
        Function::Trace => {
            let name = call.value(evaluator, 0)?.unwrap_or_default();
            string("trace()", &name)?;
            if let Some(projection) = call.expr(1) {
                for (index, item) in call.input.iter().enumerate() {
                    evaluator.for_item(projection, item, index, call.frame)?;
                }
            }
            Ok(call.input.clone())
        }
        Function::DefineVariable => define(evaluator, call),
        Function::Type => Ok(call
            .input
            .iter()
            .map(|item| Item::Type(item.type_info()))
            .collect()),
        function => {
            let now = evaluator.environment.now;
            let now = now.map(|(now, offset)| Temporal::of(now, offset));
            Ok(Collection::maybe(now.map(|now| {
                Item::Temporal(match function {
                    Function::Today => now.date(),
                    Function::TimeOfDay => now.time(),
                    _ => now,
                })
            })))
        }
    }
}

fn below<'a>(evaluator: &mut Evaluator<'_, 'a>, of: &Collection<'a>) -> Outcome<'a> {
    let mut found = Collection::empty();
    for item in of {
        if let Item::Node(node) = item {
            children(node, &mut found);
        }
        evaluator.charge(8)?;
        evaluator.bounded(&found)?;
    }
    evaluator.charge(found.len() as u64)?;
    Ok(found)
}

fn define<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    let name = call.value(evaluator, 0)?.unwrap_or_default();
    let Some(name) = string("defineVariable()", &name)? else {
        return Err(EvaluationError::argument(
            "defineVariable()",
            "the variable has no name: give a string",
        ));
    };
    let taken =
        TAKEN.contains(&name.as_ref()) || evaluator.defined.iter().any(|(known, _)| *known == name);
    if taken {
        return Err(EvaluationError::Redefined(name.into_owned()));
    }
    let value = match call.expr(1) {
        None => call.input.clone(),
        Some(expr) => {
            let frame = crate::evaluate::Frame {
                this: call.input,
                ..call.frame
            };
            evaluator.scoped(expr, frame)?
        }
    };
    evaluator.defined.push((name.into_owned(), value));
    Ok(call.input.clone())
}
