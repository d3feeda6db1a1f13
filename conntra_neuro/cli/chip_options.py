"""Options of ``conntra run`` that are about a real chip; each says so where the backend is another."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Board", "BoardChips", "Generation", "HostOption", "Measure", "Partition", "Probe"]

_PANEL = "On a chip (--backend loihi)"
_ENVIRONMENT = "as the environment says: SLURM, NXSDKHOST"

HostOption = Annotated[
    str | None,
    typer.Option(
        "--host",
        metavar="slurm|ADDRESS",
        help="Where the board is.",
        show_default=_ENVIRONMENT,
        rich_help_panel=_PANEL,
    ),
]
Partition = Annotated[
    str | None, typer.Option(help="Partition of SLURM.", show_default="PARTITION", rich_help_panel=_PANEL)
]
Board = Annotated[
    str | None,
    typer.Option(help="Node of SLURM, instead of a partition.", show_default="BOARD", rich_help_panel=_PANEL),
]
Generation = Annotated[
    str | None,
    typer.Option(
        help="Stepping of the chip: N3B2, N3B3, N3C1 or N3D1.",
        show_default="LOIHI_GEN, else N3B3",
        rich_help_panel=_PANEL,
    ),
]
BoardChips = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Chips on the board: the static power of idle ones is then subtracted.",
        show_default="unknown, nothing subtracted",
        rich_help_panel=_PANEL,
    ),
]
Measure = Annotated[
    bool,
    typer.Option(
        "--measure",
        metavar="",
        help="Read power, time and activity from the board's profilers.",
        rich_help_panel=_PANEL,
    ),
]
Probe = Annotated[
    bool,
    typer.Option(
        "--probe/--no-probe",
        metavar="",
        help="Read the spikes of all layers from the chip, not only the readout: slower, but everything is compared.",
        rich_help_panel=_PANEL,
    ),
]
