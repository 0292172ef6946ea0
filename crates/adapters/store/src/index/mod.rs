//! What a resource is found by, packed: hashed keys, ranges and folded texts, each with its parameter.
//! Both sides of every comparison are made here: [`pack`] from extracted values, [`predicate`] from
//! query values. Must not know SQL.

use fhir::TypeId;

pub mod hash;
mod links;
mod pack;
mod predicate;
mod presence;
mod union;

pub use hash::KeyHasher;
pub use links::is_link;
pub(crate) use links::link_list;
pub use pack::pack;
pub use predicate::predicate;
pub use presence::{FIRST_OWN, has_value, is_unchecked, present, unchecked};

/// The reserved parameter of the patient compartment: its keys are hashes of the patients' names.
pub const COMPARTMENT: u16 = 0;

/// The first of the parameter numbers that belong to no search parameter but to the index itself.
pub const RESERVED: u16 = 0xff00;
/// The reserved parameter of marks for presence bits that the head's bitmap has no room for: its keys are
/// the numbers of the parameters.
pub const PRESENCE: u16 = RESERVED;
/// The reserved parameter of words in the narrative.
pub const NARRATIVE: u16 = RESERVED + 1;
/// The reserved parameter of words elsewhere.
pub const CONTENT: u16 = RESERVED + 2;

/// What the stored beginnings of codes begin with.
pub const CODE_TEXT: char = '\u{2}';
/// What the stored targets of references begin with.
pub const TARGET_TEXT: char = '\u{3}';
/// What no stored text of these kinds begins with.
pub(crate) const NEXT_TEXT: char = '\u{4}';

/// Longest folded text kept in the index, in bytes; longer ones are cut at a character (PostgreSQL
/// refuses index rows above a third of a page). `:exact` compares a hash of the whole text.
pub const TEXT_LIMIT: usize = 2000;

/// A hashed key of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRow {
    /// Parameter number.
    pub p: u16,
    /// Keyed hash.
    pub v: i64,
}

/// A half-open range `[lo, hi)` of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RangeRow {
    /// Parameter number.
    pub p: u16,
    /// Hash of the unit, or of a composite's hashed components; 0 for none.
    pub u: i64,
    /// Lower bound.
    pub lo: i64,
    /// First value above.
    pub hi: i64,
}

/// A folded text of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextRow {
    /// Parameter number.
    pub p: u16,
    /// Folded text, cut at [`TEXT_LIMIT`]; for composites behind a scope prefix, see [`scoped_text`].
    pub v: String,
}

/// All index entries of one version, sorted, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackedIndex {
    keys: Vec<KeyRow>,
    ranges: Vec<RangeRow>,
    texts: Vec<TextRow>,
    presence: u64,
}

/// The packed bytes cannot be read: the row is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("packed index entries are damaged")]
pub struct PackedError;

/// Entries to remove and to add so that one index becomes another.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// To remove.
    pub removed: PackedIndex,
    /// To add.
    pub added: PackedIndex,
}

const FORMAT: u8 = 1;

impl PackedIndex {
    /// Sorts entries and drops repeats.
    #[must_use]
    pub fn new(
        mut keys: Vec<KeyRow>,
        mut ranges: Vec<RangeRow>,
        mut texts: Vec<TextRow>,
        presence: u64,
    ) -> Self {
        keys.sort_unstable();
        keys.dedup();
        ranges.sort_unstable();
        ranges.dedup();
        texts.sort_unstable();
        texts.dedup();
        Self {
            keys,
            ranges,
            texts,
            presence,
        }
    }

    /// The entries of both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self::new(
            [self.keys, other.keys].concat(),
            [self.ranges, other.ranges].concat(),
            [self.texts, other.texts].concat(),
            self.presence | other.presence,
        )
    }

    /// Hashed keys, sorted.
    #[must_use]
    pub fn keys(&self) -> &[KeyRow] {
        &self.keys
    }
    /// Ranges, sorted.
    #[must_use]
    pub fn ranges(&self) -> &[RangeRow] {
        &self.ranges
    }
    /// Texts, sorted.
    #[must_use]
    pub fn texts(&self) -> &[TextRow] {
        &self.texts
    }
    /// Bit n is set where the resource has elements for the parameter with that bit of its type.
    #[must_use]
    pub const fn presence(&self) -> u64 {
        self.presence
    }
    /// How many index rows it makes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len() + self.ranges.len() + self.texts.len()
    }
    /// Whether it makes no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What an update must remove and add; equal entries cost nothing.
    #[must_use]
    pub fn difference(old: &Self, new: &Self) -> Difference {
        let (removed_keys, added_keys) = split(&old.keys, &new.keys);
        let (removed_ranges, added_ranges) = split(&old.ranges, &new.ranges);
        let (removed_texts, added_texts) = split(&old.texts, &new.texts);
        Difference {
            removed: Self {
                keys: removed_keys,
                ranges: removed_ranges,
                texts: removed_texts,
                presence: 0,
            },
            added: Self {
                keys: added_keys,
                ranges: added_ranges,
                texts: added_texts,
                presence: 0,
            },
        }
    }

    /// The bytes kept in the head's `ix` column (the presence bitmap has its own column).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(
            4 + self.keys.len() * 9 + self.ranges.len() * 20 + self.texts.len() * 20,
        );
        out.push(FORMAT);
        varint(&mut out, self.keys.len() as u64);
        let mut before = 0;
        for row in &self.keys {
            varint(&mut out, u64::from(row.p - before));
            before = row.p;
            out.extend_from_slice(&row.v.to_le_bytes());
        }
        varint(&mut out, self.ranges.len() as u64);
        let mut last = (0, 0);
        for row in &self.ranges {
            // One quantity makes a row per form of its unit: the same bounds again cost one bit.
            let repeats = (row.lo, row.hi) == last;
            let flags = u64::from(repeats) << 1 | u64::from(row.u != 0);
            varint(&mut out, u64::from(row.p) << 2 | flags);
            if row.u != 0 {
                out.extend_from_slice(&row.u.to_le_bytes());
            }
            if !repeats {
                varint(&mut out, zigzag(row.lo));
                varint(&mut out, row.hi.wrapping_sub(row.lo) as u64);
                last = (row.lo, row.hi);
            }
        }
        varint(&mut out, self.texts.len() as u64);
        for row in &self.texts {
            varint(&mut out, u64::from(row.p));
            varint(&mut out, row.v.len() as u64);
            out.extend_from_slice(row.v.as_bytes());
        }
        out
    }

    /// Whether among the ranges that [`PackedIndex::encode`] wrote there is one of a parameter and unit of
    /// which `holds` says yes; nothing else is unpacked.
    pub(crate) fn has_range(
        bytes: &[u8],
        (p, u): (i64, i64),
        holds: impl Fn((i64, i64)) -> bool,
    ) -> Result<bool, PackedError> {
        let mut reader = Reader { bytes };
        if bytes.is_empty() {
            return Ok(false);
        }
        if reader.byte()? != FORMAT {
            return Err(PackedError);
        }
        for _ in 0..reader.count()? {
            reader.varint()?;
            reader.take(8)?;
        }
        let mut last = (0, 0);
        for _ in 0..reader.count()? {
            let head = reader.varint()?;
            let of = i64::try_from(head >> 2).map_err(|_| PackedError)?;
            let unit = if head & 1 == 1 { reader.fixed()? } else { 0 };
            if head & 2 == 0 {
                let lo = unzigzag(reader.varint()?);
                last = (lo, lo.wrapping_add(reader.varint()? as i64));
            }
            if of > p {
                break;
            }
            if (of, unit) == (p, u) && holds(last) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads [`PackedIndex::encode`]'s bytes; an empty slice is an empty index.
    pub fn decode(bytes: &[u8], presence: u64) -> Result<Self, PackedError> {
        let mut reader = Reader { bytes };
        if bytes.is_empty() {
            return Ok(Self {
                presence,
                ..Self::default()
            });
        }
        if reader.byte()? != FORMAT {
            return Err(PackedError);
        }
        let count = reader.count()?;
        let mut keys = Vec::with_capacity(count);
        let mut p = 0u64;
        for _ in 0..count {
            p += reader.varint()?;
            keys.push(KeyRow {
                p: u16::try_from(p).map_err(|_| PackedError)?,
                v: reader.fixed()?,
            });
        }
        let count = reader.count()?;
        let mut ranges = Vec::with_capacity(count);
        let mut last = (0, 0);
        for _ in 0..count {
            let head = reader.varint()?;
            let p = u16::try_from(head >> 2).map_err(|_| PackedError)?;
            let u = if head & 1 == 1 { reader.fixed()? } else { 0 };
            if head & 2 == 0 {
                let lo = unzigzag(reader.varint()?);
                last = (lo, lo.wrapping_add(reader.varint()? as i64));
            }
            let (lo, hi) = last;
            ranges.push(RangeRow { p, u, lo, hi });
        }
        let count = reader.count()?;
        let mut texts = Vec::with_capacity(count);
        for _ in 0..count {
            let p = u16::try_from(reader.varint()?).map_err(|_| PackedError)?;
            let len = reader.count()?;
            let v = core::str::from_utf8(reader.take(len)?)
                .map_err(|_| PackedError)?
                .to_owned();
            texts.push(TextRow { p, v });
        }
        if reader.bytes.is_empty() {
            Ok(Self {
                keys,
                ranges,
                texts,
                presence,
            })
        } else {
            Err(PackedError)
        }
    }
}

/// The stored text of a composite's text component: behind a hash of the other components, so that a
/// prefix of it is a prefix within that scope. No plain text begins with this character.
#[must_use]
pub fn scoped_text(scope: i64, folded: &str) -> String {
    format!("\u{1}{:016x}{folded}", scope as u64)
}

/// The stored beginning of a code, for `:code-text`: apart from the texts of the same parameter, which
/// begin with no such character.
#[must_use]
pub fn code_text(folded: &str) -> String {
    format!("{CODE_TEXT}{folded}")
}

/// The stored text of a reference to what is no resource of this tenant, for sorting.
#[must_use]
pub fn target_text(url: &str) -> String {
    cut_text(&format!("{TARGET_TEXT}{url}")).to_owned()
}

/// How a resource of this tenant sorts among the targets of references: before every URL.
#[must_use]
pub fn local_text(ty: TypeId, id: &str) -> String {
    format!("{TARGET_TEXT}{}/{id}", 10_000 + u32::from(ty.0))
}

/// Cuts a text to [`TEXT_LIMIT`] bytes at a character.
#[must_use]
pub fn cut_text(text: &str) -> &str {
    let mut end = text.len().min(TEXT_LIMIT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

fn split<T: Ord + Clone>(old: &[T], new: &[T]) -> (Vec<T>, Vec<T>) {
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    let (mut olds, mut news) = (old.iter().peekable(), new.iter().peekable());
    loop {
        match (olds.peek(), news.peek()) {
            (Some(a), Some(b)) if a == b => {
                olds.next();
                news.next();
            }
            (Some(a), Some(b)) if a < b => removed.extend(olds.next().cloned()),
            (_, Some(_)) => added.extend(news.next().cloned()),
            (Some(_), None) => removed.extend(olds.next().cloned()),
            (None, None) => return (removed, added),
        }
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}
fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], PackedError> {
        let (head, rest) = self.bytes.split_at_checked(len).ok_or(PackedError)?;
        self.bytes = rest;
        Ok(head)
    }
    fn byte(&mut self) -> Result<u8, PackedError> {
        let (first, rest) = self.bytes.split_first().ok_or(PackedError)?;
        self.bytes = rest;
        Ok(*first)
    }
    fn fixed(&mut self) -> Result<i64, PackedError> {
        let bytes: [u8; 8] = self.take(8)?.try_into().map_err(|_| PackedError)?;
        Ok(i64::from_le_bytes(bytes))
    }
    fn varint(&mut self) -> Result<u64, PackedError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(PackedError)
    }
    /// A count of things of at least one byte each, so that damage cannot ask for much memory.
    fn count(&mut self) -> Result<usize, PackedError> {
        let count = usize::try_from(self.varint()?).map_err(|_| PackedError)?;
        if count > self.bytes.len() {
            Err(PackedError)
        } else {
            Ok(count)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_index() -> impl Strategy<Value = PackedIndex> {
        let key = (0u16..9, -4i64..4).prop_map(|(p, v)| KeyRow { p, v });
        let range = (0u16..9, 0i64..3, any::<i64>(), any::<i64>())
            .prop_map(|(p, u, lo, hi)| RangeRow { p, u, lo, hi });
        let text = (0u16..9, "[a-cä]{0,4}").prop_map(|(p, v)| TextRow { p, v });
        (
            prop::collection::vec(key, 0..12),
            prop::collection::vec(range, 0..12),
            prop::collection::vec(text, 0..12),
            any::<u64>(),
        )
            .prop_map(|(keys, ranges, texts, presence)| {
                PackedIndex::new(keys, ranges, texts, presence)
            })
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(index in any_index()) {
            prop_assert_eq!(PackedIndex::decode(&index.encode(), index.presence()), Ok(index));
        }

        #[test]
        fn a_difference_leads_from_old_to_new(old in any_index(), new in any_index()) {
            let Difference { removed, added } = PackedIndex::difference(&old, &new);
            let mut keys: Vec<KeyRow> = old.keys.iter().filter(|row| !removed.keys.contains(row)).copied().collect();
            keys.extend_from_slice(&added.keys);
            let mut ranges: Vec<RangeRow> = old.ranges.iter().filter(|row| !removed.ranges.contains(row)).copied().collect();
            ranges.extend_from_slice(&added.ranges);
            let mut texts: Vec<TextRow> = old.texts.iter().filter(|row| !removed.texts.contains(row)).cloned().collect();
            texts.extend_from_slice(&added.texts);
            prop_assert_eq!(PackedIndex::new(keys, ranges, texts, new.presence), new);
            prop_assert!(added.keys.iter().all(|row| !old.keys.contains(row)));
        }

        #[test]
        fn damage_is_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = PackedIndex::decode(&bytes, 0);
        }
    }

    #[test]
    fn texts_are_cut_at_characters() {
        assert_eq!(cut_text("abc"), "abc");
        let long = "ä".repeat(TEXT_LIMIT);
        assert_eq!(cut_text(&long).len(), TEXT_LIMIT);
        let odd = format!("x{long}");
        assert_eq!(cut_text(&odd).len(), TEXT_LIMIT - 1);
    }
}
