//! The people who sign: each proves to be there with name, password and, where they have one, a code. Must
//! not take somebody's session for a proof, or one person for two.

use identity::{Interaction, Subject};
use kernel::{ActorId, ActorKind, Timestamp};
use medication::ids::same_person;
use medication::register::{RegisterError, Signed};

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::ground::names;
use crate::medicines::stock::{refuse, ruled};
use crate::sign_in::{Confirmed, Proof, confirm};

/// The proofs that a request brings.
#[derive(Debug, Clone, Default)]
pub struct Signing {
    /// Of whoever does it.
    pub by: Option<Proof>,
    /// Of whoever sees it.
    pub witness: Option<Proof>,
}

/// Who proved to be there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signers {
    pub by: Option<Confirmed>,
    pub witness: Option<Confirmed>,
}

impl Signers {
    /// Checks the proofs that there are; `why` is kept in the ledger with each. Whoever is signed in is the
    /// first of the two.
    pub async fn prove(
        app: &App,
        caller: &Caller,
        signing: &Signing,
        why: &str,
    ) -> Result<Self, AppError> {
        let own = Self::people(app, caller, signing, why).await?;
        let me = caller.subject.actor();
        if me.kind == ActorKind::User && own.by.as_ref().is_some_and(|by| by.person() != me.id) {
            return refuse(
                "the first signature is of whoever is signed in: sign in as that person",
            );
        }
        Ok(own)
    }

    /// The same, whoever is signed in.
    pub async fn people(
        app: &App,
        caller: &Caller,
        signing: &Signing,
        why: &str,
    ) -> Result<Self, AppError> {
        let mut own = Self::default();
        for (proof, place) in [
            (&signing.by, &mut own.by),
            (&signing.witness, &mut own.witness),
        ] {
            let Some(proof) = proof else { continue };
            let person = confirm(app, caller, proof.clone(), why).await?;
            let ask = Ask::operation(Interaction::SignRegister);
            authorise(app, person.caller(), &ask).await?;
            *place = Some(person);
        }
        let first = names(own.by.as_ref().map_or(caller, Confirmed::caller));
        let witness = own.witness.as_ref().map(|own| names(own.caller()));
        if witness.is_some_and(|own| same_person(&own, &first)) {
            return Err(ruled(RegisterError::SamePerson));
        }
        Ok(own)
    }

    /// Everybody who has to belong to a house whose register is written: who asks, and who signs.
    pub fn everybody<'a>(&'a self, caller: &'a Caller) -> impl Iterator<Item = &'a Subject> {
        let signed = [&self.by, &self.witness].into_iter().flatten();
        let signed = signed.map(Confirmed::subject);
        core::iter::once(&*caller.subject).chain(signed)
    }

    /// Who did it.
    pub fn by(&self, caller: &Caller) -> ActorId {
        let me = caller.subject.actor().id;
        self.by.as_ref().map_or(me, Confirmed::person)
    }

    /// Who saw it.
    pub fn witness(&self) -> Option<ActorId> {
        self.witness.as_ref().map(Confirmed::person)
    }

    /// The two signatures that a register asks for.
    pub fn two(&self, entered: Timestamp) -> Result<Signed, AppError> {
        match (&self.by, &self.witness) {
            (Some(by), Some(witness)) => {
                Signed::two(by.signature(), witness.signature(), entered).map_err(ruled)
            }
            _ => refuse(
                "this is written in the controlled-drug register: two people sign, each with name and password (and a code where they have one)",
            ),
        }
    }
}
