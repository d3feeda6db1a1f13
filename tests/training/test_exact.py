from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import training_twins as twins
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_neuro.network.levels import Levels
from conntra_neuro.training.gears.exact_chain import ExactChain, ExactOptions
from conntra_neuro.training.incremental.chain import IncrementalChain, Steps
from conntra_neuro.training.objective import QUANTA, Objective
from conntra_neuro.training.start import start_of
from conntra_neuro.training.task import Clock, Evaluation
from conntra_neuro.training.threads import Threads

LAYERS = st.lists(st.integers(1, 9), max_size=3).map(tuple)
LEVELS = st.sampled_from(["binary", "ternary", "5", "-3,0,1,7", "16"])


def _silent(done: float, running: Evaluation) -> None:
    pass


@given(
    st.integers(0, 2**31),
    st.lists(st.integers(1, 5), max_size=3).map(tuple),
    LEVELS,
    st.integers(0, 6),
    st.sampled_from([1, 2]),
)
@settings(max_examples=25, deadline=None)
def test_score_of_every_move_is_the_difference_of_the_objective(
    seed: int, layers: tuple[int, ...], levels: str, margin: int, count: int
) -> None:
    """Every weight to every level, every bias by every step: against a forward pass each, to the last quantum."""
    task = twins.random_task(seed, layers, levels, n=70, n_in=9, classes=3)
    with Threads(count) as threads:
        gear = ExactChain(task, ExactOptions(margin=margin), threads)
        network, start = gear.network, gear.parameters()
        base = twins.total(start, task, network.objective)
        assert base == network.total
        for layer, unit in network.units.tolist():
            scores = gear.scores(layer, unit)
            places = [
                *((start.weights[layer], (j, unit)) for j in range(task.sizes[layer])),
                (start.biases[layer], unit),
            ]
            for coordinate, (array, at) in enumerate(places):
                old = int(array[at])
                is_bias = coordinate == task.sizes[layer]
                for step in network.steps.values.tolist():
                    if is_bias or old + step in task.levels.values:
                        array[at] = old + step
                        change = twins.total(start, task, network.objective) - base
                        assert change == scores[coordinate, np.searchsorted(network.steps.values, step)]
                array[at] = old


@given(st.integers(0, 2**31), LAYERS, LEVELS)
@settings(max_examples=15, deadline=None)
def test_the_objective_never_rises_and_equals_the_recomputed_one(
    seed: int, layers: tuple[int, ...], levels: str
) -> None:
    task = twins.random_task(seed, layers, levels, n=60, n_in=12)
    with Threads(2) as threads:
        gear = ExactChain(task, ExactOptions(), threads)
        totals = [gear.network.total]
        for number in range(6):
            for layer, unit in gear.network.units.tolist():
                change = gear.visit(layer, unit)
                totals.append(gear.network.total)
                assert totals[-1] == totals[-2] + change
                assert change <= 0
            assert number < 5 or totals[-1] < totals[0]
        found = gear.parameters()
    assert twins.total(found, task, gear.network.objective) == gear.network.total
    logits = found.potentials(task.spikes)[-1]
    assert gear.evaluate(held_out=False).error == np.mean(logits.argmax(axis=1) != task.y)
    for weight in found.weights:
        task.levels.index(weight)


def test_the_end_is_a_local_optimum() -> None:
    task = twins.random_task(3, (4, 3), n=50, n_in=6, classes=3)
    with Threads(1) as threads:
        gear = ExactChain(task, ExactOptions(), threads)
        for number in range(200):
            gear.sweep(number, 200, Clock(), _silent)
            if gear.finished:
                break
        assert gear.finished
        found, objective = gear.parameters(), gear.network.objective
    best = twins.total(found, task, objective)
    for layer, weight in enumerate(found.weights):
        for unit in range(weight.shape[1]):
            for coordinate in range(weight.shape[0]):
                for level in task.levels.values:
                    new = twins.moved(found, layer, unit, coordinate, level - int(weight[coordinate, unit]))
                    assert twins.total(new, task, objective) >= best


@pytest.mark.slow
def test_three_thousand_moves_later_the_objective_is_still_exact() -> None:
    """Of one training, none of which raises it."""
    task = twins.random_task(0, (300,), "9", n=700, n_in=48, classes=6)
    moves, changes = 0, [-1]
    with Threads() as threads:
        gear = ExactChain(task, ExactOptions(), threads)
        while min(changes) < 0 and moves < 3_000:
            changes = [gear.visit(layer, unit) for layer, unit in gear.network.units.tolist()]
            assert max(changes) <= 0
            moves += np.count_nonzero(changes)
        assert twins.total(gear.parameters(), task, gear.network.objective) == gear.network.total
    assert moves >= 3_000


@given(st.integers(0, 2**31), st.integers(0, 9), st.floats(0.01, 2))
@settings(max_examples=50, deadline=None)
def test_losses_in_quanta_are_cross_entropy(seed: int, margin: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    logits, y = rng.integers(-200, 201, (20, 6)), rng.integers(0, 6, 20)
    found = Objective(scale, margin).losses(logits, y)
    np.testing.assert_allclose(found / QUANTA, twins.loss(logits, y, scale, margin), rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("given", [{"scale": 0.0}, {"scale": float("nan")}, {"scale": 1.0, "margin": -1}])
def test_objective_refuses_what_is_none(given: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Objective(**given)


def test_steps_hold_every_distance_and_one() -> None:
    steps = Steps(Levels((-3, 0, 2)))
    assert steps.values.tolist() == [-5, -3, -2, -1, 1, 2, 3, 5]
    assert steps.values[steps.between[0, 2]] == 5
    with pytest.raises(InputError, match="different distances"):
        Steps(Levels(tuple(np.random.default_rng(0).permutation(2**15)[:256].tolist())))


@pytest.mark.parametrize("levels", ["ternary", "-4000,0,4000"])
def test_memory_is_at_most_four_bytes_and_a_bit_a_sample_and_unit(levels: str) -> None:
    task = twins.random_task(0, (100,), levels, n=300, n_in=64)
    start, objective, _ = start_of(task, None, 0)
    with Threads(1) as threads:
        network = IncrementalChain(task, start, objective, threads)
    net = network._net
    assert net.potentials.nbytes <= 4 * 300 * 104
    assert net.spikes.nbytes == 300 * (64 + 128) // 8
    assert net.potentials.dtype == (np.int16 if levels == "ternary" else np.int32)
