//! What a role does not reach answers as what is not there, whatever is asked: the same status, headers
//! and body, but for the id.

use identity::Role;
use serde_json::{Value, json};

use crate::server::{Call, ROSEWOOD, TestServer};
use crate::twins::plain;

/// A request about `Type/{id}`: `{id}` stands for the id in path and body.
struct Ask {
    method: &'static str,
    path: &'static str,
    header: Option<(&'static str, &'static str)>,
    body: Option<Value>,
}

impl Ask {
    const fn new(method: &'static str, path: &'static str) -> Self {
        Self {
            method,
            path,
            header: None,
            body: None,
        }
    }

    fn with(self, name: &'static str, value: &'static str) -> Self {
        Self {
            header: Some((name, value)),
            ..self
        }
    }

    fn body(self, body: Value) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    fn call(&self, ty: &str, id: &str) -> Call {
        let fill = |text: &str| text.replace("{type}", ty).replace("{id}", id);
        let mut call = Call::new(self.method, format!("/t/rosewood/fhir{}", fill(self.path)));
        if let Some((name, value)) = self.header {
            call = call.header(name, value);
        }
        match &self.body {
            None if self.method == "PATCH" => call.patch(&json!([
                { "op": "add", "path": "/language", "value": "en" },
            ])),
            None => call,
            Some(body) => {
                let body: Value = serde_json::from_str(&fill(&body.to_string())).unwrap();
                call.json(&body)
            }
        }
    }

    fn name(&self) -> String {
        format!(
            "{} {} {:?} {}",
            self.method,
            self.path,
            self.header,
            self.body
                .as_ref()
                .map_or(String::new(), ToString::to_string)
        )
    }
}

fn bundle(
    kind: &str,
    method: &str,
    url: &str,
    if_match: Option<&str>,
    body: Option<&Value>,
) -> Value {
    let mut entry = json!({ "request": { "method": method, "url": url } });
    if let Some(version) = if_match {
        entry["request"]["ifMatch"] = json!(version);
    }
    if let Some(body) = body {
        entry["resource"] = body.clone();
    }
    json!({ "resourceType": "Bundle", "type": kind, "entry": [entry] })
}

/// Everything that can be asked of one resource. `body` is one that the caller may write.
#[expect(clippy::too_many_lines, reason = "a list of requests")]
fn asks(body: &Value) -> Vec<Ask> {
    const VERSIONS: [&str; 3] = ["W/\"1\"", "W/\"2\"", "W/\"9\""];
    let mut asks = Vec::new();
    for path in [
        "/{type}/{id}",
        "/{type}/{id}?_summary=true",
        "/{type}/{id}/_history",
        "/{type}/{id}/_history?_since=2000-01-01T00:00:00Z",
        "/{type}/{id}/_history?_since=2100-01-01T00:00:00Z",
        "/{type}/{id}/_history?_count=1",
        "/{type}/{id}/_history?_at=2026",
        "/{type}/{id}/_history/1",
        "/{type}/{id}/_history/2",
        "/{type}/{id}/_history/9",
        "/{type}/{id}/$everything",
        "/{type}/{id}/$meta",
        "/{type}/{id}/_history/1/$meta",
        "/{type}?_id={id}",
        "/{type}?_id={id}&_total=accurate",
        "/{type}?_id={id}&_summary=count",
    ] {
        asks.push(Ask::new("GET", path));
        asks.push(Ask::new("HEAD", path));
    }
    for version in VERSIONS {
        asks.push(Ask::new("GET", "/{type}/{id}").with("if-none-match", version));
        asks.push(Ask::new("DELETE", "/{type}/{id}").with("if-match", version));
        asks.push(Ask::new("PATCH", "/{type}/{id}").with("if-match", version));
        asks.push(
            Ask::new("PUT", "/{type}/{id}")
                .with("if-match", version)
                .body(body.clone()),
        );
    }
    asks.push(
        Ask::new("GET", "/{type}/{id}").with("if-modified-since", "Wed, 01 Jan 2100 00:00:00 GMT"),
    );
    asks.push(Ask::new("DELETE", "/{type}/{id}"));
    asks.push(Ask::new("DELETE", "/{type}?_id={id}"));
    asks.push(Ask::new("PATCH", "/{type}/{id}"));
    asks.push(Ask::new("PATCH", "/{type}?_id={id}"));
    for kind in ["batch", "transaction"] {
        let post = |body: Value| Ask::new("POST", "").body(body);
        for version in VERSIONS {
            let put = bundle(kind, "PUT", "{type}/{id}", Some(version), Some(body));
            asks.push(post(put));
            asks.push(post(bundle(
                kind,
                "DELETE",
                "{type}/{id}",
                Some(version),
                None,
            )));
        }
        asks.push(post(bundle(kind, "DELETE", "{type}/{id}", None, None)));
        asks.push(post(bundle(kind, "DELETE", "{type}?_id={id}", None, None)));
        for url in [
            "{type}/{id}",
            "{type}/{id}/_history",
            "{type}/{id}/_history/1",
            "{type}?_id={id}",
        ] {
            asks.push(post(bundle(kind, "GET", url, None, None)));
        }
    }
    asks
}

struct Wards {
    server: TestServer,
    north: String,
    callers: Vec<(&'static str, String)>,
}

/// Two wards; callers of the north one, records of the south one: live, deleted and in two versions.
async fn wards() -> Wards {
    let server = TestServer::start().await;
    let (here, north) = server.branch(ROSEWOOD, "North").await;
    let (_, south) = server.branch(ROSEWOOD, "South").await;
    let feed = server.program(ROSEWOOD).await;
    for (id, place) in [("north", &north), ("south", &south), ("south-gone", &south)] {
        server.put(ROSEWOOD, &feed, &patient(id, place)).await;
        let about = if id == "north" { "north" } else { "south" };
        server.put(ROSEWOOD, &feed, &observation(id, about)).await;
    }
    let mut again = observation("south", "south");
    again["language"] = json!("en");
    server.put(ROSEWOOD, &feed, &again).await;
    for ty in ["Observation", "Patient"] {
        let at = format!("/t/rosewood/fhir/{ty}/south-gone");
        server
            .send(Call::delete(at).bearer(&feed))
            .await
            .expect(204);
    }
    let callers = vec![
        ("feed", server.program_at(ROSEWOOD, here).await),
        ("nurse", server.person_at(ROSEWOOD, Role::Nurse, here).await),
        (
            "doctor",
            server.person_at(ROSEWOOD, Role::Doctor, here).await,
        ),
    ];
    Wards {
        server,
        north,
        callers,
    }
}

fn patient(id: &str, organization: &str) -> Value {
    json!({
        "resourceType": "Patient", "id": id, "birthDate": "1950-01-01",
        "managingOrganization": { "reference": format!("Organization/{organization}") },
    })
}

fn observation(id: &str, about: &str) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": "final", "code": { "text": "pulse" },
        "subject": { "reference": format!("Patient/{about}") },
    })
}

#[tokio::test]
async fn out_of_reach_answers_as_missing() {
    let wards = wards().await;
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (ty, body) in [
        ("Patient", patient("{id}", &wards.north)),
        ("Observation", observation("{id}", "north")),
    ] {
        for (who, token) in &wards.callers {
            // The caller does reach what is of the own ward.
            let own = Call::get(format!("/t/rosewood/fhir/{ty}/north")).bearer(token);
            wards.server.send_now(own).await.expect(200);
            for ask in asks(&body) {
                let mut texts = Vec::new();
                for id in ["nowhere-at-all", "south", "south-gone"] {
                    let answer = wards.server.send_now(ask.call(ty, id).bearer(token)).await;
                    texts.push(plain(&answer, id));
                }
                for text in &texts[1..] {
                    compared += 1;
                    if *text != texts[0] {
                        wrong.push(format!(
                            "{who}, {ty}: {}\n  missing {}\n  hidden  {text}",
                            ask.name(),
                            texts[0]
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 400, "{compared}");
}

#[tokio::test]
async fn asking_for_emergency_access_does_not_tell_who_is_there() {
    let wards = wards().await;
    let Some((_, nurse)) = wards.callers.iter().find(|(who, _)| *who == "nurse") else {
        panic!("no nurse");
    };
    let mut shapes = Vec::new();
    for patient in ["nowhere-at-all", "south", "south-gone"] {
        let body =
            json!({ "patient": patient, "reason": "urgent-care", "text": "fell in the garden" });
        let answer = wards
            .server
            .send_now(
                Call::post("/t/rosewood/api/v1/break-glass")
                    .bearer(nurse)
                    .json(&body),
            )
            .await;
        let id = answer.json()["id"].as_str().unwrap_or_default().to_owned();
        shapes.push(plain(&answer, patient).replace(&id, "<grant>"));
        assert_eq!(answer.status, 201, "{patient}: {}", answer.text());
    }
    assert_eq!(shapes[0], shapes[1]);
    assert_eq!(shapes[0], shapes[2]);
    // The grant opens what is there, and only that.
    for (id, status) in [("nowhere-at-all", 404), ("south", 200)] {
        let read = Call::get(format!("/t/rosewood/fhir/Patient/{id}"))
            .header("x-purpose-of-use", "ETREAT")
            .bearer(nurse);
        wards.server.send(read).await.expect(status);
    }
}
