//! One log from its first entry to its newest checkpoint: hashes, tiles, leaves, counters, payloads and
//! every state that somebody vouches for. Must not look at other logs but through the points.

use super::counters::Counters;
use super::points::{Point, Witness};
use super::report::{LogSummary, Report, Verdict};
use super::stored::Stored;
use super::{LogSource, Request, Shared, SourceError};
use crate::checkpoint::Checkpoint;
use crate::edge::{Edge, FullTile};
use crate::export::payloads;
use crate::hash::{Hash, leaf_hash};
use crate::leaf::{Class, Gap, Leaf, Outcome};
use crate::note::Note;
use crate::origin::Origin;
use crate::policy::Distrust;
use crate::tile::{Bundle, Tile, entries, hash_at};

/// The state of a walk.
pub(super) struct Walk<'a> {
    origin: &'a str,
    parsed: Option<Origin>,
    request: &'a Request<'a>,
    points: std::iter::Peekable<std::vec::IntoIter<Point>>,
    lost: Option<Gap>,
    edge: Edge,
    counters: Counters,
    summary: LogSummary,
    /// The last index whose entry differs from the tree, so that a run is reported once.
    differed: Option<u64>,
    /// Size up to which own checkpoints, then other witnesses, agree; none once one does not.
    own: Option<u64>,
    others: Option<u64>,
    /// The size of the stored checkpoint passed last.
    stored_at: Option<u64>,
}

/// What is held of an entry's payload.
#[derive(Clone, Copy)]
enum Payload<'a> {
    /// Payloads are not looked at.
    Unchecked,
    /// There is none.
    Absent,
    /// The sealed bytes.
    Sealed(&'a [u8]),
}

impl<'a> From<Option<&'a [u8]>> for Payload<'a> {
    fn from(sealed: Option<&'a [u8]>) -> Self {
        sealed.map_or(Self::Absent, Self::Sealed)
    }
}

/// What is held of one bundle.
struct Held {
    entries: Option<Vec<u8>>,
    tile: Option<Vec<u8>>,
    payloads: Option<Vec<u8>>,
}

impl<'a> Walk<'a> {
    pub fn new(
        origin: &'a str,
        points: Vec<Point>,
        lost: Option<Gap>,
        request: &'a Request<'a>,
    ) -> Self {
        let summary = LogSummary {
            origin: origin.to_owned(),
            entries: 0,
            checkpoints: 0,
            payloads: 0,
            absent_payloads: 0,
        };
        Self {
            origin,
            parsed: origin.parse().ok(),
            request,
            points: points.into_iter().peekable(),
            lost,
            edge: Edge::empty(),
            counters: Counters::default(),
            summary,
            differed: None,
            own: Some(0),
            others: Some(0),
            stored_at: None,
        }
    }

    pub fn run<S: LogSource>(
        mut self,
        source: &mut S,
        shared: &mut Shared,
    ) -> Result<(), SourceError> {
        let newest_text = source.checkpoint(self.origin)?;
        let newest = self.judge_newest(newest_text.as_deref(), &mut shared.report);
        let size = match &newest {
            Some(checkpoint) => checkpoint.size,
            None => self.size_without_newest(source)?,
        };
        let newest_text = newest_text.unwrap_or_default();
        let mut stored = Stored::new(self.origin, self.request.policy, newest_text);
        stored.advance(source, &mut shared.report)?;
        self.check_states(source, &mut stored, &mut shared.report)?;
        for bundle in Bundle::all_of(size) {
            let held = self.read(source, bundle)?;
            let whole = self.bundle(source, bundle, &held, &mut stored, shared)?;
            self.lacking(bundle, &held, &mut shared.report);
            source.progress(self.origin, self.edge.size(), size);
            if !whole {
                break;
            }
        }
        let report = &mut shared.report;
        if self.edge.size() == size {
            self.check_partials(source, report)?;
            if let Some(checkpoint) = &newest {
                self.check_root(checkpoint, "the newest checkpoint", report);
            }
        }
        self.finish(source, stored, newest.as_ref(), report)
    }

    /// The newest checkpoint, if it can be read; findings where it is not what it should be.
    fn judge_newest(&self, text: Option<&str>, report: &mut Report) -> Option<Checkpoint> {
        let Some(text) = text else {
            report.add(
                Verdict::Incomplete,
                self.origin,
                None,
                "the newest checkpoint is missing",
            );
            return None;
        };
        let note = Note::parse(text);
        let Ok(note) = note else {
            report.add(
                Verdict::Altered,
                self.origin,
                None,
                "the newest checkpoint is not a signed note",
            );
            return None;
        };
        let checkpoint = Checkpoint::of_note(&note).ok();
        let size = checkpoint.as_ref().map(|checkpoint| checkpoint.size);
        let (verdict, what) = match self.request.policy.check(&note, true) {
            Ok(known) if known.origin == self.origin => return Some(known),
            Ok(known) => (
                Verdict::Altered,
                format!("the newest checkpoint is of {}", known.origin),
            ),
            Err(Distrust::Unknown) => (
                Verdict::Untrusted,
                "the newest checkpoint is signed by no trusted key of this log".to_owned(),
            ),
            Err(Distrust::Quorum) => (
                Verdict::Untrusted,
                "too few trusted witnesses cosigned the newest checkpoint".to_owned(),
            ),
            Err(Distrust::Mismatch(name)) => (
                Verdict::Altered,
                format!("the newest checkpoint was changed after {name} signed it"),
            ),
            Err(Distrust::Malformed(error)) => {
                (Verdict::Altered, format!("the newest checkpoint: {error}"))
            }
        };
        report.add(verdict, self.origin, size, what);
        checkpoint.filter(|checkpoint| checkpoint.origin == self.origin)
    }

    /// How far to walk when the newest checkpoint cannot be used: to the last stored one.
    fn size_without_newest<S: LogSource>(&self, source: &mut S) -> Result<u64, SourceError> {
        let (mut size, mut given) = (0, 0);
        loop {
            let texts = source.checkpoints(self.origin, given)?;
            if texts.is_empty() {
                return Ok(size);
            }
            given += texts.len() as u64;
            let notes = texts.iter().filter_map(|text| Note::parse(text).ok());
            let checkpoints = notes.filter_map(|note| Checkpoint::of_note(&note).ok());
            size = checkpoints
                .map(|checkpoint| checkpoint.size)
                .fold(size, u64::max);
        }
    }

    fn read<S: LogSource>(&self, source: &mut S, bundle: Bundle) -> Result<Held, SourceError> {
        let tile = Tile {
            level: 0,
            index: bundle.index,
            width: bundle.width,
        };
        Ok(Held {
            entries: source.entries(self.origin, bundle)?,
            tile: source.tile(self.origin, tile)?,
            payloads: if self.request.payloads {
                source.payloads(self.origin, bundle)?
            } else {
                None
            },
        })
    }

    /// Files of a bundle that are missing; told after what its entries showed.
    fn lacking(&self, bundle: Bundle, held: &Held, report: &mut Report) {
        let tile = Tile {
            level: 0,
            index: bundle.index,
            width: bundle.width,
        };
        let files = [
            (held.tile.is_none(), tile.to_string()),
            (
                held.payloads.is_none() && self.request.payloads,
                bundle.payloads_path(),
            ),
        ];
        for (_, path) in files.into_iter().filter(|(missing, _)| *missing) {
            report.add(
                Verdict::Incomplete,
                self.origin,
                Some(bundle.index * 256),
                format!("{path} is missing"),
            );
        }
    }

    /// One bundle; false where the walk cannot go on because neither entry nor hash is there.
    fn bundle<S: LogSource>(
        &mut self,
        source: &mut S,
        bundle: Bundle,
        held: &Held,
        stored: &mut Stored<'_>,
        shared: &mut Shared,
    ) -> Result<bool, SourceError> {
        let mut given = entries(held.entries.as_deref().unwrap_or_default()).map_while(Result::ok);
        let sealed = held
            .payloads
            .as_deref()
            .map(|bytes| payloads(bytes).map_while(Result::ok));
        let mut sealed = sealed.map(|sealed| sealed.map(Payload::from));
        let mut lacking = false;
        for position in 0..usize::from(bundle.width) {
            let index = self.edge.size();
            let entry = given.next();
            let kept = held
                .tile
                .as_deref()
                .and_then(|tile| hash_at(tile, position));
            let payload = sealed.as_mut().map_or(Payload::Unchecked, |sealed| {
                sealed.next().unwrap_or(Payload::Absent)
            });
            if entry.is_none() && !lacking {
                lacking = true;
                let what = format!("{} ends before entry {index}", bundle.entries_path());
                shared
                    .report
                    .add(Verdict::Incomplete, self.origin, Some(index), what);
            }
            let hash = match entry {
                Some(entry) => Some(self.entry(index, entry, kept, payload, shared)),
                None => kept,
            };
            let Some(hash) = hash else { return Ok(false) };
            for tile in self.edge.append(hash).tiles {
                self.check_tile(source, &tile, &mut shared.report)?;
            }
            self.check_states(source, stored, &mut shared.report)?;
        }
        Ok(true)
    }

    /// One entry: gives the hash to go on with. The tree's own where it has one, so that one altered entry
    /// does not hide what comes after it.
    fn entry(
        &mut self,
        index: u64,
        entry: &[u8],
        kept: Option<Hash>,
        payload: Payload<'_>,
        shared: &mut Shared,
    ) -> Hash {
        self.summary.entries += 1;
        let hash = leaf_hash(entry);
        let same = kept.is_none_or(|kept| kept == hash);
        let report = &mut shared.report;
        if !same {
            if index == 0 || self.differed != Some(index - 1) {
                let what = format!("entry {index} is not the one whose hash is in the tree");
                report.add(Verdict::Altered, self.origin, Some(index), what);
            }
            self.differed = Some(index);
        }
        match Leaf::parse(entry) {
            Ok(leaf) => {
                if !self.counters.note(leaf.writer, leaf.counter, index) && same {
                    let what = format!(
                        "counter {} of writer {} appears twice",
                        leaf.counter, leaf.writer
                    );
                    report.add(Verdict::Altered, self.origin, Some(index), what);
                }
                if same {
                    self.check_payload(index, &leaf, payload, shared);
                    self.check_meaning(index, &leaf, shared);
                }
            }
            Err(error) if same => {
                report.add(
                    Verdict::Altered,
                    self.origin,
                    Some(index),
                    format!("entry {index}: {error}"),
                );
            }
            Err(_) => {}
        }
        kept.unwrap_or(hash)
    }

    fn check_payload(
        &mut self,
        index: u64,
        leaf: &Leaf,
        payload: Payload<'_>,
        shared: &mut Shared,
    ) {
        let (Some(expected), Some(key)) = (leaf.payload, leaf.key) else {
            return;
        };
        match payload {
            Payload::Sealed(sealed) => {
                self.summary.payloads += 1;
                if Hash::of(sealed) != expected {
                    let what =
                        format!("the payload of entry {index} is not the one that was sealed");
                    shared
                        .report
                        .add(Verdict::Altered, self.origin, Some(index), what);
                }
            }
            Payload::Absent => {
                self.summary.absent_payloads += 1;
                shared.erasures.absent(key, self.origin, index);
            }
            Payload::Unchecked => self.summary.absent_payloads += 1,
        }
    }

    /// What an entry says about keys, counters and other logs.
    fn check_meaning(&mut self, index: u64, leaf: &Leaf, shared: &mut Shared) {
        match leaf.class {
            Class::Erase if leaf.outcome == Outcome::Success => {
                shared.erasures.erased.extend(leaf.erased);
            }
            Class::Discontinuity => {
                if let Some(gap) = leaf.gap {
                    self.counters.explain(gap);
                    let (from, to) = (gap.from, gap.to);
                    let what = format!(
                        "counters {from} to {to} of writer {} are declared lost",
                        gap.writer
                    );
                    shared
                        .report
                        .add(Verdict::Sound, self.origin, Some(index), what);
                }
            }
            Class::Checkpoint if self.parsed.as_ref().is_some_and(Origin::is_instance_log) => {
                if let Some(mark) = leaf.mark.as_ref().filter(|mark| mark.origin != self.origin) {
                    shared.points.add(mark, Witness::Instance(index));
                }
            }
            _ => {}
        }
        let before = self
            .parsed
            .as_ref()
            .filter(|_| index == 0)
            .and_then(Origin::before);
        let Some(before) = before.map(|before| before.to_string()) else {
            return;
        };
        let named = leaf.class == Class::Epoch
            && leaf.mark.as_ref().is_some_and(|mark| mark.origin == before);
        if !named {
            let what = format!("the first entry does not name the end of {before}");
            shared
                .report
                .add(Verdict::Altered, self.origin, Some(0), what);
        }
    }

    /// Compares a tile that became full with the stored one (level 0 is compared entry by entry).
    fn check_tile<S: LogSource>(
        &self,
        source: &mut S,
        full: &FullTile,
        report: &mut Report,
    ) -> Result<(), SourceError> {
        if full.level == 0 {
            return Ok(());
        }
        let tile = Tile {
            level: full.level,
            index: full.index,
            width: 256,
        };
        self.compare(source, tile, &full.hashes, report)
    }

    fn check_partials<S: LogSource>(
        &self,
        source: &mut S,
        report: &mut Report,
    ) -> Result<(), SourceError> {
        for (tile, hashes) in self.edge.partials().filter(|(tile, _)| tile.level > 0) {
            self.compare(source, tile, hashes, report)?;
        }
        Ok(())
    }

    fn compare<S: LogSource>(
        &self,
        source: &mut S,
        tile: Tile,
        hashes: &[u8],
        report: &mut Report,
    ) -> Result<(), SourceError> {
        let span = |position: u64| {
            ((tile.index * 256 + position) << (8 * u32::from(tile.level))).min(self.edge.size())
        };
        let Some(found) = source.tile(self.origin, tile)? else {
            report.add(
                Verdict::Incomplete,
                self.origin,
                Some(span(0)),
                format!("{tile} is missing"),
            );
            return Ok(());
        };
        let pairs = hashes
            .chunks_exact(Hash::LEN)
            .zip(found.chunks_exact(Hash::LEN));
        let same = pairs.take_while(|(ours, theirs)| ours == theirs).count();
        if same < usize::from(tile.width) {
            let index = span(same as u64);
            let (verdict, what) = if found.len() < (same + 1) * Hash::LEN {
                (Verdict::Incomplete, format!("{tile} is too short"))
            } else {
                (
                    Verdict::Altered,
                    format!("{tile} does not follow from the entries from {index} on"),
                )
            };
            report.add(verdict, self.origin, Some(index), what);
        }
        Ok(())
    }

    /// Compares the tree with every state that is named at its present size.
    fn check_states<S: LogSource>(
        &mut self,
        source: &mut S,
        stored: &mut Stored<'_>,
        report: &mut Report,
    ) -> Result<(), SourceError> {
        let size = self.edge.size();
        while let Some(checkpoint) = stored.peek().filter(|checkpoint| checkpoint.size == size) {
            self.stored_at = Some(size);
            let checkpoint = checkpoint.clone();
            self.check_root(&checkpoint, "a stored checkpoint", report);
            stored.advance(source, report)?;
        }
        while let Some(point) = self.points.next_if(|point| point.size == size) {
            let words = point.witness.words();
            if self.others.is_some() && self.edge.root() != point.root {
                let from = self.others.take().unwrap_or(0);
                let what =
                    format!("entries {from} to {size} are not those that {words} vouches for");
                report.add(Verdict::Altered, self.origin, Some(from), what);
            }
            self.others = self.others.map(|_| size);
            if point.witness.asks_for_stored() && self.stored_at != Some(size) {
                let what =
                    format!("the checkpoint of {size} entries, which {words} names, is missing");
                report.add(Verdict::Incomplete, self.origin, Some(size), what);
            }
        }
        Ok(())
    }

    fn check_root(&mut self, checkpoint: &Checkpoint, which: &str, report: &mut Report) {
        let Some(from) = self.own else { return };
        if self.edge.root() == checkpoint.root {
            self.own = Some(checkpoint.size);
            return;
        }
        self.own = None;
        let size = checkpoint.size;
        let what = format!(
            "entries {from} to {size} are not those that {which} of {size} entries was signed over"
        );
        report.add(Verdict::Altered, self.origin, Some(from), what);
    }

    fn finish<S: LogSource>(
        mut self,
        source: &mut S,
        mut stored: Stored<'_>,
        newest: Option<&Checkpoint>,
        report: &mut Report,
    ) -> Result<(), SourceError> {
        let size = self.edge.size();
        let mut beyond: Option<(u64, String)> = None;
        while let Some(checkpoint) = stored.peek() {
            beyond = Some((checkpoint.size, "a stored checkpoint".to_owned()));
            stored.advance(source, report)?;
        }
        if let Some(checkpoint) = newest
            && stored.last_size() < checkpoint.size
        {
            let what = "the newest checkpoint is not among the stored ones";
            report.add(
                Verdict::Incomplete,
                self.origin,
                Some(checkpoint.size),
                what,
            );
        }
        for point in self.points.by_ref() {
            if beyond.as_ref().is_none_or(|(most, _)| *most <= point.size) {
                beyond = Some((point.size, point.witness.words()));
            }
        }
        if let Some((published, words)) = beyond {
            let explained = self
                .lost
                .is_some_and(|gap| gap.from <= size && gap.to + 1 >= published);
            let what = if explained {
                format!("entries {size} to {published} were lost; the next epoch says so")
            } else {
                format!("{words} vouches for {published} entries, only {size} are here")
            };
            let verdict = if explained {
                Verdict::Sound
            } else {
                Verdict::Incomplete
            };
            report.add(verdict, self.origin, Some(size), what);
        }
        for missing in self.counters.missing() {
            let (writer, from, to) = (missing.writer, missing.from, missing.to);
            let what = format!(
                "counters {from} to {to} of writer {writer} are missing before entry {}",
                missing.index
            );
            report.add(Verdict::Incomplete, self.origin, Some(missing.index), what);
        }
        self.summary.checkpoints = stored.count();
        report.logs.push(self.summary);
        Ok(())
    }
}
