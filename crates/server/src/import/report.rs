//! What an import read, stored and refused: per type, per file, with reasons. Must not hold content of
//! resources, only names and reasons.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use app::import::Verdict;
use app::import::convert::{Item, Refusal};

/// Refusals kept of one file.
const KEPT: usize = 1000;

/// How many resources of a type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Seen in files.
    pub read: u64,
    /// New versions.
    pub stored: u64,
    /// There already.
    pub unchanged: u64,
    /// Not stored.
    pub refused: u64,
}

impl Counts {
    /// One that stands twice in a file.
    pub fn repeated(&mut self) {
        self.read += 1;
        self.unchanged += 1;
    }
    fn add(&mut self, other: Self) {
        self.read += other.read;
        self.stored += other.stored;
        self.unchanged += other.unchanged;
        self.refused += other.refused;
    }
}

/// What came of a file; kept, so that the next run can say it without loading the file again.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct FileReport {
    file: String,
    types: BTreeMap<String, Counts>,
    refused: Vec<Refusal>,
    #[serde(default)]
    unlisted: u64,
    #[serde(skip)]
    skipped: bool,
}

impl FileReport {
    /// Nothing read yet.
    #[must_use]
    pub fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            ..Self::default()
        }
    }

    /// The counts of a type.
    pub fn counts(&mut self, ty: &str) -> &mut Counts {
        if !self.types.contains_key(ty) {
            self.types.insert(ty.to_owned(), Counts::default());
        }
        self.types.entry(ty.to_owned()).or_default()
    }

    /// Takes what came of entries.
    pub fn take(&mut self, verdicts: Vec<(Item, Verdict)>) {
        for (item, verdict) in verdicts {
            match verdict {
                Verdict::Refused(why) => {
                    let refusal = Refusal {
                        file: String::new(),
                        place: item.place,
                        name: item.name,
                        why,
                    };
                    self.refuse(refusal);
                }
                stored => {
                    let counts = self.counts(item.ty);
                    counts.read += 1;
                    if stored == Verdict::Stored {
                        counts.stored += 1;
                    } else {
                        counts.unchanged += 1;
                    }
                }
            }
        }
    }

    /// One that was not stored.
    pub fn refuse(&mut self, refusal: Refusal) {
        let ty = match refusal.name.split('/').next().unwrap_or_default() {
            "" => "unknown",
            ty => ty,
        };
        let counts = self.counts(ty);
        counts.read += 1;
        counts.refused += 1;
        if self.refused.len() < KEPT {
            self.refused.push(Refusal {
                file: self.file.clone(),
                ..refusal
            });
        } else {
            self.unlisted += 1;
        }
    }

    /// Turns what an earlier run kept into what this run found: everything is there already.
    pub fn resumed(&mut self, name: &str) {
        name.clone_into(&mut self.file);
        self.skipped = true;
        for counts in self.types.values_mut() {
            counts.unchanged += counts.stored;
            counts.stored = 0;
        }
    }

    /// For the ledger: numbers only.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut all = Counts::default();
        self.types.values().for_each(|counts| all.add(*counts));
        format!(
            "read {}, stored {}, unchanged {}, refused {}",
            all.read, all.stored, all.unchanged, all.refused
        )
    }
}

/// What came of all files.
#[derive(Debug, Default)]
pub struct Report {
    files: u64,
    skipped: u64,
    types: BTreeMap<String, Counts>,
    refused: Vec<Refusal>,
    unlisted: u64,
}

impl Report {
    /// Adds a file.
    pub fn add(&mut self, file: FileReport) {
        self.files += 1;
        self.skipped += u64::from(file.skipped);
        for (ty, counts) in file.types {
            self.types.entry(ty).or_default().add(counts);
        }
        self.refused.extend(file.refused);
        self.unlisted += file.unlisted;
    }

    /// All files are in: brings refusals in order.
    pub fn finish(&mut self) {
        self.refused.sort_by(|a, b| a.file.cmp(&b.file));
    }

    /// The sum over all types.
    #[must_use]
    pub fn total(&self) -> Counts {
        let mut all = Counts::default();
        self.types.values().for_each(|counts| all.add(*counts));
        all
    }

    /// Rows of a table: type, read, stored, unchanged, refused; the last one is the sum.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<String>> {
        let row = |name: &str, counts: Counts| {
            let numbers = [counts.read, counts.stored, counts.unchanged, counts.refused];
            std::iter::once(name.to_owned())
                .chain(numbers.map(|number| number.to_string()))
                .collect()
        };
        let mut rows: Vec<Vec<String>> = self
            .types
            .iter()
            .map(|(ty, counts)| row(ty, *counts))
            .collect();
        rows.push(row("all", self.total()));
        rows
    }

    /// Refusals, those listed.
    #[must_use]
    pub fn refused(&self) -> &[Refusal] {
        &self.refused
    }

    /// Files that an earlier run had finished.
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Everything, for the report file and `-o json`.
    #[must_use]
    pub fn json(&self, foreign: &[String]) -> Value {
        json!({
            "files": self.files,
            "files_finished_before": self.skipped,
            "files_not_fhir": foreign,
            "total": self.total(),
            "types": self.types,
            "refused": self.refused,
            "refused_unlisted": self.unlisted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_file_counts_as_unchanged() {
        let mut file = FileReport::new("a.json");
        let item = |name: &str| Item {
            place: "entry 0".to_owned(),
            name: name.to_owned(),
            ty: "Patient",
            json: Vec::new(),
        };
        file.take(vec![
            (item("Patient/1"), Verdict::Stored),
            (item("Patient/2"), Verdict::Unchanged),
            (item("Patient/3"), Verdict::Refused("no".to_owned())),
        ]);
        file.counts("Patient").repeated();
        assert_eq!(file.sentence(), "read 4, stored 1, unchanged 2, refused 1");
        let mut again: FileReport =
            serde_json::from_slice(&serde_json::to_vec(&file).unwrap()).unwrap();
        again.resumed("b.json");
        let mut report = Report::default();
        report.add(again);
        report.finish();
        assert_eq!(
            report.total(),
            Counts {
                read: 4,
                stored: 0,
                unchanged: 3,
                refused: 1
            }
        );
        assert_eq!((report.skipped(), report.refused().len()), (1, 1));
        assert_eq!(report.rows().last().unwrap()[1], "4");
    }
}
