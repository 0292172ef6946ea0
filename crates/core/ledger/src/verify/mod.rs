//! The offline verifier: streams logs out of a [`LogSource`] and says whether they are sound. Needs no
//! network, no database and no secret key. Must not read files or clocks.

mod counters;
mod points;
mod report;
mod stored;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::{BTreeMap, HashMap, HashSet};

use kernel::{Categorised, Category, TenantId};

use crate::checkpoint::Checkpoint;
use crate::export::head_lines;
use crate::leaf::{Class, KeyId, Leaf, Mark};
use crate::note::Note;
use crate::origin::Origin;
use crate::policy::Policy;
use crate::tile::{Bundle, Tile, entries};
use points::{Points, Witness};
pub use report::{Finding, LogSummary, Report, Verdict};
use walk::Walk;

/// Reading failed: not because something is missing (that is an answer), but because it could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} cannot be read ({detail}): check permissions and the medium, then verify again")]
pub struct SourceError {
    /// Which file or table.
    pub place: String,
    /// What the system said.
    pub detail: String,
}

impl Categorised for SourceError {
    fn category(&self) -> Category {
        Category::Unavailable
    }
}

/// Where logs are read from. Every answer is `None` for what is not there, and the bytes as they are,
/// sound or not, for what is.
pub trait LogSource {
    /// The origins of the logs held, in any order.
    fn origins(&mut self) -> Result<Vec<String>, SourceError>;
    /// A log's newest checkpoint: a signed note.
    fn checkpoint(&mut self, origin: &str) -> Result<Option<String>, SourceError>;
    /// The next of a log's stored checkpoints, oldest first, any number at a time; `given` says how many
    /// were given before. Empty at the end. What cannot be split into notes is given as one.
    fn checkpoints(&mut self, origin: &str, given: u64) -> Result<Vec<String>, SourceError>;
    /// A tile; a fuller one may be given in place of a partial one.
    fn tile(&mut self, origin: &str, tile: Tile) -> Result<Option<Vec<u8>>, SourceError>;
    /// A bundle of entries; a fuller one may be given in place of a partial one.
    fn entries(&mut self, origin: &str, bundle: Bundle) -> Result<Option<Vec<u8>>, SourceError>;
    /// The sealed payloads of a bundle's entries, as [`crate::export::push_payload`] writes them.
    fn payloads(&mut self, origin: &str, bundle: Bundle) -> Result<Option<Vec<u8>>, SourceError>;
    /// The log's head file, where there is one.
    fn head(&mut self, origin: &str) -> Result<Option<String>, SourceError> {
        let _ = origin;
        Ok(None)
    }
    /// Told after every bundle: how many entries of how many are checked.
    fn progress(&mut self, origin: &str, checked: u64, size: u64) {
        let _ = (origin, checked, size);
    }
}

/// What to check, and against what.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Whom to trust.
    pub policy: &'a Policy,
    /// Checkpoints that the verifying party kept: each must be a state that its log went through.
    pub held: &'a [Checkpoint],
    /// Whether payloads are to be there; without, only the log itself is checked.
    pub payloads: bool,
    /// Whether all logs of a tenant may be missing, as in an export of one tenant beside the instance log that
    /// names the others. Of a tenant with one log here, all must be.
    pub partial: bool,
}

/// Payloads and keys over all logs: a payload may be absent when its key was erased, wherever the `erase`
/// leaf stands.
#[derive(Debug, Default)]
struct Erasures {
    erased: HashSet<KeyId>,
    absent: HashMap<KeyId, (String, u64, u64)>,
}

impl Erasures {
    fn absent(&mut self, key: KeyId, origin: &str, index: u64) {
        let first = self
            .absent
            .entry(key)
            .or_insert_with(|| (origin.to_owned(), index, 0));
        first.2 += 1;
    }
}

/// What the walks through the logs add to.
#[derive(Debug, Default)]
struct Shared {
    points: Points,
    erasures: Erasures,
    report: Report,
}

/// Verifies everything a source holds.
pub fn verify<S: LogSource>(source: &mut S, request: &Request<'_>) -> Result<Report, SourceError> {
    let mut shared = Shared::default();
    for held in request.held {
        shared.points.add(&mark_of(held), Witness::Held);
    }
    let mut origins = source.origins()?;
    origins.sort_by_cached_key(|origin| {
        let parsed = origin.parse::<Origin>().ok();
        let instance = parsed.as_ref().is_some_and(Origin::is_instance_log);
        (!instance, parsed, origin.clone())
    });
    origins.dedup();
    if origins.is_empty() {
        let what = "no log is here: give a folder that holds an export or a data folder";
        shared.report.add(Verdict::Incomplete, "", None, what);
    }
    for origin in &origins {
        gather(source, origin, &mut shared)?;
    }
    for origin in &origins {
        let (named, lost) = shared.points.take(origin);
        Walk::new(origin, named, lost, request).run(source, &mut shared)?;
    }
    let Shared {
        points,
        erasures,
        mut report,
    } = shared;
    let here: HashSet<TenantId> = origins.iter().filter_map(|origin| tenant(origin)).collect();
    for (origin, point) in points.left() {
        if request.partial && tenant(origin).is_some_and(|of| !here.contains(&of)) {
            continue;
        }
        let words = point.witness.words();
        let what = format!(
            "{words} names {} entries of this log, which is not here",
            point.size
        );
        report.add(Verdict::Incomplete, origin, Some(0), what);
    }
    settle(&erasures, &mut report);
    Ok(report)
}

fn tenant(origin: &str) -> Option<TenantId> {
    origin.parse::<Origin>().ok().map(|origin| origin.tenant)
}

/// Collects what the head file and the next epoch say, before any log is walked.
fn gather<S: LogSource>(
    source: &mut S,
    origin: &str,
    shared: &mut Shared,
) -> Result<(), SourceError> {
    let Shared { points, report, .. } = shared;
    if let Some(head) = source.head(origin)? {
        match head_lines(&head) {
            Ok(lines) => lines
                .iter()
                .for_each(|line| points.add(&mark_of(line), Witness::Head)),
            Err(error) => {
                let what = format!("the head file cannot be used: {error}");
                report.add(Verdict::Altered, origin, None, what);
            }
        }
    }
    let Some(before) = origin
        .parse::<Origin>()
        .ok()
        .and_then(|origin| origin.before())
    else {
        return Ok(());
    };
    let Some(first) = first_leaf(source, origin)?.filter(|leaf| leaf.class == Class::Epoch) else {
        return Ok(());
    };
    if let Some(mark) = first.mark.filter(|mark| mark.origin == before.to_string()) {
        points.add(&mark, Witness::Epoch);
        if let Some(gap) = first.gap {
            points.lose(&mark.origin, gap);
        }
    }
    Ok(())
}

/// The first leaf of a log, unchecked: the walk through the log checks it.
fn first_leaf<S: LogSource>(source: &mut S, origin: &str) -> Result<Option<Leaf>, SourceError> {
    let note = source
        .checkpoint(origin)?
        .and_then(|note| Note::parse(&note).ok());
    let size = note
        .and_then(|note| Checkpoint::of_note(&note).ok())
        .map_or(0, |known| known.size);
    let Some(bundle) = Bundle::in_log(size, 0) else {
        return Ok(None);
    };
    let bytes = source.entries(origin, bundle)?.unwrap_or_default();
    let first = entries(&bytes).next().and_then(Result::ok);
    Ok(first.and_then(|entry| Leaf::parse(entry).ok()))
}

fn mark_of(checkpoint: &Checkpoint) -> Mark {
    Mark {
        origin: checkpoint.origin.clone(),
        size: checkpoint.size,
        root: checkpoint.root,
    }
}

/// Payloads that are absent although nobody erased their key.
fn settle(erasures: &Erasures, report: &mut Report) {
    let mut lacking: BTreeMap<(&str, u64), u64> = BTreeMap::new();
    for (key, (origin, index, count)) in &erasures.absent {
        if !erasures.erased.contains(key) {
            lacking.insert((origin, *index), *count);
        }
    }
    for ((origin, index), count) in lacking {
        let more = if count > 1 {
            format!(" (and {} more under the same key)", count - 1)
        } else {
            String::new()
        };
        let what = format!(
            "the payload of entry {index}{more} is absent and no entry says that its key was erased"
        );
        report.add(Verdict::Incomplete, origin, Some(index), what);
    }
}
