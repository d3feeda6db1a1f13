"""What every layer is: exact integer potentials of flat integer rows, then neurons, or none."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.arrays import ArrayLike, IntArray, as_integers, frozen
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.values import Immutable
from conntra_hardware.base.weight_packing import pack, unpack
from conntra_hardware.neurons import Neuron, neuron_from_name
from conntra_hardware.program.projection import LONGEST_DELAY
from conntra_neuro.network.levels import Levels

__all__ = ["Layer", "Path", "Shape", "Weighted"]

Path: TypeAlias = tuple[int, Callable[[IntArray], IntArray]]
"""A delay in time steps, and the function from inputs (n, n_in) to the sums (n, n_out) that arrive so much later."""

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


def _delay(value: int | ArrayLike) -> int | IntArray:
    if np.ndim(value) == 0:
        return whole(value, "delay", 0, LONGEST_DELAY)
    delays = as_integers(value, "delay", ndim=np.ndim(value), dtype=np.int16)
    if delays.size and (delays.min() < 0 or delays.max() > LONGEST_DELAY):
        raise InputError(f"delay: from {delays.min()} to {delays.max()}; 0 to {LONGEST_DELAY} time steps expected")
    return int(delays.flat[0]) if len(np.unique(delays)) == 1 else delays


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
    ``delay`` is a number, or an array of one a synapse (the shape of a dense weight) or one an input (n_in,).
    """

    def __init__(
        self,
        weight: ArrayLike,
        bias: ArrayLike | None,
        activation: str | Neuron,
        levels: Levels | None,
        ndim: int,
        delay: int | ArrayLike = 0,
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
        self.delay: int | IntArray = _delay(delay)
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

    @property
    @abstractmethod
    def neuron_bias(self) -> IntArray:
        """The bias of every neuron, (n_out,)."""

    @abstractmethod
    def sums(self, x: IntArray) -> IntArray:
        """Return the synaptic sums (n, n_out), int64, of integer rows ``x`` (n, n_in), exactly."""

    def potentials(self, x: IntArray) -> IntArray:
        """Return the sums with the bias, (n, n_out), int64, of integer rows ``x`` (n, n_in), exactly."""
        return self.sums(x) + self.neuron_bias

    def paths(self) -> Sequence[Path]:
        """Return for each delay the function from inputs (n, n_in) to the sums (n, n_out) that arrive so much later."""
        if isinstance(self.delay, int):
            return [(self.delay, self.sums)]
        return [(int(delay), self._delayed(self.delay == delay)) for delay in np.unique(self.delay)]

    def _delayed(self, chosen: npt.NDArray[np.bool_]) -> Callable[[IntArray], IntArray]:
        """Return the sums of the ``chosen`` inputs alone, (n_in,)."""
        return lambda x: self.sums(x * chosen)

    @property
    def is_delayed(self) -> bool:
        """Whether any of its synapses has a delay."""
        return bool(np.any(self.delay))

    def _largest_sum(self, x: npt.NDArray[Any]) -> int:
        """Return a bound on every partial sum of a potential of ``x``."""
        return max(int(np.abs(x).max(initial=0)), 1) * self._max_magnitude
