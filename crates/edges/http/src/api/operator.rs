//! Tenants of the instance, for its operators; they sign in to the instance's own tenant.

use app::AppError;
use app::admin::tenants::{self as use_case, NewTenant};
use app::init::INSTANCE_SLUG;
use axum::response::Response;
use identity::{DeletionMode, Placement, ReferenceMode, Tenant, TenantState, ValidationMode};
use kernel::{TenantSlug, ZoneName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::users::MadeUserView;
use super::{ProblemResponses, created, failed, id, input, json_answer, takes_json};
use crate::edge::{Arrival, EdgeError};
use crate::routing::Route;

pub(super) fn table() -> Vec<Route> {
    vec![
        Route::get("/operator/api/v1/tenants", "tenants-list", failed, list),
        Route::post("/operator/api/v1/tenants", "tenant-create", failed, create),
        Route::put(
            "/operator/api/v1/tenants/{slug}/state",
            "tenant-state",
            failed,
            set_state,
        ),
        Route::put(
            "/operator/api/v1/tenants/{slug}/time-zone",
            "tenant-time-zone",
            failed,
            set_time_zone,
        ),
        Route::put(
            "/operator/api/v1/tenants/{slug}/references",
            "tenant-references",
            failed,
            set_references,
        ),
        Route::put(
            "/operator/api/v1/tenants/{slug}/deletions",
            "tenant-deletions",
            failed,
            set_deletions,
        ),
        Route::put(
            "/operator/api/v1/tenants/{slug}/validation",
            "tenant-validation",
            failed,
            set_validation,
        ),
    ]
}

fn states() -> utoipa::openapi::schema::Schema {
    super::one_of(["active", "suspended", "closed"])
}

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantView {
    /// Its id.
    id: String,
    /// Its name in addresses.
    slug: String,
    /// Its name for people.
    name: String,
    /// Where its data lies.
    placement: PlacementView,
    /// The region its data must stay in.
    region: String,
    /// Whether it is served.
    #[schema(schema_with = states)]
    state: TenantState,
    /// The IANA name of the zone its times are shown in; null: the instance's.
    time_zone: Option<String>,
    /// Whether references must point to something; null: not looked at.
    #[schema(schema_with = reference_modes)]
    references: Option<ReferenceMode>,
    /// How many resources a conditional delete may take away; null: one.
    #[schema(schema_with = deletion_modes)]
    deletions: Option<DeletionMode>,
    /// Whether writes are held to profiles; null: as the instance says.
    #[schema(schema_with = validation_modes)]
    validation: Option<ValidationMode>,
    /// When it was made.
    created: String,
}

/// Where a tenant's data lies.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum PlacementView {
    /// A file of its own.
    File,
    /// The shared database.
    Shared,
    /// A database of its own.
    Dedicated {
        /// Its name in the configuration.
        database: String,
    },
}

impl From<Placement> for PlacementView {
    fn from(placement: Placement) -> Self {
        match placement {
            Placement::File => Self::File,
            Placement::Shared => Self::Shared,
            Placement::Dedicated { database } => Self::Dedicated { database },
        }
    }
}

impl From<PlacementView> for Placement {
    fn from(placement: PlacementView) -> Self {
        match placement {
            PlacementView::File => Self::File,
            PlacementView::Shared => Self::Shared,
            PlacementView::Dedicated { database } => Self::Dedicated { database },
        }
    }
}

impl From<Tenant> for TenantView {
    fn from(tenant: Tenant) -> Self {
        Self {
            id: tenant.id.to_string(),
            slug: tenant.slug.to_string(),
            name: tenant.name,
            placement: tenant.placement.into(),
            region: tenant.region,
            state: tenant.state,
            time_zone: tenant.time_zone.map(String::from),
            references: tenant.references,
            deletions: tenant.deletions,
            validation: tenant.validation,
            created: tenant.created.to_string(),
        }
    }
}

/// A tenant to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantInput {
    /// Its name in addresses: 1 to 40 of `a-z 0-9 -`.
    slug: String,
    /// Its name for people.
    name: String,
    /// Where its data lies.
    placement: PlacementView,
    /// The region its data must stay in, such as `on-premises`.
    region: String,
    /// Its first administrator.
    administrator: AdministratorInput,
}

/// The first administrator of a tenant.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdministratorInput {
    /// The sign-in name.
    sign_in_name: String,
    /// The name shown to people.
    display_name: String,
    /// A password; one is made where it is left out.
    password: Option<String>,
}

/// A tenant that was made.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadeTenantView {
    /// The tenant.
    tenant: TenantView,
    /// Its first administrator.
    administrator: MadeUserView,
}

/// Another state for a tenant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StateInput {
    /// From now on.
    #[schema(schema_with = states)]
    state: TenantState,
}

/// Another zone for a tenant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimeZoneInput {
    /// An IANA name such as `Europe/London`; null: the instance's.
    time_zone: Option<String>,
}

/// How references of a tenant are held.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReferencesInput {
    /// From now on.
    #[schema(schema_with = reference_modes)]
    references: ReferenceMode,
}

fn reference_modes() -> utoipa::openapi::schema::Schema {
    super::one_of(["off", "warn", "enforce"])
}

/// How many resources a conditional delete of a tenant may take away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeletionsInput {
    /// From now on.
    #[schema(schema_with = deletion_modes)]
    deletions: DeletionMode,
}

fn deletion_modes() -> utoipa::openapi::schema::Schema {
    super::one_of(["single", "multiple"])
}

/// Whether a tenant's writes are held to profiles.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidationInput {
    /// From now on; null: as the instance says.
    #[schema(schema_with = validation_modes)]
    validation: Option<ValidationMode>,
}

fn validation_modes() -> utoipa::openapi::schema::Schema {
    super::one_of(["off", "warn", "enforce"])
}

#[utoipa::path(
    get, path = "/operator/api/v1/tenants", tag = "tenants",
    responses((status = 200, description = "every tenant, by name in addresses", body = Vec<TenantView>), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn list(arrival: Arrival) -> Result<Response, EdgeError> {
    let caller = arrival.caller(INSTANCE_SLUG).await?;
    takes_json(&arrival)?;
    let found = use_case::list(arrival.app(), &caller).await?;
    json_answer(&found.into_iter().map(TenantView::from).collect::<Vec<_>>())
}

#[utoipa::path(
    post, path = "/operator/api/v1/tenants", tag = "tenants", request_body = TenantInput,
    responses((status = 201, description = "the tenant with its first administrator", body = MadeTenantView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn create(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let caller = arrival.caller(INSTANCE_SLUG).await?;
    let wanted: TenantInput = input(&mut arrival).await?;
    let administrator = wanted.administrator;
    let new = NewTenant {
        slug: id(&wanted.slug)?,
        name: wanted.name,
        placement: wanted.placement.into(),
        region: wanted.region,
        administrator: (administrator.sign_in_name, administrator.display_name),
        password: administrator.password.map(Zeroizing::new),
    };
    let made = use_case::create(arrival.app(), &caller, new).await?;
    created(&MadeTenantView {
        tenant: made.tenant.into(),
        administrator: MadeUserView::new(arrival.app(), made.administrator),
    })
}

#[utoipa::path(
    put, path = "/operator/api/v1/tenants/{slug}/state", tag = "tenants",
    params(("slug" = String, Path)), request_body = StateInput,
    responses((status = 200, description = "the tenant in this state", body = TenantView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn set_state(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let slug: String = arrival.path().await?;
    let caller = arrival.caller(INSTANCE_SLUG).await?;
    let wanted: StateInput = input(&mut arrival).await?;
    let slug: TenantSlug = id(&slug)?;
    let changed = use_case::set_state(arrival.app(), &caller, &slug, wanted.state).await?;
    json_answer(&TenantView::from(changed))
}

#[utoipa::path(
    put, path = "/operator/api/v1/tenants/{slug}/time-zone", tag = "tenants",
    params(("slug" = String, Path)), request_body = TimeZoneInput,
    responses((status = 200, description = "the tenant in this zone", body = TenantView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn set_time_zone(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let slug: String = arrival.path().await?;
    let caller = arrival.caller(INSTANCE_SLUG).await?;
    let wanted: TimeZoneInput = input(&mut arrival).await?;
    let slug: TenantSlug = id(&slug)?;
    let zone = wanted.time_zone.map(ZoneName::try_from).transpose();
    let zone = zone.map_err(|error| AppError::Unprocessable(error.to_string()))?;
    let changed = use_case::set_time_zone(arrival.app(), &caller, &slug, zone).await?;
    json_answer(&TenantView::from(changed))
}

#[utoipa::path(
    put, path = "/operator/api/v1/tenants/{slug}/references", tag = "tenants",
    params(("slug" = String, Path)), request_body = ReferencesInput,
    responses((status = 200, description = "the tenant, held so", body = TenantView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn set_references(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let slug: String = arrival.path().await?;
    let caller = arrival.caller(INSTANCE_SLUG).await?;
    let wanted: ReferencesInput = input(&mut arrival).await?;
    let slug: TenantSlug = id(&slug)?;
    let mode = wanted.references;
    let changed = use_case::set_references(arrival.app(), &caller, &slug, mode).await?;
    json_answer(&TenantView::from(changed))
}

#[utoipa::path(
    put, path = "/operator/api/v1/tenants/{slug}/deletions", tag = "tenants",
    params(("slug" = String, Path)), request_body = DeletionsInput,
    responses((status = 200, description = "the tenant, held so", body = TenantView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn set_deletions(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let slug: String = arrival.path().await?;
    let caller = arrival.caller(INSTANCE_SLUG).await?;
    let wanted: DeletionsInput = input(&mut arrival).await?;
    let slug: TenantSlug = id(&slug)?;
    let mode = wanted.deletions;
    let changed = use_case::set_deletions(arrival.app(), &caller, &slug, mode).await?;
    json_answer(&TenantView::from(changed))
}

#[utoipa::path(
    put, path = "/operator/api/v1/tenants/{slug}/validation", tag = "tenants",
    params(("slug" = String, Path)), request_body = ValidationInput,
    responses((status = 200, description = "the tenant, held so", body = TenantView), ProblemResponses),
    security(("bearer" = [])),
)]
pub(super) async fn set_validation(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let slug: String = arrival.path().await?;
    let caller = arrival.caller(INSTANCE_SLUG).await?;
    let wanted: ValidationInput = input(&mut arrival).await?;
    let slug: TenantSlug = id(&slug)?;
    let mode = wanted.validation;
    let changed = use_case::set_validation(arrival.app(), &caller, &slug, mode).await?;
    json_answer(&TenantView::from(changed))
}
