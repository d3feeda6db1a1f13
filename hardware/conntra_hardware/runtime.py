"""Running a program: one call, one result type, whatever the backend."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from conntra_hardware.backends import load_backend
from conntra_hardware.backends.host import Host
from conntra_hardware.backends.protocol import Recording, RunOptions
from conntra_hardware.base.arguments import class_indices, seconds, target_values, whole
from conntra_hardware.base.arrays import ArrayLike, IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.values import Shown
from conntra_hardware.cost.events import EventCounts, count_events
from conntra_hardware.cost.measured import Measured
from conntra_hardware.program import Program

__all__ = ["RunResult", "run"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class RunResult(Shown):
    """Outputs of a run. ``logits`` (n, classes) int64; ``predictions`` (n,) class indices; ``spikes`` as in Recording.

    Of a program that answers with a value (``Program.value``) ``predictions`` are float64, ``mse`` is their mean
    squared error and ``r2`` the share of the targets' variance that they explain; of others these are None.
    ``accuracy`` is None where no labels were given, and of values. ``seconds`` is wall time, all included. ``counts``
    are those of the spikes recorded on ``counted_on``: ``backend`` itself, or the reference where a chip was not
    probed. ``recording`` is what the backend handed back, and ``program`` is what ran.
    """

    backend: str
    logits: IntArray
    predictions: npt.NDArray[np.int64] | npt.NDArray[np.float64]
    accuracy: float | None
    spikes: Mapping[str, IntArray]
    counts: EventCounts
    seconds: float
    recording: Recording = field(repr=False)
    program: Program = field(repr=False)
    counted_on: str = ""
    mse: float | None = None
    r2: float | None = None

    def __repr__(self) -> str:
        right = "" if self.accuracy is None else f", accuracy {100 * self.accuracy:.2f} %"
        right += "" if self.mse is None else f", MSE {self.mse:.6g}"
        return f"RunResult({self.backend}: {self.samples:,} samples{right}, {self.seconds:.3g} s)"

    @property
    def measured(self) -> Measured:
        """What a board measured; all None where nothing was."""
        return self.recording.measured

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.logits)


def run(
    program: Program,
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    backend: str = "reference",
    time_limit_s: float = 600.0,
    batch_size: int | None = None,
    host: Host | None = None,
    measure: bool = False,
    probe: bool = True,
) -> RunResult:
    """Run the samples ``x`` through ``program`` on ``backend``.

    x                     raw features (n, ...) where the program has an encoder, else 0/1 spikes (n, n_inputs), or
                          (n, steps, n_inputs) where a sample takes several time steps
    y                     class indices (n,), or of a program that answers with a value numbers (n,); None leaves out
                          the accuracy, or the error
    time_limit_s          seconds that a backend in a child process may take
    batch_size            samples that run side by side; None lets the backend choose
    host, measure, probe  for the backend "loihi"; see ``RunOptions``

    Raises InputError for samples that do not match, BackendError where the backend cannot run or fails.
    """
    seconds(time_limit_s)
    if batch_size is not None:
        whole(batch_size, "batch size", 1)
    inputs = program.encode(x)
    if len(inputs) == 0:
        raise InputError("samples: none given; at least 1 expected")
    samples = len(inputs) // program.steps
    labels = targets = None
    if y is not None and program.value is not None:
        targets = target_values(y, samples)
    elif y is not None:
        labels = class_indices(y, samples, program.readout.size)
    simulator = load_backend(backend)
    dry = backend == "loihi-dry" and not host and not measure
    if (host or measure or not probe) and not (backend == "loihi" or dry):
        raise InputError(f"backend {backend}: no chip to find, measure or probe; those options belong to backend loihi")
    start = time.perf_counter()
    recording = simulator.execute(
        program, inputs, RunOptions(time_limit_s, batch_size, host, measure, probe, traces=True)
    )
    took = time.perf_counter() - start
    logits = recording.logits
    predictions = logits.argmax(axis=1) if program.value is None else program.value.values(logits)
    mse = None if targets is None else float(np.mean((predictions - targets) ** 2))
    counted_on, spikes = backend, recording.spikes
    if not probe:
        counted_on, spikes = "reference", load_backend("reference").execute(program, inputs, RunOptions()).spikes
    result = RunResult(
        backend=backend,
        logits=recording.logits,
        predictions=predictions,
        accuracy=None if labels is None else float(np.mean(predictions == labels)),
        spikes=recording.spikes,
        counts=count_events(program, inputs, spikes, recording.traces),
        seconds=took,
        recording=recording,
        program=program,
        counted_on=counted_on,
        mse=mse,
        r2=None if targets is None or mse is None or not targets.var() else 1 - mse / float(targets.var()),
    )
    _log.info("ran %r", result)
    return result
