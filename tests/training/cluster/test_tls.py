"""Clusters that only those with a certificate can speak to, and ``local:N``, which nobody elsewhere can."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import training_twins as twins

from conntra_hardware.base.errors import BackendError, InputError
from conntra_neuro.training import Fit, fit_spikes
from conntra_neuro.training.cluster.address import Address, read_address

distributed = pytest.importorskip("distributed")

from conntra_neuro.training.cluster import connect  # noqa: E402  # imports Dask

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed here")


def fit(**given: object) -> Fit:
    task = twins.random_task(7, (), n=300, n_in=20, classes=3)
    return fit_spikes(task.spikes, task.y, n_classes=3, layers=(8,), sweeps=2, batch=100, **given)  # type: ignore[arg-type]


def all_of(found: Fit) -> list[object]:
    return [array.tolist() for array in found.parameters.arrays().values()]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two certificates, mine and other, each its own authority."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("mine", "other"):
        make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        make += ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}"]
        subprocess.run(make, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def scheduler(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler with two workers, as two command lines of Dask start them with certificates."""
    folder = tmp_path_factory.mktemp("cluster")
    mine = ["--tls-ca-file", "mine.pem", "--tls-cert", "mine.pem", "--tls-key", "mine.key"]
    file = ["--scheduler-file", str(folder / "scheduler.json"), "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    lines = [["dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--protocol", "tls"]]
    lines += [["dask_worker", "--nthreads", "1", "--no-nanny", "--local-directory", str(folder)]] * 2
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    started = []
    try:
        for program, *options in lines:
            command = [sys.executable, "-m", f"distributed.cli.{program}", *options, *mine, *file]
            started.append(subprocess.Popen(command, cwd=certificates, env=env, stderr=subprocess.DEVNULL))
            deadline = time.monotonic() + 60
            while not (folder / "scheduler.json").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
        yield json.loads((folder / "scheduler.json").read_text())["address"]
    finally:
        for process in started:
            process.kill()
            process.wait()


def named(certificates: Path, ca: str = "mine", who: str = "mine") -> str:
    return f"?ca={certificates}/{ca}.pem&cert={certificates}/{who}.pem&key={certificates}/{who}.key"


@needs_openssl
def test_a_training_over_tls_is_the_same(scheduler: str, certificates: Path) -> None:
    assert scheduler.startswith("tls://127.0.0.1:")
    assert all_of(fit(cluster=scheduler + named(certificates))) == all_of(fit())


@needs_openssl
def test_certificates_of_dasks_own_configuration(scheduler: str, certificates: Path) -> None:
    mine = {"ca-file": "mine.pem", "client.cert": "mine.pem", "client.key": "mine.key"}
    given = {f"distributed.comm.tls.{name}": f"{certificates}/{file}" for name, file in mine.items()}
    with connect.dask.config.set(given), connect.dask_crew(scheduler) as crew:
        assert len(crew._client.nthreads()) == 2


@needs_openssl
@pytest.mark.parametrize(("ca", "who"), [("mine", "other"), ("other", "mine"), ("other", "other")])
def test_nobody_else_is_spoken_to(
    scheduler: str, certificates: Path, ca: str, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "_CONNECT_S", 2.0)
    with pytest.raises(BackendError, match=r"^cluster tls://") as caught:
        fit(cluster=scheduler + named(certificates, ca, who))
    assert "\n" not in str(caught.value)
    for plain in (scheduler.replace("tls://", "tcp://"), scheduler):  # without a certificate
        with pytest.raises(BackendError, match=r"no scheduler answered|certificates do not go together"):
            fit(cluster=plain)


def test_addresses(tmp_path: Path) -> None:
    assert read_address("local:2") == Address(workers=2)
    assert read_address("host:8786") == Address(scheduler="tcp://host:8786")
    assert read_address("tls://host:8786") == Address(scheduler="tls://host:8786")
    files = {name: tmp_path / f"{name} of mine.pem" for name in ("ca", "cert", "key")}
    query = "&".join(f"{name}={path}" for name, path in files.items())
    with pytest.raises(InputError, match=r"ca of mine\.pem: no such file"):
        read_address(f"tls://host:1?{query}")
    for path in files.values():
        path.write_text("")
    ca, cert, key = map(str, files.values())
    expected = {"tls_ca_file": ca, "tls_client_cert": cert, "tls_client_key": key}
    assert read_address(f"tls://host:1?{query}") == Address(scheduler="tls://host:1", tls=expected)
    for wrong in (
        f"tcp://host:1?{query}",
        "tls://host:1?",
        f"tls://host:1?ca={ca}&cert={cert}",
        f"tls://host:1?{query}&ca={ca}",
        f"tls://host:1?{query}&who=me",
    ):
        with pytest.raises(InputError, match="ca, cert and key expected, once each"):
            read_address(wrong)


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="reads Linux's list of sockets")
def test_local_workers_and_their_scheduler_listen_on_loopback_only() -> None:
    with connect._quiet(), connect._local(2) as address, connect._client(address, address, 2) as client:
        pids = [os.getpid(), *client.run(os.getpid).values()]
        listening = {pid: _listening(pid) for pid in pids}
    assert all(listening.values())
    assert {where for places in listening.values() for where in places} == {"127.0.0.1"}


def _listening(pid: int) -> list[str]:
    """Return the addresses that a process listens on."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            sockets.add(os.readlink(descriptor).removeprefix("socket:[").removesuffix("]"))
    found = []
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in sockets:
                raw = bytes.fromhex(fields[1].split(":")[0])
                found.append(".".join(map(str, raw[::-1])) if name == "tcp" else raw.hex())
    return found
