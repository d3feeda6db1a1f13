import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntra_hardware.chip import load_chip
from conntra_hardware.fit.resources import core_usage
from conntra_hardware.fit.synapse_memory import encode, list_bits, weight_format
from conntra_hardware.neurons import Readout, Threshold
from conntra_hardware.program import INPUT, CoreSlice, Population, Program, Projection

LOIHI = load_chip("loihi1")


def bits_block_by_block(length, entry_bits, block):
    """The published layout, block by block: 10 bits of header, then up to ``block`` entries, in whole words."""
    bits = 0
    while length > 0:
        words = -(-(10 + min(length, block) * entry_bits) // 64)
        bits += 64 * words
        length -= block
    return bits


@given(st.integers(0, 700), st.integers(1, 20), st.integers(1, 64))
def test_a_list_takes_its_blocks_in_whole_words(length, entry_bits, block):
    assert int(list_bits(length, entry_bits, block)) == bits_block_by_block(length, entry_bits, block)


@pytest.mark.parametrize(
    ("values", "bits", "allowed"),
    [
        ([-1, 0, 1], 2, True),
        ([-1, 1], 2, True),
        ([0, 1], 1, True),
        ([-1, 0], 1, True),
        ([-2, 1], 2, True),
        ([-4, 4], 2, True),
        ([-4, 1, 4], 4, True),
        (range(-4, 4), 3, True),
        ([-64, 0, 64], 2, True),
        ([-3, 0, 5], 4, True),
        ([0, 64, 127], 8, True),  # 7 bits there are none of
        ([-128, 127], 8, True),
        ([-254, 0, 2, 250], 8, True),
        ([0, 255], 8, True),
        ([-255, 1], 8, True),  # signs in lists of their own
        ([-257, 0, 257], 8, True),  # two synapses a weight
        ([0, 16_319], 8, True),
        ([0, 2**15 + 1], 16, False),
    ],
)
def test_weight_bits(values, bits, allowed):
    form = weight_format(np.array([list(values)]), LOIHI)
    assert (form.bits, form.allowed) == (bits, allowed)


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=8), st.integers(0, 3))
def test_a_format_holds_its_weights(values, shift):
    weights = np.array([values]) << shift
    form = weight_format(weights, LOIHI)
    assert form.allowed
    entries = weights >> form.shift
    assert np.array_equal(entries << form.shift, weights)
    low = -(2 ** (form.bits - 1)) if form.mixed else -(2**form.bits) + 1
    high = 2 ** (form.bits - 1) - 1 if form.mixed else 2**form.bits - 1
    assert low <= entries.min()
    assert entries.max() <= high


def test_dense_ternary_takes_what_the_documents_say():
    """2.4 to 3 bits a weight, so that a core takes 445 to 565 neurons of 784 inputs."""
    weights = np.random.default_rng(0).choice([-1, 1], size=(505, 784)).astype(np.int8)
    weights[0, :] = 0
    stored = encode(weights, LOIHI)
    assert stored.name == "dense"
    assert 2.1 < stored.bits / weights.size < 3.0
    rows = np.resize(weights[1], (700, 784))
    fits = [n for n in range(400, 700, 5) if encode(rows[:n], LOIHI, share=False).bits <= LOIHI.synapse_memory_bits]
    assert 445 <= max(fits) <= 600


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**31))
def test_the_cheapest_encoding_is_chosen(n_target, n_source, density, seed):
    rng = np.random.default_rng(seed)
    weights = rng.choice([-2, -1, 1], size=(n_target, n_source)) * (rng.random((n_target, n_source)) < density)
    stored = encode(weights, LOIHI, share=False)
    lengths = np.count_nonzero(weights, axis=0)
    lengths = lengths[lengths > 0]
    assert stored.synapses == lengths.sum()
    assert stored.axons == stored.lists == len(lengths)
    bits = weight_format(weights, LOIHI).bits
    dense = min(sum(bits_block_by_block(n_target, bits, k) for _ in lengths) for k in range(1, 65))
    sparse = min(sum(bits_block_by_block(n, bits + 6, k) for n in lengths) for k in range(1, 65))
    assert stored.bits == min(dense, sparse)


def test_sparse_wins_where_few_weights_are_there():
    weights = np.zeros((300, 100), dtype=np.int8)
    weights[::60, :] = 1
    weights[0, :50] = -1
    stored = encode(weights, LOIHI)
    assert stored.name == "sparse"
    assert stored.index_bits == 9


def test_equal_lists_are_stored_once():
    weights = np.random.default_rng(1).integers(-1, 2, size=(20, 30))
    doubled = np.concatenate([weights, weights[:, ::-1]], axis=1)
    once, twice = encode(weights, LOIHI), encode(doubled, LOIHI)
    assert twice.lists == once.lists
    assert twice.bits == once.bits
    assert twice.axons == 2 * once.axons
    assert encode(doubled, LOIHI, share=False).bits == 2 * encode(weights, LOIHI, share=False).bits


def two_layers(chip):
    """3 inputs -> 4 hidden on cores 0 and 1 -> 2 readouts on core 1; input 2 reaches core 1 alone, neuron 3 nobody."""
    w1 = np.array([[1, -1, 0], [0, 1, 0], [1, 1, 1], [0, 0, -1]])
    w2 = np.array([[1, 0, -1, 0], [1, 1, 0, 0]])
    return Program(
        chip,
        3,
        (Population("h", Threshold(), np.zeros(4, int)), Population("out", Readout(), np.zeros(2, int))),
        (Projection(INPUT, "h", w1), Projection("h", "out", w2)),
        (CoreSlice("h", 0, 2, 0), CoreSlice("h", 2, 4, 1), CoreSlice("out", 0, 2, 1)),
    )


def test_usage_by_hand():
    first, second = core_usage(two_layers(LOIHI))
    used = {name: usage.used for name, usage in first.resources.items()}
    assert used == {
        "neurons": 2,
        "input axons": 2,
        "output axons": 2,
        "synapse memory": 2 * 64,
        "threshold configurations": 1,
    }
    used = {name: usage.used for name, usage in second.resources.items()}
    assert used["neurons"] == 4
    assert used["input axons"] == 3 + 3
    assert used["output axons"] == 1
    # Inputs 0 and 1 have the list (1, 0) each and share it; input 2 and three hidden neurons have one of their own.
    assert used["synapse memory"] == 5 * 64
    assert used["threshold configurations"] == 2
    assert first.populations == ("h",)
    assert second.to_dict()["limits"]["neurons"] == 1024
    assert second.to_dict()["memory_bits"] == 5 * 64


def test_a_shared_memory_holds_neurons_and_axons_too():
    chip = load_chip("loihi2")
    _, second = core_usage(two_layers(chip))
    usage = second.resources["synapse memory"]
    assert usage.used == 5 * 64 + 4 * chip.neuron_memory_bits + 7 * chip.axon_memory_bits
    assert usage.limit == chip.synapse_memory_bits
    assert second.resources["input axons"].fits
