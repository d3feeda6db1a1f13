"""Event counts: what a run did on the chip, in the units that coefficients price.

Backends record spikes and potentials; this module alone turns recordings into counts, so that all backends count alike.
Counts are those of the steady pipeline: fill steps (before the first sample has reached a population) are left out, and
the samples are taken to repeat, so that the last one comes before the first. A graded spike counts as one, whatever its
value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray, SpikeArray
from conntra_hardware.cost.activity import active_updates
from conntra_hardware.program import INPUT, AnyProjection, CoreSlice, Program
from conntra_hardware.program.projection import by_target

__all__ = ["EventCounts", "count_events"]

Counts = npt.NDArray[np.int64]

_ROWS = 4096

INPUT_CORE = 0
"""Input spikes enter the mesh at the tile of this core, the chip's corner."""


@dataclass(frozen=True, eq=False)
class EventCounts:
    """Counts of each time step on each core slice; all arrays have shape (rows, n_slices), ``steps`` rows a sample.

    synops           synaptic operations: spikes that arrived, times their nonzero weights here
    neuron_updates   neurons stepped (every neuron, every step)
    active_updates   of these, neurons with a synaptic event, a nonzero bias, or a potential left from the sample before
    spikes           spikes fired
    packets_out      packets sent: one per spike and destination core
    packets_in       packets received
    hops_ew, hops_ns mesh hops of the packets sent, east-west and north-south
    crossings        of these hops, those that lead from one chip to the next

    ``input_spikes``, ``input_packets``, ``input_hops_ew``, ``input_hops_ns`` and ``input_crossings`` are those of the
    spikes that enter the chip, shape (rows,). ``fill_steps`` are the time steps before the first logits, in which the
    pipeline fills. ``arrivals`` holds, for populations that
    several projections reach, the synops and the packets in of each, by its source, target and delay: (rows, slices of
    the target) each.
    """

    slices: tuple[CoreSlice, ...]
    synops: Counts
    neuron_updates: Counts
    active_updates: Counts
    spikes: Counts
    packets_out: Counts
    packets_in: Counts
    hops_ew: Counts
    hops_ns: Counts
    crossings: Counts
    input_spikes: Counts
    input_packets: Counts
    input_hops_ew: Counts
    input_hops_ns: Counts
    input_crossings: Counts
    fill_steps: int
    steps: int = 1
    arrivals: Mapping[tuple[str, str, int], tuple[Counts, Counts]] = field(default_factory=dict)

    def __repr__(self) -> str:
        totals = ", ".join(f"{count:,} {name}" for name, count in self.totals().items() if name != "time_steps")
        return f"EventCounts({self.samples:,} samples: {totals})"

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.synops) // self.steps

    @property
    def time_steps(self) -> int:
        """Time steps counted: a row of inputs enters at every step."""
        return len(self.synops)

    def totals(self) -> dict[str, int]:
        """Return the sums over samples and slices, input packets and hops included."""
        return {
            "synops": int(self.synops.sum()),
            "neuron_updates": int(self.neuron_updates.sum()),
            "active_updates": int(self.active_updates.sum()),
            "spikes": int(self.spikes.sum()),
            "packets": int(self.packets_out.sum() + self.input_packets.sum()),
            "hops": int(self.hops_ew.sum() + self.hops_ns.sum() + self.input_hops_ew.sum() + self.input_hops_ns.sum()),
            "chip_crossings": int(self.crossings.sum() + self.input_crossings.sum()),
            "time_steps": self.time_steps,
        }

    def by_layer(self) -> dict[str, dict[str, int]]:
        """Return the sums for each population."""
        return self._grouped([s.population for s in self.slices])

    def by_core(self) -> dict[int, dict[str, int]]:
        """Return the sums for each core."""
        return self._grouped([s.core for s in self.slices])

    def _grouped(self, keys: list) -> dict:  # type: ignore[type-arg]
        names = (
            "synops",
            "neuron_updates",
            "active_updates",
            "spikes",
            "packets_out",
            "packets_in",
            "hops_ew",
            "hops_ns",
        )
        sums = {name: getattr(self, name).sum(axis=0) for name in names}
        grouped: dict = {key: dict.fromkeys(names, 0) for key in keys}
        for index, key in enumerate(keys):
            for name in names:
                grouped[key][name] += int(sums[name][index])
        return grouped


def count_events(program: Program, inputs: SpikeArray, spikes: Mapping[str, IntArray]) -> EventCounts:
    """Count the events of a recorded run.

    ``inputs`` has shape (rows, n_inputs); ``spikes[name]`` (rows, size) for every population that spikes.
    """
    table = {name: np.zeros((len(inputs), len(program.slices)), dtype=np.int64) for name in _TABLES}
    entering = {name: np.zeros(len(inputs), dtype=np.int64) for name in ("spikes", *_SENT)}
    column = {s: index for index, s in enumerate(program.slices)}
    arrivals: dict[tuple[str, str, int], tuple[Counts, Counts]] = {}
    for name in (INPUT, *(p.name for p in program.populations)):
        fired = inputs if name == INPUT else spikes.get(name)
        if fired is None:
            continue
        source = fired != 0  # every sum below is a matrix product with it
        if name == INPUT:
            entering["spikes"] = _product(source, np.ones((program.n_inputs, 1), np.int64))[:, 0]
            senders = [(CoreSlice(INPUT, 0, program.n_inputs, INPUT_CORE), entering)]
        else:
            slices = program.slices_of(name)
            senders = [(s, {key: table[key][:, column[s]] for key in _SENT}) for s in slices]
            for s in slices:
                table["spikes"][:, column[s]] = _product(source[:, s.index], np.ones((s.size, 1), np.int64))[:, 0]
        for target, projections in by_target(program.outgoing(name)).items():
            counted = _count_projections(program, projections, source, senders, table, column)
            if len(program.incoming(target)) > 1:
                arrivals |= {(p.source, target, p.delay): c for p, c in zip(projections, counted, strict=True)}
    for s, index in column.items():
        table["neuron_updates"][:, index] = s.size
    sent = {INPUT: inputs, **spikes}
    for population in program.populations:
        active = active_updates(program, population, sent)
        for s, counts in zip(program.slices_of(population.name), active, strict=True):
            table["active_updates"][:, column[s]] = counts
    return EventCounts(
        slices=program.slices,
        **table,
        input_spikes=entering["spikes"],
        input_packets=entering["packets_out"],
        input_hops_ew=entering["hops_ew"],
        input_hops_ns=entering["hops_ns"],
        input_crossings=entering["crossings"],
        fill_steps=program.depth - 1,
        steps=program.steps,
        arrivals=arrivals,
    )


_SENT = ("packets_out", "hops_ew", "hops_ns", "crossings")
_TABLES = ("synops", "neuron_updates", "active_updates", "spikes", "packets_in", *_SENT)


def _count_projections(
    program: Program,
    projections: Sequence[AnyProjection],
    source: npt.NDArray[np.bool_],
    senders: Sequence[tuple[CoreSlice, dict[str, Counts]]],
    table: dict[str, Counts],
    column: Mapping[CoreSlice, int],
) -> list[tuple[Counts, Counts]]:
    """Add the synaptic operations of the projections between two populations where they happen, and their packets and
    hops to those who send them; a packet serves synapses of any delay. Return for each projection its synaptic
    operations and packets (rows, slices of its target).
    """
    targets = program.slices_of(projections[0].target)
    columns = [column[s] for s in targets]
    degrees = [np.stack([p.degrees(s.index) for s in targets], axis=1) for p in projections]
    synops = [_product(source, degree) for degree in degrees]
    for counted in synops:
        table["synops"][:, columns] += counted
    reached = np.add.reduce(degrees) > 0
    received = np.zeros_like(synops[0])
    for sender, sent in senders:
        packets = _product(source[:, sender.index], reached[sender.index])
        received += packets
        hops = np.array([program.chip.hops(sender.core, s.core) for s in targets])
        crossings = np.array([program.chip.crossings(sender.core, s.core) for s in targets])
        sent["packets_out"] += packets.sum(axis=1)
        sent["hops_ew"] += packets @ hops[:, 0]
        sent["hops_ns"] += packets @ hops[:, 1]
        sent["crossings"] += packets @ crossings
    table["packets_in"][:, columns] += received
    if len(projections) == 1:
        return [(synops[0], received)]
    return [(counted, _product(source, degree > 0)) for counted, degree in zip(synops, degrees, strict=True)]


def _product(spikes: npt.NDArray[np.bool_], per_source: npt.NDArray[Any]) -> Counts:
    """Return spikes (n, sources) @ per_source (sources, k), exactly: float32 holds integers up to 2^24, float64 to
    2^53.
    """
    largest = int(per_source.sum(axis=0, dtype=np.int64).max(initial=0))
    exact = np.float32 if largest < 2**24 else np.float64
    factors = per_source.astype(exact)
    found = np.empty((len(spikes), factors.shape[1]), np.int64)
    # Some rows at a time: floats take four times the memory of spikes, or eight.
    for start in range(0, len(spikes), _ROWS):
        rows = slice(start, start + _ROWS)
        found[rows] = spikes[rows].astype(exact) @ factors
    return found
