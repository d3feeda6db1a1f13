"""Where the products of a layer are computed: here, or on another device (``training/device``).

They are all that scoring a mini-batch has in large products. Every sum is exact, so each of them is the same bits
wherever it is computed.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from conntra_hardware.program.convolution import Geometry
from conntra_neuro.training.inputs.batches import Batch
from conntra_neuro.training.layers import maps
from conntra_neuro.training.threads import Threads

__all__ = ["HostProducts", "Products"]

Floats = npt.NDArray[Any]


class Products(Protocol):
    """The linear maps of ``layers.maps``. What ``seen`` returns is for ``potentials`` and ``score`` alone."""

    def seen(self, x: Floats, geometry: Geometry | None) -> Any:
        """As ``maps.seen``."""
        ...

    def potentials(self, columns: Any, weights: Floats) -> Floats:
        """As ``maps.potentials``."""
        ...

    def score(self, columns: Any, q: Floats) -> npt.NDArray[np.float64]:
        """As ``maps.score``."""
        ...

    def down(self, q: Floats, weights: Floats, geometry: Geometry | None, n: int) -> Floats:
        """As ``maps.down``."""
        ...

    def multiply(self, a: Floats, b: Floats, out: Floats) -> None:
        """Write ``a @ b`` into ``out``."""
        ...

    def batch_potentials(self, batch: Batch, weights: Floats, out: Floats) -> None:
        """Write ``batch @ weights`` (B, n_out) into ``out``; weights (n_in + 1, n_out)."""
        ...

    def batch_scores(self, batch: Batch, q: Floats, out: Floats) -> None:
        """Write ``batch.T @ q`` (n_in + 1, n_out) into ``out``; q (B, n_out)."""
        ...


class HostProducts:
    """NumPy, and the trainer's own kernels on ``threads``."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    def seen(self, x: Floats, geometry: Geometry | None) -> Any:
        """As ``maps.seen``."""
        return maps.seen(x, geometry, self._threads)

    def potentials(self, columns: Any, weights: Floats) -> Floats:
        """As ``maps.potentials``."""
        return maps.potentials(columns, weights)

    def score(self, columns: Any, q: Floats) -> npt.NDArray[np.float64]:
        """As ``maps.score``."""
        return maps.score(columns, q)

    def down(self, q: Floats, weights: Floats, geometry: Geometry | None, n: int) -> Floats:
        """As ``maps.down``."""
        return maps.down(q, weights, geometry, n, self._threads)

    def multiply(self, a: Floats, b: Floats, out: Floats) -> None:
        """Write ``a @ b`` into ``out``."""
        np.dot(a, b, out=out)

    def batch_potentials(self, batch: Batch, weights: Floats, out: Floats) -> None:
        """As ``Batch.potentials``: active inputs stay lists."""
        batch.potentials(weights, out, self._threads)

    def batch_scores(self, batch: Batch, q: Floats, out: Floats) -> None:
        """As ``Batch.scores``."""
        batch.scores(q, out, self._threads)
