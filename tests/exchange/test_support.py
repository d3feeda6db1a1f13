"""The table of what formats can say is what they do, and the docs have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from conntra_neuro.exchange.files import FORMATS, READERS
from conntra_neuro.exchange.support import FROM_ONNX, KINDS, LIMITS, support, support_table
from conntra_neuro.network.layers import Conv2d, Dense, MaxPool, SumPool

for package in ("h5py", "nir"):
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
    assert set(found["Dense"]) == {*FORMATS, "nir in", "onnx"}
    assert {*READERS} == {"nir", "onnx"}


def test_every_kind_has_an_answer_for_c():
    assert all(answers["c"] for answers in support().values())


def test_the_kinds_of_onnx_are_those_that_its_tests_find():
    """test_onnx.test_the_kinds_of_layers_that_come finds the types of layers of these networks."""
    kinds = {type(layer) for kind in FROM_ONNX for layer in KINDS[kind].layers}
    assert kinds >= {Dense, Conv2d, MaxPool, SumPool}
