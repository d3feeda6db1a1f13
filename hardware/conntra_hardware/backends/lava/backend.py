"""The Lava backend: Lava runs in a child process, bit-accurate to Loihi's fixed-point arithmetic."""

from __future__ import annotations

import sys
from dataclasses import replace

from conntra_hardware.backends.child.interpreter import Found, find_simulator
from conntra_hardware.backends.child.launch import run_in_child
from conntra_hardware.backends.lava.registers import check_program, refuse_what_stock_cannot
from conntra_hardware.backends.lava.remainders import as_weights, cut_off
from conntra_hardware.backends.protocol import Availability, Recording, RunOptions
from conntra_hardware.base.arrays import SpikeArray
from conntra_hardware.base.errors import BackendError, InputError
from conntra_hardware.program import Program

__all__ = ["LavaBackend", "find_lava", "lava_availability"]

_MODULE = "conntra_hardware.backends.lava.simulation"
_NEEDED = "name a Python 3.10 with lava-nc 0.10"
_MAKE_ONE = "conntra doctor --fix lava"
_MAX_BATCH = 512
_STEPS = 16
_CHANNEL_VALUES = 2**22


class LavaBackend:
    """Lava, batched or stock.

    ``stock`` False ("lava"): connections of ours take many samples at every time step, side by side; neurons are
    Lava's, but for graded ones and soft resets. ``stock`` True ("lava-stock"): Lava's own processes alone (Dense,
    Sparse, Conv, LIFReset, ATRLIF, GradedReluVec), one sample a time step. This is the conformance mode that the
    batched form is held to.
    """

    def __init__(self, stock: bool = False) -> None:
        self.stock = stock
        self.name = "lava-stock" if stock else "lava"
        self.module = _MODULE

    def availability(self) -> Availability:
        """Say whether lava-nc is installed, here or in another Python; its packages are not imported."""
        return lava_availability(find_lava())

    def execute(self, program: Program, inputs: SpikeArray, options: RunOptions) -> Recording:
        """Run input spikes (rows, n_inputs) through the program on simulated Loihi cores."""
        batch = self._batch(program, len(inputs) // program.steps, options.batch_size)
        found = self.availability()
        if not found.ok:
            raise BackendError(f"{self.name}: {found.reason}; {found.remedy}")
        asked = program
        if self.stock:
            program, inputs = as_weights(program, inputs)
            refuse_what_stock_cannot(program)
        check_program(program, inputs, self.stock)
        settings = {"stock": self.stock, "batch": batch}
        recording = run_in_child(
            self.name,
            self.module,
            program,
            inputs,
            settings=settings,
            time_limit_s=options.time_limit_s,
            python=found.python,
        )
        return recording if program is asked else replace(recording, spikes=cut_off(asked, recording.spikes))

    def _batch(self, program: Program, samples: int, asked: int | None) -> int:
        """Return the samples of a time step: enough steps to keep the pipeline busy, channels of bounded memory."""
        if self.stock:
            if asked not in (None, 1):
                raise InputError(f"{self.name}: batch size {asked}; 1 allowed, for batches use backend lava")
            return 1
        if asked is not None:
            if asked < 1:
                raise InputError(f"{self.name}: batch size {asked}; at least 1 expected")
            return min(asked, samples)
        widest = max(program.n_inputs, *(p.size for p in program.populations))
        return max(1, min(-(-samples // _STEPS), _MAX_BATCH, _CHANNEL_VALUES // widest))


def find_lava(distributions: tuple[str, ...] = (), modules: tuple[str, ...] = ()) -> Found:
    """Return the Python that has lava-nc, with the versions of other ``distributions`` and the ``modules`` there."""
    return find_simulator("lava", ("lava-nc", *distributions), modules, f"{_NEEDED} ({_MAKE_ONE} makes one)")


def lava_availability(found: Found) -> Availability:
    """Return whether Lava can run, by where it was found."""
    if found.reason:
        return Availability(ok=False, reason=found.reason, remedy=found.remedy)
    if found.versions:
        key = "python" if not found.python else "lava-python"
        return Availability(ok=True, versions={**found.versions, key: found.version}, python=found.python)
    if sys.version_info < (3, 11):
        return Availability(ok=False, reason="lava-nc is not installed", remedy="pip install lava-nc==0.10.0")
    python = ".".join(map(str, sys.version_info[:3]))
    return Availability(
        ok=False,
        reason=f"Lava is not installed and does not exist for Python {python}",
        remedy=f"{_MAKE_ONE} makes an environment with Python 3.10 for it; or name one in CONNTRA_LAVA_PYTHON",
    )
