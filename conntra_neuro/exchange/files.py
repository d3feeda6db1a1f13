"""``export`` and ``import_network``: which format a file has, and what writes or reads it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from conntra_hardware.base.arguments import seconds
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.files import check_writable, write_atomically
from conntra_hardware.base.suggest import did_you_mean
from conntra_hardware.program import Program
from conntra_neuro.datasets import Unlabelled
from conntra_neuro.exchange.from_program import network_of_program
from conntra_neuro.exchange.time import refuse_other_outputs, refuse_ways_through_time
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.single_thresholds import single_thresholds

if TYPE_CHECKING:
    from conntra_neuro.exchange.nir.spiking import SpikingImport
    from conntra_neuro.exchange.onnx.readout import OutputRounding
    from conntra_neuro.exchange.relu.importing import ReluImport

__all__ = ["FORMATS", "READERS", "Exported", "export", "import_network", "import_with_report"]

Options: TypeAlias = dict[str, Any]
Written: TypeAlias = tuple[bytes, Options]
Read: TypeAlias = "tuple[DiscreteNetwork, SpikingImport | ReluImport | OutputRounding | None]"


@dataclass(frozen=True)
class Exported:
    """A file that was written: its format, its bytes, and what else the format tells of it."""

    path: str
    format: str
    bytes: int
    details: dict[str, Any] = field(default_factory=dict)


def export(network: DiscreteNetwork | Program, path: str | Path, format: str | None = None, **options: Any) -> Exported:
    """Write ``network``, or what a program computes, to ``path`` in the format of that name, or of the path's suffix.

    ``options`` are the format's own: of NIR ``reader``, the package that is to load it (snntorch, norse, sinabs); of C
    ``name``, ``packing``, ``features`` and ``compiler``. Raises InputError that names the first layer the format has no
    words for, and for formats and options that cannot be used; nothing is written then. FileFormatError for a path that
    cannot be written to.
    """
    name = _named(path, format, FORMATS)
    check_writable(path)
    about: Options = {}
    if isinstance(network, Program):
        about = {"chip": network.chip.name, "cores": network.cores_used}
        network = network_of_program(network)
    data, details = FORMATS[name][1](network, about, options)
    write_atomically(path, data)
    return Exported(str(path), name, len(data), details)


def import_network(path: str | Path, format: str | None = None, **options: Any) -> DiscreteNetwork:
    """Return the network in the file ``path`` of another tool; its ``format`` is named, or told by the suffix.

    ``options`` are the format's own:

    steps             time steps of a sample, of NIR and NetX
    source            NIR graphs with spiking neurons in floating point: who wrote it (snntorch, norse, sinabs,
                      rockpool, spikingjelly, spyx, nengo, lava-dl, paper); ``dt`` (seconds of a step), ``reset`` (zero,
                      subtract, zero-late, subtract-late), ``spikes`` (one or several a step; a number: several, with
                      so many neurons for one), ``bits`` (of a weight, 2 to 12)
    inputs            ONNX: "binary" or "bipolar" where the graph does not binarise them; ``scale``: what features are
                      divided by before they enter the graph
    data              the Dataset on whose training samples scales are found, of ONNX with weights in floating point or
                      8-bit activations, and that ``repair`` is done on: seconds for CoNNTrA to move the integer weights
                      until the network does as well again; ``bits`` of a weight; ``seed``. Samples without classes
                      (``datasets.Unlabelled``) serve, too: what the float network says of them stands in;
                      ``targets``: what repair aims at, "labels", "float" (what the float network says, where
                      there are no labels to trust), or "both", half of each, without
    neuron            ONNX in floating point: "relu" (graded) or "ifT", integrate-and-fire over T steps; of activations
                      of a few bits: "threshold", as many neurons as there are steps, or "multithreshold", one that
                      sends graded spikes (``MultiThreshold``)
    semantics, drive  NetX: see ``exchange.lava_dl.reader.read_lava_dl``

    Raises FileFormatError where the file is
    missing or damaged, InputError where it holds what a network here has no words for, and for formats and options that
    are not known.
    """
    return import_with_report(path, format, **options)[0]


def import_with_report(
    path: str | Path, format: str | None = None, *, assumed: list[str] | None = None, **options: Any
) -> tuple[DiscreteNetwork, SpikingImport | ReluImport | OutputRounding | None]:
    """Return ``import_network``'s network and, where values were rounded, by what; None where all of it is exact.

    ``options`` and errors are those of ``import_network``; with a list ``assumed``, steps and source that neither the
    file nor the options say are assumed, not refused, and the list gets a line for each.
    """
    return READERS[_named(path, format, READERS)][1](path, options, assumed)


def _named(path: str | Path, format: str | None, known: dict[str, tuple[tuple[str, ...], Any]]) -> str:
    if format is not None:
        if format not in known:
            raise InputError(f"format {format!r}: unknown{did_you_mean(format, known)}; allowed: {', '.join(known)}")
        return format
    suffix = Path(path).suffix.lower()
    for name, (suffixes, _) in known.items():
        if suffix in suffixes:
            return name
    listed = ", ".join(f"{name} ({', '.join(suffixes)})" for name, (suffixes, _) in known.items())
    raise InputError(f"{path}: its suffix {suffix!r} names no format; there are {listed}: give --format")


def _no_options(options: Options, allowed: tuple[str, ...], name: str) -> None:
    strays = sorted({key for key, value in options.items() if value is not None} - {*allowed})
    if strays:
        listed = ", ".join(allowed) or "none"
        raise InputError(f"format {name}: option {strays[0]!r} is not one of its own; allowed: {listed}")


def _needs(extra: str, *packages: str) -> None:
    """Raise InputError where an optional package is missing."""
    for package in packages:
        if find_spec(package) is None:
            raise InputError(f"{package}: not installed; pip install 'conntra-neuro[{extra}]'")


def _write_nir(network: DiscreteNetwork, about: Options, options: Options) -> Written:
    _no_options(options, ("reader",), "nir")
    _needs("nir", "nir", "h5py")
    from conntra_neuro.exchange.nir.dialects import dialect
    from conntra_neuro.exchange.nir.writer import nir_bytes

    how, network = dialect(options.get("reader")), single_thresholds(network)
    return nir_bytes(network, about, how), how.to_set(network)


def _write_netx(network: DiscreteNetwork, about: Options, options: Options) -> Written:
    _no_options(options, (), "netx")
    refuse_other_outputs(network, "export to netx")
    _needs("nir", "h5py")
    from conntra_neuro.exchange.netx import netx_bytes

    return netx_bytes(single_thresholds(network), about), {}


def _write_onnx(network: DiscreteNetwork, about: Options, options: Options) -> Written:
    _no_options(options, (), "onnx")
    refuse_ways_through_time(network, "export to onnx")
    _needs("onnx", "onnx")
    from conntra_neuro.exchange.onnx.writer import onnx_bytes

    return onnx_bytes(network, about), {}


def _write_c(network: DiscreteNetwork, about: Options, options: Options) -> Written:
    _no_options(options, ("name", "packing", "features", "compiler"), "c")
    from conntra_neuro.exchange.c.measure import measure
    from conntra_neuro.exchange.c.writer import c_header, details

    chosen = {key: value for key, value in options.items() if value is not None and key != "compiler"}
    header = c_header(network, **chosen)
    found = details(header)
    if options.get("compiler"):
        found |= measure(header.text, chosen.get("name", "net"), options["compiler"])
    return header.text.encode(), found


def _read_nir(path: str | Path, options: Options, assumed: list[str] | None) -> Read:
    own = ("source", "dt", "reset", "bits", "spikes")
    _no_options(options, ("steps", *own, "data", "repair", "seed", "targets"), "nir")
    _needs("nir", "nir", "h5py")
    from conntra_neuro.exchange.nir.reader import read_nir_with_report

    chosen = {name: options[name] for name in (*own, "seed") if options.get(name) is not None}
    if options.get("data") is not None:
        chosen["data"] = options["data"].x_train
    network, found = read_nir_with_report(path, options.get("steps"), assumed, **chosen)
    if options.get("repair") is None:
        return network, found
    return _repaired(network, found, options)


def _repaired(network: DiscreteNetwork, found: SpikingImport | None, options: Options) -> Read:
    """Return a network that was rounded, repaired on data."""
    from conntra_neuro.training.repair.network import repair_network

    data = options.get("data")
    if found is None:
        raise InputError(f"repair: {_EXACT}")
    if data is None:
        raise InputError("repair: give --data DATA, spikes over time (n, T, ...), with their classes or without")
    aim = _targets(options)
    if isinstance(data, Unlabelled):
        data = data.told(lambda x: found.float_logits(x).argmax(axis=1), network.n_classes)
    seed, y, wanted = options.get("seed") or 0, data.y_train, None
    if aim != "labels":
        wanted = found.probabilities(data.x_train, y if aim == "both" else None)
        y = wanted.argmax(axis=1) if aim == "float" else y
        wanted = wanted if aim == "float" else (wanted + np.eye(wanted.shape[1])[y]) / 2
    budget = seconds(options["repair"], "repair")
    after, how = repair_network(network, data.x_train, y, seed, wanted=wanted, seconds=budget)
    return after, replace(found, network=after, before=network, repair=how)


TARGETS = ("both", "labels", "float")
"""What repair aims at: the classes of the data, what the float network says of the samples, or half of each."""


def _targets(options: Options) -> str:
    bare = isinstance(options.get("data"), Unlabelled)
    found = options.get("targets") or ("float" if bare else TARGETS[0])
    if found not in TARGETS:
        raise InputError(f"targets {found!r}: unknown{did_you_mean(found, TARGETS)}; allowed: {', '.join(TARGETS)}")
    if bare and found != "float":
        raise InputError(f"targets {found!r}: {options['data'].name} has no y_train; float expected, or data with it")
    return found


_EXACT = (
    "the network came in exactly, and there is nothing to repair; conntra train DATA --from MODEL trains it further"
)


_FEW_BITS = ("threshold", "multithreshold")


def _read_onnx(path: str | Path, options: Options, assumed: list[str] | None) -> Read:
    _no_options(options, ("inputs", "scale", "data", "bits", "neuron", "repair", "seed", "targets"), "onnx")
    _needs("onnx", "onnx")
    from conntra_neuro.exchange.onnx.graph import reading
    from conntra_neuro.exchange.onnx.reader import exact_or_graph
    from conntra_neuro.exchange.onnx.readout import OutputRounding

    given, neuron = options.get("scale"), options.get("neuron")
    counted = neuron == "multithreshold"
    exact, refusal = exact_or_graph(path, options.get("inputs") or "binary", 1.0 if given is None else given, counted)
    if isinstance(exact, (DiscreteNetwork, OutputRounding)):
        if neuron not in (None, "relu", *_FEW_BITS) and not re.fullmatch(r"if\d{1,4}", str(neuron)):
            raise InputError(
                f"neuron {neuron!r}: unknown; {' or '.join(_FEW_BITS)} expected for activations of few bits"
            )
        if options.get("repair") is not None:
            raise InputError(f"repair: {_EXACT}")
        return (exact, None) if isinstance(exact, DiscreteNetwork) else (exact.network, exact)
    from conntra_neuro.exchange.relu.importing import import_relu

    chosen = {name: options[name] for name in ("bits", "neuron", "repair", "seed") if options.get(name) is not None}
    chosen["aim"] = _targets(options)
    with reading(path):
        if options.get("data") is None:
            raise InputError(f"{refusal}; or give --data DATA, on whose training samples it is rounded to integers")
        found = import_relu(path, exact, options["data"], given, assumed=assumed, **chosen)
    return found.network, found


def _read_lava_dl(path: str | Path, options: Options, assumed: list[str] | None) -> Read:
    own = ("steps", "semantics", "drive", "frames")
    _no_options(options, own, "netx")
    _needs("nir", "h5py")
    from conntra_neuro.exchange.lava_dl.reader import read_lava_dl

    return read_lava_dl(path, **{name: options.get(name) for name in own}, assumed=assumed), None


Writer: TypeAlias = Callable[[DiscreteNetwork, Options, Options], Written]
Reader: TypeAlias = Callable[[str | Path, Options, list[str] | None], Read]

FORMATS: dict[str, tuple[tuple[str, ...], Writer]] = {
    "nir": ((".nir",), _write_nir),
    "netx": ((".net",), _write_netx),
    "onnx": ((".onnx",), _write_onnx),
    "c": ((".h",), _write_c),
}
"""What can be written: the suffixes of each format, and its writer."""

READERS: dict[str, tuple[tuple[str, ...], Reader]] = {
    "nir": ((".nir",), _read_nir),
    "onnx": ((".onnx",), _read_onnx),
    "netx": ((".net",), _read_lava_dl),
}
"""What can be read."""
