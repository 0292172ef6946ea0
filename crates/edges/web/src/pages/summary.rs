//! The patient summary: banner, allergies, conditions, medicines, observations, encounters,
//! immunisations, appointments. A part that could not be read says so; it is never shown as empty.

use askama::Template;

use super::shell::Shell;
use crate::chart::Trend;
use crate::clinical::events::Event;
use crate::clinical::medication::{MedicationLine, Standing};
use crate::clinical::observation::ResultLine;
use crate::clinical::{AllergyStatus, Banner};
use crate::components::{Cell, Notice, Piece, Table, Tone};

/// A part of the record: read (and whether more exists than is shown), or not available.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<T> {
    /// Read.
    Read {
        /// What was read.
        items: T,
        /// Whether more exists than was read.
        more: bool,
    },
    /// Could not be read.
    Unavailable,
    /// The person's role does not show it; said once on the page.
    Hidden,
}

impl<T> Part<T> {
    /// Read completely.
    pub const fn read(items: T) -> Self {
        Self::Read { items, more: false }
    }
    /// Whether the page has this part at all.
    const fn is_shown(&self) -> bool {
        !matches!(self, Self::Hidden)
    }
    /// Said above a list that was cut at its limit.
    fn cut(&self) -> Option<Notice> {
        matches!(self, Self::Read { more: true, .. }).then(|| {
            Notice::new(
                Tone::Warn,
                "Not everything is shown here",
                "The list was cut at its limit. Open the full list to see the rest.",
            )
        })
    }
}

impl<A, B> Part<(A, B)> {
    /// Two parts that were read together.
    pub fn split(self) -> (Part<A>, Part<B>) {
        match self {
            Self::Read {
                items: (a, b),
                more,
            } => (Part::Read { items: a, more }, Part::Read { items: b, more }),
            Self::Unavailable => (Part::Unavailable, Part::Unavailable),
            Self::Hidden => (Part::Hidden, Part::Hidden),
        }
    }
}

/// The page.
#[derive(Debug, Clone, PartialEq, Template)]
#[template(path = "summary.html")]
pub struct SummaryPage {
    /// Shell.
    pub shell: Shell,
    /// The banner.
    pub banner: Banner,
    /// The address of this summary.
    pub base: String,
    /// Allergies; `None` where the person's role does not show them (PAB-0008).
    pub allergies: Option<AllergyStatus>,
    /// The address of all allergies.
    pub allergies_href: String,
    /// Conditions.
    pub conditions: Part<Vec<Event>>,
    /// Medicines.
    pub medicines: Part<Vec<MedicationLine>>,
    /// Plots.
    pub trends: Part<Vec<Trend>>,
    /// Latest results.
    pub results: Part<Vec<ResultLine>>,
    /// Encounters.
    pub encounters: Part<Vec<Event>>,
    /// Immunisations.
    pub immunisations: Part<Vec<Event>>,
    /// Appointments.
    pub appointments: Part<Vec<Event>>,
    /// Observations left out because they were entered in error.
    pub in_error: usize,
    /// Whether the person may see who looked at this patient.
    pub may_audit: bool,
}

/// Medicines of one standing.
pub struct MedicineGroup<'a> {
    /// Its heading.
    pub title: &'static str,
    /// The lines.
    pub lines: Vec<&'a MedicationLine>,
    /// Whether it is folded up.
    pub folded: bool,
}

/// Plots under one heading.
pub struct TrendGroup<'a> {
    /// The heading.
    pub title: &'static str,
    /// The plots.
    pub trends: Vec<&'a Trend>,
}

impl SummaryPage {
    /// The plots by kind of measurement; they come in that order.
    fn trend_groups(&self) -> Vec<TrendGroup<'_>> {
        let Part::Read { items, .. } = &self.trends else {
            return Vec::new();
        };
        items
            .chunk_by(|a, b| a.series.group == b.series.group)
            .map(|chunk| TrendGroup {
                title: chunk.first().map_or("", |trend| trend.series.group.title()),
                trends: chunk.iter().collect(),
            })
            .collect()
    }

    /// Whether the role hides clinical parts.
    fn is_limited(&self) -> bool {
        self.allergies.is_none() || !self.medicines.is_shown() || !self.conditions.is_shown()
    }

    fn medicine_groups(&self) -> Vec<MedicineGroup<'_>> {
        let Part::Read { items, .. } = &self.medicines else {
            return Vec::new();
        };
        [
            ("Current", Standing::Current, false),
            ("Not signed yet: not to be given", Standing::Draft, false),
            ("Paused", Standing::Paused, false),
            ("Status not recorded", Standing::Unknown, false),
            ("Past", Standing::Past, true),
        ]
        .into_iter()
        .map(|(title, standing, folded)| MedicineGroup {
            title,
            lines: items
                .iter()
                .filter(|line| line.standing == standing)
                .collect(),
            folded,
        })
        .filter(|group| !group.lines.is_empty())
        .collect()
    }

    fn results_table(lines: &[ResultLine]) -> Table {
        let mut table = Table::new(
            "Latest results",
            &["Test", "Result", "Against range", "Reference range", "When"],
            "No observations recorded.",
        );
        for line in lines {
            let raised = line.flag.as_ref().is_some_and(|flag| flag.raised);
            let mut name = Cell::link(&line.href, &line.name);
            if let Some(status) = &line.status {
                name = name.and(Piece::Tag(Tone::Info, status.clone()));
            }
            let flag = match &line.flag {
                Some(flag) => Cell::tag(
                    if flag.raised { Tone::Warn } else { Tone::Plain },
                    &flag.words,
                ),
                None => Cell::text("Not stated"),
            };
            let cells = vec![
                name,
                Cell(vec![Piece::Strong(line.value.clone())]),
                flag,
                Cell::text(&line.range),
                Cell::when(line.when.clone()),
            ];
            table = if raised {
                table.raised_row(cells)
            } else {
                table.row(cells)
            };
        }
        table
    }

    fn event_table(caption: &str, what: &str, when: &str, events: &[Event], empty: &str) -> Table {
        let mut table = Table::new(caption, &[what, "Status", when], empty);
        for event in events {
            let mut period = Cell::when(event.when.clone());
            if let Some(until) = &event.until
                && until.text != event.when.text
            {
                period = period
                    .and(Piece::Text("to".to_owned()))
                    .and(Piece::When(until.clone()));
            }
            table = table.row(vec![
                Cell::link(&event.href, &event.what).minor(&event.details.join(", ")),
                Cell::tag(
                    if event.current {
                        Tone::Info
                    } else {
                        Tone::Plain
                    },
                    &event.status,
                ),
                period,
            ]);
        }
        table
    }
}
