"""What ``audio:`` and ``series:`` have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.signal_encoding import SignalCoding
from conntra_neuro.datasets.options import number

__all__ = ["Sampled", "code_options"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Sampled:
    """Arrays x_train, y_train, x_test, y_test of samples, how they become spikes, and where the split comes from."""

    arrays: dict[str, Array]
    coding: SignalCoding
    note: str


def code_options(name: str, options: dict[str, str]) -> dict[str, Any]:
    """Return ``code`` and ``levels`` of a ``SignalCoding``, as ``options`` say them."""
    code = options.get("code", "levels")
    if "levels" in options and code == "delta":
        raise InputError(f"{name}: levels={options['levels']} with code=delta, which has none; leave it out")
    default = 1 if code == "delta" else 3
    return {"code": code, "levels": number(options["levels"], "levels") if "levels" in options else default}
