//! The types of R4 as the walk over a resource needs them: what each member holds, and which rules stand
//! on it beyond structure. Made once from the pack; structure itself is the gate's (`fhir::validate`).

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use fhirpath::FhirType;

use crate::invariant::Invariant;
use crate::model::{Binding, Element, ElementType, Strength, StructureDefinition, UNBOUNDED};
use crate::pack::BaseDefinitions;
use crate::snapshot::capital;
use crate::snapshot::tree::Node;

/// Place of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShapeAt(u16);

/// What a type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShapeKind {
    /// `string`.
    Primitive,
    /// `HumanName`.
    Complex,
    /// `Patient.contact`.
    Backbone,
    /// `Patient`; also `Resource`, which stands for any.
    Resource,
}

/// A type, or an element with elements of its own.
#[derive(Debug)]
pub struct Shape {
    /// `HumanName`, `Patient.contact`.
    pub name: String,
    /// What it is.
    pub kind: ShapeKind,
    /// The type as FHIRPath knows it.
    pub fhir: FhirType,
    /// The type it is made from.
    pub parent: Option<String>,
    /// Rules on every value of it.
    pub invariants: Vec<Arc<Invariant>>,
    /// Its elements.
    pub kids: Vec<Kid>,
    /// Members by name, sorted: place of the element, and what the member holds.
    members: Vec<(String, u16, ShapeAt)>,
}

/// An element of a shape.
#[derive(Debug)]
pub struct Kid {
    /// Its name without `[x]`.
    pub name: String,
    /// Whether it is a choice of types.
    pub is_choice: bool,
    /// What R4 says about it.
    pub element: Element,
    /// Rules on it, beside those of its type.
    pub invariants: Vec<Arc<Invariant>>,
    /// A binding that the gate does not check.
    pub binding: Option<Binding>,
    /// What it may hold.
    pub forms: Vec<ShapeAt>,
}

/// All types of R4.
#[derive(Debug)]
pub struct Base {
    shapes: Vec<Shape>,
    places: HashMap<String, ShapeAt>,
}

/// Checked by the gate, in the words of R4.
pub(crate) const OF_THE_GATE: [&str; 9] = [
    "ele-1", "ext-1", "dom-2", "dom-3", "dom-4", "dom-5", "txt-1", "txt-2", "ref-1",
];

static R4: LazyLock<Base> = LazyLock::new(Base::make);

impl Base {
    /// R4, made on first use.
    #[must_use]
    pub fn r4() -> &'static Self {
        &R4
    }

    fn make() -> Self {
        let definitions: Vec<StructureDefinition> = BaseDefinitions::r4()
            .entries()
            .iter()
            .filter(|entry| !entry.is_constraint)
            .filter_map(crate::pack::PackEntry::definition)
            .collect();
        let mut maker = Maker::default();
        let trees: Vec<(StructureDefinition, Node)> = definitions
            .into_iter()
            .filter_map(|definition| {
                let tree = Node::from_elements(&definition.snapshot, &definition.url).ok()?;
                Some((definition, tree))
            })
            .collect();
        for (definition, tree) in &trees {
            maker.number(&definition.ty, tree);
        }
        for (definition, tree) in &trees {
            maker.fill_type(definition, tree);
        }
        Self {
            shapes: maker.shapes,
            places: maker.places,
        }
    }

    /// The shape of this name: `HumanName`, `Patient`, `Patient.contact`.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<ShapeAt> {
        self.places.get(name).copied()
    }

    /// The shape at a place.
    #[must_use]
    pub fn shape(&self, at: ShapeAt) -> Option<&Shape> {
        self.shapes.get(usize::from(at.0))
    }

    /// The shape of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Shape> {
        self.shape(self.place(name)?)
    }

    /// Whether a type is another or made from it.
    #[must_use]
    pub fn derives(&self, name: &str, from: &str) -> bool {
        let mut at = Some(name);
        for _ in 0..8 {
            match at {
                Some(name) if name == from => return true,
                Some(name) => at = self.named(name).and_then(|shape| shape.parent.as_deref()),
                None => return false,
            }
        }
        false
    }
}

impl Shape {
    /// The element a member belongs to, and what the member holds.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<(&Kid, ShapeAt)> {
        let at = self
            .members
            .binary_search_by(|(known, ..)| known.as_str().cmp(name))
            .ok()?;
        let (_, kid, shape) = self.members.get(at)?;
        Some((self.kids.get(usize::from(*kid))?, *shape))
    }

    /// The element of this name, without `[x]`.
    #[must_use]
    pub fn kid(&self, name: &str) -> Option<&Kid> {
        self.kids.iter().find(|kid| kid.name == name)
    }
}

impl Kid {
    /// Whether it repeats.
    #[must_use]
    pub fn repeats(&self) -> bool {
        self.element.max.unwrap_or(UNBOUNDED) > 1
    }
}

#[derive(Default)]
struct Maker {
    shapes: Vec<Shape>,
    places: HashMap<String, ShapeAt>,
    /// Invariants are shared between the types that inherit them.
    invariants: HashMap<(String, Option<String>), Arc<Invariant>>,
}

impl Maker {
    fn number(&mut self, name: &str, node: &Node) {
        let at = ShapeAt(self.shapes.len() as u16);
        self.places.insert(name.to_owned(), at);
        self.shapes.push(Shape {
            name: name.to_owned(),
            kind: ShapeKind::Backbone,
            fhir: FhirType::named(name).unwrap_or(FhirType::Unknown),
            parent: None,
            invariants: Vec::new(),
            kids: Vec::new(),
            members: Vec::new(),
        });
        for child in node.children.iter().filter(|one| !one.children.is_empty()) {
            self.number(&format!("{name}.{}", child.name), child);
        }
    }

    fn fill_type(&mut self, definition: &StructureDefinition, tree: &Node) {
        let parent = definition.base.as_deref();
        let parent = parent
            .and_then(|url| url.rsplit('/').next())
            .map(str::to_owned);
        let kind = match definition.kind {
            crate::model::StructureKind::Primitive => ShapeKind::Primitive,
            crate::model::StructureKind::Complex => ShapeKind::Complex,
            _ => ShapeKind::Resource,
        };
        self.fill(&definition.ty, tree, kind, parent);
    }

    fn fill(&mut self, name: &str, node: &Node, kind: ShapeKind, parent: Option<String>) {
        let invariants = if kind == ShapeKind::Backbone {
            // Those of a backbone element stand on the element.
            Vec::new()
        } else {
            self.invariants(&node.element)
        };
        let mut kids = Vec::new();
        let mut members = Vec::new();
        for child in &node.children {
            let at = kids.len() as u16;
            let (kid, names) = self.kid(name, child);
            members.extend(
                names
                    .into_iter()
                    .zip(&kid.forms)
                    .map(|(member, shape)| (member, at, *shape)),
            );
            kids.push(kid);
            if !child.children.is_empty() {
                let inner = format!("{name}.{}", child.name);
                let parent = child.element.types.first().map(|ty| ty.code.clone());
                self.fill(&inner, child, ShapeKind::Backbone, parent);
            }
        }
        members.sort_unstable();
        let place = self.places.get(name).copied();
        let shape = place.and_then(|at| self.shapes.get_mut(usize::from(at.0)));
        if let Some(shape) = shape {
            shape.kind = kind;
            shape.parent = parent;
            shape.invariants = invariants;
            shape.kids = kids;
            shape.members = members;
        }
    }

    fn kid(&mut self, owner: &str, node: &Node) -> (Kid, Vec<String>) {
        let element = &node.element;
        let stem = node.name.strip_suffix("[x]");
        let mut forms = Vec::new();
        let mut names = Vec::new();
        let own = self.own_shape(owner, node);
        if let Some(own) = own {
            forms.push(own);
            names.push(node.name.clone());
        } else {
            for ty in &element.types {
                let Some(shape) = self.places.get(&ty.code) else {
                    continue;
                };
                forms.push(*shape);
                names.push(match stem {
                    Some(stem) => format!("{stem}{}", capital(&ty.code)),
                    None => node.name.clone(),
                });
            }
        }
        let binding = element.binding.clone().filter(is_beyond_the_gate);
        let kid = Kid {
            name: stem.unwrap_or(&node.name).to_owned(),
            is_choice: stem.is_some(),
            element: element.clone(),
            invariants: self.invariants(element),
            binding,
            forms,
        };
        (kid, names)
    }

    /// The shape of an element that has its own children, or those of another element.
    fn own_shape(&self, owner: &str, node: &Node) -> Option<ShapeAt> {
        if let Some(reference) = &node.element.content_reference {
            let path = reference
                .rsplit_once('#')
                .map_or(reference.as_str(), |(_, path)| path);
            return self.places.get(path).copied();
        }
        if node.children.is_empty() {
            return None;
        }
        self.places.get(&format!("{owner}.{}", node.name)).copied()
    }

    fn invariants(&mut self, element: &Element) -> Vec<Arc<Invariant>> {
        let wanted = element.constraints.iter();
        let wanted = wanted.filter(|one| !OF_THE_GATE.contains(&one.key.as_str()));
        wanted
            .map(|constraint| {
                let key = (constraint.key.clone(), constraint.expression.clone());
                let known = self.invariants.entry(key);
                known
                    .or_insert_with(|| Arc::new(Invariant::new(constraint.clone())))
                    .clone()
            })
            .collect()
    }
}

fn is_beyond_the_gate(binding: &Binding) -> bool {
    let is_loose = matches!(binding.strength, Strength::Extensible | Strength::Preferred);
    (is_loose && binding.value_set.is_some()) || binding.max_value_set.is_some()
}

/// The profiles on the type of this code.
pub(crate) fn profiles_on<'t>(types: &'t [ElementType], code: &str) -> &'t [String] {
    let found = types.iter().find(|ty| ty.code == code);
    found.map_or(&[], |ty| ty.profiles.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_types_members_and_ancestors() {
        let base = Base::r4();
        let observation = base.named("Observation").unwrap();
        let (kid, shape) = observation.member("valueQuantity").unwrap();
        assert_eq!((kid.name.as_str(), kid.is_choice), ("value", true));
        assert_eq!(base.shape(shape).unwrap().name, "Quantity");
        let (_, component) = observation.member("component").unwrap();
        let component = base.shape(component).unwrap();
        assert_eq!(component.name, "Observation.component");
        assert_eq!(component.kind, ShapeKind::Backbone);
        let (_, range) = component.member("referenceRange").unwrap();
        assert_eq!(
            base.shape(range).unwrap().name,
            "Observation.referenceRange"
        );
        assert!(base.derives("Patient", "Resource"));
        assert!(base.derives("Patient", "DomainResource"));
        assert!(base.derives("code", "Element"));
        assert!(!base.derives("Bundle", "DomainResource"));
        let keys: Vec<_> = observation.invariants.iter().map(|one| one.key()).collect();
        assert_eq!(keys, ["dom-6", "obs-6", "obs-7"]);
    }
}
