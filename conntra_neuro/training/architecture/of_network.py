"""Training a network of any layers further: what its layers are in words, and the neurons that are its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import Neuron, Readout
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Conv2d, Dense, Flatten, Layer, MaxPool, Recurrent, Residual, SumPool
from conntra_neuro.training.architecture.architecture import Architecture, Node
from conntra_neuro.training.architecture.words import Conv, LayerSpec, Neurons, Pool
from conntra_neuro.training.neurons import of_neuron

__all__ = ["described", "with_neurons_of", "without_flatten"]


def without_flatten(network: DiscreteNetwork) -> DiscreteNetwork:
    """Return the same network without layers that only flatten: dense ones take images as they are."""
    kept = [i for i, layer in enumerate(network.layers) if not isinstance(layer, Flatten)]
    at = {-1: -1} | {i: sum(k <= i for k in kept) - 1 for i in range(len(network.layers))}
    residuals = [dataclasses.replace(r, source=at[r.source], target=at[r.target]) for r in network.residuals]
    layers = [network.layers[i] for i in kept]
    loops = [Recurrent(at[loop.layer], loop.connection) for loop in network.recurrent]
    given = (layers, network.encoder, network.labels, residuals)
    return DiscreteNetwork(*given, steps=network.steps, recurrent=loops, value=network.value)


def described(network: DiscreteNetwork) -> tuple[tuple[LayerSpec, ...], Neurons]:
    """Return the hidden layers and the kind of neurons of ``network``, which has no Flatten, as ``train`` takes them.

    Raises InputError where a layer, a residual connection or a mixture of neurons is none that can be trained.
    """
    refuse_time(network)
    hidden = network.layers[:-1]
    joined = {residual.target: residual for residual in network.residuals}
    if len(joined) < len(network.residuals):
        raise InputError("two residual connections to one layer: at most one can be trained")
    specs = [_spec(number, layer, joined.get(number)) for number, layer in enumerate(hidden)]
    readout, last = network.layers[-1], len(hidden)
    if not isinstance(readout, Dense) or last in joined:
        raise InputError(f"layer {last} ({readout!r}): a dense readout without residual connections can be trained")
    return tuple(specs), dataclasses.replace(_neurons(hidden, network.steps), recurrent=bool(network.recurrent))


def refuse_time(network: DiscreteNetwork) -> None:
    """Raise InputError for what no gear trains: delays, recurrent convolutions, readouts that leak, counted spikes."""
    for number, layer in enumerate(network.layers):
        where = f"layer {number} ({layer!r})"
        if isinstance(layer, (Dense, Conv2d)) and layer.is_delayed:
            raise InputError(f"{where}: synapses with a delay cannot be trained")
    last = network.layers[-1].neuron
    if last is None or last.facts.form != "readout":
        raise InputError("a last layer that spikes, leaks or shows its largest value: cannot be trained; sums can")
    found = [connection.layer for connection in network.recurrent]
    for connection in network.recurrent:
        layer, way = network.layers[connection.layer], connection.connection
        leaky = isinstance(layer, Dense) and layer.neuron.facts.form == "leaky"
        plain = isinstance(way, Dense) and not way.is_delayed
        if not leaky or not plain or found.count(connection.layer) > 1:
            raise InputError(
                f"{connection}: cannot be trained; one a dense layer of leaky neurons, dense and without a delay, can"
            )
    dense = [number for number, layer in enumerate(network.layers[:-1]) if isinstance(layer, Dense)]
    if found and sorted(found) != dense:
        raise InputError(f"recurrent layers {found}: all dense hidden layers {dense} or none of them can be trained")


def with_neurons_of(arch: Architecture, network: DiscreteNetwork) -> Architecture:
    """Return ``arch`` with the thresholds and shifts of ``network``; InputError where a connection is another one."""
    refuse_time(network)
    if network.recurrent and not arch.neurons.recurrent:
        raise InputError(f"initial network: {network.recurrent[0]}; train it with recurrent, --recurrent")
    if len(network.layers) != len(arch.nodes):
        return arch
    joined = {residual.target: residual for residual in network.residuals}
    nodes = []
    for number, (node, layer) in enumerate(zip(arch.nodes, network.layers, strict=True)):
        _check_connection(number, node, joined.get(number))
        if layer.neuron is not None and node.neuron is not None:
            found, expected = _kind(layer.neuron, network.steps), _kind(node.neuron, arch.steps)
            if found != expected:
                raise InputError(
                    f"initial network, layer {number} ({layer!r}): {found} neurons cannot be trained as {expected}; "
                    "give the kind of neuron that it has"
                )
        same = layer.neuron is not None and node.neuron is not None
        nodes.append(dataclasses.replace(node, neuron=layer.neuron) if same else node)
    return dataclasses.replace(arch, nodes=tuple(nodes))


def _spec(number: int, layer: Layer, residual: Residual | None) -> LayerSpec:
    where = f"layer {number} ({layer!r})"
    if isinstance(layer, Dense):
        if residual is not None:
            raise InputError(f"{where}: a residual connection to a dense layer cannot be trained; only to convolutions")
        return layer.n_out
    assert isinstance(layer, (Conv2d, MaxPool, SumPool))
    g = layer.geometry
    if any(a != b for a, b in (g.kernel, g.stride, g.padding, g.dilation)):
        raise InputError(f"{where}: kernel, stride, padding or dilation is not square; only square ones can be trained")
    size, stride, padding = g.kernel[0], g.stride[0], g.padding[0]
    if not isinstance(layer, Conv2d):
        if padding:
            raise InputError(f"{where}: pooling with padding cannot be trained")
        return Pool("max" if isinstance(layer, MaxPool) else "sum", size, stride)
    skip = 0 if residual is None else number - 1 - residual.source
    scale = 1 if residual is None else residual.scale
    if scale < 1:
        raise InputError(f"{where}: a residual connection of scale {scale} cannot be trained; 1 or more can")
    return Conv(g.out_channels, size, stride, padding, g.groups, skip, scale, g.dilation[0])


def _neurons(hidden: Sequence[Layer], steps: int) -> Neurons:
    given = [layer.neuron for layer in hidden if layer.neuron is not None and not isinstance(layer, MaxPool)]
    kinds = [kind for kind in (_kind(neuron, steps) for neuron in given) if kind is not None]
    found = set(kinds) or {Neurons("threshold")}
    alike = {dataclasses.replace(kind, voltage_decay=0, current_decay=0) for kind in found}
    if len(alike) > 1:
        raise InputError(f"neurons of several kinds ({', '.join(sorted(map(str, found)))}): one kind can be trained")
    if len(found) == 1:
        return found.pop()
    return dataclasses.replace(kinds[0], by_layer=tuple((kind.voltage_decay, kind.current_decay) for kind in kinds))


def _kind(neuron: Neuron | None, steps: int) -> Neurons | None:
    if neuron is None or isinstance(neuron, Readout):
        return None
    if neuron.facts.per_neuron:
        raise InputError(f"{neuron.kind} neurons with parameters that differ cannot be trained; one for all can")
    return Neurons(*of_neuron(neuron).words(neuron, steps))


def _check_connection(number: int, node: Node, residual: Residual | None) -> None:
    expected = None if node.skip is None else (node.skip.source, node.skip.scale, node.skip.geometry)
    found = None
    if residual is not None:
        found = (residual.source, residual.scale, getattr(residual.connection, "geometry", None))
        if isinstance(residual.connection, Dense):
            raise InputError(f"initial network: {residual} through a dense layer; a 1 x 1 convolution can be trained")
    if found != expected:
        raise InputError(
            f"initial network: residual connection to layer {number} {found}; (source, scale, kernel) {expected} "
            f"expected at {node.name}"
        )
