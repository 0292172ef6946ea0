//! What is printed: the chart of 28 days and the card that a patient carries. Must not use a colour alone:
//! paper is grey.

use askama::Template;

use crate::clinical::Banner;
use crate::components::Notice;
use crate::pages::Shell;

/// An order of the chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetOrder {
    /// The id of its element.
    pub id: String,
    /// The medicine.
    pub name: String,
    /// The dosage in words.
    pub words: String,
    /// How it stands: `Active`, `Stopped`.
    pub status: String,
    /// What cannot be shown, in words; may be empty.
    pub note: String,
    /// By clock time: the time, and a mark for each day with its words.
    pub rows: Vec<(String, Vec<(String, String)>)>,
    /// Doses of no due time, each in words.
    pub free: Vec<String>,
}

/// The chart on paper.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "medicines_sheet.html")]
pub struct SheetPage {
    /// Shell.
    pub shell: Shell,
    /// The banner.
    pub banner: Banner,
    /// The address of the patient's summary.
    pub patient: String,
    /// Back: address, words.
    pub back: (String, String),
    /// Other days: address, words.
    pub links: Vec<(String, String)>,
    /// From when until when.
    pub span: String,
    /// Allergies in words.
    pub allergies: String,
    /// The days: number and the day with its month.
    pub days: Vec<(String, String)>,
    /// The orders.
    pub orders: Vec<SheetOrder>,
    /// Marks with their words.
    pub legend: Vec<(&'static str, &'static str)>,
    /// What could not be read.
    pub notices: Vec<Notice>,
}

/// A medicine of the card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardItem {
    /// The medicine.
    pub what: String,
    /// What it is for.
    pub why: String,
    /// How much and when, in words.
    pub how: String,
    /// What else to know: held, review; may be empty.
    pub note: String,
}

/// The card of a patient.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "medicines_card.html")]
pub struct CardPage {
    /// Shell.
    pub shell: Shell,
    /// The banner.
    pub banner: Banner,
    /// The address of the patient's summary.
    pub patient: String,
    /// Back: address, words.
    pub back: (String, String),
    /// Other sizes: address, words.
    pub links: Vec<(String, String)>,
    /// Whether it is printed on A6.
    pub small: bool,
    /// Allergies in words.
    pub allergies: String,
    /// The medicines taken now.
    pub items: Vec<CardItem>,
    /// Those that are not to be taken now.
    pub held: Vec<CardItem>,
    /// When it was made.
    pub made: String,
}
