//! Patches: what they do, over which version, in bundles, and what stops them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::server::{Call, ROSEWOOD, TestServer};

const BASE: &str = "/t/rosewood/fhir";

async fn house() -> (TestServer, String) {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    for id in ["a", "b"] {
        let body = format!(
            r#"{{"resourceType":"Observation","id":"{id}","identifier":[{{"system":"urn:o","value":"{id}"}}],"status":"final","code":{{"text":"weight"}},"valueQuantity":{{"value":70.10,"unit":"kg"}}}}"#
        );
        let put = Call::put(format!("{BASE}/Observation/{id}"))
            .header("content-type", "application/fhir+json")
            .bytes(body);
        server.send(put.bearer(&token)).await.expect(201);
    }
    (server, token)
}

fn patch(path: &str, token: &str, body: &Value) -> Call {
    Call::new("PATCH", format!("{BASE}/{path}"))
        .bearer(token)
        .patch(body)
}

fn unit(to: &str) -> Value {
    json!([{ "op": "replace", "path": "/valueQuantity/unit", "value": to }])
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_nothing_else() {
    let (server, token) = house().await;
    let call = patch("Observation/a", &token, &unit("g")).header("if-match", "W/\"1\"");
    let answer = server.send(call).await.expect(200);
    assert_eq!(answer.header("etag"), "W/\"2\"");
    assert!(!answer.header("audit-receipt").is_empty());
    assert!(
        answer
            .text()
            .contains(r#""valueQuantity":{"value":70.10,"unit":"g"}"#),
        "{}",
        answer.text()
    );
    // The same again changes nothing.
    let again = server
        .send(patch("Observation/a", &token, &unit("g")))
        .await;
    assert_eq!(again.expect(200).header("etag"), "W/\"2\"");
    // What is emptied goes.
    let all = json!([{ "op": "remove", "path": "/identifier/0" }]);
    let answer = server.send(patch("Observation/a", &token, &all)).await;
    assert!(answer.expect(200).json().get("identifier").is_none());
    let minimal = patch("Observation/a", &token, &unit("kg")).header("prefer", "return=minimal");
    assert!(server.send(minimal).await.expect(200).body.is_empty());
    let found = Call::get(format!(
        "{BASE}/Observation?_id=a&value-quantity=70.1%7C%7Ckg"
    ));
    let found = server.send(found.bearer(&token)).await.expect(200);
    assert_eq!(found.json()["entry"][0]["resource"]["id"], "a");
}

#[tokio::test]
async fn a_resource_in_part_is_merged_and_null_removes() {
    let (server, token) = house().await;
    let send = |content: &'static str, body: Value| {
        Call::new("PATCH", format!("{BASE}/Observation/a"))
            .bearer(&token)
            .header("content-type", content)
            .bytes(body.to_string())
    };
    let merge = "application/merge-patch+json";
    let part = json!({ "identifier": null, "valueQuantity": { "unit": "g" } });
    let answer = server.send(send(merge, part)).await.expect(200);
    assert!(answer.json().get("identifier").is_none());
    let quantity = r#""valueQuantity":{"value":70.10,"unit":"g"}"#;
    assert!(answer.text().contains(quantity), "{}", answer.text());
    // Plain JSON is one or the other.
    let part = json!({ "resourceType": "Observation", "id": "a", "status": "amended" });
    let answer = server.send(send("application/json", part)).await;
    assert_eq!(answer.expect(200).json()["status"], "amended");
    let parameters = json!({ "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": [
        { "name": "type", "valueCode": "replace" },
        { "name": "path", "valueString": "Observation.status" },
        { "name": "value", "valueCode": "final" }
    ] }] });
    let answer = server.send(send("application/json", parameters)).await;
    assert_eq!(answer.expect(200).json()["status"], "final");
    for (body, status) in [
        (json!([]), 400),
        (json!({}), 400),
        (json!({ "resourceType": "Patient" }), 422),
        (json!({ "id": "b" }), 422),
        (json!({ "status": null }), 422),
        (json!({ "status": "nonsense" }), 422),
    ] {
        let answer = server.send(send(merge, body.clone())).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
    let fhir = send("application/fhir+json", json!({ "status": "final" }));
    server.send(fhir).await.expect(400);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one conversation")]
async fn what_a_patch_may_not_do_is_refused_and_stores_nothing() {
    let (server, token) = house().await;
    let one =
        |op: &str, path: &str, value: Value| json!([{ "op": op, "path": path, "value": value }]);
    for (path, body, status) in [
        (
            "Observation/a",
            one("replace", "/status", json!("nonsense")),
            422,
        ),
        ("Observation/a", one("remove", "/status", Value::Null), 422),
        ("Observation/a", one("add", "/unknown", json!(1)), 422),
        ("Observation/a", one("replace", "/id", json!("c")), 422),
        ("Observation/a", one("remove", "/id", Value::Null), 422),
        (
            "Observation/a",
            one("replace", "/resourceType", json!("Basic")),
            422,
        ),
        (
            "Observation/a",
            one("add", "", json!({ "resourceType": "Basic" })),
            422,
        ),
        (
            "Observation/a",
            one("test", "/status", json!("amended")),
            422,
        ),
        ("Observation/a", one("remove", "/nothing", Value::Null), 422),
        ("Observation/a", one("jump", "/status", Value::Null), 400),
        ("Observation/a", json!([]), 400),
        ("Observation/a", json!({}), 400),
        ("Observation/none", unit("g"), 404),
        ("Observation?identifier=urn:o%7Cnone", unit("g"), 404),
        ("Observation?status=final", unit("g"), 412),
        ("Observation", unit("g"), 400),
    ] {
        let answer = server.send(patch(path, &token, &body)).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.text());
    }
    let stale = patch("Observation/a", &token, &unit("g")).header("if-match", "W/\"7\"");
    server.send(stale).await.expect(412);
    for content in ["application/x-patch", "text/plain"] {
        let call = Call::new("PATCH", format!("{BASE}/Observation/a"))
            .header("content-type", content)
            .bytes("[]");
        server.send(call.bearer(&token)).await.expect(415);
    }
    let own = json!([{ "op": "replace", "path": "/meta/versionId", "value": "9" }]);
    let answer = server
        .send(patch("Observation/a", &token, &own))
        .await
        .expect(200);
    assert_eq!(
        answer.json()["meta"]["versionId"],
        "1",
        "meta is the server's"
    );
    let read = Call::get(format!("{BASE}/Observation/a")).bearer(&token);
    assert_eq!(
        server.send(read).await.expect(200).header("etag"),
        "W/\"1\""
    );
    server
        .send(Call::delete(format!("{BASE}/Observation/a")).bearer(&token))
        .await
        .expect(204);
    server
        .send(patch("Observation/a", &token, &unit("g")))
        .await
        .expect(410);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one conversation")]
async fn conditional_patches_and_patches_in_bundles() {
    let (server, token) = house().await;
    let call = patch("Observation?identifier=urn:o%7Ca", &token, &unit("g"));
    let answer = server.send(call).await.expect(200);
    assert_eq!(answer.json()["id"], "a");
    let binary = |body: &Value| {
        json!({ "resourceType": "Binary", "contentType": "application/json-patch+json",
                "data": STANDARD.encode(body.to_string()) })
    };
    let link = json!([{ "op": "add", "path": "/subject", "value": { "reference": "urn:uuid:0f9f5d2c-8d5c-4a30-9a1e-3d7c6f0c0001" } }]);
    let entry = |method: &str, url: &str, resource: Option<Value>| {
        let mut entry = json!({ "request": { "method": method, "url": url } });
        if let Some(resource) = resource {
            entry["resource"] = resource;
        }
        entry
    };
    for kind in ["transaction", "batch"] {
        let mut patient = entry(
            "POST",
            "Patient",
            Some(json!({ "resourceType": "Patient" })),
        );
        patient["fullUrl"] = json!("urn:uuid:0f9f5d2c-8d5c-4a30-9a1e-3d7c6f0c0001");
        let mut entries = vec![
            entry("GET", "Observation/a", None),
            entry("HEAD", "Observation/b", None),
            entry(
                "PATCH",
                "Observation?identifier=urn:o|b",
                Some(binary(&unit(kind))),
            ),
        ];
        if kind == "transaction" {
            entries.push(patient);
            entries.push(entry("PATCH", "Observation/a", Some(binary(&link))));
        }
        let bundle = json!({ "resourceType": "Bundle", "type": kind, "entry": entries });
        let call = Call::post(BASE).bearer(&token).json(&bundle);
        let answer = server
            .send(call.header("prefer", "return=representation"))
            .await
            .expect(200)
            .json();
        let entries = answer["entry"].as_array().unwrap();
        assert_eq!(entries[0]["resource"]["id"], "a");
        assert_eq!(entries[1]["response"]["status"], "200 OK");
        assert!(entries[1].get("resource").is_none(), "{answer}");
        assert_eq!(entries[2]["response"]["status"], "200 OK", "{answer}");
        assert_eq!(entries[2]["resource"]["valueQuantity"]["unit"], kind);
        if kind == "transaction" {
            // A GET sees what the transaction did, the patch saw what it made.
            let subject = &entries[0]["resource"]["subject"]["reference"];
            let made = entries[3]["resource"]["id"].as_str().unwrap();
            assert_eq!(*subject, json!(format!("Patient/{made}")));
        }
    }
    let broken = json!([{ "op": "remove", "path": "/status" }]);
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        entry("POST", "Patient", Some(json!({ "resourceType": "Patient", "active": true }))),
        entry("PATCH", "Observation/b", Some(binary(&broken))),
    ]});
    let refused = server
        .send(Call::post(BASE).bearer(&token).json(&bundle))
        .await
        .expect(422);
    assert!(
        refused.text().contains("Bundle.entry[1]"),
        "{}",
        refused.text()
    );
    let found = Call::get(format!("{BASE}/Patient?active=true&_total=accurate")).bearer(&token);
    assert_eq!(server.send(found).await.expect(200).json()["total"], 0);
}

#[tokio::test]
async fn patches_at_the_same_time_all_count() {
    let (server, token) = house().await;
    let calls = (0..8).map(|n| {
        let body =
            json!([{ "op": "add", "path": "/identifier/-", "value": { "value": n.to_string() } }]);
        server.send_now(patch("Observation/a", &token, &body))
    });
    for answer in futures_util::future::join_all(calls).await {
        answer.expect(200);
    }
    let read = Call::get(format!("{BASE}/Observation/a")).bearer(&token);
    let json = server.send(read).await.expect(200).json();
    assert_eq!(json["identifier"].as_array().unwrap().len(), 9, "{json}");
}

#[tokio::test]
async fn fhirpath_patches_in_json_xml_and_bundles() {
    let (server, token) = house().await;
    let replace = |unit: &str| {
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": [
            { "name": "type", "valueCode": "replace" },
            { "name": "path", "valueString": "Observation.value.unit" },
            { "name": "value", "valueString": unit },
        ]}]})
    };
    let at = format!("{BASE}/Observation/a");
    let call = Call::new("PATCH", &at).bearer(&token).json(&replace("g"));
    let answer = server.send(call).await.expect(200);
    assert!(
        answer
            .text()
            .contains(r#""valueQuantity":{"value":70.10,"unit":"g"}"#),
        "{}",
        answer.text()
    );
    let xml = r#"<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>
        <part><name value="type"/><valueCode value="delete"/></part>
        <part><name value="path"/><valueString value="Observation.identifier"/></part></parameter></Parameters>"#;
    let call = Call::new("PATCH", &at)
        .bearer(&token)
        .header("content-type", "application/fhir+xml")
        .bytes(xml);
    let answer = server.send(call).await.expect(200);
    assert!(
        answer.json().get("identifier").is_none(),
        "{}",
        answer.text()
    );
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "resource": replace("mg"), "request": { "method": "PATCH", "url": "Observation/b", "ifMatch": "W/\"1\"" } },
    ]});
    let answer = server
        .send(Call::post(BASE).bearer(&token).json(&bundle))
        .await
        .expect(200);
    assert_eq!(answer.json()["entry"][0]["response"]["etag"], "W/\"2\"");
    for (body, status) in [
        (json!({ "resourceType": "Patient" }), 400),
        (json!({ "resourceType": "Parameters" }), 400),
        (replace("").as_object().map(|_| json!({ "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": [
            { "name": "type", "valueCode": "delete" }, { "name": "path", "valueString": "Observation.status" } ]}]})).unwrap(), 422),
    ] {
        let call = Call::new("PATCH", &at).bearer(&token).json(&body);
        let answer = server.send(call).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
}

fn xml_patch(path: &str, token: &str, operations: &str) -> Call {
    Call::new("PATCH", format!("{BASE}/{path}"))
        .bearer(token)
        .header("content-type", "application/xml-patch+xml; charset=utf-8")
        .bytes(format!(
            r#"<diff xmlns:f="http://hl7.org/fhir">{operations}</diff>"#
        ))
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one conversation")]
async fn xml_patches_go_over_the_xml_of_a_resource() {
    let (server, token) = house().await;
    let unit = r#"<replace sel="f:Observation/f:valueQuantity/f:unit/@value">g</replace>"#;
    let note = r#"<add sel="f:Observation"><f:note><f:text value="by hand"/></f:note></add>"#;
    let both = format!("{unit}{note}");
    let answer = server
        .send(xml_patch("Observation/a", &token, &both))
        .await
        .expect(200);
    // The number is as it was written.
    let text = answer.text();
    assert!(
        text.contains("70.10")
            && text.contains(r#""unit":"g""#)
            && text.contains(r#""text":"by hand""#),
        "{text}"
    );
    assert_eq!(answer.header("etag"), "W/\"2\"");
    for (path, operations, status, said) in [
        (
            "Observation/a",
            r#"<remove sel="f:Observation/f:status"/>"#,
            422,
            "status",
        ),
        (
            "Observation/a",
            r#"<add sel="f:Observation"><f:colour value="red"/></add>"#,
            400,
            "colour",
        ),
        (
            "Observation/a",
            r#"<replace sel="f:Observation/f:id/@value">c</replace>"#,
            422,
            "cannot change",
        ),
        (
            "Observation/a",
            r#"<replace sel="f:Observation"><f:Basic/></replace>"#,
            422,
            "",
        ),
        (
            "Observation/a",
            r#"<remove sel="f:Observation/f:category"/>"#,
            422,
            "names 0 nodes",
        ),
        (
            "Observation/a",
            r#"<remove sel="//f:status"/>"#,
            400,
            "descendants",
        ),
        ("Observation/a", "", 400, "no operations"),
        ("Observation/none", unit, 404, ""),
        ("Observation?status=final", unit, 412, ""),
        ("Observation?identifier=urn:o%7Cb", unit, 200, "70.10"),
    ] {
        let answer = server.send(xml_patch(path, &token, operations)).await;
        assert_eq!(
            answer.status,
            status,
            "{path} {operations}: {}",
            answer.text()
        );
        assert!(
            answer.text().contains(said),
            "{operations}: {}",
            answer.text()
        );
    }
    let bomb = Call::new("PATCH", format!("{BASE}/Observation/a"))
        .bearer(&token)
        .header("content-type", "application/xml-patch+xml")
        .bytes("<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><diff>&x;</diff>");
    let refused = server.send(bomb).await.expect(400);
    assert!(
        refused.text().contains("document type"),
        "{}",
        refused.text()
    );
    let stale = xml_patch("Observation/a", &token, unit).header("if-match", "W/\"1\"");
    server.send(stale).await.expect(412);
    // In a transaction, as a Binary.
    let data = STANDARD.encode(format!(
        r#"<diff xmlns:f="http://hl7.org/fhir">{}</diff>"#,
        unit.replace(">g<", ">mg<")
    ));
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{
        "request": { "method": "PATCH", "url": "Observation/a" },
        "resource": { "resourceType": "Binary", "contentType": "application/xml-patch+xml", "data": data },
    }]});
    let sent = Call::post(BASE).bearer(&token).json(&bundle);
    server.send(sent).await.expect(200);
    let read = Call::get(format!("{BASE}/Observation/a")).bearer(&token);
    let read = server.send(read).await.expect(200).json();
    assert_eq!(
        (&read["valueQuantity"]["unit"], &read["meta"]["versionId"]),
        (&json!("mg"), &json!("3"))
    );
}
