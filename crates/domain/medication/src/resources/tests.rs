//! Records go to FHIR and back with nothing lost, and what is written is valid R4; orders are read.

use fhir::definitions::Definitions;
use fhir::json::{Document, Limits, Value};
use fhir::validate::validate;
use proptest::prelude::*;

use super::*;
use crate::administration::tests::{TABLETS, record, some_records};
use crate::order::tests::{article, at, home, order};
use crate::order::{Order, Status};

fn parsed(text: &str) -> Document {
    Document::parse(text.as_bytes().to_vec(), &Limits::default()).unwrap()
}

fn valid(value: Value<'_>) {
    let issues = validate(Definitions::r4(), value);
    assert!(issues.is_empty(), "{issues:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn records_come_back_as_they_went(records in some_records(), part in 0u8..4) {
        let resident = "resident-1".parse().unwrap();
        for mut own in records {
            match part {
                0 => own.witness = Some("nurse-2".parse().unwrap()),
                1 => {
                    own.dose = None;
                    own.contents = article("Co-codamol 500mg/8mg tablet").unstated();
                    own.reason = None;
                }
                2 => own.need = Some(crate::administration::NeedRecord {
                    reason: "pain \"here\"".to_owned(),
                    effect_due: Some(own.happened.plus_seconds(3600)),
                }),
                _ => {
                    own.enterer = Some("nurse-3".parse().unwrap());
                    own.contents = article("Paracetamol 500mg tablet")
                        .contents(&crate::Quantity::ucum(5.into(), "mL"));
                }
            }
            let text = administration(&own, &resident);
            let document = parsed(&text);
            valid(document.root());
            prop_assert_eq!(read_administration(document.root()), Ok(own));
        }
    }
}

#[test]
fn what_others_wrote_is_read_and_what_is_missing_is_said() {
    let own = Order::check(order("order-1", "Paracetamol 500mg tablet", TABLETS)).unwrap();
    let whole = administration(
        &record("a", &own, None, "2026-03-05T08:00:00Z"),
        &"resident-1".parse().unwrap(),
    );
    for (from, to, path) in [
        (
            "MedicationAdministration",
            "MedicationDispense",
            "resourceType",
        ),
        ("\"effectiveDateTime\"", "\"effectiveX\"", "effective[x]"),
        ("MedicationRequest/order-1", "ServiceRequest/1", "request"),
        ("Practitioner/nurse-1", "Device/1", "performer"),
        ("\"given\"", "\"gone\"", "extension(administration-outcome)"),
        (
            "\"valueCode\":\"dose\"",
            "\"valueCode\":\"x\"",
            "extension(administration-right)",
        ),
    ] {
        let changed = whole.replace(from, to);
        assert_ne!(changed, whole);
        let error = read_administration(parsed(&changed).root()).unwrap_err();
        assert_eq!(error.path, path, "{from}");
    }
    let foreign = r#"{"resourceType":"MedicationAdministration","id":"x","status":"not-done","statusReason":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/reason-medication-not-given","code":"c"}],"text":"slept"}],"effectiveDateTime":"2026-03-05T08:00:00Z","performer":[{"actor":{"reference":"Practitioner/n"}}],"request":{"reference":"MedicationRequest/o"}}"#;
    let read = read_administration(parsed(foreign).root()).unwrap();
    assert_eq!(read.outcome, crate::administration::Outcome::Asleep);
    assert_eq!(read.reason.as_deref(), Some("slept"));
}

#[test]
#[expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]
fn an_order_is_read_with_all_it_says() {
    let url = |name: &str| format!("https://theriac.example.org/fhir/StructureDefinition/{name}");
    let extensions = format!(
        r#"[{{"url":"{}","valueDateTime":"2026-04-01T00:00:00Z"}},
        {{"url":"{}","extension":[{{"url":"from","valueDateTime":"2026-03-10T00:00:00Z"}},{{"url":"reason","valueString":"theatre"}}]}},
        {{"url":"{}","extension":[{{"url":"early","valueInteger":30}},{{"url":"late","valueInteger":30}},{{"url":"critical","valueBoolean":true}}]}},
        {{"url":"{}","valueInteger":240}},{{"url":"{}","valueBoolean":true}},
        {{"url":"{}","valueInteger":3}}]"#,
        url("order-stop"),
        url("order-pause"),
        url("order-window"),
        url("order-apart"),
        url("order-witness"),
        url("order-homely"),
    );
    let text = format!(
        r#"{{"resourceType":"MedicationRequest","id":"order-1","extension":{extensions},"status":"stopped","intent":"order","medicationCodeableConcept":{{"text":"Paracetamol"}},"subject":{{"reference":"Patient/resident-1"}},"authoredOn":"2026-03-01","priorPrescription":{{"reference":"MedicationRequest/order-0"}},"dosageInstruction":[{TABLETS}]}}"#
    );
    let read = |text: &str| {
        let zone = home().zone;
        let resolved = Resolved {
            article: article("Paracetamol 500mg tablet"),
            zone: &zone,
        };
        read_order(parsed(text).root(), resolved)
    };
    valid(parsed(&text).root());
    let facts = read(&text).unwrap();
    assert_eq!(facts.status, Status::Stopped);
    assert_eq!(facts.start, at("2026-03-01T00:00:00Z"));
    assert_eq!(facts.stop, Some(at("2026-04-01T00:00:00Z")));
    assert_eq!(facts.pauses[0].reason, "theatre");
    assert_eq!((facts.window.early, facts.window.critical), (30, true));
    assert_eq!(facts.apart_seconds, Some(14_400));
    assert!(facts.witness && !facts.covert);
    assert_eq!(facts.homely, Some(3));
    assert_eq!(facts.replaces.as_ref().unwrap().as_str(), "order-0");
    assert!(Order::check(facts).is_ok());
    for (from, to, path) in [
        ("\"stopped\"", "\"ended\"", "status"),
        ("Patient/", "Group/", "subject"),
        ("\"authoredOn\"", "\"authored\"", "authoredOn"),
        ("240", "-240", "extension(order-apart)"),
        (
            "valueInteger\":3}",
            "valueInteger\":0}",
            "extension(order-homely)",
        ),
        (
            "valueInteger\":3}",
            "valueInteger\":8}",
            "extension(order-homely)",
        ),
        (
            "valueInteger\":3}",
            "valueString\":\"x\"}",
            "extension(order-homely)",
        ),
        (
            "\"intent\"",
            "\"doNotPerform\":true,\"intent\"",
            "doNotPerform",
        ),
        (
            "\"value\":2",
            "\"value\":\"2\"",
            "dosageInstruction.doseAndRate[0].doseQuantity.value",
        ),
    ] {
        let error = read(&text.replace(from, to)).unwrap_err();
        assert_eq!(error.path, path, "{from}");
    }
}

#[test]
fn every_extension_has_its_definition() {
    let document = parsed(DEFINITIONS);
    valid(document.root());
    let entries = document.root().get("entry").unwrap().items();
    let ids: Vec<String> = entries
        .map(|entry| {
            entry
                .get("resource")
                .unwrap()
                .get_str("id")
                .unwrap()
                .into_owned()
        })
        .collect();
    assert_eq!(ids, EXTENSIONS);
    assert!(crate::dosage::CYCLE.ends_with("dosage-cycle"));
}
