//! The official suite (sql-on-fhir/tests/*.json under `THERIAC_SUITES`). Without the variable it says that
//! it was not run. Every case must pass.

use fhir::json::{Document, Limits as JsonLimits, Value};
use serde_json::Value as Json;
use views::{Limits, View, write_ndjson};

fn json(value: Value<'_>) -> Json {
    serde_json::from_slice(value.raw()).unwrap()
}

/// Numbers by value: 5 is 5.0.
fn plain(value: &Json) -> Json {
    match value {
        Json::Number(number) => {
            let text = number.to_string();
            match text.parse::<rust_decimal::Decimal>() {
                Ok(decimal) => Json::String(format!("number {}", decimal.normalize())),
                Err(_) => Json::String(text),
            }
        }
        Json::Array(items) => Json::Array(items.iter().map(plain).collect()),
        Json::Object(members) => {
            let mut sorted: Vec<_> = members
                .iter()
                .map(|(key, value)| (key.clone(), plain(value)))
                .collect();
            sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
            Json::Object(sorted.into_iter().collect())
        }
        other => other.clone(),
    }
}

fn run(resources: &[Value<'_>], case: Value<'_>) -> Result<(Vec<String>, Vec<Json>), String> {
    let view = View::compile(case.get("view").unwrap()).map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
    for resource in resources {
        let rows = view.rows(*resource, None, &Limits::default());
        for row in rows.map_err(|error| error.to_string())? {
            write_ndjson(view.columns(), &row, &mut lines);
        }
    }
    let text = String::from_utf8(lines).unwrap();
    let names = view.columns().iter().map(|column| column.name.clone());
    let rows = text
        .lines()
        .map(|line| plain(&serde_json::from_str(line).unwrap()));
    Ok((names.collect(), rows.collect()))
}

fn check(resources: &[Value<'_>], case: Value<'_>) -> Result<(), String> {
    let fails = case.get("expectError").and_then(Value::as_bool) == Some(true);
    match run(resources, case) {
        Err(_) if fails => Ok(()),
        Err(error) => Err(error),
        Ok((_, rows)) if fails => Err(format!("should fail, yields {rows:?}")),
        Ok((names, mut rows)) => {
            if let Some(expected) = case.get("expectColumns") {
                let expected: Vec<String> = serde_json::from_slice(expected.raw()).unwrap();
                if names != expected {
                    return Err(format!("columns {names:?} instead of {expected:?}"));
                }
            }
            let Some(expected) = case.get("expect") else {
                return Err("the case expects nothing".to_owned());
            };
            let mut expected: Vec<Json> = json(expected)
                .as_array()
                .unwrap()
                .iter()
                .map(plain)
                .collect();
            // Rows have no order, and members of a row none either.
            rows.sort_by_key(ToString::to_string);
            expected.sort_by_key(ToString::to_string);
            if rows == expected {
                return Ok(());
            }
            Err(format!("yields {rows:?} instead of {expected:?}"))
        }
    }
}

#[test]
fn the_official_suite_passes() {
    let Some(folder) = std::env::var_os("THERIAC_SUITES") else {
        println!("not run: THERIAC_SUITES is not set");
        return;
    };
    let folder = std::path::Path::new(&folder).join("sql-on-fhir/tests");
    let (mut count, mut problems) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let document =
            Document::parse(std::fs::read(&path).unwrap(), &JsonLimits::default()).unwrap();
        let root = document.root();
        let resources: Vec<Value<'_>> = root.get("resources").unwrap().items().collect();
        for case in root.get("tests").unwrap().items() {
            count += 1;
            if let Err(problem) = check(&resources, case) {
                let title = case.get_str("title").unwrap_or_default();
                let file = path.file_name().unwrap().to_string_lossy();
                problems.push(format!("{file}: {title}: {problem}"));
            }
        }
    }
    println!("{count} cases");
    assert!(count > 120, "{count}");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
