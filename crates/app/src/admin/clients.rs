//! API clients: programs with roles, scopes and public keys.

use identity::{ApiClient, Interaction, Jwk, RoleAssignment, Scope, UserState};
use kernel::ClientId;
use ledger::leaf::Class;
use store::{DocExpected, DocKind};

use crate::App;
use crate::admin::{Versioned, all, allow, changed, commit, load, write};
use crate::context::Caller;
use crate::error::AppError;

const NAME: &str = "name";

/// A client to be made.
#[derive(Debug, Clone)]
pub struct NewClient {
    /// Its name for people, unique in the tenant.
    pub name: String,
    /// Its roles.
    pub roles: Vec<RoleAssignment>,
    /// What it may do with resources, within its roles.
    pub scopes: Vec<Scope>,
    /// Which operations it may do, within its roles.
    pub operations: Vec<Interaction>,
    /// Its public keys.
    pub jwks: Vec<Jwk>,
}

/// The tenant's clients, by name.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<ApiClient>, AppError> {
    allow(app, caller, Interaction::ManageClients).await?;
    let found: Vec<Versioned<ApiClient>> = all(app, &caller.scope, DocKind::ApiClient).await?;
    let mut clients: Vec<ApiClient> = found.into_iter().map(|found| found.value).collect();
    clients.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(clients)
}

pub(crate) fn check_keys(keys: &[Jwk]) -> Result<(), AppError> {
    for (place, key) in keys.iter().enumerate() {
        key.check()
            .map_err(|error| AppError::Unprocessable(error.to_string()))?;
        if keys.iter().take(place).any(|other| other.kid == key.kid) {
            return Err(AppError::Unprocessable(format!(
                "key id {:?} is given twice: give each key its own",
                key.kid
            )));
        }
    }
    Ok(())
}

/// A client holds roles for programs only: with a person's role it could administer whoever made it.
fn check_roles(roles: &[RoleAssignment]) -> Result<(), AppError> {
    match roles.iter().find(|held| held.role.is_for_people()) {
        None => Ok(()),
        Some(held) => Err(AppError::Unprocessable(format!(
            "role {} is for people: give a client the role integration-service, and scopes that \
             narrow it",
            held.role
        ))),
    }
}

/// Makes a client.
pub async fn create(app: &App, caller: &Caller, new: NewClient) -> Result<ApiClient, AppError> {
    allow(app, caller, Interaction::ManageClients).await?;
    check_roles(&new.roles)?;
    check_keys(&new.jwks)?;
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 120 {
        return Err(AppError::Unprocessable(
            "a client's name has 1 to 120 characters: correct it".to_owned(),
        ));
    }
    let client = ApiClient {
        schema: Default::default(),
        tenant: caller.scope.tenant(),
        id: ClientId::from_uuid(app.ids().uuid()),
        name,
        roles: new.roles,
        scopes: new.scopes,
        operations: new.operations,
        jwks: new.jwks,
        state: UserState::Active,
        created: app.now(),
    };
    save(app, caller, &client, DocExpected::Absent, "client-create").await?;
    Ok(client)
}

/// Gives a client other scopes and operations.
pub async fn set_scopes(
    app: &App,
    caller: &Caller,
    id: ClientId,
    scopes: Vec<Scope>,
    operations: Vec<Interaction>,
) -> Result<ApiClient, AppError> {
    edit(app, caller, id, "client-scopes", |client| {
        client.scopes = scopes;
        client.operations = operations;
        Ok(())
    })
    .await
}

/// Gives a client other keys; the old ones stop counting at once.
pub async fn set_keys(
    app: &App,
    caller: &Caller,
    id: ClientId,
    keys: Vec<Jwk>,
) -> Result<ApiClient, AppError> {
    edit(app, caller, id, "client-keys", |client| {
        check_keys(&keys)?;
        client.jwks = keys;
        Ok(())
    })
    .await
}

/// Suspends or readmits a client.
pub async fn set_state(
    app: &App,
    caller: &Caller,
    id: ClientId,
    state: UserState,
) -> Result<ApiClient, AppError> {
    edit(app, caller, id, "client-state", |client| {
        client.state = state;
        Ok(())
    })
    .await
}

async fn edit(
    app: &App,
    caller: &Caller,
    id: ClientId,
    what: &'static str,
    change: impl FnOnce(&mut ApiClient) -> Result<(), AppError>,
) -> Result<ApiClient, AppError> {
    allow(app, caller, Interaction::ManageClients).await?;
    let found: Option<Versioned<ApiClient>> =
        load(app, &caller.scope, DocKind::ApiClient, &id.to_string()).await?;
    let found = found.ok_or_else(|| AppError::not_found("client"))?;
    let mut client = found.value;
    change(&mut client)?;
    let expected = DocExpected::Version(found.version);
    save(app, caller, &client, expected, what).await?;
    Ok(client)
}

async fn save(
    app: &App,
    caller: &Caller,
    client: &ApiClient,
    expected: DocExpected,
    what: &'static str,
) -> Result<(), AppError> {
    let lookups = vec![(NAME, client.name.to_lowercase())];
    let doc = write(
        app,
        DocKind::ApiClient,
        client.id,
        expected,
        client,
        lookups,
    )?;
    let entry = changed(app, caller, Class::Client, what, client.name.clone());
    commit(app, &caller.scope, doc, entry).await?;
    app.caches().principals.forget_tenant(caller.scope.tenant());
    Ok(())
}
