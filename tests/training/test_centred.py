"""Centred scores: an input counts less its mean, and biases take back what moves do to the mean potentials."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conntra_neuro as cn
from conntra_neuro.network.levels import parse_levels
from conntra_neuro.training.gears.blocks import Blocks, BlocksOptions
from conntra_neuro.training.gears.moves import LayerMoves
from conntra_neuro.training.request import Wanted
from conntra_neuro.training.samples import make_task
from conntra_neuro.training.threads import Threads


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_moves_leave_mean_potentials_where_they_are(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.random((64, 30)) < rng.random(30)).astype(np.float64)
    levels = parse_levels("ternary")
    layer = LayerMoves(rng.choice(levels.array, (30, 5)), np.zeros(5, np.int32), levels, 0.05, 1e-3, np.float32)
    weights = layer.weights.copy()
    with Threads(1) as threads:
        for _ in range(steps):
            q = rng.normal(size=(64, 5))
            scores = np.vstack([x.T @ q, q.sum(axis=0)]).astype(np.float32)
            layer.remember(scores, 64, 0.9, 0.99, threads, x.sum(axis=0))
            layer.move(0.2, 0.0, rng, threads)
    assert np.any(layer.weights[:-1] != weights[:-1])
    assert np.all(layer.weights == np.rint(layer.weights))
    moved = x @ (layer.weights - weights)[:-1] + (layer.weights - weights)[-1]
    assert np.abs(moved.mean(axis=0)).max() <= 0.5 + 1e-3  # biases are whole; what is left over comes with the next


def test_an_input_that_always_spikes_is_no_use_to_a_unit() -> None:
    rng = np.random.default_rng(0)
    x = (rng.random((200, 6)) < 0.5).astype(np.float64)
    x[:, 2] = 1
    q = rng.normal(size=(200, 3)) + 5  # all units had better spike less: that is for their biases
    scores = np.vstack([x.T @ q, q.sum(axis=0)]).astype(np.float32)
    layer = LayerMoves(np.zeros((6, 3), np.int32), np.zeros(3, np.int32), parse_levels(3), 0.0, 1e-3, np.float32)
    with Threads(1) as threads:
        layer.remember(scores, 200, 0.0, 0.0, threads, x.sum(axis=0))
    centred = (x - x.mean(axis=0)).T @ q / 200
    np.testing.assert_allclose(layer._average[:-1], centred, atol=1e-5)
    assert np.abs(layer._average[2]).max() < 1e-5
    np.testing.assert_allclose(layer._average[-1], q.mean(axis=0), rtol=1e-5)


def _gear(n: int, layers: Any = (5,), options: BlocksOptions | None = None, **wanted: Any) -> Blocks:
    rng = np.random.default_rng(0)
    spikes, y = (rng.random((n, 9)) < 0.4).astype(np.uint8), rng.integers(0, 3, n)
    task = make_task(spikes, y, Wanted(3, layers, validation_fraction=0.0, **wanted))
    return Blocks(task, options or BlocksOptions(), Threads(1))


def test_large_dense_networks_that_classify_are_centred_by_default() -> None:
    assert _gear(20_000)._centred
    assert not _gear(19_999)._centred
    assert not _gear(20_000, options=BlocksOptions(centred=0))._centred
    assert not _gear(20_000, options=BlocksOptions(penalty_spikes=1.0))._centred
    for layers in ((), (5, 4)):  # no layer above the first; two hidden layers gained nothing
        assert not _gear(20_000, layers)._centred
    assert not _gear(20_000, neuron="relu")._centred
    start = cn.DiscreteNetwork([cn.Dense(np.ones((3, 9), np.int32), activation="readout")])
    assert not _gear(20_000, (), initial=start)._centred
    assert _gear(200, options=BlocksOptions(centred=1))._centred


def test_what_goes_with_centred_scores_can_be_chosen() -> None:
    usual, centred = BlocksOptions(), BlocksOptions(centred=1)
    few = _gear(300)
    assert [o.with_defaults(20_000, few.augmentation, c)[3] for o, c in ((usual, False), (centred, True))] == [
        0.05,
        0.08,
    ]
    assert _gear(300)._share_biases == 0.05
    assert _gear(300, options=centred)._share_biases == 0.2
    assert _gear(300, options=BlocksOptions(centred=1, fraction_bias=0.1))._share_biases == 0.1


def test_checkpoints_keep_the_means(tmp_path: Path) -> None:
    digits = cn.load_dataset("digits")
    data = dataclasses.replace(digits, x_train=digits.x_train[:300], y_train=digits.y_train[:300])
    options: dict[str, Any] = {"layers": (20, 10), "sweeps": 6, "batch": 50, "threads": 1, "shift": 0, "centred": 1}
    whole = cn.train(data, **options)

    def stop(progress: Any) -> None:
        if progress.sweep >= 3:
            raise KeyboardInterrupt

    assert cn.train(data, **options, checkpoint=tmp_path / "kept", progress=stop).interrupted
    resumed = cn.train(data, **options, resume=tmp_path / "kept")
    options["centred"] = 0
    plain = cn.train(data, **options)
    weights, again, other = ([a for layer in r.network.layers for a in _arrays(layer)] for r in (whole, resumed, plain))
    assert all(np.array_equal(one, two) for one, two in zip(weights, again, strict=True))
    assert any(not np.array_equal(one, two) for one, two in zip(weights, other, strict=True))


def _arrays(layer: Any) -> list[Any]:
    return [layer.weight, layer.bias]


def test_it_is_refused_where_there_are_other_layers_or_neurons() -> None:
    more: dict[str, Any]
    for more in ({"layers": "conv3k3,5"}, {"layers": (5,), "neuron": "relu"}):
        with pytest.raises(cn.InputError, match="centred 1: for dense layers of threshold neurons only"):
            cn.train(cn.load_dataset("digits"), centred=1, **more)
    with pytest.raises(cn.InputError, match="centred 2: 0 to 1 allowed"):
        cn.train(cn.load_dataset("digits"), centred=2)
