//! API clients: programs with roles, scopes and public keys.

use app::admin::clients::{self as use_case, NewClient};
use axum::response::Response;
use identity::{
    ApiClient, Interaction, InteractionSet, Jwk, RoleAssignment, Scope, Types, UserState,
};
use kernel::ClientId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::users::{RoleGrant, states};
use super::{ProblemResponses, created, failed, id, input, json_answer, takes_json};
use crate::edge::{Arrival, EdgeError};
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    vec![
        Route::get("/t/{tenant}/api/v1/clients", "clients-list", failed, list),
        Route::post(
            "/t/{tenant}/api/v1/clients",
            "client-create",
            failed,
            create,
        ),
        Route::post(
            "/t/{tenant}/api/v1/clients/{id}/enable",
            "client-enable",
            failed,
            enable,
        ),
        Route::post(
            "/t/{tenant}/api/v1/clients/{id}/disable",
            "client-disable",
            failed,
            disable,
        ),
        Route::put(
            "/t/{tenant}/api/v1/clients/{id}/scopes",
            "client-scopes",
            failed,
            set_scopes,
        ),
        Route::put(
            "/t/{tenant}/api/v1/clients/{id}/keys",
            "client-keys",
            failed,
            set_keys,
        ),
    ]
}

fn operations() -> utoipa::openapi::schema::Schema {
    super::one_of(
        Interaction::OPERATIONS
            .iter()
            .map(|operation| operation.as_str()),
    )
}

fn operation_list() -> utoipa::openapi::schema::Schema {
    utoipa::openapi::schema::ArrayBuilder::new()
        .items(utoipa::openapi::RefOr::T(operations()))
        .build()
        .into()
}

/// What may be done with resources.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScopeGrant {
    /// The resource types; every one where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    types: Option<Vec<String>>,
    /// Letters: r read, s search, h history, c create, u update, d delete.
    #[schema(value_type = String, example = "rs")]
    interactions: InteractionSet,
}

impl From<Scope> for ScopeGrant {
    fn from(scope: Scope) -> Self {
        let types = match scope.types {
            Types::All => None,
            Types::Named(names) => Some(names),
        };
        Self {
            types,
            interactions: scope.interactions,
        }
    }
}

impl From<ScopeGrant> for Scope {
    fn from(grant: ScopeGrant) -> Self {
        Self {
            types: grant.types.map_or(Types::All, Types::Named),
            interactions: grant.interactions,
        }
    }
}

/// A client.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientView {
    /// Its id: `iss` and `sub` of its assertions.
    id: String,
    /// Its name for people.
    name: String,
    /// Its roles.
    roles: Vec<RoleGrant>,
    /// What it may do with resources, within its roles.
    scopes: Vec<ScopeGrant>,
    /// Which operations it may do, within its roles.
    #[schema(schema_with = operation_list)]
    operations: Vec<Interaction>,
    /// Ids of its public keys.
    keys: Vec<String>,
    /// Whether it may sign in.
    #[schema(schema_with = states)]
    state: UserState,
    /// When it was made.
    created: String,
}

impl From<ApiClient> for ClientView {
    fn from(client: ApiClient) -> Self {
        Self {
            id: client.id.to_string(),
            name: client.name,
            roles: client.roles.into_iter().map(RoleGrant::from).collect(),
            scopes: client.scopes.into_iter().map(ScopeGrant::from).collect(),
            operations: client.operations,
            keys: client.jwks.into_iter().map(|key| key.kid).collect(),
            state: client.state,
            created: client.created.to_string(),
        }
    }
}

/// A client to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientInput {
    /// Its name, unique in the tenant; 1 to 120 characters.
    name: String,
    /// Its roles.
    roles: Vec<RoleGrant>,
    /// What it may do with resources, within its roles.
    #[serde(default)]
    scopes: Vec<ScopeGrant>,
    /// Which operations it may do, within its roles.
    #[serde(default)]
    #[schema(schema_with = operation_list)]
    operations: Vec<Interaction>,
    /// Its public keys as JSON Web Keys (RFC 7517), with `kid` and `alg`; never a private part.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    keys: Vec<Jwk>,
}

/// Other scopes and operations for a client.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScopesInput {
    /// What it may do with resources from now on.
    scopes: Vec<ScopeGrant>,
    /// Which operations it may do from now on.
    #[serde(default)]
    #[schema(schema_with = operation_list)]
    operations: Vec<Interaction>,
}

/// Other keys for a client.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeysInput {
    /// All its public keys from now on, as JSON Web Keys (RFC 7517).
    #[schema(value_type = Vec<Object>)]
    keys: Vec<Jwk>,
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/clients", tag = "clients",
    params(("tenant" = String, Path)),
    responses((status = 200, description = "the clients, by name", body = Vec<ClientView>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn list(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let found = use_case::list(arrival.app(), &caller).await?;
    json_answer(&found.into_iter().map(ClientView::from).collect::<Vec<_>>())
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/clients", tag = "clients",
    params(("tenant" = String, Path)), request_body = ClientInput,
    responses((status = 201, description = "the client", body = ClientView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn create(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: ClientInput = input(&mut arrival).await?;
    let new = NewClient {
        name: wanted.name,
        roles: wanted.roles.into_iter().map(RoleAssignment::from).collect(),
        scopes: wanted.scopes.into_iter().map(Scope::from).collect(),
        operations: wanted.operations,
        jwks: wanted.keys,
    };
    let made = use_case::create(arrival.app(), &caller, new).await?;
    created(&ClientView::from(made))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/clients/{id}/enable", tag = "clients",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the client, which may sign in", body = ClientView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn enable(arrival: Arrival) -> Result<Response, EdgeError> {
    set_state(arrival, UserState::Active).await
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/clients/{id}/disable", tag = "clients",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the client, which may not sign in", body = ClientView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn disable(arrival: Arrival) -> Result<Response, EdgeError> {
    set_state(arrival, UserState::Suspended).await
}

async fn set_state(mut arrival: Arrival, state: UserState) -> Result<Response, EdgeError> {
    let (tenant, client): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let client: ClientId = id(&client)?;
    let changed = use_case::set_state(arrival.app(), &caller, client, state).await?;
    json_answer(&ClientView::from(changed))
}

#[utoipa::path(
    put, path = "/t/{tenant}/api/v1/clients/{id}/scopes", tag = "clients",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = ScopesInput,
    responses((status = 200, description = "the client with these scopes", body = ClientView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn set_scopes(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, client): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: ScopesInput = input(&mut arrival).await?;
    let scopes = wanted.scopes.into_iter().map(Scope::from).collect();
    let (app, operations) = (arrival.app(), wanted.operations);
    let changed = use_case::set_scopes(app, &caller, id(&client)?, scopes, operations).await?;
    json_answer(&ClientView::from(changed))
}

#[utoipa::path(
    put, path = "/t/{tenant}/api/v1/clients/{id}/keys", tag = "clients",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = KeysInput,
    responses((status = 200, description = "the client with these keys", body = ClientView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn set_keys(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, client): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: KeysInput = input(&mut arrival).await?;
    let changed = use_case::set_keys(arrival.app(), &caller, id(&client)?, wanted.keys).await?;
    json_answer(&ClientView::from(changed))
}
