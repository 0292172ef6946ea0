"""Makes the models of the runtime's tests, with inputs and the answers of Python onnxruntime.

    python sdk/python/runtime_models.py crates/adapters/runtime/tests/models

Each model is one `.onnx` file; beside it stands a `.json` with inputs and expected outputs, so that the
tests of the built-in runtime need nothing installed. Everything is seeded; the data sets ship inside
scikit-learn.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier

ROWS = 8


def answers(model, inputs):
    """What Python onnxruntime says, dictionaries of scores turned into a matrix."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    made = session.run(None, inputs)
    outputs = {}
    for output, value in zip(session.get_outputs(), made):
        if isinstance(value, list):
            value = np.array([[row[key] for key in row] for row in value], dtype=np.float32)
        outputs[output.name] = value
    return outputs


def written(tensor):
    tensor = np.asarray(tensor)
    if tensor.dtype.kind in "OU":
        data, word = [str(v) for v in tensor.ravel()], "BYTES"
    else:
        words = {"float32": "FP32", "float64": "FP64", "int64": "INT64", "bool": "BOOL", "int32": "INT32"}
        data, word = tensor.ravel().tolist(), words[str(tensor.dtype)]
        data = [None if v != v else v for v in data]
    return {"shape": list(tensor.shape), "datatype": word, "data": data}


def save(folder, name, model, inputs):
    model.doc_string = ""
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    case = {
        "inputs": {key: written(value) for key, value in inputs.items()},
        "outputs": {key: written(value) for key, value in answers(model, inputs).items()},
    }
    (folder / f"{name}.json").write_text(json.dumps(case, separators=(",", ":")))


def tabular(folder):
    x, y = load_breast_cancer(return_X_y=True)
    x = x.astype(np.float32)
    probe = {"X": x[:ROWS]}
    float30 = [("X", FloatTensorType([None, 30]))]
    iris_x, iris_y = load_iris(return_X_y=True)
    iris_x = iris_x.astype(np.float32)
    iris = {"X": iris_x[::20]}
    diabetes_x, diabetes_y = load_diabetes(return_X_y=True)
    diabetes_x = diabetes_x.astype(np.float32)
    diabetes = {"X": diabetes_x[:ROWS]}
    holes = x.copy()
    holes[::3, 2] = np.nan
    names = np.array(["malignant", "benign"])[y]
    pick = [0, 1, 2, 20, 21, 22, 27]
    cases = [
        ("logistic", make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)), x, y, probe),
        ("logistic_names", make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)), x, names, probe),
        ("logistic_three", LogisticRegression(max_iter=500), iris_x, iris_y, iris),
        ("forest", RandomForestClassifier(8, max_depth=4, random_state=0), x, y, probe),
        ("forest_three", RandomForestClassifier(6, max_depth=4, random_state=0), iris_x, iris_y, iris),
        ("tree", DecisionTreeClassifier(max_depth=3, random_state=0), x, y, probe),
        ("boosting", GradientBoostingClassifier(n_estimators=12, random_state=0), x, y, probe),
        ("boosting_three", GradientBoostingClassifier(n_estimators=5, max_depth=2, random_state=0), iris_x, iris_y, iris),
        ("histogram", HistGradientBoostingClassifier(max_iter=8, max_leaf_nodes=8, random_state=0), holes, y, {"X": holes[:ROWS]}),
        ("network", make_pipeline(StandardScaler(), MLPClassifier((16, 8), max_iter=200, random_state=0)), x, y, probe),
        ("imputed", make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=500)), holes, y, {"X": holes[:ROWS]}),
        ("normalised", make_pipeline(Normalizer(), LogisticRegression(max_iter=500)), x, y, probe),
        ("vectors", make_pipeline(StandardScaler(), SVC(probability=False, random_state=0)), x[:120, :4], y[:120], {"X": x[:ROWS, :4]}),
    ]
    for name, model, features, target, inputs in cases:
        model.fit(features, target)
        kinds = [("X", FloatTensorType([None, features.shape[1]]))]
        zip_map = name in ("logistic_names", "forest")
        options = {"zipmap": zip_map} if zip_map else {"zipmap": False}
        last = model.steps[-1][1] if hasattr(model, "steps") else model
        onx = to_onnx(model, initial_types=kinds, options={id(last): options}, target_opset={"": 17, "ai.onnx.ml": 3})
        save(folder, name, onx, inputs)
    for name, model in [
        ("regression", LinearRegression()),
        ("boosting_regressor", GradientBoostingRegressor(n_estimators=12, random_state=0)),
        ("forest_regressor", RandomForestRegressor(5, max_depth=4, random_state=0)),
        ("vectors_regressor", SVR(C=10.0)),
    ]:
        few = slice(0, 80) if name == "vectors_regressor" else slice(None)
        model.fit(diabetes_x[few], diabetes_y[few])
        kinds = [("X", FloatTensorType([None, 10]))]
        save(folder, name, to_onnx(model, initial_types=kinds, target_opset={"": 17, "ai.onnx.ml": 3}), diabetes)
    _ = float30, pick


def mixed(folder):
    """Texts, whole numbers and floats in inputs of their own, as hospital tables have them."""
    random = np.random.default_rng(0)
    sex = random.choice(["female", "male"], (60, 1)).astype(object)
    ward = random.integers(1, 4, (60, 1))
    age = random.normal(60, 15, (60, 1)).astype(np.float32)
    y = (age[:, 0] + 5 * (sex[:, 0] == "male") > 62).astype(int)
    import pandas

    frame = pandas.DataFrame({"sex": sex[:, 0], "ward": ward[:, 0], "age": age[:, 0]})
    model = make_pipeline(
        ColumnTransformer([
            ("words", OneHotEncoder(handle_unknown="ignore"), ["sex"]),
            ("wards", OneHotEncoder(handle_unknown="ignore"), ["ward"]),
            ("numbers", StandardScaler(), ["age"]),
        ]),
        LogisticRegression(),
    )
    model.fit(frame, y)
    kinds = [("sex", StringTensorType([None, 1])), ("ward", Int64TensorType([None, 1])), ("age", FloatTensorType([None, 1]))]
    onx = to_onnx(model, initial_types=kinds, options={"zipmap": False}, target_opset={"": 17, "ai.onnx.ml": 3})
    inputs = {"sex": sex[:ROWS], "ward": ward[:ROWS].astype(np.int64), "age": age[:ROWS]}
    save(folder, "mixed", onx, inputs)


def convolutional(folder):
    """Two convolutions with seeded weights; what matters here is that both runtimes agree."""
    random = np.random.default_rng(1)

    def weight(name, *shape):
        return numpy_helper.from_array((random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", "w2", "b2"], ["c2"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c2", "g", "s", "m", "v"], ["n2"]),
        helper.make_node("Relu", ["n2"], ["r2"]),
        helper.make_node("GlobalAveragePool", ["r2"], ["p2"]),
        helper.make_node("Flatten", ["p2"], ["f"]),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    weights = [
        weight("w1", 6, 1, 3, 3), weight("b1", 6), weight("w2", 8, 6, 3, 3), weight("b2", 8),
        numpy_helper.from_array(np.ones(8, np.float32), "g"), weight("s", 8), weight("m", 8),
        numpy_helper.from_array(np.full(8, 0.5, np.float32), "v"), weight("w3", 3, 8), weight("b3", 3),
    ]
    graph = helper.make_graph(
        nodes,
        "small_cnn",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 16, 16])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    save(folder, "convolutional", model, {"image": random.normal(size=(2, 1, 16, 16)).astype(np.float32)})


def hanging(folder):
    """A sound model that takes for ever: a loop of 2^40 rounds. Only the deadline bounds it."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["still"]),
            helper.make_node("Add", ["x", "x"], ["twice"]),
            helper.make_node("Mul", ["twice", "half"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"]),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, ["n"]),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["rounds", "yes", "X"], ["Y"], body=body)],
        "hanging",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["n"])],
        [
            numpy_helper.from_array(np.array(2**40, np.int64), "rounds"),
            numpy_helper.from_array(np.array(True), "yes"),
            numpy_helper.from_array(np.array([0.5], np.float32), "half"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    (folder / "hanging.onnx").write_bytes(model.SerializeToString())


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    tabular(target)
    mixed(target)
    convolutional(target)
    hanging(target)
