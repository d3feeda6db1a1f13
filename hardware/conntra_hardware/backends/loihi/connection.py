"""The child's side of a host: point Lava at it, or say in one line why it cannot be reached."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from typing import Any

from lava.utils import loihi

__all__ = ["connect"]


def connect(host: Mapping[str, Any]) -> None:
    """Make ``host`` (a ``Host`` as a dictionary) the one that Lava runs on; ConnectionError where it is not there."""
    generation = loihi.ChipGeneration(host["generation"])
    try:
        if host["kind"] == "slurm":
            loihi.use_slurm_host(host["partition"], host["board"], generation)
        elif host["kind"] == "ethernet":
            loihi.use_ethernet_host(host["address"], loihi_gen=generation, **_binary())
    # Lava asks `sinfo` and `ping`: ValueError is their answer no, OSError that there is no such command here.
    except (ValueError, OSError, subprocess.SubprocessError) as error:
        raise ConnectionError(f"host not reachable: {error} {_REMEDY[host['kind']]}") from error


_REMEDY = {
    "slurm": "(look at `sinfo`; --partition, --board and --host choose another)",
    "ethernet": "(is the board on, and in this network? --host names another)",
}


def _binary() -> dict[str, str]:
    """Return where the host's own program is, which Lava would set to its default."""
    return {"host_binary_path": os.environ["HOST_BINARY"]} if os.environ.get("HOST_BINARY") else {}
