"""The products of a layer in JAX, bit for bit those of the processor.

Every term is an integer or a multiple of one power of two, and every sum stays below 2^24 of them (2^53 in float64):
exact in any order, as long as the products are whole float32. So ``Precision.HIGHEST`` everywhere, which keeps a GPU
from TF32; images become columns by copies, never by a convolution of a library's, whose fast algorithms (Winograd's,
Fourier transforms) round. What is no large product, softmax and slopes, stays on the processor.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.training.inputs.batches import Batch, DenseBatch, SparseBatch
from conntra_neuro.training.layers.maps import TERMS

__all__ = ["JaxProducts", "device_called"]

Floats = npt.NDArray[Any]
_EXACT = jax.lax.Precision.HIGHEST


def device_called(name: str) -> Any:
    """Return the device: "gpu", or "jax" for the one that JAX takes by itself. InputError where there is none."""
    if name == "jax":
        return jax.devices()[0]
    try:
        return jax.devices("gpu")[0]
    except RuntimeError:
        raise InputError(
            f"device gpu: JAX {jax.__version__} finds none here, only {jax.devices()[0].platform}; use device cpu, "
            'or install JAX for your GPU, as by pip install "jax[cuda12]"'
        ) from None


class JaxProducts:
    """Products on ``device``; arrays go there and come back with each of them, columns and mini-batches stay there."""

    def __init__(self, device: Any) -> None:
        self._device = device
        self._batch: tuple[Batch, Any] | None = None

    def seen(self, x: Floats, geometry: Geometry | None) -> Any:
        """Return what each unit sees, on the device: (groups, rows, inputs of a unit)."""
        with _precise(x.dtype):
            there = self._put(x)
            return there.reshape(1, len(x), -1) if geometry is None else _gather(there, geometry)

    def potentials(self, columns: Any, weights: Floats) -> Floats:
        """Return ``columns @ weights`` (rows, outputs), biases included."""
        with _precise(weights.dtype):
            return _back(_potentials(columns, self._put(weights)))

    def score(self, columns: Any, q: Floats) -> npt.NDArray[np.float64]:
        """Return ``columns.T @ q`` (inputs of a unit + 1, outputs); sums of ``TERMS`` rows are added up in float64."""
        with _precise(q.dtype):
            parts, biases = _score(self._put(columns), self._put(q))
        sums = np.asarray(parts).sum(axis=0, dtype=np.float64)  # (groups, inputs, outputs of a group)
        inner = sums.transpose(1, 0, 2).reshape(sums.shape[1], -1)
        return np.vstack([inner, np.asarray(biases).sum(axis=0, dtype=np.float64)])

    def down(self, q: Floats, weights: Floats, geometry: Geometry | None, n: int) -> Floats:
        """Return what the terms ``q`` (rows, outputs) are to the inputs: (n, inputs), or images."""
        with _precise(q.dtype):
            return _back(_down(self._put(q), self._put(weights.astype(q.dtype, copy=False)), geometry, n))

    def multiply(self, a: Floats, b: Floats, out: Floats) -> None:
        """Write ``a @ b`` into ``out``."""
        with _precise(out.dtype):
            out[...] = _multiply(self._put(a), self._put(b))

    def batch_potentials(self, batch: Batch, weights: Floats, out: Floats) -> None:
        """Write ``batch @ weights`` (B, n_out) into ``out``."""
        with _precise(out.dtype):
            out[...] = _multiply(self._matrix(batch, len(out), len(weights), out.dtype), self._put(weights))

    def batch_scores(self, batch: Batch, q: Floats, out: Floats) -> None:
        """Write ``batch.T @ q`` (n_in + 1, n_out) into ``out``."""
        with _precise(out.dtype):
            out[...] = _multiply(self._matrix(batch, len(q), len(out), out.dtype).T, self._put(q))

    def _put(self, x: Any) -> Any:
        return jax.device_put(x, self._device) if isinstance(x, np.ndarray) else x

    def _matrix(self, batch: Batch, n: int, width: int, dtype: Any) -> Any:
        """Return a mini-batch as a matrix (n, width) on the device, where it stays until the next one comes."""
        if self._batch is None or self._batch[0] is not batch:
            if isinstance(batch, DenseBatch):
                x = batch.x
            else:
                assert isinstance(batch, SparseBatch)
                x = np.zeros((n, width), dtype)
                x[np.repeat(np.arange(n), np.diff(batch.start)), batch.index] = 1
                x[:, -1] = 1
            self._batch = batch, self._put(x)
        return self._batch[1]


def _precise(dtype: Any) -> AbstractContextManager[Any]:
    """Let JAX have float64 where that is asked for."""
    if dtype != np.float64:
        return nullcontext()
    enabled: Callable[[bool], AbstractContextManager[Any]] | None = getattr(jax, "enable_x64", None)
    if enabled is None:
        from jax.experimental import enable_x64 as enabled
    return enabled(True)


def _back(x: Any) -> Floats:
    """Return an array of the device's as one of NumPy's that may be written to."""
    return np.array(x)


@jax.jit
def _multiply(a: Any, b: Any) -> Any:
    return jnp.matmul(a, b, precision=_EXACT)


@jax.jit
def _potentials(columns: Any, weights: Any) -> Any:
    groups, rows, inner = columns.shape
    kernel = weights[:-1].reshape(inner, groups, -1).transpose(1, 0, 2)
    return jnp.matmul(columns, kernel, precision=_EXACT).transpose(1, 0, 2).reshape(rows, -1) + weights[-1]


@jax.jit
def _score(columns: Any, q: Any) -> tuple[Any, Any]:
    """Return sums of ``TERMS`` rows: (parts, groups, inputs, outputs of a group), and (parts, outputs) of biases."""
    groups, rows, inner = columns.shape
    size = min(rows, TERMS)
    parts = -(-rows // size)
    more = parts * size - rows
    x = jnp.pad(columns, ((0, 0), (0, more), (0, 0))).reshape(groups, parts, size, inner)
    terms = jnp.pad(q, ((0, more), (0, 0))).reshape(parts, size, groups, -1)
    sums = jnp.einsum("gpri,prgo->pgio", x, terms, precision=_EXACT)
    return sums, terms.sum(axis=1).reshape(parts, -1)


@partial(jax.jit, static_argnums=(2, 3))
def _down(q: Any, weights: Any, geometry: Geometry | None, n: int) -> Any:
    if geometry is None:
        return jnp.matmul(q, weights[:-1].T, precision=_EXACT)
    inner, groups = len(weights) - 1, geometry.groups
    kernel = weights[:-1].reshape(inner, groups, -1).transpose(1, 2, 0)
    columns = jnp.matmul(q.reshape(len(q), groups, -1).transpose(1, 0, 2), kernel, precision=_EXACT)
    channels, height, width = geometry.input_shape
    images = jax.ShapeDtypeStruct((n, height, width, channels), q.dtype)
    return jax.linear_transpose(partial(_columns, geometry=geometry), images)(columns)[0]


@partial(jax.jit, static_argnums=1)
def _gather(x: Any, geometry: Geometry) -> Any:
    return _columns(x, geometry)


def _columns(x: Any, geometry: Geometry) -> Any:
    """Return the columns of images (n, h, w, channels), as ``layers.columns.gather`` orders them, places as rows."""
    _, rows, width = geometry.output_shape
    ends = [
        (count - 1) * stride + (kernel - 1) * dilation + 1
        for count, stride, kernel, dilation in zip(
            (rows, width), geometry.stride, geometry.kernel, geometry.dilation, strict=True
        )
    ]
    (top, left), (_, height, across) = geometry.padding, geometry.input_shape
    beyond = max(ends[0] - height - top, 0), max(ends[1] - across - left, 0)
    x = jnp.pad(x, ((0, 0), (top, beyond[0]), (left, beyond[1]), (0, 0)))
    (down, right), (below, beside) = geometry.stride, geometry.dilation
    places = [
        x[:, a : a + (rows - 1) * down + 1 : down, b : b + (width - 1) * right + 1 : right]
        for a in range(0, geometry.kernel[0] * below, below)
        for b in range(0, geometry.kernel[1] * beside, beside)
    ]
    inner = geometry.kernel_shape[1]
    seen = jnp.stack(places, axis=3)  # (n, rows, width, places of the kernel, channels)
    seen = seen.reshape(len(x) * rows * width, len(places), geometry.groups, inner)
    return seen.transpose(2, 0, 1, 3).reshape(geometry.groups, -1, len(places) * inner)
