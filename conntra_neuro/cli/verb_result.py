"""What a verb hands back: a JSON document, what people see instead of it, and the exit status."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["DONE", "INTERRUPTED", "NO", "TERMINATED", "WRONG", "Outcome", "to_json", "write_json"]

DONE, NO, WRONG, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143
"""Exit statuses: done; the answer is no; wrong use or bad input; ended by Ctrl-C; ended by SIGTERM."""


@dataclass(frozen=True)
class Outcome:
    """``document`` is what ``--json`` prints, ``views`` what people get, top to bottom.

    ``lines`` come first, each as soon as it is there: a document, on one line, and what people get instead.
    """

    document: Mapping[str, Any]
    views: tuple[RenderableType, ...] = ()
    status: int = DONE
    lines: Iterator[tuple[Mapping[str, Any], str]] | None = None


def to_json(document: Mapping[str, Any], ascii_only: bool = False, indent: int | None = 2) -> str:
    """Return ``document`` as one JSON object; NumPy numbers and tuples are taken as what they mean."""
    return json.dumps(document, indent=indent, allow_nan=False, ensure_ascii=ascii_only, default=_plain)


def write_json(path: str | Path, document: Mapping[str, Any]) -> None:
    """Write ``document`` into a file of UTF-8; names of files whose bytes are no text are escaped."""
    from conntra_hardware.base.files import write_atomically

    try:
        data = to_json(document).encode()
    except UnicodeEncodeError:
        data = to_json(document, ascii_only=True).encode()
    write_atomically(path, data + b"\n")


def _plain(value: Any) -> Any:
    for method in ("tolist", "to_dict"):
        if hasattr(value, method):
            return getattr(value, method)()
    return str(value)
