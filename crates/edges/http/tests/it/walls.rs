//! Nobody learns of what they may not see, through any way in: each is asked before and after something
//! hidden is stored (of another ward, or the same ids in another tenant), and answers byte for byte the
//! same. Whoever may see everything is told of it by the same questions, or they would prove nothing.

use identity::Role;
use serde_json::{Value, json};
use store::FullText;

use crate::server::{Answer, Call, LAKESIDE, ROSEWOOD, TestServer};

/// Shared by all, of this ward, and pointing at what is hidden.
fn seen(ward: &str) -> Vec<Value> {
    let mut all = vec![
        json!({ "resourceType": "Practitioner", "id": "d", "name": [{ "family": "Okafor" }] }),
        patient("n", ward, "Northrop", "n-1"),
        json!({ "resourceType": "List", "id": "n-l", "status": "current", "mode": "working",
            "subject": { "reference": "Patient/n" },
            "entry": [{ "item": { "reference": "Observation/h-o" } }, { "item": { "reference": "Patient/n" } }] }),
        json!({ "resourceType": "Composition", "id": "n-c", "status": "final", "type": { "text": "letter" },
            "title": "Letter", "date": "2026-02-02", "subject": { "reference": "Patient/n" },
            "author": [{ "reference": "Practitioner/d" }], "encounter": { "reference": "Encounter/h-e" },
            "section": [{ "entry": [{ "reference": "Observation/n-o" }] }] }),
    ];
    all.extend(around("n", "Encounter/h-e", "8867-4"));
    all
}

fn patient(id: &str, ward: &str, family: &str, number: &str) -> Value {
    json!({ "resourceType": "Patient", "id": id, "birthDate": "1950-01-01", "gender": "female",
        "name": [{ "family": family, "given": ["Ann"] }],
        "identifier": [{ "system": "urn:mrn", "value": number }],
        "text": { "status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{family}</div>") },
        "managingOrganization": { "reference": format!("Organization/{ward}") },
        "generalPractitioner": [{ "reference": "Practitioner/d" }] })
}

/// A visit, a reading in it and a finding.
fn around(id: &str, encounter: &str, code: &str) -> Vec<Value> {
    let about = json!({ "reference": format!("Patient/{id}") });
    vec![
        json!({ "resourceType": "Encounter", "id": format!("{id}-e"), "status": "finished", "class": { "code": "AMB" },
            "subject": about, "participant": [{ "individual": { "reference": "Practitioner/d" } }] }),
        json!({ "resourceType": "Observation", "id": format!("{id}-o"), "status": "final",
            "category": [{ "coding": [{ "code": "vital-signs" }] }],
            "code": { "coding": [{ "system": "http://loinc.org", "code": code }], "text": code },
            "subject": about, "encounter": { "reference": encounter }, "effectiveDateTime": "2026-01-01",
            "performer": [{ "reference": "Practitioner/d" }],
            "valueQuantity": { "value": 7, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min" } }),
        json!({ "resourceType": "Appointment", "id": format!("{id}-a"), "status": "booked",
            "participant": [{ "actor": about, "status": "accepted" }, { "actor": { "reference": "Practitioner/d" }, "status": "accepted" }] }),
    ]
}

/// What is hidden: around another patient, all of it pointing at what is seen.
fn hidden(ward: &str) -> Vec<Value> {
    let mut all = vec![
        patient("h", ward, "Canaryson", "canary-1"),
        json!({ "resourceType": "List", "id": "h-l", "status": "current", "mode": "working", "title": "canary",
            "subject": { "reference": "Patient/h" },
            "entry": [{ "item": { "reference": "Practitioner/d" } }, { "item": { "reference": "Patient/h" } }] }),
        json!({ "resourceType": "Composition", "id": "h-c", "status": "final", "type": { "text": "letter" },
            "title": "Letter", "date": "2026-02-02", "subject": { "reference": "Patient/h" },
            "author": [{ "reference": "Practitioner/d" }], "section": [{ "entry": [{ "reference": "Observation/h-o" }] }] }),
        json!({ "resourceType": "Flag", "id": "h-f", "meta": { "tag": [{ "code": "canary" }] },
            "status": "active", "code": { "text": "canary" },
            "subject": { "reference": "Patient/h" } }),
    ];
    all.extend(around("h", "Encounter/h-e", "canary"));
    all
}

const SEARCHES: &[&str] = &[
    "?_type=Patient,Observation,Encounter&_total=accurate",
    "?_type=Patient&_summary=count",
    "Patient?_total=accurate",
    "Patient?_total=estimate",
    "Patient?_summary=count",
    "Patient?_sort=-birthdate,family&_count=1",
    "Patient?identifier=urn:mrn%7Ccanary-1",
    "Patient?family:contains=anaryso&_total=accurate",
    "Patient?family:exact=Canaryson",
    "Patient?gender:not=male&_total=accurate",
    "Patient?deceased:missing=true&_total=accurate",
    "Patient?_id=h",
    "Patient?_filter=family%20co%20%22anaryso%22",
    "Patient?_has:Observation:patient:code=canary",
    "Patient?_list=h-l",
    "Patient?_lastUpdated=gt2000-01-01&_total=accurate",
    "Patient?general-practitioner:Practitioner.family=Okafor&_total=accurate",
    "Patient?_id=n&_revinclude=*&_include=*",
    "Practitioner?_has:Patient:general-practitioner:family=Canaryson",
    "Practitioner?_has:Patient:general-practitioner:_has:Observation:patient:code=canary",
    "Practitioner?_has:Observation:performer:patient.family=Canaryson",
    "Practitioner?_has:Appointment:actor:patient.identifier=canary-1",
    "Practitioner?_list=h-l",
    "Practitioner?_revinclude=*",
    "Practitioner?_revinclude=Patient:general-practitioner&_revinclude:iterate=Observation:patient",
    "Practitioner?_revinclude=Appointment:actor",
    "Organization?_has:Patient:organization:family=Canaryson",
    "Observation?_total=accurate",
    "Observation?encounter.class=AMB&_total=accurate",
    "Observation?encounter:Encounter.subject:Patient.family=Canaryson",
    "Observation?code-value-quantity=http://loinc.org%7Ccanary$7",
    "Observation?patient:identifier=urn:mrn%7Ccanary-1",
    "Observation?code:text=canary",
    "Observation?_include=Observation:encounter&_include:iterate=Encounter:patient",
    "Observation?_include=*",
    "Observation?_sort=-date,code&_count=1",
    "Observation?_filter=encounter.class%20eq%20AMB",
    "Observation?_filter=not%20(code%20eq%20canary)&_total=accurate",
    "Observation?_list=n-l",
    "List?_include=List:item",
    "List?item:Observation.code=canary",
    "Composition?_include=Composition:encounter",
    "Composition?encounter.status=finished",
    "Appointment?patient.family=Canaryson",
    "Appointment?_total=accurate",
    "Flag?_total=accurate",
    "Patient?_text=Canaryson&_total=accurate",
    "Patient?_content=Canaryson&_total=accurate",
    "Patient?_filter=_text%20co%20Canaryson",
    "?_type=Patient,Flag&_content=canary&_total=accurate",
    "Observation?_content=canary",
    "Practitioner?_has:Patient:general-practitioner:_text=Canaryson",
];

const OTHERS: &[&str] = &[
    "_history?_count=1000",
    "Patient/_history",
    "Observation/_history?_since=2000-01-01T00:00:00Z",
    "Patient/h/_history",
    "Patient/h",
    "Observation/h-o/_history/1",
    "Patient/h/$everything",
    "Patient/n/$everything",
    "Encounter/h-e/$everything",
    "Encounter/n-e/$everything",
    "Patient/h/Observation",
    "Patient/h/*",
    "Patient/n/*?_total=accurate",
    "Practitioner/d/*?_total=accurate",
    "Practitioner/d/Observation?_total=accurate",
    "Practitioner/d/Patient?_summary=count",
    "Encounter/h-e/Observation?_total=accurate",
    "Encounter/h-e/*",
    "Observation/$lastn?patient=h",
    "Observation/$lastn?patient=n",
    "Observation/$lastn?patient:Patient.family=Canaryson",
    "Composition/n-c/$document",
    "Composition/h-c/$document",
    "Patient/h/$meta",
    "Patient/h/_history/1/$meta",
    "Patient/h/$validate",
    "$meta",
    "Patient/$meta",
    "Observation/$meta",
];

const GRAPHQL: &[&str] = &[
    "{ PatientList { id name { family } } }",
    "{ PatientConnection(_count: 1) { count pagesize edges { resource { id } } } }",
    "{ ObservationList { id encounter { reference resource(optional: true) { ... on Encounter { id status } } } } }",
    "{ Patient(id: h) { id } }",
    "{ Practitioner(id: d) { id PatientList(_reference: general_practitioner) { id name { family } } ObservationList(_reference: performer) { id } } }",
    "{ Encounter(id: \"h-e\") { id status } }",
    "{ ListList { id entry { item { resource(optional: true) { ... on Observation { id status } } } } } }",
];

fn bundle(kind: &str, urls: &[&str]) -> Value {
    let entries: Vec<Value> = urls
        .iter()
        .map(|url| json!({ "request": { "method": "GET", "url": url } }))
        .collect();
    json!({ "resourceType": "Bundle", "type": kind, "entry": entries })
}

/// Every question, with its name.
#[expect(clippy::too_many_lines, reason = "a list of questions")]
fn questions() -> Vec<(String, Call)> {
    let base = "/t/rosewood/fhir";
    let mut all = Vec::new();
    for path in SEARCHES.iter().chain(OTHERS) {
        let address = match path.strip_prefix('?') {
            Some(query) => format!("{base}?{query}"),
            None => format!("{base}/{path}"),
        };
        all.push((format!("GET {path}"), Call::get(&address)));
        all.push((format!("HEAD {path}"), Call::new("HEAD", address)));
        let batch = bundle("batch", &[path.strip_prefix('/').unwrap_or(path)]);
        all.push((format!("batch {path}"), Call::post(base).json(&batch)));
    }
    let reads = [
        "Patient/h",
        "Observation?code=canary",
        "Patient?_summary=count",
    ];
    let transaction = bundle("transaction", &reads[1..]);
    all.push((
        "transaction".to_owned(),
        Call::post(base).json(&transaction),
    ));
    let transaction = bundle("transaction", &reads);
    all.push((
        "transaction of a read".to_owned(),
        Call::post(base).json(&transaction),
    ));
    for query in GRAPHQL {
        let call = Call::post(format!("{base}/$graphql")).json(&json!({ "query": query }));
        all.push(((*query).to_owned(), call));
    }
    for at in ["Patient/h", "Patient/n"] {
        let query = json!({ "query": "{ id AppointmentList(_reference: patient) { id } }" });
        let call = Call::post(format!("{base}/{at}/$graphql")).json(&query);
        all.push((format!("{at}/$graphql"), call));
    }
    let mut known = patient("x", "o", "Canaryson", "canary-1");
    for gone in ["id", "text", "managingOrganization"] {
        known.as_object_mut().unwrap().remove(gone);
    }
    let given = json!({ "resourceType": "Parameters", "parameter": [{ "name": "resource", "resource": known }] });
    let call = Call::post(format!("{base}/Patient/$match")).json(&given);
    all.push(("$match".to_owned(), call));
    for form in [
        "family=Canaryson&_total=accurate",
        "_has:Observation:patient:code=canary",
    ] {
        let call = Call::post(format!("{base}/Patient/_search")).form(form);
        all.push((format!("_search {form}"), call));
    }
    let view = |ty: &str, column: &str| {
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "viewResource", "resource": {
            "resourceType": "ViewDefinition", "resource": ty, "status": "active",
            "select": [{ "column": [{ "name": "id", "path": "id" }, { "name": "c", "path": column }] }] } }] })
    };
    for (ty, column) in [
        ("Patient", "name.family.first()"),
        ("Observation", "status"),
        ("Flag", "status"),
    ] {
        let call = Call::post(format!("{base}/ViewDefinition/$run")).json(&view(ty, column));
        all.push((format!("$run over {ty}"), call));
    }
    all
}

/// An answer without what differs from request to request.
fn steady(answer: &Answer) -> String {
    let mut headers = answer.headers.clone();
    for moving in ["x-request-id", "content-length"] {
        headers.remove(moving);
    }
    let text = answer.text();
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let is_uuid = rest
            .get(..36)
            .is_some_and(|word| uuid::Uuid::try_parse(word).is_ok());
        if is_uuid {
            out.push_str("<id>");
            rest = &rest[36..];
        } else if let Some(after) = rest.strip_prefix("\"timestamp\":\"") {
            out.push_str("<when>");
            rest = &after[after.find('"').unwrap_or(after.len())..];
        } else if let Some(after) = rest.strip_prefix("\"relation\":\"self\",\"url\":\"") {
            // It says again what was asked for, which is the same in both.
            out.push_str("<self>");
            rest = &after[after.find('"').unwrap_or(after.len())..];
        } else if let Some(after) = rest.strip_prefix("ursor=") {
            out.push_str("ursor=<cursor>");
            rest = after
                .trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-_.~%".contains(c));
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    format!("{} {headers:?} {out}", answer.status)
}

async fn answers(server: &TestServer, token: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, call) in questions() {
        let answer = server.send_now(call.bearer(token)).await;
        assert!(answer.status.as_u16() < 500, "{name}: {}", answer.text());
        all.push((name, steady(&answer)));
    }
    all
}

/// The questions whose answers differ.
fn told(before: &[(String, String)], after: &[(String, String)]) -> Vec<String> {
    let pairs = before
        .iter()
        .zip(after)
        .filter(|(before, after)| before != after);
    pairs
        .map(|((name, before), (_, after))| format!("{name}\n  before {before}\n  after  {after}"))
        .collect()
}

#[tokio::test]
async fn another_ward_s_patient_changes_no_answer() {
    let server = TestServer::start_over(FullText::All, |_| {}).await;
    let feed = server.program(ROSEWOOD).await;
    let (here, north) = server.branch(ROSEWOOD, "North").await;
    let (_, south) = server.branch(ROSEWOOD, "South").await;
    for body in seen(&north) {
        server.put(ROSEWOOD, &feed, &body).await;
    }
    let mut callers = vec![("program", server.program_at(ROSEWOOD, here).await)];
    for role in [
        Role::Nurse,
        Role::Carer,
        Role::Receptionist,
        Role::Doctor,
        Role::Pharmacist,
    ] {
        callers.push((role.as_str(), server.person_at(ROSEWOOD, role, here).await));
    }
    let all = answers(&server, &feed).await;
    let mut before = Vec::new();
    for (_, token) in &callers {
        before.push(answers(&server, token).await);
    }
    for body in hidden(&south) {
        server.put(ROSEWOOD, &feed, &body).await;
    }
    for ((who, token), before) in callers.iter().zip(&before) {
        let told = told(before, &answers(&server, token).await);
        assert!(
            told.is_empty(),
            "{who} is told by {} answers:\n{}",
            told.len(),
            told.join("\n")
        );
    }
    let told = told(&all, &answers(&server, &feed).await).len();
    assert!(
        told * 2 > all.len(),
        "only {told} of {} questions would tell",
        all.len()
    );
}

#[tokio::test]
async fn a_patient_who_moved_away_is_seen_no_more_than_one_who_never_was() {
    let server = TestServer::start().await;
    let feed = server.program(ROSEWOOD).await;
    let (here, north) = server.branch(ROSEWOOD, "North").await;
    let (_, south) = server.branch(ROSEWOOD, "South").await;
    for body in seen(&north) {
        server.put(ROSEWOOD, &feed, &body).await;
    }
    let nurse = server.person_at(ROSEWOOD, Role::Nurse, here).await;
    for body in hidden(&north) {
        server.put(ROSEWOOD, &feed, &body).await;
    }
    let there = server
        .send(Call::get("/t/rosewood/fhir/Observation/h-o").bearer(&nurse))
        .await;
    there.expect(200);
    server
        .put(
            ROSEWOOD,
            &feed,
            &patient("h", &south, "Canaryson", "canary-1"),
        )
        .await;
    for (name, answer) in answers(&server, &nurse).await {
        for canary in ["Canaryson\"", "\"canary", "\"h-o\"", "\"h-f\"", "\"h-a\""] {
            assert!(!answer.contains(canary), "{name} shows {canary}: {answer}");
        }
    }
}

#[tokio::test]
async fn the_same_ids_in_another_tenant_change_no_answer() {
    let server = TestServer::start().await;
    let ours = server.program(ROSEWOOD).await;
    let theirs = server.program(LAKESIDE).await;
    let (_, north) = server.branch(ROSEWOOD, "North").await;
    let doctor = server.person(ROSEWOOD, Role::Doctor).await;
    for body in seen(&north) {
        server.put(ROSEWOOD, &ours, &body).await;
    }
    let mut before = Vec::new();
    for token in [&ours, &doctor] {
        before.push(answers(&server, token).await);
    }
    for body in seen(&north).into_iter().chain(hidden(&north)) {
        server.put(LAKESIDE, &theirs, &body).await;
    }
    for (token, before) in [&ours, &doctor].into_iter().zip(&before) {
        let told = told(before, &answers(&server, token).await);
        assert!(told.is_empty(), "{}", told.join("\n"));
    }
}
