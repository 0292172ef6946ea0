//! Decisions in whole scenes: a tenant with two branches and its twin, and everybody in them.

mod agreement;
mod cases;
mod tenants;

use kernel::{
    BranchId, ClientId, LogicalId, PurposeOfUse, TenantId, TenantScope, Timestamp, UserId,
};
use uuid::Uuid;

use crate::*;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_772_698_150_000);
pub(crate) const HERE: u128 = 1;
pub(crate) const TWIN: u128 = 2;
pub(crate) const EAST: u128 = 11;
pub(crate) const WEST: u128 = 12;
pub(crate) const USER: u128 = 100;

pub(crate) fn tenant(n: u128) -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(n))
}
pub(crate) fn scope(n: u128) -> TenantScope {
    system_scope(tenant(n), SystemTask::SignIn)
}
pub(crate) fn branch_id(n: u128) -> BranchId {
    BranchId::from_uuid(Uuid::from_u128(n))
}
pub(crate) fn user_id(n: u128) -> UserId {
    UserId::from_uuid(Uuid::from_u128(n))
}
pub(crate) fn id(text: &str) -> LogicalId {
    text.parse().unwrap()
}

pub(crate) fn branches() -> Vec<Branch> {
    let branch = |n, organization: &str, state| Branch {
        schema: Schema,
        id: branch_id(n),
        name: organization.to_owned(),
        kind: BranchKind::CareHome,
        organization: id(organization),
        state,
    };
    vec![
        branch(EAST, "org-east", BranchState::Active),
        branch(WEST, "org-west", BranchState::Active),
        branch(13, "org-shut", BranchState::Closed),
    ]
}

pub(crate) fn user(at: u128, roles: Vec<RoleAssignment>) -> User {
    User {
        schema: Schema,
        tenant: tenant(at),
        id: user_id(USER),
        sign_in_name: "ana.maria".parse().unwrap(),
        display_name: "Ana Maria".to_owned(),
        roles,
        password: None,
        password_changed: None,
        must_change: false,
        totp: totp::Totp::Off,
        lock_out: lockout::LockOut::default(),
        practitioner: None,
        patients: vec![id("own")],
        state: UserState::Active,
        created: NOW,
    }
}

pub(crate) fn relationship(party: Party, patient: &str, until: Option<i64>) -> Relationship {
    Relationship {
        schema: Schema,
        id: Uuid::from_u128(500),
        party,
        patient: id(patient),
        kind: RelationshipKind::CareTeam,
        from: NOW.plus_seconds(-60),
        until: until.map(|s| NOW.plus_seconds(s)),
        made_by: user_id(1),
    }
}

pub(crate) fn grant(at: u128, user: u128, patient: &str) -> BreakGlassGrant {
    BreakGlassGrant::request(
        tenant(at),
        Uuid::from_u128(700),
        user_id(user),
        id(patient),
        BreakGlassReason::LifeThreatening,
        "collapsed in the corridor",
        None,
        &BreakGlassPolicy::default(),
        NOW,
    )
    .unwrap()
}

/// A person of tenant `HERE` with these roles, a relationship to `related` and a grant to `granted`.
pub(crate) fn person(roles: Vec<RoleAssignment>) -> Subject {
    let relationships = [relationship(Party::User(user_id(USER)), "related", None)];
    let grants = [grant(HERE, USER, "granted")];
    person_with(roles, &relationships, &grants)
}

pub(crate) fn person_with(
    roles: Vec<RoleAssignment>,
    relationships: &[Relationship],
    grants: &[BreakGlassGrant],
) -> Subject {
    let branches = branches();
    Subject::user(
        &scope(HERE),
        &user(HERE, roles),
        AuthenticationLevel::Password,
        &Surroundings {
            branches: &branches,
            relationships,
            grants,
            at: None,
        },
    )
    .unwrap()
}

pub(crate) fn client(scopes: Vec<Scope>, operations: Vec<Interaction>) -> ApiClient {
    ApiClient {
        schema: Schema,
        tenant: tenant(HERE),
        id: ClientId::from_uuid(Uuid::from_u128(200)),
        name: "Laboratory".to_owned(),
        roles: vec![RoleAssignment::of(Role::IntegrationService)],
        scopes,
        operations,
        jwks: Vec::new(),
        state: UserState::Active,
        created: NOW,
    }
}

pub(crate) fn at_east(role: Role) -> Vec<RoleAssignment> {
    vec![RoleAssignment::at(role, vec![branch_id(EAST)])]
}
pub(crate) fn everywhere(role: Role) -> Vec<RoleAssignment> {
    vec![RoleAssignment::of(role)]
}

/// The patients of the scene: name and Organization.
pub(crate) const PATIENTS: [(&str, Option<&str>); 6] = [
    ("east", Some("org-east")),
    ("west", Some("org-west")),
    ("nobody", None),
    ("related", Some("org-west")),
    ("granted", Some("org-west")),
    ("own", None),
];

/// Asks about one resource of a type about these patients of the scene.
pub(crate) fn ask(
    subject: &Subject,
    interaction: Interaction,
    resource_type: &str,
    patients: &[&str],
    purpose: PurposeOfUse,
) -> Decision {
    let ids: Vec<(LogicalId, Option<LogicalId>)> = patients
        .iter()
        .map(|name| {
            let known = PATIENTS.iter().find(|(n, _)| n == name).unwrap();
            (id(known.0), known.1.map(id))
        })
        .collect();
    let refs: Vec<PatientRef<'_>> = ids
        .iter()
        .map(|(id, organization)| PatientRef {
            id,
            organization: organization.as_ref(),
        })
        .collect();
    let request = Request::of_type(interaction, resource_type, purpose, NOW).about(&refs);
    decide(subject, &request)
}

pub(crate) fn of_type(subject: &Subject, interaction: Interaction, ty: &str) -> Decision {
    decide(
        subject,
        &Request::of_type(interaction, ty, PurposeOfUse::Treatment, NOW),
    )
}

pub(crate) fn operate(subject: &Subject, operation: Interaction) -> Decision {
    decide(subject, &Request::operation(operation, NOW))
}

/// `allow code` or `deny code answer`.
pub(crate) fn short(decision: &Decision) -> String {
    match decision {
        Decision::Allow { reason } => format!("allow {}", reason.code()),
        Decision::Deny { reason, answer } => format!("deny {} {answer:?}", reason.code()),
    }
}
