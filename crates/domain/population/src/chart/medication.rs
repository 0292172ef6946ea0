//! Prescriptions with a structured dose, and the doses given under them. The text of a dose is made
//! from its structure, never written beside it.

use core::fmt::Write as _;

use super::{Chart, encounter};
use crate::calendar::{Day, Moment, Zone};
use crate::concepts::{Unit, plain};
use crate::json::{Decimal, Json};
use crate::medicines::{Medicine, Schedule};

const EFFECTS: &str = "https://theriac.example.org/fhir/CodeSystem/medication-effect";

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
    /// Last day of an order that was stopped.
    pub(crate) stop: Option<Day>,
    /// Given without the resident knowing.
    pub(crate) covert: bool,
    pub(crate) by: &'a str,
    /// The Condition it is for.
    pub(crate) condition: Option<&'a str>,
    pub(crate) encounter: Option<&'a str>,
}

/// What became of one dose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Given,
    SelfAdministered,
    Refused,
    Withheld,
    NotAvailable,
    Asleep,
    Away,
    Vomited,
    Destroyed,
    Other,
}

impl Outcome {
    /// Its code, and whether the resident took the medicine.
    const fn code(self) -> (&'static str, bool) {
        match self {
            Self::Given => ("given", true),
            Self::SelfAdministered => ("self-administered", true),
            Self::Refused => ("refused", false),
            Self::Withheld => ("withheld", false),
            Self::NotAvailable => ("not-available", false),
            Self::Asleep => ("asleep", false),
            Self::Away => ("away", false),
            Self::Vomited => ("vomited", true),
            Self::Destroyed => ("destroyed", false),
            Self::Other => ("other", false),
        }
    }

    /// HL7's code and words for a dose that was not taken.
    const fn hl7(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Asleep => Some(("c", "Asleep")),
            Self::Away => Some(("b", "Away")),
            _ => None,
        }
    }
}

/// The record that a record corrects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Corrects<'a> {
    pub(crate) of: &'a str,
    pub(crate) reason: &'static str,
}

/// One dose of a prescription.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dose<'a> {
    pub(crate) medicine: &'a Medicine,
    pub(crate) request: &'a str,
    /// When it was due; none where it was given when needed.
    pub(crate) due: Option<Moment>,
    pub(crate) at: Moment,
    pub(crate) entered: Moment,
    pub(crate) by: &'a str,
    pub(crate) witness: Option<&'a str>,
    pub(crate) outcome: Outcome,
    /// Why, in words.
    pub(crate) why: Option<&'a str>,
    /// What it was needed for.
    pub(crate) need: Option<&'a str>,
    pub(crate) corrects: Option<Corrects<'a>>,
}

/// The start of the addresses of extensions.
const BASE: &str = "https://theriac.example.org/fhir/StructureDefinition/";
const OUTCOMES: &str = "https://theriac.example.org/fhir/CodeSystem/medication-outcome";
const FUNCTIONS: &str = "https://theriac.example.org/fhir/CodeSystem/administration-function";

impl Chart {
    /// A MedicationRequest; gives its id.
    pub(crate) fn prescribe(&mut self, order: &Order<'_>) -> String {
        let zone = self.zone;
        self.put("MedicationRequest", "mr", |j, patient| {
            if order.is_extended() {
                j.list("extension", |j| order_extensions(j, order, zone));
            }
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

    /// An Observation: what a dose that was given when needed brought about.
    pub(crate) fn effect(
        &mut self,
        dose: &str,
        medicine: &Medicine,
        seen: (Moment, &str),
        code: &str,
    ) {
        let (at, by) = seen;
        self.put("Observation", "oe", |j, patient| {
            j.text("status", "final");
            j.obj("code", |j| {
                j.list("coding", |j| j.coding(EFFECTS, "effect", ""));
                j.text("text", &format!("Effect of {}", medicine.name));
            });
            j.refer("subject", "Patient", patient);
            j.refers("partOf", "MedicationAdministration", dose);
            j.time("effectiveDateTime", at);
            j.refers("performer", "Practitioner", by);
            j.status("valueCodeableConcept", EFFECTS, code);
        });
    }

    /// A MedicationAdministration: what became of a dose; gives its id.
    pub(crate) fn administer(&mut self, dose: &Dose<'_>) -> String {
        let (code, taken) = dose.outcome.code();
        self.put("MedicationAdministration", "ma", |j, patient| {
            j.list("extension", |j| extensions(j, dose, code));
            j.text("status", if taken { "completed" } else { "not-done" });
            if !taken {
                j.one("statusReason", |j| {
                    j.list("coding", |j| {
                        j.coding(OUTCOMES, code, "");
                        if let Some((code, display)) = dose.outcome.hl7() {
                            j.coding(NOT_GIVEN, code, display);
                        }
                    });
                    if let Some(why) = dose.why {
                        j.text("text", why);
                    }
                });
            }
            product(j, dose.medicine);
            j.refer("subject", "Patient", patient);
            j.time("effectiveDateTime", dose.at);
            j.list("performer", |j| {
                let own = [
                    Some(("giver", dose.by)),
                    dose.witness.map(|by| ("witness", by)),
                ];
                for (function, by) in own.into_iter().flatten() {
                    j.object(|j| {
                        j.status("function", FUNCTIONS, function);
                        j.refer("actor", "Practitioner", by);
                    });
                }
            });
            if let Some(need) = dose.need {
                j.one("reasonCode", |j| j.text("text", need));
            }
            j.refer("request", "MedicationRequest", dose.request);
            if taken {
                j.obj("dosage", |j| {
                    j.concept("route", &dose.medicine.route);
                    j.quantity("dose", amount(dose.medicine), &dose.medicine.unit);
                });
            }
        })
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

fn simple(j: &mut Json, name: &str, fill: impl FnOnce(&mut Json)) {
    j.object(|j| {
        j.joined("url", &[BASE, name]);
        fill(j);
    });
}

/// A part of a complex extension: its url and what writes its value.
type Part<'a> = (&'static str, &'a dyn Fn(&mut Json));

fn complex(j: &mut Json, name: &str, parts: &[Part<'_>]) {
    simple(j, name, |j| {
        j.list("extension", |j| {
            for (url, fill) in parts {
                j.object(|j| {
                    j.text("url", url);
                    fill(j);
                });
            }
        });
    });
}

fn extensions(j: &mut Json, dose: &Dose<'_>, code: &str) {
    simple(j, "administration-outcome", |j| j.text("valueCode", code));
    simple(j, "administration-entered", |j| {
        j.time("valueInstant", dose.entered);
    });
    if let Some(due) = dose.due {
        let mut at = Vec::new();
        due.write(&mut at);
        let at = String::from_utf8(at).unwrap_or_default();
        simple(j, "administration-slot", |j| {
            j.joined("valueString", &[dose.request, "/0/", &at, "/0"]);
        });
    }
    if let Some(why) = dose.why {
        simple(j, "administration-reason", |j| j.text("valueString", why));
    }
    if let Some(own) = dose.corrects {
        complex(
            j,
            "administration-corrects",
            &[
                ("of", &|j| j.text("valueId", own.of)),
                ("reason", &|j| j.text("valueString", own.reason)),
                ("void", &|j| j.flag("valueBoolean", false)),
            ],
        );
    }
    if let Some(need) = dose.need {
        let after = dose.medicine.plan.map_or(60, |(_, _, after)| after);
        complex(
            j,
            "administration-need",
            &[
                ("reason", &|j| j.text("valueString", need)),
                ("effectDue", &|j| {
                    j.time("valueInstant", dose.at.later(after));
                }),
            ],
        );
    }
}

/// What an order says that R4 has no place for.
fn order_extensions(j: &mut Json, order: &Order<'_>, zone: Zone) {
    let medicine = order.medicine;
    if let Some(stop) = order.stop {
        simple(j, "order-stop", |j| {
            j.time("valueDateTime", stop.at(1_439, zone));
        });
    }
    if medicine.critical {
        let flag = |j: &mut Json| j.flag("valueBoolean", true);
        complex(j, "order-window", &[("critical", &flag)]);
    }
    if let Some((apart, expected, after)) = medicine.plan {
        simple(j, "order-apart", |j| {
            j.int("valueInteger", i64::from(apart));
        });
        complex(
            j,
            "order-need-plan",
            &[
                ("expected", &|j| j.text("valueString", expected)),
                ("effectAfter", &|j| j.int("valueInteger", i64::from(after))),
            ],
        );
    }
    if order.covert {
        simple(j, "order-covert", |j| j.flag("valueBoolean", true));
    }
}

impl Order<'_> {
    fn is_extended(&self) -> bool {
        let medicine = self.medicine;
        self.stop.is_some() || self.covert || medicine.critical || medicine.plan.is_some()
    }
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
                "2 tablets by mouth every day at 08:00, 14:00 and 22:00",
            ),
            (
                medicines::BISOPROLOL,
                "1 tablet by mouth every day at 08:00",
            ),
            (
                medicines::ALENDRONIC,
                "1 tablet by mouth once a week on Sunday at 07:00",
            ),
            (
                medicines::SALBUTAMOL,
                "2 puffs inhaled when needed for breathlessness, at most 4 doses in 24 hours",
            ),
            (
                medicines::LORAZEPAM,
                "0.5 tablet by mouth when needed for distress, at most 2 doses in 24 hours",
            ),
        ] {
            assert_eq!(sentence(&medicine), expected);
        }
    }
}
