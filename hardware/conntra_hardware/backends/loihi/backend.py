"""The Loihi 2 backend: stock Lava processes on a chip, one sample a time step, in a child process."""

from __future__ import annotations

from dataclasses import asdict, replace

from conntra_hardware.backends.child.launch import run_in_child
from conntra_hardware.backends.host import Host, host_from
from conntra_hardware.backends.lava.backend import find_lava, lava_availability
from conntra_hardware.backends.loihi.registers import check_deployable, forgetful
from conntra_hardware.backends.protocol import Availability, Recording, RunOptions
from conntra_hardware.base.arrays import SpikeArray
from conntra_hardware.base.errors import BackendError, InputError
from conntra_hardware.program import Program

__all__ = ["LoihiBackend"]

_MODULE = "conntra_hardware.backends.loihi.deployment"
_EXTENSION = "lava.utils.loihi2_profiler"
_DISTRIBUTIONS = ("lava-loihi", "nxcore")
_REMEDY = (
    "it is Intel's, for members of its research community (INRC): install lava-loihi for lava-nc 0.10 beside this "
    "package, or take the backend loihi-dry, which runs the same processes on this machine"
)


class LoihiBackend:
    """A Loihi 2 board ("loihi"), or the same processes with adapters that pass through ("loihi-dry").

    The second is a simulation on the CPU: it shows before a board is booked that a program survives being taken apart
    into stock processes, and it measures nothing.
    """

    def __init__(self, on_chip: bool = True) -> None:
        self.on_chip = on_chip
        self.name = "loihi" if on_chip else "loihi-dry"
        self.module = _MODULE

    def availability(self) -> Availability:
        """Say whether Lava and, for a chip, Intel's extension are installed; nothing of them is imported."""
        found = find_lava(_DISTRIBUTIONS, (_EXTENSION,)) if self.on_chip else find_lava()
        lava = lava_availability(found)
        if lava.ok and self.on_chip and _EXTENSION not in found.modules:
            return Availability(ok=False, reason="Lava's extension for Loihi is not installed", remedy=_REMEDY)
        return lava

    def execute(self, program: Program, inputs: SpikeArray, options: RunOptions) -> Recording:
        """Run input spikes (rows, n_inputs) through the program, one sample a time step; one that takes several, and
        all that is kept between them, stands apart from the next one by quiet steps.

        With ``options.probe`` False only the readout's potentials are taken from the chip, and the recording has no
        spikes.
        """
        if options.batch_size not in (None, 1):
            raise InputError(f"{self.name}: batch size {options.batch_size}; 1 allowed: a chip takes a sample a step")
        found = self.availability()
        if not found.ok:
            raise BackendError(f"{self.name}: {found.reason}; {found.remedy}")
        host = options.host or host_from() if self.on_chip else Host()
        plan = check_deployable(self.name, program, inputs)
        settings = {
            "on_chip": self.on_chip,
            "host": asdict(host) | {"name": str(host)},
            "measure": options.measure,
            "probe": options.probe,
            "forgets": forgetful(program),
            "time": None if plan is None else plan.to_dict(),
        }
        recording = run_in_child(
            self.name,
            self.module,
            program,
            inputs,
            settings=settings,
            time_limit_s=options.time_limit_s,
            python=found.python,
        )
        return recording if options.probe else replace(recording, spikes={})
