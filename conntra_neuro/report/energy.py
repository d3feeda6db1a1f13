"""Energy and latency as people read them: always with the words "modelled, not measured"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from conntra_neuro.report.tables import grid
from conntra_neuro.report.units import count, si

if TYPE_CHECKING:
    from conntra_hardware.cost.energy import EnergyEstimate
    from conntra_hardware.program import Program

__all__ = [
    "BASELINES",
    "MODELLED",
    "baseline_tables",
    "baselines_document",
    "coefficients_document",
    "energy_table",
    "energy_views",
    "layers_table",
    "spread_document",
]

MODELLED = "modelled, not measured"
BASELINES = {"arithmetic": "arithmetic alone", "with_memory": "arithmetic and a read of each weight"}
"""What each table of baselines holds; figures of one do not belong beside those of the other."""


def energy_views(estimates: Sequence[EnergyEstimate], program: Program) -> tuple[RenderableType, ...]:
    """Return the tables of a run: what the chip is modelled to take, where it goes, and apart from both, baselines."""
    return energy_table(estimates), layers_table(estimates), *baseline_tables(program)


def energy_table(estimates: Sequence[EnergyEstimate]) -> RenderableType:
    """Return what a sample takes, a column for each coefficient set: the spread between them is part of the answer."""
    rows = [
        ["dynamic energy", *_each(estimates, lambda e: si(e.per_inference_j, "J"))],
        ["  95th percentile", *_each(estimates, lambda e: si(e.per_inference_p95_j, "J"))],
    ]
    kinds = dict.fromkeys(kind for e in estimates for kind in e.breakdown)
    rows += [[f"  {kind.replace('_', ' ')}", *(_part(e, kind) for e in estimates)] for kind in kinds]
    rows += [
        ["static energy (leakage)", *_each(estimates, lambda e: si(e.static_j / e.samples, "J") + _mark(e))],
        ["dynamic and static", *_each(estimates, lambda e: si(e.per_inference_total_j, "J"))],
        ["latency", *_each(estimates, lambda e: si(e.latency_s, "s"))],
        ["  95th percentile", *_each(estimates, lambda e: si(e.latency_p95_s, "s"))],
        ["samples (pipelined)", *_each(estimates, lambda e: f"{count(round(e.throughput_hz))} a second")],
        ["energy-delay product", *_each(estimates, lambda e: si(e.energy_delay_product_js, "Js"))],
    ]
    return grid(
        f"energy and latency on the chip: {MODELLED}", _columns("per sample", estimates), rows, _caption(estimates)
    )


def layers_table(estimates: Sequence[EnergyEstimate]) -> RenderableType:
    """Return the dynamic energy of a sample by layer; that of each core is in the JSON document."""
    rows = [
        [name, *_each(estimates, lambda e, name=name: si(sum(e.by_layer[name].values()) / e.samples, "J"))]
        for name in estimates[0].by_layer
    ]
    return grid(f"dynamic energy by layer: {MODELLED}", _columns("per sample", estimates), rows)


def baseline_tables(program: Program) -> tuple[RenderableType, ...]:
    """Return two tables that are not to be mixed: conventional arithmetic alone, and with a read of each weight."""
    views = []
    for title, rows in baselines_document(program).items():
        table = [[row["name"], count(row["macs"]), si(row["per_inference_j"], "J")] for row in rows]
        columns = ["in place of the chip", "multiply-accumulates>", "per sample>"]
        sources = "\n".join(f"{row['name']}: {row['source']}" for row in rows)
        views.append(grid(f"{BASELINES[title]}, {rows[0]['node']}: {MODELLED}", columns, table, sources))
    return tuple(views)


def baselines_document(program: Program) -> dict[str, list[dict[str, Any]]]:
    """Return both tables of baselines as JSON values: "arithmetic", and "with_memory"."""
    from conntra_hardware.cost.baselines import baselines

    tables = {"arithmetic": False, "with_memory": True}
    return {name: [row.to_dict() for row in baselines(program, with_memory=each)] for name, each in tables.items()}


def spread_document(estimates: Sequence[EnergyEstimate]) -> dict[str, Any] | None:
    """Return the least and the largest dynamic energy of a sample between sets; None where there are not two."""
    energies = [estimate.per_inference_j for estimate in estimates]
    if len(energies) < 2:
        return None
    low, high = min(energies), max(energies)
    return {"lowest_j": low, "highest_j": high, "ratio": high / low if low else None}


def coefficients_document(estimates: Sequence[EnergyEstimate]) -> dict[str, Any]:
    """Return every entry of the sets used, with unit, source, node and scope."""
    from conntra_hardware.cost.coefficients import load_coefficients

    sets = [load_coefficients(estimate.coefficients) for estimate in estimates]
    return {
        costs.name: {
            "title": costs.title,
            "description": costs.description,
            "proxy": costs.proxy,
            "entries": {key: asdict(entry) for key, entry in costs.cited.items()},
        }
        for costs in sets
    }


def _columns(first: str, estimates: Sequence[EnergyEstimate]) -> list[str]:
    return [first, *(f"{e.coefficients}{' (proxy)' if e.proxy else ''}>" for e in estimates)]


def _each(estimates: Sequence[EnergyEstimate], value: Callable[[EnergyEstimate], str]) -> list[str]:
    return [value(estimate) for estimate in estimates]


def _part(estimate: EnergyEstimate, kind: str) -> str:
    return si(estimate.breakdown[kind] / estimate.samples, "J") if kind in estimate.breakdown else "-"


def _mark(estimate: EnergyEstimate) -> str:
    return " *" if estimate.static_second_hand else ""


def _caption(estimates: Sequence[EnergyEstimate]) -> str:
    """Say of each set what it is: its description without the words that stand in the title."""
    lines = [estimate.provenance.removeprefix(f"{MODELLED}; coefficients ") for estimate in estimates]
    spread = spread_document(estimates)
    if spread is not None and spread["ratio"]:
        lines.append(f"the sets differ by a factor of {spread['ratio']:.2f} in dynamic energy")
    if any(estimate.static_second_hand for estimate in estimates):
        lines.append("* the leakage figure is known at second hand only")
    return "\n".join(lines)
