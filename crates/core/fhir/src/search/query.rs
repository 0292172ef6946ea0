//! What a query asks for, parsed: modifiers, prefixes and escapes. Each alternative of a
//! comma-separated list is parsed by itself. Must not guess: what is malformed or not offered is an
//! error that says what would be accepted.

use kernel::{Categorised, Category, Timestamp};

use crate::definitions::{Definitions, TypeId};
use crate::search::date::implied_period;
use crate::search::fold::fold;
use crate::search::number::{NumberRange, number_range};
use crate::search::params::{ParamKind, SearchParam};
use crate::search::reference::{is_logical_id, local_reference, without_version};

/// A suffix of a parameter name (FHIR R4 search, section 3.1.1.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Modifier {
    /// No suffix.
    None,
    /// `:missing`.
    Missing,
    /// `:exact`.
    Exact,
    /// `:contains`.
    Contains,
    /// `:not`.
    Not,
    /// `:identifier`.
    Identifier,
    /// `:Patient` and other type names.
    Type(TypeId),
    /// `:text`.
    Text,
    /// `:in`.
    In,
    /// `:not-in`.
    NotIn,
    /// `:above`.
    Above,
    /// `:below`.
    Below,
    /// `:of-type`.
    OfType,
}

impl Modifier {
    /// Reads the part after the colon; `None` for one FHIR R4 does not define.
    #[must_use]
    pub fn parse(definitions: &Definitions, text: &str) -> Option<Self> {
        Some(match text {
            "" => Self::None,
            "missing" => Self::Missing,
            "exact" => Self::Exact,
            "contains" => Self::Contains,
            "not" => Self::Not,
            "identifier" => Self::Identifier,
            "text" => Self::Text,
            "in" => Self::In,
            "not-in" => Self::NotIn,
            "above" => Self::Above,
            "below" => Self::Below,
            "of-type" => Self::OfType,
            name => Self::Type(definitions.resource(name)?),
        })
    }

    /// As written after the parameter name, without the colon.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Missing => "missing",
            Self::Exact => "exact",
            Self::Contains => "contains",
            Self::Not => "not",
            Self::Identifier => "identifier",
            Self::Type(ty) => Definitions::r4().resource_name(ty),
            Self::Text => "text",
            Self::In => "in",
            Self::NotIn => "not-in",
            Self::Above => "above",
            Self::Below => "below",
            Self::OfType => "of-type",
        }
    }

    /// The modifiers offered for a kind, for errors and the CapabilityStatement; `[type]` stands for
    /// the name of a target type.
    #[must_use]
    pub const fn offered(kind: ParamKind) -> &'static [&'static str] {
        match kind {
            ParamKind::String => &["missing", "exact", "contains"],
            ParamKind::Token => &["missing", "not"],
            ParamKind::Reference => &["missing", "identifier", "[type]"],
            ParamKind::Special => &[],
            _ => &["missing"],
        }
    }

    const fn is_offered(self, kind: ParamKind) -> bool {
        match self {
            Self::None => true,
            Self::Missing => !matches!(kind, ParamKind::Special),
            Self::Exact | Self::Contains => matches!(kind, ParamKind::String),
            Self::Not => matches!(kind, ParamKind::Token),
            Self::Identifier | Self::Type(_) => matches!(kind, ParamKind::Reference),
            _ => false,
        }
    }
}

/// How a range compares (FHIR R4 search, section 3.1.1.4.2). `v` is the resource's range, `q` the query's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// `q` contains `v`.
    Eq,
    /// `q` does not contain `v`.
    Ne,
    /// `v` reaches above `q`.
    Gt,
    /// `v` reaches below `q`.
    Lt,
    /// Above or equal.
    Ge,
    /// Below or equal.
    Le,
    /// `v` starts after `q` ends.
    Sa,
    /// `v` ends before `q` starts.
    Eb,
    /// `v` overlaps `q`, which parsing has already widened by 10 %.
    Ap,
}

impl Prefix {
    /// Splits a value into its prefix and the rest; no letters mean `eq`.
    fn split(raw: &str) -> Option<(Self, &str)> {
        let letters = raw.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (head, rest) = raw.split_at_checked(letters)?;
        let prefix = match head {
            "" | "eq" => Self::Eq,
            "ne" => Self::Ne,
            "gt" => Self::Gt,
            "lt" => Self::Lt,
            "ge" => Self::Ge,
            "le" => Self::Le,
            "sa" => Self::Sa,
            "eb" => Self::Eb,
            "ap" => Self::Ap,
            _ => return None,
        };
        Some((prefix, rest))
    }
}

/// One alternative of a query clause, ready to be planned or matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryValue {
    /// `:missing=true` (the resource has no such element) or `false`.
    Missing(bool),
    /// Token; `negated` for `:not`, which then asks for resources without any such value.
    Token {
        /// What to look for.
        token: TokenQuery,
        /// Whether to keep the resources that do not have it.
        negated: bool,
    },
    /// String.
    Text {
        /// How to compare; `Exact` compares `exact`, the others `folded`.
        mode: TextMode,
        /// The folded text.
        folded: String,
        /// The text as written.
        exact: String,
    },
    /// Date, microseconds since the Unix epoch, `[lo, hi)`.
    Range {
        /// Comparison.
        prefix: Prefix,
        /// First microsecond.
        lo: i64,
        /// First microsecond after.
        hi: i64,
    },
    /// Number, in [`crate::search::number_key`] space, `[lo, hi)`.
    Number {
        /// Comparison.
        prefix: Prefix,
        /// First key.
        lo: i64,
        /// First key after.
        hi: i64,
    },
    /// Quantity: a number with the form its unit is asked in.
    Quantity {
        /// Comparison.
        prefix: Prefix,
        /// First key.
        lo: i64,
        /// First key after.
        hi: i64,
        /// The unit.
        unit: UnitQuery,
    },
    /// Reference.
    Reference(ReferenceQuery),
    /// URI, compared exactly.
    Uri(String),
    /// One value per component, in order.
    Composite(Vec<QueryValue>),
}

/// What a token query asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenQuery {
    /// `code`: whatever its system.
    Code(String),
    /// `system|code`.
    SystemCode {
        /// The system.
        system: String,
        /// The code.
        code: String,
    },
    /// `|code`: only where the element has no system.
    NoSystem(String),
    /// `system|`: any code of it.
    System(String),
}

/// How texts compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextMode {
    /// Folded text starts with it.
    Prefix,
    /// Folded text contains it.
    Contains,
    /// The text as written is equal.
    Exact,
}

/// The unit of a quantity query; see [`crate::search::UnitKey`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitQuery {
    /// None named: any unit.
    Any,
    /// By system and code.
    Coded {
        /// The system.
        system: String,
        /// The code.
        code: String,
    },
    /// By code or display unit.
    Label(String),
}

/// What a reference query asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferenceQuery {
    /// `Type/id`, or `id` with the types it may have (empty: any type).
    Local {
        /// Candidate types.
        types: Vec<TypeId>,
        /// The logical id.
        id: String,
    },
    /// An absolute URL, URN or canonical. The caller maps its own base address to `Local` first.
    Absolute(String),
    /// `:identifier`.
    Identifier(TokenQuery),
}

/// Why a query value is refused. All belong to [`Category::Invalid`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// The parameter needs code that is not there.
    #[error("search parameter {code} is not offered: leave it out")]
    NotOffered {
        /// The parameter.
        code: &'static str,
    },
    /// The modifier does not fit the kind, or is not offered yet.
    #[error(
        "modifier :{modifier} is not offered for {kind} parameter {code}: use none or one of {offered:?}"
    )]
    Modifier {
        /// The parameter.
        code: &'static str,
        /// Its kind.
        kind: &'static str,
        /// The modifier asked for.
        modifier: &'static str,
        /// Those offered.
        offered: &'static [&'static str],
    },
    /// The value cannot be read.
    #[error("value {value:?} of search parameter {code} is malformed: {remedy}")]
    Malformed {
        /// The parameter.
        code: &'static str,
        /// The value, cut to 80 characters.
        value: String,
        /// What would be accepted.
        remedy: &'static str,
    },
}

impl Categorised for SearchError {
    fn category(&self) -> Category {
        Category::Invalid
    }
}

/// Splits the raw value of a clause into its alternatives at commas that are not escaped; escapes stay.
#[must_use]
pub fn split_alternatives(raw: &str) -> Vec<&str> {
    split_unescaped(raw, ',')
}

/// Undoes `\,` `\$` `\|` and `\\`; `None` for any other use of a backslash.
#[must_use]
pub fn unescape(raw: &str) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            match chars.next()? {
                escaped @ (',' | '$' | '|' | '\\') => text.push(escaped),
                _ => return None,
            }
        } else {
            text.push(c);
        }
    }
    Some(text)
}

/// Escapes a text so that it is one value of a query: the reverse of [`unescape`].
#[must_use]
pub fn escape(text: &str) -> String {
    let mut raw = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, ',' | '$' | '|' | '\\') {
            raw.push('\\');
        }
        raw.push(c);
    }
    raw
}

fn split_unescaped(raw: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (at, c) in raw.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == separator {
            parts.push(raw.get(start..at).unwrap_or_default());
            start = at + c.len_utf8();
        }
    }
    parts.push(raw.get(start..).unwrap_or_default());
    parts
}

/// Parses one alternative of a clause (see [`split_alternatives`]). `now` is what `ap` on dates
/// measures its distance from.
pub fn parse_query_value(
    param: &SearchParam,
    modifier: Modifier,
    raw: &str,
    now: Timestamp,
) -> Result<QueryValue, SearchError> {
    if param.kind == ParamKind::Special {
        return Err(SearchError::NotOffered { code: param.code });
    }
    if !modifier.is_offered(param.kind) {
        return Err(SearchError::Modifier {
            code: param.code,
            kind: param.kind.code(),
            modifier: modifier.as_str(),
            offered: Modifier::offered(param.kind),
        });
    }
    let reader = Reader {
        code: param.code,
        targets: param.targets,
        raw,
        now,
    };
    if modifier == Modifier::Missing {
        return match raw {
            "true" => Ok(QueryValue::Missing(true)),
            "false" => Ok(QueryValue::Missing(false)),
            _ => Err(reader.malformed("give true or false")),
        };
    }
    if param.kind == ParamKind::Composite {
        return composite(param, &reader);
    }
    reader.read(param.kind, modifier)
}

fn composite(param: &SearchParam, reader: &Reader<'_>) -> Result<QueryValue, SearchError> {
    let parts = split_unescaped(reader.raw, '$');
    if parts.len() != param.components.len() {
        return Err(
            reader.malformed("give one value per component, joined by '$', as in 8480-6$gt140")
        );
    }
    let values: Result<Vec<QueryValue>, SearchError> = parts
        .iter()
        .zip(param.components)
        .map(|(raw, component)| {
            let part = Reader {
                code: param.code,
                targets: component.targets,
                raw,
                now: reader.now,
            };
            part.read(component.kind, Modifier::None)
        })
        .collect();
    values.map(QueryValue::Composite)
}

/// One value being read.
struct Reader<'q> {
    code: &'static str,
    targets: &'static [TypeId],
    raw: &'q str,
    now: Timestamp,
}

impl Reader<'_> {
    fn malformed(&self, remedy: &'static str) -> SearchError {
        SearchError::Malformed {
            code: self.code,
            value: self.raw.chars().take(80).collect(),
            remedy,
        }
    }

    fn read(&self, kind: ParamKind, modifier: Modifier) -> Result<QueryValue, SearchError> {
        if self.raw.is_empty() {
            return Err(self.malformed("give a value, or :missing=true for none"));
        }
        match kind {
            ParamKind::Token => Ok(QueryValue::Token {
                token: self.token()?,
                negated: modifier == Modifier::Not,
            }),
            ParamKind::String => self.text(modifier),
            ParamKind::Date => self.date(),
            ParamKind::Number => {
                let (prefix, range) = self.number(self.raw)?;
                Ok(QueryValue::Number {
                    prefix,
                    lo: range.lo,
                    hi: range.hi,
                })
            }
            ParamKind::Quantity => self.quantity(),
            ParamKind::Reference => self.reference(modifier).map(QueryValue::Reference),
            ParamKind::Uri => Ok(QueryValue::Uri(self.plain(self.raw)?)),
            ParamKind::Composite | ParamKind::Special => {
                Err(SearchError::NotOffered { code: self.code })
            }
        }
    }

    fn plain(&self, raw: &str) -> Result<String, SearchError> {
        unescape(raw).ok_or_else(|| {
            self.malformed("a backslash escapes only ',', '$', '|' and itself: write \\\\ for one")
        })
    }

    fn token(&self) -> Result<TokenQuery, SearchError> {
        match *split_unescaped(self.raw, '|').as_slice() {
            [code] => Ok(TokenQuery::Code(self.plain(code)?)),
            ["", ""] => Err(self.malformed("give code, system|code, |code or system|")),
            ["", code] => Ok(TokenQuery::NoSystem(self.plain(code)?)),
            [system, ""] => Ok(TokenQuery::System(self.plain(system)?)),
            [system, code] => Ok(TokenQuery::SystemCode {
                system: self.plain(system)?,
                code: self.plain(code)?,
            }),
            _ => {
                Err(self.malformed("give system|code with one '|': write \\| for one in the code"))
            }
        }
    }

    fn text(&self, modifier: Modifier) -> Result<QueryValue, SearchError> {
        let exact = self.plain(self.raw)?;
        let folded = fold(&exact).into_owned();
        let mode = match modifier {
            Modifier::Exact => TextMode::Exact,
            Modifier::Contains => TextMode::Contains,
            _ => TextMode::Prefix,
        };
        if mode != TextMode::Exact && folded.is_empty() {
            return Err(self.malformed("give at least one letter or digit"));
        }
        Ok(QueryValue::Text {
            mode,
            folded,
            exact,
        })
    }

    fn date(&self) -> Result<QueryValue, SearchError> {
        const REMEDY: &str = "give eq, ne, gt, lt, ge, le, sa, eb, ap or nothing, then a date such as 2026, 2026-03, 2026-03-05 or 2026-03-05T08:09:10+01:00 (with + written as %2B)";
        let (prefix, text) = Prefix::split(self.raw).ok_or_else(|| self.malformed(REMEDY))?;
        let period = implied_period(text).ok_or_else(|| self.malformed(REMEDY))?;
        let (mut lo, mut hi) = (period.lo, period.hi);
        if prefix == Prefix::Ap {
            let now = self.now.as_micros();
            let distance = if lo > now {
                lo.saturating_sub(now)
            } else {
                now.saturating_sub(hi).max(0)
            };
            lo = lo.saturating_sub(distance / 10);
            hi = hi.saturating_add(distance / 10);
        }
        Ok(QueryValue::Range { prefix, lo, hi })
    }

    fn number(&self, raw: &str) -> Result<(Prefix, NumberRange), SearchError> {
        const REMEDY: &str = "give eq, ne, gt, lt, ge, le, sa, eb, ap or nothing, then a number such as 100, -5.40 or 1.5e3";
        let (prefix, text) = Prefix::split(raw).ok_or_else(|| self.malformed(REMEDY))?;
        let range = number_range(prefix, text).ok_or_else(|| self.malformed(REMEDY))?;
        Ok((prefix, range))
    }

    fn quantity(&self) -> Result<QueryValue, SearchError> {
        const REMEDY: &str = "give a number alone, number|system|code, or number||unit";
        let parts = split_unescaped(self.raw, '|');
        let (number, unit) = match *parts.as_slice() {
            [number] | [number, "", ""] => (number, UnitQuery::Any),
            [number, "", code] => (number, UnitQuery::Label(self.plain(code)?)),
            [_, _, ""] => return Err(self.malformed(REMEDY)),
            [number, system, code] => (
                number,
                UnitQuery::Coded {
                    system: self.plain(system)?,
                    code: self.plain(code)?,
                },
            ),
            _ => return Err(self.malformed(REMEDY)),
        };
        let (prefix, range) = self.number(number)?;
        Ok(QueryValue::Quantity {
            prefix,
            lo: range.lo,
            hi: range.hi,
            unit,
        })
    }

    fn reference(&self, modifier: Modifier) -> Result<ReferenceQuery, SearchError> {
        const REMEDY: &str = "give Type/id, an id, an absolute URL, or url|version of a canonical";
        if modifier == Modifier::Identifier {
            return self.token().map(ReferenceQuery::Identifier);
        }
        // The bar between a canonical and its version is no separator here, escaped or not.
        let text = self.plain(self.raw)?;
        if let Modifier::Type(ty) = modifier {
            let target = match local_reference(Definitions::r4(), &text) {
                Some((named, id)) if named == ty => id,
                None if is_logical_id(&text) => text.as_str(),
                _ => return Err(self.malformed("give the id of a resource of the type named")),
            };
            return Ok(ReferenceQuery::Local {
                types: vec![ty],
                id: target.to_owned(),
            });
        }
        if let Some((ty, id)) = local_reference(Definitions::r4(), &text) {
            return Ok(ReferenceQuery::Local {
                types: vec![ty],
                id: id.to_owned(),
            });
        }
        if is_logical_id(&text) {
            return Ok(ReferenceQuery::Local {
                types: self.targets.to_vec(),
                id: text,
            });
        }
        if text.contains(':') {
            return Ok(ReferenceQuery::Absolute(without_version(&text).to_owned()));
        }
        Err(self.malformed(REMEDY))
    }
}
