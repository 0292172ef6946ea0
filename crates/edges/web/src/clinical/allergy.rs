//! Whether a patient has allergies, in exactly one of four titles (PAB-0064). Unknown is never shown as
//! safe: only a record that says so gives "No known allergies".

use fhir::json::Value;

use super::code::{concept_at, concepts, first_code, has_code, items, text};
use super::date::{When, Zone};

/// SNOMED CT "No known allergy".
pub const NO_KNOWN_ALLERGY: &str = "716186003";
/// Negations of a part only: they do not say that there is no allergy at all.
const PARTIAL_NEGATIONS: [&str; 4] = ["409137002", "429625007", "428607008", "428197003"];

/// One allergy or intolerance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allergy {
    /// The causative agent, as recorded (ADR-0012).
    pub agent: String,
    /// Whether it is coded: coded agents are shown in bold (ADR-0037, ADR-0038).
    pub coded: bool,
    /// Past reactions: `+` within one event, `,` between events (ADR-0022, ADR-0023).
    pub reactions: String,
    /// `High criticality`, where recorded so.
    pub high: bool,
    /// `Unconfirmed`, where not confirmed.
    pub unconfirmed: bool,
    /// When the record of it was last updated (PAB-0065).
    pub updated: Option<When>,
    /// Where to see the whole resource.
    pub href: String,
}

/// The one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllergyStatus {
    /// There are some; `contradicted` where the record also says there are none.
    Known {
        /// By agent.
        allergies: Vec<Allergy>,
        /// Whether a "no known allergy" entry stands beside them.
        contradicted: bool,
        /// Whether more exist than were read.
        more: bool,
    },
    /// Somebody checked and recorded that there are none.
    NoneKnown {
        /// When recorded.
        recorded: Option<When>,
    },
    /// Nobody recorded anything that answers the question.
    NotRecorded {
        /// What is recorded and does not answer it, such as "No known drug allergy".
        note: Option<String>,
    },
    /// The record could not be read.
    Unavailable,
}

impl AllergyStatus {
    /// The title: one of exactly four (PAB-0064).
    #[must_use]
    pub const fn title(&self) -> &'static str {
        match self {
            Self::Known { .. } => "Known allergies",
            Self::NoneKnown { .. } => "No known allergies",
            Self::NotRecorded { .. } => "Allergies not recorded",
            Self::Unavailable => "Allergies unavailable",
        }
    }
    /// The word that picks the icon and colours.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Known { .. } => "known",
            Self::NoneKnown { .. } => "none-known",
            Self::NotRecorded { .. } => "not-recorded",
            Self::Unavailable => "unavailable",
        }
    }

    /// From the patient's AllergyIntolerance resources, each with its address; `None` where they could
    /// not be read; `more` where the reading stopped at a limit.
    #[must_use]
    pub fn of(resources: Option<&[(Value<'_>, String)]>, more: bool, zone: &Zone) -> Self {
        let Some(resources) = resources else {
            return Self::Unavailable;
        };
        let mut allergies = Vec::new();
        let mut none_known: Option<Option<When>> = None;
        let mut note = None;
        for (resource, href) in resources {
            match verification(*resource).as_deref() {
                Some("entered-in-error") => continue,
                Some("refuted") => {
                    note = Some("Refuted allergies are in the record".to_owned());
                    continue;
                }
                _ => {}
            }
            let code = resource.get("code");
            if code.is_some_and(|code| has_code(code, &[NO_KNOWN_ALLERGY])) {
                none_known = Some(updated(*resource, zone));
            } else if code.is_some_and(|code| has_code(code, &PARTIAL_NEGATIONS)) {
                note = concept_at(*resource, "code");
            } else if is_past(*resource) {
                note = Some("Past allergies are in the record".to_owned());
            } else {
                allergies.push(Allergy::of(*resource, zone, href.clone()));
            }
        }
        allergies.sort_by_key(|allergy| allergy.agent.to_lowercase());
        if !allergies.is_empty() {
            return Self::Known {
                allergies,
                contradicted: none_known.is_some(),
                more,
            };
        }
        match none_known {
            // A page that ended early could hide an allergy: then nothing is claimed.
            Some(recorded) if !more => Self::NoneKnown { recorded },
            _ if more => Self::Unavailable,
            _ => Self::NotRecorded { note },
        }
    }
}

fn verification(resource: Value<'_>) -> Option<String> {
    first_code(resource, "verificationStatus")
}

fn is_past(resource: Value<'_>) -> bool {
    matches!(
        first_code(resource, "clinicalStatus").as_deref(),
        Some("resolved" | "inactive")
    )
}

fn updated(resource: Value<'_>, zone: &Zone) -> Option<When> {
    When::member(resource, "recordedDate", zone).or_else(|| {
        resource
            .get("meta")
            .and_then(|meta| When::member(meta, "lastUpdated", zone))
    })
}

impl Allergy {
    fn of(resource: Value<'_>, zone: &Zone, href: String) -> Self {
        let events: Vec<String> = items(resource, "reaction")
            .map(|event| {
                let mut shown = concepts(event, "manifestation").join(" + ");
                if let Some(severity) = text(event, "severity") {
                    shown.push_str(" (");
                    shown.push_str(&severity);
                    shown.push(')');
                }
                shown
            })
            .filter(|event| !event.is_empty())
            .collect();
        let code = resource.get("code");
        Self {
            agent: concept_at(resource, "code")
                .unwrap_or_else(|| "Substance not recorded".to_owned()),
            coded: code.is_some_and(|code| items(code, "coding").next().is_some()),
            reactions: if events.is_empty() {
                "Past reactions not recorded".to_owned()
            } else {
                events.join(", ")
            },
            high: text(resource, "criticality").as_deref() == Some("high"),
            unconfirmed: verification(resource).as_deref() == Some("unconfirmed"),
            updated: updated(resource, zone),
            href,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clinical::tests_support::parse;

    fn status(bodies: Option<&[&str]>, more: bool) -> AllergyStatus {
        let documents: Vec<_> = bodies
            .unwrap_or_default()
            .iter()
            .map(|body| parse(body))
            .collect();
        let values: Vec<_> = documents
            .iter()
            .map(|document| (document.root(), String::new()))
            .collect();
        AllergyStatus::of(bodies.map(|_| values.as_slice()), more, &Zone::named("UTC"))
    }

    const PENICILLIN: &str = r#"{"code":{"coding":[{"code":"91936005"}],"text":"Penicillin"},"criticality":"high","reaction":[{"manifestation":[{"text":"rash"},{"text":"wheeze"}]},{"manifestation":[{"text":"anaphylaxis"}]}]}"#;
    const NONE: &str =
        r#"{"code":{"coding":[{"system":"http://snomed.info/sct","code":"716186003"}]}}"#;
    const NO_DRUG: &str =
        r#"{"code":{"coding":[{"code":"409137002"}],"text":"No known drug allergy"}}"#;
    const WRONG: &str =
        r#"{"verificationStatus":{"coding":[{"code":"entered-in-error"}]},"code":{"text":"Nuts"}}"#;
    const RESOLVED: &str =
        r#"{"clinicalStatus":{"coding":[{"code":"resolved"}]},"code":{"text":"Egg"}}"#;

    #[test]
    fn pab_0064_exactly_one_of_four_titles() {
        for (bodies, more, title) in [
            (Some(&[PENICILLIN][..]), false, "Known allergies"),
            (Some(&[NONE][..]), false, "No known allergies"),
            (Some(&[][..]), false, "Allergies not recorded"),
            (None, false, "Allergies unavailable"),
            (Some(&[PENICILLIN, NONE][..]), false, "Known allergies"),
            (Some(&[NO_DRUG][..]), false, "Allergies not recorded"),
            (Some(&[WRONG][..]), false, "Allergies not recorded"),
            (Some(&[RESOLVED][..]), false, "Allergies not recorded"),
            (Some(&[NONE, WRONG][..]), false, "No known allergies"),
            (Some(&[NONE][..]), true, "Allergies unavailable"),
            (Some(&[][..]), true, "Allergies unavailable"),
            (Some(&[PENICILLIN][..]), true, "Known allergies"),
        ] {
            assert_eq!(status(bodies, more).title(), title, "{bodies:?}");
        }
    }

    #[test]
    fn adr_0022_0023_reactions_within_and_between_events() {
        let AllergyStatus::Known {
            allergies,
            contradicted,
            ..
        } = status(Some(&[PENICILLIN, NONE]), false)
        else {
            panic!("known")
        };
        assert_eq!(allergies[0].reactions, "rash + wheeze, anaphylaxis");
        assert!(allergies[0].high && allergies[0].coded && contradicted);
    }

    #[test]
    fn adr_0019_unknown_reactions_are_said_to_be_unknown() {
        let AllergyStatus::Known { allergies, .. } =
            status(Some(&[r#"{"code":{"text":"Latex"}}"#]), false)
        else {
            panic!("known")
        };
        assert_eq!(allergies[0].reactions, "Past reactions not recorded");
        assert!(!allergies[0].coded);
    }
}
