"""A network as a NetX file, the HDF5 description that lava-dl loads into Lava processes (lava.lib.dl.netx).

What is written is what the compiler makes of the network: dense weights and convolutions between populations, pooled
sums folded into weights. A threshold neuron is CUBA with full decays, so that nothing is left of the step before;
integrate-and-fire is CUBA without voltage decay, a leaky neuron CUBA as it is. Load it with
``Network(file, reset_interval=steps, reset_offset=1)``: the first layer's first sample enters at time step 2. The
readout never spikes: its logits are its voltage, in 1/64.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import Neuron
from conntra_hardware.program import AnyProjection, ConvProjection, Population
from conntra_neuro.compiler.lower import Lowered, lower
from conntra_neuro.exchange.metadata import KEY, network_note
from conntra_neuro.network import DiscreteNetwork

if TYPE_CHECKING:
    import h5py

__all__ = ["netx_bytes"]

_BIAS = (-(2**12), 2**12 - 1)  # NetX shifts all biases by 6 bits: what is left of 13 is the mantissa
_HIGHEST = 2**17 - 1
"""The highest threshold, and the largest sum of weights that 24-bit registers hold."""

_LONGEST_DELAY = 62
"""What lava-dl's loader gives Lava's DelayDense at most."""

_FULL = 4096
_VOLTAGE_DECAY = {"threshold": _FULL, "integrating": 0, "readout": 0}  # by form of neuron
_PACKED_ABOVE = 1000


def netx_bytes(network: DiscreteNetwork, about: Mapping[str, Any] | None = None) -> bytes:
    """Return the NetX file of ``network``; InputError names a layer that NetX has no words for."""
    import h5py

    lowered = lower(network)
    _check_chain(lowered)
    file = io.BytesIO()
    with h5py.File(file, "w") as handle:
        layers = handle.create_group("layer")
        # NetX does not read it; it says what the inputs and the classes are.
        handle.create_dataset(KEY, data=network_note(network, about))
        shape = _input_shape(network, lowered)
        _write(layers, {"type": "input", "shape": np.array(shape)})
        for population in lowered.populations:
            projection = lowered.incoming(population.name)[0]
            if isinstance(projection, ConvProjection):
                if len(shape) != 3:
                    raise _refusal(
                        population, "takes an image from a dense layer, or from sums that fold into no kernel"
                    )
                shape = projection.geometry.output_shape
                group = _write(layers, _conv(population, projection))
            else:
                if len(shape) == 3 and len(layers) > 1:
                    _write(layers, {"type": "flatten"})
                shape = (population.size,)
                group = _write(layers, _dense(population, lowered.incoming(population.name)))
            _neuron(group, population.neuron, network.steps)
    return file.getvalue()


def _check_chain(lowered: Lowered) -> None:
    source = "input"
    for population in lowered.populations:
        incoming = lowered.incoming(population.name)
        if {p.source for p in incoming} - {population.name} != {source}:
            raise _refusal(
                population, "takes from several layers; NetX has chains only: leave residual connections out"
            )
        _check_time(population, incoming)
        facts = population.neuron.facts
        soft = facts.form in ("integrating", "leaky") and facts.reset != "hard"
        if soft or facts.form not in (*_VOLTAGE_DECAY, "leaky"):
            kind = f"{population.neuron.kind} with soft reset" if soft else population.neuron.kind
            raise _refusal(population, f"{kind} neurons; NetX has CUBA with hard reset: use threshold neurons")
        if facts.form == "leaky" and not facts.strict:
            raise _refusal(population, "neurons that spike at the threshold; Lava's spike above it: use strict=True")
        if facts.per_neuron:
            raise _refusal(population, "parameters that differ by neuron; NetX has one threshold: use one for all")
        reach = int((sum(p.magnitudes() for p in incoming) + np.abs(population.bias)).max())
        if reach > _HIGHEST:
            raise _refusal(population, f"sums of up to {reach}; 24-bit registers hold {_HIGHEST}: use smaller weights")
        low, high = int(population.bias.min()), int(population.bias.max())
        if low < _BIAS[0] or high > _BIAS[1]:
            raise _refusal(population, f"biases from {low} to {high}; {_BIAS[0]} to {_BIAS[1]} allowed")
        source = population.name


def _check_time(population: Population, incoming: Sequence[AnyProjection]) -> None:
    """Raise InputError for delays and ways back that lava-dl's loader does not take."""
    own = [p for p in incoming if p.source == population.name]
    late = max(p.delay for p in incoming)
    if len(incoming) > 1 and any(isinstance(p, ConvProjection) for p in incoming):
        raise _refusal(population, "convolutions back to itself or of several delays; NetX has dense ones: use Dense")
    if late and isinstance(incoming[0], ConvProjection):
        raise _refusal(population, "a convolution with a delay, which lava-dl's loader leaves out: use none")
    if late > _LONGEST_DELAY:
        raise _refusal(population, f"a delay of {late} steps; lava-dl's loader cuts it off to {_LONGEST_DELAY}")
    if own and late:
        raise _refusal(
            population, "delays beside synapses to itself, which lava-dl's loader gives the same ones: use none"
        )


def _input_shape(network: DiscreteNetwork, lowered: Lowered) -> tuple[int, ...]:
    first = lowered.projections[0]
    if isinstance(first, ConvProjection):
        return first.geometry.input_shape
    return (network.n_in, 1, 1)


def _dense(population: Population, incoming: Sequence[AnyProjection]) -> dict[str, Any]:
    forward = [p for p in incoming if p.source != population.name]
    back = [p.weights.astype(np.int64) for p in incoming if p.source == population.name]
    weight = np.sum([p.weights.astype(np.int64) for p in forward], axis=0)
    if sum(p.n_synapses for p in forward) > np.count_nonzero(weight):
        raise _refusal(population, "several delays between the same two neurons; NetX has one: use one")
    low, high = (int(f(w)) for f, w in ((np.min, np.hstack([weight, *back])), (np.max, np.hstack([weight, *back]))))
    fits = -128 <= low <= high <= 127 if low < 0 < high else low >= -256 and high <= 255
    if not fits or low == high == 0:
        raise _refusal(population, f"weights from {low} to {high}; -128 to 127 allowed, not all 0")
    entries = {
        "type": "dense_rec" if back else "dense",
        "shape": np.array([population.size, 1, 1]),
        "inFeatures": weight.shape[1],
        "outFeatures": weight.shape[0],
        "weight": weight.astype(np.int32),
        "bias": population.bias.astype(np.int32),
    }
    if back:
        entries["weight_rec"] = back[0].astype(np.int32)
    if any(p.delay for p in forward):
        entries["delay"] = np.sum([p.delay * (p.weights != 0) for p in forward], axis=0, dtype=np.int32)
    return entries


def _conv(population: Population, projection: ConvProjection) -> dict[str, Any]:
    g = projection.geometry
    rows = population.bias.reshape(g.out_channels, g.positions)
    if (rows != rows[:, :1]).any():
        raise _refusal(population, "biases that differ within a channel; NetX has one for each")
    return {
        "type": "conv",
        "shape": np.array(g.output_shape),
        "inChannels": g.input_shape[0],
        "outChannels": g.out_channels,
        "kernelSize": np.array(g.kernel),
        "stride": np.array(g.stride),
        "padding": np.array(g.padding),
        "dilation": np.array(g.dilation),
        "groups": g.groups,
        "weight": projection.kernel.astype(np.int32),
        "bias": rows[:, 0].astype(np.int32),
    }


def _neuron(layer: h5py.Group, neuron: Neuron, steps: int) -> None:
    facts = neuron.facts
    if facts.form == "leaky":
        given = {"iDecay": facts.current_decay, "vDecay": facts.voltage_decay, "vThMant": facts.threshold}
        given["refDelay"] = facts.refractory + 1  # type: ignore[operator]  # not one a neuron: ``_check_chain``
        _write_into(layer.create_group("neuron"), {"type": "CUBA", **given, "gradedSpike": False})
        return
    decay = _VOLTAGE_DECAY[facts.form] if steps > 1 else _FULL
    threshold = int(facts.least) - 1 if neuron.spikes else _HIGHEST  # Lava spikes above it
    _write_into(
        layer.create_group("neuron"),
        {
            "type": "CUBA",
            "iDecay": _FULL,
            "vDecay": decay,
            "vThMant": threshold,
            "refDelay": 1,
            "gradedSpike": False,
        },
    )


def _write(layers: h5py.Group, entries: dict[str, Any]) -> h5py.Group:
    group = layers.create_group(str(len(layers)))
    _write_into(group, entries)
    return group


def _write_into(group: h5py.Group, entries: Mapping[str, Any]) -> None:
    for name, value in entries.items():
        data: npt.NDArray[Any] | Any = np.array([value.encode()], dtype="S10") if name == "type" else value
        packed = {"compression": "gzip"} if np.size(data) > _PACKED_ABOVE else {}
        group.create_dataset(name, data=data, **packed)


def _refusal(population: Population, what: str) -> InputError:
    return InputError(f"export to NetX: {population.name}: {what}")
