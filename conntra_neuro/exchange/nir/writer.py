"""A network as a graph of NIR, the neuromorphic intermediate representation (https://neuroir.org).

NIR's Threshold is strict, ``v > threshold``, so that Affine and Threshold at 0 are a layer of ours; several edges into
a node add up, which is what a residual connection does. Arrays are written in full, for not every reader broadcasts.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import Neuron, row_for
from conntra_neuro.exchange.metadata import KEY, layer_note, network_note
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Conv2d, Dense, Flatten, Layer, MaxPool, Residual, Shape, SumPool

if TYPE_CHECKING:
    import nir

__all__ = ["nir_bytes", "nir_graph"]

_FLOAT32_EXACT = 2**24


def nir_bytes(network: DiscreteNetwork, about: Mapping[str, Any] | None = None) -> bytes:
    """Return the NIR file (HDF5) of ``network``; InputError names a layer that NIR has no words for."""
    import nir

    file = io.BytesIO()
    nir.write(file, nir_graph(network, about))  # type: ignore[arg-type]  # any file object will do
    return file.getvalue()


def nir_graph(network: DiscreteNetwork, about: Mapping[str, Any] | None = None) -> nir.NIRGraph:
    """Return ``network`` as a graph whose nodes are called after its layers: "0_conv2d", "0_threshold", ..."""
    return _Writer(network).graph(network_note(network, about))


class _Writer:
    """Nodes and edges as they are added; ``ends`` are the nodes that hold what each layer puts out."""

    def __init__(self, network: DiscreteNetwork) -> None:
        self.network = network
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
        # nir 1.0.8 infers the shapes of grouped convolutions and of kernels that are not square wrongly.
        return nir.NIRGraph(self.nodes, self.edges, metadata={KEY: note}, type_check=False)

    def _layer(self, index: int, layer: Layer, given: tuple[str, Shape]) -> tuple[str, Shape]:
        import nir

        what = f"layer {index} ({layer!r})"
        source = self._reshaped(given, layer.input_shape, f"{index}_flat", what)
        name = self._add(f"{index}_{type(layer).__name__.lower()}", _node(layer, what), source)
        neuron = layer.neuron
        if neuron is None:
            return name, layer.output_shape
        if neuron.spikes:
            target = f"{index}_{neuron.kind}"
            self.nodes[target] = _neuron_node(neuron, layer.output_shape, what)
        else:
            target = "output"
            self.nodes[target] = nir.Output({"output": np.array(layer.output_shape)})
        self.edges.append((name, target))
        for number, residual in enumerate(self.network.residuals):
            if residual.target == index:
                self._residual(number, residual, target, layer.output_shape)
        return target, layer.output_shape

    def _residual(self, number: int, residual: Residual, target: str, shape: Shape) -> None:
        import nir

        name, what, connection = f"residual{number}", str(residual), residual.connection
        given = ("input", self.network.layers[0].input_shape) if residual.source < 0 else self.ends[residual.source]
        if connection is not None:
            source = self._reshaped(given, connection.input_shape, f"{name}_flat", what)
            given = self._add(name, _node(connection, what), source), connection.output_shape
        source = self._reshaped(given, shape, f"{name}_flat_end", what)
        if residual.scale != 1 or (source, target) in self.edges:
            factor = nir.Scale(np.full(shape, residual.scale, np.float32))
            source = self._add(f"{name}_scale", factor, source)
        self.edges.append((source, target))

    def _reshaped(self, given: tuple[str, Shape], taken: Shape, name: str, what: str) -> str:
        import nir

        source, shape = given
        if shape == taken:
            return source
        if len(taken) != 1:
            raise InputError(
                f"export to NIR: {what} takes {taken} from {shape}; NIR has no node that folds rows to images: "
                "put Dense layers behind the convolutions only"
            )
        flat = nir.Flatten({"input": np.array(shape)}, start_dim=0, end_dim=-1, metadata={KEY: layer_note(None)})
        return self._add(name, flat, source)

    def _add(self, name: str, node: Any, source: str) -> str:
        self.nodes[name] = node
        self.edges.append((source, name))
        return name


def _node(layer: Layer, what: str) -> Any:
    import nir

    kind = type(layer).__name__
    note = {KEY: layer_note(layer, kind=kind)}
    if isinstance(layer, Dense):
        return nir.Affine(_floats(layer.weight), _floats(layer.bias), metadata=note)
    if isinstance(layer, Conv2d):
        g = layer.geometry
        window = (g.stride, g.padding, g.dilation, g.groups)
        return nir.Conv2d(g.input_shape[1:], _floats(layer.weight), *window, _floats(layer.bias), metadata=note)
    if isinstance(layer, (SumPool, MaxPool)):
        # A maximum of 0/1 spikes is a sum above 0: NIR has no node for the maximum.
        g = layer.geometry
        return nir.SumPool2d(np.array(g.kernel), np.array(g.stride), np.array(g.padding), metadata=note)
    if isinstance(layer, Flatten):
        return nir.Flatten({"input": np.array(layer.input_shape)}, start_dim=0, end_dim=-1, metadata=note)
    raise InputError(f"export to NIR: {what}: a layer of type {kind} has no counterpart there")


def _neuron_node(neuron: Neuron, shape: Shape, what: str) -> Any:
    import nir

    def threshold() -> Any:
        return nir.Threshold(np.zeros(shape, np.float32))

    def integrate_and_fire() -> Any:
        if neuron.facts.reset != "hard":
            raise InputError(f"export to NIR: {what}: soft reset; NIR's IF resets to a value: use reset='hard'")
        # v is an integer: at least the threshold is more than half a unit below it.
        levels = np.broadcast_to(neuron.facts.least - 0.5, (int(np.prod(shape)),)).reshape(shape).astype(np.float32)
        return nir.IF(np.ones(shape, np.float32), levels, np.zeros(shape, np.float32))

    rows = {"threshold": threshold, "integrating": integrate_and_fire}
    remedy = "its spikes are 0 and 1, its neurons without leak: use threshold neurons, or --format c"
    return row_for(rows, neuron, f"export to NIR: {what}", remedy)()


def _floats(values: IntArray) -> npt.NDArray[Any]:
    """Return integers as the smaller float that holds them exactly, as readers that compute in floats expect."""
    largest = int(np.abs(values.astype(np.int64)).max(initial=0))
    return values.astype(np.float32 if largest <= _FLOAT32_EXACT else np.float64)
