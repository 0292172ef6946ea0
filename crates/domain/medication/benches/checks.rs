//! How long a full check of twenty medicines takes. `cargo bench -p theriac-medication`.

use std::hint::black_box;
use std::time::Instant;

use medication::checks::{Allergen, Allergies, Medicine, Part, Route, check};
use medication::knowledge::builtin::built_in;
use medication::knowledge::{DrugKnowledge as _, Fact, Facts, Hepatic, Measured, Pregnancy};

const NAMES: [&str; 20] = [
    "warfarin",
    "bisoprolol",
    "ramipril",
    "furosemide",
    "simvastatin",
    "amlodipine",
    "digoxin",
    "omeprazole",
    "metformin",
    "gliclazide",
    "levothyroxine",
    "calcium carbonate",
    "alendronic acid",
    "paracetamol",
    "codeine",
    "senna",
    "sertraline",
    "donepezil",
    "zopiclone",
    "ferrous sulfate",
];

#[expect(clippy::disallowed_methods, reason = "a bench reads the time")]
fn main() {
    let Ok(knowledge) = built_in() else {
        return;
    };
    let medicines: Vec<Medicine> = NAMES
        .iter()
        .filter_map(|name| {
            Some(Medicine {
                name: (*name).to_owned(),
                parts: vec![Part {
                    ingredient: knowledge.ingredient(name)?,
                    single: Some(Measured::Milligrams(5.into())),
                    daily: Some(Measured::Milligrams(10.into())),
                }],
                unresolved: Vec::new(),
                route: Some(Route {
                    name: "oral".to_owned(),
                }),
            })
        })
        .collect();
    let facts = Facts {
        age_months: Fact::Known(1_000),
        weight_grams: Fact::Known(60_000),
        egfr: Fact::Known(48),
        creatinine_clearance: Fact::Known(40),
        hepatic: Fact::Known(Hepatic::Normal),
        pregnancy: Fact::Known(Pregnancy::No),
        breastfeeding: Fact::Known(false),
    };
    let allergies = Allergies::Known(vec![Allergen::Class("penicillins".to_owned())]);
    let mut times: Vec<u128> = (0..2_000)
        .map(|_| {
            let start = Instant::now();
            black_box(check(
                knowledge,
                black_box(&facts),
                &allergies,
                black_box(&medicines),
            ));
            start.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    let findings = check(knowledge, &facts, &allergies, &medicines)
        .findings
        .len();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or(0) / 1_000;
    #[expect(clippy::print_stdout, reason = "a bench prints")]
    {
        println!(
            "{} medicines, {findings} findings: median {} us, 99th {} us",
            medicines.len(),
            at(50),
            at(99)
        );
    }
}
