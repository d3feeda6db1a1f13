"""ONNX graphs of small networks in the plainest notation, to find out what the reader makes of each kind of layer.

Not an export: a step is written as Greater and Cast, graded neurons as Relu behind a division, time steps not at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from conntra_hardware.base.errors import ConntraError
from conntra_hardware.neurons import GRADED_MAX
from conntra_neuro.exchange.onnx.reader import read_onnx
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Conv2d, Dense, Flatten, Layer, MaxPool, SumPool

__all__ = ["comes_from_onnx"]

_OPSET = 13
_SAMPLES = 64


def comes_from_onnx(network: DiscreteNetwork, path: Path) -> bool:
    """Write ``network`` as a graph to ``path``, read it, and return whether that gave a network that does the same."""
    path.write_bytes(_Writer(network).model().SerializeToString())
    try:
        read = read_onnx(path)
    except ConntraError:
        return False
    x = np.random.default_rng(0).random((_SAMPLES, network.steps, network.n_in))
    if network.encoder is None:
        x = (x < 0.5).astype(np.uint8)
    if (read.steps, read.labels) != (network.steps, network.labels):
        return False
    return np.array_equal(read.predict(x), network.predict(x))


class _Writer:
    """Nodes one after the other; ``outputs`` names the tensor of each layer, -1 being the input."""

    def __init__(self, network: DiscreteNetwork) -> None:
        self.network = network
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.outputs: dict[int, str] = {-1: "x"}

    def model(self) -> Any:
        """Return the graph as ``onnx.ModelProto``."""
        from onnx import TensorProto, helper

        network = self.network
        if network.encoder is not None:
            self.outputs[-1] = self._step("x", np.asarray(network.encoder.thresholds))
        for index, layer in enumerate(network.layers):
            self.outputs[index] = self._layer(index, layer, self.outputs[index - 1])
        self.nodes[-1].output[0] = "y"
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *network.layers[0].input_shape])]
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", network.n_classes])]
        made = helper.make_graph(self.nodes, "sample", inputs, outputs, self.constants)
        return helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)

    def _layer(self, index: int, layer: Layer, at: str) -> str:
        before = self.network.layers[index - 1].output_shape if index else layer.input_shape
        if isinstance(layer, Dense) and len(before) > 1:
            at = self._add("Flatten", at, axis=1)
        elif len(before) != len(layer.input_shape):
            at = self._add("Reshape", at, self._constant([-1, *layer.input_shape], np.int64))
        potentials = self._potentials(layer, at)
        for residual in self.network.residuals:
            if residual.target == index:
                potentials = self._add("Add", potentials, self._joined(residual, self.outputs[residual.source]))
        return self._neurons(layer, potentials)

    def _joined(self, residual: Any, source: str) -> str:
        if residual.connection is not None:
            return self._potentials(residual.connection, source)
        return self._add("Mul", source, self._constant(float(residual.scale)))

    def _potentials(self, layer: Any, at: str) -> str:
        if isinstance(layer, Dense):
            return self._add("Gemm", at, self._constant(layer.weight), self._constant(layer.bias), transB=1)
        if isinstance(layer, Flatten):
            return self._add("Flatten", at, axis=1)
        geometry = layer.geometry
        window = {"kernel_shape": geometry.kernel, "strides": geometry.stride, "pads": geometry.padding * 2}
        if isinstance(layer, Conv2d):
            window |= {"group": geometry.groups, "dilations": geometry.dilation}
            return self._add("Conv", at, self._constant(layer.weight), self._constant(layer.bias), **window)
        if isinstance(layer, MaxPool):
            return self._add("MaxPool", at, **window)
        assert isinstance(layer, SumPool)
        mean = self._add("AveragePool", at, **window)
        return self._add("Mul", mean, self._constant(float(np.prod(geometry.kernel))))

    def _neurons(self, layer: Layer, at: str) -> str:
        neuron = layer.neuron
        if neuron is None or not neuron.spikes:
            return at
        facts = neuron.facts
        if facts.graded:
            shifted = self._add("Div", at, self._constant(2.0 ** np.asarray(facts.shift)))
            graded = self._add("Relu", self._add("Floor", shifted))
            if facts.ceiling == GRADED_MAX:
                return graded
            return self._add("Min", graded, self._constant(np.asarray(facts.ceiling)))
        return self._step(at, np.asarray(facts.least) - 0.5)

    def _step(self, at: str, threshold: Any) -> str:
        return self._add("Cast", self._add("Greater", at, self._constant(threshold)), to=1)

    def _constant(self, array: Any, kind: Any = np.float32) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype=kind), name))
        return name

    def _add(self, op: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        made = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [made], name=made, **attributes))
        return made
