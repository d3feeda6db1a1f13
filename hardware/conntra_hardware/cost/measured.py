"""What a board measured, as opposed to what is modelled from counts: the two never meet in one number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conntra_hardware.cost.events import EventCounts

__all__ = ["ACTIVITY", "Measured", "hardware_counts"]

ACTIVITY = ("syn_ops", "dendrite_updates", "axon_out", "spikes_in")
"""Counters of a neuro-core, by the names of Lava's ``Loihi2Activity``."""


@dataclass(frozen=True)
class Measured:
    """Power, time and activity that Lava's Loihi 2 profilers read from a board; None where nothing was measured.

    steps               time steps of the run, the fill of the pipeline included
    sample_steps        time steps from the entry of a sample to that of the next one: 1 unless it lives in time
    step_time_s         mean wall time of a step; ``host_time_s`` and ``management_time_s`` of it outside the cores
    power_w             mean power of the board, ``static_w`` before or after the run; less the static share of idle
                        chips where ``idle_subtracted_w`` is not None
    vdd_w, vddm_w, vddio_w   mean power by rail: neuro-cores, memory, input and output
    chips_used          chips with cores in use, by the activity counters; ``board_chips`` those on the board
    latency_steps       steps from a sample's entry to its first layer's spikes at the host, beyond the pipeline's own
    activity            sums over the cores in use, by the hardware's names (``ACTIVITY``)
    host                where it ran
    """

    steps: int | None = None
    sample_steps: int | None = None
    step_time_s: float | None = None
    host_time_s: float | None = None
    management_time_s: float | None = None
    power_w: float | None = None
    static_w: float | None = None
    vdd_w: float | None = None
    vddm_w: float | None = None
    vddio_w: float | None = None
    idle_subtracted_w: float | None = None
    chips_used: int | None = None
    board_chips: int | None = None
    latency_steps: int | None = None
    activity: Mapping[str, int] | None = None
    host: str | None = None

    @property
    def anything(self) -> bool:
        """Whether a board measured anything at all."""
        return any(getattr(self, f.name) is not None for f in fields(self))

    @property
    def dynamic_w(self) -> float | None:
        """Power beyond the static one."""
        return None if self.power_w is None or self.static_w is None else self.power_w - self.static_w

    @property
    def energy_per_inference_j(self) -> float | None:
        """Energy of a sample: power times the time of its steps."""
        return _product(self.power_w, self._sample_time_s)

    @property
    def dynamic_per_inference_j(self) -> float | None:
        """Of that, the dynamic part."""
        return _product(self.dynamic_w, self._sample_time_s)

    @property
    def throughput_hz(self) -> float | None:
        """Samples a second."""
        return 1.0 / self._sample_time_s if self._sample_time_s else None

    @property
    def _sample_time_s(self) -> float | None:
        return None if self.step_time_s is None else self.step_time_s * (self.sample_steps or 1)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, null where nothing was measured."""
        derived = ("dynamic_w", "energy_per_inference_j", "dynamic_per_inference_j", "throughput_hz")
        plain = {f.name: getattr(self, f.name) for f in fields(self)} | {name: getattr(self, name) for name in derived}
        return plain | {"activity": None if self.activity is None else dict(self.activity)}


def _product(power: float | None, time: float | None) -> float | None:
    return None if power is None or time is None else power * time


def hardware_counts(counts: EventCounts) -> dict[str, int]:
    """Return our counts of a run under the names of the chip's own counters, to be laid beside a measured run.

    A chip counts more: the fill of the pipeline, and what the deployment adds (``docs/loihi.md``). ``axon_out`` is
    taken as messages sent, one for each spike and destination core, ``spikes_in`` as messages that arrived.
    """
    return {
        "syn_ops": int(counts.synops.sum()),
        "dendrite_updates": int(counts.neuron_updates.sum()),
        "axon_out": int(counts.packets_out.sum()),
        "spikes_in": int(counts.packets_in.sum()),
    }
