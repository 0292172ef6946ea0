//! A resident of the care home: who they are, what they have and what they take because of it.
//! What is done for them day by day is in [`crate::resident_care`].

use crate::calendar::{Day, Moment, Zone};
use crate::chart::{Allergy, Chart, Cover, Order, Person, Relative, Visit};
use crate::concepts::{Concept, others, plain, problems as p};
use crate::establishment::{ROOMS, room};
use crate::medicines::{self as m, Medicine};
use crate::random::Draw;
use crate::{Branch, Population, names, nhs_number, resident_care, resident_papers};

/// The doctor who looks after the home.
pub(crate) const DOCTOR: &str = "rh-s-doctor";
/// The nurse in charge.
pub(crate) const NURSE: &str = "rh-s-nurse";

/// A medicine somebody takes.
#[derive(Debug)]
pub(crate) struct Prescribed {
    pub(crate) medicine: &'static Medicine,
    pub(crate) request: String,
    pub(crate) start: Day,
    pub(crate) end: Option<Day>,
}

/// What the daily record needs to know about a resident.
#[derive(Debug)]
pub(crate) struct Resident {
    pub(crate) number: u32,
    pub(crate) branch: &'static Branch,
    pub(crate) given: &'static str,
    pub(crate) admitted: Day,
    /// First day of the history that is written.
    pub(crate) from: Day,
    /// Last day that anything is recorded.
    pub(crate) until: Day,
    pub(crate) died: bool,
    /// First and last day of a stay in hospital.
    pub(crate) away: Option<(Day, Day)>,
    pub(crate) penicillin: bool,
    pub(crate) problems: Vec<(Concept, String)>,
    pub(crate) medicines: Vec<Prescribed>,
}

impl Resident {
    /// Whether the resident has a problem.
    pub(crate) fn has(&self, concept: &Concept) -> bool {
        self.problems.iter().any(|(c, _)| c == concept)
    }

    /// Whether the resident is in hospital on a day.
    pub(crate) fn is_away(&self, day: Day) -> bool {
        self.away
            .is_some_and(|(out, back)| day >= out && day <= back)
    }

    /// Id of the Condition of a problem.
    pub(crate) fn condition(&self, concept: &Concept) -> Option<&str> {
        self.problems
            .iter()
            .find(|(c, _)| c == concept)
            .map(|(_, id)| id.as_str())
    }
}

/// Writes the bundle of resident `index`, counted from 0.
pub(crate) fn write(population: &Population, index: u32, buffer: Vec<u8>) -> (Vec<u8>, u32) {
    let number = index + 1;
    let draw = Draw::of(population.seed, u64::from(number));
    let id = population.patient_id(number);
    let mut chart = Chart::begin(buffer, id, draw, Zone::London);
    let died = death(population, index, &mut chart.draw);
    let last = died.map_or_else(|| population.yesterday(), |at| at.day.plus(-1));
    let admitted = last.plus(-chart.draw.between(45, 1_900));
    let branch = population.branch_of(number);
    let female = chart.draw.chance(66);
    let given = identity(&mut chart, (number, branch, female), admitted, died);
    let mut resident = Resident {
        number,
        branch,
        given,
        admitted,
        from: admitted.max(population.first_day()),
        until: last,
        died: died.is_some(),
        away: None,
        penicillin: false,
        problems: Vec::new(),
        medicines: Vec::new(),
    };
    allergies(&mut chart, &mut resident);
    diagnose(&mut chart, &mut resident, female);
    treat(&mut chart, &mut resident);
    resident_papers::record(&mut chart, &resident);
    resident_care::record(&mut chart, &mut resident, population);
    chart.finish()
}

// Two residents of forty have died, some days before the reference day. Nothing is recorded about
// them from the day of death on.
fn death(population: &Population, index: u32, draw: &mut Draw) -> Option<Moment> {
    let span = population.reference.since(population.first_day());
    let days = draw.between(3, (span - 10).clamp(3, 120));
    let minute = draw.between(120, 1_300) as u16;
    let died = population.reference.plus(-days).at(minute, Zone::London);
    (index % 20 == 11).then_some(died)
}

fn identity(
    chart: &mut Chart,
    (number, branch, female): (u32, &'static Branch, bool),
    admitted: Day,
    died: Option<Moment>,
) -> &'static str {
    let draw = &mut chart.draw;
    let name = names::draw(draw, names::ENGLAND, female);
    let age = 72 + draw.between(0, 14) + draw.between(0, 14);
    let born = admitted.plus(-(age * 365 + draw.between(0, 364)));
    let married = draw.chance(30);
    let prefix = match (female, married || draw.chance(60)) {
        (true, true) => "Mrs",
        (true, false) => "Miss",
        (false, _) => "Mr",
    };
    let marital = match (married, draw.chance(75)) {
        (true, _) => "M",
        (false, true) => "W",
        (false, false) => "S",
    };
    let nhs = nhs_number(number - 1);
    let local = format!("RH{number:05}");
    let mut identifiers = vec![("MR", "https://theriac.example/rosewood/resident", &*local)];
    if let Some(nhs) = &nhs {
        identifiers.insert(0, ("NI", "https://fhir.nhs.uk/Id/nhs-number", nhs));
    }
    let line = format!(
        "Room {}, {}, Rosewood House",
        room_number(number),
        branch.name
    );
    chart.person(&Person {
        identifiers: &identifiers,
        name,
        prefix,
        female,
        born,
        died,
        phone: "01632 960140",
        address: [&line, "Fairmere", "ZZ99 3VZ", "GB"],
        marital,
        doctor: DOCTOR,
        organisation: branch.organization,
    });
    family(chart, name.family, married && !female);
    money(chart, number, admitted);
    residence(chart, (number, branch), admitted, died);
    name.given
}

fn family(chart: &mut Chart, family: &'static str, wife: bool) {
    let draw = &mut chart.draw;
    let female = wife || draw.chance(60);
    let mut name = names::draw(draw, names::HARBOUR, female);
    name.family = family;
    name.given = draw.word(if female {
        &[
            "Alison", "Claire", "Deborah", "Elaine", "Joanne", "Nicola", "Sharon", "Susan",
        ]
    } else {
        &[
            "Adrian", "Colin", "Graham", "Ian", "Martin", "Neil", "Philip", "Stuart",
        ]
    });
    let relation = match (wife, female) {
        (true, _) => ("SPS", "spouse"),
        (false, true) => ("DAUC", "daughter"),
        (false, false) => ("SONC", "son"),
    };
    let phone = format!("07700 900{:03}", draw.below(1_000));
    chart.relative(&Relative {
        name,
        female,
        relation,
        phone: &phone,
    });
}

fn money(chart: &mut Chart, number: u32, start: Day) {
    let member = format!("RH-{number:05}");
    let council = chart.draw.chance(60);
    chart.cover(&Cover {
        payor: council.then_some("rh-org-council"),
        kind: if council { "PUBLICPOL" } else { "pay" },
        member: &member,
        start,
    });
}

const fn room_number(number: u32) -> u32 {
    (number - 1) / 2 % ROOMS + 1
}

// The stay in the home is one encounter that lasts until death.
fn residence(
    chart: &mut Chart,
    (number, branch): (u32, &Branch),
    admitted: Day,
    died: Option<Moment>,
) {
    let place = room(branch, room_number(number));
    chart.encounter(&Visit {
        class: "IMP",
        kind: &others::RESIDENTIAL,
        reason: None,
        start: admitted.at(840, Zone::London),
        end: died,
        by: NURSE,
        place: Some(&place),
        organisation: branch.organization,
    });
}

/// Asked and none known: every fifth; never recorded: every seventh; refuted by a test: one of
/// thirty-five; the rest have one or two.
fn allergies(chart: &mut Chart, resident: &mut Resident) {
    let asked = resident.admitted;
    match (resident.number % 5, resident.number % 7) {
        (4, _) => chart.no_known_allergy(asked, NURSE),
        (_, 6) => {}
        (3, 3) => chart.refuted_allergy(&others::PENICILLIN, asked, NURSE),
        _ if chart.draw.chance(40) => chart.no_known_allergy(asked, NURSE),
        _ => {
            for _ in 0..=chart.draw.below(2) {
                let Some(allergy) = chart.draw.pick(ALLERGIES).copied() else {
                    return;
                };
                let penicillin = allergy.substance == others::PENICILLIN;
                if penicillin && resident.penicillin {
                    continue;
                }
                resident.penicillin |= penicillin;
                chart.allergy(&allergy, asked, NURSE);
            }
        }
    }
}

/// Allergies the population has.
pub(crate) const ALLERGIES: &[Allergy] = &[
    Allergy {
        substance: others::PENICILLIN,
        category: "medication",
        criticality: "high",
        reaction: others::ANAPHYLAXIS,
        severity: "severe",
    },
    Allergy {
        substance: others::PENICILLIN,
        category: "medication",
        criticality: "low",
        reaction: others::RASH,
        severity: "moderate",
    },
    Allergy {
        substance: plain("Codeine"),
        category: "medication",
        criticality: "low",
        reaction: others::NAUSEA,
        severity: "moderate",
    },
    Allergy {
        substance: plain("Aspirin"),
        category: "medication",
        criticality: "high",
        reaction: others::SWELLING,
        severity: "severe",
    },
    Allergy {
        substance: plain("Adhesive dressings"),
        category: "environment",
        criticality: "low",
        reaction: others::URTICARIA,
        severity: "mild",
    },
    Allergy {
        substance: plain("Shellfish"),
        category: "food",
        criticality: "high",
        reaction: others::URTICARIA,
        severity: "moderate",
    },
];

/// Problems and how many of a hundred residents have them; dementia is drawn apart.
const PROBLEMS: [(Concept, u32); 18] = [
    (p::HYPERTENSION, 62),
    (p::AF, 24),
    (p::HEART_FAILURE, 15),
    (p::STROKE, 14),
    (p::DIABETES_2, 25),
    (p::COPD, 17),
    (p::CKD_3, 30),
    (p::OSTEOARTHRITIS, 50),
    (p::OSTEOPOROSIS, 28),
    (p::PARKINSON, 8),
    (p::DEPRESSION, 26),
    (p::HYPOTHYROID, 14),
    (p::CONSTIPATION, 42),
    (p::REFLUX, 24),
    (p::EPILEPSY, 6),
    (p::FALLS, 38),
    (p::INCONTINENCE, 30),
    (p::PROSTATE, 30),
];

fn diagnose(chart: &mut Chart, resident: &mut Resident, female: bool) {
    // The first three residents carry the pictures that the demo is shown with.
    let always: &[Concept] = match resident.number {
        1 => &[p::DIABETES_2, p::AF, p::HYPERTENSION, p::OSTEOARTHRITIS],
        2 => &[p::COPD, p::HEART_FAILURE, p::CKD_3],
        3 => &[p::PARKINSON, p::FALLS, p::CONSTIPATION],
        // Those who are given a medicine covertly, see `resident_papers`.
        7 | 22 => &[p::ALZHEIMER, p::DEPRESSION],
        _ => &[],
    };
    let draw = &mut chart.draw;
    let mut found = vec![p::FRAILTY];
    let always_vague = matches!(resident.number, 7 | 22);
    if resident.number == 1 || always_vague || draw.chance(60) {
        found.push(if draw.chance(62) || always_vague {
            p::ALZHEIMER
        } else {
            p::VASCULAR_DEMENTIA
        });
    }
    for (concept, percent) in PROBLEMS {
        let drawn = draw.chance(percent);
        let possible = concept != p::PROSTATE || !female;
        if possible && (drawn || always.contains(&concept)) {
            found.push(concept);
        }
    }
    for concept in found {
        let began = resident.admitted.plus(-chart.draw.between(60, 4_000));
        let recorded = began.plus(chart.draw.between(0, 30));
        let id = chart.condition(&concept, (began, None), recorded, None);
        resident.problems.push((concept, id));
    }
}

/// For each problem the groups of medicines: one of each group is taken by so many of a hundred.
fn regimen(concept: &Concept) -> &'static [(u32, &'static [&'static Medicine])] {
    match *concept {
        p::HYPERTENSION => &[(90, &[&m::AMLODIPINE, &m::RAMIPRIL, &m::LOSARTAN])],
        p::AF => &[
            (
                100,
                &[&m::APIXABAN, &m::APIXABAN_LOW, &m::APIXABAN, &m::WARFARIN],
            ),
            (75, &[&m::BISOPROLOL]),
        ],
        p::HEART_FAILURE => &[(95, &[&m::FUROSEMIDE])],
        p::STROKE => &[(85, &[&m::ATORVASTATIN_HIGH])],
        p::DIABETES_2 => &[
            (80, &[&m::METFORMIN]),
            (35, &[&m::GLICLAZIDE]),
            (25, &[&m::GLARGINE]),
        ],
        p::COPD => &[(90, &[&m::TIOTROPIUM]), (95, &[&m::SALBUTAMOL])],
        p::OSTEOARTHRITIS => &[(70, &[&m::PARACETAMOL]), (18, &[&m::BUPRENORPHINE])],
        p::OSTEOPOROSIS => &[(65, &[&m::ALENDRONIC]), (95, &[&m::COLECALCIFEROL])],
        p::PARKINSON => &[(100, &[&m::CO_CARELDOPA])],
        p::DEPRESSION => &[(90, &[&m::SERTRALINE, &m::MIRTAZAPINE])],
        p::HYPOTHYROID => &[(100, &[&m::LEVOTHYROXINE])],
        p::CONSTIPATION => &[(80, &[&m::LACTULOSE]), (45, &[&m::SENNA])],
        p::REFLUX => &[(92, &[&m::OMEPRAZOLE, &m::LANSOPRAZOLE])],
        p::EPILEPSY => &[(100, &[&m::LEVETIRACETAM])],
        p::PROSTATE => &[(75, &[&m::TAMSULOSIN])],
        p::ALZHEIMER => &[(55, &[&m::DONEPEZIL]), (25, &[&m::MEMANTINE])],
        p::VASCULAR_DEMENTIA => &[(22, &[&m::LORAZEPAM])],
        p::FRAILTY => &[(40, &[&m::HYPROMELLOSE])],
        _ => &[],
    }
}

fn treat(chart: &mut Chart, resident: &mut Resident) {
    let problems = resident.problems.clone();
    for (concept, condition) in &problems {
        for (percent, group) in regimen(concept) {
            if !chart.draw.chance(*percent) {
                continue;
            }
            if let Some(medicine) = chart.draw.pick(group).copied() {
                start(chart, resident, medicine, Some(condition));
            }
        }
    }
    // After a stroke clopidogrel, unless an anticoagulant is taken already.
    if resident.has(&p::STROKE) && !resident.has(&p::AF) {
        let condition = resident.condition(&p::STROKE).map(str::to_owned);
        start(chart, resident, &m::CLOPIDOGREL, condition.as_deref());
    }
    if is_in_pain(resident.number) {
        start(chart, resident, &m::MORPHINE, None);
    }
    let regular = |taken: &Prescribed| taken.medicine.atc == m::PARACETAMOL.atc;
    if !resident.medicines.iter().any(regular) {
        start(chart, resident, &m::PARACETAMOL_PRN, None);
    }
}

/// Three of forty take a controlled drug twice a day.
#[must_use]
pub const fn is_in_pain(number: u32) -> bool {
    number % 16 == 5
}

fn start(
    chart: &mut Chart,
    resident: &mut Resident,
    medicine: &'static Medicine,
    condition: Option<&str>,
) {
    let stay = resident.until.since(resident.admitted);
    let began = resident.admitted.plus(chart.draw.between(0, stay / 2));
    let end = resident.died.then_some(resident.until);
    let request = chart.prescribe(&Order {
        medicine,
        start: began,
        minute: 600,
        end: None,
        status: if resident.died { "stopped" } else { "active" },
        stop: end,
        covert: resident_papers::is_covert(resident.number, medicine),
        by: DOCTOR,
        condition,
        encounter: None,
    });
    resident.medicines.push(Prescribed {
        medicine,
        request,
        start: began,
        end,
    });
}
