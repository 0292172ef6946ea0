//! Signed-in principals, remembered for a few seconds so that a request costs no look-up. A change made
//! in this process counts at once; one made by another replica within the time they are remembered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use identity::{Session, Subject};
use kernel::{TenantId, Timestamp};
use parking_lot::RwLock;
use sha2::{Digest as _, Sha256};

/// A hash of the tenant and the presented credential, so that no secret is kept in memory.
pub(crate) type CredentialKey = [u8; 32];

/// Somebody whose credential was verified.
#[derive(Debug, Clone)]
pub(crate) struct Principal {
    pub subject: Arc<Subject>,
    pub session: Option<Arc<Session>>,
    /// When the credential ends.
    pub until: Timestamp,
    generation: u64,
    looked_up: Timestamp,
}

/// The cache.
pub(crate) struct Principals {
    known: moka::sync::Cache<CredentialKey, Arc<Principal>>,
    // Raised by every change of a tenant's accounts: what was remembered before no longer counts.
    generations: RwLock<HashMap<TenantId, u64>>,
}

impl Default for Principals {
    fn default() -> Self {
        let known = moka::sync::Cache::builder()
            .max_capacity(20_000)
            .time_to_live(Duration::from_mins(1))
            .build();
        Self {
            known,
            generations: RwLock::default(),
        }
    }
}

impl Principals {
    /// The key of a credential in a tenant.
    pub(crate) fn key(tenant: TenantId, credential: &str) -> CredentialKey {
        Sha256::new()
            .chain_update(tenant.as_uuid().as_bytes())
            .chain_update(credential.as_bytes())
            .finalize()
            .into()
    }

    /// Call before the documents are loaded: a change made while they are loaded must count.
    pub(crate) fn generation(&self, tenant: TenantId) -> u64 {
        self.generations.read().get(&tenant).copied().unwrap_or(0)
    }

    /// Remembers a principal that was loaded at a generation.
    pub(crate) fn remember(
        &self,
        key: CredentialKey,
        subject: Arc<Subject>,
        session: Option<Arc<Session>>,
        until: Timestamp,
        (generation, now): (u64, Timestamp),
    ) -> Arc<Principal> {
        let principal = Arc::new(Principal {
            subject,
            session,
            until,
            generation,
            looked_up: now,
        });
        self.known.insert(key, principal.clone());
        principal
    }

    /// A remembered principal that is not older than `staleness_s` and was not overtaken by a change.
    pub(crate) fn get(
        &self,
        tenant: TenantId,
        key: &CredentialKey,
        now: Timestamp,
        staleness_s: i64,
    ) -> Option<Arc<Principal>> {
        let principal = self.known.get(key)?;
        let age = now.seconds_since(principal.looked_up);
        let fresh = (0..staleness_s).contains(&age)
            && now < principal.until
            && principal.generation == self.generation(tenant);
        fresh.then_some(principal)
    }

    /// Forgets one credential.
    pub(crate) fn forget(&self, key: &CredentialKey) {
        self.known.invalidate(key);
    }

    /// Forgets everybody of a tenant, at once.
    pub(crate) fn forget_tenant(&self, tenant: TenantId) {
        *self.generations.write().entry(tenant).or_insert(0) += 1;
    }
}
