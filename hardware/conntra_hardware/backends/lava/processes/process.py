"""Lava processes: a dense connection for many samples at once, and how spikes enter and recordings leave.

Arrays have the shape ``(n,)`` with one sample a time step, or ``(n, batch)`` with ``batch`` samples side by
side.
"""

from __future__ import annotations

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort, RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

__all__ = ["BatchedDense", "PotentialRecorder", "SpikeRecorder", "SpikeSource"]


class BatchedDense(AbstractProcess):
    """Lava's ``Dense`` for ``batch`` samples at once, with the same registers and the same delay of a step."""

    def __init__(self, *, weights: np.ndarray, batch: int, weight_exp: int, sign_mode: object) -> None:
        super().__init__(weights=weights, weight_exp=weight_exp, sign_mode=sign_mode)
        n_out, n_in = weights.shape
        self.s_in = InPort(shape=(n_in, batch))
        self.a_out = OutPort(shape=(n_out, batch))
        self.a_buff = Var(shape=(n_out, batch), init=0)


class SpikeSource(AbstractProcess):
    """Input spikes from the file ``path``, an array (samples, n): the next one or ``batch`` samples at every step."""

    def __init__(self, *, path: str, shape: tuple[int, ...]) -> None:
        super().__init__(path=path, shape=shape)
        self.s_out = OutPort(shape=shape)


class SpikeRecorder(AbstractProcess):
    """Writes the spikes of a population at ``depth`` into ``path``, an array (samples, n); fill steps are dropped."""

    def __init__(self, *, path: str, shape: tuple[int, ...], depth: int) -> None:
        super().__init__(path=path, shape=shape, depth=depth)
        self.s_in = InPort(shape=shape)


class PotentialRecorder(AbstractProcess):
    """Reads the potentials of a population at ``depth``, in units of 2**-6 weights, after every step."""

    def __init__(self, *, path: str, shape: tuple[int, ...], depth: int) -> None:
        super().__init__(path=path, shape=shape, depth=depth)
        self.v = RefPort(shape=shape)
