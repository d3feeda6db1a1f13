"""Model and program files: ``save`` and ``load``, and what a network takes in memory and on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from conntra_hardware.base.errors import MALFORMED, ConntraError, FileFormatError, InputError, in_short
from conntra_hardware.base.files import Container, container_bytes, read_container, write_container
from conntra_hardware.neurons import common_steps
from conntra_hardware.program import Program
from conntra_hardware.program.program_file import (
    Tensors,
    encoder_from_file,
    encoder_to_file,
    labels_to_file,
    program_from_container,
    save_program,
)
from conntra_hardware.program.value_scale import answers_from_file, answers_to_file
from conntra_neuro.network import Conv2d, Dense, DiscreteNetwork, Recurrent
from conntra_neuro.network.layer_file import (
    connection_from_file,
    layer_from_file,
    layer_to_file,
    residual_from_file,
    residual_to_file,
)

__all__ = ["MemoryReport", "load", "load_info", "load_network", "memory_report", "save"]

MODEL = "model"


@dataclass(frozen=True)
class MemoryReport:
    """Bytes of a network: as stored (``packed``), of its whole file (``on_disk``), and of the same parameters in
    floating point (``float64``, ``float32``). ``weight_bits`` are the bits of a weight as stored, biases apart.
    """

    packed: int
    on_disk: int
    float64: int
    float32: int
    weight_bits: float

    def to_dict(self) -> dict[str, float]:
        """Return the fields as JSON values."""
        return asdict(self)


def save(value: DiscreteNetwork | Program, path: str | Path, *, info: Mapping[str, Any] | None = None) -> int:
    """Write ``value``, a network or a program, to ``path``, all at once or not at all; return the bytes written.

    ``info``: JSON values kept beside it, such as where it comes from; ``load_info`` reads them. Raises InputError for
    anything else than a network or a program, FileFormatError for a path that cannot be written to.
    """
    if isinstance(value, Program):
        return save_program(value, path, info)
    if not isinstance(value, DiscreteNetwork):
        raise InputError(f"save: {type(value).__name__} given; a DiscreteNetwork or a Program can be saved")
    body, tensors = _parts(value)
    return write_container(path, MODEL, body | {"info": dict(info or {})}, tensors)


def load(path: str | Path) -> DiscreteNetwork | Program:
    """Return what ``save`` wrote to ``path``; FileFormatError for a file that is missing, damaged or too new."""
    container = read_container(path)
    if container.kind == MODEL:
        return _network(container, path)
    if container.kind == "program":
        return program_from_container(container, path)
    raise FileFormatError(f"{path}: a {container.kind} file; model and program files can be loaded")


def load_network(path: str | Path) -> DiscreteNetwork:
    """Read a network; as ``load``, and FileFormatError where the file is not a model."""
    return _network(read_container(path, MODEL), path)


def load_info(path: str | Path) -> dict[str, Any]:
    """Return the ``info`` that a file was saved with."""
    info = read_container(path).body.get("info", {})
    if not isinstance(info, dict):
        raise FileFormatError(f"{path}: its info is {in_short(info)}; a JSON object expected: write it again")
    return info


def memory_report(network: DiscreteNetwork) -> MemoryReport:
    """Return what ``network`` takes, packed and on disk, and what float64 and float32 would."""
    bias_bytes = sum(layer.bias.nbytes for layer in network.layers if isinstance(layer, (Dense, Conv2d)))
    return MemoryReport(
        packed=network.memory_bytes,
        on_disk=len(container_bytes(MODEL, *_parts(network))),
        float64=8 * network.n_parameters,
        float32=4 * network.n_parameters,
        weight_bits=8 * (network.memory_bytes - bias_bytes) / network.n_weights,
    )


def _parts(network: DiscreteNetwork) -> tuple[dict[str, Any], Tensors]:
    tensors: Tensors = {}
    body = {
        "layers": [layer_to_file(f"layer.{index}", layer, tensors) for index, layer in enumerate(network.layers)],
        "encoder": encoder_to_file(network.encoder, tensors),
        "labels": answers_to_file(labels_to_file(network.labels), network.value),
        "info": {},
    }
    if network.residuals:
        body["residuals"] = [
            residual_to_file(f"residual.{index}", residual, tensors) for index, residual in enumerate(network.residuals)
        ]
    if network.recurrent:
        body["recurrent"] = [
            {"layer": c.layer, "connection": layer_to_file(f"recurrent.{index}", c.connection, tensors)}
            for index, c in enumerate(network.recurrent)
        ]
    if _is_timed(network):
        body["steps"] = network.steps
    if network.recurrent or "steps" in body:
        # A key that earlier versions look for, so that they refuse what they do not know.
        body["over_time"] = body.pop("layers")
    return body, tensors


def _is_timed(network: DiscreteNetwork) -> bool:
    """Return whether the neurons do not say how many time steps a sample takes."""
    neurons = {str(index): layer.neuron for index, layer in enumerate(network.layers) if layer.neuron is not None}
    return any(neuron.needs_steps for neuron in neurons.values()) or network.steps != common_steps(neurons)


def _network(container: Container, path: str | Path) -> DiscreteNetwork:
    body, tensors = container.body, container.tensors
    try:
        stored = body["over_time"] if "over_time" in body else body["layers"]
        layers = [layer_from_file(f"layer.{i}", entry, tensors) for i, entry in enumerate(stored)]
        joined = [residual_from_file(f"residual.{i}", r, tensors) for i, r in enumerate(body.get("residuals", ()))]
        loops = [
            Recurrent(entry["layer"], connection_from_file(f"recurrent.{i}", entry["connection"], tensors))
            for i, entry in enumerate(body.get("recurrent", ()))
        ]
        encoder = encoder_from_file(body["encoder"], tensors)
        labels, value = answers_from_file(body["labels"])
        steps = body.get("steps")
        return DiscreteNetwork(layers, encoder, labels, joined, steps=steps, recurrent=loops, value=value)
    except (*MALFORMED, ConntraError) as error:
        raise FileFormatError(
            f"{path}: sound, but its contents are not a network ({in_short(error)}); train it again"
        ) from error
