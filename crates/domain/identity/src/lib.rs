//! Users, roles, policies, scopes and break-glass: who may do what, and why.
//!
//! The order of a request: a credential is parsed and compared ([`credential`], [`password`], [`totp`],
//! [`lockout`], [`assertion`]); the documents it leads to make a [`Subject`]; [`admit()`] gives the
//! [`kernel::TenantScope`] that every store call demands; [`decide()`] answers each question with a
//! reason; [`search_restriction`] narrows searches. Must not load, store, read a clock or make random
//! bytes: documents, time and bytes are parameters.

pub mod admit;
pub mod assertion;
pub mod class;
pub mod credential;
pub mod csrf;
pub mod decide;
pub mod documents;
pub mod interaction;
pub mod lockout;
pub mod password;
pub mod permissions;
pub mod reason;
pub mod restrict;
pub mod role;
pub mod sealed;
pub mod subject;
pub mod totp;

pub use admit::{NotAdmitted, SystemTask, admit, system_scope};
pub use class::Class;
pub use decide::{About, Answer, Decision, PatientRef, Request, decide};
pub use documents::{
    AccessToken, ApiClient, AuthenticationLevel, Branch, BranchKind, BranchState, BreakGlassGrant,
    BreakGlassPolicy, BreakGlassReason, DeletionMode, GrantError, Jwk, LongLivedToken, Party,
    Placement, ReferenceMode, Relationship, RelationshipKind, Review, ReviewOutcome,
    RoleAssignment, Schema, Scope, Session, SessionPolicy, SignInName, SigningAlgorithm,
    SupportGrant, Tenant, TenantState, TokenOwner, TokenUse, Types, User, UserState,
    ValidationMode,
};
pub use interaction::{Interaction, InteractionSet};
pub use reason::{Reason, ReasonCode};
pub use restrict::{Narrowing, Restriction, search_restriction};
pub use role::Role;
pub use sealed::{Digest32, SecretBytes};
pub use subject::{
    BranchLink, PatientLink, Pending, Reach, Standing, Subject, SubjectError, Surroundings,
};

#[cfg(test)]
mod tests;
