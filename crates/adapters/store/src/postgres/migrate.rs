//! The schema, made and moved forward by the owner's role. The version stands in the schema's comment.
//! Must not run as the application, and never backwards.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::connect::config;
use super::failure::failed;
use crate::port::error::StoreError;

const MIGRATIONS: [&str; 2] = [include_str!("schema-1.sql"), include_str!("schema-2.sql")];
const ATTEMPTS: u32 = 20;

/// What is wrong with the application's role, seen from its own connection.
const ROLE_CHECK: &str = "SELECT r.rolsuper OR r.rolbypassrls OR EXISTS (
       SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname IN ('theriac', 'theriac_keys') AND pg_has_role(r.oid, c.relowner, 'USAGE')),
     coalesce(obj_description(to_regnamespace('theriac')::oid, 'pg_namespace'), '0')
   FROM pg_roles r WHERE r.rolname = current_user";

/// Brings a database to the newest schema and grants the application its rights.
pub(super) async fn migrate(
    owner: &str,
    application: &str,
    database: Option<&str>,
) -> Result<(), StoreError> {
    let (known, _) = config(application, None)?;
    let role = known.get_user().unwrap_or("theriac").to_owned();
    let (client, name) = connect(owner, database).await?;
    for _ in 0..ATTEMPTS {
        let found = version(&client, &name).await?;
        let Some(next) = MIGRATIONS.get(found as usize) else {
            break;
        };
        match step(&client, &role, next, found + 1).await {
            Ok(()) => {}
            // Another replica migrates too: look again.
            Err(error) if is_race(&error) => {
                tokio::time::sleep(core::time::Duration::from_millis(200)).await;
            }
            Err(error) => return Err(migration_failed(&name, &error)),
        }
    }
    Ok(())
}

/// Makes a database of its own for a tenant, where it is not there yet.
pub(super) async fn create_database(owner: &str, database: &str) -> Result<(), StoreError> {
    let (client, name) = connect(owner, None).await?;
    match client
        .batch_execute(&format!("CREATE DATABASE {}", quoted(database)))
        .await
    {
        Ok(()) => Ok(()),
        Err(error) if error.code() == Some(&SqlState::DUPLICATE_DATABASE) || is_race(&error) => {
            Ok(())
        }
        Err(error) => Err(migration_failed(&name, &error)),
    }
}

/// Refuses a schema from the future, one that is missing, and a role that could look over the wall.
pub(super) async fn check(application: &str, database: Option<&str>) -> Result<(), StoreError> {
    let (client, name) = connect(application, database).await?;
    let row = client
        .query_one(ROLE_CHECK, &[])
        .await
        .map_err(|error| failed(&name, &error))?;
    let (may_bypass, found): (bool, String) = (row.get(0), row.get(1));
    if may_bypass {
        return Err(StoreError::Engine(format!(
            "the application's role may bypass row-level security in database {name}: use a role that is no superuser and owns no table"
        )));
    }
    let (found, known) = (found.parse().unwrap_or(0), MIGRATIONS.len() as u32);
    if found > known {
        return Err(StoreError::NewerSchema {
            place: format!("database {name}"),
            found,
            known,
        });
    }
    if found < known {
        return Err(StoreError::Engine(format!(
            "database {name} has schema {found} of {known}: give the owner's connection to migrate it"
        )));
    }
    Ok(())
}

async fn connect(text: &str, database: Option<&str>) -> Result<(Client, String), StoreError> {
    let (config, tls) = config(text, database)?;
    let name = config
        .get_dbname()
        .or(config.get_user())
        .unwrap_or("unnamed")
        .to_owned();
    let (client, connection) = config
        .connect(tls)
        .await
        .map_err(|error| failed(&name, &error))?;
    // Ends when the client is dropped.
    tokio::spawn(connection);
    Ok((client, name))
}

async fn version(client: &Client, name: &str) -> Result<u32, StoreError> {
    let sql =
        "SELECT coalesce(obj_description(to_regnamespace('theriac')::oid, 'pg_namespace'), '0')";
    let row = client
        .query_one(sql, &[])
        .await
        .map_err(|error| failed(name, &error))?;
    let found = row.get::<_, String>(0).parse().unwrap_or(0);
    let known = MIGRATIONS.len() as u32;
    if found > known {
        Err(StoreError::NewerSchema {
            place: format!("database {name}"),
            found,
            known,
        })
    } else {
        Ok(found)
    }
}

async fn step(
    client: &Client,
    role: &str,
    sql: &str,
    to: u32,
) -> Result<(), tokio_postgres::Error> {
    let literal = role.replace('\'', "''");
    let make_role = format!(
        "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{literal}') \
         THEN CREATE ROLE {} LOGIN; END IF; END $$;",
        quoted(role)
    );
    let sql = sql
        .replace("{app}", &quoted(role))
        .replace("{links}", &crate::index::link_list());
    let all = format!("BEGIN; {make_role} {sql} COMMENT ON SCHEMA theriac IS '{to}'; COMMIT;");
    let done = client.batch_execute(&all).await;
    if done.is_err() {
        let _ = client.batch_execute("ROLLBACK").await;
    }
    done
}

fn is_race(error: &tokio_postgres::Error) -> bool {
    let races = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
        SqlState::DUPLICATE_SCHEMA,
        SqlState::OBJECT_IN_USE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    error.code().is_some_and(|code| races.contains(code))
}

/// A migration holds no patient data: what the server said helps.
fn migration_failed(name: &str, error: &tokio_postgres::Error) -> StoreError {
    match error.as_db_error() {
        Some(said) if failed(name, error).to_string().contains("SQLSTATE") => StoreError::Engine(
            format!("database {name} could not be migrated: {}", said.message()),
        ),
        _ => failed(name, error),
    }
}

/// An identifier, quoted.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
