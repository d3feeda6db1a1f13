"""The input of an ONNX graph as 0/1 spikes: its binarisation is found as a threshold of each feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.input_encoding import Encoder, ThermometerEncoder, ThresholdEncoder
from conntra_neuro.exchange.metadata import encoder_of
from conntra_neuro.exchange.onnx.graph import Graph, Node
from conntra_neuro.exchange.onnx.values import Raw, Settled, Tensor, TooFine

__all__ = ["INPUTS", "SPIKES", "THRESHOLDS", "own_encoder", "spikes_of"]

SPIKES, THRESHOLDS = "spikes", "thresholds"
"""In graphs of our own with an encoder: what it gives, and the constant that it compares features with."""

INPUTS = {"binary": (0.0, 1.0), "bipolar": (-1.0, 1.0)}
"""What inputs are that the graph does not binarise: the value without a spike, and with one."""

_PROBES = 64


def own_encoder(graph: Graph) -> tuple[Encoder, tuple[Node, ...]] | None:
    """Return the encoder of a graph of our own and the nodes behind it; None where the graph has another one, or none.

    What bisection finds in float32 is the same to half a float; a graph's own float64 thresholds are taken as they are.
    """
    encoder = encoder_of(graph.note, "the graph")
    made = [node for node in graph.nodes if SPIKES in node.outputs]
    if encoder is None or not made or graph.input_shape != (encoder.n_features,):
        return None
    if not np.array_equal(graph.constants.get(THRESHOLDS, ()), encoder.thresholds):
        return None
    before, waiting = set(), made
    while waiting:
        node = waiting.pop()
        before.add(node)
        waiting += [other for other in graph.nodes if set(other.outputs) & set(node.inputs)]
    return encoder, tuple(node for node in graph.nodes if node not in before)


def spikes_of(raw: Raw, size: int, inputs: str, reorder: bool, scale: float = 1.0) -> tuple[Tensor, Encoder | None]:
    """Return the graph's input as spikes, and the encoder that its first operators are; None where there are none.

    ``reorder``: the spikes are numbered as the elements lie now, rather than as features lie in the graph's input.
    ``scale``: features are divided by it before they enter the graph.
    """
    order = raw.index.ravel() if reorder else np.arange(size)
    index = np.arange(size).reshape(raw.index.shape) if reorder else raw.index
    base = Settled(-1, size, size)
    if not raw.steps:
        low, high = INPUTS[inputs]
        return Tensor(base, index, np.array([[low] * size, [high] * size])), None
    thresholds, levels = _thresholds(raw, size)
    table = np.stack([values[order] for values in levels])
    if len(thresholds) == 1:
        return Tensor(base, index, table), ThresholdEncoder(thresholds[0][order] * scale)
    base = Settled(-1, size, size, len(thresholds), len(thresholds))
    return Tensor(base, index, table), ThermometerEncoder(np.stack([t[order] for t in thresholds]) * scale)


def _thresholds(raw: Raw, size: int) -> tuple[list[npt.NDArray[Any]], list[npt.NDArray[Any]]]:
    """Return by feature the thresholds of x > threshold, rising, and the values below the first, between, and above."""

    def value(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        found = np.empty(size)
        found[raw.index.ravel()] = raw.evaluate(x.astype(np.float64)).ravel()
        return found

    end = 2**31 - 2**23 - 1
    start, top = np.full(size, -end), np.full(size, end)
    last_value = value(_floats(top))
    levels, edges = [value(_floats(start))], []
    while (levels[-1] != last_value).any():
        if len(edges) == _MOST_LEVELS:
            raise TooFine(
                f"input: features take more than {_MOST_LEVELS + 1} values at the first layer; inputs are spikes of 0 "
                "and 1: quantise them in the graph (sign, step, few bits), or before it"
            )
        # Bisection over the float32 numbers in order: after it no float lies between bottom and top.
        bottom, above = start.copy(), top.copy()
        for _ in range(33):
            middle = (bottom + above) // 2
            below = value(_floats(middle)) == levels[-1]
            bottom, above = np.where(below, middle, bottom), np.where(below, above, middle)
        edges.append((_floats(bottom).astype(np.float64), _floats(above).astype(np.float64)))
        levels.append(value(_floats(above)))
        start = above
    if not edges or (levels[0] == levels[-1]).any():
        wrong = int(np.flatnonzero(levels[0] == levels[-1])[0])
        raise InputError(f"input: feature {wrong} is the same whatever its value")
    _check_steps(value, edges, levels)
    # Between two neighbouring floats, where doubles are rounded to the one or the other.
    return [last / 2 + first / 2 for last, first in edges], levels


_MOST_LEVELS = 63


def _check_steps(value: Any, edges: Sequence[Any], levels: Sequence[Any]) -> None:
    """Raise InputError where a value between two edges is another than at its edge."""
    rng = np.random.default_rng(0)
    for probe in range(_PROBES):
        distance = np.abs(rng.normal(size=len(levels[0]))) * 2.0 ** (probe % 32 - 16)
        for number, expected in enumerate(levels):
            low = edges[number - 1][1] if number else edges[0][0] - distance
            high = edges[number][0] if number < len(edges) else edges[-1][1] + distance
            x = np.clip(low + distance, low, high) if 0 < number < len(edges) else (low if number == 0 else high)
            found = value(np.asarray(x).astype(np.float32))
            if not np.array_equal(found, expected):
                wrong = int(np.flatnonzero(found != expected)[0])
                raise TooFine(
                    f"input: feature {wrong} is no staircase of its value at the first layer; inputs are spikes of 0 "
                    "and 1: quantise them in the graph (sign, step, few bits), or before it"
                )


def _floats(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the float32 numbers of integer keys in the same order: 0 for 0.0, 1 for the least above it."""
    bits = np.where(keys < 0, (-keys) | 2**31, keys).astype(np.uint32)
    return bits.view(np.float32)
