//! Administrators give others what they need, and themselves nothing.

use app::admin::{branches, break_glass, clients, relationships, tokens, users};
use app::{App, AppError, Caller, Log};
use identity::{
    BranchKind, BreakGlassReason, Party, RelationshipKind, ReviewOutcome, Role, RoleAssignment,
    TokenOwner, UserState,
};
use kernel::{BranchId, PurposeOfUse, UserId};

use crate::house::{House, new_user, patient};

fn own_id(caller: &Caller) -> UserId {
    UserId::from_uuid(caller.subject.actor().id.as_uuid())
}

fn related(party: Party) -> relationships::NewRelationship {
    relationships::NewRelationship {
        party,
        patient: "p1".parse().unwrap(),
        kind: RelationshipKind::Cover,
        until: None,
    }
}

fn token(owner: TokenOwner) -> tokens::NewToken {
    tokens::NewToken {
        owner,
        name: "key".to_owned(),
        scopes: None,
        days: 1,
    }
}

async fn branch(house: &House, name: &str) -> BranchId {
    let new = branches::NewBranch {
        name: name.to_owned(),
        kind: BranchKind::Ward,
        organization: None,
    };
    let admin = house.admin("ash").await;
    branches::create(&house.app, &admin, new).await.unwrap().id
}

/// Somebody who runs the house and nurses at a branch.
async fn nursing_administrator(house: &House, at: BranchId) -> Caller {
    let admin = house.admin("ash").await;
    let mut new = new_user("matron", RoleAssignment::of(Role::Administrator));
    new.roles.push(RoleAssignment::at(Role::Nurse, vec![at]));
    users::create(&house.app, &admin, new).await.unwrap();
    app::init::acting_as(&house.app, "ash", "matron", PurposeOfUse::Operations)
        .await
        .unwrap()
}

fn denied<T: std::fmt::Debug>(what: &str, answer: Result<T, AppError>) -> String {
    match answer {
        Err(AppError::Denied { code, .. }) => format!("{what}: {code}"),
        other => panic!("{what}: {other:?}"),
    }
}

/// Every way to give oneself something, as it was refused.
async fn tries(app: &App, matron: &Caller, here: BranchId, doctor: UserId) -> Vec<String> {
    let me = own_id(matron);
    let roles = vec![
        RoleAssignment::of(Role::Administrator),
        RoleAssignment::of(Role::Doctor),
    ];
    let party = related(Party::User(me));
    let branch = related(Party::Branch(here));
    let token = token(TokenOwner::User(doctor));
    let active = UserState::Active;
    vec![
        denied("roles", users::set_roles(app, matron, me, roles).await),
        denied("state", users::set_state(app, matron, me, active).await),
        denied("password", users::reset_password(app, matron, me).await),
        denied("lock", users::unlock(app, matron, me).await),
        denied("code", users::reset_second_step(app, matron, me).await),
        denied("oneself", relationships::create(app, matron, party).await),
        denied("branch", relationships::create(app, matron, branch).await),
        denied("token", tokens::create(app, matron, token).await),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gives_themselves_anything() {
    let house = House::build().await;
    let (app, here) = (&house.app, branch(&house, "North").await);
    let matron = nursing_administrator(&house, here).await;
    let me = own_id(&matron);
    let doctor = own_id(&house.doctor().await);
    let refusals = tries(app, &matron, here, doctor).await;
    assert_eq!(
        refusals,
        [
            "roles: own-account",
            "state: own-account",
            "password: own-account",
            "lock: own-account",
            "code: own-account",
            "oneself: own-reach",
            "branch: own-reach",
            "token: not-own-token",
        ]
    );
    // Every one of them is in the trail, and nothing was changed.
    let trail = house.trail("ash", Log::Access, 20).await;
    let entries = trail
        .iter()
        .filter(|line| line.contains(" denied "))
        .count();
    assert_eq!(entries, refusals.len(), "{trail:#?}");
    assert_eq!(relationships::list(app, &matron, None).await.unwrap(), []);
    let held = users::get(app, &matron, me).await.unwrap();
    assert!(!held.has_role(Role::Doctor) && !held.must_change);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_given_what_they_need() {
    let house = House::build().await;
    let (app, here) = (&house.app, branch(&house, "North").await);
    let elsewhere = branch(&house, "South").await;
    let matron = nursing_administrator(&house, here).await;
    let doctor = own_id(&house.doctor().await);
    users::reset_password(app, &matron, doctor).await.unwrap();
    users::unlock(app, &matron, doctor).await.unwrap();
    relationships::create(app, &matron, related(Party::User(doctor)))
        .await
        .unwrap();
    relationships::create(app, &matron, related(Party::Branch(elsewhere)))
        .await
        .unwrap();
    tokens::create(app, &matron, token(TokenOwner::User(own_id(&matron))))
        .await
        .unwrap();
    // Rights beyond one's own can be given, to others only, and the ledger names giver and roles.
    let roles = vec![RoleAssignment::of(Role::Auditor)];
    users::set_roles(app, &matron, doctor, roles).await.unwrap();
    let changes = house.trail("ash", Log::Changes, 1).await;
    assert_eq!(changes, ["user success - -"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_holds_no_persons_role() {
    let house = House::build().await;
    let admin = house.admin("ash").await;
    for role in Role::ALL.into_iter().filter(|role| role.is_for_people()) {
        let new = clients::NewClient {
            name: format!("proxy {role}"),
            roles: vec![RoleAssignment::of(role)],
            scopes: Vec::new(),
            operations: identity::Interaction::OPERATIONS.to_vec(),
            jwks: Vec::new(),
        };
        let made = clients::create(&house.app, &admin, new).await;
        assert!(
            matches!(made, Err(AppError::Unprocessable(_))),
            "{role}: {made:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reviewing_ones_own_emergency_access_is_refused_and_recorded() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    house.put(&doctor, &patient("p1", "One")).await.unwrap();
    let admin = house.admin("ash").await;
    let mut new = new_user("both", RoleAssignment::of(Role::Doctor));
    new.roles.push(RoleAssignment::of(Role::Auditor));
    users::create(&house.app, &admin, new).await.unwrap();
    let both = app::init::acting_as(&house.app, "ash", "both", PurposeOfUse::Treatment)
        .await
        .unwrap();
    let wanted = break_glass::Wanted {
        patient: app::audit::Sought::Id("p1".parse().unwrap()),
        reason: BreakGlassReason::UrgentCare,
        text: "found unconscious in the garden".to_owned(),
        minutes: None,
    };
    let grant = break_glass::request(&house.app, &both, wanted)
        .await
        .unwrap();
    let review =
        break_glass::review(&house.app, &both, grant.id, ReviewOutcome::Justified, "").await;
    assert_eq!(denied("review", review), "review: own-grant");
    let trail = house.trail("ash", Log::Access, 2).await;
    assert_eq!(trail[1..], ["break-glass-review denied - -"]);
}
