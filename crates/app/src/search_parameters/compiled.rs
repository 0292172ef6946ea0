//! The table ready for use: parameters by type and code for searches, compiled expressions for new versions.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use fhir::definitions::{Definitions, TypeId};
use fhir::json::Value;
use fhir::search::{
    IndexValue, ParamId, ParamKind, SearchParam, value_of_boolean, value_of_text, values_of_element,
};
use fhirpath::{Environment, Expression, Item};
use kernel::TenantId;
use parking_lot::Mutex;

use super::table::{Row, State, Table};
use crate::error::AppError;

/// A parameter of the tenant's own.
#[derive(Debug)]
struct Own {
    param: &'static SearchParam,
    ready: bool,
    expression: Expression,
}

/// What a search finds under a code.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found {
    /// A parameter that searches may use.
    Ready(&'static SearchParam),
    /// One that is still being built.
    Building,
}

/// A tenant's own parameters.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    version: u32,
    whole: bool,
    types: HashMap<TypeId, Vec<Own>>,
}

/// Definitions of parameters of a tenant by what they say. A [`SearchParam`] lives as long as the process, like
/// those of R4; equal definitions share one, so that reading tables again costs nothing. What one tenant
/// fills is its own.
static DEFINED: LazyLock<Mutex<HashMap<TenantId, HashMap<String, &'static SearchParam>>>> =
    LazyLock::new(Mutex::default);
/// Different definitions that a tenant may bring in the life of a process.
const MOST: usize = 4_000;

/// How many definitions a tenant may still bring. Those that are in its table are read whatever this says:
/// only new ones are refused, before they are in it.
pub(super) fn room(tenant: TenantId) -> usize {
    let defined = DEFINED.lock();
    MOST.saturating_sub(defined.get(&tenant).map_or(0, HashMap::len))
}

impl Compiled {
    /// From a stored table.
    pub(super) fn new(
        definitions: &'static Definitions,
        tenant: TenantId,
        table: &Table,
        version: u32,
    ) -> Result<Self, AppError> {
        let mut types: HashMap<TypeId, Vec<Own>> = HashMap::new();
        for row in &table.rows {
            if matches!(row.state, State::Refused { .. } | State::Retired) {
                continue;
            }
            let Some(ty) = definitions.resource(&row.base) else {
                continue;
            };
            let expression = fhirpath::compile(&row.expression).map_err(|error| {
                AppError::Fault(format!("search parameter {}: {error}", row.url))
            })?;
            types.entry(ty).or_default().push(Own {
                param: param(definitions, tenant, ty, row),
                ready: row.state == State::Ready,
                expression,
            });
        }
        Ok(Self {
            version,
            whole: table.is_whole(),
            types,
        })
    }

    /// The version of the table's document.
    pub(crate) const fn version(&self) -> u32 {
        self.version
    }

    /// Whether everything stored has the index rows that this release makes; unknown is no.
    pub(crate) const fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether a type has parameters of the tenant's own.
    pub(crate) fn concerns(&self, ty: TypeId) -> bool {
        self.types.contains_key(&ty)
    }

    /// The parameter of a type with a code.
    pub(crate) fn find(&self, ty: TypeId, code: &str) -> Option<Found> {
        let own = self
            .types
            .get(&ty)?
            .iter()
            .find(|own| own.param.code == code)?;
        Some(if own.ready {
            Found::Ready(own.param)
        } else {
            Found::Building
        })
    }

    /// The values a resource is found by, and the parameters whose expressions could not be evaluated.
    pub(crate) fn values<'a>(
        &'a self,
        definitions: &Definitions,
        ty: TypeId,
        resource: Value<'a>,
    ) -> (Vec<(ParamId, IndexValue<'a>)>, Vec<ParamId>) {
        let mut values = Vec::new();
        let mut failed = Vec::new();
        for own in self.types.get(&ty).into_iter().flatten() {
            let root = Item::resource(resource);
            // No resolver: values must depend on the resource alone, or they would be old when another changes.
            let environment = Environment::new(root.clone());
            let place = (own.param.id, own.param.kind);
            let before = values.len();
            let Ok(items) = own.expression.evaluate(&environment, root) else {
                // Found by nothing, which searches have to say.
                failed.push(own.param.id);
                values.push((own.param.id, store::index::unchecked()));
                continue;
            };
            for item in items {
                add(definitions, place, &item, &mut values);
            }
            if values.len() > before {
                values.push((own.param.id, store::index::present()));
            }
        }
        (values, failed)
    }
}

/// One item found by an expression, as values.
fn add<'a>(
    definitions: &Definitions,
    place: (ParamId, ParamKind),
    item: &Item<'a>,
    values: &mut Vec<(ParamId, IndexValue<'a>)>,
) {
    match item {
        Item::Node(node) => {
            if let Some(element) = node.value() {
                values_of_element(definitions, place, node.ty().name(), element, values);
            }
        }
        Item::Boolean(flag) => value_of_boolean(place, *flag, values),
        Item::Quantity(_) | Item::Type(_) => {}
        Item::String(text) => value_of_text(place, text.clone(), values),
        computed => value_of_text(place, Cow::Owned(computed.to_string()), values),
    }
}

/// The shared form of a row's definition.
fn param(
    definitions: &Definitions,
    tenant: TenantId,
    ty: TypeId,
    row: &Row,
) -> &'static SearchParam {
    let name = format!(
        "{}\u{0}{}\u{0}{}\u{0}{:?}\u{0}{}\u{0}{}",
        row.number,
        row.base,
        row.code,
        (row.kind, &row.targets),
        row.expression,
        row.url
    );
    let mut defined = DEFINED.lock();
    let defined = defined.entry(tenant).or_default();
    if let Some(known) = defined.get(&name) {
        return known;
    }
    let targets: Vec<TypeId> = row
        .targets
        .iter()
        .filter_map(|name| definitions.resource(name))
        .collect();
    let text = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let made: &'static SearchParam = Box::leak(Box::new(SearchParam {
        id: ParamId(row.number),
        ty,
        code: text(&row.code),
        kind: row.kind,
        targets: Box::leak(targets.into_boxed_slice()),
        expression: text(&row.expression),
        definition: text(&row.url),
        // Beyond every bitmap: whether there is a value is a key of its own.
        bit: u16::MAX,
        components: &[],
        compartment: false,
    }));
    defined.insert(name, made);
    made
}
