"""Prophesee's files: .raw (EVT 2.0, EVT 3.0) and .dat.

Layouts: docs.prophesee.ai, "Data formats" (RAW, EVT 2.0, EVT 3.0, DAT). All have lines of text that begin with %, then
little-endian words; .dat has two bytes more, the type and the size of an event.

    DAT       32 bits of microseconds; x (14 bits, from the lowest), y (14), polarity (4)
    EVT 2.0   32 bits, the type in the upper 4: 0 darker and 1 brighter with 6 bits of time, x (11), y (11); 8 the
              upper 28 bits of time; others are triggers and vendor's data
    EVT 3.0   16 bits, the type in the upper 4: 0 y; 2 x and polarity, an event; 3 x and polarity of a vector's first
              pixel; 4 and 5 which of the next 12, 8 pixels have events; 6 and 8 the lower and upper 12 bits of time,
              which goes round after 2^24 microseconds

expelliarmus reads these too, but its last release is older than Python 3.12; evlib and faery do far more than is needed
here. The layouts are a page each, so this is a reader of our own.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import FileFormatError
from conntra_hardware.base.jit import jit
from conntra_neuro.datasets.events.bytes_of import damaged, read_bytes, whole_records
from conntra_neuro.datasets.events.recording import Recording, Sensor

__all__ = ["evt3_events", "read_dat", "read_raw"]

_DAT_TYPES = (0x00, 0x0C)  # "2D" and "CD": both are contrast detections
_CLOCK_BITS = 32


def read_dat(path: Path, sort: bool = False) -> Recording:
    """Return the events of a .dat file; FileFormatError for one that is damaged, cut off, or holds other events."""
    data = read_bytes(path)
    lines, at = _header(path, data)
    if at + 2 > len(data):
        raise damaged(path, "it ends before the type of its events")
    kind, size = data[at], data[at + 1]
    if kind not in _DAT_TYPES or size != 8:
        raise FileFormatError(f"{path}: events of type {kind} and {size} bytes; contrast detections of 8 expected")
    words = np.frombuffer(whole_records(path, data, at + 2, 8), "<u4").astype(np.int64).reshape(-1, 2)
    t, address = unwrapped(words[:, 0], _CLOCK_BITS), words[:, 1]
    x, y, p = address & 0x3FFF, address >> 14 & 0x3FFF, address >> 28 & 1
    return Recording.of(str(path), t, x, y, p, _size(lines), sort)


def read_raw(path: Path, sort: bool = False) -> Recording:
    """Return the events of a .raw file of EVT 2.0 or 3.0; FileFormatError for another, or one that is cut off."""
    data = read_bytes(path)
    lines, at = _header(path, data)
    kind = _encoding(lines)
    if kind == "2.0":
        t, x, y, p = evt2_events(path, np.frombuffer(whole_records(path, data, at, 4), "<u4").astype(np.int64))
    elif kind == "3.0":
        words = np.frombuffer(whole_records(path, data, at, 2), "<u2").astype(np.int64)
        t, x, y, p = evt3_events(words)
    else:
        raise FileFormatError(
            f"{path}: encoded as {kind or 'nothing that its header names'}; EVT 2.0 and 3.0 are read: convert it with "
            "metavision_file_to_dat"
        )
    return Recording.of(str(path), t, x, y, p, _size(lines), sort)


def unwrapped(t: npt.NDArray[np.int64], bits: int) -> npt.NDArray[np.int64]:
    """Return times of a counter of ``bits`` that goes round: it did where it falls by more than half of its range."""
    rounds = np.cumsum(np.diff(t, prepend=t[:1]) < -(1 << (bits - 1)))
    return t + (rounds << bits)


def evt2_events(path: Path, words: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], ...]:
    """Return t, x, y, p of the words (n,) of EVT 2.0."""
    kinds = words >> 28
    is_high = kinds == 8
    # Of each word, the latest time-high before it; words before the first one have no time.
    latest = np.maximum.accumulate(np.where(is_high, np.arange(len(words)), -1))
    events = kinds <= 1
    if (latest[events] < 0).any():
        events &= latest >= 0
        if not events.any():
            raise damaged(path, "it has events and no time")
    high = (words & 0xFFFFFFF)[latest[events]]
    found = words[events]
    t = unwrapped(high << 6 | found >> 22 & 0x3F, 34)
    return t, found >> 11 & 0x7FF, found & 0x7FF, kinds[events]


def evt3_events(words: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], ...]:
    """Return t, x, y, p of the words (n,) of EVT 3.0; what comes before the first time is left out."""
    found = np.empty((_evt3(words, np.empty((0, 4), np.int64)), 4), np.int64)
    _evt3(words, found)
    return found[:, 0], found[:, 1], found[:, 2], found[:, 3]


@jit
def _evt3(words, out):
    """Write t, x, y, p of all events into ``out``, if it has rows; return how many there are."""
    count, high, low, rounds, y, base, p = 0, -1, 0, 0, 0, 0, 0
    for word in words:
        kind, value = word >> 12, word & 0xFFF
        first, last = 0, 0  # of the bits of a vector
        if kind == 0:
            y = word & 0x7FF
        elif kind == 2:
            base, p, first, last = word & 0x7FF, word >> 11 & 1, 0, 1
            value = 1
        elif kind == 3:
            base, p = word & 0x7FF, word >> 11 & 1
        elif kind == 4:
            last = 12
        elif kind == 5:
            last = 8
        elif kind == 6:
            low = value
        elif kind == 8:
            if high - value > 2048:  # half of its range: the clock has gone round
                rounds += 1
            if value != high:
                low = 0
            high = value
        for bit in range(first, last):
            if value >> bit & 1 and high >= 0:
                if out.shape[0] > 0:
                    out[count, 0] = (rounds << 24) + (high << 12) + low
                    out[count, 1], out[count, 2], out[count, 3] = base + bit, y, p
                count += 1
        if kind == 4 or kind == 5:
            base += last
    return count


def _header(path: Path, data: bytes) -> tuple[list[str], int]:
    """Return the lines of text at the beginning, and where they end."""
    lines, at = [], 0
    while data[at : at + 1] == b"%":
        end = data.find(b"\n", at)
        if end < 0:
            raise damaged(path, "its header never ends")
        lines.append(data[at + 1 : end].decode("latin-1").strip())
        at = end + 1
        if lines[-1] == "end":
            break
    if not lines:
        raise FileFormatError(f"{path}: no header of lines that begin with %; a file of Prophesee's expected")
    return lines, at


def _encoding(lines: list[str]) -> str | None:
    for line in lines:
        found = re.match(r"evt\s+([\d.]+)", line) or re.match(r"format\s+EVT([\d.]+)", line)
        if found:
            return found[1] if "." in found[1] else f"{found[1]}.0"
    return None


def _size(lines: list[str]) -> Sensor | None:
    """Return the sensor that the header names: geometry, or width and height."""
    text = "\n".join(lines)
    found = re.search(r"^geometry\s+(\d+)x(\d+)", text, re.MULTILINE)
    if found:
        return Sensor(int(found[1]), int(found[2]))
    # "Width 304" in .dat; "format EVT3;height=720;width=1280" in .raw
    width, height = (re.search(rf"\b{name}(?:\s+|=)(\d+)", text, re.IGNORECASE) for name in ("width", "height"))
    return Sensor(int(width[1]), int(height[1])) if width and height else None
