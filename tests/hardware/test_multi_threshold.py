"""Neurons of several thresholds: by their definition, by FINN's, on every simulator, with their bounds and costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.backends import load_backend, loop
from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.base.errors import BackendError, DoesNotFit, InputError
from conntra_hardware.cost.energy import estimate_all
from conntra_hardware.fit.overflow import prove_no_overflow, spans_of
from conntra_hardware.neurons import GRADED_MAX
from conntra_hardware.proof.fuzz_case import random_case
from conntra_hardware.proof.verify import verify
from conntra_neuro.training.neurons import of_neuron

N_IN, HIDDEN = 12, 8


def network(thresholds: Any, levels: int = 2, **options: Any) -> cn.DiscreteNetwork:
    rng = np.random.default_rng(0)
    hidden = cn.Dense(
        rng.integers(-levels, levels + 1, (HIDDEN, N_IN)), rng.integers(-2, 3, HIDDEN), cn.MultiThreshold(thresholds)
    )
    again = cn.Dense(rng.integers(-1, 2, (HIDDEN, HIDDEN)), None, cn.MultiThreshold([0, 3]))
    readout = cn.Dense(rng.integers(-1, 2, (4, HIDDEN)), activation="readout")
    return cn.DiscreteNetwork([hidden, again, readout], **options)


def spikes(n: int = 40, seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).random((n, N_IN)) < 0.4).astype(np.uint8)


EVERY = list(range(-20, 30, 2))
THRESHOLDS = [[0], [-3, 0, 0, 5], EVERY, np.random.default_rng(2).integers(-9, 12, (HIDDEN, 3))]


def finns_multithreshold(v: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return how many thresholds (channels, k) each value (n, channels) reaches.

    qonnx.custom_op.general.multithreshold, as its docstring says: a threshold counts from the value itself on.
    """
    found = np.zeros(v.shape, int)
    for channel, row in enumerate(thresholds):
        for threshold in row:
            found[:, channel] += v[:, channel] >= threshold
    return found


@pytest.mark.parametrize("thresholds", THRESHOLDS, ids=range(len(THRESHOLDS)))
def test_it_sends_how_many_thresholds_it_exceeds(thresholds: Any) -> None:
    net, x = network(thresholds), spikes()
    layer = net.layers[0]
    v = x.astype(int) @ np.asarray(layer.weight).T.astype(int) + layer.bias  # type: ignore[attr-defined]
    rows = np.broadcast_to(np.atleast_2d(np.asarray(thresholds)), (HIDDEN, np.shape(thresholds)[-1]))
    found = net.outputs(x)[0]
    assert found.dtype == np.int32
    assert np.array_equal(found, (v[:, :, None] > rows).sum(axis=2))
    assert np.array_equal(found, finns_multithreshold(v, rows + 1))


def test_rows_are_sorted_and_one_where_they_are_alike() -> None:
    assert cn.MultiThreshold([5, 0, 2]) == cn.MultiThreshold([[0, 2, 5], [2, 0, 5]])
    assert hash(cn.MultiThreshold((0, 1))) == hash(cn.MultiThreshold(np.array([1, 0])))
    assert cn.MultiThreshold([[1, 0], [4, 3]]).thresholds == ((0, 1), (3, 4))
    assert cn.MultiThreshold([[0, 1], [3, 4]]).facts.least.tolist() == [1, 4]
    assert not cn.MultiThreshold([0, 1]).facts.per_neuron
    conv = cn.Conv2d(np.ones((2, 1, 2, 2), int), activation=cn.MultiThreshold([[0, 1], [2, 3]]), input_shape=(1, 3, 3))
    assert conv.neuron == cn.MultiThreshold([[0, 1]] * 4 + [[2, 3]] * 4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "integers"),
        ([0.5], "integers"),
        ([True], "integers"),
        (3, "integers"),
        ([[0, 1], [2]], "as many a neuron"),
        ([[[0]]], "integers"),
        ([2**23], "from 8388608 to 8388608"),
        (list(range(256)), "256 thresholds a neuron; 1 to 255"),
        ([[0, 1]] * 3 + [[1, 2]], "4 values of multi_threshold.thresholds; one, or 8"),
    ],
)
def test_what_are_no_thresholds_is_refused(wrong: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        network(wrong)
    with pytest.raises(InputError, match=r"give MultiThreshold\(thresholds\)"):
        cn.Dense([[1]], activation="multi_threshold")


@pytest.mark.parametrize("backend", ["reference", "loop", "lava", "brian2"])
def test_simulators_agree(backend: str) -> None:
    """A few thresholds, 255 of them, and others for each neuron."""
    simulator = load_backend(backend)
    if not simulator.availability().ok:
        pytest.skip(simulator.availability().reason)
    rng = np.random.default_rng(4)
    sizes, each = [N_IN, HIDDEN, HIDDEN, HIDDEN], [THRESHOLDS[3], THRESHOLDS[1], np.arange(-127, 128)]
    layers = [
        cn.Dense(rng.integers(-9, 10, (after, before)), rng.integers(-2, 3, after), cn.MultiThreshold(thresholds))
        for before, after, thresholds in zip(sizes, sizes[1:], each, strict=False)
    ]
    net = cn.DiscreteNetwork([*layers, cn.Dense(rng.integers(-1, 2, (4, HIDDEN)), activation="readout")])
    x = spikes(11)
    found = cn.compile(net, chip="loihi2").run(x, backend=backend)
    outputs, logits = net.activity(x)
    assert np.array_equal(found.logits, logits)
    for index in range(3):
        assert len(np.unique(outputs[index])) > 2
        assert np.array_equal(found.spikes[f"hidden{index}"], outputs[index])


@pytest.mark.parametrize("backend", ["lava-stock", "sanafe"])
def test_a_simulator_without_them_runs_the_program_of_a_chip_without_graded_spikes(backend: str) -> None:
    simulator = load_backend(backend)
    if not simulator.availability().ok:
        pytest.skip(simulator.availability().reason)
    net, x = network([-3, 0, 5]), spikes(4)
    program = cn.compile(net, chip="loihi2")
    with pytest.raises(BackendError, match="multi_threshold"):
        simulator.execute(program, x, RunOptions(60))
    assert np.array_equal(cn.compile(net, chip="loihi1").run(x, backend=backend).logits, net.forward(x))


def test_over_time_in_a_loop_and_with_a_delay() -> None:
    rng = np.random.default_rng(3)
    back = cn.Recurrent(0, rng.integers(-1, 2, (HIDDEN, HIDDEN)), 1)
    net = network([0, 2, 9], steps=5, recurrent=[back])
    x = (rng.random((9, 5, N_IN)) < 0.4).astype(np.uint8)
    program = cn.compile(net, chip="loihi2")
    certificate = verify(program, x, ["reference", "loop"])
    assert certificate.equal
    assert np.array_equal(program.run(x).logits, net.forward(x))
    stream = net.stream()
    assert np.array_equal(stream.push(x[0])[-1], net.forward(x[:1])[0])


def test_bounds_are_reached_and_hold() -> None:
    """Weights of one sign: no spike, and all of them, are the ends."""
    hidden = cn.Dense(np.full((3, 5), 2), [0, 1, 4], cn.MultiThreshold([[0, 4, 9], [0, 9, 11], [5, 6, 14]]))
    net = cn.DiscreteNetwork([hidden, cn.Dense(np.ones((2, 3), int), activation="readout")])
    program = cn.compile(net, chip="loihi2")
    span = spans_of(program.populations, program.incoming, 1)["hidden0"]
    every = net.outputs(np.ones((1, 5), int))[0][0]
    assert span.high.tolist() == every.tolist() == [3, 2, 2]
    assert span.low.tolist() == [0, 0, 0]
    assert all(proof.holds for proof in prove_no_overflow(program))
    wide = cn.Dense(np.full((1, 9000), 1000), activation=cn.MultiThreshold([0, GRADED_MAX]))
    with pytest.raises(DoesNotFit, match=r"hidden0: potential 9e\+06 of 8.38861e\+06"):
        cn.compile(cn.DiscreteNetwork([wide, cn.Dense([[1], [1]], activation="readout")]), chip="loihi2")


def test_a_spike_counts_once_and_what_sends_nothing_is_left() -> None:
    """Counted by hand: one hidden neuron with thresholds 0 and 1, three inputs of weight 1, -1 and 1, two classes."""
    hidden = cn.Dense([[1, -1, 1]], activation=cn.MultiThreshold([0, 1]))
    net = cn.DiscreteNetwork([hidden, cn.Dense([[1], [-1]], activation="readout")])
    x = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0]])
    result = cn.compile(net, chip="loihi2").run(x)
    assert result.logits.tolist() == [[2, -2], [0, 0], [0, 0]]
    totals = result.counts.totals()
    assert (totals["spikes"], totals["synops"]) == (1, 2 + 1 + 2)
    # The neuron: hit twice, and left at -1 after the second sample; the readout: hit once, and what it held is left.
    hidden_active = result.counts.by_layer()["hidden0"]["active_updates"]
    assert hidden_active == 3
    assert all(e.dynamic_j > 0 for e in estimate_all(result.counts, result.program))


def test_a_rule_that_counts_at_the_threshold_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(facts: Any, index: int, state: Any, total: int, bias: int) -> tuple[int, Any]:
        row = facts.thresholds[index if len(facts.thresholds) > 1 else 0]
        return sum(total + bias >= threshold for threshold in row), state

    monkeypatch.setitem(loop.ANSWERS, "multi threshold", reached)
    program = cn.compile(network(THRESHOLDS[3]), chip="loihi2")
    certificate = verify(program, spikes(), ["reference", "loop"])
    assert not certificate.equal
    assert "the threshold is not strict" in "; ".join(map(str, certificate.diagnoses))


def test_files_and_formats_hold_them(tmp_path: Path) -> None:
    for thresholds in THRESHOLDS[1:]:
        net, x = network(thresholds), spikes()
        cn.save(net, tmp_path / "a.conntra")
        again = cn.load(tmp_path / "a.conntra")
        assert isinstance(again, cn.DiscreteNetwork)
        assert [layer.neuron for layer in again.layers] == [layer.neuron for layer in net.layers]
        for chip in ("loihi1", "loihi2"):
            cn.save(cn.compile(net, chip=chip), tmp_path / "a.program")
            program = cn.load(tmp_path / "a.program")
            assert isinstance(program, cn.Program)
            assert np.array_equal(program.run(x).logits, net.forward(x))
        pytest.importorskip("nir")
        for name, options in (("a.nir", {}), ("a.net", {"steps": 1, "semantics": "lava"})):
            cn.export(net, tmp_path / name)
            assert np.array_equal(cn.import_network(tmp_path / name, **options).forward(x), net.forward(x))


def test_random_programs_have_them_and_others_stay_what_they_were() -> None:
    before, now = ([random_case(0, i, True, True, True, counting) for i in range(96)] for counting in (False, True))
    kinds = [{p.neuron.kind for p in case.program.populations} for case in now]
    assert sum("multi_threshold" in found for found in kinds) >= 4
    assert {"graded_relu", "multi_threshold"} <= set().union(*kinds)
    for index, (one, other) in enumerate(zip(before, now, strict=True)):
        if index % 12 != 6:
            assert np.array_equal(one.inputs, other.inputs)
            assert [p.neuron for p in one.program.populations] == [p.neuron for p in other.program.populations]
        assert "multi_threshold" not in {p.neuron.kind for p in one.program.populations}


def test_training_refuses_them_by_name() -> None:
    with pytest.raises(InputError, match="multi_threshold neurons cannot be trained"):
        of_neuron(cn.MultiThreshold([0, 1]))
