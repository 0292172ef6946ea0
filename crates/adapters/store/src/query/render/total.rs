//! How many resources match, exactly or by a sample.

use core::fmt::Write as _;

use super::condition::{At, conditions, one_of};
use super::listing::listing;
use super::{Sql, Writer, alive, applied, source};
use crate::index::COMPARTMENT;
use crate::query::plan::{Decided, Strategy};
use crate::query::render::Dialect;
use crate::query::tree::{Query, Test, TestClause};

/// Whether the index alone says how many match.
#[must_use]
pub fn counts_keys(query: &Query, decided: &Decided) -> bool {
    only_key(query, decided).is_some_and(|(p, _)| p < i64::from(crate::index::RESERVED))
}

/// The key that alone says what matches, of one type.
fn only_key(query: &Query, decided: &Decided) -> Option<(i64, i64)> {
    let ([clause], [_]) = (query.clauses(), query.types()) else {
        return None;
    };
    match (clause.any_of.as_slice(), decided.strategy) {
        ([Test::Key { p, v }], Strategy::Driven(_) | Strategy::WalkKey(_))
            if *p != i64::from(COMPARTMENT) =>
        {
            Some((*p, *v))
        }
        _ => None,
    }
}

fn key_rows_of(w: &mut Writer<'_>, p: i64, v: i64) {
    w.push("ix_key k WHERE ").tenant("k").push("k.p = ").int(p);
    w.push(" AND k.v = ").int(v);
}

/// How many resources match.
#[must_use]
pub fn total(dialect: &dyn Dialect, query: &Query, decided: &Decided) -> Sql {
    let mut w = Writer::new(dialect);
    if let Some((p, v)) = only_key(query, decided)
        && p < i64::from(crate::index::RESERVED)
    {
        // A parameter belongs to one type and deleted resources have no rows: the index alone answers.
        w.push("SELECT count(*) FROM ");
        key_rows_of(&mut w, p, v);
        return w.finish();
    }
    w.push("SELECT count(*) FROM ");
    let (skip, at) = source(&mut w, query, decided);
    alive(&mut w, query.types(), "r");
    conditions(&mut w, query, query.clauses(), skip, &at);
    w.finish()
}

/// Of the first `size` candidates, how many there are and how many of them match.
#[must_use]
pub fn sample(dialect: &dyn Dialect, query: &Query, decided: &Decided, size: u64) -> Sql {
    let figures = "count(*), cast(coalesce(sum(m), 0) AS bigint)";
    sampled(dialect, query, decided, (figures, size))
}

/// How many of the first `size` candidates match.
#[must_use]
pub fn probe(dialect: &dyn Dialect, query: &Query, decided: &Decided, size: u64) -> Sql {
    let figures = "cast(coalesce(sum(m), 0) AS bigint)";
    sampled(dialect, query, decided, (figures, size))
}

fn sampled(
    dialect: &dyn Dialect,
    query: &Query,
    decided: &Decided,
    (figures, size): (&str, u64),
) -> Sql {
    let mut w = Writer::new(dialect);
    w.push("SELECT ").push(figures);
    w.push(" FROM (SELECT CASE WHEN 1 = 1");
    let skip = match decided.strategy {
        Strategy::Driven(at) => Some(at),
        Strategy::WalkKey(at) => applied(query, at),
        Strategy::Walk | Strategy::Ends(_) => None,
    };
    conditions(&mut w, query, query.clauses(), skip, &At::head("r"));
    w.push(" THEN 1 ELSE 0 END AS m FROM ");
    source(&mut w, query, decided);
    alive(&mut w, query.types(), "r");
    let _ = write!(w.text, " LIMIT {size}) AS s");
    w.finish()
}

/// How many candidates there are, by an index alone: those deleted count too.
#[must_use]
pub fn candidates(dialect: &dyn Dialect, query: &Query, decided: &Decided) -> Sql {
    candidates_up_to(dialect, query, decided, None)
}

/// The same, counting no further than `most`.
#[must_use]
pub fn candidates_up_to(
    dialect: &dyn Dialect,
    query: &Query,
    decided: &Decided,
    most: Option<u64>,
) -> Sql {
    let mut w = Writer::new(dialect);
    let driver = match decided.strategy {
        Strategy::Driven(at) | Strategy::WalkKey(at) => query.clauses().get(at),
        Strategy::Walk | Strategy::Ends(_) => None,
    };
    w.push("SELECT count(*) FROM ");
    if most.is_some() {
        w.push("(SELECT 1 FROM ");
    }
    if let Strategy::WalkKey(at) = decided.strategy
        && applied(query, at).is_none()
        && let Some((p, v)) = driver.and_then(TestClause::key_within)
    {
        key_rows_of(&mut w, p, v);
    } else if let Some(clause) = driver {
        w.push("(");
        listing(&mut w, query, decided, clause, true);
        w.push(") d");
    } else {
        w.push("res r WHERE ").tenant("r");
        let types: Vec<i64> = query.types().iter().map(|ty| i64::from(ty.0)).collect();
        one_of(&mut w, "r.ty", &types);
    }
    if let Some(most) = most {
        w.push(" LIMIT ")
            .int(i64::try_from(most).unwrap_or(i64::MAX));
        w.push(") AS n");
    }
    w.finish()
}

/// How many texts a parameter has, counting no further than `most`.
#[must_use]
pub fn texts(dialect: &dyn Dialect, p: i64, most: u64) -> Sql {
    let mut w = Writer::new(dialect);
    w.push("SELECT count(*) FROM (SELECT 1 FROM ix_txt k WHERE ")
        .tenant("k")
        .push("k.p = ")
        .int(p)
        .push(" LIMIT ")
        .int(i64::try_from(most).unwrap_or(i64::MAX))
        .push(") AS n");
    w.finish()
}
