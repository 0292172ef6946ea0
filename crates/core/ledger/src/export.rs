//! The layout of an exported log: file names and the bytes of each file. Must not read or write files. The
//! format is documented in `docs/reference/ledger-format.md`.

use core::fmt;
use core::str::FromStr;

use crate::checkpoint::Checkpoint;
use crate::error::FormatError;
use crate::note::Note;
use crate::receipt::Receipt;

/// The newest checkpoint.
pub const CHECKPOINT: &str = "checkpoint";
/// Every stored checkpoint, oldest first.
pub const CHECKPOINTS: &str = "checkpoints";
/// The head lines: what was published, kept apart from the database.
pub const HEAD: &str = "head";
/// The verifier keys, as a policy text, beside the logs' folders.
pub const KEYS: &str = "keys.txt";

/// Appends a signed note to a `checkpoints` file: the note, then an empty line.
pub fn push_checkpoint(file: &mut String, note: &str) {
    file.push_str(note);
    file.push('\n');
}

/// The notes of a `checkpoints` file, one by one; an error ends it.
#[derive(Debug, Clone)]
pub struct Checkpoints<'a> {
    rest: &'a str,
}

/// Reads a `checkpoints` file without copying.
#[must_use]
pub const fn checkpoints(file: &str) -> Checkpoints<'_> {
    Checkpoints { rest: file }
}

impl<'a> Iterator for Checkpoints<'a> {
    type Item = Result<&'a str, FormatError>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        // A checkpoint's text has no empty line: the first one ends it, the second ends the signatures.
        let text = self.rest.find("\n\n").map(|at| at + 2);
        let end = text.and_then(|at| self.rest.get(at..)?.find("\n\n").map(|more| at + more + 1));
        let cut = end.and_then(|end| self.rest.split_at_checked(end));
        let Some((note, rest)) = cut else {
            self.rest = "";
            return Some(Err(FormatError::new(
                "checkpoints",
                "end every note with an empty line",
            )));
        };
        self.rest = rest.strip_prefix('\n').unwrap_or(rest);
        Some(Ok(note))
    }
}

/// Appends a sealed payload to a payload bundle: `u32` big-endian length, then the bytes; none (its key was
/// erased, or the entry has none) is written as length 0.
pub fn push_payload(bundle: &mut Vec<u8>, payload: Option<&[u8]>) -> Result<(), FormatError> {
    let payload = payload.unwrap_or_default();
    let length = u32::try_from(payload.len())
        .map_err(|_| FormatError::new("payload bundle", "keep payloads below 4 GiB"))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(payload);
    Ok(())
}

/// The payloads of a bundle, one by one: `None` where there is none; an error ends it.
#[derive(Debug, Clone)]
pub struct Payloads<'a> {
    rest: &'a [u8],
}

/// Reads a payload bundle without copying.
#[must_use]
pub const fn payloads(bundle: &[u8]) -> Payloads<'_> {
    Payloads { rest: bundle }
}

impl<'a> Iterator for Payloads<'a> {
    type Item = Result<Option<&'a [u8]>, FormatError>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let cut = self
            .rest
            .split_first_chunk::<4>()
            .and_then(|(length, rest)| rest.split_at_checked(u32::from_be_bytes(*length) as usize));
        let Some((payload, rest)) = cut else {
            self.rest = &[];
            return Some(Err(FormatError::new(
                "payload bundle",
                "give every payload in full after its length",
            )));
        };
        self.rest = rest;
        Some(Ok((!payload.is_empty()).then_some(payload)))
    }
}

/// A line of a head file: `<origin> <root as 64 hexadecimal digits> <size>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadLine(pub Checkpoint);

impl fmt::Display for HeadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.0.origin, self.0.root, self.0.size)
    }
}

impl FromStr for HeadLine {
    type Err = FormatError;
    fn from_str(line: &str) -> Result<Self, FormatError> {
        let refuse = FormatError::new(
            "head line",
            "write <origin> <root as 64 hexadecimal digits> <size>",
        );
        let Receipt {
            origin,
            leaf,
            index,
        } = line.parse().map_err(|_| refuse)?;
        let size = index.ok_or(refuse)?;
        Ok(Self(Checkpoint {
            origin,
            size,
            root: leaf,
        }))
    }
}

/// The lines of a head file; a last line without its newline (a write that was cut off) is left out.
pub fn head_lines(file: &str) -> Result<Vec<Checkpoint>, FormatError> {
    let whole = file.rfind('\n').and_then(|at| file.get(..at)).unwrap_or("");
    whole
        .split('\n')
        .filter(|line| !line.is_empty())
        .map(|line| line.parse().map(|HeadLine(c)| c))
        .collect()
}

/// A checkpoint held from before: either a signed note or a head line.
pub fn held_checkpoint(text: &str) -> Result<Checkpoint, FormatError> {
    match Note::parse(text) {
        Ok(note) => Checkpoint::of_note(&note),
        Err(error) => text
            .trim_end()
            .parse()
            .map(|HeadLine(c)| c)
            .map_err(|_| error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;
    use crate::note::{KeyKind, SigningKey};

    fn note(size: u64) -> String {
        let key = SigningKey::from_seed("a.example", KeyKind::Log, &[1; 32]).unwrap();
        let checkpoint = Checkpoint {
            origin: "a.example/x".to_owned(),
            size,
            root: leaf_hash(&[size as u8]),
        };
        checkpoint.sign(&[&key, &key]).unwrap()
    }

    #[test]
    fn checkpoint_files_read_back() {
        let notes: Vec<String> = (0..4).map(note).collect();
        let mut file = String::new();
        for note in &notes {
            push_checkpoint(&mut file, note);
        }
        let read: Result<Vec<&str>, _> = checkpoints(&file).collect();
        assert_eq!(read.unwrap(), notes);
        for cut in 1..file.len() {
            let Some(part) = file.get(..cut) else {
                continue;
            };
            let whole = checkpoints(part).flatten().count();
            let broken = checkpoints(part).any(|n| n.is_err());
            assert!(whole < 4 && (broken || whole > 0), "cut at {cut}");
        }
    }

    #[test]
    fn payload_files_read_back() {
        let payloads_in = [Some(b"one".as_slice()), None, Some(b"three")];
        let mut file = Vec::new();
        for payload in payloads_in {
            push_payload(&mut file, payload).unwrap();
        }
        let read: Result<Vec<Option<&[u8]>>, _> = payloads(&file).collect();
        assert_eq!(read.unwrap(), payloads_in);
        assert!(payloads(&file[..file.len() - 1]).any(|p| p.is_err()));
    }

    #[test]
    fn head_files_survive_a_cut_write() {
        let checkpoint = |size| Checkpoint {
            origin: "a/b".to_owned(),
            size,
            root: leaf_hash(b"x"),
        };
        let file = format!("{}\n{}\n", HeadLine(checkpoint(1)), HeadLine(checkpoint(5)));
        assert_eq!(head_lines(&file), Ok(vec![checkpoint(1), checkpoint(5)]));
        assert_eq!(head_lines(&file[..file.len() - 1]), Ok(vec![checkpoint(1)]));
        assert_eq!(head_lines(""), Ok(vec![]));
        assert!(head_lines("nonsense\n").is_err());
        assert_eq!(held_checkpoint(&note(3)).unwrap().size, 3);
        assert_eq!(
            held_checkpoint(&HeadLine(checkpoint(5)).to_string()),
            Ok(checkpoint(5))
        );
    }
}
