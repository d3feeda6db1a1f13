"""The demo's last word: what a newcomer should know about a trained, compiled, run and verified network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from conntra_hardware.cost.energy import estimate_all
from conntra_neuro.report.documents import compile_document, memory_document, provenance, run_document
from conntra_neuro.report.energy import energy_table
from conntra_neuro.report.tables import facts, grid, shape
from conntra_neuro.report.units import bytes_, count, percent, seconds, si, times

if TYPE_CHECKING:
    from conntra_hardware.program import Program
    from conntra_hardware.runtime import RunResult
    from conntra_neuro.datasets import Dataset
    from conntra_neuro.training import TrainResult

__all__ = ["demo_document", "demo_view"]


def demo_document(
    trained: TrainResult,
    program: Program,
    results: Sequence[RunResult],
    certificate: Mapping[str, Any] | None,
    absent: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    """Return the document of ``conntra demo``: those of its steps."""
    compiled = compile_document(program, "")
    return {
        "train": provenance(trained, "digits") | memory_document(trained.network),
        "compile": {key: value for key, value in compiled.items() if key != "program"},
        "runs": [run_document(result, estimate_all(result.counts, program)) for result in results],
        "verify": certificate,
        "absent": list(absent),
    }


def demo_view(
    trained: TrainResult,
    data: Dataset,
    program: Program,
    results: Sequence[RunResult],
    document: Mapping[str, Any],
    folder: str | None,
    full: bool,
) -> RenderableType:
    """Return what ends the demo: six lines, or with ``full`` every table."""
    first = results[0]
    if not full:
        return Group(_in_short(trained, data, program, first, document), _next(folder))
    views = [
        _simulators(trained, data, results, document),
        _network(trained, program, first, document["train"]),
        energy_table(estimate_all(first.counts, program)),
        _next(folder),
    ]
    return Group(*views)


def _in_short(
    trained: TrainResult, data: Dataset, program: Program, result: RunResult, document: Mapping[str, Any]
) -> RenderableType:
    estimates = estimate_all(result.counts, program)
    energy = _range([estimate.per_inference_j for estimate in estimates], lambda value: si(value, "J"))
    cores = f"{program.cores_used} of the {program.chip.total_cores}"
    latencies = [estimate.latency_s for estimate in estimates]
    memory, synops = document["train"], result.counts.totals()["synops"] / result.samples
    packed, float64 = memory["memory_bytes"], memory["memory_bytes_float64"]
    rows = [
        ("accuracy", f"{percent(result.accuracy)} on {len(data.x_test)} images it has never seen"),
        ("simulators", _verdict(document)),
        ("network", f"{shape(trained.network)}, each weight -1, 0 or 1"),
        ("memory", f"{bytes_(packed)}; in float64 {bytes_(float64)}, {times(float64 / packed)} as much"),
        ("cores", f"{cores} of {program.chip.name}, {count(round(synops))} synaptic operations an image"),
        ("energy", f"{energy} an image, {_range(latencies, seconds)}: modelled, not measured"),
    ]
    rows += [(f"no {absent['backend']}", "cannot run here: see conntra doctor") for absent in document["absent"]]
    return Group(Text(""), facts("", rows))


def _range(values: Sequence[float], words: Callable[[float], str]) -> str:
    low, high = words(min(values)), words(max(values))
    return low if low == high else f"{low} to {high}"


def _simulators(
    trained: TrainResult, data: Dataset, results: Sequence[RunResult], document: Mapping[str, Any]
) -> RenderableType:
    error = trained.test_error
    rows = [["the trainer's own count", percent(None if error is None else 1 - error), seconds(trained.train_seconds)]]
    rows += [[_NAMES.get(r.backend, r.backend), percent(r.accuracy), seconds(r.seconds)] for r in results]
    rows += [[_NAMES.get(a["backend"], a["backend"]), "cannot run here", ""] for a in document["absent"]]
    return grid(
        f"accuracy on {len(data.x_test)} images it has never seen", ["", "accuracy>", "took>"], rows, _verdict(document)
    )


_NAMES = {"reference": "reference (NumPy)", "lava": "Lava, Intel's simulator of Loihi", "brian2": "Brian2"}


def _verdict(document: Mapping[str, Any]) -> str:
    certificate = document["verify"]
    if certificate is None:
        return "one simulator only: nothing to compare; see conntra doctor"
    if not certificate["equal"]:
        return "the simulators DIFFER: this should not be; please report it"
    spikes, potentials = count(certificate["compared"]["spikes"]), count(certificate["compared"]["potentials"])
    return f"equal on {', '.join(certificate['backends'])}: {spikes} spikes, {potentials} potentials"


def _network(trained: TrainResult, program: Program, result: RunResult, memory: Mapping[str, Any]) -> RenderableType:
    n, totals = result.samples, result.counts.totals()
    packed, float64 = memory["memory_bytes"], memory["memory_bytes_float64"]
    chip, entering = program.chip, float(result.counts.input_spikes.mean())
    rows = [
        ("network", f"{shape(trained.network)}, each weight -1, 0 or 1"),
        ("memory", f"{bytes_(packed)}; in float64 {bytes_(float64)}, {times(float64 / packed)} as much"),
        ("cores", f"{program.cores_used} of the {chip.total_cores} of {chip.name}"),
        ("spikes", f"{count(round(totals['spikes'] / n, 1))} an image, and {count(round(entering, 1))} that enter"),
        (
            "synaptic operations",
            f"{count(round(totals['synops'] / n, 1))} an image; dense arithmetic would take "
            f"{count(trained.network.n_weights)} multiplications",
        ),
    ]
    return facts("the network on the chip", rows)


def _next(folder: str | None) -> RenderableType:
    where = f"model, program, result and certificate are in {folder}; report.html there shows them\n" if folder else ""
    return (
        f"{where}Now with your own: conntra train csv:data.csv --out model.conntra, then compile, run and verify "
        "(conntra -h)."
    )
