//! What the checks found, as people read it: alerts by tier with every source, and what was not checked.
//! Must not hide a tier and must not flash: the words carry the weight, the colour only repeats it.

use askama::Template;

use crate::components::{Choice, Field, Tone};

/// How an alert wants to be answered on the prescribing page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Reason and words.
    pub fields: Vec<Field>,
    /// The name of the hidden field that holds what the answer is for, and its value.
    pub fingerprint: (String, String),
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertView {
    /// The id of its element.
    pub id: String,
    /// `Contraindicated`, `High`, `Moderate`, `Low`.
    pub tier: &'static str,
    /// Its colour.
    pub tone: Tone,
    /// Whether it holds up prescribing until it is answered.
    pub interrupts: bool,
    /// The medicines it is about.
    pub title: String,
    /// `Interaction`, `Allergy`.
    pub kind: &'static str,
    /// What may happen, why, what to do: label and text, each finding's own.
    pub says: Vec<(&'static str, String)>,
    /// Rule, source, version and evidence of each finding.
    pub sources: Vec<String>,
    /// The data that fired it: address (may be empty), words.
    pub data: Vec<(String, String)>,
    /// How it stands: answered, by what; may be empty.
    pub state: String,
    /// How to answer it.
    pub answer: Option<Answer>,
}

/// What the checks say.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "components/checks.html")]
pub struct Checks {
    /// Alerts, the loudest first.
    pub alerts: Vec<AlertView>,
    /// What was not checked, in words.
    pub not_checked: Vec<String>,
    /// Source, version and hash of the knowledge.
    pub release: String,
    /// How many medicines were compared.
    pub compared: usize,
}
impl askama::filters::HtmlSafe for Checks {}

impl Checks {
    /// Alerts that interrupt or stand inline.
    fn loud(&self) -> Vec<&AlertView> {
        self.alerts.iter().filter(|one| one.tier != "Low").collect()
    }
    /// Alerts that are listed.
    fn quiet(&self) -> Vec<&AlertView> {
        self.alerts.iter().filter(|one| one.tier == "Low").collect()
    }
}

/// The coded reasons of overrides with what people read.
pub const REASONS: [(&str, &str); 9] = [
    ("benefit-outweighs-risk", "The benefit outweighs the risk"),
    ("monitored", "It is watched by tests or observation"),
    ("tolerated-before", "Taken before without harm"),
    ("adjusted", "Dose or time was changed to lower the risk"),
    ("specialist-advice", "A specialist's plan"),
    ("short-course", "Short course"),
    ("end-of-life", "End of life"),
    (
        "not-applicable",
        "The alert does not fit this patient (say why)",
    ),
    ("other", "Another reason (say which)"),
];

impl Answer {
    /// The fields of an answer with what was chosen.
    #[must_use]
    pub fn of(
        number: usize,
        fingerprint: &str,
        contraindicated: bool,
        (reason, text): (&str, &str),
        error: Option<&str>,
    ) -> Self {
        let mut choices = vec![Choice::new("", "Choose a reason", reason.is_empty())];
        let known = REASONS.iter();
        choices.extend(known.map(|(code, words)| Choice::new(code, words, *code == reason)));
        let name = format!("reason-{number}");
        let mut own = Field::select(&name, "Reason to go on", choices);
        if let Some(error) = error {
            own = own.error(error);
        }
        let mut words = Field::text(&format!("text-{number}"), "In words").value(text);
        words.width = "field-long";
        if !contraindicated {
            words = words.optional();
        }
        Self {
            fields: vec![own, words],
            fingerprint: (format!("alert-{number}"), fingerprint.to_owned()),
        }
    }
}
