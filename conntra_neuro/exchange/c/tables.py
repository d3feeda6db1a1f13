"""Numbers as C tables: their type, their text, and weights as bit planes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_neuro.exchange.c.plan import words

__all__ = ["bit_planes", "coded", "smallest", "table"]


def table(kind: str, name: str, numbers: npt.NDArray[np.generic]) -> str:
    """Return a C table."""
    if kind == "uint32_t":
        texts = [f"0x{int(v):08x}u" for v in numbers]
    elif kind in ("double", "float"):
        texts = [repr(float(v)) + ("f" if kind == "float" else "") for v in numbers]
    else:
        texts = [str(int(v)) for v in numbers]
    lines: list[str] = []
    for text in texts:
        if lines and len(lines[-1]) + len(text) < 110:
            lines[-1] += f" {text},"
        else:
            lines.append(f"    {text},")
    return "\n".join([f"static const {kind} {name}[{len(texts)}] = {{", *lines, "};"])


def coded(levels: tuple[int, ...]) -> tuple[int, int, int]:
    """Return low, step and bits for which every level is low + step * (a number of so many bits)."""
    low = levels[0]
    step = int(np.gcd.reduce(np.array(levels) - low))
    return low, step, int((levels[-1] - low) // step).bit_length()


def bit_planes(numbers: npt.NDArray[np.int64], planes: int) -> npt.NDArray[np.uint32]:
    """Return rows (n_out, words * planes): for each 32 inputs, one word a bit of their numbers."""
    rows, n = numbers.shape
    padded = np.zeros((rows, words(n) * 32), np.int64)
    padded[:, :n] = numbers
    bits = (padded.reshape(rows, -1, 1, 32) >> np.arange(planes)[:, None]) & 1
    return (bits << np.arange(32)).sum(axis=-1).astype(np.uint32).reshape(rows, -1)


def smallest(numbers: IntArray) -> str:
    """Return the C type of the smallest integers that hold ``numbers``."""
    low, high = int(numbers.min()), int(numbers.max())
    for bits in (8, 16):
        if -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1):
            return f"int{bits}_t"
    return "int32_t"
