//! The tenant scope: the proof that somebody was admitted to a tenant, demanded by every store call.
//! Must not be made anywhere but in `identity`: [`TenantScope::admit`] is a disallowed method
//! (`clippy.toml`) everywhere else.

use crate::ids::TenantId;

/// One tenant's part of the world. Holding one means `identity` admitted the caller to this tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TenantScope {
    tenant: TenantId,
}

impl TenantScope {
    /// Admits to a tenant. Only `identity` may call this; the lint `disallowed_methods` keeps it so.
    #[must_use]
    pub const fn admit(tenant: TenantId) -> Self {
        Self { tenant }
    }

    /// The tenant.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }
}
