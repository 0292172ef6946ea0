//! Terminology over the wire: a tenant's own code systems, value sets and maps beside those of R4, what is
//! not loaded, and what the twin must not see.

use identity::Role;
use serde_json::{Value, json};

use crate::server::{Call, LAKESIDE, ROSEWOOD, TestServer};

struct House {
    server: TestServer,
    program: String,
    nurse: String,
}

async fn house() -> House {
    let server = TestServer::start().await;
    let program = server.program(ROSEWOOD).await;
    let nurse = server.person(ROSEWOOD, Role::Nurse).await;
    for resource in [animals(), pets(&["cat", "dog"]), map()] {
        server.put(ROSEWOOD, &program, &resource).await;
    }
    House {
        server,
        program,
        nurse,
    }
}

fn animals() -> Value {
    json!({
        "resourceType": "CodeSystem", "id": "animals", "url": "http://rosewood.example/animals",
        "version": "1", "status": "active", "content": "complete", "hierarchyMeaning": "is-a",
        "name": "Animals",
        "property": [{ "code": "weight", "type": "decimal" }],
        "concept": [{
            "code": "animal", "display": "Animal", "concept": [
                { "code": "cat", "display": "Cat", "definition": "It purrs",
                  "designation": [{ "language": "de", "value": "Katze" }],
                  "property": [{ "code": "weight", "valueDecimal": serde_json::from_str::<Value>("4.50").unwrap() }] },
                { "code": "dog", "display": "Dog" },
                { "code": "bat", "display": "Bat" },
            ],
        }],
    })
}

fn pets(codes: &[&str]) -> Value {
    let concepts: Vec<Value> = codes.iter().map(|code| json!({ "code": code })).collect();
    json!({
        "resourceType": "ValueSet", "id": "pets", "url": "http://rosewood.example/pets", "status": "active",
        "compose": { "include": [{ "system": "http://rosewood.example/animals", "concept": concepts }] },
    })
}

fn map() -> Value {
    json!({
        "resourceType": "ConceptMap", "id": "legs", "url": "http://rosewood.example/legs", "status": "active",
        "group": [{
            "source": "http://rosewood.example/animals", "target": "http://rosewood.example/count",
            "element": [
                { "code": "cat", "target": [{ "code": "four", "equivalence": "wider" }] },
                { "code": "bat", "target": [{ "code": "two", "equivalence": "wider",
                    "dependsOn": [{ "property": "wings", "value": "folded" }] }] },
            ],
            "unmapped": { "mode": "fixed", "code": "unknown" },
        }],
    })
}

impl House {
    async fn get(&self, status: u16, address: &str) -> Value {
        let call = Call::get(format!("/t/rosewood/fhir/{address}")).bearer(&self.nurse);
        self.server.send(call).await.expect(status).json()
    }

    async fn post(&self, status: u16, address: &str, parameters: Value) -> Value {
        let body = json!({ "resourceType": "Parameters", "parameter": parameters });
        let call = Call::post(format!("/t/rosewood/fhir/{address}")).bearer(&self.nurse);
        self.server
            .send(call.json(&body))
            .await
            .expect(status)
            .json()
    }
}

/// The value of a parameter.
fn value<'a>(parameters: &'a Value, name: &str) -> &'a Value {
    let all = parameters["parameter"].as_array().unwrap();
    let one = all.iter().find(|one| one["name"] == name);
    let one = one.unwrap_or_else(|| panic!("no {name} in {parameters}"));
    let (_, value) = one
        .as_object()
        .unwrap()
        .iter()
        .find(|(key, _)| key.starts_with("value"))
        .unwrap();
    value
}

fn codes(set: &Value) -> Vec<&str> {
    let contains = set["expansion"]["contains"].as_array();
    contains
        .map(|all| {
            all.iter()
                .map(|one| one["code"].as_str().unwrap())
                .collect()
        })
        .unwrap_or_default()
}

#[tokio::test]
async fn a_tenants_own_value_sets_are_expanded_and_follow_their_changes() {
    let house = house().await;
    let expand = "ValueSet/$expand?url=http://rosewood.example/pets";
    let set = house.get(200, expand).await;
    assert_eq!(codes(&set), ["cat", "dog"]);
    assert_eq!(set["expansion"]["total"], 2);
    assert_eq!(set["expansion"]["contains"][0]["display"], "Cat");
    let german = house
        .get(200, &format!("{expand}&filter=ca&displayLanguage=de"))
        .await;
    assert_eq!(german["expansion"]["contains"][0]["display"], "Katze");
    assert_eq!(codes(&german), ["cat"]);
    let page = house.get(200, &format!("{expand}&offset=1&count=1")).await;
    assert_eq!(codes(&page), ["dog"]);
    assert_eq!(
        codes(&house.get(200, "ValueSet/pets/$expand").await),
        ["cat", "dog"]
    );
    let given = json!([{ "name": "valueSet", "resource": pets(&["bat"]) }]);
    assert_eq!(
        codes(&house.post(200, "ValueSet/$expand", given).await),
        ["bat"]
    );

    house
        .server
        .put(ROSEWOOD, &house.program, &pets(&["bat", "cat"]))
        .await;
    assert_eq!(codes(&house.get(200, expand).await), ["bat", "cat"]);
    let gone = Call::delete("/t/rosewood/fhir/ValueSet/pets").bearer(&house.program);
    house.server.send(gone).await.expect(204);
    let outcome = house.get(404, expand).await;
    assert_eq!(outcome["issue"][0]["code"], "not-found");
    let odd = house.get(400, "ValueSet/$expand?url=http://x&odd=1").await;
    assert!(
        odd["issue"][0]["diagnostics"]
            .as_str()
            .unwrap()
            .contains("odd")
    );
}

#[tokio::test]
async fn codes_are_looked_up_compared_and_validated() {
    let house = house().await;
    let system = "system=http://rosewood.example/animals";
    let looked = house
        .get(200, &format!("CodeSystem/$lookup?{system}&code=cat"))
        .await;
    assert_eq!(value(&looked, "display"), "Cat");
    assert_eq!(value(&looked, "definition"), "It purrs");
    assert!(
        looked.to_string().contains(r#""valueDecimal":4.50"#),
        "{looked}"
    );
    let missing = house
        .get(404, &format!("CodeSystem/$lookup?{system}&code=cow"))
        .await;
    assert_eq!(missing["issue"][0]["code"], "code-invalid");
    for (a, b, outcome) in [
        ("animal", "cat", "subsumes"),
        ("cat", "animal", "subsumed-by"),
        ("cat", "cat", "equivalent"),
        ("cat", "dog", "not-subsumed"),
    ] {
        let address = format!("CodeSystem/$subsumes?{system}&codeA={a}&codeB={b}");
        assert_eq!(value(&house.get(200, &address).await, "outcome"), outcome);
        let address = format!("CodeSystem/animals/$subsumes?codeA={a}&codeB={b}");
        assert_eq!(value(&house.get(200, &address).await, "outcome"), outcome);
    }
    let pets = "ValueSet/$validate-code?url=http://rosewood.example/pets";
    for (rest, result) in [
        (format!("{system}&code=cat"), true),
        (format!("{system}&code=cat&display=katze"), true),
        (format!("{system}&code=cat&display=dog"), false),
        (format!("{system}&code=bat"), false),
        ("system=http://elsewhere.example&code=cat".to_owned(), false),
    ] {
        let answer = house.get(200, &format!("{pets}&{rest}")).await;
        assert_eq!(value(&answer, "result"), result, "{rest} {answer}");
    }
    let concept = json!({ "coding": [
        { "system": "http://elsewhere.example", "code": "1" },
        { "system": "http://rosewood.example/animals", "code": "dog" },
    ]});
    let asked = json!([{ "name": "codeableConcept", "valueCodeableConcept": concept }]);
    let answer = house.post(200, "ValueSet/pets/$validate-code", asked).await;
    assert_eq!(value(&answer, "result"), true);
    let known = "CodeSystem/$validate-code?url=http://rosewood.example/animals&code";
    assert_eq!(
        value(&house.get(200, &format!("{known}=bat")).await, "result"),
        true
    );
    assert_eq!(
        value(&house.get(200, &format!("{known}=cow")).await, "result"),
        false
    );
    let gender = "ValueSet/$validate-code?url=http://hl7.org/fhir/ValueSet/administrative-gender&code=female&system=http://hl7.org/fhir/administrative-gender";
    assert_eq!(value(&house.get(200, gender).await, "display"), "Female");
}

#[tokio::test]
async fn what_is_not_loaded_is_said_and_never_a_no() {
    let house = house().await;
    let sct = "http://snomed.info/sct";
    for address in [
        format!("ValueSet/$validate-code?url={sct}?fhir_vs&system={sct}&code=386661006"),
        format!("ValueSet/$expand?url={sct}?fhir_vs=isa/386661006"),
        format!("CodeSystem/$validate-code?url={sct}&code=386661006"),
        format!("CodeSystem/$lookup?system={sct}&code=386661006"),
        format!("CodeSystem/$subsumes?system={sct}&codeA=1&codeB=2"),
    ] {
        let outcome = house
            .get(422, &address.replacen("?fhir_vs", "%3Ffhir_vs", 1))
            .await;
        assert_eq!(
            outcome["issue"][0]["code"], "not-found",
            "{address} {outcome}"
        );
    }
}

#[tokio::test]
async fn codes_are_translated_both_ways() {
    let house = house().await;
    let url = "url=http://rosewood.example/legs&system=http://rosewood.example";
    let found = house
        .get(
            200,
            &format!("ConceptMap/$translate?{url}/animals&code=cat"),
        )
        .await;
    assert_eq!(value(&found, "result"), true);
    let text = found.to_string();
    assert!(text.contains("four") && text.contains("wider"), "{text}");
    let back = house
        .get(
            200,
            &format!("ConceptMap/$translate?{url}/count&code=four&reverse=true"),
        )
        .await;
    let text = back.to_string();
    assert!(
        text.contains(r#""code":"cat""#) && text.contains("narrower"),
        "{text}"
    );
    let other = house
        .get(
            200,
            "ConceptMap/legs/$translate?system=http://rosewood.example/animals&code=dog",
        )
        .await;
    assert!(other.to_string().contains("unknown"), "{other}");
    let bat = json!({ "system": "http://rosewood.example/animals", "code": "bat" });
    let alone = json!([{ "name": "coding", "valueCoding": bat }]);
    let answer = house.post(200, "ConceptMap/legs/$translate", alone).await;
    assert_eq!(value(&answer, "result"), false);
    let folded = json!([
        { "name": "coding", "valueCoding": bat },
        { "name": "dependency", "part": [
            { "name": "element", "valueUri": "wings" },
            { "name": "concept", "valueCodeableConcept": { "coding": [{ "code": "folded" }] } },
        ]},
    ]);
    let answer = house.post(200, "ConceptMap/legs/$translate", folded).await;
    assert_eq!(value(&answer, "result"), true);
    let nowhere = "ConceptMap/$translate?url=http://nowhere&system=http://x&code=y";
    house.get(404, nowhere).await;
}

#[tokio::test]
async fn closure_tables_grow_by_versions() {
    let house = house().await;
    let name = json!({ "name": "name", "valueString": "herd" });
    let concept = |code: &str| json!({ "name": "concept", "valueCoding": { "system": "http://rosewood.example/animals", "code": code } });
    house
        .post(404, "$closure", json!([name, concept("cat")]))
        .await;
    let begun = house.post(200, "$closure", json!([name])).await;
    assert_eq!(
        (&begun["version"], &begun["group"]),
        (&json!("0"), &Value::Null)
    );
    house
        .post(
            200,
            "$closure",
            json!([name, concept("cat"), concept("dog")]),
        )
        .await;
    let third = house
        .post(200, "$closure", json!([name, concept("animal")]))
        .await;
    assert_eq!(third["version"], "2");
    assert_eq!(third["group"][0]["element"].as_array().unwrap().len(), 2);
    let again = house
        .post(200, "$closure", json!([name, concept("animal")]))
        .await;
    assert_eq!(
        (&again["version"], &again["group"]),
        (&json!("2"), &Value::Null)
    );
    let version = |version: &str| json!({ "name": "version", "valueString": version });
    let all = house
        .post(200, "$closure", json!([name, version("0")]))
        .await;
    assert_eq!(all["group"][0]["element"].as_array().unwrap().len(), 2);
    let none = house
        .post(200, "$closure", json!([name, version("2")]))
        .await;
    assert_eq!(none["group"], Value::Null);
    let unknown = house
        .post(404, "$closure", json!([name, concept("cow")]))
        .await;
    assert_eq!(unknown["issue"][0]["code"], "code-invalid");
}

#[tokio::test]
async fn a_twin_sees_nothing_of_it() {
    let house = house().await;
    let twin = house.server.person(LAKESIDE, Role::Doctor).await;
    let animals = "system=http://rosewood.example/animals";
    for (address, status) in [
        (
            "ValueSet/$expand?url=http://rosewood.example/pets".to_owned(),
            404,
        ),
        ("ValueSet/pets/$expand".to_owned(), 404),
        (format!("CodeSystem/$lookup?{animals}&code=cat"), 422),
        (
            format!("CodeSystem/$subsumes?{animals}&codeA=cat&codeB=dog"),
            422,
        ),
        (
            "ConceptMap/$translate?url=http://rosewood.example/legs&system=x&code=cat".to_owned(),
            404,
        ),
    ] {
        let call = Call::get(format!("/t/lakeside/fhir/{address}")).bearer(&twin);
        let answer = house.server.send(call).await.expect(status);
        assert!(!answer.text().contains("Cat"), "{address}");
    }
    // The same URL with other content is the twin's own.
    let program = house.server.program(LAKESIDE).await;
    let mut own = animals_of_the_twin();
    house.server.put(LAKESIDE, &program, &own).await;
    let lookup = format!("/t/lakeside/fhir/CodeSystem/$lookup?{animals}&code=cat");
    let answer = house
        .server
        .send(Call::get(&lookup).bearer(&twin))
        .await
        .expect(200);
    assert_eq!(value(&answer.json(), "display"), "Lynx");
    let ours = house
        .get(200, &format!("CodeSystem/$lookup?{animals}&code=cat"))
        .await;
    assert_eq!(value(&ours, "display"), "Cat");
    own["concept"][0]["display"] = json!("Puma");
    house.server.put(LAKESIDE, &program, &own).await;
    let answer = house
        .server
        .send(Call::get(&lookup).bearer(&twin))
        .await
        .expect(200);
    assert_eq!(value(&answer.json(), "display"), "Puma");
}

fn animals_of_the_twin() -> Value {
    json!({
        "resourceType": "CodeSystem", "id": "animals", "url": "http://rosewood.example/animals",
        "version": "1", "status": "active", "content": "complete",
        "concept": [{ "code": "cat", "display": "Lynx" }],
    })
}

#[tokio::test]
async fn questions_are_in_the_access_ledger() {
    let house = house().await;
    house
        .get(
            200,
            "ValueSet/$expand?url=http://rosewood.example/pets&filter=ca",
        )
        .await;
    let auditor = house.server.person(ROSEWOOD, Role::Auditor).await;
    let address = "/t/rosewood/api/v1/audit/entries?log=access&class=search";
    let page = house
        .server
        .send(Call::get(address).bearer(&auditor))
        .await
        .expect(200)
        .json();
    let text = page.to_string();
    assert!(text.contains("ValueSet/$expand?url="), "{text}");
}

#[tokio::test]
async fn a_closure_table_is_its_owners() {
    let house = house().await;
    let name = json!([{ "name": "name", "valueString": "herd" }]);
    let cat = json!({ "system": "http://rosewood.example/animals", "code": "cat" });
    let body = |parts: &Value| json!({ "resourceType": "Parameters", "parameter": parts });
    let with = |code: &str| {
        let mut code_of = cat.clone();
        code_of["code"] = json!(code);
        json!([{ "name": "name", "valueString": "herd" }, { "name": "concept", "valueCoding": code_of }])
    };
    house.post(200, "$closure", name.clone()).await;
    house.post(200, "$closure", with("cat")).await;
    let other = house.server.person(ROSEWOOD, Role::Receptionist).await;
    let ask = |parts: Value| {
        Call::post("/t/rosewood/fhir/$closure")
            .bearer(&other)
            .json(&body(&parts))
    };
    // Under the same name there is nothing of somebody else's, and beginning it anew takes nothing away.
    house.server.send(ask(with("dog"))).await.expect(404);
    house.server.send(ask(name.clone())).await.expect(200);
    let grown = house.post(200, "$closure", with("animal")).await;
    assert_eq!(grown["group"][0]["element"].as_array().unwrap().len(), 1);
    for n in 1..50 {
        let name = json!([{ "name": "name", "valueString": format!("t{n}") }]);
        house.server.send(ask(name)).await.expect(200);
    }
    let more = json!([{ "name": "name", "valueString": "t50" }]);
    let refused = house.server.send(ask(more.clone())).await.expect(409);
    assert!(refused.text().contains("50 closure tables"));
    // One that is there can be begun anew still, and others are not held up.
    house.server.send(ask(name)).await.expect(200);
    house.post(200, "$closure", more).await;
}

#[tokio::test]
async fn what_an_expansion_would_not_do_is_refused_by_name() {
    let house = house().await;
    let url = "ValueSet/$expand?url=http://rosewood.example/pets";
    for parameter in [
        "date=2020-01-01",
        "includeDefinition=true",
        "excludePostCoordinated=true",
    ] {
        let refused = house.get(405, &format!("{url}&{parameter}")).await;
        let name = parameter.split('=').next().unwrap();
        let text = refused["issue"][0]["diagnostics"].as_str().unwrap();
        assert!(text.contains(name), "{text}");
    }
    for parameter in ["includeDefinition=false", "excludePostCoordinated=false"] {
        house.get(200, &format!("{url}&{parameter}")).await;
    }
}
