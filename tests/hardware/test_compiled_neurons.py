"""The compiled loops of neurons with state, held to ``Neuron.advance``, which defines them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conntra_neuro as cn
from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.backends.reference import ReferenceBackend
from conntra_hardware.base.bit_words import words
from conntra_hardware.base.word_overlap import overlaps
from conntra_hardware.cost.activity import active_updates
from conntra_hardware.cost.events import count_events
from conntra_hardware.neurons import Neuron, Threshold, respond_recurrently
from conntra_hardware.neurons.compiled import FORMS, count_active, spikes_of

SIZE = 6
DECAYS = [0, 1, 163, 1024, 4095, 4096]


@st.composite
def neurons(draw: st.DrawFn, spiking: bool = False) -> Neuron:
    kind = draw(st.sampled_from(["lif", "if", "threshold"] if spiking else ["lif", "if", "threshold", "sum", "leaks"]))
    decay = st.one_of(st.sampled_from(DECAYS), st.lists(st.sampled_from(DECAYS), min_size=SIZE, max_size=SIZE))
    reset = draw(st.sampled_from(["hard", "soft"]))
    if kind == "lif":
        return cn.Lif(
            draw(st.integers(1, 9)),
            voltage_decay=draw(decay),
            current_decay=draw(decay),
            reset=reset,
            strict=draw(st.booleans()),
            refractory=draw(st.sampled_from([0, 0, 2, [0, 1, 2, 3, 0, 0]])),
        )
    if kind == "if":
        return cn.IntegrateAndFire(draw(st.integers(1, 9)), 5, reset)
    if kind == "threshold":
        return Threshold()
    read = draw(st.sampled_from(["last", "max"]))
    leaky = cn.Readout(read, voltage_decay=draw(decay), current_decay=draw(decay))
    return cn.Readout() if kind == "sum" else leaky


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    large = 100_000 if seed % 4 == 0 else 6
    return rng.integers(-large, large + 1, (7, 5, SIZE)), rng.integers(-2, 3, SIZE) * rng.integers(0, 2, SIZE)


@settings(max_examples=150, deadline=None)
@given(neurons(spiking=True), st.integers(0, 2**31), st.sampled_from([np.float32, np.int32, np.int64]))
def test_spikes(neuron: Neuron, seed: int, dtype: type) -> None:
    sums, bias = drawn(seed)
    out = np.empty(sums.shape, np.uint8)
    spikes_of(neuron.facts, bias, sums.astype(dtype), [], out)
    assert np.array_equal(out, neuron.respond(sums, bias))


def test_the_last_bit_of_a_current_decides() -> None:
    """A current of 64 that loses a 4,096th is 63, one below a threshold of 1; -63 is what -64 becomes."""
    neuron = cn.Lif(1, voltage_decay=4096, current_decay=1, strict=False)
    sums = np.array([[[1], [0], [0], [1]], [[-1], [2], [0], [0]]])
    out = np.empty(sums.shape, np.uint8)
    spikes_of(neuron.facts, np.zeros(1, int), sums, [], out)
    # Currents 64, 63, 62, 125; and -64, -63 + 128 = 65, 64, 63.
    assert out[:, :, 0].tolist() == [[1, 0, 0, 1], [0, 1, 1, 0]]
    assert np.array_equal(out, neuron.respond(sums))


@settings(max_examples=80, deadline=None)
@given(neurons(spiking=True), st.integers(0, 2**31))
def test_spikes_that_come_back(neuron: Neuron, seed: int) -> None:
    import scipy.sparse as sp

    sums, bias = drawn(seed)
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-3, 4, (SIZE, SIZE)) for _ in range(2)]
    out = np.empty(sums.shape, np.uint8)
    spikes_of(neuron.facts, bias, sums, [(lag, sp.csr_array(w)) for lag, w in zip((1, 3), weights, strict=True)], out)
    loops = [(lag, lambda sent, w=w: sent.astype(np.int64) @ w.T) for lag, w in zip((1, 3), weights, strict=True)]
    assert np.array_equal(out, respond_recurrently(neuron, sums, bias, loops))


@settings(max_examples=150, deadline=None)
@given(neurons(), st.integers(0, 2**31))
def test_active_neurons(neuron: Neuron, seed: int) -> None:
    sums, bias = drawn(seed)
    rng = np.random.default_rng(seed)
    reached, groups = rng.random(sums.shape) < 0.3, rng.integers(0, 3, SIZE)
    found = count_active(neuron.facts, bias, sums, reached, groups, 3)
    kept = (neuron.left(sums, bias) != 0).reshape(-1, SIZE)
    active = (reached.reshape(-1, SIZE)[5:] | kept[4:-1] | (bias != 0)).reshape(6, 5, SIZE)
    expected = np.stack([active[:, :, groups == group].sum(axis=2) for group in range(3)], axis=2)
    assert np.array_equal(found, expected)


def test_many_samples_on_every_core() -> None:
    rng = np.random.default_rng(0)
    neuron = cn.Lif(5, voltage_decay=163, current_decay=1024)
    sums = rng.integers(-6, 7, (400, 10, 64))
    out = np.empty(sums.shape, np.uint8)
    spikes_of(neuron.facts, np.zeros(64, int), sums, [], out)
    assert np.array_equal(out, neuron.respond(sums))
    counts = count_active(neuron.facts, np.zeros(64, int), sums, sums != 0, np.zeros(64, int), 1)
    assert counts.shape == (399, 10, 1)
    assert 0 < counts.mean() <= 64


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["hard", "soft"]), st.sampled_from([1, 30, 2**28]), st.booleans())
def test_without_a_leak_in_32_bits_or_more(seed: int, reset: Literal["hard", "soft"], largest: int, many: bool) -> None:
    rng = np.random.default_rng(seed)
    thresholds = tuple(rng.integers(1, 1 + 2 * largest, SIZE).clip(1, 2**17 - 1).tolist())
    neuron = cn.IntegrateAndFire(thresholds if many else thresholds[0], 9, reset)
    sums = rng.integers(-largest, largest + 1, (5, 9, SIZE))
    bias = rng.integers(-2, 3, SIZE)
    out, traces = np.empty(sums.shape, np.uint8), np.empty(sums.shape, np.uint8)
    spikes_of(neuron.facts, bias, sums, [], out, traces)
    right = neuron.advance(sums, bias)
    assert np.array_equal(out, right.sent)
    assert np.array_equal(traces, (right.left != 0) + 2 * (sums != 0))
    spikes_of(neuron.facts, bias, sums, [], out)
    assert np.array_equal(out, right.sent)


def test_every_compiled_form_has_a_neuron_here() -> None:
    kinds = (Threshold(), cn.IntegrateAndFire(1, 2), cn.Lif(1, voltage_decay=1), cn.Readout(), cn.Readout("max"))
    assert {neuron.facts.form for neuron in kinds} == set(FORMS)


def test_words_that_overlap() -> None:
    rng = np.random.default_rng(0)
    spikes, wired = rng.random((50, 200)) < 0.05, rng.random((30, 200)) < 0.1
    known = rng.random((50, 30)) < 0.2
    out = known.copy()
    overlaps(words(spikes), words(wired), out)
    assert np.array_equal(out, known | (spikes[:, None] & wired[None]).any(axis=2))


@pytest.mark.parametrize(
    "neuron",
    [
        cn.Lif(4, voltage_decay=300),
        cn.Lif(4, voltage_decay=300, current_decay=1024, refractory=2, reset="soft"),
        cn.Lif(4, voltage_decay=4096, current_decay=4096),
        cn.IntegrateAndFire(5, 7),
    ],
)
@pytest.mark.parametrize("batch", [None, 3])
def test_traces_of_the_reference_save_work_and_change_no_count(neuron: cn.Lif, batch: int | None) -> None:
    rng = np.random.default_rng(5)
    bias = rng.integers(-1, 2, 300) * (rng.random(300) < 0.2)
    layers = [
        cn.Dense(rng.integers(-1, 2, (300, 30)) * (rng.random((300, 30)) < 0.2), bias, activation=neuron),
        cn.Dense(rng.integers(-1, 2, (40, 300)), activation=neuron),
        cn.Dense(rng.integers(-1, 2, (5, 40)), activation="readout"),
    ]
    program = cn.compile(cn.DiscreteNetwork(layers, steps=7), chip="loihi1")
    x = (rng.random((20, 7, 30)) < 0.05).astype(np.uint8).reshape(-1, 30)
    plain = ReferenceBackend().execute(program, x, RunOptions(batch_size=batch))
    traced = ReferenceBackend().execute(program, x, RunOptions(batch_size=batch, traces=True))
    assert not plain.traces
    assert set(traced.traces) == {"hidden0", "hidden1", "readout"}
    counts = count_events(program, x, plain.spikes), count_events(program, x, traced.spikes, traced.traces)
    assert np.array_equal(counts[0].active_updates, counts[1].active_updates)
    share = counts[1].active_updates.sum() / counts[1].neuron_updates.sum()
    assert 0.3 < share < 1


@pytest.mark.parametrize("worth", [1, 2**60])
def test_large_programs_are_counted_as_small_ones(monkeypatch: pytest.MonkeyPatch, worth: int) -> None:
    rng = np.random.default_rng(3)
    layers = [
        cn.Dense(rng.integers(-1, 2, (40, 30)), activation=cn.Lif(4, voltage_decay=300)),
        cn.Dense(rng.integers(-1, 2, (5, 40)), activation="readout"),
    ]
    program = cn.compile(cn.DiscreteNetwork(layers, steps=6), chip="loihi1")
    x = (rng.random((20, 6, 30)) < 0.1).astype(np.uint8)
    result = program.run(x)
    sent = {"input": program.encode(x), **result.spikes}
    population = program.populations[0]
    monkeypatch.setattr("conntra_hardware.cost.activity._WORTH", worth)
    counts = np.sum(active_updates(program, population, sent), axis=0)
    events = (x.reshape(-1, 30) @ (layers[0].weight != 0).T > 0).reshape(20, 6, 40)
    sums = layers[0].sums(x.reshape(-1, 30)).reshape(20, 6, 40)
    kept = (population.neuron.left(sums, 0) != 0).reshape(-1, 40)
    expected = (events.reshape(-1, 40) | np.roll(kept, 1, axis=0)).sum(axis=1)
    assert np.array_equal(counts, expected)
