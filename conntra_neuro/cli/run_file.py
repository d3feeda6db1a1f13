"""Run files: all that ``conntra train`` was asked for, as one TOML file, so that an experiment is a file.

The keys are the names of the options, and ``data``. What stands on the command line goes before what the file says.
Every model keeps its own: ``conntra show MODEL --run-file FILE`` writes it out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from conntra_hardware.base.citation import read_toml
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.suggest import did_you_mean

__all__ = ["Config", "read_run_file", "run_file"]

_PARAMETERS = {
    "data": "data",
    "layers": "layers",
    "neuron": "neuron",
    "steps": "steps",
    "levels": "levels",
    "method": "method",
    "gear": "gear",
    "encoder": "encoder",
    "from": "initial",
    "seed": "seed",
    "time-limit": "time_limit",
    "sweeps": "sweeps",
    "shift": "shift",
    "elastic": "elastic",
    "option": "option",
    "penalty": "penalty",
    "checkpoint": "checkpoint",
    "resume": "resume",
    "cluster": "cluster",
    "out": "out",
}


def read_run_file(path: Path) -> dict[str, str | list[str]]:
    """Return the parameters of ``train`` that a run file gives, as they would stand on the command line.

    InputError for a key that is no option, or a value that is no number, text or list of these; FileFormatError where
    the file is missing or not TOML.
    """
    found: dict[str, str | list[str]] = {}
    for key, value in read_toml(path, str(path)).items():
        name = key.replace("_", "-")
        if name not in _PARAMETERS:
            meant = did_you_mean(name, _PARAMETERS)
            raise InputError(f"{path}: {key}: unknown{meant}; allowed: {', '.join(_PARAMETERS)}")
        if name == "option":
            found[name] = _pairs(value, path)
        elif name in ("layers", "levels") and isinstance(value, list):
            found[_PARAMETERS[name]] = ",".join(_word(part, f"{path}: {key}") for part in value)
        else:
            found[_PARAMETERS[name]] = _word(value, f"{path}: {key}")
    return found


def run_file(settings: Mapping[str, Any], version: str) -> str:
    """Return ``settings``, parameters of ``train`` by name, as a run file; None and empty ones are left out."""
    options = {key: settings[parameter] for key, parameter in _PARAMETERS.items() if settings.get(parameter)}
    options |= {"seed": settings["seed"]} if "seed" in settings else {}
    pairs = options.pop("option", None) or []
    lines = [f"# conntra-neuro {version}: conntra train --config THIS_FILE"]
    lines += [f"{key} = {_toml(value)}" for key, value in options.items()]
    if pairs:
        lines += ["", "[option]", *(f"{name.strip()} = {value.strip()}" for name, value in _split(pairs))]
    return "\n".join(lines) + "\n"


def _configure(context: typer.Context, path: Path | None) -> Path | None:
    """Have the run file's values stand in for options that are not given."""
    if path is not None:
        context.default_map = {**(context.default_map or {}), **read_run_file(path)}
    return path


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="TOML",
        is_eager=True,
        callback=_configure,
        help="A run file: DATA and options by name; the command line goes before it.",
    ),
]


def _pairs(value: Any, path: Path) -> list[str]:
    if not isinstance(value, dict):
        raise InputError(f"{path}: option: a table of numbers expected, as [option] and a line sparsity = 0.02")
    return [f"{name}={_word(number, f'{path}: option.{name}')}" for name, number in value.items()]


def _word(value: Any, what: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InputError(f"{what}: {value!r}; a text or a number expected")
    return str(value)


def _split(pairs: list[str]) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (pair.partition("=") for pair in pairs)]


def _toml(value: Any) -> str:
    # JSON's strings are TOML's but for one character, which JSON leaves as it is.
    return str(value) if isinstance(value, (int, float)) else json.dumps(str(value)).replace("\x7f", "\\u007f")
