from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.input_encoding import LatencyEncoder, RateEncoder
from conntra_neuro.datasets import Dataset, fit_encoder
from conntra_neuro.network import Dense, DiscreteNetwork, storage
from conntra_neuro.training import train


def _features(seed: int, n: int = 12, width: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, width, 1)).astype(np.uint8)


@given(st.integers(0, 1000), st.integers(1, 20))
@settings(max_examples=30, deadline=None)
def test_latency_is_one_spike_the_earlier_the_larger(seed: int, steps: int) -> None:
    x = _features(seed)
    encoder = fit_encoder(x, f"latency:{steps}")
    assert isinstance(encoder, LatencyEncoder)
    spikes = encoder.encode(x).reshape(len(x), steps, 5)
    assert spikes.sum(axis=1).max() <= 1
    flat = x.reshape(len(x), 5).astype(float)
    for n in range(len(x)):
        for f in range(5):
            over = np.flatnonzero(flat[n, f] > encoder.thresholds[:, f])
            at = np.flatnonzero(spikes[n, :, f])
            assert at.tolist() == over[:1].tolist()
    low, high = flat.min(), flat.max()
    expected = [low + (high - low) * k / (steps + 1) for k in range(steps, 0, -1)]
    np.testing.assert_allclose(encoder.thresholds[:, 0], expected)


def test_rates_follow_the_features_and_the_seed_alone() -> None:
    x = np.tile(np.arange(0, 256, 5, dtype=np.uint8)[None, :, None], (3, 1, 1))
    encoder = RateEncoder.random(0, 255, x.shape[1], 4000, 3)
    spikes = encoder.encode(x).reshape(3, 4000, -1)
    np.testing.assert_allclose(spikes[0].mean(axis=0), x[0, :, 0] / 255, atol=0.03)
    np.testing.assert_array_equal(spikes[0], spikes[2])
    same, other = (RateEncoder.random(0, 255, x.shape[1], 4000, seed) for seed in (3, 4))
    np.testing.assert_array_equal(same.encode(x), encoder.encode(x))
    assert (other.encode(x) != encoder.encode(x)).any()


@pytest.mark.parametrize("kind", ["rate:4", "latency:4"])
def test_time_steps_are_kept_in_files_and_trained_on(kind: str, tmp_path: object) -> None:
    x = np.concatenate([_features(0, 40), _features(1, 40)])
    y = (x.reshape(80, 5).astype(int) @ [1, 1, -1, -1, 0] > 0).astype(np.int64)
    data = Dataset("made", x, y, x[:10], y[:10], ("a", "b"))
    found = train(data, layers=[8], neuron="if4", encoder=fit_encoder(x, kind), sweeps=5)
    assert found.train_error == found.network.error(x, y)
    path = f"{tmp_path}/net.conntra"
    storage.save(found.network, path)
    again = storage.load_network(path)
    assert again.encoder is not None
    assert (again.encoder.kind, again.encoder.steps) == (kind[:-2], 4)
    np.testing.assert_array_equal(again.encode(x), found.network.encode(x))
    np.testing.assert_array_equal(again.forward(again.encode(x)), found.network.forward(found.network.encode(x)))
    with pytest.raises(InputError, match="use neuron if4"):
        train(data, layers=[8], encoder=fit_encoder(x, kind), sweeps=1)


def test_what_cannot_be_an_encoder_is_refused() -> None:
    with pytest.raises(InputError, match="falling"):
        LatencyEncoder(np.array([[1.0], [2.0]]))
    with pytest.raises(InputError, match="2 dimension"):
        RateEncoder(np.array([1.0]))
    with pytest.raises(InputError, match="rate:T"):
        fit_encoder(_features(0), "rate:x")
    with pytest.raises(InputError, match="4 time steps"):
        DiscreteNetwork([Dense([[1]], activation="readout")], RateEncoder(np.zeros((4, 1))))
