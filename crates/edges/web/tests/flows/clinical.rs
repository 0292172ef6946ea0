//! What people of each role see of the record.

#![expect(
    clippy::too_many_lines,
    reason = "a test fails by panicking, and its pages are long lists"
)]

use crate::house::House;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doctor_reads_the_summary_and_the_history() {
    let house = House::build().await;
    let mut doctor = house.signed_in("ash", "doctor").await;
    let found = doctor.get("/t/ash/patients?name=smith+ja").await;
    assert!(
        found.body.contains("/t/ash/patients/ash-p1")
            && !found.body.contains("/t/ash/patients/ash-p2"),
        "{}",
        found.body
    );
    let by_number = doctor.get("/t/ash/patients?number=943+476+5919").await;
    assert!(by_number.body.contains("/t/ash/patients/ash-p1"));
    let by_date = doctor.get("/t/ash/patients?born=5+mar+1941").await;
    assert!(by_date.body.contains("/t/ash/patients/ash-p1"));
    let ambiguous = doctor.get("/t/ash/patients?born=05%2F03%2F1941").await;
    assert!(
        ambiguous.body.contains("month in letters")
            && !ambiguous.body.contains("/t/ash/patients/ash-p1")
    );
    let none = doctor.get("/t/ash/patients?name=zzz%2C%7C%24%5C").await;
    assert!(
        none.status == 200 && none.body.contains("No patient you may see matches"),
        "{}",
        none.body
    );
    let page = doctor.get("/t/ash/patients/ash-p1").await;
    assert_eq!(page.status, 200, "{}", page.body);
    for part in [
        "SMITHASHCANARY, Jane (Mrs)",
        "Known allergies",
        "penicillin ashcanary",
        "Gout ashcanary",
        "allopurinol",
        "100\u{a0}mg",
        "class=\"plot\"",
        "Visit ashcanary",
        "Influenza ashcanary",
        "Review ashcanary",
    ] {
        assert!(page.body.contains(part), "{part} is missing: {}", page.body);
    }
    let second = doctor.get("/t/ash/patients/ash-p2").await;
    assert!(
        second.body.contains("Allergies not recorded")
            && second.body.contains("No medicines recorded.")
    );
    let resource = doctor.get("/t/ash/records/Observation/ash-o2").await;
    assert!(
        resource.status == 200
            && resource.body.contains("5.8")
            && resource.body.contains("Version 2"),
        "{}",
        resource.body
    );
    let first = doctor
        .get("/t/ash/records/Observation/ash-o2?version=1")
        .await;
    assert!(first.body.contains("5.9") && first.body.contains("Not the current version"));
    let history = doctor
        .get("/t/ash/records/Observation/ash-o2/history")
        .await;
    assert!(
        history.body.contains("<del>5.9</del>") && history.body.contains("<ins>5.8</ins>"),
        "{}",
        history.body
    );
    assert!(
        doctor
            .get("/t/ash/records/AllergyIntolerance?patient=ash-p1")
            .await
            .body
            .contains("penicillin")
    );
    for missing in [
        "/t/ash/records/Observation/none",
        "/t/ash/records/Nothing/1",
        "/t/ash/records/Observation/ash-o2?version=9",
        "/t/ash/patients/%20",
    ] {
        assert_eq!(doctor.get(missing).await.status, 404, "{missing}");
    }
    assert_eq!(
        doctor
            .get("/t/ash/records/Observation/ash-o2?version=x")
            .await
            .status,
        400
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_has_its_today() {
    let house = House::build().await;
    for (name, shown, hidden) in [
        (
            "doctor",
            vec!["Appointments today", "Recent results", "Potassium"],
            vec!["Latest access", "Users"],
        ),
        (
            "nurse",
            vec![
                "Residents",
                "SMITHASHCANARY, Jane",
                "No observation in 30 days",
            ],
            vec!["SMITHASHCANARY, Alan"],
        ),
        (
            "carer",
            vec!["SMITHASHCANARY, Alan", "Allergies not recorded"],
            vec!["SMITHASHCANARY, Jane"],
        ),
        (
            "receptionist",
            vec!["Appointments today", "SMITHASHCANARY"],
            vec!["Potassium", "penicillin"],
        ),
        (
            "admin",
            vec!["Users", "Storage", "signature right"],
            vec!["SMITH", "Potassium"],
        ),
        (
            "auditor",
            vec!["Latest access", "Emergency access to review"],
            vec!["Potassium"],
        ),
    ] {
        let mut browser = house.signed_in("ash", name).await;
        let today = browser.get("/t/ash/").await;
        assert_eq!(today.status, 200, "{name}");
        for word in shown {
            assert!(
                today.body.contains(word),
                "{name} does not see {word}: {}",
                today.body
            );
        }
        for word in hidden {
            assert!(
                !today.body.contains(word),
                "{name} sees {word}: {}",
                today.body
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_without_clinical_content_is_told_so() {
    let house = House::build().await;
    let mut receptionist = house.signed_in("ash", "receptionist").await;
    let page = receptionist.get("/t/ash/patients/ash-p1").await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(
        page.body.contains("Part of the record is not shown")
            && page.body.contains("Review ashcanary")
    );
    for word in [
        "penicillin",
        "allopurinol",
        "Gout",
        "Potassium",
        "Allergies not recorded",
        "No known allergies",
    ] {
        assert!(!page.body.contains(word), "{word}");
    }
    assert!(
        receptionist
            .get("/t/ash/records/Observation/ash-o1")
            .await
            .status
            >= 400
    );
}
