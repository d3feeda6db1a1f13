"""Networks as Lava runs them: all layers from the first step on, each a step behind the one before."""

from __future__ import annotations

from typing import Any

import conntra_neuro as cn

__all__ = ["behind"]


def behind(layer: Any) -> Any:
    """Return ``layer``, which takes what the one before sent a step ago."""
    if isinstance(layer, cn.Dense):
        return cn.Dense(layer.weight, layer.bias, layer.neuron, delay=1)
    if not isinstance(layer, cn.Conv2d):
        return layer
    return cn.Conv2d(layer.weight, layer.bias, layer.neuron, delay=1, **layer.geometry.window)
