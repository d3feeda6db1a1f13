"""A source of recordings: what ``PATH`` holds, one part of a data set, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_neuro.datasets.events.recording import Recording

__all__ = ["Source"]


@dataclass(frozen=True, eq=False)
class Source:
    """Recordings that are read anew, one after the other, each time ``read`` is called.

    name    for messages
    labels  of each recording (n,), integers or strings
    read    yields the recordings, in that order
    groups  who or what each recording comes from (n,), by the name of the grouping
    files   that the recordings stand in, for the name of what is kept
    """

    name: str
    labels: npt.NDArray[Any]
    read: Callable[[], Iterator[Recording]]
    groups: dict[str, npt.NDArray[Any]]
    files: tuple[Path, ...] = ()

    def group(self, name: str) -> npt.NDArray[np.str_]:
        """Return the group of each recording, as text; InputError where there is no such grouping."""
        if name not in self.groups:
            known = ", ".join(sorted(self.groups)) or "none"
            raise InputError(f"{self.name}: group={name}: no such grouping; it has {known}")
        return self.groups[name].astype(str)
