"""NetX: a file means to lava-dl's rules what the network computes."""

from __future__ import annotations

import re

import network_strategies
import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import conntra_neuro as cn
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import GradedRelu, IntegrateAndFire
from conntra_neuro.exchange.files import export
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Conv2d, Dense, Flatten, MaxPool, Residual, SumPool

pytest.importorskip("h5py")

import h5py
import netx_numpy

IMAGE = (2, 5, 5)


def conv(**options):
    return Conv2d(np.ones((3, 2, 3, 3), int), input_shape=IMAGE, **options)


def readout(n, **options):
    return Dense(np.ones((2, n), int), activation="readout", **options)


def hard(network):
    return not any(isinstance(x.neuron, IntegrateAndFire) and x.neuron.reset == "soft" for x in network.layers)


networks = network_strategies.networks(kinds=("threshold", "integrate_and_fire"), residual=False).filter(hard)


@settings(max_examples=70, deadline=None)
@given(network=networks, seed=st.integers(0, 1000))
def test_random_networks_by_lavas_rules(tmp_path_factory, network, seed):
    path = tmp_path_factory.mktemp("netx") / "a.net"
    try:
        export(network, path)
    except InputError as error:
        if re.search("not all 0|image from a dense layer", str(error)):
            reject()
        raise
    samples = network_strategies.inputs(network, 4, seed)
    spikes, voltages = netx_numpy.run(path, samples)
    outputs, logits = network.activity(samples)
    np.testing.assert_array_equal(voltages, logits << 6)
    spiking = [out for out, layer in zip(outputs, network.layers, strict=False) if layer.neuron is not None]
    for found, expected in zip(spikes, spiking, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_what_is_in_a_file(tmp_path):
    first = conv(stride=(1, 2), padding=(2, 0), dilation=(2, 1))
    layers = [first, MaxPool(2, input_shape=(3, 5, 2)), Flatten((3, 2, 1)), readout(6)]
    export(DiscreteNetwork(layers), tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net") as file:
        found = [file[f"layer/{i}/type"][0] for i in range(len(file["layer"]))]
        assert found == [b"input", b"conv", b"conv", b"flatten", b"dense"]
        assert file["layer/0/shape"][()].tolist() == [2, 5, 5]
        first = file["layer/1"]
        assert first["weight"].shape == (3, 2, 3, 3)
        assert (first["stride"][()].tolist(), first["padding"][()].tolist()) == ([1, 2], [2, 0])
        assert (first["dilation"][()].tolist(), file["layer/2/dilation"][()].tolist()) == ([2, 1], [1, 1])
        assert first["shape"][()].tolist() == [3, 5, 2]
        assert file["layer/2/groups"][()] == 3  # a maximum of spikes is a convolution of each channel with ones
        assert not file.attrs
        assert not first["neuron"].attrs


def test_a_program_is_the_same_file_as_its_model(tmp_path):
    network = DiscreteNetwork([conv(), SumPool(3, input_shape=(3, 3, 3)), readout(3)])
    export(network, tmp_path / "model.net")
    export(cn.compile(network, "loihi2"), tmp_path / "program.net")
    sample = np.random.default_rng(0).integers(0, 2, (6, 1, 50)).astype(np.uint8)
    for name in ("model.net", "program.net"):
        np.testing.assert_array_equal(netx_numpy.run(tmp_path / name, sample)[1], network.forward(sample) << 6)


REFUSED = {
    "graded": ([conv(activation=GradedRelu()), readout(27)], [], "hidden0: graded_relu neurons"),
    "soft reset": ([conv(activation=IntegrateAndFire(2, 3, "soft")), readout(27)], [], "with soft reset"),
    "residual": ([conv(padding=1), Conv2d(np.ones((3, 3, 1, 1)), input_shape=(3, 5, 5)), readout(75)], [0, 2],
                 "relay2: takes from several layers"),
    "rows to images": ([Dense(np.ones((4, 2))), Conv2d(np.ones((1, 1, 2, 2)), input_shape=(1, 2, 2)), readout(1)], [],
                       "takes an image from a dense layer"),
    "wide biases": ([Dense(np.ones((2, 3)), [0, 4096], "readout")], [], "biases from 0 to 4096; -4096 to 4095 allowed"),
    "only zeros": ([Dense(np.zeros((2, 3)), activation="readout")], [], "not all 0"),
    "sums beyond 24 bits": ([Dense(np.full((2, 600), 250), activation="readout")], [], "sums of up to 150000"),
}  # fmt: skip


@pytest.mark.parametrize("weights", [(-129, 1), (-1, 128), (0, 256), (-257, -1)])
def test_weights_that_a_synapse_would_round_are_refused(tmp_path, weights):
    with pytest.raises(InputError, match="weights from"):
        export(DiscreteNetwork([Dense([weights, weights], activation="readout")]), tmp_path / "a.net")


@pytest.mark.parametrize("case", REFUSED)
def test_what_netx_cannot_say_is_refused_by_name(tmp_path, case):
    layers, residual, says = REFUSED[case]
    residuals = []
    if residual:
        residuals = [Residual(0, 2, Dense(np.ones((2, 75)), activation="readout"))]
    with pytest.raises(InputError, match=says):
        export(DiscreteNetwork(layers, residuals=residuals), tmp_path / "a.net")
    assert list(tmp_path.iterdir()) == []


def over_time(seed):
    """A network of CUBA's neurons with delays of every kind, or with layers that lead to themselves."""
    rng, back = np.random.default_rng(seed), bool(seed % 2)

    def layer(n_out, n_in, delay):
        decays = {"voltage_decay": int(rng.integers(0, 4097)), "current_decay": int(rng.integers(1, 4097))}
        neuron = cn.Lif(int(rng.integers(1, 6)), refractory=int(rng.integers(0, 3)), **decays)
        return Dense(rng.integers(-3, 4, (n_out, n_in)), rng.integers(-1, 3, n_out), neuron, delay=0 if back else delay)

    layers = [layer(6, 5, rng.integers(0, 63, (6, 5))), layer(4, 6, rng.integers(0, 4, 6)), readout(4, delay=1 - back)]
    loops = [cn.Recurrent(i, rng.integers(-3, 4, (n, n))) for i, n in ((0, 6), (1, 4)) if back]
    spikes = (rng.random((4, 9, 5)) < 0.5).astype(np.uint8)
    return DiscreteNetwork(layers, steps=9, recurrent=loops), spikes


@pytest.mark.parametrize("seed", range(20))
def test_delays_and_ways_back_come_back(tmp_path, seed):
    """``scripts/compare_netx.py`` gives such files to lava-dl's own loader."""
    network, spikes = over_time(seed)
    export(network, tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net") as file:
        assert file["layer/1/type"][0] == (b"dense_rec" if seed % 2 else b"dense")
        assert ("delay" in file["layer/1"]) != seed % 2
    again = cn.import_network(tmp_path / "a.net", steps=9, semantics="lava")
    for found, expected in zip(again.outputs(spikes), network.outputs(spikes), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_delays_and_ways_back_that_lava_dl_would_take_otherwise_are_refused(tmp_path):
    lif = cn.Lif(2, voltage_decay=9)
    eye = np.eye(2, dtype=int)
    image = Conv2d(np.ones((2, 2, 1, 1), int), activation=lif, input_shape=(2, 1, 1))
    late = Conv2d(np.ones((2, 2, 1, 1), int), activation=lif, input_shape=(2, 1, 1), delay=1)
    around = Conv2d(np.ones((2, 2, 1, 1), int), None, "readout", input_shape=(2, 1, 1))
    for first, loops, message in (
        (Dense(eye, None, lif, delay=63), [], "a delay of 63 steps; lava-dl's loader cuts it off to 62"),
        (Dense(eye, None, lif, delay=1), [cn.Recurrent(0, eye)], "delays beside synapses to itself"),
        (Dense(eye, None, lif), [cn.Recurrent(0, eye, 1)], "delays beside synapses to itself"),
        (late, [], "a convolution with a delay, which lava-dl's loader leaves out"),
        (image, [cn.Recurrent(0, around)], "convolutions back to itself"),
    ):
        network = DiscreteNetwork([first, readout(2)], steps=3, recurrent=loops)
        with pytest.raises(InputError, match=f"export to NetX: hidden0: {message}"):
            export(network, tmp_path / "a.net")
    assert list(tmp_path.iterdir()) == []
