//! The sandbox of CDS Hooks and its log: who sees them, switching on, playing a call, what became of a card,
//! and repeating the call.

use identity::{Role, RoleAssignment};

use crate::house::House;

const SANDBOX: &str = "/t/ash/cds-hooks";
const LOG: &str = "/t/ash/cds-hooks/log";

async fn house() -> House {
    let house = House::build().await;
    let pharmacist = RoleAssignment::of(Role::Pharmacist);
    house.user("ash", "pharmacist", pharmacist).await;
    house
}

const SCENE: [(&str, &str); 5] = [
    ("service", "medication-order-sign"),
    ("facts", "invented"),
    ("patient", ""),
    ("taken", "Warfarin 1mg tablet\r\n"),
    ("drafts", "Ibuprofen 400mg tablet\r\n\r\n<b>Magic</b> drops"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_has_its_own_page_of_hooks() {
    let house = house().await;
    for (name, sandbox, log) in [
        ("admin", 200, 404),
        ("doctor", 200, 404),
        ("pharmacist", 200, 404),
        ("auditor", 404, 200),
        ("nurse", 404, 404),
        ("carer", 404, 404),
        ("receptionist", 404, 404),
    ] {
        let mut browser = house.signed_in("ash", name).await;
        assert_eq!(browser.get(SANDBOX).await.status, sandbox, "{name}");
        assert_eq!(browser.get(LOG).await.status, log, "{name}");
        let one = format!("{LOG}/00000000-0000-4000-8000-000000000000");
        assert_eq!(browser.get(&one).await.status, 404, "{name}");
        let tools = browser.get("/t/ash/tools").await;
        assert_eq!(
            tools.body.contains(&format!("\"{SANDBOX}\"")),
            sandbox == 200,
            "{name}"
        );
        assert_eq!(
            tools.body.contains(&format!("\"{LOG}\"")),
            log == 200,
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one conversation")]
async fn a_call_is_played_answered_overridden_and_repeated() {
    let house = house().await;
    let mut doctor = house.signed_in("ash", "doctor").await;
    let off = doctor.get(SANDBOX).await;
    assert!(off.body.contains("CDS Hooks are off") && !off.body.contains("Switch on"));
    let mut admin = house.signed_in("ash", "admin").await;
    let on = admin.submit(SANDBOX, "/t/ash/cds-hooks/switch", &[]).await;
    assert_eq!(on.status, 303, "{}", on.body);
    let shown = doctor.submit(SANDBOX, SANDBOX, &SCENE).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    for part in [
        "2 cards",
        "Warfarin 1mg tablet with Ibuprofen 400mg tablet",
        "Suggested: Do not order Ibuprofen 400mg tablet",
        "is not known here",
        "&#34;hook&#34;: &#34;order-sign&#34;",
    ] {
        assert!(shown.body.contains(part), "{part}: {}", shown.body);
    }
    assert!(!shown.body.contains("<b>Magic"));
    let link = shown
        .body
        .split("href=\"/t/ash/cds-hooks/cards/")
        .nth(1)
        .unwrap();
    let card = format!("{SANDBOX}/cards/{}", link.split('"').next().unwrap());
    // A card is told of by whom it was shown to.
    let mut pharmacist = house.signed_in("ash", "pharmacist").await;
    assert_eq!(pharmacist.get(&card).await.status, 404);
    let nothing = doctor.submit(&card, &card, &[]).await;
    assert_eq!(nothing.status, 422);
    assert!(nothing.body.contains("choose one"));
    let fields = [
        ("outcome", "overridden"),
        ("reason", "monitored"),
        ("text", "INR daily"),
    ];
    let told = doctor.submit(&card, &card, &fields).await;
    assert_eq!(told.status, 303, "{}", told.body);
    let report = doctor.get("/t/ash/medicines/alerts").await;
    assert!(
        report
            .body
            .contains("1 × It is watched by tests or observation"),
        "{}",
        report.body
    );
    let mut auditor = house.signed_in("ash", "auditor").await;
    let list = auditor.get(LOG).await;
    assert!(list.body.contains("medication-order-sign"), "{}", list.body);
    let link = list.body.split(&format!("href=\"{LOG}/")).nth(1).unwrap();
    let call = format!("{LOG}/{}", link.split('"').next().unwrap());
    let again = auditor.submit(&call, &call, &[]).await;
    assert!(
        again
            .body
            .contains("The cards were made again and are the same, bit for bit."),
        "{}",
        again.body
    );
    assert!(again.body.contains("SHA-256 of the facts"));
    // Without the page's token nothing is done.
    assert_eq!(doctor.post(SANDBOX, &SCENE).await.status, 403);
    assert_eq!(auditor.post(&call, &[]).await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_played_is_said_on_the_page() {
    let house = house().await;
    let mut admin = house.signed_in("ash", "admin").await;
    admin.submit(SANDBOX, "/t/ash/cds-hooks/switch", &[]).await;
    let with = |changes: &[(&'static str, &'static str)]| -> Vec<(&'static str, &'static str)> {
        let kept = SCENE
            .into_iter()
            .filter(|(name, _)| !changes.iter().any(|(own, _)| own == name));
        kept.chain(changes.iter().copied()).collect()
    };
    let mut doctor = house.signed_in("ash", "doctor").await;
    for (changes, status) in [
        (with(&[("service", "other")]), 404),
        (with(&[("facts", "record"), ("patient", "no id")]), 422),
        (with(&[("facts", "record"), ("patient", "missing")]), 404),
        (
            with(&[("service", "medication-order-select"), ("drafts", "")]),
            400,
        ),
    ] {
        let answer = doctor.submit(SANDBOX, SANDBOX, &changes).await;
        assert_eq!(answer.status, status, "{changes:?} {}", answer.body);
        assert!(answer.body.contains("There is a problem"), "{changes:?}");
    }
    for (facts, who) in [("record", "doctor"), ("sent", "doctor")] {
        let mut browser = house.signed_in("ash", who).await;
        let fields = with(&[("facts", facts), ("patient", "ash-p1")]);
        let answer = browser.submit(SANDBOX, SANDBOX, &fields).await;
        assert_eq!(answer.status, 200, "{facts} {}", answer.body);
    }
    // An administrator invents a patient, but sees none.
    let fields = with(&[("facts", "record"), ("patient", "ash-p1")]);
    let answer = admin.submit(SANDBOX, SANDBOX, &fields).await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert_eq!(admin.submit(SANDBOX, SANDBOX, &SCENE).await.status, 200);
}
