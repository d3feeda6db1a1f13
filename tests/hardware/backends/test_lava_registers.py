"""What Lava's registers hold, and what is refused before Lava would round or wrap it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from program_strategies import LEVEL_SETS, build_program

from conntra_hardware.backends.lava.registers import bias_registers, check_program, weight_registers
from conntra_hardware.base.errors import BackendError
from conntra_hardware.neurons import Threshold
from conntra_hardware.program import INPUT, Population, Projection


def dense_weights(stored: np.ndarray, exponent: int, sign_mode: str) -> np.ndarray:
    """Return the weights that Lava's Dense works with: clipped to 8 bits, with both signs the lowest bit dropped."""
    if sign_mode == "MIXED":
        held = np.clip(stored, -256, 255) >> 1 << 1
    elif sign_mode == "EXCITATORY":
        held = np.clip(stored, 0, 255)
    else:
        held = -np.clip(-stored, 0, 255)
    return held * 2.0**exponent


def projection(weights: object) -> Projection:
    return Projection(INPUT, "h1", np.atleast_2d(np.array(weights)))


@given(st.sampled_from(LEVEL_SETS), st.integers(0, 2**32 - 1))
def test_weights_survive_dense(levels: tuple[int, ...], seed: int) -> None:
    weights = np.random.default_rng(seed).choice(levels, (5, 9))
    registers = weight_registers(projection(weights))
    held = dense_weights(registers.weights, registers.exponent, registers.sign_mode)
    np.testing.assert_array_equal(held, weights)


@pytest.mark.parametrize("weights", [[1024, -512], [255 << 5, 0], [-(255 << 7)], [-128 << 8, 127 << 8], [254, -256]])
def test_a_common_factor_goes_into_the_exponent(weights: list[int]) -> None:
    registers = weight_registers(projection(weights))
    held = dense_weights(registers.weights, registers.exponent, registers.sign_mode)
    np.testing.assert_array_equal(held, [weights])


@pytest.mark.parametrize("weights", [[128, -1], [1, -129], [256, 1], [-256, -1], [-128 << 9, 127 << 9]])
def test_weights_out_of_range_are_refused(weights: list[int]) -> None:
    with pytest.raises(BackendError, match="weights input -> h1 from"):
        weight_registers(projection(weights))


@pytest.mark.parametrize("bias", [-4096, 4095, -1, 0, 1, 4096, 8190, -8192, -4098])
def test_biases_are_exact(bias: int) -> None:
    registers = bias_registers(Population("h1", Threshold(), np.array([bias])))
    mantissa, exponent = int(registers.mantissa[0]), int(registers.exponent[0])
    assert mantissa << exponent == bias << 6
    assert -4096 <= mantissa <= 4095
    assert 0 <= exponent <= 7


@pytest.mark.parametrize("bias", [4097, -4097, 8191, 8192, -8194, 10**6])
def test_biases_out_of_range_are_refused(bias: int) -> None:
    with pytest.raises(BackendError, match=f"population h1, neuron 1: bias {bias}; "):
        bias_registers(Population("h1", Threshold(), np.array([0, bias])))


def test_a_sum_that_overflows_is_refused_and_named() -> None:
    weights = np.zeros((3, 2000), int)
    weights[2] = 127
    program = build_program([weights, np.ones((2, 3), int)], [np.zeros(3, int), np.zeros(2, int)])
    inputs = np.zeros((5, 2000), np.uint8)
    inputs[:4, :1032] = 1  # 131064, which fits
    check_program(program, inputs)
    inputs[4, :1033] = 1
    with pytest.raises(BackendError, match="population h1, neuron 2, sample 4: synaptic sum 131191 would overflow"):
        check_program(program, inputs)


def test_a_readout_potential_that_overflows_is_refused() -> None:
    weights = np.full((1, 1032), 127)
    inputs = np.ones((1, 1032), np.uint8)
    check_program(build_program([weights], [np.array([7])]), inputs)
    with pytest.raises(BackendError, match="population out, neuron 0, sample 0: potential 131072 would overflow"):
        check_program(build_program([weights], [np.array([8])]), inputs)
