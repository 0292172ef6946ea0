//! The statistics of clinical AI against other people's: Shapley values against `shap`, conformal sets and
//! intervals against MAPIE on the same scores, calibration and covariance against scikit-learn, tests of
//! distributions against scipy. What the oracle does stands in `tests/oracle/oracle.py`. And the demo models
//! that `sdk/python/demo_models.py` makes: packed, opened, asked and held against their own evidence.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use inference::assess::{Answer, Estimate, Region, Setting, assess, prepared};
use inference::calibrate::{
    Calibration, Isotonic, Platt, Temperature, brier, expected_error, log_loss, slope,
};
use inference::conformal::{Interval, LabelSet, Level, Scores, SetMethod, quantile_score};
use inference::drift::{benjamini_hochberg, ks, wilson};
use inference::explain::{Comparison, Node, Trees, exact};
use inference::intake::Given;
use inference::linear::{inverse, ledoit_wolf, means, quadratic};
use inference::matrix::Matrix;
use inference::package::{Inputs, Limits, Manifest, PublicKey, open, seal};
use inference::special::chi_square_tail;
use serde_json::Value;
use testkit::peers::{PeerMissing, required};

fn python() -> Result<PathBuf, PeerMissing> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../sdk/python/.venv");
    let python = folder.join("bin/python");
    let has = |module: &str| {
        Command::new(&python)
            .args([
                "-c",
                &format!(
                    "import importlib.util as u, sys; sys.exit(u.find_spec('{module}') is None)"
                ),
            ])
            .status()
            .is_ok_and(|status| status.success())
    };
    if python.exists() && ["shap", "mapie", "sklearn"].into_iter().all(has) {
        return Ok(python);
    }
    let detail = format!(
        "{} lacks shap, mapie or scikit-learn: run `cargo xtask peers`",
        folder.display()
    );
    Err(PeerMissing::new("the Python statistics", detail))
}

/// The oracle's cases, made once for all tests of this file.
fn cases() -> Option<&'static Value> {
    static CASES: OnceLock<Option<Value>> = OnceLock::new();
    CASES
        .get_or_init(|| {
            let python = required(python())?;
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/oracle.py");
            let output = Command::new(python).arg(script).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
            Some(serde_json::from_slice(&output.stdout).unwrap())
        })
        .as_ref()
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().map(|v| v.as_f64().unwrap()).collect()
}

fn matrix(value: &Value) -> Matrix {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(numbers).collect();
    Matrix::of_rows(&rows).unwrap()
}

fn places(value: &Value) -> Vec<usize> {
    let list = value.as_array().unwrap();
    list.iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

fn flags(value: &Value) -> Vec<bool> {
    let list = value.as_array().unwrap();
    list.iter().map(|v| v.as_bool().unwrap()).collect()
}

/// Largest distance of two lists.
fn apart(left: &[f64], right: &[f64]) -> f64 {
    assert_eq!(left.len(), right.len());
    let distances = left.iter().zip(right).map(|(l, r)| (l - r).abs());
    distances.fold(0.0, f64::max)
}

fn trees(case: &Value) -> Trees {
    let nodes = case["nodes"].as_array().unwrap().iter().map(|node| {
        if let Some(value) = node.get("leaf") {
            return Node::Leaf(value.as_f64().unwrap());
        }
        Node::Split {
            feature: node["feature"].as_u64().unwrap() as usize,
            comparison: Comparison::AtMost,
            threshold: node["threshold"].as_f64().unwrap(),
            yes: node["yes"].as_u64().unwrap() as usize,
            no: node["no"].as_u64().unwrap() as usize,
            missing_yes: false,
        }
    });
    let features = case["features"].as_u64().unwrap() as usize;
    let base = case["base"].as_f64().unwrap();
    Trees::new(features, nodes.collect(), places(&case["roots"]), base).unwrap()
}

#[test]
fn shapley_values_are_those_of_shap() {
    let Some(cases) = cases() else { return };
    for (place, case) in cases["shapley"].as_array().unwrap().iter().enumerate() {
        let trees = trees(case);
        let background = matrix(&case["background"]);
        let (rows, theirs) = (matrix(&case["rows"]), matrix(&case["values"]));
        let margin = numbers(&case["margin"]);
        for (row, values) in rows.iter().enumerate() {
            let found = trees.explain(values, &background).unwrap();
            let largest = found.values.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
            assert!(
                (found.output - margin[row]).abs() < 1e-9 * largest,
                "model {place}"
            );
            assert!((found.base - case["expected"].as_f64().unwrap()).abs() < 1e-6 * largest);
            let distance = apart(&found.values, theirs.row(row)) / largest;
            assert!(distance < 1e-6, "model {place}, row {row}: {distance}");
            assert!(found.adds_up());
        }
        // Enumeration of one row, which knows nothing of trees.
        let mut model = |rows: &Matrix| {
            let values = rows.iter().map(|row| trees.of(row)).collect();
            Ok::<_, Infallible>(Matrix::of_column(values))
        };
        let found = exact(rows.row(0), &background, 0, &mut model).unwrap();
        let largest = found.values.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
        assert!(
            apart(&found.values, theirs.row(0)) / largest < 1e-6,
            "model {place}"
        );
    }
}

#[test]
fn sets_are_those_of_mapie() {
    let Some(cases) = cases() else { return };
    let mut sizes = 0;
    for case in cases["sets"].as_array().unwrap() {
        let method = match case["method"].as_str().unwrap() {
            "lac" => SetMethod::Lac,
            _ => SetMethod::Aps,
        };
        let (known, labels) = (matrix(&case["known"]), places(&case["labels"]));
        // MAPIE draws a share of the true label's own probability for APS, and nothing for LAC.
        let theirs = numbers(&case["scores"]);
        for ((p, label), theirs) in known.iter().zip(&labels).zip(&theirs) {
            let low = method.score(p, *label, 0.0).unwrap();
            let high = method.score(p, *label, 1.0).unwrap();
            assert!(
                (low - 1e-12..=high + 1e-12).contains(theirs),
                "{method:?} {p:?}"
            );
        }
        let alpha = case["alpha"].as_f64().unwrap();
        let level = Level::new(alpha).unwrap();
        let threshold = Scores::new(theirs, "all").unwrap().threshold(level);
        let fresh = matrix(&case["fresh"]);
        let theirs = case["sets"].as_array().unwrap();
        for (p, theirs) in fresh.iter().zip(theirs) {
            let ours = LabelSet::predict(method, threshold, p, 1.0);
            let theirs = places(theirs);
            sizes += ours.labels().len();
            if method == SetMethod::Aps && ours.labels().is_empty() {
                // Where no label fits MAPIE gives the likeliest all the same.
                let most = p.iter().copied().fold(0.0, f64::max);
                assert!(
                    theirs.len() == 1 && p[theirs[0]] >= most,
                    "{theirs:?} of {p:?}"
                );
                continue;
            }
            assert_eq!(ours.labels(), theirs, "{method:?} at {alpha}: {p:?}");
        }
    }
    assert!(sizes > 1_000, "only {sizes} labels compared");
}

#[test]
fn intervals_are_those_of_mapie() {
    let Some(cases) = cases() else { return };
    let case = &cases["intervals"];
    let level = Level::new(0.1).unwrap();
    let truth = numbers(&case["truth"]);
    let scores = numbers(&case["known"])
        .iter()
        .zip(&truth)
        .map(|(f, y)| (y - f).abs())
        .collect();
    let threshold = Scores::new(scores, "all").unwrap().threshold(level);
    for (prediction, theirs) in numbers(&case["fresh"])
        .iter()
        .zip(matrix(&case["split"]).iter())
    {
        let ours = Interval::split(*prediction, threshold).unwrap();
        assert!(apart(&[ours.low, ours.high], theirs) < 1e-9);
    }
    let scores = matrix(&case["known_bands"])
        .iter()
        .zip(&truth)
        .map(|(band, y)| quantile_score(band[0], band[1], *y))
        .collect();
    let threshold = Scores::new(scores, "all").unwrap().threshold(level);
    let bands = matrix(&case["fresh_bands"]);
    for (band, theirs) in bands.iter().zip(matrix(&case["quantile"]).iter()) {
        let ours = Interval::quantiles(band[0], band[1], threshold).unwrap();
        assert!(apart(&[ours.low, ours.high], theirs) < 1e-9);
    }
}

#[test]
fn calibration_is_that_of_scikit_learn() {
    let Some(cases) = cases() else { return };
    let case = &cases["calibration"];
    let (raw, outcomes) = (numbers(&case["raw"]), flags(&case["outcomes"]));
    let isotonic = Isotonic::fit(&raw, &outcomes).unwrap();
    let ours: Vec<f64> = numbers(&case["fresh"])
        .iter()
        .map(|x| isotonic.at(*x))
        .collect();
    assert!(apart(&ours, &numbers(&case["isotonic"])) < 1e-9);

    let scores = numbers(&case["scores"]);
    let platt = Platt::fit(&scores, &outcomes).unwrap();
    let ours: Vec<f64> = scores.iter().map(|z| platt.of_score(*z)).collect();
    let distance = apart(&ours, &numbers(&case["sigmoid"]));
    assert!(
        distance < 1e-4,
        "Platt {distance}: theirs stops at a tolerance"
    );

    let logits = matrix(&case["logits"]);
    let temperature = Temperature::fit(&logits, &places(&case["labels"])).unwrap();
    let calibration = Calibration::Temperature(temperature);
    let (mut by_logits, mut by_probabilities) = (Vec::new(), Vec::new());
    let plain = Temperature::new(1.0).unwrap();
    for row in logits.iter() {
        by_logits.extend(temperature.of_logits(row));
        by_probabilities.extend(calibration.apply(&plain.of_logits(row)));
    }
    let theirs = matrix(&case["temperature"]).into_values();
    let distance = apart(&by_logits, &theirs);
    assert!(
        distance < 1e-4,
        "temperature {distance}: theirs stops at a tolerance"
    );
    assert!(apart(&by_logits, &by_probabilities) < 1e-9);

    let of = |name: &str| case[name].as_f64().unwrap();
    assert!((brier(&raw, &outcomes) - of("brier")).abs() < 1e-12);
    let clipped = numbers(&case["clipped"]);
    assert!((log_loss(&clipped, &outcomes) - of("log_loss")).abs() < 1e-9);
    assert!((slope(&clipped, &outcomes).unwrap() - of("slope")).abs() < 1e-4);
}

#[test]
fn covariance_is_that_of_scikit_learn() {
    let Some(cases) = cases() else { return };
    let case = &cases["covariance"];
    let rows = matrix(&case["rows"]);
    let found = ledoit_wolf(&rows).unwrap();
    assert!((found.shrinkage - case["shrinkage"].as_f64().unwrap()).abs() < 1e-10);
    let theirs = matrix(&case["covariance"]);
    assert!(apart(found.covariance.values(), theirs.values()) < 1e-10);
    let precision = inverse(&found.covariance).unwrap();
    let center = means(&rows).unwrap();
    let distances: Vec<f64> = rows
        .iter()
        .map(|row| {
            let z: Vec<f64> = row.iter().zip(&center).map(|(v, m)| v - m).collect();
            quadratic(&precision, &z).sqrt()
        })
        .collect();
    assert!(apart(&distances, &numbers(&case["distances"])) < 1e-7);
}

#[test]
fn tests_of_distributions_are_those_of_scipy() {
    let Some(cases) = cases() else { return };
    let case = &cases["distributions"];
    for pair in case["ks"].as_array().unwrap() {
        let found = ks(&numbers(&pair["left"]), &numbers(&pair["right"])).unwrap();
        assert!((found.statistic - pair["statistic"].as_f64().unwrap()).abs() < 1e-12);
        let distance = (found.p - pair["p"].as_f64().unwrap()).abs();
        assert!(found.exact && distance < 1e-9, "{found:?}: {distance}");
    }
    let (p, adjusted) = (numbers(&case["p"]), numbers(&case["adjusted"]));
    for level in [0.01, 0.05, 0.1, 0.3] {
        let theirs: Vec<bool> = adjusted.iter().map(|p| *p <= level).collect();
        assert_eq!(benjamini_hochberg(&p, level), theirs, "{level}");
    }
    for share in case["wilson"].as_array().unwrap() {
        let of = |name: &str| share[name].as_f64().unwrap();
        let found = wilson(of("hits") as usize, of("cases") as usize, 0.05).unwrap();
        assert!(
            apart(&[found.low, found.high], &[of("low"), of("high")]) < 1e-9,
            "{share}"
        );
    }
    for row in case["chi_square"].as_array().unwrap() {
        let row = numbers(row);
        let found = chi_square_tail(row[0], row[1]);
        assert!(
            (found - row[2]).abs() < 1e-12 + 1e-9 * row[2],
            "{row:?}: {found}"
        );
    }
}

/// What became of the held-out cases of a demo model.
#[derive(Debug, Default)]
struct Tally {
    outside: f64,
    known: f64,
    covered: f64,
    risks: Vec<f64>,
    happened: Vec<bool>,
}

fn tally(manifest: &Manifest, held_out: &Value) -> Tally {
    let Inputs::Features { inputs, .. } = &manifest.inputs else {
        return Tally::default();
    };
    let (rows, raw) = (matrix(&held_out["rows"]), matrix(&held_out["raw"]));
    let mut tally = Tally::default();
    for ((row, raw), truth) in rows.iter().zip(raw.iter()).zip(numbers(&held_out["truth"])) {
        let given: Vec<(String, Given)> = inputs
            .iter()
            .zip(row)
            .map(|(input, value)| (input.feature.name.clone(), Given::Number(*value, None)))
            .collect();
        if let [_, risk] = manifest.calibration.apply(raw)[..] {
            tally.risks.push(risk);
            tally.happened.push(truth > 0.5);
        }
        let Ok(case) = manifest.gate().admit(&given) else {
            tally.outside += 1.0;
            continue;
        };
        assert_eq!(prepared(manifest, &case).unwrap(), row);
        let setting = Setting {
            group: None,
            digest: &[0; 32],
            alpha: None,
        };
        let Answer::Known(answer) = assess(manifest, case, raw, setting).unwrap() else {
            continue;
        };
        assert!(answer.stratum.is_some() && answer.sign_off);
        let covered = match (answer.uncertainty.unwrap().region, answer.estimate) {
            (Region::Labels(set), Estimate::Probabilities { .. }) => {
                set.labels().contains(&(truth as usize))
            }
            (Region::Values(interval), Estimate::Number(_)) => interval.holds(truth),
            _ => false,
        };
        tally.known += 1.0;
        tally.covered += f64::from(u8::from(covered));
    }
    tally
}

/// The chance that a case to which it happened has the larger risk.
fn area(tally: &Tally) -> f64 {
    let (mut wins, mut pairs) = (0.0, 0.0);
    let both = || tally.risks.iter().zip(&tally.happened);
    for (ill, _) in both().filter(|(_, happened)| **happened) {
        for (well, _) in both().filter(|(_, happened)| !**happened) {
            pairs += 1.0;
            wins += match ill.total_cmp(well) {
                core::cmp::Ordering::Greater => 1.0,
                core::cmp::Ordering::Equal => 0.5,
                core::cmp::Ordering::Less => 0.0,
            };
        }
    }
    wins / pairs
}

#[test]
fn demo_models_are_what_their_packages_say() {
    let Some(python) = required(python()) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let seed = [7; 32];
    let key = PublicKey::of_seed(&seed);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../sdk/python/demo_models.py");
    let run = Command::new(python)
        .args([script.as_path(), folder.path()])
        .arg(key.to_string())
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let limits = Limits::default();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let at = entry.unwrap().path();
        let text = std::fs::read_to_string(at.join("manifest.toml")).unwrap();
        let model = std::fs::read(at.join("model.onnx")).unwrap();
        let bytes = seal(&text, &model, Some(&seed), &limits).unwrap();
        let package = open(&bytes, &limits).unwrap();
        assert_eq!(package.verify(&[key]), Ok(key));
        let manifest = package.manifest();
        let held_out = std::fs::read(at.join("held-out.json")).unwrap();
        let tally = tally(manifest, &serde_json::from_slice(&held_out).unwrap());
        let name = manifest.identity.name.to_string();
        // Declared: 1 % of false alarms, 90 % coverage; four standard errors of calibration and test cases.
        let cases = tally.outside + tally.known;
        let error = |share: f64| (share * (1.0 - share) * 2.0 / cases).sqrt();
        assert!(
            cases > 100.0 && tally.outside / cases < 0.01 + 4.0 * error(0.01),
            "{name}: {tally:?}"
        );
        assert!(
            tally.covered / tally.known > 0.9 - 4.0 * error(0.1),
            "{name}: {tally:?}"
        );
        if let Some(summary) = &manifest.calibration_summary {
            let evidence = manifest
                .evidence
                .iter()
                .find(|e| e.metric == "auroc")
                .unwrap();
            assert!(
                (area(&tally) - evidence.value).abs() < 1e-9 && evidence.value > 0.9,
                "{name}"
            );
            let after = brier(&tally.risks, &tally.happened);
            assert!((after - summary.brier.unwrap().1).abs() < 1e-9, "{name}");
            let after = expected_error(&tally.risks, &tally.happened, 10);
            assert!((after - summary.error.unwrap().1).abs() < 1e-9, "{name}");
        }
        names.push(name);
    }
    assert_eq!(names.len(), 4, "{names:?}");
}
