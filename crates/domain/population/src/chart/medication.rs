//! Prescriptions with a structured dose, and the doses given under them. The text of a dose is made
//! from its structure, never written beside it.

use core::fmt::Write as _;

use super::{Chart, encounter};
use crate::calendar::{Day, Moment};
use crate::concepts::{Unit, plain};
use crate::json::{Decimal, Json};
use crate::medicines::{Medicine, Schedule};

/// A prescription to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order<'a> {
    pub(crate) medicine: &'a Medicine,
    pub(crate) start: Day,
    /// Minute of the first day at which it was written.
    pub(crate) minute: u16,
    /// Last day of the course; open for repeat medicines.
    pub(crate) end: Option<Day>,
    pub(crate) status: &'static str,
    pub(crate) by: &'a str,
    /// The Condition it is for.
    pub(crate) condition: Option<&'a str>,
    pub(crate) encounter: Option<&'a str>,
}

/// What happened to one dose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Given,
    Refused,
    Asleep,
    Away,
}

/// One dose of a prescription.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dose<'a> {
    pub(crate) medicine: &'a Medicine,
    pub(crate) request: &'a str,
    pub(crate) at: Moment,
    pub(crate) by: &'a str,
    pub(crate) outcome: Outcome,
}

impl Chart {
    /// A MedicationRequest; gives its id.
    pub(crate) fn prescribe(&mut self, order: &Order<'_>) -> String {
        let zone = self.zone;
        self.put("MedicationRequest", "mr", |j, patient| {
            j.text("status", order.status);
            j.text("intent", "order");
            product(j, order.medicine);
            j.refer("subject", "Patient", patient);
            encounter(j, "encounter", order.encounter);
            j.time("authoredOn", order.start.at(order.minute, zone));
            j.refer("requester", "Practitioner", order.by);
            if let Some(condition) = order.condition {
                j.refers("reasonReference", "Condition", condition);
            }
            let course = if order.end.is_some() {
                "acute"
            } else {
                "continuous"
            };
            j.status("courseOfTherapyType", COURSE, course);
            j.one("dosageInstruction", |j| dosage(j, order));
            j.obj("dispenseRequest", |j| {
                j.period("validityPeriod", order.start, order.end);
            });
        })
    }

    /// A MedicationAdministration: a dose given, or not given and why.
    pub(crate) fn administer(&mut self, dose: &Dose<'_>) {
        self.put("MedicationAdministration", "ma", |j, patient| {
            let given = dose.outcome == Outcome::Given;
            j.text("status", if given { "completed" } else { "not-done" });
            match dose.outcome {
                Outcome::Given => {}
                Outcome::Refused => {
                    j.concepts("statusReason", &plain("Refused by the resident"));
                }
                Outcome::Asleep => reason(j, "c", "Asleep"),
                Outcome::Away => reason(j, "b", "Away"),
            }
            product(j, dose.medicine);
            j.refer("subject", "Patient", patient);
            j.time("effectiveDateTime", dose.at);
            j.one("performer", |j| {
                j.refer("actor", "Practitioner", dose.by);
            });
            j.refer("request", "MedicationRequest", dose.request);
            if given {
                j.obj("dosage", |j| {
                    j.concept("route", &dose.medicine.route);
                    j.quantity("dose", amount(dose.medicine), &dose.medicine.unit);
                });
            }
        });
    }
}

const COURSE: &str = "http://terminology.hl7.org/CodeSystem/medicationrequest-course-of-therapy";
const NOT_GIVEN: &str = "http://terminology.hl7.org/CodeSystem/reason-medication-not-given";
const WEEKDAYS: [(&str, &str); 7] = [
    ("mon", "Monday"),
    ("tue", "Tuesday"),
    ("wed", "Wednesday"),
    ("thu", "Thursday"),
    ("fri", "Friday"),
    ("sat", "Saturday"),
    ("sun", "Sunday"),
];

fn reason(j: &mut Json, code: &str, display: &str) {
    j.one("statusReason", |j| {
        j.list("coding", |j| j.coding(NOT_GIVEN, code, display));
    });
}

const fn amount(medicine: &Medicine) -> Decimal {
    Decimal {
        scaled: medicine.dose as i64,
        places: medicine.places,
    }
}

fn product(j: &mut Json, medicine: &Medicine) {
    j.obj("medicationCodeableConcept", |j| {
        j.list("coding", |j| {
            if !medicine.dmd.is_empty() {
                j.coding("https://dmd.nhs.uk", medicine.dmd, medicine.name);
            }
            j.coding("http://www.whocc.no/atc", medicine.atc, "");
        });
        j.text("text", medicine.name);
    });
}

fn dosage(j: &mut Json, order: &Order<'_>) {
    let medicine = order.medicine;
    j.int("sequence", 1);
    j.text("text", &sentence(medicine));
    j.obj("timing", |j| {
        j.obj("repeat", |j| {
            j.period("boundsPeriod", order.start, order.end);
            match medicine.schedule {
                Schedule::Daily(times) => {
                    repeat(j, times.len() as i64, "d");
                    j.list("timeOfDay", |j| {
                        for minute in times {
                            j.time_of_day(*minute);
                        }
                    });
                }
                Schedule::Weekly(day, minute) => {
                    repeat(j, 1, "wk");
                    j.list("dayOfWeek", |j| j.item(weekday(day).0));
                    j.list("timeOfDay", |j| j.time_of_day(minute));
                }
                Schedule::Needed(_, most) => {
                    j.int("frequency", 1);
                    j.int("frequencyMax", i64::from(most));
                    j.int("period", 1);
                    j.text("periodUnit", "d");
                }
            }
        });
    });
    if let Schedule::Needed(why, _) = medicine.schedule {
        j.concept("asNeededCodeableConcept", &plain(why));
    }
    j.concept("route", &medicine.route);
    j.one("doseAndRate", |j| {
        j.quantity("doseQuantity", amount(medicine), &medicine.unit);
    });
    if let Schedule::Needed(_, most) = medicine.schedule {
        j.obj("maxDosePerPeriod", |j| {
            let total = Decimal {
                scaled: i64::from(medicine.dose) * i64::from(most),
                places: medicine.places,
            };
            j.quantity("numerator", total, &medicine.unit);
            let hours = Unit {
                name: "hours",
                ucum: "h",
            };
            let day = Decimal {
                scaled: 24,
                places: 0,
            };
            j.quantity("denominator", day, &hours);
        });
    }
}

fn repeat(j: &mut Json, frequency: i64, unit: &str) {
    j.int("frequency", frequency);
    j.int("period", 1);
    j.text("periodUnit", unit);
}

fn weekday(day: u8) -> (&'static str, &'static str) {
    WEEKDAYS
        .get(usize::from(day))
        .copied()
        .unwrap_or(("mon", "Monday"))
}

// Writing to a String cannot fail, so the results of `write!` are dropped.
fn sentence(medicine: &Medicine) -> String {
    let Decimal { scaled, places } = amount(medicine);
    let power = 10_i64.pow(places);
    let mut text = (scaled / power).to_string();
    if places > 0 {
        let _ = write!(text, ".{}", scaled % power);
    }
    let countable = medicine.unit.ucum.starts_with('{');
    let plural = if countable && scaled > power { "s" } else { "" };
    let _ = write!(text, " {}{plural} {}", medicine.unit.name, medicine.how);
    match medicine.schedule {
        Schedule::Daily(times) => {
            text.push_str(" every day at ");
            for (n, minute) in times.iter().enumerate() {
                text.push_str(match n {
                    0 => "",
                    n if n + 1 == times.len() => " and ",
                    _ => ", ",
                });
                let _ = write!(text, "{:02}:{:02}", minute / 60, minute % 60);
            }
        }
        Schedule::Weekly(day, minute) => {
            let (hour, minute) = (minute / 60, minute % 60);
            let _ = write!(
                text,
                " once a week on {} at {hour:02}:{minute:02}",
                weekday(day).1
            );
        }
        Schedule::Needed(why, most) => {
            let s = if most == 1 { "" } else { "s" };
            let _ = write!(
                text,
                " when needed for {why}, at most {most} dose{s} in 24 hours"
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::medicines;

    #[test]
    fn the_text_of_a_dose_says_what_its_structure_says() {
        for (medicine, expected) in [
            (
                medicines::PARACETAMOL,
                "1 g by mouth every day at 08:00, 12:00, 17:00 and 22:00",
            ),
            (medicines::BISOPROLOL, "2.5 mg by mouth every day at 08:00"),
            (
                medicines::ALENDRONIC,
                "70 mg by mouth once a week on Sunday at 07:00",
            ),
            (
                medicines::SALBUTAMOL,
                "2 puffs inhaled when needed for breathlessness, at most 4 doses in 24 hours",
            ),
            (
                medicines::LORAZEPAM,
                "0.5 mg by mouth when needed for distress, at most 2 doses in 24 hours",
            ),
        ] {
            assert_eq!(sentence(&medicine), expected);
        }
    }
}
