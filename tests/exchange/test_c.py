"""Generated C: compiled with warnings as errors, it gives the logits of ``forward``, bit for bit."""

from __future__ import annotations

import shutil

import compiled_c
import network_strategies
import numpy as np
import over_time
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import GradedRelu, IntegrateAndFire, Lif, MultiThreshold, Readout
from conntra_hardware.program.input_encoding import ThermometerEncoder, ThresholdEncoder
from conntra_neuro.exchange.c.measure import measure
from conntra_neuro.exchange.c.writer import FEATURES, c_header
from conntra_neuro.exchange.files import export
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Conv2d, Dense, Flatten, Recurrent, Residual, SumPool
from conntra_neuro.network.levels import Levels

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")


def check(networks, samples, folder, packing):
    for network, sample, found in zip(
        networks, samples, compiled_c.run_all(networks, samples, folder, packing), strict=True
    ):
        logits = network.forward(sample)
        np.testing.assert_array_equal(found[:, :-2], logits)
        np.testing.assert_array_equal(found[:, -2], 0)
        np.testing.assert_array_equal(found[:, -1], logits.argmax(axis=1))


@settings(max_examples=7, deadline=None)
@given(
    networks=st.lists(network_strategies.networks((*network_strategies.KINDS, "lif")), min_size=8, max_size=8),
    seed=st.integers(0, 1000),
)
@pytest.mark.parametrize("packing", ["bits", "digits"])
def test_random_networks_of_every_kind(tmp_path_factory, networks, seed, packing):
    """56 networks in each packing: all layers and kinds of neuron, residuals."""
    samples = [network_strategies.inputs(network, 4, seed) for network in networks]
    check(networks, samples, tmp_path_factory.mktemp("c"), packing)


def test_leaky_networks_as_plain_loops_have_them(tmp_path):
    """50 networks: leaks, currents, refractory steps, both resets and rules, parameters a neuron, every readout;
    delays of all kinds, and layers that lead to themselves.
    """
    drawn = [over_time.random_network(seed) for seed in range(50)]
    networks, samples = [network for network, _ in drawn], [spikes for _, spikes in drawn]
    delays = [layer.delay for network in networks for layer in network.layers]
    assert {np.ndim(delay) for delay in delays if np.any(delay)} == {0, 1, 2}
    assert sum(bool(network.recurrent) for network in networks) > 25
    refractory = [layer.neuron for network in networks for layer in network.layers if layer.neuron.facts.refractory]
    assert refractory
    assert {network.layers[-1].neuron.facts.form for network in networks} == {"readout", "leaky readout", "leaky"}
    found = compiled_c.run_all(networks, samples, tmp_path, "bits")
    for network, sample, rows in zip(networks, samples, found, strict=True):
        logits = over_time.by_loops(network, sample)[1]
        np.testing.assert_array_equal(rows[:, :-2], logits)
        np.testing.assert_array_equal(rows[:, -2], 0)


def test_leaky_neurons_spike_for_spike(tmp_path):
    """Each step's spikes of each layer, read from the counts of a network that ends there."""
    for seed in range(200, 206):
        whole, samples = over_time.random_network(seed)
        spikes = over_time.by_loops(whole, samples)[0]
        for index, layer in enumerate(whole.layers):
            if not layer.neuron.spikes:
                continue
            loops = [r for r in whole.recurrent if r.layer <= index]
            ends = DiscreteNetwork(whole.layers[: index + 1], steps=whole.steps, recurrent=loops)
            (tmp_path / "net.h").write_text(c_header(ends).text)
            printed = compiled_c.compile_and_run(STEPWISE, tmp_path, compiled_c.words_of(samples).tobytes())
            counts = np.array(printed.split(), np.int64).reshape(len(samples), whole.steps, layer.n_out)
            np.testing.assert_array_equal(np.diff(counts, axis=1, prepend=0), spikes[index])


def images_with_a_past(seed):
    """Delays and ways back of convolutions, behind pooling, graded spikes and a Flatten; and of the last layer."""
    rng = np.random.default_rng(seed)

    def lif():
        return Lif(int(rng.integers(1, 5)), voltage_decay=int(rng.integers(0, 4097)), current_decay=2000)

    def kernel(*shape):
        return rng.integers(-2, 4, shape)

    back = Conv2d(kernel(2, 2, 3, 3), None, "readout", input_shape=(2, 5, 6), padding=1, delay=rng.integers(0, 3, 60))
    steps = int(rng.integers(1, 10))
    graded = GradedRelu(int(rng.integers(0, 3)))
    layers = [
        Conv2d(kernel(2, 1, 2, 3), rng.integers(-1, 2, 2), lif(), input_shape=(1, 6, 8), delay=rng.integers(0, 4, 48)),
        SumPool((2, 2), input_shape=(2, 5, 6)),
        Conv2d(kernel(3, 2, 1, 2), rng.integers(-1, 2, 3), graded, input_shape=(2, 2, 3), delay=int(rng.integers(4))),
        Flatten((3, 2, 2)),
        Dense(kernel(7, 12), rng.integers(-4, 5, 7), lif(), delay=rng.integers(0, 3, (7, 12))),
        Dense(kernel(4, 7), None, (lif(), "threshold", MultiThreshold([0, 4]))[seed % 3], delay=rng.integers(0, 3, 7)),
    ]
    loops = [Recurrent(0, back), Recurrent(4, kernel(7, 7)), Recurrent(5, kernel(4, 4), rng.integers(0, 4, (4, 4)))]
    loops += [Recurrent(2, kernel(12, 12) * (rng.random((12, 12)) < 0.05))] if seed % 3 == 0 and steps < 4 else []
    skips = [Residual(0, 4, Dense(kernel(7, 60), None, "readout"))]
    return DiscreteNetwork(layers, steps=steps, recurrent=loops, residuals=skips)


@pytest.mark.parametrize("packing", ["bits", "digits"])
def test_delays_and_ways_back_of_images_and_values(tmp_path, packing):
    networks = [images_with_a_past(seed) for seed in range(12)]
    samples = [network_strategies.inputs(network, 4, 3) for network in networks]
    check(networks, samples, tmp_path, packing)
    assert sum(network.forward(sample).any() for network, sample in zip(networks, samples, strict=True)) > 6


def test_a_ring_takes_a_row_for_each_step_that_is_looked_back(tmp_path):
    """40 inputs, two words: four rows for a delay of 3. 10 neurons, one word: 6 rows for a way back of 1 + 4 steps."""
    plain = DiscreteNetwork([Dense(np.ones((10, 40), int), activation=Lif(3, voltage_decay=9))], steps=9)
    late = Dense(np.ones((10, 40), int), activation=Lif(3, voltage_decay=9), delay=3)
    network = DiscreteNetwork([late], steps=9, recurrent=[Recurrent(0, np.ones((10, 10), int), 4)])
    rows, row, last, sums = 4 * (4 * 2 + 6 * 1), 4, 4, 4 * 10
    assert c_header(network).ram == c_header(plain).ram + rows + row + last + sums
    spikes = network_strategies.inputs(network, 6, 1)
    check([network], [spikes], tmp_path, "bits")


STEPWISE = """
#include <stdio.h>
#define NET_IMPLEMENTATION
#include "net.h"
int main(void)
{
    static uint32_t x[NET_N_STEPS * NET_INPUT_WORDS];
    net_sum logits[NET_N_CLASSES];
    int t, i;
    while (fread(x, sizeof x, 1, stdin) == 1) {
        net_begin(logits);
        for (t = 0; t < NET_N_STEPS; t++) {
            net_step(x + t * NET_INPUT_WORDS, logits);
            for (i = 0; i < NET_N_CLASSES; i++)
                printf("%lld ", (long long)logits[i]);
        }
    }
    return 0;
}
"""


def test_registers_wrap_and_stop_as_in_forward(tmp_path):
    """Sums beyond 24 bits, biases beyond them and potentials at both ends, with sums of 32 and of 64 bits."""
    rng = np.random.default_rng(4)
    networks = []
    for decay, widest in [(0, 31), (1, 31), (4096, 31), (100, 18), (0, 18)]:
        weight = rng.choice([-(2**15), 0, 2**15 - 1], (20, 30))
        bias = rng.integers(-(2**widest), 2**widest, 20)
        bias[::2] = rng.integers(-9, 9, 10)
        kinds = [
            Lif(2**17 - 1, voltage_decay=7, current_decay=decay, reset="soft"),
            Lif(5, voltage_decay=0, current_decay=decay, strict=False, refractory=63),
            Readout("max", voltage_decay=3, current_decay=decay),
        ]
        networks += [DiscreteNetwork([Dense(weight, bias, neuron)], steps=9) for neuron in kinds]
    samples = [network_strategies.inputs(network, 4, 3) for network in networks]
    check(networks, samples, tmp_path, "bits")
    assert {"int64_t net_sum" in c_header(network).text for network in networks} == {True, False}
    held = [n.layers[0].neuron.held(n.layers[0].sums(x.reshape(-1, 30)).reshape(4, 9, 20), n.layers[0].bias)
            for n, x in zip(networks, samples, strict=True)]  # fmt: skip
    assert max(int(v.max()) for v in held) == 2**23 - 1
    assert min(int(v.min()) for v in held) == 1 - 2**23


def test_spikes_of_every_kind_are_counted(tmp_path):
    rng = np.random.default_rng(8)
    first = Dense(rng.integers(-1, 2, (6, 9)), activation=GradedRelu())
    networks = [DiscreteNetwork([first, Dense(rng.integers(-1, 2, (3, 6)), [1, 0, 2], neuron)], steps=3)
                for neuron in ("threshold", GradedRelu(1), IntegrateAndFire(2, 3, "soft"))]  # fmt: skip
    lif = Lif(2, voltage_decay=99, refractory=[0, 2])
    networks.append(
        DiscreteNetwork([Conv2d(rng.integers(-1, 2, (2, 1, 2, 2)), [1, -1], lif, input_shape=(1, 3, 3))], steps=5)
    )
    samples = [network_strategies.inputs(network, 9, 1) for network in networks]
    assert all(network.forward(sample).any() for network, sample in zip(networks, samples, strict=True))
    check(networks, samples, tmp_path, "bits")


LEVEL_SETS = [(-1, 1), (0, 1), (-1, 0), (-2, -1, 0, 1), (-7, 0, 1, 130), (-3, 3), (5, 9), tuple(range(-128, 128)),
              (-(2**15), 0, 2**15)]  # fmt: skip


@pytest.mark.parametrize("packing", ["bits", "digits"])
def test_every_set_of_levels(tmp_path, packing):
    rng = np.random.default_rng(0)
    networks = []
    for values in LEVEL_SETS:
        hidden = Dense(rng.choice(values, (33, 65)), rng.integers(-40_000, 40_000, 33), levels=Levels(values))
        readout = Dense(rng.choice(values, (3, 33)), rng.integers(-(2**30), 2**30, 3), "readout", Levels(values))
        networks.append(DiscreteNetwork([hidden, readout]))
    check(networks, [(rng.random((9, 65)) < 0.5).astype(np.uint8) for _ in networks], tmp_path, packing)


def test_sums_beyond_32_bits(tmp_path):
    weight = np.full((2, 40), 2**15)
    graded = DiscreteNetwork(
        [Dense(weight, activation=GradedRelu()), Dense(np.full((2, 2), 2**15), activation="readout")]
    )
    biased = DiscreteNetwork([Dense(weight, [2**31 - 1, -(2**31)], activation="readout")])
    samples = [np.ones((2, 40), np.uint8)] * 2
    check([graded, biased], samples, tmp_path, "bits")
    assert "int64_t" in c_header(graded).text


def test_a_graded_spike_beyond_24_bits_is_said(tmp_path):
    hidden = Dense(np.full((1, 3), 2**15), [2**23 - 2**16], activation=GradedRelu())
    network = DiscreteNetwork([hidden, Dense([[1]], activation="readout", levels=Levels((0, 1)))])
    sample = np.array([[1, 0, 0], [1, 1, 1]], np.uint8)
    found = compiled_c.run_all([network], [sample], tmp_path, "bits")[0]
    assert found[:, 1].tolist() == [0, -1]
    assert found[:, 2].tolist() == [0, -1]


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("kind", ["threshold", "thermometer", "shared"])
def test_encoders(tmp_path, features, kind):
    rng = np.random.default_rng(3)
    rows = {"threshold": rng.normal(0, 60, 5), "thermometer": np.sort(rng.normal(0, 60, (3, 5)), axis=0)}
    rows["shared"] = np.repeat([[-1000.0], [0.1], [70000.0]], 5, axis=1)
    rows["thermometer"][0, 0], rows["thermometer"][2, 0] = -300, 3e38
    encoder = ThresholdEncoder(rows[kind]) if kind == "threshold" else ThermometerEncoder(rows[kind])
    weight = rng.integers(-1, 2, (4, encoder.n_out))
    network = DiscreteNetwork([Dense(weight, rng.integers(-3, 3, 4), activation="readout")], encoder)
    dtype = np.dtype({"float": "float32"}.get(features, features))
    if dtype.kind == "f":
        near = np.concatenate([np.nextafter(rows[kind].ravel()[:5].astype(dtype), dtype.type(s)) for s in (-1e9, 1e9)])
        x = np.concatenate([rng.normal(0, 80, (40, 5)), near.reshape(2, 5), rows[kind].reshape(-1, 5)]).astype(dtype)
    else:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        x = np.concatenate([rng.integers(max(low, -200), min(high, 200), (60, 5)), [[low] * 5, [high] * 5]]).astype(
            dtype
        )
    (tmp_path / "net.h").write_text(c_header(network, features=features).text)
    main = """
#include <stdio.h>
#define NET_IMPLEMENTATION
#include "net.h"
#include "net.h" /* declarations twice do no harm */
int main(void)
{
    net_feature x[NET_N_FEATURES];
    uint32_t spikes[NET_INPUT_WORDS];
    net_sum logits[NET_N_CLASSES];
    while (fread(x, sizeof x, 1, stdin) == 1) {
        net_encode(x, spikes);
        net_forward(spikes, logits);
        printf("%d %d %d %d %d\\n", (int)logits[0], (int)logits[1], (int)logits[2], (int)logits[3], net_predict(x));
    }
    return 0;
}
""".replace('#include "net.h" /*', '#undef NET_IMPLEMENTATION\n#include "net.h" /*')
    printed = compiled_c.compile_and_run(main, tmp_path, x.tobytes())
    found = np.array([line.split() for line in printed.splitlines()], np.int64)
    logits = network.forward(encoder.encode(x.astype(np.float64)))
    np.testing.assert_array_equal(found[:, :4], logits)
    np.testing.assert_array_equal(found[:, 4], logits.argmax(axis=1))


def test_bytes_by_formula_and_by_size(tmp_path):
    rng = np.random.default_rng(0)
    hidden = Dense(rng.integers(-1, 2, (64, 448)), rng.integers(-9, 9, 64))
    network = DiscreteNetwork([hidden, Dense(rng.integers(-1, 2, (10, 64)), activation="readout")])
    bits = export(network, tmp_path / "a.h", packing="bits", compiler="cc").details
    digits = export(network, tmp_path / "b.h", packing="digits", compiler="cc").details
    assert bits["weights_bytes"] == (64 * 448 + 10 * 64) * 2 // 8
    assert digits["weights_bytes"] == 64 * 90 + 10 * 13 + 2 * 3 * 4
    for found in (bits, digits):
        assert found["biases_bytes"] == 64
        assert found["ram_bytes"] == 64 // 8
        assert 0 < found["flash_measured_bytes"] - found["flash_tables_bytes"] < 4000  # the code itself
        assert found["ram_bytes"] <= found["ram_measured_bytes"] <= found["ram_bytes"] + 64


def test_memory_is_shared_by_layers_that_do_not_live_at_once():
    layers = [Dense(np.ones((320, 320)), activation="threshold") for _ in range(9)]
    network = DiscreteNetwork([*layers, Dense(np.ones((2, 320)), activation="readout")])
    assert c_header(network).ram == 2 * 320 // 8
    kept = DiscreteNetwork([*layers, Dense(np.ones((2, 320)), activation="readout")], residuals=[Residual(0, 8)])
    assert c_header(kept).ram == 3 * 320 // 8 + 4 * 320


def test_what_is_refused(tmp_path):
    network = DiscreteNetwork([Dense(np.eye(2), activation="readout")])
    with pytest.raises(InputError, match="name '2x'"):
        c_header(network, "2x")
    with pytest.raises(InputError, match="packing 'trits': unknown; allowed: bits, digits"):
        c_header(network, packing="trits")
    with pytest.raises(InputError, match="features 'half': unknown"):
        c_header(network, features="half")
    with pytest.raises(InputError, match="compiler 'no-such-cc': not found"):
        measure(c_header(network).text, "net", "no-such-cc")
    with pytest.raises(InputError, match="option 'steps' is not one of its own"):
        export(network, tmp_path / "a.h", steps=3)
    assert list(tmp_path.iterdir()) == []


def test_labels_cannot_break_out_of_their_comment(tmp_path):
    network = DiscreteNetwork([Dense(np.eye(2), activation="readout")], labels=["*/ #error", "é??/"])
    check([network], [np.eye(2, dtype=np.uint8)], tmp_path, "bits")
