"""A fully connected layer."""

from __future__ import annotations

import numpy as np

from conntra_hardware.base.arrays import ArrayLike, IntArray
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

    Raises InputError for weights that are not integers or not levels, and for shapes that do not belong together.
    """

    def __init__(
        self,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        activation: str | Neuron = "threshold",
        levels: Levels | None = None,
    ) -> None:
        super().__init__(weight, bias, activation, levels, ndim=2)
        self.shape: tuple[int, int] = (self._weight_shape[0], self._weight_shape[1])
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

    def potentials(self, x: IntArray) -> IntArray:
        """Return ``x @ weight.T + bias`` as int64, exactly; ``x`` integers (n, n_in)."""
        if self._largest_sum(x) < _FLOAT64_EXACT:
            # Every partial sum is an integer below 2^53, so BLAS in float64 is exact in any order of summation.
            product = x.astype(np.float64) @ self.weight.T.astype(np.float64)
            return np.rint(product).astype(np.int64) + self.bias
        return x.astype(np.int64) @ self.weight.T.astype(np.int64) + self.bias

    def __repr__(self) -> str:
        return f"Dense({self.n_in} -> {self.n_out}, {self.neuron.kind}, levels {self.levels})"
