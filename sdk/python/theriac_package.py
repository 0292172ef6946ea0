"""Makes the two files of a model package, `model.onnx` and `manifest.toml`, from a fitted scikit-learn model.

    import theriac_package
    theriac_package.write(folder, about, inputs, model, data)

What only people know (intended use, limits, strata, guidelines, what may change) comes in as `about` and goes
into the manifest as it is. What can be computed is computed here: calibration, conformal scores, reference
statistics and evidence, each from its own part of the data, none of which the model was fitted on except the
reference cases. For a model that is no scikit-learn model (a PyTorch export) give `onnx` and `predict`.
`theriac model pack` then checks, packs and signs. The fields are described in docs/reference/inference.md.

Needs numpy, scikit-learn and, unless `onnx` is given, skl2onnx.
"""

import math
import pathlib

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score


class Data:
    """Rows by what they are for: `reference` as the model was fitted on, `fit` to fit the calibration, `score`
    for conformal scores and distances, `test` for evidence. The last three were never seen by the model."""

    def __init__(self, reference, fit, score, test, name):
        self.reference, self.fit, self.score, self.test, self.name = reference, fit, score, test, name


def toml(value):
    """A value in TOML. Numbers are written with every digit they have."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        if not math.isfinite(value):
            raise ValueError("a number of the manifest is not finite: leave the case out")
        text = repr(float(value))
        return text if any(c in text for c in ".e") else text + ".0"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        return f'"{escaped}"'
    if isinstance(value, (list, tuple, np.ndarray)):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    raise TypeError(f"{type(value).__name__} has no place in a manifest")


def table(path, fields, array=False):
    """One table with its sub-tables; lists of dictionaries are arrays of tables."""
    lines = [f"[[{path}]]" if array else f"[{path}]"] if path else []
    below = []
    for key, value in fields.items():
        name = f"{path}.{key}" if path else key
        if value is None:
            continue
        if isinstance(value, dict):
            below.append(table(name, value))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            below.extend(table(name, item, array=True) for item in value)
        else:
            lines.append(f"{key} = {toml(value)}")
    return "\n".join(lines + below)


def logits(probabilities):
    return np.log(np.maximum(probabilities, 1e-300))


def tempered(probabilities, temperature):
    scaled = logits(probabilities) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def temperature(probabilities, labels):
    """The temperature of least log loss: in 1/T the loss is convex, so its slope is bisected."""
    z = logits(probabilities)
    own = z[np.arange(len(labels)), labels]
    low, high = 0.01, 100.0
    for _ in range(100):
        middle = (low + high) / 2
        shares = tempered(probabilities, 1 / middle)
        if ((shares * z).sum(axis=1) - own).sum() < 0:
            low = middle
        else:
            high = middle
    return 2 / (low + high)


def calibration_error(predicted, happened, bins=10):
    places = np.minimum((predicted * bins).astype(int), bins - 1)
    error = 0.0
    for place in range(bins):
        inside = places == place
        if inside.any():
            error += inside.mean() * abs(predicted[inside].mean() - happened[inside].mean())
    return error


def wilson(hits, cases, z=1.959963984540054):
    share, square = hits / cases, z * z / cases
    center = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / cases + square / (4 * cases))
    return (0.0 if hits == 0 else center - half), (1.0 if hits == cases else center + half)


def reference(data, names, false_alarms, background=100, seed=1):
    """What the reference cases were like: distances, histograms by tenths, rows to compare with."""
    rows, _ = data.reference
    center, scale = rows.mean(axis=0), rows.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    precision = np.linalg.inv(LedoitWolf().fit((rows - center) / scale).covariance_)
    precision = (precision + precision.T) / 2
    z = (data.score[0] - center) / scale
    distances = np.sqrt(np.einsum("ij,jk,ik->i", z, precision, z))
    bins = []
    for place, name in enumerate(names):
        edges = np.unique(np.quantile(rows[:, place], np.linspace(0.1, 0.9, 9)))
        counts = np.bincount(np.searchsorted(edges, rows[:, place], side="right"), minlength=len(edges) + 1)
        if (counts > 0).all():
            bins.append({"feature": name, "edges": edges, "counts": counts})
    chosen = np.random.default_rng(seed).permutation(len(rows))[:background]
    return {
        "cases": len(rows), "background": rows[chosen], "bins": bins,
        "mahalanobis": {
            "alpha": false_alarms, "center": center, "scale": scale, "precision": precision, "distances": distances,
        },
    }


def measured(metric, hits, cases, name):
    low, high = wilson(hits, cases)
    return {"slice": "all", "metric": metric, "value": hits / cases, "low": low, "high": high, "cases": cases, "data": name}


def classifier(data, predict, labels, event, threshold, alpha):
    """Calibration, conformal scores and evidence of a classifier whose labels are 0, 1 and so on."""
    rows, truth = data.fit
    raw, at = predict(rows), labels.index(event)
    t = temperature(raw, truth)
    rows, truth = data.score
    scores = 1 - tempered(predict(rows), t)[np.arange(len(truth)), truth]
    rows, truth = data.test
    before, happened = predict(rows), truth == at
    after = tempered(before, t)[:, at]
    called = after >= threshold
    parts = {
        "calibration": {
            "method": "temperature", "temperature": t, "cases": len(data.fit[1]), "data": data.name,
            "error_before": calibration_error(before[:, at], happened), "error_after": calibration_error(after, happened),
            "brier_before": float(np.mean((before[:, at] - happened) ** 2)), "brier_after": float(np.mean((after - happened) ** 2)),
        },
        "conformal": {"method": "lac", "alpha": alpha, "scores": scores},
        "evidence": [
            {"slice": "all", "metric": "auroc", "value": roc_auc_score(happened, after), "cases": len(truth), "data": data.name},
            measured("sensitivity", int((called & happened).sum()), int(happened.sum()), data.name),
            measured("specificity", int((~called & ~happened).sum()), int((~happened).sum()), data.name),
        ],
    }
    return parts


def regressor(data, predict, alpha):
    """Conformal scores and evidence of a model of one number."""
    rows, truth = data.score
    scores = np.abs(truth - predict(rows))
    rows, truth = data.test
    error = float(np.mean(np.abs(truth - predict(rows))))
    return {
        "conformal": {"method": "split", "alpha": alpha, "scores": scores},
        "evidence": [{"slice": "all", "metric": "mean absolute error", "value": error, "cases": len(truth), "data": data.name}],
    }


def exported(model, width, classifies):
    from skl2onnx import to_onnx

    options = {id(model): {"zipmap": False}} if classifies else None
    example = np.zeros((1, width), dtype=np.float32)
    return to_onnx(model, example, options=options).SerializeToString()


def write(folder, about, inputs, model, data, *, key, labels=None, event=None, unit=None, alpha=0.1,
          false_alarms=0.01, onnx=None, predict=None, tensors=("X", None)):
    """Writes both files. `about` has the tables model, intended, change_control, and, where wanted, stratum,
    guideline, attributes and card; `inputs` one dictionary for each feature; `key` is the signer's public key."""
    classifies = labels is not None
    if predict is None:
        def predict(rows):
            rows = rows.astype(np.float32)
            return model.predict_proba(rows) if classifies else np.ravel(model.predict(rows))

    def answers(rows):
        """In 64 bits, as Theriac goes on with what a model gives in 32."""
        return np.asarray(predict(rows), dtype=float)

    strata = about.get("stratum", [])
    threshold = strata[-1]["from"] if strata else 0.5
    parts = classifier(data, answers, labels, event, threshold, alpha) if classifies else regressor(data, answers, alpha)
    output = {
        "tensor": tensors[1] or ("probabilities" if classifies else "variable"), "kind": "FP32",
        "shape": [-1, len(labels) if classifies else 1], "gives": "classes" if classifies else "number",
        "event": event, "unit": unit, "label": [{"name": name} for name in labels] if classifies else None,
    }
    fields = {
        "schema": 1, "signer": {"key": key}, **about,
        "input": {"tensor": tensors[0], "kind": "FP32", "shape": [-1, len(inputs)], "feature": inputs},
        "output": output, **parts, "reference": reference(data, [i["name"] for i in inputs], false_alarms),
    }
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.toml").write_text(table("", fields) + "\n")
    (folder / "model.onnx").write_bytes(onnx if onnx is not None else exported(model, len(inputs), classifies))
