"""What training asks of a kind of neuron: how a layer gets one, how it responds, and what its potentials are worth.

A kind of neuron is one file here, listed in ``neurons.TRAINABLE``; its surrogate derivative for backpropagation is a
row in conntra_neuro/training/backprop/whole_steps.py, of leaky ones leaky_steps.py beside it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from conntra_hardware.neurons import Neuron
from conntra_neuro.training.threads import Threads

__all__ = ["GRADED_SPREAD", "Floats", "Terms", "TrainableNeuron", "Wished", "noisy_step", "spread_of"]

Floats = npt.NDArray[Any]

GRADED_SPREAD = 4.0
"""Graded spikes are about so large: a few bits, as few synapses' sums as a binary one's."""


def spread_of(fan_in: int, largest_level: int, graded: bool = False) -> float:
    """Return what the potentials of a random ternary kernel of ``fan_in`` inputs spread by, about."""
    return largest_level * math.sqrt(fan_in * (0.6 * GRADED_SPREAD**2 if graded else 0.15))


def noisy_step(sigma: float) -> npt.NDArray[np.float64]:
    """Return the probability to spike at potentials -R - 1 .. R + 1; a unit spikes above 0, its threshold is at 1/2."""
    reach = math.ceil(16 * sigma) + 2
    z = np.arange(-reach - 1, reach + 2)
    return 1 / (1 + np.exp(-(z - 0.5) / sigma))


@dataclass(frozen=True)
class Terms:
    """How gains of a layer's outputs become terms of its scores.

    sigma   noise of the thresholds, in units of potential
    bound   of all gains; ``count`` of such terms, times what they are multiplied by, add up exactly
    price   of a spike of each unit, broadcast to the outputs' shape; None where it is free
    """

    sigma: float
    bound: float
    count: float
    price: Floats | None = None

    def grid(self, largest_slope: float, dtype: Any, steps: int = 1) -> float:
        """Return the power of two that terms are rounded to: so many of them are exact in ``dtype``."""
        price = 0.0 if self.price is None else float(self.price.max())
        exact = 2.0**24 if dtype == np.float32 else 2.0**52
        bound = max((self.bound + price) * largest_slope * steps, 1e-12)
        return 2.0 ** math.ceil(math.log2(bound * (self.count + 1) / exact) + 1e-9)


class Wished(Protocol):
    """What is asked of all neurons of a network: the fields of ``architecture.words.Neurons``."""

    @property
    def steps(self) -> int: ...
    @property
    def reset(self) -> str: ...
    @property
    def voltage_decay(self) -> int: ...
    @property
    def current_decay(self) -> int: ...
    @property
    def rate(self) -> float: ...


class TrainableNeuron(ABC):
    """A kind of hidden neuron as training sees it. Potentials are integers, held as floats in which they are exact."""

    word: str
    """What ``--neuron`` calls it, without its time steps."""
    binary = True
    """Whether a spike is 0 or 1; a graded one has no bound before it is run."""
    folds = False
    """Whether the scale of its potentials is of no concern, so that normalisation folds into integer biases."""

    @abstractmethod
    def of_layer(self, fan_in: int, largest_level: int, first: bool, wanted: Wished) -> Neuron:
        """Return the neuron of a layer with ``fan_in`` inputs a unit, ``first`` where they are the network's."""

    @abstractmethod
    def words(self, neuron: Neuron, steps: int) -> tuple[Any, ...]:
        """Return word, time steps, reset and decays that stand for ``neuron`` where a sample has ``steps`` steps."""

    @abstractmethod
    def respond(
        self, neuron: Neuron, z: Floats, bias: Floats | float = 0.0, steps: int = 1, loop: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """Return what the units decide by, and their outputs, of potentials ``z`` (samples * steps, *shape).

        ``bias``, (channels,), is what of ``z`` is no synaptic sum; a sample has ``steps`` time steps. ``loop``
        (units, units): weights from each unit to each, whose spikes arrive a step later; leaky neurons alone have them.
        """

    @abstractmethod
    def unit(self, neuron: Neuron) -> float:
        """Return about what potentials spread by, by which the neuron was chosen."""

    @abstractmethod
    def share_above(self, neuron: Neuron) -> float:
        """Return the bias above the median potential to start from, in units: about half of them are to be on."""

    def above(self, neuron: Neuron) -> int:
        """Return the same bias in potential, at least 1 where it is any."""
        share = self.share_above(neuron)
        return max(1, int(share * self.unit(neuron))) if share else 0

    @abstractmethod
    def slope(self, neuron: Neuron, sigma: float) -> npt.NDArray[np.float32]:
        """Return the slope of a unit's mean output at potentials -R .. R, constant beyond."""

    def spike_slope(self, neuron: Neuron, sigma: float) -> npt.NDArray[np.float32]:
        """Return the slope of the share of spikes at the same potentials; for 0/1 spikes it is that of the output."""
        return self.slope(neuron, sigma)

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
        """Return ``gain`` times the slope at ``z``, both (rows, *shape), in place and on a grid; prices included.

        A sample has ``steps`` rows; ``loop`` as in ``respond``.
        """
        from conntra_neuro.training.neurons import kernels  # numba, which naming layers has no need of

        curve = self.slope(neuron, how.sigma)
        spiking = curve if how.price is None else self.spike_slope(neuron, how.sigma)
        grid = how.grid(float(max(curve.max(), spiking.max())), gain.dtype)
        flat, potentials = gain.reshape(len(gain), -1), z.reshape(len(gain), -1)
        threads.run(kernels.lower_gains, len(flat), potentials, flat, curve, 1 / grid, grid)
        if how.price is not None:
            price = np.broadcast_to(how.price, gain.shape[1:]).astype(np.float32).ravel()
            threads.run(kernels.price_spikes, len(flat), potentials, price, spiking, 1 / grid, grid, flat)
        return gain
