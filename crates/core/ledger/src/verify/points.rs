//! States of logs that something outside the log's own folder names: a checkpoint held from before, the
//! head file, the instance log, the next epoch. Must not hold the log's own stored checkpoints: those
//! stream by.

use std::collections::BTreeMap;

use crate::hash::Hash;
use crate::leaf::{Gap, Mark};

/// Who names a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Witness {
    /// A checkpoint that the verifying party kept.
    Held,
    /// The head file, outside the database.
    Head,
    /// A leaf of the instance log, at this index.
    Instance(u64),
    /// The first leaf of the next epoch.
    Epoch,
}

impl Witness {
    pub fn words(self) -> String {
        match self {
            Self::Held => "a checkpoint held from before".to_owned(),
            Self::Head => "the head file".to_owned(),
            Self::Instance(index) => format!("entry {index} of the instance log"),
            Self::Epoch => "the first entry of the next epoch".to_owned(),
        }
    }
    /// Whether the state it names must also be among the log's stored checkpoints.
    pub const fn asks_for_stored(self) -> bool {
        matches!(self, Self::Instance(_))
    }
}

/// A state that a log must have gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    pub size: u64,
    pub root: Hash,
    pub witness: Witness,
}

/// The points of all logs, and what an epoch's first leaf says was lost of the epoch before.
#[derive(Debug, Default)]
pub(super) struct Points {
    by_log: BTreeMap<String, Vec<Point>>,
    lost: BTreeMap<String, Gap>,
}

impl Points {
    pub fn add(&mut self, mark: &Mark, witness: Witness) {
        let point = Point {
            size: mark.size,
            root: mark.root,
            witness,
        };
        match self.by_log.get_mut(&mark.origin) {
            Some(points) => points.push(point),
            None => {
                self.by_log.insert(mark.origin.clone(), vec![point]);
            }
        }
    }
    pub fn lose(&mut self, origin: &str, gap: Gap) {
        self.lost.insert(origin.to_owned(), gap);
    }
    /// A log's points in order of size; they are gone from here afterwards.
    pub fn take(&mut self, origin: &str) -> (Vec<Point>, Option<Gap>) {
        let mut points = self.by_log.remove(origin).unwrap_or_default();
        points.sort_unstable();
        (points, self.lost.remove(origin))
    }
    /// The greatest point of every log that was not taken: logs that are named but not here.
    pub fn left(&self) -> impl Iterator<Item = (&str, &Point)> {
        self.by_log.iter().filter_map(|(origin, points)| {
            points.iter().max().map(|point| (origin.as_str(), point))
        })
    }
}
