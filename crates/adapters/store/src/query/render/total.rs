//! How many resources match, exactly or by a sample.

use core::fmt::Write as _;

use super::condition::{At, conditions, one_of};
use super::listing::listing;
use super::{Sql, Writer, alive, source};
use crate::index::COMPARTMENT;
use crate::query::plan::{Decided, Strategy};
use crate::query::render::Dialect;
use crate::query::tree::{Query, Test};

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

/// How many resources match.
#[must_use]
pub fn total(dialect: &dyn Dialect, query: &Query, decided: &Decided) -> Sql {
    let mut w = Writer::new(dialect);
    if let Some((p, v)) = only_key(query, decided)
        && p < i64::from(crate::index::RESERVED)
    {
        // A parameter belongs to one type and deleted resources have no rows: the index alone answers.
        w.push("SELECT count(*) FROM ix_key k WHERE ")
            .tenant("k")
            .push("k.p = ")
            .int(p)
            .push(" AND k.v = ")
            .int(v);
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
    let mut w = Writer::new(dialect);
    w.push("SELECT count(*), cast(coalesce(sum(m), 0) AS bigint) FROM (SELECT CASE WHEN 1 = 1");
    let skip = match decided.strategy {
        Strategy::Driven(at) | Strategy::WalkKey(at) => Some(at),
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
    let mut w = Writer::new(dialect);
    let driver = match decided.strategy {
        Strategy::Driven(at) | Strategy::WalkKey(at) => query.clauses().get(at),
        Strategy::Walk | Strategy::Ends(_) => None,
    };
    w.push("SELECT count(*) FROM ");
    if let Some(clause) = driver {
        w.push("(");
        listing(&mut w, query, decided, clause, true);
        w.push(") d");
    } else {
        w.push("res r WHERE ").tenant("r");
        let types: Vec<i64> = query.types().iter().map(|ty| i64::from(ty.0)).collect();
        one_of(&mut w, "r.ty", &types);
    }
    w.finish()
}
