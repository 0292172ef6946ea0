//! Tests of the gate: distances by hand, false alarms at the declared share, detection of unit errors, and
//! the order of checks.

use super::*;
use crate::chance::Chance;
use crate::intake::{FeatureKind, Missing};
use crate::linear::{inverse, ledoit_wolf, means, scales};

fn level(alpha: f64) -> Level {
    Level::new(alpha).unwrap()
}

/// Six correlated features of very different scales.
fn draw(chance: &mut Chance) -> Vec<f64> {
    let common = chance.normal();
    [1.0, 10.0, 100.0, 0.1, 5.0, 50.0]
        .iter()
        .map(|scale| scale * (4.0 + 0.8 * common + 0.6 * chance.normal()))
        .collect()
}

fn detector(seed: u64, nearest: bool, alpha: f64) -> (Detector, Chance) {
    let mut chance = Chance::new(seed);
    let rows: Vec<Vec<f64>> = (0..400).map(|_| draw(&mut chance)).collect();
    let rows = Matrix::of_rows(&rows).unwrap();
    let center = means(&rows).unwrap();
    let scale = scales(&rows, &center);
    let distance = if nearest {
        Distance::nearest(center, scale, &rows, 10).unwrap()
    } else {
        let values = rows.iter().flat_map(|r| standardised(r, &center, &scale));
        let z = Matrix::new(400, 6, values.collect()).unwrap();
        let precision = inverse(&ledoit_wolf(&z).unwrap().covariance).unwrap();
        Distance::mahalanobis(center, scale, precision).unwrap()
    };
    let known: Vec<f64> = (0..499)
        .map(|_| distance.of(&draw(&mut chance)).unwrap())
        .collect();
    let known = Scores::new(known, "distance").unwrap();
    let level = level(alpha);
    let detector = Detector {
        distance,
        known,
        level,
    };
    (detector, chance)
}

#[test]
fn false_alarms_come_at_the_declared_share() {
    for nearest in [false, true] {
        let mut alarms = 0;
        for seed in 0..20 {
            let (detector, mut chance) = detector(seed, nearest, 0.05);
            alarms += (0..500)
                .filter(|_| matches!(detector.check(&draw(&mut chance)), Check::Strange { .. }))
                .count();
        }
        // 10,000 cases in 20 groups that share their calibration cases: Beta(475, 25) per group gives a
        // standard error of sqrt(0.05 * 0.95 * (1 / 500 + 1 / 10,000 * 20)) / sqrt(20) = 0.0031.
        let share = alarms as f64 / 10_000.0;
        assert!((share - 0.05).abs() < 4.0 * 0.0031, "{nearest}: {share}");
    }
}

#[test]
fn unit_errors_and_zeroed_columns_are_found() {
    let (detector, mut chance) = detector(9, false, 0.01);
    let mut found = [0, 0, 0];
    for _ in 0..200 {
        let row = draw(&mut chance);
        let mut tenfold = row.clone();
        tenfold[2] *= 10.0;
        let mut zeroed = row.clone();
        zeroed[4] = 0.0;
        for (row, found) in [row, tenfold, zeroed].iter().zip(&mut found) {
            *found += usize::from(matches!(detector.check(row), Check::Strange { .. }));
        }
    }
    assert!(
        found[0] <= 10 && found[1] == 200 && found[2] > 190,
        "{found:?}"
    );
}

#[test]
fn distances_are_the_hand_worked_ones() {
    let precision = Matrix::of_rows(&[[1.0, 0.0], [0.0, 4.0]]).unwrap();
    let distance = Distance::mahalanobis(vec![1.0, 1.0], vec![2.0, 1.0], precision).unwrap();
    assert!((distance.of(&[7.0, 3.0]).unwrap() - 5.0).abs() < 1e-12);
    assert_eq!(distance.of(&[7.0]), None);
    assert_eq!(distance.of(&[7.0, f64::NAN]), None);
    let rows = Matrix::of_rows(&[[0.0], [2.0], [10.0]]).unwrap();
    let nearest = Distance::nearest(vec![0.0], vec![1.0], &rows, 2).unwrap();
    assert!((nearest.of(&[3.0]).unwrap() - 2.0).abs() < 1e-12);
    assert!((energy(&[0.0, 0.0], 1.0) + 2_f64.ln()).abs() < 1e-12);
    assert!(energy(&[9.0, 0.0], 1.0) < energy(&[1.0, 0.0], 1.0));
}

#[test]
fn what_is_no_detector_is_refused() {
    let square = || Matrix::of_rows(&[[1.0, 0.0], [0.0, 1.0]]).unwrap();
    let singular = Matrix::of_rows(&[[1.0, 1.0], [1.0, 1.0]]).unwrap();
    let made = [
        Distance::mahalanobis(vec![0.0], vec![1.0], square()),
        Distance::mahalanobis(vec![0.0, 0.0], vec![1.0], square()),
        Distance::mahalanobis(vec![0.0, 0.0], vec![1.0, 0.0], square()),
        Distance::mahalanobis(vec![0.0, f64::NAN], vec![1.0, 1.0], square()),
        Distance::mahalanobis(vec![0.0, 0.0], vec![1.0, 1.0], singular),
        Distance::nearest(vec![0.0, 0.0], vec![1.0, 1.0], &square(), 3),
        Distance::nearest(vec![0.0, 0.0], vec![1.0, 1.0], &square(), 0),
        Distance::nearest(vec![0.0], vec![1.0], &square(), 1),
    ];
    for (place, made) in made.into_iter().enumerate() {
        assert!(made.is_err(), "case {place}");
    }
}

fn gate(detectors: Vec<Detector>) -> Gate {
    let feature = |place: usize| Feature {
        name: format!("f{place}"),
        kind: FeatureKind::Number {
            unit: None,
            low: -1e4,
            high: 1e4,
        },
        missing: Missing::Nan,
    };
    Gate::new((0..6).map(feature).collect(), 2, detectors)
}

fn given(row: &[f64]) -> Vec<(String, Given)> {
    row.iter()
        .enumerate()
        .filter(|(_, v)| !v.is_nan())
        .map(|(place, value)| (format!("f{place}"), Given::Number(*value, None)))
        .collect()
}

#[test]
fn the_gate_goes_from_schema_to_missingness_to_distance() {
    let (detector, mut chance) = detector(4, false, 0.01);
    let gate = gate(vec![detector]);
    let row = draw(&mut chance);
    let known = gate.admit(&given(&row)).unwrap();
    assert_eq!(known.row(), row);
    assert!(matches!(
        known.checks(),
        [Check::Passed {
            by: "mahalanobis",
            ..
        }]
    ));

    let mut wild = row.clone();
    wild[0] = 1e9;
    let outside = gate.admit(&given(&wild)).unwrap_err();
    assert_eq!((outside.findings().len(), outside.checks().len()), (1, 0));

    let mut gaps = row.clone();
    gaps[1] = f64::NAN;
    let known = gate.admit(&given(&gaps)).unwrap();
    assert!(
        matches!(known.checks(), [Check::NotChecked { .. }]),
        "said, not passed"
    );
    gaps[2..4].fill(f64::NAN);
    let outside = gate.admit(&given(&gaps)).unwrap_err();
    assert_eq!(outside.findings().len(), 3);

    let mut strange = row;
    strange[2] *= -10.0;
    let outside = gate.admit(&given(&strange)).unwrap_err();
    let text = outside.to_string();
    assert!(
        text.starts_with("outside what this model knows: unlike"),
        "{text}"
    );
}

#[test]
fn no_reference_cases_and_strange_energy_are_said() {
    let gate = gate(vec![]);
    let known = gate.admit(&given(&[1.0; 6])).unwrap();
    assert!(matches!(
        known.checks(),
        [Check::NotChecked { by: "distance", .. }]
    ));
    let detector = EnergyDetector {
        temperature: 1.0,
        known: Scores::new(
            (0..99).map(|n| -9.0 - f64::from(n) / 10.0).collect(),
            "energy",
        )
        .unwrap(),
        level: level(0.05),
    };
    let known = known.with_energy(&detector, &[9.5, 0.0]).unwrap();
    assert_eq!(known.checks().len(), 2);
    let outside = known.with_energy(&detector, &[0.1, 0.0]).unwrap_err();
    assert!(outside.to_string().contains("energy"));
}
