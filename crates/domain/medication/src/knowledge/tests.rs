//! The built-in release is whole, and nothing else passes for it.

use super::builtin::{MANIFEST, PARTS, built_in, hex, load};
use super::*;

#[test]
fn the_release_names_the_hash_of_every_part() {
    let head: String = MANIFEST
        .lines()
        .take(4)
        .fold(String::new(), |text, line| text + line + "\n");
    let wanted = PARTS.iter().fold(head, |text, (name, content)| {
        text + name + " " + &hex(content.as_bytes()) + "\n"
    });
    assert_eq!(
        MANIFEST, wanted,
        "a part was changed: raise the version and state these hashes"
    );
}

#[test]
fn what_was_not_released_is_refused() {
    for at in 0..PARTS.len() {
        let changed = format!("{} ", PARTS[at].1);
        let mut parts = PARTS;
        parts[at].1 = &changed;
        assert_eq!(
            load(MANIFEST, &parts).err(),
            Some(KnowledgeError::Altered(PARTS[at].0.to_owned()))
        );
    }
    let without = MANIFEST.replace("classes ", "klasses ");
    assert!(load(&without, &PARTS).is_err());
}

#[test]
fn a_fault_names_file_and_line() {
    let text = |changed: &str| {
        let mut parts = PARTS;
        let broken = format!("# x\nrule a\nkind interaction\n{changed}\n");
        parts[2].1 = &broken;
        let manifest: String =
            MANIFEST.replace(&hex(PARTS[2].1.as_bytes()), &hex(broken.as_bytes()));
        load(&manifest, &parts).unwrap_err().to_string()
    };
    assert_eq!(
        text("between nonsense"),
        "interactions line 4: no ingredient nonsense"
    );
    assert_eq!(
        text("tier loud"),
        "interactions line 4: cannot read tier \"loud\""
    );
    assert_eq!(text("colour red"), "interactions line 4: no field colour");
}

#[test]
fn names_and_codes_resolve_to_one_ingredient() {
    let known = built_in().unwrap();
    for (name, key) in [
        ("Acetaminophen", "paracetamol"),
        ("ST JOHN'S WORT", "st-johns-wort"),
        ("glyceryl trinitrate", "glyceryl-trinitrate"),
        ("Sodium Valproate", "valproate"),
    ] {
        let id = known.ingredient(name).unwrap();
        assert_eq!(known.ingredients[usize::from(id.0)].key, key);
    }
    assert_eq!(known.ingredient("moonbeam"), None);
    assert_eq!(
        known.ingredient_by_code("rxnorm", "11289"),
        known.ingredient("warfarin")
    );
    assert_eq!(
        known.ingredient_by_code("snomed", "387517004"),
        known.ingredient("paracetamol")
    );
    assert_eq!(known.ingredient_by_code("rxnorm", "0"), None);
    let mut seen = std::collections::BTreeMap::new();
    for (id, one) in known.ingredients() {
        for name in &one.names {
            assert_eq!(seen.insert(name.clone(), id), None, "{name} names two");
        }
    }
}

#[test]
fn every_rule_says_what_why_and_whence_and_has_members() {
    let known = built_in().unwrap();
    let mut ids = std::collections::BTreeSet::new();
    for rule in known.rules() {
        assert!(ids.insert(&rule.id), "{} is there twice", rule.id);
        assert!(
            !rule.effect.is_empty() && !rule.mechanism.is_empty() && !rule.management.is_empty()
        );
        assert!(!rule.citations.is_empty(), "{}", rule.id);
    }
    for body in known
        .interactions
        .iter()
        .chain(&known.triples)
        .chain(&known.allergies)
        .chain(&known.clears)
    {
        assert!(body.first.iter().next().is_some(), "{}", body.rule.id);
        assert!(body.second.iter().next().is_some(), "{}", body.rule.id);
    }
    let further = known
        .interactions
        .iter()
        .filter(|body| body.rule.high_priority.is_none())
        .count();
    assert!(further >= 40, "{further}");
}
