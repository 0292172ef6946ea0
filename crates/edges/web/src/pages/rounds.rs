//! Medication rounds: the round, one patient of it, the same on a device without a network, the chart of 28
//! days, and what a shift hands over. Must not show a dose as done, or a limit as kept, that was not told so.

use askama::Template;

use super::shell::Shell;
use crate::clinical::Banner;
use crate::components::{ErrorSummary, Field};

/// A patient on a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopView {
    /// Where their doses are recorded.
    pub href: String,
    /// Name.
    pub name: String,
    /// A picture, as a `data:` address.
    pub photo: Option<String>,
    /// `Born 05-Mar-1941`.
    pub born: String,
    /// `Room 4`.
    pub place: String,
    /// Allergies in words, and whether they ask for attention.
    pub allergies: (String, bool),
    /// Whether something is due, overdue or to be asked for, or cannot be told; else all of it is as needed.
    pub waits: bool,
    /// What is next, each with its time and its tag.
    pub lines: Vec<LineView>,
    /// What cannot be read.
    pub unreadable: Vec<String>,
    /// Sources of knowledge that told nothing of a medicine; empty where every one did.
    pub silent: String,
    /// What could not be checked of the patient.
    pub not_checked: Vec<String>,
    /// How many effects are to be asked for.
    pub effects: usize,
}

/// A medicine on a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineView {
    /// A name for elements of the page.
    pub key: String,
    /// Name of the medicine.
    pub name: String,
    /// How much at once: `2 tablets`, or `1 tablet to 2 tablets`.
    pub dose: Option<String>,
    /// The instruction.
    pub text: String,
    /// `08:00 to 09:00`, or when it was last given.
    pub when: String,
    /// `Overdue`, with its tone.
    pub tag: (String, &'static str),
    /// What speaks against it, or when it may be given.
    pub says: Vec<String>,
    /// Whether a witness signs.
    pub witness: bool,
    /// The form; none on the list.
    pub form: Option<DoseForm>,
}

/// The form of a dose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoseForm {
    /// Which order, dosage and due dose, the amount where there is one, and the key by which it is done once.
    pub hidden: Vec<(String, String)>,
    /// Outcome, amount, reason and, where it is needed, what for and who watched.
    pub fields: Vec<Field>,
    /// Whether it is open: something kept it from being recorded.
    pub open: bool,
    /// What kept it.
    pub problem: Option<ErrorSummary>,
}

/// The round.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "round.html")]
pub struct RoundPage {
    /// Shell.
    pub shell: Shell,
    /// `Thursday 5 March 2026, 08:00`.
    pub now: String,
    /// Place and time.
    pub fields: Vec<Field>,
    /// The patients of whom something is due, or cannot be told.
    pub stops: Vec<StopView>,
    /// Those who only may be given something when they need it.
    pub needed: Vec<StopView>,
    /// The page that works without a network.
    pub device: String,
    /// What a shift hands over.
    pub handover: String,
}

/// An effect to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectView {
    /// `Codeine 30mg tablet for headache, given 08:10`.
    pub text: String,
    /// The record.
    pub record: String,
    /// How well it helped, and a note.
    pub fields: Vec<Field>,
    /// What kept it from being recorded.
    pub problem: Option<ErrorSummary>,
}

/// One patient of a round.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "round_stop.html")]
pub struct StopPage {
    /// Shell.
    pub shell: Shell,
    /// Who.
    pub banner: Banner,
    /// The summary's address.
    pub summary: String,
    /// Back to the round.
    pub back: String,
    /// The chart.
    pub chart: String,
    /// Where the forms go.
    pub action: String,
    /// What kept a dose from being recorded that is not on the list any more.
    pub problem: Option<ErrorSummary>,
    /// The patient with the medicines.
    pub stop: StopView,
    /// Effects to be asked for.
    pub effects: Vec<EffectView>,
}

impl StopPage {
    fn script() -> String {
        crate::assets::address("scan.js")
    }
}

/// The round on a device; it holds nothing about anybody: the device's own memory does.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "round_device.html")]
pub struct DevicePage {
    /// Shell, of nobody.
    pub shell: Shell,
    /// The round.
    pub round: String,
    /// The module of this page.
    pub script: String,
}

/// A day of the chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayView {
    /// `Thu`.
    pub weekday: String,
    /// `5`.
    pub day: String,
    /// `Mar`, on the first day and where the month changes.
    pub month: String,
    /// `past`, `now` or `ahead`.
    pub state: &'static str,
}

/// A dose on the chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkView {
    /// `G`; `!` for a gap.
    pub letter: String,
    /// `08:00`.
    pub time: String,
    /// `Given 08:05, in its window`.
    pub words: String,
    /// `done`, `not`, `gap`, `due` or `ahead`.
    pub tone: &'static str,
}

/// An order on the chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowView {
    /// Name.
    pub name: String,
    /// The instruction.
    pub text: String,
    /// `Stopped`, where it is not in force.
    pub status: Option<String>,
    /// What is to be known: the last dose, from when the next may be given.
    pub notes: Vec<String>,
    /// By day.
    pub days: Vec<Vec<MarkView>>,
}

/// The chart.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "mar.html")]
pub struct MarPage {
    /// Shell.
    pub shell: Shell,
    /// Who.
    pub banner: Banner,
    /// The summary's address.
    pub summary: String,
    /// `6 February to 5 March 2026`.
    pub span: String,
    /// The days.
    pub days: Vec<DayView>,
    /// At fixed times.
    pub fixed: Vec<RowView>,
    /// When needed.
    pub needed: Vec<RowView>,
    /// What cannot be shown, in words.
    pub problems: Vec<String>,
    /// Letters with their meaning.
    pub key: Vec<(String, String)>,
    /// Earlier and later days.
    pub earlier: String,
    /// Later days, where there are any.
    pub later: Option<String>,
    /// Gaps in these days.
    pub gaps: usize,
}

/// What of one patient is handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedView {
    /// Name.
    pub name: String,
    /// Their doses.
    pub href: String,
    /// Place.
    pub place: String,
    /// What is to be known, the most pressing first.
    pub words: Vec<String>,
}

/// What a shift hands over.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "handover.html")]
pub struct HandoverPage {
    /// Shell.
    pub shell: Shell,
    /// `05-Mar-2026 08:00 to 20:00`.
    pub span: String,
    /// How long back.
    pub fields: Vec<Field>,
    /// Who has something to say.
    pub people: Vec<HandedView>,
    /// How many have nothing.
    pub quiet: usize,
}
