//! Operators of the interpreter on small arrays whose answers are worked out by hand. The breadth is in the
//! node tests of the `onnx` package.

use runtime::embedded::Embedded;
use runtime::{Budget, LoadLimits, Runtime, RuntimeError, Tensor, TensorData};

use super::proto::{Message, graph, model, node};

fn run(nodes: &[Message], input: &[f32]) -> Result<Vec<Tensor>, RuntimeError> {
    let session = Embedded.load(&model(&graph(nodes, &[])), &LoadLimits::default())?;
    let x = Tensor::new("X", vec![input.len()], TensorData::F32(input.to_vec())).unwrap();
    session.run(vec![x], &Budget::default())
}

fn float_list(name: &str, values: &[f32]) -> Message {
    let mut attribute = Message::default().text(1, name);
    for value in values {
        attribute = attribute.float(7, *value);
    }
    attribute.int(20, 6)
}

fn ml(op: &str, attributes: &[Message]) -> Message {
    let mut message = node(op, "ai.onnx.ml", &["X"], &["Y"]);
    for attribute in attributes {
        message = message.message(5, attribute);
    }
    message
}

#[test]
fn preparation_of_features() {
    let word = |name: &str, text: &str| Message::default().text(1, name).text(4, text).int(20, 3);
    let number =
        |name: &str, value: f32| Message::default().text(1, name).float(2, value).int(20, 1);
    let table = [
        (
            ml(
                "Scaler",
                &[float_list("offset", &[1.0]), float_list("scale", &[2.0])],
            ),
            vec![0.0, 2.0, 6.0],
        ),
        (
            ml(
                "Scaler",
                &[
                    float_list("offset", &[1.0, 2.0, 3.0]),
                    float_list("scale", &[1.0, 10.0, 100.0]),
                ],
            ),
            vec![0.0, 0.0, 100.0],
        ),
        (
            ml("Normalizer", &[word("norm", "L1")]),
            vec![1.0 / 7.0, 2.0 / 7.0, 4.0 / 7.0],
        ),
        (
            ml("Normalizer", &[word("norm", "MAX")]),
            vec![0.25, 0.5, 1.0],
        ),
        (
            ml("Binarizer", &[number("threshold", 2.0)]),
            vec![0.0, 0.0, 1.0],
        ),
        (
            ml(
                "Imputer",
                &[
                    float_list("imputed_value_floats", &[9.0]),
                    number("replaced_value_float", 2.0),
                ],
            ),
            vec![1.0, 9.0, 4.0],
        ),
    ];
    for (node, wanted) in table {
        let made = run(&[node], &[1.0, 2.0, 4.0]).unwrap();
        assert_eq!(made[0].data(), &TensorData::F32(wanted));
    }
}

#[test]
fn settings_that_contradict_are_refused_when_loading() {
    let word = |name: &str, text: &str| Message::default().text(1, name).text(4, text).int(20, 3);
    let table = [
        ml("Normalizer", &[word("norm", "L7")]),
        ml("Imputer", &[]),
        ml("LinearRegressor", &[word("post_transform", "MAGIC")]),
        ml("TreeEnsembleClassifier", &[]),
        ml("SVMClassifier", &[]),
        ml("OneHotEncoder", &[]),
        ml("LabelEncoder", &[]),
    ];
    for node in table {
        let error = run(&[node], &[1.0]).unwrap_err();
        assert!(matches!(error, RuntimeError::Shape { .. }), "{error:?}");
    }
}

#[test]
fn an_operator_that_is_not_built_in_is_named() {
    let nodes = [
        node("Scaler", "ai.onnx.ml", &["X"], &["t"]),
        node("GRU", "", &["t", "t", "t"], &["Y"]),
    ];
    let error = run(&nodes, &[1.0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the built-in interpreter does not know operator \"ai.onnx:GRU\"; run this model with ONNX Runtime"
    );
}

#[test]
fn a_whole_number_divided_by_zero_is_an_error() {
    let cast = |from: &str, to: &str, kind: i64| {
        let kind = Message::default().text(1, "to").int(3, kind).int(20, 2);
        node("Cast", "", &[from], &[to]).message(5, &kind)
    };
    let nodes = [
        cast("X", "i", 7),
        node("Div", "", &["i", "i"], &["d"]),
        node("Scaler", "ai.onnx.ml", &["d"], &["Y"]),
    ];
    assert_eq!(
        run(&nodes, &[3.0]).unwrap()[0].data(),
        &TensorData::F32(vec![1.0])
    );
    let error = run(&nodes, &[0.0]).unwrap_err();
    assert!(error.to_string().contains("divided by zero"), "{error}");
}
