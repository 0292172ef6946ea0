//! What an import reads: the files below a folder, or one file, and their content. Must not understand
//! FHIR beyond telling bundles from NDJSON by name, and must not read more than a bound into memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use kernel::Category;
use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// Largest bundle after unpacking, in bytes.
pub const BUNDLE_BYTES: u64 = 512 << 20;
/// Largest line of NDJSON, in bytes.
pub const LINE_BYTES: u64 = 64 << 20;
/// Folders below the one given.
const DEEPEST: u32 = 16;

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A bundle, or a single resource.
    Json,
    /// A resource a line.
    Ndjson,
}

/// A file to import.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Its name in reports, below the folder given.
    pub name: String,
    /// How it is read.
    pub shape: Shape,
    /// Whether it is packed with gzip.
    pub packed: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Files to import, those that others refer to by criteria first, then by name.
    pub sources: Vec<Source>,
    /// Names of files that are neither JSON nor NDJSON.
    pub foreign: Vec<String>,
}

/// Finds the files of an import.
pub fn find(given: &Path) -> Result<Found, Failure> {
    let about = std::fs::metadata(given).map_err(|error| Failure::file(given, &error))?;
    let mut found = Found::default();
    if about.is_dir() {
        walk(given, given, DEEPEST, &mut found)?;
        found.foreign.sort();
        found
            .sources
            .sort_by(|a, b| (a.rank(), &a.name).cmp(&(b.rank(), &b.name)));
        return Ok(found);
    }
    let name = given
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let Some((shape, packed)) = shape_of(&name) else {
        let text = format!(
            "{} is neither .json nor .ndjson (also with .gz): rename it or convert it",
            given.display()
        );
        return Err(Failure::new(Category::Invalid, text));
    };
    found.sources.push(Source {
        path: given.to_owned(),
        name,
        shape,
        packed,
    });
    Ok(found)
}

fn walk(root: &Path, folder: &Path, left: u32, found: &mut Found) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file(folder, &error);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        if path.is_dir() {
            if left > 0 {
                walk(root, &path, left - 1, found)?;
            }
            continue;
        }
        match shape_of(&name) {
            Some((shape, packed)) => found.sources.push(Source {
                path,
                name,
                shape,
                packed,
            }),
            None => found.foreign.push(name),
        }
    }
    Ok(())
}

fn shape_of(name: &str) -> Option<(Shape, bool)> {
    let lower = name.to_ascii_lowercase();
    // The list of files of a bulk export, ours or another's.
    if lower.rsplit(['/', '\\']).next() == Some("manifest.json") {
        return None;
    }
    let (stem, packed) = match lower.strip_suffix(".gz") {
        Some(stem) => (stem, true),
        None => (lower.as_str(), false),
    };
    match stem.rsplit_once('.')?.1 {
        "json" => Some((Shape::Json, packed)),
        "ndjson" | "jsonl" => Some((Shape::Ndjson, packed)),
        _ => None,
    }
}

impl Source {
    /// 0 for files that others refer to by criteria (Synthea's hospitals, then practitioners).
    #[must_use]
    pub fn rank(&self) -> u8 {
        let name = self
            .path
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().to_lowercase());
        if name.starts_with("hospitalinformation") {
            0
        } else if name.starts_with("practitionerinformation") {
            1
        } else {
            2
        }
    }

    /// SHA-256 of the file as it lies there, in hexadecimal: what finished files are remembered by.
    pub fn digest(&self) -> Result<String, Failure> {
        let failed = |error: std::io::Error| Failure::file(&self.path, &error);
        let mut file = File::open(&self.path).map_err(failed)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0u8; 1 << 18];
        loop {
            let read = file.read(&mut buffer).map_err(failed)?;
            if read == 0 {
                break;
            }
            hasher.update(buffer.get(..read).unwrap_or_default());
        }
        Ok(data_encoding::HEXLOWER.encode(&hasher.finalize()))
    }

    fn open(&self) -> Result<Box<dyn Read + Send>, Failure> {
        let file = File::open(&self.path).map_err(|error| Failure::file(&self.path, &error))?;
        Ok(if self.packed {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        })
    }

    /// The whole content; refuses more than [`BUNDLE_BYTES`].
    pub fn read(&self) -> Result<Vec<u8>, Failure> {
        let mut content = Vec::new();
        self.open()?
            .take(BUNDLE_BYTES + 1)
            .read_to_end(&mut content)
            .map_err(|error| {
                Failure::new(
                    Category::Invalid,
                    format!("{} cannot be read: {error}", self.name),
                )
            })?;
        if content.len() as u64 > BUNDLE_BYTES {
            let text = format!(
                "{} has more than {} MiB: split the bundle",
                self.name,
                BUNDLE_BYTES >> 20
            );
            return Err(Failure::new(Category::TooLarge, text));
        }
        Ok(content)
    }

    /// Its lines, one at a time.
    pub fn lines(&self) -> Result<Lines, Failure> {
        Ok(Lines {
            reader: BufReader::with_capacity(1 << 18, self.open()?),
            name: self.name.clone(),
            number: 0,
        })
    }
}

/// Lines of a file, without their line feeds; empty ones are left out.
pub struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
    name: String,
    number: u64,
}

impl Iterator for Lines {
    type Item = Result<(u64, Vec<u8>), Failure>;
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = Vec::new();
            let read = self
                .reader
                .by_ref()
                .take(LINE_BYTES + 1)
                .read_until(b'\n', &mut line);
            self.number += 1;
            match read {
                Ok(0) => return None,
                Ok(_) if line.len() as u64 > LINE_BYTES => {
                    let text = format!(
                        "{}: line {} has more than {} MiB",
                        self.name,
                        self.number,
                        LINE_BYTES >> 20
                    );
                    return Some(Err(Failure::new(Category::TooLarge, text)));
                }
                Ok(_) => {}
                Err(error) => {
                    let text = format!(
                        "{} cannot be read at line {}: {error}",
                        self.name, self.number
                    );
                    return Some(Err(Failure::new(Category::Invalid, text)));
                }
            }
            while line.last().is_some_and(u8::is_ascii_whitespace) {
                line.pop();
            }
            if !line.is_empty() {
                return Some(Ok((self.number, line)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn folders_give_fhir_files_in_order_and_name_the_foreign_ones() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "b.json",
            "a.ndjson.gz",
            "practitionerInformation1.json",
            "hospitalInformation1.json",
            "x.csv",
        ] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("deep")).unwrap();
        std::fs::write(folder.path().join("deep/c.JSON"), "").unwrap();
        let found = find(folder.path()).unwrap();
        let names: Vec<&str> = found
            .sources
            .iter()
            .map(|source| source.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "hospitalInformation1.json",
                "practitionerInformation1.json",
                "a.ndjson.gz",
                "b.json",
                "deep/c.JSON"
            ]
        );
        assert_eq!(found.foreign, ["x.csv"]);
        assert!(find(&folder.path().join("x.csv")).is_err());
        assert!(find(&folder.path().join("missing.json")).is_err());
    }

    #[test]
    fn packed_lines_are_read_and_numbered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ndjson.gz");
        let mut packer = flate2::write::GzEncoder::new(
            File::create(&path).unwrap(),
            flate2::Compression::fast(),
        );
        packer.write_all(b"{}\n\n  \n{\"a\":1}\r\n{}").unwrap();
        packer.finish().unwrap();
        let source = find(&path).unwrap().sources.remove(0);
        let lines: Vec<_> = source
            .lines()
            .unwrap()
            .map(Result::unwrap_or_default)
            .collect();
        assert_eq!(
            lines,
            [
                (1, b"{}".to_vec()),
                (4, b"{\"a\":1}".to_vec()),
                (5, b"{}".to_vec())
            ]
        );
        assert_eq!(source.digest().unwrap().len(), 64);
    }
}
