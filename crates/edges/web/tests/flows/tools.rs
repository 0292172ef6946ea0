//! The tools of those who look after the record: who sees them, terminology to walk in, subscriptions made,
//! paused and sent again, bad input, forged forms.

#![expect(
    clippy::too_many_lines,
    reason = "a test fails by panicking, and its pages are long lists"
)]

use std::sync::Arc;

use app::subscriptions::Engine;
use async_trait::async_trait;
use bytes::Bytes;
use connect::{Answer, ConnectError, Message, Outbound, Request};
use http::{HeaderMap, StatusCode};
use serde_json::json;
use uuid::Uuid;

use identity::{Role, RoleAssignment};

use crate::house::House;

const PAGES: [&str; 10] = [
    "",
    "/search",
    "/validation",
    "/bulk",
    "/parameters",
    "/terminology",
    "/terminology/check",
    "/terminology/translate",
    "/subscriptions",
    "/subscriptions/new",
];

/// Who is shown which tools; everybody else is answered as if there were none.
const SHOWN: [(&str, &[&str]); 7] = [
    ("admin", &PAGES),
    ("doctor", WRITING),
    ("nurse", WRITING),
    ("auditor", ASKING),
    ("pharmacist", WRITING),
    ("carer", &[]),
    ("receptionist", &[]),
];
const ASKING: &[&str] = &[
    "",
    "/search",
    "/terminology",
    "/terminology/check",
    "/terminology/translate",
];

const WRITING: &[&str] = &[
    "",
    "/search",
    "/validation",
    "/terminology",
    "/terminology/check",
    "/terminology/translate",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_is_shown_its_own_tools_and_no_others() {
    let house = House::build().await;
    let pharmacist = RoleAssignment::of(Role::Pharmacist);
    house.user("ash", "pharmacist", pharmacist).await;
    for (name, shown) in SHOWN {
        let mut browser = house.signed_in("ash", name).await;
        let home = browser.get("/t/ash/tools").await;
        for below in PAGES {
            let page = browser.get(&format!("/t/ash/tools{below}")).await;
            let expected = if shown.contains(&below) { 200 } else { 404 };
            assert_eq!(page.status, expected, "{name} {below}: {}", page.body);
            if below.matches('/').count() == 1 {
                let linked = home.body.contains(&format!("\"/t/ash/tools{below}\""));
                assert_eq!(linked, shown.contains(&below), "{name} {below}");
            }
        }
        let nav = browser.get("/t/ash/").await;
        assert_eq!(
            nav.body.contains("\"/t/ash/tools\""),
            !shown.is_empty(),
            "{name}"
        );
    }
}

/// Who searches which type: status, texts that must be there, texts that must not.
type Case = (
    &'static str,
    &'static str,
    u16,
    &'static [&'static str],
    &'static [&'static str],
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_search_finds_what_the_role_may_see_and_no_more() {
    let house = House::build().await;
    let search = "/t/ash/tools/search";
    let cases: [Case; 9] = [
        (
            "doctor",
            "Patient",
            200,
            &["Patient/ash-p1", "Patient/ash-p2"],
            &["How the search is run"],
        ),
        // The nurse works in the north branch; the other patient lives in the south.
        (
            "nurse",
            "Patient",
            200,
            &["Patient/ash-p1"],
            &["ash-p2", "Alan", "How the search is run"],
        ),
        (
            "nurse",
            "Observation",
            200,
            &["Observation/ash-o1"],
            &["ash-p2"],
        ),
        (
            "auditor",
            "Organization",
            200,
            &["Organization/"],
            &["How the search is run"],
        ),
        (
            "auditor",
            "Patient",
            403,
            &["error-summary"],
            &["Jane", "Alan", "ash-p1"],
        ),
        (
            "auditor",
            "Observation",
            403,
            &["error-summary"],
            &["Potassium"],
        ),
        (
            "admin",
            "Patient",
            403,
            &["error-summary"],
            &["Jane", "ash-p1"],
        ),
        (
            "admin",
            "Organization",
            200,
            &["How the search is run", "stopped after"],
            &[],
        ),
        ("doctor", "Subscription", 403, &["error-summary"], &[]),
    ];
    for (name, ty, status, there, not) in cases {
        let mut browser = house.signed_in("ash", name).await;
        let page = browser.get(&format!("{search}?type={ty}")).await;
        assert_eq!(page.status, status, "{name} {ty}: {}", page.body);
        let main = page.body.split("<main").nth(1).unwrap_or_default();
        let main = main.split("<footer").next().unwrap_or_default();
        for text in there {
            assert!(main.contains(text), "{name} {ty} lacks {text}: {main}");
        }
        for text in not {
            assert!(!main.contains(text), "{name} {ty} shows {text}: {main}");
        }
        // Types that the role may not search are not offered.
        if status == 403 {
            let first = browser.get(search).await;
            assert!(
                !first.body.contains(&format!("<option value=\"{ty}\"")),
                "{name} {ty}"
            );
        }
    }
    // A chain tells a nurse nothing of patients elsewhere, and another house nothing at all.
    let mut nurse = house.signed_in("ash", "nurse").await;
    let chain = nurse
        .get(&format!(
            "{search}?type=Observation&query=subject%3APatient.given%3DAlan"
        ))
        .await;
    assert!(!chain.body.contains("Observation/ash-"), "{}", chain.body);
    let mut birch = house.signed_in("birch", "doctor").await;
    let foreign = birch.get("/t/birch/tools/search?type=Patient").await;
    assert!(!foreign.body.contains("ash-p1") && foreign.body.contains("birch-p1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_are_added_removed_and_run_without_scripts() {
    let house = House::build().await;
    let mut doctor = house.signed_in("ash", "doctor").await;
    let search = "/t/ash/tools/search";
    let rows = |body: &str| body.matches("class=\"builder-row\"").count();
    let first = doctor.get(search).await;
    assert_eq!(rows(&first.body), 1, "{}", first.body);
    let two = doctor
        .get(&format!(
            "{search}?type=Observation&p=date&c=ge&v=2026-01&step=more"
        ))
        .await;
    assert_eq!(rows(&two.body), 2);
    // Nothing is searched while conditions are edited; the address grows.
    assert!(!two.body.contains("Matches") && two.body.contains("Observation?date=ge2026-01"));
    assert!(two.body.contains("autofocus"));
    let found = doctor
        .get(&format!(
            "{search}?type=Observation&p=date&c=ge&v=2026-01&p=&c=&v=&p=status&c=&v=final"
        ))
        .await;
    assert_eq!(rows(&found.body), 2);
    assert!(
        found.body.contains("Observation/ash-o2") && !found.body.contains("Observation/ash-o1")
    );
    assert!(
        found.body.contains("is on or after</")
            || found.body.contains("is on or after <strong>2026-01")
    );
    let less = doctor
        .get(&format!(
            "{search}?type=Observation&p=date&c=ge&v=2026-01&p=status&c=&v=final&less=1"
        ))
        .await;
    assert_eq!(rows(&less.body), 1);
    let main = less.body.split("<main").nth(1).unwrap();
    let main = main.split("<footer").next().unwrap();
    assert!(
        main.contains("Observation?status=final") && !main.contains("2026-01"),
        "{main}"
    );
    let half = doctor
        .get(&format!("{search}?type=Observation&p=date&c=ge&v="))
        .await;
    assert!(
        half.status == 422 && half.body.contains("Condition 1 is not complete"),
        "{}",
        half.body
    );
    let wrong = doctor
        .get(&format!("{search}?type=Observation&query=nosuch%3D1"))
        .await;
    assert!(
        wrong.status == 400 && wrong.body.contains("has no search parameter nosuch"),
        "{}",
        wrong.body
    );
    assert!(!wrong.body.contains("lenient") && !wrong.body.contains("see the CapabilityStatement"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminology_is_walked_searched_checked_and_translated() {
    let house = House::build().await;
    let caller = house.caller("ash", "admin").await;
    house.put(&caller, &json!({
        "resourceType": "CodeSystem", "id": "animals", "url": "http://a.test/animals", "name": "Animals",
        "version": "2", "status": "active", "content": "complete", "hierarchyMeaning": "is-a",
        "concept": [{"code": "beast", "display": "Beast", "concept": [
            {"code": "cat", "display": "House cat", "definition": "It <purrs>."}, {"code": "dog", "display": "Dog"}]}],
    })).await;
    house.put(&caller, &json!({
        "resourceType": "ConceptMap", "id": "sounds", "url": "http://a.test/sounds", "status": "active",
        "group": [{"source": "http://a.test/animals", "target": "http://a.test/noises", "element": [
            {"code": "cat", "target": [{"code": "meow", "equivalence": "equivalent"}]}]}],
    })).await;
    let mut admin = house.signed_in("ash", "admin").await;
    let home = "/t/ash/tools/terminology";
    let list = admin.get(&format!("{home}?words=animals")).await;
    let system = "http%3A%2F%2Fa.test%2Fanimals";
    assert!(
        list.body.contains(">Animals</a>") && list.body.contains("1 to 1 of 1"),
        "{}",
        list.body
    );
    let sets = admin
        .get(&format!("{home}?kind=sets&words=administrative-gender"))
        .await;
    assert!(sets.body.contains("administrative-gender"), "{}", sets.body);
    let nothing = admin.get(&format!("{home}?words=nosuchthing")).await;
    assert!(nothing.status == 200 && nothing.body.contains("theriac terminology load"));
    let page = admin.get(&format!("{home}/system?url={system}")).await;
    assert!(
        page.body.contains(">Beast</a>") && !page.body.contains("House cat"),
        "{}",
        page.body
    );
    let found = admin
        .get(&format!("{home}/system?url={system}&words=hou"))
        .await;
    assert!(
        found.body.contains(">House cat</a>") && !found.body.contains(">Dog</a>"),
        "{}",
        found.body
    );
    let cat = admin
        .get(&format!("{home}/code?system={system}&code=cat"))
        .await;
    assert!(
        cat.body.contains(">Beast</a>") && cat.body.contains("It &#60;purrs&#62;."),
        "{}",
        cat.body
    );
    let beast = admin
        .get(&format!("{home}/code?system={system}&code=beast"))
        .await;
    assert!(beast.body.contains(">House cat</a>") && beast.body.contains("stands at the top"));
    let gone = admin
        .get(&format!("{home}/code?system={system}&code=cow"))
        .await;
    assert!(
        gone.status >= 400 && gone.body.contains("error-summary"),
        "{}",
        gone.body
    );
    let unknown = admin
        .get(&format!("{home}/system?url=http%3A%2F%2Fnone.test"))
        .await;
    assert!((400..500).contains(&unknown.status), "{}", unknown.status);
    let right = admin
        .get(&format!("{home}/check?system={system}&code=cat"))
        .await;
    assert!(right.body.contains(">Right<"), "{}", right.body);
    let wrong = admin
        .get(&format!("{home}/check?system={system}&code=cow"))
        .await;
    assert!(wrong.body.contains("Not right"), "{}", wrong.body);
    let heard = admin
        .get(&format!(
            "{home}/translate?system={system}&code=cat&url=http%3A%2F%2Fa.test%2Fsounds"
        ))
        .await;
    assert!(
        heard.body.contains(">meow</a>") && heard.body.contains("Equivalent"),
        "{}",
        heard.body
    );
    // Another organisation has no such code system.
    let mut birch = house.signed_in("birch", "admin").await;
    let other = birch.get("/t/birch/tools/terminology?words=animals").await;
    assert!(!other.body.contains(">Animals</a>"));
    // The look is in the ledger.
    let mut auditor = house.signed_in("ash", "auditor").await;
    let trail = auditor.get("/t/ash/audit?log=access").await;
    assert!(trail.body.contains("CodeSystem/$lookup"), "{}", trail.body);
}

/// Takes what it is told to, and refuses the rest.
pub struct Fake;

#[async_trait]
impl Outbound for Fake {
    fn permits(&self, _: &str) -> Result<(), ConnectError> {
        Ok(())
    }
    fn permits_import(&self, _: &str) -> Result<(), ConnectError> {
        Err(ConnectError::Off)
    }
    async fn reaches(&self, _: &str) -> Result<(), ConnectError> {
        Ok(())
    }
    async fn call(&self, request: Request) -> Result<Answer, ConnectError> {
        let status = if request.url.ends_with("/gone") {
            StatusCode::GONE
        } else {
            StatusCode::OK
        };
        Ok(Answer {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        })
    }
    fn permits_mail(&self, _: &str) -> Result<(), ConnectError> {
        Err(ConnectError::Off)
    }
    async fn mail(&self, _: Message) -> Result<(), ConnectError> {
        Err(ConnectError::Off)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_is_added_served_paused_and_sent_again() {
    let house = House::build().await;
    let app = house.app.clone().reaching_out(Arc::new(Fake));
    let engine = Engine::new(app, Uuid::from_u128(1));
    let caller = house.caller("ash", "admin").await;
    let work = async || {
        for _ in 0..4 {
            engine.round(caller.tenant.id).await.unwrap();
        }
    };
    let mut admin = house.signed_in("ash", "admin").await;
    let (home, new) = (
        "/t/ash/tools/subscriptions",
        "/t/ash/tools/subscriptions/new",
    );
    assert!(admin.get(home).await.body.contains("No subscriptions."));
    let empty = admin.submit(new, new, &[("channel", "rest-hook")]).await;
    assert!(
        empty.status == 422 && empty.body.contains("What it is for is missing"),
        "{}",
        empty.body
    );
    let mut fields = vec![
        ("reason", "Directory"),
        ("criteria", "Patient?active=true"),
        ("channel", "rest-hook"),
        ("endpoint", "https://there.test/in"),
    ];
    // Nobody is told of what they may not search.
    let denied = admin.submit(new, new, &fields).await;
    assert_eq!(denied.status, 403, "{}", denied.body);
    fields[1].1 = "Location?status=active";
    let made = admin.submit(new, new, &fields).await;
    assert_eq!(
        (made.status, made.location()),
        (303, "/t/ash/tools/subscriptions?done=saved"),
        "{}",
        made.body
    );
    work().await;
    let list = admin.get(home).await;
    let id = list
        .body
        .split("/tools/subscriptions/")
        .find(|part| !part.starts_with("new"))
        .map(|_| ())
        .and_then(|()| {
            list.body
                .split("\"/t/ash/tools/subscriptions/")
                .skip(1)
                .map(|part| part.split('"').next().unwrap())
                .find(|id| *id != "new")
        })
        .unwrap()
        .to_owned();
    assert!(list.body.contains(">Active<"), "{}", list.body);
    let one = format!("{home}/{id}");
    assert!(admin.get(&one).await.body.contains("An event appears here"));
    house
        .put(
            &caller,
            &json!({"resourceType": "Location", "id": "ward", "status": "active", "name": "Ward"}),
        )
        .await;
    work().await;
    let page = admin.get(&one).await;
    assert!(
        page.body.contains("Event 1") && page.body.contains(">Delivered<"),
        "{}",
        page.body
    );
    let replay = format!("{one}/replay");
    let again = admin.submit(&one, &replay, &[("event", "1")]).await;
    assert_eq!(
        again.location(),
        format!("{one}?done=saved"),
        "{}",
        again.body
    );
    work().await;
    let none = admin.submit(&one, &replay, &[("event", "77")]).await;
    assert!(
        none.status == 422 && none.body.contains("nothing was sent again"),
        "{}",
        none.body
    );
    let odd = admin.submit(&one, &replay, &[("event", "x")]).await;
    assert!(
        odd.status == 400 && odd.body.contains("give an event"),
        "{}",
        odd.body
    );
    let from = admin.get(&format!("{one}?from=1")).await;
    assert!(from.body.contains("Send again from event 1"));
    let forged = admin.post(&format!("{one}/pause"), &[("csrf", "no")]).await;
    assert!(forged.status >= 400);
    assert!(admin.get(home).await.body.contains(">Active<"));
    let paused = admin.submit(&one, &format!("{one}/pause"), &[]).await;
    assert_eq!(paused.status, 303, "{}", paused.body);
    work().await;
    let page = admin.get(&one).await;
    assert!(page.body.contains(">Paused<"), "{}", page.body);
    let on = admin.submit(&one, &format!("{one}/activate"), &[]).await;
    assert_eq!(on.status, 303, "{}", on.body);
    work().await;
    assert!(admin.get(home).await.body.contains(">Active<"));
    let missing = admin.get(&format!("{home}/none")).await;
    assert_eq!(missing.status, 404);
    let mut birch = house.signed_in("birch", "admin").await;
    assert_eq!(
        birch
            .get(&format!("/t/birch/tools/subscriptions/{id}"))
            .await
            .status,
        404
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validation_and_search_say_what_is_wrong() {
    let house = House::build().await;
    let mut admin = house.signed_in("ash", "admin").await;
    let here = "/t/ash/tools/validation";
    let broken = admin.submit(here, here, &[("resource", "{")]).await;
    assert!(
        broken.status == 400 && broken.body.contains("error-summary"),
        "{}",
        broken.body
    );
    let bad = r#"{"resourceType":"Organization","active":"yes","name":"<b>"}"#;
    let issues = admin.submit(here, here, &[("resource", bad)]).await;
    assert!(
        issues.body.contains("Not valid") && issues.body.contains("Organization.active"),
        "{}",
        issues.body
    );
    assert!(!issues.body.contains("<b>"));
    let good = r#"{"resourceType":"Organization","name":"Ash"}"#;
    assert!(
        admin
            .submit(here, here, &[("resource", good)])
            .await
            .body
            .contains(">Valid")
    );
    let found = admin
        .get("/t/ash/tools/search?type=Organization&p=name&c=&v=North")
        .await;
    assert!(
        found.body.contains("How the search is run")
            && found.body.contains("/records/Organization/"),
        "{}",
        found.body
    );
    let wrong = admin
        .get("/t/ash/tools/search?type=Organization&query=nosuch%3D1")
        .await;
    assert!(
        wrong.status == 400 && wrong.body.contains("nosuch"),
        "{}",
        wrong.body
    );
    assert_eq!(admin.get("/t/ash/tools/bulk/none").await.status, 404);
}

/// A code system with two levels.
pub fn animals() -> serde_json::Value {
    json!({
        "resourceType": "CodeSystem", "id": "animals", "url": "http://a.test/animals", "name": "Animals",
        "version": "2", "status": "active", "content": "complete", "hierarchyMeaning": "is-a",
        "concept": [{"code": "beast", "display": "Beast", "concept": [
            {"code": "cat", "display": "House cat", "definition": "It <purrs>."}, {"code": "dog", "display": "Dog"}]}],
    })
}
