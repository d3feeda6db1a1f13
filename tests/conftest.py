"""Makes tests/support importable: strategies and stand-ins that several test files share; simulators start warm."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent / "support"))

# A shell has what it starts in the background ignore Ctrl-C, and children inherit that: tests of Ctrl-C need it back.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _children() -> Iterator[Any]:
    if not hasattr(os, "fork") or os.environ.get("CONNTRA_COLD_CHILDREN"):
        yield None
        return
    from warm_children import warm_children

    with warm_children() as cold:
        yield cold


@pytest.fixture
def cold_children(_children: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have simulators start as they do for a user, in a process that imports them."""
    if _children is not None:
        monkeypatch.setattr("conntra_hardware.backends.child.launch.subprocess", _children)


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sound files of every kind, made once: copy what is to be changed."""
    sys.path.append(str(Path(__file__).parents[1] / "scripts"))
    from sound_files import make_sound

    folder = tmp_path_factory.mktemp("sound")
    make_sound(folder)
    return folder


@pytest.fixture
def repair_of_60_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have repair of ReLU networks take mini-batches: what seconds are worth depends on the machine."""
    from conntra_neuro.exchange.relu import importing

    repair = importing.repair_ints

    def briefly(*arguments: Any, seconds: float, **options: Any) -> Any:
        assert seconds > 0
        return repair(*arguments, **options, batches=60)

    monkeypatch.setattr(importing, "repair_ints", briefly)
