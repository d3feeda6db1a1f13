"""Certificates bind: whichever byte changes, of the certificate, its program or its inputs, it is found; signatures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from program_strategies import Case, build_case
from wrong_backends import WrongBackend

from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_hardware.program.fingerprint import program_sha256
from conntra_hardware.program.program_file import load_program, save_program
from conntra_hardware.proof.fuzz import fuzz
from conntra_hardware.proof.fuzz_case import FuzzCase
from conntra_hardware.proof.recheck import read_certificate, recheck, recheck_fuzz
from conntra_hardware.proof.seal import SEAL, as_written, seal_differs, sealed
from conntra_hardware.proof.shrink import save_failure
from conntra_hardware.proof.signature import check_signature, sign, signature_path
from conntra_hardware.proof.verify import verify
from conntra_neuro.cli.verify_again import _samples

SAME = ["reference", WrongBackend("same")]
needs_openssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed here")


@pytest.fixture(scope="module")
def case() -> Case:
    return build_case((5, 3), [(-1, 0, 1)], seed=5, samples=4)


@pytest.fixture(scope="module")
def saved(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with program.conntra, inputs.npy and certificate.json, as a fuzz run saves them."""
    certificate = verify(case.program, case.inputs, SAME)
    folder = tmp_path_factory.mktemp("saved")
    return save_failure(folder, FuzzCase(case.program, case.inputs), certificate, {"name": "Zürich \N{SNOWMAN}"})


def flips(path: Path) -> Iterator[int]:
    """Yield each place while another byte is there: a bit changed, and each blank become another kind of blank."""
    data = path.read_bytes()
    with open(path, "r+b", buffering=0) as file:
        for at, byte in enumerate(data):
            for other in (byte ^ 1, *(b"\t" if byte == ord(" ") else b"")):
                os.pwrite(file.fileno(), bytes([other]), at)
                yield at
            os.pwrite(file.fileno(), bytes([byte]), at)


def test_every_byte_of_a_certificate(case: Case, saved: Path, tmp_path: Path) -> None:
    data, path = (saved / "certificate.json").read_bytes(), tmp_path / "c.json"
    document = read_certificate(saved / "certificate.json")
    assert recheck(document, case.program, case.inputs, backends=SAME).mismatch is None
    assert as_written(saved / "certificate.json", document) is None
    tried, unnoticed, places = 0, [], {"refused": 0, "seal": 0, "layout": 0}
    path.write_bytes(data)
    for at in flips(path):
        tried += 1
        try:
            document = read_certificate(path)
        except FileFormatError:
            places["refused"] += 1
            continue
        if seal_differs(document):
            places["seal"] += 1
        elif as_written(path, document):
            places["layout"] += 1
        else:
            unnoticed.append(at)
    assert unnoticed == []
    assert tried == len(data) + data.count(b" ") == sum(places.values())
    assert min(places.values()) > 100  # each of the three is needed


def test_a_certificate_in_ascii_and_in_utf8_is_as_it_was_written(saved: Path, tmp_path: Path) -> None:
    document = read_certificate(saved / "certificate.json")
    for ascii_only in (True, False):
        path = tmp_path / "c.json"
        path.write_text(json.dumps(document, indent=2, ensure_ascii=ascii_only) + "\n", encoding="utf-8")
        assert as_written(path, read_certificate(path)) is None
    path.write_text(json.dumps(document, indent=3) + "\n", encoding="utf-8")
    assert str(as_written(path, read_certificate(path))).startswith("layout: ")


def test_every_byte_of_its_program(case: Case, tmp_path: Path) -> None:
    save_program(case.program, tmp_path / "p.conntra", {})
    for _ in flips(tmp_path / "p.conntra"):
        with pytest.raises(FileFormatError):
            load_program(tmp_path / "p.conntra")
    assert program_sha256(load_program(tmp_path / "p.conntra")) == program_sha256(case.program)


def test_every_byte_of_its_inputs(case: Case, saved: Path, tmp_path: Path) -> None:
    document = read_certificate(saved / "certificate.json")
    data, certificate = (saved / "inputs.npy").read_bytes(), tmp_path / "certificate.json"
    (tmp_path / "inputs.npy").write_bytes(data)
    assert np.array_equal(_samples(document, certificate, case.program, {}, None), case.inputs)
    for _ in flips(tmp_path / "inputs.npy"):
        with pytest.raises(FileFormatError, match="missing or damaged"):
            _samples(document, certificate, case.program, {}, None)


@pytest.mark.parametrize("key", ["versions", "chosen", "diagnoses", "program_sha256"])
def test_what_no_rerun_can_tell_is_held_by_the_seal(case: Case, key: str) -> None:
    made = verify(case.program, case.inputs, SAME, chosen={"data": "iris"})
    document = made.to_dict()
    assert document[SEAL] == sealed(document)[SEAL]
    changed = replace(made, versions={**made.versions, "numpy": "1.0"}).to_dict()
    assert changed[SEAL] != document[SEAL]
    del document[key]
    assert str(seal_differs(document)).startswith("seal: does not match")
    if key != "program_sha256":
        found = recheck(document, case.program, case.inputs, backends=SAME)
        assert str(found.mismatch).startswith("seal: does not match")


def test_a_certificate_of_an_earlier_version_has_no_seal(case: Case, saved: Path, tmp_path: Path) -> None:
    document = read_certificate(saved / "certificate.json")
    del document[SEAL]
    (tmp_path / "c.json").write_text(json.dumps(document))
    assert as_written(tmp_path / "c.json", read_certificate(tmp_path / "c.json")) is None
    found = recheck(document, case.program, case.inputs, backends=SAME)
    assert found.mismatch is None
    assert found.notes[0].startswith("no seal, as in earlier versions")


def test_an_entry_that_is_none_is_refused_by_name(saved: Path, tmp_path: Path) -> None:
    document = read_certificate(saved / "certificate.json") | {"seam": "1"}
    (tmp_path / "c.json").write_text(json.dumps(document))
    with pytest.raises(FileFormatError, match=r"seam is no entry of one; .* upgrade conntra-neuro"):
        read_certificate(tmp_path / "c.json")


def test_a_fuzz_report_is_sealed() -> None:
    document = fuzz(2, seed=1).to_dict()
    assert recheck_fuzz(document).mismatch is None
    document["versions"]["numpy"] = "1.0"
    found = recheck_fuzz(document)
    assert str(found.mismatch).startswith("seal: does not match")
    assert found.notes == (f"numpy: 1.0 there, {np.__version__} here",)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("mine", "other"):
        made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{name} of a test", "-f", str(folder / name)]
        subprocess.run(made, check=True)
    return folder


@needs_openssh
def test_a_signature_is_the_signers_and_of_this_file(saved: Path, keys: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    shutil.copy(saved / "certificate.json", path)
    assert str(check_signature(path, keys / "mine.pub")).endswith("is missing; it belongs beside the certificate")
    assert sign(path, keys / "mine") == signature_path(path)
    assert check_signature(path, keys / "mine.pub") is None
    assert "not made with" in str(check_signature(path, keys / "other.pub"))
    both = tmp_path / "both.pub"
    both.write_text("# who may\n\n" + (keys / "other.pub").read_text() + (keys / "mine.pub").read_text())
    assert check_signature(path, both) is None
    data = path.read_bytes()
    for at in range(0, len(data), len(data) // 20):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert "not made with" in str(check_signature(path, keys / "mine.pub"))
    path.write_bytes(data)
    signature_path(path).write_bytes(b"no signature")
    assert str(check_signature(path, keys / "mine.pub")).startswith("signature: not made with")


@needs_openssh
def test_openssh_alone_checks_a_signature(saved: Path, keys: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    shutil.copy(saved / "certificate.json", path)
    sign(path, keys / "mine")
    (tmp_path / "allowed").write_text(f"me@here {(keys / 'mine.pub').read_text()}")
    command = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "allowed"), "-I", "me@here"]
    command += ["-n", "conntra-certificate", "-s", f"{path}.sig"]
    ran = subprocess.run(command, input=path.read_bytes(), capture_output=True)
    assert ran.returncode == 0, ran.stderr


@needs_openssh
def test_keys_that_are_none(saved: Path, keys: Path, tmp_path: Path) -> None:
    path, none = tmp_path / "c.json", tmp_path / "none"
    shutil.copy(saved / "certificate.json", path)
    none.write_text('a command="rm" ssh-ed25519 AAAA\n')
    with pytest.raises(InputError, match="no such file"):
        sign(path, tmp_path / "missing")
    with pytest.raises(InputError, match=r"ssh-keygen: .*; a private key of OpenSSH expected"):
        sign(path, none)
    assert not signature_path(path).exists()
    with pytest.raises(InputError, match="No such file"):
        check_signature(path, tmp_path / "missing.pub")
    for wrong in (none, keys / "mine"):
        with pytest.raises(InputError, match="not a public key"):
            check_signature(path, wrong)


def test_without_openssh_the_remedy_is_named(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    for call in (lambda: sign(saved / "certificate.json", "key"), lambda: check_signature("c.json", "key.pub")):
        with pytest.raises(InputError, match="needs ssh-keygen, which is not on PATH; install OpenSSH"):
            call()
