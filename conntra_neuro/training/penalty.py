"""Objectives that see the chip: what an inference costs, in the events of the energy model, weighed against errors.

The penalised objective is the mean cross-entropy in nats plus, by a weight each,

    synops   nats for a thousand synaptic operations of an inference
    spikes   nats for a thousand spikes of hidden units
    nonzero  nats for a thousand nonzero weights
    energy   nats for a microjoule of an inference on Loihi 1, coefficients sanafe2025

Counts are exact. A nonzero weight costs its input's spike rate times a synop, a kernel's at every place and time step;
a spike costs itself, a packet to every core of the layers that read it (of a convolution's cores to as many as the
share of its units that the spike reaches), and the synops that it sets off. Neuron updates and packets that enter the
chip are left out: no single move changes them. So are hops, a fortieth of a packet. The report's figure, which has
them all, comes from ``conntra_hardware.cost.energy`` and the compiled program.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.base.suggest import did_you_mean
from conntra_neuro.training.architecture.architecture import Architecture, Node

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
    """Prices in nats: of a synaptic operation, of a nonzero weight, of a spike of each hidden node's units.

    Of a spike with the spikes of its relays; ``relayed`` is what those of an input's spike cost.
    """

    synop: float
    nonzero: float
    spike: tuple[float, ...]
    relayed: float = 0.0

    def times(self, share: float) -> Prices:
        """Return all prices times ``share``."""
        spike = tuple(price * share for price in self.spike)
        return Prices(self.synop * share, self.nonzero * share, spike, self.relayed * share)

    def of_weights(self, rates: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Return the price of each nonzero weight that sees ``rates`` spikes in a sample."""
        return (self.nonzero + self.synop * rates).astype(np.float32)

    def of_spikes(self, layer: int, fan_out: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the price of a spike of each unit of hidden node ``layer``, with so many synapses each."""
        return (self.spike[layer] + self.synop * fan_out).astype(np.float32)


def prices_of(weights: _Weights, arch: Architecture) -> Prices | None:
    """Return what the penalty weights amount to for a network of ``arch``; None where all of them are 0."""
    if not any((weights.penalty_synops, weights.penalty_spikes, weights.penalty_nonzero, weights.penalty_energy)):
        return None
    synop, spike = weights.penalty_synops / 1e3, weights.penalty_spikes / 1e3
    spikes, relay = [spike] * (len(arch.nodes) - 1), spike
    if weights.penalty_energy:
        synop, spikes, relay = _with_energy(weights.penalty_energy * 1e6, synop, spikes, arch)
    inputs, *hops = arch.relays
    spikes = [price + count * relay for price, count in zip(spikes, hops, strict=True)]
    return Prices(synop, weights.penalty_nonzero / 1e3, tuple(spikes), inputs * relay)


def _with_energy(
    nats_a_joule: float, synop: float, spikes: list[float], arch: Architecture
) -> tuple[float, list[float], float]:
    """Return the prices of a synop, of a spike of each hidden node, and of a relay's spike, which goes to one core."""
    from conntra_hardware.chip import load_chip
    from conntra_hardware.cost.coefficients import load_coefficients

    cost, chip = load_coefficients(_COEFFICIENTS).energy_j, load_chip(_CHIP)

    def packets(node: Node) -> float:
        """To how many cores a spike goes that a unit of ``node`` reads."""
        units = math.prod(node.shape)
        bits = node.fan_in * units * _BITS_A_WEIGHT
        cores = max(math.ceil(units / chip.neurons_per_core), math.ceil(bits / chip.synapse_memory_bits))
        return max(1.0, cores * min(1.0, node.fan_in / math.prod(node.shape_in)))

    readers = _readers(arch)
    found = [
        price + nats_a_joule * (cost["spike"] + sum(map(packets, above)) * cost["packet_out"])
        for price, above in zip(spikes, readers, strict=True)
    ]
    relay = spikes[0] + nats_a_joule * (cost["spike"] + cost["packet_out"]) if spikes else 0.0
    return synop + nats_a_joule * cost["synop_sparse"], found, relay


def _readers(arch: Architecture) -> list[list[Node]]:
    """Return the layers that read each node below the readout, through sums of windows."""
    nodes = arch.nodes
    found: list[list[Node]] = [[] for _ in nodes]
    for number in range(len(nodes) - 2, -1, -1):
        above = nodes[number + 1]
        found[number] = list(found[number + 1]) if above.kind == "sum" else [above]
        found[number] += [node for node in nodes if node.skip is not None and node.skip.source == number]
        found[number] += [nodes[number]] if nodes[number].loop >= 0 else []
    return found[:-1]


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
            meant = "" if name in PENALTIES else did_you_mean(name, PENALTIES)
            raise InputError(f"penalty {part!r}{meant}: {allowed} expected, with commas, each number 0 or more")
        found[f"penalty_{name}"] = number
    return found
