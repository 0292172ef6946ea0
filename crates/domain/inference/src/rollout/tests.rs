//! Tests of the rollout: which steps exist, who must sign, who is answered by whom, going back, and the error
//! rates of tests that are looked at after every answer.

use kernel::Timestamp;

use super::*;
use crate::chance::Chance;
use crate::package::{ChangeControl, ContentHash, ModelName, Version};

const HOUR: i64 = 3_600;

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn at(hours: i64) -> Timestamp {
    Timestamp::from_millis(0).plus_seconds(hours * HOUR)
}

fn plan() -> ChangeControl {
    ChangeControl {
        plan: "as written".to_owned(),
        threshold_shift: 0.0,
        most_canary_percent: 20,
        least_shadow_answers: 100,
        retraining: false,
    }
}

const PROVEN: Facts = Facts {
    shadow_answers: 100,
    verdict: Some(Verdict::NotWorse),
};

fn signature(table: &Table, of: &str, to: &Stage, person: &str, meaning: Meaning) -> Signature {
    Signature {
        person: person.to_owned(),
        name: person.to_uppercase(),
        meaning,
        statement: table.statement(version(of), to).unwrap(),
        at: at(0),
    }
}

/// Both signatures of a step.
fn both(table: &Table, of: &str, to: &Stage) -> Vec<Signature> {
    vec![
        signature(table, of, to, "ada", Meaning::Reviewed),
        signature(table, of, to, "ben", Meaning::Approved),
    ]
}

fn step(table: &Table, of: &str, to: Stage) -> Result<(Table, Change), RolloutError> {
    let signatures = both(table, of, &to);
    let conditions = (&plan(), PROVEN, Policy::default());
    table.step(version(of), to, &signatures, conditions, at(1))
}

fn table() -> Table {
    Table::new(ModelName::new("sepsis").unwrap(), [3; 32])
}

/// A table in which the version went through the stages.
fn through(mut table: Table, of: &str, stages: &[Stage]) -> Table {
    let hash = ContentHash::new([of.len() as u8; 32]);
    table = table.add(version(of), hash, at(0)).unwrap().0;
    for stage in stages {
        table = step(&table, of, stage.clone()).unwrap().0;
    }
    table
}

fn test_plan(percent: u8) -> Stage {
    Stage::Test(Plan {
        metric: "accepted".to_owned(),
        percent,
        design: Design::new(Way::Bounded, 0.05, 0.1, 0.02).unwrap(),
    })
}

fn to_champion() -> Vec<Stage> {
    vec![
        Stage::Validated,
        Stage::Shadow,
        Stage::Canary(10),
        Stage::Champion,
    ]
}

#[test]
fn only_declared_steps_exist() {
    let rows = [
        "draft: validated retired",
        "validated: shadow retired",
        "shadow: canary test retired",
        "canary: shadow canary test champion retired",
        "test: shadow champion retired",
        "champion: retired",
        "retired:",
    ];
    for (from, row) in StageKind::ALL.into_iter().zip(rows) {
        let next: Vec<&str> = StageKind::ALL
            .into_iter()
            .filter(|to| from.may_become(*to))
            .map(StageKind::word)
            .collect();
        let found = format!("{}: {}", from.word(), next.join(" "));
        assert_eq!(found.trim(), row);
    }
}

#[test]
fn promotion_needs_two_people_who_signed_this_very_step() {
    let shadow = through(table(), "1.0.0", &[Stage::Validated, Stage::Shadow]);
    let to = Stage::Canary(10);
    let one = |person, meaning| signature(&shadow, "1.0.0", &to, person, meaning);
    let (ada, ben) = (one("ada", Meaning::Reviewed), one("ben", Meaning::Approved));
    let other_step = signature(
        &shadow,
        "1.0.0",
        &Stage::Canary(20),
        "ben",
        Meaning::Approved,
    );
    let late = Signature {
        at: at(2),
        ..ben.clone()
    };
    let stale = Signature {
        at: at(-72),
        ..ben.clone()
    };
    let unsigned = "2 signatures are due";
    let cases: Vec<(Vec<Signature>, &str)> = vec![
        (vec![], unsigned),
        (vec![ada.clone()], unsigned),
        (vec![ben.clone()], unsigned),
        (vec![ada.clone(), one("ben", Meaning::Reviewed)], unsigned),
        (vec![ada.clone(), other_step], unsigned),
        (
            vec![ada.clone(), one("ada", Meaning::Approved)],
            "ADA signed twice",
        ),
        (vec![ada.clone(), late], "BEN has expired"),
        (vec![ada.clone(), stale], "BEN has expired"),
        (vec![ada, ben], ""),
    ];
    for (signatures, said) in cases {
        let conditions = (&plan(), PROVEN, Policy::default());
        let found = shadow.step(version("1.0.0"), to.clone(), &signatures, conditions, at(1));
        match found {
            Ok((next, change)) => {
                assert_eq!(said, "", "{signatures:?}");
                assert_eq!((next.revision(), change.from), (4, Some(Stage::Shadow)));
            }
            Err(error) => assert!(
                !said.is_empty() && error.to_string().contains(said),
                "{signatures:?}: {error}"
            ),
        }
    }
    // A signature serves one revision: after any other step it is void.
    let signed = both(&shadow, "1.0.0", &to);
    let moved = shadow
        .add(version("1.1.0"), ContentHash::new([1; 32]), at(0))
        .unwrap()
        .0;
    let conditions = (&plan(), PROVEN, Policy::default());
    assert!(
        moved
            .step(version("1.0.0"), to, &signed, conditions, at(1))
            .is_err()
    );
}

#[test]
fn the_change_control_plan_says_what_one_signature_may_do() {
    let canary = through(
        table(),
        "1.0.0",
        &[Stage::Validated, Stage::Shadow, Stage::Canary(10)],
    );
    let with = |table: &Table, of: &str, to: Stage, plan: &ChangeControl, count: usize| {
        let mut signatures = both(table, of, &to);
        signatures.truncate(count);
        let conditions = (plan, PROVEN, Policy::default());
        table
            .step(version(of), to, &signatures, conditions, at(1))
            .is_ok()
    };
    // Target, signatures, allowed.
    let cases = [
        (Stage::Canary(20), 1, true),
        (Stage::Canary(20), 0, false),
        (Stage::Canary(21), 1, false),
        (Stage::Canary(21), 2, true),
        (Stage::Canary(5), 0, true),
        (Stage::Shadow, 0, true),
        (Stage::Retired, 0, true),
        (Stage::Champion, 1, false),
        (Stage::Champion, 2, true),
    ];
    for (to, count, allowed) in cases {
        assert_eq!(
            with(&canary, "1.0.0", to.clone(), &plan(), count),
            allowed,
            "{to:?} {count}"
        );
    }
    // A retrained version of the same major number, where the plan says so.
    let champion = through(table(), "1.0.0", &to_champion());
    let shadows = [Stage::Validated, Stage::Shadow];
    let retraining = ChangeControl {
        retraining: true,
        ..plan()
    };
    let minor = through(champion.clone(), "1.1.0", &shadows);
    assert!(with(&minor, "1.1.0", Stage::Canary(10), &retraining, 1));
    assert!(!with(&minor, "1.1.0", Stage::Canary(10), &plan(), 1));
    let major = through(champion, "2.0.0", &shadows);
    assert!(!with(&major, "2.0.0", Stage::Canary(10), &retraining, 1));
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one table of refusals over one setting"
)]
fn steps_that_are_not_proven_or_crowded_are_refused() {
    let champion = through(table(), "1.0.0", &to_champion());
    let shadow = through(
        champion.clone(),
        "2.0.0",
        &[Stage::Validated, Stage::Shadow],
    );
    let facts = |shadow_answers, verdict| Facts {
        shadow_answers,
        verdict,
    };
    let with = |table: &Table, of: &str, to: Stage, facts: Facts| {
        let signatures = both(table, of, &to);
        let conditions = (&plan(), facts, Policy::default());
        table
            .step(version(of), to, &signatures, conditions, at(1))
            .map(|(table, _)| table)
    };
    let unproven = with(&shadow, "2.0.0", Stage::Canary(5), facts(99, None));
    assert!(matches!(
        unproven,
        Err(RolloutError::Unproven {
            given: 99,
            due: 100,
            ..
        })
    ));
    for percent in [0, 100] {
        let found = with(&shadow, "2.0.0", Stage::Canary(percent), PROVEN);
        assert_eq!(found, Err(RolloutError::Percent(percent)));
    }
    let tested = with(&shadow, "2.0.0", test_plan(50), PROVEN).unwrap();
    for verdict in [
        None,
        Some(Verdict::Undecided),
        Some(Verdict::Worse),
        Some(Verdict::Unsteady),
    ] {
        let found = with(&tested, "2.0.0", Stage::Champion, facts(100, verdict));
        assert_eq!(
            found,
            Err(RolloutError::Untested(version("2.0.0"))),
            "{verdict:?}"
        );
    }
    for verdict in [Verdict::Better, Verdict::NotWorse] {
        assert!(with(&tested, "2.0.0", Stage::Champion, facts(100, Some(verdict))).is_ok());
    }
    let second = through(tested, "3.0.0", &[Stage::Validated, Stage::Shadow]);
    let crowded = with(&second, "3.0.0", Stage::Canary(5), PROVEN);
    assert!(matches!(crowded, Err(RolloutError::Crowded { .. })));
    let older = through(
        champion.clone(),
        "0.9.0",
        &[Stage::Validated, Stage::Shadow],
    );
    let older = with(&older, "0.9.0", Stage::Canary(5), PROVEN);
    assert!(matches!(older, Err(RolloutError::Older { .. })));
    assert!(matches!(
        with(&champion, "1.0.0", Stage::Canary(5), PROVEN),
        Err(RolloutError::Step { .. })
    ));
    let again = champion.add(version("1.0.0"), ContentHash::new([9; 32]), at(0));
    assert_eq!(again.unwrap_err(), RolloutError::Exists(version("1.0.0")));
}

#[test]
fn patients_stay_and_shares_are_what_they_say() {
    let champion = through(table(), "1.0.0", &to_champion());
    let stages = [Stage::Validated, Stage::Shadow, Stage::Canary(5)];
    let small = through(champion, "2.0.0", &stages);
    let large = step(&small, "2.0.0", Stage::Canary(20)).unwrap().0;
    let patients: Vec<String> = (0..20_000).map(|n| format!("patient-{n}")).collect();
    let serves = |table: &Table, tenant: &[u8], patient: &str| {
        table.assign(tenant, patient).serves.map(|(_, arm)| arm)
    };
    let chosen = |table: &Table| -> Vec<bool> {
        patients
            .iter()
            .map(|p| serves(table, b"t1", p) == Some(Arm::Canary))
            .collect()
    };
    let (few, many) = (chosen(&small), chosen(&large));
    for (share, chosen) in [(0.05_f64, &few), (0.2, &many)] {
        let found = chosen.iter().filter(|c| **c).count() as f64;
        let error = (20_000.0 * share * (1.0 - share)).sqrt();
        assert!(
            (found - 20_000.0 * share).abs() < 4.0 * error,
            "{share}: {found}"
        );
    }
    assert!(
        few.iter().zip(&many).all(|(few, many)| !few || *many),
        "growing only adds"
    );
    assert_eq!(chosen(&small), few, "sticky");
    let elsewhere = patients
        .iter()
        .filter(|p| serves(&small, b"t2", p) == Some(Arm::Canary));
    let both = elsewhere
        .filter(|p| serves(&small, b"t1", p) == Some(Arm::Canary))
        .count();
    assert!(
        both < 120,
        "tenants are independent: {both} in both where 50 are expected"
    );
}

#[test]
fn shadows_are_asked_and_never_serve() {
    let champion = through(table(), "1.0.0", &to_champion());
    let table = through(champion, "2.0.0", &[Stage::Validated, Stage::Shadow]);
    for n in 0..1_000 {
        let assignment = table.assign(b"t", &format!("p{n}"));
        assert_eq!(assignment.serves, Some((version("1.0.0"), Arm::Champion)));
        assert_eq!(assignment.shadows, [version("2.0.0")]);
    }
    let alone = through(
        super::tests::table(),
        "1.0.0",
        &[Stage::Validated, Stage::Shadow],
    );
    assert_eq!(
        alone.assign(b"t", "p").serves,
        None,
        "nobody is answered before a promotion"
    );
}

#[test]
fn going_back_is_one_step_without_signatures() {
    let first = through(table(), "1.0.0", &to_champion());
    let second = through(first, "2.0.0", &to_champion());
    assert_eq!(second.champion(), Some(version("2.0.0")));
    let plan = second.rollback_plan(version("2.0.0"));
    assert_eq!((plan.instead, plan.percent), (Some(version("1.0.0")), 100));
    let (back, change) = second.roll_back(version("2.0.0"), at(5)).unwrap();
    assert_eq!(back.champion(), Some(version("1.0.0")));
    assert_eq!(change.restored, Some(version("1.0.0")));
    assert_eq!(back.revision(), second.revision() + 1);
    assert_eq!(back.entry(version("2.0.0")).unwrap().stage, Stage::Retired);
    let nothing = back.roll_back(version("1.0.0"), at(6));
    assert_eq!(nothing.unwrap_err(), RolloutError::NothingBefore);
    assert!(back.roll_back(version("2.0.0"), at(6)).is_err());

    let canary = through(
        back,
        "3.0.0",
        &[Stage::Validated, Stage::Shadow, Stage::Canary(30)],
    );
    let plan = canary.rollback_plan(version("3.0.0"));
    assert_eq!((plan.instead, plan.percent), (Some(version("1.0.0")), 30));
    let (back, change) = canary.roll_back(version("3.0.0"), at(7)).unwrap();
    assert_eq!(
        (back.champion(), change.restored),
        (Some(version("1.0.0")), None)
    );
}

#[test]
fn stored_tables_come_back_or_are_refused() {
    let table = through(table(), "1.0.0", &to_champion());
    let table = through(table, "2.0.0", &[Stage::Validated, Stage::Shadow]);
    let table = step(&table, "2.0.0", test_plan(50)).unwrap().0;
    let text = serde_json::to_string(&table).unwrap();
    assert_eq!(serde_json::from_str::<Table>(&text).unwrap(), table);
    let wrong = [
        text.replace("\"stage\":{\"test\"", "\"stage\":{\"exam\""),
        text.replace("\"alpha\":0.05", "\"alpha\":1.5"),
        text.replace("\"1.0.0\":", "\"one\":"),
        text.replace("\"champions\":[]", "\"champions\":[\"9.9.9\"]"),
    ];
    for wrong in wrong {
        assert_ne!(wrong, text);
        assert!(serde_json::from_str::<Table>(&wrong).is_err(), "{wrong}");
    }
}

/// The verdicts at the end of runs that are looked at after every tenth answer, and stop when decided.
fn verdicts(way: Way, old: f64, new: f64, answers: u64, runs: u64, stop: &[Verdict]) -> u64 {
    let design = Design::new(way, 0.05, 0.1, 0.02).unwrap();
    let mut decided = 0;
    for seed in 0..runs {
        let mut chance = Chance::new(seed * 977 + 1);
        let mut sequence = Sequence::new(design);
        let (mut a, mut b) = (Counts::default(), Counts::default());
        for look in 0..answers {
            a.hits += u64::from(chance.unit() < old);
            b.hits += u64::from(chance.unit() < new);
            a.cases += 1;
            b.cases += 1;
            if look % 10 == 9 {
                sequence = sequence.after(a, b);
                if stop.contains(&sequence.verdict()) {
                    decided += 1;
                    break;
                }
            }
        }
    }
    decided
}

#[test]
fn looking_all_the_time_keeps_the_error_rate() {
    let wrong = [Verdict::Better, Verdict::Worse, Verdict::Unsteady];
    let runs = 600;
    for (way, share) in [
        (Way::Mixture, 0.7),
        (Way::Mixture, 0.1),
        (Way::Bounded, 0.7),
    ] {
        let decided = verdicts(way, share, share, 2_000, runs, &wrong);
        // 5 % of 600 is 30; three standard errors above is 46.
        assert!(decided <= 46, "{way:?} at {share}: {decided} of {runs}");
    }
    // The naive test at every look is wrong several times as often: the oracle of this simulation.
    let mut naive = 0;
    for seed in 0..runs {
        let mut chance = Chance::new(seed * 977 + 1);
        let (mut a, mut b) = (0.0, 0.0);
        for n in 1..=2_000_u32 {
            a += f64::from(u8::from(chance.unit() < 0.7));
            b += f64::from(u8::from(chance.unit() < 0.7));
            let n = f64::from(n);
            let p = (a + b) / (2.0 * n);
            let error = (2.0 * p * (1.0 - p) / n).sqrt();
            if n >= 100.0 && ((b - a) / n).abs() > 1.96 * error {
                naive += 1;
                break;
            }
        }
    }
    assert!(naive > 150, "the naive test is wrong in {naive} of {runs}");
}

#[test]
fn differences_are_noticed_and_small_harm_is_bounded() {
    for (way, answers) in [(Way::Mixture, 2_000), (Way::Bounded, 4_000)] {
        let found = verdicts(way, 0.6, 0.7, answers, 100, &[Verdict::Better]);
        assert!(found > 90, "{way:?}: {found} of 100");
        let found = verdicts(way, 0.7, 0.6, answers, 100, &[Verdict::Worse]);
        assert!(found > 90, "{way:?}: {found} of 100");
    }
    let design = Design::new(Way::Mixture, 0.05, 0.1, 0.05).unwrap();
    let counts = |hits, cases| Counts { hits, cases };
    let verdict = |a, b| Sequence::new(design).after(a, b).verdict();
    assert_eq!(
        verdict(counts(7_000, 10_000), counts(7_000, 10_000)),
        Verdict::NotWorse
    );
    assert_eq!(verdict(counts(70, 99), counts(10, 99)), Verdict::Undecided);
    assert_eq!(verdict(counts(0, 0), counts(9, 5)), Verdict::Undecided);
    let torn = Sequence::new(design)
        .after(counts(9_000, 10_000), counts(5_000, 10_000))
        .after(counts(50_000, 100_000), counts(90_000, 100_000));
    assert_eq!(torn.verdict(), Verdict::Unsteady);
    for (alpha, effect, margin) in [
        (0.0, 0.1, 0.1),
        (0.5, 0.1, 0.1),
        (0.05, 0.0, 0.1),
        (0.05, 0.1, 1.0),
    ] {
        assert!(Design::new(Way::Mixture, alpha, effect, margin).is_err());
    }
}
