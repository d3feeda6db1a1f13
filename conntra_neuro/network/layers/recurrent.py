"""Recurrent connections: what a layer sent at a step is added to its own sums at a later one."""

from __future__ import annotations

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.arrays import ArrayLike, IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.values import Immutable
from conntra_neuro.network.layers.conv import Conv2d
from conntra_neuro.network.layers.dense import Dense

__all__ = ["Recurrent"]


class Recurrent(Immutable):
    """Synapses from layer ``layer`` (an index) to itself: what it sends at a step arrives ``1 + delay`` steps later.

    weight  integers (n, n), or a Dense or Conv2d with activation="readout" and no bias (its sums are what is added)
    delay   0 to 63 time steps more, a number, one a neuron (n,), or one a synapse (n, n); a connection has its own

    InputError for anything else; a network refuses one whose layer has no neurons, or another size.
    """

    def __init__(self, layer: int, weight: ArrayLike | Dense | Conv2d, delay: int | ArrayLike = 0) -> None:
        self.layer: int = whole(layer, "recurrent: layer", 0)
        if isinstance(weight, (Dense, Conv2d)):
            self.connection: Dense | Conv2d = weight
            if weight.neuron.spikes or weight.bias.any():
                raise InputError(
                    f"{self}: its connection has neurons or biases of its own; activation='readout' and no bias allowed"
                )
            if not isinstance(delay, int) or delay:
                raise InputError(f"{self}: a delay beside a connection; give the connection the delay")
        else:
            self.connection = Dense(weight, activation="readout", delay=delay)
        if self.connection.n_in != self.connection.n_out:
            n_in, n_out = self.connection.n_in, self.connection.n_out
            raise InputError(f"{self}: from {n_in} to {n_out} neurons; as many expected, it leads to where it begins")
        self._seal()

    @property
    def n_weights(self) -> int:
        """Number of trainable weights."""
        return self.connection.n_weights

    @property
    def memory_bytes(self) -> int:
        """Bytes that the weights take; there are no biases."""
        return self.connection.packed_weight.nbytes

    @property
    def weight(self) -> IntArray:
        """The weights of its connection, unpacked anew at each reading."""
        return self.connection.weight

    def __repr__(self) -> str:
        return f"Recurrent(layer {self.layer}, {self.connection!r})"

    def __str__(self) -> str:
        return f"recurrent layer {self.layer}"
