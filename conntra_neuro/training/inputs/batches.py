"""Training inputs as stored and as mini-batches: lists of active inputs where few are active, else bytes.

Both give the same two products, ``x @ weights`` and ``x.T @ q``. Their terms are integers (or multiples of one power
of two) whose sums stay below 2^24 quanta, so float32 is exact and both give the same bits, in any order, on any
number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray, SpikeArray
from conntra_hardware.base.errors import InputError
from conntra_neuro.training.inputs import augment, events, kernels
from conntra_neuro.training.inputs.bits import BitSpikes, Spikes, rates_of
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.threads import Threads

__all__ = ["Batch", "DenseBatch", "Floats", "Inputs", "SparseBatch", "StreamedInputs", "inputs_of"]

Floats = npt.NDArray[np.floating[Any]]
_SPARSE_BELOW = 0.25  # share of active inputs up to which lists beat BLAS on two cores [measured on MNIST sizes]
_CHUNK = 4096


class Batch(Protocol):
    """A mini-batch of inputs with an input that is always 1 behind the others: the bias."""

    def potentials(self, weights: Floats, out: Floats, threads: Threads) -> None:
        """Write ``x @ weights`` (B, n_out), weights (n_in + 1, n_out)."""
        ...

    def scores(self, q: Floats, out: Floats, threads: Threads) -> None:
        """Write ``x.T @ q`` (n_in + 1, n_out), q (B, n_out)."""
        ...


@dataclass(frozen=True)
class SparseBatch:
    """Active inputs of sample n: ``index[start[n]:start[n + 1]]``."""

    start: npt.NDArray[np.int64]
    index: IntArray

    def potentials(self, weights: Floats, out: Floats, threads: Threads) -> None:
        """Write ``x @ weights``."""
        threads.run(kernels.sparse_potentials, len(out), self.start, self.index, weights, out)

    def scores(self, q: Floats, out: Floats, threads: Threads) -> None:
        """Write ``x.T @ q``; each thread sums columns of its own."""
        threads.run(kernels.sparse_scores, out.shape[1], self.start, self.index, q, out, grain=16)


@dataclass(frozen=True)
class DenseBatch:
    """Inputs as a matrix (B, n_in + 1), its last column 1; the products are BLAS's."""

    x: Floats

    def potentials(self, weights: Floats, out: Floats, threads: Threads) -> None:
        """Write ``x @ weights``."""
        np.dot(self.x, weights, out=out)

    def scores(self, q: Floats, out: Floats, threads: Threads) -> None:
        """Write ``x.T @ q``."""
        np.dot(self.x.T, q, out=out)


@dataclass(frozen=True, eq=False)
class Inputs:
    """All training inputs: active lists (``start``, ``index``) or bytes ``x`` (n, n_in), one of the two."""

    n: int
    n_in: int
    image: ImageShape | None = None
    start: npt.NDArray[np.int64] | None = None
    index: IntArray | None = None
    x: SpikeArray | None = None

    @cached_property
    def rates(self) -> npt.NDArray[np.float64]:
        """Share of the samples in which each input spikes (n_in,)."""
        if self.x is not None:
            return self.x.mean(axis=0, dtype=np.float64)
        return np.bincount(self.index, minlength=self.n_in) / self.n  # type: ignore[arg-type]

    def batch(self, rows: IntArray, dtype: Any, shifts: IntArray | None = None) -> Batch:
        """Return the samples ``rows``, each moved by its row of ``shifts``; see ``Augmentation.draw``."""
        if shifts is not None and shifts.shape[1] % (2 * augment.GRID**2) not in (0, 2):
            return self._scattered(rows, dtype, shifts)
        if shifts is not None and shifts.shape[1] > 2:
            return self._bent(rows, dtype, shifts)
        columns = self._columns(shifts)
        if shifts is None:
            shifts = np.zeros((len(rows), 2), dtype=np.int64)
        if self.x is None:
            starts, index = kernels.gather_sparse(self.start, self.index, rows, shifts, columns)
            return SparseBatch(starts, cast(IntArray, index))
        out = np.zeros((len(rows), self.n_in + 1), dtype=dtype)
        kernels.gather_dense(self.x, rows, shifts, columns, out)
        return DenseBatch(out)

    def _scattered(self, rows: IntArray, dtype: Any, moves: IntArray) -> Batch:
        """Return the samples, moved by the first of ``moves``, then event by event by the last of them."""
        image, first = self._image(), moves[:, : -events.COLUMNS]
        batch = self.batch(rows, dtype, first if first.shape[1] else None)
        assert isinstance(batch, DenseBatch), "samples over time are matrices"
        out, width = np.zeros_like(batch.x), self.n_in // image.steps
        events.scatter(batch.x, moves[:, -events.COLUMNS :], width, image.line or width, out)
        return DenseBatch(out)

    def _columns(self, shifts: IntArray | None) -> npt.NDArray[np.int32]:
        """Table (n_in, 2) of each input's row and column, or of no rows where nothing is shifted."""
        if shifts is None:
            return np.empty((0, 2), dtype=np.int32)
        image = self._image()
        place = np.arange(self.n_in) % (image.rows * image.columns)
        table = np.stack([place // image.columns, place % image.columns], axis=1)
        return np.vstack([table, [(image.rows, image.columns)]]).astype(np.int32)

    def _bent(self, rows: IntArray, dtype: Any, moves: IntArray) -> Batch:
        image = self._image()
        args = (
            rows,
            moves,
            augment.control_table(image.rows, image.columns),
            image.channels,
            image.rows,
            image.columns,
        )
        if self.x is None:
            starts, index = augment.bend_sparse(self.start, self.index, *args)
            return SparseBatch(starts, cast(IntArray, index))
        out = np.empty((len(rows), self.n_in + 1), dtype=dtype)
        augment.bend_dense(self.x, *args, out)
        return DenseBatch(out)

    def _image(self) -> ImageShape:
        if self.image is None or self.image.n_in != self.n_in:
            found = f"{self.n_in} inputs, image shape {self.image}"
            raise InputError(f"shift, elastic: inputs are no images ({found}); use shift=0 and elastic=0")
        return self.image


@dataclass(frozen=True, eq=False)
class StreamedInputs:
    """Training inputs that stay in a file; a mini-batch is read, and has the form that is the faster one for it,

    or that of a matrix where it has to be ``dense``.
    """

    bits: BitSpikes
    image: ImageShape | None = None
    dense: bool = False

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.bits)

    @cached_property
    def rates(self) -> npt.NDArray[np.float64]:
        """Share of the samples in which each input spikes (n_in,)."""
        return rates_of(self.bits)

    def batch(self, rows: IntArray, dtype: Any, shifts: IntArray | None = None) -> Batch:
        """As ``Inputs.batch``."""
        x = self.bits[rows]
        part = Inputs(x.shape[0], x.shape[1], self.image, x=x) if self.dense else _in_memory(x, self.image)
        return part.batch(np.arange(len(rows)), dtype, shifts)


def inputs_of(spikes: Spikes, image: ImageShape | None = None, dense: bool = False) -> Inputs | StreamedInputs:
    """Return spikes (n, n_in) of 0/1 in the form that is the faster one for their density; bits stay in their file.

    ``dense``: mini-batches are to be matrices.
    """
    if isinstance(spikes, BitSpikes):
        return StreamedInputs(spikes, image, dense)
    if dense:
        n, n_in = spikes.shape
        return Inputs(n, n_in, image, x=np.ascontiguousarray(spikes, dtype=np.uint8))
    return _in_memory(spikes, image)


def _in_memory(spikes: SpikeArray, image: ImageShape | None) -> Inputs:
    n, n_in = spikes.shape
    counts = np.count_nonzero(spikes, axis=1)
    if counts.sum() >= _SPARSE_BELOW * spikes.size:
        return Inputs(n, n_in, image, x=np.ascontiguousarray(spikes, dtype=np.uint8))
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    index = np.empty(start[-1], dtype=np.uint16 if n_in <= 2**16 else np.uint32)
    for first in range(0, n, _CHUNK):
        last = min(first + _CHUNK, n)
        index[start[first] : start[last]] = np.nonzero(spikes[first:last])[1]
    return Inputs(n, n_in, image, start=start, index=index)
