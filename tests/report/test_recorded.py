"""What pictures are drawn from: packed arrays come back as they were, and say what happened."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from conntra_hardware.base.errors import FileFormatError
from conntra_neuro.report.documents import run_document
from conntra_neuro.report.recorded import pack, unpack


@given(arrays.arrays(st.sampled_from([np.int32, np.int64, np.bool_]), arrays.array_shapes(max_dims=2, max_side=9)))
def test_packed_arrays_come_back(array):
    entry = json.loads(json.dumps(pack(array)))
    assert np.array_equal(unpack(entry), array)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"dtype": "bits", "shape": [9], "base64": ""},
        {"dtype": "object", "shape": [1], "base64": "AAAA"},
        {"dtype": "int32", "shape": [-1], "base64": "AAAAAA=="},
        {"dtype": "int32", "shape": [5], "base64": "AAAAAA=="},
        {"dtype": "int32", "shape": [1], "base64": "*"},
        {"dtype": "int32", "shape": 3, "base64": "AAAAAA=="},
    ],
)
def test_what_is_no_packed_array(entry):
    with pytest.raises(FileFormatError, match="conntra run --out"):
        unpack(entry)


def test_every_layer_is_recorded(document, ran):
    result, _, inputs = ran
    layers = {layer["name"]: layer for layer in document["recorded"]["layers"]}
    for name, spikes in {"input": inputs, **result.spikes}.items():
        layer = layers.pop(name)
        assert layer["depth"] == result.program.depths[name]
        assert np.array_equal(unpack(layer["fired"]), spikes.sum(axis=0))
        assert np.array_equal(unpack(layer["raster"]), spikes[:60] != 0)
    assert not layers
    assert np.array_equal(unpack(document["recorded"]["readout"]["logits"]), result.logits[:60])


def test_confusion_counts_every_sample_once(document, ran):
    result, labels, _ = ran
    counts = np.array(document["confusion"]["counts"])
    assert counts.sum() == 90
    assert np.trace(counts) / 90 == pytest.approx(result.accuracy)
    assert counts[1, 2] == np.sum((labels == 1) & (result.predictions == 2))


def test_without_labels_and_inputs_there_is_less(ran):
    result, _, _ = ran
    document = run_document(result)
    assert document["confusion"] is None
    assert [layer["name"] for layer in document["recorded"]["layers"]] == ["hidden0", "hidden1"]
    assert len(document["energy"]) == 2
    spread = document["energy_spread"]
    assert spread["ratio"] == pytest.approx(spread["highest_j"] / spread["lowest_j"])
