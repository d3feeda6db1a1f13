"""JSON documents: one function a verb, each returning a dictionary of plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from conntra_neuro.network.storage import memory_report

if TYPE_CHECKING:
    import numpy.typing as npt

    from conntra_hardware.base.arrays import ArrayLike
    from conntra_hardware.cost.energy import EnergyEstimate
    from conntra_hardware.program import Program
    from conntra_hardware.runtime import RunResult
    from conntra_neuro.network import DiscreteNetwork
    from conntra_neuro.training import TrainResult

__all__ = ["compile_document", "memory_document", "provenance", "run_document", "train_document"]


def provenance(trained: TrainResult, data: str, binning: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what a model file says of where it comes from; ``data`` is the dataset's specification.

    ``binning`` says how events become its input spikes, where it was trained on events.
    """
    from conntra_hardware.base.version import package_version

    return {
        "data": data,
        "seed": int(trained.seed),
        "method": trained.method,
        "gear": trained.gear,
        "levels": str(trained.levels),
        "layers": list(trained.layers),
        "train_error": trained.train_error,
        "validation_error": trained.validation_error,
        "test_error": trained.test_error,
        "train_seconds": trained.train_seconds,
        "interrupted": trained.interrupted,
        "sweeps": trained.sweeps,
        "stop_after": trained.stop_after,
        "shift": trained.shift,
        "elastic": trained.elastic,
        "moved_unasked": trained.moved_unasked,
        "conntra_neuro": package_version(),
        **({} if binning is None else {"events": dict(binning)}),
        **({} if trained.network.value is None else {"target": "value"}),
    }


def train_document(trained: TrainResult, data: str, model: str) -> dict[str, Any]:
    """Return the document of ``conntra train``; ``model`` is the path written."""
    history = [asdict(record) for record in trained.history]
    return {"model": model, **provenance(trained, data), **memory_document(trained.network), "history": history}


def memory_document(network: DiscreteNetwork) -> dict[str, Any]:
    """Return what a network takes, and how many of its weights are not 0."""
    memory = memory_report(network)
    nonzero = sum(getattr(layer, "n_nonzero", layer.n_weights) for layer in network.layers)
    return {
        "parameters": network.n_parameters,
        "memory_bytes": memory.packed,
        "memory_bytes_on_disk": memory.on_disk,
        "memory_bytes_float64": memory.float64,
        "memory_bytes_float32": memory.float32,
        "weight_bits": memory.weight_bits,
        "nonzero_fraction": nonzero / network.n_weights,
    }


def compile_document(program: Program, path: str) -> dict[str, Any]:
    """Return the document of ``conntra compile``; ``path`` is the path written."""
    from conntra_hardware.fit.resources import core_usage
    from conntra_hardware.program.program_file import program_sha256

    cores = [usage.to_dict() for usage in core_usage(program)]
    return {
        "fits": True,
        "program": path,
        "program_sha256": program_sha256(program),
        "chip": program.chip.name,
        "cores_used": program.cores_used,
        "cores_available": program.chip.total_cores,
        "cores": cores,
    }


def run_document(
    result: RunResult,
    estimates: Sequence[EnergyEstimate] | None = None,
    origin: Mapping[str, Any] | None = None,
    *,
    labels: ArrayLike | None = None,
    inputs: npt.NDArray[Any] | None = None,
    features: ArrayLike | None = None,
    binning: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the document of ``conntra run``: what was asked for (``origin``), what happened, what it costs.

    ``estimates`` None prices the run under each set that the chip names. ``labels`` (n,) are the class indices that the
    accuracy was counted with, ``inputs`` (rows, n_inputs) input spikes, for the pictures, ``features`` (n, ...) the
    samples as the data set has them, and ``binning`` its ``Dataset.binning``, for the spike explorer. "energy",
    "latency_s" and "throughput_hz" are modelled; what a board measured is under "measured", and nowhere else.
    """
    from conntra_hardware.backends import load_backend
    from conntra_hardware.backends.versions import versions_of
    from conntra_hardware.cost.energy import estimate_all
    from conntra_hardware.cost.measured import hardware_counts
    from conntra_hardware.program.fingerprint import program_sha256
    from conntra_neuro.report.energy import baselines_document, coefficients_document, spread_document
    from conntra_neuro.report.explorer import explorer_document
    from conntra_neuro.report.recorded import confusion_document, mesh_document, recorded_document
    from conntra_neuro.report.traces import traces_document

    program = result.program
    if estimates is None:
        estimates = estimate_all(result.counts, program)
    energy = [estimate.to_dict() for estimate in estimates]
    first = energy[0] if energy else {}
    step_us = None if binning is None else binning["recipe"].get("step_us")
    return {
        **(origin or {}),
        "backend": result.backend,
        "chip": program.chip.name,
        "samples": result.samples,
        "accuracy": result.accuracy,
        **({} if program.value is None else {"mse": result.mse, "r2": result.r2}),
        "run_seconds": result.seconds,
        "counts": result.counts.totals(),
        "counts_by_layer": result.counts.by_layer(),
        "counts_hardware_names": hardware_counts(result.counts),
        "counted_on": result.counted_on,
        "energy": energy,
        "energy_spread": spread_document(estimates),
        "latency_s": first.get("latency_s"),
        "throughput_hz": first.get("throughput_hz"),
        "measured": result.measured.to_dict(),
        "baselines": baselines_document(program),
        "coefficients": coefficients_document(estimates),
        "program_sha256": program_sha256(program),
        "versions": versions_of([load_backend(result.backend)]),
        "confusion": confusion_document(result, labels),
        "recorded": recorded_document(result, inputs),
        "traces": traces_document(result, inputs),
        "explorer": explorer_document(result, inputs, features, labels, step_us),
        **mesh_document(program),
    }
