from __future__ import annotations

import numpy as np
import pytest
import training_twins as twins
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_neuro.training import fit_spikes
from conntra_neuro.training.gears.annealed import Annealed, AnnealedOptions, _noisy_step
from conntra_neuro.training.incremental.chain import Moves, step_curves
from conntra_neuro.training.threads import Threads


@given(st.integers(0, 2**31), st.sampled_from([(6,), (7, 5), (5, 6, 4)]), st.sampled_from(["ternary", "5", "binary"]))
@settings(max_examples=20, deadline=None)
def test_scores_and_trials_are_expected_changes_under_noise(seed: int, layers: tuple[int, ...], levels: str) -> None:
    """Scores of single moves and the check of several at once, against forward passes with the unit held on and off."""
    task = twins.random_task(seed, layers, levels, n=80, n_in=10, classes=3)
    rng, sigma, rows = np.random.default_rng(seed), 1.7, np.arange(80)
    with Threads(2) as threads:
        gear = Annealed(task, AnnealedOptions(), threads)
        network, start, scale = gear.network, gear.parameters(), gear.network.objective.scale
        curve = _noisy_step(sigma)
        curves = step_curves(curve, network.steps.values)
        layer, gains = int(rng.integers(len(layers))), np.zeros(80, dtype=np.int64)
        unit, inputs = int(rng.integers(layers[layer])), task.sizes[layer]
        scores = network.scores(rows, layer, unit, curves, gains, 10_000, 12)

        def p(z: np.ndarray) -> np.ndarray:
            return 1 / (1 + np.exp(-(z - 0.5) / sigma))

        def changed(new: object) -> float:
            return twins.noisy_change(start, task, layer, unit, new, p, scale)  # type: ignore[arg-type]

        for coordinate in range(inputs + 1):
            at = int(rng.integers(len(network.steps.values)))
            new = twins.moved(start, layer, unit, coordinate, int(network.steps.values[at]))
            assert scores[coordinate, at] / 2**36 == pytest.approx(changed(new), abs=80 * 2e-4)
        chosen = rng.permutation(inputs)[:3]
        steps = rng.choice(network.steps.values, 3)
        new = start.copy()
        new.weights[layer][chosen, unit] += steps.astype(np.int32)
        new.biases[layer][unit] -= 2
        found = network.trial(rows, layer, unit, Moves(chosen, steps, -2), gains, curve, 12)
        assert found / 2**36 == pytest.approx(changed(new), abs=80 * 2e-4)
        network.move(layer, unit, Moves(chosen, steps, -2))
        assert network.total == twins.total(new, task, network.objective)


def test_noisy_step_rises_from_0_to_1() -> None:
    for sigma in (0.05, 0.7, 4.0):
        p = _noisy_step(sigma)
        assert p[0] == 0
        assert p[-1] == 2**16
        assert np.all(np.diff(p) >= 0)


def test_learns_in_depth_and_stays_in_its_levels() -> None:
    task = twins.random_task(1, (), n=700, n_in=25, classes=4)
    fit = fit_spikes(task.spikes, task.y, n_classes=4, layers=(16, 12), levels="5", gear="annealed", sweeps=10)
    assert fit.history[-1].objective < 0.5 * fit.history[0].objective
    for weight in fit.parameters.weights:
        fit.levels.index(weight)


@pytest.mark.parametrize("given", [{"batch": 0}, {"moves": 0}, {"sweeps": 0}, {"sigma": 0.0}, {"sigma_end": 1e9}])
def test_options_out_of_range(given: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(given))):
        AnnealedOptions(**given)  # type: ignore[arg-type]
