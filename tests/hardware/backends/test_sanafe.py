"""The energy and latency model against SANA-FE's own: the same spikes, the same joules, the same seconds."""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.backends.sanafe.backend import SanafeBackend
from conntra_hardware.base.errors import BackendError
from conntra_hardware.chip import load_chip
from conntra_hardware.cost.coefficients import load_coefficients
from conntra_hardware.cost.energy import estimate, step_times
from conntra_hardware.neurons import Readout, Threshold
from conntra_hardware.program import INPUT, CoreSlice, Population, Program, Projection
from conntra_hardware.runtime import run

needs_sanafe = pytest.mark.skipif(find_spec("sanafe") is None, reason="sanafe is not installed")


def random_program(seed):
    """1 to 4 layers, cut over cores anywhere on the mesh, some of them shared; dense and sparse, biases of 0 or not."""
    rng = np.random.default_rng(seed)
    depth = int(rng.integers(1, 5))
    sizes = rng.integers(1, 60, depth + 1)
    chip = load_chip("loihi1")
    pool = rng.choice(chip.cores, 8, replace=False)
    populations, projections, slices = [], [], []
    for layer in range(depth):
        n_in, n_out = int(sizes[layer]), int(sizes[layer + 1])
        name = f"p{layer}"
        neuron = Readout() if layer == depth - 1 else Threshold()
        populations.append(Population(name, neuron, rng.integers(-2, 3, n_out) * rng.integers(0, 2, n_out)))
        density = rng.choice([0.02, 0.3, 1.0])
        weights = rng.choice([-3, -1, 1, 2], size=(n_out, n_in)) * (rng.random((n_out, n_in)) < density)
        projections.append(Projection(f"p{layer - 1}" if layer else INPUT, name, weights))
        parts = int(rng.integers(1, min(4, n_out) + 1))
        edges = np.linspace(0, n_out, parts + 1).astype(int).tolist()
        cores = rng.choice(pool, parts, replace=False).tolist()
        slices += [CoreSlice(name, edges[k], edges[k + 1], cores[k]) for k in range(parts)]
    return Program(chip, int(sizes[0]), tuple(populations), tuple(projections), tuple(slices))


def differences(program, inputs):
    """The relative differences of energy by kind, of the whole and of the time of each step; spikes must be equal."""
    result = run(program, inputs)
    recording, measured = SanafeBackend().measure(program, inputs, RunOptions(time_limit_s=60))
    for name, spikes in result.spikes.items():
        assert np.array_equal(recording.spikes[name], spikes), name
    assert np.array_equal(recording.logits, result.logits)
    ours = estimate(result.counts, program, "sanafe2025").breakdown
    by_kind = {
        "soma": ours["neuron"] + ours["spike"],
        "synapse": ours["synapse"],
        "network": ours["network"] + ours["input"],
    }
    found = {}
    for kind, energy in by_kind.items():
        theirs = float(measured.energy_j[kind].sum())
        found[kind] = abs(energy - theirs) / max(theirs, 1e-30) if energy or theirs else 0.0
    found["total"] = abs(sum(by_kind.values()) / measured.dynamic_j - 1)
    steps = step_times(result.counts, program, load_coefficients("sanafe2025"))
    found["step time"] = float(np.abs(steps / measured.step_time_s - 1).max())
    return found


def assert_agreement(seed):
    program = random_program(seed)
    inputs = (np.random.default_rng(seed).random((9, program.n_inputs)) < 0.4).astype(np.uint8)
    for what, difference in differences(program, inputs).items():
        assert difference < 1e-9, what


@needs_sanafe
@pytest.mark.parametrize("seed", range(5))
def test_spikes_energy_and_latency_agree(seed):
    assert_agreement(seed)


@needs_sanafe
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 125))
def test_more_programs_agree(seed):
    assert_agreement(seed)


@needs_sanafe
def test_verify_takes_it_as_a_backend():
    program = random_program(1)
    inputs = np.random.default_rng(1).integers(0, 2, (5, program.n_inputs))
    assert program.verify(inputs, backends=["reference", "sanafe"]).equal


@needs_sanafe
def test_a_wrong_cost_is_noticed():
    """The comparison would fail if a coefficient were off by a thousandth."""
    import dataclasses

    program = random_program(2)
    inputs = np.ones((3, program.n_inputs), dtype=np.uint8)
    costs = load_coefficients("sanafe2025")
    other = dataclasses.replace(costs, energy_j={**costs.energy_j, "packet_out": costs.energy_j["packet_out"] * 1.001})
    result = run(program, inputs)
    _, measured = SanafeBackend().measure(program, inputs, coefficients=other)
    assert abs(estimate(result.counts, program, costs).dynamic_j / measured.dynamic_j - 1) > 1e-7


def test_it_is_never_imported_by_the_library():
    code = "import sys, conntra_hardware.backends.sanafe.backend as b; b.SanafeBackend().availability(); "
    code += "print('sanafe' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_without_it_the_error_says_what_to_install(monkeypatch):
    from importlib import metadata

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    program = random_program(3)
    with pytest.raises(BackendError, match=r"sanafe is not installed; pip install 'conntra-neuro\[sanafe\]'"):
        SanafeBackend().execute(program, np.zeros((1, program.n_inputs), np.uint8), RunOptions())
