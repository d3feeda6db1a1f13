"""Terminals that cannot show every character: ASCII, cp932, and file names whose bytes are no text.

What a stream cannot encode is written in other words instead of ending the command: a micro sign as u, a minus sign as
-, and anything else, bytes of file names included, as an escape.
"""

from __future__ import annotations

import codecs
import sys

__all__ = ["printable", "show_everything"]

_HANDLER = "conntra"
_WORDS = {
    "\u00b5": "u",  # micro sign
    "\u03bc": "u",  # Greek mu
    "\u00d7": "x",
    "\u2212": "-",
    "\u2013": "-",
    "\u2014": "-",
    "\u2192": "->",
    "\u2026": "...",
    "\u00b7": "*",
    "\u00b1": "+-",
    "\u2264": "<=",
    "\u2265": ">=",
    "\u2018": "'",
    "\u2019": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u2022": "*",
} | {chr(code): "-" for code in range(0x2500, 0x2580)}  # lines of boxes


_CONTROL = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}


def printable(text: str) -> str:
    """Return ``text`` with control characters as escapes: a name in a file must not move the cursor, or do worse."""
    return text.translate(_CONTROL)


def show_everything() -> None:
    """Have standard output and standard error write what they can, and say the rest in other words."""
    codecs.register_error(_HANDLER, _in_other_words)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_HANDLER)


def _in_other_words(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    characters = error.object[error.start : error.end]
    return "".join(_WORDS.get(c) or c.encode("ascii", "backslashreplace").decode() for c in characters), error.end
