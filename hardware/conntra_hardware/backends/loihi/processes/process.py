"""Lava processes on the host's side of a chip: what enters, what leaves, and the adapters between host and chip.

All shapes are ``(n,)``: a chip takes one sample at a time step.
"""

from __future__ import annotations

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

__all__ = ["HostRecorder", "HostSource", "InputAdapter", "OutputAdapter"]


class HostSource(AbstractProcess):
    """Input spikes from the file ``path``, an array (samples * steps, n); one spike leaves at ``mark`` with the first.

    A sample enters every ``period`` time steps. The first neuron of ``control`` spikes while it does, for ``steps`` of
    them, the second for ``silent`` steps after it.
    """

    def __init__(self, *, path: str, shape: tuple[int, ...], steps: int = 1, period: int = 1, silent: int = 0) -> None:
        super().__init__(path=path, shape=shape, steps=steps, period=period, silent=silent)
        self.s_out = OutPort(shape=shape)
        self.mark = OutPort(shape=(1,))
        self.control = OutPort(shape=(2,))


class HostRecorder(AbstractProcess):
    """Writes what arrives at time step t into row t - 1 of ``path``, an array (steps, n)."""

    def __init__(self, *, path: str, shape: tuple[int, ...]) -> None:
        super().__init__(path=path, shape=shape)
        self.s_in = InPort(shape=shape)


class InputAdapter(AbstractProcess):
    """From the host onto the chip."""

    def __init__(self, *, shape: tuple[int, ...]) -> None:
        super().__init__(shape=shape)
        self.inp = InPort(shape=shape)
        self.out = OutPort(shape=shape)


class OutputAdapter(AbstractProcess):
    """From the chip to the host; ``bits`` of a message, 0 for spikes that carry no value."""

    def __init__(self, *, shape: tuple[int, ...], bits: int) -> None:
        super().__init__(shape=shape, bits=bits)
        self.inp = InPort(shape=shape)
        self.out = OutPort(shape=shape)
