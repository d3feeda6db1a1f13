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

__all__ = ["Config", "read_run_file", "run_file", "settings_of_run"]

_NOT_IN_FILES = ("config", "json", "quiet", "debug", "help")
_WHERE_AND_NOT_WHAT = ("out", "checkpoint", "resume", "cluster")


def read_run_file(path: Path, flags: Mapping[str, bool]) -> dict[str, Any]:
    """Return the parameters of ``train`` that a run file gives, as they would stand on the command line.

    ``flags`` are the parameters that a file may hold, and whether each is a flag. InputError for a key that is no
    option, or a value that is no number, text or list of these; FileFormatError where the file is missing or not TOML.
    """
    keys = {_key(parameter): parameter for parameter in flags}
    found: dict[str, Any] = {}
    for key, value in read_toml(path, str(path)).items():
        name, what = key.replace("_", "-"), f"{path}: {key}"
        if name not in keys:
            raise InputError(f"{what}: unknown{did_you_mean(name, keys)}; allowed: {', '.join(keys)}")
        if name == "option":
            found[name] = _pairs(value, path)
        elif flags[keys[name]]:
            if not isinstance(value, bool):
                raise InputError(f"{what}: {value!r}; true or false expected")
            found[keys[name]] = value
        elif name in ("layers", "levels") and isinstance(value, list):
            found[keys[name]] = ",".join(_word(part, what) for part in value)
        else:
            found[keys[name]] = _word(value, what)
    return found


def settings_of_run(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of ``train`` that say what was trained, as JSON values; those without a value are left out.

    Where files are kept, and on which machines it runs, does not change the network.
    """
    kept = {name: value for name, value in asked.items() if name not in (*_NOT_IN_FILES, *_WHERE_AND_NOT_WHAT)}
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in kept.items()}
    return {name: value for name, value in plain.items() if value or name == "seed"}


def run_file(settings: Mapping[str, Any], version: str) -> str:
    """Return ``settings_of_run``'s settings as a run file."""
    options = {_key(parameter): value for parameter, value in settings.items()}
    pairs = options.pop("option", [])
    lines = [f"# conntra-neuro {version}: conntra train --config THIS_FILE"]
    lines += [f"{key} = {_toml(value)}" for key, value in options.items()]
    if pairs:
        lines += ["", "[option]", *(f"{name.strip()} = {value.strip()}" for name, value in _split(pairs))]
    return "\n".join(lines) + "\n"


def _key(parameter: str) -> str:
    """Return the name of an option without its dashes: "from" of ``initial``, a word that Python keeps for itself."""
    return "from" if parameter == "initial" else parameter.replace("_", "-")


def _configure(context: typer.Context, path: Path | None) -> Path | None:
    """Have the run file's values stand in for options that are not given."""
    if path is not None:
        flags = {
            str(parameter.name): bool(getattr(parameter, "is_flag", False))
            for parameter in context.command.params
            if parameter.name not in _NOT_IN_FILES
        }
        context.default_map = {**(context.default_map or {}), **read_run_file(path, flags)}
    return path


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="TOML",
        is_eager=True,
        callback=_configure,
        help="A run file with DATA and options; the command line takes precedence.",
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
    if isinstance(value, bool):
        return str(value).lower()
    # JSON's strings are TOML's but for one character, which JSON leaves as it is.
    return str(value) if isinstance(value, (int, float)) else json.dumps(str(value)).replace("\x7f", "\\u007f")
