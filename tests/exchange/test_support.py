"""The table of what formats can say is what they do, and the docs have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from conntra_neuro.exchange.files import FORMATS, READERS
from conntra_neuro.exchange.onnx.reader import read_onnx
from conntra_neuro.exchange.onnx.sample import comes_from_onnx
from conntra_neuro.exchange.support import KINDS, LIMITS, support, support_table
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Dense

for package in ("h5py", "nir", "onnx"):
    pytest.importorskip(package)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "exchange.md"


def test_the_docs_have_the_table():
    if not PAGE.is_file():
        pytest.skip("the docs are not here")
    shown = "python -m conntra_neuro.exchange.support"
    assert support_table() in PAGE.read_text(encoding="utf-8"), f"{PAGE.name}: run {shown} and put its table there"


def test_limits_are_of_what_can_be_done():
    found = support()
    for kind, name in LIMITS:
        assert found[kind][name], (kind, name)
    assert set(found["Dense"]) == {*FORMATS, "nir in", "netx in", "onnx in"}
    assert {*READERS} == {"nir", "onnx", "netx"}


def test_every_kind_has_an_answer_for_c():
    refused = {kind for kind, answers in support().items() if not answers["c"]}
    assert refused == {"SigmaDelta"}


def test_the_column_of_onnx_is_measured(tmp_path, monkeypatch):
    """A reader that got weights wrong, or refused a kind, would show."""
    answers = {kind: comes_from_onnx(network, tmp_path / "a.onnx") for kind, network in KINDS.items()}
    assert answers["Dense"]
    assert answers["GradedRelu"]
    assert answers["Residual, by a factor"]
    assert not answers["Recurrent"]

    def other_weights(path):
        read = read_onnx(path)
        layers = [Dense(-layer.weight, layer.bias, layer.neuron) for layer in read.layers]
        return DiscreteNetwork(layers, read.encoder)

    monkeypatch.setattr("conntra_neuro.exchange.onnx.sample.read_onnx", other_weights)
    assert not comes_from_onnx(KINDS["Dense"], tmp_path / "a.onnx")
