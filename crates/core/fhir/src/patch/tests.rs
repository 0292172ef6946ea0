//! The official suite, where it is there; our own cases; bombs; and noise.

use proptest::prelude::*;

use super::*;
use crate::json::{self, Document};

fn document(text: &str) -> Document {
    Document::parse(text.as_bytes().to_vec(), &json::Limits::default()).unwrap()
}

fn patched(target: &str, patch: &str, emptied: Emptied) -> Result<String, PatchErrorKind> {
    let (target, patch) = (document(target), document(patch));
    let limits = Limits {
        max_bytes: 10_000,
        max_work: 1_000_000,
        ..Limits::default()
    };
    let operations = parse(patch.root(), &limits).map_err(|error| error.kind)?;
    let out = apply(target.root(), &operations, emptied, &limits).map_err(|error| error.kind)?;
    Ok(String::from_utf8(out).unwrap())
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
    let path = std::path::Path::new(&folder).join("fhir-patch/json-patch-tests.json");
    let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = cases.as_array().unwrap();
    assert!(cases.len() >= 16);
    for case in cases {
        let name = case["comment"].as_str().unwrap_or("without a name");
        let found = patched(
            &case["doc"].to_string(),
            &case["patch"].to_string(),
            Emptied::Keep,
        );
        if case["error"].is_null() {
            let found: serde_json::Value =
                serde_json::from_str(&found.unwrap_or_else(|error| panic!("{name}: {error}")))
                    .unwrap();
            if !case["expected"].is_null() {
                assert_eq!(found, case["expected"], "{name}");
            }
        } else {
            assert!(found.is_err(), "{name}");
        }
    }
}

#[test]
fn keeps_what_it_does_not_touch() {
    let target = r#"{ "a" : [1.50 , "\u00e9\/"], "b\u0063": {"x":1E+2,"y":[ ]}, "z":-0.0 }"#;
    for (patch, expected) in [
        (
            r#"[{"op":"add","path":"/a/-","value": {"n" : 0.10}}]"#,
            r#"{"a":[1.50,"\u00e9\/",{"n":0.10}],"b\u0063":{"x":1E+2,"y":[]},"z":-0.0}"#,
        ),
        (
            r#"[{"op":"replace","path":"/bc/x","value":2.0}]"#,
            r#"{"a":[1.50,"\u00e9\/"],"b\u0063":{"x":2.0,"y":[]},"z":-0.0}"#,
        ),
        (
            r#"[{"op":"copy","from":"/bc","path":"/a/0"},{"op":"remove","path":"/a/0/x"},{"op":"test","path":"/z","value":0}]"#,
            r#"{"a":[{"y":[]},1.50,"\u00e9\/"],"b\u0063":{"x":1E+2,"y":[]},"z":-0.0}"#,
        ),
        (
            r#"[{"op":"move","from":"/a/1","path":"/n~1w"},{"op":"add","path":"/z","value":null}]"#,
            r#"{"a":[1.50],"b\u0063":{"x":1E+2,"y":[]},"z":null,"n/w":"\u00e9\/"}"#,
        ),
        (
            r#"[{"op":"add","path":"","value":{"new":true}}]"#,
            r#"{"new":true}"#,
        ),
    ] {
        assert_eq!(
            patched(target, patch, Emptied::Keep).unwrap(),
            expected,
            "{patch}"
        );
    }
}

#[test]
fn what_is_emptied_goes_where_fhir_asks_for_it() {
    let target = r#"{"a":{"b":[{"c":1}]},"d":[],"e":2}"#;
    let patch = r#"[{"op":"remove","path":"/a/b/0/c"}]"#;
    assert_eq!(
        patched(target, patch, Emptied::Keep).unwrap(),
        r#"{"a":{"b":[{}]},"d":[],"e":2}"#
    );
    assert_eq!(
        patched(target, patch, Emptied::Drop).unwrap(),
        r#"{"d":[],"e":2}"#
    );
    let back = r#"[{"op":"remove","path":"/a/b/0"},{"op":"add","path":"/a/b/0","value":3}]"#;
    assert_eq!(
        patched(target, back, Emptied::Drop).unwrap(),
        r#"{"a":{"b":[3]},"d":[],"e":2}"#
    );
}

#[test]
fn refuses_what_cannot_be_done() {
    use PatchErrorKind as K;
    let target = r#"{"a":[1,{"b":2}],"c":"x"}"#;
    let text = |text: &str| text.to_owned();
    for (patch, kind) in [
        ("{}", K::NotAPatch),
        ("[]", K::Empty),
        ("[1]", K::Member("op")),
        (r#"[{"op":"increment","path":"/a"}]"#, K::Op),
        (r#"[{"op":"add","path":"/a"}]"#, K::Member("value")),
        (r#"[{"op":"add","value":1}]"#, K::Member("path")),
        (r#"[{"op":"move","path":"/a"}]"#, K::Member("from")),
        (r#"[{"op":"remove","path":"a"}]"#, K::Pointer(text("a"))),
        (r#"[{"op":"remove","path":"/~2"}]"#, K::Pointer(text("/~2"))),
        (r#"[{"op":"remove","path":""}]"#, K::Whole),
        (r#"[{"op":"remove","path":"/n"}]"#, K::Nothing(text("/n"))),
        (
            r#"[{"op":"remove","path":"/a/2"}]"#,
            K::Nothing(text("/a/2")),
        ),
        (
            r#"[{"op":"remove","path":"/a/-"}]"#,
            K::Nothing(text("/a/-")),
        ),
        (
            r#"[{"op":"remove","path":"/a/01"}]"#,
            K::Nothing(text("/a/01")),
        ),
        (
            r#"[{"op":"replace","path":"/n","value":1}]"#,
            K::Nothing(text("/n")),
        ),
        (
            r#"[{"op":"add","path":"/a/3","value":1}]"#,
            K::Index(text("/a/3")),
        ),
        (
            r#"[{"op":"add","path":"/a/x","value":1}]"#,
            K::Index(text("/a/x")),
        ),
        (
            r#"[{"op":"add","path":"/c/x","value":1}]"#,
            K::Nothing(text("/c/x")),
        ),
        (
            r#"[{"op":"test","path":"/c","value":"y"}]"#,
            K::Test(text("/c")),
        ),
        (
            r#"[{"op":"test","path":"/a/0","value":"1"}]"#,
            K::Test(text("/a/0")),
        ),
        (
            r#"[{"op":"move","from":"/a","path":"/a/1/b"}]"#,
            K::IntoItself(text("/a")),
        ),
    ] {
        assert_eq!(patched(target, patch, Emptied::Keep), Err(kind), "{patch}");
    }
}

#[test]
fn bombs_are_bounded() {
    let doubling = vec![r#"{"op":"copy","from":"/a","path":"/a/-"}"#; 40].join(",");
    let large = patched(
        r#"{"a":["0123456789"]}"#,
        &format!("[{doubling}]"),
        Emptied::Keep,
    );
    assert_eq!(large, Err(PatchErrorKind::TooLarge(10_000)));
    let many = vec![r#"{"op":"test","path":"/a","value":1}"#; 501].join(",");
    assert_eq!(
        patched(r#"{"a":1}"#, &format!("[{many}]"), Emptied::Keep),
        Err(PatchErrorKind::TooMany(500))
    );
    let value = format!("\"{}\"", "x".repeat(3000));
    let test = format!(r#"{{"op":"test","path":"/a","value":{value}}}"#);
    let costly = vec![test; 400].join(",");
    assert_eq!(
        patched(
            &format!("{{\"a\":{value}}}"),
            &format!("[{costly}]"),
            Emptied::Keep
        ),
        Err(PatchErrorKind::TooCostly(1_000_000))
    );
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let path = "/0".repeat(99);
    let nested = format!(r#"[{{"op":"copy","from":"/a","path":"/a{path}/0"}}]"#);
    assert_eq!(
        patched(&format!("{{\"a\":{deep}}}"), &nested, Emptied::Keep),
        Err(PatchErrorKind::TooDeep(128))
    );
    let far = format!(
        r#"[{{"op":"test","path":"{}","value":1}}]"#,
        "/a".repeat(200)
    );
    assert_eq!(
        patched("{}", &far, Emptied::Keep),
        Err(PatchErrorKind::TooDeep(128))
    );
}

fn anything() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        (0..3_i32).prop_map(Into::into)
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::btree_map("[ab]", inner, 0..3)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// What was replaced and put back, moved there and back, or added and removed, is what it was.
    #[test]
    fn what_is_undone_is_as_before(target in anything(), path in "(/[ab012]){1,3}", value in anything()) {
        let before = target.to_string();
        if let Some(old) = target.pointer(&path) {
            let patch = serde_json::json!([
                {"op": "replace", "path": path, "value": value},
                {"op": "test", "path": path, "value": value},
                {"op": "replace", "path": path, "value": old},
            ]);
            let after = patched(&before, &patch.to_string(), Emptied::Keep).unwrap();
            prop_assert_eq!(after, before);
        } else {
            let patch = serde_json::json!([
                {"op": "add", "path": path, "value": value},
                {"op": "remove", "path": path},
            ]);
            match patched(&before, &patch.to_string(), Emptied::Keep) {
                Ok(after) => prop_assert_eq!(after, before),
                Err(kind) => prop_assert!(matches!(
                    kind,
                    PatchErrorKind::Nothing(_) | PatchErrorKind::Index(_)
                )),
            }
        }
    }

    #[test]
    fn any_operations_end(target in anything(), patch in proptest::collection::vec(
        ("(add|remove|replace|move|copy|test)", "(/[ab01-]){0,3}", "(/[ab01]){0,3}", anything()), 1..8)) {
        let patch: Vec<_> = patch.into_iter().map(|(op, path, from, value)|
            serde_json::json!({"op": op, "path": path, "from": from, "value": value})).collect();
        let patch = serde_json::Value::from(patch).to_string();
        if let Ok(after) = patched(&target.to_string(), &patch, Emptied::Drop) {
            prop_assert!(Document::parse(after.into_bytes(), &json::Limits::default()).is_ok());
        }
    }
}
