"""A network as an ONNX graph of float32 that computes its integers exactly, logits and all.

Every value is a whole number of less than 2^24, which float32 holds, so that a runtime may add up in whatever order it
likes. A threshold is Greater and Cast, several thresholds are so many of them, added up, and a graded neuron is Floor
and Relu behind a multiplication by a power of two. The encoder stands in front, in float64 as here: the input is then
the raw features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from conntra_hardware.base.errors import InputError
from conntra_hardware.fit.overflow import spans_of, synaptic_bounds
from conntra_hardware.neurons import GRADED_MAX, row_for
from conntra_hardware.program.input_encoding import ThermometerEncoder, ThresholdEncoder
from conntra_neuro.compiler.lower import lower
from conntra_neuro.exchange.metadata import KEY, network_note
from conntra_neuro.exchange.onnx.input import SPIKES, THRESHOLDS
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Conv2d, Dense, Flatten, Layer, MaxPool, Residual, SumPool

__all__ = ["INPUT", "LOGITS", "onnx_bytes"]

INPUT, LOGITS = "input", "logits"
"""The names of the graph's input (n, ...) and of its output (n, classes)."""

_OPSET, _IR = 13, 8
_EXACT = 2**24


def onnx_bytes(network: DiscreteNetwork, about: Mapping[str, Any] | None = None) -> bytes:
    """Return the ONNX file of ``network``; InputError names what float32 or ONNX cannot say.

    The input is float32 spikes (n, n_in), images (n, channels, height, width), or float64 features (n, n_features)
    where the network has an encoder; the output float32 logits (n, classes).
    """
    _check_exact(network)
    return _Writer(network).model(network_note(network, about)).SerializeToString()


def _check_exact(network: DiscreteNetwork) -> None:
    lowered = lower(network)
    spans = spans_of(lowered.populations, lowered.incoming, lowered.steps)
    for population, incoming in lowered.layers:
        low, high = synaptic_bounds(population, incoming, spans)
        reach = max(-int(low.min()), int(high.max()))
        if reach > _EXACT:
            raise InputError(
                f"export to ONNX: {population.name}: potentials of up to {reach:,}; float32 holds whole numbers to "
                f"{_EXACT:,}: shift graded spikes by more bits, or use smaller weights"
            )


class _Writer:
    """Nodes one after the other; ``outputs`` names the tensor of each layer, -1 being the input."""

    def __init__(self, network: DiscreteNetwork) -> None:
        self.network = network
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.outputs: dict[int, str] = {-1: INPUT}
        self.graded = any(layer.neuron is not None and layer.neuron.graded for layer in network.layers)

    def model(self, note: str) -> Any:
        """Return the graph as ``onnx.ModelProto``."""
        from onnx import TensorProto, helper

        network, encoder = self.network, self.network.encoder
        kind, shape = TensorProto.FLOAT, network.layers[0].input_shape
        if encoder is not None:
            if not isinstance(encoder, (ThresholdEncoder, ThermometerEncoder)):
                raise InputError(f"export to ONNX: encoder {encoder.kind}: only thresholds can be said; encode outside")
            kind, shape = TensorProto.DOUBLE, (encoder.n_features,)
            self.outputs[-1] = self._encoded(np.asarray(encoder.thresholds))
        for index, layer in enumerate(network.layers):
            self.outputs[index] = self._layer(index, layer, self.outputs[index - 1])
        self.nodes[-1].output[0] = LOGITS
        inputs = [helper.make_tensor_value_info(INPUT, kind, ["n", *shape])]
        outputs = [helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["n", network.n_classes])]
        graph = helper.make_graph(self.nodes, "conntra", inputs, outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
        helper.set_model_props(model, {KEY: note})
        return model

    def _encoded(self, thresholds: Any) -> str:
        """Return the spikes (n, n_out) of features (n, n_features) at thresholds (n_features,), or (k, n_features)."""
        at = INPUT
        if thresholds.ndim == 2:
            at = self._add("Reshape", at, self._constant([-1, 1, thresholds.shape[1]], np.int64))
        at = self._step(at, self._constant(thresholds, np.float64, THRESHOLDS))
        at = self._add("Flatten", at, axis=1) if thresholds.ndim == 2 else at
        self.nodes[-1].output[0] = SPIKES
        return SPIKES

    def _layer(self, index: int, layer: Layer, at: str) -> str:
        what = f"layer {index} ({layer!r})"
        before = self.network.layers[index - 1].output_shape if index else layer.input_shape
        before = (self.network.n_in,) if not index and self.network.encoder is not None else before
        potentials = self._potentials(layer, self._reshaped(at, before, layer.input_shape), what)
        for residual in self.network.residuals:
            if residual.target == index:
                potentials = self._add("Add", potentials, self._joined(residual, layer.output_shape))
        return self._neurons(layer, potentials, what)

    def _joined(self, residual: Residual, wanted: tuple[int, ...]) -> str:
        network, connection = self.network, residual.connection
        first = residual.source < 0
        shape = network.layers[0].input_shape if first else network.layers[residual.source].output_shape
        at = self.outputs[residual.source]
        shape = (network.n_in,) if first and network.encoder is not None else shape
        if connection is not None:
            at = self._potentials(connection, self._reshaped(at, shape, connection.input_shape), str(residual))
            shape = connection.output_shape
        at = self._reshaped(at, shape, wanted)
        return at if residual.scale == 1 else self._add("Mul", at, self._constant(float(residual.scale)))

    def _reshaped(self, at: str, given: tuple[int, ...], taken: tuple[int, ...]) -> str:
        if given == taken:
            return at
        if len(taken) == 1:
            return self._add("Flatten", at, axis=1)
        return self._add("Reshape", at, self._constant([-1, *taken], np.int64))

    def _potentials(self, layer: Layer, at: str, what: str) -> str:
        if isinstance(layer, Dense):
            return self._add("Gemm", at, self._constant(layer.weight), self._constant(layer.bias), transB=1)
        if isinstance(layer, Flatten):
            return self._add("Flatten", at, axis=1)
        if not isinstance(layer, (Conv2d, MaxPool, SumPool)):
            raise InputError(f"export to ONNX: {what}: a layer of type {type(layer).__name__} has no counterpart there")
        geometry = layer.geometry
        window = {"kernel_shape": geometry.kernel, "strides": geometry.stride, "pads": geometry.padding * 2}
        if isinstance(layer, MaxPool):
            if any(pad >= size for pad, size in zip(geometry.padding, geometry.kernel, strict=True)):
                raise InputError(f"export to ONNX: {what}: padding as wide as the window; less is allowed there")
            return self._add("MaxPool", at, **window)
        if isinstance(layer, SumPool):
            return self._sums(layer, at, window)
        window |= {"group": geometry.groups, "dilations": geometry.dilation}
        return self._add("Conv", at, self._constant(layer.weight), self._constant(layer.bias), **window)

    def _sums(self, layer: SumPool, at: str, window: dict[str, Any]) -> str:
        g = layer.geometry
        if not self.graded and g.padding == (0, 0):  # few spikes: rounding brings the sum back from the average
            size = self._constant(float(np.prod(g.kernel)))
            return self._add("Round", self._add("Mul", self._add("AveragePool", at, **window), size))
        channels = g.input_shape[0]
        return self._add("Conv", at, self._constant(np.ones((channels, 1, *g.kernel))), group=channels, **window)

    def _neurons(self, layer: Layer, at: str, what: str) -> str:
        neuron = layer.neuron
        if neuron is None:
            return at
        facts = neuron.facts

        def graded() -> str:
            shift = np.asarray(facts.shift)
            shift = shift.reshape(layer.output_shape) if shift.ndim else shift
            scaled = self._add("Mul", at, self._constant(2.0**-shift))
            sent = self._add("Relu", self._add("Floor", scaled))
            if facts.ceiling == GRADED_MAX:
                return sent
            ceiling = np.asarray(facts.ceiling)
            return self._add(
                "Min", sent, self._constant(ceiling.reshape(layer.output_shape) if ceiling.ndim else ceiling)
            )

        rows = {
            "threshold": lambda: self._step(at, self._constant(0)),
            "graded": graded,
            "multi threshold": lambda: self._exceeded(at, layer, np.array(facts.thresholds)),
            "readout": lambda: at,
        }
        remedy = (
            "these graphs have no time steps: use threshold, multi_threshold or graded_relu neurons, or --format nir"
        )
        return row_for(rows, neuron, f"export to ONNX: {what}", remedy)()

    def _exceeded(self, at: str, layer: Layer, rows: Any) -> str:
        """Return how many thresholds of ``rows`` (1 or size, k) are exceeded."""
        found = ""
        for thresholds in rows.T:
            shape = layer.output_shape if len(rows) > 1 else ()
            step = self._step(at, self._constant(thresholds.reshape(shape)))
            found = self._add("Add", found, step) if found else step
        return found

    def _step(self, at: str, threshold: str) -> str:
        return self._add("Cast", self._add("Greater", at, threshold), to=1)  # to float32

    def _constant(self, array: Any, kind: Any = np.float32, name: str | None = None) -> str:
        from onnx import numpy_helper

        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype=kind), name))
        return name

    def _add(self, op: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        made = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [made], name=made, **attributes))
        return made
