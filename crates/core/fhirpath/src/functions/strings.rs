//! Strings (N1, section 5.6). Positions count characters. Regular expressions run in linear time and are
//! bounded in size; `.` matches line ends, as the specification's single-line mode says.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

use super::filtering::one;
use super::{Call, Function};
use crate::collection::Collection;
use crate::error::EvaluationError;
use crate::evaluate::{Evaluator, Outcome, integer, string};
use crate::expr::{Expr, Literal};
use crate::item::Item;

/// Bytes a compiled expression may take.
const MAX_PATTERN: usize = 1 << 20;
/// Expressions kept compiled in one evaluation.
const KEPT: usize = 16;

pub(super) fn call<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    if call.function == Function::Join {
        return join(evaluator, call);
    }
    let name = call.function.name();
    one(call)?;
    let Some(text) = string(name, call.input)? else {
        return Ok(Collection::empty());
    };
    evaluator.charge(text.len() as u64 / 64)?;
    match call.function {
        Function::Upper => evaluator.text(text.to_uppercase()),
        Function::Lower => evaluator.text(text.to_lowercase()),
        Function::Trim => evaluator.text(text.trim().to_owned()),
        Function::Length => Ok(count(text.chars().count())),
        Function::ToChars => {
            let chars: Collection<'a> = text
                .chars()
                .map(|char| Item::string(char.to_string()))
                .collect();
            evaluator.charge(chars.len() as u64)?;
            evaluator.bounded(&chars)?;
            Ok(chars)
        }
        Function::Substring => substring(evaluator, call, &text),
        Function::Replace | Function::ReplaceMatches => replace(evaluator, call, &text),
        Function::Matches | Function::MatchesFull => {
            let Some(pattern) = argument(evaluator, call, 0)? else {
                return Ok(Collection::empty());
            };
            let flags = argument(evaluator, call, 1)?.unwrap_or_default();
            let full = call.function == Function::MatchesFull;
            let pattern = once(evaluator, call, &pattern, &flags, full)?;
            Ok(Collection::of(Item::Boolean(pattern.is_match(&text))))
        }
        _ => {
            let Some(other) = argument(evaluator, call, 0)? else {
                return Ok(Collection::empty());
            };
            find(evaluator, call.function, &text, &other)
        }
    }
}

fn count<'a>(value: usize) -> Collection<'a> {
    Collection::maybe(i32::try_from(value).ok().map(Item::Integer))
}

fn argument<'a>(
    evaluator: &mut Evaluator<'_, 'a>,
    call: &Call<'_, 'a>,
    at: usize,
) -> Result<Option<String>, EvaluationError> {
    let value = call.value(evaluator, at)?.unwrap_or_default();
    Ok(string(call.function.name(), &value)?.map(Cow::into_owned))
}

fn find<'a>(
    evaluator: &mut Evaluator<'_, 'a>,
    function: Function,
    text: &str,
    other: &str,
) -> Outcome<'a> {
    let place = |at: Option<usize>| {
        let chars = at
            .and_then(|at| text.get(..at))
            .map(|part| part.chars().count());
        let place = chars.and_then(|count| i32::try_from(count).ok());
        Collection::of(Item::Integer(place.unwrap_or(-1)))
    };
    Ok(match function {
        Function::IndexOf => place(text.find(other)),
        Function::LastIndexOf => place(text.rfind(other)),
        Function::StartsWith => Collection::of(Item::Boolean(text.starts_with(other))),
        Function::EndsWith => Collection::of(Item::Boolean(text.ends_with(other))),
        Function::Contains => Collection::of(Item::Boolean(text.contains(other))),
        _ => {
            let parts: Collection<'a> = if other.is_empty() {
                Collection::of(Item::string(text.to_owned()))
            } else {
                text.split(other)
                    .map(|part| Item::string(part.to_owned()))
                    .collect()
            };
            evaluator.charge(parts.len() as u64)?;
            evaluator.bounded(&parts)?;
            parts
        }
    })
}

fn substring<'a>(
    evaluator: &mut Evaluator<'_, 'a>,
    call: &Call<'_, 'a>,
    text: &str,
) -> Outcome<'a> {
    let start = call.value(evaluator, 0)?.unwrap_or_default();
    let Some(start) = integer("substring()", &start)?.and_then(|at| usize::try_from(at).ok())
    else {
        return Ok(Collection::empty());
    };
    let length = match call.value(evaluator, 1)? {
        Some(length) => integer("substring()", &length)?,
        None => None,
    };
    let mut rest = text.chars().skip(start).peekable();
    if rest.peek().is_none() {
        return Ok(Collection::empty());
    }
    let part = match length {
        Some(length) => rest.take(usize::try_from(length).unwrap_or(0)).collect(),
        None => rest.collect(),
    };
    evaluator.text(part)
}

fn replace<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>, text: &str) -> Outcome<'a> {
    let (pattern, with) = (argument(evaluator, call, 0)?, argument(evaluator, call, 1)?);
    let (Some(pattern), Some(with)) = (pattern, with) else {
        return Ok(Collection::empty());
    };
    // What could be made is bounded before it is made.
    let most = (text.len() + 1).saturating_mul(with.len() + 1);
    let limit = evaluator.environment.limits.text.saturating_mul(16);
    if most > limit {
        return Err(EvaluationError::TooCostly {
            what: "bytes in a string",
            limit: evaluator.environment.limits.text,
        });
    }
    if call.function == Function::Replace {
        return evaluator.text(text.replace(&pattern, &with));
    }
    if pattern.is_empty() {
        return evaluator.text(text.to_owned());
    }
    let flags = argument(evaluator, call, 2)?.unwrap_or_default();
    let pattern = once(evaluator, call, &pattern, &flags, false)?;
    evaluator.text(pattern.replace_all(text, with.as_str()).into_owned())
}

/// A regular expression; one written out in the expression is compiled once for all evaluations.
fn once<'a>(
    evaluator: &mut Evaluator<'_, 'a>,
    call: &Call<'_, 'a>,
    pattern: &str,
    flags: &str,
    full: bool,
) -> Result<Regex, EvaluationError> {
    let (Some(Expr::Literal(Literal::Pattern(_, cell))), true) = (call.expr(0), flags.is_empty())
    else {
        return compiled(evaluator, pattern, flags, full);
    };
    if let Some(known) = cell.get() {
        return Ok(known.clone());
    }
    let made = compiled(evaluator, pattern, flags, full)?;
    Ok(cell.get_or_init(|| made).clone())
}

/// A regular expression, compiled once per evaluation.
fn compiled(
    evaluator: &mut Evaluator<'_, '_>,
    pattern: &str,
    flags: &str,
    full: bool,
) -> Result<Regex, EvaluationError> {
    let mut text = if full {
        format!("^(?:{pattern})$")
    } else {
        pattern.to_owned()
    };
    if !flags.is_empty() {
        if !flags.chars().all(|flag| matches!(flag, 'i' | 'm' | 's')) {
            return Err(EvaluationError::Pattern("flags are i, m and s".to_owned()));
        }
        text = format!("(?{flags}){text}");
    }
    if let Some((_, known)) = evaluator.patterns.iter().find(|(known, _)| *known == text) {
        return Ok(known.clone());
    }
    evaluator.charge(100 + text.len() as u64)?;
    let made = RegexBuilder::new(&text)
        .dot_matches_new_line(true)
        .size_limit(MAX_PATTERN)
        .dfa_size_limit(MAX_PATTERN)
        .build()
        .map_err(|error| EvaluationError::Pattern(problem(&error)))?;
    if evaluator.patterns.len() < KEPT {
        evaluator.patterns.push((text, made.clone()));
    }
    Ok(made)
}

/// The last line of the engine's message says what is wrong; the lines before draw it.
fn problem(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

/// `join()`: takes a collection of strings; of none it makes the empty string.
fn join<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    let separator = argument(evaluator, call, 0)?.unwrap_or_default();
    let mut all = String::new();
    for (at, item) in call.input.iter().enumerate() {
        let Some(text) = item.as_text() else {
            if item
                .as_node()
                .is_some_and(|node| node.is_primitive() && node.value().is_none())
            {
                continue;
            }
            return Err(EvaluationError::wrong_type(
                "join()",
                "strings",
                item.type_info().name,
            ));
        };
        if at > 0 {
            all.push_str(&separator);
        }
        all.push_str(&text);
        if all.len() > evaluator.environment.limits.text {
            break;
        }
    }
    evaluator.text(all)
}
