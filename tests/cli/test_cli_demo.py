import json
from pathlib import Path

import pytest

import conntra_hardware.proof.verify
import conntra_hardware.runtime  # noqa: F401  before their names are replaced here: it would keep the fake
import conntra_neuro as cn
from conntra_hardware.backends.protocol import Availability
from conntra_hardware.backends.reference import ReferenceBackend


@pytest.fixture
def quick(monkeypatch):
    """Two sweeps of training, and simulators that need no process of their own."""
    from conntra_neuro import training

    train = training.train
    monkeypatch.setattr(
        training, "train", lambda data, **options: train(data, **{**options, "sweeps": 2, "layers": (9,)})
    )

    class Absent:
        name = "lava"

        def availability(self):
            return Availability(ok=False, reason="no Lava for this Python", remedy="take Python 3.10")

    class Other(ReferenceBackend):
        name = "brian2"

    backends = {"reference": ReferenceBackend, "brian2": Other, "lava": Absent}
    for place in ("conntra_hardware.backends.load_backend", "conntra_hardware.proof.verify.load_backend"):
        monkeypatch.setattr(place, lambda name: backends[name]())


def test_the_demo_goes_on_without_lava_and_says_so(conntra, quick):
    ran = conntra("demo", "--out", ".")
    assert ran.status == 0
    assert "without lava: no Lava for this Python; take Python 3.10" in ran.err
    for words in ("on 359 images", "cannot run here", "equal on reference, brian2", "cores", "float64"):
        assert words in ran.out
    assert "modelled, not measured" in ran.out
    assert "davies2018" not in ran.out
    assert len(ran.out.splitlines()) < 16
    names = {path.name for path in conntra.folder.iterdir()}
    assert names == {"digits.conntra", "digits.loihi1.conntra", "certificate.json", "run.json", "report.html"}
    page = Path("report.html").read_text(encoding="utf-8")
    assert "12 of 359 samples are in this file" in page
    assert "reference, brian2 are equal" in page
    assert isinstance(cn.load("digits.loihi1.conntra"), cn.Program)
    versions = json.loads(Path("certificate.json").read_text())["versions"]
    assert {"python", "numpy"} <= set(versions)


def test_the_demo_shows_every_table_when_asked(conntra, quick):
    ran = conntra("demo", "--full")
    assert ran.status == 0
    for words in ("accuracy on 359 images", "cannot run here", "equal on reference, brian2", "cores", "float64"):
        assert words in ran.out
    for words in ("modelled, not measured", "davies2018", "sanafe2025", "latency"):
        assert words in ran.out


def test_the_demo_as_json(conntra, quick):
    ran = conntra("demo", "--json")
    assert ran.status == 0
    document = ran.document
    assert [run["backend"] for run in document["runs"]] == ["reference", "brian2"]
    for run in document["runs"]:
        assert run["accuracy"] == pytest.approx(1 - document["train"]["test_error"])
    assert document["verify"]["equal"] is True
    assert document["absent"][0]["backend"] == "lava"
    assert not list(conntra.folder.iterdir())
