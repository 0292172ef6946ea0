//! The pages of medicines through forms and links, without scripts.

#![expect(
    clippy::too_many_lines,
    reason = "a test fails by panicking, and tells its story in one piece"
)]

use crate::house::House;

const LIST: &str = "/t/ash/patients/ash-p1/medicines";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doctor_stops_holds_and_resumes_from_the_list() {
    let house = House::build().await;
    let mut doctor = house.signed_in("ash", "doctor").await;
    let home = doctor.get("/t/ash/medicines").await;
    assert_eq!(home.status, 200, "{}", home.body);
    assert!(home.body.contains(LIST), "{}", home.body);
    let list = doctor.get(LIST).await;
    for part in [
        "SMITHASHCANARY, Jane (Mrs)",
        "allopurinol",
        "penicillin ashcanary",
        "Not checked",
        "None recorded in 60 days",
    ] {
        assert!(list.body.contains(part), "{part}: {}", list.body);
    }
    let stop = format!("{LIST}/ash-m1/stop");
    let hold = format!("{LIST}/ash-m1/hold");
    let resume = format!("{LIST}/ash-m1/resume");
    let none = doctor.submit(&stop, &stop, &[]).await;
    assert!(
        none.status == 422 && none.body.contains("A reason is missing"),
        "{}",
        none.body
    );
    let ambiguous = [("reason", "surg"), ("until", "05/03/2027")];
    let held = doctor.submit(&hold, &hold, &ambiguous).await;
    assert!(
        held.status == 422 && held.body.contains("month in letters"),
        "{}",
        held.body
    );
    let held = doctor.submit(&hold, &hold, &[("reason", "surg")]).await;
    assert_eq!(held.status, 303, "{}", held.body);
    let list = doctor.get(held.location()).await;
    assert!(
        list.body.contains("The order is held") && list.body.contains("until somebody resumes it"),
        "{}",
        list.body
    );
    let home = doctor.get("/t/ash/medicines").await;
    assert!(home.body.contains(&resume), "{}", home.body);
    let resumed = doctor
        .submit(&resume, &resume, &[("words", "well again")])
        .await;
    assert_eq!(resumed.status, 303, "{}", resumed.body);
    // A form that was opened before somebody else changed the order is refused.
    let form = doctor.get(&stop).await;
    let (csrf, version) = (form.hidden("csrf"), form.hidden("version"));
    let again = doctor.submit(&hold, &hold, &[("reason", "surg")]).await;
    assert_eq!(again.status, 303);
    let fields = [
        ("csrf", csrf.as_str()),
        ("version", &version),
        ("reason", "sintol"),
    ];
    let late = doctor.post(&stop, &fields).await;
    assert!(late.status == 409, "{}: {}", late.status, late.body);
    let done = doctor
        .submit(&stop, &stop, &[("reason", "sintol"), ("words", "rash")])
        .await;
    assert_eq!(done.status, 303, "{}", done.body);
    let list = doctor.get(LIST).await;
    assert!(list.body.contains("Stopped and past (1)"), "{}", list.body);
    assert!(
        list.body.contains("stopped: rash") || list.body.contains("Stopped: rash"),
        "{}",
        list.body
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_prescribe_looks_only() {
    let house = House::build().await;
    let mut nurse = house.signed_in("ash", "nurse").await;
    let list = nurse.get(LIST).await;
    assert!(
        list.status == 200 && list.body.contains("allopurinol"),
        "{}",
        list.body
    );
    assert!(!list.body.contains("ash-m1/stop"), "{}", list.body);
    let stop = format!("{LIST}/ash-m1/stop");
    let page = nurse.get(&stop).await;
    assert!(
        page.body.contains("You may look, not change"),
        "{}",
        page.body
    );
    let csrf = page.hidden("csrf");
    let forced = nurse
        .post(&stop, &[("csrf", &csrf), ("reason", "sintol")])
        .await;
    assert_eq!(forced.status, 403, "{}", forced.body);
    // The other branch's patient is as missing as any.
    let other = nurse.get("/t/ash/patients/ash-p2/medicines").await;
    assert_eq!(other.status, 404);
    // Another patient's order is no order of this one.
    let foreign = nurse
        .get("/t/ash/patients/ash-p2/medicines/ash-m1/stop")
        .await;
    assert_eq!(foreign.status, 404);
    let mut receptionist = house.signed_in("ash", "receptionist").await;
    assert_eq!(receptionist.get(LIST).await.status, 403);
    assert!(
        !receptionist
            .get("/t/ash/")
            .await
            .body
            .contains("/medicines")
    );
}
