//! What each kind of element becomes: one function per leaf. Must give no value, rather than a wrong
//! one, for an element that is not what the definitions say.

use std::borrow::Cow;

use crate::definitions::{Definitions, TypeId};
use crate::json::{Kind, Value};
use crate::search::date::{Period, implied_period};
use crate::search::fold::fold;
use crate::search::number::{NumberRange, key_of, number_key};
use crate::search::pack::Leaf;
use crate::search::params::ParamId;
use crate::search::reference::{is_logical_id, local_reference, type_of_absolute, without_version};
use crate::search::values::{IndexValue, RefTarget, UnitKey};

/// The code system of `true` and `false` (FHIR R4 search, section 3.1.1.4.10).
const SPECIAL_VALUES: &str = "http://terminology.hl7.org/CodeSystem/special-values";
/// The currencies of Money.
const CURRENCIES: &str = "urn:iso:std:iso:4217";

/// Where the values of one parameter go.
pub(crate) struct Sink<'s, 'a> {
    pub(crate) id: ParamId,
    pub(crate) values: &'s mut Vec<(ParamId, IndexValue<'a>)>,
}

impl<'a> Sink<'_, 'a> {
    fn push(&mut self, value: IndexValue<'a>) {
        self.values.push((self.id, value));
    }

    fn token(
        &mut self,
        system: Option<Cow<'a, str>>,
        code: Option<Cow<'a, str>>,
        text: Option<Cow<'a, str>>,
    ) {
        if system.is_some() || code.is_some() || text.is_some() {
            self.push(IndexValue::Token { system, code, text });
        }
    }

    fn text(&mut self, exact: Cow<'a, str>) {
        let folded = fold(&exact).into_owned();
        self.push(IndexValue::Text { folded, exact });
    }

    fn range(&mut self, period: Option<Period>) {
        if let Some(Period { lo, hi }) = period {
            self.push(IndexValue::Range { lo, hi });
        }
    }

    fn number(&mut self, range: Option<NumberRange>) {
        if let Some(NumberRange { lo, hi }) = range {
            self.push(IndexValue::Number { lo, hi });
        }
    }

    /// One value per form the unit can be asked in.
    fn quantity(&mut self, range: Option<NumberRange>, unit: &Unit<'a>) {
        let Some(NumberRange { lo, hi }) = range else {
            return;
        };
        let mut push = |unit| self.push(IndexValue::Quantity { lo, hi, unit });
        push(UnitKey::Any);
        if let (Some(system), Some(code)) = (&unit.system, &unit.code) {
            push(UnitKey::Coded {
                system: system.clone(),
                code: code.clone(),
            });
        }
        if let Some(code) = &unit.code {
            push(UnitKey::Label(code.clone()));
        }
        if let Some(label) = unit
            .label
            .as_ref()
            .filter(|l| Some(*l) != unit.code.as_ref())
        {
            push(UnitKey::Label(label.clone()));
        }
    }
}

#[derive(Default)]
struct Unit<'a> {
    system: Option<Cow<'a, str>>,
    code: Option<Cow<'a, str>>,
    label: Option<Cow<'a, str>>,
}

impl<'a> Unit<'a> {
    fn of(quantity: Value<'a>) -> Self {
        Self {
            system: string(quantity, "system"),
            code: string(quantity, "code"),
            label: string(quantity, "unit"),
        }
    }
}

fn string<'a>(value: Value<'a>, member: &str) -> Option<Cow<'a, str>> {
    value.get(member)?.as_str()
}

/// A boolean as a token.
pub(crate) fn boolean_token<'a>(flag: bool) -> IndexValue<'a> {
    IndexValue::Token {
        system: Some(Cow::Borrowed(SPECIAL_VALUES)),
        code: Some(Cow::Borrowed(if flag { "true" } else { "false" })),
        text: None,
    }
}

/// Emits the values of one element. Tells whether the element counts as there: always, except for a
/// reference that `only` filters out.
pub(crate) fn convert<'a>(
    definitions: &Definitions,
    leaf: Leaf<'static>,
    only: Option<TypeId>,
    value: Value<'a>,
    sink: &mut Sink<'_, 'a>,
) -> bool {
    match leaf {
        Leaf::TokenConcept
        | Leaf::TokenCoding
        | Leaf::TokenIdentifier
        | Leaf::TokenContact
        | Leaf::TokenCode(_)
        | Leaf::TokenBoolean
        | Leaf::TokenPlain
        | Leaf::TokenExists { .. } => token(leaf, value, sink),
        Leaf::Text | Leaf::TextName | Leaf::TextAddress => text(leaf, value, sink),
        Leaf::Date => sink.range(date_of(Some(value))),
        Leaf::Period => sink.range(period_of(value)),
        Leaf::Timing => sink.range(timing_of(value)),
        Leaf::Number => sink.number(number_of(value).map(NumberRange::point)),
        Leaf::NumberRange => sink.number(range_of(value)),
        Leaf::Quantity => sink.quantity(quantity_of(value), &Unit::of(value)),
        Leaf::Money => money(value, sink),
        Leaf::QuantityRange => quantity_range(value, sink),
        Leaf::Sampled => {
            let unit = value.get("origin").map(Unit::of).unwrap_or_default();
            sink.quantity(sampled_of(value), &unit);
        }
        Leaf::Reference => return reference(definitions, only, value, sink),
        Leaf::Canonical => canonical(definitions, value, sink),
        Leaf::Resource => return inline_resource(definitions, only, value, sink),
        Leaf::Uri | Leaf::UriCanonical => uri(leaf, value, sink),
    }
    true
}

fn token<'a>(leaf: Leaf<'static>, value: Value<'a>, sink: &mut Sink<'_, 'a>) {
    match leaf {
        Leaf::TokenConcept => {
            for coding in value.get("coding").into_iter().flat_map(Value::items) {
                token(Leaf::TokenCoding, coding, sink);
            }
            sink.token(None, None, string(value, "text"));
        }
        Leaf::TokenCoding => sink.token(
            string(value, "system"),
            string(value, "code"),
            string(value, "display"),
        ),
        Leaf::TokenIdentifier => {
            let kind = value.get("type");
            let text = kind.and_then(|kind| string(kind, "text"));
            sink.token(string(value, "system"), string(value, "value"), text);
            typed(kind, value, sink);
        }
        Leaf::TokenContact => sink.token(None, string(value, "value"), None),
        Leaf::TokenCode(system) => {
            if let Some(code) = value.as_str() {
                let system = (!system.is_empty()).then_some(Cow::Borrowed(system));
                sink.token(system, Some(code), None);
            }
        }
        Leaf::TokenBoolean => {
            if let Some(flag) = value.as_bool() {
                sink.push(boolean_token(flag));
            }
        }
        Leaf::TokenPlain => sink.token(None, value.as_str(), None),
        _ => {}
    }
}

fn typed<'a>(kind: Option<Value<'a>>, identifier: Value<'a>, sink: &mut Sink<'_, 'a>) {
    let codings = kind.and_then(|kind| kind.get("coding"));
    for coding in codings.into_iter().flat_map(Value::items) {
        let parts = (
            string(coding, "system"),
            string(coding, "code"),
            string(identifier, "value"),
        );
        if let (Some(system), Some(code), Some(value)) = parts {
            sink.push(IndexValue::Typed {
                system,
                code,
                value,
            });
        }
    }
}

fn text<'a>(leaf: Leaf<'static>, value: Value<'a>, sink: &mut Sink<'_, 'a>) {
    let parts: &[&str] = match leaf {
        Leaf::TextName => &["family", "given", "prefix", "suffix", "text"],
        Leaf::TextAddress => &[
            "line",
            "city",
            "district",
            "state",
            "postalCode",
            "country",
            "text",
        ],
        _ => {
            if let Some(text) = value.as_str() {
                sink.text(text);
            }
            return;
        }
    };
    if value.kind() != Kind::Object {
        return;
    }
    for (name, part) in value.members() {
        if !parts.contains(&name.as_ref()) {
            continue;
        }
        if let Some(text) = part.as_str() {
            sink.text(text);
        } else if part.kind() == Kind::Array {
            for text in part.items().filter_map(Value::as_str) {
                sink.text(text);
            }
        }
    }
}

fn date_of(value: Option<Value<'_>>) -> Option<Period> {
    implied_period(&value?.as_str()?)
}

/// From the start of the start to the end of the end; a missing side is open.
fn period_of(value: Value<'_>) -> Option<Period> {
    let start = date_of(value.get("start"));
    let end = date_of(value.get("end"));
    if start.is_none() && end.is_none() {
        return None;
    }
    Some(Period {
        lo: start.map_or(i64::MIN, |start| start.lo),
        hi: end.map_or(i64::MAX, |end| end.hi),
    })
}

/// From the first to the last of the events and the bounds. A schedule without either has no time.
fn timing_of(value: Value<'_>) -> Option<Period> {
    let events = value.get("event").into_iter().flat_map(Value::items);
    let bounds = value
        .get("repeat")
        .and_then(|repeat| repeat.get("boundsPeriod"))
        .and_then(period_of);
    events
        .filter_map(|event| date_of(Some(event)))
        .chain(bounds)
        .reduce(|a, b| Period {
            lo: a.lo.min(b.lo),
            hi: a.hi.max(b.hi),
        })
}

fn number_of(value: Value<'_>) -> Option<i64> {
    number_key(value.number_text()?)
}

/// Low to high, both included; a missing side is open.
fn range_of(value: Value<'_>) -> Option<NumberRange> {
    let end = |name| {
        value
            .get(name)
            .and_then(|end| end.get("value"))
            .and_then(number_of)
    };
    let (low, high) = (end("low"), end("high"));
    if low.is_none() && high.is_none() {
        return None;
    }
    Some(NumberRange {
        lo: low.unwrap_or(i64::MIN),
        hi: high.map_or(i64::MAX, |high| high + 1),
    })
}

/// The value itself, or the open range its comparator leaves (`<5` lies anywhere below 5).
fn quantity_of(value: Value<'_>) -> Option<NumberRange> {
    let key = number_of(value.get("value")?)?;
    let comparator = string(value, "comparator");
    let (lo, hi) = match comparator.as_deref() {
        Some("<") => (i64::MIN, key),
        Some("<=") => (i64::MIN, key + 1),
        Some(">") => (key + 1, i64::MAX),
        Some(">=") => (key, i64::MAX),
        _ => (key, key + 1),
    };
    Some(NumberRange { lo, hi })
}

fn money<'a>(value: Value<'a>, sink: &mut Sink<'_, 'a>) {
    let unit = Unit {
        system: Some(Cow::Borrowed(CURRENCIES)),
        code: string(value, "currency"),
        label: None,
    };
    let range = value
        .get("value")
        .and_then(number_of)
        .map(NumberRange::point);
    sink.quantity(range, &unit);
}

fn quantity_range<'a>(value: Value<'a>, sink: &mut Sink<'_, 'a>) {
    let unit = value
        .get("low")
        .or_else(|| value.get("high"))
        .map(Unit::of)
        .unwrap_or_default();
    sink.quantity(range_of(value), &unit);
}

/// From the lowest to the highest sample (FHIR R4, datatype SampledData): `E` is no sample, `U` and `L`
/// are beyond the limits of detection.
fn sampled_of(value: Value<'_>) -> Option<NumberRange> {
    let number = |value: Option<Value<'_>>| value?.number_text()?.parse::<f64>().ok();
    let origin = number(value.get("origin").and_then(|origin| origin.get("value"))).unwrap_or(0.0);
    let factor = number(value.get("factor")).unwrap_or(1.0);
    let upper = number(value.get("upperLimit"));
    let lower = number(value.get("lowerLimit"));
    let mut range: Option<NumberRange> = None;
    for sample in value.get("data")?.as_str()?.split_ascii_whitespace() {
        let (lo, hi) = match sample {
            "E" => continue,
            "U" => (upper.map_or(i64::MIN, key_of), i64::MAX),
            "L" => (i64::MIN, lower.map_or(i64::MAX, |lower| key_of(lower) + 1)),
            text => {
                if number_key(text).is_none() {
                    continue;
                }
                let key = key_of(text.parse::<f64>().ok()? * factor + origin);
                (key, key + 1)
            }
        };
        range = Some(range.map_or(NumberRange { lo, hi }, |known| NumberRange {
            lo: known.lo.min(lo),
            hi: known.hi.max(hi),
        }));
    }
    range
}

fn reference<'a>(
    definitions: &Definitions,
    only: Option<TypeId>,
    value: Value<'a>,
    sink: &mut Sink<'_, 'a>,
) -> bool {
    let target = string(value, "reference").and_then(|text| target_of(definitions, text));
    if let Some(wanted) = only {
        let addressed = match &target {
            Some(RefTarget::Local { ty, .. }) => Some(*ty),
            Some(RefTarget::Absolute(url)) => type_of_absolute(definitions, url),
            _ => None,
        };
        let stated = || string(value, "type").and_then(|name| definitions.resource(&name));
        if addressed.or_else(stated) != Some(wanted) {
            return false;
        }
    }
    if let Some(target) = target {
        sink.push(IndexValue::Reference { target });
    }
    if let Some(identifier) = value.get("identifier")
        && let Some(value) = string(identifier, "value")
    {
        let system = string(identifier, "system");
        let target = RefTarget::Identifier { system, value };
        sink.push(IndexValue::Reference { target });
    }
    sink.token(None, None, string(value, "display"));
    true
}

/// `None` for a contained resource (`#id`) and for what is no reference.
fn target_of<'a>(definitions: &Definitions, text: Cow<'a, str>) -> Option<RefTarget<'a>> {
    match text {
        Cow::Borrowed(text) => target_in(definitions, text),
        Cow::Owned(text) => Some(match target_in(definitions, &text)? {
            RefTarget::Local { ty, id } => RefTarget::Local {
                ty,
                id: Cow::Owned(id.into_owned()),
            },
            RefTarget::Absolute(url) => RefTarget::Absolute(Cow::Owned(url.into_owned())),
            RefTarget::Identifier { .. } => return None,
        }),
    }
}

fn target_in<'t>(definitions: &Definitions, text: &'t str) -> Option<RefTarget<'t>> {
    if let Some((ty, id)) = local_reference(definitions, text) {
        return Some(RefTarget::Local {
            ty,
            id: Cow::Borrowed(id),
        });
    }
    let absolute = text.contains(':') && !text.starts_with('#');
    absolute.then(|| RefTarget::Absolute(Cow::Borrowed(without_version(text))))
}

/// With its version and without, so that a query may name either.
fn canonical<'a>(definitions: &Definitions, value: Value<'a>, sink: &mut Sink<'_, 'a>) {
    let Some(target) = value.as_str().and_then(|text| target_of(definitions, text)) else {
        return;
    };
    if let RefTarget::Absolute(url) = &target
        && let Some(plain) = without_canonical_version(url)
    {
        let target = RefTarget::Absolute(plain);
        sink.push(IndexValue::Reference { target });
    }
    sink.push(IndexValue::Reference { target });
}

fn without_canonical_version<'a>(url: &Cow<'a, str>) -> Option<Cow<'a, str>> {
    let (plain, _) = url.split_once('|')?;
    Some(match url {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(..plain.len())?),
        Cow::Owned(_) => Cow::Owned(plain.to_owned()),
    })
}

fn inline_resource<'a>(
    definitions: &Definitions,
    only: Option<TypeId>,
    value: Value<'a>,
    sink: &mut Sink<'_, 'a>,
) -> bool {
    let Some(ty) = string(value, "resourceType").and_then(|name| definitions.resource(&name))
    else {
        return false;
    };
    if only.is_some_and(|only| only != ty) {
        return false;
    }
    if let Some(id) = string(value, "id").filter(|id| is_logical_id(id)) {
        let target = RefTarget::Local { ty, id };
        sink.push(IndexValue::Reference { target });
    }
    true
}

fn uri<'a>(leaf: Leaf<'static>, value: Value<'a>, sink: &mut Sink<'_, 'a>) {
    let Some(uri) = value.as_str() else {
        return;
    };
    if leaf == Leaf::UriCanonical
        && let Some(plain) = without_canonical_version(&uri)
    {
        sink.push(IndexValue::Uri(plain));
    }
    sink.push(IndexValue::Uri(uri));
}
