//! Search by GET and POST: parameters, paging, totals, summaries, lenient handling; and the
//! CapabilityStatement that promises them.

use serde_json::{Value, json};

use crate::conversation::next_link;
use crate::server::{Answer, Call, ROSEWOOD, TestServer, Transcript};

const BASE: &str = "/t/rosewood/fhir";

async fn populated() -> (TestServer, String) {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    for (number, (family, born)) in [
        ("Archer", "1941-03-05"),
        ("Baker", "1950-01-01"),
        ("Cook", "1962-12-31"),
        ("Archer", "1970-06-01"),
        ("Núñez", "1983"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("p{number}");
        let patient = json!({
            "resourceType": "Patient", "id": id, "active": number % 2 == 0,
            "identifier": [{ "system": "urn:mrn", "value": format!("{number}") }],
            "name": [{ "family": family, "given": ["Ann"] }],
            "birthDate": born,
            "text": { "status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">narrative</div>" },
        });
        server
            .send(
                Call::put(format!("{BASE}/Patient/{id}"))
                    .bearer(&token)
                    .json(&patient),
            )
            .await
            .expect(201);
        let observation = json!({
            "resourceType": "Observation", "id": format!("o{number}"), "status": "final",
            "code": { "coding": [{ "system": "http://loinc.org", "code": "8867-4" }], "text": "pulse" },
            "subject": { "reference": format!("Patient/{id}") },
            "effectiveDateTime": format!("2026-01-0{}T10:00:00Z", number + 1),
            "valueQuantity": { "value": 60 + number, "unit": "beats/min", "system": "http://unitsofmeasure.org", "code": "/min" },
        });
        server
            .send(
                Call::put(format!("{BASE}/Observation/o{number}"))
                    .bearer(&token)
                    .json(&observation),
            )
            .await
            .expect(201);
    }
    (server, token)
}

fn ids(answer: &Answer) -> String {
    let page = answer.json();
    let entries = page["entry"].as_array().cloned().unwrap_or_default();
    let ids: Vec<&str> = entries
        .iter()
        .filter_map(|entry| entry["resource"]["id"].as_str())
        .collect();
    ids.join(" ")
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]
async fn parameters_find_what_they_say() {
    let (server, token) = populated().await;
    let table = [
        ("Patient", "p4 p3 p2 p1 p0"),
        ("Patient?family=archer", "p3 p0"),
        ("Patient?family=nunez", "p4"),
        ("Patient?family:exact=Archer", "p3 p0"),
        ("Patient?family:exact=archer", ""),
        ("Patient?family:contains=che", "p3 p0"),
        ("Patient?family=archer,baker", "p3 p1 p0"),
        ("Patient?family=archer&birthdate=gt1960", "p3"),
        ("Patient?birthdate=1983", "p4"),
        ("Patient?birthdate=le1950-01-01", "p1 p0"),
        ("Patient?identifier=urn:mrn%7C2", "p2"),
        ("Patient?identifier=2", "p2"),
        ("Patient?identifier=urn:mrn%7C", "p4 p3 p2 p1 p0"),
        ("Patient?identifier:not=urn:mrn%7C2", "p4 p3 p1 p0"),
        ("Patient?active=true", "p4 p2 p0"),
        ("Patient?gender:missing=true&_id=p1", "p1"),
        ("Patient?birthdate:missing=true", ""),
        ("Patient?_id=p1,p3", "p3 p1"),
        ("Patient?_lastUpdated=gt2026-03-05T08:00:08Z", "p4"),
        ("Patient?_sort=birthdate", "p0 p1 p2 p3 p4"),
        ("Patient?_sort=-family", "p4 p2 p1 p3 p0"),
        ("Patient?_sort=_id", "p0 p1 p2 p3 p4"),
        ("Patient?_sort=active", "p1 p3 p0 p2 p4"),
        ("Patient?_sort=-identifier", "p4 p3 p2 p1 p0"),
        ("Observation?_sort=subject", "o0 o1 o2 o3 o4"),
        ("Observation?_sort=-subject&_count=2", "o4 o3"),
        ("Patient?_sort=_lastUpdated&_count=2", "p0 p1"),
        ("Patient?_count=0", ""),
        ("Observation?code=8867-4&patient=p1", "o1"),
        ("Observation?subject=Patient/p1,Patient/p2", "o2 o1"),
        ("Observation?subject:Patient=p3", "o3"),
        (
            "Observation?patient=https://records.example.org/t/rosewood/fhir/Patient/p4",
            "o4",
        ),
        ("Observation?value-quantity=gt62", "o4 o3"),
        (
            "Observation?value-quantity=61%7Chttp://unitsofmeasure.org%7C/min",
            "o1",
        ),
        ("Observation?date=ge2026-01-04", "o4 o3"),
        ("Observation?date=2026-01", "o4 o3 o2 o1 o0"),
        ("Observation?_sort=-date&_count=2", "o4 o3"),
    ];
    let mut wrong = Vec::new();
    for (query, expected) in table {
        let answer = server
            .send(Call::get(format!("{BASE}/{query}")).bearer(&token))
            .await;
        if answer.status != 200
            || sorted_if_unordered(query, &ids(&answer)) != sorted_if_unordered(query, expected)
        {
            wrong.push(format!(
                "{query}: {} [{}] instead of [{expected}] {}",
                answer.status,
                ids(&answer),
                answer.text()
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

// Equal sort keys have no order that a client may rely on.
fn sorted_if_unordered(query: &str, ids: &str) -> String {
    if !query.contains("_sort=-family") {
        return ids.to_owned();
    }
    let mut ids: Vec<&str> = ids.split(' ').collect();
    ids.sort_unstable();
    ids.join(" ")
}

#[tokio::test]
async fn answers_look_as_documented() {
    let (server, token) = populated().await;
    let mut transcript = Transcript::default();
    for query in [
        "Patient?family=archer&_total=accurate&_count=1",
        "Patient?family=nobody",
        "Patient?_summary=count",
        "Patient?_id=p0&_summary=true",
        "Patient?_id=p0&_summary=text",
        "Patient?_id=p0&_summary=data",
        "Patient?_id=p0&_elements=birthDate,active",
    ] {
        transcript.note(
            query,
            &server
                .send(Call::get(format!("{BASE}/{query}")).bearer(&token))
                .await,
        );
    }
    let lenient = Call::get(format!("{BASE}/Patient?_id=p0&nonsense=1&_elements=active"))
        .header("prefer", "handling=lenient");
    transcript.note("lenient", &server.send(lenient.bearer(&token)).await);
    let form = Call::post(format!("{BASE}/Patient/_search?_elements=birthDate"))
        .form("_id=p2&birthdate=1962-12-31\r\n");
    transcript.note("POST search", &server.send(form.bearer(&token)).await);
    insta::assert_snapshot!(transcript.finish());
}

#[tokio::test]
async fn what_cannot_be_searched_is_said() {
    let (server, token) = populated().await;
    let mut transcript = Transcript::default();
    for query in [
        "Patient?nonsense=1",
        "Patient?birthdate=2026-02-30",
        "Patient?birthdate=gt",
        "Patient?family:nonsense=x",
        "Patient?_count=ten",
        "Patient?_count=-1",
        "Patient?_count=99999999999999999999",
        "Patient?_total=many",
        "Patient?_summary=some",
        "Observation?_sort=code-value-quantity",
        "Patient?_sort=nonsense",
        "Patient?_include=Patient:organization",
        "Patient?general-practitioner.name=x",
        "Patient?_has:Observation:patient:code=1",
        "Patient?_id=not%20an%20id",
        "Patient?family=%FF",
        "Patient?family=%4",
        "Patient?_cursor=AAAA",
        "Patient?_lastUpdated=yesterday",
        "Nonsense?a=b",
        "patient",
    ] {
        transcript.line(
            query,
            &server
                .send(Call::get(format!("{BASE}/{query}")).bearer(&token))
                .await,
        );
    }
    let many = format!("{BASE}/Patient?_id={}", vec!["x"; 501].join(","));
    transcript.line(
        "501 alternatives",
        &server.send(Call::get(many).bearer(&token)).await,
    );
    let many = format!("{BASE}/Patient?{}", vec!["active=true"; 51].join("&"));
    transcript.line(
        "51 parameters",
        &server.send(Call::get(many).bearer(&token)).await,
    );
    insta::assert_snapshot!(transcript.finish());
}

#[tokio::test]
async fn absurd_counts_are_cut() {
    let (server, token) = populated().await;
    for count in ["1001", "999999999999"] {
        let answer = server
            .send(Call::get(format!("{BASE}/Patient?_count={count}")).bearer(&token))
            .await
            .expect(200);
        assert_eq!(ids(&answer), "p4 p3 p2 p1 p0");
    }
}

#[tokio::test]
async fn pages_are_walked_while_the_record_grows() {
    let (server, token) = populated().await;
    for sort in [
        "",
        "&_sort=birthdate",
        "&_sort=-family",
        "&_sort=_id",
        "&_sort=-_lastUpdated",
    ] {
        let mut address = format!("{BASE}/Patient?_count=2&active=true,false{sort}");
        let mut seen: Vec<String> = Vec::new();
        for pages in 0.. {
            assert!(pages < 10, "the walk does not end");
            let answer = server
                .send(Call::get(&address).bearer(&token))
                .await
                .expect(200);
            seen.extend(ids(&answer).split(' ').map(str::to_owned));
            // A resource of another kind in between must not move the pages.
            let basic = json!({ "resourceType": "Basic", "code": { "text": "x" } });
            server
                .send(
                    Call::post(format!("{BASE}/Basic"))
                        .bearer(&token)
                        .json(&basic),
                )
                .await
                .expect(201);
            match next_link(&answer.json()) {
                Some(next) => address = next,
                None => break,
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, ["p0", "p1", "p2", "p3", "p4"], "{sort}");
    }
}

#[tokio::test]
async fn a_posted_search_pages_by_get() {
    let (server, token) = populated().await;
    let form = Call::post(format!("{BASE}/Patient/_search")).form("_count=3");
    let first = server.send(form.bearer(&token)).await.expect(200);
    assert_eq!(ids(&first), "p4 p3 p2");
    let next = next_link(&first.json()).unwrap();
    let second = server
        .send(Call::get(next).bearer(&token))
        .await
        .expect(200);
    assert_eq!(ids(&second), "p1 p0");
}

#[tokio::test]
async fn the_capability_statement_is_what_the_code_does() {
    let server = TestServer::start().await;
    let answer = server
        .send(Call::get(format!("{BASE}/metadata")))
        .await
        .expect(200);
    let mut statement = answer.json();
    let resources = statement["rest"][0]["resource"].as_array().unwrap().clone();
    assert!(resources.len() > 140);
    let program = server.program(ROSEWOOD).await;
    let auditor = server.person(ROSEWOOD, identity::Role::Auditor).await;
    let mut refused = Vec::new();
    for resource in &resources {
        let ty = resource["type"].as_str().unwrap();
        let token = if ty == "AuditEvent" {
            &auditor
        } else {
            &program
        };
        for param in resource["searchParam"].as_array().unwrap() {
            let name = param["name"].as_str().unwrap();
            let definitions = fhir::Definitions::r4();
            let known = definitions
                .search_param(definitions.resource(ty).unwrap(), name)
                .unwrap();
            let value = if name == "near" {
                "1%7C2".to_owned()
            } else if known.components.is_empty() {
                example(known.kind.code()).to_owned()
            } else {
                let parts = known.components.iter();
                let parts: Vec<&str> = parts.map(|part| example(part.kind.code())).collect();
                parts.join("$")
            };
            let answer = server
                .send_now(Call::get(format!("{BASE}/{ty}?{name}={value}&_count=1")).bearer(token))
                .await;
            if answer.status != 200 {
                refused.push(format!("{ty}?{name}: {}", answer.text()));
            }
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
    let shown = resources
        .iter()
        .filter(|resource| resource["type"] == "AllergyIntolerance")
        .cloned()
        .collect::<Vec<_>>();
    statement["rest"][0]["resource"] = json!(shown);
    statement["software"]["version"] = json!("<version>");
    let mut transcript = Transcript::default();
    transcript.note(
        "metadata, one type of it",
        &Answer {
            body: statement.to_string().into(),
            ..answer
        },
    );
    insta::assert_snapshot!(transcript.finish());
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "both directions of one comparison")]
async fn every_operation_is_in_the_statement_and_nothing_else() {
    let server = TestServer::start().await;
    let statement = server.send(Call::get(format!("{BASE}/metadata"))).await;
    let statement = statement.expect(200).json();
    let rest = &statement["rest"][0];
    let named = |of: &Value| -> Vec<String> {
        let list = of["operation"].as_array().unwrap();
        list.iter()
            .map(|one| {
                let definition = one["definition"].as_str().unwrap();
                assert!(
                    definition.contains(':') && !definition.contains('{'),
                    "{one}"
                );
                one["name"].as_str().unwrap().to_owned()
            })
            .collect()
    };
    let of_type = |ty: &str| {
        let resources = rest["resource"].as_array().unwrap();
        let found = resources.iter().find(|one| one["type"] == ty);
        found.map_or_else(|| named(rest), &named)
    };
    let mut routes = 0;
    for path in http_edge::table().iter().map(|route| route.path) {
        let Some((before, name)) = path.rsplit_once("/$") else {
            continue;
        };
        routes += 1;
        let ty = before.trim_start_matches("/t/{tenant}/fhir");
        let ty = ty.split('/').nth(1).unwrap_or_default();
        let place = match ty {
            "" => named(rest),
            "{type}" => of_type("Account"),
            ty => of_type(ty),
        };
        if name == "subscriptions-websocket" {
            let address = rest["extension"][0]["valueUri"].as_str().unwrap();
            assert!(address.ends_with("/t/rosewood/fhir/$subscriptions-websocket"));
            continue;
        }
        assert!(
            place.iter().any(|one| one == name),
            "{path} is not in {place:?}"
        );
    }
    assert!(routes > 50, "{routes}");
    // What is named is there: an address without a route answers otherwise.
    let token = server.program(ROSEWOOD).await;
    for resource in rest["resource"].as_array().unwrap() {
        let ty = resource["type"].as_str().unwrap();
        if !matches!(ty, "Patient" | "ValueSet" | "Group" | "Subscription") {
            continue;
        }
        for name in named(resource) {
            let mut there = false;
            for at in ["", "/x"] {
                for method in ["GET", "POST"] {
                    let call = Call::new(method, format!("{BASE}/{ty}{at}/${name}"));
                    let answer = server.send(call.bearer(&token)).await.text();
                    there |= !answer.contains("nothing at this address")
                        && !answer.contains("interaction is not offered");
                }
            }
            assert!(there, "{ty}/${name}");
        }
    }
}

/// A value that a parameter of a kind accepts.
pub fn example(kind: &str) -> &'static str {
    match kind {
        "date" => "2026-01-01",
        "number" | "quantity" => "1",
        "reference" => "Patient/x",
        "uri" => "urn:x",
        _ => "x",
    }
}

#[tokio::test]
async fn the_statement_says_the_same_of_tenants_that_do_not_exist() {
    let server = TestServer::start().await;
    let there = server
        .send(Call::get("/t/rosewood/fhir/metadata"))
        .await
        .expect(200)
        .text();
    let missing = server
        .send(Call::get("/t/missing1/fhir/metadata"))
        .await
        .expect(200)
        .text();
    assert_eq!(there.replace("rosewood", "missing1"), missing);
    let value: Value = serde_json::from_str(&there).unwrap();
    assert_eq!(value["resourceType"], "CapabilityStatement");
}
