//! What FHIR R4 defines, as tables made from its definitions by `cargo xtask definitions`. Must not be
//! edited by hand: change the maker and run it.

use std::sync::LazyLock;

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
}

static TYPES: &str = include_str!("../../definitions/resource-types.tsv");
static R4: LazyLock<Definitions> = LazyLock::new(|| Definitions::unpack(TYPES));

impl Definitions {
    /// FHIR R4 4.0.1, unpacked on first use.
    #[must_use]
    pub fn r4() -> &'static Self {
        &R4
    }

    fn unpack(types: &'static str) -> Self {
        let names: Vec<&'static str> = types
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(_, name)| name)
            .collect();
        let mut by_name: Vec<_> = names.iter().copied().zip((0..).map(TypeId)).collect();
        by_name.sort_unstable();
        Self { names, by_name }
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
}
