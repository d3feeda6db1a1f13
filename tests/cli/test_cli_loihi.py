"""``conntra run --backend loihi`` and what it says; the chip is a stand-in, so what it "measures" is made up."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from conntra_hardware.backends.loihi import backend as loihi_backend

# The wiring's stand-ins run beside Lava, in this Python: behind the door to another one they are not found.
pytestmark = pytest.mark.skipif(find_spec("lava") is None, reason="needs Lava in this Python")

EXTENSION = Path(__file__).parents[1] / "support" / "loihi_extension"


@pytest.fixture
def stand_in(monkeypatch):
    there = loihi_backend.LoihiBackend(on_chip=False).availability()
    if not there.ok:
        pytest.skip(there.reason)
    monkeypatch.syspath_prepend(str(EXTENSION))
    monkeypatch.setattr(loihi_backend, "_MODULE", "wired_loihi")


def test_measured_stands_apart_from_modelled(conntra, program, stand_in):
    ran = conntra("run", program, "--backend", "loihi", "--measure", "--board-chips", "8", "--no-probe")
    assert ran.status == 0, ran.err
    modelled, _, measured = ran.out.partition("measured on the extension's own host")
    assert "modelled, not measured" in modelled
    assert "counted on the reference backend" in modelled
    assert "modelled" not in measured
    assert "less 900 mW of idle chips, 2 of 8 chips in use" in measured
    assert "not measured" in measured  # what the profilers did not have
    assert "syn_ops" in measured


def test_the_document_has_both_and_nulls_where_nothing_was_measured(conntra, program, stand_in):
    document = conntra("run", program, "--backend", "loihi", "--measure", "--json").document
    assert document["measured"]["step_time_s"] == pytest.approx(40e-6)
    assert document["measured"]["activity"]["syn_ops"] == 123
    assert document["counted_on"] == "loihi"
    assert document["latency_s"] == document["energy"][0]["latency_s"]
    assert all(e["modelled"] for e in document["energy"])
    simulated = conntra("run", program, "--json").document
    assert set(simulated["measured"].values()) == {None}
    assert simulated["counts_hardware_names"] == document["counts_hardware_names"]
    assert simulated["counts_hardware_names"]["syn_ops"] == simulated["counts"]["synops"]


def test_a_chip_is_verified_like_any_backend(conntra, program, stand_in):
    ran = conntra("verify", program, "--backends", "reference,loihi", "--json")
    assert ran.status == 0
    assert ran.document["equal"] is True


def test_unusable_hosts(fails, program):
    run = ("run", program, "--backend", "loihi")
    fails(*run, says=["loihi: ", "not installed"])
    fails("verify", program, "--backends", "reference,loihi", says=["loihi: ", "not installed"])
    fails(*run, "--partition", "a", "--board", "b", says=["give one of them"])
    fails(*run, "--generation", "N9", says=["allowed: N3B2"])
    fails(*run, "--host", "a b", says=["letters, digits"])
    fails("run", program, "--measure", says=["backend reference: no chip to find"])
    fails("run", program, "--host", "slurm", says=["backend reference: no chip to find"])


def test_doctor_says_what_a_chip_needs(conntra):
    backends = {b["name"]: b for b in conntra("doctor", "--json").document["backends"]}
    assert not backends["loihi"]["ok"]
    assert backends["loihi"]["reason"]
    assert "Python 3.10" in backends["loihi"]["remedy"] or "INRC" in backends["loihi"]["remedy"]
