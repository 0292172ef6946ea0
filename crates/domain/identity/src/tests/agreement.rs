//! Decisions and search restrictions agree, for whatever roles, reach and purpose.

use kernel::PurposeOfUse::{EmergencyTreatment, Treatment};
use proptest::prelude::*;

use super::*;

fn assignment() -> impl Strategy<Value = RoleAssignment> {
    let roles = proptest::sample::select(&Role::ALL[..9]);
    let branches = proptest::option::of(proptest::sample::subsequence(vec![EAST, WEST, 13], 0..=3));
    (roles, branches).prop_map(|(role, branches)| RoleAssignment {
        role,
        branches: branches.map(|ids| ids.into_iter().map(branch_id).collect()),
    })
}

proptest! {
    #[test]
    fn a_search_shows_what_a_read_allows(
        roles in proptest::collection::vec(assignment(), 0..3),
        emergency: bool,
        ty in proptest::sample::select(vec!["Patient", "Observation", "Condition", "Coverage", "MedicationRequest", "DocumentReference", "Account", "Encounter"]),
        about in proptest::sample::subsequence(PATIENTS.to_vec(), 0..=3),
    ) {
        let subject = person(roles);
        let purpose = if emergency { EmergencyTreatment } else { Treatment };
        let names: Vec<&str> = about.iter().map(|(name, _)| *name).collect();
        let read = ask(&subject, Interaction::Read, ty, &names, purpose);
        let ids: Vec<(LogicalId, Option<LogicalId>)> = about.iter().map(|(name, org)| (id(name), org.map(id))).collect();
        let refs: Vec<PatientRef<'_>> = ids.iter().map(|(id, org)| PatientRef { id, organization: org.as_ref() }).collect();
        let request = Request::of_type(Interaction::Search, ty, purpose, NOW);
        let shown = match search_restriction(&subject, &request) {
            Restriction::Unrestricted { .. } => true,
            Restriction::Denied { .. } => false,
            Restriction::Narrowed { to, reason } => {
                // A list that shows a grant's patients is a use of the grant.
                if to.patients.contains(&&id("granted")) {
                    prop_assert!(reason.must_be_reviewed());
                }
                to.shows(&refs)
            }
        };
        prop_assert_eq!(shown, read.is_allowed(), "{} {:?}: {}", ty, names, short(&read));
    }

    /// Leaving the organisations out changes nothing when the subject says it needs none.
    #[test]
    fn organisations_matter_only_when_said(roles in proptest::collection::vec(assignment(), 0..3), ty in proptest::sample::select(vec!["Patient", "Observation", "Coverage", "Organization"]), at in 0usize..6) {
        let subject = person(roles);
        for interaction in [Interaction::Read, Interaction::Create] {
            let (name, _) = PATIENTS[at];
            let with = ask(&subject, interaction, ty, &[name], Treatment);
            let patient = id(name);
            let refs = [PatientRef { id: &patient, organization: None }];
            let without = decide(&subject, &Request::of_type(interaction, ty, Treatment, NOW).about(&refs));
            if !subject.needs_organizations(interaction, ty) {
                prop_assert_eq!(with.is_allowed(), without.is_allowed());
            }
            // Knowing less never allows more.
            prop_assert!(with.is_allowed() || !without.is_allowed());
        }
    }

    /// More roles never allow less; nothing is ever allowed by no role.
    #[test]
    fn roles_add_up(first in assignment(), second in assignment(), ty in proptest::sample::select(vec!["Patient", "Observation", "Binary", "AuditEvent", "ValueSet"]), at in 0usize..6) {
        let one = person(vec![first.clone()]);
        let two = person(vec![first, second]);
        let none = person(Vec::new());
        for interaction in Interaction::RESOURCE {
            let (name, _) = PATIENTS[at];
            let allowed = |subject| ask(subject, interaction, ty, &[name], Treatment).is_allowed();
            prop_assert!(!allowed(&one) || allowed(&two));
            prop_assert!(!allowed(&none));
        }
    }
}

#[test]
fn restrictions_name_branches_and_patients() {
    let request = Request::of_type(Interaction::Search, "Observation", Treatment, NOW);
    let nurse = person(at_east(Role::Nurse));
    let Restriction::Narrowed { to, reason } = search_restriction(&nurse, &request) else {
        panic!("a nurse is narrowed");
    };
    assert_eq!(reason.code(), "narrowed");
    assert_eq!(to.branches.len(), 1);
    assert_eq!(to.branches[0].organization, id("org-east"));
    assert_eq!(to.patients, [&id("related")]);

    let emergency = Request {
        purpose: EmergencyTreatment,
        ..request
    };
    let Restriction::Narrowed { to, reason } = search_restriction(&nurse, &emergency) else {
        panic!("a nurse is narrowed");
    };
    assert_eq!(reason.prior(), Some(Uuid::from_u128(700)));
    assert_eq!(to.patients, [&id("granted"), &id("related")]);

    let patient = person(everywhere(Role::Patient));
    let Restriction::Narrowed { to, .. } = search_restriction(&patient, &request) else {
        panic!("a patient is narrowed");
    };
    assert!(to.branches.is_empty());
    assert_eq!(to.patients, [&id("own")]);

    let nobody = person_with(everywhere(Role::Carer), &[], &[]);
    let Restriction::Narrowed { to, .. } = search_restriction(&nobody, &request) else {
        panic!("a carer is narrowed");
    };
    assert!(to.is_empty() && !to.shows(&[]));
}
