"""Verification: several backends run the same inputs, and every spike and every readout potential is compared.

The result is a certificate that says what was compared, or the first divergence in time, with the synapses
behind it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.backends import load_backend
from conntra_hardware.backends.protocol import Backend, Recording, RunOptions
from conntra_hardware.backends.versions import versions_of
from conntra_hardware.base.arguments import seconds, whole
from conntra_hardware.base.arrays import ArrayLike, IntArray, SpikeArray
from conntra_hardware.base.errors import BackendError, DoesNotVerify, InputError
from conntra_hardware.base.files import write_atomically
from conntra_hardware.base.values import Shown
from conntra_hardware.fit.overflow import prove_no_overflow
from conntra_hardware.program import INPUT, AnyProjection, Program
from conntra_hardware.program.fingerprint import inputs_sha256, program_sha256, recording_sha256
from conntra_hardware.proof.diagnosis import Diagnosis, diagnose
from conntra_hardware.proof.seal import sealed

__all__ = ["Certificate", "Divergence", "inputs_sha256", "verify"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Divergence:
    """The first value in which a backend differs from the first backend named, in order of time step, layer, neuron.

    backend         the one that differs; ``layer``, ``neuron`` and ``sample`` say where, by name and by index
    expected, got   the value of the first backend, and of this one
    kind            "spike" (0 or 1, or a graded value) or "potential" (a logit)
    time_step       of the pipeline, from 0: a layer at depth d (the first is 1) sees row t of the inputs at step
                    t + d - 1; a sample is one row, or as many as it takes time steps
    source, inputs  where the synapses come from, and its neurons that spiked one step before and have a synapse here;
                    of several sources, joined by " + ", the neurons are counted through, in that order
    weights, bias   of those synapses, in the order of ``inputs``, and of the neuron
    potential       their sum, bias included: a threshold neuron is due to spike iff it is above 0. Graded spikes count
                    with their value. To it comes what an integrate-and-fire neuron, or a readout over several time
                    steps, holds from the steps before

    All earlier values agree, so these inputs are the same on both backends and the cause lies in this neuron
    and its synapses.
    """

    backend: str
    layer: str
    neuron: int
    time_step: int
    sample: int
    kind: str
    expected: int
    got: int
    source: str
    inputs: tuple[int, ...]
    weights: tuple[int, ...]
    bias: int
    potential: int

    def __str__(self) -> str:
        return (
            f"{self.backend}: layer {self.layer}, neuron {self.neuron}, time step {self.time_step}, "
            f"sample {self.sample}: {self.kind} {self.expected} expected, got {self.got}; potential {self.potential} "
            f"from {len(self.inputs)} input spike(s) of {self.source} and bias {self.bias}"
        )


@dataclass(frozen=True)
class Certificate(Shown):
    """What was compared, and whether it was equal.

    equal               whether all values of all backends are
    samples             how many samples ran on each backend
    backends            their names, the first one being what the others are compared with
    chip                the name of the program's chip
    compared            values compared on each backend with the first one: "spikes", "potentials", "layers" by name,
                        and the "time_steps" of each layer
    differing           values that differ, for each backend but the first: "spikes", "potentials"
    first_divergence    None where all are equal
    versions            of this package, Python, NumPy and the simulators
    program_sha256, inputs_sha256   of the program and of the input spikes
    recordings_sha256   of all spikes and potentials that each backend recorded
    diagnoses           for each backend that differs, the mistakes that would explain it
    overflow            for each population, the potentials that any input can reach, against each register
    chosen              how the inputs were chosen: dataset, split, seed of a fuzz run, ...
    """

    equal: bool
    samples: int
    backends: tuple[str, ...]
    compared: Mapping[str, Any]
    differing: Mapping[str, Mapping[str, int]]
    first_divergence: Divergence | None
    program_sha256: str
    inputs_sha256: str
    chip: str
    versions: Mapping[str, str] = field(default_factory=dict)
    recordings_sha256: Mapping[str, str] = field(default_factory=dict)
    diagnoses: tuple[Diagnosis, ...] = ()
    overflow: tuple[Mapping[str, Any], ...] = ()
    chosen: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        verdict = "equal" if self.equal else f"NOT equal, first on {getattr(self.first_divergence, 'backend', '?')}"
        return f"Certificate({verdict}: {', '.join(self.backends)}, {self.samples:,} samples)"

    def to_dict(self) -> dict[str, Any]:
        """Return the certificate as values for JSON, with the seal over all of them."""
        return sealed(json.loads(json.dumps(asdict(self))))

    def save(self, path: str | Path) -> None:
        """Write the certificate to ``path`` as JSON, all at once or not at all; FileFormatError where that fails."""
        write_atomically(path, (json.dumps(self.to_dict(), indent=2) + "\n").encode())

    def require_equal(self) -> Certificate:
        """Return the certificate; DoesNotVerify, with the first divergence, where the backends differ."""
        if self.first_divergence is not None:
            causes = [str(d) for d in self.diagnoses if d.backend == self.first_divergence.backend and d.explained]
            raise DoesNotVerify("; ".join([str(self.first_divergence), *(f"cause: {cause}" for cause in causes)]))
        return self


def verify(
    program: Program,
    x: ArrayLike,
    backends: Sequence[str | Backend] = ("reference", "lava", "brian2"),
    *,
    time_limit_s: float = 600.0,
    batch_size: int | None = None,
    chosen: Mapping[str, Any] | None = None,
) -> Certificate:
    """Run the samples ``x`` on every backend and compare with the first one, spike for spike.

    x             raw features (n, ...) where the program has an encoder, else 0/1 spikes (n, n_inputs), or (n, steps,
                  n_inputs) where a sample takes several time steps
    backends      at least two, by name or as objects
    time_limit_s  seconds that each backend may take
    batch_size    samples that run side by side; None lets each backend choose
    chosen        for the certificate: where the samples come from

    Raises InputError for unusable samples or names, BackendError where a backend is not available or fails. Backends
    that differ are an answer, not an error.
    """
    seconds(time_limit_s)
    if batch_size is not None:
        whole(batch_size, "batch size", 1)
    simulators = _simulators(backends)
    inputs = program.encode(x)
    if len(inputs) == 0:
        raise InputError("samples: none given; at least 1 expected")
    versions = versions_of(simulators)  # before anything runs: one that cannot is an error at once
    options = RunOptions(time_limit_s, batch_size)
    expected = _execute(simulators[0], program, inputs, options)
    recorded = {simulators[0].name: recording_sha256(program, expected.spikes, expected.logits)}
    differing: dict[str, dict[str, int]] = {}
    divergences: list[Divergence] = []
    diagnoses: list[Diagnosis] = []
    for simulator in simulators[1:]:
        got = _execute(simulator, program, inputs, options)
        differing[simulator.name] = _count_differences(expected, got)
        found = _first_divergence(program, inputs, simulator.name, expected, got)
        recorded[simulator.name] = recording_sha256(program, got.spikes, got.logits)
        samples = len(inputs) // program.steps
        if found is None:
            _log.info("%s equals %s on %d samples", simulator.name, simulators[0].name, samples)
        else:
            _log.warning("%s differs from %s: %s", simulator.name, simulators[0].name, found)
            divergences.append(found)
            diagnoses.append(diagnose(program, inputs, simulator.name, expected, got))
    # Sorting is stable: of backends that diverge at the same place, the one named first is shown.
    first = min(divergences, key=lambda d: (d.time_step, _order(program, d.layer), d.neuron), default=None)
    return Certificate(
        equal=first is None,
        samples=len(inputs) // program.steps,
        backends=tuple(simulator.name for simulator in simulators),
        compared=_compared(program, len(inputs) // program.steps),
        differing=differing,
        first_divergence=first,
        program_sha256=program_sha256(program),
        inputs_sha256=inputs_sha256(inputs),
        chip=program.chip.name,
        versions=versions,
        recordings_sha256=recorded,
        diagnoses=tuple(diagnoses),
        overflow=tuple(proof.to_dict() for proof in prove_no_overflow(program)),
        chosen=dict(chosen or {}),
    )


def _simulators(backends: Sequence[str | Backend]) -> list[Backend]:
    if isinstance(backends, str):
        raise InputError(f"backends {backends!r}: a list of names expected, such as ['reference', 'lava']")
    simulators = [load_backend(b) if isinstance(b, str) else b for b in backends]
    names = [simulator.name for simulator in simulators]
    if len(names) < 2 or len(set(names)) < len(names):
        raise InputError(f"backends {names}: at least 2 different ones expected")
    return simulators


def _execute(simulator: Backend, program: Program, inputs: SpikeArray, options: RunOptions) -> Recording:
    """Run a backend and check that it recorded all there is to compare."""
    recording = simulator.execute(program, inputs, options)
    for population in program.populations:
        values = recording.spikes.get(population.name) if population.neuron.spikes else recording.logits
        rows = len(inputs) if population.neuron.spikes else len(inputs) // program.steps
        shape = (rows, population.size)
        if values is None or values.shape != shape:
            found = "nothing" if values is None else f"shape {values.shape}"
            raise BackendError(f"{simulator.name}: recorded {found} of population {population.name}; {shape} expected")
    return recording


def _compared(program: Program, samples: int) -> dict[str, Any]:
    layers = {p.name: samples * p.size * (program.steps if p.neuron.spikes else 1) for p in program.populations}
    potentials = layers[program.readout.name]
    return {
        "spikes": sum(layers.values()) - potentials,
        "potentials": potentials,
        "layers": layers,
        "time_steps": samples * program.steps,
    }


def _count_differences(expected: Recording, got: Recording) -> dict[str, int]:
    spikes = sum(int(np.count_nonzero(got.spikes[name] != values)) for name, values in expected.spikes.items())
    return {"spikes": spikes, "potentials": int(np.count_nonzero(got.logits != expected.logits))}


def _order(program: Program, name: str) -> int:
    return [population.name for population in program.populations].index(name)


def _values(recording: Recording, program: Program, name: str) -> npt.NDArray[Any]:
    return recording.spikes[name] if program.population(name).neuron.spikes else recording.logits


def _first_divergence(
    program: Program, inputs: SpikeArray, backend: str, expected: Recording, got: Recording
) -> Divergence | None:
    """Return the first difference in order of time step, layer, neuron, or None."""
    first: tuple[int, int, int] | None = None
    for order, population in enumerate(program.populations):
        differs = _values(expected, program, population.name) != _values(got, program, population.name)
        found = np.flatnonzero(differs.any(axis=1))
        if len(found):
            neuron = int(np.flatnonzero(differs[found[0]])[0])
            # Logits are complete with the last row of their sample.
            row = int(found[0]) if population.neuron.spikes else int(found[0]) * program.steps + program.steps - 1
            here = (row + program.depths[population.name] - 1, order, neuron)
            first = here if first is None else min(first, here)
    return None if first is None else _divergence(program, inputs, backend, expected, got, first)


def _divergence(
    program: Program,
    inputs: SpikeArray,
    backend: str,
    expected: Recording,
    got: Recording,
    where: tuple[int, int, int],
) -> Divergence:
    time_step, order, neuron = where
    population = program.populations[order]
    row = time_step - program.depths[population.name] + 1
    incoming = program.incoming(population.name)
    weights = np.concatenate([_row(p, neuron) for p in incoming])
    arrived = np.concatenate(
        [_arrived(inputs if p.source == INPUT else expected.spikes[p.source], row, program, p) for p in incoming]
    )
    contributing = np.flatnonzero((arrived != 0) & (weights != 0))
    bias = int(population.bias[neuron])
    at = row if population.neuron.spikes else row // program.steps
    return Divergence(
        backend=backend,
        layer=population.name,
        neuron=neuron,
        time_step=time_step,
        sample=row // program.steps,
        kind="spike" if population.neuron.spikes else "potential",
        expected=int(_values(expected, program, population.name)[at, neuron]),
        got=int(_values(got, program, population.name)[at, neuron]),
        source=" + ".join(p.source for p in incoming),
        inputs=tuple(int(i) for i in contributing),
        weights=tuple(int(w) for w in weights[contributing]),
        bias=bias,
        potential=int(weights @ arrived) + bias,
    )


def _arrived(sent: npt.NDArray[Any], row: int, program: Program, projection: AnyProjection) -> IntArray:
    """Return what arrives at row ``row`` of ``sent`` (rows, size): nothing of the sample before."""
    lag = program.lag(projection)
    return (sent[row - lag] if row % program.steps >= lag else np.zeros_like(sent[row])).astype(np.int64)


def _row(projection: AnyProjection, neuron: int) -> IntArray:
    row = projection.rows(slice(neuron, neuron + 1))
    return (row if isinstance(row, np.ndarray) else row.toarray())[0].astype(np.int64)
