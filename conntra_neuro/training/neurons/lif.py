"""Leaky integrate-and-fire neurons over T time steps; credit goes backward through current, leak and reset.

What enters at a step is worth what it adds to v at that step and, less what leaks away, at all later ones, until a hard
reset forgets it. In a recurrent layer a spike is also worth what it brings to all units a step later, less what its
reset takes. A bias enters v and not the current; where currents stay on, its scores are those of a weight, and
their order is what counts.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from conntra_hardware.neurons import FORGETS, FRACTION_BITS, Lif, Neuron, values
from conntra_neuro.training.neurons.base import Floats, Terms, Wished, spread_of
from conntra_neuro.training.neurons.threshold import ThresholdTraining
from conntra_neuro.training.threads import Threads

__all__ = ["LifTraining"]

_RATE = 0.225  # of input spikes, which ``spread_of`` takes


class LifTraining(ThresholdTraining):
    """See the module. The slope is a threshold's, at v."""

    word = "lif"
    folds = False

    def of_layer(self, fan_in: int, largest_level: int, first: bool, wanted: Wished) -> Neuron:
        """Return the neuron whose threshold is a third of what v spreads by, of independent inputs.

        Units that spike often tell the layers above, and the scores, more [measured on spoken digits].
        """
        decays = wanted.voltage_decay, wanted.current_decay
        lasts = math.sqrt(sum(w**2 for w in _kernel(*decays, steps=wanted.steps)))
        spread = spread_of(fan_in, largest_level) * math.sqrt(wanted.rate / _RATE if first else 1.0)
        threshold = max(1, round(spread * lasts / 3))
        reset: Any = wanted.reset
        return Lif(threshold, voltage_decay=decays[0], current_decay=decays[1], reset=reset)

    def words(self, neuron: Neuron, steps: int) -> tuple[Any, ...]:
        """Return its word, the time steps, its reset and decays."""
        found = _typed(neuron)
        return self.word, steps, found.reset, int(values(found.voltage_decay)), int(values(found.current_decay))

    def respond(
        self, neuron: Neuron, z: Floats, bias: Floats | float = 0.0, steps: int = 1, loop: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """Return how far v is above the threshold, in weight units, before its reset, and the spikes.

        The spikes are those of ``Lif.advance``.
        """
        from conntra_neuro.training.neurons import kernels  # numba, which naming layers has no need of

        found, shape = _typed(neuron), z.shape
        flat = z.reshape(-1, steps, math.prod(shape[1:]))
        wide = np.broadcast_to(np.asarray(bias, z.dtype), shape[1:]).reshape(-1)
        over, spikes = np.empty_like(flat), np.empty_like(flat)
        keeps_u, keeps_v = (FORGETS - int(values(decay)) for decay in (found.current_decay, found.voltage_decay))
        theta = int(values(found.threshold)) << FRACTION_BITS
        least, hard, waits = theta + int(found.strict), found.reset == "hard", int(values(found.refractory))
        given = (np.ascontiguousarray(flat), np.ascontiguousarray(wide), _looped(loop, z.dtype))
        kernels.leak(*given, keeps_u, keeps_v, theta, least, hard, waits, over, spikes)
        return over.reshape(shape), spikes.reshape(shape)

    def unit(self, neuron: Neuron) -> float:
        """Return the threshold."""
        return float(values(_typed(neuron).threshold))

    def share_above(self, neuron: Neuron) -> float:
        """Return half of what a step has to add for v to reach the threshold, if it went on for ever."""
        found = _typed(neuron)
        decays = int(values(found.voltage_decay)), int(values(found.current_decay))
        return 0.5 / sum(_kernel(*decays, steps=_LONG))

    def terms(
        self,
        neuron: Neuron,
        z: Floats,
        outputs: Floats,
        gain: Floats,
        how: Terms,
        threads: Threads,
        steps: int = 1,
        loop: Floats | None = None,
    ) -> Floats:
        """Return the terms, backward through time."""
        from conntra_neuro.training.neurons import kernels

        found = _typed(neuron)
        curve = self.slope(neuron, how.sigma)
        decays = int(values(found.voltage_decay)), int(values(found.current_decay))
        largest = float(curve.max()) * max(1.0, sum(_kernel(*decays, steps=steps)))
        grid = how.grid(largest, gain.dtype)
        shape = (-1, steps, math.prod(gain.shape[1:]))
        g, over, s = gain.reshape(shape), z.reshape(shape), outputs.reshape(shape)
        price = np.zeros(shape[2], gain.dtype)
        if how.price is not None:
            price[:] = np.broadcast_to(how.price, gain.shape[1:]).ravel()
        keeps_v, keeps_u = ((FORGETS - decay) / FORGETS for decay in decays)
        bound = (how.bound + float(price.max(initial=0))) * largest
        # What comes back through a loop comes back again: it is taken too large where resets are not counted.
        way, resets = _looped(None if loop is None else loop.T, np.float64), loop is not None
        reset = (self.unit(neuron), found.reset == "hard", resets)
        threads.run(kernels.credit, len(g), over, s, price, curve, way, keeps_u, keeps_v, *reset, bound, grid, g)
        return gain


_LONG = 256  # steps after which little is left of anything


def _kernel(voltage_decay: int, current_decay: int, steps: int) -> list[float]:
    """Return what a weight adds to v at the step it enters, and at each of the following ones, without a spike."""
    u, v, found = 1.0, 0.0, []
    for _ in range(steps):
        v = v * (FORGETS - voltage_decay) / FORGETS + u
        found.append(v)
        u *= (FORGETS - current_decay) / FORGETS
    return found


def _looped(loop: Floats | None, dtype: Any) -> Floats:
    return np.empty((0, 0), dtype) if loop is None else np.ascontiguousarray(loop, dtype)


def _typed(neuron: Neuron) -> Lif:
    assert isinstance(neuron, Lif)
    return neuron
