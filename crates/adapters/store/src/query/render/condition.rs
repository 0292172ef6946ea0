//! Clauses as SQL: the rows of a clause that drives, and the existence checks of the others.

use core::fmt::Write as _;

use super::{Bind, Writer};
use crate::index::COMPARTMENT;
use crate::port::search::RangeOp;
use crate::query::plan::{Test, TestClause};

/// The rows of a clause's tests as a select of `rid`; `distinct` drops repeats.
pub(super) fn listing(w: &mut Writer<'_>, clause: &TestClause, distinct: bool) {
    // One key, or one name, gives each row once; several values of a range or text may share a row.
    let repeats = matches!(
        clause.any_of.as_slice(),
        [Test::Range { .. } | Test::TextPrefix { .. } | Test::TextContains { .. }]
    );
    for (at, test) in clause.any_of.iter().enumerate() {
        if at > 0 {
            w.push(if distinct { " UNION " } else { " UNION ALL " });
        }
        w.push(if distinct && repeats {
            "SELECT DISTINCT k.rid"
        } else {
            "SELECT k.rid"
        });
        if let Test::Head { rh, id } = test {
            w.push(" FROM res k WHERE ")
                .tenant("k")
                .push("k.rh = ")
                .int(*rh);
            w.push(" AND k.fid = ").bind(Bind::Text(id.clone()));
        } else if !index_rows(w, test) {
            w.push(" FROM res k WHERE 1 = 0");
        }
    }
}

/// Writes ` FROM <index> k WHERE ...` for a test of an index; answers whether it is one.
fn index_rows(w: &mut Writer<'_>, test: &Test) -> bool {
    let (table, p) = match test {
        Test::Key { p, .. } => ("ix_key", *p),
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
        Test::Key { v, .. } => {
            w.push(" AND k.v = ").int(*v);
        }
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
    for (at, test) in clause.any_of.iter().enumerate() {
        if at > 0 {
            w.push(" OR ");
        }
        holds(w, test);
    }
    if clause.any_of.is_empty() {
        w.push("1 = 0");
    }
    w.push(")");
}

fn holds(w: &mut Writer<'_>, test: &Test) {
    match test {
        Test::Key { p, v } if *p == i64::from(COMPARTMENT) => {
            w.push("EXISTS (SELECT 1 FROM ix_pat k WHERE ").tenant("k");
            w.push("k.v = ").int(*v).push(" AND k.rid = r.rid)");
        }
        // Rows of one unit or one code are few, and lie in one index: listed once, not per resource.
        Test::Range { u, .. } if *u != 0 => {
            w.push("r.rid IN (SELECT k.rid");
            index_rows(w, test);
            w.push(")");
        }
        Test::Key { .. }
        | Test::Range { .. }
        | Test::TextPrefix { .. }
        | Test::TextContains { .. } => {
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
