from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_neuro.network.levels import parse_levels
from conntra_neuro.training.backprop.fold import Normalisation, fold


def _all_inputs(n: int) -> np.ndarray:
    return (np.arange(2**n)[:, None] >> np.arange(n)) & 1


def _random(rng: np.random.Generator, n_out: int, **over: np.ndarray) -> Normalisation:
    given = {
        "mean": rng.choice([0.0, 1.0, 0.5, -2.25, 1e3, rng.normal(0, 3)], n_out),
        "variance": rng.choice([0.0, 1.0, 7.3, 1e4], n_out),
        "gamma": rng.choice([1.0, 0.0, 1e-9, 3.0, -1.0, -0.2], n_out),
        "beta": rng.choice([0.0, 1.0, -0.5, 1e-12, -1e-12, 30.0, -30.0], n_out),
    }
    return Normalisation(**(given | over), epsilon=float(rng.choice([0.0, 1e-3, 1e-5])) or 1e-3)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), levels=st.sampled_from(["ternary", "binary", "5", "-3,-1,1,3"]))
def test_folded_unit_decides_as_the_normalised_one_on_every_input(seed: int, levels: str) -> None:
    rng = np.random.default_rng(seed)
    values = parse_levels(levels)
    n_in, n_out = int(rng.integers(1, 8)), int(rng.integers(1, 6))
    weight = rng.choice(values.array, (n_in, n_out))
    normalisation = _random(rng, n_out)
    folded, bias = fold(weight, normalisation, values)
    x = _all_inputs(n_in)
    np.testing.assert_array_equal(x @ folded + bias > 0, normalisation(x @ weight) > 0)
    assert np.isin(folded, values.array).all()


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), largest=st.integers(1, 4), added=st.integers(0, 6))
def test_folded_unit_decides_alike_on_sums_with_something_added(seed: int, largest: int, added: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-1, 2, (5, 3))
    normalisation = _random(rng, 3, gamma=np.ones(3))
    folded, bias = fold(weight, normalisation, parse_levels("ternary"), largest, added)
    x = rng.integers(0, largest + 1, (200, 5))
    x[0], x[1] = 0, largest
    z = x @ weight + rng.integers(-added, added + 1, (200, 3))
    np.testing.assert_array_equal(folded, weight)
    np.testing.assert_array_equal(z + bias > 0, normalisation(z) > 0)


def test_potential_exactly_on_the_threshold_does_not_spike() -> None:
    one = np.ones(1)
    weight, bias = fold([[1], [1]], Normalisation(one, one, one, np.zeros(1)), parse_levels("ternary"))
    assert (_all_inputs(2) @ weight + bias > 0).ravel().tolist() == [False, False, False, True]
    assert bias.tolist() == [-1]


def test_negative_gamma_needs_symmetric_levels() -> None:
    one = np.ones(1)
    given = Normalisation(0.5 * one, one, -one, 0 * one)
    with pytest.raises(InputError, match=r"unit 0 has gamma -1.*0,1,3; use levels that are symmetric"):
        fold([[3]], given, parse_levels("0,1,3"))
    assert fold([[1]], given, parse_levels("ternary"))[0].tolist() == [[-1]]


@pytest.mark.parametrize(("beta", "always"), [(1.0, True), (-1.0, False)])
@pytest.mark.parametrize("gamma", [0.0, -1e-30, -1e-3])
def test_unit_that_never_changes_keeps_its_weights(gamma: float, beta: float, always: bool) -> None:
    one = np.ones(1)
    given = Normalisation(0 * one, one, gamma * one, beta * one)
    weight, bias = fold([[3], [1]], given, parse_levels("0,1,3"))
    assert weight.tolist() == [[3], [1]]
    assert (_all_inputs(2) @ weight + bias > 0).all() == always
    assert (_all_inputs(2) @ weight + bias > 0).any() == always
