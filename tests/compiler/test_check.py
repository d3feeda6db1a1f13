from dataclasses import replace

import numpy as np
import pytest

from conntra_hardware.base.errors import DoesNotFit
from conntra_hardware.chip import load_chip
from conntra_neuro.compiler import check, compile
from conntra_neuro.compiler.check import bias_exponents
from conntra_neuro.network import Dense, DiscreteNetwork
from conntra_neuro.network.levels import Levels

LOIHI = load_chip("loihi1")


def one_layer(weight, bias=None):
    weight = np.asarray(weight)
    return DiscreteNetwork([Dense(weight, bias, "readout", Levels((0, 1, *np.unique(weight).tolist())))])


def only(result):
    (violation,) = result.violations
    return violation


def test_a_network_that_fits():
    result = check(one_layer([[1, -1], [0, 1]]))
    assert result.fits
    assert result.to_dict() == {"fits": True, "chip": "loihi1", "violations": []}


def test_fan_in_says_how_to_split_the_inputs():
    violation = only(check(one_layer(np.ones((2, 5120), dtype=int))))
    assert (violation.layer, violation.resource) == ("readout", "input axons")
    assert (violation.used, violation.limit) == (5120, 4096)
    assert "split inputs in two groups of 2,560" in violation.remedy


def test_a_wide_but_sparse_layer_fits():
    """8,000 sources, but no neuron has more than 4,000 of them: cut by neurons it fits."""
    weight = np.zeros((2, 8000), dtype=int)
    weight[0, :4000] = weight[1, 4000:] = 1
    program = compile(one_layer(weight))
    assert program.cores_used == 2


def test_weight_bits():
    violation = only(check(one_layer([[-32_701, 1]])))
    assert (violation.resource, violation.used, violation.limit) == ("weight bits", 16, 8)
    assert "-255 to 255" in violation.remedy
    assert all(check(one_layer([[-largest, 1]])).fits for largest in (127, 255, 301, 32_001))


@pytest.mark.parametrize(
    ("bias", "fits"),
    [(4095, True), (-4096, True), (4096, True), (4097, False), (8190, True), (-8192, True), (8192, False)],
)
def test_a_bias_is_a_mantissa_times_a_power_of_two(bias, fits):
    assert check(one_layer([[1, 0]], [bias])).fits == fits


def test_exponents_of_biases():
    bias = np.arange(-9000, 9000)
    exponents = bias_exponents(bias, LOIHI)
    for value, exponent in zip(bias.tolist(), exponents.tolist(), strict=True):
        possible = [e for e in range(8) if value * 64 % 2**e == 0 and -4096 <= value * 64 // 2**e <= 4095]
        assert exponent == min(possible, default=-1)


def test_a_bias_beyond_reach_says_which_bias_spikes_alike():
    layers = [Dense([[1, 1, -1]], [-9001]), Dense([[1]], None, "readout")]
    violation = only(check(DiscreteNetwork(layers)))
    assert violation.layer == "hidden0"
    assert "worst -9001 at neuron 0" in violation.remedy
    assert "a bias of -3 spikes alike" in violation.remedy
    clipped = DiscreteNetwork([Dense([[1, 1, -1]], [-3]), layers[1]])
    inputs = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    assert np.array_equal(clipped.activity(inputs)[0][0], DiscreteNetwork(layers).activity(inputs)[0][0])


def test_potentials_beyond_24_bits():
    violation = only(check(one_layer(np.full((1, 1100), 127))))
    assert (violation.resource, violation.used, violation.limit) == ("potential", 139700, 131071)
    assert "split the inputs in 2 groups" in violation.remedy
    assert check(one_layer(np.full((1, 1032), 127))).fits


def test_too_many_cores_says_what_other_levels_and_more_chips_would_do():
    rng = np.random.default_rng(0)
    chip = replace(LOIHI, cores=4, tiles_x=1, tiles_y=1, synapse_memory_bits=64 * 600)
    weights = [rng.choice([-8, -3, -1, 0, 1, 5, 7], size=shape) for shape in ((200, 150), (100, 200))]
    violation = only(check(DiscreteNetwork([Dense(weights[0]), Dense(weights[1], None, "readout")]), chip))
    assert (violation.resource, violation.limit) == ("cores", 4)
    assert violation.layer == "hidden0"
    ternary = [np.sign(w) for w in weights]
    needed = compile(DiscreteNetwork([Dense(ternary[0]), Dense(ternary[1], None, "readout")]), replace(chip, chips=4))
    assert f"ternary instead of 4-bit levels: {needed.cores_used} of 4 cores" in violation.remedy
    chips = -(-int(violation.used) // 4)
    assert f"{chips} chips (loihi1x{chips}) have {4 * chips} cores" in violation.remedy


def test_memory_of_a_single_neuron():
    chip = replace(LOIHI, synapse_memory_bits=64 * 100)
    violation = only(check(one_layer(np.array([[1] * 150, [0] * 149 + [1]])), chip))
    assert (violation.resource, violation.used, violation.limit) == ("synapse memory", 150 * 64, 6400)
    assert "split inputs in two groups of 75" in violation.remedy


def test_output_axons_of_a_single_neuron():
    chip = replace(LOIHI, neurons_per_core=1, output_axons_per_core=4)
    layers = [Dense(np.ones((1, 2), int)), Dense(np.ones((5, 1), int), None, "readout")]
    violation = only(check(DiscreteNetwork(layers), chip))
    assert (violation.layer, violation.resource, violation.used, violation.limit) == ("hidden0", "output axons", 5, 4)
    assert "sends to 5 cores" in violation.remedy


def test_all_violations_come_at_once():
    """Weight bits and potential in the first layer, a bias in the second, fan-in in the third."""
    first = Dense(np.array([[32_767] * 450, [-1] * 450]))
    second = Dense(np.ones((90, 2), dtype=int), np.full(90, 5001))
    third = Dense(np.ones((2, 90), dtype=int), None, "readout")
    network, chip = (
        DiscreteNetwork([first, second, third]),
        replace(LOIHI, cores=1, neurons_per_core=50, input_axons_per_core=80),
    )
    with pytest.raises(DoesNotFit) as caught:
        compile(network, chip)
    found = {(v.layer, v.resource) for v in caught.value.violations}
    assert found == {
        ("hidden0", "weight bits"),
        ("hidden0", "potential"),
        ("hidden0", "input axons"),
        ("hidden1", "bias"),
        ("readout", "input axons"),
        ("hidden1", "cores"),
    }
    assert caught.value.exit_status == 1
    assert "\n" not in str(caught.value)
    assert set(check(network, chip).to_dict()["violations"][0]) >= {
        "layer",
        "core",
        "resource",
        "used",
        "limit",
        "remedy",
    }
