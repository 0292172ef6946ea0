//! Tenants and branches.

use kernel::{BranchId, LogicalId, TenantId, TenantSlug, Timestamp, ZoneName};

use super::Schema;

/// Where a tenant's data lies.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Placement {
    /// A file of its own under the data folder.
    File,
    /// In the shared database, behind row-level security.
    Shared,
    /// In a database of its own.
    Dedicated {
        /// The name of the database in the configuration.
        database: String,
    },
}

/// What a tenant is open for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TenantState {
    /// In use.
    Active,
    /// Nobody is admitted but operators with a support grant; jobs that keep promises (ledger,
    /// retention) go on.
    Suspended,
    /// Closed for good; kept for retention.
    Closed,
}

/// An organisation whose data nobody else sees. Kept in the instance's own store.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tenant {
    /// Schema of this document.
    pub schema: Schema<1>,
    /// Its id.
    pub id: TenantId,
    /// Its name in addresses, unique in the instance.
    pub slug: TenantSlug,
    /// Its name for people.
    pub name: String,
    /// Where its data lies.
    pub placement: Placement,
    /// What it is open for.
    pub state: TenantState,
    /// When it was made.
    pub created: Timestamp,
    /// Region the data must stay in, such as `eu-west-2` or `on-premises`.
    pub region: String,
    /// The zone its times are shown in; the instance's where it has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<ZoneName>,
    /// Whether its writes are held to profiles; as the instance says where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<ValidationMode>,
    /// Whether references must point to something; not looked at where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<ReferenceMode>,
    /// How many resources a conditional delete may take away; one where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletions: Option<DeletionMode>,
}

/// How many resources a conditional delete may take away (FHIR R4, CapabilityStatement
/// `conditionalDelete`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeletionMode {
    /// One: criteria that match several are refused.
    Single,
    /// All that match, up to a limit, in one commit.
    Multiple,
}

impl DeletionMode {
    /// The word in settings and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Multiple => "multiple",
        }
    }

    /// The mode of a word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Single, Self::Multiple]
            .into_iter()
            .find(|mode| mode.as_str() == word)
    }
}

/// Whether references within a tenant must point to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReferenceMode {
    /// They are not looked at.
    Off,
    /// What points to nothing, or will, is told, and done all the same.
    Warn,
    /// A write that refers to nothing, and a deletion of what is referred to, are refused.
    Enforce,
}

impl ReferenceMode {
    /// The word in settings and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        }
    }

    /// The mode of a word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Off, Self::Warn, Self::Enforce]
            .into_iter()
            .find(|mode| mode.as_str() == word)
    }
}

/// Whether writes are held to profiles and to R4's own rules beyond structure.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum ValidationMode {
    /// They are not looked at.
    #[default]
    Off,
    /// What is wrong is told, and stored all the same.
    Warn,
    /// What is wrong is refused.
    Enforce,
}

impl ValidationMode {
    /// The word in settings and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        }
    }

    /// The mode of a word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Off, Self::Warn, Self::Enforce]
            .into_iter()
            .find(|mode| mode.as_str() == word)
    }
}

impl Tenant {
    /// Whether its people and clients may sign in.
    #[must_use]
    pub const fn accepts_sign_in(&self) -> bool {
        matches!(self.state, TenantState::Active)
    }
}

/// What kind of place a branch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BranchKind {
    /// A care home.
    CareHome,
    /// An outpatient clinic or practice.
    Clinic,
    /// A hospital site.
    Hospital,
    /// A ward or department.
    Ward,
    /// A pharmacy.
    Pharmacy,
    /// A laboratory or imaging department.
    Diagnostics,
    /// Any other place.
    Other,
}

/// Whether a branch is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BranchState {
    /// In use.
    Active,
    /// Closed; assignments to it give no reach.
    Closed,
}

/// A part of a tenant that staff and patients belong to.
///
/// A branch stands for one FHIR Organization of the tenant: a patient belongs to it when
/// `Patient.managingOrganization` names that Organization, or when an explicit
/// [`Relationship`](super::Relationship) says so.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Branch {
    /// Schema of this document.
    pub schema: Schema<1>,
    /// Its id.
    pub id: BranchId,
    /// Its name for people, unique in the tenant.
    pub name: String,
    /// What kind of place it is.
    pub kind: BranchKind,
    /// The logical id of its Organization resource.
    pub organization: LogicalId,
    /// Whether it is in use.
    pub state: BranchState,
}
