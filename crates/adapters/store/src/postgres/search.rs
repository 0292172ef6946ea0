//! Runs planned searches. Must not decide how: that is `crate::query`'s.

use deadpool_postgres::{Object, Transaction};
use kernel::{LogicalId, RowId, TenantId, VersionId};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use super::connect::{Database, within};
use super::keys::Keyring;
use super::read::{kind_of, open_version};
use super::writer::storable;
use crate::port::change::ChangeKind;
use crate::port::error::StoreError;
use crate::port::resource::{PageBytes, ResourceKey};
use crate::port::search::{Position, PositionValue, SearchPage, SearchPlan, Sort, SortKey, Total};
use crate::query::plan::{FEW, Query, RARE, Strategy};
use crate::query::render::{self, Bind, Dialect, Sql};

// In the order of the page, those that begin before so many stored bytes; packed bodies are smaller than
// what they become, so that none is missed.
const BODIES: &str = "SELECT vid, body FROM (
   SELECT v.vid, v.body, sum(s.bytes) OVER (ORDER BY w.place) - s.bytes AS before
   FROM unnest($2::bigint[]) WITH ORDINALITY AS w (vid, place) JOIN ver v ON v.tn = $1 AND v.vid = w.vid
   CROSS JOIN LATERAL (SELECT coalesce(octet_length(v.body), 0) AS bytes) s
 ) AS sized WHERE before < $3";

/// How PostgreSQL writes what differs; the tenant is written into every condition, so that the planner
/// sees it beside the policy.
pub(super) struct Postgres(pub(super) TenantId);

impl Dialect for Postgres {
    fn place(&self, n: usize) -> String {
        format!("${}", n + 1)
    }
    fn tenant(&self, alias: &str) -> String {
        format!("{alias}.tn = '{}' AND ", self.0)
    }
    fn ordered_join(&self, table: &str, alias: &str, on: &str) -> String {
        format!("JOIN {table} {alias} ON {on}")
    }
    fn contains(&self, column: &str, place: &str) -> String {
        format!("strpos({column}, {place}) > 0")
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

/// What a search found, before anything is opened.
struct Found {
    items: Vec<Item>,
    bodies: Vec<(i64, Option<Vec<u8>>)>,
    total: Option<u64>,
}

/// A page of matches with their bodies, and the total where asked.
pub(super) async fn search(
    db: &Database,
    keys: &Keyring,
    tenant: TenantId,
    plan: &SearchPlan,
    limit_ms: u128,
) -> Result<SearchPage, StoreError> {
    let query = Query::new(keys.keys.hasher(), plan)?;
    let mut connection = db.connection().await?;
    let found = find(&mut connection, tenant, (plan, &query), limit_ms).await;
    drop(connection);
    let Found {
        mut items,
        bodies,
        total,
    } = found.map_err(|error| db.failed(&error))?;
    let wanted = plan.count as usize;
    let found = items.len();
    items.truncate(wanted);
    let mut last = None;
    let mut bytes = PageBytes::new(plan.bytes);
    let mut matches = Vec::with_capacity(items.len());
    for item in items {
        let id: LogicalId = item.fid.parse().map_err(|_| damaged_id())?;
        let key = ResourceKey { ty: query.ty, id };
        let missing = || StoreError::Damaged {
            place: "ver".to_owned(),
            detail: "the version of a head is missing".to_owned(),
        };
        let at = bodies
            .binary_search_by_key(&item.vid, |(vid, _)| *vid)
            .map_err(|_| missing())?;
        let stored = bodies.get(at).and_then(|(_, body)| body.as_deref());
        matches.push(
            open_version(
                keys,
                key,
                item.rid,
                item.version,
                RowId(item.vid),
                item.kind,
                stored,
            )
            .await?,
        );
        last = Some((item.value, item.rid));
        // Bodies beyond the budget were not fetched.
        if matches.last().is_some_and(|version| !bytes.counts(version))
            || matches.len() == bodies.len()
        {
            break;
        }
    }
    let more = found > matches.len();
    let next = last.filter(|_| more);
    Ok(SearchPage {
        matches,
        next: next.map(|(value, row)| Position {
            values: vec![value],
            row,
        }),
        total,
    })
}

/// In one transaction under the time limit: what to do, the total, one item more than the page, bodies.
async fn find(
    connection: &mut Object,
    tenant: TenantId,
    (plan, query): (&SearchPlan, &Query),
    limit_ms: u128,
) -> Result<Found, Error> {
    let transaction = connection
        .build_transaction()
        .read_only(true)
        .start()
        .await?;
    let setting = format!(
        "{}; SET LOCAL statement_timeout = {limit_ms}",
        within(tenant)
    );
    transaction.batch_execute(&setting).await?;
    let strategy = strategy(&transaction, tenant, query).await?;
    let total = match plan.total {
        Total::None => None,
        Total::Estimate | Total::Accurate => Some(
            number(
                &transaction,
                &render::total(&Postgres(tenant), query, strategy),
            )
            .await?,
        ),
    };
    let items = match u64::from(plan.count) {
        0 => Vec::new(),
        count => page(&transaction, tenant, query, strategy, count + 1).await?,
    };
    let vids: Vec<i64> = items.iter().map(|item| item.vid).collect();
    let bodies = bodies(&transaction, tenant, &vids, plan.bytes).await?;
    transaction.commit().await?;
    Ok(Found {
        items,
        bodies,
        total,
    })
}

/// The bodies of versions in the order of a page, sorted by version, as far as `most` bytes go: the
/// first is always among them.
pub(super) async fn bodies(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    vids: &[i64],
    most: usize,
) -> Result<Vec<(i64, Option<Vec<u8>>)>, Error> {
    if vids.is_empty() {
        return Ok(Vec::new());
    }
    let most = i64::try_from(most.max(1)).unwrap_or(i64::MAX);
    let statement = transaction.prepare_cached(BODIES).await?;
    let rows = transaction
        .query(&statement, &[&tenant.as_uuid(), &vids, &most])
        .await?;
    let mut bodies: Vec<(i64, Option<Vec<u8>>)> =
        rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    bodies.sort_unstable_by_key(|(vid, _)| *vid);
    Ok(bodies)
}

pub(super) fn damaged_id() -> StoreError {
    StoreError::Damaged {
        place: "res".to_owned(),
        detail: "an id is malformed".to_owned(),
    }
}

/// Whether a guard's criteria match the rows it has seen and no others. Runs inside the writer's
/// transaction.
pub(super) async fn matches_exactly(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    query: &Query,
    seen: &[RowId],
) -> Result<bool, Error> {
    let query = Query {
        sort: Sort {
            key: SortKey::Row,
            descending: false,
        },
        after: None,
        ..query.clone()
    };
    let strategy = strategy(transaction, tenant, &query).await?;
    let found = page(transaction, tenant, &query, strategy, seen.len() as u64 + 1).await?;
    Ok(found.iter().map(|item| item.rid).eq(seen.iter().copied()))
}

async fn strategy(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    query: &Query,
) -> Result<Strategy, Error> {
    let mut estimates = Vec::new();
    let mut least = RARE;
    for (at, clause) in query.candidates() {
        let rows = if clause.is_one_row() {
            1
        } else {
            number(
                transaction,
                &render::estimate(&Postgres(tenant), clause, least),
            )
            .await?
        };
        estimates.push((at, rows));
        least = least.min(rows);
        if least <= FEW {
            break;
        }
    }
    Ok(query.strategy(&estimates))
}

async fn number(transaction: &Transaction<'_>, sql: &Sql) -> Result<u64, Error> {
    let rows = run(transaction, sql).await?;
    Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0) as u64))
}

/// Values as they are sent: texts without what PostgreSQL cannot hold.
pub(super) fn parameters(binds: &[Bind]) -> Vec<(Box<dyn ToSql + Sync + Send>, Type)> {
    binds
        .iter()
        .map(|bind| match bind {
            Bind::Int(value) => (Box::new(*value) as Box<dyn ToSql + Sync + Send>, Type::INT8),
            Bind::Text(text) => (
                Box::new(storable(text)) as Box<dyn ToSql + Sync + Send>,
                Type::TEXT,
            ),
        })
        .collect()
}

/// Runs a rendered statement; not kept prepared, for its texts are many.
pub(super) async fn run(transaction: &Transaction<'_>, sql: &Sql) -> Result<Vec<Row>, Error> {
    let values = parameters(&sql.binds);
    let values: Vec<(&(dyn ToSql + Sync), Type)> = values
        .iter()
        .map(|(value, ty)| (&**value as &(dyn ToSql + Sync), ty.clone()))
        .collect();
    transaction.query_typed(&sql.text, &values).await
}

async fn page(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    query: &Query,
    strategy: Strategy,
    limit: u64,
) -> Result<Vec<Item>, Error> {
    let dialect = Postgres(tenant);
    let walks_values = strategy == Strategy::Walk
        && matches!(query.sort.key, SortKey::Range(_) | SortKey::Text(_));
    if !walks_values {
        return items(
            transaction,
            query,
            &render::page(&dialect, query, strategy, limit),
        )
        .await;
    }
    // First what has a value, in its order; then what has none.
    let past_values = query
        .after
        .as_ref()
        .is_some_and(|after| after.value.is_none());
    let mut found = if past_values {
        Vec::new()
    } else {
        items(
            transaction,
            query,
            &render::page(&dialect, query, strategy, limit),
        )
        .await?
    };
    let rest = limit - found.len() as u64;
    if rest > 0 {
        found.extend(
            items(
                transaction,
                query,
                &render::page_without_value(&dialect, query, rest),
            )
            .await?,
        );
    }
    Ok(found)
}

async fn items(
    transaction: &Transaction<'_>,
    query: &Query,
    sql: &Sql,
) -> Result<Vec<Item>, Error> {
    let rows = run(transaction, sql).await?;
    rows.iter()
        .map(|row| {
            Ok(Item {
                rid: RowId(row.try_get(0)?),
                version: VersionId(row.try_get::<_, i32>(1)? as u32),
                vid: row.try_get(2)?,
                kind: kind_of(row.try_get(3)?),
                fid: row.try_get(4)?,
                value: value(query, row)?,
            })
        })
        .collect()
}

fn value(query: &Query, row: &Row) -> Result<Option<PositionValue>, Error> {
    let is_number = row
        .columns()
        .get(5)
        .is_some_and(|column| *column.type_() == Type::INT8);
    Ok(match query.sort.key {
        SortKey::Row => None,
        _ if is_number => row.try_get::<_, Option<i64>>(5)?.map(PositionValue::Number),
        _ => row
            .try_get::<_, Option<String>>(5)?
            .map(PositionValue::Text),
    })
}
