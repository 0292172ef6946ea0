//! The adversary suite: logs in memory, each tampered with in one way, and the verdict and index that must
//! come out. Must not know how the verifier works inside.

mod attacks;
mod whole;

use std::collections::BTreeMap;

use kernel::Timestamp;
use uuid::Uuid;

use super::*;
use crate::edge::Edge;
use crate::export::{HeadLine, push_payload};
use crate::hash::{Hash, leaf_hash};
use crate::leaf::{Gap, Outcome, Pseudonym};
use crate::note::{KeyKind, SigningKey};
use crate::tile::encode_bundle;

const COUNT: u64 = 700;
const EVERY: u64 = 50;

fn signer(seed: u8) -> SigningKey {
    SigningKey::from_seed("records.example", KeyKind::Log, &[seed; 32]).unwrap()
}

fn witness() -> SigningKey {
    SigningKey::from_seed("witness.example", KeyKind::Cosigner, &[40; 32]).unwrap()
}

fn origin(tenant: u128, epoch: u32) -> String {
    format!(
        "records.example/{}/changes/e{epoch}",
        Uuid::from_u128(tenant)
    )
}

fn blank(class: Class, counter: u64) -> Leaf {
    Leaf {
        id: Uuid::from_u128(u128::from(counter)),
        time: Timestamp::from_micros(1_772_698_150_000_000 + counter as i64),
        writer: Uuid::from_u128(77),
        counter,
        class,
        outcome: Outcome::Success,
        actor: Pseudonym([5; 16]),
        subject: None,
        resource: None,
        payload: None,
        key: None,
        reason: None,
        prior: None,
        erased: None,
        mark: None,
        gap: None,
    }
}

fn sealed(n: u64) -> Vec<u8> {
    format!("sealed payload {n}").into_bytes()
}

fn key_of(n: u64) -> KeyId {
    KeyId([(n % 10) as u8; 16])
}

/// One log as stored, signed with `key`.
#[derive(Clone)]
struct Kept {
    origin: String,
    leaves: Vec<Vec<u8>>,
    payloads: Vec<Option<Vec<u8>>>,
    tiles: BTreeMap<Tile, Vec<u8>>,
    newest: Option<String>,
    stored: Vec<String>,
    head: Option<String>,
}

impl Kept {
    /// A sound log of the leaves, with a checkpoint after every [`EVERY`] entries and at the end.
    fn of(origin: &str, leaves: &[Leaf], key: &SigningKey) -> Self {
        let mut log = Self {
            origin: origin.to_owned(),
            leaves: leaves.iter().map(|leaf| leaf.to_bytes().unwrap()).collect(),
            payloads: leaves
                .iter()
                .map(|leaf| leaf.payload.map(|_| sealed(leaf.counter)))
                .collect(),
            tiles: BTreeMap::new(),
            newest: None,
            stored: Vec::new(),
            head: None,
        };
        log.build_tiles();
        log.sign(key);
        log
    }
    fn build_tiles(&mut self) {
        let mut edge = Edge::empty();
        self.tiles.clear();
        for leaf in &self.leaves {
            for tile in edge.append(leaf_hash(leaf)).tiles {
                self.tiles.insert(
                    Tile {
                        level: tile.level,
                        index: tile.index,
                        width: 256,
                    },
                    tile.hashes,
                );
            }
        }
        self.tiles.extend(
            edge.partials()
                .map(|(tile, hashes)| (tile, hashes.to_vec())),
        );
    }
    fn state(&self, size: u64) -> Checkpoint {
        let mut edge = Edge::empty();
        for leaf in &self.leaves[..size as usize] {
            edge.append(leaf_hash(leaf));
        }
        Checkpoint {
            origin: self.origin.clone(),
            size,
            root: edge.root(),
        }
    }
    fn sign(&mut self, key: &SigningKey) {
        let size = self.leaves.len() as u64;
        let sizes = (1..=size).filter(|n| n % EVERY == 0 || *n == size);
        self.stored = sizes.map(|n| self.state(n).sign(&[key]).unwrap()).collect();
        self.newest = self.stored.last().cloned();
    }
    fn truncate(&mut self, size: usize) {
        self.leaves.truncate(size);
        self.payloads.truncate(size);
        self.build_tiles();
    }
    /// Replaces a leaf by one that is as well formed.
    fn edit(&mut self, index: usize) {
        let mut leaf = Leaf::parse(&self.leaves[index]).unwrap();
        leaf.outcome = Outcome::Denied;
        self.leaves[index] = leaf.to_bytes().unwrap();
    }
}

#[derive(Clone)]
struct Memory(Vec<Kept>);

impl Memory {
    fn log(&self, origin: &str) -> &Kept {
        self.0.iter().find(|log| log.origin == origin).unwrap()
    }
}

impl LogSource for Memory {
    fn origins(&mut self) -> Result<Vec<String>, SourceError> {
        Ok(self.0.iter().map(|log| log.origin.clone()).collect())
    }
    fn checkpoint(&mut self, origin: &str) -> Result<Option<String>, SourceError> {
        Ok(self.log(origin).newest.clone())
    }
    fn checkpoints(&mut self, origin: &str, given: u64) -> Result<Vec<String>, SourceError> {
        Ok(self
            .log(origin)
            .stored
            .iter()
            .skip(given as usize)
            .take(3)
            .cloned()
            .collect())
    }
    fn tile(&mut self, origin: &str, tile: Tile) -> Result<Option<Vec<u8>>, SourceError> {
        let mut wider = self.log(origin).tiles.range(tile..);
        let found = wider
            .next()
            .filter(|(held, _)| (held.level, held.index) == (tile.level, tile.index));
        Ok(found.map(|(_, hashes)| hashes.clone()))
    }
    fn entries(&mut self, origin: &str, bundle: Bundle) -> Result<Option<Vec<u8>>, SourceError> {
        let leaves = self
            .log(origin)
            .leaves
            .chunks(256)
            .nth(bundle.index as usize);
        Ok(leaves.map(|leaves| encode_bundle(leaves.iter().map(Vec::as_slice)).unwrap()))
    }
    fn payloads(&mut self, origin: &str, bundle: Bundle) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self
            .log(origin)
            .payloads
            .chunks(256)
            .nth(bundle.index as usize)
            .map(|payloads| {
                let mut bytes = Vec::new();
                for payload in payloads {
                    push_payload(&mut bytes, payload.as_deref()).unwrap();
                }
                bytes
            }))
    }
    fn head(&mut self, origin: &str) -> Result<Option<String>, SourceError> {
        Ok(self.log(origin).head.clone())
    }
}

fn leaves() -> Vec<Leaf> {
    (1..=COUNT)
        .map(|n| {
            let mut leaf = blank(
                if n % 3 == 0 {
                    Class::Update
                } else {
                    Class::Create
                },
                n,
            );
            leaf.payload = Some(Hash::of(&sealed(n)));
            leaf.key = Some(key_of(n));
            leaf
        })
        .collect()
}

fn sound() -> Kept {
    Kept::of(&origin(1, 1), &leaves(), &signer(1))
}

fn policy() -> Policy {
    Policy::of_logs(vec![signer(1).verifier()])
}

fn judge(logs: Vec<Kept>, held: &[Checkpoint]) -> Report {
    judge_under(&policy(), logs, held)
}

fn judge_under(policy: &Policy, logs: Vec<Kept>, held: &[Checkpoint]) -> Report {
    verify(
        &mut Memory(logs),
        &Request {
            policy,
            held,
            payloads: true,
            partial: false,
        },
    )
    .unwrap()
}

/// The verdict and the first finding's index.
fn summary(report: &Report) -> (Verdict, Option<u64>) {
    let first = report
        .findings
        .iter()
        .find(|f| f.verdict == report.verdict());
    (report.verdict(), first.and_then(|f| f.index))
}

/// An instance log that names states of other logs.
fn instance_log(marks: &[Checkpoint]) -> Kept {
    let leaf = |(n, mark): (usize, &Checkpoint)| {
        let mut leaf = blank(Class::Checkpoint, n as u64 + 1);
        leaf.mark = Some(mark_of(mark));
        leaf
    };
    let leaves: Vec<Leaf> = marks.iter().enumerate().map(leaf).collect();
    Kept::of(&origin(0, 1), &leaves, &signer(1))
}

#[test]
fn a_sound_log_is_sound() {
    let log = sound();
    let held = [log.state(0), log.state(123), log.state(COUNT)];
    let mut with_head = log.clone();
    with_head.head = Some(format!(
        "{}\n{}\n",
        HeadLine(log.state(100)),
        HeadLine(log.state(COUNT))
    ));
    let instance = instance_log(&[log.state(50), log.state(COUNT)]);
    let report = judge(vec![with_head, instance], &held);
    assert_eq!(report.findings, []);
    assert_eq!((report.verdict().exit_code(), report.logs.len()), (0, 2));
    let checked = &report.logs[1];
    assert_eq!(
        (checked.entries, checked.checkpoints, checked.payloads),
        (COUNT, COUNT / EVERY, COUNT)
    );
    let mut empty = Kept::of(&origin(3, 1), &[], &signer(1));
    empty.newest = Some(empty.state(0).sign(&[&signer(1)]).unwrap());
    assert_eq!(judge(vec![empty], &[]).findings, []);
}
