//! Clauses as conditions on a resource.

use core::fmt::Write as _;

use super::{Writer, alive_of};
use crate::index::COMPARTMENT;
use crate::port::search::RangeOp;
use crate::query::render::Bind;
use fhir::search::Around;

use crate::query::tree::{Link, Query, Span, Test, TestClause};

/// Where the resource stands in a statement.
pub(super) struct At {
    /// The expression for its row.
    pub(super) rid: String,
    /// The alias of its head; only what [`needs_head`] says is written with it.
    pub(super) head: String,
    /// Whether the head is at hand and its packed entries cost less than a list.
    pub(super) packed: bool,
}

impl At {
    /// The head with this alias.
    pub(super) fn head(alias: &str) -> Self {
        Self {
            rid: format!("{alias}.rid"),
            head: alias.to_owned(),
            packed: false,
        }
    }
    /// A row of an index with this alias, and the head with another.
    pub(super) fn row(alias: &str, head: &str) -> Self {
        Self {
            rid: format!("{alias}.rid"),
            head: head.to_owned(),
            packed: false,
        }
    }
    /// The same; heads are joined, and each candidate's packed entries may be tested.
    pub(super) fn packed(alias: &str, head: &str) -> Self {
        Self {
            packed: true,
            ..Self::row(alias, head)
        }
    }
}

/// Whether clauses test something that only the head knows.
pub(super) fn needs_head<'c>(
    query: &Query,
    clauses: impl IntoIterator<Item = &'c TestClause>,
) -> bool {
    clauses
        .into_iter()
        .flat_map(|clause| &clause.any_of)
        .any(|test| match test {
            Test::Present { .. } | Test::Type(_) | Test::Head { .. } | Test::Version { .. } => true,
            Test::Has { link, .. } => *link == Link::Name,
            Test::All(group) => needs_head(query, query.clauses_of(*group)),
            _ => false,
        })
}

/// Alternatives as they are written: the keys of one parameter are one list, since engines limit how many
/// selects and conditions a statement joins (a reference by bare id is one key per type).
pub(super) enum Part<'c> {
    Keys(i64, Vec<i64>),
    One(&'c Test),
}

pub(super) fn parts(tests: &[Test]) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for test in tests {
        let Test::Key { p, v } = test else {
            parts.push(Part::One(test));
            continue;
        };
        let same = parts.iter_mut().find_map(|part| match part {
            Part::Keys(of, values) if of == p => Some(values),
            _ => None,
        });
        match same {
            Some(values) => values.push(*v),
            None => parts.push(Part::Keys(*p, vec![*v])),
        }
    }
    parts
}

/// Writes ` FROM ix_key k WHERE ...` for keys of a parameter.
pub(super) fn key_rows(w: &mut Writer<'_>, p: i64, values: &[i64]) {
    w.push(" FROM ix_key k WHERE ")
        .tenant("k")
        .push("k.p = ")
        .int(p)
        .push(" AND ");
    one_of(w, "k.v", values);
}

/// Writes `column = ?`, or the same for a list.
pub(super) fn one_of(w: &mut Writer<'_>, column: &str, values: &[i64]) {
    w.push(column);
    if let [value] = values {
        w.push(" = ").int(*value);
        return;
    }
    w.push(" IN (");
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            w.push(", ");
        }
        w.int(*value);
    }
    w.push(")");
}

/// Writes ` FROM <index> k WHERE ...` for a test of an index; answers whether it is one.
pub(super) fn index_rows(w: &mut Writer<'_>, test: &Test) -> bool {
    let (table, p) = match test {
        Test::Range { p, .. }
        | Test::Numbers { p, .. }
        | Test::Phrase { p, .. }
        | Test::Near { p, .. } => ("ix_rng", *p),
        Test::TextPrefix { p, .. } | Test::TextContains { p, .. } => ("ix_txt", *p),
        Test::Hierarchy { p, .. } => ("ix_key", *p),
        _ => return false,
    };
    w.push(" FROM ")
        .push(table)
        .push(" k WHERE ")
        .tenant("k")
        .push("k.p = ")
        .int(p);
    match test {
        Test::Range { u, op, lo, hi, .. } => {
            if *u == 0 {
                // Written out: the indexes by upper bound and by row hold these rows only.
                w.push(" AND k.u = 0");
            } else {
                w.push(" AND k.u = ").int(*u);
            }
            range(w, *op, *lo, *hi);
        }
        Test::Numbers {
            u, first, second, ..
        } => {
            w.push(" AND k.u = ").int(*u);
            span(w, "k.lo", *first);
            span(w, "k.hi", *second);
        }
        Test::Phrase { p, pairs } => phrase(w, *p, pairs),
        Test::Near { around, .. } => near(w, around),
        Test::Hierarchy {
            parent, v, below, ..
        } => hierarchy(w, *parent, *v, *below),
        Test::TextPrefix { from, to, .. } => prefix(w, from, to.as_deref()),
        Test::TextContains { text, .. } => contains(w, text),
        _ => {}
    }
    true
}

/// Clauses as conditions, each beginning with ` AND `; without the one at `skip`.
pub(super) fn conditions(
    w: &mut Writer<'_>,
    query: &Query,
    clauses: &[TestClause],
    skip: Option<usize>,
    at: &At,
) {
    for (place, clause) in clauses.iter().enumerate() {
        if skip != Some(place) {
            condition(w, query, clause, at);
        }
    }
}

/// A clause as a condition, beginning with ` AND `.
pub(super) fn condition(w: &mut Writer<'_>, query: &Query, clause: &TestClause, at: &At) {
    w.push(if clause.negated {
        " AND NOT ("
    } else {
        " AND ("
    });
    for (place, part) in parts(&clause.any_of).iter().enumerate() {
        if place > 0 {
            w.push(" OR ");
        }
        match part {
            Part::Keys(p, values) => has_key(w, *p, values, at),
            Part::One(test) => holds(w, query, test, at),
        }
    }
    w.push(")");
}

fn has_key(w: &mut Writer<'_>, p: i64, values: &[i64], at: &At) {
    if p == i64::from(COMPARTMENT) {
        w.push("EXISTS (SELECT 1 FROM ix_pat k WHERE ").tenant("k");
        one_of(w, "k.v", values);
    } else {
        w.push("EXISTS (SELECT 1");
        key_rows(w, p, values);
    }
    w.push(" AND k.rid = ").push(&at.rid).push(")");
}

fn holds(w: &mut Writer<'_>, query: &Query, test: &Test, at: &At) {
    match test {
        Test::Key { p, v } => has_key(w, *p, &[*v], at),
        Test::Range { .. } if at.packed && !is_plain(test) && packed(w, test, at) => {}
        // Rows of one unit or one code are few, and lie in one index: listed once, not per resource.
        Test::Phrase { .. }
        | Test::Near { .. }
        | Test::Hierarchy { .. }
        | Test::Numbers { .. }
        | Test::Range { .. }
            if !is_plain(test) =>
        {
            w.push(&at.rid).push(" IN (SELECT k.rid");
            index_rows(w, test);
            w.push(")");
        }
        Test::Range { .. }
        | Test::Numbers { .. }
        | Test::Phrase { .. }
        | Test::Near { .. }
        | Test::Hierarchy { .. }
        | Test::TextPrefix { .. }
        | Test::TextContains { .. } => {
            w.push("EXISTS (SELECT 1");
            index_rows(w, test);
            w.push(" AND k.rid = ").push(&at.rid).push(")");
        }
        Test::Present { ty, bit, present } => {
            let head = &at.head;
            let _ = write!(w.text, "({head}.ty = {} AND ", ty.0);
            let _ = write!(
                w.text,
                "(({head}.pm >> {bit}) & 1) = {})",
                u8::from(*present)
            );
        }
        Test::Type(ty) => {
            let _ = write!(w.text, "{}.ty = {}", at.head, ty.0);
        }
        Test::Head { rhs, id } => {
            w.push("(").push(&at.head).push(".fid = ");
            w.bind(Bind::Text(id.clone())).push(" AND ");
            one_of(w, &format!("{}.rh", at.head), rhs);
            w.push(")");
        }
        Test::Version { from, to, outside } => {
            w.push(if *outside { "NOT (" } else { "(" });
            w.push(&at.head).push(".vid >= ").int(*from).push(" AND ");
            w.push(&at.head).push(".vid < ").int(*to).push(")");
        }
        Test::PatientOrganization { p, v, or_none } => organization(w, *p, *v, *or_none, at),
        Test::Chain { p, link, group } => leads_to(w, query, (*p, *link, *group), at),
        Test::Has { p, link, group } => is_led_to(w, query, (*p, *link, *group), at),
        Test::All(group) => {
            w.push("(1 = 1");
            conditions(w, query, query.clauses_of(*group), None, at);
            w.push(")");
        }
        Test::Nothing => {
            w.push("1 = 0");
        }
    }
}

/// A row of `ix_ref` of ours, the head it leads to, and what must hold there.
fn leads_to(w: &mut Writer<'_>, query: &Query, (param, link, group): (i64, Link, usize), at: &At) {
    let [ours, other] = [w.alias("f"), w.alias("t")];
    w.push("EXISTS (SELECT 1 FROM ix_ref ").push(&ours);
    match link {
        Link::Name => w.join("res", &other, &format!("{other}.rh = {ours}.v")),
        Link::Canonical { url } => {
            let named = w.alias("u");
            let on = format!("{named}.p = {url} AND {named}.v = {ours}.v");
            w.join("ix_key", &named, &on);
            w.join("res", &other, &format!("{other}.rid = {named}.rid"));
        }
    }
    w.push(" WHERE ").tenant(&ours);
    w.push(&ours).push(".rid = ").push(&at.rid).push(" AND ");
    w.push(&ours).push(".p = ").int(param).push(" AND ");
    alive_of(w, query, group, &other);
    let clauses = query.clauses_of(group);
    conditions(w, query, clauses, None, &At::head(&other));
    w.push(")");
}

/// A reference row that leads to us, and what must hold for the resource it belongs to. Only living
/// resources have index rows.
fn is_led_to(w: &mut Writer<'_>, query: &Query, (param, link, group): (i64, Link, usize), at: &At) {
    let clauses = query.clauses_of(group);
    let [theirs, other] = [w.alias("k"), w.alias("t")];
    w.push("EXISTS (SELECT 1 FROM ");
    let lead = match link {
        Link::Name => {
            w.push("ix_key ").push(&theirs);
            format!("{theirs}.v = {}.rh AND ", at.head)
        }
        Link::Canonical { url } => {
            let named = w.alias("f");
            w.push("ix_ref ").push(&named);
            w.join("ix_key", &theirs, &format!("{theirs}.v = {named}.v"));
            let tenant = w.dialect.tenant(&named);
            format!(
                "{tenant}{named}.rid = {} AND {named}.p = {url} AND ",
                at.rid
            )
        }
    };
    if needs_head(query, clauses) {
        w.join("res", &other, &format!("{other}.rid = {theirs}.rid"));
    }
    w.push(" WHERE ").push(&lead).tenant(&theirs);
    w.push(&theirs).push(".p = ").int(param);
    conditions(w, query, clauses, None, &At::row(&theirs, &other));
    w.push(")");
}

fn organization(w: &mut Writer<'_>, p: i64, v: i64, or_none: bool, at: &At) {
    w.push("(EXISTS (SELECT 1 FROM ix_pat c");
    w.join("res", "h", "h.rh = c.v");
    w.push(" JOIN ix_key o ON ");
    w.tenant("o")
        .push("o.p = ")
        .int(p)
        .push(" AND o.v = ")
        .int(v)
        .push(" AND o.rid = h.rid WHERE ");
    w.tenant("c").push("c.rid = ").push(&at.rid).push(")");
    if or_none {
        w.push(" OR NOT EXISTS (SELECT 1 FROM ix_pat c WHERE ")
            .tenant("c")
            .push("c.rid = ")
            .push(&at.rid)
            .push(")");
    }
    w.push(")");
}

/// Tests a range among the entries packed in the head; answers whether the engine can.
fn packed(w: &mut Writer<'_>, test: &Test, at: &At) -> bool {
    let Test::Range {
        p, u, op, lo, hi, ..
    } = test
    else {
        return false;
    };
    let Some(function) = w.dialect.packed_range() else {
        return false;
    };
    w.push(function).push("(").push(&at.head).push(".ix");
    for value in [*p, *u, i64::from(op.number()), *lo, *hi] {
        w.push(", ").int(value);
    }
    w.push(")");
    true
}

/// Whether a range has neither unit nor scope.
const fn is_plain(test: &Test) -> bool {
    matches!(test, Test::Range { u: 0, .. })
}

fn span(w: &mut Writer<'_>, column: &str, span: Span) {
    w.push(if span.outside { " AND NOT (" } else { " AND (" });
    w.push(column).push(" >= ").int(span.from).push(" AND ");
    w.push(column).push(" < ").int(span.to).push(")");
}

/// Half-open stored ranges `[k.lo, k.hi)` against the query's.
fn range(w: &mut Writer<'_>, op: RangeOp, lo: i64, hi: i64) {
    match op {
        RangeOp::Within => w
            .push(" AND k.lo >= ")
            .int(lo)
            .push(" AND k.lo <= ")
            .int(hi)
            .push(" AND k.hi <= ")
            .int(hi),
        RangeOp::NotWithin => w
            .push(" AND (k.lo < ")
            .int(lo)
            .push(" OR k.hi > ")
            .int(hi)
            .push(")"),
        RangeOp::Above => w.push(" AND k.hi > ").int(hi),
        RangeOp::Below => w.push(" AND k.lo < ").int(lo),
        RangeOp::AboveOrWithin => {
            // Whatever lies within the query and not above it ends after its beginning: one seek serves both.
            w.push(" AND k.hi >= ")
                .int(lo)
                .push(" AND (k.hi > ")
                .int(hi)
                .push(" OR k.lo >= ")
                .int(lo)
                .push(")")
        }
        RangeOp::BelowOrWithin => w
            .push(" AND k.lo <= ")
            .int(hi)
            .push(" AND (k.lo < ")
            .int(lo)
            .push(" OR k.hi <= ")
            .int(hi)
            .push(")"),
        RangeOp::After => w.push(" AND k.lo >= ").int(hi),
        RangeOp::Before => w.push(" AND k.hi <= ").int(lo),
        RangeOp::Overlaps => w.push(" AND k.lo < ").int(hi).push(" AND k.hi > ").int(lo),
    };
}

/// The first two words, and each further one at its place after them.
fn phrase(w: &mut Writer<'_>, p: i64, pairs: &[(i64, i64)]) {
    for (at, (word, next)) in pairs.iter().enumerate() {
        if at == 0 {
            w.push(" AND k.u = ").int(*word);
            w.push(" AND k.hi = ").int(*next);
            continue;
        }
        let n = w.alias("n");
        w.push(" AND EXISTS (SELECT 1 FROM ix_rng ")
            .push(&n)
            .push(" WHERE ");
        w.tenant(&n).push(&n).push(".p = ").int(p);
        w.push(" AND ").push(&n).push(".u = ").int(*word);
        let _ = write!(
            w.text,
            " AND {n}.lo = k.lo + {at} AND {n}.rid = k.rid AND {n}.hi = "
        );
        w.int(*next).push(")");
    }
}

/// The resource and all below it, or all above it, each once. Only living resources have index rows.
fn hierarchy(w: &mut Writer<'_>, parent: i64, root: i64, below: bool) {
    w.push(" AND k.v IN (WITH RECURSIVE h (v) AS (SELECT ")
        .int(root);
    let [link, head] = ["c", "t"].map(|alias| w.dialect.tenant(alias));
    let _ = if below {
        write!(
            w.text,
            " UNION SELECT t.rh FROM h JOIN ix_key c ON {link}c.p = {parent} AND c.v = h.v \
             JOIN res t ON {head}t.rid = c.rid"
        )
    } else {
        write!(
            w.text,
            " UNION SELECT c.v FROM h JOIN res t ON {head}t.rh = h.v \
             JOIN ix_ref c ON {link}c.rid = t.rid AND c.p = {parent}"
        )
    };
    w.push(") SELECT v FROM h)");
}

/// A box around the point, along the index, and in it the exact distance.
fn near(w: &mut Writer<'_>, around: &Around) {
    let (at, chord) = (around.at, around.chord);
    for (column, middle) in [("k.u", at.z), ("k.lo", at.x), ("k.hi", at.y)] {
        w.push(" AND ")
            .push(column)
            .push(" >= ")
            .int(middle - chord);
        w.push(" AND ")
            .push(column)
            .push(" <= ")
            .int(middle + chord);
    }
    for (sign, column, middle) in [
        (" AND ", "k.u", at.z),
        (" + ", "k.lo", at.x),
        (" + ", "k.hi", at.y),
    ] {
        // Squares of these three add up to less than 2^63.
        w.push(sign).push("(").push(column).push(" - ").int(middle);
        w.push(") * (")
            .push(column)
            .push(" - ")
            .int(middle)
            .push(")");
    }
    w.push(" <= ").int(chord * chord);
}

fn prefix(w: &mut Writer<'_>, from: &str, to: Option<&str>) {
    w.push(" AND k.v >= ").bind(Bind::Text(from.to_owned()));
    if let Some(to) = to {
        w.push(" AND k.v < ").bind(Bind::Text(to.to_owned()));
    }
}

fn contains(w: &mut Writer<'_>, text: &str) {
    let place = w.dialect.place(w.binds.len());
    w.binds.push(Bind::Text(text.to_owned()));
    let condition = w.dialect.contains("k.v", &place);
    w.push(" AND ").push(&condition);
}
