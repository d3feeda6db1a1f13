"""What a search over recipes may vary: values to choose from, and ranges, drawn at random from a seed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conntra_hardware.base.errors import InputError
from conntra_hardware.base.suggest import did_you_mean

__all__ = ["Choice", "Span", "Vary", "default_space", "draw", "parse_vary"]

_LOG_FROM = 4.0  # times the low end: from such a high end on a range is drawn evenly on a logarithmic scale
_DIGITS = 3  # that drawn values keep, so that a run file can be read
_LARGE = 20  # pixels along the shorter side of an image


@dataclass(frozen=True)
class Span:
    """The numbers from ``low`` to ``high``; whole ones only where both ends are whole and the option asks for such."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InputError(f"range {self.low:g}:{self.high:g}: two numbers expected, the lower one first")

    @property
    def distribution(self) -> Any:
        """SciPy's distribution to draw from."""
        from scipy.stats import loguniform, uniform

        if self.low > 0 and self.high >= _LOG_FROM * self.low:
            return loguniform(self.low, self.high)
        return uniform(self.low, self.high - self.low)


Choice = tuple[Any, ...]
Vary = Choice | Span


def default_space(image: tuple[int, int] | None) -> dict[str, Vary]:
    """Return what is varied unless said: options of the blocks gear around their defaults.

    image  rows and columns of the samples; None where they are no images, which are then not moved
    """
    space: dict[str, Vary] = {
        "fraction": Span(0.001, 0.016),
        "fraction_readout": Span(0.001, 0.02),
        "decay": (1.0, 2.0, 3.0),
        "sigma": Span(0.25, 0.8),
        "sigma_end": Span(0.08, 0.3),
        "memory": (0.95, 0.97, 0.985, 0.99),
        "sparsity": (0.0, 0.02, 0.05, 0.1),
    }
    if image is not None and min(image) >= _LARGE:
        space |= {"shift": (0, 1, 2), "elastic": (0.0, 1.0, 1.5, 2.0)}
    elif image is not None:
        space |= {"shift": (0,), "elastic": (0.0, 0.3, 0.6)}
    return space


def parse_vary(text: str) -> tuple[str, Vary]:
    """Return the option and its values of "decay=1,2,3", or its range of "sparsity=0:0.2".

    Raises InputError for anything else, and for an option that the blocks gear does not have.
    """
    name, equals, values = (part.strip() for part in text.partition("="))
    fields = _whole_options()
    if not equals or not values:
        raise InputError(f"--vary {text!r}: NAME=VALUES expected, as in decay=1,2,3 or sparsity=0:0.2")
    if name not in fields:
        raise InputError(
            f"--vary {text!r}: option {name!r} unknown{did_you_mean(name, fields)}; allowed: {', '.join(fields)}"
        )
    if ":" in values:
        low, _, high = values.partition(":")
        return name, Span(_number(low, text), _number(high, text))
    return name, tuple(_number(value, text) for value in values.split(","))


def draw(space: Mapping[str, Vary], n: int, seed: int) -> list[dict[str, Any]]:
    """Return ``n`` recipes, or all that there are where ``space`` has fewer; the same ones for the same seed."""
    from sklearn.model_selection import ParameterSampler

    if not space:
        return []
    lists = [len(values) for values in space.values() if not isinstance(values, Span)]
    if len(lists) == len(space):
        n = min(n, math.prod(lists))
    given = {name: v.distribution if isinstance(v, Span) else list(v) for name, v in space.items()}
    whole = _whole_options()
    return [
        {name: _plain(value, whole.get(name, False) and isinstance(space[name], Span)) for name, value in found.items()}
        for found in ParameterSampler(given, n, random_state=seed)
    ]


def _whole_options() -> dict[str, bool]:
    """Return the options that can be varied, and whether each is a whole number."""
    from conntra_neuro.training.gears.blocks import BlocksOptions

    fields = dataclasses.fields(BlocksOptions)
    return {field.name: "int" in str(field.type) for field in fields if field.name != "sweeps"}


def _plain(value: Any, whole: bool) -> Any:
    if whole:
        return round(float(value))
    return float(f"{float(value):.{_DIGITS}g}") if isinstance(value, float) else value


def _number(word: str, text: str) -> float | int:
    try:
        return int(word) if word.strip().lstrip("+-").isdecimal() else float(word)
    except ValueError:
        raise InputError(f"--vary {text!r}: {word.strip()!r} is no number") from None
