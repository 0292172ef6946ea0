//! Patient search and list. Must not show clinical content of many patients side by side beyond the
//! alerts a role works with, and no patient banner (PAB-0015, MPB-0016).

use askama::Template;

use super::shell::Shell;
use crate::clinical::Banner;
use crate::components::{Cell, ErrorSummary, Field, Paging, Piece, Table, Tone};

/// The page.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "patients.html")]
pub struct PatientsPage {
    /// Shell.
    pub shell: Shell,
    /// What is wrong with the search.
    pub problem: Option<ErrorSummary>,
    /// The search fields.
    pub fields: Vec<Field>,
    /// Whether something was searched for.
    pub searched: bool,
    /// The list.
    pub table: Table,
    /// Pages.
    pub paging: Paging,
}

/// One patient of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientRow {
    /// Who.
    pub banner: Banner,
    /// The summary's address.
    pub href: String,
}

/// The search fields with what was searched for.
#[must_use]
pub fn search_fields(name: &str, born: &str, number: &str) -> Vec<Field> {
    let mut fields = vec![
        Field::search("name", "Name")
            .value(name)
            .hint("Family or given name"),
        Field::date("born", "Date of birth").value(born),
        Field::search("number", "NHS No., ABHA No. or MRN")
            .value(number)
            .hint("With or without spaces"),
    ];
    for field in &mut fields {
        field.required = true; // no "(optional)" on search boxes: all of them are
    }
    fields
}

/// The cells every patient list has: name, born with age, gender, number.
#[must_use]
pub fn identity_cells(row: &PatientRow) -> Vec<Cell> {
    let banner = &row.banner;
    let mut name = Cell::link(&row.href, &banner.name);
    if let Some(preferred) = &banner.preferred {
        name = name.minor(&format!("Preferred name {preferred}"));
    }
    if banner.died.is_some() {
        name = name.and(Piece::Tag(Tone::Plain, "Deceased".to_owned()));
    }
    if banner.inactive {
        name = name.and(Piece::Tag(Tone::Warn, "Inactive record".to_owned()));
    }
    let mut born = Cell::when(banner.born.clone());
    if let Some(age) = &banner.age {
        born = born.and(Piece::Text(format!("({age})")));
    }
    if let Some(died) = &banner.died {
        born = born.minor(&format!("Died {}", died.date.text));
    }
    let mut number = Cell(vec![
        Piece::Label(banner.number.label.clone()),
        Piece::Text(banner.number.value.clone()),
    ]);
    if banner.number.problem.is_some() {
        number = number.and(Piece::Tag(Tone::Warn, "Check number".to_owned()));
    }
    vec![name, born, Cell::text(banner.gender), number]
}

/// The list of patients.
#[must_use]
pub fn patient_table(rows: &[PatientRow], empty: &str) -> Table {
    let mut table = Table::new(
        "Patients",
        &["Name", "Born", "Gender", "Number", "Branch"],
        empty,
    )
    .filtered("patients");
    for row in rows {
        let mut cells = identity_cells(row);
        cells.push(Cell::text(
            row.banner
                .branch
                .as_deref()
                .unwrap_or(crate::clinical::NOT_RECORDED),
        ));
        table = table.row(cells);
    }
    table
}
