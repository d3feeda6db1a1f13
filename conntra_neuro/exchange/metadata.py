"""What a network is beyond its graph: encoder, labels, levels, time steps, as JSON in the metadata of other formats."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from conntra_hardware.base.errors import ConntraError, FileFormatError
from conntra_hardware.program.input_encoding import Encoder, encoder_from_dict
from conntra_hardware.program.program_file import labels_to_file
from conntra_hardware.program.value_scale import ValueScale, answers_from_file, answers_to_file
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Layer
from conntra_neuro.network.layers.layer import Weighted
from conntra_neuro.network.levels import Levels

__all__ = ["KEY", "encoder_of", "labels_of", "layer_note", "levels_of", "network_note", "read_note", "value_of"]

KEY = "conntra"
"""The name under which formats with metadata hold a note."""

_MEANING = (
    "All weights, biases and potentials are integers. A threshold neuron spikes where its potential exceeds 0, in the "
    "step it is computed. A sample takes `steps` steps; the output is summed over them, the largest sum is the class."
)


def network_note(network: DiscreteNetwork, about: Mapping[str, Any] | None = None, **more: Any) -> str:
    """Return the note of a whole network; ``about`` are JSON values of the caller's, such as the chip of a program.

    ``more`` are those of a format.
    """
    encoder = network.encoder
    return json.dumps(
        {
            "meaning": _MEANING,
            "steps": network.steps,
            "encoder": None if encoder is None else _encoder(encoder),
            "labels": labels_to_file(network.labels),
            **({} if network.value is None else {"value": answers_to_file(None, network.value)}),
            "about": dict(about or {}),
            **more,
        }
    )


def layer_note(layer: Layer | None, **more: Any) -> str:
    """Return the note of a node: the levels of its weights, and what else the format does not say."""
    levels = {"levels": list(layer.levels.values)} if isinstance(layer, Weighted) else {}
    return json.dumps(levels | more)


def read_note(text: Any, what: str) -> dict[str, Any]:
    """Return the note that ``text`` is; empty where there is none."""
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise FileFormatError(f"{what}: its metadata {KEY!r} is damaged; export it again, or delete that entry")
    return found


def levels_of(note: Mapping[str, Any], what: str) -> Levels | None:
    """Return the level set of a node's note; None where it names none."""
    return None if note.get("levels") is None else _sound(lambda: Levels(tuple(note["levels"])), what, "levels")


def encoder_of(note: Mapping[str, Any], what: str) -> Encoder | None:
    """Return the encoder of a network's note; None where it has none."""
    entry = note.get("encoder")
    if entry is None:
        return None

    def make() -> Encoder:
        thresholds = np.asarray(entry["thresholds"], dtype=np.float64)
        n_features = int(entry["n_features"])
        if not 0 < n_features <= 2**24:
            raise ValueError(f"{n_features} features")
        if thresholds.shape[-1] == 1:
            thresholds = np.broadcast_to(thresholds, (*thresholds.shape[:-1], n_features))
        return encoder_from_dict(entry["kind"], thresholds)

    return _sound(make, what, "encoder")


def labels_of(note: Mapping[str, Any], what: str) -> tuple[Any, ...] | None:
    """Return the labels of a network's note; None where it has none."""
    return None if note.get("labels") is None else _sound(lambda: tuple(note["labels"]), what, "labels")


def value_of(note: Mapping[str, Any], what: str) -> ValueScale | None:
    """Return what the logit of a network's note stands for; None where it is one of classes."""
    return None if note.get("value") is None else _sound(lambda: answers_from_file(note["value"])[1], what, "value")


def _encoder(encoder: Encoder) -> dict[str, Any]:
    thresholds = encoder.thresholds
    # All pixels of an image share their thresholds as a rule: one column of them is enough then.
    shared = bool((thresholds == thresholds[..., :1]).all())
    kept = thresholds[..., :1] if shared else thresholds
    return {"kind": encoder.kind, "n_features": encoder.n_features, "thresholds": kept.tolist()}


def _sound(make: Any, what: str, entry: str) -> Any:
    try:
        return make()
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, ConntraError) as error:
        raise FileFormatError(
            f"{what}: the {entry} in its metadata {KEY!r} is damaged ({error}); export it again"
        ) from None
