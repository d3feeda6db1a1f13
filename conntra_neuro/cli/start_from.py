"""Where ``conntra train --from MODEL`` begins: a network, and what it settles about the training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conntra_hardware.base.errors import InputError

if TYPE_CHECKING:
    from conntra_neuro.datasets import Dataset
    from conntra_neuro.network import DiscreteNetwork
    from conntra_neuro.network.levels import Levels
    from conntra_neuro.training.architecture.words import LayerSpec

__all__ = ["Beginning", "beginning"]


@dataclass(frozen=True)
class Beginning:
    """The network, its hidden layers, their kind of neurons, and the levels its weights may move among."""

    network: DiscreteNetwork
    layers: tuple[LayerSpec, ...]
    neuron: str
    levels: Levels


def beginning(
    path: Path, layers: str | None, neuron: str | None, levels: str | None, encoder: str | None, data: Dataset
) -> Beginning:
    """Return where a training on ``data`` from the model ``path`` begins.

    Its layers and neurons are its own, and so is its encoder, where it has one. ``levels`` may be more than its weights
    are of, so that they can move to more values; None takes those of all its layers together.
    """
    from conntra_neuro.network import Conv2d, Dense
    from conntra_neuro.network.levels import Levels, parse_levels
    from conntra_neuro.network.storage import load_network
    from conntra_neuro.training.architecture.of_network import described, without_flatten

    network = load_network(path)
    _check_options(network, path, layers, neuron, encoder, data)
    network = without_flatten(network)
    try:
        specs, neurons = described(network)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    connections = [part.connection for part in (*network.residuals, *network.recurrent)]
    found = [layer for layer in (*network.layers, *connections) if isinstance(layer, (Dense, Conv2d))]
    own = Levels(tuple({value for layer in found for value in layer.levels.values}))
    return Beginning(network, specs, str(neurons), parse_levels(own if levels is None else levels))


def _check_options(
    network: DiscreteNetwork, path: Path, layers: str | None, neuron: str | None, encoder: str | None, data: Dataset
) -> None:
    for option, given in (("layers", layers), ("neuron", neuron)):
        if given is not None:
            raise InputError(f"--{option} {given}: with --from layers and neurons are those of {path}; leave it out")
    if encoder is not None and network.encoder is not None:
        raise InputError(f"--encoder {encoder}: {path} has an encoder of its own; leave the option out")
    if network.labels is not None and tuple(network.labels) != data.labels:
        theirs, ours = (", ".join(map(str, labels[:12])) for labels in (data.labels, network.labels))
        raise InputError(f"{path}: tells {ours} apart; the classes of {data.name} are {theirs}")
    if (network.value is None) != (data.target == "class"):
        told = "classes" if network.value is None else "a value"
        raise InputError(f"{path}: answers with {told}; the targets of {data.name} are of another kind")
    if network.n_classes != data.n_classes:
        raise InputError(f"{path}: {network.n_classes} classes; {data.name} has {data.n_classes}")
