"""What values share: they do not change once they are made, and show themselves to people."""

from __future__ import annotations

from typing import Any

from conntra_hardware.base.upward import upward

__all__ = ["Immutable", "Shown"]


class Immutable:
    """A class whose ``__init__`` ends with ``self._seal()``; from then on attributes can be read only."""

    def _seal(self) -> None:
        object.__setattr__(self, "_sealed", True)

    def __setattr__(self, name: str, value: Any) -> None:
        if getattr(self, "_sealed", False):
            raise AttributeError(f"{type(self).__name__}.{name}: cannot be changed; make a new one")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name}: cannot be deleted; make a new one")


class Shown:
    """A value with a table of its own, for terminals and notebooks; ``repr`` is one short line."""

    def summary(self) -> str:
        """Return the table that the command line prints for such a value, as plain text."""
        return upward["summary"](self)

    def _repr_html_(self) -> str:
        return upward["html"](self)
