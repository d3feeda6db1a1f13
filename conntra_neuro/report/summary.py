"""``value.summary()`` and what notebooks show: the tables of the command line, of values that were never in a file."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType

from conntra_neuro.report.tables import cores_table, facts, grid, run_table, shape, value_errors
from conntra_neuro.report.units import bytes_, count, percent, seconds, times

if TYPE_CHECKING:
    from conntra_hardware.cost.energy import EnergyEstimate
    from conntra_hardware.program import Program
    from conntra_hardware.proof.verify import Certificate
    from conntra_hardware.runtime import RunResult
    from conntra_neuro.network import DiscreteNetwork
    from conntra_neuro.training import TrainResult

__all__ = ["html", "summary", "view"]

_WIDTH = 110
_PAGE = '<pre style="font-family: monospace; line-height: 1.3">{code}</pre>'


def summary(value: Any) -> str:
    """Return the table of a value as plain text."""
    console = Console(file=io.StringIO(), width=_WIDTH, highlight=False, color_system=None, force_jupyter=False)
    console.print(view(value))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n") + "\n"


def html(value: Any) -> str:
    """Return the table of a value as HTML, everything in it escaped."""
    # Inside a notebook rich would show what it prints, whatever the file: a table twice.
    console = Console(file=io.StringIO(), width=_WIDTH, highlight=False, record=True, force_jupyter=False)
    console.print(view(value))
    return console.export_html(inline_styles=True, code_format=_PAGE)


def view(value: Any) -> RenderableType:
    """Return what rich prints for a network, program, result, certificate or estimate."""
    for kind in type(value).__mro__:
        if kind.__name__ in _VIEWS:
            return _VIEWS[kind.__name__](value)
    return repr(value)


def _network(network: DiscreteNetwork) -> RenderableType:
    from conntra_neuro.report.documents import memory_document

    memory = memory_document(network)
    rows = [
        [str(index), _kind(layer), " x ".join(map(str, layer.output_shape)), _neuron(layer), count(layer.n_parameters)]
        for index, layer in enumerate(network.layers)
    ]
    packed, float64 = memory["memory_bytes"], memory["memory_bytes_float64"]
    below = [
        ("inputs", f"{count(network.n_in)} spikes" + (f" from {network.encoder.kind}" if network.encoder else "")),
        ("time steps", count(network.steps)),
        ("memory", f"{bytes_(packed)}, {times(float64 / packed)} less than float64 ({bytes_(float64)})"),
        ("weights not 0", percent(memory["nonzero_fraction"], 0)),
        *(("residual", str(residual)) for residual in network.residuals),
    ]
    columns = ["layer>", "kind", "outputs", "neurons", "parameters>"]
    return Group(grid(f"network {shape(network)}", columns, rows), facts("", below))


def _kind(layer: Any) -> str:
    kind = type(layer).__name__
    if not hasattr(layer, "geometry"):
        return kind
    g = layer.geometry
    words = [f"{kind} {'x'.join(map(str, g.kernel))}"]
    words += [f"{name} {value}" for name, value in _windows(g) if value not in ((1, 1), (0, 0), 1)]
    return ", ".join(words)


def _windows(geometry: Any) -> list[tuple[str, Any]]:
    return [(name, getattr(geometry, name)) for name in ("stride", "padding", "dilation", "groups")]


def _neuron(layer: Any) -> str:
    if layer.neuron is None:
        return "-"
    levels = getattr(layer, "levels", None)
    return layer.neuron.kind.replace("_", " ") + (f", {_weights(levels)}" if levels is not None else "")


def _weights(levels: Any) -> str:
    short = levels.short
    return f"{short} weights" if short == str(levels) else f"weights of {short}"


def _program(program: Program) -> RenderableType:
    return cores_table(program, program.usage, None)


def _result(result: RunResult) -> RenderableType:
    from conntra_hardware.cost.energy import estimate_all
    from conntra_neuro.report.energy import energy_table

    return Group(run_table(result), energy_table(estimate_all(result.counts, result.program)))


def _certificate(certificate: Certificate) -> RenderableType:
    from conntra_neuro.report.certificate import certificate_view

    return certificate_view(certificate.to_dict())


def _estimate(estimate: EnergyEstimate) -> RenderableType:
    from conntra_neuro.report.energy import energy_table

    return energy_table([estimate])


def _trained(trained: TrainResult) -> RenderableType:
    errors = [
        ("training error", percent(trained.train_error)),
        ("validation error", percent(trained.validation_error)),
        ("test error", percent(trained.test_error)),
    ]
    rows = [
        *(errors if trained.network.value is None else value_errors(trained)),
        ("time", f"{seconds(trained.train_seconds)}, {len(trained.history)} sweeps, seed {trained.seed}"),
    ]
    title = f"trained by {trained.method}, gear {trained.gear}" + (" (interrupted)" if trained.interrupted else "")
    return Group(facts(title, [row for row in rows if row[1] != "-"]), _network(trained.network))


_VIEWS: dict[str, Callable[[Any], RenderableType]] = {
    "DiscreteNetwork": _network,
    "Program": _program,
    "RunResult": _result,
    "Certificate": _certificate,
    "EnergyEstimate": _estimate,
    "TrainResult": _trained,
}
