"""Biases of graded neurons in a form that Lava's own processes can do.

GradedReluVec has no bias, and its shift is that of its synapses' sum. The part of a bias that 2^shift divides may come
after the shift. What remains has to be in the sum: as the weights of a source that always sends 1. So sources get such
neurons, and inputs such columns; what they record is cut off again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from conntra_hardware.base.arrays import IntArray, SpikeArray
from conntra_hardware.neurons import Neuron
from conntra_hardware.program import (
    INPUT,
    AnyProjection,
    CoreSlice,
    Population,
    Program,
    Projection,
    SparseProjection,
)

__all__ = ["as_weights", "cut_off"]

_LARGEST = 127  # of a weight, beside others of both signs
_MOST = 256


def as_weights(program: Program, inputs: SpikeArray) -> tuple[Program, SpikeArray]:
    """Return ``program`` and ``inputs`` (rows, n_inputs) with remainders of biases as weights, where that can be done.

    It does the same; its populations have further neurons at their end, which always send 1.
    """
    remainders = _remainders(program)
    extra = {program.incoming(name)[0].source: 0 for name in remainders}
    for name, remainder in remainders.items():
        source = program.incoming(name)[0].source
        extra[source] = max(extra[source], -(-int(remainder.max()) // _LARGEST))
    if not extra:
        return program, inputs
    populations = tuple(_extended(p, extra.get(p.name, 0), remainders.get(p.name)) for p in program.populations)
    changed = replace(
        program,
        n_inputs=program.n_inputs + extra.get(INPUT, 0),
        populations=populations,
        projections=tuple(_padded(p, extra, remainders.get(p.target)) for p in program.projections),
        slices=tuple(CoreSlice(p.name, 0, p.size, core) for core, p in enumerate(populations)),
        encoder=None,
    )
    return changed, np.pad(inputs, ((0, 0), (0, extra.get(INPUT, 0))), constant_values=1)


def cut_off(program: Program, spikes: Mapping[str, IntArray]) -> dict[str, IntArray]:
    """Return ``spikes`` of a changed program without the neurons that ``program`` does not have."""
    return {name: np.ascontiguousarray(values[:, : program.population(name).size]) for name, values in spikes.items()}


def _remainders(program: Program) -> dict[str, IntArray]:
    """Return what 2^shift leaves of the biases of graded populations with one source."""
    found = {}
    for population in program.populations:
        facts = population.neuron.facts
        incoming = program.incoming(population.name)
        if facts.form == "graded" and isinstance(facts.shift, int) and len(incoming) == 1:
            if incoming[0].source != INPUT and program.population(incoming[0].source).neuron.facts.delta:
                continue  # these send a constant once
            remainder = population.bias % 2**facts.shift
            if 0 < remainder.max(initial=0) <= _MOST * _LARGEST:
                found[population.name] = remainder
    return found


def _extended(population: Population, extra: int, remainder: IntArray | None) -> Population:
    bias = population.bias if remainder is None else population.bias - remainder
    if not extra:
        return replace(population, bias=bias)
    # Further neurons have the parameters of the first one.
    neuron = population.neuron.take(np.append(np.arange(population.size), np.zeros(extra, np.intp)))
    always = np.full(extra, _always(population.neuron.take(slice(0, 1))), np.int64)
    return replace(population, neuron=neuron, bias=np.concatenate([bias, always]))


def _always(neuron: Neuron) -> int:
    """Return the bias with which a neuron without synapses sends 1 at every step."""
    return int(neuron.facts.least) << int(neuron.facts.shift)  # type: ignore[arg-type]


def _padded(projection: AnyProjection, extra: Mapping[str, int], remainder: IntArray | None) -> AnyProjection:
    """Return a projection with rows and columns for the further neurons; ``remainder`` (n_target,) in the latter."""
    rows, columns = extra.get(projection.target, 0), extra.get(projection.source, 0)
    if not rows and not columns:
        return projection
    parts = np.zeros((projection.shape[0], columns), np.int64)
    if remainder is not None:
        below = np.arange(columns) * _LARGEST
        parts = np.clip(remainder[:, None] - below, 0, _LARGEST)
    if isinstance(projection, Projection):
        wide = np.concatenate([projection.weights.astype(np.int64), parts], axis=1)
        return replace(projection, weights=np.pad(wide, ((0, rows), (0, 0))))
    from scipy import sparse as sp

    wide = sp.hstack([projection.matrix().astype(np.int64), sp.csr_array(parts)], format="csr")
    below = sp.csr_array((rows, projection.shape[1] + columns), dtype=np.int64)
    wide = sp.vstack([wide, below], format="csr") if rows else wide
    return SparseProjection(projection.source, projection.target, wide, projection.delay)
