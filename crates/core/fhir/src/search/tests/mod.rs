//! Tests of search as a whole: the table, extraction from resources, queries against them, samples.

mod extraction;
mod queries;
mod samples;
mod table;

use std::fmt::Write as _;

use crate::definitions::{Definitions, TypeId};
use crate::json::{Document, Limits};
use crate::search::{Extracted, IndexValue, RefTarget, SearchParam, UnitKey, extract};

fn ty(name: &str) -> TypeId {
    Definitions::r4()
        .resource(name)
        .unwrap_or_else(|| panic!("{name}"))
}

fn param(type_name: &str, code: &str) -> &'static SearchParam {
    Definitions::r4()
        .search_param(ty(type_name), code)
        .unwrap_or_else(|| panic!("{type_name}.{code}"))
}

fn document(json: &str) -> Document {
    Document::parse(json.as_bytes().to_vec(), &Limits::default()).unwrap()
}

/// Extracts from a document by its own resourceType.
fn extracted(document: &Document) -> Extracted<'_> {
    let root = document.root();
    let name = root.get("resourceType").unwrap().as_str().unwrap();
    extract(Definitions::r4(), ty(&name), root)
}

/// One line per value, `code kind value`, then the patients.
fn lines(json: &str) -> String {
    let document = document(json);
    let extracted = extracted(&document);
    let mut text = String::new();
    for (id, value) in &extracted.values {
        let param = Definitions::r4().search_param_by_id(*id).unwrap();
        assert!(extracted.present.contains(param.bit), "{}", param.code);
        writeln!(text, "{} {}", param.code, show(value)).unwrap();
    }
    for patient in &extracted.patients {
        writeln!(text, "in compartment of {patient}").unwrap();
    }
    text
}

fn show(value: &IndexValue<'_>) -> String {
    let or = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().unwrap_or("-").to_owned();
    match value {
        IndexValue::Token { system, code, text } => {
            format!("token {}|{} {:?}", or(system), or(code), or(text))
        }
        IndexValue::Typed {
            system,
            code,
            value,
        } => format!("typed {system}|{code}|{value}"),
        IndexValue::Position(point) => format!("position {} {} {}", point.z, point.x, point.y),
        IndexValue::Text { folded, exact } => format!("text {folded:?} {exact:?}"),
        IndexValue::Range { lo, hi } => format!("range {} {}", time(*lo), time(*hi)),
        IndexValue::Number { lo, hi } => format!("number {} {}", number(*lo), number(*hi)),
        IndexValue::Quantity { lo, hi, unit } => {
            let unit = match unit {
                UnitKey::Any => "any".to_owned(),
                UnitKey::Coded { system, code } => format!("{system}|{code}"),
                UnitKey::Label(label) => format!("label {label}"),
            };
            format!("quantity {} {} {unit}", number(*lo), number(*hi))
        }
        IndexValue::Reference { target } => match target {
            RefTarget::Local { ty, id } => {
                format!("local {}/{id}", Definitions::r4().resource_name(*ty))
            }
            RefTarget::Absolute(url) => format!("absolute {url}"),
            RefTarget::Identifier { system, value } => format!("identifier {}|{value}", or(system)),
        },
        IndexValue::Uri(uri) => format!("uri {uri}"),
        IndexValue::Composite(parts) => {
            let parts: Vec<String> = parts.iter().map(show).collect();
            format!("({})", parts.join(" $ "))
        }
    }
}

fn time(micros: i64) -> String {
    match micros {
        i64::MIN | i64::MAX => "..".to_owned(),
        _ => jiff::Timestamp::from_microsecond(micros)
            .unwrap()
            .to_string(),
    }
}

/// The double of a key; `)` after one that is the end of a closed range.
fn number(key: i64) -> String {
    if key == i64::MIN || key == i64::MAX {
        return "..".to_owned();
    }
    let of = |key: i64| {
        let bits = if key < 0 { key ^ i64::MAX } else { key };
        f64::from_bits(bits as u64)
    };
    let (exact, before) = (of(key).to_string(), of(key - 1).to_string());
    if before.len() < exact.len() {
        format!("{before}]")
    } else {
        exact
    }
}
