//! Tests of calibration: known values, what fitting must recover, and properties of what is applied.

use proptest::prelude::*;

use super::*;
use crate::chance::Chance;

#[test]
fn each_method_gives_its_known_values() {
    let cases: [(Calibration, &[f64], &[f64]); 6] = [
        (Calibration::Identity, &[0.2, 0.8], &[0.2, 0.8]),
        (
            Calibration::Temperature(Temperature::new(2.0).unwrap()),
            &[0.2, 0.8],
            &[1.0 / 3.0, 2.0 / 3.0],
        ),
        (
            Calibration::Temperature(Temperature::new(0.5).unwrap()),
            &[0.8],
            &[16.0 / 17.0],
        ),
        (
            Calibration::Platt(Platt::new(2.0, 0.0).unwrap()),
            &[0.2, 0.8],
            &[1.0 / 17.0, 16.0 / 17.0],
        ),
        (
            Calibration::Isotonic(Isotonic::new(&[0.2, 0.6], &[0.1, 0.5]).unwrap()),
            &[0.6, 0.4],
            &[0.7, 0.3],
        ),
        (
            Calibration::Isotonic(Isotonic::new(&[0.2, 0.6], &[0.0, 0.0]).unwrap()),
            &[0.2, 0.3, 0.5],
            &[1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0],
        ),
    ];
    for (calibration, given, expected) in cases {
        let found = calibration.apply(given);
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-12,
                "{calibration:?}: {found} is not {expected}"
            );
        }
        assert_eq!(found.len(), expected.len());
    }
}

#[test]
fn what_is_no_calibration_is_refused() {
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Temperature::new(wrong).is_err(), "{wrong}");
    }
    assert!(Platt::new(f64::NAN, 0.0).is_err() && Platt::new(0.0, f64::INFINITY).is_err());
    let steps: [(&[f64], &[f64]); 6] = [
        (&[], &[]),
        (&[0.1], &[0.1, 0.2]),
        (&[0.1, 0.1], &[0.1, 0.2]),
        (&[0.1, 0.2], &[0.2, 0.1]),
        (&[0.1], &[1.1]),
        (&[f64::NAN], &[0.1]),
    ];
    for (x, y) in steps {
        assert!(Isotonic::new(x, y).is_err(), "{x:?} {y:?}");
    }
    let one = CalibrationError::OneClass { count: 2 };
    assert_eq!(Platt::fit(&[0.1, 0.2], &[true, true]), Err(one.clone()));
    assert_eq!(Isotonic::fit(&[0.1, 0.2], &[false, false]), Err(one));
}

/// Outcomes drawn with probability sigmoid(a z + b) of normal scores z.
fn drawn(count: usize, a: f64, b: f64, seed: u64) -> (Vec<f64>, Vec<bool>) {
    let mut chance = Chance::new(seed);
    let scores: Vec<f64> = (0..count).map(|_| 2.0 * chance.normal()).collect();
    let outcomes = scores
        .iter()
        .map(|z| chance.unit() < sigmoid(a * z + b))
        .collect();
    (scores, outcomes)
}

#[test]
fn fitting_recovers_what_made_the_outcomes() {
    let (scores, outcomes) = drawn(20_000, 0.6, -0.4, 11);
    let platt = Platt::fit(&scores, &outcomes).unwrap();
    assert!((platt.a() - 0.6).abs() < 0.03, "{platt:?}");
    assert!((platt.b() + 0.4).abs() < 0.05, "{platt:?}");

    // Logits (0, z) with outcomes at half their slope ask for temperature 2.
    let (scores, outcomes) = drawn(20_000, 0.5, 0.0, 12);
    let rows: Vec<[f64; 2]> = scores.iter().map(|z| [0.0, *z]).collect();
    let labels: Vec<usize> = outcomes.iter().map(|o| usize::from(*o)).collect();
    let temperature = Temperature::fit(&Matrix::of_rows(&rows).unwrap(), &labels).unwrap();
    assert!((temperature.value() - 2.0).abs() < 0.1, "{temperature:?}");

    let raw: Vec<f64> = scores.iter().map(|z| sigmoid(*z)).collect();
    let isotonic = Isotonic::fit(&raw, &outcomes).unwrap();
    let (fresh, truth) = drawn(20_000, 0.5, 0.0, 13);
    let raw: Vec<f64> = fresh.iter().map(|z| sigmoid(*z)).collect();
    for calibration in [
        Calibration::Isotonic(isotonic),
        Calibration::Temperature(temperature),
    ] {
        let after: Vec<f64> = raw
            .iter()
            .map(|p| calibration.apply(&[1.0 - p, *p])[1])
            .collect();
        let word = calibration.word();
        assert!(brier(&after, &truth) < brier(&raw, &truth), "{word}");
        assert!(expected_error(&raw, &truth, 10) > 0.05, "{word}");
        assert!(expected_error(&after, &truth, 10) < 0.02, "{word}");
        assert!(log_loss(&after, &truth) < log_loss(&raw, &truth), "{word}");
        assert!((slope(&raw, &truth).unwrap() - 0.5).abs() < 0.05);
    }
}

#[test]
fn pooled_steps_are_the_hand_worked_ones() {
    // Outcomes 0 1 0 1 1 at 1..5: the violating pair (1, 0) becomes one half.
    let scores = [1.0, 2.0, 3.0, 4.0, 5.0];
    let isotonic = Isotonic::fit(&scores, &[false, true, false, true, true]).unwrap();
    let expected = [(1.0, 0.0), (2.0, 0.5), (3.0, 0.5), (4.0, 1.0), (5.0, 1.0)];
    assert_eq!(isotonic.points(), expected);
    assert!((isotonic.at(3.5) - 0.75).abs() < 1e-12);
    assert!(isotonic.at(-9.0).abs() < 1e-12 && (isotonic.at(9.0) - 1.0).abs() < 1e-12);
}

#[test]
fn errors_of_calibration_are_the_hand_worked_ones() {
    let predicted = [0.1, 0.1, 0.9, 0.9];
    let outcomes = [false, true, true, true];
    // Bins: (0.1, 0.5) and (0.9, 1.0), half the cases each.
    assert!((expected_error(&predicted, &outcomes, 10) - 0.25).abs() < 1e-12);
    assert!((brier(&predicted, &outcomes) - (0.01 + 0.81 + 0.01 + 0.01) / 4.0).abs() < 1e-12);
}

proptest! {
    #[test]
    fn calibrated_rows_sum_to_one_and_keep_their_order(
        raw in prop::collection::vec(0.001_f64..1.0, 2..6),
        temperature in 0.1_f64..10.0,
    ) {
        let total: f64 = raw.iter().sum();
        let row: Vec<f64> = raw.iter().map(|v| v / total).collect();
        let calibration = Calibration::Temperature(Temperature::new(temperature).unwrap());
        let after = calibration.apply(&row);
        prop_assert!((after.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        for (i, j) in (0..row.len()).flat_map(|i| (0..row.len()).map(move |j| (i, j))) {
            if row[i] > row[j] {
                prop_assert!(after[i] >= after[j]);
            }
        }
    }

    #[test]
    fn isotonic_fits_rise(
        scores in prop::collection::vec(0_u8..20, 2..60),
        flips in prop::collection::vec(any::<bool>(), 60),
    ) {
        let scores: Vec<f64> = scores.iter().map(|s| f64::from(*s)).collect();
        let outcomes = &flips[..scores.len()];
        if let Ok(isotonic) = Isotonic::fit(&scores, outcomes) {
            let points = isotonic.points().to_vec();
            let (x, y): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
            prop_assert!(Isotonic::new(&x, &y).is_ok(), "{x:?} {y:?}");
            // Pooling keeps the mean.
            let fitted: Vec<f64> = scores.iter().map(|s| isotonic.at(*s)).collect();
            let observed = outcomes.iter().filter(|o| **o).count() as f64 / outcomes.len() as f64;
            prop_assert!((mean(&fitted) - observed).abs() < 1e-9);
        }
    }
}
