"""Binary and ternary networks in ONNX and QONNX, as integer networks with the same predictions.

Weighted nodes become layers; whatever elementwise operators stand behind one (batch normalisation, sign, step, 1-bit
quantisation, in any notation) become its integer threshold, found by going through all sums there can be. Values -1
and 1 of activations become spikes of 0 and 1, the difference going into the next bias. An activation of more values is
several thresholds: as many neurons that share their weights, or on request one that sends graded spikes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import MultiThreshold, Neuron
from conntra_hardware.program.convolution import Geometry
from conntra_hardware.program.input_encoding import Encoder
from conntra_neuro.exchange.metadata import labels_of, value_of
from conntra_neuro.exchange.onnx.graph import Graph, Node, load_graph, reading
from conntra_neuro.exchange.onnx.input import INPUTS, SPIKES, own_encoder, spikes_of
from conntra_neuro.exchange.onnx.ops import ELEMENTWISE, evaluate_constant
from conntra_neuro.exchange.onnx.shapes import RESHAPING, constant_pad, convolution, reshaped, window
from conntra_neuro.exchange.onnx.values import (
    Pending,
    Raw,
    Settled,
    Tensor,
    TooFine,
    apply,
    by_channel,
    factored,
    line_of,
    rows_of,
    stairs_of,
    step_of,
)
from conntra_neuro.exchange.onnx.weights import as_rows, constant_part, signed
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Conv2d, Dense, Layer, MaxPool, SumPool

__all__ = ["WEIGHTED", "exact_or_graph", "network_of_onnx", "read_onnx"]

WEIGHTED = ("Conv", "Gemm", "MatMul")
_FINAL = ("ArgMax", "LogSoftmax", "Softmax", "TopK")
_FEW_BITS = ("BipolarQuant", "Floor", "Greater", "GreaterOrEqual", "Less", "MultiThreshold", "Quant", "Round", "Sign")
_PARTS = 10**9
_POOLS = ("AveragePool", "GlobalAveragePool", "MaxPool")
Array = npt.NDArray[Any]


def read_onnx(path: str | Path, inputs: str = "binary", scale: float = 1.0, graded: bool = False) -> DiscreteNetwork:
    """Return the network of an ONNX file. ``inputs``: "binary" or "bipolar" where the graph does not binarise them.

    ``scale``: features are divided by it before they enter the graph, as 255 for pixels where it takes 0 to 1.
    ``graded``: activations of several values are ``MultiThreshold`` neurons, else as many threshold neurons.
    """
    _check_options(inputs, scale)
    with reading(path):
        return network_of_onnx(load_graph(path), inputs, scale, graded)


def exact_or_graph(
    path: str | Path, inputs: str = "binary", scale: float = 1.0, graded: bool = False
) -> tuple[DiscreteNetwork | Graph, str]:
    """Return ``read_onnx``'s network, or the graph and why where its numbers are too fine, as in floating point."""
    _check_options(inputs, scale)
    with reading(path):
        graph = load_graph(path)
        try:
            return network_of_onnx(graph, inputs, scale, graded), ""
        except TooFine as refusal:
            if any(node.op in _FEW_BITS for node in graph.nodes):
                raise
            return graph, str(refusal)


def _check_options(inputs: str, scale: float) -> None:
    if not isinstance(scale, (int, float)) or isinstance(scale, bool) or not 0 < scale < 1e12:
        raise InputError(f"scale {scale!r}: a number above 0 expected, as 255 for pixels where the graph takes 0 to 1")
    if inputs not in INPUTS:
        raise InputError(f"inputs {inputs!r}: unknown; allowed: {', '.join(INPUTS)}")


def network_of_onnx(graph: Graph, inputs: str = "binary", scale: float = 1.0, graded: bool = False) -> DiscreteNetwork:
    """Return the network of a graph; InputError names the node that stands in the way. Options as of ``read_onnx``."""
    return _Reader(graph, inputs, scale, graded).network()


class _Reader:
    """The layers so far, and what each name of the graph stands for: a constant, the input, or a tensor."""

    def __init__(self, graph: Graph, inputs: str, scale: float, graded: bool) -> None:
        self.graph, self.inputs, self.scale, self.graded = graph, inputs, scale, graded
        self.layers: list[Layer] = []
        own = own_encoder(graph)
        self.encoder: Encoder | None = None if own is None else own[0]
        self.nodes = graph.nodes if own is None else own[1]
        first, shape = (graph.input, graph.input_shape) if own is None else (SPIKES, (own[0].n_out,))
        self.size = int(np.prod(shape))
        self.spikes: Tensor | None = None
        self.values: dict[str, Any] = {first: Raw(np.arange(self.size).reshape(shape))}
        self.values |= dict(graph.constants)

    def network(self) -> DiscreteNetwork:
        for node in self.nodes:
            arguments = [self.values[name] if name else None for name in node.inputs]
            self.values[node.outputs[0]] = self._visit(node, arguments)
            for extra in filter(None, node.outputs[1:]):
                # What training needs, masks and running means; or which class is the largest.
                self.values[extra] = self.values[node.outputs[0]] if node.op == "TopK" else None
        found = self.values.get(self.graph.output)
        if not isinstance(found, Tensor) or not isinstance(found.base, Pending):
            raise InputError("output: not the potentials of a weighted layer; logits expected there, without a sign")
        self._readout(found, found.base)
        note = self.graph.note
        return DiscreteNetwork(
            self.layers, self.encoder, labels_of(note, "the graph"), value=value_of(note, "the graph")
        )

    def _visit(self, node: Node, arguments: list[Any]) -> Any:
        tensors = [a for a in arguments if isinstance(a, (Tensor, Raw))]
        if node.op == "Shape" and tensors:
            return np.array([-1, *tensors[0].index.shape])  # -1 for the batch, as Reshape takes it
        if not tensors:
            return evaluate_constant(node, arguments)
        main = arguments[0]
        if node.op in _FINAL and isinstance(main, Tensor):
            return Tensor(main.base, main.index, main.table, main.pad, final=True)
        if isinstance(main, Tensor) and main.final:
            if node.op in ("Identity", "Cast", "Squeeze"):
                return main
            raise InputError(f"{node}: behind a softmax; only the output may follow there")
        if node.op in RESHAPING:
            return reshaped(node, main, arguments[1:])
        if node.op in WEIGHTED:
            return self._weighted(node, arguments)
        if node.op == "Pad":
            return self._padded(node, main, arguments)
        if node.op in _POOLS:
            return self._pooled(node, main)
        if node.op in ELEMENTWISE:
            return apply(node, arguments)
        raise InputError(
            f"{node}: operator {node.op} has no counterpart here; allowed: {', '.join(WEIGHTED)}, {', '.join(_POOLS)}"
            f", Pad, {', '.join(RESHAPING)}, elementwise ones behind a layer, a softmax at the end"
        )

    def _settled(self, value: Tensor | Raw, node: Node, zero: float | None = None) -> Tensor:
        """Return ``value`` as spikes; ``zero`` is what an element without a spike should be."""
        if isinstance(value, Raw):
            if self.spikes is None or not np.array_equal(np.sort(value.index.ravel()), np.arange(self.size)):
                self.spikes, found = spikes_of(value, self.size, self.inputs, value.index.ndim == 3, self.scale)
                self.encoder = self.encoder or found
            return self.spikes
        if isinstance(value.base, Settled):
            return value
        pending = value.base
        step = _step(value)
        if step is None or (
            not pending.pools and np.ptp(np.abs(step[2] - step[1])) > 0
        ):  # or some values of a staircase
            return self._stairs(value, pending, zero)
        k, low, high = step
        weight, bias = pending.weight, 1 - k  # a spike where u >= k
        # Where the step goes down the weights change sign, so that a spike stands for the higher value; behind a
        # maximum they must not, and the values change places. A padding of ones asks for the opposite.
        flip = (low > high) if zero is None else (low != zero)
        if not pending.pools:
            signs = np.where(flip, -1, 1)
            weight = weight * signs.reshape(-1, *[1] * (weight.ndim - 1))
            bias = np.where(flip, k, bias)
            low, high = np.where(flip, high, low), np.where(flip, low, high)
        self._append(pending, weight, bias, "threshold")
        for geometry in pending.pools:
            g = geometry
            self.layers.append(MaxPool(g.kernel, input_shape=g.input_shape, stride=g.stride, padding=g.padding))
        base = Settled(len(self.layers) - 1, pending.size, pending.columns)
        settled = Tensor(base, value.index, np.stack([low, high]), value.pad)
        for name, other in self.values.items():  # others that take the same
            if other is value:
                self.values[name] = settled
        return settled

    def _stairs(self, value: Tensor, pending: Pending, zero: float | None) -> Tensor:
        """Return an activation of several values: as many neurons a unit as it has steps, all of the same weights; or
        one that counts them, unless a maximum follows, which takes 0/1 spikes.
        """
        what = f"{pending.node}"
        k, falls, levels = stairs_of(value, what)
        if pending.pools and falls.any():
            raise InputError(f"{what}: a maximum of sums before an activation that falls; put it behind the activation")
        if zero is not None and levels[0] != zero:
            raise InputError(f"{what}: pads by {zero:g}, where no spike is {levels[0]:g}")
        signs = np.where(falls, -1, 1).reshape(-1, *[1] * (pending.weight.ndim - 1))
        counted = self.graded and not pending.pools
        copies = 1 if counted else len(k)
        if counted:
            none = np.zeros(pending.columns, np.int64)
            self._append(pending, pending.weight * signs, none, MultiThreshold(k.T - 1))
        else:
            weight = np.concatenate([pending.weight * signs] * copies)
            wide = replace(pending, size=pending.size * copies)
            self._append(wide, weight, (1 - k).ravel(), "threshold", copies)
        for g in pending.pools:
            channels, height, width = g.input_shape
            shape = (channels * copies, height, width)
            self.layers.append(MaxPool(g.kernel, input_shape=shape, stride=g.stride, padding=g.padding))
        base = Settled(len(self.layers) - 1, pending.size, pending.columns, len(k), copies)
        table = np.repeat(levels[:, None], pending.columns, axis=1)
        settled = Tensor(base, value.index, table, value.pad)
        for name, other in self.values.items():  # others that take the same
            if other is value:
                self.values[name] = settled
        return settled

    def _append(self, pending: Pending, weight: Array, bias: Array, activation: str | Neuron, copies: int = 1) -> None:
        """Add a layer of ``copies`` times the outputs; its inputs come as often as its source has copies."""
        sources = pending.source.copies
        if pending.source.layer != len(self.layers) - 1:
            raise InputError(f"{pending.node}: a branch; networks are chains of layers")
        if pending.geometry is None:
            self.layers.append(Dense(np.concatenate([weight] * sources, axis=1), bias, activation))
            return
        window = pending.geometry.window
        if (sources > 1 or copies > 1) and window["groups"] > 1:
            raise InputError(f"{pending.node}: groups, and activations of several values; one group expected")
        channels, height, width = window["input_shape"]
        window["input_shape"] = (channels * sources, height, width)
        self.layers.append(Conv2d(np.concatenate([weight] * sources, axis=1), bias, activation, **window))

    def _weighted(self, node: Node, arguments: list[Any]) -> Tensor:
        weight, bias = arguments[1], arguments[2] if len(arguments) > 2 else None
        if not isinstance(weight, np.ndarray) or isinstance(bias, (Tensor, Raw)):
            raise InputError(f"{node}: its weights are no constants")
        given = self._settled(arguments[0], node)
        slope, offset = line_of(given, str(node))
        if len(np.unique(np.abs(slope))) != 1 or slope[0] == 0:
            raise InputError(f"{node}: takes activations of different scales; one scale for all channels expected")
        if node.op == "Conv":
            geometry, columns = convolution(node, weight, given)
            sign = np.sign(slope)[columns].reshape(geometry.groups, -1)
            per_input = (sign, offset[columns].reshape(geometry.groups, -1))
        else:
            geometry = None
            weight, bias = as_rows(node, weight, bias, given)
            place = given.column.ravel()
            if len(place) != given.base.size or len(np.unique(given.index)) != given.base.size:
                raise InputError(f"{node}: takes part of a layer only")
            per_input = (np.sign(slope)[place], offset[place])
        whole, scale = factored(weight, str(node))
        constant = constant_part(weight, per_input[1], bias, geometry)
        whole = signed(whole, per_input[0], geometry)
        if geometry is None:
            ordered = np.zeros_like(whole)
            ordered[:, given.index.ravel()] = whole
            whole = ordered
        return self._pending(node, given, whole, scale * abs(slope[0]), constant, geometry)

    def _pending(
        self, node: Node, given: Tensor, whole: Array, scale: Array, constant: Array, geometry: Geometry | None
    ) -> Tensor:
        assert isinstance(given.base, Settled)
        flat = whole.reshape(len(whole), -1)
        low = np.minimum(flat, 0).sum(axis=1) * given.base.high
        high = np.maximum(flat, 0).sum(axis=1) * given.base.high
        u = rows_of(low, high, node)
        table = u[:, None] * scale + constant
        size = len(whole) if geometry is None else geometry.n_out
        shape = (size,) if geometry is None else geometry.output_shape
        pending = Pending(node, given.base, whole, low, high, geometry, size)
        return Tensor(pending, np.arange(size).reshape(shape), table)

    def _padded(self, node: Node, value: Tensor | Raw, arguments: list[Any]) -> Tensor:
        pads, constant = constant_pad(node, arguments, len(value.index.shape))
        settled = self._settled(value, node, zero=constant)
        if not (settled.table[0] == constant).all():
            shown = ", ".join(f"{v:g}" for v in np.unique(settled.table)[:4])
            raise InputError(f"{node}: pads by {constant:g} what is {shown}; pad by the value of one of the two")
        total = tuple(a + b for a, b in zip(settled.pad, pads, strict=True))
        return Tensor(settled.base, settled.index, settled.table, total)  # type: ignore[arg-type]

    def _pooled(self, node: Node, value: Tensor | Raw) -> Tensor:
        if (
            node.op == "MaxPool"
            and isinstance(value, Tensor)
            and isinstance(value.base, Pending)
            and _step(value) is None
        ):
            return self._pool_of_sums(node, value, value.base)
        settled = by_channel(self._settled(value, node), node)
        if isinstance(settled.base, Settled) and settled.base.copies > 1:
            raise InputError(
                f"{node}: pools units whose values differ, or that take several; put the pool before the activation"
            )
        geometry = window(node, settled)
        base = settled.base
        assert isinstance(base, Settled)
        if base.layer != len(self.layers) - 1:
            raise InputError(f"{node}: a branch; networks are chains of layers")
        shapes = {"input_shape": geometry.input_shape, "stride": geometry.stride, "padding": geometry.padding}
        if node.op == "MaxPool":
            if (settled.table[0] > settled.table[-1]).any() or base.high != 1:
                raise InputError(f"{node}: a maximum of counts, or where a spike is the lower value")
            self.layers.append(MaxPool(geometry.kernel, **shapes))
            high, table = 1, settled.table
        else:
            slope, offset = line_of(settled, str(node))
            if geometry.padding != (0, 0):
                raise InputError(f"{node}: an average with padding; pad by a node of its own before it")
            self.layers.append(SumPool(geometry.kernel, **shapes))
            window_size = int(np.prod(geometry.kernel))
            high = base.high * window_size
            table = offset + slope * np.arange(high + 1)[:, None] / window_size
        out = Settled(len(self.layers) - 1, geometry.n_out, base.columns, high)
        return Tensor(out, np.arange(geometry.n_out).reshape(geometry.output_shape), table)

    def _pool_of_sums(self, node: Node, value: Tensor, pending: Pending) -> Tensor:
        """A maximum before the step: of the sums u, where the values rise with u, by turning those that fall."""
        if pending.geometry is None:
            raise InputError(f"{node}: a maximum of the sums of a dense layer; put it behind the activation")
        slope, _ = line_of(value, str(node))
        falls = slope < 0
        if falls.any() and pending.pools:
            raise InputError(f"{node}: a maximum of what falls behind another maximum; put it behind the activation")
        geometry = window(node, value)
        table, low, high = value.table, pending.low, pending.high
        weight = pending.weight
        if falls.any():
            low, high = np.where(falls, -pending.high, pending.low), np.where(falls, -pending.low, pending.high)
            weight = weight * np.where(falls, -1, 1).reshape(-1, *[1] * (weight.ndim - 1))
            u = rows_of(low, high, node)
            slope, zero = line_of(value, str(node))
            table = u[:, None] * np.abs(slope) + zero
        pools = [*pending.pools, geometry]
        pooled = Pending(pending.node, pending.source, weight, low, high, pending.geometry, geometry.n_out, pools)
        return Tensor(pooled, np.arange(geometry.n_out).reshape(geometry.output_shape), table)

    def _readout(self, value: Tensor, pending: Pending) -> None:
        """Close with a readout whose largest logit is the graph's, ties included.

        Offsets r of the logits need not be whole: ``u + r`` is compared by its whole part, then by the rank of the
        rest, so that weights are multiplied by a power of two of room for the ranks.
        """
        what = f"output ({pending.node})"
        slope, zero = line_of(value, what)
        unit = float(np.abs(slope).min(initial=np.inf))
        times = slope / unit if unit else np.zeros(len(slope))
        whole = np.rint(times).astype(np.int64)
        if pending.pools or not np.allclose(times, whole, rtol=1e-9) or not 1 <= np.abs(whole).max(initial=0) < 2**15:
            raise InputError(
                f"{what}: logits of different scales, such as by a batch normalisation with several scales; use one "
                "scale for all classes there, or none"
            )
        weight = pending.weight * whole.reshape(-1, *[1] * (pending.weight.ndim - 1))
        # To a billionth of a weight: float32, in which such a graph is run, tells no more apart.
        offsets = np.rint((zero - zero[0]) / unit * _PARTS).tolist()
        parts = [divmod(int(r), _PARTS) for r in offsets]
        ranks = {rest: rank for rank, rest in enumerate(sorted({rest for _, rest in parts}))}
        room = 1 << (len(ranks) - 1).bit_length()
        bias = np.array([room * whole + ranks[rest] for whole, rest in parts])
        columns = value.column.ravel()
        if pending.geometry is None and not np.array_equal(columns, np.arange(len(columns))):
            raise InputError(f"{what}: classes in another order than those of its layer")
        self._append(pending, weight * room, bias, "readout")


def _step(value: Tensor) -> tuple[Any, Array, Array] | None:
    """Return ``step_of``, None where it is no step between two values."""
    try:
        return step_of(value, "")
    except InputError:
        return None
