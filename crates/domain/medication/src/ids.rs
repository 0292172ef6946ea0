//! Ids of the medicines' own things, each a type, so that a resident is never taken for a place. Must not
//! make ids: they come in.

use core::fmt;
use core::str::FromStr;

use kernel::{IdError, LogicalId};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub LogicalId);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// Where medicines are kept: a FHIR Location.
    LocationId,
    /// A home, ward or surgery that keeps a register of its own: a FHIR Location or Organization.
    PremisesId,
    /// Whoever takes a medicine: a FHIR Patient.
    ResidentId,
    /// A pharmacy, a wholesaler, whoever brings or takes medicines: a FHIR Organization.
    PartyId,
    /// A medicine that is kept: a FHIR Medication.
    ItemId,
    /// A movement of stock; whoever sends it makes it, so that sending twice moves once.
    MovementId,
    /// An order or a request for a prescription.
    OrderId,
    /// A discrepancy that is looked into.
    IncidentId,
    /// What is prescribed: a FHIR MedicationRequest.
    PrescriptionId,
    /// What became of a dose: a FHIR MedicationAdministration; a UUID where a device made it.
    RecordId,
    /// Whoever gives, witnesses or enters: a FHIR Practitioner, or the resident who takes alone.
    PersonId,
    /// The device that recorded.
    DeviceId,
    /// A pack for a round without a network.
    PackId,
}

/// Whether two are one person, each by the names they go by: their Practitioner and their account. Nobody is
/// two people by having two accounts.
#[must_use]
pub fn same_person(one: &[PersonId], other: &[PersonId]) -> bool {
    one.iter().any(|own| other.contains(own))
}
