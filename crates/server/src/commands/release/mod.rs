//! The files of a release of code systems or products: a folder, a zip archive or one file. Read as streams, with progress.

mod archive;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use self::archive::{Archive, Member};
use crate::failure::Failure;

/// How deep folders are looked into.
const DEEPEST: usize = 8;
/// Most files of a release.
const MOST: usize = 10_000;

/// Where the files are.
enum Place {
    /// In folders, by their names below the one given.
    Files(Vec<(String, PathBuf, u64)>),
    /// In an archive.
    Archive(Archive),
}

/// A release.
pub struct Release {
    place: Place,
}

impl Release {
    /// Finds the files.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error: &std::io::Error| Failure::file(path, error);
        let about = std::fs::metadata(path).map_err(|error| failed(&error))?;
        if about.is_dir() {
            let mut files = Vec::new();
            collect(path, path, 0, &mut files)?;
            files.sort();
            return Ok(Self {
                place: Place::Files(files),
            });
        }
        let mut start = [0; 4];
        let read = File::open(path)
            .and_then(|mut file| file.read(&mut start))
            .map_err(|error| failed(&error))?;
        if read == 4 && start == *b"PK\x03\x04" {
            let archive = Archive::open(path)?;
            return Ok(Self {
                place: Place::Archive(archive),
            });
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self {
            place: Place::Files(vec![(name.into_owned(), path.to_owned(), about.len())]),
        })
    }

    /// The names of all files.
    pub fn names(&self) -> Vec<String> {
        match &self.place {
            Place::Files(files) => files.iter().map(|(name, ..)| name.clone()).collect(),
            Place::Archive(archive) => archive
                .members()
                .iter()
                .map(|member| member.name.clone())
                .collect(),
        }
    }

    /// How many bytes will be read, of the files that are.
    pub fn bytes(&self, is_read: impl Fn(&str) -> bool) -> u64 {
        match &self.place {
            Place::Files(files) => {
                let read = files.iter().filter(|(name, ..)| is_read(name));
                read.map(|(.., bytes)| bytes).sum()
            }
            Place::Archive(archive) => {
                let read = |member: &&Member| is_read(&member.name);
                archive
                    .members()
                    .iter()
                    .filter(read)
                    .map(|member| member.size)
                    .sum()
            }
        }
    }

    /// Opens a file of the release.
    pub fn reader<'r>(
        &'r mut self,
        name: &str,
        step: &'r mut dyn FnMut(u64),
    ) -> Result<Box<dyn BufRead + 'r>, Failure> {
        let plain: Box<dyn Read + 'r> = match &mut self.place {
            Place::Files(files) => {
                let found = files.iter().find(|(known, ..)| known == name);
                let (_, path, _) =
                    found.ok_or_else(|| Failure::missing(format!("{name} is not there")))?;
                Box::new(File::open(path).map_err(|error| Failure::file(path, &error))?)
            }
            Place::Archive(archive) => archive.reader(name)?,
        };
        let counted = Counted {
            reader: plain,
            bytes: 0,
            step,
        };
        Ok(Box::new(BufReader::with_capacity(1 << 16, counted)))
    }
}

/// The last name of a path, by which a source is kept.
pub fn last_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn collect(
    root: &Path,
    folder: &Path,
    depth: usize,
    files: &mut Vec<(String, PathBuf, u64)>,
) -> Result<(), Failure> {
    let failed = |error: &std::io::Error| Failure::file(folder, error);
    for entry in std::fs::read_dir(folder).map_err(|error| failed(&error))? {
        let entry = entry.map_err(|error| failed(&error))?;
        let (path, about) = (
            entry.path(),
            entry.metadata().map_err(|error| failed(&error))?,
        );
        if about.is_dir() && depth < DEEPEST {
            collect(root, &path, depth + 1, files)?;
        } else if about.is_file() && files.len() < MOST {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
            files.push((name.into_owned(), path.clone(), about.len()));
        }
    }
    Ok(())
}

/// Tells of each mebibyte read.
struct Counted<'r> {
    reader: Box<dyn Read + 'r>,
    bytes: u64,
    step: &'r mut dyn FnMut(u64),
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(into)?;
        let before = self.bytes >> 20;
        self.bytes += read as u64;
        let more = (self.bytes >> 20) - before;
        if more > 0 {
            (self.step)(more);
        }
        Ok(read)
    }
}
