//! From a [`Query`] to SQL. One text for both engines, with the differences behind [`Dialect`]. Values are
//! always bound, never written into the text. The tables and columns are those of the schema: `res` (alias
//! `r`), `ix_key`, `ix_rng`, `ix_txt`, `ix_ref`, `ix_pat`.

mod condition;
mod listing;
mod order;
mod total;

use core::fmt::Write as _;

use fhir::TypeId;

use condition::{At, condition, conditions};
use listing::{ends, listing};
use order::Order;
pub use total::{candidates, candidates_up_to, counts_keys, probe, sample, texts, total};

use super::plan::{Decided, Strategy};
use super::tree::{Query, Test, TestClause};
use crate::index::COMPARTMENT;
use crate::port::change::ChangeKind;
use crate::port::search::SortKey;

/// A bound value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// An integer.
    Int(i64),
    /// A text.
    Text(String),
}

/// A statement with its values, in the order of their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sql {
    /// The text.
    pub text: String,
    /// The values.
    pub binds: Vec<Bind>,
}

/// What differs between engines.
pub trait Dialect {
    /// The place of the n-th bound value of the statement, from 0.
    fn place(&self, n: usize) -> String;
    /// A condition that keeps a table alias within the tenant, followed by ` AND `; empty where a
    /// database holds one tenant.
    fn tenant(&self, alias: &str) -> String;
    /// A join whose left side is read first, with its condition.
    fn ordered_join(&self, table: &str, alias: &str, on: &str) -> String;
    /// Whether a text column contains a bound text.
    fn contains(&self, column: &str, place: &str) -> String;
    /// The function that tests a range among a head's packed entries, where the engine has it: of the
    /// entries, parameter, unit or scope, number of the comparison, and the query's range.
    fn packed_range(&self) -> Option<&'static str> {
        None
    }
}

/// The columns of a page row, in order: rid, ver, vid, kind, fid, ty, and the values of the sort keys
/// (null for `Row`).
pub const HEAD_COLUMNS: usize = 6;
const HEAD: &str =
    "SELECT r.rid AS rid, r.ver AS ver, r.vid AS vid, r.kind AS kind, r.fid AS fid, r.ty AS ty";
/// With up to so many types each is walked by itself and the walks are merged.
const MERGED_TYPES: usize = 32;

struct Writer<'d> {
    dialect: &'d dyn Dialect,
    text: String,
    binds: Vec<Bind>,
    aliases: usize,
}

impl<'d> Writer<'d> {
    fn new(dialect: &'d dyn Dialect) -> Self {
        Self {
            dialect,
            text: String::with_capacity(512),
            binds: Vec::new(),
            aliases: 0,
        }
    }
    fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }
    fn int(&mut self, value: i64) -> &mut Self {
        self.bind(Bind::Int(value))
    }
    fn bind(&mut self, value: Bind) -> &mut Self {
        let place = self.dialect.place(self.binds.len());
        self.binds.push(value);
        self.push(&place)
    }
    fn tenant(&mut self, alias: &str) -> &mut Self {
        let condition = self.dialect.tenant(alias);
        self.push(&condition)
    }
    /// A name that no other table of the statement has.
    fn alias(&mut self, letter: &str) -> String {
        self.aliases += 1;
        format!("{letter}{}", self.aliases)
    }
    /// A join within the tenant whose left side is read first.
    fn join(&mut self, table: &str, alias: &str, on: &str) {
        let on = format!("{}{on}", self.dialect.tenant(alias));
        let join = self.dialect.ordered_join(table, alias, &on);
        self.push(" ").push(&join);
    }
    fn finish(self) -> Sql {
        Sql {
            text: self.text,
            binds: self.binds,
        }
    }
}

/// Counts the rows of a clause, up to `most`.
#[must_use]
pub fn estimate(
    dialect: &dyn Dialect,
    query: &Query,
    decided: &Decided,
    clause: &TestClause,
    most: u64,
) -> Sql {
    let mut w = Writer::new(dialect);
    w.push("SELECT count(*) FROM (");
    listing(&mut w, query, decided, clause, false);
    w.push(" LIMIT ")
        .int(i64::try_from(most).unwrap_or(i64::MAX))
        .push(") AS n");
    w.finish()
}

/// Whether a page comes in two parts: first what has a value, in the order of its index, then what has
/// none.
#[must_use]
pub fn walks_values(query: &Query, decided: &Decided) -> bool {
    let first = query.sort.first().map(|sort| sort.key);
    decided.strategy == Strategy::Walk
        // The values of several types are those of several parameters.
        && query.types().len() < 2
        && matches!(
            first,
            Some(SortKey::Range(_) | SortKey::Text(_) | SortKey::Code(_))
        )
}

/// Whether the page before ended among what has no value of the first key.
#[must_use]
pub fn is_past_values(query: &Query) -> bool {
    let after = query.after.as_ref();
    after.is_some_and(|after| after.values.first().is_none_or(Option::is_none))
}

/// A page: heads and sort values in order, at most `limit`.
#[must_use]
pub fn page(dialect: &dyn Dialect, query: &Query, decided: &Decided, limit: u64) -> Sql {
    let mut w = Writer::new(dialect);
    if let Strategy::Ends(at) = decided.strategy {
        ends_walk(&mut w, query, decided, at, limit);
    } else if walks_values(query, decided) {
        index_walk(&mut w, query, decided);
    } else if decided.strategy == Strategy::Walk {
        walk(&mut w, query, decided, limit, Valued::Any);
    } else {
        heads(&mut w, query, decided, None, Valued::Any);
    }
    let _ = write!(w.text, " LIMIT {limit}");
    w.finish()
}

/// The tail of a walk in index order: resources that have no value of the first key.
#[must_use]
pub fn page_without_value(
    dialect: &dyn Dialect,
    query: &Query,
    decided: &Decided,
    limit: u64,
) -> Sql {
    let mut w = Writer::new(dialect);
    walk(&mut w, query, decided, limit, Valued::None);
    let _ = write!(w.text, " LIMIT {limit}");
    w.finish()
}

/// A condition on `r`, beginning with ` AND `, for the restriction of a history; `first` is how many
/// values the statement has bound before.
#[must_use]
pub fn restriction(dialect: &dyn Dialect, query: &Query, first: usize) -> Sql {
    let mut w = Writer::new(dialect);
    w.binds = vec![Bind::Int(0); first];
    for clause in query.clauses() {
        condition(&mut w, query, clause, &At::head("r"));
    }
    w.binds.drain(..first);
    w.finish()
}

/// Which resources a walk is about, by their value of the first sort key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Valued {
    Any,
    None,
}

/// A walk in the order of the sort key: of one type along its index; of a few, each by itself and merged;
/// of many, along all rows.
fn walk(w: &mut Writer<'_>, query: &Query, decided: &Decided, limit: u64, valued: Valued) {
    let types = query.types();
    if types.len() < 2 || types.len() > MERGED_TYPES {
        return heads(w, query, decided, None, valued);
    }
    w.push("SELECT * FROM (");
    for (at, ty) in types.iter().enumerate() {
        if at > 0 {
            w.push(" UNION ALL ");
        }
        w.push("SELECT * FROM (");
        heads(w, query, decided, Some(*ty), valued);
        let _ = write!(w.text, " LIMIT {limit}) AS w{at}");
    }
    w.push(") AS merged");
    Order::columns(query).write(w);
}

fn heads(w: &mut Writer<'_>, query: &Query, decided: &Decided, ty: Option<TypeId>, valued: Valued) {
    let strategy = decided.strategy;
    let row = if matches!(strategy, Strategy::WalkKey(_)) {
        "d.rid"
    } else {
        "r.rid"
    };
    let order = Order::of(w, query, row, None);
    w.push(HEAD).push(&order.selected()).push(" FROM ");
    let many = query.types().len() > MERGED_TYPES && strategy == Strategy::Walk;
    if many && query.sort.first().map(|sort| sort.key) == Some(SortKey::Updated) {
        w.push("ver u");
        w.join("res", "r", "r.rid = u.rid AND r.vid = u.vid");
        w.push(" WHERE ").tenant("u");
        let order = Order::of(w, query, "r.rid", Some("u.vid".to_owned()));
        return tested(w, query, ty, (&order, valued), None, &At::head("r"));
    }
    let (skip, at) = source(w, query, decided);
    tested(w, query, ty, (&order, valued), skip, &at);
}

/// Writes all that follows the source of heads, up to the limit.
fn tested(
    w: &mut Writer<'_>,
    query: &Query,
    ty: Option<TypeId>,
    (order, valued): (&Order, Valued),
    skip: Option<usize>,
    at: &At,
) {
    match ty {
        Some(ty) => alive(w, &[ty], "r"),
        None => alive(w, query.types(), "r"),
    }
    if valued == Valued::None
        && let Some(value) = order.keys.first().and_then(|key| key.value.as_deref())
    {
        w.push(" AND ").push(value).push(" IS NULL");
    }
    conditions(w, query, query.clauses(), skip, at);
    order.after(w, query);
    order.write(w);
}

/// The newest rows of each resource that a chain leads to, or the oldest, merged.
fn ends_walk(w: &mut Writer<'_>, query: &Query, decided: &Decided, at: usize, limit: u64) {
    let clause = query.clauses().get(at).map(|clause| &*clause.any_of);
    let Some([Test::Chain { p, group, .. }]) = clause else {
        return heads(w, query, decided, None, Valued::Any);
    };
    let order = Order::of(w, query, "d.rid", None);
    w.push(HEAD).push(&order.selected()).push(" FROM (");
    ends(w, query, decided, (*p, *group), limit);
    w.push(") d");
    w.join("res", "r", "r.rid = d.rid");
    w.push(" WHERE ");
    alive(w, query.types(), "r");
    order.write(w);
}

/// Joins the first key that is asked for as `x` to the rows `d`; the place of its clause, which holds then.
fn join_first_key(w: &mut Writer<'_>, query: &Query) -> Option<usize> {
    let (at, p, v) = first_key(query)?;
    let [p, v] = [p, v].map(|value| {
        w.binds.push(Bind::Int(value));
        w.dialect.place(w.binds.len() - 1)
    });
    w.join(
        "ix_key",
        "x",
        &format!("x.p = {p} AND x.v = {v} AND x.rid = d.rid"),
    );
    Some(at)
}

/// A walk along `ix_rng` or `ix_txt`: of a resource's several values, the first in the order counts.
fn index_walk(w: &mut Writer<'_>, query: &Query, decided: &Decided) {
    let Some(first) = query.sort.first() else {
        return;
    };
    let (table, column, param, nearer) = match first.key {
        SortKey::Range(param) if first.descending => (
            "ix_rng",
            "hi",
            param,
            "s.u = 0 AND (s.hi > d.hi OR (s.hi = d.hi AND s.lo > d.lo))",
        ),
        SortKey::Range(param) => (
            "ix_rng",
            "lo",
            param,
            "s.u = 0 AND (s.lo < d.lo OR (s.lo = d.lo AND s.hi < d.hi))",
        ),
        SortKey::Text(param) | SortKey::Code(param) if first.descending => {
            ("ix_txt", "v", param, "s.v > d.v")
        }
        SortKey::Text(param) | SortKey::Code(param) => ("ix_txt", "v", param, "s.v < d.v"),
        SortKey::Row | SortKey::Updated | SortKey::Id | SortKey::Reference(_) => {
            return heads(w, query, decided, None, Valued::Any);
        }
    };
    let band = order::band(first.key);
    let order = Order::of(w, query, "d.rid", Some(format!("d.{column}")));
    w.push(HEAD).push(&order.selected());
    w.push(" FROM ").push(table).push(" d");
    // Most candidates lack a key that is asked for: it is looked at before anything else is.
    let skip = join_first_key(w, query);
    let row = if skip.is_some() { "x" } else { "d" };
    w.join("res", "r", &format!("r.rid = {row}.rid"));
    w.push(" WHERE ");
    w.tenant("d").push("d.p = ").int(i64::from(param.0));
    if table == "ix_rng" {
        w.push(" AND d.u = 0");
    }
    w.push(&order::within("d", band));
    w.push(" AND ");
    alive(w, query.types(), "r");
    let at = if skip.is_some() {
        At::packed(row, "r")
    } else {
        At::row(row, "r")
    };
    conditions(w, query, query.clauses(), skip, &at);
    let tenant = w.dialect.tenant("s");
    let _ = write!(
        w.text,
        " AND NOT EXISTS (SELECT 1 FROM {table} s WHERE {tenant}s.rid = {row}.rid AND s.p = d.p AND {nearer}{})",
        order::within("s", band)
    );
    order.after(w, query);
    order.write(w);
}

/// The first clause that is a single key of `ix_key`.
fn first_key(query: &Query) -> Option<(usize, i64, i64)> {
    let mut clauses = query.clauses().iter().enumerate();
    clauses.find_map(|(at, clause)| match clause.any_of.as_slice() {
        [Test::Key { p, v }] if !clause.negated && *p != i64::from(COMPARTMENT) => {
            Some((at, *p, *v))
        }
        _ => None,
    })
}

/// Writes what comes after FROM, up to and including WHERE; answers the clause it already applies, and
/// where a resource's row is read first.
fn source(w: &mut Writer<'_>, query: &Query, decided: &Decided) -> (Option<usize>, At) {
    let clause = |at: usize| query.clauses().get(at);
    match decided.strategy {
        Strategy::Driven(at) if let Some(clause) = clause(at) => {
            w.push("(");
            listing(w, query, decided, clause, true);
            w.push(") d");
            w.join("res", "r", "r.rid = d.rid");
            w.push(" WHERE ");
            (Some(at), At::packed("d", "r"))
        }
        Strategy::WalkKey(at) if let Some((p, v)) = clause(at).and_then(TestClause::key_within) => {
            w.push("ix_key d");
            w.join("res", "r", "r.rid = d.rid");
            w.push(" WHERE ").tenant("d");
            w.push("d.p = ").int(p).push(" AND d.v = ").int(v);
            w.push(" AND ");
            (applied(query, at), At::packed("d", "r"))
        }
        _ => {
            w.push("res r WHERE ");
            (None, At::head("r"))
        }
    }
}

/// The clause that a walk along its key applies: none where it lies within the key only.
fn applied(query: &Query, at: usize) -> Option<usize> {
    let clause = query.clauses().get(at);
    clause.is_some_and(TestClause::is_one_key).then_some(at)
}

/// Living resources of a group's types, sought by name: the plus keeps engines from listing whole types.
fn alive_of(w: &mut Writer<'_>, query: &Query, group: usize, alias: &str) {
    let group = query.groups.get(group);
    typed(w, group.map_or(&[], |group| &group.types), alias, "0 + ");
}

/// Living resources of types; many types are walked by row, not looked up type by type.
fn alive(w: &mut Writer<'_>, types: &[TypeId], alias: &str) {
    let plus = if types.len() > MERGED_TYPES {
        "0 + "
    } else {
        ""
    };
    typed(w, types, alias, plus);
}

fn typed(w: &mut Writer<'_>, types: &[TypeId], alias: &str, plus: &str) {
    w.tenant(alias);
    match types {
        [] => {
            w.push("1 = 0");
        }
        [ty] => {
            w.push(plus).push(alias).push(".ty = ").int(i64::from(ty.0));
        }
        many => {
            w.push(plus).push(alias).push(".ty IN (");
            for (at, ty) in many.iter().enumerate() {
                let _ = write!(w.text, "{}{}", if at > 0 { ", " } else { "" }, ty.0);
            }
            w.push(")");
        }
    }
    let _ = write!(w.text, " AND {alias}.kind < {}", ChangeKind::Delete as u8);
}
