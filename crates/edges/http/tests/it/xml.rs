//! The record in XML: sent, read, searched, bundled, refused; always what JSON says, too.

use serde_json::{Value, json};

use crate::server::{Answer, Call, ROSEWOOD, TestServer};

const BASE: &str = "/t/rosewood/fhir";
const XML: &str = "application/fhir+xml; charset=utf-8";
const PATIENT: &str = r#"<?xml version="1.0"?><Patient xmlns="http://hl7.org/fhir"><!-- gone --><id value="x"/><text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml"><p>a &lt; b</p></div></text><name><family value="Xu &amp; Sons"/><given value="A"/><given value="B"/></name><birthDate id="b" value="1970"/></Patient>"#;

fn post(path: &str, xml: &str) -> Call {
    Call::post(format!("{BASE}{path}"))
        .header("content-type", "application/fhir+xml")
        .bytes(xml.to_owned())
}

/// The JSON that an answer in XML means.
fn meant(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), XML, "{}", answer.text());
    let json = fhir::xml::to_json(
        fhir::Definitions::r4(),
        &answer.body,
        &fhir::xml::Limits::default(),
    );
    serde_json::from_slice(&json.unwrap()).unwrap()
}

#[tokio::test]
async fn what_is_sent_in_one_form_is_read_in_both() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let put = Call::put(format!("{BASE}/Patient/x"))
        .header("content-type", "application/xml; charset=utf-8")
        .header("accept", "application/fhir+xml")
        .bytes(PATIENT);
    let made = server.send(put.bearer(&token)).await.expect(201);
    assert_eq!(meant(&made)["birthDate"], "1970");
    let read = Call::get(format!("{BASE}/Patient/x")).bearer(&token);
    let json = server.send(read).await.expect(200).json();
    assert_eq!(json["name"][0]["family"], "Xu & Sons");
    assert_eq!(json["name"][0]["given"], json!(["A", "B"]));
    assert_eq!(json["_birthDate"]["id"], "b");
    assert_eq!(
        json["text"]["div"],
        "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>a &lt; b</p></div>"
    );
    for read in [
        Call::get(format!("{BASE}/Patient/x?_format=xml")),
        Call::get(format!("{BASE}/Patient/x")).header("accept", "application/fhir+xml"),
        Call::get(format!(
            "{BASE}/Patient/x/_history/1?_format=application/fhir%2Bxml"
        )),
    ] {
        let answer = server.send(read.bearer(&token)).await.expect(200);
        assert_eq!(answer.header("etag"), "W/\"1\"");
        assert_eq!(meant(&answer), json);
    }
    let head = Call::new("HEAD", format!("{BASE}/Patient/x?_format=xml"));
    let head = server.send(head.bearer(&token)).await.expect(200);
    assert_eq!(head.header("content-type"), XML);
    assert!(head.body.is_empty());
    let found = Call::get(format!("{BASE}/Patient?family=xu&_format=xml"));
    let found = meant(&server.send(found.bearer(&token)).await.expect(200));
    assert_eq!(found["entry"][0]["resource"], json);
}

#[tokio::test]
async fn bundles_and_the_statement_stand_in_xml() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let bundle = r#"<Bundle xmlns="http://hl7.org/fhir"><type value="transaction"/>
      <entry><fullUrl value="urn:uuid:0f9f5d2c-8d5c-4a30-9a1e-3d7c6f0c0001"/><resource><Patient><active value="true"/></Patient></resource>
        <request><method value="POST"/><url value="Patient"/></request></entry>
      <entry><resource><Observation><status value="final"/><code><text value="weight"/></code>
        <subject><reference value="urn:uuid:0f9f5d2c-8d5c-4a30-9a1e-3d7c6f0c0001"/></subject>
        <valueQuantity><value value="70.10"/></valueQuantity></Observation></resource>
        <request><method value="POST"/><url value="Observation"/></request></entry></Bundle>"#;
    let answer = post("", bundle).header("accept", "application/fhir+xml");
    let answer = meant(&server.send(answer.bearer(&token)).await.expect(200));
    assert_eq!(answer["entry"][1]["response"]["status"], "201 Created");
    let found = Call::get(format!("{BASE}/Observation")).bearer(&token);
    let found = server.send(found).await.expect(200);
    assert!(found.text().contains("\"value\":70.10"), "{}", found.text());
    let statement = Call::get(format!("{BASE}/metadata?_format=xml"));
    let statement = meant(&server.send(statement).await.expect(200));
    assert!(
        statement["format"]
            .as_array()
            .unwrap()
            .contains(&json!("xml"))
    );
}

#[tokio::test]
async fn refusals_come_in_the_form_asked_for() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    let billion = r#"<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]><Patient xmlns="http://hl7.org/fhir"><active value="&c;"/></Patient>"#;
    for (sent, status, says) in [
        (billion.to_owned(), 400, "document type"),
        ("<Patient".to_owned(), 400, "not well-formed"),
        ("<Patient/>".to_owned(), 400, "namespace"),
        (PATIENT.replace("1970", "never"), 422, "Patient.birthDate"),
        (
            PATIENT.replace("birthDate", "born"),
            400,
            "no element of Patient",
        ),
        (
            PATIENT
                .replace("<p>", "<script>")
                .replace("</p>", "</script>"),
            422,
            "narrative",
        ),
    ] {
        let call = post("/Patient", &sent).header("accept", "application/fhir+xml");
        let answer = server.send(call.bearer(&token)).await.expect(status);
        let outcome = meant(&answer);
        assert_eq!(outcome["resourceType"], "OperationOutcome");
        assert!(outcome.to_string().contains(says), "{outcome}");
    }
    let missing = Call::get(format!("{BASE}/Patient/none?_format=xml")).bearer(&token);
    let outcome = meant(&server.send(missing).await.expect(404));
    assert_eq!(outcome["issue"][0]["code"], "not-found");
    let nobody = Call::get(format!("{BASE}/Patient/x")).header("accept", "application/fhir+xml");
    assert_eq!(
        meant(&server.send(nobody).await.expect(401))["issue"][0]["code"],
        "login"
    );
    let large = format!(
        "<Patient xmlns=\"http://hl7.org/fhir\">{}",
        " ".repeat(9 << 20)
    );
    server
        .send(post("/Patient", &large).bearer(&token))
        .await
        .expect(413);
}

/// A form by POST names the form of its answer, also where the answer is an error; the address wins.
#[tokio::test]
async fn a_form_may_say_how_it_is_answered() {
    let server = TestServer::start().await;
    let token = server.program(ROSEWOOD).await;
    server
        .send(post("/Patient", PATIENT).bearer(&token))
        .await
        .expect(201);
    let search = |path: &str, form: &str| {
        Call::post(format!("{BASE}{path}"))
            .form(form)
            .bearer(&token)
    };
    for path in ["/Patient/_search", "/_search"] {
        let form = "_format=xml&_elements=birthDate&_pretty=true&_type=Patient";
        let form = form.trim_end_matches(if path.len() > 8 { "&_type=Patient" } else { "" });
        let found = server.send(search(path, form)).await.expect(200);
        let found = meant(&found);
        let shown = &found["entry"][0]["resource"];
        assert_eq!(shown["birthDate"], "1970", "{found}");
        assert!(shown.get("name").is_none(), "{found}");
        assert!(!found["link"].to_string().contains("_format"), "{found}");
    }
    let refused = server
        .send(search(
            "/Patient/_search",
            "nope=1&_format=application/fhir%2Bxml",
        ))
        .await
        .expect(400);
    assert_eq!(meant(&refused)["resourceType"], "OperationOutcome");
    let json = search("/Patient/_search", "_summary=count&_format=json");
    let json = json.header("accept", "application/fhir+xml");
    let json = server.send(json).await.expect(200).json();
    assert_eq!((&json["total"], json.get("entry")), (&json!(1), None));
    let wins = search("/Patient/_search?_format=json", "_format=xml");
    server.send(wins).await.expect(200).json();
    let unknown = search("/Patient/_search", "_format=ttl");
    server.send(unknown).await.expect(406);
}
