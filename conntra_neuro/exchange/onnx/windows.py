"""Convolutions of one image with different kernels, as convolutions with one window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.convolution import Geometry

__all__ = ["in_one_window", "ungrouped"]

Array: TypeAlias = Any


def ungrouped(weight: Array, geometry: Geometry) -> tuple[Array, Geometry]:
    """Return a grouped convolution's kernel (outputs, inputs of a group, ...) as one that sees all channels."""
    if geometry.groups == 1:
        return weight, geometry
    out, each = len(weight), weight.shape[1]
    kernel = np.zeros((out, geometry.input_shape[0], *weight.shape[2:]), weight.dtype)
    for row in range(out):
        first = row // (out // geometry.groups) * each
        kernel[row, first : first + each] = weight[row]
    return kernel, replace(geometry, groups=1)


def in_one_window(
    kernels: Sequence[tuple[Array, Geometry]], what: str
) -> tuple[list[Array], tuple[tuple[int, int], tuple[int, int], tuple[int, int]]]:
    """Return kernels (..., height, width) of one size that see what each saw, and their shared stride and padding.

    Of images of one size, with outputs of one size; the third pair is the kernel's size. InputError names ``what``
    where strides differ, or the edges that are seen.
    """
    first = kernels[0][1]
    if any(
        (g.stride, g.dilation, g.padding, g.kernel) != (first.stride, first.dilation, first.padding, first.kernel)
        for _, g in kernels
    ):
        return _grown(kernels, what)
    return [kernel for kernel, _ in kernels], (first.stride, first.padding, first.kernel)


def _grown(
    kernels: Sequence[tuple[Array, Geometry]], what: str
) -> tuple[list[Array], tuple[tuple[int, int], tuple[int, int], tuple[int, int]]]:
    geometries = [geometry for _, geometry in kernels]
    first = geometries[0]
    for g in geometries:
        if g.stride != first.stride or g.input_shape[1:] != first.input_shape[1:]:
            raise InputError(f"{what}: adds convolutions with strides {first.stride} and {g.stride} of one source")
        if g.output_shape[1:] != first.output_shape[1:]:
            raise InputError(f"{what}: adds images of {first.output_shape[1:]} and {g.output_shape[1:]}")
    padding, size = [], []
    for axis in (0, 1):
        pad = max(g.padding[axis] for g in geometries)
        end = max(g.span[axis] - g.padding[axis] for g in geometries)
        # As many places as there are: rows of zeros take the room that a wider padding makes.
        side, places = first.input_shape[1 + axis], first.output_shape[1 + axis]
        spare = (side + 2 * pad - (end + pad)) // first.stride[axis] + 1 - places
        padding.append(pad)
        size.append(end + pad + max(0, spare) * first.stride[axis])
    found = []
    for kernel, g in kernels:
        grown = np.zeros((*kernel.shape[:-2], *size), kernel.dtype)
        rows, columns = (
            padding[axis] - g.padding[axis] + g.dilation[axis] * np.arange(g.kernel[axis]) for axis in (0, 1)
        )
        grown[..., rows[:, None], columns] = kernel
        found.append(grown)
    return found, (first.stride, (padding[0], padding[1]), (size[0], size[1]))
