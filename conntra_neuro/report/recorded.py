"""What pictures are drawn from, as JSON values: who spiked when, who was taken for whom, what stands on which core.

Long arrays are packed, {"dtype", "shape", "base64"}, so that a document stays readable; ``unpack`` reads them.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import FileFormatError
from conntra_hardware.program import INPUT

if TYPE_CHECKING:
    from conntra_hardware.base.arrays import ArrayLike
    from conntra_hardware.program import Program
    from conntra_hardware.runtime import RunResult

__all__ = ["CLASSES_SHOWN", "ROWS_SHOWN", "confusion_document", "mesh_document", "pack", "recorded_document", "unpack"]

ROWS_SHOWN = 60
"""The time steps of rasters and traces, or one sample where it has more."""
CLASSES_SHOWN = 100


def mesh_document(program: Program) -> dict[str, Any]:
    """Return the geometry that a core map is drawn on, and what each core in use takes."""
    chip = program.chip
    names = ("name", "chips", "chips_x", "cores", "cores_per_tile", "tiles_x", "tiles_y")
    return {
        "mesh": {name: getattr(chip, name) for name in names},
        "cores": [usage.to_dict() for usage in program.usage],
    }


def recorded_document(result: RunResult, inputs: npt.NDArray[Any] | None = None) -> dict[str, Any] | None:
    """Return each layer's spikes: how often each neuron fired, and every spike of the first rows.

    ``inputs`` (rows, n_inputs) are the spikes that entered. None where the backend recorded none (a chip that was not
    probed, a network without hidden layers and without ``inputs``).
    """
    program = result.program
    steps = program.steps
    shown = max(1, ROWS_SHOWN // steps) * steps
    layers = [] if inputs is None else [_layer(INPUT, 0, inputs, shown)]
    layers += [_layer(name, program.depths[name], spikes, shown) for name, spikes in result.spikes.items()]
    if not layers:
        return None
    return {"steps": steps, "layers": layers, "readout": _readout(result, shown // steps)}


def _readout(result: RunResult, shown: int) -> dict[str, Any] | None:
    readout = result.program.readout
    if readout.size > CLASSES_SHOWN:
        return None
    depth = result.program.depths[readout.name]
    return {"name": readout.name, "depth": depth, "logits": pack(result.logits[:shown])}


def _layer(name: str, depth: int, spikes: npt.NDArray[Any], shown: int) -> dict[str, Any]:
    fired = spikes != 0
    return {
        "name": name,
        "depth": depth,
        "neurons": fired.shape[1],
        "rows": len(fired),
        "fired": pack(np.count_nonzero(fired, axis=0).astype(np.int32)),
        "raster": pack(fired[:shown]),
    }


def confusion_document(result: RunResult, y: ArrayLike | None) -> dict[str, Any] | None:
    """Return how often each class (rows) was taken for each (columns); None without labels, or for many classes."""
    classes = result.program.readout.size
    if y is None or classes > CLASSES_SHOWN or result.program.value is not None:
        return None
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (np.asarray(y), result.predictions.astype(np.int64)), 1)
    labels = result.program.labels or tuple(range(classes))
    return {"labels": [str(label) for label in labels], "counts": counts.tolist()}


def pack(array: npt.NDArray[Any]) -> dict[str, Any]:
    """Return an array, of bool, uint8, int32 or int64, as a packed entry."""
    data = np.packbits(array) if array.dtype == bool else array.astype(array.dtype.newbyteorder("<"))
    return {
        "dtype": "bits" if array.dtype == bool else array.dtype.name,
        "shape": list(array.shape),
        "base64": base64.b64encode(data.tobytes()).decode("ascii"),
    }


def unpack(entry: Mapping[str, Any]) -> npt.NDArray[Any]:
    """Return the array of a packed entry; FileFormatError where it is none."""
    try:
        shape = tuple(int(n) for n in entry["shape"])
        size = int(np.prod(shape))
        data = base64.b64decode(entry["base64"], validate=True)
        bits = {"bits": 1, "uint8": 8, "int32": 32, "int64": 64}[entry["dtype"]]
        if min(shape, default=0) < 0 or 8 * len(data) < bits * size:
            raise ValueError(f"shape {shape} of {len(data)} bytes")
        if bits == 1:
            return np.unpackbits(np.frombuffer(data, np.uint8), count=size).astype(bool).reshape(shape)
        return np.frombuffer(data, np.dtype(entry["dtype"]).newbyteorder("<"), count=size).reshape(shape)
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"packed array: {error}; give a file that `conntra run --out` wrote") from None
