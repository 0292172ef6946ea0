//! Prescribing: finding a product, and the order with its line, words and checks beside it. Must not offer to
//! prescribe what was not shown with its checks: the form carries what was seen.

use askama::Template;

use super::alert::Checks;
use crate::clinical::{AllergyStatus, Banner, MedicationLine};
use crate::components::{ErrorSummary, Field, Notice, Table, Tone};
use crate::pages::Shell;

/// Finding the product.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "medicines_find.html")]
pub struct FindPage {
    /// Shell.
    pub shell: Shell,
    /// The banner.
    pub banner: Banner,
    /// The address of the patient's summary.
    pub patient: String,
    /// Back: address, words.
    pub back: (String, String),
    /// Allergies.
    pub allergies: AllergyStatus,
    /// The address of all allergies.
    pub allergies_href: String,
    /// Where the form goes.
    pub action: String,
    /// Hidden fields.
    pub hidden: Vec<(String, String)>,
    /// What is searched for.
    pub fields: Vec<Field>,
    /// What was found; none before a search.
    pub found: Option<Table>,
    /// A way on for what no list has: address, words.
    pub typed: Option<(String, String)>,
}

/// A step of the dosage: its number and fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFields {
    /// From 1.
    pub number: usize,
    /// How much.
    pub amount: Vec<Field>,
    /// When.
    pub when: Vec<Field>,
}

/// What a service elsewhere says of an order, or that it did not answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advice {
    /// The service.
    pub name: String,
    /// Its cards: colour, urgency, summary, more, whose advice it is.
    pub cards: Vec<AdviceCard>,
    /// What stands in place of cards; empty where there are some.
    pub none: String,
    /// Whether it did not answer.
    pub silent: bool,
}

/// A card of a service elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdviceCard {
    /// Its colour.
    pub tone: Tone,
    /// `Critical`, `Warning`, `Information`.
    pub urgency: &'static str,
    /// One sentence.
    pub summary: String,
    /// More; lines.
    pub detail: Vec<String>,
    /// Whose advice it is, by the card.
    pub source: String,
}

/// The line, the words and the checks of what is typed: a part of the page, also fetched by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Template)]
#[template(path = "components/preview.html")]
pub struct Preview {
    /// The line; none where something is missing.
    pub line: Option<MedicationLine>,
    /// The dosage in words.
    pub words: String,
    /// What the words do not say.
    pub unsaid: Vec<String>,
    /// What is missing or wrong: field id, text.
    pub wrong: Vec<(String, String)>,
    /// What the checks say.
    pub checks: Option<Checks>,
    /// Why nothing was checked.
    pub not_checked: Option<Notice>,
    /// Advice of services elsewhere.
    pub advice: Vec<Advice>,
    /// What was shown, as the form carries it back; empty where nothing can be prescribed.
    pub seen: String,
    /// Whether the order would wait for a second person.
    pub second: bool,
}
impl askama::filters::HtmlSafe for Preview {}

/// Writing the order.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "medicines_prescribe.html")]
pub struct PrescribePage {
    /// Shell.
    pub shell: Shell,
    /// The banner.
    pub banner: Banner,
    /// The address of the patient's summary.
    pub patient: String,
    /// Another product: address, words.
    pub back: (String, String),
    /// Allergies.
    pub allergies: AllergyStatus,
    /// The address of all allergies.
    pub allergies_href: String,
    /// The order that it takes the place of.
    pub replaced: Option<Notice>,
    /// The medicine: its name, and what is known of it.
    pub medicine: (String, Vec<String>),
    /// Names it is taken for.
    pub alike: Vec<String>,
    /// What went wrong.
    pub problem: Option<ErrorSummary>,
    /// Where the form goes.
    pub action: String,
    /// Where the preview alone is asked for.
    pub preview_action: String,
    /// Hidden fields.
    pub hidden: Vec<(String, String)>,
    /// The steps.
    pub steps: Vec<StepFields>,
    /// Whether a step may be added.
    pub may_add: bool,
    /// Route, first and last day, words.
    pub course: Vec<Field>,
    /// When needed.
    pub needed: Vec<Field>,
    /// What it is for, review, who witnesses.
    pub about: Vec<Field>,
    /// The preview.
    pub preview: Preview,
}

impl PrescribePage {
    fn script() -> String {
        crate::assets::address("prescribe.js")
    }
}
