//! The table itself: complete, numbered for ever, and within the presence bits.

use std::collections::{HashMap, HashSet};

use crate::definitions::Definitions;
use crate::search::params::SearchTables;
use crate::search::{ParamKind, PresenceBits, SearchParam};

use super::{param, ty};

static IDS: &str = include_str!("../../../definitions/search-parameter-ids.tsv");

fn all() -> impl Iterator<Item = &'static SearchParam> {
    let definitions = Definitions::r4();
    definitions
        .resource_types()
        .flat_map(|ty| definitions.search_params(ty))
}

#[test]
fn every_type_has_its_parameters() {
    let definitions = Definitions::r4();
    let types: Vec<_> = definitions
        .resource_types()
        .filter(|ty| !definitions.search_params(*ty).is_empty())
        .collect();
    assert_eq!(types.len(), 146);
    for ty in types {
        for code in [
            "_id",
            "_lastUpdated",
            "_tag",
            "_profile",
            "_security",
            "_source",
            "_has",
        ] {
            let name = definitions.resource_name(ty);
            assert!(
                definitions.search_param(ty, code).is_some(),
                "{name} {code}"
            );
        }
    }
    // 1,709 bindings in the definitions, 9 of them on Resource and DomainResource, which 146 and 143
    // types inherit, and three protocol parameters per type.
    assert_eq!(all().count(), 1709 - 9 + 146 * 8 + 143 + 146 * 3);
}

#[test]
fn every_parameter_is_compiled_or_special() {
    let tables = SearchTables::r4();
    let mut compiled = HashSet::new();
    for ty in Definitions::r4().resource_types() {
        compiled.extend(tables.of(ty).unwrap().trie.params(ty));
    }
    let mut special = HashSet::new();
    for param in all() {
        let found = compiled.contains(&(param.ty, param.bit));
        assert_eq!(found, param.kind != ParamKind::Special, "{param:?}");
        if !found {
            special.insert(param.code);
        }
        assert_eq!(
            param.kind == ParamKind::Composite,
            !param.components.is_empty(),
            "{param:?}"
        );
    }
    let mut special: Vec<_> = special.into_iter().collect();
    special.sort_unstable();
    assert_eq!(
        special,
        [
            "_content", "_filter", "_has", "_list", "_query", "_text", "near"
        ]
    );
}

#[test]
fn kinds_are_counted() {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for param in all().filter(|param| !param.code.starts_with('_')) {
        *counts.entry(param.kind.code()).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable();
    assert_eq!(
        counts,
        [
            ("composite", 72),
            ("date", 139),
            ("number", 6),
            ("quantity", 40),
            ("reference", 517),
            ("special", 1),
            ("string", 199),
            ("token", 671),
            ("uri", 55),
        ]
    );
}

#[test]
fn numbers_are_those_of_the_committed_table() {
    let definitions = Definitions::r4();
    let listed: HashMap<&str, u16> = IDS
        .lines()
        .map(|line| {
            let (id, name) = line.split_once('\t').unwrap();
            (name, id.parse().unwrap())
        })
        .collect();
    let numbers: HashSet<u16> = listed.values().copied().collect();
    assert_eq!(numbers.len(), listed.len());
    for param in all() {
        let name = format!("{}.{}", definitions.resource_name(param.ty), param.code);
        assert_eq!(listed.get(name.as_str()), Some(&param.id.0), "{name}");
        assert_eq!(definitions.search_param_by_id(param.id), Some(param));
    }
}

#[test]
fn every_bit_lies_in_the_first_word() {
    for ty in Definitions::r4().resource_types() {
        let params = Definitions::r4().search_params(ty);
        assert!(params.len() <= 64, "{ty:?} {}", params.len());
        for (at, param) in params.iter().enumerate() {
            assert_eq!(usize::from(param.bit), at);
        }
    }
    let mut bits = PresenceBits::default();
    bits.set(3);
    bits.set(255);
    bits.set(256);
    assert!(bits.contains(3) && bits.contains(255) && !bits.contains(256) && !bits.contains(4));
    assert_eq!(PresenceBits::from_words(bits.words()), bits);
}

#[test]
fn details_come_from_the_definitions() {
    let patient = param("Observation", "patient");
    assert_eq!(patient.targets, [ty("Patient")]);
    assert_eq!(
        patient.expression,
        "Observation.subject.where(resolve() is Patient)"
    );
    assert!(param("Observation", "subject").compartment);
    assert!(!param("Observation", "encounter").compartment);
    assert!(param("Provenance", "target").targets.is_empty());
    let composite = param("Observation", "code-value-quantity");
    let kinds: Vec<_> = composite.components.iter().map(|part| part.kind).collect();
    assert_eq!(kinds, [ParamKind::Token, ParamKind::Quantity]);
    let swapped = param("DocumentReference", "relationship");
    let kinds: Vec<_> = swapped.components.iter().map(|part| part.kind).collect();
    assert_eq!(kinds, [ParamKind::Token, ParamKind::Reference]);
    assert_eq!(
        Definitions::r4().search_param(ty("Patient"), "nothing"),
        None
    );
}
