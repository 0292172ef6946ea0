//! Texts and rows packed one after the other: one allocation for many. What is read back from bytes is
//! checked once, so that nothing asked of it later can fail. Must not know what the texts mean.

use core::ops::Range;

use serde::{Deserialize, Serialize};

/// Why something could not be packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than 4 GiB of text or 4 billion rows: split the code system")]
pub struct TooLarge;

/// Many texts in one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TextsWire", into = "TextsWire")]
pub struct Texts {
    ends: Vec<u32>,
    text: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct TextsWire {
    lengths: Vec<u32>,
    text: String,
}

impl From<Texts> for TextsWire {
    fn from(texts: Texts) -> Self {
        Self {
            lengths: lengths(&texts.ends),
            text: texts.text,
        }
    }
}

impl TryFrom<TextsWire> for Texts {
    type Error = &'static str;

    fn try_from(wire: TextsWire) -> Result<Self, Self::Error> {
        let ends = ends(&wire.lengths, wire.text.len())?;
        if ends
            .iter()
            .all(|end| wire.text.is_char_boundary(*end as usize))
        {
            Ok(Self {
                ends,
                text: wire.text,
            })
        } else {
            Err("a text ends inside a character")
        }
    }
}

fn lengths(ends: &[u32]) -> Vec<u32> {
    let mut before = 0;
    ends.iter()
        .map(|end| end - core::mem::replace(&mut before, *end))
        .collect()
}

fn ends(lengths: &[u32], total: usize) -> Result<Vec<u32>, &'static str> {
    let mut end = 0u32;
    let mut ends = Vec::with_capacity(lengths.len());
    for length in lengths {
        end = end.checked_add(*length).ok_or("lengths overflow")?;
        ends.push(end);
    }
    if end as usize == total {
        Ok(ends)
    } else {
        Err("lengths do not add up")
    }
}

impl Texts {
    /// Adds a text and returns its place.
    pub fn push(&mut self, text: &str) -> Result<u32, TooLarge> {
        let end = u32::try_from(self.text.len() + text.len()).map_err(|_| TooLarge)?;
        let place = u32::try_from(self.ends.len()).map_err(|_| TooLarge)?;
        self.text.push_str(text);
        self.ends.push(end);
        Ok(place)
    }

    /// The text at a place; empty beyond the end.
    #[must_use]
    pub fn get(&self, at: u32) -> &str {
        let range = range(&self.ends, at);
        self.text.get(range).unwrap_or_default()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.capacity() + 4 * self.ends.capacity()
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len() as u32).map(|at| self.get(at))
    }

    /// The first place whose text does not satisfy `before`, in texts sorted by it.
    pub fn partition_point(&self, before: impl Fn(&str) -> bool) -> u32 {
        let (mut low, mut high) = (0, self.ends.len() as u32);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self.get(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Gives back what is not needed.
    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

fn range(ends: &[u32], at: u32) -> Range<usize> {
    let at = at as usize;
    let Some(end) = ends.get(at) else {
        return 0..0;
    };
    let start = at
        .checked_sub(1)
        .and_then(|before| ends.get(before))
        .copied()
        .unwrap_or(0);
    start as usize..*end as usize
}

/// Many lists in one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    try_from = "RowsWire<T>",
    into = "RowsWire<T>",
    bound(
        serialize = "T: Clone + Serialize",
        deserialize = "T: Deserialize<'de>"
    )
)]
pub struct Rows<T: Clone> {
    ends: Vec<u32>,
    items: Vec<T>,
}

#[derive(Clone, Serialize, Deserialize)]
struct RowsWire<T> {
    lengths: Vec<u32>,
    items: Vec<T>,
}

impl<T: Clone> From<Rows<T>> for RowsWire<T> {
    fn from(rows: Rows<T>) -> Self {
        Self {
            lengths: lengths(&rows.ends),
            items: rows.items,
        }
    }
}

impl<T: Clone> TryFrom<RowsWire<T>> for Rows<T> {
    type Error = &'static str;

    fn try_from(wire: RowsWire<T>) -> Result<Self, Self::Error> {
        Ok(Self {
            ends: ends(&wire.lengths, wire.items.len())?,
            items: wire.items,
        })
    }
}

impl<T: Clone> Default for Rows<T> {
    fn default() -> Self {
        Self {
            ends: Vec::new(),
            items: Vec::new(),
        }
    }
}

impl<T: Clone> Rows<T> {
    /// Adds a row.
    pub fn push(&mut self, row: impl IntoIterator<Item = T>) -> Result<(), TooLarge> {
        self.items.extend(row);
        let end = u32::try_from(self.items.len()).map_err(|_| TooLarge)?;
        self.ends.push(end);
        Ok(())
    }

    /// Rows from pairs of (row, item), in any order of rows; items of a row keep theirs.
    pub fn gather(count: usize, pairs: &[(u32, T)]) -> Result<Self, TooLarge> {
        if u32::try_from(pairs.len()).is_err() {
            return Err(TooLarge);
        }
        let mut order: Vec<u32> = (0..pairs.len() as u32).collect();
        let row = |at: &u32| pairs.get(*at as usize).map_or(u32::MAX, |(row, _)| *row);
        order.sort_by_key(row);
        let mut rows = Self::default();
        let mut pending = order.into_iter().peekable();
        for at in 0..count as u32 {
            let mut items = Vec::new();
            while let Some(next) = pending.next_if(|next| row(next) == at) {
                items.extend(pairs.get(next as usize).map(|(_, item)| item.clone()));
            }
            rows.push(items)?;
        }
        rows.items.shrink_to_fit();
        Ok(rows)
    }

    /// The row at a place; empty beyond the end.
    #[must_use]
    pub fn row(&self, at: u32) -> &[T] {
        self.items.get(range(&self.ends, at)).unwrap_or_default()
    }

    /// The places of a row's items among all items.
    #[must_use]
    pub fn places(&self, at: u32) -> Range<u32> {
        let range = range(&self.ends, at);
        range.start as u32..range.end as u32
    }

    /// The items of several rows that follow each other.
    #[must_use]
    pub fn span(&self, rows: Range<u32>) -> &[T] {
        if rows.start >= rows.end {
            return &[];
        }
        let start = range(&self.ends, rows.start).start;
        let end = range(&self.ends, rows.end - 1).end;
        self.items.get(start..end).unwrap_or_default()
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Every item of every row.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// The same, to be changed in place.
    pub fn items_mut(&mut self) -> &mut [T] {
        &mut self.items
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.items.capacity() * size_of::<T>() + 4 * self.ends.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_and_damage_is_seen() {
        let mut texts = Texts::default();
        for text in ["", "Fieber", "é", ""] {
            texts.push(text).unwrap();
        }
        let bytes = postcard::to_stdvec(&texts).unwrap();
        let again: Texts = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(again.iter().collect::<Vec<_>>(), ["", "Fieber", "é", ""]);
        assert_eq!(again.get(9), "");
        // Lengths 0, 7, 1, 0 would cut the é in two.
        let damaged = postcard::to_stdvec(&(vec![0u32, 7, 1, 0], "Fieberé")).unwrap();
        assert!(postcard::from_bytes::<Texts>(&damaged).is_err());
        let damaged = postcard::to_stdvec(&(vec![0u32, 6], "Fieberé")).unwrap();
        assert!(postcard::from_bytes::<Texts>(&damaged).is_err());
    }

    #[test]
    fn rows_are_gathered_from_pairs() {
        let rows = Rows::gather(4, &[(2, 'a'), (0, 'b'), (2, 'c'), (9, 'x')]).unwrap();
        assert_eq!(rows.row(0), ['b']);
        assert_eq!(rows.row(1), [] as [char; 0]);
        assert_eq!(rows.row(2), ['a', 'c']);
        assert_eq!(rows.span(0..3), ['b', 'a', 'c']);
        assert_eq!(rows.row(4), [] as [char; 0]);
    }
}
