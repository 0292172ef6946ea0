//! Users, clients, branches, tenants, emergency access and audit, as forms.

#![expect(
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its pages are long lists"
)]

use crate::browser::Browser;
use crate::house::{House, PASSWORD};

fn made_secret(body: &str) -> String {
    let rest = body.split("data-copy>").nth(1).unwrap();
    rest.split('<').next().unwrap().to_owned()
}

fn link_after<'a>(body: &'a str, start: &str) -> &'a str {
    let at = body
        .find(start)
        .unwrap_or_else(|| panic!("no link {start} in {body}"));
    body[at..].split('"').next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_user_is_told_a_password_and_must_change_it() {
    let house = House::build().await;
    let mut admin = house.signed_in("ash", "admin").await;
    let none = admin
        .submit(
            "/t/ash/users/new",
            "/t/ash/users/new",
            &[("name", "Tom Hill"), ("user", "tom")],
        )
        .await;
    assert_eq!(none.status, 422);
    assert!(
        none.body.contains("needs at least one role") && none.body.contains("value=\"Tom Hill\"")
    );
    let fields = [("name", "Tom Hill"), ("user", "tom"), ("roles", "doctor")];
    let made = admin
        .submit("/t/ash/users/new", "/t/ash/users/new", &fields)
        .await;
    assert_eq!(made.status, 200, "{}", made.body);
    let password = made_secret(&made.body);
    let taken = admin
        .submit("/t/ash/users/new", "/t/ash/users/new", &fields)
        .await;
    assert_eq!(taken.status, 409);
    let mut tom = Browser::new(house.router.clone());
    let first = tom.sign_in("ash", "tom", &password).await;
    assert_eq!((first.status, first.location()), (303, "/t/ash/account"));
    assert_eq!(
        tom.get("/t/ash/patients").await.location(),
        "/t/ash/account"
    );
    let differ = [
        ("current", password.as_str()),
        ("new", "amber otter piano"),
        ("again", "amber otter"),
    ];
    let refused = tom
        .submit("/t/ash/account", "/t/ash/account/password", &differ)
        .await;
    assert!(refused.status == 422 && refused.body.contains("two new passwords differ"));
    let wrong = [
        ("current", "not it at all"),
        ("new", "amber otter piano"),
        ("again", "amber otter piano"),
    ];
    let refused = tom
        .submit("/t/ash/account", "/t/ash/account/password", &wrong)
        .await;
    assert!(refused.status == 401 && refused.body.contains("not your current password"));
    let right = [
        ("current", password.as_str()),
        ("new", "amber otter piano"),
        ("again", "amber otter piano"),
    ];
    let changed = tom
        .submit("/t/ash/account", "/t/ash/account/password", &right)
        .await;
    assert_eq!(
        (changed.status, changed.location()),
        (303, "/t/ash/account?done=password")
    );
    assert_eq!(tom.get("/t/ash/patients").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_changed_suspended_and_readmitted() {
    let house = House::build().await;
    let mut admin = house.signed_in("ash", "admin").await;
    let mut nurse = house.signed_in("ash", "nurse").await;
    let users = admin.get("/t/ash/users").await;
    let row = users
        .body
        .split("<tr")
        .find(|row| row.contains(">nurse "))
        .unwrap();
    let page = link_after(row, "/t/ash/users/").to_owned();
    let saved = admin.submit(&page, &page, &[("roles", "doctor")]).await;
    assert_eq!(saved.location(), format!("{page}?done=saved"));
    assert!(
        admin
            .get(&format!("{page}?done=saved"))
            .await
            .body
            .contains("Saved.")
    );
    let off = admin.submit(&page, &format!("{page}/disable"), &[]).await;
    assert_eq!(off.status, 303);
    assert_eq!(nurse.get("/t/ash/").await.status, 303);
    let mut again = Browser::new(house.router.clone());
    assert_eq!(again.sign_in("ash", "nurse", PASSWORD).await.status, 401);
    let on = admin.submit(&page, &format!("{page}/enable"), &[]).await;
    assert_eq!(on.status, 303);
    assert_eq!(again.sign_in("ash", "nurse", PASSWORD).await.status, 303);
    let reset = admin.submit(&page, &format!("{page}/password"), &[]).await;
    assert!(reset.status == 200 && !made_secret(&reset.body).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_gets_a_token_that_is_shown_once_and_revoked() {
    let house = House::build().await;
    let mut admin = house.signed_in("ash", "admin").await;
    let fields = [
        ("name", "Ward screen"),
        ("may", "r"),
        ("may", "s"),
        ("types", "Patient, Observation"),
        ("key", ""),
    ];
    let made = admin
        .submit("/t/ash/clients/new", "/t/ash/clients/new", &fields)
        .await;
    assert_eq!(made.status, 303, "{}", made.body);
    let form = made.location().to_owned();
    let owner = form.split("owner=").nth(1).unwrap().to_owned();
    let fields = [
        ("owner", owner.as_str()),
        ("name", "Screen"),
        ("days", "90"),
    ];
    let token = admin.submit(&form, "/t/ash/tokens/new", &fields).await;
    let text = made_secret(&token.body);
    assert!(text.starts_with("thr_"), "{text}");
    let list = admin.get("/t/ash/clients").await;
    assert!(
        !list.body.contains(&text) && list.body.contains("Read, search of Patient, Observation")
    );
    let revoke = link_after(&list.body, "/t/ash/tokens/").to_owned();
    assert_eq!(
        admin
            .submit("/t/ash/clients", &revoke, &[])
            .await
            .location(),
        "/t/ash/clients?done=revoked"
    );
    let bad = [("name", "X"), ("may", "r"), ("key", "not json")];
    assert_eq!(
        admin
            .submit("/t/ash/clients/new", "/t/ash/clients/new", &bad)
            .await
            .status,
        422
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emergency_access_opens_one_record_and_is_reviewed() {
    let house = House::build().await;
    let mut carer = house.signed_in("ash", "carer").await;
    // p1 belongs to the other branch.
    let hidden = carer.get("/t/ash/patients/ash-p1").await;
    let missing = carer.get("/t/ash/patients/none").await;
    assert_eq!(hidden.status, missing.status);
    assert!(hidden.status >= 400 && !hidden.body.contains("Smith"));
    let short = [
        ("patient", "ash-p1"),
        ("reason", "life-threatening"),
        ("words", "short"),
        ("minutes", "15"),
    ];
    assert_eq!(
        carer
            .submit("/t/ash/break-glass", "/t/ash/break-glass", &short)
            .await
            .status,
        422
    );
    let wanted = [
        ("patient", "ash-p1"),
        ("reason", "life-threatening"),
        ("words", "collapsed in the dining room"),
        ("minutes", "15"),
    ];
    let taken = carer
        .submit("/t/ash/break-glass", "/t/ash/break-glass", &wanted)
        .await;
    assert_eq!(
        (taken.status, taken.location()),
        (303, "/t/ash/patients/ash-p1"),
        "{}",
        taken.body
    );
    let open = carer.get("/t/ash/patients/ash-p1").await;
    assert_eq!(open.status, 200, "{}", open.body);
    assert!(
        open.body.contains("Emergency access is in force")
            && open.body.contains("SMITHASHCANARY, Jane (Mrs)")
    );
    let mut auditor = house.signed_in("ash", "auditor").await;
    let queue = auditor.get("/t/ash/break-glass").await;
    assert!(queue.body.contains("collapsed in the dining room"));
    assert!(queue.body.contains(">carer ashcanary<"), "{}", queue.body);
    let page = link_after(&queue.body, "/t/ash/break-glass/").to_owned();
    let shown = auditor.get(&page).await;
    assert!(
        shown.body.contains("What was opened under it") && shown.body.contains("Patient/ash-p1"),
        "{}",
        shown.body
    );
    let review = format!("{page}/review");
    let nothing = auditor.submit(&page, &review, &[]).await;
    assert!(nothing.status == 422 && nothing.body.contains("Choose what the review found"));
    let fields = [("outcome", "justified"), ("note", "Spoke with the ward")];
    let done = auditor.submit(&page, &review, &fields).await;
    assert_eq!(done.location(), "/t/ash/break-glass?done=reviewed");
    let queue = auditor.get("/t/ash/break-glass").await;
    assert!(queue.body.contains("Nothing waits for a review."));
    assert!(queue.body.contains("Spoke with the ward"));
    house.clock.advance(16 * 60);
    let mut later = house.signed_in("ash", "carer").await;
    assert!(later.get("/t/ash/patients/ash-p1").await.status >= 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emergency_access_is_taken_by_number_and_ended_by_oneself() {
    let house = House::build().await;
    let mut carer = house.signed_in("ash", "carer").await;
    let ask = async |carer: &mut Browser, patient: &str| {
        let wanted = [
            ("patient", patient),
            ("reason", "urgent-care"),
            ("words", "collapsed in the dining room"),
            ("minutes", "15"),
        ];
        carer
            .submit("/t/ash/break-glass", "/t/ash/break-glass", &wanted)
            .await
    };
    let wrong = ask(&mut carer, "943 476 5918").await;
    assert!(
        wrong.status == 422 && wrong.body.contains("its check digit does not fit"),
        "{}",
        wrong.body
    );
    // A number that is well formed and nobody's: the answer does not say so, and nothing opens.
    let unknown = ask(&mut carer, "999 123 4500").await;
    assert_eq!(unknown.status, 303, "{}", unknown.body);
    let nobody = unknown.location().to_owned();
    let id = nobody.rsplit('/').next().unwrap_or_default();
    // Digits alone are never taken for a record's id: it could be another person's.
    assert!(nobody.starts_with("/t/ash/patients/") && id != "9991234500");
    assert_eq!(carer.get(&nobody).await.status, 404);
    let taken = ask(&mut carer, "943-476 5919").await;
    assert_eq!(taken.location(), "/t/ash/patients/ash-p1", "{}", taken.body);
    let mut auditor = house.signed_in("ash", "auditor").await;
    let tried = auditor.get("/t/ash/break-glass").await;
    assert!(
        tried.body.contains(&format!("Record {id}")),
        "{}",
        tried.body
    );
    let summary = carer.get("/t/ash/patients/ash-p1").await;
    let end = link_after(&summary.body, "/t/ash/break-glass/").to_owned();
    assert!(end.ends_with("/end") && summary.body.contains("End it now"));
    let page = carer.get("/t/ash/break-glass").await;
    assert!(
        page.body.contains("Your emergency access") && page.body.contains(&end),
        "{}",
        page.body
    );
    let ended = carer.submit("/t/ash/break-glass", &end, &[]).await;
    assert_eq!(ended.location(), "/t/ash/?done=ended");
    assert!(carer.get("/t/ash/patients/ash-p1").await.status >= 400);
    let page = carer.get("/t/ash/break-glass").await;
    assert!(!page.body.contains(&end));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_of_the_trail_hold_for_a_patient_and_for_the_export() {
    let house = House::build().await;
    let mut doctor = house.signed_in("ash", "doctor").await;
    assert_eq!(doctor.get("/t/ash/patients/ash-p1").await.status, 200);
    let mut nurse = house.signed_in("ash", "nurse").await;
    assert_eq!(nurse.get("/t/ash/records/Patient/ash-p1").await.status, 200);
    let mut auditor = house.signed_in("ash", "auditor").await;
    let about = "/t/ash/audit?patient=943+476+5919&log=access";
    let rows = |body: &str| body.matches("<tr role=\"row\"").count().saturating_sub(1);
    let all = auditor.get(about).await;
    let nurses = auditor.get(&format!("{about}&who=nurse")).await;
    assert!(
        nurses.body.contains("nurse ashcanary") && !nurses.body.contains("doctor ashcanary"),
        "{}",
        nurses.body
    );
    assert!(rows(&nurses.body) >= 1 && rows(&nurses.body) < rows(&all.body));
    let matched = format!("{} entries match", rows(&nurses.body));
    let one = "1 entry matches".to_owned();
    assert!(nurses.body.contains(&matched) || nurses.body.contains(&one));
    let reads = auditor.get(&format!("{about}&kind=looks&who=nurse")).await;
    assert!(rows(&reads.body) >= 1);
    let none = auditor.get(&format!("{about}&kind=changes")).await;
    assert!(none.body.contains("0 entries match"), "{}", none.body);
    let future = auditor.get(&format!("{about}&from=05-Mar-2199")).await;
    assert!(future.body.contains("0 entries match"));
    // A number that is none, and a day that is none, show no entries at all.
    for (query, said) in [
        ("patient=943+476+5918", "its check digit does not fit"),
        ("patient=nobody+at+all", "No record has this number"),
        ("from=05/03/2026", "month in letters"),
    ] {
        let page = auditor.get(&format!("/t/ash/audit?{query}")).await;
        assert!(
            page.body.contains(said) && !page.body.contains("id=\"entries\""),
            "{query}: {}",
            page.body
        );
    }
    let export = link_after(&nurses.body, "/t/ash/audit/export?").replace("&#38;", "&");
    let export = auditor.get(&export.replace("&amp;", "&")).await;
    assert_eq!(export.header("content-type"), "application/x-tar");
    assert!(
        export.body.contains("entries.csv")
            && export.body.contains(".tlog-proof")
            && export.body.contains("nurse ashcanary")
            && !export.body.contains("doctor ashcanary"),
        "{}",
        export.body
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trail_is_counted_over_all_pages() {
    let house = House::build().await;
    let mut auditor = house.signed_in("ash", "auditor").await;
    for _ in 0..60 {
        auditor.get("/t/ash/audit?kind=audit").await;
    }
    let first = auditor.get("/t/ash/audit?kind=audit&log=access").await;
    let count = |body: &str| -> u64 {
        let before = body.split(" entries match").next().unwrap();
        let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next();
        digits.unwrap().parse().unwrap()
    };
    assert!(count(&first.body) >= 60, "{}", first.body);
    assert!(first.body.contains("50 on this page"));
    let next = first.body.split("rel=\"next\"").next().unwrap();
    let next = next.rsplit("href=\"").next().unwrap();
    let next = next.split('"').next().unwrap().replace("&#38;", "&");
    let second = auditor.get(&next.replace("&amp;", "&")).await;
    // The look at the first page is one more entry.
    assert_eq!(count(&second.body), count(&first.body) + 1);
    assert!(!second.body.contains("50 on this page"), "{}", second.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_are_those_of_the_organisations_zone() {
    let house = House::build().await;
    let mut doctor = house.signed_in("ash", "doctor").await;
    let page = doctor.get("/t/ash/patients/ash-p1").await;
    assert!(page.body.contains("Europe/London (GMT)") && page.body.contains("GMT"));
    let mut olive = house.signed_in("instance", "olive").await;
    let (form, field) = ("/operator/tenants/ash/time-zone", "zone");
    let wrong = olive.submit(form, form, &[(field, "Mars/Base")]).await;
    assert!(
        wrong.status == 422 && wrong.body.contains("is no time zone"),
        "{}",
        wrong.body
    );
    let set = olive.submit(form, form, &[(field, "asia/kolkata")]).await;
    assert_eq!(set.location(), "/operator/?done=saved");
    assert!(olive.get("/operator/").await.body.contains("Asia/Kolkata"));
    let page = doctor.get("/t/ash/patients/ash-p1").await;
    assert!(
        page.body.contains("Asia/Kolkata (IST)") && !page.body.contains("GMT"),
        "{}",
        page.body
    );
    // The other organisation keeps the instance's.
    let mut other = house.signed_in("birch", "doctor").await;
    let page = other.get("/t/birch/patients/birch-p1").await;
    assert!(page.body.contains("Europe/London (GMT)") && !page.body.contains("IST"));
    assert_eq!(olive.submit(form, form, &[(field, "")]).await.status, 303);
    let page = doctor.get("/t/ash/patients/ash-p1").await;
    assert!(page.body.contains("Europe/London (GMT)"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auditor_sees_who_looked_with_proofs() {
    let house = House::build().await;
    let mut doctor = house.signed_in("ash", "doctor").await;
    assert_eq!(doctor.get("/t/ash/patients/ash-p1").await.status, 200);
    assert!(doctor.get("/t/ash/audit").await.status >= 400);
    let mut auditor = house.signed_in("ash", "auditor").await;
    let page = auditor.get("/t/ash/audit?patient=ash-p1&log=access").await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(
        page.body.contains("doctor ashcanary") && page.body.contains(">Proven<"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("Not proven"));
    let entry = link_after(&page.body, "/t/ash/audit/access/").to_owned();
    let entry = auditor.get(&entry).await;
    assert!(
        entry.status == 200 && entry.body.contains("checked just now"),
        "{}",
        entry.body
    );
    let changes = auditor
        .get("/t/ash/audit?log=changes&outcome=success&who=doctor")
        .await;
    assert!(changes.body.contains("doctor ashcanary"));
    assert_eq!(auditor.get("/t/ash/audit/access/999999").await.status, 404);
    let export = auditor.get("/t/ash/audit/export?whole=1&log=changes").await;
    assert_eq!(
        (export.status, export.header("content-type")),
        (200, "application/x-tar")
    );
    assert!(export.body.contains("changes/checkpoint") && export.body.contains("keys.txt"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_makes_a_tenant_and_suspends_it() {
    let house = House::build().await;
    let mut olive = house.signed_in("instance", "olive").await;
    let list = olive.get("/operator/").await;
    assert!(
        list.status == 200 && list.body.contains("The ash house"),
        "{}",
        list.body
    );
    let fields = [
        ("name", "Oak"),
        ("slug", "oak"),
        ("placement", "file"),
        ("region", "on-premises"),
        ("admin_name", "Ona"),
        ("admin", "ona"),
    ];
    let made = olive
        .submit("/operator/tenants/new", "/operator/tenants/new", &fields)
        .await;
    assert_eq!(made.status, 200, "{}", made.body);
    let password = made_secret(&made.body);
    let mut ona = Browser::new(house.router.clone());
    assert_eq!(
        ona.sign_in("oak", "ona", &password).await.location(),
        "/t/oak/account"
    );
    let bad = [
        ("name", "Oak"),
        ("slug", "Not A Slug"),
        ("placement", "file"),
        ("region", "x"),
        ("admin_name", "O"),
        ("admin", "ona"),
    ];
    assert_eq!(
        olive
            .submit("/operator/tenants/new", "/operator/tenants/new", &bad)
            .await
            .status,
        422
    );
    assert_eq!(
        olive
            .submit("/operator/", "/operator/tenants/oak/suspend", &[])
            .await
            .status,
        303
    );
    assert_eq!(ona.get("/t/oak/account").await.status, 303);
    // Operators' pages are not below /t/, and tenants' users have no business with them.
    assert_eq!(olive.get("/t/instance/").await.status, 303);
    let mut admin = house.signed_in("ash", "admin").await;
    assert_eq!(
        admin.get("/operator/").await.location(),
        "/operator/sign-in?next=/operator/"
    );
    for page in [
        "/operator/users",
        "/operator/health",
        "/operator/account",
        "/operator/help",
    ] {
        assert_eq!(olive.get(page).await.status, 200, "{page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn branches_are_made_and_closed() {
    let house = House::build().await;
    let mut admin = house.signed_in("ash", "admin").await;
    let made = admin
        .submit(
            "/t/ash/branches?new=1",
            "/t/ash/branches",
            &[("name", "West"), ("kind", "ward")],
        )
        .await;
    assert_eq!(
        made.location(),
        "/t/ash/branches?done=saved",
        "{}",
        made.body
    );
    let list = admin.get("/t/ash/branches").await;
    assert!(list.body.contains(">West<"));
    let step = link_after(&list.body, "/t/ash/branches/").to_owned();
    assert_eq!(
        admin.submit("/t/ash/branches", &step, &[]).await.status,
        303
    );
    assert!(admin.get("/t/ash/branches").await.body.contains("Closed"));
    let twice = admin
        .submit(
            "/t/ash/branches?new=1",
            "/t/ash/branches",
            &[("name", "West"), ("kind", "ward")],
        )
        .await;
    assert_eq!(twice.status, 409);
}
