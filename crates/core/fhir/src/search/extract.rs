//! The walk: one pass over the document along the trie of its type. Must not interpret expressions or
//! guess element types; the leaves say what each element is.

use kernel::LogicalId;

use crate::definitions::{Definitions, TypeId};
use crate::json::{Kind, Value};
use crate::search::convert::{Sink, boolean_token, convert};
use crate::search::near::add_position;
use crate::search::pack::{Leaf, Path, Step};
use crate::search::params::{ParamId, SearchTables, TypeTable};
use crate::search::trie::{Emit, NodeId, Tuple};
use crate::search::values::{Extracted, IndexValue, RefTarget};

/// The values, presence bits and patients of a resource, as stored. Elements that are malformed (which
/// validation refuses) give no value. A type without a table gives nothing.
#[must_use]
pub fn extract<'a>(definitions: &Definitions, ty: TypeId, resource: Value<'a>) -> Extracted<'a> {
    let mut out = Extracted::default();
    let Some(table) = SearchTables::r4().of(ty) else {
        return out;
    };
    out.values.reserve(24);
    let mut walk = Walk {
        definitions,
        table,
        root: resource,
        patient: definitions.resource("Patient"),
        out,
    };
    walk.node(0, resource);
    if walk.patient == Some(ty)
        && let Some(id) = resource.get("id").and_then(Value::as_str)
    {
        walk.add_patient(&id);
    }
    let mut out = walk.out;
    if Some(ty) == definitions.resource("Location") {
        add_position(definitions.search_params(ty), resource, &mut out);
    }
    out.patients.sort_unstable();
    out.patients.dedup();
    out
}

struct Walk<'t, 'a> {
    definitions: &'t Definitions,
    table: &'t TypeTable,
    root: Value<'a>,
    patient: Option<TypeId>,
    out: Extracted<'a>,
}

impl<'a> Walk<'_, 'a> {
    /// Visits what stands at a node's place: an array item by item, an element by itself.
    fn node(&mut self, id: NodeId, value: Value<'a>) {
        match value.kind() {
            Kind::Null => {}
            Kind::Array => {
                for item in value.items() {
                    if item.kind() != Kind::Null {
                        self.element(id, item);
                    }
                }
                self.indexed(id, value);
            }
            _ => self.element(id, value),
        }
    }

    fn indexed(&mut self, id: NodeId, array: Value<'a>) {
        let table = self.table;
        let Some(node) = table.trie.node(id) else {
            return;
        };
        for (index, next) in &node.indexed {
            if let Some(item) = array.items().nth(*index as usize) {
                self.element(*next, item);
            }
        }
    }

    fn element(&mut self, id: NodeId, value: Value<'a>) {
        let table = self.table;
        let Some(node) = table.trie.node(id) else {
            return;
        };
        for emit in &node.emits {
            self.emit(emit, value);
        }
        if value.kind() != Kind::Object {
            return;
        }
        for tuple in &node.composites {
            self.composite(tuple, value);
        }
        for (member, equals, next) in &node.wheres {
            let found = value.get(member).and_then(Value::as_str);
            if found.is_some_and(|found| found == *equals) {
                self.element(*next, value);
            }
        }
        if node.is_last() {
            return;
        }
        for (name, member) in value.members() {
            if let Some(next) = node.member(&name) {
                self.node(next, member);
            }
        }
    }

    fn emit(&mut self, emit: &Emit, value: Value<'a>) {
        let table = self.table;
        let Some(param) = table.params.get(usize::from(emit.param)) else {
            return;
        };
        if let Leaf::TokenExists { flag, other } = emit.leaf {
            let alive = value.get(flag).and_then(Value::as_bool) != Some(true)
                && value.get(other).is_none();
            self.out.present.set(param.bit);
            self.out.values.push((param.id, boolean_token(!alive)));
            return;
        }
        let before = self.out.values.len();
        let sink = &mut Sink {
            id: param.id,
            values: &mut self.out.values,
        };
        if convert(self.definitions, emit.leaf, emit.only, value, sink) {
            self.out.present.set(param.bit);
        }
        if emit.compartment {
            let found = self.out.values.get(before..).unwrap_or_default();
            let patients: Vec<LogicalId> = found
                .iter()
                .filter_map(|(_, value)| self.patient_id(value))
                .collect();
            self.out.patients.extend(patients);
        }
    }

    fn patient_id(&self, value: &IndexValue<'_>) -> Option<LogicalId> {
        match value {
            IndexValue::Reference {
                target: RefTarget::Local { ty, id },
            } if Some(*ty) == self.patient => id.parse().ok(),
            _ => None,
        }
    }

    fn add_patient(&mut self, id: &str) {
        if let Ok(id) = id.parse() {
            self.out.patients.push(id);
        }
    }

    /// Every combination of one value per component; nothing if a component has none.
    fn composite(&mut self, tuple: &Tuple, context: Value<'a>) {
        let table = self.table;
        let Some(param) = table.params.get(usize::from(tuple.param)) else {
            return;
        };
        // Most elements lack the last component (an Observation has one kind of value), so the cheap
        // question whether all are there comes first.
        if !tuple
            .components
            .iter()
            .all(|paths| self.reaches(paths, context))
        {
            return;
        }
        let mut found: Vec<Vec<(ParamId, IndexValue<'a>)>> =
            Vec::with_capacity(tuple.components.len());
        for paths in &tuple.components {
            let mut values = Vec::with_capacity(4);
            let sink = &mut Sink {
                id: param.id,
                values: &mut values,
            };
            for path in paths {
                let start = self.start(path, context);
                follow(start, &path.steps, &mut |element| {
                    convert(self.definitions, path.leaf, None, element, sink);
                });
            }
            // An identifier by its type is no component: the identifier itself is one.
            values.retain(|(_, value)| !matches!(value, IndexValue::Typed { .. }));
            found.push(values);
        }
        let count = found.iter().map(Vec::len).product();
        if count > 0 {
            self.out.present.set(param.bit);
        }
        for number in 0..count {
            let row = IndexValue::Composite(combination(&found, number));
            self.out.values.push((param.id, row));
        }
    }

    fn start(&self, path: &Path<'_>, context: Value<'a>) -> Value<'a> {
        if path.from_root { self.root } else { context }
    }

    fn reaches(&self, paths: &[Path<'_>], context: Value<'a>) -> bool {
        paths.iter().any(|path| {
            let mut found = false;
            follow(self.start(path, context), &path.steps, &mut |_| {
                found = true;
            });
            found
        })
    }
}

/// The combination of a number below the product of the lengths; the last component turns fastest.
fn combination<'a>(found: &[Vec<(ParamId, IndexValue<'a>)>], number: usize) -> Vec<IndexValue<'a>> {
    let mut turns: usize = found.iter().map(Vec::len).product();
    let mut rest = number;
    let mut row = Vec::with_capacity(found.len());
    for values in found {
        turns /= values.len().max(1);
        if let Some((_, value)) = values.get(rest / turns.max(1)) {
            row.push(value.clone());
        }
        rest %= turns.max(1);
    }
    row
}

/// Calls `visit` with each element that steps lead to.
fn follow<'a>(value: Value<'a>, steps: &[Step<'_>], visit: &mut dyn FnMut(Value<'a>)) {
    match value.kind() {
        Kind::Null => return,
        Kind::Array => {
            for item in value.items() {
                follow(item, steps, visit);
            }
            return;
        }
        _ => {}
    }
    match steps.split_first() {
        None => visit(value),
        Some((Step::Member(name), rest)) => {
            if let Some(member) = value.get(name) {
                follow(member, rest, visit);
            }
        }
        Some((Step::Where { member, equals }, rest)) => {
            let found = value.get(member).and_then(Value::as_str);
            if found.is_some_and(|found| found == *equals) {
                follow(value, rest, visit);
            }
        }
        // No component of a base parameter picks an item; the table test holds that.
        Some((Step::Index(_), _)) => {}
    }
}
