"""Whether a network, written as ONNX, is read as one that does the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from conntra_hardware.base.errors import ConntraError
from conntra_neuro.exchange.onnx.reader import read_onnx
from conntra_neuro.exchange.onnx.writer import onnx_bytes
from conntra_neuro.network import DiscreteNetwork

__all__ = ["comes_from_onnx"]

_SAMPLES = 64


def comes_from_onnx(network: DiscreteNetwork, path: Path) -> bool:
    """Write ``network`` as a graph to ``path``, read it, and return whether that gave a network that does the same."""
    try:
        path.write_bytes(onnx_bytes(network))
        read = read_onnx(path)
    except ConntraError:
        return False
    x = np.random.default_rng(0).random((_SAMPLES, network.steps, network.n_in))
    if network.encoder is None:
        x = (x < 0.5).astype(np.uint8)
    if (read.steps, read.labels) != (network.steps, network.labels):
        return False
    return np.array_equal(read.predict(x), network.predict(x))
