//! A clock that jumps by a year, ahead and back: sessions end, versions keep their order, the ledger says
//! when by the clock and stays sound.

use app::sign_in;
use app::{AppError, Log, SignInError};
use ledger::Leaf;
use store::evidence::{StoreLogs, verify_logs, verify_record};
use zeroize::Zeroizing;

use crate::house::{House, PASSWORD, patient};

const YEAR: i64 = 365 * 24 * 3600;

async fn signed_in(house: &House) -> sign_in::SignedIn {
    let password = Zeroizing::new(PASSWORD.to_owned());
    sign_in::password(&house.app, "ash", "doctor", password, house.context())
        .await
        .unwrap()
}

async fn is_over(house: &House, cookie: &str) -> bool {
    match sign_in::session(&house.app, "ash", cookie, house.context()).await {
        Ok(_) => false,
        Err(AppError::SignIn(SignInError::Session)) => true,
        Err(other) => panic!("{other:?}"),
    }
}

/// The time in the newest leaf of the change log, in microseconds.
async fn newest_leaf(house: &House) -> i64 {
    let scope = house.admin("ash").await.scope;
    let entries = house
        .store
        .log_recent(&scope, Log::Changes, None, 1)
        .await
        .unwrap();
    Leaf::parse(&entries[0].leaf).unwrap().time.as_micros()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_ahead_and_two_back() {
    let house = House::build().await;
    house.doctor().await;
    let mut rows = Vec::new();
    let mut cookies: Vec<Zeroizing<String>> = Vec::new();
    for (jump, family) in [
        (0, "Now"),
        (YEAR, "Ahead"),
        (-2 * YEAR, "Back"),
        (YEAR, "Again"),
    ] {
        house.clock.advance(jump);
        for cookie in &cookies {
            assert!(is_over(&house, cookie).await, "{family}");
        }
        let signed = signed_in(&house).await;
        assert!(!is_over(&house, &signed.cookie).await, "{family}");
        let stored = house
            .put(&signed.caller, &patient("p1", family))
            .await
            .unwrap();
        assert_eq!(newest_leaf(&house).await, house.app.now().as_micros());
        rows.push(stored.version.version_row);
        let read = house.read(&signed.caller, "Patient/p1").await.unwrap();
        assert_eq!(read["name"][0]["family"], family);
        assert_eq!(read["meta"]["versionId"], rows.len().to_string());
        // The first session's time comes round again at the end: it is signed out before.
        sign_in::sign_out(&house.app, "ash", &signed.cookie, house.context())
            .await
            .unwrap();
        cookies.push(signed.cookie);
    }
    assert!(
        rows.is_sorted() && rows.windows(2).all(|pair| pair[0] < pair[1]),
        "{rows:?}"
    );
    let store = house.store.clone();
    let handle = tokio::runtime::Handle::current();
    let work = tokio::task::spawn_blocking(move || {
        let policy = ledger::Policy::of_logs(vec![store.log_verifier().parse().unwrap()]);
        let mut logs = StoreLogs::new(store, handle, None, |_, _, _| {});
        let mut report = verify_logs(&mut logs, &policy, &[]).unwrap();
        verify_record(&mut logs, &mut report).unwrap();
        report
    });
    let report = work.await.unwrap();
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_does_not_outlive_a_jump_in_either_direction() {
    for jump in [YEAR, -YEAR] {
        let house = House::build().await;
        house.doctor().await;
        let signed = signed_in(&house).await;
        house.clock.advance(jump);
        assert!(is_over(&house, &signed.cookie).await, "{jump}");
        let again = signed_in(&house).await;
        assert!(!is_over(&house, &again.cookie).await, "{jump}");
    }
}
