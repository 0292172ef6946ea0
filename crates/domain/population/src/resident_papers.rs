//! The papers of the residents: who lacks capacity, who is given a medicine without knowing, and on whose
//! decision, who takes medicines alone. Some are complete, one is overdue for review.

use crate::chart::{Chart, Filed};
use crate::concepts::problems as p;
use crate::medicines::{self as m, Medicine};
use crate::resident::{DOCTOR, NURSE, Resident};

/// Whether a resident is given a medicine covertly.
pub(crate) fn is_covert(number: u32, medicine: &Medicine) -> bool {
    matches!(number, 7 | 22)
        && (medicine.atc == m::SERTRALINE.atc || medicine.atc == m::MIRTAZAPINE.atc)
}

/// How much of the medicines that [`takes_alone`] names the resident takes alone.
const fn level(number: u32) -> Option<&'static str> {
    match number {
        2 => Some("independent"),
        9 => Some("checked"),
        18 => Some("supervised"),
        // Looked at, and it went badly.
        25 => Some("staff-give"),
        _ => None,
    }
}

/// Whether a resident takes a medicine alone: inhalers, eye drops and what is taken in the morning alone.
pub(crate) fn takes_alone(number: u32, medicine: &Medicine) -> bool {
    let own = [m::SALBUTAMOL.atc, m::TIOTROPIUM.atc, m::HYPROMELLOSE.atc];
    matches!(
        level(number),
        Some("independent" | "checked" | "supervised")
    ) && !medicine.controlled
        && (number == 18 || own.contains(&medicine.atc))
}

/// Writes them.
pub(crate) fn record(chart: &mut Chart, resident: &Resident) {
    if resident.died {
        return;
    }
    let on = resident.admitted.plus(20).min(resident.until.plus(-30));
    let vague = resident.has(&p::ALZHEIMER) || resident.has(&p::VASCULAR_DEMENTIA);
    let covert = resident
        .medicines
        .iter()
        .find(|own| is_covert(resident.number, own.medicine));
    if vague && (covert.is_some() || resident.number.is_multiple_of(3)) {
        chart.file(&Filed {
            kind: "capacity",
            finding: "lacks-capacity",
            order: None,
            on: on.plus(-1),
            review: None,
            by: DOCTOR,
            method: None,
        });
    }
    if let Some(own) = covert {
        // Of the second the review is overdue by a week.
        let review = if resident.number == 22 { -7 } else { 80 };
        chart.file(&Filed {
            kind: "covert-administration",
            finding: "permit",
            order: Some(&own.request),
            on,
            review: Some(resident.until.plus(review)),
            by: DOCTOR,
            method: Some("Crushed, in a spoon of yoghurt, eaten at once"),
        });
    }
    if let Some(finding) = level(resident.number) {
        chart.file(&Filed {
            kind: "self-administration",
            finding,
            order: None,
            on,
            review: Some(resident.until.plus(120)),
            by: NURSE,
            method: None,
        });
    }
}
