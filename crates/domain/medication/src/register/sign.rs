//! Two people who sign an entry, each having proved again who they are. Must not exist for one person
//! twice, or for somebody who proved it too long ago.

use kernel::{ActorId, Timestamp};

use super::RegisterError;
use crate::ids::{PersonId, same_person};

/// For how long a proof holds, in seconds.
pub const FRESH_SECONDS: i64 = 300;

/// How somebody proved who they are, at the moment of signing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The password.
    Password,
    /// The password and a code from a device.
    PasswordAndCode,
    /// A passkey.
    Passkey,
    /// A card and its number.
    SmartCard,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Signature {
    /// Who, by their account.
    pub person: ActorId,
    /// Their Practitioner, where they have one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub practitioner: Option<PersonId>,
    /// The name as printed.
    pub name: String,
    /// The role as printed.
    pub role: String,
    /// When they proved who they are.
    pub proved: Timestamp,
    /// How.
    pub method: Method,
}

impl Signature {
    /// The names that the person goes by.
    #[must_use]
    pub fn names(&self) -> Vec<PersonId> {
        let account = self.person.as_uuid().to_string().parse();
        self.practitioner
            .clone()
            .into_iter()
            .chain(account)
            .collect()
    }
}

/// The signatures of two different people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Signed {
    by: Signature,
    witness: Signature,
}

impl Signed {
    /// Takes two signatures for an entry made at `entered`.
    ///
    /// # Errors
    /// The same person twice, a name that is empty, a proof of the future or older than
    /// [`FRESH_SECONDS`].
    pub fn two(
        by: Signature,
        witness: Signature,
        entered: Timestamp,
    ) -> Result<Self, RegisterError> {
        if same_person(&by.names(), &witness.names()) {
            return Err(RegisterError::SamePerson);
        }
        for one in [&by, &witness] {
            let age = entered.seconds_since(one.proved);
            if one.name.trim().is_empty() {
                return Err(RegisterError::Words("the name of who signs"));
            }
            if !(0..=FRESH_SECONDS).contains(&age) {
                return Err(RegisterError::NotFresh(one.name.clone()));
            }
        }
        Ok(Self { by, witness })
    }

    /// Who gave, took in or counted.
    #[must_use]
    pub const fn by(&self) -> &Signature {
        &self.by
    }
    /// Who saw it.
    #[must_use]
    pub const fn witness(&self) -> &Signature {
        &self.witness
    }
}
