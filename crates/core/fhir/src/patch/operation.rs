//! The operations of a patch, read and checked before any of them is done.

use super::pointer::Pointer;
use super::{Limits, PatchError, PatchErrorKind};
use crate::json::{Kind, Value};

/// One operation.
#[derive(Debug, Clone)]
pub struct Operation<'a> {
    pub(super) path: Pointer,
    pub(super) act: Act<'a>,
}

/// What it does at its path.
#[derive(Debug, Clone)]
pub(super) enum Act<'a> {
    Add(Value<'a>),
    Remove,
    Replace(Value<'a>),
    Move(Pointer),
    Copy(Pointer),
    Test(Value<'a>),
}

/// Reads a patch.
///
/// # Errors
/// Anything that is not an array of operations of RFC 6902, none, and more than the limit. Members that
/// the RFC does not have are passed over, as it demands.
pub fn parse<'a>(patch: Value<'a>, limits: &Limits) -> Result<Vec<Operation<'a>>, PatchError> {
    if patch.kind() != Kind::Array {
        return Err(PatchErrorKind::NotAPatch.of_all());
    }
    if patch.is_empty() {
        return Err(PatchErrorKind::Empty.of_all());
    }
    if patch.len() > limits.max_operations {
        return Err(PatchErrorKind::TooMany(limits.max_operations).of_all());
    }
    patch
        .items()
        .enumerate()
        .map(|(index, item)| operation(item, limits.max_depth).map_err(|kind| kind.of(index)))
        .collect()
}

fn operation(item: Value<'_>, max_depth: usize) -> Result<Operation<'_>, PatchErrorKind> {
    let text = |name: &'static str| item.get_str(name).ok_or(PatchErrorKind::Member(name));
    let value = || item.get("value").ok_or(PatchErrorKind::Member("value"));
    let pointer = |name: &'static str| Pointer::parse(&text(name)?, max_depth);
    let op = text("op")?;
    Ok(Operation {
        path: pointer("path")?,
        act: match &*op {
            "add" => Act::Add(value()?),
            "remove" => Act::Remove,
            "replace" => Act::Replace(value()?),
            "move" => Act::Move(pointer("from")?),
            "copy" => Act::Copy(pointer("from")?),
            "test" => Act::Test(value()?),
            _ => return Err(PatchErrorKind::Op),
        },
    })
}
