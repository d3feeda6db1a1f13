from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import layered_twins
import numpy as np
import pytest
import training_twins
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_hardware.cost.coefficients import load_coefficients
from conntra_neuro.compiler import compile
from conntra_neuro.datasets import fit_encoder, load_dataset
from conntra_neuro.network import Conv2d, Dense, DiscreteNetwork
from conntra_neuro.network.levels import parse_levels
from conntra_neuro.training import fit_spikes, train
from conntra_neuro.training.architecture.architecture import architecture_of
from conntra_neuro.training.architecture.words import Neurons
from conntra_neuro.training.gears.blocks import Blocks, BlocksOptions
from conntra_neuro.training.gears.moves import LayerMoves
from conntra_neuro.training.neurons import kernels
from conntra_neuro.training.penalty import Prices, parse_penalty, prices_of
from conntra_neuro.training.task import Clock, Task
from conntra_neuro.training.threads import Threads


def _task(layers: tuple[int, ...], n: int = 200) -> Task:
    rng = np.random.default_rng(3)
    spikes = (rng.random((n, 30)) < rng.random(30)).astype(np.uint8)
    return training_twins.dense_task(spikes, spikes[:, :4].sum(axis=1) > 2, layers, 2)


_FREE: dict[str, float] = dict.fromkeys(("penalty_synops", "penalty_spikes", "penalty_nonzero", "penalty_energy"), 0.0)


def _prices(sizes: tuple[int, ...], **weights: float) -> Prices | None:
    arch = architecture_of(sizes[1:-1], Neurons(), sizes[0], None, sizes[-1], 1)
    return prices_of(SimpleNamespace(**(_FREE | weights)), arch)


def _added_cost(task: Task, weights: dict[str, Any]) -> tuple[float, DiscreteNetwork]:
    """What penalties add to the objective of a network after a sweep, and the network."""
    with Threads(1) as threads:
        free, priced = (Blocks(task, BlocksOptions(sweeps=3, scale=0.1, **w), threads) for w in ({}, weights))
        priced.sweep(0, 3, Clock(), lambda done, running: None)
        free.restore(priced.state())
        added = priced.evaluate(held_out=False).objective - free.evaluate(held_out=False).objective
        return added, task.architecture.network(priced.parameters(), task.levels)


_WEIGHTS: dict[str, Any] = {"penalty_synops": 30.0, "penalty_spikes": 70.0, "penalty_nonzero": 0.5}


@pytest.mark.parametrize("layers", [(), (12,), (12, 9)])
def test_objective_adds_the_counts_of_the_compiled_program(layers: tuple[int, ...]) -> None:
    task = _task(layers)
    added, network = _added_cost(task, _WEIGHTS)
    counts = compile(network, "loihi1").run(task.spikes).counts.totals()
    n, nonzero = len(task.y), sum(layer.n_nonzero for layer in network.layers)  # type: ignore[attr-defined]
    expected = 0.030 * counts["synops"] / n + 0.070 * counts["spikes"] / n + 0.0005 * nonzero
    assert added == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("layers", "neuron", "input_steps"),
    [
        ("conv4k3p1", "threshold", 1),
        ("conv4k3s2p1,dwconvk3p1,6", "threshold", 1),
        ("conv4k3p1,maxpool2,conv4k2g2,5", "threshold", 1),
        ("conv4k3p1,sumpool2,conv3k2d2p1", "threshold", 1),
        ("conv4k3p1,conv4k3p1+1", "threshold", 1),
        ("conv4k3p1,conv6k3s2p1+1,sumpool2", "threshold", 1),
        ("conv4k3p1,conv4k3p1,conv4k3p1+2", "threshold", 1),
        ("conv2k3p1,sumpool2,conv2k3p1,conv2k1+2", "threshold", 1),
        ("conv2k3p1,conv2k3p1+1,conv2k3p1+2,4", "if2", 2),
        ("conv4k3,6", "relu", 1),
        ("8", "relu", 1),
        ("conv4k3,6", "if3", 1),
        ("conv4k3,maxpool2,6", "if3soft", 3),
    ],
)
def test_every_layer_and_neuron_is_counted_as_the_compiled_program_counts_it(
    layers: str, neuron: str, input_steps: int
) -> None:
    task = layered_twins.layered_task(layers, 2, neuron, steps=input_steps)
    added, network = _added_cost(task, _WEIGHTS)
    steps, n = network.steps, len(task.y)
    rows = np.asarray(task.spikes).reshape(n * input_steps, -1)
    rows = rows if input_steps == steps else rows.repeat(steps, axis=0)
    counts = compile(network, "loihi2").run(rows).counts.totals()
    kernels_of = [*network.layers, *(r.connection for r in network.residuals if r.connection is not None)]
    nonzero = sum(int(np.count_nonzero(layer.weight)) for layer in kernels_of if hasattr(layer, "weight"))
    expected = 0.030 * counts["synops"] / n + 0.070 * counts["spikes"] / n + 0.0005 * nonzero
    assert added == pytest.approx(expected, rel=1e-9)


def test_energy_is_priced_by_the_coefficients() -> None:
    prices = _prices((784, 256, 10), penalty_energy=2.0)
    cost = load_coefficients("sanafe2025").energy_j
    assert prices is not None
    assert prices.synop == pytest.approx(2e6 * cost["synop_sparse"])
    assert prices.spike == (pytest.approx(2e6 * (cost["spike"] + cost["packet_out"])),)
    wide = _prices((784, 2000, 2000, 10), penalty_energy=2.0)
    assert wide is not None
    assert wide.spike[0] == pytest.approx(2e6 * (cost["spike"] + 10 * cost["packet_out"])), "10 cores: 10 Mbit"
    assert _prices((784, 256, 10)) is None


def _moved(levels: str, seed: int, priced: bool) -> tuple[LayerMoves, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = parse_levels(levels)
    before = rng.choice(values.array, (7, 5)).astype(np.int32)
    layer = LayerMoves(before, np.zeros(5, np.int32), values, 0.05, 1e-3, np.float32)
    price = rng.random(7).astype(np.float32) if priced else np.zeros(7, np.float32)
    if priced:
        layer.price = price
    scores = rng.normal(size=(8, 5)).astype(np.float32)
    with Threads(1) as threads:
        layer.remember(scores, 1, 0.5, 0.5, threads)
        layer.move(0.2, 0.0, np.random.default_rng(0), threads)
    return layer, before, price, scores


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), levels=st.sampled_from(["ternary", "binary", "5", "-3,0,1"]), priced=st.booleans())
def test_moves_are_the_best_after_their_price(seed: int, levels: str, priced: bool) -> None:
    layer, before, price, scores = _moved(levels, seed, priced)
    values = [int(v) for v in parse_levels(levels).values]
    mean = 0.5 * scores[:-1].astype(np.float64)
    unit = np.sqrt(0.5 * scores[:-1].astype(np.float64) ** 2) + 1e-3

    def gain(j: int, i: int, to: int) -> float:
        w = int(before[j, i])
        cost = 0.05 * (abs(to) - abs(w)) + price[j] * (int(to != 0) - int(w != 0)) / unit[j, i]
        return float(-mean[j, i] / unit[j, i] * (to - w) - cost)

    best = {}
    for j, i in np.ndindex(before.shape):
        at = values.index(int(before[j, i]))
        best[j, i] = max((gain(j, i, to), to) for to in (values[at - 1 : at] if at else []) + values[at + 1 : at + 2])
    changed = [(int(j), int(i)) for j, i in zip(*np.nonzero(layer.weights[:-1] != before), strict=True)]
    assert all(layer.weights[at] == best[at][1] and best[at][0] > 0 for at in changed)
    left = max((best[at][0] for at in best if at not in changed), default=-1.0)
    assert not changed or left <= min(best[at][0] for at in changed) * (1 + 1e-4)


def test_spike_price_enters_on_the_grid() -> None:
    rng = np.random.default_rng(0)
    z = rng.integers(-9, 10, (6, 4)).astype(np.float32)
    q = (rng.integers(-50, 50, (6, 4)) / 64).astype(np.float32)
    price = rng.random(4).astype(np.float32)
    curve = np.array([0, 0.1, 0.3, 0.5, 0.25, 0.125, 0], dtype=np.float32)
    expected = q + np.rint(price * curve[np.clip(z, -3, 3).astype(int) + 3] * 64) / 64
    kernels.price_spikes(z, price, curve, 64.0, 1 / 64, q, 0, 6)
    np.testing.assert_array_equal(q, expected)


@pytest.mark.parametrize(
    ("layers", "neuron"), [("conv4k3p1,12", "threshold"), ("conv4k3p1,sumpool2", "relu"), ("conv4k3,8", "if3")]
)
@pytest.mark.parametrize("name", ["synops", "spikes", "nonzero"])
def test_a_price_lowers_what_it_is_on_in_every_layer_and_neuron(name: str, layers: str, neuron: str) -> None:
    weight = {"synops": 3.0, "spikes": 40.0, "nonzero": 3.0}[name]
    assert _cost_on_images(layers, neuron, name, weight)[name] < 0.8 * _cost_on_images(layers, neuron)[name]


@functools.cache  # the one without a price is that of every price
def _cost_on_images(layers: str, neuron: str, name: str = "spikes", weight: float = 0.0) -> dict[str, int]:
    task = layered_twins.layered_task(layers, 1, neuron, n=300)
    given = {"n_classes": 3, "layers": layers, "neuron": neuron, "image": task.image, "sweeps": 40}
    network = fit_spikes(task.spikes, task.y, **given, **{f"penalty_{name}": weight}).network()
    rows = np.asarray(task.spikes).repeat(network.steps, axis=0)
    return _cost(network, "loihi2", rows)


def _cost(network: DiscreteNetwork, chip: str, rows: np.ndarray) -> dict[str, int]:
    counts = compile(network, chip).run(rows).counts.totals()
    nonzero = sum(layer.n_nonzero for layer in network.layers if isinstance(layer, (Conv2d, Dense)))
    return {"synops": counts["synops"], "spikes": counts["spikes"], "nonzero": nonzero}


@pytest.mark.parametrize("name", ["synops", "spikes", "nonzero", "energy"])
def test_a_price_lowers_what_it_is_on(name: str) -> None:
    weight = {"synops": 0.3, "spikes": 20.0, "nonzero": 0.1, "energy": 20.0}[name]
    what = "synops" if name == "energy" else name
    assert _cost_on_digits(name, weight)[what] < 0.75 * _cost_on_digits()[what]


@functools.cache
def _cost_on_digits(name: str = "spikes", weight: float = 0.0) -> dict[str, int]:
    data = load_dataset("digits")
    spikes = fit_encoder(data.x_train).encode(data.x_train)
    given = {"n_classes": 10, "layers": (48,), "seed": 0, "sweeps": 30, f"penalty_{name}": weight}
    network = fit_spikes(spikes, data.y_train, **given).network()
    assert network.error(spikes, data.y_train) < 0.1
    return _cost(network, "loihi1", spikes)


def test_same_network_on_any_number_of_threads() -> None:
    task = _task((12, 9), n=400)
    fits = [
        fit_spikes(
            task.spikes, task.y, n_classes=2, layers=(12, 9), sweeps=3, threads=threads, penalty_energy=50.0
        ).parameters
        for threads in (1, 2)
    ]
    for a, b in zip(fits[0].weights, fits[1].weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_parse_penalty() -> None:
    assert parse_penalty("energy=0.5, spikes=2") == {"penalty_energy": 0.5, "penalty_spikes": 2.0}
    assert parse_penalty("") == {}
    for wrong in ("joules=1", "energy", "energy=x", "energy=-1", "energy=inf"):
        with pytest.raises(InputError, match=r"synops=NUMBER.*energy=NUMBER expected"):
            parse_penalty(wrong)


def test_other_gears_refuse_a_penalty_by_name() -> None:
    with pytest.raises(InputError, match="option 'penalty_energy': unknown to gear exact"):
        train(load_dataset("iris"), layers=(4,), gear="exact", penalty_energy=1.0)
