//! Runs planned searches. Must not decide how: that is `crate::query`'s.

use fhir::TypeId;
use kernel::{LogicalId, RowId, VersionId};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::functions::PACKED_RANGE;
use super::read::open_version;
use super::readers::ReadError;
use super::tenant::Sealing;
use crate::port::change::ChangeKind;
use crate::port::error::StoreError;
use crate::port::resource::{PageBytes, ResourceKey, StoredVersion};
use crate::port::search::{
    Counting, Explanation, Position, PositionValue, SearchPage, SearchPlan, Sort, SortKey, Total,
};
use crate::query::explain::explain;
use crate::query::plan::{Decided, SAMPLE, estimated};
use crate::query::render::{self, Bind, Dialect, HEAD_COLUMNS, Sql};
use crate::query::{Guard, Planner, Query};

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
    fn packed_range(&self) -> Option<&'static str> {
        Some(PACKED_RANGE)
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

/// Fewer rows than a moment may suffice to walk.
const JUDGED: u64 = 100_000;

/// A row of a page.
struct Item {
    rid: RowId,
    version: VersionId,
    vid: i64,
    kind: ChangeKind,
    fid: String,
    ty: TypeId,
    values: Vec<Option<PositionValue>>,
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
    let decided = decide(connection, &query)?;
    // At once no more is walked than a moment allows: only what takes longer is judged before.
    if most == usize::MAX || plan.rows < JUDGED {
        weigh(connection, Guard::new(&query, &decided, plan))?.verdict()?;
    }
    let total = match plan.total {
        Total::None => None,
        Total::Estimate => Some(estimate(connection, &query, &decided)?),
        Total::Accurate => Some(number(
            connection,
            &render::total(&Sqlite, &query, &decided),
        )?),
    };
    let mut items = match u64::from(plan.count) {
        0 => Vec::new(),
        count => page(connection, &query, &decided, count + 1)?,
    };
    let found = items.len();
    items.truncate(plan.count as usize);
    let (matches, last) = opened(connection, keys, plan, items, most)?;
    let more = found > matches.len();
    Ok(SearchPage {
        matches,
        next: last.filter(|_| more),
        total,
    })
}

/// How a search would be run.
pub(super) fn explained(
    connection: &Connection,
    keys: &Sealing,
    plan: &SearchPlan,
    counting: Counting,
) -> Result<Explanation, ReadError> {
    let query = Query::new(keys.keys.hasher(), plan)?;
    let decided = decide_by(connection, Planner::counting(&query, counting))?;
    let sql = render::page(&Sqlite, &query, &decided, u64::from(plan.count) + 1);
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", sql.text))?;
    let lines = statement
        .query_map(params_from_iter(&sql.binds), |row| row.get::<_, String>(3))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let guard = Guard::new(&query, &decided, plan).counting(counting);
    let guard = weigh(connection, guard)?;
    Ok(explain(&query, &decided, &guard, (sql.text, &lines)))
}

fn weigh<'q>(connection: &Connection, mut guard: Guard<'q>) -> Result<Guard<'q>, ReadError> {
    while let Some(sql) = guard.question(&Sqlite) {
        guard.answer(number(connection, &sql)?);
    }
    Ok(guard)
}

/// The versions of a page, as far as its bytes go, and where it ends.
fn opened(
    connection: &Connection,
    keys: &Sealing,
    plan: &SearchPlan,
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
        let key = ResourceKey { ty: item.ty, id };
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
            values: item.values,
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
    let query = query.ordered(Sort {
        key: SortKey::Row,
        descending: false,
    });
    let decided = decide(connection, &query)?;
    let found = page(connection, &query, &decided, seen.len() as u64 + 1)?;
    Ok(found.iter().map(|item| item.rid).eq(seen.iter().copied()))
}

fn decide(connection: &Connection, query: &Query) -> Result<Decided, ReadError> {
    decide_by(connection, Planner::new(query))
}

fn decide_by(connection: &Connection, mut planner: Planner<'_>) -> Result<Decided, ReadError> {
    while let Some(sql) = planner.question(&Sqlite) {
        planner.answer(number(connection, &sql)?);
    }
    Ok(planner.decide())
}

fn number(connection: &Connection, sql: &Sql) -> Result<u64, ReadError> {
    Ok(connection
        .prepare_cached(&sql.text)?
        .query_row(params_from_iter(&sql.binds), |row| row.get(0))?)
}

fn estimate(connection: &Connection, query: &Query, decided: &Decided) -> Result<u64, ReadError> {
    let sql = render::sample(&Sqlite, query, decided, SAMPLE);
    let (seen, matching): (u64, u64) = connection
        .prepare_cached(&sql.text)?
        .query_row(params_from_iter(&sql.binds), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if seen < SAMPLE {
        return Ok(matching);
    }
    let candidates = number(connection, &render::candidates(&Sqlite, query, decided))?;
    Ok(estimated(seen, matching, candidates))
}

fn page(
    connection: &Connection,
    query: &Query,
    decided: &Decided,
    limit: u64,
) -> Result<Vec<Item>, ReadError> {
    if !render::walks_values(query, decided) {
        let sql = render::page(&Sqlite, query, decided, limit);
        return items(connection, query, &sql);
    }
    // First what has a value, in its order; then what has none.
    let mut found = if render::is_past_values(query) {
        Vec::new()
    } else {
        let sql = render::page(&Sqlite, query, decided, limit);
        items(connection, query, &sql)?
    };
    let rest = limit - found.len() as u64;
    if rest > 0 {
        let sql = render::page_without_value(&Sqlite, query, decided, rest);
        found.extend(items(connection, query, &sql)?);
    }
    Ok(found)
}

fn items(connection: &Connection, query: &Query, sql: &Sql) -> Result<Vec<Item>, ReadError> {
    let mut statement = connection.prepare_cached(&sql.text)?;
    let mut rows = statement.query(params_from_iter(&sql.binds))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let value = |at: usize| {
            Ok(match row.get_ref(HEAD_COLUMNS + at)? {
                ValueRef::Integer(number) => Some(PositionValue::Number(number)),
                ValueRef::Text(text) => Some(PositionValue::Text(
                    String::from_utf8_lossy(text).into_owned(),
                )),
                _ => None,
            })
        };
        found.push(Item {
            rid: RowId(row.get(0)?),
            version: VersionId(row.get(1)?),
            vid: row.get(2)?,
            kind: kind_of(row.get(3)?),
            fid: row.get(4)?,
            ty: TypeId(row.get(5)?),
            values: (0..query.sort.len())
                .map(value)
                .collect::<rusqlite::Result<_>>()?,
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use fhir::search::ParamId;

    use super::*;
    use crate::port::search::RangeOp;
    use crate::query::Strategy;
    use crate::query::tree::{Group, Test, TestClause};

    fn database() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        crate::sqlite::functions::add(&connection).unwrap();
        for schema in crate::sqlite::schema::MIGRATIONS {
            let links = crate::index::link_list();
            connection
                .execute_batch(&schema.replace("{links}", &links))
                .unwrap();
        }
        connection
    }

    /// How the engine would run a statement, on an empty database of our schema.
    fn plan_of(sql: &Sql) -> String {
        let connection = database();
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
            groups: vec![Group {
                types: vec![TypeId(1)],
                clauses: clauses.collect(),
            }],
            sort: vec![Sort {
                key,
                descending: true,
            }],
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
                within: (u != 0).then_some((3, 4)),
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
            .map(|(query, strategy)| {
                let decided = Decided {
                    strategy: *strategy,
                    ..Decided::walk(query)
                };
                plan_of(&render::page(&Sqlite, query, &decided, 10))
            })
            .collect();
        insta::assert_snapshot!(plans.join("\n"), @r"
        SEARCH d USING PRIMARY KEY (p=? AND v=?); SEARCH r USING INTEGER PRIMARY KEY (rowid=?)
        SEARCH d USING PRIMARY KEY (p=? AND v=?); SEARCH r USING INTEGER PRIMARY KEY (rowid=?); SEARCH k EXISTS USING COVERING INDEX ix_rng_rid (rid=? AND p=? AND u=?)
        CO-ROUTINE d; SEARCH k USING COVERING INDEX ix_rng_hi (p=? AND hi>?); USE TEMP B-TREE FOR DISTINCT; SCAN d; SEARCH r USING INTEGER PRIMARY KEY (rowid=?); USE TEMP B-TREE FOR ORDER BY
        CO-ROUTINE d; SEARCH k USING PRIMARY KEY (p=? AND u=? AND lo>? AND lo<?); USE TEMP B-TREE FOR DISTINCT; SCAN d; SEARCH r USING INTEGER PRIMARY KEY (rowid=?); USE TEMP B-TREE FOR ORDER BY
        SEARCH r USING INDEX res_ty (ty=?); SEARCH k EXISTS USING PRIMARY KEY (p=? AND v=? AND rid=?)
        SEARCH r USING INDEX res_updated (ty=?)
        SEARCH d USING COVERING INDEX ix_rng_hi (p=?); SEARCH x USING PRIMARY KEY (p=? AND v=? AND rid=?); CORRELATED SCALAR SUBQUERY 1; SEARCH s USING COVERING INDEX ix_rng_rid (rid=? AND p=? AND u=?); SEARCH r USING INTEGER PRIMARY KEY (rowid=?); USE TEMP B-TREE FOR LAST TERM OF ORDER BY
        SEARCH k USING PRIMARY KEY (p=? AND v=?); SEARCH r USING INTEGER PRIMARY KEY (rowid=?); CORRELATED SCALAR SUBQUERY 1; SEARCH s USING COVERING INDEX ix_rng_rid (rid=? AND p=? AND u=?); USE TEMP B-TREE FOR ORDER BY
        ");
    }

    /// Thirty resources of type 2 with a key, and 400 of type 1 that refer to one or two of them, have a
    /// key, and none to two dates, many of them the same.
    fn filled() -> Connection {
        let connection = database();
        let head = "INSERT INTO res VALUES (?1, ?2, ?3, ?4, 1, ?1, 1, NULL, 0, x'')";
        let key = "INSERT OR IGNORE INTO ix_key VALUES (?1, ?2, ?3)";
        let mut seed = 7u64;
        let mut any = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            i64::try_from((seed >> 33) % below).unwrap()
        };
        for rid in 0..30 {
            let of = (rid, 1000 + rid, 2, format!("t{rid}"));
            connection.execute(head, of).unwrap();
            connection.execute(key, (8, rid % 3, rid)).unwrap();
        }
        for rid in 100..500 {
            let of = (rid, 1000 + rid, 1, format!("o{rid}"));
            connection.execute(head, of).unwrap();
            connection.execute(key, (3, any(5), rid)).unwrap();
            for _ in 0..=any(2) {
                let to = 1000 + any(30);
                connection.execute(key, (7, to, rid)).unwrap();
                let link = "INSERT OR IGNORE INTO ix_ref VALUES (?1, 7, ?2)";
                connection.execute(link, (rid, to)).unwrap();
            }
            for _ in 0..any(3) {
                let date = any(40);
                let range = "INSERT OR IGNORE INTO ix_rng VALUES (5, 0, ?1, ?2, ?3)";
                let of = (date, date + 1 + any(3), rid);
                connection.execute(range, of).unwrap();
            }
        }
        connection
    }

    /// All rows, page by page.
    fn pages(
        connection: &Connection,
        query: &Query,
        decided: &Decided,
        limit: usize,
    ) -> Vec<(i64, Vec<Option<PositionValue>>)> {
        let mut query = query.clone();
        let mut all = Vec::new();
        loop {
            let found = page(connection, &query, decided, limit as u64).unwrap();
            let full = found.len() == limit;
            all.extend(found.into_iter().map(|item| (item.rid.0, item.values)));
            match all.last() {
                Some((row, values)) if full => {
                    query.after = Some(crate::query::tree::After {
                        values: values.clone(),
                        row: RowId(*row),
                    });
                }
                _ => return all,
            }
        }
    }

    /// Three hundred resources with a key, and up to three ranges of one scope among others, in the index
    /// and packed.
    fn scoped() -> Connection {
        use crate::index::{PackedIndex, RangeRow};
        let connection = database();
        let mut seed = 11u64;
        let mut any = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            i64::try_from((seed >> 33) % below).unwrap()
        };
        for rid in 0..300 {
            let mut ranges = Vec::new();
            for u in [0, 9, 10] {
                for _ in 0..any(4) {
                    let lo = any(30) - 15;
                    let hi = lo + any(4);
                    ranges.push(RangeRow { p: 5, u, lo, hi });
                }
            }
            let packed = PackedIndex::new(Vec::new(), ranges, Vec::new(), 0);
            for row in packed.ranges() {
                let row = (row.p, row.u, row.lo, row.hi, rid);
                let insert = "INSERT INTO ix_rng VALUES (?1, ?2, ?3, ?4, ?5)";
                connection.execute(insert, row).unwrap();
            }
            let head = "INSERT INTO res VALUES (?1, ?1, 1, ?2, 1, ?1, 1, NULL, 0, ?3)";
            let of = (rid, format!("o{rid}"), packed.encode());
            connection.execute(head, of).unwrap();
            let key = "INSERT INTO ix_key VALUES (3, 4, ?1)";
            connection.execute(key, [rid]).unwrap();
        }
        connection
    }

    #[test]
    fn ranges_of_a_scope_are_found_alike_by_list_and_among_packed_entries() {
        let connection = scoped();
        let ops = [
            RangeOp::Within,
            RangeOp::NotWithin,
            RangeOp::Above,
            RangeOp::Below,
            RangeOp::AboveOrWithin,
            RangeOp::BelowOrWithin,
            RangeOp::After,
            RangeOp::Before,
            RangeOp::Overlaps,
        ];
        let mut seen = 0;
        for op in ops {
            for (lo, hi) in [(-3, 4), (0, 1), (5, 5), (i64::MIN, 2), (2, i64::MAX)] {
                let test = Test::Range {
                    p: 5,
                    u: 9,
                    op,
                    lo,
                    hi,
                    within: Some((3, 4)),
                };
                let query = query(vec![vec![test]], SortKey::Row);
                assert_eq!(query.clauses()[0].key_within(), Some((3, 4)));
                let by = |strategy| {
                    let decided = Decided {
                        strategy,
                        ..Decided::walk(&query)
                    };
                    let sql = render::page(&Sqlite, &query, &decided, 7).text;
                    let walks = strategy == Strategy::WalkKey(0);
                    assert_eq!(sql.contains("packed_range(r.ix"), walks, "{sql}");
                    let total = render::total(&Sqlite, &query, &decided);
                    let total = number(&connection, &total).unwrap();
                    (pages(&connection, &query, &decided, 7), total)
                };
                let found = by(Strategy::WalkKey(0));
                assert_eq!(found, by(Strategy::Driven(0)), "{op:?} {lo} {hi}");
                assert_eq!(found, by(Strategy::Walk), "{op:?} {lo} {hi}");
                assert_eq!(found.0.len() as u64, found.1, "{op:?} {lo} {hi}");
                seen += found.0.len();
            }
        }
        assert!(seen > 1000, "{seen}");
    }

    #[test]
    fn whatever_drives_a_search_its_pages_are_the_same() {
        use crate::query::plan::Driver;
        let connection = filled();
        let chain = || Test::Chain {
            p: 7,
            link: crate::query::tree::Link::Name,
            group: 0,
        };
        let key = || Test::Key { p: 3, v: 4 };
        let mut leading = query(vec![vec![chain()]], SortKey::Row);
        let target = query(vec![vec![Test::Key { p: 8, v: 1 }]], SortKey::Row);
        leading.groups.insert(0, target.groups[0].clone());
        leading.groups[0].types = vec![TypeId(2)];
        let dated = query(vec![vec![key()]], SortKey::Range(ParamId(5)));
        let mut seen = 0;
        for (query, other) in [(&leading, Strategy::Ends(0)), (&dated, Strategy::Driven(0))] {
            for (descending, limit) in [(true, 1), (true, 7), (false, 7), (false, 1000)] {
                let mut query = query.clone();
                query.sort[0].descending = descending;
                let found = [other, Strategy::Walk, Strategy::Driven(0)].map(|strategy| {
                    let mut decided = Decided::walk(&query);
                    decided.strategy = strategy;
                    decided.drivers[0] = Some(Driver {
                        clause: 0,
                        rows: 10,
                    });
                    pages(&connection, &query, &decided, limit)
                });
                assert_eq!(found[0], found[1], "{other:?} {descending} {limit}");
                assert_eq!(found[2], found[1], "{descending} {limit}");
                seen += found[0].len();
            }
        }
        assert!(seen > 400, "{seen}");
    }
}
