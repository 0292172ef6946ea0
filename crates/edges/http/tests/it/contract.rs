//! What is answered is what the OpenAPI document says: real answers held against their schemas, also where a
//! member is null.

use serde_json::{Value, json};
use testkit::pharmacy::Pharmacy;

use crate::orders::{API, House};
use crate::server::Call;

struct Document(Value);

impl Document {
    /// The schema of the answer of an operation.
    fn answer(&self, method: &str, path: &str, status: &str) -> &Value {
        let own = &self.0["paths"][format!("/t/{{tenant}}/api/v1/{path}")][method];
        let own = &own["responses"][status];
        assert!(own.is_object(), "{method} {path} does not answer {status}");
        &own["content"]["application/json"]["schema"]
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(name) => {
                let own = self.0.pointer(name.trim_start_matches('#'));
                self.resolved(own.unwrap_or_else(|| panic!("{name} is nowhere")))
            }
            None => schema,
        }
    }

    /// The members that a schema names, with those of what it is made of.
    fn members<'a>(&'a self, schema: &'a Value, into: &mut Vec<(&'a str, &'a Value)>) {
        let schema = self.resolved(schema);
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.members(part, into);
        }
        let own = schema["properties"].as_object().into_iter().flatten();
        into.extend(own.map(|(name, own)| (name.as_str(), own)));
    }

    /// What of a value is not as a schema says.
    fn wrong(&self, schema: &Value, value: &Value, at: &str) -> Option<String> {
        let schema = self.resolved(schema);
        for choice in ["oneOf", "anyOf"] {
            if let Some(list) = schema[choice].as_array() {
                let fits = list.iter().any(|own| self.wrong(own, value, at).is_none());
                return (!fits).then(|| format!("{at}: {value} is none of {schema}"));
            }
        }
        let kinds: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let is = |kind: &&str| match *kind {
            "null" => value.is_null(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("{other} is no type"),
        };
        if !kinds.is_empty() && !kinds.iter().any(is) {
            return Some(format!("{at}: {value} is not {kinds:?}"));
        }
        let words = schema["enum"].as_array();
        if words.is_some_and(|words| !words.contains(value)) {
            return Some(format!("{at}: {value} is none of {words:?}"));
        }
        if let Some(list) = value.as_array() {
            let each = list.iter().enumerate();
            let mut each =
                each.map(|(n, own)| self.wrong(&schema["items"], own, &format!("{at}[{n}]")));
            return each.find_map(|own| own);
        }
        self.wrong_member(schema, value, at)
    }

    fn wrong_member(&self, schema: &Value, value: &Value, at: &str) -> Option<String> {
        let object = value.as_object()?;
        for part in schema["allOf"].as_array().into_iter().flatten() {
            let needed = self.resolved(part)["required"].as_array();
            let mut needed = needed.into_iter().flatten().filter_map(Value::as_str);
            if let Some(lacks) = needed.find(|own| !object.contains_key(*own)) {
                return Some(format!("{at}: {lacks} is missing"));
            }
        }
        let needed = schema["required"].as_array().into_iter().flatten();
        let mut needed = needed.filter_map(Value::as_str);
        if let Some(lacks) = needed.find(|own| !object.contains_key(*own)) {
            return Some(format!("{at}: {lacks} is missing"));
        }
        let mut members = Vec::new();
        self.members(schema, &mut members);
        // What has no members named is any object.
        if members.is_empty() {
            return None;
        }
        object.iter().find_map(|(name, own)| {
            match members.iter().find(|(known, _)| known == name) {
                Some((_, schema)) => self.wrong(schema, own, &format!("{at}.{name}")),
                None => Some(format!("{at}: {name} is not in the document")),
            }
        })
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one walk, told in one piece")]
async fn answers_are_what_the_document_says() {
    let pharmacy = Pharmacy::start();
    let house = House::with(&pharmacy).await;
    house.partner("api", &pharmacy.base()).await;
    let text = house.server.send(Call::get("/api/openapi.json")).await;
    let document = Document(text.expect(200).json());
    let kept =
        json!({ "product": "Paracetamol 500mg tablet", "unit": "{tablet}", "threshold": "10" });
    let kept = house
        .post(&house.nurse, "stock", &kept)
        .await
        .expect(201)
        .json();
    let item = kept["id"].as_str().unwrap().to_owned();
    let came = json!({ "id": "first", "what": { "kind": "receipt", "to": { "location": "cupboard" },
        "from": "corner", "units": "12", "batch": { "lot": "A1" } } });
    let moved = format!("stock/{item}/movements");
    let moved = house
        .post(&house.nurse, &moved, &came)
        .await
        .expect(201)
        .json();
    let plan = json!({ "mode": "approval", "cap": "0", "currency": "GBP", "days": 28, "reserveDays": 7,
        "goods": "corner", "daily": "02:30" });
    let call = Call::put(format!("{API}/ordering/plan"))
        .bearer(&house.doctor)
        .json(&plan);
    let set = house.server.send(call).await.expect(200).json();
    let pack = "medicines/scan?text=(01)02000000000107(10)A1";
    let mut told = vec![
        ("post", "stock", "201", kept),
        ("post", "stock/{id}/movements", "201", moved),
        ("put", "ordering/plan", "200", set),
    ];
    for (path, template) in [
        ("stock".to_owned(), "stock"),
        (format!("stock/{item}"), "stock/{id}"),
        (format!("stock/{item}/movements"), "stock/{id}/movements"),
        (format!("stock/{item}/days-left"), "stock/{id}/days-left"),
        ("ordering/plan".to_owned(), "ordering/plan"),
        ("ordering/dry-run".to_owned(), "ordering/dry-run"),
        ("orders".to_owned(), "orders"),
        ("register".to_owned(), "register"),
        ("rounds/now".to_owned(), "rounds/now"),
        (pack.to_owned(), "medicines/scan"),
        (
            "medicines/scan?text=5012345678900".to_owned(),
            "medicines/scan",
        ),
    ] {
        let answer = house.get(&house.nurse, &path).await.expect(200).json();
        told.push(("get", template, "200", answer));
    }
    for (method, path, status, answer) in &told {
        let schema = document.answer(method, path, status);
        assert_eq!(document.wrong(schema, answer, path), None, "{answer}");
    }
    // The test itself finds what is wrong.
    let scan = document.answer("get", "medicines/scan", "200");
    let mut own = told.last().unwrap().3.clone();
    assert_eq!(own["state"], Value::Null, "no order was named");
    own["state"] = json!("splendid");
    assert!(document.wrong(scan, &own, "scan").is_some());
    own["state"] = Value::Null;
    own["more"] = json!(1);
    assert!(document.wrong(scan, &own, "scan").is_some());
    // What a partner sends is an object, and not a text.
    let events = &document.0["paths"]["/t/{tenant}/api/v1/pharmacy/{partner}/events"]["post"];
    let body = &events["requestBody"]["content"]["application/json"]["schema"];
    let event = json!({ "order": "o1", "at": "2026-03-05T08:00:00Z", "state": "dispatched" });
    assert_eq!(document.wrong(body, &event, "event"), None);
    assert!(document.wrong(body, &json!("{}"), "event").is_some());
}
