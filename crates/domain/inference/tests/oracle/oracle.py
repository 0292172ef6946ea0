"""Prints cases for the tests of clinical AI with the answers of other people's libraries, as one JSON.

Calibration and covariance are scikit-learn's, conformal sets and intervals MAPIE's, Shapley values those of
shap's interventional TreeExplainer, tests of distributions scipy's. Everything is seeded; the data sets ship
inside scikit-learn.
"""

import json
import sys
import warnings

import numpy as np
import shap
from mapie.classification import SplitConformalClassifier
from mapie.regression import ConformalizedQuantileRegressor, SplitConformalRegressor
from scipy import stats
from scipy.special import logit
from sklearn.calibration import _SigmoidCalibration, _TemperatureScaling
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import train_test_split

warnings.filterwarnings("ignore")


def listed(values):
    return np.asarray(values, dtype=float).tolist()


def split(x, y, seed):
    x_fit, x_rest, y_fit, y_rest = train_test_split(x, y, test_size=0.6, random_state=seed)
    x_cal, x_new, y_cal, y_new = train_test_split(x_rest, y_rest, test_size=0.5, random_state=seed)
    return x_fit, y_fit, x_cal, y_cal, x_new, y_new


def tree_model(model, x, background, rows):
    """Trees as flat nodes; sklearn goes left where the value, as a 32-bit number, is at most the threshold."""
    nodes, roots = [], []
    for tree in model.estimators_[:, 0]:
        tree = tree.tree_
        start = len(nodes)
        roots.append(start)
        for at in range(tree.node_count):
            if tree.children_left[at] < 0:
                nodes.append({"leaf": float(tree.value[at, 0, 0] * model.learning_rate)})
            else:
                nodes.append({
                    "feature": int(tree.feature[at]),
                    "threshold": float(tree.threshold[at]),
                    "yes": start + int(tree.children_left[at]),
                    "no": start + int(tree.children_right[at]),
                })
    explainer = shap.TreeExplainer(model, background, feature_perturbation="interventional")
    base = float(model._raw_predict_init(x[:1])[0, 0])
    margin = model.decision_function(rows) if hasattr(model, "decision_function") else model.predict(rows)
    return {
        "nodes": nodes, "roots": roots, "base": base, "features": x.shape[1],
        "background": listed(background), "rows": listed(rows), "margin": listed(margin),
        "values": listed(explainer.shap_values(rows, check_additivity=False)),
        "expected": float(np.ravel(explainer.expected_value)[0]),
    }


def coarse(values):
    """Multiples of 1/1024: then midpoints are exact in 32 bits too. shap rounds thresholds to 32 bits, and where
    two neighbouring 32-bit numbers lie on both sides of one it goes another way than scikit-learn's trees."""
    return np.round(values * 1024) / 1024


def shapley():
    cancer, sugar = load_breast_cancer(), load_diabetes()
    x = coarse(cancer.data[:, :10])
    classifier = GradientBoostingClassifier(n_estimators=100, max_depth=3, random_state=1).fit(x, cancer.target)
    z = coarse(sugar.data)
    regressor = GradientBoostingRegressor(n_estimators=60, max_depth=6, random_state=2).fit(z, sugar.target)
    return [
        tree_model(classifier, x, x[:100], x[100:108]),
        tree_model(regressor, z, z[:50], z[50:56]),
    ]


def calibration():
    rng = np.random.default_rng(3)
    score = rng.normal(size=600)
    outcome = rng.random(600) < 1 / (1 + np.exp(-(1.7 * score - 0.5)))
    raw = np.round(1 / (1 + np.exp(-score)), 2)
    fresh = np.linspace(-0.1, 1.1, 61)
    isotonic = IsotonicRegression(out_of_bounds="clip").fit(raw, outcome)
    sigmoid = _SigmoidCalibration().fit(score, outcome)
    logits = np.stack([rng.normal(size=500) * 2, rng.normal(size=500) * 2, rng.normal(size=500) * 2], axis=1)
    share = np.exp(logits * 0.6)
    share /= share.sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(3, p=p) for p in share])
    temperature = _TemperatureScaling().fit(logits, labels)
    clipped = np.clip(raw, 0.01, 0.99)
    slope = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit(clipped)[:, None], outcome)
    return {
        "scores": listed(score), "outcomes": outcome.tolist(), "raw": listed(raw), "fresh": listed(fresh),
        "isotonic": listed(isotonic.predict(fresh)), "sigmoid": listed(sigmoid.predict(score)),
        "logits": listed(logits), "labels": labels.tolist(),
        "temperature": listed(temperature.predict(logits)),
        "brier": float(brier_score_loss(outcome, raw)), "clipped": listed(clipped),
        "log_loss": float(log_loss(outcome, clipped)), "slope": float(slope.coef_[0, 0]),
    }


def sets():
    digits = load_digits()
    found = []
    for seed, alpha in [(1, 0.1), (2, 0.05), (3, 0.013)]:
        x_fit, y_fit, x_cal, y_cal, x_new, _ = split(digits.data[:900] / 16, digits.target[:900], seed)
        model = LogisticRegression(max_iter=500, C=0.05).fit(x_fit, y_fit)
        for method, options in [("lac", {}), ("aps", {"include_last_label": False})]:
            conformal = SplitConformalClassifier(
                model, confidence_level=1 - alpha, conformity_score=method, prefit=True, random_state=1
            ).conformalize(x_cal, y_cal)
            predicted = conformal.predict_set(x_new, conformity_score_params=options)[1][:, :, 0]
            found.append({
                "method": method, "alpha": alpha, "known": listed(model.predict_proba(x_cal)),
                "labels": y_cal.tolist(),
                "scores": listed(np.ravel(conformal._mapie_classifier.conformity_scores_)), "fresh": listed(model.predict_proba(x_new)),
                "sets": [np.flatnonzero(row).tolist() for row in predicted],
            })
    return found


def intervals():
    x, y = load_diabetes(return_X_y=True)
    x_fit, y_fit, x_cal, y_cal, x_new, _ = split(x, y, 5)
    model = LinearRegression().fit(x_fit, y_fit)
    conformal = SplitConformalRegressor(model, confidence_level=0.9, prefit=True).conformalize(x_cal, y_cal)
    plain = conformal.predict_interval(x_new)[1][:, :, 0]
    quantile = [
        GradientBoostingRegressor(loss="quantile", alpha=a, n_estimators=40, max_depth=2, random_state=1).fit(x_fit, y_fit)
        for a in (0.05, 0.95, 0.5)
    ]
    banded = ConformalizedQuantileRegressor(quantile, confidence_level=0.9, prefit=True).conformalize(x_cal, y_cal)
    wide = banded.predict_interval(x_new, symmetric_correction=True)[1][:, :, 0]
    bands = lambda rows: listed(np.stack([quantile[0].predict(rows), quantile[1].predict(rows)], axis=1))
    return {
        "known": listed(model.predict(x_cal)), "truth": listed(y_cal), "fresh": listed(model.predict(x_new)),
        "split": listed(plain), "known_bands": bands(x_cal), "fresh_bands": bands(x_new), "quantile": listed(wide),
    }


def covariance():
    x = load_breast_cancer().data[:200, :12]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    found = LedoitWolf().fit(x)
    return {
        "rows": listed(x), "covariance": listed(found.covariance_), "shrinkage": float(found.shrinkage_),
        "distances": listed(np.sqrt(found.mahalanobis(x))),
    }


def distributions():
    rng = np.random.default_rng(9)
    pairs = []
    for n, m, shift in [(5, 7, 0.0), (30, 20, 0.5), (100, 100, 0.2), (400, 37, 0.1), (999, 1000, 0.1)]:
        left, right = rng.normal(size=n), rng.normal(size=m) + shift
        p = stats.ks_2samp(left, right, method="exact")
        pairs.append({"left": listed(left), "right": listed(right), "statistic": float(p.statistic), "p": float(p.pvalue)})
    p = rng.random(40) ** 2
    shares = []
    for hits, cases in [(0, 9), (3, 9), (9, 9), (81, 263), (500, 1000)]:
        found = stats.binomtest(hits, cases).proportion_ci(0.95, method="wilson")
        shares.append({"hits": hits, "cases": cases, "low": float(found.low), "high": float(found.high)})
    return {
        "ks": pairs, "p": listed(p), "adjusted": listed(stats.false_discovery_control(p)), "wilson": shares,
        "chi_square": [[float(v), float(d), float(stats.chi2.sf(v, d))] for v in (0.1, 3, 20, 90) for d in (1, 9, 40)],
    }


json.dump({
    "shapley": shapley(), "calibration": calibration(), "sets": sets(), "intervals": intervals(),
    "covariance": covariance(), "distributions": distributions(),
}, sys.stdout)
