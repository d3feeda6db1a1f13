"""What a program takes of each core, resource by resource, as (used, limit).

input axons     one for each source neuron (or input) and core with at least one synapse between them
output axons    one for each neuron and destination core: a spike is sent once to a core, however many synapses it has
                there; nengo-loihi counts slots the same way
synapse memory  lists in blocks of whole words, see ``encodings``; where the memory is shared (Loihi 2), neurons and
                axons are charged to it too, which is our model, as the chip file says
threshold configurations  one for each kind of neuron on the core, its parameters included: the thresholds of memoryless
                neurons stand in the biases
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.chip import Chip
from conntra_hardware.fit.synapse_memory import Encoding, encode
from conntra_hardware.program import CoreSlice, Program
from conntra_hardware.program.projection import by_target

__all__ = ["CoreUsage", "Usage", "core_usage", "fan_out"]


@dataclass(frozen=True)
class Usage:
    """``used`` of ``limit`` (None: no limit), in ``unit``."""

    used: int
    limit: int | None
    unit: str

    @property
    def fraction(self) -> float:
        """Used by limit, 0 where there is no limit."""
        return self.used / self.limit if self.limit else 0.0

    @property
    def fits(self) -> bool:
        """Whether the limit is kept."""
        return self.limit is None or self.used <= self.limit


@dataclass(frozen=True)
class CoreUsage:
    """What one core holds: ``resources`` by name, and how each projection's synapses are stored."""

    core: int
    chip: int
    tile: tuple[int, int]
    populations: tuple[str, ...]
    synapses: int
    resources: Mapping[str, Usage]
    encodings: tuple[Encoding, ...]

    @property
    def utilization(self) -> float:
        """The fraction of the resource that is nearest to its limit."""
        return max(usage.fraction for usage in self.resources.values())

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values: what is used by name, and ``limits`` under the same names."""
        names = {"neurons": "neurons", "input axons": "fan_in_axons", "output axons": "fan_out_axons"}
        names |= {"synapse memory": "memory_bits", "threshold configurations": "threshold_configurations"}
        return {
            "core": self.core,
            "chip": self.chip,
            "tile": list(self.tile),
            "populations": list(self.populations),
            "synapses": self.synapses,
            **{short: self.resources[name].used for name, short in names.items()},
            "limits": {short: self.resources[name].limit for name, short in names.items()},
            "utilization": self.utilization,
            "encodings": [
                {
                    **{key: getattr(e, key) for key in Encoding.__dataclass_fields__},
                    "bits_per_synapse": e.bits_per_synapse,
                }
                for e in self.encodings
            ],
        }


def core_usage(program: Program) -> tuple[CoreUsage, ...]:
    """Return the usage of every core that holds neurons, in core order."""
    fans = {p.name: fan_out(program, p.name) for p in program.populations}
    by_core: dict[int, list[CoreSlice]] = {}
    for s in program.slices:
        by_core.setdefault(s.core, []).append(s)
    return tuple(_usage(program, core, by_core[core], fans) for core in sorted(by_core))


def fan_out(program: Program, name: str) -> npt.NDArray[np.int64]:
    """Return for each neuron of ``name`` the number of cores it has synapses on, shape (size,)."""
    cores = np.zeros(program.source_size(name), dtype=np.int64)
    for target, projections in by_target(program.outgoing(name)).items():
        for s in program.slices_of(target):
            cores += np.add.reduce([p.degrees(s.index) for p in projections]) > 0
    return cores


def memory_bits(chip: Chip, synapse_bits: int, neurons: int, axons: int) -> int:
    """Return what synapses, and where the memory is shared neurons and axons, take of a core's synapse memory."""
    return synapse_bits + neurons * chip.neuron_memory_bits + axons * chip.axon_memory_bits


def _usage(
    program: Program, core: int, slices: list[CoreSlice], fans: Mapping[str, npt.NDArray[np.int64]]
) -> CoreUsage:
    chip = program.chip
    encodings = tuple(
        encode(p.rows(s.index), chip, source=p.source, target=p.target, delay=p.delay)
        for s in slices
        for p in program.incoming(s.population)
    )
    neurons = sum(s.size for s in slices)
    axons_in = sum(e.axons for e in encodings)
    axons_out = sum(int(fans[s.population][s.index].sum()) for s in slices)
    bits = memory_bits(chip, sum(e.bits for e in encodings), neurons, axons_in + axons_out)
    kinds = len({program.population(s.population).neuron for s in slices})
    resources = {
        "neurons": Usage(neurons, chip.neurons_per_core, "neurons"),
        "input axons": Usage(axons_in, chip.input_axons_per_core, "axons"),
        "output axons": Usage(axons_out, chip.output_axons_per_core, "axons"),
        "synapse memory": Usage(bits, chip.synapse_memory_bits, "bits"),
        "threshold configurations": Usage(kinds, chip.threshold_configurations, "configurations"),
    }
    return CoreUsage(
        core=core,
        chip=chip.chip_of(core),
        tile=chip.tile(core),
        populations=tuple(s.population for s in slices),
        synapses=sum(e.synapses for e in encodings),
        resources=resources,
        encodings=encodings,
    )
