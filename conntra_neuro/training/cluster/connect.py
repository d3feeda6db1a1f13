"""Schedulers: one that runs somewhere, or one with worker processes of this machine, for as long as a training lasts.

Nothing is left behind: no process, no dashboard port, no changed setting.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import dask.config
import distributed
from distributed.comm.core import connect
from distributed.scheduler import KilledWorker

from conntra_hardware.base.errors import BackendError
from conntra_neuro.training.cluster.address import read_address
from conntra_neuro.training.cluster.workers import DaskCrew

__all__ = ["dask_crew", "dask_map"]

_CONNECT_S = 10.0  # for the scheduler to answer
_WORKERS_S = 30.0  # for the first worker to be there
_WORKER = "conntra_neuro.training.cluster.local_worker"
_START = "`dask scheduler` and `dask worker tcp://HOST:8786` start them; local:2 needs none"


@contextmanager
def dask_crew(address: str) -> Iterator[DaskCrew]:
    """Connect to the scheduler at ``address``, or start ``local:N`` worker processes for as long as this lasts.

    InputError for an address that is none; BackendError where no scheduler or no worker answers in time.
    """
    with _connected(address) as client:
        crew = DaskCrew(client, address)
        try:
            yield crew
        finally:
            crew.close()  # before the client: then it can still tell workers what to free


@contextmanager
def dask_map(address: str) -> Iterator[Callable[..., Iterator[tuple[int, Any]]]]:
    """Yield ``spread(what, shared, parts)``, which has workers call ``what(shared, part)`` for each part.

    It yields (index, result) of the parts as they are done, and gives the workers ``shared`` once. Errors as in
    ``dask_crew``; those of ``what`` are raised again, and BackendError where a part has lost its workers.
    """
    with _connected(address) as client:

        def spread(what: Callable[..., Any], shared: Any, parts: Sequence[Any]) -> Iterator[tuple[int, Any]]:
            asked: Any = client
            held = asked.scatter(shared, broadcast=True, hash=False)
            futures = {asked.submit(what, held, part, pure=False): at for at, part in enumerate(parts)}
            try:
                for future in distributed.as_completed(list(futures), loop=asked.loop):
                    yield futures[future], future.result()
            except (KilledWorker, asyncio.CancelledError, concurrent.futures.CancelledError, OSError) as error:
                words = f"{type(error).__name__}, its workers are lost"
                raise BackendError(f"cluster {address}: {words}; {_START}; start the search again") from None
            finally:
                asked.cancel(list(futures))

        yield spread


@contextmanager
def _connected(address: str) -> Iterator[distributed.Client]:
    """Yield a client of the scheduler at ``address``, or of ``local:N`` worker processes for as long as this lasts."""
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        # Samples travel as arguments of tasks, so that the scheduler can send them again: that is meant.
        stack.enter_context(dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}))
        found = read_address(address)
        security = _security(found.tls)
        if found.workers is None:
            where = found.scheduler
            _greeted(where, address, security)
        else:
            where = stack.enter_context(_local(found.workers))
        yield stack.enter_context(_client(where, address, found.workers or 1, security))


def _security(tls: Mapping[str, str]) -> distributed.Security:
    """Return certificates: those named, and then nothing without encryption, else those of Dask's configuration."""
    return distributed.Security(require_encryption=True, **tls) if tls else distributed.Security()


def _greeted(where: str, address: str, security: distributed.Security) -> None:
    """Return where something at ``where`` speaks Dask; BackendError else."""
    try:
        # A client that fails to connect cannot be closed cleanly, so one is made only where somebody listens; and in
        # a thread of its own, as this one may be running a loop already (in notebooks it is).
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: asyncio.run(_greet(where, security))).result()
    except (OSError, asyncio.TimeoutError, TimeoutError, ValueError, ImportError, RuntimeError, TypeError) as error:
        refused = _refused(error)
        said = f"no scheduler answered within {_CONNECT_S:g} s; check the address; {_START}"
        if refused:
            said = f"the certificates do not go together ({refused}); check ca, cert and key"
        raise BackendError(f"cluster {address}: {said}") from None


def _refused(error: BaseException | None) -> str:
    """Return what TLS has against a connection that failed with ``error``; empty where it is not TLS's matter."""
    while error is not None:
        if isinstance(error, ssl.SSLError) or "TLS" in str(error):
            return " ".join(str(error).split())[:200]
        error = error.__cause__ or error.__context__
    return ""


async def _greet(address: str, security: distributed.Security) -> None:
    arguments: dict[str, Any] = security.get_connection_args("client")
    comm = await asyncio.wait_for(connect(address, timeout=_CONNECT_S, **arguments), _CONNECT_S + 1)
    await comm.close()


@contextmanager
def _local(count: int) -> Iterator[str]:
    """Run a scheduler in this process and ``count`` worker processes; yield the scheduler's address."""
    cluster: Any = distributed.LocalCluster(
        n_workers=0,  # Dask's own worker processes are forbidden to scripts without an ``if __name__ == "__main__"``
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,  # type: ignore[arg-type]  # None is Dask's own word for no dashboard
        # Its HTTP server is there all the same; of two trainings the second would complain of a port that is taken.
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        silence_logs=logging.CRITICAL,
    )
    with cluster, ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(_worker(cluster.scheduler_address))
        yield cluster.scheduler_address


@contextmanager
def _worker(scheduler: str) -> Iterator[None]:
    # A thread a process: the processes are what there is to use the cores with. No memory limit: it would be a share
    # of the machine's, and reaching it kills the worker. A session of its own: Ctrl-C is for the training, which still
    # needs its workers then.
    # --host: else a worker listens on every interface, and runs what it is sent.
    options = ("--host", "127.0.0.1", "--nthreads", "1", "--memory-limit", "0", "--no-nanny", "--no-dashboard")
    options += ("--dashboard-address", "127.0.0.1:0", "--death-timeout", "60")
    with TemporaryDirectory(prefix="conntra-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", _WORKER, str(os.getpid()), scheduler, *options, "--local-directory", folder],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield
        finally:
            process.kill()  # it has nothing to save
            process.wait()


@contextmanager
def _client(
    where: str, address: str, workers: int, security: distributed.Security | None = None
) -> Iterator[distributed.Client]:
    """Connect, and wait for so many workers; through the scheduler go tasks only, sums come from workers directly."""
    try:
        client = distributed.Client(
            where,
            timeout=_CONNECT_S,
            set_as_default=False,
            direct_to_workers=True,
            security=security or distributed.Security(),
        )
    except (OSError, asyncio.TimeoutError, TimeoutError, ValueError) as error:
        raise BackendError(f"cluster {address}: no scheduler there ({error}); check the address; {_START}") from None
    with client:
        try:
            client.wait_for_workers(workers, timeout=_WORKERS_S)
        except (asyncio.TimeoutError, TimeoutError):
            raise BackendError(
                f"cluster {address}: the scheduler has no worker after {_WORKERS_S:g} s; {_START}"
            ) from None
        yield client


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's log off standard error: a lost worker is expected, and errors are told in one line."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
