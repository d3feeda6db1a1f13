"""Layers of a graph of spiking neurons in floating point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from conntra_hardware.program.convolution import Geometry

__all__ = ["Branch", "FloatLayer", "FloatNeuron", "Map"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FloatNeuron:
    """Parameters of a layer's neurons, one a neuron (size,): of NIR's ``kind``, in its units.

    ``tau`` and ``tau_syn`` are infinite and 0 where there is no leak and no current of its own; ``threshold`` is
    infinite where neurons never spike.
    """

    kind: str
    tau: Array
    tau_syn: Array
    r: Array
    w_in: Array
    v_leak: Array
    threshold: Array


@dataclass(frozen=True, eq=False)
class Map:
    """A linear map: dense ``weight`` (out, in), or a kernel of ``geometry``; ``pool`` sums windows, ``scale`` times."""

    weight: Array
    geometry: Geometry | None = None


@dataclass(frozen=True, eq=False)
class Branch:
    """What a layer takes of an earlier one than the one before it: ``source``, its index, -1 for the inputs, through
    ``maps``.
    """

    source: int
    maps: tuple[Map, ...]


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """Neurons behind ``maps``, one behind the other, of which the last has a ``bias`` (out,); ``recurrent`` (out, out),
    with a bias of its own in ``recurrent_bias``. ``branches`` are added; without weights but theirs ``maps`` are zeros.
    ``filtered``: the current of its neurons stands for LI nodes before their weights.
    """

    name: str
    maps: tuple[Map, ...]
    bias: Array
    neuron: FloatNeuron
    shape: tuple[int, ...]
    recurrent: Array | None = None
    recurrent_bias: Array | None = None
    branches: tuple[Branch, ...] = ()
    filtered: bool = False

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))
