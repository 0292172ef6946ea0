//! The is-a hierarchy of a code system, a directed acyclic graph, in a form that answers subsumption
//! without walking it. Concepts are numbered in preorder of a spanning tree, so that most descendants of a
//! concept are one range of numbers; what hangs below it by other edges is a short list of ranges more
//! (Agrawal, Borgida, Jagadish 1989). Must not know codes.

use core::ops::Range;

use serde::{Deserialize, Serialize};

use crate::arena::{Rows, TooLarge};

/// A range of concept numbers, `start..end`.
pub type Span = (u32, u32);

/// The hierarchy; empty where the code system is flat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hierarchy {
    /// Behind the last concept of each concept's own subtree in the spanning tree.
    ends: Vec<u32>,
    /// Ranges of descendants outside the own subtree, sorted and disjoint.
    extra: Rows<Span>,
    parents: Rows<u32>,
}

/// Why there is no hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This concept is an ancestor of itself.
    Cycle(u32),
    /// So many concepts with so many parents that the closure would not fit.
    TooDense,
    /// Too many edges.
    TooLarge,
}

impl From<TooLarge> for Fault {
    fn from(_: TooLarge) -> Self {
        Self::TooLarge
    }
}

/// A hierarchy together with the order its concepts must be put in: the old number at each new one.
#[derive(Debug)]
pub struct Ordered {
    /// Speaks of new numbers.
    pub hierarchy: Hierarchy,
    /// The old number at each new one.
    pub order: Vec<u32>,
}

/// The graph while it is numbered, by old numbers.
struct Graph {
    parents: Rows<u32>,
    children: Rows<u32>,
    /// Parents before children.
    sorted: Vec<u32>,
    tree_parent: Vec<Option<u32>>,
}

impl Graph {
    fn new(count: usize, edges: &[(u32, u32)]) -> Result<Self, Fault> {
        let up: Vec<(u32, u32)> = unique(edges);
        let down: Vec<(u32, u32)> = up.iter().map(|(child, parent)| (*parent, *child)).collect();
        let parents = Rows::gather(count, &up)?;
        let children = Rows::gather(count, &down)?;
        let mut open: Vec<u32> = (0..count as u32)
            .map(|at| parents.row(at).len() as u32)
            .collect();
        let mut sorted: Vec<u32> = (0..count as u32)
            .filter(|at| parents.row(*at).is_empty())
            .collect();
        let mut depth = vec![0u32; count];
        let mut tree_parent = vec![None; count];
        let mut next = 0;
        while let Some(at) = sorted.get(next).copied() {
            next += 1;
            // The deepest parent takes the concept into its subtree: its ancestors have it for nothing.
            let deepest = parents
                .row(at)
                .iter()
                .copied()
                .max_by_key(|parent| (read(&depth, *parent), core::cmp::Reverse(*parent)));
            if let Some(slot) = tree_parent.get_mut(at as usize) {
                *slot = deepest;
            }
            let below = read(&depth, at) + 1;
            for child in children.row(at) {
                if let Some(slot) = depth.get_mut(*child as usize) {
                    *slot = below.max(*slot);
                }
                if let Some(slot) = open.get_mut(*child as usize) {
                    *slot -= 1;
                    if *slot == 0 {
                        sorted.push(*child);
                    }
                }
            }
        }
        if sorted.len() < count {
            let at = open.iter().position(|open| *open > 0).unwrap_or(0);
            return Err(Fault::Cycle(at as u32));
        }
        Ok(Self {
            parents,
            children,
            sorted,
            tree_parent,
        })
    }

    fn is_tree_edge(&self, parent: u32, child: u32) -> bool {
        self.tree_parent.get(child as usize) == Some(&Some(parent))
    }

    /// Preorder of the spanning tree.
    fn preorder(&self) -> Vec<u32> {
        let count = self.tree_parent.len();
        let mut order = Vec::with_capacity(count);
        let mut stack: Vec<u32> = (0..count as u32)
            .rev()
            .filter(|at| self.parents.row(*at).is_empty())
            .collect();
        while let Some(at) = stack.pop() {
            order.push(at);
            let below = self.children.row(at).iter().rev();
            stack.extend(below.filter(|child| self.is_tree_edge(at, **child)));
        }
        order
    }
}

fn unique(edges: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut order: Vec<usize> = (0..edges.len()).collect();
    order.sort_by_key(|at| edges.get(*at));
    order.dedup_by_key(|at| edges.get(*at));
    order.sort_unstable();
    order
        .iter()
        .filter_map(|at| edges.get(*at).copied())
        .collect()
}

fn read(values: &[u32], at: u32) -> u32 {
    values.get(at as usize).copied().unwrap_or_default()
}

impl Hierarchy {
    /// Numbers `count` concepts by their edges, (child, parent), old numbers all.
    ///
    /// # Errors
    /// A cycle, or a graph too dense to be closed in memory.
    pub fn build(count: usize, edges: &[(u32, u32)]) -> Result<Ordered, Fault> {
        Self::build_within(count, edges, 64 * count + (1 << 20))
    }

    /// With at most `budget` ranges beside the spanning tree.
    fn build_within(count: usize, edges: &[(u32, u32)], budget: usize) -> Result<Ordered, Fault> {
        if edges.is_empty() {
            return Ok(Ordered {
                hierarchy: Self::default(),
                order: (0..count as u32).collect(),
            });
        }
        let graph = Graph::new(count, edges)?;
        let order = graph.preorder();
        let mut place = vec![0u32; count];
        for (new, old) in order.iter().enumerate() {
            if let Some(slot) = place.get_mut(*old as usize) {
                *slot = new as u32;
            }
        }
        let ends = subtree_ends(&graph, &order, &place);
        let mut extra = spare_ranges(&graph, &place, &ends, budget)?;
        let mut hierarchy = Self {
            ends,
            ..Self::default()
        };
        for old in &order {
            let ranges = extra.get_mut(*old as usize).map(core::mem::take);
            hierarchy.extra.push(ranges.unwrap_or_default())?;
            let parents = graph.parents.row(*old).iter();
            hierarchy
                .parents
                .push(parents.map(|old| read(&place, *old)))?;
        }
        Ok(Ordered { hierarchy, order })
    }

    /// Whether the parts fit together for `count` concepts.
    pub(crate) fn is_sound(&self, count: usize) -> bool {
        let n = count as u32;
        if self.is_flat() {
            return self.extra.is_empty() && self.parents.is_empty();
        }
        self.ends.len() == count
            && self.extra.len() == count
            && self.parents.len() == count
            && (0u32..)
                .zip(&self.ends)
                .all(|(at, end)| at < *end && *end <= n)
            && self
                .extra
                .items()
                .iter()
                .all(|(start, end)| start < end && *end <= n)
            && self.parents.items().iter().all(|parent| *parent < n)
    }

    /// Whether no concept has a parent.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        self.ends.is_empty()
    }

    /// The parents of a concept.
    #[must_use]
    pub fn parents(&self, at: u32) -> &[u32] {
        self.parents.row(at)
    }

    /// The concept and its own subtree in the spanning tree.
    #[must_use]
    pub fn subtree(&self, at: u32) -> Range<u32> {
        at..self.ends.get(at as usize).copied().unwrap_or(at + 1)
    }

    /// Every range of concepts that are the concept or below it; ranges may overlap.
    pub fn spans(&self, at: u32) -> impl Iterator<Item = Range<u32>> {
        let extra = self.extra.row(at).iter();
        core::iter::once(self.subtree(at)).chain(extra.map(|(start, end)| *start..*end))
    }

    /// Whether `descendant` is `ancestor` or below it.
    #[must_use]
    pub fn subsumes(&self, ancestor: u32, descendant: u32) -> bool {
        if self.subtree(ancestor).contains(&descendant) {
            return true;
        }
        let extra = self.extra.row(ancestor);
        let behind = extra.partition_point(|(start, _)| *start <= descendant);
        behind
            .checked_sub(1)
            .and_then(|at| extra.get(at))
            .is_some_and(|(_, end)| descendant < *end)
    }

    /// The concept and all above it, nearest first, at most `limit`; `None` if there are more.
    #[must_use]
    pub fn ancestors(&self, at: u32, limit: usize) -> Option<Vec<u32>> {
        let mut found = vec![at];
        let mut seen = std::collections::HashSet::from([at]);
        let mut next = 0;
        while let Some(current) = found.get(next).copied() {
            if found.len() > limit {
                return None;
            }
            next += 1;
            for parent in self.parents(current) {
                if seen.insert(*parent) {
                    found.push(*parent);
                }
            }
        }
        Some(found)
    }

    /// The children of every concept; made anew at each call.
    pub fn children(&self) -> Rows<u32> {
        let count = self.parents.len();
        let pairs: Vec<(u32, u32)> = (0..count as u32)
            .flat_map(|child| {
                self.parents(child)
                    .iter()
                    .map(move |parent| (*parent, child))
            })
            .collect();
        // As many pairs as there are parents, which were counted before.
        Rows::gather(count, &pairs).unwrap_or_default()
    }

    /// Ranges kept beside the spanning tree.
    #[must_use]
    pub fn extra_spans(&self) -> usize {
        self.extra.items().len()
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        4 * self.ends.capacity() + self.extra.bytes() + self.parents.bytes()
    }
}

fn subtree_ends(graph: &Graph, order: &[u32], place: &[u32]) -> Vec<u32> {
    let mut ends: Vec<u32> = (1..=order.len() as u32).collect();
    for (new, old) in order.iter().enumerate().rev() {
        let end = read(&ends, new as u32);
        let parent = graph.tree_parent.get(*old as usize).copied().flatten();
        if let Some(slot) = parent.and_then(|parent| ends.get_mut(read(place, parent) as usize)) {
            *slot = end.max(*slot);
        }
    }
    ends
}

/// By old number: what is below each concept, but not in its own subtree.
fn spare_ranges(
    graph: &Graph,
    place: &[u32],
    ends: &[u32],
    budget: usize,
) -> Result<Vec<Vec<Span>>, Fault> {
    let count = ends.len();
    let mut kept = 0;
    let mut extra: Vec<Vec<Span>> = vec![Vec::new(); count];
    for at in graph.sorted.iter().rev() {
        let own = read(place, *at)..read(ends, read(place, *at));
        let mut ranges: Vec<Span> = Vec::new();
        for child in graph.children.row(*at) {
            if !graph.is_tree_edge(*at, *child) {
                let start = read(place, *child);
                ranges.push((start, read(ends, start)));
            }
            ranges.extend(extra.get(*child as usize).into_iter().flatten());
            if ranges.len() > budget {
                return Err(Fault::TooDense);
            }
        }
        ranges.retain(|(start, end)| *start < own.start || own.end < *end);
        ranges.sort_unstable();
        ranges.dedup_by(|next, last| {
            let joined = next.0 <= last.1;
            if joined {
                last.1 = last.1.max(next.1);
            }
            joined
        });
        ranges.shrink_to_fit();
        kept += ranges.len();
        if kept > budget {
            return Err(Fault::TooDense);
        }
        if let Some(slot) = extra.get_mut(*at as usize) {
            *slot = ranges;
        }
    }
    Ok(extra)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Everything reachable by walking.
    fn naive(count: usize, edges: &[(u32, u32)]) -> Vec<BTreeSet<u32>> {
        (0..count as u32)
            .map(|from| {
                let mut reached = BTreeSet::from([from]);
                loop {
                    let more: Vec<u32> = edges
                        .iter()
                        .filter(|(child, parent)| {
                            reached.contains(parent) && !reached.contains(child)
                        })
                        .map(|(child, _)| *child)
                        .collect();
                    if more.is_empty() {
                        return reached;
                    }
                    reached.extend(more);
                }
            })
            .collect()
    }

    proptest! {
        #[test]
        fn the_closure_is_that_of_walking(
            count in 1usize..40,
            pairs in proptest::collection::vec((0u32..40, 0u32..40), 0..120),
        ) {
            // Edges from greater to smaller numbers, then shuffled by a fixed permutation: no cycle.
            let name = |at: u32| (at * 17 + 5) % count as u32;
            let names: BTreeSet<u32> = (0..count as u32).map(name).collect();
            prop_assume!(names.len() == count);
            let edges: Vec<(u32, u32)> = pairs
                .iter()
                .filter(|(a, b)| a > b && (*a as usize) < count)
                .map(|(a, b)| (name(*a), name(*b)))
                .collect();
            let built = Hierarchy::build(count, &edges).unwrap();
            prop_assert!(built.hierarchy.is_sound(count));
            let old: BTreeSet<u32> = built.order.iter().copied().collect();
            prop_assert_eq!(old.len(), count);
            let expected = naive(count, &edges);
            for (new, old) in built.order.iter().enumerate() {
                let below: BTreeSet<u32> = (0..count as u32)
                    .filter(|other| built.hierarchy.subsumes(new as u32, *other))
                    .map(|other| built.order[other as usize])
                    .collect();
                prop_assert_eq!(&below, &expected[*old as usize]);
                let spanned: BTreeSet<u32> = built
                    .hierarchy
                    .spans(new as u32)
                    .flatten()
                    .map(|other| built.order[other as usize])
                    .collect();
                prop_assert_eq!(&spanned, &expected[*old as usize]);
                let above = built.hierarchy.ancestors(new as u32, 100).unwrap();
                for other in 0..count as u32 {
                    prop_assert_eq!(
                        above.contains(&other),
                        built.hierarchy.subsumes(other, new as u32)
                    );
                }
            }
        }
    }

    #[test]
    fn a_cycle_is_named() {
        let built = Hierarchy::build(4, &[(1, 0), (2, 1), (1, 2)]);
        assert!(matches!(built, Err(Fault::Cycle(1 | 2))));
        assert!(matches!(
            Hierarchy::build(1, &[(0, 0)]),
            Err(Fault::Cycle(0))
        ));
    }

    #[test]
    fn a_tree_keeps_its_order_and_needs_no_ranges() {
        // 0 { 1 { 2 }, 3 }, 4
        let built = Hierarchy::build(5, &[(1, 0), (2, 1), (3, 0)]).unwrap();
        assert_eq!(built.order, [0, 1, 2, 3, 4]);
        assert_eq!(built.hierarchy.extra_spans(), 0);
        assert_eq!(built.hierarchy.children().row(0), [1, 3]);
    }

    #[test]
    fn a_graph_too_dense_to_close_is_refused() {
        // Each of the first ten concepts is above every second one of the others.
        let edges: Vec<(u32, u32)> = (10..110)
            .flat_map(|child| (0..10).map(move |parent| (child, parent)))
            .filter(|(child, parent)| child % 2 == parent % 2)
            .collect();
        let built = |budget| Hierarchy::build_within(110, &edges, budget);
        assert!(matches!(built(3), Err(Fault::TooDense)));
        assert!(built(1000).is_ok());
    }
}
