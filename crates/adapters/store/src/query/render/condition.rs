//! Clauses as SQL: the rows of a clause that drives, and the existence checks of the others.

use core::fmt::Write as _;

use super::{Bind, Writer};
use crate::index::COMPARTMENT;
use crate::port::search::RangeOp;
use crate::query::plan::{Test, TestClause};

/// The rows of a clause's tests as a select of `rid`; `distinct` drops repeats.
pub(super) fn listing(w: &mut Writer<'_>, clause: &TestClause, distinct: bool) {
    let parts = parts(&clause.any_of);
    // One key, or one name, gives each row once; several keys or values of a range or text may share one.
    let repeats = match parts.as_slice() {
        [Part::Keys(_, values)] => values.len() > 1,
        [Part::One(test)] => !matches!(test, Test::Head { .. } | Test::Nothing),
        _ => false,
    };
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            w.push(if distinct { " UNION " } else { " UNION ALL " });
        }
        w.push(if distinct && repeats {
            "SELECT DISTINCT k.rid"
        } else {
            "SELECT k.rid"
        });
        match part {
            Part::Keys(p, values) => key_rows(w, *p, values),
            Part::One(Test::Head { rh, id }) => {
                w.push(" FROM res k WHERE ")
                    .tenant("k")
                    .push("k.rh = ")
                    .int(*rh);
                w.push(" AND k.fid = ").bind(Bind::Text(id.clone()));
            }
            Part::One(test) => {
                if !index_rows(w, test) {
                    w.push(" FROM res k WHERE 1 = 0");
                }
            }
        }
    }
}

/// Alternatives as they are written: the keys of one parameter are one list, since engines limit how many
/// selects and conditions a statement joins (a reference by bare id is one key per type).
enum Part<'c> {
    Keys(i64, Vec<i64>),
    One(&'c Test),
}

fn parts(tests: &[Test]) -> Vec<Part<'_>> {
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
fn key_rows(w: &mut Writer<'_>, p: i64, values: &[i64]) {
    w.push(" FROM ix_key k WHERE ")
        .tenant("k")
        .push("k.p = ")
        .int(p)
        .push(" AND ");
    one_of(w, values);
}

/// Writes `k.v = ?`, or the same for a list.
fn one_of(w: &mut Writer<'_>, values: &[i64]) {
    if let [value] = values {
        w.push("k.v = ").int(*value);
        return;
    }
    w.push("k.v IN (");
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            w.push(", ");
        }
        w.int(*value);
    }
    w.push(")");
}

/// Writes ` FROM <index> k WHERE ...` for a test of an index; answers whether it is one.
fn index_rows(w: &mut Writer<'_>, test: &Test) -> bool {
    let (table, p) = match test {
        Test::Range { p, .. } => ("ix_rng", *p),
        Test::TextPrefix { p, .. } | Test::TextContains { p, .. } => ("ix_txt", *p),
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
        Test::TextPrefix { from, to, .. } => prefix(w, from, to.as_deref()),
        Test::TextContains { text, .. } => contains(w, text),
        _ => {}
    }
    true
}

/// A clause as a condition on `r`, beginning with ` AND `.
pub(super) fn condition(w: &mut Writer<'_>, clause: &TestClause) {
    w.push(if clause.negated {
        " AND NOT ("
    } else {
        " AND ("
    });
    for (at, part) in parts(&clause.any_of).iter().enumerate() {
        if at > 0 {
            w.push(" OR ");
        }
        match part {
            Part::Keys(p, values) => has_key(w, *p, values),
            Part::One(test) => holds(w, test),
        }
    }
    if clause.any_of.is_empty() {
        w.push("1 = 0");
    }
    w.push(")");
}

fn has_key(w: &mut Writer<'_>, p: i64, values: &[i64]) {
    if p == i64::from(COMPARTMENT) {
        w.push("EXISTS (SELECT 1 FROM ix_pat k WHERE ").tenant("k");
        one_of(w, values);
    } else {
        w.push("EXISTS (SELECT 1");
        key_rows(w, p, values);
    }
    w.push(" AND k.rid = r.rid)");
}

fn holds(w: &mut Writer<'_>, test: &Test) {
    match test {
        Test::Key { p, v } => has_key(w, *p, &[*v]),
        // Rows of one unit or one code are few, and lie in one index: listed once, not per resource.
        Test::Range { u, .. } if *u != 0 => {
            w.push("r.rid IN (SELECT k.rid");
            index_rows(w, test);
            w.push(")");
        }
        Test::Range { .. } | Test::TextPrefix { .. } | Test::TextContains { .. } => {
            w.push("EXISTS (SELECT 1");
            index_rows(w, test);
            w.push(" AND k.rid = r.rid)");
        }
        Test::Present { bit, present } => {
            let _ = write!(w.text, "((r.pm >> {bit}) & 1) = {}", u8::from(*present));
        }
        Test::Head { rh, id } => {
            w.push("(r.rh = ")
                .int(*rh)
                .push(" AND r.fid = ")
                .bind(Bind::Text(id.clone()))
                .push(")");
        }
        Test::Version { from, to, outside } => {
            w.push(if *outside {
                "NOT (r.vid >= "
            } else {
                "(r.vid >= "
            });
            w.int(*from).push(" AND r.vid < ").int(*to).push(")");
        }
        Test::PatientOrganization { p, v, or_none } => organization(w, *p, *v, *or_none),
        Test::Nothing => {
            w.push("1 = 0");
        }
    }
}

fn organization(w: &mut Writer<'_>, p: i64, v: i64, or_none: bool) {
    w.push("(EXISTS (SELECT 1 FROM ix_pat c JOIN res h ON ")
        .tenant("h")
        .push("h.rh = c.v JOIN ix_key o ON ");
    w.tenant("o")
        .push("o.p = ")
        .int(p)
        .push(" AND o.v = ")
        .int(v)
        .push(" AND o.rid = h.rid WHERE ");
    w.tenant("c").push("c.rid = r.rid)");
    if or_none {
        w.push(" OR NOT EXISTS (SELECT 1 FROM ix_pat c WHERE ")
            .tenant("c")
            .push("c.rid = r.rid)");
    }
    w.push(")");
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
