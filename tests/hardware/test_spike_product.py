"""Products with spikes and tallies of them equal plain integer products, whichever way they take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program_strategies import build_case

from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.backends.reference import ReferenceBackend
from conntra_hardware.base import spike_product
from conntra_hardware.base.bit_product import TernaryProduct
from conntra_hardware.base.bit_words import words
from conntra_hardware.base.spike_product import SpikeProduct
from conntra_hardware.cost import tally


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 200), st.integers(1, 200), st.integers(1, 90), st.integers(0, 2**32 - 1))
def test_counting_bits_equals_the_integer_product(n: int, sources: int, targets: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    spikes = (rng.random((n, sources)) < rng.random()).astype(np.uint8)
    weights = rng.choice([-1, 0, 1], (targets, sources)).astype(np.int8)
    assert np.array_equal(TernaryProduct(weights)(spikes), spikes.astype(np.int64) @ weights.T.astype(np.int64))


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 300),
    st.integers(1, 600),
    st.integers(1, 70),
    st.sampled_from([1, 7, 127]),
    st.sampled_from([0.0, 0.05, 0.2, 0.4, 0.7, 1.0]),
    st.integers(0, 2**32 - 1),
)
def test_equals_the_integer_product(
    n: int, sources: int, targets: int, largest: int, density: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    spikes = (rng.random((n, sources)) < density).astype(np.uint8)
    weights = rng.integers(-largest, largest + 1, (targets, sources))
    weights[0] = largest  # a sum beyond 16 bits, where there are sources enough
    assert SpikeProduct.takes(weights)
    right = spikes.astype(np.int64) @ weights.T
    for dtype in (np.int32, np.int64):
        found = SpikeProduct(weights)(spikes, dtype)
        assert found.dtype == dtype
        assert np.array_equal(found, right)


def test_takes_weights_of_8_bits_and_pays_for_large_products(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SpikeProduct.takes(np.array([[-128, 127]]))
    assert not SpikeProduct.takes(np.array([[-129, 0]]))
    assert not SpikeProduct.takes(np.array([[128, 0]]))
    monkeypatch.setattr(spike_product, "compiled", lambda: False)
    assert (SpikeProduct.pays(2**31), SpikeProduct.pays(2**31 - 1)) == (True, False)
    monkeypatch.setattr(spike_product, "compiled", lambda: True)
    assert (SpikeProduct.pays(2**22), SpikeProduct.pays(2**22 - 1)) == (True, False)


def test_words_hold_every_bit_once() -> None:
    bits = np.eye(130, dtype=np.uint8)
    held = words(bits)
    assert held.shape == (130, 3)
    assert sum(bin(int(word)).count("1") for word in held.ravel()) == 130
    assert len(np.unique(held, axis=0)) == 130


def test_the_reference_is_the_same_with_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    case = build_case((100, 90, 70, 10), [(-1, 0, 1), (-1, 1), (-1, 0, 1)], seed=3, samples=150)
    monkeypatch.setattr(SpikeProduct, "pays", staticmethod(lambda multiplications: False))
    plain = ReferenceBackend().execute(case.program, case.inputs, RunOptions())
    calls: list[int] = []
    product = SpikeProduct.__call__
    monkeypatch.setattr(SpikeProduct, "__call__", lambda self, x: calls.append(len(x)) or product(self, x))
    monkeypatch.setattr(SpikeProduct, "pays", staticmethod(lambda multiplications: True))
    compiled = ReferenceBackend().execute(case.program, case.inputs, RunOptions(batch_size=64))
    assert calls == [64] * 6 + [22] * 3
    for got in (plain, compiled):
        assert np.array_equal(got.logits, case.logits)
        assert all(np.array_equal(got.spikes[name], values) for name, values in case.spikes.items())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100), st.integers(1, 90), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_tallies_are_products_of_all_and_of_groups(n: int, sources: int, groups: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    spikes = rng.random((n, sources)) < rng.random()
    group = rng.integers(0, groups, sources)
    of_all, of_groups = rng.integers(0, 2**20, (sources, 3)), rng.integers(0, 9, (sources, 2))
    of_all = of_all[:, : rng.integers(0, 4)]
    for way in (tally._compiled, tally._as_products):
        everywhere, by_group = way(spikes, group, groups, of_all, of_groups)
        assert np.array_equal(everywhere, spikes.astype(np.int64) @ of_all)
        for index in range(groups):
            alone = spikes & (group == index)
            assert np.array_equal(by_group[:, index], alone.astype(np.int64) @ of_groups)
