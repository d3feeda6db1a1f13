"""What a search tells its processes of a data set gives the same training."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.program.signal_encoding import SignalCoding
from conntra_neuro.search.samples import as_bytes, of_bytes


def datasets():
    rng = np.random.default_rng(0)
    x, y = rng.random((12, 3, 4)), np.arange(12) % 3
    features = cn.Dataset("a", x, y, x[:0], y[:0], ("one", 1, "1"), "told")
    coding = SignalCoding(2, 3, channels=2)
    signal = rng.integers(-9, 9, (12, coding.n_features))
    return {
        "features": features,
        "signals": cn.Dataset("b", signal, y, signal, y, (0, 1, 2), input=coding),
        "spikes": dataclasses.replace(features, x_train=(x > 0.5) * 1, x_test=(x > 0.5) * 1, y_test=y, input="spikes"),
        "values": cn.Dataset("c", x, y + 0.5, x, y - 0.25, target="value"),
    }


@pytest.mark.parametrize("kind", list(datasets()))
def test_all_that_a_training_depends_on(kind):
    data = datasets()[kind]
    found = of_bytes(as_bytes(data))
    for name in ("x_train", "y_train", "x_test", "y_test"):
        ours, theirs = getattr(data, name), getattr(found, name)
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)
    assert (found.name, found.input, found.binning, found.target) == (data.name, data.input, data.binning, data.target)
    assert found.labels == tuple(range(len(data.labels)))
