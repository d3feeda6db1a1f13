"""``conntra verify``: do all simulators agree, spike for spike and potential for potential."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conntra_neuro.cli.options import (
    DataOption,
    Debug,
    Json,
    ProgramArgument,
    Quiet,
    RunSeed,
    Samples,
    Split,
    TimeLimit,
    data_of_program,
    example,
    select,
)
from conntra_neuro.cli.outcome import DONE, NO, Outcome, to_json
from conntra_neuro.cli.progress import step

__all__ = ["verify"]


def verify(
    program: ProgramArgument,
    data: DataOption = None,
    split: Split = "test",
    samples: Samples = None,
    backends: Annotated[
        str, typer.Option(help="Two or more of reference, lava, lava-stock, brian2, sanafe; the first is right.")
    ] = "reference,lava,brian2",
    time_limit: TimeLimit = 600.0,
    seed: RunSeed = None,
    out: Annotated[Path | None, typer.Option(metavar="CERTIFICATE", help="Write the JSON there, too.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Outcome:
    """Run a program on several simulators and compare every spike and every readout potential.

    Exit status 1 where they differ; the first divergence is shown.
    """
    from conntra_hardware.files import check_writable, write_atomically
    from conntra_hardware.program_file import load_program
    from conntra_neuro.report.tables import certificate_view
    from conntra_neuro.storage import load_info

    if out is not None:
        check_writable(out)
    loaded = load_program(program)
    dataset = data_of_program(loaded, load_info(program), data, seed)
    x, _ = select(dataset, split, samples)
    names = [name.strip() for name in backends.split(",") if name.strip()]
    with step(f"comparing {', '.join(names)} on {len(x):,} samples", quiet):
        certificate = loaded.verify(x, backends=names, time_limit_s=time_limit)
    document = certificate.to_dict()
    if out is not None:
        write_atomically(out, (to_json(document) + "\n").encode())
    return Outcome(document, (certificate_view(document),), DONE if document["equal"] else NO)


verify.__doc__ = f"{verify.__doc__}\n\n" + example(
    "conntra verify digits.loihi1.conntra --data digits --backends reference,lava,brian2"
)
