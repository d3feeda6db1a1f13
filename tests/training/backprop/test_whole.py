from __future__ import annotations

from pathlib import Path
from typing import Any

import layered_twins as twins
import numpy as np
import numpy.typing as npt
import pytest
import training_twins
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import IntegrateAndFire
from conntra_neuro.datasets import load_dataset
from conntra_neuro.training import fit_spikes, train
from conntra_neuro.training.calibrate import calibrated_scale
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.task import Clock, Task
from conntra_neuro.training.threads import Threads
from conntra_neuro.training.warm import fit_warm

pytest.importorskip("jax")

import jax

from conntra_neuro.training.backprop import whole as module
from conntra_neuro.training.backprop import whole_steps as steps
from conntra_neuro.training.backprop.gear import StraightThroughOptions
from conntra_neuro.training.backprop.steps import double_precision
from conntra_neuro.training.backprop.whole import WholeStraightThrough

Array = npt.NDArray[Any]
SHAPE = (2, 7, 6)
GIVEN: dict[str, Any] = {"n_classes": 3, "image": ImageShape(*SHAPE)}


def _gear(
    layers: str, neuron: str, seed: int = 0, sweeps: int = 2, input_steps: int = 1, **options: Any
) -> tuple[Task, WholeStraightThrough]:
    task = twins.task_that_fits(layers, seed, neuron, n=48, steps=input_steps)
    gear = WholeStraightThrough(task, StraightThroughOptions(batch=16, sweeps=sweeps or None, **options), Threads(1))
    for number in range(sweeps):
        gear.sweep(number, sweeps, Clock(), lambda done, running: None)
    return task, gear


def _rows(task: Task) -> Array:
    """The samples as ``DiscreteNetwork`` takes them: a row a time step."""
    arch = task.architecture

    spikes = np.asarray(task.spikes).reshape(len(task.y) * arch.input_steps, -1)
    return spikes if arch.input_steps == arch.steps else spikes.repeat(arch.steps, axis=0)


def _assert_same(task: Task, gear: WholeStraightThrough, dtype: Any, centred: bool) -> None:
    """What the compiled steps compute on all samples, node by node, against ``DiscreteNetwork.activity``."""
    arch = task.architecture

    network = arch.network(gear.parameters(), task.levels)
    outputs, logits = network.activity(_rows(task))
    with double_precision():
        x = gear._gather(np.arange(len(task.y)), None).astype(dtype)
        # Compiled in one piece, as in training, and not an operation at a time, which takes longer.
        found = jax.jit(
            lambda tree, x: steps.whole_activity(
                tree, x, task.levels.values, np.float32(0.35), arch, gear._units, centred=centred
            )
        )(gear._tree, x)
    assert all(part.dtype == dtype for part in found)
    for number, expected in enumerate(outputs):
        given = np.asarray(found[number + 1])
        given = given.transpose(0, 3, 1, 2) if given.ndim == 4 else given
        np.testing.assert_array_equal(given.reshape(len(given), -1), expected)
    np.testing.assert_array_equal(np.asarray(found[-1]), logits)
    error = np.mean(logits.argmax(axis=1) != task.y)
    assert gear.evaluate(held_out=False).error == error


@pytest.mark.parametrize(
    ("layers", "neuron"),
    [
        ("conv4k3p1,sumpool2,conv4k2g2,5", "relu"),
        ("conv4k3p1,sumpool2,conv4k2g2,5", "if1"),
        ("conv4k3p1,conv4k3s2p1+1", "if3"),
        ("conv2k3p1,conv2k3p1+1x2", "relu"),
        ("dwconvk3,8", "if4soft"),
        ("conv4k3p2d2,conv4k2d2g2", "relu"),
    ],
)
def test_a_mini_batch_sees_the_network_that_is_returned(layers: str, neuron: str) -> None:
    task, gear = _gear(layers, neuron, sweeps=1, normalise=0)
    _assert_same(task, gear, np.float32, centred=False)


@given(twins.layer_texts(graded=True), st.sampled_from(["relu", "if2", "if3soft"]), st.booleans(), st.integers(0, 99))
@settings(max_examples=4, deadline=None)
def test_with_means_taken_off_it_is_that_of_the_fixed_sample(layers: str, neuron: str, timed: bool, seed: int) -> None:
    """All samples are in the fixed sample here: means, and so all integers, agree."""
    given_steps = {"if2": 2, "if3soft": 3}.get(neuron, 1) if timed else 1
    task, gear = _gear(layers, neuron, seed, sweeps=0, input_steps=given_steps)
    _assert_same(task, gear, np.float64, centred=True)


def test_max_pooling_of_spikes_over_time() -> None:
    task, gear = _gear("conv4k3p1,maxpool2,6", "if3", sweeps=0, input_steps=3)
    _assert_same(task, gear, np.float64, centred=True)


@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_spikes_and_gradient_of_integration_are_those_of_a_slow_loop(reset: Any) -> None:
    rng = np.random.default_rng(3)
    neuron, scale = IntegrateAndFire(3, 5, reset), float(np.float32(0.4) * 3)
    z = rng.integers(-3, 6, (4, 5, 7)).astype(np.float64)
    weight = rng.normal(size=z.shape)

    def cost(flat: Any) -> Any:
        return (steps._integrate(flat, neuron, np.float32(0.4)).reshape(z.shape) * weight).sum()

    with double_precision():
        flat = z.reshape(20, 7)
        spikes = np.asarray(steps._integrate(jax.numpy.asarray(flat), neuron, np.float32(0.4))).reshape(z.shape)
        gradient = np.asarray(jax.grad(cost)(jax.numpy.asarray(flat))).reshape(z.shape)
    found = neuron.advance(z.astype(np.int64))
    expected = found.sent
    np.testing.assert_array_equal(spikes, expected)
    p = 1 / (1 + np.exp(-(found.held - 2.5) / scale))
    slope, later = p * (1 - p) / scale, np.zeros((4, 7))
    for step in range(4, -1, -1):
        kept = 1 - expected[:, step] if reset == "hard" else 1
        later = weight[:, step] * slope[:, step] + later * kept
        np.testing.assert_allclose(gradient[:, step], later, rtol=1e-6, atol=1e-9)


def test_a_graded_neuron_passes_the_gradient_on_while_it_is_on() -> None:
    z = np.array([-4.0, 0.0, 1.0, 7.0, 9.0, 2.0**30])
    out, slope = jax.vmap(jax.value_and_grad(lambda v: steps._graded(v, np.float32(0.25), np.float32(2**23 - 1))))(
        z.astype(np.float32)
    )
    np.testing.assert_array_equal(out, [0, 0, 0, 1, 2, 2**23 - 1])
    np.testing.assert_array_equal(slope, [0, 0, 0.25, 0.25, 0.25, 0])


@pytest.mark.parametrize(("neuron", "normalise"), [("relu", 1), ("if3", 1), ("if3soft", 1), ("relu", 0)])
def test_training_lowers_the_error(neuron: str, normalise: int) -> None:
    data = load_dataset("digits")
    found = train(
        data, layers="conv6k3s2,16", neuron=neuron, method="backprop", sweeps=20, normalise=normalise, threads=1
    )
    assert found.test_error is not None
    assert found.test_error < 0.12
    assert found.network.error(data.x_test.reshape(len(data.x_test), -1), data.y_test) == found.test_error
    assert all(abs(layer.bias).max() <= 4095 for layer in found.network.layers)  # type: ignore[attr-defined]


@pytest.mark.parametrize("neuron", ["relu", "if2"])
def test_a_resumed_training_ends_the_same(neuron: str, tmp_path: Path) -> None:
    task = twins.layered_task("conv3k3s2,5", 4, neuron, n=60)

    def stop(state: Any) -> None:
        if state.sweep >= 2:
            raise KeyboardInterrupt

    common = GIVEN | {"layers": "conv3k3s2,5", "neuron": neuron, "gear": "straight-through", "sweeps": 4}
    whole = fit_spikes(task.spikes, task.y, **common)
    fit_spikes(task.spikes, task.y, **common, checkpoint=tmp_path / "run", progress=stop)
    resumed = fit_spikes(task.spikes, task.y, **common, resume=tmp_path / "run")
    assert [r.objective for r in resumed.history] == [r.objective for r in whole.history]
    for name, array in whole.parameters.arrays().items():
        np.testing.assert_array_equal(array, resumed.parameters.arrays()[name])


def test_sums_beyond_float32_are_trained_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = _gear("conv4k3,5", "relu")[1]
    assert not plain._double
    monkeypatch.setattr(module, "_FLOAT32", 10.0)
    double = _gear("conv4k3,5", "relu")[1]
    assert double._double
    assert double.state()["leaf.000"].dtype == np.float32
    for a, b in zip(plain.parameters().weights, double.parameters().weights, strict=True):
        assert np.mean(a != b) < 0.02  # the same but for roundings of the optimiser
    assert _gear("4", "if4096", sweeps=0)[1]._double  # 84 inputs, 4,096 steps: 2**24 is in reach


@pytest.mark.parametrize(("neuron", "input_steps"), [("relu", 1), ("if2", 2), ("if3soft", 1)])
def test_a_warm_start_is_never_worse_than_where_it_starts(neuron: str, input_steps: int) -> None:
    task = twins.layered_task("conv2k3s3,4", 1, neuron, n=200, steps=input_steps)
    given = GIVEN | {"layers": "conv2k3s3,4", "neuron": neuron, "input_steps": input_steps, "sweeps": 3}
    first = fit_spikes(task.spikes, task.y, gear="straight-through", **given)
    warm = fit_warm(task.spikes, task.y, **given)
    scale = calibrated_scale(first.network().forward(_rows(task)), task.y)
    losses = [training_twins.loss(fit.network().forward(_rows(task)), task.y, scale).mean() for fit in (first, warm)]
    assert losses[1] <= losses[0] + 1e-6
    assert len(warm.history) > len(first.history)


def test_a_shift_that_leaves_nothing_is_one_line() -> None:
    task = twins.layered_task("conv2k3", 1, "if2")
    with pytest.raises(InputError, match="shift 9: images are 7 x 6 pixels; 0 to 5 allowed"):
        fit_spikes(task.spikes, task.y, **GIVEN, layers="conv2k3", neuron="if2", gear="straight-through", shift=9)
