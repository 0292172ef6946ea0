//! Bulk exports as a client has them: asked for, waited for, fetched; what belongs to them and what not;
//! who gets them.

#![expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]

use std::collections::BTreeSet;
use std::io::Read as _;
use std::time::Duration;

use app::admin::clients::{self, NewClient};
use app::admin::tokens::{self, NewToken};
use identity::{Interaction, InteractionSet, Role, RoleAssignment, Scope, TokenOwner, Types};
use serde_json::{Value, json};

use crate::server::{Answer, Call, LAKESIDE, ROSEWOOD, TestServer};

pub const EXPORT: &str = "/t/rosewood/fhir/$export";

pub async fn exporter(server: &TestServer, tenant: &str) -> String {
    server
        .program_with(tenant, "exporter", &[Interaction::Export])
        .await
}

pub fn patient(id: &str, organization: Option<&str>) -> Value {
    let mut patient = json!({ "resourceType": "Patient", "id": id, "birthDate": "1950-01-01", "gender": "female" });
    if let Some(organization) = organization {
        patient["managingOrganization"] =
            json!({ "reference": format!("Organization/{organization}") });
    }
    patient
}

pub fn observation(id: &str, patient: &str, code: &str) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": "final",
        "code": { "coding": [{ "system": "http://loinc.org", "code": code }], "text": "a\nb" },
        "subject": { "reference": format!("Patient/{patient}") },
    })
}

/// Three patients with two observations each, and an organisation.
pub async fn record(server: &TestServer, tenant: &str, token: &str) {
    server
        .put(
            tenant,
            token,
            &json!({ "resourceType": "Organization", "id": "house", "name": "House" }),
        )
        .await;
    for id in ["a", "b", "c"] {
        server.put(tenant, token, &patient(id, None)).await;
        for (number, code) in [(1, "8867-4"), (2, "8310-5")] {
            server
                .put(
                    tenant,
                    token,
                    &observation(&format!("{id}{number}"), id, code),
                )
                .await;
        }
    }
}

pub async fn asked(server: &TestServer, token: &str, call: Call) -> Answer {
    server
        .send(call.bearer(token).header("prefer", "respond-async"))
        .await
}

/// The address of the status, below the public address.
pub fn place(answer: &Answer) -> String {
    let at = answer.header("content-location");
    at.strip_prefix(crate::server::PUBLIC_URL)
        .unwrap()
        .to_owned()
}

/// Asks until the job is done; the manifest.
pub async fn done(server: &TestServer, token: &str, at: &str) -> Value {
    for _ in 0..6000 {
        let answer = server.send(Call::get(at).bearer(token)).await;
        if answer.status == 202 {
            assert!(
                answer.header("x-progress").contains("resources"),
                "{}",
                answer.everything()
            );
            assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        }
        let answer = answer.expect(200);
        assert!(!answer.header("expires").is_empty());
        return answer.json();
    }
    panic!("the job does not end");
}

pub async fn exported(server: &TestServer, token: &str, call: Call) -> Value {
    let answer = asked(server, token, call).await.expect(202);
    done(server, token, &place(&answer)).await
}

fn link(file: &Value) -> String {
    let url = file["url"].as_str().unwrap();
    url.strip_prefix(crate::server::PUBLIC_URL)
        .unwrap()
        .to_owned()
}

/// Every line of a list of files, fetched by signed links alone.
pub async fn lines(server: &TestServer, files: &Value) -> Vec<Value> {
    let mut lines = Vec::new();
    for file in files.as_array().unwrap() {
        let answer = server.send(Call::get(link(file))).await.expect(200);
        assert_eq!(answer.header("content-type"), "application/fhir+ndjson");
        let text = answer.text();
        let of: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(file["count"], of.len());
        if file["type"] != "Bundle" {
            assert!(of.iter().all(|line| line["resourceType"] == file["type"]));
        }
        lines.extend(of);
    }
    lines
}

/// `Type/id` of each line; none may come twice.
pub async fn names(server: &TestServer, manifest: &Value) -> BTreeSet<String> {
    let lines = lines(server, &manifest["output"]).await;
    let names: BTreeSet<String> = lines
        .iter()
        .map(|line| {
            format!(
                "{}/{}",
                line["resourceType"].as_str().unwrap(),
                line["id"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(names.len(), lines.len(), "each comes once");
    names
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn an_export_is_asked_for_waited_for_and_fetched() {
    let server = TestServer::start().await;
    let token = exporter(&server, ROSEWOOD).await;
    record(&server, ROSEWOOD, &token).await;
    let answer = asked(&server, &token, Call::get(EXPORT)).await.expect(202);
    let at = place(&answer);
    // What comes after the moment of the export is not in it.
    server.put(ROSEWOOD, &token, &patient("late", None)).await;
    server
        .put(ROSEWOOD, &token, &observation("a1", "a", "1-1"))
        .await;
    let manifest = done(&server, &token, &at).await;
    assert_eq!(
        manifest["request"],
        format!("{}{EXPORT}", crate::server::PUBLIC_URL)
    );
    assert_eq!(manifest["requiresAccessToken"], false);
    assert_eq!(manifest["error"], json!([]));
    assert_eq!(manifest["deleted"], json!([]));
    let expected = [
        "Organization/house",
        "Patient/a",
        "Patient/b",
        "Patient/c",
        "Observation/a1",
        "Observation/a2",
        "Observation/b1",
        "Observation/b2",
        "Observation/c1",
        "Observation/c2",
    ];
    assert_eq!(names(&server, &manifest).await, set(&expected));
    let all = lines(&server, &manifest["output"]).await;
    let first = all.iter().find(|line| line["id"] == "a1").unwrap();
    assert_eq!(
        (
            &first["meta"]["versionId"],
            &first["code"]["coding"][0]["code"]
        ),
        (&json!("1"), &json!("8867-4"))
    );

    let file = link(&manifest["output"][1]);
    let whole = server.send(Call::get(&file)).await.expect(200);
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert!(whole.header("content-disposition").contains(".ndjson"));
    assert_eq!(whole.header("content-length"), whole.body.len().to_string());
    let part = server
        .send(Call::get(&file).header("range", "bytes=5-14"))
        .await
        .expect(206);
    assert_eq!(part.body, whole.body.slice(5..15));
    assert_eq!(
        part.header("content-range"),
        format!("bytes 5-14/{}", whole.body.len())
    );
    server
        .send(Call::get(&file).header("range", "bytes=9999999-"))
        .await
        .expect(416);
    let zipped = server
        .send(Call::get(&file).header("accept-encoding", "gzip"))
        .await
        .expect(200);
    assert_eq!(zipped.header("content-encoding"), "gzip");
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&zipped.body[..])
        .read_to_end(&mut plain)
        .unwrap();
    assert_eq!(plain, whole.body);

    server
        .send(Call::delete(&at).bearer(&token))
        .await
        .expect(202);
    server.send(Call::get(&at).bearer(&token)).await.expect(404);
    server.send(Call::get(&file)).await.expect(404);
    server
        .send(Call::delete(&at).bearer(&token))
        .await
        .expect(404);
}

#[tokio::test]
async fn links_are_for_one_file_and_jobs_for_one_owner() {
    let server = TestServer::start().await;
    let token = exporter(&server, ROSEWOOD).await;
    let stranger = server
        .program_with(ROSEWOOD, "stranger", &[Interaction::Export])
        .await;
    let foreign = exporter(&server, LAKESIDE).await;
    record(&server, ROSEWOOD, &token).await;
    let answer = asked(&server, &token, Call::get(EXPORT)).await.expect(202);
    let at = place(&answer);
    let manifest = done(&server, &token, &at).await;
    for other in [&stranger, &foreign] {
        let status = if *other == foreign { 401 } else { 404 };
        server
            .send(Call::get(&at).bearer(other))
            .await
            .expect(status);
        server
            .send(Call::delete(&at).bearer(other))
            .await
            .expect(status);
    }
    server
        .send(Call::get(at.replace(ROSEWOOD, LAKESIDE)).bearer(&foreign))
        .await
        .expect(404);

    let file = link(&manifest["output"][0]);
    let bare = file.split('?').next().unwrap();
    server.send(Call::get(bare)).await.expect(401);
    server
        .send(Call::get(bare).bearer(&token))
        .await
        .expect(200);
    server
        .send(Call::get(bare).bearer(&stranger))
        .await
        .expect(404);
    server
        .send(Call::get(&file).bearer(&stranger))
        .await
        .expect(404);
    let next = file.replacen("/1?", "/2?", 1);
    assert_ne!(next, file);
    for wrong in [
        next,
        file.replace("signature=", "signature=A"),
        file.replace("expires=1", "expires=2"),
        file.replace(ROSEWOOD, LAKESIDE),
        file.replace("/bulk/", "/bulk/x"),
        format!("{bare}?signature="),
    ] {
        let answer = server.send(Call::get(&wrong)).await.expect(401);
        assert!(!answer.text().contains("Patient"), "{wrong}");
    }
    server.clock.advance(3601);
    server.send(Call::get(&file)).await.expect(401);
    let again = done(&server, &token, &at).await;
    assert_eq!(lines(&server, &again["output"]).await.len(), 10);
    // Files go after a day.
    server.clock.advance(24 * 3600);
    server.send(Call::get(&at).bearer(&token)).await.expect(404);
    server
        .send(Call::get(bare).bearer(&token))
        .await
        .expect(404);
    assert_eq!(
        app::bulk::sweep(&server.app, &scope(&server).await)
            .await
            .unwrap(),
        1
    );
}

async fn scope(server: &TestServer) -> kernel::TenantScope {
    server.acting(ROSEWOOD, "admin").await.scope
}

#[tokio::test]
async fn parameters_narrow_what_is_exported() {
    let server = TestServer::start().await;
    let token = exporter(&server, ROSEWOOD).await;
    record(&server, ROSEWOOD, &token).await;
    let members = json!({ "resourceType": "Group", "id": "g", "type": "person", "actual": true, "member": [
        { "entity": { "reference": "Patient/a" } },
        { "entity": { "reference": "Patient/b" }, "inactive": true },
        { "entity": { "reference": "Patient/c" } },
    ]});
    server.put(ROSEWOOD, &token, &members).await;
    let group = "/t/rosewood/fhir/Group/g/$export";
    let patients = "/t/rosewood/fhir/Patient/$export";
    for (address, expected) in [
        (
            format!("{EXPORT}?_type=Organization,Group"),
            &["Organization/house", "Group/g"][..],
        ),
        (
            format!("{EXPORT}?_type=Organization&_type=Group"),
            &["Organization/house", "Group/g"],
        ),
        (
            format!("{patients}?_type=Patient"),
            &["Patient/a", "Patient/b", "Patient/c"],
        ),
        (
            format!("{group}?_type=Patient"),
            &["Patient/a", "Patient/c"],
        ),
        (
            format!("{group}?_type=Observation"),
            &[
                "Observation/a1",
                "Observation/a2",
                "Observation/c1",
                "Observation/c2",
            ],
        ),
        (
            format!(
                "{EXPORT}?_type=Observation,Organization&_typeFilter=Observation%3Fcode%3D8867-4%26subject%3DPatient/a,Observation%3Fpatient%3Db"
            ),
            &[
                "Observation/a1",
                "Observation/b1",
                "Observation/b2",
                "Organization/house",
            ],
        ),
    ] {
        let manifest = exported(&server, &token, Call::get(&address)).await;
        assert_eq!(names(&server, &manifest).await, set(expected), "{address}");
    }
    let body = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "patient", "valueReference": { "reference": "Patient/b" } },
        { "name": "_type", "valueString": "Patient,Observation" },
        { "name": "_elements", "valueString": "Patient.gender,Observation.status" },
    ]});
    let manifest = exported(&server, &token, Call::post(patients).json(&body)).await;
    assert_eq!(
        names(&server, &manifest).await,
        set(&["Patient/b", "Observation/b1", "Observation/b2"])
    );
    for line in lines(&server, &manifest["output"]).await {
        assert!(
            line["birthDate"].is_null() && line["meta"]["tag"][0]["code"] == "SUBSETTED",
            "{line}"
        );
        assert!(line["gender"] == "female" || line["code"].is_object());
    }
    let stranger = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "patient", "valueReference": { "reference": "Patient/b" } },
    ]});
    asked(&server, &token, Call::post(group).json(&stranger))
        .await
        .expect(400);
    for wrong in [
        "_type=Nothing",
        "_since=yesterday",
        "_outputFormat=text/csv",
        "_elements=a%20b",
        "shoe=1",
        "_typeFilter=Observation%3Fshoe%3D1",
        "_typeFilter=Observation%3Fsubject.name%3Dx",
        "patient=Patient/a",
    ] {
        asked(&server, &token, Call::get(format!("{EXPORT}?{wrong}")))
            .await
            .expect(400);
    }
    asked(
        &server,
        &token,
        Call::get(format!("{patients}?_type=Organization")),
    )
    .await
    .expect(400);
    asked(
        &server,
        &token,
        Call::get("/t/rosewood/fhir/Group/none/$export"),
    )
    .await
    .expect(404);
    asked(
        &server,
        &token,
        Call::post(EXPORT).json(&patient("x", None)),
    )
    .await
    .expect(400);
    let lenient =
        Call::get(format!("{EXPORT}?shoe=1&_type=Group")).header("prefer", "handling=lenient");
    let manifest = exported(&server, &token, lenient).await;
    assert_eq!(names(&server, &manifest).await, set(&["Group/g"]));
    // What narrows the export is never left out.
    for narrowing in [
        "_type=Pateint",
        "_elements=Patient.",
        "_typeFilter=Patient%3Fshoe%3D1",
    ] {
        let call = Call::get(format!("{EXPORT}?{narrowing}")).header("prefer", "handling=lenient");
        let answer = asked(&server, &token, call).await;
        assert_eq!(answer.status, 400, "{narrowing}: {}", answer.text());
    }
}

#[tokio::test]
async fn what_changed_since_and_what_was_deleted() {
    let server = TestServer::start().await;
    let token = exporter(&server, ROSEWOOD).await;
    record(&server, ROSEWOOD, &token).await;
    let first = exported(&server, &token, Call::get(EXPORT)).await;
    let since = first["transactionTime"].as_str().unwrap().to_owned();
    server
        .put(ROSEWOOD, &token, &observation("a1", "a", "1-1"))
        .await;
    server
        .put(ROSEWOOD, &token, &observation("new", "b", "1-1"))
        .await;
    for gone in ["Observation/b2", "Observation/c1"] {
        server
            .send(Call::delete(format!("/t/rosewood/fhir/{gone}")).bearer(&token))
            .await
            .expect(204);
    }
    let next = exported(
        &server,
        &token,
        Call::get(format!("{EXPORT}?_since={since}")),
    )
    .await;
    assert_eq!(
        names(&server, &next).await,
        set(&["Observation/a1", "Observation/new"])
    );
    let gone = |bundles: Vec<Value>| -> BTreeSet<String> {
        bundles
            .iter()
            .map(|bundle| {
                assert_eq!(bundle["entry"][0]["request"]["method"], "DELETE");
                bundle["entry"][0]["request"]["url"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    };
    let deleted = gone(lines(&server, &next["deleted"]).await);
    assert_eq!(deleted, set(&["Observation/b2", "Observation/c1"]));
    let body = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "patient", "valueReference": { "reference": "Patient/b" } },
        { "name": "_since", "valueInstant": since },
    ]});
    let of_b = exported(
        &server,
        &token,
        Call::post("/t/rosewood/fhir/Patient/$export").json(&body),
    )
    .await;
    assert_eq!(names(&server, &of_b).await, set(&["Observation/new"]));
    assert_eq!(
        gone(lines(&server, &of_b["deleted"]).await),
        set(&["Observation/b2"])
    );
}

#[tokio::test]
async fn each_patient_is_looked_at_and_each_fetch_is_an_entry() {
    let server = TestServer::start().await;
    let token = exporter(&server, ROSEWOOD).await;
    let auditor = server.person(ROSEWOOD, Role::Auditor).await;
    record(&server, ROSEWOOD, &token).await;
    let manifest = exported(
        &server,
        &token,
        Call::get(format!("{EXPORT}?_type=Observation")),
    )
    .await;
    lines(&server, &manifest["output"]).await;
    for id in ["a", "b", "c"] {
        let about = format!("/t/rosewood/api/v1/audit/patients/{id}?log=access");
        let entries = server
            .send(Call::get(about).bearer(&auditor))
            .await
            .expect(200)
            .text();
        assert!(entries.contains("\"export\""), "{id}: {entries}");
    }
    let entries = server
        .send(
            Call::get("/t/rosewood/api/v1/audit/entries?log=access&class=export").bearer(&auditor),
        )
        .await
        .expect(200)
        .json();
    let exports: Vec<String> = entries["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["class"] == "export")
        .map(Value::to_string)
        .collect();
    // Asked for, a look at each of the three patients, fetched.
    assert_eq!(exports.len(), 5, "{exports:?}");
    let fetched = exports
        .iter()
        .filter(|entry| entry.contains("6 lines fetched with a signed link"));
    assert_eq!(fetched.count(), 1, "{exports:?}");
}

#[tokio::test]
async fn a_role_gets_only_what_it_may_see() {
    let server = TestServer::start().await;
    let token = exporter(&server, ROSEWOOD).await;
    let (branch, organization) = server.branch(ROSEWOOD, "Garden").await;
    for (id, organization) in [("near", Some(organization.as_str())), ("far", None)] {
        server
            .put(ROSEWOOD, &token, &patient(id, organization))
            .await;
        server
            .put(
                ROSEWOOD,
                &token,
                &observation(&format!("{id}-o"), id, "1-1"),
            )
            .await;
    }
    let administrator = server.acting(ROSEWOOD, "admin").await;
    let narrow = async |roles: Vec<RoleAssignment>, types: Types, name: &str| {
        let new = NewClient {
            name: name.to_owned(),
            roles,
            scopes: vec![Scope {
                types,
                interactions: InteractionSet::ALL,
            }],
            operations: vec![Interaction::Export],
            jwks: Vec::new(),
        };
        let client = clients::create(&server.app, &administrator, new)
            .await
            .unwrap();
        let new = NewToken {
            owner: TokenOwner::Client(client.id),
            name: "t".to_owned(),
            scopes: None,
            days: 1,
        };
        tokens::create(&server.app, &administrator, new)
            .await
            .unwrap()
            .text
            .to_string()
    };
    let call = || Call::get(format!("{EXPORT}?_type=Patient,Observation"));
    let at = vec![RoleAssignment::at(Role::IntegrationService, vec![branch])];
    let here = narrow(at, Types::All, "garden").await;
    // A ward's system takes the ward's patients, whatever it asks for.
    let own = set(&["Patient/near", "Observation/near-o"]);
    for address in [
        format!("{EXPORT}?_type=Patient,Observation"),
        "/t/rosewood/fhir/Patient/$export?_type=Patient,Observation".to_owned(),
        "/t/rosewood/fhir/Patient/$export?_type=Patient,Observation&patient=Patient/far&patient=Patient/near".to_owned(),
    ] {
        let manifest = exported(&server, &here, Call::get(address)).await;
        assert_eq!(names(&server, &manifest).await, own);
    }
    let everywhere = vec![RoleAssignment::of(Role::IntegrationService)];
    let some = narrow(
        everywhere,
        Types::Named(vec!["Observation".to_owned()]),
        "lab",
    )
    .await;
    asked(&server, &some, call()).await.expect(403);
    let manifest = exported(&server, &some, Call::get(EXPORT)).await;
    assert_eq!(
        names(&server, &manifest).await,
        set(&["Observation/near-o", "Observation/far-o"])
    );
    let nobody = server.program_with(ROSEWOOD, "reader", &[]).await;
    asked(&server, &nobody, call()).await.expect(403);
}

#[tokio::test]
async fn the_erased_are_in_no_export_and_twins_never_meet() {
    let server = TestServer::start().await;
    let token = exporter(&server, ROSEWOOD).await;
    let theirs = exporter(&server, LAKESIDE).await;
    record(&server, ROSEWOOD, &token).await;
    let mut twin = patient("a", None);
    twin["name"] = json!([{ "family": "canary-lakeside" }]);
    server.put(LAKESIDE, &theirs, &twin).await;
    let before = asked(&server, &token, Call::get(EXPORT)).await.expect(202);
    let at = place(&before);
    let manifest = done(&server, &token, &at).await;
    let text = format!("{:?}", lines(&server, &manifest["output"]).await);
    assert!(text.contains("\"a\"") && !text.contains("canary-lakeside"));
    let administrator = server.person(ROSEWOOD, Role::Administrator).await;
    let erase = Call::post("/t/rosewood/api/v1/patients/a/erase").bearer(&administrator);
    server
        .send(erase.json(&json!({ "reason": "test" })))
        .await
        .expect(200);
    // Files from before are gone with the key, and what comes after has nothing of the patient.
    server
        .send(Call::get(link(&manifest["output"][0])))
        .await
        .expect(404);
    server.send(Call::get(&at).bearer(&token)).await.expect(404);
    let after = exported(
        &server,
        &token,
        Call::get(format!("{EXPORT}?_type=Patient,Observation")),
    )
    .await;
    let expected = [
        "Patient/b",
        "Patient/c",
        "Observation/b1",
        "Observation/b2",
        "Observation/c1",
        "Observation/c2",
    ];
    assert_eq!(names(&server, &after).await, set(&expected));
}

#[tokio::test]
async fn too_many_jobs_are_refused_for_a_while_and_small_chunks_change_nothing() {
    let server = TestServer::start_with(|settings| {
        settings.bulk.jobs = 2;
        settings.bulk.chunk_bytes = 300;
        settings.bulk.file_bytes = 900;
        settings.bulk.settle_ms = 60_000;
    })
    .await;
    let token = exporter(&server, ROSEWOOD).await;
    record(&server, ROSEWOOD, &token).await;
    let first = place(&asked(&server, &token, Call::get(EXPORT)).await.expect(202));
    let second = place(&asked(&server, &token, Call::get(EXPORT)).await.expect(202));
    let third = asked(&server, &token, Call::get(EXPORT)).await.expect(429);
    assert!(!third.header("retry-after").is_empty());
    // One that is cancelled before it began makes room, and none of it is left.
    server
        .send(Call::delete(&second).bearer(&token))
        .await
        .expect(202);
    let third = place(&asked(&server, &token, Call::get(EXPORT)).await.expect(202));
    server.clock.advance(120);
    for at in [first, third] {
        let manifest = done(&server, &token, &at).await;
        assert_eq!(names(&server, &manifest).await.len(), 10);
        let files = manifest["output"].as_array().unwrap();
        assert!(
            files
                .iter()
                .filter(|file| file["type"] == "Observation")
                .count()
                > 1,
            "{manifest}"
        );
    }
}
