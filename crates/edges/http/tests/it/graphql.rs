//! GraphQL as a client has it: what queries answer, whom they answer, and bombs.

#![expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]

use std::fmt::Write as _;

use identity::Role;
use serde_json::{Value, json};

use crate::bulk::{observation, patient};
use crate::server::{Call, LAKESIDE, ROSEWOOD, TestServer};

const SYSTEM: &str = "/t/rosewood/fhir/$graphql";
const ONE: &str = "/t/rosewood/fhir/Patient/a/$graphql";

async fn filled(server: &TestServer, tenant: &str, token: &str, family: &str) {
    let person = json!({
        "resourceType": "Patient", "id": "a", "gender": "female", "birthDate": "1950-01-01", "active": true,
        "name": [
            { "use": "official", "family": family, "given": ["Ann", "Beth"] },
            { "use": "usual", "family": "Price", "given": ["Cath"] },
        ],
        "telecom": [{ "system": "phone", "value": "1" }, { "system": "email", "value": "a@x.example" }],
        "generalPractitioner": [{ "reference": "#gp" }, { "reference": "Practitioner/none" }],
        "contained": [{ "resourceType": "Practitioner", "id": "gp", "gender": "male" }],
    });
    server.put(tenant, token, &person).await;
    server.put(tenant, token, &patient("b", None)).await;
    for (id, of, code) in [
        ("o1", "a", "8867-4"),
        ("o2", "a", "8310-5"),
        ("o3", "b", "8867-4"),
    ] {
        let mut seen = observation(id, of, code);
        seen["valueQuantity"] = json!({ "value": 1.50, "unit": "mg" });
        server.put(tenant, token, &seen).await;
    }
}

async fn ask(server: &TestServer, token: &str, at: &str, query: &str) -> Value {
    let call = Call::post(at)
        .bearer(token)
        .json(&json!({ "query": query }));
    server.send(call).await.expect(200).json()
}

#[tokio::test]
async fn queries_answer_what_the_tree_holds() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    filled(&server, ROSEWOOD, &token, "Quinn").await;
    let cases: &[(&str, &str, Value)] = &[
        (
            ONE,
            "{ id gender active resourceType __typename }",
            json!({ "id": "a", "gender": "female", "active": true, "resourceType": "Patient", "__typename": "Patient" }),
        ),
        (
            ONE,
            "{ name(use: usual) { family given } }",
            json!({ "name": [{ "family": "Price", "given": ["Cath"] }] }),
        ),
        (
            ONE,
            "{ name(fhirpath: \"given.count() > 1\") { family } }",
            json!({ "name": [{ "family": "Quinn" }] }),
        ),
        (
            ONE,
            "{ name(_offset: 1, _count: 5) { family } telecom(_count: 1) { value } }",
            json!({ "name": [{ "family": "Price" }], "telecom": [{ "value": "1" }] }),
        ),
        (
            ONE,
            "{ n: name @first { g: given @first } maritalStatus { text } photo { title } }",
            json!({ "n": { "g": "Ann" }, "maritalStatus": null, "photo": [] }),
        ),
        (
            ONE,
            "{ name @flatten { family given } }",
            json!({ "family": ["Quinn", "Price"], "given": ["Ann", "Beth", "Cath"] }),
        ),
        (
            ONE,
            "{ name(use: official) @flatten { family @singleton } }",
            json!({ "family": "Quinn" }),
        ),
        (
            ONE,
            "{ telecom @slice(path: \"system\") { value } name @flatten @slice(path: \"$index\") { family } }",
            json!({ "telecom.phone": { "value": "1" }, "telecom.email": { "value": "a@x.example" }, "family.0": ["Quinn"], "family.1": ["Price"] }),
        ),
        (
            ONE,
            "{ ...who ... on Observation { status } ... on DomainResource { birthDate } } fragment who on Patient { gender }",
            json!({ "gender": "female", "birthDate": "1950-01-01" }),
        ),
        (
            ONE,
            "query($no: Boolean = false) { id @include(if: $no) gender @skip(if: $no) }",
            json!({ "gender": "female" }),
        ),
        (
            ONE,
            "{ name { family } name { given @first } }",
            json!({ "name": [{ "family": "Quinn", "given": "Ann" }, { "family": "Price", "given": "Cath" }] }),
        ),
        (
            ONE,
            "{ ObservationList(_reference: subject, code: \"8867-4\") { id valueQuantity { value unit } value { ... on Quantity { unit } } } }",
            json!({ "ObservationList": [{ "id": "o1", "valueQuantity": { "value": 1.5, "unit": "mg" }, "value": { "unit": "mg" } }] }),
        ),
        (
            ONE,
            "{ generalPractitioner(_count: 1) { reference resource { ... on Practitioner { gender } } } }",
            json!({ "generalPractitioner": [{ "reference": "#gp", "resource": { "gender": "male" } }] }),
        ),
        (
            SYSTEM,
            "{ Patient(id: a) { id } none: PatientList(gender: male) { id } }",
            json!({ "Patient": { "id": "a" }, "none": [] }),
        ),
        (
            SYSTEM,
            "{ ObservationList(code: [\"8867-4\", \"8310-5\"], _sort: \"_id\", _offset: 1, _count: 1) { id subject { resource(type: Patient) { ... on Patient { gender } } } } }",
            json!({ "ObservationList": [{ "id": "o2", "subject": { "resource": { "gender": "female" } } }] }),
        ),
    ];
    for (at, query, expected) in cases {
        let answer = ask(&server, &token, at, query).await;
        assert_eq!(answer["data"], *expected, "{query}: {answer}");
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
    }
    // Numbers keep their digits.
    let text = server
        .send(
            Call::get(format!(
                "{SYSTEM}?query=%7BObservation(id:%20o1)%7BvalueQuantity%7Bvalue%7D%7D%7D"
            ))
            .bearer(&token),
        )
        .await
        .expect(200);
    assert!(text.header("content-type").starts_with("application/json"));
    let written = Call::post(SYSTEM)
        .bearer(&token)
        .header("content-type", "application/graphql")
        .bytes("{ Patient(id: \"a\") { id } }");
    assert_eq!(
        server.send(written).await.expect(200).json()["data"]["Patient"]["id"],
        "a"
    );
    let named = json!({ "query": "query A { Patient(id: a) { id } } query B($id: ID!) { Patient(id: $id) { gender } }", "operationName": "B", "variables": { "id": "b" } });
    let answer = server
        .send(Call::post(SYSTEM).bearer(&token).json(&named))
        .await
        .expect(200)
        .json();
    assert_eq!(answer["data"], json!({ "Patient": { "gender": "female" } }));
}

#[tokio::test]
async fn connections_page_and_what_is_not_there_is_null_and_named() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    filled(&server, ROSEWOOD, &token, "Quinn").await;
    let mut cursor = String::new();
    let mut seen = Vec::new();
    loop {
        let query = format!(
            "{{ ObservationConnection(_count: 2, _sort: \"_id\"{cursor}) {{ count pagesize next edges {{ mode resource {{ id }} }} }} }}"
        );
        let answer = ask(&server, &token, SYSTEM, &query).await;
        let page = &answer["data"]["ObservationConnection"];
        assert_eq!(page["count"], 3, "{answer}");
        for edge in page["edges"].as_array().unwrap() {
            assert_eq!(edge["mode"], "match");
            seen.push(edge["resource"]["id"].as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!(", _cursor: \"{next}\""),
            None => break,
        }
    }
    assert_eq!(seen, ["o1", "o2", "o3"]);
    let answer = ask(
        &server,
        &token,
        SYSTEM,
        "{ here: Patient(id: a) { id } gone: Patient(id: none) { id } }",
    )
    .await;
    assert_eq!(
        answer["data"],
        json!({ "here": { "id": "a" }, "gone": null })
    );
    assert_eq!(answer["errors"][0]["path"], json!(["gone"]));
    let query = |arguments: &str| {
        format!(
            "{{ generalPractitioner(_offset: 1) {{ resource{arguments} {{ ... on Practitioner {{ id }} }} }} }}"
        )
    };
    let strict = ask(&server, &token, ONE, &query("")).await;
    assert!(
        strict["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("Practitioner/none"),
        "{strict}"
    );
    let optional = ask(&server, &token, ONE, &query("(optional: true)")).await;
    assert_eq!(
        optional["data"]["generalPractitioner"][0]["resource"],
        Value::Null
    );
    assert!(optional.get("errors").is_none());
    let several = ask(
        &server,
        &token,
        ONE,
        "{ name @flatten { family @singleton } }",
    )
    .await;
    assert!(
        several["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("@singleton")
    );
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_bombs_are_bounded() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    filled(&server, ROSEWOOD, &token, "Quinn").await;
    let deep = format!(
        "{}id{}",
        "{ link { other { resource ".repeat(20),
        "}".repeat(60)
    );
    let mut doubling = String::from("{ ...f0 }");
    for number in 0..40 {
        let _ = write!(
            doubling,
            " fragment f{number} on Patient {{ ...f{0} ...f{0} }}",
            number + 1
        );
    }
    doubling.push_str(" fragment f40 on Patient { id }");
    let aliases = (0..600).fold(String::new(), |mut text, number| {
        let _ = write!(text, "a{number}: Patient(id: a) {{ id }} ");
        text
    });
    let cases: &[(&str, &str, u16)] = &[
        (ONE, "{ shoeSize }", 400),
        (ONE, "{ name }", 400),
        (ONE, "{ id { x } }", 400),
        (ONE, "{ name(shoe: a) { family } }", 400),
        (ONE, "{ name(fhirpath: \"((\") { family } }", 400),
        (ONE, "{ a: id a: gender }", 400),
        (ONE, "{ ... on Nothing { id } }", 400),
        (ONE, "{ ObservationList(code: x) { id } }", 400),
        (ONE, "{ ...a } fragment a on Patient { ...a }", 400),
        (ONE, "{ __schema { shoes } }", 400),
        (ONE, "{ __schema }", 400),
        (SYSTEM, "{ __type { name } }", 400),
        (SYSTEM, "{ __fields { name } }", 400),
        (SYSTEM, "{ __schema { types { name { x } } } }", 400),
        (ONE, "mutation { id }", 400),
        (SYSTEM, "{ PatientList(shoe: 1) { id } }", 400),
        (SYSTEM, "{ PatientList(_elements: id) { id } }", 400),
        (SYSTEM, "{ PatientList(_offset: 5000) { id } }", 400),
        (SYSTEM, "{ Patient { id } }", 400),
        (SYSTEM, "{ Nothing { id } }", 400),
        (SYSTEM, "", 400),
        (ONE, &deep, 400),
        (ONE, &doubling, 413),
        (SYSTEM, &format!("{{ {aliases} }}"), 403),
    ];
    for (at, query, status) in cases {
        let call = Call::post(*at)
            .bearer(&token)
            .json(&json!({ "query": query }));
        let answer = server.send(call).await;
        let shown: String = query.chars().take(80).collect();
        assert_eq!(
            answer.status.as_u16(),
            *status,
            "{shown}: {}",
            answer.text()
        );
        assert_eq!(answer.json()["resourceType"], "OperationOutcome");
    }
    // Four reads of each other in a circle end with the query.
    let circle = "{ ObservationList(_reference: subject) { subject { resource { ... on Patient { ObservationList(_reference: subject) { id } } } } } }";
    let answer = ask(&server, &token, ONE, circle).await;
    assert_eq!(
        answer["data"]["ObservationList"][0]["subject"]["resource"]["ObservationList"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn names_count_as_part_of_an_answer_and_skipped_fields_as_work() {
    let server = TestServer::start_with(|settings| settings.limits.answer_bytes = 128 << 10).await;
    let token = server.program(ROSEWOOD).await;
    let names: Vec<Value> = (0..110)
        .map(|at| json!({ "text": format!("n{at}") }))
        .collect();
    let person = json!({ "resourceType": "Patient", "id": "a", "name": names });
    server.put(ROSEWOOD, &token, &person).await;
    let send = async |query: &str| {
        let call = Call::post(ONE)
            .bearer(&token)
            .json(&json!({ "query": query }));
        server.send(call).await
    };
    let repeated = |field: &str| {
        (0..10).fold(String::new(), |mut text, at| {
            let _ = write!(text, "a{at}: name {{ {field} }} ");
            text
        })
    };
    let long = "x".repeat(240);
    let plain = format!("{{ {} }}", repeated("text"));
    send(&plain).await.expect(200);
    for query in [
        // The same values under names that are long.
        format!("{{ {} }}", repeated(&format!("{long}: text"))),
        format!("{{ {} }}", repeated(&format!("{long}: __typename"))),
        format!(
            "{{ ...n }} fragment n on Patient {{ {} }}",
            repeated(&format!("{long}: use"))
        ),
        format!(
            "{{ {} }}",
            repeated(&format!("text @slice(path: \"'{long}'\")"))
        ),
        format!(
            "{{ name @flatten @slice(path: \"'{}'\") {{ text use }} }}",
            long.repeat(4)
        ),
    ] {
        send(&query).await.expect(403);
    }
    // A name may have 256 characters.
    send(&format!("{{ {}: id }}", "x".repeat(256)))
        .await
        .expect(200);
    send(&format!("{{ {}: id }}", "x".repeat(257)))
        .await
        .expect(400);
    // What is left out is looked at, for every object.
    for skipped in ["id @skip(if: true)", "... on Address { id }"] {
        let few = format!("{{ name {{ text {} }} }}", format!("{skipped} ").repeat(10));
        send(&few).await.expect(200);
        let many = format!(
            "{{ name {{ text {} }} }}",
            format!("{skipped} ").repeat(1_900)
        );
        send(&many).await.expect(403);
    }
}

#[tokio::test]
async fn policy_tenants_and_ledger_hold_as_over_rest() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let theirs = server.program(LAKESIDE).await;
    let (branch, organization) = server.branch(ROSEWOOD, "Garden").await;
    filled(&server, ROSEWOOD, &token, "Quinn").await;
    filled(&server, LAKESIDE, &theirs, "canary-lakeside").await;
    server
        .put(ROSEWOOD, &token, &patient("near", Some(&organization)))
        .await;
    server
        .put(ROSEWOOD, &token, &observation("near-o", "near", "8867-4"))
        .await;
    let everything = "{ PatientList { id name { family } } ObservationList { id subject { resource(optional: true) { ... on Patient { id name { family } } } } } }";
    let own = ask(&server, &token, SYSTEM, everything).await.to_string();
    assert!(own.contains("Quinn") && !own.contains("canary-lakeside"));
    let foreign = Call::post("/t/lakeside/fhir/$graphql")
        .bearer(&token)
        .json(&json!({ "query": everything }));
    server.send(foreign).await.expect(401);
    // A role bound to a branch sees its patients, through lists, references and back.
    let nurse = server.person_at(ROSEWOOD, Role::Nurse, branch).await;
    let seen = ask(&server, &nurse, SYSTEM, everything).await;
    assert_eq!(
        seen["data"]["PatientList"].as_array().unwrap().len(),
        1,
        "{seen}"
    );
    assert_eq!(
        seen["data"]["ObservationList"].as_array().unwrap().len(),
        1,
        "{seen}"
    );
    let far = ask(
        &server,
        &nurse,
        SYSTEM,
        "{ Patient(id: a) { id ObservationList(_reference: subject) { id } } }",
    )
    .await;
    assert_eq!(far["data"]["Patient"], Value::Null);
    server
        .send(
            Call::post(ONE)
                .bearer(&nurse)
                .json(&json!({ "query": "{ id }" })),
        )
        .await
        .expect(404);
    let administrator = server.person(ROSEWOOD, Role::Administrator).await;
    let denied = ask(&server, &administrator, SYSTEM, "{ PatientList { id } }").await;
    assert_eq!(denied["data"]["PatientList"], Value::Null);
    assert_eq!(denied["errors"][0]["extensions"]["code"], "forbidden");
    let nobody = Call::post(SYSTEM).json(&json!({ "query": "{ PatientList { id } }" }));
    server.send(nobody).await.expect(401);
    // Each look is in the ledger.
    let auditor = server.person(ROSEWOOD, Role::Auditor).await;
    let about = |id: &str| {
        Call::get(format!("/t/rosewood/api/v1/audit/patients/{id}?log=access")).bearer(&auditor)
    };
    let before = server.send(about("near")).await.expect(200).text();
    ask(&server, &nurse, SYSTEM, "{ Patient(id: near) { id } }").await;
    let after = server.send(about("near")).await.expect(200).text();
    let count = |text: &str| text.matches("\"class\":\"read\"").count();
    assert_eq!(count(&after), count(&before) + 1);
}

/// The query that GraphiQL and the builders of typed clients begin with.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema {
    queryType { name } mutationType { name } subscriptionType { name }
    types { ...FullType }
    directives { name description locations args { ...InputValue } } } }
fragment FullType on __Type { kind name description
    fields(includeDeprecated: true) { name description args { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
    inputFields { ...InputValue } interfaces { ...TypeRef }
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
    possibleTypes { ...TypeRef } }
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue }
fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name ofType { kind name ofType { kind name } } } } } } } }";

fn base(ty: &Value) -> &str {
    match ty["name"].as_str() {
        Some(name) => name,
        None => base(&ty["ofType"]),
    }
}

#[tokio::test]
async fn the_schema_is_told_as_clients_ask_for_it() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    filled(&server, ROSEWOOD, &token, "Quinn").await;
    let told = ask(&server, &token, SYSTEM, INTROSPECTION).await;
    assert!(told.get("errors").is_none(), "{}", told["errors"]);
    let schema = &told["data"]["__schema"];
    assert_eq!(schema["queryType"]["name"], "Query");
    assert_eq!(schema["mutationType"], Value::Null);
    let types = schema["types"].as_array().unwrap();
    let named = |name: &str| {
        let found = types.iter().find(|ty| ty["name"] == name);
        found.unwrap_or_else(|| panic!("there is no {name}"))
    };
    // Everything that is named is there.
    for ty in types {
        for field in ty["fields"].as_array().into_iter().flatten() {
            named(base(&field["type"]));
            for argument in field["args"].as_array().unwrap() {
                named(base(&argument["type"]));
            }
        }
    }
    let field = |ty: &str, name: &str| {
        let fields = named(ty)["fields"].as_array().unwrap();
        let found = fields.iter().find(|field| field["name"] == name);
        found
            .unwrap_or_else(|| panic!("{ty} has no {name}"))
            .clone()
    };
    assert_eq!(base(&field("Patient", "contact")["type"]), "PatientContact");
    assert_eq!(field("Patient", "name")["type"]["kind"], "LIST");
    assert_eq!(
        base(&field("Observation", "valueQuantity")["type"]),
        "Quantity"
    );
    assert_eq!(
        base(&field("Query", "PatientConnection")["type"]),
        "PatientConnection"
    );
    let by = field("Query", "ObservationList")["args"].to_string();
    assert!(
        by.contains("code_value_quantity") && by.contains("_count"),
        "{by}"
    );
    let possible = named("Resource")["possibleTypes"].as_array().unwrap();
    assert!(possible.len() > 140, "{}", possible.len());
    // What the schema says is what a query answers.
    let query = "{ Patient(id: \"a\") { __typename name { __typename } ... on Resource { id } } __type(name: \"HumanName\") { name kind fields { name } } }";
    let answer = &ask(&server, &token, SYSTEM, query).await["data"];
    assert_eq!(answer["Patient"]["__typename"], "Patient");
    assert_eq!(answer["Patient"]["id"], "a");
    assert_eq!(answer["__type"]["kind"], "OBJECT");
    let contact =
        json!({ "resourceType": "Patient", "id": "k", "contact": [{ "gender": "male" }] });
    server.put(ROSEWOOD, &token, &contact).await;
    let query = "{ contact { __typename ... on PatientContact { gender } } __schema { queryType { name } } }";
    let answer = &ask(
        &server,
        &token,
        "/t/rosewood/fhir/Patient/k/$graphql",
        query,
    )
    .await["data"];
    assert_eq!(
        answer,
        &json!({ "contact": [{ "__typename": "PatientContact", "gender": "male" }],
            "__schema": { "queryType": { "name": "Patient" } } })
    );
}

#[tokio::test]
async fn the_schema_has_only_what_its_reader_may_search() {
    let server = TestServer::start().await;
    let desk = server.person(ROSEWOOD, Role::Receptionist).await;
    let query = "{ __schema { types { name fields { name } } } note: __type(name: \"Observation\") { name } part: __type(name: \"ObservationComponent\") { name } who: __type(name: \"Patient\") { name } }";
    let told = ask(&server, &desk, SYSTEM, query).await;
    let data = &told["data"];
    assert_eq!(data["who"]["name"], "Patient", "{}", told["errors"]);
    assert_eq!((&data["note"], &data["part"]), (&Value::Null, &Value::Null));
    let text = data["__schema"].to_string();
    assert!(text.contains("PatientList"));
    for hidden in [
        "Observation",
        "ObservationComponent",
        "ObservationList",
        "Condition",
    ] {
        let hidden = format!("\"{hidden}\"");
        assert!(!text.contains(&hidden), "{hidden}");
    }
    // Costs are bounded as of any query.
    let many: String = (0..40).fold(String::new(), |mut all, n| {
        let _ = write!(
            all,
            "a{n}: __schema {{ types {{ fields {{ name args {{ name type {{ name }} }} }} }} }} "
        );
        all
    });
    let call = Call::post(SYSTEM).bearer(&desk);
    let call = call.json(&json!({ "query": format!("{{ {many} }}") }));
    server.send(call).await.expect(403);
}
