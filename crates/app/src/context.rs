//! Who calls and in what request. A [`Caller`] exists only where sign-in made one; it carries the
//! tenant scope that every store call needs.

use std::net::IpAddr;
use std::sync::Arc;

use fhir::validate::Issue;
use identity::{DeletionMode, ReferenceMode, Subject, ValidationMode};
use kernel::{PurposeOfUse, RequestId, TenantId, TenantScope, TenantSlug, Timestamp, ZoneName};
use parking_lot::Mutex;

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
    /// Whether its writes are held to profiles; as the instance says where it does not say.
    pub validation: Option<ValidationMode>,
    /// Whether references must point to something.
    pub references: Option<ReferenceMode>,
    /// How many resources a conditional delete may take away.
    pub deletions: Option<DeletionMode>,
}

/// What is to be told about a request that succeeds: findings of checks that only warn.
#[derive(Debug, Clone, Default)]
pub struct Advice(Arc<Mutex<Vec<Issue>>>);

/// Most findings kept for one request.
const MAX_ADVICE: usize = 200;

impl Advice {
    /// Adds findings; beyond the limit they are dropped.
    pub fn add(&self, issues: Vec<Issue>) {
        let mut kept = self.0.lock();
        for issue in issues {
            // A write that is tried again says the same again.
            if kept.len() < MAX_ADVICE && !kept.contains(&issue) {
                kept.push(issue);
            }
        }
    }

    /// Takes what was added so far.
    #[must_use]
    pub fn take(&self) -> Vec<Issue> {
        std::mem::take(&mut *self.0.lock())
    }
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
    /// What is to be told beside the answer.
    pub advice: Advice,
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
