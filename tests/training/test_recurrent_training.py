"""Training of recurrent layers without a gradient: the network that ships forward, credit through the loop back."""

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
from conntra_hardware.neurons import respond_recurrently
from conntra_neuro.cli.app import main
from conntra_neuro.network.layers import Recurrent
from conntra_neuro.training import fit_spikes
from conntra_neuro.training.architecture.words import parse_neurons
from conntra_neuro.training.gears.blocks import Blocks, BlocksOptions
from conntra_neuro.training.neurons import Terms
from conntra_neuro.training.neurons.lif import LifTraining
from conntra_neuro.training.request import Wanted
from conntra_neuro.training.samples import make_task
from conntra_neuro.training.scoring.costs import fan_outs
from conntra_neuro.training.threads import Threads

STEPS, UNITS = 7, 5
KIND = LifTraining()


def _neuron(seed: int) -> cn.Lif:
    rng = np.random.default_rng(seed)
    decays = [int(rng.choice([0, 163, 1024, 4096])) for _ in range(2)]
    reset: Any = rng.choice(["hard", "soft"])
    return cn.Lif(int(rng.integers(1, 7)), voltage_decay=decays[0], current_decay=decays[1], reset=str(reset))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([np.float32, np.float64]))
def test_it_responds_as_the_network_that_ships(seed: int, dtype: type) -> None:
    rng, neuron = np.random.default_rng(seed), _neuron(seed)
    sums, bias = rng.integers(-6, 7, (4, STEPS, UNITS)), rng.integers(-3, 4, UNITS)
    loop = rng.integers(-3, 4, (UNITS, UNITS))
    expected = respond_recurrently(neuron, sums, bias, [(1, lambda sent: sent.astype(np.int64) @ loop)])
    z = (sums + bias).reshape(-1, UNITS).astype(dtype)
    _, spikes = KIND.respond(neuron, z, bias.astype(dtype), STEPS, loop.astype(dtype))
    assert np.array_equal(spikes.reshape(sums.shape), expected)


def _slowly(neuron: cn.Lif, over: Any, spikes: Any, gain: Any, loop: Any, sigma: float) -> Any:
    """What a sum is worth at each step: by the chain rule, forward from each sum of each unit, a number at a time."""
    curve = KIND.slope(neuron, sigma).astype(float)
    reach = (len(curve) - 1) // 2
    slope = curve[np.clip(over, -reach, reach).astype(int) + reach]
    keeps_u, keeps_v = ((4096 - decay) / 4096 for decay in (neuron.current_decay, neuron.voltage_decay))
    worth = np.zeros(gain.shape)
    for sample, enters, unit in np.ndindex(gain.shape):
        u, v, sent, total = np.zeros(UNITS), np.zeros(UNITS), np.zeros(UNITS), 0.0
        for step in range(enters, STEPS):
            u = u * keeps_u + sent @ loop
            u[unit] += step == enters
            v = v + u  # what is left of v after the last step, and what comes
            sent = v * slope[sample, step]
            total += sent @ gain[sample, step]
            held = over[sample, step] + neuron.threshold
            resets = held if neuron.reset == "hard" else neuron.threshold
            kept = v * (1 - spikes[sample, step]) if neuron.reset == "hard" else v
            v = keeps_v * (kept - resets * sent)
        worth[sample, enters, unit] = total
    return worth


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_credit_goes_back_through_the_loop_and_the_reset(seed: int) -> None:
    rng, neuron = np.random.default_rng(seed), _neuron(seed)
    z = rng.integers(-6, 7, (2 * STEPS, UNITS)).astype(np.float64)
    loop = rng.integers(-1, 2, (UNITS, UNITS)).astype(np.float64)
    over, spikes = KIND.respond(neuron, z, 0.0, STEPS, loop)
    gain = rng.normal(size=z.shape)
    how = Terms(sigma=2.0, bound=1e4, count=100)  # nothing is cut
    found = KIND.terms(neuron, over, spikes, gain.copy(), how, Threads(1), STEPS, loop)
    shape = (2, STEPS, UNITS)
    expected = _slowly(neuron, over.reshape(shape), spikes.reshape(shape), gain.reshape(shape), loop, 2.0)
    np.testing.assert_allclose(found.reshape(shape), expected, atol=1e-8)


def test_recurrent_weights_are_scored_by_what_was_sent_a_step_before() -> None:
    data = moving_pulses(60)
    wanted = Wanted(2, (6,), "lif:400:1500+recurrent@8", input_steps=8)
    task = make_task(data.x_train.reshape(len(data.x_train), -1), data.y_train, wanted)
    gear = Blocks(task, BlocksOptions(batch=40), Threads(1))
    rows = np.arange(40)
    gear._layers[1].weights[:-1] = np.random.default_rng(0).integers(-1, 2, (6, 6))
    scores = [np.array(part) for part in gear._samples.score(rows, None, 0.5).scores]
    network = task.architecture.network(gear.parameters(), task.levels)
    assert network.recurrent[0].weight.any()
    sent = network.activity(data.x_train)[0][0].reshape(40, 8, 6)
    # The terms of each sum, from the scores of inputs that each spike at one step of one sample alone.
    alone = np.zeros((40, 8, 6))
    kept = [layer.weights.copy() for layer in gear._layers]
    terms = LifTraining.terms

    def kept_terms(self: Any, *given: Any) -> Any:
        found = terms(self, *given)
        alone[:] = found.reshape(alone.shape)
        return found

    LifTraining.terms = kept_terms  # type: ignore[method-assign]
    try:
        gear._samples.score(rows, None, 0.5)
    finally:
        LifTraining.terms = terms  # type: ignore[method-assign]
    assert all(np.array_equal(a, layer.weights) for a, layer in zip(kept, gear._layers, strict=True))
    expected = np.einsum("nti,ntj->ij", sent[:, :-1], alone[:, 1:])
    np.testing.assert_allclose(scores[1][:-1], expected, atol=1e-6)
    assert not scores[1][-1].any()
    x = data.x_train.astype(float)
    np.testing.assert_allclose(scores[0][:-1], np.einsum("nti,ntj->ij", x, alone), atol=1e-6)


def test_a_recurrent_network_tells_the_direction_of_a_pulse_without_a_gradient() -> None:
    data = moving_pulses()
    common: dict[str, Any] = {"layers": [24], "encoder": None, "sweeps": 30, "neuron": "lif:4096", "threads": 1}
    blind = cn.train(data, **common)
    seeing = cn.train(data, recurrent=True, fraction_recurrent=0.004, **common)
    assert seeing.neuron == "lif:4096+recurrent@8"
    assert blind.test_error is not None
    assert blind.test_error > 0.3
    assert seeing.test_error is not None
    assert seeing.test_error < 0.2
    assert seeing.history[-1].objective < blind.history[-1].objective / 1.3
    assert seeing.network.error(data.x_test, data.y_test) == seeing.test_error
    program = cn.compile(seeing.network, chip="loihi1")
    assert np.array_equal(program.run(data.x_test).logits, seeing.network.forward(data.x_test))


def test_the_same_seed_trains_the_same_network_and_a_resumed_one_ends_the_same(tmp_path: Path) -> None:
    data = moving_pulses(120)
    options: dict[str, Any] = {"layers": [10, 8], "neuron": "lif:1024:1024", "recurrent": True, "encoder": None}
    options |= {"sweeps": 4, "fraction_recurrent": 0.02, "shift": 1, "elastic": 1}
    one, two = (cn.train(data, threads=threads, checkpoint=tmp_path / str(threads), **options) for threads in (1, 2))

    def stop(state: Any) -> None:
        if state.sweep >= 2:
            raise KeyboardInterrupt

    cn.train(data, checkpoint=tmp_path / "cut", progress=stop, **options)
    resumed = cn.train(data, resume=tmp_path / "cut", **options)
    for other in (two, resumed):
        for a, b in zip(one.network.recurrent, other.network.recurrent, strict=True):
            assert np.array_equal(a.weight, b.weight)
            assert a.weight.any()
    further = cn.train(data, initial=one.network, **options)
    assert further.history[0].train_error == one.train_error


def test_synapses_and_prices_of_recurrent_weights_are_counted() -> None:
    data = moving_pulses(60)
    trained = cn.train(
        data, layers=[6], neuron="lif:1024", recurrent=True, encoder=None, sweeps=2, fraction_recurrent=0.1,
        penalty_synops=0.1, penalty_energy=0.1,
    )  # fmt: skip
    network = trained.network
    arch = make_task(
        data.x_train.reshape(len(data.x_train), -1), data.y_train,
        Wanted(2, (6,), "lif:1024+recurrent@8", input_steps=8),
    ).architecture  # fmt: skip
    found = arch.parameters_of(network, trained.levels)
    weights = [np.vstack([w, b]) for w, b in zip(found.weights, found.biases, strict=True)]
    result = cn.compile(network, chip="loihi1").run(data.x_test)
    x = data.x_test.reshape(-1, 12)
    sent = network.activity(data.x_test)[0][0]
    leaving = fan_outs(arch, weights)
    last = sent.reshape(-1, 8, 6)[:, -1].sum(axis=0)  # what is sent at the last step comes back too late
    late = int(last @ np.count_nonzero(network.recurrent[0].weight, axis=0))
    expected = int(x.sum(axis=0) @ leaving[0] + sent.sum(axis=0) @ leaving[1])
    assert result.counts.totals()["synops"] in (expected, expected - late)


@pytest.mark.parametrize("text", ["lif:163+recurrent@8", "lif:163:1024soft+recurrent@8", "lif:9,lif:2:3+recurrent@8"])
def test_words_survive(text: str) -> None:
    assert str(parse_neurons(text)) == text
    assert parse_neurons(text).recurrent
    assert parse_neurons(text.replace("+recurrent", ""), recurrent=True) == parse_neurons(text)


def test_what_cannot_be_recurrent_is_refused_in_a_line() -> None:
    data = moving_pulses(40)
    plain = cn.train(data, layers=[6], neuron="lif:163", encoder=None, sweeps=1).network
    cases: list[tuple[dict[str, Any], str]] = [
        ({"neuron": "if8"}, "recurrent: 'if8' neurons cannot be trained with it; lif:VOLTAGE_DECAY neurons can"),
        ({"layers": ()}, "give hidden layers"),
        ({"neuron": "lif:163,lif:9,lif:8", "layers": [6, 4]}, "decays of 3 layers; there are 2 hidden ones"),
        ({"neuron": "lif:163,lif:9", "layers": [6, 4, 3]}, "decays of 2 layers; one a hidden layer expected"),
        ({"gear": "exact"}, "use gear blocks"),
        ({"gear": "annealed"}, "use gear blocks"),
        ({"initial": plain}, "no recurrent connection"),
        ({"shift": 8}, "shift 8: samples have 8 time steps; 0 to 7 allowed"),
    ]
    for options, message in cases:
        given: dict[str, Any] = {"layers": [6], "neuron": "lif:163", "encoder": None, "sweeps": 1, "recurrent": True}
        with pytest.raises(InputError, match=message):
            cn.train(data, **{**given, **options})
    images = cn.Dataset(
        "images", *(a.reshape(len(a), *a.shape[1:-1], 1, 3, 4) if a.ndim > 1 else a
                    for a in (data.x_train, data.y_train, data.x_test, data.y_test)), labels=data.labels,
    )  # fmt: skip
    with pytest.raises(InputError, match="recurrent: no dense hidden layer, and convolutions are trained without"):
        cn.train(images, layers="conv2k2", neuron="lif:163", recurrent=True, encoder=None, sweeps=1)
    looped = cn.DiscreteNetwork(plain.layers, steps=8, recurrent=[Recurrent(0, np.eye(6, dtype=int), delay=2)])
    with pytest.raises(InputError, match="recurrent layer 0: cannot be trained; one a dense layer"):
        cn.train(data, layers=[6], neuron="lif:163", recurrent=True, encoder=None, sweeps=1, initial=looped)
    whole = cn.DiscreteNetwork(plain.layers, steps=8, recurrent=[Recurrent(0, np.eye(6, dtype=int))])
    with pytest.raises(InputError, match="train it with recurrent, --recurrent"):
        cn.train(data, layers=[6], neuron="lif:163", encoder=None, sweeps=1, initial=whole)


def test_each_layer_has_decays_of_its_own(tmp_path: Path) -> None:
    data = moving_pulses(60)
    common: dict[str, Any] = {"layers": [6, 4], "encoder": None, "sweeps": 1}
    trained = cn.train(data, neuron="lif:163:1024,lif:512", **common)
    assert trained.neuron == "lif:163:1024,lif:512@8"
    neurons: list[Any] = [layer.neuron for layer in trained.network.layers[:-1]]
    assert [(n.voltage_decay, n.current_decay) for n in neurons] == [(163, 1024), (512, 4096)]
    cn.save(trained.network, tmp_path / "two.conntra")
    again = cn.train(data, neuron=trained.neuron, initial=trained.network, **common)
    assert again.history[0].train_error == trained.train_error
    with pytest.raises(InputError, match="lif:163:1024@8 neurons cannot be trained as lif:163@8"):
        cn.train(data, neuron="lif:163,lif:512", initial=trained.network, **common)


def test_samples_over_time_are_moved_in_time_alone() -> None:
    data = moving_pulses(60)
    wanted = Wanted(2, (6,), "lif:400@8", input_steps=8)
    task = make_task(data.x_train.reshape(len(data.x_train), -1), data.y_train, wanted)
    gear = Blocks(task, BlocksOptions(shift=2), Threads(1))
    moves = gear.augmentation.draw(np.random.default_rng(0), 40)
    assert moves is not None
    batch: Any = gear._samples.inputs.batch(np.arange(40), np.float32, moves)  # type: ignore[attr-defined]
    for row, by, sample in zip(batch.x[:, :-1].reshape(40, 8, 12), moves[:, 0], data.x_train, strict=True):
        expected = np.zeros((8, 12))
        for step in range(8):
            if 0 <= step + by < 8:
                expected[step + by] = sample[step]
        assert np.array_equal(row, expected)
    bent = Blocks(task, BlocksOptions(elastic=1.0), Threads(1)).augmentation.draw(np.random.default_rng(0), 40)
    batch = gear._samples.inputs.batch(np.arange(40), np.float32, bent)  # type: ignore[attr-defined]
    warped = batch.x[:, :-1].reshape(40, 8, 12)
    shown = {tuple(row) for row in data.x_train.reshape(-1, 12)} | {(0,) * 12}
    assert {tuple(row) for row in warped.reshape(-1, 12)} <= shown  # each step is a step of the sample, whole
    assert not np.array_equal(warped, data.x_train[:40])


def test_the_command_line_trains_recurrent_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = moving_pulses(60), str(tmp_path / "m.conntra")
    np.savez(tmp_path / "p.npz", x_train=data.x_train, y_train=data.y_train, x_test=data.x_test, y_test=data.y_test)
    where = f"npz:{tmp_path / 'p.npz'}"
    options = ["--encoder", "none", "--sweeps", "2", "--quiet"]
    given = ["train", where, "--layers", "6,5", "--neuron", "lif:410,lif:99:7", "--recurrent", *options]
    assert main([*given, "--option", "fraction_recurrent=0.05", "--out", out]) == 0
    assert main(["train", where, "--from", out, *options, "--out", str(tmp_path / "again.conntra")]) == 0
    assert main(["compile", out, "--chip", "loihi1", "--out", str(tmp_path / "c.conntra"), "--quiet"]) == 0
    assert (
        main(["verify", str(tmp_path / "c.conntra"), "--data", where, "--backends", "reference,loop", "--quiet"]) == 0
    )
    capsys.readouterr()
    assert main(["train", where, "--layers", "6", "--recurrent", *options]) == 2
    assert "recurrent: 'threshold' neurons cannot be trained with it" in capsys.readouterr().err


def test_fit_spikes_takes_recurrent_words() -> None:
    data = moving_pulses(60)
    rows = data.x_train.reshape(len(data.x_train), -1)
    fit = fit_spikes(rows, data.y_train, n_classes=2, layers=(6,), neuron="lif:9+recurrent@8", input_steps=8, sweeps=1)
    assert len(fit.network().recurrent) == 1
