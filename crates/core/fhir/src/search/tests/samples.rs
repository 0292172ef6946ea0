//! Extraction over a folder of sample bundles, named by THERIAC_SAMPLES (its `synthea` folder is read).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::definitions::Definitions;
use crate::json::{Document, Limits, Value};
use crate::search::{IndexValue, extract};

fn kind(value: &IndexValue<'_>) -> &'static str {
    match value {
        IndexValue::Token { .. } => "token",
        IndexValue::Text { .. } => "text",
        IndexValue::Range { .. } => "range",
        IndexValue::Number { .. } => "number",
        IndexValue::Quantity { .. } => "quantity",
        IndexValue::Reference { .. } => "reference",
        IndexValue::Uri(_) => "uri",
        IndexValue::Composite(_) => "composite",
        IndexValue::Typed { .. } => "typed",
        IndexValue::Position(_) => "position",
    }
}

#[derive(Default)]
struct Totals {
    resources: usize,
    in_compartment: usize,
    spent: Duration,
    kinds: BTreeMap<&'static str, usize>,
}

impl Totals {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test that reports its own speed"
    )]
    fn add(&mut self, resource: Value<'_>) {
        let definitions = Definitions::r4();
        let name = resource.get("resourceType").and_then(Value::as_str);
        let ty = name
            .and_then(|name| definitions.resource(&name))
            .expect("a known type");
        let start = Instant::now();
        let extracted = extract(definitions, ty, resource);
        self.spent += start.elapsed();
        self.resources += 1;
        self.in_compartment += usize::from(!extracted.patients.is_empty());
        for (_, value) in &extracted.values {
            *self.kinds.entry(kind(value)).or_default() += 1;
        }
        let id = definitions
            .search_param(ty, "_id")
            .expect("every type has _id");
        assert!(
            extracted.present.contains(id.bit),
            "{name:?}",
            name = resource.get("id").and_then(Value::as_str)
        );
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test that runs where samples are"
)]
fn sample_bundles_are_indexed() {
    let Ok(folder) = std::env::var("THERIAC_SAMPLES") else {
        println!("skipped: THERIAC_SAMPLES is not set (a folder that holds synthea/*.json)");
        return;
    };
    let mut totals = Totals::default();
    for file in std::fs::read_dir(Path::new(&folder).join("synthea")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let bundle = Document::parse(std::fs::read(&path).unwrap(), &Limits::default()).unwrap();
        let entries = bundle.root().get("entry");
        for entry in entries.into_iter().flat_map(Value::items) {
            if let Some(resource) = entry.get("resource") {
                totals.add(resource);
            }
        }
    }
    let Totals {
        resources,
        in_compartment,
        spent,
        kinds,
    } = totals;
    assert!(resources > 0, "no resources below {folder}");
    let values: usize = kinds.values().sum();
    println!(
        "{resources} resources, {in_compartment} in a compartment, {:.1} values and {:.1} us each, {kinds:?}",
        values as f64 / resources as f64,
        spent.as_micros() as f64 / resources as f64
    );
    for kind in ["token", "range", "reference", "quantity", "composite"] {
        assert!(kinds.contains_key(kind), "{kind}");
    }
}
