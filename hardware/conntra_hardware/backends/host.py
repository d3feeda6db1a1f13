"""Where a Loihi 2 board is: behind SLURM or on the network, named by options or by the environment.

The environment variables are those of Lava and of Intel's extension: ``SLURM``, ``NOSLURM``, ``PARTITION``, ``BOARD``,
``NXSDKHOST``, ``HOST_BINARY``, ``LOIHI_GEN``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from conntra_hardware.base.errors import InputError

__all__ = ["GENERATIONS", "Host", "host_from"]

GENERATIONS = ("N3B2", "N3B3", "N3C1", "N3D1")
"""Steppings of Loihi 2 that Lava 0.10 knows; most boards of the research cloud are N3B3."""

_DEFAULT_GENERATION = "N3B3"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")


@dataclass(frozen=True)
class Host:
    """A board: ``kind`` is "slurm" (``partition`` or ``board`` may choose one) or "ethernet" (at ``address``).

    ``kind`` "extension" leaves the choice to Intel's extension and its own settings. ``chips`` is the number of chips
    on the board, where it is known: power is measured for the whole board. ``generation`` is that of its chips, as
    Intel's extension calls it. InputError for what does not belong together, and for names that are no names.
    """

    kind: str = "extension"
    address: str | None = None
    partition: str | None = None
    board: str | None = None
    generation: str = _DEFAULT_GENERATION
    chips: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("slurm", "ethernet", "extension"):
            raise InputError(f"host {self.kind!r}: slurm, ethernet or extension expected")
        if self.generation not in GENERATIONS:
            raise InputError(f"generation {self.generation!r}: unknown; allowed: {', '.join(GENERATIONS)}")
        if (self.kind == "ethernet") != (self.address is not None):
            raise InputError(f"host {self.kind}: an address belongs to an ethernet host, and to no other")
        if self.kind != "slurm" and (self.partition or self.board):
            raise InputError(f"host {self.kind}: a partition or board is chosen by SLURM; use host slurm")
        if self.partition and self.board:
            raise InputError(f"partition {self.partition}, board {self.board}: give one of them; a board has its own")
        for what in ("address", "partition", "board"):
            name = getattr(self, what)
            # These names end up in commands: `ping`, `sinfo` and the extension's own.
            if name is not None and not _NAME.fullmatch(name):
                raise InputError(f"{what} {name!r}: letters, digits and . _ : - expected")
        if self.chips is not None and self.chips < 1:
            raise InputError(f"board chips {self.chips}: at least 1 expected")

    def __str__(self) -> str:
        where = {"slurm": "SLURM", "ethernet": f"ethernet host {self.address}"}.get(
            self.kind, "the extension's own host"
        )
        chosen = [f"{name} {value}" for name in ("partition", "board") if (value := getattr(self, name))]
        return ", ".join([where, *chosen, self.generation])


def host_from(
    host: str | None = None,
    partition: str | None = None,
    board: str | None = None,
    generation: str | None = None,
    chips: int | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Host:
    """Return the host that options name, and where they do not, the environment.

    ``host`` is "slurm" or an address. InputError where they contradict each other.
    """
    env = {key: value for key, value in environment.items() if value}
    generation = generation or env.get("LOIHI_GEN", _DEFAULT_GENERATION)
    if host is None and not (partition or board):
        host = _host_of(env)
    elif host is None:
        host = "slurm"
    if host is None:
        return Host(generation=generation, chips=chips)
    if host != "slurm":
        return Host("ethernet", host, partition, board, generation, chips)
    if not (partition or board):
        # A board names its partition already, and Lava takes one of the two.
        board = env.get("BOARD")
        partition = None if board else env.get("PARTITION")
    return Host("slurm", None, partition, board, generation, chips)


def _host_of(env: Mapping[str, str]) -> str | None:
    if "NXSDKHOST" in env and env.get("SLURM") != "1":
        return env["NXSDKHOST"]
    if "NOSLURM" in env:
        return None
    return "slurm" if {"SLURM", "PARTITION", "BOARD"} & env.keys() else None
