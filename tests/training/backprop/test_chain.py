from __future__ import annotations

import builtins
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import training_twins

from conntra_hardware.base.errors import InputError
from conntra_neuro.datasets import load_dataset
from conntra_neuro.training import train
from conntra_neuro.training.task import Clock, Task
from conntra_neuro.training.threads import Threads

pytest.importorskip("jax")

from conntra_neuro.training.backprop.folded import FoldedStraightThrough
from conntra_neuro.training.backprop.gear import StraightThroughOptions

_QUIET = lambda done, running: None  # noqa: E731


def _task(levels: str, layers: tuple[int, ...], seed: int = 0, n: int = 300, n_in: int = 20) -> Task:
    rng = np.random.default_rng(seed)
    spikes = (rng.random((n, n_in)) < 0.5).astype(np.uint8)
    y = (spikes[:, :3].sum(axis=1)).astype(np.int64)
    return training_twins.dense_task(spikes, y, layers, 4, levels, seed)


def _float_decisions(gear: FoldedStraightThrough, task: Task) -> np.ndarray:
    """The float network in evaluation mode: latent weights rounded, potentials normalised by the fixed statistics."""
    tree = [{k: np.asarray(v, dtype=np.float64) for k, v in layer.items()} for layer in gear._tree]
    values = task.levels.array
    unit = np.abs(values).max()
    x = task.spikes.astype(np.float64)

    def rounded(latent: np.ndarray) -> np.ndarray:
        return values[np.abs(latent[..., None].astype(np.float32) * np.float32(unit) - values).argmin(axis=-1)]

    for layer, normalisation in zip(tree[:-1], gear.normalisations, strict=True):
        x = (normalisation(x @ rounded(layer["weight"])) > 0).astype(np.float64)
    logits = np.exp(tree[-1]["log_scale"]) * (x @ rounded(tree[-1]["weight"]) + np.rint(tree[-1]["bias"]))
    return logits


@pytest.mark.parametrize(
    ("levels", "layers", "normalise"),
    [("ternary", (30,), 1), ("ternary", (30,), 0), ("binary", (12, 9), 1), ("-1,0,2,5", (16,), 1), ("5", (), 0)],
)
def test_integer_network_decides_as_the_float_one_on_every_sample(
    levels: str, layers: tuple[int, ...], normalise: int
) -> None:
    task = _task(levels, layers)
    gear = FoldedStraightThrough(task, StraightThroughOptions(sweeps=3, normalise=normalise), Threads(1))
    for number in range(3):
        gear.sweep(number, 3, Clock(), _QUIET)
    logits = gear.parameters().potentials(task.spikes)[-1]
    np.testing.assert_allclose(gear.scale * logits, _float_decisions(gear, task), rtol=1e-6, atol=1e-9)
    evaluation = gear.evaluate(held_out=False)
    assert evaluation.error == np.mean(logits.argmax(axis=1) != task.y)
    for weight in gear.parameters().weights:
        assert np.isin(weight, task.levels.array).all()


def test_training_lowers_the_error_and_repeats() -> None:
    data = load_dataset("digits")
    results = [train(data, layers=[32], method="backprop", sweeps=30, seed=3) for _ in range(2)]
    assert results[0].test_error is not None
    assert results[0].test_error < 0.1
    assert results[0].method == "backprop"
    for a, b in zip(results[0].network.layers, results[1].network.layers, strict=True):
        np.testing.assert_array_equal(a.weight, b.weight)  # type: ignore[attr-defined]
        np.testing.assert_array_equal(a.bias, b.bias)  # type: ignore[attr-defined]


def test_state_restores_to_the_same_end() -> None:
    task = _task("ternary", (8,))
    options = StraightThroughOptions(sweeps=4)
    whole, first, second = (FoldedStraightThrough(task, options, Threads(1)) for _ in range(3))
    for number in range(4):
        whole.sweep(number, 4, Clock(), _QUIET)
    for number in range(2):
        first.sweep(number, 4, Clock(), _QUIET)
    second.restore(first.state())
    for number in range(2, 4):
        second.sweep(number, 4, Clock(), _QUIET)
    for a, b in zip(whole.parameters().weights, second.parameters().weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_missing_jax_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == "jax":
            raise ModuleNotFoundError("No module named 'jax'", name="jax")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "conntra_neuro.training.backprop.steps", raising=False)
    monkeypatch.delattr("conntra_neuro.training.backprop.steps", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r'jax is not installed here; remedy: pip install "conntra-neuro\[backprop\]"'):
        FoldedStraightThrough(_task("ternary", (4,)), StraightThroughOptions(), Threads(1))


def test_training_without_gradient_leaves_jax_alone() -> None:
    code = (
        "import sys, numpy as np; from conntra_neuro.training import fit_spikes;"
        "x = np.eye(8, dtype=np.uint8).repeat(4, axis=0);"
        "fit_spikes(x, np.arange(32) % 2, n_classes=2, layers=(4,), sweeps=1);"
        "assert 'jax' not in sys.modules and 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"width": 0.0}, "width 0.0: 0.001"), ({"normalise": 2}, "normalise 2"), ({"batch": 0}, "batch 0: 1 or more")],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        StraightThroughOptions(**options)
