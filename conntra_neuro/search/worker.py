"""A process that trains for a search: the samples on standard input, then a recipe a line; a result a line comes back.

It ends where its input does, or within a second of the search's own process. Standard output holds answers alone.
Argument: the process id of the search.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import threading
import time

__all__ = ["main"]

_POLL_S = 0.5


def main() -> None:
    """Train until the input ends."""
    from conntra_hardware.base.errors import ConntraError
    from conntra_neuro.search.work import answer

    threading.Thread(target=_follow, args=(int(sys.argv[1]),), daemon=True).start()
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    size = int.from_bytes(asked.read(8), "little")
    samples = asked.read(size)
    if not size or len(samples) < size:
        return
    data = pickle.loads(samples)  # the search's own, through a pipe that nobody else holds
    for line in asked:
        try:
            found = answer(data, json.loads(line), 1)
        except ConntraError as error:
            found = {"refused": str(error)}
        answers.write(json.dumps(found).encode() + b"\n")
        answers.flush()


def _follow(parent: int) -> None:
    """End this process as soon as the parent is gone: in the middle of a training nobody reads the input."""
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os._exit(0)


if __name__ == "__main__":
    main()
