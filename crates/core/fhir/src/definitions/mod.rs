//! What FHIR R4 defines, as tables made from its definitions by `cargo xtask definitions`. Must not be
//! edited by hand: change the maker and run it.

pub mod navigate;
pub mod pack;

use std::sync::LazyLock;

use pack::{CHOICE, Content, Pack, PackShape, PackSlot, REQUIRED, Rule, SUMMARY};

/// Number of a resource type, for ever: `definitions/resource-types.tsv` is append-only.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct TypeId(pub u16);

/// The definitions of one FHIR release.
#[derive(Debug)]
pub struct Definitions {
    names: Vec<&'static str>,
    by_name: Vec<(&'static str, TypeId)>,
    by_type: Vec<u16>,
    by_shape: Vec<(&'static str, u16)>,
    shapes: Vec<Shape>,
    targets: Vec<Vec<TypeId>>,
    systems: Vec<&'static str>,
    bindings: Vec<Binding>,
    element: u16,
}

static PACK: &[u8] = include_bytes!("../../definitions/r4.pack");
static R4: LazyLock<Definitions> = LazyLock::new(Definitions::unpack);

/// What an object may hold, ready for lookups.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) class: Class,
    pub(crate) slots: Vec<Slot>,
    forms: Vec<Form>,
    /// Fingerprints of the forms' names, sorted, each with the form's place.
    index: Vec<(u64, u16)>,
    /// Bits of the required slots.
    pub(crate) required: u64,
}

/// Types with rules of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Plain,
    Coding,
    CodeableConcept,
    Reference,
    Extension,
}

/// An element of a shape.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: &'static str,
    pub(crate) flags: u8,
    pub(crate) binding: Option<u16>,
    /// Places of its forms.
    forms: core::ops::Range<u16>,
}

impl Slot {
    pub(crate) const fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A JSON member of a shape.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) name: &'static str,
    pub(crate) slot: u8,
    pub(crate) content: Content,
    pub(crate) targets: Option<u16>,
}

/// A required value set.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) url: &'static str,
    pub(crate) rule: Rule<'static>,
}

impl Definitions {
    /// FHIR R4 4.0.1, unpacked on first use.
    #[must_use]
    pub fn r4() -> &'static Self {
        &R4
    }

    #[expect(
        clippy::expect_used,
        reason = "the pack is compiled in and every test unpacks it; empty tables would refuse every resource"
    )]
    fn unpack() -> Self {
        let plain = zstd::decode_all(PACK).expect("the committed definition pack is a zstd frame");
        let plain: &'static [u8] = Box::leak(plain.into_boxed_slice());
        let pack: Pack<'static> = postcard::from_bytes(plain)
            .expect("the committed definition pack has the layout of Pack");
        Self::from_pack(pack)
    }

    fn from_pack(pack: Pack<'static>) -> Self {
        let names: Vec<_> = pack.types.iter().map(|(name, _)| *name).collect();
        let mut by_name: Vec<_> = names.iter().copied().zip((0..).map(TypeId)).collect();
        by_name.sort_unstable();
        let shapes: Vec<_> = pack.shapes.into_iter().map(Shape::unpack).collect();
        let element = shapes.iter().position(|shape| shape.name == "Element");
        let mut by_shape: Vec<_> = shapes.iter().map(|shape| shape.name).zip(0..).collect();
        // Profiled quantities go by the name of their type: the one nothing is taken from comes first and stays.
        by_shape.sort_by_key(|(name, at): &(&str, u16)| {
            let prohibited = shapes.get(usize::from(*at)).map_or(0, Shape::prohibited);
            (*name, prohibited)
        });
        by_shape.dedup_by_key(|(name, _)| *name);
        Self {
            names,
            by_name,
            by_shape,
            by_type: pack.types.iter().map(|(_, shape)| *shape).collect(),
            element: element.unwrap_or_default() as u16,
            shapes,
            targets: pack
                .targets
                .into_iter()
                .map(|types| types.into_iter().map(TypeId).collect())
                .collect(),
            systems: pack.systems,
            bindings: pack
                .bindings
                .into_iter()
                .map(|binding| Binding {
                    url: binding.url,
                    rule: binding.rule,
                })
                .collect(),
        }
    }

    /// The resource type of this name; abstract types are none.
    #[must_use]
    pub fn resource(&self, name: &str) -> Option<TypeId> {
        let at = self
            .by_name
            .binary_search_by(|(known, _)| (*known).cmp(name))
            .ok()?;
        self.by_name.get(at).map(|(_, ty)| *ty)
    }

    /// The name of a resource type; empty for a number that was never given.
    #[must_use]
    pub fn resource_name(&self, ty: TypeId) -> &'static str {
        self.names
            .get(usize::from(ty.0))
            .copied()
            .unwrap_or_default()
    }

    /// Every resource type, by number.
    pub fn resource_types(&self) -> impl Iterator<Item = TypeId> + use<> {
        (0..self.names.len() as u16).map(TypeId)
    }

    /// Whether `_summary=true` shows the top-level element. A choice may be named by its element
    /// (`value`) or by its member (`valueQuantity`).
    #[must_use]
    pub fn is_summary(&self, ty: TypeId, element: &str) -> bool {
        self.slot_of(ty, element)
            .is_some_and(|slot| slot.is(SUMMARY))
    }

    /// Whether every resource of the type has the top-level element; named as for
    /// [`Definitions::is_summary`].
    #[must_use]
    pub fn is_mandatory(&self, ty: TypeId, element: &str) -> bool {
        self.slot_of(ty, element)
            .is_some_and(|slot| slot.is(REQUIRED))
    }

    /// Whether the top-level element of this name, without `[x]`, is a choice of types.
    #[must_use]
    pub fn is_choice(&self, ty: TypeId, element: &str) -> bool {
        self.slot_of(ty, element)
            .is_some_and(|slot| slot.is(CHOICE) && slot.name == element)
    }

    fn slot_of(&self, ty: TypeId, element: &str) -> Option<&Slot> {
        let shape = self.shape_of(ty)?;
        match shape.form(element) {
            Some(form) => shape.slots.get(usize::from(form.slot)),
            None => shape.slots.iter().find(|slot| slot.name == element),
        }
    }

    pub(crate) fn shape_of(&self, ty: TypeId) -> Option<&Shape> {
        self.shape(*self.by_type.get(usize::from(ty.0))?)
    }

    pub(crate) fn shape(&self, at: u16) -> Option<&Shape> {
        self.shapes.get(usize::from(at))
    }

    /// The shape of `_member` objects.
    pub(crate) fn element_shape(&self) -> Option<&Shape> {
        self.shape(self.element)
    }

    pub(crate) fn targets(&self, at: Option<u16>) -> Option<&[TypeId]> {
        self.targets.get(usize::from(at?)).map(Vec::as_slice)
    }

    pub(crate) fn binding(&self, at: u16) -> Option<&Binding> {
        self.bindings.get(usize::from(at))
    }

    pub(crate) fn system(&self, at: u16) -> &'static str {
        self.systems
            .get(usize::from(at))
            .copied()
            .unwrap_or_default()
    }

    /// The name of what a form holds, as `ofType()` takes it.
    pub(crate) fn content_name(&self, content: Content) -> &'static str {
        match content {
            Content::Primitive(primitive) => primitive.name(),
            Content::Shape(at) => self.shape(at).map_or("", |shape| shape.name),
            Content::Resource => "Resource",
        }
    }
}

impl Shape {
    fn unpack(packed: PackShape<'static>) -> Self {
        let mut shape = Self {
            name: packed.name,
            class: match packed.name {
                "Coding" => Class::Coding,
                "CodeableConcept" => Class::CodeableConcept,
                "Reference" => Class::Reference,
                "Extension" => Class::Extension,
                _ => Class::Plain,
            },
            slots: Vec::with_capacity(packed.slots.len()),
            forms: Vec::with_capacity(packed.slots.len()),
            index: Vec::new(),
            required: 0,
        };
        for (at, slot) in (0..64).zip(packed.slots) {
            shape.add(at, slot);
        }
        shape.index = shape
            .forms
            .iter()
            .zip(0..)
            .map(|(form, at)| (fingerprint(form.name.as_bytes()), at))
            .collect();
        shape.index.sort_unstable();
        shape
    }

    fn add(&mut self, at: u8, slot: PackSlot<'static>) {
        if slot.flags & REQUIRED != 0 {
            self.required |= 1 << at;
        }
        let from = self.forms.len() as u16;
        self.forms.extend(slot.forms.into_iter().map(|form| Form {
            name: form.name,
            slot: at,
            content: form.content,
            targets: form.targets,
        }));
        self.slots.push(Slot {
            name: slot.name,
            flags: slot.flags,
            binding: slot.binding,
            forms: from..self.forms.len() as u16,
        });
    }

    /// How many of its elements its profile takes away.
    fn prohibited(&self) -> usize {
        let slots = self.slots.iter();
        slots.filter(|slot| slot.is(pack::PROHIBITED)).count()
    }

    /// The member of this name.
    pub(crate) fn form(&self, name: &str) -> Option<&Form> {
        let print = fingerprint(name.as_bytes());
        let from = self.index.partition_point(|(known, _)| *known < print);
        self.index
            .get(from..)?
            .iter()
            .take_while(|(known, _)| *known == print)
            .filter_map(|(_, at)| self.forms.get(usize::from(*at)))
            .find(|form| form.name == name)
    }

    /// The members an element may stand as.
    pub(crate) fn forms_of(&self, slot: &Slot) -> &[Form] {
        self.forms
            .get(usize::from(slot.forms.start)..usize::from(slot.forms.end))
            .unwrap_or_default()
    }

    pub(crate) fn forms(&self) -> &[Form] {
        &self.forms
    }
}

/// Cheap and nearly free of collisions on element names.
fn fingerprint(name: &[u8]) -> u64 {
    match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(head), Some(tail)) => {
            u64::from_le_bytes(*head)
                ^ u64::from_le_bytes(*tail).rotate_left(23)
                ^ (name.len() as u64) << 56
        }
        _ => name
            .iter()
            .fold(1, |hash, byte| hash << 8 | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_committed_table() {
        let table = include_str!("../../definitions/resource-types.tsv");
        let definitions = Definitions::r4();
        let mut count = 0;
        for line in table.lines() {
            let (number, name) = line.split_once('\t').unwrap();
            let ty = TypeId(number.parse().unwrap());
            assert_eq!(definitions.resource(name), Some(ty), "{line}");
            assert_eq!(definitions.resource_name(ty), name);
            assert_eq!(definitions.shape_of(ty).unwrap().name, name);
            count += 1;
        }
        assert_eq!(count, 146);
        assert_eq!(definitions.resource_types().count(), 146);
        for none in [
            "",
            "Resource",
            "DomainResource",
            "patient",
            "HumanName",
            "SubscriptionStatus",
        ] {
            assert_eq!(definitions.resource(none), None, "{none}");
        }
    }

    #[test]
    fn every_member_is_found_and_every_place_is_filled() {
        let definitions = Definitions::r4();
        let mut forms = 0;
        for shape in &definitions.shapes {
            assert!(shape.slots.len() <= 64, "{}", shape.name);
            for form in shape.forms() {
                forms += 1;
                assert_eq!(shape.form(form.name).unwrap().name, form.name);
                if let Content::Shape(at) = form.content {
                    assert!(
                        definitions.shape(at).is_some(),
                        "{}.{}",
                        shape.name,
                        form.name
                    );
                }
                assert_eq!(
                    form.targets.is_some(),
                    definitions.targets(form.targets).is_some()
                );
            }
            for slot in &shape.slots {
                assert!(!shape.forms_of(slot).is_empty());
                assert_eq!(
                    slot.binding.is_some(),
                    slot.binding
                        .and_then(|at| definitions.binding(at))
                        .is_some()
                );
            }
        }
        assert!(forms > 7000, "{forms}");
    }

    #[test]
    fn tells_summary_mandatory_and_choice() {
        let definitions = Definitions::r4();
        let observation = definitions.resource("Observation").unwrap();
        for (element, summary, mandatory, choice) in [
            ("status", true, true, false),
            ("code", true, true, false),
            ("note", false, false, false),
            ("value", true, false, true),
            ("valueQuantity", true, false, false),
            ("nothing", false, false, false),
        ] {
            assert_eq!(
                definitions.is_summary(observation, element),
                summary,
                "{element}"
            );
            assert_eq!(
                definitions.is_mandatory(observation, element),
                mandatory,
                "{element}"
            );
            assert_eq!(
                definitions.is_choice(observation, element),
                choice,
                "{element}"
            );
        }
    }
}
