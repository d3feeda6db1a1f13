"""What becomes of a recording: the options after ``?`` in ``events:PATH?steps=20&step=10ms&down=2``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import MAX_STEPS

__all__ = ["POLARITIES", "Recipe", "duration_us", "parse_options", "split_options"]

POLARITIES = ("channels", "merge", "on", "off")
_STEPS = 20
_LARGEST_SIDE = 2**16
_UNITS = {"us": 1, "ms": 1000, "s": 1_000_000}


@dataclass(frozen=True)
class Recipe:
    """How recordings become spikes (n, steps, ...).

    steps     time steps of a sample; None: as many as the longest recording has
    step_us   microseconds of a step, from a recording's first event on, and what comes after the last step is left
              out; None: each recording's whole duration in ``steps`` equal steps. With neither, 20 of these
    down      pixels (units) that become one, along each side
    polarity  "channels": one for darker, one for brighter; "merge": one for both; "on", "off": one alone
    denoise_us  an event stays only where a neighbouring pixel (one of 8, or the unit before or behind) had one within
              so many microseconds before it; None: all stay
    size      (width, height) of the sensor; None: what files say, else the smallest for all events
    sort      whether the events of a recording are put into the order of time
    """

    steps: int | None = None
    step_us: int | None = None
    down: int = 1
    polarity: str = "channels"
    denoise_us: int | None = None
    size: tuple[int, int] | None = None
    sort: bool = False

    def __post_init__(self) -> None:
        if self.steps is None and self.step_us is None:
            object.__setattr__(self, "steps", _STEPS)
        if self.steps is not None:
            whole(self.steps, "events: steps", 1, MAX_STEPS)
        for name in ("step_us", "denoise_us"):
            if getattr(self, name) is not None:
                whole(getattr(self, name), f"events: {name}", 1)
        whole(self.down, "events: down", 1, _LARGEST_SIDE)
        if self.polarity not in POLARITIES:
            raise InputError(f"events: polarity {self.polarity!r}; allowed: {', '.join(POLARITIES)}")
        if self.size is not None:
            object.__setattr__(self, "size", tuple(whole(n, "events: size", 1, _LARGEST_SIDE) for n in self.size))

    @property
    def words(self) -> str:
        """The recipe as text that says all of it, for the name of what is kept."""
        return repr([(field.name, getattr(self, field.name)) for field in fields(self)])


def split_options(spec: str) -> tuple[str, dict[str, str]]:
    """Return the path and the options of ``PATH?name=value&name=value``; InputError for anything else."""
    path, _, text = spec.partition("?")
    options: dict[str, str] = {}
    for pair in filter(None, text.split("&")):
        name, equals, value = pair.partition("=")
        if not equals or not value or name in options:
            raise InputError(f"{spec}: option {pair!r}; NAME=VALUE expected, each name once, with & between them")
        options[name] = value
    return path, options


def check_known(spec: str, options: dict[str, str], known: Sequence[str]) -> None:
    """Raise InputError where ``options`` has a name that is not ``known``."""
    for name in options:
        if name not in known:
            raise InputError(f"{spec}: option {name!r} is not known; allowed: {', '.join(known)}")


def duration_us(text: str, what: str) -> int:
    """Return the microseconds of "10ms", "500us" or "2s"; InputError for anything else."""
    found = re.fullmatch(r"(\d+)(us|ms|s)", text)
    if found is None or int(found[1]) == 0:
        raise InputError(f"{what}={text}: a duration expected, as 10ms, 500us or 2s")
    return int(found[1]) * _UNITS[found[2]]


def number(text: str, what: str) -> int:
    """Return a whole number of digits; InputError for anything else."""
    if not text.isdecimal():
        raise InputError(f"{what}={text}: a whole number expected")
    return int(text)


NAMES = ("steps", "step", "down", "polarity", "denoise", "size", "order")


def parse_options(options: dict[str, str]) -> Recipe:
    """Return the recipe that ``options`` of ``NAMES`` say; InputError for values that cannot be."""
    given: dict[str, Any] = {name: number(options[name], name) for name in ("steps", "down") if name in options}
    given |= {f"{name}_us": duration_us(options[name], name) for name in ("step", "denoise") if name in options}
    if "polarity" in options:
        given["polarity"] = options["polarity"]
    if "size" in options:
        found = re.fullmatch(r"(\d+)(?:x(\d+))?", options["size"])
        if found is None:
            raise InputError(f"size={options['size']}: WIDTHxHEIGHT or a number of units expected, as 34x34 or 700")
        given["size"] = (int(found[1]), int(found[2] or 1))
    if "order" in options:
        if options["order"] != "sort":
            raise InputError(f"order={options['order']}: sort expected, or nothing: recordings that are in order")
        given["sort"] = True
    return Recipe(**given)
