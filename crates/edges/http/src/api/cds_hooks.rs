//! CDS Hooks as the house runs them: whether they are on, and the clients whose calls are believed.

use app::cds_hooks::clients::{self as use_case, About, HookClient};
use app::cds_hooks::external::{self, HookService};
use app::cds_hooks::setting::{self, Setting};
use axum::response::Response;
use identity::{Jwk, UserState};
use kernel::{BranchId, ClientId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::users::states;
use super::{ProblemResponses, created, failed, id, input, json_answer, takes_json};
use crate::edge::{Arrival, EdgeError};
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    let hooks = "/t/{tenant}/api/v1/cds-hooks";
    let clients = "/t/{tenant}/api/v1/cds-clients";
    let one = "/t/{tenant}/api/v1/cds-clients/{id}";
    vec![
        Route::get(hooks, "cds-hooks", failed, show),
        Route::put(hooks, "cds-hooks-set", failed, set),
        Route::get(clients, "cds-clients", failed, list),
        Route::post(clients, "cds-client-create", failed, create),
        Route::put(one, "cds-client-change", failed, change),
        Route::post(
            "/t/{tenant}/api/v1/cds-clients/{id}/enable",
            "cds-client-enable",
            failed,
            enable,
        ),
        Route::post(
            "/t/{tenant}/api/v1/cds-clients/{id}/disable",
            "cds-client-disable",
            failed,
            disable,
        ),
        Route::get(
            "/t/{tenant}/api/v1/cds-services",
            "cds-services-elsewhere",
            failed,
            services,
        ),
        Route::put(
            "/t/{tenant}/api/v1/cds-services/{id}",
            "cds-service-put",
            failed,
            put_service,
        ),
    ]
}

/// Whether a tenant serves hooks.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CdsHooksSetting {
    /// Whether the services are there.
    enabled: bool,
    /// How many days a call is kept for replay, 1 to 3653.
    keep_days: u32,
}

impl From<Setting> for CdsHooksSetting {
    fn from(own: Setting) -> Self {
        Self {
            enabled: own.enabled,
            keep_days: own.keep_days,
        }
    }
}

/// A client of hooks to be registered, or what is registered of one from now on.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CdsClientInput {
    /// Its name, which the log shows; 1 to 120 characters.
    name: String,
    /// The `iss` of its tokens.
    issuer: String,
    /// The `tenant` claim that its tokens must have; none where any will do.
    #[serde(default)]
    tenant: Option<String>,
    /// Its public keys as JSON Web Keys (RFC 7517), with `kid` and `alg`; never a private part.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    keys: Vec<Jwk>,
    /// Where its public keys are fetched; the only `jku` that its tokens may name.
    #[serde(default)]
    keys_url: Option<String>,
    /// Ids of the services it may call; all where it is left out.
    #[serde(default)]
    services: Option<Vec<String>>,
    /// Whether its patients may be those of this record.
    #[serde(default)]
    record: bool,
    /// The branch whose patients it reaches then; all where it is left out.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    branch: Option<BranchId>,
    /// Origins of its browser clients, such as `https://ehr.example.org`.
    #[serde(default)]
    origins: Vec<String>,
}

impl From<CdsClientInput> for About {
    fn from(own: CdsClientInput) -> Self {
        Self {
            name: own.name,
            issuer: own.issuer,
            tenant: own.tenant,
            keys: own.keys,
            keys_url: own.keys_url,
            services: own.services,
            record: own.record,
            branch: own.branch,
            origins: own.origins,
        }
    }
}

/// A client of hooks.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CdsClientView {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
    /// The `iss` of its tokens.
    issuer: String,
    /// The `tenant` claim that its tokens must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// Ids of its public keys.
    keys: Vec<String>,
    /// Where its public keys are fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    keys_url: Option<String>,
    /// Ids of the services it may call; all where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    services: Option<Vec<String>>,
    /// Whether its patients may be those of this record.
    record: bool,
    /// The branch whose patients it reaches then.
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    /// Origins of its browser clients.
    origins: Vec<String>,
    /// Whether its calls are answered.
    #[schema(schema_with = states)]
    state: UserState,
    /// When it was registered.
    created: String,
}

impl From<HookClient> for CdsClientView {
    fn from(own: HookClient) -> Self {
        let about = own.about;
        Self {
            id: own.id.to_string(),
            name: about.name,
            issuer: about.issuer,
            tenant: about.tenant,
            keys: about.keys.into_iter().map(|own| own.kid).collect(),
            keys_url: about.keys_url,
            services: about.services,
            record: about.record,
            branch: about.branch.map(|own| own.to_string()),
            origins: about.origins,
            state: own.state,
            created: own.created.to_string(),
        }
    }
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/cds-hooks", tag = "cds-hooks",
    params(("tenant" = String, Path)),
    responses((status = 200, description = "the setting", body = CdsHooksSetting), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn show(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let found = setting::read(arrival.app(), &caller).await?;
    json_answer(&CdsHooksSetting::from(found))
}

#[utoipa::path(
    put, path = "/t/{tenant}/api/v1/cds-hooks", tag = "cds-hooks",
    params(("tenant" = String, Path)), request_body = CdsHooksSetting,
    responses((status = 200, description = "the setting from now on", body = CdsHooksSetting), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn set(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: CdsHooksSetting = input(&mut arrival).await?;
    let new = Setting {
        enabled: wanted.enabled,
        keep_days: wanted.keep_days,
    };
    let changed = setting::change(arrival.app(), &caller, new).await?;
    json_answer(&CdsHooksSetting::from(changed))
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/cds-clients", tag = "cds-hooks",
    params(("tenant" = String, Path)),
    responses((status = 200, description = "the clients, by name", body = Vec<CdsClientView>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn list(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let found = use_case::list(arrival.app(), &caller).await?;
    json_answer(
        &found
            .into_iter()
            .map(CdsClientView::from)
            .collect::<Vec<_>>(),
    )
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/cds-clients", tag = "cds-hooks",
    params(("tenant" = String, Path)), request_body = CdsClientInput,
    responses((status = 201, description = "the client", body = CdsClientView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn create(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: CdsClientInput = input(&mut arrival).await?;
    let made = use_case::create(arrival.app(), &caller, wanted.into()).await?;
    created(&CdsClientView::from(made))
}

#[utoipa::path(
    put, path = "/t/{tenant}/api/v1/cds-clients/{id}", tag = "cds-hooks",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = CdsClientInput,
    responses((status = 200, description = "the client from now on", body = CdsClientView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn change(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, client): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let wanted: CdsClientInput = input(&mut arrival).await?;
    let changed = use_case::change(arrival.app(), &caller, id(&client)?, wanted.into()).await?;
    json_answer(&CdsClientView::from(changed))
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/cds-clients/{id}/enable", tag = "cds-hooks",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the client, whose calls are answered", body = CdsClientView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn enable(arrival: Arrival) -> Result<Response, EdgeError> {
    set_state(arrival, UserState::Active).await
}

#[utoipa::path(
    post, path = "/t/{tenant}/api/v1/cds-clients/{id}/disable", tag = "cds-hooks",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, description = "the client, whose calls are refused", body = CdsClientView), ProblemResponses),
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
    json_answer(&CdsClientView::from(changed))
}

/// A service elsewhere, as it is registered.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CdsServiceInput {
    /// Its name; 1 to 120 characters.
    name: String,
    /// The address that its `cds-services` is below.
    base: String,
    /// Its id there.
    service: String,
    /// Milliseconds that it may take, 50 to 3000.
    budget_ms: u32,
    /// The name of the file with its bearer token; none where it wants none.
    #[serde(default)]
    secret: Option<String>,
    /// Whether it is asked.
    active: bool,
}

/// A service elsewhere.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CdsServiceView {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
    /// The address that its `cds-services` is below.
    base: String,
    /// Its id there.
    service: String,
    /// Milliseconds that it may take.
    budget_ms: u32,
    /// The name of the file with its bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// Whether it is asked.
    active: bool,
    /// The hook it is called at.
    hook: String,
    /// Keys of what it wants beforehand.
    prefetch: Vec<String>,
}

impl From<HookService> for CdsServiceView {
    fn from(own: HookService) -> Self {
        Self {
            id: own.id,
            name: own.name,
            base: own.base,
            service: own.service,
            budget_ms: own.budget_ms,
            secret: own.secret,
            active: own.active,
            hook: own.hook,
            prefetch: own.prefetch.into_iter().map(|(key, _)| key).collect(),
        }
    }
}

#[utoipa::path(
    get, path = "/t/{tenant}/api/v1/cds-services", tag = "cds-hooks",
    params(("tenant" = String, Path)),
    responses((status = 200, description = "the services elsewhere, by id", body = Vec<CdsServiceView>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn services(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    takes_json(&arrival)?;
    let found = external::list(arrival.app(), &caller).await?;
    json_answer(
        &found
            .into_iter()
            .map(CdsServiceView::from)
            .collect::<Vec<_>>(),
    )
}

#[utoipa::path(
    put, path = "/t/{tenant}/api/v1/cds-services/{id}", tag = "cds-hooks",
    params(("tenant" = String, Path), ("id" = String, Path, description = "lower-case letters, digits and dashes")), request_body = CdsServiceInput,
    responses((status = 200, description = "the service, registered or changed", body = CdsServiceView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn put_service(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let (tenant, id): (String, String) = arrival.path().await?;
    let caller = arrival.caller(&tenant).await?;
    let new: CdsServiceInput = input(&mut arrival).await?;
    let own = HookService {
        id,
        name: new.name,
        base: new.base,
        service: new.service,
        budget_ms: new.budget_ms,
        secret: new.secret,
        active: new.active,
        hook: String::new(),
        prefetch: Vec::new(),
    };
    let own = external::put(arrival.app(), &caller, own).await?;
    json_answer(&CdsServiceView::from(own))
}
