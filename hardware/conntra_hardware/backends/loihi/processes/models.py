"""The models of ``process.py``: adapters that pass through on a CPU, adapters of Intel's extension on a chip."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.resources import CPU, Loihi2NeuroCore
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from conntra_hardware.backends.loihi.processes.process import (
    HostRecorder,
    HostSource,
    InputAdapter,
    OutputAdapter,
)

__all__ = [
    "NxInputAdapter",
    "NxOutputAdapter",
    "PyHostRecorder",
    "PyHostSource",
    "PyInputAdapter",
    "PyOutputAdapter",
]

_UNUSED_BITS = 8  # a graded spike is a signed number of 24 bits in a word of 32


@implements(proc=HostSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyHostSource(PyLoihiProcessModel):
    """Sends the next row; zeros between samples, and when there are no more, so that the pipeline runs empty."""

    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    mark: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    control: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.inputs = np.load(proc_params["path"], mmap_mode="r", allow_pickle=False)
        self.steps, self.period, self.silent = (proc_params[name] for name in ("steps", "period", "silent"))

    def run_spk(self) -> None:
        """Send one row."""
        sample, row = divmod(self.time_step - 1, self.period)
        index = sample * self.steps + row
        lasts = row < self.steps and index < len(self.inputs)
        after = self.steps <= row < self.steps + self.silent and sample * self.steps < len(self.inputs)
        values = self.inputs[index] if lasts else np.zeros(self.inputs.shape[1])
        self.s_out.send(np.asarray(values, np.int32))
        self.mark.send(np.array([self.time_step == 1], np.int32))
        self.control.send(np.array([lasts, after], np.int32))


@implements(proc=HostRecorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyHostRecorder(PyLoihiProcessModel):
    """Receives spikes, or graded spikes where the file holds 32-bit numbers."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.file = np.load(proc_params["path"], mmap_mode="r+", allow_pickle=False)

    def run_spk(self) -> None:
        """Write what arrives at this step."""
        values = self.s_in.recv().astype(np.int32)
        if self.file.dtype == np.int32:
            # The adapter hands over 24 bits without their sign.
            values = (values << _UNUSED_BITS) >> _UNUSED_BITS
        if self.time_step <= len(self.file):
            self.file[self.time_step - 1] = values


class _PassThrough(PyLoihiProcessModel):
    inp: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def run_spk(self) -> None:
        """Pass on what arrives, in the same time step."""
        self.out.send(self.inp.recv())


@implements(proc=InputAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyInputAdapter(_PassThrough):
    """No chip, nothing to adapt."""


@implements(proc=OutputAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyOutputAdapter(_PassThrough):
    """No chip, nothing to adapt."""


# The extension is imported in the constructors, for Lava reads this file where there is none, too.


@implements(proc=InputAdapter, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
class NxInputAdapter(AbstractSubProcessModel):
    """An embedded processor of the chip takes spikes from the host and injects them."""

    def __init__(self, proc: Any) -> None:
        from lava.proc.embedded_io.spike import PyToNxAdapter  # type: ignore[import-not-found]

        self.adapter = PyToNxAdapter(shape=proc.proc_params["shape"], num_message_bits=0)
        proc.inp.connect(self.adapter.inp)
        self.adapter.out.connect(proc.out)


@implements(proc=OutputAdapter, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
class NxOutputAdapter(AbstractSubProcessModel):
    """An embedded processor of the chip collects spikes and hands them to the host."""

    def __init__(self, proc: Any) -> None:
        from lava.proc.embedded_io.spike import NxToPyAdapter  # type: ignore[import-not-found]

        self.adapter = NxToPyAdapter(shape=proc.proc_params["shape"], num_message_bits=proc.proc_params["bits"])
        proc.inp.connect(self.adapter.inp)
        self.adapter.out.connect(proc.out)
