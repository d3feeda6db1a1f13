"""The last layer of a graph: whole weights and biases whose largest logit is the graph's."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_neuro.exchange.onnx.values import Pending, Tensor, line_of
from conntra_neuro.network import DiscreteNetwork

__all__ = ["OutputRounding", "Scaled", "readout_of"]

_PARTS = 10**9
_MOST = 127  # of a weight, where it is rounded
_MOST_EXACT = 2**15
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Scaled:
    """Logits of the layer ``name``, each of a scale of its own: ``weights`` there are; ``scale``, integers to a unit of
    the logits, from and to; ``error``: by how much, as a share of it, a class's scale is off at most.
    """

    name: str
    scale: tuple[float, float]
    weights: int
    error: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "scale": list(self.scale)}


@dataclass(frozen=True, eq=False)
class OutputRounding:
    """A ``network`` that is exact but for the scales of its logits, and what was ``rounded`` there."""

    network: DiscreteNetwork
    rounded: tuple[Scaled, ...]
    scale: float
    repair: None = None


def readout_of(value: Tensor) -> tuple[IntArray, IntArray, Scaled | None]:
    """Return by class what the sums are multiplied by, and the biases; and what was rounded, None where nothing was.

    Offsets r of the logits need not be whole: ``u + r`` is compared by its whole part, then by the rank of the
    rest, so that weights are multiplied by a power of two of room for the ranks.
    """
    pending = value.base
    assert isinstance(pending, Pending)
    what = f"output ({pending.node})"
    slope, zero = line_of(value, what)
    columns = value.column.ravel()
    if pending.geometry is None and not np.array_equal(columns, np.arange(len(columns))):
        raise InputError(f"{what}: classes in another order than those of its layer")
    if pending.pools or pending.border is not None or not slope.any():
        raise InputError(f"{what}: logits that are pooled, padded or constant; a dense layer expected there")
    largest = max(int(np.abs(term.weight).max(initial=0)) for term in pending.terms)
    whole, unit, note = _multiples(slope, max(largest, 1), what)
    # To a billionth of a weight: float32, in which such a graph is run, tells no more apart.
    middle = (zero.max() + zero.min()) / 2 if len(zero) > 1 else zero[0]
    start = zero[np.abs(zero - middle).argmin()]  # biases as small as they get; which is the largest stays
    offsets = np.rint((zero - start) / unit * _PARTS).tolist()
    parts = [divmod(int(r), _PARTS) for r in offsets]
    if note is not None:
        return whole, np.array([round(r / _PARTS) for r in offsets]), note
    ranks = {rest: rank for rank, rest in enumerate(sorted({rest for _, rest in parts}))}
    room = 1 << (len(ranks) - 1).bit_length()
    return whole * room, np.array([room * whole + ranks[rest] for whole, rest in parts]), None


def _multiples(slope: Array, largest: int, what: str) -> tuple[IntArray, float, Scaled | None]:
    """Return whole numbers and the unit that gives the slopes with them; a note where that is not exact."""
    unit = float(np.abs(slope[slope != 0]).min())
    times = slope / unit
    fractions = [Fraction(float(number)).limit_denominator(_MOST) for number in times]
    shared = lcm(*(fraction.denominator for fraction in fractions))
    exact = shared * np.abs(times).max() * largest < _MOST_EXACT and np.allclose(
        [float(fraction) for fraction in fractions], times, rtol=1e-9, atol=0
    )
    if exact:
        return np.array([int(fraction * shared) for fraction in fractions]), unit / shared, None
    # Scales without a common measure: the multiples that a chip's weights leave room for, as near as they come.
    room = int(_MOST / largest / np.abs(times).max())
    tried = [number for number in range(1, room + 1) if _off(times * number) < np.inf]
    if not tried:
        spread = np.abs(times).max()
        raise InputError(
            f"{what}: logits of scales up to {spread:.3g} times as large as the least, with weights up to {largest}: "
            f"more than a weight of {_MOST} can say; use one scale for all classes"
        )
    best = min(tried, key=lambda number: _off(times * number))
    whole = np.rint(times * best).astype(np.int64)
    ends = (best / unit, best / unit)
    return whole, unit / best, Scaled(what, ends, len(slope), _off(times * best))


def _off(times: Array) -> float:
    """Return by what share the whole numbers next to ``times`` are off at most."""
    whole = np.rint(times)
    if (whole[times != 0] == 0).any():
        return float("inf")
    off = np.divide(np.abs(whole - times), np.abs(times), out=np.zeros(len(times)), where=times != 0)
    return float(off.max())
