"""Training spikes of sets larger than memory: as bits, in a temporary file that is mapped and read as it is needed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import ArrayLike, IntArray, SpikeArray, as_spikes
from conntra_hardware.base.errors import InputError
from conntra_hardware.program.input_encoding import Encoder

__all__ = ["BitSpikes", "Spikes", "chunks", "rates_of", "spikes_of", "stored", "taken"]

_CHUNK_BYTES = 2**24  # of samples at a time


@dataclass(frozen=True, eq=False)
class BitSpikes:
    """Spikes of 0/1 as bits (N, ceil(n_in / 8)), of which ``rows`` (n,) are meant; indexing gives bytes (n, n_in)."""

    bits: npt.NDArray[np.uint8]
    n_in: int
    rows: npt.NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n_in)."""
        return len(self.rows), self.n_in

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: slice | IntArray) -> SpikeArray:
        """Return the spikes of ``rows`` as bytes."""
        return np.unpackbits(self.packed(rows), axis=1, count=self.n_in)

    def packed(self, rows: slice | IntArray) -> npt.NDArray[np.uint8]:
        """Return the spikes of ``rows`` as bits, in memory."""
        return np.asarray(self.bits[self.rows[rows]])

    def taken(self, rows: IntArray) -> BitSpikes:
        """Return ``rows`` of these; nothing is read."""
        return BitSpikes(self.bits, self.n_in, self.rows[rows])


Spikes: TypeAlias = SpikeArray | BitSpikes


def spikes_of(values: ArrayLike | BitSpikes, n_in: int) -> Spikes:
    """Return spikes (n, n_in), checked; bits are bits already."""
    return values if isinstance(values, BitSpikes) else as_spikes(values, n_in)


def taken(spikes: Spikes, rows: IntArray) -> Spikes:
    """Return ``rows`` of ``spikes``, as they are stored."""
    return spikes.taken(rows) if isinstance(spikes, BitSpikes) else spikes[rows]


def chunks(n: int, bytes_a_row: int) -> Iterator[slice]:
    """Return slices that cover ``n`` rows, each of some 16 MB."""
    step = max(1, _CHUNK_BYTES // max(bytes_a_row, 1))
    return (slice(first, min(first + step, n)) for first in range(0, n, step))


def rates_of(spikes: Spikes) -> npt.NDArray[np.float64]:
    """Return the share of the samples in which each input spikes (n_in,)."""
    count = np.zeros(spikes.shape[1])
    for rows in chunks(*spikes.shape):
        count += spikes[rows].sum(axis=0, dtype=np.float64)
    return count / len(spikes)


def stored(x: npt.NDArray[Any], encoder: Encoder | None) -> BitSpikes:
    """Encode samples (n, ...), chunk by chunk, into a temporary file of n * n_in / 8 bytes; it goes with the process.

    It lies where ``tempfile`` puts it: TMPDIR decides, and should not be a file system in memory.
    """
    n_features = int(np.prod(x.shape[1:]))
    n_in = encoder.n_out * encoder.steps if encoder else n_features
    width = (n_in + 7) // 8
    try:
        with tempfile.TemporaryFile(prefix="conntra-") as file:
            for rows in chunks(len(x), max(n_features * x.itemsize, n_in)):
                part = x[rows].reshape(-1, n_features)
                spikes = encoder.encode(part) if encoder else as_spikes(part, n_in)
                file.write(np.packbits(spikes.reshape(len(part), -1), axis=1).tobytes())
            file.flush()
            bits = np.memmap(cast(Any, file), np.uint8, "r", shape=(len(x), width))
    except OSError as error:
        raise InputError(
            f"training samples: {len(x) * width} bytes of spikes cannot be kept in {tempfile.gettempdir()} "
            f"({error.strerror}); set TMPDIR to a folder with room"
        ) from None
    return BitSpikes(bits, n_in, np.arange(len(x)))
