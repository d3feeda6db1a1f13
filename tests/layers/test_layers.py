"""What layers and networks refuse, and what they say of themselves."""

from __future__ import annotations

import numpy as np
import pytest

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import GRADED_MAX, GradedRelu, IntegrateAndFire
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import INPUT_LAYER, Conv2d, Dense, Flatten, MaxPool, Residual, SumPool
from conntra_neuro.network.levels import TERNARY
from conntra_neuro.training.backprop.fold import Normalisation
from conntra_neuro.training.backprop.fold_kernel import fold_kernel


def conv(out: int, shape: tuple[int, int, int], **options: object) -> Conv2d:
    return Conv2d(np.ones((out, shape[0], 3, 3), int), input_shape=shape, **options)  # type: ignore[arg-type]


def readout(n: int) -> Dense:
    return Dense(np.ones((2, n), int), activation="readout")


def test_shapes_are_checked_and_both_named() -> None:
    with pytest.raises(InputError, match=r"layer 1 .*takes shape \(4, 8, 8\), layer 0 .*gives \(4, 6, 6\)"):
        DiscreteNetwork([conv(4, (1, 8, 8)), conv(4, (4, 8, 8)), readout(144)])
    with pytest.raises(InputError, match=r"layer 1 .*takes shape \(143,\), layer 0 .*gives \(4, 6, 6\)"):
        DiscreteNetwork([conv(4, (1, 8, 8)), readout(143)])
    with pytest.raises(InputError, match="input channels"):
        Conv2d(np.ones((4, 2, 3, 3), int), input_shape=(1, 8, 8))
    with pytest.raises(InputError, match="larger than the input"):
        conv(1, (1, 2, 2))
    with pytest.raises(InputError, match="groups 3"):
        Conv2d(np.ones((4, 2, 3, 3), int), input_shape=(4, 8, 8), groups=3)


def test_counts_of_a_convolution() -> None:
    layer = conv(4, (2, 8, 8), stride=2, padding=1)
    assert layer.output_shape == (4, 4, 4)
    assert (layer.n_weights, layer.n_parameters, layer.n_in, layer.n_out) == (72, 76, 128, 64)
    network = DiscreteNetwork([layer, SumPool(2, input_shape=(4, 4, 4)), Flatten((4, 2, 2)), readout(16)])
    assert network.n_weights == 72 + 32
    assert network.n_parameters == 72 + 4 + 32 + 2
    assert "Conv2d((2, 8, 8) -> (4, 4, 4), kernel 3x3, stride (2, 2), padding (1, 1), threshold" in repr(layer)


def test_dilation_spreads_a_kernel_and_adds_no_weights() -> None:
    layer = conv(4, (2, 8, 8), padding=2, dilation=(2, 1))
    assert (layer.output_shape, layer.n_weights, layer.geometry.span) == ((4, 8, 10), 72, (5, 3))
    assert "kernel 3x3, padding (2, 2), dilation (2, 1), threshold" in repr(layer)
    with pytest.raises(InputError, match=r"kernel \(3, 3\) with dilation \(4, 4\): larger .*less dilation"):
        conv(1, (1, 8, 8), dilation=4)
    with pytest.raises(InputError, match="dilation 0; an integer of at least 1"):
        conv(1, (1, 8, 8), dilation=0)


def test_a_maximum_of_sums_is_refused() -> None:
    layers = [SumPool(2, input_shape=(1, 8, 8)), Flatten((1, 4, 4)), MaxPool(2, input_shape=(1, 4, 4))]
    with pytest.raises(InputError, match=r"layer 2 .*0/1"):
        DiscreteNetwork([*layers, readout(4)])
    graded = conv(1, (1, 8, 8), activation=GradedRelu())
    with pytest.raises(InputError, match=r"layer 1 .*0/1"):
        DiscreteNetwork([graded, MaxPool(2, input_shape=(1, 6, 6)), readout(9)])


def test_residuals_are_checked() -> None:
    layers = [conv(1, (1, 8, 8), padding=1), conv(1, (1, 8, 8), padding=1), conv(1, (1, 8, 8)), readout(36)]
    DiscreteNetwork(layers, residuals=[Residual(INPUT_LAYER, 1)])
    with pytest.raises(InputError, match=r"shape \(1, 8, 8\) cannot be added to layer 2"):
        DiscreteNetwork(layers, residuals=[Residual(0, 2)])
    with pytest.raises(InputError, match="must skip"):
        DiscreteNetwork(layers, residuals=[Residual(0, 1)])
    with pytest.raises(InputError, match="neurons or biases"):
        Residual(0, 2, conv(1, (1, 8, 8)))


def test_graded_spikes_beyond_24_bits_are_refused() -> None:
    wide = Dense([[2**15]] * 600, [0] * 600, GradedRelu())
    layers = [wide, Dense(np.ones((1, 600), int), [0], GradedRelu()), readout(1)]
    with pytest.raises(InputError, match=f"layer 1 .*at most {GRADED_MAX}"):
        DiscreteNetwork(layers).forward([[1]])
    layers[1] = Dense(np.ones((1, 600), int), [0], GradedRelu(2))
    assert DiscreteNetwork(layers).forward([[1]]).tolist() == [[2**13 * 600] * 2]


def test_integrate_and_fire_over_time_by_hand() -> None:
    for reset, expected in (("hard", [0, 1, 0, 1]), ("soft", [0, 1, 1, 0])):
        fires = Dense([[2]], [0], IntegrateAndFire(3, 4, reset))  # type: ignore[arg-type]
        network = DiscreteNetwork([fires, Dense([[1], [0]], [0, 1], "readout")])
        (spikes,), logits = network.activity(np.ones((2, 4, 1), np.uint8))
        assert spikes.reshape(2, 4).tolist() == [expected] * 2
        assert logits.tolist() == [[sum(expected), 4]] * 2
    with pytest.raises(InputError, match=r"\(n, 4, 1\) expected"):
        network.forward(np.ones((3, 1)))
    with pytest.raises(InputError, match="different time steps"):
        DiscreteNetwork([fires, Dense([[1]], [0], IntegrateAndFire(1, 2)), readout(1)])
    with pytest.raises(InputError, match="threshold"):
        IntegrateAndFire(0, 4)
    with pytest.raises(InputError, match="has parameters"):
        Dense([[1]], [0], "integrate_and_fire")


def test_folding_a_kernel_keeps_every_decision() -> None:
    rng = np.random.default_rng(3)
    kernel = rng.integers(-1, 2, (5, 2, 3, 3))
    norm = Normalisation(rng.normal(0, 2, 5), rng.uniform(0.5, 4, 5), rng.normal(0, 1, 5), rng.normal(0, 1, 5))
    folded, bias = fold_kernel(kernel, norm, TERNARY)
    x = rng.integers(0, 2, (40, 2 * 36))
    plain = Conv2d(kernel, activation="readout", input_shape=(2, 6, 6), padding=1)
    potentials = plain.potentials(x).reshape(40, 5, 36)
    expected = norm(potentials.transpose(0, 2, 1)).transpose(0, 2, 1) > 0
    got = Conv2d(folded, bias, input_shape=(2, 6, 6), padding=1).potentials(x).reshape(40, 5, 36) > 0
    np.testing.assert_array_equal(got, expected)
