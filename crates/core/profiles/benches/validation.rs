//! Prints what validation costs: a blood pressure of about 2 kB against R4 alone, against R4 and the bp
//! profile, and what making R4's tables and compiling the profile take. `cargo bench -p theriac-profiles`.
//! Measures only; asserts nothing.

#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(clippy::unwrap_used, reason = "a bench may stop at once")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use fhir::json::{Document, Limits};
use fhir::terminology::NoTerminology;
use profiles::Library;
use profiles::validate::{Context, validate};

const BP: &str = "http://hl7.org/fhir/StructureDefinition/bp";

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// Bytes of memory in use by this process.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn part(code: &str, display: &str, value: u32) -> String {
    format!(
        r#"{{"code":{{"coding":[{{"system":"http://loinc.org","code":"{code}","display":"{display}"}}],"text":"{display}"}},"valueQuantity":{{"value":{value},"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},"referenceRange":[{{"low":{{"value":60,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},"text":"60 or more"}}]}}"#
    )
}

fn observation() -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"bp-1","meta":{{"versionId":"1","lastUpdated":"2024-02-01T10:00:00.000Z"}},"text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Blood pressure 120 over 80 mmHg, sitting, left arm</p></div>"}},"identifier":[{{"system":"urn:observation","value":"4711-0815"}}],"status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital Signs"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"85354-9","display":"Blood pressure panel"}}],"text":"Blood pressure"}},"subject":{{"reference":"Patient/p1","display":"Rose Archer"}},"encounter":{{"reference":"Encounter/e1"}},"effectiveDateTime":"2024-02-01T09:58:00+00:00","issued":"2024-02-01T10:00:00.000+00:00","performer":[{{"reference":"Practitioner/n1","display":"Nurse Hill"}}],"bodySite":{{"coding":[{{"system":"http://snomed.info/sct","code":"368208006","display":"Left upper arm"}}]}},"component":[{},{}]}}"#,
        part("8480-6", "Systolic blood pressure", 120),
        part("8462-4", "Diastolic blood pressure", 80)
    )
}

fn report(what: &str, runs: u32, spent: Duration) {
    let each = spent.as_secs_f64() * 1e6 / f64::from(runs);
    println!("{what:<48} {each:>9.1} us");
}

fn main() {
    let text = observation();
    println!("observation of {} bytes", text.len());
    let parse = || Document::parse(text.clone().into_bytes(), &Limits::default()).unwrap();
    let before = resident();
    let begun = now();
    black_box(profiles::base::Base::r4());
    report("tables of R4, once", 1, begun.elapsed());
    let library = Library::base();
    let begun = now();
    black_box(library.profile(BP).unwrap().unwrap());
    report("bp profile made ready, once", 1, begun.elapsed());
    let document = parse();
    let context = Context::new(&library, &NoTerminology);
    let first = validate(&context, document.root(), &[BP]);
    println!(
        "memory for tables, profile and rules             {:>9.1} MiB",
        (resident() - before) as f64 / f64::from(1 << 20)
    );
    for issue in &first.issues {
        println!(
            "  {:?} {}: {}",
            issue.severity, issue.expression, issue.message
        );
    }
    let runs = 20_000;
    let begun = now();
    for _ in 0..runs {
        black_box(parse());
    }
    report("parse", runs, begun.elapsed());
    let definitions = fhir::Definitions::r4();
    let begun = now();
    for _ in 0..runs {
        black_box(fhir::validate::validate(definitions, document.root()));
    }
    report("structural gate", runs, begun.elapsed());
    let begun = now();
    for _ in 0..runs {
        black_box(validate(&context, document.root(), &[]));
    }
    report("rules of R4", runs, begun.elapsed());
    let begun = now();
    for _ in 0..runs {
        black_box(validate(&context, document.root(), &[BP]));
    }
    report("rules of R4 and the bp profile", runs, begun.elapsed());
}
