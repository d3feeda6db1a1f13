"""Populations and synapses of small networks, named and number for number. Mutants are tried on it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import loops
import numpy as np
import pytest
from layer_cases import CASES, FIRE, by_numbers, conv, dense, drawn, skipping, through, to_itself

import conntra_neuro as cn
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import GradedRelu, SigmaDelta, Threshold
from conntra_hardware.program import INPUT, ConvProjection, Projection, SparseProjection
from conntra_hardware.program.input_encoding import ThermometerEncoder
from conntra_hardware.program.value_scale import ValueScale
from conntra_neuro.compiler.lower import Lowered, lower, projection_of, projections_of
from conntra_neuro.network.layers import INPUT_LAYER, Conv2d, Dense, Flatten, MaxPool, Recurrent, Residual, SumPool


def run(lowered: Lowered, sample: list[list[int]]) -> tuple[dict[str, list[list[int]]], list[int]]:
    """Return what every population sends [step][neuron], and the logits, from weights and delays one by one."""
    sent: dict[str, list[list[int]]] = {INPUT: sample}
    readout = lowered.populations[-1]
    logits = [0] * readout.size
    for population, incoming in lowered.layers:
        state: dict[tuple[int, int], int] = {}
        sent[population.name] = out = []
        for step in range(len(sample)):
            total = population.bias.tolist()
            for p in incoming:
                row = step - p.delay - (p.source == p.target)
                if row >= 0:
                    total = (np.array(total) + p.weights.astype(int) @ np.array(sent[p.source][row])).tolist()
            if not population.neuron.spikes:
                logits = [a + b for a, b in zip(logits, total, strict=True)]
            else:
                out.append([loops.neuron(population.neuron, v, state, (0, i), len(total)) for i, v in enumerate(total)])
        if population is readout and population.neuron.spikes:
            logits = np.sum(out, axis=0).tolist()
    return sent, logits


@pytest.mark.parametrize("name", CASES)
def test_what_is_lowered_computes_the_network(name: str) -> None:
    network = CASES[name]
    lowered = lower(network)
    assert (lowered.steps, lowered.n_inputs, lowered.labels) == (network.steps, network.n_in, None)
    for sample in np.random.default_rng(3).integers(0, 2, (4, network.steps, network.n_in)).tolist():
        expected, logits = by_numbers(network, sample)
        sent, found = run(lowered, sample)
        assert found == logits
        for index, layer in enumerate(network.layers):
            population = "readout" if index == len(network.layers) - 1 else f"hidden{index}"
            if layer.neuron is not None and layer.neuron.spikes:
                assert sent[population] == expected[index]


def ends(lowered: Lowered) -> dict[str, list[tuple[str, int]]]:
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for p in lowered.projections:
        found[p.target].append((p.source, p.delay))
    return dict(found)


def test_relays_stand_at_every_depth_between() -> None:
    network = skipping(Residual(INPUT_LAYER, 2), Residual(0, 4, through(3, 24)), Residual(1, 3))
    lowered = lower(network)
    assert [(p.name, p.size) for p in lowered.populations] == [
        ("hidden0", 24),
        ("input.relay1", 24),
        ("hidden1", 24),
        ("input.relay2", 24),
        ("hidden0.relay2", 24),
        ("hidden2", 24),
        ("hidden1.relay3", 24),
        ("hidden0.relay3", 24),
        ("hidden3", 24),
        ("hidden0.relay4", 24),
        ("readout", 3),
    ]
    assert ends(lowered) == {
        "hidden0": [("input", 0)],
        "input.relay1": [("input", 0)],
        "hidden1": [("hidden0", 0)],
        "input.relay2": [("input.relay1", 0)],
        "hidden0.relay2": [("hidden0", 0)],
        "hidden2": [("hidden1", 0), ("input.relay2", 0)],
        "hidden1.relay3": [("hidden1", 0)],
        "hidden0.relay3": [("hidden0.relay2", 0)],
        "hidden3": [("hidden2", 0), ("hidden1.relay3", 0)],
        "hidden0.relay4": [("hidden0.relay3", 0)],
        "readout": [("hidden3", 0), ("hidden0.relay4", 0)],
    }
    relays = [p for p in lowered.populations if "relay" in p.name]
    assert all(p.neuron == Threshold() and not p.bias.any() for p in relays)
    for p in lowered.projections:
        if "relay" in p.target:
            np.testing.assert_array_equal(p.weights, np.eye(24))


def test_relays_hand_on_graded_spikes_as_they_are() -> None:
    layers = [dense(3, 3, GradedRelu(1)), dense(3, 3), dense(3, 3), dense(3, 3, "readout")]
    graded = lower(cn.DiscreteNetwork(layers, residuals=[Residual(0, 2), Residual(INPUT_LAYER, 2)]))
    neurons = {p.name: p.neuron for p in graded.populations}
    assert neurons["hidden0.relay2"] == GradedRelu()
    assert neurons["input.relay1"] == neurons["input.relay2"] == Threshold()
    layers[0] = dense(3, 3, SigmaDelta(1, 0))
    changes = cn.DiscreteNetwork(layers, residuals=[Residual(0, 2)], steps=2)
    with pytest.raises(InputError, match="residual connection from hidden0: sigma_delta neurons send negative values"):
        lower(changes)


def test_relays_serve_every_connection_from_where_they_come() -> None:
    lowered = lower(skipping(Residual(0, 2), Residual(0, 3), Residual(0, 4, through(3, 24))))
    relays = [p.name for p in lowered.populations if "relay" in p.name]
    assert sorted(relays) == ["hidden0.relay2", "hidden0.relay3", "hidden0.relay4"]


def test_what_a_network_says_of_itself_goes_along() -> None:
    encoder = ThermometerEncoder(np.array([[0.5], [1.5]]))
    lowered = lower(cn.DiscreteNetwork([dense(3, 2, FIRE), through(2, 3)], encoder, labels="ab"))
    assert (lowered.encoder, lowered.labels, lowered.steps, lowered.value) == (encoder, ("a", "b"), 4, None)
    number = lower(cn.DiscreteNetwork([through(1, 2)], value=ValueScale(2.0)))
    assert number.value == ValueScale(2.0)
    assert [p.name for p in number.populations] == ["readout"]
    (population, incoming), *_ = lowered.layers
    assert (population.name, [p.source for p in incoming]) == ("hidden0", ["input"])


def test_biases_are_those_of_the_neurons() -> None:
    layers = [
        conv(2, (1, 3, 3), bias=[5, -7]),
        MaxPool(2, input_shape=(2, 2, 2)),
        dense(3, 2, "readout", bias=[1, 2, 3]),
    ]
    biases = [p.bias.tolist() for p in lower(cn.DiscreteNetwork(layers)).populations]
    assert biases == [[5] * 4 + [-7] * 4, [0, 0], [1, 2, 3]]


def test_every_kind_of_layer_has_its_kind_of_projection() -> None:
    for layer, kind in (
        (dense(2, 3), Projection),
        (conv(2, (1, 3, 3)), ConvProjection),
        (SumPool(2, input_shape=(2, 4, 4)), ConvProjection),
        (MaxPool(2, input_shape=(2, 4, 4)), ConvProjection),
    ):
        found = projection_of(layer, "a", "b")
        assert (type(found), found.source, found.target, found.delay) == (kind, "a", "b", 0)
        lit = [loops_sums(layer, index) for index in range(layer.n_in)]  # type: ignore[attr-defined]
        np.testing.assert_array_equal(found.weights, np.array(lit).T)
    with pytest.raises(InputError, match="b: a layer of type Flatten cannot be compiled; allowed: Dense"):
        projection_of(Flatten((3,)), "a", "b")


def loops_sums(layer: Any, index: int) -> list[int]:
    lit = [int(i == index) for i in range(layer.n_in)]
    if isinstance(layer, MaxPool):
        return loops.pooled(layer, lit)
    silent = loops.potentials(layer, [0] * layer.n_in)
    return [a - b for a, b in zip(loops.potentials(layer, lit), silent, strict=True)]


def table(projections: Any) -> dict[int, list[list[int]]]:
    return {p.delay: p.weights.tolist() for p in projections}


def test_delays_part_a_layer_into_projections() -> None:
    weights = [[1, 2, 0], [3, 0, 5]]

    def parts(delay: Any) -> Any:
        return projections_of(Dense(weights, delay=delay), "a", "b")

    assert table(parts(0)) == {0: weights}
    assert table(parts(7)) == {7: weights}
    assert table(parts([0, 1, 0])) == {0: [[1, 0, 0], [3, 0, 5]], 1: [[0, 2, 0], [0, 0, 0]]}
    assert table(parts([[2, 1, 0], [2, 0, 1]])) == {1: [[0, 2, 0], [0, 0, 5]], 2: [[1, 0, 0], [3, 0, 0]]}
    assert all(isinstance(p, Projection) and (p.source, p.target) == ("a", "b") for p in parts([0, 1, 0]))
    empty = projections_of(Dense([[0, 0]], delay=[0, 1]), "a", "b")
    assert [(p.delay, p.n_synapses) for p in empty] == [(0, 0)]

    kernel = Conv2d([[[[1, 2]]]], input_shape=(1, 1, 3), delay=[0, 4, 0])
    assert table(projections_of(kernel, "a", "b")) == {0: [[1, 0, 0], [0, 0, 2]], 4: [[0, 2, 0], [0, 1, 0]]}
    assert all(isinstance(p, SparseProjection) for p in projections_of(kernel, "a", "b"))
    (silent,) = projections_of(Conv2d([[[[0, 0]]]], input_shape=(1, 1, 3), delay=[0, 4, 0]), "a", "b")
    assert (silent.delay, silent.n_synapses) == (0, 0)
    (all_later,) = projections_of(Conv2d([[[[1, 2]]]], input_shape=(1, 1, 3), delay=3), "a", "b")
    assert isinstance(all_later, ConvProjection)
    assert all_later.delay == 3
    unseen = projections_of(Conv2d([[[[1]]]], input_shape=(1, 1, 3), stride=2, delay=[0, 4, 0]), "a", "b")
    assert table(unseen) == {0: [[1, 0, 0], [0, 0, 1]]}


def test_ways_back_lead_from_a_population_to_itself() -> None:
    own = [Recurrent(0, drawn(4, 4), 2), Recurrent(0, drawn(4, 4))]
    lowered = lower(to_itself(*own))
    assert ends(lowered)["hidden0"] == [("input", 0), ("hidden0", 2), ("hidden0", 0)]
    found = {p.delay: p.weights for p in lowered.incoming("hidden0") if p.source == "hidden0"}
    np.testing.assert_array_equal(found[2], own[0].weight)
    np.testing.assert_array_equal(found[0], own[1].weight)


def test_layers_without_neurons_stand_in_the_weights_of_the_next() -> None:
    pool = SumPool(2, input_shape=(1, 4, 4))
    layers = [pool, Flatten((1, 2, 2)), dense(3, 4), through(2, 3)]
    first, _ = lower(cn.DiscreteNetwork(layers)).projections
    pooled = np.array([loops_sums(pool, index) for index in range(16)]).T
    np.testing.assert_array_equal(first.weights, layers[2].weight @ pooled)  # type: ignore[attr-defined]
    assert (first.source, first.target) == (INPUT, "hidden2")
    kept = [dense(4, 3), Flatten((4,)), dense(4, 4), through(2, 4)]
    skipped = cn.DiscreteNetwork(kept, residuals=[Residual(1, 3, through(2, 4))])
    assert ends(lower(skipped)) == {
        "hidden0": [("input", 0)],
        "hidden2": [("hidden0", 0)],
        "hidden0.relay2": [("hidden0", 0)],
        "readout": [("hidden2", 0), ("hidden0.relay2", 0)],
    }


def test_what_skips_layers_from_a_pool_comes_through_its_relay() -> None:
    pool = SumPool(2, input_shape=(1, 4, 4))
    across = through(6, 4)
    layers = [dense(16, 3), pool, dense(5, 4), dense(6, 5), through(2, 6)]
    lowered = lower(cn.DiscreteNetwork(layers, residuals=[Residual(1, 3, across)]))
    assert ends(lowered)["hidden3"] == [("hidden2", 0), ("hidden0.relay2", 0)]
    (found,) = (p for p in lowered.incoming("hidden3") if "relay" in p.source)
    pooled = np.array([loops_sums(pool, index) for index in range(16)]).T
    np.testing.assert_array_equal(found.weights, across.weight @ pooled)
