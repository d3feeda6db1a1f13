"""Samples in parts, without any transport: the parts are objects of this process, lost and loaded anew at random."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import layered_twins
import numpy as np
import pytest
import training_twins as twins
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_neuro.training.cluster.samples import PartedSamples
from conntra_neuro.training.cluster.shards import Answer, Ask, Packed, Shard, Versions, fingerprint, merged
from conntra_neuro.training.gears.blocks import Blocks, BlocksOptions
from conntra_neuro.training.inputs.batches import Floats
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.scoring.plan import Plan
from conntra_neuro.training.task import Clock, Task
from conntra_neuro.training.threads import Threads


class Unreliable:
    """Holders in this process. Before an ask each part may be lost, and is then loaded anew."""

    def __init__(self, count: int, losses: float, seed: int = 0) -> None:
        self.count, self._losses, self._rng = count, losses, np.random.default_rng(seed)
        self.shards: list[Shard] = []
        self.asked: list[Ask] = []

    def share(self, plan: Plan, task: Task, weights: Sequence[Floats]) -> PartedSamples:
        return PartedSamples(self, plan, task, weights)

    def load(self, part: int, packed: Packed, plan: Plan) -> None:
        self.shards.append(Shard(packed, plan, 1))

    def answer(self, asks: Sequence[Ask]) -> Answer:
        self.asked += asks
        answers = []
        for ask in self._rng.permutation(np.array(asks, dtype=object)):
            if self._rng.random() < self._losses:
                again, made_of = self.shards[ask.part].__reduce__()  # what a transport would send
                self.shards[ask.part] = again(*made_of)
            answers.append(self.shards[ask.part].answer(ask))
        return merged(answers)


def _task(seed: int, layers: tuple[int, ...], n: int = 130) -> Task:
    task = twins.random_task(seed, layers, n=n, n_in=30, classes=4)
    return dataclasses.replace(task, image=ImageShape(1, 5, 6))


def _trained(task: Task, options: dict[str, Any], crew: Any = None) -> list[bytes]:
    """Weights, averages and objective of two sweeps in bits."""
    with Threads(1) as threads:
        gear = Blocks(task, BlocksOptions(batch=32, **options), threads, crew)
        found = [gear.sweep(number, 2, Clock(), lambda done, running: None) for number in range(2)]
        found.append(gear.evaluate(held_out=False))
        numbers = np.array([(e.objective, e.error) for e in found])
        return [numbers.tobytes(), *(array.tobytes() for array in gear.state().values())]


@given(
    st.integers(0, 2**31),
    st.sampled_from([(), (12,), (9, 8), (7, 6, 5)]),
    st.sampled_from(
        [
            {},
            {"shift": 1},
            {"shift": 1, "elastic": 1.0},
            {"penalty_energy": 0.5, "penalty_nonzero": 0.1},
            {"margin": 3},
            {"centred": 1},
            {"centred": 1, "penalty_energy": 0.5},
        ]
    ),
    st.integers(1, 6),
    st.sampled_from([0.0, 0.2, 1.0]),
)
@settings(max_examples=30, deadline=None)
def test_the_same_bits_in_any_parts_and_whatever_is_lost(
    seed: int, layers: tuple[int, ...], options: dict[str, Any], parts: int, losses: float
) -> None:
    task = _task(seed, layers)
    assert _trained(task, options, Unreliable(parts, losses, seed)) == _trained(task, options)


_LAYERED = ["conv3k3", "conv3k3p1,maxpool2,5", "conv3k3p1,sumpool2,conv4k2,5", "conv4k3p1,dwconvk3p1+1", "6"]


@given(
    st.integers(0, 2**31),
    st.sampled_from(_LAYERED),
    st.sampled_from(["threshold", "relu", "if2", "if3soft"]),
    st.sampled_from([{}, {"shift": 1}, {"penalty_energy": 0.5, "penalty_nonzero": 0.1}]),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.3]),
)
@settings(max_examples=20, deadline=None)
def test_the_same_bits_of_every_layer_and_neuron(
    seed: int, layers: str, neuron: str, options: dict[str, Any], parts: int, losses: float
) -> None:
    layers = layers if neuron != "relu" else layers.replace("maxpool", "sumpool")
    task = layered_twins.layered_task(layers, seed % 1000, neuron, (2, 6, 5), n=70)
    assert _trained(task, options, Unreliable(parts, losses, seed)) == _trained(task, options)


def test_more_holders_than_samples() -> None:
    task = _task(3, (5,), n=6)
    holders = Unreliable(9, 0.1)
    assert _trained(task, {}, holders) == _trained(task, {})
    assert len(holders.shards) == 6


def test_moves_are_sent_and_whole_weights_only_where_they_are_needed() -> None:
    holders = Unreliable(2, 0.0)
    _trained(_task(1, (12,)), {"fraction": 0.01, "fraction_readout": 0.01, "fraction_bias": 0.01}, holders)
    assert [ask.update.whole is not None for ask in holders.asked] == [True, True] + [False] * (len(holders.asked) - 2)
    holders = Unreliable(2, 0.3)
    _trained(_task(1, (12,)), {}, holders)
    assert sum(ask.update.whole is not None for ask in holders.asked) > 2


@given(st.integers(0, 2**31), st.integers(1, 12), st.sampled_from([0.001, 0.05, 0.9]))
@settings(max_examples=40, deadline=None)
def test_updates_lead_from_any_version_to_the_last(seed: int, steps: int, share: float) -> None:
    """A shard that looks in now and then follows the weights, or says that it is behind."""
    rng = np.random.default_rng(seed)
    task = _task(seed, (11,))
    plan = _plan(task)
    weights = [rng.integers(-1, 2, (a + 1, b)).astype(np.float32) for a, b in ((30, 11), (11, 4))]
    weights[0][-1] = 300  # biases need more than a byte
    versions, shard, known = Versions(weights), Shard(Packed.of(task, slice(None)), plan, 1), None
    for number in range(steps):
        for w in weights:
            w[rng.random(w.shape) < share] *= -1
        versions.look()
        if rng.random() < 0.5:
            continue
        answer = shard.answer(Ask(0, number, versions.update(known)))
        assert not answer.behind
        known = versions.number
        for mine, theirs in zip(shard._weights, weights, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    versions.look()
    fresh = Shard(Packed.of(task, slice(None)), plan, 1)
    assert fresh.answer(Ask(7, steps, versions.update(versions.number))).behind == (7,)


def _plan(task: Task) -> Plan:
    with Threads(1) as threads:
        return Blocks(task, BlocksOptions(), threads)._plan


@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 70))
@settings(max_examples=20, deadline=None)
def test_packed_samples_are_an_eighth_and_whole(seed: int, n: int, n_in: int) -> None:
    rng = np.random.default_rng(seed)
    spikes, y = rng.integers(0, 2, (n, n_in)).astype(np.uint8), rng.integers(0, 300, n)
    task = twins.random_task(0, ())
    packed = Packed.of(dataclasses.replace(task, spikes=spikes, y=y), slice(None))
    np.testing.assert_array_equal(np.unpackbits(packed.bits, axis=1, count=packed.n_in), spikes)
    np.testing.assert_array_equal(packed.y, y)
    assert packed.nbytes <= n * (n_in // 8 + 1) + 2 * n


def test_a_shift_of_what_is_no_image_is_said() -> None:
    task = twins.random_task(1, (5,))
    with pytest.raises(InputError, match="no images"):
        _trained(task, {"shift": 1}, Unreliable(2, 0.0))


def test_fingerprint_is_the_same_every_time() -> None:
    first = fingerprint()
    fingerprint.cache_clear()
    assert fingerprint() == first
    assert len(first.split()) == 2
