"""What becomes of a recording: the options after ``?`` in ``events:PATH?steps=20&step=10ms&down=2``."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import MAX_STEPS
from conntra_neuro.datasets.options import duration_us, number

__all__ = ["NAMES", "POLARITIES", "Recipe", "parse_options"]

POLARITIES = ("channels", "merge", "on", "off")
_STEPS = 20
_LARGEST_SIDE = 2**16


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
