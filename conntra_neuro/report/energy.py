"""Energy and latency as people read them: always with the words "modelled, not measured"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType

from conntra_neuro.report.tables import grid
from conntra_neuro.report.units import count, si

if TYPE_CHECKING:
    from conntra_hardware.energy import EnergyEstimate

__all__ = ["MODELLED", "energy_table"]

MODELLED = "modelled, not measured"


def energy_table(estimates: Sequence[EnergyEstimate]) -> RenderableType:
    """Return what a sample takes, a column for each coefficient set: the spread between them is part of the answer."""
    rows = [["dynamic energy", *_each(estimates, lambda e: si(e.per_inference_j, "J"))]]
    kinds = dict.fromkeys(kind for e in estimates for kind in e.breakdown)
    rows += [[f"  {kind.replace('_', ' ')}", *(_part(e, kind) for e in estimates)] for kind in kinds]
    rows += [
        ["static energy (leakage)", *_each(estimates, lambda e: si(e.static_j / e.samples, "J") + _mark(e))],
        ["dynamic and static", *_each(estimates, lambda e: si(e.per_inference_total_j, "J"))],
        ["latency", *_each(estimates, lambda e: si(e.latency_s, "s"))],
        ["samples (pipelined)", *_each(estimates, lambda e: f"{count(round(e.throughput_hz))} a second")],
        ["energy-delay product", *_each(estimates, lambda e: si(e.energy_delay_product_js, "Js"))],
    ]
    columns = ["per sample", *(f"{e.coefficients}{' (proxy)' if e.proxy else ''}>" for e in estimates)]
    return grid(f"energy and latency on the chip: {MODELLED}", columns, rows, _caption(estimates))


def _each(estimates: Sequence[EnergyEstimate], value: Callable[[EnergyEstimate], str]) -> list[str]:
    return [value(estimate) for estimate in estimates]


def _part(estimate: EnergyEstimate, kind: str) -> str:
    return si(estimate.breakdown[kind] / estimate.samples, "J") if kind in estimate.breakdown else "-"


def _mark(estimate: EnergyEstimate) -> str:
    return " *" if estimate.static_second_hand else ""


def _caption(estimates: Sequence[EnergyEstimate]) -> str:
    """Say of each set what it is: its description without the words that stand in the title."""
    lines = [estimate.provenance.removeprefix(f"{MODELLED}; coefficients ") for estimate in estimates]
    if any(estimate.static_second_hand for estimate in estimates):
        lines.append("* the leakage figure is known at second hand only")
    return "\n".join(lines)
