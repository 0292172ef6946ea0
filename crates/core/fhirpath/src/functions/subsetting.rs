//! Subsetting and combining (N1, sections 5.3 and 5.4).

use super::{Call, Function};
use crate::collection::Collection;
use crate::error::EvaluationError;
use crate::evaluate::equality::Distinct;
use crate::evaluate::{Evaluator, Outcome, integer};

pub(super) fn call<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    let input = call.input;
    Ok(match call.function {
        Function::Single if input.len() > 1 => {
            return Err(EvaluationError::NotSingle {
                what: "single()",
                count: input.len(),
            });
        }
        Function::Single | Function::First => Collection::maybe(input.first().cloned()),
        Function::Last => Collection::maybe(input.last().cloned()),
        Function::Tail => input.iter().skip(1).cloned().collect(),
        Function::Skip => {
            let count = count(evaluator, call)?;
            count.map_or_else(Collection::empty, |count| {
                input.iter().skip(count).cloned().collect()
            })
        }
        Function::Take => {
            let count = count(evaluator, call)?.unwrap_or(0);
            input.iter().take(count).cloned().collect()
        }
        _ => {
            let other = call.value(evaluator, 0)?.unwrap_or_default();
            return two(evaluator, call.function, input, &other);
        }
    })
}

/// A number of items; negative counts as none of them.
fn count<'a>(
    evaluator: &mut Evaluator<'_, 'a>,
    call: &Call<'_, 'a>,
) -> Result<Option<usize>, EvaluationError> {
    let value = call.value(evaluator, 0)?.unwrap_or_default();
    let count = integer(call.function.name(), &value)?;
    Ok(count.map(|count| usize::try_from(count).unwrap_or(0)))
}

fn two<'a>(
    evaluator: &mut Evaluator<'_, 'a>,
    function: Function,
    input: &Collection<'a>,
    other: &Collection<'a>,
) -> Outcome<'a> {
    match function {
        Function::Union => evaluator.union(input, other),
        Function::Combine => {
            let all: Collection<'a> = input.iter().chain(other).cloned().collect();
            evaluator.bounded(&all)?;
            evaluator.charge(all.len() as u64)?;
            Ok(all)
        }
        Function::Intersect => {
            let mut kept = Distinct::default();
            for item in input {
                if evaluator.holds(other, item)? {
                    kept.add(evaluator, item)?;
                }
            }
            Ok(kept.into_items())
        }
        _ => {
            let mut kept = Collection::empty();
            for item in input {
                if !evaluator.holds(other, item)? {
                    kept.push(item.clone());
                }
            }
            Ok(kept)
        }
    }
}
