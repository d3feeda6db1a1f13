"""The SANA-FE backend: the same program on a simulator with an energy and timing model of its own.

SANA-FE is licensed under GPL-3. It is never imported here: a child process runs it, and files carry what it did.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from conntra_hardware.backends.child.interpreter import find_simulator
from conntra_hardware.backends.child.job import read_recordings, read_result, reading, write_job
from conntra_hardware.backends.child.launch import child_command, supervise
from conntra_hardware.backends.protocol import Availability, Recording, RunOptions
from conntra_hardware.backends.sanafe.architecture import architecture, core_places
from conntra_hardware.backends.sanafe.registers import check_sayable, lives_in_time, needs_delays
from conntra_hardware.base.arrays import SpikeArray
from conntra_hardware.base.errors import BackendError
from conntra_hardware.cost.coefficients import Coefficients, load_coefficients
from conntra_hardware.program import Program

__all__ = ["Performance", "SanafeBackend"]

_MODULE = "conntra_hardware.backends.sanafe.simulation"
_PERFORMANCE_FILE = "performance.json"
_COEFFICIENTS = "sanafe2025"

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Performance:
    """What SANA-FE says the run took, for each step in which a sample enters, shape (n,).

    ``energy_j``: soma (neuron accesses, updates and spikes), synapse, network (packets and hops, the input's too).
    ``step_time_s`` is that of its simple timing model. Of a program that lives in time all of it is for a whole sample,
    from its first row at the inputs to its last row at the readout, alone on the chip. Synapses of several projections
    into a core cost what those of the first one do; with delays, all of a core what most of them do.
    """

    energy_j: Mapping[str, Reals]
    step_time_s: Reals

    @property
    def dynamic_j(self) -> float:
        """Energy of the whole run."""
        return float(sum(energy.sum() for energy in self.energy_j.values()))


class SanafeBackend:
    """SANA-FE in a child process, one sample a time step; samples that live in time one after the other."""

    name = "sanafe"

    def availability(self) -> Availability:
        """Say whether SANA-FE is installed, here or in the Python of CONNTRA_SANAFE_PYTHON; it is not imported."""
        found = find_simulator("sanafe", ("sanafe",), remedy="name a Python with sanafe")
        if found.reason:
            return Availability(ok=False, reason=found.reason, remedy=found.remedy)
        if not found.versions:
            return Availability(
                ok=False, reason="sanafe is not installed", remedy="pip install 'conntra-neuro[sanafe]'"
            )
        other = {"sanafe-python": found.version} if found.python else {}
        return Availability(ok=True, versions={**found.versions, **other}, python=found.python)

    def execute(self, program: Program, inputs: SpikeArray, options: RunOptions) -> Recording:
        """Run input spikes (rows, n_inputs) through the program."""
        return self.measure(program, inputs, options)[0]

    def measure(
        self,
        program: Program,
        inputs: SpikeArray,
        options: RunOptions | None = None,
        coefficients: str | Coefficients = _COEFFICIENTS,
    ) -> tuple[Recording, Performance]:
        """Run input spikes (rows, n_inputs) through the program, and return what SANA-FE says it took.

        BackendError where SANA-FE is not installed, fails, or runs past its time limit, or cannot say the program.
        """
        found = self.availability()
        if not found.ok:
            raise BackendError(f"{self.name}: {found.reason}; {found.remedy}")
        check_sayable(program, inputs)
        costs = load_coefficients(coefficients) if isinstance(coefficients, str) else coefficients
        start = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="conntra-") as name:
            folder = Path(name)
            write_job(folder, program, inputs, _settings(program, costs))
            limit = (options or RunOptions()).time_limit_s
            command = child_command(_MODULE, folder, found.python)
            supervise(self.name, command, folder, limit, other=bool(found.python))
            with reading(self.name):
                run_seconds = read_result(folder)
                if run_seconds is None:
                    raise BackendError(
                        f"{self.name}: ended without a result; run it again, and report it if it stays so"
                    )
                spikes, logits = read_recordings(folder, program)
                measured = _performance(json.loads((folder / _PERFORMANCE_FILE).read_text(encoding="utf-8")))
        seconds = time.perf_counter() - start
        return Recording(spikes, logits, run_seconds=run_seconds, start_seconds=seconds - run_seconds), measured


def _settings(program: Program, costs: Coefficients) -> dict[str, object]:
    delays = needs_delays(program)
    stored = _stored(program, one_a_core=delays)
    return {
        "architecture": architecture(program, costs, delays),
        "over_time": lives_in_time(program),
        "delays": delays,
        "places": {str(core): place for core, place in core_places(program).items()},
        "slices": {
            p.name: [
                (s.start, s.stop, s.runs, s.stride, s.core, stored[s.core, p.name]) for s in program.slices_of(p.name)
            ]
            for p in program.populations
        },
    }


def _stored(program: Program, one_a_core: bool) -> dict[tuple[int, str], str]:
    """Return by core and population the unit that holds the synapses.

    SANA-FE finds a delay by the place of a synapse in its unit, whichever unit that is: with delays there is
    ``one_a_core``, that of most of the core's synapses.
    """
    stored: dict[tuple[int, str], str] = {}
    for usage in program.usage:
        counts: dict[str, int] = {}
        for encoding in usage.encodings:
            counts[encoding.name] = counts.get(encoding.name, 0) + encoding.synapses
        common = max(counts, key=lambda name: counts[name])
        for encoding in usage.encodings:
            stored.setdefault((usage.core, encoding.target), common if one_a_core else encoding.name)
    return stored


def _performance(measured: Mapping[str, list[float]]) -> Performance:
    kinds = ("soma", "synapse", "network", "dendrite")
    energy = {kind: np.array(measured[f"{kind}_energy"]) for kind in kinds}
    return Performance(energy, np.array(measured["sim_time"]))
