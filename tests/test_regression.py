"""A value instead of a class: targets, the squared error of integer logits, units, files, runs and the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import estimator_checks_generator

import conntra_neuro as cn
from conntra_hardware.base.errors import ConntraError, FileFormatError, InputError
from conntra_neuro.cli.app import main
from conntra_neuro.estimator import ConntraRegressor
from conntra_neuro.training.calibrate import slope_of, value_scale
from conntra_neuro.training.objective import QUANTA, SquaredError
from conntra_neuro.training.scoring.kernels import flip_gains
from conntra_neuro.training.task import VALUE_ONE


@pytest.fixture(scope="module")
def diabetes() -> cn.Dataset:
    return cn.load_dataset("diabetes")


@pytest.fixture(scope="module")
def trained(diabetes: cn.Dataset) -> cn.TrainResult:
    return cn.train(diabetes, layers=[32], sweeps=40)


def valued(*arrays: Any, **more: Any) -> cn.Dataset:
    return cn.Dataset("a", *arrays, target="value", **more)


def variance(data: cn.Dataset) -> float:
    return float(data.y_test.var())


def test_the_error_of_a_trained_network_is_that_of_its_values(diabetes: cn.Dataset, trained: cn.TrainResult) -> None:
    network = trained.network
    values = network.predict(diabetes.x_test)
    assert network.value is not None
    logits = network.forward(network.encode(diabetes.x_test))
    assert np.array_equal(values, network.value.offset + network.value.scale * logits[:, 0])
    assert trained.test_error == pytest.approx(mean_squared_error(diabetes.y_test, values))
    assert network.error(diabetes.x_test, diabetes.y_test) == pytest.approx(trained.test_error)
    assert trained.test_error is not None
    assert trained.test_error < 0.8 * variance(diabetes)
    assert trained.history[-1].objective < trained.history[0].objective
    assert "test MSE" in repr(trained)
    assert "MSE" in trained.summary()
    assert "a value" in repr(network)
    again = cn.train(diabetes, layers=[32], sweeps=40)
    assert np.array_equal(again.network.layers[0].weight, network.layers[0].weight)  # type: ignore[attr-defined]


def test_the_scale_is_the_line_that_is_nearest_to_the_targets() -> None:
    rng = np.random.default_rng(0)
    logits, y = rng.integers(-9, 10, (50, 1)), rng.normal(size=50) * 4 + 7
    found = value_scale(logits, y)
    line = LinearRegression().fit(logits, y)
    assert (found.scale, found.offset) == pytest.approx((float(line.coef_[0]), float(line.intercept_)))
    flat = value_scale(np.full((50, 1), 3), y)
    assert np.allclose(flat.values(np.array([[3]])), y.mean())
    targets = np.rint((y - y.mean()) / y.std() * VALUE_ONE).astype(int)
    up = logits if found.scale > 0 else -logits
    assert slope_of(up, targets) == pytest.approx(abs(found.scale) / y.std(), rel=1e-3)


def test_losses_are_half_the_squared_error_in_variances() -> None:
    objective = SquaredError(0.25)
    logits, y = np.array([[4], [-2], [0]]), np.array([VALUE_ONE, 0, -VALUE_ONE // 2])
    assert (objective.losses(logits, y) / QUANTA).tolist() == [0.0, 0.125, 0.125]
    assert SquaredError.error(0.25, 0, 3) == pytest.approx((0 + 0.25 + 0.25) / 3)


def test_gains_are_exact_changes_of_the_loss() -> None:
    """With a spike against without it, one unit at a time, by the definition of the loss."""
    rng = np.random.default_rng(1)
    n, units, scale = 6, 5, 0.125
    h, weight = rng.integers(0, 2, (n, units)).astype(float), rng.integers(-3, 4, units)
    y = rng.integers(-2 * VALUE_ONE, 2 * VALUE_ONE, n)
    logits = (h @ weight)[:, None]
    objective = SquaredError(scale)
    distance, out = objective.distances(logits, y)[:, None], np.empty((n, units))
    grid = 2.0**-40
    flip_gains(h, h, distance, weight * scale, np.ones(3), 1 / grid, grid, out, 0, n)
    for row, unit in np.ndindex(n, units):
        on, off = h[row].copy(), h[row].copy()
        on[unit], off[unit] = 1, 0
        losses = [0.5 * (scale * (state @ weight) - y[row] / VALUE_ONE) ** 2 for state in (on, off)]
        assert out[row, unit] == pytest.approx(losses[0] - losses[1], abs=1e-9)


def bowl(n: int, shape: tuple[int, ...] = (4,)) -> cn.Dataset:
    """A value that no line through the features gives: the square of the distance from the middle."""
    rng = np.random.default_rng(2)
    x = rng.random((n, *shape))
    y = 100 + 10 * ((x.reshape(n, -1) - 0.5) ** 2).sum(axis=1)
    half = n // 2
    return cn.Dataset("bowl", x[:half], y[:half], x[half:], y[half:], target="value")


@pytest.mark.parametrize(
    "options",
    [
        {"layers": [64]},
        {"layers": [48, 32]},
        {"layers": [64], "neuron": "relu"},
        {"layers": [64], "levels": 7},
        {"layers": [64], "penalty_synops": 1e-7},
    ],
    ids=lambda options: ", ".join(map(str, options.values())),
)
def test_what_is_not_linear_is_learned(options: dict[str, Any]) -> None:
    data = bowl(2000)
    found = cn.train(data, sweeps=30, **options)
    line = LinearRegression().fit(data.x_train, data.y_train)
    assert line.score(data.x_test, data.y_test) < 0.1
    assert found.test_error is not None
    assert found.test_error < 0.4 * variance(data)


@pytest.mark.parametrize("options", [{"layers": "conv4k3,16"}, {"layers": [16], "neuron": "if4"}], ids=["conv", "if"])
def test_any_layers_and_neurons(options: dict[str, Any]) -> None:
    data = bowl(600, (4, 4))
    first = cn.train(data, sweeps=2, **options)
    later = cn.train(data, sweeps=25, **options)
    assert later.train_error < first.train_error
    program = cn.compile(later.network, chip="auto")
    assert np.array_equal(program.run(data.x_test[:20]).predictions, later.network.predict(data.x_test[:20]))


@pytest.mark.parametrize("method", ["backprop", "warm"])
def test_backpropagation_and_a_warm_start(method: str) -> None:
    pytest.importorskip("jax")
    data = bowl(1000)
    found = cn.train(data, layers=[48], method=method, sweeps=30)
    assert found.test_error is not None
    assert found.test_error < 0.5 * variance(data)


def test_training_goes_on_from_a_network(trained: cn.TrainResult, diabetes: cn.Dataset) -> None:
    further = cn.train(diabetes, layers=[32], sweeps=5, initial=trained.network)
    assert further.train_error <= trained.train_error * 1.001


def test_samples_are_held_out_of_large_sets() -> None:
    found = cn.train(bowl(12_000), layers=[16], sweeps=2)
    assert found.validation_error is not None
    assert 0 < found.validation_error < 2


def test_a_program_says_the_mean_squared_error(
    trained: cn.TrainResult, diabetes: cn.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = cn.compile(trained.network, chip="loihi1")
    result = program.run(diabetes.x_test, diabetes.y_test)
    assert np.array_equal(result.predictions, trained.network.predict(diabetes.x_test))
    assert result.accuracy is None
    assert result.mse == pytest.approx(mean_squared_error(diabetes.y_test, result.predictions))
    assert result.r2 == pytest.approx(r2_score(diabetes.y_test, result.predictions))
    assert f"MSE {result.mse:.6g}" in repr(result)
    assert program.run(diabetes.x_test[:2]).mse is None
    with pytest.raises(InputError, match="finite numbers expected"):
        program.run(diabetes.x_test[:2], [np.nan, 1.0])
    cn.save(program, tmp_path / "a.program", info={"data": "diabetes", "seed": 0})
    again = cn.load(tmp_path / "a.program")
    assert isinstance(again, cn.Program)
    assert again.value == program.value
    out = tmp_path / "a.json"
    assert main(["run", str(tmp_path / "a.program"), "--json", "--out", str(out)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["accuracy"] is None
    assert document["confusion"] is None
    assert document["mse"] == pytest.approx(result.mse)
    assert main(["show", str(out)]) == 0
    assert "R² " in capsys.readouterr().out
    assert main(["report", str(out), "--out", str(tmp_path / "a.html")]) == 0
    assert "R² " in (tmp_path / "a.html").read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(["run", str(tmp_path / "a.program"), "--data", "iris"]) == 2
    assert "answers with a value" in capsys.readouterr().err


def test_units_are_part_of_what_a_program_does(trained: cn.TrainResult) -> None:
    from dataclasses import replace

    from conntra_hardware.program.fingerprint import program_sha256

    program = cn.compile(trained.network, chip="loihi1")
    assert program.value is not None
    other = replace(program, value=cn.ValueScale(program.value.scale * 2, program.value.offset))
    assert program_sha256(other) != program_sha256(program)
    assert program_sha256(replace(program)) == program_sha256(program)


@pytest.mark.parametrize("name", ["a.conntra", "a.onnx", "a.nir"])
def test_files_hold_what_logits_stand_for(name: str, trained: cn.TrainResult, tmp_path: Path) -> None:
    network = trained.network
    if name == "a.conntra":
        cn.save(network, tmp_path / name)
        again = cn.load(tmp_path / name)
    else:
        pytest.importorskip("onnx" if name == "a.onnx" else "nir")
        cn.export(network, tmp_path / name)
        again = cn.import_network(tmp_path / name)
    assert isinstance(again, cn.DiscreteNetwork)
    assert again.value == network.value


def test_the_header_says_what_the_logit_stands_for(trained: cn.TrainResult, tmp_path: Path) -> None:
    value = trained.network.value
    assert value is not None
    cn.export(trained.network, tmp_path / "a.h", name="net")
    text = (tmp_path / "a.h").read_text(encoding="utf-8")
    assert f"#define NET_OFFSET {value.offset!r}" in text
    assert f"#define NET_SCALE {value.scale!r}" in text


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bowl(400)
    np.savez(tmp_path / "bowl.npz", x_train=data.x_train, y_train=data.y_train)
    spec, model = f"npz:{tmp_path / 'bowl.npz'}", tmp_path / "bowl.conntra"
    assert main(["train", spec, "--layers", "16", "--sweeps", "2", "--out", str(model)]) == 2
    assert "npz:PATH?target=value" in capsys.readouterr().err
    train = ["train", f"{spec}?target=value", "--layers", "16", "--sweeps", "5", "--out", str(model)]
    assert main(train) == 0
    shown = capsys.readouterr().out
    assert "MSE " in shown
    assert "R² " in shown
    assert main(["show", str(model)]) == 0
    shown = capsys.readouterr().out
    assert "MSE " in shown
    assert "inputs, a value, 1 time step(s)" in shown
    program = tmp_path / "bowl.program"
    assert main(["compile", str(model), "--chip", "loihi1", "--out", str(program), "--quiet"]) == 0
    assert main(["run", str(program)]) == 0
    assert "MSE " in capsys.readouterr().out
    assert main(["verify", str(program), "--backends", "reference,loop", "--samples", "10", "--quiet"]) == 0
    assert main(["train", f"{spec}?target=word", "--out", str(model)]) == 2
    assert "class or value expected" in capsys.readouterr().err


def test_integers_may_be_values(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).random((30, 2)), np.arange(30)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y)
    data = cn.load_dataset(f"npz:{tmp_path / 'a.npz'}?target=value")
    assert data.y_train.dtype == np.float64
    assert (len(data.y_train), len(data.y_test), data.labels, data.n_classes) == (24, 6, (), 1)
    assert cn.load_dataset(f"npz:{tmp_path / 'a.npz'}?target=value", seed=1).y_test.tolist() != data.y_test.tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cn.ValueScale(0.0), "scale 0"),
        (lambda: cn.ValueScale(float("nan")), "a finite number expected"),
        (lambda: cn.DiscreteNetwork([cn.Dense([[1], [1]], activation="readout")], value=cn.ValueScale(1)), "2 outputs"),
        (lambda: valued([[1], [2]], [1.0, 1.0], [[3]], [1.0]), "one value only"),
        (lambda: valued([[1], [2]], [1.0, np.inf], [[3]], [1.0]), "finite numbers"),
        (lambda: valued([[1], [2]], [0, 1], [[3]], [1], labels=("a", "b")), "value without"),
        (lambda: cn.train(bowl(40), layers=[4], gear="exact"), "gear exact: tells classes apart"),
        (lambda: cn.train(bowl(40), layers=[4], margin=1), "margin 1"),
    ],
)
def test_what_does_not_go_together_is_refused(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_what_is_made_for_classes_refuses_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in (["compare", "diabetes"], ["pareto", "diabetes", "--out", str(tmp_path / "p")]):
        assert main(verb) == 2
        assert "diabetes has values to be predicted" in " ".join(capsys.readouterr().err.split())


def test_versions_that_know_no_values_find_no_labels(tmp_path: Path, trained: cn.TrainResult) -> None:
    """They take what stands for labels as labels, which are not as many as there are logits."""
    with pytest.raises(ConntraError, match="2 labels for 1"):
        cn.DiscreteNetwork(trained.network.layers, trained.network.encoder, {"scale": 1.0, "offset": 0.0})  # type: ignore[arg-type]
    with pytest.raises(FileFormatError):
        cn.load(tmp_path / "missing.conntra")


_CHECKED = ConntraRegressor((16,), random_state=0, sweeps=20)
_CHECKS: list[Any] = list(estimator_checks_generator(_CHECKED))


@pytest.mark.parametrize("check", [check for _, check in _CHECKS], ids=lambda check: str(check.func.__name__))
def test_scikit_learn_conventions(check: Any) -> None:
    check(clone(_CHECKED))


def test_cross_validation() -> None:
    data = bowl(800)
    scores = cross_val_score(ConntraRegressor((32,), random_state=0, sweeps=30), data.x_train, data.y_train, cv=3)
    assert scores.mean() > 0.5
