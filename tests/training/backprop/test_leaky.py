"""Backpropagation through time: forward it is the network that ships, backward the formulas of a slow loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from order_of_events import moving_pulses

import conntra_neuro as cn
from conntra_hardware.neurons import respond_recurrently
from conntra_neuro.training.request import Wanted
from conntra_neuro.training.samples import make_task
from conntra_neuro.training.task import Clock
from conntra_neuro.training.threads import Threads

pytest.importorskip("jax")

import jax

from conntra_neuro.training.backprop import whole_steps
from conntra_neuro.training.backprop.gear import StraightThroughOptions
from conntra_neuro.training.backprop.leaky_steps import leak
from conntra_neuro.training.backprop.steps import double_precision
from conntra_neuro.training.backprop.whole import WholeStraightThrough

Array = npt.NDArray[Any]
STEPS, UNITS = 7, 4
WIDTH = np.float32(0.5)


@st.composite
def neurons(draw: st.DrawFn) -> cn.Lif:
    decays = st.sampled_from([0, 1, 163, 1024, 4095, 4096])
    return cn.Lif(
        draw(st.integers(1, 9)),
        voltage_decay=draw(decays),
        current_decay=draw(decays),
        reset=draw(st.sampled_from(["hard", "soft"])),
        strict=draw(st.booleans()),
        refractory=draw(st.integers(0, 2)),
    )


@settings(max_examples=8, deadline=None)
@given(neurons(), st.booleans(), st.sampled_from([6, 120_000]), st.integers(0, 2**31))
def test_spikes_are_those_of_the_neuron_wraps_and_saturation_included(
    neuron: cn.Lif, looped: bool, large: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sums, bias = rng.integers(-large, large + 1, (5, STEPS, UNITS)), rng.integers(-4, 5, UNITS)
    loop = rng.integers(-3, 4, (UNITS, UNITS)) if looped else None
    loops = [] if loop is None else [(1, lambda sent: sent.astype(np.int64) @ loop)]
    expected = respond_recurrently(neuron, sums, bias, loops)
    with double_precision():
        for dtype in (np.float32, np.float64):
            back = None if loop is None else jax.numpy.asarray(loop, dtype)
            z = jax.numpy.asarray(sums.reshape(-1, UNITS), dtype)
            found = leak(z, jax.numpy.asarray(bias, dtype), back, neuron, WIDTH, STEPS)
            assert found.dtype == dtype
            np.testing.assert_array_equal(np.asarray(found).reshape(expected.shape), expected)


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("looped", [False, True])
def test_the_gradient_is_that_of_a_slow_loop(reset: Any, looped: bool) -> None:
    rng = np.random.default_rng(4)
    neuron = cn.Lif(2, voltage_decay=700, current_decay=1500, reset=reset)
    z, bias = rng.integers(-3, 6, (3, STEPS, UNITS)), rng.integers(-1, 2, UNITS)
    loop = rng.integers(-2, 3, (UNITS, UNITS)) * int(looped)
    weight = rng.normal(size=z.shape)

    def cost(flat: Any, bias: Any, loop: Any) -> Any:
        spikes = leak(flat, bias, loop if looped else None, neuron, WIDTH, STEPS)
        return (spikes.reshape(z.shape) * weight).sum()

    with double_precision():
        given = [jax.numpy.asarray(a, np.float64) for a in (z.reshape(-1, UNITS), bias, loop)]
        by_sum, by_bias, by_loop = (np.asarray(g) for g in jax.grad(cost, (0, 1, 2))(*given))

    # v before each decision, from the neuron itself, a step at a time.
    state, sent, held = None, np.zeros((3, UNITS), np.int64), []
    spikes = []
    for step in range(STEPS):
        found = neuron.advance((z[:, step] + sent @ loop)[:, None], bias, state)
        state, sent = found.state, found.sent[:, 0].astype(np.int64)
        held.append(found.held[:, 0])
        spikes.append(sent)
    scale = float(WIDTH) * 128
    later_u, later_v, later_sum = (np.zeros((3, UNITS)) for _ in range(3))
    bias_worth, loop_worth = np.zeros(UNITS), np.zeros((UNITS, UNITS))
    for step in range(STEPS - 1, -1, -1):
        p = 1 / (1 + np.exp(-(held[step] - 128.5) / scale))
        worth = weight[:, step] + later_sum @ loop.T * int(looped)
        kept = 1 - spikes[step] if reset == "hard" else 1
        later_v = worth * p * (1 - p) / scale + later_v * (4096 - 700) / 4096 * kept
        later_u = later_v + later_u * (4096 - 1500) / 4096
        later_sum = 64 * later_u
        np.testing.assert_allclose(by_sum.reshape(z.shape)[:, step], later_sum, rtol=1e-5, atol=1e-8)
        bias_worth += 64 * later_v.sum(axis=0)
        if step and looped:
            loop_worth += spikes[step - 1].T @ later_sum
    np.testing.assert_allclose(by_bias, bias_worth, rtol=1e-5)
    np.testing.assert_allclose(by_loop, loop_worth, rtol=1e-5, atol=1e-8)


def _gear(neuron: str, layers: Any, normalise: int | None) -> tuple[Any, WholeStraightThrough]:
    data = moving_pulses(60)
    wanted = Wanted(2, layers, neuron, input_steps=8, validation_fraction=0.0)
    task = make_task(data.x_train.reshape(len(data.x_train), -1), data.y_train, wanted)
    options = StraightThroughOptions(batch=10, sweeps=2, normalise=normalise)
    gear = WholeStraightThrough(task, options, Threads(1))
    gear.sweep(0, 2, Clock(), lambda done, running: None)
    return task, gear


@pytest.mark.parametrize(
    ("neuron", "normalise"),
    [
        ("lif:400:1500@8", None),
        ("lif:400:1500+recurrent@8", None),
        ("lif:400soft+recurrent@8", 0),
        ("lif:400:1500+recurrent@8", 1),
        ("lif:400:1500+delays5@8", None),
        ("lif:1024+recurrent+delays3@8", 0),
    ],
)
def test_a_mini_batch_sees_the_network_that_is_returned(neuron: str, normalise: int | None) -> None:
    task, gear = _gear(neuron, (6, 5), normalise)
    arch, spikes = task.architecture, np.asarray(task.spikes)
    network = arch.network(gear.parameters(), task.levels)
    outputs, logits = network.activity(spikes.reshape(-1, arch.inputs[0]))
    assert len(network.recurrent) == (2 if "recurrent" in neuron else 0)
    assert all(connection.weight.any() for connection in network.recurrent)
    assert network.layers[0].is_delayed == ("delays" in neuron)
    with double_precision():
        x = gear._gather(np.arange(len(task.y)), None)
        units, centred = gear._units, gear._centred
        found = jax.jit(
            lambda tree, x: whole_steps.whole_activity(tree, x, task.levels.values, WIDTH, arch, units, centred)
        )(gear._tree, x)
    for part, expected in zip(found[1:-1], outputs, strict=True):
        np.testing.assert_array_equal(np.asarray(part), expected)
    np.testing.assert_array_equal(np.asarray(found[-1]), logits)
    assert gear.evaluate(held_out=False).error == np.mean(logits.argmax(axis=1) != task.y)


def test_a_warm_start_goes_on_through_the_loop() -> None:
    data = moving_pulses(120)
    common: dict[str, Any] = {"layers": [8], "neuron": "lif:2048", "recurrent": True, "encoder": None, "sweeps": 4}
    first = cn.train(data, method="backprop", threads=1, **common)
    warm = cn.train(data, method="warm", threads=1, polish_sweeps=2, polish_fraction_recurrent=0.01, **common)
    assert len(warm.history) == len(first.history) + 2
    assert warm.network.error(data.x_train, data.y_train) == warm.train_error
    assert warm.network.recurrent[0].weight.any()


def test_a_recurrent_network_tells_the_direction_of_a_pulse() -> None:
    data = moving_pulses()
    common: dict[str, Any] = {"layers": [24], "encoder": None, "method": "backprop", "sweeps": 20, "threads": 1}
    blind = cn.train(data, neuron="lif:4096", **common)
    seeing = cn.train(data, neuron="lif:2048", recurrent=True, **common)
    assert blind.test_error is not None
    assert blind.test_error > 0.3
    assert seeing.test_error is not None
    assert seeing.test_error < 0.25
    assert seeing.network.error(data.x_test, data.y_test) == seeing.test_error
