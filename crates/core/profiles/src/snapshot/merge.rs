//! Lays a differential over its base. Must not check instances.

use super::Generator;
use super::tree::Node;
use crate::error::ProfileError;
use crate::model::{
    Discriminator, DiscriminatorKind, Element, ElementType, Slicing, SlicingRules,
    StructureDefinition,
};

/// One differential being laid over one base.
pub(super) struct Merge<'g, 's> {
    generator: &'g mut Generator<'s>,
    definition: &'g StructureDefinition,
    /// The base as it was: content references point into it.
    base: Node,
    /// Nodes opened so far.
    opened: usize,
}

impl<'g, 's> Merge<'g, 's> {
    pub(super) fn new(
        generator: &'g mut Generator<'s>,
        definition: &'g StructureDefinition,
        base: &Node,
    ) -> Self {
        Self {
            generator,
            definition,
            base: base.clone(),
            opened: 0,
        }
    }

    fn wrong(&self, node: &Node, detail: String) -> ProfileError {
        let element = if node.element.id.is_empty() {
            &node.element.path
        } else {
            &node.element.id
        };
        ProfileError::Differential {
            profile: self.definition.url.clone(),
            element: if element.is_empty() {
                &node.name
            } else {
                element
            }
            .clone(),
            detail,
        }
    }

    /// Lays what is said about an element, its children and its slices over it.
    pub(super) fn merge(&mut self, into: &mut Node, said: &Node) -> Result<(), ProfileError> {
        if said.is_said {
            apply(&mut into.element, &said.element);
        }
        if !said.children.is_empty() {
            self.open(into)?;
            for child in &said.children {
                self.child(into, child, &said.children)?;
            }
        }
        for slice in &said.slices {
            self.slice(into, slice)?;
        }
        Ok(())
    }

    fn child(
        &mut self,
        into: &mut Node,
        child: &Node,
        beside: &[Node],
    ) -> Result<(), ProfileError> {
        let same = into.children.iter().position(|one| one.name == child.name);
        let place = same.or_else(|| {
            // A base that was narrowed may call it by one of its types.
            let stem = child.name.strip_suffix("[x]")?;
            into.children
                .iter()
                .position(|one| is_form(&one.name, stem))
        });
        if let Some(found) = place.and_then(|at| into.children.get_mut(at)) {
            return self.merge(found, child);
        }
        if let Some((found, ty)) = choice_of(into, &child.name) {
            let stem = found.name.trim_end_matches("[x]");
            let forms = beside.iter().filter(|one| one.name.starts_with(stem));
            if forms.count() == 1 && child.element.max != Some(0) {
                // Named alone, it is the only type left.
                found.element.types = vec![ty.clone()];
            }
            return self.choice(found, child, &ty);
        }
        if !self.definition.is_constraint {
            // A type defines elements of its own.
            into.children.push(child.clone());
            return Ok(());
        }
        Err(self.wrong(
            child,
            format!("is no element of {}: mend its path", into.name),
        ))
    }

    /// `valueQuantity` for `value[x]`: a slice of that type.
    fn choice(
        &mut self,
        into: &mut Node,
        said: &Node,
        ty: &ElementType,
    ) -> Result<(), ProfileError> {
        let mut slice = said.clone();
        slice.element.slice_name = Some(said.name.clone());
        slice.name.clone_from(&into.name);
        if slice.element.types.is_empty() {
            slice.element.types.push(ty.clone());
        }
        slice.is_said = true;
        self.slice(into, &slice)?;
        Ok(())
    }

    fn slice(&mut self, into: &mut Node, said: &Node) -> Result<(), ProfileError> {
        if into.element.slicing.is_none() {
            if into.element.max == Some(1) && implied(&into.name).is_none() {
                // Nothing to slice: a name for the element itself.
                let mut said = said.clone();
                said.element.slice_name = None;
                return self.merge(into, &said);
            }
            into.element.slicing = Some(implied(&into.name).ok_or_else(|| {
                self.wrong(
                    said,
                    "is a slice of an element without slicing: say how it is sliced".to_owned(),
                )
            })?);
        }
        let name = &said.element.slice_name;
        let at = into
            .slices
            .iter()
            .position(|one| one.element.slice_name == *name);
        let at = at.unwrap_or_else(|| {
            into.slices.push(fresh_slice(into, said));
            into.slices.len() - 1
        });
        self.opened += into.slices.get(at).map_or(0, Node::count);
        self.bound(said)?;
        match into.slices.get_mut(at) {
            Some(slice) => self.merge(slice, said),
            None => Ok(()),
        }
    }

    fn bound(&self, node: &Node) -> Result<(), ProfileError> {
        if self.opened > 4 * super::MAX_NODES {
            return Err(self.wrong(node, "makes the snapshot too large: say less".to_owned()));
        }
        Ok(())
    }

    /// Gives an element the children of its type, profile or content reference.
    fn open(&mut self, node: &mut Node) -> Result<(), ProfileError> {
        if !node.children.is_empty() {
            return Ok(());
        }
        let content = self.content(node)?;
        self.opened += content.count();
        self.bound(node)?;
        node.children = content.children;
        Ok(())
    }

    fn content(&mut self, node: &Node) -> Result<Node, ProfileError> {
        if let Some(reference) = &node.element.content_reference {
            let path = reference
                .rsplit_once('#')
                .map_or(reference.as_str(), |(_, path)| path);
            let inner = path.split_once('.').map_or("", |(_, inner)| inner);
            let found = self.base.descend(inner).cloned();
            return found.ok_or_else(|| {
                self.wrong(
                    node,
                    format!("has the content of {path}, which is not there"),
                )
            });
        }
        let url = match node.element.types.as_slice() {
            [only] => match only.profiles.as_slice() {
                [profile] => profile.clone(),
                _ => only.code.clone(),
            },
            // Of several types only what all have.
            _ => "Element".to_owned(),
        };
        let definition = self.generator.find(&url, &self.definition.url)?;
        self.generator.tree(&definition)
    }
}

/// A slice before anything is said about it: what it slices, but not required.
fn fresh_slice(of: &Node, said: &Node) -> Node {
    let mut slice = Node {
        slices: Vec::new(),
        ..of.clone()
    };
    slice
        .element
        .slice_name
        .clone_from(&said.element.slice_name);
    slice.element.slicing = None;
    slice.element.min = Some(0);
    if said.element.types.is_empty() {
        let name = said.element.slice_name.as_deref().unwrap_or_default();
        if let Some(ty) = type_of_form(of, name) {
            slice.element.types = vec![ty];
        }
    }
    slice
}

/// How extensions and choices are told apart without saying so.
fn implied(name: &str) -> Option<Slicing> {
    let (kind, path) = match name {
        "extension" | "modifierExtension" => (DiscriminatorKind::Value, "url"),
        _ if name.ends_with("[x]") => (DiscriminatorKind::Type, "$this"),
        _ => return None,
    };
    Some(Slicing {
        discriminators: vec![Discriminator {
            kind,
            path: path.to_owned(),
        }],
        ordered: false,
        rules: SlicingRules::Open,
    })
}

/// Whether a name is a stem with a type behind it: `valueQuantity`, `value`.
fn is_form(name: &str, stem: &str) -> bool {
    name.strip_prefix(stem)
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// The choice whose form a name is, and the type.
fn choice_of<'n>(into: &'n mut Node, name: &str) -> Option<(&'n mut Node, ElementType)> {
    into.children.iter_mut().find_map(|child| {
        let ty = type_of_form(child, name)?;
        Some((child, ty))
    })
}

fn type_of_form(choice: &Node, name: &str) -> Option<ElementType> {
    let stem = choice.name.strip_suffix("[x]")?;
    let suffix = name.strip_prefix(stem)?;
    let types = &choice.element.types;
    types.iter().find(|ty| capital(&ty.code) == suffix).cloned()
}

/// A type's name as it stands behind an element's.
pub(crate) fn capital(code: &str) -> String {
    let mut letters = code.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// Lays what a differential says about one element over it.
fn apply(into: &mut Element, said: &Element) {
    fn set<T: Clone>(into: &mut Option<T>, said: Option<&T>) {
        if let Some(said) = said {
            *into = Some(said.clone());
        }
    }
    set(&mut into.min, said.min.as_ref());
    set(&mut into.max, said.max.as_ref());
    set(&mut into.slicing, said.slicing.as_ref());
    set(&mut into.fixed, said.fixed.as_ref());
    set(&mut into.pattern, said.pattern.as_ref());
    set(&mut into.min_value, said.min_value.as_ref());
    set(&mut into.max_value, said.max_value.as_ref());
    set(&mut into.max_length, said.max_length.as_ref());
    set(&mut into.must_support, said.must_support.as_ref());
    set(&mut into.is_modifier, said.is_modifier.as_ref());
    if !said.types.is_empty() {
        into.types.clone_from(&said.types);
    }
    if let Some(binding) = &said.binding {
        let mut binding = binding.clone();
        if binding.value_set.is_none() {
            binding.value_set = into.binding.as_ref().and_then(|was| was.value_set.clone());
        }
        into.binding = Some(binding);
    }
    for constraint in &said.constraints {
        if !into.constraints.iter().any(|one| one.key == constraint.key) {
            into.constraints.push(constraint.clone());
        }
    }
}
