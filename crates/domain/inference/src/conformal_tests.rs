//! Tests of conformal prediction: ranks by hand, coverage over a thousand splits inside the exact
//! beta-binomial band, groups, online adjustment under drift.

use super::*;
use crate::chance::Chance;
use crate::special::{ln_choose, ln_gamma, softmax};

fn level(alpha: f64) -> Level {
    Level::new(alpha).unwrap()
}

fn scores(values: &[f64]) -> Scores {
    Scores::new(values.to_vec(), "all").unwrap()
}

#[test]
fn thresholds_have_the_ranks_of_the_paper() {
    // n, alpha, rank of the score (n + 1 where everything is in).
    let cases = [
        (9, 0.1, 9),
        (8, 0.1, 9),
        (99, 0.1, 90),
        (100, 0.1, 91),
        (999, 0.05, 950),
        (19, 0.05, 19),
        (18, 0.05, 19),
        (4, 0.5, 3),
        (49, 0.02, 49),
    ];
    for (n, alpha, rank) in cases {
        let values: Vec<f64> = (1..=n).map(f64::from).collect();
        let expected = if rank > n {
            Threshold::Unbounded
        } else {
            Threshold::At(f64::from(rank))
        };
        assert_eq!(
            scores(&values).threshold(level(alpha)),
            expected,
            "{n} {alpha}"
        );
        let enough = usize::try_from(n).unwrap() >= least_cases(level(alpha));
        assert_eq!(enough, rank <= n, "least cases at {alpha} with {n}");
    }
    for wrong in [0.0, 1.0, -0.1, f64::NAN] {
        assert!(Level::new(wrong).is_err());
    }
    assert!(Scores::new(vec![], "all").is_err());
    assert!(Scores::new(vec![0.1, f64::NAN], "all").is_err());
}

#[test]
fn scores_of_labels_are_the_hand_worked_ones() {
    let p = [0.2, 0.5, 0.3];
    let raps = SetMethod::raps(0.1, 1.0).unwrap();
    let cases = [
        (SetMethod::Lac, 0, 1.0, 0.8),
        (SetMethod::Aps, 0, 1.0, 1.0),
        (SetMethod::Aps, 2, 1.0, 0.8),
        (SetMethod::Aps, 2, 0.5, 0.65),
        (SetMethod::Aps, 1, 0.0, 0.0),
        (raps, 1, 1.0, 0.5),
        (raps, 0, 1.0, 1.2),
    ];
    for (method, label, uniform, expected) in cases {
        let found = method.score(&p, label, uniform).unwrap();
        assert!(
            (found - expected).abs() < 1e-12,
            "{method:?} {label}: {found}"
        );
    }
    assert_eq!(SetMethod::Lac.score(&p, 3, 1.0), None);
    assert!(SetMethod::raps(-1.0, 0.0).is_err() && SetMethod::raps(0.0, f64::NAN).is_err());
    // Equal probabilities rank by place: both cannot be first.
    let even = [0.5, 0.5];
    let first = SetMethod::Aps.score(&even, 0, 1.0).unwrap();
    let second = SetMethod::Aps.score(&even, 1, 1.0).unwrap();
    assert!((first - 0.5).abs() < 1e-12 && (second - 1.0).abs() < 1e-12);
}

#[test]
fn an_empty_set_says_that_no_label_fits() {
    let at = |limit, p: &[f64]| LabelSet::predict(SetMethod::Lac, limit, p, 1.0).reading();
    let limit = Threshold::At(0.3);
    assert_eq!(at(limit, &[0.4, 0.6]), SetReading::NoLabelFits);
    assert_eq!(at(limit, &[0.1, 0.9]), SetReading::One(1));
    assert_eq!(at(Threshold::At(0.5), &[0.5, 0.5]), SetReading::CannotTell);
    assert_eq!(
        at(Threshold::At(0.6), &[0.4, 0.5, 0.1]),
        SetReading::Several
    );
    assert_eq!(
        at(Threshold::Unbounded, &[0.1, 0.9]),
        SetReading::CannotTell
    );
}

#[test]
fn intervals_widen_by_the_threshold_or_vanish() {
    let at = Threshold::At(2.0);
    let made = Interval::split(5.0, at).unwrap();
    assert!(made.holds(3.0) && made.holds(7.0) && !made.holds(7.1));
    assert_eq!(Interval::quantiles(1.0, 2.0, Threshold::At(-0.6)), None);
    let all = Interval::quantiles(1.0, 2.0, Threshold::Unbounded).unwrap();
    assert!(all.holds(-1e300));
    assert!((quantile_score(1.0, 2.0, 2.5) - 0.5).abs() < 1e-12);
    assert!((quantile_score(1.0, 2.0, 1.5) + 0.5).abs() < 1e-12);
}

/// ln of the beta-binomial probability of k in m draws.
fn ln_beta_binomial(k: f64, m: f64, a: f64, b: f64) -> f64 {
    let ln_beta = |x: f64, y: f64| ln_gamma(x) + ln_gamma(y) - ln_gamma(x + y);
    ln_choose(m, k) + ln_beta(k + a, m - k + b) - ln_beta(a, b)
}

/// Covered counts over splits, against the exact law: with n calibration and m test cases the number
/// covered is BetaBinomial(m; n + 1 - l, l), when scores have no ties.
fn against_the_exact_law(name: &str, n: usize, m: usize, alpha: f64, covered: &[usize]) {
    let l = spare(n, alpha) as f64;
    let a = n as f64 + 1.0 - l;
    let law: Vec<f64> = (0..=m)
        .map(|k| ln_beta_binomial(k as f64, m as f64, a, l).exp())
        .collect();
    assert!((law.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    // Kolmogorov distance between the splits' counts and the law; 1.95 / sqrt(splits) is its 99.9 % point
    // (for a discrete law it is met more often still).
    let splits = covered.len() as f64;
    let mut cumulated = 0.0;
    let mut worst = 0.0_f64;
    for (k, p) in law.iter().enumerate() {
        cumulated += p;
        let seen = covered.iter().filter(|count| **count <= k).count() as f64 / splits;
        worst = worst.max((seen - cumulated).abs());
    }
    assert!(worst < 1.95 / splits.sqrt(), "{name}: distance {worst}");
    // Mean coverage within 4 standard errors of n + 1 - l over n + 1.
    let mean_law = m as f64 * a / (a + l);
    let variance = m as f64 * a * l * (a + l + m as f64) / ((a + l).powi(2) * (a + l + 1.0));
    let mean = covered.iter().sum::<usize>() as f64 / splits;
    let error = (variance / splits).sqrt();
    assert!(
        (mean - mean_law).abs() < 4.0 * error,
        "{name}: {mean} against {mean_law}"
    );
}

/// A three-class case whose model is wrong about how sure it is.
fn case(chance: &mut Chance) -> (Vec<f64>, usize) {
    let logits: Vec<f64> = (0..3).map(|_| 1.5 * chance.normal()).collect();
    let truth = softmax(&logits);
    let draw = chance.unit();
    let mut cumulated = 0.0;
    let label = truth
        .iter()
        .position(|p| {
            cumulated += p;
            draw < cumulated
        })
        .unwrap_or(2);
    let confident: Vec<f64> = logits.iter().map(|z| 2.0 * z).collect();
    (softmax(&confident), label)
}

#[test]
fn coverage_over_a_thousand_splits_follows_the_exact_law() {
    let (n, m, alpha) = (150, 100, 0.1);
    let raps = SetMethod::raps(0.05, 1.0).unwrap();
    for (name, method) in [
        ("lac", SetMethod::Lac),
        ("aps", SetMethod::Aps),
        ("raps", raps),
    ] {
        let mut chance = Chance::new(2_024);
        let covered: Vec<usize> = (0..1_000)
            .map(|_| {
                let known: Vec<f64> = (0..n)
                    .map(|_| {
                        let (p, label) = case(&mut chance);
                        let uniform = chance.unit();
                        method.score(&p, label, uniform).unwrap()
                    })
                    .collect();
                let threshold = scores(&known).threshold(level(alpha));
                (0..m)
                    .filter(|_| {
                        let (p, label) = case(&mut chance);
                        let set = LabelSet::predict(method, threshold, &p, chance.unit());
                        set.labels().contains(&label)
                    })
                    .count()
            })
            .collect();
        against_the_exact_law(name, n, m, alpha, &covered);
    }
}

#[test]
fn intervals_over_a_thousand_splits_follow_the_exact_law() {
    let (n, m, alpha) = (99, 100, 0.2);
    for (name, spread) in [("split", 0.0), ("cqr", 0.7)] {
        let mut chance = Chance::new(77);
        let draw = |chance: &mut Chance| {
            let x = chance.unit() * 4.0;
            (x, x * x + (0.2 + x) * chance.normal())
        };
        // A quantile model that is wrong: its band is too narrow.
        let band = |x: f64| (x * x - spread * x, x * x + spread * x);
        let covered: Vec<usize> = (0..1_000)
            .map(|_| {
                let known: Vec<f64> = (0..n)
                    .map(|_| {
                        let (x, y) = draw(&mut chance);
                        let (low, high) = band(x);
                        quantile_score(low, high, y)
                    })
                    .collect();
                let threshold = scores(&known).threshold(level(alpha));
                (0..m)
                    .filter(|_| {
                        let (x, y) = draw(&mut chance);
                        let (low, high) = band(x);
                        Interval::quantiles(low, high, threshold).is_some_and(|i| i.holds(y))
                    })
                    .count()
            })
            .collect();
        against_the_exact_law(name, n, m, alpha, &covered);
    }
}

#[test]
fn small_groups_are_pooled_and_say_so() {
    let mut groups = BTreeMap::new();
    groups.insert("sex=female".to_owned(), scores(&[0.5; 9]));
    groups.insert("sex=male".to_owned(), scores(&[0.5; 8]));
    let groups = Groups::new(scores(&[0.1; 17]), groups);
    let basis = |group: Option<&str>| groups.of(group, level(0.1)).1;
    let own = Basis::Group {
        group: "sex=female".into(),
        cases: 9,
    };
    assert_eq!(basis(Some("sex=female")), own);
    let few = Basis::Pooled {
        group: Some("sex=male".into()),
        cases: 8,
    };
    assert_eq!(basis(Some("sex=male")), few);
    let unknown = Basis::Pooled {
        group: None,
        cases: 0,
    };
    assert_eq!(basis(None), unknown);
}

#[test]
fn each_group_is_covered_where_pooled_scores_fail_one() {
    // Group b is three times as noisy: pooled it misses far more often than allowed.
    let mut chance = Chance::new(31);
    let mut draw = |scale: f64, n: usize| -> Vec<f64> {
        (0..n).map(|_| (scale * chance.normal()).abs()).collect()
    };
    let (a, b) = (draw(1.0, 900), draw(3.0, 300));
    let pooled = scores(&[a.clone(), b.clone()].concat());
    let own = BTreeMap::from([("a".to_owned(), scores(&a)), ("b".to_owned(), scores(&b))]);
    let groups = Groups::new(pooled.clone(), own);
    let fresh = draw(3.0, 20_000);
    let share = |threshold: Threshold| {
        fresh.iter().filter(|s| threshold.admits(**s)).count() as f64 / 20_000.0
    };
    assert!(share(pooled.threshold(level(0.1))) < 0.8);
    // Beta(271, 30): 0.846 to 0.945 holds 99.9 % of calibration draws.
    let covered = share(groups.of(Some("b"), level(0.1)).0.threshold(level(0.1)));
    assert!((0.846..=0.945).contains(&covered), "{covered}");
}

#[test]
fn online_adjustment_keeps_the_share_of_misses_under_drift() {
    let mut chance = Chance::new(8);
    let known: Vec<f64> = (0..500).map(|_| chance.normal().abs()).collect();
    let known = scores(&known);
    let target = level(0.1);
    let mut adaptive = Adaptive::new(target, 0.02).unwrap();
    let fixed = known.threshold(target);
    let (mut missed, mut missed_fixed) = (0_u32, 0_u32);
    let steps = 6_000;
    for step in 0..steps {
        let spread = 1.0 + 2.0 * f64::from(step) / f64::from(steps);
        let score = (spread * chance.normal()).abs();
        let covered = adaptive.threshold(&known).admits(score);
        missed += u32::from(!covered);
        missed_fixed += u32::from(!fixed.admits(score));
        adaptive = adaptive.after(covered);
    }
    let share = f64::from(missed) / f64::from(steps);
    // Proposition 4.1 of Gibbs and Candes: |share - alpha| <= (max(alpha_1, 1 - alpha_1) + gamma) / (T gamma).
    let bound = (0.9 + 0.02) / (f64::from(steps) * 0.02);
    assert!((share - 0.1).abs() <= bound, "{share} beyond {bound}");
    assert!(f64::from(missed_fixed) / f64::from(steps) > 0.25);
    assert!(Adaptive::new(target, 0.0).is_err() && Adaptive::new(target, 1.0).is_err());
}

#[test]
fn p_values_count_what_is_at_least_as_strange() {
    let known = scores(&[1.0, 2.0, 3.0, 4.0]);
    for (score, p) in [(0.5, 1.0), (1.0, 1.0), (2.5, 0.6), (4.0, 0.4), (9.0, 0.2)] {
        assert!((known.p_value(score) - p).abs() < 1e-12, "{score}");
    }
}
