"""``conntra chips``: the chips there are, and where every number about them comes from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from conntra_neuro.cli.options import Debug, Json, Quiet, Seed, example
from conntra_neuro.cli.verb_result import Outcome

__all__ = ["chips"]


def chips(
    name: Annotated[
        str | None, typer.Argument(metavar="[CHIP]", show_default=False, help="One chip, each limit with its source.")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Outcome:
    """List the chips that a model can be compiled for, or the limits of one and their sources."""
    from conntra_hardware.chip import chip_names, load_chip
    from conntra_neuro.report.tables import chip_table, chips_table

    if name is not None:
        chip = load_chip(name)
        return Outcome(asdict(chip), (chip_table(chip),))
    found = [load_chip(each) for each in chip_names()]
    return Outcome({"chips": [asdict(chip) for chip in found]}, (chips_table(found),))


chips.__doc__ = f"{chips.__doc__}\n\n" + example("conntra chips", "conntra chips loihi1")
