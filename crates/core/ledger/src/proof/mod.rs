//! Inclusion and consistency proofs of RFC 6962 section 2.1: made from tiles, checked without them, and the
//! text form of C2SP tlog-proof. Must not read storage: tiles come through [`HashReader`].

#[cfg(test)]
mod tests;

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::{Categorised, Category};

use crate::checkpoint::Checkpoint;
use crate::error::{FormatError, decimal};
use crate::hash::{Hash, empty_root, node_hash, perfect_root};
use crate::note::Note;
use crate::tile::Tile;

/// Why a proof could not be made or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Asked for something outside the tree.
    #[error("{what} {value} is outside a log of {size} entries: ask within it")]
    OutOfRange {
        /// Index or size.
        what: &'static str,
        /// The value asked for.
        value: u64,
        /// The tree's size.
        size: u64,
    },
    /// A tile is not there or too short.
    #[error("{0} is missing or too short: restore it")]
    MissingTile(Tile),
    /// The proof does not lead to the root.
    #[error(
        "the {0} proof does not hold: the log was altered or the proof belongs to another state"
    )]
    Wrong(&'static str),
}

impl Categorised for ProofError {
    fn category(&self) -> Category {
        match self {
            Self::OutOfRange { .. } => Category::Invalid,
            Self::MissingTile(_) | Self::Wrong(_) => Category::Altered,
        }
    }
}

/// Gives tiles to whoever makes a proof.
pub trait HashReader {
    /// The hashes of a tile, at least `tile.width` of them; `None` where it is missing.
    fn tile(&self, tile: Tile) -> Option<&[u8]>;
}

/// Tiles read beforehand (see [`inclusion_tiles`], [`consistency_tiles`]), for storage that answers later.
impl HashReader for BTreeMap<Tile, Vec<u8>> {
    fn tile(&self, tile: Tile) -> Option<&[u8]> {
        self.get(&tile).map(Vec::as_slice)
    }
}

/// A subtree of a proof: entries `begin..end`.
type Range = (u64, u64);

/// The subtrees whose roots prove that `index` is in a tree of `size`: from the leaf's sibling upwards.
fn inclusion_ranges(index: u64, size: u64) -> Vec<Range> {
    let (mut begin, mut end) = (0, size);
    let mut ranges = Vec::new();
    while end - begin > 1 {
        let split = begin + split_of(end - begin);
        if index < split {
            ranges.push((split, end));
            end = split;
        } else {
            ranges.push((begin, split));
            begin = split;
        }
    }
    ranges.reverse();
    ranges
}

/// The subtrees whose roots prove that the tree of `from` entries is a prefix of the tree of `to`.
fn consistency_ranges(from: u64, to: u64) -> Vec<Range> {
    if from == to {
        return Vec::new();
    }
    let (mut begin, mut end) = (0, to);
    let mut ranges = Vec::new();
    while end != from {
        let split = begin + split_of(end - begin);
        if from <= split {
            ranges.push((split, end));
            end = split;
        } else {
            ranges.push((begin, split));
            begin = split;
        }
    }
    if begin > 0 {
        ranges.push((begin, end));
    }
    ranges.reverse();
    ranges
}

/// The greatest power of two below `count`, which is at least 2.
const fn split_of(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The perfect subtrees that a range starting at a multiple of its own scale is made of: (height, index).
fn perfect_parts((begin, end): Range) -> impl Iterator<Item = (u32, u64)> {
    let count = end - begin;
    let mut at = begin;
    (0..64)
        .rev()
        .filter(move |height| count >> height & 1 == 1)
        .map(move |height| {
            let index = at >> height;
            at += 1 << height;
            (height, index)
        })
}

/// Where a perfect subtree of a tree of `size` lies: its tile, and the hashes in it as (first, count).
fn place(height: u32, index: u64, size: u64) -> Option<(Tile, usize, usize)> {
    let (level, rest) = (height / 8, height % 8);
    let first = index << rest;
    let tile = Tile::in_tree(size, level as u8, first >> 8)?;
    Some((tile, (first & 0xff) as usize, 1 << rest))
}

fn tiles_of(ranges: &[Range], size: u64) -> Vec<Tile> {
    let parts = ranges.iter().flat_map(|range| perfect_parts(*range));
    let mut tiles: Vec<Tile> = parts
        .filter_map(|(height, index)| place(height, index, size))
        .map(|(tile, ..)| tile)
        .collect();
    tiles.sort_unstable();
    tiles.dedup();
    tiles
}

fn range_root(range: Range, size: u64, reader: &impl HashReader) -> Result<Hash, ProofError> {
    let mut roots = Vec::new();
    for (height, index) in perfect_parts(range) {
        let outside = ProofError::OutOfRange {
            what: "subtree",
            value: range.1,
            size,
        };
        let (tile, first, count) = place(height, index, size).ok_or(outside)?;
        let hashes = reader
            .tile(tile)
            .and_then(|t| t.get(first * Hash::LEN..(first + count) * Hash::LEN));
        roots.push(perfect_root(hashes.ok_or(ProofError::MissingTile(tile))?));
    }
    let joined = roots
        .into_iter()
        .rev()
        .reduce(|right, left| node_hash(&left, &right));
    Ok(joined.unwrap_or_else(empty_root))
}

fn in_range(what: &'static str, value: u64, below: u64, size: u64) -> Result<(), ProofError> {
    if value < below {
        Ok(())
    } else {
        Err(ProofError::OutOfRange { what, value, size })
    }
}

/// Sizes that a consistency proof can be between: from at least 1.
fn prefix_range(from: u64, to: u64) -> Result<(), ProofError> {
    if (1..=to).contains(&from) {
        Ok(())
    } else {
        Err(ProofError::OutOfRange {
            what: "size",
            value: from,
            size: to,
        })
    }
}

/// The tiles that [`inclusion`] will ask for.
pub fn inclusion_tiles(index: u64, size: u64) -> Result<Vec<Tile>, ProofError> {
    in_range("index", index, size, size)?;
    Ok(tiles_of(&inclusion_ranges(index, size), size))
}

/// The proof that the entry at `index` is in the tree of `size` entries: from the leaf's sibling to the
/// root's child. `size` may be any size up to the log's.
pub fn inclusion(index: u64, size: u64, reader: &impl HashReader) -> Result<Vec<Hash>, ProofError> {
    in_range("index", index, size, size)?;
    inclusion_ranges(index, size)
        .into_iter()
        .map(|range| range_root(range, size, reader))
        .collect()
}

/// The tiles that [`consistency`] will ask for.
pub fn consistency_tiles(from: u64, to: u64) -> Result<Vec<Tile>, ProofError> {
    prefix_range(from, to)?;
    Ok(tiles_of(&consistency_ranges(from, to), to))
}

/// The proof that the tree of `from` entries is a prefix of the tree of `to`; empty when they are equal. The
/// empty tree is a prefix of every tree and proves nothing: asking from 0 is refused.
pub fn consistency(from: u64, to: u64, reader: &impl HashReader) -> Result<Vec<Hash>, ProofError> {
    prefix_range(from, to)?;
    consistency_ranges(from, to)
        .into_iter()
        .map(|range| range_root(range, to, reader))
        .collect()
}

/// The tiles from which the root of a tree of `size` entries follows.
pub fn root_tiles(size: u64) -> Vec<Tile> {
    tiles_of(&[(0, size)], size)
}

/// The root of a tree of `size` entries from its tiles.
pub fn root(size: u64, reader: &impl HashReader) -> Result<Hash, ProofError> {
    range_root((0, size), size, reader)
}

/// Checks that a leaf is at `index` of the tree with this size and root (RFC 9162 section 2.1.3.2).
pub fn verify_inclusion(
    leaf: Hash,
    index: u64,
    size: u64,
    root: Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    in_range("index", index, size, size)?;
    let wrong = ProofError::Wrong("inclusion");
    let (mut node, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return Err(wrong);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == root {
        Ok(())
    } else {
        Err(wrong)
    }
}

/// Checks that the tree of `from` entries is a prefix of the tree of `to` (RFC 9162 section 2.1.4.2).
pub fn verify_consistency(
    (from, from_root): (u64, Hash),
    (to, to_root): (u64, Hash),
    proof: &[Hash],
) -> Result<(), ProofError> {
    prefix_range(from, to)?;
    let wrong = ProofError::Wrong("consistency");
    if from == to {
        let same = proof.is_empty() && from_root == to_root;
        return if same { Ok(()) } else { Err(wrong) };
    }
    let first = from.is_power_of_two().then_some(from_root);
    let mut hashes = first.iter().chain(proof);
    let (mut node, mut last) = (from - 1, to - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let start = *hashes.next().ok_or(wrong.clone())?;
    let (mut old, mut new) = (start, start);
    for hash in hashes {
        if last == 0 {
            return Err(wrong);
        }
        if node & 1 == 1 || node == last {
            old = node_hash(hash, &old);
            new = node_hash(hash, &new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && old == from_root && new == to_root {
        Ok(())
    } else {
        Err(wrong)
    }
}

/// A self-contained proof that an entry is in a log, as C2SP tlog-proof writes it; files end in
/// `.tlog-proof`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Data beside the proof that nothing authenticates.
    pub extra: Option<Vec<u8>>,
    /// The entry's index.
    pub index: u64,
    /// The inclusion proof.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: Note,
}

const PROOF_LINE: &str = "c2sp.org/tlog-proof@v1";

impl TlogProof {
    /// Checks that the leaf is in the checkpointed tree, and gives the checkpoint. Its signatures are
    /// checked apart, by [`crate::policy::Policy::check`].
    pub fn verify(&self, leaf: Hash) -> Result<Checkpoint, ProofError> {
        let checkpoint =
            Checkpoint::of_note(&self.checkpoint).map_err(|_| ProofError::Wrong("inclusion"))?;
        verify_inclusion(
            leaf,
            self.index,
            checkpoint.size,
            checkpoint.root,
            &self.hashes,
        )?;
        Ok(checkpoint)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{PROOF_LINE}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", hash.to_base64())?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for TlogProof {
    type Err = FormatError;
    fn from_str(text: &str) -> Result<Self, FormatError> {
        let refuse = FormatError::new("log proof", "write it as c2sp.org/tlog-proof@v1 says");
        let (head, note) = text.split_once("\n\n").ok_or(refuse)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(PROOF_LINE) {
            return Err(refuse);
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = extra.map(|line| STANDARD.decode(line.trim_start_matches("extra ")));
        let extra = extra.transpose().map_err(|_| refuse)?;
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(decimal);
        let hashes: Result<Vec<Hash>, _> = lines.map(Hash::from_base64).collect();
        let hashes = hashes?;
        if hashes.len() > 64 {
            return Err(refuse);
        }
        let checkpoint = Note::parse(note)?;
        Checkpoint::of_note(&checkpoint)?;
        Ok(Self {
            extra,
            index: index.ok_or(refuse)?,
            hashes,
            checkpoint,
        })
    }
}
