//! The roles. What each may do stands in [`crate::permissions`], nowhere else.

use core::fmt;
use core::str::FromStr;

use kernel::{Categorised, Category};

/// A role that a person or client acts in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs a tenant: users, branches, clients, settings. No clinical content.
    Administrator,
    /// Physician. The whole tenant unless bound to branches.
    Doctor,
    /// Nurse. The patients of their branches.
    Nurse,
    /// Care worker. The patients of their branches.
    Carer,
    /// Pharmacist. The whole tenant unless bound to branches.
    Pharmacist,
    /// Front desk: demographics, appointments, coverage. No clinical content.
    Receptionist,
    /// Reads the audit trail and reviews emergency access. No clinical content.
    Auditor,
    /// An API client; always narrowed further by its scopes.
    IntegrationService,
    /// A patient or proxy: own record, reading only.
    Patient,
    /// An operator of the instance; exists in the instance's own tenant only.
    Operator,
}

impl Role {
    /// Every role, in the order of the permission table.
    pub const ALL: [Self; 10] = [
        Self::Administrator,
        Self::Doctor,
        Self::Nurse,
        Self::Carer,
        Self::Pharmacist,
        Self::Receptionist,
        Self::Auditor,
        Self::IntegrationService,
        Self::Patient,
        Self::Operator,
    ];

    /// The word in documents, logs and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Doctor => "doctor",
            Self::Nurse => "nurse",
            Self::Carer => "carer",
            Self::Pharmacist => "pharmacist",
            Self::Receptionist => "receptionist",
            Self::Auditor => "auditor",
            Self::IntegrationService => "integration-service",
            Self::Patient => "patient",
            Self::Operator => "operator",
        }
    }

    /// The name in a sentence, with its article: `an administrator`.
    #[must_use]
    pub const fn with_article(self) -> &'static str {
        match self {
            Self::Administrator => "an administrator",
            Self::Doctor => "a doctor",
            Self::Nurse => "a nurse",
            Self::Carer => "a carer",
            Self::Pharmacist => "a pharmacist",
            Self::Receptionist => "a receptionist",
            Self::Auditor => "an auditor",
            Self::IntegrationService => "an integration service",
            Self::Patient => "a patient",
            Self::Operator => "an operator",
        }
    }

    /// How far the role reaches when its assignment names no branches.
    #[must_use]
    pub const fn default_reach(self) -> DefaultReach {
        match self {
            Self::Nurse | Self::Carer => DefaultReach::NamedBranches,
            Self::Patient => DefaultReach::OwnRecord,
            _ => DefaultReach::Tenant,
        }
    }

    /// Whether a person may hold the role (clients hold [`Self::IntegrationService`], and may hold a
    /// clinical role when they act for one ward system).
    #[must_use]
    pub const fn is_for_people(self) -> bool {
        !matches!(self, Self::IntegrationService)
    }

    pub(crate) const fn column(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a role reaches by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DefaultReach {
    /// Every patient of the tenant.
    Tenant,
    /// The patients of the branches named in the assignment: nobody when none are named.
    NamedBranches,
    /// The linked patients' own records.
    OwnRecord,
}

/// A role name that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a role: use administrator, doctor, nurse, carer, pharmacist, receptionist, auditor, integration-service, patient or operator"
)]
pub struct RoleError(pub String);

impl Categorised for RoleError {
    fn category(&self) -> Category {
        Category::Invalid
    }
}

impl FromStr for Role {
    type Err = RoleError;
    fn from_str(value: &str) -> Result<Self, RoleError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == value)
            .ok_or_else(|| RoleError(value.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_text_and_documents() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(
                serde_json::to_string(&role).unwrap(),
                format!("\"{}\"", role.as_str())
            );
        }
        assert!("root".parse::<Role>().is_err());
        assert!("Doctor".parse::<Role>().is_err());
    }

    #[test]
    fn columns_follow_the_table() {
        for (column, role) in Role::ALL.into_iter().enumerate() {
            assert_eq!(role.column(), column);
        }
    }
}
