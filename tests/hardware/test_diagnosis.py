"""Every known mistake is caught and named: mutants of all kinds, in every layer of random networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from program_strategies import Case, build_case
from wrong_backends import (
    Delaying,
    SlowMutant,
    WrongBackend,
    changed_bias,
    changed_weight,
    changed_weights,
    delayed,
    off_by_one,
)

from conntra_hardware.backends.protocol import Backend
from conntra_hardware.base.errors import DoesNotVerify
from conntra_hardware.chip import load_chip
from conntra_hardware.neurons import IntegrateAndFire, Readout, Threshold
from conntra_hardware.program import ConvProjection, CoreSlice, Population, Program, Projection, SparseProjection
from conntra_hardware.program.convolution import Geometry
from conntra_hardware.proof.diagnosis import Finding
from conntra_hardware.proof.verify import verify

SIZES = (60, 40, 30, 8)
LAYERS = ("h1", "h2", "out")


def case(seed: int = 0, levels: tuple[int, ...] = (-2, -1, 0, 1, 3), samples: int = 400) -> Case:
    return build_case(SIZES, [levels] * 3, seed, samples)


def findings(drawn: Case, wrong: object) -> tuple[Finding, ...]:
    certificate = verify(drawn.program, drawn.inputs, ["reference", wrong])  # type: ignore[list-item]
    assert not certificate.equal
    (diagnosis,) = certificate.diagnoses
    assert diagnosis.explained, str(diagnosis)
    return diagnosis.findings


def one(drawn: Case, wrong: object) -> Finding:
    (finding,) = findings(drawn, wrong)
    return finding


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("seed", range(3))
def test_lowest_weight_bit_dropped(layer: str, seed: int) -> None:
    down = one(case(seed), changed_weights(layer, lambda w: w & ~1, "down"))
    assert (down.layer, down.cause, down.neurons) == (layer, "weight rounding", ())
    assert "-1 becomes -2" in down.text
    towards = one(case(seed), changed_weights(layer, lambda w: np.sign(w) * (np.abs(w) & ~1), "towards"))
    assert (towards.layer, towards.cause) == (layer, "weight rounding")
    assert "+1 and -1 become 0" in towards.text


@pytest.mark.parametrize("layer", LAYERS[:2])
@pytest.mark.parametrize("seed", range(3))
def test_thresholds_that_are_not_strict_or_off_by_one(layer: str, seed: int) -> None:
    loose = one(case(seed), changed_bias(layer, lambda b: b + 1, "loose"))
    assert (loose.layer, loose.cause, loose.neurons) == (layer, "threshold", ())
    assert "not strict" in loose.text
    assert (loose.right_potential, loose.potential) == (0, 1)
    high = one(case(seed), changed_bias(layer, lambda b: b - 1, "high"))
    assert "one too high" in high.text
    assert (high.right_potential, high.potential) == (1, 0)
    single = one(case(seed), off_by_one(layer, _on_threshold(case(seed), layer)))
    assert single.cause == "threshold"
    assert single.neurons == (_on_threshold(case(seed), layer),)


def _on_threshold(drawn: Case, layer: str) -> int:
    """Return a neuron with a potential of exactly 0 on some sample, which off_by_one turns over."""
    (projection,) = drawn.program.incoming(layer)
    source = drawn.inputs if projection.source == "input" else drawn.spikes[projection.source]
    potentials = source @ projection.weights.T.astype(np.int64) + drawn.program.population(layer).bias
    return int(np.flatnonzero((potentials == 0).any(axis=0))[0])


def test_bias_of_a_readout_off_by_seven() -> None:
    found = one(case(), changed_bias("out", lambda b: b + 7 * (np.arange(8) == 3), "seven"))
    assert (found.cause, found.neurons) == ("bias", (3,))
    assert "off by +7" in found.text


@pytest.mark.parametrize("layer", LAYERS)
def test_missing_bias(layer: str) -> None:
    assert one(case(), changed_bias(layer, np.zeros_like, "none")).cause == "missing bias"


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("delay", [Delaying, delayed], ids=["sent", "recorded"])
def test_one_step_late(layer: str, delay: Callable[[str], Backend]) -> None:
    found = one(case(), delay(layer))
    assert (found.layer, found.cause, found.neurons) == (layer, "one step late", ())


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("seed", range(3))
def test_missing_synapse_wrong_weight_and_sign(layer: str, seed: int) -> None:
    drawn = case(seed)
    (projection,) = drawn.program.incoming(layer)
    rng = np.random.default_rng(seed)
    caught = 0
    for neuron, source in rng.permutation(np.argwhere(np.abs(projection.weights) > 1))[:6]:
        weight = int(projection.weights[neuron, source])
        for wrong, cause in ((0, "missing synapse"), (weight - 1, "wrong weight"), (-weight, "wrong weight")):
            mutant = changed_weight(layer, int(neuron), int(source), weight=wrong)
            certificate = verify(drawn.program, drawn.inputs, ["reference", mutant])
            if certificate.equal:  # no sample shows it: the source never spikes where it would matter
                continue
            (finding,) = certificate.diagnoses[0].findings
            named = f"from {projection.source} {source} "
            assert finding.neurons == (neuron,)
            assert (finding.cause == cause and named in finding.text) or _also(finding, named), str(finding)
            caught += 1
    assert caught >= 6


def _also(finding: Finding, named: str) -> bool:
    """Few samples leave several mistakes possible; they are all told, the plainest first."""
    return len(finding.also) > 0


def test_a_missing_synapse_of_a_readout_is_named_exactly() -> None:
    drawn = case()
    neuron, source = np.argwhere(drawn.program.projections[-1].weights == 3)[0]
    found = one(drawn, changed_weight("out", int(neuron), int(source)))
    assert found.text == f"neuron {neuron}: the synapse from h2 {source} (weight 3) is missing"
    assert found.also == ()
    assert found.potential == found.right_potential - 3


def test_an_extra_synapse() -> None:
    drawn = case()
    neuron, source = np.argwhere(drawn.program.projections[-1].weights == 0)[0]
    assert one(drawn, changed_weight("out", int(neuron), int(source), weight=2)).cause == "extra synapse"


@pytest.mark.parametrize("layer", LAYERS)
def test_a_swapped_pair_of_neurons(layer: str) -> None:
    drawn = case()

    def swap(values: np.ndarray) -> np.ndarray:
        swapped = values.copy()
        swapped[[1, 5]] = swapped[[5, 1]]
        return swapped

    both = changed_weights(layer, swap, "swapped")
    bias = changed_bias(layer, swap, "swapped")
    mutant = WrongBackend("swapped", program=lambda p: bias._program(both._program(p)))
    found = one(drawn, mutant)
    assert (found.layer, found.cause, found.neurons) == (layer, "swapped pair", (1, 5))
    assert "neurons 1 and 5 are exchanged" in found.text


@pytest.mark.parametrize("layer", LAYERS)
def test_a_swapped_pair_of_sources(layer: str) -> None:
    def swap(weights: np.ndarray) -> np.ndarray:
        swapped = weights.copy()
        swapped[:, [2, 9]] = swapped[:, [9, 2]]
        return swapped

    found = one(case(samples=1500), changed_weights(layer, swap, "swapped"))
    assert (found.layer, found.cause) == (layer, "swapped pair")
    source = {"h1": "input", "h2": "h1", "out": "h2"}[layer]
    assert f"the synapses from {source} 2 and {source} 9 are exchanged" in found.text


@pytest.mark.parametrize("layer", LAYERS)
def test_a_source_that_is_not_connected(layer: str) -> None:
    found = one(case(samples=1500), changed_weights(layer, lambda w: w * (np.arange(w.shape[1]) != 4), "cut"))
    assert (found.layer, found.cause) == (layer, "missing synapse")
    assert "all synapses from" in found.text
    assert found.text.endswith(" 4 are missing")


@pytest.mark.parametrize("layer", LAYERS)
def test_potentials_that_are_not_cleared(layer: str) -> None:
    def carried(sums: np.ndarray, bias: np.ndarray, before: np.ndarray | None) -> np.ndarray:
        left = 0 if before is None else before if layer == "out" else np.where(before > 0, 0, before)
        return sums + bias + left

    found = one(case(), SlowMutant("carried", layer, carried))
    assert (found.layer, found.cause) == (layer, "missing reset")
    assert "not cleared after a time step" in found.text


@pytest.mark.parametrize("layer", LAYERS)
def test_overflow(layer: str) -> None:
    drawn = case(levels=(-120, 0, 90, 127))

    def wraps(bits: int, with_bias: bool):
        half = 2 ** (bits - 1)

        def wrapped(sums: np.ndarray, bias: np.ndarray, before: np.ndarray | None) -> np.ndarray:
            values = sums + bias if with_bias else sums
            return (values + half) % (2 * half) - half + (0 if with_bias else bias)

        return wrapped

    potential = one(drawn, SlowMutant("wraps", layer, wraps(10, True)))
    assert (potential.layer, potential.cause) == (layer, "overflow")
    assert "the potential wraps round in a register of 10 bits" in potential.text
    sums = one(drawn, SlowMutant("wraps", layer, wraps(10, False)))
    assert sums.cause == "overflow"
    assert any("synaptic sum wraps round in a register of 10 bits" in text for text in (sums.text, *sums.also))


@pytest.mark.parametrize(("layer", "limit"), [("h1", 511), ("h2", 255), ("out", 511), ("out", 300)])
def test_saturation(layer: str, limit: int) -> None:
    drawn = case(levels=(-120, 0, 90, 127))
    on_sum = layer != "out"

    def saturated(sums: np.ndarray, bias: np.ndarray, before: np.ndarray | None) -> np.ndarray:
        return np.clip(sums, -limit, limit) + bias if on_sum else np.clip(sums + bias, -limit, limit)

    found = one(drawn, SlowMutant("saturates", layer, saturated))
    assert (found.layer, found.cause) == (layer, "saturation")
    assert f"saturates at {limit}" in found.text


def test_two_layers_wrong_are_two_findings() -> None:
    rounding = changed_weights("h1", lambda w: w & ~1, "both")
    loose = changed_bias("h2", lambda b: b + 1, "both")
    both = WrongBackend("both", program=lambda p: loose._program(rounding._program(p)))
    assert [(f.layer, f.cause) for f in findings(case(), both)] == [("h1", "weight rounding"), ("h2", "threshold")]


def test_noise_is_not_explained() -> None:
    drawn = case()
    rng = np.random.default_rng(1)

    def noisy(sums: np.ndarray, bias: np.ndarray, before: np.ndarray | None) -> np.ndarray:
        return sums + bias + rng.integers(-3, 4, len(bias))

    certificate = verify(drawn.program, drawn.inputs, ["reference", SlowMutant("noisy", "h2", noisy)])
    (diagnosis,) = certificate.diagnoses
    assert not diagnosis.explained
    assert diagnosis.findings[0].cause is None
    assert "no known cause explains" in str(diagnosis)
    with pytest.raises(DoesNotVerify) as error:
        certificate.require_equal()
    assert "cause:" not in str(error.value)


def test_the_error_names_the_cause() -> None:
    certificate = verify(case().program, case().inputs, ["reference", changed_weights("h1", lambda w: w & ~1, "low")])
    with pytest.raises(DoesNotVerify, match=r"cause: low: layer h1: the lowest weight bit is dropped"):
        certificate.require_equal()


def test_integrate_and_fire_that_is_not_cleared_between_samples() -> None:
    """The layer alone: what it is given and what it sends."""
    from dataclasses import replace

    from conntra_hardware.program import Population
    from conntra_hardware.proof.diagnosis.diagnose import _finding
    from conntra_hardware.proof.diagnosis.layer import Layer

    rng = np.random.default_rng(0)
    neuron = IntegrateAndFire(threshold=9, steps=4)
    weights, bias = rng.integers(-3, 5, (12, 20)), rng.integers(-2, 3, 12)
    sources = rng.integers(0, 2, (50, 4, 20)).astype(np.uint8)
    potentials = sources @ weights.T + bias
    names = tuple(("input", i) for i in range(20))

    def finding(got: np.ndarray) -> Finding:
        return _finding(Layer(Population("h1", neuron, bias), weights, names, sources, sources, np.zeros(20, int), got))

    running_on = replace(neuron, steps=200).respond(potentials.reshape(1, 200, 12)).reshape(50, 4, 12)
    assert finding(running_on).text == "the potential is not cleared between samples"
    strict = replace(neuron, threshold=10).respond(potentials)
    assert (finding(strict).cause, finding(strict).neurons) == ("threshold", ())
    rounded = neuron.respond(sources @ (weights & ~1).T + bias)
    assert finding(rounded).cause == "weight rounding"
    shown = (potentials.sum(axis=1) + 4)[:, None]
    readout = Layer(Population("out", Readout(), bias), weights, names, sources, sources, np.zeros(20, int), shown)
    assert _finding(readout).text.startswith("neuron 0: the bias is off by +1")


@pytest.mark.parametrize(("taken", "says"), [((1, 1), "is left out"), ((2, 3), "is exchanged, across for down")])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1)])
def test_another_dilation(taken: tuple[int, int], says: str, stride: tuple[int, int]) -> None:
    """A backend whose kernel of 3 x 2 weights, 3 rows and 2 columns apart, sees other pixels from the same places."""
    rng = np.random.default_rng(0)
    geometry = Geometry((2, 9, 8), 3, (3, 2), stride, (1, 2), dilation=(3, 2))
    kernel = rng.integers(-2, 3, geometry.kernel_shape)
    right = ConvProjection("input", "h", kernel, geometry)
    wrong = np.zeros((*geometry.output_shape, *geometry.input_shape), int)
    for y, x, a, b in np.ndindex(*geometry.output_shape[1:], 3, 2):
        row, column = y * stride[0] + a * taken[0] - 1, x * stride[1] + b * taken[1] - 2
        if 0 <= row < 9 and 0 <= column < 8:
            wrong[:, y, x, :, row, column] = kernel[:, :, a, b]
    program = _image_program(right, rng)
    parts = (SparseProjection("input", "h", wrong.reshape(right.shape)), *program.projections[1:])
    drawn = Case((), (), 0, 50, program, rng.integers(0, 2, (50, 144)).astype(np.uint8), {}, np.empty(0))
    found = one(drawn, WrongBackend("wrong", program=lambda p: replace(p, projections=parts)))
    assert (found.layer, found.cause, found.neurons, found.also) == ("h", "dilation", (), ())
    assert f"the dilation (3, 2) of the kernel from input {says}" in found.text


def _image_program(first: ConvProjection, rng: np.random.Generator) -> Program:
    size = first.shape[0]
    populations = (Population("h", Threshold(), rng.integers(-2, 3, size)), Population("out", Readout(), [0, 0]))
    projections = (first, Projection("h", "out", rng.integers(-1, 2, (2, size))))
    slices = (CoreSlice("h", 0, size, 0), CoreSlice("out", 0, 2, 1))
    return Program(load_chip("loihi1"), first.shape[1], populations, projections, slices)
