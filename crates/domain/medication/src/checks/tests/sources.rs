//! Several sources, overrides and their end, and the counts.

use super::*;
use crate::checks::analytics::{Outcome, count, to_review};
use crate::checks::merge::{Alert, Answer, merge};
use crate::checks::overrides::{Override, OverrideError, Reason, accept, fingerprint, stands};
use crate::knowledge::Release;

fn elsewhere(finding: &Finding, source: &str, tier: Tier) -> Finding {
    let release = Release {
        source: source.to_owned(),
        version: "9".to_owned(),
        effective: "2026-01-01".to_owned(),
        licence: "closed".to_owned(),
        sha256: "ab".to_owned(),
    };
    let rule = Rule {
        release: Arc::new(release),
        high_priority: None,
        tier,
        ..(*finding.rule).clone()
    };
    Finding {
        rule: Arc::new(rule),
        tier,
        ..finding.clone()
    }
}

fn pair(a: &str, b: &str) -> (Vec<Medicine>, Report) {
    let medicines = vec![medicine(a), medicine(b)];
    let mut report = list(&medicines);
    report
        .findings
        .retain(|one| one.rule.kind == Kind::Interaction);
    (medicines, report)
}

#[test]
fn every_source_is_kept_and_the_loudest_is_shown() {
    let (_, own) = pair("simvastatin", "amlodipine");
    let mut other = elsewhere(&own.findings[0], "formulary", Tier::High);
    other.medicines.reverse();
    let answers = vec![Answer {
        source: "formulary".to_owned(),
        findings: Ok(vec![other]),
    }];
    let merged = merge(known(), own, answers);
    assert_eq!(merged.alerts.len(), 1);
    assert_eq!(merged.alerts[0].tier, Tier::High);
    let sources: Vec<&str> = merged.alerts[0]
        .findings
        .iter()
        .map(|one| one.rule.release.source.as_str())
        .collect();
    assert_eq!(sources, ["formulary", "Theriac built-in knowledge"]);
}

#[test]
fn a_source_that_fails_is_a_gap_and_our_own_findings_stay() {
    let (_, own) = pair("warfarin", "ibuprofen");
    let answers = vec![Answer {
        source: "formulary".to_owned(),
        findings: Err("timed out".to_owned()),
    }];
    let merged = merge(known(), own, answers);
    assert_eq!(merged.alerts[0].tier, Tier::High);
    assert!(merged.not_checked.contains(&NotChecked::Source(
        "formulary".to_owned(),
        "timed out".to_owned()
    )));
}

#[test]
fn another_source_does_not_bring_a_demoted_pair_back() {
    let (_, own) = pair("ramipril", "ibuprofen");
    let other = elsewhere(&own.findings[0], "formulary", Tier::High);
    let merged = merge(
        known(),
        own,
        vec![Answer {
            source: "formulary".to_owned(),
            findings: Ok(vec![other]),
        }],
    );
    assert_eq!(merged.alerts[0].tier, Tier::Moderate);
    assert!(
        merged.alerts[0]
            .findings
            .iter()
            .any(|one| one.demoted == Some(33))
    );
}

fn alert(a: &str, b: &str) -> (Vec<Medicine>, Alert) {
    let (medicines, own) = pair(a, b);
    (medicines, merge(known(), own, Vec::new()).alerts.remove(0))
}

#[test]
fn an_override_needs_what_its_tier_asks_for() {
    let given = |reason, text: Option<&str>, second: Option<&str>| Override {
        fingerprint: overrides::Fingerprint(String::new()),
        reason,
        text: text.map(str::to_owned),
        by: "n1".to_owned(),
        second: second.map(str::to_owned),
    };
    let high = alert("warfarin", "ibuprofen").1;
    let worst = alert("sildenafil", "glyceryl trinitrate").1;
    let mild = alert("simvastatin", "amlodipine").1;
    let why = Some("discussed");
    for (alert, given, expected) in [
        (&high, given(Reason::Monitored, None, None), Ok(())),
        (
            &high,
            given(Reason::Other, None, None),
            Err(OverrideError::Text),
        ),
        (
            &high,
            given(Reason::Other, Some("  "), None),
            Err(OverrideError::Text),
        ),
        (&high, given(Reason::Other, why, None), Ok(())),
        (
            &worst,
            given(Reason::Monitored, why, None),
            Err(OverrideError::SecondPerson),
        ),
        (
            &worst,
            given(Reason::Monitored, why, Some(" ")),
            Err(OverrideError::SecondPerson),
        ),
        (
            &worst,
            given(Reason::Monitored, why, Some("n1")),
            Err(OverrideError::SamePerson),
        ),
        (
            &worst,
            given(Reason::Monitored, None, Some("d1")),
            Err(OverrideError::Text),
        ),
        (&worst, given(Reason::Monitored, why, Some("d1")), Ok(())),
        (
            &mild,
            given(Reason::Monitored, why, None),
            Err(OverrideError::NotNeeded),
        ),
    ] {
        assert_eq!(accept(alert, &given), expected, "{given:?}");
    }
}

#[test]
fn an_override_ends_when_regimen_or_release_changes() {
    let (medicines, alert) = alert("warfarin", "ibuprofen");
    let first = fingerprint(known(), &alert, &medicines, &Allergies::NoneKnown);
    let given = Override {
        fingerprint: first.clone(),
        reason: Reason::Monitored,
        text: None,
        by: "n1".to_owned(),
        second: None,
    };
    assert!(stands(
        &given,
        &fingerprint(known(), &alert, &medicines, &Allergies::NoneKnown)
    ));
    let mut dose = medicines.clone();
    dose[1].parts[0].daily = Some(Measured::Milligrams(1200.into()));
    let mut route = medicines.clone();
    route[1].route = Some(Route {
        name: "rectal".to_owned(),
    });
    let mut product = medicines.clone();
    product[1].name = "ibuprofen 400 mg".to_owned();
    for changed in [dose, route, product] {
        assert!(
            !stands(
                &given,
                &fingerprint(known(), &alert, &changed, &Allergies::NoneKnown)
            ),
            "{changed:?}"
        );
    }
    let mut released = alert.clone();
    let mut rule = (*released.findings[0].rule).clone();
    rule.release = Arc::new(Release {
        sha256: "new".to_owned(),
        ..(*rule.release).clone()
    });
    released.findings[0].rule = Arc::new(rule);
    assert!(!stands(
        &given,
        &fingerprint(known(), &released, &medicines, &Allergies::NoneKnown)
    ));
    // The order of the list is no change.
    let turned: Vec<Medicine> = medicines.iter().rev().cloned().collect();
    assert!(stands(
        &given,
        &fingerprint(known(), &alert, &turned, &Allergies::NoneKnown)
    ));
}

#[test]
fn counts_propose_and_change_nothing() {
    let events = (0..20)
        .map(|at| {
            (
                "a",
                if at < 18 {
                    Outcome::Overridden(Reason::Monitored)
                } else {
                    Outcome::Accepted
                },
            )
        })
        .chain((0..20).map(|_| ("b", Outcome::Accepted)))
        .chain((0..3).map(|_| ("c", Outcome::Overridden(Reason::Other))))
        .chain([("a", Outcome::Shown)]);
    let counts = count(events);
    assert_eq!(
        (
            counts["a"].shown,
            counts["a"].overridden,
            counts["a"].accepted
        ),
        (21, 18, 2)
    );
    assert_eq!(counts["a"].reasons[&Reason::Monitored], 18);
    assert_eq!(to_review(&counts, 10, 90), ["a"]);
    assert!(to_review(&counts, 10, 91).is_empty());
    assert_eq!(to_review(&counts, 3, 90), ["c", "a"]);
}

#[test]
fn an_override_for_one_allergy_is_none_for_another() {
    let medicines = [medicine("amoxicillin")];
    let print = |allergen: Allergen| {
        let allergies = Allergies::Known(vec![allergen]);
        let report = check(known(), &adult(), &allergies, &medicines);
        let merged = merge(known(), report, Vec::new());
        let alert = merged.alerts.iter().find(|one| one.kind == Kind::Allergy);
        fingerprint(known(), alert.unwrap(), &medicines, &allergies)
    };
    let class = print(Allergen::Class("penicillins".to_owned()));
    assert_ne!(class, print(Allergen::Ingredient(id("amoxicillin"))));
    assert_eq!(class, print(Allergen::Class("penicillins".to_owned())));
}

#[test]
fn an_override_stands_when_a_source_is_away_and_for_nothing_louder() {
    let merged = |tiers: &[(&str, Tier)]| {
        let (medicines, own) = pair("warfarin", "ibuprofen");
        let first = own.findings[0].clone();
        let answers = tiers.iter().map(|(source, tier)| Answer {
            source: (*source).to_owned(),
            findings: Ok(vec![elsewhere(&first, source, *tier)]),
        });
        let alert = merge(known(), own, answers.collect()).alerts.remove(0);
        let prints = overrides::fingerprints(known(), &alert, &medicines, &Allergies::NoneKnown);
        (alert.tier, prints)
    };
    let (_, alone) = merged(&[]);
    assert_eq!(alone.len(), 1);
    // As loud or less loud elsewhere: it is known by our own.
    for others in [
        &[("formulary", Tier::High)][..],
        &[("labels", Tier::Low), ("formulary", Tier::Moderate)],
    ] {
        assert_eq!(merged(others).1[0], alone[0], "{others:?}");
    }
    // Louder elsewhere: another alert, whose override holds for ours too.
    let (tier, louder) = merged(&[("formulary", Tier::Contraindicated)]);
    assert_eq!(tier, Tier::Contraindicated);
    assert_ne!(louder[0], alone[0]);
    assert!(louder.contains(&alone[0]));
    assert!(!alone.contains(&louder[0]));
}
