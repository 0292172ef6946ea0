//! JSON Pointers (RFC 6901), read into their parts.

use super::PatchErrorKind;

/// A pointer; no parts for the whole document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    pub(super) parts: Vec<String>,
    text: String,
}

impl Pointer {
    pub(super) fn parse(text: &str, max_depth: usize) -> Result<Self, PatchErrorKind> {
        let malformed = || PatchErrorKind::Pointer(text.chars().take(80).collect());
        let mut pointer = Self {
            parts: Vec::new(),
            text: text.chars().take(80).collect(),
        };
        if text.is_empty() {
            return Ok(pointer);
        }
        let rest = text.strip_prefix('/').ok_or_else(malformed)?;
        for part in rest.split('/') {
            if pointer.parts.len() >= max_depth {
                return Err(PatchErrorKind::TooDeep(max_depth));
            }
            pointer.parts.push(unescape(part).ok_or_else(malformed)?);
        }
        Ok(pointer)
    }

    /// As it is named in errors.
    pub(super) fn shown(&self) -> String {
        self.text.clone()
    }

    /// Whether `other` is inside what this one names.
    pub(super) fn holds(&self, other: &Self) -> bool {
        other.parts.len() > self.parts.len() && other.parts.starts_with(&self.parts)
    }
}

fn unescape(part: &str) -> Option<String> {
    if !part.contains('~') {
        return Some(part.to_owned());
    }
    let mut text = String::with_capacity(part.len());
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            c => c,
        });
    }
    Some(text)
}

/// An index of an array: digits without leading zeroes.
pub(super) fn index(part: &str) -> Option<usize> {
    let is_plain = part.bytes().all(|byte| byte.is_ascii_digit())
        && !part.is_empty()
        && (part == "0" || !part.starts_with('0'));
    is_plain.then(|| part.parse().ok()).flatten()
}
