"""Hostile values, and changes of bytes and of JSON values: what the mutations of every format are made of."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
from reader_confined import CANARY

__all__ = ["FLOATS", "NUMBERS", "TEXTS", "changed_bytes", "changed_tree", "hostile", "hostile_array"]

NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    7,
    64,
    255,
    256,
    4097,
    2**31 - 1,
    2**31,
    -(2**31),
    2**63 - 1,
    2**63,
    -(2**63),
    2**70,
    10**30,
)
FLOATS = (0.5, -0.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), -float("inf"))
TEXTS = (
    "",
    " ",
    "a\nb",
    CANARY,
    "../../../etc/passwd",
    "/etc/passwd",
    "\x00",
    "é" * 5,
    "x" * 10_000,
    "dense",
    "ö\ud800",
)
_SHAPES = ((0,), (1,), (3,), (8,), (2, 3), (4, 8), (3, 4), (1, 1, 1), (2, 1, 3, 3), (0, 5), ())
_DTYPES = ("int8", "uint8", "int64", "uint64", "float64", "float32", "float16", "bool", "complex128")


def hostile(rng: random.Random) -> Any:
    """Return a JSON value that nobody expects."""
    kind = rng.randrange(8)
    if kind < 3:
        return rng.choice(NUMBERS)
    if kind == 3:
        return rng.choice(FLOATS)
    if kind == 4:
        return rng.choice(TEXTS)
    if kind == 5:
        return rng.choice((None, True, False, [], {}, [[]], {"": None}))
    if kind == 6:
        return [rng.choice(NUMBERS) for _ in range(rng.randrange(6))]
    return {rng.choice(TEXTS): rng.choice(NUMBERS) for _ in range(rng.randrange(1, 4))}


def hostile_array(rng: random.Random, like: np.ndarray | None = None) -> np.ndarray:
    """Return an array that nobody expects: of another type or shape, or with extreme values."""
    kind = rng.randrange(6)
    shape = rng.choice(_SHAPES) if like is None or kind == 0 else like.shape
    dtype = np.dtype(rng.choice(_DTYPES) if like is None or kind < 3 else like.dtype)
    made = np.zeros(shape, dtype) if like is None or kind < 3 else np.array(like)
    if like is not None and kind == 3 and like.ndim:
        return np.concatenate([like, like]) if rng.random() < 0.5 else like[: rng.randrange(len(like) + 1)]
    if made.size and made.dtype.kind in "iufb":
        flat = made.reshape(-1)
        extremes = [0, 1] if dtype.kind == "b" else list(FLOATS) if dtype.kind == "f" else [
            np.iinfo(dtype).min, np.iinfo(dtype).max, 0, 1, 3,
        ]  # fmt: skip
        with np.errstate(all="ignore"):
            for _ in range(rng.randrange(1, 4)):
                flat[rng.randrange(flat.size)] = rng.choice(extremes)
    return made


def changed_bytes(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Return ``data`` with some bytes changed, cut, put in or taken from ``other``, whatever they mean."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        kind, at = rng.randrange(8), rng.randrange(len(found) + 1)
        if kind == 0 and found:
            found[at % len(found)] ^= 1 << rng.randrange(8)
        elif kind == 1 and found:
            found[at % len(found)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 2:
            del found[at:]
        elif kind == 3:
            del found[at : at + rng.choice((1, 2, 4, 100))]
        elif kind == 4:
            found[at:at] = rng.randbytes(rng.choice((1, 2, 4, 8, 100)))
        elif kind == 5 and other:
            start = rng.randrange(len(other))
            found[at:at] = other[start : start + rng.choice((4, 16, 256))]
        elif kind == 6:
            width = rng.choice((2, 4, 8))
            value = rng.choice((0, 1, 2**15, 2**31 - 1, 2**32 - 1, 2**63 - 1)) % 2 ** (8 * width)
            found[at : at + width] = value.to_bytes(width, rng.choice(("little", "big")))
        else:
            found[at:at] = found[at : at + 64]
    return bytes(found)


def _places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Return every (container, key) of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found.append((value, key))
        _places(inner, found)
    return found


def changed_tree(value: Any, rng: random.Random) -> Any:
    """Change one entry of a JSON value, in place where there is one."""
    places = _places(value, [])
    if not places or rng.random() < 0.01:
        return hostile(rng)
    container, key = rng.choice(places)
    kind = rng.randrange(10)
    if kind < 6:
        container[key] = hostile(rng)
    elif kind == 6:
        del container[key]
    elif kind == 7:
        source, name = rng.choice(places)
        container[key] = copy.deepcopy(source[name]) if name in range(10**6) or isinstance(source, dict) else None
    elif kind == 8 and isinstance(container, list):
        container.extend(copy.deepcopy(container[key : key + 1]))
    elif isinstance(container[key], (int, float)) and not isinstance(container[key], bool):
        container[key] += rng.choice((-1, 1, 0.5, 1000))
    elif isinstance(container, dict):
        container[rng.choice(TEXTS)] = container.pop(key)
    return value
