"""The layers to train with all their shapes: what ``words`` name, on inputs of a given shape.

Images lie channel last (height, width, channels) while they are trained: every layer is then rows times weights, its
kernel (kernel height * kernel width * channels of a group, output channels), a row for each place of the kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import Neuron, Readout, Threshold
from conntra_hardware.program.convolution import Geometry
from conntra_hardware.program.input_encoding import Encoder
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Conv2d, Dense, Layer, MaxPool, Recurrent, Residual, SumPool
from conntra_neuro.network.levels import Levels
from conntra_neuro.training.architecture.words import Conv, LayerSpec, Neurons, Pool, names_of
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.layers.delayed import chosen, spread
from conntra_neuro.training.neurons import of_neuron, of_word
from conntra_neuro.training.parameters import Parameters

__all__ = ["Architecture", "Node", "Skip", "architecture_of"]

Shape = tuple[int, ...]
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Skip:
    """Outputs of node ``source`` (-1: the inputs), ``scale`` times, or through weights ``index`` of ``geometry``."""

    source: int
    scale: int
    geometry: Geometry | None = None
    index: int = -1


@dataclass(frozen=True)
class Node:
    """A layer. ``shape_in``, ``shape``: of its inputs and outputs, (height, width, channels) or (features,).

    kind      "dense", "conv", "max" or "sum" (pooling);  ``geometry`` None where dense
    index     which of the weights are its own; -1 where it has none
    neuron    None where it has none
    largest   the largest magnitude of an input;  ``bound`` of an output (0: not known before it is run)
    loop      which of the weights lead from its units to themselves, a step later; -1 where none do
    delays    the longest delay of its synapses, in steps; see ``layers.delayed`` for what its weights are then
    """

    name: str
    kind: str
    shape_in: Shape
    shape: Shape
    geometry: Geometry | None
    index: int
    neuron: Neuron | None
    largest: int
    bound: int
    skip: Skip | None = None
    loop: int = -1
    delays: int = 0

    @property
    def fan_in(self) -> int:
        """Inputs of a unit."""
        if self.geometry is None:
            return math.prod(self.shape_in)
        return math.prod(self.geometry.kernel_shape[1:])


@dataclass(frozen=True)
class Architecture:
    """All layers, the readout last; ``steps`` time steps a sample, inputs given for ``input_steps`` (1 or all)."""

    specs: tuple[LayerSpec, ...]
    neurons: Neurons
    inputs: Shape
    input_steps: int
    nodes: tuple[Node, ...]
    weight_shapes: tuple[tuple[int, int], ...] = field(repr=False)

    @property
    def steps(self) -> int:
        """Time steps of a sample."""
        return self.neurons.steps

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs of all time steps, then the units of every layer."""
        return (self.input_steps * math.prod(self.inputs), *(math.prod(node.shape) for node in self.nodes))

    def delays_of(self, index: int) -> int:
        """Return the longest delay of the weights ``index``."""
        return max((node.delays for node in self.nodes if node.index == index), default=0)

    @property
    def is_chain(self) -> bool:
        """Whether all layers are dense, of threshold neurons: what some gears have much faster kernels for."""
        return _is_chain(self.specs, self.neurons)

    @property
    def relays(self) -> list[int]:
        """How often a spike of each node is repeated on its way to a skip connection; first that of the inputs.

        A program's populations stand a time step apart: what skips some is handed on by as many relays. A sum of
        windows has no neurons: its units' spikes are repeated.
        """
        origin, depth = [0], [0]
        for number, node in enumerate(self.nodes):
            origin.append(origin[-1] if node.kind == "sum" else number + 1)
            depth.append(depth[-1] + (node.kind != "sum"))
        found = [0] * len(self.nodes)
        for number, node in enumerate(self.nodes):
            if node.skip is not None:
                source = origin[node.skip.source + 1]
                found[source] = max(found[source], depth[number + 1] - 1 - depth[source])
        return found

    @property
    def names(self) -> list[int | str]:
        """The hidden layers as JSON values: widths and tokens."""
        return list(names_of(self.specs))

    def network(
        self, found: Parameters, levels: Levels, encoder: Encoder | None = None, labels: Sequence[object] | None = None
    ) -> DiscreteNetwork:
        """Return the network whose layers have the weights and biases ``found``."""
        layers: list[Layer] = []
        residuals: list[Residual] = []
        for number, node in enumerate(self.nodes):
            layers.append(_layer(node, found, levels))
            if node.skip is not None:
                connection = None if node.skip.geometry is None else _connection(node.skip, found, levels)
                residuals.append(Residual(node.skip.source, number, connection, node.skip.scale))
        loops = [(number, found.weights[node.loop]) for number, node in enumerate(self.nodes) if node.loop >= 0]
        recurrent = [Recurrent(number, Dense(weight.T, None, "readout", levels)) for number, weight in loops]
        return DiscreteNetwork(layers, encoder, labels, residuals, steps=self.steps, recurrent=recurrent)

    def parameters_of(self, network: DiscreteNetwork, levels: Levels) -> Parameters:
        """Return the parameters of ``network``; InputError where its layers are others than these."""
        weights: list[Ints] = [np.zeros(shape, np.int32) for shape in self.weight_shapes]
        biases = [np.zeros(shape[1], np.int32) for shape in self.weight_shapes]
        joined = {residual.target: residual for residual in network.residuals}
        if len(network.layers) != len(self.nodes):
            raise InputError(
                f"initial network: {len(network.layers)} layers; {len(self.nodes)} expected ({self.names})"
            )
        for number, (node, layer) in enumerate(zip(self.nodes, network.layers, strict=True)):
            self._check_same(number, node, layer)
            if isinstance(layer, (Dense, Conv2d)):
                levels.index(layer.weight)
                weights[node.index] = _from_layer(node, layer.weight)
                if node.delays:
                    delay = np.broadcast_to(layer.delay, layer.weight.shape)
                    weights[node.index] = spread(weights[node.index], _from_layer(node, delay), node.delays)
                biases[node.index] = layer.bias.astype(np.int32)
            if node.skip is not None and node.skip.geometry is not None:
                connection = joined[number].connection if number in joined else None
                if connection is None:
                    raise InputError(f"initial network: no trained connection to layer {number}; {node.name} has one")
                weights[node.skip.index] = _kernel_columns(connection.weight)
            if node.loop >= 0:
                weights[node.loop] = _way_back(number, network, levels)
        return Parameters(tuple(weights), tuple(biases))

    def _check_same(self, number: int, node: Node, layer: Layer) -> None:
        shape = _outwards(node.shape)
        same = math.prod(layer.output_shape) == math.prod(shape) and layer.neuron == node.neuron
        same &= getattr(layer, "geometry", None) == node.geometry or node.geometry is None
        if not same:
            raise InputError(f"initial network, layer {number} ({layer!r}): {node.name} with {node.neuron} expected")


def architecture_of(
    specs: Sequence[LayerSpec],
    neurons: Neurons,
    n_in: int,
    image: ImageShape | None,
    n_classes: int,
    largest_level: int,
    input_steps: int = 1,
) -> Architecture:
    """Return the layers of ``specs`` on ``n_in`` inputs a time step; InputError names the layer that does not fit.

    A chain's inputs are flat, in the order that they are stored in: its kernels take them as they are.
    """
    flat = image is None or _is_chain(specs, neurons)
    shape: Shape = (n_in,) if flat or image is None else (image.rows, image.columns, image.channels)
    maker = _Maker(neurons, shape, largest_level)
    for number, spec in enumerate(specs):
        maker.add(number, spec)
    maker.dense("readout", n_classes, Readout())
    if len(neurons.by_layer) > maker.placed:
        named = len(neurons.by_layer)
        raise InputError(
            f"neuron {neurons}: decays of {named} layers; there are {maker.placed} hidden ones with neurons"
        )
    if neurons.recurrent and all(node.loop < 0 for node in maker.nodes):
        raise InputError("recurrent: no dense hidden layer, and convolutions are trained without; give one, as in 128")
    if neurons.delays and all(node.delays == 0 for node in maker.nodes):
        raise InputError(
            f"delays {neurons.delays}: no dense hidden layer, and convolutions are trained without; give one, as in 128"
        )
    return Architecture(tuple(specs), neurons, shape, input_steps, tuple(maker.nodes), tuple(maker.weight_shapes))


class _Maker:
    """Shapes from one layer to the next."""

    def __init__(self, neurons: Neurons, inputs: Shape, largest_level: int) -> None:
        self.neurons, self.inputs, self.largest_level = neurons, inputs, largest_level
        self.nodes: list[Node] = []
        self.weight_shapes: list[tuple[int, int]] = []
        self.placed = 0  # hidden layers that have neurons of the network's kind

    def shape(self, number: int) -> Shape:
        """Of the outputs of a node; -1: of the inputs."""
        return self.inputs if number < 0 else self.nodes[number].shape

    def bound(self, number: int) -> int:
        """The largest output of a node, 0 where it is not known."""
        return 1 if number < 0 else self.nodes[number].bound

    def add(self, number: int, spec: LayerSpec) -> None:
        """Add a hidden layer."""
        name = f"layer {number} ({spec})"
        if isinstance(spec, int):
            self.dense(name, spec, None)
            return
        shape = self.shape(number - 1)
        if len(shape) != 3:
            what = "inputs are no images" if number == 0 else "what comes before it has no rows and columns any more"
            raise InputError(f"{name}: {what} (shape {shape}); put it on images, before dense layers")
        height, width, channels = shape
        try:
            if isinstance(spec, Pool):
                window = Geometry((channels, height, width), channels, *_square(spec.size, spec.stride, 0), channels)
                self._pool(name, spec, window, number)
            else:
                groups = channels if spec.channels is None else spec.groups
                sizes = _square(spec.kernel, spec.stride, spec.padding)
                apart = (spec.dilation, spec.dilation)
                kernel = Geometry((channels, height, width), spec.channels or channels, *sizes, groups, apart)
                self._conv(name, spec, kernel, number)
        except InputError as error:
            raise InputError(str(error) if str(error).startswith("layer") else f"{name}: {error}") from None

    def dense(self, name: str, width: int, neuron: Neuron | None) -> None:
        """Add a dense layer; ``neuron`` None: one of the network's kind."""
        number = len(self.nodes)
        shape, largest = self.shape(number - 1), self.bound(number - 1)
        fan_in = math.prod(shape)
        loops = neuron is None and self.neurons.recurrent
        neuron = neuron or self._neuron(fan_in)
        delays = 0 if isinstance(neuron, Readout) else self.neurons.delays
        index, bound = self._weights((delays + 1) * fan_in, width), _bound(neuron)
        loop = self._weights(width, width) if loops else -1
        made = Node(name, "dense", shape, (width,), None, index, neuron, largest, bound, loop=loop, delays=delays)
        self.nodes.append(made)

    def _pool(self, name: str, spec: Pool, geometry: Geometry, number: int) -> None:
        largest = self.bound(number - 1)
        if spec.kind == "max" and largest != 1:
            raise InputError(f"{name}: takes the maximum of 0/1 spikes, but its inputs are sums or graded; use sumpool")
        neuron = Threshold() if spec.kind == "max" else None
        bound = 1 if spec.kind == "max" else largest * spec.size**2
        shape = _inwards(geometry.output_shape)
        self.nodes.append(Node(name, spec.kind, self.shape(number - 1), shape, geometry, -1, neuron, largest, bound))

    def _conv(self, name: str, spec: Conv, geometry: Geometry, number: int) -> None:
        columns = math.prod(geometry.kernel_shape[1:])
        skip = self._skip(spec, geometry, number) if spec.skip else None
        neuron = self._neuron(columns)
        index = self._weights(columns, geometry.out_channels)
        shape, largest = self.shape(number - 1), self.bound(number - 1)
        shapes, bounds = (shape, _inwards(geometry.output_shape)), (largest, _bound(neuron))
        self.nodes.append(Node(name, "conv", *shapes, geometry, index, neuron, *bounds, skip))

    def _skip(self, spec: Conv, geometry: Geometry, number: int) -> Skip:
        source = number - 1 - spec.skip
        if source < -1:
            raise InputError(f"+{spec.skip}: only {number} layer(s) before its input; +1 to +{number} allowed")
        given, wanted = self.shape(source), _inwards(geometry.output_shape)
        if given == wanted:
            return Skip(source, spec.scale)
        stride = tuple(-(-g // w) for g, w in zip(given[:2], wanted[:2], strict=False))
        if len(given) != 3 or spec.scale > 1:
            raise InputError(f"+{spec.skip}: shape {given} cannot be added to {wanted} as it is")
        joined = Geometry((given[2], given[0], given[1]), wanted[2], (1, 1), (stride[0], stride[1]))
        if _inwards(joined.output_shape) != wanted:
            raise InputError(f"+{spec.skip}: shape {given} does not go into {wanted} by a stride; change padding")
        return Skip(source, 1, joined, self._weights(given[2], wanted[2]))

    def _weights(self, n_in: int, n_out: int) -> int:
        self.weight_shapes.append((n_in, n_out))
        return len(self.weight_shapes) - 1

    def _neuron(self, fan_in: int) -> Neuron:
        """Return the hidden neuron of a layer; what a random ternary kernel's potential spreads by says how large."""
        first = not self.nodes
        wanted = self.neurons.of_layer(self.placed)
        self.placed += 1
        return of_word(self.neurons.kind).of_layer(fan_in, self.largest_level, first, wanted)


def _is_chain(specs: Sequence[LayerSpec], neurons: Neurons) -> bool:
    return neurons.kind == "threshold" and all(isinstance(spec, int) for spec in specs)


def _square(a: int, b: int, c: int) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    return (a, a), (b, b), (c, c)


def _bound(neuron: Neuron) -> int:
    return 1 if isinstance(neuron, Readout) or of_neuron(neuron).binary else 0


def _inwards(shape: Sequence[int]) -> Shape:
    channels, height, width = shape
    return height, width, channels


def _outwards(shape: Shape) -> Shape:
    return (shape[2], shape[0], shape[1]) if len(shape) == 3 else shape


def _layer(node: Node, found: Parameters, levels: Levels) -> Layer:
    if node.geometry is None:
        weight, delay = chosen(found.weights[node.index], node.delays)
        if len(node.shape_in) == 3:  # rows channel last become columns channel first
            weight, delay = (
                rows.reshape(*node.shape_in, -1).transpose(2, 0, 1, 3).reshape(len(rows), -1)
                for rows in (weight, delay)
            )
        late = delay.T if delay.any() else 0
        return Dense(weight.T, found.biases[node.index], _known(node), levels, delay=late)
    g = node.geometry
    if node.kind == "conv":
        weight = _kernel(found.weights[node.index], g)
        return Conv2d(weight, found.biases[node.index], _known(node), levels, **g.window)
    pool = MaxPool if node.kind == "max" else SumPool
    return pool(g.kernel, input_shape=g.input_shape, stride=g.stride)


def _known(node: Node) -> Neuron:
    assert node.neuron is not None
    return node.neuron


def _connection(skip: Skip, found: Parameters, levels: Levels) -> Conv2d:
    assert skip.geometry is not None
    g = skip.geometry
    weight = _kernel(found.weights[skip.index], g)
    return Conv2d(weight, None, "readout", levels, input_shape=g.input_shape, stride=g.stride)


def _kernel(weight: Ints, geometry: Geometry) -> Ints:
    """Return (out, channels of a group, height, width) of (height * width * channels of a group, out)."""
    out, inner, height, width = geometry.kernel_shape
    return weight.reshape(height, width, inner, out).transpose(3, 2, 0, 1)


def _way_back(number: int, network: DiscreteNetwork, levels: Levels) -> Ints:
    """Return the recurrent weights (from, to) of a layer."""
    for connection in network.recurrent:
        if connection.layer == number:
            levels.index(connection.weight)
            return np.ascontiguousarray(connection.weight.T, dtype=np.int32)
    raise InputError(
        f"initial network, layer {number} ({network.layers[number]!r}): no recurrent connection; leave "
        "recurrent out, or give a network that has one"
    )


def _kernel_columns(kernel: npt.NDArray[Any]) -> Ints:
    return np.ascontiguousarray(kernel.transpose(2, 3, 1, 0).reshape(-1, len(kernel)), dtype=np.int32)


def _from_layer(node: Node, weight: npt.NDArray[Any]) -> Ints:
    if weight.ndim == 4:
        return _kernel_columns(weight)
    columns = weight.T
    if len(node.shape_in) == 3:
        height, width, channels = node.shape_in
        columns = columns.reshape(channels, height, width, -1).transpose(1, 2, 0, 3).reshape(len(columns), -1)
    return np.ascontiguousarray(columns, dtype=np.int32)
