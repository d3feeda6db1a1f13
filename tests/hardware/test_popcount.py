"""Products by counting bits equal plain integer products, and the reference takes them where they pay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program_strategies import build_case

from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.backends.reference import ReferenceBackend
from conntra_hardware.base import bit_product as popcount
from conntra_hardware.base.bit_product import TernaryProduct
from conntra_hardware.base.bit_words import words


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 200), st.integers(1, 200), st.integers(1, 90), st.integers(0, 2**32 - 1))
def test_equals_the_integer_product(n: int, sources: int, targets: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    spikes = (rng.random((n, sources)) < rng.random()).astype(np.uint8)
    weights = rng.choice([-1, 0, 1], (targets, sources)).astype(np.int8)
    assert np.array_equal(TernaryProduct(weights)(spikes), spikes.astype(np.int64) @ weights.T.astype(np.int64))


def test_words_hold_every_bit_once() -> None:
    bits = np.eye(130, dtype=np.uint8)
    held = words(bits)
    assert held.shape == (130, 3)
    assert sum(bin(int(word)).count("1") for word in held.ravel()) == 130
    assert len(np.unique(held, axis=0)) == 130


@pytest.mark.parametrize(("levels", "pays"), [((-1, 1), True), ((0, 1), True), ((-1, 0), True), ((-1, 0, 2), False)])
def test_pays_for_large_ternary_products_only(levels: tuple[int, ...], pays: bool) -> None:
    weights = np.resize(np.array(levels, np.int8), (512, 512))
    assert TernaryProduct.pays(weights, 2**13) == pays
    assert not TernaryProduct.pays(weights, 2**13 - 1)


def test_the_reference_is_the_same_with_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    case = build_case((100, 90, 70, 10), [(-1, 0, 1), (-1, 1), (-1, 0, 1)], seed=3, samples=150)
    plain = ReferenceBackend().execute(case.program, case.inputs, RunOptions())
    calls: list[int] = []
    product = TernaryProduct.__call__
    monkeypatch.setattr(TernaryProduct, "__call__", lambda self, x: calls.append(len(x)) or product(self, x))
    monkeypatch.setattr(popcount, "_WORTH", 0)
    counted = ReferenceBackend().execute(case.program, case.inputs, RunOptions(batch_size=64))
    assert calls == [64] * 6 + [22] * 3
    for got in (plain, counted):
        assert np.array_equal(got.logits, case.logits)
        assert all(np.array_equal(got.spikes[name], values) for name, values in case.spikes.items())
