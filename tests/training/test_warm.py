from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conntra_hardware.base.errors import InputError
from conntra_neuro.training import Fit, Progress, fit_spikes
from conntra_neuro.training.calibrate import calibrated_scale
from conntra_neuro.training.warm import fit_warm

pytest.importorskip("jax")


def _data(n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    spikes = (rng.random((n, 24)) < 0.5).astype(np.uint8)
    return spikes, (spikes[:, :3].sum(axis=1) + spikes[:, 3] * spikes[:, 4] > 1).astype(np.int64)


_OPTIONS: dict[str, Any] = {"n_classes": 2, "layers": (12,), "seed": 1, "sweeps": 4}


def _weights(fit: Fit) -> list[list[list[int]]]:
    return [weight.tolist() for weight in fit.parameters.weights]


@pytest.mark.parametrize("gear", ["blocks", "exact"])
def test_never_worse_than_where_backpropagation_ended(gear: str) -> None:
    spikes, y = _data()
    alone = fit_spikes(spikes, y, gear="straight-through", **_OPTIONS)
    warm = fit_warm(spikes, y, gear=gear, polish_sweeps=3, **_OPTIONS)
    scale = calibrated_scale(alone.network().forward(spikes), y)

    def objective(fit: Fit) -> float:
        logits = scale * fit.network().forward(spikes)
        return float(np.mean(np.log(np.exp(logits - logits[np.arange(len(y)), y][:, None]).sum(axis=1))))

    assert objective(warm) <= objective(alone) + 1e-12
    assert [record.sweep for record in warm.history] == sorted(record.sweep for record in warm.history)
    assert warm.history[: len(alone.history)][-1].sweep == alone.history[-1].sweep
    assert all(np.diff([record.seconds for record in warm.history]) >= 0)


def test_a_second_stage_that_does_harm_is_thrown_away() -> None:
    spikes, y = _data()
    alone = fit_spikes(spikes, y, gear="straight-through", **_OPTIONS)
    harm = {"polish_sweeps": 1, "polish_fraction": 0.9, "polish_fraction_readout": 0.9, "polish_memory": 0.0}
    warm = fit_warm(spikes, y, **_OPTIONS, **harm)
    assert _weights(warm) == _weights(alone)


def test_a_warm_up_only_scores() -> None:
    spikes, y = _data()
    start = fit_spikes(spikes, y, gear="straight-through", **_OPTIONS).network()
    given = {**_OPTIONS, "sweeps": 6, "initial": start, "fraction": 0.2, "scale": 0.1}
    objectives = [record.objective for record in fit_spikes(spikes, y, warmup=0.5, **given).history]
    assert len(set(objectives[:4])) == 1
    assert objectives[4] != objectives[3]
    with pytest.raises(InputError, match="warmup 1"):
        fit_spikes(spikes, y, warmup=1, **given)


def test_progress_runs_through_both_stages_and_stops() -> None:
    spikes, y = _data()
    seen: list[float] = []
    fit_warm(spikes, y, progress=lambda p: seen.append(p.sweep / p.sweeps), **_OPTIONS)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)

    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    assert fit_warm(spikes, y, progress=stop, **_OPTIONS).interrupted


def test_resumed_after_either_stage_ends_the_same(tmp_path: Path) -> None:
    spikes, y = _data()
    whole = fit_warm(spikes, y, **_OPTIONS)
    for stop_after in (2, 5):
        folder = tmp_path / str(stop_after)
        seen: list[Progress] = []

        def stop(progress: Progress, seen: list[Progress] = seen, stop_after: int = stop_after) -> None:
            seen.append(progress)
            if len(seen) == stop_after:
                raise KeyboardInterrupt

        fit_warm(spikes, y, checkpoint=folder, progress=stop, **_OPTIONS)
        resumed = fit_warm(spikes, y, resume=folder, **_OPTIONS)
        assert _weights(resumed) == _weights(whole)
        assert [record.objective for record in resumed.history] == [record.objective for record in whole.history]


def test_initial_network_is_refused() -> None:
    spikes, y = _data(50)
    with pytest.raises(InputError, match="a warm start makes its own"):
        fit_warm(spikes, y, initial=object(), **_OPTIONS)


def test_calibrated_scale_is_the_one_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    logits = rng.integers(-30, 31, (20_000, 3))
    p = np.exp(0.1 * logits)
    p /= p.sum(axis=1, keepdims=True)
    y = (p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1)
    assert calibrated_scale(logits, y) == pytest.approx(0.1, rel=0.15)
    assert np.isfinite(calibrated_scale(np.array([[5, 0], [0, 5]]), np.array([0, 1])))
