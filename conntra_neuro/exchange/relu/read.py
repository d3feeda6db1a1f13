"""From an ONNX graph of a ReLU network to ``FloatNet``: what each value of the graph stands for, node by node."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.exchange.onnx.graph import Graph, Node
from conntra_neuro.exchange.onnx.ops import evaluate_constant
from conntra_neuro.exchange.onnx.shapes import RESHAPING, constant_pad, convolution_of, window_of
from conntra_neuro.exchange.relu.branches import chained, identity, without_groups
from conntra_neuro.exchange.relu.net import FloatLayer, FloatNet, Grid, Part, Pool
from conntra_neuro.exchange.relu.view import AFFINE, View, affine, by_channel, moved

__all__ = ["read_float_net"]

Array = npt.NDArray[Any]
_FINAL = ("ArgMax", "LogSoftmax", "Sigmoid", "Softmax", "TopK")
_WEIGHTED = ("Conv", "Gemm", "MatMul")
_POOLS = ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReduceMean")
_JOINING = ("Add", "Sub", "Sum")
_NOTHING = ("Cast", "Dropout", "Identity")
_BEHIND = ("ArgMax", "Cast", "DequantizeLinear", "Flatten", "Identity", "QuantizeLinear", "Reshape", "Squeeze", "TopK")
_LARGEST = 1e9
_ORDER = "takes a layer with its elements in another order than (channels, height, width)"


def read_float_net(graph: Graph) -> FloatNet:
    """Return the network of a graph; InputError names the node that stands in the way."""
    return _Reader(graph).net()


class _Reader:
    """The layers so far, and what each name of the graph stands for: a constant, or a view of a layer."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.layers: list[FloatLayer] = []
        self.notes: list[str] = []
        self.grid: Grid | None = None
        self.cut: set[int] = set()  # layers whose Relu is a quantisation's
        self.order = np.arange(int(np.prod(graph.input_shape)))
        self.shape: tuple[int, ...] = self.order.shape
        self.values: dict[str, Any] = {**graph.constants, graph.input: View.of(-1, graph.input_shape)}
        self.uses = Counter(name for node in graph.nodes for name in node.inputs)
        self.uses[graph.output] += 1

    def net(self) -> FloatNet:
        for node in self.graph.nodes:
            self.uses.subtract(node.inputs)
            arguments = [self.values[name] if name else None for name in node.inputs]
            self.values[node.outputs[0]] = self._visit(node, arguments)
            for extra in filter(None, node.outputs[1:]):
                self.values[extra] = self.values[node.outputs[0]] if node.op == "TopK" else None
        found = self.values.get(self.graph.output)
        if not isinstance(found, View) or found.layer < 0:
            raise InputError("output: not that of a last weighted layer; logits or a softmax of them expected there")
        last = self.layers[found.layer]
        if last.rectified and found.layer in self.cut and not last.pools:
            last.rectified, last.grid = False, None
            self.notes.append("output: logits below 0, which their quantisation cuts off, are kept")
        if last.rectified or found.waiting or last.geometry is not None:
            raise InputError("output: no sums of a dense layer; logits or a softmax of them expected there")
        self._fold(found, last, "output")
        last.weight, last.bias = last.weight[found.index], last.bias[found.index]
        last.parts = tuple(replace(part, weight=part.weight[found.index]) for part in last.parts)
        single = len(last.bias) == 1
        layers = without_groups(chained(self.layers, found.layer, self.shape))
        for layer in layers:
            parts = [layer.weight, layer.bias, *([] if layer.plane is None else [layer.plane])]
            if not all((np.abs(part) < _LARGEST).all() for part in parts):
                raise InputError(f"{layer.name}: weights beyond {_LARGEST:g}, or not finite; export a sound network")
        return FloatNet(layers, self.order, self.shape, self.grid, single, tuple(self.notes))

    def _visit(self, node: Node, arguments: list[Any]) -> Any:
        views = [a for a in arguments if isinstance(a, View)]
        if node.op == "Shape" and views:
            return np.array([-1, *views[0].shape])  # -1 for the batch, as Reshape takes it
        if not views:
            return evaluate_constant(node, arguments)
        view = views[0]
        if any(v.final for v in views):
            return self._behind_softmax(node, view)
        if node.op in _FINAL:
            if node.op == "Sigmoid" and view.shape != (1,):
                raise InputError(f"{node}: a sigmoid of {view.shape} values; that of one logit at the end is taken")
            return replace(view, final=True)
        if len(views) > 1:
            if node.op not in _JOINING or len(views) != 2 or len(arguments) != 2:
                raise InputError(f"{node}: joins two branches, which only {', '.join(_JOINING)} of two may do")
            return self._joined(node, *views)
        if node.op in RESHAPING:
            return moved(node, view, arguments[1:])
        if node.op in _NOTHING:
            return view
        if node.op in _WEIGHTED:
            return self._weighted(node, view, arguments)
        if node.op in ("Clip", "Relu"):
            return self._rectified(node, view, _top(node, arguments))
        if node.op in _POOLS:
            return self._pooled(node, view, arguments)
        if node.op == "Pad":
            pads, constant = constant_pad(node, arguments, len(view.shape))
            if constant:
                raise InputError(f"{node}: pads by {constant:g}; 0 expected")
            return replace(view, pad=tuple(a + b for a, b in zip(view.pad, pads, strict=True)))
        if node.op == "QuantizeLinear":
            return _quantised(node, view, arguments)
        if node.op == "DequantizeLinear":
            return self._dequantised(node, view)
        if node.op in AFFINE:
            return affine(node, view, arguments)
        raise InputError(
            f"{node}: operator {node.op} has no counterpart here; allowed in networks of floating point: "
            f"{', '.join((*_WEIGHTED, 'Relu', 'Clip from 0', *_POOLS, 'Pad', *RESHAPING, *AFFINE))}, and at the end "
            f"{', '.join(_FINAL)}"
        )

    def _behind_softmax(self, node: Node, view: View) -> View:
        # 1 - p, and both side by side: two classes told apart by one logit.
        single = view.shape == (1,) and node.op in ("Concat", "Sub")
        if node.op in _BEHIND or single:
            return view
        raise InputError(f"{node}: behind a softmax; only the output may follow there")

    def _layer(self, node: Node, view: View) -> FloatLayer:
        """Return the layer of ``view``, which has to be behind all of its pools."""
        if view.layer < 0:
            raise InputError(f"{node}: takes the input itself; weights expected there")
        layer = self.layers[view.layer]
        if view.pools != len(layer.pools):
            raise InputError(f"{node}: a branch before a pool; put the pool before the branch")
        return layer

    def _own(self, view: View) -> View:
        """Return ``view`` of a layer that nobody else takes: of a copy where others do."""
        layer, index = self.layers[view.layer], view.layer
        waiting = (self.values[name] for name, count in self.uses.items() if count > 0 and name in self.values)
        taken = any(part.source == index for made in self.layers for part in (*made.parts, made))
        if not taken and not any(isinstance(other, View) and other.layer == index for other in waiting):
            return view
        self.layers.append(replace(layer, pools=list(layer.pools)))
        return replace(view, layer=len(self.layers) - 1)

    def _joined(self, node: Node, one: View, other: View) -> View:
        """Return the sum of two branches: a layer that takes what both take, or what they put out."""
        if node.op == "Sub":
            other = replace(other, gain=-other.gain, shift=-other.shift)
        if one.shape != other.shape or not np.array_equal(one.index, other.index):
            raise InputError(f"{node}: adds {one.shape} and {other.shape}, or layouts that differ; the same expected")
        parts: list[Part] = []
        bias: Array = np.zeros(1)
        for view in (one, other):
            if view.waiting or view.grid is not None or any(view.pad):
                raise InputError(f"{node}: adds what is pooled before its Relu, quantised or padded")
            made, shift = self._summand(node, view)
            parts += made
            bias = bias + shift
        first, *rest = parts
        more: dict[str, Any] = {"source": first.source, "parts": tuple(rest)}
        self.layers.append(FloatLayer(str(node), first.weight, bias, first.geometry, first.plane, **more))
        return replace(View.of(len(self.layers) - 1, one.shape), index=one.index)

    def _summand(self, node: Node, view: View) -> tuple[list[Part], Array]:
        """Return what a branch adds to a sum, and the shift (units or channels,)."""
        if view.layer < 0:
            self._enters(node, view)
        shape = self.shape if view.layer < 0 else self.layers[view.layer].shape_out
        native = _native(node, view, shape, view.layer < 0)
        if native.layer >= 0 and not self._layer(node, native).rectified:
            layer = replace(self.layers[native.layer])
            self._fold(native, layer, node)
            return [Part(layer.source, layer.weight, layer.geometry, layer.plane), *layer.parts], layer.bias
        flat = len(shape) == 1
        gain = native.gain.ravel() if flat else by_channel(node, native.gain)
        shift = native.shift.ravel() if flat else by_channel(node, native.shift)
        return [identity(native.layer, shape, gain)], shift

    def _weighted(self, node: Node, view: View, arguments: list[Any]) -> View:
        weight, bias = arguments[1], arguments[2] if len(arguments) > 2 else None
        if not isinstance(weight, np.ndarray) or arguments[0] is not view:
            raise InputError(f"{node}: its weights are no constants")
        if view.waiting or view.grid is not None:
            raise InputError(
                f"{node}: takes sums, or whole numbers of a quantisation; a Relu or DequantizeLinear first"
            )
        if view.layer >= 0 and not self._layer(node, view).rectified:
            raise InputError(f"{node}: weights behind weights without a Relu between; merge the two before the export")
        make = self._convolution if node.op == "Conv" else self._dense
        self.layers.append(replace(make(node, view, weight.astype(np.float64), bias), source=view.layer))
        return View.of(len(self.layers) - 1, self.layers[-1].shape)

    def _dense(self, node: Node, view: View, weight: Array, bias: Any) -> FloatLayer:
        if weight.ndim != 2 or len(view.shape) != 1 or any(view.pad):
            raise InputError(f"{node}: weight {weight.shape} for values {view.shape}; a matrix and rows expected")
        attributes = node.attributes
        rows, factor = weight.T, 1.0
        if node.op == "Gemm":
            if attributes.get("transA", 0):
                raise InputError(f"{node}: transA; samples are rows here")
            rows = (weight if attributes.get("transB", 0) else weight.T) * float(attributes.get("alpha", 1.0))
            factor = float(attributes.get("beta", 1.0))
        if rows.shape[1] != view.shape[0]:
            raise InputError(f"{node}: {rows.shape[1]} inputs; {view.shape[0]} are there")
        size = len(self.order) if view.layer < 0 else int(np.prod(self.layers[view.layer].shape_out))
        full = np.zeros((len(rows), size))
        full[:, view.index] = rows * view.gain
        return FloatLayer(str(node), full, factor * _bias(node, bias, len(rows)) + rows @ view.shift)

    def _convolution(self, node: Node, view: View, weight: Array, bias: Any) -> FloatLayer:
        if weight.ndim != 4 or len(view.shape) != 3:
            raise InputError(
                f"{node}: weight {weight.shape} for values {view.shape}; (outputs, inputs, height, width) and "
                "(channels, height, width) expected"
            )
        geometry, weight = convolution_of(node, view.shape, weight, view.pad)
        kernel, groups = geometry.kernel, geometry.groups
        if view.layer < 0:
            self._enters(node, view)
        elif not view.in_order:
            raise InputError(f"{node}: {_ORDER}")
        gain, shift = (by_channel(node, part).reshape(groups, 1, -1, 1, 1) for part in (view.gain, view.shift))
        grouped = weight.reshape(groups, -1, *weight.shape[1:])
        plane = (grouped * shift).sum(axis=2).reshape(len(weight), *kernel)
        constant, padded = _bias(node, bias, len(weight)), geometry.padding != (0, 0)
        constant = constant if padded else constant + plane.sum(axis=(1, 2))
        scaled = (grouped * gain).reshape(weight.shape)
        return FloatLayer(str(node), scaled, constant, geometry, plane if padded and shift.any() else None)

    def _enters(self, node: Node, view: View) -> None:
        """Take the layout of the features from the first that takes them."""
        order = view.index.ravel()
        if len(self.shape) > 1 and not (self.shape == view.shape and np.array_equal(self.order, order)):
            raise InputError(f"{node}: takes the input in another layout than a layer before it")
        if len(view.shape) > 1:
            self.order, self.shape = order, view.shape

    def _fold(self, view: View, layer: FloatLayer, what: Any) -> None:
        """Take gain and shift of ``view`` into the weights of its layer."""
        if layer.geometry is not None:
            made = view.waiting[-1].output_shape if view.waiting else layer.shape_out
            view = view if view.in_order else _native(what, view, made, False)  # channel last, as Keras has it
            gain, shift = by_channel(what, view.gain), by_channel(what, view.shift)
        else:
            if not np.array_equal(np.sort(view.index.ravel()), np.arange(layer.size)):
                raise InputError(f"{what}: takes part of a layer only")
            gain, shift = np.empty(layer.size), np.empty(layer.size)
            gain[view.index.ravel()], shift[view.index.ravel()] = view.gain.ravel(), view.shift.ravel()
        if view.waiting and (gain <= 0).any():
            raise InputError(f"{what}: a maximum of sums that are turned round behind it; put the pool behind the Relu")
        layer.weight = layer.weight * gain.reshape(-1, *[1] * (layer.weight.ndim - 1))
        layer.plane = None if layer.plane is None else layer.plane * gain[:, None, None]
        layer.parts = tuple(_scaled(part, gain) for part in layer.parts)
        layer.bias = layer.bias * gain + shift

    def _rectified(self, node: Node, view: View, top: float) -> View:
        raw = view.layer >= 0 and not self.layers[view.layer].rectified
        view = self._own(view) if raw else view
        layer = self._layer(node, view)
        if layer.rectified:
            if top < np.inf or (view.gain < 0).any() or (view.shift < 0).any():
                raise InputError(f"{node}: a second Relu of other values; merge the two before the export")
            return view
        self._fold(view, layer, node)
        layer.rectified, layer.top = True, top
        layer.pools += [Pool("max", geometry) for geometry in view.waiting]
        plain = View.of(view.layer, view.shape)
        return replace(plain, index=view.index, pools=len(layer.pools))

    def _pooled(self, node: Node, view: View, arguments: list[Any]) -> View:
        layer = self._layer(node, view)
        if len(view.shape) != 3 or view.grid is not None or layer.geometry is None:
            raise InputError(f"{node}: pools values of shape {view.shape}; images behind a convolution expected")
        if not view.in_order:
            raise InputError(f"{node}: {_ORDER}")
        largest = node.op in ("GlobalMaxPool", "MaxPool")
        geometry = _windows(node, view, arguments)
        gain, shift = by_channel(node, view.gain), by_channel(node, view.shift)
        if largest and (gain < 0).any():
            raise InputError(f"{node}: a maximum of values that are turned round; put the pool before what does that")
        padded = any(geometry.padding)
        if padded and (shift.any() or not (largest or node.attributes.get("count_include_pad", 0))):
            raise InputError(f"{node}: pads what is not 0 outside, or leaves padding out of an average; do not pad")
        if not layer.rectified and (padded or not largest):
            raise InputError(f"{node}: averages sums before their Relu, or pads them; put the Relu first")
        inside = 1 if largest else int(np.prod(geometry.kernel))
        found = View.of(view.layer, geometry.output_shape)
        found = replace(found, gain=found.gain * (gain / inside)[:, None, None])
        found = replace(found, shift=found.shift + shift[:, None, None], pools=view.pools)
        if not layer.rectified:
            return replace(found, waiting=(*view.waiting, geometry))
        view = self._own(view)
        layer = self.layers[view.layer]
        layer.pools.append(Pool("max" if largest else "sum", geometry))
        found = replace(found, layer=view.layer, pools=len(layer.pools))
        return _squeezed(node, found)

    def _dequantised(self, node: Node, view: View) -> View:
        grid = view.grid
        if grid is None:
            raise InputError(f"{node}: of an activation that no QuantizeLinear made; QuantizeLinear expected before it")
        view = replace(view, grid=None)
        if view.layer < 0:
            self.grid = grid if view.plain else self.grid
            self.notes += [] if view.plain else [f"{node}: rounding of the scaled input is left out"]
            return view
        layer = self.layers[view.layer]
        if not layer.rectified and grid.low == grid.zero:  # what is below 0 is cut off: a Relu
            view = self._rectified(node, view, np.inf)
            self.cut.add(view.layer)
        maxima = all(pool.kind == "max" for pool in layer.pools)
        if layer.rectified and maxima and view.plain and layer.grid in (None, grid):
            layer.grid = grid  # rounding and maximum may change places
        else:
            self.notes.append(f"{node}: rounding of {'averages' if layer.rectified else 'sums'} is left out")
        return view


def _scaled(part: Part, gain: Array) -> Part:
    plane = None if part.plane is None else part.plane * gain[:, None, None]
    return replace(part, weight=part.weight * gain.reshape(-1, *[1] * (part.weight.ndim - 1)), plane=plane)


def _native(node: Any, view: View, shape: tuple[int, ...], whole: bool) -> View:
    """Return the values of ``view`` in the order of what it is of, an output of ``shape``, or the input."""
    if whole:
        index = np.arange(view.index.size).reshape(shape)
        return replace(view, index=index, gain=view.gain.reshape(shape), shift=view.shift.reshape(shape))
    places = view.index.ravel()
    if not np.array_equal(np.sort(places), np.arange(int(np.prod(shape)))):
        raise InputError(f"{node}: adds part of a layer only")
    gain, shift = np.empty(len(places)), np.empty(len(places))
    gain[places], shift[places] = view.gain.ravel(), view.shift.ravel()
    index = np.arange(len(places)).reshape(shape)
    return replace(view, index=index, gain=gain.reshape(shape), shift=shift.reshape(shape))


def _bias(node: Node, bias: Any, size: int) -> Array:
    if bias is None:
        return np.zeros(size)
    if not isinstance(bias, np.ndarray) or bias.size not in (1, size):
        raise InputError(f"{node}: its bias is no constant of {size} values")
    if not np.isfinite(bias.astype(np.float64)).all():
        raise InputError(f"{node}: NaN or infinite biases; export it from a sound network")
    return np.broadcast_to(bias.astype(np.float64).ravel(), size).copy()


def _quantised(node: Node, view: View, arguments: list[Any]) -> View:
    scale, zero = arguments[1], arguments[2] if len(arguments) > 2 else None
    if not isinstance(scale, np.ndarray) or scale.size != 1 or not float(scale.ravel()[0]) > 0:
        raise InputError(f"{node}: a scale for each channel of an activation; one above 0 for all expected")
    kind = np.dtype(np.uint8) if zero is None else zero.dtype
    if kind not in (np.uint8, np.int8):
        raise InputError(f"{node}: quantises to {kind}; 8 bits (uint8, int8) expected")
    info, start = np.iinfo(kind), 0 if zero is None else int(zero.ravel()[0])
    return replace(view, grid=Grid(float(scale.ravel()[0]), start, int(info.min), int(info.max)))


def _top(node: Node, arguments: list[Any]) -> float:
    """Return where a Relu or a Clip ends."""
    if node.op == "Relu":
        return np.inf
    low = arguments[1] if len(arguments) > 1 and arguments[1] is not None else node.attributes.get("min", -np.inf)
    high = arguments[2] if len(arguments) > 2 and arguments[2] is not None else node.attributes.get("max", np.inf)
    ends = [float(np.asarray(end).ravel()[0]) for end in (low, high)]
    if ends[0] != 0 or not ends[1] > 0:
        raise InputError(f"{node}: clips from {ends[0]:g} to {ends[1]:g}; from 0 on expected, as in Relu and ReLU6")
    return ends[1]


def _windows(node: Node, view: View, arguments: list[Any]) -> Geometry:
    channels, height, width = view.shape
    if node.op.startswith("Global"):
        return Geometry((channels, height, width), channels, (height, width), (1, 1), (0, 0), channels)
    if node.op == "ReduceMean":
        axes = arguments[1] if len(arguments) > 1 and arguments[1] is not None else node.attributes.get("axes", ())
        if sorted(int(a) % 4 for a in np.asarray(axes).ravel()) != [2, 3]:
            raise InputError(f"{node}: a mean over axes {np.asarray(axes).tolist()}; over height and width expected")
        return Geometry((channels, height, width), channels, (height, width), (1, 1), (0, 0), channels)
    if node.attributes.get("ceil_mode", 0):
        raise InputError(f"{node}: ceil_mode; windows have to lie inside")
    kernel = tuple(int(k) for k in node.attributes["kernel_shape"])
    if len(kernel) != 2:
        raise InputError(f"{node}: kernel {kernel}; (height, width) expected")
    return window_of(node, view.shape, channels, (kernel[0], kernel[1]), channels, view.pad)


def _squeezed(node: Node, view: View) -> View:
    if node.op != "ReduceMean" or node.attributes.get("keepdims", 1):
        return view
    index, gain, shift = (part.reshape(-1) for part in (view.index, view.gain, view.shift))
    return replace(view, index=index, gain=gain, shift=shift)
