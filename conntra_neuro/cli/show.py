"""``conntra show``: what a file is, its shapes, where it comes from, and the next command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conntra_hardware.base.errors import InputError
from conntra_neuro.cli.options import Debug, Json, Quiet, Seed, example
from conntra_neuro.cli.progress import say
from conntra_neuro.cli.verb_result import Outcome

__all__ = ["show"]


def show(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            show_default=False,
            help="A model, program, checkpoint (or its folder), result, certificate, report or run file.",
        ),
    ],
    run_file: Annotated[
        Path | None,
        typer.Option(
            metavar="TOML", help="Write how the model was trained to this file, for `conntra train --config`."
        ),
    ] = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Outcome:
    """Show what a file is: its kind and shapes, where it comes from, whether it is intact, and the next command."""
    from rich.text import Text

    from conntra_neuro.report.shown import show_file

    found = show_file(file)
    document = {"file": str(file), "kind": found.kind, **found.document, "next": list(found.next)}
    if run_file is not None:
        _write_run(document, file, run_file)
        document["run_file"] = str(run_file)
        say(f"run file in {run_file}; next: conntra train --config {run_file}", quiet)
    return Outcome(document, (*found.views, Text("next: " + "\n      ".join(found.next))))


show.__doc__ = f"{show.__doc__}\n\n" + example(
    "conntra show digits.conntra", "conntra show digits.conntra --run-file again.toml"
)


def _write_run(document: dict, file: Path, target: Path) -> None:
    from conntra_hardware.base.files import write_atomically
    from conntra_neuro.cli.run_file import run_file

    provenance = document.get("provenance", {})
    if not provenance.get("run"):
        raise InputError(f"{file}: does not hold how it was trained; the models of `conntra train` do")
    if any("\ud800" <= c <= "\udfff" for value in provenance["run"].values() for c in str(value)):
        raise InputError(f"{file}: names data whose path is not in UTF-8, as run files are; rename it and train again")
    write_atomically(target, run_file(provenance["run"], provenance.get("conntra_neuro", "unknown")).encode())
