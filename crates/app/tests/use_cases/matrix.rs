//! The search matrix: every parameter of every type, with every modifier and prefix its kind takes, asked
//! over resources made from the definitions, against a naive evaluator. The table in `docs/conformance.md`
//! is what it found; `THERIAC_UPDATE=1` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use app::{AppError, Caller, QueryError, record};
use fhir::definitions::{Definitions, TypeId};
use fhir::json::{Document, Limits};
use fhir::search::pack::{Leaf, Pack, PackType, Step};
use fhir::search::{
    Extracted, IndexValue, Modifier, ParamKind, RefTarget, SearchParam, UnitKey, coded_text,
    escape, extract, fold, matches, parse_query_value,
};
use kernel::{Categorised as _, Category};
use serde_json::{Map, Value, json};

use crate::house::House;

const PACK: &[u8] = include_bytes!("../../../core/fhir/definitions/r4-search.pack");
const PREFIXES: [&str; 9] = ["", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"];

/// The JSON of an element that becomes a value.
fn element(leaf: &Leaf<'_>, target: &str, number: usize) -> Option<Value> {
    let code = format!("c{number}");
    let date = ["2026-01-02", "2026-02", "2025-12-31T10:00:00Z"][number % 3];
    let quantity = json!({ "value": number, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg" });
    Some(match leaf {
        Leaf::TokenConcept => {
            json!({ "coding": [{ "system": "urn:s", "code": code, "display": format!("Word {number}") }], "text": "Plain" })
        }
        Leaf::TokenCoding => json!({ "system": "urn:s", "code": code, "display": "Word" }),
        Leaf::TokenIdentifier => {
            json!({ "system": "urn:i", "value": code, "type": { "coding": [{ "system": "urn:t", "code": "MR" }], "text": "Number" } })
        }
        Leaf::TokenContact => json!({ "system": "phone", "value": code }),
        Leaf::TokenCode(_) | Leaf::TokenPlain => json!(code),
        Leaf::TokenBoolean => json!(number.is_multiple_of(2)),
        Leaf::TokenExists { .. } | Leaf::Resource => return None,
        Leaf::Text => json!(format!("Näme {number}")),
        Leaf::TextName => json!({ "family": format!("Näme {number}") }),
        Leaf::TextAddress => json!({ "city": format!("Näme {number}") }),
        Leaf::Date => json!(date),
        Leaf::Period => json!({ "start": date }),
        Leaf::Timing => json!({ "event": [date] }),
        Leaf::Number => json!(number),
        Leaf::NumberRange | Leaf::QuantityRange => {
            json!({ "low": quantity, "high": { "value": 9 } })
        }
        Leaf::Quantity => quantity,
        Leaf::Money => json!({ "value": number, "currency": "GBP" }),
        Leaf::Sampled => {
            json!({ "origin": { "value": 0 }, "period": 1, "dimensions": 1, "data": "1 2" })
        }
        Leaf::Reference => {
            json!({ "reference": format!("{target}/{code}"), "display": "Näme", "identifier": { "system": "urn:i", "value": code } })
        }
        Leaf::Canonical | Leaf::Uri | Leaf::UriCanonical => {
            json!(format!("http://acme.org/fhir/{code}"))
        }
    })
}

/// Puts an element at the end of its steps, unless something else stands in the way.
fn put(node: &mut Value, steps: &[Step<'_>], leaf: Value) {
    let Some((step, rest)) = steps.split_first() else {
        return;
    };
    let Some(object) = node.as_object_mut() else {
        return;
    };
    match step {
        Step::Member(name) if rest.is_empty() => {
            object.entry(*name).or_insert(leaf);
        }
        Step::Member(name) => {
            let next = object
                .entry(*name)
                .or_insert_with(|| Value::Object(Map::new()));
            // A condition on the element itself comes before what is in it.
            if let (Some(Step::Where { member, equals }), 1) = (rest.first(), rest.len()) {
                if let (Some(next), Some(leaf)) = (next.as_object_mut(), leaf.as_object()) {
                    for (name, value) in leaf {
                        next.entry(name).or_insert_with(|| value.clone());
                    }
                    next.insert((*member).to_owned(), json!(equals));
                }
                return;
            }
            put(next, rest, leaf);
        }
        Step::Where { member, equals } => {
            object.entry(*member).or_insert_with(|| json!(equals));
            put(node, rest, leaf);
        }
        Step::Index(_) => {}
    }
}

/// A resource with an element for every parameter.
fn made(pack: &Pack<'_>, of: &PackType<'_>, number: usize) -> Value {
    let name = pack.names[usize::from(of.name)];
    let mut body = json!({ "resourceType": name, "id": format!("m{number}") });
    for (at, param) in of.params.iter().enumerate() {
        if param.code.starts_with('_') {
            continue;
        }
        for path in &param.paths {
            let target = path.only.or(param.targets.first().copied());
            let target = target.map_or("Patient", |target| pack.names[usize::from(target)]);
            if let Some(leaf) = element(&path.leaf, target, (at + number) % 4) {
                put(&mut body, &path.steps, leaf);
            }
        }
    }
    body
}

/// What is asked of a parameter: modifier, value as written, and how the table calls it.
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn asked(param: &SearchParam, value: Option<&IndexValue<'_>>) -> Vec<(Modifier, String, String)> {
    let parse = |text: &str| Modifier::parse(Definitions::r4(), text).unwrap();
    let mut all = vec![
        (Modifier::Missing, "true".to_owned(), ":missing".to_owned()),
        (Modifier::Missing, "false".to_owned(), ":missing".to_owned()),
    ];
    let mut one = |modifier: &str, raw: String| {
        let name = if modifier.is_empty() {
            "value".to_owned()
        } else {
            format!(":{modifier}")
        };
        all.push((parse(modifier), raw, name));
    };
    match (param.kind, value) {
        (
            ParamKind::Token,
            Some(IndexValue::Token {
                code: Some(code),
                system,
                ..
            }),
        ) => {
            one("", escape(code));
            one("not", escape(code));
            one("text", "wor".to_owned());
            one("code-text", escape(&code[..1]));
            if let Some(system) = system {
                one("", format!("{}|{}", escape(system), escape(code)));
                one("", format!("{}|", escape(system)));
            } else {
                one("", format!("|{}", escape(code)));
            }
            one("of-type", format!("urn:t|MR|{}", escape(code)));
            for modifier in ["in", "not-in"] {
                one(modifier, "http://acme.org/unknown".to_owned());
            }
            for modifier in ["above", "below"] {
                one(modifier, format!("urn:s|{}", escape(code)));
            }
        }
        (ParamKind::String, Some(IndexValue::Text { exact, folded })) => {
            one("", "nam".to_owned());
            one("", escape(folded));
            one("exact", escape(exact));
            one("exact", escape(folded));
            one("contains", "me".to_owned());
        }
        (ParamKind::Reference, Some(IndexValue::Reference { target })) => {
            if let RefTarget::Local { ty, id } = target {
                let name = Definitions::r4().resource_name(*ty);
                one("", format!("{name}/{id}"));
                one("", id.to_string());
                one("not", format!("{name}/{id}"));
                all.push((Modifier::Type(*ty), id.to_string(), ":[type]".to_owned()));
                let mut one = |modifier: &str, raw: &str| {
                    all.push((parse(modifier), raw.to_owned(), format!(":{modifier}")));
                };
                one("identifier", "urn:i|c1");
                one("text", "nam");
            } else if let RefTarget::Absolute(url) = target {
                one("", escape(url));
            }
        }
        (ParamKind::Uri, Some(IndexValue::Uri(uri))) => {
            one("", escape(uri));
            one("not", escape(uri));
            one("below", "http://acme.org/fhir".to_owned());
            one("above", format!("{uri}/x"));
        }
        (ParamKind::Date | ParamKind::Number | ParamKind::Quantity, _) => {
            let values: &[&str] = match param.kind {
                ParamKind::Date => &["2026-01-02", "2026"],
                ParamKind::Number => &["2", "1.5"],
                _ => &["2", "2|http://unitsofmeasure.org|mg", "2||mg"],
            };
            for prefix in PREFIXES {
                for value in values {
                    let name = if prefix.is_empty() { "value" } else { prefix };
                    all.push((Modifier::None, format!("{prefix}{value}"), name.to_owned()));
                }
            }
        }
        (ParamKind::Composite, Some(IndexValue::Composite(parts))) => {
            let parts: Option<Vec<String>> = parts.iter().map(component).collect();
            if let Some(parts) = parts {
                one("", parts.join("$"));
            }
        }
        _ => {}
    }
    all
}

fn component(value: &IndexValue<'_>) -> Option<String> {
    Some(match value {
        IndexValue::Token {
            code: Some(code), ..
        } => escape(code),
        IndexValue::Text { folded, .. } => escape(folded),
        IndexValue::Range { .. } => "ge2025".to_owned(),
        IndexValue::Number { .. } | IndexValue::Quantity { .. } => "ge0".to_owned(),
        IndexValue::Reference {
            target: RefTarget::Local { ty, id },
        } => {
            format!("{}/{id}", Definitions::r4().resource_name(*ty))
        }
        IndexValue::Uri(uri) => escape(uri),
        _ => return None,
    })
}

/// What came of one kind asked one way.
#[derive(Default)]
struct Cell {
    types: BTreeSet<TypeId>,
    params: BTreeSet<u16>,
    exact: usize,
    found: usize,
    refused: BTreeMap<&'static str, usize>,
}

struct Stored {
    id: String,
    document: Document,
}

async fn check(
    house: &House,
    caller: &Caller,
    stored: &[Stored],
    param: &'static SearchParam,
    cells: &mut BTreeMap<(String, String), Cell>,
) {
    let name = Definitions::r4().resource_name(param.ty);
    let extracted: Vec<Extracted<'_>> = stored
        .iter()
        .map(|one| extract(Definitions::r4(), param.ty, one.document.root()))
        .collect();
    let value = extracted
        .iter()
        .flat_map(|one| &one.values)
        .filter(|(id, _)| *id == param.id)
        .map(|(_, value)| value)
        .find(|value| {
            !matches!(
                value,
                IndexValue::Token { code: None, .. } | IndexValue::Typed { .. }
            )
        });
    for (modifier, raw, form) in asked(param, value) {
        let cell = cells
            .entry((param.kind.code().to_owned(), form))
            .or_default();
        cell.types.insert(param.ty);
        cell.params.insert(param.id.0);
        let suffix = modifier.as_str();
        let colon = if suffix.is_empty() { "" } else { ":" };
        let printed = record::query_string::print([(
            format!("{}{colon}{suffix}", param.code).as_str(),
            raw.as_str(),
        )]);
        let query = format!("{name}?{printed}");
        match house.search(caller, &query).await {
            Ok((found, _)) => {
                let asked =
                    parse_query_value(param, modifier, &raw, caller.context.received).unwrap();
                let expected: BTreeSet<&str> = stored
                    .iter()
                    .zip(&extracted)
                    .filter(|(_, extracted)| matches(extracted, param, modifier, &asked))
                    .map(|(one, _)| one.id.as_str())
                    .collect();
                let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
                assert_eq!(found, expected, "{query}");
                cell.exact += 1;
                cell.found += usize::from(!found.is_empty());
            }
            Err(AppError::Query(QueryError::Terminology { .. })) => {
                *cell
                    .refused
                    .entry("codes of an unknown system or value set")
                    .or_default() += 1;
            }
            Err(error) => panic!("{query}: {error} ({:?})", error.category()),
        }
    }
}

/// A value that is sorted by.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sorted {
    Number(i64),
    Text(String),
    /// By type and id.
    Local(u16, String),
    Url(String),
}

/// What a stored value is sorted by; none: as if it were not there.
fn sorted_by(
    kind: ParamKind,
    value: &IndexValue<'_>,
    descending: bool,
    known: &BTreeSet<String>,
) -> Option<Sorted> {
    let end = |lo: i64, hi: i64| Sorted::Number(if descending { hi } else { lo });
    Some(match (kind, value) {
        (ParamKind::Date, IndexValue::Range { lo, hi })
        | (ParamKind::Number, IndexValue::Number { lo, hi })
        | (
            ParamKind::Quantity,
            IndexValue::Quantity {
                lo,
                hi,
                unit: UnitKey::Any,
            },
        ) => end(*lo, *hi),
        (ParamKind::String, IndexValue::Text { folded, .. }) => Sorted::Text(folded.clone()),
        (ParamKind::Uri, IndexValue::Uri(uri)) => Sorted::Text(uri.to_string()),
        (
            ParamKind::Token,
            IndexValue::Token {
                code: Some(code), ..
            },
        ) => Sorted::Text(coded_text(&fold(code)).to_owned()),
        (ParamKind::Reference, IndexValue::Reference { target }) => match target {
            RefTarget::Local { ty, id } => {
                let name = format!("{}/{id}", Definitions::r4().resource_name(*ty));
                known
                    .contains(&name)
                    .then(|| Sorted::Local(ty.0, id.to_string()))?
            }
            RefTarget::Absolute(url) => Sorted::Url(url.to_string()),
            RefTarget::Identifier { .. } => return None,
        },
        _ => return None,
    })
}

/// A parameter as the order, whole and in pages of one; one resource has no value.
async fn check_order(
    house: &House,
    caller: &Caller,
    (stored, known): (&[Stored], &BTreeSet<String>),
    param: &'static SearchParam,
    cells: &mut BTreeMap<(String, String), Cell>,
) {
    let name = Definitions::r4().resource_name(param.ty);
    for (descending, form) in [(false, "_sort=p"), (true, "_sort=-p")] {
        let cell = cells
            .entry((param.kind.code().to_owned(), form.to_owned()))
            .or_default();
        cell.types.insert(param.ty);
        cell.params.insert(param.id.0);
        let query = format!("{name}?{}", form[..form.len() - 1].to_owned() + param.code);
        let (found, _) = match house.search(caller, &query).await {
            Ok(found) => found,
            Err(AppError::Query(QueryError::NotOffered { .. }))
                if param.kind == ParamKind::Composite =>
            {
                *cell.refused.entry("a tuple has no order").or_default() += 1;
                continue;
            }
            Err(error) => panic!("{query}: {error}"),
        };
        let mut expected: Vec<(Option<Sorted>, usize, &str)> = Vec::new();
        for (row, one) in stored.iter().enumerate() {
            let values = extract(Definitions::r4(), param.ty, one.document.root()).values;
            let of = values.iter().filter(|(id, _)| *id == param.id);
            let of = of.filter_map(|(_, value)| sorted_by(param.kind, value, descending, known));
            let first = if descending { of.max() } else { of.min() };
            expected.push((first, row, &one.id));
        }
        expected.sort_by(|(a, a_row, _), (b, b_row, _)| {
            let order = (a, a_row).cmp(&(b, b_row));
            let order = if descending { order.reverse() } else { order };
            a.is_none().cmp(&b.is_none()).then(order)
        });
        let ids: Vec<&str> = expected.iter().map(|(_, _, id)| *id).collect();
        assert_eq!(found, ids, "{query}");
        let mut paged = Vec::new();
        let mut next = Some(String::new());
        while let Some(from) = next {
            let page = format!("{query}&_count=1{from}");
            let (found, more) = house.search(caller, &page).await.unwrap();
            paged.extend(found);
            next = more.map(|next| format!("&_cursor={next}"));
        }
        assert_eq!(paged, ids, "{query} in pages");
        cell.exact += 1;
        let has_values = expected.iter().any(|(value, ..)| value.is_some());
        let lacks_values = expected.iter().any(|(value, ..)| value.is_none());
        cell.found += usize::from(has_values && lacks_values);
    }
}

/// Stores and deletes what the resources of the matrix point to: orders know it from what never was.
async fn pointed_to(house: &House, caller: &Caller) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for ty in Definitions::r4().resource_types() {
        let name = Definitions::r4().resource_name(ty);
        // The third is never stored.
        for id in ["c0", "c1", "c3"] {
            let body = json!({ "resourceType": name, "id": id });
            if house.put(caller, &body).await.is_err() {
                continue;
            }
            let key = house.key(&format!("{name}/{id}"));
            record::delete::delete(&house.app, caller, &key, None)
                .await
                .unwrap();
            known.insert(format!("{name}/{id}"));
        }
    }
    known
}

fn table(cells: &BTreeMap<(String, String), Cell>) -> String {
    let mut text = String::from(
        "| Kind | Asked | Types | Parameters | Searches answered as the naive evaluator does | of these with matches | Refused |\n|---|---|---|---|---|---|---|\n",
    );
    for ((kind, form), cell) in cells {
        let refused: Vec<String> = cell
            .refused
            .iter()
            .map(|(why, count)| format!("{count}: {why}"))
            .collect();
        let _ = writeln!(
            text,
            "| {kind} | `{form}` | {} | {} | {} | {} | {} |",
            cell.types.len(),
            cell.params.len(),
            cell.exact,
            cell.found,
            refused.join("; ")
        );
    }
    text
}

const BEGIN: &str = "<!-- search matrix: begin -->\n";
const END: &str = "<!-- search matrix: end -->";

fn compare_with_page(table: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/conformance.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (old, tail) = rest.split_once(END).unwrap();
    if std::env::var_os("THERIAC_UPDATE").is_some() {
        std::fs::write(path, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
        return;
    }
    assert!(
        old == table,
        "docs/conformance.md is stale: run this test with THERIAC_UPDATE=1"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_parameter_with_every_modifier_and_prefix_answers_as_the_naive_evaluator() {
    let house = House::build_with(|settings| settings.validate = false).await;
    let caller = house.integration("ash").await;
    let plain = zstd::decode_all(PACK).unwrap();
    let pack: Pack<'_> = postcard::from_bytes(&plain).unwrap();
    let mut cells = BTreeMap::new();
    let known = pointed_to(&house, &caller).await;
    let mut unwritten = Vec::new();
    for of in &pack.types {
        let name = pack.names[usize::from(of.name)];
        let ty = Definitions::r4().resource(name).unwrap();
        let mut stored = Vec::new();
        let bodies = [
            made(&pack, of, 0),
            made(&pack, of, 1),
            json!({ "resourceType": name, "id": "none" }),
        ];
        for body in bodies {
            match house.put(&caller, &body).await {
                Ok(outcome) => stored.push(Stored {
                    id: outcome.version.key.id.as_str().to_owned(),
                    document: Document::parse(
                        outcome.version.body.unwrap().to_vec(),
                        &Limits::default(),
                    )
                    .unwrap(),
                }),
                Err(error) => {
                    // A Subscription is judged beyond its structure.
                    let judged =
                        name == "Subscription" && error.category() == Category::Unprocessable;
                    assert!(
                        judged || error.category() == Category::Forbidden,
                        "{name}: {error}"
                    );
                    unwritten.push(name);
                }
            }
        }
        if stored.is_empty() {
            continue;
        }
        let own = Definitions::r4().search_params(ty).iter();
        for param in
            own.filter(|param| !param.code.starts_with('_') && param.kind != ParamKind::Special)
        {
            check(&house, &caller, &stored, param, &mut cells).await;
            check_order(&house, &caller, (&stored, &known), param, &mut cells).await;
        }
    }
    unwritten.dedup();
    assert_eq!(
        unwritten,
        ["AuditEvent", "Subscription"],
        "only the audit trail is written by nobody, and a Subscription of noise is refused"
    );
    compare_with_page(&table(&cells));
}
