"""The errors of the project: one small hierarchy, each with the exit status the command line gives it.

Every message is one line that names the object, what it got, what is allowed, and the remedy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "MALFORMED",
    "BackendError",
    "ConntraError",
    "DoesNotFit",
    "DoesNotVerify",
    "FileFormatError",
    "InputError",
    "UnsupportedProgram",
    "Violation",
    "in_short",
]


class ConntraError(Exception):
    """Base of all errors that are the user's to read; anything else is a defect of ours."""

    exit_status = 2


class InputError(ConntraError, ValueError):
    """A value, array or option that cannot be used."""


class FileFormatError(ConntraError):
    """A file that is missing, truncated, damaged, or of another kind or version."""


MALFORMED = (
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    AssertionError,
)
"""What Python raises where a file holds something else than its reader expects: a reader catches all of it."""


class BackendError(ConntraError):
    """A backend that is not installed, failed, or ran past its time limit."""


class UnsupportedProgram(BackendError):
    """A backend that works, and does not run programs of this kind; it says so before anything starts."""


@dataclass(frozen=True)
class Violation:
    """One limit of a chip that a network exceeds: of which ``resource``, and the ``remedy``.

    ``layer`` is the population's name, ``core`` the core's index or None where the limit is not a
    core's; ``used`` and ``limit`` are in ``unit``.
    """

    layer: str
    resource: str
    used: float
    limit: float
    unit: str
    remedy: str
    core: int | None = None

    def __str__(self) -> str:
        where = self.layer if self.core is None else f"{self.layer} (core {self.core})"
        return f"{where}: {self.resource} {self.used:g} of {self.limit:g} {self.unit}; {self.remedy}"


class DoesNotFit(ConntraError):
    """A network that exceeds the limits of ``chip``; ``violations`` holds every one of them."""

    exit_status = 1

    def __init__(self, chip: str, violations: Sequence[Violation]) -> None:
        self.chip = chip
        self.violations = tuple(violations)
        listed = "; ".join(str(v) for v in self.violations)
        super().__init__(f"does not fit {chip}: {len(self.violations)} violation(s): {listed}")


class DoesNotVerify(ConntraError):
    """Backends that disagree; raised only by callers that ask for an exception."""

    exit_status = 1


def in_short(what: object, most: int = 200) -> str:
    """Return ``what``, an error or a value out of a file, in at most ``most`` characters of one line."""
    text = " ".join(str(what).split()) or type(what).__name__
    return text if len(text) <= most else f"{text[: most - 4]} ..."
