"""The .bin files of N-MNIST and N-Caltech101: events of an ATIS camera, five bytes each.

Layout (Orchard, Jayawant, Cohen and Thakor, "Converting static image datasets to spiking neuromorphic datasets using
saccades", 2015, and the readme of the data sets): 8 bits x, 8 bits y, 1 bit polarity, 23 bits microseconds, the most
significant byte first. An event of y = 240 says that the clock went on by 2^13 microseconds more, for what follows.
There is no header, so a few lines of NumPy are the whole reader.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from conntra_neuro.datasets.events.bytes_of import read_bytes, whole_records
from conntra_neuro.datasets.events.recording import Recording

__all__ = ["read_atis_bin"]

_OVERFLOW_ROW = 240
_OVERFLOW_US = 2**13


def read_atis_bin(path: Path, sort: bool = False) -> Recording:
    """Return the events of an N-MNIST or N-Caltech101 file; FileFormatError for one that is cut off."""
    fields = np.frombuffer(whole_records(path, read_bytes(path), 0, 5), np.uint8).reshape(-1, 5).astype(np.int64).T
    x, y, high, middle, low = fields
    overflow = y == _OVERFLOW_ROW
    t = ((high & 127) << 16 | middle << 8 | low) + _OVERFLOW_US * np.cumsum(overflow)
    events = ~overflow
    return Recording.of(str(path), t[events], x[events], y[events], (high >> 7)[events], sort=sort)
