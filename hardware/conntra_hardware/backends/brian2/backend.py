"""The Brian2 backend: a general spiking simulator in double precision, independent of Lava."""

from __future__ import annotations

from importlib import metadata

from conntra_hardware.backends.child.launch import run_in_child
from conntra_hardware.backends.protocol import Availability, Recording, RunOptions
from conntra_hardware.backends.refuse import refuse_neurons
from conntra_hardware.base.arrays import SpikeArray
from conntra_hardware.base.errors import BackendError, InputError, UnsupportedProgram
from conntra_hardware.neurons import GRADED_MAX
from conntra_hardware.program import Program

__all__ = ["FORMS", "Brian2Backend"]

FORMS = ("threshold", "graded", "multi threshold", "integrating", "leaky", "sigma delta", "readout", "leaky readout")
"""The forms of neuron that ``simulation`` has equations for."""

_MODULE = "conntra_hardware.backends.brian2.simulation"
_MAX_BATCH = 256
_MAX_SYNAPSES = 1_500_000
_EXACT = 2**53


class Brian2Backend:
    """Brian2 with its NumPy code generator, in a child process; a batch runs as independent copies side by side."""

    name = "brian2"

    def __init__(self) -> None:
        self.module = _MODULE

    def availability(self) -> Availability:
        """Say whether Brian2 is installed; it is not imported."""
        try:
            return Availability(ok=True, versions={"brian2": metadata.version("brian2")})
        except metadata.PackageNotFoundError:
            return Availability(ok=False, reason="brian2 is not installed", remedy="pip install brian2")

    def execute(self, program: Program, inputs: SpikeArray, options: RunOptions) -> Recording:
        """Run input spikes (rows, n_inputs) through the program."""
        asked = options.batch_size
        if asked is not None and asked < 1:
            raise InputError(f"{self.name}: batch size {asked}; at least 1 expected")
        found = self.availability()
        if not found.ok:
            raise BackendError(f"{self.name}: {found.reason}; {found.remedy}")
        refuse_neurons(self.name, program, FORMS, "use backend reference")
        _check_exact(program)
        batch = min(len(inputs) // program.steps, asked or _batch(program))
        return run_in_child(
            self.name, self.module, program, inputs, settings={"batch": batch}, time_limit_s=options.time_limit_s
        )


def _batch(program: Program) -> int:
    """Return the copies to lay side by side: each costs memory for its synapses, each time step costs a millisecond."""
    synapses = sum(p.n_synapses for p in program.projections)
    return max(1, min(_MAX_BATCH, _MAX_SYNAPSES // max(synapses, 1)))


def _check_exact(program: Program) -> None:
    """Refuse sums that double precision does not hold exactly."""
    import numpy as np

    graded = {p.name for p in program.populations if p.neuron.graded}
    for population in program.populations:
        magnitude = np.abs(population.bias)
        for projection in program.incoming(population.name):
            if projection.delay and projection.source in graded:
                raise UnsupportedProgram(
                    f"brian2: projection {projection.source} -> {projection.target}: graded spikes with a delay of "
                    f"{projection.delay}; its synapses read the value when it arrives; use backend reference"
                )
            largest = GRADED_MAX if projection.source in graded else 1
            magnitude = magnitude + projection.magnitudes() * largest
        # Loihi's registers wrap round or stop, here as there.
        magnitude = magnitude * (64 if population.neuron.facts.fraction_bits else program.steps)
        if int(magnitude.max(initial=0)) >= _EXACT:
            raise BackendError(
                f"brian2: population {population.name}: potentials up to {int(magnitude.max())}; "
                f"double precision is exact below {_EXACT}; use smaller biases"
            )
