//! Code systems of a handful of concepts, and what is asked of every packed one.

use fhir::json::{Document, Limits};

use super::*;

/// 1 { 2, 3 { 4, 5, 6 } }, 6 is below 2 as well; 5 is inactive, 2 abstract; subset 900 holds 4 and 6.
pub(crate) fn zoo() -> CodeSystem {
    let mut builder = Builder::new(Head::new("http://zoo", Some("2"), "Zoo"));
    let names = [
        ("1", "Animal"),
        ("2", "Winged animal"),
        ("3", "Mammal"),
        ("4", "Cat"),
        ("5", "Dog"),
        ("6", "Bat"),
    ];
    for (code, display) in names {
        let draft = ConceptDraft {
            code,
            display: Some(display),
            ..ConceptDraft::default()
        };
        builder.add(&draft).unwrap();
    }
    for (child, parent) in [(1, 0), (2, 0), (3, 2), (4, 2), (5, 2), (5, 1)] {
        builder.parent(child, parent);
    }
    builder.flag(4, INACTIVE);
    builder.flag(1, ABSTRACT);
    builder.subset("900", 5);
    builder.subset("900", 3);
    let usage = Usage {
        system: "http://snomed.info/sct".to_owned(),
        code: "900000000000013009".to_owned(),
        display: "Synonym".to_owned(),
    };
    builder.designation(3, "de", &usage, "Katze").unwrap();
    builder.designation(3, "en", &usage, "Feline").unwrap();
    builder.designation(5, "de", &usage, "Fledermaus").unwrap();
    let legs = builder
        .property("legs", None, PropertyKind::Integer)
        .unwrap();
    for (at, count) in [(3, "4"), (4, "4"), (5, "2")] {
        builder
            .value(at, legs, PropertyKind::Integer, count)
            .unwrap();
    }
    builder.finish().unwrap()
}

pub(crate) fn from_json(text: &str) -> CodeSystem {
    let document = Document::parse(text.as_bytes().to_vec(), &Limits::default()).unwrap();
    from_resource(document.root()).unwrap()
}

#[test]
fn a_code_system_comes_back_from_its_bytes() {
    let mut system = zoo();
    system.store_words();
    let bytes = system.encode().unwrap();
    let again = CodeSystem::decode(&bytes).unwrap();
    assert_eq!(again.len(), 6);
    for code in ["1", "2", "3", "4", "5", "6"] {
        let (a, b) = (system.find(code).unwrap(), again.find(code).unwrap());
        assert_eq!(a, b);
        assert_eq!(system.display(a), again.display(b));
        assert_eq!(system.is_inactive(a), again.is_inactive(b));
        let names = |system: &CodeSystem| -> Vec<String> {
            let all = system.designations(a);
            all.map(|one| format!("{} {}", one.language, one.value))
                .collect()
        };
        assert_eq!(names(&system), names(&again));
        let values: Vec<_> = system.values(a).collect();
        assert_eq!(values, again.values(a).collect::<Vec<_>>());
    }
    let cat = again.find("4").unwrap();
    assert_eq!(again.designations(cat).count(), 2);
    assert_eq!(again.values(cat).next().unwrap().text, "4");
    assert_eq!(again.find("7"), None);
    assert_eq!(again.subset("900").unwrap().len(), 2);
}

#[test]
fn a_resource_becomes_a_code_system() {
    let system = from_json(
        r#"{"resourceType":"CodeSystem","url":"http://x","version":"1","content":"complete",
        "caseSensitive":false,
        "property":[{"code":"weight","type":"decimal"},{"code":"child","type":"code"}],
        "concept":[
          {"code":"A","display":"Alpha","concept":[
             {"code":"B","definition":"Second","property":[{"code":"weight","valueDecimal":1.50},
                {"code":"notSelectable","valueBoolean":true}]},
             {"code":"B"}]},
          {"code":"C","property":[{"code":"child","valueCode":"B"},{"code":"status","valueCode":"retired"}]}]}"#,
    );
    assert_eq!(system.len(), 3);
    let at = |code| system.find(code).unwrap();
    assert_eq!(at("b"), at("B"));
    assert!(system.hierarchy().subsumes(at("A"), at("B")));
    assert!(system.hierarchy().subsumes(at("C"), at("B")));
    assert!(!system.hierarchy().subsumes(at("A"), at("C")));
    assert!(system.is_abstract(at("B")));
    assert!(system.is_inactive(at("C")));
    let weight = system.values(at("B")).next().unwrap();
    assert_eq!((weight.code, weight.text), ("weight", "1.50"));
    assert_eq!(system.definition(at("B")), "Second");
}

#[test]
fn a_hierarchy_in_a_circle_is_refused_by_name() {
    let text = r#"{"resourceType":"CodeSystem","url":"http://x","content":"complete","concept":[
        {"code":"A","property":[{"code":"parent","valueCode":"B"}]},
        {"code":"B","property":[{"code":"parent","valueCode":"A"}]}]}"#;
    let document = Document::parse(text.as_bytes().to_vec(), &Limits::default()).unwrap();
    let error = from_resource(document.root()).unwrap_err().to_string();
    assert!(error.contains("is an ancestor of itself"), "{error}");
}

mod noise {
    use proptest::prelude::*;

    use super::super::*;
    use super::zoo;

    /// Asks everything of a code system that came from damaged bytes.
    fn ask(system: &CodeSystem) -> usize {
        let mut sum = 0;
        for at in 0..system.len().min(100) as u32 {
            sum += system.find(system.code(at)).map_or(0, |at| at as usize);
            sum += system.display(at).len() + system.definition(at).len();
            sum += system
                .designations(at)
                .map(|one| one.value.len())
                .sum::<usize>();
            sum += system.values(at).map(|one| one.text.len()).sum::<usize>();
            sum += system
                .hierarchy()
                .spans(at)
                .map(|span| span.len())
                .sum::<usize>();
            sum += system
                .hierarchy()
                .ancestors(at, 1000)
                .map_or(0, |all| all.len());
            sum += system.children(at).len();
        }
        sum + system.words().search("a").iter().count()
    }

    proptest! {
        #[test]
        fn noise_is_refused_or_answered_but_never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            if let Ok(system) = CodeSystem::decode(&bytes) {
                ask(&system);
            }
        }

        #[test]
        fn damage_is_refused_or_answered_but_never_panics(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut system = zoo();
            system.store_words();
            let mut bytes = system.encode().unwrap();
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if let Ok(system) = CodeSystem::decode(&bytes) {
                ask(&system);
            }
        }
    }
}
