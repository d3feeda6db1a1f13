"""Where this package keeps what it can make again: downloads, decoded images, simulators' environments."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Return the user's cache folder: $CONNTRA_CACHE, else ``conntra`` in $XDG_CACHE_HOME or ~/.cache."""
    if os.environ.get("CONNTRA_CACHE"):
        return Path(os.environ["CONNTRA_CACHE"]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "conntra"
