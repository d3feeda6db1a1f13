"""Training of leaky neurons: the integer dynamics of the network that ships, and credit through leak and reset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conntra_neuro as cn
from conntra_hardware.base.errors import InputError
from conntra_neuro.cli.app import main
from conntra_neuro.training.architecture.words import Neurons, parse_neurons
from conntra_neuro.training.neurons import Terms, of_neuron
from conntra_neuro.training.neurons.lif import LifTraining
from conntra_neuro.training.threads import Threads

DECAY = st.sampled_from([0, 1, 163, 1024, 4095, 4096])
ONE = Threads(1)


@st.composite
def neurons(draw: st.DrawFn) -> cn.Lif:
    return cn.Lif(
        draw(st.integers(1, 9)),
        voltage_decay=draw(DECAY),
        current_decay=draw(DECAY),
        reset=draw(st.sampled_from(["hard", "soft"])),
        strict=draw(st.booleans()),
        refractory=draw(st.integers(0, 2)),
    )


@settings(max_examples=80, deadline=None)
@given(neurons(), st.integers(0, 2**31), st.sampled_from([np.float32, np.float64]))
def test_it_responds_as_the_network_that_ships(neuron: cn.Lif, seed: int, dtype: type) -> None:
    rng = np.random.default_rng(seed)
    steps, large = int(rng.integers(1, 9)), 100_000 if seed % 5 == 0 else 6
    sums, bias = rng.integers(-large, large + 1, (4, steps, 5)), rng.integers(-3, 4, 5)
    z = (sums + bias).reshape(-1, 5).astype(dtype)
    over, spikes = LifTraining().respond(neuron, z, bias.astype(dtype), steps)
    expected = neuron.advance(sums, bias)
    assert np.array_equal(spikes.reshape(sums.shape), expected.sent)
    if neuron.refractory == 0:
        fires = expected.held - 64 * neuron.threshold
        assert np.array_equal(over.reshape(sums.shape), -(-fires // 64))


def slowly(neuron: cn.Lif, over: np.ndarray, spikes: np.ndarray, gain: np.ndarray, sigma: float) -> np.ndarray:
    """What a sum at each step is worth, from the formula of each derivative, one number at a time."""
    curve = LifTraining().slope(neuron, sigma).astype(float)
    reach = (len(curve) - 1) // 2
    keeps_u, keeps_v = ((4096 - decay) / 4096 for decay in (neuron.current_decay, neuron.voltage_decay))
    worth = np.zeros(gain.shape)
    n, steps, units = gain.shape
    for sample in range(n):
        for unit in range(units):
            for enters in range(steps):
                u, v_adds, total = 1.0, 0.0, 0.0
                for step in range(enters, steps):
                    v_adds = v_adds + u if step > enters else u
                    at = int(min(max(over[sample, step, unit], -reach), reach)) + reach
                    total += v_adds * curve[at] * gain[sample, step, unit]
                    v_adds *= keeps_v
                    if neuron.reset == "hard" and spikes[sample, step, unit]:
                        v_adds = 0.0
                    u *= keeps_u
                worth[sample, enters, unit] = total
    return worth


@settings(max_examples=30, deadline=None)
@given(neurons(), st.integers(0, 2**31))
def test_credit_goes_back_through_leak_current_and_reset(neuron: cn.Lif, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(1, 8))
    z = rng.integers(-6, 7, (3 * steps, 4)).astype(np.float64)
    kind = of_neuron(neuron)
    over, spikes = kind.respond(neuron, z, 0.0, steps)
    gain = rng.normal(size=z.shape)
    how = Terms(sigma=1.5, bound=float(np.abs(gain).max()), count=100)
    found = kind.terms(neuron, over, spikes, gain.copy(), how, ONE, steps)
    shape = (3, steps, 4)
    expected = slowly(neuron, over.reshape(shape), spikes.reshape(shape), gain.reshape(shape), 1.5)
    np.testing.assert_allclose(found.reshape(shape), expected, atol=1e-9)


PAIRS = (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2)))


def over_time(n: int = 400, steps: int = 12) -> cn.Dataset:
    """Three classes that differ by which groups of inputs spike together, and not by how often any of them does."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, n)
    x = (rng.random((n, steps, 20)) < 0.02).astype(np.uint8)
    for sample, label in enumerate(y):
        for when, groups in zip(rng.permutation([2, 8]), PAIRS[label], strict=True):
            for group in groups:
                for k in range(5 * group, 5 * group + 5):
                    x[sample, when + int(rng.integers(2)), k] = 1
    cut = 3 * n // 4
    return cn.Dataset("times", x[:cut], y[:cut], x[cut:], y[cut:], labels=(0, 1, 2))


def test_a_leaky_network_tells_when_things_happened() -> None:
    data = over_time()
    trained = cn.train(data, layers=[40], neuron="lif:410", encoder=None, seed=0)
    assert trained.neuron == "lif:410@12"
    assert trained.test_error is not None
    assert trained.test_error < 0.1
    assert trained.network.error(data.x_test, data.y_test) == trained.test_error
    program = cn.compile(trained.network, chip="loihi1")
    assert np.array_equal(program.run(data.x_test).logits, trained.network.forward(data.x_test))
    assert program.verify(data.x_test[:5], ["reference", "loop", "brian2"]).equal


def test_the_same_seed_trains_the_same_network_on_any_number_of_threads(tmp_path: Path) -> None:
    data = over_time(200)
    options = {"layers": [16], "neuron": "lif:163:2048soft", "encoder": None, "sweeps": 4, "seed": 3}
    one, two = (cn.train(data, threads=threads, **options) for threads in (1, 2))
    assert np.array_equal(one.network.layers[0].weight, two.network.layers[0].weight)
    cn.train(data, checkpoint=tmp_path, **{**options, "sweeps": 2})
    cut = cn.train(data, checkpoint=tmp_path / "b", **options)
    assert np.array_equal(cut.network.layers[0].weight, one.network.layers[0].weight)


def test_training_goes_on_from_a_leaky_network() -> None:
    data = over_time(200)
    first = cn.train(data, layers=[16], neuron="lif:163", encoder=None, sweeps=3)
    again = cn.train(data, layers=[16], neuron="lif:163", encoder=None, sweeps=3, initial=first.network)
    assert again.train_error <= first.train_error
    with pytest.raises(InputError, match=r"lif:163@12 neurons cannot be trained as lif:164@12"):
        cn.train(data, layers=[16], neuron="lif:164", encoder=None, sweeps=1, initial=first.network)


def test_features_are_repeated_or_encoded_over_the_steps() -> None:
    digits = cn.load_dataset("digits")
    still = cn.train(digits, layers=[32], neuron="lif:1024", steps=4, sweeps=4)
    assert still.network.steps == 4
    assert still.train_error < 0.3
    rates = cn.train(digits, layers=[32], neuron="lif:1024", encoder="rate:6", sweeps=4)
    assert rates.network.steps == 6


@pytest.mark.parametrize("text", ["lif:163@8", "lif:163:1024@8", "lif:0:5soft@8", "if8", "if8soft", "relu"])
def test_words_survive(text: str) -> None:
    assert str(parse_neurons(text)) == text
    assert parse_neurons(str(parse_neurons(text))) == parse_neurons(text)


@pytest.mark.parametrize(
    ("text", "steps", "message"),
    [
        ("lif:163", None, "lives in time; give the time steps of a sample, --steps T"),
        ("lif:4097", 4, "voltage_decay 4097"),
        ("lif", 4, "lif:VOLTAGE_DECAY"),
        ("lif:163@4", 5, "4 time steps of its own, 5 given"),
        ("lif:163", 0, "steps 0"),
    ],
)
def test_words_that_say_too_little_are_refused(text: str, steps: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_neurons(text, steps)
    assert parse_neurons("lif:163", 4) == Neurons("lif", 4, "hard", 163)


def test_what_cannot_be_trained_is_refused_by_name() -> None:
    data = over_time(100)
    for options, message in (
        ({"gear": "exact"}, "use gear blocks"),
        ({"neuron": "threshold", "steps": 3}, "steps 3: 'threshold' has its own"),
    ):
        with pytest.raises(InputError, match=message):
            cn.train(data, layers=[8], encoder=None, sweeps=1, **{"neuron": "lif:163", **options})


def test_the_command_line_trains_spikes_over_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = over_time(200)
    np.savez(tmp_path / "times.npz", x_train=data.x_train, y_train=data.y_train, x_test=data.x_test, y_test=data.y_test)
    where, out = f"npz:{tmp_path / 'times.npz'}", str(tmp_path / "m.conntra")
    options = ["--layers", "16", "--neuron", "lif:410", "--encoder", "none", "--sweeps", "3", "--quiet"]
    given = ["train", where, *options, "--out", out]
    assert main([*given, "--steps", "12", "--quiet"]) == 0
    assert main(["compile", out, "--chip", "loihi1", "--out", str(tmp_path / "p.conntra"), "--quiet"]) == 0
    assert (
        main(["verify", str(tmp_path / "p.conntra"), "--data", where, "--backends", "reference,loop", "--quiet"]) == 0
    )
    capsys.readouterr()
    assert main([*given, "--steps", "7"]) == 2
    assert "7" in capsys.readouterr().err
