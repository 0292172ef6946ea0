//! Rows as text: NDJSON with a member for every column, and CSV after RFC 4180. Decimals keep their digits.
//! CSV cells stand as they are: whoever opens them in a spreadsheet must treat them as text.

use fhir::print::write_string;

use crate::{Cell, Column};

/// Adds a row as one JSON object and a line end.
pub fn write_ndjson(columns: &[Column], row: &[Cell], into: &mut Vec<u8>) {
    into.push(b'{');
    for (at, (column, cell)) in columns.iter().zip(row).enumerate() {
        if at > 0 {
            into.push(b',');
        }
        write_string(&column.name, into);
        into.push(b':');
        write_json(cell, into);
    }
    into.extend_from_slice(b"}\n");
}

fn write_json(cell: &Cell, into: &mut Vec<u8>) {
    match cell {
        Cell::Null => into.extend_from_slice(b"null"),
        Cell::Text(text) => write_string(text, into),
        Cell::List(cells) => {
            into.push(b'[');
            for (at, cell) in cells.iter().enumerate() {
                if at > 0 {
                    into.push(b',');
                }
                write_json(cell, into);
            }
            into.push(b']');
        }
        plain => into.extend_from_slice(plain_text(plain).as_bytes()),
    }
}

fn plain_text(cell: &Cell) -> String {
    match cell {
        Cell::Boolean(value) => value.to_string(),
        Cell::Integer(value) => value.to_string(),
        Cell::Decimal(value) => value.to_string(),
        _ => String::new(),
    }
}

/// Adds the line of the column names.
pub fn write_csv_header(columns: &[Column], into: &mut Vec<u8>) {
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            into.push(b',');
        }
        write_field(&column.name, into);
    }
    into.extend_from_slice(b"\r\n");
}

/// Adds a row as one CSV line; nothing is an empty field, a list its JSON.
pub fn write_csv(row: &[Cell], into: &mut Vec<u8>) {
    for (at, cell) in row.iter().enumerate() {
        if at > 0 {
            into.push(b',');
        }
        match cell {
            Cell::Null => {}
            // The empty text is told from nothing by its quotes.
            Cell::Text(text) if text.is_empty() => into.extend_from_slice(b"\"\""),
            Cell::Text(text) => write_field(text, into),
            Cell::List(_) => {
                let mut json = Vec::new();
                write_json(cell, &mut json);
                write_field(&String::from_utf8_lossy(&json), into);
            }
            plain => into.extend_from_slice(plain_text(plain).as_bytes()),
        }
    }
    into.extend_from_slice(b"\r\n");
}

fn write_field(text: &str, into: &mut Vec<u8>) {
    if !text.contains(['"', ',', '\r', '\n']) {
        into.extend_from_slice(text.as_bytes());
        return;
    }
    into.push(b'"');
    into.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    into.push(b'"');
}
