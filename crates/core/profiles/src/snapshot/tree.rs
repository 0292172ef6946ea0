//! Element lists as trees: children by name, slices beside them. Differentials may leave out ids and
//! the elements between.

use crate::error::ProfileError;
use crate::model::Element;

/// An element with those below it.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// Its name, the last part of its path: `value[x]`.
    pub name: String,
    /// What is said about it.
    pub element: Element,
    /// Whether something is said about it, instead of only about what is below.
    pub is_said: bool,
    /// The elements below, in order.
    pub children: Vec<Node>,
    /// Its slices, in order; what is sliced again is inside them.
    pub slices: Vec<Node>,
}

/// One part of an element's id.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    name: String,
    slice: Option<String>,
}

impl Node {
    /// A node about which nothing is said.
    fn silent(step: &Step) -> Self {
        Self {
            name: step.name.clone(),
            element: Element {
                slice_name: step.slice.clone(),
                ..Element::default()
            },
            ..Self::default()
        }
    }

    /// The tree of an element list; its first element, or what all paths begin with, is the root.
    ///
    /// # Errors
    /// [`ProfileError::Differential`] for an empty list and for elements outside the root.
    pub fn from_elements(elements: &[Element], profile: &str) -> Result<Self, ProfileError> {
        let wrong = |element: &Element, detail: &str| ProfileError::Differential {
            profile: profile.to_owned(),
            element: element.path.clone(),
            detail: detail.to_owned(),
        };
        let first = elements.first().ok_or_else(|| ProfileError::Malformed {
            name: profile.to_owned(),
            detail: "it has no elements: add them".to_owned(),
        })?;
        let mut before: Vec<Step> = Vec::new();
        let root_name = first.path.split('.').next().unwrap_or_default().to_owned();
        let mut root = Self {
            name: root_name.clone(),
            ..Self::default()
        };
        for element in elements {
            let steps = steps(element, &before);
            let Some((head, rest)) = steps.split_first() else {
                continue;
            };
            if head.name != root_name {
                return Err(wrong(
                    element,
                    "is not below the first element: mend its path",
                ));
            }
            if rest.len() > 32 {
                return Err(wrong(
                    element,
                    "is deeper than 32 elements: shorten its path",
                ));
            }
            if let Some(node) = root.place(rest) {
                node.say(element);
            }
            before = steps;
        }
        Ok(root)
    }

    /// The node at these steps, made where it is not there.
    fn place(&mut self, steps: &[Step]) -> Option<&mut Self> {
        let Some((step, rest)) = steps.split_first() else {
            return Some(self);
        };
        let plain = Step {
            name: step.name.clone(),
            slice: None,
        };
        let child = child_of(&mut self.children, &plain, |node| node.name == step.name)?;
        let Some(slice) = &step.slice else {
            return child.place(rest);
        };
        let mut node = child;
        // `a/b` is the slice b of the slice a.
        for (at, _) in slice.match_indices('/').chain([(slice.len(), "")]) {
            let name = slice.get(..at).unwrap_or_default();
            let step = Step {
                name: step.name.clone(),
                slice: Some(name.to_owned()),
            };
            node = child_of(&mut node.slices, &step, |node| {
                node.element.slice_name.as_deref() == Some(name)
            })?;
        }
        node.place(rest)
    }

    fn say(&mut self, element: &Element) {
        let slice = self.element.slice_name.take();
        self.element = element.clone();
        self.element.slice_name = slice.or_else(|| element.slice_name.clone());
        self.is_said = true;
    }

    /// The child of this name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The node at a path below this one: `item.answer`.
    #[must_use]
    pub fn descend(&self, path: &str) -> Option<&Self> {
        path.split('.')
            .filter(|name| !name.is_empty())
            .try_fold(self, |node, name| node.child(name))
    }

    /// The list of the tree, with ids and paths made anew.
    #[must_use]
    pub fn into_elements(self) -> Vec<Element> {
        let mut elements = Vec::new();
        let name = self.name.clone();
        self.write(&name, &name, &mut elements);
        elements
    }

    fn write(self, path: &str, id: &str, into: &mut Vec<Element>) {
        let mut element = self.element;
        path.clone_into(&mut element.path);
        id.clone_into(&mut element.id);
        let plain_id = id.rsplit_once(':').filter(|_| element.slice_name.is_some());
        let plain_id = plain_id.map_or(id, |(plain, _)| plain).to_owned();
        into.push(element);
        for child in self.children {
            let (path, id) = (
                format!("{path}.{}", child.name),
                format!("{id}.{}", child.name),
            );
            child.write(&path, &id, into);
        }
        for slice in self.slices {
            let name = slice.element.slice_name.clone().unwrap_or_default();
            slice.write(path, &format!("{plain_id}:{name}"), into);
        }
    }

    /// How many nodes there are.
    #[must_use]
    pub fn count(&self) -> usize {
        let below = self.children.iter().chain(&self.slices);
        1 + below.map(Self::count).sum::<usize>()
    }
}

/// The node for which it holds, made where there is none; there always is one.
fn child_of<'n>(
    nodes: &'n mut Vec<Node>,
    step: &Step,
    is_it: impl Fn(&Node) -> bool,
) -> Option<&'n mut Node> {
    let at = nodes.iter().position(is_it).unwrap_or(nodes.len());
    if at == nodes.len() {
        nodes.push(Node::silent(step));
    }
    nodes.get_mut(at)
}

/// The parts of an element's id; made from its path, its slice and the element before where it has none.
fn steps(element: &Element, before: &[Step]) -> Vec<Step> {
    let names = || element.path.split('.');
    let given: Vec<Step> = element
        .id
        .split('.')
        .map(|part| match part.split_once(':') {
            Some((name, slice)) => Step {
                name: name.to_owned(),
                slice: Some(slice.to_owned()),
            },
            None => Step {
                name: part.to_owned(),
                slice: None,
            },
        })
        .collect();
    let same = given.iter().map(|step| step.name.as_str()).eq(names());
    let ends_well = given.last().map(|step| &step.slice) == Some(&element.slice_name);
    if same && ends_well {
        return given;
    }
    let count = names().count();
    let mut is_shared = true;
    names()
        .enumerate()
        .map(|(at, name)| {
            let known = before.get(at).filter(|step| is_shared && step.name == name);
            is_shared = known.is_some();
            let slice = if at + 1 == count {
                element.slice_name.clone()
            } else {
                known.and_then(|step| step.slice.clone())
            };
            Step {
                name: name.to_owned(),
                slice,
            }
        })
        .collect()
}
