"""Raw features as encoders take them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import ArrayLike, as_array
from conntra_hardware.base.errors import InputError

__all__ = ["as_features"]


def as_features(x: ArrayLike, n_features: int | None = None) -> npt.NDArray[Any]:
    """Return ``x`` as finite numbers of shape (n, n_features); trailing axes are flattened."""
    array = as_array(x, "features")
    if array.dtype.kind not in "biuf":
        raise InputError(f"features: type {array.dtype}; numbers expected")
    if array.ndim < 2:
        raise InputError(f"features: shape {array.shape}; (n, features) expected")
    array = array.reshape(len(array), -1) if array.size else array.reshape(len(array), int(np.prod(array.shape[1:])))
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise InputError(f"features: NaN or infinite in sample {row}; drop or impute such samples")
    if n_features is not None and array.shape[1] != n_features:
        raise InputError(f"features: {array.shape[1]} a sample; {n_features} expected")
    return array
