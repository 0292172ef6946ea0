//! The ONNX backend node tests of the `onnx` package against both runtimes; the pass rates are written to
//! docs/reference/onnx.md. A page that is stale fails; THERIAC_UPDATE=1 writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use runtime::embedded::Embedded;
use runtime::guard::{inspect, read_tensor};
use runtime::{Budget, LoadLimits, Runtime, RuntimeError, Tensor};
use testkit::peers::setting;

use super::onnx_runtime;

/// What became of one test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Passed,
    /// Refused with a typed error, when loading or when called.
    Refused,
    Wrong,
}

struct Test {
    name: String,
    model: Vec<u8>,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    tolerance: (f64, f64),
}

fn generated() -> Option<PathBuf> {
    let prefix = onnx_runtime::python_prefix()?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("onnx-node");
    if !folder.join("version").exists() {
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../sdk/python/onnx_node_tests.py");
        let output = Command::new(prefix.join("bin/python"))
            .arg(script)
            .arg(&folder)
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}");
    }
    Some(folder)
}

fn tensors(folder: &Path, prefix: &str) -> Option<Vec<Tensor>> {
    (0..)
        .map(|place| folder.join(format!("{prefix}_{place}.pb")))
        .take_while(|path| path.exists())
        .map(|path| read_tensor(&std::fs::read(path).unwrap(), 1 << 24).ok())
        .collect()
}

/// The test, or `None` where a value is of a kind the port does not carry.
fn read(folder: &Path) -> Option<Test> {
    if folder.join("not_tensors").exists() {
        return None;
    }
    let tolerance = std::fs::read_to_string(folder.join("tolerance")).unwrap();
    let (relative, absolute) = tolerance.split_once(' ').unwrap();
    Some(Test {
        name: folder.file_name()?.to_str()?.to_owned(),
        model: std::fs::read(folder.join("model.onnx")).unwrap(),
        inputs: tensors(folder, "input")?,
        outputs: tensors(folder, "output")?,
        tolerance: (relative.parse().unwrap(), absolute.parse().unwrap()),
    })
}

fn limits() -> LoadLimits {
    let mut limits = LoadLimits::default();
    limits
        .guard
        .domains
        .push("ai.onnx.preview.training".to_owned());
    limits
}

fn judge(runtime: &dyn Runtime, test: &Test) -> (Outcome, String) {
    let made = runtime
        .load(&test.model, &limits())
        .and_then(|session| session.run(test.inputs.clone(), &Budget::default()));
    match made {
        Err(error) => (Outcome::Refused, reason(&error)),
        Ok(made) => match apart(test, &made) {
            None => (Outcome::Passed, String::new()),
            Some(words) => (Outcome::Wrong, words),
        },
    }
}

fn reason(error: &RuntimeError) -> String {
    match error {
        RuntimeError::UnknownOperator { .. } => "an operator it does not have",
        RuntimeError::Shape { .. } => "a shape or an element type",
        RuntimeError::Unsound(_) => "the graph",
        RuntimeError::Failed { .. } => "the engine",
        _ => "another reason",
    }
    .to_owned()
}

/// As numpy's `allclose`: absolute and relative tolerance together.
fn apart(test: &Test, made: &[Tensor]) -> Option<String> {
    let (relative, absolute) = test.tolerance;
    if test.outputs.len() != made.len() {
        return Some(format!(
            "{} outputs, not {}",
            made.len(),
            test.outputs.len()
        ));
    }
    test.outputs.iter().zip(made).find_map(|(wanted, made)| {
        if (wanted.shape(), wanted.kind()) != (made.shape(), made.kind()) {
            return Some(format!(
                "{:?} {:?}, not {:?} {:?}",
                made.kind(),
                made.shape(),
                wanted.kind(),
                wanted.shape()
            ));
        }
        let (Some(a), Some(b)) = (wanted.data().to_f64(), made.data().to_f64()) else {
            return (wanted.data() != made.data()).then(|| "other texts".to_owned());
        };
        a.iter().zip(&b).find_map(|(a, b)| {
            let same = (a.is_nan() && b.is_nan())
                || (a.is_infinite()
                    && b.is_infinite()
                    && a.signum().to_bits() == b.signum().to_bits())
                || (a - b).abs() <= absolute + relative * a.abs();
            (!same).then(|| format!("{b}, not {a}"))
        })
    })
}

#[derive(Default)]
struct Tally {
    passed: usize,
    refused: BTreeMap<String, usize>,
    wrong: Vec<String>,
    /// Operator to (tests, passed).
    operators: BTreeMap<String, (usize, usize)>,
}

fn tally(runtime: &dyn Runtime, tests: &[Test]) -> Tally {
    let mut tally = Tally::default();
    for test in tests {
        let (outcome, words) = judge(runtime, test);
        match outcome {
            Outcome::Passed => tally.passed += 1,
            Outcome::Refused => *tally.refused.entry(words).or_default() += 1,
            Outcome::Wrong => tally.wrong.push(format!("`{}` ({words})", test.name)),
        }
        if let Ok(inspected) = inspect(&test.model, &limits().guard) {
            // A test of one operator counts for it; expansions into many count for the whole only.
            if let [operator] = inspected.facts.operators.as_slice() {
                let entry = tally.operators.entry(operator.clone()).or_default();
                entry.0 += 1;
                entry.1 += usize::from(outcome == Outcome::Passed);
            }
        }
    }
    tally
}

fn page(version: &str, skipped: usize, tests: usize, both: &[(&str, Tally); 2]) -> String {
    let mut page = format!(
        "# ONNX: what each runtime runs\n\
        Made by `THERIAC_UPDATE=1 cargo test -p theriac-runtime node_tests`; a stale page fails the same test. \
        The tests are the backend node tests of the `onnx` package {version} with its own tolerances: {} of them, \
        of which {skipped} take or give something the port does not carry (sequences, maps, optionals; half, \
        quarter and sub-byte precision; complex numbers) and are not counted below.\n\n\
        | | passed | refused with a reason | wrong |\n|---|---|---|---|\n",
        tests + skipped
    );
    for (name, tally) in both {
        let refused: usize = tally.refused.values().sum();
        let share = tally.passed as f64 * 100.0 / tests as f64;
        let _ = writeln!(
            page,
            "| {name} | {} of {tests} ({share:.1} %) | {refused} | {} |",
            tally.passed,
            tally.wrong.len()
        );
    }
    for (name, tally) in both {
        let _ = write!(page, "\n## {name}\nRefused for: ");
        let reasons: Vec<String> = tally
            .refused
            .iter()
            .map(|(reason, count)| format!("{reason} ({count})"))
            .collect();
        let _ = writeln!(page, "{}.", reasons.join(", "));
        if !tally.wrong.is_empty() {
            let names: Vec<&str> = tally
                .wrong
                .iter()
                .map(|line| line.split(' ').next().unwrap_or(line))
                .collect();
            let _ = writeln!(
                page,
                "\nAnother answer than the test wants (random numbers among them, which no two \
                implementations draw alike): {}.",
                names.join(", ")
            );
        }
    }
    page.push_str("\n## By operator\nTests of one operator alone, passed of all.\n\n| operator | ONNX Runtime | built in |\n|---|---|---|\n");
    let [(_, theirs), (_, ours)] = both;
    for (operator, (count, passed)) in &theirs.operators {
        let built_in = ours
            .operators
            .get(operator)
            .map_or(0, |(_, passed)| *passed);
        let _ = writeln!(
            page,
            "| {operator} | {passed} of {count} | {built_in} of {count} |"
        );
    }
    page
}

#[test]
fn the_page_of_node_tests_is_true() {
    let (Some(folder), Some(onnx_runtime)) = (generated(), onnx_runtime::open()) else {
        return;
    };
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    let tests: Vec<Test> = folders.iter().filter_map(|folder| read(folder)).collect();
    let carried: Vec<Test> = tests
        .into_iter()
        .filter(|test| !is_not_carried(&test.model))
        .collect();
    let skipped = folders.len() - carried.len();
    assert!(carried.len() > 1000, "only {} tests", carried.len());
    let version = std::fs::read_to_string(folder.join("version")).unwrap();
    let both = [
        ("ONNX Runtime", tally(&onnx_runtime, &carried)),
        ("Built in", tally(&Embedded, &carried)),
    ];
    for (name, tally) in &both {
        for line in &tally.wrong {
            println!("{name}: {line}");
        }
    }
    let made = page(&version, skipped, carried.len(), &both);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/reference/onnx.md");
    if setting("THERIAC_UPDATE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        kept, made,
        "docs/reference/onnx.md is stale; THERIAC_UPDATE=1 writes it"
    );
}

/// Whether the model's own inputs or outputs are of a kind the port does not carry.
fn is_not_carried(model: &[u8]) -> bool {
    match inspect(model, &limits().guard) {
        Err(RuntimeError::Shape { detail, .. }) => {
            detail.contains("is not a tensor") || detail.contains("element type")
        }
        _ => false,
    }
}

#[test]
fn a_tensor_file_is_read_as_the_model_reader_reads_it() {
    // A float tensor of two elements with a name, as onnx writes one.
    let bytes = super::proto::floats("x", &[2], &[1.5, -2.0]).0;
    let tensor = read_tensor(&bytes, 10).unwrap();
    assert_eq!((tensor.name(), tensor.shape()), ("x", &[2_usize][..]));
    assert_eq!(tensor.data().to_f64().unwrap(), [1.5, -2.0]);
    assert!(read_tensor(&bytes, 1).is_err(), "over the limit");
}
