//! Reads the values of a query. Each alternative of a comma-separated list is parsed by itself. Must not
//! guess: what is malformed or not offered is an error that says what would be accepted.

use kernel::Timestamp;

use crate::definitions::{Definitions, TypeId};
use crate::search::date::implied_period;
use crate::search::fold::fold;
use crate::search::near::Around;
use crate::search::number::{NumberRange, number_range};
use crate::search::params::{ParamKind, SearchParam};
use crate::search::query::{
    CODED_TEXT_LIMIT, ConceptQuery, Modifier, Prefix, QueryValue, ReferenceQuery, SearchError,
    TextMode, TokenQuery, UnitQuery,
};
use crate::search::reference::{is_logical_id, local_reference, without_version};

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
    if param.code == "near" && modifier == Modifier::None {
        let parts = split_unescaped(raw, '|');
        return Around::parse(&parts).map(QueryValue::Near).ok_or_else(|| SearchError::Malformed {
            code: param.code,
            value: raw.chars().take(80).collect(),
            remedy: "give latitude|longitude|distance|units in degrees, as in 51.5|-0.12|5|km (km, m, cm, [mi_i], [nmi_i], [yd_i], [ft_i]); without distance 10 km are meant",
        });
    }
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
        match (kind, modifier) {
            (ParamKind::Token, Modifier::In | Modifier::NotIn) => self
                .plain(self.raw)
                .map(|url| QueryValue::Concepts(ConceptQuery::ValueSet(url))),
            (ParamKind::Token, Modifier::Above | Modifier::Below) => self.hierarchy(modifier),
            (ParamKind::Token, Modifier::OfType) => self.of_type(),
            (ParamKind::Token | ParamKind::Reference, Modifier::Text) => {
                self.coded_text().map(QueryValue::CodedText)
            }
            (ParamKind::Token, Modifier::CodeText) => self.coded_text().map(QueryValue::CodeText),
            (ParamKind::Reference, Modifier::Above | Modifier::Below) => {
                match self.reference(Modifier::None)? {
                    ReferenceQuery::Local { types, id } => Ok(QueryValue::Hierarchy {
                        types,
                        id,
                        below: modifier == Modifier::Below,
                    }),
                    _ => Err(self.malformed("give Type/id or the id of a resource of this server")),
                }
            }
            (ParamKind::Uri, Modifier::Below) => self.uri_root().map(QueryValue::UriBelow),
            (ParamKind::Uri, Modifier::Above) => self.uri_root().map(QueryValue::UriAbove),
            _ => self.read_plainly(kind, modifier),
        }
    }

    fn read_plainly(&self, kind: ParamKind, modifier: Modifier) -> Result<QueryValue, SearchError> {
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

    fn hierarchy(&self, modifier: Modifier) -> Result<QueryValue, SearchError> {
        let TokenQuery::SystemCode { system, code } = self.token()? else {
            return Err(self.malformed("give system|code: a hierarchy belongs to a code system"));
        };
        Ok(QueryValue::Concepts(if modifier == Modifier::Above {
            ConceptQuery::Above { system, code }
        } else {
            ConceptQuery::Below { system, code }
        }))
    }

    fn of_type(&self) -> Result<QueryValue, SearchError> {
        const REMEDY: &str =
            "give system|code|value: system and code of the identifier's type, then its value";
        match *split_unescaped(self.raw, '|').as_slice() {
            [system, code, value] if [system, code, value].iter().all(|part| !part.is_empty()) => {
                Ok(QueryValue::OfType {
                    system: self.plain(system)?,
                    code: self.plain(code)?,
                    value: self.plain(value)?,
                })
            }
            _ => Err(self.malformed(REMEDY)),
        }
    }

    fn coded_text(&self) -> Result<String, SearchError> {
        let folded = fold(&self.plain(self.raw)?).into_owned();
        if folded.is_empty() || folded.len() > CODED_TEXT_LIMIT {
            return Err(self.malformed(
                "give one letter or digit at least, and 48 bytes at most: what the text begins with",
            ));
        }
        Ok(folded)
    }

    /// A URI as the root of a hierarchy: without the `/` at its end.
    fn uri_root(&self) -> Result<String, SearchError> {
        let mut uri = self.plain(self.raw)?;
        while uri.ends_with('/') {
            uri.pop();
        }
        if uri.is_empty() {
            return Err(self.malformed("give a URI"));
        }
        Ok(uri)
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
