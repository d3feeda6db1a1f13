"""A job: what a simulator in a child process is given, and what it gives back, as files in one folder.

``job.json`` and one .npy file an array, none of them pickled. Inputs and recordings are memory-mapped, so
that a simulator's processes share them without copies. ``result.json`` is written last: where it is missing,
the run did not end well. A chip leaves what it measured in ``measured.json`` before that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.backends.protocol import spike_counts
from conntra_hardware.base.arrays import IntArray, SpikeArray
from conntra_hardware.base.errors import MALFORMED, BackendError
from conntra_hardware.cost.measured import Measured
from conntra_hardware.neurons import Facts
from conntra_hardware.program import AnyProjection, Program
from conntra_hardware.program.program_file import projection_from_file, projection_to_file

__all__ = [
    "Compartments",
    "Job",
    "read_job",
    "read_measured",
    "read_recordings",
    "read_result",
    "reading",
    "write_job",
    "write_result",
]

_JOB = "job.json"
_RESULT = "result.json"
_MEASURED = "measured.json"


@dataclass(frozen=True, eq=False)
class Compartments:
    """A population as a simulator sees it: facts, not a class, so that a kind it has never heard of is no less known.

    ``bias`` (size,) in weight units.
    """

    name: str
    kind: str
    facts: Facts
    bias: IntArray

    @property
    def size(self) -> int:
        """Number of neurons."""
        return len(self.bias)

    @property
    def spikes(self) -> bool:
        """Whether they ever spike; readouts do not."""
        return self.facts.threshold is not None

    @property
    def graded(self) -> bool:
        """Whether their spikes carry values."""
        return self.facts.graded


@dataclass(frozen=True, eq=False)
class Job:
    """The parts of a program that a simulator needs, the input spikes (rows, n_inputs), and the simulator's settings.

    A sample takes ``steps`` rows. ``spike_files[population]`` (rows, size), uint8 or int32 where they are graded, and
    ``logits_file`` (samples, classes) int64 are there already, to be written into; where the last population spikes,
    nobody reads the latter. ``depths`` as in Program.
    """

    folder: Path
    populations: tuple[Compartments, ...]
    projections: tuple[AnyProjection, ...]
    depths: Mapping[str, int]
    steps: int
    inputs: SpikeArray
    inputs_file: Path
    spike_files: Mapping[str, Path]
    logits_file: Path
    settings: Mapping[str, Any]

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.inputs) // self.steps

    @property
    def rows(self) -> int:
        """Number of time steps at which inputs enter."""
        return len(self.inputs)

    @property
    def depth(self) -> int:
        """Time steps from an input spike to the logits."""
        return self.depths[self.populations[-1].name]

    @property
    def measured_file(self) -> Path:
        """Where a chip's child leaves the fields of ``Measured``, as JSON."""
        return self.folder / _MEASURED

    @staticmethod
    def lag(projection: AnyProjection) -> int:
        """Rows from a spike to its arrival, as in Program."""
        return Program.lag(projection)

    def incoming(self, name: str) -> tuple[AnyProjection, ...]:
        """Return the projections into the population ``name``."""
        return tuple(p for p in self.projections if p.target == name)


def write_job(folder: Path, program: Program, inputs: SpikeArray, settings: Mapping[str, Any]) -> None:
    """Write the job of running ``inputs`` (rows, n_inputs) through ``program`` into ``folder``."""
    tensors: dict[str, np.ndarray] = {}
    stored = [projection_to_file(f"projection{index}", p, tensors) for index, p in enumerate(program.projections)]
    job = {
        "populations": [
            {"name": p.name, "kind": p.neuron.kind, "facts": asdict(p.neuron.facts)} for p in program.populations
        ],
        "projections": stored,
        "arrays": sorted(tensors),
        "depths": dict(program.depths),
        "steps": program.steps,
        "settings": dict(settings),
    }
    np.save(folder / "inputs.npy", inputs)
    for index, population in enumerate(program.populations):
        np.save(folder / f"bias{index}.npy", population.bias)
        if population.neuron.spikes:
            kind = np.int32 if population.neuron.graded else np.uint8
            _empty(folder / f"spikes{index}.npy", kind, (len(inputs), population.size))
    for name, array in tensors.items():
        np.save(folder / f"{name}.npy", array)
    _empty(folder / "logits.npy", np.int64, (len(inputs) // program.steps, program.readout.size))
    (folder / _JOB).write_text(json.dumps(job), encoding="utf-8")


def read_job(folder: Path) -> Job:
    """Read the job that ``write_job`` wrote."""
    job = json.loads((folder / _JOB).read_text(encoding="utf-8"))
    populations = tuple(
        Compartments(
            p["name"],
            p["kind"],
            _facts(p["facts"]),
            np.load(folder / f"bias{index}.npy", allow_pickle=False),
        )
        for index, p in enumerate(job["populations"])
    )
    arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in job["arrays"]}
    projections = tuple(
        projection_from_file(f"projection{index}", p, arrays) for index, p in enumerate(job["projections"])
    )
    return Job(
        folder=folder,
        populations=populations,
        projections=projections,
        depths=job["depths"],
        steps=job["steps"],
        inputs=np.load(folder / "inputs.npy", mmap_mode="r", allow_pickle=False),
        inputs_file=folder / "inputs.npy",
        spike_files={p.name: folder / f"spikes{i}.npy" for i, p in enumerate(populations) if p.spikes},
        logits_file=folder / "logits.npy",
        settings=job["settings"],
    )


def _facts(entries: Mapping[str, Any]) -> Facts:
    parameters: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entries.items()}
    parameters["thresholds"] = tuple(map(tuple, entries["thresholds"]))
    return Facts(**parameters)


def write_result(folder: Path, run_seconds: float) -> None:
    """Mark the job in ``folder`` as done; its simulation took ``run_seconds``."""
    (folder / _RESULT).write_text(json.dumps({"run_seconds": run_seconds}), encoding="utf-8")


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Have whatever is wrong with what the simulator ``what`` left raise BackendError, in one line."""
    try:
        yield
    except (OSError, EOFError, SyntaxError, TokenError, *MALFORMED) as error:
        said = " ".join(str(error).split())[:200]
        raise BackendError(
            f"{what}: its results are nonsense ({type(error).__name__}: {said}); "
            "run it again, and report it if that does not help"
        ) from error


def read_result(folder: Path) -> float | None:
    """Return the seconds of the simulation, or None where the job in ``folder`` was not done."""
    path = folder / _RESULT
    if not path.exists():
        return None
    seconds = float(json.loads(path.read_text(encoding="utf-8"))["run_seconds"])
    if not 0 <= seconds < math.inf:
        raise ValueError(f"a run of {seconds:g} s")
    return seconds


def read_measured(folder: Path) -> Measured:
    """Return what the job in ``folder`` measured: nothing, where it did not run on a chip."""
    path = folder / _MEASURED
    return Measured(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else Measured()


def read_recordings(folder: Path, program: Program) -> tuple[dict[str, SpikeArray], IntArray]:
    """Return the spikes of every spiking population and the logits, read into memory.

    ValueError, among others, where they are not of the shapes and types that ``write_job`` gave them.
    """
    spikes = {
        p.name: _recorded(folder / f"spikes{i}.npy", np.int32 if p.neuron.graded else np.uint8, p.size)
        for i, p in enumerate(program.populations)
        if p.neuron.spikes
    }
    for p in program.populations:
        if p.neuron.spikes and not p.neuron.graded and spikes[p.name].max(initial=0) > 1:
            raise ValueError(f"spikes of {p.name} up to {spikes[p.name].max()}; 0 and 1 expected")
    if program.readout.neuron.spikes:
        return spikes, spike_counts(program, spikes)
    return spikes, _recorded(folder / "logits.npy", np.int64, program.readout.size)


def _recorded(path: Path, dtype: type, size: int) -> npt.NDArray[Any]:
    values = np.load(path, allow_pickle=False)
    if values.dtype != dtype or values.ndim != 2 or values.shape[1] != size:
        expected = f"(n, {size}) of {np.dtype(dtype)}"
        raise ValueError(f"{path.name}: {values.shape} of {values.dtype}; {expected} expected")
    return values


def _empty(path: Path, dtype: type, shape: tuple[int, ...]) -> None:
    np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape).flush()
