"""A process of its own for ``reader_confined.confined``: it forks, which a test process must not that has loaded JAX.

Called as a script it answers lines of JSON, ``[arguments, folder]``, with a verdict each. What the readers import is
imported before the first child is forked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import astuple
from importlib import import_module
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.append(str(SCRIPTS))

from reader_confined import Verdict, confined  # noqa: E402  # from the folder above

_NEEDED = ("conntra_neuro.cli.app", "conntra_neuro.exchange.files", "h5py", "nir", "onnx", "PIL.Image", "scipy.sparse")


class Confining:
    """The process, started; ``confined`` does what that of ``reader_confined`` does."""

    def __init__(self) -> None:
        command = [sys.executable, __file__]
        self._process: Any = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def confined(self, arguments: list[str], folder: Path) -> Verdict:
        """Run a command line in ``folder``; see ``reader_confined.confined``."""
        print(json.dumps([list(map(str, arguments)), str(folder)]), file=self._process.stdin, flush=True)
        said = json.loads(self._process.stdout.readline())
        return Verdict(*said[:-1], left=tuple(said[-1]))

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def _serve() -> None:
    for name in _NEEDED:
        import_module(name)
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        arguments, folder = json.loads(line)
        print(json.dumps(astuple(confined(arguments, Path(folder)))), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
