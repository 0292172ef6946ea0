//! The parser: one pass over the source, no recursion, no allocation per value. Must not accept
//! anything beyond RFC 8259.

use std::borrow::Cow;

use super::text::{escape_end, plain_end, unescape};
use super::{
    COMPACT, Document, ESCAPED, JsonError, JsonErrorKind, KEY_ESCAPED, Kind, Limits, Node,
};

/// Depth at which recursion in readers of the tree is still safe on a 2 MiB stack.
const DEPTH_CEILING: u32 = 512;
/// Up to this many members, a new key is compared with the fingerprints of those before it; beyond, the
/// keys are sorted once when the object closes.
const FEW: u32 = 32;

type Fault = (usize, JsonErrorKind);

pub(super) fn parse(source: Vec<u8>, limits: &Limits) -> Result<Document, JsonError> {
    let max_bytes = limits.max_bytes.min(u32::MAX as usize);
    if source.len() > max_bytes {
        return Err(JsonErrorKind::TooLarge(max_bytes).at(&[], 0));
    }
    if source.starts_with(b"\xEF\xBB\xBF") {
        return Err(JsonErrorKind::ByteOrderMark.at(&source, 0));
    }
    let source = String::from_utf8(source).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        JsonErrorKind::InvalidUtf8.at(error.as_bytes(), at)
    })?;
    let mut parser = Parser::new(&source, limits);
    match parser.document() {
        Ok(()) => {
            let nodes = parser.nodes;
            Ok(Document { source, nodes })
        }
        Err((at, kind)) => Err(kind.at(source.as_bytes(), at)),
    }
}

/// A container that is not closed yet.
#[derive(Clone, Copy)]
struct Open {
    node: u32,
    count: u32,
    /// Where its keys start in [`Parser::keys`].
    keys: u32,
    /// [`Parser::gaps`] when it was opened.
    gaps: u32,
    object: bool,
}

/// A key seen in an open object.
#[derive(Clone, Copy)]
struct Key {
    fingerprint: u64,
    start: u32,
    end: u32,
    escaped: bool,
}

impl Key {
    const NONE: Self = Self {
        fingerprint: 0,
        start: 0,
        end: 0,
        escaped: false,
    };
}

struct Parser<'s> {
    text: &'s str,
    bytes: &'s [u8],
    at: usize,
    nodes: Vec<Node>,
    open: Vec<Open>,
    keys: Vec<Key>,
    /// Runs of insignificant white space so far.
    gaps: u32,
    max_depth: u32,
    max_nodes: u32,
}

impl<'s> Parser<'s> {
    fn new(text: &'s str, limits: &Limits) -> Self {
        // Resources hold about one value per 25 bytes; a dense document grows the arena as it goes.
        let expected = (text.len() / 24 + 8).min(limits.max_nodes as usize);
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            nodes: Vec::with_capacity(expected),
            open: Vec::with_capacity(16),
            keys: Vec::with_capacity(32),
            gaps: 0,
            max_depth: limits.max_depth.min(DEPTH_CEILING),
            max_nodes: limits.max_nodes,
        }
    }

    fn document(&mut self) -> Result<(), Fault> {
        self.skip_space();
        self.value(Key::NONE)?;
        while let Some(open) = self.open.last().copied() {
            self.step(open)?;
        }
        self.skip_space();
        if self.at < self.bytes.len() {
            return Err((self.at, JsonErrorKind::Trailing));
        }
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        let from = self.at;
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
        if self.at != from {
            self.gaps = self.gaps.wrapping_add(1);
        }
    }

    /// One more child of the innermost open container, or its end.
    fn step(&mut self, open: Open) -> Result<(), Fault> {
        self.skip_space();
        let close = if open.object { b'}' } else { b']' };
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                return self.close(open);
            }
            Some(b',') if open.count > 0 => {
                self.at += 1;
                self.skip_space();
            }
            _ if open.count == 0 => {}
            _ if open.object => return self.expected("`,` or `}` behind a member"),
            _ => return self.expected("`,` or `]` behind an item"),
        }
        if let Some(top) = self.open.last_mut() {
            top.count += 1;
        }
        if open.object {
            let key = self.key(open)?;
            self.value(key)
        } else {
            self.value(Key::NONE)
        }
    }

    fn expected<T>(&self, what: &'static str) -> Result<T, Fault> {
        Err((self.at, JsonErrorKind::Syntax(what)))
    }

    fn key(&mut self, open: Open) -> Result<Key, Fault> {
        if self.peek() != Some(b'"') {
            return self.expected("a member name in double quotes");
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        let mut key = Key {
            fingerprint: 0,
            start: start as u32,
            end: self.at as u32 - 1,
            escaped,
        };
        let name = self.key_text(key);
        key.fingerprint = fingerprint(name.as_bytes());
        if open.count < FEW {
            let known = self.keys.get(open.keys as usize..).unwrap_or_default();
            for other in known {
                if other.fingerprint == key.fingerprint && self.key_text(*other) == name {
                    return Err((start - 1, JsonErrorKind::DuplicateKey(shorten(&name))));
                }
            }
        }
        self.keys.push(key);
        self.skip_space();
        if self.peek() != Some(b':') {
            return self.expected("`:` behind a member name");
        }
        self.at += 1;
        self.skip_space();
        Ok(key)
    }

    fn key_text(&self, key: Key) -> Cow<'s, str> {
        let raw = self
            .text
            .get(key.start as usize..key.end as usize)
            .unwrap_or_default();
        if key.escaped {
            Cow::Owned(unescape(raw))
        } else {
            Cow::Borrowed(raw)
        }
    }

    fn value(&mut self, key: Key) -> Result<(), Fault> {
        let start = self.at;
        let (kind, flags) = match self.peek() {
            Some(b'"') => (Kind::String, if self.string()? { ESCAPED } else { 0 }),
            Some(b'{') => return self.open(Kind::Object, key),
            Some(b'[') => return self.open(Kind::Array, key),
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                (Kind::Number, 0)
            }
            Some(b't') => (self.word("true", Kind::Bool)?, 0),
            Some(b'f') => (self.word("false", Kind::Bool)?, 0),
            Some(b'n') => (self.word("null", Kind::Null)?, 0),
            _ => return self.expected("a JSON value"),
        };
        self.push(kind, flags, start, key).map(|_| ())
    }

    fn push(&mut self, kind: Kind, flags: u8, start: usize, key: Key) -> Result<u32, Fault> {
        let place = self.nodes.len() as u32;
        if place >= self.max_nodes {
            return Err((start, JsonErrorKind::TooManyNodes(self.max_nodes)));
        }
        self.nodes.push(Node {
            start: start as u32,
            end: self.at as u32,
            next: place + 1,
            count: 0,
            key_start: key.start,
            key_end: key.end,
            kind,
            flags: flags | if key.escaped { KEY_ESCAPED } else { 0 },
        });
        Ok(place)
    }

    fn open(&mut self, kind: Kind, key: Key) -> Result<(), Fault> {
        if self.open.len() as u32 >= self.max_depth {
            return Err((self.at, JsonErrorKind::TooDeep(self.max_depth)));
        }
        let node = self.push(kind, 0, self.at, key)?;
        self.at += 1;
        self.open.push(Open {
            node,
            count: 0,
            keys: self.keys.len() as u32,
            gaps: self.gaps,
            object: kind == Kind::Object,
        });
        Ok(())
    }

    fn close(&mut self, open: Open) -> Result<(), Fault> {
        if open.count > FEW && open.object {
            self.refuse_repeated(open)?;
        }
        self.keys.truncate(open.keys as usize);
        self.open.pop();
        let next = self.nodes.len() as u32;
        let end = self.at as u32;
        let compact = if self.gaps == open.gaps { COMPACT } else { 0 };
        if let Some(node) = self.nodes.get_mut(open.node as usize) {
            node.end = end;
            node.next = next;
            node.count = open.count;
            node.flags |= compact;
        }
        Ok(())
    }

    fn refuse_repeated(&self, open: Open) -> Result<(), Fault> {
        let keys = self.keys.get(open.keys as usize..).unwrap_or_default();
        let mut names: Vec<(Cow<'_, str>, u32)> = keys
            .iter()
            .map(|key| (self.key_text(*key), key.start))
            .collect();
        names.sort_unstable();
        for pair in names.windows(2) {
            if let [(first, _), (second, at)] = pair
                && first == second
            {
                let kind = JsonErrorKind::DuplicateKey(shorten(second));
                return Err((*at as usize - 1, kind));
            }
        }
        Ok(())
    }

    /// Steps over the string at the cursor; true when it holds escapes.
    fn string(&mut self) -> Result<bool, Fault> {
        let mut escaped = false;
        let mut at = self.at + 1;
        loop {
            at = plain_end(self.bytes, at);
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    at = escape_end(self.bytes, at)?;
                }
                Some(_) => return Err((at, JsonErrorKind::ControlCharacter)),
                None => return Err((at, JsonErrorKind::Syntax("`\"` at the end of a string"))),
            }
        }
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits("a digit")?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits("a digit behind the decimal point")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("a digit in the exponent")?;
        }
        Ok(())
    }

    fn digits(&mut self, what: &'static str) -> Result<(), Fault> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == from {
            return self.expected(what);
        }
        Ok(())
    }

    fn word(&mut self, word: &str, kind: Kind) -> Result<Kind, Fault> {
        let end = self.at + word.len();
        if self.bytes.get(self.at..end) != Some(word.as_bytes()) {
            return self.expected("a JSON value");
        }
        self.at = end;
        Ok(kind)
    }
}

/// Cheap and not collision-free: equal fingerprints are compared in full.
fn fingerprint(name: &[u8]) -> u64 {
    let head = name
        .first_chunk::<8>()
        .map(|head| u64::from_le_bytes(*head));
    let tail = name.last_chunk::<8>().map(|tail| u64::from_le_bytes(*tail));
    match (head, tail) {
        (Some(head), Some(tail)) => head ^ tail.rotate_left(23) ^ (name.len() as u64) << 56,
        _ => name
            .iter()
            .fold(1, |hash, byte| hash << 8 | u64::from(*byte)),
    }
}

/// A key for a message, at most 80 characters of it.
fn shorten(name: &str) -> String {
    name.chars().take(80).collect()
}
