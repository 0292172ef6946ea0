//! The tools of those who look after the record: who sees them, terminology to walk in, subscriptions made,
//! paused and sent again, bad input, forged forms.

#![expect(
    clippy::too_many_lines,
    clippy::unwrap_used,
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

use testkit::chromium::Chromium;
use testkit::peers::{required, setting};

use crate::gate;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_are_for_those_who_run_the_house() {
    let house = House::build().await;
    let mut admin = house.signed_in("ash", "admin").await;
    let home = admin.get("/t/ash/tools").await;
    for below in PAGES {
        let page = admin.get(&format!("/t/ash/tools{below}")).await;
        assert_eq!(page.status, 200, "{below}: {}", page.body);
        let linked = home.body.contains(&format!("\"/t/ash/tools{below}\""));
        assert!(linked || below.matches('/').count() != 1, "{below}");
    }
    for name in ["nurse", "receptionist", "auditor"] {
        let mut other = house.signed_in("ash", name).await;
        for below in PAGES {
            let page = other.get(&format!("/t/ash/tools{below}")).await;
            assert_eq!(page.status, 404, "{name} {below}");
        }
        assert!(!other.get("/t/ash/").await.body.contains("/t/ash/tools"));
    }
    // An administrator sees no patients here either.
    let refused = admin.get("/t/ash/tools/search?type=Patient").await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(!refused.body.contains("Jane"));
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
struct Fake;

#[async_trait]
impl Outbound for Fake {
    fn permits(&self, _: &str) -> Result<(), ConnectError> {
        Ok(())
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
        .get("/t/ash/tools/search?type=Organization&name1=name&value1=North")
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

/// Every page of the tools with something on it, through the router, in both colours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_break_no_axe_rule() {
    let (Some(chromium), Some(axe)) = (required(Chromium::find()), required(gate::axe())) else {
        return;
    };
    let house = House::build().await;
    let app = house.app.clone().reaching_out(Arc::new(Fake));
    let engine = Engine::new(app, Uuid::from_u128(1));
    let caller = house.caller("ash", "admin").await;
    house.put(&caller, &animals()).await;
    for (id, end) in [("good", "in"), ("bad", "gone")] {
        house
            .put(&caller, &json!({
                "resourceType": "Subscription", "id": id, "status": "requested", "reason": "Directory",
                "criteria": "Location?status=active",
                "channel": {"type": "rest-hook", "endpoint": format!("https://there.test/{end}")},
            }))
            .await;
    }
    for round in 0..8 {
        if round == 4 {
            let ward = json!({"resourceType": "Location", "id": "ward", "status": "active"});
            house.put(&caller, &ward).await;
        }
        engine.round(caller.tenant.id).await.unwrap();
    }
    let system = "http%3A%2F%2Fa.test%2Fanimals";
    let code = format!("/terminology/code?system={system}&code=cat");
    let missing = format!("/terminology/code?system={system}&code=cow");
    let top = format!("/terminology/system?url={system}");
    let check = format!("/terminology/check?system={system}&code=cow");
    let more = [
        code.as_str(),
        &missing,
        &top,
        &check,
        "/terminology?kind=sets",
        "/terminology/set?url=http%3A%2F%2Fhl7.org%2Ffhir%2FValueSet%2Fadministrative-gender",
        "/subscriptions/good",
        "/subscriptions/bad",
        "/search?type=Organization&name1=name&value1=North",
        "/search?type=Organization&query=nosuch%3D1",
    ];
    let mut admin = house.signed_in("ash", "admin").await;
    let mut found = String::new();
    for colour in ["light", "dark"] {
        admin.cookies.insert(
            ("/".to_owned(), "theriac_theme".to_owned()),
            colour.to_owned(),
        );
        let mut pages: Vec<(&str, String)> = Vec::new();
        for below in PAGES.iter().chain(&more) {
            let page = admin.get(&format!("/t/ash/tools{below}")).await;
            assert!(page.status < 500, "{below}: {}", page.body);
            pages.push((below, page.body));
        }
        let issues = r#"{"resourceType":"Organization","active":"yes"}"#;
        let here = "/t/ash/tools/validation";
        let issues = admin.submit(here, here, &[("resource", issues)]).await;
        pages.push(("/validation issues", issues.body));
        let shown: Vec<(&str, &str)> = pages.iter().map(|(name, html)| (*name, &**html)).collect();
        found.push_str(&gate::broken(&chromium, &axe, colour, &shown));
        pictures(&chromium, colour, &shown);
    }
    assert!(found.is_empty(), "{found}");
}

/// Pictures of the pages in the folder named by `THERIAC_SCREENSHOTS`, for looking at.
fn pictures(chromium: &Chromium, colour: &str, pages: &[(&str, &str)]) {
    let Some(into) = setting("THERIAC_SCREENSHOTS").map(std::path::PathBuf::from) else {
        return;
    };
    std::fs::create_dir_all(&into).unwrap();
    for (name, html) in pages {
        let name = name.split('?').next().unwrap_or_default();
        let name = format!("tools{}-{colour}", name.replace(['/', ' '], "-"));
        let file = into.join(format!("{name}.html"));
        std::fs::write(&file, gate::standalone(html)).unwrap();
        let picture = into.join(format!("{name}.png"));
        let address = format!("file://{}", file.display());
        chromium
            .screenshot(&address, (1280, 1100), false, &picture)
            .unwrap();
    }
}

fn animals() -> serde_json::Value {
    json!({
        "resourceType": "CodeSystem", "id": "animals", "url": "http://a.test/animals", "name": "Animals",
        "version": "2", "status": "active", "content": "complete", "hierarchyMeaning": "is-a",
        "concept": [{"code": "beast", "display": "Beast", "concept": [
            {"code": "cat", "display": "House cat", "definition": "It <purrs>."}, {"code": "dog", "display": "Dog"}]}],
    })
}
