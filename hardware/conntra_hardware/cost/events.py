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
from conntra_hardware.cost.tally import tallied
from conntra_hardware.fit.synapse_memory import synapses_of, weight_format
from conntra_hardware.program import INPUT, AnyProjection, CoreSlice, Program
from conntra_hardware.program.projection import by_target

__all__ = ["EventCounts", "count_events"]

Counts = npt.NDArray[np.int64]

_BLOCK_VALUES = 2**22

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


def count_events(
    program: Program,
    inputs: SpikeArray,
    spikes: Mapping[str, IntArray],
    traces: Mapping[str, npt.NDArray[np.uint8]] | None = None,
) -> EventCounts:
    """Count the events of a recorded run.

    ``inputs`` has shape (rows, n_inputs); ``spikes[name]`` (rows, size) for every population that spikes. ``traces``
    are a Recording's: they save computing again what arrives, and change nothing.
    """
    table = {name: np.zeros((len(inputs), len(program.slices)), dtype=np.int64) for name in _TABLES}
    entering = {name: np.zeros((len(inputs), 1), dtype=np.int64) for name in ("spikes", *_SENT)}
    column = {s: index for index, s in enumerate(program.slices)}
    arrivals: dict[tuple[str, str, int], tuple[Counts, Counts]] = {}
    for name in (INPUT, *(p.name for p in program.populations)):
        fired = inputs if name == INPUT else spikes.get(name)
        if fired is None:
            continue
        if name == INPUT:
            senders, sent = (CoreSlice(INPUT, 0, program.n_inputs, INPUT_CORE),), entering
        else:
            senders, sent = program.slices_of(name), table
        columns = [0] if name == INPUT else [column[s] for s in senders]
        arrivals |= _count_sent(program, name, fired, senders, sent, columns, table, column)
    for s, index in column.items():
        table["neuron_updates"][:, index] = s.size
    sent = {INPUT: inputs, **spikes}
    for population in program.populations:
        active = active_updates(program, population, sent, (traces or {}).get(population.name))
        for s, counts in zip(program.slices_of(population.name), active, strict=True):
            table["active_updates"][:, column[s]] = counts
    return EventCounts(
        slices=program.slices,
        **table,
        input_spikes=entering["spikes"][:, 0],
        input_packets=entering["packets_out"][:, 0],
        input_hops_ew=entering["hops_ew"][:, 0],
        input_hops_ns=entering["hops_ns"][:, 0],
        input_crossings=entering["crossings"][:, 0],
        fill_steps=program.depth - 1,
        steps=program.steps,
        arrivals=arrivals,
    )


_SENT = ("packets_out", "hops_ew", "hops_ns", "crossings")
_TABLES = ("synops", "neuron_updates", "active_updates", "spikes", "packets_in", *_SENT)


def _count_sent(
    program: Program,
    name: str,
    fired: npt.NDArray[Any],
    senders: Sequence[CoreSlice],
    sent: Mapping[str, Counts],
    columns: Sequence[int],
    table: Mapping[str, Counts],
    column: Mapping[CoreSlice, int],
) -> dict[tuple[str, str, int], tuple[Counts, Counts]]:
    """Count what the spikes ``fired`` (rows, size) of ``name`` do.

    Synaptic operations and packets received go into ``table`` where they happen (``column`` of each slice); spikes,
    packets, hops and crossings of each of the ``senders`` into its column of ``sent``. A packet serves synapses of any
    delay. Return, for targets that several projections reach, what ``EventCounts.arrivals`` holds of them.
    """
    wires = [_Wires(program, projections, column) for projections in by_target(program.outgoing(name)).values()]
    size = fired.shape[1]
    of_all = np.concatenate([np.empty((size, 0), np.int64), *(columns for w in wires for columns in w.of_all)], axis=1)
    of_senders = np.concatenate([np.ones((size, 1), np.int64), *(w.reached for w in wires)], axis=1)
    group = np.zeros(size, np.int64)
    for index, sender in enumerate(senders):
        group[sender.index] = index
    parts = [w.new_arrivals(len(fired)) for w in wires]
    # Some rows at a time: there is a number for each pair of sender and target.
    step = max(1, _BLOCK_VALUES // (len(senders) * of_senders.shape[1] + of_all.shape[1] + size))
    for start in range(0, len(fired), step):
        rows = slice(start, start + step)
        sums, by_sender = tallied(fired[rows] != 0, group, len(senders), of_all, of_senders)
        sent["spikes"][rows, columns] = by_sender[:, :, 0]
        first, first_target = 0, 1
        for w, arrived in zip(wires, parts, strict=True):
            n_sums, n_targets = len(w.of_all) * len(w.targets), len(w.targets)
            packets = by_sender[:, :, first_target : first_target + n_targets]
            found = sums[:, first : first + n_sums].reshape(len(sums), -1, n_targets)
            w.add(senders, packets, found, rows, sent, columns, table, arrived)
            first, first_target = first + n_sums, first_target + n_targets
    return {
        (p.source, p.target, p.delay): counts
        for w, arrived in zip(wires, parts, strict=True)
        for p, counts in zip(w.projections, arrived, strict=False)
    }


class _Wires:
    """The projections between two populations, and what a spike of each source means to each slice of the target."""

    def __init__(self, program: Program, projections: Sequence[AnyProjection], column: Mapping[CoreSlice, int]) -> None:
        self.program, self.projections = program, projections
        self.targets = program.slices_of(projections[0].target)
        self._columns = [column[s] for s in self.targets]
        degrees = [np.stack([self._degrees(p, s) for s in self.targets], axis=1) for p in projections]
        self.reached = (np.add.reduce(degrees) > 0).astype(np.int64)
        """(sources, targets): whether a spike sends a packet there."""
        self.of_all = degrees
        """What is added up of all senders: synaptic operations of each projection, then its packets, if it is not
        alone. (sources, targets) each."""
        if len(projections) > 1:
            self.of_all = [*degrees, *((degree > 0).astype(np.int64) for degree in degrees)]

    def _degrees(self, projection: AnyProjection, target: CoreSlice) -> Counts:
        """Return the synapses of each source there: a weight that one cannot hold is two."""
        if weight_format(projection.alphabet, self.program.chip).two:
            return synapses_of(projection.rows(target.index), self.program.chip)
        return projection.degrees(target.index).astype(np.int64)

    def new_arrivals(self, rows: int) -> list[tuple[Counts, Counts]]:
        """Return arrays for the arrivals of each projection, where its target tells several apart."""
        if len(self.program.incoming(self.projections[0].target)) == 1:
            return []
        shape = (rows, len(self.targets))
        return [(np.zeros(shape, np.int64), np.zeros(shape, np.int64)) for _ in self.projections]

    def add(
        self,
        senders: Sequence[CoreSlice],
        packets: Counts,
        sums: Counts,
        rows: slice,
        sent: Mapping[str, Counts],
        columns: Sequence[int],
        table: Mapping[str, Counts],
        arrived: Sequence[tuple[Counts, Counts]],
    ) -> None:
        """Add the ``packets`` (rows, senders, targets) and the ``sums`` (rows, of_all, targets) where they belong."""
        chip, several = self.program.chip, len(self.projections)
        hops = np.array([[chip.hops(sender.core, s.core) for s in self.targets] for sender in senders])
        crossings = np.array([[chip.crossings(sender.core, s.core) for s in self.targets] for sender in senders])
        priced = {
            "packets_out": np.ones_like(crossings),
            "hops_ew": hops[:, :, 0],
            "hops_ns": hops[:, :, 1],
            "crossings": crossings,
        }
        for key, price in priced.items():
            sent[key][rows, columns] += np.einsum("nst,st->ns", packets, price)
        received = packets.sum(axis=1)
        table["synops"][rows, self._columns] += sums[:, :several].sum(axis=1)
        table["packets_in"][rows, self._columns] += received
        for index, (synops, packets_in) in enumerate(arrived):
            synops[rows] = sums[:, index]
            packets_in[rows] = received if several == 1 else sums[:, several + index]
