"""A data set as bytes, for processes that train: arrays as an .npz, all else as JSON. Nothing is unpickled anywhere."""

from __future__ import annotations

import io
import json
from dataclasses import asdict

import numpy as np

from conntra_hardware.program.signal_encoding import SignalCoding
from conntra_neuro.datasets import Dataset

__all__ = ["as_bytes", "of_bytes"]

_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def as_bytes(data: Dataset) -> bytes:
    """Return all of ``data`` that a training depends on: classes are called by their indices."""
    coding = data.input if isinstance(data.input, SignalCoding) else None
    told = {
        "name": data.name,
        "classes": len(data.labels),
        "input": data.input if coding is None else asdict(coding),
        "binning": data.binning,
        "target": data.target,
    }
    file = io.BytesIO()
    arrays = {name: np.asarray(getattr(data, name)) for name in _ARRAYS}
    np.savez(file, told=np.frombuffer(json.dumps(told).encode(), np.uint8), **arrays)
    return file.getvalue()


def of_bytes(written: bytes) -> Dataset:
    """Return what ``as_bytes`` wrote."""
    with np.load(io.BytesIO(written), allow_pickle=False) as file:
        told = json.loads(file["told"].tobytes())
        arrays = {name: file[name] for name in _ARRAYS}
    entering = SignalCoding(**told["input"]) if isinstance(told["input"], dict) else told["input"]
    return Dataset(
        told["name"],
        **arrays,
        labels=tuple(range(told["classes"])),
        input=entering,
        binning=told["binning"],
        target=told["target"],
    )
