//! Runs planned searches. Must not decide how: that is `crate::query`'s.

use deadpool_postgres::{Object, Transaction};
use fhir::TypeId;
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
use crate::port::search::{
    Counting, Explanation, Position, PositionValue, SearchPage, SearchPlan, Sort, SortKey, Total,
};
use crate::query::explain::explain;
use crate::query::plan::{Decided, SAMPLE, estimated};
use crate::query::render::{self, Bind, Dialect, HEAD_COLUMNS, Sql};
use crate::query::{Guard, Planner, Query};

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
    ty: TypeId,
    values: Vec<Option<PositionValue>>,
}

/// What a search found, before anything is opened.
struct Found {
    items: Vec<Item>,
    bodies: Vec<(i64, Option<Vec<u8>>)>,
    total: Option<u64>,
    /// Why it was not run.
    refused: Option<StoreError>,
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
        refused,
    } = found.map_err(|error| db.failed(&error))?;
    if let Some(refused) = refused {
        return Err(refused);
    }
    let wanted = plan.count as usize;
    let found = items.len();
    items.truncate(wanted);
    let mut last = None;
    let mut bytes = PageBytes::new(plan.bytes);
    let mut matches = Vec::with_capacity(items.len());
    for item in items {
        let id: LogicalId = item.fid.parse().map_err(|_| damaged_id())?;
        let key = ResourceKey { ty: item.ty, id };
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
        last = Some(Position {
            values: item.values,
            row: item.rid,
        });
        // Bodies beyond the budget were not fetched.
        if matches.last().is_some_and(|version| !bytes.counts(version))
            || matches.len() == bodies.len()
        {
            break;
        }
    }
    let more = found > matches.len();
    Ok(SearchPage {
        matches,
        next: last.filter(|_| more),
        total,
    })
}

/// How a search would be run.
pub(super) async fn explained(
    db: &Database,
    keys: &Keyring,
    tenant: TenantId,
    (plan, counting): (&SearchPlan, Counting),
    limit_ms: u128,
) -> Result<Explanation, StoreError> {
    let query = Query::new(keys.keys.hasher(), plan)?;
    let mut connection = db.connection().await?;
    let explained = async {
        let transaction = begun(&mut connection, tenant, limit_ms).await?;
        let planner = Planner::counting(&query, counting);
        let decided = decide_by(&transaction, tenant, planner).await?;
        let dialect = Postgres(tenant);
        let mut sql = render::page(&dialect, &query, &decided, u64::from(plan.count) + 1);
        let statement = core::mem::take(&mut sql.text);
        // The engine's costs tell how many rows it expects.
        let costs = match counting {
            Counting::Exact => "",
            Counting::Coarse => "(COSTS OFF) ",
        };
        sql.text = format!("EXPLAIN {costs}{statement}");
        let rows = run(&transaction, &sql).await?;
        let guard = Guard::new(&query, &decided, plan).counting(counting);
        let guard = weigh(&transaction, tenant, guard).await?;
        transaction.commit().await?;
        let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        // The tenant stands in every condition; whoever asks knows it.
        Ok(explain(&query, &decided, &guard, (statement, &lines)))
    }
    .await;
    drop(connection);
    explained.map_err(|error: Error| db.failed(&error))
}

/// A reading transaction under the time limit.
async fn begun(
    connection: &mut Object,
    tenant: TenantId,
    limit_ms: u128,
) -> Result<Transaction<'_>, Error> {
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
    Ok(transaction)
}

/// In one transaction under the time limit: what to do, the total, one item more than the page, bodies.
async fn find(
    connection: &mut Object,
    tenant: TenantId,
    (plan, query): (&SearchPlan, &Query),
    limit_ms: u128,
) -> Result<Found, Error> {
    let transaction = begun(connection, tenant, limit_ms).await?;
    let decided = decide(&transaction, tenant, query).await?;
    let guard = Guard::new(query, &decided, plan);
    if let Err(refused) = weigh(&transaction, tenant, guard).await?.verdict() {
        transaction.commit().await?;
        return Ok(Found {
            items: Vec::new(),
            bodies: Vec::new(),
            total: None,
            refused: Some(refused),
        });
    }
    let total = match plan.total {
        Total::None => None,
        Total::Estimate => Some(estimate(&transaction, tenant, query, &decided).await?),
        Total::Accurate => {
            let sql = render::total(&Postgres(tenant), query, &decided);
            Some(number(&transaction, &sql).await?)
        }
    };
    let items = match u64::from(plan.count) {
        0 => Vec::new(),
        count => page(&transaction, tenant, query, &decided, count + 1).await?,
    };
    let vids: Vec<i64> = items.iter().map(|item| item.vid).collect();
    let bodies = bodies(&transaction, tenant, &vids, plan.bytes).await?;
    transaction.commit().await?;
    Ok(Found {
        items,
        bodies,
        total,
        refused: None,
    })
}

async fn weigh<'q>(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    mut guard: Guard<'q>,
) -> Result<Guard<'q>, Error> {
    let dialect = Postgres(tenant);
    while let Some(sql) = guard.question(&dialect) {
        guard.answer(number(transaction, &sql).await?);
    }
    Ok(guard)
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
    let query = query.ordered(Sort {
        key: SortKey::Row,
        descending: false,
    });
    let decided = decide(transaction, tenant, &query).await?;
    let found = page(transaction, tenant, &query, &decided, seen.len() as u64 + 1).await?;
    Ok(found.iter().map(|item| item.rid).eq(seen.iter().copied()))
}

async fn decide(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    query: &Query,
) -> Result<Decided, Error> {
    decide_by(transaction, tenant, Planner::new(query)).await
}

async fn decide_by(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    mut planner: Planner<'_>,
) -> Result<Decided, Error> {
    let dialect = Postgres(tenant);
    while let Some(sql) = planner.question(&dialect) {
        planner.answer(number(transaction, &sql).await?);
    }
    Ok(planner.decide())
}

async fn estimate(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    query: &Query,
    decided: &Decided,
) -> Result<u64, Error> {
    let dialect = Postgres(tenant);
    let rows = run(
        transaction,
        &render::sample(&dialect, query, decided, SAMPLE),
    )
    .await?;
    let (seen, matching) = rows.first().map_or((0, 0), |row| {
        (row.get::<_, i64>(0) as u64, row.get::<_, i64>(1) as u64)
    });
    if seen < SAMPLE {
        return Ok(matching);
    }
    let candidates = render::candidates(&dialect, query, decided);
    Ok(estimated(
        seen,
        matching,
        number(transaction, &candidates).await?,
    ))
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
    decided: &Decided,
    limit: u64,
) -> Result<Vec<Item>, Error> {
    let dialect = Postgres(tenant);
    let whole = || render::page(&dialect, query, decided, limit);
    if !render::walks_values(query, decided) {
        return items(transaction, query, &whole()).await;
    }
    // First what has a value, in its order; then what has none.
    let mut found = if render::is_past_values(query) {
        Vec::new()
    } else {
        items(transaction, query, &whole()).await?
    };
    let rest = limit - found.len() as u64;
    if rest > 0 {
        let sql = render::page_without_value(&dialect, query, decided, rest);
        found.extend(items(transaction, query, &sql).await?);
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
            let sorts = query.sort.iter().enumerate();
            Ok(Item {
                rid: RowId(row.try_get(0)?),
                version: VersionId(row.try_get::<_, i32>(1)? as u32),
                vid: row.try_get(2)?,
                kind: kind_of(row.try_get(3)?),
                fid: row.try_get(4)?,
                ty: TypeId(row.try_get::<_, i32>(5)? as u16),
                values: sorts
                    .map(|(at, sort)| value(sort.key, row, HEAD_COLUMNS + at))
                    .collect::<Result<_, _>>()?,
            })
        })
        .collect()
}

fn value(key: SortKey, row: &Row, at: usize) -> Result<Option<PositionValue>, Error> {
    Ok(match key {
        SortKey::Row => None,
        SortKey::Updated | SortKey::Range(_) => row
            .try_get::<_, Option<i64>>(at)?
            .map(PositionValue::Number),
        SortKey::Id | SortKey::Text(_) | SortKey::Code(_) | SortKey::Reference(_) => row
            .try_get::<_, Option<String>>(at)?
            .map(PositionValue::Text),
    })
}
