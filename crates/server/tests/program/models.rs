//! Packages of models, as their makers see them: a key, a package that is packed, looked into, verified and
//! shown as a card; and what is refused, each with its reason.

#![expect(
    clippy::too_many_lines,
    reason = "a test fails by panicking, and tells its story in one piece"
)]

use std::fmt::Write as _;
use std::path::Path;

use crate::place::{Place, fails, ok, run};

/// The manifest of the logistic regression beside the runtime's tests: thirty numbers, two classes.
fn manifest(key: &str, features: u32) -> String {
    let mut text = format!(
        r#"schema = 1
[model]
name = "breast-mass"
version = "1.0.0"
title = "Nature of a breast mass"
summary = "Estimates whether a mass is benign from thirty measurements."
developer = "Rosewood Analytics"
contact = "models@rosewood.example"
licence = "BSD-3-Clause"
[signer]
key = "{key}"
[intended]
use = "To order the reading of samples."
users = ["pathologists"]
population = "adults"
setting = "laboratory"
role = "informs"
cautions = ["no diagnosis"]
limits = ["one hospital"]
sign_off = true
[input]
tensor = "X"
kind = "FP32"
shape = [-1, {features}]
most_missing = 0
"#
    );
    for place in 0..features {
        let _ = write!(
            text,
            "[[input.feature]]\nname = \"m{place}\"\nkind = \"number\"\nlow = 0.0\nhigh = 5000.0\nmissing = \"refuse\"\n"
        );
    }
    text.push_str(
        r#"[output]
tensor = "probabilities"
kind = "FP32"
shape = [-1, 2]
gives = "classes"
event = "benign"
[[output.label]]
name = "malignant"
[[output.label]]
name = "benign"
[reference]
cases = 400
[attributes]
funding = "none"
[change_control]
plan = "None."
threshold_shift = 0.0
most_canary_percent = 10
least_shadow_answers = 100
retraining = false
[card]
model_type = "logistic regression"
"#,
    );
    text
}

#[test]
fn a_package_is_made_looked_into_verified_and_shown() {
    let place = Place::new();
    let model = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../adapters/runtime/tests/models/logistic.onnx")
        .display()
        .to_string();
    let (secret, text, packed) = (place.at("key"), place.at("toml"), place.at("tmpkg"));
    let json = |arguments: &[&str]| ok(&[&["-o", "json", "model"], arguments].concat());

    let made = json(&["key", &secret]);
    let key = made["key"].as_str().unwrap().to_owned();
    assert_eq!(key.len(), 64);
    fails(&["model", "key", &secret], 5, "exists");
    let other = json(&["key", &place.at("other")])["key"]
        .as_str()
        .unwrap()
        .to_owned();

    std::fs::write(&text, manifest(&key, 30)).unwrap();
    let pack = [
        "model", "pack", &text, &model, "--key", &secret, "--to", &packed,
    ];
    let told = ok(&[&["-o", "json"], pack.as_slice()].concat());
    assert_eq!(told["name"], "breast-mass");
    fails(&pack, 5, "exists");

    let inspected = json(&["inspect", &packed]);
    assert_eq!(inspected["hash"], told["hash"]);
    assert_eq!(inspected["inputs"].as_array().unwrap().len(), 30);
    assert!(
        inspected["runs_with"]
            .as_str()
            .unwrap()
            .contains("built-in")
    );
    assert!(
        inspected["signature"]
            .as_str()
            .unwrap()
            .contains("not asked to trust")
    );
    let operators = inspected["operators"].to_string();
    assert!(operators.contains("LinearClassifier"), "{operators}");

    let verified = json(&["verify", &packed, "--trust", &other, "--trust", &key]);
    assert_eq!(verified["signed_by"], key.as_str());
    let verify = ["model", "verify", &packed, "--trust"];
    fails(
        &[verify.as_slice(), &[&other]].concat(),
        4,
        "not a trusted key",
    );
    fails(&[verify.as_slice(), &["x"]].concat(), 2, "no public key");

    let card = run(&["model", "card", &packed]);
    let card = String::from_utf8(card.stdout).unwrap();
    assert!(
        card.starts_with("# Nature of a breast mass 1.0.0\n"),
        "{card}"
    );
    assert!(card.contains("To order the reading of samples."), "{card}");

    // Changed after signing.
    let mut bytes = std::fs::read(&packed).unwrap();
    let at = bytes
        .windows(4)
        .position(|own| own == b"Rose")
        .unwrap_or(bytes.len() / 2);
    bytes[at] ^= 1;
    std::fs::write(&packed, &bytes).unwrap();
    assert_ne!(
        run(&[verify.as_slice(), &[&key]].concat()).status.code(),
        Some(0)
    );
}

#[test]
fn what_would_be_refused_later_is_not_packed() {
    let place = Place::new();
    let model = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../adapters/runtime/tests/models/logistic.onnx")
        .display()
        .to_string();
    let (secret, text, packed) = (place.at("key"), place.at("toml"), place.at("tmpkg"));
    let key = ok(&["-o", "json", "model", "key", &secret])["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let pack = |model: &str, says: &str| {
        let line = [
            "model", "pack", &text, model, "--key", &secret, "--to", &packed,
        ];
        let output = run(&line);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(says), "{told}");
        assert!(!Path::new(&packed).exists(), "nothing is left");
    };
    // A shape that lies, a key that does not sign it, a model that is none, a manifest with a word nobody knows.
    std::fs::write(&text, manifest(&key, 31)).unwrap();
    pack(&model, "the manifest says [-1, 31], the model [-1, 30]");
    std::fs::write(&text, manifest(&"00".repeat(32), 30)).unwrap();
    assert_ne!(
        run(&["model", "pack", &text, &model, "--key", &secret])
            .status
            .code(),
        Some(0)
    );
    std::fs::write(&text, manifest(&key, 30)).unwrap();
    pack(&text, "ONNX");
    std::fs::write(&text, manifest(&key, 30) + "colour = \"red\"\n").unwrap();
    pack(&model, "manifest.toml");
}
