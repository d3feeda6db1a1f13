"""Whose a graph is, from what its exporter writes: time constants, gains, and nested graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_neuro.exchange.nir.conventions import CONVENTIONS
from conntra_neuro.exchange.nir.float_layer import FloatLayer

__all__ = ["likely_source"]

Array = npt.NDArray[np.float64]


def likely_source(graph: Any, layers: Sequence[FloatLayer]) -> str:
    """Return whose convention a ``graph`` of ``layers`` suggests; NIR's own where it tells nothing.

    LI before weights is Nengo's. Spyx writes beta for r, Rockpool tau exp(-dt / tau) / dt, SpikingJelly 1 / dt for IF.
    Steps are counted by sinabs (1 and more), seconds divided by a rate by Norse (below 1e-4, which is shorter than a
    step elsewhere). snnTorch, the NIR paper and SpikingJelly's LIF share a dt and r: the graph's own reset, to zero, is
    taken.
    """
    if _leads_into_a_way_back(graph):
        return "spyx"
    if any(layer.filtered for layer in layers):
        return "nengo"
    neurons = [layer.neuron for layer in layers]
    leaking = [neuron for neuron in neurons if np.isfinite(neuron.tau).all() and (neuron.tau > 0).all()]
    rockpool, seconds = CONVENTIONS["rockpool"].dt, CONVENTIONS["spikingjelly"].dt
    if any(neuron.kind == "IF" and _close(neuron.r, 1 / seconds) for neuron in neurons):
        return "spikingjelly"
    spiking = [neuron for neuron in leaking if neuron.kind in ("LIF", "CubaLIF")]
    if spiking and all((n.tau >= 1).all() and _close(n.r, 1 - 1 / n.tau) for n in spiking):
        return "spyx"
    current = [neuron for neuron in leaking if neuron.kind in ("CubaLIF", "LI")]
    if current and all(_close(n.r, n.tau * np.exp(-rockpool / n.tau) / rockpool) for n in current):
        return "rockpool"
    return _by_constants([part for n in neurons for part in (n.tau, n.tau_syn)])


def _by_constants(constants: Sequence[Array]) -> str:
    found = np.concatenate([values[np.isfinite(values) & (values > 0)] for values in constants])
    if not found.size:
        return "paper"
    if found.min() >= 1:
        return "sinabs"
    return "norse" if found.min() < 1e-4 else "paper"


def _close(written: Array, expected: Array | float) -> bool:
    """Return whether gains are what is expected of them, but for float32."""
    return bool(np.allclose(written, expected, rtol=1e-4, atol=0))


def _leads_into_a_way_back(graph: Any) -> bool:
    """Return whether a nested graph's input leads into weights between neurons and themselves."""
    for node in graph.nodes.values():
        if type(node).__name__ != "NIRGraph":
            continue
        edges = {(str(source), str(target)) for source, target in node.edges}
        inputs = [name for name, inner in node.nodes.items() if type(inner).__name__ == "Input"]
        behind = [target for source, target in edges if source in inputs and hasattr(node.nodes.get(target), "weight")]
        if any((other, target) in edges for target in behind for source, other in edges if source == target):
            return True
    return False
