"""The seal of a certificate: one SHA-256 over all that it says, so that no claim, version or hash changes unnoticed.

It finds damage and careless edits. Whoever changes a certificate on purpose can seal it anew: against that stands a
signature (``signature``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["SEAL", "as_written", "seal_differs", "sealed"]

SEAL = "seal"
"""The entry that holds it."""


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``document``, of values for JSON, with its seal as the last entry."""
    plain = {key: value for key, value in document.items() if key != SEAL}
    return plain | {SEAL: _digest(plain)}


def seal_differs(document: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the seal of ``document`` in one line; None where it holds or where there is none."""
    if SEAL not in document or document[SEAL] == sealed(document)[SEAL]:
        return None
    return f"{SEAL}: does not match; the certificate was changed after it was made"


def as_written(path: str | Path, document: Mapping[str, Any]) -> str | None:
    """Return in one line what differs between the file ``path`` and ``document``, read from it, as it was written.

    No byte of a sealed certificate may change, blanks and line breaks included. None where all is as it was, and for
    certificates of earlier versions, which have no seal.
    """
    if SEAL not in document:
        return None
    data = Path(path).read_bytes()
    texts = (json.dumps(document, indent=2, ensure_ascii=ascii_only) for ascii_only in (True, False))
    if any(data == text.encode("utf-8", "surrogatepass") + b"\n" for text in texts):
        return None
    return "layout: blanks, line breaks or escapes are not those that `conntra verify` writes; the file was changed"


def _digest(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(b"conntra certificate 1\n" + text.encode()).hexdigest()
