"""Energy and latency: event counts times coefficients. There is one formula in the project, and it is here.

Dynamic energy (the count formula of ``docs/chips.md``, which SANA-FE's totals follow too):

    synops x E_synop + neurons x steps x E_access + active updates x E_update + spikes x E_spike
    + packets out x E_packet_out + packets in x E_packet_in + hops x E_hop + chip crossings x E_crossing

Time of a step (SANA-FE's simple timing model): the slowest core, plus synchronisation by tiles in use, where a core
takes the longer of

    neuron time   sum over its neurons of access, update and spike times, and packets out x T_packet_out
    message time  packets in x T_packet_in + synops x T_synop

The pipeline: at step t the spikes of sample t - d + 1 reach the cores of a population at depth d, and its neurons are
updated for sample t - d. The samples are taken to repeat without end, so that every step has work at every depth. A
sample's latency is the time from the step in which its first spikes enter to the one in which the readout is updated
for its last ones, both included: depth + the time steps of a sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.base.values import Shown
from conntra_hardware.cost.coefficients import Coefficients, load_coefficients
from conntra_hardware.cost.events import INPUT_CORE, Counts, EventCounts
from conntra_hardware.program import INPUT, Program

__all__ = ["EnergyEstimate", "estimate", "estimate_all", "step_times"]

Reals = npt.NDArray[np.float64]

_PERCENTILE = 95


@dataclass(frozen=True)
class EnergyEstimate(Shown):
    """Modelled, not measured: what a run takes in energy and time under one coefficient set.

    ``breakdown`` holds the dynamic energy by kind (synapse, neuron, spike, network, input, and chip_links where there
    is more than one chip); it sums to ``dynamic_j``. ``by_layer`` and ``by_core`` split the same energy; input spikes
    are the layer "input" and belong to no core. ``static_j`` is leakage times the time of the run, apart.
    ``per_inference_j`` is dynamic. Energies are in joules, over all samples where they do not say otherwise; times are
    in seconds; ``*_p95`` is the 95th percentile over samples, or over time steps, where the other one is the mean.

    coefficients         the name of the set; ``provenance`` says for people where its numbers come from
    proxy                whether they are those of another chip
    static_second_hand   whether the power of leakage was not read at its source
    samples, steps       samples of the run, and time steps of each
    step_time_s          of a time step, and ``step_time_p95_s``
    latency_s            of a sample, from its first input to its logits, and ``latency_p95_s``
    per_inference_p95_j  of a sample, dynamic
    counts               the events that were priced, summed, by name
    modelled             always True: nothing here was measured

    ``stored_zeros_j`` is in no sum: what the zero weights in dense synapse lists would add if the chip takes them for
    synaptic operations. No source says whether it does; counts and SANA-FE leave them out.
    """

    coefficients: str
    provenance: str
    proxy: bool
    static_second_hand: bool
    samples: int
    breakdown: Mapping[str, float]
    by_layer: Mapping[str, Mapping[str, float]] = field(repr=False)
    by_core: Mapping[int, float] = field(repr=False)
    static_j: float
    step_time_s: float
    step_time_p95_s: float
    latency_s: float
    latency_p95_s: float
    per_inference_p95_j: float
    stored_zeros_j: float
    counts: Mapping[str, int] = field(repr=False)
    modelled: bool = True
    steps: int = 1

    def __repr__(self) -> str:
        joules, latency = f"{self.per_inference_j:.3g} J", f"{self.latency_s:.3g} s"
        return f"EnergyEstimate({self.coefficients}: {joules} a sample, latency {latency}; modelled, not measured)"

    @property
    def dynamic_j(self) -> float:
        """Energy of what happened, over all samples."""
        return float(sum(self.breakdown.values()))

    @property
    def total_j(self) -> float:
        """Dynamic and static energy."""
        return self.dynamic_j + self.static_j

    @property
    def per_inference_j(self) -> float:
        """Dynamic energy of a sample, mean."""
        return self.dynamic_j / self.samples

    @property
    def per_inference_total_j(self) -> float:
        """Dynamic and static energy of a sample, mean."""
        return self.total_j / self.samples

    @property
    def throughput_hz(self) -> float:
        """Samples a second: one every ``steps`` time steps."""
        return 1.0 / (self.step_time_s * self.steps)

    @property
    def energy_delay_product_js(self) -> float:
        """Dynamic energy of a sample times its latency, in joule seconds."""
        return self.per_inference_j * self.latency_s

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; ``breakdown`` there has "static" too, and sums to ``total_j``."""
        plain = ("coefficients", "provenance", "proxy", "modelled", "samples", "dynamic_j", "static_j", "total_j")
        plain += ("static_second_hand", "per_inference_j", "per_inference_p95_j", "per_inference_total_j")
        plain += ("stored_zeros_j", "step_time_s", "step_time_p95_s", "latency_s", "latency_p95_s", "throughput_hz")
        plain += ("energy_delay_product_js", "steps")
        return {
            **{name: getattr(self, name) for name in plain},
            "breakdown": {**self.breakdown, "static": self.static_j},
            "by_layer": {layer: dict(kinds) for layer, kinds in self.by_layer.items()},
            "by_core": {str(core): energy for core, energy in self.by_core.items()},
            "counts": dict(self.counts),
        }


def estimate(counts: EventCounts, program: Program, coefficients: str | Coefficients) -> EnergyEstimate:
    """Return the energy (J) and latency (s) of a run of ``program`` whose events are ``counts``.

    ``coefficients``: the name of a set, as "davies2018", or a set. Raises InputError for a name that is not known, for
    counts of another program or of no samples, and where the set has no price for what happened.
    """
    costs = load_coefficients(coefficients) if isinstance(coefficients, str) else coefficients
    if counts.slices != program.slices:
        raise InputError("counts: of another program; estimate the program that was run")
    if counts.samples == 0:
        raise InputError("counts: of no samples; run at least 1")
    kinds, entering = _slice_energies(counts, program, costs)
    steps = step_times(counts, program, costs)
    latency = _latencies(steps, program.depth, counts.steps)
    per_step = sum(kind.sum(axis=1) for kind in kinds.values()) + sum(entering.values())
    per_sample = np.asarray(per_step).reshape(-1, counts.steps).sum(axis=1)
    return EnergyEstimate(
        coefficients=costs.name,
        provenance=costs.provenance,
        proxy=costs.proxy,
        static_second_hand=costs.cited["static.leakage"].second_hand,
        samples=counts.samples,
        breakdown=_breakdown(kinds, entering, program.chip.chips > 1),
        by_layer=_by_layer(kinds, entering, program),
        by_core=_by_core(kinds, program),
        static_j=costs.leakage_w * program.chip.chips * float(steps.sum()),
        step_time_s=float(steps.mean()),
        step_time_p95_s=float(np.percentile(steps, _PERCENTILE)),
        latency_s=float(latency.mean()),
        latency_p95_s=float(np.percentile(latency, _PERCENTILE)),
        per_inference_p95_j=float(np.percentile(per_sample, _PERCENTILE)),
        stored_zeros_j=_stored_zeros(counts, program, costs),
        counts=counts.totals(),
        steps=counts.steps,
    )


def estimate_all(counts: EventCounts, program: Program) -> tuple[EnergyEstimate, ...]:
    """Return an estimate from ``counts`` under each coefficient set that the chip of ``program`` names.

    Raises InputError as ``estimate`` does.
    """
    return tuple(estimate(counts, program, name) for name in program.chip.coefficients)


def _slice_energies(
    counts: EventCounts, program: Program, costs: Coefficients
) -> tuple[dict[str, Reals], dict[str, Reals]]:
    """Return joules by kind for each sample and slice (n, slices), and those of the input for each sample (n,)."""
    cost = costs.energy_j
    crossing = _crossing(program, costs)
    kinds = {
        "synapse": _synops_times(counts, program, cost),
        "neuron": counts.neuron_updates * cost["neuron_access"] + counts.active_updates * cost["neuron_update"],
        "spike": counts.spikes * cost["spike"],
        "network": counts.packets_out * cost["packet_out"]
        + counts.packets_in * cost["packet_in"]
        + counts.hops_ew * cost["hop_ew"]
        + counts.hops_ns * cost["hop_ns"],
        "chip_links": counts.crossings * crossing,
    }
    entering = {
        "input": counts.input_packets * cost["packet_out"]
        + counts.input_hops_ew * cost["hop_ew"]
        + counts.input_hops_ns * cost["hop_ns"],
        "chip_links": counts.input_crossings * crossing,
    }
    return kinds, entering


def _crossing(program: Program, costs: Coefficients) -> float:
    if program.chip.chips == 1:
        return 0.0
    if "chip_crossing" not in costs.energy_j:
        raise InputError(
            f"coefficients {costs.name}: no energy.chip_crossing for a program on {program.chip.chips} chips; add it"
        )
    return costs.energy_j["chip_crossing"]


def _synops_times(counts: EventCounts, program: Program, cost: Mapping[str, float]) -> Reals:
    """Return the synaptic operations, each times ``cost`` by how its synapse is stored, (rows, slices)."""
    total = np.zeros(counts.synops.shape)
    for index, stored, synops, _ in _stored(counts, program):
        total[:, index] += synops * cost[f"synop_{stored}"]
    return total


def _stored(counts: EventCounts, program: Program) -> Iterator[tuple[int, str, Counts, Counts]]:
    """Yield for each slice and projection into it: its index, the encoding, and synops and packets in of each step."""
    names = {(usage.core, e.source, e.target, e.delay): e.name for usage in program.usage for e in usage.encodings}
    for index, s in enumerate(program.slices):
        incoming = program.incoming(s.population)
        place = program.slices_of(s.population).index(s)
        for projection in incoming:
            name = names[s.core, projection.source, s.population, projection.delay]
            if len(incoming) == 1:
                yield index, name, counts.synops[:, index], counts.packets_in[:, index]
            else:
                synops, packets = counts.arrivals[projection.source, s.population, projection.delay]
                yield index, name, synops[:, place], packets[:, place]


def _stored_zeros(counts: EventCounts, program: Program, costs: Coefficients) -> float:
    """Return the joules of the zeros in dense lists that spikes passed, at the cost of a synaptic operation each."""
    energy = 0.0
    for index, encoding, synops, packets in _stored(counts, program):
        if encoding == "dense":
            zeros = packets.sum() * program.slices[index].size - synops.sum()
            energy += float(zeros) * costs.energy_j["synop_dense"]
    return energy


def _breakdown(kinds: Mapping[str, Reals], entering: Mapping[str, Reals], several: bool) -> dict[str, float]:
    names = ("synapse", "neuron", "spike", "network", "input") + (("chip_links",) if several else ())
    parts = [*kinds.items(), *entering.items()]
    return {name: float(sum(energy.sum() for kind, energy in parts if kind == name)) for name in names}


def _by_layer(
    kinds: Mapping[str, Reals], entering: Mapping[str, Reals], program: Program
) -> dict[str, dict[str, float]]:
    several = program.chip.chips > 1
    layers = {
        INPUT: {kind: float(energy.sum()) for kind, energy in entering.items() if several or kind != "chip_links"}
    }
    names = np.array([s.population for s in program.slices])
    for population in program.populations:
        here = names == population.name
        layers[population.name] = {
            kind: float(energy[:, here].sum()) for kind, energy in kinds.items() if several or kind != "chip_links"
        }
    return layers


def _by_core(kinds: Mapping[str, Reals], program: Program) -> dict[int, float]:
    total = sum(kind.sum(axis=0) for kind in kinds.values())
    cores: dict[int, float] = {}
    for s, energy in zip(program.slices, np.asarray(total), strict=True):
        cores[s.core] = cores.get(s.core, 0.0) + float(energy)
    return dict(sorted(cores.items()))


def step_times(counts: EventCounts, program: Program, costs: Coefficients) -> Reals:
    """Return the seconds that each time step takes, shape (rows,); step t is the one in which row t enters."""
    cost = costs.latency_s
    neuron = (
        counts.neuron_updates * cost["neuron_access"]
        + counts.active_updates * cost["neuron_update"]
        + counts.spikes * cost["spike"]
        + counts.packets_out * cost["packet_out"]
    )
    message = counts.packets_in * cost["packet_in"] + _synops_times(counts, program, cost)
    by_core: dict[int, list[Reals]] = {}
    for index, s in enumerate(program.slices):
        # The stream repeats, so a delay of d steps is a rotation by d samples.
        d = program.depths[s.population]
        pair = np.stack([np.roll(neuron[:, index], d), np.roll(message[:, index], d - 1)])
        by_core.setdefault(s.core, []).append(pair)
    slowest = counts.input_packets * cost["packet_out"]
    for pairs in by_core.values():
        slowest = np.maximum(slowest, np.sum(pairs, axis=0).max(axis=0))
    return slowest + costs.synchronisation_s(_tiles(program))


def _tiles(program: Program) -> int:
    """Return the number of tiles in use, that of the input included."""
    return len({program.chip.tile(core) for core in {INPUT_CORE} | {s.core for s in program.slices}})


def _latencies(steps: Reals, depth: int, rows: int) -> Reals:
    """Return for each sample of ``rows`` the sum of its depth + rows consecutive steps, the stream repeating."""
    return np.asarray(sum(np.roll(steps, -offset) for offset in range(depth + rows)))[::rows]
