"""Residual addition: what an earlier layer puts out is added to the potentials of a later one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_neuro.network.layers.conv import Conv2d
from conntra_neuro.network.layers.dense import Dense

__all__ = ["INPUT_LAYER", "Residual"]

INPUT_LAYER = -1
"""The source of a residual connection that begins at the network's input spikes."""


@dataclass(frozen=True, eq=False)
class Residual:
    """The outputs of layer ``source`` (an index, or ``INPUT_LAYER``), added to the potentials of layer ``target``.

    ``scale`` times the outputs where both layers have the same shape; else through ``connection``, a Dense or Conv2d
    with activation="readout" (its potentials are what is added), a bias of 0 (the target has one) and no delays.
    InputError for anything else; a network refuses one whose shapes do not agree, or that leads backwards.
    """

    source: int
    target: int
    connection: Dense | Conv2d | None = None
    scale: int = 1

    def __post_init__(self) -> None:
        if self.connection is not None:
            if self.connection.neuron.spikes or self.connection.bias.any():
                raise InputError(
                    f"{self}: its connection has neurons or biases of its own; activation='readout' and no bias allowed"
                )
            if self.connection.is_delayed:
                raise InputError(f"{self}: its connection has delays, which no residual can have; leave them out")
            if self.scale != 1:
                raise InputError(f"{self}: scale {self.scale} with a connection; scale the connection's weights")
        if self.scale == 0:
            raise InputError(f"{self}: scale 0 adds nothing; leave it out")

    @property
    def n_weights(self) -> int:
        """Number of trainable weights."""
        return 0 if self.connection is None else self.connection.n_weights

    @property
    def memory_bytes(self) -> int:
        """Bytes that the weights take; there are no biases."""
        return 0 if self.connection is None else self.connection.packed_weight.nbytes

    def potentials(self, x: IntArray) -> IntArray:
        """Return what is added, (n, n_target), for outputs ``x`` (n, n_source) of the source."""
        return x.astype(np.int64) * self.scale if self.connection is None else self.connection.potentials(x)

    def __str__(self) -> str:
        source = "input" if self.source == INPUT_LAYER else f"layer {self.source}"
        return f"residual {source} -> layer {self.target}"
