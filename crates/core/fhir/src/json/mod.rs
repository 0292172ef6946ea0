//! Strict JSON (RFC 8259) parsed once into an arena of spans over the source: numbers keep their
//! written text, keys their order, strings their escapes. Refuses what other parsers silently mend:
//! duplicate keys, lone surrogates, byte order marks, invalid UTF-8. Must not know FHIR.

mod error;
mod parse;
#[cfg(test)]
mod tests;
mod text;

pub use error::{JsonError, JsonErrorKind};
pub(crate) use text::unescape;

use std::borrow::Cow;

/// What a document may cost at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the source; at most 4 GiB - 1.
    pub max_bytes: usize,
    /// Open arrays and objects at one place; values above 512 count as 512.
    pub max_depth: u32,
    /// Values in the document, containers included.
    pub max_nodes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_depth: 128,
            max_nodes: 4_000_000,
        }
    }
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number, kept as written.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Kind {
    /// The kind in a sentence: `a string`.
    #[must_use]
    pub const fn article(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// A value in the arena. Children of a container follow it; `next` is the place behind the last of them.
#[derive(Debug, Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    next: u32,
    count: u32,
    key_start: u32,
    key_end: u32,
    kind: Kind,
    flags: u8,
}

/// The string holds escapes.
const ESCAPED: u8 = 1;
/// The member's key holds escapes.
const KEY_ESCAPED: u8 = 2;
/// No insignificant white space inside the container.
const COMPACT: u8 = 4;

impl Node {
    const NULL: Self = Self {
        start: 0,
        end: 0,
        next: u32::MAX,
        count: 0,
        key_start: 0,
        key_end: 0,
        kind: Kind::Null,
        flags: 0,
    };
}

/// A parsed document: its source and the arena.
#[derive(Debug, Clone)]
pub struct Document {
    source: String,
    nodes: Vec<Node>,
}

impl Document {
    /// Parses the whole source as one JSON value.
    ///
    /// # Errors
    /// Anything RFC 8259 does not allow, duplicate keys, lone surrogates, a byte order mark, and a source
    /// beyond the limits.
    pub fn parse(source: Vec<u8>, limits: &Limits) -> Result<Self, JsonError> {
        parse::parse(source, limits)
    }

    /// The outermost value.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value { doc: self, node: 0 }
    }

    /// The bytes it was parsed from.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        self.source.as_bytes()
    }

    /// Gives the source back.
    #[must_use]
    pub fn into_source(self) -> Vec<u8> {
        self.source.into_bytes()
    }

    fn slice(&self, start: u32, end: u32) -> &str {
        self.source
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    fn node(&self, at: u32) -> Node {
        self.nodes.get(at as usize).copied().unwrap_or(Node::NULL)
    }

    fn key(&self, node: Node) -> Cow<'_, str> {
        let raw = self.slice(node.key_start, node.key_end);
        if node.flags & KEY_ESCAPED == 0 {
            Cow::Borrowed(raw)
        } else {
            Cow::Owned(text::unescape(raw))
        }
    }
}

/// A cursor on a value; as cheap to copy as a reference.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    doc: &'a Document,
    node: u32,
}

impl<'a> Value<'a> {
    fn data(self) -> Node {
        self.doc.node(self.node)
    }

    /// What it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.data().kind
    }

    /// The member of an object with this key; nothing for other kinds.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Self> {
        let doc = self.doc;
        self.children(Kind::Object)
            .find(|(_, node)| {
                let raw = doc.slice(node.key_start, node.key_end);
                if node.flags & KEY_ESCAPED == 0 {
                    raw == key
                } else {
                    text::unescape(raw) == key
                }
            })
            .map(|(at, _)| Value { doc, node: at })
    }

    /// The string member with this key, unescaped.
    #[must_use]
    pub fn get_str(self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key).and_then(Self::as_str)
    }

    /// Keys and values of an object in written order; nothing for other kinds.
    pub fn members(self) -> impl Iterator<Item = (Cow<'a, str>, Value<'a>)> + use<'a> {
        let doc = self.doc;
        self.children(Kind::Object)
            .map(move |(at, node)| (doc.key(node), Value { doc, node: at }))
    }

    /// Like [`Value::members`], with the exact source of each key between its quotes.
    pub(crate) fn raw_members(self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let doc = self.doc;
        self.children(Kind::Object).map(move |(at, node)| {
            (
                doc.slice(node.key_start, node.key_end),
                Value { doc, node: at },
            )
        })
    }

    /// The items of an array; nothing for other kinds.
    pub fn items(self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let doc = self.doc;
        self.children(Kind::Array)
            .map(move |(at, _)| Value { doc, node: at })
    }

    fn children(self, of: Kind) -> Children<'a> {
        let data = self.data();
        let end = if data.kind == of { data.next } else { 0 };
        Children {
            doc: self.doc,
            at: self.node + 1,
            end,
        }
    }

    /// The text of a string, borrowed from the source where it holds no escapes.
    #[must_use]
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        let data = self.data();
        if data.kind != Kind::String {
            return None;
        }
        let raw = self.doc.slice(data.start + 1, data.end - 1);
        Some(if data.flags & ESCAPED == 0 {
            Cow::Borrowed(raw)
        } else {
            Cow::Owned(text::unescape(raw))
        })
    }

    /// The truth of a boolean.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        let data = self.data();
        (data.kind == Kind::Bool).then_some(data.end - data.start == 4)
    }

    /// The text of a number exactly as written.
    #[must_use]
    pub fn number_text(self) -> Option<&'a str> {
        let data = self.data();
        (data.kind == Kind::Number).then(|| self.doc.slice(data.start, data.end))
    }

    /// The exact source bytes of the value.
    #[must_use]
    pub fn raw(self) -> &'a [u8] {
        let data = self.data();
        self.doc.slice(data.start, data.end).as_bytes()
    }

    /// Where the value starts in the source, in bytes.
    #[must_use]
    pub fn offset(self) -> usize {
        self.data().start as usize
    }

    /// Items of an array or members of an object; 0 for other kinds.
    #[must_use]
    pub fn len(self) -> usize {
        self.data().count as usize
    }

    /// Whether it is a container without content, or no container.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether its source can be copied as it stands when printing compactly.
    pub(crate) fn is_compact(self) -> bool {
        let data = self.data();
        !matches!(data.kind, Kind::Array | Kind::Object) || data.flags & COMPACT != 0
    }
}

/// Walks the children of a container.
struct Children<'a> {
    doc: &'a Document,
    at: u32,
    end: u32,
}

impl Iterator for Children<'_> {
    type Item = (u32, Node);

    fn next(&mut self) -> Option<(u32, Node)> {
        if self.at >= self.end {
            return None;
        }
        let at = self.at;
        let node = self.doc.node(at);
        self.at = node.next;
        Some((at, node))
    }
}
