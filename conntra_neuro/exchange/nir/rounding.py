"""What became of a float graph of spiking neurons: the integer network, what was rounded, and what stands where."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_neuro.exchange.nir.several import Inputs
from conntra_neuro.network import DiscreteNetwork

__all__ = ["Quantised", "Rounding", "View"]


@dataclass(frozen=True)
class Rounding:
    """What became of a layer: ``name``; ``scale``, integers to its float unit, from and to; how many weights were
    ``rounded`` (of ``weights``), and the largest error of one in integer units; thresholds or biases ``clipped``;
    the largest error of a decay; and ``notes`` on what integers cannot say.
    """

    name: str
    scale: tuple[float, float]
    weights: int
    rounded: int
    largest_error: float
    clipped: int
    decay_error: float
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "scale": list(self.scale), "notes": list(self.notes)}


@dataclass(frozen=True, eq=False)
class View:
    """Where a float layer of ``size`` neurons stands in the integer network: the index of its ``layer``, and which
    neurons are ``copies`` of one, None where none are. A neuron that stands for biases is the last.
    """

    layer: int
    size: int
    copies: Inputs | None = None

    def of(self, sent: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
        """Return what the float layer's neurons send, (..., size), of what the integer layer sends, (..., neurons)."""
        return (sent if self.copies is None else self.copies.added(sent))[..., : self.size]


@dataclass(frozen=True, eq=False)
class Quantised:
    """The integer ``network``, how each float layer was ``rounded``, and the ``views`` of it."""

    network: DiscreteNetwork
    rounded: tuple[Rounding, ...]
    views: tuple[View, ...]
