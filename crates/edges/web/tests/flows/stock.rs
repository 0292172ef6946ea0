//! Stock and register on pages: names instead of ids, a count of the batch it was asked for, nothing that is
//! taken for something else.

#![expect(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test fails by panicking, and tells its story in one piece"
)]

use app::Caller;
use app::medicines::register::{Signing, pages};
use app::medicines::stock::keep::{Keep, Stated, keep};
use app::medicines::stock::moves::{Move, Wanted, make};
use app::medicines::stock::{Item, Place, look};
use medication::stock::{Batch, Units};
use serde_json::json;

use crate::house::House;

async fn kept(house: &House, nurse: &Caller, product: &str) -> Item {
    let new = Keep {
        medication: None,
        product: Some(product.to_owned()),
        unit: "{tablet}".to_owned(),
        control: Stated::AsKnown,
        form: None,
        strength: None,
        threshold: None,
        code: None,
    };
    keep(&house.app, nurse, new).await.unwrap()
}

async fn received(house: &House, nurse: &Caller, item: &Item, (id, lot): (&str, &str)) {
    let wanted = Move {
        id: id.parse().unwrap(),
        what: Wanted::Receipt {
            to: Place {
                location: "cupboard".parse().unwrap(),
                resident: None,
            },
            from: "corner".parse().unwrap(),
            units: Units::new(10.into()).unwrap(),
            batch: Batch {
                expiry: Some("2027-01-31".parse().unwrap()),
                lot: Some(lot.to_owned()),
                serial: None,
            },
            scan: None,
            order: None,
            unchecked: None,
        },
        happened: None,
        discrepancy: None,
        late: None,
        signing: Signing::default(),
    };
    make(&house.app, nurse, &item.id, &wanted).await.unwrap();
}

fn plain(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&#34;", "\"")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_is_of_the_batch_that_the_form_asked_for() {
    let house = House::build().await;
    let admin = house.caller("ash", "admin").await;
    for body in [
        json!({ "resourceType": "Organization", "id": "corner", "name": "Corner pharmacy" }),
        json!({ "resourceType": "Location", "id": "cupboard", "name": "Back cupboard" }),
    ] {
        house.put(&admin, &body).await;
    }
    let nurse = house.caller("ash", "nurse").await;
    let item = kept(&house, &nurse, "Paracetamol 500mg tablet").await;
    received(&house, &nurse, &item, ("r1", "AA")).await;
    received(&house, &nurse, &item, ("r2", "BB")).await;
    let mut browser = house.signed_in("ash", "nurse").await;
    let page = format!("/t/ash/medicines/stock/{}", item.id);
    let shown = browser.get(&page).await;
    for (text, there) in [
        ("Back cupboard", true),
        ("Corner pharmacy", true),
        ("20 tablets", true),
        ("Location/", false),
        ("Organization/", false),
        ("{tablet}", false),
    ] {
        assert_eq!(shown.body.contains(text), there, "{text}: {}", shown.body);
    }
    let receive = browser.get(&format!("{page}/receive")).await;
    assert!(receive.body.contains("Nobody: common stock"));
    assert!(receive.body.contains("31-Mar-2027"), "{}", receive.body);
    assert!(receive.body.contains(", born "), "{}", receive.body);
    // What the form carries says of which batch a number is, wherever it stands.
    let count = format!("{page}/count");
    let form = browser.get(&count).await;
    let (one, other) = (
        plain(&form.hidden("batch-0")),
        plain(&form.hidden("batch-1")),
    );
    assert!(one.contains("AA") && other.contains("BB"), "{one} {other}");
    let (csrf, seen) = (form.hidden("csrf"), form.hidden("seen"));
    assert_eq!(seen, "2");
    let fields = |movement: &'static str| {
        vec![
            ("csrf", csrf.as_str()),
            ("movement", movement),
            ("seen", seen.as_str()),
            ("batch-0", other.as_str()),
            ("found-0", "7"),
            ("batch-1", one.as_str()),
            ("found-1", "10"),
            ("reason", "lost"),
        ]
    };
    let done = browser.post(&count, &fields("c1")).await;
    assert_eq!(done.status, 303, "{}", done.body);
    let there = look::read(&house.app, &nurse, &item.id)
        .await
        .unwrap()
        .there;
    let lots: Vec<(Option<&str>, String)> = there
        .iter()
        .map(|own| (own.batch.lot.as_deref(), own.units.to_string()))
        .collect();
    assert_eq!(
        lots,
        [(Some("AA"), "10".to_owned()), (Some("BB"), "7".to_owned())]
    );
    // The same form again, as another count: something moved since, so it is counted anew.
    let late = browser.post(&count, &fields("c2")).await;
    assert_eq!(late.status, 409, "{}", late.body);
    assert!(late.body.contains("count it again"), "{}", late.body);
    assert_eq!(late.hidden("seen"), "3");
    assert!(!late.body.contains("value=\"7\""), "{}", late.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_step_or_note_of_the_register_is_taken_for_nothing_else() {
    let house = House::build().await;
    let nurse = house.caller("ash", "nurse").await;
    let item = kept(&house, &nurse, "Morphine 10mg modified-release tablet").await;
    let own = nurse.subject.standings().iter();
    let organization = own
        .flat_map(|own| match &own.reach {
            identity::Reach::Branches(links) => links.clone(),
            _ => Vec::new(),
        })
        .next()
        .unwrap()
        .organization;
    let begin = pages::Begin {
        item: item.id,
        premises: medication::ids::PremisesId(organization),
        opening: None,
        signing: Signing::default(),
    };
    let page = pages::begin(&house.app, &nurse, &begin).await.unwrap();
    let mut browser = house.signed_in("ash", "nurse").await;
    let at = format!("/t/ash/medicines/register/{}", page.head.id);
    let shown = browser.get(&at).await;
    assert!(shown.body.contains("North ashcanary"), "{}", shown.body);
    let form = browser.get(&format!("{at}/count")).await;
    let csrf = form.hidden("csrf");
    assert_eq!(form.hidden("seen"), "0");
    let fields = [
        ("csrf", csrf.as_str()),
        ("of", "1"),
        ("should-be", "1"),
        ("note", "x"),
        ("movement", "m"),
    ];
    let unknown = browser.post(&format!("{at}/anything"), &fields).await;
    assert_eq!(unknown.status, 404, "{}", unknown.body);
    let told = browser
        .post(&format!("{at}/incidents/x"), &fields[..1])
        .await;
    assert_eq!(told.status, 422, "{}", told.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_it_is_low_what_is_called_back_and_how_far_a_reorder_is() {
    let house = House::build().await;
    let admin = house.caller("ash", "admin").await;
    for body in [
        json!({ "resourceType": "Organization", "id": "corner", "name": "Corner pharmacy" }),
        json!({ "resourceType": "Location", "id": "cupboard", "name": "Back cupboard" }),
    ] {
        house.put(&admin, &body).await;
    }
    let nurse = house.caller("ash", "nurse").await;
    let item = kept(&house, &nurse, "Paracetamol 500mg tablet").await;
    received(&house, &nurse, &item, ("r1", "AA")).await;
    let mut browser = house.signed_in("ash", "nurse").await;
    let page = format!("/t/ash/medicines/stock/{}", item.id);
    let shown = browser.get(&page).await;
    for link in ["threshold", "recall"] {
        assert!(
            shown.body.contains(&format!("{page}/{link}\"")),
            "{link}: {}",
            shown.body
        );
    }
    // When it is low: what is no number stays in the form, with what to write.
    let threshold = format!("{page}/threshold");
    let form = browser.get(&threshold).await;
    assert!(
        form.body.contains("In tablets; empty: it is never low"),
        "{}",
        form.body
    );
    let csrf = form.hidden("csrf");
    let wrong = browser
        .post(&threshold, &[("csrf", &csrf), ("threshold", "a few")])
        .await;
    assert_eq!(wrong.status, 422, "{}", wrong.body);
    assert!(wrong.body.contains("value=\"a few\""), "{}", wrong.body);
    let done = browser
        .post(&threshold, &[("csrf", &csrf), ("threshold", "12")])
        .await;
    assert_eq!(done.status, 303, "{}", done.body);
    let shown = browser.get(&page).await;
    assert!(shown.body.contains("Low at 12 tablets"), "{}", shown.body);
    assert!(!shown.body.contains("{tablet}"), "{}", shown.body);
    let again = browser.get(&threshold).await;
    assert!(again.body.contains("value=\"12\""), "{}", again.body);
    // A step of the reorder, by hand: pressed twice it is one, and one that was decided before is refused.
    let reorder = format!("{page}/reorder");
    let (id, seen) = (shown.hidden("id"), shown.hidden("seen"));
    let step = shown.hidden("step");
    let csrf = shown.hidden("csrf");
    let fields = |id: &'static str| {
        [
            ("csrf", csrf.clone()),
            ("step", step.clone()),
            ("seen", seen.clone()),
            ("id", id.to_owned()),
        ]
    };
    assert!(!id.is_empty(), "{}", shown.body);
    let own = fields("step-1");
    let own: Vec<(&str, &str)> = own
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    for _ in 0..2 {
        let done = browser.post(&reorder, &own).await;
        assert_eq!(done.status, 303, "{}", done.body);
    }
    let there = look::read(&house.app, &nurse, &item.id).await.unwrap();
    assert_eq!(
        there.steps.to_string(),
        (seen.parse::<usize>().unwrap() + 1).to_string()
    );
    let late = fields("step-2");
    let late: Vec<(&str, &str)> = late
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let late = browser.post(&reorder, &late).await;
    assert!(
        matches!(late.status, 409 | 422),
        "{} {}",
        late.status,
        late.body
    );
    // A lot is called back: without a notice it is not, and what is there of it says so then.
    let recall = format!("{page}/recall");
    let form = browser.get(&recall).await;
    let csrf = form.hidden("csrf");
    let silent = browser
        .post(&recall, &[("csrf", &csrf), ("lot", "AA"), ("notice", "")])
        .await;
    assert_eq!(silent.status, 422, "{}", silent.body);
    assert!(silent.body.contains("value=\"AA\""), "{}", silent.body);
    let notice = [
        ("csrf", csrf.as_str()),
        ("lot", "AA"),
        ("notice", "EL (26)A/1"),
    ];
    let done = browser.post(&recall, &notice).await;
    assert_eq!(done.status, 303, "{}", done.body);
    let shown = browser.get(&page).await;
    assert!(shown.body.contains("Was recalled"), "{}", shown.body);
}
