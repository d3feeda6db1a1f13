"""A graph of spiking neurons in floating point: layers, each behind those it takes from, whatever the notation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.exchange.exact_integers import finite
from conntra_neuro.exchange.nir.float_layer import Branch, FloatLayer, FloatNeuron, Map
from conntra_neuro.exchange.nir.nested import opened
from conntra_neuro.exchange.nir.nodes import conv_window, pair_of
from conntra_neuro.exchange.nir.simulate import applied
from conntra_neuro.exchange.nir.ways import ways

__all__ = ["float_layers", "is_spiking"]

Array = npt.NDArray[np.float64]
_ENDLESS = ("tau", "tau_mem", "tau_syn", "r", "w_in")
_SPIKING = ("LIF", "CubaLIF", "LI", "CubaLI", "I")


@dataclass(frozen=True, eq=False)
class _Flow:
    """What leaves a node: of ``shape``, the sum of ``terms``, layers (-1: the inputs) through maps, and a ``bias``.

    Behind LI ``tau`` is its time constant, and ``within`` a bias that goes through it.
    """

    shape: tuple[int, ...]
    terms: tuple[Branch, ...]
    bias: Array | None = None
    tau: float | None = None
    within: Array | None = None


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
    """Return the number of inputs and the layers of a graph of weights and neurons, each behind those it takes from.

    Nested graphs are opened, edges from neurons through weights back to themselves become recurrent weights; what
    several edges lead to is their sum; weights that lead into the output drive neurons that add up all steps.
    ``entry``: as in ``Convention``. InputError names what stands in the way.
    """
    nodes, edges = opened(graph, entry)
    edges = list(dict.fromkeys(edges))
    into: dict[str, list[str]] = {name: [] for name in nodes}
    out: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        into[target].append(source)
        out[source].append(target)
    begin, end = (_only(kind, nodes) for kind in ("Input", "Output"))
    shape = _input_shape(nodes[begin])
    layers: list[FloatLayer] = []
    flows = {begin: _Flow(shape, (Branch(-1, ()),))}
    for name in _in_order(nodes, into, out):
        loops = _loops(name, nodes, into, out)
        given = [flows[source] for source in into[name] if source not in loops]
        if type(nodes[name]).__name__ == "LI" and any(target != end for target in out[name]):
            flows[name] = _filtered(name, nodes[name], _sum(f"node {name}", given))
        elif name not in flows:
            flows[name] = _visit(name, nodes[name], _sum(f"node {name}", given), loops, nodes, layers)
    if not layers:
        raise InputError("no neurons; a network has at least one layer of them")
    flow = flows[end]
    if flow.tau is not None:
        raise InputError(f"node {into[end][0]}: weights behind LI lead to the output; LI last, or LIF, expected")
    if flow.bias is not None or any(term.maps for term in flow.terms) or len(flow.terms) > 1:
        layers.append(_summed(into[end][0], flow, layers))
    elif {term.source for term in flow.terms} != {len(layers) - 1}:
        raise InputError(f"node {layers[-1].name}: does not lead to the output")
    return int(np.prod(shape)), layers


def _only(kind: str, nodes: dict[str, Any]) -> str:
    found = [name for name, node in nodes.items() if type(node).__name__ == kind]
    if len(found) != 1:
        raise InputError(f"{len(found)} {kind} nodes; a network has 1")
    return found[0]


def _in_order(nodes: dict[str, Any], into: dict[str, list[str]], out: dict[str, list[str]]) -> list[str]:
    """Return the nodes, each behind those that lead to it, without weights through which one leads back to itself."""
    back = {loop for name in nodes for loop in _loops(name, nodes, into, out)}
    waiting = [name for name in nodes if name not in back and (into[name] or out[name])]
    found: dict[str, None] = {}
    while waiting:
        ready = [name for name in waiting if all(source in found or source in back for source in into[name])]
        if not ready:
            raise InputError(
                f"node {waiting[0]}: part of a cycle through other neurons; a layer may lead to itself only"
            )
        name = ready[0]
        kind = type(nodes[name]).__name__
        if kind != "Output" and not any(target not in back for target in out[name]):
            raise InputError(f"node {name}: leads to nothing; to neurons, or to the output, expected")
        if kind != "Input" and not any(source not in back for source in into[name]):
            raise InputError(f"node {name}: nothing leads to it")
        found[name] = None
        waiting.remove(name)
    return list(found)


def _sum(what: str, given: list[_Flow]) -> _Flow:
    if not given:
        raise InputError(f"{what}: nothing leads to it")
    shapes = {flow.shape for flow in given}
    if len(shapes) > 1:
        raise InputError(f"{what}: adds what is of shapes {' and '.join(map(str, sorted(shapes)))}; one expected")
    biases = [flow.bias for flow in given if flow.bias is not None]
    terms = tuple(term for flow in given for term in flow.terms)
    if len({flow.tau for flow in given}) > 1:
        raise InputError(f"{what}: adds what comes through LI to what does not, or through another; one LI expected")
    within = [flow.within for flow in given if flow.within is not None]
    return _Flow(given[0].shape, terms, _total(biases), given[0].tau, _total(within))


def _total(parts: list[Array]) -> Array | None:
    return sum(parts[1:], parts[0]) if parts else None


def _filtered(name: str, node: Any, given: _Flow) -> _Flow:
    """Return what leaves LI nodes that stand before weights, as Nengo's synapses do.

    Weights of a sum that decays are the sum of weights that decays, as a current does.
    """
    what = f"node {name}"
    neuron, size = _neuron(node, given.shape, what), int(np.prod(given.shape))
    if given.tau is not None or not (np.ptp(neuron.tau) == 0 and np.isfinite(neuron.tau[0]) and neuron.r.all()):
        raise InputError(
            f"{what}: LI between weights, which a current stands for, if it has one finite time constant, no LI before "
            "it, and r other than 0"
        )
    bias = (np.zeros(size) if given.bias is None else given.bias) + neuron.v_leak / neuron.r
    flow = replace(given, bias=None, tau=float(neuron.tau[0]), within=bias)
    return flow if np.all(neuron.r == 1) else _add(flow, what, Map(np.diag(neuron.r)), given.shape, None)


def _with_current(what: str, neuron: FloatNeuron, given: _Flow) -> tuple[FloatNeuron, Array]:
    """Return neurons whose current is the LI before their weights, and the bias that goes through it."""
    if neuron.kind not in ("LIF", "IF"):
        raise InputError(f"{what}: {neuron.kind} behind LI; LIF or IF expected")
    direct = np.zeros(len(neuron.r)) if given.bias is None else given.bias
    if neuron.kind == "IF" and direct.any():
        raise InputError(f"{what}: a bias behind LI, in neurons that do not leak; a bias before the LI expected")
    tau_syn, leak = np.full(len(direct), given.tau), neuron.v_leak + neuron.r * direct
    within = np.zeros(len(direct)) if given.within is None else given.within
    return replace(neuron, kind="CubaLIF", tau_syn=tau_syn, w_in=np.ones(len(direct)), v_leak=leak), within


def _summed(name: str, flow: _Flow, layers: list[FloatLayer]) -> FloatLayer:
    """Have the last weights, which lead into the output, drive neurons that add up all steps, as their users do."""
    size = int(np.prod(flow.shape))
    none, ones, never = np.zeros(size), np.ones(size), np.full(size, np.inf)
    neuron = FloatNeuron("I", tau=never, tau_syn=none, r=ones, w_in=ones, v_leak=none, threshold=never)
    return _behind(name, flow, neuron, layers)


def _loops(name: str, nodes: dict[str, Any], into: dict[str, list[str]], out: dict[str, list[str]]) -> list[str]:
    """Return the weights through which a node leads back to itself."""
    return [n for n in out[name] if out[n] == [name] and into[n] == [name] and hasattr(nodes[n], "weight")]


def _visit(
    name: str, node: Any, given: _Flow, loops: list[str], nodes: dict[str, Any], layers: list[FloatLayer]
) -> _Flow:
    """Return what leaves a node, of what is ``given`` to it; neurons join the ``layers``."""
    kind, what = type(node).__name__, f"node {name}"
    if kind in ("Affine", "Linear"):
        weight = finite(node.weight, f"{what}: weight")
        if weight.ndim != 2 or weight.shape[1] != int(np.prod(given.shape)):
            raise InputError(f"{what}: weight {weight.shape}, inputs of shape {given.shape}")
        return _add(given, what, Map(weight), (len(weight),), _bias(node, len(weight), what))
    elif kind == "Conv2d":
        weight = finite(node.weight, f"{what}: weight")
        window = conv_window(name, node, weight, given.shape)
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
        return _add(given, what, Map(weight, geometry), geometry.output_shape, bias)
    elif kind in ("SumPool2d", "AvgPool2d"):
        if len(given.shape) != 3:
            raise InputError(f"{what}: pools inputs of shape {given.shape}; (channels, height, width) expected")
        size, stride, padding = (pair_of(getattr(node, n), n, name) for n in ("kernel_size", "stride", "padding"))
        channels = given.shape[0]
        geometry = Geometry(given.shape, channels, size, stride, padding, channels)  # type: ignore[arg-type]
        ones = np.ones(geometry.kernel_shape) / (size[0] * size[1] if kind == "AvgPool2d" else 1)
        return _add(given, what, Map(ones, geometry), geometry.output_shape, None)
    elif kind == "Scale":
        scale = np.broadcast_to(finite(node.scale, what), given.shape).ravel()
        return _add(given, what, Map(np.diag(scale)), given.shape, None)
    elif kind == "Flatten":
        return replace(given, shape=(int(np.prod(given.shape)),))
    elif kind in ("LIF", "CubaLIF", "LI", "CubaLI", "IF", "I", "Threshold"):
        layers.append(_layer(name, node, loops, nodes, given, layers))
        return _Flow(given.shape, (Branch(len(layers) - 1, ()),))
    elif kind == "Output":
        return given
    raise InputError(f"{what}: {kind} has no counterpart here")


def _add(given: _Flow, what: str, linear: Map, shape: tuple[int, ...], bias: Array | None) -> _Flow:
    if given.bias is not None and np.any(given.bias):
        raise InputError(f"{what}: behind weights with a bias, without neurons between; put neurons there")
    within = None if given.within is None else applied((linear,), given.within[None])[0]
    terms = tuple(Branch(term.source, (*term.maps, linear)) for term in given.terms)
    return _Flow(shape, terms, bias, given.tau, within)


def _layer(
    name: str, node: Any, loops: list[str], nodes: dict[str, Any], given: _Flow, layers: list[FloatLayer]
) -> FloatLayer:
    what, size = f"node {name}", int(np.prod(given.shape))
    if len(given.terms) == 1 and not given.terms[0].maps:
        raise InputError(f"{what}: neurons without weights before them; put Affine or Linear there")
    if len(loops) > 1:
        raise InputError(f"{what}: {len(loops)} ways back to itself; 1 can be read")
    neuron = _neuron(node, given.shape, what)
    if given.tau is not None:
        if loops:
            raise InputError(
                f"{what}: LI before its weights, and a way back to itself without; LI before both expected"
            )
        neuron, within = _with_current(what, neuron, given)
        return replace(_behind(name, replace(given, bias=within), neuron, layers), filtered=True)
    made = _behind(name, given, neuron, layers)
    if not loops:
        return made
    back = nodes[loops[0]]
    recurrent = finite(back.weight, f"node {loops[0]}: weight")
    if recurrent.shape != (size, size):
        raise InputError(f"node {loops[0]}: weight {recurrent.shape}; ({size}, {size}) expected")
    return replace(made, recurrent=recurrent, recurrent_bias=_bias(back, size, f"node {loops[0]}"))


def _behind(name: str, given: _Flow, neuron: FloatNeuron, layers: list[FloatLayer]) -> FloatLayer:
    """Return neurons behind what is given to them, as a layer of ``layers``."""
    bias = np.zeros(int(np.prod(given.shape))) if given.bias is None else given.bias
    maps, branches = ways(f"node {name}", given.terms, given.shape, [layer.shape for layer in layers])
    return FloatLayer(name, maps, bias, neuron, given.shape, branches=branches)


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
