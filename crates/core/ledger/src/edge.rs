//! The right edge of a growing tree: all that is needed to append, to know the root and to emit finished
//! tiles. Must not keep anything left of the edge: memory is 8 KiB per level of 256.

use crate::error::FormatError;
use crate::hash::{Hash, empty_root, node_hash, perfect_root};
use crate::tile::{TILE_WIDTH, Tile};

const TILE_BYTES: usize = TILE_WIDTH as usize * Hash::LEN;
const FORM: u8 = 1;

/// The edge of a tree.
#[derive(Debug, Clone)]
pub struct Edge {
    size: u64,
    /// Per tile level, the hashes of its unfinished tile.
    levels: Vec<Vec<u8>>,
    /// By height, the newest perfect subtree; valid where the bit of `size` is set.
    frontier: Vec<Hash>,
}

/// By what is encoded; slots of the frontier that no bit of the size asks for hold what was there before.
impl PartialEq for Edge {
    fn eq(&self, other: &Self) -> bool {
        self.size == other.size && self.levels == other.levels
    }
}
impl Eq for Edge {}

/// A tile that became full, ready to be stored for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullTile {
    /// Its level; 0 holds leaf hashes.
    pub level: u8,
    /// Its index within the level.
    pub index: u64,
    /// 256 hashes: 8,192 bytes.
    pub hashes: Vec<u8>,
}

/// What an append did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The leaf's index.
    pub index: u64,
    /// Tiles it filled, lowest level first; mostly none.
    pub tiles: Vec<FullTile>,
}

impl Default for Edge {
    fn default() -> Self {
        Self::empty()
    }
}

impl Edge {
    /// The edge of the empty tree.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            size: 0,
            levels: Vec::new(),
            frontier: Vec::new(),
        }
    }
    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root over all leaves; at most one hash per set bit of the size.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for (height, subtree) in self.frontier.iter().enumerate() {
            if self.size >> height & 1 == 1 {
                root = Some(root.map_or(*subtree, |right| node_hash(subtree, &right)));
            }
        }
        root.unwrap_or_else(empty_root)
    }

    /// Appends a leaf.
    pub fn append(&mut self, leaf: Hash) -> Appended {
        let index = self.size;
        self.size += 1;
        let mut tiles = Vec::new();
        push(&mut self.levels, self.size, 0, &leaf, &mut tiles);
        let merges = index.trailing_ones() as usize;
        let mut hash = leaf;
        for (below, left) in self.frontier.iter().take(merges).enumerate() {
            hash = node_hash(left, &hash);
            let height = below + 1;
            if height.is_multiple_of(8) {
                push(&mut self.levels, self.size, height / 8, &hash, &mut tiles);
            }
        }
        match self.frontier.get_mut(merges) {
            Some(slot) => *slot = hash,
            None => self.frontier.push(hash),
        }
        Appended { index, tiles }
    }

    /// How many tile levels hold something unfinished or have been passed.
    #[must_use]
    pub fn levels(&self) -> u8 {
        self.levels.len() as u8
    }

    /// The unfinished tile of a level with its hashes (1 to 255 of them); none where the level is empty.
    #[must_use]
    pub fn partial(&self, level: u8) -> Option<(Tile, &[u8])> {
        let hashes = self.levels.get(usize::from(level))?;
        let width = (hashes.len() / Hash::LEN) as u16;
        let index = self.size >> (8 * u32::from(level)) >> 8;
        (width > 0).then_some((
            Tile {
                level,
                index,
                width,
            },
            hashes.as_slice(),
        ))
    }

    /// Every unfinished tile, lowest level first: what must be served beside the full tiles.
    pub fn partials(&self) -> impl Iterator<Item = (Tile, &[u8])> {
        (0..self.levels()).filter_map(|level| self.partial(level))
    }

    /// The edge of a tree of `size` leaves from its unfinished tiles, as [`Self::partials`] gave them.
    /// `tile` is asked once per level for the hashes of the partial tile; more than its width is cut off.
    pub fn from_partials<E: From<FormatError>>(
        size: u64,
        mut tile: impl FnMut(Tile) -> Result<Vec<u8>, E>,
    ) -> Result<Self, E> {
        let mut levels = Vec::new();
        let mut rest = size;
        while rest > 0 {
            let (level, width) = (levels.len() as u8, (rest & 0xff) as u16);
            let mut hashes = Vec::with_capacity(TILE_BYTES);
            if width > 0 {
                let found = tile(Tile {
                    level,
                    index: rest >> 8,
                    width,
                })?;
                let needed = usize::from(width) * Hash::LEN;
                let demand = "give every partial tile at least the width that the size demands";
                let hashes_needed = found
                    .get(..needed)
                    .ok_or(FormatError::new("tree edge", demand))?;
                hashes.extend_from_slice(hashes_needed);
            }
            levels.push(hashes);
            rest >>= 8;
        }
        let frontier = frontier(&levels);
        Ok(Self {
            size,
            levels,
            frontier,
        })
    }

    /// The edge as bytes: form, size, the unfinished tiles, and the root as a check.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let held: usize = self.levels.iter().map(Vec::len).sum();
        let mut bytes = Vec::with_capacity(held + 41);
        bytes.push(FORM);
        bytes.extend_from_slice(&self.size.to_be_bytes());
        for level in &self.levels {
            bytes.extend_from_slice(level);
        }
        bytes.extend_from_slice(&self.root().0);
        bytes
    }

    /// Reads the form of [`Self::encode`]; a damaged one is refused.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let refuse = |demand| FormatError::new("tree edge", demand);
        let (&form, rest) = bytes
            .split_first()
            .ok_or(refuse("give at least 41 bytes"))?;
        if form != FORM {
            return Err(refuse("use a program that knows its form"));
        }
        let (size, mut rest) = rest
            .split_first_chunk::<8>()
            .ok_or(refuse("give at least 41 bytes"))?;
        let edge = Self::from_partials(u64::from_be_bytes(*size), |tile| {
            let cut = rest.split_at_checked(usize::from(tile.width) * Hash::LEN);
            let (hashes, after) = cut.ok_or(refuse("give all its partial tiles"))?;
            rest = after;
            Ok::<_, FormatError>(hashes.to_vec())
        })?;
        if rest == edge.root().0 {
            Ok(edge)
        } else {
            Err(refuse("rebuild it from the tiles: its root differs"))
        }
    }
}

fn push(
    levels: &mut Vec<Vec<u8>>,
    size: u64,
    level: usize,
    hash: &Hash,
    tiles: &mut Vec<FullTile>,
) {
    if levels.len() <= level {
        levels.push(Vec::with_capacity(TILE_BYTES));
    }
    let Some(tile) = levels.get_mut(level) else {
        return;
    };
    tile.extend_from_slice(&hash.0);
    if tile.len() == TILE_BYTES {
        let hashes = core::mem::replace(tile, Vec::with_capacity(TILE_BYTES));
        let index = (size >> (8 * level) >> 8) - 1;
        tiles.push(FullTile {
            level: level as u8,
            index,
            hashes,
        });
    }
}

fn frontier(levels: &[Vec<u8>]) -> Vec<Hash> {
    let mut frontier = Vec::with_capacity(levels.len() * 8);
    for level in levels {
        let width = level.len() / Hash::LEN;
        let mut end = width;
        for bit in 0..8 {
            let count = 1_usize << bit;
            if width & count == 0 {
                frontier.push(Hash([0; 32]));
                continue;
            }
            let hashes = level
                .get((end - count) * Hash::LEN..end * Hash::LEN)
                .unwrap_or_default();
            frontier.push(perfect_root(hashes));
            end -= count;
        }
    }
    frontier
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::hash::leaf_hash;
    use crate::hash::tests::{naive_root, reference_entries};

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    #[test]
    fn reference_roots_by_appending() {
        let mut edge = Edge::empty();
        let mut seen = Vec::new();
        assert_eq!(edge.root(), naive_root(&[]));
        for entry in reference_entries() {
            let appended = edge.append(leaf_hash(&entry));
            seen.push(leaf_hash(&entry));
            assert_eq!((appended.index + 1, appended.tiles.len()), (edge.size(), 0));
            assert_eq!(edge.root(), naive_root(&seen));
        }
    }

    #[test]
    fn tiles_are_those_of_the_specification() {
        let count = 66_000_u64;
        let leaves = leaves(count);
        let mut edge = Edge::empty();
        let mut tiles = BTreeMap::new();
        for leaf in &leaves {
            for tile in edge.append(*leaf).tiles {
                assert_eq!(tile.hashes.len(), TILE_BYTES);
                assert!(
                    tiles
                        .insert((tile.level, tile.index), tile.hashes)
                        .is_none()
                );
            }
        }
        assert_eq!(tiles.len(), 257 + 1, "257 full tiles of leaves, one above");
        let first = &tiles[&(1, 0)][..32];
        assert_eq!(first, naive_root(&leaves[..256]).0);
        assert_eq!(tiles[&(0, 256)][..32], leaves[65_536].0);
        let partials: Vec<Tile> = edge.partials().map(|(tile, _)| tile).collect();
        let expected = [(0, 257, 208), (1, 1, 1), (2, 0, 1)];
        let expected = expected.map(|(level, index, width)| Tile {
            level,
            index,
            width,
        });
        assert_eq!(partials, expected);
        assert_eq!(edge.partial(2).unwrap().1, naive_root(&leaves[..65_536]).0);
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let mut edge = Edge::empty();
        for leaf in leaves(300) {
            edge.append(leaf);
        }
        let good = edge.encode();
        assert_eq!(Edge::decode(&good), Ok(edge));
        assert!(Edge::decode(&good[..good.len() - 1]).is_err());
        assert!(Edge::decode(&[&good[..], b"x"].concat()).is_err());
        assert!(Edge::decode(&[]).is_err());
        for at in [0, 3, 8, 9, 900, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(Edge::decode(&bad).is_err(), "byte {at}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]
        #[test]
        fn root_is_the_recursive_one_and_edges_go_on_after_decoding(count in 0_u64..1200, more in 0_u64..300) {
            let leaves = leaves(count + more);
            let mut edge = Edge::empty();
            for leaf in &leaves[..count as usize] {
                edge.append(*leaf);
            }
            assert_eq!(edge.root(), naive_root(&leaves[..count as usize]));
            let mut again = Edge::decode(&edge.encode()).unwrap();
            for leaf in &leaves[count as usize..] {
                assert_eq!(edge.append(*leaf), again.append(*leaf));
            }
            assert_eq!(again.root(), naive_root(&leaves));
            assert_eq!(edge.encode(), again.encode());
        }
    }
}
