//! A code system as a table: a header with `code` and `display`, perhaps `parent`, `definition` and
//! `status`; every other column is a property. The separator is the tab, comma or semicolon of the header.

use std::io::BufRead;

use super::lines::{Header, Lines};
use super::{LoadError, Report};
use crate::system::{Builder, ConceptDraft, INACTIVE, PropertyKind};

/// Other names of the columns.
const CODE: [&str; 4] = ["code", "icd10", "icd_10", "icd10_code"];
const DISPLAY: [&str; 5] = ["display", "title", "description", "name", "preferred"];
const PARENT: [&str; 3] = ["parent", "parent_code", "parentcode"];

fn column(header: &Header, names: &[&str]) -> Option<usize> {
    names.iter().find_map(|name| header.place(name))
}

/// The separator of the first line.
fn separator(file: &str, reader: &mut impl BufRead) -> Result<char, LoadError> {
    let first = reader.fill_buf().map_err(|error| LoadError::File {
        file: file.to_owned(),
        error,
    })?;
    let end = first.iter().position(|byte| *byte == b'\n');
    let first = first.get(..end.unwrap_or(first.len())).unwrap_or_default();
    let found = [b'\t', b';', b',']
        .into_iter()
        .find(|one| first.contains(one));
    Ok(found.map_or(',', char::from))
}

/// Reads a table into a code system.
///
/// # Errors
/// It cannot be read, or has no columns for code and display.
pub fn read(
    builder: &mut Builder,
    report: &mut Report,
    file: &str,
    mut reader: impl BufRead,
) -> Result<(), LoadError> {
    let separator = separator(file, &mut reader)?;
    let mut lines = Lines::new(file, reader);
    let names = lines.record(separator, report)?.unwrap_or_default();
    let header = Header::new(&names);
    let (Some(code), Some(display)) = (column(&header, &CODE), column(&header, &DISPLAY)) else {
        let why = "its first line does not name the columns code and display";
        return Err(LoadError::format(file, why));
    };
    let parent = column(&header, &PARENT);
    let mut others = Vec::new();
    for (place, name) in header.names().enumerate() {
        let known = [Some(code), Some(display), parent].contains(&Some(place))
            || matches!(name, "definition" | "status" | "");
        if !known {
            others.push((place, builder.property(name, None, PropertyKind::String)?));
        }
    }
    let mut parents: Vec<(u32, String, u64)> = Vec::new();
    while let Some(record) = lines.record(separator, report)? {
        report.read += 1;
        let value = |place: usize| record.get(place).map_or("", |value| value.trim());
        if value(code).is_empty() {
            report.refuse(file, lines.number(), "has no code");
            continue;
        }
        let inactive = matches!(
            header.get(&record, "status"),
            "inactive" | "retired" | "deprecated"
        );
        let added = builder.add(&ConceptDraft {
            code: value(code),
            display: Some(value(display)),
            definition: Some(header.get(&record, "definition")),
            flags: if inactive { INACTIVE } else { 0 },
        })?;
        let Some(at) = added else {
            report.refuse(file, lines.number(), "this code was there already");
            continue;
        };
        for (place, property) in &others {
            if !value(*place).is_empty() {
                builder.value(at, *property, PropertyKind::String, value(*place))?;
            }
        }
        if let Some(above) = parent.map(value).filter(|above| !above.is_empty()) {
            parents.push((at, above.to_owned(), lines.number()));
        }
    }
    for (at, above, line) in parents {
        match builder.find(&above) {
            Some(above) => builder.parent(at, above),
            None => report.refuse(file, line, format!("its parent {above:?} is not there")),
        }
    }
    Ok(())
}
