from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from order_of_events import moving_pulses
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from conntra_hardware.base.errors import InputError
from conntra_neuro.estimator import ConntraClassifier


def _check_name(check: Any) -> str:
    return str(check.func.__name__)


_CHECKED = ConntraClassifier((16,), random_state=0, sweeps=20)


_CHECKS: list[Any] = list(estimator_checks_generator(_CHECKED))


@pytest.mark.parametrize("check", [check for _, check in _CHECKS], ids=_check_name)
def test_scikit_learn_conventions(check: Any) -> None:
    check(clone(_CHECKED))


@pytest.fixture(scope="module")
def iris() -> tuple[np.ndarray, np.ndarray]:
    data: Any = load_iris()
    return data.data, np.asarray(data.target_names)[data.target].astype(str)


def test_pipeline_and_grid_search(iris: tuple[np.ndarray, np.ndarray]) -> None:
    pipeline = make_pipeline(StandardScaler(), ConntraClassifier((16,), random_state=0, sweeps=40))
    search = GridSearchCV(pipeline, {"conntraclassifier__levels": ["binary", "ternary"]}, cv=2)
    search.fit(*iris)
    assert search.best_score_ > 0.9
    assert set(search.predict(iris[0])) <= set(iris[1])


def test_iris_cross_validated(iris: tuple[np.ndarray, np.ndarray]) -> None:
    assert cross_val_score(ConntraClassifier(random_state=0), *iris, cv=5).mean() >= 0.94


def test_network_carries_encoder_and_labels(iris: tuple[np.ndarray, np.ndarray]) -> None:
    fitted = ConntraClassifier((8,), levels=5, random_state=1, sweeps=30).fit(*iris)
    network = fitted.network_
    assert network.labels == ("setosa", "versicolor", "virginica")
    np.testing.assert_array_equal(np.array(network.labels)[network.predict(iris[0])], fitted.predict(iris[0]))
    assert fitted.history_
    assert fitted.score(*iris) > 0.9


def test_probabilities_follow_the_logits(iris: tuple[np.ndarray, np.ndarray]) -> None:
    fitted = ConntraClassifier((16,), random_state=0, sweeps=40).fit(*iris)
    found = fitted.predict_proba(iris[0])
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_array_equal(fitted.classes_[found.argmax(axis=1)], fitted.predict(iris[0]))
    truth = found[np.arange(len(found)), np.searchsorted(fitted.classes_, iris[1])]
    assert -np.log(truth).mean() < 0.4, "better than no calibration at all"


def test_same_seed_same_network_and_clone(iris: tuple[np.ndarray, np.ndarray]) -> None:
    first = ConntraClassifier((8,), random_state=7, sweeps=10)
    second = clone(first)
    assert first.fit(*iris).network_.layers[0].weight.tolist() == second.fit(*iris).network_.layers[0].weight.tolist()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "x",
    [np.array([[0.0], [1.0]]), np.array([[1.0, 5.0], [1.0, 5.0]]), np.array([[1e30, -1e30], [-1e30, 1e30]])],
    ids=["two samples", "constant", "huge"],
)
def test_degenerate_data(x: np.ndarray) -> None:
    fitted = ConntraClassifier((4,), random_state=0).fit(x, [0, 1])
    assert fitted.predict(x).shape == (2,)
    assert np.isfinite(fitted.predict_proba(x)).all()


def test_bad_parameters_are_one_line() -> None:
    x, y = np.eye(4), [0, 1, 0, 1]
    for wrong, message in [
        ({"levels": "three"}, "levels 'three'"),
        ({"method": "magic"}, "method 'magic': unknown"),
        ({"encoder": "magic"}, "encoder 'magic': unknown"),
        ({"hidden_layer_sizes": (0,)}, "widths are integers of at least 1"),
        ({"options": {"speed": 1}}, "option 'speed': unknown"),
    ]:
        with pytest.raises(InputError, match=message):
            ConntraClassifier(**wrong).fit(x, y)


def test_samples_over_time_and_recurrent_layers() -> None:
    data = moving_pulses(90)
    names = np.array(data.labels)[data.y_train]
    options = {"fraction_recurrent": 0.05, "shift": 1}
    classifier = ConntraClassifier(
        (6,), neuron="lif:410", recurrent=True, encoder="spikes", sweeps=3, random_state=0, options=options
    )
    fitted = clone(classifier).fit(data.x_train, names)
    assert (fitted.network_.steps, fitted.n_features_in_) == (8, 8)
    assert fitted.network_.recurrent[0].weight.any()
    late = clone(classifier).set_params(recurrent=False, delays=3).fit(data.x_train, names)
    assert late.network_.layers[0].is_delayed
    assert not late.network_.recurrent
    logits = fitted.network_.forward(data.x_test)
    np.testing.assert_array_equal(fitted.predict(data.x_test), fitted.classes_[logits.argmax(axis=1)])
    assert fitted.predict_proba(data.x_test).shape == (len(data.x_test), 2)
    with pytest.raises(InputError, match=r"samples of shape \(8, 12\) without an encoder"):
        clone(classifier).set_params(steps=5).fit(data.x_train, names)
    with pytest.raises(ValueError, match="dim 3"):
        ConntraClassifier((6,)).fit(data.x_train, names)


def test_features_are_shown_to_leaky_neurons_for_some_steps(iris: tuple[np.ndarray, np.ndarray]) -> None:
    fitted = ConntraClassifier((12,), neuron="lif:1024", steps=4, random_state=0, sweeps=30).fit(*iris)
    assert fitted.network_.steps == 4
    assert fitted.score(*iris) > 0.8


def test_package_import_leaves_scikit_learn_alone() -> None:
    code = "import sys, conntra_neuro; assert 'sklearn' not in sys.modules; conntra_neuro.ConntraClassifier"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
