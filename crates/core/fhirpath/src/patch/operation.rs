//! The operations of a patch, read from Parameters, and what each becomes: JSON Patch at the places its path
//! selects. Must not do them.

use fhir::Definitions;
use fhir::json::{Document, Kind, Value};

use super::place::{self, Place};
use super::value::{self, Content, quoted, unfit};
use super::{Limits, PatchError, PatchErrorKind};
use crate::environment::Environment;
use crate::evaluate::Expression;
use crate::item::{Item, Node};
use crate::types::FhirType;

/// One operation.
#[derive(Debug)]
pub(super) struct Operation<'p> {
    path: Expression,
    act: Act<'p>,
}

#[derive(Debug)]
enum Act<'p> {
    Add { name: String, value: Value<'p> },
    Insert { index: i64, value: Value<'p> },
    Delete,
    Replace { value: Value<'p> },
    Move { source: i64, destination: i64 },
}

/// Reads a patch.
pub(super) fn read<'p>(
    parameters: Value<'p>,
    limits: &Limits,
) -> Result<Vec<Operation<'p>>, PatchError> {
    let whole = |kind| PatchError {
        operation: None,
        kind,
    };
    if parameters.get_str("resourceType").as_deref() != Some("Parameters") {
        return Err(whole(PatchErrorKind::NotAPatch));
    }
    let all = parameters.get("parameter");
    if all.is_some_and(|all| all.len() > limits.max_operations) {
        return Err(whole(PatchErrorKind::TooMany(limits.max_operations)));
    }
    all.into_iter()
        .flat_map(Value::items)
        .enumerate()
        .map(|(at, parameter)| {
            operation(parameter).map_err(|kind| PatchError {
                operation: Some(at),
                kind,
            })
        })
        .collect()
}

fn operation(parameter: Value<'_>) -> Result<Operation<'_>, PatchErrorKind> {
    if parameter.get_str("name").as_deref() != Some("operation") {
        return Err(PatchErrorKind::NotAPatch);
    }
    let part = |name: &'static str| {
        let parts = parameter.get("part");
        let mut parts = parts.into_iter().flat_map(Value::items);
        parts
            .find(|part| part.get_str("name").as_deref() == Some(name))
            .ok_or(PatchErrorKind::Part(name))
    };
    let text = |name: &'static str| {
        let part = part(name)?;
        ["valueCode", "valueString"]
            .into_iter()
            .find_map(|member| part.get_str(member))
            .ok_or(PatchErrorKind::Part(name))
    };
    let number = |name: &'static str| {
        part(name)?
            .get("valueInteger")
            .and_then(Value::number_text)
            .and_then(|text| text.parse().ok())
            .ok_or(PatchErrorKind::Part(name))
    };
    let ty = text("type")?;
    let path = text("path")?;
    let act = match &*ty {
        "add" => Act::Add {
            name: text("name")?.into_owned(),
            value: part("value")?,
        },
        "insert" => Act::Insert {
            index: number("index")?,
            value: part("value")?,
        },
        "delete" => Act::Delete,
        "replace" => Act::Replace {
            value: part("value")?,
        },
        "move" => Act::Move {
            source: number("source")?,
            destination: number("destination")?,
        },
        _ => return Err(PatchErrorKind::Type),
    };
    Ok(Operation {
        path: Expression::compile(&path)?,
        act,
    })
}

/// JSON Patch being written.
#[derive(Default)]
struct Changes(Vec<String>);

impl Changes {
    fn add(&mut self, path: &str, value: &str) {
        let path = quoted(path);
        self.0
            .push(format!(r#"{{"op":"add","path":{path},"value":{value}}}"#));
    }
    fn remove(&mut self, path: &str) {
        let path = quoted(path);
        self.0.push(format!(r#"{{"op":"remove","path":{path}}}"#));
    }
    fn finish(self) -> String {
        if self.0.is_empty() {
            String::new()
        } else {
            format!("[{}]", self.0.join(","))
        }
    }
}

impl Operation<'_> {
    /// The JSON Patch of the operation; empty where there is nothing to do.
    pub(super) fn changes(&self, document: &Document) -> Result<String, PatchErrorKind> {
        let root = document.root();
        let item = Item::resource(root);
        let environment = Environment::new(item.clone());
        let found = self.path.evaluate(&environment, item)?;
        let nodes: Vec<Node<'_>> = found
            .iter()
            .map(|item| item.as_node().copied())
            .collect::<Option<_>>()
            .ok_or(PatchErrorKind::NotAnElement)?;
        let only = || match nodes.as_slice() {
            [one] => Ok(one),
            _ => Err(PatchErrorKind::NotOne(nodes.len())),
        };
        let mut changes = Changes::default();
        match &self.act {
            Act::Delete if nodes.is_empty() => {}
            Act::Delete => remove(&mut changes, &placed(root, only()?)?),
            Act::Add { name, value } => add(&mut changes, root, only()?, name, *value)?,
            Act::Replace { value } => replace(&mut changes, &placed(root, only()?)?, *value)?,
            Act::Insert { index, value } => {
                let list = list(root, &nodes)?;
                insert(&mut changes, &list, nodes.len(), *index, *value)?;
            }
            Act::Move {
                source,
                destination,
            } => {
                let list = list(root, &nodes)?;
                shift(&mut changes, &list, nodes.len(), *source, *destination)?;
            }
        }
        Ok(changes.finish())
    }
}

fn placed<'a>(root: Value<'a>, node: &Node<'a>) -> Result<Place<'a>, PatchErrorKind> {
    place::of(root, node).ok_or(PatchErrorKind::NotAnElement)
}

/// The place of the first item, where the nodes are all items of one list.
fn list<'a>(root: Value<'a>, nodes: &[Node<'a>]) -> Result<Place<'a>, PatchErrorKind> {
    let mut first: Option<Place<'a>> = None;
    for (at, node) in nodes.iter().enumerate() {
        let place = placed(root, node)?;
        let same = first.as_ref().is_none_or(|first| first.is_beside(&place));
        if !same || place.index != Some(at) {
            return Err(PatchErrorKind::NotAList);
        }
        first.get_or_insert(place);
    }
    let first = first.ok_or(PatchErrorKind::NotAList)?;
    let len = first.object.get(&first.member).map_or(0, Value::len);
    if len > nodes.len() {
        return Err(PatchErrorKind::NotAList);
    }
    Ok(first)
}

fn remove(changes: &mut Changes, place: &Place<'_>) {
    for beside in [false, true] {
        let key = if beside {
            format!("_{}", place.member)
        } else {
            place.member.clone()
        };
        let Some(value) = place.object.get(&key) else {
            continue;
        };
        let pointer = place.pointer(beside);
        match place.index {
            None => changes.remove(&pointer),
            Some(index) if index < value.len() => changes.remove(&format!("{pointer}/{index}")),
            Some(_) => {}
        }
    }
}

fn add(
    changes: &mut Changes,
    root: Value<'_>,
    node: &Node<'_>,
    name: &str,
    value: Value<'_>,
) -> Result<(), PatchErrorKind> {
    if node.is_primitive() {
        return add_beside(changes, root, node, name, value);
    }
    let FhirType::Shape(shape) = node.ty() else {
        return Err(PatchErrorKind::NotAnElement);
    };
    let object = node.value().ok_or(PatchErrorKind::NotAnElement)?;
    let parent = if object.offset() == root.offset() {
        String::new()
    } else {
        let place = placed(root, node)?;
        let index = place.index.map_or_else(String::new, |at| format!("/{at}"));
        place.pointer(false) + &index
    };
    let element = Definitions::r4()
        .element(shape, name)
        .ok_or_else(|| unfit(shape, name))?;
    let content = value::content(value, shape, &element)?;
    let existing = element.forms().find(|(member, _)| {
        object.get(member).is_some() || object.get(&format!("_{member}")).is_some()
    });
    match existing {
        Some((member, _)) if element.repeats() => {
            let len = [member.to_owned(), format!("_{member}")]
                .iter()
                .filter_map(|key| object.get(key))
                .map(Value::len)
                .max();
            put(changes, object, &parent, &content, len.unwrap_or(0));
            Ok(())
        }
        Some((member, _)) => Err(PatchErrorKind::Exists(member.to_owned())),
        None => {
            for (beside, json) in [(false, &content.value), (true, &content.beside)] {
                if let Some(json) = json {
                    let pointer = place::pointer(&parent, &content.member, beside);
                    if element.repeats() {
                        changes.add(&pointer, &format!("[{json}]"));
                    } else {
                        changes.add(&pointer, json);
                    }
                }
            }
            Ok(())
        }
    }
}

/// Puts content into a list at an index, and `null` where one of the two arrays has nothing there.
fn put(changes: &mut Changes, object: Value<'_>, parent: &str, content: &Content, index: usize) {
    for (beside, json) in [(false, &content.value), (true, &content.beside)] {
        let key = if beside {
            format!("_{}", content.member)
        } else {
            content.member.clone()
        };
        let pointer = place::pointer(parent, &content.member, beside);
        match object.get(&key) {
            None => {
                if let Some(json) = json {
                    let nulls = "null,".repeat(index);
                    changes.add(&pointer, &format!("[{nulls}{json}]"));
                }
            }
            // What lies beyond the shorter array needs nothing in it, unless there is something to put.
            Some(array) if index > array.len() => {
                if let Some(json) = json {
                    for _ in array.len()..index {
                        changes.add(&format!("{pointer}/-"), "null");
                    }
                    changes.add(&format!("{pointer}/-"), json);
                }
            }
            Some(array) => {
                if json.is_some() || index < array.len() {
                    let json = json.as_deref().unwrap_or("null");
                    changes.add(&format!("{pointer}/{index}"), json);
                }
            }
        }
    }
}

/// Adds an extension or id to a primitive.
fn add_beside(
    changes: &mut Changes,
    root: Value<'_>,
    node: &Node<'_>,
    name: &str,
    value: Value<'_>,
) -> Result<(), PatchErrorKind> {
    let definitions = Definitions::r4();
    let place = placed(root, node)?;
    let shape = definitions
        .shape_named("Element")
        .ok_or(PatchErrorKind::NotAnElement)?;
    let element = definitions
        .element(shape, name)
        .ok_or_else(|| unfit(shape, name))?;
    let content = value::content(value, shape, &element)?;
    let json = content.value.ok_or(PatchErrorKind::Part("value"))?;
    let member = quoted(&content.member);
    let made = if element.repeats() {
        format!("[{json}]")
    } else {
        json.clone()
    };
    let index = place.index.map_or_else(String::new, |at| format!("/{at}"));
    let pointer = place.pointer(true) + &index;
    let Some(beside) = node.beside() else {
        let object = format!("{{{member}:{made}}}");
        let array = place.object.get(&format!("_{}", place.member));
        match (place.index, array) {
            (None, _) => changes.add(&place.pointer(true), &object),
            (Some(at), None) => {
                let nulls = "null,".repeat(at);
                changes.add(&place.pointer(true), &format!("[{nulls}{object}]"));
            }
            (Some(at), Some(array)) => {
                if at < array.len() {
                    changes.remove(&pointer);
                }
                for _ in array.len()..at {
                    changes.add(&format!("{}/-", place.pointer(true)), "null");
                }
                changes.add(&pointer, &object);
            }
        }
        return Ok(());
    };
    match beside.get(&content.member) {
        Some(known) if known.kind() == Kind::Array => {
            changes.add(&format!("{pointer}/{}/-", content.member), &json);
        }
        Some(_) => return Err(PatchErrorKind::Exists(content.member)),
        None => changes.add(&format!("{pointer}/{}", content.member), &made),
    }
    Ok(())
}

fn replace(
    changes: &mut Changes,
    place: &Place<'_>,
    value: Value<'_>,
) -> Result<(), PatchErrorKind> {
    let content = value::content(value, place.shape, &place.element)?;
    let Some(index) = place.index else {
        let same = content.member == place.member;
        for (beside, json) in [(false, &content.value), (true, &content.beside)] {
            let mark = if beside { "_" } else { "" };
            let there = place
                .object
                .get(&format!("{mark}{}", place.member))
                .is_some();
            match json {
                Some(json) => {
                    if there && !same {
                        changes.remove(&place.pointer(beside));
                    }
                    changes.add(
                        &place::pointer(&place.parent, &content.member, beside),
                        json,
                    );
                }
                // A value takes its extensions with it.
                None if there => changes.remove(&place.pointer(beside)),
                None => {}
            }
        }
        return Ok(());
    };
    for (beside, json) in [(false, &content.value), (true, &content.beside)] {
        let mark = if beside { "_" } else { "" };
        let array = place.object.get(&format!("{mark}{}", place.member));
        let len = array.map_or(0, Value::len);
        let pointer = place.pointer(beside);
        if index < len {
            changes.remove(&format!("{pointer}/{index}"));
            let json = json.as_deref().unwrap_or("null");
            changes.add(&format!("{pointer}/{index}"), json);
        } else if let Some(json) = json {
            if array.is_none() {
                let nulls = "null,".repeat(index);
                changes.add(&pointer, &format!("[{nulls}{json}]"));
            } else {
                for _ in len..index {
                    changes.add(&format!("{pointer}/-"), "null");
                }
                changes.add(&format!("{pointer}/-"), json);
            }
        }
    }
    Ok(())
}

fn within(index: i64, len: usize, most: usize) -> Result<usize, PatchErrorKind> {
    usize::try_from(index)
        .ok()
        .filter(|at| *at <= most)
        .ok_or(PatchErrorKind::Index { index, len })
}

fn insert(
    changes: &mut Changes,
    list: &Place<'_>,
    len: usize,
    index: i64,
    value: Value<'_>,
) -> Result<(), PatchErrorKind> {
    let index = within(index, len, len)?;
    let content = value::content(value, list.shape, &list.element)?;
    put(changes, list.object, &list.parent, &content, index);
    Ok(())
}

fn shift(
    changes: &mut Changes,
    list: &Place<'_>,
    len: usize,
    source: i64,
    destination: i64,
) -> Result<(), PatchErrorKind> {
    let last = len.saturating_sub(1);
    let source = within(source, len, last)?;
    let destination = within(destination, len, last)?;
    for beside in [false, true] {
        let mark = if beside { "_" } else { "" };
        let Some(array) = list.object.get(&format!("{mark}{}", list.member)) else {
            continue;
        };
        let pointer = list.pointer(beside);
        // The array beside may be shorter: then it is first made as long.
        for _ in array.len()..len {
            changes.add(&format!("{pointer}/-"), "null");
        }
        let (from, to) = (
            quoted(&format!("{pointer}/{source}")),
            quoted(&format!("{pointer}/{destination}")),
        );
        changes
            .0
            .push(format!(r#"{{"op":"move","from":{from},"path":{to}}}"#));
    }
    Ok(())
}
