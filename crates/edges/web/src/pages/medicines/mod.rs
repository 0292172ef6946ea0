//! Pages of medicines: the home of the area, a patient's list, a step with an order. Must not call a
//! medicine checked where something of it was not: the gaps stand beside the alerts, on every page.

pub mod alert;
pub mod paper;
pub mod prescribe;
pub mod report;

use askama::Template;

use super::shell::Shell;
use super::today::{Figure, Section};
use crate::clinical::medication::Standing;
use crate::clinical::{AllergyStatus, Banner, MedicationLine};
use crate::components::{ErrorSummary, Field, Notice, Table, Tone};
pub use alert::{AlertView, Checks};

/// The home of the area.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "medicines_home.html")]
pub struct HomePage {
    /// Shell.
    pub shell: Shell,
    /// Figures on top.
    pub figures: Vec<Figure>,
    /// Pages of the area: address, name, what it is for.
    pub links: Vec<(String, String, String)>,
    /// The lists, most urgent first.
    pub sections: Vec<Section>,
}

/// A medicine of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The id of its element.
    pub id: String,
    /// The line.
    pub line: MedicationLine,
    /// Label and text: who prescribed it, when it is reviewed, the last dose.
    pub facts: Vec<(String, String)>,
    /// What wants attention: a review that is overdue, a pause.
    pub tags: Vec<(Tone, String)>,
    /// Alerts that concern it: id of the alert on this page, tone, words.
    pub alerts: Vec<(String, Tone, String)>,
    /// What can be done: address, words.
    pub steps: Vec<(String, String)>,
}

/// Medicines of one standing.
pub struct ItemGroup<'a> {
    /// Its heading.
    pub title: &'static str,
    /// The medicines.
    pub items: Vec<&'a Item>,
    /// Whether it is folded up.
    pub folded: bool,
}

/// The medicines of a patient.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "medicines_list.html")]
pub struct ListPage {
    /// Shell.
    pub shell: Shell,
    /// The banner.
    pub banner: Banner,
    /// The address of the patient's summary.
    pub patient: String,
    /// Pages that go with this one: address, words.
    pub links: Vec<(String, String)>,
    /// Where to prescribe; none where the person may not.
    pub prescribe: Option<String>,
    /// Allergies.
    pub allergies: AllergyStatus,
    /// The address of all allergies.
    pub allergies_href: String,
    /// What the checks say.
    pub checks: Checks,
    /// The medicines.
    pub items: Vec<Item>,
    /// Records of doses that cannot be read.
    pub unread: Vec<String>,
    /// Days back in which the last dose is looked for.
    pub dose_days: i64,
}

impl ListPage {
    fn groups(&self) -> Vec<ItemGroup<'_>> {
        [
            ("Not signed yet: not to be given", Standing::Draft, false),
            ("Active", Standing::Current, false),
            ("Paused", Standing::Paused, false),
            ("Status not recorded", Standing::Unknown, false),
            ("Stopped and past", Standing::Past, true),
        ]
        .into_iter()
        .map(|(title, standing, folded)| ItemGroup {
            title,
            items: self
                .items
                .iter()
                .filter(|item| item.line.standing == standing)
                .collect(),
            folded,
        })
        .filter(|group| !group.items.is_empty())
        .collect()
    }
}

/// A step with one order: stop, hold, resume, renew, sign as the second person.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "medicines_step.html")]
pub struct StepPage {
    /// Shell.
    pub shell: Shell,
    /// The banner.
    pub banner: Banner,
    /// The address of the patient's summary.
    pub patient: String,
    /// Back: address, words.
    pub back: (String, String),
    /// What the step does.
    pub lead: String,
    /// The order.
    pub line: MedicationLine,
    /// Who prescribed it and when.
    pub facts: Vec<(String, String)>,
    /// What went wrong.
    pub problem: Option<ErrorSummary>,
    /// What the checks say, where the step depends on them.
    pub checks: Option<Checks>,
    /// Where the form goes; empty where the step cannot be taken.
    pub action: String,
    /// Hidden fields.
    pub hidden: Vec<(String, String)>,
    /// The fields.
    pub fields: Vec<Field>,
    /// The words of the button.
    pub button: String,
    /// Whether it takes something away.
    pub danger: bool,
    /// Why the step cannot be taken by this person.
    pub barred: Option<Notice>,
    /// Further lists.
    pub tables: Vec<(String, Table)>,
}
