"""Lava processes: connections and neurons for many samples at once, and how spikes enter and recordings leave.

Arrays have the shape ``(n,)`` with one sample a time step, or ``(n, batch)`` with ``batch`` samples side by
side. A sample of several time steps takes as many, one after the other: its first one reaches a population at ``depth``
in time step depth + 1, counted from 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort, RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

__all__ = [
    "BatchedSynapses",
    "GradedNeurons",
    "LeakyNeurons",
    "MultiThresholdNeurons",
    "PotentialRecorder",
    "SampleGate",
    "SigmaDeltaClearer",
    "SoftResetNeurons",
    "SpikeRecorder",
    "SpikeSource",
    "StateClearer",
]


class BatchedSynapses(AbstractProcess):
    """Lava's ``Dense``, or ``Sparse`` where ``weights`` is a sparse matrix, for ``batch`` samples at once.

    The same registers and the same delay of a step, and ``delay`` steps more; ``graded`` spikes have values. Spikes of
    a source at ``depth`` that would arrive in the next sample, ``lag`` of ``interval`` steps later, are left out.
    """

    def __init__(
        self,
        *,
        weights: Any,
        batch: int,
        weight_exp: int,
        sign_mode: object,
        graded: bool,
        delay: int,
        lag: int,
        interval: int,
        depth: int,
    ) -> None:
        times = {"delay": delay, "lag": lag, "interval": interval, "depth": depth}
        super().__init__(weights=weights, weight_exp=weight_exp, sign_mode=sign_mode, graded=graded, **times)
        n_out, n_in = weights.shape
        self.s_in = InPort(shape=(n_in, batch))
        self.a_out = OutPort(shape=(n_out, batch))
        self.a_buff = Var(shape=(n_out, batch), init=0)


class GradedNeurons(AbstractProcess):
    """``GradedReluVec`` with a bias (size,), and a shift of the sum: max(0, floor((a_in + bias) / 2**shift)), at most
    ``ceiling``.

    ``shift`` and ``ceiling`` are numbers, or one a neuron, (size, 1).
    """

    def __init__(
        self, *, shape: tuple[int, ...], bias: np.ndarray, shift: int | np.ndarray, ceiling: int | np.ndarray
    ) -> None:
        super().__init__(shape=shape, bias=bias, shift=shift, ceiling=ceiling)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)


class LeakyNeurons(AbstractProcess):
    """``LIFReset`` with what it lacks: a soft reset, refractory steps, a threshold that is not strict, parameters
    (size, 1) that differ, and a current that keeps all.

    ``threshold`` and ``bias`` (size,) in weight units; the states u and v in units of 2**-6 weights, as Lava's.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        bias: np.ndarray,
        threshold: int | np.ndarray,
        strict: bool,
        soft: bool,
        current_decay: int | np.ndarray,
        voltage_decay: int | np.ndarray,
        refractory: int | np.ndarray,
        interval: int,
        depth: int,
    ) -> None:
        decays = {"current_decay": current_decay, "voltage_decay": voltage_decay}
        fires = {"threshold": threshold, "strict": strict, "soft": soft, "refractory": refractory}
        super().__init__(bias=bias, interval=interval, depth=depth, **decays, **fires)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.u = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=0)
        self.waits = Var(shape=shape, init=0)


class MultiThresholdNeurons(AbstractProcess):
    """Sends how many of its ``thresholds`` (1 or size, k) the sum and the bias (size,) exceed: a graded spike."""

    def __init__(self, *, shape: tuple[int, ...], bias: np.ndarray, thresholds: np.ndarray) -> None:
        super().__init__(shape=shape, bias=bias, thresholds=thresholds)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)


class SampleGate(AbstractProcess):
    """Lets spikes of a source at ``depth`` through that arrive, ``lag`` steps later, in their own sample.

    A sample has ``interval`` steps.
    """

    def __init__(self, *, shape: tuple[int, ...], lag: int, interval: int, depth: int) -> None:
        super().__init__(lag=lag, interval=interval, depth=depth)
        self.s_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)


class SoftResetNeurons(AbstractProcess):
    """Integrate-and-fire with a soft reset, as ``ATRLIF``, with a state that is cleared every ``interval`` steps.

    ``threshold`` (a number or (size, 1)) and ``bias`` (size,) in weight units; the state ``v`` in units of 2**-6
    weights, as Lava's.
    """

    def __init__(
        self, *, shape: tuple[int, ...], bias: np.ndarray, threshold: int | np.ndarray, interval: int, depth: int
    ) -> None:
        super().__init__(bias=bias, threshold=threshold, interval=interval, depth=depth)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.v = Var(shape=shape, init=0)


class StateClearer(AbstractProcess):
    """Sets ``v`` to ``initial`` and ``r`` to 0, as a host would, before a sample reaches a population at ``depth``."""

    def __init__(self, *, shape: tuple[int, ...], initial: int, interval: int, depth: int) -> None:
        super().__init__(shape=shape, initial=initial, interval=interval, depth=depth)
        self.v = RefPort(shape=shape)
        self.r = RefPort(shape=shape)


class SigmaDeltaClearer(AbstractProcess):
    """Sets the states of ``SigmaDelta`` to 0, as ``StateClearer`` does those of ``ATRLIF``."""

    def __init__(self, *, shape: tuple[int, ...], interval: int, depth: int) -> None:
        super().__init__(shape=shape, interval=interval, depth=depth)
        self.sigma = RefPort(shape=shape)
        self.act = RefPort(shape=shape)
        self.residue = RefPort(shape=shape)
        self.error = RefPort(shape=shape)


class SpikeSource(AbstractProcess):
    """Input spikes from the file ``path``, an array (samples * interval, n): a row of one or ``batch`` samples at every
    step.
    """

    def __init__(self, *, path: str, shape: tuple[int, ...], interval: int) -> None:
        super().__init__(path=path, shape=shape, interval=interval)
        self.s_out = OutPort(shape=shape)


class SpikeRecorder(AbstractProcess):
    """Writes the spikes of a population at ``depth`` into ``path``, an array (samples * interval, n).

    Fill steps are dropped.
    """

    def __init__(self, *, path: str, shape: tuple[int, ...], depth: int, interval: int) -> None:
        super().__init__(path=path, shape=shape, depth=depth, interval=interval)
        self.s_in = InPort(shape=shape)


class PotentialRecorder(AbstractProcess):
    """Reads the potentials of a population at ``depth`` after the last step of a sample, or their ``largest`` ones.

    ``shift`` takes off their binary places.
    """

    def __init__(
        self, *, path: str, shape: tuple[int, ...], depth: int, interval: int, shift: int, largest: bool
    ) -> None:
        super().__init__(path=path, shape=shape, depth=depth, interval=interval, shift=shift, largest=largest)
        self.v = RefPort(shape=shape)
