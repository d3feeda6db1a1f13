"""The annealed gear for layers and neurons of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import layered_twins as twins
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_neuro.training import fit_spikes
from conntra_neuro.training.gears.annealed import AnnealedOptions
from conntra_neuro.training.gears.annealed_layers import AnnealedLayers
from conntra_neuro.training.task import Clock
from conntra_neuro.training.threads import Threads

_KINDS = [
    ("conv4k3p1,maxpool2,5", "threshold", 1),
    ("conv4k3p1,conv4k3p1+1,sumpool2", "threshold", 1),
    ("conv4k3s2,6", "relu", 1),
    ("6", "if3", 1),
    ("dwconvk3,6", "if2soft", 2),
]


def _fit(kind: tuple[str, str, int], n: int = 150, **options: Any) -> Any:
    layers, neuron, steps = kind
    task = twins.layered_task(layers, 4, neuron, n=n, steps=steps)
    given = {"n_classes": 3, "layers": layers, "neuron": neuron, "input_steps": steps, "image": task.image}
    return fit_spikes(task.spikes, task.y, gear="annealed", seed=2, **given, **options)


@given(st.integers(0, 10**6), twins.layer_texts(), st.sampled_from(["threshold", "if2"]), st.booleans())
@settings(max_examples=6, deadline=None)
def test_a_visit_changes_the_loss_of_its_batch_by_what_it_says(seed: int, layers: str, neuron: str, part: bool) -> None:
    """Against forward passes of the network before and after."""
    task = twins.task_that_fits(layers, seed % 1000, neuron, (2, 13, 12), n=60)
    with Threads(2) as threads:
        gear = AnnealedLayers(task, AnnealedOptions(), threads)
        rows = slice(13, 41) if part else slice(0, 60)
        mixed, arch = gear._task, task.architecture

        def total() -> int:
            network = arch.network(gear.parameters(), task.levels)
            given_rows = np.asarray(mixed.spikes)[rows].repeat(arch.steps, axis=0)
            return int(gear.network.objective.losses(network.forward(given_rows), mixed.y[rows]).sum())

        for index, weights in enumerate(gear.network.weights):
            before = total()
            found = gear.visit(index, np.arange(weights.shape[1]), rows, 0.5)
            assert found <= 0
            assert total() - before == found


@pytest.mark.parametrize("kind", _KINDS)
def test_it_learns(kind: tuple[str, str, int]) -> None:
    found = _fit(kind, sweeps=10)
    first, last = found.history[0], found.history[-1]
    assert last.objective < 0.9 * first.objective
    assert last.train_error < first.train_error


@pytest.mark.parametrize("kind", _KINDS[:3])
def test_one_seed_one_network_on_any_number_of_threads_and_after_a_resume(
    kind: tuple[str, str, int], tmp_path: Path
) -> None:
    whole = _fit(kind, sweeps=4, batch=60, threads=1)
    other = _fit(kind, sweeps=4, batch=60, threads=2)
    stopped = 0

    def stop(progress: Any) -> None:
        nonlocal stopped
        stopped += 1
        if progress.sweep >= 2:
            raise KeyboardInterrupt

    assert _fit(kind, sweeps=4, batch=60, checkpoint=tmp_path, progress=stop).interrupted
    resumed = _fit(kind, sweeps=4, batch=60, resume=tmp_path)
    for found in (other, resumed):
        for name, array in whole.parameters.arrays().items():
            np.testing.assert_array_equal(array, found.parameters.arrays()[name])


def test_a_time_limit_ends_it() -> None:
    task = twins.layered_task("conv4k3", 1)
    with Threads(1) as threads:
        gear = AnnealedLayers(task, AnnealedOptions(sweeps=5), threads)
        before = gear.parameters()
        gear.sweep(0, 5, Clock(1.0, spent_s=2.0), lambda done, running: None)
        for name, array in before.arrays().items():
            np.testing.assert_array_equal(array, gear.parameters().arrays()[name])
