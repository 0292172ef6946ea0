//! `encode`, `decode`, `escape` and `unescape` (N1 2.1, section 5.6). Formats nobody knows are empty.

use core::fmt::Write as _;

use super::filtering::one;
use super::{Call, Function};
use crate::collection::Collection;
use crate::evaluate::{Evaluator, Outcome, string};

pub(super) fn call<'a>(evaluator: &mut Evaluator<'_, 'a>, call: &Call<'_, 'a>) -> Outcome<'a> {
    let name = call.function.name();
    one(call)?;
    let format = call.value(evaluator, 0)?.unwrap_or_default();
    let (Some(text), Some(format)) = (string(name, call.input)?, string(name, &format)?) else {
        return Ok(Collection::empty());
    };
    let made = match call.function {
        Function::Encode => encode(&text, &format),
        Function::Decode => decode(&text, &format),
        Function::Escape => escape(&text, &format),
        _ => unescape(&text, &format),
    };
    match made {
        Some(made) => evaluator.text(made),
        None => Ok(Collection::empty()),
    }
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn alphabet(format: &str) -> Option<&'static [u8; 64]> {
    match format {
        "base64" => Some(STANDARD),
        "urlbase64" => Some(URL),
        _ => None,
    }
}

fn encode(text: &str, format: &str) -> Option<String> {
    if format == "hex" {
        return text.bytes().try_fold(String::new(), |mut out, byte| {
            write!(out, "{byte:02x}").ok()?;
            Some(out)
        });
    }
    let alphabet = alphabet(format)?;
    let mut out = String::with_capacity(text.len().div_ceil(3) * 4);
    for chunk in text.as_bytes().chunks(3) {
        let at = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let six = (bits >> (18 - 6 * place) & 63) as usize;
            match alphabet.get(six) {
                Some(letter) if place <= chunk.len() => out.push(char::from(*letter)),
                _ => out.push('='),
            }
        }
    }
    Some(out)
}

fn decode(text: &str, format: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    if format == "hex" {
        if !text.len().is_multiple_of(2) {
            return None;
        }
        for pair in text.as_bytes().chunks(2) {
            let pair = core::str::from_utf8(pair).ok()?;
            bytes.push(u8::from_str_radix(pair, 16).ok()?);
        }
        return String::from_utf8(bytes).ok();
    }
    let alphabet = alphabet(format)?;
    let body = text.trim_end_matches('=');
    let (mut bits, mut held) = (0_u32, 0);
    for letter in body.bytes() {
        let six = alphabet.iter().position(|known| *known == letter)?;
        bits = bits << 6 | six as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 255) as u8);
        }
    }
    String::from_utf8(bytes).ok()
}

fn escape(text: &str, format: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    match format {
        "html" => {
            for char in text.chars() {
                match char {
                    '<' => out.push_str("&lt;"),
                    '>' => out.push_str("&gt;"),
                    '&' => out.push_str("&amp;"),
                    '"' => out.push_str("&quot;"),
                    '\'' => out.push_str("&#39;"),
                    other => out.push(other),
                }
            }
        }
        "json" => {
            for char in text.chars() {
                match char {
                    '"' => out.push_str("\\\""),
                    '\\' => out.push_str("\\\\"),
                    '\n' => out.push_str("\\n"),
                    '\r' => out.push_str("\\r"),
                    '\t' => out.push_str("\\t"),
                    '\u{8}' => out.push_str("\\b"),
                    '\u{c}' => out.push_str("\\f"),
                    other if other < ' ' => {
                        write!(out, "\\u{:04x}", u32::from(other)).ok()?;
                    }
                    other => out.push(other),
                }
            }
        }
        _ => return None,
    }
    Some(out)
}

fn unescape(text: &str, format: &str) -> Option<String> {
    match format {
        "html" => Some(unescape_html(text)),
        "json" => unescape_json(text),
        _ => None,
    }
}

fn unescape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, entity) = rest.split_at(at);
        out.push_str(before);
        let end = entity.find(';');
        let char = end
            .and_then(|end| entity.get(1..end))
            .and_then(|name| match name {
                "lt" => Some('<'),
                "gt" => Some('>'),
                "amp" => Some('&'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                "nbsp" => Some('\u{a0}'),
                _ => {
                    let number = name.strip_prefix('#')?;
                    let code = match number.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                        None => number.parse().ok()?,
                    };
                    char::from_u32(code)
                }
            });
        let (char, end) = char.zip(end).unwrap_or(('&', 0));
        out.push(char);
        rest = entity.get(end + 1..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// The content of a JSON string; none where it is not well formed.
fn unescape_json(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            out.push(char);
            continue;
        }
        out.push(match chars.next()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'b' => '\u{8}',
            'f' => '\u{c}',
            plain @ ('"' | '\\' | '/') => plain,
            'u' => {
                let mut unit = || {
                    (0..4).try_fold(0, |value, _| Some(value * 16 + chars.next()?.to_digit(16)?))
                };
                let high = unit()?;
                if (0xd800..0xdc00).contains(&high) {
                    (chars.next()? == '\\' && chars.next()? == 'u').then_some(())?;
                    let mut unit = || {
                        (0..4)
                            .try_fold(0, |value, _| Some(value * 16 + chars.next()?.to_digit(16)?))
                    };
                    let low = unit()?
                        .checked_sub(0xdc00)
                        .filter(|low: &u32| *low < 0x400)?;
                    char::from_u32(0x10000 + ((high - 0xd800) << 10) + low)?
                } else {
                    char::from_u32(high)?
                }
            }
            _ => return None,
        });
    }
    Some(out)
}
