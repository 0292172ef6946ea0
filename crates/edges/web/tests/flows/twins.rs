//! Two tenants with the same records but for one word: no page of one ever shows the other's word, and
//! a foreign id answers exactly like a missing one.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its pages are long lists"
)]

use std::collections::{BTreeSet, VecDeque};

use crate::browser::Browser;
use crate::house::House;
use crate::markup::tags;

/// Follows every link below `base`, from the first page on, and gives each page to `check`.
async fn crawl(browser: &mut Browser, base: &str, mut check: impl FnMut(&str, &str)) -> usize {
    let mut waiting: VecDeque<String> = VecDeque::from([format!("{base}/")]);
    let mut known: BTreeSet<String> = waiting.iter().cloned().collect();
    let mut pages = 0;
    while let Some(path) = waiting.pop_front() {
        if pages >= 60 {
            break;
        }
        let answer = browser.get(&path).await;
        assert!(answer.status < 500, "{path}: {}", answer.body);
        check(&path, &answer.body);
        pages += 1;
        if !answer.header("content-type").starts_with("text/html") {
            continue;
        }
        for tag in tags(&answer.body) {
            let Some(href) = tag.attribute("href") else {
                continue;
            };
            let href = href.replace("&#38;", "&").replace("&amp;", "&");
            let plain = href.split('#').next().unwrap_or_default().to_owned();
            let full = if plain.starts_with('?') {
                format!("{}{plain}", path.split('?').next().unwrap())
            } else {
                plain
            };
            if full.starts_with(&format!("{base}/")) && known.insert(full.clone()) {
                waiting.push_back(full);
            }
        }
    }
    pages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_shows_the_other_tenant() {
    let house = House::build().await;
    for (role, at_least) in [
        ("doctor", 20),
        ("nurse", 15),
        ("carer", 5),
        ("receptionist", 5),
        ("admin", 8),
        ("auditor", 8),
    ] {
        let mut browser = house.signed_in("ash", role).await;
        let mut own = 0;
        let pages = crawl(&mut browser, "/t/ash", |path, body| {
            assert!(
                !body.to_lowercase().contains("birch"),
                "{role}: {path} shows the other tenant: {body}"
            );
            own += usize::from(body.to_lowercase().contains("ashcanary"));
            let page = body.starts_with("<!DOCTYPE html>");
            for tag in if page { tags(body) } else { Default::default() } {
                for (name, _) in &tag.attributes {
                    assert!(
                        name != "style" && !name.starts_with("on"),
                        "{path}: inline {name}"
                    );
                }
            }
        })
        .await;
        assert!(
            pages >= at_least && own > 0,
            "{role} saw {pages} pages, {own} of them with its own word"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_and_missing_ids_look_the_same() {
    let house = House::build().await;
    let other = house.caller("birch", "admin").await;
    let foreign_user = app::admin::users::list(&house.app, &other).await.unwrap()[0]
        .id
        .to_string();
    let nobody = "0191f2c3-7b1a-7c3d-9e4f-0123456789ab";
    let pairs: Vec<(&str, String, String)> = ["doctor", "nurse", "receptionist", "auditor"]
        .iter()
        .flat_map(|role| {
            [
                ("patients", "birch-p1", "nowhere-1"),
                ("records/Observation", "birch-o2", "nowhere-1"),
                ("records/Patient", "birch-p1", "nowhere-1"),
            ]
            .map(|(place, foreign, missing)| {
                (
                    *role,
                    format!("/t/ash/{place}/{foreign}"),
                    format!("/t/ash/{place}/{missing}"),
                )
            })
        })
        .chain([
            (
                "doctor",
                "/t/ash/records/Observation/birch-o2/history".to_owned(),
                "/t/ash/records/Observation/nowhere-1/history".to_owned(),
            ),
            (
                "auditor",
                "/t/ash/audit?patient=birch-p1".to_owned(),
                "/t/ash/audit?patient=nowhere-1".to_owned(),
            ),
            (
                "admin",
                format!("/t/ash/users/{foreign_user}"),
                format!("/t/ash/users/{nobody}"),
            ),
        ])
        .collect();
    for (role, foreign, missing) in pairs {
        let mut browser = house.signed_in("ash", role).await;
        let (a, b) = (browser.get(&foreign).await, browser.get(&missing).await);
        let shown = |answer: &crate::browser::Answer, path: &str| {
            let id = path
                .rsplit(['/', '='])
                .find(|part| part.len() > 7 && *part != "history")
                .unwrap()
                .to_owned();
            (
                answer.status,
                answer.comparable().replace(path, "").replace(&id, ""),
            )
        };
        let (a, b) = (shown(&a, &foreign), shown(&b, &missing));
        assert_eq!(a.0, b.0, "{role} {foreign}");
        if !foreign.contains("audit") {
            assert_eq!(a.1, b.1, "{role} {foreign}"); // the audit page lists the look itself
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_and_missing_tenants_look_the_same() {
    let house = House::build().await;
    let mut browser = house.signed_in("ash", "doctor").await;
    // The session of one tenant presented at another, as a forged request would.
    let session = browser.cookies[&("/t/ash".to_owned(), "theriac_session".to_owned())].clone();
    for slug in ["birch", "nowhere"] {
        browser.cookies.insert(
            (format!("/t/{slug}"), "theriac_session".to_owned()),
            session.clone(),
        );
    }
    for below in [
        "/",
        "/patients",
        "/patients/birch-p1",
        "/users",
        "/audit",
        "/help",
    ] {
        let (a, b) = (
            browser.get(&format!("/t/birch{below}")).await,
            browser.get(&format!("/t/nowhere{below}")).await,
        );
        assert_eq!((a.status, b.status), (303, 303), "{below}");
        assert_eq!(
            a.location()
                .replace("birch", "x")
                .replace("x-p1", "birch-p1"),
            b.location().replace("nowhere", "x"),
            "{below}"
        );
        assert_eq!(a.body, b.body);
    }
    let (a, b) = (
        browser.post("/t/birch/theme", &[("theme", "dark")]).await,
        browser.post("/t/nowhere/theme", &[("theme", "dark")]).await,
    );
    assert_eq!((a.status, a.body), (b.status, b.body));
}
