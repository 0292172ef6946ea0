//! `ViewDefinition/$run`: forms, limits, pages, and that a role sees the rows of what it reaches only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identity::Role;
use serde_json::{Value, json};

use crate::server::{Call, ROSEWOOD, TestServer};

const RUN: &str = "/t/rosewood/fhir/ViewDefinition/$run";

/// Parameters of a run over the family names of patients.
pub fn names() -> Value {
    with(&[])
}

fn view() -> Value {
    json!({ "resourceType": "ViewDefinition", "resource": "Patient", "name": "names", "select": [
        { "column": [{ "name": "id", "path": "getResourceKey()", "type": "id" }] },
        { "forEach": "name", "column": [{ "name": "family", "path": "family", "type": "string" }] },
    ]})
}

fn with(more: &[Value]) -> Value {
    let mut parts = vec![json!({ "name": "viewResource", "resource": view() })];
    parts.extend(more.iter().cloned());
    json!({ "resourceType": "Parameters", "parameter": parts })
}

async fn populated() -> (TestServer, String) {
    let server = TestServer::start_with(|settings| settings.limits.page_max = 2).await;
    let token = server.program(ROSEWOOD).await;
    for (id, family) in [("a", "Archer"), ("b", "Ba\"ker, B"), ("c", "Cook")] {
        let patient =
            json!({ "resourceType": "Patient", "id": id, "name": [{ "family": family }] });
        server.put(ROSEWOOD, &token, &patient).await;
        let observation = json!({ "resourceType": "Observation", "id": format!("o{id}"), "status": "final",
            "code": { "text": "pulse" }, "subject": { "reference": format!("Patient/{id}") }, "valueInteger": 60 });
        server.put(ROSEWOOD, &token, &observation).await;
    }
    (server, token)
}

#[tokio::test]
async fn rows_come_in_every_form_over_every_page() {
    let (server, token) = populated().await;
    for (query, kind, body) in [
        (
            "",
            "application/x-ndjson",
            "{\"id\":\"c\",\"family\":\"Cook\"}\n{\"id\":\"b\",\"family\":\"Ba\\\"ker, B\"}\n{\"id\":\"a\",\"family\":\"Archer\"}\n",
        ),
        (
            "?_format=csv",
            "text/csv; charset=utf-8",
            "id,family\r\nc,Cook\r\nb,\"Ba\"\"ker, B\"\r\na,Archer\r\n",
        ),
        (
            "?_format=csv&header=false&_limit=1",
            "text/csv; charset=utf-8",
            "c,Cook\r\n",
        ),
        (
            "?_format=json&_limit=1",
            "application/json",
            "[{\"id\":\"c\",\"family\":\"Cook\"}\n]\n",
        ),
        ("?_format=json&_limit=0", "application/json", "[]\n"),
        (
            "?patient=Patient/b&_format=csv&header=false",
            "text/csv; charset=utf-8",
            "b,\"Ba\"\"ker, B\"\r\n",
        ),
        ("?_since=2100-01-01T00:00:00Z", "application/x-ndjson", ""),
    ] {
        let call = Call::post(format!("{RUN}{query}")).bearer(&token);
        let answer = server.send(call.json(&names())).await.expect(200);
        assert_eq!(answer.header("content-type"), kind, "{query}");
        assert_eq!(answer.text(), body, "{query}");
    }
    let pulses = json!({ "resourceType": "ViewDefinition", "resource": "Observation", "select": [
        { "column": [{ "name": "id", "path": "id" }, { "name": "pulse", "path": "value", "type": "integer" }] },
    ]});
    let of_patient = Call::post(format!("{RUN}?patient=b")).bearer(&token);
    let answer = server.send(of_patient.json(&pulses)).await.expect(200);
    assert_eq!(answer.text(), "{\"id\":\"ob\",\"pulse\":60}\n");
    let system = Call::post("/t/rosewood/fhir/$viewdefinition-run?_limit=1").bearer(&token);
    let answer = server.send(system.json(&view())).await.expect(200);
    assert_eq!(answer.text(), "{\"id\":\"c\",\"family\":\"Cook\"}\n");
}

#[tokio::test]
async fn resources_sent_along_are_read_instead_of_the_record() {
    let (server, token) = populated().await;
    let sent = json!({ "name": "resource", "resource": { "resourceType": "Patient", "id": "x", "name": [{ "family": "Sent" }] } });
    let other = json!({ "name": "resource", "resource": { "resourceType": "Device", "id": "y" } });
    let call = Call::post(RUN).bearer(&token).json(&with(&[sent, other]));
    let answer = server.send(call).await.expect(200);
    assert_eq!(answer.text(), "{\"id\":\"x\",\"family\":\"Sent\"}\n");
}

#[tokio::test]
async fn a_role_sees_the_rows_it_reaches() {
    let server = TestServer::start().await;
    let (ward, organization) = server.branch(ROSEWOOD, "ward").await;
    let token = server.program(ROSEWOOD).await;
    for (id, home) in [("in", Some(&organization)), ("out", None)] {
        let mut patient =
            json!({ "resourceType": "Patient", "id": id, "name": [{ "family": id }] });
        if let Some(organization) = home {
            patient["managingOrganization"] =
                json!({ "reference": format!("Organization/{organization}") });
        }
        server.put(ROSEWOOD, &token, &patient).await;
    }
    let nurse = server.person_at(ROSEWOOD, Role::Nurse, ward).await;
    let rows = |who: String| {
        let call = Call::post(RUN).bearer(&who).json(&names());
        server.send(call)
    };
    let (all, some) = (rows(token).await.expect(200), rows(nurse).await.expect(200));
    assert_eq!(all.text().lines().count(), 2, "{}", all.text());
    assert_eq!(some.text(), "{\"id\":\"in\",\"family\":\"in\"}\n");
    let administrator = server.person(ROSEWOOD, Role::Administrator).await;
    rows(administrator).await.expect(403);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn what_cannot_be_run_is_said() {
    let (server, token) = populated().await;
    let broken = |change: fn(&mut Value)| {
        let mut view = view();
        change(&mut view);
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "viewResource", "resource": view }] })
    };
    for (query, body, status, text) in [
        ("?_format=parquet", names(), 400, "not offered as"),
        ("?_limit=many", names(), 400, "_limit"),
        ("?patient=a%20b", names(), 400, ""),
        (
            "",
            json!({ "resourceType": "Parameters" }),
            400,
            "there is no view",
        ),
        (
            "",
            with(&[json!({ "name": "viewReference", "valueReference": { "reference": "x" } })]),
            400,
            "send one of them",
        ),
        (
            "",
            broken(|view| view["resource"] = json!("Pacient")),
            422,
            "no resource type",
        ),
        (
            "",
            broken(|view| view["select"][0]["column"][0]["path"] = json!("id.")),
            422,
            "select[0].column[0].path",
        ),
        (
            "",
            broken(|view| view["select"][1]["forEach"] = json!("name.single().given.foo(")),
            422,
            "forEach",
        ),
        (
            "",
            broken(|view| view["select"][1]["column"][0]["path"] = json!("$this")),
            422,
            "family",
        ),
        (
            "",
            broken(|view| view["select"][1]["forEach"] = json!("repeatAll($this)")),
            413,
            "forEach",
        ),
    ] {
        let call = Call::post(format!("{RUN}{query}"))
            .bearer(&token)
            .json(&body);
        let answer = server.send(call).await;
        assert_eq!(answer.status, status, "{query} {body}: {}", answer.text());
        assert!(
            answer.text().contains(text),
            "{query} {body}: {}",
            answer.text()
        );
    }
    server
        .send(Call::post(RUN).json(&names()))
        .await
        .expect(401);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn a_view_may_be_kept_and_named() {
    let (server, token) = populated().await;
    let data = STANDARD.encode(view().to_string());
    let content = json!({ "contentType": "application/json; charset=utf-8", "data": data });
    let library = |id: &str, url: &str, version: &str, content: Value| {
        json!({ "resourceType": "Library", "id": id, "url": url, "version": version, "status": "active",
            "type": { "text": "view" }, "content": [{ "contentType": "text/cql", "data": "eA==" }, content] })
    };
    for resource in [
        library("v", "http://views.example/names", "1", content.clone()),
        library("w", "http://views.example/twice", "1", content.clone()),
        library("x", "http://views.example/twice", "2", content.clone()),
        library(
            "no",
            "http://views.example/no",
            "1",
            json!({ "contentType": "application/json", "data": "e30=" }),
        ),
        json!({ "resourceType": "Binary", "id": "v", "contentType": "application/fhir+json", "data": data }),
    ] {
        server.put(ROSEWOOD, &token, &resource).await;
    }
    let run = |who: &str, part: Value| {
        let mut part = part;
        part["name"] = json!("viewReference");
        let call = Call::post(format!("{RUN}?_format=csv&header=false&_limit=1")).bearer(who);
        server.send(call.json(&json!({ "resourceType": "Parameters", "parameter": [part] })))
    };
    let to = |reference: &str| json!({ "valueReference": { "reference": reference } });
    let canonical = |url: &str| json!({ "valueCanonical": url });
    for part in [
        to("Library/v"),
        to("https://records.example.org/t/rosewood/fhir/Library/v"),
        to("Binary/v"),
        canonical("http://views.example/names"),
        canonical("http://views.example/names|1"),
        canonical("http://views.example/twice|2"),
        json!({ "valueUri": "http://views.example/names" }),
    ] {
        let rows = run(&token, part.clone()).await.expect(200);
        assert_eq!(rows.text(), "c,Cook\r\n", "{part}");
    }
    for (part, status, said) in [
        (to("Library/none"), 404, ""),
        (to("Patient/a"), 400, "holds no view"),
        (to("Library/no"), 422, "no content"),
        (canonical("http://views.example/names|2"), 404, ""),
        (canonical("http://views.example/twice"), 409, "several"),
        (json!({ "valueString": "nonsense" }), 400, "no canonical"),
    ] {
        let refused = run(&token, part.clone()).await.expect(status);
        assert!(refused.text().contains(said), "{part} {}", refused.text());
    }
    let both =
        with(&[json!({ "name": "viewReference", "valueUri": "http://views.example/names" })]);
    let both = Call::post(RUN).bearer(&token).json(&both);
    server.send(both).await.expect(400);
    // Another tenant has no such view.
    let twin = server.program(crate::server::LAKESIDE).await;
    let there = Call::post("/t/lakeside/fhir/ViewDefinition/$run").bearer(&twin);
    let named = json!({ "resourceType": "Parameters",
        "parameter": [{ "name": "viewReference", "valueReference": { "reference": "Library/v" } }] });
    server.send(there.json(&named)).await.expect(404);
}
