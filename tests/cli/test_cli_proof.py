"""``conntra verify``: certificates that are checked again with one command, and fuzzing."""

import json
import shutil
import subprocess

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.backends.loop import LoopBackend
from conntra_hardware.backends.reference import ReferenceBackend


@pytest.fixture
def certificate(conntra, program):
    ran = conntra("verify", program, "--backends", "reference,loop", "--samples", "20", "--out", "c.json")
    assert ran.status == 0
    return conntra.folder / "c.json"


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_certificate_is_confirmed_and_says_what_it_holds(conntra, program, certificate):
    document = json.loads(certificate.read_text())
    assert document["chosen"] == {"data": "iris", "split": "test", "samples": 20, "seed": 3}
    assert document["compared"] == {
        "spikes": 100,
        "potentials": 60,
        "layers": {"hidden0": 100, "readout": 60},
        "time_steps": 20,
    }
    assert all(proof["holds"] for proof in document["overflow"])
    assert {"python", "numpy", "conntra-neuro"} <= set(document["versions"])
    again = conntra("verify", program, "--certificate", certificate, "--json")
    assert again.status == 0
    assert (again.document["confirmed"], again.document["mismatch"]) == (True, None)
    assert again.document["fresh"] == document
    assert "certificate confirmed" in conntra("verify", program, "--certificate", certificate).out


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"recordings_sha256": {"reference": "0" * 64}}, "recordings_sha256.reference: the certificate says"),
        ({"program_sha256": "0" * 64}, "another program"),
        ({"inputs_sha256": "0" * 64}, "other input spikes"),
        ({"equal": False}, "equal: the certificate says false, here it is true"),
        ({"samples": 19}, "inputs_sha256"),
    ],
)
def test_a_changed_certificate_is_a_no(conntra, program, certificate, changed, says):
    change(certificate, **changed)
    ran = conntra("verify", program, "--certificate", certificate, "--json")
    assert ran.status == 1
    assert says in ran.document["mismatch"]
    table = conntra("verify", program, "--certificate", certificate)
    assert (table.status, "certificate NOT confirmed" in table.out) == (1, True)


def test_data_that_moved_is_named_anew(conntra, tmp_path, network):
    data = cn.load_dataset("iris", seed=3)
    for name in ("here", "there"):
        parts = ("x_train", "y_train", "x_test", "y_test")
        np.savez(tmp_path / f"{name}.npz", **{part: getattr(data, part) for part in parts})
    program = tmp_path / "p.conntra"
    plain = cn.DiscreteNetwork(network.layers, network.encoder)
    cn.save(cn.compile(plain, "loihi1"), program, info={"data": f"npz:{tmp_path}/here.npz", "seed": 3})
    assert conntra("verify", program, "--backends", "reference,loop", "--out", "c.json").status == 0
    (tmp_path / "here.npz").unlink()
    assert conntra("verify", program, "--certificate", "c.json").status == 2
    assert conntra("verify", program, "--certificate", "c.json", "--data", f"npz:{tmp_path}/there.npz").status == 0


def test_a_program_without_data_is_proved_on_random_inputs(conntra, fails, tmp_path, network):
    program = tmp_path / "alone.conntra"
    cn.save(cn.compile(cn.DiscreteNetwork(network.layers, network.encoder), "loihi1"), program)
    fails("verify", program, "--backends", "reference,loop", says=["--data: not given", "--data random"])
    fails("verify", program, "--data", "random", "--split", "train", says=["--split train: random inputs"])
    fails("verify", program, "--data", "random", "--samples", "0", says=["samples 0"])
    random = ("--data", "random", "--backends", "reference,loop")
    made = conntra("verify", program, *random, "--seed", "7", "--out", "c.json", "--json")
    assert (made.status, made.document["chosen"]) == (0, {"data": "random", "samples": 200, "seed": 7})
    again = conntra("verify", program, "--certificate", "c.json")
    assert again.status == 0
    assert "200 of random, seed 7" in again.out
    change(conntra.folder / "c.json", chosen={"data": "random", "samples": 200, "seed": 8})
    assert "inputs_sha256" in conntra("verify", program, "--certificate", "c.json", "--json").document["mismatch"]


class Loose(ReferenceBackend):
    """Spikes at a potential of 0, too."""

    name = "lava"

    def execute(self, program, inputs, options):
        from dataclasses import replace

        loose = [replace(p, bias=p.bias + 1) if p.neuron.spikes else p for p in program.populations]
        return super().execute(replace(program, populations=tuple(loose)), inputs, options)


def test_fuzzing_reports_saves_and_is_checked_again(conntra, monkeypatch):
    ran = conntra("verify", "--fuzz", "5", "--seed", "2", "--backends", "reference", "--out", "f.json", "--json")
    assert (ran.status, ran.document["equal"], ran.document["backends"]["reference"]["programs"]) == (0, True, 5)
    assert conntra("verify", "--certificate", "f.json").status == 0
    change(conntra.folder / "f.json", digest="0")
    assert conntra("verify", "--certificate", "f.json").status == 1

    monkeypatch.setattr("conntra_hardware.proof.fuzz.load_backend", lambda name: Loose())
    wrong = conntra("verify", "--fuzz", "2", "--seed", "2", "--backends", "lava", "--out", "f.json")
    assert wrong.status == 1
    assert "the threshold is not strict" in wrong.out
    (folder, *_) = (conntra.folder / "f.failures").iterdir()
    assert {path.name for path in folder.iterdir()} == {"program.conntra", "inputs.npy", "certificate.json"}
    monkeypatch.setattr(
        "conntra_hardware.proof.verify.load_backend", lambda name: Loose() if name == "lava" else LoopBackend()
    )
    shown = conntra("verify", folder / "program.conntra", "--certificate", folder / "certificate.json", "--json")
    assert (shown.status, shown.document["confirmed"], shown.document["equal"]) == (1, True, False)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed here")
def test_a_certificate_is_signed_and_its_signer_asked_for(conntra, fails, program, tmp_path):
    for name in ("key", "other"):
        made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name]
        subprocess.run(made, check=True)
    compared = ("verify", program, "--backends", "reference,loop", "--samples", "5", "--out", "c.json")
    assert conntra(*compared, "--sign", tmp_path / "key").status == 0
    again = ("verify", program, "--recheck", "c.json", "--signer")
    shown = conntra(*again, tmp_path / "key.pub")
    assert (shown.status, "certificate confirmed" in shown.out, "signed" in shown.out) == (0, True, True)
    other = conntra(*again, tmp_path / "other.pub", "--json")
    assert (other.status, other.document["confirmed"], other.document["fresh"]) == (1, False, None)
    assert other.document["mismatch"].startswith("signature: not made with")
    assert conntra(*compared[:-4]).status == 0
    fails(
        "verify", program, "--sign", tmp_path / "key", says=["--sign: signs the certificate that is made; give --out"]
    )
    fails("verify", program, "--signer", tmp_path / "key.pub", says=["--signer: says who must have signed"])
    fails(*compared, "--sign", tmp_path / "none", says=["--sign", "no such file"])
    data = (conntra.folder / "c.json").read_bytes()
    (conntra.folder / "c.json").write_bytes(data.replace(b"  ", b" \t", 1))
    touched = conntra("verify", program, "--recheck", "c.json", "--json")
    assert (touched.status, touched.document["mismatch"].split(":")[0]) == (1, "layout")


def test_wrong_use(fails, program, tmp_path):
    fails("verify", says=["no PROGRAM"])
    fails("verify", program, "--fuzz", "3", says=["leave PROGRAM and --certificate out"])
    fails("verify", program, "--certificate", tmp_path / "none.json", says=["No such file"])
    fails("verify", "--fuzz", "0", says=["at least 1"])
