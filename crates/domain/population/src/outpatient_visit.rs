//! What happened to a patient of the clinic visit by visit: what was measured, found, prescribed,
//! ordered, written and billed, and what is booked.

use crate::calendar::{Day, Moment, Zone};
use crate::chart::{Bill, Booking, Chart, Note, Order, Picture, Report, Seen, Visit, Vitals};
use crate::concepts::{Concept, Measure, cvx, measures, others, problems as p};
use crate::establishment::{CONSULTING_ROOMS, room};
use crate::medicines::{self as m, Medicine};
use crate::outpatient::Outpatient;

const LABORATORY: &str = "hc-org-laboratory";

/// Values that drift from visit to visit.
#[derive(Debug)]
struct Course {
    /// Tenths of a kilogram.
    weight: i32,
    height: i32,
    systolic: i32,
    /// Tenths of a percent of HbA1c.
    sugar: i32,
}

/// One visit while it is written.
#[derive(Debug)]
struct Seat<'a> {
    start: Moment,
    encounter: &'a str,
    first: bool,
}

/// Writes all visits, vaccinations and appointments.
pub(crate) fn record(chart: &mut Chart, patient: &Outpatient, reference: Day) {
    let mut course = course(chart, patient);
    vaccines(chart, patient);
    let span = patient.until.since(patient.from);
    let wanted = chart.draw.between(2, 5) + patient.problems.len() as i32;
    let gap = (span / wanted.max(1)).max(9);
    let mut days = chart.draw.between(0, gap.min(span.max(0)));
    let mut first = true;
    while days <= span {
        let day = open(patient.from.plus(days), -1);
        visit(chart, patient, &mut course, (day, first));
        first = false;
        days += gap + chart.draw.wobble(gap / 4);
    }
    if !patient.died {
        bookings(chart, patient, reference);
    }
}

/// The day itself, or the day beside it when the clinic is closed on a Sunday.
fn open(day: Day, instead: i32) -> Day {
    if day.weekday() == 6 {
        day.plus(instead)
    } else {
        day
    }
}

fn course(chart: &mut Chart, patient: &Outpatient) -> Course {
    let age = patient.age(patient.from);
    let draw = &mut chart.draw;
    let adult = age >= 16;
    let height = if adult {
        (if patient.female { 156 } else { 169 }) + draw.wobble(12)
    } else {
        75 + age * 6 + draw.wobble(5)
    };
    Course {
        weight: if adult {
            height * height * draw.between(20, 31) / 1_000
        } else {
            95 + age * 26 + draw.wobble(15)
        },
        height,
        systolic: if patient.has(&p::HYPERTENSION) {
            148
        } else if adult {
            120
        } else {
            95 + age
        } + draw.wobble(10),
        sugar: if patient.has(&p::DIABETES_2) {
            draw.between(68, 92)
        } else {
            draw.between(48, 56)
        },
    }
}

fn visit(chart: &mut Chart, patient: &Outpatient, course: &mut Course, (day, first): (Day, bool)) {
    let start = day.at(540 + 15 * chart.draw.below(32) as u16, Zone::Kolkata);
    let chronic = chart.draw.pick(&patient.problems).cloned();
    let review = chronic.filter(|_| first || chart.draw.chance(60));
    let acute = acute(chart, patient, day);
    let reason = review.as_ref().map_or(acute, |(concept, _)| *concept);
    let place = room(patient.branch, chart.draw.below(CONSULTING_ROOMS) + 1);
    let encounter = chart.encounter(&Visit {
        class: "AMB",
        kind: &others::OUTPATIENT,
        reason: Some(&reason),
        start,
        end: Some(start.later(15)),
        by: patient.doctor,
        place: Some(&place),
        organisation: patient.branch.organization,
    });
    let seat = Seat {
        start,
        encounter: &encounter,
        first,
    };
    let made = day.plus(-chart.draw.between(0, 6));
    chart.appointment(&Booking {
        status: "fulfilled",
        what: &others::OUTPATIENT,
        start,
        minutes: 15,
        with: patient.doctor,
        place: &place,
        made,
    });
    measure(chart, patient, course, &seat);
    if review.is_none() {
        treat_acute(chart, patient, &seat, &acute);
    }
    if first {
        long_term(chart, patient, &seat);
    }
    laboratory(chart, patient, course, &seat);
    examine(chart, patient, &seat, &reason);
    paperwork(chart, patient, &seat, &reason);
}

fn by<'a>(seat: &'a Seat<'_>, who: &'a str) -> Seen<'a> {
    Seen {
        at: seat.start,
        by: who,
        encounter: Some(seat.encounter),
    }
}

fn measure(chart: &mut Chart, patient: &Outpatient, course: &mut Course, seat: &Seat<'_>) {
    let draw = &mut chart.draw;
    let child = patient.age(seat.start.day) < 16;
    course.weight += draw.wobble(8) + if child { 4 } else { 0 };
    course.weight = course.weight.max(60);
    course.systolic += draw.wobble(6) - i32::from(patient.has(&p::HYPERTENSION));
    let vitals = Vitals {
        systolic: course.systolic + draw.wobble(8),
        diastolic: course.systolic * 62 / 100 + draw.wobble(6),
        pulse: if child { 98 } else { 76 } + draw.wobble(10),
        breathing: if child { 22 } else { 16 } + draw.wobble(2),
        oxygen: draw.between(96, 99),
        temperature: 367 + draw.wobble(4) + if draw.chance(10) { 12 } else { 0 },
    };
    let nurse = if patient.number.is_multiple_of(3) {
        "hc-s-nurse-2"
    } else {
        "hc-s-nurse"
    };
    let seen = by(seat, nurse);
    chart.vitals(&seen, &vitals, None);
    let height = (seat.first || child).then_some(course.height);
    chart.weigh(&seen, course.weight, height);
    if seat.first && !child {
        let answer = if chart.draw.chance(14) {
            &others::SMOKER
        } else {
            &others::NEVER_SMOKED
        };
        chart.smoking(&seen, answer);
    }
}

fn acute(chart: &mut Chart, patient: &Outpatient, day: Day) -> Concept {
    let child = patient.age(day) < 16;
    let choices: &[Concept] = if child {
        &[
            p::PHARYNGITIS,
            p::GASTROENTERITIS,
            p::OTITIS,
            p::CHEST_INFECTION,
        ]
    } else {
        &[
            p::PHARYNGITIS,
            p::GASTROENTERITIS,
            p::BACK_PAIN,
            p::CHEST_INFECTION,
            p::URINE_INFECTION,
        ]
    };
    chart.draw.pick(choices).copied().unwrap_or(p::PHARYNGITIS)
}

fn treat_acute(chart: &mut Chart, patient: &Outpatient, seat: &Seat<'_>, concept: &Concept) {
    let day = seat.start.day;
    let child = patient.age(day) < 16;
    let last = day.plus(5);
    let ended = (last <= patient.until).then_some(last);
    let condition = chart.condition(concept, (day, ended), day, Some(seat.encounter));
    let medicine: &Medicine = match (*concept, child, patient.penicillin) {
        (p::GASTROENTERITIS, ..) => &m::REHYDRATION,
        (p::BACK_PAIN, ..) if !patient.has(&p::AF) => &m::IBUPROFEN,
        (p::URINE_INFECTION, ..) => &m::NITROFURANTOIN,
        (p::OTITIS | p::CHEST_INFECTION, true, false) => &m::AMOXICILLIN_CHILD,
        (p::CHEST_INFECTION, false, false) => &m::AMOXICILLIN,
        (p::CHEST_INFECTION, false, true) => &m::AZITHROMYCIN,
        (_, true, _) => &m::PARACETAMOL_CHILD,
        (_, false, _) => &m::PARACETAMOL_PRN,
    };
    let status = match (ended, patient.died) {
        (Some(_), _) => "completed",
        (None, true) => "stopped",
        (None, false) => "active",
    };
    order(
        chart,
        patient,
        seat,
        (medicine, status, Some(last), &condition),
    );
}

fn order(
    chart: &mut Chart,
    patient: &Outpatient,
    seat: &Seat<'_>,
    (medicine, status, end, condition): (&Medicine, &'static str, Option<Day>, &str),
) {
    chart.prescribe(&Order {
        medicine,
        start: seat.start.day,
        minute: seat.start.minute,
        end,
        status,
        stop: None,
        covert: false,
        by: patient.doctor,
        condition: Some(condition),
        encounter: Some(seat.encounter),
    });
}

fn repeat(concept: &Concept) -> &'static [&'static Medicine] {
    match *concept {
        p::DIABETES_2 => &[&m::METFORMIN, &m::GLIMEPIRIDE, &m::SITAGLIPTIN],
        p::HYPERTENSION => &[&m::TELMISARTAN, &m::AMLODIPINE],
        p::HYPERLIPIDAEMIA => &[&m::ATORVASTATIN],
        p::ASTHMA => &[&m::BUDESONIDE_FORMOTEROL, &m::SALBUTAMOL],
        p::HYPOTHYROID => &[&m::LEVOTHYROXINE],
        p::ANAEMIA => &[&m::IRON],
        p::VITAMIN_D => &[&m::COLECALCIFEROL_WEEKLY],
        p::MIGRAINE => &[&m::SUMATRIPTAN],
        p::RHINITIS => &[&m::CETIRIZINE],
        p::KNEE_ARTHRITIS => &[&m::PARACETAMOL_PRN, &m::PANTOPRAZOLE],
        p::AF => &[&m::APIXABAN, &m::BISOPROLOL],
        p::PREGNANCY => &[&m::FOLIC_ACID],
        _ => &[],
    }
}

// The first medicine for a problem is always taken, each further one by about half.
fn long_term(chart: &mut Chart, patient: &Outpatient, seat: &Seat<'_>) {
    let status = if patient.died { "stopped" } else { "active" };
    for (concept, condition) in &patient.problems {
        for (n, medicine) in repeat(concept).iter().enumerate() {
            if n == 0 || chart.draw.chance(45) {
                order(chart, patient, seat, (medicine, status, None, condition));
            }
        }
    }
}

fn laboratory(chart: &mut Chart, patient: &Outpatient, course: &mut Course, seat: &Seat<'_>) {
    let draw = &mut chart.draw;
    if patient.has(&p::DIABETES_2) {
        course.sugar = (course.sugar + draw.between(-5, 4)).clamp(58, 118);
        let fasting = course.sugar * 2 - 8 + draw.wobble(14);
        let creatinine = 95 + draw.wobble(25);
        let values = [
            (measures::HBA1C_PERCENT, course.sugar),
            (measures::GLUCOSE_FASTING, fasting),
            (measures::CREATININE, creatinine),
        ];
        panel(chart, patient, seat, (&others::SUGAR_PANEL, &values));
    }
    if patient.has(&p::HYPERLIPIDAEMIA) {
        let draw = &mut chart.draw;
        let (hdl, triglyceride) = (46 + draw.wobble(10), 155 + draw.wobble(50));
        let ldl = 128 + draw.wobble(36);
        let values = [
            (measures::CHOLESTEROL, hdl + ldl + triglyceride / 5),
            (measures::HDL, hdl),
            (measures::LDL, ldl),
            (measures::TRIGLYCERIDE, triglyceride),
            (measures::ALT, 28 + draw.wobble(16)),
        ];
        panel(chart, patient, seat, (&others::LIPIDS, &values));
    }
    if patient.has(&p::HYPOTHYROID) {
        let value = 320 + chart.draw.wobble(260);
        panel(
            chart,
            patient,
            seat,
            (&others::THYROID_PANEL, &[(measures::TSH, value)]),
        );
    }
    let anaemic = patient.has(&p::ANAEMIA);
    if anaemic || chart.draw.chance(25) {
        let draw = &mut chart.draw;
        let haemoglobin = if anaemic { 98 } else { 136 } + draw.wobble(12);
        let values = [
            (measures::HAEMOGLOBIN, haemoglobin),
            (measures::WHITE_CELLS, 72 + draw.wobble(34)),
            (measures::PLATELETS, 255 + draw.wobble(90)),
        ];
        panel(chart, patient, seat, (&others::FULL_COUNT, &values));
    }
}

fn panel(
    chart: &mut Chart,
    patient: &Outpatient,
    seat: &Seat<'_>,
    (panel, values): (&Concept, &[(Measure, i32)]),
) {
    chart.report(&Report {
        panel,
        values,
        seen: by(seat, patient.doctor),
        laboratory: LABORATORY,
    });
}

fn examine(chart: &mut Chart, patient: &Outpatient, seat: &Seat<'_>, reason: &Concept) {
    let done = seat.start.later(20);
    let picture = match *reason {
        p::CHEST_INFECTION => Some((
            others::CHEST_XRAY,
            "DX",
            2,
            "No focal consolidation. Heart size normal.",
        )),
        p::KNEE_ARTHRITIS => Some((
            others::KNEE_XRAY,
            "DX",
            2,
            "Medial joint space narrowing with small osteophytes.",
        )),
        p::URINE_INFECTION => Some((
            others::ABDOMEN_SCAN,
            "US",
            12,
            "Kidneys of normal size. No hydronephrosis.",
        )),
        _ => None,
    };
    if let Some((what, modality, images, conclusion)) = picture
        && chart.draw.chance(55)
    {
        chart.picture(&Picture {
            what: &what,
            modality,
            images,
            conclusion,
            by: patient.doctor,
            at: done,
            encounter: seat.encounter,
        });
    }
    let procedure = match *reason {
        p::HYPERTENSION | p::AF => Some(others::ECG),
        p::ASTHMA => Some(others::SPIROMETRY),
        p::BACK_PAIN | p::DIABETES_2 if chart.draw.chance(10) => Some(others::DRESSING),
        _ => None,
    };
    if let Some(procedure) = procedure {
        chart.procedure(&procedure, done, patient.doctor, seat.encounter);
    }
}

fn paperwork(chart: &mut Chart, patient: &Outpatient, seat: &Seat<'_>, reason: &Concept) {
    if chart.draw.chance(65) {
        let advice = chart.draw.word(&[
            "Advice on diet and thirty minutes of walking a day",
            "Medicines explained, side effects discussed",
            "Return sooner if fever, breathlessness or new pain",
            "Home readings to be brought to the next visit",
        ]);
        let text = format!(
            "{} was seen for {}. Examination as recorded. {advice}. Review as booked.",
            patient.name.given, reason.text
        );
        chart.composition(&Note {
            kind: &others::CONSULT_NOTE,
            at: seat.start.later(14),
            by: patient.doctor,
            encounter: Some(seat.encounter),
            organisation: patient.branch.organization,
            text: &text,
        });
    }
    if patient.insured {
        let amount = i64::from(chart.draw.between(6, 18)) * 100;
        chart.claim(&Bill {
            coverage: &patient.coverage,
            provider: patient.branch.organization,
            what: &others::OUTPATIENT,
            day: seat.start.day,
            amount,
            encounter: seat.encounter,
        });
    }
}

fn vaccines(chart: &mut Chart, patient: &Outpatient) {
    let schedule: &[(Concept, i32)] = &[
        (cvx("19", "BCG"), 1),
        (cvx("08", "Hep B, adolescent or pediatric"), 3),
        (cvx("20", "DTaP"), 45),
        (cvx("10", "IPV"), 48),
        (cvx("20", "DTaP"), 75),
        (cvx("03", "MMR"), 275),
        (cvx("21", "varicella"), 460),
    ];
    if patient.age(patient.until) < 16 {
        for (vaccine, days) in schedule {
            let day = patient.born.plus(*days + chart.draw.between(0, 12));
            if day <= patient.until {
                chart.immunise(vaccine, day.at(630, Zone::Kolkata), patient.doctor);
            }
        }
    } else if chart.draw.chance(40) {
        let day = patient.until.plus(-chart.draw.between(30, 700));
        let covid = cvx("213", "SARS-COV-2 (COVID-19) vaccine, UNSPECIFIED");
        chart.immunise(&covid, day.at(690, Zone::Kolkata), patient.doctor);
    }
}

fn bookings(chart: &mut Chart, patient: &Outpatient, reference: Day) {
    let ahead = chart.draw.between(0, 28);
    let future = chart.draw.chance(60);
    let missed = chart.draw.chance(10);
    for (wanted, status, days) in [(future, "booked", ahead), (missed, "noshow", -ahead - 1)] {
        let day = open(reference.plus(days), if days < 0 { -1 } else { 1 });
        if !wanted || (days < 0 && day < patient.from) {
            continue;
        }
        let start = day.at(540 + 15 * chart.draw.below(32) as u16, Zone::Kolkata);
        let made = day.min(patient.until).plus(-chart.draw.between(0, 9));
        let place = room(patient.branch, chart.draw.below(CONSULTING_ROOMS) + 1);
        chart.appointment(&Booking {
            status,
            what: &others::OUTPATIENT,
            start,
            minutes: 15,
            with: patient.doctor,
            place: &place,
            made,
        });
    }
}
