from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.base.errors import DoesNotFit, InputError
from conntra_hardware.chip import load_chip
from conntra_hardware.program import INPUT
from conntra_hardware.runtime import run
from conntra_neuro.compiler import check, compile
from conntra_neuro.compiler.lower import lower, projection_of
from conntra_neuro.network import Conv2d, Dense, DiscreteNetwork


def network(sizes, levels=(-1, 0, 1), seed=0, bias=3):
    rng = np.random.default_rng(seed)
    layers = []
    for n_in, n_out in pairwise(sizes):
        kind = "readout" if len(layers) == len(sizes) - 2 else "threshold"
        layers.append(Dense(rng.choice(levels, size=(n_out, n_in)), rng.integers(-bias, bias + 1, n_out), kind))
    return DiscreteNetwork(layers)


def small_chip(**limits):
    """Loihi 1 with smaller cores, so that small networks need many of them."""
    return replace(load_chip("loihi1"), name="small", **limits)


def assert_within_limits(program):
    for core in program.usage:
        assert 0 <= core.core < program.chip.total_cores
        for name, usage in core.resources.items():
            assert usage.fits, (core.core, name, usage)


def test_populations_have_the_promised_names():
    program = compile(network([6, 5, 4, 3]))
    assert [p.name for p in program.populations] == ["hidden0", "hidden1", "readout"]
    assert [(p.source, p.target) for p in program.projections] == [
        (INPUT, "hidden0"),
        ("hidden0", "hidden1"),
        ("hidden1", "readout"),
    ]
    assert [p.name for p in compile(network([6, 3])).populations] == ["readout"]


def test_encoder_and_labels_go_along():
    from conntra_hardware.program.input_encoding import ThresholdEncoder

    layers = network([4, 3]).layers
    encoder = ThresholdEncoder(np.zeros(4))
    program = compile(DiscreteNetwork(layers, encoder=encoder, labels=["a", "b", "c"]))
    assert program.encoder is encoder
    assert program.labels == ("a", "b", "c")


def test_a_layer_of_another_kind_is_refused_clearly():
    with pytest.raises(InputError, match="hidden0: a layer of type str cannot be compiled"):
        projection_of("conv", INPUT, "hidden0")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=5),
    st.sampled_from([(-1, 1), (-1, 0, 1), (0, 0, 0, 1), (-4, 0, 3), (-128, 1, 127)]),
    st.integers(0, 2**31),
    st.integers(3, 40),
    st.integers(1, 24),
)
def test_compiled_equals_forward_and_no_core_is_above_its_limits(sizes, levels, seed, neurons, words):
    net = network(sizes, levels, seed)
    chip = small_chip(
        neurons_per_core=neurons,
        input_axons_per_core=max(sizes),
        output_axons_per_core=60,
        synapse_memory_bits=64 * words * max(sizes),
        max_chips=64,
    )
    program = compile(net, chip.times(8))
    assert_within_limits(program)
    # Synapses are conserved by cutting.
    expected = sum(int(np.count_nonzero(layer.weight)) for layer in net.layers)
    assert sum(core.synapses for core in program.usage) == expected
    spikes = np.random.default_rng(seed).integers(0, 2, (5, sizes[0]))
    assert np.array_equal(run(program, spikes).logits, net.forward(spikes))


def test_the_same_network_gives_the_same_program():
    first, second = (compile(network([300, 900, 900, 10]), "loihi1") for _ in range(2))
    assert first.slices == second.slices


def test_layers_larger_than_a_core_are_cut_evenly():
    program = compile(network([20, 3000, 4]))
    sizes = [s.size for s in program.slices_of("hidden0")]
    assert sizes == [1000, 1000, 1000]
    assert_within_limits(program)


def test_a_small_network_stands_on_one_core():
    assert compile(network([784, 256, 10])).cores_used == 1


def test_filling_takes_fewer_cores_than_even_slices():
    """Two layers of 1.5 cores each: even slices take 4 cores, filled ones 3."""
    chip = small_chip(neurons_per_core=100, synapse_memory_bits=64 * 10_000)
    program = compile(network([30, 149, 149, 2]), chip)
    assert program.cores_used == 3
    assert_within_limits(program)


def test_output_axons_bound_a_core():
    """200 neurons that each send to 4 cores: 80 output axons hold 20 of them."""
    chip = small_chip(neurons_per_core=50, output_axons_per_core=80)
    program = compile(network([10, 200, 199, 5], levels=(-1, 1)), chip)
    assert_within_limits(program)
    assert all(core.resources["output axons"].used <= 80 for core in program.usage)


def test_several_chips():
    chip = small_chip(neurons_per_core=1, max_chips=16)
    with pytest.raises(DoesNotFit, match=r"150 of 128 cores; .*2 chips \(smallx2\) have 256 cores"):
        compile(network([10, 145, 5]), chip)
    program = compile(network([10, 145, 5]), chip.times(2))
    assert program.cores_used == 150
    assert {core.chip for core in program.usage} == {0, 1}


def test_auto_takes_the_smallest_that_fits(monkeypatch):
    assert compile(network([64, 32, 10]), "auto").chip.name == "loihi1"
    chips = {
        "loihi1": replace(load_chip("loihi1"), cores=4, neurons_per_core=10),
        "loihi2": replace(load_chip("loihi2"), cores=4, neurons_per_core=20),
    }
    monkeypatch.setattr("conntra_neuro.compiler.program.load_chip", chips.__getitem__)
    for hidden, chip in ((30, "loihi1"), (70, "loihi2"), (90, "loihi1x3"), (120, "loihi2x2")):
        assert compile(network([6, hidden, 10]), "auto").chip.name == chip, hidden
    assert not check(network([6, 500, 10]), "loihi2").fits


def test_more_cores_make_shorter_steps():
    from conntra_hardware.cost.energy import estimate

    net = network([40, 300, 200, 10])
    few, many = compile(net), compile(net, cores=40)
    assert few.cores_used == 1
    assert 30 <= many.cores_used <= 45
    assert_within_limits(many)
    spikes = np.random.default_rng(0).integers(0, 2, (6, 40))
    first, second = run(few, spikes), run(many, spikes)
    assert np.array_equal(first.logits, second.logits)
    steps = [estimate(r.counts, r.program, "sanafe2025").step_time_s for r in (first, second)]
    assert steps[1] < steps[0] / 8
    assert compile(net, cores=1).slices == few.slices
    with pytest.raises(InputError, match="cores: 129; 1 to 128 allowed"):
        compile(net, cores=129)


def test_an_unknown_chip():
    with pytest.raises(InputError, match="allowed: loihi1, loihi2"):
        compile(network([4, 2]), "loihi9")


def test_lowering_keeps_the_network_as_it_is():
    net = network([6, 5, 3])
    lowered = lower(net)
    for layer, (population, (projection,)) in zip(net.layers, lowered.layers, strict=True):
        assert np.array_equal(layer.weight, projection.weights)
        assert np.array_equal(layer.bias, population.bias)


def test_blocks_of_a_dilated_kernel_see_rows_that_lie_further_apart():
    """As the test below, but that three rows see rows 0 to 6, for the kernel's weights are 2 rows apart."""
    layer = Conv2d(np.ones((16, 1, 3, 3), int), input_shape=(1, 16, 16), dilation=2)
    net = DiscreteNetwork([layer, Dense(np.ones((2, 2304), int), None, "readout")])
    program = compile(net, small_chip(neurons_per_core=600))
    used = {core.core: core for core in program.usage}
    parts = program.slices_of("hidden0")
    assert len(parts) == 4
    assert all(used[s.core].encodings[0].axons == 7 * 16 for s in parts)
    assert all(used[s.core].encodings[0].name == "conv" for s in parts)
    spikes = np.random.default_rng(0).integers(0, 2, (3, 256))
    assert np.array_equal(run(program, spikes).logits, net.forward(spikes))


def test_images_are_cut_into_blocks_of_rows_and_all_channels():
    """16 channels of 12 by 12 on cores of 600 neurons: four blocks of three rows, each with every channel."""
    layer = Conv2d(np.ones((16, 1, 3, 3), int), input_shape=(1, 14, 14))
    net = DiscreteNetwork([layer, Dense(np.ones((2, 2304), int), None, "readout")])
    program = compile(net, small_chip(neurons_per_core=600))
    parts = program.slices_of("hidden0")
    assert [(s.start, s.stop, s.runs, s.stride) for s in parts] == [
        (36 * block, 36 * (block + 1), 16, 144) for block in range(4)
    ]
    # A block of three rows sees five rows of the input, and no more.
    used = {core.core: core for core in program.usage}
    assert all(used[s.core].encodings[0].axons == 5 * 14 for s in parts)
    assert all(used[s.core].encodings[0].name == "conv" for s in parts)
    spikes = np.random.default_rng(0).integers(0, 2, (3, 196))
    assert np.array_equal(run(program, spikes).logits, net.forward(spikes))
    wide = compile(net, small_chip(neurons_per_core=600), cores=13)
    assert len(wide.slices_of("hidden0")) > 6
    assert np.array_equal(run(wide, spikes).logits, net.forward(spikes))
