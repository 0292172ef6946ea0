//! Bad input in every shape: always a typed answer with the right status, never a fault, nothing stored.

use serde_json::json;

use crate::conversation::next_link;
use crate::server::{Answer, Call, LAKESIDE, ROSEWOOD, TestServer, Transcript};

const BASE: &str = "/t/rosewood/fhir";

/// Whether a failure is answered as one of the forms that clients know.
pub fn is_typed(answer: &Answer) -> bool {
    let json: Result<serde_json::Value, _> = serde_json::from_slice(&answer.body);
    let typed = match answer.header("content-type") {
        "application/fhir+json; charset=utf-8" => json.is_ok_and(|json| {
            json["resourceType"] == "OperationOutcome" && json["issue"][0]["code"].is_string()
        }),
        "application/problem+json" => {
            json.is_ok_and(|json| json["status"] == answer.status.as_u16())
        }
        "application/json" => json.is_ok_and(|json| json["error"].is_string()),
        _ => false,
    };
    typed && answer.status.is_client_error() && !answer.header("x-request-id").is_empty()
}

fn deep(levels: usize) -> Vec<u8> {
    let mut body = br#"{"resourceType":"Patient","contact":"#.to_vec();
    body.extend(std::iter::repeat_n(b'[', levels));
    body.extend(std::iter::repeat_n(b']', levels));
    body.push(b'}');
    body
}

/// Bodies that are no Patient, as text.
const BODIES: &[(&str, &str)] = &[
    ("nothing", ""),
    ("white space", " \n\t "),
    ("half an object", r#"{"resourceType":"Patient""#),
    ("text after the end", r#"{"resourceType":"Patient"} x"#),
    ("a trailing comma", r#"{"resourceType":"Patient",}"#),
    ("a comment", r#"{"resourceType":"Patient"/* */}"#),
    ("single quotes", "{'resourceType':'Patient'}"),
    ("an array", "[]"),
    ("a number", "7"),
    ("null", "null"),
    (
        "NaN",
        r#"{"resourceType":"Patient","multipleBirthInteger":NaN}"#,
    ),
    (
        "a byte order mark",
        "\u{feff}{\"resourceType\":\"Patient\"}",
    ),
    (
        "a lone surrogate",
        r#"{"resourceType":"Patient","language":"\ud800"}"#,
    ),
    (
        "a control character",
        "{\"resourceType\":\"Patient\",\"language\":\"a\u{0}b\"}",
    ),
    (
        "a key twice",
        r#"{"resourceType":"Patient","active":true,"active":false}"#,
    ),
    (
        "a key twice, once escaped",
        r#"{"resourceType":"Patient","active":true,"\u0061ctive":false}"#,
    ),
    (
        "a key twice, deep",
        r#"{"resourceType":"Patient","name":[{"family":"a","family":"b"}]}"#,
    ),
    ("no type", r#"{"id":"a"}"#),
    ("a type that is no text", r#"{"resourceType":7}"#),
    (
        "another type than the address",
        r#"{"resourceType":"Observation"}"#,
    ),
    ("an unknown type", r#"{"resourceType":"Nonsense"}"#),
    ("a type in the wrong case", r#"{"resourceType":"patient"}"#),
    (
        "an unknown element",
        r#"{"resourceType":"Patient","nonsense":1}"#,
    ),
    (
        "a text where a truth is wanted",
        r#"{"resourceType":"Patient","active":"true"}"#,
    ),
    (
        "an object where an array is wanted",
        r#"{"resourceType":"Patient","name":{"family":"a"}}"#,
    ),
    (
        "a null member",
        r#"{"resourceType":"Patient","active":null}"#,
    ),
    ("an empty array", r#"{"resourceType":"Patient","name":[]}"#),
    (
        "an empty object",
        r#"{"resourceType":"Patient","name":[{}]}"#,
    ),
    ("an empty text", r#"{"resourceType":"Patient","gender":""}"#),
    (
        "30 February",
        r#"{"resourceType":"Patient","birthDate":"2026-02-30"}"#,
    ),
    (
        "month 13",
        r#"{"resourceType":"Patient","birthDate":"2026-13"}"#,
    ),
    (
        "year 0000",
        r#"{"resourceType":"Patient","birthDate":"0000"}"#,
    ),
    (
        "a time in a date",
        r#"{"resourceType":"Patient","birthDate":"2026-01-01T00:00:00Z"}"#,
    ),
    (
        "a time without a zone",
        r#"{"resourceType":"Patient","deceasedDateTime":"2026-01-01T00:00:00"}"#,
    ),
    (
        "hour 25",
        r#"{"resourceType":"Patient","deceasedDateTime":"2026-01-01T25:00:00Z"}"#,
    ),
    (
        "two choices",
        r#"{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2026"}"#,
    ),
    (
        "a code outside a required binding",
        r#"{"resourceType":"Patient","gender":"nonsense"}"#,
    ),
    (
        "a fraction where a whole number is wanted",
        r#"{"resourceType":"Patient","multipleBirthInteger":1.5}"#,
    ),
    (
        "a number out of range",
        r#"{"resourceType":"Patient","multipleBirthInteger":99999999999999999999999999}"#,
    ),
    (
        "a reference to a wrong type",
        r#"{"resourceType":"Patient","managingOrganization":{"reference":"Patient/1"}}"#,
    ),
    (
        "an id that is none",
        r#"{"resourceType":"Patient","id":"a b"}"#,
    ),
    (
        "a script in the narrative",
        r#"{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>alert(1)</script></div>"}}"#,
    ),
];

#[tokio::test]
async fn bodies_that_are_no_resource_are_refused() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let mut table: Vec<(&str, Vec<u8>)> = BODIES
        .iter()
        .map(|(heading, body)| (*heading, body.as_bytes().to_vec()))
        .collect();
    table.extend([
        (
            "invalid UTF-8",
            b"{\"resourceType\":\"Patient\",\"language\":\"\xff\"}".to_vec(),
        ),
        (
            "an overlong UTF-8 sequence",
            b"{\"resourceType\":\"Patient\",\"language\":\"\xc0\xaf\"}".to_vec(),
        ),
        ("depth 10,000", deep(10_000)),
        ("depth 1,000,000", deep(1_000_000)),
    ]);
    let mut transcript = Transcript::default();
    for (heading, body) in table {
        let call = Call::post(format!("{BASE}/Patient"))
            .header("content-type", "application/fhir+json")
            .bytes(body);
        let answer = server.send(call.bearer(&token)).await;
        assert!(
            is_typed(&answer),
            "{heading}: {} {}",
            answer.status,
            answer.text()
        );
        transcript.line(heading, &answer);
    }
    let left = server
        .send(Call::get(format!("{BASE}/Patient?_summary=count")).bearer(&token))
        .await
        .expect(200);
    assert_eq!(left.json()["total"], 0, "nothing was stored");
    insta::assert_snapshot!(transcript.finish());
}

/// Addresses and methods that mean nothing: heading, method, address below the tenant.
const ADDRESSES: &[(&str, &str, &str)] = &[
    ("an unknown type", "GET", "fhir/Nonsense/1"),
    ("a type in the wrong case", "GET", "fhir/patient/1"),
    ("an abstract type", "GET", "fhir/DomainResource/1"),
    ("an id with a space", "GET", "fhir/Patient/a%20b"),
    ("an id with a slash", "GET", "fhir/Patient/a%2Fb"),
    ("an id with dots alone", "GET", "fhir/Patient/..%2F..%2Fetc"),
    (
        "an id too long",
        "GET",
        "fhir/Patient/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ),
    ("an id that is not UTF-8", "GET", "fhir/Patient/%FF"),
    ("a type that is not UTF-8", "GET", "fhir/%C3%28"),
    (
        "a version that is no number",
        "GET",
        "fhir/Patient/a/_history/x",
    ),
    ("version 0", "GET", "fhir/Patient/a/_history/0"),
    (
        "version 4294967296",
        "GET",
        "fhir/Patient/a/_history/4294967296",
    ),
    (
        "an operation that is not offered",
        "POST",
        "fhir/Patient/a/$nothing",
    ),
    ("an operation on the type", "GET", "fhir/Patient/$export/x"),
    ("a longer address", "GET", "fhir/Patient/a/b/c/d/e"),
    ("a trailing slash", "GET", "fhir/Patient/"),
    ("a patch of no type", "PATCH", "fhir/Patient/a"),
    (
        "a search of a type that is none",
        "GET",
        "fhir?_type=Nonsense",
    ),
    ("a PUT on the base", "PUT", "fhir"),
    ("a POST on an instance", "POST", "fhir/Patient/a"),
    ("a DELETE on the metadata", "DELETE", "fhir/metadata"),
    ("TRACE", "TRACE", "fhir/Patient/a"),
    ("a made-up method", "FROBNICATE", "fhir/Patient/a"),
    (
        "_since that is no instant",
        "GET",
        "fhir/_history?_since=yesterday",
    ),
    (
        "_at that is no time",
        "GET",
        "fhir/Patient/a/_history?_at=2026-02-30",
    ),
    ("a log that is none", "GET", "ledger/nonsense/checkpoint"),
    (
        "a tile that is none",
        "GET",
        "ledger/changes/tile/0/../../etc",
    ),
    ("a tile beyond the end", "GET", "ledger/changes/tile/0/999"),
    ("a proof of nothing", "GET", "ledger/changes/proof"),
    (
        "a proof beyond the end",
        "GET",
        "ledger/changes/proof?index=18446744073709551615",
    ),
    (
        "a proof of a negative entry",
        "GET",
        "ledger/changes/proof?index=-1",
    ),
    (
        "consistency backwards",
        "GET",
        "ledger/changes/consistency?from=2&to=1",
    ),
    (
        "consistency beyond the end",
        "GET",
        "ledger/changes/consistency?from=1&to=999999",
    ),
    (
        "a ledger address that is none",
        "GET",
        "ledger/changes/nonsense",
    ),
    ("an API address that is none", "GET", "api/v1/nonsense"),
    ("an API version that is none", "GET", "api/v2/me"),
];

#[tokio::test]
async fn addresses_that_mean_nothing_are_refused() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let patient = json!({ "resourceType": "Patient", "id": "a" });
    server
        .send(
            Call::put(format!("{BASE}/Patient/a"))
                .bearer(&token)
                .json(&patient),
        )
        .await
        .expect(201);
    let mut transcript = Transcript::default();
    for (heading, method, address) in ADDRESSES {
        let answer = server
            .send(Call::new(method, format!("/t/rosewood/{address}")).bearer(&token))
            .await;
        assert!(
            is_typed(&answer),
            "{heading}: {} {:?} {}",
            answer.status,
            answer.headers,
            answer.text()
        );
        if answer.status == 405 {
            assert!(
                !answer.header("allow").is_empty(),
                "{heading} says what is offered"
            );
        }
        transcript.line(heading, &answer);
    }
    insta::assert_snapshot!(transcript.finish());
}

/// Requests with one thing wrong: heading, method, address, header, body.
type Bad = (
    &'static str,
    &'static str,
    &'static str,
    (&'static str, &'static [u8]),
    &'static str,
);

const NEW: &str = r#"{"resourceType":"Patient"}"#;
const SAME: &str = r#"{"resourceType":"Patient","id":"a"}"#;
const JSON: (&str, &[u8]) = ("content-type", b"application/fhir+json");
const FORM: (&str, &[u8]) = ("content-type", b"application/x-www-form-urlencoded");

const REQUESTS: &[Bad] = &[
    (
        "an update under another id",
        "PUT",
        "fhir/Patient/b",
        JSON,
        SAME,
    ),
    (
        "an update without an id",
        "PUT",
        "fhir/Patient/b",
        JSON,
        NEW,
    ),
    (
        "If-Match that is no version",
        "PUT",
        "fhir/Patient/a",
        ("if-match", b"yesterday"),
        SAME,
    ),
    (
        "If-Match that is no text",
        "PUT",
        "fhir/Patient/a",
        ("if-match", b"\xff"),
        SAME,
    ),
    (
        "If-None-Match on an update",
        "PUT",
        "fhir/Patient/a",
        ("if-none-match", b"*"),
        SAME,
    ),
    (
        "If-None-Exist that is no query",
        "POST",
        "fhir/Patient",
        ("if-none-exist", b"%zz"),
        NEW,
    ),
    (
        "If-None-Exist that is no text",
        "POST",
        "fhir/Patient",
        ("if-none-exist", b"\xff"),
        NEW,
    ),
    (
        "Accept that is no text",
        "GET",
        "fhir/Patient/a",
        ("accept", b"\xff"),
        "",
    ),
    (
        "Content-Type that is no text",
        "POST",
        "fhir/Patient",
        ("content-type", b"\xff"),
        NEW,
    ),
    (
        "an unknown encoding",
        "POST",
        "fhir/Patient",
        ("content-encoding", b"br"),
        NEW,
    ),
    (
        "gzip that is none",
        "POST",
        "fhir/Patient",
        ("content-encoding", b"gzip"),
        NEW,
    ),
    (
        "a length that is too great",
        "POST",
        "fhir/Patient",
        ("content-length", b"99999999999"),
        NEW,
    ),
    (
        "an idempotency key that is no text",
        "POST",
        "fhir/Patient",
        ("idempotency-key", b"\xff"),
        NEW,
    ),
    (
        "a search form that is JSON",
        "POST",
        "fhir/Patient/_search",
        JSON,
        NEW,
    ),
    (
        "a search form with a broken escape",
        "POST",
        "fhir/Patient/_search",
        FORM,
        "family=%",
    ),
    (
        "a search form that is not UTF-8",
        "POST",
        "fhir/Patient/_search",
        FORM,
        "family=%FF",
    ),
    ("a token without a grant", "POST", "token", FORM, ""),
    (
        "a token with a broken form",
        "POST",
        "token",
        FORM,
        "grant_type=%",
    ),
    (
        "a token of another kind",
        "POST",
        "token",
        FORM,
        "grant_type=password&username=admin&password=x",
    ),
    (
        "a token without an assertion",
        "POST",
        "token",
        FORM,
        "grant_type=client_credentials&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    ),
    (
        "a token for nonsense",
        "POST",
        "token",
        FORM,
        "grant_type=client_credentials&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=a.b.c",
    ),
];

#[tokio::test]
async fn requests_with_one_thing_wrong_are_refused() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let patient = json!({ "resourceType": "Patient", "id": "a" });
    server
        .send(
            Call::put(format!("{BASE}/Patient/a"))
                .bearer(&token)
                .json(&patient),
        )
        .await
        .expect(201);
    let mut transcript = Transcript::default();
    for (heading, method, address, (name, value), body) in REQUESTS {
        let call = Call::new(method, format!("/t/rosewood/{address}"))
            .header(name, *value)
            .bytes(*body);
        let answer = server.send(call.bearer(&token)).await;
        assert!(
            is_typed(&answer),
            "{heading}: {} {:?} {}",
            answer.status,
            answer.headers,
            answer.text()
        );
        transcript.line(heading, &answer);
    }
    insta::assert_snapshot!(transcript.finish());
}

#[tokio::test]
async fn credentials_that_are_none_are_refused_alike() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let basic = format!("Basic {token}");
    let edited = format!("{}x", &token[..token.len() - 1]);
    let table: Vec<(&str, Option<Vec<u8>>)> = vec![
        ("none", None),
        ("empty", Some(Vec::new())),
        ("no scheme", Some(token.clone().into_bytes())),
        ("another scheme", Some(basic.into_bytes())),
        (
            "an edited token",
            Some(format!("Bearer {edited}").into_bytes()),
        ),
        ("no token", Some(b"Bearer ".to_vec())),
        (
            "a long token",
            Some(format!("Bearer {}", "x".repeat(10_000)).into_bytes()),
        ),
        (
            "bytes",
            Some(vec![b'B', b'e', b'a', b'r', b'e', b'r', b' ', 0xff]),
        ),
    ];
    let mut texts = std::collections::BTreeSet::new();
    for (heading, credential) in table {
        let mut call = Call::get(format!("{BASE}/Patient/a"));
        if let Some(credential) = credential {
            call = call.header("authorization", credential);
        }
        let answer = server.send(call).await;
        assert_eq!(answer.status, 401, "{heading}");
        assert!(
            answer.header("www-authenticate").starts_with("Bearer"),
            "{heading}"
        );
        texts.insert(answer.text());
    }
    assert_eq!(texts.len(), 1, "{texts:#?}");
    let lower =
        Call::get(format!("{BASE}/Patient/a")).header("authorization", format!("bearer {token}"));
    server.send(lower).await.expect(404);
}

#[tokio::test]
async fn cursors_of_others_and_edited_ones_are_refused() {
    let server = TestServer::start().await;
    let (ours, theirs) = (
        server.program(ROSEWOOD).await,
        server.program(LAKESIDE).await,
    );
    for (tenant, token) in [(ROSEWOOD, &ours), (LAKESIDE, &theirs)] {
        for number in 0..3 {
            let patient = json!({ "resourceType": "Patient", "id": format!("p{number}") });
            server
                .send(
                    Call::put(format!("/t/{tenant}/fhir/Patient/p{number}"))
                        .bearer(token)
                        .json(&patient),
                )
                .await
                .expect(201);
        }
    }
    for list in [
        "Patient?_count=1",
        "Patient/_history?_count=1",
        "_history?_count=1",
    ] {
        let page = server
            .send(Call::get(format!("{BASE}/{list}")).bearer(&ours))
            .await
            .expect(200);
        let next = next_link(&page.json()).unwrap();
        server
            .send(Call::get(&next).bearer(&ours))
            .await
            .expect(200);
        let elsewhere = next.replace("/t/rosewood/", "/t/lakeside/");
        server
            .send(Call::get(elsewhere).bearer(&theirs))
            .await
            .expect(400);
        server
            .send(Call::get(next.replace("_count=1", "_count=2")).bearer(&ours))
            .await
            .expect(400);
        let (head, cursor) = next.split_once("_cursor=").unwrap();
        let edited: String = cursor.chars().rev().collect();
        let edited = server
            .send(Call::get(format!("{head}_cursor={edited}")).bearer(&ours))
            .await
            .expect(400);
        assert!(is_typed(&edited));
        server
            .send(Call::get(format!("{head}_cursor={cursor}&_cursor=x")).bearer(&ours))
            .await
            .expect(400);
    }
}
