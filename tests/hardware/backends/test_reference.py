"""The reference backend against plain integer arithmetic and against the network's forward pass."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from program_strategies import Case, build_program, cases

from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.backends.reference import ReferenceBackend
from conntra_hardware.program import Program
from conntra_neuro.network import Dense, DiscreteNetwork


def slow_potentials(weights: np.ndarray, bias: np.ndarray, spikes: np.ndarray) -> list[list[int]]:
    """One addition at a time, in Python's integers."""
    rows = [[int(w) for w in row] for row in weights]
    return [
        [sum(w for w, s in zip(row, sample, strict=True) if s) + int(b) for row, b in zip(rows, bias, strict=True)]
        for sample in spikes
    ]


def network_of(program: Program) -> DiscreteNetwork:
    layers = [Dense(program.incoming(p.name)[0].weights, p.bias, activation=p.neuron.kind) for p in program.populations]
    return DiscreteNetwork(layers)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(cases(), st.sampled_from([None, 1, 5]))
def test_equals_integer_arithmetic_and_forward(case: Case, batch_size: int | None) -> None:
    recording = ReferenceBackend().execute(case.program, case.inputs, RunOptions(batch_size=batch_size))
    assert recording.logits.dtype == np.int64
    np.testing.assert_array_equal(recording.logits, case.logits)
    assert recording.spikes.keys() == case.spikes.keys()
    hidden, logits = network_of(case.program).activity(case.inputs)
    np.testing.assert_array_equal(recording.logits, logits)
    for (name, spikes), layer in zip(case.spikes.items(), hidden, strict=True):
        np.testing.assert_array_equal(recording.spikes[name], spikes)
        np.testing.assert_array_equal(spikes, layer)


@settings(max_examples=30, deadline=None)
@given(cases(max_width=12, max_samples=4))
def test_equals_a_python_loop(case: Case) -> None:
    recording = ReferenceBackend().execute(case.program, case.inputs, RunOptions())
    source = case.inputs
    for population in case.program.populations:
        (projection,) = case.program.incoming(population.name)
        if len(population.bias) * projection.weights.shape[1] > 5000:
            return
        potentials = slow_potentials(projection.weights, population.bias, source)
        if population.neuron.spikes:
            source = recording.spikes[population.name]
            assert (np.array(potentials) > 0).astype(int).tolist() == source.tolist()
        else:
            assert potentials == recording.logits.tolist()


def test_sums_beyond_float32_are_exact() -> None:
    weights = np.full((1, 4096), 2**30 - 1)
    program = build_program([weights], [np.array([1])])
    recording = ReferenceBackend().execute(program, np.ones((1, 4096), np.uint8), RunOptions())
    assert recording.logits[0, 0] == 4096 * (2**30 - 1) + 1
