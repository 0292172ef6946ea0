//! From a [`Query`] to SQL. One text for both engines, with the differences behind [`Dialect`]. Values are
//! always bound, never written into the text. The tables and columns are those of the schema: `res` (alias
//! `r`), `ix_key`, `ix_rng`, `ix_txt`, `ix_pat`.

mod condition;

use core::fmt::Write as _;

use condition::{condition, listing};

use super::plan::{Query, Strategy, Test, TestClause};
use crate::index::COMPARTMENT;
use crate::port::change::ChangeKind;
use crate::port::search::{PositionValue, SortKey};

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
}

/// The columns of a page row, in order: rid, ver, vid, kind, fid, and the sort value (null for `Row`).
pub const PAGE_COLUMNS: usize = 6;

struct Writer<'d> {
    dialect: &'d dyn Dialect,
    text: String,
    binds: Vec<Bind>,
}

impl<'d> Writer<'d> {
    fn new(dialect: &'d dyn Dialect) -> Self {
        Self {
            dialect,
            text: String::with_capacity(512),
            binds: Vec::new(),
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
    fn finish(self) -> Sql {
        Sql {
            text: self.text,
            binds: self.binds,
        }
    }
}

/// Counts the index rows of a clause, up to `most`.
#[must_use]
pub fn estimate(dialect: &dyn Dialect, clause: &TestClause, most: u64) -> Sql {
    let mut w = Writer::new(dialect);
    w.push("SELECT count(*) FROM (");
    listing(&mut w, clause, false);
    w.push(" LIMIT ")
        .int(i64::try_from(most).unwrap_or(i64::MAX))
        .push(") AS n");
    w.finish()
}

/// A page: heads and sort values in order, at most `limit`.
#[must_use]
pub fn page(dialect: &dyn Dialect, query: &Query, strategy: Strategy, limit: u64) -> Sql {
    let mut w = Writer::new(dialect);
    match (strategy, query.sort.key) {
        (Strategy::Walk, SortKey::Range(_) | SortKey::Text(_)) => index_walk(&mut w, query),
        _ => heads(&mut w, query, strategy),
    }
    let _ = write!(w.text, " LIMIT {limit}");
    w.finish()
}

/// The tail of a walk in index order: resources that have no value to sort by, in row order.
#[must_use]
pub fn page_without_value(dialect: &dyn Dialect, query: &Query, limit: u64) -> Sql {
    let mut w = Writer::new(dialect);
    w.push("SELECT r.rid, r.ver, r.vid, r.kind, r.fid, NULL FROM res r WHERE ");
    alive(&mut w, query);
    match query.sort.key {
        SortKey::Range(param) => {
            w.push(" AND NOT EXISTS (SELECT 1 FROM ix_rng s WHERE ")
                .tenant("s")
                .push("s.rid = r.rid AND s.u = 0 AND s.p = ");
            w.int(i64::from(param.0)).push(")");
        }
        SortKey::Text(param) => {
            w.push(" AND NOT EXISTS (SELECT 1 FROM ix_txt s WHERE ")
                .tenant("s")
                .push("s.rid = r.rid AND s.p = ");
            w.int(i64::from(param.0)).push(")");
        }
        SortKey::Row | SortKey::Updated | SortKey::Id => {}
    }
    tests(&mut w, query, None);
    if let Some(after) = query.after.as_ref().filter(|after| after.value.is_none()) {
        w.push(" AND r.rid").push(beyond(query)).int(after.row.0);
    }
    w.push(" ORDER BY r.rid").push(direction(query));
    let _ = write!(w.text, " LIMIT {limit}");
    w.finish()
}

/// How many resources match.
#[must_use]
pub fn total(dialect: &dyn Dialect, query: &Query, strategy: Strategy) -> Sql {
    let mut w = Writer::new(dialect);
    if let ([clause], Strategy::Driven(_) | Strategy::WalkKey(_)) =
        (query.clauses.as_slice(), strategy)
        && let [Test::Key { p, v }] = clause.any_of.as_slice()
        && *p != i64::from(COMPARTMENT)
    {
        // A parameter belongs to one type and deleted resources have no rows: the index alone answers.
        w.push("SELECT count(*) FROM ix_key k WHERE ")
            .tenant("k")
            .push("k.p = ")
            .int(*p)
            .push(" AND k.v = ")
            .int(*v);
        return w.finish();
    }
    w.push("SELECT count(*) FROM ");
    let skip = source(&mut w, query, strategy);
    alive(&mut w, query);
    tests(&mut w, query, skip);
    w.finish()
}

/// A condition on `r`, beginning with ` AND `, for the restriction of a history; `first` is how many
/// values the statement has bound before.
#[must_use]
pub fn restriction(dialect: &dyn Dialect, clause: &TestClause, first: usize) -> Sql {
    let mut w = Writer::new(dialect);
    w.binds = vec![Bind::Int(0); first];
    condition(&mut w, clause);
    w.binds.drain(..first);
    w.finish()
}

fn heads(w: &mut Writer<'_>, query: &Query, strategy: Strategy) {
    w.push("SELECT r.rid, r.ver, r.vid, r.kind, r.fid, ");
    let value = sort_value(w, query);
    w.push(&value).push(" AS sv FROM ");
    let skip = source(w, query, strategy);
    alive(w, query);
    tests(w, query, skip);
    let row = if matches!(strategy, Strategy::WalkKey(_)) {
        "d.rid"
    } else {
        "r.rid"
    };
    keyset(w, query, row, &value);
    let direction = direction(query);
    match query.sort.key {
        SortKey::Row => w.push(" ORDER BY ").push(row).push(direction),
        SortKey::Updated => w.push(" ORDER BY r.vid").push(direction),
        SortKey::Id => w
            .push(" ORDER BY r.fid")
            .push(direction)
            .push(", r.rid")
            .push(direction),
        SortKey::Range(_) | SortKey::Text(_) => {
            w.push(" ORDER BY (CASE WHEN ")
                .push(&value)
                .push(" IS NULL THEN 1 ELSE 0 END), ");
            w.push(&value)
                .push(direction)
                .push(", r.rid")
                .push(direction)
        }
    };
}

/// The expression sorted by. Parameter numbers are ours and small: written into the text, so that the
/// expression can be repeated.
fn sort_value(w: &Writer<'_>, query: &Query) -> String {
    let descending = query.sort.descending;
    match query.sort.key {
        SortKey::Row => "NULL".to_owned(),
        SortKey::Updated => "r.vid".to_owned(),
        SortKey::Id => "r.fid".to_owned(),
        SortKey::Range(param) => {
            let end = if descending { "max(s.hi)" } else { "min(s.lo)" };
            let tenant = w.dialect.tenant("s");
            format!(
                "(SELECT {end} FROM ix_rng s WHERE {tenant}s.rid = r.rid AND s.p = {} AND s.u = 0)",
                param.0
            )
        }
        SortKey::Text(param) => {
            let end = if descending { "max(s.v)" } else { "min(s.v)" };
            let tenant = w.dialect.tenant("s");
            format!(
                "(SELECT {end} FROM ix_txt s WHERE {tenant}s.rid = r.rid AND s.p = {})",
                param.0
            )
        }
    }
}

fn keyset(w: &mut Writer<'_>, query: &Query, row: &str, value: &str) {
    let Some(after) = &query.after else { return };
    let beyond = beyond(query);
    match (query.sort.key, &after.value) {
        (SortKey::Row, _) => {
            w.push(" AND ").push(row).push(beyond).int(after.row.0);
        }
        (SortKey::Updated, Some(PositionValue::Number(at))) => {
            // Version rows are unique: no tie to break.
            w.push(" AND r.vid").push(beyond).int(*at);
        }
        (_, Some(at)) => {
            let at = match at {
                PositionValue::Number(number) => Bind::Int(*number),
                PositionValue::Text(text) => Bind::Text(text.clone()),
            };
            w.push(" AND (").push(value).push(beyond).bind(at.clone());
            w.push(" OR (")
                .push(value)
                .push(" = ")
                .bind(at)
                .push(" AND r.rid")
                .push(beyond)
                .int(after.row.0);
            w.push(") OR ").push(value).push(" IS NULL)");
        }
        (_, None) => {
            w.push(" AND ")
                .push(value)
                .push(" IS NULL AND r.rid")
                .push(beyond)
                .int(after.row.0);
        }
    }
}

/// A walk along `ix_rng` or `ix_txt`: of a resource's several values, the first in the order counts.
fn index_walk(w: &mut Writer<'_>, query: &Query) {
    let descending = query.sort.descending;
    let (table, column, param, nearer) = match query.sort.key {
        SortKey::Range(param) if descending => (
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
        SortKey::Text(param) if descending => ("ix_txt", "v", param, "s.v > d.v"),
        SortKey::Text(param) => ("ix_txt", "v", param, "s.v < d.v"),
        SortKey::Row | SortKey::Updated | SortKey::Id => return heads(w, query, Strategy::Walk),
    };
    let on = format!("{}r.rid = d.rid", w.dialect.tenant("r"));
    let join = w.dialect.ordered_join("res", "r", &on);
    let _ = write!(
        w.text,
        "SELECT r.rid, r.ver, r.vid, r.kind, r.fid, d.{column} AS sv FROM {table} d {join} WHERE "
    );
    w.tenant("d").push("d.p = ").int(i64::from(param.0));
    if table == "ix_rng" {
        w.push(" AND d.u = 0");
    }
    if let Some(after) = &query.after
        && let Some(value) = &after.value
    {
        let at = match value {
            PositionValue::Number(number) => Bind::Int(*number),
            PositionValue::Text(text) => Bind::Text(text.clone()),
        };
        let (seek, beyond) = if descending {
            (" <= ", " < ")
        } else {
            (" >= ", " > ")
        };
        let _ = write!(w.text, " AND d.{column}{seek}");
        w.bind(at.clone());
        let _ = write!(w.text, " AND (d.{column}{beyond}");
        w.bind(at)
            .push(" OR d.rid")
            .push(beyond)
            .int(after.row.0)
            .push(")");
    }
    w.push(" AND ");
    alive(w, query);
    let tenant = w.dialect.tenant("s");
    let _ = write!(
        w.text,
        " AND NOT EXISTS (SELECT 1 FROM {table} s WHERE {tenant}s.rid = d.rid AND s.p = d.p AND {nearer})"
    );
    tests(w, query, None);
    let direction = direction(query);
    let _ = write!(w.text, " ORDER BY d.{column}{direction}, d.rid{direction}");
}

/// Writes what comes after FROM, up to and including WHERE; answers the clause it already applies.
fn source(w: &mut Writer<'_>, query: &Query, strategy: Strategy) -> Option<usize> {
    let on = format!("{}r.rid = d.rid", w.dialect.tenant("r"));
    let join = w.dialect.ordered_join("res", "r", &on);
    match strategy {
        Strategy::Driven(at) if let Some(clause) = query.clauses.get(at) => {
            w.push("(");
            listing(w, clause, true);
            w.push(") d ").push(&join).push(" WHERE ");
            Some(at)
        }
        Strategy::WalkKey(at)
            if let Some([Test::Key { p, v }]) =
                query.clauses.get(at).map(|clause| clause.any_of.as_slice()) =>
        {
            w.push("ix_key d ").push(&join).push(" WHERE ").tenant("d");
            w.push("d.p = ")
                .int(*p)
                .push(" AND d.v = ")
                .int(*v)
                .push(" AND ");
            Some(at)
        }
        _ => {
            w.push("res r WHERE ");
            None
        }
    }
}

fn alive(w: &mut Writer<'_>, query: &Query) {
    w.tenant("r").push("r.ty = ").int(i64::from(query.ty.0));
    let _ = write!(w.text, " AND r.kind < {}", ChangeKind::Delete as u8);
}

fn tests(w: &mut Writer<'_>, query: &Query, skip: Option<usize>) {
    for (at, clause) in query.clauses.iter().enumerate() {
        if skip != Some(at) {
            condition(w, clause);
        }
    }
}

const fn direction(query: &Query) -> &'static str {
    if query.sort.descending {
        " DESC"
    } else {
        " ASC"
    }
}

const fn beyond(query: &Query) -> &'static str {
    if query.sort.descending { " < " } else { " > " }
}
