//! Alerts and overrides by rule, with the history of a patient's medicines: tables, and bars beside the first.
//! Must not show a figure in the plot that the table lacks.

use askama::Template;

use crate::clinical::Banner;
use crate::components::{ErrorSummary, Field, Notice, Table};
use crate::pages::Shell;
use crate::pages::today::Figure;

/// A bar of the plot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// The rule.
    pub label: String,
    /// Overridden and followed.
    pub overridden: u64,
    /// Followed.
    pub accepted: u64,
}

/// Where a bar stands in the plot.
pub struct Drawn<'a> {
    /// The bar.
    pub bar: &'a Bar,
    /// Its upper edge.
    pub y: usize,
    /// The line of its label.
    pub text_y: usize,
    /// Width of the overridden.
    pub overridden: u64,
    /// Width of the followed.
    pub accepted: u64,
    /// Where the figures stand.
    pub end: u64,
}

/// The report on alerts.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "medicines_alerts.html")]
pub struct AlertsPage {
    /// Shell.
    pub shell: Shell,
    /// Back: address, words.
    pub back: (String, String),
    /// What it is.
    pub lead: String,
    /// What went wrong.
    pub problem: Option<ErrorSummary>,
    /// Where the form goes.
    pub action: String,
    /// From, until.
    pub fields: Vec<Field>,
    /// Usual periods: address, words.
    pub periods: Vec<(String, String)>,
    /// Figures on top.
    pub figures: Vec<Figure>,
    /// Bars of the rules that were shown most.
    pub bars: Vec<Bar>,
    /// What is missing.
    pub gap: Option<Notice>,
    /// Lists: id, heading, sentence, list.
    pub sections: Vec<(String, String, String, Table)>,
}

impl AlertsPage {
    /// The bars as they are drawn: 360 wide at the most.
    fn drawn(&self) -> Vec<Drawn<'_>> {
        let most = self
            .bars
            .iter()
            .map(|bar| bar.overridden + bar.accepted)
            .max();
        let most = most.unwrap_or(1).max(1);
        self.bars
            .iter()
            .enumerate()
            .map(|(at, bar)| {
                let overridden = bar.overridden * 360 / most;
                let accepted = bar.accepted * 360 / most;
                Drawn {
                    bar,
                    y: at * 44 + 20,
                    text_y: at * 44 + 14,
                    overridden,
                    accepted,
                    end: overridden + accepted + 6,
                }
            })
            .collect()
    }

    fn height(&self) -> usize {
        self.bars.len() * 44 + 6
    }
}

/// A page about a patient's medicines that is lists alone: history, today.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "medicines_tables.html")]
pub struct TablesPage {
    /// Shell.
    pub shell: Shell,
    /// The banner.
    pub banner: Banner,
    /// The address of the patient's summary.
    pub patient: String,
    /// Back: address, words.
    pub back: (String, String),
    /// A sentence below the heading.
    pub lead: String,
    /// What wants attention.
    pub notices: Vec<Notice>,
    /// Pages that go with it.
    pub links: Vec<(String, String)>,
    /// Lists: id, heading, list.
    pub sections: Vec<(String, String, Table)>,
}
