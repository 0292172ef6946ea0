//! Ledger, erasure, jobs, leases, consumers, tenants and support.

use std::collections::BTreeMap;

use app::audit::{self, ExportSink};
use app::consumers::{Consumer, Event, catch_up};
use app::jobs::{self, Lease};
use app::{AppError, Log};
use async_trait::async_trait;
use identity::{Role, SystemTask, system_scope};
use kernel::{TenantId, TenantScope};
use ledger::proof::TlogProof;
use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{House, observation, patient};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_about_a_patient_is_proven() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    house.put(&doctor, &patient("p1", "One")).await.unwrap();
    house.put(&doctor, &patient("p2", "Two")).await.unwrap();
    house.put(&doctor, &observation("o1", "p1")).await.unwrap();
    let auditor = house.caller("ash", Role::Auditor).await;
    let patient_id = "p1".parse().unwrap();
    let page = audit::about_patient(&house.app, &auditor, Log::Changes, &patient_id, None, 10)
        .await
        .unwrap();
    assert_eq!(page.entries.len(), 2);
    for entry in &page.entries {
        let proof: TlogProof = entry.proof.as_ref().unwrap().parse().unwrap();
        let checkpoint = proof.verify(entry.hash).unwrap();
        assert_eq!(checkpoint.size, page.size);
        assert!(proof.verify(ledger::leaf_hash(b"other")).is_err());
    }
    let index = page.entries[0].index;
    let text = audit::proof(&house.app, &auditor, Log::Changes, index)
        .await
        .unwrap();
    assert!(
        text.parse::<TlogProof>()
            .unwrap()
            .verify(page.entries[0].hash)
            .is_ok()
    );
    let beyond = audit::proof(&house.app, &auditor, Log::Changes, 10_000).await;
    assert!(matches!(beyond, Err(AppError::Proof(_))));
    let tile = audit::tile(&house.app, &auditor, Log::Changes, "tile/0/000.p/1")
        .await
        .unwrap();
    assert_eq!(tile.len(), 32);
    assert!(
        audit::tile(&house.app, &auditor, Log::Changes, "tile/0/009")
            .await
            .is_err()
    );
    assert!(
        audit::consistency(&house.app, &auditor, Log::Changes, 1, None)
            .await
            .is_ok()
    );
    let bundle =
        audit::entries_bundle(&house.app, &auditor, Log::Changes, "tile/entries/000.p/1").await;
    assert!(bundle.unwrap().len() > 100);
}

#[derive(Default)]
struct Files(BTreeMap<String, Vec<u8>>);

impl ExportSink for Files {
    fn file(&mut self, path: &str, bytes: &[u8]) -> Result<(), AppError> {
        self.0.insert(path.to_owned(), bytes.to_vec());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_has_every_file() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    for number in 0..300 {
        house
            .put(&doctor, &patient(&format!("p{number}"), "X"))
            .await
            .unwrap();
    }
    let auditor = house.caller("ash", Role::Auditor).await;
    let mut files = Files::default();
    let size = audit::export(&house.app, &auditor, Log::Changes, &mut files)
        .await
        .unwrap();
    assert!(size > 300);
    for path in [
        "keys.txt",
        "changes/checkpoint",
        "changes/checkpoints",
        "changes/tile/0/000",
        "changes/tile/1/000.p/1",
        "changes/tile/entries/000",
        "changes/payloads/000",
    ] {
        assert!(files.0.contains_key(path), "{path} in {:?}", files.0.keys());
    }
    assert_eq!(files.0["changes/tile/0/000"].len(), 8192);
    assert!(
        audit::export(&house.app, &doctor, Log::Changes, &mut files)
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn erasure_makes_everything_unreadable_and_says_so() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    house.put(&doctor, &patient("p1", "One")).await.unwrap();
    house.put(&doctor, &observation("o1", "p1")).await.unwrap();
    house.put(&doctor, &patient("p2", "Two")).await.unwrap();
    let admin = house.admin("ash").await;
    let patient_id = "p1".parse().unwrap();
    assert!(
        app::erase::erase(&house.app, &doctor, &patient_id, "request")
            .await
            .is_err()
    );
    assert!(
        app::erase::erase(&house.app, &admin, &patient_id, "not a code")
            .await
            .is_err()
    );
    let erased = app::erase::erase(&house.app, &admin, &patient_id, "request-17")
        .await
        .unwrap();
    assert_eq!(erased.resources, 2);
    for name in ["Patient/p1", "Observation/o1"] {
        let error = house.read(&doctor, name).await.unwrap_err();
        assert!(
            matches!(error, AppError::Gone { erased: true, .. }),
            "{name}: {error:?}"
        );
    }
    assert!(house.read(&doctor, "Patient/p2").await.is_ok());
    let (ids, _) = house.search(&doctor, "Patient?_sort=_id").await.unwrap();
    assert_eq!(ids, ["p2"]);
    let back = house
        .put(&doctor, &patient("p1", "Again"))
        .await
        .unwrap_err();
    assert!(
        matches!(back, AppError::Gone { erased: true, .. }),
        "{back:?}"
    );
    assert!(
        app::erase::erase(&house.app, &admin, &"nobody".parse().unwrap(), "x")
            .await
            .is_err()
    );
}

/// Two patients and a third record linked to the first; what is about `p1` alone, about both, or only
/// mentions `p1`.
async fn family(house: &House, service: &app::Caller) {
    for (id, name) in [("p1", "One"), ("p2", "Two"), ("twin", "Link")] {
        house.put(service, &patient(id, name)).await.unwrap();
    }
    let with = |mut body: Value, name: &str, value: Value| {
        body[name] = value;
        body
    };
    let to = |id: &str| json!({"reference": format!("Patient/{id}")});
    let group = |id: &str, members: &[&str]| {
        let members: Vec<Value> = members.iter().map(|id| json!({"entity": to(id)})).collect();
        json!({"resourceType": "Group", "id": id, "type": "person", "actual": true, "member": members})
    };
    let participants = ["p1", "p2"].map(|id| json!({"actor": to(id), "status": "accepted"}));
    let link = json!([{"other": to("p1"), "type": "seealso"}]);
    let stored = [
        observation("own", "p1"),
        group("alone", &["p1"]),
        observation("other", "p2"),
        group("others", &["p2", "twin"]),
        group("both", &["p1", "p2"]),
        with(observation("focus", "p2"), "focus", json!([to("p1")])),
        with(patient("twin", "Link"), "link", link),
        json!({"resourceType": "Appointment", "id": "both", "status": "booked", "participant": participants}),
    ];
    for body in &stored {
        house.put(service, body).await.unwrap();
    }
}

/// What is about several patients, or mentions one beside another, is not sealed under one patient's key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn erasure_lists_what_still_mentions_the_patient() {
    let house = House::build().await;
    let service = house.integration("ash").await;
    family(&house, &service).await;
    let shared = [
        "Appointment/both",
        "Group/both",
        "Observation/focus",
        "Patient/twin",
    ];
    let admin = house.admin("ash").await;
    let id = "p1".parse().unwrap();
    let preview = app::erase::preview(&house.app, &admin, &id).await.unwrap();
    assert_eq!(
        (preview.resources, preview.shared.as_slice()),
        (3, &shared.map(str::to_owned)[..])
    );
    let doctor = house.doctor().await;
    assert!(app::erase::preview(&house.app, &doctor, &id).await.is_err());

    let erased = app::erase::erase(&house.app, &admin, &id, "request-17")
        .await
        .unwrap();
    assert_eq!(
        (erased.resources, erased.shared),
        (preview.resources, preview.shared)
    );
    for name in ["Patient/p1", "Observation/own", "Group/alone"] {
        assert!(house.read(&service, name).await.is_err(), "{name}");
    }
    for name in shared {
        let text = house.read(&service, name).await.unwrap().to_string();
        assert!(text.contains("Patient/p1"), "{name}: {text}");
    }
    let auditor = house.caller("ash", Role::Auditor).await;
    let page = audit::recent(
        &house.app,
        &auditor,
        &audit::Filter::newest(Log::Changes, 5),
    )
    .await
    .unwrap();
    let texts: Vec<&str> = page
        .entries
        .iter()
        .filter_map(|entry| entry.payload.as_ref()?.outcome_text.as_deref())
        .collect();
    assert!(
        texts.contains(&"4 shared resources still mention this patient: Appointment/both, Group/both, Observation/focus, Patient/twin"),
        "{texts:?}"
    );
}

/// Emergency access to somebody erased answers as to anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emergency_access_to_somebody_erased_is_made_and_recorded() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    house.put(&doctor, &patient("p1", "One")).await.unwrap();
    let admin = house.admin("ash").await;
    app::erase::erase(&house.app, &admin, &"p1".parse().unwrap(), "request-17")
        .await
        .unwrap();
    let wanted = app::admin::break_glass::Wanted {
        patient: app::audit::Sought::Id("p1".parse().unwrap()),
        reason: identity::BreakGlassReason::UrgentCare,
        text: "found unconscious in the garden".to_owned(),
        minutes: None,
    };
    let granted = app::admin::break_glass::request(&house.app, &doctor, wanted).await;
    assert!(granted.is_ok(), "{granted:?}");
}

#[derive(Default)]
struct Follower {
    seen: Mutex<Vec<u64>>,
    fail_at: Option<u64>,
}

#[async_trait]
impl Consumer for Follower {
    fn name(&self) -> &'static str {
        "test-follower"
    }
    async fn take(&self, _scope: &TenantScope, events: &[Event]) -> Result<(), AppError> {
        for event in events {
            if Some(event.index) == self.fail_at {
                return Err(AppError::Fault("the follower stumbled".to_owned()));
            }
            self.seen.lock().push(event.index);
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_see_everything_in_order_at_least_once() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    for number in 0..5 {
        house
            .put(&doctor, &patient(&format!("p{number}"), "X"))
            .await
            .unwrap();
    }
    let scope = system_scope(doctor.scope.tenant(), SystemTask::Consumers);
    let holder = Uuid::from_u128(1);
    let stumbling = Follower {
        fail_at: Some(3),
        ..Follower::default()
    };
    assert!(
        catch_up(&house.app, &scope, &stumbling, holder)
            .await
            .is_err()
    );
    let behind = house.app.figures().consumers;
    assert_eq!(behind[0].0, "test-follower");
    assert!(behind[0].1 >= 5, "{behind:?}");
    let follower = Follower::default();
    let taken = catch_up(&house.app, &scope, &follower, holder)
        .await
        .unwrap();
    let seen = follower.seen.lock().clone();
    assert_eq!(
        seen,
        (0..taken).collect::<Vec<u64>>(),
        "nothing is skipped after a failure"
    );
    let behind = house.app.figures().consumers;
    assert_eq!(behind, [("test-follower".to_owned(), 0)]);
    assert_eq!(
        catch_up(&house.app, &scope, &follower, holder)
            .await
            .unwrap(),
        0
    );
    house.put(&doctor, &patient("p9", "X")).await.unwrap();
    assert_eq!(
        catch_up(&house.app, &scope, &follower, holder)
            .await
            .unwrap(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_has_one_holder_until_it_expires() {
    let house = House::build().await;
    let scope = system_scope(TenantId::INSTANCE, SystemTask::Jobs);
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let held = Lease::take(&house.app, &scope, "x", one, 10)
        .await
        .unwrap()
        .unwrap();
    assert!(
        Lease::take(&house.app, &scope, "x", two, 10)
            .await
            .unwrap()
            .is_none()
    );
    house.clock.advance(6);
    assert!(held.renew(&house.app).await.unwrap());
    house.clock.advance(6);
    assert!(
        Lease::take(&house.app, &scope, "x", two, 10)
            .await
            .unwrap()
            .is_none()
    );
    house.clock.advance(6);
    let taken = Lease::take(&house.app, &scope, "x", two, 10)
        .await
        .unwrap()
        .unwrap();
    assert!(!held.renew(&house.app).await.unwrap(), "lost");
    taken.release(&house.app).await.unwrap();
    assert!(
        Lease::take(&house.app, &scope, "x", one, 10)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_sweep_and_fix_checkpoints_once() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    house
        .put(&House::with_key(&doctor, "k"), &patient("p1", "One"))
        .await
        .unwrap();
    let holder = Uuid::from_u128(1);
    assert_eq!(jobs::sweep_all(&house.app, holder).await.unwrap(), 0);
    house.clock.advance(25 * 3600);
    assert_eq!(jobs::sweep_all(&house.app, holder).await.unwrap(), 1);
    let fixed = jobs::fix_checkpoints(&house.app, holder).await.unwrap();
    assert!(fixed >= 2, "{fixed}");
    assert_eq!(jobs::fix_checkpoints(&house.app, holder).await.unwrap(), 0);
    house.put(&doctor, &patient("p2", "Two")).await.unwrap();
    assert_eq!(jobs::fix_checkpoints(&house.app, holder).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_are_unique_and_operators_need_a_grant() {
    let house = House::build().await;
    assert!(matches!(
        house.tenant("ash").await,
        Err(AppError::Conflict(_))
    ));
    let admin = house.admin("ash").await;
    assert!(app::admin::tenants::list(&house.app, &admin).await.is_err());
    let slugs: Vec<String> = app::admin::tenants::list(&house.app, &house.operator)
        .await
        .unwrap()
        .iter()
        .map(|tenant| tenant.slug.to_string())
        .collect();
    assert_eq!(slugs, ["ash", "birch", "instance"]);
    let slug = "ash".parse().unwrap();
    let short =
        app::admin::tenants::support(&house.app, &house.operator, &slug, "why", true, 30).await;
    assert!(matches!(short, Err(AppError::Unprocessable(_))));
    let inside = app::admin::tenants::support(
        &house.app,
        &house.operator,
        &slug,
        "ticket 4711: import stuck",
        true,
        30,
    )
    .await
    .unwrap();
    assert!(house.search(&inside, "Patient?_id=a").await.is_ok());
    house.clock.advance(31 * 60);
    assert!(
        house.search(&inside, "Patient?_id=a").await.is_err(),
        "the grant is over"
    );
    let state = identity::TenantState::Suspended;
    app::admin::tenants::set_state(&house.app, &house.operator, &slug, state)
        .await
        .unwrap();
    let (name, password) = (
        "admin",
        zeroize::Zeroizing::new(crate::house::PASSWORD.to_owned()),
    );
    let closed = app::sign_in::password(&house.app, "ash", name, password, house.context()).await;
    assert!(closed.is_err(), "nobody signs in to a suspended tenant");
}
