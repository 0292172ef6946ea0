//! The official suite, where it is there; what is kept; what is refused; bombs; and noise.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::Definitions;

/// What a document means: without white space between elements, and however it is written.
fn meaning(nodes: &[Node]) -> Vec<Node> {
    let kept = nodes.iter().filter(|node| !node.is_blank());
    kept.map(|node| match node {
        Node::Element(element) => {
            let mut element = element.clone();
            element.children = meaning(&element.children);
            element.declares.retain(|(prefix, _)| !prefix.is_empty());
            element.attributes.sort();
            element.written = None;
            Node::Element(element)
        }
        Node::Text(text) => Node::Text(text.trim().to_owned()),
        other => other.clone(),
    })
    .collect()
}

fn read(text: &str) -> Vec<Node> {
    tree::read(text.trim().as_bytes(), &crate::xml::Limits::default()).unwrap()
}

fn patched(target: &str, patch: &str) -> Result<String, PatchErrorKind> {
    let limits = Limits {
        max_bytes: 20_000,
        max_work: 50_000,
        ..Limits::default()
    };
    let run = || apply(target.trim().as_bytes(), &parse(patch.as_bytes(), &limits)?);
    run()
        .map(|out| String::from_utf8(out).unwrap())
        .map_err(|error| error.kind)
}

fn inside<'t>(text: &'t str, tag: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    rest.split_once(&format!("</{tag}>"))
        .map(|(inner, _)| inner)
}

/// Without the cases that the suite has commented out.
fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("<!--") {
        let (comment, after) = behind.split_once("-->").unwrap();
        out.push_str(before);
        if !comment.contains("<case") {
            write!(out, "<!--{comment}-->").unwrap();
        }
        rest = after;
    }
    out + rest
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test may be told where the public suites are"
)]
fn passes_the_official_suite() {
    let Ok(folder) = std::env::var("THERIAC_SUITES") else {
        println!("did not run: THERIAC_SUITES does not name the folder of suites (fhir-patch)");
        return;
    };
    let path = std::path::Path::new(&folder).join("fhir-patch/xml-patch-tests.xml");
    let text = without_comments(&std::fs::read_to_string(path).unwrap());
    let mut count = 0;
    for case in text.split("<case ").skip(1) {
        let name = case.split('"').nth(1).unwrap();
        let target = inside(case, "target").unwrap();
        let (_, patch) = case.split_once("<patch ").unwrap();
        let (patch, _) = patch.split_once("</patch>").unwrap();
        let found = patched(target, &format!("<patch {patch}</patch>"));
        match inside(case, "patched") {
            Some(expected) => {
                let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(meaning(&read(&found)), meaning(&read(expected)), "{name}");
            }
            None => assert!(found.is_err(), "{name}: {found:?}"),
        }
        count += 1;
    }
    println!("{count} cases");
    assert!(count >= 27, "{count}");
}

const PATIENT: &str = r#"<Patient xmlns="http://hl7.org/fhir"><text><status value="generated"/><div xmlns='http://www.w3.org/1999/xhtml'>A &lt; B<br/><b ></b></div></text><identifier><system value="urn:a"/><value value="1"/></identifier><identifier><system value="urn:b"/><value value="2"/></identifier><active value="true"/><name><use value="official"/><family value="A &amp; B"/><given value="x"/></name></Patient>"#;

fn one(operation: &str) -> Result<String, PatchErrorKind> {
    let patch = format!(r#"<diff xmlns:f="http://hl7.org/fhir">{operation}</diff>"#);
    patched(PATIENT, &patch)
}

#[test]
fn keeps_what_it_does_not_touch() {
    for (operation, before, after) in [
        (
            r#"<replace sel="f:Patient/f:active/@value">false</replace>"#,
            r#"<active value="true"/>"#,
            r#"<active value="false"/>"#,
        ),
        (
            r#"<remove sel="/f:Patient/f:identifier[f:system/@value='urn:a']"/>"#,
            r#"<identifier><system value="urn:a"/><value value="1"/></identifier>"#,
            "",
        ),
        (
            r#"<add sel="*/f:name[f:use/@value = &quot;official&quot;]/f:given" pos="after"><f:given value="y"/></add>"#,
            r#"<given value="x"/>"#,
            r#"<given value="x"/><given value="y"/>"#,
        ),
        (
            r#"<add sel="f:Patient/f:name" pos="prepend"><text xmlns="http://hl7.org/fhir" value="&lt;"/></add>"#,
            "<name>",
            r#"<name><text value="&lt;"/>"#,
        ),
        (
            r#"<remove sel="f:Patient/f:text/h:div/h:br"/>"#,
            "A &lt; B<br/>",
            "A &lt; B",
        ),
        (
            r#"<replace sel="f:Patient/f:identifier[2]/f:value[@value='2']"><f:value value="3"/></replace>"#,
            r#"<value value="2"/>"#,
            r#"<value value="3"/>"#,
        ),
    ] {
        assert!(PATIENT.contains(before), "{before}");
        let found = one(operation).unwrap_or_else(|error| panic!("{operation}: {error}"));
        assert_eq!(found, PATIENT.replacen(before, after, 1), "{operation}");
        let json = crate::xml::to_json(
            Definitions::r4(),
            found.as_bytes(),
            &crate::xml::Limits::default(),
        );
        assert!(json.is_ok(), "{operation}: {json:?}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of refused operations")]
fn refuses_by_name_and_changes_nothing() {
    for (operation, expected) in [
        ("", "no operations"),
        (r#"<move sel="f:Patient"/>"#, "\"move\" is no operation"),
        ("<remove/>", "sel"),
        (
            r#"<remove sel="f:Patient/f:active" pos="before"/>"#,
            "attribute pos",
        ),
        (
            r#"<add sel="f:Patient" pos="inside">x</add>"#,
            "attribute pos",
        ),
        (
            r#"<add sel="f:Patient" type="element">x</add>"#,
            "attribute type",
        ),
        (r#"<remove sel="f:Patient"/>"#, "delete it instead"),
        (
            r#"<add sel="f:Patient" pos="after"><f:Patient/></add>"#,
            "nothing stands beside",
        ),
        (r#"<remove sel="f:Patient/f:identifier"/>"#, "names 2 nodes"),
        (
            r#"<remove sel="f:Patient/f:identifier[3]"/>"#,
            "names 0 nodes",
        ),
        (r#"<remove sel="f:Patient/active"/>"#, "names 0 nodes"),
        (r#"<remove sel="f:Patient/x:active"/>"#, "not declared"),
        (r#"<remove sel="//f:active"/>"#, "descendants"),
        (r#"<remove sel="f:Patient//f:active"/>"#, "descendants"),
        (r#"<remove sel="id('a')"/>"#, "id()"),
        (r#"<remove sel="f:Patient/namespace::f"/>"#, "namespace"),
        (
            r#"<remove sel="f:Patient/processing-instruction('a')"/>"#,
            "processing",
        ),
        (r#"<remove sel="f:Patient/f:identifier[0]"/>"#, "from 1"),
        (
            r#"<remove sel="f:Patient/f:identifier[last()]"/>"#,
            "comparison",
        ),
        (
            r#"<remove sel="f:Patient/f:identifier[@a='1"/>"#,
            "closing quote",
        ),
        (r#"<remove sel="f:Patient/child::f:name"/>"#, "axis"),
        (
            r#"<remove sel="f:Patient/f:active" ws="before"/>"#,
            "white space",
        ),
        (r#"<remove sel="f:Patient/@id"/>"#, "names 0 nodes"),
        (
            r#"<replace sel="f:Patient/f:active">x</replace>"#,
            "exactly one",
        ),
        (
            r#"<add sel="f:Patient/f:active" type="@value">x</add>"#,
            "there already",
        ),
        (
            r#"<remove sel="f:Patient/f:active">x</remove>"#,
            "no content",
        ),
    ] {
        let error = one(operation).unwrap_err().to_string();
        assert!(error.contains(expected), "{operation}: {error}");
    }
    for patch in [
        "<!DOCTYPE diff [<!ENTITY a 'b'>]><diff><remove sel='&a;'/></diff>",
        "<diff><remove sel='&a;'/></diff>",
        "<diff>",
        "<other/>",
        "not xml",
    ] {
        assert!(patched(PATIENT, patch).is_err(), "{patch}");
    }
}

#[test]
fn bombs_are_bounded() {
    // Content put into what the operation before put there, deeper and deeper.
    let nested = format!("{}{}", "<a>".repeat(60), "</a>".repeat(60));
    let step = "/a".repeat(60);
    let mut patch = "<diff>".to_owned();
    for n in 0..5 {
        let sel = format!("*{}", step.repeat(n));
        write!(patch, r#"<add sel="{sel}">{nested}</add>"#).unwrap();
    }
    let error = patched("<Patient/>", &format!("{patch}</diff>")).unwrap_err();
    assert!(error.to_string().contains("128"), "{error}");
    // Many operations over many nodes.
    let wide = format!("<a>{}</a>", "<b/>".repeat(2_000));
    let many = r#"<add sel="a/b[2000]" type="@c">1</add>"#;
    let first = format!("<diff>{many}</diff>");
    assert!(patched(&wide, &first).is_ok());
    let all = format!(
        "<diff>{}</diff>",
        r#"<replace sel="a/b[2000]"><b/></replace>"#.repeat(400)
    );
    assert_eq!(patched(&wide, &all), Err(PatchErrorKind::TooCostly));
    let most = format!("<diff>{}</diff>", "<remove sel='a'/>".repeat(501));
    assert!(matches!(
        patched("<a/>", &most),
        Err(PatchErrorKind::TooMany(500) | PatchErrorKind::TooLarge(_) | PatchErrorKind::Xml(_))
    ));
    let long = format!("<diff><remove sel='{}'/></diff>", "a/".repeat(3_000));
    assert!(matches!(
        patched("<a/>", &long),
        Err(PatchErrorKind::Path { .. })
    ));
}

proptest! {
    #[test]
    fn noise_never_panics(sel in ".{0,40}", content in ".{0,40}", name in "add|replace|remove") {
        let _ = one(&format!("<{name} sel=\"{sel}\">{content}</{name}>"));
    }

    #[test]
    fn paths_of_pieces_never_panic(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "f:Patient", "f:name", "*", "@value", "text()", "comment()", "[1]", "[@a='b']", "/", "[.='x']", "[f:a/@b=\"c\"]",
            ]),
            0..9,
        ),
        name in "add|replace|remove",
    ) {
        let sel = pieces.concat().replace('"', "&quot;");
        if let Ok(found) = one(&format!("<{name} sel=\"{sel}\"/>")) {
            read(&found);
        }
    }
}
