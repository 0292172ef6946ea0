//! Code systems that are a syntax, not a list: languages, media types, units. Their codes are checked,
//! never enumerated.

/// A code system whose codes are told by their form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grammar {
    /// BCP 47 language tags.
    Language,
    /// BCP 13 media types.
    MediaType,
}

impl Grammar {
    /// The grammar of a code system.
    #[must_use]
    pub fn of(system: &str) -> Option<Self> {
        Some(match system {
            "urn:ietf:bcp:47" => Self::Language,
            "urn:ietf:bcp:13" => Self::MediaType,
            _ => return None,
        })
    }

    /// The code system.
    #[must_use]
    pub const fn system(self) -> &'static str {
        match self {
            Self::Language => "urn:ietf:bcp:47",
            Self::MediaType => "urn:ietf:bcp:13",
        }
    }

    /// Whether a code is well formed.
    #[must_use]
    pub fn allows(self, code: &str) -> bool {
        match self {
            Self::Language => is_language(code),
            Self::MediaType => is_media_type(code),
        }
    }
}

/// RFC 5646, `langtag` without extensions' inner rules, or private use.
fn is_language(code: &str) -> bool {
    let mut parts = code.split('-');
    let first = parts.next().unwrap_or_default();
    let alphabetic = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let language = (2..=8).contains(&first.len()) && alphabetic(first);
    (language || matches!(first, "x" | "i"))
        && code.len() <= 64
        && parts.all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
        && (first.len() > 1 || code.len() > 2)
}

/// `type/subtype`, perhaps with parameters; or a short name CapabilityStatement.format takes.
fn is_media_type(code: &str) -> bool {
    let token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&byte))
    };
    let name = code.split(';').next().unwrap_or_default().trim_end();
    match name.split_once('/') {
        Some((kind, subtype)) => token(kind) && token(subtype),
        None => matches!(name, "json" | "xml" | "ttl" | "turtle"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_by_their_form() {
        let table = [
            (Grammar::Language, "en", true),
            (Grammar::Language, "de-CH-1996", true),
            (Grammar::Language, "x-klingon", true),
            (Grammar::Language, "x", false),
            (Grammar::Language, "e", false),
            (Grammar::Language, "en_US", false),
            (Grammar::Language, "en-", false),
            (Grammar::MediaType, "text/plain; charset=utf-8", true),
            (Grammar::MediaType, "application/fhir+json", true),
            (Grammar::MediaType, "text/", false),
            (Grammar::MediaType, "plain", false),
        ];
        for (grammar, code, expected) in table {
            assert_eq!(grammar.allows(code), expected, "{code}");
        }
    }
}
