//! Who acts, and for what purpose, as the ledger records it. Must not decide anything: decisions are
//! `identity`'s.

use crate::ids::{ActorId, BranchId};

/// What kind of actor it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum ActorKind {
    /// A signed-in person.
    User,
    /// An API client.
    Client,
    /// A job of the platform itself: migrations, retention, sequencing.
    System,
    /// An operator at the command line of the machine.
    Operator,
}

/// Whoever is acting in a request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Actor {
    /// The id the ledger's pseudonym is derived from.
    pub id: ActorId,
    /// The kind.
    pub kind: ActorKind,
    /// The name shown to people; sealed in payloads, never in leaves or logs.
    pub name: String,
    /// The role acted in, such as `nurse`; `identity` owns the list.
    pub role: String,
    /// The branch acted at, where one applies.
    pub branch: Option<BranchId>,
}

/// Why data is looked at or changed: codes of HL7 v3 ActReason, PurposeOfUse value set
/// (<http://terminology.hl7.org/ValueSet/v3-PurposeOfUse>).
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub enum PurposeOfUse {
    /// Treatment.
    #[default]
    #[serde(rename = "TREAT")]
    Treatment,
    /// Emergency treatment: break-glass.
    #[serde(rename = "ETREAT")]
    EmergencyTreatment,
    /// Payment.
    #[serde(rename = "HPAYMT")]
    Payment,
    /// Healthcare operations.
    #[serde(rename = "HOPERAT")]
    Operations,
    /// System administration.
    #[serde(rename = "HSYSADMIN")]
    SystemAdministration,
    /// Research.
    #[serde(rename = "HRESCH")]
    Research,
    /// Requested by the patient.
    #[serde(rename = "PATRQT")]
    PatientRequest,
    /// Audit.
    #[serde(rename = "HCOMPL")]
    Compliance,
}

impl PurposeOfUse {
    /// The v3 ActReason code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Treatment => "TREAT",
            Self::EmergencyTreatment => "ETREAT",
            Self::Payment => "HPAYMT",
            Self::Operations => "HOPERAT",
            Self::SystemAdministration => "HSYSADMIN",
            Self::Research => "HRESCH",
            Self::PatientRequest => "PATRQT",
            Self::Compliance => "HCOMPL",
        }
    }
}
