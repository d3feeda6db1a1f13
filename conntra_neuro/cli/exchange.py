"""``conntra export`` and ``conntra import``: networks to and from the formats of other tools."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from conntra_neuro.cli.options import Debug, Json, Quiet, Seed, example
from conntra_neuro.cli.progress import step
from conntra_neuro.cli.verb_result import Outcome

__all__ = ["export", "import_"]

_AGREEMENT = 1_000  # samples whose spikes are compared layer by layer


def export(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", show_default=False, help="A model of `conntra train`, or a program of `conntra compile`."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", show_default=False, help="The file to write.")],
    format: Annotated[
        str | None, typer.Option(help="nir, netx, onnx or c.", show_default="the suffix of --out")
    ] = None,
    reader: Annotated[
        str | None,
        typer.Option(
            metavar="PACKAGE",
            help="NIR: the package that will load it: snntorch, norse or sinabs; the table shows its settings.",
            show_default="NIR's own words",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="C: the prefix of all names.", show_default="the stem of --out")
    ] = None,
    packing: Annotated[
        str | None,
        typer.Option(help="C: bits (fast), or digits (smaller: five ternary weights in a byte).", show_default="bits"),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            help="C: raw features: double, float, uint8, int16 or int32.", show_default="double, of signals int16"
        ),
    ] = None,
    compiler: Annotated[
        str | None,
        typer.Option("--cc", metavar="COMPILER", help="C: compile it with this compiler and count flash and RAM."),
    ] = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Outcome:
    """Write a network in the format of another tool; what the format cannot express is refused by name."""
    from conntra_hardware.base.files import check_writable
    from conntra_neuro.exchange import export as write
    from conntra_neuro.network.storage import load
    from conntra_neuro.report.exchange import export_table

    check_writable(out)
    network = load(file)
    with step(f"exporting {file}", quiet):
        options = {"reader": reader, "packing": packing, "features": features, "compiler": compiler, "name": name}
        if name is None and (format or out.suffix.lower()) in ("c", ".h"):
            options["name"] = c_name(out.stem)
        exported = write(network, out, format, **options)
    document = {"file": str(file), **asdict(exported)}
    return Outcome(document, (export_table(document),))


export.__doc__ = f"{export.__doc__}\n\n" + example(
    "conntra export digits.conntra --format nir --out digits.nir",
    "conntra export digits.conntra --format nir --reader snntorch --out digits.nir",
    "conntra export digits.conntra --format c --features uint8 --cc cc --out digits.h",
)


def c_name(stem: str) -> str:
    """Return a file's name as a prefix of C names: "my-net.2" to my_net_2."""
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in stem).lower()
    return plain if plain[:1].isalpha() else f"net_{plain}"


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="A .nir, .onnx or .net file.")],
    out: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="The model file to write.", show_default="FILE.conntra")
    ] = None,
    format: Annotated[str | None, typer.Option(help="nir, onnx or netx.", show_default="the suffix of FILE")] = None,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="NIR, NetX: time steps of a sample.", show_default="what the file says, or 32"),
    ] = None,
    inputs: Annotated[
        str | None,
        typer.Option(
            help="ONNX: inputs that the graph does not binarise are binary (0, 1) or bipolar (-1, 1).",
            show_default="binary",
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="ONNX: divide features by this number first, such as 255 for a graph with inputs from 0 to 1.",
        ),
    ] = None,
    semantics: Annotated[
        str | None,
        typer.Option(
            help="NetX: whose rules: slayer (training since lava-dl 0.4), slayer-0.3 (before), lava (its loader).",
            show_default="slayer",
        ),
    ] = None,
    drive: Annotated[
        int | None,
        typer.Option(
            metavar="THRESHOLD", help="NetX: add input neurons that sum up features and fire above this threshold."
        ),
    ] = None,
    frames: Annotated[
        bool | None, typer.Option("--frames", help="NetX, SDNN: features are a frame for each step, not one for all.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="PACKAGE",
            help="NIR, spiking: the package that wrote it: snntorch, norse, sinabs, rockpool, spikingjelly, spyx, "
            "nengo, lava-dl or paper.",
            show_default="a guess from gains and time constants",
        ),
    ] = None,
    dt: Annotated[float | None, typer.Option(metavar="SECONDS", help="NIR, spiking: duration of a time step.")] = None,
    reset: Annotated[
        str | None,
        typer.Option(help="NIR, spiking: zero or subtract, or zero-late, subtract-late (a step after the spike)."),
    ] = None,
    spikes: Annotated[
        str | None,
        typer.Option(
            help="NIR, spiking: one a step, or several (as many as the threshold goes into v); 2 to 8: several, "
            "with so many neurons for one where they are sent.",
            show_default="what the source does: sinabs and rockpool several",
        ),
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Floating point: bits of a weight, 2 to 8; NIR, spiking: to 12.", show_default="8"
        ),
    ] = None,
    levels: Annotated[
        str | None, typer.Option(help="Floating point: ternary, weights of -1, 0 and 1 times a scale: as --bits 2.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Compare on its test samples; ONNX: find scales on its training samples; NIR: samples (n, T, ...). An "
            "npz:FILE may lack y_train: what the float network says stands in.",
        ),
    ] = None,
    neuron: Annotated[
        str | None,
        typer.Option(
            help="ONNX, floating point: relu (graded, Loihi 2) or ifT (integrate-and-fire over T steps, as if32); of a "
            "few bits: multithreshold (one neuron of graded spikes for each) or threshold (as many neurons as steps).",
            show_default="relu, threshold",
        ),
    ] = None,
    repair: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="Floating point: adjust the integers on DATA to regain what rounding lost."
        ),
    ] = None,
    targets: Annotated[
        str | None,
        typer.Option(
            help="Of repair: labels, the classes of DATA; float, what the float network says of its samples; or both.",
            show_default="both; float of DATA without classes",
        ),
    ] = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Outcome:
    """Read a network from another tool and write a model file.

    What neither the file nor an option says (time steps, conventions) is assumed, and the table lists it.
    Integers come in exactly; networks in floating point (NIR of spiking neurons, ONNX of ReLU) are rounded to the
    chip's integers, and the table reports what was lost. What has no counterpart is refused in one line that names it.
    """
    from conntra_hardware.base.files import check_writable
    from conntra_neuro.datasets import Dataset, load_dataset, unlabelled
    from conntra_neuro.datasets.dataset import refuse_values
    from conntra_neuro.exchange.files import import_with_report
    from conntra_neuro.network.storage import save
    from conntra_neuro.report.exchange import import_table

    path = out or file.with_suffix(".conntra")
    check_writable(path)
    with step(f"importing {file}", quiet):
        options: dict[str, Any] = {
            "steps": steps,
            "inputs": inputs,
            "scale": scale,
            "semantics": semantics,
            "drive": drive,
            "frames": frames,
        }
        options |= {
            "source": source,
            "dt": dt,
            "reset": reset,
            "spikes": spikes,
            "bits": _bits(bits, levels),
            "neuron": neuron,
            "targets": targets,
            "repair": repair,
        }
        dataset = None if data is None else unlabelled(data, seed=seed) or load_dataset(data, seed=seed)
        if isinstance(dataset, Dataset):
            refuse_values(dataset, "import")
        if dataset is not None and (format or file.suffix.lower()) in ("onnx", ".onnx", "nir", ".nir"):
            options |= {"data": dataset, "seed": seed}
        assumed: list[str] = []
        network, rounded = import_with_report(file, format, assumed=assumed, **options)
        compared = _compared(network, rounded, dataset)
    size = save(network, path, info={"imported_from": file.name})
    document: dict[str, Any] = {
        "model": str(path),
        "file": str(file),
        "exact": rounded is None,
        "assumed": assumed,
        "layers": [repr(layer) for layer in network.layers],
        "scale": getattr(rounded, "scale", scale),
        "rounded": [] if rounded is None else [note.to_dict() for note in rounded.rounded],
        **compared,
        "inputs": network.n_in,
        "classes": network.n_classes,
        "parameters": network.n_parameters,
        "steps": network.steps,
        "encoder": None if network.encoder is None else network.encoder.kind,
        "bytes": size,
    }
    return Outcome(document, (import_table(document),))


def _bits(bits: int | None, levels: str | None) -> int | None:
    """Return the bits of a weight that ``bits`` or the word ``levels`` mean; InputError for both, and other words."""
    from conntra_hardware.base.errors import InputError

    if levels is None:
        return bits
    if levels != "ternary" or bits not in (None, 2):
        raise InputError(f"--levels {levels!r}: ternary allowed, without --bits; else --bits 2 to 8 (NIR, spiking: 12)")
    return 2


def _compared(network: Any, rounded: Any, dataset: Any) -> dict[str, Any]:
    """Return how the integer network does on the test samples of ``dataset``, and beside its float simulation."""
    from conntra_neuro.datasets import Unlabelled

    if dataset is None or not len(dataset.x_test):
        return {}
    if isinstance(dataset, Unlabelled):
        if not hasattr(rounded, "float_logits"):
            return {}
        told = dataset.told(lambda x: rounded.float_logits(x).argmax(axis=1), network.n_classes)
        found = _compared(network, rounded, told)
        del found["float_accuracy"]  # its own classes: all are right
        names = {"accuracy": "same_class", "accuracy_before_repair": "same_class_before_repair"}
        return {names.get(name, name): value for name, value in found.items()}
    if hasattr(rounded, "compared"):
        return rounded.compared(dataset)
    found: dict[str, Any] = {"accuracy": 1 - network.error(dataset.x_test, dataset.y_test)}
    if rounded is not None and rounded.repair is not None:
        before = 1 - rounded.before.error(dataset.x_test, dataset.y_test)
        found |= {"accuracy_before_repair": before, "repair": rounded.repair.to_dict()}
    if rounded is not None and hasattr(rounded, "simulate"):
        logits = rounded.float_logits(dataset.x_test)
        found["float_accuracy"] = float((logits.argmax(axis=1) == dataset.y_test).mean())
        found["agreement"] = [asdict(layer) for layer in rounded.agreement(dataset.x_test[:_AGREEMENT])]
    return found


import_.__doc__ = f"{import_.__doc__}\n\n" + example(
    "conntra import graph.nir --out graph.conntra",
    "conntra import binary_net.onnx --out binary_net.conntra",
    "conntra import keras_cnn.onnx --scale 255 --data mnist:mnist.npz --out keras_cnn.conntra",
    "conntra import pilotnet.net --steps 16 --out pilotnet.conntra",
)
