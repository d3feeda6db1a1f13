"""What every kind of neuron is: exact integer dynamics, bounds of its register, and the facts that backends build on.

A kind is one file beside this one. Simulators, formats and proofs never ask which class a neuron has: they ask for its
``Facts``, and refuse by name what they have no row for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import ConntraError, InputError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "FORGETS",
    "FRACTION_BITS",
    "GRADED_MAX",
    "Advance",
    "Facts",
    "Neuron",
    "Parameter",
    "Rows",
    "Span",
    "State",
    "parameter",
    "row_for",
    "values",
]

GRADED_MAX = 2**23 - 1
"""The largest value of a graded spike: 24 bits, the sign among them."""

FORGETS = 4096
"""The decay, of 12 bits, after which nothing is left; 0 keeps all."""

FRACTION_BITS = 6
"""The binary places of u and v where a decay leaves fractions: a weight of 1 stands as 2^6."""

Parameter: TypeAlias = int | tuple[int, ...]
"""A number, or one a neuron: a tuple, so that neurons can be compared, hashed and written as JSON."""

Rows: TypeAlias = tuple[tuple[int, ...], ...]
"""Rows of numbers, all of one length: one row for all neurons, or one a neuron."""

Bounds = npt.NDArray[np.int64]
Row = TypeVar("Row")

State: TypeAlias = tuple[npt.NDArray[np.int64], ...]
"""What neurons carry from a step to the next, each (n, size); () where they have no state."""


@dataclass(frozen=True)
class Facts:
    """A neuron as one compartment; all that a simulator or a format may look at.

    At each step ``u = decay(u) + weights @ inputs`` and ``v = decay(v) + u + bias``, by ``current_decay`` and by
    ``voltage_decay``. It spikes where v exceeds
    ``threshold``, or where it is at least that if not ``strict``; None never spikes, and its v is read. Then ``reset``
    sets v to 0 ("hard") or takes the threshold off ("soft"). Decays have 12 bits: ``FORGETS`` leaves nothing, 0 leaves
    all. A graded neuron sends ``floor(v / 2**shift)``, at
    most its ``ceiling``. For ``refractory`` steps after a spike v stays as it is, and no
    spike is sent.

    With ``fraction_bits`` of 6 u and v are Loihi's registers, in units of a 64th of a weight: sums, bias and threshold
    come in times 64, u wraps round at 24 bits and v stops at its ends. With 0 they are whole and, as a program is
    checked for overflow, never reach an end.

    ``read`` says what of a v that is read is the logit: its "last" value in a sample, or its largest one ("max").

    With ``delta``, an activation ("relu" or "linear"), all of this is otherwise: v is that activation of all sums with
    the bias, and what is sent is its change, where that, or with ``cumulative_error`` the sum of changes that sent
    nothing, reaches the threshold: ``SigmaDelta``.

    With ``thresholds``, rising in each row, a graded neuron that forgets at every step sends how many of them v
    exceeds; ``threshold`` is the first of them: ``MultiThreshold``.
    """

    threshold: Parameter | None = 0
    strict: bool = True
    reset: Literal["hard", "soft"] = "hard"
    voltage_decay: Parameter = FORGETS
    current_decay: Parameter = FORGETS
    refractory: Parameter = 0
    graded: bool = False
    shift: Parameter = 0
    ceiling: Parameter = GRADED_MAX
    fraction_bits: int = 0
    read: Literal["last", "max"] = "last"
    delta: Literal["", "relu", "linear"] = ""
    cumulative_error: bool = False
    thresholds: Rows = ()

    @property
    def form(self) -> str:
        """What these facts come to, which tables have rows for: "threshold" (memoryless, spikes above 0), "graded",
        "integrating" (without leak, in whole numbers), "leaky" (Loihi's registers), "readout" (v is summed),
        "leaky readout", "sigma delta", "multi threshold" (memoryless, counts thresholds), or "other", which no table
        takes.
        """
        if self.delta:
            return "sigma delta"
        if self.thresholds:
            return "multi threshold"
        if self.threshold is None:
            return self._readout_form
        if self.fraction_bits == FRACTION_BITS and not self.graded and self.shift == 0:
            return "leaky"
        if self.fraction_bits or self.refractory != 0:
            return "other"
        above_zero = self.threshold == 0 and self.strict and (self.current_decay, self.voltage_decay) == (FORGETS,) * 2
        if self.graded:
            return "graded" if above_zero else "other"
        if self.shift != 0:
            return "other"
        if above_zero:
            return "threshold"
        return "integrating" if (self.current_decay, self.voltage_decay) == (FORGETS, 0) else "other"

    @property
    def _readout_form(self) -> str:
        if self.graded or self.shift != 0 or self.refractory != 0:
            return "other"
        if self.fraction_bits == FRACTION_BITS:
            return "leaky readout"
        plain = (self.current_decay, self.voltage_decay, self.read) == (FORGETS, 0, "last")
        return "readout" if plain and not self.fraction_bits else "other"

    @property
    def least(self) -> Any:
        """The least whole potential at which it spikes, an int or int64 (size,); InputError for one that never does."""
        if self.threshold is None:
            raise InputError("a readout has no threshold")
        return values(self.threshold) + int(self.strict)

    @property
    def per_neuron(self) -> bool:
        """Whether some parameter differs from neuron to neuron."""
        names = (field.name for field in fields(self) if field.name != "thresholds")
        return len(self.thresholds) > 1 or any(isinstance(getattr(self, name), tuple) for name in names)


@dataclass(frozen=True, eq=False)
class Advance:
    """What neurons do in some time steps: ``sent``, ``held`` and ``left`` as the methods of a Neuron of those names,
    and the ``state`` in which they are left.
    """

    sent: IntArray
    held: IntArray
    left: IntArray
    state: State = ()


@dataclass(frozen=True, eq=False)
class Span:
    """What graded neurons can send: from ``low`` to ``high`` (size,) at a step.

    Where it is known better than step by step, ``least`` and ``most`` bound all that they have sent since the sample
    began, at any of its steps; None where it is not.
    """

    low: Bounds
    high: Bounds
    least: Bounds | None = None
    most: Bounds | None = None


class Neuron(ABC):
    """A kind of neuron, a frozen dataclass of its parameters; each of them a number, or where it says so one a neuron.

    All sums are integers: the synaptic ``sums`` of a step, (n, steps, size), and the ``bias``, (size,) or one number,
    which goes to the potential. A sample takes ``steps`` time steps, the same for all neurons of a network; a neuron
    without state treats each of them alike.
    """

    kind: ClassVar[str]
    spikes: ClassVar[bool] = True
    graded: ClassVar[bool] = False

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """What it is in the terms of a compartment."""

    @property
    def sample_steps(self) -> int | None:
        """The time steps of a sample that it is made for; None where it has no state, and takes any number."""
        return None

    @property
    def needs_steps(self) -> bool:
        """Whether it lives in time, and somebody has to say how many steps a sample takes."""
        return False

    def entries(self) -> dict[str, Any]:
        """Return its parameters by name, as files and fingerprints hold them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    @property
    def has_state(self) -> bool:
        """Whether it carries anything from a time step to the next."""
        return False

    @abstractmethod
    def advance(self, sums: IntArray, bias: IntArray | int = 0, state: State | None = None) -> Advance:
        """Return what happens in some time steps at ``sums`` (n, steps, size), from ``state`` on; None begins a sample.

        InputError where they cannot be.
        """

    def respond(self, sums: IntArray, bias: IntArray | int = 0) -> IntArray:
        """Return what it sends, (n, steps, size), in a sample; of one that never spikes the logits (n, size)."""
        return self.advance(sums, bias).sent

    def held(self, sums: IntArray, bias: IntArray | int = 0) -> IntArray:
        """Return what its register v holds at each step before a spike is decided, int64, (n, steps, size).

        In weight units, or in units of a 64th of one: ``Facts.fraction_bits``.
        """
        return self.advance(sums, bias).held

    def left(self, sums: IntArray, bias: IntArray | int = 0) -> IntArray:
        """Return what is left in its registers after each step, (n, steps, size): not 0 makes it active at the next."""
        return self.advance(sums, bias).left

    def register_bounds(self, low: Bounds, high: Bounds, steps: int) -> tuple[Bounds, Bounds]:
        """Return the least and the largest value of its register in a sample of ``steps`` time steps, int64 (size,).

        ``low`` and ``high``, int64 (size,), are the least and the largest sum of a step, with and without the bias. All
        in weight units, a register with binary places rounded away from 0.
        """
        return low, high

    def largest_spike(self, high: Bounds) -> Bounds:
        """Return the largest value that it sends where no potential exceeds ``high`` (size,)."""
        return np.ones_like(high)

    def span(self, low: Bounds, high: Bounds, steps: int) -> Span:
        """Return what it can send in ``steps`` steps where its register stays from ``low`` to ``high`` (size,)."""
        return Span(np.zeros_like(low), self.largest_spike(high))

    def _per_neuron(self) -> Mapping[str, tuple[Any, ...]]:
        found = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {name: value for name, value in found.items() if isinstance(value, tuple)}

    def check_size(self, size: int, where: str) -> None:
        """Raise InputError unless parameters that are given a neuron are as many as ``size``."""
        for name, value in self._per_neuron().items():
            if len(value) != size:
                raise InputError(f"{where}: {len(value)} values of {self.kind}.{name}; one, or {size} expected")

    def take(self, index: Any) -> Self:
        """Return the neurons at ``index``, a slice or integers, of a population of these."""
        chosen = {name: tuple(np.asarray(value)[index].tolist()) for name, value in self._per_neuron().items()}
        return replace(self, **chosen) if chosen else self  # type: ignore[type-var]

    def spread(self, channels: int, size: int) -> Self:
        """Return the ``size`` neurons of an image: parameters given for each of ``channels`` hold at all places."""
        wide = {
            name: tuple(np.repeat(value, size // channels, axis=0).tolist())
            for name, value in self._per_neuron().items()
            if len(value) == channels
        }
        return replace(self, **wide) if wide else self  # type: ignore[type-var]


def parameter(value: Any, low: int, high: int, what: str) -> Parameter:
    """Return an integer, or a tuple of one a neuron, from ``low`` to ``high``; InputError for anything else.

    Values that are all the same are one number, so that equal neurons are equal.
    """
    if isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value) > 0:
        numbers = np.asarray(value)
        if numbers.ndim != 1 or not numbers.size or numbers.dtype.kind not in "iu":
            raise InputError(f"{what}: shape {numbers.shape}, type {numbers.dtype}; integers (neurons,) expected")
        if numbers.min() < low or numbers.max() > high:
            raise InputError(f"{what} from {numbers.min()} to {numbers.max()}; integers from {low} to {high} expected")
        found = tuple(int(number) for number in numbers.tolist())
        return found[0] if len(set(found)) == 1 else found
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise InputError(f"{what} {value!r}; an integer from {low} to {high} expected")
    return int(value)


def values(value: Parameter) -> Any:
    """Return the parameter ``value`` for arithmetic with arrays (..., size): an int, or int64 (size,)."""
    return np.array(value, np.int64) if isinstance(value, tuple) else value


def row_for(
    table: Mapping[str, Row], neuron: Any, where: str, remedy: str, error: Callable[[str], ConntraError] = InputError
) -> Row:
    """Return the row of ``table`` for a neuron, by the form of its facts.

    ``neuron`` has ``kind`` and ``facts``: a Neuron, or what a simulator's child process is told of one. What no row
    is for is refused by name; nothing runs as something else. ``error`` makes the exception; ``where`` begins its
    message, and ``remedy`` ends it.
    """
    if neuron.facts.form in table:
        return table[neuron.facts.form]
    raise error(f"{where}: {neuron.kind} neurons; allowed: {', '.join(_names(table))}; {remedy}")


def _names(table: Mapping[str, Any]) -> Sequence[str]:
    return [name for name in table if name != "other"]
