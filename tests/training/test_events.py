"""Events of samples over time, moved and dropped anew in each sweep: the loop against a plain twin, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from order_of_events import moving_pulses

import conntra_neuro as cn
from conntra_hardware.base.errors import InputError
from conntra_hardware.program.signal_encoding import SignalCoding
from conntra_neuro.training.augmentation import Augmentation
from conntra_neuro.training.inputs import events
from conntra_neuro.training.inputs.batches import DenseBatch, inputs_of
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.trainer import _line_of

STEPS, WIDTH, LINE = 6, 8, 4
MASK = 2**64 - 1


def _hash(seed: int, place: int) -> int:
    """SplitMix64 of the seed and the place, in Python's integers."""
    z = ((seed << 32) + place + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def _moved(x: Any, moves: Any) -> Any:
    """Samples (n, STEPS, WIDTH) whose events are moved one by one."""
    out = np.zeros_like(x)
    for n, step, at in zip(*(part.tolist() for part in np.nonzero(x)), strict=True):
        later, along, drop, jitter, high, low = (int(v) for v in moves[n])
        h = _hash(((high & 0xFFFF) << 16) | (low & 0xFFFF), step * WIDTH + at)
        if h % events.SHARE_UNIT < drop:
            continue
        to = step + later + (h >> 32) % (2 * jitter + 1) - jitter
        line, place = divmod(at, LINE)
        if 0 <= to < STEPS and 0 <= place + along < LINE:
            out[n, to, LINE * line + place + along] = 1
    return out


def _batch(spikes: Any, moves: Any) -> Any:
    image = ImageShape(1, STEPS, WIDTH, STEPS, LINE)
    found = inputs_of(spikes, image, dense=True).batch(np.arange(len(spikes)), np.float32, moves)
    assert isinstance(found, DenseBatch)
    assert (found.x[:, -1] == 1).all()  # the bias
    return found.x[:, :-1].reshape(-1, STEPS, WIDTH)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 3), st.integers(0, 3), st.sampled_from([0.0, 0.3]), st.integers(0, 2))
def test_events_go_where_the_plain_twin_puts_them(seed: int, later: int, along: int, drop: float, jitter: int) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.random((9, STEPS, WIDTH)) < 0.4).astype(np.uint8)
    moves = events.drawn(rng, 9, later, along, drop, jitter)
    assert moves.shape == (9, events.COLUMNS)
    np.testing.assert_array_equal(_batch(x.reshape(9, -1), moves), _moved(x, moves))


def test_a_sample_is_first_moved_as_one_and_then_event_by_event() -> None:
    rng = np.random.default_rng(0)
    x = (rng.random((9, STEPS, WIDTH)) < 0.4).astype(np.uint8)
    both = Augmentation(shift=2, in_time=True, drop=0.2, jitter=1).draw(rng, 9)
    assert both is not None
    assert both.shape == (9, 2 + events.COLUMNS)
    first = _batch(x.reshape(9, -1), both[:, :2]).astype(np.uint8)
    np.testing.assert_array_equal(_batch(x.reshape(9, -1), both), _moved(first, both[:, 2:]))
    bent = Augmentation(elastic=1.0, in_time=True, drop=0.2).draw(rng, 9)
    assert bent is not None
    first = _batch(x.reshape(9, -1), bent[:, : -events.COLUMNS]).astype(np.uint8)
    np.testing.assert_array_equal(_batch(x.reshape(9, -1), bent), _moved(first, bent[:, -events.COLUMNS :]))


def test_as_much_is_dropped_and_moved_as_asked_for() -> None:
    rng = np.random.default_rng(1)
    x = np.zeros((3000, STEPS, WIDTH), np.uint8)
    x[:, 3, 1] = x[:, 2, 6] = 1
    dropped = _batch(x.reshape(len(x), -1), Augmentation(drop=0.3).draw(rng, 3000))
    assert dropped.sum() / x.sum() == pytest.approx(0.7, abs=0.02)
    jittered = _batch(x.reshape(len(x), -1), Augmentation(jitter=1).draw(rng, 3000))
    assert jittered[:, 2:5, 1].mean(axis=0) == pytest.approx(1 / 3, abs=0.03)
    assert np.corrcoef(jittered[:, 2, 1], jittered[:, 1, 6])[0, 1] == pytest.approx(0, abs=0.06)  # each on its own
    along = _batch(x.reshape(len(x), -1), Augmentation(shift_units=1).draw(rng, 3000))
    assert along[:, 3, :3].mean(axis=0) == pytest.approx(1 / 3, abs=0.03)
    assert (along[:, 3, 0] == along[:, 2, 5]).all()  # all alike


def test_the_bands_above_one_threshold_are_neighbours() -> None:
    rng = np.random.default_rng(0)
    coding = SignalCoding(steps=4, per_step=8, channels=3, levels=2)
    assert _line_of(coding.fit(rng.integers(-9, 9, (5, coding.n_features)))) == 3
    assert _line_of(None) == 0


def test_training_is_the_same_on_any_number_of_threads_and_from_a_file(tmp_path: Any) -> None:
    data = moving_pulses(150)
    options: dict[str, Any] = {"layers": [8], "neuron": "lif:400", "encoder": None, "sweeps": 3, "fraction": 0.1}
    options |= {"shift_steps": 1, "shift_units": 1, "jitter": 1, "drop": 0.1, "elastic": 0.5}
    np.save(tmp_path / "x.npy", data.x_train)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    stored = cn.Dataset("stored", mapped, data.y_train, data.x_test, data.y_test, data.labels)
    found = [cn.train(data, threads=1, **options), cn.train(data, threads=2, **options), cn.train(stored, **options)]
    still = cn.train(data, threads=1, **{**options, "drop": 0.0})
    weights = [trained.network.layers[0].weight for trained in (*found, still)]  # type: ignore[union-attr]
    assert np.array_equal(weights[0], weights[1])
    assert np.array_equal(weights[0], weights[2])
    assert not np.array_equal(weights[0], weights[3])


def test_what_has_no_time_is_refused_in_a_line() -> None:
    data = moving_pulses(40)
    flat = cn.Dataset("flat", data.x_train[:, 0], data.y_train, data.x_test[:, 0], data.y_test, data.labels)
    with pytest.raises(InputError, match=r"drop 0\.1: samples have no time steps; leave it out, or give some"):
        cn.train(flat, layers=[4], encoder=None, sweeps=1, drop=0.1)
    images = data.x_train.reshape(len(data.x_train), 8, 1, 3, 4)
    over_time = cn.Dataset("i", images, data.y_train, images[:2], data.y_train[:2], data.labels)
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (data, {"shift_steps": 8}, "shift_steps 8: samples have 8 time steps; 0 to 7 allowed"),
        (data, {"jitter": -1}, "jitter -1: 0 to 1,000 allowed"),
        (data, {"drop": 1.0}, "drop 1.0: 0 up to 1 allowed"),
        (over_time, {"shift_units": 1}, "shift_units 1: samples are images over time; shift moves these"),
    ]
    for samples, options, message in cases:
        with pytest.raises(InputError, match=message):
            cn.train(samples, layers=[4], neuron="lif:163", encoder=None, sweeps=1, **options)
    assert cn.train(over_time, layers=[4], neuron="lif:163", encoder=None, sweeps=1, shift_steps=2, drop=0.1).sweeps
