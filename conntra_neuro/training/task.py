"""What a gear is given, and what it offers to the trainer."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from conntra_neuro.network.levels import Levels
from conntra_neuro.training.architecture.architecture import Architecture
from conntra_neuro.training.inputs.bits import Spikes
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.parameters import Parameters

__all__ = ["Clock", "Evaluation", "Gear", "Task", "Tick", "generator"]


@dataclass(frozen=True, eq=False)
class Task:
    """Training samples as spikes, and the network to train on them.

    spikes        (n, n_in) of 0/1, bytes or in a file as bits, and class indices y (n,); of inputs that are given for
                  several time steps one step after the other
    values        whether y are no classes, but values: whole numbers of ``objective.VALUE_ONE`` a standard deviation
    architecture  the layers
    held_out      spikes and class indices that decide which network is the best; None where the set is small
    start         parameters to start from; None for random ones
    image         how the inputs of a time step lie in images; None where they are none
    movable       whether images may be moved unasked
    """

    spikes: Spikes
    y: npt.NDArray[np.int64]
    architecture: Architecture
    levels: Levels
    seed: int
    held_out: tuple[Spikes, npt.NDArray[np.int64]] | None = None
    start: Parameters | None = None
    image: ImageShape | None = None
    values: bool = False
    movable: bool = True

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Inputs of all time steps, then the units of every layer."""
        return self.architecture.sizes

    @property
    def stored_image(self) -> ImageShape | None:
        """How samples are stored: the time steps of an image lie like channels, so that they are moved alike.

        Of inputs over time that are no images, time steps are the rows of one.
        """
        steps = self.architecture.input_steps
        if self.image is None:
            return ImageShape(1, steps, self.sizes[0] // steps) if steps > 1 else None
        return dataclasses.replace(self.image, channels=self.image.channels * steps)

    @property
    def largest_level(self) -> int:
        """The largest magnitude of a level."""
        return max(abs(self.levels.values[0]), abs(self.levels.values[-1]))


@dataclass(frozen=True)
class Evaluation:
    """Mean objective in nats and fraction of wrong predictions; of values see ``objective.SquaredError``."""

    objective: float
    error: float


Tick = Callable[[float, Evaluation], None]


class Gear(Protocol):
    """One way of training. The trainer calls ``sweep`` until ``finished`` or the last sweep is done."""

    finished: bool
    anneals: bool  # whether what it does follows a schedule over all sweeps
    decides_by_objective: bool  # training objective or held-out samples: what says which network is the best
    priced: bool  # whether what an inference costs is part of the objective
    sweeps: float  # how many are planned; below 1 a part of one

    def sweep(self, number: int, sweeps: float, clock: Clock, tick: Tick) -> Evaluation:
        """Do sweep ``number`` of ``sweeps``, calling ``tick(sweeps done, running evaluation)``.

        It ends where ``clock.stops(sweeps done)``; what it returns is over the samples that it has seen.
        """
        ...

    def evaluate(self, held_out: bool) -> Evaluation:
        """Return the exact evaluation on the held-out samples, or on the training samples."""
        ...

    def parameters(self) -> Parameters:
        """Return a copy of the parameters as they are."""
        ...

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return all that the next sweep depends on, options, data and seed apart."""
        ...

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up a state that ``state`` returned."""
        ...


class Clock:
    """Time since training began, what was spent before a resume included, against the limit; where training stops.

    stop_after  sweeps, parts of one included, after which it stops whatever the time
    stopped     the sweeps after which it has stopped; None where it has not. ``stop_after`` gives the same again
    """

    def __init__(self, limit_s: float | None = None, spent_s: float = 0.0, stop_after: float | None = None) -> None:
        self.limit_s, self.stop_after = limit_s, stop_after
        self.stopped: float | None = None
        self._cut = False
        self._begin = time.monotonic() - spent_s

    @property
    def seconds(self) -> float:
        """Seconds since training began."""
        return time.monotonic() - self._begin

    @property
    def fraction(self) -> float:
        """Share of the time limit that is spent; 0 without a limit."""
        return 0.0 if self.limit_s is None else self.seconds / self.limit_s

    @property
    def expired(self) -> bool:
        """Whether the time limit is reached."""
        return self.fraction >= 1

    def stops(self, done: float) -> bool:
        """Say whether training stops here, after ``done`` sweeps."""
        if self.stopped is None and (
            self._cut or self.expired or (self.stop_after is not None and done >= self.stop_after)
        ):
            self.stopped = done
        return self.stopped is not None

    def cut(self) -> None:
        """Stop at the next step."""
        self._cut = True

    def begin_anew(self) -> None:
        """Stop no more for what has stopped it; the time runs on."""
        self.stopped, self._cut = None, False


def generator(seed: int, purpose: int, number: int = 0) -> np.random.Generator:
    """Return the random numbers of one sweep. They depend on nothing before it: a resume needs no state."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, purpose, number))))
