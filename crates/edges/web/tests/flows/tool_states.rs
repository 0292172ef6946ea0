//! Every page of the record tools in its states (nothing yet, something found, something wrong, not for this
//! role), through the router: what stands on it is locked, and no axe rule is broken.

#![expect(
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its pages are long lists"
)]

use std::sync::Arc;
use std::time::Duration;

use app::Caller;
use app::bulk::{self, ImportRequest, InputSource, Status};
use app::subscriptions::Engine;
use identity::{Interaction, Role, RoleAssignment};
use serde_json::json;
use store::blob::Blobs;
use testkit::chromium::Chromium;
use testkit::peers::{required, setting};
use uuid::Uuid;

use crate::browser::Browser;
use crate::gate;
use crate::house::House;
use crate::tools::{Fake, animals};

/// A page: name, whole HTML.
type Page = (&'static str, String);

/// A program of the house that may import.
async fn program(house: &House) -> Caller {
    let admin = house.caller("ash", "admin").await;
    let new = app::admin::clients::NewClient {
        name: "Bulk engine".to_owned(),
        roles: vec![RoleAssignment::of(Role::IntegrationService)],
        scopes: vec![identity::Scope {
            types: identity::Types::All,
            interactions: identity::InteractionSet::ALL,
        }],
        operations: vec![Interaction::Export, Interaction::Import],
        jwks: Vec::new(),
    };
    let client = app::admin::clients::create(&house.app, &admin, new)
        .await
        .unwrap();
    let token = app::admin::tokens::NewToken {
        owner: identity::TokenOwner::Client(client.id),
        name: "test".to_owned(),
        scopes: None,
        days: 30,
    };
    let made = app::admin::tokens::create(&house.app, &admin, token)
        .await
        .unwrap();
    let context = (*admin.context).clone();
    app::sign_in::bearer(&house.app, "ash", &made.text, context)
        .await
        .unwrap()
}

/// An import that is done; its address.
async fn import(house: &House, folder: &std::path::Path) -> String {
    let _ = house
        .app
        .clone()
        .with_files(Blobs::in_folder(folder).unwrap());
    let program = program(house).await;
    let line =
        json!({"resourceType": "Location", "id": "hall", "status": "active", "name": "Hall"});
    let request = ImportRequest {
        inputs: vec![(
            None,
            InputSource::Lines(format!("{line}\n").into_bytes().into()),
        )],
        url: "https://house.example/t/ash/fhir/$import".to_owned(),
    };
    let job = bulk::begin_import(&house.app, &program, request)
        .await
        .unwrap()
        .to_string();
    for _ in 0..500 {
        match bulk::status(&house.app, &program, &job).await.unwrap() {
            Status::Going { .. } => tokio::time::sleep(Duration::from_millis(20)).await,
            _ => return format!("/bulk/{job}"),
        }
        bulk::resume_all(&house.app).await.unwrap();
    }
    panic!("the import did not end");
}

/// Subscriptions that are served, given up and new, with an event for each.
async fn subscriptions(house: &House) {
    let app = house.app.clone().reaching_out(Arc::new(Fake));
    let engine = Engine::new(app, Uuid::from_u128(1));
    let caller = house.caller("ash", "admin").await;
    for (id, end) in [("good", "in"), ("bad", "gone")] {
        let body = json!({
            "resourceType": "Subscription", "id": id, "status": "requested", "reason": "Directory",
            "criteria": "Location?status=active",
            "channel": {"type": "rest-hook", "endpoint": format!("https://there.test/{end}")},
        });
        house.put(&caller, &body).await;
    }
    for round in 0..8 {
        if round == 4 {
            let ward = json!({"resourceType": "Location", "id": "ward", "status": "active"});
            house.put(&caller, &ward).await;
        }
        engine.round(caller.tenant.id).await.unwrap();
    }
}

async fn all(browser: &mut Browser, pages: &[(&'static str, &str)]) -> Vec<Page> {
    let mut found = Vec::new();
    for (name, below) in pages {
        let page = browser.get(&format!("/t/ash/tools{below}")).await;
        assert!(page.status < 500, "{name}: {}", page.body);
        found.push((*name, page.body));
    }
    found
}

/// Empty pages, then the same with something on them.
async fn states(house: &House, folder: &std::path::Path) -> Vec<Page> {
    let mut admin = house.signed_in("ash", "admin").await;
    let mut found = all(
        &mut admin,
        &[
            ("home-administrator", ""),
            ("search-first", "/search"),
            ("bulk-empty", "/bulk"),
            ("subscriptions-empty", "/subscriptions"),
            ("subscriptions-new", "/subscriptions/new"),
            ("parameters-empty", "/parameters"),
            ("terminology-nothing", "/terminology?words=nosuchthing"),
            ("validation-first", "/validation"),
        ],
    )
    .await;
    let caller = house.caller("ash", "admin").await;
    house.put(&caller, &animals()).await;
    subscriptions(house).await;
    let job = import(house, folder).await;
    let animals = "http%3A%2F%2Fa.test%2Fanimals";
    let of = |page: &str, rest: &str| format!("/terminology/{page}?system={animals}{rest}");
    found.extend(
        all(
            &mut admin,
            &[
                (
                    "search-found-explained",
                    "/search?type=Organization&p=name&c=&v=North&p=active&c=present&v=",
                ),
                (
                    "search-no-match",
                    "/search?type=Organization&p=name&c=&v=nobody",
                ),
                (
                    "search-unknown-parameter",
                    "/search?type=Organization&query=nosuch%3D1",
                ),
                (
                    "search-unfinished",
                    "/search?type=Organization&p=name&c=&v=",
                ),
                ("search-denied", "/search?type=Patient"),
                (
                    "search-editing",
                    "/search?type=Organization&p=name&c=contains&v=North&step=more",
                ),
                ("bulk-list", "/bulk"),
                ("bulk-job", &job),
                ("bulk-missing", "/bulk/none"),
                ("subscriptions-list", "/subscriptions"),
                ("subscriptions-given-up", "/subscriptions?state=error"),
                ("subscriptions-none-so", "/subscriptions?state=off"),
                ("subscription-served", "/subscriptions/good"),
                ("subscription-given-up", "/subscriptions/bad"),
                ("terminology-found", "/terminology?words=a.test"),
                (
                    "terminology-system",
                    &format!("/terminology/system?url={animals}"),
                ),
                ("terminology-top", &of("code", "&code=beast")),
                ("terminology-code", &of("code", "&code=cat")),
                ("terminology-no-code", &of("code", "&code=cow")),
                (
                    "terminology-check-right",
                    &of("check", "&code=cat&display=House%20cat"),
                ),
                ("terminology-check-wrong", &of("check", "&code=cow")),
                ("terminology-translate-none", &of("translate", "&code=cat")),
            ],
        )
        .await,
    );
    let here = "/t/ash/tools/validation";
    let of_admin: [(&str, &[(&str, &str)]); 3] = [
        (
            "validation-administrator",
            &[("example", "organization-mistakes")],
        ),
        ("validation-denied", &[("example", "patient")]),
        ("validation-broken", &[("resource", "{\"resourceType\":")]),
    ];
    for (name, fields) in of_admin {
        found.push((name, admin.submit(here, here, fields).await.body));
    }
    let mut doctor = house.signed_in("ash", "doctor").await;
    let of_doctor: [(&str, &[(&str, &str)]); 5] = [
        ("validation-valid", &[("example", "patient")]),
        ("validation-issues", &[("example", "mistakes")]),
        ("validation-profile", &[("example", "profile")]),
        ("validation-xml", &[("example", "xml")]),
        (
            "validation-xml-issues",
            &[(
                "resource",
                "<Patient xmlns=\"http://hl7.org/fhir\">\n  <gender value=\"f\"/>\n</Patient>",
            )],
        ),
    ];
    for (name, fields) in of_doctor {
        found.push((name, doctor.submit(here, here, fields).await.body));
    }
    let new = "/t/ash/tools/subscriptions/new";
    let missing = admin.submit(new, new, &[("channel", "rest-hook")]).await;
    found.push(("subscriptions-new-incomplete", missing.body));
    found.extend(
        all(
            &mut doctor,
            &[
                ("home-doctor", ""),
                ("search-doctor", "/search?type=Observation&p=date&c=ge&v=2026&query=_sort%3D-date%26_include%3DObservation%3Asubject"),
                ("bulk-not-for-doctors", "/bulk"),
            ],
        )
        .await,
    );
    let mut receptionist = house.signed_in("ash", "receptionist").await;
    found.extend(all(&mut receptionist, &[("home-not-for-receptionists", "")]).await);
    found
}

/// What stands between header and footer, without what is made by chance.
fn content(html: &str) -> String {
    let start = html.find("</header>").map_or(0, |at| at + 9);
    let end = html.find("<footer").unwrap_or(html.len());
    let mut shown = String::new();
    let mut rest = html[start..end].trim();
    while let Some(at) = rest.find("name=\"csrf\" value=\"") {
        let begin = at + "name=\"csrf\" value=\"".len();
        shown.push_str(&rest[..begin]);
        shown.push_str("CSRF");
        rest = &rest[begin..];
        rest = &rest[rest.find('"').unwrap()..];
    }
    shown.push_str(rest);
    // What the planner and the engine say is theirs to change.
    while let Some(begin) = shown.find("<pre class=\"code\" tabindex") {
        let end = begin + shown[begin..].find("</pre>").unwrap();
        shown.replace_range(begin..end, "<pre class=\"code\">[text]");
    }
    // Lists of types, parameters and profiles are the definitions', not the pages'.
    let mut lines: Vec<String> = Vec::new();
    for line in shown.lines() {
        let options = line.matches("<option").count();
        if options > 12 {
            let begin = line.find("<option").unwrap();
            let end = line.rfind("</option>").unwrap() + "</option>".len();
            let chosen = line[begin..end]
                .split("<option")
                .find(|option| option.contains(" selected"))
                .unwrap_or_default();
            lines.push(format!(
                "{}[many options; chosen:{chosen}]{}",
                &line[..begin],
                &line[end..]
            ));
        } else {
            lines.push(line.to_owned());
        }
    }
    lines.join("\n")
}

fn masked(text: &str) -> String {
    // Numbers to quote and ids of jobs and branches follow from the order of requests.
    let mut shown = String::new();
    let mut rest = text;
    let is_id = |word: &str| {
        word.len() == 36
            && word.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
    };
    while !rest.is_empty() {
        if rest.is_char_boundary(36.min(rest.len())) && is_id(&rest[..36.min(rest.len())]) {
            shown.push_str("ID");
            rest = &rest[36..];
        } else {
            let first = rest.chars().next().unwrap();
            shown.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    shown
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_stay_as_they_are() {
    let house = House::build().await;
    let folder = tempfile::tempdir().unwrap();
    for (name, html) in states(&house, folder.path()).await {
        insta::assert_snapshot!(format!("tools-{name}"), masked(&content(&html)));
    }
}

/// Every one of them in both colours; one browser run per colour and width.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_break_no_axe_rule() {
    let (Some(chromium), Some(axe)) = (required(Chromium::find()), required(gate::axe())) else {
        return;
    };
    let house = House::build().await;
    let folder = tempfile::tempdir().unwrap();
    let pages = states(&house, folder.path()).await;
    let mut found = String::new();
    for colour in ["light", "dark"] {
        let mark = format!("<html lang=\"en-GB\" data-theme=\"{colour}\"");
        let coloured: Vec<Page> = pages
            .iter()
            .map(|(name, html)| (*name, html.replacen("<html lang=\"en-GB\"", &mark, 1)))
            .collect();
        let shown: Vec<(&str, &str)> = coloured
            .iter()
            .map(|(name, html)| (*name, &**html))
            .collect();
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
        let file = into.join(format!("tools-{name}-{colour}.html"));
        std::fs::write(&file, gate::standalone(html)).unwrap();
        let picture = into.join(format!("tools-{name}-{colour}.png"));
        let address = format!("file://{}", file.display());
        chromium
            .screenshot(&address, (1280, 1100), false, &picture)
            .unwrap();
    }
}
