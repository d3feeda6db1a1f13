"""Event counts: what a run did on the chip, in the units that coefficients price.

Backends record spikes and potentials; this module alone turns recordings into counts, so that all backends count alike.
Counts are those of the steady pipeline: fill steps (before the first sample has reached a population) are left out, and
the samples are taken to repeat, so that the last one comes before the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.activity import active_neurons
from conntra_hardware.arrays import SpikeArray
from conntra_hardware.program import INPUT, AnyProjection, CoreSlice, Program

__all__ = ["EventCounts", "count_events"]

Counts = npt.NDArray[np.int64]

INPUT_CORE = 0
"""Input spikes enter the mesh at the tile of this core, the chip's corner."""


@dataclass(frozen=True, eq=False)
class EventCounts:
    """Counts of each sample on each core slice; all arrays have shape (n_samples, n_slices).

    synops           synaptic operations: spikes that arrived, times their nonzero weights here
    neuron_updates   neurons stepped (every neuron, every step)
    active_updates   of these, neurons with a synaptic event, a nonzero bias, or a potential left from the sample before
    spikes           spikes fired
    packets_out      packets sent: one per spike and destination core
    packets_in       packets received
    hops_ew, hops_ns mesh hops of the packets sent, east-west and north-south
    crossings        of these hops, those that lead from one chip to the next

    ``input_*`` are those of the spikes that enter the chip, shape (n_samples,).
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

    @property
    def samples(self) -> int:
        """Number of samples, which is the number of time steps counted: a sample enters at every step."""
        return len(self.synops)

    @property
    def time_steps(self) -> int:
        """Time steps counted."""
        return self.samples

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


def count_events(program: Program, inputs: SpikeArray, spikes: Mapping[str, SpikeArray]) -> EventCounts:
    """Count the events of a recorded run.

    ``inputs`` has shape (n, n_inputs); ``spikes[name]`` (n, size) for every population that spikes.
    """
    table = {name: np.zeros((len(inputs), len(program.slices)), dtype=np.int64) for name in _TABLES}
    entering = {name: np.zeros(len(inputs), dtype=np.int64) for name in ("spikes", *_SENT)}
    column = {s: index for index, s in enumerate(program.slices)}
    for name in (INPUT, *(p.name for p in program.populations)):
        fired = inputs if name == INPUT else spikes.get(name)
        if fired is None:
            continue
        # Once for each source of spikes; every sum below is a matrix product with it.
        source = fired.astype(np.float32)
        if name == INPUT:
            entering["spikes"] = _product(source, np.ones((program.n_inputs, 1), np.int64))[:, 0]
            senders = {(0, program.n_inputs): entering}
        else:
            slices = program.slices_of(name)
            senders = {(s.start, s.stop): {key: table[key][:, column[s]] for key in _SENT} for s in slices}
            for s in slices:
                table["spikes"][:, column[s]] = _product(source[:, s.start : s.stop], np.ones((s.size, 1), np.int64))[
                    :, 0
                ]
        for projection in program.outgoing(name):
            _count_projection(program, projection, source, senders, table, column)
    for s, index in column.items():
        table["neuron_updates"][:, index] = s.size
    for population in program.populations:
        (projection,) = program.incoming(population.name)
        source = inputs if projection.source == INPUT else spikes[projection.source]
        active = active_neurons(population, projection.weights, source, spikes.get(population.name))
        for s in program.slices_of(population.name):
            table["active_updates"][:, column[s]] = active(s.start, s.stop)
    return EventCounts(
        slices=program.slices,
        **table,
        input_spikes=entering["spikes"],
        input_packets=entering["packets_out"],
        input_hops_ew=entering["hops_ew"],
        input_hops_ns=entering["hops_ns"],
        input_crossings=entering["crossings"],
        fill_steps=program.depth - 1,
    )


_SENT = ("packets_out", "hops_ew", "hops_ns", "crossings")
_TABLES = ("synops", "neuron_updates", "active_updates", "spikes", "packets_in", *_SENT)


def _count_projection(
    program: Program,
    projection: AnyProjection,
    source: npt.NDArray[np.float32],
    senders: Mapping[tuple[int, int], dict[str, Counts]],
    table: dict[str, Counts],
    column: Mapping[CoreSlice, int],
) -> None:
    """Add the synaptic operations of a projection where they happen, and its packets and hops to those who send
    them.
    """
    targets = program.slices_of(projection.target)
    columns = [column[s] for s in targets]
    degree = np.stack([np.count_nonzero(projection.weights[s.start : s.stop], axis=0) for s in targets], axis=1)
    table["synops"][:, columns] += _product(source, degree)
    for (start, stop), sent in senders.items():
        packets = _product(source[:, start:stop], degree[start:stop] > 0)
        table["packets_in"][:, columns] += packets
        sender = next((s.core for s in program.slices_of(projection.source) if s.start == start), INPUT_CORE)
        hops = np.array([program.chip.hops(sender, s.core) for s in targets])
        crossings = np.array([program.chip.crossings(sender, s.core) for s in targets])
        sent["packets_out"] += packets.sum(axis=1)
        sent["hops_ew"] += packets @ hops[:, 0]
        sent["hops_ns"] += packets @ hops[:, 1]
        sent["crossings"] += packets @ crossings


def _product(spikes: npt.NDArray[np.float32], per_source: npt.NDArray[Any]) -> Counts:
    """Return spikes (n, sources) @ per_source (sources, k), exactly: float32 holds integers up to 2^24, float64 to
    2^53.
    """
    largest = int(per_source.sum(axis=0, dtype=np.int64).max(initial=0))
    exact = np.float32 if largest < 2**24 else np.float64
    return (spikes.astype(exact, copy=False) @ per_source.astype(exact)).astype(np.int64)
