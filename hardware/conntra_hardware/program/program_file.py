"""Program files: everything a chip or a simulator needs, its limits included, in one ``files`` container."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.citation import Cited
from conntra_hardware.base.errors import MALFORMED, ConntraError, FileFormatError, InputError, in_short
from conntra_hardware.base.files import Container, read_container, write_container
from conntra_hardware.base.weight_packing import pack, unpack
from conntra_hardware.chip import Chip
from conntra_hardware.neurons import neuron_from_dict, stored_neuron
from conntra_hardware.program import (
    AnyProjection,
    ConvProjection,
    CoreSlice,
    Population,
    Program,
    Projection,
    SparseProjection,
)
from conntra_hardware.program.convolution import Geometry
from conntra_hardware.program.fingerprint import program_sha256
from conntra_hardware.program.input_encoding import Encoder, encoder_from_dict
from conntra_hardware.program.value_scale import answers_from_file, answers_to_file

__all__ = [
    "KIND",
    "encoder_from_file",
    "encoder_to_file",
    "labels_to_file",
    "load_program",
    "program_from_container",
    "program_sha256",
    "projection_from_file",
    "projection_to_file",
    "save_program",
    "weights_from_file",
    "weights_to_file",
]

KIND = "program"
_DELAYED = "delayed"
_LARGEST_ALPHABET = 256
_MOST_THRESHOLDS = 2**24  # that all features share: a file of a few bytes may say any number of them

Tensors = dict[str, npt.NDArray[Any]]


def save_program(program: Program, path: str | Path, info: Mapping[str, Any] | None = None) -> int:
    """Write ``program`` and return the bytes written; ``info`` is JSON that says where it comes from."""
    body, tensors = _parts(program)
    return write_container(path, KIND, body | {"info": dict(info or {})}, tensors)


def load_program(path: str | Path) -> Program:
    """Read a program; FileFormatError where it is missing, damaged, newer than known, or no program."""
    return program_from_container(read_container(path, KIND), path)


def program_from_container(container: Container, path: str | Path) -> Program:
    """Return the program that ``container``, read from ``path``, holds."""
    body, tensors = container.body, container.tensors
    try:
        return Program(
            chip=_chip(body["chip"]),
            n_inputs=body["n_inputs"],
            populations=tuple(
                Population(p["name"], neuron_from_dict(p["neuron"]), tensors[f"population.{index}.bias"])
                for index, p in enumerate(body["populations"])
            ),
            projections=tuple(
                projection_from_file(f"projection.{index}", p, tensors) for index, p in enumerate(body["projections"])
            ),
            slices=tuple(CoreSlice(*s) for s in body["slices"]),
            encoder=encoder_from_file(body["encoder"], tensors),
            labels=answers_from_file(body["labels"])[0],
            value=answers_from_file(body["labels"])[1],
            steps=body.get("steps"),  # type: ignore[arg-type]  # None where neurons say it
        )
    except (*MALFORMED, ConntraError) as error:
        raise FileFormatError(
            f"{path}: sound, but its contents are not a program ({in_short(error)}); compile it again"
        ) from error


def weights_to_file(name: str, weights: npt.ArrayLike, alphabet: Sequence[int], tensors: Tensors) -> dict[str, Any]:
    """Add ``weights`` (n_out, n_in), packed over ``alphabet``, to ``tensors``; return their header entry."""
    array = np.asarray(weights)
    levels = tuple(int(v) for v in alphabet)
    if len(levels) > _LARGEST_ALPHABET:
        tensors[f"{name}.weights"] = array
        return {"shape": list(array.shape), "levels": None}
    tensors[f"{name}.weights"] = pack(array, levels)
    return {"shape": list(array.shape), "levels": list(levels)}


def weights_from_file(name: str, entry: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return the weights that ``weights_to_file`` stored."""
    stored = tensors[f"{name}.weights"]
    if entry["levels"] is None:
        return stored.reshape(entry["shape"])
    return unpack(stored, tuple(entry["levels"]), tuple(entry["shape"]))


def projection_to_file(name: str, projection: AnyProjection, tensors: Tensors) -> dict[str, Any]:
    """Add the arrays of ``projection`` to ``tensors`` under ``name``; return its header entry."""
    entry: dict[str, Any] = {"source": projection.source, "target": projection.target}
    if projection.delay:
        # A type of its own, so that versions that do not know of delays refuse the file instead of leaving them out.
        plain = projection_to_file(name, replace(projection, delay=0), tensors)
        return {**plain, "type": _DELAYED, "delayed": plain.get("type", "dense"), "delay": projection.delay}
    if isinstance(projection, Projection):
        return entry | {"weights": weights_to_file(name, projection.weights, projection.alphabet.tolist(), tensors)}
    if isinstance(projection, ConvProjection):
        kernel = projection.kernel.reshape(len(projection.kernel), -1)
        stored = weights_to_file(name, kernel, projection.alphabet.tolist(), tensors)
        return entry | {"type": "convolution", "geometry": _geometry(projection.geometry), "weights": stored}
    matrix = projection.matrix()
    stored = weights_to_file(name, matrix.data[None, :], projection.alphabet.tolist() or [0], tensors)
    tensors |= {f"{name}.indices": _smallest(matrix.indices), f"{name}.indptr": _smallest(matrix.indptr)}
    return entry | {"type": "sparse", "shape": list(projection.shape), "weights": stored}


def projection_from_file(name: str, entry: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> AnyProjection:
    """Return the projection that ``projection_to_file`` stored."""
    if entry.get("type") == _DELAYED:
        plain = projection_from_file(name, {**entry, "type": entry["delayed"]}, tensors)
        return replace(plain, delay=entry["delay"])
    source, target = entry["source"], entry["target"]
    stored = weights_from_file(name, entry["weights"], tensors)
    kind = entry.get("type", "dense")
    if kind == "dense":
        return Projection(source, target, stored)
    if kind == "convolution":
        geometry = Geometry(**{key: _tuple(value) for key, value in entry["geometry"].items()})
        return ConvProjection(source, target, stored.reshape(geometry.kernel_shape), geometry)
    if kind == "sparse":
        import scipy.sparse as sp

        index = (tensors[f"{name}.indices"].astype(np.int64), tensors[f"{name}.indptr"].astype(np.int64))
        return SparseProjection(source, target, sp.csr_array((stored[0], *index), shape=tuple(entry["shape"])))
    raise InputError(f"projection {source} -> {target}: type {kind!r} is not known to this version")


def encoder_to_file(encoder: Encoder | None, tensors: Tensors) -> dict[str, Any] | None:
    """Add the encoder's thresholds to ``tensors``; return what the header says of it."""
    if encoder is None:
        return None
    # All pixels of an image share their thresholds as a rule: one column of them is enough then.
    shared = bool((encoder.thresholds == encoder.thresholds[..., :1]).all())
    tensors["encoder.thresholds"] = encoder.thresholds[..., :1] if shared else encoder.thresholds
    return {"kind": encoder.kind, "n_features": encoder.n_features}


def encoder_from_file(entry: Mapping[str, Any] | None, tensors: Mapping[str, npt.NDArray[Any]]) -> Encoder | None:
    """Return the encoder that ``encoder_to_file`` stored."""
    if entry is None:
        return None
    stored = tensors["encoder.thresholds"]
    features = whole(entry["n_features"], "encoder: features", 1)
    if features * max(stored.size, 1) > _MOST_THRESHOLDS and stored.shape[-1:] == (1,):
        raise InputError(
            f"encoder: {features:,} features of {stored.size} thresholds; {_MOST_THRESHOLDS:,} in all allowed"
        )
    thresholds = np.broadcast_to(stored, (*stored.shape[:-1], features))
    return encoder_from_dict(entry["kind"], thresholds)


def labels_to_file(labels: Sequence[Any] | None) -> list[Any] | None:
    """Return class labels as JSON values."""
    if labels is None:
        return None
    plain = [label.item() if isinstance(label, np.generic) else label for label in labels]
    for label in plain:
        if not isinstance(label, (str, int, float, bool)):
            raise InputError(f"label {label!r}: type {type(label).__name__}; a file holds strings and numbers")
    return plain


def _parts(program: Program) -> tuple[dict[str, Any], Tensors]:
    tensors: Tensors = {}
    for index, population in enumerate(program.populations):
        tensors[f"population.{index}.bias"] = _smallest(population.bias)
    body = {
        "chip": dataclasses.asdict(program.chip),
        "n_inputs": program.n_inputs,
        "populations": [{"name": p.name, "neuron": stored_neuron(p.neuron)} for p in program.populations],
        "projections": [
            projection_to_file(f"projection.{index}", p, tensors) for index, p in enumerate(program.projections)
        ],
        "slices": [_slice(s) for s in program.slices],
        "encoder": encoder_to_file(program.encoder, tensors),
        "labels": answers_to_file(labels_to_file(program.labels), program.value),
    }
    if program.timed:
        body["steps"] = program.steps
    return body, tensors


def _geometry(geometry: Geometry) -> dict[str, Any]:
    """A dilation of 1 is left out, as in the first files; readers that do not know of it refuse any other."""
    entry = asdict(geometry)
    return entry if geometry.dilation != (1, 1) else {key: v for key, v in entry.items() if key != "dilation"}


def _slice(s: CoreSlice) -> list[Any]:
    return [s.population, s.start, s.stop, s.core] + ([s.runs, s.stride] if s.runs > 1 else [])


def _smallest(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return integers in the smallest signed type that holds them."""
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    return array.astype(np.result_type(np.min_scalar_type(low), np.min_scalar_type(high), np.int8))


def _chip(entry: Mapping[str, Any]) -> Chip:
    """Return the chip of a header; JSON knows no tuples, and later versions may know more fields."""
    known = {field.name for field in dataclasses.fields(Chip)}
    values: dict[str, Any] = {}
    values |= {name: _tuple(value) for name, value in entry.items() if name in known}
    cited = {name: {key: _tuple(value) for key, value in c.items()} for name, c in entry["cited"].items()}
    values["cited"] = {name: Cited(**c) for name, c in cited.items()}
    return Chip(**values)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
