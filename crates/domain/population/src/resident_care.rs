//! What is recorded about a resident over time: rounds of vital signs, weights, blood results, visits, infections, vaccinations, plans and what is booked.

use crate::calendar::{Day, Zone};
use crate::chart::{Booking, Chart, Note, Order, Plan, Report, Seen, Visit, Vitals};
use crate::concepts::{cvx, measures, others, plain, problems as p};
use crate::establishment::{room, team_of};
use crate::medicines::{self as m, Medicine};
use crate::resident::{DOCTOR, NURSE, Prescribed, Resident};
use crate::{Population, resident_doses};

const LABORATORY: &str = "rh-org-laboratory";

/// Writes everything that happened between the first and the last day of the resident's record.
pub(crate) fn record(chart: &mut Chart, resident: &mut Resident, population: &Population) {
    hospital(chart, resident);
    infections(chart, resident);
    rounds(chart, resident);
    weights(chart, resident);
    bloods(chart, resident);
    visits(chart, resident);
    resident_doses::record(chart, resident, population);
    vaccines(chart, resident);
    plans(chart, resident);
    if !resident.died {
        bookings(chart, resident, population.reference);
    }
}

fn seen(day: Day, minute: i32, by: &str) -> Seen<'_> {
    Seen {
        at: day.at(minute as u16, Zone::London),
        by,
        encounter: None,
    }
}

pub(crate) fn carer(resident: &Resident) -> &'static str {
    if resident.number.is_multiple_of(2) {
        "rh-s-carer-2"
    } else {
        "rh-s-carer"
    }
}

// Weekly in the last ninety days and four-weekly before, on the resident's own weekday.
fn round_days(resident: &Resident) -> impl Iterator<Item = Day> {
    let (from, until) = (resident.from, resident.until);
    let first = i32::from(resident.number as u8 % 7);
    let span = until.since(from);
    (0..)
        .map(move |week| first + week * 7)
        .take_while(move |days| *days <= span)
        .filter(|days| *days <= 90 || days % 28 < 7)
        .map(move |days| until.plus(-days))
}

fn rounds(chart: &mut Chart, resident: &Resident) {
    let lungs = resident.has(&p::COPD);
    let pressure = if resident.has(&p::HYPERTENSION) {
        144
    } else {
        128
    } + chart.draw.wobble(10);
    let heart = if resident.has(&p::AF) { 82 } else { 72 } + chart.draw.wobble(8);
    for day in round_days(resident).filter(|day| !resident.is_away(*day)) {
        let draw = &mut chart.draw;
        let unwell = draw.chance(5);
        let systolic = pressure + draw.wobble(16) - if unwell { 24 } else { 0 };
        let vitals = Vitals {
            systolic,
            diastolic: systolic * 55 / 100 + draw.wobble(6),
            pulse: heart + draw.wobble(10) + if unwell { 26 } else { 0 },
            breathing: if lungs { 19 } else { 16 } + draw.wobble(2) + if unwell { 6 } else { 0 },
            oxygen: (if lungs { 91 } else { 97 } + draw.wobble(2) - if unwell { 3 } else { 0 })
                .min(100),
            temperature: 366 + draw.wobble(4) + if unwell { 17 } else { 0 },
        };
        let at = draw.between(545, 680);
        chart.vitals(&seen(day, at, NURSE), &vitals, Some(lungs));
    }
}

fn weights(chart: &mut Chart, resident: &Resident) {
    let frail = resident.has(&p::ALZHEIMER) || resident.has(&p::PARKINSON);
    let mut weight = chart.draw.between(470, 860);
    let height = chart.draw.between(148, 178);
    let span = resident.until.since(resident.from);
    for (n, days) in (0..=span).step_by(30).enumerate() {
        weight = (weight + chart.draw.wobble(9) - if frail { 4 } else { 1 }).max(360);
        let at = chart.draw.between(560, 640);
        let who = seen(resident.from.plus(days), at, carer(resident));
        chart.weigh(&who, weight, (n == 0).then_some(height));
    }
    let answer = match chart.draw.below(10) {
        0 => &others::SMOKER,
        1..=4 => &others::EX_SMOKER,
        _ => &others::NEVER_SMOKED,
    };
    chart.smoking(&seen(resident.from, 700, NURSE), answer);
}

fn bloods(chart: &mut Chart, resident: &Resident) {
    let span = resident.until.since(resident.from);
    let diabetes = resident.has(&p::DIABETES_2);
    let mut sugar = chart.draw.between(50, 74);
    let mut kidney = if resident.has(&p::CKD_3) {
        chart.draw.between(34, 56)
    } else {
        chart.draw.between(62, 90)
    };
    for days in (10..=span).step_by(91) {
        let day = resident.from.plus(days);
        kidney = (kidney + chart.draw.wobble(3) - 1).max(18);
        let renal = [
            (measures::EGFR, kidney),
            (
                measures::CREATININE_MOLAR,
                5_600 / kidney + chart.draw.wobble(4),
            ),
            (measures::SODIUM, 138 + chart.draw.wobble(5)),
            (measures::POTASSIUM, 43 + chart.draw.wobble(7)),
        ];
        chart.report(&Report {
            panel: &others::KIDNEY_PANEL,
            values: &renal,
            seen: seen(day, 620, DOCTOR),
            laboratory: LABORATORY,
        });
        if diabetes {
            sugar = (sugar + chart.draw.between(-4, 4)).clamp(42, 96);
            chart.report(&Report {
                panel: &others::SUGAR_PANEL,
                values: &[(measures::HBA1C_IFCC, sugar)],
                seen: seen(day, 622, DOCTOR),
                laboratory: LABORATORY,
            });
        }
    }
    let warfarin = |taken: &Prescribed| taken.medicine.atc == m::WARFARIN.atc;
    let anticoagulated = resident.medicines.iter().any(warfarin);
    for days in (0..span.min(84)).step_by(4) {
        let day = resident.until.plus(-days);
        if diabetes {
            let value = sugar + 28 + chart.draw.wobble(34);
            let at = chart.draw.between(430, 470);
            chart.observe(
                &seen(day, at, carer(resident)),
                &measures::GLUCOSE_BLOOD,
                value,
            );
        }
        if anticoagulated && days % 28 == 0 {
            let value = 25 + chart.draw.wobble(7);
            chart.observe(&seen(day, 650, NURSE), &measures::INR, value);
        }
    }
}

// The doctor comes every six weeks or so; each visit leaves a note.
fn visits(chart: &mut Chart, resident: &Resident) {
    let span = resident.until.since(resident.from);
    let mut days = chart.draw.between(3, 30);
    while days <= span {
        let start = resident
            .from
            .plus(days)
            .at(chart.draw.between(780, 940) as u16, Zone::London);
        let reason = chart.draw.pick(&resident.problems).map(|(c, _)| *c);
        let place = room(resident.branch, (resident.number - 1) / 2 % 20 + 1);
        let encounter = chart.encounter(&Visit {
            class: "HH",
            kind: &others::GP_VISIT,
            reason: reason.as_ref(),
            start,
            end: Some(start.later(20)),
            by: DOCTOR,
            place: Some(&place),
            organisation: "rh-org-surgery",
        });
        let mood = chart.draw.word(&[
            "comfortable and settled",
            "brighter than last time, eating well",
            "more tired than usual, no new concerns",
            "sleeping poorly, otherwise well",
        ]);
        let about = reason.map_or("General health", |r| r.text);
        let text = format!(
            "{} was seen in the room with the nurse: {}.\nReviewed: {about}. Medicines reconciled; \
             no change today. Plan: continue, review in six weeks.",
            resident.given, mood
        );
        chart.note(&Note {
            kind: &others::PROGRESS_NOTE,
            at: start.later(25),
            by: DOCTOR,
            encounter: Some(&encounter),
            organisation: "rh-org-surgery",
            text: &text,
        });
        days += chart.draw.between(35, 56);
    }
}

// About one resident in six was in hospital for some days and came back with a summary.
fn hospital(chart: &mut Chart, resident: &mut Resident) {
    let span = resident.until.since(resident.from);
    let ago = chart.draw.between(8, 100);
    let nights = chart.draw.between(2, 6);
    if !chart.draw.chance(16) || ago > span {
        return;
    }
    let out = resident.until.plus(-ago);
    let back = out.plus(nights);
    resident.away = Some((out, back));
    let reason = chart.draw.pick(&resident.problems).map(|(c, _)| *c);
    let start = out.at(1_110, Zone::London);
    let end = back.at(1_005, Zone::London);
    let encounter = chart.encounter(&Visit {
        class: "IMP",
        kind: &others::ADMISSION,
        reason: reason.as_ref(),
        start,
        end: Some(end),
        by: DOCTOR,
        place: None,
        organisation: "rh-org-hospital",
    });
    let about = reason.map_or("observation", |r| r.text);
    let text = format!(
        "{} was admitted from Rosewood House. Main problem: {about}.\nStayed {nights} nights; \
         treated and observed, back to the usual state. No change to regular medicines.",
        resident.given
    );
    chart.note(&Note {
        kind: &others::DISCHARGE_SUMMARY,
        at: end,
        by: DOCTOR,
        encounter: Some(&encounter),
        organisation: "rh-org-hospital",
        text: &text,
    });
}

// An infection is a resolved condition and a finished course that allergies were respected in.
fn infections(chart: &mut Chart, resident: &mut Resident) {
    let span = resident.until.since(resident.from);
    for n in 0..chart.draw.below(3) as i32 {
        let ago = n * 60 + chart.draw.between(2, 50);
        if ago + 1 > span {
            continue;
        }
        let began = resident.until.plus(-ago);
        let chest = chart.draw.chance(50);
        let medicine: &'static Medicine = match (chest, resident.penicillin) {
            (true, false) => &m::AMOXICILLIN,
            (true, true) => &m::DOXYCYCLINE,
            (false, _) if resident.has(&p::CKD_3) => &m::TRIMETHOPRIM,
            (false, _) => &m::NITROFURANTOIN,
        };
        let concept = if chest {
            p::CHEST_INFECTION
        } else {
            p::URINE_INFECTION
        };
        let last = began.plus(if chest { 4 } else { 2 });
        let over = last < resident.until;
        let ended = over.then_some(last);
        let condition = chart.condition(&concept, (began, ended), began, None);
        let request = chart.prescribe(&Order {
            medicine,
            start: began,
            minute: 900,
            end: Some(last),
            status: match (over, resident.died) {
                (true, _) => "completed",
                (false, true) => "stopped",
                (false, false) => "active",
            },
            stop: (!over && resident.died).then_some(resident.until),
            covert: false,
            by: DOCTOR,
            condition: Some(&condition),
            encounter: None,
        });
        resident.medicines.push(Prescribed {
            medicine,
            request,
            start: began.plus(1),
            end: Some(last),
        });
    }
}

fn vaccines(chart: &mut Chart, resident: &Resident) {
    let influenza = cvx("140", "Influenza, seasonal, injectable, preservative free");
    let covid = cvx("213", "SARS-COV-2 (COVID-19) vaccine, UNSPECIFIED");
    let pneumonia = cvx("33", "pneumococcal polysaccharide vaccine, 23 valent");
    let (year, _, _) = resident.until.civil();
    for (vaccine, month, years, percent) in [
        (influenza, 10, 0..3, 88),
        (covid, 4, 0..2, 80),
        (pneumonia, 9, 3..4, 70),
    ] {
        for back in years {
            let Some(day) = Day::from_civil(year - back, month, 1) else {
                continue;
            };
            let day = day.plus(chart.draw.between(0, 27));
            if day <= resident.until && chart.draw.chance(percent) {
                chart.immunise(&vaccine, day.at(660, Zone::London), NURSE);
            }
        }
    }
}

fn plans(chart: &mut Chart, resident: &Resident) {
    let team = team_of(resident.branch);
    let base = [
        (
            p::FRAILTY,
            "Eating and drinking",
            &["Offer a fortified drink twice a day", "Weigh every month"] as &[&str],
        ),
        (
            p::FALLS,
            "Moving safely",
            &["Walk with one carer and a frame", "Sensor mat at night"],
        ),
        (
            p::DIABETES_2,
            "Diabetes",
            &["Check feet every day", "Capillary glucose before breakfast"],
        ),
        (
            p::ALZHEIMER,
            "Memory and orientation",
            &["Life story book in the room", "Same carers where possible"],
        ),
    ];
    for (concept, title, activities) in base {
        let Some(condition) = resident.condition(&concept) else {
            continue;
        };
        let start = resident.admitted.plus(chart.draw.between(1, 14));
        chart.plan(&Plan {
            title,
            activities,
            start,
            active: !resident.died,
            by: NURSE,
            team: &team,
            condition: Some(condition),
        });
    }
}

fn bookings(chart: &mut Chart, resident: &Resident, reference: Day) {
    let kinds = [
        plain("Medication review"),
        plain("Chiropody"),
        plain("Memory clinic review"),
    ];
    for n in 0..=chart.draw.below(2) as i32 {
        let Some(what) = chart.draw.pick(&kinds).copied() else {
            return;
        };
        let ahead = n * 14 + chart.draw.between(0, 20);
        let start = reference
            .plus(ahead)
            .at(600 + 15 * chart.draw.below(24) as u16, Zone::London);
        let made = resident.until.plus(-chart.draw.between(0, 20));
        chart.appointment(&Booking {
            status: "booked",
            what: &what,
            start,
            minutes: 20,
            with: DOCTOR,
            place: resident.branch.location,
            made,
        });
    }
}
