"""The CPU models of ``process.py``, in fixed point."""

from __future__ import annotations

from collections import deque
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
    BatchedSynapses,
    GradedNeurons,
    LeakyNeurons,
    MultiThresholdNeurons,
    PotentialRecorder,
    SampleGate,
    SigmaDeltaClearer,
    SoftResetNeurons,
    SpikeRecorder,
    SpikeSource,
    StateClearer,
)

__all__ = [
    "PyBatchedSynapses",
    "PyGradedNeurons",
    "PyLeakyNeurons",
    "PyMultiThresholdNeurons",
    "PyPotentialRecorder",
    "PySampleGate",
    "PySigmaDeltaClearer",
    "PySoftResetNeurons",
    "PySpikeRecorder",
    "PySpikeSource",
    "PyStateClearer",
]

_FLOAT32_EXACT = 2**24
_POTENTIAL_SHIFT = 6
_DECAY_SHIFT = 12
_DECAY_UNITY = 2**_DECAY_SHIFT
_WEIGHT_BITS = 8
_LARGEST_STATE = 2**23 - 1


@implements(proc=BatchedSynapses, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyBatchedSynapses(PyLoihiProcessModel):
    """Clips, truncates, sums and shifts as Lava's PyDenseModelBitAcc does; the sum is a matrix product."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=16)
    a_buff: Any = LavaPyType(np.ndarray, np.int32, precision=16)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.stored: Any = proc_params["weights"]
        self.sign_mode: Any = proc_params["sign_mode"]
        self.weight_exp: int = proc_params["weight_exp"]
        self.graded: bool = proc_params["graded"]
        self.lag, self.interval, self.depth = (int(proc_params[key]) for key in ("lag", "interval", "depth"))
        self.under_way: Any = deque(maxlen=int(proc_params["delay"]) + 1)
        self.prepared: Any = None

    def _prepare(self) -> Any:
        """Return the weights as the chip holds them, in the narrowest type whose sums are exact."""
        dense = isinstance(self.stored, np.ndarray)
        values = self.stored if dense else self.stored.data
        clipped = clip_weights(values, self.sign_mode, num_bits=_WEIGHT_BITS)
        values = np.asarray(truncate_weights(clipped, self.sign_mode, _WEIGHT_BITS))
        # Sums of 9-bit weights and 24-bit spikes stay below 2^53 with fewer than 2^20 synapses a neuron.
        exact32 = not self.graded and 2 ** (_WEIGHT_BITS + 1) * self.stored.shape[1] < _FLOAT32_EXACT
        if dense and not self.graded:
            exact32 = np.abs(values).sum(axis=1).max(initial=0) < _FLOAT32_EXACT
        kind = np.float32 if exact32 else np.float64
        if dense:
            return values.astype(kind)
        prepared = self.stored.astype(kind)
        prepared.data = values.astype(kind)
        return prepared

    def run_spk(self) -> None:
        """Send the sums of the step before, as Lava's Dense does, then receive."""
        if self.prepared is None:
            self.prepared = self._prepare()
        if len(self.under_way) == self.under_way.maxlen:
            self.a_buff = self.under_way.popleft()
        self.a_out.send(self.a_buff)
        message = self.s_in.recv()
        if not in_its_sample(self.time_step, self.depth, self.interval, self.lag):
            self.under_way.append(np.zeros_like(self.a_buff))
            return
        spikes = (message if self.graded else message.astype(bool)).astype(self.prepared.dtype)
        sums = (self.prepared @ spikes).astype(np.int32)
        self.under_way.append(sums << self.weight_exp if self.weight_exp > 0 else sums >> -self.weight_exp)


@implements(proc=GradedNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyGradedNeurons(PyLoihiProcessModel):
    """Adds, shifts, and sends what is positive."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.bias: np.ndarray = proc_params["bias"].reshape(-1, *(1 for _ in proc_params["shape"][1:]))
        self.shift: Any = proc_params["shift"]
        self.ceiling: Any = proc_params["ceiling"]

    def run_spk(self) -> None:
        """Receive, and send at once."""
        self.s_out.send(np.clip((self.a_in.recv() + self.bias) >> self.shift, 0, self.ceiling))


@implements(proc=MultiThresholdNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyMultiThresholdNeurons(PyLoihiProcessModel):
    """Compares with one threshold after the other."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        column = (-1, *(1 for _ in proc_params["shape"][1:]))
        self.bias: np.ndarray = proc_params["bias"].reshape(column)
        self.thresholds: list[np.ndarray] = [row.reshape(column) for row in proc_params["thresholds"].T]

    def run_spk(self) -> None:
        """Receive, and send at once."""
        v = self.a_in.recv() + self.bias
        sent = np.zeros(v.shape, np.int32)
        for threshold in self.thresholds:
            sent += v > threshold
        self.s_out.send(sent)


@implements(proc=SoftResetNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySoftResetNeurons(PyLoihiProcessModel):
    """Adds up within 24 bits; a spike takes the threshold off."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    v: Any = LavaPyType(np.ndarray, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.bias: np.ndarray = proc_params["bias"] << _POTENTIAL_SHIFT
        self.threshold: Any = proc_params["threshold"] << _POTENTIAL_SHIFT
        self.interval: int = proc_params["interval"]
        self.depth: int = proc_params["depth"]

    def run_spk(self) -> None:
        """Clear the state where a sample begins, then integrate."""
        if (self.time_step - 1 - self.depth) % self.interval == 0:
            self.v[:] = 0
        current = self.a_in.recv() << _POTENTIAL_SHIFT
        bias = self.bias.reshape(-1, *(1 for _ in self.v.shape[1:]))
        self.v[:] = np.clip(self.v + current + bias, -_LARGEST_STATE, _LARGEST_STATE)
        fired = self.v >= self.threshold
        self.v[:] -= self.threshold * fired
        self.s_out.send(fired)


@implements(proc=LeakyNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyLeakyNeurons(PyLoihiProcessModel):
    """Loihi's neuron in 24 bits: u wraps round, v stops at its ends."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    u: Any = LavaPyType(np.ndarray, np.int32, precision=24)
    v: Any = LavaPyType(np.ndarray, np.int32, precision=24)
    waits: Any = LavaPyType(np.ndarray, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.bias: Any = (proc_params["bias"] << _POTENTIAL_SHIFT).reshape(-1, 1)
        self.threshold: Any = proc_params["threshold"] << _POTENTIAL_SHIFT
        self.strict, self.soft = bool(proc_params["strict"]), bool(proc_params["soft"])
        self.keeps_u: Any = _DECAY_UNITY - proc_params["current_decay"]
        self.keeps_v: Any = _DECAY_UNITY - proc_params["voltage_decay"]
        self.refractory: Any = proc_params["refractory"]
        self.interval, self.depth = int(proc_params["interval"]), int(proc_params["depth"])

    def run_spk(self) -> None:
        """Clear the state where a sample begins, then decay, integrate and spike."""
        if (self.time_step - 1 - self.depth) % self.interval == 0:
            self.u[:], self.v[:], self.waits[:] = 0, 0, 0
        current = _kept(self.u, self.keeps_u) + (self.a_in.recv().astype(np.int64) << _POTENTIAL_SHIFT)
        current = np.where(current > _LARGEST_STATE + 1, current - 2 * (_LARGEST_STATE + 1), current)
        current = np.where(current <= -(_LARGEST_STATE + 1), current + 2 * (_LARGEST_STATE + 1), current)
        self.u[:] = current
        voltage = np.clip(_kept(self.v, self.keeps_v) + current + self.bias, -_LARGEST_STATE, _LARGEST_STATE)
        waiting = self.waits > 0
        self.v[:] = np.where(waiting, self.v, voltage)
        above = self.v > self.threshold if self.strict else self.v >= self.threshold
        fired = above & ~waiting
        self.v[:] = np.where(fired, self.v - self.threshold if self.soft else 0, self.v)
        self.waits[:] = np.where(fired, self.refractory, np.maximum(self.waits - 1, 0))
        self.s_out.send(fired)


def _kept(state: np.ndarray, keeps: Any) -> np.ndarray:
    """Return what a decay leaves, cut off towards 0, as Lava's LIF does it."""
    product = state.astype(np.int64) * keeps
    return np.sign(product) * (np.abs(product) >> _DECAY_SHIFT)


def in_its_sample(time_step: int, depth: int, interval: int, lag: int) -> bool:
    """Return whether a spike that a source at ``depth`` sends now arrives, ``lag`` steps later, in the same sample."""
    return (time_step - 1 - depth) % interval + lag < interval


@implements(proc=SampleGate, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySampleGate(PyLoihiProcessModel):
    """Hands spikes on within the time step."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.lag, self.interval, self.depth = (int(proc_params[key]) for key in ("lag", "interval", "depth"))

    def run_spk(self) -> None:
        """Send what was received, or nothing."""
        spikes = self.s_in.recv()
        passes = in_its_sample(self.time_step, self.depth, self.interval, self.lag)
        self.s_out.send(spikes if passes else np.zeros_like(spikes))


@implements(proc=StateClearer, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyStateClearer(PyLoihiProcessModel):
    """Writes state variables in the management phase, as a host would."""

    v: Any = LavaPyType(PyRefPort.VEC_DENSE, np.int32)
    r: Any = LavaPyType(PyRefPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.shape: tuple[int, ...] = proc_params["shape"]
        self.initial: int = proc_params["initial"]
        self.interval: int = proc_params["interval"]
        self.depth: int = proc_params["depth"]

    def post_guard(self) -> Any:
        """Ask for the management phase at the step before a sample arrives."""
        return (self.time_step - self.depth) % self.interval == 0

    def run_post_mgmt(self) -> None:
        """Write the state that a sample begins with."""
        self.v.write(np.full(self.shape, self.initial, np.int32))
        self.r.write(np.zeros(self.shape, np.int32))
        # Without waiting, Lava may set them at the next time step only.
        self.v.wait()
        self.r.wait()


@implements(proc=SigmaDeltaClearer, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySigmaDeltaClearer(PyLoihiProcessModel):
    """Writes 0 into all states in the management phase, as a host would."""

    sigma: Any = LavaPyType(PyRefPort.VEC_DENSE, np.int32)
    act: Any = LavaPyType(PyRefPort.VEC_DENSE, np.int32)
    residue: Any = LavaPyType(PyRefPort.VEC_DENSE, np.int32)
    error: Any = LavaPyType(PyRefPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.zeros = np.zeros(proc_params["shape"], np.int32)
        self.interval, self.depth = int(proc_params["interval"]), int(proc_params["depth"])

    def post_guard(self) -> Any:
        """Ask for the management phase at the step before a sample arrives."""
        return (self.time_step - self.depth) % self.interval == 0

    def run_post_mgmt(self) -> None:
        """Write the state that a sample begins with."""
        ports = (self.sigma, self.act, self.residue, self.error)
        for port in ports:
            port.write(self.zeros)
        for port in ports:
            port.wait()  # as in PyStateClearer


@implements(proc=SpikeSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySpikeSource(PyLoihiProcessModel):
    """Sends the next rows; zeros when there are no more, so that the pipeline runs empty."""

    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.size, self.batch = (*proc_params["shape"], 1)[:2]
        self.message_shape: tuple[int, ...] = proc_params["shape"]
        inputs = np.load(proc_params["path"], mmap_mode="r", allow_pickle=False)
        self.inputs = inputs.reshape(-1, proc_params["interval"], inputs.shape[1])

    def run_spk(self) -> None:
        """Send one step of one sample, or of one batch."""
        block, step = divmod(self.time_step - 1, self.inputs.shape[1])
        rows = self.inputs[block * self.batch : (block + 1) * self.batch, step]
        spikes = np.zeros((self.size, self.batch), dtype=np.int32)
        spikes[:, : len(rows)] = rows.T
        self.s_out.send(spikes.reshape(self.message_shape))


class _Recorder(PyLoihiProcessModel):
    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.depth: int = proc_params["depth"]
        self.interval: int = proc_params["interval"]
        self.file = np.load(proc_params["path"], mmap_mode="r+", allow_pickle=False)

    def _place(self) -> tuple[int, int]:
        """Return which block of samples a population at this depth shows, and which of its steps."""
        return divmod(self.time_step - 1 - self.depth, self.interval)

    def _write(self, values: np.ndarray, target: np.ndarray, block: int) -> None:
        columns = values.reshape(values.shape[0], -1)
        rows = target[block * columns.shape[1] : (block + 1) * columns.shape[1]]
        rows[:] = columns.T[: len(rows)]


@implements(proc=SpikeRecorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySpikeRecorder(_Recorder):
    """Receives spikes."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def run_spk(self) -> None:
        """Write the spikes of this step."""
        values = self.s_in.recv()
        block, step = self._place()
        if block >= 0:
            self._write(values, self.file.reshape(-1, self.interval, self.file.shape[1])[:, step], block)


@implements(proc=PotentialRecorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyPotentialRecorder(_Recorder):
    """Reads a state variable after the last step of a sample, or after each, in the management phase, as hosts do."""

    v: Any = LavaPyType(PyRefPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.shift: int = proc_params["shift"]
        self.largest: bool = proc_params["largest"]
        self.seen: Any = None

    def post_guard(self) -> Any:
        """Ask for the management phase when there is something to read."""
        block, step = self._place()
        return block >= 0 and (self.largest or step == self.interval - 1)

    def run_post_mgmt(self) -> None:
        """Write the potentials when a sample is complete."""
        block, step = self._place()
        values = self.v.read() >> self.shift
        if self.largest:
            values = self.seen = values if step == 0 else np.maximum(self.seen, values)
        if step == self.interval - 1:
            self._write(values, self.file, block)
