//! String contents: finding their end, checking and resolving their escapes. Must not allocate unless
//! a string holds escapes.

use super::JsonErrorKind;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The highest bit of the first byte of `word` that is a quote, a backslash or a control character is
/// set; bits of later bytes may be set wrongly.
const fn specials(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let zeroes = (quote.wrapping_sub(ONES) & !quote) | (backslash.wrapping_sub(ONES) & !backslash);
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (zeroes | controls) & HIGHS
}

/// The place of the first byte from `at` on that ends a plain run of string content; the length of
/// `bytes` if there is none.
pub(super) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let found = specials(u64::from_le_bytes(*chunk));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes
        .get(at)
        .is_some_and(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\')
    {
        at += 1;
    }
    at
}

/// The place behind the escape that starts at `at` (a backslash), or where and why it is wrong.
pub(super) fn escape_end(bytes: &[u8], at: usize) -> Result<usize, (usize, JsonErrorKind)> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            let bad = (
                at,
                JsonErrorKind::Syntax("four hexadecimal digits behind \\u"),
            );
            let unit = hex4(bytes, at + 2).ok_or(bad.clone())?;
            match unit {
                0xD800..=0xDBFF => {
                    let low = (bytes.get(at + 6..at + 8) == Some(b"\\u".as_slice()))
                        .then(|| hex4(bytes, at + 8))
                        .flatten();
                    if low.is_some_and(|low| (0xDC00..=0xDFFF).contains(&low)) {
                        Ok(at + 12)
                    } else {
                        Err((at, JsonErrorKind::LoneSurrogate))
                    }
                }
                0xDC00..=0xDFFF => Err((at, JsonErrorKind::LoneSurrogate)),
                _ => Ok(at + 6),
            }
        }
        _ => Err((
            at,
            JsonErrorKind::Syntax("one of \" \\ / b f n r t u behind a backslash"),
        )),
    }
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.iter().try_fold(0, |value, byte| {
        Some(value * 16 + char::from(*byte).to_digit(16)?)
    })
}

/// Resolves the escapes of checked string content.
pub(crate) fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        text.push_str(rest.get(..at).unwrap_or_default());
        let escape = rest.as_bytes().get(at + 1).copied().unwrap_or_default();
        let mut taken = 2;
        text.push(match escape {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = hex4(rest.as_bytes(), at + 2).unwrap_or_default();
                taken = 6;
                let code = if (0xD800..0xDC00).contains(&unit) {
                    taken = 12;
                    let low = hex4(rest.as_bytes(), at + 8).unwrap_or_default();
                    0x1_0000 + ((unit & 0x3FF) << 10) + (low & 0x3FF)
                } else {
                    unit
                };
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            plain => char::from(plain),
        });
        rest = rest.get(at + taken..).unwrap_or_default();
    }
    text.push_str(rest);
    text
}
