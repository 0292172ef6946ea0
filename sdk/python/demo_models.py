"""Makes the demo models from data sets that ship inside scikit-learn, each as the two files of a package.

    python sdk/python/demo_models.py FOLDER PUBLIC_KEY

Beside each stands `held-out.json`: rows the model never saw, its own answers for them and the truth, for tests.
These models show how Theriac runs a model. They are no medical devices and not for patients.
"""

import json
import pathlib
import sys

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import theriac_package


def parts(x, y, seed, name):
    """40 % to fit the model, 10 % its calibration, 25 % to score, 25 % to test."""
    x_model, x_rest, y_model, y_rest = train_test_split(x, y, test_size=0.6, random_state=seed)
    x_fit, x_rest, y_fit, y_rest = train_test_split(x_rest, y_rest, test_size=5 / 6, random_state=seed)
    x_score, x_test, y_score, y_test = train_test_split(x_rest, y_rest, test_size=0.5, random_state=seed)
    return theriac_package.Data((x_model, y_model), (x_fit, y_fit), (x_score, y_score), (x_test, y_test), name)


def about(name, title, summary, kind, strata):
    return {
        "model": {
            "name": name, "version": "1.0.0", "title": title, "summary": summary, "developer": "Theriac",
            "contact": "https://github.com/theriac/theriac", "licence": "Apache-2.0",
        },
        "intended": {
            "use": "To show how Theriac runs a model.", "users": ["people who try Theriac"],
            "population": "the people of the data set", "setting": "demonstration", "role": "informs",
            "cautions": ["not for patients"], "limits": ["fitted on a small public data set", "never validated in care"],
            "sign_off": True,
        },
        "stratum": strata,
        "change_control": {
            "plan": "Nothing changes without sign-off.", "threshold_shift": 0.0, "most_canary_percent": 20,
            "least_shadow_answers": 50, "retraining": False,
        },
        "card": {"model_type": kind, "risk_level": "none: demonstration only"},
    }


def inputs(names, x):
    """Plausible ranges: what was seen, and as much again on both sides."""
    low, high = x.min(axis=0), x.max(axis=0)
    spread = np.maximum(high - low, 1e-6)
    floor = np.where(low >= 0, 0.0, low - spread)
    return [
        {"name": name.replace(" ", "-"), "title": name, "kind": "number", "low": floor[at], "high": high[at] + spread[at], "missing": "refuse"}
        for at, name in enumerate(names)
    ]


def keep(folder, data, raw):
    rows, truth = data.test
    case = {"rows": rows.tolist(), "raw": np.asarray(raw, dtype=float).tolist(), "truth": truth.tolist()}
    (folder / "held-out.json").write_text(json.dumps(case))


def main(folder, key):
    folder = pathlib.Path(folder)
    cancer = load_breast_cancer()
    malignant = (cancer.target == 0).astype(int)
    strata = [{"name": "low"}, {"name": "middle", "from": 0.1}, {"name": "high", "from": 0.5, "advice": "a demonstration asks for nothing"}]
    network = MLPClassifier(hidden_layer_sizes=(32,), max_iter=400, alpha=0.01, random_state=1)
    for name, title, kind, model, width in [
        ("demo-breast-logistic", "Breast mass, logistic", "logistic regression", make_pipeline(StandardScaler(), LogisticRegression()), 30),
        ("demo-breast-boosting", "Breast mass, boosting", "gradient boosting", GradientBoostingClassifier(random_state=1), 10),
        ("demo-breast-network", "Breast mass, network", "neural network with one hidden layer", make_pipeline(StandardScaler(), network), 30),
    ]:
        x = cancer.data[:, :width].astype(np.float32).astype(float)
        data = parts(x, malignant, 1, "breast cancer Wisconsin (diagnostic), held out")
        model.fit(data.reference[0].astype(np.float32), data.reference[1])
        summary = "Estimates from measures of cell nuclei whether a breast mass is malignant."
        theriac_package.write(
            folder / name, about(name, title, summary, kind, strata), inputs(cancer.feature_names[:width], x), model, data,
            key=key, labels=["benign", "malignant"], event="malignant",
        )
        keep(folder / name, data, model.predict_proba(data.test[0].astype(np.float32)))
    sugar = load_diabetes()
    x = sugar.data.astype(np.float32).astype(float)
    data = parts(x, sugar.target, 1, "diabetes, held out")
    model = LinearRegression().fit(data.reference[0].astype(np.float32), data.reference[1])
    name, summary = "demo-diabetes-linear", "Estimates a measure of the progression of diabetes after one year."
    strata = [{"name": "slow"}, {"name": "fast", "from": 200.0}]
    theriac_package.write(
        folder / name, about(name, "Diabetes, linear", summary, "linear regression", strata),
        inputs(sugar.feature_names, x), model, data, key=key,
    )
    keep(folder / name, data, model.predict(data.test[0].astype(np.float32))[:, None])


if __name__ == "__main__":
    main(*sys.argv[1:])
