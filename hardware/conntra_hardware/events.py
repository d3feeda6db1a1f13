"""Event counts: what a run did on the chip, in the units that coefficients price.

Backends record spikes and potentials; this module alone turns recordings into counts, so that all backends count alike.
Counts are those of the steady pipeline: fill steps (before the first sample has reached a population) are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from conntra_hardware.arrays import SpikeArray
from conntra_hardware.program import INPUT, CoreSlice, Program

__all__ = ["EventCounts", "count_events"]

Counts = npt.NDArray[np.int64]

INPUT_CORE = 0
"""Input spikes enter the mesh at the tile of this core, the chip's corner."""


@dataclass(frozen=True, eq=False)
class EventCounts:
    """Counts of each sample on each core slice; all arrays have shape (n_samples, n_slices).

    synops           synaptic operations: spikes that arrived, times their nonzero weights here
    neuron_updates   neurons stepped (every neuron, every step)
    active_updates   of these, neurons with a synaptic event or a nonzero bias
    spikes           spikes fired
    packets_out      packets sent: one per spike and destination core
    packets_in       packets received
    hops_ew, hops_ns mesh hops of the packets sent, east-west and north-south

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
    input_spikes: Counts
    input_packets: Counts
    input_hops_ew: Counts
    input_hops_ns: Counts
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
            "time_steps": self.time_steps,
        }

    def by_layer(self) -> dict[str, dict[str, int]]:
        """Return the sums for each population."""
        return self._grouped([s.population for s in self.slices])

    def by_core(self) -> dict[int, dict[str, int]]:
        """Return the sums for each core."""
        return self._grouped([s.core for s in self.slices])

    def _grouped(self, keys: list) -> dict:  # type: ignore[type-arg]
        names = ("synops", "neuron_updates", "active_updates", "spikes", "packets_out", "packets_in", "hops_ew", "hops_ns")
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
    slices, n = program.slices, len(inputs)
    table = {name: np.zeros((n, len(slices)), dtype=np.int64) for name in EventCounts.__dataclass_fields__ if name in _TABLES}
    entering = {name: np.zeros(n, dtype=np.int64) for name in ("packets", "hops_ew", "hops_ns")}
    for index, s in enumerate(slices):
        table["neuron_updates"][:, index] = s.size
        for projection in program.incoming(s.population):
            source = inputs if projection.source == INPUT else spikes[projection.source]
            weights = projection.weights[s.start : s.stop]
            out_degree = np.count_nonzero(weights, axis=0)
            table["synops"][:, index] += _product(source, out_degree)
            reach = (out_degree > 0).astype(np.int64)
            table["packets_in"][:, index] += _product(source, reach)
            _count_packets(program, table, entering, projection.source, source, reach, s.core)
        table["active_updates"][:, index] = _active(program, s, inputs, spikes)
        if s.population in spikes:
            table["spikes"][:, index] = spikes[s.population][:, s.start : s.stop].sum(axis=1, dtype=np.int64)
    return EventCounts(
        slices=slices,
        **table,
        input_spikes=inputs.sum(axis=1, dtype=np.int64),
        input_packets=entering["packets"],
        input_hops_ew=entering["hops_ew"],
        input_hops_ns=entering["hops_ns"],
        fill_steps=program.depth - 1,
    )


_TABLES = ("synops", "neuron_updates", "active_updates", "spikes", "packets_out", "packets_in", "hops_ew", "hops_ns")


def _product(spikes: SpikeArray, per_source: npt.NDArray[np.int64]) -> Counts:
    """Return spikes @ per_source, exactly: float64 holds every integer below 2^53."""
    return np.rint(spikes.astype(np.float32) @ per_source.astype(np.float64)).astype(np.int64)


def _count_packets(
    program: Program,
    table: dict[str, Counts],
    entering: dict[str, Counts],
    source_name: str,
    source: SpikeArray,
    reach: npt.NDArray[np.int64],
    core: int,
) -> None:
    """Add the packets from ``source`` to ``core``, and their hops, to those who send them."""
    if source_name == INPUT:
        packets = _product(source, reach)
        east_west, north_south = program.chip.hops(INPUT_CORE, core)
        entering["packets"] += packets
        entering["hops_ew"] += packets * east_west
        entering["hops_ns"] += packets * north_south
        return
    for index, sender in enumerate(program.slices):
        if sender.population != source_name:
            continue
        packets = _product(source[:, sender.start : sender.stop], reach[sender.start : sender.stop])
        east_west, north_south = program.chip.hops(sender.core, core)
        table["packets_out"][:, index] += packets
        table["hops_ew"][:, index] += packets * east_west
        table["hops_ns"][:, index] += packets * north_south


def _active(program: Program, s: CoreSlice, inputs: SpikeArray, spikes: Mapping[str, SpikeArray]) -> Counts:
    """Count the neurons of a slice that have a nonzero bias or receive a synaptic event, for each sample."""
    quiet = s.start + np.flatnonzero(program.population(s.population).bias[s.start : s.stop] == 0)
    active = np.full(len(inputs), s.size - len(quiet), dtype=np.int64)
    if len(quiet) == 0:
        return active
    reached = np.zeros((len(inputs), len(quiet)), dtype=bool)
    for projection in program.incoming(s.population):
        source = inputs if projection.source == INPUT else spikes[projection.source]
        present = (projection.weights[quiet] != 0).astype(np.float32)
        reached |= source.astype(np.float32) @ present.T > 0
    return active + reached.sum(axis=1, dtype=np.int64)
