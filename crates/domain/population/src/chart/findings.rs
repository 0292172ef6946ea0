//! Conditions, allergies, immunisations, procedures and care plans.

use super::{Chart, encounter, hl7};
use crate::calendar::{Day, Moment};
use crate::concepts::{Concept, others};

/// An allergy or intolerance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allergy {
    pub(crate) substance: Concept,
    /// `medication`, `food` or `environment`.
    pub(crate) category: &'static str,
    /// `high`, `low` or `unable-to-assess`.
    pub(crate) criticality: &'static str,
    pub(crate) reaction: Concept,
    /// `mild`, `moderate` or `severe`.
    pub(crate) severity: &'static str,
}

/// A care plan of one goal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) title: &'a str,
    pub(crate) activities: &'a [&'a str],
    pub(crate) start: Day,
    pub(crate) active: bool,
    pub(crate) by: &'a str,
    pub(crate) team: &'a str,
    pub(crate) condition: Option<&'a str>,
}

impl Chart {
    /// A Condition with the day it began and, when it is over, the day it ended; gives its id.
    pub(crate) fn condition(
        &mut self,
        concept: &Concept,
        (began, ended): (Day, Option<Day>),
        recorded: Day,
        during: Option<&str>,
    ) -> String {
        self.put("Condition", "c", |j, patient| {
            let status = if ended.is_some() {
                "resolved"
            } else {
                "active"
            };
            hl7(j, "clinicalStatus", "condition-clinical", status);
            hl7(j, "verificationStatus", "condition-ver-status", "confirmed");
            j.list("category", |j| {
                let category = if during.is_some() {
                    "encounter-diagnosis"
                } else {
                    "problem-list-item"
                };
                j.object(|j| j.list("coding", |j| j.coding(CATEGORY, category, "")));
            });
            j.concept("code", concept);
            j.refer("subject", "Patient", patient);
            encounter(j, "encounter", during);
            j.date("onsetDateTime", began);
            if let Some(ended) = ended {
                j.date("abatementDateTime", ended);
            }
            j.date("recordedDate", recorded);
        })
    }

    /// The statement that the patient was asked and has no allergy.
    pub(crate) fn no_known_allergy(&mut self, recorded: Day, by: &str) {
        self.put("AllergyIntolerance", "al", |j, patient| {
            allergy_head(j, patient, &others::NO_KNOWN_ALLERGY, None);
            j.date("recordedDate", recorded);
            j.refer("recorder", "Practitioner", by);
        });
    }

    /// An allergy that was told and that a test refuted.
    pub(crate) fn refuted_allergy(&mut self, substance: &Concept, recorded: Day, by: &str) {
        self.put("AllergyIntolerance", "al", |j, patient| {
            let status = "allergyintolerance-verification";
            hl7(j, "verificationStatus", status, "refuted");
            j.concept("code", substance);
            j.refer("patient", "Patient", patient);
            j.date("recordedDate", recorded);
            j.refer("recorder", "Practitioner", by);
        });
    }

    /// An AllergyIntolerance.
    pub(crate) fn allergy(&mut self, allergy: &Allergy, recorded: Day, by: &str) {
        self.put("AllergyIntolerance", "al", |j, patient| {
            allergy_head(j, patient, &allergy.substance, Some(allergy));
            j.date("recordedDate", recorded);
            j.refer("recorder", "Practitioner", by);
            j.one("reaction", |j| {
                j.concepts("manifestation", &allergy.reaction);
                j.text("severity", allergy.severity);
            });
        });
    }

    /// An Immunization.
    pub(crate) fn immunise(&mut self, vaccine: &Concept, at: Moment, by: &str) {
        self.put("Immunization", "im", |j, patient| {
            j.text("status", "completed");
            j.concept("vaccineCode", vaccine);
            j.refer("patient", "Patient", patient);
            j.time("occurrenceDateTime", at);
            j.flag("primarySource", true);
            j.one("performer", |j| {
                j.refer("actor", "Practitioner", by);
            });
        });
    }

    /// A Procedure done at a time.
    pub(crate) fn procedure(&mut self, concept: &Concept, at: Moment, by: &str, during: &str) {
        self.put("Procedure", "pr", |j, patient| {
            j.text("status", "completed");
            j.concept("code", concept);
            j.refer("subject", "Patient", patient);
            j.refer("encounter", "Encounter", during);
            j.obj("performedPeriod", |j| {
                j.time("start", at);
                j.time("end", at.later(15));
            });
            j.one("performer", |j| {
                j.refer("actor", "Practitioner", by);
            });
        });
    }

    /// A CarePlan.
    pub(crate) fn plan(&mut self, plan: &Plan<'_>) {
        self.put("CarePlan", "cp", |j, patient| {
            let status = if plan.active { "active" } else { "completed" };
            j.text("status", status);
            j.text("intent", "plan");
            j.concepts("category", &others::CARE_PLAN);
            j.text("title", plan.title);
            j.refer("subject", "Patient", patient);
            j.period("period", plan.start, None);
            j.refer("author", "Practitioner", plan.by);
            j.refers("careTeam", "CareTeam", plan.team);
            if let Some(condition) = plan.condition {
                j.refers("addresses", "Condition", condition);
            }
            j.list("activity", |j| {
                for activity in plan.activities {
                    j.object(|j| {
                        j.obj("detail", |j| {
                            let status = if plan.active {
                                "in-progress"
                            } else {
                                "completed"
                            };
                            j.text("status", status);
                            j.text("description", activity);
                        });
                    });
                }
            });
        });
    }
}

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/condition-category";

fn allergy_head(
    j: &mut crate::json::Json,
    patient: &str,
    code: &Concept,
    detail: Option<&Allergy>,
) {
    hl7(j, "clinicalStatus", "allergyintolerance-clinical", "active");
    hl7(
        j,
        "verificationStatus",
        "allergyintolerance-verification",
        "confirmed",
    );
    if let Some(allergy) = detail {
        j.text("type", "allergy");
        j.list("category", |j| j.item(allergy.category));
        j.text("criticality", allergy.criticality);
    }
    j.concept("code", code);
    j.refer("patient", "Patient", patient);
}
