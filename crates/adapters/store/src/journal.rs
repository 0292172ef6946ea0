//! The access journal: looks at patient data, sealed and framed, appended to a file with one write each,
//! so that they survive the end of the process until a writer moves them into the access log. The place
//! up to which they were moved is committed with them: each goes in exactly once. Power loss may cost the
//! looks of the last window, as configured.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ::ledger::Leaf;
use parking_lot::Mutex;
use tokio::sync::Notify;
use xxhash_rust::xxh3::xxh3_64;

use crate::assemble::PreparedEntry;
use crate::files::io_error;
use crate::port::error::StoreError;
use crate::port::ledger::Log;

/// A file grows to this before a new one is begun.
const ROTATE_BYTES: u64 = 64 << 20;
const HEADER_BYTES: usize = 12;
const FRAME_LIMIT: usize = 1 << 20;
/// A frame's place in its file goes into its checksum times this, and comes out again.
const PLACE: u64 = 0x9e37_79b9_7f4a_7c15;
const PLACE_INVERSE: u64 = 0xf1de_83e1_9937_733d;
/// Above every place in a file: a checksum that gives more is none.
const PLACES: u64 = 1 << 32;

/// A place in the journal: file number and offset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JournalPlace {
    pub(crate) file: u64,
    pub(crate) offset: u64,
}

/// A look that waits, with the place after it.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) entry: PreparedEntry,
    pub(crate) end: JournalPlace,
    /// Looks before it were taken out of the journal: its writer leaves out a counter, which every
    /// verifier finds.
    pub(crate) after_gap: bool,
    /// What it takes in the file.
    pub(crate) bytes: u64,
}

pub(crate) struct Journal {
    folder: PathBuf,
    limit: usize,
    rotate: u64,
    state: Mutex<State>,
    room: Notify,
}

struct State {
    file: Option<File>,
    place: JournalPlace,
    /// The oldest file that may still be there.
    oldest: u64,
    waiting: Vec<Waiting>,
}

/// Whether the writer must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appended {
    /// The first to wait: wake the writer.
    First,
    /// Others wait already.
    More,
    /// Too many wait: wake the writer and wait for room.
    Full,
}

impl Journal {
    pub(crate) fn new(folder: &Path, limit: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            limit,
            rotate: ROTATE_BYTES,
            state: Mutex::new(State {
                file: None,
                place: JournalPlace::default(),
                oldest: 0,
                waiting: Vec::new(),
            }),
            room: Notify::new(),
        }
    }

    /// Reads what a former process left after `moved`, drops files moved entirely, and begins a new file.
    pub(crate) fn recover(&self, moved: JournalPlace) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        let mut numbers = self.files()?;
        numbers.sort_unstable();
        let mut last = moved.file;
        state.oldest = moved.file;
        for number in numbers {
            let path = self.path(number);
            last = last.max(number);
            if number < moved.file {
                std::fs::remove_file(&path).map_err(|error| io_error(&path, &error))?;
                continue;
            }
            let bytes = std::fs::read(&path).map_err(|error| io_error(&path, &error))?;
            let start = if number == moved.file {
                moved.offset
            } else {
                0
            };
            read_frames(&bytes, number, start, &mut state.waiting);
        }
        state.place = JournalPlace {
            file: last + 1,
            offset: 0,
        };
        Ok(())
    }

    /// Appends looks.
    pub(crate) fn append(&self, entries: Vec<PreparedEntry>) -> Result<Appended, StoreError> {
        let mut frames = Vec::with_capacity(entries.len() * 1024);
        let mut starts = Vec::with_capacity(entries.len());
        let mut ends = Vec::with_capacity(entries.len());
        for entry in &entries {
            starts.push(frames.len());
            write_frame(&mut frames, entry)?;
            ends.push(frames.len() as u64);
        }
        let mut state = self.state.lock();
        // On size alone: under steady load some look always waits, and a file is dropped only as a whole.
        if state.place.offset >= self.rotate {
            state.place = JournalPlace {
                file: state.place.file + 1,
                offset: 0,
            };
            state.file = None;
        }
        let path = self.path(state.place.file);
        let State { file, place, .. } = &mut *state;
        for start in starts {
            bind(&mut frames, start, place.offset + start as u64);
        }
        let open = if let Some(open) = file {
            open
        } else {
            let mut options = OpenOptions::new();
            let opened = options.create(true).append(true).open(&path);
            file.insert(opened.map_err(|error| io_error(&path, &error))?)
        };
        if let Err(error) = open.write_all(&frames) {
            // Part of a frame may be there: cut it off, so that what follows can be read.
            if open.set_len(place.offset).is_err() {
                *file = None;
                *place = JournalPlace {
                    file: place.file + 1,
                    offset: 0,
                };
            }
            return Err(io_error(&path, &error));
        }
        let was_empty = state.waiting.is_empty();
        let start = state.place;
        state.place.offset += frames.len() as u64;
        state.waiting.extend(waiting(entries, ends, start));
        Ok(if state.waiting.len() >= self.limit {
            Appended::Full
        } else if was_empty {
            Appended::First
        } else {
            Appended::More
        })
    }

    /// Waits until fewer looks wait than the limit.
    pub(crate) async fn wait_for_room(&self) {
        loop {
            let notified = self.room.notified();
            if self.state.lock().waiting.len() < self.limit {
                return;
            }
            notified.await;
        }
    }

    /// How many looks wait.
    pub(crate) fn backlog(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// How many looks wait and how many bytes they take.
    pub(crate) fn size(&self) -> (u64, u64) {
        let state = self.state.lock();
        let bytes = state.waiting.iter().map(|look| look.bytes).sum();
        (state.waiting.len() as u64, bytes)
    }

    /// Takes the oldest waiting looks to move them.
    pub(crate) fn take(&self, at_most: usize) -> Vec<Waiting> {
        let mut state = self.state.lock();
        if state.waiting.len() <= at_most {
            return core::mem::take(&mut state.waiting);
        }
        let rest = state.waiting.split_off(at_most);
        core::mem::replace(&mut state.waiting, rest)
    }

    /// Puts looks back that could not be moved.
    pub(crate) fn put_back(&self, mut taken: Vec<Waiting>) {
        let mut state = self.state.lock();
        taken.append(&mut state.waiting);
        state.waiting = taken;
    }

    /// Looks up to `moved` are in the log. Drops files that are moved entirely.
    pub(crate) fn moved(&self, moved: JournalPlace) {
        let mut state = self.state.lock();
        let gone = state.oldest..moved.file;
        state.oldest = state.oldest.max(moved.file);
        drop(state);
        self.room.notify_waiters();
        for number in gone {
            // One that stays is dropped at the next start.
            let _ = std::fs::remove_file(self.path(number));
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("access-{number}.journal"))
    }

    fn files(&self) -> Result<Vec<u64>, StoreError> {
        let failed = |error: std::io::Error| io_error(&self.folder, &error);
        let mut numbers = Vec::new();
        for item in std::fs::read_dir(&self.folder).map_err(failed)? {
            let name = item.map_err(failed)?.file_name();
            let number = name.to_str().and_then(|name| {
                name.strip_prefix("access-")?
                    .strip_suffix(".journal")?
                    .parse::<u64>()
                    .ok()
            });
            numbers.extend(number);
        }
        Ok(numbers)
    }
}

/// Looks that were appended at a place, each with the end of its frame from there.
fn waiting(
    entries: Vec<PreparedEntry>,
    ends: Vec<u64>,
    start: JournalPlace,
) -> impl Iterator<Item = Waiting> {
    let mut before = 0;
    entries.into_iter().zip(ends).map(move |(entry, end)| {
        let bytes = end - core::mem::replace(&mut before, end);
        let end = JournalPlace {
            file: start.file,
            offset: start.offset + end,
        };
        Waiting {
            entry,
            end,
            after_gap: false,
            bytes,
        }
    })
}

/// Length and checksum (to be bound to its place by [`bind`]), then: subject flag and key, leaf length, leaf, payload. Refuses what
/// [`read_frame`] would not take.
fn write_frame(out: &mut Vec<u8>, entry: &PreparedEntry) -> Result<(), StoreError> {
    let leaf = entry
        .leaf
        .to_bytes()
        .map_err(|error| StoreError::Engine(error.to_string()))?;
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    out.push(u8::from(entry.subject.is_some()));
    out.extend_from_slice(&entry.subject.unwrap_or_default().to_le_bytes());
    out.extend_from_slice(&(leaf.len() as u32).to_le_bytes());
    out.extend_from_slice(&leaf);
    out.extend_from_slice(&entry.payload);
    let body = out.get(start + HEADER_BYTES..).unwrap_or_default();
    if body.len() > FRAME_LIMIT {
        // Reading stops at such a frame: this look and all after it would be lost.
        return Err(StoreError::Engine(format!(
            "a look's entry has {} bytes and the access journal takes {FRAME_LIMIT}: shorten the request",
            body.len()
        )));
    }
    let (length, check) = (
        (body.len() as u32).to_le_bytes(),
        xxh3_64(body).to_le_bytes(),
    );
    for (target, byte) in out
        .iter_mut()
        .skip(start)
        .zip(length.into_iter().chain(check))
    {
        *target = byte;
    }
    Ok(())
}

/// Writes the place of a frame into its checksum, so that frames cannot be taken out unnoticed.
fn bind(frames: &mut [u8], start: usize, place: u64) {
    let Some(check) = frames
        .get_mut(start + 4..)
        .and_then(|rest| rest.first_chunk_mut::<8>())
    else {
        return;
    };
    *check = (u64::from_le_bytes(*check) ^ place.wrapping_mul(PLACE)).to_le_bytes();
}

/// Reads frames from `start` on. Whatever comes after the last whole one was never acknowledged; what is
/// missing or broken before it was, and is marked.
fn read_frames(bytes: &[u8], file: u64, start: u64, into: &mut Vec<Waiting>) {
    let (mut at, mut removed, mut after_gap) = (start as usize, 0, false);
    while at < bytes.len() {
        let expected = at as u64 + removed;
        let frame = bytes.get(at..).and_then(read_frame);
        let Some((entry, length, place)) = frame.filter(|(.., place)| *place >= expected) else {
            // Torn, broken or not of this place: go on at the next frame that is whole and in order.
            let Some(next) = next_frame(bytes, at + 1, removed) else {
                return;
            };
            (at, after_gap) = (next, true);
            continue;
        };
        after_gap |= place > expected;
        removed = place - at as u64;
        at += length;
        into.push(Waiting {
            entry,
            end: JournalPlace {
                file,
                offset: at as u64,
            },
            after_gap,
            bytes: length as u64,
        });
        after_gap = false;
    }
}

fn next_frame(bytes: &[u8], from: usize, removed: u64) -> Option<usize> {
    (from..bytes.len().saturating_sub(HEADER_BYTES)).find(|at| {
        bytes
            .get(*at..)
            .and_then(read_frame)
            .is_some_and(|(.., place)| place >= *at as u64 + removed)
    })
}

/// A frame, its length and the place it was written to.
fn read_frame(bytes: &[u8]) -> Option<(PreparedEntry, usize, u64)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (check, rest) = rest.split_first_chunk::<8>()?;
    let length = u32::from_le_bytes(*length) as usize;
    let body = rest.get(..length).filter(|_| length <= FRAME_LIMIT)?;
    let place = (xxh3_64(body) ^ u64::from_le_bytes(*check)).wrapping_mul(PLACE_INVERSE);
    if place >= PLACES {
        return None;
    }
    let (flag, rest) = body.split_first()?;
    let (subject, rest) = rest.split_first_chunk::<8>()?;
    let (leaf_length, rest) = rest.split_first_chunk::<4>()?;
    let (leaf, payload) = rest.split_at_checked(u32::from_le_bytes(*leaf_length) as usize)?;
    let entry = PreparedEntry {
        log: Log::Access,
        leaf: Leaf::parse(leaf).ok()?,
        payload: payload.to_vec(),
        subject: (*flag == 1).then(|| i64::from_le_bytes(*subject)),
    };
    Some((entry, HEADER_BYTES + length, place))
}

#[cfg(test)]
mod tests {
    use ::ledger::leaf::{Class, Outcome, Pseudonym};
    use uuid::Uuid;

    use super::*;

    fn entry(number: u8) -> PreparedEntry {
        let leaf = Leaf {
            id: Uuid::from_u128(u128::from(number) + 1),
            time: kernel::Timestamp::from_micros(1),
            writer: Uuid::nil(),
            counter: 1,
            class: Class::Read,
            outcome: Outcome::Success,
            actor: Pseudonym([1; 16]),
            subject: None,
            resource: None,
            payload: Some(::ledger::Hash([2; 32])),
            key: Some(::ledger::leaf::KeyId([3; 16])),
            reason: None,
            prior: None,
            erased: None,
            mark: None,
            gap: None,
        };
        PreparedEntry {
            log: Log::Access,
            leaf,
            payload: vec![number; 30],
            subject: Some(i64::from(number)),
        }
    }

    #[test]
    fn looks_survive_the_end_of_the_process_and_torn_frames_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path(), 3);
        journal.recover(JournalPlace::default()).unwrap();
        assert_eq!(journal.append(vec![entry(1)]).unwrap(), Appended::First);
        assert_eq!(journal.append(vec![entry(2)]).unwrap(), Appended::More);
        assert_eq!(journal.append(vec![entry(3)]).unwrap(), Appended::Full);
        let written = std::fs::metadata(journal.path(1)).unwrap().len();
        assert_eq!(journal.size(), (3, written));
        let taken = journal.take(1);
        let moved = taken[0].end;
        let path = journal.path(1);
        let mut bytes = std::fs::read(&path).unwrap();
        let whole = bytes.len();
        bytes.truncate(whole - 5);
        std::fs::write(&path, &bytes).unwrap();

        let again = Journal::new(folder.path(), 100);
        again.recover(moved).unwrap();
        let waiting = again.take(100);
        assert_eq!(
            waiting.iter().map(|w| &w.entry).collect::<Vec<_>>(),
            [&entry(2)]
        );
        again.append(vec![entry(4)]).unwrap();
        again.moved(JournalPlace { file: 2, offset: 0 });
        assert!(!path.exists());
        let last = Journal::new(folder.path(), 100);
        last.recover(JournalPlace { file: 2, offset: 0 }).unwrap();
        assert_eq!(last.take(100).len(), 1);
    }

    /// A journal of five looks, changed, as the next process reads it: payload and mark of each.
    fn read_after(change: impl FnOnce(&mut Vec<u8>, &[usize])) -> Vec<(u8, bool)> {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path(), 100);
        journal.recover(JournalPlace::default()).unwrap();
        let mut starts = vec![0];
        for number in 1..=5 {
            journal.append(vec![entry(number)]).unwrap();
            let length = std::fs::metadata(journal.path(1)).unwrap().len();
            starts.push(length as usize);
        }
        let mut bytes = std::fs::read(journal.path(1)).unwrap();
        change(&mut bytes, &starts);
        std::fs::write(journal.path(1), &bytes).unwrap();
        let again = Journal::new(folder.path(), 100);
        again.recover(JournalPlace::default()).unwrap();
        let read = again.take(100).into_iter();
        read.map(|look| (look.entry.payload[0], look.after_gap))
            .collect()
    }

    #[test]
    fn looks_taken_out_or_broken_leave_a_mark_and_the_others_stay() {
        assert_eq!(PLACE.wrapping_mul(PLACE_INVERSE), 1);
        let plain = |numbers: &[u8]| numbers.iter().map(|n| (*n, false)).collect::<Vec<_>>();
        assert_eq!(read_after(|_, _| ()), plain(&[1, 2, 3, 4, 5]));
        let marked = |numbers: &[u8], at: usize| {
            let mut looks = plain(numbers);
            looks[at].1 = true;
            looks
        };
        // Two taken out of the middle, the first taken out, one overwritten, one bit turned.
        let out = read_after(|bytes, starts| drop(bytes.drain(starts[1]..starts[3])));
        assert_eq!(out, marked(&[1, 4, 5], 1));
        let out = read_after(|bytes, starts| drop(bytes.drain(..starts[1])));
        assert_eq!(out, marked(&[2, 3, 4, 5], 0));
        let out = read_after(|bytes, starts| bytes[starts[2]..starts[3]].fill(0));
        assert_eq!(out, marked(&[1, 2, 4, 5], 2));
        let out = read_after(|bytes, starts| bytes[starts[2] + 40] ^= 1);
        assert_eq!(out, marked(&[1, 2, 4, 5], 2));
        // One repeated over the next.
        let out = read_after(|bytes, starts| {
            let one = bytes[starts[1]..starts[2]].to_vec();
            bytes.splice(starts[2]..starts[3], one);
        });
        assert_eq!(out, marked(&[1, 2, 4, 5], 2));
        // Cut off at the end: as if it had never been acknowledged.
        let out = read_after(|bytes, starts| bytes.truncate(starts[4] + 7));
        assert_eq!(out, plain(&[1, 2, 3, 4]));
    }

    #[test]
    fn a_large_file_is_followed_by_another_while_looks_wait() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::new(folder.path(), 100);
        journal.rotate = 1;
        journal.recover(JournalPlace::default()).unwrap();
        for number in 1..=3 {
            journal.append(vec![entry(number)]).unwrap();
        }
        let ends: Vec<u64> = journal.take(2).iter().map(|look| look.end.file).collect();
        assert_eq!(ends, [1, 2]);
        journal.moved(JournalPlace { file: 2, offset: 0 });
        assert!(!journal.path(1).exists() && journal.path(2).exists());
        let again = Journal::new(folder.path(), 100);
        again.recover(JournalPlace { file: 2, offset: 0 }).unwrap();
        let read: Vec<PreparedEntry> = again.take(9).into_iter().map(|look| look.entry).collect();
        assert_eq!(read, [entry(2), entry(3)]);
    }

    #[test]
    fn a_look_that_could_not_be_read_again_is_refused_whole() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path(), 100);
        journal.recover(JournalPlace::default()).unwrap();
        let mut large = entry(2);
        large.payload = vec![0; FRAME_LIMIT];
        assert!(journal.append(vec![entry(1), large]).is_err());
        journal.append(vec![entry(3)]).unwrap();
        let again = Journal::new(folder.path(), 100);
        again.recover(JournalPlace::default()).unwrap();
        let read: Vec<PreparedEntry> = again.take(9).into_iter().map(|look| look.entry).collect();
        assert_eq!(read, [entry(3)]);
    }
}
