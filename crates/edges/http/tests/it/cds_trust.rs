//! Clients of hooks over HTTP: signed tokens and what is refused of them, registration, pages of other
//! origins, and the caller's own record as a server that is asked.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connect::{Client, ClientSettings, EgressPolicy, Limits, SystemResolver};
use identity::Role;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use kernel::Clock as _;
use serde_json::{Value, json};
use testkit::receiver::{Receiver, Reply};

use crate::cds_hooks::{bundle, order, serving, signing};
use crate::server::{Answer, Call, PUBLIC_URL, ROSEWOOD, TestServer};

type Change = fn(&mut Value);
type OfHeader = fn(&mut Header);

/// Keys for these tests alone.
const ES384: &[u8] = include_bytes!("keys/es384.der");
const RS384: &[u8] = include_bytes!("keys/rs384.der");
const X: &str = "OLK2nE_3oVWBWHTqsIKPEhK231xHBwfLSR3Az5U4sLaDzRC3e5DPj6f_9EpWFM9b";
const Y: &str = "AjYpzqHrmC_2jCh8oGgUkdPg2gTl822F6GxyHUfNsvvWJc0yqP8Q_3v7CNuDh4xl";
const N: &str = "hAie217V_KpJ616XLos_rVM1aO0mG4JAf9NIM88e9tgVavP0r7Sc2Ax7s16YdyFjI6NXXMK-1z5dOmjcBR8OFgTSqCQSCko8U4LghSGZhhKHU478mwyaIlXpXPhbv63hHWIqQSnWFig7yDZFKam8t6TpAve-cgtB9rUp_ZbaZg4GYggADeS8SrbIdYWadAJD7eXRqudgFuVNKnhNspt3bp1V96L5QLpqUEbwtO6guLCtfvHw7E87qhcJax0iOnMLMZ1f80B0zyyZi7JODvdmy89sjWSfsTwabjskXxH6hguj2ibM2NoxNCp7BoE7IJiYtDNLtvHonKTAHlR3zLDAWQ";
const ISSUER: &str = "https://ehr.example.org";
const SIGN: &str = "/t/rosewood/cds-services/medication-order-sign";

fn elliptic() -> Value {
    json!({ "kid": "e", "alg": "ES384", "kty": "EC", "crv": "P-384", "x": X, "y": Y })
}

fn rsa() -> Value {
    json!({ "kid": "r", "alg": "RS384", "kty": "RSA", "n": N, "e": "AQAB" })
}

fn registration() -> Value {
    json!({ "name": "North EHR", "issuer": ISSUER, "keys": [elliptic(), rsa()],
        "services": ["medication-order-sign"], "origins": ["https://pages.example.org"] })
}

struct Ehr {
    server: TestServer,
    administrator: String,
    client: Value,
}

impl Ehr {
    async fn of(registration: &Value) -> Self {
        let (server, _) = serving().await;
        Self::at(server, registration).await
    }

    async fn at(server: TestServer, registration: &Value) -> Self {
        let administrator = server.person(ROSEWOOD, Role::Administrator).await;
        let post = Call::post("/t/rosewood/api/v1/cds-clients").bearer(&administrator);
        let client = server
            .send(post.json(registration))
            .await
            .expect(201)
            .json();
        Self {
            server,
            administrator,
            client,
        }
    }

    fn claims(&self, jti: &str) -> Value {
        let now = self.server.clock.now().as_millis() / 1000;
        json!({ "iss": ISSUER, "aud": format!("{PUBLIC_URL}{SIGN}"), "iat": now, "exp": now + 300, "jti": jti })
    }

    async fn call(&self, token: &str) -> Answer {
        let body = signing(&[order("d", "Ibuprofen 400mg tablet")]);
        self.server
            .send(Call::post(SIGN).bearer(token).json(&body))
            .await
    }

    async fn change(&self, registration: &Value) -> Answer {
        let id = self.client["id"].as_str().unwrap();
        let put = Call::put(format!("/t/rosewood/api/v1/cds-clients/{id}"));
        self.server
            .send(put.bearer(&self.administrator).json(registration))
            .await
    }
}

fn header(kid: &str) -> Header {
    let mut header = Header::new(if kid == "r" {
        Algorithm::RS384
    } else {
        Algorithm::ES384
    });
    header.kid = Some(kid.to_owned());
    header
}

fn signed(header: &Header, claims: &Value) -> String {
    let key = match header.alg {
        Algorithm::RS384 => EncodingKey::from_rsa_der(RS384),
        Algorithm::HS384 => EncodingKey::from_secret(N.as_bytes()),
        _ => EncodingKey::from_ec_der(ES384),
    };
    encode(header, claims, &key).unwrap()
}

#[tokio::test]
async fn a_signed_token_counts_once_for_its_address() {
    let ehr = Ehr::of(&registration()).await;
    assert_eq!(ehr.client["keys"], json!(["e", "r"]));
    for kid in ["e", "r"] {
        let token = signed(&header(kid), &ehr.claims(kid));
        let found = ehr.call(&token).await.expect(200).json();
        assert_eq!(found["cards"][0]["indicator"], "critical");
        ehr.call(&token).await.expect(401);
    }
    // One of several audiences.
    let mut claims = ehr.claims("several");
    claims["aud"] = json!(["https://other.example.org", claims["aud"]]);
    ehr.call(&signed(&header("e"), &claims)).await.expect(200);
    // Only the services of its registration.
    let body = signing(&[order("d", "Ibuprofen 400mg tablet")]);
    let other = "/t/rosewood/cds-services/medication-review";
    let mut claims = ehr.claims("other");
    claims["aud"] = json!(format!("{PUBLIC_URL}{other}"));
    let call = Call::post(other).bearer(&signed(&header("e"), &claims));
    ehr.server.send(call.json(&body)).await.expect(404);
    // Feedback has an address of its own.
    let told = format!("{SIGN}/feedback");
    let token = signed(&header("e"), &ehr.claims("told"));
    let nothing = json!({ "feedback": [] });
    let call = Call::post(&told).bearer(&token);
    ehr.server.send(call.json(&nothing)).await.expect(401);
    let mut claims = ehr.claims("told-2");
    claims["aud"] = json!(format!("{PUBLIC_URL}{told}"));
    let call = Call::post(&told).bearer(&signed(&header("e"), &claims));
    ehr.server.send(call.json(&nothing)).await.expect(400);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one conversation")]
async fn a_token_that_is_not_right_is_refused() {
    let ehr = Ehr::of(&registration()).await;
    let cases: [(&str, Change); 12] = [
        ("issuer", |c| c["iss"] = json!("https://other.example.org")),
        ("no issuer", |c| {
            c.as_object_mut().unwrap().remove("iss");
        }),
        ("base", |c| {
            c["aud"] = json!(format!("{PUBLIC_URL}/t/rosewood/cds-services"));
        }),
        ("tenant", |c| {
            c["aud"] = json!(format!(
                "{PUBLIC_URL}{}",
                SIGN.replace("rosewood", "lakeside")
            ));
        }),
        ("slash", |c| {
            c["aud"] = json!(format!("{PUBLIC_URL}{SIGN}/"));
        }),
        ("no audience", |c| {
            c.as_object_mut().unwrap().remove("aud");
        }),
        ("expired", |c| {
            c["exp"] = json!(c["iat"].as_i64().unwrap() - 31);
        }),
        ("too long", |c| {
            c["exp"] = json!(c["iat"].as_i64().unwrap() + 3600);
        }),
        ("no expiry", |c| {
            c.as_object_mut().unwrap().remove("exp");
        }),
        ("early", |c| {
            c["iat"] = json!(c["iat"].as_i64().unwrap() + 120);
        }),
        ("no iat", |c| {
            c.as_object_mut().unwrap().remove("iat");
        }),
        ("no jti", |c| {
            c.as_object_mut().unwrap().remove("jti");
        }),
    ];
    for (at, (name, change)) in cases.into_iter().enumerate() {
        let mut claims = ehr.claims(&format!("j{at}"));
        change(&mut claims);
        let answer = ehr.call(&signed(&header("e"), &claims)).await;
        assert_eq!(answer.status.as_u16(), 401, "{name}: {}", answer.text());
    }
    let headers: [(&str, OfHeader); 6] = [
        ("kid", |h| h.kid = Some("x".to_owned())),
        ("no kid", |h| h.kid = None),
        ("typ", |h| h.typ = Some("at+jwt".to_owned())),
        ("no typ", |h| h.typ = None),
        ("symmetric", |h| h.alg = Algorithm::HS384),
        ("jku", |h| {
            h.jku = Some("https://ehr.example.org/keys".to_owned());
        }),
    ];
    for (name, change) in headers {
        let mut header = header("e");
        change(&mut header);
        let answer = ehr.call(&signed(&header, &ehr.claims(name))).await;
        assert_eq!(answer.status.as_u16(), 401, "{name}: {}", answer.text());
    }
    let none = |header: &str, claims: &Value| {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.", part(header), part(&claims.to_string()))
    };
    let unsigned = none(
        r#"{"alg":"none","typ":"JWT","kid":"e"}"#,
        &ehr.claims("none"),
    );
    ehr.call(&unsigned).await.expect(401);
    let good = signed(&header("e"), &ehr.claims("cut"));
    ehr.call(&good[..good.len() - 4]).await.expect(401);
    ehr.call("a.b.c").await.expect(401);
    ehr.call(&format!("{good}{}", "x".repeat(9000)))
        .await
        .expect(401);
    // None of them used up the name of a good one.
    ehr.call(&good).await.expect(200);
    let auditor = ehr.server.person(ROSEWOOD, Role::Auditor).await;
    let entries = "/t/rosewood/api/v1/audit/entries?log=access&outcome=failed";
    let trail = ehr
        .server
        .send(Call::get(entries).bearer(&auditor))
        .await
        .expect(200)
        .text();
    assert!(trail.contains("a token for hooks was refused"), "{trail}");
}

#[tokio::test]
async fn a_registration_is_held_to_and_can_be_taken_back() {
    let ehr = Ehr::of(&registration()).await;
    let mut other = registration();
    other["tenant"] = json!("north");
    ehr.change(&other).await.expect(200);
    ehr.call(&signed(&header("e"), &ehr.claims("1")))
        .await
        .expect(401);
    let mut claims = ehr.claims("2");
    claims["tenant"] = json!("north");
    ehr.call(&signed(&header("e"), &claims)).await.expect(200);
    other["keys"] = json!([rsa()]);
    ehr.change(&other).await.expect(200);
    claims["jti"] = json!("3");
    ehr.call(&signed(&header("e"), &claims)).await.expect(401);
    claims["jti"] = json!("4");
    ehr.call(&signed(&header("r"), &claims)).await.expect(200);
    let id = ehr.client["id"].as_str().unwrap();
    let state = |word: &str| {
        let post = Call::post(format!("/t/rosewood/api/v1/cds-clients/{id}/{word}"));
        ehr.server.send(post.bearer(&ehr.administrator))
    };
    state("disable").await.expect(200);
    claims["jti"] = json!("5");
    ehr.call(&signed(&header("r"), &claims)).await.expect(401);
    state("enable").await.expect(200);
    claims["jti"] = json!("6");
    ehr.call(&signed(&header("r"), &claims)).await.expect(200);
    for (name, change) in [
        ("issuer", json!({ "issuer": "" })),
        ("keys", json!({ "keys": [] })),
        ("services", json!({ "services": ["other"] })),
        ("origins", json!({ "origins": ["*"] })),
        (
            "keysUrl",
            json!({ "keysUrl": "https://ehr.example.org/keys" }),
        ),
        (
            "branch",
            json!({ "branch": "00000000-0000-4000-8000-000000000000", "record": true }),
        ),
        ("name", json!({ "name": " " })),
    ] {
        let mut bad = registration();
        for (member, value) in change.as_object().unwrap() {
            bad[member] = value.clone();
        }
        let answer = ehr.change(&bad).await;
        assert_eq!(answer.status.as_u16(), 422, "{name}: {}", answer.text());
    }
    let post = Call::post("/t/rosewood/api/v1/cds-clients").bearer(&ehr.administrator);
    ehr.server
        .send(post.json(&registration()))
        .await
        .expect(409);
}

#[tokio::test]
async fn a_client_reads_this_record_only_where_it_is_registered_to() {
    let ehr = Ehr::of(&registration()).await;
    let program = ehr.server.program_with(ROSEWOOD, "filler", &[]).await;
    let mut taken = order("w", "Warfarin 1mg tablet");
    taken["status"] = json!("active");
    for resource in [
        json!({ "resourceType": "Patient", "id": "p", "birthDate": "1950-01-01" }),
        taken,
    ] {
        ehr.server.put(ROSEWOOD, &program, &resource).await;
    }
    let mut body = signing(&[order("d", "Ibuprofen 400mg tablet")]);
    body.as_object_mut().unwrap().remove("prefetch");
    body["fhirServer"] = json!(format!("{PUBLIC_URL}/t/rosewood/fhir"));
    let call = async |jti: &str| {
        let token = signed(&header("e"), &ehr.claims(jti));
        ehr.server
            .send(Call::post(SIGN).bearer(&token).json(&body))
            .await
    };
    call("1").await.expect(412);
    let mut reading = registration();
    reading["record"] = json!(true);
    ehr.change(&reading).await.expect(200);
    let found = call("2").await.expect(200).json();
    assert!(
        found["cards"][0]["summary"]
            .as_str()
            .unwrap()
            .contains("Warfarin")
    );
    let (branch, _) = ehr.server.branch(ROSEWOOD, "other").await;
    reading["branch"] = json!(branch.to_string());
    ehr.change(&reading).await.expect(200);
    call("3").await.expect(404);
}

#[tokio::test]
async fn pages_of_registered_origins_may_ask() {
    let ehr = Ehr::of(&registration()).await;
    let asked = |method: &str, path: &str, origin: &str| {
        ehr.server
            .send(Call::new(method, path).header("origin", origin))
    };
    let own = "https://pages.example.org";
    for path in [
        "/t/rosewood/cds-services",
        SIGN,
        &format!("{SIGN}/feedback"),
    ] {
        let answer = asked("OPTIONS", path, own).await.expect(204);
        assert_eq!(answer.header("access-control-allow-origin"), own);
        assert_eq!(
            answer.header("access-control-allow-headers"),
            "authorization, content-type"
        );
        for other in [
            "https://other.example.org",
            "null",
            "https://pages.example.org.evil.test",
        ] {
            let answer = asked("OPTIONS", path, other).await.expect(403);
            assert_eq!(answer.header("access-control-allow-origin"), "");
        }
    }
    let answer = asked("GET", "/t/rosewood/cds-services", own)
        .await
        .expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), own);
    assert!(
        answer.header("vary").contains("Origin"),
        "{:?}",
        answer.headers
    );
    // A page can read why it was refused.
    let answer = asked("POST", SIGN, own).await.expect(401);
    assert_eq!(answer.header("access-control-allow-origin"), own);
    let answer = asked(
        "GET",
        "/t/rosewood/cds-services",
        "https://other.example.org",
    )
    .await
    .expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

/// A server that may call this address.
async fn reaching(receiver: &Receiver) -> (TestServer, String) {
    let (server, program) = serving().await;
    let address = format!("http://127.0.0.1:{}", receiver.address().port());
    let settings = ClientSettings {
        policy: EgressPolicy::parse([format!("{address} private").as_str()]).unwrap(),
        limits: Limits::default(),
        root_certificates: None,
        mail: None,
    };
    let client = Client::new(settings, Arc::new(SystemResolver), server.clock.clone());
    let _ = server.app.clone().reaching_out(Arc::new(client.unwrap()));
    (server, program)
}

fn fhir(body: &Value) -> Reply {
    let mut reply = Reply::status(200).with("content-type", "application/fhir+json");
    reply.body = body.to_string().into_bytes();
    reply
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_sent_is_fetched_with_the_token() {
    let mut taken = order("w", "x");
    taken["status"] = json!("active");
    taken
        .as_object_mut()
        .unwrap()
        .remove("medicationCodeableConcept");
    taken["medicationReference"] = json!({ "reference": "Medication/m" });
    let record = Receiver::start(move |request, _| {
        assert_eq!(
            request.header("authorization"),
            Some("Bearer some-opaque-token")
        );
        let path = request.path.strip_prefix("/fhir/").unwrap();
        match path.split(['?', '/']).next().unwrap() {
            "MedicationRequest" => fhir(&bundle(std::slice::from_ref(&taken))),
            "Medication" => fhir(
                &json!({ "resourceType": "Medication", "id": "m", "code": { "text": "Warfarin 1mg tablet" } }),
            ),
            "Patient" => {
                fhir(&json!({ "resourceType": "Patient", "id": "p", "birthDate": "1950-01-01" }))
            }
            "AllergyIntolerance" => Reply::status(403),
            _ => fhir(&bundle(&[])),
        }
    });
    let (server, program) = reaching(&record).await;
    let mut body = signing(&[order("d", "Ibuprofen 400mg tablet")]);
    body.as_object_mut().unwrap().remove("prefetch");
    body["fhirServer"] = json!(format!("http://127.0.0.1:{}/fhir", record.address().port()));
    body["fhirAuthorization"] = json!({ "access_token": "some-opaque-token", "token_type": "Bearer",
        "expires_in": 300, "scope": "patient/*.rs", "subject": "theriac" });
    let call = Call::post(SIGN).bearer(&program).json(&body);
    let found = server.send(call).await.expect(200).json();
    let cards = found["cards"].as_array().unwrap();
    let summary = cards[0]["summary"].as_str().unwrap();
    assert!(
        summary.contains("Warfarin 1mg tablet with Ibuprofen"),
        "{summary}"
    );
    let text = cards.last().unwrap()["detail"].as_str().unwrap();
    assert!(
        text.contains("allergies: the caller's record answered 403"),
        "{text}"
    );
    let asked: Vec<String> = record.seen().into_iter().map(|own| own.path).collect();
    assert!(asked.contains(&"/fhir/Patient/p".to_owned()), "{asked:?}");
    assert!(
        asked
            .iter()
            .any(|own| own.starts_with("/fhir/Observation?patient=p&code=http")),
        "{asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_fetched_from_the_registered_address_alone() {
    let set = json!({ "keys": [{ "kid": "odd" }, elliptic()] });
    let keys = Receiver::start(move |_, _| fhir(&set));
    let (server, _) = reaching(&keys).await;
    let url = format!("http://127.0.0.1:{}/keys", keys.address().port());
    let mut registration = registration();
    registration["keys"] = json!([]);
    registration["keysUrl"] = json!(url);
    let ehr = Ehr::at(server, &registration).await;
    let mut named = header("e");
    named.jku = Some(url);
    ehr.call(&signed(&named, &ehr.claims("1")))
        .await
        .expect(200);
    ehr.call(&signed(&header("e"), &ehr.claims("2")))
        .await
        .expect(200);
    assert_eq!(keys.seen().len(), 1, "keys are believed for a while");
    // Unknown keys have us ask, but not without end.
    for jti in ["3", "4", "5"] {
        ehr.call(&signed(&header("r"), &ehr.claims(jti)))
            .await
            .expect(401);
    }
    assert_eq!(keys.seen().len(), 1);
    ehr.server.clock.advance(31);
    ehr.call(&signed(&header("r"), &ehr.claims("6")))
        .await
        .expect(401);
    assert_eq!(keys.seen().len(), 2);
}
