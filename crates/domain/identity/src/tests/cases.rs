//! Tables of questions and answers.

use kernel::PurposeOfUse::{EmergencyTreatment, Treatment};

use super::*;
use Interaction::{Create, Delete, History, Read, Search, Update};

/// Who asks what about whom, and the answer.
#[rustfmt::skip]
const ONE_RESOURCE: &[(&str, Interaction, &str, &[&str], &str)] = &[
    ("doctor", Read, "Observation", &["west"], "allow role-in-tenant"),
    ("doctor", Read, "Observation", &[], "allow role-in-tenant"),
    ("doctor", Delete, "Observation", &["west"], "deny no-role Forbidden"),
    ("doctor", Read, "observation", &["west"], "deny unknown-type Forbidden"),
    ("doctor", Read, "AuditEvent", &[], "deny no-role Forbidden"),
    ("bound doctor", Read, "Observation", &["west"], "deny out-of-reach NotFound"),
    ("bound doctor", Read, "Observation", &["east"], "allow role-at-branch"),
    ("nurse", Read, "Observation", &["east"], "allow role-at-branch"),
    ("nurse", Read, "Observation", &["west"], "deny out-of-reach NotFound"),
    ("nurse", Read, "Observation", &["nobody"], "deny out-of-reach NotFound"),
    ("nurse", Read, "Observation", &["related"], "allow relationship"),
    ("nurse", Read, "Observation", &[], "deny no-patient NotFound"),
    ("nurse", Read, "Observation", &["west", "east"], "allow role-at-branch"),
    ("nurse", History, "Patient", &["west"], "deny out-of-reach NotFound"),
    ("nurse", Create, "Observation", &["west", "east"], "deny out-of-reach Forbidden"),
    ("nurse", Create, "Observation", &["related", "east"], "allow relationship"),
    ("nurse", Update, "Observation", &["west"], "deny out-of-reach NotFound"),
    ("nurse", Create, "Observation", &[], "deny no-patient Forbidden"),
    ("nurse", Read, "Organization", &[], "allow role"),
    ("nurse of no branch", Read, "Observation", &["east"], "deny out-of-reach NotFound"),
    ("nurse of no branch", Read, "Observation", &["related"], "allow relationship"),
    ("nurse of a closed branch", Read, "Patient", &["east"], "deny out-of-reach NotFound"),
    ("carer", Create, "Observation", &["east"], "allow role-at-branch"),
    ("carer", Update, "Observation", &["east"], "deny no-role Forbidden"),
    ("carer", Create, "MedicationRequest", &["east"], "deny no-role Forbidden"),
    ("carer", Create, "MedicationAdministration", &["east"], "allow role-at-branch"),
    ("patient", Read, "Observation", &["own"], "allow own-record"),
    ("patient", Read, "Observation", &["east"], "deny out-of-reach NotFound"),
    ("patient", Read, "Observation", &["related"], "deny out-of-reach NotFound"),
    ("patient", Create, "Observation", &["own"], "deny no-role Forbidden"),
    ("patient", Read, "Practitioner", &[], "allow role"),
    ("receptionist", Read, "Patient", &["west"], "allow role-in-tenant"),
    ("receptionist", Create, "Coverage", &["west"], "allow role-in-tenant"),
    ("receptionist", Read, "Observation", &["west"], "deny no-role Forbidden"),
    ("receptionist", Read, "Encounter", &["west"], "deny no-role Forbidden"),
    ("receptionist and nurse", Read, "Patient", &["west"], "allow role-in-tenant"),
    ("receptionist and nurse", Read, "Observation", &["west"], "deny out-of-reach NotFound"),
    ("receptionist and nurse", Read, "Observation", &["east"], "allow role-at-branch"),
];

fn who(name: &str) -> Subject {
    person(match name {
        "doctor" => everywhere(Role::Doctor),
        "bound doctor" => at_east(Role::Doctor),
        "nurse" => at_east(Role::Nurse),
        "nurse of no branch" => everywhere(Role::Nurse),
        "nurse of a closed branch" => vec![RoleAssignment::at(Role::Nurse, vec![branch_id(13)])],
        "carer" => at_east(Role::Carer),
        "patient" => everywhere(Role::Patient),
        "receptionist" => everywhere(Role::Receptionist),
        "receptionist and nurse" => vec![
            RoleAssignment::of(Role::Receptionist),
            RoleAssignment::at(Role::Nurse, vec![branch_id(EAST)]),
        ],
        other => panic!("{other} is not in the scene"),
    })
}

#[test]
fn one_resource() {
    for (name, interaction, ty, patients, expected) in ONE_RESOURCE {
        let decision = ask(&who(name), *interaction, ty, patients, Treatment);
        assert_eq!(
            short(&decision),
            *expected,
            "{name}: {interaction} {ty} {patients:?}"
        );
    }
}

#[test]
fn roles_without_clinical_content_have_none() {
    for role in [Role::Administrator, Role::Auditor] {
        let subject = person(everywhere(role));
        for ty in [
            "Patient",
            "Observation",
            "DocumentReference",
            "Binary",
            "Coverage",
        ] {
            for interaction in Interaction::RESOURCE {
                for purpose in [Treatment, EmergencyTreatment] {
                    let decision = ask(&subject, interaction, ty, &["granted"], purpose);
                    assert_eq!(short(&decision), "deny no-role Forbidden", "{role} {ty}");
                }
            }
        }
    }
}

/// What a nurse with a grant to `granted` asks, with which purpose, and the answer.
#[rustfmt::skip]
const EMERGENCIES: &[(Interaction, &str, &[&str], kernel::PurposeOfUse, &str)] = &[
    (Read, "Observation", &["granted"], EmergencyTreatment, "allow break-glass"),
    (Read, "MedicationRequest", &["granted"], EmergencyTreatment, "allow break-glass"),
    (History, "Patient", &["granted"], EmergencyTreatment, "allow break-glass"),
    (Create, "DocumentReference", &["granted"], EmergencyTreatment, "allow break-glass"),
    (Create, "Composition", &["granted", "east"], EmergencyTreatment, "allow break-glass"),
    (Create, "Composition", &["granted", "west"], EmergencyTreatment, "deny out-of-reach Forbidden"),
    (Create, "Observation", &["granted"], EmergencyTreatment, "deny out-of-reach Forbidden"),
    (Update, "DocumentReference", &["granted"], EmergencyTreatment, "deny out-of-reach NotFound"),
    (Read, "Observation", &["granted"], Treatment, "deny out-of-reach NotFound"),
    (Read, "Observation", &["west"], EmergencyTreatment, "deny out-of-reach NotFound"),
    // What the role reaches anyway is no emergency.
    (Read, "Observation", &["east"], EmergencyTreatment, "allow role-at-branch"),
    (Read, "Account", &["granted"], EmergencyTreatment, "deny no-role Forbidden"),
];

#[test]
fn breaking_the_glass() {
    let nurse = who("nurse");
    for (interaction, ty, patients, purpose, expected) in EMERGENCIES {
        let decision = ask(&nurse, *interaction, ty, patients, *purpose);
        assert_eq!(
            short(&decision),
            *expected,
            "{interaction} {ty} {patients:?}"
        );
        let emergency = *expected == "allow break-glass";
        assert_eq!(decision.reason().must_be_reviewed(), emergency);
        if emergency {
            assert_eq!(decision.reason().prior(), Some(Uuid::from_u128(700)));
            assert_eq!(decision.reason().purpose(), Some(EmergencyTreatment));
        }
    }
}

#[test]
fn the_purpose_follows_the_grant() {
    let (nurse, desk) = (who("nurse"), who("receptionist"));
    assert!(nurse.may_break_glass() && !desk.may_break_glass());
    let asked = ask(&desk, Read, "Observation", &["granted"], EmergencyTreatment);
    assert_eq!(short(&asked), "deny no-role Forbidden");

    let patient = id("granted");
    let purpose = |now| nurse.purpose_for(&patient, Treatment, now);
    assert_eq!(purpose(NOW), EmergencyTreatment);
    assert_eq!(purpose(NOW.plus_seconds(3600)), Treatment);
    assert_eq!(nurse.purpose_for(&id("west"), Treatment, NOW), Treatment);
}

#[test]
fn grants_end_and_belong_to_one_user() {
    let after = |grants: &[BreakGlassGrant], seconds| {
        let nurse = person_with(at_east(Role::Nurse), &[], grants);
        let patient = id("granted");
        let refs = [PatientRef {
            id: &patient,
            organization: None,
        }];
        let now = NOW.plus_seconds(seconds);
        let request = Request::of_type(Read, "Observation", EmergencyTreatment, now);
        decide(&nurse, &request.about(&refs)).is_allowed()
    };
    let own = grant(HERE, USER, "granted");
    assert!(after(std::slice::from_ref(&own), 3599));
    assert!(!after(std::slice::from_ref(&own), 3600));
    assert!(!after(&[own.ended(NOW.plus_seconds(10))], 10));
    assert!(!after(&[grant(HERE, 101, "granted")], 0));
    assert!(!after(&[grant(TWIN, USER, "granted")], 0));
    let refused = own
        .reviewed(user_id(5), ReviewOutcome::NotJustified, "", NOW)
        .unwrap();
    assert!(!after(&[refused], 1));
}

#[test]
fn relationships_count_for_their_party_and_time() {
    let reaches = |relationship: Relationship| {
        let nurse = person_with(at_east(Role::Nurse), &[relationship], &[]);
        ask(&nurse, Read, "Observation", &["related"], Treatment).is_allowed()
    };
    assert!(reaches(relationship(
        Party::User(user_id(USER)),
        "related",
        None
    )));
    assert!(reaches(relationship(
        Party::Branch(branch_id(EAST)),
        "related",
        Some(1)
    )));
    assert!(!reaches(relationship(
        Party::User(user_id(101)),
        "related",
        None
    )));
    assert!(!reaches(relationship(
        Party::Branch(branch_id(WEST)),
        "related",
        None
    )));
    assert!(!reaches(relationship(
        Party::User(user_id(USER)),
        "related",
        Some(0)
    )));
    assert!(!reaches(relationship(
        Party::User(user_id(USER)),
        "west",
        None
    )));
}

fn scope_of(types: Types, letters: &str) -> Scope {
    Scope {
        types,
        interactions: InteractionSet::parse(letters).unwrap(),
    }
}
fn named(names: &[&str]) -> Types {
    Types::Named(names.iter().map(|name| (*name).to_owned()).collect())
}
fn client_with(scopes: Vec<Scope>, operations: Vec<Interaction>) -> Subject {
    Subject::client(&scope(HERE), &client(scopes, operations), &[]).unwrap()
}
fn laboratory() -> Subject {
    client_with(
        vec![scope_of(named(&["Observation", "Patient"]), "rsc")],
        vec![
            Interaction::Export,
            Interaction::ManageUsers,
            Interaction::ManageOwnAccount,
        ],
    )
}

#[test]
fn clients_need_role_and_scope() {
    let subject = laboratory();
    for (interaction, ty, expected) in [
        (Read, "Observation", "allow role-in-tenant"),
        (Create, "Observation", "allow role-in-tenant"),
        (Update, "Observation", "deny no-scope Forbidden"),
        (Read, "Condition", "deny no-scope Forbidden"),
        (Read, "AuditEvent", "deny no-role Forbidden"),
    ] {
        let decision = ask(&subject, interaction, ty, &["west"], Treatment);
        assert_eq!(short(&decision), expected, "{interaction} {ty}");
    }
    for (operation, expected) in [
        (Interaction::Export, "allow role-in-tenant"),
        (Interaction::Import, "deny no-scope Forbidden"),
        (Interaction::ManageUsers, "deny no-role Forbidden"),
        (Interaction::ManageOwnAccount, "deny no-role Forbidden"),
    ] {
        assert_eq!(
            short(&operate(&subject, operation)),
            expected,
            "{operation}"
        );
    }
    let silent = client_with(Vec::new(), Vec::new());
    assert_eq!(
        short(&of_type(&silent, Read, "Organization")),
        "deny no-scope Forbidden"
    );
}

#[test]
fn all_types_at_once_need_everything() {
    let all = |subject: &Subject, interaction| {
        let mut request = Request::of_type(interaction, "", Treatment, NOW);
        request.resource_type = None;
        short(&decide(subject, &request))
    };
    let whole = client_with(vec![scope_of(Types::All, "rshcud")], Vec::new());
    assert_eq!(all(&whole, History), "allow role-in-tenant");
    assert_eq!(all(&laboratory(), Read), "deny no-scope Forbidden");
    assert_eq!(
        all(&who("doctor"), Search),
        "deny needs-every-class Forbidden"
    );
    assert_eq!(
        all(&who("nurse"), History),
        "deny needs-every-class Forbidden"
    );
}

#[test]
fn a_token_narrows_and_never_widens() {
    let narrowed = laboratory().limited_to(Some(&[
        scope_of(Types::All, "r"),
        scope_of(named(&["Condition"]), "rshcud"),
    ]));
    assert!(ask(&narrowed, Read, "Patient", &["west"], Treatment).is_allowed());
    assert!(!ask(&narrowed, Create, "Patient", &["west"], Treatment).is_allowed());
    assert!(!ask(&narrowed, Read, "Condition", &["west"], Treatment).is_allowed());

    let reader =
        person(everywhere(Role::Administrator)).limited_to(Some(&[scope_of(Types::All, "r")]));
    assert_eq!(
        short(&operate(&reader, Interaction::ManageUsers)),
        "deny no-scope Forbidden"
    );
    assert!(of_type(&reader, Read, "Organization").is_allowed());
    assert!(!of_type(&reader, Create, "Organization").is_allowed());
}

#[test]
fn what_is_pending_comes_first() {
    let mut person = user(HERE, everywhere(Role::Doctor));
    person.must_change = true;
    let make = |user: &User, level| {
        Subject::user(&scope(HERE), user, level, &Surroundings::default()).unwrap()
    };
    let subject = make(&person, AuthenticationLevel::Password);
    assert_eq!(
        short(&of_type(&subject, Read, "Patient")),
        "deny password-change-required Forbidden"
    );
    assert!(operate(&subject, Interaction::ManageOwnAccount).is_allowed());
    let subject = make(&person, AuthenticationLevel::PasswordOnly);
    for operation in [Interaction::ManageOwnAccount, Interaction::BreakGlass] {
        assert_eq!(
            short(&operate(&subject, operation)),
            "deny second-step-required Forbidden"
        );
    }
    assert!(!subject.may_administer(person.id) && subject.may_administer(user_id(1)));
}

#[test]
fn operations_need_the_whole_tenant() {
    let bound = person(at_east(Role::Administrator));
    assert_eq!(
        short(&operate(&bound, Interaction::ManageUsers)),
        "deny needs-tenant Forbidden"
    );
    assert_eq!(
        short(&operate(&bound, Interaction::ManageOwnAccount)),
        "allow role"
    );
    assert_eq!(
        short(&operate(
            &person(at_east(Role::Carer)),
            Interaction::BreakGlass
        )),
        "allow role"
    );
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Operator) {
        let subject = person(everywhere(role));
        for operation in Interaction::OPERATIONS {
            // Integration services are clients; a person with the role has no listed operation.
            let expected = permissions::may_operate(role, operation);
            assert_eq!(
                operate(&subject, operation).is_allowed(),
                expected,
                "{role} {operation}"
            );
        }
    }
}

#[test]
fn sentences_are_for_people() {
    let nurse = person(at_east(Role::Nurse));
    let desk = person(everywhere(Role::Receptionist));
    let lines: Vec<String> = [
        ask(&nurse, Read, "Observation", &["east"], Treatment),
        ask(&nurse, Read, "Observation", &["west"], Treatment),
        ask(
            &nurse,
            Read,
            "Observation",
            &["granted"],
            EmergencyTreatment,
        ),
        ask(&nurse, Create, "Observation", &[], Treatment),
        ask(&nurse, Delete, "Observation", &["east"], Treatment),
        ask(&desk, Read, "Observation", &["east"], Treatment),
        ask(&desk, Update, "Patient", &["east"], Treatment),
        of_type(&nurse, Search, "Condition"),
        of_type(&desk, Read, "Banana"),
        operate(&desk, Interaction::Erase),
        operate(&person(at_east(Role::Auditor)), Interaction::ViewAudit),
    ]
    .iter()
    .map(|decision| format!("{} | {}", decision.reason().policy_id(), decision.reason()))
    .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

/// The budget is 50 microseconds; an unoptimised build on a busy machine must keep it too.
#[test]
#[expect(clippy::disallowed_methods, reason = "measures the decision itself")]
fn a_decision_is_quick() {
    let nurse = person(at_east(Role::Nurse));
    let organization = id("org-west");
    let patient = id("granted");
    let refs = [PatientRef {
        id: &patient,
        organization: Some(&organization),
    }];
    let request = Request::of_type(Read, "VisionPrescription", EmergencyTreatment, NOW);
    let request = request.about(&refs);
    let best = (0..20)
        .map(|_| {
            let start = std::time::Instant::now();
            for _ in 0..100 {
                assert!(std::hint::black_box(decide(&nurse, &request)).is_allowed());
            }
            start.elapsed() / 100
        })
        .min()
        .unwrap();
    assert!(best.as_micros() < 50, "{best:?}");
    println!("a decision takes {best:?}");
}
