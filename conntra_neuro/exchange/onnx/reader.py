"""Binary and ternary networks in ONNX and QONNX, as integer networks with the same predictions.

Weighted nodes become layers; whatever elementwise operators stand behind one (batch normalisation, sign, step, 1-bit
quantisation, in any notation) become its integer threshold, found by going through all sums there can be. Values -1
and 1 of activations become spikes of 0 and 1, the difference going into the next bias. Branches that are added up
become residual connections.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.convolution import Geometry
from conntra_hardware.program.input_encoding import Encoder
from conntra_neuro.exchange.metadata import labels_of, value_of
from conntra_neuro.exchange.onnx.chain import MOST_BIAS, Chain
from conntra_neuro.exchange.onnx.graph import Graph, Node, load_graph, reading
from conntra_neuro.exchange.onnx.input import INPUTS, SPIKES, own_encoder, spikes_of
from conntra_neuro.exchange.onnx.ops import ELEMENTWISE, evaluate_constant
from conntra_neuro.exchange.onnx.readout import OutputRounding, Scaled, readout_of
from conntra_neuro.exchange.onnx.shapes import RESHAPING, constant_pad, convolution, reshaped, window
from conntra_neuro.exchange.onnx.sums import added, as_sum, settles_first, summed
from conntra_neuro.exchange.onnx.values import (
    Pending,
    Raw,
    Settled,
    Tensor,
    Term,
    TooFine,
    apply,
    by_channel,
    factored,
    is_line,
    line_of,
    rows_of,
    stairs_of,
    step_of,
)
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import MaxPool, SumPool

__all__ = ["WEIGHTED", "exact_or_graph", "network_of_onnx", "read_onnx"]

WEIGHTED = ("Conv", "Gemm", "MatMul")
_FINAL = ("ArgMax", "LogSoftmax", "Softmax", "TopK")
_FEW_BITS = ("BipolarQuant", "Floor", "Greater", "GreaterOrEqual", "Less", "MultiThreshold", "Quant", "Round", "Sign")
_ADDITIONS = ("Add", "Sub", "Sum")
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
) -> tuple[DiscreteNetwork | OutputRounding | Graph, str]:
    """Return ``read_onnx``'s network, or the graph and why where its numbers are too fine, as in floating point.

    Where the scales of the logits have no measure in common, the network with what was rounded.
    """
    _check_options(inputs, scale)
    with reading(path):
        graph = load_graph(path)
        try:
            reader = _Reader(graph, inputs, scale, graded)
            network = reader.network()
        except TooFine as refusal:
            if any(node.op in _FEW_BITS for node in graph.nodes):
                raise
            return graph, str(refusal)
        return network if reader.note is None else OutputRounding(network, (reader.note,), scale), ""


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
        self.graph, self.inputs, self.scale = graph, inputs, scale
        self.chain = Chain(graded)
        self.note: Scaled | None = None
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
        times, bias, self.note = readout_of(found)
        self.chain.readout(found.base, times, bias)
        note, chain = self.graph.note, self.chain
        labels, value = labels_of(note, "the graph"), value_of(note, "the graph")
        return DiscreteNetwork(chain.layers, self.encoder, labels, chain.residuals, steps=1, value=value)

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
        if node.op in _ADDITIONS and len(tensors) > 1 and tensors[0] is not tensors[1]:
            return self._joined(node, arguments)
        if node.op in ELEMENTWISE:
            return apply(node, arguments)
        raise InputError(
            f"{node}: operator {node.op} has no counterpart here; allowed: {', '.join(WEIGHTED)}, {', '.join(_POOLS)}"
            f", Pad, {', '.join(RESHAPING)}, elementwise ones behind a layer, a softmax at the end"
        )

    def _settled(self, value: Tensor | Raw, node: Node, zero: float | None = None, rises: bool = False) -> Tensor:
        """Return ``value`` as spikes, whose count gives the value on a straight line.

        ``zero`` is what an element without a spike should be; ``rises``: more spikes have to be a higher value.
        """
        if isinstance(value, Raw):
            if self.spikes is None or not np.array_equal(np.sort(value.index.ravel()), np.arange(self.size)):
                self.spikes, found = spikes_of(value, self.size, self.inputs, value.index.ndim == 3, self.scale)
                self.encoder = self.encoder or found
            return self.spikes
        if isinstance(value.base, Settled) and is_line(value):
            return value
        asked = as_sum(value, node)
        pending = asked.base
        assert isinstance(pending, Pending)
        k, signs, levels = self._thresholds(asked, pending, zero)
        if zero is None and not rises and not pending.pools and pending.border is None:
            # A bias wider than a chip's: where almost nothing keeps a neuron from spiking, its silence is the spike.
            for column in np.flatnonzero((1 - k).max(axis=0) > MOST_BIAS):
                k[:, column], signs[column] = (1 - k[:, column])[::-1], -signs[column]
                levels[:, column] = levels[::-1, column]
        base = self.chain.spiking(pending, signs, k, one_by_one=rises)
        settled = Tensor(base, value.index, levels, value.pad)
        for name, other in self.values.items():  # others that take the same
            if other is value:
                self.values[name] = settled
        return settled

    def _thresholds(self, value: Tensor, pending: Pending, zero: float | None) -> tuple[Array, Array, Array]:
        """Return k (steps, columns), signs (columns,) and the values (steps + 1, columns): neuron j of a unit spikes
        where ``sign * u >= k[j]``, and that many spikes are that value.
        """
        what = str(pending.node)
        step = _step(value)
        if step is None or (not pending.pools and np.ptp(np.abs(step[2] - step[1])) > 0):
            k, falls, levels = stairs_of(value, what)  # or some values of a staircase
            if pending.pools and falls.any():
                raise InputError(
                    f"{what}: a maximum of sums before an activation that falls; put it behind the activation"
                )
            return k, np.where(falls, -1, 1), np.repeat(levels[:, None], pending.columns, axis=1)
        k, low, high = step
        # Where the step goes down the weights change sign, so that a spike stands for the higher value; behind a
        # maximum they must not, and the values change places. A padding of ones asks for the opposite.
        flip = (low > high) if zero is None else (low != zero)
        if pending.pools:
            return k[None], np.ones(len(k), np.int64), np.stack([low, high])
        levels = np.stack([np.where(flip, high, low), np.where(flip, low, high)])
        return np.where(flip, 1 - k, k)[None], np.where(flip, -1, 1), levels

    def _joined(self, node: Node, arguments: list[Any]) -> Tensor:
        """Return the sum of two branches; one that is no straight line of its sums gets neurons of its own first."""
        sides = []
        for place, side in enumerate(arguments):
            if not isinstance(side, (Tensor, Raw)) or len(arguments) != 2:
                raise InputError(f"{node}: adds {len(arguments)} values, or an input; two expected")
            side = self._settled(side, node) if isinstance(side, Raw) or settles_first(side) else side
            sides.append(side)
            if not place:  # what has settled may be the other side, too
                arguments[1] = self.values.get(node.inputs[1], arguments[1])
        if sides[0] is sides[1] or sides[0].base is sides[1].base:
            return apply(node, sides)  # type: ignore[return-value]
        return added(node, sides[0], sides[1])

    def _weighted(self, node: Node, arguments: list[Any]) -> Tensor:
        weight, bias = arguments[1], arguments[2] if len(arguments) > 2 else None
        if not isinstance(weight, np.ndarray) or isinstance(bias, (Tensor, Raw)):
            raise InputError(f"{node}: its weights are no constants")
        given = self._settled(arguments[0], node)
        slope, offset = line_of(given, str(node))
        if len(np.unique(np.abs(slope))) != 1 or slope[0] == 0:
            raise InputError(f"{node}: takes activations of different scales; one scale for all channels expected")
        if node.op == "Conv":
            geometry, columns, weight = convolution(node, weight, given)
            sign = np.sign(slope)[columns].reshape(geometry.groups, -1)
            per_input = (sign, offset[columns].reshape(geometry.groups, -1))
        else:
            geometry = None
            weight, bias = _as_rows(node, weight, bias, given)
            place = given.column.ravel()
            if len(place) != given.base.size or len(np.unique(given.index)) != given.base.size:
                raise InputError(f"{node}: takes part of a layer only")
            per_input = (np.sign(slope)[place], offset[place])
        whole, scale = factored(weight, str(node))
        constant = _constant_part(weight, per_input[1], bias, geometry)
        outside = _outside(node, whole, per_input[1] / abs(slope[0]), given, geometry)
        whole = _signed(whole, per_input[0], geometry)
        if geometry is None:
            ordered = np.zeros_like(whole)
            ordered[:, given.index.ravel()] = whole
            whole = ordered
        assert isinstance(given.base, Settled)
        return summed(node, given.base, whole, scale * abs(slope[0]), constant, geometry, outside)

    def _padded(self, node: Node, value: Tensor | Raw, arguments: list[Any]) -> Tensor:
        pads, constant = constant_pad(node, arguments, len(value.index.shape))
        settled = self._settled(value, node, zero=constant)
        void = constant == 0 and not (settled.table[0] == 0).all()
        if (not void and not (settled.table[0] == constant).all()) or (any(settled.pad) and settled.void != void):
            shown = ", ".join(f"{v:g}" for v in np.unique(settled.table)[:4])
            raise InputError(f"{node}: pads by {constant:g} what is {shown}; pad by the value of one of the two")
        total = tuple(a + b for a, b in zip(settled.pad, pads, strict=True))
        return Tensor(settled.base, settled.index, settled.table, total, void=void)  # type: ignore[arg-type]

    def _pooled(self, node: Node, value: Tensor | Raw) -> Tensor:
        if (
            node.op == "MaxPool"
            and isinstance(value, Tensor)
            and isinstance(value.base, Pending)
            and _step(value) is None
            and is_line(value)  # else an activation of several values, whose neurons come first
        ):
            return self._pool_of_sums(node, value, value.base)
        largest = node.op == "MaxPool"
        settled = by_channel(self._settled(value, node, rises=largest), node)
        geometry = window(node, settled)
        base = settled.base
        assert isinstance(base, Settled)
        if base.layer != self.chain.last:
            raise InputError(f"{node}: a branch before a pool; put the pool before the branch")
        channels, height, width = geometry.input_shape
        shapes: dict[str, Any] = {"stride": geometry.stride, "padding": geometry.padding}
        shapes["input_shape"] = (channels * base.copies, height, width)
        if largest:
            if (settled.table[0] > settled.table[-1]).any() or base.high != base.copies:
                raise InputError(f"{node}: a maximum of counts, or where a spike is the lower value")
            self.chain.layers.append(MaxPool(geometry.kernel, **shapes))
            high, table = base.high, settled.table
        else:
            slope, offset = line_of(settled, str(node))
            if geometry.padding != (0, 0):
                raise InputError(f"{node}: an average with padding; pad by a node of its own before it")
            self.chain.layers.append(SumPool(geometry.kernel, **shapes))
            window_size = int(np.prod(geometry.kernel))
            high = base.high * window_size
            table = offset + slope * np.arange(high + 1)[:, None] / window_size
        out = Settled(self.chain.last, geometry.n_out, base.columns, high, base.copies)
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
        signs = np.where(falls, -1, 1)
        if falls.any():
            low, high = np.where(falls, -pending.high, pending.low), np.where(falls, -pending.low, pending.high)
            u = rows_of(low, high, node)
            slope, zero = line_of(value, str(node))
            table = u[:, None] * np.abs(slope) + zero
        terms = tuple(
            Term(term.source, term.weight * signs.reshape(-1, *[1] * (term.weight.ndim - 1)), term.geometry)
            for term in pending.terms
        )
        border = pending.border
        border = None if border is None else border * np.repeat(signs, len(border) // len(signs))
        pools = [*pending.pools, geometry]
        pooled = Pending(pending.node, terms, low, high, geometry.n_out, border, pools)
        return Tensor(pooled, np.arange(geometry.n_out).reshape(geometry.output_shape), table)


def _step(value: Tensor) -> tuple[Any, Array, Array] | None:
    """Return ``step_of``, None where it is no step between two values."""
    try:
        return step_of(value, "")
    except InputError:
        return None


def _as_rows(node: Node, weight: Array, bias: Any, given: Tensor) -> tuple[Array, Any]:
    """Return the weight of a Gemm or MatMul as (outputs, inputs), and its bias."""
    if weight.ndim != 2 or len(given.shape) != 1:
        raise InputError(f"{node}: weight {weight.shape} over elements {given.shape}; one axis of features expected")
    attributes = node.attributes
    if node.op == "MatMul":
        rows = weight.T
    else:
        if attributes.get("transA", 0):
            raise InputError(f"{node}: transA; samples are rows here")
        rows = (weight if attributes.get("transB", 0) else weight.T) * np.float64(attributes.get("alpha", 1.0))
        bias = None if bias is None else bias * np.float64(attributes.get("beta", 1.0))
    if rows.shape[1] != given.shape[0]:
        raise InputError(f"{node}: {rows.shape[1]} inputs; {given.shape[0]} are there")
    return rows, bias


def _constant_part(weight: Array, offset: Array, bias: Any, geometry: Geometry | None) -> Array:
    """Return what each row adds whatever the spikes: its bias, and its weights times the values without a spike."""
    constant = np.zeros(len(weight)) if bias is None else np.broadcast_to(bias.astype(np.float64).ravel(), len(weight))
    weight = weight.astype(np.float64)
    if geometry is None:
        return constant + weight @ offset
    sums = weight.sum(axis=(2, 3)).reshape(geometry.groups, -1, weight.shape[1])
    return constant + np.einsum("goi,gi->go", sums, offset).ravel()


def _outside(node: Node, whole: Array, parts: Array, given: Tensor, geometry: Geometry | None) -> Array | None:
    """Return by neuron, in units of the sums, what inputs without a spike (``parts``, by input) would add outside of
    the image, where zeros stand; None where nothing is padded.
    """
    if geometry is None or geometry.padding == (0, 0) or (any(given.pad) and not given.void):
        return None
    kernel = whole.reshape(geometry.groups, -1, *whole.shape[1:]) * parts[:, None, :, None, None]
    kernel = kernel.reshape(whole.shape)
    ones = np.ones((1, *geometry.input_shape))
    inside = np.einsum("gpk,gok->gop", geometry.columns(ones), kernel.reshape(geometry.groups, -1, kernel[0].size))
    return (kernel.sum(axis=(1, 2, 3))[:, None] - inside.reshape(len(whole), -1)).ravel()


def _signed(whole: Array, sign: Array, geometry: Geometry | None) -> Array:
    """Return integer weights, those of inputs whose spike is the lower value with their sign changed."""
    sign = sign.astype(np.int64)
    if geometry is None:
        return whole * sign
    grouped = whole.reshape(geometry.groups, -1, *whole.shape[1:]) * sign[:, None, :, None, None]
    return grouped.reshape(whole.shape)
