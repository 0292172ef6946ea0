//! Which allergies speak about which medicines.

use super::*;

fn to(allergen: Allergen, name: &str) -> Report {
    check(
        known(),
        &adult(),
        &Allergies::Known(vec![allergen]),
        &[medicine(name)],
    )
}

#[test]
fn allergies_cross_and_do_not_cross_as_they_should() {
    let (c, h, m) = (
        Some(Tier::Contraindicated),
        Some(Tier::High),
        Some(Tier::Moderate),
    );
    let class = |key: &str| Allergen::Class(key.to_owned());
    let one = |name: &str| Allergen::Ingredient(id(name));
    for (allergen, name, tier, cleared) in [
        (class("penicillins"), "amoxicillin", c, false),
        (one("phenoxymethylpenicillin"), "amoxicillin", c, false),
        (one("amoxicillin"), "cefadroxil", h, false),
        (one("ampicillin"), "cefalexin", h, false),
        (class("penicillins"), "cefuroxime", m, false),
        (class("penicillins"), "aztreonam", None, true),
        (one("amoxicillin"), "aztreonam", None, true),
        (one("ceftazidime"), "aztreonam", h, false),
        (one("cefuroxime"), "aztreonam", None, true),
        (class("penicillins"), "cefazolin", None, true),
        (class("penicillins"), "meropenem", Some(Tier::Low), false),
        (class("sulfonamide-antibiotics"), "sulfadiazine", c, false),
        (class("sulfonamide-antibiotics"), "furosemide", None, true),
        (one("sulfamethoxazole"), "sulfasalazine", c, false),
        (one("sulfamethoxazole"), "celecoxib", None, true),
        (one("aspirin"), "ibuprofen", c, false),
        (one("ibuprofen"), "celecoxib", m, false),
        (one("ibuprofen"), "paracetamol", None, false),
        (one("carbamazepine"), "phenytoin", h, false),
        (one("carbamazepine"), "levetiracetam", None, false),
        (one("lidocaine"), "bupivacaine", h, false),
        (one("procaine"), "lidocaine", None, true),
        (one("ramipril"), "lisinopril", c, false),
        (one("ramipril"), "sacubitril", c, false),
        (one("ramipril"), "losartan", m, false),
        (one("enoxaparin"), "heparin", c, false),
        (one("enoxaparin"), "fondaparinux", None, false),
        (one("codeine"), "morphine", m, false),
        (one("codeine"), "fentanyl", None, true),
        (one("shellfish"), "iodinated contrast", None, true),
        (one("egg"), "propofol", None, true),
        (one("propofol"), "propofol", c, false),
        (one("latex"), "amoxicillin", None, false),
    ] {
        let report = to(allergen.clone(), name);
        let found = report
            .findings
            .iter()
            .filter(|one| one.rule.kind == Kind::Allergy)
            .map(|one| one.tier)
            .max();
        assert_eq!(found, tier, "{allergen:?} {name}");
        assert_eq!(!report.cleared.is_empty(), cleared, "{allergen:?} {name}");
        assert!(
            report
                .not_checked
                .iter()
                .all(|gap| !matches!(gap, NotChecked::Allergy(_)))
        );
    }
}

#[test]
fn an_allergy_that_is_not_understood_is_said_to_be_so() {
    for allergen in [
        Allergen::Unresolved("pink tablets".to_owned()),
        Allergen::Class("no-such-set".to_owned()),
        Allergen::Ingredient(IngredientId(u16::MAX)),
    ] {
        let report = to(allergen, "amoxicillin");
        assert!(
            report
                .not_checked
                .iter()
                .any(|gap| matches!(gap, NotChecked::Allergy(_)))
        );
    }
    let report = check(
        known(),
        &adult(),
        &Allergies::NotAsked,
        &[medicine("paracetamol")],
    );
    assert!(report.not_checked.contains(&NotChecked::Allergies));
}
