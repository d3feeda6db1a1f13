"""A failing program made small: fewer samples, fewer layers, fewer neurons, as long as it still fails."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.backends.reference import ReferenceBackend
from conntra_hardware.base.files import write_atomically
from conntra_hardware.program import INPUT, AnyProjection, Population, Program, Projection, SparseProjection
from conntra_hardware.program.program_file import save_program
from conntra_hardware.proof.fuzz_case import FuzzCase
from conntra_hardware.proof.verify import Certificate

__all__ = ["restrict", "save_case", "save_failure", "shrink"]

Kept = dict[str, npt.NDArray[np.intp]]


def shrink(case: FuzzCase, fails: Callable[[FuzzCase], bool], budget_s: float = 60.0) -> FuzzCase:
    """Return the smallest case found that still fails within ``budget_s``; each candidate is run once."""
    deadline = time.perf_counter() + budget_s
    progressed = True
    while progressed:
        progressed = False
        for candidate in _candidates(case):
            if time.perf_counter() > deadline:
                return case
            if _fails(fails, candidate):
                case, progressed = candidate, True
                break
    return case


def restrict(program: Program, kept: Kept) -> Program:
    """Return ``program`` with the neurons of each population, and the inputs, that ``kept`` names, in that order."""
    populations = tuple(
        replace(p, neuron=p.neuron.take(kept[p.name]), bias=p.bias[kept[p.name]]) for p in program.populations
    )
    projections = tuple(_restricted(p, kept, program) for p in program.projections)
    slices = []
    for population in program.populations:
        start = 0
        for s in program.slices_of(population.name):
            size = int(np.count_nonzero((kept[population.name] >= s.start) & (kept[population.name] < s.stop)))
            if size:
                slices.append(replace(s, start=start, stop=start + size))
            start += size
    inputs = len(kept[INPUT])
    return replace(program, n_inputs=inputs, populations=populations, projections=projections, slices=tuple(slices))


def _restricted(projection: AnyProjection, kept: Kept, program: Program) -> AnyProjection:
    """A convolution stays one while all of it is kept, and is sparse synapses from then on."""
    source, target = kept[projection.source], kept[projection.target]
    if (len(target), len(source)) == projection.shape:
        return projection
    if isinstance(projection, Projection):
        return replace(projection, weights=projection.weights[np.ix_(target, source)])
    rest = projection.matrix()[target][:, source]
    return SparseProjection(projection.source, projection.target, rest, projection.delay)


def save_failure(folder: Path, case: FuzzCase, certificate: Certificate, chosen: Mapping[str, Any]) -> Path:
    """Write program.conntra, inputs.npy and certificate.json into ``folder`` and return it.

    `conntra verify program.conntra --certificate certificate.json` shows the failure again.
    """
    save_case(folder, case, chosen)
    digest = hashlib.sha256((folder / "inputs.npy").read_bytes()).hexdigest()
    spikes = {"spikes": "inputs.npy", "spikes_sha256": digest}
    replace(certificate, chosen={**spikes, **chosen}).save(folder / "certificate.json")
    return folder


def save_case(folder: Path, case: FuzzCase, chosen: Mapping[str, Any]) -> Path:
    """Write program.conntra and inputs.npy into ``folder`` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_program(case.program, folder / "program.conntra", dict(chosen))
    write_atomically(folder / "inputs.npy", _npy(case.inputs))
    return folder


def _npy(array: npt.NDArray[Any]) -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _fails(fails: Callable[[FuzzCase], bool], case: FuzzCase) -> bool:
    try:
        return fails(case)
    except Exception:
        return False  # another failure than the one that is looked for


def _candidates(case: FuzzCase) -> Iterator[FuzzCase]:
    """Yield smaller cases, the largest steps first."""
    samples = case.inputs.reshape(-1, case.program.steps, case.program.n_inputs)
    yield from (replace(case, inputs=part.reshape(-1, case.program.n_inputs)) for part in _parts(samples))
    if _is_chain(case.program):
        yield _without_first_layer(case)
    names = [INPUT, *(p.name for p in case.program.populations)]
    everything = {name: np.arange(case.program.source_size(name)) for name in names}
    for name in names:
        for part in _parts(everything[name]):
            program = restrict(case.program, everything | {name: part})
            inputs = case.inputs[:, part] if name == INPUT else case.inputs
            yield replace(case, program=program, inputs=np.ascontiguousarray(inputs))


def _parts(rows: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Yield halves, then quarters left out, of at least one row."""
    n = len(rows)
    if n > 1:
        yield rows[: n // 2]
        yield rows[n // 2 :]
    if n > 2:
        quarter = max(1, n // 4)
        for start in range(0, n, quarter):
            yield np.delete(rows, slice(start, start + quarter), axis=0)


def _is_chain(program: Program) -> bool:
    """Return whether there is a first layer that can go: alone at its depth, with spikes that can be inputs."""
    first, *rest = program.populations
    own = any(p.source == p.target for p in program.projections)
    return (
        bool(rest) and len(program.outgoing(INPUT)) == 1 and not first.neuron.graded and program.steps == 1 and not own
    )


def _without_first_layer(case: FuzzCase) -> FuzzCase:
    """Feed the second layer with what the first one should have sent."""
    program = case.program
    first, rest = program.populations[0], program.populations[1:]
    spikes = ReferenceBackend().execute(program, case.inputs, RunOptions()).spikes[first.name]
    projections = tuple(
        replace(p, source=INPUT) if p.source == first.name else p for p in program.projections if p.target != first.name
    )
    slices = tuple(s for s in program.slices if s.population != first.name)
    populations: tuple[Population, ...] = rest
    smaller = replace(
        program, n_inputs=first.size, populations=populations, projections=projections, slices=slices, encoder=None
    )
    return replace(case, program=smaller, inputs=spikes)
