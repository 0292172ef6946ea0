//! Tests of drift: values by hand, rates of false alarms by simulation, and what must be noticed.

use super::*;
use crate::chance::Chance;
use crate::matrix::Matrix;
use crate::special::sigmoid;

/// Counts of draws into ten even bins, with a shift of the draws.
fn counts(chance: &mut Chance, cases: usize, shift: f64) -> Vec<u64> {
    let edges: Vec<f64> = (1..10).map(|n| f64::from(n) / 10.0).collect();
    let mut counts = vec![0; 10];
    for _ in 0..cases {
        counts[bin(&edges, (chance.unit() + shift).min(0.999))] += 1;
    }
    counts
}

#[test]
fn psi_alarms_at_its_level_where_folklore_does_not() {
    let mut chance = Chance::new(1);
    let (mut folklore, mut ours) = (0_u32, 0_u32);
    let windows = 2_000;
    for _ in 0..windows {
        let reference = counts(&mut chance, 5_000, 0.0);
        let current = counts(&mut chance, 100, 0.0);
        let found = psi(&reference, &current, 0.01).unwrap();
        folklore += u32::from(found.value > 0.1);
        ours += u32::from(found.value > found.threshold);
        assert_eq!(found.value > found.threshold, found.p < 0.01);
    }
    let share = |count: u32| f64::from(count) / f64::from(windows);
    assert!(
        share(folklore) > 0.3,
        "0.1 is passed in {}",
        share(folklore)
    );
    // 1 % of 2,000 within 3.3 standard errors.
    assert!(
        (0.003..0.018).contains(&share(ours)),
        "ours is passed in {}",
        share(ours)
    );
    let reference = counts(&mut chance, 5_000, 0.0);
    let moved = counts(&mut chance, 500, 0.1);
    assert!(psi(&reference, &moved, 0.01).unwrap().p < 1e-6);
}

#[test]
fn psi_is_the_hand_worked_one_and_says_when_there_is_none() {
    let found = psi(&[50, 50], &[20, 30], 0.05).unwrap();
    let (a, b) = (20.5_f64 / 51.0, 30.5_f64 / 51.0);
    let expected = (a - 0.5) * (a / 0.5).ln() + (b - 0.5) * (b / 0.5).ln();
    assert!((found.value - expected).abs() < 1e-12);
    assert!(psi(&[50, 50], &[4, 5], 0.05).is_none(), "too few");
    assert!(
        psi(&[0, 50], &[40, 50], 0.05).is_none(),
        "an empty reference bin"
    );
    assert!(psi(&[50, 50], &[50], 0.05).is_none() && psi(&[50], &[50], 0.05).is_none());
    assert!(psi(&[50, 50], &[0, 90], 0.05).unwrap().value.is_finite());
    assert_eq!(
        [
            bin(&[1.0, 2.0], 0.5),
            bin(&[1.0, 2.0], 1.0),
            bin(&[1.0, 2.0], 9.0)
        ],
        [0, 1, 2]
    );
}

#[test]
fn false_discoveries_stay_below_the_level() {
    // 20 features of which 5 drift: the share of false ones among alarms, averaged over runs.
    let mut chance = Chance::new(2);
    let (mut shares, mut missed) = (0.0, 0);
    let runs = 300;
    for _ in 0..runs {
        let reference: Vec<Vec<u64>> = (0..20).map(|_| counts(&mut chance, 4_000, 0.0)).collect();
        let current: Vec<Vec<u64>> = (0..20)
            .map(|place| counts(&mut chance, 400, if place < 5 { 0.06 } else { 0.0 }))
            .collect();
        let features: Vec<(&str, &[u64], &[u64])> = reference
            .iter()
            .zip(&current)
            .map(|(r, c)| ("f", r.as_slice(), c.as_slice()))
            .collect();
        let alarms: Vec<bool> = screen(&features, 0.1)
            .iter()
            .map(|drift| matches!(drift.state, FeatureState::Drifted(_)))
            .collect();
        let all = alarms.iter().filter(|a| **a).count();
        let wrong = alarms.iter().skip(5).filter(|a| **a).count();
        missed += alarms.iter().take(5).filter(|a| !**a).count();
        shares += wrong as f64 / all.max(1) as f64;
    }
    let share = shares / f64::from(runs);
    assert!(share < 0.1, "false discovery rate {share}");
    assert!(missed < 150, "{missed} of 1,500 drifts missed");
    let few = screen(&[("f", &[50, 50], &[1, 2])], 0.1);
    assert_eq!(few[0].state, FeatureState::TooFew { cases: 3 });
}

#[test]
fn discoveries_are_the_hand_worked_ones() {
    // The 15 p-values of Benjamini and Hochberg 1995, section 4.1: four are rejected at 0.05.
    let p = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
        0.5719, 0.6528, 0.7590, 1.0,
    ];
    let found = benjamini_hochberg(&p, 0.05);
    assert_eq!(found.iter().filter(|f| **f).count(), 4);
    assert!(found[..4].iter().all(|f| *f));
    assert!(benjamini_hochberg(&[], 0.05).is_empty());
    assert_eq!(benjamini_hochberg(&[f64::NAN, 0.001], 0.05), [false, true]);
}

#[test]
fn ks_is_exact_for_small_samples() {
    // 3 against 3 fully apart: 2 of 20 interleavings; 2 against 2: distance 1/2 in 4 of 6, 1 in 2 of 6.
    let cases: [(&[f64], &[f64], f64, f64); 4] = [
        (&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], 1.0, 0.1),
        (&[1.0, 3.0], &[2.0, 4.0], 0.5, 1.0),
        (&[1.0, 2.0], &[3.0, 4.0], 1.0, 1.0 / 3.0),
        (&[1.0, 2.0], &[1.0, 2.0], 0.0, 1.0),
    ];
    for (left, right, statistic, p) in cases {
        let found = ks(left, right).unwrap();
        assert!((found.statistic - statistic).abs() < 1e-12, "{left:?}");
        assert!(
            (found.p - p).abs() < 1e-12 && found.exact,
            "{left:?}: {}",
            found.p
        );
    }
    assert!(ks(&[], &[1.0]).is_none() && ks(&[f64::NAN], &[1.0]).is_none());
}

#[test]
fn ks_alarms_at_its_level_and_both_ways_agree() {
    let mut chance = Chance::new(3);
    let mut draw =
        |n: usize, shift: f64| -> Vec<f64> { (0..n).map(|_| chance.normal() + shift).collect() };
    let alarms = (0..1_500)
        .filter(|_| ks(&draw(60, 0.0), &draw(40, 0.0)).unwrap().p <= 0.05)
        .count();
    // Exact and discrete: at most 75 expected; 4 standard errors above.
    assert!(alarms < 75 + 34, "{alarms}");
    assert!(alarms > 30, "{alarms}: a test that never alarms is none");
    let (large, other) = (draw(1_100, 0.0), draw(1_000, 0.08));
    let asymptotic = ks(&large, &other).unwrap();
    assert!(!asymptotic.exact);
    let near = ks(&large[..999], &other).unwrap();
    assert!(near.exact && (near.p - asymptotic.p).abs() < 0.1);
    assert!(ks(&draw(2_000, 0.0), &draw(2_000, 0.3)).unwrap().p < 1e-9);
}

#[test]
fn discrepancy_sees_what_single_features_do_not() {
    let mut chance = Chance::new(4);
    let mut pairs = |n: usize, correlation: f64| {
        let rows: Vec<[f64; 2]> = (0..n)
            .map(|_| {
                let (a, b) = (chance.normal(), chance.normal());
                [
                    a,
                    correlation * a + (1.0 - correlation * correlation).sqrt() * b,
                ]
            })
            .collect();
        Matrix::of_rows(&rows).unwrap()
    };
    let mut alarms = 0;
    for seed in 0..150 {
        let found = mmd(&pairs(25, 0.0), &pairs(25, 0.0), 99, seed).unwrap();
        alarms += u32::from(found.p <= 0.05);
    }
    // Exact level 0.05 of 150: 7.5 expected, 99.9 % below 17.
    assert!(alarms < 17, "{alarms}");
    let (even, tied) = (pairs(120, 0.0), pairs(120, 0.9));
    assert!(ks(&even.column(1), &tied.column(1)).unwrap().p > 0.01);
    let found = mmd(&even, &tied, 199, 1).unwrap();
    assert!(found.p <= 0.005 + 1e-12 && found.statistic > 0.0);
    assert_eq!(
        mmd(&even, &tied, 199, 1),
        Some(found),
        "the same seed, the same answer"
    );
    assert!(mmd(&even, &Matrix::of_column(vec![1.0; 5]), 9, 1).is_none());
}

/// Mean cases until a watch alarms.
fn run_length(watch: Watch, runs: u32, mut case: impl FnMut() -> (bool, f64)) -> f64 {
    let mut total = 0_u32;
    for _ in 0..runs {
        let mut now = watch;
        while !now.alarms() && total < 4_000_000 {
            let (happened, predicted) = case();
            now = now.after(happened, predicted);
            total += 1;
        }
    }
    f64::from(total) / f64::from(runs)
}

#[test]
fn watches_run_as_long_as_declared_and_notice_soon() {
    let mut chance = Chance::new(5);
    let misses = Watch::misses(0.1, 0.2, 500.0).unwrap();
    let quiet = run_length(misses, 200, || (chance.unit() < 0.1, 0.0));
    assert!(quiet > 500.0, "a false alarm every {quiet}");
    let noticed = run_length(misses, 200, || (chance.unit() < 0.25, 0.0));
    assert!(noticed < 90.0, "noticed after {noticed}");

    let odds = Watch::odds(2.0, 500.0).unwrap();
    let mut case = |shift: f64| {
        let z = chance.normal();
        (chance.unit() < sigmoid(z + shift), sigmoid(z))
    };
    let quiet = run_length(odds, 200, || case(0.0));
    assert!(quiet > 500.0, "a false alarm every {quiet}");
    let noticed = run_length(odds, 200, || case(2_f64.ln()));
    assert!(noticed < 150.0, "noticed after {noticed}");

    assert!(misses.at(99.0).alarms() && !misses.at(f64::NAN).alarms());
    for (from, to) in [
        (0.1, 0.1),
        (0.2, 0.1),
        (0.0, 0.1),
        (0.1, 1.0),
        (f64::NAN, 0.5),
    ] {
        assert!(Watch::misses(from, to, 500.0).is_err(), "{from} {to}");
    }
    for ratio in [0.0, 1.0, -1.0, f64::INFINITY] {
        assert!(Watch::odds(ratio, 500.0).is_err(), "{ratio}");
    }
    assert!(Watch::odds(2.0, 1.0).is_err());
}

#[test]
fn wilson_is_that_of_the_tables() {
    // Newcombe, Statistics in Medicine 17, 1998, table I, method 3.
    let cases = [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ];
    for (hits, cases, low, high) in cases {
        let found = wilson(hits, cases, 0.05).unwrap();
        assert!(
            (found.low - low).abs() < 5e-5 && (found.high - high).abs() < 5e-5,
            "{found:?}"
        );
    }
    assert!(wilson(0, 0, 0.05).is_none() && wilson(3, 2, 0.05).is_none());
}

#[test]
fn slices_of_few_say_nothing() {
    let mut chance = Chance::new(6);
    let cases: Vec<Case> = (0..2_000)
        .map(|_| {
            let z = 2.0 * chance.normal();
            Case {
                predicted: sigmoid(z),
                called: z > 0.0,
                happened: chance.unit() < sigmoid(z),
            }
        })
        .collect();
    let policy = SlicePolicy::default();
    let found = slice(&cases, 4_000, policy);
    let value = |estimate: Estimate| match estimate {
        Estimate::Known { value, .. } => value,
        Estimate::TooFew => f64::NAN,
    };
    assert!((value(found.known) - 0.5).abs() < 1e-12);
    assert!((value(found.slope) - 1.0).abs() < 0.15);
    let called = cases.iter().filter(|c| c.called && c.happened).count() as f64;
    let happened = cases.iter().filter(|c| c.happened).count() as f64;
    assert!((value(found.sensitivity) - called / happened).abs() < 1e-12);
    assert!(value(found.specificity) > 0.6 && value(found.positive_value) > 0.6);
    assert!(value(found.negative_value) > 0.6);

    let few = slice(&cases[..9], 9, policy);
    for estimate in [few.known, few.sensitivity, few.specificity, few.slope] {
        assert_eq!(estimate, Estimate::TooFew);
    }
    let empty = slice(&[], 0, policy);
    assert_eq!(empty.sensitivity, Estimate::TooFew);
}
