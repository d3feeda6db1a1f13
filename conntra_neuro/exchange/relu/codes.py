"""How features enter a network of integers: as binary codes, whose neurons send whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.program.input_encoding import CodeEncoder
from conntra_neuro.exchange.relu.integer import InputCode
from conntra_neuro.exchange.relu.net import FloatNet

__all__ = ["input_code"]

Array = npt.NDArray[Any]
_BITS = 8


def input_code(net: FloatNet, features: Array, scale: float) -> tuple[InputCode, Array, Array]:
    """Return the code of features (n, features), fitted to them, and what a step of it and code 0 are to the graph.

    Both (channels,) of images, else (features,). Whole numbers that fit are taken as they are; others go from the
    least to the greatest, of images of all pixels together. Where the graph quantises its input, that is the code.
    """
    n = features.shape[1]
    image = len(net.shape) == 3
    channels = net.shape[0] if image else n
    if net.grid is not None:
        bits = int(net.grid.high - net.grid.low).bit_length()
        step = np.full(n, net.grid.scale * scale)
        low = np.full(n, (net.grid.low - net.grid.zero) * net.grid.scale * scale)
    else:
        axis = None if image or features.dtype == np.uint8 else 0
        low, high = (np.broadcast_to(end(axis), n).astype(np.float64) for end in (features.min, features.max))
        low = np.where((low > 0) & (high < 2**_BITS), 0.0, low) if _whole(features) else low
        reach = float((high - low).max())
        whole = _whole(features) and reach < 2**_BITS
        bits = max(1, int(reach).bit_length()) if whole else _BITS
        spans = np.where(high > low, high - low, 1.0)
        step = np.ones(n) if whole else spans / (2**bits - 1)
    encoder = CodeEncoder(low, step, n, bits)
    ends = np.stack([step, low])[:, :: n // channels] / scale
    first = net.layers[0]
    padded = first.geometry is not None and any(first.geometry.padding)
    constant = 2**bits - 1 if padded and (ends[1].any() or first.plane is not None) else 0
    return InputCode(encoder, net.shape, constant), ends[0], ends[1]


def _whole(features: Array) -> bool:
    return features.dtype.kind in "biu" or bool((features == np.rint(features)).all())
