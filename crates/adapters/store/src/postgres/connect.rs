//! Connections: one pool per database, every transaction within one tenant. Must not hand out a
//! connection outside of a tenant's transaction.

use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Transaction,
};
use kernel::TenantId;
use tokio_postgres::{Config, Row, Statement, types::ToSql};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::failed;
use super::tls;
use crate::port::error::StoreError;

const SESSION: &str = "SET search_path TO theriac, theriac_keys; SET synchronous_commit TO on; \
     SET idle_in_transaction_session_timeout TO '30s'; SET lock_timeout TO '10s'; \
     SET statement_timeout TO '60s'; SET jit TO off";
/// How long a caller waits for a free connection, and a new connection for the server.
const PATIENCE: Duration = Duration::from_secs(10);

/// A value bound to a statement.
pub(super) type Value<'a> = &'a (dyn ToSql + Sync);

/// A database and the application's connections to it.
pub(super) struct Database {
    pub(super) name: String,
    pool: Pool,
}

/// Reads a connection string; the error does not repeat it.
pub(super) fn config(
    text: &str,
    database: Option<&str>,
) -> Result<(Config, MakeRustlsConnect), StoreError> {
    let (mut config, tls) = tls::read(text)?;
    config
        .connect_timeout(PATIENCE)
        .keepalives_idle(PATIENCE)
        .tcp_user_timeout(2 * PATIENCE)
        .application_name("theriac");
    if let Some(database) = database {
        config.dbname(database);
    }
    Ok((config, tls))
}

impl Database {
    /// Prepares the pool; connects nowhere yet.
    pub(super) fn new(
        application: &str,
        database: Option<&str>,
        connections: usize,
    ) -> Result<Self, StoreError> {
        let (config, tls) = config(application, database)?;
        let name = config
            .get_dbname()
            .or(config.get_user())
            .unwrap_or("unnamed")
            .to_owned();
        let manager = Manager::from_config(
            config,
            tls,
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let session = Hook::async_fn(|client: &mut deadpool_postgres::ClientWrapper, _| {
            Box::pin(async move {
                client
                    .batch_execute(SESSION)
                    .await
                    .map_err(HookError::Backend)
            })
        });
        let pool = Pool::builder(manager)
            .max_size(connections.max(4))
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .post_create(session)
            .build()
            .map_err(|error| StoreError::Engine(error.to_string()))?;
        Ok(Self { name, pool })
    }

    /// A connection, for transactions of [`begin`].
    pub(super) async fn connection(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                failed(&self.name, &error)
            }
            PoolError::Closed => StoreError::Closed,
            PoolError::Timeout(deadpool_postgres::TimeoutType::Wait) => StoreError::Busy,
            _ => StoreError::Unreachable {
                detail: format!("database {}: no connection in time", self.name),
            },
        })
    }

    /// One statement within a tenant's transaction, in one round trip. A connection that was lost costs one
    /// more attempt: nothing was written.
    pub(super) async fn query(
        &self,
        tenant: TenantId,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        match self.try_query(tenant, sql, values).await {
            Err(StoreError::Unreachable { .. }) => self.try_query(tenant, sql, values).await,
            answer => answer,
        }
    }

    async fn try_query(
        &self,
        tenant: TenantId,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let connection = self.connection().await?;
        let statement = self.prepare(&connection, sql).await?;
        let begin = format!("BEGIN READ ONLY; {}", within(tenant));
        let (begun, rows, ended) = tokio::join!(
            connection.batch_execute(&begin),
            connection.query(&statement, values),
            connection.batch_execute("COMMIT"),
        );
        begun
            .and(rows)
            .and_then(|rows| ended.map(|()| rows))
            .map_err(|error| failed(&self.name, &error))
    }

    /// Like [`Database::query`], for at most one row.
    pub(super) async fn query_one(
        &self,
        tenant: TenantId,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.query(tenant, sql, values).await?.into_iter().next())
    }

    /// One writing statement in a transaction of its own; answers how many rows it touched.
    pub(super) async fn execute(
        &self,
        tenant: TenantId,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        let mut connection = self.connection().await?;
        let transaction = begin(&mut connection, tenant)
            .await
            .map_err(|error| failed(&self.name, &error))?;
        let rows = transaction
            .execute(sql, values)
            .await
            .map_err(|error| failed(&self.name, &error))?;
        transaction
            .commit()
            .await
            .map_err(|error| failed(&self.name, &error))?;
        Ok(rows)
    }

    /// Connections in use now, and how many there may be.
    pub(super) fn in_use(&self) -> (u64, u64) {
        let status = self.pool.status();
        let in_use = status.size.saturating_sub(status.available);
        (in_use as u64, status.max_size as u64)
    }

    pub(super) fn failed(&self, error: &tokio_postgres::Error) -> StoreError {
        failed(&self.name, error)
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }

    async fn prepare(&self, connection: &Object, sql: &str) -> Result<Statement, StoreError> {
        connection
            .prepare_cached(sql)
            .await
            .map_err(|error| failed(&self.name, &error))
    }
}

/// Binds what follows to a tenant, until the transaction ends.
pub(super) fn within(tenant: TenantId) -> String {
    // A UUID needs no quoting.
    format!("SELECT set_config('theriac.tenant', '{tenant}', true)")
}

/// Begins a tenant's transaction.
pub(super) async fn begin(
    connection: &mut Object,
    tenant: TenantId,
) -> Result<Transaction<'_>, tokio_postgres::Error> {
    let transaction = connection.transaction().await?;
    transaction.batch_execute(&within(tenant)).await?;
    Ok(transaction)
}
