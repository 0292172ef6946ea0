//! The documents that identity keeps: what is stored of tenants, branches, users, clients, tokens,
//! sessions, grants and relationships. Plain data with the rules that concern one document alone; must
//! not load, store or decide access.

mod access;
mod client;
mod place;
mod session;
mod user;

pub use access::{
    BreakGlassGrant, BreakGlassPolicy, BreakGlassReason, GrantError, Party, Relationship,
    RelationshipKind, Review, ReviewOutcome, SupportGrant,
};
pub use client::{
    AccessToken, ApiClient, Jwk, JwkError, LongLivedToken, Scope, SigningAlgorithm, TokenOwner,
    TokenUse, Types,
};
pub use place::{
    Branch, BranchKind, BranchState, DeletionMode, Placement, ReferenceMode, Tenant, TenantState,
    ValidationMode,
};
pub use session::{AuthenticationLevel, Expired, Session, SessionPolicy};
pub use user::{RoleAssignment, SignInName, SignInNameError, User, UserState};

use serde::de::Error as _;

/// The schema of a document: written as the newest number, read up to it. A newer one is refused, so
/// that an older program never drops fields it does not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Schema<const NEWEST: u16>;

impl<const NEWEST: u16> serde::Serialize for Schema<NEWEST> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(NEWEST)
    }
}

impl<'de, const NEWEST: u16> serde::Deserialize<'de> for Schema<NEWEST> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = u16::deserialize(deserializer)?;
        if (1..=NEWEST).contains(&found) {
            Ok(Self)
        } else {
            Err(D::Error::custom(format_args!(
                "document has schema {found}, this program knows up to {NEWEST}: use a newer theriac"
            )))
        }
    }
}
