"""AEDAT 4 (iniVation's DV): compressed FlatBuffers, read by the package ``aedat``.

``aedat`` (MIT; wheels for Python 3.9 and later) is kept by the International Centre for Neuromorphic Systems. It is no
dependency: it is imported where such a file is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_neuro.datasets.events.bytes_of import damaged
from conntra_neuro.datasets.events.recording import Recording, Sensor

__all__ = ["read_aedat4"]


def read_aedat4(path: Path, sort: bool = False) -> Recording:
    """Return the events of the file's only event stream.

    InputError where ``aedat`` is not installed, FileFormatError for a file that it cannot read.
    """
    try:
        import aedat  # type: ignore[import-not-found]
    except ImportError:
        raise InputError(f"{path}: AEDAT 4 is read by the package aedat; `pip install aedat`") from None
    try:
        decoder = aedat.Decoder(str(path))
        streams = {key: found for key, found in decoder.id_to_stream().items() if found["type"] == "events"}
        packets = [packet["events"] for packet in decoder if packet["stream_id"] in streams]
    except Exception as error:  # its Rust raises its own, and plain ones
        raise damaged(path, " ".join(str(error).split())) from None
    if len(streams) != 1:
        raise FileFormatError(f"{path}: {len(streams)} streams of events; one expected: export each to a file")
    stream: Any = next(iter(streams.values()))
    sensor = Sensor(int(stream["width"]), int(stream["height"]))
    if not packets:
        return Recording.of(str(path), [], [], [], [], sensor)
    e = np.concatenate(packets)
    return Recording.of(str(path), e["t"], e["x"], e["y"], e["on"], sensor, sort)
