"""A fully connected layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import ArrayLike, IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import Neuron
from conntra_neuro.network.layers.layer import Shape, Weighted
from conntra_neuro.network.levels import Levels

__all__ = ["Dense"]

_FLOAT64_EXACT = 2**53


class Dense(Weighted):
    """A fully connected layer: ``potential = weight @ x + bias``, then ``activation``.

    weight      integers (n_out, n_in), each one of ``levels``; kept packed (ternary: five to a byte), unpacked to read
    bias        integers (n_out,), in weight units
    activation  "threshold" (spike iff potential > 0), "readout" (the potential is the logit), or a neuron of
                ``conntra_hardware.neurons``, such as GradedRelu(shift=2)
    levels      the finite set the weights come from; None takes the smallest usual one
    delay       time steps that spikes take longer, 0 to 63: a number, one an input (n_in,), or one a synapse
                (n_out, n_in)

    Raises InputError for weights that are not integers or not levels, and for shapes that do not belong together.
    """

    def __init__(
        self,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        activation: str | Neuron = "threshold",
        levels: Levels | None = None,
        *,
        delay: int | ArrayLike = 0,
    ) -> None:
        super().__init__(weight, bias, activation, levels, ndim=2, delay=delay)
        self.shape: tuple[int, int] = (self._weight_shape[0], self._weight_shape[1])
        if np.ndim(self.delay) and np.shape(self.delay) not in ((self.n_in,), self.shape):
            raise InputError(
                f"Dense: delay of shape {np.shape(self.delay)}; one, ({self.n_in},) or {self.shape} expected"
            )
        self.neuron.check_size(self.shape[0], "Dense")
        self._seal()

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self.shape[1]

    @property
    def n_out(self) -> int:
        """Number of neurons."""
        return self.shape[0]

    @property
    def input_shape(self) -> Shape:
        """(n_in,)."""
        return (self.n_in,)

    @property
    def output_shape(self) -> Shape:
        """(n_out,)."""
        return (self.n_out,)

    @property
    def neuron_bias(self) -> IntArray:
        """The bias of every neuron, (n_out,)."""
        return self.bias

    def sums(self, x: IntArray) -> IntArray:
        """Return ``x @ weight.T`` as int64, exactly; ``x`` integers (n, n_in)."""
        return self._product(x, self.weight)

    def _product(self, x: IntArray, weight: IntArray) -> IntArray:
        if self._largest_sum(x) < _FLOAT64_EXACT:
            # Every partial sum is an integer below 2^53, so BLAS in float64 is exact in any order of summation.
            return np.rint(x.astype(np.float64) @ weight.T.astype(np.float64)).astype(np.int64)
        return x.astype(np.int64) @ weight.T.astype(np.int64)

    def _delayed(self, chosen: npt.NDArray[np.bool_]) -> Callable[[IntArray], IntArray]:
        if chosen.ndim == 1:
            return super()._delayed(chosen)
        return lambda x: self._product(x, self.weight * chosen)

    def __repr__(self) -> str:
        return f"Dense({self.n_in} -> {self.n_out}, {self.neuron.kind}, levels {self.levels.short})"
