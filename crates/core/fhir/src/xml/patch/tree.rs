//! An XML document as a tree that can be changed and written again: what is not touched keeps its markup.
//! Must not resolve anything: the source it reads through refuses document types and foreign entities.

use std::borrow::Cow;

use quick_xml::events::{BytesStart, Event};

use super::super::error::{XmlError, XmlErrorKind};
use super::super::source::Source;
use super::super::{INSTANCE, Limits, text};

/// Most attributes of an element.
const ATTRIBUTES: usize = 32;
/// Most namespaces declared at one place.
const NAMESPACES: usize = 64;

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Element(Element),
    /// Characters as they are written, references unresolved.
    Text(String),
    /// What stands between `<!--` and `-->`.
    Comment(String),
    /// What stands between `<?` and `?>`.
    Instruction(String),
}

/// An element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) space: String,
    /// Its name without prefix.
    pub(super) name: String,
    /// Names as they are written, with the values meant; no declaration of the default namespace.
    pub(super) attributes: Vec<(String, String)>,
    /// Prefixes it declares, with their namespaces; the empty one is the default.
    pub(super) declares: Vec<(String, String)>,
    pub(super) children: Vec<Node>,
    /// The opening tag as it was written; none once it was changed, or where it needs prefixes.
    pub(super) written: Option<Written>,
}

/// An opening tag as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    tag: String,
    /// The default namespace around it.
    around: String,
}

impl Node {
    pub(super) const fn element(&self) -> Option<&Element> {
        match self {
            Self::Element(element) => Some(element),
            _ => None,
        }
    }

    /// Whether it is white space between elements.
    pub(super) fn is_blank(&self) -> bool {
        matches!(self, Self::Text(text) if text.trim_matches([' ', '\t', '\r', '\n']).is_empty())
    }
}

impl Element {
    /// The characters in it and in all below, references resolved.
    pub(super) fn text(&self, into: &mut String) {
        for child in &self.children {
            match child {
                Node::Element(element) => element.text(into),
                Node::Text(raw) => into.push_str(&plain(raw)),
                _ => {}
            }
        }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The characters that are meant.
pub(super) fn plain(raw: &str) -> Cow<'_, str> {
    if !raw.contains('&') {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, behind)) = rest.split_once('&') {
        out.push_str(before);
        let read = text::reference(behind);
        let found = read.and_then(|(name, after)| Ok((text::entity(name)?, after)));
        match found {
            Ok((c, after)) => {
                out.push(c);
                rest = after;
            }
            // The reader has refused what is no reference.
            Err(_) => rest = behind,
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Reads a document: its outermost element, and the comments and instructions beside it.
pub(super) fn read(source: &[u8], limits: &Limits) -> Result<Vec<Node>, XmlError> {
    let mut reading = Reading {
        source: Source::new(source, limits)?,
        open: Vec::new(),
        top: Vec::new(),
        spaces: Vec::new(),
    };
    while reading.step()? {}
    let elements = reading.top.iter().filter_map(Node::element).count();
    if !reading.open.is_empty() || elements != 1 {
        return Err(reading.source.error(XmlErrorKind::NotWellFormed));
    }
    Ok(reading.top)
}

struct Reading<'s> {
    source: Source<'s>,
    open: Vec<Element>,
    top: Vec<Node>,
    /// Prefix, namespace and the depth that declares it.
    spaces: Vec<(String, String, usize)>,
}

impl Reading<'_> {
    fn step(&mut self) -> Result<bool, XmlError> {
        match self.source.next_event()? {
            Event::Start(start) => {
                let element = self.opened(&start)?;
                self.open.push(element);
            }
            Event::End(_) => {
                let depth = self.open.len();
                self.spaces.retain(|(_, _, at)| *at < depth);
                let closed = self.open.pop();
                let closed = closed.ok_or_else(|| self.error(XmlErrorKind::NotWellFormed))?;
                self.put(Node::Element(closed))?;
            }
            Event::Text(characters) => self.characters(&characters)?,
            Event::CData(characters) => {
                let mut escaped = Vec::new();
                text::write_attribute(&characters, &mut escaped)
                    .map_err(|kind| self.error(kind))?;
                let escaped = String::from_utf8_lossy(&escaped).into_owned();
                self.put(Node::Text(escaped))?;
            }
            Event::GeneralRef(reference) => {
                text::entity(&reference).map_err(|kind| self.error(kind))?;
                let written = format!("&{};", &*reference);
                self.put(Node::Text(written))?;
            }
            Event::Comment(comment) => self.put(Node::Comment(comment.to_string()))?,
            Event::PI(instruction) => self.put(Node::Instruction(instruction.to_string()))?,
            Event::Eof => return Ok(false),
            Event::Empty(_) | Event::Decl(_) | Event::DocType(_) => {}
        }
        Ok(true)
    }

    fn error(&self, kind: XmlErrorKind) -> XmlError {
        self.source.error(kind)
    }

    fn characters(&mut self, characters: &str) -> Result<(), XmlError> {
        if let Some(c) = characters.chars().find(|c| !text::is_char(*c)) {
            return Err(self.error(XmlErrorKind::Character(u32::from(c))));
        }
        self.put(Node::Text(characters.to_owned()))
    }

    fn put(&mut self, node: Node) -> Result<(), XmlError> {
        if self.open.is_empty() && matches!(node, Node::Text(_)) && !node.is_blank() {
            return Err(self.error(XmlErrorKind::Text));
        }
        let top = &mut self.top;
        let children = self
            .open
            .last_mut()
            .map_or(top, |parent| &mut parent.children);
        if let (Some(Node::Text(before)), Node::Text(more)) = (children.last_mut(), &node) {
            before.push_str(more);
        } else {
            children.push(node);
        }
        Ok(())
    }

    fn opened(&mut self, start: &BytesStart<'_>) -> Result<Element, XmlError> {
        let name = start.name().0;
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let around = self.space("").unwrap_or_default().to_owned();
        let mut attributes: Vec<(String, String)> = Vec::new();
        let mut declares = Vec::new();
        let mut all = start.attributes();
        // Looked for below among the few that may stand; the built-in check is quadratic.
        all.with_checks(false);
        for (count, attribute) in all.enumerate() {
            if count >= ATTRIBUTES {
                return Err(self.error(XmlErrorKind::TooMany("32 attributes of one element")));
            }
            let attribute = attribute.map_err(|_| self.error(XmlErrorKind::NotWellFormed))?;
            let value = text::attribute(&attribute.value).map_err(|kind| self.error(kind))?;
            let key = attribute.key.0;
            if key == "xmlns" || key.starts_with("xmlns:") {
                let prefix = key.strip_prefix("xmlns:").unwrap_or_default().to_owned();
                declares.push((prefix, value.into_owned()));
            } else if attributes.iter().any(|(known, _)| known == key) {
                return Err(self.error(XmlErrorKind::NotWellFormed));
            } else {
                attributes.push((key.to_owned(), value.into_owned()));
            }
        }
        let depth = self.open.len() + 1;
        for (prefix, uri) in &declares {
            if self.spaces.len() >= NAMESPACES {
                return Err(self.error(XmlErrorKind::TooMany("64 namespaces")));
            }
            self.spaces.push((prefix.clone(), uri.clone(), depth));
        }
        let space = match self.space(prefix) {
            Some(space) => space.to_owned(),
            None if prefix.is_empty() => String::new(),
            None => return Err(self.error(XmlErrorKind::Namespace(super::shorten(name)))),
        };
        let has_prefixes = name.contains(':')
            || attributes.iter().any(|(key, _)| foreign(key))
            || declares.iter().any(|(prefix, _)| !prefix.is_empty());
        self.own(&mut attributes, local)?;
        let tag = self.source.slice_from(self.source.here()).to_owned();
        Ok(Element {
            space,
            name: local.to_owned(),
            attributes,
            declares,
            children: Vec::new(),
            written: (!has_prefixes).then_some(Written { tag, around }),
        })
    }

    /// Leaves out what only says how to validate; refuses other prefixes.
    fn own(&self, attributes: &mut Vec<(String, String)>, of: &str) -> Result<(), XmlError> {
        let is_other = |key: &str| {
            foreign(key)
                && key
                    .split_once(':')
                    .and_then(|(prefix, _)| self.space(prefix))
                    != Some(INSTANCE)
        };
        if let Some((key, _)) = attributes.iter().find(|(key, _)| is_other(key)) {
            return Err(self.source.unknown_attribute(key, of));
        }
        attributes.retain(|(key, _)| !foreign(key));
        Ok(())
    }

    fn space(&self, prefix: &str) -> Option<&str> {
        let mut declared = self.spaces.iter().rev();
        let found = declared.find(|(known, ..)| known == prefix);
        found.map(|(_, uri, _)| uri.as_str())
    }
}

/// Whether an attribute has a prefix other than XML's own.
fn foreign(key: &str) -> bool {
    key.split_once(':')
        .is_some_and(|(prefix, _)| prefix != "xml")
}

/// Writes nodes; `space` is the default namespace around them.
pub(super) fn write(nodes: &[Node], space: &str, out: &mut Vec<u8>) -> Result<(), XmlErrorKind> {
    for node in nodes {
        match node {
            Node::Element(element) => write_element(element, space, out)?,
            Node::Text(raw) => out.extend_from_slice(raw.as_bytes()),
            Node::Comment(comment) => {
                for part in ["<!--", comment, "-->"] {
                    out.extend_from_slice(part.as_bytes());
                }
            }
            Node::Instruction(instruction) => {
                for part in ["<?", instruction, "?>"] {
                    out.extend_from_slice(part.as_bytes());
                }
            }
        }
    }
    Ok(())
}

fn write_element(element: &Element, around: &str, out: &mut Vec<u8>) -> Result<(), XmlErrorKind> {
    let is_empty = element.children.is_empty();
    match &element.written {
        Some(written) if written.around == around => match written.tag.strip_suffix("/>") {
            Some(_) if is_empty => {
                out.extend_from_slice(written.tag.as_bytes());
                return Ok(());
            }
            Some(open) => {
                out.extend_from_slice(open.as_bytes());
                out.push(b'>');
            }
            None => out.extend_from_slice(written.tag.as_bytes()),
        },
        _ => {
            open_tag(element, around, out)?;
            if is_empty {
                out.extend_from_slice(b"/>");
                return Ok(());
            }
            out.push(b'>');
        }
    }
    write(&element.children, &element.space, out)?;
    for part in ["</", &element.name, ">"] {
        out.extend_from_slice(part.as_bytes());
    }
    Ok(())
}

/// An opening tag up to its `>`: elements stand in their namespace without a prefix.
fn open_tag(element: &Element, around: &str, out: &mut Vec<u8>) -> Result<(), XmlErrorKind> {
    out.push(b'<');
    out.extend_from_slice(element.name.as_bytes());
    let mut attribute = |prefix: &str, name: &str, value: &str| {
        for part in [" ", prefix, name, "=\""] {
            out.extend_from_slice(part.as_bytes());
        }
        text::write_attribute(value, out)?;
        out.push(b'"');
        Ok(())
    };
    if element.space != around {
        attribute("", "xmlns", &element.space)?;
    }
    for (prefix, uri) in &element.declares {
        if !prefix.is_empty() {
            attribute("xmlns:", prefix, uri)?;
        }
    }
    let own = &mut element.attributes.iter();
    own.try_for_each(|(name, value)| attribute("", name, value))
}
