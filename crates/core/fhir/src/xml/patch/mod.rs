//! XML Patch (RFC 5261) over the XML form of a resource: `add`, `replace` and `remove` of elements,
//! attributes, runs of characters and comments, each at a path that names exactly one of them. What a patch
//! does not touch keeps its markup. Must not know FHIR: the result is read and validated like any other
//! content before it is stored.

mod path;
#[cfg(test)]
mod tests;
mod tree;

use kernel::{Categorised, Category};

use super::error::shorten;
use super::{FHIR, XHTML, XmlError};
use path::{Last, Path, Place, Work};
use tree::{Element, Node};

/// What a patch may cost at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Operations in a patch.
    pub max_operations: usize,
    /// Bytes of the result.
    pub max_bytes: usize,
    /// Nodes that all operations together may look at.
    pub max_work: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_operations: 500,
            max_bytes: 8 << 20,
            max_work: 20_000_000,
        }
    }
}

/// A refused patch, and which of its operations is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{kind}", at(*.operation))]
pub struct PatchError {
    /// The operation, from 0; `None` for the patch as a whole.
    pub operation: Option<usize>,
    /// What is wrong.
    pub kind: PatchErrorKind,
}

fn at(operation: Option<usize>) -> String {
    operation.map_or_else(String::new, |index| format!("operation {index}: "))
}

/// What is wrong with a patch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchErrorKind {
    /// The patch, or the document it goes over, is no XML as it is taken here.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Not a patch.
    #[error("an XML Patch is an element diff or patch with the operations in it: send one")]
    NotAPatch,
    /// No operations at all.
    #[error("the patch has no operations: send at least one")]
    Empty,
    /// More operations than allowed.
    #[error("the patch has more than {0} operations: send it in parts")]
    TooMany(usize),
    /// An element that is no operation.
    #[error("{0:?} is no operation: use add, replace or remove")]
    Operation(String),
    /// An attribute that the operation does not have, or whose value it does not take.
    #[error("the attribute {0} is missing or has a value that is not offered: correct it")]
    Attribute(String),
    /// Not a path of RFC 5261.
    #[error("the path {path:?} cannot be used: {why}")]
    Path {
        /// The path, shortened.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// A path that does not name one node.
    #[error("the path names {0} nodes, and must name one: make it more precise")]
    NotOne(usize),
    /// What is to be added is there, or content does not fit its place.
    #[error("{0}")]
    Content(&'static str),
    /// The result is too large.
    #[error("the result has more than {0} bytes: send less")]
    TooLarge(usize),
    /// The operations look at too much.
    #[error("the operations together look at too many nodes: send them in parts")]
    TooCostly,
}

impl Categorised for PatchError {
    fn category(&self) -> Category {
        match &self.kind {
            PatchErrorKind::Xml(error) => error.category(),
            PatchErrorKind::NotOne(_) | PatchErrorKind::Content(_) => Category::Unprocessable,
            PatchErrorKind::TooMany(_) | PatchErrorKind::TooLarge(_) => Category::TooLarge,
            PatchErrorKind::TooCostly => Category::TooCostly,
            _ => Category::Invalid,
        }
    }
}

impl PatchErrorKind {
    const fn in_whole(self) -> PatchError {
        PatchError {
            operation: None,
            kind: self,
        }
    }
}

/// A patch, read but not yet applied.
#[derive(Debug, Clone)]
pub struct Patch {
    operations: Vec<Operation>,
    limits: Limits,
}

#[derive(Debug, Clone)]
struct Operation {
    path: Path,
    action: Action,
    /// How deep the content is that it brings.
    depth: usize,
}

/// Open elements at one place of the result.
const DEPTH: usize = 128;

#[derive(Debug, Clone)]
enum Action {
    /// Nodes, beside or inside the one that is named.
    Add(Position, Vec<Node>),
    AddAttribute(String, String),
    Declare(String, String),
    Replace(Vec<Node>),
    /// With white space before and after it.
    Remove(bool, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Append,
    Prepend,
    Before,
    After,
}

/// Reads a patch.
///
/// # Errors
/// What is wrong with it, before it is applied to anything.
pub fn parse(source: &[u8], limits: &Limits) -> Result<Patch, PatchError> {
    let bounds = super::Limits {
        max_bytes: limits.max_bytes,
        ..super::Limits::default()
    };
    let document =
        tree::read(source, &bounds).map_err(|error| PatchErrorKind::from(error).in_whole())?;
    let root = document.iter().find_map(Node::element);
    let root = root.filter(|root| matches!(root.name.as_str(), "diff" | "patch"));
    let root = root.ok_or_else(|| PatchErrorKind::NotAPatch.in_whole())?;
    let is_content = |node: &&Node| !node.is_blank() && !matches!(node, Node::Comment(_));
    let mut operations = Vec::new();
    for (index, node) in root.children.iter().filter(is_content).enumerate() {
        if index >= limits.max_operations {
            return Err(PatchErrorKind::TooMany(limits.max_operations).in_whole());
        }
        let element = node.element().filter(|element| element.space == root.space);
        let element = element.ok_or_else(|| PatchErrorKind::NotAPatch.in_whole())?;
        operations.push(operation(root, element).map_err(|kind| PatchError {
            operation: Some(index),
            kind,
        })?);
    }
    if operations.is_empty() {
        return Err(PatchErrorKind::Empty.in_whole());
    }
    Ok(Patch {
        operations,
        limits: *limits,
    })
}

fn operation(root: &Element, element: &Element) -> Result<Operation, PatchErrorKind> {
    let known: &[&str] = match element.name.as_str() {
        "add" => &["sel", "pos", "type"],
        "replace" => &["sel"],
        "remove" => &["sel", "ws"],
        other => return Err(PatchErrorKind::Operation(shorten(other))),
    };
    let refused = |name: &str| PatchErrorKind::Attribute(shorten(name));
    let mut given = element.attributes.iter().map(|(name, _)| name.as_str());
    if let Some(other) = given.find(|name| !known.contains(name)) {
        return Err(refused(other));
    }
    // Prefixes as the patch declares them; f and h as FHIR's own paths use them.
    let space_of = |prefix: &str| {
        let declared = element.declares.iter().chain(&root.declares);
        let mut declared = declared.filter(|(known, _)| known == prefix);
        match (declared.next(), prefix) {
            (Some((_, uri)), _) => Some(uri.clone()),
            (None, "f") => Some(FHIR.to_owned()),
            (None, "h") => Some(XHTML.to_owned()),
            (None, "") => Some(element.space.clone()),
            (None, _) => None,
        }
    };
    let sel = element.attribute("sel").ok_or_else(|| refused("sel"))?;
    let path = Path::read(sel, &space_of)?;
    let action = match element.name.as_str() {
        "add" => addition(element)?,
        "replace" => Action::Replace(element.children.clone()),
        _ => {
            if element.children.iter().any(|node| !node.is_blank()) {
                let text = "a removal has no content: leave it out";
                return Err(PatchErrorKind::Content(text));
            }
            match element.attribute("ws") {
                None => Action::Remove(false, false),
                Some("before") => Action::Remove(true, false),
                Some("after") => Action::Remove(false, true),
                Some("both") => Action::Remove(true, true),
                Some(_) => return Err(refused("ws")),
            }
        }
    };
    let depth = depth(&element.children);
    Ok(Operation {
        path,
        action,
        depth,
    })
}

fn addition(element: &Element) -> Result<Action, PatchErrorKind> {
    let refused = |name: &str| PatchErrorKind::Attribute(name.to_owned());
    let position = match element.attribute("pos") {
        None => Position::Append,
        Some("prepend") => Position::Prepend,
        Some("before") => Position::Before,
        Some("after") => Position::After,
        Some(_) => return Err(refused("pos")),
    };
    let Some(kind) = element.attribute("type") else {
        return Ok(Action::Add(position, element.children.clone()));
    };
    if element.attribute("pos").is_some() {
        return Err(refused("pos"));
    }
    let value = characters(&element.children)?;
    let name = |kind: &str| {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let starts = kind.starts_with(|c: char| c.is_alphabetic() || c == '_');
        let kind = Some(kind).filter(|kind| starts && kind.chars().all(is_part));
        kind.map(str::to_owned).ok_or_else(|| refused("type"))
    };
    if let Some(attribute) = kind.strip_prefix('@') {
        return Ok(Action::AddAttribute(name(attribute)?, value));
    }
    let prefix = kind.strip_prefix("namespace::");
    let prefix = prefix.ok_or_else(|| refused("type"))?;
    Ok(Action::Declare(name(prefix)?, value.trim().to_owned()))
}

fn depth(nodes: &[Node]) -> usize {
    let inside = nodes.iter().filter_map(Node::element);
    inside
        .map(|element| 1 + depth(&element.children))
        .max()
        .unwrap_or(0)
}

/// The characters of content that is nothing else.
fn characters(nodes: &[Node]) -> Result<String, PatchErrorKind> {
    let mut text = String::new();
    for node in nodes {
        match node {
            Node::Text(raw) => text.push_str(&tree::plain(raw)),
            _ => {
                return Err(PatchErrorKind::Content(
                    "the value is text only: send it so",
                ));
            }
        }
    }
    Ok(text)
}

/// A document with the patch applied, all of it or nothing.
///
/// # Errors
/// A path that names no node or several, content that does not fit, a result beyond the limits.
pub fn apply(target: &[u8], patch: &Patch) -> Result<Vec<u8>, PatchError> {
    let limits = &patch.limits;
    let in_whole = PatchErrorKind::in_whole;
    let mut document = tree::read(target, &super::Limits::default())
        .map_err(|error| in_whole(PatchErrorKind::from(error)))?;
    let mut work = Work(limits.max_work);
    for (index, operation) in patch.operations.iter().enumerate() {
        let done = operation.run(&mut document, &mut work);
        done.map_err(|kind| PatchError {
            operation: Some(index),
            kind,
        })?;
    }
    let mut out = Vec::with_capacity(target.len() + 256);
    tree::write(&document, "", &mut out)
        .map_err(|kind| in_whole(PatchErrorKind::from(kind.at(&[], 0))))?;
    if out.len() > limits.max_bytes {
        return Err(in_whole(PatchErrorKind::TooLarge(limits.max_bytes)));
    }
    Ok(out)
}

/// The nodes among which a place is, and its index there.
fn around<'d>(document: &'d mut Vec<Node>, place: &Place) -> Option<(&'d mut Vec<Node>, usize)> {
    let (last, above) = place.split_last()?;
    let mut nodes = document;
    for at in above {
        nodes = match nodes.get_mut(*at) {
            Some(Node::Element(element)) => &mut element.children,
            _ => return None,
        };
    }
    (*last < nodes.len()).then_some((nodes, *last))
}

fn element(nodes: &mut [Node], at: usize) -> Result<&mut Element, PatchErrorKind> {
    match nodes.get_mut(at) {
        Some(Node::Element(element)) => Ok(element),
        _ => Err(PatchErrorKind::Content(
            "the path names no element, which this operation needs: correct it",
        )),
    }
}

impl Operation {
    fn run(&self, document: &mut Vec<Node>, work: &mut Work) -> Result<(), PatchErrorKind> {
        let place = self.path.find(document, work)?;
        if place.len() + self.depth > DEPTH {
            let text = "the result nests deeper than 128 elements: flatten it";
            return Err(PatchErrorKind::Content(text));
        }
        let is_top = place.len() < 2;
        let (nodes, at) = around(document, &place).ok_or(PatchErrorKind::NotOne(0))?;
        // Moving what stands behind, and joining characters, costs as much as looking at it.
        work.charge(nodes.len())?;
        match &self.action {
            Action::Add(position, content) => {
                work.charge(content.len())?;
                self.add(nodes, at, *position, content, is_top)
            }
            Action::AddAttribute(name, value) => {
                self.only_elements()?;
                let element = element(nodes, at)?;
                if element.attribute(name).is_some() {
                    let text = "the attribute is there already: replace it";
                    return Err(PatchErrorKind::Content(text));
                }
                element.attributes.push((name.clone(), value.clone()));
                element.written = None;
                Ok(())
            }
            Action::Declare(prefix, uri) => {
                self.only_elements()?;
                let element = element(nodes, at)?;
                if element.declares.iter().any(|(known, _)| known == prefix) {
                    let text = "the prefix is declared already: use another one";
                    return Err(PatchErrorKind::Content(text));
                }
                element.declares.push((prefix.clone(), uri.clone()));
                element.written = None;
                Ok(())
            }
            Action::Replace(content) => self.replace(nodes, at, content),
            Action::Remove(before, after) => self.remove(nodes, at, *before, *after, is_top),
        }
    }

    fn only_elements(&self) -> Result<(), PatchErrorKind> {
        match self.path.last() {
            Last::Element => Ok(()),
            _ => Err(PatchErrorKind::Content(
                "the path names no element, which this operation needs: correct it",
            )),
        }
    }

    fn add(
        &self,
        nodes: &mut Vec<Node>,
        at: usize,
        position: Position,
        content: &[Node],
        is_top: bool,
    ) -> Result<(), PatchErrorKind> {
        let text = "an attribute has nothing inside or beside it: name its element, or use type";
        if matches!(self.path.last(), Last::Attribute(_)) {
            return Err(PatchErrorKind::Content(text));
        }
        let is_beside = matches!(position, Position::Before | Position::After);
        if is_beside && is_top && content.iter().any(|node| node.element().is_some()) {
            let text = "a resource is one element: nothing stands beside it";
            return Err(PatchErrorKind::Content(text));
        }
        let (list, at) = match position {
            Position::Before => (nodes, at),
            Position::After => (nodes, at + 1),
            Position::Append | Position::Prepend => {
                let inside = &mut element(nodes, at)?.children;
                let at = match position {
                    Position::Prepend => 0,
                    _ => inside.len(),
                };
                (inside, at)
            }
        };
        list.splice(at..at, content.iter().cloned());
        join(list);
        Ok(())
    }

    fn replace(
        &self,
        nodes: &mut Vec<Node>,
        at: usize,
        content: &[Node],
    ) -> Result<(), PatchErrorKind> {
        if let Last::Attribute(name) = self.path.last() {
            let value = characters(content)?;
            let element = element(nodes, at)?;
            let found = element
                .attributes
                .iter_mut()
                .find(|(known, _)| known == name);
            let (_, old) = found.ok_or(PatchErrorKind::NotOne(0))?;
            *old = value;
            element.written = None;
            return Ok(());
        }
        let new = match self.path.last() {
            Last::Text(_) => {
                characters(content)?;
                content.to_vec()
            }
            last => {
                let is_content = |node: &&Node| !node.is_blank();
                let mut all = content.iter().filter(is_content);
                let one = all.next().filter(|node| match last {
                    Last::Comment(_) => matches!(node, Node::Comment(_)),
                    _ => node.element().is_some(),
                });
                let text = "what is replaced is replaced by one of its kind: send exactly one";
                match (one, all.next()) {
                    (Some(one), None) => vec![one.clone()],
                    _ => return Err(PatchErrorKind::Content(text)),
                }
            }
        };
        nodes.splice(at..=at, new);
        join(nodes);
        Ok(())
    }

    fn remove(
        &self,
        nodes: &mut Vec<Node>,
        at: usize,
        before: bool,
        after: bool,
        is_top: bool,
    ) -> Result<(), PatchErrorKind> {
        let text = "there is no white space beside what is removed: leave ws out";
        if let Last::Attribute(name) = self.path.last() {
            let element = element(nodes, at)?;
            let count = element.attributes.len();
            element.attributes.retain(|(known, _)| known != name);
            if element.attributes.len() == count {
                return Err(PatchErrorKind::NotOne(0));
            }
            element.written = None;
            if before || after {
                return Err(PatchErrorKind::Content(text));
            }
            return Ok(());
        }
        if is_top && nodes.get(at).is_some_and(|node| node.element().is_some()) {
            let text = "the whole resource cannot be removed: delete it instead";
            return Err(PatchErrorKind::Content(text));
        }
        let is_blank =
            |at: Option<usize>| at.and_then(|at| nodes.get(at)).is_some_and(Node::is_blank);
        if (before && !is_blank(at.checked_sub(1))) || (after && !is_blank(Some(at + 1))) {
            return Err(PatchErrorKind::Content(text));
        }
        nodes.drain(at - usize::from(before)..=at + usize::from(after));
        join(nodes);
        Ok(())
    }
}

/// Characters next to each other are one run.
fn join(nodes: &mut Vec<Node>) {
    nodes.dedup_by(|after, before| match (before, after) {
        (Node::Text(before), Node::Text(after)) => {
            before.push_str(after);
            true
        }
        _ => false,
    });
    nodes.retain(|node| !matches!(node, Node::Text(text) if text.is_empty()));
}
