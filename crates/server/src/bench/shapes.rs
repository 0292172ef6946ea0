//! Searches of the shapes that clients send: how long one takes when nobody else asks. Must not fetch pages
//! after the first.

use crate::bench::fixture::Fixture;
use crate::bench::measures::{Row, one_at_a_time};
use crate::failure::Failure;

/// A shape: its name, and the address for a patient.
type Shape = (&'static str, fn(&str) -> String);

const SHAPES: [Shape; 10] = [
    ("patient, code and dates", |id| {
        format!(
            "Observation?patient={id}&code=http://loinc.org|8867-4&date=ge2020-01-01&date=lt2030-01-01"
        )
    }),
    ("code and dates, of everybody", |_| {
        "Observation?code=http://loinc.org|8867-4&date=ge2020-01-01&_count=20".to_owned()
    }),
    ("name of a patient", |id| {
        format!("Patient?name=sm&_count=20&_id:not={id}")
    }),
    ("chain: observations by the patient's name", |_| {
        "Observation?patient.name=smith&code=8867-4&_count=20".to_owned()
    }),
    ("_has: patients with an observation", |_| {
        "Patient?_has:Observation:patient:code=8867-4&_count=20".to_owned()
    }),
    ("_include: encounters with their patient", |id| {
        format!("Encounter?patient={id}&_include=Encounter:patient&_count=20")
    }),
    ("_revinclude: a patient with encounters", |id| {
        format!("Patient?_id={id}&_revinclude=Encounter:patient")
    }),
    ("composite: code and value", |_| {
        "Observation?component-code-value-quantity=http://loinc.org|8480-6$gt140&_count=20"
            .to_owned()
    }),
    ("sorted by date, newest first", |id| {
        format!("Observation?patient={id}&_sort=-date&_count=20")
    }),
    ("sorted by date, of everybody", |_| {
        "Observation?_sort=-date&_count=20".to_owned()
    }),
];

/// Each shape with one connection.
pub async fn shapes(fixture: &Fixture) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::with_capacity(SHAPES.len());
    for (name, path) in SHAPES {
        let name = format!("{name}, {} resources", fixture.loaded);
        rows.push(one_at_a_time(fixture, name, path, "p50 5 ms").await?);
    }
    Ok(rows)
}
