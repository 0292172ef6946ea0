//! AuditEvents against what the BALP profiles demand.

use kernel::Timestamp;
use uuid::Uuid;

use super::*;
use crate::hash::leaf_hash;
use crate::leaf::{KeyId, Pseudonym};
use crate::payload::tests::example;

const SERVER: &str = "https://records.example.org/t/rosewood/fhir";

fn leaf(class: Class) -> Leaf {
    Leaf {
        id: Uuid::from_u128(9),
        time: Timestamp::from_micros(1_772_698_150_123_456),
        writer: Uuid::from_u128(1),
        counter: 1,
        class,
        outcome: Outcome::Success,
        actor: Pseudonym([1; 16]),
        subject: None,
        resource: None,
        payload: Some(leaf_hash(b"")),
        key: Some(KeyId([2; 16])),
        reason: None,
        prior: None,
        erased: None,
        mark: None,
        gap: None,
    }
}

fn list(event: &Value, name: &str) -> Vec<Value> {
    event[name].as_array().unwrap().clone()
}

#[test]
fn a_read_about_a_patient() {
    let event = example().to_audit_event(&leaf(Class::Read), SERVER);
    insta::assert_snapshot!(serde_json::to_string_pretty(&event).unwrap());
}

/// By class: action, subtype, types of client, server and user agent, profile.
type Case = (
    Class,
    &'static str,
    &'static str,
    [&'static str; 3],
    &'static str,
);
const CASES: [Case; 6] = [
    (
        Class::Create,
        "C",
        "create",
        ["110153", "110152", "AUT"],
        "Create",
    ),
    (
        Class::Update,
        "U",
        "update",
        ["110153", "110152", "AUT"],
        "Update",
    ),
    (
        Class::Delete,
        "D",
        "delete",
        ["110150", "custodian", "AUT"],
        "Delete",
    ),
    (
        Class::Read,
        "R",
        "read",
        ["110152", "110153", "IRCP"],
        "Read",
    ),
    (
        Class::Vread,
        "R",
        "vread",
        ["110152", "110153", "IRCP"],
        "Read",
    ),
    (
        Class::Search,
        "E",
        "search-type",
        ["110153", "110152", "IRCP"],
        "Query",
    ),
];

fn event_of(class: Class, about_patient: bool) -> Value {
    let mut payload = example();
    payload.query = (class == Class::Search).then(|| "Observation?code=1".to_owned());
    payload.patient = payload.patient.filter(|_| about_patient);
    payload.to_audit_event(&leaf(class), SERVER)
}

#[test]
fn every_interaction_has_the_codes_and_agents_of_its_profile() {
    for (class, action, subtype, types, profile) in CASES {
        for (about_patient, prefix) in [(true, ".Patient"), (false, ".")] {
            let event = event_of(class, about_patient);
            assert_eq!(event["action"], action, "{class:?}");
            assert_eq!(event["subtype"][0]["code"], subtype);
            assert_eq!(event["outcome"], "0");
            let found = event["meta"]["profile"][0].as_str().unwrap();
            assert!(found.ends_with(&format!("{prefix}{profile}")), "{found}");
            let agents = list(&event, "agent");
            let found: Vec<&Value> = agents
                .iter()
                .map(|a| &a["type"]["coding"][0]["code"])
                .collect();
            assert_eq!(found, types);
            for machine in &agents[..2] {
                let complete =
                    machine["network"]["address"].is_string() && machine["who"].is_object();
                assert!(complete && machine["requestor"] == false, "{machine}");
            }
            assert!(agents[2]["network"].is_null() && agents[2]["requestor"] == true);
        }
    }
}

#[test]
fn every_interaction_has_the_entities_of_its_profile() {
    for (class, ..) in CASES {
        for about_patient in [true, false] {
            let entities = list(&event_of(class, about_patient), "entity");
            let role = |code: &str| {
                entities
                    .iter()
                    .filter(|e| e["role"]["code"] == code)
                    .count()
            };
            assert_eq!(role("1"), usize::from(about_patient));
            let query = class == Class::Search;
            assert_eq!(
                (role("24"), role("4")),
                (usize::from(query), usize::from(!query))
            );
            if let Some(query) = entities.iter().find(|e| e["role"]["code"] == "24") {
                assert!(query["what"].is_null());
                assert_eq!(query["query"], STANDARD.encode("Observation?code=1"));
            }
            let requests = entities
                .iter()
                .filter(|e| e["type"]["code"] == "XrequestId");
            assert_eq!(requests.count(), 1);
        }
    }
}

#[test]
fn refusals_and_jobs_claim_no_profile_they_do_not_fit() {
    let mut denied = leaf(Class::Read);
    denied.outcome = Outcome::Denied;
    let mut payload = example();
    payload.outcome_text = Some("nurses see the patients of their branch".to_owned());
    let event = payload.to_audit_event(&denied, SERVER);
    assert!(event["meta"].is_null());
    assert_eq!(event["outcome"], "4");
    assert_eq!(
        event["outcomeDesc"],
        "nurses see the patients of their branch"
    );
    payload.actor.kind = ActorKind::System;
    payload.client_address = None;
    let event = payload.to_audit_event(&leaf(Class::Job), SERVER);
    let requestors: Vec<Value> = list(&event, "agent")
        .iter()
        .map(|a| a["requestor"].clone())
        .collect();
    assert_eq!(requestors, [true, false]);
    assert_eq!(event["subtype"][0]["system"], CLASS_SYSTEM);
}

#[test]
fn every_class_gives_what_r4_requires() {
    for class in Class::ALL {
        let event = example().to_audit_event(&leaf(*class), SERVER);
        for required in ["type", "recorded", "agent", "source"] {
            assert!(!event[required].is_null(), "{class:?} lacks {required}");
        }
    }
}
