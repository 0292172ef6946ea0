//! Who the scenario is about: residents as the house would record them, and what is sent about them.

use axum::http::Method;
use kernel::Timestamp;
use serde_json::{Value, json};

use super::stage::{Expect, Stage, Stop, Who};

/// What is known of a resident.
pub struct New<'a> {
    /// Family name and given name.
    pub name: (&'a str, &'a str),
    /// Name of the substance they are allergic to; none: asked, and none known.
    pub allergy: Option<&'a str>,
}

/// Records a resident with allergies, weight and kidney function; answers `Patient/1`.
pub async fn admit(stage: &mut Stage, new: &New<'_>) -> Result<String, Stop> {
    let branch = population::branches(population::Tenant::RosewoodHouse);
    let branch = branch.first().map_or("", |own| own.organization);
    let (family, given) = new.name;
    let patient = json!({
        "resourceType": "Patient", "active": true, "birthDate": "1941-06-17",
        "name": [{ "use": "official", "family": family, "given": [given] }],
        "managingOrganization": { "reference": format!("Organization/{branch}") },
    });
    let made = created(stage, Who::Doctor, &patient).await?;
    let patient = format!("Patient/{made}");
    let code = match new.allergy {
        Some(name) => json!({ "text": name }),
        None => {
            json!({ "coding": [{ "system": "http://snomed.info/sct", "code": "716186003" }] })
        }
    };
    let clinical = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical";
    let verified = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification";
    let allergy = json!({
        "resourceType": "AllergyIntolerance", "patient": { "reference": patient }, "code": code,
        "clinicalStatus": { "coding": [{ "system": clinical, "code": "active" }] },
        "verificationStatus": { "coding": [{ "system": verified, "code": "confirmed" }] },
        "criticality": "high",
    });
    created(stage, Who::Doctor, &allergy).await?;
    let measured = stage.now().to_fhir_instant();
    for (code, value, unit) in [("29463-7", 62, "kg"), ("62238-1", 71, "mL/min/{1.73_m2}")] {
        let observation = json!({
            "resourceType": "Observation", "status": "final",
            "code": { "coding": [{ "system": "http://loinc.org", "code": code }] },
            "subject": { "reference": patient }, "effectiveDateTime": measured,
            "valueQuantity": { "value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit },
        });
        created(stage, Who::Nurse, &observation).await?;
    }
    Ok(patient)
}

/// Stores a resource; answers its id.
pub async fn created(stage: &Stage, who: Who, resource: &Value) -> Result<String, Stop> {
    let ty = resource.get("resourceType").and_then(Value::as_str);
    let ty = ty.unwrap_or_default();
    let answer = stage.ask(who, (Method::POST, ty), resource).await?;
    let id = answer.body.get("id").and_then(Value::as_str);
    match (answer.status, id) {
        (201, Some(id)) => Ok(id.to_owned()),
        (status, _) => Err(Stop::Unexpected(format!(
            "a {ty} was not stored: {status} {}",
            answer.words()
        ))),
    }
}

/// An order as it is sent to `$prescribe`.
pub fn order(patient: &str, product: &str, since: Timestamp, dosage: &Value) -> Value {
    json!({
        "resourceType": "MedicationRequest", "status": "active", "intent": "order",
        "medicationCodeableConcept": { "text": product },
        "subject": { "reference": patient }, "authoredOn": since.to_fhir_instant(),
        "dosageInstruction": [dosage],
    })
}

/// So many tablets.
pub fn tablets(count: u32) -> Value {
    json!([{ "doseQuantity": { "value": count, "unit": "tablet" } }])
}

/// So many tablets by mouth once a day at a clock time.
pub fn daily(count: u32, at: &str) -> Value {
    json!({
        "timing": { "repeat": { "frequency": 1, "period": 1, "periodUnit": "d", "timeOfDay": [at] } },
        "route": { "coding": [{ "system": "http://snomed.info/sct", "code": "26643006", "display": "Oral route" }] },
        "doseAndRate": tablets(count),
    })
}

/// So many tablets by mouth when needed for pain, every four hours at the most, four in 24 hours.
pub fn for_pain(count: u32) -> Value {
    json!({
        "asNeededCodeableConcept": { "text": "pain" },
        "timing": { "repeat": { "frequency": 1, "period": 4, "periodUnit": "h" } },
        "route": { "coding": [{ "system": "http://snomed.info/sct", "code": "26643006", "display": "Oral route" }] },
        "doseAndRate": tablets(count),
        "maxDosePerPeriod": {
            "numerator": { "value": 4, "unit": "tablet" },
            "denominator": { "value": 24, "unit": "h", "system": "http://unitsofmeasure.org", "code": "h" },
        },
    })
}

/// Parameters of `$prescribe`: the order, and an override for each alert that an answer named.
pub fn prescription(order: &Value, held: Option<(&Value, &str, &str)>) -> Value {
    let mut parameters = vec![json!({ "name": "order", "resource": order })];
    if let Some((outcome, reason, text)) = held {
        let issues = outcome.get("issue").and_then(Value::as_array);
        let prints = issues
            .into_iter()
            .flatten()
            .filter_map(|issue| issue.pointer("/details/coding/0/code")?.as_str());
        parameters.extend(prints.map(|print| {
            json!({ "name": "override", "part": [
                { "name": "fingerprint", "valueString": print },
                { "name": "reason", "valueCode": reason },
                { "name": "text", "valueString": text },
            ]})
        }));
    }
    json!({ "resourceType": "Parameters", "parameter": parameters })
}

/// Prescribes what raises no alert that interrupts; answers `MedicationRequest/1`.
pub async fn prescribe(stage: &mut Stage, title: &str, order: &Value) -> Result<String, Stop> {
    let call = (Method::POST, "MedicationRequest/$prescribe");
    let expect = Expect {
        status: 201,
        words: &["prescribed"],
    };
    let body = prescription(order, None);
    let answer = stage
        .step(title, Who::Doctor, (call, &body), expect)
        .await?;
    answer
        .named("order")
        .ok_or_else(|| Stop::Unexpected(format!("{title}: the answer names no order")))
}

/// Parameters of `$give`: every right verified by reading, and more.
pub fn dose(outcome: &str, more: &[Value]) -> Value {
    let mut parts = vec![json!({ "name": "outcome", "valueCode": outcome })];
    for right in ["resident", "medicine", "dose", "route", "time", "decline"] {
        parts.push(json!({ "name": "right", "part": [
            { "name": "right", "valueCode": right }, { "name": "how", "valueCode": "read" },
            { "name": "fits", "valueBoolean": true },
        ]}));
    }
    parts.extend(more.iter().cloned());
    json!({ "resourceType": "Parameters", "parameter": parts })
}

/// A parameter of text.
pub fn text(name: &str, value: &str) -> Value {
    json!({ "name": name, "valueString": value })
}

/// A parameter that is an instant.
pub fn instant(name: &str, at: Timestamp) -> Value {
    json!({ "name": name, "valueInstant": at.to_fhir_instant() })
}
