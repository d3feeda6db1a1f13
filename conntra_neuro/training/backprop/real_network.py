"""A network of real weights, the float64 baseline's: rectified linear units, then a readout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import SpikeArray, frozen

__all__ = ["Floats", "RealNetwork"]

Floats = npt.NDArray[np.float64]
_ROWS = 2048


@dataclass(frozen=True, eq=False)
class RealNetwork:
    """Weights (n_in, n_out) and biases (n_out,) of each layer, float64; rectified linear units, then a readout."""

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", tuple(frozen(w) for w in self.weights))
        object.__setattr__(self, "biases", tuple(frozen(b) for b in self.biases))

    @property
    def memory_bytes(self) -> int:
        """8 bytes a parameter."""
        return sum(array.nbytes for array in (*self.weights, *self.biases))

    def forward(self, x: SpikeArray) -> Floats:
        """Return the logits (n, classes) of inputs (n, n_in)."""
        h = np.asarray(x, dtype=np.float64)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = np.maximum(h @ weight + bias, 0)
        return h @ self.weights[-1] + self.biases[-1]

    def error(self, x: SpikeArray, y: npt.NDArray[np.int64]) -> float:
        """Return the fraction of ``x`` whose prediction differs from the class indices ``y``."""
        parts = [slice(first, first + _ROWS) for first in range(0, len(y), _ROWS)]
        return sum(int((self.forward(x[p]).argmax(axis=1) != y[p]).sum()) for p in parts) / len(y)
