"""The estimators of scikit-learn: they learn, keep to the drop, and pass scikit-learn's own checks."""

import json
import pickle
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator

import narrower
from narrower.export.subject import Wishes

SMALL = {"hidden": (8,), "n_trials": 12, "max_epochs": 40, "random_state": 0}


def test_a_classifier_learns_and_gives_names_and_shares() -> None:
    bunch = load_iris()
    names = bunch.target_names[bunch.target]
    X, X_test, y, y_test = train_test_split(bunch.data, names, random_state=0, stratify=names)
    found = narrower.NarrowClassifier(**SMALL).fit(X, y)
    assert found.score(X_test, y_test) > 0.85
    assert set(found.classes_) == set(names)
    shares = found.predict_proba(X_test)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (found.classes_[shares.argmax(axis=1)] == found.predict(X_test)).all()
    assert found.member_.metrics["bitops"] < found.result_.record.float32["bitops"] / 4
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict_proba(X_test), shares)
    assert clone(found).get_params() == found.get_params()


def test_the_plan_that_is_kept_is_the_cheapest_within_the_drop() -> None:
    X, y = load_iris(return_X_y=True)
    found = narrower.NarrowClassifier(**SMALL, max_drop=0.05).fit(X, y)
    float32 = found.result_.record.float32["accuracy"]
    within = [row for row in found.result_.front if row["accuracy"] >= float32 - 0.05]
    assert found.member_.metrics["bitops"] == min(row["bitops"] for row in within)


def test_a_regressor_learns_in_the_units_of_its_targets() -> None:
    X, y = load_diabetes(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    found = narrower.NarrowRegressor(**SMALL).fit(X, y)
    assert found.score(X_test, y_test) > 0.25
    assert y.min() - 100 < found.predict(X_test).mean() < y.max() + 100


def test_what_a_regressor_exports_says_how_to_feed_and_read_it(tmp_path: Path) -> None:
    X, y = load_diabetes(return_X_y=True)
    found = narrower.NarrowRegressor(**SMALL).fit(X, y)
    found.result_.export(found.member_, "onnx", tmp_path, Wishes(keeps_integers=True))
    told = json.loads((tmp_path / "model.onnx.manifest.json").read_text())
    inputs, targets = told["inputs"][0]["standardised"], told["targets"]["standardised"]
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    given = ((X - inputs["mean"]) / inputs["deviation"]).astype(np.float32)
    (outputs,) = session.run(None, {session.get_inputs()[0].name: given})
    undone = outputs.ravel() * targets["deviation"] + targets["mean"]
    np.testing.assert_allclose(undone, found.predict(X), rtol=1e-4)


def test_it_stands_in_a_pipeline() -> None:
    X, y = load_iris(return_X_y=True)
    scores = cross_val_score(make_pipeline(MinMaxScaler(), narrower.NarrowClassifier(**SMALL)), X, y, cv=2)
    assert scores.mean() > 0.8


def test_what_cannot_be_learned_is_said() -> None:
    with pytest.raises(ValueError, match="only one class"):
        narrower.NarrowClassifier().fit(np.zeros((20, 2)), np.ones(20))
    with pytest.raises(ValueError, match="minimum of 10 is required"):
        narrower.NarrowRegressor().fit(np.zeros((4, 2)), np.arange(4.0))


@pytest.mark.slow  # a hundred trainings and searches
@pytest.mark.parametrize("kind", [narrower.NarrowClassifier, narrower.NarrowRegressor])
def test_it_passes_the_checks_of_scikit_learn(kind: type) -> None:
    """All that apply: the array API is checked where SCIPY_ARRAY_API is set alone, and is not claimed."""
    found = check_estimator(
        kind(hidden=(8,), n_trials=4, max_epochs=40, random_state=0), on_fail=None, on_skip=None
    )
    wrong = {one["check_name"]: one["exception"] for one in found if one["status"] != "passed"}
    assert set(wrong) <= {"check_array_api_input"}, wrong
