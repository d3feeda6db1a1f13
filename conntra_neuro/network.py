"""Discrete networks: integer weights from a finite set, integer biases, and the integer forward pass.

``DiscreteNetwork.forward`` is the definition of correct: every kernel, compiler stage and backend is held to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from conntra_hardware.arrays import ArrayLike, IntArray, SpikeArray, as_integers, as_spikes, frozen
from conntra_hardware.encoding import Encoder
from conntra_hardware.errors import InputError
from conntra_hardware.neurons import Neuron, neuron_from_name
from conntra_hardware.packing import pack, unpack
from conntra_neuro.levels import Levels

__all__ = ["Dense", "DiscreteNetwork", "Layer"]

_FLOAT64_EXACT = 2**53


@runtime_checkable
class Layer(Protocol):
    """A layer: integer inputs (n, n_in) to integer potentials (n, n_out), then a neuron."""

    neuron: Neuron

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        ...

    @property
    def n_out(self) -> int:
        """Number of neurons."""
        ...

    @property
    def n_weights(self) -> int:
        """Number of trainable weights, biases apart."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Bytes that the weights and biases take, in memory and in a file."""
        ...

    def potentials(self, x: IntArray) -> IntArray:
        """Return the potentials (n, n_out) of inputs (n, n_in)."""
        ...


class Dense:
    """A fully connected layer: ``potential = weight @ x + bias``, then ``activation``.

    weight      integers (n_out, n_in), each one of ``levels``; kept packed (ternary: five to a byte), unpacked to read
    bias        integers (n_out,), in weight units
    activation  "threshold" (spike iff potential > 0) or "readout" (the potential is the logit)
    levels      the finite set the weights come from; None takes the smallest usual one
    """

    def __init__(
        self,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        activation: str | Neuron = "threshold",
        levels: Levels | None = None,
    ) -> None:
        matrix = as_integers(weight, "weight", ndim=2, dtype=np.int32)
        if matrix.size == 0:
            raise InputError(f"weight: shape {matrix.shape}; at least one input and one neuron expected")
        self.levels = Levels.of(matrix) if levels is None else levels
        self.shape: tuple[int, int] = (matrix.shape[0], matrix.shape[1])
        self._packed = frozen(pack(matrix, self.levels.values))
        bias = np.zeros(matrix.shape[0], dtype=np.int32) if bias is None else bias
        self.bias: IntArray = as_integers(bias, "bias", ndim=1, dtype=np.int32)
        if self.bias.shape != (self.n_out,):
            raise InputError(f"bias: shape {self.bias.shape}; ({self.n_out},) expected for weight {self.shape}")
        self.neuron: Neuron = neuron_from_name(activation) if isinstance(activation, str) else activation
        self.n_nonzero: int = int(np.count_nonzero(matrix))
        self._max_magnitude = int(
            np.abs(matrix.astype(np.int64)).sum(axis=1).max() + np.abs(self.bias.astype(np.int64)).max()
        )

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self.shape[1]

    @property
    def n_out(self) -> int:
        """Number of neurons."""
        return self.shape[0]

    @property
    def n_weights(self) -> int:
        """Number of weights, biases apart."""
        return self.shape[0] * self.shape[1]

    @property
    def weight(self) -> IntArray:
        """The weights (n_out, n_in), unpacked anew at each reading: keep it in a local variable in a loop."""
        return unpack(self._packed, self.levels.values, self.shape)

    @property
    def packed_weight(self) -> npt.NDArray[np.uint8]:
        """The weights as stored, row-major; see ``conntra_hardware.packing``."""
        return self._packed

    @property
    def memory_bytes(self) -> int:
        """Bytes of the packed weights and the 32-bit biases."""
        return self._packed.nbytes + self.bias.nbytes

    def potentials(self, x: IntArray) -> IntArray:
        """Return ``x @ weight.T + bias`` as int64, exactly; ``x`` integers (n, n_in)."""
        largest = int(np.abs(x).max(initial=0))
        if max(largest, 1) * self._max_magnitude < _FLOAT64_EXACT:
            # Every partial sum is an integer below 2^53, so BLAS in float64 is exact in any order of summation.
            product = x.astype(np.float64) @ self.weight.T.astype(np.float64)
            return np.rint(product).astype(np.int64) + self.bias
        return x.astype(np.int64) @ self.weight.T.astype(np.int64) + self.bias

    def __repr__(self) -> str:
        return f"Dense({self.n_in} -> {self.n_out}, {self.neuron.kind}, levels {self.levels})"


class DiscreteNetwork:
    """A feed-forward network of discrete layers, the last one a readout.

    layers   hidden layers spike, the last is a readout; none hidden is logistic regression
    encoder  from raw features to input spikes, or None where inputs are spikes
    labels   the class labels in readout order, or None for 0 .. n-1
    """

    def __init__(
        self, layers: Sequence[Layer], encoder: Encoder | None = None, labels: Sequence[Any] | None = None
    ) -> None:
        self.layers: tuple[Layer, ...] = tuple(layers)
        self.encoder = encoder
        self.labels: tuple[Any, ...] | None = None if labels is None else tuple(labels)
        self._check()

    def _check(self) -> None:
        if not self.layers:
            raise InputError("network: no layers; at least a readout is needed")
        for index, layer in enumerate(self.layers):
            last = index == len(self.layers) - 1
            if layer.neuron.spikes == last:
                raise InputError(f"layer {index} ({layer!r}): the last layer, and only it, has activation='readout'")
            if index and layer.n_in != self.layers[index - 1].n_out:
                before = self.layers[index - 1]
                raise InputError(
                    f"layer {index} ({layer!r}): takes {layer.n_in} inputs, layer {index - 1} gives {before.n_out}"
                )
        if self.encoder is not None and self.encoder.n_out != self.n_in:
            raise InputError(f"network: the encoder gives {self.encoder.n_out} spikes, layer 0 takes {self.n_in}")
        if self.labels is not None and len(self.labels) != self.n_classes:
            raise InputError(f"network: {len(self.labels)} labels for {self.n_classes} classes")

    @property
    def n_in(self) -> int:
        """Number of input spikes."""
        return self.layers[0].n_in

    @property
    def n_classes(self) -> int:
        """Number of logits."""
        return self.layers[-1].n_out

    @property
    def n_weights(self) -> int:
        """Number of weights, biases apart."""
        return sum(layer.n_weights for layer in self.layers)

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return sum(layer.n_weights + layer.n_out for layer in self.layers)

    @property
    def memory_bytes(self) -> int:
        """Bytes of packed weights and biases, in memory and in a model file (its header apart)."""
        return sum(layer.memory_bytes for layer in self.layers)

    def encode(self, x: ArrayLike) -> SpikeArray:
        """Return input spikes (n, n_in) of ``x``: raw features where the network has an encoder, else spikes."""
        return as_spikes(x, self.n_in) if self.encoder is None else self.encoder.encode(x)

    def activity(self, spikes: ArrayLike) -> tuple[list[SpikeArray], IntArray]:
        """Return the spikes (n, size) of every hidden layer, and the logits (n, n_classes)."""
        x: IntArray = as_spikes(spikes, self.n_in)
        hidden: list[SpikeArray] = []
        for layer in self.layers[:-1]:
            x = (layer.potentials(x) > 0).astype(np.uint8)
            hidden.append(x)
        return hidden, self.layers[-1].potentials(x)

    def forward(self, spikes: ArrayLike) -> IntArray:
        """Return the integer logits (n, n_classes) of input spikes (n, n_in). The definition of correct."""
        return self.activity(spikes)[1]

    def predict(self, x: ArrayLike) -> npt.NDArray[np.int64]:
        """Return class indices (n,): the largest logit, the lowest index where several are. ``x`` as in ``encode``."""
        return self.forward(self.encode(x)).argmax(axis=1)

    def error(self, x: ArrayLike, y: ArrayLike) -> float:
        """Return the fraction of ``x`` whose prediction differs from the class indices ``y``."""
        return float(np.mean(self.predict(x) != np.asarray(y)))

    def __repr__(self) -> str:
        return f"DiscreteNetwork({', '.join(map(repr, self.layers))})"
