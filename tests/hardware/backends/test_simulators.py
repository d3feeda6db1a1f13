"""Lava, batched, stock and as deployed, and Brian2, spike for spike against plain integer arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from program_strategies import Case, build_case, build_program, random_case

import conntra_neuro as cn
from conntra_hardware.backends import load_backend
from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.base.errors import BackendError, InputError

SIMULATORS = ("lava", "lava-stock", "loihi-dry", "brian2")


def run(name: str, case: Case, batch_size: int | None = None) -> None:
    """Run a case and compare everything recorded."""
    simulator = load_backend(name)
    found = simulator.availability()
    if not found.ok:
        pytest.skip(f"{name}: {found.reason}")
    recording = simulator.execute(case.program, case.inputs, RunOptions(60, batch_size))
    assert recording.spikes.keys() == case.spikes.keys()
    for layer, expected in case.spikes.items():
        np.testing.assert_array_equal(recording.spikes[layer], expected, err_msg=f"{name}, {layer}")
    np.testing.assert_array_equal(recording.logits, case.logits, err_msg=name)
    assert recording.logits.dtype == np.int64
    assert recording.run_seconds > 0
    assert recording.start_seconds > 0


@pytest.mark.parametrize("name", SIMULATORS)
@pytest.mark.parametrize("seed", [1, 5])
def test_random_programs(name: str, seed: int) -> None:
    run(name, random_case(seed))


@pytest.mark.parametrize("name", SIMULATORS)
def test_fan_in_of_4096_on_the_threshold(name: str) -> None:
    # Sums on the threshold at fan-ins where a LIF without reset misses spikes, from the input and from a layer.
    run(name, build_case((4096, 20, 4100, 3), [(-1, 1), (-1, 0, 1), (-1, 1)], seed=3, samples=20))


@pytest.mark.parametrize(("name", "batch"), [("lava", 7), ("lava", 1), ("brian2", 7)])
def test_batches_that_do_not_divide_the_samples(name: str, batch: int) -> None:
    run(name, random_case(8, samples=17), batch)


@pytest.mark.usefixtures("cold_children")
@pytest.mark.parametrize("name", SIMULATORS)
def test_logistic_regression_of_one_sample(name: str) -> None:
    run(name, build_case((5, 3), [(-1, 0, 1)], seed=1, samples=1))


@pytest.mark.parametrize("name", SIMULATORS)
def test_extreme_biases_and_no_synapses(name: str) -> None:
    biases = [np.array([-4096, 4095, -8192, 8190, 0, 1, -1]), np.array([8190, -8192, 0])]
    weights = [np.zeros((7, 2), int), np.array([[1, 1, 1, 1, 1, 1, 1], [0] * 7, [-128, 127, 3, 0, 0, 1, 1]])]
    program = build_program(weights, biases)
    hidden = np.tile((biases[0] > 0).astype(np.uint8), (3, 1))
    logits = hidden @ weights[1].T + biases[1]
    run(name, Case((2, 7, 3), (), 0, 3, program, np.ones((3, 2), np.uint8), {"h1": hidden}, logits))


@pytest.mark.parametrize("name", SIMULATORS)
def test_batch_size_is_checked(name: str) -> None:
    case = random_case(1, samples=2)
    with pytest.raises(InputError, match="batch size 0"):
        load_backend(name).execute(case.program, case.inputs, RunOptions(batch_size=0))


def test_stock_runs_one_sample_a_step() -> None:
    case = random_case(1, samples=2)
    with pytest.raises(InputError, match="batch size 2; 1 allowed"):
        load_backend("lava-stock").execute(case.program, case.inputs, RunOptions(batch_size=2))


def test_brian2_refuses_what_doubles_do_not_hold() -> None:
    program = build_program([np.ones((1, 1), int)], [np.array([2**53])])
    with pytest.raises(BackendError, match="double precision is exact below"):
        load_backend("brian2").execute(program, np.ones((1, 1), np.uint8), RunOptions())


@pytest.mark.parametrize("name", ["lava", "lava-stock", "brian2"])
def test_nothing_is_left_of_a_large_sum(name: str) -> None:
    """Thresholds that are reached exactly behind sums of 32 and more, in a sample and in the next one: Lava's ATRLIF
    leaves a 64th of a potential of them where it is to forget its current and is asked for a decay of 1.
    """
    hidden = cn.Dense([[33, 8, 7, 9, 3]], [0], cn.IntegrateAndFire(12, 4, reset="soft"))
    program = cn.compile(cn.DiscreteNetwork([hidden, cn.Dense([[1]], activation="readout")]), chip="loihi2")
    lit = [[0, 0, 0, 0], [1, 2, 3, 4], [0, 4, None, None]]
    inputs = np.array([[at == index for index in range(5)] for sample in lit for at in sample], np.uint8)
    spikes = np.array([[1, 1, 1, 1], [0, 1, 1, 0], [1, 1, 1, 0]], np.uint8)
    simulator = load_backend(name)
    found = simulator.availability()
    if not found.ok:
        pytest.skip(f"{name}: {found.reason}")
    recording = simulator.execute(program, inputs, RunOptions(60))
    np.testing.assert_array_equal(recording.spikes["hidden0"], spikes.reshape(-1, 1))
    assert recording.logits.tolist() == [[4], [2], [3]]
