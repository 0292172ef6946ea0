//! The three connectors against servers that speak their wire formats: what is asked, what is made of the
//! answer, and that every failure is said and none read as "nothing found".

use std::time::Duration;

use connect::knowledge::{
    Concept, KnowledgeSource, Question, Said, SourceError, SourceSetting, source,
};
use connect::{Client, ConnectError};
use serde_json::{Value, json};
use testkit::receiver::{Received, Receiver, Reply};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::setting::Setting;

fn concept(key: &str, names: &[&str]) -> Concept {
    Concept {
        key: key.to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        rxnorm: (key == "warfarin").then(|| "11289".to_owned()),
        snomed: None,
        atc: Vec::new(),
        own: None,
    }
}

fn pair() -> Vec<Concept> {
    vec![
        concept("warfarin", &["warfarin"]),
        concept("ibuprofen", &["ibuprofen"]),
    ]
}

fn json_reply(body: &Value) -> Reply {
    Reply {
        body: body.to_string().into_bytes(),
        ..Reply::status(200)
    }
    .with("content-type", "application/json")
}

fn text_reply(status: u16, body: &str) -> Reply {
    Reply {
        body: body.as_bytes().to_vec(),
        ..Reply::status(status)
    }
}

fn client(receiver: &Receiver) -> Client {
    let entry = format!("http://know.test:{} private", receiver.address().port());
    Setting::allowing(&[entry]).client()
}

fn made(kind: &str, receiver: &Receiver) -> Box<dyn KnowledgeSource> {
    let port = receiver.address().port();
    let entry = format!("other {kind} http://know.test:{port} key=/none");
    let mut setting = SourceSetting::parse(&entry).unwrap();
    setting.key = Some(Zeroizing::new("k-1".to_owned()));
    source(setting)
}

async fn asked(kind: &str, receiver: &Receiver, about: &[Concept]) -> Said {
    asked_within(kind, receiver, about, Duration::from_secs(2)).await
}

async fn asked_within(
    kind: &str,
    receiver: &Receiver,
    about: &[Concept],
    within: Duration,
) -> Said {
    let named = [
        pair(),
        vec![concept("aspirin", &["aspirin", "acetylsalicylic acid"])],
    ]
    .concat();
    let question = Question {
        about,
        named: &named,
        until: Instant::now() + within,
    };
    made(kind, receiver).ask(&client(receiver), &question).await
}

fn label(generic: &[&str], sections: &Value) -> Value {
    let mut label = json!({
        "id": "i1", "set_id": "s1", "version": "12", "effective_time": "20260102",
        "openfda": { "generic_name": generic },
    });
    for (name, value) in sections.as_object().unwrap() {
        label[name] = value.clone();
    }
    label
}

fn labels(results: &[Value]) -> Value {
    json!({
        "meta": {
            "disclaimer": "Do not rely on openFDA", "terms": "t", "license": "https://open.fda.gov/license/",
            "last_updated": "2026-02-28", "results": { "skip": 0, "limit": 10, "total": results.len() },
        },
        "results": results,
    })
}

fn none_found() -> Reply {
    text_reply(
        404,
        r#"{"error":{"code":"NOT_FOUND","message":"No matches found!"}}"#,
    )
}

fn of_warfarin(request: &Received) -> bool {
    request.path.contains("WARFARIN")
}

#[tokio::test]
async fn labels_are_evidence_with_the_words_around() {
    let text = "7 DRUG INTERACTIONS Monitor INR. Ibuprofen and other NSAIDs, including acetylsalicylic acid, raise the risk of bleeding. Vitamin K lowers it.";
    let receiver = Receiver::start(move |request, _| {
        if !of_warfarin(request) {
            return none_found();
        }
        json_reply(&labels(&[
            // A combination, and a label without openfda fields, come first and are not the ingredient's.
            label(
                &["WARFARIN AND IBUPROFEN"],
                &json!({ "drug_interactions": ["aspirin"] }),
            ),
            json!({ "set_id": "s0", "openfda": {}, "drug_interactions": ["aspirin"] }),
            label(
                &["WARFARIN SODIUM"],
                &json!({
                    "drug_interactions": [text],
                    "drug_interactions_table": ["<table>aspirin</table>"],
                    "contraindications": ["Not in pregnancy."],
                }),
            ),
        ]))
    });
    let said = asked("openfda", &receiver, &pair()).await;
    assert_eq!(said.failed, None);
    assert_eq!(said.answered, ["warfarin"]);
    assert_eq!(
        said.unknown,
        ["ibuprofen"],
        "404 is none, and none is not known"
    );
    let edition = said.edition.unwrap();
    assert_eq!(
        (edition.version.as_str(), edition.licence.as_str()),
        ("2026-02-28", "https://open.fda.gov/license/")
    );
    let found: Vec<(&str, Option<&str>)> = said
        .claims
        .iter()
        .map(|own| (own.id.as_str(), own.severity.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            ("s1/drug_interactions/aspirin", None),
            ("s1/drug_interactions/ibuprofen", None)
        ]
    );
    let ibuprofen = &said.claims[1];
    assert_eq!(
        ibuprofen.between,
        ("warfarin".to_owned(), "ibuprofen".to_owned())
    );
    assert_eq!(
        ibuprofen.effect,
        "The label of warfarin names ibuprofen under drug interactions: \u{201c}Ibuprofen and other NSAIDs, including acetylsalicylic acid, raise the risk of bleeding.\u{201d}"
    );
    assert_eq!(
        ibuprofen.citations,
        ["FDA label s1, version 12 of 20260102, drug interactions"]
    );
    asked_for_the_label(&receiver);
}

fn asked_for_the_label(receiver: &Receiver) {
    let seen = receiver.seen();
    let first = seen.iter().find(|own| of_warfarin(own)).unwrap();
    assert_eq!(
        first.path,
        "/drug/label.json?search=openfda.generic_name%3A%22WARFARIN%22%20AND%20_exists_%3Adrug_interactions&limit=10&skip=0&sort=effective_time:desc&api_key=k-1"
    );
}

#[tokio::test]
async fn a_labels_ingredient_has_several_names() {
    let receiver = Receiver::start(|request, _| {
        if request.path.contains("ACETAMINOPHEN") {
            let mention = json!({ "boxed_warning": ["With warfarin, watch the INR."] });
            json_reply(&labels(&[label(&["ACETAMINOPHEN"], &mention)]))
        } else {
            none_found()
        }
    });
    let about = [concept("paracetamol", &["paracetamol", "acetaminophen"])];
    let said = asked("openfda", &receiver, &about).await;
    assert_eq!(said.answered, ["paracetamol"]);
    assert_eq!(said.claims.len(), 1);
    assert!(said.claims[0].effect.contains("boxed warning"));
}

fn ddi(severity: &str) -> Value {
    json!({ "interactions": [{
        "ingredient": { "drugbank_id": "DB00682", "name": "Warfarin" },
        "affected_ingredient": { "drugbank_id": "DB01050", "name": "Ibuprofen" },
        "description": "The risk of bleeding is increased.", "severity": severity,
        "evidence_level": "level_1", "management": "Avoid.", "extended_description": "NSAIDs act on platelets.",
        "action": "increase_specific_effect",
    }], "total_results": 1 })
}

fn names(request: &Received) -> Option<Reply> {
    let found = request.path.strip_prefix("/v1/drug_names/simple?q=")?;
    let id = match found {
        "warfarin" => "DB00682",
        "ibuprofen" => "DB01050",
        _ => return Some(json_reply(&json!({ "products": [] }))),
    };
    Some(json_reply(&json!({ "products": [
        { "name": "Other", "ingredients": [{ "name": "Aspirin", "drugbank_id": "DB00945" }] },
        { "name": found, "ingredients": [{ "name": found, "drugbank_id": id }] },
    ]})))
}

#[tokio::test]
async fn drugbank_is_asked_by_its_own_ids_with_the_bare_key() {
    let receiver =
        Receiver::start(|request, _| names(request).unwrap_or_else(|| json_reply(&ddi("major"))));
    let mut about = pair();
    about.push(concept("moonbeam", &["moonbeam"]));
    let said = asked("drugbank", &receiver, &about).await;
    assert_eq!(said.failed, None);
    assert_eq!(said.unknown, ["moonbeam"]);
    assert_eq!(said.answered, ["warfarin", "ibuprofen"]);
    assert_eq!(said.own.len(), 2);
    let claim = &said.claims[0];
    assert_eq!(
        claim.between,
        ("warfarin".to_owned(), "ibuprofen".to_owned())
    );
    assert_eq!(claim.severity.as_deref(), Some("major"));
    assert_eq!(claim.management, "Avoid.");
    assert_eq!(
        claim.citations,
        ["DrugBank interaction DB00682 with DB01050, evidence level_1"]
    );
    let seen = receiver.seen();
    let question = seen.iter().find(|own| own.method == "POST").unwrap();
    assert_eq!(question.path, "/v1/ddi?region=us");
    assert_eq!(question.header("authorization"), Some("k-1"));
    assert_eq!(question.text(), r#"{"drugbank_id":["DB00682","DB01050"]}"#);
}

#[tokio::test]
async fn fewer_than_two_ids_are_never_asked_about() {
    let receiver =
        Receiver::start(|request, _| names(request).unwrap_or_else(|| Reply::status(422)));
    let about = [pair()[0].clone(), concept("moonbeam", &["moonbeam"])];
    let said = asked("drugbank", &receiver, &about).await;
    assert_eq!((said.failed, said.answered.len()), (None, 0));
    assert!(receiver.seen().iter().all(|own| own.method == "GET"));
    // What is known already is not looked up again.
    let mut about = pair();
    about[0].own = Some("DB00682".to_owned());
    about[1].own = Some("DB01050".to_owned());
    let said = asked("drugbank", &receiver, &about).await;
    assert_eq!(said.failed, Some(SourceError::Refused(422)));
}

#[tokio::test]
async fn more_than_forty_ids_are_asked_in_parts_in_which_every_pair_stands() {
    let receiver =
        Receiver::start(|_, _| json_reply(&json!({ "interactions": [], "total_results": 0 })));
    let about: Vec<Concept> = (0..45)
        .map(|number| Concept {
            own: Some(format!("DB{number:05}")),
            ..concept(&format!("k{number}"), &["x"])
        })
        .collect();
    let said = asked("drugbank", &receiver, &about).await;
    assert_eq!((said.failed, said.answered.len()), (None, 45));
    let questions: Vec<Vec<String>> = receiver
        .seen()
        .iter()
        .map(|own| serde_json::from_str::<Value>(&own.text()).unwrap())
        .map(|own| serde_json::from_value(own["drugbank_id"].clone()).unwrap())
        .collect();
    assert!(questions.iter().all(|own| (2..=40).contains(&own.len())));
    for a in 0..45 {
        for b in a + 1..45 {
            let (a, b) = (format!("DB{a:05}"), format!("DB{b:05}"));
            assert!(
                questions
                    .iter()
                    .any(|own| own.contains(&a) && own.contains(&b)),
                "{a} {b}"
            );
        }
    }
}

fn formulary(interactions: &Value) -> Value {
    json!({
        "release": { "version": "2026-03", "effective": "2026-03-01", "licence": "licensed" },
        "known": [true, true], "interactions": interactions,
    })
}

#[tokio::test]
async fn a_formulary_is_asked_as_the_contract_says() {
    let receiver = Receiver::start(|_, _| {
        json_reply(&formulary(&json!([{
            "id": "W-17", "between": [1, 0], "severity": "severe", "effect": "Bleeding.",
            "management": "Avoid.", "citations": ["Formulary, appendix 1"],
        }])))
    });
    let said = asked("formulary", &receiver, &pair()).await;
    assert_eq!(said.failed, None);
    assert_eq!(said.answered, ["warfarin", "ibuprofen"]);
    assert_eq!(said.edition.unwrap().version, "2026-03");
    assert_eq!(
        said.claims[0].between,
        ("ibuprofen".to_owned(), "warfarin".to_owned())
    );
    let seen = receiver.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].path.as_str()),
        ("POST", "/v1/interactions")
    );
    assert_eq!(seen[0].header("authorization"), Some("Bearer k-1"));
    assert_eq!(
        seen[0].text(),
        r#"{"ingredients":[{"names":["warfarin"],"codes":[{"system":"rxnorm","code":"11289"}]},{"names":["ibuprofen"],"codes":[]}]}"#
    );
}

/// What a server does, and what it is called in a failure; `None`: nothing may be made of it but a failure.
type Fault = (&'static str, fn() -> Reply, &'static str);

/// Failures that every connector meets.
const FAULTS: [Fault; 12] = [
    ("a bad key", || text_reply(401, "{}"), "key"),
    ("no right", || text_reply(403, "{}"), "key"),
    (
        "a question that is not taken",
        || text_reply(422, "{}"),
        "refused",
    ),
    (
        "too many requests",
        || Reply::status(429).with("retry-after", "7"),
        "resting",
    ),
    ("a failing server", || text_reply(500, "oops"), "status"),
    (
        "a page of a gateway",
        || text_reply(200, "<html><body>Sign in</body></html>"),
        "unreadable",
    ),
    ("garbage", || text_reply(200, "\u{1}\u{2}{{{"), "unreadable"),
    ("nothing", || text_reply(200, ""), "unreadable"),
    (
        "a cut answer",
        || text_reply(200, r#"{"results":[{"set_id":"s"#),
        "unreadable",
    ),
    (
        "another shape",
        || text_reply(200, r#"{"results":{},"interactions":{},"products":{}}"#),
        "unreadable",
    ),
    (
        "a redirect",
        || Reply::status(302).with("location", "http://elsewhere.test/"),
        "status",
    ),
    (
        "a closed connection",
        || Reply {
            hang_up: true,
            ..Reply::status(200)
        },
        "unreachable",
    ),
];

#[tokio::test]
async fn every_failure_is_said_by_every_connector() {
    for kind in ["openfda", "drugbank", "formulary"] {
        for (what, fault, word) in FAULTS {
            let receiver = Receiver::start(move |_, _| fault());
            let said = asked(kind, &receiver, &pair()).await;
            let failed = said
                .failed
                .unwrap_or_else(|| panic!("{kind}: {what} went unsaid"));
            assert_eq!(failed.word(), word, "{kind}: {what}: {failed}");
            assert!(
                said.answered.is_empty() && said.claims.is_empty(),
                "{kind}: {what}"
            );
            let text = failed.to_string();
            assert!(
                !text.contains("k-1") && !text.to_lowercase().contains("warfarin"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn what_takes_too_long_or_is_too_large_is_said() {
    for kind in ["openfda", "drugbank", "formulary"] {
        let slow = Receiver::start(|_, _| Reply::status(200).after(Duration::from_secs(1)));
        let begun = Instant::now();
        let said = asked_within(kind, &slow, &pair(), Duration::from_millis(150)).await;
        assert_eq!(said.failed.unwrap().word(), "late", "{kind}");
        assert!(begun.elapsed() < Duration::from_millis(900), "{kind}");
        let huge = Receiver::start(|_, _| Reply {
            body: vec![b' '; 17 << 20],
            ..Reply::status(200)
        });
        let said = asked_within(kind, &huge, &pair()[..], Duration::from_secs(10)).await;
        let failed = said.failed.unwrap();
        assert!(
            matches!(
                failed,
                SourceError::Call(ConnectError::AnswerTooLarge { .. })
            ),
            "{kind}: {failed}"
        );
    }
}

#[tokio::test]
async fn retry_after_is_taken_within_bounds() {
    for (header, seconds) in [
        (Some("7"), 7),
        (Some("999999"), 3_600),
        (Some("Wed, 21 Oct 2026 07:28:00 GMT"), 60),
        (None, 60),
    ] {
        let receiver = Receiver::start(move |_, _| match header {
            Some(value) => Reply::status(429).with("retry-after", value),
            None => Reply::status(429),
        });
        let said = asked("formulary", &receiver, &pair()).await;
        let expected = SourceError::TooOften(Duration::from_secs(seconds));
        assert_eq!(said.failed, Some(expected), "{header:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_as_agreed_is_no_answer() {
    for (what, body) in [
        ("a side that was not asked for", {
            let mut body = ddi("major");
            body["interactions"][0]["affected_ingredient"]["drugbank_id"] = json!("DB99999");
            body
        }),
        ("no description", {
            let mut body = ddi("major");
            body["interactions"][0]["description"] = json!("");
            body
        }),
        ("fewer than counted", {
            let mut body = ddi("major");
            body["total_results"] = json!(9);
            body
        }),
    ] {
        let receiver =
            Receiver::start(move |request, _| names(request).unwrap_or_else(|| json_reply(&body)));
        let said = asked("drugbank", &receiver, &pair()).await;
        assert!(matches!(said.failed, Some(SourceError::Shape(_))), "{what}");
        assert!(said.claims.is_empty() && said.answered.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_formulary_that_breaks_the_contract_is_no_answer() {
    let one = json!({ "id": "1", "between": [0, 1], "severity": "mild", "effect": "x" });
    for (what, body) in [
        ("known too short", {
            let mut body = formulary(&json!([]));
            body["known"] = json!([true]);
            body
        }),
        ("no version", {
            let mut body = formulary(&json!([]));
            body["release"]["version"] = json!("");
            body
        }),
        ("no release", {
            let mut body = formulary(&json!([]));
            body["release"] = Value::Null;
            body
        }),
        ("between the unknown", {
            let mut body = formulary(&json!([one]));
            body["known"] = json!([true, false]);
            body
        }),
        ("a place that is none", {
            let mut body = formulary(&json!([one]));
            body["interactions"][0]["between"] = json!([0, 7]);
            body
        }),
        ("one side", {
            let mut body = formulary(&json!([one]));
            body["interactions"][0]["between"] = json!([1, 1]);
            body
        }),
        ("no effect", {
            let mut body = formulary(&json!([one]));
            body["interactions"][0]["effect"] = json!("");
            body
        }),
    ] {
        let receiver = Receiver::start(move |_, _| json_reply(&body));
        let said = asked("formulary", &receiver, &pair()).await;
        assert!(matches!(said.failed, Some(SourceError::Shape(_))), "{what}");
    }
}

#[tokio::test]
async fn a_source_that_is_not_on_the_allow_list_is_not_called() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let question = Question {
        about: &pair(),
        named: &pair(),
        until: Instant::now() + Duration::from_secs(1),
    };
    let said = made("formulary", &receiver)
        .ask(&Setting::allowing(&[]).client(), &question)
        .await;
    assert_eq!(said.failed, Some(SourceError::Call(ConnectError::Off)));
    assert!(receiver.seen().is_empty());
}
