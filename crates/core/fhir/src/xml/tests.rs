//! XML in and out: pairs that must be each other's form, sources that must be refused, and noise.

use proptest::prelude::*;

use super::*;
use crate::definitions::Definitions;
use crate::json::{self, Document, Kind, Value};

fn read(xml: &str) -> Result<String, XmlError> {
    let json = to_json(Definitions::r4(), xml.as_bytes(), &Limits::default())?;
    Ok(String::from_utf8(json).unwrap())
}

fn document(json: &str) -> Document {
    Document::parse(json.as_bytes().to_vec(), &json::Limits::default()).unwrap()
}

fn write(json: &str) -> Result<String, XmlError> {
    let xml = from_json(Definitions::r4(), document(json).root())?;
    let text = String::from_utf8(xml).unwrap();
    let body = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    Ok(body.unwrap().to_owned())
}

/// What a value says whatever the order of members and the escapes of strings.
fn meaning(value: Value<'_>) -> String {
    match value.kind() {
        Kind::Object => {
            let mut members: Vec<_> = value
                .members()
                .map(|(key, value)| format!("{key}:{}", meaning(value)))
                .collect();
            members.sort_unstable();
            format!("{{{}}}", members.join(","))
        }
        Kind::Array => {
            let items: Vec<_> = value.items().map(meaning).collect();
            format!("[{}]", items.join(","))
        }
        Kind::String => format!("{:?}", value.as_str().unwrap()),
        _ => String::from_utf8(value.raw().to_vec()).unwrap(),
    }
}

/// JSON in the order of the definitions, and the XML it is.
const PAIRS: [(&str, &str); 9] = [
    (
        r#"{"resourceType":"Patient","id":"p1","active":true,"name":[{"family":"Ångström","given":["A","B"]}],"birthDate":"1970"}"#,
        r#"<Patient xmlns="http://hl7.org/fhir"><id value="p1"/><active value="true"/><name><family value="Ångström"/><given value="A"/><given value="B"/></name><birthDate value="1970"/></Patient>"#,
    ),
    (
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.50,"unit":"mg"},"component":[{"code":{"text":"y"},"valueQuantity":{"value":-0.0100E+2}}]}"#,
        r#"<Observation xmlns="http://hl7.org/fhir"><status value="final"/><code><text value="x"/></code><valueQuantity><value value="1.50"/><unit value="mg"/></valueQuantity><component><code><text value="y"/></code><valueQuantity><value value="-0.0100E+2"/></valueQuantity></component></Observation>"#,
    ),
    (
        r#"{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">\n a &lt; b <b class='x'>&#233;</b><!-- kept --><br/></div>"}}"#,
        "<Patient xmlns=\"http://hl7.org/fhir\"><text><status value=\"generated\"/><div xmlns=\"http://www.w3.org/1999/xhtml\">\n a &lt; b <b class='x'>&#233;</b><!-- kept --><br/></div></text></Patient>",
    ),
    (
        r#"{"resourceType":"Patient","birthDate":"1970","_birthDate":{"id":"b","extension":[{"url":"http://x/t","valueTime":"10:00:00"}]},"deceasedBoolean":false}"#,
        r#"<Patient xmlns="http://hl7.org/fhir"><birthDate id="b" value="1970"><extension url="http://x/t"><valueTime value="10:00:00"/></extension></birthDate><deceasedBoolean value="false"/></Patient>"#,
    ),
    (
        r#"{"resourceType":"Patient","name":[{"id":"n","given":["A",null,"C"],"_given":[null,{"extension":[{"url":"u","valueCode":"masked"}]},{"id":"c"}]}],"_gender":{"extension":[{"url":"u","valueInteger":3}]}}"#,
        r#"<Patient xmlns="http://hl7.org/fhir"><name id="n"><given value="A"/><given><extension url="u"><valueCode value="masked"/></extension></given><given id="c" value="C"/></name><gender><extension url="u"><valueInteger value="3"/></extension></gender></Patient>"#,
    ),
    (
        r#"{"resourceType":"Patient","name":[{"_given":[{"id":"a"},{"id":"b"}]}]}"#,
        r#"<Patient xmlns="http://hl7.org/fhir"><name><given id="a"/><given id="b"/></name></Patient>"#,
    ),
    (
        r#"{"resourceType":"MedicationRequest","contained":[{"resourceType":"Medication","id":"m"},{"resourceType":"Patient","id":"p"}],"status":"active"}"#,
        r#"<MedicationRequest xmlns="http://hl7.org/fhir"><contained><Medication><id value="m"/></Medication></contained><contained><Patient><id value="p"/></Patient></contained><status value="active"/></MedicationRequest>"#,
    ),
    (
        r#"{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Basic","code":{"text":"\"<&>'\t\r\nx"}},"request":{"method":"POST","url":"Basic"}},{"request":{"method":"GET","url":"Patient?a=1&b=2"}}]}"#,
        r#"<Bundle xmlns="http://hl7.org/fhir"><type value="batch"/><entry><resource><Basic><code><text value="&quot;&lt;&amp;&gt;'&#9;&#13;&#10;x"/></code></Basic></resource><request><method value="POST"/><url value="Basic"/></request></entry><entry><request><method value="GET"/><url value="Patient?a=1&amp;b=2"/></request></entry></Bundle>"#,
    ),
    (
        r#"{"resourceType":"Parameters","parameter":[{"name":"a","valueDecimal":0.10},{"name":"b","resource":{"resourceType":"Patient"}},{"name":"c","part":[{"name":"d","valueString":"e"}]}]}"#,
        r#"<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="a"/><valueDecimal value="0.10"/></parameter><parameter><name value="b"/><resource><Patient/></resource></parameter><parameter><name value="c"/><part><name value="d"/><valueString value="e"/></part></parameter></Parameters>"#,
    ),
];

#[test]
fn each_form_is_made_of_the_other() {
    for (json, xml) in PAIRS {
        assert_eq!(write(json).unwrap(), xml);
        let back = read(xml).unwrap();
        assert_eq!(
            meaning(document(&back).root()),
            meaning(document(json).root())
        );
        assert_eq!(write(&back).unwrap(), xml);
    }
}

#[test]
fn reads_prefixes_comments_and_declarations() {
    let expected = r#"{"resourceType":"Patient","active":true}"#;
    for xml in [
        r#"<f:Patient xmlns:f="http://hl7.org/fhir"><f:active value="true"/></f:Patient>"#,
        "\u{FEFF}<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<!-- a --><Patient xmlns='http://hl7.org/fhir'>\n<!-- b --><active  value = 'true' ></active ><?pi x?></Patient>\n<!-- c -->",
        r#"<Patient xmlns="http://hl7.org/fhir" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://hl7.org/fhir x.xsd"><active value="&#x74;rue"/></Patient>"#,
    ] {
        assert_eq!(read(xml).unwrap(), expected, "{xml}");
    }
}

#[test]
fn white_space_in_attributes_follows_xml() {
    let xml = "<Patient xmlns=\"http://hl7.org/fhir\"><name><text value=\"a\r\nb\tc&#xA;d&apos;\"/></name></Patient>";
    assert_eq!(
        read(xml).unwrap(),
        r#"{"resourceType":"Patient","name":[{"text":"a b c\nd'"}]}"#
    );
}

#[test]
fn what_does_not_fit_its_type_is_left_to_validation() {
    let xml = r#"<Patient xmlns="http://hl7.org/fhir"><active value="yes"/><name/><gender/><multipleBirthInteger value="007"/></Patient>"#;
    assert_eq!(
        read(xml).unwrap(),
        r#"{"resourceType":"Patient","active":"yes","name":[{}],"gender":null,"multipleBirthInteger":"007"}"#
    );
    let issues = crate::validate::validate(Definitions::r4(), document(&read(xml).unwrap()).root());
    assert_eq!(issues.len(), 4, "{issues:#?}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of refused sources")]
fn refuses_what_is_not_fhir_xml() {
    use XmlErrorKind as K;
    let name = |text: &str| text.to_owned();
    let inside = |part: &str| format!("<Patient xmlns=\"http://hl7.org/fhir\">{part}</Patient>");
    let cases: Vec<(String, XmlErrorKind)> = vec![
        (String::new(), K::NotWellFormed),
        ("{}".into(), K::Text),
        ("<Patient>".into(), K::Namespace(name("Patient"))),
        (
            "<Patient xmlns=\"urn:x\"/>".into(),
            K::Namespace(name("Patient")),
        ),
        (
            "<Human xmlns=\"http://hl7.org/fhir\"/>".into(),
            K::NotAResource(name("Human")),
        ),
        (
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a/>".into(),
            K::DocumentType,
        ),
        (
            "<?xml version=\"1.0\" encoding=\"latin1\"?><a/>".into(),
            K::Encoding,
        ),
        (inside("<active value=\"&b;\"/>"), K::Entity(name("b"))),
        (inside("<active value=\"&#0;\"/>"), K::Entity(name("#0"))),
        (
            inside("<active value=\"&#xD800;\"/>"),
            K::Entity(name("#xD800")),
        ),
        (
            inside("<active value=\"&#+65;\"/>"),
            K::Entity(name("#+65")),
        ),
        (inside("<active value=\"a & b\"/>"), K::NotWellFormed),
        (inside("<active value=\"\u{1}\"/>"), K::Character(1)),
        (inside("<active value=true/>"), K::NotWellFormed),
        (inside("<active value=\"true\">"), K::NotWellFormed),
        (
            inside("<active value=\"true\" value=\"false\"/>"),
            K::NotWellFormed,
        ),
        (inside("true"), K::Text),
        (inside("<![CDATA[true]]>"), K::Text),
        (inside("<active>true</active>"), K::Text),
        (
            inside("<active val=\"true\"/>"),
            K::UnknownAttribute {
                name: name("val"),
                of: name("active"),
            },
        ),
        (
            inside("<name value=\"x\"/>"),
            K::UnknownAttribute {
                name: name("value"),
                of: name("name"),
            },
        ),
        (
            "<Patient xmlns=\"http://hl7.org/fhir\" id=\"x\"/>".into(),
            K::UnknownAttribute {
                name: name("id"),
                of: name("Patient"),
            },
        ),
        (
            inside("<given value=\"x\"/>"),
            K::UnknownElement {
                name: name("given"),
                of: name("Patient"),
            },
        ),
        (
            inside("<active value=\"true\"/><active value=\"true\"/>"),
            K::Repeated(name("active")),
        ),
        (
            inside("<name/><active value=\"true\"/><name/>"),
            K::Repeated(name("name")),
        ),
        (
            inside("<deceasedBoolean value=\"true\"/><deceasedDateTime value=\"2026\"/>"),
            K::Repeated(name("deceasedDateTime")),
        ),
        (inside("<contained/>"), K::OneResource(name("contained"))),
        (
            inside("<contained><Basic/><Basic/></contained>"),
            K::OneResource(name("contained")),
        ),
        (inside("<text><div>x</div></text>"), K::Narrative),
        (
            inside("<text><div xmlns=\"http://www.w3.org/1999/xhtml\">&nbsp;</div></text>"),
            K::Entity(name("nbsp")),
        ),
        (
            inside("<text><div xmlns=\"http://www.w3.org/1999/xhtml\"><![CDATA[x]]></div></text>"),
            K::Narrative,
        ),
        (
            inside("<text><h:div xmlns:h=\"http://www.w3.org/1999/xhtml\">x</h:div></text>"),
            K::Narrative,
        ),
        (format!("{}<a/>", inside("")), K::Trailing),
        (format!("{}x", inside("")), K::Text),
        (
            inside(&"<contact>".repeat(200)),
            K::UnknownElement {
                name: name("contact"),
                of: name("Patient.contact"),
            },
        ),
    ];
    for (xml, kind) in cases {
        assert_eq!(read(&xml).map_err(|error| error.kind), Err(kind), "{xml}");
    }
}

fn numbered(count: u32, before: &str, after: &str) -> String {
    (0..count).fold(String::new(), |text, n| {
        text + before + &n.to_string() + after
    })
}

#[test]
fn limits_hold() {
    let definitions = Definitions::r4();
    let nested = |depth: usize| {
        let (open, close) = (
            "<extension url=\"u\">".repeat(depth),
            "</extension>".repeat(depth),
        );
        format!("<Patient xmlns=\"http://hl7.org/fhir\">{open}{close}</Patient>")
    };
    assert!(read(&nested(127)).is_ok());
    assert_eq!(
        read(&nested(128)).unwrap_err().kind,
        XmlErrorKind::TooDeep(128)
    );
    let deep = Limits {
        max_depth: 10_000,
        ..Limits::default()
    };
    let error = to_json(definitions, nested(300).as_bytes(), &deep).unwrap_err();
    assert_eq!(error.kind, XmlErrorKind::TooDeep(256));
    let few = Limits {
        max_elements: 3,
        max_bytes: 200,
        ..Limits::default()
    };
    assert!(to_json(definitions, nested(2).as_bytes(), &few).is_ok());
    assert!(matches!(
        to_json(definitions, nested(3).as_bytes(), &few)
            .unwrap_err()
            .kind,
        XmlErrorKind::TooMany(_)
    ));
    assert_eq!(
        to_json(definitions, nested(9).as_bytes(), &few)
            .unwrap_err()
            .kind,
        XmlErrorKind::TooLarge(200)
    );
    let spaces = numbered(20, " xmlns:a", "=\"u\"");
    let error = read(&format!("<Patient xmlns=\"http://hl7.org/fhir\"{spaces}/>")).unwrap_err();
    assert!(matches!(error.kind, XmlErrorKind::TooMany(_)));
    let attributes = numbered(40, " a", "=\"\"");
    let error = read(&format!(
        "<Patient xmlns=\"http://hl7.org/fhir\"{attributes}/>"
    ))
    .unwrap_err();
    assert!(matches!(error.kind, XmlErrorKind::TooMany(_)));
}

#[test]
fn says_where() {
    let error = read("<Patient xmlns=\"http://hl7.org/fhir\">\n  <né/>\n</Patient>").unwrap_err();
    assert_eq!((error.line, error.column), (2, 3));
    assert!(error.to_string().contains("is no element of Patient"));
}

#[test]
fn narratives_of_json_are_made_well_formed_or_refused() {
    let of = |div: &str| {
        let json = serde_json::json!({"resourceType": "Patient", "text": {"div": div}});
        write(&json.to_string()).map_err(|error| error.kind)
    };
    let xml = of("<div>a&nbsp;b &copy; &unheard; & c</div>").unwrap();
    assert!(
        xml.contains("<div xmlns=\"http://www.w3.org/1999/xhtml\">a&#160;b &#169; &amp;unheard; &amp; c</div>"),
        "{xml}"
    );
    for bad in [
        "x",
        "<p xmlns=\"http://www.w3.org/1999/xhtml\">x</p>",
        "<div>x</div><div>y</div>",
        "<div>x</div></text><active value=\"true\"/><text>",
        "<div><b>x</div>",
        "<!DOCTYPE x><div>x</div>",
        "<div xmlns=\"urn:x\">x</div>",
        "<div>\u{1}</div>",
    ] {
        assert!(of(bad).is_err(), "{bad}");
    }
}

#[test]
fn json_that_is_not_fhir_has_no_xml() {
    for bad in [
        "[]",
        r#"{"resourceType":"Nothing"}"#,
        r#"{"resourceType":"Patient","unknown":1}"#,
        r#"{"resourceType":"Patient","name":{"family":"x"}}"#,
        r#"{"resourceType":"Patient","name":["x"]}"#,
        r#"{"resourceType":"Patient","active":{}}"#,
        r#"{"resourceType":"Patient","_name":[{"id":"x"}]}"#,
        r#"{"resourceType":"Patient","birthDate":"\u0001"}"#,
    ] {
        assert!(write(bad).is_err(), "{bad}");
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test may be told where the public suites are"
)]
fn reads_the_examples_of_the_suites() {
    let Ok(folder) = std::env::var("THERIAC_SUITES") else {
        println!("did not run: THERIAC_SUITES does not name the folder of suites (fhirpath-r4)");
        return;
    };
    let mut count = 0;
    for file in std::fs::read_dir(std::path::Path::new(&folder).join("fhirpath-r4")).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        if path.extension().is_none_or(|extension| extension != "xml")
            || !text.contains("xmlns=\"http://hl7.org/fhir\"")
        {
            continue;
        }
        let json = read(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let again = read(&write(&json).unwrap()).unwrap();
        assert_eq!(
            meaning(document(&again).root()),
            meaning(document(&json).root())
        );
        count += 1;
    }
    assert!(count >= 6, "only {count} examples");
}

proptest! {
    #[test]
    fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = to_json(Definitions::r4(), &bytes, &Limits::default());
    }

    #[test]
    fn tags_in_any_order_read_or_fail(parts in proptest::collection::vec(
        "<(/)?(Patient|name|given|div|extension|contained)( xmlns=\"http://hl7.org/fhir\")?( (id|value|url)=\"&?[a-z]{0,2};?\")?/?>|<!--|-->|&amp;|x", 0..20)) {
        let text = format!("<Patient xmlns=\"http://hl7.org/fhir\">{}", parts.concat());
        if let Ok(json) = read(&text) {
            prop_assert!(Document::parse(json.into_bytes(), &json::Limits::default()).is_ok());
        }
    }

    #[test]
    fn any_text_comes_back(text in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]{1,40}") {
        let json = serde_json::json!({"resourceType": "Basic", "code": {"text": text}}).to_string();
        let back = read(&write(&json).unwrap()).unwrap();
        prop_assert_eq!(meaning(document(&back).root()), meaning(document(&json).root()));
    }
}
