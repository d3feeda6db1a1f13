"""What a board measured, in a table of its own: never a row beside what is modelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conntra_hardware.cost.measured import hardware_counts
from conntra_neuro.report.tables import facts, grid
from conntra_neuro.report.units import count, si

if TYPE_CHECKING:
    from rich.console import RenderableType

    from conntra_hardware.cost.measured import Measured
    from conntra_hardware.runtime import RunResult

__all__ = ["measured_views"]


def measured_views(result: RunResult) -> tuple[RenderableType, ...]:
    """Return the tables of a run's measurements: none where no board measured anything."""
    measured = result.measured
    if not measured.anything:
        return ()
    views = [facts(f"measured on {measured.host}", _rows(measured), _caption(measured))]
    if measured.activity:
        views.append(_activity(result))
    return tuple(views)


def _rows(measured: Measured) -> list[tuple[str, str]]:
    rows: list[tuple[str, float | None, str]] = [
        ("step, all included", measured.step_time_s, "s"),
        ("  of it the host", measured.host_time_s, "s"),
        ("  of it management", measured.management_time_s, "s"),
        ("throughput", measured.throughput_hz, "samples/s"),
        ("power", measured.power_w, "W"),
        ("  static", measured.static_w, "W"),
        ("  dynamic", measured.dynamic_w, "W"),
        ("  rail VDD (neuro-cores)", measured.vdd_w, "W"),
        ("  rail VDDM (memory)", measured.vddm_w, "W"),
        ("  rail VDDIO (input, output)", measured.vddio_w, "W"),
        ("energy a sample", measured.energy_per_inference_j, "J"),
        ("  of it dynamic", measured.dynamic_per_inference_j, "J"),
    ]
    shown = [(name, "not measured" if value is None else si(value, unit)) for name, value, unit in rows]
    late = "not measured" if measured.latency_steps is None else count(measured.latency_steps)
    return [*shown, ("steps lost in the adapters", late)]


def _caption(measured: Measured) -> str:
    used, board = measured.chips_used, measured.board_chips
    chips = f"{'?' if used is None else used} of {'an unknown number of' if board is None else board} chips in use"
    if measured.idle_subtracted_w is None:
        return f"power of the whole board, {chips}; measured over {count(measured.steps or 0)} steps"
    idle = si(measured.idle_subtracted_w, "W")
    return f"less {idle} of idle chips, {chips}; measured over {count(measured.steps or 0)} steps"


def _activity(result: RunResult) -> RenderableType:
    measured, samples = result.measured, result.samples
    steps = measured.steps or samples
    ours = hardware_counts(result.counts)
    rows = [
        [name, count(round(value / steps, 1)), count(round(ours[name] / samples, 1)) if name in ours else "-"]
        for name, value in (measured.activity or {}).items()
    ]
    caption = "a chip counts the fill, the mark and the neuron of the readout's bias, too (docs/loihi.md)"
    return grid("activity a step, measured and counted", ["counter", "chip>", "our count>"], rows, caption)
