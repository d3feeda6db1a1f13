"""The Lava backend: Lava runs in a child process, bit-accurate to Loihi's fixed-point arithmetic."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib import metadata

from conntra_hardware.backends.child.launch import run_in_child
from conntra_hardware.backends.lava.registers import check_program, refuse_what_stock_cannot
from conntra_hardware.backends.lava.remainders import as_weights, cut_off
from conntra_hardware.backends.protocol import Availability, Recording, RunOptions
from conntra_hardware.base.arrays import SpikeArray
from conntra_hardware.base.errors import BackendError, InputError
from conntra_hardware.program import Program

__all__ = ["LavaBackend"]

_MODULE = "conntra_hardware.backends.lava.simulation"
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
        """Say whether lava-nc is installed; its packages are not imported."""
        python = ".".join(map(str, sys.version_info[:3]))
        try:
            return Availability(ok=True, versions={"lava-nc": metadata.version("lava-nc"), "python": python})
        except metadata.PackageNotFoundError:
            pass
        if sys.version_info < (3, 11):
            return Availability(ok=False, reason="lava-nc is not installed", remedy="pip install lava-nc==0.10.0")
        return Availability(
            ok=False,
            reason=f"Lava is not installed and does not exist for Python {python}",
            remedy="install conntra-neuro with Python 3.10, the last one that Lava supports; that brings Lava",
        )

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
            self.name, self.module, program, inputs, settings=settings, time_limit_s=options.time_limit_s
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
