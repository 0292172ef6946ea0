//! ONNX Runtime from the test environment's Python package: parity with the built-in runtime, deadlines,
//! refusals. Where the package is not installed the tests say so.

use std::path::{Path, PathBuf};

use runtime::embedded::Embedded;
use runtime::onnx_runtime::{OnnxRuntime, Search, Settings};
use runtime::{Budget, LoadLimits, Runtime, RuntimeError, Tensor, TensorData};
use testkit::peers::{PeerMissing, required, setting};

use super::cases;

/// The Python environment of the tests: `sdk/python/.venv`, made by `cargo xtask peers`, or the one named
/// by `THERIAC_PYTHON_PREFIX`.
pub fn python_prefix() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../sdk/python/.venv");
    let prefix = setting("THERIAC_PYTHON_PREFIX").map_or(own, PathBuf::from);
    required(if prefix.join("bin/python").exists() {
        Ok(prefix)
    } else {
        let detail = format!(
            "{} is not there; cargo xtask peers makes it",
            prefix.display()
        );
        Err(PeerMissing::new("the Python environment", detail))
    })
}

pub fn open() -> Option<OnnxRuntime> {
    let search = Search {
        library: None,
        python_prefixes: vec![python_prefix()?],
    };
    let opened = OnnxRuntime::open(&search, Settings::default());
    required(opened.map_err(|error| PeerMissing::new("ONNX Runtime", error.to_string())))
}

#[test]
fn both_runtimes_agree_on_every_model() {
    let Some(onnx_runtime) = open() else {
        return;
    };
    assert!(
        onnx_runtime.name().starts_with("onnxruntime 1."),
        "{}",
        onnx_runtime.name()
    );
    for case in cases::all() {
        let limits = LoadLimits::default();
        let ours = Embedded.load(&case.model, &limits).unwrap();
        let theirs = onnx_runtime
            .load(&case.model, &limits)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert_eq!(ours.signature(), theirs.signature(), "{}", case.name);
        let run = |session: &dyn runtime::Session| {
            session
                .run(case.inputs.clone(), &Budget::default())
                .unwrap_or_else(|error| panic!("{}: {error}", case.name))
        };
        let (ours, theirs) = (run(ours.as_ref()), run(theirs.as_ref()));
        assert_eq!(
            cases::difference(&case.expected, &theirs, 1e-6),
            None,
            "{}: theirs",
            case.name
        );
        assert_eq!(
            cases::difference(&theirs, &ours, 1e-5),
            None,
            "{}: ours",
            case.name
        );
    }
}

#[test]
fn the_runtime_says_what_it_refuses() {
    let Some(onnx_runtime) = open() else {
        return;
    };
    let case = cases::case("logistic");
    let session = onnx_runtime
        .load(&case.model, &LoadLimits::default())
        .unwrap();
    assert!(session.describe().because.contains("loaded from"));
    let error = session.run(Vec::new(), &Budget::default()).unwrap_err();
    assert!(matches!(error, RuntimeError::Shape { .. }), "{error:?}");
    let text = Tensor::new("X", vec![1], TensorData::Bytes(vec![vec![0xff]])).unwrap();
    let error = session.run(vec![text], &Budget::default()).unwrap_err();
    assert!(matches!(error, RuntimeError::Shape { .. }), "{error:?}");
    let cut = &case.model[..case.model.len() / 2];
    assert!(onnx_runtime.load(cut, &LoadLimits::default()).is_err());
}

#[test]
fn a_model_that_hangs_is_stopped() {
    let Some(onnx_runtime) = open() else {
        return;
    };
    let session = onnx_runtime
        .load(&cases::model("hanging"), &LoadLimits::default())
        .unwrap();
    let budget = Budget::default();
    let stopper = budget.clone();
    let waiting = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        stopper.stop();
    });
    let x = Tensor::new("X", vec![2], TensorData::F32(vec![1.0, 2.0])).unwrap();
    let error = session.run(vec![x], &budget).unwrap_err();
    waiting.join().unwrap();
    assert!(matches!(error, RuntimeError::Deadline { .. }), "{error:?}");
    // The session is of use afterwards: it is free, and a stopped call does not start.
    let x = Tensor::new("X", vec![2], TensorData::F32(vec![1.0, 2.0])).unwrap();
    assert!(session.run(vec![x], &budget).is_err());
}

#[test]
fn a_provider_that_the_library_lacks_is_named() {
    let Some(prefix) = python_prefix() else {
        return;
    };
    let search = Search {
        library: None,
        python_prefixes: vec![prefix],
    };
    let settings = Settings {
        provider: runtime::onnx_runtime::Provider::Cuda {
            device: 0,
            memory_bytes: 1 << 30,
        },
        ..Settings::default()
    };
    let error = OnnxRuntime::open(&search, settings).err();
    assert!(
        matches!(&error, Some(RuntimeError::Provider { provider, .. }) if provider == "CUDA"),
        "{error:?}"
    );
}
