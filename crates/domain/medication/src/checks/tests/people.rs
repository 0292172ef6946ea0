//! Facts of the patient: doses, ages, kidneys, liver, pregnancy, routes, and their absence.

use super::*;

fn rules(facts: &Facts, medicines: &[Medicine]) -> Vec<String> {
    let report = check(known(), facts, &Allergies::NoneKnown, medicines);
    report
        .findings
        .iter()
        .map(|one| one.rule.id.clone())
        .collect()
}

fn fires(facts: &Facts, medicine: Medicine, rule: &str) -> bool {
    rules(facts, &[medicine]).iter().any(|own| own == rule)
}

#[test]
fn ages_hold_to_the_month() {
    let age = |months| Facts {
        age_months: Fact::Known(months),
        ..adult()
    };
    for (facts, name, rule, expected) in [
        (age(191), "aspirin", "age-aspirin-child", true),
        (age(192), "aspirin", "age-aspirin-child", false),
        (age(143), "codeine", "age-codeine-child", true),
        (age(144), "codeine", "age-codeine-child", false),
        (age(144), "codeine", "age-codeine-teen", true),
        (age(216), "codeine", "age-codeine-teen", false),
        (age(780), "zopiclone", "age-sedative-old", true),
        (age(779), "zopiclone", "age-sedative-old", false),
    ] {
        assert_eq!(
            fires(&facts, medicine(name), rule),
            expected,
            "{name} {rule} {facts:?}"
        );
    }
}

fn egfr(rate: u16) -> Facts {
    Facts {
        egfr: Fact::Known(rate),
        creatinine_clearance: Fact::Known(rate),
        ..adult()
    }
}

#[test]
fn organs_hold_to_the_unit() {
    let base = adult();
    for (facts, name, rule, expected) in [
        (egfr(29), "metformin", "renal-metformin", true),
        (egfr(30), "metformin", "renal-metformin", false),
        (egfr(44), "nitrofurantoin", "renal-nitrofurantoin", true),
        (egfr(45), "nitrofurantoin", "renal-nitrofurantoin", false),
        (egfr(29), "dabigatran", "renal-dabigatran", true),
        (
            Facts {
                creatinine_clearance: Fact::Unknown,
                ..egfr(29)
            },
            "dabigatran",
            "renal-dabigatran",
            true,
        ),
        (
            Facts {
                hepatic: Fact::Known(Hepatic::Severe),
                ..base
            },
            "simvastatin",
            "hepatic-statin",
            true,
        ),
        (
            Facts {
                hepatic: Fact::Known(Hepatic::Moderate),
                ..base
            },
            "simvastatin",
            "hepatic-statin",
            false,
        ),
        (
            Facts {
                pregnancy: Fact::Known(Pregnancy::Yes),
                ..base
            },
            "valproate",
            "pregnancy-valproate",
            true,
        ),
        (base, "valproate", "pregnancy-valproate", false),
        (
            Facts {
                breastfeeding: Fact::Known(true),
                ..base
            },
            "codeine",
            "lactation-codeine",
            true,
        ),
    ] {
        assert_eq!(
            fires(&facts, medicine(name), rule),
            expected,
            "{name} {rule} {facts:?}"
        );
    }
}

#[test]
fn doses_are_summed_by_ingredient_over_products() {
    let base = adult();
    assert!(
        !rules(&base, &[dosed("paracetamol", "1000", "4000")])
            .contains(&"dose-paracetamol-adult".to_owned())
    );
    assert!(
        rules(&base, &[dosed("paracetamol", "1000", "4000.1")])
            .contains(&"dose-paracetamol-adult".to_owned())
    );
    assert!(
        rules(&base, &[dosed("paracetamol", "1001", "1001")])
            .contains(&"dose-paracetamol-adult".to_owned())
    );
    // 3 g on its own and 2 g within co-codamol.
    let mut combined = dosed("paracetamol", "500", "2000");
    combined.name = "co-codamol".to_owned();
    combined.parts.push(Part {
        ingredient: id("codeine"),
        single: Some(Measured::Milligrams(8.into())),
        daily: Some(Measured::Milligrams(32.into())),
    });
    let found = rules(&base, &[dosed("paracetamol", "750", "3000"), combined]);
    assert!(
        found.contains(&"dose-paracetamol-adult".to_owned()),
        "{found:?}"
    );
}

#[test]
fn weight_and_other_medicines_lower_the_maximum() {
    let base = adult();
    let light = Facts {
        weight_grams: Fact::Known(49_999),
        ..base
    };
    assert!(fires(
        &light,
        dosed("paracetamol", "1000", "4000"),
        "dose-paracetamol-light"
    ));
    let child = Facts {
        age_months: Fact::Known(48),
        weight_grams: Fact::Known(16_000),
        ..base
    };
    assert!(!fires(
        &child,
        dosed("paracetamol", "240", "960"),
        "dose-paracetamol-child"
    ));
    assert!(fires(
        &child,
        dosed("paracetamol", "241", "960"),
        "dose-paracetamol-child"
    ));
    let statin = dosed("simvastatin", "40", "40");
    assert!(!fires(&base, statin.clone(), "dose-simvastatin-with"));
    let found = rules(&base, &[statin, medicine("amlodipine")]);
    assert!(
        found.contains(&"dose-simvastatin-with".to_owned()),
        "{found:?}"
    );
}

#[test]
fn a_fatal_route_is_contraindicated() {
    let by = |route: &str| Medicine {
        route: Some(Route {
            name: route.to_owned(),
        }),
        ..medicine("vincristine")
    };
    assert!(fires(&adult(), by("intrathecal"), "route-vinca"));
    assert!(!fires(&adult(), by("intravenous"), "route-vinca"));
}

#[test]
fn what_is_not_known_is_never_silent() {
    let nothing = Facts::default();
    let gap = |name: &str, fact: &str| {
        let report = check(known(), &nothing, &Allergies::NoneKnown, &[medicine(name)]);
        report
            .not_checked
            .iter()
            .any(|gap| matches!(gap, NotChecked::Fact(0, own, _) if *own == fact))
    };
    for (name, fact) in [
        ("aspirin", "age"),
        ("metformin", "renal function"),
        ("valproate", "pregnancy"),
        ("simvastatin", "liver function"),
        ("codeine", "breast-feeding"),
        ("dabigatran", "renal function"),
    ] {
        assert!(gap(name, fact), "{name} {fact}");
    }
    let child = Facts {
        weight_grams: Fact::Unknown,
        age_months: Fact::Known(48),
        ..adult()
    };
    let report = check(
        known(),
        &child,
        &Allergies::NoneKnown,
        &[dosed("paracetamol", "240", "960")],
    );
    assert!(
        report
            .not_checked
            .iter()
            .any(|gap| matches!(gap, NotChecked::Fact(0, "weight", _)))
    );
    let undosed = list(&[medicine("paracetamol")]);
    assert!(
        undosed
            .not_checked
            .iter()
            .any(|gap| matches!(gap, NotChecked::Dose(0, _)))
    );
    let routeless = list(&[Medicine {
        route: None,
        ..medicine("vincristine")
    }]);
    assert!(
        routeless
            .not_checked
            .iter()
            .any(|gap| matches!(gap, NotChecked::Fact(0, "route", _)))
    );
}

/// Every rule on a patient either fires or reports what it lacks when nothing is known.
#[test]
fn no_rule_on_a_patient_is_skipped_when_its_fact_is_unknown() {
    for body in known()
        .patient
        .iter()
        .filter(|body| body.rule.kind == Kind::Caution)
    {
        let ingredient = body.first.iter().next().unwrap();
        let report = check(
            known(),
            &Facts::default(),
            &Allergies::NoneKnown,
            &[of(ingredient)],
        );
        let told = report
            .not_checked
            .iter()
            .any(|gap| matches!(gap, NotChecked::Fact(..)));
        let fired = report
            .findings
            .iter()
            .any(|one| one.rule.id == body.rule.id);
        assert!(told || fired, "{}", body.rule.id);
    }
}

#[test]
fn a_product_that_does_not_resolve_is_said_to_be_so() {
    let nothing = Medicine {
        name: "Blue syrup".to_owned(),
        parts: Vec::new(),
        unresolved: Vec::new(),
        route: None,
    };
    let partly = Medicine {
        unresolved: vec!["moonbeam".to_owned()],
        ..medicine("paracetamol")
    };
    let foreign = of_foreign();
    let report = list(&[nothing, partly, foreign]);
    for at in 0..3 {
        assert!(
            report
                .not_checked
                .iter()
                .any(|gap| matches!(gap, NotChecked::Medicine(own, _) if *own == at)),
            "{at}"
        );
    }
}

fn of_foreign() -> Medicine {
    let mut medicine = medicine("paracetamol");
    medicine.parts[0].ingredient = IngredientId(60_000);
    medicine
}
