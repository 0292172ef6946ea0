//! The parser against the grammar, its own rules and another parser.

use proptest::prelude::*;

use super::*;
use crate::print::compact;

fn parse(text: &[u8]) -> Result<Document, JsonError> {
    Document::parse(text.to_vec(), &Limits::default())
}

fn doc(text: &str) -> Document {
    parse(text.as_bytes()).unwrap()
}

#[test]
fn reads_values_as_written() {
    let doc = doc(
        "{\"a\" : [1.50, -0, 1e+2, true, false, null],\n \"b\":\"x\\n\\u00e9\\ud83d\\ude00\\/\", \"\":{}, \"\\u0063\":1}",
    );
    let root = doc.root();
    assert_eq!(root.kind(), Kind::Object);
    assert_eq!(root.len(), 4);
    let keys: Vec<_> = root.members().map(|(key, _)| key.into_owned()).collect();
    assert_eq!(keys, ["a", "b", "", "c"]);
    let items: Vec<_> = root.get("a").unwrap().items().collect();
    assert_eq!(items.len(), 6);
    assert_eq!(items[0].number_text(), Some("1.50"));
    assert_eq!(items[1].number_text(), Some("-0"));
    assert_eq!(items[2].number_text(), Some("1e+2"));
    assert_eq!(items[3].as_bool(), Some(true));
    assert_eq!(items[4].as_bool(), Some(false));
    assert_eq!(items[5].kind(), Kind::Null);
    assert_eq!(root.get_str("b").unwrap(), "x\né😀/");
    assert!(root.get("").unwrap().is_empty());
    assert_eq!(root.get("c").unwrap().number_text(), Some("1"));
    assert!(root.get("d").is_none());
    assert_eq!(
        root.get("a").unwrap().raw(),
        b"[1.50, -0, 1e+2, true, false, null]"
    );
    assert!(matches!(
        super::tests::doc("\"plain\"").root().as_str(),
        Some(Cow::Borrowed("plain"))
    ));
}

#[test]
fn refuses_what_is_not_json() {
    use JsonErrorKind as K;
    let is_syntax = |kind: &K| matches!(kind, K::Syntax(_));
    for text in [
        "",
        " ",
        "{",
        "[",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "[1 2]",
        "{\"a\" 1}",
        "{\"a\":}",
        "tru",
        "nul",
        "True",
        "NaN",
        "Infinity",
        "+1",
        "-",
        ".5",
        "1.",
        "1e",
        "1e+",
        "-a",
        "\"",
        "\"a",
        "\"\\",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u12",
        "[,1]",
        "{,}",
        "]",
        "}",
        "{\"a\":1]",
        "[1}",
        "/*c*/1",
        "{\"a\":1 \"b\":2}",
        "\u{feff}",
        "undefined",
        "{1:2}",
        "[\u{a0}1]",
    ] {
        let error = parse(text.as_bytes()).unwrap_err();
        assert!(
            is_syntax(&error.kind) || error.kind == K::ByteOrderMark,
            "{text:?}: {error}"
        );
    }
}

#[test]
fn names_what_is_refused_and_where() {
    use JsonErrorKind as K;
    for (text, kind, offset) in [
        ("01", K::Trailing, 1),
        ("1 1", K::Trailing, 2),
        ("{}}", K::Trailing, 2),
        ("\u{feff}{}", K::ByteOrderMark, 0),
        ("\"a\u{1}\"", K::ControlCharacter, 2),
        ("\"\n\"", K::ControlCharacter, 1),
        ("[\"\\ud800\"]", K::LoneSurrogate, 2),
        ("\"\\udc00\"", K::LoneSurrogate, 1),
        ("\"\\ud800\\u0041\"", K::LoneSurrogate, 1),
        ("\"\\ud800\\ud800\"", K::LoneSurrogate, 1),
    ] {
        let error = parse(text.as_bytes()).unwrap_err();
        assert_eq!((error.kind, error.offset), (kind, offset), "{text:?}");
    }
    let error = parse(b"\n[\"\xC3\xA9\", \"\xFF\"]").unwrap_err();
    assert_eq!(
        (error.kind, error.offset, error.line, error.column),
        (K::InvalidUtf8, 9, 2, 8)
    );
}

#[test]
fn refuses_duplicate_keys_and_names_them() {
    for (text, key, line, column) in [
        ("{\"a\":1,\"a\":2}", "a", 1, 8),
        ("{\"a\":1,\n \"\\u0061\":2}", "a", 2, 2),
        ("[{\"b\":{\"x\":1,\"y\":2,\"x\":3}}]", "x", 1, 20),
        ("{\"\":1,\"\":2}", "", 1, 7),
        (
            "{\"multipleBirthInteger\":1,\"multipleBirthInteger\":2}",
            "multipleBirthInteger",
            1,
            27,
        ),
    ] {
        let error = parse(text.as_bytes()).unwrap_err();
        assert_eq!(
            error.kind,
            JsonErrorKind::DuplicateKey(key.to_owned()),
            "{text}"
        );
        assert_eq!((error.line, error.column), (line, column), "{text}");
    }
    for allowed in [
        "{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":1}]}",
        "{\"abcdefgh\":1,\"abcdefgH\":2,\"a\":3}",
    ] {
        parse(allowed.as_bytes()).unwrap();
    }
    for count in [31, 32, 33, 34, 500] {
        let members: Vec<_> = (0..count).map(|n| format!("\"k{n}\":{n}")).collect();
        parse(format!("{{{}}}", members.join(",")).as_bytes()).unwrap();
        let error = parse(format!("{{{},\"k7\":0}}", members.join(",")).as_bytes()).unwrap_err();
        assert_eq!(error.kind, JsonErrorKind::DuplicateKey("k7".to_owned()));
        assert_eq!(error.offset, members.join(",").len() + 2);
    }
}

#[test]
fn holds_its_limits() {
    let limits = Limits {
        max_bytes: 100,
        max_depth: 3,
        max_nodes: 5,
    };
    let kind = |text: &str| {
        Document::parse(text.as_bytes().to_vec(), &limits)
            .map(|_| ())
            .map_err(|e| e.kind)
    };
    assert_eq!(kind("[[[1]]]"), Ok(()));
    assert_eq!(kind("[[[[]]]]"), Err(JsonErrorKind::TooDeep(3)));
    assert_eq!(kind("[1,2,3,4]"), Ok(()));
    assert_eq!(kind("[1,2,3,4,5]"), Err(JsonErrorKind::TooManyNodes(5)));
    assert_eq!(kind(&" ".repeat(101)), Err(JsonErrorKind::TooLarge(100)));
    let deep = "[".repeat(10_000);
    let error = parse(deep.as_bytes()).unwrap_err();
    assert_eq!(
        (error.kind, error.offset),
        (JsonErrorKind::TooDeep(128), 128)
    );
    let huge = Limits {
        max_depth: u32::MAX,
        ..Limits::default()
    };
    let error = Document::parse(deep.into_bytes(), &huge).unwrap_err();
    assert_eq!(error.kind, JsonErrorKind::TooDeep(512));
}

#[test]
fn errors_say_what_and_where() {
    let messages: Vec<String> = ["{\"a\":1,\n\"a\":2}", "[1,", "{\"é\": x}"]
        .iter()
        .map(|text| parse(text.as_bytes()).unwrap_err().to_string())
        .collect();
    insta::assert_snapshot!(messages.join("\n"), @r#"
    duplicate key "a": send each member once at line 2, column 1 (byte 8)
    expected a JSON value at line 1, column 4 (byte 3)
    expected a JSON value at line 1, column 7 (byte 7)
    "#);
}

fn equal(ours: Value<'_>, theirs: &serde_json::Value) -> bool {
    match theirs {
        serde_json::Value::Null => ours.kind() == Kind::Null,
        serde_json::Value::Bool(value) => ours.as_bool() == Some(*value),
        // The other parser writes the exponent's sign and letter its own way.
        serde_json::Value::Number(value) => ours
            .number_text()
            .is_some_and(|text| text.parse::<f64>().ok() == value.to_string().parse::<f64>().ok()),
        serde_json::Value::String(value) => ours.as_str().as_deref() == Some(value),
        serde_json::Value::Array(items) => {
            ours.kind() == Kind::Array
                && ours.len() == items.len()
                && ours
                    .items()
                    .zip(items)
                    .all(|(ours, theirs)| equal(ours, theirs))
        }
        serde_json::Value::Object(members) => {
            ours.kind() == Kind::Object
                && ours.len() == members.len()
                && ours
                    .members()
                    .zip(members)
                    .all(|((key, ours), (name, theirs))| {
                        key == name.as_str() && equal(ours, theirs)
                    })
        }
    }
}

fn agree(text: &[u8]) -> Result<(), TestCaseError> {
    let ours = parse(text);
    let theirs = serde_json::from_slice::<serde_json::Value>(text);
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => {
            prop_assert!(
                equal(ours.root(), theirs),
                "{}",
                String::from_utf8_lossy(text)
            );
            let mut printed = Vec::new();
            compact(ours.root(), &mut printed);
            let again = parse(&printed).unwrap();
            prop_assert!(equal(again.root(), theirs));
            let mut twice = Vec::new();
            compact(again.root(), &mut twice);
            prop_assert_eq!(printed, twice);
        }
        (Err(error), Ok(_)) => prop_assert!(
            matches!(error.kind, JsonErrorKind::DuplicateKey(_)),
            "{error}: {}",
            String::from_utf8_lossy(text)
        ),
        (Ok(_), Err(error)) => {
            return Err(TestCaseError::fail(format!(
                "{error}: {}",
                String::from_utf8_lossy(text)
            )));
        }
        (Err(_), Err(_)) => {}
    }
    Ok(())
}

fn arbitrary() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "-?(0|[1-9][0-9]{0,12})(\\.[0-9]{1,8})?([eE][+-]?[0-9]{1,2})?"
            .prop_map(|text| serde_json::from_str(&text).unwrap()),
        any::<String>().prop_map(Into::into),
        "[ -~]{0,20}".prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::vec(("[a-c\"\\\\é]{0,10}", inner), 0..40)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn agrees_on_valid_documents(value in arbitrary(), pretty: bool) {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        prop_assert!(parse(&text).is_ok());
        agree(&text)?;
    }

    #[test]
    fn agrees_on_damaged_documents(value in arbitrary(), at: prop::sample::Index, byte: u8, cut: bool) {
        let mut text = serde_json::to_vec(&value).unwrap();
        let at = at.index(text.len());
        if cut { text.truncate(at); } else { text[at] = byte; }
        agree(&text)?;
    }

    #[test]
    fn agrees_on_json_like_noise(text in "[\\[\\]{}:,\"\\\\/ubfnrtdD890aefl.+ \\-]{0,24}") {
        agree(text.as_bytes())?;
    }

    #[test]
    fn agrees_on_strings(text in "(\\\\u[dD][89abcdABCD][0-9a-f]{2}|\\\\[\"\\\\/bfnrtux]|[a-zé\u{1}-\u{20}😀]){0,12}") {
        agree(format!("\"{text}\"").as_bytes())?;
    }
}
