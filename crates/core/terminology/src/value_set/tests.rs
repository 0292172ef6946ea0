//! Value sets over the zoo: what they come to, what they look like expanded, and what cannot be told.

use std::sync::Arc;

use fhir::json::{Document, Limits};
use fhir::terminology::{Answer, Coded, Terminology};

use super::expand::{Expansion, Wanted, expand};
use super::*;
use crate::engine::Engine;
use crate::library::{Library, Pins, Shelf};
use crate::system::tests::{from_json, zoo};
use crate::validate::{Asked, Manner, any_in_value_set, in_system, in_value_set};

fn set(text: &str) -> Arc<ValueSet> {
    let document = Document::parse(text.as_bytes().to_vec(), &Limits::default()).unwrap();
    Arc::new(ValueSet::from_resource(document.root()).unwrap())
}

fn composed(url: &str, compose: &str) -> Arc<ValueSet> {
    set(&format!(
        r#"{{"resourceType":"ValueSet","url":"{url}","status":"active","compose":{compose}}}"#
    ))
}

fn shelf() -> Shelf {
    let mut shelf = Shelf::default();
    shelf.add_system(&Arc::new(zoo()));
    shelf.add_system(&Arc::new(from_json(
        r#"{"resourceType":"CodeSystem","url":"http://part","version":"1","content":"fragment",
        "concept":[{"code":"a","display":"A thing"}]}"#,
    )));
    shelf.add_system(&Arc::new(from_json(
        r#"{"resourceType":"CodeSystem","url":"http://more","content":"supplement","supplements":"http://zoo|2",
        "concept":[{"code":"4","designation":[{"language":"fr","value":"Chat"}]}]}"#,
    )));
    shelf
}

fn engine(sets: &[(&str, &str)]) -> Engine {
    let mut shelf = shelf();
    for (url, compose) in sets {
        shelf.add_value_set(&composed(url, compose));
    }
    Engine::new(Library::new(vec![Arc::new(shelf)]))
}

fn codes(expansion: &Expansion) -> String {
    fn walk(entries: &[expand::Entry], into: &mut String) {
        for entry in entries {
            into.push_str(&entry.code);
            if !entry.contains.is_empty() {
                into.push('(');
                walk(&entry.contains, into);
                into.push(')');
            }
            into.push(' ');
        }
    }
    let mut text = String::new();
    walk(&expansion.entries, &mut text);
    text.trim_end().replace(" )", ")")
}

fn wanted() -> Wanted {
    Wanted {
        limit: 100,
        ..Wanted::default()
    }
}

fn expanded(engine: &Engine, url: &str, wanted: &Wanted) -> Result<Expansion, TerminologyError> {
    expand(engine.library(), &*engine.value_set(url)?, wanted)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn composes_come_to_what_they_say() {
    let zoo = |rest: &str| format!(r#"{{"system":"http://zoo"{rest}}}"#);
    let filter = |property: &str, op: &str, value: &str| {
        zoo(&format!(
            r#","filter":[{{"property":"{property}","op":"{op}","value":"{value}"}}]"#
        ))
    };
    let table = [
        (zoo(""), "", "1 2 3 4 5 6"),
        (filter("concept", "is-a", "3"), "", "3 4 5 6"),
        (filter("concept", "descendent-of", "3"), "", "4 5 6"),
        (filter("concept", "is-not-a", "3"), "", "1 2"),
        (filter("concept", "generalizes", "6"), "", "1 2 3 6"),
        (filter("concept", "in", "900"), "", "4 6"),
        (filter("concept", "in", "1,2"), "", "1 2"),
        (filter("concept", "not-in", "1,2"), "", "3 4 5 6"),
        (filter("code", "regex", "[12]|.6"), "", "1 2"),
        (filter("display", "regex", ".*at"), "", "4 6"),
        (filter("legs", "=", "4"), "", "4 5"),
        (filter("legs", "in", "2,3"), "", "6"),
        (filter("legs", "not-in", "2,4"), "", "1 2 3"),
        (filter("legs", "exists", "true"), "", "4 5 6"),
        (filter("legs", "exists", "false"), "", "1 2 3"),
        (filter("parent", "=", "2"), "", "6"),
        (filter("child", "=", "6"), "", "2 3"),
        (filter("ancestor", "=", "1"), "", "2 3 4 5 6"),
        (filter("inactive", "=", "true"), "", "5"),
        (filter("constraint", "=", "<< 2 OR 4"), "", "2 4 6"),
        (zoo(""), &filter("concept", "is-a", "3"), "1 2"),
        (
            zoo(r#","concept":[{"code":"5"},{"code":"4"},{"code":"77"}]"#),
            "",
            "5 4",
        ),
        (
            zoo(r#","concept":[{"code":"5"},{"code":"4"}]"#),
            &zoo(r#","concept":[{"code":"5"}]"#),
            "4",
        ),
    ];
    for (include, exclude, expected) in table {
        let exclude = if exclude.is_empty() {
            String::new()
        } else {
            format!(r#","exclude":[{exclude}]"#)
        };
        let compose = format!(r#"{{"include":[{include}]{exclude}}}"#);
        let engine = engine(&[("http://v", &compose)]);
        let found = expanded(&engine, "http://v", &wanted());
        let found = found.unwrap_or_else(|error| panic!("{compose}: {error}"));
        let mut sorted = codes(&found);
        if !compose.contains(r#""code":"5""#) {
            let mut these: Vec<&str> = sorted.split(' ').collect();
            these.sort_unstable();
            sorted = these.join(" ");
        }
        assert_eq!(sorted, expected, "{compose}");
        for code in ["1", "2", "3", "4", "5", "6", "77"] {
            let coded = Coded {
                system: Some("http://zoo"),
                version: None,
                code,
            };
            let expected = if expected.split(' ').any(|one| one == code) {
                Answer::Yes
            } else {
                Answer::No
            };
            assert_eq!(
                engine.member_of("http://v", &coded),
                expected,
                "{compose} {code}"
            );
        }
    }
}

#[test]
fn imports_are_united_intersected_and_never_circular() {
    let engine = engine(&[
        (
            "http://a",
            r#"{"include":[{"system":"http://zoo","concept":[{"code":"4"},{"code":"6"}]}]}"#,
        ),
        (
            "http://b",
            r#"{"include":[{"system":"http://zoo","filter":[{"property":"concept","op":"is-a","value":"2"}]}]}"#,
        ),
        (
            "http://both",
            r#"{"include":[{"valueSet":["http://a","http://b"]}]}"#,
        ),
        (
            "http://either",
            r#"{"include":[{"valueSet":["http://a"]},{"valueSet":["http://b"]}]}"#,
        ),
        (
            "http://less",
            r#"{"include":[{"valueSet":["http://a"]}],"exclude":[{"valueSet":["http://b"]}]}"#,
        ),
        ("http://x", r#"{"include":[{"valueSet":["http://y"]}]}"#),
        ("http://y", r#"{"include":[{"valueSet":["http://x"]}]}"#),
        (
            "http://lost",
            r#"{"include":[{"valueSet":["http://a"]},{"valueSet":["http://nowhere"]}]}"#,
        ),
        (
            "http://doubt",
            r#"{"include":[{"valueSet":["http://a"]}],"exclude":[{"valueSet":["http://nowhere"]}]}"#,
        ),
    ]);
    let all = |url: &str| expanded(&engine, url, &wanted()).map(|found| codes(&found));
    assert_eq!(all("http://both").unwrap(), "6");
    assert_eq!(all("http://either").unwrap(), "4 6 2");
    assert_eq!(all("http://less").unwrap(), "4");
    assert!(matches!(
        all("http://x"),
        Err(TerminologyError::Circular(_))
    ));
    assert!(matches!(
        all("http://lost"),
        Err(TerminologyError::ValueSetUnknown(_))
    ));
    let ask = |url: &str, code: &str| {
        let coded = Coded {
            system: Some("http://zoo"),
            version: None,
            code,
        };
        engine.member_of(url, &coded)
    };
    assert_eq!(ask("http://lost", "4"), Answer::Yes);
    assert_eq!(ask("http://lost", "1"), Answer::Unknown);
    assert_eq!(ask("http://doubt", "4"), Answer::Unknown);
    assert_eq!(ask("http://doubt", "1"), Answer::No);
    assert_eq!(ask("http://x", "1"), Answer::Unknown);
}

#[test]
fn a_long_chain_of_imports_is_refused_and_a_wide_one_is_not_walked_twice() {
    let name = |at: usize| format!("http://v{at}");
    let chain: Vec<(String, String)> = (0..200)
        .map(|at| {
            (
                name(at),
                format!(r#"{{"include":[{{"valueSet":["{}"]}}]}}"#, name(at + 1)),
            )
        })
        .collect();
    let chain: Vec<(&str, &str)> = chain
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    let found = expanded(&engine(&chain), "http://v0", &wanted());
    assert!(
        matches!(found, Err(TerminologyError::Faulty { .. })),
        "{found:?}"
    );
    // Each imports the next twice: two to the power of forty ways down.
    let twice: Vec<(String, String)> = (0..40)
        .map(|at| {
            let next = format!(r#"{{"valueSet":["{}"]}}"#, name(at + 1));
            (name(at), format!(r#"{{"include":[{next},{next}]}}"#))
        })
        .chain([(
            name(40),
            r#"{"include":[{"system":"http://zoo"}]}"#.to_owned(),
        )])
        .collect();
    let twice: Vec<(&str, &str)> = twice
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    let found = expanded(&engine(&twice), "http://v0", &wanted()).unwrap();
    assert_eq!(found.total, 6);
}

#[test]
fn what_is_not_loaded_is_a_gap_and_never_a_no() {
    let engine = engine(&[
        (
            "http://sct",
            r#"{"include":[{"system":"http://snomed.info/sct"}]}"#,
        ),
        (
            "http://listed",
            r#"{"include":[{"system":"http://snomed.info/sct","concept":[{"code":"1","display":"One"}]}]}"#,
        ),
        ("http://partly", r#"{"include":[{"system":"http://part"}]}"#),
        (
            "http://old",
            r#"{"include":[{"system":"http://zoo","version":"1"}]}"#,
        ),
        (
            "http://odd",
            r#"{"include":[{"system":"http://zoo","filter":[{"property":"wings","op":"=","value":"2"}]}]}"#,
        ),
    ]);
    let ask = |url: &str, system: &str, code: &str| {
        let coded = Coded {
            system: Some(system),
            version: None,
            code,
        };
        engine.member_of(url, &coded)
    };
    let sct = "http://snomed.info/sct";
    let table = [
        ("http://sct", sct, "1", Answer::Unknown),
        ("http://sct", "http://zoo", "1", Answer::No),
        ("http://listed", sct, "1", Answer::Yes),
        ("http://listed", sct, "2", Answer::No),
        ("http://partly", "http://part", "a", Answer::Yes),
        ("http://partly", "http://part", "b", Answer::Unknown),
        ("http://old", "http://zoo", "1", Answer::Unknown),
        ("http://odd", "http://zoo", "1", Answer::Unknown),
        ("http://nowhere", "http://zoo", "1", Answer::Unknown),
        (
            "http://snomed.info/sct?fhir_vs=isa/1",
            sct,
            "1",
            Answer::Unknown,
        ),
    ];
    for (url, system, code, expected) in table {
        assert_eq!(ask(url, system, code), expected, "{url} {system} {code}");
    }
    assert!(matches!(
        expanded(&engine, "http://sct", &wanted()),
        Err(TerminologyError::SystemUnknown(_))
    ));
    assert!(matches!(
        expanded(&engine, "http://odd", &wanted()),
        Err(TerminologyError::Filter { .. })
    ));
    let partly = expanded(&engine, "http://partly", &wanted()).unwrap();
    assert_eq!(partly.incomplete, ["http://part|1"]);
    let listed = expanded(&engine, "http://listed", &wanted()).unwrap();
    assert_eq!(listed.entries[0].display.as_deref(), Some("One"));
}

#[test]
fn what_cannot_be_used_hides_what_stands_behind_it() {
    let behind = engine(&[("http://v", r#"{"include":[{"system":"http://zoo"}]}"#)]);
    let mut nearer = Shelf::default();
    nearer.add_fault("http://zoo", "its hierarchy is a circle".to_owned());
    nearer.add_fault(
        "http://v",
        "it has neither compose nor expansion".to_owned(),
    );
    let library = behind.library().behind(Arc::new(nearer));
    assert!(matches!(
        library.require("http://zoo", None),
        Err(TerminologyError::Faulty { .. })
    ));
    let engine = Engine::new(library);
    let coded = Coded {
        system: Some("http://zoo"),
        version: None,
        code: "1",
    };
    assert_eq!(engine.exists(&coded), Answer::Unknown);
    assert_eq!(engine.member_of("http://v", &coded), Answer::Unknown);
    assert!(matches!(
        engine.value_set("http://v"),
        Err(TerminologyError::Faulty { .. })
    ));
}

#[test]
fn expansions_are_filtered_paged_nested_and_translated() {
    let all = r#"{"include":[{"system":"http://zoo"}]}"#;
    let engine = engine(&[("http://v", all)]);
    let ask = |wanted: Wanted| expanded(&engine, "http://v", &wanted).unwrap();
    let filtered = |text: &str| Wanted {
        filter: Some(text.to_owned()),
        ..wanted()
    };
    assert_eq!(codes(&ask(filtered("a"))), "1 2");
    assert_eq!(codes(&ask(filtered("fel"))), "4");
    assert_eq!(codes(&ask(filtered("3"))), "3");
    assert_eq!(codes(&ask(filtered("?!"))), "");
    let page = ask(Wanted {
        offset: 2,
        count: Some(2),
        ..wanted()
    });
    // 6 stands below 2 in the spanning tree.
    assert_eq!((codes(&page).as_str(), page.total), ("6 3", 6));
    let active = ask(Wanted {
        active_only: true,
        selectable_only: true,
        offset: 1,
        ..wanted()
    });
    assert_eq!((codes(&active).as_str(), active.total), ("6 3 4", 4));
    let none = ask(Wanted {
        count: Some(0),
        ..wanted()
    });
    assert_eq!((none.entries.len(), none.total), (0, 6));
    let nested = ask(Wanted {
        nested: true,
        ..wanted()
    });
    assert_eq!(codes(&nested), "1(2(6) 3(4 5))");
    let german = ask(Wanted {
        language: Some("de-CH, fr;q=0.5".to_owned()),
        designations: true,
        ..filtered("cat")
    });
    assert_eq!(german.entries[0].display.as_deref(), Some("Katze"));
    assert_eq!(german.entries[0].names.len(), 3);
    let french = ask(Wanted {
        language: Some("fr".to_owned()),
        ..filtered("cat")
    });
    assert_eq!(french.entries[0].display.as_deref(), Some("Chat"));
    let costly = expanded(
        &engine,
        "http://v",
        &Wanted {
            limit: 5,
            ..Wanted::default()
        },
    );
    assert!(matches!(
        costly,
        Err(TerminologyError::TooCostly { limit: 5, .. })
    ));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn codes_are_validated_with_their_displays_and_versions() {
    let engine = engine(&[(
        "http://v",
        r#"{"include":[{"system":"http://zoo","concept":[{"code":"4","display":"House cat"},{"code":"2"},{"code":"5"}]}]}"#,
    )]);
    let compiled = engine.value_set("http://v").unwrap();
    let ask = |system, version, code, display| {
        let asked = Asked {
            system,
            version,
            code,
            display,
        };
        let manner = Manner::default();
        in_value_set(engine.library(), &compiled, &asked, &manner).unwrap()
    };
    let zoo = Some("http://zoo");
    let table = [
        (zoo, None, "4", None, true),
        (None, None, "4", None, true),
        (zoo, None, "4", Some("house  CAT"), true),
        (zoo, None, "4", Some("Katze"), true),
        (zoo, None, "4", Some("Chat"), true),
        (zoo, None, "4", Some("Dog"), false),
        (zoo, Some("2"), "4", None, true),
        (zoo, Some("3"), "4", None, false),
        (zoo, None, "2", None, false),
        (zoo, None, "5", None, true),
        (zoo, None, "6", None, false),
        (zoo, None, "77", None, false),
    ];
    for (system, version, code, display, expected) in table {
        let verdict = ask(system, version, code, display);
        assert_eq!(
            verdict.result, expected,
            "{code} {version:?} {display:?} {verdict:?}"
        );
        assert_eq!(verdict.message().is_none(), expected && code != "5");
    }
    assert!(ask(zoo, None, "5", None).inactive);
    assert_eq!(
        ask(None, None, "4", None).display.as_deref(),
        Some("House cat")
    );
    let manner = Manner {
        abstract_allowed: true,
        ..Manner::default()
    };
    let coded = |system, code| Asked {
        system: Some(system),
        code,
        ..Asked::default()
    };
    let several = [coded("http://else", "1"), coded("http://zoo", "2")];
    let verdict = any_in_value_set(engine.library(), &compiled, &several, &manner);
    assert!(verdict.unwrap().result);
    let library = engine.library();
    let known = |url, code| in_system(library, url, &coded(url, code), &manner);
    assert!(known("http://zoo", "1").unwrap().result);
    assert!(!known("http://zoo", "7").unwrap().result);
    assert!(known("http://part", "a").unwrap().result);
    assert!(matches!(
        known("http://part", "b"),
        Err(TerminologyError::SystemIncomplete(_))
    ));
    assert!(matches!(
        known("http://else", "b"),
        Err(TerminologyError::SystemUnknown(_))
    ));
    assert!(known("urn:ietf:bcp:47", "de").unwrap().result);
    assert!(!known("urn:ietf:bcp:47", "d?").unwrap().result);
}

/// A thousand concepts, every third inactive, in two halves.
fn thousand() -> Engine {
    let head = crate::system::Head::new("http://many", None, "Many");
    let mut builder = crate::system::Builder::new(head);
    for at in 0..1_000u32 {
        let (code, display) = (at.to_string(), format!("thing {at}"));
        let draft = crate::system::ConceptDraft {
            code: &code,
            display: Some(&display),
            flags: u8::from(at % 3 == 0) * crate::system::INACTIVE,
            ..crate::system::ConceptDraft::default()
        };
        let at = builder.add(&draft).unwrap().unwrap();
        if at > 0 {
            builder.parent(at, u32::from(at > 400));
        }
    }
    let mut shelf = Shelf::default();
    shelf.add_system(&Arc::new(builder.finish().unwrap()));
    let all = r#"{"include":[{"system":"http://many"}]}"#;
    let half = r#"{"include":[{"system":"http://many","filter":[{"property":"concept","op":"is-a","value":"1"}]}]}"#;
    shelf.add_value_set(&composed("http://all", all));
    shelf.add_value_set(&composed("http://half", half));
    Engine::new(Library::new(vec![Arc::new(shelf)]))
}

#[test]
fn pages_of_a_filter_are_cut_from_the_whole_answer() {
    let engine = thousand();
    for url in ["http://all", "http://half"] {
        for active_only in [false, true] {
            for filter in ["thing", "th 7", "999"] {
                let ask = |offset, count| {
                    let wanted = Wanted {
                        filter: Some(filter.to_owned()),
                        offset,
                        count: Some(count),
                        limit: 2_000,
                        active_only,
                        ..Wanted::default()
                    };
                    expanded(&engine, url, &wanted).unwrap()
                };
                let whole = ask(0, 2_000);
                assert_eq!(whole.total, whole.entries.len());
                for (offset, count) in [(0, 0), (0, 10), (7, 5), (90, 30), (5_000, 10)] {
                    let page = ask(offset, count);
                    assert_eq!(page.total, whole.total, "{url} {filter} {offset} {count}");
                    let expected: Vec<_> = whole.entries.iter().skip(offset).take(count).collect();
                    assert_eq!(page.entries.iter().collect::<Vec<_>>(), expected);
                }
            }
        }
    }
}

#[test]
fn a_definition_that_costs_too_much_is_refused() {
    let mut builder =
        crate::system::Builder::new(crate::system::Head::new("http://big", None, "Big"));
    for at in 0..100_000 {
        let code = at.to_string();
        let draft = crate::system::ConceptDraft {
            code: &code,
            ..crate::system::ConceptDraft::default()
        };
        builder.add(&draft).unwrap();
    }
    let mut shelf = Shelf::default();
    shelf.add_system(&Arc::new(builder.finish().unwrap()));
    let engine = Engine::new(Library::new(vec![Arc::new(shelf)]));
    let clause = Clause {
        system: Some("http://big".to_owned()),
        filters: vec![Filter {
            property: "parent".to_owned(),
            op: "=".to_owned(),
            value: "1".to_owned(),
        }],
        ..Clause::default()
    };
    let bomb = ValueSet {
        url: "http://bomb".to_owned(),
        include: vec![clause; 3_000],
        ..ValueSet::default()
    };
    let compiled = engine.compile(Arc::new(bomb), &Pins::new());
    assert!(matches!(compiled, Err(TerminologyError::TooCostly { .. })));
}
