"""A network as a graph of NIR, the neuromorphic intermediate representation (https://neuroir.org).

NIR's Threshold is strict, ``v > threshold``, so that Affine and Threshold at 0 are a layer of ours; several edges into
a node add up, which is what a residual connection does. Arrays are written in full, for not every reader broadcasts.
Packages that read a part of NIR only get graphs in words that they know (``dialects``).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import Neuron, stored_neuron
from conntra_neuro.exchange.metadata import KEY, layer_note, network_note
from conntra_neuro.exchange.nir.dialects import PLAIN, Dialect
from conntra_neuro.exchange.nir.neuron_nodes import biases, neuron_node, units
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Conv2d, Dense, Flatten, Layer, MaxPool, Recurrent, Residual, Shape, SumPool

if TYPE_CHECKING:
    import nir

__all__ = ["nir_bytes", "nir_graph"]

_FLOAT32_EXACT = 2**24

Array = npt.NDArray[Any]


def nir_bytes(network: DiscreteNetwork, about: Mapping[str, Any] | None = None, how: Dialect = PLAIN) -> bytes:
    """Return the NIR file (HDF5) of ``network``; InputError names a layer that the dialect has no words for."""
    import nir

    file = io.BytesIO()
    nir.write(file, nir_graph(network, about, how))  # type: ignore[arg-type]  # any file object will do
    return file.getvalue()


def nir_graph(network: DiscreteNetwork, about: Mapping[str, Any] | None = None, how: Dialect = PLAIN) -> nir.NIRGraph:
    """Return ``network`` as a graph whose nodes are called after its layers: "0_conv2d", "0_threshold", ..."""
    return _Writer(network, how).graph(network_note(network, about, reader=how.name))


class _Writer:
    """Nodes and edges as they are added; ``ends`` are the nodes that hold what each layer puts out."""

    def __init__(self, network: DiscreteNetwork, how: Dialect) -> None:
        self.network, self.how = network, how
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.ends: list[tuple[str, Shape]] = []

    def graph(self, note: str) -> nir.NIRGraph:
        import nir

        first = self.network.layers[0].input_shape
        self.nodes["input"] = nir.Input({"input": np.array(first)})
        given = ("input", first)
        for index, layer in enumerate(self.network.layers):
            given = self._layer(index, layer, given)
            self.ends.append(given)
        if "output" not in self.nodes:  # spikes, or a potential that leaks
            self._add("output", nir.Output({"output": np.array(given[1])}), given[0])
        # nir 1.0.8 infers the shapes of grouped convolutions and of kernels that are not square wrongly.
        return nir.NIRGraph(self.nodes, self.edges, metadata={KEY: note}, type_check=False)

    def _layer(self, index: int, layer: Layer, given: tuple[str, Shape]) -> tuple[str, Shape]:
        import nir

        what = f"layer {index} ({layer!r})"
        if isinstance(layer, (Dense, Conv2d)) and layer.is_delayed:
            raise InputError(f"export to NIR: {what}: synapses with a delay have no counterpart there")
        source = self._reshaped(given, layer.input_shape, f"{index}_flat", what)
        neuron = layer.neuron
        name = f"{index}_{type(layer).__name__.lower()}"
        if neuron is None:
            return self._add(name, self._node(layer, what), source), layer.output_shape
        unit = units(neuron, self.how, layer.n_out)
        self._add(name, self._node(layer, what, neuron, unit), source)
        if neuron.facts.form == "readout":
            target = "output"
            self.nodes[target] = nir.Output({"output": np.array(layer.output_shape)})
        else:
            target = f"{index}_{neuron.kind}"
            bias = layer.neuron_bias if isinstance(layer, (Dense, Conv2d)) else np.zeros(layer.n_out, np.int64)
            self.nodes[target] = neuron_node(neuron, bias, layer.output_shape, self.how, what)
            self.nodes[target].metadata[KEY] = layer_note(None, neuron=stored_neuron(neuron))
        self.edges.append((name, target))
        for number, residual in enumerate(self.network.residuals):
            if residual.target == index:
                self._residual(number, residual, target, layer.output_shape, unit)
        for number, connection in enumerate(c for c in self.network.recurrent if c.layer == index):
            self._recurrent(f"{index}_recurrent{number}", connection, target, unit)
        return target, layer.output_shape

    def _residual(self, number: int, residual: Residual, target: str, shape: Shape, unit: Array | None) -> None:
        import nir

        name, what, connection = f"residual{number}", str(residual), residual.connection
        given = ("input", self.network.layers[0].input_shape) if residual.source < 0 else self.ends[residual.source]
        if connection is not None:
            source = self._reshaped(given, connection.input_shape, f"{name}_flat", what)
            given = self._add(name, self._node(connection, what, unit=unit), source), connection.output_shape
        source = self._reshaped(given, shape, f"{name}_flat_end", what)
        factor = residual.scale if unit is None or connection is not None else residual.scale / unit.reshape(shape)
        if np.any(factor != 1) or (source, target) in self.edges:
            note = {KEY: layer_note(None, **({} if unit is None else {"scale": residual.scale}))}
            source = self._add(f"{name}_scale", nir.Scale(np.full(shape, factor, np.float32), metadata=note), source)
        self.edges.append((source, target))

    def _recurrent(self, name: str, connection: Recurrent, target: str, unit: Array | None) -> None:
        import nir

        what = f"export to NIR: {connection}"
        dense = connection.connection
        if not self.how.recurrent:
            raise InputError(f"{what}: {self.how.name} reads no cycles; leave recurrent connections out")
        if not isinstance(dense, Dense) or dense.is_delayed:
            raise InputError(f"{what}: only dense ones without more delay have a counterpart there")
        rows, note = _divided(dense.weight, unit)
        note = {KEY: layer_note(dense, kind="Recurrent", **note)}
        zeros = np.zeros(len(rows), np.float32)
        self.edges.append((self._add(name, nir.Affine(_floats(rows), zeros, metadata=note), target), target))

    def _reshaped(self, given: tuple[str, Shape], taken: Shape, name: str, what: str) -> str:
        source, shape = given
        if shape == taken:
            return source
        if len(taken) != 1:
            raise InputError(
                f"export to NIR: {what} takes {taken} from {shape}; NIR has no node that folds rows to images: "
                "put Dense layers behind the convolutions only"
            )
        return self._add(name, self._flatten(shape, layer_note(None)), source)

    def _flatten(self, shape: Shape, note: str) -> Any:
        import nir

        # Packages that count the batch as a dimension agree with NIR, which does not, from the end only.
        start = 0 if self.how is PLAIN else -len(shape)
        return nir.Flatten({"input": np.array(shape)}, start_dim=start, end_dim=-1, metadata={KEY: note})

    def _add(self, name: str, node: Any, source: str) -> str:
        self.nodes[name] = node
        self.edges.append((source, name))
        return name

    def _node(self, layer: Layer, what: str, neuron: Neuron | None = None, unit: Array | None = None) -> Any:
        import nir

        kind = type(layer).__name__
        if isinstance(layer, (Dense, Conv2d)):
            return self._weighted(layer, what, neuron, unit)
        note = layer_note(layer, kind=kind)
        if isinstance(layer, (SumPool, MaxPool)):
            # A maximum of 0/1 spikes is a sum above 0: NIR has no node for the maximum.
            g = layer.geometry
            window = (np.array(g.stride), np.array(g.padding))
            if self.how.pools and not (self.how.plain_conv and any(g.padding)):
                return nir.SumPool2d(np.array(g.kernel), *window, metadata={KEY: note})
            channels = g.input_shape[0]
            ones = np.einsum("oi,hw->oihw", np.eye(channels), np.ones(g.kernel)).astype(np.float32)
            zeros = np.zeros(channels, np.float32)
            return nir.Conv2d(g.input_shape[1:], ones, g.stride, g.padding, (1, 1), 1, zeros, metadata={KEY: note})
        if isinstance(layer, Flatten):
            return self._flatten(layer.input_shape, note)
        raise InputError(f"export to NIR: {what}: a layer of type {kind} has no counterpart there")

    def _weighted(self, layer: Dense | Conv2d, what: str, neuron: Neuron | None, unit: Array | None) -> Any:
        import nir

        bias = layer.bias if neuron is None else biases(neuron, layer.bias)
        more: dict[str, Any] = {} if np.array_equal(bias, layer.bias) else {"bias": layer.bias.tolist()}
        if isinstance(layer, Conv2d) and unit is not None:
            rows = unit.reshape(len(layer.bias), -1)
            if (rows != rows[:, :1]).any():
                raise InputError(
                    f"export to NIR: {what}: thresholds that differ within a channel; {self.how.name} takes one for all"
                )
            unit = rows[:, 0]
        weight, note = _divided(layer.weight, unit)
        more |= note
        bias = bias if unit is None else bias / unit
        if isinstance(layer, Dense):
            note = {KEY: layer_note(layer, kind="Dense", **more)}
            return nir.Affine(_floats(weight), _floats(bias), metadata=note)
        g = layer.geometry
        groups = g.groups
        if self.how.plain_conv and groups > 1:
            weight, groups, more = _in_full(weight, groups), 1, more | {"groups": groups}
        note = {KEY: layer_note(layer, kind="Conv2d", **more)}
        window = (g.stride, g.padding, g.dilation, groups)
        return nir.Conv2d(g.input_shape[1:], _floats(weight), *window, _floats(bias), metadata=note)


def _divided(weight: Array, unit: Array | None) -> tuple[Array, dict[str, Any]]:
    """Return weights in units of their neurons' thresholds, and the note that gives the integers back."""
    if unit is None:
        return weight, {}
    return weight / unit.reshape(-1, *[1] * (weight.ndim - 1)), {"unit": unit.tolist()}


def _in_full(weight: Array, groups: int) -> Array:
    """Return the kernel of a grouped convolution over all channels, 0 where groups do not see each other."""
    outputs, inputs = len(weight) // groups, weight.shape[1]
    full = np.zeros((len(weight), inputs * groups, *weight.shape[2:]), weight.dtype)
    for group in range(groups):
        rows = slice(group * outputs, (group + 1) * outputs)
        full[rows, group * inputs : (group + 1) * inputs] = weight[rows]
    return full


def _floats(values: Array) -> Array:
    """Return integers as the smaller float that holds them exactly, as readers that compute in floats expect."""
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    largest = int(np.abs(values.astype(np.int64)).max(initial=0))
    return values.astype(np.float32 if largest <= _FLOAT32_EXACT else np.float64)
