//! Who may: roles, branches, relationships, emergency access, tenants, and what the trail says.

use app::admin::{branches, break_glass, relationships};
use app::{AppError, Caller, HistoryScope, Log, record};
use identity::{
    BranchKind, BreakGlassReason, Party, RelationshipKind, ReviewOutcome, Role, RoleAssignment,
};
use kernel::{PurposeOfUse, VersionId};
use serde_json::{Value, json};

use crate::house::{House, entry, observation, patient, transaction};

fn at(id: &str, organization: &str) -> Value {
    let mut body = patient(id, "Resident");
    body["managingOrganization"] = json!({"reference": format!("Organization/{organization}")});
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_tenant_is_as_empty_as_a_missing_id() {
    let house = House::build().await;
    let ash = house.doctor().await;
    let birch = house.caller("birch", Role::Doctor).await;
    house.put(&ash, &patient("p1", "Canary")).await.unwrap();
    let foreign = house.read(&birch, "Patient/p1").await.unwrap_err();
    let missing = house.read(&birch, "Patient/p2").await.unwrap_err();
    assert_eq!(
        foreign.public_text().replace("p1", "p2"),
        missing.public_text()
    );
    assert!(matches!(foreign, AppError::NotFound { .. }));
    let (ids, _) = house.search(&birch, "Patient?family=canary").await.unwrap();
    assert!(ids.is_empty());
    // The same condition creates in both.
    let made = house.put(&birch, &patient("p1", "Twin")).await.unwrap();
    assert!(made.created);
    assert_eq!(
        house.read(&ash, "Patient/p1").await.unwrap()["name"][0]["family"],
        "Canary"
    );
    let admitted =
        app::init::acting_as(&house.app, "nobody", "doctor", PurposeOfUse::Treatment).await;
    assert!(matches!(admitted, Err(AppError::NotFound { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_and_looks_are_in_the_trail() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    house.put(&doctor, &patient("p1", "One")).await.unwrap();
    house.put(&doctor, &observation("o1", "p1")).await.unwrap();
    let desk = house.caller("ash", Role::Receptionist).await;
    let refused = house.read(&desk, "Observation/o1").await.unwrap_err();
    assert!(matches!(refused, AppError::Denied { .. }), "{refused:?}");
    house.read(&doctor, "Observation/o1").await.unwrap();
    house
        .search(&doctor, "Observation?code=8867-4")
        .await
        .unwrap();
    house
        .search(&doctor, "Observation?code=none")
        .await
        .unwrap();
    let trail = house.trail("ash", Log::Access, 5).await;
    assert_eq!(
        trail,
        [
            "audit-read success - -",
            "search success - -",
            "search success - p1",
            "read success Observation/o1/_history/1 p1",
            "read denied Observation -",
        ]
    );
    let changes = house.trail("ash", Log::Changes, 3).await;
    assert_eq!(
        changes,
        [
            "user success - -",
            "user success - -",
            "create success Observation/o1/_history/1 p1",
        ]
    );
    let unseen = app::audit::recent(
        &house.app,
        &doctor,
        &app::audit::Filter::newest(Log::Access, 1),
    )
    .await;
    assert!(matches!(unseen, Err(AppError::Denied { .. })));
}

/// Two wards with a patient each, and a nurse of the northern one.
struct Wards {
    house: House,
    doctor: Caller,
}

impl Wards {
    async fn build() -> Self {
        let house = House::build().await;
        let admin = house.admin("ash").await;
        let doctor = house.doctor().await;
        for name in ["north", "south"] {
            let new = branches::NewBranch {
                name: name.to_owned(),
                kind: BranchKind::Ward,
                organization: None,
            };
            let ward = branches::create(&house.app, &admin, new).await.unwrap();
            let body = at(name, ward.organization.as_str());
            house.put(&doctor, &body).await.unwrap();
            let body = observation(&format!("{name}-o"), name);
            house.put(&doctor, &body).await.unwrap();
            if name == "north" {
                let assignment = RoleAssignment::at(Role::Nurse, vec![ward.id]);
                house.caller_with("ash", assignment).await;
            }
        }
        Self { house, doctor }
    }

    /// The nurse, with what holds now.
    async fn nurse(&self, purpose: PurposeOfUse) -> Caller {
        app::init::acting_as(&self.house.app, "ash", "nurse", purpose)
            .await
            .unwrap()
    }

    async fn patients(&self, caller: &Caller) -> Vec<String> {
        let found = self.house.search(caller, "Patient?_sort=_id").await;
        found.unwrap().0
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nurse_sees_the_patients_of_the_branch() {
    let wards = Wards::build().await;
    let house = &wards.house;
    let nurse = wards.nurse(PurposeOfUse::Treatment).await;
    for seen in ["Patient/north", "Observation/north-o"] {
        assert!(house.read(&nurse, seen).await.is_ok(), "{seen}");
    }
    for hidden in [
        "Patient/south",
        "Observation/south-o",
        "Observation/nothing",
    ] {
        let error = house.read(&nurse, hidden).await.unwrap_err();
        assert!(
            matches!(error, AppError::NotFound { .. }),
            "{hidden}: {error:?}"
        );
    }
    assert_eq!(wards.patients(&nurse).await, ["north"]);
    let (found, _) = house
        .search(&nurse, "Observation?code=8867-4")
        .await
        .unwrap();
    assert_eq!(found, ["north-o"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nurse_writes_neither_over_nor_into_a_hidden_record() {
    let wards = Wards::build().await;
    let house = &wards.house;
    let nurse = wards.nurse(PurposeOfUse::Treatment).await;
    let over = house.put(&nurse, &observation("south-o", "north")).await;
    assert!(matches!(over, Err(AppError::NotFound { .. })), "{over:?}");
    let into = house.put(&nurse, &observation("new", "south")).await;
    assert!(matches!(into, Err(AppError::NotFound { .. })), "{into:?}");
    house
        .put(&nurse, &observation("mine", "north"))
        .await
        .unwrap();
    let mixed = transaction(&[
        entry(
            "PUT",
            "Observation/fine",
            Some(observation("fine", "north")),
        ),
        entry("PUT", "Observation/t", Some(observation("t", "south"))),
    ]);
    let error = house.bundle(&nurse, &mixed).await.unwrap_err();
    assert!(
        matches!(error, AppError::Entry { index: 1, .. }),
        "{error:?}"
    );
    let body = observation("x", "north").to_string();
    let key = house.key("Observation/south-o");
    let condition = Some("patient=south");
    let found =
        app::record::create::create(&house.app, &nurse, key.ty, body.into(), condition).await;
    assert!(
        matches!(&found, Err(AppError::Conflict(text)) if !text.contains("south")),
        "{found:?}"
    );
    let fine = house.read(&wards.doctor, "Observation/fine").await;
    assert!(fine.is_err(), "all or nothing");
    let trail = house.trail("ash", Log::Access, 6).await;
    assert!(
        trail.contains(&"create denied Observation/t south".to_owned()),
        "{trail:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relationship_opens_a_record_while_it_lasts() {
    let wards = Wards::build().await;
    let house = &wards.house;
    let admin = house.admin("ash").await;
    let nurse = wards.nurse(PurposeOfUse::Treatment).await;
    let new = relationships::NewRelationship {
        party: Party::User(nurse.subject.user_id().unwrap()),
        patient: "south".parse().unwrap(),
        kind: RelationshipKind::Cover,
        until: Some(house.app.now().plus_seconds(3600)),
    };
    let link = relationships::create(&house.app, &admin, new)
        .await
        .unwrap();
    let related = wards.nurse(PurposeOfUse::Treatment).await;
    assert!(house.read(&related, "Observation/south-o").await.is_ok());
    assert_eq!(wards.patients(&related).await, ["north", "south"]);
    relationships::end(&house.app, &admin, link.id)
        .await
        .unwrap();
    let ended = wards.nurse(PurposeOfUse::Treatment).await;
    assert!(house.read(&ended, "Observation/south-o").await.is_err());
    assert_eq!(wards.patients(&ended).await, ["north"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emergency_access_is_for_its_purpose_marked_and_reviewed() {
    let wards = Wards::build().await;
    let house = &wards.house;
    let nurse = wards.nurse(PurposeOfUse::Treatment).await;
    let wanted = break_glass::Wanted {
        patient: app::audit::Sought::Id("south".parse().unwrap()),
        reason: BreakGlassReason::UrgentCare,
        text: "collapsed in the corridor, nobody of the ward here".to_owned(),
        minutes: Some(30),
    };
    let grant = break_glass::request(&house.app, &nurse, wanted)
        .await
        .unwrap();
    let name = "Observation/south-o";
    let usual = wards.nurse(PurposeOfUse::Treatment).await;
    assert!(
        house.read(&usual, name).await.is_err(),
        "only for the purpose"
    );
    let emergency = wards.nurse(PurposeOfUse::EmergencyTreatment).await;
    assert!(house.read(&emergency, name).await.is_ok());

    let auditor = house.caller("ash", Role::Auditor).await;
    let filter = app::audit::Filter {
        outcome: Some(ledger::leaf::Outcome::Success),
        classes: vec![ledger::leaf::Class::Read],
        ..app::audit::Filter::newest(Log::Access, 1)
    };
    let page = app::audit::recent(&house.app, &auditor, &filter)
        .await
        .unwrap();
    let used = page.entries.first().unwrap();
    assert_eq!(used.leaf.prior, Some(grant.id));
    assert_eq!(used.leaf.reason.as_deref(), Some("break-glass"));
    let waiting = break_glass::waiting(&house.app, &auditor).await.unwrap();
    assert_eq!(waiting.len(), 1);
    let outcome = ReviewOutcome::NotJustified;
    break_glass::review(
        &house.app,
        &auditor,
        grant.id,
        outcome,
        "the ward was staffed",
    )
    .await
    .unwrap();
    assert!(
        break_glass::waiting(&house.app, &auditor)
            .await
            .unwrap()
            .is_empty()
    );
    let stopped = wards.nurse(PurposeOfUse::EmergencyTreatment).await;
    assert!(house.read(&stopped, name).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditional_creates_ask_first_and_name_neither_one_nor_several_hidden() {
    let wards = Wards::build().await;
    let house = &wards.house;
    let nurse = wards.nurse(PurposeOfUse::Treatment).await;
    let ty = house.key("Observation/x").ty;
    let create = async |caller: &Caller, condition: &str| {
        let body = observation("x", "north").to_string();
        record::create::create(&house.app, caller, ty, body.into(), Some(condition))
            .await
            .unwrap_err()
    };
    let one = create(&nurse, "patient=south").await;
    house
        .put(&wards.doctor, &observation("south-p", "south"))
        .await
        .unwrap();
    let several = create(&nurse, "patient=south").await;
    assert_eq!(one.public_text(), several.public_text());
    assert!(matches!(several, AppError::Conflict(_)), "{several:?}");
    let trail = house.trail("ash", Log::Access, 2).await;
    assert_eq!(trail[1..], ["create denied Observation -"]);
    let desk = house.caller("ash", Role::Receptionist).await;
    for condition in ["patient=south", "patient=nobody"] {
        let refused = create(&desk, condition).await;
        assert!(matches!(refused, AppError::Denied { .. }), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_versions_about_others_are_left_out_of_histories() {
    let wards = Wards::build().await;
    let house = &wards.house;
    let mut moved = observation("moved", "south");
    house.put(&wards.doctor, &moved).await.unwrap();
    moved["subject"]["reference"] = json!("Patient/north");
    house.put(&wards.doctor, &moved).await.unwrap();
    let nurse = wards.nurse(PurposeOfUse::Treatment).await;
    let key = house.key("Observation/moved");
    let versions = async |caller: &Caller, scope: HistoryScope| {
        let request = record::history::HistoryRequest {
            scope,
            params: Vec::new(),
            lenient: false,
        };
        let answer = record::history::history(&house.app, caller, &request).await;
        let found: Vec<u32> = answer
            .unwrap()
            .versions
            .iter()
            .filter(|version| version.key == key)
            .map(|version| version.version.0)
            .collect();
        found
    };
    for scope in [
        HistoryScope::Instance(key.clone()),
        HistoryScope::Type(key.ty),
    ] {
        assert_eq!(versions(&nurse, scope.clone()).await, [2]);
        assert_eq!(versions(&wards.doctor, scope).await, [2, 1]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hidden_and_missing_answer_alike() {
    let wards = Wards::build().await;
    let house = &wards.house;
    let doctor = &wards.doctor;
    house
        .put(doctor, &observation("south-d", "south"))
        .await
        .unwrap();
    let gone = house.key("Observation/south-d");
    let service = house.integration("ash").await;
    record::delete::delete(&house.app, &service, &gone, None)
        .await
        .unwrap();
    let nurse = wards.nurse(PurposeOfUse::Treatment).await;
    let over = house.put(&nurse, &observation("south-d", "north")).await;
    assert!(matches!(over, Err(AppError::NotFound { .. })), "{over:?}");

    let ids = ["south-o", "south-d", "nothing"];
    for version in [1, 2, 7] {
        let mut answers = Vec::new();
        for id in ids {
            let key = house.key(&format!("Observation/{id}"));
            let body = observation(id, "north").to_string();
            let if_match = Some(VersionId(version));
            let put = record::update::update(&house.app, &nurse, &key, body.into(), if_match).await;
            let mut part = entry(
                "PUT",
                &format!("Observation/{id}"),
                Some(observation(id, "north")),
            );
            part["request"]["ifMatch"] = json!(format!("W/\"{version}\""));
            let bundle = house.bundle(&nurse, &transaction(&[part])).await;
            let since = record::history::HistoryRequest {
                scope: HistoryScope::Instance(key),
                params: vec![("_since".to_owned(), "2000-01-01T00:00:00Z".to_owned())],
                lenient: false,
            };
            let history = record::history::history(&house.app, &nurse, &since).await;
            let text = format!(
                "{} | {} | {}",
                put.unwrap_err().public_text(),
                bundle.unwrap_err().public_text(),
                history.unwrap_err().public_text()
            );
            answers.push(text.replace(id, "it"));
        }
        assert_eq!(answers[0], answers[2]);
        assert_eq!(answers[1], answers[2]);
    }

    assert!(house.read(doctor, "Observation/south-o").await.is_ok());
}
