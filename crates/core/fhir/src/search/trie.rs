//! The paths of one resource type, merged, so that a document is walked once for all its parameters.
//! Holds structure only; the walk is in `extract`.

use crate::definitions::TypeId;
use crate::search::pack::{Leaf, Path, Step};

/// A node's place.
pub(crate) type NodeId = u16;

/// The merged paths; node 0 is the resource.
#[derive(Debug)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
}

/// What to do at an element, and where to go from it.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// Values to make of this element.
    pub(crate) emits: Vec<Emit>,
    /// Tuples to make with this element as context.
    pub(crate) composites: Vec<Tuple>,
    /// Members to walk into, ordered by length, then name.
    members: Vec<(&'static str, NodeId)>,
    /// Nodes that apply to this same element if a member has a value.
    pub(crate) wheres: Vec<(&'static str, &'static str, NodeId)>,
    /// Nodes that apply to one item of the array at this place.
    pub(crate) indexed: Vec<(u32, NodeId)>,
}

/// One value to make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Emit {
    /// Place of the parameter in its type.
    pub(crate) param: u16,
    pub(crate) leaf: Leaf<'static>,
    /// Keep only references to this type.
    pub(crate) only: Option<TypeId>,
    /// Collect patients for the compartment.
    pub(crate) compartment: bool,
}

/// One composite at its context element.
#[derive(Debug)]
pub(crate) struct Tuple {
    pub(crate) param: u16,
    pub(crate) components: Vec<Vec<Path<'static>>>,
}

impl Default for Trie {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }
}

impl Trie {
    pub(crate) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(usize::from(id))
    }

    pub(crate) fn insert(
        &mut self,
        param: u16,
        path: &Path<'static>,
        only: Option<TypeId>,
        compartment: bool,
    ) {
        let emit = Emit {
            param,
            leaf: path.leaf,
            only,
            compartment,
        };
        if let Some(node) = self.reach(&path.steps) {
            node.emits.push(emit);
        }
    }

    pub(crate) fn insert_composite(
        &mut self,
        param: u16,
        context: &[Step<'static>],
        components: Vec<Vec<Path<'static>>>,
    ) {
        if let Some(node) = self.reach(context) {
            node.composites.push(Tuple { param, components });
        }
    }

    /// Orders the members for [`Node::member`]; called once after the last insertion.
    pub(crate) fn finish(&mut self) {
        for node in &mut self.nodes {
            node.members
                .sort_unstable_by_key(|(name, _)| (name.len(), *name));
        }
    }

    /// The parameters that anything is made for, as type and bit.
    #[cfg(test)]
    pub(crate) fn params(&self, ty: TypeId) -> impl Iterator<Item = (TypeId, u16)> {
        self.nodes.iter().flat_map(move |node| {
            let emits = node.emits.iter().map(|emit| emit.param);
            let tuples = node.composites.iter().map(|tuple| tuple.param);
            emits.chain(tuples).map(move |param| (ty, param))
        })
    }

    fn reach(&mut self, steps: &[Step<'static>]) -> Option<&mut Node> {
        let mut at: NodeId = 0;
        for step in steps {
            let fresh = self.nodes.len() as NodeId;
            let node = self.nodes.get_mut(usize::from(at))?;
            let next = node.next(step, fresh);
            if next == fresh {
                self.nodes.push(Node::default());
            }
            at = next;
        }
        self.nodes.get_mut(usize::from(at))
    }
}

impl Node {
    /// The node of a member.
    pub(crate) fn member(&self, name: &str) -> Option<NodeId> {
        let at = self
            .members
            .binary_search_by(|(known, _)| known.len().cmp(&name.len()).then(known.cmp(&name)))
            .ok()?;
        self.members.get(at).map(|(_, node)| *node)
    }

    /// Whether nothing lies below this node.
    pub(crate) fn is_last(&self) -> bool {
        self.members.is_empty()
    }

    fn next(&mut self, step: &Step<'static>, fresh: NodeId) -> NodeId {
        match *step {
            Step::Member(name) => {
                let known = self.members.iter().find(|(known, _)| *known == name);
                if let Some(node) = known.map(|(_, node)| *node) {
                    return node;
                }
                self.members.push((name, fresh));
            }
            Step::Index(index) => {
                let known = self.indexed.iter().find(|(known, _)| *known == index);
                if let Some(node) = known.map(|(_, node)| *node) {
                    return node;
                }
                self.indexed.push((index, fresh));
            }
            Step::Where { member, equals } => {
                let known = self
                    .wheres
                    .iter()
                    .find(|known| (known.0, known.1) == (member, equals));
                if let Some(node) = known.map(|known| known.2) {
                    return node;
                }
                self.wheres.push((member, equals, fresh));
            }
        }
        fresh
    }
}
