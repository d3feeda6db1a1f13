"""Discrete networks: integer weights from a finite set, integer biases, and the integer forward pass.

``DiscreteNetwork.forward`` is the definition of correct: every kernel, compiler stage and backend is held to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arguments import class_indices, target_values
from conntra_hardware.base.arrays import ArrayLike, IntArray, SpikeArray, as_spikes
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.values import Immutable, Shown
from conntra_hardware.neurons import common_steps, later, respond_recurrently
from conntra_hardware.neurons.recurrence import Loop
from conntra_hardware.neurons.stream import Arrival, Stage, Stream
from conntra_hardware.program.input_encoding import Encoder
from conntra_hardware.program.value_scale import ValueScale, check_answers
from conntra_neuro.network.layers import (
    INPUT_LAYER,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    MaxPool,
    Recurrent,
    Residual,
    SumPool,
    Weighted,
)

__all__ = [
    "INPUT_LAYER",
    "Conv2d",
    "Dense",
    "DiscreteNetwork",
    "Flatten",
    "Layer",
    "MaxPool",
    "Recurrent",
    "Residual",
    "SumPool",
]


class DiscreteNetwork(Immutable, Shown):
    """A network of discrete layers, one behind the other.

    layers     hidden layers spike; the last one is a readout, or spikes: then the logits are what its neurons sent,
               added up over the steps of a sample. None hidden is logistic regression
    encoder    from raw features to input spikes, or None where inputs are spikes
    labels     the class labels in readout order, or None for 0 .. n-1
    residuals  connections that skip layers
    steps      time steps of a sample; None takes what its neurons say (integrate-and-fire), else 1
    recurrent  connections from layers to themselves
    value      what the logit of the only output stands for, where the network answers with a number and no class

    Row t of a layer's input is row t - delay of the layer before; what would arrive after the last row is lost. Every
    sample begins without state. Values between layers are
    flat integer rows, images in the order (channels, height, width): of n samples, (n * steps, features), the steps of
    a sample one after the other.

    Raises InputError for layers whose shapes or time steps do not agree, and for labels that are not all different.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        encoder: Encoder | None = None,
        labels: Sequence[Any] | None = None,
        residuals: Sequence[Residual] = (),
        *,
        steps: int | None = None,
        recurrent: Sequence[Recurrent] = (),
        value: ValueScale | None = None,
    ) -> None:
        self.layers: tuple[Layer, ...] = tuple(layers)
        self.encoder = encoder
        self.labels: tuple[Any, ...] | None = None if labels is None else tuple(labels)
        self.residuals: tuple[Residual, ...] = tuple(residuals)
        self.recurrent: tuple[Recurrent, ...] = tuple(recurrent)
        self.value = value
        self._check(steps)
        self._seal()

    def _check(self, steps: int | None) -> None:
        if not self.layers:
            raise InputError("network: no layers; at least a readout is needed")
        for index, layer in enumerate(self.layers):
            last = index == len(self.layers) - 1
            if layer.neuron is None and last:
                raise InputError(f"layer {index} ({layer!r}): the last layer needs neurons, or activation='readout'")
            if layer.neuron is not None and not layer.neuron.spikes and not last:
                raise InputError(f"layer {index} ({layer!r}): only the last layer may have activation='readout'")
        for index, (before, layer) in enumerate(pairwise(self.layers), start=1):
            _check_shapes(index, before, layer)
        for residual in self.residuals:
            self._check_residual(residual)
        for connection in self.recurrent:
            self._check_recurrent(connection)
        self._check_graded()
        self.steps: int = common_steps(
            {f"layer {index}": layer.neuron for index, layer in enumerate(self.layers) if layer.neuron is not None},
            steps,
        )
        check_answers(self.labels, self.value, self.n_classes, "network")
        if self.encoder is not None and self.encoder.n_out != self.n_in:
            raise InputError(f"network: the encoder gives {self.encoder.n_out} spikes, layer 0 takes {self.n_in}")
        if self.encoder is not None and self.encoder.steps not in (1, self.steps):
            raise InputError(
                f"network: the encoder gives {self.encoder.steps} time steps, its neurons take {self.steps}"
            )
        if self.labels is not None and len(self.labels) != self.n_classes:
            raise InputError(f"network: {len(self.labels)} labels for {self.n_classes} classes")

    def _check_residual(self, residual: Residual) -> None:
        count = len(self.layers)
        if not INPUT_LAYER <= residual.source < residual.target - 1 or residual.target >= count:
            raise InputError(
                f"{residual}: must skip at least one of the {count} layers, from {INPUT_LAYER} (the input) or a layer "
                "to a later one"
            )
        target = self.layers[residual.target]
        if not isinstance(target, (Dense, Conv2d)):
            raise InputError(f"{residual}: layer {residual.target} ({target!r}) must be Dense or Conv2d")
        source = self.layers[0].input_shape if residual.source < 0 else self.layers[residual.source].output_shape
        given = source
        if residual.connection is not None:
            taken = residual.connection.input_shape
            if not _agree(source, taken):
                raise InputError(f"{residual}: its connection takes shape {taken}, the source gives {source}")
            given = residual.connection.output_shape
        if not _agree(given, target.output_shape):
            raise InputError(
                f"{residual}: shape {given} cannot be added to layer {residual.target} ({target!r}) of shape "
                f"{target.output_shape}; put a connection with stride or more channels between"
            )

    def _check_recurrent(self, connection: Recurrent) -> None:
        if connection.layer >= len(self.layers):
            raise InputError(f"{connection}: there are {len(self.layers)} layers, 0 to {len(self.layers) - 1}")
        layer = self.layers[connection.layer]
        if layer.neuron is None or not layer.neuron.spikes:
            raise InputError(f"{connection}: {layer!r} has no neurons that spike; a layer that does is expected")
        if connection.connection.n_out != layer.n_out:
            raise InputError(f"{connection}: {connection.connection.n_out} neurons, the layer has {layer.n_out}")

    def _check_graded(self) -> None:
        graded = False
        for index, layer in enumerate(self.layers):
            if graded and isinstance(layer, MaxPool):
                raise InputError(
                    f"layer {index} ({layer!r}): takes the maximum of 0/1 spikes, but its inputs are sums or graded; "
                    "use SumPool or a strided Conv2d"
                )
            graded = graded and not isinstance(layer, MaxPool) if layer.neuron is None else layer.neuron.graded
            graded = graded or isinstance(layer, SumPool)

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
        return sum(part.n_weights for part in (*self.layers, *self.residuals, *self.recurrent))

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        more = sum(connection.n_weights for connection in (*self.residuals, *self.recurrent))
        return sum(layer.n_parameters for layer in self.layers) + more

    @property
    def memory_bytes(self) -> int:
        """Bytes of packed weights and biases, in memory and in a model file (its header apart)."""
        return sum(part.memory_bytes for part in (*self.layers, *self.residuals, *self.recurrent))

    def encode(self, x: ArrayLike) -> SpikeArray:
        """Return input spikes (n * steps, n_in) of ``x``: raw features where the network has an encoder, else spikes.

        Spikes are (n, n_in) where a sample takes one time step, else (n, steps, n_in) or rows as returned here. An
        encoder that gives one time step has it repeated.
        """
        if self.encoder is None:
            return as_spikes(x, self.n_in, steps=self.steps)
        spikes = self.encoder.encode(x)
        return spikes if self.encoder.steps == self.steps else np.repeat(spikes, self.steps, axis=0)

    def activity(self, spikes: ArrayLike) -> tuple[list[IntArray], IntArray]:
        """Return the outputs (n * steps, size) of every layer but the last, and the logits (n, n_classes).

        The outputs are spikes, uint8 (graded ones int32), and of layers without neurons the values they pass on.
        InputError for ``spikes`` of another shape or with other values than ``encode`` takes.
        """
        outputs, last = self._outputs(spikes)
        return outputs, self._logits(last)

    def outputs(self, spikes: ArrayLike) -> list[IntArray]:
        """Return the outputs of every layer as ``activity`` does, and of the last one what it sends, or the logits.

        InputError for ``spikes`` of another shape or with other values than ``encode`` takes.
        """
        outputs, last = self._outputs(spikes)
        return [*outputs, last]

    def _outputs(self, spikes: ArrayLike) -> tuple[list[IntArray], IntArray]:
        outputs: list[IntArray] = []
        x: IntArray = as_spikes(spikes, self.n_in, steps=self.steps)
        first = x
        for index, layer in enumerate(self.layers):
            sums = self._sums(layer, x)
            for residual in self.residuals:
                if residual.target == index:
                    sums = sums + residual.potentials(first if residual.source < 0 else outputs[residual.source])
            x = self._respond(index, layer, sums)
            outputs.append(x)
        return outputs[:-1], outputs[-1]

    def _sums(self, layer: Layer, x: IntArray) -> IntArray:
        """Return the synaptic sums (n * steps, size) of a layer at inputs (n * steps, n_in)."""
        found: IntArray | None = None
        for delay, arriving in layer.paths() if isinstance(layer, Weighted) else [(0, layer.potentials)]:
            sums = arriving(x)
            if delay:
                sums = later(sums.reshape(-1, self.steps, sums.shape[1]), delay).reshape(sums.shape)
            found = sums if found is None else found + sums
        assert found is not None  # there is one path at least
        return found

    def _respond(self, index: int, layer: Layer, sums: IntArray) -> IntArray:
        if layer.neuron is None:
            return sums
        shaped = sums.reshape(-1, self.steps, sums.shape[1])
        bias = layer.neuron_bias if isinstance(layer, Weighted) else 0
        try:
            loops = self._loops(index)
            if loops:
                found = respond_recurrently(layer.neuron, shaped, bias, loops)
            else:
                found = layer.neuron.respond(shaped, bias)
        except InputError as error:
            raise InputError(f"layer {index} ({self.layers[index]!r}): {error}") from None
        return found.reshape(-1, sums.shape[1])

    def _loops(self, index: int) -> list[Loop]:
        """Return the ways from layer ``index`` back to itself; a spike arrives a step later at the earliest."""
        own = [c.connection for c in self.recurrent if c.layer == index]
        return [(1 + delay, arriving) for connection in own for delay, arriving in connection.paths()]

    def _logits(self, last: IntArray) -> IntArray:
        neuron = self.layers[-1].neuron
        if neuron is None or not neuron.spikes:
            return last
        return last.reshape(-1, self.steps, last.shape[1]).sum(axis=1, dtype=np.int64)

    def forward(self, spikes: ArrayLike) -> IntArray:
        """Return the integer logits (n, n_classes) of input spikes, as in ``encode``. The definition of correct.

        InputError for spikes of another shape or with other values.
        """
        return self.activity(spikes)[1]

    def stream(self) -> Stream:
        """Return the network as a stream: ``push`` takes the next rows of spikes (rows, n_in), as many as there are.

        It returns what the last layer sends at each row, of a readout its potential so far; state, delays and ways back
        go on from call to call, and ``reset`` begins anew. From a reset on, the rows of a sample give what ``forward``
        makes of it.
        """
        stages = []
        for index, layer in enumerate(self.layers):
            paths = layer.paths() if isinstance(layer, Weighted) else [(0, layer.potentials)]
            arrivals = [Arrival(index - 1, delay, sums) for delay, sums in paths]
            arrivals += [Arrival(r.source, 0, r.potentials) for r in self.residuals if r.target == index]
            arrivals += [Arrival(index, lag, sums) for lag, sums in self._loops(index)]
            bias = layer.neuron_bias if isinstance(layer, Weighted) else 0
            stages.append(Stage(layer.neuron, layer.n_out, bias, tuple(arrivals)))
        return Stream(self.n_in, stages)

    def predict(self, x: ArrayLike) -> npt.NDArray[Any]:
        """Return class indices (n,): the largest logit, the lowest index where several are. ``x`` as in ``encode``.

        Of a network that answers with a ``value`` the values, float64, in the unit of its targets. InputError for
        samples of another shape.
        """
        logits = self.forward(self.encode(x))
        return logits.argmax(axis=1) if self.value is None else self.value.values(logits)

    def error(self, x: ArrayLike, y: ArrayLike) -> float:
        """Return the fraction of ``x`` whose prediction differs from the class indices ``y`` (n,).

        Of a network that answers with a ``value`` the mean squared error against the numbers ``y`` (n,), in the square
        of their unit. InputError for no samples, and for labels of another shape or type.
        """
        predicted = self.predict(x)
        if len(predicted) == 0:
            raise InputError("samples: none given; at least 1 expected")
        if self.value is not None:
            return float(np.mean((predicted - target_values(y, len(predicted))) ** 2))
        return float(np.mean(predicted != class_indices(y, len(predicted), self.n_classes)))

    def __repr__(self) -> str:
        widths = " -> ".join(map(str, (self.n_in, *(layer.n_out for layer in self.layers))))
        kinds = dict.fromkeys(layer.neuron.kind for layer in self.layers[:-1] if layer.neuron is not None)
        extras = [*kinds, *([f"{len(self.residuals)} residual"] if self.residuals else [])]
        extras += [f"{len(self.recurrent)} recurrent"] if self.recurrent else []
        extras += [f"{self.steps} time steps"] if self.steps > 1 else []
        extras += ["a value"] if self.value is not None else []
        return f"DiscreteNetwork({', '.join([widths, *extras, f'{self.n_weights:,} weights'])})"


def _agree(given: tuple[int, ...], taken: tuple[int, ...]) -> bool:
    """Return whether shapes are the same; a flat one agrees with any of its size."""
    return given == taken or (1 in (len(given), len(taken)) and np.prod(given) == np.prod(taken))


def _check_shapes(index: int, before: Layer, layer: Layer) -> None:
    if not _agree(before.output_shape, layer.input_shape):
        raise InputError(
            f"layer {index} ({layer!r}): takes shape {layer.input_shape}, layer {index - 1} ({before!r}) gives "
            f"{before.output_shape}"
        )
