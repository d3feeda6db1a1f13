from __future__ import annotations

from typing import Any

import layered_twins as twins
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.input_encoding import ThresholdEncoder
from conntra_neuro.datasets import Dataset
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.training import Fit, fit_spikes, train
from conntra_neuro.training.augmentation import Augmentation
from conntra_neuro.training.gears.blocks import Blocks, BlocksOptions
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.neurons import of_neuron
from conntra_neuro.training.scoring import split
from conntra_neuro.training.task import Clock, Task
from conntra_neuro.training.threads import Threads

SHAPE = (2, 7, 6)


def _network(task: Task, blocks: Blocks) -> DiscreteNetwork:
    return task.architecture.network(blocks.parameters(), task.levels)


def _fit(task: Task, layers: str, **given: Any) -> Fit:
    options = {"sweeps": 3, "image": ImageShape(*SHAPE)} | given
    return fit_spikes(task.spikes, task.y, n_classes=3, layers=layers, **options)


@given(twins.layer_texts(), st.integers(0, 10**6), st.sampled_from(["threshold", "if3", "if3soft"]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_errors_and_losses_are_those_of_the_network(layers: str, seed: int, neuron: str, timed: bool) -> None:
    _check_evaluation(layers, seed, neuron, 3 if timed and neuron != "threshold" else 1)


@given(twins.layer_texts(graded=True), st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_graded_errors_and_losses_are_those_of_the_network(layers: str, seed: int) -> None:
    _check_evaluation(layers, seed, "relu", 1)


def _check_evaluation(layers: str, seed: int, neuron: str, steps: int) -> None:
    task = twins.task_that_fits(layers, seed, neuron, (2, 13, 12), steps=steps)
    blocks = Blocks(task, BlocksOptions(batch=16, sweeps=2), Threads(1))
    blocks.sweep(0, 2, Clock(), lambda done, found: None)
    network = _network(task, blocks)
    given_steps = 1 if task.architecture.is_chain else task.architecture.input_steps
    spikes = task.spikes.reshape(len(task.y), given_steps, -1)
    spikes = np.repeat(spikes, network.steps // given_steps, axis=1).reshape(-1, network.n_in)
    logits = network.forward(spikes)
    found = blocks.evaluate(held_out=False)
    assert found.error == np.mean(logits.argmax(axis=1) != task.y)
    assert found.objective == pytest.approx(blocks.objective.mean(logits, task.y), abs=1e-8)
    again = task.architecture.parameters_of(network, task.levels)
    for a, b in zip(again.arrays().values(), blocks.parameters().arrays().values(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("layers", "number"),
    [
        ("conv4k3p1", 0),
        ("conv4k2s2g2", 0),
        ("dwconvk3s2p1", 0),
        ("conv3k3,maxpool2", 0),
        ("conv3k3,sumpool2", 0),
        ("conv3k3p1,conv4k3s2", 1),
        ("conv4k3p1,conv4k3p1+1", 1),
        ("conv4k2d3g2", 0),
        ("conv3k3p1,conv4k3s2p2d2", 1),
        ("conv4k3p1,conv4k3p2d2+1", 1),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_scores_are_the_changes_of_the_loss_place_by_place(layers: str, number: int, seed: int) -> None:
    task = twins.layered_task(layers, seed)
    blocks = Blocks(task, BlocksOptions(batch=len(task.y)), Threads(1))
    network, scorer = _network(task, blocks), blocks._samples.scorer  # type: ignore[attr-defined]
    found = blocks._samples.score(np.arange(len(task.y)), None, 0.5).scores
    sigma = scorer.plan.sigma_at(number, 0.5)
    neuron = network.layers[number].neuron
    assert neuron is not None
    weights, biases = twins.kernel_score(
        network, task, number, blocks.objective.scale, of_neuron(neuron).slope(neuron, sigma)
    )
    scores = found[task.architecture.nodes[number].index]
    expected = weights.transpose(2, 3, 1, 0).reshape(-1, len(weights))
    size = np.abs(expected).max()
    np.testing.assert_allclose(scores[:-1], expected, atol=2e-3 * size)
    np.testing.assert_allclose(scores[-1], biases, atol=2e-3 * np.abs(biases).max())


@pytest.mark.parametrize(
    ("layers", "neuron"),
    [("conv4k3p1,maxpool2,conv4k3p1+1,6", "threshold"), ("conv4k3,sumpool2,7", "if3"), ("dwconvk3,conv4k3", "relu")],
)
def test_same_network_on_one_thread_and_on_two(layers: str, neuron: str) -> None:
    task = twins.layered_task(layers, 3, n=300)
    two = _fit(task, layers, neuron=neuron, threads=2, shift=1)
    with threadpool_limits(1):
        one = _fit(task, layers, neuron=neuron, threads=1, shift=1)
    for a, b in zip(one.parameters.arrays().values(), two.parameters.arrays().values(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("layers", "neuron"),
    [("conv4k3p1,maxpool2,conv4k3p1+1,6", "threshold"), ("conv4k3,sumpool2,7", "if3"), ("dwconvk3,conv4k3", "relu")],
)
def test_parts_of_mini_batches_give_the_same_network(layers: str, neuron: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = twins.layered_task(layers, 3, n=300)
    options = {"neuron": neuron, "shift": 1, "penalty_energy": 5.0 if neuron == "threshold" else 0.0}
    one = _fit(task, layers, threads=1, **options)
    monkeypatch.setattr(split, "_LEAST", 0)
    for count in (2, 3):
        parts = _fit(task, layers, threads=count, **options)
        assert [record.objective for record in parts.history] == [record.objective for record in one.history]
        for a, b in zip(one.parameters.arrays().values(), parts.parameters.arrays().values(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_mini_batches_are_split_where_they_are_large() -> None:
    network = twins.layered_task("conv4k3p1,6", 0, n=50).architecture
    assert split.multiplications(network) == 7 * 6 * (2 * 9) * 4 + (7 * 6 * 4) * 6 + 6 * 3
    assert not split.is_worth_splitting(network, 500, 2)
    assert split.is_worth_splitting(network, 10**6, 2)
    assert not split.is_worth_splitting(network, 10**6, 1)


@pytest.mark.parametrize(
    ("layers", "neuron", "given", "fine"),
    [
        ("conv4k3,6", "threshold", {}, True),
        ("conv4k3,maxpool2", "threshold", {}, True),
        ("6,5", "threshold", {}, False),
        ("conv4k3", "relu", {}, False),
        ("conv4k3", "if3", {}, False),
        ("conv4k3,6", "threshold", {"penalty_energy": 1.0}, False),
    ],
)
def test_convolutions_take_fine_steps_where_samples_are_few(
    layers: str, neuron: str, given: dict[str, float], fine: bool
) -> None:
    task = twins.task_that_fits(layers, 0, neuron, SHAPE)
    blocks = Blocks(task, BlocksOptions(**given), Threads(1))  # type: ignore[arg-type]
    assert (blocks._recipe.fraction == 0.002) == (blocks._recipe.memory == 0.99) == fine
    kept = Blocks(task, BlocksOptions(fraction=0.01, memory=0.5, batch=20), Threads(1))._recipe
    assert (kept.fraction, kept.memory, kept.batch) == (0.01, 0.5, 20)


def test_fine_steps_are_more_in_as_many_sweeps() -> None:
    moves, usual = Augmentation(0, 0.0), BlocksOptions()
    coarse, fine = (usual.with_defaults(4_500, moves, fine=fine) for fine in (False, True))
    assert (coarse.batch, fine.batch) == (500, 200)
    assert coarse.sweeps == fine.sweeps == 45
    assert usual.with_defaults(1_000, moves, fine=True).batch == 62
    assert BlocksOptions(sweeps=7).with_defaults(1_000, moves, fine=True).sweeps == 7


def test_convolutions_learn_and_go_on_from_a_network() -> None:
    task = twins.layered_task("conv6k3p1", 5, n=300)
    first = _fit(task, "conv6k3p1", sweeps=15)
    best = min(record.train_error for record in first.history)
    assert best < first.history[0].train_error
    wild = {"fraction": 0.5, "fraction_readout": 0.5, "fraction_bias": 0.5, "decay": 0.0}
    second = _fit(task, "conv6k3p1", initial=first.network(), sweeps=2, **wild)
    assert all(record.objective > second.history[0].objective for record in second.history[1:])
    for kept, first_array in zip(second.parameters.arrays().values(), first.parameters.arrays().values(), strict=True):
        np.testing.assert_array_equal(kept, first_array)
    with pytest.raises(InputError, match="layer 0"):
        _fit(task, "conv5k3p1", initial=first.network())


def test_a_checkpoint_is_resumed(tmp_path: Any) -> None:
    task = twins.layered_task("conv4k3", 5, n=200)
    whole = _fit(task, "conv4k3", sweeps=4)

    def stop(state: Any) -> None:
        if state.sweep >= 2:
            raise KeyboardInterrupt

    _fit(task, "conv4k3", sweeps=4, checkpoint=tmp_path, progress=stop)
    resumed = _fit(task, "conv4k3", sweeps=4, resume=tmp_path)
    for a, b in zip(whole.parameters.arrays().values(), resumed.parameters.arrays().values(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(InputError, match="layers"):
        _fit(task, "conv4k2", sweeps=4, resume=tmp_path)


def test_train_takes_colour_images() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (80, 3, 8, 8)).astype(np.uint8)
    y = (x[:, 0].mean(axis=(1, 2)) > x[:, 1].mean(axis=(1, 2))).astype(np.int64)
    data = Dataset("made", x, y, x[:10], y[:10], ("a", "b"))
    encoder = ThresholdEncoder(np.full(192, 127.5))
    found = train(data, layers="conv4k3s2,8", encoder=encoder, sweeps=3)
    assert found.layers == ("conv4k3s2", 8)
    assert found.network.layers[0].input_shape == (3, 8, 8)
    assert found.train_error == found.network.error(x, y)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"layers": "conv4k9"}, r"layer 0 \(conv4k9\).*kernel"),
        ({"layers": "conv4k3d4"}, r"layer 0 \(conv4k3d4\): kernel \(3, 3\) with dilation \(4, 4\): .*less dilation"),
        ({"layers": "8,conv4k3"}, r"layer 1 \(conv4k3\): what comes before"),
        ({"layers": "conv4k3g3"}, r"layer 0 \(conv4k3g3\).*groups"),
        ({"layers": "conv4k3,sumpool2,maxpool2"}, r"layer 2 \(maxpool2\).*0/1"),
        ({"layers": "conv4k3+1"}, r"layer 0 \(conv4k3\+1\): \+1: only 0"),
        ({"layers": "conv4k3s2,conv4k1p1+1"}, r"layer 1 \(conv4k1p1\+1\): \+1: shape"),
        ({"layers": "conv4k3", "image": None}, "no images"),
        ({"layers": "conv4k3", "neuron": "lif"}, "neuron 'lif'"),
        ({"layers": "conv4k3", "neuron": "if2", "input_steps": 3}, "time steps"),
    ],
)
def test_what_does_not_fit_is_named(given: dict[str, Any], named: str) -> None:
    task = twins.layered_task("conv4k3", 1)
    with pytest.raises(InputError, match=named) as caught:
        _fit(task, given.pop("layers"), **given)
    assert "\n" not in str(caught.value)
