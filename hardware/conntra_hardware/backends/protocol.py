"""The protocol that every backend follows: what it is given, what it hands back, whether it can run here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from conntra_hardware.backends.host import Host
from conntra_hardware.base.arrays import IntArray, SpikeArray
from conntra_hardware.cost.measured import Measured
from conntra_hardware.program import Program

__all__ = ["Availability", "Backend", "Recording", "RunOptions", "spike_counts"]


@dataclass(frozen=True)
class Availability:
    """Whether a backend can run here (``ok``); where not, the ``reason`` and the ``remedy``.

    ``versions`` are those of what it runs on, by package. ``python`` is the program of the Python that runs it, where
    that is not this one.
    """

    ok: bool
    reason: str = ""
    remedy: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    python: str = ""


@dataclass(frozen=True)
class RunOptions:
    """``time_limit_s`` bounds backends that run in a child process; ``batch_size`` None lets the backend choose.

    For a chip: ``host`` is where it is (None: as the environment says), ``measure`` reads its profilers, ``probe``
    False takes the readout's potentials from it and no spikes, which is what a measured run should do.
    ``traces`` asks for those of a Recording; backends may leave them out.
    """

    time_limit_s: float = 600.0
    batch_size: int | None = None
    host: Host | None = None
    measure: bool = False
    probe: bool = True
    traces: bool = False


@dataclass(frozen=True, eq=False)
class Recording:
    """What a backend saw.

    ``spikes[population]`` (rows, size) for every spiking population, 0/1 uint8, graded ones int32; a sample of several
    time steps has as many rows, one after the other. ``logits`` (n, classes) int64.

    ``traces[population]`` (rows, size), for some populations or none: 1 where a neuron carries u or v on to the next
    row, plus 2 where its synaptic sum is not 0.

    A chip that was not probed records no spikes at all.

    ``run_seconds`` is the simulation, ``start_seconds`` starting and stopping the simulator. ``measured`` is what a
    board measured; of a simulation it is empty.
    """

    spikes: Mapping[str, IntArray]
    logits: IntArray
    run_seconds: float
    start_seconds: float = 0.0
    measured: Measured = field(default_factory=Measured)
    traces: Mapping[str, npt.NDArray[np.uint8]] = field(default_factory=dict)

    def __repr__(self) -> str:
        spikes = sum(int((values != 0).sum()) for values in self.spikes.values())
        return f"Recording({len(self.logits):,} samples, {spikes:,} spikes, {self.run_seconds:.3g} s)"


def spike_counts(program: Program, spikes: Mapping[str, IntArray]) -> IntArray:
    """Return the logits (n, classes) of a program whose last population spikes: what each neuron sent, added up."""
    last = spikes[program.readout.name]
    return last.reshape(-1, program.steps, last.shape[1]).sum(axis=1, dtype=np.int64)


class Backend(Protocol):
    """A simulator or a chip that runs programs exactly."""

    name: str

    def availability(self) -> Availability:
        """Say whether it can run here, without importing anything heavy."""
        ...

    def execute(self, program: Program, inputs: SpikeArray, options: RunOptions) -> Recording:
        """Run ``program`` on the input spikes ``inputs`` (rows, n_inputs), one row a time step, as ``options`` say.

        Raises BackendError where that fails, UnsupportedProgram for a program that it does not run.
        """
        ...
