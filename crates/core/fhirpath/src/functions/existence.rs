//! Existence (N1, section 5.1) and `not()`.

use super::{Call, Function};
use crate::collection::Collection;
use crate::error::EvaluationError;
use crate::evaluate::equality::Distinct;
use crate::evaluate::{Evaluator, Outcome, truth};
use crate::item::Item;

pub(super) fn call<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    let input = call.input;
    let value = match call.function {
        Function::Empty => input.is_empty(),
        Function::Exists => match call.expr(0) {
            None => !input.is_empty(),
            Some(_) => matching(evaluator, call, true)?,
        },
        Function::All => !matching(evaluator, call, false)?,
        Function::AllTrue => booleans(call)?.all(|value| value),
        Function::AnyTrue => booleans(call)?.any(|value| value),
        Function::AllFalse => booleans(call)?.all(|value| !value),
        Function::AnyFalse => booleans(call)?.any(|value| !value),
        Function::SubsetOf => {
            let other = call.value(evaluator, 0)?.unwrap_or_default();
            within(evaluator, input, &other)?
        }
        Function::SupersetOf => {
            let other = call.value(evaluator, 0)?.unwrap_or_default();
            within(evaluator, &other, input)?
        }
        Function::Count => {
            return Ok(Collection::maybe(
                i32::try_from(input.len()).ok().map(Item::Integer),
            ));
        }
        Function::Distinct => return evaluator.union(input, &Collection::empty()),
        Function::IsDistinct => {
            let mut known = Distinct::default();
            for item in input {
                if !known.add(evaluator, item)? {
                    return Ok(Collection::of(Item::Boolean(false)));
                }
            }
            true
        }
        _ => {
            return Ok(Collection::truth(
                truth("not()", input)?.map(|value| !value),
            ));
        }
    };
    Ok(Collection::of(Item::Boolean(value)))
}

/// Whether some item's condition is true (`wanted`), or some item's is not.
fn matching<'a>(
    evaluator: &mut Evaluator<'_, 'a>,
    call: &Call<'_, 'a>,
    wanted: bool,
) -> Result<bool, EvaluationError> {
    let Some(condition) = call.expr(0) else {
        return Ok(false);
    };
    for (index, item) in call.input.iter().enumerate() {
        let value = evaluator.for_item(condition, item, index, call.frame)?;
        let value = truth(call.function.name(), &value)?.unwrap_or(false);
        if value == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

fn booleans<'c>(
    call: &Call<'c, '_>,
) -> Result<impl Iterator<Item = bool> + use<'c>, EvaluationError> {
    let values: Option<Vec<bool>> = call.input.iter().map(Item::as_bool).collect();
    match values {
        Some(values) => Ok(values.into_iter()),
        None => Err(EvaluationError::wrong_type(
            call.function.name(),
            "booleans",
            "other items",
        )),
    }
}

/// Whether every item of one collection is in the other.
fn within<'a>(
    evaluator: &mut Evaluator<'_, 'a>,
    inner: &Collection<'a>,
    outer: &Collection<'a>,
) -> Result<bool, EvaluationError> {
    for item in inner {
        if !evaluator.holds(outer, item)? {
            return Ok(false);
        }
    }
    Ok(true)
}
