//! The target as a tree that is opened only along the paths of operations: everything else stays a span
//! of its source. Must not recurse deeper than the limits let values nest.

use super::operation::{Act, Operation};
use super::pointer::{Pointer, index};
use super::{Limits, PatchErrorKind, number};
use crate::json::{Kind, Value, unescape};
use crate::print;

type Done<T = ()> = Result<T, PatchErrorKind>;

/// The name of a member.
#[derive(Debug, Clone)]
pub(super) enum Key<'a> {
    /// As it stands in the source, between its quotes.
    Raw(&'a str),
    /// Of a pointer.
    New(String),
}

impl Key<'_> {
    fn is(&self, name: &str) -> bool {
        match self {
            Self::Raw(raw) if raw.contains('\\') => unescape(raw) == name,
            Self::Raw(raw) => *raw == name,
            Self::New(text) => text == name,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Raw(raw) => unescape(raw),
            Self::New(text) => text.clone(),
        }
    }
}

/// A value: of a source, or opened.
#[derive(Debug, Clone)]
pub(super) enum Node<'a> {
    Source(Value<'a>),
    Object(Vec<(Key<'a>, Node<'a>)>),
    Array(Vec<Node<'a>>),
}

/// Bytes and depth of a value.
struct Extent {
    bytes: usize,
    depth: usize,
}

impl<'a> Node<'a> {
    /// Opens a container of a source, so that its children can be changed.
    fn open(&mut self) {
        let Self::Source(value) = self else { return };
        let value = *value;
        match value.kind() {
            Kind::Object => {
                let members = value.raw_members();
                *self = Self::Object(
                    members
                        .map(|(key, value)| (Key::Raw(key), Self::Source(value)))
                        .collect(),
                );
            }
            Kind::Array => *self = Self::Array(value.items().map(Self::Source).collect()),
            _ => {}
        }
    }

    /// The child of this name or index.
    fn child(&mut self, part: &str) -> Option<&mut Self> {
        self.open();
        match self {
            Self::Object(members) => members
                .iter_mut()
                .find(|(key, _)| key.is(part))
                .map(|(_, node)| node),
            Self::Array(items) => items.get_mut(index(part)?),
            Self::Source(_) => None,
        }
    }

    fn extent(&self) -> Extent {
        match self {
            Self::Source(value) => Extent {
                bytes: value.raw().len(),
                depth: depth(*value),
            },
            Self::Object(members) => {
                let names = members.iter().map(|(key, _)| match key {
                    Key::Raw(raw) => raw.len() + 4,
                    Key::New(text) => text.len() + 4,
                });
                let names: usize = names.sum();
                let inner = Self::extents(members.iter().map(|(_, node)| node));
                Extent {
                    bytes: inner.bytes + names + 2,
                    depth: inner.depth + 1,
                }
            }
            Self::Array(items) => {
                let inner = Self::extents(items.iter());
                Extent {
                    bytes: inner.bytes + items.len() + 2,
                    depth: inner.depth + 1,
                }
            }
        }
    }

    fn extents<'n>(nodes: impl Iterator<Item = &'n Self>) -> Extent
    where
        'a: 'n,
    {
        nodes
            .map(Self::extent)
            .fold(Extent { bytes: 0, depth: 0 }, |sum, one| Extent {
                bytes: sum.bytes + one.bytes,
                depth: sum.depth.max(one.depth),
            })
    }

    /// Takes out what operations emptied; whether it is itself empty then.
    pub(super) fn drop_emptied(&mut self) -> bool {
        match self {
            Self::Source(_) => false,
            Self::Object(members) => {
                members.retain_mut(|(_, node)| !node.drop_emptied());
                members.is_empty()
            }
            Self::Array(items) => {
                items.retain_mut(|node| !node.drop_emptied());
                items.is_empty()
            }
        }
    }

    pub(super) fn print(&self, out: &mut Vec<u8>) {
        match self {
            Self::Source(value) => print::compact(*value, out),
            Self::Object(members) => {
                out.push(b'{');
                for (place, (key, node)) in members.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    match key {
                        Key::Raw(raw) => {
                            out.push(b'"');
                            out.extend_from_slice(raw.as_bytes());
                            out.push(b'"');
                        }
                        Key::New(text) => print::write_string(text, out),
                    }
                    out.push(b':');
                    node.print(out);
                }
                out.push(b'}');
            }
            Self::Array(items) => {
                out.push(b'[');
                for (place, node) in items.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    node.print(out);
                }
                out.push(b']');
            }
        }
    }

    /// Equality as RFC 6902 has it: numbers by value, members in any order.
    fn equals(&self, other: Value<'_>) -> bool {
        match self {
            Self::Source(value) => equal(*value, other),
            Self::Object(members) => {
                other.kind() == Kind::Object
                    && members.len() == other.len()
                    && members.iter().all(|(key, node)| {
                        other
                            .get(&key.text())
                            .is_some_and(|other| node.equals(other))
                    })
            }
            Self::Array(items) => {
                other.kind() == Kind::Array
                    && items.len() == other.len()
                    && items
                        .iter()
                        .zip(other.items())
                        .all(|(node, other)| node.equals(other))
            }
        }
    }
}

fn depth(value: Value<'_>) -> usize {
    let deepest = match value.kind() {
        Kind::Object => value.members().map(|(_, inner)| depth(inner)).max(),
        Kind::Array => value.items().map(depth).max(),
        _ => return 0,
    };
    deepest.unwrap_or(0) + 1
}

fn equal(a: Value<'_>, b: Value<'_>) -> bool {
    if a.kind() != b.kind() || a.len() != b.len() {
        return false;
    }
    match a.kind() {
        Kind::Null => true,
        Kind::Bool => a.as_bool() == b.as_bool(),
        Kind::String => a.as_str() == b.as_str(),
        Kind::Number => number::equal(
            a.number_text().unwrap_or_default(),
            b.number_text().unwrap_or_default(),
        ),
        Kind::Array => a.items().zip(b.items()).all(|(a, b)| equal(a, b)),
        Kind::Object => a
            .members()
            .all(|(key, a)| b.get(&key).is_some_and(|b| equal(a, b))),
    }
}

/// A target being patched.
pub(super) struct Patching<'a> {
    root: Node<'a>,
    limits: Limits,
    work: usize,
    /// At least as many bytes as the result will have.
    bytes: usize,
}

impl<'a> Patching<'a> {
    pub(super) fn new(target: Value<'a>, limits: &Limits) -> Self {
        Self {
            root: Node::Source(target),
            limits: *limits,
            work: 0,
            bytes: target.raw().len(),
        }
    }

    pub(super) fn into_root(self) -> Node<'a> {
        self.root
    }

    pub(super) fn apply(&mut self, operation: &Operation<'a>) -> Done {
        let path = &operation.path;
        match &operation.act {
            Act::Add(value) => {
                let node = Node::Source(*value);
                self.fits(path, &node)?;
                self.add(path, node)
            }
            Act::Remove => self.take(path).map(|_| ()),
            Act::Replace(value) => {
                let node = Node::Source(*value);
                self.fits(path, &node)?;
                *self.find(path)? = node;
                Ok(())
            }
            Act::Move(from) => {
                if from.holds(path) {
                    return Err(PatchErrorKind::IntoItself(from.shown()));
                }
                let node = if from == path {
                    self.find(from)?;
                    return Ok(());
                } else {
                    self.take(from)?
                };
                self.fits(path, &node)?;
                self.add(path, node)
            }
            Act::Copy(from) => {
                let extent = self.find(from)?.extent();
                self.spend(extent.bytes)?;
                if self.bytes + extent.bytes > self.limits.max_bytes {
                    return Err(PatchErrorKind::TooLarge(self.limits.max_bytes));
                }
                let node = self.find(from)?.clone();
                self.fits(path, &node)?;
                self.add(path, node)
            }
            Act::Test(value) => {
                self.spend(value.raw().len())?;
                let node = self.find(path)?;
                if node.equals(*value) {
                    Ok(())
                } else {
                    Err(PatchErrorKind::Test(path.shown()))
                }
            }
        }
    }

    fn spend(&mut self, bytes: usize) -> Done {
        self.work = self.work.saturating_add(bytes);
        if self.work > self.limits.max_work {
            return Err(PatchErrorKind::TooCostly(self.limits.max_work));
        }
        Ok(())
    }

    /// Whether a value may go to a place: neither deeper nor larger than the limits.
    fn fits(&mut self, path: &Pointer, node: &Node<'_>) -> Done {
        let extent = node.extent();
        self.spend(extent.bytes)?;
        if path.parts.len() + extent.depth > self.limits.max_depth {
            return Err(PatchErrorKind::TooDeep(self.limits.max_depth));
        }
        let name = path.parts.last().map_or(0, String::len);
        self.bytes = self.bytes.saturating_add(extent.bytes + name + 4);
        Ok(())
    }

    fn find(&mut self, path: &Pointer) -> Done<&mut Node<'a>> {
        Self::walk(&mut self.root, &path.parts).ok_or_else(|| PatchErrorKind::Nothing(path.shown()))
    }

    fn walk<'n>(root: &'n mut Node<'a>, parts: &[String]) -> Option<&'n mut Node<'a>> {
        parts.iter().try_fold(root, |node, part| node.child(part))
    }

    fn add(&mut self, path: &Pointer, node: Node<'a>) -> Done {
        let nothing = || PatchErrorKind::Nothing(path.shown());
        let Some((last, parents)) = path.parts.split_last() else {
            self.root = node;
            return Ok(());
        };
        let parent = Self::walk(&mut self.root, parents).ok_or_else(nothing)?;
        parent.open();
        match parent {
            Node::Object(members) => {
                match members.iter_mut().find(|(key, _)| key.is(last)) {
                    Some((_, known)) => *known = node,
                    None => members.push((Key::New(last.clone()), node)),
                }
                Ok(())
            }
            Node::Array(items) => {
                let place = if last == "-" {
                    Some(items.len())
                } else {
                    index(last).filter(|place| *place <= items.len())
                };
                let place = place.ok_or_else(|| PatchErrorKind::Index(path.shown()))?;
                items.insert(place, node);
                Ok(())
            }
            Node::Source(_) => Err(nothing()),
        }
    }

    fn take(&mut self, path: &Pointer) -> Done<Node<'a>> {
        let nothing = || PatchErrorKind::Nothing(path.shown());
        let Some((last, parents)) = path.parts.split_last() else {
            return Err(PatchErrorKind::Whole);
        };
        let parent = Self::walk(&mut self.root, parents).ok_or_else(nothing)?;
        parent.open();
        match parent {
            Node::Object(members) => {
                let place = members.iter().position(|(key, _)| key.is(last));
                Ok(members.remove(place.ok_or_else(nothing)?).1)
            }
            Node::Array(items) => {
                let place = index(last).filter(|place| *place < items.len());
                Ok(items.remove(place.ok_or_else(nothing)?))
            }
            Node::Source(_) => Err(nothing()),
        }
    }
}
