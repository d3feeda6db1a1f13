"""A graph of spiking neurons in floating point: a chain of layers, whatever the notation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.exchange.exact_integers import finite
from conntra_neuro.exchange.nir.nodes import conv_window, pair_of

__all__ = ["FloatLayer", "FloatNeuron", "Map", "float_layers", "is_spiking"]

Array = npt.NDArray[np.float64]
_ENDLESS = ("tau", "tau_mem", "tau_syn", "r", "w_in")
_SPIKING = ("LIF", "CubaLIF", "LI", "CubaLI", "I")


@dataclass(frozen=True, eq=False)
class FloatNeuron:
    """Parameters of a layer's neurons, one a neuron (size,): of NIR's ``kind``, in its units.

    ``tau`` and ``tau_syn`` are infinite and 0 where there is no leak and no current of its own; ``threshold`` is
    infinite where neurons never spike.
    """

    kind: str
    tau: Array
    tau_syn: Array
    r: Array
    w_in: Array
    v_leak: Array
    threshold: Array


@dataclass(frozen=True, eq=False)
class Map:
    """A linear map: dense ``weight`` (out, in), or a kernel of ``geometry``; ``pool`` sums windows, ``scale`` times."""

    weight: Array
    geometry: Geometry | None = None


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """Neurons behind ``maps``, one behind the other, of which the last has a ``bias`` (out,); ``recurrent`` (out, out),
    with a bias of its own in ``recurrent_bias``.
    """

    name: str
    maps: tuple[Map, ...]
    bias: Array
    neuron: FloatNeuron
    shape: tuple[int, ...]
    recurrent: Array | None = None
    recurrent_bias: Array | None = None

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))


@dataclass
class _Chain:
    """What has been seen on the way."""

    shape: tuple[int, ...]
    maps: list[Map] = field(default_factory=list)
    bias: Array | None = None
    layers: list[FloatLayer] = field(default_factory=list)


def is_spiking(graph: Any, conventions: bool = False) -> bool:
    """Return whether a graph has nodes that make sense in time only, or integrate-and-fire neurons: of float weights,
    or, where ``conventions`` of whoever wrote it are given, of any.
    """
    for node in graph.nodes.values():
        kind = type(node).__name__
        if kind in _SPIKING or (kind == "NIRGraph" and is_spiking(node, conventions)):
            return True
    floats = [n for n in graph.nodes.values() if type(n).__name__ in ("Affine", "Linear", "Conv2d")]
    fires = any(type(n).__name__ == "IF" for n in graph.nodes.values())
    return fires and (conventions or any(np.any(np.asarray(n.weight) != np.rint(n.weight)) for n in floats))


def float_layers(graph: Any, entry: str | None = None) -> tuple[int, list[FloatLayer]]:
    """Return the number of inputs and the layers of a chain of weights and neurons.

    Nested graphs are opened, edges from neurons through weights back to themselves become recurrent weights; weights
    that lead into the output drive neurons that add up all steps. ``entry``: as in ``Convention``. InputError names
    what stands in the way.
    """
    nodes, edges = _opened(graph, entry)
    into: dict[str, list[str]] = {name: [] for name in nodes}
    out: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        into[target].append(source)
        out[source].append(target)
    starts = [name for name, node in nodes.items() if type(node).__name__ == "Input"]
    if len(starts) != 1:
        raise InputError(f"{len(starts)} Input nodes; a network has 1")
    chain = _Chain(_input_shape(nodes[starts[0]]))
    n_in = int(np.prod(chain.shape))
    name, last, seen = starts[0], "", {starts[0]}
    while type(nodes[name]).__name__ != "Output":
        loops = _loops(name, nodes, into, out)
        following = [n for n in out[name] if n not in loops]
        if len(following) != 1:
            raise InputError(f"node {name}: leads to {len(following)} nodes; a chain leads to 1")
        last, name = name, following[0]
        if name in seen:
            raise InputError(f"node {name}: part of a cycle through other neurons; a layer may lead to itself only")
        seen.add(name)
        _visit(name, nodes[name], _loops(name, nodes, into, out), nodes, chain)
    if not chain.layers:
        raise InputError("no neurons; a network has at least one layer of them")
    if chain.maps:
        _summed(last, chain)
    return n_in, chain.layers


def _summed(name: str, chain: _Chain) -> None:
    """Have the last weights, which lead into the output, drive neurons that add up all steps, as their users do."""
    size = int(np.prod(chain.shape))
    none, ones, never = np.zeros(size), np.ones(size), np.full(size, np.inf)
    neuron = FloatNeuron("I", tau=never, tau_syn=none, r=ones, w_in=ones, v_leak=none, threshold=never)
    bias = none if chain.bias is None else chain.bias
    chain.layers.append(FloatLayer(name, tuple(chain.maps), bias, neuron, chain.shape))


def _opened(graph: Any, entry: str | None, prefix: str = "") -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return nodes and edges of a graph whose nested graphs are opened, names joined by dots."""
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    ends: dict[str, tuple[str, str]] = {}
    for name, node in graph.nodes.items():
        if type(node).__name__ != "NIRGraph":
            nodes[prefix + name] = node
            ends[name] = (prefix + name, prefix + name)
            continue
        inner, between = _opened(node, entry, f"{prefix}{name}.")
        kinds = {n: type(x).__name__ for n, x in inner.items()}
        first = [n for n, kind in kinds.items() if kind == "Input"]
        last = [n for n, kind in kinds.items() if kind == "Output"]
        if len(first) != 1 or len(last) != 1:
            raise InputError(f"node {prefix}{name}: a nested graph with {len(first)} inputs and {len(last)} outputs")
        entering = [t for s, t in between if s == first[0]]
        leaving = [s for s, t in between if t == last[0]]
        if len(entering) != 1 or len(leaving) != 1:
            raise InputError(f"node {prefix}{name}: a nested graph with several ways in or out")
        entering = [_entry(entering[0], between, inner, entry)]
        nodes |= {n: x for n, x in inner.items() if n not in (first[0], last[0])}
        edges += [(s, t) for s, t in between if s != first[0] and t != last[0]]
        ends[name] = (entering[0], leaving[0])
    for source, target in graph.edges:
        if source not in ends or target not in ends:
            source, target = (_renamed(end, graph, ends) for end in (source, target))
        edges.append((ends[source][1], ends[target][0]))
    return nodes, edges


def _entry(name: str, edges: list[tuple[str, str]], nodes: dict[str, Any], entry: str | None) -> str:
    """Return the node that the input of a nested graph is for: Spyx leads it into the weights of the way back."""
    behind = [target for source, target in edges if source == name]
    if not hasattr(nodes[name], "weight") or len(behind) != 1 or (behind[0], name) not in edges:
        return name
    if entry is None:
        raise InputError(
            f"node {name}: a nested graph leads its input into the weights of its way back, as Spyx writes it; give "
            "--source spyx to have it lead into the neurons, as Spyx runs it"
        )
    return behind[0]


def _renamed(name: str, graph: Any, ends: dict[str, Any]) -> str:
    """Return a node for an edge's end that names none: the only one that no edge names, as older exporters wrote it."""
    if name in ends:
        return name
    named = {end for edge in graph.edges for end in edge}
    unnamed = [n for n in graph.nodes if n not in named]
    if len(unnamed) != 1:
        raise InputError(f"edge to or from {name}: no such node")
    return unnamed[0]


def _loops(name: str, nodes: dict[str, Any], into: dict[str, list[str]], out: dict[str, list[str]]) -> list[str]:
    """Return the weights through which a node leads back to itself."""
    return [n for n in out[name] if out[n] == [name] and into[n] == [name] and hasattr(nodes[n], "weight")]


def _visit(name: str, node: Any, loops: list[str], nodes: dict[str, Any], chain: _Chain) -> None:
    kind, what = type(node).__name__, f"node {name}"
    if kind in ("Affine", "Linear"):
        weight = finite(node.weight, f"{what}: weight")
        if weight.ndim != 2 or weight.shape[1] != int(np.prod(chain.shape)):
            raise InputError(f"{what}: weight {weight.shape}, inputs of shape {chain.shape}")
        _add(chain, what, Map(weight), (len(weight),), _bias(node, len(weight), what))
    elif kind == "Conv2d":
        weight = finite(node.weight, f"{what}: weight")
        window = conv_window(name, node, weight, chain.shape)
        geometry = Geometry(
            window["input_shape"],
            len(weight),
            (weight.shape[2], weight.shape[3]),
            window["stride"],
            window["padding"],
            window["groups"],
            window["dilation"],
        )
        bias = np.repeat(_bias(node, len(weight), what), geometry.positions)
        _add(chain, what, Map(weight, geometry), geometry.output_shape, bias)
    elif kind in ("SumPool2d", "AvgPool2d"):
        if len(chain.shape) != 3:
            raise InputError(f"{what}: pools inputs of shape {chain.shape}; (channels, height, width) expected")
        size, stride, padding = (pair_of(getattr(node, n), n, name) for n in ("kernel_size", "stride", "padding"))
        channels = chain.shape[0]
        geometry = Geometry(chain.shape, channels, size, stride, padding, channels)  # type: ignore[arg-type]
        ones = np.ones(geometry.kernel_shape) / (size[0] * size[1] if kind == "AvgPool2d" else 1)
        _add(chain, what, Map(ones, geometry), geometry.output_shape, None)
    elif kind == "Scale":
        scale = np.broadcast_to(finite(node.scale, what), chain.shape).ravel()
        _add(chain, what, Map(np.diag(scale)), chain.shape, None)
    elif kind == "Flatten":
        chain.shape = (int(np.prod(chain.shape)),)
    elif kind in ("LIF", "CubaLIF", "LI", "CubaLI", "IF", "I", "Threshold"):
        _layer(name, node, loops, nodes, chain)
    elif kind != "Output":
        raise InputError(f"{what}: {kind} has no counterpart here")


def _add(chain: _Chain, what: str, linear: Map, shape: tuple[int, ...], bias: Array | None) -> None:
    if chain.bias is not None and np.any(chain.bias):
        raise InputError(f"{what}: behind weights with a bias, without neurons between; put neurons there")
    chain.maps.append(linear)
    chain.shape, chain.bias = shape, bias


def _layer(name: str, node: Any, loops: list[str], nodes: dict[str, Any], chain: _Chain) -> None:
    what, size = f"node {name}", int(np.prod(chain.shape))
    if not chain.maps:
        raise InputError(f"{what}: neurons without weights before them; put Affine or Linear there")
    if len(loops) > 1:
        raise InputError(f"{what}: {len(loops)} ways back to itself; 1 can be read")
    recurrent = recurrent_bias = None
    if loops:
        back = nodes[loops[0]]
        recurrent = finite(back.weight, f"node {loops[0]}: weight")
        if recurrent.shape != (size, size):
            raise InputError(f"node {loops[0]}: weight {recurrent.shape}; ({size}, {size}) expected")
        recurrent_bias = _bias(back, size, f"node {loops[0]}")
    bias = np.zeros(size) if chain.bias is None else chain.bias
    neuron = _neuron(node, chain.shape, what)
    layer = FloatLayer(name, tuple(chain.maps), bias, neuron, chain.shape, recurrent, recurrent_bias)
    chain.layers.append(layer)
    chain.maps, chain.bias = [], None


def _neuron(node: Any, shape: tuple[int, ...], what: str) -> FloatNeuron:
    size = int(np.prod(shape))

    def of(attribute: str, default: float) -> Array:
        value = getattr(node, attribute, None)
        array = np.full(size, default) if value is None else _number(value, attribute, f"{what}: {attribute}")
        if array.size not in (1, size):
            raise InputError(f"{what}: {array.size} values of {attribute}; one, or {size} expected")
        return np.broadcast_to(array.ravel(), size).astype(np.float64)

    kind = type(node).__name__
    if np.any(of("v_reset", 0.0) != 0):
        raise InputError(f"{what}: v_reset other than 0; the chip resets to 0")
    spikes = kind in ("LIF", "CubaLIF", "IF", "Threshold")
    tau = (
        of("tau_mem" if kind.startswith("Cuba") else "tau", np.inf)
        if kind not in ("IF", "I")
        else np.full(size, np.inf)
    )
    threshold = of("threshold" if kind == "Threshold" else "v_threshold", 1.0) if spikes else np.full(size, np.inf)
    if kind == "Threshold":
        tau = np.zeros(size)
    if np.any(tau < 0) or (spikes and np.any(threshold <= 0) and kind != "Threshold"):
        raise InputError(f"{what}: a time constant below 0, or a threshold that is not above 0")
    tau_syn, r, w_in = of("tau_syn", 0.0), of("r", 1.0), of("w_in", 1.0)
    if np.any(np.isinf(r) & np.isfinite(tau)) or np.any(np.isinf(w_in) & np.isfinite(tau_syn)) or np.any(tau_syn < 0):
        raise InputError(f"{what}: a gain without end beside a time constant that has one, or tau_syn below 0")
    return FloatNeuron(kind, tau, tau_syn, r, w_in, of("v_leak", 0.0), threshold)


def _number(value: Any, attribute: str, what: str) -> npt.NDArray[Any]:
    """Return an array of finite numbers; of what never decays, lava-dl's graphs have infinite constants and gains."""
    array = np.asarray(value)
    if attribute in _ENDLESS and array.dtype.kind == "f":
        return np.where(np.isposinf(array), np.inf, finite(np.where(np.isposinf(array), 1.0, array), what))
    return finite(value, what)


def _bias(node: Any, size: int, what: str) -> Array:
    value = getattr(node, "bias", None)
    bias = np.zeros(1) if value is None else finite(value, f"{what}: bias")
    if bias.size not in (1, size):
        raise InputError(f"{what}: bias of shape {bias.shape}; ({size},) expected")
    return np.broadcast_to(bias.ravel(), size).astype(np.float64)


def _input_shape(node: Any) -> tuple[int, ...]:
    shape = tuple(int(n) for n in np.asarray(node.input_type["input"]).ravel())
    if not shape or min(shape) < 1:
        raise InputError(f"Input of shape {shape}; positive numbers expected")
    # Some exporters count samples along: one of them is a shape of its own.
    return shape[1:] if len(shape) == 2 and shape[0] == 1 else shape
