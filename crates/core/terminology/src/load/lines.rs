//! Lines of text of bounded length, and records of comma-separated values, with their line numbers.

use std::io::BufRead;

use super::{LoadError, Report};

/// Bytes of the longest line or record.
const LONGEST: usize = 1 << 20;

/// A file as lines.
pub struct Lines<'f, R> {
    file: &'f str,
    reader: R,
    bytes: Vec<u8>,
    /// The line that was read last, from 1.
    number: u64,
}

impl<'f, R: BufRead> Lines<'f, R> {
    /// Over a reader; `file` is its name in reports.
    pub fn new(file: &'f str, reader: R) -> Self {
        Self {
            file,
            reader,
            bytes: Vec::new(),
            number: 0,
        }
    }

    /// The number of the line read last.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Reads the next line's bytes; `false` at the end. Lines too long are passed over and reported.
    fn next_bytes(&mut self, report: &mut Report) -> Result<bool, LoadError> {
        loop {
            self.bytes.clear();
            let failed = |error| LoadError::File {
                file: self.file.to_owned(),
                error,
            };
            let mut limited = std::io::Read::take(&mut self.reader, LONGEST as u64 + 1);
            let read = limited.read_until(b'\n', &mut self.bytes).map_err(failed)?;
            if read == 0 {
                return Ok(false);
            }
            self.number += 1;
            if read <= LONGEST || self.bytes.last() == Some(&b'\n') {
                while matches!(self.bytes.last(), Some(b'\n' | b'\r')) {
                    self.bytes.pop();
                }
                return Ok(true);
            }
            report.refuse(self.file, self.number, "longer than 1 MiB");
            while self.bytes.last() != Some(&b'\n') {
                self.bytes.clear();
                let mut limited = std::io::Read::take(&mut self.reader, LONGEST as u64);
                if limited.read_until(b'\n', &mut self.bytes).map_err(failed)? == 0 {
                    return Ok(false);
                }
            }
        }
    }

    /// The next line; `None` at the end. Lines that are not UTF-8 are passed over and reported.
    pub fn next(&mut self, report: &mut Report) -> Result<Option<&str>, LoadError> {
        loop {
            if !self.next_bytes(report)? {
                return Ok(None);
            }
            if core::str::from_utf8(&self.bytes).is_ok() {
                break;
            }
            report.refuse(self.file, self.number, "not UTF-8");
        }
        let line = core::str::from_utf8(&self.bytes).unwrap_or_default();
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        Ok(Some(line))
    }

    /// The next record of values separated by `separator`, quoted where they hold it or line ends; `None`
    /// at the end. A quote that does not end is reported with the line it begins in.
    pub fn record(
        &mut self,
        separator: char,
        report: &mut Report,
    ) -> Result<Option<Vec<String>>, LoadError> {
        let mut values = Vec::new();
        let mut value = String::new();
        let mut quoted = false;
        let mut begun = 0;
        let mut size = 0;
        loop {
            let Some(line) = self.next(report)? else {
                if quoted {
                    let file = self.file;
                    report.refuse(file, begun, "a quote begins here and does not end");
                }
                return Ok(None);
            };
            let line = line.to_owned();
            if !quoted {
                begun = self.number;
                if line.is_empty() {
                    continue;
                }
            }
            size += line.len();
            if size > LONGEST {
                report.refuse(self.file, begun, "a record longer than 1 MiB");
                (values, value, quoted, size) = (Vec::new(), String::new(), false, 0);
                continue;
            }
            split(&line, separator, &mut values, &mut value, &mut quoted);
            if quoted {
                value.push('\n');
                continue;
            }
            values.push(value);
            return Ok(Some(values));
        }
    }
}

/// Splits a line into values; `value` and `quoted` go on from the line before.
fn split(
    line: &str,
    separator: char,
    values: &mut Vec<String>,
    value: &mut String,
    quoted: &mut bool,
) {
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if *quoted && letters.peek() == Some(&'"') => {
                value.push('"');
                letters.next();
            }
            '"' if *quoted => *quoted = false,
            '"' if value.is_empty() => *quoted = true,
            _ if letter == separator && !*quoted => values.push(core::mem::take(value)),
            _ => value.push(letter),
        }
    }
}

/// The places of columns in a header, by name without case.
#[derive(Debug, Clone, Default)]
pub struct Header(Vec<String>);

impl Header {
    /// From the first record.
    #[must_use]
    pub fn new(names: &[String]) -> Self {
        Self(
            names
                .iter()
                .map(|name| name.trim().to_lowercase())
                .collect(),
        )
    }

    /// The place of a column.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        let name = name.to_lowercase();
        self.0.iter().position(|known| *known == name)
    }

    /// The value of a column in a record; empty where there is none.
    #[must_use]
    pub fn get<'r>(&self, record: &'r [String], name: &str) -> &'r str {
        let value = self.place(name).and_then(|place| record.get(place));
        value.map_or("", |value| value.trim())
    }

    /// The names, in order, in lower case.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_keep_quotes_separators_and_line_ends_in_values() {
        let text = "\u{feff}a,b\r\n1,\"x,\"\"y\"\"\nz\"\n\n2,\n3,\"open\n";
        let mut lines = Lines::new("f.csv", text.as_bytes());
        let mut report = Report::default();
        let mut records = Vec::new();
        while let Some(record) = lines.record(',', &mut report).unwrap() {
            records.push(record);
        }
        assert_eq!(
            records,
            [vec!["a", "b"], vec!["1", "x,\"y\"\nz"], vec!["2", ""]]
        );
        assert_eq!((report.refused, report.refusals[0].line), (1, 6));
    }

    #[test]
    fn lines_too_long_or_not_text_are_passed_over() {
        let mut text = b"one\n".to_vec();
        text.extend(vec![b'x'; LONGEST + 100]);
        text.extend(b"\n\xff\xfe\nlast");
        let mut lines = Lines::new("f.txt", text.as_slice());
        let mut report = Report::default();
        assert_eq!(lines.next(&mut report).unwrap(), Some("one"));
        assert_eq!(lines.next(&mut report).unwrap(), Some("last"));
        assert_eq!(lines.next(&mut report).unwrap(), None);
        let places: Vec<u64> = report.refusals.iter().map(|one| one.line).collect();
        assert_eq!(places, [2, 3]);
    }
}
