//! Any JSON as a view definition and any as its resource: rows or an error, within the limits. The first
//! line is the view, the rest the resource.
#![no_main]

use fhir::json::{Document, Limits as JsonLimits};
use libfuzzer_sys::fuzz_target;
use views::{Limits, Table, View, write_csv, write_ndjson};

const PATIENT: &[u8] = br#"{"resourceType":"Patient","id":"p","active":true,"multipleBirthInteger":2,"name":[{"family":"a,\"b\"","given":["c","d"]},{"use":"old"}],"extension":[{"url":"http://x/d","valueDecimal":1.50}]}"#;

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (view, rest) = bytes.split_at(at);
    let resource = if rest.len() > 1 { &rest[1..] } else { PATIENT };
    let read = |bytes: &[u8]| Document::parse(bytes.to_vec(), &JsonLimits::default());
    let (Ok(view), Ok(resource)) = (read(view), read(resource)) else { return };
    let Ok(view) = View::compile(view.root()) else { return };
    let mut limits = Limits::default();
    limits.path = fhirpath::Limits { steps: 20_000, items: 1_000, text: 10_000 };
    let Ok(rows) = view.rows(resource.root(), None, &limits) else { return };
    let (mut lines, mut table) = (Vec::new(), Table::new(&view));
    for row in rows {
        lines.clear();
        write_ndjson(view.columns(), &row, &mut lines);
        read(&lines).expect("a row is JSON");
        write_csv(&row, &mut lines);
        let _ = table.push(row);
    }
});
