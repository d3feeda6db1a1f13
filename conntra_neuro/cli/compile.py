"""``conntra compile``: from a model file to a program file for a chip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conntra_neuro.cli.check import refusal
from conntra_neuro.cli.options import ChipOption, Debug, Json, ModelArgument, Quiet, Seed, example
from conntra_neuro.cli.progress import step
from conntra_neuro.cli.verb_result import Outcome

__all__ = ["compile_"]


def compile_(
    model: ModelArgument,
    chip: ChipOption = "loihi1",
    out: Annotated[
        Path | None, typer.Option(metavar="PROGRAM", help="The file to write.", show_default="MODEL.CHIP.conntra")
    ] = None,
    cores: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Spread the network over about N cores: shorter steps, more packets.", show_default="few"
        ),
    ] = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Outcome:
    """Compile a model for a chip and write a program file; exit status 1 if it does not fit."""
    from conntra_hardware.base.errors import DoesNotFit
    from conntra_hardware.base.files import check_writable
    from conntra_hardware.fit.resources import core_usage
    from conntra_neuro.compiler import compile
    from conntra_neuro.network.storage import load_info, load_network, save
    from conntra_neuro.report.documents import compile_document
    from conntra_neuro.report.tables import cores_table

    if out is not None:
        check_writable(out)
    network = load_network(model)
    try:
        with step(f"compiling {model} for {chip}", quiet):
            program = compile(network, chip, cores=cores)
    except DoesNotFit as error:
        return refusal(error, str(model))
    path = out or model.with_name(f"{model.stem}.{program.chip.name}.conntra")
    save(program, path, info=load_info(model) | {"model": str(model)})
    document = compile_document(program, str(path))
    return Outcome(document, (cores_table(program, core_usage(program), str(path)),))


compile_.__doc__ = f"{compile_.__doc__}\n\n" + example("conntra compile digits.conntra --chip loihi1")
