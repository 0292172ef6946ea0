//! Tiles and entry bundles of C2SP tlog-tiles: their addresses and their bytes. Must not fetch them.

use core::fmt;

use crate::error::{FormatError, decimal};
use crate::hash::Hash;

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;
/// The most bytes an entry may have: its length is written as a `u16`.
pub const MAX_ENTRY_BYTES: usize = 65_535;

const PATH: &str = "write tile/<level>/<index>[.p/<width>] with indexes as x001/x234/067";

/// The address of a Merkle tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// 0 (leaf hashes) to 63.
    pub level: u8,
    /// Index within the level.
    pub index: u64,
    /// How many hashes: 256 when full, 1 to 255 when partial.
    pub width: u16,
}

/// The address of an entry bundle (and of the payload bundle beside it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bundle {
    /// Index: entries `index * 256 ..`.
    pub index: u64,
    /// How many entries: 256 when full, 1 to 255 when partial.
    pub width: u16,
}

fn width_at(count: u64, index: u64) -> Option<u16> {
    let after = count.checked_sub(index.checked_mul(256)?)?;
    (after > 0).then(|| after.min(u64::from(TILE_WIDTH)) as u16)
}

impl Tile {
    /// The tile `index` of `level` as a tree of `size` leaves has it; none where it has none.
    #[must_use]
    pub fn in_tree(size: u64, level: u8, index: u64) -> Option<Self> {
        let count = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
        width_at(count, index).map(|width| Self {
            level,
            index,
            width,
        })
    }
    /// Every tile that a tree of `size` leaves has, lowest level first.
    pub fn all_of(size: u64) -> impl Iterator<Item = Self> {
        (0..8_u8).flat_map(move |level| {
            let count = size >> (8 * u32::from(level));
            (0..count.div_ceil(256)).filter_map(move |index| Self::in_tree(size, level, index))
        })
    }
    /// Reads a path as [`fmt::Display`] writes it (`tile/0/x001/067.p/12`, no leading slash).
    pub fn parse(path: &str) -> Result<Self, FormatError> {
        let refuse = FormatError::new("tile path", PATH);
        let rest = path.strip_prefix("tile/").ok_or(refuse)?;
        let (level, rest) = rest.split_once('/').ok_or(refuse)?;
        let level = decimal(level).filter(|level| *level <= 63).ok_or(refuse)? as u8;
        let (index, width) = parse_index(rest).ok_or(refuse)?;
        Ok(Self {
            level,
            index,
            width,
        })
    }
}

impl Bundle {
    /// The bundle `index` of a log of `size` entries; none where it has none.
    #[must_use]
    pub fn in_log(size: u64, index: u64) -> Option<Self> {
        width_at(size, index).map(|width| Self { index, width })
    }
    /// Every bundle of a log of `size` entries.
    pub fn all_of(size: u64) -> impl Iterator<Item = Self> {
        (0..size.div_ceil(256)).filter_map(move |index| Self::in_log(size, index))
    }
    /// The path of the entries: `tile/entries/x001/067[.p/12]`.
    #[must_use]
    pub fn entries_path(&self) -> String {
        format!("tile/entries/{}", IndexPath(self.index, self.width))
    }
    /// The path of the sealed payloads beside them: `payloads/x001/067[.p/12]`.
    #[must_use]
    pub fn payloads_path(&self) -> String {
        format!("payloads/{}", IndexPath(self.index, self.width))
    }
    /// Reads the form of [`Self::entries_path`].
    pub fn parse_entries(path: &str) -> Result<Self, FormatError> {
        Self::parse(path, "tile/entries/")
    }
    /// Reads the form of [`Self::payloads_path`].
    pub fn parse_payloads(path: &str) -> Result<Self, FormatError> {
        Self::parse(path, "payloads/")
    }
    fn parse(path: &str, prefix: &str) -> Result<Self, FormatError> {
        path.strip_prefix(prefix)
            .and_then(parse_index)
            .map(|(index, width)| Self { index, width })
            .ok_or(FormatError::new("bundle path", PATH))
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tile/{}/{}",
            self.level,
            IndexPath(self.index, self.width)
        )
    }
}

struct IndexPath(u64, u16);

impl fmt::Display for IndexPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut above = self.0;
        let mut groups = 1_u32;
        while above >= 1000 {
            above /= 1000;
            groups += 1;
        }
        for group in (0..groups).rev() {
            let part = self.0 / 1000_u64.pow(group) % 1000;
            if group > 0 {
                write!(f, "x{part:03}/")?;
            } else {
                write!(f, "{part:03}")?;
            }
        }
        if self.1 < TILE_WIDTH {
            write!(f, ".p/{}", self.1)
        } else {
            Ok(())
        }
    }
}

fn parse_index(text: &str) -> Option<(u64, u16)> {
    let (path, width) = match text.split_once(".p/") {
        Some((path, width)) => (
            path,
            decimal(width).filter(|w| (1..=255).contains(w))? as u16,
        ),
        None => (text, TILE_WIDTH),
    };
    let mut index = 0_u64;
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        let digits = if parts.peek().is_some() {
            part.strip_prefix('x')?
        } else {
            part
        };
        if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    // Only the form written is read: no needless groups of zeroes in front.
    (IndexPath(index, width).to_string() == text).then_some((index, width))
}

/// Appends one entry to a bundle: `u16` big-endian length, then the entry (RFC 6962 hashes it without the
/// length). At most 65,535 bytes.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), FormatError> {
    let length = u16::try_from(entry.len())
        .map_err(|_| FormatError::new("log entry", "keep it within 65,535 bytes"))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// A bundle of entries.
pub fn encode_bundle<'a>(
    entries: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, FormatError> {
    let mut bundle = Vec::new();
    for entry in entries {
        push_entry(&mut bundle, entry)?;
    }
    Ok(bundle)
}

/// The entries of a bundle, one by one; an error ends it.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

/// Reads a bundle without copying.
#[must_use]
pub const fn entries(bundle: &[u8]) -> Entries<'_> {
    Entries { rest: bundle }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<&'a [u8], FormatError>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let cut = self
            .rest
            .split_first_chunk::<2>()
            .and_then(|(length, rest)| {
                rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
            });
        let Some((entry, rest)) = cut else {
            self.rest = &[];
            return Some(Err(FormatError::new(
                "entry bundle",
                "give every entry in full after its length",
            )));
        };
        self.rest = rest;
        Some(Ok(entry))
    }
}

/// The hash at a position of a tile's bytes.
#[must_use]
pub fn hash_at(tile: &[u8], position: usize) -> Option<Hash> {
    let start = position.checked_mul(Hash::LEN)?;
    tile.get(start..start.checked_add(Hash::LEN)?)
        .and_then(Hash::from_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: [(u8, u64, u16, &str); 4] = [
        (0, 0, 256, "tile/0/000"),
        (2, 1_234_067, 256, "tile/2/x001/x234/067"),
        (63, 999, 1, "tile/63/999.p/1"),
        (1, 1000, 255, "tile/1/x001/000.p/255"),
    ];
    const BAD_PATHS: &str = " tile/0/0 tile/0/0000 tile/64/000 tile/00/000 tile/0/x000/000 tile/0/001/000 \
        tile/0/000.p/0 tile/0/000.p/256 tile/0/000.p/01 tile/0/000.p/ tile/0/x001 /tile/0/000 tile/0/000/ \
        tile/-1/000 tile/0/+01 tile/0/x018/x446/x744/x073/x709/x551/616";

    #[test]
    fn paths_are_those_of_the_specification() {
        for (level, index, width, path) in PATHS {
            let tile = Tile {
                level,
                index,
                width,
            };
            assert_eq!(tile.to_string(), path);
            assert_eq!(Tile::parse(path), Ok(tile));
        }
        for path in BAD_PATHS.split(' ') {
            assert!(Tile::parse(path).is_err(), "{path}");
        }
        let bundle = Bundle {
            index: 67_001,
            width: 3,
        };
        assert_eq!(bundle.entries_path(), "tile/entries/x067/001.p/3");
        assert_eq!(bundle.payloads_path(), "payloads/x067/001.p/3");
        assert_eq!(Bundle::parse_entries(&bundle.entries_path()), Ok(bundle));
        assert_eq!(Bundle::parse_payloads(&bundle.payloads_path()), Ok(bundle));
        assert!(Bundle::parse_entries("tile/0/x067/001.p/3").is_err());
    }

    #[test]
    fn a_tree_of_seventy_thousand_has_the_tiles_of_the_specification() {
        let tiles: Vec<Tile> = Tile::all_of(70_000).collect();
        let count = |level| {
            tiles
                .iter()
                .filter(|t| t.level == level && t.width == 256)
                .count()
        };
        assert_eq!((count(0), count(1), count(2)), (273, 1, 0));
        let partial: Vec<(u8, u16)> = tiles
            .iter()
            .filter(|t| t.width < 256)
            .map(|t| (t.level, t.width))
            .collect();
        assert_eq!(partial, [(0, 112), (1, 17), (2, 1)]);
        let of_256: Vec<String> = Tile::all_of(256).map(|t| t.to_string()).collect();
        assert_eq!(of_256, ["tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(Tile::all_of(0).count(), 0);
    }

    #[test]
    fn cut_bundles_are_refused() {
        let bundle = encode_bundle([b"one".as_slice(), b"", b"three"]).unwrap();
        let read: Vec<&[u8]> = entries(&bundle).map(Result::unwrap).collect();
        assert_eq!(read, [b"one".as_slice(), b"", b"three"]);
        for cut in [1, 4, 6, bundle.len() - 1] {
            assert!(
                entries(&bundle[..cut]).any(|entry| entry.is_err()),
                "cut at {cut}"
            );
        }
        assert!(push_entry(&mut Vec::new(), &vec![0; 65_536]).is_err());
        assert!(push_entry(&mut Vec::new(), &vec![0; 65_535]).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn every_path_reads_back(level in 0_u8..64, index: u64, width in 1_u16..=256) {
            let tile = Tile { level, index, width };
            assert_eq!(Tile::parse(&tile.to_string()), Ok(tile));
            let bundle = Bundle { index, width };
            assert_eq!(Bundle::parse_entries(&bundle.entries_path()), Ok(bundle));
        }
        #[test]
        fn every_bundle_reads_back(entries_in in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), 0..40)) {
            let bundle = encode_bundle(entries_in.iter().map(Vec::as_slice)).unwrap();
            let read: Result<Vec<&[u8]>, _> = entries(&bundle).collect();
            assert_eq!(read.unwrap(), entries_in);
        }
    }
}
