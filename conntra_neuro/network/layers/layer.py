"""What every layer is: exact integer potentials of flat integer rows, then neurons, or none."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import ArrayLike, IntArray, as_integers, frozen
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.values import Immutable
from conntra_hardware.base.weight_packing import pack, unpack
from conntra_hardware.neurons import Neuron, neuron_from_name
from conntra_neuro.network.levels import Levels

__all__ = ["Layer", "Shape", "Weighted"]

Shape: TypeAlias = tuple[int, ...]
"""(features,), or (channels, height, width): rows are flat, in that order."""


@runtime_checkable
class Layer(Protocol):
    """A layer: integer rows (n, n_in) to integer potentials (n, n_out), then its neurons.

    Where ``neuron`` is None it has none of its own: the potentials go on to the next layer as they are.
    """

    @property
    def neuron(self) -> Neuron | None:
        """The kind of its neurons."""
        ...

    @property
    def input_shape(self) -> Shape:
        """Shape of its inputs."""
        ...

    @property
    def output_shape(self) -> Shape:
        """Shape of its outputs."""
        ...

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        ...

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        ...

    @property
    def n_weights(self) -> int:
        """Number of trainable weights, biases apart."""
        ...

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Bytes that the weights and biases take, in memory and in a file."""
        ...

    def potentials(self, x: IntArray) -> IntArray:
        """Return the potentials (n, n_out), int64, of inputs (n, n_in)."""
        ...


def neuron_of(activation: str | Neuron) -> Neuron:
    """Return a neuron, or the one that is meant by its name; InputError for anything else."""
    if isinstance(activation, Neuron):
        return activation
    if isinstance(activation, str):
        return neuron_from_name(activation)
    raise InputError(f"activation {activation!r}: a name or a neuron expected, as 'threshold' or GradedRelu(shift=2)")


class Weighted(Immutable):
    """Weights from a finite set, packed; biases; neurons: what Dense and Conv2d have in common.

    Axis 0 of the weight is the output (a neuron, or a channel of neurons that share weights), with one bias each.
    """

    def __init__(
        self, weight: ArrayLike, bias: ArrayLike | None, activation: str | Neuron, levels: Levels | None, ndim: int
    ) -> None:
        array = as_integers(weight, "weight", ndim=ndim, dtype=np.int32)
        if array.size == 0:
            raise InputError(f"weight: shape {array.shape}; at least one input and one output expected")
        self.levels = Levels.of(array) if levels is None else levels
        self._weight_shape = array.shape
        self._packed = frozen(pack(array, self.levels.values))
        bias = np.zeros(array.shape[0], dtype=np.int32) if bias is None else bias
        self.bias: IntArray = as_integers(bias, "bias", ndim=1, dtype=np.int32)
        if len(self.bias) != array.shape[0]:
            raise InputError(f"bias: shape {self.bias.shape}; ({array.shape[0]},) expected for weight {array.shape}")
        self.neuron: Neuron = neuron_of(activation)
        self.n_nonzero: int = int(np.count_nonzero(array))
        flat = array.reshape(len(array), -1)
        self._max_magnitude = int(
            np.abs(flat.astype(np.int64)).sum(axis=1).max() + np.abs(self.bias.astype(np.int64)).max()
        )

    @property
    def weight(self) -> IntArray:
        """The weights, unpacked anew at each reading: keep them in a local variable in a loop."""
        return unpack(self._packed, self.levels.values, self._weight_shape)

    @property
    def packed_weight(self) -> npt.NDArray[np.uint8]:
        """The weights as stored, row-major; see ``conntra_hardware.base.weight_packing``."""
        return self._packed

    @property
    def n_weights(self) -> int:
        """Number of weights, biases apart."""
        return int(np.prod(self._weight_shape, dtype=np.int64))

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return self.n_weights + len(self.bias)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the packed weights and the 32-bit biases."""
        return self._packed.nbytes + self.bias.nbytes

    def _largest_sum(self, x: npt.NDArray[Any]) -> int:
        """Return a bound on every partial sum of a potential of ``x``."""
        return max(int(np.abs(x).max(initial=0)), 1) * self._max_magnitude
