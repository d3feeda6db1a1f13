"""Training on Dask workers that are processes of their own; ``test_shards`` has what needs no transport."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import training_twins as twins

from conntra_hardware.base.errors import BackendError, InputError
from conntra_neuro.datasets import Dataset
from conntra_neuro.training import Fit, Progress, fit_spikes, train
from conntra_neuro.training.cluster.shards import Answer
from conntra_neuro.training.inputs.image import ImageShape

distributed = pytest.importorskip("distributed")

from conntra_neuro.training.cluster import connect, workers  # noqa: E402  # both import Dask

_SWEEPS = 5


def _fit(**given: Any) -> Fit:
    task = twins.random_task(7, (), n=600, n_in=36, classes=4)
    options: dict[str, Any] = {"layers": (12, 9), "shift": 1, "penalty_energy": 0.3, "image": ImageShape(1, 6, 6)}
    return fit_spikes(task.spikes, task.y, n_classes=4, sweeps=_SWEEPS, batch=120, **(options | given))


def _all_of(fit: Fit) -> list[Any]:
    history = [(r.sweep, r.objective, r.train_error) for r in fit.history]
    return [history, *(array.tolist() for array in fit.parameters.arrays().values())]


@contextmanager
def _cluster(count: int) -> Iterator[str]:
    with connect._quiet(), connect._local(count) as address, connect._client(address, address, max(count, 1)):
        yield address


def _pids(address: str) -> list[int]:
    with distributed.Client(address, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


@pytest.mark.parametrize(("layers", "neuron"), [((12, 9), "threshold"), ("conv4k3,8", "if2")])
def test_a_worker_that_is_killed_changes_nothing(tmp_path: Path, layers: Any, neuron: str) -> None:
    killed: list[int] = []
    given = {"layers": layers, "neuron": neuron}

    def kill(address: str) -> None:
        killed.append(_pids(address)[0])
        os.kill(killed[0], signal.SIGKILL)

    with _cluster(2) as address:

        def progress(state: Progress) -> None:
            if state.sweep >= 2 and not killing.ident:
                killing.start()  # from a thread, so that it falls into a step
            if state.sweep >= _SWEEPS - 1:
                killing.join()  # before the end, for certain

        killing = threading.Thread(target=kill, args=(address,))
        fit = _fit(cluster=address, progress=progress, checkpoint=tmp_path, **given)
        left = _pids(address)
    assert len(left) == 1
    assert killed[0] not in left
    whole = _fit(**given)
    assert _all_of(fit) == _all_of(whole)
    assert _all_of(_fit(resume=tmp_path, **given)) == _all_of(whole)


def test_stopped_on_a_cluster_and_resumed_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_FAN_IN", 2)  # so that sums of three are added up on workers first

    def stop(state: Progress) -> None:
        if state.sweep >= 3:
            raise KeyboardInterrupt

    assert _fit(cluster="local:3", checkpoint=tmp_path, progress=stop).interrupted
    assert _all_of(_fit(resume=tmp_path)) == _all_of(_fit())


@pytest.mark.parametrize("address", ["nowhere", "local:0", "local:x", "local", "http://a:80", "tcp://:1", "local:999"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(InputError, match=f"^cluster '{address}': .*local:"):
        _fit(cluster=address)


@pytest.mark.parametrize("gear", ["annealed", "exact", "straight-through"])
def test_gears_that_need_all_samples_say_so(gear: str) -> None:
    with pytest.raises(InputError, match=f"gear {gear} trains on one machine"):
        fit_spikes(np.eye(4, dtype=np.uint8), np.arange(4), n_classes=4, gear=gear, cluster="local:2")


def test_methods_that_need_all_samples_say_so() -> None:
    x = np.eye(4, dtype=np.uint8)
    data = Dataset("made", x, np.arange(4), x[:0], np.arange(0), (0, 1, 2, 3))
    with pytest.raises(InputError, match="method warm trains on one machine"):
        train(data, method="warm", cluster="local:2")


def test_without_dask_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "conntra_neuro.training.cluster.connect")
    monkeypatch.delattr("conntra_neuro.training.cluster.connect")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"needs Dask.*pip install"):
        _fit(cluster="local:2")


def test_no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "_CONNECT_S", 0.3)
    with pytest.raises(BackendError, match="no scheduler answered"):
        _fit(cluster="tcp://127.0.0.1:9")


def test_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "_WORKERS_S", 0.3)
    with connect._quiet(), connect._local(0) as address, pytest.raises(BackendError, match="has no worker after"):
        _fit(cluster=address)


def test_all_workers_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_LOOK_S", 0.2)
    monkeypatch.setattr(workers, "_LOST_S", 0.5)
    with _cluster(1) as address:

        def kill(state: Progress) -> None:
            for pid in _pids(address):
                os.kill(pid, signal.SIGKILL)

        with pytest.raises(BackendError, match="all workers are lost; with --checkpoint"):
            _fit(cluster=address, progress=kill)


def test_scheduler_lost(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(connect, "_CONNECT_S", 1.0)
    with ExitStack() as stack, connect._quiet():
        address = stack.enter_context(connect._local(1))

        def leave(state: Progress) -> None:
            if state.sweep >= 2:
                stack.close()

        with pytest.raises(BackendError, match="the scheduler is lost") as caught:
            _fit(cluster=address, progress=leave, checkpoint=tmp_path)
        assert "\n" not in str(caught.value)
        assert "with --checkpoint a training can be resumed" in str(caught.value)
    assert (tmp_path / "checkpoint.conntra").exists()
    assert _all_of(_fit(resume=tmp_path)) == _all_of(_fit())


@pytest.mark.parametrize(
    ("found", "said"), [("0.0.1 abc", "a worker has conntra-neuro 0.0.1, here is"), (None, "differ in the last bit")]
)
def test_workers_that_compute_otherwise_are_refused(found: str | None, said: str) -> None:
    holders = object.__new__(workers.DaskHolders)
    holders._address = "tcp://a:1"
    version = workers.fingerprint().split()[0]
    with pytest.raises(BackendError, match=said):
        holders._check(Answer(frozenset([found or f"{version} other", workers.fingerprint()])))
    holders._check(Answer(frozenset([workers.fingerprint()])))


@pytest.mark.skipif(os.name != "posix", reason="os.kill with SIGKILL, and processes that change their parent")
def test_workers_of_a_training_that_is_killed_end_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom conntra_neuro.training.cluster import connect\n"
        "with connect._quiet(), connect._local(2) as a, connect._client(a, a, 2) as client:\n"
        "    import os\n    print(*client.run(os.getpid).values(), flush=True)\n    time.sleep(60)\n"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TMPDIR": str(tmp_path)}
    training = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True)
    assert training.stdout is not None
    pids = [int(pid) for pid in training.stdout.readline().split()]
    assert len(pids) == 2
    training.kill()
    training.wait()
    training.stdout.close()
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not [path for path in tmp_path.glob("conntra-*") if any(path.iterdir())]
