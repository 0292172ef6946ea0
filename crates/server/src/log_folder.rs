//! Reads exported logs from a folder for the offline verifier: every folder below it that holds a
//! `checkpoint` file is a log. Must not decide what is sound; it hands over bytes as they are.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ledger::export::{self, CHECKPOINT, CHECKPOINTS, HEAD};
use ledger::tile::{Bundle, TILE_WIDTH, Tile};
use ledger::verify::{LogSource, SourceError};

/// Checkpoints handed over at a time.
const CHECKPOINTS_AT_A_TIME: usize = 1000;
/// Exports nest tenant and log folders; anything deeper is not ours.
const DEEPEST: u32 = 4;

/// Exported logs below a folder.
pub struct LogFolder<P: FnMut(&str, u64, u64)> {
    logs: BTreeMap<String, PathBuf>,
    progress: P,
}

impl<P: FnMut(&str, u64, u64)> LogFolder<P> {
    /// Finds the logs below `root`.
    pub fn open(root: &Path, progress: P) -> Result<Self, SourceError> {
        let mut logs = BTreeMap::new();
        find(root, DEEPEST, &mut logs)?;
        Ok(Self { logs, progress })
    }

    fn path(&self, origin: &str, file: &str) -> Option<PathBuf> {
        self.logs.get(origin).map(|folder| folder.join(file))
    }

    fn bytes(&self, origin: &str, file: &str) -> Result<Option<Vec<u8>>, SourceError> {
        self.path(origin, file).map_or(Ok(None), |path| read(&path))
    }

    fn text(&self, origin: &str, file: &str) -> Result<Option<String>, SourceError> {
        // What is no text cannot be right; the verifier says so about the replacement characters.
        Ok(self
            .bytes(origin, file)?
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

fn refused(path: &Path, error: &std::io::Error) -> SourceError {
    SourceError {
        place: path.display().to_string(),
        detail: error.to_string(),
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, SourceError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(refused(path, &error)),
    }
}

fn find(folder: &Path, left: u32, logs: &mut BTreeMap<String, PathBuf>) -> Result<(), SourceError> {
    if let Some(note) = read(&folder.join(CHECKPOINT))? {
        let text = String::from_utf8_lossy(&note).into_owned();
        let origin = text.lines().next().unwrap_or_default().to_owned();
        logs.insert(origin, folder.to_path_buf());
        return Ok(());
    }
    if left == 0 {
        return Ok(());
    }
    let entries = fs::read_dir(folder).map_err(|error| refused(folder, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| refused(folder, &error))?.path();
        if path.is_dir() {
            find(&path, left - 1, logs)?;
        }
    }
    Ok(())
}

impl<P: FnMut(&str, u64, u64)> LogSource for LogFolder<P> {
    fn origins(&mut self) -> Result<Vec<String>, SourceError> {
        Ok(self.logs.keys().cloned().collect())
    }

    fn checkpoint(&mut self, origin: &str) -> Result<Option<String>, SourceError> {
        self.text(origin, CHECKPOINT)
    }

    fn checkpoints(&mut self, origin: &str, given: u64) -> Result<Vec<String>, SourceError> {
        let Some(file) = self.text(origin, CHECKPOINTS)? else {
            return Ok(Vec::new());
        };
        let skip = usize::try_from(given).unwrap_or(usize::MAX);
        let notes = export::checkpoints(&file)
            .skip(skip)
            .take(CHECKPOINTS_AT_A_TIME);
        Ok(notes
            .map(|note| note.map_or_else(|_| "malformed".to_owned(), str::to_owned))
            .collect())
    }

    fn tile(&mut self, origin: &str, tile: Tile) -> Result<Option<Vec<u8>>, SourceError> {
        match self.bytes(origin, &tile.to_string())? {
            Some(bytes) => Ok(Some(bytes)),
            None => self.bytes(
                origin,
                &Tile {
                    width: TILE_WIDTH,
                    ..tile
                }
                .to_string(),
            ),
        }
    }

    fn entries(&mut self, origin: &str, bundle: Bundle) -> Result<Option<Vec<u8>>, SourceError> {
        match self.bytes(origin, &bundle.entries_path())? {
            Some(bytes) => Ok(Some(bytes)),
            None => self.bytes(
                origin,
                &Bundle {
                    width: TILE_WIDTH,
                    ..bundle
                }
                .entries_path(),
            ),
        }
    }

    fn payloads(&mut self, origin: &str, bundle: Bundle) -> Result<Option<Vec<u8>>, SourceError> {
        match self.bytes(origin, &bundle.payloads_path())? {
            Some(bytes) => Ok(Some(bytes)),
            None => self.bytes(
                origin,
                &Bundle {
                    width: TILE_WIDTH,
                    ..bundle
                }
                .payloads_path(),
            ),
        }
    }

    fn head(&mut self, origin: &str) -> Result<Option<String>, SourceError> {
        self.text(origin, HEAD)
    }

    fn progress(&mut self, origin: &str, checked: u64, size: u64) {
        (self.progress)(origin, checked, size);
    }
}
