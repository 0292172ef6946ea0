//! A patient of the clinic: who they are, who pays and which long-term problems they have. What
//! happened at each visit is in [`crate::outpatient_visit`].

use crate::calendar::{Day, Zone};
use crate::chart::{Chart, Cover, Person, Relative};
use crate::concepts::{Concept, others, problems as p};
use crate::names::{self, Name};
use crate::numbers::abha_number;
use crate::random::Draw;
use crate::resident::ALLERGIES;
use crate::{Branch, Population, outpatient_visit};

/// What the visits need to know about a patient.
#[derive(Debug)]
pub(crate) struct Outpatient {
    pub(crate) number: u32,
    pub(crate) branch: &'static Branch,
    pub(crate) name: Name,
    pub(crate) born: Day,
    pub(crate) female: bool,
    pub(crate) from: Day,
    pub(crate) until: Day,
    pub(crate) died: bool,
    pub(crate) penicillin: bool,
    pub(crate) insured: bool,
    pub(crate) coverage: String,
    pub(crate) doctor: &'static str,
    pub(crate) problems: Vec<(Concept, String)>,
}

impl Outpatient {
    /// Whether the patient has a long-term problem.
    pub(crate) fn has(&self, concept: &Concept) -> bool {
        self.problems.iter().any(|(c, _)| c == concept)
    }

    /// Age in years on a day.
    pub(crate) fn age(&self, day: Day) -> i32 {
        self.born.age_on(day)
    }
}

/// Writes the bundle of patient `index`, counted from 0.
pub(crate) fn write(population: &Population, index: u32, buffer: Vec<u8>) -> (Vec<u8>, u32) {
    let number = index + 1;
    let draw = Draw::of(population.seed ^ 0x6863, u64::from(number));
    let id = population.patient_id(number);
    let mut chart = Chart::begin(buffer, id, draw, Zone::Kolkata);
    let branch = population.branch_of(number);
    let died = (index % 60 == 37).then(|| population.reference.plus(-chart.draw.between(4, 25)));
    let until = died.unwrap_or(population.reference).plus(-1);
    let age = age(&mut chart.draw, died.is_some());
    let from = population.first_day();
    let born = from.plus(-(age * 365 + chart.draw.between(1, 364)));
    let female = chart.draw.chance(53);
    let name = names::draw(&mut chart.draw, names::HARBOUR, female);
    let doctor = match (age < 16, number.is_multiple_of(3)) {
        (true, true) => "hc-s-doctor-3",
        (false, false) if number.is_multiple_of(2) => "hc-s-doctor-2",
        _ => "hc-s-doctor",
    };
    let mut patient = Outpatient {
        number,
        branch,
        name,
        born,
        female,
        from,
        until,
        died: died.is_some(),
        penicillin: false,
        insured: chart.draw.chance(55),
        coverage: String::new(),
        doctor,
        problems: Vec::new(),
    };
    identity(&mut chart, &patient, age, died);
    patient.coverage = cover(&mut chart, &patient);
    allergies(&mut chart, &mut patient);
    diagnose(&mut chart, &mut patient, age);
    outpatient_visit::record(&mut chart, &patient, population.reference);
    chart.finish()
}

fn age(draw: &mut Draw, old: bool) -> i32 {
    match draw.below(10) {
        _ if old => draw.between(68, 88),
        0 | 1 => draw.between(0, 15),
        2..=5 => draw.between(16, 44),
        6..=8 => draw.between(45, 69),
        _ => draw.between(70, 90),
    }
}

fn identity(chart: &mut Chart, patient: &Outpatient, age: i32, died: Option<Day>) {
    let draw = &mut chart.draw;
    let number = patient.number;
    let abha = abha_number(number);
    let record = format!("HC-{number:06}");
    let phone = format!("+91 55500 {:05}", draw.below(100_000));
    let line = format!(
        "{} {}",
        draw.between(1, 180),
        draw.word(&[
            "Hill Road",
            "Jetty Lane",
            "Lighthouse Street",
            "Palm Grove",
            "Temple Tank Road"
        ])
    );
    let marital = match age {
        21..=64 if draw.chance(75) => "M",
        65.. if draw.chance(45) => "W",
        65.. => "M",
        _ => "S",
    };
    let prefix = match (age < 16, patient.female, marital) {
        (true, ..) => "",
        (false, true, "S") => "Ms",
        (false, true, _) => "Mrs",
        (false, false, _) => "Mr",
    };
    let mut identifiers = vec![("MR", "https://theriac.example/harbour/mrn", &*record)];
    if draw.chance(85) || number == 1 {
        identifiers.push(("NI", "https://healthid.ndhm.gov.in", &abha));
    }
    let hour = draw.between(120, 1_300) as u16;
    chart.person(&Person {
        identifiers: &identifiers,
        name: patient.name,
        prefix,
        female: patient.female,
        born: patient.born,
        died: died.map(|day| day.at(hour, Zone::Kolkata)),
        phone: &phone,
        address: [&line, "Sagarpur", "000000", "IN"],
        marital,
        doctor: patient.doctor,
        organisation: patient.branch.organization,
    });
    if !(18..=74).contains(&age) {
        relative(chart, patient, age < 18);
    }
}

fn relative(chart: &mut Chart, patient: &Outpatient, child: bool) {
    let female = chart.draw.chance(60);
    let mut name = names::draw(&mut chart.draw, names::HARBOUR, female);
    name.family = patient.name.family;
    let phone = format!("+91 55500 {:05}", chart.draw.below(100_000));
    let relation = match (child, female) {
        (true, true) => ("MTH", "mother"),
        (true, false) => ("FTH", "father"),
        (false, true) => ("DAUC", "daughter"),
        (false, false) => ("SONC", "son"),
    };
    chart.relative(&Relative {
        name,
        female,
        relation,
        phone: &phone,
    });
}

fn cover(chart: &mut Chart, patient: &Outpatient) -> String {
    let insurer = if chart.draw.chance(60) {
        "hc-org-insurer-1"
    } else {
        "hc-org-insurer-2"
    };
    let member = format!("POL{:08}", chart.draw.below(100_000_000));
    chart.cover(&Cover {
        payor: patient.insured.then_some(insurer),
        kind: if patient.insured { "EHCPOL" } else { "pay" },
        member: &member,
        start: patient.from,
    })
}

fn allergies(chart: &mut Chart, patient: &mut Outpatient) {
    match chart.draw.below(10) {
        0..=4 => chart.no_known_allergy(patient.from, patient.doctor),
        5..=6 => {
            if let Some(allergy) = chart.draw.pick(ALLERGIES).copied() {
                patient.penicillin = allergy.substance == others::PENICILLIN;
                chart.allergy(&allergy, patient.from, patient.doctor);
            }
        }
        _ => {}
    }
}

fn diagnose(chart: &mut Chart, patient: &mut Outpatient, age: i32) {
    let female = patient.female;
    let candidates = [
        (p::DIABETES_2, age >= 35, 30),
        (p::HYPERTENSION, age >= 40, 36),
        (p::HYPERLIPIDAEMIA, age >= 40, 26),
        (p::ASTHMA, age >= 4, 9),
        (p::HYPOTHYROID, age >= 20, if female { 12 } else { 4 }),
        (p::ANAEMIA, female && (14..50).contains(&age), 16),
        (p::VITAMIN_D, age >= 18, 14),
        (p::MIGRAINE, (14..60).contains(&age), 8),
        (p::RHINITIS, age >= 5, 10),
        (p::KNEE_ARTHRITIS, age >= 55, 22),
        (p::AF, age >= 65, 12),
        (p::PREGNANCY, female && (20..38).contains(&age), 14),
    ];
    for (concept, possible, percent) in candidates {
        let drawn = chart.draw.chance(percent);
        // The first patient is the one the demo is shown with.
        let shown = patient.number == 1 && concept == p::ASTHMA;
        if possible && (drawn || shown) {
            let recent = concept == p::PREGNANCY;
            let years = age.clamp(1, 12);
            let began = if recent {
                patient
                    .until
                    .plus(-chart.draw.between(40, 160))
                    .max(patient.from)
            } else {
                patient.from.plus(-chart.draw.between(10, years * 300))
            };
            let id = chart.condition(&concept, (began, None), began, None);
            patient.problems.push((concept, id));
        }
    }
}
