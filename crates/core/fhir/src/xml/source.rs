//! The source as tags: namespaces resolved, depth and number of elements bounded, everything refused
//! that FHIR XML does not have. Must not know the definitions.

use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::error::{XmlError, XmlErrorKind, shorten};
use super::{FHIR, INSTANCE, Limits, XHTML, text};

/// Depth at which recursion in the reader is still safe on a 2 MiB stack.
const DEPTH_CEILING: u32 = 256;
/// Most attributes of an element.
const ATTRIBUTES: usize = 32;
/// Most namespaces declared at one place.
const NAMESPACES: usize = 16;

/// A namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    None,
    Fhir,
    Xhtml,
    Instance,
    Other,
}

impl Space {
    fn of(uri: &str) -> Self {
        match uri {
            FHIR => Self::Fhir,
            XHTML => Self::Xhtml,
            INSTANCE => Self::Instance,
            "" => Self::None,
            _ => Self::Other,
        }
    }
}

/// An opening tag.
#[derive(Debug)]
pub(super) struct Tag {
    /// Its name without prefix.
    pub(super) name: String,
    pub(super) has_prefix: bool,
    pub(super) space: Space,
    /// Whether it declares its namespace itself.
    pub(super) declares: bool,
    /// Where it starts.
    pub(super) start: usize,
    pub(super) id: Option<String>,
    pub(super) value: Option<String>,
    pub(super) url: Option<String>,
}

/// What stands inside an element.
pub(super) enum Part {
    Open(Tag),
    Close,
}

pub(super) struct Source<'s> {
    text: &'s str,
    reader: Reader<&'s [u8]>,
    limits: Limits,
    /// Prefix, namespace and the depth of the element that declares it.
    spaces: Vec<(String, Space, u32)>,
    depth: u32,
    elements: u32,
    /// Where the last event starts.
    at: usize,
}

impl<'s> Source<'s> {
    pub(super) fn new(source: &'s [u8], limits: &Limits) -> Result<Self, XmlError> {
        if source.len() > limits.max_bytes {
            return Err(XmlErrorKind::TooLarge(limits.max_bytes).at(&[], 0));
        }
        // A byte order mark is how some editors say UTF-8.
        let source = source.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(source);
        let text = std::str::from_utf8(source)
            .map_err(|error| XmlErrorKind::Encoding.at(source, error.valid_up_to()))?;
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_comments = true;
        config.trim_markup_names_in_closing_tags = true;
        Ok(Self {
            text,
            reader,
            limits: Limits {
                max_depth: limits.max_depth.min(DEPTH_CEILING),
                ..*limits
            },
            spaces: Vec::new(),
            depth: 0,
            elements: 0,
            at: 0,
        })
    }

    /// An error at the last event.
    #[cold]
    pub(super) fn error(&self, kind: XmlErrorKind) -> XmlError {
        kind.at(self.text.as_bytes(), self.at)
    }

    /// Where the last event starts.
    pub(super) const fn here(&self) -> usize {
        self.at
    }

    /// The source from a place up to the end of the last event.
    pub(super) fn slice_from(&self, start: usize) -> &'s str {
        self.text
            .get(start..self.reader.buffer_position() as usize)
            .unwrap_or_default()
    }

    pub(super) fn next_event(&mut self) -> Result<Event<'s>, XmlError> {
        self.at = self.reader.buffer_position() as usize;
        let event = self.reader.read_event();
        let event = event.map_err(|_| self.error(XmlErrorKind::NotWellFormed))?;
        match &event {
            Event::Start(_) => {
                self.depth += 1;
                self.elements += 1;
                if self.depth > self.limits.max_depth {
                    return Err(self.error(XmlErrorKind::TooDeep(self.limits.max_depth)));
                }
                if self.elements > self.limits.max_elements {
                    return Err(self.error(XmlErrorKind::TooMany("the elements allowed")));
                }
            }
            Event::End(_) => {
                let depth = self.depth;
                self.spaces.retain(|(_, _, at)| *at < depth);
                self.depth -= u32::from(self.depth > 0);
            }
            Event::DocType(_) => return Err(self.error(XmlErrorKind::DocumentType)),
            Event::Decl(decl) => {
                let is_utf8 = match decl.encoding() {
                    None => true,
                    Some(Ok(name)) => name.eq_ignore_ascii_case("utf-8"),
                    Some(Err(_)) => false,
                };
                if !is_utf8 {
                    return Err(self.error(XmlErrorKind::Encoding));
                }
                if self.at != 0 {
                    return Err(self.error(XmlErrorKind::NotWellFormed));
                }
            }
            _ => {}
        }
        Ok(event)
    }

    /// The outermost tag.
    pub(super) fn root(&mut self) -> Result<Tag, XmlError> {
        loop {
            match self.next_event()? {
                Event::Start(start) => return self.tag(&start),
                Event::Eof => return Err(self.error(XmlErrorKind::NotWellFormed)),
                other => self.pass(&other)?,
            }
        }
    }

    /// The next child of the open element, or its end.
    pub(super) fn part(&mut self) -> Result<Part, XmlError> {
        loop {
            match self.next_event()? {
                Event::Start(start) => return self.tag(&start).map(Part::Open),
                Event::End(_) => return Ok(Part::Close),
                Event::Eof => return Err(self.error(XmlErrorKind::NotWellFormed)),
                other => self.pass(&other)?,
            }
        }
    }

    /// Nothing may follow the resource.
    pub(super) fn end(&mut self) -> Result<(), XmlError> {
        loop {
            match self.next_event()? {
                Event::Eof => return Ok(()),
                Event::Start(_) => return Err(self.error(XmlErrorKind::Trailing)),
                other => self.pass(&other)?,
            }
        }
    }

    /// What may stand between elements.
    fn pass(&self, event: &Event<'_>) -> Result<(), XmlError> {
        match event {
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) => Ok(()),
            Event::Text(text) if text.trim_matches([' ', '\t', '\r', '\n']).is_empty() => Ok(()),
            _ => Err(self.error(XmlErrorKind::Text)),
        }
    }

    fn tag(&mut self, start: &BytesStart<'_>) -> Result<Tag, XmlError> {
        let name = start.name().0;
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let mut tag = Tag {
            name: local.to_owned(),
            has_prefix: !prefix.is_empty(),
            space: Space::None,
            declares: false,
            start: self.at,
            id: None,
            value: None,
            url: None,
        };
        let mut foreign = Vec::new();
        let mut attributes = start.attributes();
        // Looked for below among the few that may stand; the built-in check is quadratic.
        attributes.with_checks(false);
        for (count, attribute) in attributes.enumerate() {
            if count >= ATTRIBUTES {
                return Err(self.error(XmlErrorKind::TooMany("32 attributes of one element")));
            }
            let attribute = attribute.map_err(|_| self.error(XmlErrorKind::NotWellFormed))?;
            let value = text::attribute(&attribute.value).map_err(|kind| self.error(kind))?;
            let key = attribute.key.0;
            if key == "xmlns" || key.starts_with("xmlns:") {
                let prefix_of = key.strip_prefix("xmlns:").unwrap_or_default();
                tag.declares |= prefix_of == prefix;
                self.declare(prefix_of, &value)?;
                continue;
            }
            let place = match key {
                "id" => &mut tag.id,
                "value" => &mut tag.value,
                "url" => &mut tag.url,
                _ => {
                    foreign.push(key.to_owned());
                    continue;
                }
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(self.error(XmlErrorKind::NotWellFormed));
            }
        }
        tag.space = self.space(prefix);
        // Inside a narrative the attributes are its own affair.
        if tag.space != Space::Xhtml {
            for key in foreign {
                let is_passed = key.split_once(':').is_some_and(|(prefix, _)| {
                    prefix == "xml" || self.space(prefix) == Space::Instance
                });
                if !is_passed {
                    return Err(self.unknown_attribute(&key, &tag.name));
                }
            }
        }
        Ok(tag)
    }

    #[cold]
    pub(super) fn unknown_attribute(&self, name: &str, of: &str) -> XmlError {
        self.error(XmlErrorKind::UnknownAttribute {
            name: shorten(name),
            of: shorten(of),
        })
    }

    fn declare(&mut self, prefix: &str, uri: &str) -> Result<(), XmlError> {
        if self.spaces.len() >= NAMESPACES {
            return Err(self.error(XmlErrorKind::TooMany("16 namespaces")));
        }
        self.spaces
            .push((prefix.to_owned(), Space::of(uri), self.depth));
        Ok(())
    }

    fn space(&self, prefix: &str) -> Space {
        let found = self.spaces.iter().rev().find(|(known, ..)| known == prefix);
        match found {
            Some((_, space, _)) => *space,
            None if prefix.is_empty() => Space::None,
            None => Space::Other,
        }
    }
}
