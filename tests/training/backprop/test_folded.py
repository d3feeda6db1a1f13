from __future__ import annotations

from typing import Any

import layered_twins as twins
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_neuro.training import fit_spikes
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.task import Clock
from conntra_neuro.training.threads import Threads
from conntra_neuro.training.warm import fit_warm

pytest.importorskip("jax")

from conntra_neuro.training.backprop.folded import FoldedStraightThrough
from conntra_neuro.training.backprop.gear import StraightThroughOptions

SHAPE = (2, 7, 6)
LAYERS = [
    "conv4k3p1,maxpool2,conv4k2,5",
    "conv4k3p1,conv4k3p1+1,sumpool2",
    "dwconvk3s2p1,conv6k2s2p1+1",
    "conv4k3p2d2,conv4k2d2,5",
]


def _gear(
    layers: str, seed: int = 0, sweeps: int = 2, normalise: int | None = None
) -> tuple[Any, FoldedStraightThrough]:
    task = twins.layered_task(layers, seed, n=64)
    gear = FoldedStraightThrough(task, StraightThroughOptions(batch=16, sweeps=sweeps, normalise=normalise), Threads(1))
    for number in range(sweeps):
        gear.sweep(number, sweeps, Clock(), lambda done, running: None)
    return task, gear


@pytest.mark.parametrize("normalise", [1, 0])
@pytest.mark.parametrize("layers", LAYERS)
def test_the_integer_network_decides_as_the_normalised_one(layers: str, normalise: int) -> None:
    """Batch normalisation with the sample's statistics, in floats, unit by unit, against the folded biases."""
    task, gear = _gear(layers, normalise=normalise)
    network = task.architecture.network(gear.parameters(), task.levels)
    normalisations = iter(gear.normalisations)
    outputs, logits = network.activity(task.spikes)
    x = task.spikes
    for number, layer in enumerate(network.layers[:-1]):
        if layer.n_weights:
            z = layer.potentials(x) - np.repeat(layer.bias, layer.n_out // len(layer.bias))
            for residual in network.residuals:
                if residual.target == number:
                    source = task.spikes if residual.source < 0 else outputs[residual.source]
                    z = z + residual.potentials(source)
            channels = z.reshape(len(z), len(layer.bias), -1).transpose(0, 2, 1)
            spikes = (next(normalisations)(channels) > 0).transpose(0, 2, 1).reshape(len(z), -1)
            np.testing.assert_array_equal(outputs[number], spikes)
        x = outputs[number]
    found = gear.evaluate(held_out=False)
    assert found.error == np.mean(logits.argmax(axis=1) != task.y)


@given(st.integers(0, 1000))
@settings(max_examples=3, deadline=None)
def test_one_seed_one_network(seed: int) -> None:
    first, second = (_gear("conv4k3s2,4", seed, 1)[1].parameters().arrays() for _ in range(2))
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


def test_a_warm_start_is_never_worse_than_where_it_starts() -> None:
    task = twins.layered_task("conv2k3s3", 1, n=5100)  # from 5,000 samples on held-out ones decide
    given = {
        "n_classes": 3,
        "layers": "conv2k3s3",
        "image": ImageShape(*SHAPE),
        "sweeps": 2,
        "validation_fraction": 0.1,
    }
    first = fit_spikes(task.spikes, task.y, gear="straight-through", **given)
    warm = fit_warm(task.spikes, task.y, **given)
    assert len(warm.history) > len(first.history)
    assert first.validation_error is not None
    assert warm.validation_error is not None
    assert warm.validation_error <= first.validation_error


@pytest.mark.parametrize(
    ("given", "named"),
    [({"shift": 6}, "shift 6: images are 7 x 6 pixels; 0 to 5 allowed")],
)
def test_what_it_does_not_train_is_named(given: dict[str, Any], named: str) -> None:
    task = twins.layered_task("conv4k3", 1)
    with pytest.raises(InputError, match=named):
        fit_spikes(
            task.spikes,
            task.y,
            n_classes=3,
            layers="conv4k3",
            image=ImageShape(*SHAPE),
            gear="straight-through",
            **given,
        )
