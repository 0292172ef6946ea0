//! Text in attributes and between tags: escapes resolved and written. Must not know any entity beyond
//! the five of XML.

use std::borrow::Cow;

use super::error::{XmlErrorKind, shorten};

/// Longest entity looked at: `&#x0010FFFF;`.
const ENTITY_BYTES: usize = 12;

/// Whether XML 1.0 can hold the character (production 2, Char).
pub(super) const fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

/// The character of an entity or character reference, without `&` and `;`.
pub(super) fn entity(name: &str) -> Result<char, XmlErrorKind> {
    let found = match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => name.strip_prefix('#').and_then(|number| {
            let code = match number.strip_prefix('x') {
                Some(hex) if is_digits(hex, 16) => u32::from_str_radix(hex, 16).ok(),
                None if is_digits(number, 10) => number.parse().ok(),
                _ => None,
            };
            char::from_u32(code?).filter(|c| is_char(*c))
        }),
    };
    found.ok_or_else(|| XmlErrorKind::Entity(shorten(name)))
}

// `from_str_radix` takes a sign, too.
fn is_digits(text: &str, radix: u32) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_digit(radix))
}

/// The value of an attribute: references resolved, white space normalised as XML 1.0 demands (section
/// 3.3.3), so that only a character reference makes a line break.
pub(super) fn attribute(raw: &str) -> Result<Cow<'_, str>, XmlErrorKind> {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'&' && byte != b'<';
    if raw.bytes().all(is_plain) && !raw.contains(['\u{FFFE}', '\u{FFFF}']) {
        return Ok(Cow::Borrowed(raw));
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '<' => return Err(XmlErrorKind::NotWellFormed),
            '&' => {
                let (name, behind) = reference(rest)?;
                text.push(entity(name)?);
                rest = behind;
            }
            '\r' => {
                rest = rest.strip_prefix('\n').unwrap_or(rest);
                text.push(' ');
            }
            '\n' | '\t' => text.push(' '),
            c if is_char(c) => text.push(c),
            c => return Err(XmlErrorKind::Character(u32::from(c))),
        }
    }
    Ok(Cow::Owned(text))
}

/// Splits behind a `&`: the name of the entity, and what follows its `;`.
pub(super) fn reference(behind: &str) -> Result<(&str, &str), XmlErrorKind> {
    let end = behind
        .bytes()
        .take(ENTITY_BYTES)
        .position(|byte| byte == b';')
        .ok_or(XmlErrorKind::NotWellFormed)?;
    let (name, rest) = behind.split_at(end);
    Ok((name, rest.get(1..).unwrap_or_default()))
}

/// Appends the value of an attribute, escaped so that it reads back to the same text.
///
/// # Errors
/// A character that XML cannot hold.
pub(super) fn write_attribute(text: &str, into: &mut Vec<u8>) -> Result<(), XmlErrorKind> {
    for c in text.chars() {
        let escape: &str = match c {
            '<' => "&lt;",
            '>' => "&gt;",
            '&' => "&amp;",
            '"' => "&quot;",
            '\t' => "&#9;",
            '\n' => "&#10;",
            '\r' => "&#13;",
            c if is_char(c) => {
                into.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            c => return Err(XmlErrorKind::Character(u32::from(c))),
        };
        into.extend_from_slice(escape.as_bytes());
    }
    Ok(())
}
