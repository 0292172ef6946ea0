//! The built-in runtime against the answers of Python onnxruntime on committed models.

use runtime::embedded::Embedded;
use runtime::{Budget, Dim, LoadLimits, Runtime, RuntimeError, Tensor, TensorData};

use super::cases;

#[test]
fn committed_models_answer_as_onnx_runtime_does() {
    let mut compared = 0;
    for case in cases::all() {
        let session = Embedded.load(&case.model, &LoadLimits::default());
        let session = session.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let found = session.run(case.inputs.clone(), &Budget::default());
        let found = found.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let differs = cases::difference(&case.expected, &found, 1e-5);
        assert_eq!(differs, None, "{}", case.name);
        compared += 1;
    }
    assert!(compared >= 18);
}

#[test]
fn rows_do_not_influence_each_other() {
    for name in ["forest", "boosting", "logistic", "network", "vectors"] {
        let case = cases::case(name);
        let session = Embedded.load(&case.model, &LoadLimits::default()).unwrap();
        let whole = session
            .run(case.inputs.clone(), &Budget::default())
            .unwrap();
        let input = &case.inputs[0];
        let TensorData::F32(values) = input.data() else {
            panic!("{name} takes floats");
        };
        let columns = input.shape()[1];
        let last = values[values.len() - columns..].to_vec();
        let row = Tensor::new(input.name(), vec![1, columns], TensorData::F32(last)).unwrap();
        let alone = session.run(vec![row], &Budget::default()).unwrap();
        for (one, all) in alone.iter().zip(&whole) {
            let (one, all) = (one.data().to_f64().unwrap(), all.data().to_f64().unwrap());
            assert_eq!(one[..], all[all.len() - one.len()..], "{name}");
        }
    }
}

#[test]
fn scores_of_zip_map_are_a_matrix() {
    let case = cases::case("logistic_names");
    let session = Embedded.load(&case.model, &LoadLimits::default()).unwrap();
    let output = &session.signature().outputs[1];
    assert_eq!(
        output.shape,
        Some(vec![Dim::Dynamic(String::new()), Dim::Fixed(2)])
    );
    let made = session.run(case.inputs, &Budget::default()).unwrap();
    let TensorData::Bytes(labels) = made[0].data() else {
        panic!("labels are texts");
    };
    assert!(
        labels
            .iter()
            .all(|label| label == b"malignant" || label == b"benign")
    );
}

#[test]
fn a_call_that_does_not_fit_is_refused() {
    let case = cases::case("logistic");
    let session = Embedded.load(&case.model, &LoadLimits::default()).unwrap();
    let floats = |name: &str, shape: Vec<usize>| {
        let count = shape.iter().product();
        Tensor::new(name, shape, TensorData::F32(vec![0.0; count])).unwrap()
    };
    let whole = Tensor::new("X", vec![1, 30], TensorData::I64(vec![0; 30])).unwrap();
    let table = [
        (vec![], "is missing"),
        (vec![floats("X", vec![1, 29])], "wanted shape"),
        (vec![floats("X", vec![30])], "wanted shape"),
        (vec![whole], "wanted elements of type FP32, got INT64"),
        (
            vec![floats("X", vec![1, 30]), floats("Z", vec![1])],
            "no such input",
        ),
        (
            vec![floats("X", vec![1, 30]), floats("X", vec![1, 30])],
            "came twice",
        ),
    ];
    for (inputs, words) in table {
        let error = session.run(inputs, &Budget::default()).unwrap_err();
        assert!(matches!(error, RuntimeError::Shape { .. }), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn memory_of_a_call_is_bounded() {
    let case = cases::case("logistic");
    let mut limits = LoadLimits::default();
    limits.call.memory_bytes = 1000; // the input alone has 960 bytes
    let session = Embedded.load(&case.model, &limits).unwrap();
    let error = session
        .run(case.inputs.clone(), &Budget::default())
        .unwrap_err();
    assert!(
        matches!(error, RuntimeError::TooLarge { limit: 1000, .. }),
        "{error:?}"
    );
    limits.call.memory_bytes = 1_000_000;
    limits.call.input_elements = 200;
    let session = Embedded.load(&case.model, &limits).unwrap();
    let error = session.run(case.inputs, &Budget::default()).unwrap_err();
    assert!(
        matches!(error, RuntimeError::TooLarge { limit: 200, .. }),
        "{error:?}"
    );
}

#[test]
fn a_stopped_call_stops() {
    let case = cases::case("forest");
    let session = Embedded.load(&case.model, &LoadLimits::default()).unwrap();
    let budget = Budget::default();
    budget.stop();
    let error = session.run(case.inputs, &budget).unwrap_err();
    assert!(matches!(error, RuntimeError::Deadline { .. }));
}

#[test]
fn not_a_number_is_answered_as_onnx_runtime_does() {
    // Missing values where the model learned with them: the histogram model is compared on rows with holes.
    let case = cases::case("histogram");
    let holes = case.inputs[0].data().to_f64().unwrap();
    assert!(holes.iter().any(|value| value.is_nan()));
    // Where it did not, every comparison is false and nothing hangs or panics.
    let case = cases::case("forest");
    let session = Embedded.load(&case.model, &LoadLimits::default()).unwrap();
    let row = Tensor::new("X", vec![1, 30], TensorData::F32(vec![f32::NAN; 30])).unwrap();
    let made = session.run(vec![row], &Budget::default()).unwrap();
    let scores = made[1].data().to_f64().unwrap();
    assert!(scores.iter().all(|score| score.is_finite()), "{scores:?}");
}
