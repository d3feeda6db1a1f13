"""Objectives that see the chip: what an inference costs, in the events of the energy model, weighed against errors.

The penalised objective is the mean cross-entropy in nats plus, by a weight each,

    synops   nats for a thousand synaptic operations of an inference
    spikes   nats for a thousand spikes of hidden units
    nonzero  nats for a thousand nonzero weights
    energy   nats for a microjoule of an inference on Loihi 1, coefficients sanafe2025

Counts are exact. A nonzero weight costs its input's spike rate times a synop; a spike costs itself, a packet to every
core of the next layer, and the synops that it sets off. Neuron updates and packets that enter the chip are left out:
no single move changes them. So are hops, a fortieth of a packet. The report's figure, which has them all, comes from
``conntra_hardware.cost.energy`` and the compiled program.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError

__all__ = ["PENALTIES", "Prices", "parse_penalty", "prices_of"]

PENALTIES = ("synops", "spikes", "nonzero", "energy")
_COEFFICIENTS, _CHIP = "sanafe2025", "loihi1"
_BITS_A_WEIGHT = 2.5  # of a dense ternary layer, index and headers included; says on how many cores a layer lies


class _Weights(Protocol):
    @property
    def penalty_synops(self) -> float: ...
    @property
    def penalty_spikes(self) -> float: ...
    @property
    def penalty_nonzero(self) -> float: ...
    @property
    def penalty_energy(self) -> float: ...


@dataclass(frozen=True)
class Prices:
    """Prices in nats: of a synaptic operation, of a nonzero weight, of a spike of each hidden layer's units."""

    synop: float
    nonzero: float
    spike: tuple[float, ...]

    def times(self, share: float) -> Prices:
        """Return all prices times ``share``."""
        return Prices(self.synop * share, self.nonzero * share, tuple(price * share for price in self.spike))

    def of_weights(self, rates: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Return the price of a nonzero weight from each input (n_in,), whose spike rates are ``rates``."""
        return (self.nonzero + self.synop * rates).astype(np.float32)

    def of_spikes(self, layer: int, fan_out: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the price of a spike of each unit of hidden layer ``layer``, with so many synapses each."""
        return (self.spike[layer] + self.synop * fan_out).astype(np.float32)

    def mean_cost(self, rates: Sequence[npt.NDArray[np.floating]], fan_out: Sequence[npt.NDArray[np.int64]]) -> float:
        """Return the nats of a sample: ``rates`` of the inputs and of each hidden layer, ``fan_out`` of the same."""
        synops = sum(float(rate @ count) for rate, count in zip(rates, fan_out, strict=True))
        spikes = sum(price * float(rate.sum()) for price, rate in zip(self.spike, rates[1:], strict=True))
        return self.synop * synops + spikes + self.nonzero * sum(int(count.sum()) for count in fan_out)


def prices_of(weights: _Weights, sizes: Sequence[int]) -> Prices | None:
    """Return what the penalty weights amount to for a network of ``sizes``; None where all of them are 0."""
    if not any((weights.penalty_synops, weights.penalty_spikes, weights.penalty_nonzero, weights.penalty_energy)):
        return None
    synop, spike = weights.penalty_synops / 1e3, weights.penalty_spikes / 1e3
    spikes = [spike] * (len(sizes) - 2)
    if weights.penalty_energy:
        synop, spikes = _with_energy(weights.penalty_energy * 1e6, synop, spikes, sizes)
    return Prices(synop, weights.penalty_nonzero / 1e3, tuple(spikes))


def _with_energy(
    nats_a_joule: float, synop: float, spikes: list[float], sizes: Sequence[int]
) -> tuple[float, list[float]]:
    from conntra_hardware.chip import load_chip
    from conntra_hardware.cost.coefficients import load_coefficients

    cost, chip = load_coefficients(_COEFFICIENTS).energy_j, load_chip(_CHIP)

    def cores(n_in: int, n_out: int) -> int:
        bits = n_in * n_out * _BITS_A_WEIGHT
        return max(math.ceil(n_out / chip.neurons_per_core), math.ceil(bits / chip.synapse_memory_bits))

    found = [
        price + nats_a_joule * (cost["spike"] + cores(*pair) * cost["packet_out"])
        for price, pair in zip(spikes, pairwise(sizes[1:]), strict=True)
    ]
    return synop + nats_a_joule * cost["synop_sparse"], found


def parse_penalty(text: str) -> dict[str, float]:
    """Return the options that ``"energy=0.5,spikes=2"`` stands for; see the module for names and units."""
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if name not in PENALTIES or not equals or not 0 <= number < math.inf:
            allowed = ", ".join(f"{known}=NUMBER" for known in PENALTIES)
            raise InputError(f"penalty {part!r}: {allowed} expected, with commas, each number 0 or more")
        found[f"penalty_{name}"] = number
    return found
