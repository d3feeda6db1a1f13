"""What a file is that this package wrote: its kind, shapes, where it comes from, and what to do with it next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from conntra_hardware.base.errors import MALFORMED, FileFormatError, in_short
from conntra_hardware.base.files import Container, read_container
from conntra_neuro.report.tables import facts
from conntra_neuro.report.units import bytes_, count, percent, right_of, seconds, squared

__all__ = ["Shown", "show_file"]

_OTHERS = (".onnx", ".nir", ".net")
_WRITTEN = (
    "models, programs and checkpoints (safetensors), results and certificates (JSON), reports (HTML) and run files "
    "(TOML) can be shown"
)
_LARGEST_HEAD = 4096
_RECORDINGS = ("recorded", "explorer", "traces", "confusion", "mesh")


@dataclass(frozen=True)
class Shown:
    """A file: its ``kind``, facts as JSON values, the tables that people see, and the commands that come next."""

    kind: str
    document: Mapping[str, Any]
    views: tuple[RenderableType, ...]
    next: tuple[str, ...]


def show_file(path: Path) -> Shown:
    """Return what the file at ``path`` is, or the checkpoint in the folder ``path``.

    FileFormatError where it is missing, damaged, or nothing that this package writes.
    """
    if path.is_dir():
        if not (path / "checkpoint.conntra").is_file():
            raise FileFormatError(f"{path}: a folder without a checkpoint; name a file: {_WRITTEN}")
        return _container(path / "checkpoint.conntra")
    try:
        with open(path, "rb") as file:
            head = file.read(_LARGEST_HEAD)
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror}); check the name") from None
    start = head.lstrip()[:15].lower()
    if path.suffix.lower() in _OTHERS:
        raise FileFormatError(f"{path}: a file of other tools; turn it into a model with `conntra import {path}`")
    if head[8:9] == b"{":
        return _container(path)
    if start.startswith(b"{"):
        return _result(path)
    if start.startswith(b"<!doctype html") and b"conntra" in head:
        size = path.stat().st_size
        rows = [("kind", "report, one self-contained HTML file"), ("size", bytes_(size))]
        return Shown("report", {"bytes": size}, (facts(str(path), rows),), ("open it in a browser",))
    if path.suffix.lower() == ".toml":
        return _run_file(path)
    raise FileFormatError(f"{path}: nothing that conntra writes; {_WRITTEN}")


def _container(path: Path) -> Shown:
    container = read_container(path)
    if container.kind == "checkpoint":
        return _checkpoint(path, container)
    if container.kind not in ("model", "program"):
        raise FileFormatError(f"{path}: a {container.kind} file; {_WRITTEN}")
    from conntra_neuro.network.storage import load
    from conntra_neuro.report.summary import view

    value: Any = load(path)
    info = dict(container.body.get("info", {}))
    document = _file(container) | {"provenance": info}
    if container.kind == "model":
        document |= {"layers": [str(layer) for layer in value.layers], "inputs": value.n_in, "steps": value.steps}
        document |= {"classes": value.n_classes, "parameters": value.n_parameters}
        answers = f"{count(value.n_classes)} classes" if value.value is None else "a value"
        shape = f"{count(value.n_in)} inputs, {answers}, {count(value.steps)} time step(s)"
        following = (f"conntra check {path} --chip auto", f"conntra compile {path} --chip loihi1")
    else:
        document |= {"chip": value.chip.name, "cores_used": value.cores_used, "inputs": value.n_inputs}
        document |= {"populations": [{"name": p.name, "size": p.size} for p in value.populations]}
        chain = " -> ".join(f"{p.name} {count(p.size)}" for p in value.populations)
        shape = f"{count(value.n_inputs)} inputs -> {chain}"
        data = "" if info.get("data") else " --data DATA"
        following = (f"conntra run {path}{data}", f"conntra verify {path}{data} --samples 100")
    rows = [("kind", f"{container.kind}, format {document['format']}"), *_size(container), ("shape", shape)]
    rows += _provenance(info)
    return Shown(container.kind, document, (facts(str(path), rows), view(value)), following)


def _checkpoint(path: Path, container: Container) -> Shown:
    body = container.body
    try:
        settings, sweep, spent = dict(body["settings"]), int(body["sweep"]), float(body["seconds"])
        best = float(body["best_error"])
    except (KeyError, TypeError, ValueError):
        raise FileFormatError(f"{path}: a checkpoint with parts missing; start the training anew") from None
    options = {name: value for name, value in settings.pop("options", {}).items() if value is not None}
    rows = [
        ("kind", "checkpoint of a training"),
        *_size(container),
        ("stands at", f"sweep {count(sweep)} of {settings.get('sweeps', '?')}, after {seconds(spent)}"),
        ("best so far", f"error {percent(best)} on what decides"),
        *((name.replace("_", " "), _words(value)) for name, value in settings.items() if name != "sweeps"),
        ("options", ", ".join(f"{name} {value}" for name, value in options.items())),
        ("arrays", ", ".join(f"{name} {_shape(array)}" for name, array in sorted(container.tensors.items()))),
    ]
    document = _file(container) | {"sweep": sweep, "seconds": spent, "best_error": best}
    document |= {"settings": settings | {"options": options}}
    document |= {"arrays": {name: list(array.shape) for name, array in container.tensors.items()}}
    following = (f"conntra train DATA --resume {path.parent}, with the DATA and options that it was begun with",)
    return Shown("checkpoint", document, (facts(str(path), rows),), following)


def _result(path: Path) -> Shown:
    from conntra_neuro.report.result_file import read_result

    document = read_result(path)
    try:
        return _of_document(path, document)
    except MALFORMED as error:
        said = in_short(" ".join(str(error).split()), 60)
        raise FileFormatError(f"{path}: parts missing, or of another type ({said}); {_WRITTEN}") from None


def _of_document(path: Path, document: Mapping[str, Any]) -> Shown:
    from conntra_neuro.report.certificate import certificate_view, fuzz_view
    from conntra_neuro.report.result_file import kind_of

    kind = kind_of(document)
    if kind == "run":
        rows = [
            ("kind", "result of `conntra run`"),
            ("program", f"{document.get('program', '-')}, for {document['chip']}"),
            ("data", f"{document.get('data', '-')}, {count(document['samples'])} samples"),
            ("backend", f"{document['backend']}, {seconds(document['run_seconds'])}"),
            right_of(document),
            ("counts", ", ".join(f"{name} {count(n)}" for name, n in document["counts"].items())),
            ("energy", ", ".join(f"{e['coefficients']} {_energy(e)}" for e in document["energy"])),
            ("versions", _words(document.get("versions", {}))),
        ]
        view, following = facts(str(path), rows), (f"conntra report {path}",)
    elif kind == "certificate":
        view = facts(str(path), [("kind", "certificate of `conntra verify`")])
        following = (f"conntra verify PROGRAM --certificate {path}", f"conntra report {path}")
        return Shown(kind, _without_recordings(document), (view, certificate_view(document)), following)
    else:
        return Shown(kind, document, (fuzz_view(document),), (f"conntra report {path}",))
    return Shown(kind, _without_recordings(document), (view,), following)


def _run_file(path: Path) -> Shown:
    from conntra_hardware.base.citation import read_toml

    settings = read_toml(path, str(path))
    if "data" not in settings:
        raise FileFormatError(f"{path}: TOML without `data`, so no run file; {_WRITTEN}")
    rows = [("kind", "run file"), *((name, _words(value)) for name, value in settings.items())]
    return Shown("run file", {"settings": settings}, (facts(str(path), rows),), (f"conntra train --config {path}",))


def _file(container: Container) -> dict[str, Any]:
    return {"bytes": container.size, "sha256": container.sha256, "format": container.format}


def _size(container: Container) -> list[tuple[str, str]]:
    return [("size", f"{bytes_(container.size)}, sha256 {container.sha256[:16]}, sound")]


def _provenance(info: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return where a model comes from as rows; what is another file's or is shown elsewhere is left out."""
    rows = []
    for name, value in info.items():
        if value is None or name == "run" or isinstance(value, (dict, list)):
            continue
        if name.endswith("_error"):
            values = info.get("target") == "value" and not name.startswith("validation")
            rows.append((name.replace("_", " "), squared(value) if values else percent(value)))
        elif name.endswith("_seconds"):
            rows.append((name.replace("_", " ").replace(" seconds", " time"), seconds(value)))
        elif value is not False:
            rows.append((name.replace("_", " "), str(value)))
    return rows or [("provenance", "not in the file")]


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _shape(array: Any) -> str:
    return "x".join(map(str, array.shape)) or "1"


def _energy(entry: Mapping[str, Any]) -> str:
    from conntra_neuro.report.units import si

    return f"{si(entry['per_inference_j'], 'J')} a sample (modelled)"


def _without_recordings(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in _RECORDINGS}
