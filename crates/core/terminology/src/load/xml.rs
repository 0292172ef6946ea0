//! Elements of an XML file as a stream. A document type is refused, so that no entity can be declared;
//! depth and lengths are bounded. Must not know a format.

use std::io::{BufRead, Read};

use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::LoadError;

const DEEPEST: usize = 64;
/// Bytes of the longest text or tag.
const LONGEST: usize = 1 << 20;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// An element begins: its name and attributes.
    Open(String, Vec<(String, String)>),
    /// Text inside the open element.
    Text(String),
    /// The open element ends.
    Close,
    /// The file ends.
    End,
}

/// Counts lines as they are read.
struct Counted<R> {
    reader: R,
    lines: u64,
}

fn line_ends(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(into)?;
        let new = into.get(..read).unwrap_or_default();
        self.lines += line_ends(new);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.reader.fill_buf()
    }
    fn consume(&mut self, amount: usize) {
        if let Ok(buffer) = self.reader.fill_buf() {
            let gone = buffer.get(..amount).unwrap_or_default();
            self.lines += line_ends(gone);
        }
        self.reader.consume(amount);
    }
}

/// A file.
pub(super) struct Elements<'f, R> {
    file: &'f str,
    reader: Reader<Counted<R>>,
    buffer: Vec<u8>,
    depth: usize,
    /// An empty element has begun: its end comes next.
    closing: bool,
}

impl<'f, R: BufRead> Elements<'f, R> {
    pub(super) fn new(file: &'f str, reader: R) -> Self {
        Self {
            file,
            reader: Reader::from_reader(Counted { reader, lines: 0 }),
            buffer: Vec::new(),
            depth: 0,
            closing: false,
        }
    }

    /// The line reached, from 1.
    pub(super) fn line(&self) -> u64 {
        self.reader.get_ref().lines + 1
    }

    /// How many elements are open.
    pub(super) const fn depth(&self) -> usize {
        self.depth
    }

    fn refused(&self, why: &str) -> LoadError {
        LoadError::format(self.file, format!("line {}: {why}", self.line()))
    }

    pub(super) fn next(&mut self) -> Result<Part, LoadError> {
        if core::mem::take(&mut self.closing) {
            self.depth -= 1;
            return Ok(Part::Close);
        }
        loop {
            self.buffer.clear();
            let mut buffer = core::mem::take(&mut self.buffer);
            let event = self.reader.read_event_into(&mut buffer);
            let part = match event {
                Err(error) => Err(error.to_string()),
                Ok(event) => read(&event),
            };
            let too_long = buffer.len() > LONGEST;
            self.buffer = buffer;
            if too_long {
                return Err(self.refused("a text or tag is longer than 1 MiB"));
            }
            match part.map_err(|why| self.refused(&why))? {
                None => {}
                Some((Part::Open(name, attributes), empty)) => {
                    self.depth += 1;
                    self.closing = empty;
                    if self.depth > DEEPEST {
                        return Err(self.refused("elements are nested deeper than 64"));
                    }
                    return Ok(Part::Open(name, attributes));
                }
                Some((Part::Close, _)) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Part::Close);
                }
                Some((Part::End, _)) if self.depth > 0 => {
                    return Err(self.refused("the file ends inside an element"));
                }
                Some((part, _)) => return Ok(part),
            }
        }
    }

    /// The text inside the element that was opened last, that of elements in it included; reads to its end.
    pub(super) fn text(&mut self) -> Result<String, LoadError> {
        let outside = self.depth - 1;
        let mut text = String::new();
        loop {
            match self.next()? {
                Part::Text(more) => {
                    text.push_str(&more);
                    if text.len() > LONGEST {
                        return Err(self.refused("a text is longer than 1 MiB"));
                    }
                }
                Part::Close if self.depth == outside => break,
                Part::End => return Err(self.refused("the file ends inside an element")),
                Part::Open(..) | Part::Close => {}
            }
        }
        Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// An event as a part, and whether it is an element without content; `None` where it says nothing.
fn read(event: &Event<'_>) -> Result<Option<(Part, bool)>, String> {
    Ok(Some(match event {
        Event::Start(start) => (open(start)?, false),
        Event::Empty(start) => (open(start)?, true),
        Event::End(_) => (Part::Close, false),
        Event::Text(text) => (Part::Text(text.to_string()), false),
        Event::CData(text) => (Part::Text(text.to_string()), false),
        Event::GeneralRef(reference) => {
            let letter = entity(reference).ok_or("an entity that XML does not have by itself")?;
            (Part::Text(letter.to_string()), false)
        }
        Event::DocType(_) => return Err("a document type is not taken".to_owned()),
        Event::Eof => (Part::End, false),
        Event::Comment(_) | Event::PI(_) | Event::Decl(_) => return Ok(None),
    }))
}

fn open(start: &BytesStart<'_>) -> Result<Part, String> {
    let mut attributes = Vec::new();
    for attribute in start.attributes().take(32) {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = unescape(&attribute.value).ok_or("an attribute's entity is not known")?;
        attributes.push((attribute.key.0.to_owned(), value));
    }
    let name = start.name().0;
    let name = name.rsplit_once(':').map_or(name, |(_, local)| local);
    Ok(Part::Open(name.to_owned(), attributes))
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    })
}

fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('&');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(';')?;
        whole.push(entity(name)?);
        whole.push_str(rest);
    }
    Some(whole)
}

/// The value of an attribute.
pub(super) fn attribute<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}
