//! The administration record of a resident: what became of every due dose, with each outcome that happens
//! in a home, corrections, gaps, and doses given when needed. Must not record anything before it happened.

use crate::Population;
use crate::calendar::{Day, Moment, Zone};
use crate::chart::{Chart, Corrects, Dose, Outcome};
use crate::medicines::Schedule;
use crate::resident::{NURSE, Prescribed, Resident};
use crate::resident_care::carer;
use crate::resident_papers;

/// Minutes within which a dose is given and entered.
const ENTERED: u16 = 40;

/// Writes the record of the last days, and of the reference day as far as it went.
pub(crate) fn record(chart: &mut Chart, resident: &Resident, population: &Population) {
    let days = i32::from(population.profile.mar_days);
    let last = if resident.died || days == 0 {
        resident.until
    } else {
        resident.until.plus(i32::from(population.profile.today > 0))
    };
    let whole = resident.until;
    let today = population.profile.today.saturating_sub(ENTERED);
    for taken in &resident.medicines {
        for ago in (0..days).rev() {
            let day = last.plus(-ago);
            if day < taken.start || taken.end.is_some_and(|end| day > end) {
                continue;
            }
            let over = |minute: u16| day <= whole || minute < today;
            match taken.medicine.schedule {
                Schedule::Daily(times) => {
                    for minute in times.iter().filter(|minute| over(**minute)) {
                        due(chart, resident, taken, (day, *minute));
                    }
                }
                Schedule::Weekly(weekday, minute) if day.weekday() == weekday && over(minute) => {
                    due(chart, resident, taken, (day, minute));
                }
                Schedule::Needed(why, _) if day <= whole && chart.draw.chance(22) => {
                    needed(chart, resident, taken, (day, why));
                }
                _ => {}
            }
        }
    }
}

/// What became of a due dose, in words where it asks for some.
fn outcome(resident: &Resident, taken: &Prescribed, day: Day, draw: u32) -> Option<Outcome> {
    if resident.is_away(day) {
        return Some(Outcome::Away);
    }
    if resident_papers::takes_alone(resident.number, taken.medicine) {
        return Some(if draw < 8 {
            Outcome::Refused
        } else {
            Outcome::SelfAdministered
        });
    }
    Some(match draw {
        0..=19 => Outcome::Refused,
        20..=29 => Outcome::Asleep,
        30..=34 => Outcome::Away,
        35..=38 => Outcome::NotAvailable,
        39..=41 => Outcome::Vomited,
        42..=44 => Outcome::Destroyed,
        45..=48 => Outcome::Withheld,
        49 => Outcome::Other,
        // Nobody recorded anything: a gap.
        50..=54 => return None,
        _ => Outcome::Given,
    })
}

const fn words(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Refused => Some("Refused by the resident"),
        Outcome::Away => Some("Out with family or in hospital"),
        Outcome::Vomited => Some("Vomited soon after the dose; the doctor was told"),
        Outcome::Destroyed => Some("Dropped on the floor and destroyed"),
        Outcome::Withheld => Some("Blood pressure low; held back as the doctor said"),
        Outcome::Other => Some("Nil by mouth before a blood test"),
        Outcome::Given | Outcome::SelfAdministered | Outcome::NotAvailable | Outcome::Asleep => {
            None
        }
    }
}

/// Who gives at a time of the day.
fn giver(resident: &Resident, minute: u16) -> &'static str {
    if minute >= 1_200 {
        "rh-s-nurse-2"
    } else {
        carer(resident)
    }
}

fn due(chart: &mut Chart, resident: &Resident, taken: &Prescribed, (day, minute): (Day, u16)) {
    let draw = chart.draw.below(1_000);
    let late = chart.draw.below(35) as u16;
    let Some(outcome) = outcome(resident, taken, day, draw) else {
        return;
    };
    let due = day.at(minute, Zone::London);
    let dose = Dose {
        medicine: taken.medicine,
        request: &taken.request,
        due: Some(due),
        at: due.later(late),
        entered: due.later(late + 1),
        by: giver(resident, minute),
        witness: witness(taken, outcome),
        outcome,
        why: words(outcome),
        need: None,
        corrects: None,
    };
    // Now and then what was entered first is wrong, and corrected within minutes.
    if outcome != Outcome::Given || draw < 996 || late > 30 {
        chart.administer(&dose);
        return;
    }
    let wrong = Dose {
        outcome: Outcome::Refused,
        why: words(Outcome::Refused),
        witness: None,
        ..dose
    };
    let of = chart.administer(&wrong);
    let corrects = Corrects {
        of: &of,
        reason: "Taken after all when offered again",
    };
    chart.administer(&Dose {
        entered: due.later(late + 6),
        corrects: Some(corrects),
        ..dose
    });
}

/// A second person watches where a controlled drug leaves its cabinet.
fn witness(taken: &Prescribed, outcome: Outcome) -> Option<&'static str> {
    let used = matches!(
        outcome,
        Outcome::Given | Outcome::Vomited | Outcome::Destroyed
    );
    (taken.medicine.controlled && used).then_some(NURSE)
}

fn needed(
    chart: &mut Chart,
    resident: &Resident,
    taken: &Prescribed,
    (day, why): (Day, &'static str),
) {
    // Its effect is asked for on the same day.
    let after = taken
        .medicine
        .plan
        .map_or(0, |(_, _, after)| i32::from(after));
    let minute = chart.draw.between(500, (1_430 - after).min(1_290)) as u16;
    let at: Moment = day.at(minute, Zone::London);
    if resident.is_away(day) {
        return;
    }
    let alone = resident_papers::takes_alone(resident.number, taken.medicine);
    let dose = chart.administer(&Dose {
        medicine: taken.medicine,
        request: &taken.request,
        due: None,
        at,
        entered: at.later(1),
        by: giver(resident, minute),
        witness: witness(taken, Outcome::Given),
        outcome: if alone {
            Outcome::SelfAdministered
        } else {
            Outcome::Given
        },
        why: None,
        need: Some(why),
        corrects: None,
    });
    // Now and then somebody forgets to ask. Drawn aside, so that what comes later stays as it was.
    let mut draw = chart.draw.clone();
    if draw.chance(94) {
        let seen = (at.later(after as u16 + 5), giver(resident, minute));
        let effect = match draw.below(20) {
            0 => "not-at-all",
            1..=4 => "partly",
            _ => "helped",
        };
        chart.effect(&dose, taken.medicine, seen, effect);
    }
}
