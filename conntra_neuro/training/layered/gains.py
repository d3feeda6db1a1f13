"""From the gain of a unit's output to the term that its potential adds to scores: times the slope of its neurons.

Thresholds carry logistic noise of scale sigma, as in the dense blocks gear: the slope is what the output changes by, on
average, for one unit of potential. Graded units have the slope of their smoothed line. Integrate-and-fire units go
backward through time: what is integrated at a step counts at all later ones, until a hard reset forgets it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.neurons import GradedRelu, IntegrateAndFire, Neuron, values
from conntra_neuro.training import kernels
from conntra_neuro.training.threads import Threads

__all__ = ["slope_of", "terms"]

Floats = npt.NDArray[Any]


def slope_of(neuron: Neuron, sigma: float) -> npt.NDArray[np.float32]:
    """Return the slope of a unit's output at potentials -R .. R, constant beyond."""
    reach = math.ceil(16 * sigma) + 2
    z = np.arange(-reach - 1, reach + 2)
    p = 1 / (1 + np.exp(-(z - 0.5) / sigma))
    if isinstance(neuron, GradedRelu):
        slope = p[1:-1] * 0.5 ** values(neuron.shift)
        slope[0] = 0
        return slope.astype(np.float32)
    slope = (p[2:] - p[:-2]) / 2
    slope[[0, -1]] = 0
    return slope.astype(np.float32)


def terms(
    neuron: Neuron, z: Floats, outputs: Floats, gain: Floats, sigma: float, bound: float, count: float, threads: Threads
) -> Floats:
    """Return ``gain`` times the slope at ``z``, both (rows, ...), in place, on a grid.

    ``bound`` of all gains; ``count`` of such terms, times what they are multiplied by, add up exactly.
    """
    curve = slope_of(neuron, sigma)
    steps = neuron.steps if isinstance(neuron, IntegrateAndFire) else 1
    grid = _grid(max(bound * float(curve.max()) * steps, 1e-12), count, gain.dtype)
    flat, potentials = gain.reshape(len(gain), -1), z.reshape(len(gain), -1)
    if steps == 1:
        threads.run(kernels.lower_gains, len(flat), potentials, flat, curve, 1 / grid, grid)
        return gain
    assert isinstance(neuron, IntegrateAndFire)
    reach = (len(curve) - 1) // 2
    slope = curve[np.clip(potentials, -reach, reach).astype(np.int32) + reach].reshape(-1, steps, flat.shape[1])
    g, s = flat.reshape(slope.shape), outputs.reshape(slope.shape)
    later = np.zeros_like(g[:, 0])
    for step in range(steps - 1, -1, -1):
        stays = later if neuron.reset == "soft" else later * (1 - s[:, step])
        later = g[:, step] * slope[:, step] + stays
        g[:, step] = np.rint(later / grid) * grid
    return gain


def _grid(bound: float, count: float, dtype: Any) -> float:
    """Return the power of two on which ``count`` values of at most ``bound`` add up exactly in ``dtype``."""
    exact = 2.0**24 if dtype == np.float32 else 2.0**52
    return 2.0 ** math.ceil(math.log2(bound * (count + 1) / exact) + 1e-9)
