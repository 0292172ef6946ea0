//! Prints what compiling and evaluating cost, in nanoseconds of wall and of CPU time: `cargo bench -p
//! theriac-fhirpath`. Measures only; asserts nothing.

#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench may stop at once"
)]

use std::hint::black_box;

use fhir::json::{Document, Limits};
use fhirpath::{Environment, Item};

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","meta":{"versionId":"1","lastUpdated":"2026-03-05T08:09:10Z"},
"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Ada</div>"},
"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex","valueCode":"F"}],
"identifier":[{"use":"usual","system":"urn:mrn","value":"1"},{"system":"urn:nhs","value":"943 476 5919"}],
"active":true,"name":[{"use":"official","family":"Lovelace","given":["Ada","Augusta"]},{"use":"maiden","family":"Byron","given":["Ada"]}],
"telecom":[{"system":"phone","value":"1","use":"home"}],"gender":"female","birthDate":"1815-12-10","deceasedBoolean":false,
"address":[{"use":"home","line":["1 St James's Square"],"city":"London"}]}"#;

/// CPU time of this process, in seconds (user and system).
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn measure(what: &str, rounds: u32, mut work: impl FnMut()) {
    for _ in 0..rounds / 10 {
        work();
    }
    let (begun, cpu_begun) = (now(), cpu());
    for _ in 0..rounds {
        work();
    }
    let wall = begun.elapsed().as_secs_f64() * 1e9 / f64::from(rounds);
    let busy = (cpu() - cpu_begun) * 1e9 / f64::from(rounds);
    println!("{what:<75} {wall:>9.0} ns wall {busy:>9.0} ns CPU");
}

fn main() {
    let texts = [
        "Patient.name.given",
        "Patient.birthDate",
        "name.where(use = 'official').given.first()",
        "Patient.identifier.where(system = 'urn:nhs').value",
        "name.exists() and birthDate < @2000-01-01",
        "identifier.all(value.exists() or system.empty())",
        "descendants().count()",
        "birthDate + 18 years",
        "(185 '[lb_av]') > 80 'kg'",
    ];
    let expressions: Vec<_> = texts
        .iter()
        .map(|text| fhirpath::compile(text).unwrap())
        .collect();
    let document = Document::parse(PATIENT.as_bytes().to_vec(), &Limits::default()).unwrap();
    let item = Item::resource(document.root());
    let environment = Environment::new(item.clone());
    for (text, expression) in texts.iter().zip(&expressions) {
        measure(text, 1_000_000, || {
            black_box(expression.evaluate(&environment, item.clone()).unwrap());
        });
    }
    measure(
        "compile: name.where(use = 'official').given.first()",
        200_000,
        || {
            black_box(fhirpath::compile(black_box(texts[2])).unwrap());
        },
    );
    measure("a resource's item and environment", 1_000_000, || {
        black_box(Environment::new(Item::resource(document.root())));
    });
}
