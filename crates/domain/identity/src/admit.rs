//! Admission to a tenant: the only place where a [`TenantScope`] is made. Everything that reaches data
//! passes one of the two doors here, so that a subject of one tenant is never admitted to another.

use kernel::{ActorId, Categorised, Category, TenantId, TenantScope, Timestamp};
use uuid::Uuid;

use crate::interaction::Interaction;
use crate::subject::{Kind, Subject};

/// Not admitted. Says nothing of whether the tenant exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such tenant here: check the address")]
pub struct NotAdmitted;

impl Categorised for NotAdmitted {
    fn category(&self) -> Category {
        Category::NotFound
    }
}

/// Admits a subject to a tenant: its own, and no other. An operator is admitted to the instance, and to
/// a tenant only as the subject that [`Subject::supporting`] made, while the support grant lasts.
pub fn admit(
    tenant: TenantId,
    subject: &Subject,
    now: Timestamp,
) -> Result<TenantScope, NotAdmitted> {
    if subject.tenant != tenant {
        return Err(NotAdmitted);
    }
    if let Kind::Operator { support } = &subject.kind {
        let open = match support {
            Some(support) => support.is_active(now),
            None => tenant.is_instance(),
        };
        if !open {
            return Err(NotAdmitted);
        }
    }
    Ok(scope(tenant))
}

/// Admits a task of the platform itself to a tenant. What the task may do there is narrowed by
/// [`crate::decide()`]; an entry names it as the actor.
#[must_use]
pub fn system_scope(tenant: TenantId, _task: SystemTask) -> TenantScope {
    scope(tenant)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that makes a tenant scope"
)]
const fn scope(tenant: TenantId) -> TenantScope {
    TenantScope::admit(tenant)
}

/// A task that the platform does on its own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SystemTask {
    /// Looking up who signs in.
    SignIn,
    /// Integrating, signing and publishing the ledger.
    Ledger,
    /// Schema migrations and repacking.
    Migration,
    /// Retention, sweeping, key destruction that was ordered.
    Retention,
    /// Running jobs that a person started.
    Jobs,
    /// Consumers with cursors on the change ledger.
    Consumers,
    /// Backup, restore and their checks.
    Backup,
    /// Health checks and metrics.
    Health,
    /// Making an instance or a tenant, with its first administrator.
    Setup,
    /// Pointing out what is wrong among records that others made, such as a dose that two people gave.
    Findings,
    /// Counting what the house needs of its medicines, and proposing orders as its plan says.
    Ordering,
}

impl SystemTask {
    /// Every task.
    pub const ALL: [Self; 11] = [
        Self::SignIn,
        Self::Ledger,
        Self::Migration,
        Self::Retention,
        Self::Jobs,
        Self::Consumers,
        Self::Backup,
        Self::Health,
        Self::Setup,
        Self::Findings,
        Self::Ordering,
    ];

    /// The word in entries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Ledger => "ledger",
            Self::Migration => "migration",
            Self::Retention => "retention",
            Self::Jobs => "jobs",
            Self::Consumers => "consumers",
            Self::Backup => "backup",
            Self::Health => "health",
            Self::Setup => "setup",
            Self::Findings => "findings",
            Self::Ordering => "ordering",
        }
    }

    /// The fixed actor id of the task: the same in every instance, so that entries compare.
    #[must_use]
    pub const fn actor(self) -> ActorId {
        // Version 8 (vendor defined) with `theriac` in ASCII, then the task's number from 1.
        let base = 0x7468_6572_6961_8063_8000_0000_0000_0000_u128;
        ActorId::from_uuid(Uuid::from_u128(base | (self as u128 + 1)))
    }

    /// Whether the task touches clinical content.
    #[must_use]
    pub const fn touches_content(self) -> bool {
        matches!(
            self,
            Self::Migration
                | Self::Retention
                | Self::Jobs
                | Self::Consumers
                | Self::Backup
                | Self::Findings
                | Self::Ordering
        )
    }
}

impl SystemTask {
    /// Whether the task does an operation.
    #[must_use]
    pub const fn may_operate(self, operation: Interaction) -> bool {
        use Interaction as I;
        match self {
            Self::SignIn | Self::Migration | Self::Consumers | Self::Findings => false,
            Self::Ledger => matches!(operation, I::VerifyLedger),
            Self::Retention => matches!(operation, I::Erase),
            Self::Jobs => matches!(operation, I::Import | I::Export | I::RunJobs),
            Self::Backup => matches!(operation, I::Backup | I::VerifyLedger | I::ExportAudit),
            Self::Health => matches!(operation, I::ViewHealth),
            Self::Ordering => matches!(operation, I::ViewStock | I::OrderMedicines),
            Self::Setup => matches!(
                operation,
                I::ManageUsers
                    | I::ManageBranches
                    | I::ManageClients
                    | I::ManageSettings
                    | I::ManageTenants
            ),
        }
    }
}
