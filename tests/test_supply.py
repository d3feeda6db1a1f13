"""Dependencies: each is in the table of licences, and each pinned file has a hash."""

from __future__ import annotations

import importlib.util
import re
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([a-z0-9-]+)==([^\s;\\]+)", re.MULTILINE)


@pytest.fixture(scope="module")
def supply() -> ModuleType:
    pytest.importorskip("packaging")
    spec = importlib.util.spec_from_file_location("check_supply", ROOT / "scripts" / "check_supply.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows() -> dict[str, list[str]]:
    lines = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return {name: rest for name, *rest in cells[2:]}


@pytest.mark.skipif(sys.version_info[:2] != (3, 10), reason="the table is of the packages that Python 3.10 gets")
def test_every_dependency_has_a_licence_in_the_table(supply: ModuleType) -> None:
    table = rows()
    extras = metadata.metadata("conntra-neuro").get_all("Provides-Extra") or []
    assert {"backprop", "cluster", "sanafe"} <= set(extras)
    for extra in ("", *extras):
        for name in set(supply.needed("conntra-neuro", extra)) - {"conntra-neuro"}:
            _, licence, by = table[name]
            assert licence not in ("", "not declared"), name
            assert by == "always" or extra in by.split(", "), name
    assert table["sanafe"][1:] == ["GPL-3.0-only", "dev, sanafe"]
    assert {name for name, (_, licence, _) in table.items() if licence.startswith("GPL")} == {"sanafe"}


def test_the_table_has_the_pinned_versions() -> None:
    pins = set(PIN.findall((ROOT / "constraints.txt").read_text(encoding="utf-8")))
    assert {(name, version) for name, (version, *_) in rows().items()} <= pins


def test_every_pinned_version_has_its_hashes() -> None:
    hashed = (ROOT / "requirements-hashed.txt").read_text(encoding="utf-8")
    assert set(PIN.findall(hashed)) == set(PIN.findall((ROOT / "constraints.txt").read_text(encoding="utf-8")))
    for entry in re.split(r"\n(?=[a-z])", hashed.split("\n", 4)[4]):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}$", entry.strip()), entry.splitlines()[0]
