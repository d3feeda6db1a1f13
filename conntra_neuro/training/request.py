"""What a training is asked for: what network on what samples, and how the training runs. Options are the gear's own."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conntra_hardware.base.arguments import not_negative, seconds, whole
from conntra_hardware.base.errors import InputError
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.levels import Levels
from conntra_neuro.training.architecture.words import Neurons
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.result import Progress

__all__ = ["Folder", "Run", "Wanted", "parted"]

Folder = str | os.PathLike[str]

_LEAST_PART = 2.0**-20  # of a sweep


@dataclass(frozen=True)
class Wanted:
    """The network to train; as the parameters of ``train``, and

    input_steps  time steps that samples hold one after the other, 1 or those of the neurons
    values       whether targets are values, as in ``Task``, and no classes
    image        how the inputs of a time step lie in images; None where they are none
    movable      whether images may be moved unasked; not where they are tables, or nobody knows
    """

    n_classes: int
    layers: str | Sequence[Any] = (256,)
    neuron: str | Neurons = "threshold"
    levels: str | int | Sequence[int] | Levels = "ternary"
    seed: int = 0
    validation_fraction: float = 0.05
    initial: DiscreteNetwork | None = None
    image: ImageShape | None = None
    input_steps: int = 1
    values: bool = False
    movable: bool = True

    def __post_init__(self) -> None:
        whole(self.seed, "seed", 0)
        share = self.validation_fraction
        if not isinstance(share, (int, float, np.floating)) or not 0 <= share < 1:
            raise InputError(f"validation_fraction {share!r}: 0 up to 1 expected")


@dataclass(frozen=True)
class Run:
    """How the training runs; as the parameters of ``train``."""

    gear: str = "blocks"
    sweeps: float | None = None
    time_limit_s: float | None = None
    checkpoint: Folder | None = None
    resume: Folder | None = None
    progress: Callable[[Progress], None] | None = None
    threads: int | None = None
    cluster: str | None = None
    stop_after: float | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.sweeps is not None:
            _check_sweeps(self.sweeps)
        if self.stop_after is not None:
            not_negative(self.stop_after, "stop_after")
        if self.time_limit_s is not None:
            seconds(self.time_limit_s)


def _check_sweeps(value: Any) -> None:
    """InputError for what is neither a number of sweeps nor a part of one."""
    part = isinstance(value, (float, np.floating)) and _LEAST_PART <= value < 1
    if not part:
        whole(int(value) if isinstance(value, (float, np.floating)) and value == value // 1 else value, "sweeps", 1)


def parted(given: Mapping[str, Any]) -> tuple[Wanted, Run, dict[str, Any]]:
    """Return arguments by name as the network wanted, the run, and what is left: the gear's options."""
    wanted, run = ({field.name for field in dataclasses.fields(kind)} for kind in (Wanted, Run))
    options = {name: value for name, value in given.items() if name not in wanted | run}
    parts = ({name: given[name] for name in names & given.keys()} for names in (wanted, run))
    return Wanted(**next(parts)), Run(**next(parts)), options
