//! A page as it is printed: the columns that the law names, a balance on every line, corrections as notes
//! that cite the line they concern. Must not leave an entry out or show it other than it was written.

use kernel::Timestamp;
use rust_decimal::Decimal;

use super::{Entry, Leaving, Page, What};

/// A column. The statutory ones follow the form of register in the Misuse of Drugs Regulations 2001
/// (regulation 19 and schedule 6); balance, signatures and remarks are good practice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Its number.
    Number,
    /// Date of the supply obtained.
    DateObtained,
    /// Name and address from whom it was obtained.
    ObtainedFrom,
    /// Quantity obtained.
    QuantityObtained,
    /// Date of the supply.
    DateSupplied,
    /// Name and address to whom it was supplied.
    SuppliedTo,
    /// Authority to possess.
    Authority,
    /// Quantity supplied.
    QuantitySupplied,
    /// Who collected it.
    CollectedBy,
    /// Whether proof of identity was asked for.
    ProofAsked,
    /// Whether it was given.
    ProofGiven,
    /// Running balance.
    Balance,
    /// Who signed.
    Signed,
    /// Who witnessed.
    Witnessed,
    /// Late entries, counts, corrections.
    Remarks,
}

impl Column {
    /// All of them, from left to right.
    pub const ALL: [Self; 15] = [
        Self::Number,
        Self::DateObtained,
        Self::ObtainedFrom,
        Self::QuantityObtained,
        Self::DateSupplied,
        Self::SuppliedTo,
        Self::Authority,
        Self::QuantitySupplied,
        Self::CollectedBy,
        Self::ProofAsked,
        Self::ProofGiven,
        Self::Balance,
        Self::Signed,
        Self::Witnessed,
        Self::Remarks,
    ];

    /// Its heading.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Number => "No.",
            Self::DateObtained => "Date obtained",
            Self::ObtainedFrom => "Obtained from (name, address)",
            Self::QuantityObtained => "Quantity obtained",
            Self::DateSupplied => "Date supplied",
            Self::SuppliedTo => "Supplied to (name, address)",
            Self::Authority => "Authority to possess",
            Self::QuantitySupplied => "Quantity supplied",
            Self::CollectedBy => "Collected by",
            Self::ProofAsked => "Proof of identity requested",
            Self::ProofGiven => "Proof of identity provided",
            Self::Balance => "Balance",
            Self::Signed => "Signed",
            Self::Witnessed => "Witnessed",
            Self::Remarks => "Remarks",
        }
    }

    /// Whether the law names it.
    #[must_use]
    pub const fn is_statutory(self) -> bool {
        !matches!(
            self,
            Self::Number | Self::Balance | Self::Signed | Self::Witnessed | Self::Remarks
        )
    }
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    cells: Vec<(Column, String)>,
}

impl Row {
    /// What stands in a column; nothing is written where nothing applies.
    #[must_use]
    pub fn cell(&self, column: Column) -> &str {
        let found = self.cells.iter().find(|(own, _)| *own == column);
        found.map_or("", |(_, text)| text)
    }
}

/// A sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// Class, drug, form, strength and unit.
    pub title: String,
    /// From 1.
    pub sheet: usize,
    /// Of how many.
    pub of: usize,
    /// The balance at its head; none on the first.
    pub brought_forward: Option<Decimal>,
    /// The lines.
    pub rows: Vec<Row>,
    /// The balance at its foot.
    pub carried_forward: Decimal,
}

/// Prints a page on sheets of so many lines, at least one; an empty page is one empty sheet.
#[must_use]
pub fn print(page: &Page, lines: usize) -> Vec<Printed> {
    let heading = page.heading();
    let title = format!(
        "Schedule {}: {} {} {} ({})",
        heading.class.demands().schedule as u8 + 1,
        heading.drug,
        heading.strength,
        heading.form,
        page.unit().name()
    );
    let mut sheets: Vec<&[Entry]> = page.entries().chunks(lines.max(1)).collect();
    if sheets.is_empty() {
        sheets.push(&[]);
    }
    let of = sheets.len();
    let mut before = None;
    let mut printed = Vec::with_capacity(of);
    for (number, entries) in sheets.into_iter().enumerate() {
        let carried = entries.last().map_or(Decimal::ZERO, |own| own.balance);
        printed.push(Printed {
            title: title.clone(),
            sheet: number + 1,
            of,
            brought_forward: before,
            rows: entries.iter().map(|own| row(page, own)).collect(),
            carried_forward: carried,
        });
        before = Some(carried);
    }
    printed
}

/// A moment by the clock of the home.
fn time(page: &Page, at: Timestamp) -> String {
    let own = jiff::Timestamp::from_microsecond(at.as_micros());
    own.map_or_else(
        |_| at.to_string(),
        |own| {
            let own = own.to_zoned(page.zone().clone());
            own.strftime("%d %b %Y %H:%M").to_string()
        },
    )
}

fn row(page: &Page, entry: &Entry) -> Row {
    let person = |own: &super::Signature| {
        let proved = time(page, own.proved);
        format!("{}, {}, {proved}", own.name, own.role)
    };
    let mut cells = vec![
        (Column::Number, entry.number.to_string()),
        (Column::Balance, entry.balance.normalize().to_string()),
        (Column::Signed, person(entry.signed.by())),
        (Column::Witnessed, person(entry.signed.witness())),
    ];
    let happened = time(page, entry.happened);
    let mut remarks = moved(&entry.what, &happened, &mut cells);
    remarks.extend(note(&entry.what).map(|note| format!("{happened}: {note}")));
    if let Some(late) = &entry.late {
        let entered = time(page, entry.entered);
        remarks.push(format!("late entry, written {entered}: {}", late.reason));
    }
    let notes = page.entries().iter().filter_map(|own| match &own.what {
        What::Correction { of, .. } if *of == entry.number => Some(own.number),
        _ => None,
    });
    remarks.extend(notes.map(|number| format!("see correction No. {number}")));
    cells.push((Column::Remarks, remarks.join("; ")));
    Row { cells }
}

/// The columns of what came and went; answers the remarks on it.
fn moved(what: &What, happened: &str, cells: &mut Vec<(Column, String)>) -> Vec<String> {
    let party = |own: &super::Party| format!("{}, {}", own.name, own.address);
    match what {
        What::Obtained { from, quantity } => {
            cells.extend([
                (Column::DateObtained, happened.to_owned()),
                (Column::ObtainedFrom, party(from)),
                (Column::QuantityObtained, quantity.to_string()),
            ]);
            Vec::new()
        }
        What::Left {
            why,
            to,
            authority,
            quantity,
            collected,
            ..
        } => {
            cells.extend([
                (Column::DateSupplied, happened.to_owned()),
                (Column::SuppliedTo, party(to)),
                (Column::Authority, authority.clone()),
                (Column::QuantitySupplied, quantity.to_string()),
            ]);
            let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
            if let Some(own) = collected {
                cells.extend([
                    (Column::CollectedBy, own.by.clone()),
                    (Column::ProofAsked, yes(own.proof_asked)),
                    (Column::ProofGiven, yes(own.proof_given)),
                ]);
            }
            match why {
                Leaving::Administered | Leaving::Supplied => Vec::new(),
                Leaving::Returned => vec!["returned to the pharmacy".to_owned()],
                Leaving::Destroyed => vec!["destroyed".to_owned()],
            }
        }
        _ => Vec::new(),
    }
}

/// What is said of an entry that moved nothing.
fn note(what: &What) -> Option<String> {
    match what {
        What::Obtained { .. } | What::Left { .. } => None,
        What::BroughtForward { from, .. } => Some(format!("brought forward from {from}")),
        What::Counted { found } => Some(format!("counted, found {}", found.normalize())),
        What::Correction {
            of,
            should_be,
            note,
        } => {
            let should_be = should_be.normalize();
            Some(format!(
                "correction of No. {of}, quantity should be {should_be}: {note}"
            ))
        }
        What::Settled {
            incident,
            found,
            finding,
        } => {
            let found = found.normalize();
            Some(format!(
                "discrepancy {incident} settled at {found}: {finding}"
            ))
        }
    }
}
