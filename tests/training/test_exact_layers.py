from __future__ import annotations

from typing import Any

import layered_twins as twins
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import GradedRelu, IntegrateAndFire
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Conv2d, Dense, Flatten, Residual, SumPool
from conntra_neuro.training.architecture.of_network import described, with_neurons_of, without_flatten
from conntra_neuro.training.fit import Fit, fit_spikes
from conntra_neuro.training.gears.exact_layers import ExactLayers, ExactLayersOptions
from conntra_neuro.training.incremental.layers import IncrementalNetwork
from conntra_neuro.training.inputs.bits import stored
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.objective import Objective
from conntra_neuro.training.parameters import Parameters
from conntra_neuro.training.start import start_of
from conntra_neuro.training.task import Clock, Evaluation, Task
from conntra_neuro.training.threads import Threads

NEURONS = st.sampled_from(["threshold", "if3", "if3soft"])


def _total(task: Task, found: Parameters, objective: Objective) -> tuple[int, Any]:
    """The summed loss in quanta, and the logits, by the definition: ``DiscreteNetwork.forward``."""
    network = task.architecture.network(found, task.levels)
    given_steps = task.architecture.input_steps
    spikes = np.repeat(task.spikes.reshape(len(task.y), given_steps, -1), network.steps // given_steps, axis=1)
    logits = network.forward(spikes.reshape(-1, network.n_in))
    return int(objective.losses(logits, task.y).sum()), logits


def _task(layers: str, seed: int, neuron: str, steps: int = 1, n: int = 25) -> Task:
    return twins.task_that_fits(layers, seed, neuron, (2, 7, 6), n=n, steps=steps)


def _random_moves(network: IncrementalNetwork, task: Task, index: int, count: int, rng: np.random.Generator) -> Any:
    """Rows (index, row, column, step) of different coordinates, to other levels; biases move by up to 3."""
    weight = network.weights[index]
    connections = {node.skip.index for node in network.arch.nodes if node.skip is not None}
    rows = len(weight) - (index in connections)
    chosen = rng.permutation(rows * weight.shape[1])[:count]
    moves = []
    for row, column in zip(*np.divmod(chosen, weight.shape[1]), strict=True):
        old = int(weight[row, column])
        steps = [level - old for level in task.levels.values if level != old]
        moves.append((index, row, column, rng.choice([-3, -1, 1, 2] if row == len(weight) - 1 else steps)))
    return np.array(moves)


def _moved(found: Parameters, moves: Any) -> Parameters:
    new = found.copy()
    for index, row, column, step in moves:
        if row == len(new.weights[index]):
            new.biases[index][column] += step
        else:
            new.weights[index][row, column] += step
    return new


def _check_changes(task: Task, seed: int) -> None:
    rng, start, objective = np.random.default_rng(seed), *start_of(task, None, seed % 3)[:2]
    with Threads(1 + seed % 2) as threads:
        network = IncrementalNetwork(task, start, objective, threads)
        for index in rng.permutation(len(network.weights)).tolist():
            moves, found = _random_moves(network, task, index, 12, rng), network.parameters()
            base, _ = _total(task, found, objective)
            assert base == network.total
            expected = [_total(task, _moved(found, [move]), objective)[0] - base for move in moves]
            assert network.changes(moves).tolist() == expected
            together = _total(task, _moved(found, moves), objective)[0] - base
            assert network.together(moves) == together
            assert network.total == base
            assert network.together(moves, write=True) == together
            new, logits = _total(task, network.parameters(), objective)
            assert network.total == new == base + together
            assert network.evaluate().error == np.mean(logits.argmax(axis=1) != task.y)
            again = network.evaluate_on(task.spikes, task.y)
            assert again == network.evaluate()


@given(twins.layer_texts(), st.integers(0, 10**6), NEURONS, st.booleans())
@settings(max_examples=40, deadline=None)
def test_changes_are_those_of_the_whole_networks_objective(layers: str, seed: int, neuron: str, timed: bool) -> None:
    task = _task(layers, seed, neuron, 3 if timed and neuron != "threshold" else 1)
    if not task.architecture.is_chain:
        _check_changes(task, seed)


@given(twins.layer_texts(graded=True), st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_changes_of_graded_networks_are_those_of_the_objective(layers: str, seed: int) -> None:
    _check_changes(_task(layers, seed, "relu"), seed)


def test_a_graded_spike_beyond_24_bits_is_refused() -> None:
    task = twins.layered_task("conv2k3,4", 0, "relu", n=10)
    with Threads(1) as threads:
        start, objective, _ = start_of(task, None, 0)
        network = IncrementalNetwork(task, start, objective, threads)
        moves = np.array([(0, len(start.weights[0]), 0, 2**40), (0, len(start.weights[0]), 1, 1)])
        changes, total = network.changes(moves), network.total
        assert changes[0] == network.together(moves) == 2**62 > changes[1]
        again = network.changes(moves)
        np.testing.assert_array_equal(again, changes)
        with pytest.raises(InputError, match="24 bits"):
            network.together(moves[:1], write=True)
        assert network.total == total


def _silent(done: float, running: Evaluation) -> None:
    pass


@given(
    st.sampled_from(["conv4k3p1,maxpool2,conv4k3p2d2+1", "conv4k2g2,sumpool2,5", "dwconvk3p1,conv6k3s2p1+1", "6"]),
    st.sampled_from(["threshold", "if3", "relu"]),
    st.integers(0, 10**6),
)
@settings(max_examples=12, deadline=None)
def test_the_objective_never_rises_and_equals_the_recomputed_one(layers: str, neuron: str, seed: int) -> None:
    assume(neuron != "relu" or "maxpool" not in layers)
    task = _task(layers, seed, neuron, n=30)
    if task.architecture.is_chain:
        return
    with Threads(2) as threads:
        gear = ExactLayers(task, ExactLayersOptions(candidates=12, widest=48), threads)
        totals = [gear.network.total]
        for number in range(6):
            scores = gear._screen.scores(gear._screened(number), 0.0)
            for index in range(len(scores)):
                change = gear.visit(gear._screen.candidates(index, scores[index], 12))
                totals.append(gear.network.total)
                assert totals[-1] == totals[-2] + change
                assert change <= 0
        assert totals[-1] < totals[0]
        found, objective = gear.parameters(), gear.network.objective
    total, logits = _total(task, found, objective)
    assert total == totals[-1]
    assert gear.evaluate(held_out=False).error == np.mean(logits.argmax(axis=1) != task.y)
    for weight in found.weights:
        task.levels.index(weight)


def test_the_end_is_an_optimum_of_all_moves_that_the_screening_expects_to_lower_the_objective() -> None:
    task = twins.layered_task("conv3k3s2,4", 3, n=30)
    with Threads(1) as threads:
        gear = ExactLayers(task, ExactLayersOptions(widest=10**6), threads)
        for number in range(200):
            if gear.finished:
                break
            gear.sweep(number, 200, Clock(), _silent)
        assert gear.finished
        scores, looked = gear._screen.scores(gear._screened(0), 0.0), 0
        for index in range(len(scores)):
            moves = gear._screen.candidates(index, scores[index], 10**6)
            assert (gear.network.changes(moves) >= 0).all()
            looked += len(moves)
    assert looked > sum(weight.size for weight in gear.parameters().weights) / 2


def test_a_large_set_is_screened_on_a_part_that_changes() -> None:
    task = twins.layered_task("conv3k3", 1, n=60)
    with Threads(1) as threads:
        gear = ExactLayers(task, ExactLayersOptions(screened=20), threads)
        first, again, other = (gear._screen.scores(gear._screened(number), 0.0)[0] for number in (0, 0, 1))
        assert len(gear._screened(0)) == 20
        assert len(ExactLayers(task, ExactLayersOptions(screened=60), threads)._screened(0)) == 60
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def _fit(task: Task, layers: str, **given: Any) -> Fit:
    options = {"sweeps": 4, "image": ImageShape(2, 7, 6), "gear": "exact", "candidates": 8} | given
    return fit_spikes(task.spikes, task.y, n_classes=3, layers=layers, **options)


def _assert_same(one: Fit, two: Fit) -> None:
    for a, b in zip(one.parameters.arrays().values(), two.parameters.arrays().values(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [r.objective for r in one.history] == [r.objective for r in two.history]


@pytest.mark.parametrize(
    ("layers", "neuron"),
    [("conv4k3p1,maxpool2,conv4k3p1+1,6", "threshold"), ("conv4k3,sumpool2,7", "if3"), ("dwconvk3,conv4k3", "relu")],
)
def test_same_network_on_one_thread_and_on_two_and_resumed(tmp_path: Any, layers: str, neuron: str) -> None:
    task = twins.layered_task(layers, 3, n=120)
    two, one = (_fit(task, layers, neuron=neuron, threads=count) for count in (2, 1))
    _assert_same(one, two)

    def stop(state: Any) -> None:
        if state.sweep >= 2:
            raise KeyboardInterrupt

    stopped = _fit(task, layers, neuron=neuron, checkpoint=tmp_path, progress=stop)
    assert stopped.interrupted
    _assert_same(one, _fit(task, layers, neuron=neuron, resume=tmp_path))


def test_it_goes_on_from_blocks_and_ends_no_higher() -> None:
    task = twins.layered_task("conv6k3p1", 5, n=100)
    given: dict[str, Any] = {"n_classes": 3, "layers": "conv6k3p1", "image": ImageShape(2, 7, 6)}
    first = fit_spikes(task.spikes, task.y, sweeps=5, **given)
    second = _fit(task, "conv6k3p1", initial=first.network())
    objectives = [record.objective for record in second.history]
    assert objectives == sorted(objectives, reverse=True)
    assert objectives[-1] < objectives[0]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"candidates": 0}, "candidates 0: 1 or more"),
        ({"widest": 0}, "widest 0"),
        ({"screened": -1}, "screened -1"),
        ({"sigma": 0.0}, "sigma 0.0"),
        ({"sweeps": 0}, "sweeps 0"),
        ({"fraction": 0.1}, "unknown to gear exact; allowed: .*candidates"),
        ({"scale": 90.0}, "scale 90.0: at most 40"),
    ],
)
def test_options_that_do_not_go_are_named(given: dict[str, Any], named: str) -> None:
    task = twins.layered_task("conv4k3", 1)
    with pytest.raises(InputError, match=named):
        _fit(task, "conv4k3", **given)


def _like(neuron: Any) -> DiscreteNetwork:
    """A network with thresholds of its own and a layer that flattens, as other tools write them."""
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> Any:
        return rng.integers(-1, 2, shape)

    return DiscreteNetwork(
        [
            Conv2d(weights(4, 2, 3, 3), None, neuron, input_shape=(2, 7, 6), padding=1),
            Conv2d(weights(4, 4, 3, 3), None, neuron, input_shape=(4, 7, 6), padding=2, dilation=2),
            SumPool(2, input_shape=(4, 7, 6)),
            Flatten((4, 3, 3)),
            Dense(weights(5, 36), None, neuron),
            Dense(weights(3, 5), None, "readout"),
        ],
        residuals=[Residual(-1, 1, Conv2d(weights(4, 2, 1, 1), None, "readout", input_shape=(2, 7, 6)))],
    )


@pytest.mark.parametrize("neuron", [GradedRelu(1), IntegrateAndFire(7, 3, "soft"), "threshold"])
def test_a_network_is_described_as_what_trains_it_further(neuron: Any) -> None:
    network = without_flatten(_like(neuron))
    specs, neurons = described(network)
    assert [str(spec) for spec in specs] == ["conv4k3p1", "conv4k3p2d2+1", "sumpool2", "5"]
    text = ",".join(map(str, specs))
    task = twins.layered_task(text, 0, str(neurons))
    arch = with_neurons_of(task.architecture, network)
    again = arch.network(arch.parameters_of(network, task.levels), task.levels)
    spikes = np.repeat(task.spikes, network.steps, axis=0)
    np.testing.assert_array_equal(again.forward(spikes), _like(neuron).forward(spikes))
    fitted = _fit(task, text, neuron=str(neurons), initial=network)
    assert fitted.network().layers[0].neuron == network.layers[0].neuron
    with pytest.raises(InputError, match=r"layer 1 \(Conv2d.*dilation \(2, 2\).*: layer 1 \(conv4k3p1\+1\) .*expected"):
        _fit(task, text.replace("p2d2", "p1"), neuron=str(neurons), initial=network)
    with pytest.raises(InputError, match="residual connection to layer 1"):
        _fit(task, text.replace("+1", ""), neuron=str(neurons), initial=network)


@pytest.mark.parametrize(
    ("layer", "residuals", "named"),
    [
        (Conv2d(np.ones((2, 2, 3, 2)), input_shape=(2, 7, 6)), [], "not square"),
        (Conv2d(np.ones((2, 2, 3, 3)), input_shape=(2, 7, 6), dilation=(2, 1)), [], "dilation is not square"),
        (SumPool(2, input_shape=(2, 7, 6), padding=1), [], "pooling with padding"),
        (Dense(np.ones((5, 84)), activation=GradedRelu(1)), [], "neurons of several kinds"),
        (Dense(np.ones((5, 84))), [Residual(-1, 1, Dense(np.ones((5, 84)), None, "readout"))], "to a dense layer"),
    ],
)
def test_what_cannot_be_trained_further_is_named(layer: Any, residuals: list[Residual], named: str) -> None:
    first = Conv2d(np.ones((2, 2, 1, 1)), input_shape=(2, 7, 6))
    readout = Dense(np.ones((3, layer.n_out)), None, "readout")
    with pytest.raises(InputError, match=named):
        described(DiscreteNetwork([first, layer, readout], residuals=residuals))


def test_a_set_that_stays_in_a_file_and_a_held_out_part() -> None:
    task = twins.layered_task("conv2k3s2", 2, n=5000)
    given: dict[str, Any] = {"n_classes": 3, "layers": "conv2k3s2", "image": ImageShape(2, 7, 6), "gear": "exact"}
    given |= {"sweeps": 1, "candidates": 2, "screened": 500}
    memory = fit_spikes(task.spikes, task.y, **given)
    file = fit_spikes(stored(task.spikes, None), task.y, **given)
    _assert_same(memory, file)
    held = memory.history[-1].validation_error
    assert held is not None
    assert held == memory.validation_error
