"""Loihi's leaky neuron: silicon's own trace, its formulas one number at a time, and every backend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from over_time import by_loops, random_network

import conntra_neuro as cn
from conntra_hardware.backends import load_backend
from conntra_hardware.base.errors import BackendError, InputError
from conntra_hardware.fit.overflow import prove_no_overflow
from conntra_hardware.neurons import neuron_from_dict, neuron_to_dict
from conntra_hardware.program.fingerprint import program_sha256
from conntra_hardware.proof.verify import verify

TRACES = Path(__file__).parents[1] / "data" / "lif_trace"
STEPS = 1000
NEURON = cn.Lif(25, voltage_decay=163)


def trace(name: str) -> np.ndarray:
    return np.loadtxt(TRACES / f"{name}.csv", delimiter=",").astype(int)


def available(backend: str) -> str:
    found = load_backend(backend).availability()
    if not found.ok:
        pytest.skip(found.reason)
    return backend


def states(neuron: cn.Lif, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return v after each step, and the spikes, of one neuron."""
    state, v, spikes = None, [], []
    for total in sums:
        found = neuron.advance(np.array([[[total]]]), 0, state)
        state = found.state
        v.append(int(state[1][0, 0]))
        spikes.append(int(found.sent[0, 0, 0]))
    return np.array(v), np.array(spikes)


@pytest.mark.parametrize("name", ["loihi", "lava_fixed"])
def test_silicons_own_trace(name: str) -> None:
    """The probe shows a spike one step after what we call the row of its input; a chip's shows 128 at a spike."""
    inputs, expected, fired = trace(name).T
    v, spikes = states(NEURON, 10 * inputs)
    assert np.array_equal(spikes[:-1], fired[1:])
    assert np.flatnonzero(fired).tolist() == [461, 511, 711, 761]
    shown = v[:-1] if name == "lava_fixed" else np.where(spikes[:-1], 128, v[:-1])
    assert np.array_equal(shown, expected[1:])


def silicon() -> tuple[cn.DiscreteNetwork, np.ndarray]:
    """The neuron of the trace, counted; its input."""
    network = cn.DiscreteNetwork([cn.Dense([[10]], activation=NEURON)], steps=STEPS)
    return network, trace("loihi")[:, :1].astype(np.uint8)[None]


@pytest.mark.parametrize("backend", ["reference", "loop", "lava", "lava-stock", "brian2"])
def test_silicons_own_spikes_on_every_backend(backend: str) -> None:
    network, x = silicon()
    result = cn.compile(network, chip="loihi1").run(x, backend=available(backend))
    assert np.flatnonzero(result.spikes["readout"]).tolist() == [460, 510, 710, 760]
    assert result.logits.tolist() == [[4]]


@pytest.mark.parametrize("seed", range(40))
def test_forward_is_the_formula(seed: int) -> None:
    network, x = random_network(seed)
    sent, logits = by_loops(network, x)
    assert np.array_equal(network.forward(x), logits)
    for layer, spikes, expected in zip(network.layers, network.outputs(x), sent, strict=False):
        if layer.neuron is not None and layer.neuron.spikes:
            assert np.array_equal(spikes.reshape(expected.shape), expected)


def runs_as_forward(network: cn.DiscreteNetwork, x: np.ndarray, backend: str, chip: str = "loihi2") -> None:
    program = cn.compile(network, chip=chip)
    result = program.run(x, backend=available(backend))
    assert np.array_equal(result.logits, network.forward(x))
    sent = dict(zip([p.name for p in program.populations], network.outputs(x), strict=True))
    for name, spikes in result.spikes.items():
        assert np.array_equal(spikes, sent[name]), name


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("backend", ["reference", "loop"])
def test_programs_run_as_forward(backend: str, seed: int) -> None:
    runs_as_forward(*random_network(1000 + seed), backend)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("backend", ["lava", "lava-stock", "brian2"])
def test_simulators_run_as_forward(backend: str, seed: int) -> None:
    runs_as_forward(*random_network(2000 + seed, plain=backend == "lava-stock"), backend)


def wide(seed: int = 0) -> tuple[cn.DiscreteNetwork, np.ndarray]:
    """Sums that drive u round and v to its ends."""
    rng = np.random.default_rng(seed)
    neuron = cn.Lif(100_000, voltage_decay=10, current_decay=4096 if seed else 5)
    weight = np.concatenate([np.full((1, 900), 127), np.full((1, 900), -128), rng.integers(-128, 128, (6, 900))])
    network = cn.DiscreteNetwork(
        [
            cn.Dense(weight, activation=neuron),
            cn.Dense(rng.integers(-3, 4, (3, 8)), activation=cn.Readout("last", voltage_decay=7)),
        ],
        steps=6,
    )
    return network, np.ones((2, 6, 900), np.uint8)


@pytest.mark.parametrize("backend", ["reference", "loop", "lava", "lava-stock", "brian2"])
@pytest.mark.parametrize("seed", [0, 1])
def test_u_wraps_round_and_v_stops_everywhere(backend: str, seed: int) -> None:
    network, x = wide(seed)
    held = network.layers[0].neuron.held(np.tile(network.layers[0].sums(x[:, 0]), (6, 1, 1)).transpose(1, 0, 2))
    assert np.abs(held).max() == 2**23 - 1
    runs_as_forward(network, x, backend)


def test_the_overflow_proof_names_what_may_stop() -> None:
    program = cn.compile(wide()[0], chip="loihi2")
    first = [proof for proof in prove_no_overflow(program) if proof.population == "hidden0"]
    assert first
    assert not any(proof.holds for proof in first if proof.register == "loihi2")
    assert "may stop at the ends of its registers" in str(first[0])


@pytest.mark.parametrize("seed", range(25))
def test_no_potential_leaves_its_proved_bounds(seed: int) -> None:
    network, _ = random_network(3000 + seed)
    program = cn.compile(network, chip="loihi2")
    x = (np.random.default_rng(seed).random((30, network.steps, network.n_in)) < 0.7).astype(np.uint8)
    first = network.layers[0]
    bounds = next(p for p in prove_no_overflow(program) if p.population == "hidden0" and p.register == "reference")
    if not network.recurrent or network.recurrent[0].layer != 0:
        sums = network._sums(first, x.reshape(-1, network.n_in)).reshape(30, network.steps, -1)
        held = first.neuron.held(sums, first.neuron_bias)
        assert 64 * bounds.low <= held.min()
        assert held.max() <= 64 * bounds.high


def test_backends_agree_in_one_certificate() -> None:
    network, x = random_network(7, plain=True)
    program = cn.compile(network, chip="loihi1")
    backends = [b for b in ("reference", "loop", "lava", "brian2") if load_backend(b).availability().ok]
    assert verify(program, x, backends=backends).equal


@pytest.mark.parametrize("seed", range(12))
def test_files_keep_all_of_it(seed: int, tmp_path: Path) -> None:
    network, x = random_network(4000 + seed)
    cn.save(network, tmp_path / "a.conntra")
    again = cn.load(tmp_path / "a.conntra")
    assert isinstance(again, cn.DiscreteNetwork)
    assert again.steps == network.steps
    assert np.array_equal(again.forward(x), network.forward(x))
    program = cn.compile(network, chip="loihi2")
    cn.save(program, tmp_path / "a.program")
    loaded = cn.load(tmp_path / "a.program")
    assert isinstance(loaded, cn.Program)
    assert program_sha256(loaded) == program_sha256(program)
    assert np.array_equal(loaded.run(x).logits, network.forward(x))


def test_fingerprints_tell_every_parameter_apart() -> None:
    def program(neuron: cn.Lif, steps: int = 5, delay: int = 0, back: int | None = None) -> cn.Program:
        layers = [
            cn.Dense(np.ones((3, 2), int), activation=neuron, delay=delay),
            cn.Dense(np.ones((2, 3), int), activation="readout"),
        ]
        loops = [] if back is None else [cn.Recurrent(0, np.eye(3, dtype=int), back)]
        return cn.compile(cn.DiscreteNetwork(layers, steps=steps, recurrent=loops), chip="loihi1")

    first = cn.Lif(3, voltage_decay=100)
    changed = [
        replace(first, threshold=4),
        replace(first, voltage_decay=101),
        replace(first, current_decay=4095),
        replace(first, reset="soft"),
        replace(first, strict=False),
        replace(first, refractory=1),
    ]
    programs = [program(first), *map(program, changed), program(first, steps=6), program(first, delay=1)]
    programs += [program(first, back=0), program(first, back=1)]
    assert len({program_sha256(p) for p in programs}) == len(programs)


def test_a_leaky_neuron_is_active_while_anything_is_left() -> None:
    """One input spike, then silence: the charge keeps its neuron active until it has decayed."""
    x = np.zeros((1, 12, 1), np.uint8)
    x[0, 0] = 1
    active = {}
    for decay in (4096, 2048, 0):
        layers = [
            cn.Dense([[1]], activation=cn.Lif(9, voltage_decay=decay)),
            cn.Dense([[1], [1]], activation="readout"),
        ]
        program = cn.compile(cn.DiscreteNetwork(layers, steps=12), chip="loihi1")
        active[decay] = program.run(x).counts.by_layer()["hidden0"]["active_updates"]
    assert active == {4096: 2, 2048: 8, 0: 12}  # 64, 32, ... 1, and the step at which the last of it goes


def test_delayed_synapses_into_one_population_share_packets() -> None:
    weight = np.ones((4, 3), int)
    spread = cn.Dense(weight, activation=cn.Lif(2, voltage_decay=9), delay=[[0, 1, 2]] * 2 + [[3, 1, 0]] * 2)
    at_once = cn.Dense(weight, activation=cn.Lif(2, voltage_decay=9))
    readout = cn.Dense(np.ones((2, 4), int), activation="readout")
    x = np.ones((1, 5, 3), np.uint8)
    counts = [
        cn.compile(cn.DiscreteNetwork([first, readout], steps=5), chip="loihi1").run(x).counts.totals()
        for first in (at_once, spread)
    ]
    assert counts[0]["synops"] - counts[1]["synops"] == 2 * (counts[0]["spikes"] - counts[1]["spikes"])
    packets = [c["packets"] - c["spikes"] for c in counts]
    assert packets == [15, 15]


def test_a_recurrent_population_sends_to_its_own_core() -> None:
    layers = [
        cn.Dense([[2], [2]], activation=cn.Lif(1, voltage_decay=4096)),
        cn.Dense(np.ones((2, 2), int), activation="readout"),
    ]
    x = np.zeros((1, 4, 1), np.uint8)
    x[0, 0] = 1
    network = cn.DiscreteNetwork(layers, steps=4, recurrent=[cn.Recurrent(0, [[0, 2], [0, 0]])])
    program = cn.compile(network, chip="loihi1")
    result = program.run(x)
    assert result.spikes["hidden0"].tolist() == [[1, 1], [1, 0], [0, 0], [0, 0]]
    assert result.counts.by_layer()["hidden0"]["synops"] == 2 + 1
    axons = {usage.core: usage.resources["input axons"].used for usage in program.usage}
    assert sum(axons.values()) == 1 + 1 + 2


def test_what_arrives_after_the_last_row_is_lost() -> None:
    """Two samples, one behind the other: nothing of the first is in the second, on any backend."""
    layers = [
        cn.Dense([[3]], activation=cn.Lif(2, voltage_decay=0), delay=2),
        cn.Dense([[1], [1]], activation="readout"),
    ]
    network = cn.DiscreteNetwork(layers, steps=3, recurrent=[cn.Recurrent(0, [[3]])])
    x = np.array([[[0], [1], [1]], [[0], [0], [0]], [[1], [0], [0]]], np.uint8)
    assert network.forward(x).tolist() == [[0, 0], [0, 0], [1, 1]]
    for backend in ("reference", "loop", "lava", "lava-stock", "brian2"):
        if load_backend(backend).availability().ok:
            runs_as_forward(network, x, backend)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"threshold": -1}, "threshold -1"),
        ({"threshold": 2**17}, "threshold 131072"),
        ({"voltage_decay": 4097}, "voltage_decay 4097; an integer from 0 to 4096"),
        ({"current_decay": 0.5}, "current_decay 0.5"),
        ({"reset": "none"}, "hard or soft"),
        ({"strict": 1}, "strict 1"),
        ({"refractory": 64}, "refractory 64"),
        ({"threshold": 0, "strict": False}, "spike at every step"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cn.Lif(**{"threshold": 1, "voltage_decay": 0, **parameters})


def test_a_network_that_lives_in_time_is_told_how_long() -> None:
    layers = [cn.Dense([[1]], activation=NEURON), cn.Dense([[1], [1]], activation="readout")]
    with pytest.raises(InputError, match=r"layer 0: lif neurons live in time; give the time steps"):
        cn.DiscreteNetwork(layers)
    for steps in (0, 5000, 2.5):
        with pytest.raises(InputError, match="steps"):
            cn.DiscreteNetwork(layers, steps=steps)  # type: ignore[arg-type]
    both = [cn.Dense([[1]], activation=NEURON), cn.Dense([[1]], activation=cn.IntegrateAndFire(1, 4)), layers[1]]
    with pytest.raises(InputError, match="different time steps"):
        cn.DiscreteNetwork(both, steps=5)
    assert cn.DiscreteNetwork(both).steps == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delay": 64}, "delay 64"),
        ({"delay": [0, 1]}, r"delay of shape \(2,\)"),
        ({"delay": [[0, -1, 2]] * 3}, "delay: from -1"),
    ],
)
def test_delays_out_of_range_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cn.Dense(np.eye(3, dtype=int), activation=NEURON, **options)


def test_recurrent_connections_that_lead_nowhere_are_refused() -> None:
    layers = [cn.Dense(np.ones((3, 2), int), activation=NEURON), cn.Dense(np.ones((2, 3), int), activation="readout")]
    for connection, message in (
        (lambda: cn.Recurrent(2, np.eye(3, dtype=int)), "there are 2 layers"),
        (lambda: cn.Recurrent(1, np.eye(2, dtype=int)), "no neurons that spike"),
        (lambda: cn.Recurrent(0, np.eye(2, dtype=int)), "2 neurons, the layer has 3"),
        (lambda: cn.Recurrent(0, np.ones((3, 2), int)), "from 2 to 3 neurons"),
        (lambda: cn.Recurrent(0, cn.Dense(np.eye(3, dtype=int))), "neurons or biases of its own"),
    ):
        with pytest.raises(InputError, match=message):
            cn.DiscreteNetwork(layers, steps=3, recurrent=[connection()])


def test_graded_spikes_with_a_delay() -> None:
    layers = [
        cn.Dense([[3], [5]], activation=cn.GradedRelu()),
        cn.Dense([[1, 2], [2, -1]], activation=cn.Lif(10, voltage_decay=100), delay=[1, 0]),
        cn.Dense(np.ones((2, 2), int), activation="readout"),
    ]
    network = cn.DiscreteNetwork(layers, steps=4)
    x = np.array([[[1], [0], [1], [1]]], np.uint8)
    for backend in ("reference", "loop", "lava"):
        if load_backend(backend).availability().ok:
            runs_as_forward(network, x, backend)
    if load_backend("brian2").availability().ok:
        with pytest.raises(BackendError, match="graded spikes with a delay"):
            cn.compile(network, chip="loihi2").run(x, backend="brian2")


@pytest.mark.parametrize("name", ["a.nir", "a.net"])
@pytest.mark.parametrize("seed", [5, 6, 9])
def test_formats_that_have_no_words_refuse_by_name(name: str, seed: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"delay|recurrent|lif|counted|a readout that leaks"):
        cn.export(random_network(seed)[0], tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_leaky_network_is_not_trained_as_something_else() -> None:
    data = cn.load_dataset("digits")
    first = cn.train(data, layers=[8], sweeps=1).network
    hidden, readout = first.layers
    leaky = cn.DiscreteNetwork([cn.Dense(hidden.weight, hidden.bias, NEURON, hidden.levels), readout], steps=4)
    with pytest.raises(InputError, match="lif"):
        cn.train(data, layers=[8], initial=leaky, sweeps=1)


@pytest.mark.parametrize(
    "neuron", [NEURON, cn.Lif([1, 2], voltage_decay=[3, 4], strict=False), cn.Readout("max", voltage_decay=5)]
)
def test_neurons_survive_their_file_form(neuron: cn.Lif | cn.Readout) -> None:
    again = neuron_from_dict(neuron_to_dict(neuron))
    assert again == neuron
    assert hash(again) == hash(neuron)


def test_convolutions_leak_delay_and_lead_back() -> None:
    rng = np.random.default_rng(0)
    conv = cn.Conv2d(
        rng.integers(-2, 3, (3, 1, 3, 3)),
        rng.integers(-1, 3, 3),
        cn.Lif([1, 2, 3], voltage_decay=500, current_decay=1000),
        input_shape=(1, 6, 6),
        padding=1,
        delay=1,
    )
    back = cn.Conv2d(rng.integers(-2, 3, (3, 3, 3, 3)), activation="readout", input_shape=(3, 6, 6), padding=1, delay=1)
    pooled = cn.SumPool(2, input_shape=(3, 6, 6))
    last = cn.Dense(rng.integers(-2, 3, (4, 27)), activation=cn.Lif(3, voltage_decay=100), delay=rng.integers(0, 3, 27))
    network = cn.DiscreteNetwork([conv, pooled, last], steps=7, recurrent=[cn.Recurrent(0, back)])
    x = (rng.random((4, 7, 36)) < 0.3).astype(np.uint8)
    assert network.forward(x).any()
    program = cn.compile(network, chip="loihi1")
    for backend in ("reference", "loop", "lava", "brian2"):
        if load_backend(backend).availability().ok:
            result = program.run(x, backend=backend)
            assert np.array_equal(result.logits, network.forward(x)), backend
            assert np.array_equal(result.spikes["hidden0"], network.outputs(x)[0]), backend


def test_a_bias_of_32_bits_is_not_cut_off() -> None:
    """v stops at its end; 64 times the bias does not fit the 32 bits that a layer holds it in."""
    network = cn.DiscreteNetwork(
        [cn.Dense([[0, 1]], [2**26], cn.Lif(2**17 - 1, voltage_decay=0)), cn.Dense([[1], [1]], activation="readout")],
        steps=2,
    )
    x = np.zeros((1, 2, 2), np.uint8)
    assert network.outputs(x)[0].tolist() == [[1], [1]]
    assert network.layers[0].neuron.held(np.zeros((1, 2, 1), int), network.layers[0].bias).tolist() == [
        [[2**23 - 1], [2**23 - 1]]
    ]
