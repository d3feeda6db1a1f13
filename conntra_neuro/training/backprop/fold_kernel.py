"""Batch normalisation folded into convolution kernels, with the same decisions at every position."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_neuro.network.levels import Levels
from conntra_neuro.training.backprop.fold import Ints, Normalisation, fold

__all__ = ["fold_kernel"]


def fold_kernel(kernel: npt.ArrayLike, normalisation: Normalisation, levels: Levels) -> tuple[Ints, Ints]:
    """Return an integer (kernel, bias) whose neurons spike iff the normalised potential of the given kernel is above 0.

    ``kernel`` (out, in / groups, height, width) of integers, each one of ``levels``; ``normalisation`` arrays and the
    bias have shape (out,). For every input of 0 and 1, padding included: see ``fold``, which says what it raises.
    """
    array = np.asarray(kernel, dtype=np.int64)
    if array.ndim != 4:
        raise InputError(f"kernel: shape {array.shape}; (out, in / groups, height, width) expected")
    weight, bias = fold(array.reshape(len(array), -1).T, normalisation, levels)
    return np.ascontiguousarray(weight.T).reshape(array.shape), bias
