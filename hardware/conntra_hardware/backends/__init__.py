"""Simulators and chips behind one protocol, ``conntra_hardware.backends.protocol.Backend``."""

from __future__ import annotations

from conntra_hardware.backends.protocol import Backend
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.suggest import did_you_mean

__all__ = ["BACKENDS", "load_backend"]

BACKENDS = ("reference", "lava", "lava-stock", "brian2", "sanafe", "loop", "loihi", "loihi-dry")
"""``lava`` is the batched form, ``lava-stock`` Lava's own processes at one sample a step; ``sanafe`` is an extra;
``loop`` is the slow plain loop that the reference is held to. ``loihi`` is a chip, for those who have one;
``loihi-dry`` its deployment without the chip, on the CPU.
"""


def load_backend(name: str) -> Backend:
    """Return the backend called ``name``; its simulator is imported only when it runs.

    InputError for a name that is not among ``BACKENDS``.
    """
    if name == "reference":
        from conntra_hardware.backends.reference import ReferenceBackend

        return ReferenceBackend()
    if name == "loop":
        from conntra_hardware.backends.loop import LoopBackend

        return LoopBackend()
    if name in ("lava", "lava-stock"):
        from conntra_hardware.backends.lava.backend import LavaBackend

        return LavaBackend(stock=name == "lava-stock")
    if name == "brian2":
        from conntra_hardware.backends.brian2.backend import Brian2Backend

        return Brian2Backend()
    if name == "sanafe":
        from conntra_hardware.backends.sanafe.backend import SanafeBackend

        return SanafeBackend()
    if name in ("loihi", "loihi-dry"):
        from conntra_hardware.backends.loihi.backend import LoihiBackend

        return LoihiBackend(on_chip=name == "loihi")
    raise InputError(f"backend {name!r}: unknown{did_you_mean(name, BACKENDS)}; allowed: {', '.join(BACKENDS)}")
