"""A program's fingerprint: what it does, hashed in one canonical form, whatever file or object holds it.

Every integer goes in as 64 bits, little endian, and every synapse as its place and weight, row by row: neither the
type of an array, nor how a file packs it, nor zeros that are no synapses, nor the order of slices change the result.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import SpikeArray
from conntra_hardware.neurons import neuron_to_dict
from conntra_hardware.program import AnyProjection, Program, Projection

__all__ = ["inputs_sha256", "program_sha256", "recording_sha256"]

_ROWS_VALUES = 2**24


class _Hash(Protocol):
    def update(self, data: Any, /) -> None: ...


def program_sha256(program: Program) -> str:
    """Return a checksum of what the program does: the chip's name, neurons, synapses, cores, encoder and labels."""
    digest = hashlib.sha256()
    _say(digest, "conntra program 1", program.chip.name, program.n_inputs)
    for population in program.populations:
        _say(digest, "population", population.name, neuron_to_dict(population.neuron))
        _integers(digest, population.bias)
    for projection in program.projections:
        _synapses(digest, projection)
    for s in sorted(program.slices, key=lambda s: (s.population, s.start, s.core)):
        _say(digest, "slice", s.population, s.start, s.stop, s.core, *((s.runs, s.stride) if s.runs > 1 else ()))
    if program.encoder is not None:
        thresholds = np.ascontiguousarray(program.encoder.thresholds, dtype="<f8")
        _say(digest, "encoder", program.encoder.kind, list(thresholds.shape))
        digest.update(thresholds.data)
    if program.timed:
        _say(digest, "steps", program.steps)
    _say(digest, "labels", None if program.labels is None else [_plain(label) for label in program.labels])
    if program.value is not None:
        _say(digest, "value", program.value.scale, program.value.offset)
    return digest.hexdigest()


def inputs_sha256(inputs: SpikeArray) -> str:
    """Return a checksum of the input spikes ``inputs`` (n, n_inputs): their shape, then one byte a spike."""
    digest = hashlib.sha256(f"spikes {inputs.shape[0]} {inputs.shape[1]}\n".encode())
    digest.update(np.ascontiguousarray(inputs, dtype=np.uint8).data)
    return digest.hexdigest()


def recording_sha256(program: Program, spikes: Any, logits: npt.NDArray[Any]) -> str:
    """Return a checksum of what a run gave: the spikes of every population by name, and the logits."""
    digest = hashlib.sha256()
    for population in program.populations:
        values = spikes[population.name] if population.neuron.spikes else logits  # a last one that spikes is counted
        _say(digest, population.name, list(values.shape))
        if values.dtype == np.uint8:
            digest.update(np.ascontiguousarray(values).data)
        else:
            _integers(digest, values)
    return digest.hexdigest()


def _synapses(digest: _Hash, projection: AnyProjection) -> None:
    import scipy.sparse as sp

    n_target, n_source = projection.shape
    _say(digest, "projection", projection.source, projection.target, projection.delay + 1, n_target, n_source)
    dense = isinstance(projection, Projection)
    weights = projection.weights if dense else projection.matrix()
    rows = max(1, _ROWS_VALUES // max(n_source, 1))
    for start in range(0, n_target, rows):
        block = sp.csr_array(weights[start : start + rows])
        block.sum_duplicates()
        block.eliminate_zeros()
        for part in (np.diff(block.indptr), block.indices, block.data):
            _integers(digest, part)


def _integers(digest: _Hash, array: npt.NDArray[Any]) -> None:
    digest.update(np.ascontiguousarray(array, dtype="<i8").data)


def _say(digest: _Hash, *values: Any) -> None:
    digest.update((json.dumps(values, sort_keys=True, separators=(",", ":")) + "\n").encode())


def _plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label
