//! Runs planned searches. Must not decide how: that is `crate::query`'s.

use fhir::TypeId;
use kernel::{LogicalId, RowId, VersionId};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::read::open_version;
use super::readers::ReadError;
use super::tenant::Sealing;
use crate::port::change::ChangeKind;
use crate::port::error::StoreError;
use crate::port::resource::{PageBytes, ResourceKey, StoredVersion};
use crate::port::search::{Position, PositionValue, SearchPage, SearchPlan, Sort, SortKey, Total};
use crate::query::plan::{FEW, Query, RARE, Strategy};
use crate::query::render::{self, Bind, Dialect, Sql};

/// How SQLite writes what differs.
pub(super) struct Sqlite;

impl Dialect for Sqlite {
    fn place(&self, n: usize) -> String {
        format!("?{}", n + 1)
    }
    fn tenant(&self, _alias: &str) -> String {
        String::new()
    }
    fn ordered_join(&self, table: &str, alias: &str, on: &str) -> String {
        format!("CROSS JOIN {table} {alias} ON {on}")
    }
    fn contains(&self, column: &str, place: &str) -> String {
        format!("instr({column}, {place}) > 0")
    }
}

impl ToSql for Bind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Int(value) => ToSqlOutput::from(*value),
            Self::Text(value) => ToSqlOutput::from(value.as_str()),
        })
    }
}

/// A row of a page.
struct Item {
    rid: RowId,
    version: VersionId,
    vid: i64,
    kind: ChangeKind,
    fid: String,
    value: Option<PositionValue>,
}

/// The kind stored as a number; an unknown one reads as a deletion, which serves nothing.
pub(super) const fn kind_of(number: u8) -> ChangeKind {
    match number {
        0 => ChangeKind::CreateByUpdate,
        1 => ChangeKind::Create,
        2 => ChangeKind::Update,
        4 => ChangeKind::Erase,
        _ => ChangeKind::Delete,
    }
}

/// A page of matches with their bodies, and the total where asked. Gives up as too costly where the bodies
/// have more than `most` bytes.
pub(super) fn search(
    connection: &Connection,
    keys: &Sealing,
    plan: &SearchPlan,
    most: usize,
) -> Result<SearchPage, ReadError> {
    let query = Query::new(keys.keys.hasher(), plan)?;
    let strategy = strategy(connection, &query)?;
    let total = match plan.total {
        Total::None => None,
        Total::Estimate | Total::Accurate => Some(count(connection, &query, strategy)?),
    };
    let mut items = match u64::from(plan.count) {
        0 => Vec::new(),
        count => page(connection, &query, strategy, count + 1)?,
    };
    let found = items.len();
    items.truncate(plan.count as usize);
    let (matches, last) = opened(connection, keys, (plan, query.ty), items, most)?;
    let more = found > matches.len();
    Ok(SearchPage {
        matches,
        next: last.filter(|_| more),
        total,
    })
}

/// The versions of a page, as far as its bytes go, and where it ends.
fn opened(
    connection: &Connection,
    keys: &Sealing,
    (plan, ty): (&SearchPlan, TypeId),
    items: Vec<Item>,
    most: usize,
) -> Result<(Vec<StoredVersion>, Option<Position>), ReadError> {
    let mut last = None;
    let mut bytes = PageBytes::new(plan.bytes);
    let mut body = connection.prepare_cached("SELECT body FROM ver WHERE vid = ?1")?;
    let mut matches = Vec::with_capacity(items.len());
    let mut opened = 0;
    for item in items {
        if opened > most {
            return Err(StoreError::TooCostly.into());
        }
        let id: LogicalId = item.fid.parse().map_err(|_| damaged_id())?;
        let key = ResourceKey { ty, id };
        let mut rows = body.query([item.vid])?;
        let row = rows.next()?.ok_or_else(|| StoreError::Damaged {
            place: "ver".to_owned(),
            detail: "the version of a head is missing".to_owned(),
        })?;
        let stored = row
            .get_ref(0)?
            .as_blob_or_null()
            .map_err(rusqlite::Error::from)?;
        let version = open_version(
            keys,
            key,
            item.rid,
            item.version,
            RowId(item.vid),
            item.kind,
            stored,
        )?;
        opened += version.body.as_ref().map_or(0, bytes::Bytes::len);
        matches.push(version);
        last = Some(Position {
            values: vec![item.value],
            row: item.rid,
        });
        if matches.last().is_some_and(|version| !bytes.counts(version)) {
            break;
        }
    }
    Ok((matches, last))
}

pub(super) fn damaged_id() -> StoreError {
    StoreError::Damaged {
        place: "res".to_owned(),
        detail: "an id is malformed".to_owned(),
    }
}

/// Whether a guard's criteria match the rows it has seen and no others. Runs inside the writer's
/// transaction.
pub(super) fn matches_exactly(
    connection: &Connection,
    query: &Query,
    seen: &[RowId],
) -> Result<bool, ReadError> {
    let query = Query {
        sort: Sort {
            key: SortKey::Row,
            descending: false,
        },
        after: None,
        ..query.clone()
    };
    let strategy = strategy(connection, &query)?;
    let found = page(connection, &query, strategy, seen.len() as u64 + 1)?;
    Ok(found.iter().map(|item| item.rid).eq(seen.iter().copied()))
}

fn strategy(connection: &Connection, query: &Query) -> Result<Strategy, ReadError> {
    let mut estimates = Vec::new();
    let mut least = RARE;
    for (at, clause) in query.candidates() {
        let rows = if clause.is_one_row() {
            1
        } else {
            number(connection, &render::estimate(&Sqlite, clause, least))?
        };
        estimates.push((at, rows));
        least = least.min(rows);
        if least <= FEW {
            break;
        }
    }
    Ok(query.strategy(&estimates))
}

fn count(connection: &Connection, query: &Query, strategy: Strategy) -> Result<u64, ReadError> {
    number(connection, &render::total(&Sqlite, query, strategy))
}

fn number(connection: &Connection, sql: &Sql) -> Result<u64, ReadError> {
    Ok(connection
        .prepare_cached(&sql.text)?
        .query_row(params_from_iter(&sql.binds), |row| row.get(0))?)
}

fn page(
    connection: &Connection,
    query: &Query,
    strategy: Strategy,
    limit: u64,
) -> Result<Vec<Item>, ReadError> {
    let walks_values = strategy == Strategy::Walk
        && matches!(query.sort.key, SortKey::Range(_) | SortKey::Text(_));
    if !walks_values {
        return items(connection, &render::page(&Sqlite, query, strategy, limit));
    }
    // First what has a value, in its order; then what has none.
    let past_values = query
        .after
        .as_ref()
        .is_some_and(|after| after.value.is_none());
    let mut found = if past_values {
        Vec::new()
    } else {
        items(connection, &render::page(&Sqlite, query, strategy, limit))?
    };
    let rest = limit - found.len() as u64;
    if rest > 0 {
        found.extend(items(
            connection,
            &render::page_without_value(&Sqlite, query, rest),
        )?);
    }
    Ok(found)
}

fn items(connection: &Connection, sql: &Sql) -> Result<Vec<Item>, ReadError> {
    let mut statement = connection.prepare_cached(&sql.text)?;
    let mut rows = statement.query(params_from_iter(&sql.binds))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let value = match row.get_ref(5)? {
            ValueRef::Integer(number) => Some(PositionValue::Number(number)),
            ValueRef::Text(text) => Some(PositionValue::Text(
                String::from_utf8_lossy(text).into_owned(),
            )),
            _ => None,
        };
        found.push(Item {
            rid: RowId(row.get(0)?),
            version: VersionId(row.get(1)?),
            vid: row.get(2)?,
            kind: kind_of(row.get(3)?),
            fid: row.get(4)?,
            value,
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use fhir::search::ParamId;

    use super::*;
    use crate::port::search::RangeOp;
    use crate::query::plan::{Test, TestClause};

    /// How the engine would run a statement, on an empty database of our schema.
    fn plan_of(sql: &Sql) -> String {
        let connection = Connection::open_in_memory().unwrap();
        let [schema] = crate::sqlite::schema::MIGRATIONS;
        connection.execute_batch(schema).unwrap();
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {}", sql.text))
            .unwrap();
        let rows = statement
            .query_map(params_from_iter(&sql.binds), |row| row.get::<_, String>(3))
            .unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    fn query(any_of: Vec<Vec<Test>>, key: SortKey) -> Query {
        let clauses = any_of.into_iter().map(|any_of| TestClause {
            negated: false,
            any_of,
        });
        Query {
            ty: TypeId(1),
            clauses: clauses.collect(),
            sort: Sort {
                key,
                descending: true,
            },
            after: None,
        }
    }

    #[test]
    fn the_engine_uses_the_index_meant_for_each_part() {
        let key = || vec![Test::Key { p: 3, v: 4 }];
        let range = |u, op| {
            vec![Test::Range {
                p: 5,
                u,
                op,
                lo: 6,
                hi: 7,
            }]
        };
        let date = SortKey::Range(ParamId(5));
        let cases = [
            (query(vec![key()], SortKey::Row), Strategy::WalkKey(0)),
            (
                query(vec![key(), range(0, RangeOp::Above)], SortKey::Row),
                Strategy::WalkKey(0),
            ),
            (
                query(vec![range(0, RangeOp::Above)], SortKey::Row),
                Strategy::Driven(0),
            ),
            (
                query(vec![range(9, RangeOp::Within)], SortKey::Row),
                Strategy::Driven(0),
            ),
            (query(vec![key()], SortKey::Row), Strategy::Walk),
            (query(vec![], SortKey::Updated), Strategy::Walk),
            (query(vec![key()], date), Strategy::Walk),
            (query(vec![key()], date), Strategy::Driven(0)),
        ];
        let plans: Vec<String> = cases
            .iter()
            .map(|(query, strategy)| plan_of(&render::page(&Sqlite, query, *strategy, 10)))
            .collect();
        insta::assert_snapshot!(plans.join("\n"), @r"
        SEARCH d USING PRIMARY KEY (p=? AND v=?); SEARCH r USING INTEGER PRIMARY KEY (rowid=?)
        SEARCH d USING PRIMARY KEY (p=? AND v=?); SEARCH r USING INTEGER PRIMARY KEY (rowid=?); SEARCH k EXISTS USING COVERING INDEX ix_rng_rid (rid=? AND p=? AND u=?)
        CO-ROUTINE d; SEARCH k USING COVERING INDEX ix_rng_hi (p=? AND hi>?); USE TEMP B-TREE FOR DISTINCT; SCAN d; SEARCH r USING INTEGER PRIMARY KEY (rowid=?); USE TEMP B-TREE FOR ORDER BY
        CO-ROUTINE d; SEARCH k USING PRIMARY KEY (p=? AND u=? AND lo>? AND lo<?); USE TEMP B-TREE FOR DISTINCT; SCAN d; SEARCH r USING INTEGER PRIMARY KEY (rowid=?); USE TEMP B-TREE FOR ORDER BY
        SEARCH r USING INDEX res_ty (ty=?); SEARCH k EXISTS USING PRIMARY KEY (p=? AND v=? AND rid=?)
        SEARCH r USING INDEX res_updated (ty=?)
        SEARCH d USING COVERING INDEX ix_rng_hi (p=?); CORRELATED SCALAR SUBQUERY 1; SEARCH s USING COVERING INDEX ix_rng_rid (rid=? AND p=? AND u=?); SEARCH r USING INTEGER PRIMARY KEY (rowid=?); SEARCH k EXISTS USING PRIMARY KEY (p=? AND v=? AND rid=?); USE TEMP B-TREE FOR LAST TERM OF ORDER BY
        SEARCH k USING PRIMARY KEY (p=? AND v=?); SEARCH r USING INTEGER PRIMARY KEY (rowid=?); CORRELATED SCALAR SUBQUERY 3; SEARCH s USING COVERING INDEX ix_rng_rid (rid=? AND p=? AND u=?); CORRELATED SCALAR SUBQUERY 4; SEARCH s USING COVERING INDEX ix_rng_rid (rid=? AND p=? AND u=?); CORRELATED SCALAR SUBQUERY 1; SEARCH s USING COVERING INDEX ix_rng_rid (rid=? AND p=? AND u=?); USE TEMP B-TREE FOR ORDER BY
        ");
    }
}
