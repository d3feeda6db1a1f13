"""The deployment onto Loihi 2. There is no chip here: these tests are about wiring, and no figure in them was measured.

"loihi-dry" is the deployment with adapters that pass through; it runs with the other simulators, too
(``test_simulators``). "Wired" is the run configuration of the chip with stand-ins for Intel's extension, whose way in
is a step late.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network_programs import assert_equal_to_network, spread_program
from network_strategies import inputs, networks
from program_strategies import Case, build_program, random_case

from conntra_hardware.backends.host import Host
from conntra_hardware.backends.loihi import backend as loihi_backend
from conntra_hardware.backends.loihi.backend import LoihiBackend
from conntra_hardware.backends.loihi.registers import bias_weights, check_deployable, forgetful
from conntra_hardware.backends.protocol import Recording, RunOptions
from conntra_hardware.base.errors import BackendError, InputError
from conntra_hardware.chip import load_chip
from conntra_hardware.cost.measured import Measured
from conntra_hardware.neurons import GradedRelu, Readout, SigmaDelta, Threshold
from conntra_hardware.program import INPUT, ConvProjection, CoreSlice, Population, Program, Projection
from conntra_hardware.program.convolution import Geometry
from conntra_hardware.program.projection import one_to_one
from conntra_hardware.runtime import run

# The wiring's stand-ins run beside Lava, in this Python: behind the door to another one they are not found.
pytestmark = pytest.mark.skipif(find_spec("lava") is None, reason="needs Lava in this Python")

EXTENSION = Path(__file__).parents[2] / "support" / "loihi_extension"
DRY = LoihiBackend(on_chip=False)


@pytest.fixture
def extension(monkeypatch):
    """Stand-ins for the extension, for this process and its children."""
    if not DRY.availability().ok:
        pytest.skip(DRY.availability().reason)
    monkeypatch.syspath_prepend(str(EXTENSION))
    return LoihiBackend()


@pytest.fixture
def wired(extension, monkeypatch):
    """The backend "loihi" with stand-ins, whose stock processes run on the CPU."""
    monkeypatch.setattr(loihi_backend, "_MODULE", "wired_loihi")
    extension.module = "wired_loihi"
    return extension


def equal(recording: Recording, case: Case) -> None:
    for layer, expected in case.spikes.items():
        np.testing.assert_array_equal(recording.spikes[layer], expected, err_msg=layer)
    np.testing.assert_array_equal(recording.logits, case.logits)


@pytest.mark.parametrize(("seed", "late"), [(0, 1), (4, 0), (7, 3)])
def test_the_wiring_equals_plain_arithmetic_however_late_the_adapters_are(wired, seed, late, monkeypatch):
    monkeypatch.setenv("STAND_IN_STEPS_IN", str(late))
    case = random_case(seed, samples=12)
    recording = wired.execute(case.program, case.inputs, RunOptions(60, host=Host()))
    equal(recording, case)
    assert recording.measured.latency_steps == late
    assert recording.measured.power_w is None


def test_graded_spikes_and_negative_potentials_pass_the_adapters(wired):
    """The adapter hands over 24 bits without a sign, and takes as many in as it is told to."""
    rng = np.random.default_rng(3)
    weights = [rng.integers(-9, 10, (6, 20)), rng.integers(-9, 10, (4, 6))]
    biases = [rng.integers(-20, 20, 6), np.array([-8192, 8190, 0, -1])]
    case = build_program(weights, biases)
    hidden = Population("h1", GradedRelu(), biases[0])
    program = Program(load_chip("loihi2"), 20, (hidden, case.readout), case.projections, case.slices)
    x = rng.integers(0, 2, (8, 20)).astype(np.uint8)
    graded = np.maximum(x @ weights[0].T + biases[0], 0)
    recording = wired.execute(program, x, RunOptions(60, host=Host()))
    np.testing.assert_array_equal(recording.spikes["h1"], graded)
    np.testing.assert_array_equal(recording.logits, graded @ weights[1].T + biases[1])
    assert recording.spikes["h1"].max() > 1
    assert recording.logits.min() < 0


def test_without_probes_the_potentials_come_and_the_counts_are_the_reference_s(wired):
    case = random_case(2, samples=9)
    result = run(case.program, case.inputs, backend="loihi", probe=False, measure=True, host=Host(chips=8))
    np.testing.assert_array_equal(result.logits, case.logits)
    assert result.spikes == {}
    assert result.counted_on == "reference"
    counted = run(case.program, case.inputs)
    assert result.counts.totals() == counted.counts.totals()
    assert counted.counted_on == "reference"
    assert counted.measured == Measured()


@pytest.mark.usefixtures("cold_children")
def test_profilers_are_read_and_idle_chips_subtracted(wired):
    """The numbers are the stand-in's own: means of what its profilers hold, less six eighths of the static power."""
    case = random_case(2, samples=3)
    options = RunOptions(60, host=Host("extension", chips=8), measure=True)
    measured = wired.execute(case.program, case.inputs, options).measured
    assert measured.anything
    assert measured.steps == 3 + case.program.depth + 16
    assert measured.step_time_s == pytest.approx(40e-6)
    assert measured.host_time_s == pytest.approx(20e-6)
    assert measured.management_time_s is None
    assert measured.idle_subtracted_w == pytest.approx(0.9)
    assert (measured.power_w, measured.static_w) == pytest.approx((0.6, 0.3))
    assert measured.dynamic_w == pytest.approx(0.3)
    assert measured.energy_per_inference_j == pytest.approx(24e-6)
    assert measured.dynamic_per_inference_j == pytest.approx(12e-6)
    assert measured.throughput_hz == pytest.approx(25_000)
    assert (measured.chips_used, measured.board_chips) == (2, 8)
    assert measured.activity == {"syn_ops": 123, "dendrite_updates": 15, "axon_out": 7}
    assert measured.host == "the extension's own host, N3B3"


@pytest.mark.parametrize(
    ("host", "says"),
    [
        (Host("slurm"), "host not reachable: .*`sinfo`"),
        (Host("slurm", partition="kp"), "host not reachable"),
        (Host("ethernet", "192.0.2.1"), "host not reachable: .*is the board on"),  # an address kept for documents
    ],
)
def test_a_host_that_is_not_there_is_one_line(wired, host, says, monkeypatch):
    monkeypatch.setenv("PATH", "")  # neither sinfo nor ping, wherever this runs
    case = random_case(2, samples=2)
    with pytest.raises(BackendError, match=f"^loihi: failed: ConnectionError: {says}") as raised:
        wired.execute(case.program, case.inputs, RunOptions(60, host=host))
    assert "\n" not in str(raised.value)


def test_samples_that_cannot_be_matched_with_results_are_refused(wired, monkeypatch):
    monkeypatch.setenv("STAND_IN_STEPS_IN", "17")
    case = random_case(2, samples=2)
    with pytest.raises(BackendError, match=r"the mark, .* came back at step\(s\) 19"):
        wired.execute(case.program, case.inputs, RunOptions(60, host=Host()))


def test_time_limit(wired):
    case = random_case(2, samples=2)
    with pytest.raises(BackendError, match=r"^loihi: still running at its time limit of 0\.2 s"):
        wired.execute(case.program, case.inputs, RunOptions(0.2, host=Host()))


def test_a_chip_that_is_none_is_refused(extension):
    """The run configuration of the chip falls back to CPU models in silence: no such run is called hardware."""
    case = random_case(2, samples=2)
    with pytest.raises(BackendError, match=r"Lava would run \w+ on the CPU \(Py\w+\) and not on the chip"):
        extension.execute(case.program, case.inputs, RunOptions(60, host=Host()))


def test_without_the_extension_one_line_says_what_is_missing():
    found = LoihiBackend().availability()
    assert not found.ok
    case = random_case(2, samples=2)
    with pytest.raises(BackendError, match=r"^loihi: (Lava's extension for Loihi is not|.*Lava is not)") as raised:
        LoihiBackend().execute(case.program, case.inputs, RunOptions())
    assert found.remedy in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("lowest", [-4032, -4097])
def test_a_plain_lif_where_it_forgets_and_a_reset_where_it_would_not(lowest):
    """After the lowest potential comes the least that spikes; a trace of the one would swallow the other."""
    n = -lowest
    program = build_program([np.array([[-1] * n + [1]]), np.array([[1]])], [np.array([0]), np.array([0])])
    assert forgetful(program)["h1"] is (lowest == -4032)
    samples = np.zeros((4, n + 1), np.uint8)
    samples[::2, :n] = 1
    samples[1::2, n] = 1
    spikes = np.array([[0], [1], [0], [1]])
    if not DRY.availability().ok:
        pytest.skip(DRY.availability().reason)
    case = Case((n + 1, 1, 1), (), 0, 4, program, samples, {"h1": spikes}, spikes)
    equal(DRY.execute(program, samples, RunOptions(60)), case)


@given(st.lists(st.integers(-8192, 8190), min_size=1, max_size=20))
def test_a_readout_s_bias_is_the_sum_of_its_synapses(bias):
    readout = Population("out", Readout(), np.array(bias))
    parts = bias_weights(readout)
    assert len(parts) <= 2
    total = np.zeros(len(bias), np.int64)
    for part in parts:
        limits = (-256, 254) if part.sign_mode == "MIXED" else (-255, 255)
        assert limits[0] <= part.weights.min()
        assert part.weights.max() <= limits[1]
        scaled = part.weights[:, 0].astype(float) * 2.0**part.exponent
        np.testing.assert_array_equal(scaled, np.round(scaled))
        total += scaled.astype(np.int64)
    np.testing.assert_array_equal(total, bias)


def test_what_keeps_a_state_is_not_deployed_and_told_why():
    case = build_program([np.ones((2, 3), int), np.ones((1, 2), int)], [np.zeros(2, int), np.zeros(1, int)])
    hidden = Population("h1", SigmaDelta(2), np.zeros(2, int))
    spiking = Program(case.chip, 3, (hidden, case.readout), case.projections, case.slices, steps=4)
    with pytest.raises(BackendError, match="loihi: population h1: sigma_delta neurons; it runs threshold"):
        check_deployable("loihi", spiking, np.ones((4, 3), np.uint8))


def test_what_stock_processes_cannot_hold_is_told():
    program = build_program([np.full((2, 3), 100_001), np.ones((1, 2), int)], [np.zeros(2, int), np.zeros(1, int)])
    with pytest.raises(BackendError, match="loihi: on stock processes: lava: weights input -> h1 from 0 to 100001"):
        check_deployable("loihi", program, np.ones((4, 3), np.uint8))


@pytest.mark.parametrize("kind", ["threshold", "graded"])
@settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), seed=st.integers(0, 2**31))
def test_networks_of_images(kind, data, seed):
    """Convolutions, pooling, residual connections and graded spikes, against the network itself."""
    if not DRY.availability().ok:
        pytest.skip(DRY.availability().reason)
    network = data.draw(networks(kinds=(kind,)))
    program = spread_program(network)
    spikes = inputs(network, 4, seed)
    if shifts_more_than_a_sum(program):
        with pytest.raises(BackendError, match=r"loihi-dry: on stock processes: .* GradedReluVec has none of its own"):
            DRY.execute(program, program.encode(spikes), RunOptions(60))
        return
    assert_equal_to_network(network, spikes, DRY.execute(program, program.encode(spikes), RunOptions(60)))


def shifts_more_than_a_sum(program: Program) -> bool:
    graded = [p for p in program.populations if isinstance(p.neuron, GradedRelu) and p.neuron.shift]
    return any(len(program.incoming(p.name)) > 1 or (p.bias % 2**p.neuron.shift).any() for p in graded)


def test_one_sample_a_step():
    case = random_case(2, samples=2)
    with pytest.raises(InputError, match="batch size 2; 1 allowed"):
        LoihiBackend().execute(case.program, case.inputs, RunOptions(batch_size=2))


def test_options_of_a_chip_belong_to_a_chip():
    case = random_case(2, samples=2)
    for options in ({"measure": True}, {"host": Host()}, {"probe": False}):
        with pytest.raises(InputError, match="backend reference: no chip to find, measure or probe"):
            run(case.program, case.inputs, **options)


@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
def test_a_convolution_beside_a_relay_and_a_readout_of_both(wired, dilation):
    """Convolutions go as sparse synapses, and populations side by side meet in the readout."""
    rng = np.random.default_rng(5)
    geometry = Geometry((2, 5, 4), 4, (3, 2), (2, 1), (1, 0), 2, dilation)
    conv = ConvProjection(INPUT, "c", rng.integers(-2, 3, geometry.kernel_shape), geometry)
    relay = one_to_one(INPUT, "r", geometry.n_in, 1)
    sizes = {"c": geometry.n_out, "r": geometry.n_in, "out": 3}
    readouts = [Projection(name, "out", rng.integers(-1, 2, (3, sizes[name]))) for name in ("c", "r")]
    populations = [
        Population("c", Threshold(), rng.integers(-3, 4, sizes["c"])),
        Population("r", Threshold(), np.zeros(sizes["r"], int)),
        Population("out", Readout(), np.array([1000, -2, 0])),
    ]
    slices = [CoreSlice(name, 0, size, core) for core, (name, size) in enumerate(sizes.items())]
    program = Program(load_chip("loihi2"), geometry.n_in, populations, (conv, relay, *readouts), slices)
    x = rng.integers(0, 2, (6, geometry.n_in)).astype(np.uint8)
    spikes = {"c": (conv.apply(x) + populations[0].bias > 0).astype(np.uint8), "r": x}
    logits = sum(p.apply(spikes[p.source]) for p in readouts) + populations[2].bias
    case = Case((), (), 0, 6, program, x, spikes, logits)
    equal(DRY.execute(program, x, RunOptions(60)), case)
    equal(wired.execute(program, x, RunOptions(60, host=Host())), case)


def test_a_readout_alone():
    """A program of one population needs no hidden layer: the readout alone is deployed."""
    readout = Population("out", Readout(), np.array([300, -5]))
    weights = Projection(INPUT, "out", np.array([[1, -1, 0], [0, 1, 1]]))
    program = Program(random_case(1).program.chip, 3, (readout,), (weights,), (CoreSlice("out", 0, 2, 0),))
    if not DRY.availability().ok:
        pytest.skip(DRY.availability().reason)
    recording = DRY.execute(program, np.array([[1, 0, 0], [0, 1, 1]], np.uint8), RunOptions(60))
    np.testing.assert_array_equal(recording.logits, [[301, -5], [299, -3]])
