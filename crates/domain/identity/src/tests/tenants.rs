//! Twin tenants with the same ids: nothing of one opens the other.

use super::*;

#[test]
fn a_subject_is_admitted_to_its_own_tenant_only() {
    let subject = person(everywhere(Role::Administrator));
    assert_eq!(
        admit(tenant(HERE), &subject, NOW).unwrap().tenant(),
        tenant(HERE)
    );
    for other in [TWIN, 0, 3] {
        assert_eq!(
            admit(tenant(other), &subject, NOW),
            Err(NotAdmitted),
            "{other}"
        );
    }
    let task = Subject::system(tenant(HERE), SystemTask::Jobs);
    assert!(admit(tenant(HERE), &task, NOW).is_ok());
    assert_eq!(admit(tenant(TWIN), &task, NOW), Err(NotAdmitted));
    assert_eq!(
        system_scope(tenant(TWIN), SystemTask::Jobs).tenant(),
        tenant(TWIN)
    );
}

#[test]
fn documents_of_one_tenant_make_no_subject_in_the_other() {
    let made = Subject::user(
        &scope(TWIN),
        &user(HERE, everywhere(Role::Doctor)),
        AuthenticationLevel::Password,
        &Surroundings::default(),
    );
    assert_eq!(made.unwrap_err(), SubjectError::OtherTenant);
    let made = Subject::client(&scope(TWIN), &client(Vec::new(), Vec::new()), &[]);
    assert_eq!(made.unwrap_err(), SubjectError::OtherTenant);
    // The same ids in both: a grant of the twin gives nothing here.
    let subject = person_with(at_east(Role::Nurse), &[], &[grant(TWIN, USER, "granted")]);
    assert!(subject.emergency_grant(&id("granted"), NOW).is_none());
}

#[test]
fn roles_are_held_where_they_belong() {
    for (at, role, works) in [
        (HERE, Role::Doctor, true),
        (HERE, Role::Operator, false),
        (0, Role::Operator, true),
        (0, Role::Doctor, false),
        (0, Role::Administrator, false),
    ] {
        let made = Subject::user(
            &scope(at),
            &user(at, everywhere(role)),
            AuthenticationLevel::Password,
            &Surroundings::default(),
        );
        assert_eq!(made.is_ok(), works, "{role} at {at}");
    }
    let mut operator = client(Vec::new(), Vec::new());
    operator.roles = everywhere(Role::Operator);
    operator.tenant = TenantId::INSTANCE;
    assert!(Subject::client(&scope(0), &operator, &[]).is_err());
    for state in [UserState::Suspended, UserState::Left] {
        let mut gone = user(HERE, everywhere(Role::Doctor));
        gone.state = state;
        let made = Subject::user(
            &scope(HERE),
            &gone,
            AuthenticationLevel::Password,
            &Surroundings::default(),
        );
        assert_eq!(made.unwrap_err(), SubjectError::NotActive);
    }
}

fn console(n: u128) -> (kernel::ActorId, Subject) {
    let actor = kernel::ActorId::from_uuid(Uuid::from_u128(n));
    (
        actor,
        Subject::operator_at_console(actor, "root at server-1"),
    )
}

fn support(to: u128, by: kernel::ActorId, content: bool) -> SupportGrant {
    let text = "ticket 4711: import stuck";
    SupportGrant::make(tenant(to), Uuid::from_u128(800), by, text, content, 60, NOW).unwrap()
}

fn expect(subject: &Subject, cases: &[(Interaction, &str)]) {
    for (operation, expected) in cases {
        assert_eq!(
            short(&operate(subject, *operation)),
            *expected,
            "{operation}"
        );
    }
}

#[test]
fn operators_need_support_for_a_tenant() {
    let (_, operator) = console(900);
    assert!(admit(TenantId::INSTANCE, &operator, NOW).is_ok());
    assert_eq!(admit(tenant(HERE), &operator, NOW), Err(NotAdmitted));
    let cases = [
        (Interaction::ManageTenants, "allow role"),
        (Interaction::Import, "deny needs-support Forbidden"),
        (Interaction::Erase, "deny needs-support Forbidden"),
        (Interaction::ViewAudit, "deny no-role Forbidden"),
        (Interaction::BreakGlass, "deny no-role Forbidden"),
    ];
    expect(&operator, &cases);
    assert_eq!(
        short(&of_type(&operator, Interaction::Read, "Patient")),
        "deny needs-support Forbidden"
    );
}

#[test]
fn support_opens_one_tenant_for_a_while() {
    let (actor, operator) = console(900);
    let inside = operator
        .supporting(&support(HERE, actor, false), NOW)
        .unwrap();
    let later = NOW.plus_seconds(3600);
    assert!(admit(tenant(HERE), &inside, NOW).is_ok());
    assert_eq!(admit(tenant(TWIN), &inside, NOW), Err(NotAdmitted));
    assert_eq!(admit(TenantId::INSTANCE, &inside, NOW), Err(NotAdmitted));
    assert_eq!(admit(tenant(HERE), &inside, later), Err(NotAdmitted));
    let cases = [
        (Interaction::ManageBranches, "allow support"),
        (Interaction::ManageUsers, "deny needs-support Forbidden"),
        (Interaction::Import, "deny needs-support Forbidden"),
        (Interaction::ManageTenants, "deny needs-instance Forbidden"),
        (Interaction::GrantSupport, "deny needs-instance Forbidden"),
    ];
    expect(&inside, &cases);
    assert!(!of_type(&inside, Interaction::Read, "Patient").is_allowed());

    let content = operator
        .supporting(&support(HERE, actor, true), NOW)
        .unwrap();
    let import = operate(&content, Interaction::Import);
    assert_eq!(short(&import), "allow support");
    assert_eq!(import.reason().prior(), Some(Uuid::from_u128(800)));
    assert!(of_type(&content, Interaction::Read, "Patient").is_allowed());
    assert!(!of_type(&content, Interaction::Create, "Patient").is_allowed());
}

#[test]
fn support_is_not_taken_from_others() {
    let (actor, operator) = console(900);
    let (stranger, _) = console(901);
    let inside = operator
        .supporting(&support(HERE, actor, false), NOW)
        .unwrap();
    let administrator = person(everywhere(Role::Administrator));
    for refused in [
        operator.supporting(&support(HERE, stranger, true), NOW),
        operator.supporting(&support(0, actor, true), NOW),
        operator.supporting(&support(HERE, actor, true), NOW.plus_seconds(3600)),
        inside.supporting(&support(TWIN, actor, true), NOW),
        administrator.supporting(&support(TWIN, actor, true), NOW),
    ] {
        assert_eq!(refused.unwrap_err(), SubjectError::NoSupport);
    }
}

#[test]
fn tasks_do_their_own_work_only() {
    let may = |task, interaction: Interaction| {
        let subject = Subject::system(tenant(HERE), task);
        let request = if interaction.is_with_resources() {
            Request::of_type(interaction, "Patient", PurposeOfUse::Operations, NOW)
        } else {
            Request::operation(interaction, NOW)
        };
        decide(&subject, &request).is_allowed()
    };
    assert!(may(SystemTask::Jobs, Interaction::Import) && may(SystemTask::Jobs, Interaction::Read));
    assert!(!may(SystemTask::SignIn, Interaction::Read));
    assert!(!may(SystemTask::Health, Interaction::ManageUsers));
    assert!(may(SystemTask::Setup, Interaction::ManageUsers));
    let mut actors: Vec<String> = SystemTask::ALL
        .map(|task| task.actor().to_string())
        .to_vec();
    assert_eq!(actors[0], "74686572-6961-8063-8000-000000000001");
    actors.dedup();
    assert_eq!(actors.len(), SystemTask::ALL.len());
}
