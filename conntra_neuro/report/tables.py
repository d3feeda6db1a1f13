"""Terminal tables: one function a verb, each returning something that rich prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from conntra_neuro.report.units import bytes_, count, percent, right_of, seconds, si, squared, times

if TYPE_CHECKING:
    from conntra_hardware.base.errors import DoesNotFit
    from conntra_hardware.chip import Chip
    from conntra_hardware.fit.resources import CoreUsage
    from conntra_hardware.program import Program
    from conntra_hardware.runtime import RunResult
    from conntra_neuro.datasets import Dataset, DatasetSpec
    from conntra_neuro.training import TrainResult

__all__ = [
    "chip_table",
    "chips_table",
    "cores_table",
    "datasets_table",
    "doctor_view",
    "facts",
    "grid",
    "run_table",
    "shape",
    "training_table",
    "value_errors",
    "violations_table",
]

_CORES_SHOWN = 16


def grid(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "", close: bool = False
) -> RenderableType:
    """Return a table under its title; a column whose heading ends in ">" is set flush right, ``close`` narrows gaps."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=close)
    for column in columns:
        right = column.endswith(">")
        table.add_column(column.rstrip(">"), justify="right" if right else "left", overflow="fold")
    return _titled(title, table, rows, caption)


def facts(title: str, rows: Sequence[Sequence[str]], caption: str = "") -> RenderableType:
    """Return a table of names and what they are."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return _titled(title, table, rows, caption)


def _titled(title: str, table: Table, rows: Sequence[Sequence[str]], caption: str) -> RenderableType:
    """Put title and caption above and below, for rich would wrap both to the width of the table."""
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    above = [Text(title, style="bold")] if title else []
    plain = [Text("")] if title and not table.show_header else []
    below = [*plain, Text(caption, style="dim")] if caption else []
    return Group(*above, *plain, table, *below, Text(""))


def training_table(trained: TrainResult, data: Dataset, document: Mapping[str, Any]) -> RenderableType:
    """Return what training gave; ``document`` is ``train_document``'s."""
    packed, float64, model = document["memory_bytes"], document["memory_bytes_float64"], document["model"]
    saved = f"{bytes_(packed)}, {times(float64 / packed)} less than float64 ({bytes_(float64)})"
    planned, stopped = f"{trained.sweeps:g}", trained.stop_after
    done = planned if stopped is None else f"{stopped:.3g} of {planned}"
    ended = " (interrupted: the best so far)" if trained.interrupted else ""
    sizes = f"{count(len(data.x_train))} training and {count(len(data.x_test))} test samples"
    whole = f" of {count(len(data.x_test))} samples"
    errors = [
        ("training error", percent(trained.train_error)),
        ("validation error", percent(trained.validation_error)),
        ("test error", "-" if trained.test_error is None else f"{percent(trained.test_error)}{whole}"),
    ]
    if trained.network.value is not None:
        errors = value_errors(trained, data)
    rows = [
        ("data", f"{sizes} of {' x '.join(map(str, data.feature_shape))} features; {data.note}"),
        ("network", f"{shape(trained.network)}, {trained.levels} weights, {count(document['parameters'])} parameters"),
        ("training images", _moves(trained, data)),
        *errors,
        ("time", f"{seconds(trained.train_seconds)}, {done} sweeps{ended}"),
        ("memory", f"{saved}; {percent(document['nonzero_fraction'], 0)} of the weights are not 0"),
        ("model", f"{model} ({bytes_(document['memory_bytes_on_disk'])} and its provenance)"),
    ]
    rows = [row for row in rows if row[1] != "-"]
    return facts(f"{data.name}, trained by {trained.method}", rows, f"next: conntra compile {model} --chip loihi1")


def value_errors(trained: TrainResult, data: Dataset | None = None) -> list[tuple[str, str]]:
    """Return rows of the errors of a network that answers with a value; with ``data`` what they explain, too."""
    train, test = trained.train_error, trained.test_error
    explained: list[float | None] = [None, None]
    if data is not None:
        parts = ((train, data.y_train), (test, data.y_test))
        explained = [None if error is None or not y.var() else 1 - error / float(y.var()) for error, y in parts]
    held = trained.validation_error
    return [
        ("training error", squared(train, explained[0])),
        ("validation error", "-" if held is None else f"{percent(held)} of the training targets' variance"),
        ("test error", squared(test, explained[1])),
    ]


def _moves(trained: TrainResult, data: Dataset) -> str:
    """Return how training images were moved, and why nobody had to ask for it."""
    found = []
    if trained.shift:
        found.append(f"shifted by up to {trained.shift} pixel{'s' if trained.shift > 1 else ''}")
    if trained.elastic:
        found.append(f"bent by about {trained.elastic:g} pixel{'s' if trained.elastic != 1 else ''}")
    if not found:
        return "-"
    each = count(round(len(data.y_train) / data.n_classes))
    why = f"; the default with {each} of a class, --shift 0 leaves them" if trained.moved_unasked else ""
    return f"{' and '.join(found)}, anew in each sweep{why}"


def shape(network: Any) -> str:
    """Return a network's widths: "192 -> 256 -> 10"."""
    return " -> ".join(str(n) for n in (network.n_in, *(layer.n_out for layer in network.layers)))


def cores_table(program: Program, cores: Sequence[CoreUsage], path: str | None) -> RenderableType:
    """Return what a program takes of each core; the fullest cores where there are many. ``path`` None: in no file."""
    shown = sorted(sorted(cores, key=lambda c: -c.utilization)[:_CORES_SHOWN], key=lambda c: c.core)
    rows = [
        [
            str(core.core),
            ", ".join(core.populations),
            *(_amount(core.resources[name].used, name) for name in _RESOURCES),
            _fullest(core),
        ]
        for core in shown
    ]
    limits = [shown[0].resources[name].limit for name in _RESOURCES]
    headings = [
        f"{heading}\n{f'of {_amount(limit, name)}' if limit else ''}>"
        for (name, heading), limit in zip(_RESOURCES.items(), limits, strict=True)
    ]
    left_out = f"the {_CORES_SHOWN} fullest of {len(cores)} cores; " if len(cores) > len(shown) else ""
    title = f"{program.chip.name}: {program.cores_used} of {count(program.chip.total_cores)} cores"
    caption = left_out.rstrip("; ") if path is None else f"{left_out}program in {path}; next: conntra run {path}"
    return grid(title, ["core>", "holds", *headings, "nearest to its limit"], rows, caption)


_RESOURCES = {
    "neurons": "neurons",
    "input axons": "axons in",
    "output axons": "axons out",
    "synapse memory": "memory",
}


def _amount(value: float, resource: str) -> str:
    return bytes_(value / 8) if resource == "synapse memory" else count(value)


def _fullest(core: CoreUsage) -> str:
    resources = [(usage.fraction, name) for name, usage in core.resources.items() if name in _RESOURCES]
    fraction, name = max(resources)
    return f"{name} {percent(fraction, 0)}"


def violations_table(error: DoesNotFit, model: str) -> RenderableType:
    """Return every violation, with what would help."""
    rows = [
        [v.layer + ("" if v.core is None else f", core {v.core}"), v.resource, count(v.used), count(v.limit), v.remedy]
        for v in error.violations
    ]
    columns = ["layer", "resource", "used>", "limit>", "what would help"]
    return grid(f"{model} does not fit {error.chip}", columns, rows)


def run_table(result: RunResult, data: str = "", split: str = "") -> RenderableType:
    """Return a run's accuracy and its events, per sample and layer."""
    n, totals, program = result.samples, result.counts.totals(), result.program
    per = {name: {key: value / n for key, value in counts.items()} for name, counts in result.counts.by_layer().items()}
    layers = [
        [name, count(program.population(name).size), *(count(round(c[key], 1)) for key in ("spikes", "synops"))]
        for name, c in per.items()
    ]
    total = [
        "all",
        count(sum(p.size for p in program.populations)),
        *(count(round(totals[key] / n, 1)) for key in _BOTH),
    ]
    rate = f" ({si(n / result.seconds, 'samples/s')})" if result.seconds > 0 else ""
    right = right_of({"accuracy": result.accuracy, "mse": result.mse, "r2": result.r2})
    rows = [
        (right[0], f"{right[1]} of {count(n)} samples" + (f" ({data}, {split})" if data else "")),
        ("time", f"{seconds(result.seconds)} on this machine{rate}"),
    ]
    if result.counted_on != result.backend:
        rows.append(("events", f"counted on the {result.counted_on} backend: the chip's spikes were not read"))
    columns = ["per sample", "neurons>", "spikes>", "synaptic operations>"]
    title = f"{program.chip.name} program on {result.backend}"
    return Group(facts(title, rows), grid("", columns, [*layers, total]))


_BOTH = ("spikes", "synops")


def chips_table(chips: Sequence[Chip]) -> RenderableType:
    """Return the chips, a row each."""
    rows = [
        [
            chip.name,
            count(chip.cores),
            count(chip.neurons_per_core),
            bytes_(chip.synapse_memory_bits / 8),
            ", ".join(map(str, chip.weight_bits)),
            ", ".join(chip.coefficients),
        ]
        for chip in chips
    ]
    columns = ["chip", "cores>", "neurons a core>", "memory a core>", "weight bits", "energy coefficients"]
    return grid("chips", columns, rows, "conntra chips CHIP shows all limits of one, with their sources")


def chip_table(chip: Chip) -> RenderableType:
    """Return every limit of a chip with its source."""
    rows = []
    for name, cited in chip.cited.items():
        doubts = (" (second hand)" if cited.second_hand else "") + (f"; {cited.note}" if cited.note else "")
        rows.append([name.replace("_", " "), f"{_value(cited.value)} {cited.unit}", cited.source + doubts])
    return grid(f"{chip.name}: {chip.description}", ["limit", "value", "source"], rows)


def _value(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    return count(value) if isinstance(value, (int, float)) else str(value)


def datasets_table(specs: Sequence[DatasetSpec], cache: str, cached: bool) -> RenderableType:
    """Return what DATA may be."""
    rows = [[spec.spec, spec.description, spec.split] for spec in specs]
    caption = f"cache: {cache} ({'holds MNIST' if cached else 'no MNIST yet'})"
    return grid("datasets", ["DATA", "what it is", "test split"], rows, caption)


def doctor_view(document: Mapping[str, Any]) -> RenderableType:
    """Return what can run here; ``document`` is ``cli.doctor.examine``'s."""
    memory = document["memory_bytes"]
    machine = [
        ("Python", f"{document['python']} ({document['executable']})"),
        ("platform", document["platform"]),
        ("threads, memory", f"{document['threads']}, {bytes_(memory) if memory else 'unknown'}"),
        ("packages", ", ".join(f"{name} {version or 'missing'}" for name, version in document["packages"].items())),
    ]
    backends = [
        [
            b["name"],
            "yes" if b["ok"] else "no",
            _ran_on(b, document["executable"]) if b["ok"] else f"{b['reason']}; {b['remedy']}",
        ]
        for b in document["backends"]
    ]
    extras = [
        [e["name"], "yes" if e["ok"] else "no", e["purpose"], _versions(e["versions"]) if e["ok"] else e["remedy"]]
        for e in document["extras"]
    ]
    return Group(
        facts("this machine", machine),
        grid("simulators", ["backend", "runs here", "on, or why not and what helps"], backends),
        grid("optional extras", ["extra", "installed", "for", "versions, or how to install"], extras),
    )


def _ran_on(backend: Mapping[str, Any], executable: str) -> str:
    other = backend["executable"]
    return _versions(backend["versions"]) + (f" ({other})" if other != executable else "")


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
