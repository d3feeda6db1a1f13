"""The CPU models of ``process.py``, in fixed point."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort, PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.utils.weightutils import clip_weights, truncate_weights

from conntra_hardware.backends.lava.processes.process import (
    BatchedDense,
    PotentialRecorder,
    SpikeRecorder,
    SpikeSource,
)

__all__ = ["PyBatchedDense", "PyPotentialRecorder", "PySpikeRecorder", "PySpikeSource"]

_FLOAT32_EXACT = 2**24
_POTENTIAL_SHIFT = 6
_WEIGHT_BITS = 8


@implements(proc=BatchedDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyBatchedDense(PyLoihiProcessModel):
    """Clips, truncates, sums and shifts as Lava's PyDenseModelBitAcc does; the sum is a matrix product."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=16)
    a_buff: Any = LavaPyType(np.ndarray, np.int32, precision=16)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.stored: np.ndarray = proc_params["weights"]
        self.sign_mode: Any = proc_params["sign_mode"]
        self.weight_exp: int = proc_params["weight_exp"]
        self.prepared: np.ndarray | None = None

    def _prepare(self) -> np.ndarray:
        """Return the weights as the chip holds them, in the narrowest type whose sums are exact."""
        clipped = clip_weights(self.stored, self.sign_mode, num_bits=_WEIGHT_BITS)
        weights = np.asarray(truncate_weights(clipped, self.sign_mode, _WEIGHT_BITS))
        exact32 = np.abs(weights).sum(axis=1).max(initial=0) < _FLOAT32_EXACT
        return weights.astype(np.float32 if exact32 else np.float64)

    def run_spk(self) -> None:
        """Send the sums of the step before, as Lava's Dense does, then receive."""
        if self.prepared is None:
            self.prepared = self._prepare()
        self.a_out.send(self.a_buff)
        spikes = self.s_in.recv().astype(bool).astype(self.prepared.dtype)
        sums = (self.prepared @ spikes).astype(np.int32)
        self.a_buff = sums << self.weight_exp if self.weight_exp > 0 else sums >> -self.weight_exp


@implements(proc=SpikeSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySpikeSource(PyLoihiProcessModel):
    """Sends the next samples; zeros when there are no more, so that the pipeline runs empty."""

    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.size, self.batch = (*proc_params["shape"], 1)[:2]
        self.message_shape: tuple[int, ...] = proc_params["shape"]
        self.inputs = np.load(proc_params["path"], mmap_mode="r", allow_pickle=False)

    def run_spk(self) -> None:
        """Send one sample, or one batch."""
        first = (self.time_step - 1) * self.batch
        block = self.inputs[first : first + self.batch]
        spikes = np.zeros((self.size, self.batch), dtype=np.int32)
        spikes[:, : len(block)] = block.T
        self.s_out.send(spikes.reshape(self.message_shape))


class _Recorder(PyLoihiProcessModel):
    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.depth: int = proc_params["depth"]
        self.file = np.load(proc_params["path"], mmap_mode="r+", allow_pickle=False)

    def _write(self, values: np.ndarray) -> None:
        """Write what the population shows at this step: the samples that entered ``depth`` steps before."""
        columns = values.reshape(values.shape[0], -1)
        first = (self.time_step - 1 - self.depth) * columns.shape[1]
        if 0 <= first < len(self.file):
            target = self.file[first : first + columns.shape[1]]
            target[:] = columns.T[: len(target)]


@implements(proc=SpikeRecorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySpikeRecorder(_Recorder):
    """Receives spikes."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def run_spk(self) -> None:
        """Write the spikes of this step."""
        self._write(self.s_in.recv())


@implements(proc=PotentialRecorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyPotentialRecorder(_Recorder):
    """Reads a state variable after each step, in the management phase, as a host would."""

    v: Any = LavaPyType(PyRefPort.VEC_DENSE, np.int32)

    def post_guard(self) -> Any:
        """Ask for the management phase at every step after the fill."""
        return self.time_step > self.depth

    def run_post_mgmt(self) -> None:
        """Write the potentials, whole numbers of weights: the lowest six bits of the state are zero."""
        self._write(self.v.read() >> _POTENTIAL_SHIFT)
