//! The model card in the layout of the Coalition for Health AI (CHAI applied model card): sections of
//! headings and texts, for pages, terminals and documents alike. What the manifest declares fills it; the
//! `[card]` table adds what only its author knows. Must not invent: an empty place says "not stated".

use core::fmt::Write as _;

use super::attributes::SourceAttributes;
use super::manifest::{Evidence, Gives, Inputs, Manifest};

/// What stands where nothing was declared.
const NOT_STATED: &str = "not stated";

/// Keys of the `[card]` table, with the headings they fill.
const KEYS: [(&str, &str); 18] = [
    ("release_stage", "Release stage"),
    ("availability", "Global availability"),
    ("regulatory", "Regulatory approval"),
    ("keywords", "Keywords"),
    ("directions", "How to use"),
    ("biases", "Known biases or ethical considerations"),
    ("risk_level", "Clinical risk level"),
    ("model_type", "Model type"),
    ("foundation_models", "Foundation models used"),
    ("security", "Security and compliance environment"),
    ("third_parties", "Third-party information"),
    ("stakeholders", "Stakeholders consulted during design"),
    ("usefulness", "Usefulness, usability and efficacy"),
    ("fairness", "Fairness and equity"),
    ("safety", "Safety and reliability"),
    ("trials", "Clinical trials"),
    ("publications", "Peer-reviewed publications"),
    ("bibliography", "Bibliography"),
];

/// Whether a key belongs in the `[card]` table.
pub(super) fn is_key(key: &str) -> bool {
    KEYS.iter().any(|(known, _)| *known == key)
}

/// A part of the card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its heading.
    pub heading: &'static str,
    /// Its lines: what, and what is said of it.
    pub lines: Vec<(String, String)>,
}

/// A model card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Title and version.
    pub title: String,
    /// In CHAI's order.
    pub sections: Vec<Section>,
}

impl Manifest {
    /// The model card.
    #[must_use]
    pub fn card(&self) -> Card {
        Card {
            title: format!("{} {}", self.identity.title, self.identity.version),
            sections: vec![
                self.card_identity(),
                self.card_uses(),
                self.card_warnings(),
                self.card_ingredients(),
                self.card_metrics(),
                self.card_resources(),
                source_attributes(&self.attributes),
            ],
        }
    }

    fn written(&self, key: &str) -> (String, String) {
        let heading = KEYS
            .iter()
            .find(|(known, _)| *known == key)
            .map_or(key, |(_, heading)| heading);
        let text = self.card.get(key).map_or(NOT_STATED, String::as_str);
        (heading.to_owned(), text.to_owned())
    }

    fn card_identity(&self) -> Section {
        let identity = &self.identity;
        let released = identity.released.as_deref().unwrap_or(NOT_STATED);
        Section {
            heading: "Basic information",
            lines: vec![
                line("Name", identity.name.as_str()),
                line("Developer", &identity.developer),
                line("Contact", &identity.contact),
                line("Version", &identity.version.to_string()),
                line("Released", released),
                self.written("release_stage"),
                self.written("availability"),
                self.written("regulatory"),
                line("Licence", &identity.licence),
                line("Summary", &identity.summary),
                self.written("keywords"),
                line("Signed by", &self.signer.to_string()),
            ],
        }
    }

    fn card_uses(&self) -> Section {
        let intended = &self.intended;
        let sign_off = if intended.sign_off {
            "an answer counts only after a person signed it off"
        } else {
            "an answer counts without being signed off"
        };
        Section {
            heading: "Uses and directions",
            lines: vec![
                line("Intended use and workflow", &intended.purpose),
                line("Primary intended users", &intended.users.join("; ")),
                self.written("directions"),
                line("Targeted patient population", &intended.population),
                line("Setting", &intended.setting),
                line("Role in decisions", intended.role.word()),
                line("Sign-off", sign_off),
                line("Cautioned uses", &joined(&intended.cautions)),
            ],
        }
    }

    fn card_warnings(&self) -> Section {
        Section {
            heading: "Warnings",
            lines: vec![
                line(
                    "Known risks and limitations",
                    &joined(&self.intended.limits),
                ),
                self.written("biases"),
                self.written("risk_level"),
            ],
        }
    }

    fn card_ingredients(&self) -> Section {
        let attribute = |key: &str| self.attributes.get(key).unwrap_or(NOT_STATED);
        Section {
            heading: "Trust ingredients",
            lines: vec![
                line("Outcomes and outputs", &self.outputs()),
                self.written("model_type"),
                self.written("foundation_models"),
                line("Inputs", &self.input_names()),
                line("Development data", attribute("training_demographics")),
                line("Bias mitigation approaches", attribute("bias_approach")),
                line("Ongoing maintenance", attribute("validity_monitoring")),
                line("Change-control plan", &self.change_control.plan),
                self.written("security"),
                line("Funding source", attribute("funding")),
                self.written("third_parties"),
                self.written("stakeholders"),
                line("Calibration", &self.calibration_line()),
                line("Stated coverage", &self.coverage_line()),
            ],
        }
    }

    fn outputs(&self) -> String {
        let of_labels = |labels: &[super::manifest::Label]| -> String {
            let names: Vec<&str> = labels.iter().map(|label| label.name.as_str()).collect();
            names.join(", ")
        };
        match &self.output.gives {
            Gives::Classes { labels, event } => {
                let risk = labels.get(*event).map_or("", |label| label.name.as_str());
                format!(
                    "probability of {}; the risk is that of {risk}",
                    of_labels(labels)
                )
            }
            Gives::Number { unit } => format!("a number in {}", unit.as_deref().unwrap_or("1")),
            Gives::Quantiles { unit } => {
                let unit = unit.as_deref().unwrap_or("1");
                format!("a number in {unit} with a low and a high quantile")
            }
            Gives::Mask { labels } => format!("a mask of {}", of_labels(labels)),
        }
    }

    fn input_names(&self) -> String {
        match &self.inputs {
            Inputs::Features { inputs, .. } => {
                let titles: Vec<&str> = inputs.iter().map(|input| input.title.as_str()).collect();
                titles.join(", ")
            }
            Inputs::Image { image, .. } => format!("images of modality {}", image.modality),
        }
    }

    fn calibration_line(&self) -> String {
        let word = self.calibration.word();
        let Some(summary) = &self.calibration_summary else {
            return NOT_STATED.to_owned();
        };
        let mut text = format!("{word}, on {} cases of {}", summary.cases, summary.data);
        for (name, pair) in [
            ("expected calibration error", summary.error),
            ("Brier score", summary.brier),
        ] {
            if let Some((before, after)) = pair {
                let _ = write!(text, "; {name} {before} before, {after} after");
            }
        }
        text
    }

    fn coverage_line(&self) -> String {
        self.conformal
            .as_ref()
            .map_or(NOT_STATED.to_owned(), |conformal| {
                let share = 100.0 * (1.0 - conformal.level.alpha());
                let cases = conformal.groups.pooled().count();
                format!("{share:.1} %, from {cases} calibration cases")
            })
    }

    fn card_metrics(&self) -> Section {
        let mut lines: Vec<(String, String)> = self.evidence.iter().map(measured).collect();
        if lines.is_empty() {
            lines.push(line("Performance", NOT_STATED));
        }
        lines.extend(["usefulness", "fairness", "safety"].map(|key| self.written(key)));
        Section {
            heading: "Key metrics",
            lines,
        }
    }

    fn card_resources(&self) -> Section {
        let mut lines: Vec<(String, String)> = self
            .guidelines
            .iter()
            .map(|guideline| line(&guideline.title, &guideline.url))
            .collect();
        lines.extend(["trials", "publications", "bibliography"].map(|key| self.written(key)));
        Section {
            heading: "Resources",
            lines,
        }
    }
}

fn line(what: &str, text: &str) -> (String, String) {
    (what.to_owned(), text.to_owned())
}

fn joined(list: &[String]) -> String {
    if list.is_empty() {
        NOT_STATED.to_owned()
    } else {
        list.join("; ")
    }
}

fn measured(evidence: &Evidence) -> (String, String) {
    let mut text = evidence.value.to_string();
    if let Some(interval) = evidence.interval {
        let _ = write!(text, " ({} to {})", interval.low, interval.high);
    }
    let _ = write!(text, " on {} cases of {}", evidence.cases, evidence.data);
    (format!("{}, {}", evidence.metric, evidence.slice), text)
}

fn source_attributes(attributes: &SourceAttributes) -> Section {
    Section {
        heading: "Source attributes (45 CFR 170.315(b)(11)(iv)(B))",
        lines: attributes
            .iter()
            .map(|(attribute, text)| {
                let asked = format!("{} {}", attribute.number, attribute.asked);
                (asked, text.unwrap_or(NOT_STATED).to_owned())
            })
            .collect(),
    }
}
