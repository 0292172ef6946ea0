//! Values of parameters that are not in the pack: elements found by other means (FHIRPath, evaluated by the
//! caller) become the same values that the elements of R4's own parameters become. Must not find elements.

use std::borrow::Cow;

use crate::definitions::Definitions;
use crate::json::Value;
use crate::search::compile::{LeafName, leaf_name};
use crate::search::convert::{Sink, boolean_token, convert};
use crate::search::date::implied_period;
use crate::search::fold::fold;
use crate::search::number::{NumberRange, number_key};
use crate::search::pack::Leaf;
use crate::search::params::{ParamId, ParamKind};
use crate::search::values::IndexValue;

/// Adds the values that an element of a FHIR type has for a parameter of a kind. Elements of types that have
/// none, such as a `string` for a date parameter, add nothing.
pub fn values_of_element<'a>(
    definitions: &Definitions,
    (id, kind): (ParamId, ParamKind),
    type_name: &str,
    element: Value<'a>,
    values: &mut Vec<(ParamId, IndexValue<'a>)>,
) {
    if let Some(name) = leaf_name(kind, type_name) {
        let sink = &mut Sink { id, values };
        convert(definitions, leaf(name), None, element, sink);
    }
}

/// Adds the value that a computed text has for a parameter of a kind: a date in FHIR's form for a date
/// parameter, a number for a number parameter; what cannot be read adds nothing.
pub fn value_of_text<'a>(
    (id, kind): (ParamId, ParamKind),
    text: Cow<'a, str>,
    values: &mut Vec<(ParamId, IndexValue<'a>)>,
) {
    let value = match kind {
        ParamKind::Token => Some(IndexValue::Token {
            system: None,
            code: Some(text),
            text: None,
        }),
        ParamKind::String => Some(IndexValue::Text {
            folded: fold(&text).into_owned(),
            exact: text,
        }),
        ParamKind::Uri => Some(IndexValue::Uri(text)),
        ParamKind::Date => implied_period(&text).map(|period| IndexValue::Range {
            lo: period.lo,
            hi: period.hi,
        }),
        ParamKind::Number => {
            number_key(&text)
                .map(NumberRange::point)
                .map(|range| IndexValue::Number {
                    lo: range.lo,
                    hi: range.hi,
                })
        }
        ParamKind::Quantity | ParamKind::Reference | ParamKind::Composite | ParamKind::Special => {
            None
        }
    };
    values.extend(value.map(|value| (id, value)));
}

/// Adds the value that a computed boolean has for a token parameter.
pub fn value_of_boolean(
    (id, kind): (ParamId, ParamKind),
    flag: bool,
    values: &mut Vec<(ParamId, IndexValue<'_>)>,
) {
    if kind == ParamKind::Token {
        values.push((id, boolean_token(flag)));
    }
}

/// A leaf without what only the pack knows: a `code` found by FHIRPath has no system.
const fn leaf(name: LeafName) -> Leaf<'static> {
    match name {
        LeafName::TokenConcept => Leaf::TokenConcept,
        LeafName::TokenCoding => Leaf::TokenCoding,
        LeafName::TokenIdentifier => Leaf::TokenIdentifier,
        LeafName::TokenContact => Leaf::TokenContact,
        LeafName::TokenCode | LeafName::TokenPlain => Leaf::TokenPlain,
        LeafName::TokenBoolean => Leaf::TokenBoolean,
        LeafName::Text => Leaf::Text,
        LeafName::TextName => Leaf::TextName,
        LeafName::TextAddress => Leaf::TextAddress,
        LeafName::Date => Leaf::Date,
        LeafName::Period => Leaf::Period,
        LeafName::Timing => Leaf::Timing,
        LeafName::Number => Leaf::Number,
        LeafName::NumberRange => Leaf::NumberRange,
        LeafName::Quantity => Leaf::Quantity,
        LeafName::Money => Leaf::Money,
        LeafName::QuantityRange => Leaf::QuantityRange,
        LeafName::Sampled => Leaf::Sampled,
        LeafName::Reference => Leaf::Reference,
        LeafName::Canonical => Leaf::Canonical,
        LeafName::Resource => Leaf::Resource,
        LeafName::Uri => Leaf::Uri,
        LeafName::UriCanonical => Leaf::UriCanonical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Document, Limits};

    fn count(kind: ParamKind, type_name: &str, json: &str) -> usize {
        let document = Document::parse(json.as_bytes().to_vec(), &Limits::default()).unwrap();
        let mut values = Vec::new();
        let param = (ParamId(0x8000), kind);
        let definitions = Definitions::r4();
        values_of_element(definitions, param, type_name, document.root(), &mut values);
        values.len()
    }

    #[test]
    fn elements_give_what_their_type_gives_elsewhere() {
        let concept = r#"{"coding":[{"system":"s","code":"a"},{"code":"b"}],"text":"t"}"#;
        assert_eq!(count(ParamKind::Token, "CodeableConcept", concept), 3);
        assert_eq!(count(ParamKind::Token, "code", r#""final""#), 1);
        assert_eq!(count(ParamKind::String, "string", r#""Ana""#), 1);
        assert_eq!(count(ParamKind::Date, "date", r#""2026-03""#), 1);
        assert_eq!(count(ParamKind::Date, "string", r#""2026-03""#), 0);
        assert_eq!(
            count(
                ParamKind::Reference,
                "Reference",
                r#"{"reference":"Patient/p"}"#
            ),
            1
        );
    }

    #[test]
    fn texts_are_read_by_the_kind() {
        let read = |kind, text: &'static str| {
            let mut values = Vec::new();
            value_of_text((ParamId(0x8000), kind), Cow::Borrowed(text), &mut values);
            values.len()
        };
        assert_eq!(read(ParamKind::Date, "2026-03-04"), 1);
        assert_eq!(read(ParamKind::Date, "soon"), 0);
        assert_eq!(read(ParamKind::Number, "1.50"), 1);
        assert_eq!(read(ParamKind::Number, "many"), 0);
        assert_eq!(read(ParamKind::String, "Ana"), 1);
        assert_eq!(read(ParamKind::Reference, "Patient/p"), 0);
    }
}
