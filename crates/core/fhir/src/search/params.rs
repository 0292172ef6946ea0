//! The table of search parameters per resource type, unpacked once from the committed
//! `definitions/r4-search.pack`. Must not interpret expressions: the pack holds compiled paths.

use std::sync::LazyLock;

use crate::definitions::{Definitions, TypeId};
use crate::search::pack::{Composite, Pack, PackParam};
use crate::search::trie::Trie;

/// Number of a parameter of a type, for ever: `definitions/search-parameter-ids.tsv` is append-only.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct ParamId(pub u16);

/// How values of a parameter are written and compared (FHIR R4 search, section 3.1.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum ParamKind {
    /// Codes, identifiers, booleans.
    Token,
    /// Text, compared without case and accents.
    String,
    /// Dates and periods.
    Date,
    /// Numbers.
    Number,
    /// Numbers with a unit.
    Quantity,
    /// References to resources.
    Reference,
    /// URIs.
    Uri,
    /// Tuples of other parameters, from one element.
    Composite,
    /// Needs code of its own (`near`, `_text`, `_content`, `_query`, `_filter`, `_list`, `_has`):
    /// extraction gives no values and query parsing refuses it.
    Special,
}

impl ParamKind {
    /// The code of FHIR value set `search-param-type`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::String => "string",
            Self::Date => "date",
            Self::Number => "number",
            Self::Quantity => "quantity",
            Self::Reference => "reference",
            Self::Uri => "uri",
            Self::Composite => "composite",
            Self::Special => "special",
        }
    }
}

/// A search parameter of one resource type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchParam {
    /// Its number.
    pub id: ParamId,
    /// The type it belongs to.
    pub ty: TypeId,
    /// The name in a query, e.g. `birthdate`.
    pub code: &'static str,
    /// How values are written and compared.
    pub kind: ParamKind,
    /// Types a reference may point to; empty for any type or another kind.
    pub targets: &'static [TypeId],
    /// The FHIRPath expression it was compiled from, for CapabilityStatement and messages.
    pub expression: &'static str,
    /// Canonical URL of its SearchParameter; empty for the protocol's own (`_filter`, `_list`, `_has`).
    pub definition: &'static str,
    /// Its bit in [`crate::search::PresenceBits`].
    pub bit: u16,
    /// The components of a composite, in order; empty for other kinds.
    pub components: &'static [Component],
    /// Whether a reference to a patient puts the resource into that patient's compartment.
    pub compartment: bool,
}

/// A component of a composite parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The name of the parameter it takes its values from.
    pub code: &'static str,
    /// Its kind; never composite or special.
    pub kind: ParamKind,
    /// Types a reference component may point to; empty for any.
    pub targets: &'static [TypeId],
}

/// The parameters of one type, and the paths their values come from.
#[derive(Default)]
pub(crate) struct TypeTable {
    pub(crate) params: Vec<SearchParam>,
    by_code: Vec<(&'static str, u16)>,
    pub(crate) trie: Trie,
}

/// All types.
pub(crate) struct SearchTables {
    types: Vec<TypeTable>,
    by_id: Vec<Option<(TypeId, u16)>>,
}

static PACK: &[u8] = include_bytes!("../../definitions/r4-search.pack");

static TABLES: LazyLock<SearchTables> = LazyLock::new(|| SearchTables::unpack(Definitions::r4()));

impl SearchTables {
    pub(crate) fn r4() -> &'static Self {
        &TABLES
    }

    pub(crate) fn of(&self, ty: TypeId) -> Option<&TypeTable> {
        self.types.get(usize::from(ty.0))
    }

    #[expect(
        clippy::expect_used,
        reason = "the pack is compiled in and every test unpacks it; an empty table would lose index entries silently"
    )]
    fn unpack(definitions: &Definitions) -> Self {
        let plain = zstd::decode_all(PACK).expect("the committed search pack is a zstd frame");
        let plain: &'static [u8] = Box::leak(plain.into_boxed_slice());
        let pack: Pack<'static> =
            postcard::from_bytes(plain).expect("the committed search pack has the layout of Pack");
        let names: Vec<Option<TypeId>> = pack
            .names
            .iter()
            .map(|name| definitions.resource(name))
            .collect();
        let mut tables = Self {
            types: Vec::new(),
            by_id: Vec::new(),
        };
        for packed in pack.types {
            if let Some(ty) = names.get(usize::from(packed.name)).copied().flatten() {
                tables.add_type(ty, packed.params, &names);
            }
        }
        tables
    }

    fn add_type(&mut self, ty: TypeId, packed: Vec<PackParam<'static>>, names: &[Option<TypeId>]) {
        let mut table = TypeTable::default();
        for (index, param) in packed.into_iter().enumerate() {
            let id = ParamId(param.id);
            if self.by_id.len() <= usize::from(id.0) {
                self.by_id.resize(usize::from(id.0) + 1, None);
            }
            if let Some(slot) = self.by_id.get_mut(usize::from(id.0)) {
                *slot = Some((ty, index as u16));
            }
            table.by_code.push((param.code, index as u16));
            table.add(ty, index as u16, param, names);
        }
        table.by_code.sort_unstable();
        table.trie.finish();
        let slot = usize::from(ty.0);
        if self.types.len() <= slot {
            self.types.resize_with(slot + 1, TypeTable::default);
        }
        if let Some(place) = self.types.get_mut(slot) {
            *place = table;
        }
    }
}

impl TypeTable {
    fn add(&mut self, ty: TypeId, index: u16, param: PackParam<'static>, names: &[Option<TypeId>]) {
        for path in &param.paths {
            let only = definitions_type(path.only, names);
            self.trie.insert(index, path, only, param.compartment);
        }
        for Composite {
            context,
            components,
        } in param.composites
        {
            self.trie.insert_composite(index, &context, components);
        }
        let components: Vec<Component> = param
            .components
            .iter()
            .map(|component| Component {
                code: component.code,
                kind: component.kind,
                targets: types_of(&component.targets, names),
            })
            .collect();
        self.params.push(SearchParam {
            id: ParamId(param.id),
            ty,
            code: param.code,
            kind: param.kind,
            targets: types_of(&param.targets, names),
            expression: param.expression,
            definition: param.definition,
            bit: index,
            components: Box::leak(components.into_boxed_slice()),
            compartment: param.compartment,
        });
    }

    fn by_code(&self, code: &str) -> Option<&SearchParam> {
        let at = self
            .by_code
            .binary_search_by(|(name, _)| (*name).cmp(code))
            .ok()?;
        let (_, index) = self.by_code.get(at)?;
        self.params.get(usize::from(*index))
    }
}

fn definitions_type(name: Option<u16>, names: &[Option<TypeId>]) -> Option<TypeId> {
    name.and_then(|name| names.get(usize::from(name)).copied().flatten())
}

fn types_of(targets: &[u16], names: &[Option<TypeId>]) -> &'static [TypeId] {
    let types: Vec<TypeId> = targets
        .iter()
        .filter_map(|name| names.get(usize::from(*name)).copied().flatten())
        .collect();
    if types.is_empty() {
        &[]
    } else {
        Box::leak(types.into_boxed_slice())
    }
}

impl Definitions {
    /// The search parameters of a type, in order of their bits; includes those every type has.
    #[must_use]
    pub fn search_params(&self, ty: TypeId) -> &'static [SearchParam] {
        SearchTables::r4()
            .of(ty)
            .map_or(&[], |table| table.params.as_slice())
    }

    /// A search parameter by its name in queries.
    #[must_use]
    pub fn search_param(&self, ty: TypeId, code: &str) -> Option<&'static SearchParam> {
        SearchTables::r4().of(ty)?.by_code(code)
    }

    /// A search parameter by its number.
    #[must_use]
    pub fn search_param_by_id(&self, id: ParamId) -> Option<&'static SearchParam> {
        let tables = SearchTables::r4();
        let (ty, index) = tables.by_id.get(usize::from(id.0)).copied().flatten()?;
        tables.of(ty)?.params.get(usize::from(index))
    }
}
