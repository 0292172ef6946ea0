//! The built-in list, resolution, and names that are alike.

use proptest::prelude::*;

use super::alike::{Alike, alike, similarity};
use super::*;
use crate::knowledge::builtin;

fn list() -> Dictionary {
    built_in(builtin::built_in().unwrap()).unwrap()
}

#[test]
fn every_built_in_product_resolves_and_wears_a_number_of_ones_own() {
    let list = list();
    assert!(list.products().len() >= 150, "{}", list.products().len());
    for product in list.products() {
        assert!(
            product
                .components
                .iter()
                .all(|one| one.ingredient.is_some() || one.name == "clavulanic acid"),
            "{product:?}"
        );
        assert!(product.gtins.iter().all(|gtin| gtin.is_restricted()));
        assert_eq!(list.by_gtin(product.gtins[0]), Some(product));
        assert_eq!(list.by_name(&product.name.to_uppercase()), Some(product));
        assert!(product.components.iter().all(|one| {
            let unit = &one.strength.as_ref().unwrap().unit;
            kernel::ucum::UcumUnit::parse(unit).is_ok()
        }));
    }
}

#[test]
fn what_is_not_resolved_goes_to_the_checks_by_name() {
    let list = list();
    let product = list.by_name("co-amoxiclav 500mg/125mg tablet").unwrap();
    let medicine = for_checks(product);
    assert_eq!(medicine.parts.len(), 1);
    assert_eq!(medicine.unresolved, ["clavulanic acid"]);
    assert_eq!(list.by_name("moonbeam"), None);
}

#[test]
fn schedules_are_as_in_the_regulations() {
    let list = list();
    for (name, schedule) in [
        ("Morphine 10mg modified-release tablet", Some(Schedule::Two)),
        ("Morphine 10mg/5ml oral solution", Some(Schedule::Five)),
        ("Temazepam 10mg tablet", Some(Schedule::Three)),
        ("Diazepam 2mg tablet", Some(Schedule::Four)),
        ("Ramipril 5mg capsule", None),
    ] {
        assert_eq!(list.by_name(name).unwrap().schedule, schedule, "{name}");
    }
}

#[test]
fn a_number_or_name_of_two_products_finds_neither() {
    let one = list().products()[0].clone();
    let two = Product {
        form: None,
        ..one.clone()
    };
    let both = Dictionary::of(vec![one.clone(), two]);
    assert_eq!(both.by_gtin(one.gtins[0]), None);
    assert_eq!(both.by_name(&one.name), None);
}

#[test]
fn strengths_are_read_or_refused() {
    let milligrams = |text: &str| {
        Strength::read(text)
            .and_then(|own| own.milligrams())
            .map(|own| own.normalize().to_string())
    };
    for (text, expected) in [
        ("500 mg", Some("500")),
        ("62.5 ug", Some("0.0625")),
        ("1.5 g", Some("1500")),
        ("250 mg/5 mL", None),
        ("400 [iU]", None),
        ("0 mg", None),
        ("-5 mg", None),
        ("mg", None),
    ] {
        assert_eq!(milligrams(text).as_deref(), expected, "{text}");
    }
    let liquid = Strength::read("250 mg/5 mL").unwrap();
    assert_eq!(liquid.per, Some((5.into(), "mL".to_owned())));
    assert_eq!(Strength::read("250 mg/0 mL"), None);
}

#[test]
fn names_that_are_alike_are_found() {
    assert_eq!(
        alike("vincristine", "Vinblastine"),
        Some(Alike::Known("vinCRIStine", "vinBLAStine"))
    );
    assert!(matches!(
        alike("hydrocortisone", "hydroxycortisone"),
        Some(Alike::Similar(70..))
    ));
    assert_eq!(alike("paracetamol", "warfarin"), None);
    assert_eq!(alike("Warfarin", "warfarin "), None);
}

proptest! {
    #[test]
    fn likeness_is_the_same_both_ways(one in "\\PC{0,20}", other in "\\PC{0,20}") {
        prop_assert_eq!(similarity(&one, &other), similarity(&other, &one));
        prop_assert_eq!(similarity(&one, &one), 100);
        prop_assert!(similarity(&one, &other) <= 100);
    }
}

#[test]
fn what_a_name_is_known_to_be_taken_for() {
    assert_eq!(
        super::alike::known(" Carbamazepine"),
        [
            ("carBAMazepine", "OXcarbazepine"),
            ("carBAMazepine", "carBIMazole")
        ]
    );
    assert_eq!(
        super::alike::known("azithromycin"),
        [("aziTHROMYCIN", "azaTHIOPRINE")]
    );
    assert!(super::alike::known("paracetamol").is_empty());
}
