from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import training_twins as twins
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_neuro.datasets import Dataset
from conntra_neuro.training import fit_spikes, train
from conntra_neuro.training.augmentation import Augmentation
from conntra_neuro.training.inputs.batches import Inputs, inputs_of
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.threads import Threads

SEEDS = st.integers(0, 2**32 - 1)


def _rows(inputs: Inputs, moves: np.ndarray, which: np.ndarray) -> np.ndarray:
    """The images of a batch as a matrix, through the product that training makes with it."""
    found = np.empty((len(which), inputs.n_in), np.float32)
    with Threads(1) as threads:
        inputs.batch(which, np.float32, moves).potentials(
            np.eye(inputs.n_in + 1, inputs.n_in, dtype=np.float32), found, threads
        )
    return found


def _both(spikes: np.ndarray, image: ImageShape) -> list[Inputs]:
    n, n_in = spikes.shape
    start = np.concatenate([[0], np.cumsum(spikes.sum(axis=1))]).astype(np.int64)
    lists = Inputs(n, n_in, image, start=start, index=np.nonzero(spikes)[1].astype(np.uint16))
    return [lists, Inputs(n, n_in, image, x=spikes)]


@given(SEEDS, st.integers(0, 2), st.floats(0.1, 5))
@settings(max_examples=30, deadline=None)
def test_images_are_bent_as_the_plain_twin_bends_them(seed: int, shift: int, elastic: float) -> None:
    rng = np.random.default_rng(seed)
    image = ImageShape(*rng.integers(1, [4, 13, 13]).tolist())
    spikes = (rng.random((7, image.n_in)) < rng.random()).astype(np.uint8)
    moves = Augmentation(shift, elastic).draw(rng, 9)
    assert moves is not None
    which = rng.integers(0, 7, 9)
    images = spikes.reshape(7, image.channels, image.rows, image.columns)
    expected = twins.bent(images[which], moves).reshape(9, -1)
    for inputs in _both(spikes, image):
        np.testing.assert_array_equal(_rows(inputs, moves, which), expected)


def test_the_same_displacement_everywhere_is_a_shift() -> None:
    rng = np.random.default_rng(0)
    image = ImageShape(2, 9, 11)
    spikes = (rng.random((5, image.n_in)) < 0.3).astype(np.uint8)
    shifts = rng.integers(-2, 3, (5, 2))
    moves = np.repeat(-64 * shifts, 16, axis=1).astype(np.int16)
    for inputs in _both(spikes, image):
        np.testing.assert_array_equal(_rows(inputs, moves, np.arange(5)), _rows(inputs, shifts, np.arange(5)))


def test_displacements_are_as_large_as_asked_for() -> None:
    moves = Augmentation(1, 1.5).draw(np.random.default_rng(1), 4000)
    assert moves is not None
    pixels = moves.reshape(4000, 2, 16) / 64
    assert np.std(pixels - pixels.mean(axis=2, keepdims=True)) == pytest.approx(1.5 * (15 / 16) ** 0.5, rel=0.02)
    assert np.std(pixels.mean(axis=2)) == pytest.approx((1.5**2 / 16 + 2 / 3) ** 0.5, rel=0.03)
    assert Augmentation().draw(np.random.default_rng(1), 5) is None
    shifts = Augmentation(2).draw(np.random.default_rng(1), 500)
    assert shifts is not None
    assert shifts.shape == (500, 2)
    assert sorted(set(shifts.ravel())) == [-2, -1, 0, 1, 2]


def test_what_is_no_image_is_not_bent() -> None:
    spikes = np.eye(20, dtype=np.uint8)
    with pytest.raises(InputError, match="inputs are no images"):
        inputs_of(spikes).batch(np.arange(3), np.float32, Augmentation(0, 1.0).draw(np.random.default_rng(0), 3))
    with pytest.raises(InputError, match="elastic 101"):
        fit_spikes(spikes, np.arange(20) % 2, n_classes=2, layers=(3,), elastic=101)


def test_bent_images_train_the_same_network_on_one_thread_and_on_two() -> None:
    rng = np.random.default_rng(3)
    spikes, y = (rng.random((90, 64)) < 0.2).astype(np.uint8), np.arange(90) % 3
    found = [
        fit_spikes(
            spikes, y, n_classes=3, layers=(8,), sweeps=3, image=ImageShape(1, 8, 8), shift=1, elastic=0.7, threads=n
        ).parameters
        for n in (1, 2)
    ]
    for a, b in zip(found[0].weights, found[1].weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("image", "hidden", "each", "usual"),
    [
        (ImageShape(1, 28, 28), (512,), 5000, (1, 1.0)),
        (ImageShape(1, 28, 28), (256, 255), 5000, (0, 0.0)),
        (ImageShape(7, 19, 30), (512,), 5000, (0, 0.0)),
        (None, (512,), 5000, (0, 0.0)),
        (ImageShape(1, 28, 28), (256,), 10, (1, 1.7)),
        (ImageShape(1, 28, 28), (512,), 999, (1, 1.7)),
        (ImageShape(7, 8, 8), (64,), 144, (0, 0.5)),
        (ImageShape(1, 8, 8), (), 144, (0, 0.0)),
        (ImageShape(1, 3, 60), (512,), 10, (0, 0.0)),
        (ImageShape(1, 7, 7), (256,), 10, (0, 0.0)),
        (None, (256,), 10, (0, 0.0)),
    ],
)
def test_images_are_moved_by_default_as_suits_them(
    image: ImageShape | None, hidden: tuple[int, ...], each: int, usual: tuple[int, float]
) -> None:
    n_in = 10 if image is None else image.n_in
    y = np.arange(4 * each) % 4
    task = dataclasses.replace(twins.random_task(0, hidden, n_in=n_in), image=image, y=y)
    found = Augmentation.of(None, None, task)
    assert (found.shift, found.elastic, found.usual) == (*usual, any(usual))
    assert found.few == (any(usual) and each < 1000)
    assert not Augmentation.of(0, 0.0, task)
    assert not Augmentation.of(0, None, task)
    few = image is not None and each < 1000
    assert Augmentation.of(0, 0.5, task) == Augmentation(0, 0.5, few=few)
    assert Augmentation.of(2, None, task) == Augmentation(2, found.elastic, usual=any(usual), few=few)
    assert Augmentation.of(2, 0.3, task) == Augmentation(2, 0.3, few=few)
    assert not Augmentation.of(None, None, dataclasses.replace(task, movable=False))
    if image is not None:
        least = min(image.rows, image.columns)
        allowed = f"shift {least}: images are {image.rows} x {image.columns} pixels; 0 to {least - 1} allowed"
        with pytest.raises(InputError, match=allowed):
            Augmentation.of(least, None, task)
    wider = twins.random_task(0, hidden, n_in=8 * n_in)
    assert not Augmentation.of(None, None, dataclasses.replace(wider, image=image)), "inputs that are not the pixels"


@pytest.mark.parametrize(
    ("shape", "low", "kind", "moved"),
    [
        ((12, 12), 0.0, "features", True),
        ((3, 12, 12), 0.0, "features", True),
        ((12, 12), -1.0, "features", False),  # pixels are not negative
        ((40, 12), 0.0, "features", False),  # 40 times 12 channels
        ((144,), 0.0, "features", False),
        ((6, 12, 12), 0.0, "spikes", False),
    ],
)
def test_tables_and_what_lies_in_time_are_not_moved_unasked(
    shape: tuple[int, ...], low: float, kind: Any, moved: bool
) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 2, (40, *shape)) + low, np.arange(40) % 2
    data = Dataset("d", x, y, x[:4], y[:4], ("a", "b"), input=kind)
    given: dict[str, Any] = {"neuron": "if6", "encoder": None} if kind == "spikes" else {}
    found = train(data, layers=(4,), sweeps=1, **given)
    assert (found.elastic > 0, found.moved_unasked, found.shift) == (moved, moved, 0)
    left = train(data, layers=(4,), sweeps=1, shift=0, **given)
    assert (left.elastic, left.moved_unasked, left.shift) == (0, False, 0)
