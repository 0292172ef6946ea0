//! An ordered collection of items, what every expression yields. Small ones need no allocation.

use smallvec::SmallVec;

use crate::item::Item;

/// Items in order; duplicates allowed.
#[derive(Debug, Clone, Default)]
pub struct Collection<'a>(SmallVec<[Item<'a>; 2]>);

impl<'a> Collection<'a> {
    /// Nothing: what FHIRPath has for unknown.
    #[must_use]
    pub fn empty() -> Self {
        Self(SmallVec::new())
    }
    /// One item.
    #[must_use]
    pub fn of(item: Item<'a>) -> Self {
        let mut items = SmallVec::new();
        items.push(item);
        Self(items)
    }
    /// One item or none.
    #[must_use]
    pub fn maybe(item: Option<Item<'a>>) -> Self {
        item.map_or_else(Self::empty, Self::of)
    }
    /// A boolean, or nothing for unknown.
    #[must_use]
    pub fn truth(value: Option<bool>) -> Self {
        Self::maybe(value.map(Item::Boolean))
    }
    /// The items.
    pub fn iter(&self) -> core::slice::Iter<'_, Item<'a>> {
        self.0.iter()
    }
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// The first.
    #[must_use]
    pub fn first(&self) -> Option<&Item<'a>> {
        self.0.first()
    }
    /// The last.
    #[must_use]
    pub fn last(&self) -> Option<&Item<'a>> {
        self.0.last()
    }
    /// The item at a place from 0.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&Item<'a>> {
        self.0.get(at)
    }
    /// The only item; none where there are none or several.
    #[must_use]
    pub fn only(&self) -> Option<&Item<'a>> {
        match self.0.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }
    /// Adds an item at the end.
    pub fn push(&mut self, item: Item<'a>) {
        self.0.push(item);
    }
}

impl<'a> Extend<Item<'a>> for Collection<'a> {
    fn extend<T: IntoIterator<Item = Item<'a>>>(&mut self, items: T) {
        self.0.extend(items);
    }
}

impl<'a> FromIterator<Item<'a>> for Collection<'a> {
    fn from_iter<T: IntoIterator<Item = Item<'a>>>(items: T) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<'a> IntoIterator for Collection<'a> {
    type Item = Item<'a>;
    type IntoIter = smallvec::IntoIter<[Item<'a>; 2]>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'c, 'a> IntoIterator for &'c Collection<'a> {
    type Item = &'c Item<'a>;
    type IntoIter = core::slice::Iter<'c, Item<'a>>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
