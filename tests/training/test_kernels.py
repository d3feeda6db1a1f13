from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import training_twins as twins
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.neurons import Threshold
from conntra_neuro.network.levels import parse_levels
from conntra_neuro.training.gears.moves import LayerMoves, select_largest
from conntra_neuro.training.inputs.batches import DenseBatch, Inputs, SparseBatch, inputs_of
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.neurons.kernels import lower_gains
from conntra_neuro.training.neurons.threshold import ThresholdTraining
from conntra_neuro.training.scoring import kernels
from conntra_neuro.training.scoring.chain import _grid
from conntra_neuro.training.threads import Threads

_slope = partial(ThresholdTraining().slope, Threshold())
SEEDS = st.integers(0, 2**32 - 1)


def _both(spikes: np.ndarray, image: ImageShape | None = None) -> tuple[Inputs, Inputs]:
    """The same inputs as lists and as bytes, whatever their density."""
    n, n_in = spikes.shape
    start = np.concatenate([[0], np.cumsum(spikes.sum(axis=1))]).astype(np.int64)
    lists = Inputs(n, n_in, image, start=start, index=np.nonzero(spikes)[1].astype(np.uint16))
    return lists, Inputs(n, n_in, image, x=spikes)


@given(SEEDS, st.integers(1, 90), st.integers(1, 140), st.integers(1, 40), st.sampled_from([1, 2, 3]))
@settings(max_examples=40, deadline=None)
def test_sparse_and_dense_products_are_the_same_bits(seed: int, n: int, n_in: int, n_out: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    spikes = (rng.random((n, n_in)) < rng.random()).astype(np.uint8)
    weights = rng.integers(-3, 4, (n_in + 1, n_out)).astype(np.float32)
    q = (rng.integers(-(2**12), 2**12, (n, n_out)) * 2.0**-13).astype(np.float32)
    rows = rng.permutation(n)
    x = np.hstack([spikes[rows], np.ones((n, 1))])
    with Threads(count) as threads:
        for inputs, kind in zip(_both(spikes), (SparseBatch, DenseBatch), strict=True):
            batch = inputs.batch(rows, np.float32)
            z, scores = np.empty((n, n_out), np.float32), np.empty((n_in + 1, n_out), np.float32)
            assert isinstance(batch, kind)
            batch.potentials(weights, z, threads)
            batch.scores(q, scores, threads)
            np.testing.assert_array_equal(z, x @ weights.astype(np.float64))
            np.testing.assert_array_equal(scores, x.T @ q.astype(np.float64))


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_every_image_is_shifted_on_its_own(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = ImageShape(*rng.integers(1, 6, 3).tolist())
    spikes = (rng.random((7, image.n_in)) < 0.4).astype(np.uint8)
    shifts = rng.integers(-2, 3, (7, 2))
    whole = twins.shifted(spikes.reshape(7, image.channels, image.rows, image.columns), shifts).reshape(7, -1)
    for inputs in _both(spikes, image):
        batch = inputs.batch(np.arange(7), np.float32, shifts)
        found = np.empty((7, image.n_in), np.float32)
        with Threads(1) as threads:
            batch.potentials(np.eye(image.n_in + 1, image.n_in, dtype=np.float32), found, threads)
        np.testing.assert_array_equal(found, whole)


def test_inputs_take_the_form_of_their_density() -> None:
    few, many = np.zeros((50, 40), np.uint8), np.ones((50, 40), np.uint8)
    few[:, 3] = 1
    assert inputs_of(few).x is None
    assert inputs_of(many).x is not None


def test_logarithm_is_accurate_to_two_units_in_the_last_place() -> None:
    x = np.exp(np.random.default_rng(0).uniform(-40, 40, 20_000)).astype(np.float32)
    x = np.concatenate([x, np.linspace(0.99, 1.01, 2001, dtype=np.float32)])
    exact = np.log(x.astype(np.float64))
    kernels.log_rows(x, x.view(np.int32))
    assert np.all(np.abs(x - exact) <= 2 * np.spacing(np.maximum(np.abs(exact), 1e-3).astype(np.float32)))


@given(SEEDS, st.sampled_from(["binary", "ternary", "5", "-3,0,1,7"]), st.integers(2, 11))
@settings(max_examples=30, deadline=None)
def test_top_gains_equal_forward_passes(seed: int, levels: str, classes: int) -> None:
    rng = np.random.default_rng(seed)
    n, width, scale, curve = 30, 17, 0.13, _slope(2.0)
    weights = rng.choice(parse_levels(levels).array, (width, classes)).astype(np.float64)
    z = rng.integers(-9, 10, (n, width)).astype(np.float32)
    h = np.hstack([z > 0, np.ones((n, 1))]).astype(np.float32)
    logits = (z > 0) @ weights + rng.integers(-3, 4, classes)
    y = rng.integers(0, classes, n)
    p = np.exp(scale * (logits - logits.max(axis=1, keepdims=True)))
    p = (p / p.sum(axis=1, keepdims=True)).astype(np.float32)
    scaled = scale * weights.T
    tables = [np.ascontiguousarray(t, np.float32) for t in (np.exp(scaled), np.exp(-scaled), scaled)]
    grid, q = 2.0**-17, np.empty((n, width), np.float32)
    with Threads(2) as threads:
        threads.run(kernels.top_gains, n, z, h, p, y, *tables, curve, 1 / grid, grid, q)
    np.testing.assert_allclose(q, twins.top_gains(z, logits, weights, y, scale, curve), atol=2 * grid)
    assert np.all(q / grid == np.rint(q / grid))


@given(SEEDS, st.integers(0, 12))
@settings(max_examples=20, deadline=None)
def test_readout_terms_are_differences_of_the_loss(seed: int, margin: int) -> None:
    rng = np.random.default_rng(seed)
    n, classes, scale, grid, step = 25, 5, 0.2, 2.0**-16, 2
    logits, y = rng.integers(-30, 31, (n, classes)), rng.integers(0, classes, n)
    table = np.append(np.exp(-scale * np.arange(400)), 0.0)
    p, q = np.empty((n, classes), np.float32), np.empty((n, classes), np.float32)
    losses, wrong = np.empty(n), np.empty(n, bool)
    args: tuple[Any, ...] = (logits.astype(np.float32), y, table, scale, step, margin, 1 / grid, grid)
    kernels.readout(*args, p, q, losses, wrong, 0, n)
    np.testing.assert_allclose(losses, twins.loss(logits, y, scale, margin), atol=1e-9)
    np.testing.assert_array_equal(wrong, logits.argmax(axis=1) != y)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    for k in range(classes):
        unit = np.eye(classes)[k] * step
        up, down = (twins.loss(logits + d, y, scale, margin) for d in (unit, -unit))
        np.testing.assert_allclose(q[:, k], (up - down) / (2 * step), atol=2 * grid)


@given(SEEDS, st.integers(1, 5000), st.integers(1, 400), st.sampled_from([1, 2, 3]))
@settings(max_examples=40, deadline=None)
def test_selection_takes_the_largest(seed: int, size: int, count: int, n_threads: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=size).astype(np.float32)
    values[rng.random(size) < 0.3] = np.float32(0.25)  # ties
    with Threads(n_threads) as threads:
        threshold, ties = select_largest(values, count, threads)
    keys = np.where(values > 0, values.view(np.int32) >> 7, -1)
    taken = np.count_nonzero((keys > threshold) & (values > 0)) + min(
        ties, np.count_nonzero((keys == threshold) & (values > 0))
    )
    assert taken == min(count, np.count_nonzero(values > 0))
    assert np.sort(keys)[::-1][: min(count, size)][-1] >= threshold or taken < count


@given(SEEDS, st.sampled_from(["binary", "ternary", "4", "-3,0,1,7"]))
@settings(max_examples=30, deadline=None)
def test_moves_take_the_best_gains_and_stay_in_their_levels(seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    levels, floor, sparsity = parse_levels(name), 1e-3, 0.05
    before = rng.choice(levels.array, (30, 9)).astype(np.int32)
    layer = LayerMoves(before, np.zeros(9, np.int32), levels, sparsity, floor, np.float32)
    scores = rng.normal(size=(31, 9)).astype(np.float32)
    with Threads(2) as threads:
        layer.remember(scores, 10, 0.9, 0.99, threads)
        gains = twins.best_moves(
            0.1 * scores[:-1] / 10, 0.01 * (scores[:-1] / 10) ** 2, floor, levels.index(before), levels, sparsity
        )
        layer.move(0.1, 0.0, rng, threads)
    after = layer.weights[:-1]
    index = levels.index(after)  # raises where a weight has left its levels
    changed = after != before
    assert np.abs(index - levels.index(before)).max() <= 1
    assert changed.sum() in (27, 26, 28)
    assert gains[changed].min() >= gains[~changed].max() - 1e-4 * abs(gains[~changed].max())
    assert gains[changed].min() > 0


def test_sums_on_the_grid_are_exact_in_float32() -> None:
    for bound, terms in ((0.2, 500), (3.7, 4096), (1e-6, 100)):
        assert bound * terms / _grid(bound, terms) <= 2**24


def test_prices_and_gains_of_lower_layers_follow_the_slope() -> None:
    rng = np.random.default_rng(2)
    z, gains, curve, grid = (
        rng.integers(-40, 41, (20, 7)).astype(np.float32),
        rng.normal(size=(20, 7)),
        _slope(1.5),
        2e-5,
    )
    q, reach = gains.astype(np.float32), (len(_slope(1.5)) - 1) // 2
    lower_gains(z, q, curve, 1 / grid, grid, 0, 20)
    slope = curve[np.clip(z, -reach, reach).astype(int) + reach]
    np.testing.assert_allclose(q, gains * slope, atol=grid)
    assert np.all(q[np.abs(z) > reach] == 0)


def test_threads_cover_a_range_once_and_report_errors() -> None:
    seen = np.zeros(103, dtype=int)

    def mark(first: int, last: int) -> int:
        seen[first:last] += 1
        return last - first

    with Threads(3) as threads:
        assert sum(threads.run(mark, 103, grain=16)) == 103
        assert seen.tolist() == [1] * 103
        assert threads.run(mark, 0) == []
        with pytest.raises(ZeroDivisionError):
            threads.run(lambda first, last: 1 // (first - first), 10)
