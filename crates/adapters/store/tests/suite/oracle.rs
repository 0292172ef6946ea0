//! Random resources and random searches: the store answers as `fhir::search::matches` judges, resource by
//! resource. The seed is printed on failure and can be set with `THERIAC_SEED`.

use std::collections::BTreeSet;

use fhir::Definitions;
use fhir::json::{Document, Limits};
use fhir::search::{
    Extracted, IndexValue, Modifier, ParamKind, QueryValue, RefTarget, SearchParam, extract,
    matches, parse_query_value, split_alternatives,
};
use kernel::Clock as _;
use store::index::predicate;
use store::{Clause, SearchPlan, Sort, SortKey, Total};

use super::world::{World, ids_of, ty};
use super::{Bed, WINDOW};

pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.roll(from.len())]
    }
    pub fn maybe(&mut self, text: String) -> String {
        if self.roll(3) == 0 {
            String::new()
        } else {
            text
        }
    }
}

const FAMILIES: &[&str] = &[
    "Müller",
    "Mueller",
    "mill",
    "Smith-Miller",
    "O'Neil",
    "Ó Néill",
    "de la Cruz",
    "李",
];
const DATES: &[&str] = &[
    "1970",
    "1970-02",
    "1970-02-03",
    "1970-02-04",
    "1980-12-31",
    "2026-01-02T10:00:00Z",
    "2026-01-02T10:00:00.500+01:00",
];
const CODES: &[&str] = &["8480-6", "8462-4", "a b", "x,y", "p|q", "m$n"];
const SYSTEMS: &[&str] = &["http://loinc.org", "urn:x", ""];
const NUMBERS: &[&str] = &["5.4", "5.40", "5", "-3", "0", "120", "1e2", "0.001"];
const UNITS: &[&str] = &["mg", "mmol/L"];

fn coding(dice: &mut Dice) -> String {
    let system = dice.pick(SYSTEMS);
    let system = if system.is_empty() {
        String::new()
    } else {
        format!(r#""system":"{system}","#)
    };
    format!(r#"{{{system}"code":"{}"}}"#, dice.pick(CODES))
}

fn quantity(dice: &mut Dice) -> String {
    let unit = dice.pick(UNITS);
    let coded = dice.maybe(format!(
        r#","system":"http://unitsofmeasure.org","code":"{unit}""#
    ));
    format!(
        r#"{{"value":{},"unit":"{unit}"{coded}}}"#,
        dice.pick(NUMBERS)
    )
}

pub fn patient(dice: &mut Dice, name: &str) -> String {
    let names: Vec<String> = (0..dice.roll(3))
        .map(|_| {
            format!(
                r#"{{"family":"{}","given":["{}"]}}"#,
                dice.pick(FAMILIES),
                dice.pick(FAMILIES)
            )
        })
        .collect();
    let names = if names.is_empty() {
        String::new()
    } else {
        format!(r#","name":[{}]"#, names.join(","))
    };
    let system = SYSTEMS[dice.roll(2)];
    let system = dice.maybe(format!(r#""system":"{system}","#));
    let identifier = format!(r#","identifier":[{{{system}"value":"{}"}}]"#, dice.roll(4));
    let identifier = dice.maybe(identifier);
    let birth = DATES[dice.roll(5)];
    let birth = dice.maybe(format!(r#","birthDate":"{birth}""#));
    let active = dice.roll(2) == 0;
    let active = dice.maybe(format!(r#","active":{active}"#));
    format!(r#"{{"resourceType":"Patient","id":"{name}"{names}{identifier}{birth}{active}}}"#)
}

pub fn observation(dice: &mut Dice, name: &str) -> String {
    let codings: Vec<String> = (0..=dice.roll(2)).map(|_| coding(dice)).collect();
    let subject = format!(
        r#","subject":{{"reference":"{}/{}"}}"#,
        dice.pick(&["Patient", "Group"]),
        dice.roll(5)
    );
    let subject = dice.maybe(subject);
    let date = dice.pick(DATES);
    let time = match dice.roll(3) {
        0 => String::new(),
        1 => format!(r#","effectiveDateTime":"{date}""#),
        _ => format!(r#","effectivePeriod":{{"start":"{date}"}}"#),
    };
    let value = match dice.roll(4) {
        0 => String::new(),
        1 => format!(r#","valueQuantity":{}"#, quantity(dice)),
        2 => format!(r#","valueCodeableConcept":{{"coding":[{}]}}"#, coding(dice)),
        _ => format!(r#","valueString":"{}""#, dice.pick(FAMILIES)),
    };
    let parts: Vec<String> = (0..dice.roll(3))
        .map(|_| {
            format!(
                r#"{{"code":{{"coding":[{}]}},"valueQuantity":{}}}"#,
                coding(dice),
                quantity(dice)
            )
        })
        .collect();
    let parts = if parts.is_empty() {
        String::new()
    } else {
        format!(r#","component":[{}]"#, parts.join(","))
    };
    format!(
        r#"{{"resourceType":"Observation","id":"{name}","status":"final","code":{{"coding":[{}]}}{subject}{time}{value}{parts}}}"#,
        codings.join(",")
    )
}

fn escape(text: &str) -> String {
    fhir::search::escape(text)
}

/// A raw query value near a stored one.
fn raw_of(dice: &mut Dice, value: &IndexValue<'_>) -> Option<String> {
    Some(match value {
        IndexValue::Token { system, code, .. } => {
            let (system, code) = (
                escape(system.as_deref().unwrap_or_default()),
                escape(code.as_deref().unwrap_or_default()),
            );
            match dice.roll(4) {
                0 if !code.is_empty() => code,
                1 if !code.is_empty() => format!("|{code}"),
                2 if !system.is_empty() => format!("{system}|"),
                _ if !system.is_empty() && !code.is_empty() => format!("{system}|{code}"),
                _ => return None,
            }
        }
        IndexValue::Text { exact, .. } => {
            let take = dice.roll(exact.chars().count()) + 1;
            escape(&exact.chars().take(take).collect::<String>())
        }
        IndexValue::Range { .. } => prefixed(dice, DATES),
        IndexValue::Number { .. } => prefixed(dice, NUMBERS),
        IndexValue::Quantity { .. } => {
            let number = prefixed(dice, NUMBERS);
            match dice.roll(3) {
                0 => number,
                1 => format!("{number}|http://unitsofmeasure.org|{}", dice.pick(UNITS)),
                _ => format!("{number}||{}", dice.pick(UNITS)),
            }
        }
        IndexValue::Reference { target } => match target {
            RefTarget::Local { ty, id } if dice.roll(2) == 0 => {
                format!("{}/{id}", Definitions::r4().resource_name(*ty))
            }
            RefTarget::Local { id, .. } => id.to_string(),
            RefTarget::Absolute(url) => escape(url),
            RefTarget::Identifier { .. } => return None,
        },
        IndexValue::Uri(uri) => escape(uri),
        IndexValue::Typed { .. } | IndexValue::Position(_) => return None,
        IndexValue::Composite(parts) => parts
            .iter()
            .map(|part| raw_of(dice, part))
            .collect::<Option<Vec<_>>>()?
            .join("$"),
    })
}

fn prefixed(dice: &mut Dice, from: &[&str]) -> String {
    let prefix = dice.pick(&["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]);
    format!("{prefix}{}", dice.pick(from))
}

/// One clause: parameter, modifier, parsed alternatives.
pub struct Asked {
    pub param: &'static SearchParam,
    modifier: Modifier,
    values: Vec<QueryValue>,
    pub text: String,
}

/// A clause near what is stored.
pub fn asked(dice: &mut Dice, world: &World, stored: &[&Extracted<'_>]) -> Option<Asked> {
    let extracted = stored[dice.roll(stored.len())];
    let (id, value) = extracted
        .values
        .get(dice.roll(extracted.values.len().max(1)))?;
    let param = Definitions::r4().search_param_by_id(*id)?;
    let (modifier, raw) = match (param.kind, dice.roll(6)) {
        (ParamKind::Special, _) => return None,
        (_, 0) => (Modifier::Missing, dice.pick(&["true", "false"]).to_owned()),
        (ParamKind::Token, 1) => (Modifier::Not, raw_of(dice, value)?),
        (ParamKind::String, 1) => (Modifier::Exact, raw_of(dice, value)?),
        (ParamKind::String, 2) => (Modifier::Contains, raw_of(dice, value)?),
        (_, 3) => {
            let other = stored[dice.roll(stored.len())]
                .values
                .iter()
                .find(|(other, _)| other == id)
                .map(|(_, value)| value);
            (
                Modifier::None,
                format!("{},{}", raw_of(dice, value)?, raw_of(dice, other?)?),
            )
        }
        _ => (Modifier::None, raw_of(dice, value)?),
    };
    let parse = |raw| parse_query_value(param, modifier, raw, world.clock.now()).ok();
    let values = split_alternatives(&raw)
        .into_iter()
        .map(parse)
        .collect::<Option<Vec<_>>>()?;
    Some(Asked {
        param,
        modifier,
        values,
        text: format!("{}:{}={raw}", param.code, modifier.as_str()),
    })
}

impl Asked {
    /// Whether it holds for what has no value of the parameter.
    pub fn is_negated(&self) -> bool {
        self.modifier == Modifier::Not
    }
    pub fn holds(&self, extracted: &Extracted<'_>) -> bool {
        let mut each = self
            .values
            .iter()
            .map(|value| matches(extracted, self.param, self.modifier, value));
        if self.modifier == Modifier::Not {
            each.all(|m| m)
        } else {
            each.any(|m| m)
        }
    }
    pub fn clause(&self) -> Option<Clause> {
        let any_of = self
            .values
            .iter()
            .map(|value| predicate(self.param, value).ok())
            .collect::<Option<Vec<_>>>()?;
        Some(Clause {
            negated: self.modifier == Modifier::Not,
            any_of: any_of.into_iter().flatten().collect(),
        })
    }
}

pub async fn random_searches_answer_as_the_naive_evaluator(bed: &mut impl Bed) {
    let seed = std::env::var_os("THERIAC_SEED")
        .and_then(|seed| seed.to_str()?.parse().ok())
        .unwrap_or(20_260_305);
    let mut dice = Dice(seed);
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    for (kind, make) in [
        ("Patient", patient as fn(&mut Dice, &str) -> String),
        ("Observation", observation),
    ] {
        let texts: Vec<String> = (0..60)
            .map(|number| make(&mut dice, &format!("{number}")))
            .collect();
        // Some are updated to their final form, so that what is searched went through index differences.
        for text in texts.iter().step_by(3) {
            let name = text
                .split("\"id\":\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next())
                .unwrap();
            world.put(&*store, &[&make(&mut dice, name)]).await.unwrap();
        }
        for text in &texts {
            world.put(&*store, &[text]).await.unwrap();
        }
        let documents: Vec<Document> = texts
            .iter()
            .map(|text| Document::parse(text.clone().into_bytes(), &Limits::default()).unwrap())
            .collect();
        let stored: Vec<(String, Extracted<'_>)> = documents
            .iter()
            .enumerate()
            .map(|(number, document)| {
                (
                    number.to_string(),
                    extract(Definitions::r4(), ty(kind), document.root()),
                )
            })
            .collect();
        let values: Vec<&Extracted<'_>> = stored.iter().map(|(_, values)| values).collect();
        let mut hits = 0;
        for round in 0..600 {
            let wanted = dice.roll(3) + 1;
            let clauses: Vec<Asked> = (0..wanted)
                .filter_map(|_| asked(&mut dice, &world, &values))
                .collect();
            let Some(all_of) = clauses
                .iter()
                .map(Asked::clause)
                .collect::<Option<Vec<_>>>()
            else {
                continue;
            };
            let keys = [SortKey::Row, SortKey::Updated, SortKey::Id];
            let sort = Sort {
                key: keys[dice.roll(3)],
                descending: dice.roll(2) == 0,
            };
            let plan = SearchPlan {
                types: vec![ty(kind)],
                all_of,
                sort: vec![sort],
                count: 100,
                bytes: usize::MAX,
                rows: u64::MAX,
                after: None,
                total: Total::Accurate,
            };
            let page = store.search(&world.scope, &plan).await.unwrap();
            let found: BTreeSet<String> = ids_of(&page).into_iter().collect();
            let expected: BTreeSet<String> = stored
                .iter()
                .filter(|(_, extracted)| clauses.iter().all(|clause| clause.holds(extracted)))
                .map(|(id, _)| id.clone())
                .collect();
            let text: Vec<&str> = clauses.iter().map(|clause| clause.text.as_str()).collect();
            assert_eq!(
                found,
                expected,
                "seed {seed} round {round}: {kind}?{}",
                text.join("&")
            );
            assert_eq!(
                page.total,
                Some(expected.len() as u64),
                "seed {seed} round {round}: {kind}?{}",
                text.join("&")
            );
            hits += usize::from(!expected.is_empty() && expected.len() < stored.len());
        }
        assert!(hits > 150, "the searches discriminate: {hits}");
    }
}
