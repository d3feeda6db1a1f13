"""AEDAT 3.1, which DVS Gesture is recorded in: packets of events with a header of 28 bytes each.

Layout ("AEDAT file formats", iniVation): lines of text that begin with #, the first "#!AER-DAT3.1", the last
"#!END-HEADER"; then packets, little-endian: type and source (16 bits each), size of an event, offset of its time
stamp, overflows of the clock, capacity, number, valid events (32 bits each), and the events. A polarity event (type 1)
is 32 bits of data, from the lowest on valid (1), polarity (1), y (15), x (15), and 32 bits of microseconds.

The package ``aedat`` reads AEDAT 4 only; packets of one layout are no reason for a dependency.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import FileFormatError
from conntra_neuro.datasets.events.bytes_of import damaged, read_bytes
from conntra_neuro.datasets.events.recording import Recording

__all__ = ["read_aedat3"]

_MAGIC, _END = b"#!AER-DAT3.", b"#!END-HEADER"
_PACKET = struct.Struct("<hhiiiiii")
_POLARITY = 1
_CLOCK_BITS = 31


def read_aedat3(path: Path, sort: bool = False) -> Recording:
    """Return the polarity events of the file; other packets, of frames and inertial sensors, are passed over.

    FileFormatError for another version, and for a file that is damaged or cut off.
    """
    data = read_bytes(path)
    if not data.startswith(_MAGIC):
        first = data[:16].split(b"\r")[0].decode("latin-1")
        raise FileFormatError(f"{path}: begins with {first!r}; AEDAT 3 or 4 expected: convert it with jAER or dv-gui")
    found = [np.empty((0, 2), np.int64)]
    at = _after_header(path, data)
    while at < len(data):
        events, at = _packet(path, data, at)
        if events is not None:
            found.append(events)
    word, t = np.concatenate(found).T
    valid = (word & 1) == 1
    word, t = word[valid], t[valid]
    return Recording.of(str(path), t, word >> 17 & 0x7FFF, word >> 2 & 0x7FFF, word >> 1 & 1, sort=sort)


def _after_header(path: Path, data: bytes) -> int:
    at = data.find(_END)
    end = data.find(b"\n", at)
    if at < 0 or end < 0:
        raise damaged(path, "its header has no line #!END-HEADER")
    return end + 1


def _packet(path: Path, data: bytes, at: int) -> tuple[npt.NDArray[Any] | None, int]:
    """Return words and times (n, 2) of a packet, None where it holds no polarities; and where the next one begins."""
    if at + _PACKET.size > len(data):
        raise damaged(path, f"the header of the packet at byte {at} is cut off")
    kind, _, size, offset, overflows, capacity, number, _ = _PACKET.unpack_from(data, at)
    begin, end = at + _PACKET.size, at + _PACKET.size + size * number
    if kind < 0 or size <= 0 or not 0 <= number <= capacity or overflows < 0:
        raise damaged(path, f"the packet at byte {at} has {number} of {capacity} events of {size} bytes")
    if end > len(data):
        raise damaged(path, f"the packet at byte {at} ends at byte {end} of {len(data)}")
    if kind != _POLARITY:
        return None, end
    if size != 8 or offset != 4:
        raise damaged(path, f"the packet at byte {at} has polarity events of {size} bytes; 8 expected")
    pairs = np.frombuffer(data, "<u4", 2 * number, begin).astype(np.int64).reshape(-1, 2)
    pairs[:, 1] += overflows << _CLOCK_BITS
    return pairs, end
