"""Methods that reach upwards: ``program.run`` belongs to a value that stands below all that runs it.

A module never imports what stands above it: the package's ``__init__`` fills in these functions, and ``Program`` calls
them by name. ``compiling`` is the command line's, where it has one: called before a kernel is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["upward"]

upward: dict[str, Callable[..., Any]] = {}
