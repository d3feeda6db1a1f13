"""Training of delays: which synapse sees what, without a gradient, and what cannot be had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from order_of_events import moving_pulses

import conntra_neuro as cn
from conntra_hardware.base.errors import InputError
from conntra_neuro.cli.app import main
from conntra_neuro.network.layers import Conv2d
from conntra_neuro.training.architecture.words import parse_neurons
from conntra_neuro.training.gears.blocks import Blocks, BlocksOptions
from conntra_neuro.training.layers.delayed import chosen, drawn_delays, seen_late, slots_of, sooner, spread
from conntra_neuro.training.neurons.lif import LifTraining
from conntra_neuro.training.request import Wanted
from conntra_neuro.training.samples import make_task
from conntra_neuro.training.scoring.costs import fan_outs
from conntra_neuro.training.task import Clock, Task, generator
from conntra_neuro.training.threads import Threads

STEPS = 8


def _task(n: int = 60, neuron: str = "lif:400:1500+delays5@8", layers: Any = (6, 5), **more: Any) -> Task:
    data = moving_pulses(n)
    wanted = Wanted(2, layers, neuron, input_steps=STEPS, **more)
    return make_task(data.x_train.reshape(len(data.x_train), -1), data.y_train, wanted)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 9))
def test_rows_are_a_synapse_with_its_delay(seed: int, delays: int) -> None:
    rng = np.random.default_rng(seed)
    weight, delay = rng.integers(-2, 3, (4, 3)), drawn_delays(rng, (4, 3), delays)
    rows = spread(weight, delay, delays)
    found, slots = chosen(rows, delays)
    assert np.array_equal(found, weight)
    assert np.array_equal(slots, np.where(weight != 0, delay, 0))
    x = rng.integers(0, 2, (2, STEPS, 4)).astype(float)
    network = cn.DiscreteNetwork([cn.Dense(weight.T, activation="readout", delay=delay.T)], steps=STEPS)
    seen = seen_late(x.reshape(-1, 4), delays, STEPS)
    summed = (seen @ rows).reshape(2, STEPS, 3).sum(axis=1)
    assert np.array_equal(summed, network.forward(x.astype(np.uint8)))
    # What a row's input is worth goes back to the step that it came from: the two are adjoint.
    gain = rng.integers(-9, 10, seen.shape).astype(float)
    assert (seen * gain).sum() == (x.reshape(-1, 4) * sooner(gain, delays, STEPS)).sum()


@pytest.mark.parametrize("neuron", ["lif:400:1500+delays5@8", "lif:1024+recurrent+delays3@8"])
def test_it_trains_on_the_network_that_ships(neuron: str) -> None:
    data, task = moving_pulses(60), _task(neuron=neuron)
    gear = Blocks(task, BlocksOptions(batch=20, fraction_recurrent=0.05), Threads(1))
    for number in range(3):
        gear.sweep(number, 3, Clock(None), lambda *_: None)
        network = task.architecture.network(gear.parameters(), task.levels)
        assert network.layers[0].is_delayed  # type: ignore[union-attr]
        assert network.error(data.x_train, data.y_train) == gear.evaluate(False).error
        again = task.architecture.parameters_of(network, task.levels)
        for ours, theirs in zip(gear.parameters().weights, again.weights, strict=True):
            assert np.array_equal(ours, theirs)


def test_scores_are_those_of_each_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    task, kept = _task(neuron="lif:400:1500+delays3@8", layers=(6,)), []
    gear, terms = Blocks(task, BlocksOptions(batch=40), Threads(1)), LifTraining.terms

    def kept_terms(self: Any, *given: Any) -> Any:
        kept.append(terms(self, *given).copy())
        return kept[-1]

    monkeypatch.setattr(LifTraining, "terms", kept_terms)
    scores = np.array(gear._samples.score(np.arange(40), None, 0.5).scores[0])
    x, worth = moving_pulses(60).x_train.astype(float), kept[0].reshape(40, STEPS, 6)
    assert worth.any()
    for lag in range(4):
        # A synapse of that delay sees at each step what came in so much before.
        expected = np.einsum("nti,nto->io", x[:, : STEPS - lag], worth[:, lag:])
        np.testing.assert_allclose(scores[12 * lag : 12 * lag + 12], expected, atol=1e-6)
    np.testing.assert_allclose(scores[-1], worth.sum((0, 1)), atol=1e-6)


@pytest.mark.parametrize("moved", [0, 1])
def test_a_synapse_has_one_delay_at_every_step_and_keeps_it_unless_they_move(moved: int) -> None:
    task = _task()
    gear = Blocks(task, BlocksOptions(batch=20, fraction=0.2, move_delays=moved), Threads(1))
    first = gear.parameters().weights[0]
    drawn = drawn_delays_of(task, 0)
    assert np.array_equal(slots_of(first, 5)[chosen(first, 5)[0] != 0], drawn[chosen(first, 5)[0] != 0])
    elsewhere = 0
    for number in range(6):
        gear.sweep(number, 6, Clock(None), lambda *_: None)
        for weight in gear.parameters().weights[:2]:
            assert ((weight.reshape(6, -1, weight.shape[1]) != 0).sum(axis=0) <= 1).all()
        weight, slots = chosen(gear.parameters().weights[0], 5)
        elsewhere += int(((slots != drawn) & (weight != 0)).sum())
    assert not np.array_equal(gear.parameters().weights[0], first)
    assert (elsewhere > 0) == bool(moved)


def drawn_delays_of(task: Task, index: int) -> Any:
    n_in, n_out = task.architecture.weight_shapes[index]
    return drawn_delays(generator(task.seed, 6, index), (n_in // 6, n_out), 5)


def test_delays_let_a_network_without_memory_tell_the_direction_of_an_edge() -> None:
    edges = cn.load_dataset("moving-edge")
    common: dict[str, Any] = {"layers": [16], "neuron": "lif:4096", "sweeps": 5, "threads": 1}
    blind, seeing = cn.train(edges, **common), cn.train(edges, delays=4, **common)
    assert seeing.neuron == "lif:4096+delays4@16"
    assert blind.test_error is not None
    assert blind.test_error > 0.4  # rows from columns, but not one direction from the other
    assert seeing.test_error is not None
    assert seeing.test_error < 0.2
    program, x = cn.compile(seeing.network, chip="loihi2"), edges.x_test[:20]
    assert np.array_equal(program.run(x).logits, seeing.network.forward(x))


@pytest.mark.parametrize("method", ["conntra", "backprop", "warm"])
def test_all_ways_of_training_find_what_delays_are_for(method: str) -> None:
    if method != "conntra":
        pytest.importorskip("jax")
    data = moving_pulses()
    common: dict[str, Any] = {"layers": [24], "encoder": None, "neuron": "lif:4096", "sweeps": 15, "threads": 1}
    seeing = cn.train(data, delays=3, method=method, **common)
    assert seeing.test_error is not None
    assert seeing.test_error < 0.2  # without delays it is chance: test_recurrent_training.py
    assert seeing.network.error(data.x_test, data.y_test) == seeing.test_error


def test_it_is_the_same_on_any_number_of_threads_resumed_and_further(tmp_path: Path) -> None:
    data = moving_pulses(120)
    options: dict[str, Any] = {"layers": [10, 8], "neuron": "lif:1024:1024", "delays": 4, "encoder": None, "sweeps": 4}
    one, two = (cn.train(data, threads=threads, checkpoint=tmp_path / str(threads), **options) for threads in (1, 2))

    def stop(state: Any) -> None:
        if state.sweep >= 2:
            raise KeyboardInterrupt

    cn.train(data, checkpoint=tmp_path / "cut", progress=stop, **options)
    resumed = cn.train(data, resume=tmp_path / "cut", **options)
    layers: list[Any] = [trained.network.layers[0] for trained in (one, two, resumed)]
    for other in layers[1:]:
        assert np.array_equal(layers[0].weight, other.weight)
        assert np.array_equal(layers[0].delay, other.delay)
    further = cn.train(data, initial=one.network, **options)
    assert further.history[0].train_error == one.train_error


def test_synapses_are_counted_once() -> None:
    task = _task()
    gear = Blocks(task, BlocksOptions(batch=20, penalty_synops=0.1, penalty_energy=0.1), Threads(1))
    gear.sweep(0, 1, Clock(None), lambda *_: None)
    network = task.architecture.network(gear.parameters(), task.levels)
    found = fan_outs(task.architecture, [layer.weights for layer in gear._layers])
    for counted, layer in zip(found, network.layers, strict=True):
        assert np.array_equal(counted, np.count_nonzero(layer.weight, axis=0))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text", ["lif:163+delays9@12", "lif:163:1024soft+recurrent+delays3@8", "lif:9,lif:2:3+delays7@8"]
)
def test_words_survive(text: str) -> None:
    assert str(parse_neurons(text)) == text
    found = parse_neurons(text)
    assert parse_neurons(text.replace(f"+delays{found.delays}", ""), delays=found.delays) == found


def test_what_cannot_have_delays_is_refused_in_a_line() -> None:
    data = moving_pulses(40)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"neuron": "if8"}, "delays 3: 'if8' neurons are trained without; lif:VOLTAGE_DECAY neurons with"),
        ({"delays": 8}, "delays 8: samples have 8 time steps; 0 to 7 allowed"),
        ({"delays": 64}, "delays 64: an integer from 0 to 63 expected"),
        ({"levels": "binary"}, "levels binary: delays need a level 0"),
        ({"gear": "exact"}, "use gear blocks"),
        ({"move_delays": 2}, "move_delays 2: 0 to 1 allowed"),
    ]
    for options, message in cases:
        given: dict[str, Any] = {"layers": [6], "neuron": "lif:163", "encoder": None, "sweeps": 1, "delays": 3}
        with pytest.raises(InputError, match=message):
            cn.train(data, **{**given, **options})
    images = cn.Dataset(
        "images", *(a.reshape(len(a), *a.shape[1:-1], 1, 3, 4) if a.ndim > 1 else a
                    for a in (data.x_train, data.y_train, data.x_test, data.y_test)), labels=data.labels,
    )  # fmt: skip
    with pytest.raises(InputError, match="delays 3: no dense hidden layer, and convolutions are trained without"):
        cn.train(images, layers="conv2k2", neuron="lif:163", delays=3, encoder=None, sweeps=1)
    late = cn.train(data, layers=[6], neuron="lif:163", delays=3, encoder=None, sweeps=1).network
    with pytest.raises(InputError, match="delays of up to 3 steps; train it with delays=3, --delays 3"):
        cn.train(data, layers=[6], neuron="lif:163", encoder=None, sweeps=1, initial=late)
    kernel = Conv2d(np.ones((2, 1, 2, 2), int), activation=cn.Lif(2, voltage_decay=0), input_shape=(1, 3, 4), delay=2)
    mixed = cn.DiscreteNetwork([kernel, cn.Dense(np.ones((2, 12), int), activation="readout")], steps=8)
    with pytest.raises(InputError, match="synapses with a delay cannot be trained; those to dense leaky neurons can"):
        cn.train(images, layers="conv2k2", neuron="lif:0", encoder=None, sweeps=1, initial=mixed)


def test_the_command_line_trains_delays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = moving_pulses(60), str(tmp_path / "m.conntra")
    np.savez(tmp_path / "p.npz", x_train=data.x_train, y_train=data.y_train, x_test=data.x_test, y_test=data.y_test)
    where = f"npz:{tmp_path / 'p.npz'}"
    options = ["--encoder", "none", "--sweeps", "2", "--quiet"]
    given = ["train", where, "--layers", "6,5", "--neuron", "lif:410", "--delays", "3", *options]
    assert (
        main([*given, "--drop", "0.1", "--jitter", "1", "--shift-steps", "1", "--shift-units", "1", "--out", out]) == 0
    )
    network = cn.load(out)
    assert network.layers[0].is_delayed  # type: ignore[union-attr]
    assert main(["train", where, "--from", out, *options, "--out", str(tmp_path / "again.conntra")]) == 0
    assert main(["compile", out, "--chip", "loihi2", "--out", str(tmp_path / "c.conntra"), "--quiet"]) == 0
    assert (
        main(["verify", str(tmp_path / "c.conntra"), "--data", where, "--backends", "reference,loop", "--quiet"]) == 0
    )
    capsys.readouterr()
    assert main(["train", where, "--layers", "6", "--delays", "3", *options]) == 2
    assert "delays 3: 'threshold' neurons are trained without" in capsys.readouterr().err
