//! Observations: single measurements, blood pressure, the early warning score and smoking status.

use super::{Chart, encounter};
use crate::calendar::Moment;
use crate::concepts::{Concept, Measure, measures, units};
use crate::json::{Decimal, Json, whole};

/// When something was seen, by which practitioner, in which encounter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) at: Moment,
    pub(crate) by: &'a str,
    pub(crate) encounter: Option<&'a str>,
}

/// A set of vital signs taken together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vitals {
    pub(crate) systolic: i32,
    pub(crate) diastolic: i32,
    pub(crate) pulse: i32,
    pub(crate) breathing: i32,
    pub(crate) oxygen: i32,
    /// Tenths of a degree Celsius.
    pub(crate) temperature: i32,
}

impl Vitals {
    /// The NEWS2 score of an alert person on air (Royal College of Physicians, 2017). `scale_2` is the
    /// oxygen scale for those whose target is 88 to 92 %.
    pub(crate) fn news2(&self, scale_2: bool) -> i32 {
        let breathing = match self.breathing {
            ..=8 | 25.. => 3,
            9..=11 => 1,
            12..=20 => 0,
            21..=24 => 2,
        };
        let oxygen = match (self.oxygen, scale_2) {
            (..=83, true) | (..=91, false) => 3,
            (84..=85, true) | (92..=93, false) => 2,
            (86..=87, true) | (94..=95, false) => 1,
            _ => 0,
        };
        let systolic = match self.systolic {
            ..=90 | 220.. => 3,
            91..=100 => 2,
            101..=110 => 1,
            111..=219 => 0,
        };
        let pulse = match self.pulse {
            ..=40 | 131.. => 3,
            41..=50 | 91..=110 => 1,
            51..=90 => 0,
            111..=130 => 2,
        };
        let temperature = match self.temperature {
            ..=350 => 3,
            351..=360 | 381..=390 => 1,
            361..=380 => 0,
            391.. => 2,
        };
        breathing + oxygen + systolic + pulse + temperature
    }
}

impl Chart {
    /// One measured value, in units of the measure's last decimal place.
    pub(crate) fn observe(&mut self, seen: &Seen<'_>, measure: &Measure, value: i32) -> String {
        self.put("Observation", "o", |j, patient| {
            head(j, patient, seen, measure.category, &measure.concept);
            let value = i64::from(value);
            let decimal = |scaled| Decimal {
                scaled,
                places: measure.places,
            };
            j.quantity("valueQuantity", decimal(value), &measure.unit);
            let (low, high) = measure.range;
            if (low, high) != (0, 0) {
                let flag = match value {
                    v if v < low => "L",
                    v if v > high => "H",
                    _ => "N",
                };
                j.list("interpretation", |j| {
                    j.object(|j| {
                        j.list("coding", |j| j.coding(INTERPRETATION, flag, ""));
                    });
                });
                j.one("referenceRange", |j| {
                    j.quantity("low", decimal(low), &measure.unit);
                    j.quantity("high", decimal(high), &measure.unit);
                });
            }
        })
    }

    /// A blood pressure with its two components.
    pub(crate) fn blood_pressure(
        &mut self,
        seen: &Seen<'_>,
        systolic: i32,
        diastolic: i32,
    ) -> String {
        self.put("Observation", "o", |j, patient| {
            head(j, patient, seen, "vital-signs", &measures::BLOOD_PRESSURE);
            j.list("component", |j| {
                for (concept, value) in [
                    (measures::SYSTOLIC, systolic),
                    (measures::DIASTOLIC, diastolic),
                ] {
                    j.object(|j| {
                        j.concept("code", &concept);
                        j.quantity("valueQuantity", whole(value), &units::MMHG);
                    });
                }
            });
        })
    }

    /// A full set of vital signs; with `oxygen_scale_2` given, also the NEWS2 score derived from it.
    pub(crate) fn vitals(&mut self, seen: &Seen<'_>, v: &Vitals, oxygen_scale_2: Option<bool>) {
        let derived = [
            self.blood_pressure(seen, v.systolic, v.diastolic),
            self.observe(seen, &measures::PULSE, v.pulse),
            self.observe(seen, &measures::BREATHING, v.breathing),
            self.observe(seen, &measures::OXYGEN, v.oxygen),
            self.observe(seen, &measures::TEMPERATURE, v.temperature),
        ];
        let Some(scale_2) = oxygen_scale_2 else {
            return;
        };
        let score = v.news2(scale_2);
        self.put("Observation", "o", |j, patient| {
            let news2 = &measures::NEWS2;
            head(j, patient, seen, news2.category, &news2.concept);
            j.quantity("valueQuantity", whole(score), &news2.unit);
            j.list("derivedFrom", |j| {
                for id in &derived {
                    j.object(|j| j.joined("reference", &["Observation/", id]));
                }
            });
        });
    }

    /// Weight in tenths of a kilogram; with a height in centimetres also the body mass index.
    pub(crate) fn weigh(&mut self, seen: &Seen<'_>, weight: i32, height: Option<i32>) {
        self.observe(seen, &measures::WEIGHT, weight);
        if let Some(height) = height.filter(|h| *h > 0) {
            self.observe(seen, &measures::HEIGHT, height);
            let index = (i64::from(weight) * 10_000) / (i64::from(height) * i64::from(height));
            self.observe(seen, &measures::BMI, index as i32);
        }
    }

    /// Tobacco smoking status.
    pub(crate) fn smoking(&mut self, seen: &Seen<'_>, answer: &Concept) {
        self.put("Observation", "o", |j, patient| {
            head(j, patient, seen, "social-history", &measures::SMOKING);
            j.concept("valueCodeableConcept", answer);
        });
    }
}

const INTERPRETATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

fn head(j: &mut Json, patient: &str, seen: &Seen<'_>, category: &str, code: &Concept) {
    j.text("status", "final");
    j.one("category", |j| {
        j.list("coding", |j| j.coding(CATEGORY, category, ""));
    });
    j.concept("code", code);
    j.refer("subject", "Patient", patient);
    encounter(j, "encounter", seen.encounter);
    j.time("effectiveDateTime", seen.at);
    j.time("issued", seen.at.later(4));
    j.refers("performer", "Practitioner", seen.by);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news2_follows_the_chart() {
        let well = Vitals {
            systolic: 130,
            diastolic: 75,
            pulse: 72,
            breathing: 16,
            oxygen: 97,
            temperature: 367,
        };
        let cases = [
            (well, false, 0),
            (Vitals { oxygen: 90, ..well }, false, 3),
            (Vitals { oxygen: 90, ..well }, true, 0),
            (
                Vitals {
                    breathing: 22,
                    ..well
                },
                false,
                2,
            ),
            (
                Vitals {
                    systolic: 98,
                    pulse: 112,
                    ..well
                },
                false,
                4,
            ),
            (
                Vitals {
                    temperature: 392,
                    ..well
                },
                false,
                2,
            ),
            (
                Vitals {
                    temperature: 350,
                    ..well
                },
                false,
                3,
            ),
        ];
        for (vitals, scale_2, expected) in cases {
            assert_eq!(vitals.news2(scale_2), expected, "{vitals:?}");
        }
    }
}
