//! Who calls and in what request. A [`Caller`] exists only where sign-in made one; it carries the
//! tenant scope that every store call needs.

use std::net::IpAddr;
use std::sync::Arc;

use identity::Subject;
use kernel::{PurposeOfUse, RequestId, TenantId, TenantScope, TenantSlug, Timestamp, ZoneName};

/// What is known of a tenant while serving it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantInfo {
    /// Its id.
    pub id: TenantId,
    /// Its name in addresses.
    pub slug: TenantSlug,
    /// Its name for people.
    pub name: String,
    /// The zone its times are shown in; the instance's where it has none of its own.
    pub time_zone: Option<ZoneName>,
}

/// One request as use-cases see it.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Its id, in logs, audit and error texts.
    pub id: RequestId,
    /// The client's address, as far as the edge trusts it.
    pub client_address: Option<IpAddr>,
    /// When it arrived.
    pub received: Timestamp,
    /// Why the data is looked at or changed.
    pub purpose: PurposeOfUse,
    /// The FHIR base address of the tenant, such as `https://theriac.example.org/t/rosewood/fhir`, for
    /// links and to recognise references to resources here; no `/` at the end.
    pub base: Arc<str>,
    /// The caller's `Idempotency-Key`: the same key with the same body is done once.
    pub idempotency: Option<String>,
}

/// Somebody admitted to a tenant, in a request. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant's part of the world.
    pub scope: TenantScope,
    /// Who, with roles, branches and grants.
    pub subject: Arc<Subject>,
    /// The request.
    pub context: Arc<RequestContext>,
    /// The tenant.
    pub tenant: Arc<TenantInfo>,
}
