"""Sigma-delta neurons against Lava's own process, and everywhere that networks of them run."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.backends import load_backend
from conntra_hardware.base.errors import DoesNotFit, InputError, UnsupportedProgram
from conntra_hardware.cost.energy import estimate_all
from conntra_hardware.fit.overflow import prove_no_overflow, spans_of
from conntra_hardware.neurons import GRADED_MAX, neuron_from_dict, neuron_to_dict
from conntra_hardware.program.program_file import load_program, save_program
from conntra_hardware.proof.verify import verify

SUPPORT = Path(__file__).resolve().parents[1] / "support"
N_IN, FIRST, NEXT, CLASSES = 12, 9, 7, 4


def lava() -> bool:
    return load_backend("lava").availability().ok


def any_neuron(rng: np.random.Generator) -> cn.SigmaDelta:
    return cn.SigmaDelta(
        int(rng.integers(0, 12)),
        shift=int(rng.integers(0, 3)),
        activation=str(rng.choice(["relu", "linear"])),  # type: ignore[arg-type]
        cumulative_error=bool(rng.integers(2)),
    )


def random_network(seed: int, plain: bool = False) -> tuple[cn.DiscreteNetwork, np.ndarray]:
    """Return a network of sigma-delta layers, read or counted, and its spikes (n, steps, N_IN).

    Unless ``plain`` there is a graded ReLU between them now and then, whose bias stock Lava cannot shift.
    """
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(1, 9))

    def layer(n_out: int, n_in: int, neuron: Any) -> cn.Dense:
        return cn.Dense(rng.integers(-3, 4, (n_out, n_in)), rng.integers(-4, 5, n_out), neuron)

    between = any_neuron(rng) if rng.random() < 0.7 or plain else cn.GradedRelu(1)
    last: Any = "readout" if rng.random() < 0.6 else any_neuron(rng)
    layers = [layer(FIRST, N_IN, any_neuron(rng)), layer(NEXT, FIRST, between), layer(CLASSES, NEXT, last)]
    spikes = (rng.random((int(rng.integers(1, 6)), steps, N_IN)) < 0.3).astype(np.uint8)
    return cn.DiscreteNetwork(layers, steps=steps), spikes


@pytest.mark.skipif(find_spec("lava") is None, reason="needs Lava in this Python")
def test_lavas_own_process_sends_the_same() -> None:
    """Sums of both signs, both activations, both rules, all exponents, 60 steps of 40 neurons each."""
    rng = np.random.default_rng(0)
    runs, expected = [], []
    for act_mode, activation in (("RELU", "relu"), ("UNIT", "linear")):
        for cumulative in (False, True):
            for spike_exp, state_exp in ((0, 0), (2, 3), (0, 6)):
                sums = rng.integers(-200, 210, (60, 40)) * (rng.random((60, 40)) < 0.4)
                bias, vth = rng.integers(-3, 4, 40), int(rng.integers(1, 9))
                scale = spike_exp + state_exp
                runs.append({"sums": sums.tolist(), "vth": vth, "bias": bias.tolist(), "act_mode": act_mode,
                             "cum_error": cumulative, "spike_exp": spike_exp, "state_exp": state_exp})  # fmt: skip
                neuron = cn.SigmaDelta(vth << scale, state_exp, activation, cumulative)  # type: ignore[arg-type]
                expected.append(neuron.respond(sums[None], bias << scale)[0])
    child = [sys.executable, str(SUPPORT / "plain_sigma_delta.py")]
    done = subprocess.run(child, input=json.dumps(runs).encode(), capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for one, spikes in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, spikes)
        assert spikes.min() < 0 < spikes.max()
        assert 0.02 < np.mean(spikes == 0) < 0.98


def test_without_a_threshold_what_was_sent_adds_up_to_the_activation() -> None:
    rng = np.random.default_rng(1)
    sums, bias = rng.integers(-9, 10, (3, 20, 5)), rng.integers(-5, 6, 5)
    sent = cn.SigmaDelta(0).respond(sums, bias)
    np.testing.assert_array_equal(sent.cumsum(axis=1), np.maximum(sums.cumsum(axis=1) + bias, 0))


@pytest.mark.parametrize("seed", range(40))
def test_the_reference_and_the_loop_agree_with_forward(seed: int) -> None:
    network, spikes = random_network(seed)
    program = cn.compile(network, chip="loihi2")
    for backend in ("reference", "loop"):
        held_to_forward(network, program, spikes, backend)


def held_to_forward(network: cn.DiscreteNetwork, program: Any, spikes: np.ndarray, backend: str) -> None:
    result, outputs = program.run(spikes, backend=backend), network.outputs(spikes)
    np.testing.assert_array_equal(result.logits, network.forward(spikes))
    for index, (layer, output) in enumerate(zip(network.layers[:-1], outputs[:-1], strict=True)):
        if layer.neuron is not None:
            np.testing.assert_array_equal(result.spikes[f"hidden{index}"], output)


@pytest.mark.parametrize("backend", ["lava", "lava-stock", "brian2"])
@pytest.mark.parametrize("seed", range(5))
def test_simulators_agree_with_forward(seed: int, backend: str) -> None:
    """Several samples, one after the other: no state may reach the next."""
    if not load_backend(backend).availability().ok:
        pytest.skip(f"no {backend} here")
    network, spikes = random_network(seed, plain=backend == "lava-stock")
    held_to_forward(network, cn.compile(network, chip="loihi2"), spikes, backend)


@pytest.mark.parametrize("backend", ["reference", "loop", "lava", "brian2"])
def test_convolutions_and_pooling(backend: str) -> None:
    if not load_backend(backend).availability().ok:
        pytest.skip(f"no {backend} here")
    rng = np.random.default_rng(3)
    conv = cn.Conv2d(rng.integers(-2, 3, (3, 1, 3, 3)), [1, 0, -1], cn.SigmaDelta(3), input_shape=(1, 6, 6))
    pool = cn.SumPool(2, input_shape=conv.output_shape)
    last = cn.Dense(rng.integers(-1, 2, (4, pool.n_out)), activation="readout")
    network = cn.DiscreteNetwork([conv, pool, last], steps=5)
    spikes = (rng.random((6, 5, 36)) < 0.2).astype(np.uint8)
    held_to_forward(network, cn.compile(network, chip="loihi2"), spikes, backend)


def test_a_stream_goes_on_where_it_was() -> None:
    network, spikes = random_network(2)
    stream, rows = network.stream(), spikes[0]
    parts = [stream.push(part) for part in np.array_split(rows, 3)]
    last = network.layers[-1].neuron
    whole = np.concatenate(parts)
    assert np.array_equal(whole.sum(axis=0) if last.spikes else whole[-1], network.forward(spikes[:1])[0])


@pytest.mark.parametrize("seed", range(60))
def test_bounds_hold_and_the_longest_sample_has_no_larger_ones(seed: int) -> None:
    network, spikes = random_network(seed)
    program = cn.compile(network, chip="loihi2")
    spans = spans_of(program.populations, program.incoming, program.steps)
    outputs = [o.reshape(len(spikes), network.steps, -1) for o in network.outputs(spikes)[:-1]]
    for index, sent in enumerate(outputs):
        span = spans[f"hidden{index}"]
        assert (sent >= span.low).all()
        assert (sent <= span.high).all()
        if span.least is not None and span.most is not None:
            total = sent.cumsum(axis=1)
            assert (total >= span.least).all()
            assert (total <= span.most).all()
    proofs = {p.population: p for p in prove_no_overflow(program) if p.register == "loihi2"}
    assert all(proof.holds for proof in proofs.values())
    before = spikes
    for index, layer in enumerate(network.layers):
        sums = layer.sums(before.reshape(-1, layer.n_in)).reshape(len(spikes), network.steps, -1)
        held = layer.neuron.held(sums, layer.neuron_bias)
        proof = proofs["readout" if index == 2 else f"hidden{index}"]
        assert held.min() >= proof.low
        assert held.max() <= proof.high
        before = outputs[index] if index < 2 else before


def test_bounds_are_reached() -> None:
    """One neuron that is driven up and then down again: the largest and the least spike, and the register's ends."""
    layer = cn.Dense([[3, -4]], [1], cn.SigmaDelta(2, activation="linear"))
    program = cn.compile(
        cn.DiscreteNetwork([layer, cn.Dense([[1], [-1]], activation="readout")], steps=2), chip="loihi2"
    )
    held = [layer.neuron.held(layer.sums(np.array(rows)).reshape(1, 2, 1), 1) for rows in ([[1, 0]] * 2, [[0, 1]] * 2)]
    proof = next(p for p in prove_no_overflow(program) if p.population == "hidden0" and p.register == "loihi2")
    assert (int(min(h.min() for h in held)), int(max(h.max() for h in held))) == (-7, 7)
    assert (proof.low, proof.high) == (-8, 8)  # steps times a step's sum, with the bias at each
    span = spans_of(program.populations, program.incoming, 2)["hidden0"]
    assert span.most is not None
    assert span.most.tolist() == [9]  # the activation, and a residue


def test_deep_networks_over_many_steps_are_proved() -> None:
    """Bounds by steps alone would be beyond 24 bits behind the first layer: 64 steps of 64 inputs, three times."""
    rng = np.random.default_rng(5)
    sizes = [64, 32, 32, 32]
    layers = [
        cn.Dense(rng.integers(-1, 2, (n, m)), activation=cn.SigmaDelta(8, shift=6))
        for m, n in itertools.pairwise(sizes)
    ]
    network = cn.DiscreteNetwork([*layers, cn.Dense(rng.integers(-1, 2, (4, 32)), activation="readout")], steps=64)
    assert all(proof.holds for proof in prove_no_overflow(cn.compile(network, chip="loihi2")))


def test_it_goes_all_the_way(tmp_path: Path) -> None:
    network, spikes = random_network(4)
    program = cn.compile(network, chip="loihi2")
    assert verify(program, spikes, backends=["reference", "loop"]).equal
    result = program.run(spikes)
    assert result.counts is not None
    counts = result.counts.totals()
    sent = [o for o in network.outputs(spikes) if o.ndim == 2 and len(o) == len(spikes) * network.steps]
    assert counts["spikes"] == sum(int(np.count_nonzero(o)) for o in sent)
    assert all(estimate.dynamic_j > 0 for estimate in estimate_all(result.counts, program))
    save_program(program, tmp_path / "a.program")
    assert load_program(tmp_path / "a.program").populations[0].neuron == network.layers[0].neuron
    cn.save(network, tmp_path / "a.conntra")
    np.testing.assert_array_equal(cn.load(tmp_path / "a.conntra").forward(spikes), network.forward(spikes))
    neuron = network.layers[0].neuron
    assert neuron_from_dict(neuron_to_dict(neuron)) == neuron


def test_chips_and_formats_without_signed_graded_spikes_refuse_by_name(tmp_path: Path) -> None:
    network, spikes = random_network(4)
    with pytest.raises(DoesNotFit, match=r"spikes of loihi1 have no value: use a chip with graded spikes"):
        cn.compile(network, chip="loihi1")
    for name in ("a.nir", "a.net", "a.h"):
        with pytest.raises(InputError, match=r"sigma_delta|counted"):
            cn.export(network, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    program = cn.compile(network, chip="loihi2")
    for backend in ("sanafe", "loihi-dry"):
        if load_backend(backend).availability().ok:
            with pytest.raises(UnsupportedProgram, match="sigma_delta"):
                program.run(spikes, backend=backend)


def test_relays_do_not_hand_on_negative_spikes() -> None:
    eye = np.eye(3, dtype=int)
    layers = [cn.Dense(eye, activation=cn.SigmaDelta(1)) for _ in range(3)]
    network = cn.DiscreteNetwork([*layers, cn.Dense(eye, activation="readout")], steps=4, residuals=[cn.Residual(0, 2)])
    assert network.forward(np.ones((1, 4, 3), np.uint8)).any()  # the network itself can say it
    with pytest.raises(InputError, match=r"residual connection from hidden0: sigma_delta neurons send negative values"):
        cn.compile(network, chip="loihi2")


def test_a_way_back_is_bounded_by_24_bits() -> None:
    layer = cn.Dense([[1]], activation=cn.SigmaDelta(1, activation="linear"))
    network = cn.DiscreteNetwork(
        [layer, cn.Dense([[1], [-1]], activation="readout")], steps=3, recurrent=[cn.Recurrent(0, [[2]])]
    )
    assert network.outputs(np.array([[[1], [0], [0]]], np.uint8))[0].ravel().tolist() == [1, 2, 4]
    with pytest.raises(DoesNotFit, match="hidden0"):
        cn.compile(network, chip="loihi2")


def test_a_spike_beyond_24_bits_is_an_error() -> None:
    neuron = cn.SigmaDelta(1, activation="linear")
    sums = np.full((1, 1, 1), -(GRADED_MAX + 1))
    assert neuron.respond(sums + 1).tolist() == [[[-GRADED_MAX]]]
    with pytest.raises(InputError, match=r"a spike of magnitude 8388608; at most 8388607 fits 24 bits: .* by 1 bits"):
        neuron.respond(sums)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"threshold": -1}, "threshold -1; an integer from 0 to 8388607"),
        ({"threshold": [1, 2]}, "threshold: one number for all neurons"),
        ({"threshold": 1, "shift": 24}, "shift 24; an integer from 0 to 23"),
        ({"threshold": 1, "activation": "tanh"}, "activation 'tanh'; relu or linear"),
        ({"threshold": 1, "cumulative_error": 2}, "cumulative_error 2; True or False"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cn.SigmaDelta(**wrong)
