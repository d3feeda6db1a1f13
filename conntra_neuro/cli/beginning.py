"""Where ``conntra train --from MODEL`` begins: a network, and what it settles about the training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conntra_hardware.errors import InputError

if TYPE_CHECKING:
    from conntra_neuro.datasets import Dataset
    from conntra_neuro.levels import Levels
    from conntra_neuro.network import DiscreteNetwork

__all__ = ["Beginning", "beginning"]


@dataclass(frozen=True)
class Beginning:
    """The network, its hidden widths, and the levels its weights may move among."""

    network: DiscreteNetwork
    widths: tuple[int, ...]
    levels: Levels


def beginning(path: Path, layers: str | None, levels: str | None, encoder: str | None, data: Dataset) -> Beginning:
    """Return where a training on ``data`` from the model ``path`` begins.

    Its widths are its own, and so is its encoder, where it has one. ``levels`` may be more than its weights are of, so
    that they can move to more values; None takes those of all its layers together.
    """
    from conntra_hardware.neurons import Readout, Threshold
    from conntra_neuro.levels import Levels, parse_levels
    from conntra_neuro.network import Dense
    from conntra_neuro.storage import load_network

    network = load_network(path)
    _check_options(network, path, layers, encoder, data)
    for index, layer in enumerate(network.layers):
        if not isinstance(layer, Dense) or not isinstance(layer.neuron, (Threshold, Readout)) or network.residuals:
            raise InputError(
                f"{path}: layer {index} ({layer!r}): only dense layers of threshold neurons, without residual "
                "connections, can be trained further from a file"
            )
    found = [layer for layer in network.layers if isinstance(layer, Dense)]
    own = Levels(tuple({value for layer in found for value in layer.levels.values}))
    chosen = own if levels is None else parse_levels(levels)
    return Beginning(network, tuple(layer.n_out for layer in found[:-1]), chosen)


def _check_options(
    network: DiscreteNetwork, path: Path, layers: str | None, encoder: str | None, data: Dataset
) -> None:
    if layers is not None:
        raise InputError(f"--layers {layers}: with --from the layers are those of {path}; leave it out")
    if encoder is not None and network.encoder is not None:
        raise InputError(f"--encoder {encoder}: {path} has an encoder of its own; leave the option out")
    if network.labels is not None and tuple(network.labels) != data.labels:
        theirs, ours = (", ".join(map(str, labels[:12])) for labels in (data.labels, network.labels))
        raise InputError(f"{path}: tells {ours} apart; the classes of {data.name} are {theirs}")
    if network.n_classes != len(data.labels):
        raise InputError(f"{path}: {network.n_classes} classes; {data.name} has {len(data.labels)}")
