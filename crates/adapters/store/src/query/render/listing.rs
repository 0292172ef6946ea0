//! Clauses as lists of rows: of one that drives, and of what chains and `_has` lead from.

use core::fmt::Write as _;

use super::condition::{At, Part, conditions, index_rows, key_rows, needs_head, one_of, parts};
use super::{Writer, alive_of};
use crate::query::plan::Decided;
use crate::query::render::Bind;
use crate::query::tree::{Link, Query, Test, TestClause};

/// The rows of a clause's tests as a select of `rid`; `distinct` drops repeats.
pub(super) fn listing(
    w: &mut Writer<'_>,
    query: &Query,
    decided: &Decided,
    clause: &TestClause,
    distinct: bool,
) {
    let parts = parts(&clause.any_of);
    // One key, or one name, gives each row once; several keys or values of a range or text may share one.
    let repeats = match parts.as_slice() {
        [Part::Keys(_, values)] => values.len() > 1,
        [Part::One(test)] => !matches!(test, Test::Head { .. } | Test::Nothing),
        _ => false,
    };
    let select = if distinct && repeats {
        "SELECT DISTINCT "
    } else {
        "SELECT "
    };
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            w.push(if distinct { " UNION " } else { " UNION ALL " });
        }
        w.push(select);
        match part {
            Part::Keys(p, values) => {
                w.push("k.rid");
                key_rows(w, *p, values);
            }
            Part::One(test) => rows_of(w, query, decided, test),
        }
    }
}

fn rows_of(w: &mut Writer<'_>, query: &Query, decided: &Decided, test: &Test) {
    match test {
        Test::Head { rhs, id } => {
            w.push("k.rid FROM res k WHERE ").tenant("k");
            one_of(w, "k.rh", rhs);
            w.push(" AND k.fid = ").bind(Bind::Text(id.clone()));
        }
        Test::Chain { p, link, group } => chain(w, query, decided, (*p, *link, *group)),
        Test::Has { p, link, group } => has(w, query, decided, (*p, *link, *group)),
        Test::All(group) => {
            let mut from = From::group(w, query, decided, *group);
            w.push(&from.at.rid).push(" AS rid FROM ");
            from.write(w, query, decided);
            w.push(" WHERE 1 = 1");
            from.conditions(w, query);
        }
        other => {
            w.push("k.rid");
            if !index_rows(w, other) {
                w.push(" FROM res k WHERE 1 = 0");
            }
        }
    }
}

/// Where our references lead to a group's rows.
fn chain(
    w: &mut Writer<'_>,
    query: &Query,
    decided: &Decided,
    (p, link, group): (i64, Link, usize),
) {
    let mut from = From::group(w, query, decided, group);
    from.with_head = true;
    let k = w.alias("k");
    w.push(&k).push(".rid AS rid FROM ");
    from.write(w, query, decided);
    let target = match link {
        Link::Name => format!("{}.rh", from.at.head),
        Link::Canonical { url } => {
            let f = w.alias("f");
            let on = format!("{f}.rid = {} AND {f}.p = {url}", from.at.rid);
            w.join("ix_ref", &f, &on);
            format!("{f}.v")
        }
    };
    w.join("ix_key", &k, &format!("{k}.p = {p} AND {k}.v = {target}"));
    w.push(" WHERE ");
    alive_of(w, query, group, &from.at.head);
    from.conditions(w, query);
}

/// Of each of a group's rows, the first `limit` rows in the order asked for whose references lead there; of
/// all these the first `limit`. More can not be on a page.
pub(super) fn ends(
    w: &mut Writer<'_>,
    query: &Query,
    decided: &Decided,
    (p, group): (i64, usize),
    limit: u64,
) {
    let mut from = From::group(w, query, decided, group);
    from.with_head = true;
    w.push("SELECT DISTINCT k.rid AS rid FROM ");
    from.write(w, query, decided);
    let target = format!("{}.rh", from.at.head);
    w.join("ix_key", "k", &format!("k.p = {p} AND k.v = {target}"));
    w.push(" WHERE ");
    alive_of(w, query, group, &from.at.head);
    from.conditions(w, query);
    let descending = query.sort.first().is_none_or(|sort| sort.descending);
    let (within, beyond, direction, most) = if descending {
        (">=", "<", "DESC", i64::MIN)
    } else {
        ("<=", ">", "ASC", i64::MAX)
    };
    let _ = write!(
        w.text,
        " AND k.rid {within} coalesce((SELECT q.rid FROM ix_key q WHERE {}q.p = {p} AND q.v = {target}",
        w.dialect.tenant("q")
    );
    let after = query.after.as_ref().map(|after| after.row.0);
    if let Some(row) = after {
        let _ = write!(w.text, " AND q.rid {beyond} ");
        w.int(row);
    }
    let _ = write!(
        w.text,
        " ORDER BY q.rid {direction} LIMIT 1 OFFSET {}), ",
        limit.saturating_sub(1)
    );
    w.int(most).push(")");
    if let Some(row) = after {
        let _ = write!(w.text, " AND k.rid {beyond} ");
        w.int(row);
    }
    let _ = write!(w.text, " ORDER BY k.rid {direction} LIMIT {limit}");
}

/// Where the references of a group's rows lead.
fn has(w: &mut Writer<'_>, query: &Query, decided: &Decided, (p, link, group): (i64, Link, usize)) {
    let mut from = From::group(w, query, decided, group);
    let [f, h] = [w.alias("f"), w.alias("h")];
    w.push(&h).push(".rid AS rid FROM ");
    from.write(w, query, decided);
    let on = format!("{f}.rid = {} AND {f}.p = {p}", from.at.rid);
    w.join("ix_ref", &f, &on);
    match link {
        Link::Name => w.join("res", &h, &format!("{h}.rh = {f}.v")),
        Link::Canonical { url } => {
            w.join("ix_key", &h, &format!("{h}.p = {url} AND {h}.v = {f}.v"));
        }
    }
    w.push(" WHERE 1 = 1");
    from.conditions(w, query);
}

/// A group's rows: those of its driver, with the heads where something asks for them.
struct From {
    group: usize,
    driver: Option<usize>,
    at: At,
    rows: String,
    with_head: bool,
}

impl From {
    fn group(w: &mut Writer<'_>, query: &Query, decided: &Decided, group: usize) -> Self {
        let driver = decided.drivers.get(group).copied().flatten();
        let driver = driver.map(|driver| driver.clause);
        let [rows, head] = [w.alias("d"), w.alias("t")];
        let clauses = query.clauses_of(group).iter().enumerate();
        let others = clauses.filter(|(at, _)| Some(*at) != driver);
        Self {
            group,
            driver,
            at: At::row(&rows, &head),
            with_head: needs_head(query, others.map(|(_, clause)| clause)),
            rows,
        }
    }

    fn write(&mut self, w: &mut Writer<'_>, query: &Query, decided: &Decided) {
        w.push("(");
        let driver = self
            .driver
            .and_then(|at| query.clauses_of(self.group).get(at));
        match driver {
            Some(clause) => listing(w, query, decided, clause, true),
            None => {
                w.push("SELECT k.rid FROM res k WHERE 1 = 0");
            }
        }
        w.push(") ").push(&self.rows);
        if self.with_head {
            let on = format!("{}.rid = {}", self.at.head, self.at.rid);
            w.join("res", &self.at.head.clone(), &on);
        }
    }

    fn conditions(&self, w: &mut Writer<'_>, query: &Query) {
        conditions(
            w,
            query,
            query.clauses_of(self.group),
            self.driver,
            &self.at,
        );
    }
}
