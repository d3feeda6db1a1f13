import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.input_encoding import ThermometerEncoder, ThresholdEncoder
from conntra_neuro.datasets import fit_encoder, load_dataset


def test_bytes_are_split_in_the_middle():
    images = np.zeros((2, 28, 28), np.uint8)
    images[0, 0, :2] = (127, 128)
    images[1] = 255
    encoder = fit_encoder(images)
    assert isinstance(encoder, ThresholdEncoder)
    assert encoder.encode(images)[0, :3].tolist() == [0, 1, 0]


def test_small_images_become_evenly_spaced_thermometers():
    digits = load_dataset("digits")
    encoder = fit_encoder(digits.x_train)
    assert isinstance(encoder, ThermometerEncoder)
    assert encoder.thresholds.shape == (7, 64)
    np.testing.assert_array_equal(encoder.thresholds[:, 5], [2, 4, 6, 8, 10, 12, 14])


def test_real_features_get_their_own_quantiles():
    x = np.stack([np.arange(1, 100.0), np.arange(1, 100.0) ** 3], axis=1)
    encoder = fit_encoder(x, "thermometer", channels=3)
    np.testing.assert_array_equal(encoder.thresholds[:, 0], [25.5, 50, 74.5])
    spikes = encoder.encode(x).reshape(99, 3, 2).sum(axis=0)
    np.testing.assert_array_equal(spikes, [[74, 74], [49, 49], [25, 25]])
    assert fit_encoder(x).n_out == 30
    np.testing.assert_array_equal(fit_encoder(x, "threshold").thresholds, np.median(x, axis=0))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 20), image=st.booleans())
def test_thermometers_never_have_gaps(seed, k, image):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rng.integers(1, 20), *((2, 2) if image else (4,)))).round(1)
    spikes = fit_encoder(x, "thermometer", channels=k).encode(x).reshape(len(x), k, -1).astype(int)
    assert np.all(np.diff(spikes, axis=1) <= 0)


def test_the_kind_may_carry_the_channels():
    assert fit_encoder(np.eye(4), "thermometer:7").n_out == 28


@pytest.mark.parametrize(
    "kind",
    ["", "population", "rate:0", "latency:x", "thermometer:x", "thermometer:0", "threshold:3", "thermometer:256"],
)
def test_unknown_kinds(kind):
    with pytest.raises(InputError, match="encoder"):
        fit_encoder(np.eye(4), kind)


@pytest.mark.parametrize("x", [np.zeros((0, 3)), np.full((3, 3), np.nan), np.zeros(3)])
def test_nothing_to_fit_to(x):
    with pytest.raises(InputError):
        fit_encoder(x)
