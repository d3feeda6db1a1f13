"""Violations, number for number and word for word, at the limit and one beyond. Mutants are tried on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.base.errors import Violation
from conntra_hardware.chip import Chip, load_chip
from conntra_neuro.compiler import check
from conntra_neuro.network.levels import Levels

ONE, TWO = load_chip("loihi1"), load_chip("loihi2")


def dense(weight: Any, bias: Any = None, neuron: Any = "readout") -> cn.Dense:
    weight = np.asarray(weight)
    return cn.Dense(weight, bias, neuron, Levels((0, 1, *np.unique(weight).tolist())))


def found(*layers: cn.Dense, chip: Chip = TWO, steps: int | None = None) -> list[Violation]:
    result = check(cn.DiscreteNetwork(list(layers), steps=steps), chip)
    assert result.fits == (not result.violations)
    return list(result.violations)


def said(violation: Violation) -> tuple[Any, ...]:
    return (violation.layer, violation.resource, violation.used, violation.limit, violation.unit, violation.remedy)


OUT = dense([[1, 1]])


def test_graded_spikes_need_a_chip_that_has_them() -> None:
    graded = dense([[1, 0], [0, 1]], None, "graded_relu")
    (violation,) = [v for v in found(graded, OUT, chip=ONE) if v.resource == "graded spikes"]
    remedy = "spikes of loihi1 have no value: use a chip with graded spikes (loihi2), or threshold neurons"
    assert said(violation) == ("hidden0", "graded spikes", ONE.spike_bits + 1, ONE.spike_bits, "bits", remedy)
    assert found(graded, OUT) == []


@pytest.mark.parametrize(
    ("bits", "neuron", "sent", "shift"),
    [
        (9, cn.GradedRelu(), None, 0),  # 255 is what 9 bits hold
        (8, cn.GradedRelu(), 255, 1),
        (7, cn.GradedRelu(), 255, 2),
        (5, cn.GradedRelu(), 255, 5 - 1),
        (7, cn.GradedRelu(1), 127, 2),
        (8, cn.GradedRelu(1), None, 0),
        (7, cn.GradedRelu(0, ceiling=63), None, 0),
        (7, cn.GradedRelu(0, ceiling=64), 64, 1),
    ],
)
def test_the_largest_graded_spike(bits: int, neuron: Any, sent: int | None, shift: int) -> None:
    layer = dense([[1, 0], [127, 127]], [0, 1], neuron)
    violations = [v for v in found(layer, OUT, chip=replace(TWO, spike_bits=bits)) if v.resource == "graded spikes"]
    if sent is None:
        assert violations == []
        return
    (violation,) = violations
    limit = 2 ** (bits - 1) - 1
    remedy = f"neuron 1 can send {sent}: shift by {shift} bits"
    assert said(violation) == ("hidden0", "graded spikes", sent, limit, "as a spike's value", remedy)


def test_the_largest_change() -> None:
    layer = dense([[3, -4]], [1], cn.SigmaDelta(2, activation="linear"))
    for bits, violations in ((6, 0), (5, 1)):
        chip = replace(TWO, spike_bits=bits)
        some = [v for v in found(layer, dense([[1]]), chip=chip, steps=2) if v.resource == "graded spikes"]
        assert len(some) == violations, [said(v) for v in some]
    assert some[0].used == 17  # from -8 to 8, twice -4 to 4, and a residue of 1


@pytest.mark.parametrize(
    ("weights", "bits", "remedy"),
    [
        ([[255, 1]], None, None),
        ([[256, 1]], None, None),
        (
            [[2**15 - 1, 1]],
            15,
            "weights go from 0 to 32767: take levels within magnitudes up to 255, times a power of two",
        ),
        ([[-128, 127]], None, None),
        ([[-129, 127]], None, None),
        (
            [[1 - 2**15, 127]],
            16,
            "weights go from -32767 to 127: take levels within -255 to 255, times a power of two",
        ),
    ],
)
def test_bits_of_weights(weights: Any, bits: int | None, remedy: str | None) -> None:
    violations = [v for v in found(dense(weights), chip=ONE) if v.resource == "weight bits"]
    if bits is None:
        assert violations == []
        return
    ((layer, _, used, limit, unit, says),) = map(said, violations)
    assert (layer, used, limit, unit) == ("readout", bits, 8, "bits")
    assert says.replace("from 1 to", "from 0 to") == remedy


def test_delays() -> None:
    def delayed(delay: int) -> list[Violation]:
        layer = cn.Dense(np.ones((2, 2), int), activation="threshold", delay=delay)
        return [v for v in found(layer, OUT, chip=replace(ONE, delay_bits=3), steps=20) if v.resource == "delay"]

    limit = 7
    assert delayed(limit) == []
    (violation,) = delayed(limit + 1)
    remedy = "synapses from input: shorten the delay, or hand spikes on by a layer of relays"
    assert said(violation) == ("hidden0", "delay", limit + 1, limit, "time steps", remedy)


TOO_WIDE = "bias(es) too wide, worst {} at neuron {}: a mantissa of 13 bits times 2^0 to 2^7 is what there is; "


@pytest.mark.parametrize(
    ("bias", "neuron", "used", "remedy"),
    [
        ([4097, 0], "threshold", 4097, "1 " + TOO_WIDE.format(4097, 0) + "its weights reach 3 at most, so a bias of 4"),
        (
            [0, -9001],
            "threshold",
            9001,
            "1 " + TOO_WIDE.format(-9001, 1) + "its weights reach 4 at most, so a bias of -5",
        ),
        (
            [-9001, 9003],
            "threshold",
            9003,
            "2 " + TOO_WIDE.format(9003, 1) + "its weights reach 4 at most, so a bias of 5",
        ),
        ([4097, 0], "readout", 4097, "1 " + TOO_WIDE.format(4097, 0) + "keep biases within +-4095"),
    ],
)
def test_biases(bias: list[int], neuron: str, used: int, remedy: str) -> None:
    layer = dense([[1, 1, -3], [1, 1, -4]], bias, neuron)
    layers = (layer,) if neuron == "readout" else (layer, OUT)
    (violation,) = [v for v in found(*layers, chip=ONE) if v.resource == "bias"]
    assert said(violation)[:5] == (layer_name(neuron), "bias", used, 4095, "weight units")
    assert violation.remedy.startswith(remedy), violation.remedy


def layer_name(neuron: str) -> str:
    return "readout" if neuron == "readout" else "hidden0"


def test_biases_of_graded_neurons_are_not_shifted() -> None:
    for bias, fits in (
        (4095 << 7, True),
        (4096 << 7, False),
        ((4095 << 7) + 1, False),
        (-4096 << 7, True),
        (4095, True),
    ):
        layer = dense([[1, 0]], [bias], cn.GradedRelu(10))
        assert [v.resource for v in found(layer, dense([[1]]))] == ([] if fits else ["bias"]), bias


def test_potentials_over_several_steps() -> None:
    weights = np.zeros((3, 2), int)
    weights[1] = 120, 100
    weights[2] = -120, 20
    for steps, fits in ((1, True), (595, True), (596, False), (1000, False), (1192, False)):
        violations = found(dense(weights), chip=ONE, steps=steps)
        if fits:
            assert violations == []
            continue
        (violation,) = violations
        high = 220 * steps
        remedy = (
            f"neuron 1 can reach 0 to {high} over {steps} time steps in 24-bit registers: use smaller weights, take "
            f"fewer time steps or split the inputs in {-(-high // 131071)} groups"
        )
        assert said(violation) == ("readout", "potential", high, 131071, "weight units", remedy)
    leaky = dense(weights * 100, None, cn.Lif(1, voltage_decay=0))
    assert [v for v in found(leaky, dense([[1, 1, 1]]), chip=replace(ONE), steps=90) if v.resource == "potential"] == []


@pytest.mark.parametrize(
    ("inputs", "says"), [(8, None), (9, "two groups of 5"), (17, "three groups of 6"), (40, "5 groups of 8")]
)
def test_axons_into_a_core(inputs: int, says: str | None) -> None:
    weights = np.zeros((3, inputs), int)
    weights[2] = 1
    weights[1, 0] = 1
    chip = replace(ONE, input_axons_per_core=8)
    violations = [v for v in found(dense(weights), chip=chip) if v.resource == "input axons"]
    remedies = [] if says is None else [f"neuron 2 has that many inputs: split inputs in {says}"]
    assert [v.remedy for v in violations] == remedies
    assert [(v.used, v.limit) for v in violations] == [(inputs, 8)] * len(remedies)
    assert [
        v for v in found(dense(weights), chip=replace(chip, input_axons_per_core=None)) if "axons" in v.resource
    ] == []


def test_memory_that_a_neuron_alone_takes() -> None:
    weights = np.zeros((2, 100), int)
    weights[1] = 1
    whole = 0
    for bits in range(64 * 20, 64 * 130, 64):
        chip = replace(ONE, synapse_memory_bits=bits)
        violations = [v for v in found(dense(weights), chip=chip) if v.resource == "synapse memory"]
        if not violations:
            whole = bits
            break
        (violation,) = violations
        used, most = int(violation.used), bits * 100 // int(violation.used)
        groups = -(-100 // most)
        count = {2: "two", 3: "three", 4: "four"}.get(groups, str(groups))
        assert violation.remedy == (
            f"neuron 1 alone takes it for 100 synapses: split inputs in {count} groups of {-(-100 // groups)}"
        )
        assert used > violation.limit == bits
    assert whole - 64 < used <= whole


def test_cores_and_what_would_help() -> None:
    binary = dense(np.random.default_rng(0).integers(0, 2, (40, 60)), None, "threshold")
    out = dense(np.ones((2, 40), int))
    chip = replace(ONE, cores=2, tiles_x=1, tiles_y=1, neurons_per_core=10)
    (violation,) = [v for v in found(binary, out, chip=chip) if v.resource == "cores"]
    assert (violation.layer, violation.used, violation.limit) == ("hidden0", 5, 2)
    # Levels of one bit, or ternary ones: no word of ternary ones instead.
    assert violation.remedy == "3 chips (loihi1x3) have 6 cores; or make layers smaller by a factor of 2.50"
    ternary = dense(np.random.default_rng(0).integers(-1, 2, (40, 60)), None, "threshold")
    (violation,) = [v for v in found(ternary, out, chip=chip) if v.resource == "cores"]
    assert "ternary instead" not in violation.remedy
    wider = dense(np.random.default_rng(0).integers(-2, 3, (40, 60)), None, "threshold")
    (violation,) = [v for v in found(wider, out, chip=chip) if v.resource == "cores"]
    assert violation.remedy.startswith("ternary instead of 3-bit levels: 5 of 2 cores; or 3 chips")
    few = replace(chip, max_chips=2)
    (violation,) = [v for v in found(binary, out, chip=few) if v.resource == "cores"]
    assert violation.remedy == "make layers smaller by a factor of 2.50"
    just = replace(chip, max_chips=3)
    (violation,) = [v for v in found(binary, out, chip=just) if v.resource == "cores"]
    assert violation.remedy.startswith("3 chips (loihi1x3)")
    assert [v for v in found(binary, out, chip=replace(chip, cores=5, tiles_x=2)) if v.resource == "cores"] == []
