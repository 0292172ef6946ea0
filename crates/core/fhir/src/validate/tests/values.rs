//! The formats of primitive values, and the codes of required value sets.

use super::{check_values, short};

#[test]
fn dates_and_times_exist() {
    check_values(
        r#"{"resourceType":"Patient","birthDate":"?"}"#,
        "Patient.birthDate",
        "value",
        &[
            ("2026", true),
            ("2026-02", true),
            ("2026-02-28", true),
            ("2024-02-29", true),
            ("2000-02-29", true),
            ("2026-02-30", false),
            ("2026-02-29", false),
            ("1900-02-29", false),
            ("2026-13", false),
            ("2026-00-01", false),
            ("2026-04-31", false),
            ("2026-1-1", false),
            ("0000", false),
            ("26", false),
            ("2026-02-28T10:00:00Z", false),
            ("2026/02/28", false),
            (" 2026", false),
            ("2026-", false),
            ("20260228", false),
            ("２０２６", false),
        ],
    );
}

#[test]
fn moments_exist_and_have_a_zone() {
    check_values(
        r#"{"resourceType":"Patient","deceasedDateTime":"?"}"#,
        "Patient.deceased.ofType(dateTime)",
        "value",
        &[
            ("2026", true),
            ("2026-02", true),
            ("2026-02-28", true),
            ("2026-02-28T23:59:60Z", true),
            ("2026-02-28T10:00:00.123456789+14:00", true),
            ("2026-02-28T10:00:00-00:00", true),
            ("2026-02-28T10:00:00", false),
            ("2026-02-28T10:00Z", false),
            ("2026-02-28T24:00:00Z", false),
            ("2026-02-28T10:60:00Z", false),
            ("2026-02-28T10:00:61Z", false),
            ("2026-02-30T10:00:00Z", false),
            ("2026-02T10:00:00Z", false),
            ("2026-02-28T10:00:00+14:30", false),
            ("2026-02-28T10:00:00+1:00", false),
            ("2026-02-28T10:00:00.Z", false),
            ("2026-02-28 10:00:00Z", false),
            ("2026-02-28T10:00:00z", false),
            ("2026-02-28T10:00:00ZZ", false),
        ],
    );
    check_values(
        r#"{"resourceType":"Patient","meta":{"lastUpdated":"?"}}"#,
        "Patient.meta.lastUpdated",
        "value",
        &[
            ("2026-02-28T10:00:00Z", true),
            ("2026-02-28T10:00:00.1+01:00", true),
            ("2026-02-28", false),
            ("2026", false),
        ],
    );
    let time =
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueTime":"?"}"#;
    check_values(
        time,
        "Observation.value.ofType(time)",
        "value",
        &[
            ("10:00:00", true),
            ("23:59:59.999", true),
            ("10:00", false),
            ("24:00:00", false),
            ("10:00:00Z", false),
            ("1:00:00", false),
        ],
    );
}

#[test]
fn numbers_are_in_range() {
    let integer =
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueInteger":?}"#;
    check_values(
        integer,
        "Observation.value.ofType(integer)",
        "value",
        &[
            ("0", true),
            ("-2147483648", true),
            ("2147483647", true),
            ("2147483648", false),
            ("1.0", false),
            ("1e2", false),
            ("-0", false),
        ],
    );
    check_values(
        r#"{"resourceType":"Patient","telecom":[{"rank":?}]}"#,
        "Patient.telecom[0].rank",
        "value",
        &[
            ("1", true),
            ("0", false),
            ("-1", false),
            ("1.5", false),
            ("2147483648", false),
        ],
    );
    check_values(
        r#"{"resourceType":"Bundle","type":"searchset","total":?}"#,
        "Bundle.total",
        "value",
        &[("0", true), ("7", true), ("-1", false), ("0.0", false)],
    );
    let decimal = r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":?}}"#;
    check_values(
        decimal,
        "Observation.value.ofType(Quantity).value",
        "structure",
        &[
            ("1.50", true),
            ("-0.0", true),
            ("1E-10", true),
            ("100000000000000000000", true),
            ("true", false),
        ],
    );
}

#[test]
fn strings_have_their_form() {
    check_values(
        r#"{"resourceType":"Patient","id":"?"}"#,
        "Patient.id",
        "value",
        &[
            ("a", true),
            ("A-1.b", true),
            (&"a".repeat(64), true),
            (&"a".repeat(65), false),
            ("a_b", false),
            ("a/b", false),
            ("é", false),
        ],
    );
    check_values(
        r#"{"resourceType":"Patient","name":[{"id":"?","text":"x"}]}"#,
        "Patient.name[0].id",
        "value",
        &[("a_b/c", true), ("a b", false)],
    );
    check_values(
        r#"{"resourceType":"Patient","name":[{"text":"?"}]}"#,
        "Patient.name[0].text",
        "value",
        &[
            (" x ", true),
            ("a\\tb\\nc", true),
            ("😀", true),
            ("a\\u0000b", false),
            ("a\\u001fb", false),
        ],
    );
    check_values(
        r#"{"resourceType":"Patient","identifier":[{"system":"?"}]}"#,
        "Patient.identifier[0].system",
        "value",
        &[
            ("http://example.org/é", true),
            ("urn:oid:1.2", true),
            ("x", true),
            ("a b", false),
            (" a", false),
            ("a\\n", false),
            ("a\u{a0}b", false),
        ],
    );
}

#[test]
fn uris_and_codes_have_no_stray_spaces() {
    check_values(
        r#"{"resourceType":"Patient","meta":{"profile":["?"]}}"#,
        "Patient.meta.profile[0]",
        "value",
        &[("http://example.org/x|1.0", true), ("a b", false)],
    );
    check_values(
        r#"{"resourceType":"Patient","meta":{"tag":[{"code":"?"}]}}"#,
        "Patient.meta.tag[0].code",
        "value",
        &[
            ("a", true),
            ("a b", true),
            ("é", true),
            (" a", false),
            ("a ", false),
            ("a  b", false),
            ("a\\tb", true),
            ("a \\nb", false),
        ],
    );
}

#[test]
fn binary_content_is_base64() {
    check_values(
        r#"{"resourceType":"Binary","contentType":"text/plain","data":"?"}"#,
        "Binary.data",
        "value",
        &[
            ("AA==", true),
            ("AAA=", true),
            ("AAAA", true),
            ("AAAA\\nAAAA", true),
            ("A", false),
            ("AA=", false),
            ("AA==AA==", false),
            ("A*==", false),
            ("====", false),
        ],
    );
}

#[test]
fn identifiers_have_their_form() {
    let extension = |form: &str| {
        format!(r#"{{"resourceType":"Patient","extension":[{{"url":"u","value{form}":"?"}}]}}"#)
    };
    check_values(
        &extension("Oid"),
        "Patient.extension[0].value.ofType(oid)",
        "value",
        &[
            ("urn:oid:1.2.3", true),
            ("urn:oid:2.999.0", true),
            ("1.2.3", false),
            ("urn:oid:3.1", false),
            ("urn:oid:1", false),
            ("urn:oid:1.02", false),
            ("urn:oid:1..2", false),
        ],
    );
    check_values(
        &extension("Uuid"),
        "Patient.extension[0].value.ofType(uuid)",
        "value",
        &[
            ("urn:uuid:c757873d-ec9a-4326-a141-556f43239520", true),
            ("c757873d-ec9a-4326-a141-556f43239520", false),
            ("urn:uuid:C757873D-ec9a-4326-a141-556f43239520", false),
            ("urn:uuid:c757873d-ec9a-4326-a141-556f4323952", false),
        ],
    );
    check_values(
        &extension("Url"),
        "Patient.extension[0].value.ofType(url)",
        "value",
        &[("http://a", true), ("a b", false)],
    );
    check_values(
        &extension("Markdown"),
        "Patient.extension[0].value.ofType(markdown)",
        "value",
        &[("# a", true), ("", false)],
    );
}

#[test]
fn long_texts_have_their_form() {
    check_values(
        r#"{"resourceType":"Patient","name":[{"text":"?"}]}"#,
        "Patient.name[0].text",
        "too-long",
        &[
            (&"a".repeat(1 << 20), true),
            (&"a".repeat((1 << 20) + 1), false),
            (&"é".repeat(1 << 20), true),
        ],
    );
    check_values(
        r#"{"resourceType":"Patient","text":{"status":"generated","div":"?"}}"#,
        "Patient.text.div",
        "invariant",
        &[
            (
                "<div xmlns=\\\"http://www.w3.org/1999/xhtml\\\">x</div>",
                true,
            ),
            ("<div><script>x</script></div>", false),
            ("x", false),
        ],
    );
}

#[test]
fn required_bindings_hold() {
    check_values(
        r#"{"resourceType":"Patient","gender":"?"}"#,
        "Patient.gender",
        "code-invalid",
        &[
            ("male", true),
            ("unknown", true),
            ("Male", false),
            ("m", false),
        ],
    );
    check_values(
        r#"{"resourceType":"Binary","contentType":"?"}"#,
        "Binary.contentType",
        "code-invalid",
        &[
            ("text/plain; charset=utf-8", true),
            ("application/fhir+json", true),
            ("text", false),
            ("text/", false),
            ("/x", false),
        ],
    );
    let claim = r#"{"resourceType":"Patient","extension":[{"url":"u","valueMoney":{"value":1,"currency":"?"}}]}"#;
    check_values(
        claim,
        "Patient.extension[0].value.ofType(Money).currency",
        "code-invalid",
        &[("EUR", true), ("eur", false), ("EURO", false)],
    );
    let timing = r#"{"resourceType":"Patient","extension":[{"url":"u","valueTiming":{"repeat":{"when":["?"],"periodUnit":"d"}}}]}"#;
    check_values(
        timing,
        "Patient.extension[0].value.ofType(Timing).repeat.when[0]",
        "code-invalid",
        &[("MORN", true), ("ACM", true), ("XX", false)],
    );
}

#[test]
fn concepts_have_a_coding_of_the_value_set() {
    let condition = |concept: &str| {
        format!(
            r#"{{"resourceType":"Condition","subject":{{"display":"x"}},"clinicalStatus":{concept}}}"#
        )
    };
    let system = "http://terminology.hl7.org/CodeSystem/condition-clinical";
    let bad = "code-invalid Condition.clinicalStatus".to_owned();
    for (concept, good) in [
        (
            format!(r#"{{"coding":[{{"system":"{system}","code":"active"}}]}}"#),
            true,
        ),
        (
            format!(
                r#"{{"coding":[{{"code":"x"}},{{"system":"{system}","code":"resolved"}}],"text":"x"}}"#
            ),
            true,
        ),
        (
            r#"{"extension":[{"url":"u","valueCode":"unknown"}]}"#.to_owned(),
            true,
        ),
        (
            format!(r#"{{"coding":[{{"system":"{system}","code":"final"}}]}}"#),
            false,
        ),
        (r#"{"coding":[{"code":"active"}]}"#.to_owned(), false),
        (
            r#"{"coding":[{"system":"http://example.org","code":"active"}]}"#.to_owned(),
            false,
        ),
        (r#"{"text":"active"}"#.to_owned(), false),
    ] {
        let expected = if good { vec![] } else { vec![bad.clone()] };
        assert_eq!(short(&condition(&concept)), expected, "{concept}");
    }
}
