//! Narratives: taken from XML as they stand, and put into XML as they stand where they are well-formed
//! there. Must not judge what a narrative holds: validation does.

use std::fmt::Write as _;

use quick_xml::events::{BytesStart, Event};

use super::error::{XmlError, XmlErrorKind};
use super::source::{Source, Space, Tag};
use super::{Limits, XHTML, text};

/// Names of HTML that narratives in JSON use although FHIR asks for the characters themselves; in XML
/// they would not be defined.
const NAMES: [(&str, u32); 29] = [
    ("nbsp", 160),
    ("cent", 162),
    ("pound", 163),
    ("sect", 167),
    ("copy", 169),
    ("laquo", 171),
    ("reg", 174),
    ("deg", 176),
    ("plusmn", 177),
    ("sup2", 178),
    ("sup3", 179),
    ("micro", 181),
    ("para", 182),
    ("middot", 183),
    ("raquo", 187),
    ("frac14", 188),
    ("frac12", 189),
    ("frac34", 190),
    ("times", 215),
    ("ndash", 8211),
    ("mdash", 8212),
    ("lsquo", 8216),
    ("rsquo", 8217),
    ("ldquo", 8220),
    ("rdquo", 8221),
    ("bull", 8226),
    ("hellip", 8230),
    ("euro", 8364),
    ("trade", 8482),
];

/// Reads to the end of a `div` whose tag was just read; the exact markup.
pub(super) fn read<'s>(source: &mut Source<'s>, tag: &Tag) -> Result<&'s str, XmlError> {
    // The markup stands by itself in JSON: it must carry its namespace, and needs no prefix.
    if tag.space != Space::Xhtml || tag.name != "div" || tag.has_prefix || !tag.declares {
        return Err(source.error(XmlErrorKind::Narrative));
    }
    let mut open = 1_u32;
    while open > 0 {
        match source.next_event()? {
            Event::Start(start) => {
                open += 1;
                inner(source, &start)?;
            }
            Event::End(_) => open -= 1,
            Event::GeneralRef(reference) => {
                text::entity(&reference).map_err(|kind| source.error(kind))?;
            }
            Event::Text(plain) => {
                if let Some(c) = plain.chars().find(|c| !text::is_char(*c)) {
                    return Err(source.error(XmlErrorKind::Character(u32::from(c))));
                }
            }
            Event::Comment(_) => {}
            Event::Eof => return Err(source.error(XmlErrorKind::NotWellFormed)),
            _ => return Err(source.error(XmlErrorKind::Narrative)),
        }
    }
    Ok(source.slice_from(tag.start))
}

fn inner(source: &Source<'_>, start: &BytesStart<'_>) -> Result<(), XmlError> {
    if start.name().0.contains(':') {
        return Err(source.error(XmlErrorKind::Narrative));
    }
    let mut attributes = start.attributes();
    attributes.with_checks(false);
    for attribute in attributes {
        let attribute = attribute.map_err(|_| source.error(XmlErrorKind::NotWellFormed))?;
        let value = text::attribute(&attribute.value).map_err(|kind| source.error(kind))?;
        if attribute.key.0 == "xmlns" && value != XHTML {
            return Err(source.error(XmlErrorKind::Narrative));
        }
    }
    Ok(())
}

/// Appends a narrative of JSON: exactly, but for a namespace it lacks and names of characters that XML
/// does not define.
pub(super) fn write(markup: &str, into: &mut Vec<u8>) -> Result<(), XmlErrorKind> {
    let markup = markup.trim();
    let markup = resolve_names(markup);
    let end = markup.find('>').ok_or(XmlErrorKind::Narrative)?;
    let (tag, _) = markup.split_at(end);
    let whole = if tag.contains("xmlns") {
        markup
    } else {
        let behind = markup.strip_prefix("<div").ok_or(XmlErrorKind::Narrative)?;
        format!("<div xmlns=\"{XHTML}\"{behind}")
    };
    check(&whole)?;
    into.extend_from_slice(whole.as_bytes());
    Ok(())
}

/// Whether the markup is one well-formed `div`: whatever else it were could break out of its place.
fn check(markup: &str) -> Result<(), XmlErrorKind> {
    let limits = Limits {
        max_depth: 256,
        ..Limits::default()
    };
    let run = || -> Result<(), XmlError> {
        let mut source = Source::new(markup.as_bytes(), &limits)?;
        let tag = source.root()?;
        if tag.start != 0 {
            return Err(source.error(XmlErrorKind::Narrative));
        }
        read(&mut source, &tag)?;
        source.end()
    };
    run().map_err(|error| error.kind)
}

fn resolve_names(markup: &str) -> String {
    let mut out = String::with_capacity(markup.len());
    let mut rest = markup;
    while let Some(at) = rest.find('&') {
        let (before, behind) = rest.split_at(at);
        out.push_str(before);
        rest = behind.get(1..).unwrap_or_default();
        match text::reference(rest) {
            Ok((name, _)) if text::entity(name).is_ok() => out.push('&'),
            Ok((name, after)) => match NAMES.iter().find(|(known, _)| *known == name) {
                Some((_, code)) => {
                    let _ = write!(out, "&#{code};"); // a string takes everything
                    rest = after;
                }
                None => out.push_str("&amp;"),
            },
            Err(_) => out.push_str("&amp;"),
        }
    }
    out.push_str(rest);
    out
}
